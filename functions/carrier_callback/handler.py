"""What carriers report about calls: POST /callbacks/{carrier}/{execution_id}/{attempt}[/…].

A report is answered with 204, a request that the carrier did not sign with 403, an unreadable one with 400. One
rejected request a second is logged, with the count since the last one. An error in this code is answered with 500, and
the carrier sends the request again.
"""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.carriers.callback import read_callback
from redial.ports import ForgedCallback, UnreadableCallback
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.record_report import record_report

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    services = services_of("carrier_callback")
    try:
        callback = read_callback(event, services.public_url)
        if callback is None:
            return _answer(404, "no such callback")
        telemetry.about(execution_id=callback.execution_id, attempt=callback.attempt)
        reader = services.callback_reader(callback.carrier)
        reader.verify(callback, services.now())
        report = reader.read(callback)
    except (ForgedCallback, UnreadableCallback) as error:
        if count := telemetry.callback_rejected(time.monotonic()):
            logger.warning("callback rejected: %s", error, extra={"rejected": count})
        return _answer(403 if isinstance(error, ForgedCallback) else 400, str(error))
    lease_id = services.new_id()[:8]
    changed = record_report(services, callback.execution_id, callback.attempt, report, services.now(), lease_id)
    if changed is None:
        logger.warning("callback for an execution that does not exist")
    else:
        telemetry.changed(*changed)
        logger.info("callback", extra={"reported": str(report.status), "status": str(changed[1].state.status)})
    return _answer(204)


def _answer(status: int, body: str = "") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "text/plain"}, "body": body}
