"""What every carrier must do: each adapter, including its HTTP client, is tested against its emulator.

A new carrier adds its rig to `RIGS` and must pass all of these tests. Tests of a single carrier are in tests/unit.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import pytest

from local.carriers.course import Scripts
from local.carriers.http import Platform
from local.carriers.http import secret_of as platform_secret_of
from local.carriers.twilio import Carrier as Twilio
from local.carriers.twilio_calls import signature as twilio_signature
from local.clock import Timeline
from local.web.server import HttpServer, Request, Response
from redial.adapters.http import Http
from redial.carriers import CARRIERS, inbound, limits, outbound
from redial.carriers.callback import callback_url, read_callback
from redial.carriers.http.credentials import HttpCredentials
from redial.carriers.twilio.credentials import TwilioCredentials
from redial.domain.outcome import Accepted, CallReport, NotPlaced, Refused, Unknown
from redial.domain.status import LIVE, Status
from redial.ports import (
    Callback,
    CallbackReader,
    CallRequest,
    Carrier,
    CarrierUnavailable,
    ForgedCallback,
    NotYetKnown,
    UnreadableCallback,
)
from tests.support.raw_server import unused_port

pytestmark = pytest.mark.enable_socket

T = TypeVar("T")
START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
EXECUTION, OTHER_EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41", "9d1e3f6a-8b1c-4a57-9c1f-0a6d8f2b7c41"
NUMBER, CALLER = "+12025550111", "+12025550100"
STREAM_URL = "wss://media.example.com/calls?execution=x"


@dataclass
class Known:
    """Credentials of a secret whose text may change; the text that was read stays in use until it is refused."""

    read: Callable[[], Any]
    value: Any = None

    def get(self) -> Any:
        self.value = self.value or self.read()
        return self.value

    def refresh(self, refused: Any) -> bool:
        self.value = self.read()
        return bool(self.value != refused)


class Rig:
    """A carrier's adapter and emulator, and Redial's public endpoint, which verifies and reads callbacks."""

    def __init__(self) -> None:
        self.timeline = Timeline(START, speed=0)
        self.server, self.public = HttpServer("carrier", 0), HttpServer("public", 0)
        self.changes: dict[str, str] = {}
        self.received: list[Callback] = []
        self.reports: list[CallReport] = []
        self.known: dict[str, Known] = {}

    # What each carrier's rig defines.

    name: str
    parse: Callable[[str], Any]
    settles_after = 0.0
    """Minutes after which the carrier can tell to which attempt a call belongs."""

    def secret(self) -> dict[str, str]:
        """The fields of the carrier's secret."""
        raise NotImplementedError

    def respond(self, request: Request) -> Response | None:
        """The emulator."""
        raise NotImplementedError

    def script(self, *outcomes: str) -> None:
        """Script the outcomes of requests to call `NUMBER`."""
        raise NotImplementedError

    def calls(self) -> list[str]:
        """Ids of the calls that rang."""
        raise NotImplementedError

    def streams(self) -> list[str]:
        """The URLs to which answered calls were connected."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        raise NotImplementedError

    def rotate(self) -> None:
        """Replace the carrier's secret from now on."""
        raise NotImplementedError

    def callback(self, attempt: int, call_id: str, status: str, kind: str = "") -> Callback:
        """A signed callback, as the carrier sends it."""
        raise NotImplementedError

    # What all rigs share.

    def of(self, carrier: str, parse: Callable[[str], T]) -> Any:
        assert carrier == self.name
        if carrier not in self.known:
            self.known[carrier] = Known(lambda: parse(json.dumps(self.secret() | self.changes)))
        return self.known[carrier]

    def carrier(self) -> Carrier:
        return outbound(self.name, Http(), self, self.timeline.now)

    def reader(self) -> CallbackReader:
        return inbound(self.name, self)

    def request(self, attempt: int = 1, execution_id: str = EXECUTION, **changes: Any) -> CallRequest:
        arguments: dict[str, Any] = {
            "execution_id": execution_id,
            "attempt": attempt,
            "to_number": NUMBER,
            "from_number": CALLER,
            "callback_url": callback_url(self.public.url, self.name, execution_id, attempt),
            "answer_url": "https://agent.example.com/answer",
            "ring_timeout_seconds": 30,
            "max_call_seconds": 3600,
            "voicemail_detection": False,
            "variables": {"name": "Zoë"},
        }
        return CallRequest(**(arguments | changes))

    def place(self, outcome: str, **changes: Any) -> str:
        """Place a call that is accepted; return its id."""
        self.script(outcome)
        placed = self.carrier().place(self.request(**changes))
        assert isinstance(placed, Accepted)
        return placed.call_id

    def find(self, attempt: int = 1) -> CallReport | None:
        return self.carrier().find(self.request(attempt), START, frozenset(), lambda: 60.0)

    def receive(self, request: Request) -> Response | None:
        """Handle a callback as the carrier_callback function does."""
        event = {
            "rawPath": request.path,
            "headers": dict(request.headers),
            "body": request.body.decode(),
            "isBase64Encoded": False,
        }
        callback = read_callback(event, self.public.url)
        assert callback is not None
        self.reader().verify(callback, self.timeline.now())
        self.received.append(callback)
        self.reports.append(self.reader().read(callback))
        return Response(204)

    def refuses(self, callback: Callback) -> bool:
        """Whether a callback is refused: it is not authentic, or it cannot be read."""
        try:
            self.reader().verify(callback, self.timeline.now())
            self.reader().read(callback)
        except (ForgedCallback, UnreadableCallback):
            return True
        return False


