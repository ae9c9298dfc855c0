"""Count batches' contacts by status, from the table's stream.

Event: a window of DynamoDB stream records. Only with windows does the event name the stream shard of its records, and
storing each shard's last counted record makes the counts exact. The window's state is unused.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.adapters.dynamodb.items import from_item
from redial.domain.status import Status
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases.count_batches import StatusMove, count_batches
from redial.wire.stored_execution import status_of

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    services = services_of("tally")
    moves = [move for record in event["Records"] if (move := _moved(record)) is not None]
    if moves:
        completed = count_batches(services, event["shardId"], moves, services.now())
        for batch_id in completed:
            telemetry.batch_completed()
            logger.info("batch completed", extra={"batch_id": batch_id})
    return {"state": {}}


def _moved(record: dict[str, Any]) -> StatusMove | None:
    """A batch contact's change of status. None if the record is not a contact's, or its status did not change."""
    change = record["dynamodb"]
    try:
        images = [from_item(change[name]) if name in change else {} for name in ("OldImage", "NewImage")]
        batch_id = next((image["ba"] for image in images if "ba" in image), None)
        if batch_id is None:
            return None
        before, after = (_status(image) for image in images)
    except (ArithmeticError, LookupError, TypeError, ValueError, StopIteration):
        # Raising would make Lambda retry it forever and block its shard.
        telemetry.not_counted()
        logger.exception("a record that cannot be counted", extra={"sequence_number": change["SequenceNumber"]})
        return None
    number = str(change["SequenceNumber"]).zfill(40)
    return None if before is after else StatusMove(batch_id, before, after, number)


def _status(image: dict[str, Any]) -> Status | None:
    return status_of(image) if image else None
