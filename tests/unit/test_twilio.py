"""Twilio's adapter without a network: its requests, and its interpretation of answers and callbacks."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, parse_qsl, urlsplit
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.carriers.credentials import CredentialsUnavailable
from redial.carriers.twilio.callbacks import form_of, parse_amd_callback, parse_status_callback
from redial.carriers.twilio.credentials import TwilioCredentials
from redial.carriers.twilio.rest import TwilioCarrier
from redial.carriers.twilio.twiml import connect_stream
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
from redial.ports import CallRequest, CarrierBusy, CarrierUnavailable, NotYetKnown, UnreadableCallback
from redial.wire.http import HttpResponse, NoAnswer, NotSent

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
OTHER_CALL = "CA" + "2" * 32
EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
SINCE = datetime(2026, 1, 26, 10, 0, 0, 500_000, tzinfo=UTC)
CREDENTIALS = TwilioCredentials(ACCOUNT, "token")
REQUEST = CallRequest(
    execution_id=EXECUTION,
    attempt=1,
    to_number="+919876543210",
    from_number="+15005550006",
    callback_url=f"https://redial.example.com/callbacks/twilio/{EXECUTION}/1",
    answer_url="https://agent.example.com/answer?a=1&b=2",
    ring_timeout_seconds=30,
    max_call_seconds=3600,
    voicemail_detection=False,
)


class ScriptedHttp:
    """Answers requests in turn or by path, and records them."""

    def __init__(self, *answers: HttpResponse | Exception, by_path: Mapping[str, Any] | None = None) -> None:
        self.answers = list(answers)
        self.by_path = dict(by_path or {})
        self.asked: list[dict[str, Any]] = []

    def send(self, method: str, url: str, **given: Any) -> HttpResponse:
        self.asked.append({"method": method, "url": url, **given})
        path = urlsplit(url).path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT}")
        answer = self.by_path[path] if path in self.by_path else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, HttpResponse) else json_answer(200, answer)


class Credentials:
    """A store whose secret may have changed since the last read."""

    def __init__(self, *values: TwilioCredentials) -> None:
        self.values = list(values)

    def get(self) -> TwilioCredentials:
        if not self.values:
            raise CredentialsUnavailable("secret redial/twilio cannot be read: ThrottlingException")
        return self.values[0]

    def refresh(self, refused: TwilioCredentials) -> bool:
        if len(self.values) > 1:
            self.values.pop(0)
        return self.values[0] != refused


def json_answer(status: int, body: object, **headers: str) -> HttpResponse:
    return HttpResponse(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


def carrier(http: ScriptedHttp, credentials: Credentials | None = None) -> TwilioCarrier:
    return TwilioCarrier(cast(Any, http), credentials or Credentials(CREDENTIALS))


def placed(answer: HttpResponse | Exception) -> DialResult:
    return carrier(ScriptedHttp(answer)).place(REQUEST)


# ---- placing


def test_placing_posts_one_form_to_the_accounts_calls() -> None:
    http = ScriptedHttp(json_answer(201, {"sid": CALL, "status": "queued"}))
    assert carrier(http).place(REQUEST) == Accepted(CALL)
    (asked,) = http.asked
    assert (asked["method"], asked["url"]) == (
        "POST",
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
    )
    assert asked["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(asked["headers"]["authorization"].removeprefix("Basic ")) == f"{ACCOUNT}:token".encode()
    assert parse_qsl(asked["body"].decode()) == [
        ("To", "+919876543210"),
        ("From", "+15005550006"),
        ("Url", "https://agent.example.com/answer?a=1&b=2"),
        ("Method", "POST"),
        ("StatusCallback", f"https://redial.example.com/callbacks/twilio/{EXECUTION}/1#rc=3&rp=all"),
        ("StatusCallbackMethod", "POST"),
        ("StatusCallbackEvent", "ringing"),
        ("StatusCallbackEvent", "answered"),
        ("StatusCallbackEvent", "completed"),
        ("Timeout", "30"),
        ("TimeLimit", "3600"),
    ]


@pytest.mark.parametrize(
    ("ringing", "answer", "asked"), [(False, False, []), (True, False, ["ringing"]), (False, True, ["answered"])]
)
def test_twilio_is_asked_only_for_the_reports_that_are_wanted(ringing: bool, answer: bool, asked: list[str]) -> None:
    http = ScriptedHttp(json_answer(201, {"sid": CALL}))
    carrier(http).place(CallRequest(**{**REQUEST.__dict__, "reports_ringing": ringing, "reports_answer": answer}))
    assert parse_qs(http.asked[0]["body"].decode())["StatusCallbackEvent"] == [*asked, "completed"]


def test_machine_detection_runs_during_the_call_with_its_own_callback() -> None:
    http = ScriptedHttp(json_answer(201, {"sid": CALL}))
    carrier(http).place(CallRequest(**{**REQUEST.__dict__, "voicemail_detection": True}))
    form = parse_qs(http.asked[0]["body"].decode())
    assert form["MachineDetection"] == ["Enable"]
    assert form["AsyncAmd"] == ["true"]
    assert form["AsyncAmdStatusCallback"] == [REQUEST.callback_url + "/amd"]


def test_requests_use_the_api_key_if_configured() -> None:
    http = ScriptedHttp(json_answer(201, {"sid": CALL}))
    with_key = TwilioCredentials(ACCOUNT, "token", api_key_sid="SK1", api_key_secret="hidden")
    carrier(http, Credentials(with_key)).place(REQUEST)
    assert base64.b64decode(http.asked[0]["headers"]["authorization"].removeprefix("Basic ")) == b"SK1:hidden"
    assert ACCOUNT in http.asked[0]["url"]


@pytest.mark.parametrize(
    "answer",
    [
        NoAnswer("no answer in time"),
        HttpResponse(500, {}, b"oops"),
        json_answer(500, {"code": 20500, "message": "Internal Server Error"}),
        json_answer(503, {"code": 20503}),
        HttpResponse(302, {"location": "https://elsewhere.example"}),
        HttpResponse(408),
        HttpResponse(201, {}, b""),
        HttpResponse(201, {}, b"<html>"),
        HttpResponse(200, {}, b'{"status": "queued"}'),
        json_answer(201, {"sid": 7}),
        json_answer(201, {"sid": "../../x"}),
        json_answer(201, ["sid", CALL]),
        HttpResponse(201, {}, b"[" * 100_000),
    ],
)
def test_an_answer_that_may_have_placed_a_call_is_unknown(answer: HttpResponse | Exception) -> None:
    assert isinstance(placed(answer), Unknown)


def test_a_request_that_never_left_placed_nothing() -> None:
    result = placed(NotSent("connection refused"))
    assert result == NotPlaced("Twilio was not reached: connection refused", outage=True)


@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [
        (HttpResponse(429), None),
        (json_answer(429, {"code": 20429}, retry_after="7"), 7.0),
        (json_answer(400, {"code": 22005, "message": "Call Queue Full"}), None),
        (json_answer(400, {"code": 10004}), None),
    ],
)
def test_throttled_calls_were_not_placed(answer: HttpResponse, retry_after: float | None) -> None:
    result = placed(answer)
    assert isinstance(result, NotPlaced)
    assert result.retry_after_seconds == retry_after


@pytest.mark.parametrize("code", [13223, 13225, 13226, 21202, 21211, 21214, 21217])
def test_an_invalid_number_is_permanent(code: int) -> None:
    result = placed(json_answer(400, {"code": code, "message": "…"}))
    assert isinstance(result, Refused)
    assert (result.outcome.status, result.outcome.permanent) == (Status.FAILED, True)
    assert (result.outcome.code, bool(result.outcome.reason)) == (str(code), True)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (21210, Fault(Scope.CALLER_ID, "21210")),
        (21212, Fault(Scope.CALLER_ID, "21212")),
        (21606, Fault(Scope.CALLER_ID, "21606")),
        (21203, Fault(Scope.COUNTRY, "21203")),
        (13227, Fault(Scope.COUNTRY, "13227", is_proof=False)),
        (21215, Fault(Scope.COUNTRY, "21215", is_proof=False)),
        (21219, Fault(Scope.ACCOUNT, "21219", is_proof=False)),
        (573002, Fault(Scope.ACCOUNT, "573002", is_proof=False)),
        (573005, Fault(Scope.ACCOUNT, "573005", is_proof=False)),
        (20003, Fault(Scope.ACCOUNT, "20003")),
        (20005, Fault(Scope.ACCOUNT, "20005")),
    ],
)
def test_a_refusal_that_is_the_accounts_places_no_call_and_names_its_scope(code: int, fault: Fault) -> None:
    result = placed(json_answer(400, {"code": code, "message": "…"}))
    assert isinstance(result, NotPlaced)
    assert (result.fault, bool(result.reason)) == (fault, True)
    assert result.outage == (fault.scope is Scope.ACCOUNT and fault.is_proof)
    assert result.may_keep_line == result.outage


def test_a_blocked_number_may_be_the_accounts_fault_or_a_permanent_failure() -> None:
    result = placed(json_answer(400, {"code": 21216, "message": "…"}))
    assert isinstance(result, NotPlaced) and result.fault is not None
    assert (result.fault.scope, result.fault.is_proof) == (Scope.COUNTRY, False)
    assert result.fault.otherwise is not None
    assert (result.fault.otherwise.status, result.fault.otherwise.permanent) == (Status.FAILED, True)
    assert (result.fault.otherwise.code, result.fault.otherwise.invalid_number) == ("21216", False)


@pytest.mark.parametrize("code", [21213, 21205, 21208, 21609])
def test_a_configuration_error_is_a_temporary_error(code: int) -> None:
    result = placed(json_answer(400, {"code": code}))
    assert isinstance(result, Refused)
    assert (result.outcome.status, result.outcome.permanent) == (Status.ERROR, False)


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(401, {"code": 20003, "message": "Authenticate"}),
        HttpResponse(401),
        HttpResponse(403),
        json_answer(403, {"code": 20999}),
        json_answer(404, {"code": 20404}),
    ],
)
def test_refused_credentials_place_nothing_and_are_not_shown(answer: HttpResponse) -> None:
    result = placed(answer)
    assert isinstance(result, NotPlaced) and result.outage
    assert "check the Twilio secret" in result.reason
    assert "token" not in repr(result)


@pytest.mark.parametrize("code", [10001, 10005, 20003, 20005, 20006, 20008, 20403, 20404])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_blocked_account_is_an_outage_and_uses_up_no_attempt(code: int, status: int) -> None:
    result = placed(HttpResponse(status, {"retry-after": "60"}, json.dumps({"code": code}).encode()))
    assert isinstance(result, NotPlaced)
    assert (result.outage, result.retry_after_seconds, bool(result.reason)) == (True, 60.0, True)


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (json_answer(400, {"code": 21201, "message": "No 'To' number specified"}), None),
        (json_answer(400, {"code": 29999}), None),
        (HttpResponse(503), "Twilio answered 503"),
        (json_answer(403, {"code": 20005}), "the Twilio account is not active: check its balance and status"),
        (HttpResponse(429), "Twilio throttles the account's requests"),
        (NotSent("connection refused"), "Twilio was not reached: connection refused"),
        (NoAnswer("read timed out"), "no answer from Twilio: read timed out"),
    ],
)
def test_a_check_places_no_call_and_returns_the_failure(answer: HttpResponse | Exception, wrong: str | None) -> None:
    http = ScriptedHttp(answer)
    assert carrier(http).check() == wrong
    (sent,) = http.asked
    assert (sent["method"], sent["url"].rpartition("/")[2]) == ("POST", "Calls.json")
    assert not {"To", "From", "Url", "Twiml", "ApplicationSid"} & parse_qs(sent["body"].decode()).keys()


def test_a_check_reads_changed_credentials_anew() -> None:
    credentials = Credentials(CREDENTIALS, TwilioCredentials(ACCOUNT, "newer"))
    http = ScriptedHttp(HttpResponse(401), json_answer(400, {"code": 21201}))
    assert carrier(http, credentials).check() == "Twilio refused the credentials: check the Twilio secret"
    assert carrier(http, credentials).check() is None


def test_a_check_without_credentials_fails() -> None:
    assert carrier(ScriptedHttp(), Credentials()).check() == "secret redial/twilio cannot be read: ThrottlingException"


@pytest.mark.parametrize(
    ("answer", "reason", "code"),
    [
        (json_answer(400, {"code": 29999, "message": " Something new "}), "Something new", "29999"),
        (HttpResponse(400, {}, b"<html>"), "Twilio refused the call with HTTP 400", "400"),
        (json_answer(422, {"code": [1], "message": None}), "Twilio refused the call with HTTP 422", "422"),
        (json_answer(400, {"code": 13224}), "the number is invalid or cannot be reached", "13224"),
    ],
)
def test_any_other_refusal_is_a_temporary_failure(answer: HttpResponse, reason: str, code: str) -> None:
    assert placed(answer) == Refused(Outcome(Status.FAILED, reason=reason, code=code))


def test_a_401_after_the_secret_changed_uses_up_no_attempt() -> None:
    credentials = Credentials(CREDENTIALS, TwilioCredentials(ACCOUNT, "newer"))
    http = ScriptedHttp(HttpResponse(401), json_answer(201, {"sid": CALL}))
    assert carrier(http, credentials).place(REQUEST) == NotPlaced("the Twilio credentials have changed")
    assert len(http.asked) == 1
    assert carrier(http, credentials).place(REQUEST) == Accepted(CALL)


def test_without_credentials_nothing_is_placed() -> None:
    http = ScriptedHttp()
    result = carrier(http, Credentials()).place(REQUEST)
    assert result == NotPlaced("secret redial/twilio cannot be read: ThrottlingException", outage=True)
    assert http.asked == []


@given(
    st.integers(100, 599),
    st.one_of(st.binary(max_size=50), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps)),
)
def test_every_answer_is_a_result(status: int, body: bytes | str) -> None:
    result = placed(HttpResponse(status, {}, body.encode() if isinstance(body, str) else body))
    assert isinstance(result, Accepted | Refused | NotPlaced | Unknown)
    if status >= 500:
        assert isinstance(result, Unknown)


# ---- asking


def record(**fields: Any) -> dict[str, Any]:
    return {
        "sid": CALL,
        "status": "completed",
        "to": REQUEST.to_number,
        "from": REQUEST.from_number,
        "direction": "outbound-api",
        "date_created": "Mon, 26 Jan 2026 10:00:01 +0000",
        "duration": "42",
        "answered_by": None,
        "start_time": None,
    } | fields


def test_a_lookup_returns_the_calls_outcome() -> None:
    http = ScriptedHttp(json_answer(200, record(answered_by="machine")))
    report = carrier(http).ask(CALL)
    assert http.asked[0]["url"].endswith(f"/Accounts/{ACCOUNT}/Calls/{CALL}.json")
    assert http.asked[0]["method"] == "GET"
    assert report == CallReport(
        CALL,
        Status.COMPLETED,
        Outcome(Status.COMPLETED, voicemail=True, reason="the call was answered and has ended", duration_seconds=42),
        voicemail=True,
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", Status.INITIATED),
        ("initiated", Status.INITIATED),
        ("ringing", Status.RINGING),
        ("in-progress", Status.IN_PROGRESS),
        ("completed", Status.COMPLETED),
        ("busy", Status.BUSY),
        ("no-answer", Status.NO_ANSWER),
        ("failed", Status.FAILED),
        ("canceled", Status.CANCELED),
    ],
)
def test_every_twilio_status_is_mapped(word: str, status: Status) -> None:
    report = carrier(ScriptedHttp(json_answer(200, record(status=word)))).ask(CALL)
    assert report is not None
    assert report.status is status
    assert parse_status_callback({"CallSid": [CALL], "CallStatus": [word]}).status is status
    if report.outcome is not None:
        assert report.outcome.reason
        assert not report.outcome.permanent


def test_an_unknown_call_is_not_found() -> None:
    assert carrier(ScriptedHttp(json_answer(404, {"code": 20404}))).ask(CALL) is None


@pytest.mark.parametrize(
    "answer",
    [
        NotSent("connection refused"),
        NoAnswer("no answer in time"),
        HttpResponse(401),
        HttpResponse(429),
        HttpResponse(500),
        HttpResponse(200, {}, b"nonsense"),
        json_answer(200, record(status="thinking")),
        json_answer(200, record(sid=None)),
    ],
)
def test_an_unanswered_question_raises_carrier_unavailable(answer: HttpResponse | Exception) -> None:
    with pytest.raises(CarrierUnavailable):
        carrier(ScriptedHttp(answer)).ask(CALL)


def test_a_question_above_the_carriers_limit_says_so() -> None:
    """This includes a search that reads a candidate's Events."""
    with pytest.raises(CarrierBusy):
        carrier(ScriptedHttp(HttpResponse(429))).ask(CALL)
    with pytest.raises(CarrierBusy):
        carrier(ScriptedHttp(HttpResponse(429))).cancel(CALL)
    with pytest.raises(CarrierBusy):
        find(record(), events_of={CALL: HttpResponse(429)})


