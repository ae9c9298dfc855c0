"""The emulated platform behind the carrier `http`: a strict implementation of Redial's signed contract
(docs/carriers.md).

It refuses requests that a lenient platform would accept: a wrong or old signature, unknown or missing fields, a value
out of range, a repeated key with a different body. Callbacks are signed and sent by this file's own code.
"""

import hashlib
import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hmac import digest
from http.client import HTTPException
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.carriers.course import ENDED, MACHINES, Outcome, Scripts, Step, course, refusal
from local.clock import Timeline
from local.web.inbox import verify
from local.web.server import RESET, Request, Response, is_loopback, send

OLDEST_DIAL = timedelta(seconds=60)
"""The maximum age of a request to place a call. An older one is refused: Redial may have given the attempt up."""
PRICE = "0.012"
"""The price of an answered call, in dollars."""
CALLBACK_AGAIN_SECONDS = (1.0, 5.0, 30.0, 120.0)
LATE_CALLBACK_SECONDS = 180.0
DUPLICATE_AFTER_SECONDS = (1.5, 95.0)
SIP_CODES = {"busy": 486, "no-answer": 487, "canceled": 487, "failed": 503}
E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)

FIELDS: dict[str, Callable[[Any], bool]] = {
    "dial_key": lambda value: isinstance(value, str),
    "execution_id": lambda value: isinstance(value, str) and re.fullmatch(r"[0-9a-f-]{36}", value) is not None,
    "attempt": lambda value: type(value) is int and value >= 1,
    "to": lambda value: isinstance(value, str) and E164.fullmatch(value) is not None,
    "from": lambda value: isinstance(value, str) and E164.fullmatch(value) is not None,
    "answer_url": lambda value: value is None or isinstance(value, str),
    "stream_url": lambda value: value is None or isinstance(value, str),
    "variables": lambda value: isinstance(value, dict),
    "ring_timeout_seconds": lambda value: type(value) is int and 5 <= value <= 600,
    "max_call_seconds": lambda value: type(value) is int and 1 <= value <= 86_400,
    "voicemail_detection": lambda value: isinstance(value, bool),
    "reports": lambda value: value in ([], ["ringing"], ["in-progress"], ["ringing", "in-progress"]),
    "callback_url": lambda value: isinstance(value, str) and re.match(r"https?://", value) is not None,
}
"""Every field of a request to place a call, and the check of its value."""


@dataclass(eq=False)
class PlatformCall:
    """A placed call. `status`: as in the contract. Times are simulated, aware UTC."""

    call_id: str
    request: dict[str, Any]
    outcome: Outcome
    placed_at: datetime
    status: str = "initiated"
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    answered_by: str | None = None
    opts_out: bool = False

    def report(self) -> dict[str, Any]:
        """The call as the platform reports it, in callbacks and answers."""
        said: dict[str, Any] = {
            "dial_key": self.request["dial_key"],
            "call_id": self.call_id,
            "status": self.status,
        }
        if self.answered_by is not None:
            said["answered_by"] = self.answered_by
        if self.status in SIP_CODES:
            said["sip_code"] = SIP_CODES[self.status]
        if self.answered_at is not None and self.ended_at is not None:
            said |= {"opted_out": True} if self.opts_out else {}
            said["duration_seconds"] = round((self.ended_at - self.answered_at).total_seconds())
            said["price"] = {"amount": PRICE, "currency": "USD"}
        return said


Post = Callable[[str, bytes, dict[str, str]], Response | None]
"""Sends a callback to a URL, with a body and headers. Returns the answer, or None if there is none."""


