"""What the carrier says of a call, by callback or when the sweeper asks, becomes the execution's next status."""

from datetime import datetime

from redial.domain.execution import Execution
from redial.domain.outcome import CallReport
from redial.ports import Agents, Batches, Executions, Invoker, Lines, Timers
from redial.usecases.change import apply_effects, change
from redial.usecases.lines import acquire, queued_call
from redial.usecases.stop import leave_waiting, unless_called_off


def record_report(
    execution_id: str,
    attempt: int,
    report: CallReport,
    *,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
    lease_id: str,
) -> tuple[Execution, Execution] | None:
    """Apply `report` to that attempt; late, repeated and foreign reports change nothing.

    An attempt that was given up as lost is reopened while its retry is not claimed; the retry then leaves the places
    where it waited. Its line went to another call: it takes one again if one is free, else the agent has a live call
    more than lines until it ends.

    `lease_id` is a fresh name under which deliver is invoked for the events. Returns the execution before and after
    (the same object where nothing changed); None: there is no such execution.
    """

    def apply(execution: Execution) -> Execution:
        after = unless_called_off(execution, execution.reported(attempt, report, now), agents, batches)
        return execution if after is execution else after.lease_delivery(lease_id, now)

    changed = change(executions, execution_id, now, apply)
    if changed is None:
        return None
    before, after = changed
    if after is before:
        return changed
    reopened = before.state.is_waiting
    if reopened:
        leave_waiting(before, lines, timers)
    apply_effects(before, after, agents=agents, lines=lines, timers=timers, invoker=invoker, now=now, lease_id=lease_id)
    if reopened and after.state.is_live:
        agent, line = agents.cached(after.account_id, after.agent_id), after.state.attempt.line
        if agent is not None and line is not None:
            acquire(agent, line, queued_call(after), lines, now)
    return changed