def test_without_credentials_a_question_raises_carrier_unavailable() -> None:
    with pytest.raises(CarrierUnavailable, match="cannot be read"):
        carrier(ScriptedHttp(), Credentials()).ask(CALL)


def test_a_malformed_call_id_leads_to_no_other_url() -> None:
    http = ScriptedHttp(HttpResponse(404))
    carrier(http).ask("../../Messages?x=")
    assert http.asked[0]["url"].endswith("/Calls/..%2F..%2FMessages%3Fx%3D.json")


# ---- finding an attempt's call


def events(*requests: dict[str, Any]) -> dict[str, Any]:
    return {"events": [{"request": request, "response": {"response_code": 200}} for request in requests]}


def our_post(execution_id: str = EXECUTION, attempt: int = 1) -> dict[str, Any]:
    url = f"https://redial.example.com/callbacks/twilio/{execution_id}/{attempt}"
    return {"method": "POST", "url": "https://api.twilio.com/…/Calls", "parameters": {"status_callback": url + "#rc=3"}}


def our_callback(execution_id: str = EXECUTION, attempt: int = 1) -> dict[str, Any]:
    return {
        "method": "POST",
        "url": f"https://x.example/v1/callbacks/twilio/{execution_id}/{attempt}",
        "parameters": {},
    }


