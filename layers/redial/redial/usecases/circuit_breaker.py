"""Keeping from dialling while a carrier fails for all calls: an outage uses up no retries.

The circuit is one stored item, which every function sees. A healthy carrier costs a dial nothing: a process reads the
circuit every few seconds, and writes only when something failed, or works again. An open circuit is probed by a check,
which places nothing, and only then by a call.
"""

from collections.abc import Callable
from datetime import datetime

from redial.domain.circuit import Circuit, CircuitState
from redial.domain.outcome import DialResult, NotPlaced
from redial.domain.values import dataclass
from redial.ports import Circuits, StaleVersion

_MOST_TRIES = 5
"""Lost races before a dial waits, or an answer is not counted: then others are counting."""


@dataclass(frozen=True)
class Admission:
    """Whether one dial may go ahead. `held_until`: not before; `reason`: why. `probing`: it tries an open circuit."""

    held_until: datetime | None = None
    reason: str = ""
    probing: bool = False


@dataclass(frozen=True)
class CircuitBreaker:
    """Admits dials, and records what the carrier answered to them."""

    circuits: Circuits
    now: Callable[[], datetime]

    def admit(self, account_id: str, provider: str, check: Callable[[], str | None]) -> Admission:
        """May this account's next call be placed with that carrier? `check`: what is wrong with the carrier, as far as
        it can tell without placing a call (None: nothing)."""
        circuit = self.circuits.cached(account_id, provider)
        for _ in range(_MOST_TRIES):
            now = self.now()
            passed = circuit.admit(now)
            if passed is None:
                break
            if passed is circuit:
                return Admission()
            try:
                self.circuits.save(passed)
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            if circuit.state is not CircuitState.OPEN:
                return Admission()
            wrong = check()
            if wrong is None:
                return Admission(probing=True)
            self.record(account_id, provider, NotPlaced(wrong, outage=True), probing=True)
            return self._held(self.circuits.get(account_id, provider), wrong)
        return self._held(circuit, circuit.reason)

    def _held(self, circuit: Circuit, reason: str | None) -> Admission:
        return Admission(circuit.retry_at(self.now()), f"the carrier fails for all calls: {reason}")

    def record(self, account_id: str, provider: str, result: DialResult, probing: bool) -> bool:
        """Record the result of an admitted dial; True if it opened the circuit."""
        circuit = self.circuits.cached(account_id, provider)
        for _ in range(_MOST_TRIES):
            after = circuit.record(result, probing, self.now())
            if after is circuit:
                return False
            try:
                self.circuits.save(after)
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            return circuit.state is not CircuitState.OPEN and after.state is CircuitState.OPEN
        return False
