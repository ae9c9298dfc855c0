"""The webhook inbox: records deliveries, verifies signatures, and fails on request."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from local.clock import Timeline
from local.web.inbox import Delivery, Inbox
from local.web.server import HttpServer
from tests.support.local_stack import Answer, request

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_dGhpcyBpcyBhIHNlY3JldCBvZiAyNCBieXRlcyE="
BODY = b'{"id": "x", "status": "ringing"}'


@dataclass
class World:
    """An inbox, and a sender with the reference implementation of the specification."""

    timeline: Timeline
    server: HttpServer
    secrets: list[str] = field(default_factory=lambda: [OLD])
    received: list[Delivery] = field(default_factory=list)

    def send(self, *, secret: str = OLD, sent_at: datetime = START, changes: dict[str, str] | None = None) -> Answer:
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", sent_at, BODY.decode()),
            **(changes or {}),
        }
        return request("POST", f"{self.server.url}/demo", BODY, headers)

    def inbox(self) -> list[Any]:
        listed: list[Any] = request("GET", f"{self.server.url}/_inbox/demo").json
        return listed

    def verified(self) -> bool:
        return bool(self.inbox()[-1]["verified"])


@pytest.fixture
def world() -> Iterator[World]:
    timeline = Timeline(START, speed=0)
    here = World(timeline, HttpServer("inbox", 0))
    here.server.start(Inbox(timeline, lambda: here.secrets, here.received.append).respond)
    timeline.start()
    yield here
    timeline.stop()
    here.server.stop()


def test_every_delivery_is_listed_with_its_request_and_response(world: World) -> None:
    assert world.send().status == 200
    (one,) = world.inbox()
    assert one.keys() == {"received_at", "headers", "body", "verified", "answered"}
    assert one["received_at"] == "2026-01-26T10:00:00.000Z"
    assert one["headers"]["webhook-id"] == "msg_1"
    assert one["body"] == {"id": "x", "status": "ringing"}
    assert (one["verified"], one["answered"]) == (True, 200)
    assert [delivery.raw for delivery in world.received] == [BODY]


def test_the_next_deliveries_fail_as_requested(world: World) -> None:
    url = f"{world.server.url}/_inbox/demo/fail"
    assert request("POST", url, {"times": 2, "status": 503, "retry_after": 90}).status == 200
    answers = [world.send() for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert [answer.headers.get("retry-after") for answer in answers] == ["90", "90", None]
    assert [one["answered"] for one in world.inbox()] == [503, 503, 200]
    assert request("POST", url, {"times": 1}).json == {"times": 1, "status": 500}
    wrong: list[Any] = [{}, [], {"times": -1}, {"times": "many"}, {"times": 1, "status": 99}]
    for body in [*wrong, {"times": 1, "retry_after": "x"}]:
        assert request("POST", url, body).status == 400


def test_names_are_independent(world: World) -> None:
    world.send()
    assert request("GET", f"{world.server.url}/_inbox/other").json == []
    assert request("POST", f"{world.server.url}/", b"x").status == 404
    assert request("GET", f"{world.server.url}/demo").status == 404


def test_either_of_two_secrets_is_valid(world: World) -> None:
    world.secrets = [NEW, OLD]
    for secret in (OLD, NEW):
        world.send(secret=secret)
        assert world.verified()
    world.secrets = [NEW]
    world.send(secret=OLD)
    assert not world.verified()


def test_one_valid_signature_among_several_is_enough(world: World) -> None:
    good = Webhook(OLD).sign("msg_1", START, BODY.decode())
    other = Webhook(NEW).sign("msg_1", START, BODY.decode())
    world.send(changes={"webhook-signature": f"v1a,abc {other} {good}"})
    assert world.verified()


def test_the_timestamp_may_differ_by_five_minutes_of_simulated_time(world: World) -> None:
    world.timeline.advance(60)
    now = START + timedelta(minutes=60)
    for seconds, expected in ((-300, True), (300, True), (-301, False), (301, False), (-3600, False)):
        world.send(sent_at=now + timedelta(seconds=seconds))
        assert world.verified() is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,!!!"},
        {"webhook-signature": Webhook(OLD).sign("msg_1", START, "{}")},
        {"webhook-signature": Webhook(OLD).sign("msg_1", START, BODY.decode()).replace("v1,", "v2,")},
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "-5"},
        {"webhook-timestamp": "²"},
        {"webhook-timestamp": str(int(START.timestamp()) + 1)},
    ],
    ids=str,
)
def test_other_signatures_are_not_verified(world: World, changes: dict[str, str]) -> None:
    world.send(changes=changes)
    assert not world.verified()
