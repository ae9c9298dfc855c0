"""The calls of the emulated Twilio: their course in simulated time, and Twilio's callbacks and requests for TwiML.

https://www.twilio.com/docs/voice/api/call-resource#statuscallback. Requests are signed as in
https://www.twilio.com/docs/usage/security#validating-requests, independently of the code under test.
"""

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException
from typing import Literal
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit
from xml.etree import ElementTree

from local.carriers.course import DETECTION_SECONDS, ENDED, MACHINES, Outcome, Scripts, Status, Step, course
from local.clock import Event, Timeline
from local.web.server import Response, is_loopback

SIP_CODES = {"completed": "200", "busy": "486", "no-answer": "487", "canceled": "487", "failed": "503"}

RING_TIMEOUT_BUFFER_SECONDS = 5.0
"""Seconds that Twilio adds to the ring timeout of a request."""
BAD_INSTRUCTIONS_SECONDS = 1.0
DUPLICATE_AFTER_SECONDS = (1.5, 95.0)
LATE_AFTER_SECONDS = {"completed": 180.0, "ringing": 240.0, "answered": 300.0, "initiated": 360.0}
"""Seconds of delay for `late-callbacks`, by event: callbacks arrive minutes late and out of order."""
CALLBACK_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class CallRequest:
    """A valid request to place a call. URLs are as configured, including connection overrides (`#rc=3&rp=all`). `url`
    or `twiml` has the instructions for the answered call."""

    to: str
    from_number: str
    url: str | None = None
    twiml: str | None = None
    status_callback: str | None = None
    status_events: tuple[str, ...] = ("completed",)
    ring_timeout_seconds: int = 60
    time_limit_seconds: int = 14400
    machine_detection: str | None = None
    async_detection: bool = False
    detection_callback: str | None = None


@dataclass
class Notice:
    """An HTTP request about a call, and the status of its answer (None: no answer)."""

    at: datetime
    url: str
    parameters: dict[str, str]
    status: int | None = None
    error: str | None = None


@dataclass(eq=False)
class Call:
    """A placed call. Times are simulated, aware UTC. `starts_at`: when it leaves the account's queue. `stream_url`: the
    media stream to which its audio was connected."""

    sid: str
    request: CallRequest
    outcome: Outcome
    placed_at: datetime
    starts_at: datetime
    updated_at: datetime
    status: Status | Literal["queued"] = "queued"
    dialled_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    answered_by: str | None = None
    sip_code: str | None = None
    stream_url: str | None = None
    notices: list[Notice] = field(default_factory=list)
    sent: int = 0
    steps: list[Event] = field(default_factory=list)

    @property
    def duration_seconds(self) -> int:
        """Whole seconds of conversation."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return round((self.ended_at - self.answered_at).total_seconds())

    @property
    def queue_milliseconds(self) -> int:
        """Milliseconds that the call waits in the account's queue before it starts."""
        return (self.starts_at - self.placed_at) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Overrides:
    """Connection overrides in a callback URL's fragment.

    https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
    """

    retries: int = 1
    retried: frozenset[str] = frozenset({"ct"})
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 15.0

    @classmethod
    def of(cls, url: str) -> "Overrides":
        """The overrides of `url`. Raises `ValueError` for those that Twilio does not document."""
        asked = dict(parse_qsl(urldefrag(url).fragment, keep_blank_values=True))
        if unknown := asked.keys() - {"rc", "rp", "ct", "rt", "tt", "sni", "e"}:
            raise ValueError(f"unknown connection override {', '.join(sorted(unknown))}")
        retries = int(asked.get("rc", 1))
        policy = set(asked.get("rp", "ct").split(","))
        if not policy <= {"4xx", "5xx", "ct", "rt", "all"}:
            raise ValueError(f"unknown retry policy {asked['rp']}")
        connect, read = int(asked.get("ct", 5000)), int(asked.get("rt", 15000))
        if not (0 <= retries <= 5 and 100 <= connect <= 10000 and 100 <= read <= 15000):
            raise ValueError("a connection override is out of its range")
        retried = frozenset({"4xx", "5xx", "ct", "rt"} if "all" in policy else policy)
        return cls(retries, retried, connect / 1000, read / 1000)


