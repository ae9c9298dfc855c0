"""The batch worker: ingests, starts, audits, stops and deletes a batch, and writes its results.

Event: `{"batch_id": "<32 hexadecimal digits>"}`, from an asynchronous invoke or EventBridge Scheduler. The stored batch
determines the work. Other events:
- `{"count_calls": "<agent id>"}`, from a listing: count the agent's calls outside of batches.
- `{"suppress": "<execution id>", "source": "webhook"}`, from deliver, dial, carrier_callback or sweep: suppress the
  number of that call. Optional: `"reason"`, `"purpose"`, `"of_agent"` (only for its agent's calls), and `"expires_at"`
  in epoch milliseconds.
- `{"wake": "<key of a circuit>", "account_id"}`, from api: dial the calls that wait for the circuit.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.domain.batch import BatchWork
from redial.domain.masking import masked_text
from redial.domain.number_rules import OptOut
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.list_calls import count_calls
from redial.usecases.number_rules import suppress_called
from redial.usecases.run_batch import BatchWorker
from redial.usecases.wake import wake_held
from redial.wire.timestamps import from_ms

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
    if "wake" in event:
        woken = wake_held(services, str(event["account_id"]), str(event["wake"]), seconds_left)
        logger.info("woken", extra={"circuit": masked_text(str(event["wake"])), "calls": woken})
        return
    if "suppress" in event:
        suppress(event)
        return
    batch_id = str(event["batch_id"])
    telemetry.about(batch_id=batch_id)
    # Lambda retries with the same request id, so a retry holds the lease and resumes at once.
    done = BatchWorker(services).run(batch_id, context.aws_request_id, seconds_left)
    if BatchWork.START in done.work:
        telemetry.batch_started()
    telemetry.batch_repaired(done.repairs)
    logger.info("batch work done", extra={"done": done.work, "repairs": dict(done.repairs)})


def suppress(event: dict[str, Any]) -> None:
    services, execution_id = services_of("batch"), str(event["suppress"])
    telemetry.about(execution_id=execution_id)
    opt_out = OptOut(
        source=event["source"],
        reason=event.get("reason"),
        of_agent=bool(event.get("of_agent")),
        purpose=event.get("purpose"),
        expires_at=from_ms(event["expires_at"]) if "expires_at" in event else None,
    )
    changed = suppress_called(services, execution_id, opt_out, services.now())
    ended = [] if changed is None else changed.ended
    logger.info("suppressed", extra={"source": opt_out.source, "canceled": len(ended), "found": changed is not None})
