"""An execution: one contact, all its attempts, as a request plus an append-only list of changes.

Everything else is a fold over the changes: the current status, the attempts, `retry_history`, and what each earlier
webhook said. A change whose kind is a `Status` is an event: it has a sequence number (1, 2, 3 …) and one webhook. A
change whose kind is a `Marker` is not: it records a claim, an unknown answer, a deferral, a detected machine.

    queued/scheduled ──claimed──► (carrier asked) ──► initiated ► ringing ► in-progress ► call-disconnected ► completed
            ▲                          │  └─ unknown: waits for a callback or the sweeper
            ├────── deferred ◄─────────┘  (nothing was placed)          │ no-answer, busy, failed, error
            └────── scheduled(attempt + 1) ◄─── decide() ◄──────────────┘
                       └─ found: the carrier reports on a call that was given up as lost, and the next attempt is not
                          claimed yet: that attempt is dropped, and this one continues

An answered call is `completed` as soon as it has ended, unless a retry depends on machine detection that has not
reported yet. Then it is `call-disconnected` until detection reports, or the sweeper finds no report.

All methods are pure and return a new Execution, or the same one if nothing changes. All times are aware UTC.
The store saves one over the `version` it was read with, so each transition is one atomic write with its events.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.decision import Decision, Gate, closed_by, failed, held, record, waits
from redial.domain.delivery import TIMER_GRACE, Delivery, pending_events
from redial.domain.outcome import Accepted, CallReport, DialResult, NotPlaced, Outcome, Price, Refused, Unknown
from redial.domain.queue import KeyLines
from redial.domain.retry import REFUSED_FOR_GOOD, GiveUp, RetryAt, RetryConfig, decide
from redial.domain.status import FINAL, LIVE, UNANSWERED, WAITING, Status, rank
from redial.domain.values import dataclass

MILLISECOND = timedelta(milliseconds=1)

CLAIM_GRACE = timedelta(minutes=2)
"""How long after a claim the sweeper starts to ask the carrier. Longer than the dial function can run (60 s)."""
UNKNOWN_DEADLINE = timedelta(minutes=6)
"""How long after a claim an attempt ends as `error` if no callback came and the carrier found no call."""
RINGING_CHECK = timedelta(minutes=3)
"""How long an unanswered call may go without a report before the carrier is asked."""
CANCEL_CHECK = timedelta(minutes=1)
"""How long a call that is being canceled may go without a report before the carrier is asked again to cancel it."""
CALL_CHECK = timedelta(minutes=15)
"""How long an answered call may go without a report before the carrier is asked."""
QUEUE_CHECK = timedelta(minutes=3)
"""How long a queued call waits before the sweeper first checks its queue entry. Each further wait doubles."""
LONGEST_QUEUE_CHECK = timedelta(days=1)
"""The longest wait between two checks of a queue entry."""
UNKNOWN_CHECK = timedelta(minutes=1)
"""The first interval at which the carrier is asked about a claimed attempt whose call is unknown; it grows to
`CALL_CHECK`."""
DETECTION_WAIT = timedelta(minutes=1)
"""How long an ended call waits for machine detection on which a retry depends, before the carrier is asked."""
DUE_SLACK = timedelta(minutes=2)
"""A stored `due_at` this close to the wanted one is kept: moving it costs two write units in the index."""
LATEST_START = timedelta(hours=24)
"""An attempt ends as `error`, instead of ringing a day late, if its timer fires this long after its time or the carrier
has placed nothing for this long. Waits in a queue, for calling hours or in a paused batch do not count."""
THROTTLE_BACKOFF_SECONDS = (60, 120, 240, 480, 900)
"""Waits after the first, second … answer of a carrier that placed nothing; the last repeats. A call whose carrier asks
for a wait longer than the last gives up its line."""
REFUSALS_OF_A_NUMBER = 3
"""A refusal that may concern the number or the account counts as the number's after this many, if another call to its
country was placed since the first. Until then the attempt waits, three minutes in all."""
HOLDS_APART = timedelta(hours=1)
"""A hold that begins this long after the end of the previous one is not a repetition: something other than the carrier
kept the call waiting in between, and `LATEST_START` counts from the new hold."""


class Marker(StrEnum):
    """Changes that are no status, and so have no webhook. A version skips an unknown marker whose value begins with
    `x-`."""

    CLAIMED = "claimed"
    UNKNOWN = "unknown"
    DEFERRED = "deferred"
    DETECTED = "detected"
    FOUND = "found"
    LATE = "late-report"
    STOPPING = "x-stopping"


@dataclass(frozen=True)
class Change:
    """One thing that happened at `at`, during attempt number `attempt`.

    `until`: when the timer of a scheduled, rescheduled or deferred call fires. `timer`: that timer's number.
    `line_shard`: of the line that a claimed or deferred call holds. `count`: how many deferrals in a row this one
    represents; `since`: the time of the first (None: `at`).
    `ended`: on a final status, why no attempt follows; None if a retry follows. `claim_id`: of the invocation that
    claimed. `delayed`: the contact waits in its batch's delayed set. `lost`: on a final status, no report of the
    carrier was found. `FOUND` reopens such an attempt; `LATE` only records that the carrier reported the status
    `reason` of its call. `DETECTED` without `voicemail`: machine detection cannot tell. `STOPPING`: the carrier is
    asked to cancel the call, for `reason`; `code` is the resulting final status (None: `stopped`). `invalid_number`:
    see `Outcome`. `gates`: what the gates decided, see `domain.decision.record`. `price`: the text of a `Price`.
    `moved_from`: the previous carrier, if the claim moved the call to another one. `newer`: see `Execution`.
    """

    kind: Status | Marker
    at: datetime
    attempt: int
    until: datetime | None = None
    timer: int | None = None
    line_shard: int | None = None
    count: int = 1
    call_id: str | None = None
    from_number: str | None = None
    reason: str | None = None
    code: str | None = None
    voicemail: bool | None = None
    duration_seconds: int | None = None
    ring_seconds: int | None = None
    hangup_by: str | None = None
    ended: str | None = None
    claim_id: str | None = None
    delayed: bool | None = None
    lost: bool | None = None
    gates: str | None = None
    since: datetime | None = None
    invalid_number: bool | None = None
    price: str | None = None
    moved_from: str | None = None
    newer: Mapping[str, Any] | None = None

    @property
    def is_event(self) -> bool:
        return isinstance(self.kind, Status)

    @property
    def waits_for_number(self) -> bool:
        """Whether it is a deferral because another call to the number was under way, not because of the carrier."""
        return self.kind is Marker.DEFERRED and closed_by(self.gates) == Gate.ONE_CALL


@dataclass
class Attempt:
    """One attempt. `scheduled_at` is when it was to start, `line_shard` the shard of its last line.

    `lost`: it ended as `error` because the carrier reported nothing; `late` is the last status that the carrier
    reported after that, if the attempt could not be reopened. `is_undecided`: machine detection cannot tell who
    answered. `is_held`: its last dial was deferred by the carrier. `invalid_number`: its number is at fault.
    `stopping`: why the carrier was asked to cancel its call, if it was; `stops_as`: the resulting final status.
    """

    number: int
    status: Status
    scheduled_at: datetime
    dialed_at: datetime | None = None
    rang_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    call_id: str | None = None
    from_number: str | None = None
    reason: str | None = None
    code: str | None = None
    voicemail: bool | None = None
    duration_seconds: int | None = None
    ring_seconds: int | None = None
    hangup_by: str | None = None
    line_shard: int | None = None
    lost: bool = False
    late: Status | None = None
    is_undecided: bool = False
    is_held: bool = False
    invalid_number: bool = False
    stopping: str | None = None
    stops_as: Status = Status.STOPPED
    price: Price | None = None


@dataclass
class State:
    """The fold of an execution's changes up to some point.

    `timer` is (number, time) while a timer is set. `history` has (attempt, status, time) of every dialled attempt that
    failed or is retried. `ended` says why the execution is over.
    """

    status: Status
    updated_at: datetime
    sequence: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    history: list[tuple[int, Status, datetime]] = field(default_factory=list)
    timer: tuple[int, datetime] | None = None
    queued_at: datetime | None = None
    claimed_at: datetime | None = None
    unknown: bool = False
    deferrals: int = 0
    scheduled_at: datetime | None = None
    rescheduled_at: datetime | None = None
    ended: str | None = None
    is_delayed: bool = False

    def copy(self) -> "State":
        return replace(self, attempts=[replace(one) for one in self.attempts], history=list(self.history))

    @property
    def attempt(self) -> Attempt:
        return self.attempts[-1]

    @property
    def shown(self) -> Attempt:
        """The attempt whose facts the execution shows: the latest one whose call was placed, or that ended without a
        call. A retry is shown from `initiated` on."""
        current = self.attempt
        is_made = current.call_id is not None or current.status in FINAL - {Status.STOPPED, Status.CANCELED}
        return current if is_made or len(self.attempts) == 1 else self.attempts[-2]

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its time or a line: it is not claimed, and can still be stopped."""
        return self.status in WAITING and self.claimed_at is None

    @property
    def is_dialling(self) -> bool:
        """Whether it is claimed, and the carrier has not reported on the call yet."""
        return self.status in WAITING and self.claimed_at is not None

    @property
    def is_live(self) -> bool:
        return self.status in LIVE

    @property
    def is_unanswered(self) -> bool:
        """Whether the carrier has queued its call or is ringing the phone: it can be canceled."""
        return self.status in UNANSWERED and self.attempt.call_id is not None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL

    @property
    def needs_line(self) -> bool:
        """Whether its call is up, or still to be placed."""
        return not self.is_final and self.status is not Status.CALL_DISCONNECTED

    def still_needs_line(self, attempt: int) -> bool:
        """Whether that attempt needs a line: it is the current one, and its call is up or still to be placed."""
        return self.needs_line and self.attempt.number == attempt

    def needs_key_line(self, attempt: int, now: datetime) -> bool:
        """Whether that attempt may hold a line of its API key: its call is up or being placed, or it is due. An attempt
        that waits for a later time, or in a delayed set, acquires a line later."""
        due = self.next_time
        is_due = not self.is_waiting or (not self.is_delayed and due is not None and due <= now)
        return is_due and self.still_needs_line(attempt)

    def is_too_late(self, now: datetime) -> bool:
        """Whether `LATEST_START` has passed since the time of the timer that was to start it. A queued call is never
        too late."""
        return (
            self.queued_at is None
            and not self.is_delayed
            and self.timer is not None
            and now > self.timer[1] + LATEST_START
        )

    @property
    def next_time(self) -> datetime | None:
        """When the current attempt is to start; None unless it is waiting."""
        if not self.is_waiting:
            return None
        return self.timer[1] if self.timer else self.queued_at


