"""The dial protocol: read, gates, line, claim, call once, record. One attempt is at most one phone call.

waiting ─► gates ──► line ──► circuit ──► claim ──► carrier ──► record
   │         │ closed  │ none   │ open      │ lost     │
   │         ▼         ▼        ▼           ▼          ├ accepted ─► initiated
   │      moved or   queued   later,      leave        ├ refused ──► the attempt's end: retried or not
   │      ended               with its    quietly      ├ not placed ► unclaimed, later again, no retry used up
   └ not due, not             line                     └ unknown ──► stays claimed; a callback or the sweeper settles it
     current, claimed: leave

Agent and batch are read after the line, and gates are asked then: a stop first marks the agent or the batch, and then
looks at the lines' holders. A dial that took its line before that look is seen and stopped; one that takes it later
reads the mark. So no dial starts after a stop was answered, and the stop need not look at every call.

Before the line the agent may be read as it was some seconds ago: by that a call goes ahead to take a line, but it is
not put off.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.calling_window import next_open
from redial.domain.execution import CLAIM_GRACE, LATEST_START, Execution, Marker
from redial.domain.outcome import DialResult
from redial.domain.phone_number import time_zones
from redial.ports import (
    Agents,
    Batches,
    CallRequest,
    Carrier,
    Executions,
    Invoker,
    Lines,
    QueuedCall,
    StaleVersion,
    Timers,
)
from redial.usecases.change import apply_effects, change
from redial.usecases.circuit_breaker import CircuitBreaker
from redial.usecases.lines import (
    LONGEST_PAUSE,
    acquire,
    dispatch_all,
    enqueue_and_dispatch,
    preferred_shard,
    queued_call,
    release_line,
)
from redial.usecases.stop import called_off, is_stopped, unless_called_off

HELD_SPREAD = timedelta(seconds=30)
"""Calls that wait for a carrier come back within so long of each other, not all at once."""
_MOST_LOOKS = 20
"""How often one invocation reads again what another writer changed before it gives up; the sweeper finds the call."""
EARLY = timedelta(seconds=5)
"""A dial that comes so little before its time, as its own clock shows it, waits for it."""
_TOO_LATE = f"could not be placed within {LATEST_START // timedelta(hours=1)} hours of its time"


@dataclass(frozen=True)
class DialReport:
    """What one invocation did: the execution before and after (None: there is none), and the carrier's answer.

    `before` is it as it was just before the last write: claimed, where the carrier was asked; `found` as it was before
    the claim. `room`: where it stands in its batch's room now (None: it does not). `held`: its carrier's circuit is
    open, and it waits; `opened`: this very answer opened it.
    """

    before: Execution | None
    execution: Execution | None
    result: DialResult | None = None
    found: Execution | None = None
    delayed_at: datetime | None = None
    held: bool = False
    opened: bool = False


class _ClaimLost(Exception):
    """The execution changed between its reading and its claim; a line is held in the shard `line`."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _NotYet(Exception):
    """By its batch's rate the call is to start at `at`; a line is held in the shard `line`."""

    def __init__(self, line: int, at: datetime) -> None:
        super().__init__(line, at)
        self.line = line
        self.at = at


