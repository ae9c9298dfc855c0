"""Holds calls while a carrier refuses all calls of an account, from a caller id or to a country. Neither an outage nor
a fault of the account uses up retries.

Each circuit is one stored item, shared by all functions. A healthy carrier adds no cost to a dial: a process reads the
carrier's circuits every few seconds in one request, and writes only after a failure or a recovery. The open circuit of
an account is probed by a check, which places no call, and only then by a call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from redial.domain.account_event import attention_event
from redial.domain.circuit import Circuit, CircuitState
from redial.domain.outcome import Accepted, DialResult, NotPlaced, Scope
from redial.domain.values import dataclass
from redial.ports import Circuits, Services, StaleVersion

SHORTEST_SPREAD = timedelta(seconds=30)
LONGEST_SPREAD = timedelta(minutes=5)
"""Held calls are tried again spread over a time as long as their wait, within these bounds, not all at once."""
_MOST_TRIES = 5
"""Tries while other writers are faster; then a dial waits, or a result is not counted, since the others count
theirs."""


@dataclass(frozen=True)
class Asked:
    """A dial that asks for admission. `callers`: the caller ids that it may use, in order of preference."""

    account_id: str
    provider: str
    number: str
    callers: Sequence[str]


@dataclass(frozen=True)
class Admission:
    """The decision on one dial, from `caller`. `held_until`: None if it is admitted; else the dial is tried again then,
    plus up to `spread`. `reason`: why it is held. `held_by`: the circuit that holds it. `probes`: the keys of the open
    circuits that it probes."""

    caller: str
    held_until: datetime | None = None
    spread: timedelta = SHORTEST_SPREAD
    reason: str = ""
    held_by: Circuit | None = None
    probes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CircuitBreaker:
    """Admits dials, and records their results. `deliver`: has an event of the account delivered."""

    circuits: Circuits
    now: Callable[[], datetime]
    deliver: Callable[[str], object] = lambda event_id: None

    def admit(self, asked: Asked, check: Callable[[], str | None]) -> Admission:
        """Decide whether this call may be placed, and from which caller id: the first whose calls are not held, if
        there is one. `check` returns what is wrong with the carrier account, as far as can be checked without placing a
        call, or None."""
        caller, found, holds = self._found(asked)
        if holds is not None:  # checked before the first write: a probe that another circuit holds would be lost
            return self._held(holds, caller)
        probes = []
        for circuit in found:
            admitted, was_open = self._pass(circuit)
            if admitted is None:
                return self._held(self.circuits.fresh(circuit), caller)
            if not was_open:
                continue
            if circuit.is_of_account and (wrong := check()) is not None:
                self._save_result(admitted, NotPlaced(wrong, outage=True), True, "")
                return self._held(self.circuits.fresh(circuit), caller, wrong)
            probes.append(circuit.key)
        return Admission(caller, probes=frozenset(probes))

    def holds(self, asked: Asked) -> str | None:
        """Why a circuit would hold the call now, in words; None if none would. Writes nothing."""
        circuit = self._found(asked)[2]
        return None if circuit is None else held_because(circuit)

    def _found(self, asked: Asked) -> tuple[str, list[Circuit], Circuit | None]:
        """The caller id of the call, the stored circuits that concern it, and the first of these that holds it, if
        any."""
        known, now = self.circuits.cached(asked.account_id, asked.provider), self.now()

        def is_held(caller: str) -> bool:
            circuit = known.get(_new(asked, Scope.CALLER_ID, caller).key)
            return circuit is not None and circuit.admit(now) is None

        caller = next((one for one in asked.callers if not is_held(one)), asked.callers[0])
        found = [circuit for circuit in self._of(asked, caller, known) if circuit.version]
        return caller, found, next((circuit for circuit in found if circuit.admit(now) is None), None)

    def _pass(self, circuit: Circuit) -> tuple[Circuit | None, bool]:
        """The circuit after it admitted the dial (None: it did not), and whether it was open."""
        for _ in range(_MOST_TRIES):
            passed = circuit.admit(self.now())
            if passed is None or passed is circuit:
                return passed, False
            try:
                return self.circuits.save(passed), circuit.state is CircuitState.OPEN
            except StaleVersion:
                circuit = self.circuits.fresh(circuit)
        return None, False

    def _held(self, circuit: Circuit, caller: str, reason: str | None = None) -> Admission:
        now = self.now()
        until, spread = circuit.retry_at(now), SHORTEST_SPREAD
        if not circuit.is_of_account:
            spread = min(max(until - now, SHORTEST_SPREAD), LONGEST_SPREAD)
        return Admission(caller, until, spread, held_because(circuit, reason), circuit)

    def record(self, asked: Asked, admission: Admission, result: DialResult) -> bool:
        """Record the result of an admitted dial. True if this opened a circuit."""
        known = self.circuits.cached(asked.account_id, asked.provider)
        fault = result.fault if isinstance(result, NotPlaced) else None
        scope = Scope.ACCOUNT if fault is None else fault.scope
        opened = False
        for circuit in self._of(asked, admission.caller, known, scope):
            if circuit.version or circuit.scope in (scope, Scope.ACCOUNT):
                probing = circuit.key in admission.probes
                opened |= self._save_result(circuit, result, probing, asked.number)
        return opened

    def places_others(self, asked: Asked, since: datetime) -> bool:
        """Whether a call to the number's country was placed after the refusal at `since`. A placed call resets the
        country's circuit, so its failures then began after that, if it has any."""
        from redial.domain.phone_number import country

        circuit = self.circuits.fresh(_new(asked, Scope.COUNTRY, country(asked.number)))
        return circuit.failing_since is None or circuit.failing_since > since

    def admit_question(self, circuit: Circuit) -> Admission:
        """Decide whether the endpoint of this circuit may be asked. `circuit`: a new one, whose stored state is
        read."""
        known = self.circuits.cached(circuit.account_id, circuit.provider).get(circuit.key)
        if known is None:
            return Admission("")
        admitted, was_open = self._pass(known)
        if admitted is None:
            return self._held(self.circuits.fresh(known), "")
        return Admission("", probes=frozenset({known.key} if was_open else ()))

    def record_answer(self, circuit: Circuit, admission: Admission, error: str | None) -> bool:
        """Record that the endpoint answered, or why it did not (`error`). True if this opened the circuit."""
        known = self.circuits.cached(circuit.account_id, circuit.provider).get(circuit.key, circuit)
        if error is None and not known.version:
            return False
        result = Accepted("") if error is None else NotPlaced(error, outage=True)
        return self._save_result(known, result, known.key in admission.probes, "")

    def _save_result(self, circuit: Circuit, result: DialResult, probing: bool, number: str) -> bool:
        for _ in range(_MOST_TRIES):
            now = self.now()
            after = circuit.record(result, probing, now, number)
            if after is circuit:
                return False
            event = attention_event(circuit, after, now)
            try:
                self.circuits.save(after, event)
            except StaleVersion:
                circuit = self.circuits.fresh(circuit)
                continue
            if event is not None:
                self.deliver(event.id)
            return circuit.state is not CircuitState.OPEN and after.state is CircuitState.OPEN
        return False

    def _of(
        self, asked: Asked, caller: str, known: Mapping[str, Circuit], needed: Scope = Scope.ACCOUNT
    ) -> Iterator[Circuit]:
        """The circuits that concern the call, the account's first. The number's country takes long to find, so it is
        looked up only if a circuit of a country is stored, or `needed`."""
        for scope, value in ((Scope.ACCOUNT, ""), (Scope.CALLER_ID, caller)):
            new = _new(asked, scope, value)
            yield known.get(new.key, new)
        if needed is Scope.COUNTRY or any(circuit.scope is Scope.COUNTRY for circuit in known.values()):
            from redial.domain.phone_number import country

            new = _new(asked, Scope.COUNTRY, country(asked.number))
            yield known.get(new.key, new)


