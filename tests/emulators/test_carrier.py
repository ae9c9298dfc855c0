"""The emulated Twilio: its strict API, calls in simulated time, signed callbacks."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from local.carriers.course import Scripts, course
from local.carriers.twilio import Carrier
from local.carriers.twilio_calls import signature
from local.clock import Timeline
from local.web.server import RESET, HttpServer, Request, Response
from tests.support.local_stack import Answer, request

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
TO, FROM = "+12025550111", "+12025550100"
TWIML = b'<?xml version="1.0"?><Response><Say>Hello</Say></Response>'


@dataclass
class Received:
    """A request of the carrier: seconds since the start, path, form and headers."""

    seconds: float
    path: str
    form: dict[str, str]
    headers: dict[str, str]
    raw: bytes


@dataclass
class World:
    """A carrier, and a customer's server that records the carrier's requests and sends prepared responses."""

    timeline: Timeline
    carrier: Carrier
    api: HttpServer
    customer: HttpServer
    received: list[Received] = field(default_factory=list)
    answers: list[Response | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, sent: Request) -> Response | None:
        form = dict(parse_qsl(sent.body.decode(), keep_blank_values=True))
        seconds = (self.timeline.now() - START).total_seconds()
        with self.lock:
            headers = {name.lower(): value for name, value in sent.headers}
            self.received.append(Received(seconds, sent.path, form, headers, sent.body))
            if sent.path == "/answer":
                return Response(200, TWIML, [("content-type", "text/xml")])
            return self.answers.pop(0) if self.answers else Response(204)

    def twilio(self, method: str, path: str, form: Any = None, **headers: str) -> Answer:
        carrier = self.carrier
        token = base64.b64encode(f"{carrier.account_sid}:{carrier.auth_token}".encode()).decode()
        sent = {"Authorization": f"Basic {token}", **headers}
        body = None
        if form is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
            body = urlencode(form, doseq=True).encode()
        of_account = "" if path.startswith("/v1/") else f"/2010-04-01/Accounts/{carrier.account_sid}"
        return request(method, f"{self.api.url}{of_account}{path}", body, sent)

    def place(self, **changes: Any) -> Answer:
        form = {
            "To": TO,
            "From": FROM,
            "Url": "https://demo.twilio.com/docs/voice.xml",
            "StatusCallback": f"{self.customer.url}/callbacks/twilio/x/1#rc=3&rp=all",
            "StatusCallbackEvent": ["ringing", "answered", "completed"],
            "Timeout": "30",
            **changes,
        }
        return self.twilio("POST", "/Calls.json", {name: value for name, value in form.items() if value is not None})

    def script(self, *outcomes: str, to: str = TO) -> None:
        answer = request("POST", f"{self.api.url}/_carrier/scripts", {"to": to, "outcomes": outcomes})
        assert answer.status == 200, answer

    def statuses(self, path: str = "/callbacks/twilio/x/1") -> list[tuple[float, str]]:
        return [(one.seconds, one.form["CallStatus"]) for one in self.received if one.path == path]


@pytest.fixture
def world() -> Iterator[World]:
    timeline = Timeline(START, speed=0)
    here = World(timeline, Carrier(timeline, seed=1), HttpServer("carrier", 0), HttpServer("customer", 0))
    here.api.start(here.carrier.respond)
    here.customer.start(here.note)
    timeline.start()
    yield here
    timeline.stop()
    here.api.stop()
    here.customer.stop()
    assert timeline.failures == []


# ---- placing a call -----------------------------------------------------------------------------------------------


def test_a_placed_call_is_answered_with_twilios_call_resource(world: World) -> None:
    answer = world.place()
    assert answer.status == 201
    call = answer.json
    assert call["sid"].startswith("CA") and len(call["sid"]) == 34
    assert (call["status"], call["direction"], call["to"], call["from"]) == ("queued", "outbound-api", TO, FROM)
    assert parsedate_to_datetime(call["date_created"]) == START
    assert call["date_created"] == "Mon, 26 Jan 2026 10:00:00 +0000"
    assert call["start_time"] is None and call["duration"] is None and call["answered_by"] is None
    assert call["queue_time"] == "0"
    account = world.carrier.account_sid
    assert call["uri"] == f"/2010-04-01/Accounts/{account}/Calls/{call['sid']}.json"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (21201, {"To": None}),
        (21211, {"To": "2025550111"}),
        (21211, {"To": "+0123456789"}),
        (21211, {"To": "+1 202 555 0111"}),
        (21213, {"From": None}),
        (21212, {"From": "anonymous"}),
        (21205, {"Url": None}),
        (21205, {"Url": "voice.xml"}),
        (21205, {"Twiml": TWIML.decode()}),
        (12100, {"Url": None, "Twiml": "<Response>"}),
        (12100, {"Url": None, "Twiml": "<Say/>"}),
        (12100, {"Url": None, "Twiml": '<Response><Connect><Stream url="wss://m.example/?a=1"/></Connect></Response>'}),
        (12100, {"Url": None, "Twiml": '<Response><Connect><Stream url="https://m.example/"/></Connect></Response>'}),
        (20001, {"Url": None, "Twiml": TWIML.decode(), "Method": "POST"}),
        (32018, {"Url": None, "Twiml": f"<Response>{' ' * 4000}</Response>"}),
        (21609, {"StatusCallback": "/callbacks"}),
        (21609, {"StatusCallback": "http://127.0.0.1/x#rc=9"}),
        (21609, {"StatusCallback": "http://127.0.0.1/x#rp=sometimes"}),
        (21609, {"StatusCallback": "http://127.0.0.1/x#colour=red"}),
        (21626, {"StatusCallbackEvent": ["ringing", "busy"]}),
        (21206, {"Method": "GET"}),
        (20001, {"Timeout": "0"}),
        (20001, {"Timeout": "601"}),
        (20001, {"Timeout": "30.0"}),
        (20001, {"TimeLimit": "86401"}),
        (20001, {"MachineDetection": "true"}),
        (20001, {"MachineDetection": "Enable", "AsyncAmd": "yes"}),
        (20001, {"MachineDetection": "Enable", "AsyncAmd": "true"}),
        (20001, {"AsyncAmd": "true", "AsyncAmdStatusCallback": "http://127.0.0.1/amd"}),
        (20001, {"Record": "true"}),
        (20001, {"IdempotencyKey": "x"}),
        (20001, {"Timeout": ["30", "31"]}),
    ],
    ids=str,
)
def test_an_invalid_request_is_refused_and_places_no_call(world: World, code: int, changes: dict[str, Any]) -> None:
    answer = world.place(**changes)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert answer.json["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert world.carrier.calls.all() == []


def test_only_a_form_is_accepted(world: World) -> None:
    answer = world.twilio("POST", "/Calls.json", {"To": TO}, **{"Content-Type": "application/json"})
    assert answer.status == 415


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer x", "Basic not base64"])
def test_credentials_are_checked(world: World, header: str) -> None:
    answer = world.twilio("POST", "/Calls.json", {"To": TO}, Authorization=header)
    assert (answer.status, answer.json["code"]) == (401, 20003)


def test_unknown_paths_methods_and_accounts(world: World) -> None:
    assert world.twilio("GET", "/Messages.json").json["code"] == 20404
    assert world.twilio("DELETE", "/Calls.json").status == 405
    assert world.twilio("GET", f"/Calls/CA{'0' * 32}.json").status == 404
    assert world.twilio("GET", "/../AC123/Calls.json").status == 404


# ---- calls and callbacks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("completed", [(2, "ringing"), (10, "in-progress"), (70, "completed")]),
        ("no-answer", [(2, "ringing"), (37, "no-answer")]),
        ("busy", [(3, "busy")]),
        ("failed", [(2, "failed")]),
        ("canceled", [(2, "ringing"), (6, "canceled")]),
        ("voicemail", [(2, "ringing"), (22, "in-progress"), (37, "completed")]),
        ("timeout-after-placing", [(2, "ringing"), (10, "in-progress"), (70, "completed")]),
        ("no-callback", []),
        (
            "duplicate-callbacks",
            [
                (2, "ringing"),
                (3.5, "ringing"),
                (10, "in-progress"),
                (11.5, "in-progress"),
                (70, "completed"),
                (71.5, "completed"),
                (97, "ringing"),
                (105, "in-progress"),
                (165, "completed"),
            ],
        ),
        ("late-callbacks", [(242, "ringing"), (250, "completed"), (310, "in-progress")]),
    ],
)
def test_each_outcome_has_its_course(world: World, outcome: str, expected: list[tuple[float, str]]) -> None:
    world.script(outcome)
    if outcome == "timeout-after-placing":
        with pytest.raises(ConnectionError):
            world.place()
    else:
        assert world.place().status == 201
    world.timeline.advance(30)
    assert world.statuses() == expected
    (call,) = request("GET", f"{world.api.url}/_carrier/calls").json
    assert call.keys() == {"sid", "to", "from", "placed_at", "ended_at", "status"}
    final = [status for _, status in sorted(expected)][-1] if outcome in ("canceled", "busy", "failed") else "completed"
    assert call["status"] == ("no-answer" if outcome == "no-answer" else final)
    assert call["placed_at"] == "2026-01-26T10:00:00.000Z"


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        ("invalid-number", 400, 21211),
        ("refused-429", 429, 20429),
        ("error-500", 500, 20500),
        ("refused-21211", 400, 21211),
        ("refused-20003", 401, 20003),
        ("refused-20403", 403, 20403),
        ("refused-10004", 429, 10004),
        ("refused-20500", 500, 20500),
        ("refused-32109", 400, 32109),
        ("refused-573005", 400, 573005),
    ],
)
def test_a_scripted_refusal_has_twilios_form_and_places_no_call(
    world: World, outcome: str, status: int, code: int
) -> None:
    world.script(outcome)
    answer = world.place()
    body = answer.json
    assert (answer.status, body.pop("message") != "") == (status, True)
    more = f"https://www.twilio.com/docs/errors/{code}"
    assert body == {"code": code, "more_info": more, "status": status}
    world.timeline.advance(30)
    assert world.received == [] and world.carrier.calls.all() == []


def test_a_script_gives_one_outcome_to_each_request_and_the_last_repeats(world: World) -> None:
    world.script("refused-429", "busy", "no-answer")
    assert world.place().status == 429
    for _ in range(3):
        assert world.place().status == 201
    world.timeline.advance(5)
    assert [call.status for call in world.carrier.calls.all()] == ["busy", "no-answer", "no-answer"]


def test_an_invalid_script_is_refused(world: World) -> None:
    wrong: list[Any] = [{}, [], {"to": TO}, {"to": "1", "outcomes": ["busy"]}]
    outcomes: list[list[Any]] = [[], ["fine"], ["busy", "refused-1"], ["refused-21211x"], ["refused-"], [21211]]
    for body in [*wrong, *({"to": TO, "outcomes": one} for one in outcomes)]:
        assert request("POST", f"{world.api.url}/_carrier/scripts", body).status == 400


def test_outcomes_without_a_script_follow_from_the_seed() -> None:
    def mix(seed: int) -> list[str]:
        scripts = Scripts(seed)
        return [scripts.next(f"+1202555{number:04d}") for number in range(200)]

    assert mix(1) == mix(1) != mix(2)
    assert {"completed", "no-answer", "busy", "voicemail", "failed"} == set(mix(1))


def test_the_ring_timeout_counts(world: World) -> None:
    """A phone that would be answered after 8 s is not answered within 1 s (plus Twilio's buffer of 5 s)."""
    world.script("completed")
    world.place(Timeout="1")
    world.timeline.advance(5)
    assert world.statuses() == [(2, "ringing"), (8, "no-answer")]


def test_the_time_limit_ends_a_call() -> None:
    assert course("completed", ring_seconds=60, limit_seconds=20)[-1].seconds == 30


def test_a_final_callback_contains_how_the_call_ended(world: World) -> None:
    world.script("completed", "busy")
    world.place()
    world.timeline.advance(5)
    last = world.received[-1].form
    assert (last["CallDuration"], last["Duration"], last["SipResponseCode"]) == ("60", "1", "200")
    assert last["CallbackSource"] == "call-progress-events"
    assert last["SequenceNumber"] == "2"
    assert last["Timestamp"] == "Mon, 26 Jan 2026 10:01:10 +0000"
    assert last["Direction"] == "outbound-api" and last["ApiVersion"] == "2010-04-01"
    assert "AnsweredBy" not in last
    world.place()
    world.timeline.advance(5)
    busy = world.received[-1].form
    assert (busy["CallStatus"], busy["SipResponseCode"], busy["CallDuration"]) == ("busy", "486", "0")


def test_only_subscribed_events_are_sent(world: World) -> None:
    world.script("completed")
    world.place(StatusCallbackEvent=None)
    world.place(StatusCallbackEvent=["initiated", "answered"])
    world.timeline.advance(5)
    assert sorted(world.statuses()) == [(0.5, "initiated"), (10, "in-progress"), (70, "completed")]


def test_twilios_validator_accepts_the_signatures_of_callbacks(world: World) -> None:
    world.script("completed")
    url = f"{world.customer.url}/callbacks/twilio/x/1?a=b%20c&d="
    world.place(StatusCallback=f"{url}#rc=3&rp=all")
    world.timeline.advance(5)
    validator = RequestValidator(world.carrier.auth_token)
    assert len(world.received) == 3
    for one in world.received:
        assert validator.validate(url, one.form, one.headers["x-twilio-signature"])
        assert not validator.validate(url + "x", one.form, one.headers["x-twilio-signature"])
        assert b"ToZip=&" in one.raw or one.raw.endswith(b"ToZip=")  # empty values are sent, and signed


def test_the_signature_equals_twilios_documented_example() -> None:
    """The example of https://www.twilio.com/docs/usage/security#validating-requests"""
    parameters = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, parameters) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_failed_callback_is_retried_as_its_url_configures(world: World) -> None:
    world.script("busy")
    world.answers += [Response(500), RESET, Response(400)]
    world.place()
    world.timeline.advance(5)
    assert [status for _, status in world.statuses()] == ["busy"] * 4
    assert len({one.headers["i-twilio-idempotency-token"] for one in world.received}) == 1
    assert len({one.raw for one in world.received}) == 1
    world.received.clear()
    world.answers += [Response(500)] * 9
    world.place()
    world.timeline.advance(5)
    assert len(world.received) == 4


