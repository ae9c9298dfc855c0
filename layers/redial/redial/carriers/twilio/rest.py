"""Twilio's REST API: placing, canceling and looking up calls. Sources: see this package.

The HTTP client is passed in, not imported.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from redial.carriers.credentials import Credentials, CredentialsUnavailable, Secrets
from redial.carriers.sending import (
    ASK_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    PLACE_TIMEOUT_SECONDS,
    SHORT_TIMEOUT_SECONDS,
    rate_of,
    send_dial,
)
from redial.carriers.twilio import LATEST_CREATION, LIMITS, STATUS_OVERRIDE
from redial.carriers.twilio.codes import placed, report
from redial.carriers.twilio.credentials import TwilioCredentials, credentials_of
from redial.carriers.twilio.twiml import connect_stream
from redial.domain.outcome import CallReport, DialResult, NotPlaced, Outcome, Price, Refused, Unknown
from redial.domain.status import UNANSWERED, Status
from redial.ports import CallRequest, CarrierBusy, CarrierUnavailable, NotYetKnown
from redial.wire.http import HttpResponse, NoAnswer, NotSent, json_object

if TYPE_CHECKING:
    from redial.adapters.http import Http

CLOCK_SKEW = timedelta(seconds=5)
"""How far Twilio's clock may be behind ours. In addition, its `date_created` is truncated to whole seconds."""
_PAGE_SIZE = 1000  # the maximum size of a page [O]
_MAX_PAGES = 10
_MAX_PAGE_BYTES = 8 * 1024 * 1024
_MAX_BODY_BYTES = 1024 * 1024
_MAX_CANDIDATES = 25
"""Maximum calls that one search examines, oldest first: the attempt's own call was placed soon after its claim."""

_VOICE_API = "/v1"
_OWN_NUMBERS = (
    ("/IncomingPhoneNumbers.json", "incoming_phone_numbers"),
    ("/OutgoingCallerIds.json", "outgoing_caller_ids"),
)
"""Lists of the numbers that the account may call from: its own and verified ones."""

_CALLBACKS = "/callbacks/twilio/"
_ANY_ATTEMPT = re.compile(re.escape(_CALLBACKS) + r"[^/?#\"]+/[0-9]+")


def carrier(http: "Http", secrets: Secrets, now: Callable[[], datetime]) -> "TwilioCarrier":
    return TwilioCarrier(http, credentials_of(secrets))