Post = Callable[[str, bytes, dict[str, str], Overrides], Response | Literal["ct", "rt"]]
"""Sends a callback to a URL with a body, headers and overrides; "ct", "rt": connecting or reading took too long."""


class Calls:
    """The calls of one account, their scripts and callbacks. `seed` determines sids and outcomes without a script.

    `calls_per_second`: how many calls the account starts a second; the others wait in its queue. None: no limit.
    https://www.twilio.com/docs/voice/api/call-resource
    """

    def __init__(self, timeline: Timeline, account_sid: str, auth_token: str, seed: int) -> None:
        self.scripts = Scripts(seed)
        self.problems: list[str] = []
        self.post: Post = self._post_over_http
        self._timeline = timeline
        self._account_sid = account_sid
        self.auth_token = auth_token
        self._seed = seed
        self._lock = threading.Lock()
        self._calls: dict[str, Call] = {}
        self._live = self._max_live = 0
        self.calls_per_second: float | None = None
        self._next_start: datetime | None = None

    def all(self) -> list[Call]:
        """Every placed call, oldest first."""
        with self._lock:
            return list(self._calls.values())

    def newest(self) -> Call | None:
        """The call placed last."""
        with self._lock:
            return next(reversed(self._calls.values()), None)

    def get(self, sid: str) -> Call | None:
        return self._calls.get(sid)

    def live(self) -> tuple[int, int]:
        """The number of live calls now, and the highest ever."""
        with self._lock:
            return self._live, self._max_live

    def place(self, request: CallRequest, outcome: Outcome, asked: Notice) -> Call:
        """Place a call, whose course then runs on the timeline. `asked`: the HTTP request that placed it."""
        now = self._timeline.now()
        with self._lock:
            sid = "CA" + hashlib.md5(f"{self._seed} call {len(self._calls)}".encode()).hexdigest()  # noqa: S324  a name
            call = self._calls[sid] = Call(sid, request, outcome, now, self._start(now), now, notices=[asked])
            self._live += 1
            self._max_live = max(self._max_live, self._live)
        ring_seconds = request.ring_timeout_seconds + RING_TIMEOUT_BUFFER_SECONDS
        detects = request.machine_detection is not None and request.async_detection
        limit_seconds = request.time_limit_seconds
        for step in course(outcome, ring_seconds=ring_seconds, limit_seconds=limit_seconds, detects=detects):
            self._after(call, step)
        return call

    def _start(self, now: datetime) -> datetime:
        """The start time of the next call. Needs the lock."""
        if self.calls_per_second is None:
            return now
        start = now if self._next_start is None else max(now, self._next_start)
        self._next_start = start + timedelta(seconds=1 / self.calls_per_second)
        return start

    def hang_up(self, call: Call, status: Literal["canceled", "completed"]) -> bool:
        """End a call on request, at once; its callback follows. Returns False if its status does not allow this."""
        ending: Status = "completed" if call.answered_at is not None else "canceled"
        with self._lock:
            if call.ended_at is not None or (status == "canceled" and call.answered_at is not None):
                return False
            self._end(call, ending)
        for step in call.steps:
            step.cancel()
        self._timeline.after(0, lambda: self._report(call, "completed", ending), f"call {call.sid} {ending}")
        return True

    def _end(self, call: Call, ending: Status) -> None:
        """Record the end of a call. Needs the lock."""
        call.status, call.sip_code = ending, SIP_CODES[ending]
        call.ended_at = call.updated_at = self._timeline.now()
        self._live -= 1

    def _after(self, call: Call, step: Step) -> None:
        seconds = step.seconds - (self._timeline.now() - call.starts_at).total_seconds()
        name = f"call {call.sid} {step.status or 'machine detection'}"
        event = self._timeline.after(seconds, lambda: self._take(call, step), name)
        call.steps.append(event)

    def _take(self, call: Call, step: Step) -> None:
        """Carry out one step of a call, with its callbacks."""
        now = call.updated_at = self._timeline.now()
        if step.status is None:
            call.answered_by = _detected(call.request, call.outcome)
            self._report_detection(call)
            return
        with self._lock:
            if call.ended_at is not None:
                return
            if step.status in ENDED:
                self._end(call, step.status)
            elif step.status == "initiated":
                call.dialled_at = now
            else:
                call.status = step.status
                call.answered_at = now if step.status == "in-progress" else None
        if step.status in ("initiated", "ringing"):
            return self._report(call, step.status, step.status)
        if step.status == "in-progress":
            if call.request.machine_detection and not call.request.async_detection:
                call.answered_by = _detected(call.request, call.outcome)
            if not self._instructed(call):
                for later in call.steps:
                    later.cancel()
                self._after(call, Step((now - call.starts_at).total_seconds() + BAD_INSTRUCTIONS_SECONDS, "completed"))
            return self._report(call, "answered", "in-progress")
        self._report(call, "completed", step.status)

    def _report(self, call: Call, event: str, status: str) -> None:
        """Send the status callback for `event`, if the call subscribes to it, in the way that its outcome requires."""
        url = call.request.status_callback
        if url is None or event not in call.request.status_events:
            return
        parameters = self._parameters(call, status) | {
            "Timestamp": rfc2822(self._timeline.now()),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sent),
        }
        if call.answered_by is not None:
            parameters["AnsweredBy"] = call.answered_by
        if status in ENDED:
            seconds = call.duration_seconds
            parameters["CallDuration"] = str(seconds)
            parameters["Duration"] = str(-(-seconds // 60))
            parameters["SipResponseCode"] = call.sip_code or ""
        call.sent += 1
        token = f"{call.sid}-{parameters['SequenceNumber']}"
        if call.outcome == "late-callbacks":
            self._timeline.after(LATE_AFTER_SECONDS[event], lambda: self._notify(call, url, parameters, token), "late")
            return
        if call.outcome == "duplicate-callbacks":
            for seconds_later in DUPLICATE_AFTER_SECONDS:
                self._timeline.after(seconds_later, lambda: self._notify(call, url, parameters, token), "duplicate")
        self._notify(call, url, parameters, token)

    def _report_detection(self, call: Call) -> None:
        """https://www.twilio.com/docs/voice/answering-machine-detection"""
        url = call.request.detection_callback
        if url is None:
            return
        parameters = {
            "CallSid": call.sid,
            "AccountSid": self._account_sid,
            "AnsweredBy": call.answered_by or "unknown",
            "MachineDetectionDuration": str(int(DETECTION_SECONDS * 1000)),
        }
        self._notify(call, url, parameters, f"{call.sid}-amd")

    def _instructed(self, call: Call) -> bool:
        """Execute the call's TwiML, possibly fetched from a URL on this machine. Returns whether the call can
        continue."""
        if call.request.twiml is not None:
            call.stream_url = stream_of(call.request.twiml)
            return True
        url = call.request.url
        if url is None or not is_loopback(url):
            return True
        parameters = self._parameters(call, "in-progress")
        if call.answered_by is not None:
            parameters["AnsweredBy"] = call.answered_by
        notice, body, content_type = self._post(call, url, parameters, f"{call.sid}-instructions", Overrides())
        trouble = (
            f"answered {notice.status or notice.error}" if notice.status != 200 else _twiml_trouble(body, content_type)
        )
        if trouble is not None:
            self.problems.append(f"instructions for {call.sid} at {url}: {trouble}")
            return False
        call.stream_url = stream_of(body)
        return True

    def _notify(self, call: Call, url: str, parameters: dict[str, str], token: str, tries: int = 1) -> None:
        """Post a callback, and retry it according to its URL's connection overrides."""
        overrides = Overrides.of(url)
        if call.outcome == "no-callback":
            call.notices.append(Notice(self._timeline.now(), urldefrag(url).url, parameters, error="lost"))
            return
        if not is_loopback(url):
            self.problems.append(f"callback for {call.sid} not sent: {url} is not on this machine")
            return
        notice, _, _ = self._post(call, url, parameters, token, overrides)
        if notice.status is not None and 200 <= notice.status < 300:
            return
        self.problems.append(f"callback for {call.sid} at {urldefrag(url).url}: {notice.status or notice.error}")
        kind = f"{notice.status // 100}xx" if notice.status is not None else notice.error
        if kind in overrides.retried and tries <= overrides.retries:
            again = CALLBACK_RETRY_SECONDS * tries
            self._timeline.after(again, lambda: self._notify(call, url, parameters, token, tries + 1), "callback retry")

    def _post(
        self, call: Call, url: str, parameters: dict[str, str], token: str, overrides: Overrides
    ) -> tuple[Notice, bytes, str]:
        """Send a signed POST. Returns its notice, and the answer's body and content type."""
        configured = urldefrag(url).url
        notice = Notice(self._timeline.now(), configured, parameters)
        call.notices.append(notice)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "Accept": "*/*",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": signature(self.auth_token, configured, parameters),
            "I-Twilio-Idempotency-Token": token,
        }
        answer = self.post(configured, urlencode(parameters).encode(), headers, overrides)
        if isinstance(answer, str):
            notice.error = answer
            return notice, b"", ""
        notice.status = answer.status
        types = [value for name, value in answer.headers if name.lower() == "content-type"]
        return notice, answer.body, ",".join(types)

    def _post_over_http(
        self, url: str, body: bytes, headers: dict[str, str], overrides: Overrides
    ) -> Response | Literal["ct", "rt"]:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=overrides.connect_timeout_seconds)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with self._timeline.lending():
            try:
                connection.connect()
                connection.sock.settimeout(overrides.read_timeout_seconds)
            except OSError:
                connection.close()
                return "ct"
            try:
                connection.request("POST", target, body, headers)
                answer = connection.getresponse()
                return Response(answer.status, answer.read(), answer.getheaders())
            except (OSError, HTTPException):
                return "rt"
            finally:
                connection.close()

    def _parameters(self, call: Call, status: str) -> dict[str, str]:
        """The parameters of every request about a call. Twilio sends unknown ones empty."""
        return {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": call.sid,
            "CallStatus": status,
            "Called": call.request.to,
            "CalledCity": "",
            "CalledCountry": "US",
            "Caller": call.request.from_number,
            "CallerCity": "",
            "CallerCountry": "US",
            "Direction": "outbound-api",
            "From": call.request.from_number,
            "FromZip": "",
            "To": call.request.to,
            "ToZip": "",
        }