def test_without_overrides_an_error_is_not_retried(world: World) -> None:
    world.script("busy")
    world.answers += [Response(500)] * 9
    world.place(StatusCallback=f"{world.customer.url}/plain")
    world.timeline.advance(5)
    assert len(world.received) == 1


def test_no_callback_leaves_this_machine(world: World) -> None:
    world.script("busy")
    world.place(StatusCallback="https://example.com/callbacks")
    world.timeline.advance(5)
    assert world.received == []
    assert "not on this machine" in request("GET", f"{world.api.url}/_carrier/problems").json[0]


# ---- answering ----------------------------------------------------------------------------------------------------


def test_instructions_on_this_machine_are_fetched_when_the_call_is_answered(world: World) -> None:
    world.script("completed")
    world.place(Url=f"{world.customer.url}/answer")
    world.timeline.advance(5)
    (fetched,) = [one for one in world.received if one.path == "/answer"]
    assert fetched.seconds == 10 and fetched.form["CallStatus"] == "in-progress"
    validator = RequestValidator(world.carrier.auth_token)
    assert validator.validate(f"{world.customer.url}/answer", fetched.form, fetched.headers["x-twilio-signature"])
    assert world.statuses()[-1] == (70, "completed")
    assert world.carrier.calls.problems == []


def test_twiml_of_the_request_connects_the_answered_call(world: World) -> None:
    world.script("completed")
    world.place(Url=None, Twiml='<Response><Connect><Stream url="wss://m.example/x"/></Connect></Response>')
    world.timeline.advance(5)
    assert [call.stream_url for call in world.carrier.calls.all()] == ["wss://m.example/x"]
    assert world.statuses()[-1] == (70, "completed")
    assert {one.path for one in world.received} == {"/callbacks/twilio/x/1"}


