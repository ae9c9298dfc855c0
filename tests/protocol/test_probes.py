"""One caller at a time probes an open circuit, and places a call only after a check that places none."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from redial.domain.account_event import AccountEvent
from redial.domain.circuit import Circuit, CircuitState
from redial.ports import StaleVersion
from redial.usecases.circuit_breaker import Asked, CircuitBreaker
from tests.support.samples import ACCOUNT_ID, CALLER_ID, TEN, minutes

NOW = TEN + minutes(30)
ASKED = Asked(ACCOUNT_ID, "twilio", "+14155550123", (CALLER_ID,))


class Circuits:
    """One circuit with optimistic locking; `seen`: as a stale read returns it."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = self.seen = circuit

    def get(self, account_id: str, provider: str) -> Circuit:
        return self.circuit

    def fresh(self, circuit: Circuit) -> Circuit:
        return self.circuit

    def cached(self, account_id: str, provider: str) -> Mapping[str, Circuit]:
        return {self.seen.key: self.seen}

    def all(self, account_id: str) -> list[Circuit]:
        return [self.circuit]

    def save(self, circuit: Circuit, event: AccountEvent | None = None) -> Circuit:
        if circuit.version != self.circuit.version:
            raise StaleVersion(circuit.account_id)
        self.circuit = self.seen = replace(circuit, version=circuit.version + 1)
        return self.circuit


def opened() -> Circuits:
    """Open for half an hour, and due for a probe."""
    return Circuits(Circuit(ACCOUNT_ID, "twilio", 1, 5, TEN, TEN, "503", opened_at=TEN, next_try_at=NOW))


@pytest.mark.parametrize("wrong", ["the account is suspended", None])
def test_a_call_probes_an_open_circuit_only_where_a_check_finds_nothing_wrong(wrong: str | None) -> None:
    circuits = opened()
    admission = CircuitBreaker(circuits, lambda: NOW).admit(ASKED, lambda: wrong)
    assert (admission.probes == {"twilio"}) == (wrong is None)
    assert (admission.held_until is None) == (wrong is None)
    assert circuits.circuit.state is CircuitState.OPEN
    assert circuits.circuit.probes == (0 if wrong is None else 1)


def test_of_two_callers_that_read_the_same_open_circuit_one_probes_it() -> None:
    circuits = opened()
    both = circuits.circuit
    breaker = CircuitBreaker(circuits, lambda: NOW)
    first = breaker.admit(ASKED, lambda: None)
    circuits.seen = both
    second = breaker.admit(ASKED, lambda: None)
    assert (first.probes, second.probes) == (frozenset({"twilio"}), frozenset())
    assert second.held_until is not None and second.held_until > NOW
