"""Forged, misdirected and replayed callbacks: refused or without effect, and nothing is written.

`tests/contract/test_twilio_signature.py` tests signatures alone. Here the whole system receives genuine callbacks of
one call, and then each of them altered, redirected or repeated.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from local.carriers.twilio_calls import signature
from tests.support.local_stack import Answer, LocalClient, local_stack, request
from tests.support.table import as_text

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER, OTHER_NUMBER = "+12025550199", "+12025550198"
RETRIES = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [10]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


@pytest.fixture
def client(stack: LocalClient) -> Iterator[LocalClient]:
    for number in (NUMBER, OTHER_NUMBER):
        stack.script(number, "completed")
    yield stack
    stack.advance(30)  # until every line is released


def ringing(client: LocalClient, number: str = NUMBER, **fields: Any) -> tuple[str, str]:
    """A ringing call: its execution id, and the carrier's call id."""
    execution_id = client.call(number, **fields)
    client.advance(0.05)
    execution = client.execution(execution_id)
    assert execution["status"] == "ringing", execution
    return execution_id, str(execution["telephony_data"]["provider_call_id"])


def parameters(client: LocalClient, call_id: str, **changed: str) -> dict[str, str]:
    return {
        "AccountSid": client.stack.carrier.account_sid,
        "CallSid": call_id,
        "CallStatus": "completed",
        "CallDuration": "7",
        "To": NUMBER,
    } | changed


def path(execution_id: str, attempt: int | str = 1, below: str = "") -> str:
    return f"/callbacks/twilio/{execution_id}/{attempt}{below}"


def send(
    client: LocalClient, path: str, fields: dict[str, str], token: str | None = None, signed: str | None = None
) -> Answer:
    """Send a callback, signed for its own URL and parameters unless `signed` is given."""
    if signed is None:
        signed = signature(token or client.stack.carrier.auth_token, client.stack.url + path, fields)
    headers = FORM | ({"X-Twilio-Signature": signed} if signed else {})
    return request("POST", client.stack.url + path, urlencode(fields).encode(), headers)


def stored(client: LocalClient) -> list[str]:
    return sorted(map(as_text, client.every_item()))


def check_without_effect(client: LocalClient, answer_of: Any, *statuses: int) -> None:
    before = stored(client)
    answer = answer_of()
    assert answer.status in statuses, answer
    assert stored(client) == before


def test_a_genuine_callback_is_accepted(client: LocalClient) -> None:
    """Otherwise the tests below would prove nothing."""
    execution_id, call_id = ringing(client)
    assert send(client, path(execution_id), parameters(client, call_id)).status == 204
    execution = client.execution(execution_id)
    assert (execution["status"], execution["conversation_duration"]) == ("completed", 7)


def test_a_wrong_missing_or_foreign_signature_is_refused(client: LocalClient) -> None:
    execution_id, call_id = ringing(client)
    other_id, _ = ringing(client, OTHER_NUMBER)
    here, fields = path(execution_id), parameters(client, call_id)
    token, url = client.stack.carrier.auth_token, client.stack.url
    good = signature(token, url + here, fields)
    forged = [
        "",
        " ",
        "x",
        good[:-1],
        good + "=",
        good.lower(),
        f"{good},{good}",
        "é" * 28,
        signature("another token", url + here, fields),
        signature("", url + here, fields),
        signature(token, url + here, fields | {"CallStatus": "busy"}),
        signature(token, url + here, fields | {"More": "x"}),
        signature(token, url + here, {}),
        signature(token, url + path(other_id), fields),
        signature(token, url + path(execution_id, 2), fields),
        signature(token, url + path(execution_id, below="/amd"), fields),
        signature(token, url + here + "?x=1", fields),
        signature(token, url.replace("127.0.0.1", "attacker.example") + here, fields),
    ]
    for signed in forged:
        check_without_effect(client, lambda signed=signed: send(client, here, fields, signed=signed), 403)
    assert send(client, here, fields, signed=good).status == 204


def test_a_callback_with_another_algorithm_or_host_is_refused(client: LocalClient) -> None:
    execution_id, call_id = ringing(client)
    here, fields = path(execution_id), parameters(client, call_id)
    elsewhere = f"https://attacker.example{here}"
    for more in (
        {"X-Twilio-Webhooks-Signature-Settings": "algorithm=none"},
        {"X-Twilio-Webhooks-Signature-Settings": "algorithm=HMAC_SHA256"},
        {"X-Twilio-Webhooks-Signature-Settings": "key=,algorithm=HMAC_MD5"},
        {"X-Forwarded-Host": "attacker.example"},
        {"X-Original-URL": "/callbacks/twilio/x/1"},
    ):
        token = client.stack.carrier.auth_token
        url = elsewhere if "X-Forwarded-Host" in more or "X-Original-URL" in more else client.stack.url + here
        headers = FORM | {"X-Twilio-Signature": signature(token, url, fields)} | more
        body = urlencode(fields).encode()
        check_without_effect(
            client, lambda headers=headers, body=body: request("POST", client.stack.url + here, body, headers), 403
        )


def test_another_accounts_validly_signed_callback_is_refused(client: LocalClient) -> None:
    execution_id, call_id = ringing(client)
    fields = parameters(client, call_id, AccountSid="AC" + "0" * 32)
    check_without_effect(client, lambda: send(client, path(execution_id), fields), 403)


