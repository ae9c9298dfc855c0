"""The webhook inbox: records deliveries, verifies signatures, and fails on request."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from local.clock import Timeline
from local.terminal import line_of
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

    def send(
        self, *, secret: str = OLD, sent_at: datetime | None = None, changes: dict[str, str] | None = None
    ) -> Answer:
        sent_at = sent_at or datetime.now(UTC)
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


def signed(sent: datetime, body: str = BODY.decode()) -> str:
    return str(Webhook(OLD).sign("msg_1", sent, body))


def test_one_valid_signature_among_several_is_enough(world: World) -> None:
    sent = datetime.now(UTC)
    good, other = signed(sent), Webhook(NEW).sign("msg_1", sent, BODY.decode())
    world.send(sent_at=sent, changes={"webhook-signature": f"v1a,abc {other} {good}"})
    assert world.verified()


def test_the_timestamp_may_differ_by_five_minutes_of_the_machines_time(world: World) -> None:
    """As in every receiver, the machine's clock decides, whatever the simulated clock shows."""
    world.timeline.advance(60)
    now = datetime.now(UTC)
    for seconds, expected in ((-290, True), (300, True), (-301, False), (310, False), (-3600, False)):
        world.send(sent_at=now + timedelta(seconds=seconds))
        assert world.verified() is expected


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-signature", lambda sent: ""),
        ("webhook-signature", lambda sent: "v1"),
        ("webhook-signature", lambda sent: "v1,"),
        ("webhook-signature", lambda sent: "v1,!!!"),
        ("webhook-signature", lambda sent: signed(sent, "{}")),
        ("webhook-signature", lambda sent: signed(sent).replace("v1,", "v2,")),
        ("webhook-id", lambda sent: "msg_2"),
        ("webhook-id", lambda sent: ""),
        ("webhook-timestamp", lambda sent: "now"),
        ("webhook-timestamp", lambda sent: "-5"),
        ("webhook-timestamp", lambda sent: "²"),
        ("webhook-timestamp", lambda sent: str(int(sent.timestamp()) + 1)),
    ],
)
def test_other_signatures_are_not_verified(world: World, header: str, value: Callable[[datetime], str]) -> None:
    """The signature is compared with the machine's clock, so the time is taken during the test."""
    sent = datetime.now(UTC)
    world.send(sent_at=sent, changes={header: value(sent)})
    assert not world.verified()


def test_an_answer_of_500_is_recorded_as_such(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(delivery: Delivery) -> None:
        raise KeyError("retry_count")

    server = HttpServer("failing inbox", 0)
    server.start(Inbox(world.timeline, lambda: [OLD], fail).respond)
    try:
        assert request("POST", f"{server.url}/demo", BODY).status == 500
        assert [one["answered"] for one in request("GET", f"{server.url}/_inbox/demo").json] == [500]
    finally:
        server.stop()
    assert "retry_count" in capsys.readouterr().err


# ---- a delivery's line in the terminal ------------------------------------------------------------------------------


def delivered(body: object, *, verified: bool = True, answered: int = 200) -> Delivery:
    return Delivery("demo", START, {}, json.dumps(body).encode(), verified, answered)


def test_a_calls_first_line_has_its_execution_and_a_batchs_line_its_counts() -> None:
    call = {"id": "f728", "user_number": "+12025550123", "status": "queued", "retry_count": 0, "sequence": 1}
    assert line_of(delivered(call)) == "10:00:00  +12025550123  queued              retry_count 0, execution f728"
    later = {**call, "status": "scheduled", "sequence": 5, "next_attempt": {"attempt": 2, "at": "2026-01-26T10:30:00Z"}}
    assert line_of(delivered(later)).endswith("  scheduled           retry_count 0, attempt 2 at 10:30:00")
    batch = {"batch_id": "1759", "status": "running", "valid_contacts": 3, "total_contacts": 4}
    line = line_of(delivered({**batch, "execution_status": {"queued": 3}}, verified=False, answered=503))
    assert line == (
        "10:00:00  batch 1759  running             3 of 4 contacts accepted, 3 queued, "
        "SIGNATURE NOT VALID, the inbox answered 503"
    )


NAMES = st.sampled_from(
    ["id", "batch_id", "user_number", "status", "next_attempt", "at", "execution_status", "sequence", "reason"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
)


@given(VALUES)
def test_every_body_has_a_line(body: object) -> None:
    assert line_of(delivered(body)).startswith("10:00:00  ")
