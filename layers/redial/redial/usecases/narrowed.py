"""The services as an API key sees them that is restricted to agents: other agents, and what belongs to them, are not
there. So each use case answers for them as it does for what does not exist.

    agents ─ executions ─ batches ─ circuits      only those of the key's agents
    number rules                                  only those that name one of them can be added or removed
    all others                                    as they are

What belongs to a whole account (policies, contacts, consents) has no narrower view: `api/scopes.py` refuses its routes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.circuit import Circuit
from redial.domain.errors import Forbidden
from redial.domain.execution import Execution
from redial.domain.number_rules import NumberRule
from redial.domain.outcome import Scope
from redial.ports import Agents, Batches, Circuits, Executions, NumberRules, Services

Sees = Callable[[str | None], bool]
"""Whether the key sees the agent with that id."""


def narrowed(services: Services, agents: Sequence[str]) -> Services:
    """`services` with a view of these agents only."""
    return cast(Services, _Services(services, frozenset(agents).__contains__))


class _View:
    """The service `inner` with some methods of its own."""

    def __init__(self, inner: object, sees: Sees) -> None:
        self._inner = inner
        self._sees = sees

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Services(_View):
    _inner: Services

    @property
    def agents(self) -> "_Agents":
        return _Agents(self._inner.agents, self._sees)

    @property
    def executions(self) -> "_Executions":
        return _Executions(self._inner.executions, self._sees)

    @property
    def batches(self) -> "_Batches":
        return _Batches(self._inner.batches, self._sees)

    @property
    def circuits(self) -> "_Circuits":
        return _Circuits(self._inner.circuits, self._sees)

    @property
    def number_rules(self) -> "_NumberRules":
        return _NumberRules(self._inner.number_rules, self._sees)


class _Agents(_View):
    _inner: Agents

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        return self._inner.get(account_id, agent_id) if self._sees(agent_id) else None

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        return self._inner.cached(account_id, agent_id) if self._sees(agent_id) else None

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
    """Those of endpoints that the agents name. A carrier's, a caller id's or a country's are of the whole account."""

    _inner: Circuits

    def all(self, account_id: str) -> list[Circuit]:
        return [one for one in self._inner.all(account_id) if one.scope is Scope.AGENT and self._sees(one.value)]


class _NumberRules(_View):
    """Rules are read whole, since those of the account hold for its agents too."""

    _inner: NumberRules

    def add(self, account_id: str, rules: Sequence[NumberRule]) -> None:
        self._check(rules)
        self._inner.add(account_id, rules)

    def remove(self, account_id: str, rule: NumberRule) -> None:
        self._check([rule])
        self._inner.remove(account_id, rule)

    def _check(self, rules: Sequence[NumberRule]) -> None:
        if not all(self._sees(one.agent_id) for one in rules):
            raise Forbidden("this API key is restricted to agents: name one of them in agent_id")