def test_a_report_about_another_call_changes_nothing(client: LocalClient) -> None:
    """A genuine callback sent to the URL of another call: the call id does not match."""
    execution_id, _ = ringing(client)
    _, other_call_id = ringing(client, OTHER_NUMBER)
    for call_id in (other_call_id, "CA" + "0" * 32):
        fields = parameters(client, call_id)
        check_without_effect(client, lambda fields=fields: send(client, path(execution_id), fields), 204)
        amd = parameters(client, call_id, AnsweredBy="machine_start")
        check_without_effect(client, lambda amd=amd: send(client, path(execution_id, below="/amd"), amd), 204)


def test_a_report_of_another_attempt_changes_nothing(client: LocalClient) -> None:
    client.script(NUMBER, "no-answer", "completed")
    execution_id = client.call(NUMBER, retry_config=RETRIES)
    client.advance(10.9)
    execution = client.execution(execution_id)
    first, second = (attempt["provider_call_id"] for attempt in execution["attempts"])
    assert execution["attempts"][1]["status"] == "in-progress"
    for attempt, call_id in ((1, first), (1, second), (2, first), (3, second), (9, second)):
        fields = parameters(client, call_id)
        check_without_effect(
            client, lambda attempt=attempt, fields=fields: send(client, path(execution_id, attempt), fields), 204
        )
    assert send(client, path(execution_id, 2), parameters(client, second)).status == 204
    assert client.execution(execution_id)["status"] == "completed"


def test_a_replayed_callback_changes_nothing(client: LocalClient) -> None:
    """It is replayed while the call is live, after its end, and when another status would follow."""
    execution_id, call_id = ringing(client)
    rings = parameters(client, call_id, CallStatus="ringing")
    check_without_effect(client, lambda: send(client, path(execution_id), rings), 204)
    assert send(client, path(execution_id), parameters(client, call_id)).status == 204
    client.advance(5)
    for status in ("ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"):
        fields = parameters(client, call_id, CallStatus=status)
        check_without_effect(client, lambda fields=fields: send(client, path(execution_id), fields), 204)
    machine = parameters(client, call_id, AnsweredBy="machine_start")
    assert send(client, path(execution_id, below="/amd"), machine).status == 204, "late, but new"
    check_without_effect(client, lambda: send(client, path(execution_id, below="/amd"), machine), 204)


@pytest.mark.parametrize(
    "changed",
    [
        {"CallSid": ""}, {"CallSid": "x"}, {"CallSid": "../" * 20}, {"CallSid": "CA" + "0" * 500},
        {"CallSid": "CA\x00"}, {"CallStatus": ""}, {"CallStatus": "sleeping"}, {"CallStatus": "COMPLETED"},
    ],
)  # fmt: skip
def test_a_malformed_signed_callback_is_refused(client: LocalClient, changed: dict[str, str]) -> None:
    execution_id, call_id = ringing(client)
    fields = parameters(client, call_id, **changed)
    check_without_effect(client, lambda: send(client, path(execution_id), fields), 400)


@pytest.mark.parametrize("duration", ["-1", "1e9", "NaN", "9" * 5000, "\u0661", "x"])
def test_an_invalid_duration_does_not_lose_the_end_of_the_call(client: LocalClient, duration: str) -> None:
    execution_id, call_id = ringing(client)
    fields = parameters(client, call_id, CallDuration=duration, SipResponseCode=duration, ErrorCode=duration)
    assert send(client, path(execution_id), fields).status == 204
    assert client.execution(execution_id)["status"] == "completed"


def test_a_body_other_than_a_form_is_refused(client: LocalClient) -> None:
    execution_id, _ = ringing(client)
    for body in (b"\xff\xfe", b"a=&" * 1000, b"[" * 100_000, b"\x00", b"CallSid=%ff"):
        for content_type in (
            "application/x-www-form-urlencoded",
            "application/json",
            "text/plain",
            "multipart/form-data",
        ):
            headers = {"Content-Type": content_type, "X-Twilio-Signature": "x"}
            url = client.stack.url + path(execution_id)
            check_without_effect(
                client, lambda url=url, body=body, headers=headers: request("POST", url, body, headers), 400, 403
            )


@pytest.mark.parametrize(
    "below",
    [
        "", "/", "twilio", "twilio/", "twilio/x/1", "twilio/{id}", "twilio/{id}/0", "twilio/{id}/100", "twilio/{id}/1/",
        "twilio/{id}/1/amd/x", "twilio/{id}/1/other", "twilio/{id}/1%0A", "twilio/{id}/..%2f1",
        "twilio/../twilio/{id}/1/x", "vonage/{id}/1", "twilio/{id}/%D9%A1", "twilio//{id}/1", "twilio/%00/1",
        "twilio/" + "x" * 2000 + "/1",
    ],
)  # fmt: skip
def test_a_signed_request_to_another_path_is_refused(client: LocalClient, below: str) -> None:
    execution_id, call_id = ringing(client)
    here = f"/callbacks/{below.format(id=execution_id)}"
    check_without_effect(client, lambda: send(client, here, parameters(client, call_id)), 400, 401, 403, 404)


def test_a_callback_for_a_missing_execution_answers_success(client: LocalClient) -> None:
    """An error would make Twilio repeat it; the call may have been deleted with its batch."""
    gone = "00000000-0000-4000-8000-0000000000ff"
    check_without_effect(client, lambda: send(client, path(gone), parameters(client, "CA" + "0" * 32)), 204)
