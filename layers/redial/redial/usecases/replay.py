"""Events that were given up: which, and sending them again."""

from dataclasses import dataclass, replace
from datetime import datetime

from redial.domain.batch import Batch, is_batch_id
from redial.domain.delivery import DeliveryAttempt
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.ports import Batches, Executions, Invoker, Undelivered
from redial.usecases.batches import change_batch
from redial.usecases.change import change


@dataclass(frozen=True)
class UndeliveredEvents:
    """An execution's or a batch's given-up events: what is known of the last try of each."""

    subject: Execution | Batch
    tried: tuple[DeliveryAttempt, ...]


def list_undelivered(
    account_id: str, *, executions: Executions, batches: Batches, undelivered: Undelivered, most: int
) -> list[UndeliveredEvents]:
    """The account's executions and batches that have given-up events, at most `most` of them."""
    found: list[UndeliveredEvents] = []
    for subject_id in undelivered.all(account_id):
        subject: Execution | Batch | None
        subject = batches.get(subject_id) if is_batch_id(subject_id) else executions.get(subject_id)
        if subject is None or not subject.delivery.undelivered:
            continue  # replayed or deleted since: the index lags by a moment
        given_up = subject.delivery.undelivered
        tried = tuple(entry for entry in subject.delivery.log if entry.sequence in given_up)
        found.append(UndeliveredEvents(subject, tried))
        if len(found) == most:
            break
    return found


def replay_webhooks(
    execution_id: str, *, account_id: str, executions: Executions, invoker: Invoker, now: datetime
) -> tuple[int, ...]:
    """Put the execution's given-up events in line again, before all others; their sequences, none if there were none.

    Raises `NotFound`.
    """

    def apply(execution: Execution) -> Execution:
        if execution.account_id != account_id or not execution.delivery.undelivered:
            return execution
        return replace(execution, delivery=execution.delivery.replay()).lease_delivery(
            f"replay-{execution.version}", now
        )

    changed = change(executions, execution_id, now, apply)
    if changed is None or changed[0].account_id != account_id:
        raise NotFound(f"there is no execution {execution_id}")
    before, after = changed
    if after.delivery.lease_id == (lease_id := f"replay-{before.version}"):
        invoker.deliver(execution_id, lease_id)
    return before.delivery.undelivered if after is not before else ()


def replay_batch_webhooks(
    batch_id: str, *, account_id: str, batches: Batches, invoker: Invoker, now: datetime
) -> tuple[int, ...]:
    """The same for a batch's own events. Raises `NotFound`."""

    def apply(batch: Batch) -> Batch:
        if not batch.delivery.undelivered:
            return batch
        return replace(batch, delivery=batch.delivery.replay()).lease_delivery(f"replay-{batch.version}", now)

    before, after = change_batch(batch_id, apply, account_id, batches, invoker, now)
    if after.delivery.lease_id == (lease_id := f"replay-{before.version}"):
        invoker.deliver(batch_id, lease_id)
    return before.delivery.undelivered if after is not before else ()