def find(
    *calls: dict[str, Any], known: frozenset[str] = frozenset(), events_of: Mapping[str, Any] | None = None
) -> CallReport | None:
    pages = {f"/Calls/{sid}/Events.json": page for sid, page in (events_of or {}).items()}
    for call in calls:
        pages.setdefault(f"/Calls/{call['sid']}/Events.json", HttpResponse(404))
    http = ScriptedHttp(by_path={"/Calls.json": {"calls": list(calls), "next_page_uri": None}, **pages})
    return carrier(http).find(REQUEST, SINCE, known, lambda: 60.0)


def found(report: CallReport | None) -> str | None:
    return None if report is None else report.call_id


def test_the_list_is_filtered_by_both_numbers_only() -> None:
    """A queued call has no start time, and StartTime is only a date."""
    http = ScriptedHttp(json_answer(200, {"calls": [], "next_page_uri": None}))
    assert carrier(http).find(REQUEST, SINCE, frozenset(), lambda: 60.0) is None
    assert parse_qs(urlsplit(http.asked[0]["url"]).query) == {
        "To": ["+919876543210"],
        "From": ["+15005550006"],
        "PageSize": ["1000"],
    }


MINE = {CALL: events(our_callback())}


def test_a_call_with_our_callback_url_in_its_events_is_the_attempts() -> None:
    assert found(find(record(status="queued", duration=None), events_of=MINE)) == CALL


