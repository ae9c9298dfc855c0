"""Erase finished calls, for good.

A single call is removed; before, the counts of its agent's listing that include it are. A contact of a batch is
replaced by its row and last status, so that the batch's counts, lists and results stay whole, and the batch worker
erases its row in the batch's files.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from redial.domain.batch import Batch
from redial.domain.errors import Conflict, NotFound
from redial.domain.execution import Execution
from redial.ports import Services, StaleVersion
from redial.usecases.update import MOST_TRIES, save, update_batch

COUNTING_PAUSE = timedelta(minutes=1)
"""How long no worker counts the agent's calls: longer than a request takes."""


def erase_execution(services: Services, execution_id: str, *, account_id: str, now: datetime) -> None:
    """Erase a call that is over, with its user data and undelivered events. Raises `NotFound`, also for one that was
    erased, and `Conflict` while it is open."""
    for _ in range(MOST_TRIES):
        execution = services.executions.get(execution_id)
        if execution is None or execution.account_id != account_id:
            raise NotFound(f"there is no execution {execution_id}")
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
    """Erase a finished call as it was read. Raises `StaleVersion` if it has changed since."""
    if execution.batch_id is None:
        services.listings.forget_counts(execution, now + COUNTING_PAUSE)
        services.executions.remove(execution)
        return
    _erase_row(services, execution.batch_id, execution.row or 0, now)
    save(services.executions, execution.erase(), now)


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
