"""Lists undelivered events, given up or in back-off, and sends them now."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from redial.domain.agent import Agent
from redial.domain.batch import Batch, is_batch_id
from redial.domain.delivery import DeliveryAttempt
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.ports import Services
from redial.usecases.batches import update_own_batch
from redial.usecases.update import Subject, update

MOST_SENT_NOW = 100
"""Maximum calls of an agent whose waiting events are sent at once to a new webhook URL; the others keep their times."""
MOST_LOOKED_AT = 1000
"""Maximum calls of the account with undelivered events that are read for that."""


@dataclass(frozen=True)
class UndeliveredEvents:
    """The undelivered events of an execution or a batch: sequences of those that were given up or wait. `waiting`: the
    one that waits for its next try, if any. `tried`: the last try of each, as far as it is known."""

    subject: Execution | Batch
    sequences: tuple[int, ...]
    waiting: int | None
    tried: tuple[DeliveryAttempt, ...]


def list_undelivered(services: Services, account_id: str, most: int) -> list[UndeliveredEvents]:
    """The account's executions and batches with undelivered events, at most `most`."""
    found: list[UndeliveredEvents] = []
    for subject_id in services.undelivered.all(account_id):
        subject: Execution | Batch | None
        subject = services.batches.get(subject_id) if is_batch_id(subject_id) else services.executions.get(subject_id)
        if subject is None or not subject.delivery.is_listed:
            continue  # replayed, delivered or deleted since: the index may lag
        waiting = subject.pending()[0] if subject.delivery.next_try_at is not None else None
        sequences = {*subject.delivery.undelivered, *([] if waiting is None else [waiting])}
        tried = tuple(entry for entry in subject.delivery.log if entry.sequence in sequences)
        found.append(UndeliveredEvents(subject, tuple(sorted(sequences)), waiting, tried))
        if len(found) == most:
            break
    return found


def replay_webhooks(services: Services, execution_id: str, *, account_id: str, now: datetime) -> tuple[int, ...]:
    """Send the execution's undelivered and waiting events now, ahead of new ones. Returns their sequences. Raises
    `NotFound`."""

    def transition(execution: Execution) -> Execution:
        if execution.account_id != account_id:
            raise NotFound(f"there is no execution {execution_id}")
        return _replayed(execution)

    updated = update(services, execution_id, transition, now)
    if updated is None:
        raise NotFound(f"there is no execution {execution_id}")
    return _sent_by_replay(updated.before)


def replay_batch_webhooks(services: Services, batch_id: str, *, account_id: str, now: datetime) -> tuple[int, ...]:
    """Send the batch's undelivered and waiting events now, ahead of new ones. Returns their sequences. Raises
    `NotFound`."""
    before, _ = update_own_batch(services, batch_id, _replayed, account_id, now)
    return _sent_by_replay(before)


def send_waiting_now(services: Services, agent: Agent, now: datetime) -> None:
    """After a change of the agent's webhook URL, send the events that wait for their next try, of at most
    `MOST_SENT_NOW` calls. Events that were given up are not sent."""

    def transition(execution: Execution) -> Execution:
        delivery = execution.delivery
        if delivery.next_try_at is None:
            return execution
        return replace(execution, delivery=replace(delivery, tries=0, next_try_at=None))

    waiting = (
        execution
        for execution in _listed_executions(services, agent.account_id)
        if execution.agent_id == agent.agent_id and execution.delivery.next_try_at is not None
    )
    for execution in islice(waiting, MOST_SENT_NOW):
        update(services, execution.id, transition, now, snapshot=execution)


def _listed_executions(services: Services, account_id: str) -> Iterator[Execution]:
    ids = (one for one in services.undelivered.all(account_id) if not is_batch_id(one))
    looked_at = islice(ids, MOST_LOOKED_AT)
    while some := list(islice(looked_at, MOST_SENT_NOW)):
        yield from services.executions.read(some)


def _replayed(subject: Subject) -> Subject:
    return replace(subject, delivery=subject.delivery.replay()) if subject.delivery.is_listed else subject


def _sent_by_replay(before: Execution | Batch) -> tuple[int, ...]:
    delivery = before.delivery
    waiting = before.pending() if delivery.next_try_at is not None else ()
    return tuple(sorted({*delivery.undelivered, *waiting}))