@dataclass
class Platform:
    """One account at the platform, at the address `url`. `scripts`: the outcomes of requests to place calls. `seed`
    determines its secret and its call ids. `opting_out`: numbers whose answered calls end with an opt-out. `problems`:
    violations of the contract, and failed callbacks."""

    timeline: Timeline
    url: str
    scripts: Scripts
    seed: int
    signing_secret: str = ""
    calls: list[PlatformCall] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    opting_out: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.signing_secret = self.signing_secret or secret_of(f"{self.seed} platform")
        self.post: Post = self._post_over_http
        self._lock = threading.Lock()
        self._answers: dict[str, tuple[bytes, Response]] = {}

    # ---- requests ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response | None:
        path = f"{urlsplit(self.url).path}/calls"
        if (request.method, request.path) == ("POST", f"{path}/cancel"):
            return self._cancel(request)
        if request.path != path:
            return self._refuse(404, f"there is no {request.path} here")
        if request.method == "POST":
            return self._place(request)
        if request.method == "GET":
            return self._list(request)
        return self._refuse(405, f"{request.method} is not allowed here")

    def live(self) -> int:
        """The number of live calls."""
        return sum(call.ended_at is None for call in self.calls)

    def _place(self, request: Request) -> Response | None:
        key = request.header("webhook-id") or ""
        if not self._is_signed(request, request.body, OLDEST_DIAL):
            return self._refuse(401, "the signature is wrong, missing or too old")
        try:
            wanted = request.json()
        except ValueError:
            return self._refuse(400, "the body is not JSON")
        if request.header("content-type") != "application/json" or request.header("idempotency-key") != key:
            return self._refuse(400, "Content-Type must be application/json, Idempotency-Key the webhook-id")
        if wanted == {}:
            return Response.of(422, {"reason": "to is required", "permanent": True})
        if not isinstance(wanted, dict) or (wrong := faults(wanted)):
            return self._refuse(400, f"fields at fault: {wrong if isinstance(wanted, dict) else 'no object'}")
        if wanted["dial_key"] != key:
            return self._refuse(400, "webhook-id must be the dial_key")
        with self._lock:
            known = self._answers.get(key)
        if known is not None:
            return known[1] if known[0] == request.body else self._refuse(409, f"{key} came with another body before")
        outcome = self.scripts.next(wanted["to"])
        if outcome == "refused-429":
            return Response(429, b"{}", [("Retry-After", "7"), ("Content-Type", "application/json")])
        if outcome == "error-500":
            return Response.of(500, {"reason": "an internal error"})
        if outcome == "invalid-number" or refusal(outcome) is not None:
            answer = Response.of(422, {"reason": "the number does not exist", "permanent": True})
            if outcome == "refused-21610":
                answer = Response.of(422, {"reason": "the recipient has opted out", "opted_out": True})
        else:
            answer = Response.of(201, {"call_id": self._begin(wanted, outcome).call_id})
        with self._lock:
            self._answers[key] = (request.body, answer)
        return RESET if outcome == "timeout-after-placing" else answer

    def _cancel(self, request: Request) -> Response:
        if not self._is_signed(request, request.body, timedelta(minutes=5)):
            return self._refuse(401, "the signature is wrong, missing or too old")
        if request.header("content-type") != "application/json":
            return self._refuse(400, "Content-Type must be application/json")
        try:
            asked = request.json()
        except ValueError:
            return self._refuse(400, "the body is not JSON")
        if not isinstance(asked, dict) or asked.keys() != {"call_id"} or not isinstance(asked["call_id"], str):
            return self._refuse(400, "call_id is required, and nothing else")
        found = [call for call in self.calls if call.call_id == asked["call_id"]]
        for call in found:
            if call.answered_at is None and call.ended_at is None:
                call.status, call.ended_at = "canceled", self.timeline.now()
                if call.outcome != "no-callback":
                    self.timeline.after(0, partial(self._report, call, call.report()), "canceled")
        return Response.of(200, {"calls": [call.report() for call in found]})

    def _list(self, request: Request) -> Response:
        url = f"{self.url}/calls" + (f"?{request.query}" if request.query else "")
        if not self._is_signed(request, url.encode(), timedelta(minutes=5)):
            return self._refuse(401, "the signature is wrong, missing or too old")
        asked = parse_qsl(request.query, keep_blank_values=True)
        if len(asked) != 1 or asked[0][0] not in ("dial_key", "call_id"):
            return self._refuse(400, "ask with either dial_key or call_id")
        name, value = asked[0]
        found = [report for report in (call.report() for call in self.calls) if report[name] == value]
        return Response.of(200, {"calls": found})

    def _is_signed(self, request: Request, signed: bytes, oldest: timedelta) -> bool:
        headers = {name.lower(): value for name, value in request.headers}
        now = self.timeline.now()
        if not verify(headers, signed, (self.signing_secret,), now):
            return False
        return now.timestamp() - int(headers["webhook-timestamp"]) <= oldest.total_seconds()

    def _refuse(self, status: int, reason: str) -> Response:
        self.problems.append(reason)
        return Response.of(status, {"reason": reason})

    # ---- calls ------------------------------------------------------------------------------------------------------

    def _begin(self, wanted: dict[str, Any], outcome: Outcome) -> PlatformCall:
        now = self.timeline.now()
        with self._lock:
            # Visible characters that a URL must quote: a platform may choose any id.
            call_id = f"v3:{_hex(self.seed, len(self.calls))}/?#%&+='\""
            call = PlatformCall(call_id, wanted, outcome, now, opts_out=wanted["to"] in self.opting_out)
            self.calls.append(call)
        steps = course(
            outcome,
            ring_seconds=wanted["ring_timeout_seconds"],
            limit_seconds=wanted["max_call_seconds"],
            detects=wanted["voicemail_detection"],
        )
        for step in steps:
            self._after(step.seconds, call, step)
        return call

    def _after(self, seconds: float, call: PlatformCall, step: Step) -> None:
        what = step.status or "detection"
        self.timeline.after(seconds, lambda: self._take(call, step), f"platform call {call.call_id} {what}")

    def _take(self, call: PlatformCall, step: Step) -> None:
        """Carry out one step of a call, and report it."""
        now = self.timeline.now()
        if call.status == "canceled":
            return
        if step.status is None:
            call.answered_by = "machine" if call.outcome in MACHINES else "human"
        else:
            call.status = step.status
        if step.status == "in-progress":
            call.answered_at = now
        if step.status in ENDED:
            call.ended_at = now
        unasked = step.status in ("ringing", "in-progress") and step.status not in call.request["reports"]
        if call.outcome == "no-callback" or unasked:
            return
        report = call.report()
        if call.outcome == "late-callbacks":
            self.timeline.after(LATE_CALLBACK_SECONDS, lambda: self._report(call, report), "late")
            return
        if call.outcome == "duplicate-callbacks":
            for seconds in DUPLICATE_AFTER_SECONDS:
                self.timeline.after(seconds, lambda: self._report(call, report), "duplicate")
        self._report(call, report)

    def _report(self, call: PlatformCall, report: dict[str, Any], tries: int = 0) -> None:
        """Send a report, and repeat it until it is accepted."""
        answer = self._send(call.request["callback_url"], report)
        if answer is not None and 200 <= answer.status < 300:
            return
        self.problems.append(f"callback for {call.call_id}: {answer.status if answer else 'no answer'}")
        if tries < len(CALLBACK_AGAIN_SECONDS):
            again = CALLBACK_AGAIN_SECONDS[tries]
            self.timeline.after(again, lambda: self._report(call, report, tries + 1), "callback again")

    def _send(self, url: str, content: dict[str, Any]) -> Response | None:
        if not is_loopback(url):
            self.problems.append(f"nothing is sent to {url}, which is not on this machine")
            return None
        body = json.dumps(content).encode()
        return self.post(url, body, self.headers(body))

    def headers(self, body: bytes, at: datetime | None = None) -> dict[str, str]:
        """The headers of a message to Redial, signed with the time `at` (None: now)."""
        seconds = str(int((at or self.timeline.now()).timestamp()))
        webhook_id = "msg_" + hashlib.sha256(body + seconds.encode()).hexdigest()[:20]
        return {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": seconds,
            "webhook-signature": signature(self.signing_secret, webhook_id, seconds, body),
        }

    def _post_over_http(self, url: str, body: bytes, headers: dict[str, str]) -> Response | None:
        with self.timeline.lending():
            try:
                return send("POST", url, body, headers)
            except (OSError, HTTPException):
                return None


