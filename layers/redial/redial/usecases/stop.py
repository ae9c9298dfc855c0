"""Stop calls: waiting ones at once, those that the carrier has queued or is ringing by canceling them there.

A stop of an agent or a batch first stores its mark, and then reads the holders of lines. Dial acquires its line first,
and then reads the mark. So of a dial and a stop one always sees the other, and no dial starts after a stop was
answered. An answered call is heard to its end; if it fails, it ends as `stopped` and no retry is announced.

A call is canceled in three steps: that it is being stopped is stored with it, the carrier is asked to end it, and what
the carrier says is stored. From the first step on `canceled` counts as `stopped`, and no retry follows. So it makes no
difference who reports the end first, this or a callback, and after a crash a callback or the sweeper finishes the stop.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.decision import Decision, stopped
from redial.domain.errors import InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.domain.gates import from_number, stop_reason
from redial.domain.outcome import BLOCKED, CallReport
from redial.domain.status import Status
from redial.ports import CarrierUnavailable, NotYetKnown, Services, StaleVersion
from redial.usecases.dispatch import shards_in_use
from redial.usecases.update import Updated, update, update_agent

CONFIRMED_AFTER_SECONDS = 0.5
"""How long after a request to cancel that has not taken effect yet the carrier is asked again, once."""
CANCELING_SECONDS = 10.0
"""How long one request to stop an agent goes on canceling calls; the sweeper cancels those that are left."""

_REQUESTED = "stopped by request"

_log = logging.getLogger(__name__)


class _NotWaiting(Exception):
    """The call is being dialled, live or over."""


class _Answered(Exception):
    """The call was answered, or is over."""


def stop_execution(services: Services, execution_id: str, *, account_id: str, now: datetime) -> Execution:
    """Stop one call for good; once this returns, no dial of it starts, and none of its calls is answered.

    Raises `NotFound`, or `InvalidInput` where the call is being handed to the carrier, was answered, or is over
    (stopped already, say), and where the carrier does not confirm that its call is over.
    """
    execution = services.executions.get(execution_id)
    if execution is None or execution.account_id != account_id:
        raise NotFound(f"there is no execution {execution_id}")
    stop_with_batch(services, execution, now)
    try:
        ended = _end(services, execution_id, stopped(_REQUESTED), now)
    except _NotWaiting:
        return _stop_dialled(services, execution_id, now)
    if ended is None:
        raise NotFound(f"there is no execution {execution_id}")
    return ended.after


def _stop_dialled(services: Services, execution_id: str, now: datetime) -> Execution:
    """`stop_execution` for a call that does not wait any more."""
    execution = services.executions.get(execution_id, consistent=True)
    if execution is not None and execution.state.is_unanswered:
        try:
            execution = cancel(services, execution, _REQUESTED, now)
        except CarrierUnavailable as error:
            raise InvalidInput(
                f"the carrier has not confirmed that the call is over, so it may still be answered: {error}. Redial"
                " asks the carrier again within minutes, and the call is not retried: read it then, or stop it again"
            ) from error
        if execution is not None and execution.state.status is Status.STOPPED:
            return execution
    if execution is None:
        raise NotFound(f"there is no execution {execution_id}")
    state = execution.state
    if state.is_dialling:
        raise InvalidInput("the call is being handed to the carrier: try again in a few seconds")
    if state.status is Status.IN_PROGRESS:
        raise InvalidInput("only a call that is not answered yet can be stopped; this one is in-progress")
    raise InvalidInput(f"only a call that is not answered yet can be stopped; this one is over: {state.status}")


def cancel(
    services: Services, execution: Execution, reason: str, now: datetime, status: Status = Status.STOPPED
) -> Execution | None:
    """Cancel an unanswered call at its carrier: the execution after that, with `status` if the carrier confirmed. None:
    there is no such execution. Raises `CarrierUnavailable`, and `StaleVersion`."""
    number, report = execution.state.attempt.number, ask_to_cancel(services, execution, reason, now, status)
    if report is None:
        return services.executions.get(execution.id, consistent=True)
    later = services.now()
    updated = update(services, execution.id, lambda current: current.reported(number, report, later), later)
    return None if updated is None else updated.after


def ask_to_cancel(
    services: Services, execution: Execution, reason: str, now: datetime, status: Status = Status.STOPPED
) -> CallReport | None:
    """Store that the call is being stopped, and have its carrier cancel it: what became of it, to be stored. None: it
    has been answered, or is over. Raises `CarrierUnavailable`, and `StaleVersion`."""
    number = execution.state.attempt.number

    def transition(current: Execution) -> Execution:
        if current.state.attempt.number != number or not current.state.is_unanswered:
            raise _Answered
        return current.stop_call(now, reason, status)

    try:
        stopping = update(services, execution.id, transition, now, snapshot=execution)
    except _Answered:
        return None
    if stopping is None:
        return None
    call_id = stopping.after.state.attempt.call_id
    assert call_id is not None, "its carrier has reported it"
    carrier = services.carrier(execution.provider)
    try:
        return carrier.cancel(call_id)
    except NotYetKnown:
        services.sleep(CONFIRMED_AFTER_SECONDS)
        return carrier.cancel(call_id)


def cancel_all(
    services: Services, executions: Iterable[Execution], reason: str, now: datetime, has_time: Callable[[], bool]
) -> list[str]:
    """Cancel those of `executions` that the carrier has queued or is ringing; ids of those that this stopped.

    While there is time, and until the carrier cannot be asked: the sweeper finds the others, since they are marked
    through their agent or batch.
    """
    stopped = []
    for execution in executions:
        if not execution.state.is_unanswered:
            continue
        if not has_time():
            break
        try:
            after = cancel(services, execution, reason, now)
        except (NotYetKnown, StaleVersion):
            continue
        except CarrierUnavailable as error:
            _log.warning("calls cannot be canceled: %s", error)
            break
        if after is not None and after.state.status is Status.STOPPED:
            stopped.append(execution.id)
    return stopped


def mark_stopped(services: Services, agent_id: str, *, account_id: str, now: datetime) -> Agent:
    """Mark the agent: no call asked for up to `now` is dialled from then on. Returns it. Raises `NotFound`."""

    def transition(agent: Agent) -> Agent:
        return replace(agent, stopped_before=now)

    return update_agent(services, agent_id, transition, account_id=account_id)[1]


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


def line_holders(services: Services, *agents: Agent) -> list[Execution]:
    """Calls that hold a line of one of the agents: live ones, and those that are about to be dialled; `agents` as they
    were read after the mark."""
    shards = [(agent.agent_id, shard) for agent in agents for shard in shards_in_use(agent)]
    held = [one for agent_id, shard in shards for one in services.lines.holders(agent_id, shard)]
    return list(services.executions.read(held))


def stop_calls(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop every unanswered single call of the agent, which is marked; their ids.

    Waiting calls come first. Contacts of batches follow with their batch.
    """
    stopped = stop_line_holders(services, agent, now)
    for execution_id in services.executions.open_of_agent(agent.agent_id):
        if stop_waiting(services, execution_id, "agent stopped", now):
            stopped.append(execution_id)
    unanswered = [one for one in line_holders(services, agent) if one.batch_id is None]
    covered = [one for one in unanswered if stop_reason(one, agent, None) is not None]
    until = services.now() + timedelta(seconds=CANCELING_SECONDS)
    return stopped + cancel_all(services, covered, "agent stopped", now, lambda: services.now() < until)


