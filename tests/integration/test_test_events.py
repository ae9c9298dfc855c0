"""`POST /webhooks/test`: one signed event, sent immediately and not stored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.local_stack import Answer, LocalClient, local_stack
from tests.support.raw_server import answering, serving, unused_port

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def sent(client: LocalClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.api("POST", "/webhooks/test", body)
    assert answer.status == 200, answer
    result: dict[str, Any] = answer.json
    return result


def test_an_agents_webhook_gets_a_signed_test_event(client: LocalClient) -> None:
    agent_id = client.stack.agent_id
    before = client.every_item()
    result = sent(client, {"agent_id": agent_id})
    (received,) = client.inbox()
    assert received["verified"] is True
    assert received["headers"]["webhook-id"] == result["webhook_id"] and result["webhook_id"].startswith("test-")
    assert received["body"] == {"type": "webhook.test", "agent_id": agent_id, "at": "2026-01-26T12:00:00.000Z"}
    url = client.api("GET", f"/v2/agent/{agent_id}").json["agent_config"]["webhook_url"]
    assert result == {
        "webhook_id": result["webhook_id"],
        "url": url,
        "accepted": True,
        "status_code": 200,
        "error": None,
        "milliseconds": result["milliseconds"],
    }
    assert client.every_item() == before, "nothing is stored"


def test_a_url_gets_it_signed_with_the_accounts_secret(client: LocalClient) -> None:
    result = sent(client, {"url": f"{client.stack.inbox_url}/another"})
    assert (result["accepted"], result["status_code"], result["error"]) == (True, 200, None)
    (received,) = client.inbox("another")
    assert (received["verified"], received["body"]["agent_id"]) == (True, None)


@pytest.mark.parametrize(
    ("head", "status", "error"),
    [
        ("500 X", 500, "HTTP 500"),
        ("410 X", 410, "HTTP 410"),
        ("302 X\r\nLocation: http://localhost:1/", 302, "HTTP 302, a redirect, is not followed"),
    ],
)
def test_what_does_not_count_is_said_in_words(client: LocalClient, head: str, status: int, error: str) -> None:
    with serving(answering(f"HTTP/1.1 {head}\r\nContent-Length: 6\r\n\r\nsecret".encode())) as server:
        result = sent(client, {"url": f"http://localhost:{server.port}/"})
        assert len(server.requests) == 1
    assert (result["accepted"], result["status_code"], result["error"]) == (False, status, error)
    assert "secret" not in json.dumps(result), "the body of the answer is not shown"


def test_no_answer_is_an_answer(client: LocalClient) -> None:
    result = sent(client, {"url": f"http://localhost:{unused_port()}/"})
    assert (result["accepted"], result["status_code"]) == (False, None)
    assert "refused" in result["error"].lower()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"agent_id": None, "url": None}, None),
        ({"agent_id": "x", "url": "https://hooks.example.com/"}, None),
        ({"url": ""}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": 5}, "url"),
    ],
)
def test_neither_both_nor_a_url_that_cannot_be_saved(client: LocalClient, body: Any, field: str | None) -> None:
    answer = client.api("POST", "/webhooks/test", body)
    assert answer.status == 400, answer
    assert [one["field"] for one in answer.json.get("errors", [])] == ([field] if field else [])


def test_an_agent_that_is_unknown_or_has_no_webhook(client: LocalClient) -> None:
    def test(agent_id: str) -> Answer:
        return client.api("POST", "/webhooks/test", {"agent_id": agent_id})

    without = client.stack.create_agent(webhook_url=None)
    assert test(without).json["errors"][0]["field"] == "agent_id"
    assert client.api("DELETE", f"/v2/agent/{without}").status == 200
    assert test(without).status == test("nonsense").status == 404