@dataclass(frozen=True)
class Dialler:
    """What dialling needs. `callback_url` gives the public URL at which a carrier reports on an execution's attempt."""

    executions: Executions
    agents: Agents
    batches: Batches
    lines: Lines
    timers: Timers
    invoker: Invoker
    circuits: CircuitBreaker
    carrier_of: Callable[[str], Carrier]
    callback_url: Callable[[str, str, int], str]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    random: Callable[[], float]

    def dial(
        self,
        execution_id: str,
        attempt: int,
        lease_id: str,
        line: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
    ) -> DialReport:
        """Dial that attempt if it is due, current and nobody else's.

        `lease_id` is a fresh name for delivering its events; `line` the shard of the line that the attempt was given;
        `at` the start that its batch's rate gives it; `room`: where it stands in its batch's room.
        """
        if at is not None:
            self._pause_until(at)
        consistent = False
        for _ in range(_MOST_LOOKS):
            execution = self._read(execution_id, attempt, consistent)
            consistent = True
            if execution is None or not _is_ours(execution, attempt):
                self._return_line(execution, attempt, line)
                self._remove_delayed(execution, attempt, delayed_at)
                return DialReport(execution, execution)
            due = execution.state.next_time
            if due is not None and due <= self.now() + EARLY:
                self._pause_until(due)  # whoever woke this has a clock that is ahead
            try:
                dialled = self._dial(execution, lease_id, line, at)
            except _ClaimLost as lost:
                line = lost.line  # look again: to dial after all, or to hand the line on
                continue
            except _NotYet as later:
                line, at = later.line, later.at
                self._pause_until(at)  # and then look again: it may have been stopped meanwhile
                continue
            except StaleVersion:
                continue  # a stop or a delivery was quicker: look again
            if dialled.delayed_at != delayed_at:
                self._remove_delayed(execution, attempt, delayed_at)
            return dialled
        raise StaleVersion(execution_id)

    def _read(self, execution_id: str, attempt: int, consistent: bool) -> Execution | None:
        """The execution. It may be seen as it was a moment ago where it is to be dialled, for the claim is written over
        just that version; but nobody is sent away for what may be no longer so."""
        execution = self.executions.get(execution_id, consistent=consistent)
        if consistent:
            return execution
        if execution is not None and _is_ours(execution, attempt):
            due = execution.state.next_time
            if due is not None and due <= self.now() + EARLY:
                return execution
        return self.executions.get(execution_id)

    def _dial(self, execution: Execution, lease_id: str, line: int | None, at: datetime | None) -> DialReport:
        now = self.now()
        due = execution.state.next_time
        if due is None or due > now:
            if line is not None and execution.state.attempt.line != line:
                agent = self.agents.get(execution.account_id, execution.agent_id)
                self._put_off(execution, execution, agent, line, lease_id, now)
            return DialReport(execution, execution, delayed_at=due if execution.state.is_delayed else None)
        held = line if line is not None else execution.state.attempt.line  # given, or kept by a throttled dial
        known = self.agents.cached(execution.account_id, execution.agent_id)
        shard = self._take_line(execution, known, held, now)
        agent = self.agents.get(execution.account_id, execution.agent_id)
        refused = self._gates(execution, agent, now)
        if refused is None and shard is None and known != agent:
            shard = self._take_line(execution, agent, held, now)
            if shard is not None:
                agent = self.agents.get(execution.account_id, execution.agent_id)
                refused = self._gates(execution, agent, now)
        if refused is not None:
            line_held, acquired_at = (held, None) if shard is None else (shard, now)
            try:
                saved = self._put_off(execution, refused, agent, line_held, lease_id, now, acquired_at)
                return DialReport(execution, saved)
            except StaleVersion as error:
                if line_held is None:
                    raise
                raise _ClaimLost(line_held) from error
        assert agent is not None
        if shard is None:
            waiting = self._wait_for_line(execution, agent, held, lease_id, now)
            return DialReport(
                execution, waiting, delayed_at=waiting.state.next_time if waiting.state.is_delayed else None
            )
        if execution.batch_id is None:
            return self._call(execution, agent, None, shard, lease_id)
        batch = self.batches.get(execution.batch_id)
        if at is None and batch is not None and batch.calls_per_second is not None and batch.may_dial:
            at = self._reserved(execution, now)
            if at is None:
                refused = execution.queue(now, f"at most {batch.calls_per_second:g} calls a second", delayed=True)
        refused = self._batch_gates(execution, agent, batch, now) or refused
        if refused is not None:
            delayed_at = self._add_delayed(refused) if batch is not None and refused.state.is_waiting else None
            try:
                saved = self._put_off(execution, refused, agent, shard, lease_id, now, acquired_at=now)
                return DialReport(execution, saved, delayed_at=delayed_at)
            except StaleVersion as error:
                raise _ClaimLost(shard) from error
        if at is not None and at > now:
            raise _NotYet(shard, at)
        dialled = self._call(execution, agent, batch, shard, lease_id)
        if batch is not None and batch.calls_per_second is not None:
            dispatch_all(agent, self.lines, self.invoker, self.now())  # a start starts the next one
        return dialled

    def _take_line(self, execution: Execution, agent: Agent | None, held: int | None, now: datetime) -> int | None:
        """The shard in which the call holds a line now; None: none is free, or a gate is closed."""
        if agent is None or self._gates(execution, agent, now) is not None:
            return None
        shard = preferred_shard(agent, execution.id) if held is None else held
        return shard if acquire(agent, shard, queued_call(execution), self.lines, now) else None

    def _pause_until(self, at: datetime) -> None:
        seconds = (at - self.now()).total_seconds()
        if seconds > 0:
            self.sleep(min(seconds, LONGEST_PAUSE.total_seconds()))

    def _remove_delayed(self, execution: Execution | None, attempt: int, delayed_at: datetime | None) -> None:
        if delayed_at is not None and execution is not None and execution.batch_id is not None:
            self.lines.remove_delayed(execution.batch_id, QueuedCall(execution.id, attempt, attempt > 1, delayed_at))

    def _gates(self, execution: Execution, agent: Agent | None, now: datetime) -> Execution | None:
        """None when the call may be placed now; else the execution as the first closed gate leaves it."""
        state = execution.state
        if agent is None or agent.deleted_at is not None:
            return execution.stop(now, "agent deleted")
        if execution.batch_id is None and is_stopped(agent, execution.created_at):
            return execution.stop(now, "agent stopped")
        if execution.batch_id is None and state.is_too_late(now):
            return execution.expire(now, _TOO_LATE)
        if agent.answer_url is None and agent.stream_url is None:
            return execution.expire(now, "the agent has neither answer_url nor stream_url")
        if execution.batch_id is not None:
            return None  # the others are asked after the line
        if from_number(execution, agent, None) is None:
            return execution.expire(now, "the agent has no from_phone_numbers")
        return self._calling_window(execution, agent, now)

    def _batch_gates(self, execution: Execution, agent: Agent, batch: Batch | None, now: datetime) -> Execution | None:
        """None when the call may be placed now, as far as its batch knows; else as the first closed gate leaves it."""
        reason = called_off(execution, agent, batch)
        if reason is not None or batch is None:
            return execution.stop(now, reason or "batch deleted")
        if from_number(execution, agent, batch) is None:
            return execution.expire(now, "neither the batch nor the agent has from_phone_numbers")
        if batch.paused:
            return execution.queue(now, "batch paused", delayed=True)
        if execution.state.is_too_late(now):
            return execution.expire(now, _TOO_LATE)
        return None if batch.bypass_call_guardrails else self._calling_window(execution, agent, now)

    def _reserved(self, execution: Execution, now: datetime) -> datetime | None:
        """A start within the next seconds, by the rate of the execution's batch; None where they are all taken."""
        assert execution.batch_id is not None
        for _ in range(_MOST_LOOKS):
            entry = self.lines.queue_entry(execution.agent_id, execution.batch_id)
            if entry is None or entry.interval is None:
                return now
            if entry.next_at is not None and entry.next_at > now + LONGEST_PAUSE:
                return None
            at = self.lines.reserve_start(entry, now)
            if at is not None:
                return at
        return None

    def _add_delayed(self, execution: Execution) -> datetime:
        """Let it stand in its batch's room, before it is stored as waiting there: if that storing fails, it leaves the
        room again when it is taken from there."""
        state = execution.state
        assert execution.batch_id is not None and state.next_time is not None
        who = QueuedCall(execution.id, state.attempt.number, state.attempt.number > 1, state.next_time)
        first, now = self.lines.add_delayed(execution.agent_id, execution.batch_id, who), self.now()
        if first and who.ready_at > now:
            number = int(who.ready_at.timestamp())
            self.timers.schedule_batch_run(execution.batch_id, "room", number, who.ready_at, now)
        return who.ready_at

    def _calling_window(self, execution: Execution, agent: Agent, now: datetime) -> Execution | None:
        if execution.bypass_call_guardrails or agent.call_start_hour is None or agent.call_end_hour is None:
            return None
        zones = time_zones(execution.user_number)
        opens = next_open(now, agent.call_start_hour, agent.call_end_hour, zones)
        if opens is None:
            return execution.expire(now, f"calling hours never open at once in all {len(zones)} zones of the number")
        hours = f"{agent.call_start_hour}-{agent.call_end_hour}"
        return (
            None if opens == now else execution.move(now, opens, f"outside calling hours {hours} of {', '.join(zones)}")
        )

    def _put_off(
        self,
        execution: Execution,
        refused: Execution,
        agent: Agent | None,
        shard: int | None,
        lease_id: str,
        now: datetime,
        acquired_at: datetime | None = None,
    ) -> Execution:
        """Save what a gate decided; then a line that this call was given, or had kept, goes to the next one.

        It is saved also where nothing changes: another invocation may have claimed the attempt with that line since
        `execution` was read, and then the save fails. `acquired_at`: when this invocation acquired the line; None: it
        was given, so the time is read before the save. If another invocation acquires it after that, to dial the
        attempt after all, the line stays.
        """
        saved = execution
        if acquired_at is None and agent is not None and shard is not None:
            acquired_at = self._acquired_at(execution, agent, shard) or now  # `now`: it holds none, so it only looks
        if refused is not execution:
            saved = self.executions.save(refused.lease_delivery(lease_id, now).with_due(now))
            self._apply_effects(execution, saved, now)
        elif shard is not None:
            saved = self.executions.save(execution.with_due(now))
        if agent is not None and shard is not None:
            number = execution.state.attempt.number
            release_line(agent, shard, execution.id, number, self.lines, self.invoker, now, acquired_at)
        return saved

    def _wait_for_line(
        self, execution: Execution, agent: Agent, held: int | None, lease_id: str, now: datetime
    ) -> Execution:
        """Queue. If a line has become free meanwhile, dial is invoked again, with that line.

        `held`: the shard of a line that the attempt was given, or had kept, before the agent's limit was lowered. It is
        freed; as in `_put_off`, only after a save that fails where the attempt is being dialled with it.
        """
        number = execution.state.attempt.number
        acquired_at = None if held is None else self._acquired_at(execution, agent, held)

        def saved(waiting: Execution) -> Execution:
            if waiting is not execution or acquired_at is not None:
                waiting = self.executions.save(waiting.lease_delivery(lease_id, now).with_due(now))
            if held is not None and acquired_at is not None:
                self.lines.release(agent.agent_id, held, execution.id, number, acquired_at)
            return waiting

        if execution.batch_id is not None and execution.state.attempt.number > 1:
            batch = self.batches.get(execution.batch_id)
            if batch is not None and batch.first_dials_first and batch.may_dial:
                waiting = execution.queue(now, "waiting for a line, after first dials", delayed=True)
                self._add_delayed(waiting)
                waiting = saved(waiting)
                dispatch_all(agent, self.lines, self.invoker, now)
                return waiting
        queued = saved(execution.queue(now, "waiting for a line").lease_delivery(lease_id, now))
        enqueue_and_dispatch(agent, queued_call(queued), self.lines, self.invoker, now)
        return queued

    def _acquired_at(self, execution: Execution, agent: Agent, shard: int) -> datetime | None:
        """When the line that this attempt holds there was last acquired. None: it holds none."""
        attempt, at = self.lines.holders(agent.agent_id, shard).get(execution.id, (0, None))
        return at if attempt == execution.state.attempt.number else None

    def _call(self, execution: Execution, agent: Agent, batch: Batch | None, shard: int, lease_id: str) -> DialReport:
        """Unless the carrier fails for all calls: claim, call once, record the answer, and then tell the circuit."""
        if execution.provider != agent.provider:
            execution = replace(execution, provider=agent.provider)  # the agent has another carrier by now
        carrier = self.carrier_of(execution.provider)
        admission = self.circuits.admit(execution.account_id, execution.provider, carrier.check)
        now = self.now()
        if admission.held_until is not None:
            until = admission.held_until + HELD_SPREAD * self.random()
            held = execution.hold(now, until, admission.reason, shard)
            return self._hold(execution, held, agent, shard, lease_id, now)
        caller = from_number(execution, agent, batch)
        assert caller is not None
        claim = execution.claim(now, caller, shard, claim_id=lease_id).lease_delivery(lease_id, now)
        try:
            claimed = self.executions.save(claim.with_due(now))
        except StaleVersion as error:
            own = self._own_claim(claim, lease_id)
            if own is None:
                raise _ClaimLost(shard) from error
            claimed = own
        result = carrier.place(call_request(claimed, agent, self.callback_url))
        now = self.now()
        jitter = self.random()
        number = claimed.state.attempt.number
        changed = change(
            self.executions,
            claimed.id,
            now,
            lambda current: self._recorded(current, number, result, now, jitter, lease_id),
            known=claimed,
        )
        before, after = changed or (claimed, None)
        if after is not None:  # what follows from the answer, also where the write's own answer was lost
            self._apply_effects(claimed, after, now)
        opened = self.circuits.record(claimed.account_id, claimed.provider, result, admission.probing)
        return DialReport(before, after, result, execution, opened=opened)

    def _own_claim(self, claim: Execution, lease_id: str) -> Execution | None:
        """The execution as stored, where this invocation's own claim is in it and waits for its dial: the answer to the
        write was lost, and before it was sent again another writer (a delivery) changed the item. Else None."""
        stored = self.executions.get(claim.id)
        if stored is None:
            return None
        state, number = stored.state, claim.state.attempt.number
        claimed_by = [change.claim_id for change in stored.changes if change.kind is Marker.CLAIMED]
        waits = state.is_dialling and not state.unknown and state.attempt.number == number
        in_time = state.claimed_at is not None and self.now() < state.claimed_at + CLAIM_GRACE
        return stored if claimed_by[-1:] == [lease_id] and waits and in_time else None

    def _hold(
        self, execution: Execution, held: Execution, agent: Agent, shard: int, lease_id: str, now: datetime
    ) -> DialReport:
        """Store that it waits for the carrier, and keeps its line; or that it has waited for too long."""
        try:
            if held.state.is_final:
                return DialReport(execution, self._put_off(execution, held, agent, shard, lease_id, now))
            saved = self.executions.save(held.lease_delivery(lease_id, now).with_due(now))
        except StaleVersion as error:
            raise _ClaimLost(shard) from error
        self._apply_effects(execution, saved, now)
        return DialReport(execution, saved, held=True)

    def _recorded(
        self, current: Execution, attempt: int, result: DialResult, now: datetime, jitter: float, lease_id: str
    ) -> Execution:
        after = current.answered_by_carrier(attempt, result, now, jitter)
        after = unless_called_off(current, after, self.agents, self.batches)
        return current if after is current else after.lease_delivery(lease_id, now)

    def _apply_effects(self, before: Execution, after: Execution, now: datetime) -> None:
        apply_effects(
            before, after, agents=self.agents, lines=self.lines, timers=self.timers, invoker=self.invoker, now=now
        )

    def _return_line(self, execution: Execution | None, attempt: int, shard: int | None) -> None:
        """The attempt that was given this line is over, or is dialled with another: the line goes to the next call."""
        if execution is None or shard is None:
            return
        state = execution.state
        if state.attempt.number == attempt and not state.is_final and state.attempt.line == shard:
            return  # in use by this very attempt
        agent = self.agents.get(execution.account_id, execution.agent_id)
        if agent is not None:
            release_line(agent, shard, execution.id, attempt, self.lines, self.invoker, self.now())