@pytest.mark.parametrize(
    "answer",
    [
        Response(500),
        Response(204),
        Response(200, TWIML, [("content-type", "text/plain")]),
        Response(200, b"<Response>", [("content-type", "text/xml")]),
        Response(200, b"<Hello/>", [("content-type", "text/xml")]),
    ],
    ids=["500", "204", "not XML", "malformed", "no Response"],
)
def test_invalid_instructions_end_the_call_and_are_a_problem(world: World, answer: Response) -> None:
    world.script("completed")
    world.answers += [Response(204), answer]
    world.place(Url=f"{world.customer.url}/broken")
    world.timeline.advance(5)
    assert world.statuses() == [(2, "ringing"), (10, "in-progress"), (11, "completed")]
    assert len(world.carrier.calls.problems) == 1


@pytest.mark.parametrize(
    ("outcome", "detection", "expected"),
    [
        ("voicemail", "Enable", "machine_start"),
        ("voicemail", "DetectMessageEnd", "machine_end_beep"),
        ("completed", "Enable", "human"),
    ],
)
def test_machine_detection_in_the_background(world: World, outcome: str, detection: str, expected: str) -> None:
    world.script(outcome)
    amd = f"{world.customer.url}/amd"
    placed = world.place(MachineDetection=detection, AsyncAmd="true", AsyncAmdStatusCallback=amd).json
    world.timeline.advance(5)
    (found,) = [one for one in world.received if one.path == "/amd"]
    answered_at = next(seconds for seconds, status in world.statuses() if status == "in-progress")
    assert found.seconds == answered_at + 3.5
    assert found.form["AnsweredBy"] == expected
    assert RequestValidator(world.carrier.auth_token).validate(amd, found.form, found.headers["x-twilio-signature"])
    assert world.received[-1].form["AnsweredBy"] == expected
    assert world.twilio("GET", f"/Calls/{placed['sid']}.json").json["answered_by"] == expected


