"""Dial one attempt if it is due and not claimed, then queue the events that it caused for delivery.

Event: messages of dial's queue, each `{"execution_id": "<uuid>", "attempt": 2}`, from EventBridge Scheduler or another
function. Optional: `"hop"`, how many invocations of dial and batch led to it; `"line"`, the line shard in which the
attempt holds a line; in epoch milliseconds `"at"`, its start by the batch's rate, `"room"`, its time in the batch's
delayed set, if it was popped from there, `"paced"`, its start by the carrier account's rate, and `"asked"`, when the
agent's endpoints allowed it.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.domain.masking import masked, masked_text
from redial.domain.outcome import Unknown
from redial.runtime import telemetry
from redial.runtime.messages import messages
from redial.runtime.services import services_of
from redial.usecases.dial_attempt import Dialler
from redial.wire.timestamps import from_ms

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    for message in messages(event):
        dial(message)


def dial(message: dict[str, Any]) -> None:
    execution_id, attempt = str(message["execution_id"]), int(message["attempt"])
    telemetry.about(execution_id=execution_id, attempt=attempt)
    services = services_of("dial")
    services.invoker.hop = int(message.get("hop", 0)) + 1
    lease_id = services.new_id()[:8]
    times = (from_ms(message[name]) if name in message else None for name in ("at", "room", "paced", "asked"))
    dialled = Dialler(services).dial(execution_id, attempt, lease_id, message.get("line"), *times)
    execution = dialled.execution
    if execution is None or dialled.before is None:
        logger.warning("no such execution")
        return
    telemetry.dialled(dialled)
    if dialled.result is not None:
        level = logger.warning if isinstance(dialled.result, Unknown) else logger.info
        level(
            "dialled",
            extra={
                "to": masked(execution.user_number),
                "answer": masked_text(repr(dialled.result)),
            },
        )
    else:
        logger.info("not dialled", extra={"status": str(execution.state.status)})