def _detected(request: CallRequest, outcome: Outcome) -> str:
    """The result of Twilio's answering machine detection."""
    if outcome not in MACHINES:
        return "human"
    return "machine_start" if request.machine_detection == "Enable" else "machine_end_beep"


def signature(auth_token: str, url: str, parameters: dict[str, str]) -> str:
    """X-Twilio-Signature: base64 of HMAC-SHA1 over the URL and every parameter's name and value, sorted by name."""
    text = url + "".join(name + parameters[name] for name in sorted(parameters))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), hashlib.sha1)).decode()


def rfc2822(instant: datetime) -> str:
    """An instant in Twilio's format, to the second."""
    return instant.strftime("%a, %d %b %Y %H:%M:%S +0000")


def _twiml_trouble(body: bytes, content_type: str) -> str | None:
    """The fault of fetched TwiML, or None."""
    if content_type.partition(";")[0].strip() not in ("text/xml", "application/xml"):
        return f"content type {content_type or 'missing'} is not XML"
    return twiml_trouble(body)


def twiml_trouble(twiml: str | bytes) -> str | None:
    """The fault of TwiML, or None. A stream's URL must have no query (errors 31920 and 31922).

    https://www.twilio.com/docs/voice/twiml/stream
    """
    try:
        root = ElementTree.fromstring(twiml)
    except ElementTree.ParseError as error:
        return f"not well-formed XML: {error}"
    if root.tag != "Response":
        return f"the root element is {root.tag}, not Response"
    for stream in root.iter("Stream"):
        parts = urlsplit(stream.get("url", ""))
        if parts.scheme not in ("wss", "ws") or not parts.hostname or parts.query or parts.fragment:
            return f"a stream's url must be wss (here ws will do), without a query: {stream.get('url')}"
    return None


def stream_of(twiml: str | bytes) -> str | None:
    """The URL of the media stream to which this TwiML connects a call, or None."""
    stream = ElementTree.fromstring(twiml).find("Connect/Stream")
    return None if stream is None else stream.get("url")
