"""What the carrier says of a call, by callback or when the sweeper asks, becomes the execution's next status."""

from datetime import datetime

from redial.domain.execution import Execution
from redial.domain.outcome import CallReport
from redial.ports import Agents, Executions, Functions, Lines, Timers
from redial.usecases.change import change, follow_up


def record_report(
    execution_id: str,
    attempt: int,
    report: CallReport,
    *,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
    lease: str,
) -> tuple[Execution, Execution] | None:
    """Apply `report` to that attempt; late, repeated and foreign reports change nothing.

    `lease` is a fresh name under which deliver is invoked for the events. Returns the execution before and after, the
    same object where nothing changed; None: there is no such execution.
    """
    changed = change(
        executions,
        execution_id,
        now,
        lambda execution: _with_lease(execution, execution.reported(attempt, report, now), lease, now),
    )
    if changed is None:
        return None
    before, after = changed
    if after is not before:
        follow_up(before, after, agents=agents, lines=lines, timers=timers, functions=functions, now=now, lease=lease)
    return changed


def _with_lease(before: Execution, after: Execution, lease: str, now: datetime) -> Execution:
    return before if after is before else after.lease_delivery(lease, now)