def breaker_of(services: Services) -> CircuitBreaker:
    """The circuit breaker of this process, which has events of the account delivered."""
    return CircuitBreaker(services.circuits, services.now, lambda event_id: services.invoker.deliver(event_id, None))


def _new(asked: Asked, scope: Scope, value: str) -> Circuit:
    return Circuit(asked.account_id, asked.provider, scope=scope, value=value)


def is_held_by(circuit: Circuit, reason: str) -> bool:
    """Whether a call that waits for that reason waits for this circuit: the circuit holds it, or it was refused for the
    circuit's cause."""
    held = held_because(circuit, " ").rstrip()
    if circuit.scope is Scope.AGENT:
        return "gave no usable answer: " in reason
    return reason == circuit.reason or reason.startswith(held)


def held_because(circuit: Circuit, reason: str | None = None) -> str:
    """The reason why calls wait for that circuit, in words."""
    reason = reason or circuit.reason
    match circuit.scope:
        case Scope.CALLER_ID:
            return f"calls from {circuit.value} are held, see GET /attention: {reason}"
        case Scope.COUNTRY:
            return f"calls to {circuit.value} are held, see GET /attention: {reason}"
        case Scope.AGENT:
            return f"it is not asked now, see GET /attention: {reason}"
    return f"the carrier fails for all calls: {reason}"
