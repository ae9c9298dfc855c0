"""The sweeper: every minute, repair whatever is overdue.

There are three events. The schedule's starts the run of the minute. `{"shard", "token", "hop"}` processes the rest of
one shard of the due index. `{"questions": shard, "token", "hop"}` asks the carriers about the calls of one shard. The
function sends the last two to itself.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.sweep import Sweeper
from redial.wire.stored_execution import DUE_SHARDS

LIMIT = 500
"""Maximum overdue items of the minute's run; one further invocation per shard processes the rest."""

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    services = services_of("sweep")
    sweeper = Sweeper(services)

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if "questions" in event:
        done = sweeper.ask(int(event["questions"]), str(event["token"]), int(event["hop"]), seconds_left)
    elif "shard" in event:
        done = sweeper.sweep_shard(int(event["shard"]), str(event["token"]), int(event["hop"]), seconds_left)
    else:
        minute = int(services.now().timestamp()) // 60  # each run begins at another shard: no shard is always last
        done = sweeper.sweep(DUE_SHARDS, minute % DUE_SHARDS, LIMIT, seconds_left)
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
