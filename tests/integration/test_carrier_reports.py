"""Effects of a carrier's signed reports: a second call, another caller id, or the end."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import urlencode

import pytest

from local.carriers.twilio_calls import signature
from redial.carriers.twilio import STATUS_OVERRIDE
from tests.support.local_stack import LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBERS = (f"+1202555{number:04d}" for number in count(200))
"""A number for each call, since no number is called twice at once."""
ONE, BOTH = ["+12025550100"], ["+12025550100", "+12025550101"]
RETRIES = {"enabled": True, "retry_on_voicemail": True, "retry_intervals_minutes": [10]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def ringing(client: LocalClient, callers: list[str]) -> str:
    """A call about which the emulated carrier reports nothing, so that a test can."""
    number = next(NUMBERS)
    client.script(number, *["no-callback"] * 4)
    agent_id = client.stack.create_agent(agent_name="reports", from_phone_numbers=callers)
    execution_id = client.call(number, agent_id=agent_id, retry_config=RETRIES)
    client.advance(0.05)
    return execution_id


def report(
    client: LocalClient, execution_id: str, attempt: int, below: str = "", fragment: str = "", **fields: str
) -> Any:
    """Send a callback of that attempt's call, signed over its URL with `fragment`; return the updated execution."""
    url = f"{client.stack.url}/callbacks/twilio/{execution_id}/{attempt}{below}"
    call_id = client.execution(execution_id)["attempts"][attempt - 1]["provider_call_id"]
    form = {"AccountSid": client.stack.carrier.account_sid, "CallSid": call_id, **fields}
    headers = FORM | {"X-Twilio-Signature": signature(client.stack.carrier.auth_token, url + fragment, form)}
    assert request("POST", url, urlencode(form).encode(), headers).status == 204
    return client.execution(execution_id)


@pytest.mark.parametrize("fragment", ["", STATUS_OVERRIDE])
def test_a_status_callback_may_be_signed_with_the_fragment_of_its_url(client: LocalClient, fragment: str) -> None:
    """Twilio's documentation does not say which, so both are accepted."""
    execution_id = ringing(client, ONE)
    assert report(client, execution_id, 1, fragment=fragment, CallStatus="ringing")["status"] == "ringing"
    ended = report(client, execution_id, 1, fragment=fragment, CallStatus="busy")
    assert ended["attempts"][0]["status"] == "busy"


def test_a_blocked_call_is_not_retried_from_its_only_caller_id(client: LocalClient) -> None:
    execution_id = ringing(client, ONE)
    ended = report(client, execution_id, 1, CallStatus="failed", SipResponseCode="608")
    assert (ended["status"], ended["retry_count"], ended["next_attempt"]) == ("failed", 0, None)
    assert ended["telephony_data"]["hangup_reason"] == "the network blocked the call as unwanted"
    assert "no other caller id" in ended["ended_because"]
    assert (ended["termination_reason"], ended["telephony_data"]["hangup_by"]) == ("provider_error", "Carrier")
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
    assert (ended["status"], ended["conversation_duration"]) == ("call-disconnected", 30)
    ended = report(client, execution_id, 1, "/amd", AnsweredBy="human")
    assert (ended["status"], ended["conversation_duration"]) == ("completed", 30)


def answered_and_over(client: LocalClient) -> str:
    """A call of four seconds, before machine detection has reported."""
    execution_id = ringing(client, ONE)
    report(client, execution_id, 1, CallStatus="ringing")
    client.advance(0.1)
    report(client, execution_id, 1, CallStatus="in-progress")
    report(client, execution_id, 1, CallStatus="completed", CallDuration="4")
    return execution_id


def told(client: LocalClient, execution_id: str) -> list[Any]:
    """The webhooks of an execution since its answer."""
    bodies = [one["body"] for one in client.inbox() if one["body"]["id"] == execution_id]
    return bodies[[body["status"] for body in bodies].index("in-progress") :]


@pytest.mark.parametrize("tries", [1, 2])
def test_a_machine_detected_after_the_end_is_retried_once(client: LocalClient, tries: int) -> None:
    execution_id = answered_and_over(client)
    for _ in range(tries):
        report(client, execution_id, 1, "/amd", AnsweredBy="machine_start")
    ended = client.execution(execution_id)
    assert (ended["status"], ended["retry_count"], ended["answered_by_voice_mail"]) == ("scheduled", 1, True)
    client.advance(0.1)
    disconnected, completed, scheduled = told(client, execution_id)[1:]
    statuses = [one["status"] for one in (disconnected, completed, scheduled)]
    assert statuses == ["call-disconnected", "completed", "scheduled"]
    assert (disconnected["termination_reason"], completed["termination_reason"]) == (None, "voicemail_reached")
    assert scheduled["retry_history"] == completed["retry_history"]
    assert [(one["attempt"], one["status"]) for one in scheduled["retry_history"]] == [(1, "completed")]
    assert scheduled["telephony_data"] == completed["telephony_data"]
    assert (scheduled["telephony_data"]["duration"], scheduled["telephony_data"]["ring_duration"]) == ("4", 6)
    client.advance(11)
    second = client.execution(execution_id)
    assert (second["status"], len(second["attempts"])) == ("initiated", 2)
    assert second["telephony_data"]["provider_call_id"] == second["attempts"][1]["provider_call_id"]


@pytest.mark.parametrize("answered_by", ["human", "fax", "unknown"])
def test_no_machine_detected_after_the_end_is_no_retry(client: LocalClient, answered_by: str) -> None:
    execution_id = answered_and_over(client)
    ended = report(client, execution_id, 1, "/amd", AnsweredBy=answered_by)
    verdict = None if answered_by == "unknown" else False
    assert (ended["status"], ended["answered_by_voice_mail"], ended["retry_count"]) == ("completed", verdict, 0)


def test_detection_whose_callback_is_lost_is_asked_for(client: LocalClient) -> None:
    execution_id = answered_and_over(client)
    client.advance(3)
    ended = client.execution(execution_id)
    assert (ended["status"], ended["answered_by_voice_mail"], ended["ended_because"]) == (
        "completed",
        False,
        "answered",
    )


def test_detection_that_never_comes_completes_the_call_in_minutes(client: LocalClient) -> None:
    execution_id = answered_and_over(client)
    placed = client.stack.carrier.calls.newest()
    assert placed is not None
    client.stack.carrier.calls.hang_up(placed, "completed")  # before it detects anything
    client.advance(3)
    ended = client.execution(execution_id)
    assert (ended["status"], ended["answered_by_voice_mail"], ended["ended_because"]) == ("completed", None, "answered")
    late = report(client, execution_id, 1, "/amd", AnsweredBy="machine_end_beep")
    assert (late["status"], late["answered_by_voice_mail"], late["next_attempt"]) == ("completed", True, None)
    assert late["sequence"] == ended["sequence"]


def test_a_machine_that_detection_reports_to_a_stopped_agent_is_not_called_again(client: LocalClient) -> None:
    execution_id = answered_and_over(client)
    agent_id = client.execution(execution_id)["agent_id"]
    assert client.api("POST", f"/v2/agent/{agent_id}/stop").json["stopped_executions"] == []
    ended = report(client, execution_id, 1, "/amd", AnsweredBy="machine_start")
    assert (ended["status"], ended["ended_because"]) == ("stopped", "agent stopped")
    assert (ended["termination_reason"], ended["retry_count"]) == ("voicemail_reached", 0)