def test_a_single_candidate_is_not_taken_without_proof() -> None:
    """It may belong to another execution with the same number and caller id."""
    with pytest.raises(NotYetKnown, match="1 calls may be this attempt's"):
        find(record())


@pytest.mark.parametrize(
    "other",
    [
        {"date_created": "Mon, 26 Jan 2026 09:59:54 +0000"},
        {"date_created": "Mon, 26 Jan 2026 10:07:01 +0000"},
        {"to": "+15550001111"},
        {"from": "+15550001111"},
        {"direction": "inbound"},
        {"direction": "outbound-dial"},
    ],
)
def test_a_call_with_another_time_number_or_kind_is_ruled_out(other: dict[str, Any]) -> None:
    assert find(record(**other)) is None


@pytest.mark.parametrize("created", ["Mon, 26 Jan 2026 09:59:55 +0000", "Mon, 26 Jan 2026 15:30:02 +0530", None, "?"])
def test_clock_skew_and_unreadable_dates_rule_nothing_out(created: str | None) -> None:
    assert found(find(record(date_created=created), events_of=MINE)) == CALL


def test_an_earlier_attempts_call_is_ruled_out() -> None:
    assert find(record(), known=frozenset({CALL})) is None


def test_the_callback_url_identifies_the_attempt() -> None:
    mine = find(record(), record(sid=OTHER_CALL), events_of={OTHER_CALL: events(our_callback())})
    assert found(mine) == OTHER_CALL
    mine = find(record(), record(sid=OTHER_CALL), events_of={OTHER_CALL: events(our_post())})
    assert found(mine) == OTHER_CALL