@dataclass(frozen=True)
class Execution:
    """A request for a call, what has happened since, and which events are delivered.

    `user_number` and `from_number` are E.164; `from_number` None means the agent's or the batch's choice. `user_data`
    never changes. `purpose`: what the call is for, as suppressions and consents name it (None: its batch's or agent's).
    `user_data_apart`: `user_data` is in an item of its own, so that saves do not pay for it, and is None until
    `Executions.with_user_data` has read it. `row`: the contact's number in its batch, from 1. `version` counts saves.

    `calling_rule`: the text of its own `CallingRule` (None: its batch's or its agent's).
    `time_zone`: the contact's own IANA zone (None: its agent's, or by the number's prefix).
    `policy`: the label of the policy of a single call, fixed when the call was created; a contact has its batch's.
    `policy_is_default`: the policy is its agent's or its account's, so the agent's own settings take precedence.
    `expires_at`: no attempt starts from then on (None: no such time; a contact has its batch's, stored at its first
    save).
    `webhook_statuses`: its agent's when it was created or last dialled, see `Agent`.
    `key_pool`: the lines of the API key that asked for it, see `KeyLines` (None: the key has no quota of lines; a
    contact has its batch's from its first dial on).
    `erased`: only the row and the last status of the contact are left, so that its batch's counts and results stay
    complete.

    `newer` holds what a newer version of this code stored under names that this version does not read, and
    `newer_notes` its notes that only inform. Both are kept unread, so that a save by this version loses nothing.
    """

    id: str
    account_id: str
    agent_id: str
    created_at: datetime
    user_number: str
    from_number: str | None = None
    batch_id: str | None = None
    row: int | None = None
    provider: str = DEFAULT_PROVIDER
    user_data: dict[str, Any] | None = field(default_factory=dict)
    user_data_apart: bool = False
    retry_config: RetryConfig | None = None
    bypass_call_guardrails: bool = False
    calling_rule: str | None = None
    time_zone: str | None = None
    webhook_statuses: tuple[Status, ...] | None = None
    changes: tuple[Change, ...] = ()
    delivery: Delivery = Delivery()
    version: int = 0
    due_at: datetime | None = None
    erased: bool = False
    purpose: str | None = None
    policy: str | None = None
    policy_is_default: bool = False
    expires_at: datetime | None = None
    key_pool: str | None = None
    newer: Mapping[str, Any] | None = None
    newer_notes: tuple[Any, ...] = ()

    # ---- the fold -------------------------------------------------------------------------------------------------

    @cached_property
    def state(self) -> State:
        """The current state."""
        return self._fold(self.changes)

    def at_sequence(self, sequence: int) -> State:
        """The state right after event number `sequence`, which that event's webhook shows."""
        return self._fold(self.changes[: self._until(sequence)])

    def provider_at(self, sequence: int) -> str:
        """The carrier right after event number `sequence`."""
        later = (change.moved_from for change in self.changes[self._until(sequence) :])
        return next((provider for provider in later if provider is not None), self.provider)

    def _until(self, sequence: int) -> int:
        """The number of changes up to and including event number `sequence`. Raises `ValueError` if there is no such
        event."""
        seen = 0
        for index, change in enumerate(self.changes):
            seen += change.is_event
            if seen == sequence:
                return index + 1
        raise ValueError(f"execution {self.id} has no event {sequence}")

    @property
    def ended_at(self) -> datetime | None:
        """When it became final; None while it is open. Later reports do not move it."""
        if not self.state.is_final:
            return None
        return next(change.at for change in reversed(self.changes) if change.kind in FINAL)

    def erase(self) -> "Execution":
        """A finished contact without anything about the person or the call; its events are removed too."""
        assert self.ended_at is not None
        return Execution(
            id=self.id,
            account_id=self.account_id,
            agent_id=self.agent_id,
            created_at=self.created_at,
            user_number="",
            batch_id=self.batch_id,
            row=self.row,
            changes=(Change(self.state.status, self.ended_at, 1, ended="erased"),),
            delivery=Delivery(settled=1),
            version=self.version,
            erased=True,
        )

    def events(self) -> Iterator[tuple[int, Change]]:
        """Every event with its sequence number, oldest first."""
        return enumerate((change for change in self.changes if change.is_event), start=1)

    @staticmethod
    def _fold(changes: tuple[Change, ...]) -> State:
        state = State(Status.QUEUED, changes[0].at)
        before_loss = state.copy()
        for change in changes:
            if change.lost:
                before_loss = state.copy()
            elif change.kind is Marker.FOUND:
                state = replace(before_loss.copy(), sequence=state.sequence)
            _apply(state, change)
        return state

    @property
    def key_lines(self) -> KeyLines | None:
        """The lines of its API key, of which its call holds one. None: there is no quota of lines."""
        return KeyLines.parse(self.account_id, self.key_pool)

    @property
    def is_not_started(self) -> bool:
        """Whether it is a contact that was not dispatched, or not dialled since. Only its batch's queue entry
        represents it."""
        return self.batch_id is not None and len(self.changes) == 1 and self.state.status is Status.QUEUED

    # ---- appending ------------------------------------------------------------------------------------------------

    def _with(self, *changes: Change) -> "Execution":
        """Append changes, each strictly later than the previous one, so that `updated_at` strictly rises."""
        result = list(self.changes)
        for change in changes:
            earliest = result[-1].at + MILLISECOND if result else change.at
            result.append(change if change.at >= earliest else replace(change, at=earliest))
        return replace(self, changes=tuple(result))

    def begin(self, now: datetime, scheduled_at: datetime | None) -> "Execution":
        """The first event: queued to be dialled now, or scheduled for later."""
        if scheduled_at is None:
            return self._with(Change(Status.QUEUED, now, 1))
        return self._with(Change(Status.SCHEDULED, now, 1, until=scheduled_at, timer=self.version + 1))

    def defer(self, now: datetime, *decisions: Decision, line_shard: int | None = None) -> "Execution":
        """Defer the attempt as the last of `decisions` says, without using up a retry. All decisions are recorded.

        Without a time it becomes `queued`, without an event if it already is. With an announced time it becomes
        `rescheduled`. Otherwise it waits for another call to its number, or for the carrier, and keeps its line
        (`line_shard`) during a short wait, so that not every waiting call asks a failing carrier in turn.
        """
        closed, gates = decisions[-1], record(decisions)
        if closed.until is None:
            return self._queue(now, closed, gates)
        if closed.announced:
            number, timer, delayed = self.state.attempt.number, self.version + 1, closed.delayed or None
            moved = Change(Status.RESCHEDULED, now, number, closed.until, timer, reason=closed.reason, delayed=delayed)
            return self._with(replace(moved, gates=gates))
        return self._hold(now, closed, line_shard, gates)

    def _queue(self, now: datetime, closed: Decision, gates: str | None) -> "Execution":
        """Make it `queued`: it is due, but must wait for a line, for the carrier, or in its batch's delayed set."""
        delayed = closed.delayed or None
        if self.state.status is Status.QUEUED:
            last = self.changes[-1]
            if last.kind is not Status.QUEUED or last.delayed == delayed or self.is_not_started:
                return self
            return replace(self, changes=(*self.changes[:-1], replace(last, delayed=delayed, gates=gates)))
        number = self.state.attempt.number
        return self._with(Change(Status.QUEUED, now, number, reason=closed.reason, delayed=delayed, gates=gates))

    def end(self, now: datetime, *decisions: Decision) -> "Execution":
        """End the execution as the last of `decisions` says: `stopped`, `canceled` if a rule about its number forbids
        it, or `error` if the attempt cannot be placed. All decisions are recorded.

        Raises ValueError if it is to be stopped or canceled but does not wait (a claimed call counts as dialled).
        """
        closed, number, gates = decisions[-1], self.state.attempt.number, record(decisions)
        if closed.status is Status.ERROR:
            return self._with(Change(Status.ERROR, now, number, reason=closed.reason, ended=closed.reason, gates=gates))
        if not self.state.is_waiting:
            raise ValueError("only a waiting call can be stopped")
        return self._with(Change(closed.status, now, number, ended=closed.reason, gates=gates))

    def claim(
        self,
        now: datetime,
        from_number: str,
        line_shard: int,
        claim_id: str,
        decisions: Iterable[Decision] = (),
        provider: str | None = None,
    ) -> "Execution":
        """Claim the attempt: the invocation that saves this first dials it. `decisions`: those of all gates;
        `provider`: the carrier that places it, if its agent's has changed.

        `claim_id` is unique to the invocation. If the write's answer is lost, the store recognizes its own claim by it.
        """
        number = self.state.attempt.number
        claimed = self._with(
            Change(
                Marker.CLAIMED,
                now,
                number,
                from_number=from_number,
                line_shard=line_shard,
                claim_id=claim_id,
                gates=record(decisions),
                moved_from=None if provider in (None, self.provider) else self.provider,
            )
        )
        return replace(claimed, provider=provider or self.provider)

    # ---- what the carrier says ------------------------------------------------------------------------------------

    def answered_by_carrier(self, attempt: int, result: DialResult, now: datetime, jitter: float) -> "Execution":
        """Apply the carrier's answer to the dial of `attempt`. A callback that was faster takes precedence.

        `jitter` in [0, 1) spreads the wait after a throttled dial over ± 10 %.
        """
        if attempt != self.state.attempt.number or self.state.is_final:
            return self
        match result:
            case Accepted(call_id):
                return self.reported(attempt, CallReport(call_id, Status.INITIATED), now)
            case Refused(outcome):
                return self._end_attempt(outcome, now) if self.state.is_dialling else self
            case Unknown(reason):
                if not self.state.is_dialling or self.state.unknown:
                    return self
                return self._with(Change(Marker.UNKNOWN, now, attempt, reason=reason))
            case NotPlaced(reason, retry_after_seconds):
                state = self.state
                if not state.is_dialling or state.unknown:
                    return self
                if result.fault is not None and result.fault.otherwise is not None and self.refused_since(reason):
                    return self._end_attempt(result.fault.otherwise, now)
                count = min(state.deferrals, len(THROTTLE_BACKOFF_SECONDS) - 1)
                backoff = THROTTLE_BACKOFF_SECONDS[count] * (0.9 + 0.2 * jitter)
                wait = max(backoff, retry_after_seconds or 0.0)
                until = now + timedelta(milliseconds=round(wait * 1000))
                assert state.attempt.line_shard is not None, "a claimed attempt holds a line"
                keeps_line = result.may_keep_line and (retry_after_seconds or 0.0) <= THROTTLE_BACKOFF_SECONDS[-1]
                line_shard = state.attempt.line_shard if keeps_line else None
                return self.defer(now, held(until, reason, gate=None), line_shard=line_shard)

    def refused_since(self, reason: str) -> datetime | None:
        """When the claimed attempt was first refused; None unless its last refusal had that reason and it has waited
        `REFUSALS_OF_A_NUMBER` - 1 times since it was due."""
        last = self.changes[-2]
        is_repeated = last.kind is Marker.DEFERRED and last.reason == reason
        return last.since if is_repeated and last.count >= REFUSALS_OF_A_NUMBER - 1 else None

    def _hold(self, now: datetime, closed: Decision, line_shard: int | None, gates: str | None) -> "Execution":
        """Try the same attempt later. A claimed attempt is no longer claimed.

        Repeated deferrals are one change with a count. If the carrier caused the first of them `LATEST_START` ago, the
        attempt ends as `error`.
        """
        assert closed.until is not None, "the caller asked"
        changes, until, reason, provider = self.changes, closed.until, closed.reason, self.provider
        for_number = closed.gate is Gate.ONE_CALL
        if changes[-1].kind is Marker.CLAIMED:
            gates, provider = gates or changes[-1].gates, changes[-1].moved_from or provider
            changes = changes[:-1]
        before = replace(self, provider=provider, changes=changes)
        at = max(now, self.changes[-1].at + MILLISECOND)
        number, count, since, newer = self.state.attempt.number, 1, None, None
        last = changes[-1]
        if last.kind is Marker.DEFERRED:
            assert last.until is not None
            newer = last.newer
            if now - last.until < HOLDS_APART and last.waits_for_number == for_number:
                count, since = last.count + 1, last.since or last.at
                if now >= since + LATEST_START and not for_number:
                    hours = LATEST_START // timedelta(hours=1)
                    words = f"the carrier could not place it for {hours} hours: {reason}"
                    if closed.gate in (Gate.SCRUB, Gate.HOOK):
                        words = f"for {hours} hours {reason}"
                    return before.end(at, failed(words))
            before = replace(before, changes=changes[:-1])
        queued = before._queue(at, waits(reason), None)
        note = Change(
            Marker.DEFERRED,
            at,
            number,
            until,
            self.version + 1,
            line_shard,
            count,
            reason=reason,
            gates=gates,
            since=since,
            newer=newer,
            delayed=closed.delayed or None,
        )
        return queued._with(note)

    @property
    def is_held(self) -> bool:
        """Whether it waits for the carrier, an endpoint of its agent, or another call to its number, and is not
        claimed."""
        return self.state.is_waiting and self.changes[-1].kind is Marker.DEFERRED

    def wake(self, until: datetime) -> "Execution":
        """Have a held call tried at `until`, if that is earlier than planned."""
        last = self.changes[-1]
        assert self.is_held and last.until is not None, "the caller asked"
        if until >= last.until:
            return self
        return replace(self, changes=(*self.changes[:-1], replace(last, until=until, timer=self.version + 1)))

    def reported(self, attempt: int, report: CallReport, now: datetime) -> "Execution":
        """Apply the carrier's report on the call of `attempt`. The status only moves forward.

        A report on an earlier attempt, a final execution, or a call that is not this attempt's changes nothing.
        Exceptions: a lost attempt is reopened, and its retry dropped, while the retry is not claimed; after that the
        report is only recorded. Machine detection that reports after `completed` is recorded as well.
        """
        if not 1 <= attempt <= len(self.state.attempts):
            return self
        spoken_of = self.state.attempts[attempt - 1]
        if spoken_of.call_id not in (None, report.call_id):
            return self
        if not spoken_of.lost:
            if spoken_of.status is Status.COMPLETED and spoken_of.voicemail is None and report.voicemail is not None:
                return self._with(Change(Marker.DETECTED, now, attempt, voicemail=report.voicemail))
            return self._moved_by(attempt, report, now)
        if self.state.is_waiting and attempt == self.state.attempt.number - 1:
            found = self._with(Change(Marker.FOUND, now, attempt, call_id=report.call_id))
            moved = found._moved_by(attempt, report, now)
            return self if moved is found else moved
        if (self.state.is_final or self.state.is_live) and rank(report.status) > rank(spoken_of.late or Status.QUEUED):
            return self._with(Change(Marker.LATE, now, attempt, call_id=report.call_id, reason=str(report.status)))
        return self

    def _moved_by(self, attempt: int, report: CallReport, now: datetime) -> "Execution":
        """`reported` for an attempt that is not lost, or is reopened."""
        state = self.state
        current = state.attempt
        if attempt != current.number or not (state.is_dialling or state.is_live):
            return self
        result = self
        if state.is_dialling:
            result = result._with(Change(Status.INITIATED, now, attempt, call_id=report.call_id))
        if state.status is Status.CALL_DISCONNECTED:
            return self._detected_after_end(report, now)
        if report.outcome is None and _has_news(report, current):
            result = result._with(Change(Marker.DETECTED, now, attempt, voicemail=report.voicemail))
        if rank(report.status) <= rank(result.state.status):
            return result
        if report.outcome is None:
            return result._with(Change(report.status, now, attempt))
        outcome = report.outcome
        if outcome.voicemail is None:
            known = report.voicemail if report.voicemail is not None else current.voicemail
            outcome = replace(outcome, voicemail=known)
        if not (report.undecided or current.is_undecided) and result._waits_for_detection(outcome, now):
            return result._with(result._ending(Status.CALL_DISCONNECTED, outcome, now))
        return result._end_attempt(outcome, now)

    def _waits_for_detection(self, outcome: Outcome, now: datetime) -> bool:
        """Whether the call was answered, it is unknown whether by a machine, and a machine would lead to a retry."""
        if outcome.status is not Status.COMPLETED or outcome.voicemail is not None:
            return False
        machine = replace(outcome, voicemail=True)
        return isinstance(self._decide(machine, now), RetryAt)

    def _decide(self, outcome: Outcome, now: datetime) -> RetryAt | GiveUp:
        return decide(self.retry_config, self.state.attempts, outcome, now, self.expires_at)

    def _detected_after_end(self, report: CallReport, now: datetime) -> "Execution":
        """Complete an ended call once machine detection has reported, or `DETECTION_WAIT` is over."""
        is_over = report.undecided or now >= self.state.updated_at + DETECTION_WAIT
        return self._complete(report.voicemail, now) if is_over or report.voicemail is not None else self

    def _complete(self, voicemail: bool | None, now: datetime) -> "Execution":
        """Complete a call that is `call-disconnected`."""
        ended = self.state.attempt
        outcome = Outcome(
            Status.COMPLETED,
            voicemail=voicemail,
            reason=ended.reason,
            code=ended.code,
            duration_seconds=ended.duration_seconds,
            ring_seconds=ended.ring_seconds,
            hangup_by=ended.hangup_by,
            price=ended.price,
        )
        return self._end_attempt(outcome, now)

    def stop_call(self, now: datetime, reason: str, status: Status = Status.STOPPED) -> "Execution":
        """Record that the carrier is about to be asked to cancel this attempt's call. From now on `canceled` counts as
        `status`, and no retry follows, whatever the outcome. Returns the same execution if this is already recorded.

        Raises ValueError unless the call is queued or ringing at the carrier.
        """
        if not self.state.is_unanswered:
            raise ValueError("only a call that is not answered yet can be canceled")
        if self.state.attempt.stopping is not None:
            return self
        code = None if status is Status.STOPPED else str(status)
        return self._with(Change(Marker.STOPPING, now, self.state.attempt.number, reason=reason, code=code))

    def mark_lost(self, now: datetime, reason: str, *, permanent: bool = False) -> "Execution":
        """End the attempt as `error`: its call was never found, or the carrier no longer has it. `permanent`: the phone
        may have rung nevertheless, so no retry follows. A call whose end was reported becomes `completed` instead: only
        machine detection was missing."""
        if self.state.status is Status.CALL_DISCONNECTED:
            return self._complete(None, now)
        return self._end_attempt(Outcome(Status.ERROR, permanent=permanent, reason=reason), now, lost=True)

    def without_retry(self, reason: str) -> "Execution":
        """Replace the retry, which is the last change and not saved yet, with an end as `stopped`."""
        *others, ended, retry = self.changes
        assert retry.kind is Status.SCHEDULED and retry.attempt == ended.attempt + 1, "a retry was just decided on"
        stopped = Change(Status.STOPPED, retry.at, ended.attempt, ended=reason)
        return replace(self, changes=(*others, ended, stopped))

    def give_up(self, reason: str) -> "Execution":
        """Remove the retry, which is the last change and not saved yet: the attempt before it is the last one."""
        *others, ended, retry = self.changes
        assert retry.kind is Status.SCHEDULED and retry.attempt == ended.attempt + 1, "a retry was just decided on"
        return replace(self, changes=(*others, replace(ended, ended=reason)))

    def _end_attempt(self, outcome: Outcome, now: datetime, lost: bool = False) -> "Execution":
        """End the attempt, in one write with what `decide` says follows. Every attempt ends here."""
        ended_at, stopping = max(now, self.changes[-1].at + MILLISECOND), self.state.attempt.stopping
        stops_as = self.state.attempt.stops_as
        if stopping is not None and outcome.status is Status.CANCELED:
            return self._with(replace(self._ending(stops_as, outcome, now), ended=stopping))
        final = replace(self._ending(outcome.status, outcome, now), lost=lost or None)
        match self._decide(outcome, ended_at):
            case GiveUp(reason):
                return self._with(replace(final, ended=reason))
            case RetryAt() if stopping is not None:
                return self._with(final, Change(stops_as, now, final.attempt, ended=stopping))
            case RetryAt(attempt, at):
                scheduled = Change(Status.SCHEDULED, now, attempt, until=at, timer=self.version + 1)
                return self._with(final, scheduled)

    def _ending(self, status: Status, outcome: Outcome, now: datetime) -> Change:
        """The change to `status` with the outcome's facts. If the carrier gives no duration, it is the time since the
        answer."""
        attempt, duration_seconds = self.state.attempt, outcome.duration_seconds
        if duration_seconds is None and outcome.status is Status.COMPLETED and attempt.answered_at is not None:
            ended_at = max(now, self.changes[-1].at + MILLISECOND)
            duration_seconds = (ended_at - attempt.answered_at) // timedelta(seconds=1)
        return Change(
            status,
            now,
            attempt.number,
            reason=outcome.reason,
            code=outcome.code,
            voicemail=outcome.voicemail,
            duration_seconds=duration_seconds,
            ring_seconds=outcome.ring_seconds,
            hangup_by=outcome.hangup_by,
            invalid_number=outcome.invalid_number,
            price=None if outcome.price is None else str(outcome.price),
        )

    # ---- webhooks -------------------------------------------------------------------------------------------------

    def pending(self) -> tuple[int, ...]:
        """Sequences of the events to send, in order: those to replay, then unsettled ones whose status is wanted."""
        pending = pending_events(self.delivery, self.last_sequence)
        wanted = self.webhook_statuses
        if wanted is None or not pending:
            return pending
        replaying = self.delivery.replaying
        sent = {sequence for sequence, change in self.events() if change.kind in wanted}
        return tuple(sequence for sequence in pending if sequence in sent or sequence in replaying)

    def with_webhook_statuses(self, wanted: tuple[Status, ...] | None) -> "Execution":
        """Send only events with these statuses from now on. Earlier events that were not wanted stay unsent."""
        if wanted == self.webhook_statuses:
            return self
        settled = self.last_sequence if not self.pending() else self.delivery.settled
        return replace(self, webhook_statuses=wanted, delivery=replace(self.delivery, settled=settled))

    @property
    def last_sequence(self) -> int:
        """The sequence of the newest event."""
        return self.state.sequence

    def lease_delivery(self, lease_id: str, now: datetime) -> "Execution":
        """With the delivery leased to `lease_id`. The same execution if nothing is to be sent, another lease is valid,
        or the first pending event waits for its next try."""
        leased = self.delivery.leased(lease_id, now) if self.pending() else None
        return self if leased is None else replace(self, delivery=leased)

    # ---- when the sweeper must check ------------------------------------------------------------------------------

    def with_due(self, now: datetime) -> "Execution":
        """With `due_at` set: the time by which it must have progressed; None if nothing is left to happen."""
        wanted = self._wanted_due(now)
        if wanted is None:
            return replace(self, due_at=None)
        stored = self.due_at
        if stored is not None and stored > now and wanted - DUE_SLACK <= stored <= wanted + DUE_SLACK:
            return self
        return replace(self, due_at=wanted)

    def _wanted_due(self, now: datetime) -> datetime | None:
        state = self.state
        wanted: list[datetime] = []
        if state.is_dialling:
            wanted.append(self._next_question(now))
        elif state.is_unanswered:
            check = RINGING_CHECK if state.attempt.stopping is None else CANCEL_CHECK
            wanted.append(now + min(max(check, now - state.updated_at), CALL_CHECK))
        elif state.status is Status.CALL_DISCONNECTED:
            over = state.updated_at + DETECTION_WAIT
            wanted.append(over if now < over else now + min(max(DETECTION_WAIT, now - over), CALL_CHECK))
        elif state.is_live:
            wanted.append(now + CALL_CHECK)
        elif self.is_not_started:
            return None  # the sweeper checks only its batch; its first event is sent when it is dispatched
        elif state.is_waiting and not state.is_delayed:
            if state.timer is None:
                wanted.append(now + self._queue_check(now))
            else:
                timer = state.timer[1] + TIMER_GRACE
                wanted.append(timer if timer > now else now + TIMER_GRACE)
        if self.pending():
            wanted.append(self.delivery.due(state.updated_at, now))
        return min(wanted, default=None)

    def _next_question(self, now: datetime) -> datetime:
        """When the carrier is next asked for the call of a claimed attempt: 2, 3, 4 and 6 minutes after the claim. Then
        the attempt ends, unless its call may yet be found; if so, the intervals grow to `CALL_CHECK`."""
        claimed_at = self.state.claimed_at
        assert claimed_at is not None
        first, last = claimed_at + CLAIM_GRACE, claimed_at + UNKNOWN_DEADLINE
        if now < first:
            return first
        question = now + min(max(UNKNOWN_CHECK, now - first), CALL_CHECK)
        return min(question, last) if now < last else question

    def _queue_check(self, now: datetime) -> timedelta:
        """The wait until the next check of the queue entry. It grows with the time queued, so that a long queue costs
        little to check."""
        queued_at = self.state.queued_at or now
        return min(max(QUEUE_CHECK, now - queued_at), LONGEST_QUEUE_CHECK)

    @property
    def is_due_for_queue_check(self) -> bool:
        """Whether `due_at` is a check of the queue entry after the first one, which may wait until everything else is
        done.

        The first check may not wait: a call whose dial was lost looks the same. Most calls also leave the queue before
        it, so moving them between two partitions of the index would cost without a benefit.
        """
        state = self.state
        if not state.is_waiting or state.timer is not None or state.is_delayed or self.pending():
            return False
        if self.due_at is None or state.queued_at is None:
            return False
        return self.due_at > state.queued_at + QUEUE_CHECK + DUE_SLACK


