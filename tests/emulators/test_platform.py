"""The emulated platform of the signed HTTP contract refuses what the contract does not allow."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.carriers.course import Scripts
from local.carriers.http import Platform, secret_of, signature
from local.clock import Timeline
from local.web.server import Request, Response

NOW = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
KEY = f"{EXECUTION}:1"
CALL: dict[str, Any] = {
    "dial_key": KEY,
    "execution_id": EXECUTION,
    "attempt": 1,
    "to": "+12025550111",
    "from": "+12025550100",
    "answer_url": "https://agent.example.com/answer",
    "stream_url": None,
    "variables": {},
    "ring_timeout_seconds": 30,
    "max_call_seconds": 3600,
    "voicemail_detection": False,
    "reports": ["ringing", "in-progress"],
    "callback_url": f"https://redial.example.com/callbacks/http/{EXECUTION}/1",
}


@pytest.fixture
def platform() -> Platform:
    scripts = Scripts(seed=1)
    scripts.set(CALL["to"], ["completed"])
    return Platform(Timeline(NOW, speed=0), "http://127.0.0.1:1/voice", scripts, seed=1)


def send(platform: Platform, method: str = "POST", **how: Any) -> Response:
    """Send one request, correct except for what `how` changes."""
    content = how.get("content", CALL)
    body = how.get("body", json.dumps(content).encode() if method == "POST" else b"")
    query = how.get("query", "")
    key = how.get("key", KEY)
    seconds = str(int((NOW + how.get("late", timedelta())).timestamp()))
    signed = body if method == "POST" else f"{platform.url}/calls?{query}".encode()
    headers = {
        "content-type": how.get("content_type", "application/json"),
        "idempotency-key": how.get("idempotency_key", key),
        "webhook-id": key,
        "webhook-timestamp": seconds,
        "webhook-signature": signature(how.get("secret", platform.signing_secret), key, seconds, signed),
    }
    path = how.get("path", "/voice/calls")
    answer = platform.respond(Request(method, path, query, list(headers.items()), body, "127.0.0.1", "HTTP/1.1"))
    assert answer is not None
    return answer


def test_a_right_request_places_one_call_however_often_it_comes(platform: Platform) -> None:
    first, second = send(platform), send(platform)
    assert first.status == 201
    assert json.loads(first.body) == json.loads(second.body) == {"call_id": platform.calls[0].call_id}
    assert len(platform.calls) == 1
    assert platform.problems == []


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"secret": secret_of("another")}, 401),
        ({"late": timedelta(seconds=-61)}, 401),
        ({"late": timedelta(minutes=6)}, 401),
        ({"content_type": "text/plain"}, 400),
        ({"idempotency_key": "another"}, 400),
        ({"key": f"{EXECUTION}:2"}, 400),
        ({"body": b"nonsense"}, 400),
        ({"content": [CALL]}, 400),
        ({"content": {}}, 422),
        ({"path": "/calls"}, 404),
        ({"path": "/voice/calls/"}, 404),
    ],
)
def test_another_request_places_nothing(platform: Platform, how: dict[str, Any], status: int) -> None:
    assert send(platform, **how).status == status
    assert platform.calls == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dial_key", f"{EXECUTION}:2"),
        ("execution_id", "x"),
        ("attempt", "1"),
        ("attempt", True),
        ("to", "2025550111"),
        ("from", None),
        ("answer_url", None),
        ("stream_url", "wss://media.example.com"),
        ("variables", []),
        ("ring_timeout_seconds", 601),
        ("ring_timeout_seconds", 4),
        ("max_call_seconds", 86_401),
        ("max_call_seconds", 0),
        ("voicemail_detection", "true"),
        ("reports", ["no-answer"]),
        ("callback_url", f"https://redial.example.com/callbacks/http/{EXECUTION}/2"),
        ("more", 1),
    ],
)
def test_a_field_that_is_wrong_unknown_or_missing_is_refused(platform: Platform, field: str, value: Any) -> None:
    assert send(platform, content=CALL | {field: value}).status == 400
    if field in CALL:
        assert send(platform, content={name: CALL[name] for name in CALL if name != field}).status == 400
    assert platform.calls == []


def test_a_key_that_comes_again_with_another_body_is_refused(platform: Platform) -> None:
    send(platform)
    assert send(platform, content=CALL | {"to": "+12025550112"}).status == 409
    assert len(platform.calls) == 1


def test_calls_are_listed_by_key_or_id(platform: Platform) -> None:
    send(platform)
    found = json.loads(send(platform, "GET", query=f"dial_key={KEY}").body)["calls"]
    assert [(one["dial_key"], one["call_id"], one["status"]) for one in found] == [
        (KEY, platform.calls[0].call_id, "initiated")
    ]
    assert json.loads(send(platform, "GET", query="call_id=other").body) == {"calls": []}


@pytest.mark.parametrize("query", ["", "dial_key=a&call_id=b", "key=a"])
def test_a_question_about_nothing_known_is_refused(platform: Platform, query: str) -> None:
    assert send(platform, "GET", query=query).status in (400, 401)


def test_a_question_without_a_signature_is_refused(platform: Platform) -> None:
    assert send(platform, "GET", query=f"dial_key={KEY}", secret=secret_of("another")).status == 401
