"""Deliver pending events: an execution's to its agent's webhook, a batch's to the batch's own, an account's to its own.

Event: messages of deliver's queue, each `{"execution_id": "<uuid>"}`, `{"batch_id": "<32 hexadecimal digits>"}` or
`{"event_id": "event-<32 hexadecimal digits>"}`, from another function or EventBridge Scheduler (a redelivery).
Optional: `"lease"`, the delivery lease that the sender has stored, and `"stored"`, the execution's item with that
lease.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.runtime import telemetry
from redial.runtime.messages import messages
from redial.runtime.services import services_of
from redial.wire.stored_execution import decode

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    for message in messages(event):
        deliver(message, context)


def deliver(message: dict[str, Any], context: LambdaContext) -> None:
    services = services_of("deliver")
    lease_id = str(message.get("lease") or services.new_id()[:8])

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if "batch_id" in message:
        telemetry.about(batch_id=str(message["batch_id"]))
        done = services.batch_deliverer.deliver(str(message["batch_id"]), lease_id, seconds_left)
    elif "event_id" in message:
        telemetry.about(event_id=str(message["event_id"]))
        done = services.account_event_deliverer.deliver(str(message["event_id"]), lease_id, seconds_left)
    else:
        telemetry.about(execution_id=str(message["execution_id"]))
        snapshot = decode(message["stored"]) if "stored" in message else None
        done = services.execution_deliverer.deliver(str(message["execution_id"]), lease_id, seconds_left, snapshot)
    telemetry.delivered(done)
    logger.info("delivered", extra={"accepted": done.accepted, "given_up": done.given_up, "failed": done.failed})
