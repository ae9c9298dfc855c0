"""Twilio: placing calls, asking about them, and reading and verifying its callbacks.

The HTTP client is passed in and not imported, because the function that only reads callbacks loads this module too.

Sources: [O] Twilio's OpenAPI description, twilio/twilio-oai, spec/json/twilio_api_v2010.json; [E] the error dictionary,
https://www.twilio.com/docs/api/errors/<code>; [V] https://www.twilio.com/docs/voice/api/call-resource and
…/call-event-resource; [S] the SDK's request_validator, twilio 9.13.0; [W] https://www.twilio.com/docs/usage/webhooks.

Twilio has no idempotency key for new calls [O]: what a request did that got no usable answer can only be found out.
"""

import base64
import binascii
import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from redial.domain.execution import UNKNOWN_DEADLINE
from redial.domain.outcome import Accepted, CallReport, DialResult, NotPlaced, Outcome, Refused, Unknown
from redial.domain.status import FINAL, Status
from redial.ports import CallRequest, CarrierUnavailable, NotYetKnown
from redial.wire.http import HttpResponse, NoAnswer, NotSent, retry_after_seconds

if TYPE_CHECKING:
    from redial.adapters.http import Http

CONNECT_TIMEOUT_SECONDS = 5.0
PLACE_TIMEOUT_SECONDS = 15.0
"""For one request to place a call, from look-up to answer. Giving up earlier would only make more dials unknown."""
ASK_TIMEOUT_SECONDS = 10.0
"""For one question: `ask` puts one, `find` one for each page of the list and one for each candidate."""

CLOCK_SKEW = timedelta(seconds=5)
"""How far Twilio's clock may be behind ours; its `date_created` is cut to whole seconds besides."""
LATEST_CREATION = UNKNOWN_DEADLINE + timedelta(minutes=1)
"""A call created longer than this after the attempt's claim is another's. Until the attempt is given up, and the
sweeper looks once a minute, each call that Twilio has placed so late may be its own."""
_PAGE_SIZE = 1000  # the most that a page may hold [O]
_MAX_PAGES = 10
_MAX_PAGE_BYTES = 8 * 1024 * 1024
_MAX_BODY_BYTES = 1024 * 1024
_MAX_CANDIDATES = 25
"""Calls that one search looks into, the oldest first: the attempt's own was placed soon after its claim."""

_CALLBACK_PATH = "/callbacks/twilio/"
_ANY_ATTEMPT = re.compile(re.escape(_CALLBACK_PATH) + r"[^/?#\"]+/[0-9]+")
_SID = re.compile(r"[A-Za-z0-9]{2,64}")

_XML_LINE = re.compile("[\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]*")

Form = Mapping[str, list[str]]
"""A form as `urllib.parse.parse_qs` gives it: each name with all its values."""


# ---- credentials -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwilioCredentials:
    """What Twilio knows us by. Requests use the API key where there is one; callbacks are signed with `auth_token`,
    or with `shared_key` where the account signs its webhooks with a key of their own."""

    account_sid: str
    auth_token: str = field(repr=False)
    api_key_sid: str | None = None
    api_key_secret: str | None = field(default=None, repr=False)
    shared_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "TwilioCredentials":
        """From a secret's JSON object with these names. Raises `ValueError`, which shows nothing of the secret."""
        try:
            fields = json.loads(text)
        except ValueError:
            raise ValueError("the Twilio secret is not JSON") from None
        if not isinstance(fields, dict):
            raise ValueError("the Twilio secret must be a JSON object")
        known = {name: fields[name] for name in cls.__dataclass_fields__ if fields.get(name) is not None}
        for name, value in known.items():
            if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
                raise ValueError(f"{name} of the Twilio secret must be text without spaces")
        if not re.fullmatch(r"AC[0-9A-Za-z]+", known.get("account_sid", "")):
            raise ValueError("account_sid of the Twilio secret must be AC and letters or digits")
        if "auth_token" not in known:
            raise ValueError("auth_token of the Twilio secret is missing")
        if ("api_key_sid" in known) != ("api_key_secret" in known):
            raise ValueError("the Twilio secret needs both api_key_sid and api_key_secret, or neither")
        return cls(**known)

    @property
    def basic(self) -> str:
        """The Authorization header of a request."""
        user, password = self.account_sid, self.auth_token
        if self.api_key_sid and self.api_key_secret:
            user, password = self.api_key_sid, self.api_key_secret
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class CredentialsUnavailable(Exception):
    """The credentials cannot be read, or are none; the message names no secret."""