@pytest.mark.parametrize("owner", [(EXECUTION, 2), (EXECUTION, 12), ("00000000-8b1c-4a57-9c1f-0a6d8f2b7c41", 1)])
def test_another_attempts_call_is_ruled_out(owner: tuple[str, int]) -> None:
    others = events(our_post(*owner), our_callback(*owner))
    assert find(record(), events_of={CALL: others}) is None
    mine = events(our_callback())
    assert found(find(record(), record(sid=OTHER_CALL), events_of={CALL: others, OTHER_CALL: mine})) == OTHER_CALL


def test_of_several_calls_without_proof_none_is_taken() -> None:
    with pytest.raises(CarrierUnavailable, match="2 calls may be this attempt's"):
        find(record(), record(sid=OTHER_CALL))
    with pytest.raises(CarrierUnavailable, match="2 calls"):
        find(record(), record(sid=OTHER_CALL), events_of={CALL: events(), OTHER_CALL: HttpResponse(500)})


def created(second: int) -> str:
    return f"Mon, 26 Jan 2026 10:00:{second:02d} +0000"


def test_candidates_are_checked_oldest_first() -> None:
    others = {f"CA{number:02d}": events(our_callback(attempt=number)) for number in range(2, 30)}
    newest_first = [record(sid=sid, date_created=created(int(sid[2:]))) for sid in reversed(others)]
    oldest = record(date_created=created(1))
    assert found(find(*newest_first, oldest, events_of={**others, **MINE})) == CALL


def test_further_candidates_leave_the_search_undecided() -> None:
    others = {f"CA{number:02d}": events(our_callback(attempt=number)) for number in range(2, 29)}
    records = [record(sid=sid, date_created=created(int(sid[2:]))) for sid in others]
    with pytest.raises(NotYetKnown, match="2 calls may be this attempt's"):
        find(*records, events_of=others)
    assert find(*records[2:], events_of=others) is None


@pytest.mark.parametrize("requests", [0, 1, 2, 3])
def test_a_search_ends_at_its_time_limit(requests: int) -> None:
    """A request may take ten seconds."""
    others = {f"CA{number}": events(our_callback(attempt=number)) for number in (2, 3, 4)}
    pages = {f"/Calls/{sid}/Events.json": page for sid, page in others.items()}
    listed = {"calls": [record(sid=sid) for sid in others], "next_page_uri": None}
    http = ScriptedHttp(by_path={"/Calls.json": listed, **pages})
    with pytest.raises(NotYetKnown, match="no time"):
        carrier(http).find(REQUEST, SINCE, frozenset(), lambda: 10.0 * requests + 9.9 - 10.0 * len(http.asked))
    assert len(http.asked) == requests


