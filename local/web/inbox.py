"""The webhook inbox: records the requests that are posted to it, and verifies their signatures.

    POST /<any name>              a webhook; answered with 200, or as set by `fail`
    GET  /_inbox/<name>           every request, oldest first
    POST /_inbox/<name>/fail      {"times": n, "status": 500}: the next n requests fail; "retry_after": seconds
    POST /_inbox/<name>/answer    [{"body": {…}, "status": 200, "after_seconds": 0}, …]: the answers of the next
                                  requests; the last repeats. A text as "body" is sent unchanged

With such answers an inbox acts as a pre-dial hook, a scrub, or a webhook receiver that suppresses a number. It is
strict then: a request without a valid signature is answered with 401.

Signatures follow https://www.standardwebhooks.com and are verified independently of the code under test.
Their timestamps are compared with the machine's clock, as receivers do, not with the simulated clock.
"""

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from local.clock import Timeline
from local.web.api import timestamp
from local.web.server import Request, Response

TOLERANCE_SECONDS = 5 * 60
"""The largest difference between a webhook's timestamp and the machine's clock."""


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver an event. `verified`: recently signed with a valid secret. `answered`: HTTP status."""

    name: str
    received_at: datetime
    headers: dict[str, str]
    raw: bytes
    verified: bool
    answered: int

    @property
    def body(self) -> Any:
        """The body, parsed as JSON if possible, else as text."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return self.raw.decode(errors="replace")


@dataclass
class _Failing:
    times: int
    status: int
    retry_after: int | None


@dataclass(frozen=True)
class Scripted:
    """An answer of an inbox. `body`: JSON, or a text that is sent unchanged."""

    body: Any
    status: int = 200
    after_seconds: float = 0.0


class Inbox:
    """`secrets` returns the valid webhook secrets. `tell` is called for every delivery. If it fails, the server answers
    500, which is recorded."""

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
        self._answers: dict[str, list[Scripted]] = {}

    def received(self, name: str) -> list[Delivery]:
        """The deliveries to a name, oldest first."""
        with self._lock:
            return list(self._received.get(name, []))

    def fail(self, name: str, times: int, status: int, retry_after: int | None = None) -> None:
        """Answer the next `times` deliveries to a name with `status`, and with `retry_after` seconds as Retry-After."""
        with self._lock:
            self._failing[name] = _Failing(times, status, retry_after)

    def answer(self, name: str, *answers: Scripted) -> None:
        """Set the answers to the next requests to a name; the last one repeats. Without answers, the name is reset."""
        with self._lock:
            self._answers[name] = list(answers)

    def _scripted(self, name: str) -> Scripted | None:
        answers = self._answers.get(name, [])
        return answers.pop(0) if len(answers) > 1 else answers[0] if answers else None

    def respond(self, request: Request) -> Response:
        if request.path.startswith("/_inbox/"):
            return self._control(request, request.path.removeprefix("/_inbox/"))
        name = request.path.strip("/")
        if request.method != "POST" or not name:
            return Response.of(404, {"message": "POST to /<any name>; GET /_inbox/<name> lists the requests."})
        now = self._timeline.now()
        headers = {key.lower(): value for key, value in request.headers}
        verified = verify(headers, request.body, self._secrets(), datetime.now(UTC))
        with self._lock:
            failing, scripted = self._failing.get(name), None
            if failing is not None and failing.times > 0:
                failing.times -= 1
                status, retry_after = failing.status, failing.retry_after
            else:
                scripted = self._scripted(name)
                status, retry_after = 200 if scripted is None else scripted.status if verified else 401, None
        delivery = Delivery(name, now, headers, request.body, verified, status)
        try:
            self._tell(delivery)
        except Exception:
            self._record(replace(delivery, answered=500))
            raise
        self._record(delivery)
        wait = [("retry-after", str(retry_after))] if retry_after is not None else []
        if scripted is not None and verified:
            time.sleep(scripted.after_seconds)
            body = scripted.body if isinstance(scripted.body, str) else json.dumps(scripted.body)
            return Response(status, body.encode(), [("content-type", "application/json")])
        answer = Response.of(status, {"received": status < 300})
        return Response(answer.status, answer.body, [*answer.headers, *wait])

    def _record(self, delivery: Delivery) -> None:
        with self._lock:
            self._received.setdefault(delivery.name, []).append(delivery)

    def _control(self, request: Request, rest: str) -> Response:
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
        if request.method == "POST" and rest.endswith("/answer"):
            try:
                answers = [Scripted(**one) for one in request.json()]
                if not all(200 <= one.status <= 599 and 0 <= one.after_seconds <= 60 for one in answers):
                    raise ValueError("out of range")
            except (ValueError, TypeError):
                return Response.of(400, {"message": 'Send [{"body": {…}, "status": 200, "after_seconds": 0}, …].'})
            self.answer(rest.removesuffix("/answer"), *answers)
            return Response.of(200, {"answers": len(answers)})
        return Response.of(404, {"message": f"There is no {request.method} {request.path} here."})


def verify(headers: dict[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Whether a webhook is signed with one of `secrets`, at most `TOLERANCE_SECONDS` from `now`."""
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
