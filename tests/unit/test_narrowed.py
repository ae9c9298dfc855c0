"""What a key that is restricted to agents can see of the services."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from redial.domain.circuit import Circuit
from redial.domain.errors import Forbidden
from redial.domain.outcome import Scope
from redial.usecases.narrowed import AT_ONCE, narrowed
from tests.support.services import GivenServices

NOW = datetime(2026, 1, 26, 10, tzinfo=UTC)


def seen(**given: Any) -> Any:
    """The given services as a key for the agents `a` and `b` sees them."""
    return narrowed(GivenServices(NOW, **given), ["a", "b"])


def one(agent_id: str, **more: Any) -> Any:
    return SimpleNamespace(agent_id=agent_id, **more)


def test_what_has_no_view_is_as_it_is() -> None:
    files = mock.Mock()
    assert seen(files=files).files is files
    assert seen().now() == NOW


def test_the_first_agents_are_the_keys_own() -> None:
    stored = {"a": one("a"), "c": one("c")}
    agents = mock.Mock(get=lambda _, agent_id: stored.get(agent_id))
    assert seen(agents=agents).agents.some("account", 5) == [stored["a"]]
    assert seen(agents=agents).agents.some("account", 0) == []


CIRCUITS = {
    scope: Circuit("account", "twilio", scope=scope, value=value)
    for scope, value in ((Scope.ACCOUNT, ""), (Scope.CALLER_ID, "+12025550100"), (Scope.COUNTRY, "US"))
}


def test_circuits_are_those_of_its_endpoints_and_of_carriers() -> None:
    own, other = (Circuit("account", "hook", scope=Scope.AGENT, value=agent) for agent in ("b", "c"))
    store = mock.Mock(all=lambda _: [*CIRCUITS.values(), own, other])
    circuits = seen(circuits=store).circuits
    assert circuits.all("account") == [CIRCUITS[Scope.ACCOUNT], own]
    assert circuits.save(own) is store.save.return_value
    store.save.reset_mock()
    with pytest.raises(Forbidden, match="all calls of the account"):
        circuits.save(CIRCUITS[Scope.ACCOUNT])
    store.save.assert_not_called()


def test_undelivered_events_are_looked_up_many_at_once_and_in_order() -> None:
    batches = {"0" * 32: one("a"), "1" * 32: one("c")}
    ids = ["0" * 32, *(f"execution-{number}" for number in range(AT_ONCE)), "1" * 32]
    read = mock.Mock(side_effect=lambda some: [one("ac"[int(id_[-1]) % 2], id=id_) for id_ in some])
    services = seen(
        undelivered=mock.Mock(all=lambda _: iter(ids)),
        executions=mock.Mock(read=read),
        batches=mock.Mock(get=batches.get),
    )
    found = list(services.undelivered.all("account"))
    assert found == [ids[0], *(id_ for id_ in ids[1:-1] if int(id_[-1]) % 2 == 0)]
    assert read.call_count == 2