class CredentialsStore(Protocol):
    """Where the credentials come from."""

    def get(self) -> TwilioCredentials:
        """The credentials. Raises `CredentialsUnavailable`."""

    def refresh(self, refused: TwilioCredentials) -> bool:
        """Twilio does not know `refused`: read them anew, unless that was just done. True when there are others now."""


# ---- what Twilio's answers mean --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Meaning:
    """What an error code says of an attempt. `status` None: nothing was placed, and the same may be asked later.
    `outage`: any call would have been refused; then `status` is None."""

    status: Status | None
    words: str
    permanent: bool = False
    outage: bool = False


_FAILED, _ERROR = Status.FAILED, Status.ERROR
# The called number is at fault: failed, for good. The set-up of agent or Redial is at fault: error, which may be tried
# again, since it may be put right in the meantime and a retry may use another caller id; by default, retry
# configurations leave errors out. The account is at fault: the call waits. Words are ours; the comments are titles in
# [E].
_CODES = {
    # the called number
    13223: _Meaning(_FAILED, "the number is not in E.164 format", permanent=True),  # Dial: Invalid phone number format
    13224: _Meaning(_FAILED, "the number is invalid or cannot be reached"),  # also when a network is out, says [E]
    13225: _Meaning(_FAILED, "calling this number is forbidden", permanent=True),  # Dial: Forbidden phone number
    13226: _Meaning(_FAILED, "the country code is unknown", permanent=True),  # Dial: Invalid country code
    13227: _Meaning(_FAILED, "the account may not call this country", permanent=True),  # No International Authorization
    21202: _Meaning(_FAILED, "the number is a premium number", permanent=True),  # 'To' number is a premium number
    21203: _Meaning(_FAILED, "the account may not call abroad", permanent=True),  # International calling not enabled
    21211: _Meaning(_FAILED, "the number is not a phone number", permanent=True),  # Invalid 'To' Phone Number
    21214: _Meaning(_FAILED, "the number cannot be reached", permanent=True),  # 'To' phone number cannot be reached
    21215: _Meaning(_FAILED, "the account may not call this region", permanent=True),  # Account not authorized to call
    21216: _Meaning(_FAILED, "Twilio blocks calls to this number", permanent=True),  # API: Call blocked by Twilio
    21217: _Meaning(_FAILED, "the number does not appear to be valid", permanent=True),  # does not appear to be valid
    21219: _Meaning(_FAILED, "a trial account may call verified numbers only", permanent=True),  # 'To' not verified
    573005: _Meaning(
        _FAILED, "a trial account may call verified numbers only", permanent=True
    ),  # not completed verification
    # the caller id
    21210: _Meaning(_ERROR, "the from number is not one of the account's"),  # 'From' phone number not verified
    21212: _Meaning(_ERROR, "the from number is not a phone number"),  # Invalid 'From' Phone Number
    21213: _Meaning(_ERROR, "the from number is missing"),  # 'From' phone number is required
    21606: _Meaning(_ERROR, "the from number cannot be used for this"),  # 'From' … not a valid … Twilio phone number
    573002: _Meaning(_ERROR, "the from number is not the trial number for this recipient"),  # 'From' isn't assigned
    # the call's parameters
    21205: _Meaning(_ERROR, "Twilio does not accept the answer URL"),  # Invalid URL
    21208: _Meaning(_ERROR, "Twilio does not accept the ring timeout"),  # Invalid Timeout
    21609: _Meaning(_ERROR, "Twilio does not accept the callback URL"),  # Invalid 'StatusCallback'
    # the account: certainly nothing was placed, and no call would be
    10001: _Meaning(None, "the Twilio account is not active: check its balance and status", outage=True),
    10005: _Meaning(None, "voice calling is disabled for the Twilio account", outage=True),
    20003: _Meaning(None, "Twilio refused the credentials: check the Twilio secret", outage=True),
    20005: _Meaning(None, "the Twilio account is not active: check its balance and status", outage=True),
    20006: _Meaning(None, "the Twilio credentials may not place calls: check the Twilio secret", outage=True),
    20008: _Meaning(None, "these are Twilio's test credentials: check the Twilio secret", outage=True),
    20403: _Meaning(None, "the Twilio account is suspended or closed", outage=True),
    20404: _Meaning(None, "Twilio does not know the account: check the Twilio secret", outage=True),
    # later: refused before anything was placed
    10004: _Meaning(
        None, "the Twilio account has reached its limit of calls at once"
    ),  # Call concurrency limit exceeded
    20429: _Meaning(None, "Twilio throttles the account's requests"),  # Too many requests: never processed, says [E]
    22005: _Meaning(None, "Twilio's queue holds a day of calls already"),  # Call Queue Full: rejected, says [E]
}
_HTTP_CODES = {401: 20003, 403: 20003, 404: 20404, 429: 20429}
"""The code that an HTTP status stands for where the answer holds none that is known."""