class TwilioCarrier:
    """`ports.Carrier` over Twilio's REST API. Every request is sent once."""

    limits = LIMITS

    def __init__(self, http: "Http", credentials: Credentials[TwilioCredentials]) -> None:
        self._http = http
        self._credentials = credentials

    def calls_per_second(self) -> float | None:
        return rate_of(self._credentials)

    def place(self, request: CallRequest) -> DialResult:
        """POST …/Calls.json, once.

            201 with a call's sid                                             Accepted
            the request never left; 429; queue or concurrency full            NotPlaced
            account, caller id or country at fault (401, 403, 404, CODES)     NotPlaced, with the fault
            other 4xx                                                         Refused, see CODES
            anything else: 5xx, timeout, reset, unreadable                    Unknown
            nothing is sent: TwiML cannot contain the stream's URL            Refused

        A 401 after the secret has changed is also NotPlaced: the next try uses the new credentials.
        """
        try:
            instructions = _instructions(request)
        except ValueError as error:
            return Refused(Outcome(Status.ERROR, reason=f"the agent's stream_url {error}"))
        form = [
            ("To", request.to_number),
            ("From", request.from_number),
            *instructions,
            ("StatusCallback", request.callback_url + STATUS_OVERRIDE),
            ("StatusCallbackMethod", "POST"),
            *([("StatusCallbackEvent", "ringing")] if request.reports_ringing else []),
            *([("StatusCallbackEvent", "answered")] if request.reports_answer else []),
            ("StatusCallbackEvent", "completed"),
            ("Timeout", str(request.ring_timeout_seconds)),
            ("TimeLimit", str(request.max_call_seconds)),
        ]
        if request.voicemail_detection:
            form += [
                ("MachineDetection", "Enable"),
                ("AsyncAmd", "true"),
                ("AsyncAmdStatusCallback", request.callback_url + "/amd"),
                ("AsyncAmdStatusCallbackMethod", "POST"),
            ]
        sent = self._send_dial(urlencode(form).encode())
        if isinstance(sent, NotPlaced | Unknown):
            return sent
        credentials, answer = sent
        if answer.status == 401 and self._credentials.refresh(credentials):
            return NotPlaced("the Twilio credentials have changed")
        return placed(answer)

    def check(self) -> str | None:
        """POST …/Calls.json without the number to call, which Twilio requires [O], so that no call can be placed.

        If Twilio accepts requests to place calls at all, it refuses this one for the missing number (21201 [E]). A GET
        would prove less: it is another route, and accounts that may not place calls can still be read.
        """
        sent = self._send_dial(b"Method=POST")
        if isinstance(sent, NotPlaced | Unknown):
            return sent.reason
        credentials, answer = sent
        if answer.status == 401:
            self._credentials.refresh(credentials)
        match placed(answer):
            case NotPlaced(reason) | Unknown(reason):
                return reason
        return None

    def unknown_caller_ids(self, numbers: Collection[str]) -> set[str]:
        """GET …/IncomingPhoneNumbers.json and …/OutgoingCallerIds.json, one page of each [O]. Raises
        `CarrierUnavailable` if a number is on neither page and there are more pages."""
        unknown, has_more = set(numbers), False
        for path, name in _OWN_NUMBERS:
            page = self._page(f"{path}?PageSize={_PAGE_SIZE}", name) if unknown else {name: []}
            unknown -= {str(one.get("phone_number")) for one in page[name]}
            has_more |= page.get("next_page_uri") is not None
        if unknown and has_more:
            raise CarrierUnavailable(f"the account has more than {_PAGE_SIZE} numbers")
        return unknown

    def closed_countries(self, countries: Collection[str]) -> set[str]:
        """GET voice.twilio.com/v1/DialingPermissions/Countries; one page has all countries [D]."""
        page = self._page(f"{_VOICE_API}/DialingPermissions/Countries?PageSize={_PAGE_SIZE}", "content")
        are_open = {one.get("iso_code"): one.get("low_risk_numbers_enabled") for one in page["content"]}
        return {country for country in countries if are_open.get(country) is False}

    def _page(self, path: str, name: str) -> dict[str, Any]:
        """One page, whose field `name` is a list of objects. Raises `CarrierUnavailable`."""
        page = self._get(path, _MAX_PAGE_BYTES, SHORT_TIMEOUT_SECONDS)
        records = None if page is None else page.get(name)
        if page is None or not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise CarrierUnavailable(f"Twilio's {name} is unreadable")
        return page

    def cancel(self, call_id: str) -> CallReport:
        """POST …/Calls/<sid>.json with Status=canceled, which ends a queued or ringing call [O].

        200       the call's current state
        400       it is no longer queued or ringing (21220 [E]): its record has its state
        """
        path = f"/Calls/{quote(call_id, safe='')}.json"
        answer = self._exchange("POST", path, b"Status=canceled")
        if answer.status not in (200, 400, 404):
            raise CarrierUnavailable(f"Twilio answered {answer.status}")
        record = json_object(answer.body) if answer.status == 200 else self._get(path)
        report = None if record is None else _report_of_record(record)
        if report is not None and report.status in UNANSWERED:
            report = self.ask(call_id)  # the request was accepted, and takes effect about now
        if report is None or report.status in UNANSWERED:
            raise NotYetKnown("Twilio has not ended the call" if report else "Twilio does not know the call")
        return report

    def ask(self, call_id: str) -> CallReport | None:
        """GET …/Calls/<sid>.json. The resource has no SIP code, so no failure is reported as permanent."""
        record = self._get(f"/Calls/{quote(call_id, safe='')}.json")
        return None if record is None else _report_of_record(record)

    def find(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> CallReport | None:
        """Find the attempt's call among all calls from its caller id to its number.

        The list is not filtered by StartTime, which is a date, and which a call that is queued or failed before it was
        dialled does not have [O]. `date_created` is compared here instead.
        A candidate's Events show which attempt placed it: they contain the requests about the call, with our callback
        URLs. They can be read from 15 minutes after the call's end [V]. Until then, no candidate is accepted, not even
        a single one: it may be another execution's call to the same number, and would be reported for the wrong one.
        Raises `NotYetKnown` in this case, and if there are too many calls or too little time to search.
        """
        candidates = self._candidates(request, since, known_call_ids, seconds_left)
        undecided = max(0, len(candidates) - _MAX_CANDIDATES)
        for record in candidates[:_MAX_CANDIDATES]:
            _need_time(seconds_left)
            belongs = self._belongs(record, request)
            if belongs:
                return _report_of_record(record)
            undecided += belongs is None
        if undecided:
            raise NotYetKnown(f"{undecided} calls may be this attempt's, and Twilio does not say yet")
        return None

    def _candidates(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> list[dict[str, Any]]:
        """Calls that may be the attempt's, oldest first; calls with an unreadable creation time come last."""
        first, last = since - CLOCK_SKEW - timedelta(seconds=1), since + LATEST_CREATION
        found = []
        for record in self._calls(request.to_number, request.from_number, seconds_left):
            created = _created_at(record)
            if (
                str(record.get("sid")) not in known_call_ids
                and record.get("direction") in ("outbound-api", None)
                and record.get("to") == request.to_number
                and record.get("from") == request.from_number
                and (created is None or first <= created <= last)
            ):
                found.append((created or datetime.max.replace(tzinfo=UTC), record))
        return [record for _, record in sorted(found, key=lambda one: one[0])]

    def _calls(self, to_number: str, from_number: str, seconds_left: Callable[[], float]) -> Iterator[dict[str, Any]]:
        path = "/Calls.json?" + urlencode({"To": to_number, "From": from_number, "PageSize": _PAGE_SIZE})
        for _ in range(_MAX_PAGES):
            _need_time(seconds_left)
            page = self._get(path, _MAX_PAGE_BYTES)
            calls = None if page is None else page.get("calls")
            if page is None or not isinstance(calls, list):
                raise CarrierUnavailable("Twilio's list of calls is unreadable")
            yield from (record for record in calls if isinstance(record, dict))
            following = page.get("next_page_uri")
            if not following:
                return
            # /2010-04-01/Accounts/<sid>/Calls.json?…: only the query is used, so credentials cannot go elsewhere.
            path = "/Calls.json?" + str(following).partition("?")[2]
        raise NotYetKnown("the list of calls to this number is too long to search")

    def _belongs(self, record: dict[str, Any], request: CallRequest) -> bool | None:
        """Whether the call is this attempt's. None if its Events are not available (yet), or contain no callback URL of
        ours."""
        try:
            page = self._get(f"/Calls/{quote(str(record.get('sid')), safe='')}/Events.json?PageSize={_PAGE_SIZE}")
        except CarrierBusy:
            raise
        except CarrierUnavailable:
            return None
        events = None if page is None else page.get("events")
        if not isinstance(events, list):
            return None
        # The requests include our own POST, whose parameters contain the callback URL [O], and the callbacks.
        requests = json.dumps([event.get("request") for event in events if isinstance(event, dict)])
        own = re.escape(f"{_CALLBACKS}{request.execution_id}/{request.attempt}") + r"(?![0-9])"
        if re.search(own, requests):
            return True
        return False if _ANY_ATTEMPT.search(requests) else None

    def _get(
        self, path: str, max_body_bytes: int = _MAX_BODY_BYTES, seconds: float = ASK_TIMEOUT_SECONDS
    ) -> dict[str, Any] | None:
        """The JSON object at `path` (see `_url`); None for a 404. Raises `CarrierUnavailable`."""
        answer = self._exchange("GET", path, b"", max_body_bytes, seconds)
        if answer.status == 404:
            return None
        body = json_object(answer.body)
        if answer.status != 200 or not body:
            raise CarrierUnavailable(f"Twilio answered {answer.status}" + ("" if body else " unreadably"))
        return body

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes,
        max_body_bytes: int = _MAX_BODY_BYTES,
        seconds: float = ASK_TIMEOUT_SECONDS,
    ) -> HttpResponse:
        """Send a request that places no call. Raises `CarrierBusy` for a 429, which Twilio returns above the account's
        limit of concurrent requests (20429 [E]), and `CarrierUnavailable` if there was no response."""
        try:
            credentials = self._credentials.get()
            answer = self._send(credentials, method, path, body, seconds, max_body_bytes)
        except CredentialsUnavailable as error:
            raise CarrierUnavailable(str(error)) from error
        except NotSent as error:
            raise CarrierUnavailable(f"Twilio was not reached: {error}") from error
        except NoAnswer as error:
            raise CarrierUnavailable(f"no answer from Twilio: {error}") from error
        if answer.status == 401:
            self._credentials.refresh(credentials)
        if answer.status == 429:
            raise CarrierBusy("Twilio takes no more requests at once")
        return answer

    def _send_dial(self, form: bytes) -> tuple[TwilioCredentials, HttpResponse] | NotPlaced | Unknown:
        def send(known: TwilioCredentials) -> HttpResponse:
            return self._send(known, "POST", "/Calls.json", form, PLACE_TIMEOUT_SECONDS)

        return send_dial(self._credentials, send, "Twilio")

    def _send(
        self,
        credentials: TwilioCredentials,
        method: str,
        path: str,
        body: bytes,
        timeout: float,
        max_body_bytes: int = _MAX_BODY_BYTES,
    ) -> HttpResponse:
        headers = {"authorization": credentials.basic, "accept": "application/json"}
        if body:
            headers["content-type"] = "application/x-www-form-urlencoded"
        return self._http.send(
            method,
            _url(credentials, path),
            headers=headers,
            body=body,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=timeout,
            total_timeout_seconds=timeout,
            max_body_bytes=max_body_bytes,
        )


def _url(credentials: TwilioCredentials, path: str) -> str:
    """The URL of a path below the account, or of a path that begins with `_VOICE_API`, which has its own host [D]."""
    api_url = credentials.api_url.rstrip("/")
    if path.startswith(_VOICE_API):
        return api_url.replace("https://api.", "https://voice.") + path
    return f"{api_url}/2010-04-01/Accounts/{credentials.account_sid}{path}"


def _instructions(request: CallRequest) -> list[tuple[str, str]]:
    """The parameters with the instructions for the answered call. Raises `ValueError`, see `connect_stream`."""
    if request.answer_url is not None:
        return [("Url", request.answer_url), ("Method", "POST")]
    assert request.stream_url is not None, "its gate allowed"
    return [("Twiml", connect_stream(request.stream_url))]


def _need_time(seconds_left: Callable[[], float]) -> None:
    """Raises `NotYetKnown` if there may not be enough time for another request."""
    if seconds_left() < ASK_TIMEOUT_SECONDS:
        raise NotYetKnown("there was no time to look through all calls to this number")


def _created_at(record: dict[str, Any]) -> datetime | None:
    """When the call was created; None if its `date_created` (RFC 2822 [O]) is unreadable."""
    try:
        created = parsedate_to_datetime(str(record.get("date_created")))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return created.replace(tzinfo=UTC) if created.tzinfo is None else created


def _report_of_record(record: dict[str, Any]) -> CallReport:
    """Parse the REST API's record of a call. Its price is null until some minutes after the end [O]. Raises
    `NotYetKnown` for an unreadable record."""
    fields = {name: str(value) for name, value in record.items() if isinstance(value, str | int)}
    try:
        return report(
            fields.get("sid", ""),
            fields.get("status", ""),
            fields.get("answered_by"),
            fields.get("duration"),
            price=Price.read(record.get("price"), record.get("price_unit")),
        )
    except ValueError as error:
        raise NotYetKnown(f"Twilio's record of the call is unreadable: {error}") from error
