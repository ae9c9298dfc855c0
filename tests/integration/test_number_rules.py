"""Suppressions and consents: their effects on calls."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from local.aws.dynamodb import changes_of
from redial.wire.webhook_signature import sign
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import Answer, LocalClient, local_stack, request
from tests.support.samples import NUMBER

OTHER_NUMBER = "+14155550177"
RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [5]}


@pytest.fixture
def stack() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def suppress(client: LocalClient, number: str = NUMBER, **fields: Any) -> Any:
    answer = client.api("POST", "/suppressions", {"phone_number": number, **fields})
    assert answer.status == 200, answer
    return answer.json


def batch_of(client: LocalClient, numbers: list[str], **fields: str) -> str:
    form = [("agent_id", client.stack.agent_id), ("start", "now"), *fields.items()]
    body = multipart(form, "\n".join(["contact_number", *numbers]))
    answer = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


def test_a_suppressed_number_is_not_called_and_the_call_says_why(stack: LocalClient) -> None:
    suppress(stack, reason="opted out")
    execution_id = stack.call(NUMBER, bypass_call_guardrails=True)
    stack.advance(1)
    said = stack.execution(execution_id)
    assert (said["status"], said["ended_because"]) == ("canceled", "the number is suppressed: opted out")
    assert (said["termination_reason"], said["telephony_data"]["hangup_by"]) == (None, None)
    assert stack.calls(NUMBER) == []
    assert [one["body"]["type"] for one in stack.inbox(execution_id=execution_id)] == [
        "execution.queued",
        "execution.canceled",
    ]
    log = stack.api("GET", f"/executions/{execution_id}/log").json["data"]
    (ended,) = [entry for entry in log if entry["type"] == "canceled"]
    last = ended["data"]["gates"][-1]
    assert last["text"].startswith("The number is suppressed")
    assert (last["gate"], last["decision"], last["rule"]) == ("suppression", "end", "account")
    stack.assert_sound()


def test_calls_that_wait_end_at_once_wherever_they_wait(stack: LocalClient) -> None:
    stack.script(NUMBER, "no-answer", "completed")
    stack.script(OTHER_NUMBER, "completed")
    scheduled = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    retried = stack.call(NUMBER, retry_config=RETRIES)
    stack.advance(2)
    assert stack.execution(retried)["status"] == "scheduled"
    paused = batch_of(stack, [OTHER_NUMBER, NUMBER], calls_per_second="0.1")
    stack.advance(0.05)
    assert stack.api("POST", f"/batches/{paused}/pause").status == 200
    other = stack.call(OTHER_NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    contacts = [one["id"] for one in stack.api("GET", f"/batches/{paused}/executions").json]
    ended = suppress(stack)
    assert set(ended["canceled_executions"]) == {scheduled, retried, contacts[1]}
    for one in ended["canceled_executions"]:
        assert stack.execution(one)["status"] == "canceled"
    assert stack.execution(retried)["telephony_data"]["hangup_reason"] is not None, "its first attempt is shown"
    assert stack.execution(other)["status"] == "scheduled"
    assert stack.api("POST", f"/batches/{paused}/resume").status == 200
    stack.advance(2 * 24 * 60)
    assert len(stack.calls(NUMBER)) == 1
    batch = stack.api("GET", f"/batches/{paused}").json
    assert (batch["status"], batch["execution_status"]) == ("completed", {"canceled": 1, "completed": 1})
    stack.assert_sound()


def test_a_row_with_a_suppressed_number_ends_when_its_turn_comes(stack: LocalClient) -> None:
    suppress(stack, purpose="marketing")
    stack.script(OTHER_NUMBER, "completed")
    batches = [batch_of(stack, [NUMBER, OTHER_NUMBER], purpose="marketing"), batch_of(stack, [NUMBER], purpose="news")]
    stack.script(NUMBER, "completed")
    stack.advance(60)
    counts = [stack.api("GET", f"/batches/{one}").json["execution_status"] for one in batches]
    assert counts == [{"canceled": 1, "completed": 1}, {"completed": 1}]
    stack.assert_sound()


@pytest.mark.parametrize("minutes", [0.005, 0.05], ids=["queued at the carrier", "ringing"])
def test_a_call_at_the_carrier_that_is_not_answered_is_canceled(stack: LocalClient, minutes: float) -> None:
    stack.script(NUMBER, "completed")
    execution_id = stack.call(NUMBER, retry_config=RETRIES)
    stack.advance(minutes)
    assert stack.execution(execution_id)["status"] in ("initiated", "ringing")
    assert suppress(stack, reason="opted out")["canceled_executions"] == [execution_id]
    said = stack.execution(execution_id)
    assert (said["status"], said["ended_because"]) == ("canceled", "the number is suppressed: opted out")
    assert (said["termination_reason"], said["telephony_data"]["hangup_by"]) == ("agent_ended_call", "API Request")
    assert [one["status"] for one in stack.calls(NUMBER)] == ["canceled"]
    stack.assert_sound()


def test_an_answered_call_is_heard_to_its_end_and_not_retried(stack: LocalClient) -> None:
    stack.script(NUMBER, "voicemail", "completed")
    execution_id = stack.call(NUMBER, retry_config={**RETRIES, "retry_on_voicemail": True})
    while stack.execution(execution_id)["status"] != "in-progress":
        stack.advance(0.05)
    suppress(stack)
    stack.advance(60)
    assert len(stack.calls(NUMBER)) == 1
    assert stack.execution(execution_id)["status"] == "canceled"
    stack.assert_sound()


def test_a_suppression_that_is_over_or_removed_no_longer_holds(stack: LocalClient) -> None:
    stack.script(NUMBER, "completed", "completed")
    suppress(stack, expires_at="2026-01-26T12:10:00Z")
    refused = stack.call(NUMBER)
    stack.advance(11)
    first = stack.call(NUMBER)
    stack.advance(5)
    suppress(stack)
    assert stack.api("DELETE", "/suppressions?" + urlencode({"phone_number": NUMBER})).json["deleted"] == 1
    second = stack.call(NUMBER)
    stack.advance(5)
    assert [stack.execution(one)["status"] for one in (refused, first, second)] == [
        "canceled",
        "completed",
        "completed",
    ]


def test_the_purpose_of_a_call_comes_from_the_call_its_batch_or_its_agent(stack: LocalClient) -> None:
    stack.script(NUMBER, *["completed"] * 4)
    agent = f"/v2/agent/{stack.stack.agent_id}"
    assert stack.api("PATCH", agent, {"agent_config": {"purpose": "marketing"}}).status == 200
    suppress(stack, purpose="marketing")
    of_agent, of_call = stack.call(NUMBER), stack.call(NUMBER, purpose="reminder")
    batch = batch_of(stack, [NUMBER], purpose="reminder")
    stack.advance(30)
    assert [stack.execution(one)["status"] for one in (of_agent, of_call)] == ["canceled", "completed"]
    assert stack.api("GET", f"/batches/{batch}").json["execution_status"] == {"completed": 1}


def test_an_agent_made_after_the_first_suppression_asks_as_well(stack: LocalClient) -> None:
    suppress(stack)
    config = {"agent_name": "new", "from_phone_numbers": ["+12025550100"], "answer_url": "https://example.com/a"}
    made = stack.api("POST", "/v2/agent", {"agent_config": config})
    execution_id = stack.call(NUMBER, agent_id=made.json["agent_id"])
    stack.advance(1)
    assert stack.execution(execution_id)["status"] == "canceled"


def test_erasing_a_person_leaves_the_suppression_as_a_hash(stack: LocalClient) -> None:
    stack.script(NUMBER, "completed")
    stack.call(NUMBER)
    stack.advance(5)
    suppress(stack, reason="Ann asked for it", source="letter")
    receipt = stack.api("DELETE", f"/contacts/{NUMBER}").json
    assert receipt["kept"] == {"suppressions": 1, "attempts": 1}
    (left,) = stack.api("GET", "/suppressions").json
    assert (left["last_four"], left["reason"], left["source"]) == (None, None, "letter")
    images = changes_of(stack.stack.environment["TABLE_NAME"]).images
    rules = [image.plain for (pk, _), image in images.items() if pk.startswith("S#")]
    assert [NUMBER[-4:] in str({**one, "sk": "", "listing_key": ""}) or "Ann" in str(one) for one in rules] == [False]
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    said = stack.execution(execution_id)
    assert (said["status"], said["ended_because"]) == ("canceled", "the number is suppressed")


# ---- consents -------------------------------------------------------------------------------------------------------


def require_consent(client: LocalClient, required: Any = True, **config: Any) -> None:
    body = {"agent_config": {"consent_required": required, **config}}
    assert client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", body).status == 200


def consent(client: LocalClient, number: str = NUMBER, **fields: Any) -> None:
    body = {"phone_number": number, "given_at": "2026-01-20T00:00:00Z", **fields}
    assert client.api("POST", "/consents", body).status == 200


def status_of_a_call(client: LocalClient, number: str = NUMBER, **fields: Any) -> tuple[str, str | None]:
    execution_id = client.call(number, **fields)
    client.advance(5)
    said = client.execution(execution_id)
    return said["status"], said["ended_because"]


def test_an_agent_that_requires_a_consent_calls_only_numbers_with_one(stack: LocalClient) -> None:
    stack.script(NUMBER, "completed")
    require_consent(stack)
    reason = "the number has not consented, which the agent requires"
    assert status_of_a_call(stack, bypass_call_guardrails=True) == ("canceled", reason)
    assert stack.calls() == []
    consent(stack)
    assert status_of_a_call(stack)[0] == "completed"
    stack.assert_sound()


def test_a_consent_covers_its_purpose_until_it_expires(stack: LocalClient) -> None:
    stack.script(NUMBER, "completed", "completed")
    require_consent(stack)
    consent(stack, purpose="marketing", expires_at="2026-01-26T12:30:00Z")
    assert status_of_a_call(stack, purpose="marketing")[0] == "completed"
    reason = "the number has not consented to calls for purpose news, which the agent requires"
    assert status_of_a_call(stack, purpose="news") == ("canceled", reason)
    assert status_of_a_call(stack)[0] == "canceled"
    stack.advance(30)
    assert status_of_a_call(stack, purpose="marketing")[0] == "canceled"


def test_a_consent_is_required_by_the_country_of_the_number(stack: LocalClient) -> None:
    french = "+33612345678"
    stack.script(NUMBER, "completed")
    require_consent(stack, ["FR", "DE"])
    assert status_of_a_call(stack)[0] == "completed"
    reason = "the number has not consented, which the agent requires in FR"
    assert status_of_a_call(stack, french) == ("canceled", reason)


def test_a_withdrawn_consent_ends_the_calls_that_need_it(stack: LocalClient) -> None:
    consent(stack)
    first = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    query = "/consents?" + urlencode({"phone_number": NUMBER})
    assert stack.api("DELETE", query).json["canceled_executions"] == [], "its agent requires none"
    require_consent(stack)
    consent(stack)
    withdrawn = stack.api("DELETE", query).json
    assert (withdrawn["deleted"], withdrawn["canceled_executions"]) == (1, [first])
    assert stack.execution(first)["status"] == "canceled"


def test_erasing_a_person_removes_the_consents(stack: LocalClient) -> None:
    consent(stack)
    consent(stack, purpose="marketing")
    receipt = stack.api("DELETE", f"/contacts/{NUMBER}").json
    assert (receipt["erased"]["consents"], receipt["kept"]["suppressions"]) == (2, 0)
    assert stack.api("GET", "/consents").json == []


# ---- signed requests ------------------------------------------------------------------------------------------------


def signed(
    client: LocalClient, execution_id: str, webhook_id: str, body: bytes, *, late: float = 0, **more: Any
) -> Answer:
    at = client.stack.clock.now() - timedelta(seconds=late)
    headers = sign([more.get("secret", client.stack.webhook_secret)], webhook_id, at, body)
    sent = {**headers, "content-type": "application/json"}
    return request("POST", f"{client.stack.url}/executions/{execution_id}/suppress", body, sent)


def test_an_agents_tool_suppresses_the_number_of_its_call_by_a_signature(stack: LocalClient) -> None:
    stack.script(NUMBER, "completed")
    execution_id = stack.call(NUMBER)
    later = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    stack.advance(5)
    answer = signed(stack, execution_id, f"suppress-{execution_id}", b'{"reason": "asked the agent to stop"}')
    assert answer.status == 200, answer
    assert answer.json["canceled_executions"] == [later]
    assert stack.execution(later)["ended_because"] == "the number is suppressed: asked the agent to stop"


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_id": "{other}-1"},
        {"webhook_id": "suppress-{other}"},
        {"late": 301.0},
        {"secret": "whsec_" + "A" * 32},
        {"execution_id": "00000000-0000-4000-8000-0000000000ff"},
    ],
    ids=["a webhook's own id", "of another call", "too old", "another secret", "an unknown call"],
)
def test_a_request_that_is_not_signed_for_just_this_call_is_refused(stack: LocalClient, wrong: dict[str, Any]) -> None:
    execution_id, other = (stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z") for _ in range(2))
    webhook_id = str(wrong.pop("webhook_id", f"suppress-{execution_id}")).format(other=other)
    answer = signed(stack, wrong.pop("execution_id", execution_id), webhook_id, b"{}", **wrong)
    assert (answer.status, stack.api("GET", "/suppressions").json) == (401, [])


def test_a_webhook_that_was_delivered_suppresses_nothing(stack: LocalClient) -> None:
    execution_id = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    stack.advance(0)
    (delivered,) = stack.inbox(execution_id=execution_id)
    sent = {name.lower(): value for name, value in delivered["headers"].items()}
    names = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type")
    body = json.dumps(delivered["body"], ensure_ascii=False, separators=(",", ":")).encode()
    url = f"{stack.stack.url}/executions/{execution_id}/suppress"
    assert request("POST", url, body, {name: sent[name] for name in names}).status == 401