class TwilioRig(Rig):
    name = "twilio"
    parse = staticmethod(TwilioCredentials.parse)
    settles_after = 20.0  # its Events can be read 15 minutes after the call

    def __init__(self) -> None:
        super().__init__()
        self.twilio = Twilio(self.timeline, seed=1)

    def secret(self) -> dict[str, str]:
        return {**self.twilio.secret, "api_url": self.server.url}

    def respond(self, request: Request) -> Response | None:
        return self.twilio.respond(request)

    def script(self, *outcomes: str) -> None:
        self.twilio.calls.scripts.set(NUMBER, outcomes)

    def calls(self) -> list[str]:
        return [call.sid for call in self.twilio.calls.all()]

    def streams(self) -> list[str]:
        return [call.stream_url for call in self.twilio.calls.all() if call.stream_url is not None]

    def problems(self) -> list[str]:
        return self.twilio.calls.problems

    def rotate(self) -> None:
        self.twilio.rotate("another-token")

    def callback(self, attempt: int, call_id: str, status: str, kind: str = "") -> Callback:
        url = callback_url(self.public.url, self.name, EXECUTION, attempt) + (f"/{kind}" if kind else "")
        fields = {"AccountSid": self.twilio.account_sid, "CallSid": call_id, "CallStatus": status}
        signed = twilio_signature(self.twilio.auth_token, url, fields)
        body = urlencode(fields).encode()
        return Callback(self.name, EXECUTION, attempt, kind, (url,), {"x-twilio-signature": signed}, body)


class HttpRig(Rig):
    name = "http"
    parse = staticmethod(HttpCredentials.parse)

    def __init__(self) -> None:
        super().__init__()
        self.platform = Platform(self.timeline, f"{self.server.url}/voice", Scripts(seed=1), seed=1)

    def secret(self) -> dict[str, str]:
        return {"api_url": self.platform.url, "signing_secret": self.platform.signing_secret}

    def respond(self, request: Request) -> Response | None:
        return self.platform.respond(request)

    def script(self, *outcomes: str) -> None:
        self.platform.scripts.set(NUMBER, outcomes)

    def calls(self) -> list[str]:
        return [call.call_id for call in self.platform.calls]

    def streams(self) -> list[str]:
        return [call.request["stream_url"] for call in self.platform.calls if call.answered_at is not None]

    def problems(self) -> list[str]:
        return self.platform.problems

    def rotate(self) -> None:
        self.platform.signing_secret = platform_secret_of("another")

    def callback(self, attempt: int, call_id: str, status: str, kind: str = "") -> Callback:
        url = callback_url(self.public.url, self.name, EXECUTION, attempt) + (f"/{kind}" if kind else "")
        body = json.dumps({"dial_key": f"{EXECUTION}:{attempt}", "call_id": call_id, "status": status}).encode()
        headers = {name.lower(): value for name, value in self.platform.headers(body).items()}
        return Callback(self.name, EXECUTION, attempt, kind, (url,), headers, body)


