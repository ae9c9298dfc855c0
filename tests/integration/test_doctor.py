"""`GET /doctor`: whether everything is set up, and what to do if not."""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest

from redial.ports import CarrierUnavailable
from redial.usecases import doctor
from redial.usecases.doctor import Check, CheckName, CheckStatus
from tests.support.local_stack import LocalClient, local_stack
from tests.support.samples import ACCOUNT_ID, TEN
from tests.support.services import GivenServices

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def checks(client: LocalClient) -> list[dict[str, Any]]:
    answer = client.api("GET", "/doctor")
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.json["checks"]
    return found


def statuses(found: list[dict[str, Any]]) -> dict[str, str]:
    assert all(one["message"].endswith(".") and "\n" not in one["message"] for one in found)
    assert all(one["advice"] for one in found if one["status"] in ("failed", "warning"))
    return {one["check"]: one["status"] for one in found}


HEALTHY = {
    "carrier": "ok",
    "caller_ids": "ok",
    "countries": "ok",
    "agents": "ok",
    "callback_url": "warning",  # the local stack's is http
    "attention": "ok",
    "webhooks": "skipped",
    "clock": "ok",
}


def test_everything_is_set_up_and_no_call_is_placed(client: LocalClient) -> None:
    client.script("+14155550123", "completed")
    client.call("+14155550123")
    client.advance(15)
    before, items = client.calls(), client.every_item()
    found = checks(client)
    assert statuses(found) == HEALTHY
    assert len(found) == len(HEALTHY)
    assert all(one["agent_id"] is None for one in found)
    assert "US" in found[2]["message"]
    assert (client.calls(), client.every_item()) == (before, items)
    assert client.stack.carrier.calls.problems == []


def test_what_is_wrong_is_said_of_the_agent_that_it_is_about(client: LocalClient) -> None:
    stack = client.stack
    verified, unknown = "+12025550150", "+12025550151"
    stack.carrier.verified.append(verified)
    stack.create_agent(from_phone_numbers=[verified])
    partly = stack.create_agent(from_phone_numbers=[verified, unknown])
    wholly = stack.create_agent(from_phone_numbers=[unknown])
    mute = client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "mute"}}).json["agent_id"]
    found = checks(client)
    about = {(one["check"], one["agent_id"]): one for one in found if one["agent_id"]}
    assert {key: one["status"] for key, one in about.items()} == {
        ("caller_ids", partly): "warning",
        ("caller_ids", wholly): "failed",
        ("agents", mute): "failed",
    }
    assert about["caller_ids", partly]["message"].startswith(f"{unknown} of ")
    assert "no caller id (from_phone_numbers) and no answer" in about["agents", mute]["message"]
    assert client.api("PATCH", "/user/me", {"from_phone_numbers": [verified]}).status == 200
    again = next(one for one in checks(client) if one["agent_id"] == mute)
    assert again["message"] == "mute has no answer (answer_url or stream_url)."


def test_countries_that_were_called_lately_and_are_not_allowed(client: LocalClient) -> None:
    for number in ("+14155550123", "+447700900123"):
        client.script(number, "completed")
        client.call(number)
    client.advance(15)
    client.stack.carrier.closed_countries |= {"GB", "DE"}
    found = checks(client)
    assert statuses(found) == {**HEALTHY, "countries": "failed"}
    assert found[2]["message"] == "twilio may place no calls to GB."


def test_a_secret_that_the_carrier_refuses(client: LocalClient) -> None:
    client.stack.carrier.rotate("another")
    found = checks(client)
    expected = {**HEALTHY, "carrier": "failed", "caller_ids": "skipped", "countries": "skipped"}
    assert statuses(found) == expected
    assert "twilio takes no calls" in found[0]["message"]


def test_a_carrier_that_cannot_tell(client: LocalClient) -> None:
    change = {"agent_config": {"telephony_provider": "http"}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", change).status == 200
    client.script("+14155550123", "completed")
    client.call("+14155550123")
    client.advance(15)
    found = checks(client)
    assert statuses(found) == {**HEALTHY, "caller_ids": "skipped", "countries": "skipped"}
    assert found[1]["advice"] is None


class ScriptedCarrier:
    """A carrier whose check takes `seconds`, and which answers every question with `trouble`."""

    def __init__(self, services: GivenServices, seconds: float) -> None:
        self.services, self.seconds, self.asked = services, seconds, 0

    def check(self) -> None:
        self.services.at += timedelta(seconds=self.seconds)

    def unknown_caller_ids(self, numbers: Collection[str]) -> set[str] | None:
        self.asked += 1
        raise CarrierUnavailable("it is down")

    def closed_countries(self, countries: Collection[str]) -> set[str] | None:
        self.asked += 1
        raise CarrierUnavailable("it is down")


@pytest.mark.parametrize(("seconds", "asked", "why"), [(1.0, 2, "it is down"), (11.0, 0, "it answers too slowly")])
def test_a_slow_or_silent_carrier_is_not_asked_for_ever(seconds: float, asked: int, why: str) -> None:
    services = GivenServices(at=TEN)
    carrier: Any = ScriptedCarrier(services, seconds)
    agent: Any = type("Agent", (), {"from_phone_numbers": ("+12025550100",)})
    examined = doctor._Carrier(services, "slow", carrier, [agent], ["US"])
    found = list(examined.checks())
    assert carrier.asked == asked
    assert [one.status for one in found] == [CheckStatus.OK, CheckStatus.SKIPPED, CheckStatus.SKIPPED]
    assert all(why in one.message for one in found[1:])


@pytest.mark.parametrize(
    ("url", "status"),
    [("", CheckStatus.OK), ("https://redial.example.com", CheckStatus.OK), ("http://redial.example.com", "warning")],
)
def test_the_callback_url_is_https(url: str, status: str) -> None:
    found: Check = doctor._callbacks(url)
    assert (found.name, found.status, found.advice is None) == (CheckName.CALLBACK_URL, status, status == "ok")
    assert ACCOUNT_ID not in found.message
