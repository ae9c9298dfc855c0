"""Deliveries against real servers on loopback, verified with the Standard Webhooks reference implementation."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from redial.adapters.http import Http
from redial.adapters.webhooks import HttpWebhooks
from redial.ports import DeliveryAnswer
from redial.wire import webhook_signature
from redial.wire.webhook_signature import new_secret, sign
from tests.support.raw_server import (
    RawServer,
    answering,
    dripping,
    hanging,
    resetting,
    self_signed,
    serving,
    unused_port,
)

pytestmark = pytest.mark.enable_socket

SECRET, OLD_SECRET = new_secret(bytes(32)), new_secret(b"o" * 32)
BODY = json.dumps({"id": "x", "status": "completed", "name": "Żółw"}, ensure_ascii=False).encode()


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def answer_with(status: int, *headers: str) -> Any:
    return answering("\r\n".join([f"HTTP/1.1 {status} X", "Content-Length: 0", *headers, "", ""]).encode())


def post(url: str, webhooks: HttpWebhooks | None = None, **given: Any) -> DeliveryAnswer:
    arguments: dict[str, Any] = {
        "body": BODY,
        "webhook_id": "x-1",
        "secrets": (SECRET,),
        "now": datetime.now(UTC),
    } | given
    return (webhooks or HttpWebhooks(Http(), allow_local=True)).post(url, **arguments)


def at(server: RawServer, path: str = "/inbox") -> str:
    return f"http://localhost:{server.port}{path}"


def received(server: RawServer) -> tuple[dict[str, str], bytes]:
    head, _, body = server.requests[-1].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def test_a_delivery_is_a_signed_json_post() -> None:
    with serving(answer_with(204)) as server:
        assert post(at(server)) == DeliveryAnswer(204)
    headers, body = received(server)
    assert server.requests[0].startswith(b"POST /inbox HTTP/1.1\r\n")
    assert (headers["content-type"], headers["user-agent"]) == ("application/json", "Redial/1")
    assert headers["host"] == f"localhost:{server.port}"
    assert body == BODY
    assert standardwebhooks.Webhook(SECRET).verify(body, headers) == json.loads(BODY)


def test_the_reference_implementation_accepts_either_secret_while_rotating() -> None:
    with serving(answer_with(200)) as server:
        post(at(server), secrets=(SECRET, OLD_SECRET))
    headers, body = received(server)
    for secret in (SECRET, OLD_SECRET):
        standardwebhooks.Webhook(secret).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_secret(b"x" * 32)).verify(body, headers)


def test_the_reference_implementation_signs_alike() -> None:
    now = datetime(2026, 1, 26, 10, 0, 0, 500_000, tzinfo=UTC)
    expected = standardwebhooks.Webhook(SECRET).sign("x-1", now, BODY.decode())
    assert sign([SECRET], "x-1", now, BODY)["webhook-signature"] == expected
    assert webhook_signature.PREFIX == "whsec_"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_accepted(status: int) -> None:
    with serving(answer_with(status, "Retry-After: 60")) as server:
        answer = post(at(server))
    assert answer == DeliveryAnswer(status)
    assert answer.accepted


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    with serving(answer_with(204)) as elsewhere, serving(answer_with(status, f"Location: {at(elsewhere)}")) as server:
        answer = post(at(server))
    assert answer == DeliveryAnswer(status, f"HTTP {status}, a redirect, is not followed")
    assert not answer.accepted
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", None), ("Retry-After: 120", 120.0), ("Retry-After: 999999", 86400.0), ("Retry-After: soon", None)],
)
def test_a_failure_has_its_status_and_retry_after(header: str, seconds: float | None) -> None:
    with serving(answer_with(503, *([header] if header else []))) as server:
        assert post(at(server)) == DeliveryAnswer(503, "HTTP 503", seconds)


def test_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
    with serving(answer_with(429, "Retry-After: Mon, 26 Jan 2026 10:05:00 GMT")) as server:
        assert post(at(server), now=now).retry_after_seconds == 300.0


def test_a_network_error_is_described_in_words(over: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    assert post(f"http://127.0.0.1:{unused_port()}/") == DeliveryAnswer(None, "connection refused")
    with serving(resetting()) as server:
        assert post(at(server)) == DeliveryAnswer(None, "connection closed by the other side")
    with serving(answering(b"hello")) as server:
        assert post(at(server)) == DeliveryAnswer(None, "the answer is not HTTP")
    with serving(hanging(over)) as server:
        error = post(at(server), seconds=0.3).error or ""
    assert error.startswith(("no answer in time", "no complete answer within 0."))


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_a_slow_answer_times_out_after_ten_seconds(
    head: bytes, over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(dripping(head, b"x", 0.05, over)) as server:
        started = time.monotonic()
        answer = post(at(server), seconds=0.8)
        assert time.monotonic() - started < 1.6
    assert answer.status is None
    assert "within" in (answer.error or "")


def test_a_slow_body_after_a_2xx_causes_no_wait(over: threading.Event) -> None:
    with serving(dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", b"x", 0.4, over)) as server:
        started = time.monotonic()
        assert post(at(server)) == DeliveryAnswer(200)
        assert time.monotonic() - started < 1


def test_a_huge_answer_is_not_read() -> None:
    with serving(answering(b"HTTP/1.1 500 X\r\n\r\n" + b"x" * 50_000_000)) as server:
        started = time.monotonic()
        assert post(at(server)) == DeliveryAnswer(500, "HTTP 500")
        assert time.monotonic() - started < 2


def test_a_silent_name_server_times_out_within_ten_seconds(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redial.adapters.webhooks.CONNECT_TIMEOUT_SECONDS", 0.3)

    def silent(*_: object, **__: object) -> list[tuple[Any, ...]]:
        over.wait(20)
        return []

    started = time.monotonic()
    answer = post("http://slow.example/", HttpWebhooks(Http(), allow_local=True, resolve=silent))
    assert answer == DeliveryAnswer(None, "no address found for slow.example: not sent")
    assert time.monotonic() - started < 2


def test_without_a_secret_nothing_is_sent() -> None:
    with serving(answer_with(204)) as server:
        answer = post(at(server), secrets=())
    assert answer == DeliveryAnswer(None, "there is no webhook secret to sign with: not sent")
    assert server.connections == 0


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://10.0.0.1/", "address 10.0.0.1 is private: not sent"),
        ("http://169.254.169.254/", "address 169.254.169.254 is link-local (cloud metadata): not sent"),
        ("ftp://localhost/", "the URL must start with https:// or http://: not sent"),
    ],
)
def test_the_guard_checks_every_delivery(url: str, error: str) -> None:
    assert post(url) == DeliveryAnswer(None, error)


def test_a_deployment_reaches_neither_http_nor_loopback() -> None:
    deployed = HttpWebhooks(Http(), allow_local=False)
    with serving(answer_with(204)) as server:
        assert "https://" in (post(at(server), deployed).error or "")
        assert post(f"https://127.0.0.1:{server.port}/", deployed).error == "address 127.0.0.1 is loopback: not sent"
    assert server.connections == 0


def test_dns_rebinding_has_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checked address is the one connected to, and the name is not resolved again."""
    monkeypatch.setattr("redial.adapters.http.REMEMBERED_SECONDS", 0.0)
    server_tls, client_tls = self_signed(tmp_path, "rebind.example.com")
    answers = iter(["127.0.0.1", "10.0.0.1", "10.0.0.1"])
    asked = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    http = Http(tls=client_tls, resolve=rebinding)
    with serving(answer_with(204), server_tls) as server:
        webhooks = HttpWebhooks(http, allow_local=True, resolve=rebinding)
        assert post(f"https://rebind.example.com:{server.port}/in", webhooks) == DeliveryAnswer(204)
        assert (
            post(f"https://rebind.example.com:{server.port}/in", webhooks).error
            == "address 10.0.0.1 is private: not sent"
        )
    assert asked == ["rebind.example.com"] * 2
    assert server.server_names == ["rebind.example.com"]


def test_an_untrusted_certificate_is_described_in_words(tmp_path: Path) -> None:
    server_tls, _ = self_signed(tmp_path, "localhost")
    with serving(answer_with(204), server_tls) as server:
        answer = post(f"https://localhost:{server.port}/")
    assert answer.status is None
    assert (answer.error or "").startswith("certificate not trusted: self")