def _apply(state: State, change: Change) -> None:
    """Fold one change into `state`."""
    state.updated_at = change.at
    if change.kind is Marker.LATE:
        assert change.reason is not None
        state.attempts[change.attempt - 1].late = Status(change.reason)
        return
    if not state.attempts or state.attempt.number != change.attempt:
        state.attempts.append(Attempt(change.attempt, Status.QUEUED, change.until or change.at))
        state.deferrals = 0
    attempt = state.attempt
    state.is_delayed = change.delayed or False
    if change.kind is Marker.CLAIMED:
        attempt.dialed_at = change.at
        attempt.from_number = change.from_number
        attempt.line_shard = change.line_shard
        state.claimed_at, state.unknown, state.timer = change.at, False, None
    elif change.kind is Marker.UNKNOWN:
        state.unknown = True
    elif change.kind is Marker.DEFERRED:
        assert change.until is not None and change.timer is not None
        attempt.line_shard = change.line_shard
        state.claimed_at, state.timer = None, (change.timer, change.until)
        if change.waits_for_number:
            state.deferrals = 0
        else:
            attempt.is_held, state.deferrals = True, change.count
        attempt.dialed_at = None
    elif change.kind is Marker.STOPPING:
        attempt.stopping, attempt.stops_as = change.reason, Status(change.code or Status.STOPPED)
    elif change.kind is Marker.DETECTED:
        attempt.voicemail, attempt.is_undecided = change.voicemail, change.voicemail is None
    elif isinstance(change.kind, Status):
        _apply_event(state, attempt, change, change.kind)