def test_caller_ids_are_the_accounts_own_or_verified() -> None:
    own = {"incoming_phone_numbers": [{"phone_number": "+12025550100"}], "next_page_uri": None}
    verified = {"outgoing_caller_ids": [{"phone_number": "+12025550101"}], "next_page_uri": None}
    numbers = ["+12025550100", "+12025550101", "+12025550102"]
    http = ScriptedHttp(json_answer(200, own), json_answer(200, verified))
    assert carrier(http).unknown_caller_ids(numbers) == {"+12025550102"}
    assert carrier(ScriptedHttp(json_answer(200, own))).unknown_caller_ids(numbers[:1]) == set(), (
        "one question suffices"
    )


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([json_answer(200, {"incoming_phone_numbers": {}})], "unreadable"),
        ([json_answer(200, {"incoming_phone_numbers": ["+12025550100"]})], "unreadable"),
        ([json_answer(404, {})], "unreadable"),
        ([json_answer(403, {"code": 20003})], "answered 403"),
        ([json_answer(429, {"code": 20429})], "no more requests"),
        (
            [
                json_answer(200, {"incoming_phone_numbers": [], "next_page_uri": "/more"}),
                json_answer(200, {"outgoing_caller_ids": [], "next_page_uri": None}),
            ],
            "more than 1000 numbers",
        ),
    ],
)
def test_what_does_not_settle_whose_a_caller_id_is(answers: list[Any], message: str) -> None:
    with pytest.raises(CarrierUnavailable, match=message):
        carrier(ScriptedHttp(*answers)).unknown_caller_ids(["+12025550100"])


def test_dialing_permissions_are_asked_of_the_voice_api() -> None:
    listed = {"content": [{"iso_code": "GB", "low_risk_numbers_enabled": False}, {"iso_code": "US"}]}
    http = ScriptedHttp(json_answer(200, listed))
    assert carrier(http).closed_countries(["GB", "US", "CA"]) == {"GB"}, "what Twilio does not name is left out"
    assert http.asked[0]["url"] == "https://voice.twilio.com/v1/DialingPermissions/Countries?PageSize=1000"


def test_a_record_has_its_price_only_some_minutes_after_the_end() -> None:
    for price, expected in (("-0.01400", Price(14_000, "USD")), (None, None)):
        answer = json_answer(200, record(status="completed") | {"price": price, "price_unit": "USD"})
        asked = carrier(ScriptedHttp(answer)).ask(CALL)
        assert asked is not None and asked.outcome is not None
        assert asked.outcome.price == expected


@pytest.mark.parametrize("unclear", [{"status": "unheard-of"}, {"sid": "?"}])
def test_a_malformed_record_is_undecided(unclear: dict[str, str]) -> None:
    with pytest.raises(NotYetKnown, match="unreadable"):
        carrier(ScriptedHttp(json_answer(200, record(**unclear)))).ask(CALL)


def test_the_list_is_read_to_its_end() -> None:
    following = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json?To=%2B919876543210&Page=1&PageToken=PA{CALL}"
    http = ScriptedHttp(
        json_answer(200, {"calls": [record(sid=OTHER_CALL, to="+15550001111")], "next_page_uri": following}),
        json_answer(200, {"calls": [record()], "next_page_uri": None}),
        json_answer(200, MINE[CALL]),
    )
    assert found(carrier(http).find(REQUEST, SINCE, frozenset(), lambda: 60.0)) == CALL
    assert http.asked[1]["url"] == f"https://api.twilio.com{following}"


def test_a_list_page_on_another_host_does_not_get_the_credentials() -> None:
    http = ScriptedHttp(
        json_answer(200, {"calls": [], "next_page_uri": "https://evil.example/x?Page=1"}),
        json_answer(200, {"calls": [], "next_page_uri": None}),
    )
    carrier(http).find(REQUEST, SINCE, frozenset(), lambda: 60.0)
    assert urlsplit(http.asked[1]["url"]).netloc == "api.twilio.com"


def test_an_endless_list_is_undecided() -> None:
    endless = json_answer(200, {"calls": [], "next_page_uri": "/x?Page=1"})
    with pytest.raises(NotYetKnown, match="too long"):
        carrier(ScriptedHttp(*[endless] * 10)).find(REQUEST, SINCE, frozenset(), lambda: 60.0)


@pytest.mark.parametrize("answer", [HttpResponse(404), json_answer(200, {"calls": None}), HttpResponse(503)])
def test_an_unreadable_list_raises_carrier_unavailable(answer: HttpResponse) -> None:
    with pytest.raises(CarrierUnavailable):
        carrier(ScriptedHttp(answer)).find(REQUEST, SINCE, frozenset(), lambda: 60.0)


# ---- callbacks


def callback(**fields: str) -> dict[str, list[str]]:
    return {name: [value] for name, value in {"CallSid": CALL, "CallStatus": "completed", **fields}.items()}


