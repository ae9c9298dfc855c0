"""Plans a call: its attempts if all of them fail. Applies the gates, the claim and the retry decision, in the order of
dial, to an execution that is not stored.

All times assume that lines, rates and the carrier let every attempt start at once, and that its call ends without an
answer after the agent's ring timeout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from redial.domain.called_number import Contact
from redial.domain.calling_window import Placement, local_time
from redial.domain.decision import Decision, Gate, Verdict
from redial.domain.gates import (
    BEFORE_LINE,
    GATES,
    NEVER,
    OF_AGENT,
    Facts,
    ask,
    calling_window,
    from_number,
    is_bypassed,
)
from redial.domain.outcome import Accepted, CallReport, Outcome
from redial.domain.retry import RetryConfig, expired
from redial.domain.status import RETRYABLE, Status
from redial.domain.values import dataclass

HORIZON = timedelta(days=2 * 366)
"""How far ahead attempts are planned."""
EARLY_HOUR, LATE_HOUR = 9, 20
"""A call that may ring outside these hours of the day gets a warning. This is a hint for people, not a rule."""
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class PlannedAttempt:
    """An attempt that is dialled between `earliest_at` and `latest_at`. They differ if calls are spread over the
    minutes of an opening and its own second is not known yet. `latest_at` None: it may also not be dialled at all.
    `moved_by`: the decisions that deferred it, in order."""

    number: int
    earliest_at: datetime
    latest_at: datetime | None
    moved_by: tuple[Decision, ...]


@dataclass(frozen=True)
class Plan:
    """All attempts of a call. `closed`: the decision that ends the call, or defers it without a time; None: the retries
    are used up. `ends_because`: the reason in words. `assumed`, `call_time`: how each call ends, and after what time.
    `most_calls`: the number of calls if they end sooner than that."""

    attempts: tuple[PlannedAttempt, ...]
    closed: Decision | None
    ends_because: str
    assumed: Outcome
    call_time: timedelta
    most_calls: int


def plan(facts: Facts) -> Plan:
    """The plan of the waiting execution in `facts` from `facts.now` on. `facts.spread_second` must be set if the
    execution has no id of its own yet, see `Facts`."""
    outcome = worst_outcome(facts.execution.retry_config)
    agent = facts.agent
    call_time = timedelta(seconds=0 if agent is None else agent.ring_timeout_seconds)
    earliest = _course(facts, outcome, call_time)
    latest = earliest
    if facts.spread_second is not None:
        latest = _course(replace(facts, spread_second=-1), outcome, call_time, earliest)
    attempts = [
        PlannedAttempt(one.number, one.at, latest.dials[n].at if n < len(latest.dials) else None, one.moved_by)
        for n, one in enumerate(earliest.dials)
    ]
    most = _course(facts, outcome, timedelta())
    return Plan(tuple(attempts), earliest.closed, earliest.ends_because, outcome, call_time, len(most.dials))


def worst_outcome(config: RetryConfig | None) -> Outcome:
    """An outcome that leads to a retry, if the configuration has any; preferably `no-answer`."""
    if config is None or not config.enabled or Status.NO_ANSWER in config.retry_on_statuses:
        return Outcome(Status.NO_ANSWER)
    retried = next((status for status in RETRYABLE if status in config.retry_on_statuses), None)
    if retried is None and config.retry_on_voicemail:
        return Outcome(Status.COMPLETED, voicemail=True)
    return Outcome(retried or Status.NO_ANSWER)


@dataclass(frozen=True)
class _Dial:
    """A dial in the plan. `due`: when the gates first decided on the attempt; `at`: when they allowed it."""

    number: int
    due: datetime
    at: datetime
    moved_by: tuple[Decision, ...]


@dataclass(frozen=True)
class _Course:
    dials: list[_Dial]
    closed: Decision | None
    ends_because: str


def _course(facts: Facts, outcome: Outcome, call_time: timedelta, earliest: _Course | None = None) -> _Course:
    """Dial until the call is over. `earliest`: the earliest course, if the latest one is wanted."""
    dials: list[_Dial] = []
    moved: list[Decision] = []
    last, due = facts.now + HORIZON, facts.now
    while (at := facts.execution.state.next_time) is not None:
        if at > last:
            return _Course(dials, None, "later attempts are too far ahead to be planned")
        facts = replace(facts, now=max(at, facts.now))
        if not moved:
            due = facts.now
        decisions = _asked(facts)
        if decisions[-1].allows and earliest is not None and len(dials) < len(earliest.dials):
            by_window = [one for one in moved if one.gate is Gate.CALLING_WINDOW]
            late = None if by_window else _placed_late(facts, earliest.dials[len(dials)].due)
            decisions = decisions if late is None else (*decisions[:-1], late)
        closed = decisions[-1]
        if closed.allows:
            dials.append(_Dial(facts.execution.state.attempt.number, due, facts.now, tuple(moved)))
            facts, moved = _failed(facts, decisions, outcome, call_time), []
        elif closed.verdict is Verdict.END or closed.until is None or closed.rule == NEVER:
            return _Course(dials, closed, closed.reason)
        else:
            moved.append(closed)
            facts = replace(facts, execution=facts.execution.defer(facts.now, *decisions))
            if closed.gate is Gate.ONE_CALL:
                facts = replace(facts, contact=_over(facts.contact, facts.now))
    return _Course(dials, None, facts.execution.state.ended or "")


def _asked(facts: Facts) -> tuple[Decision, ...]:
    """The decisions of the gates in the order of dial: first those that need no line. If these end the call, no other
    gate runs."""
    first = ask(BEFORE_LINE if facts.execution.batch_id is None else OF_AGENT, facts)
    return first if first[-1].verdict is Verdict.END else ask(GATES, facts)


def _failed(facts: Facts, decisions: Sequence[Decision], outcome: Outcome, call_time: timedelta) -> Facts:
    """The facts after the attempt was dialled and its call has ended."""
    execution, agent = facts.execution, facts.agent
    assert agent is not None, "a gate asks for it"
    caller = from_number(execution, agent, facts.batch)
    assert caller is not None, "a gate asks for it"
    number, ended_at = execution.state.attempt.number, facts.now + call_time
    call_id = f"planned {number}"
    claimed = execution.claim(facts.now, caller, 0, call_id, decisions)
    placed = claimed.answered_by_carrier(number, Accepted(call_id), facts.now, 0.5)
    ended = placed.reported(number, CallReport(call_id, outcome.status, outcome), ended_at)
    dialled_at = claimed.state.attempt.dialed_at
    assert dialled_at is not None, "it is claimed"
    contact = replace(facts.contact, history=facts.contact.history.with_attempt(dialled_at))
    return replace(facts, now=ended_at, execution=ended, contact=contact)


def _over(contact: Contact, at: datetime) -> Contact:
    """The contact at the next check: assumes that the other call to the number is over, and was dialled just now."""
    return Contact(contact.history.with_attempt(at))


def _placed_late(facts: Facts, earliest: datetime) -> Decision | None:
    """The decision that could defer an attempt that may be dialled now. Had it come a little earlier, but not before
    `earliest`, it could have come before an opening, and then wait for its later second of the spread. None: it would
    not be deferred."""
    rule, now = facts.rule[1], facts.now
    if rule is None or rule.placement is not Placement.SPREAD or is_bypassed(facts):
        return None
    at, first = now, max(earliest, now - timedelta(minutes=rule.spread_minutes))
    while at > first:
        at = max(first, at - _MINUTE)
        closed = calling_window(replace(facts, now=at))
        if closed.until is not None:
            return closed if closed.until > now else None
    return None


# ---- warnings -----------------------------------------------------------------------------------------------------


def warnings(made: Plan, facts: Facts) -> Iterator[str]:
    """What a person should know about the plan before the call is made, in words."""
    for attempt in made.attempts:
        for moved in attempt.moved_by:
            if moved.gate is not Gate.CALLING_WINDOW and moved.until is not None:
                yield f"attempt {attempt.number} waits until {_utc(moved.until)}: {moved.reason}"
        early_or_late = _early_or_late(attempt, facts)
        if early_or_late is not None:
            yield early_or_late
        if attempt.latest_at is None:
            yield f"attempt {attempt.number} may not be dialled, if the attempts before it are late"
    expires_at = facts.expires_at
    if made.closed is None and expires_at is not None and made.ends_because.startswith(expired(expires_at)):
        yield f"attempt {len(made.attempts) + 1} is not dialled: {made.ends_because}"
    if made.closed is not None:
        what = "is not dialled" if made.closed.verdict is Verdict.END else "waits without a time"
        yield f"attempt {len(made.attempts) + 1} {what}: {made.closed.reason}"


def _early_or_late(attempt: PlannedAttempt, facts: Facts) -> str | None:
    """A warning if the attempt may ring at an unusual hour in one of its zones. A calling rule in a single zone gives
    no warning: its hours are intended."""
    zones = facts.zones
    if len(zones) == 1 and facts.rule[1] is not None and not is_bypassed(facts):
        return None
    for at in (attempt.earliest_at, attempt.latest_at or attempt.earliest_at):
        for zone in zones:
            local = local_time(at, zone)
            if EARLY_HOUR <= local.hour < LATE_HOUR:
                continue
            if len(zones) == 1:
                return f"attempt {attempt.number} rings at {local:%H:%M} in {zone}"
            where = f"{zone}, one of the {len(zones)} time zones that the number may be in"
            return f"attempt {attempt.number} may ring at {local:%H:%M} in {where}"
    return None


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