def stop_line_holders(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop the agent's calls that hold a line and are not claimed yet; ids of the single ones. The agent is marked.

    The listing may not show them yet.
    """
    stopped = []
    for execution in line_holders(services, agent):
        if not execution.state.is_waiting:
            continue
        batch = None if execution.batch_id is None else services.batches.get(execution.batch_id)
        reason = stop_reason(execution, agent, batch)
        if reason is not None and stop_waiting(services, execution.id, reason, now):
            stopped += [execution.id] if execution.batch_id is None else []
    return stopped


def stop_waiting(
    services: Services, execution_id: str, reason: str, now: datetime, snapshot: Execution | None = None
) -> bool:
    """Stop a call if it waits; False: it is being dialled, live, over or gone. `snapshot`: as just read."""
    return end_waiting(services, execution_id, stopped(reason), now, snapshot)


def end_waiting(
    services: Services, execution_id: str, decision: Decision, now: datetime, snapshot: Execution | None = None
) -> bool:
    """End a call as `decision` says if it waits; else False, as `stop_waiting`."""
    try:
        return _end(services, execution_id, decision, now, snapshot) is not None
    except _NotWaiting:
        return False


def batch_that_ended(services: Services, execution: Execution) -> Batch | None:
    """The batch with which a waiting contact has ended, though that is not stored with the contact yet."""
    if execution.batch_id is None or not execution.state.is_waiting:
        return None
    batch = services.batches.get(execution.batch_id)
    return batch if batch is not None and batch.withdrawn else None


def stop_with_batch(services: Services, execution: Execution, now: datetime, batch: Batch | None = None) -> Execution:
    """Store that a waiting contact ended with its batch; any other execution stays as it is. Returns it.

    `execution`: as just read; `batch`: its batch, which is withdrawn, if it is at hand.
    """
    ended = batch or batch_that_ended(services, execution)
    if ended is None:
        return execution
    updated = update(services, execution.id, ended.end_contact, now, snapshot=execution, withdraw=True)
    return execution if updated is None else updated.after


def _end(
    services: Services, execution_id: str, decision: Decision, now: datetime, snapshot: Execution | None = None
) -> Updated | None:
    """Raises `_NotWaiting`; None when there is no such execution."""

    def transition(execution: Execution) -> Execution:
        if not execution.state.is_waiting:
            raise _NotWaiting
        return execution.end(now, decision)

    return update(services, execution_id, transition, now, snapshot=snapshot, withdraw=True)