_CALL_STATUSES = {
    "queued": Status.INITIATED,
    "initiated": Status.INITIATED,
    "ringing": Status.RINGING,
    "in-progress": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "busy": Status.BUSY,
    "no-answer": Status.NO_ANSWER,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
}
_ENDINGS = {
    Status.COMPLETED: "the call was answered and has ended",
    Status.BUSY: "the line was busy",
    Status.NO_ANSWER: "nobody answered",
    Status.FAILED: "the call could not be connected",
    Status.CANCELED: "the call was canceled before it was answered",
}
# SIP response codes: RFC 3261 section 21, RFC 8197 (607), RFC 8688 (608). Those that speak of the number itself, not of
# this moment, end a failed call for good.
_SIP_WORDS = {
    403: "the network does not allow the call",
    404: "the number does not exist",
    408: "the phone could not be reached in time",
    410: "the number is no longer in service",
    480: "the phone is unavailable at the moment",
    484: "the number is incomplete",
    486: "the line was busy",
    487: "the call was ended before it was answered",
    500: "the network failed",
    502: "the network failed",
    503: "the network is unavailable at the moment",
    504: "the network did not answer in time",
    600: "the line was busy everywhere",
    603: "the call was declined",
    604: "the number does not exist anywhere",
    607: "the called party does not want such calls",
    608: "the network blocked the call as unwanted",
}
_SIP_FOR_GOOD = frozenset({404, 410, 484, 604, 607})


