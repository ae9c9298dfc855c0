"""Wakes calls that wait for a circuit when a person resolves it, so that they need not wait for their next try.

They are dialled as fast as the ramp of the resumed circuit admits them: ten at once, then four times as many each
minute.
"""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain, islice

from redial.domain.agent import Agent
from redial.domain.batch import contact_id
from redial.domain.circuit import FIRST_RESUMED, HEALTHY_TTL, RESUMED_GROWTH, RESUMING_FOR, Circuit, CircuitState
from redial.domain.execution import Execution
from redial.ports import Services
from redial.usecases.circuit_breaker import is_held_by
from redial.usecases.update import update

MOST_WOKEN = 2_000
"""Maximum calls woken; further ones are dialled at their next try."""
LEAST_SECONDS = 30.0
"""With less time left, no further calls are read."""
_SLACK = HEALTHY_TTL + timedelta(seconds=2)
"""How long another process may still hold a call by its cached circuit."""
_READ_AT_ONCE = 100


def wake_held(services: Services, account_id: str, key: str, seconds_left: Callable[[], float]) -> int:
    """Have the calls that wait for that circuit dialled soon, unless it is open again. Returns their number."""
    circuit = next((one for one in services.circuits.all(account_id) if one.key == key), None)
    if circuit is None or (circuit.state is CircuitState.OPEN and not circuit.is_of_account):
        return 0
    woken = 0
    for execution in _waiting(services, account_id, seconds_left):
        if woken >= MOST_WOKEN or seconds_left() < LEAST_SECONDS:
            break
        if execution.is_held and is_held_by(circuit, execution.changes[-1].reason or ""):
            woken += _wake(services, execution, circuit, services.now() + _admitted_after(woken))
    return woken


def _admitted_after(calls: int) -> timedelta:
    """How long after it resumed a circuit surely admits one more than `calls`."""
    minutes = max(math.log((calls + 1) / FIRST_RESUMED, RESUMED_GROWTH), 0.0)
    return min(timedelta(minutes=minutes) + _SLACK, RESUMING_FOR)


def _wake(services: Services, execution: Execution, circuit: Circuit, until: datetime) -> bool:
    number = execution.state.attempt.number

    def transition(current: Execution) -> Execution:
        held = current.is_held and is_held_by(circuit, current.changes[-1].reason or "")
        return current.wake(until) if held and current.state.attempt.number == number else current

    updated = update(services, execution.id, transition, services.now(), snapshot=execution)
    if updated is None or updated.after is updated.before:
        return False
    services.invoker.dial(execution.id, number, after=until)
    return True


def _waiting(services: Services, account_id: str, seconds_left: Callable[[], float]) -> Iterator[Execution]:
    """The account's calls that may wait, those of running batches included."""
    ids = chain.from_iterable(_ids(services, agent) for agent in services.agents.all(account_id))
    while seconds_left() >= LEAST_SECONDS and (some := list(islice(ids, _READ_AT_ONCE))):
        yield from services.executions.read(some)


def _ids(services: Services, agent: Agent) -> Iterator[str]:
    yield from services.executions.open_of_agent(agent.agent_id)
    for batch in services.batches.of_agent(agent.agent_id):
        if batch.may_dial:
            yield from (contact_id(batch.id, row) for row in range(1, batch.valid + 1))
