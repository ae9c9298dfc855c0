"""Attention items: lists and resolves circuits that hold calls, or whose calls the carrier refuses."""

from redial.domain.account_event import attention_event
from redial.domain.circuit import Circuit, CircuitState
from redial.domain.errors import NotFound
from redial.domain.outcome import NotPlaced
from redial.ports import Services, StaleVersion

_MOST_TRIES = 5


def items(services: Services, account_id: str) -> list[Circuit]:
    """The circuits that need attention: open ones, then those with recent refusals, then ramping ones; each group
    oldest first."""
    now = services.now()
    order = (CircuitState.OPEN, CircuitState.CLOSED, CircuitState.RAMPING)
    found = [circuit for circuit in services.circuits.all(account_id) if circuit.needs_attention(now)]
    return sorted(found, key=lambda one: (order.index(one.state), one.opened_at or one.failed_at or now, one.key))


def resolve(services: Services, account_id: str, item_id: str) -> Circuit:
    """Have calls placed again: for the account's circuit if a check finds no fault, for any other circuit at once.
    Returns the circuit after that. Raises `NotFound`, and `StaleVersion` if other writers were faster several times."""
    found = next((one for one in items(services, account_id) if str(one.attention_id) == item_id), None)
    if found is None:
        raise NotFound(f"there is no attention item {item_id}")
    circuit, wrong = found, None
    if found.is_of_account and found.state is CircuitState.OPEN:
        wrong = services.carrier(found.provider).check()
    for _ in range(_MOST_TRIES):
        now = services.now()
        failed = None if wrong is None else NotPlaced(wrong, outage=True)
        after = circuit.resolved(now) if failed is None else circuit.record(failed, True, now)
        if after is circuit:
            return circuit
        event = attention_event(circuit, after, now)
        try:
            saved = services.circuits.save(after, event)
        except StaleVersion:
            circuit = services.circuits.fresh(circuit)
            continue
        if event is not None:
            services.invoker.deliver(event.id, None)
        services.invoker.wake(account_id, saved.key)
        return saved
    raise StaleVersion(item_id)