RIGS = {rig.name: rig for rig in (TwilioRig, HttpRig)}


@pytest.fixture(params=CARRIERS)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    here = RIGS[request.param]()
    here.server.start(here.respond)
    here.public.start(here.receive)
    here.timeline.start()
    yield here
    here.timeline.stop()
    here.server.stop()
    here.public.stop()


def test_every_carrier_is_tested_here() -> None:
    assert set(RIGS) == set(CARRIERS)


@pytest.mark.parametrize("name", CARRIERS)
def test_limits_make_sense(name: str) -> None:
    allowed = limits(name)
    for shortest, longest in (allowed.ring_seconds, allowed.call_seconds):
        assert 0 < shortest < longest
    assert allowed.absence_proves_after is None or allowed.absence_proves_after > timedelta(0)


def test_an_adapter_has_its_carriers_limits(rig: Rig) -> None:
    assert rig.carrier().limits == limits(rig.name)


# ---- placing


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
def test_a_call_that_is_accepted_is_reported_to_its_end(rig: Rig, outcome: str, status: Status) -> None:
    call_id = rig.place(outcome)
    started = rig.carrier().ask(call_id)
    assert started is not None and started.status is Status.INITIATED
    rig.timeline.advance(5)
    assert {report.call_id for report in rig.reports} == {call_id}
    assert {(one.execution_id, one.attempt) for one in rig.received} == {(EXECUTION, 1)}
    told, asked = rig.reports[-1], rig.carrier().ask(call_id)
    assert asked is not None
    for report in (told, asked):
        assert report.status is status
        assert report.outcome is not None and not report.outcome.permanent
        assert report.outcome.duration_seconds == (60 if outcome == "completed" else None)
    if outcome == "completed":
        assert [one.status for one in rig.reports if one.status in LIVE][-2:] == [Status.RINGING, Status.IN_PROGRESS]
    assert rig.problems() == []


def test_only_the_end_is_reported_where_nothing_else_is_asked_for(rig: Rig) -> None:
    rig.place("completed", reports_ringing=False, reports_answer=False)
    rig.timeline.advance(5)
    assert rig.reports[-1].status is Status.COMPLETED
    assert not {Status.RINGING, Status.IN_PROGRESS} & {report.status for report in rig.reports}
    assert rig.problems() == []


def test_a_machine_that_answers_is_reported(rig: Rig) -> None:
    call_id = rig.place("voicemail", voicemail_detection=True)
    rig.timeline.advance(5)
    assert True in {report.voicemail for report in rig.reports}
    asked = rig.carrier().ask(call_id)
    assert asked is not None and asked.outcome is not None
    assert (asked.status, asked.outcome.voicemail) == (Status.COMPLETED, True)


def test_a_call_without_an_answer_url_is_connected_to_its_stream(rig: Rig) -> None:
    """The request includes the stream: Redial is not asked when the call is answered."""
    rig.place("completed", answer_url=None, stream_url=STREAM_URL)
    rig.timeline.advance(5)
    assert [urlsplit(stream).netloc for stream in rig.streams()] == [urlsplit(STREAM_URL).netloc]
    assert {callback.kind for callback in rig.received} == {""}
    assert rig.reports[-1].status is Status.COMPLETED
    assert rig.problems() == []


def test_a_stream_that_may_be_saved_is_taken(rig: Rig) -> None:
    """This is the longest URL that an agent may have, or the longest that the carrier accepts."""

    def is_taken(url: str) -> bool:
        try:
            rig.carrier().limits.check_stream_url(url)
        except ValueError:
            return False
        return True

    urls = ["wss://media.example.com/?" + "a=1&" * count for count in (600, 120)]
    rig.place("completed", answer_url=None, stream_url=next(filter(is_taken, urls)))


def test_a_number_that_does_not_exist_is_refused_permanently(rig: Rig) -> None:
    rig.script("invalid-number")
    result = rig.carrier().place(rig.request())
    assert isinstance(result, Refused)
    assert (result.outcome.status, result.outcome.permanent) == (Status.FAILED, True)
    assert result.outcome.reason
    assert rig.calls() == []


def test_a_throttled_request_placed_nothing(rig: Rig) -> None:
    rig.script("refused-429")
    result = rig.carrier().place(rig.request())
    assert isinstance(result, NotPlaced)
    assert not result.outage
    assert rig.calls() == []