def test_machine_detection_before_the_instructions(world: World) -> None:
    world.script("voicemail")
    world.place(MachineDetection="Enable", Url=f"{world.customer.url}/answer")
    world.timeline.advance(5)
    assert next(one for one in world.received if one.path == "/answer").form["AnsweredBy"] == "machine_start"


# ---- asking about calls -------------------------------------------------------------------------------------------


def test_a_call_can_be_fetched_during_and_after_it(world: World) -> None:
    world.script("completed")
    sid = world.place().json["sid"]
    for minutes, status, duration in (
        (0, "queued", None),
        (0.1, "ringing", None),
        (0.5, "in-progress", None),
        (5, "completed", "60"),
    ):
        world.timeline.advance(minutes)
        call = world.twilio("GET", f"/Calls/{sid}.json").json
        assert (call["status"], call["duration"]) == (status, duration)
    call = world.twilio("GET", f"/Calls/{sid}.json").json
    assert call["start_time"] == "Mon, 26 Jan 2026 10:00:00 +0000"
    assert call["end_time"] == "Mon, 26 Jan 2026 10:01:10 +0000"


def test_calls_are_listed_newest_first_filtered_and_paged(world: World) -> None:
    world.script("busy")
    other = "+12025550122"
    world.script("busy", to=other)
    sids = []
    for number in range(5):
        sids.append(world.place().json["sid"])
        world.timeline.advance(1)
        if number == 2:
            world.place(To=other)

    def listed(query: str) -> list[str]:
        found: list[str] = []
        path: str | None = f"/Calls.json?{query}"
        while path is not None:
            page = world.twilio("GET", path).json
            assert page["end"] - page["start"] < page["page_size"]
            found += [call["sid"] for call in page["calls"]]
            following = page["next_page_uri"]
            path = following and "/Calls.json?" + following.partition("?")[2]
        return found

    to = urlencode({"To": TO})
    assert listed(to) == sids[::-1]
    assert listed(f"{to}&PageSize=2") == sids[::-1]
    assert listed(f"{to}&{urlencode({'StartTime>': '2026-01-26T10:02:00Z'})}") == sids[:1:-1]
    assert listed(f"{to}&{urlencode({'StartTime<': '2026-01-26T10:02:00Z'})}") == sids[2::-1]
    assert len(listed(urlencode({"StartTime": "2026-01-26"}))) == 6
    assert listed("Status=completed") == []
    world.place()
    assert len(listed(f"{to}&{urlencode({'StartTime>': '2026-01-26'})}")) == 5, "a queued call has no start time"
    assert len(listed(to)) == 6


