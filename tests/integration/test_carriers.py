"""Calls through the carrier that their agent names, from the API to the webhook."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.stack import INBOX_NAME
from local.web.server import Response
from redial.carriers import CARRIERS
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER, OTHER_NUMBER = "+12025550199", "+12025550198"
CALLER = "+12025550100"
ERRORS = {"enabled": True, "max_retries": 1, "retry_on_statuses": ["error"], "retry_intervals_minutes": [10]}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def agent(client: LocalClient, carrier: str, **config: Any) -> str:
    return client.stack.create_agent(agent_name=carrier, telephony_provider=carrier, **config)


def dialled(client: LocalClient) -> dict[str, list[str]]:
    """The numbers that each carrier was asked to call."""
    return {
        "twilio": [call["to"] for call in client.calls()],
        "http": [call.request["to"] for call in client.stack.platform.calls],
    }


def only(carrier: str, *numbers: str) -> dict[str, list[str]]:
    return {name: list(numbers) if name == carrier else [] for name in CARRIERS}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_call_is_placed_through_its_agents_carrier_and_retried_there(client: LocalClient, carrier: str) -> None:
    client.script(NUMBER, "no-answer", "completed")
    retries = {"enabled": True, "retry_intervals_minutes": [10]}
    execution_id = client.call(NUMBER, agent_id=agent(client, carrier), retry_config=retries, user_data={"name": "Zoë"})
    assert client.execution(execution_id)["provider"] == carrier
    client.advance(20)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["conversation_duration"]) == ("completed", 60)
    assert execution["provider"] == execution["telephony_data"]["provider"] == carrier
    assert [one["status"] for one in execution["attempts"]] == ["no-answer", "completed"]
    assert dialled(client) == only(carrier, NUMBER, NUMBER)
    if carrier == "http":
        assert [call.request["variables"] for call in client.stack.platform.calls] == [{"name": "Zoë"}] * 2
        ids = [call.call_id for call in client.stack.platform.calls]
        assert [one["provider_call_id"] for one in execution["attempts"]] == ids
        assert client.stack.platform.problems == []


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_contact_is_placed_through_its_agents_carrier(client: LocalClient, carrier: str) -> None:
    client.script(NUMBER, "completed")
    form = [("agent_id", agent(client, carrier)), ("start", "now")]
    body = multipart(form, f"contact_number\n{NUMBER}\n")
    answer = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    client.advance(10)
    page = client.api("GET", f"/batches/{answer.json['batch_id']}/executions").json
    assert [(one["provider"], one["status"]) for one in page] == [(carrier, "completed")]
    assert dialled(client) == only(carrier, NUMBER)


def test_a_waiting_call_goes_through_the_carrier_that_its_agent_has_by_then(client: LocalClient) -> None:
    client.script(NUMBER, "completed")
    client.stack.inbox.fail(INBOX_NAME, times=4, status=500)  # it takes the first event after half an hour
    agent_id = agent(client, "twilio")
    later = (client.stack.clock.now() + timedelta(minutes=10)).isoformat()
    execution_id = client.call(NUMBER, agent_id=agent_id, scheduled_at=later)
    change = {"agent_config": {"telephony_provider": "http"}}
    assert client.api("PATCH", f"/v2/agent/{agent_id}", change).status == 200
    client.advance(60)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["provider"]) == ("completed", "http")
    assert dialled(client) == only("http", NUMBER)
    told = [(one["body"]["sequence"], one["body"]["telephony_data"]["provider"]) for one in client.inbox()]
    assert told[:5] == [(1, "twilio")] * 5, "an event that is sent again says the same"
    assert {provider for sequence, provider in told if sequence > 1} == {"http"}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_an_agent_with_a_stream_has_its_calls_connected_to_it(client: LocalClient, carrier: str) -> None:
    client.script(NUMBER, "completed")
    stream = "wss://media.example.com/{agent_id}/{execution_id}?a=1"
    execution_id = client.call(NUMBER, agent_id=agent(client, carrier, answer_url=None, stream_url=stream))
    client.advance(10)
    execution = client.execution(execution_id)
    assert execution["status"] == "completed"
    assert client.stack.platform.problems == []
    assert client.stack.carrier.calls.problems == []
    connected = [call.stream_url or "" for call in client.stack.carrier.calls.all()]
    connected += [call.request["stream_url"] for call in client.stack.platform.calls]
    expected = f"wss://media.example.com/{execution['agent_id']}/{execution_id}"
    assert [stream.partition("?")[0] for stream in connected] == [expected]


def test_the_account_shows_a_circuit_for_each_carrier_that_its_agents_use(client: LocalClient) -> None:
    def shown() -> list[tuple[str, str]]:
        carriers = client.api("GET", "/user/me").json["carriers"]
        return [(one["provider"], one["circuit"]) for one in carriers]

    assert shown() == [("twilio", "closed")]
    agent_id = agent(client, "http", max_concurrent_calls=20)
    assert shown() == [("http", "closed"), ("twilio", "closed")]
    numbers = [f"+1202555{number:04d}" for number in range(100, 110)]
    for number in numbers:
        client.script(number, "error-500", "completed")
        client.call(number, agent_id=agent_id)
    client.advance(0.5)
    assert shown() == [("http", "open"), ("twilio", "closed")]
    client.script(NUMBER, "completed")
    execution_id = client.call(NUMBER)
    client.advance(5)
    assert client.execution(execution_id)["status"] == "completed", "the other carrier's calls go on"
    client.advance(60)


# ---- an unknown dial, at a carrier that finds calls by their key ------------


def test_a_call_whose_answer_and_callbacks_are_lost_is_found_by_its_key(client: LocalClient) -> None:
    client.stack.platform.post = lambda url, body, headers: None
    client.script(NUMBER, "timeout-after-placing", "completed")
    execution_id = client.call(NUMBER, agent_id=agent(client, "http"), retry_config=ERRORS)
    client.advance(30)
    execution = client.execution(execution_id)
    assert (execution["status"], execution["conversation_duration"]) == ("completed", 60)
    assert dialled(client) == only("http", NUMBER)


def test_an_attempt_that_the_platform_did_not_place_is_retried(client: LocalClient) -> None:
    client.script(NUMBER, "error-500", "completed")
    execution_id = client.call(NUMBER, agent_id=agent(client, "http"), retry_config=ERRORS)
    client.advance(5)
    assert client.execution(execution_id)["attempts"][0]["status"] == "error"
    client.advance(20)
    assert client.execution(execution_id)["status"] == "completed"
    assert dialled(client) == only("http", NUMBER)


def test_a_lookup_that_fails_proves_nothing(client: LocalClient) -> None:
    """A platform that answers 404 to everything, as on a wrong route, has not said that it placed no call."""
    platform, respond = client.stack.platform, client.stack.platform.respond

    def nothing_here(request: Any) -> Response | None:
        return respond(request) if request.method == "POST" else Response.of(404, {"calls": []})

    platform.respond = nothing_here  # type: ignore[method-assign]
    platform.post = lambda url, body, headers: None
    client.script(NUMBER, "timeout-after-placing", "completed")
    execution_id = client.call(NUMBER, agent_id=agent(client, "http"), retry_config=ERRORS)
    client.advance(60)
    assert client.execution(execution_id)["status"] == "queued"
    platform.respond = respond  # type: ignore[method-assign]
    client.advance(60)
    assert client.execution(execution_id)["status"] == "completed"
    assert dialled(client) == only("http", NUMBER)
