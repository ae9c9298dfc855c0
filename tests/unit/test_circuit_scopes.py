"""Circuits of caller ids and countries, and attention items: what opens them, what they hold, how they are resolved."""

from dataclasses import replace
from datetime import datetime

import pytest

from redial.domain.circuit import (
    FAILURES_TO_OPEN,
    FAILURES_TO_OPEN_AGAIN,
    NOTICED_FOR,
    RESUMING_FOR,
    WAITS_AFTER_UNKNOWN,
    Circuit,
    CircuitState,
)
from redial.domain.outcome import Accepted, DialResult, Fault, NotPlaced, Outcome, Refused, Scope, Unknown
from redial.domain.phone_number import country
from redial.domain.status import Status
from redial.usecases.circuit_breaker import Admission, Asked, CircuitBreaker
from tests.protocol.test_probes import Circuits
from tests.support.samples import TEN, minutes, seconds

CALLER = Circuit("acme", "twilio", scope=Scope.CALLER_ID, value="+14155550100")
COUNTRY = Circuit("acme", "twilio", scope=Scope.COUNTRY, value="US")
ACCOUNT = Circuit("acme", "twilio")
NOT_OWNED = NotPlaced("not one of the account's", fault=Fault(Scope.CALLER_ID, "21210"))
BLOCKED = NotPlaced("blocked", fault=Fault(Scope.COUNTRY, "21216", is_proof=False))
SUSPENDED = NotPlaced("suspended", outage=True, fault=Fault(Scope.ACCOUNT, "20005"))


def refused(circuit: Circuit, *numbers: int) -> Circuit:
    """The circuit after refusals of these numbers, one second apart."""
    for index, number in enumerate(numbers):
        circuit = circuit.record(BLOCKED, False, TEN + seconds(index), f"+1415555{number:04d}")
    return circuit


def test_one_refusal_that_is_proof_opens_a_circuit() -> None:
    for circuit, result in ((CALLER, NOT_OWNED), (ACCOUNT, SUSPENDED)):
        opened = circuit.record(result, False, TEN, "+14155550123")
        assert (opened.state, opened.opened_at, opened.next_try_at) == (CircuitState.OPEN, TEN, TEN + minutes(1))
        assert result.fault is not None and opened.code == result.fault.code


def test_refusals_that_may_be_the_numbers_open_a_circuit_only_for_different_numbers_in_a_row() -> None:
    assert refused(COUNTRY, *[1] * 20).failures == 1
    assert refused(COUNTRY, 1, 2, 3, 4, 4, 1).state is CircuitState.CLOSED
    placed = refused(COUNTRY, 1, 2, 3, 4).record(Accepted("CA1"), False, TEN + seconds(9))
    assert refused(placed, 5).failures == 1
    opened = refused(COUNTRY, 1, 2, 3, 4, 5)
    assert (opened.state, opened.code, opened.refused) == (CircuitState.OPEN, "21216", ())


@pytest.mark.parametrize(
    ("result", "account", "caller", "of_country"),
    [
        (Accepted("CA1"), True, True, True),
        (Refused(Outcome(Status.FAILED)), True, None, None),
        (Unknown("timeout"), False, None, None),
        (NotPlaced("429"), None, None, None),
        (NotPlaced("connection refused", outage=True), False, None, None),
        (SUSPENDED, False, None, None),
        (NOT_OWNED, True, False, None),
        (BLOCKED, True, None, False),
    ],
)
def test_what_an_answer_says_about_each_circuit(
    result: DialResult, account: bool | None, caller: bool | None, of_country: bool | None
) -> None:
    for circuit, works in ((ACCOUNT, account), (CALLER, caller), (COUNTRY, of_country)):
        opened = Circuit(
            "acme", "twilio", 1, scope=circuit.scope, value=circuit.value, opened_at=TEN, next_try_at=TEN + minutes(1)
        )
        after = opened.record(result, True, TEN + minutes(1), "+14155550123")
        assert (after.state is CircuitState.RAMPING) is (works is True)
        assert (after.probes == 1) is (works is False)
        assert (after is opened) is (works is None)


def test_probes_of_a_caller_id_are_spaced_out_up_to_a_quarter_of_an_hour() -> None:
    circuit, now, waits = CALLER.record(NOT_OWNED, False, TEN, "+14155550123"), TEN, []
    for _ in range(6):
        assert circuit.next_try_at is not None
        waits.append(circuit.next_try_at - now)
        now = circuit.next_try_at
        passed = circuit.admit(now)
        assert passed is not None
        circuit = passed.record(NOT_OWNED, True, now, "+14155550123")
    assert waits == [*WAITS_AFTER_UNKNOWN, WAITS_AFTER_UNKNOWN[-1]]
    assert circuit.opened_at == TEN


def test_a_resolved_circuit_admits_some_calls_and_opens_again_at_the_next_proof() -> None:
    resolved = CALLER.record(NOT_OWNED, False, TEN, "+14155550123").resolved(TEN + minutes(9))
    assert resolved.state is CircuitState.RAMPING and resolved.admit(TEN + minutes(9)) is not None
    again = resolved.record(NOT_OWNED, False, TEN + minutes(9), "+14155550123")
    assert (again.state, again.opened_at) == (CircuitState.OPEN, TEN)
    for_country = refused(refused(COUNTRY, 1, 2, 3, 4, 5).resolved(TEN), *range(FAILURES_TO_OPEN_AGAIN - 1))
    assert for_country.state is CircuitState.RAMPING
    assert refused(for_country, 7).state is CircuitState.OPEN


