"""X-Ray annotations, to find traces by execution.

Lambda traces every function, and botocore propagates the trace with each asynchronous invoke, so one trace shows a
request, its dial and its webhooks. A carrier's callback or a schedule begins a new trace. Each trace is annotated with
its execution, so `annotation.execution_id = "…"` finds all sampled traces.

Powertools' Tracer does the same but adds 230 ms to each cold start. Here, a subsegment is a line of JSON sent to the
daemon. https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html, …/xray-api-sendingdata.html
"""

import json
import logging
import os
import socket

from redial.runtime import system

_log = logging.getLogger(__name__)
_HEADER = b'{"format": "json", "version": 1}\n'


def annotate(**annotations: str | int) -> None:
    """Annotate the trace of this invocation. Does nothing if it is not sampled or no daemon is running."""
    trace = dict(part.split("=", 1) for part in os.environ.get("_X_AMZN_TRACE_ID", "").split(";") if "=" in part)
    daemon = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "")
    if trace.get("Sampled") != "1" or "Root" not in trace or "Parent" not in trace or ":" not in daemon:
        return
    at = system.now().timestamp()
    subsegment = {
        "name": "redial",
        "id": system.new_id().replace("-", "")[:16],
        "trace_id": trace["Root"],
        "parent_id": trace["Parent"],
        "type": "subsegment",
        "start_time": at,
        "end_time": at,
        "annotations": annotations,
    }
    host, _, port = daemon.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon_socket:
            daemon_socket.sendto(_HEADER + json.dumps(subsegment).encode(), (host, int(port)))
    except OSError as error:
        _log.warning("could not annotate the trace: %s", error)
