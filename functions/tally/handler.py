"""Count batches' contacts by status and finished attempts for statistics, from the table's stream. Remove the user data
of expired calls.

Event: records of a window of the DynamoDB stream, or the end of a window. The event names the stream shard of its
records only if the mapping has windows; the last counted record of each shard is stored, which makes the counts exact.
Batches' counts are stored at once, since they complete batches. Statistics are collected in the window's state and
stored at its end.
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.adapters.dynamodb.items import from_item
from redial.domain.status import Status
from redial.runtime import telemetry
from redial.runtime.services import services_of
from redial.usecases import count_attempts
from redial.usecases.count_batches import StatusMove, count_batches
from redial.wire.stored_execution import decode, status_of

logger = telemetry.logger


@logger.inject_lambda_context(clear_state=True)
@telemetry.metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    services = services_of("tally")
    for execution_id in filter(None, map(_expired, event["Records"])):
        services.executions.remove_user_data(execution_id)
    moves = [move for record in event["Records"] if (move := _moved(record)) is not None]
    if moves:
        completed = count_batches(services, event["shardId"], moves, services.now())
        for batch_id in completed:
            telemetry.batch_completed()
            logger.info("batch completed", extra={"batch_id": batch_id})
    window = event.get("state") or {}
    for record in event["Records"]:
        _collect(window, record)
    if event.get("isFinalInvokeForWindow") and window:
        count_attempts.store(services, window, event["shardId"], services.now())
        window = {}
    return {"state": window}


EXPIRY = "dynamodb.amazonaws.com"
"""The record's `userIdentity.principalId` if DynamoDB removed an expired item."""


def _expired(record: dict[str, Any]) -> str | None:
    """The id of an expired execution whose user data is a separate item, which does not expire with it; otherwise
    None."""
    change = record["dynamodb"]
    if record["eventName"] != "REMOVE" or record.get("userIdentity", {}).get("principalId") != EXPIRY:
        return None
    is_apart = change["Keys"]["sk"]["S"] == "X" and "ux" in change.get("OldImage", {})
    return change["Keys"]["pk"]["S"].removeprefix("X#") if is_apart else None


def _collect(window: dict[str, Any], record: dict[str, Any]) -> None:
    """Add an execution's finished attempts to the window's sums if the record changed its history."""
    change = record["dynamodb"]
    old, new = change.get("OldImage"), change.get("NewImage")
    if new is None or new["sk"]["S"] != "X" or (old is not None and old["ch"] == new["ch"] and "z1" not in new):
        return
    try:
        before = None if old is None else decode(from_item(old))
        after = decode(from_item(new))
        count_attempts.collect(window, before, after, _number(change))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        telemetry.not_counted()
        logger.exception("a record that cannot be counted", extra={"sequence_number": change["SequenceNumber"]})


def _number(change: dict[str, Any]) -> str:
    return str(change["SequenceNumber"]).zfill(40)


def _moved(record: dict[str, Any]) -> StatusMove | None:
    """A batch contact's change of status. None if the record is not a contact's, if the status did not change, or if
    the contact was removed: then its batch is being deleted, or its call stays counted."""
    change = record["dynamodb"]
    contact = change.get("NewImage")
    if contact is None or "ba" not in contact:
        return None
    try:
        batch_id, after = contact["ba"]["S"], _status(contact)
        before = _status(change["OldImage"]) if "OldImage" in change else None
    except (ArithmeticError, LookupError, TypeError, ValueError, StopIteration):
        # Raising would make Lambda retry it forever and block its shard.
        telemetry.not_counted()
        logger.exception("a record that cannot be counted", extra={"sequence_number": change["SequenceNumber"]})
        return None
    return None if before is after else StatusMove(batch_id, before, after, _number(change))


def _status(image: dict[str, Any]) -> Status:
    """The status. It alone is decoded, since this runs for every change."""
    return status_of({"ch": image["ch"]["S"]})
