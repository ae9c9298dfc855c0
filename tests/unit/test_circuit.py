"""A carrier's circuit: when it opens, which dials it admits, how it resumes."""

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


def test_consecutive_failures_open_the_circuit_with_a_reason() -> None:
    circuit = opened()
    assert circuit.state is CircuitState.OPEN
    assert (circuit.opened_at, circuit.next_try_at, circuit.reason) == (OPENED_AT, NEXT_TRY, "Twilio answered 503")


def test_simultaneous_failures_open_the_circuit() -> None:
    circuit = NEW
    for _ in range(FAILURES_TO_OPEN - 1):
        circuit = circuit.record(FAILED, False, TEN)
    assert circuit.state is CircuitState.CLOSED
    assert circuit.record(FAILED, False, TEN).state is CircuitState.OPEN


def test_a_success_resets_the_failures() -> None:
    circuit = NEW
    for number in range(100):
        circuit = circuit.record(WORKED if number % FAILURES_TO_OPEN == 0 else FAILED, False, TEN + minutes(number))
    assert circuit.state is CircuitState.CLOSED


def test_failures_far_apart_do_not_add_up() -> None:
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
def test_which_answers_count_as_failures_of_the_carrier(result: DialResult, fails: bool) -> None:
    assert (NEW.record(result, False, TEN).failures == 1) is fails
    assert NEW.record(result, False, TEN).is_healthy is not fails


def test_a_throttled_call_counts_neither_as_failure_nor_as_success() -> None:
    failing = NEW.record(FAILED, False, TEN)
    assert failing.record(NotPlaced("429"), False, TEN) is failing


def test_a_closed_circuit_admits_every_call_without_a_write() -> None:
    failing = NEW.record(FAILED, False, TEN)
    assert NEW.admit(TEN) is NEW
    assert failing.admit(TEN) is failing


def test_an_open_circuit_admits_one_probe_after_its_wait() -> None:
    circuit = opened()
    assert circuit.admit(NEXT_TRY - seconds(1)) is None
    assert circuit.retry_at(OPENED_AT) == NEXT_TRY
    probe = probing()
    assert probe.admit(NEXT_TRY + seconds(1)) is None
    assert probe.retry_at(NEXT_TRY) == NEXT_TRY + PROBE_LASTS


def test_a_lost_probe_is_followed_by_another() -> None:
    assert probing().admit(NEXT_TRY + PROBE_LASTS) is not None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (FAILED, [minutes(wait) for wait in (1, 2, 4, 8, 15, 15)]),
        (NotPlaced("connection refused", outage=True), [minutes(1), *(minutes(wait) for wait in (2, 4, 5, 5, 5))]),
    ],
)
def test_failed_probes_are_spaced_out_further_if_each_may_cost_a_call(
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


def test_failures_of_calls_in_flight_when_the_circuit_opened_are_ignored() -> None:
    circuit = opened()
    assert circuit.record(FAILED, False, OPENED_AT + seconds(1)) is circuit
    assert circuit.record(WORKED, False, OPENED_AT + seconds(1)).state is CircuitState.RAMPING


def test_the_circuit_resumes_by_a_ramp() -> None:
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


def test_a_ramping_circuit_tolerates_one_failure_and_reopens_after_several() -> None:
    now = NEXT_TRY + seconds(10)
    circuit = resuming().record(FAILED, False, now).record(WORKED, False, now).record(FAILED, False, now)
    circuit = circuit.record(FAILED, False, now)
    assert circuit.state is CircuitState.RAMPING
    again = circuit.record(FAILED, False, now)
    assert again.state is CircuitState.OPEN
    assert again.next_try_at == now + WAITS[1]


RESULTS = st.sampled_from([FAILED, WORKED, NotPlaced("429"), Refused(Outcome(Status.FAILED))])


@given(st.lists(st.tuples(RESULTS, st.integers(0, 400), st.booleans())))
def test_any_sequence_leaves_the_circuit_in_one_state_that_admits_again(
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
