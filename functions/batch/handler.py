"""The batch worker: ingests, starts, audits, stops and deletes a batch, and writes its results.

Event: `{"batch_id": "<32 hexadecimal digits>"}`, from an asynchronous invoke or EventBridge Scheduler. The stored batch
determines the work. Or `{"count_calls": "<agent id>"}`, from a listing: count the agent's calls outside of batches.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.domain.batch import BatchWork
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.list_calls import count_calls
from redial.usecases.run_batch import BatchWorker

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    services = services_of("batch")
    services.invoker.hop = int(event.get("hop", 0)) + 1
    if "count_calls" in event:
        agent_id = str(event["count_calls"])
        counted = count_calls(services, agent_id, seconds_left, services.now())
        logger.info("calls counted", extra={"agent_id": agent_id, "done": counted})
        return
    batch_id = str(event["batch_id"])
    telemetry.about(batch_id=batch_id)
    # Lambda retries with the same request id, so a retry holds the lease and resumes at once.
    done = BatchWorker(services).run(batch_id, context.aws_request_id, seconds_left)
    if BatchWork.START in done.work:
        telemetry.batch_started()
    telemetry.batch_repaired(done.repairs)
    logger.info("batch work done", extra={"done": done.work, "repairs": dict(done.repairs)})
