"""Changing an execution: one conditional write, and then everything that follows from it.

The write holds the new status, its events and the next time. Only then the schedule is made, the line handed on and
delivery started. Whatever is lost after the write the sweeper finds by `due_at` and does again; all is safe to repeat.
"""

from collections.abc import Callable
from datetime import datetime

from redial.domain.execution import Execution
from redial.ports import Agents, Executions, Invoker, Lines, StaleVersion, Timers
from redial.usecases.lines import release_line

_MOST_TRIES = 20
"""Writers of one execution are few (callbacks, dial, deliver, a stop); more losses in a row than this is a defect."""


def change(
    executions: Executions,
    execution_id: str,
    now: datetime,
    apply: Callable[[Execution], Execution],
    known: Execution | None = None,
) -> tuple[Execution, Execution] | None:
    """Apply a pure change to the execution as stored, again from a fresh read whenever another writer was quicker.

    `known` is the execution as this caller last read or wrote it: the first try then needs no read. Else the first read
    may lag: what is written is written over just that version, and where nothing would change it is read again.

    Returns it before and after (the same object when nothing changed and nothing was written); None when there is no
    such execution. Whatever `apply` raises comes out. Raises `StaleVersion` when it never won.
    """
    consistent = known is not None
    for _ in range(_MOST_TRIES):
        before = known or executions.get(execution_id, consistent=consistent)
        after = None if before is None else apply(before)
        if not consistent and after is before:
            consistent = True
            continue
        if before is None or after is None:
            return None
        known, consistent = None, True
        if after is before:
            return before, before
        try:
            return before, executions.save(after.with_due(now))
        except StaleVersion:
            continue
    raise StaleVersion(execution_id)


def apply_effects(
    before: Execution,
    after: Execution,
    *,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
    lease_id: str | None = None,
) -> None:
    """What a saved change asks for: its timer, its line handed on, its events delivered.

    `lease_id` is the delivery lease that the change was saved with, where this caller wants deliver invoked for it.
    """
    if after.state.timer is not None and after.state.timer != before.state.timer and not after.state.is_delayed:
        number, at = after.state.timer
        timers.schedule_dial(after.id, after.state.attempt.number, number, at, now)
    ended, goes_on = before.state.attempt, after.state.attempt
    keeps_line = not after.state.is_final and goes_on.number == ended.number and goes_on.line is not None
    if ended.line is not None and not keeps_line:
        agent = agents.cached(after.account_id, after.agent_id)
        if agent is not None and not release_line(agent, ended.line, after.id, ended.number, lines, invoker, now):
            agent = agents.get(after.account_id, after.agent_id)  # it may have been given more lines since
            if agent is not None:
                release_line(agent, ended.line, after.id, ended.number, lines, invoker, now)
    if lease_id is not None and after.delivery.lease_id == lease_id:
        invoker.deliver(after.id, lease_id, after)
