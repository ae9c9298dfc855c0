"""Names that resolve to another address after their check, and the addresses to which deliveries connect."""

import socket
from typing import Any

import pytest
import urllib3.util.connection

from redial.adapters import address_guard
from redial.adapters.webhooks import HttpWebhooks
from tests.integration.test_hostile_addresses import resolve
from tests.support.local_stack import LocalClient, local_stack


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the addresses that Redial's HTTP client connects to."""
    addresses: list[str] = []
    connect = urllib3.util.connection.create_connection

    def create_connection(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        addresses.append(address[0])
        return connect(address, *arguments, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", create_connection)
    return addresses


class Rebinding:
    """A name server whose answer for one name changes with every query."""

    def __init__(self, name: str, *answers: str) -> None:
        self._name = name
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host != self._name:
            return resolve(host, port)
        self.asked += 1
        address = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


def test_a_name_that_later_resolves_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch, connected: list[str]
) -> None:
    """DNS rebinding through the whole system: after the first delivery the name resolves to the metadata service."""
    names = Rebinding("rebind.example", "127.0.0.1", "127.0.0.1", "169.254.169.254")
    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": names})
    monkeypatch.setattr(HttpWebhooks.__init__, "__kwdefaults__", {"resolve": names})
    monkeypatch.setattr("redial.adapters.http.REMEMBERED_SECONDS", 0.0)  # as if ten seconds passed between two tries
    with local_stack() as client:
        client.script("+12025550199", "completed")
        port = client.stack.inbox_url.rpartition(":")[2]
        agent_id = client.stack.create_agent(webhook_url=f"http://rebind.example:{port}/rebound")
        execution_id = client.call("+12025550199", agent_id=agent_id)
        client.advance(24 * 60)
        assert [one["body"]["status"] for one in client.inbox("rebound")] == ["queued"]
        tries = deliveries(client, execution_id)
        assert tries[0]["http_status"] == 200
        refused = "address 169.254.169.254 is link-local (cloud metadata): not sent"
        assert {one["error"] for one in tries[1:]} == {refused}
        assert set(connected) == {"127.0.0.1"}
        assert names.asked >= 9  # once when saved, and once per try


def test_deliveries_connect_to_the_checked_address(monkeypatch: pytest.MonkeyPatch, connected: list[str]) -> None:
    """A delivery does not resolve the name a second time: that would return another address."""
    when_saved = "127.0.0.1"
    names = Rebinding("rebind.example", when_saved, *["127.0.0.1", "169.254.169.254"] * 20)
    monkeypatch.setattr(address_guard.check, "__kwdefaults__", {"resolve": names})
    monkeypatch.setattr(HttpWebhooks.__init__, "__kwdefaults__", {"resolve": names})
    with local_stack() as client:
        port = client.stack.inbox_url.rpartition(":")[2]
        agent_id = client.stack.create_agent(webhook_url=f"http://rebind.example:{port}/rebound")
        client.call("+12025550199", agent_id=agent_id)
        client.advance(60)
        assert client.inbox("rebound") != []
        assert set(connected) == {"127.0.0.1"}


def deliveries(client: LocalClient, execution_id: str) -> list[Any]:
    """The error of each event's last try, taken from the log."""
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    return [one["data"] for one in log if one["component"] == "deliver"]
