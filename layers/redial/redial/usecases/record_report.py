"""Records a carrier's report on a call, from a callback or an answer to the sweeper, as the next status."""

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
    """Have the number suppressed if, according to the carrier, the called party wants no more calls. Call this before
    the outcome is recorded: if it fails, the carrier or the sweeper repeats the report."""
    if outcome is not None and outcome.opted_out:
        services.invoker.suppress(execution_id, OptOut(CARRIER, outcome.reason))


def record_report(
    services: Services, execution_id: str, attempt: int, report: CallReport, now: datetime, lease_id: str
) -> Updated | None:
    """Apply `report` to that attempt. Late, repeated and foreign reports change nothing.

    A lost attempt is reopened while its retry is not claimed; the retry's timer and entries are then removed. The
    attempt's line went to another call. It acquires one again if one is free; otherwise its agent or key has one more
    live call than lines until it ends.

    `lease_id`: a new id for the delivery lease. Returns None if there is no such execution.
    """

    suppress_if_opted_out(services, execution_id, report.outcome)

    def transition(execution: Execution) -> Execution:
        if attempt < execution.state.attempt.number:  # if its retry ended with the batch, it is not reopened
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
