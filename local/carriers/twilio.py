"""The emulated Twilio: its REST API for calls, stricter than the real one, with scripted outcomes.

https://www.twilio.com/docs/voice/api/call-resource. Requests that Twilio would accept in spite of a mistake (unknown
parameters, values out of range, a body that is not a form) are refused, so that the adapter cannot rely on leniency.
`/_carrier/…` is for users of the local stack: scripts, the account, its calls, the number of live calls, and problems.
"""

import base64
import binascii
import hashlib
import hmac
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.carriers.course import OUTCOMES, UNSCRIPTED, is_outcome, refusal
from local.carriers.twilio_calls import Call, CallRequest, Calls, Notice, Overrides, rfc2822, twiml_trouble
from local.clock import Timeline
from local.web.api import timestamp
from local.web.server import RESET, Request, Response

API_VERSION = "2010-04-01"
NUMBERS = ("+12025550100", "+12025550101")
"""The account's numbers, from the range reserved for fiction."""
COUNTRIES = (
    ("US", "United States/Canada", "NORTH_AMERICA", "+1"),
    ("GB", "United Kingdom", "EUROPE", "+44"),
    ("DE", "Germany", "EUROPE", "+49"),
    ("FR", "France", "EUROPE", "+33"),
    ("IN", "India", "ASIA", "+91"),
    ("AU", "Australia", "OCEANIA", "+61"),
)
"""Countries whose dialing permissions are listed: a few of the real service's 218."""
E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
EVENTS = ("initiated", "ringing", "answered", "completed")
STATUSES = ("queued", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled")
MAX_TWIML_CHARACTERS = 4000
MAX_RING_TIMEOUT_SECONDS = 600
DEFAULT_TIME_LIMIT_SECONDS = 14400
MAX_TIME_LIMIT_SECONDS = 86400
EVENTS_AFTER = timedelta(minutes=15)
"""How long after its end a call's Events can be read: https://www.twilio.com/docs/voice/api/call-event-resource."""
PRICE = Decimal("0.014")
"""The price of a completed call, in US dollars."""
PRICED_AFTER = timedelta(minutes=3)
"""How long after its end a call has its price. It is null until then, as Twilio documents."""
INITIAL_BALANCE = Decimal(100)
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

CREATE_PARAMETERS = frozenset(
    {
        "To", "From", "Url", "Method", "Twiml", "StatusCallback", "StatusCallbackEvent", "StatusCallbackMethod",
        "Timeout", "TimeLimit", "MachineDetection", "MachineDetectionTimeout", "AsyncAmd", "AsyncAmdStatusCallback",
        "AsyncAmdStatusCallbackMethod",
    }
)  # fmt: skip
"""The emulated parameters of https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource."""
LIST_PARAMETERS = frozenset(
    {"To", "From", "Status", "StartTime", "StartTime<", "StartTime>", "Page", "PageSize", "PageToken"}
)

REFUSALS = {
    10001: (403, "Account is not active"),
    10004: (429, "Call concurrency limit exceeded"),
    10005: (403, "Voice calling has been disabled for this account"),
    20003: (401, "Authentication Error - invalid username"),
    20005: (403, "Account not active"),
    20006: (403, "Access Denied"),
    20008: (403, "Resource not accessible with Test Account Credentials"),
    20403: (403, "Account is suspended or closed"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service Unavailable"),
    21210: (400, "The 'From' phone number is not verified"),
    21211: (400, "The 'To' number is not a valid phone number."),
    21212: (400, "The 'From' number is not a valid phone number."),
    21214: (400, "The 'To' phone number cannot be reached"),
    21215: (400, "Account not authorized to call this number"),
    21216: (400, "Account not allowed to call this number"),
    21219: (400, "The 'To' phone number is not verified"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    22005: (429, "Call Queue Full"),
}
"""HTTP status and message of scripted refusals, by Twilio's error code. Other codes are answered with 400."""
_NAMED_REFUSALS = {"invalid-number": 21211, "refused-429": 20429, "error-500": 20500}


class TwilioError(Exception):
    """A request refused with Twilio's error code and an HTTP status. https://www.twilio.com/docs/api/errors"""

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def response(self) -> Response:
        body = {
            "code": self.code,
            "message": str(self),
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
        return Response.of(self.status, body)


class Carrier:
    """One account at Twilio. `seed` determines its sids and the outcomes of numbers without a script."""

    def __init__(self, timeline: Timeline, seed: int) -> None:
        self.account_sid = "AC" + _hex(seed, "account")
        self.auth_token = _hex(seed, "auth token")
        self.calls = Calls(timeline, self.account_sid, self.auth_token, seed)
        self._timeline = timeline
        self._seed = seed
        account = f"/{API_VERSION}/Accounts/{self.account_sid}"
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response | None]]] = [
            ("POST", re.compile(f"{account}/Calls\\.json"), self._create),
            ("GET", re.compile(f"{account}/Calls\\.json"), self._list),
            ("GET", re.compile(f"{account}/Calls/(CA[0-9a-f]{{32}})\\.json"), self._fetch),
            ("POST", re.compile(f"{account}/Calls/(CA[0-9a-f]{{32}})\\.json"), self._update),
            ("GET", re.compile(f"{account}/Calls/(CA[0-9a-f]{{32}})/Events\\.json"), self._events),
            ("GET", re.compile(f"{account}/IncomingPhoneNumbers\\.json"), self._numbers),
            ("GET", re.compile(f"{account}/OutgoingCallerIds\\.json"), self._verified),
            ("GET", re.compile("/v1/DialingPermissions/Countries"), self._countries),
        ]
        self.verified: list[str] = []
        self.closed_countries: set[str] = set()

    @property
    def secret(self) -> dict[str, str]:
        """The credentials in the form of Redial's secret."""
        return {"account_sid": self.account_sid, "auth_token": self.auth_token}

    def rotate(self, auth_token: str) -> None:
        """Replace the auth token for requests and callbacks."""
        self.auth_token = self.calls.auth_token = auth_token

    def respond(self, request: Request) -> Response | None:
        if request.path.startswith("/_carrier/"):
            return self._control(request)
        try:
            self._authenticate(request)
            found = [
                (method, match, action)
                for method, path, action in self._routes
                if (match := path.fullmatch(request.path))
            ]
            if not found:
                raise TwilioError(20404, 404, f"The requested resource {request.path} was not found")
            for method, match, action in found:
                if method == request.method:
                    return action(request, *match.groups())
            raise TwilioError(20004, 405, f"Method {request.method} is not allowed here")
        except TwilioError as error:
            return error.response()

    def _authenticate(self, request: Request) -> None:
        scheme, _, encoded = (request.header("Authorization") or "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        expected = f"{self.account_sid}:{self.auth_token}".encode()
        if scheme.lower() != "basic" or not hmac.compare_digest(given, expected):
            raise TwilioError(20003, 401, "Authentication Error - invalid username")

    def _create(self, request: Request) -> Response | None:
        form = _form(request)
        wanted = call_request_of(form)
        outcome = self.calls.scripts.next(wanted.to)
        code = _NAMED_REFUSALS.get(outcome) or refusal(outcome)
        if code is not None:
            raise TwilioError(code, *REFUSALS.get(code, (400, f"Refused with error {code}, as scripted")))
        asked = Notice(self._timeline.now(), f"https://api.twilio.com{request.path}", _joined(form), 201)
        call = self.calls.place(wanted, outcome, asked)
        if outcome == "timeout-after-placing":
            return RESET
        return Response.of(201, self._resource(call))

    def _list(self, request: Request) -> Response:
        asked = _query(request, LIST_PARAMETERS)
        if "Status" in asked and asked["Status"] not in STATUSES:
            raise TwilioError(20001, 400, f"Invalid Status: {asked['Status']}")
        started = _Started.of(asked)
        found = [call for call in reversed(self.calls.all()) if _fits(call, asked, started)]
        return self._page(request, asked, "calls", [self._resource(call) for call in found])

    def _fetch(self, request: Request, sid: str) -> Response:
        _query(request, frozenset())
        return Response.of(200, self._resource(self._known(sid)))

    def _update(self, request: Request, sid: str) -> Response:
        form = _form(request)
        if form.keys() != {"Status"}:
            raise TwilioError(20001, 400, "Only Status can be changed here")
        status = form["Status"][0]
        if status not in ("canceled", "completed"):
            raise TwilioError(21218, 400, f"Invalid Status: {status}")
        call = self._known(sid)
        if not self.calls.hang_up(call, "canceled" if status == "canceled" else "completed"):
            raise TwilioError(21220, 400, f"Unable to update record. Call is {call.status}.")
        return Response.of(200, self._resource(call))

    def _events(self, request: Request, sid: str) -> Response:
        """Every request about a call, oldest first. The first one placed the call."""
        asked = _query(request, frozenset({"Page", "PageSize", "PageToken"}))
        call = self._known(sid)
        visible = call.ended_at is not None and self._timeline.now() >= call.ended_at + EVENTS_AFTER
        events = [
            {
                "request": {"method": "POST", "url": notice.url, "parameters": _lower(notice.parameters)},
                "response": {
                    "response_code": notice.status,
                    "date_created": rfc2822(notice.at),
                    "request_duration": 0,
                    "content_type": None,
                    "response_body": None,
                },
            }
            for notice in (call.notices if visible else [])
        ]
        return self._page(request, asked, "events", events)

    def _numbers(self, request: Request) -> Response:
        asked = _query(request, frozenset({"PhoneNumber", "FriendlyName", "Page", "PageSize", "PageToken"}))
        numbers = [
            {
                "sid": "PN" + _hex(self._seed, number),
                "account_sid": self.account_sid,
                "phone_number": number,
                "friendly_name": number,
                "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
                "status": "in-use",
                "api_version": API_VERSION,
                "uri": f"{request.path.removesuffix('.json')}/PN{_hex(self._seed, number)}.json",
            }
            for number in NUMBERS
            if asked.get("PhoneNumber", number) in number
        ]
        return self._page(request, asked, "incoming_phone_numbers", numbers)

    def _verified(self, request: Request) -> Response:
        """Numbers that the account does not own but may call from. Empty unless a test adds some."""
        asked = _query(request, frozenset({"PhoneNumber", "FriendlyName", "Page", "PageSize", "PageToken"}))
        numbers = [
            {
                "sid": "PN" + _hex(self._seed, f"verified {number}"),
                "account_sid": self.account_sid,
                "phone_number": number,
                "friendly_name": number,
                "date_created": rfc2822(self._timeline.now()),
                "date_updated": rfc2822(self._timeline.now()),
                "uri": f"{request.path.removesuffix('.json')}/PN{_hex(self._seed, f'verified {number}')}.json",
            }
            for number in self.verified
            if asked.get("PhoneNumber", number) == number
        ]
        return self._page(request, asked, "outgoing_caller_ids", numbers)

    def _countries(self, request: Request) -> Response:
        """https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource. Canada is part of `US` there."""
        asked = _query(request, frozenset({"IsoCode", "PageSize"}))
        size = _whole(asked, "PageSize", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)
        url = f"https://voice.twilio.com{request.path}"
        countries = [
            {
                "iso_code": code,
                "name": name,
                "continent": continent,
                "country_codes": [calling_code],
                "low_risk_numbers_enabled": code not in self.closed_countries,
                "high_risk_special_numbers_enabled": False,
                "high_risk_tollfraud_numbers_enabled": False,
                "url": f"{url}/{code}",
                "links": {"highrisk_special_prefixes": f"{url}/{code}/HighRiskSpecialPrefixes"},
            }
            for code, name, continent, calling_code in COUNTRIES
            if asked.get("IsoCode", code) == code
        ]
        meta = {
            "key": "content",
            "page": 0,
            "page_size": size,
            "url": f"{url}?PageSize={size}&Page=0",
            "first_page_url": f"{url}?PageSize={size}&Page=0",
            "previous_page_url": None,
            "next_page_url": None,
        }
        return Response.of(200, {"content": countries, "meta": meta})

    def _known(self, sid: str) -> Call:
        call = self.calls.get(sid)
        if call is None:
            path = f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{sid}.json"
            raise TwilioError(20404, 404, f"The requested resource {path} was not found")
        return call

    def _resource(self, call: Call) -> dict[str, Any]:
        """Twilio's call resource."""
        uri = f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{call.sid}"
        request = call.request
        ended = call.ended_at is not None
        is_priced = call.ended_at is not None and self._timeline.now() >= call.ended_at + PRICED_AFTER
        return {
            "sid": call.sid,
            "date_created": rfc2822(call.placed_at),
            "date_updated": rfc2822(call.updated_at),
            "parent_call_sid": None,
            "account_sid": self.account_sid,
            "to": request.to,
            "to_formatted": request.to,
            "from": request.from_number,
            "from_formatted": request.from_number,
            "phone_number_sid": "PN" + _hex(self._seed, request.from_number),
            "status": call.status,
            "start_time": _moment(call.dialled_at),
            "end_time": _moment(call.ended_at),
            "duration": str(call.duration_seconds) if ended else None,
            "price": f"-{PRICE:.5f}" if is_priced and call.status == "completed" else None,
            "price_unit": "USD",
            "direction": "outbound-api",
            "answered_by": call.answered_by,
            "api_version": API_VERSION,
            "forwarded_from": None,
            "group_sid": None,
            "caller_name": None,
            "queue_time": str(call.queue_milliseconds),
            "trunk_sid": None,
            "annotation": None,
            "uri": f"{uri}.json",
            "subresource_uris": {
                name: f"{uri}/{path}.json"
                for name, path in (
                    ("events", "Events"),
                    ("notifications", "Notifications"),
                    ("payments", "Payments"),
                    ("recordings", "Recordings"),
                    ("siprec", "Siprec"),
                    ("streams", "Streams"),
                    ("transcriptions", "Transcriptions"),
                    ("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
                    ("user_defined_messages", "UserDefinedMessages"),
                )
            },
        }

    def _page(self, request: Request, asked: dict[str, str], name: str, records: list[Any]) -> Response:
        """One page of `records`, with Twilio's paging fields."""
        page = _whole(asked, "Page", 0, 0, 10**6)
        size = _whole(asked, "PageSize", DEFAULT_PAGE_SIZE, 1, MAX_PAGE_SIZE)
        start = page * size
        shown = records[start : start + size]
        kept = [(key, value) for key, value in asked.items() if key not in ("Page", "PageSize", "PageToken")]

        def uri(number: int) -> str:
            token = [("PageToken", f"P{number}")] if number else []
            return f"{request.path}?{urlencode([*kept, ('PageSize', size), ('Page', number), *token])}"

        body = {
            name: shown,
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1) if start + size < len(records) else None,
            "previous_page_uri": uri(page - 1) if page else None,
            "page": page,
            "page_size": size,
            "start": start,
            "end": max(start + len(shown) - 1, start),
            "uri": f"{request.path}?{request.query}" if request.query else request.path,
        }
        return Response.of(200, body)

    def _control(self, request: Request) -> Response:
        match request.method, request.path:
            case "POST", "/_carrier/scripts":
                return self._script(request)
            case "GET", "/_carrier/account":
                return Response.of(200, self._account())
            case "GET", "/_carrier/calls":
                return Response.of(200, [_call_answer(call) for call in self.calls.all()])
            case "GET", "/_carrier/live":
                live, max_live = self.calls.live()
                return Response.of(200, {"live": live, "max_live": max_live})
            case "GET", "/_carrier/problems":
                return Response.of(200, self.calls.problems)
        return Response.of(404, {"message": f"There is no {request.method} {request.path} here."})

    def _account(self) -> dict[str, Any]:
        """The account's data for users of the local stack."""
        completed = sum(call.ended_at is not None and call.status == "completed" for call in self.calls.all())
        return {
            "carrier": "twilio",
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            "numbers": list(NUMBERS),
            "balance": {"amount": f"{INITIAL_BALANCE - completed * PRICE:.3f}", "currency": "USD"},
            "calls_per_second": self.calls.calls_per_second,
            "scripts": self.calls.scripts.left(),
            "unscripted_percent": UNSCRIPTED,
        }

    def _script(self, request: Request) -> Response:
        try:
            body = request.json()
            to, outcomes = body["to"], body["outcomes"]
        except (ValueError, TypeError, KeyError):
            return Response.of(400, {"message": 'Send {"to": "+1…", "outcomes": ["no-answer", "completed"]}.'})
        if not isinstance(to, str) or not E164.fullmatch(to):
            return Response.of(400, {"message": "to must be a number in E.164 form, such as +12025550123."})
        if not isinstance(outcomes, list) or not outcomes or not all(map(is_outcome, outcomes)):
            known = ", ".join((*OUTCOMES, "refused-<code>"))
            return Response.of(400, {"message": f"outcomes must be a list of some of: {known}."})
        self.calls.scripts.set(to, outcomes)
        return Response.of(200, {"to": to, "outcomes": outcomes})


def call_request_of(form: dict[str, list[str]]) -> CallRequest:
    """A form's request to place a call. Raises `TwilioError` for any mistake in it."""
    if unknown := form.keys() - CREATE_PARAMETERS:
        raise TwilioError(20001, 400, f"Unknown parameters: {', '.join(sorted(unknown))}")
    if repeated := [name for name, values in form.items() if len(values) > 1 and name != "StatusCallbackEvent"]:
        raise TwilioError(20001, 400, f"Given more than once: {', '.join(repeated)}")
    one = {name: values[0] for name, values in form.items()}
    for name, code in (("To", 21201), ("From", 21213)):
        if not one.get(name):
            raise TwilioError(code, 400, f"A '{name}' phone number is required.")
    if not E164.fullmatch(one["To"]):
        raise TwilioError(21211, 400, f"The 'To' number {one['To']} is not a valid phone number.")
    if not E164.fullmatch(one["From"]):
        raise TwilioError(21212, 400, f"The 'From' number {one['From']} is not a valid phone number.")
    if ("Url" in one) == ("Twiml" in one):
        raise TwilioError(21205, 400, "Exactly one of Url and Twiml is required")
    if "Twiml" in one:
        if "Method" in one:
            raise TwilioError(20001, 400, "Method without Url does nothing")
        _check_twiml(one["Twiml"])
    _check_url(one, "Url", 21205)
    _check_url(one, "StatusCallback", 21609)
    _check_url(one, "AsyncAmdStatusCallback", 21609)
    for name in ("Method", "StatusCallbackMethod", "AsyncAmdStatusCallbackMethod"):
        if one.get(name, "POST") != "POST":
            raise TwilioError(21206, 400, f"{name} {one[name]} is not emulated: only POST is")
    events = form.get("StatusCallbackEvent", ["completed"])
    if unknown_events := [event for event in events if event not in EVENTS]:
        raise TwilioError(21626, 400, f"Invalid StatusCallbackEvent: {', '.join(unknown_events)}")
    if "StatusCallbackEvent" in form and "StatusCallback" not in form:
        raise TwilioError(20001, 400, "StatusCallbackEvent without StatusCallback does nothing")
    detection = one.get("MachineDetection")
    if detection not in (None, "Enable", "DetectMessageEnd"):
        raise TwilioError(20001, 400, f"Invalid MachineDetection: {detection}")
    if one.get("AsyncAmd", "false") not in ("true", "false"):
        raise TwilioError(20001, 400, f"Invalid AsyncAmd: {one['AsyncAmd']}")
    asynchronous = one.get("AsyncAmd") == "true"
    if detection is None and (asynchronous or "MachineDetectionTimeout" in one):
        raise TwilioError(20001, 400, "Machine detection parameters without MachineDetection do nothing")
    if asynchronous != ("AsyncAmdStatusCallback" in one):
        raise TwilioError(20001, 400, "AsyncAmd and AsyncAmdStatusCallback go together")
    _whole(one, "MachineDetectionTimeout", 30, 3, 59)
    return CallRequest(
        to=one["To"],
        from_number=one["From"],
        url=one.get("Url"),
        twiml=one.get("Twiml"),
        status_callback=one.get("StatusCallback"),
        status_events=tuple(events),
        ring_timeout_seconds=_whole(one, "Timeout", 60, 1, MAX_RING_TIMEOUT_SECONDS),
        time_limit_seconds=_whole(one, "TimeLimit", DEFAULT_TIME_LIMIT_SECONDS, 1, MAX_TIME_LIMIT_SECONDS),
        machine_detection=detection,
        async_detection=asynchronous,
        detection_callback=one.get("AsyncAmdStatusCallback"),
    )


def _form(request: Request) -> dict[str, list[str]]:
    """The form of a request, each name with all its values. Raises `TwilioError` for another body."""
    content_type = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise TwilioError(20001, 415, f"Send application/x-www-form-urlencoded, not {content_type or 'nothing'}")
    if request.query:
        raise TwilioError(20001, 400, "Parameters belong in the form, not in the query string")
    form: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise TwilioError(20001, 400, f"Not a form: {error}") from error
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def _query(request: Request, known: frozenset[str]) -> dict[str, str]:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    if unknown := {name for name, _ in pairs} - known:
        raise TwilioError(20001, 400, f"Unknown parameters: {', '.join(sorted(unknown))}")
    return dict(pairs)


def _whole(asked: dict[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise TwilioError(20001, 400, f"{name} must be a whole number from {lowest} to {highest}, not {text}")
    return int(text)


def _check_url(one: dict[str, str], name: str, code: int) -> None:
    """Raises `TwilioError` unless it is an absolute URL with known connection overrides."""
    if name not in one:
        return
    url = one[name]
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or " " in url:
            raise ValueError("not an absolute http(s) URL")
        Overrides.of(url)
    except ValueError as error:
        raise TwilioError(code, 400, f"{name} is not a valid URL: {url} ({error})") from error


def _check_twiml(twiml: str) -> None:
    if len(twiml) > MAX_TWIML_CHARACTERS:
        raise TwilioError(32018, 400, f"Twiml is longer than {MAX_TWIML_CHARACTERS} characters")
    trouble = twiml_trouble(twiml)
    if trouble is not None:
        raise TwilioError(12100, 400, f"Twiml: {trouble}")


def _fits(call: Call, asked: dict[str, str], started: list["_Started"]) -> bool:
    """Whether a call passes the filters. A queued call has no start time, so it passes no filter by start time."""
    request = call.request
    fields = {"To": request.to, "From": request.from_number, "Status": call.status}
    if any(asked.get(name, value) != value for name, value in fields.items()):
        return False
    return all(call.dialled_at is not None and one.fits(call.dialled_at) for one in started)


@dataclass(frozen=True)
class _Started:
    """A filter by start time: to the second, or to the day if the query has a date."""

    compare: Callable[[datetime, datetime], bool]
    moment: datetime
    whole_day: bool

    @classmethod
    def of(cls, asked: dict[str, str]) -> "list[_Started]":
        """The filters of a query. Raises `TwilioError` unless each is a date or a time in UTC."""
        compare: dict[str, Callable[[datetime, datetime], bool]] = {"": operator.eq, "<": operator.le, ">": operator.ge}
        return [cls(compare[name[9:]], *_asked_time(text)) for name, text in asked.items() if name[:9] == "StartTime"]

    def fits(self, dialled_at: datetime) -> bool:
        started = dialled_at.replace(microsecond=0)
        return self.compare(started.replace(hour=0, minute=0, second=0) if self.whole_day else started, self.moment)


def _asked_time(text: str) -> tuple[datetime, bool]:
    """A date or a time in UTC to the second, and whether it is a whole day."""
    for whole_day, pattern in ((True, r"\d{4}-\d\d-\d\d"), (False, r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")):
        if re.fullmatch(pattern, text, re.ASCII):
            try:
                return datetime.fromisoformat(text).replace(tzinfo=UTC), whole_day
            except ValueError:
                break
    raise TwilioError(20001, 400, f"Not a date or a time in UTC: {text}")


def _call_answer(call: Call) -> dict[str, Any]:
    return {
        "sid": call.sid,
        "to": call.request.to,
        "from": call.request.from_number,
        "placed_at": timestamp(call.placed_at),
        "ended_at": timestamp(call.ended_at) if call.ended_at else None,
        "status": call.status,
    }


def _moment(instant: datetime | None) -> str | None:
    return rfc2822(instant) if instant else None


def _joined(form: dict[str, list[str]]) -> dict[str, str]:
    return {name: " ".join(values) for name, values in form.items()}


def _lower(parameters: dict[str, str]) -> dict[str, str]:
    """Parameters as Twilio lists them in a call's Events: with names in snake case."""
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in parameters.items()}


def _hex(seed: int, name: str) -> str:
    return hashlib.md5(f"{seed} {name}".encode()).hexdigest()  # noqa: S324  a name, not a secret
