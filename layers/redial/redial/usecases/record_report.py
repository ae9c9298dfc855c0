"""A carrier's report on a call, from a callback or an answer to the sweeper's question, becomes the next status."""

from datetime import datetime

from redial.domain.execution import Execution
from redial.domain.outcome import CallReport
from redial.ports import Services
from redial.usecases.dispatch import acquire, queued_call
from redial.usecases.stop import batch_that_ended, unless_stopped
from redial.usecases.update import Updated, update


def record_report(
    services: Services, execution_id: str, attempt: int, report: CallReport, now: datetime, lease_id: str
) -> Updated | None:
    """Apply `report` to that attempt; late, repeated and foreign reports change nothing.

    An attempt that was given up as lost is reopened while its retry is not claimed; what the retry waited with is then
    removed. Its line went to another call: it takes one again if one is free, else the agent has one live call more
    than lines until it ends.

    `lease_id`: a fresh name for the delivery lease. None: there is no such execution.
    """

    def transition(execution: Execution) -> Execution:
        if attempt < execution.state.attempt.number:  # where its retry ended with the batch, it is not reopened
            batch = batch_that_ended(services, execution)
            execution = execution if batch is None else batch.end_contact(execution)
        return unless_stopped(services, execution, execution.reported(attempt, report, now))

    updated = update(services, execution_id, transition, now, lease_id=lease_id, withdraw=True)
    if updated is not None and updated.before.state.is_waiting and updated.after.state.is_live:
        after = updated.after
        agent, shard = services.agents.cached(after.account_id, after.agent_id), after.state.attempt.line_shard
        if agent is not None and shard is not None and after.state.needs_line:
            acquire(services, agent, shard, queued_call(after), now)
    return updated
