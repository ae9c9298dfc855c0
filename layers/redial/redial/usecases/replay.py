"""Undelivered events: list them, and send them again."""

from dataclasses import dataclass, replace
from datetime import datetime

from redial.domain.batch import Batch, is_batch_id
from redial.domain.delivery import DeliveryAttempt
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.ports import Services
from redial.usecases.batches import update_own_batch
from redial.usecases.update import update


@dataclass(frozen=True)
class UndeliveredEvents:
    """An execution's or a batch's given-up events: what is known of the last try of each."""

    subject: Execution | Batch
    tried: tuple[DeliveryAttempt, ...]


def list_undelivered(services: Services, account_id: str, most: int) -> list[UndeliveredEvents]:
    """The account's executions and batches that have undelivered events, at most `most` of them."""
    found: list[UndeliveredEvents] = []
    for subject_id in services.undelivered.all(account_id):
        subject: Execution | Batch | None
        subject = services.batches.get(subject_id) if is_batch_id(subject_id) else services.executions.get(subject_id)
        if subject is None or not subject.delivery.undelivered:
            continue  # replayed or deleted since: the index lags by a moment
        given_up = subject.delivery.undelivered
        tried = tuple(entry for entry in subject.delivery.log if entry.sequence in given_up)
        found.append(UndeliveredEvents(subject, tried))
        if len(found) == most:
            break
    return found


def replay_webhooks(services: Services, execution_id: str, *, account_id: str, now: datetime) -> tuple[int, ...]:
    """Re-queue the execution's undelivered events, ahead of new ones; their sequences. Raises `NotFound`."""

    def transition(execution: Execution) -> Execution:
        if execution.account_id != account_id:
            raise NotFound(f"there is no execution {execution_id}")
        if not execution.delivery.undelivered:
            return execution
        return replace(execution, delivery=execution.delivery.replay())

    updated = update(services, execution_id, transition, now)
    if updated is None:
        raise NotFound(f"there is no execution {execution_id}")
    return updated.before.delivery.undelivered


def replay_batch_webhooks(services: Services, batch_id: str, *, account_id: str, now: datetime) -> tuple[int, ...]:
    """The same for a batch's own events. Raises `NotFound`."""

    def transition(batch: Batch) -> Batch:
        return replace(batch, delivery=batch.delivery.replay()) if batch.delivery.undelivered else batch

    before, _ = update_own_batch(services, batch_id, transition, account_id, now)
    return before.delivery.undelivered
