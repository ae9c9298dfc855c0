"""Run one function's recorded events repeatedly in this process, and measure the processor time of each.

    python -m bench.replay redial <times>     the function itself
    python -m bench.replay bare <times>       a handler that only repeats its requests

The recording comes from standard input, the results go to standard output.
Nothing leaves the process. At botocore's before-send event every AWS request gets its recorded answer. A connection to
the carrier or a webhook is a pair of sockets whose other end already has the answer. boto3 and urllib3 run in full, for
both handlers.

The function's clock stays at the time of the recording. The bare handler repeats the requests of an event's third run,
when the function's caches are filled; they are saved with the results.

`redial` is imported only in the function's own runs.
"""

import ast
import importlib
import io
import json
import os
import socket
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import urllib3
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib3.connection import HTTPConnection

WARM_UP = 3
"""Runs of each event before its time is measured."""
_READS = ("GetItem", "Query", "BatchGetItem")
_FIXED_ID = str(uuid.UUID(int=1, version=4))


class _Body(io.BytesIO):
    """An answer's body in the form that botocore reads."""

    def stream(self, **_: Any) -> Any:
        content = self.read()
        while content:
            yield content
            content = self.read()


class Answers:
    """The answers during one event. Reads are matched by content, all other requests by the recorded order."""

    def __init__(self, recorded: dict[str, Any]) -> None:
        self._left: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for name, body, status, headers, content in recorded["aws"]:
            self._left[self._key(name, body)].append((status, headers, content.encode("latin-1")))
        self._http = [
            f"HTTP/1.1 {status} OK\r\nconnection: close\r\ncontent-length: {len(content)}\r\n"
            f"content-type: application/json\r\n\r\n{content}".encode("latin-1")
            for status, content in recorded["http"]
        ]
        self.connections: list[socket.socket] = []

    @staticmethod
    def _key(name: str, body: str) -> tuple[str, str]:
        return name, body if name.split(".")[1] in _READS else ""

    def aws(self, request: AWSPreparedRequest, event_name: str) -> AWSResponse:
        """For botocore's before-send event."""
        name = event_name.removeprefix("before-send.")
        body = request.body if isinstance(request.body, bytes) else b""
        left = self._left[self._key(name, body.decode("latin-1"))]
        if not left:
            raise LookupError(f"was not recorded: {name} {body!r}")
        status, headers, content = left.pop(0) if len(left) > 1 else left[0]
        return AWSResponse(request.url, status, headers, _Body(content))

    def connect(self, host: str, port: int) -> socket.socket:
        """A new connection for urllib3. Resolves the host like urllib3."""
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ours, theirs = socket.socketpair()
        theirs.sendall(self._http[len(self.connections)])
        self.connections.append(theirs)
        return ours

    def sent(self) -> list[dict[str, Any]]:
        """The HTTP requests of this event, read from the connections."""
        return [_parsed(connection) for connection in self.connections]


def _parsed(connection: socket.socket) -> dict[str, Any]:
    text = connection.recv(1 << 20).decode("latin-1")
    head, _, body = text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return {"method": method, "url": f"http://{headers['host']}{path}", "headers": headers, "body": body}


Step = Callable[[int], None]
"""Handles the recorded event with that number."""


def _redial(recording: dict[str, Any]) -> Step:
    """The function itself, with a fixed clock."""
    from redial.runtime import system

    module = importlib.import_module(f"functions.{recording['function']}.handler")
    nows = [datetime.fromisoformat(one["now"]) for one in recording["events"]]
    context = SimpleNamespace(
        function_name=recording["function"],
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:bench:live",
        memory_limit_in_mb="512",
        log_group_name="bench",
        log_stream_name="bench",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    current = [0]
    system.use(now=lambda: nows[current[0]], sleep=lambda seconds: None, new_id=lambda: _FIXED_ID, random=lambda: 0.5)

    def step(number: int) -> None:
        current[0] = number
        context.aws_request_id = recording["events"][number]["request_id"]
        module.handler(recording["events"][number]["event"], context)

    return step


def _bare(recording: dict[str, Any]) -> Step:
    """A handler that only repeats the requests."""
    pool = urllib3.PoolManager()
    config = Config(retries={"mode": "standard", "total_max_attempts": 4})
    clients: dict[str, Any] = {}
    plans: list[list[Callable[[], Any]]] = []
    for made in recording["requests"]:
        plan: list[Callable[[], Any]] = []
        for service, operation, parameters in map(ast.literal_eval, made["aws"]):
            if service not in clients:
                clients[service] = boto3.client(service, config=config)
            plan.append(partial(getattr(clients[service], xform_name(operation)), **parameters))
        for one in made["http"]:
            headers = {name: value for name, value in one["headers"].items() if name != "content-length"}
            body = one["body"].encode("latin-1")
            plan.append(partial(pool.request, one["method"], one["url"], body=body, headers=headers, retries=False))
        plans.append(plan)

    def step(number: int) -> None:
        for request in plans[number]:
            try:
                answer = request()
            except ClientError:  # a condition failed, as it did for the function
                continue
            if isinstance(answer, dict) and hasattr(answer.get("Body"), "read"):
                answer["Body"].read()

    return step


def run(variant: str, recording: dict[str, Any], times: int) -> dict[str, Any]:
    """Processor seconds of each run of each event, and the requests of each event."""
    boto3.setup_default_session()
    session: Any = boto3.DEFAULT_SESSION
    current = Answers(recording["events"][0])

    def answer(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        return current.aws(request, event_name)

    session.events.register("before-send", answer)
    HTTPConnection._new_conn = lambda self: current.connect(self.host, self.port)  # type: ignore[method-assign]
    calls: list[str] = []
    noting = False

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if noting:
            plain = {name: _content(value) if name == "Body" else value for name, value in params.items()}
            calls.append(repr((model.service_model.service_name, model.name, plain)))

    session.events.register("provide-client-params", note)  # before any client is made
    step = (_redial if variant == "redial" else _bare)(recording)
    seconds: list[list[float]] = [[] for _ in recording["events"]]
    requests: list[dict[str, Any]] = []
    for turn in range(WARM_UP + times):
        noting = turn == WARM_UP - 1
        for number, recorded in enumerate(recording["events"]):
            current = Answers(recorded)
            calls.clear()
            started = time.process_time()
            step(number)
            taken = time.process_time() - started
            if noting:
                requests.append({"aws": list(calls), "http": current.sent()})
            if turn >= WARM_UP:
                seconds[number].append(taken)
            for connection in current.connections:
                connection.close()
    return {"seconds": seconds, "requests": requests}


def _content(body: Any) -> bytes:
    """The content of a request body: bytes, or a file at its position."""
    if isinstance(body, bytes):
        return body
    position = body.tell()
    content: bytes = body.read()
    body.seek(position)
    return content


def main() -> None:
    variant, times = sys.argv[1:]
    with redirect_stdout(Path(os.devnull).open("w")):  # handlers log there
        found = run(variant, json.load(sys.stdin), int(times))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