def test_a_completed_call_has_its_duration() -> None:
    report = parse_status_callback(callback(CallDuration="61", SipResponseCode="200", AnsweredBy="human"))
    assert report.outcome == Outcome(
        Status.COMPLETED,
        voicemail=False,
        reason="the call was answered and has ended",
        code="200",
        duration_seconds=61,
    )


@pytest.mark.parametrize(
    ("answered_by", "voicemail"),
    [
        ("human", False),
        ("machine_start", True),
        ("machine_end_beep", True),
        ("machine_end_silence", True),
        ("machine_end_other", True),
        ("machine", True),
        ("fax", False),
        ("unknown", None),
        ("", None),
    ],
)
def test_answered_by_is_mapped(answered_by: str, voicemail: bool | None) -> None:
    undecided = answered_by == "unknown"
    detected = CallReport(CALL, Status.IN_PROGRESS, voicemail=voicemail, undecided=undecided)
    assert parse_amd_callback(callback(AnsweredBy=answered_by)) == detected
    assert parse_status_callback(callback(AnsweredBy=answered_by, CallStatus="in-progress")) == detected


@pytest.mark.parametrize("sip", [404, 410, 484, 604, 607])
def test_a_nonexistent_number_is_permanent(sip: int) -> None:
    outcome = parse_status_callback(callback(CallStatus="failed", SipResponseCode=str(sip))).outcome
    assert outcome is not None
    assert (outcome.permanent, outcome.code, outcome.invalid_number) == (True, str(sip), sip != 607)


@pytest.mark.parametrize("sip", [403, 408, 480, 486, 487, 500, 502, 503, 504, 600, 603, 608, 488, 999])
def test_a_temporary_failure_is_not_permanent(sip: int) -> None:
    outcome = parse_status_callback(callback(CallStatus="failed", SipResponseCode=str(sip))).outcome
    assert outcome is not None
    assert (outcome.permanent, outcome.code, bool(outcome.reason)) == (False, str(sip), True)


@pytest.mark.parametrize("status", ["busy", "no-answer", "completed", "canceled"])
def test_only_a_failed_call_is_permanent(status: str) -> None:
    outcome = parse_status_callback(callback(CallStatus=status, SipResponseCode="404")).outcome
    assert outcome is not None
    assert not outcome.permanent


@pytest.mark.parametrize("status", ["failed", "busy", "no-answer"])
@pytest.mark.parametrize(
    ("sip", "reason"), [("603", "the call was declined"), ("608", "the network blocked the call as unwanted")]
)
def test_who_refused_a_call_is_named_whatever_its_status(status: str, sip: str, reason: str) -> None:
    outcome = parse_status_callback(callback(CallStatus=status, SipResponseCode=sip)).outcome
    assert outcome == Outcome(Status(status), reason=reason, code=sip)


def test_a_failed_calls_error_code_counts_without_a_sip_code() -> None:
    outcome = parse_status_callback(callback(CallStatus="failed", ErrorCode="21216")).outcome
    assert outcome == Outcome(
        Status.FAILED,
        permanent=True,
        reason="Twilio blocks the number, or the account has no Primary Customer Profile",
        code="21216",
        invalid_number=False,
    )


@pytest.mark.parametrize(
    "form",
    [{}, {"CallSid": [CALL]}, {"CallStatus": ["busy"]}, callback(CallStatus="dreaming"), callback(CallSid="a/b")],
)
def test_a_callback_with_an_unknown_status_is_invalid(form: dict[str, list[str]]) -> None:
    with pytest.raises(UnreadableCallback):
        parse_status_callback(form)


def test_a_machine_detection_callback_without_a_call_is_invalid() -> None:
    with pytest.raises(UnreadableCallback):
        parse_amd_callback({"AnsweredBy": ["human"]})


@given(
    st.dictionaries(
        st.sampled_from(["CallStatus", "CallDuration", "SipResponseCode", "ErrorCode"]), st.text(max_size=8)
    )
)
def test_any_numbers_in_a_callback_are_read(fields: dict[str, str]) -> None:
    status = fields.get("CallStatus", "")
    fields["CallStatus"] = status if status in {"busy", "completed"} else "failed"
    report = parse_status_callback(callback(**fields))
    assert report.status in FINAL


def test_a_form_is_read() -> None:
    text = "To=%2B1555&Digits=2&Digits=1&Empty=&Name=Zo%C3%AB"
    assert form_of(text.encode()) == {"To": ["+1555"], "Digits": ["2", "1"], "Empty": [""], "Name": ["Zoë"]}
    assert form_of(b"") == {}


@pytest.mark.parametrize("body", [b"\xff", b"a=1&" * 201])
def test_a_malformed_form_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableCallback):
        form_of(body)


# ---- TwiML


def test_twiml_connects_a_stream() -> None:
    assert connect_stream("wss://media.example.com/a1/x1") == (
        '<Response><Connect><Stream url="wss://media.example.com/a1/x1"/></Connect></Response>'
    )