def test_a_resolved_circuit_of_an_account_is_probed_at_once() -> None:
    resolved = ACCOUNT.record(SUSPENDED, False, TEN, "+14155550123").resolved(TEN + seconds(5))
    assert (resolved.state, resolved.next_try_at) == (CircuitState.OPEN, TEN + seconds(5))
    assert ACCOUNT.resolved(TEN) is ACCOUNT


def test_what_needs_attention() -> None:
    assert not ACCOUNT.needs_attention(TEN)
    assert not ACCOUNT.record(Unknown("503"), False, TEN).needs_attention(TEN), "no more than a failed call"
    noticed = refused(COUNTRY, 1)
    assert noticed.needs_attention(TEN) and not noticed.needs_attention(TEN + NOTICED_FOR)
    assert not noticed.resolved(TEN).needs_attention(TEN)
    opened = refused(COUNTRY, *range(FAILURES_TO_OPEN))
    assert opened.needs_attention(TEN + 100 * NOTICED_FOR)
    resuming = opened.resolved(TEN)
    assert resuming.needs_attention(TEN) and not resuming.needs_attention(TEN + RESUMING_FOR)
    outage = ACCOUNT
    for _ in range(FAILURES_TO_OPEN):
        outage = outage.record(Unknown("503"), False, TEN)
    assert outage.needs_attention(TEN) and not outage.needs_person
    assert opened.needs_person


def test_the_code_is_kept_only_while_the_reason_is_the_same() -> None:
    opened = ACCOUNT.record(SUSPENDED, False, TEN, "+14155550123")
    assert opened.record(NotPlaced("suspended", outage=True), True, TEN).code == "20005", "as a check finds it"
    assert opened.record(NotPlaced("not reached", outage=True), True, TEN).code is None


def test_a_circuit_is_named_by_its_scope() -> None:
    assert [one.key for one in (ACCOUNT, CALLER, COUNTRY)] == [
        "twilio",
        "twilio#caller_id#+14155550100",
        "twilio#country#US",
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+14155550123", "US"),
        ("+14165550123", "CA"),
        ("+18765550123", "JM"),
        ("+447700900123", "GB"),
        ("+79991234567", "RU"),
        ("+80012345678", "+800"),
        ("+10000000000", "US"),
    ],
)
def test_the_country_of_a_number(number: str, expected: str) -> None:
    assert country(number) == expected


# ---- the breaker ----------------------------------------------------------------------------------------------------

OTHER_CALLER = "+14155550101"
ASKED = Asked("acme", "twilio", "+14155550123", (CALLER.value, OTHER_CALLER))


def held_caller() -> Circuit:
    """The circuit of a caller id, opened at `TEN`."""
    return replace(CALLER.record(NOT_OWNED, False, TEN, "+14155550123"), version=1)


def admitted(circuit: Circuit, asked: Asked, at: datetime) -> Admission:
    return CircuitBreaker(Circuits(circuit), lambda: at).admit(asked, lambda: "the check is for the account only")


def test_a_call_uses_the_first_caller_id_whose_calls_are_not_held() -> None:
    admission = admitted(held_caller(), ASKED, TEN + seconds(30))
    assert (admission.caller, admission.held_until) == (OTHER_CALLER, None)
    probe = admitted(held_caller(), ASKED, TEN + minutes(1))
    assert (probe.caller, probe.probes) == (CALLER.value, frozenset({held_caller().key}))


def test_a_call_with_that_caller_id_alone_is_held_and_needs_a_person() -> None:
    admission = admitted(held_caller(), replace(ASKED, callers=(CALLER.value,)), TEN + seconds(30))
    assert admission.held_until == TEN + minutes(1)
    assert admission.reason == f"calls from {CALLER.value} are held, see GET /attention: not one of the account's"
    assert admission.held_by is not None
    assert (admission.held_by.is_of_account, admission.held_by.needs_person) == (False, True)


@pytest.mark.parametrize(
    ("number", "is_held"), [("+14155550123", True), ("+14165550123", False), ("+447700900123", False)]
)
def test_a_countrys_circuit_holds_calls_to_that_country_only(number: str, is_held: bool) -> None:
    opened = replace(refused(COUNTRY, *range(FAILURES_TO_OPEN)), version=1)
    admission = admitted(opened, replace(ASKED, number=number), TEN + seconds(30))
    assert (admission.held_until is not None) is is_held


def test_a_refusal_is_recorded_for_its_scope_and_no_other() -> None:
    for result, circuit in ((NOT_OWNED, CALLER), (BLOCKED, COUNTRY), (SUSPENDED, ACCOUNT)):
        store = Circuits(circuit)
        opened = CircuitBreaker(store, lambda: TEN).record(ASKED, Admission(CALLER.value), result)
        assert store.circuit.key == circuit.key and store.circuit.failures > 0
        assert opened is (result is not BLOCKED)
