"""A carrier's circuit: when it opens, who is let through, how it comes back."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.circuit import (
    FAILURES_TO_OPEN,
    FORGET_AFTER,
    PROBE_LASTS,
    RESUMING_FOR,
    WAITS,
    WAITS_AFTER_UNKNOWN,
    Circuit,
    CircuitState,
)
from redial.domain.outcome import Accepted, DialResult, NotPlaced, Outcome, Refused, Unknown
from redial.domain.status import Status
from tests.support.samples import TEN, minutes, seconds

NEW = Circuit("acme", "twilio")
FAILED = Unknown("Twilio answered 503")
WORKED = Accepted("CA1")


def opened() -> Circuit:
    circuit = NEW
    for number in range(FAILURES_TO_OPEN):
        circuit = circuit.record(FAILED, False, TEN + seconds(3 * number))
    return circuit


OPENED_AT = TEN + seconds(3 * (FAILURES_TO_OPEN - 1))
NEXT_TRY = OPENED_AT + WAITS[0]


def probing() -> Circuit:
    passed = opened().admit(NEXT_TRY)
    assert passed is not None
    return passed


def resuming() -> Circuit:
    return probing().record(WORKED, True, NEXT_TRY)


def test_some_failures_in_a_row_open_it_and_say_why() -> None:
    circuit = opened()
    assert circuit.state is CircuitState.OPEN
    assert (circuit.opened_at, circuit.next_try_at, circuit.reason) == (OPENED_AT, NEXT_TRY, "Twilio answered 503")


def test_failures_at_the_same_moment_open_it_as_well_for_each_more_may_cost_a_call() -> None:
    circuit = NEW
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit = circuit.record(FAILED, False, TEN)
    assert circuit.state is CircuitState.CLOSED
    assert circuit.record(FAILED, False, TEN).state is CircuitState.OPEN


def test_one_call_that_works_ends_a_series_of_failures() -> None:
    circuit = NEW
    for number in range(100):
        circuit = circuit.record(WORKED if number % FAILURES_TO_OPEN == 0 else FAILED, False, TEN + minutes(number))
    assert circuit.state is CircuitState.CLOSED


def test_failures_that_are_far_apart_are_no_series() -> None:
    circuit = NEW
    for number in range(FAILURES_TO_OPEN * 2):
        circuit = circuit.record(FAILED, False, TEN + number * (FORGET_AFTER + seconds(1)))
    assert circuit.failures == 1


@pytest.mark.parametrize(
    ("result", "fails"),
    [
        (Unknown("timeout"), True),
        (NotPlaced("connection refused", outage=True), True),
        (NotPlaced("the account is suspended", outage=True), True),
        (NotPlaced("429"), False),
        (Refused(Outcome(Status.FAILED, permanent=True)), False),
        (WORKED, False),
    ],
)
def test_what_speaks_against_the_carrier(result: DialResult, fails: bool) -> None:
    assert (NEW.record(result, False, TEN).failures == 1) is fails
    assert NEW.record(result, False, TEN).is_healthy is not fails


def test_a_throttled_call_neither_fails_nor_shows_that_the_carrier_works() -> None:
    failing = NEW.record(FAILED, False, TEN)
    assert failing.record(NotPlaced("429"), False, TEN) is failing


def test_while_it_is_closed_everybody_is_let_through_and_nothing_is_written() -> None:
    failing = NEW.record(FAILED, False, TEN)
    assert NEW.admit(TEN) is NEW
    assert failing.admit(TEN) is failing


def test_while_it_is_open_nobody_is_let_through_until_its_wait_is_over_and_then_one() -> None:
    circuit = opened()
    assert circuit.admit(NEXT_TRY - seconds(1)) is None
    assert circuit.retry_at(OPENED_AT) == NEXT_TRY
    probe = probing()
    assert probe.admit(NEXT_TRY + seconds(1)) is None
    assert probe.retry_at(NEXT_TRY) == NEXT_TRY + PROBE_LASTS


def test_a_probe_that_is_never_heard_of_is_followed_by_another() -> None:
    assert probing().admit(NEXT_TRY + PROBE_LASTS) is not None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (FAILED, [minutes(wait) for wait in (1, 2, 4, 8, 15, 15)]),
        (NotPlaced("connection refused", outage=True), [minutes(1), *(minutes(wait) for wait in (2, 4, 5, 5, 5))]),
    ],
)
def test_probes_that_fail_are_made_less_and_less_often_above_all_where_each_may_cost_a_call(
    result: DialResult, expected: list[timedelta]
) -> None:
    circuit, now, waits = opened(), OPENED_AT, []
    for _ in range(6):
        assert circuit.next_try_at is not None
        waits.append(circuit.next_try_at - now)
        now = circuit.next_try_at
        passed = circuit.admit(now)
        assert passed is not None
        circuit = passed.record(result, True, now)
    assert waits == expected
    assert circuit.opened_at == OPENED_AT


def test_answers_to_calls_that_were_under_way_when_it_opened_say_nothing_new_unless_they_work() -> None:
    circuit = opened()
    assert circuit.record(FAILED, False, OPENED_AT + seconds(1)) is circuit
    assert circuit.record(WORKED, False, OPENED_AT + seconds(1)).state is CircuitState.RAMPING


def test_it_resumes_by_a_ramp() -> None:
    circuit, passed_by = resuming(), []
    for minute in range(5):
        now = NEXT_TRY + minutes(minute)
        while (passed := circuit.admit(now)) is not None:
            circuit = passed
        passed_by.append(circuit.resumed)
        assert circuit.retry_at(now) == now + minutes(1)
    assert passed_by == [10, 40, 160, 640, 2560]
    ended = circuit.admit(NEXT_TRY + RESUMING_FOR)
    assert ended == Circuit("acme", "twilio", circuit.version)


def test_while_it_resumes_one_failure_is_forgiven_and_some_in_a_row_open_it_again_for_longer() -> None:
    now = NEXT_TRY + seconds(10)
    circuit = resuming().record(FAILED, False, now).record(WORKED, False, now).record(FAILED, False, now)
    circuit = circuit.record(FAILED, False, now)
    assert circuit.state is CircuitState.RAMPING
    again = circuit.record(FAILED, False, now)
    assert again.state is CircuitState.OPEN
    assert again.next_try_at == now + WAITS[1]


RESULTS = st.sampled_from([FAILED, WORKED, NotPlaced("429"), Refused(Outcome(Status.FAILED))])


@given(st.lists(st.tuples(RESULTS, st.integers(0, 400), st.booleans())))
def test_whatever_comes_it_is_in_one_state_and_never_shut_for_good(
    story: list[tuple[DialResult, int, bool]],
) -> None:
    circuit, now = NEW, TEN
    for result, passed_seconds, probe in story:
        now += seconds(passed_seconds)
        passed = circuit.admit(now)
        if passed is None:
            wait = circuit.retry_at(now) - now
            assert timedelta(0) < wait <= WAITS_AFTER_UNKNOWN[-1]
        else:
            probing = circuit.state is CircuitState.OPEN
            circuit = passed.record(result, probing and probe, now)
        match circuit.state:
            case CircuitState.CLOSED:
                assert circuit.next_try_at is None and circuit.resumed_at is None
            case CircuitState.OPEN:
                assert circuit.next_try_at is not None and circuit.resumed_at is None
            case CircuitState.RAMPING:
                assert circuit.next_try_at is None and circuit.resumed_at is not None
    if circuit.state is CircuitState.OPEN:
        assert circuit.admit(now + WAITS_AFTER_UNKNOWN[-1] + PROBE_LASTS) is not None