def test_a_streams_query_becomes_its_parameters() -> None:
    """Twilio rejects a query string in a stream's URL (errors 31920 and 31922)."""
    twiml = connect_stream("wss://m.example/s?execution=x-1&greeting=%22a%26b%22&e=")
    stream = fromstring(twiml)[0][0]  # noqa: S314  our own TwiML
    assert stream.attrib == {"url": "wss://m.example/s"}
    assert [child.attrib for child in stream] == [
        {"name": "execution", "value": "x-1"},
        {"name": "greeting", "value": '"a&b"'},
        {"name": "e", "value": ""},
    ]


@given(st.text(max_size=30), st.text(max_size=30))
def test_twiml_is_valid_xml_or_refused(path: str, query: str) -> None:
    try:
        twiml = connect_stream(f"wss://m.example/{path}?{query}")
    except ValueError:
        return
    assert fromstring(twiml.encode())[0][0].tag == "Stream"  # noqa: S314  our own TwiML


def test_twiml_takes_at_most_4000_characters() -> None:
    """This is Twilio's limit for `Twiml`. A short URL may become long TwiML: each parameter has its own element."""
    longest = f"wss://m.example/{'x' * (4000 - len(connect_stream('wss://m.example/')))}"
    assert len(connect_stream(longest)) == 4000
    with pytest.raises(ValueError, match="takes 4001 characters"):
        connect_stream(longest + "x")
    with pytest.raises(ValueError, match="too long"):
        connect_stream("wss://m.example/?" + "a=1&" * 130)


def test_a_stream_goes_with_the_request() -> None:
    http = ScriptedHttp(json_answer(201, {"sid": CALL}))
    stream = "wss://media.example.com/x1?a=1"
    carrier(http).place(replace(REQUEST, answer_url=None, stream_url=stream))
    form = dict(parse_qsl(http.asked[0]["body"].decode()))
    assert form["Twiml"] == connect_stream(stream)
    assert not {"Url", "Method"} & form.keys()


@pytest.mark.parametrize("stream", ["wss://m.example/?" + "a=1&" * 130, "wss://m.example/\x00"])
def test_a_stream_that_twiml_cannot_hold_is_an_error_and_nothing_is_sent(stream: str) -> None:
    """Agents are checked when they are saved, but this one was saved before that check existed."""
    http = ScriptedHttp()
    result = carrier(http).place(replace(REQUEST, answer_url=None, stream_url=stream))
    assert isinstance(result, Refused)
    assert (result.outcome.status, result.outcome.permanent) == (Status.ERROR, False)
    assert result.outcome.reason is not None and result.outcome.reason.startswith("the agent's stream_url ")
    assert http.asked == []


# ---- credentials


def test_credentials_show_no_secret() -> None:
    text = json.dumps(
        {
            "account_sid": ACCOUNT,
            "auth_token": "hush",
            "api_key_sid": "SK1",
            "api_key_secret": "psst",
            "shared_key": "shh",
        }
    )
    credentials = TwilioCredentials.parse(text)
    assert credentials == TwilioCredentials(ACCOUNT, "hush", "SK1", "psst", "shh")
    for secret in ("hush", "psst", "shh"):
        assert secret not in repr(credentials)


def test_unknown_and_null_fields_of_the_secret_are_ignored() -> None:
    text = json.dumps({"account_sid": ACCOUNT, "auth_token": "hush", "api_key_sid": None, "note": 1})
    assert TwilioCredentials.parse(text) == TwilioCredentials(ACCOUNT, "hush")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("hush", "not JSON"),
        ('["hush"]', "JSON object"),
        ("{}", "account_sid"),
        (json.dumps({"account_sid": ACCOUNT}), "auth_token of the Twilio secret is missing"),
        (json.dumps({"account_sid": ACCOUNT, "auth_token": ""}), "auth_token"),
        (json.dumps({"account_sid": ACCOUNT, "auth_token": "hush\n"}), "auth_token"),
        (json.dumps({"account_sid": "AC/../x", "auth_token": "hush"}), "account_sid"),
        (json.dumps({"account_sid": "SK123", "auth_token": "hush"}), "account_sid"),
        (json.dumps({"account_sid": ACCOUNT, "auth_token": 7}), "auth_token"),
        (json.dumps({"account_sid": ACCOUNT, "auth_token": "hush", "api_key_sid": "SK1"}), "api_key_secret"),
    ],
)
def test_a_malformed_secret_is_refused_without_showing_it(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        TwilioCredentials.parse(text)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_it_imports_no_http_client() -> None:
    code = (
        "import sys, redial.carriers.twilio.rest, redial.carriers.twilio.callbacks; "
        "print([m for m in ('urllib3', 'http.client', 'requests', 'ssl', 'redial.adapters.http') if m in sys.modules])"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert done.stdout == "[]\n"
