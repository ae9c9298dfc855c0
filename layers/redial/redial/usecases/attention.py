"""Attention items: circuits that hold calls, or whose calls the carrier refuses, as a person sees and resolves them."""

import uuid

from redial.domain.circuit import Circuit, CircuitState
from redial.domain.errors import NotFound
from redial.domain.outcome import NotPlaced
from redial.ports import Services, StaleVersion

_MOST_TRIES = 5
_IDS = uuid.UUID("5d5f1ad0-8c2a-4b0a-9f3e-1f0d6f2f9f10")
"""The namespace of item ids, which are derived: the same fault of the same account always has the same id."""


def id_of(circuit: Circuit) -> str:
    """The id of the attention item."""
    return str(uuid.uuid5(_IDS, f"{circuit.account_id}/{circuit.key}"))


def items(services: Services, account_id: str) -> list[Circuit]:
    """What needs attention: open ones first, then those refused lately, then those that resume; the oldest first."""
    now = services.now()
    order = (CircuitState.OPEN, CircuitState.CLOSED, CircuitState.RAMPING)
    found = [circuit for circuit in services.circuits.all(account_id) if circuit.needs_attention(now)]
    return sorted(found, key=lambda one: (order.index(one.state), one.opened_at or one.failed_at or now, one.key))


def resolve(services: Services, account_id: str, item_id: str) -> Circuit:
    """Let calls be placed again: the account's circuit if a check finds nothing wrong, any other at once. The circuit
    after it, or as the check leaves it. Raises `NotFound`, and `StaleVersion` after lost races."""
    found = next((one for one in items(services, account_id) if id_of(one) == item_id), None)
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
        try:
            return services.circuits.save(after)
        except StaleVersion:
            circuit = services.circuits.fresh(circuit)
    raise StaleVersion(item_id)