def test_a_carrier_that_is_not_there_placed_nothing(rig: Rig) -> None:
    rig.changes["api_url"] = f"http://127.0.0.1:{unused_port()}"
    result = rig.carrier().place(rig.request())
    assert isinstance(result, NotPlaced) and result.outage
    assert rig.carrier().check() is not None
    with pytest.raises(CarrierUnavailable):
        rig.carrier().ask("CA1")
    with pytest.raises(CarrierUnavailable):
        rig.find()


def test_an_account_that_is_refused_is_an_outage_and_uses_up_no_attempt(rig: Rig) -> None:
    rig.known[rig.name] = known = rig.of(rig.name, rig.parse)
    known.get()
    rig.rotate()
    known.read = lambda: known.value  # the secret was not changed
    result = rig.carrier().place(rig.request())
    assert isinstance(result, NotPlaced) and result.outage
    assert "secret" in result.reason
    assert rig.carrier().check() == result.reason
    assert rig.calls() == []


def test_a_rotated_secret_is_read_again(rig: Rig) -> None:
    rig.script("completed")
    rig.of(rig.name, rig.parse).get()
    rig.rotate()
    assert isinstance(rig.carrier().place(rig.request()), NotPlaced)
    assert rig.calls() == []
    rig.place("completed")


def test_a_check_places_nothing(rig: Rig) -> None:
    assert rig.carrier().check() is None
    rig.timeline.advance(5)
    assert (rig.calls(), rig.received) == ([], [])


# ---- canceling


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_call_is_canceled_before_it_is_answered(rig: Rig, seconds: float) -> None:
    call_id = rig.place("completed")
    rig.timeline.advance(seconds / 60)
    for _ in range(2):  # it may be repeated
        assert rig.carrier().cancel(call_id).status is Status.CANCELED
    rig.timeline.advance(5)
    asked = rig.carrier().ask(call_id)
    assert asked is not None and asked.status is Status.CANCELED
    assert rig.reports[-1].status is Status.CANCELED
    assert Status.IN_PROGRESS not in {report.status for report in rig.reports}
    assert rig.problems() == []


@pytest.mark.parametrize(
    ("outcome", "minutes", "status"),
    [
        ("completed", 0.5, Status.IN_PROGRESS),
        ("completed", 5, Status.COMPLETED),
        ("busy", 5, Status.BUSY),
        ("no-answer", 5, Status.NO_ANSWER),
    ],
)
def test_a_cancel_that_comes_too_late_changes_nothing_and_says_what_became_of_the_call(
    rig: Rig, outcome: str, minutes: float, status: Status
) -> None:
    call_id = rig.place(outcome)
    rig.timeline.advance(minutes)
    assert rig.carrier().cancel(call_id).status is status
    rig.timeline.advance(5)
    assert Status.CANCELED not in {report.status for report in rig.reports}


def test_a_cancel_of_an_unknown_call_proves_nothing(rig: Rig) -> None:
    with pytest.raises(NotYetKnown):
        rig.carrier().cancel("CA" + "0" * 32)


def test_a_cancel_that_is_not_answered_proves_nothing(rig: Rig) -> None:
    call_id = rig.place("completed")
    rig.of(rig.name, rig.parse).get()
    rig.rotate()
    with pytest.raises(CarrierUnavailable):
        rig.carrier().cancel(call_id)
    assert rig.carrier().cancel(call_id).status is Status.CANCELED, "the secret is read again"
    rig.known.clear()
    rig.changes["api_url"] = f"http://127.0.0.1:{unused_port()}"
    with pytest.raises(CarrierUnavailable):
        rig.carrier().cancel(call_id)


# ---- what is not known


@pytest.mark.parametrize("outcome", ["error-500", "timeout-after-placing"])
def test_what_may_have_placed_a_call_is_unknown_and_is_found_out(rig: Rig, outcome: str) -> None:
    rig.script(outcome)
    assert isinstance(rig.carrier().place(rig.request()), Unknown)
    rang = rig.calls()
    assert len(rang) == (outcome == "timeout-after-placing")
    rig.timeline.advance(rig.settles_after)
    found = rig.find()
    assert rang == ([] if found is None else [found.call_id])


def test_an_attempt_that_was_never_placed_is_not_found(rig: Rig) -> None:
    assert rig.find() is None


