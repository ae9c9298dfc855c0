"""Keeping from dialling while a carrier fails for everybody: nobody's retries are used up by an outage.

The circuit is one stored item, which every function sees. While all is well it costs a dial nothing: a process looks at
it every few seconds, and writes only when something failed, or works again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redial.domain.circuit import Circuit, CircuitState
from redial.domain.outcome import DialResult
from redial.ports import Circuits, StaleVersion

LOOK_EVERY = timedelta(seconds=5)
"""How long a process takes a quiet circuit for quiet. So much later than another process may it notice an outage."""
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
    """What this takes; `seen` remembers the quiet circuits of this process, and when they were read."""

    circuits: Circuits
    now: Callable[[], datetime]
    seen: dict[tuple[str, str], tuple[Circuit, datetime]] = field(default_factory=dict)

    def admit(self, account_id: str, provider: str) -> Admission:
        """May this account's next call be placed with that carrier?"""
        circuit = self._look(account_id, provider)
        for _ in range(_MOST_TRIES):
            now = self.now()
            passed = circuit.let_through(now)
            if passed is None:
                break
            if passed is circuit:
                return Admission()
            try:
                self._remember(self.circuits.save(passed))
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            return Admission(probing=circuit.state is CircuitState.OPEN)
        return Admission(circuit.closed_until(self.now()), f"the carrier fails for all calls: {circuit.reason}")

    def tell(self, account_id: str, provider: str, result: DialResult, probing: bool) -> bool:
        """What the carrier answered to a dial that was let through; True where that opened the circuit."""
        circuit = self._look(account_id, provider)
        for _ in range(_MOST_TRIES):
            after = circuit.told(result, probing, self.now())
            if after is circuit:
                return False
            try:
                self._remember(self.circuits.save(after))
            except StaleVersion:
                circuit = self.circuits.get(account_id, provider)
                continue
            return circuit.state is not CircuitState.OPEN and after.state is CircuitState.OPEN
        return False

    def _look(self, account_id: str, provider: str) -> Circuit:
        known = self.seen.get((account_id, provider))
        if known is not None and self.now() - known[1] < LOOK_EVERY:
            return known[0]
        circuit = self.circuits.get(account_id, provider, lagging=True)
        self._remember(circuit)
        return circuit

    def _remember(self, circuit: Circuit) -> None:
        where = (circuit.account_id, circuit.provider)
        if circuit.is_quiet:
            self.seen[where] = (circuit, self.now())
        else:
            self.seen.pop(where, None)
