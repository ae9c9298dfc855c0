"""The Twilio adapter with its HTTP client against the emulated carrier; the two were written independently.

They agree if both follow Twilio's documentation; a disagreement is a defect in one of them.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from local.carriers.twilio import Carrier
from local.clock import Timeline
from local.web.server import HttpServer, Request, Response
from redial.adapters.http import Http
from redial.carriers.callback import callback_url, callback_urls
from redial.carriers.twilio import callbacks as twilio
from redial.carriers.twilio import rest
from redial.carriers.twilio.credentials import TwilioCredentials
from redial.carriers.twilio.rest import TwilioCarrier
from redial.domain.outcome import Accepted, CallReport, NotPlaced, Refused, Unknown
from redial.domain.status import Status
from redial.ports import CallRequest, CarrierUnavailable, NotYetKnown
from tests.support.raw_server import unused_port

pytestmark = pytest.mark.enable_socket

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"


@dataclass
class World:
    """The carrier, the adapter, and an endpoint that keeps callbacks."""

    timeline: Timeline
    carrier: Carrier
    api: HttpServer
    public: HttpServer
    callbacks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def credentials(self) -> TwilioCredentials:
        return TwilioCredentials(self.carrier.account_sid, self.carrier.auth_token, api_url=self.api.url)

    def get(self) -> TwilioCredentials:
        return self.credentials

    def refresh(self, refused: TwilioCredentials) -> bool:
        return refused != self.credentials

    def twilio(self) -> TwilioCarrier:
        return TwilioCarrier(Http(), self)

    def receive(self, request: Request) -> Response | None:
        """A request as API Gateway's event."""
        if request.path == "/answer":
            return Response(200, b"<Response><Say>Hello</Say></Response>", [("content-type", "text/xml")])
        self.callbacks.append(
            {
                "rawPath": request.path,
                "rawQueryString": "",
                "headers": {name.lower(): value for name, value in request.headers},
                "body": base64.b64encode(request.body).decode(),
                "isBase64Encoded": True,
            }
        )
        return Response(204)

    def request(self, *outcomes: str, attempt: int = 1, **changes: Any) -> CallRequest:
        """A request to call a number with these outcomes."""
        to_number = changes.pop("to_number", "+12025550111")
        if outcomes:
            self.carrier.calls.scripts.set(to_number, outcomes)
        arguments: dict[str, Any] = {
            "execution_id": EXECUTION,
            "attempt": attempt,
            "to_number": to_number,
            "from_number": "+12025550100",
            "callback_url": callback_url(self.public.url, "twilio", EXECUTION, attempt),
            "answer_url": f"{self.public.url}/answer",
            "ring_timeout_seconds": 30,
            "max_call_seconds": 3600,
            "voicemail_detection": False,
        }
        return CallRequest(**(arguments | changes))

    def verified(self) -> list[dict[str, list[str]]]:
        """The forms of all callbacks, after verifying their signatures."""
        forms = []
        for event in self.callbacks:
            form = twilio.form_of(base64.b64decode(event["body"]))
            urls = callback_urls(event, self.public.url)
            assert any(twilio.verify(event["headers"], url, form, self.carrier.auth_token) for url in urls)
            assert not any(twilio.verify(event["headers"], url, form, "another") for url in urls)
            forms.append(form)
        return forms

    def pass_minutes(self, minutes: float) -> None:
        self.timeline.advance(minutes)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(rest, "PLACE_TIMEOUT_SECONDS", 1.0)
    timeline = Timeline(START, speed=0)
    here = World(timeline, Carrier(timeline, seed=1), HttpServer("carrier", 0), HttpServer("public", 0))
    here.api.start(here.carrier.respond)
    here.public.start(here.receive)
    timeline.start()
    yield here
    timeline.stop()
    here.api.stop()
    here.public.stop()
    assert here.carrier.calls.problems == []


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("completed", Status.COMPLETED),
        ("no-answer", Status.NO_ANSWER),
        ("busy", Status.BUSY),
        ("failed", Status.FAILED),
        ("canceled", Status.CANCELED),
    ],
)
def test_a_calls_statuses_by_callbacks_and_by_asking_agree(world: World, outcome: str, status: Status) -> None:
    placed = world.twilio().place(world.request(outcome))
    assert isinstance(placed, Accepted)
    started = world.twilio().ask(placed.call_id)
    assert started is not None
    assert started.status is Status.INITIATED
    world.pass_minutes(5)
    reports = [twilio.parse_status_callback(form) for form in world.verified()]
    assert {report.call_id for report in reports} == {placed.call_id}
    assert reports[-1].status is status
    assert reports[-1].outcome is not None
    assert not reports[-1].outcome.permanent
    asked = world.twilio().ask(placed.call_id)
    assert asked is not None
    assert asked.status is status
    if outcome == "completed":
        assert [report.status for report in reports] == [Status.RINGING, Status.IN_PROGRESS, Status.COMPLETED]
        assert asked.outcome is not None
        assert reports[-1].outcome.duration_seconds == asked.outcome.duration_seconds == 60


