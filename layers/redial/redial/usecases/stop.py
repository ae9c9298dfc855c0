"""Stopping calls that wait: it works until the phone rings, and from then on it says so.

A stop of an agent or a batch first stores its mark, and then looks at who holds a line. Dial takes its line first, and
then reads the mark. So of a dial and a stop one always sees the other, and no dial starts after a stop was answered.
A live call is heard to its end; if it fails, it ends as `stopped` and no retry is announced.
"""

from dataclasses import replace
from datetime import datetime

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.errors import InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.ports import Agents, Batches, Executions, Invoker, Lines, QueuedCall, StaleVersion, Timers
from redial.usecases.change import apply_effects, change
from redial.usecases.lines import queued_call, shards_in_use

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
    invoker: Invoker,
    now: datetime,
) -> Execution:
    """Stop one waiting call for good; once this returns, no dial of it starts.

    Raises `NotFound`, or `InvalidInput` once the call is being dialled, is live, or is over (stopped already, say).
    """
    execution = executions.get(execution_id)
    if execution is None or execution.account_id != account_id:
        raise NotFound(f"there is no execution {execution_id}")
    try:
        stopped = _stop(execution_id, _REQUESTED, executions, agents, lines, timers, invoker, now)
    except _NotWaiting as error:
        current = executions.get(execution_id) or execution
        word = "being dialled" if current.state.is_dialling else str(current.state.status)
        raise InvalidInput(f"only a call that waits can be stopped; this one is {word}") from error
    if stopped is None:
        raise NotFound(f"there is no execution {execution_id}")
    return stopped


def mark_stopped(agent_id: str, *, account_id: str, agents: Agents, now: datetime) -> Agent:
    """From now on no call that was asked for up to `now` is dialled; the agent as it then is. Raises `NotFound`."""
    while True:
        agent = agents.get(account_id, agent_id)
        if agent is None or agent.deleted_at is not None:
            raise NotFound(f"there is no agent {agent_id}")
        try:
            return agents.save(replace(agent, stopped_before=now))
        except StaleVersion:
            continue


def called_off(execution: Execution, agent: Agent | None, batch: Batch | None) -> str | None:
    """Why no attempt of the execution may be dialled, as its agent and its batch are now; None: it may.

    An agent's stop covers what was asked for before it. A contact was asked for when its batch was last asked to start,
    however long ago the batch was uploaded.
    """
    if agent is None or agent.deleted_at is not None:
        return "agent deleted"
    asked_at = execution.created_at
    if execution.batch_id is not None:
        if batch is None or batch.deleted_at is not None:
            return "batch deleted"
        if not batch.may_dial:
            return "batch stopped"
        asked_at = batch.start_asked_at
    return "agent stopped" if is_stopped(agent, asked_at) else None


def is_stopped(agent: Agent, asked_at: datetime) -> bool:
    """Whether the agent was stopped after this was asked for."""
    return agent.stopped_before is not None and asked_at <= agent.stopped_before


def unless_called_off(before: Execution, after: Execution, agents: Agents, batches: Batches) -> Execution:
    """`after`, which is not stored yet; without the retry that it announces, where that may not be dialled."""
    if after is before or after.changes[-1].kind is not Status.SCHEDULED:
        return after
    agent = agents.get(after.account_id, after.agent_id)
    batch = None if after.batch_id is None else batches.get(after.batch_id)
    reason = called_off(after, agent, batch)
    return after if reason is None else after.without_retry(reason)


def waiting_line_holders(agent: Agent, executions: Executions, lines: Lines) -> list[Execution]:
    """Calls that wait and hold a line of the agent; `agent` as it was read after the mark."""
    held = [one for shard in shards_in_use(agent) for one in lines.holders(agent.agent_id, shard)]
    return [one for one in executions.read(held) if one.state.is_waiting]


def stop_calls(
    agent: Agent,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> list[str]:
    """Stop every waiting single call of the agent, which is marked; their ids. Live calls finish."""
    stopped = stop_line_holders(agent, executions, agents, batches, lines, timers, invoker, now)
    for execution_id in executions.open_of_agent(agent.agent_id):
        if stop_waiting(execution_id, "agent stopped", executions, agents, lines, timers, invoker, now):
            stopped.append(execution_id)
    return stopped


def stop_line_holders(
    agent: Agent,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> list[str]:
    """Stop the calls that are about to be dialled for the agent, which is marked; ids of the single ones.

    The listing may not show them yet.
    """
    stopped = []
    for execution in waiting_line_holders(agent, executions, lines):
        batch = None if execution.batch_id is None else batches.get(execution.batch_id)
        reason = called_off(execution, agent, batch)
        if reason is not None and stop_waiting(execution.id, reason, executions, agents, lines, timers, invoker, now):
            stopped += [execution.id] if execution.batch_id is None else []
    return stopped


def stop_waiting(
    execution_id: str,
    reason: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
    known: Execution | None = None,
) -> bool:
    """Stop a call if it waits; False: it is being dialled, live, over or gone. `known`: as this caller has just read
    it."""
    try:
        return _stop(execution_id, reason, executions, agents, lines, timers, invoker, now, known) is not None
    except _NotWaiting:
        return False


def _stop(
    execution_id: str,
    reason: str,
    executions: Executions,
    agents: Agents,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
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
    leave_waiting(before, lines, timers)
    apply_effects(
        before,
        after,
        agents=agents,
        lines=lines,
        timers=timers,
        invoker=invoker,
        now=now,
        lease_id=f"stop-{before.version}",
    )
    return after


def leave_waiting(execution: Execution, lines: Lines, timers: Timers) -> None:
    """Remove what a call that waited leaves in its batch's room, the scheduler or the queue."""
    state = execution.state
    if state.is_delayed and execution.batch_id is not None and state.next_time is not None:
        number = state.attempt.number
        lines.remove_delayed(execution.batch_id, QueuedCall(execution.id, number, number > 1, state.next_time))
    elif state.timer is not None:
        timers.cancel_dial(execution.id, state.timer[0])
    if state.queued_at is not None and not execution.is_not_started and not state.is_delayed:
        lines.dequeue(
            execution.agent_id, queued_call(execution)
        )  # dial returns a line that it was given in this moment