@pytest.mark.parametrize(
    "query",
    [
        "Colour=red",
        "Status=lost",
        "PageSize=0",
        "PageSize=1001",
        "StartTime=yesterday",
        "StartTime%3E=2026-02-30",
        "StartTime%3C=2026-01-26T10:00:00",
    ],
)
def test_an_invalid_list_request_is_refused(world: World, query: str) -> None:
    assert world.twilio("GET", f"/Calls.json?{query}").status == 400


def test_a_calls_events_can_be_read_fifteen_minutes_after_its_end(world: World) -> None:
    world.script("completed")
    sid = world.place().json["sid"]
    world.timeline.advance(16)
    assert world.twilio("GET", f"/Calls/{sid}/Events.json").json["events"] == []
    world.timeline.advance(1)
    events = world.twilio("GET", f"/Calls/{sid}/Events.json").json["events"]
    callback = f"{world.customer.url}/callbacks/twilio/x/1"
    assert events[0]["request"]["parameters"]["status_callback"].startswith(callback)
    assert [one["request"]["url"] for one in events[1:]] == [callback] * 3
    assert events[-1]["request"]["parameters"]["call_status"] == "completed"
    assert events[-1]["response"]["response_code"] == 204


def test_a_call_can_be_ended_by_request(world: World) -> None:
    world.script("completed")
    early, late = world.place().json["sid"], world.place().json["sid"]
    world.timeline.advance(0.1)
    end = partial(world.twilio, "POST")
    assert end(f"/Calls/{early}.json", {"Status": "canceled"}).status == 200
    world.timeline.advance(0.5)
    assert end(f"/Calls/{late}.json", {"Status": "canceled"}).json["code"] == 21220
    assert end(f"/Calls/{late}.json", {"Status": "completed"}).status == 200
    world.timeline.advance(10)
    assert [call.status for call in world.carrier.calls.all()] == ["canceled", "completed"]
    assert world.carrier.calls.all()[1].ended_at == START + timedelta(minutes=0.6)
    assert end(f"/Calls/{late}.json", {"Status": "completed"}).json["code"] == 21220
    assert end(f"/Calls/{late}.json", {"Url": "https://example.com"}).status == 400


