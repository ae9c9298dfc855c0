"""Every minute: do again whatever should have happened by now and has not. The event's content does not matter."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.runtime import system, telemetry, wiring
from redial.wire.stored_execution import DUE_SHARDS

LIMIT = 500
"""Most items of one run; what is left is met by the next one, a minute later."""

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    minute = int(system.now().timestamp()) // 60  # each run begins at another shard, so that none is always last
    done = wiring.sweep().sweep(
        DUE_SHARDS, minute % DUE_SHARDS, LIMIT, lambda: context.get_remaining_time_in_millis() / 1000
    )
    telemetry.swept(done)
    level = logger.warning if done.errors or done.cut_short else logger.info
    level(
        "swept",
        extra={
            "looked_at": done.looked_at,
            "repairs": dict(done.repairs),
            "errors": done.errors,
            "cut_short": done.cut_short,
        },
    )