def _learn_ending(attempt: Attempt, change: Change) -> None:
    attempt.reason, attempt.code, attempt.hangup_by = change.reason, change.code, change.hangup_by
    attempt.duration_seconds, attempt.ring_seconds = change.duration_seconds, change.ring_seconds
    attempt.price = None if change.price is None else Price.parse(change.price)


def _has_news(report: CallReport, attempt: Attempt) -> bool:
    """Whether the report has a result of machine detection that the attempt does not have yet."""
    if report.voicemail is None:
        return report.undecided and attempt.voicemail is None and not attempt.is_undecided
    return report.voicemail != attempt.voicemail


def _apply_event(state: State, attempt: Attempt, change: Change, status: Status) -> None:
    state.sequence += 1
    if status in (Status.STOPPED, Status.CANCELED) and attempt.status in FINAL:  # its retry is canceled
        state.status, state.ended = status, change.ended
        return
    state.status = attempt.status = status
    if status in (Status.SCHEDULED, Status.RESCHEDULED):
        assert (change.until is None) == (change.timer is None)
        state.timer = None if change.until is None or change.timer is None else (change.timer, change.until)
        if status is Status.SCHEDULED:
            state.scheduled_at, state.rescheduled_at = change.until, None
        else:
            state.rescheduled_at = change.until
        state.queued_at = None
    elif status is Status.QUEUED:
        state.queued_at = change.at
        state.timer = None
    elif status is Status.INITIATED:
        attempt.call_id = change.call_id
        state.unknown = False
        state.timer = None
    elif status is Status.RINGING:
        attempt.rang_at = change.at
    elif status is Status.IN_PROGRESS:
        attempt.answered_at = change.at
    elif status is Status.CALL_DISCONNECTED:
        _learn_ending(attempt, change)
    elif status in FINAL:
        attempt.ended_at = change.at
        attempt.lost = change.lost or False
        _learn_ending(attempt, change)
        if change.invalid_number is None:  # a permanent failure stored before this field existed gives its reason twice
            attempt.invalid_number = status is Status.FAILED and change.ended in (change.reason or "", REFUSED_FOR_GOOD)
        else:
            attempt.invalid_number = change.invalid_number
        if change.voicemail is not None:
            attempt.voicemail = change.voicemail
        state.ended = change.ended
        state.timer = None
        if attempt.dialed_at is not None and (status is not Status.COMPLETED or change.ended is None):
            state.history.append((attempt.number, status, change.at))
        state.claimed_at = None
