"""The webhook inbox: takes every event that is posted to it, and checks who signed it.

    POST /<any name>              receives; answers 200, or what `fail` asked for
    GET  /_inbox/<name>           every try, oldest first
    POST /_inbox/<name>/fail      {"times": n, "status": 500}: the next n tries fail; optional "retry_after" in seconds

Signatures are checked as https://www.standardwebhooks.com says, by code of this file's own.
"""

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.clock import Timeline
from local.web.api import timestamp
from local.web.server import Request, Response

TOLERANCE_SECONDS = 5 * 60
"""How far a webhook's timestamp may lie from the inbox's clock, either way."""


@dataclass(frozen=True)
class Delivery:
    """One try to deliver an event. `verified`: signed by a live secret, and fresh. `answered`: with what status."""

    name: str
    received_at: datetime
    headers: dict[str, str]
    raw: bytes
    verified: bool
    answered: int

    @property
    def body(self) -> Any:
        """The body, read as JSON; as text where it is none."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return self.raw.decode(errors="replace")


@dataclass
class _Failing:
    times: int
    status: int
    retry_after: int | None


class Inbox:
    """`secrets` gives the live webhook secrets; `tell` hears of every try."""

    def __init__(
        self,
        timeline: Timeline,
        secrets: Callable[[], Sequence[str]],
        tell: Callable[[Delivery], None] = lambda delivery: None,
    ) -> None:
        self._timeline = timeline
        self._secrets = secrets
        self._tell = tell
        self._lock = threading.Lock()
        self._received: dict[str, list[Delivery]] = {}
        self._failing: dict[str, _Failing] = {}

    def received(self, name: str) -> list[Delivery]:
        """Every try at that name, oldest first."""
        with self._lock:
            return list(self._received.get(name, []))

    def fail(self, name: str, times: int, status: int, retry_after: int | None = None) -> None:
        """Let the next `times` tries at that name be answered with `status`, and a Retry-After of so many seconds."""
        with self._lock:
            self._failing[name] = _Failing(times, status, retry_after)

    def respond(self, request: Request) -> Response:
        if request.path.startswith("/_inbox/"):
            return self._own(request, request.path.removeprefix("/_inbox/"))
        name = request.path.strip("/")
        if request.method != "POST" or not name:
            return Response.of(404, {"message": "POST to /<any name>; GET /_inbox/<name> lists what came."})
        now = self._timeline.now()
        headers = {key.lower(): value for key, value in request.headers}
        verified = verify(headers, request.body, self._secrets(), now)
        with self._lock:
            failing = self._failing.get(name)
            if failing is not None and failing.times > 0:
                failing.times -= 1
                status, retry_after = failing.status, failing.retry_after
            else:
                status, retry_after = 200, None
            delivery = Delivery(name, now, headers, request.body, verified, status)
            self._received.setdefault(name, []).append(delivery)
        self._tell(delivery)
        wait = [("retry-after", str(retry_after))] if retry_after is not None else []
        answer = Response.of(status, {"received": status < 300})
        return Response(answer.status, answer.body, [*answer.headers, *wait])

    def _own(self, request: Request, rest: str) -> Response:
        if request.method == "GET":
            deliveries = self.received(rest)
            return Response.of(200, [_delivery_answer(delivery) for delivery in deliveries])
        if request.method == "POST" and rest.endswith("/fail"):
            try:
                asked = request.json()
                times, status, retry_after = (
                    int(asked["times"]),
                    int(asked.get("status", 500)),
                    asked.get("retry_after"),
                )
                if times < 0 or not 200 <= status <= 599 or not isinstance(retry_after, int | None):
                    raise ValueError("out of range")
            except (ValueError, TypeError, KeyError, AttributeError):
                return Response.of(400, {"message": 'Send {"times": n, "status": 200 to 599}.'})
            self.fail(rest.removesuffix("/fail"), times, status, retry_after)
            return Response.of(200, {"times": times, "status": status})
        return Response.of(404, {"message": f"There is no {request.method} {request.path} here."})


def verify(headers: dict[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Whether one of `secrets` signed this, at most `TOLERANCE_SECONDS` from `now`."""
    webhook_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or not sent_at.isascii() or not sent_at.isdigit():
        return False
    if abs(now.timestamp() - int(sent_at)) > TOLERANCE_SECONDS:
        return False
    given = []
    for part in headers.get("webhook-signature", "").split():
        version, _, signature = part.partition(",")
        if version == "v1":
            given.append(signature.encode())
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            continue
        digest = hmac.new(key, f"{webhook_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
        if any(hmac.compare_digest(base64.b64encode(digest), signature) for signature in given):
            return True
    return False


def _delivery_answer(delivery: Delivery) -> dict[str, Any]:
    return {
        "received_at": timestamp(delivery.received_at),
        "headers": delivery.headers,
        "body": delivery.body,
        "verified": delivery.verified,
        "answered": delivery.answered,
    }
