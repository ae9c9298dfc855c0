"""A carrier's report on a call, from a callback or an answer to the sweeper's question, becomes the next status."""

from datetime import datetime

from redial.domain.execution import Execution
from redial.domain.number_rules import OptOut
from redial.domain.outcome import CallReport, Outcome
from redial.ports import Services
from redial.usecases import key_lines
from redial.usecases.dispatch import acquire, queued_call
from redial.usecases.stop import batch_that_ended, unless_stopped
from redial.usecases.update import Updated, update

CARRIER = "carrier"
"""The source of suppressions that a carrier reports."""


def suppress_if_opted_out(services: Services, execution_id: str, outcome: Outcome | None) -> None:
    """Have the number suppressed where the carrier says that the called party wants no more calls. Before the outcome
    is recorded: the carrier, or the sweeper, says it again if this fails."""
    if outcome is not None and outcome.opted_out:
        services.invoker.suppress(execution_id, OptOut(CARRIER, outcome.reason))


def record_report(
    services: Services, execution_id: str, attempt: int, report: CallReport, now: datetime, lease_id: str
) -> Updated | None:
    """Apply `report` to that attempt; late, repeated and foreign reports change nothing.

    An attempt that was given up as lost is reopened while its retry is not claimed; what the retry waited with is then
    removed. Its line went to another call: it takes one again if one is free, else the agent, or its key, has one live
    call more than lines until it ends.

    `lease_id`: a fresh name for the delivery lease. None: there is no such execution.
    """

    suppress_if_opted_out(services, execution_id, report.outcome)

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
            key_lines.has_line(services, after, now)
    return updated