def test_the_accounts_numbers_are_listed(world: World) -> None:
    page = world.twilio("GET", "/IncomingPhoneNumbers.json").json
    assert [one["phone_number"] for one in page["incoming_phone_numbers"]] == ["+12025550100", "+12025550101"]


def test_verified_numbers_and_dialing_permissions_are_listed(world: World) -> None:
    assert world.twilio("GET", "/OutgoingCallerIds.json").json["outgoing_caller_ids"] == []
    world.carrier.verified.append("+12025550150")
    (verified,) = world.twilio("GET", "/OutgoingCallerIds.json?PageSize=1000").json["outgoing_caller_ids"]
    assert verified["phone_number"] == "+12025550150"
    world.carrier.closed_countries.add("GB")
    listed = world.twilio("GET", "/v1/DialingPermissions/Countries?PageSize=1000").json
    assert {one["iso_code"] for one in listed["content"] if not one["low_risk_numbers_enabled"]} == {"GB"}
    assert world.twilio("GET", "/v1/DialingPermissions/Countries?Limit=1").json["code"] == 20001


def test_the_account_shows_its_numbers_balance_and_scripts(world: World) -> None:
    world.script("completed", "busy")
    world.script("no-answer", "refused-21211", to="+12025550112")
    world.place()
    world.timeline.advance(5)
    account = request("GET", f"{world.api.url}/_carrier/account").json
    assert account.pop("auth_token") == world.carrier.auth_token
    assert account.pop("unscripted_percent")["completed"] == 50
    assert account == {
        "carrier": "twilio",
        "account_sid": world.carrier.account_sid,
        "numbers": ["+12025550100", "+12025550101"],
        "balance": {"amount": "99.986", "currency": "USD"},
        "calls_per_second": None,
        "scripts": {TO: ["busy"], "+12025550112": ["no-answer", "refused-21211"]},
    }


def test_live_calls_are_counted(world: World) -> None:
    world.script("busy")
    for _ in range(3):
        world.place()
    assert request("GET", f"{world.api.url}/_carrier/live").json == {"live": 3, "max_live": 3}
    world.timeline.advance(1)
    world.place()
    assert request("GET", f"{world.api.url}/_carrier/live").json == {"live": 1, "max_live": 3}
