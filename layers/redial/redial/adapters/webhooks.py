"""Requests to customers' endpoints, both webhooks and questions: signed, guarded against SSRF, sent once, with a
timeout."""

import socket
import time
from collections.abc import Callable
from datetime import datetime

from redial.adapters.address_guard import AddressRefused, Resolve, check
from redial.adapters.http import Http, Lookups
from redial.ports import WEBHOOK_SECONDS, DeliveryAnswer
from redial.wire.http import NoAnswer, NotSent, retry_after_seconds
from redial.wire.webhook_signature import sign

CONNECT_TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 4096
"""Maximum size of the answer to a question. A longer one is truncated, and then is not valid JSON."""


class HttpWebhooks:
    """Implements `ports.Webhooks` over HTTP. `allow_local` permits http and loopback, for local development.
    `machine_time`: maps a simulated clock's time to the time to sign with; by default the same."""

    def __init__(
        self,
        http: Http,
        *,
        allow_local: bool,
        resolve: Resolve = socket.getaddrinfo,
        machine_time: Callable[[datetime], datetime] = lambda instant: instant,
    ) -> None:
        self._http = http
        self._allow_local = allow_local
        self._lookups = Lookups(resolve)
        self._machine_time = machine_time

    def post(
        self,
        url: str,
        body: bytes,
        webhook_id: str,
        secrets: tuple[str, ...],
        now: datetime,
        *,
        seconds: float = WEBHOOK_SECONDS,
        asks: bool = False,
    ) -> DeliveryAnswer:
        """See the port."""
        started = time.monotonic()
        connect_seconds = min(CONNECT_TIMEOUT_SECONDS, seconds)
        try:
            target = check(url, allow_local=self._allow_local, resolve=self._lookups.within(connect_seconds))
            signature = sign(secrets, webhook_id, self._machine_time(now), body)
        except (AddressRefused, ValueError) as error:
            return DeliveryAnswer(None, f"{error}: not sent")
        remaining = seconds - (time.monotonic() - started)
        try:
            answer = self._http.send(
                "POST",
                target.url,
                headers={"content-type": "application/json", "user-agent": "Redial/1", **signature},
                body=body,
                connect_timeout_seconds=min(CONNECT_TIMEOUT_SECONDS, remaining),
                read_timeout_seconds=remaining,
                total_timeout_seconds=remaining,
                max_body_bytes=MAX_ANSWER_BYTES if asks else 0,
                connect_to=target.addresses,
            )
        except (NotSent, NoAnswer) as error:
            return DeliveryAnswer(None, str(error))
        if 200 <= answer.status < 300:
            return DeliveryAnswer(answer.status, body=answer.body)
        error_text = f"HTTP {answer.status}" + (", a redirect, is not followed" if 300 <= answer.status < 400 else "")
        return DeliveryAnswer(answer.status, error_text, retry_after_seconds(answer.headers, now))
