"""Stop waiting calls; refused once the carrier has been asked.

A stop of an agent or a batch first stores its mark, and then reads the holders of lines. Dial acquires its line first,
and then reads the mark. So of a dial and a stop one always sees the other, and no dial starts after a stop was
answered. A live call is heard to its end; if it fails, it ends as `stopped` and no retry is announced.
"""

from dataclasses import replace
from datetime import datetime

from redial.domain.agent import Agent
from redial.domain.decision import stopped
from redial.domain.errors import InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.domain.gates import from_number, stop_reason
from redial.domain.outcome import BLOCKED
from redial.domain.status import Status
from redial.ports import Services, StaleVersion
from redial.usecases.dispatch import shards_in_use
from redial.usecases.update import MOST_TRIES, Updated, update

_REQUESTED = "stopped by request"


class _NotWaiting(Exception):
    """The call is being dialled, live or over."""


def stop_execution(services: Services, execution_id: str, *, account_id: str, now: datetime) -> Execution:
    """Stop one waiting call for good; once this returns, no dial of it starts.

    Raises `NotFound`, or `InvalidInput` once the call is being dialled, is live, or is over (stopped already, say).
    """
    execution = services.executions.get(execution_id)
    if execution is None or execution.account_id != account_id:
        raise NotFound(f"there is no execution {execution_id}")
    try:
        stopped = _stop(services, execution_id, _REQUESTED, now)
    except _NotWaiting as error:
        current = services.executions.get(execution_id) or execution
        word = "being dialled" if current.state.is_dialling else str(current.state.status)
        raise InvalidInput(f"only a call that waits can be stopped; this one is {word}") from error
    if stopped is None:
        raise NotFound(f"there is no execution {execution_id}")
    return stopped.after


def mark_stopped(services: Services, agent_id: str, *, account_id: str, now: datetime) -> Agent:
    """Mark the agent: no call asked for up to `now` is dialled from then on. Returns it. Raises `NotFound`."""
    for _ in range(MOST_TRIES):
        agent = services.agents.get(account_id, agent_id)
        if agent is None or agent.deleted_at is not None:
            raise NotFound(f"there is no agent {agent_id}")
        try:
            return services.agents.save(replace(agent, stopped_before=now))
        except StaleVersion:
            continue
    raise StaleVersion(agent_id)


def unless_stopped(services: Services, before: Execution, after: Execution) -> Execution:
    """`after`, which is not saved yet; without the retry that it announces, where that may not be dialled, or where the
    network blocked the only caller id."""
    if after is before or after.changes[-1].kind is not Status.SCHEDULED:
        return after
    agent = services.agents.get(after.account_id, after.agent_id)
    batch = None if after.batch_id is None else services.batches.get(after.batch_id)
    reason = stop_reason(after, agent, batch)
    if reason is not None:
        return after.without_retry(reason)
    is_blocked = after.state.attempts[-2].code == BLOCKED
    if is_blocked and agent is not None and from_number(after, agent, batch) is None:
        return after.give_up("the network blocked the call as unwanted, and there is no other caller id")
    return after


def waiting_line_holders(services: Services, agent: Agent) -> list[Execution]:
    """Calls that hold a line of the agent and are not claimed yet; `agent` as it was read after the mark."""
    held = [one for shard in shards_in_use(agent) for one in services.lines.holders(agent.agent_id, shard)]
    return [one for one in services.executions.read(held) if one.state.is_waiting]


def stop_calls(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop every waiting single call of the agent, which is marked; their ids. Live calls finish."""
    stopped = stop_line_holders(services, agent, now)
    for execution_id in services.executions.open_of_agent(agent.agent_id):
        if stop_waiting(services, execution_id, "agent stopped", now):
            stopped.append(execution_id)
    return stopped


def stop_line_holders(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop the agent's calls that hold a line and are not claimed yet; ids of the single ones. The agent is marked.

    The listing may not show them yet.
    """
    stopped = []
    for execution in waiting_line_holders(services, agent):
        batch = None if execution.batch_id is None else services.batches.get(execution.batch_id)
        reason = stop_reason(execution, agent, batch)
        if reason is not None and stop_waiting(services, execution.id, reason, now):
            stopped += [execution.id] if execution.batch_id is None else []
    return stopped


def stop_waiting(
    services: Services, execution_id: str, reason: str, now: datetime, snapshot: Execution | None = None
) -> bool:
    """Stop a call if it waits; False: it is being dialled, live, over or gone. `snapshot`: as just read."""
    try:
        return _stop(services, execution_id, reason, now, snapshot) is not None
    except _NotWaiting:
        return False


def _stop(
    services: Services, execution_id: str, reason: str, now: datetime, snapshot: Execution | None = None
) -> Updated | None:
    """Raises `_NotWaiting`; None when there is no such execution."""

    def transition(execution: Execution) -> Execution:
        if not execution.state.is_waiting:
            raise _NotWaiting
        return execution.end(now, stopped(reason))

    return update(services, execution_id, transition, now, snapshot=snapshot, withdraw=True)
