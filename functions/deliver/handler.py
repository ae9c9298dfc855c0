"""Deliver an execution's pending events to its agent's webhook.

Event: `{"execution_id": "<uuid>"}`, from EventBridge Scheduler (a redelivery) or an asynchronous invoke; then with
`"lease"`, the delivery lease that the invoking function has stored already.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.runtime import system, telemetry, wiring

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    execution_id = str(event["execution_id"])
    logger.append_keys(execution_id=execution_id)
    lease = str(event.get("lease") or system.new_id()[:8])
    done = wiring.deliver().deliver(execution_id, lease, lambda: context.get_remaining_time_in_millis() / 1000)
    telemetry.delivered(done)
    logger.info("delivered", extra={"accepted": done.accepted, "given_up": done.given_up, "failed": done.failed})
