"""Stopping calls that wait: it works until the phone rings, and from then on it says so."""

from dataclasses import replace
from datetime import datetime

from redial.domain.errors import InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.ports import Agents, Executions, Functions, Lines, StaleVersion, Timers, Waiter
from redial.usecases.change import change, follow_up
from redial.usecases.lines import waiter

_REQUESTED = "stopped by request"


class _NotWaiting(Exception):
    """The call is being dialled, live or over."""


def stop_execution(
    execution_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
) -> Execution:
    """Stop one waiting call for good; once this returns, no dial of it starts.

    Raises `NotFound`, or `InvalidInput` once the call is being dialled, is live, or is over (stopped already, say).
    """
    execution = executions.get(execution_id)
    if execution is None or execution.account_id != account_id:
        raise NotFound(f"there is no execution {execution_id}")
    try:
        stopped = _stop(execution_id, _REQUESTED, executions, agents, lines, timers, functions, now)
    except _NotWaiting as error:
        current = executions.get(execution_id) or execution
        word = "being dialled" if current.state.is_dialling else str(current.state.status)
        raise InvalidInput(f"only a call that waits can be stopped; this one is {word}") from error
    if stopped is None:
        raise NotFound(f"there is no execution {execution_id}")
    return stopped


def stop_agent(
    agent_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
) -> list[str]:
    """Stop every waiting call of the agent and return their ids; calls made from now on are not affected.

    The agent itself is marked first: dial refuses every call created before the mark, so that none starts even while
    this is still working through a long list, or if it dies on the way. Raises `NotFound`.
    """
    mark_stopped(agent_id, account_id=account_id, agents=agents, now=now)
    return [
        execution_id
        for execution_id in executions.open_of_agent(agent_id)  # live calls finish
        if stop_waiting(execution_id, "agent stopped", executions, agents, lines, timers, functions, now)
    ]


def mark_stopped(agent_id: str, *, account_id: str, agents: Agents, now: datetime) -> None:
    """From now on no call of the agent that was created up to `now` is dialled. Raises `NotFound`."""
    while True:
        agent = agents.get(account_id, agent_id)
        if agent is None or agent.deleted_at is not None:
            raise NotFound(f"there is no agent {agent_id}")
        try:
            agents.save(replace(agent, stopped_before=now))
            return
        except StaleVersion:
            continue


def stop_waiting(
    execution_id: str,
    reason: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
    known: Execution | None = None,
) -> bool:
    """Stop a call if it waits; False: it is being dialled, live, over or gone. `known`: as this caller has just read
    it."""
    try:
        return _stop(execution_id, reason, executions, agents, lines, timers, functions, now, known) is not None
    except _NotWaiting:
        return False


def _stop(
    execution_id: str,
    reason: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
    known: Execution | None = None,
) -> Execution | None:
    """Raises `_NotWaiting`; None when there is no such execution."""

    def apply(execution: Execution) -> Execution:
        if not execution.state.is_waiting:
            raise _NotWaiting
        return execution.stop(now, reason).lease_delivery(f"stop-{execution.version}", now)

    changed = change(executions, execution_id, now, apply, known)
    if changed is None:
        return None
    before, after = changed
    state = before.state
    if state.in_room and before.batch_id is not None and state.next_time is not None:
        number = state.attempt.number
        lines.leave_room(before.batch_id, Waiter(execution_id, number, number > 1, state.next_time))
    elif state.timer is not None:
        timers.cancel_dial(execution_id, state.timer[0])
    if state.queued_at is not None and not before.is_untouched and not state.in_room:
        lines.dequeue(before.agent_id, waiter(before))  # dial hands back a line that it was given in this moment
    follow_up(
        before,
        after,
        agents=agents,
        lines=lines,
        timers=timers,
        functions=functions,
        now=now,
        lease=f"stop-{before.version}",
    )
    return after
