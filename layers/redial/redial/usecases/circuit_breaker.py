"""Keeping from dialling while a carrier fails for everybody: nobody's retries are used up by an outage.

The circuit is one stored item, which every function sees. While all is well it costs a dial nothing: a process looks at
it every few seconds, and writes only when something failed, or works again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from redial.domain.circuit import CircuitState
from redial.domain.outcome import DialResult
from redial.ports import Circuits, StaleVersion

_MOST_TRIES = 5
"""How often somebody else may be quicker before a dial waits, or an answer is left uncounted: others are counting."""


@dataclass(frozen=True)
class Admission:
    """Whether one dial may go ahead. `held_until`: not before; `reason`: why. `probing`: it tries an open circuit."""

    held_until: datetime | None = None
    reason: str = ""
    probing: bool = False


@dataclass(frozen=True)
class CircuitBreaker:
    """What this takes."""

    circuits: Circuits
    now: Callable[[], datetime]

    def admit(self, account_id: str, provider: str) -> Admission:
        """May this account's next call be placed with that carrier?"""
        circuit = self.circuits.recent(account_id, provider)
        for _ in range(_MOST_TRIES):
            now = self.now()
            passed = circuit.let_through(now)
            if passed is None:
                break
            if passed is circuit:
                return Admission()
            try:
                self.circuits.save(passed)
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            return Admission(probing=circuit.state is CircuitState.OPEN)
        return Admission(circuit.closed_until(self.now()), f"the carrier fails for all calls: {circuit.reason}")

    def tell(self, account_id: str, provider: str, result: DialResult, probing: bool) -> bool:
        """What the carrier answered to a dial that was let through; True where that opened the circuit."""
        circuit = self.circuits.recent(account_id, provider)
        for _ in range(_MOST_TRIES):
            after = circuit.told(result, probing, self.now())
            if after is circuit:
                return False
            try:
                self.circuits.save(after)
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            return circuit.state is not CircuitState.OPEN and after.state is CircuitState.OPEN
        return False
