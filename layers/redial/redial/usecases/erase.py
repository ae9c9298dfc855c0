"""Erases finished calls for good.

A single call is removed, after the counts of its agent's listing that include it. A contact of a batch is replaced by
its row and last status, so that the batch's counts, lists and results stay complete, and the batch worker erases its
row in the batch's files. Suppressions of an erased person stay as hashes, so that they still apply. The times of the
calls of the last month stay too, since contact limits count them.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from redial.domain.batch import Batch
from redial.domain.errors import Conflict, NotFound
from redial.domain.execution import Execution
from redial.ports import Services, StaleVersion
from redial.usecases.number_rules import forget_person
from redial.usecases.one_call import keep_history
from redial.usecases.stop import stop_waiting, stop_with_batch
from redial.usecases.update import MOST_TRIES, save, update_batch

MOST_ERASED = 500
"""Maximum calls of a person that one request erases, in some ten seconds."""
COUNTING_PAUSE = timedelta(minutes=1)
"""How long counting the agent's calls is suspended: longer than a request takes."""


def erase_execution(services: Services, execution_id: str, *, account_id: str, now: datetime) -> None:
    """Erase a call that is over, with its user data and undelivered events. Raises `NotFound`, also for an erased call,
    and `Conflict` while it is open."""
    for _ in range(MOST_TRIES):
        execution = services.executions.get(execution_id)
        if execution is None or execution.account_id != account_id:
            raise NotFound(f"there is no execution {execution_id}")
        execution = stop_with_batch(services, execution, now)
        if not execution.state.is_final:
            waits = execution.state.is_waiting
            advice = f"stop it first, with POST /call/{execution_id}/stop" if waits else "wait until it is over"
            raise Conflict(f"the call is {execution.state.status}; {advice}")
        try:
            erase(services, execution, now)
            return
        except StaleVersion:
            continue  # one of its events was delivered meanwhile
    raise StaleVersion(execution_id)


def erase(services: Services, execution: Execution, now: datetime) -> None:
    """Erase a finished call. The times of its dials stay with the keyed hash of its number for as long as contact
    limits can need them. Raises `StaleVersion` if it has changed since it was read."""
    keep_history(services, execution, now)
    if execution.batch_id is None:
        services.listings.forget_counts(execution, now + COUNTING_PAUSE)
        services.executions.remove(execution)
        return
    _erase_row(services, execution.batch_id, execution.row or 0, now)
    save(services.executions, execution.erase(), now)


@dataclass(frozen=True)
class ErasedContact:
    """The result of erasing a person. `executions`: erased executions. `files`: batches whose files have rows to erase.
    `consents`: removed consents. `suppressions`: suppressions that stay as hashes. `times`: times of attempts that stay
    for contact limits. `complete`: there are no other executions."""

    executions: int
    files: int
    consents: int
    suppressions: int
    times: int
    complete: bool


def erase_contact(services: Services, number: str, *, account_id: str, now: datetime) -> ErasedContact:
    """Erase every call of the account to that number (E.164), at most `MOST_ERASED` at once. Idempotent.

    Waiting calls are stopped first. Raises `Conflict` while a call is being dialled or live; then nothing is erased.
    """
    found = _calls_to(services, number, account_id)
    for one in found:
        if one.state.is_waiting:
            stop_waiting(services, one.id, "contact erased", now, snapshot=one)
    found = _calls_to(services, number, account_id)
    open_ones = [one.id for one in found if not one.state.is_final]
    if open_ones:
        raise Conflict(
            f"{len(open_ones)} calls to this number are not over; ask again then: {', '.join(open_ones[:5])}"
        )
    files: set[str] = set()
    for one in found[:MOST_ERASED]:
        try:
            erase_execution(services, one.id, account_id=account_id, now=now)
        except NotFound:
            continue  # erased by another request, or expired
        files |= {one.batch_id} if one.batch_id is not None else set()
    consents, suppressions = forget_person(services, number, account_id=account_id)
    times = len(services.numbers.get(account_id, number).history.attempts)
    return ErasedContact(len(found[:MOST_ERASED]), len(files), consents, suppressions, times, len(found) <= MOST_ERASED)


def _calls_to(services: Services, number: str, account_id: str) -> list[Execution]:
    ids = list(services.listings.called(account_id, number))
    return [one for one in services.executions.read(ids) if (one.account_id, one.user_number) == (account_id, number)]


def _erase_row(services: Services, batch_id: str, row: int, now: datetime) -> None:
    """Have the row erased in the batch's files."""

    def transition(batch: Batch) -> Batch:
        if row in batch.erase_rows or batch.deleted_at is not None:
            return batch
        return replace(batch, erase_rows=(*batch.erase_rows, row))

    try:
        update_batch(services, batch_id, transition, now)
    except NotFound:
        return  # the batch was removed with its files
    services.invoker.batch(batch_id)
