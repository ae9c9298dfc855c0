"""Dial one attempt, if it is due and not claimed; then deliver the events that it caused.

Event: `{"execution_id": "<uuid>", "attempt": 2}`, from EventBridge Scheduler or an asynchronous invoke. Optional:
`"hop"`, how many invocations of dial and batch led to it;
`"line"`, the line shard in which the attempt holds a line; `"at"`, its start by the batch's rate limit; `"room"`, its
time in the batch's delayed set, if it was popped from there (both in epoch milliseconds).
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.domain.outcome import Unknown
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.dial_attempt import Dialler
from redial.wire.timestamps import from_ms

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    execution_id, attempt = str(event["execution_id"]), int(event["attempt"])
    telemetry.about(execution_id=execution_id, attempt=attempt)
    services = services_of("dial")
    services.invoker.hop = int(event.get("hop", 0)) + 1
    lease_id = services.new_id()[:8]
    at, delayed_at = (from_ms(event[name]) if name in event else None for name in ("at", "room"))
    dialled = Dialler(services).dial(execution_id, attempt, lease_id, event.get("line"), at, delayed_at)
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
                "to": telemetry.masked(execution.user_number),
                "answer": telemetry.masked_text(repr(dialled.result)),
            },
        )
    else:
        logger.info("not dialled", extra={"status": str(execution.state.status)})
    if execution.delivery.lease_id == lease_id:
        telemetry.delivered(
            services.execution_deliverer.deliver(
                execution_id, lease_id, lambda: context.get_remaining_time_in_millis() / 1000, execution
            )
        )