def test_a_call_is_found_while_it_is_up_or_not_yet_known(rig: Rig) -> None:
    call_id = rig.place("completed")
    rig.timeline.advance(0.1)
    try:
        found = rig.find()
    except NotYetKnown:
        return
    assert found is not None and found.call_id == call_id


def test_another_attempts_call_is_not_taken(rig: Rig) -> None:
    other = rig.place("completed", attempt=2)
    mine = rig.place("completed")
    rig.place("completed", execution_id=OTHER_EXECUTION)
    rig.timeline.advance(5 + rig.settles_after)
    found, second = rig.find(), rig.find(2)
    assert found is not None and second is not None
    assert (found.call_id, second.call_id) == (mine, other)
    assert rig.find(3) is None


def test_without_time_nothing_is_searched(rig: Rig) -> None:
    with pytest.raises(NotYetKnown):
        rig.carrier().find(rig.request(), START, frozenset(), lambda: 1.0)


def test_a_call_that_the_carrier_does_not_know_is_none(rig: Rig) -> None:
    assert rig.carrier().ask("CA" + "0" * 32) is None


# ---- callbacks


def test_a_genuine_callback_is_read(rig: Rig) -> None:
    callback = rig.callback(1, "CA1", "busy")
    rig.reader().verify(callback, rig.timeline.now())
    report = rig.reader().read(callback)
    assert report is not None
    assert (report.call_id, report.status) == ("CA1", Status.BUSY)


def test_a_callback_that_is_altered_moved_or_unsigned_is_refused(rig: Rig) -> None:
    good = rig.callback(1, "CA1", "busy")
    other = rig.callback(2, "CA1", "busy")
    changed = rig.callback(1, "CA2", "completed")
    assert not rig.refuses(good)
    assert rig.refuses(_changed(good, headers={}))
    assert rig.refuses(_changed(good, headers=dict.fromkeys(good.headers, "é")))
    assert rig.refuses(_changed(good, headers=changed.headers))
    assert rig.refuses(_changed(good, body=changed.body))
    assert rig.refuses(_changed(good, body=b""))
    assert rig.refuses(_changed(other, headers=good.headers, body=good.body))
    rig.rotate()
    resigned = rig.callback(1, "CA1", "busy")
    rig.changes = dict(rig.secret())
    assert not rig.refuses(resigned), "the secret is read again"
    assert rig.refuses(good), "the old secret signs nothing any more"


def test_a_callback_that_is_replayed_says_the_same_or_is_refused(rig: Rig) -> None:
    callback = rig.callback(1, "CA1", "busy")
    first = rig.reader().read(callback)
    for minutes in (0, 1, 60):
        rig.timeline.advance(minutes)
        assert rig.refuses(callback) or rig.reader().read(callback) == first


@pytest.mark.parametrize(("status", "kind"), [("sleeping", ""), ("", ""), ("busy", "other")])
def test_a_signed_callback_that_makes_no_sense_is_unreadable(rig: Rig, status: str, kind: str) -> None:
    callback = rig.callback(1, "CA1", status, kind)
    rig.reader().verify(callback, rig.timeline.now())
    with pytest.raises(UnreadableCallback):
        rig.reader().read(callback)


@pytest.mark.parametrize("call_id", ["", "a b", "CA\x00", "x" * 257, "é"])
def test_an_invalid_id_is_unreadable(rig: Rig, call_id: str) -> None:
    callback = rig.callback(1, call_id, "busy")
    rig.reader().verify(callback, rig.timeline.now())
    with pytest.raises(UnreadableCallback):
        rig.reader().read(callback)


@pytest.mark.parametrize(
    ("outcome", "reports"), [("no-callback", 0), ("duplicate-callbacks", 6), ("late-callbacks", 3)]
)
def test_callbacks_may_be_lost_repeated_or_late(rig: Rig, outcome: str, reports: int) -> None:
    call_id = rig.place(outcome)
    rig.timeline.advance(10)
    assert len(rig.reports) >= reports and (reports or not rig.reports)
    asked = rig.carrier().ask(call_id)
    assert asked is not None and asked.status is Status.COMPLETED


def _changed(callback: Callback, **changes: Any) -> Callback:
    return Callback(**{**callback.__dict__, **changes})
