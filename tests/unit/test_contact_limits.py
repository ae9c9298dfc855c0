"""Contact limits: compared with a slow reference, as text, in requests, as a gate; and the data stored for a number."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.adapters.dynamodb.numbers import _decode, _encode
from redial.api.contact_limits import ContactLimits as Requested
from redial.api.contact_limits import contact_limits_json
from redial.api.fields import validated
from redial.domain.called_number import CalledNumber, Contact, Reservation, Use, use_of
from redial.domain.contact_limits import (
    LONGEST_SPAN,
    MOST_ATTEMPTS,
    MOST_CAPS,
    AtCap,
    ContactHistory,
    ContactLimits,
    cap_text,
)
from redial.domain.decision import Decision, Gate, Verdict, held, stopped
from redial.domain.errors import InvalidInput
from redial.domain.execution import LATEST_START, Execution
from redial.domain.gates import Facts, ask, contact_limit, earliest, one_call
from redial.domain.outcome import Accepted, NotPlaced, Outcome, Refused
from redial.domain.status import Status
from tests.support.samples import CALLER_ID, TEN, agent, call_id, minutes, placed, queued, reported, saved, seconds

HOUR = timedelta(hours=1)
hours = st.integers(1, LONGEST_SPAN // HOUR).map(lambda count: count * HOUR)
limits = st.builds(
    ContactLimits,
    caps=st.lists(st.tuples(st.integers(1, 6), hours), max_size=MOST_CAPS).map(tuple),
    pause=st.one_of(st.just(timedelta()), hours),
    at_cap=st.sampled_from(AtCap),
).filter(lambda one: bool(one.caps or one.pause))
ago = st.timedeltas(timedelta(), LONGEST_SPAN)
histories = st.builds(
    lambda attempts, talked: ContactHistory(
        tuple(sorted(TEN - one for one in attempts)), None if talked is None else TEN - talked
    ),
    st.lists(ago, max_size=8),
    st.one_of(st.none(), ago),
)

RESERVATIONS = st.builds(Reservation, st.just("x" * 36), st.integers(1, 4), st.integers(1, 99), st.just(TEN))


def allows(one: ContactLimits, at: datetime, attempts: Sequence[datetime], talked_at: datetime | None) -> bool:
    """The reference: count the attempts."""
    for most, span in one.caps:
        if len([attempt for attempt in attempts if at - span < attempt <= at]) >= most:
            return False
    return talked_at is None or at >= talked_at + one.pause


@given(limits, histories)
def test_it_opens_at_the_first_instant_that_a_slow_reference_allows(
    one: ContactLimits, history: ContactHistory
) -> None:
    attempts, talked_at = history.attempts, history.talked_at
    changes = [at + span for _, span in one.caps for at in attempts]
    changes += [] if talked_at is None else [talked_at + one.pause]
    first = min(at for at in (TEN, *changes) if at >= TEN and allows(one, at, attempts, talked_at))
    opening = one.opens(TEN, history)
    assert (TEN if opening is None else opening[0]) == first
    if opening is not None:
        assert not allows(one, first - timedelta(microseconds=1), attempts, talked_at)


@given(limits)
def test_its_text_says_all_of_it(one: ContactLimits) -> None:
    assert ContactLimits.parse(str(one)) == one
    assert str(one) == str(one).lower()


@pytest.mark.parametrize(
    "text", ["3/24h,7/7d pause 24h end", "3/24h", "1/1h end", "pause 36h", "7/31d pause 2d", "2/36h,9/30d"]
)
def test_its_text_is_short(text: str) -> None:
    assert str(ContactLimits.parse(text)) == text


# ---- in requests ----------------------------------------------------------------------------------------------------


def test_a_request_names_them() -> None:
    sent = {
        "caps": [{"attempts": 7, "hours": 168}, {"attempts": 3, "hours": 24}, {"attempts": 3, "hours": 24}],
        "pause_after_conversation_hours": 24,
        "at_cap": "end",
    }
    one = Requested.model_validate(sent).to_limits()
    assert str(one) == "3/24h,7/7d pause 24h end"
    assert contact_limits_json(one) == {**sent, "caps": [{"attempts": 3, "hours": 24}, {"attempts": 7, "hours": 168}]}
    assert contact_limits_json(None) is None


@pytest.mark.parametrize("sent", [{}, {"caps": []}, {"caps": None, "at_cap": "end"}, {"at_cap": None}])
def test_a_request_without_a_limit_has_none(sent: dict[str, Any]) -> None:
    assert Requested.model_validate(sent).to_limits() is None


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"caps": [{"attempts": 51, "hours": 24}]}, "caps.0.attempts"),
        ({"caps": [{"attempts": 0, "hours": 24}]}, "caps.0.attempts"),
        ({"caps": [{"attempts": 3, "hours": 745}]}, "caps.0.hours"),
        ({"caps": [{"attempts": 3}]}, "caps.0.hours"),
        ({"caps": [{"attempts": 3, "hours": n} for n in range(1, 6)]}, "caps"),
        ({"pause_after_conversation_hours": 0}, "pause_after_conversation_hours"),
        ({"at_cap": "later"}, "at_cap"),
    ],
)
def test_a_limit_out_of_range_is_refused(sent: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        validated(Requested, sent)
    assert [one.field for one in raised.value.errors] == [field]


# ---- the gates ------------------------------------------------------------------------------------------------------


def facts(text: str | None, *attempts: datetime, account: str | None = None, **more: Any) -> Facts:
    history = ContactHistory(attempts, more.pop("talked_at", None))
    return Facts(
        more.pop("now", TEN),
        more.pop("execution", queued()),
        agent(contact_limits=text, **more),
        account_limits=None if account is None else ContactLimits.parse(account),
        contact=Contact(history),
    )


def test_without_limits_every_attempt_is_allowed() -> None:
    assert contact_limit(facts(None, *[TEN] * 50, talked_at=TEN)) == Decision(Gate.CONTACT_LIMIT)


def test_an_attempt_over_a_cap_waits_until_it_opens_and_that_is_announced() -> None:
    some = facts("2/24h,7/7d", TEN - 20 * HOUR, TEN - HOUR)
    decision = contact_limit(some)
    assert (decision.verdict, decision.until, decision.announced) == (Verdict.DEFER, TEN + 4 * HOUR, True)
    assert decision.reason == "the agent's contact limit 2/24h does not allow another attempt yet"
    assert decision.rule == "agent 2/24h"
    assert earliest(some, timedelta(days=2)) == (TEN + 4 * HOUR, (decision,))
    assert contact_limit(replace(some, now=TEN + 4 * HOUR)) == Decision(Gate.CONTACT_LIMIT, rule="2/24h,7/7d")


def test_all_limits_hold_and_the_last_to_open_decides() -> None:
    decision = contact_limit(facts("2/24h", TEN - 2 * HOUR, TEN - HOUR, account="1/36h"))
    assert (decision.until, decision.rule) == (TEN + 35 * HOUR, "account 1/36h")


def test_a_limit_that_ends_calls_is_stronger_than_one_that_opens_later() -> None:
    decision = contact_limit(facts("1/24h end", TEN - HOUR, account="1/7d"))
    assert (decision.verdict, decision.status) == (Verdict.END, Status.CANCELED)
    assert decision.reason == "the agent's contact limit 1/24h does not allow another attempt yet"


def test_limits_hold_where_guardrails_are_bypassed() -> None:
    call = replace(queued(), bypass_call_guardrails=True)
    assert not contact_limit(facts("1/24h", TEN - HOUR, execution=call)).allows
    assert not one_call(Facts(TEN, call, agent(), contact=Contact(live="another"))).allows


def test_the_pause_begins_at_the_end_of_a_conversation() -> None:
    decision = contact_limit(facts("pause 24h", talked_at=TEN - 6 * HOUR))
    assert (decision.until, decision.rule) == (TEN + 18 * HOUR, "agent pause 24h")


def test_a_wait_for_a_cap_and_then_for_calling_hours_is_foreseen() -> None:
    some = facts("1/24h", TEN - 20 * HOUR, call_start_hour=9, call_end_hour=17, time_zone="Europe/London")
    at, moved = earliest(some, timedelta(days=3))
    assert at == TEN.replace(hour=14), "within the hours of London"
    some = facts("1/24h", TEN - 14 * HOUR, call_start_hour=9, call_end_hour=17, time_zone="Europe/London")
    at, moved = earliest(some, timedelta(days=3))
    assert (at, [one.gate for one in moved]) == (
        TEN.replace(hour=9) + timedelta(days=1),
        [Gate.CONTACT_LIMIT, Gate.CALLING_WINDOW],
    )


def test_a_cap_that_opens_after_a_week_does_not_end_the_call_as_too_late() -> None:
    waiting = queued(scheduled_at=TEN)
    for _ in range(2):
        decision = contact_limit(facts("1/7d", waiting.state.timer[1], execution=waiting, now=waiting.state.timer[1]))  # type: ignore[index]
        waiting = saved(waiting.defer(waiting.state.timer[1], decision))  # type: ignore[index]
    timer = waiting.state.timer
    assert timer is not None and timer[1] == TEN + timedelta(days=14)
    assert waiting.state.status is Status.RESCHEDULED
    assert not waiting.state.is_too_late(timer[1] + LATEST_START)
    assert waiting.state.is_too_late(timer[1] + LATEST_START + seconds(1))


# ---- waiting for another call to the number -------------------------------------------------------------------------


def busy(execution: Execution, now: datetime) -> Execution:
    """Defer the execution because another call to the number is live."""
    decisions = ask((one_call,), Facts(now, execution, agent(), contact=Contact(live="another")))
    return saved(execution.defer(now, *decisions))


def test_waits_for_another_call_grow_from_a_minute_to_five() -> None:
    waiting, now = queued(), TEN
    waits = []
    for _ in range(7):
        waiting = busy(waiting, now)
        assert waiting.state.next_time is not None
        waits.append((waiting.state.next_time - now) // minutes(1))
        now = waiting.state.next_time
    assert waits == [1, 2, 3, 4, 5, 5, 5]
    assert (len(waiting.changes), waiting.changes[-1].count) == (2, 7)
    assert (waiting.state.sequence, waiting.state.status) == (1, Status.QUEUED), "nothing is announced"


def test_a_wait_for_another_call_never_ends_as_an_error_of_the_carrier() -> None:
    waiting, now = queued(), TEN
    while now < TEN + 2 * LATEST_START:
        waiting = busy(waiting, now)
        assert waiting.state.next_time is not None
        now = waiting.state.next_time
    assert waiting.state.is_waiting
    assert (waiting.state.deferrals, waiting.state.attempt.is_held) == (0, False)


def test_holds_of_the_carrier_are_measured_apart_from_waits_for_the_number() -> None:
    """Even if the two alternate for a day, no carrier has held the call for a day."""
    waiting, now = queued(), TEN
    while now < TEN + 2 * LATEST_START:
        waiting = busy(waiting, now)
        waiting = saved(waiting.defer(now + minutes(1), held(now + minutes(2), "carrier down")))
        now += minutes(2)
    assert waiting.state.is_waiting
    assert waiting.changes[-1].count == 1


# ---- the data stored for a number -----------------------------------------------------------------------------------


AT = TEN + seconds(5)


def holder(execution: Execution, attempt: int = 1) -> CalledNumber:
    return CalledNumber(holder=Reservation(execution.id, attempt, execution.version, AT))


@pytest.mark.parametrize(
    ("execution", "use"),
    [
        (None, Use.OVER),
        (queued(), Use.CLAIMING),
        (saved(queued()), Use.OVER),
        (saved(queued().claim(AT, CALLER_ID, 0, "a1b2c3d4")), Use.LIVE),
        (placed(queued(), AT), Use.LIVE),
        (reported(placed(queued(), AT), Status.IN_PROGRESS, AT + minutes(1)), Use.LIVE),
        (reported(placed(queued(), AT), Status.NO_ANSWER, AT + minutes(1)), Use.OVER),
        (reported(placed(queued(None), AT), Status.NO_ANSWER, AT + minutes(1)), Use.OVER),
        (saved(queued().end(AT, stopped("stopped by request"))), Use.OVER),
    ],
)
def test_what_a_holder_does_with_its_number(execution: Execution | None, use: Use) -> None:
    reservation = holder(queued()).holder
    assert reservation is not None
    assert use_of(reservation, execution) is use


def answered(execution: Execution, result: Any) -> Execution:
    claimed = saved(execution.claim(AT, CALLER_ID, 0, "a1b2c3d4"))
    return saved(claimed.answered_by_carrier(1, result, AT + seconds(1), 0.5))


@pytest.mark.parametrize(
    ("execution", "attempts", "talked"),
    [
        (queued(), 0, None),
        (saved(queued().end(AT, stopped("stopped by request"))), 0, None),
        (answered(queued(), NotPlaced("too many requests")), 0, None),
        (answered(queued(), Refused(Outcome(Status.FAILED, permanent=True, reason="no such number"))), 0, None),
        (saved(answered(queued(), Accepted(call_id(1))).mark_lost(AT + minutes(9), "lost", permanent=True)), 1, None),
        (saved(saved(queued().claim(AT, CALLER_ID, 0, "x")).mark_lost(AT + minutes(9), "lost")), 1, None),
        (reported(placed(queued(), AT), Status.NO_ANSWER, AT + minutes(1)), 1, None),
        (reported(placed(queued(), AT), Status.COMPLETED, AT + minutes(3), duration_seconds=60), 1, 3),
        (reported(placed(queued(), AT), Status.COMPLETED, AT + minutes(3), voicemail=True), 1, None),
        (None, 1, 0),
        (reported(placed(queued(None), AT), Status.COMPLETED, AT + minutes(3)).erase(), 1, 0),
    ],
    ids=[
        *("waits", "stopped", "not placed", "refused", "lost", "lost before an answer", "no answer"),
        *("conversation", "voicemail", "gone", "erased"),
    ],
)
def test_what_becomes_of_a_holder(execution: Execution | None, attempts: int, talked: int | None) -> None:
    kept = holder(queued()).without_holder(execution)
    assert kept.holder is None
    assert kept.history.attempts == (AT,) * attempts
    assert kept.history.talked_at == (None if talked is None else AT + minutes(talked))


def test_a_retry_counts_the_attempt_before_it_once() -> None:
    first = reported(placed(queued(), AT), Status.NO_ANSWER, AT + minutes(1))
    history = holder(queued()).without_holder(first).history
    due = first.state.next_time
    assert due is not None
    second = reported(placed(first, due), Status.NO_ANSWER, due + minutes(1))
    reserved = CalledNumber(history, Reservation(first.id, 2, first.version, due))
    assert reserved.without_holder(second).history.attempts == (AT, due)


def test_only_what_limits_can_count_is_kept() -> None:
    history = ContactHistory()
    for number in range(3 * MOST_ATTEMPTS):
        history = history.with_attempt(TEN + minutes(number))
    assert history.attempts == tuple(TEN + minutes(number) for number in range(2 * MOST_ATTEMPTS, 3 * MOST_ATTEMPTS))
    later = history.with_attempt(history.attempts[0] + LONGEST_SPAN)
    assert later.attempts == (*history.attempts[1:], history.attempts[0] + LONGEST_SPAN)
    assert history.count(TEN + minutes(3 * MOST_ATTEMPTS), HOUR) == MOST_ATTEMPTS
    assert history.count(TEN + minutes(3 * MOST_ATTEMPTS) + HOUR - minutes(2), HOUR) == 1


@given(histories, st.one_of(st.none(), RESERVATIONS))
def test_it_is_stored_in_one_write_unit(history: ContactHistory, reservation: Any) -> None:
    """This includes a full history: less than 1 KB."""
    rounded = ContactHistory(
        tuple(map(_millisecond, history.attempts)), history.talked_at and _millisecond(history.talked_at)
    )
    called = CalledNumber(rounded, reservation, 3)
    item = _encode(called) | {"v": 3}
    assert _decode(item) == called
    full = CalledNumber(
        ContactHistory(tuple(TEN + timedelta(hours=14) * n for n in range(MOST_ATTEMPTS)), TEN), reservation
    )
    key = f"T#{'a' * 36}#{'d' * 32}"
    assert len(json.dumps(_encode(full) | {"pk": key, "sk": "N", "v": 1, "expires_at": 1})) < 1000


def _millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def test_a_cap_in_words() -> None:
    assert [cap_text(3, 24 * HOUR), cap_text(7, 168 * HOUR), cap_text(1, 25 * HOUR)] == ["3/24h", "7/7d", "1/25h"]
