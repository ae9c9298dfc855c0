"""Stops calls: waiting ones at once, and those that the carrier has queued or is ringing by canceling them there.

A stop of an agent or a batch first stores its mark, then reads the holders of lines. Dial first acquires its line, then
reads the mark. So of a dial and a stop, one always sees the other, and no dial starts after a stop was answered. An
answered call continues to its end; if it fails, it ends as `stopped` and no retry is announced.

A call is canceled in three steps: it is stored as being stopped, the carrier is asked to end it, and the carrier's
answer is stored. From the first step on `canceled` counts as `stopped`, and no retry follows. So it makes no difference
whether this or a callback reports the end first, and after a crash a callback or the sweeper completes the stop.
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
"""How long after a request to cancel without effect the carrier is asked once more."""
CANCELING_SECONDS = 10.0
"""How long one request to stop an agent cancels calls; the sweeper cancels the rest."""

_REQUESTED = "stopped by request"

_log = logging.getLogger(__name__)


class _NotWaiting(Exception):
    """The call is being dialled, live or over."""


class _Answered(Exception):
    """The call was answered, or is over."""


def stop_execution(services: Services, execution_id: str, *, account_id: str, now: datetime) -> Execution:
    """Stop a call for good: once this returns, no dial of it starts, and none of its phone calls is answered.

    Raises `NotFound`, and `InvalidInput` if the call is being dialled, was answered, or is over (perhaps already
    stopped), or if the carrier does not confirm that its call is over.
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
    """`stop_execution` for a call that no longer waits."""
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
    """Cancel an unanswered call at its carrier. Returns the execution after that, with `status` if the carrier
    confirmed; None: there is no such execution. Raises `CarrierUnavailable`, and `StaleVersion`."""
    number, report = execution.state.attempt.number, ask_to_cancel(services, execution, reason, now, status)
    if report is None:
        return services.executions.get(execution.id, consistent=True)
    later = services.now()
    updated = update(services, execution.id, lambda current: current.reported(number, report, later), later)
    return None if updated is None else updated.after


def ask_to_cancel(
    services: Services, execution: Execution, reason: str, now: datetime, status: Status = Status.STOPPED
) -> CallReport | None:
    """Store that the call is being stopped, and have its carrier cancel it. Returns the carrier's report, which the
    caller must store; None: the call was answered, or is over. Raises `CarrierUnavailable`, and `StaleVersion`."""
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
    """Cancel those of `executions` that the carrier has queued or is ringing. Returns the ids of those that this
    stopped.

    It ends when time is up or a carrier cannot be reached. The sweeper finds the others, since their agent or batch is
    marked.
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
    """Mark the agent, and return it: from then on, no call requested up to `now` is dialled. Raises `NotFound`."""

    def transition(agent: Agent) -> Agent:
        return replace(agent, stopped_before=now)

    return update_agent(services, agent_id, transition, account_id=account_id)[1]


def unless_stopped(services: Services, before: Execution, after: Execution) -> Execution:
    """Return `after`, which is not saved yet. Its retry is removed if it may not be dialled, or if the network blocked
    the only caller id."""
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
    """The calls that hold a line of these agents: live calls, and those about to be dialled. `agents` must have been
    read after they were marked."""
    shards = [(agent.agent_id, shard) for agent in agents for shard in shards_in_use(agent)]
    held = [one for agent_id, shard in shards for one in services.lines.holders(agent_id, shard)]
    return list(services.executions.read(held))


def stop_calls(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop every unanswered single call of the marked agent. Returns their ids.

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
    """Stop the marked agent's calls that hold a line and are not claimed yet. Returns the ids of the single ones.

    The listing may not show these calls yet.
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
    """Stop a call if it waits. False: it is being dialled, live, over or gone. `snapshot`: the execution as just
    read."""
    return end_waiting(services, execution_id, stopped(reason), now, snapshot)


def end_waiting(
    services: Services, execution_id: str, decision: Decision, now: datetime, snapshot: Execution | None = None
) -> bool:
    """End a call as `decision` says if it waits. False: it is being dialled, live, over or gone."""
    try:
        return _end(services, execution_id, decision, now, snapshot) is not None
    except _NotWaiting:
        return False


def batch_that_ended(services: Services, execution: Execution) -> Batch | None:
    """The withdrawn batch with which a waiting contact has ended, although that is not stored with the contact yet.
    None: the contact has not ended with its batch."""
    if execution.batch_id is None or not execution.state.is_waiting:
        return None
    batch = services.batches.get(execution.batch_id)
    return batch if batch is not None and batch.withdrawn else None


def stop_with_batch(services: Services, execution: Execution, now: datetime, batch: Batch | None = None) -> Execution:
    """Store that a waiting contact ended with its batch, and return it. Any other execution is returned unchanged.

    `execution`: as just read. `batch`: its withdrawn batch, if the caller has read it.
    """
    ended = batch or batch_that_ended(services, execution)
    if ended is None:
        return execution
    updated = update(services, execution.id, ended.end_contact, now, snapshot=execution, withdraw=True)
    return execution if updated is None else updated.after


def _end(
    services: Services, execution_id: str, decision: Decision, now: datetime, snapshot: Execution | None = None
) -> Updated | None:
    """End a waiting call. None: there is no such execution. Raises `_NotWaiting`."""

    def transition(execution: Execution) -> Execution:
        if not execution.state.is_waiting:
            raise _NotWaiting
        return execution.end(now, decision)

    return update(services, execution_id, transition, now, snapshot=snapshot, withdraw=True)
