"""The carrier of the signed HTTP contract without a network: its requests, and the meaning of answers and reports."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.carriers.http import secret_of
from redial.carriers.http.callbacks import HttpCallbacks
from redial.carriers.http.codes import report
from redial.carriers.http.credentials import HttpCredentials
from redial.carriers.http.rest import HttpCarrier
from redial.domain.outcome import (
    Accepted,
    CallReport,
    DialResult,
    Fault,
    NotPlaced,
    Outcome,
    Price,
    Refused,
    Scope,
    Unknown,
)
from redial.domain.status import FINAL, Status
from redial.ports import (
    Callback,
    CallRequest,
    CarrierBusy,
    CarrierUnavailable,
    ForgedCallback,
    NotYetKnown,
    UnreadableCallback,
)
from redial.wire.http import HttpResponse, NoAnswer, NotSent
from redial.wire.webhook_signature import is_signed, sign

NOW = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
SECRET = secret_of("platform")
EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
KEY = f"{EXECUTION}:1"
REQUEST = CallRequest(
    execution_id=EXECUTION,
    attempt=1,
    to_number="+919876543210",
    from_number="+15005550006",
    callback_url=f"https://redial.example.com/callbacks/http/{EXECUTION}/1",
    answer_url="https://agent.example.com/answer",
    ring_timeout_seconds=30,
    max_call_seconds=3600,
    voicemail_detection=True,
    variables={"name": "Zoë"},
)


class ScriptedHttp:
    """Answers requests in turn and records them."""

    def __init__(self, *answers: HttpResponse | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def send(self, method: str, url: str, **given: Any) -> HttpResponse:
        self.asked.append({"method": method, "url": url, **given})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Fixed:
    """Credentials that never change."""

    def get(self) -> HttpCredentials:
        return HttpCredentials("https://voice.example.com/redial/", SECRET)

    def refresh(self, refused: HttpCredentials) -> bool:
        return False


def answer(status: int, body: object = None, **headers: str) -> HttpResponse:
    return HttpResponse(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


def carrier(http: ScriptedHttp) -> HttpCarrier:
    return HttpCarrier(cast(Any, http), Fixed(), lambda: NOW)


def placed(result: HttpResponse | Exception) -> DialResult:
    return carrier(ScriptedHttp(result)).place(REQUEST)


# ---- placing


def test_placing_posts_one_signed_json_object() -> None:
    http = ScriptedHttp(answer(201, {"call_id": "c1"}))
    assert carrier(http).place(REQUEST) == Accepted("c1")
    (asked,) = http.asked
    assert (asked["method"], asked["url"]) == ("POST", "https://voice.example.com/redial/calls")
    assert json.loads(asked["body"]) == {
        "dial_key": KEY,
        "execution_id": EXECUTION,
        "attempt": 1,
        "to": "+919876543210",
        "from": "+15005550006",
        "answer_url": "https://agent.example.com/answer",
        "stream_url": None,
        "variables": {"name": "Zoë"},
        "ring_timeout_seconds": 30,
        "max_call_seconds": 3600,
        "voicemail_detection": True,
        "callback_url": REQUEST.callback_url,
        "reports": ["ringing", "in-progress"],
    }
    assert asked["headers"]["idempotency-key"] == asked["headers"]["webhook-id"] == KEY
    assert is_signed(SECRET, asked["headers"], asked["body"], NOW)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (answer(200, {"call_id": "c1"}), Accepted("c1")),
        (answer(201, {"call_id": "v3:ab/?#%&+=\"'~"}), Accepted("v3:ab/?#%&+=\"'~")),
        (answer(422), Refused(Outcome(Status.FAILED, reason="the platform refused the call", code="422"))),
        (
            answer(422, {"reason": " no such number ", "permanent": True}),
            Refused(Outcome(Status.FAILED, permanent=True, reason="no such number", code="422", invalid_number=True)),
        ),
        (
            answer(422, {"reason": 7, "permanent": "yes"}),
            Refused(Outcome(Status.FAILED, reason="the platform refused the call", code="422")),
        ),
        (answer(429), NotPlaced("the platform throttles requests")),
        (answer(429, {"reason": "slow down"}, retry_after="7"), NotPlaced("slow down", 7.0)),
        (answer(402), NotPlaced("the platform asks for payment", None, True, Fault(Scope.ACCOUNT, "402"))),
        (
            answer(403),
            NotPlaced("the platform refuses all calls of this account", None, True, Fault(Scope.ACCOUNT, "403")),
        ),
        (
            answer(503, {"reason": "maintenance"}, x_not_placed="true", retry_after="60"),
            NotPlaced("maintenance", 60.0, outage=True),
        ),
        (NotSent("connection refused"), NotPlaced("the platform was not reached: connection refused", outage=True)),
    ],
)
def test_what_an_answer_means(result: HttpResponse | Exception, expected: DialResult) -> None:
    assert placed(result) == expected


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_signature_and_a_wrong_address_say_where_to_look(status: int) -> None:
    result = placed(answer(status))
    assert isinstance(result, NotPlaced) and result.outage
    assert "the http carrier's secret" in result.reason


@pytest.mark.parametrize(
    "result",
    [
        NoAnswer("no answer in time"),
        answer(500),
        answer(503),
        answer(503, x_not_placed="false"),
        answer(400),
        answer(408),
        answer(409),
        answer(302, location="https://elsewhere.example"),
        answer(201),
        answer(201, {"call_id": ""}),
        answer(201, {"call_id": 7}),
        answer(201, {"call_id": "a b"}),
        answer(201, {"call_id": "x" * 257}),
        answer(201, {"call_id": "é"}),
        HttpResponse(201, {}, b"[" * 100_000),
    ],
)
def test_what_may_have_placed_a_call_is_unknown(result: HttpResponse | Exception) -> None:
    assert isinstance(placed(result), Unknown)


@given(st.integers(100, 599), st.binary(max_size=50))
def test_every_answer_is_a_result(status: int, body: bytes) -> None:
    assert isinstance(placed(HttpResponse(status, {}, body)), Accepted | Refused | NotPlaced | Unknown)


@pytest.mark.parametrize(
    ("result", "wrong"),
    [
        (answer(422, {"reason": "to is required"}), None),
        (answer(503), "the platform answered 503"),
        (answer(402), "the platform asks for payment"),
        (NoAnswer("read timed out"), "no answer from the platform: read timed out"),
        (answer(201), "the platform answered 201 without a call_id"),
    ],
)
def test_a_check_names_no_number_and_says_what_is_wrong(result: HttpResponse | Exception, wrong: str | None) -> None:
    http = ScriptedHttp(result)
    assert carrier(http).check() == wrong
    assert json.loads(http.asked[0]["body"]) == {}


# ---- asking


def record(**fields: Any) -> dict[str, Any]:
    return {"dial_key": KEY, "call_id": "c/1?", "status": "completed", "duration_seconds": 42} | fields


def find(http: ScriptedHttp) -> CallReport | None:
    return carrier(http).find(REQUEST, NOW, frozenset(), lambda: 60.0)


def test_a_question_is_signed_over_its_url_with_the_id_quoted() -> None:
    http = ScriptedHttp(answer(200, {"calls": [record()]}))
    asked = carrier(http).ask("c/1?")
    assert asked is not None and asked.outcome is not None
    assert (asked.call_id, asked.outcome.duration_seconds) == ("c/1?", 42)
    (sent,) = http.asked
    assert (sent["method"], sent["url"]) == ("GET", "https://voice.example.com/redial/calls?call_id=c%2F1%3F")
    assert is_signed(SECRET, sent["headers"], sent["url"].encode(), NOW)
    assert not is_signed(SECRET, sent["headers"], sent["url"].encode() + b"x", NOW)


def test_an_attempt_is_found_by_its_key() -> None:
    http = ScriptedHttp(answer(200, {"calls": [record(status="ringing")]}))
    assert find(http) == CallReport("c/1?", Status.RINGING)
    assert http.asked[0]["url"].endswith(f"?dial_key={EXECUTION}%3A1")


def test_only_an_empty_list_says_that_there_is_no_call() -> None:
    assert find(ScriptedHttp(answer(200, {"calls": []}))) is None
    assert carrier(ScriptedHttp(answer(200, {"calls": []}))).ask("c1") is None


@pytest.mark.parametrize(
    "result",
    [
        answer(404),
        answer(404, {"calls": []}),
        answer(401),
        answer(200),
        answer(200, []),
        answer(200, {}),
        answer(200, {"calls": None}),
        answer(204),
        answer(500, {"calls": []}),
        NotSent("connection refused"),
        NoAnswer("no answer in time"),
    ],
)
def test_anything_else_proves_nothing(result: HttpResponse | Exception) -> None:
    with pytest.raises(CarrierUnavailable):
        find(ScriptedHttp(result))


def test_a_platform_that_takes_no_more_requests_says_so() -> None:
    with pytest.raises(CarrierBusy):
        find(ScriptedHttp(answer(429)))


@pytest.mark.parametrize(
    "calls",
    [
        [record(), record()],
        [record(dial_key=f"{EXECUTION}:2")],
        ["c1"],
        [record(call_id=None)],
        [record(status="dreaming")],
    ],
)
def test_a_list_of_other_calls_settles_nothing(calls: list[Any]) -> None:
    with pytest.raises(NotYetKnown):
        find(ScriptedHttp(answer(200, {"calls": calls})))


# ---- reports


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "ringing"}, CallReport("c1", Status.RINGING)),
        ({"status": "in-progress", "answered_by": "machine"}, CallReport("c1", Status.IN_PROGRESS, voicemail=True)),
        (
            {"status": "completed", "answered_by": "human", "duration_seconds": 42, "ring_seconds": 5},
            CallReport(
                "c1",
                Status.COMPLETED,
                Outcome(Status.COMPLETED, voicemail=False, duration_seconds=42, ring_seconds=5),
                voicemail=False,
            ),
        ),
        (
            {"status": "failed", "sip_code": 404},
            CallReport(
                "c1",
                Status.FAILED,
                Outcome(
                    Status.FAILED,
                    permanent=True,
                    reason="the number does not exist",
                    code="404",
                    invalid_number=True,
                ),
            ),
        ),
        (
            {"status": "failed", "sip_code": 404, "permanent": False, "reason": "no route"},
            CallReport("c1", Status.FAILED, Outcome(Status.FAILED, reason="no route", code="404")),
        ),
        (
            {"status": "busy", "sip_code": 603, "reason": "user rejected"},
            CallReport(
                "c1", Status.BUSY, Outcome(Status.BUSY, reason="the call was declined: user rejected", code="603")
            ),
        ),
        (
            {"status": "failed", "sip_code": 608},
            CallReport(
                "c1",
                Status.FAILED,
                Outcome(Status.FAILED, reason="the network blocked the call as unwanted", code="608"),
            ),
        ),
        (
            {"status": "busy", "sip_code": 486, "permanent": True},
            CallReport("c1", Status.BUSY, Outcome(Status.BUSY, code="486")),
        ),
        (
            {"status": "failed", "sip_code": 607},
            CallReport(
                "c1",
                Status.FAILED,
                Outcome(
                    Status.FAILED,
                    permanent=True,
                    reason="the called party does not want such calls",
                    code="607",
                    invalid_number=False,
                ),
            ),
        ),
        (
            {"status": "completed", "answered_by": "unknown", "hangup_by": "carrier"},
            CallReport("c1", Status.COMPLETED, Outcome(Status.COMPLETED, hangup_by="carrier"), undecided=True),
        ),
        (
            {"status": "in-progress", "answered_by": "unknown"},
            CallReport("c1", Status.IN_PROGRESS, undecided=True),
        ),
        (
            {"status": "completed", "hangup_by": "moon"},
            CallReport("c1", Status.COMPLETED, Outcome(Status.COMPLETED)),
        ),
        (
            {"status": "completed", "price": {"amount": "0.0123456", "currency": "USD"}},
            CallReport("c1", Status.COMPLETED, Outcome(Status.COMPLETED, price=Price(12_346, "USD"))),
        ),
        (
            {"status": "completed", "price": {"amount": "0.01"}},
            CallReport("c1", Status.COMPLETED, Outcome(Status.COMPLETED)),
        ),
        (
            {"status": "canceled"},
            CallReport("c1", Status.CANCELED, Outcome(Status.CANCELED, hangup_by="caller")),
        ),
    ],
)
def test_what_a_report_says(fields: dict[str, Any], expected: CallReport) -> None:
    assert report({"call_id": "c1", **fields}) == expected


JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
DETAILS = [
    "answered_by",
    "sip_code",
    "permanent",
    "reason",
    "duration_seconds",
    "ring_seconds",
    "hangup_by",
    "price",
    "unknown",
]


@given(st.dictionaries(st.sampled_from(DETAILS), JSON_VALUES), st.sampled_from(["completed", "failed", "no-answer"]))
def test_details_that_make_no_sense_do_not_lose_the_end_of_a_call(details: dict[str, Any], status: str) -> None:
    assert report({"call_id": "c1", "status": status, **details}).status in FINAL


# ---- callbacks


def callback(body: bytes, kind: str = "", at: datetime = NOW, secret: str = SECRET) -> Callback:
    return Callback("http", EXECUTION, 1, kind, ("https://x.example",), sign((secret,), "msg_1", at, body), body)


READER = HttpCallbacks(Fixed())
BODY = json.dumps(record()).encode()


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_a_callback_counts_for_five_minutes(minutes: int) -> None:
    READER.verify(callback(BODY, at=NOW + timedelta(minutes=minutes)), NOW)


@pytest.mark.parametrize("seconds", [-301, 301, 10**6])
def test_an_older_or_later_one_does_not(seconds: int) -> None:
    with pytest.raises(ForgedCallback):
        READER.verify(callback(BODY, at=NOW + timedelta(seconds=seconds)), NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": "x"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "\u0661" * 10},
        {"webhook-timestamp": "9" * 5000},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "é"},
        {"webhook-signature": ""},
    ],
)
def test_headers_that_sign_nothing_are_refused(headers: dict[str, str]) -> None:
    good = callback(BODY)
    forged = Callback(**{**good.__dict__, "headers": {**good.headers, **headers}})
    with pytest.raises(ForgedCallback):
        READER.verify(forged, NOW)


def test_one_of_several_signatures_is_enough() -> None:
    """While the platform rotates its secret, it signs with both secrets."""
    good = callback(BODY)
    signatures = f"v1,AAAA v1a,BBBB {good.headers['webhook-signature']}"
    READER.verify(Callback(**{**good.__dict__, "headers": {**good.headers, "webhook-signature": signatures}}), NOW)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", json.dumps(record(dial_key=f"{EXECUTION}:2")).encode(), b'{"call_id": "c1"}'],
)
def test_a_body_that_does_not_name_the_attempt_of_its_url_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableCallback):
        READER.read(callback(body))


def test_there_is_one_callback_url_for_an_attempt() -> None:
    assert READER.read(callback(json.dumps(record()).encode())).call_id
    with pytest.raises(UnreadableCallback, match="ends in answer"):
        READER.read(callback(json.dumps(record()).encode(), "answer"))


# ---- credentials


def test_credentials_show_no_secret() -> None:
    parsed = HttpCredentials.parse(json.dumps({"api_url": "https://voice.example.com", "signing_secret": SECRET}))
    assert parsed == HttpCredentials("https://voice.example.com", SECRET)
    assert SECRET not in repr(parsed)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "api_url of the http carrier's secret is missing"),
        ({"api_url": "https://x.example"}, "signing_secret of the http carrier's secret is missing"),
        ({"api_url": "https://x.example", "signing_secret": "hush"}, "starts with whsec_"),
        ({"api_url": "https://x.example", "signing_secret": "whsec_aHVzaA=="}, "24 to 64 bytes"),
        ({"api_url": "http://x.example", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "ftp://x.example", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "https://user@x.example", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "https://x.example?a=1", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "https://x.example#", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "https://", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "https://x.example:port", "signing_secret": SECRET}, "must be https"),
        ({"api_url": "http://93.184.216.34", "signing_secret": SECRET}, "must be https"),
    ],
)
def test_an_invalid_secret_is_refused_without_showing_it(fields: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        HttpCredentials.parse(json.dumps(fields))
    assert "hush" not in str(caught.value) and SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:3001/http", "http://10.0.0.7", "http://localhost:1", "http://[::1]:1"]
)
def test_a_private_address_may_be_reached_without_encryption(url: str) -> None:
    assert HttpCredentials.parse(json.dumps({"api_url": url, "signing_secret": SECRET})).api_url == url


def test_it_loads_no_http_client() -> None:
    code = (
        "import sys, redial.carriers.http.rest, redial.carriers.http.callbacks; "
        "print([m for m in ('urllib3', 'http.client', 'requests', 'ssl', 'redial.adapters.http') if m in sys.modules])"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert done.stdout == "[]\n"
