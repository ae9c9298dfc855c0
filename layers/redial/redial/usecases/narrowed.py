"""A view of the services for an API key that is restricted to agents. Other agents, and what belongs to them, do not
exist in it, so every use case answers accordingly.

    agents, executions, batches, undelivered      only the key's agents, and what belongs to them
    circuits                                      those of their endpoints; those of carrier accounts, read-only
    number rules                                  only rules that name one of these agents can be added or removed
    all others                                    unchanged

For what belongs to a whole account (policies, contacts, consents) there is no view: `api/scopes.py` refuses its routes.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, cast

from redial.domain.account_event import AccountEvent
from redial.domain.agent import Agent
from redial.domain.batch import Batch, is_batch_id
from redial.domain.circuit import Circuit
from redial.domain.errors import Forbidden
from redial.domain.execution import Execution
from redial.domain.number_rules import NumberRule
from redial.domain.outcome import Scope
from redial.ports import Agents, Batches, Circuits, Executions, NumberRules, Services, Undelivered

AT_ONCE = 100
"""Calls with undelivered events that are read in one request to find their agents."""


def narrowed(services: Services, agents: Sequence[str]) -> Services:
    """A view of `services` for these agents only."""
    return cast(Services, _Services(services, tuple(agents)))


class _View:
    """Delegates to `inner`, except for the methods that a subclass defines."""

    def __init__(self, inner: object, agents: Sequence[str]) -> None:
        self._inner = inner
        self._agents = agents

    def _sees(self, agent_id: str | None) -> bool:
        return agent_id in self._agents

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Services(_View):
    _inner: Services

    @property
    def agents(self) -> "_Agents":
        return _Agents(self._inner.agents, self._agents)

    @property
    def executions(self) -> "_Executions":
        return _Executions(self._inner.executions, self._agents)

    @property
    def batches(self) -> "_Batches":
        return _Batches(self._inner.batches, self._agents)

    @property
    def circuits(self) -> "_Circuits":
        return _Circuits(self._inner.circuits, self._agents)

    @property
    def undelivered(self) -> "_Undelivered":
        return _Undelivered(self._inner.undelivered, self.executions, self.batches)

    @property
    def number_rules(self) -> "_NumberRules":
        return _NumberRules(self._inner.number_rules, self._agents)


class _Agents(_View):
    _inner: Agents

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        return self._inner.get(account_id, agent_id) if self._sees(agent_id) else None

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        return self._inner.cached(account_id, agent_id) if self._sees(agent_id) else None

    def some(self, account_id: str, most: int) -> list[Agent]:
        found = (self._inner.get(account_id, one) for one in self._agents)
        return list(islice((one for one in found if one is not None), most))

    def all(self, account_id: str, *, deleted_since: datetime | None = None) -> list[Agent]:
        return [one for one in self._inner.all(account_id, deleted_since=deleted_since) if self._sees(one.agent_id)]


class _Executions(_View):
    _inner: Executions

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution | None:
        found = self._inner.get(execution_id, consistent=consistent)
        return found if found is not None and self._sees(found.agent_id) else None

    def read(self, ids: Sequence[str]) -> list[Execution]:
        return [one for one in self._inner.read(ids) if self._sees(one.agent_id)]


class _Batches(_View):
    _inner: Batches

    def get(self, batch_id: str) -> Batch | None:
        found = self._inner.get(batch_id)
        return found if found is not None and self._sees(found.agent_id) else None

    def of_agent(self, agent_id: str) -> list[Batch]:
        return self._inner.of_agent(agent_id) if self._sees(agent_id) else []


class _Circuits(_View):
    """Shows no circuits of caller ids and countries: they may concern other agents."""

    _inner: Circuits

    def all(self, account_id: str) -> list[Circuit]:
        found = self._inner.all(account_id)
        return [one for one in found if one.is_of_account or (one.scope is Scope.AGENT and self._sees(one.value))]

    def save(self, circuit: Circuit, event: AccountEvent | None = None) -> Circuit:
        if circuit.is_of_account:
            raise Forbidden("this API key is restricted to agents, and this holds all calls of the account")
        circuits = self._inner
        return circuits.save(circuit, event)


class _Undelivered:
    def __init__(self, inner: Undelivered, executions: _Executions, batches: _Batches) -> None:
        self._inner, self._executions, self._batches = inner, executions, batches

    def all(self, account_id: str) -> Iterator[str]:
        ids = self._inner.all(account_id)
        while some := list(islice(ids, AT_ONCE)):
            seen = {one.id for one in self._executions.read([one for one in some if not is_batch_id(one)])}
            yield from (one for one in some if one in seen or (is_batch_id(one) and self._batches.get(one) is not None))


class _NumberRules(_View):
    """Shows all rules, since those of the account apply to its agents too."""

    _inner: NumberRules

    def add(self, account_id: str, rules: Sequence[NumberRule]) -> None:
        self.check_agents(one.agent_id for one in rules)
        self._inner.add(account_id, rules)

    def remove(self, account_id: str, rule: NumberRule) -> None:
        self.check_agents([rule.agent_id])
        self._inner.remove(account_id, rule)

    def check_agents(self, agent_ids: Iterable[str | None]) -> None:
        if not all(map(self._sees, agent_ids)):
            raise Forbidden("this API key is restricted to agents: name one of them in agent_id")