class TwilioCarrier:
    """`ports.Carrier` over Twilio's REST API. `api_url` has no path: https://api.twilio.com, or the emulator's.

    Every request goes out once.
    """

    def __init__(self, http: "Http", credentials: CredentialsStore, api_url: str) -> None:
        self._http = http
        self._credentials = credentials
        self._api_url = api_url.rstrip("/")

    def place(self, request: CallRequest) -> DialResult:
        """POST …/Calls.json, once.

            201 with a call's sid                                             Accepted
            the request never left; 429; queue or concurrency full            NotPlaced
            account suspended, wrong credentials (401, 403, 404, see _CODES)  NotPlaced, an outage
            other 4xx                                                         Refused, see _CODES
            anything else: 5xx, timeout, reset, unreadable                    Unknown

        A 401 after the secret has changed is NotPlaced as well: the next try uses the new credentials.
        """
        form = [
            ("To", request.to_number),
            ("From", request.from_number),
            ("Url", request.answer_url),
            ("Method", "POST"),
            # Connection override [W]: three retries, whatever the trouble. Twilio's default is one.
            ("StatusCallback", request.callback_url + "#rc=3&rp=all"),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
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
        try:
            credentials = self._credentials.get()
            answer = self._send(credentials, "POST", "/Calls.json", urlencode(form).encode())
        except CredentialsUnavailable as error:
            return NotPlaced(str(error), outage=True)
        except NotSent as error:
            return NotPlaced(f"Twilio was not reached: {error}", outage=True)
        except NoAnswer as error:
            return Unknown(f"no answer from Twilio: {error}")
        if answer.status == 401 and self._credentials.refresh(credentials):
            return NotPlaced("the Twilio credentials have changed")
        return _placed(answer)

    def check(self) -> str | None:
        """POST …/Calls.json without the number to call, which Twilio requires [O]: such a request can place nothing.

        Twilio refuses it for that (21201 [E]) where it takes requests to place calls at all. A GET would show less: it
        is another route, and accounts that may place no call can still be read.
        """
        try:
            credentials = self._credentials.get()
            answer = self._send(credentials, "POST", "/Calls.json", b"Method=POST")
        except CredentialsUnavailable as error:
            return str(error)
        except NotSent as error:
            return f"Twilio was not reached: {error}"
        except NoAnswer as error:
            return f"no answer from Twilio: {error}"
        if answer.status == 401:
            self._credentials.refresh(credentials)
        match _placed(answer):
            case NotPlaced(reason) | Unknown(reason):
                return reason
        return None

    def ask(self, call_id: str) -> CallReport | None:
        """GET …/Calls/<sid>.json. That resource holds no SIP code, so a failed call is never reported as for good."""
        record = self._get(f"/Calls/{quote(call_id, safe='')}.json")
        return None if record is None else _report_of_record(record)

    def find(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> CallReport | None:
        """The attempt's call among all calls from its caller id to its number.

        The list is not filtered by StartTime: that is a date, and a call that is queued, or that failed before it was
        dialled, has none [O]. `date_created` is compared here instead.
        Whose a candidate is, its Events tell: the requests about it, with our callback URLs. They can be read from 15
        minutes after the call ended [V]; until then no candidate is taken, not even a single one: it may be another
        execution's call to the same number, and one of the two would be reported as the other. `NotYetKnown` is raised,
        so that the question is put again later, also when there are too many calls to look through, or too little time.
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
        """Oldest first; those whose time of creation is unreadable come last."""
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
            # /2010-04-01/Accounts/<sid>/Calls.json?…: only its query is used, so it cannot lead our credentials away.
            path = "/Calls.json?" + str(following).partition("?")[2]
        raise NotYetKnown("the list of calls to this number is too long to search")

    def _belongs(self, record: dict[str, Any], request: CallRequest) -> bool | None:
        """Whether the call is this attempt's; None: its Events are not there (yet), or show no callback of ours."""
        try:
            page = self._get(f"/Calls/{quote(str(record.get('sid')), safe='')}/Events.json?PageSize={_PAGE_SIZE}")
        except CarrierUnavailable:
            return None
        events = None if page is None else page.get("events")
        if not isinstance(events, list):
            return None
        # The requests include our own POST, whose parameters hold the callback URL [O], and the callbacks themselves.
        requests = json.dumps([event.get("request") for event in events if isinstance(event, dict)])
        own = re.escape(f"{_CALLBACK_PATH}{request.execution_id}/{request.attempt}") + r"(?![0-9])"
        if re.search(own, requests):
            return True
        return False if _ANY_ATTEMPT.search(requests) else None

    def _get(self, path: str, max_body_bytes: int = _MAX_BODY_BYTES) -> dict[str, Any] | None:
        """The JSON object at `path` of the account; None for 404. Raises `CarrierUnavailable`."""
        try:
            credentials = self._credentials.get()
            answer = self._send(credentials, "GET", path, b"", max_body_bytes)
        except CredentialsUnavailable as error:
            raise CarrierUnavailable(str(error)) from error
        except NotSent as error:
            raise CarrierUnavailable(f"Twilio was not reached: {error}") from error
        except NoAnswer as error:
            raise CarrierUnavailable(f"no answer from Twilio: {error}") from error
        if answer.status == 404:
            return None
        if answer.status == 401:
            self._credentials.refresh(credentials)
        body = _json_object(answer.body)
        if answer.status != 200 or not body:
            raise CarrierUnavailable(f"Twilio answered {answer.status}" + ("" if body else " unreadably"))
        return body

    def _send(
        self,
        credentials: TwilioCredentials,
        method: str,
        path: str,
        body: bytes,
        max_body_bytes: int = _MAX_BODY_BYTES,
    ) -> HttpResponse:
        headers = {"authorization": credentials.basic, "accept": "application/json"}
        timeout = ASK_TIMEOUT_SECONDS if method == "GET" else PLACE_TIMEOUT_SECONDS
        if body:
            headers["content-type"] = "application/x-www-form-urlencoded"
        return self._http.send(
            method,
            f"{self._api_url}/2010-04-01/Accounts/{credentials.account_sid}{path}",
            headers=headers,
            body=body,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=timeout,
            total_timeout_seconds=timeout,
            max_body_bytes=max_body_bytes,
        )


def _placed(answer: HttpResponse) -> DialResult:
    """What an answer to POST …/Calls.json means."""
    body = _json_object(answer.body)
    if 200 <= answer.status < 300:
        sid = body.get("sid")
        if isinstance(sid, str) and _SID.fullmatch(sid):
            return Accepted(sid)
        return Unknown(f"Twilio answered {answer.status} without naming a call")
    if not 400 <= answer.status < 500 or answer.status == 408:  # 408: the request may have arrived all the same
        return Unknown(f"Twilio answered {answer.status}")
    code = body.get("code")
    if not isinstance(code, int):
        code = _HTTP_CODES.get(answer.status, answer.status)
    meaning = _CODES.get(code) or _CODES.get(_HTTP_CODES.get(answer.status, 0))
    if meaning is None:
        said = str(body.get("message") or "").strip()[:200]
        meaning = _Meaning(_FAILED, said or f"Twilio refused the call with HTTP {answer.status}")
    if meaning.status is None:
        return NotPlaced(meaning.words, retry_after_seconds(answer.headers), meaning.outage)
    return Refused(Outcome(meaning.status, permanent=meaning.permanent, reason=meaning.words, code=str(code)))


def _json_object(body: bytes) -> dict[str, Any]:
    """The JSON object, or an empty one for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _need_time(seconds_left: Callable[[], float]) -> None:
    """Raises `NotYetKnown` where one more request might take longer than there is time."""
    if seconds_left() < ASK_TIMEOUT_SECONDS:
        raise NotYetKnown("there was no time to look through all calls to this number")


def _created_at(record: dict[str, Any]) -> datetime | None:
    """When the call was created; None where its `date_created` (RFC 2822 [O]) is unreadable."""
    try:
        created = parsedate_to_datetime(str(record.get("date_created")))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return created.replace(tzinfo=UTC) if created.tzinfo is None else created


def _report_of_record(record: dict[str, Any]) -> CallReport:
    """The REST API's record of a call. Raises `NotYetKnown` for one that makes no sense."""
    fields = {name: str(value) for name, value in record.items() if isinstance(value, str | int)}
    try:
        return _report(
            fields.get("sid", ""), fields.get("status", ""), fields.get("answered_by"), fields.get("duration")
        )
    except ValueError as error:
        raise NotYetKnown(f"Twilio's record of the call is unreadable: {error}") from error


def _report(
    call_id: str,
    word: str,
    answered_by: str | None,
    duration: str | None,
    sip_code: str | None = None,
    error_code: str | None = None,
) -> CallReport:
    """What Twilio's words about a call mean. Raises `ValueError` for an id or a status that is none."""
    if not _SID.fullmatch(call_id):
        raise ValueError("no call id")
    status = _CALL_STATUSES.get(word)
    if status is None:
        raise ValueError("unknown call status")
    voicemail = _voicemail(answered_by)
    if status not in FINAL:
        return CallReport(call_id, status, voicemail=voicemail)
    sip, error = _number(sip_code), _number(error_code)
    reason, permanent = _ENDINGS[status], False
    if status is Status.FAILED:
        meaning = _CODES.get(error) if error is not None else None
        if sip in _SIP_WORDS:
            reason, permanent = _SIP_WORDS[sip], sip in _SIP_FOR_GOOD
        elif meaning is not None:
            reason, permanent = meaning.words, meaning.permanent
    outcome = Outcome(
        status,
        permanent=permanent,
        voicemail=voicemail,
        reason=reason,
        code=None if sip is None and error is None else str(sip if sip is not None else error),
        duration_seconds=_number(duration) if status is Status.COMPLETED else None,
        hangup_by="caller" if status is Status.CANCELED else None,
    )
    return CallReport(call_id, status, outcome, voicemail)


def _voicemail(answered_by: str | None) -> bool | None:
    """True for machine_start, machine_end_*, machine (the REST record's word) and fax; None for unknown and nothing."""
    if answered_by == "human":
        return False
    if answered_by is not None and (answered_by.startswith("machine") or answered_by == "fax"):
        return True
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


# ---- callbacks -------------------------------------------------------------------------------------------------------


class InvalidCallback(ValueError):
    """A request to a callback URL that is not what Twilio sends there."""


def callback_url(public_url: str, execution_id: str, attempt: int) -> str:
    """Where Twilio reports on one attempt; `/amd` and `/answer` below it are its machine detection and its TwiML."""
    return f"{public_url.rstrip('/')}{_CALLBACK_PATH}{execution_id}/{attempt}"


def callback_urls(event: Mapping[str, Any], public_url: str) -> list[str]:
    """Every URL that the request of this HTTP API event (payload 2.0) may have been sent to, for `verify`.

    `public_url`, where it is configured, is what Twilio was given; the path below it is found in `rawPath` whatever
    stands before it. The event's own domain counts too, so that the setting can be changed while calls are up.
    `rawPath` begins with the stage where that is not `$default`. Behind a custom domain with a mapping key it holds the
    stage or the key, reports differ: there, configure `public_url`. Nothing in our paths needs percent-encoding, so it
    makes no difference whether `rawPath` was decoded.
    """
    path = str(event.get("rawPath") or "/")
    query = str(event.get("rawQueryString") or "")
    tail = "?" + query if query else ""
    context = event.get("requestContext") or {}
    urls = []
    if public_url:
        _, found, below = path.partition(_CALLBACK_PATH)
        urls.append(
            f"{public_url.rstrip('/')}{found}{below}{tail}" if found else f"{public_url.rstrip('/')}{path}{tail}"
        )
    domain = context.get("domainName")
    if domain:
        urls.append(f"https://{domain}{path}{tail}")
        stage = f"/{context.get('stage')}/"
        if path.startswith(stage):
            urls.append(f"https://{domain}/{path.removeprefix(stage)}{tail}")
    return list(dict.fromkeys(urls))


def form_of(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """The form in an HTTP API event's body, base64 or not. Raises `InvalidCallback` for what is no form."""
    body = event.get("body") or ""
    try:
        text = base64.b64decode(body, validate=True).decode() if event.get("isBase64Encoded") else str(body)
        return parse_qs(text, keep_blank_values=True, max_num_fields=200)
    except (binascii.Error, ValueError) as error:
        raise InvalidCallback("the body is not a form") from error


def verify(
    headers: Mapping[str, str], url: str, form: Form | bytes, auth_token: str, shared_key: str | None = None
) -> bool:
    """Whether X-Twilio-Signature proves that Twilio sent `form` (or, as bytes, a JSON body) to `url`. [S] [W]

    base64(HMAC(secret, url + every name and value, sorted)) with SHA-1 and the account's auth token, or as
    X-Twilio-Webhooks-Signature-Settings says (`key=…,algorithm=HMAC_SHA256`): then with `shared_key`, where the account
    has one. A JSON body stands in the URL as `bodySHA256`. Twilio signs with or without the port, so both are tried.
    """
    named = {name.lower(): value for name, value in headers.items()}
    signature = named.get("x-twilio-signature", "")
    stated_settings = named.get("x-twilio-webhooks-signature-settings", "").split(",")
    settings = dict(part.strip().partition("=")[::2] for part in stated_settings)
    digest = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}.get((settings.get("algorithm") or "HMAC_SHA1").upper())
    if not signature or digest is None:
        return False
    signed = ""
    if isinstance(form, bytes):
        stated = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
        if not hmac.compare_digest(stated.encode(), hashlib.sha256(form).hexdigest().encode()):
            return False
    else:
        signed = "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))
    secret = shared_key if shared_key and settings.get("key") else auth_token
    valid = False
    for candidate in _with_and_without_port(url):
        expected = base64.b64encode(hmac.digest(secret.encode(), (candidate + signed).encode(), digest))
        valid |= hmac.compare_digest(expected, signature.encode())
    return valid


def _with_and_without_port(url: str) -> tuple[str, str]:
    """The URL without its port, and with it (the scheme's own where it has none), otherwise byte for byte as it is."""
    scheme, separator, rest = url.partition("://")
    match = re.match(r"(\[[^\]]*\]|[^:/?#]*)(:[0-9]*)?", rest)
    assert match is not None  # it matches the empty string
    host, port, tail = match[1], match[2], rest[match.end() :]
    usual = ":443" if scheme == "https" else ":80"
    return f"{scheme}{separator}{host}{tail}", f"{scheme}{separator}{host}{port or usual}{tail}"


def parse_status_callback(form: Form) -> CallReport:
    """What a status callback says of its call. Raises `InvalidCallback` where it says nothing that is known."""
    try:
        return _report(
            _first(form, "CallSid") or "",
            _first(form, "CallStatus") or "",
            _first(form, "AnsweredBy"),
            _first(form, "CallDuration"),
            _first(form, "SipResponseCode"),
            _first(form, "ErrorCode"),
        )
    except ValueError as error:
        raise InvalidCallback(str(error)) from error


def parse_amd_callback(form: Form) -> tuple[str, bool | None]:
    """The call, and whether a machine answered it (None: Twilio cannot tell). Raises `InvalidCallback`."""
    call_id = _first(form, "CallSid") or ""
    if not _SID.fullmatch(call_id):
        raise InvalidCallback("no call id")
    return call_id, _voicemail(_first(form, "AnsweredBy"))


def _first(form: Form, name: str) -> str | None:
    values = form.get(name)
    return values[0] if values else None


def connect_stream_twiml(stream_url: str) -> str:
    """TwiML that connects the call to a media stream at `stream_url` (wss).

    Twilio refuses a query string in a stream's URL (errors 31920 and 31922 [E]): its parameters are passed on as
    `<Parameter>`s, which arrive in the stream's `start` message. Raises `ValueError` for characters XML cannot hold.
    """
    parts = urlsplit(stream_url)
    parameters = "".join(
        f'<Parameter name="{_xml(name)}" value="{_xml(value)}"/>'
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    url = _xml(f"{parts.scheme}://{parts.netloc}{parts.path}")
    stream = f'<Stream url="{url}">{parameters}</Stream>' if parameters else f'<Stream url="{url}"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?><Response><Connect>{stream}</Connect></Response>'


def _xml(text: str) -> str:
    if not _XML_LINE.fullmatch(text):
        raise ValueError("the stream URL holds characters that XML cannot")
    return html.escape(text)