def from_number(execution: Execution, agent: Agent, batch: Batch | None) -> str | None:
    """The caller id of the next attempt: as asked, else the batch's or the agent's numbers in turn, so that a retry
    uses another one than the attempt before, where there is one. None: there is none at all."""
    if execution.from_number is not None:
        return execution.from_number
    numbers = (batch.from_phone_numbers if batch is not None else ()) or agent.from_phone_numbers
    if not numbers:
        return None
    first = int(execution.id[:8], 16) if execution.row is None else execution.row - 1
    return numbers[(first + execution.state.attempt.number - 1) % len(numbers)]


def _is_ours(execution: Execution, attempt: int) -> bool:
    state = execution.state
    return state.is_waiting and state.attempt.number == attempt


def call_request(execution: Execution, agent: Agent, callback_url: Callable[[str, str, int], str]) -> CallRequest:
    """The claimed attempt as the carrier is asked to place it."""
    attempt = execution.state.attempt
    assert attempt.from_number is not None, "only a claimed attempt is placed"
    return CallRequest(
        execution_id=execution.id,
        attempt=attempt.number,
        to_number=execution.user_number,
        from_number=attempt.from_number,
        callback_url=callback_url(execution.provider, execution.id, attempt.number),
        answer_url=None if agent.answer_url is None else fill_in(agent.answer_url, execution),
        ring_timeout_seconds=agent.ring_timeout_seconds,
        max_call_seconds=agent.max_call_seconds,
        voicemail_detection=agent.voicemail_detection or _retries_voicemail(execution),
        stream_url=None if agent.stream_url is None else fill_in(agent.stream_url, execution),
        variables=execution.user_data,
    )


def _retries_voicemail(execution: Execution) -> bool:
    """Whoever wants another try after a voicemail needs machines to be detected, whatever the agent says."""
    config = execution.retry_config
    return config is not None and config.enabled and config.retry_on_voicemail


def fill_in(url: str, execution: Execution) -> str:
    """`{agent_id}` and `{execution_id}` in an agent's URL, filled in."""
    return url.replace("{agent_id}", execution.agent_id).replace("{execution_id}", execution.id)
