"""What a carrier's signed reports lead to: a second call, another caller id, or the end."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from local.carriers.twilio_calls import signature
from redial.carriers.twilio import STATUS_OVERRIDE
from tests.support.local_stack import LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER = "+12025550199"
ONE, BOTH = ["+12025550100"], ["+12025550100", "+12025550101"]
RETRIES = {"enabled": True, "retry_on_voicemail": True, "retry_intervals_minutes": [10]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def ringing(client: LocalClient, callers: list[str]) -> str:
    """A call that the emulated carrier reports nothing of, so that a test can."""
    client.script(NUMBER, *["no-callback"] * 4)
    agent_id = client.stack.create_agent(agent_name="reports", from_phone_numbers=callers)
    execution_id = client.call(NUMBER, agent_id=agent_id, retry_config=RETRIES)
    client.advance(0.05)
    return execution_id


def report(
    client: LocalClient, execution_id: str, attempt: int, below: str = "", fragment: str = "", **fields: str
) -> Any:
    """Send a callback of that attempt's call, signed over its URL with `fragment`; the execution after it."""
    url = f"{client.stack.url}/callbacks/twilio/{execution_id}/{attempt}{below}"
    call_id = client.execution(execution_id)["attempts"][attempt - 1]["provider_call_id"]
    form = {"AccountSid": client.stack.carrier.account_sid, "CallSid": call_id, **fields}
    headers = FORM | {"X-Twilio-Signature": signature(client.stack.carrier.auth_token, url + fragment, form)}
    assert request("POST", url, urlencode(form).encode(), headers).status == 204
    return client.execution(execution_id)


@pytest.mark.parametrize("fragment", ["", STATUS_OVERRIDE])
def test_a_status_callback_may_be_signed_with_the_fragment_of_its_url(client: LocalClient, fragment: str) -> None:
    """Twilio's documents do not say which: both are accepted."""
    execution_id = ringing(client, ONE)
    assert report(client, execution_id, 1, fragment=fragment, CallStatus="ringing")["status"] == "ringing"
    ended = report(client, execution_id, 1, fragment=fragment, CallStatus="busy")
    assert ended["attempts"][0]["status"] == "busy"


def test_a_blocked_call_is_not_retried_from_its_only_caller_id(client: LocalClient) -> None:
    execution_id = ringing(client, ONE)
    ended = report(client, execution_id, 1, CallStatus="failed", SipResponseCode="608")
    assert (ended["status"], ended["retry_count"], ended["next_attempt"]) == ("failed", 0, None)
    assert ended["telephony_data"]["hangup_reason"] == "the network blocked the call as unwanted"
    assert "no other caller id" in ended["termination_reason"]
    assert "scheduled" not in [one["type"] for one in client.api("GET", f"/executions/{execution_id}/log").json["data"]]


def test_a_blocked_call_is_retried_from_another_caller_id_and_then_not_again(client: LocalClient) -> None:
    execution_id = ringing(client, BOTH)
    first = report(client, execution_id, 1, CallStatus="busy", SipResponseCode="608")
    assert (first["status"], first["retry_count"]) == ("scheduled", 1)
    client.advance(11)
    second = report(client, execution_id, 2, CallStatus="failed", SipResponseCode="608")
    assert {one["from_number"] for one in second["attempts"]} == set(BOTH)
    assert (second["status"], second["next_attempt"]) == ("failed", None)


def test_a_declined_call_is_retried_once(client: LocalClient) -> None:
    execution_id = ringing(client, BOTH)
    first = report(client, execution_id, 1, CallStatus="failed", SipResponseCode="603")
    assert (first["status"], first["retry_count"]) == ("scheduled", 1)
    client.advance(11)
    second = report(client, execution_id, 2, CallStatus="busy", SipResponseCode="603")
    assert (second["status"], second["next_attempt"]) == ("busy", None)
    assert [one["hangup_reason"] for one in second["attempts"]] == ["the call was declined"] * 2


def test_a_fax_is_no_voicemail(client: LocalClient) -> None:
    execution_id = ringing(client, ONE)
    report(client, execution_id, 1, CallStatus="in-progress")
    report(client, execution_id, 1, "/amd", AnsweredBy="fax")
    ended = report(client, execution_id, 1, CallStatus="completed", CallDuration="4")
    assert (ended["status"], ended["answered_by_voice_mail"], ended["next_attempt"]) == ("completed", False, None)


def test_a_missing_duration_is_the_time_since_the_answer(client: LocalClient) -> None:
    execution_id = ringing(client, ONE)
    report(client, execution_id, 1, CallStatus="in-progress")
    client.advance(0.5)
    ended = report(client, execution_id, 1, CallStatus="completed")
    assert (ended["status"], ended["conversation_duration"]) == ("completed", 30)