def faults(wanted: dict[str, Any]) -> list[str]:
    """The fields of a request to place a call that are missing, unknown or wrong."""
    wrong = [name for name in FIELDS if name not in wanted or not FIELDS[name](wanted[name])]
    wrong += sorted(wanted.keys() - FIELDS.keys())
    if wrong:
        return wrong
    key, execution_id, attempt = wanted["dial_key"], wanted["execution_id"], wanted["attempt"]
    if key != f"{execution_id}:{attempt}":
        wrong.append("dial_key")
    if not wanted["callback_url"].endswith(f"/callbacks/http/{execution_id}/{attempt}"):
        wrong.append("callback_url")
    if (wanted["answer_url"] is None) == (wanted["stream_url"] is None):
        wrong.append("answer_url")
    return wrong


def signature(secret: str, webhook_id: str, seconds: str, body: bytes) -> str:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    key = b64decode(secret.removeprefix("whsec_"))
    signed = f"{webhook_id}.{seconds}.".encode() + body
    return "v1," + b64encode(digest(key, signed, "sha256")).decode()


def secret_of(text: str) -> str:
    """A signing secret derived from a text."""
    return "whsec_" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _hex(seed: int, number: int) -> str:
    return hashlib.md5(f"{seed} platform call {number}".encode()).hexdigest()  # noqa: S324  a name, not a secret