def test_a_machine_is_detected_during_the_call(world: World) -> None:
    placed = world.twilio().place(world.request("voicemail", voicemail_detection=True))
    assert isinstance(placed, Accepted)
    world.pass_minutes(5)
    forms = dict(zip([event["rawPath"] for event in world.callbacks], world.verified(), strict=True))
    detected = forms[f"/callbacks/twilio/{EXECUTION}/1/amd"]
    assert twilio.parse_amd_callback(detected) == CallReport(placed.call_id, Status.IN_PROGRESS, voicemail=True)
    asked = world.twilio().ask(placed.call_id)
    assert asked is not None
    assert asked.outcome is not None
    assert asked.outcome.voicemail is True


def test_an_invalid_number_is_a_permanent_failure(world: World) -> None:
    result = world.twilio().place(world.request("invalid-number"))
    assert isinstance(result, Refused)
    assert (result.outcome.status, result.outcome.permanent) == (Status.FAILED, True)
    assert world.carrier.calls.all() == []


def test_a_throttled_call_was_not_placed(world: World) -> None:
    assert isinstance(world.twilio().place(world.request("refused-429")), NotPlaced)
    assert world.carrier.calls.all() == []


def test_an_unreachable_carrier_is_an_outage(world: World) -> None:
    class Nowhere(World):
        def get(self) -> TwilioCredentials:
            return TwilioCredentials(self.carrier.account_sid, "token", api_url=f"http://127.0.0.1:{unused_port()}")

    nowhere = Nowhere(world.timeline, world.carrier, world.api, world.public).twilio()
    assert nowhere.place(world.request()) == NotPlaced("Twilio was not reached: connection refused", outage=True)
    with pytest.raises(CarrierUnavailable, match="connection refused"):
        nowhere.ask("CA" + "0" * 32)


def test_a_check_of_a_working_carrier_passes_and_places_nothing(world: World) -> None:
    assert world.twilio().check() is None
    assert world.carrier.calls.all() == []


def test_refused_credentials_place_nothing(world: World) -> None:
    class Wrong(World):
        def get(self) -> TwilioCredentials:
            return TwilioCredentials(self.carrier.account_sid, "wrong", api_url=self.api.url)

        def refresh(self, refused: TwilioCredentials) -> bool:
            return False

    wrong = Wrong(world.timeline, world.carrier, world.api, world.public).twilio()
    result = wrong.place(world.request())
    assert isinstance(result, NotPlaced) and result.outage
    assert wrong.check() == result.reason
    assert world.carrier.calls.all() == []


def test_an_unknown_call_is_not_found(world: World) -> None:
    assert world.twilio().ask("CA" + "0" * 32) is None


@pytest.mark.parametrize("outcome", ["error-500", "timeout-after-placing"])
def test_an_unknown_dial_is_settled_by_asking(world: World, outcome: str) -> None:
    request = world.request(outcome)
    result = world.twilio().place(request)
    assert isinstance(result, Unknown)
    placed = [call.sid for call in world.carrier.calls.all()]
    if placed:
        with pytest.raises(NotYetKnown):
            world.twilio().find(request, START, frozenset(), lambda: 60.0)
    world.pass_minutes(20)
    found = world.twilio().find(request, START, frozenset(), lambda: 60.0)
    assert placed == ([] if found is None else [found.call_id])


def test_another_attempts_call_is_distinguished_once_its_events_are_available(world: World) -> None:
    other = world.request("completed", attempt=2)
    mine = world.request("completed")
    assert isinstance(world.twilio().place(other), Accepted)
    placed = world.twilio().place(mine)
    assert isinstance(placed, Accepted)
    world.pass_minutes(3)
    with pytest.raises(CarrierUnavailable, match="2 calls"):
        world.twilio().find(mine, START, frozenset(), lambda: 60.0)
    world.pass_minutes(15)
    found = world.twilio().find(mine, START, frozenset(), lambda: 60.0)
    assert found is not None
    assert found.call_id == placed.call_id
    assert world.twilio().find(world.request(attempt=3), START, frozenset(), lambda: 60.0) is None
