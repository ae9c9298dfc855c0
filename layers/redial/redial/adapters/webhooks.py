"""Webhook requests to customers' endpoints: signed, guarded against SSRF, sent once, with a timeout of ten seconds."""

import socket
import time
from collections.abc import Callable
from datetime import datetime

from redial.adapters.address_guard import AddressRefused, Resolve, check
from redial.adapters.http import Http, Lookups
from redial.ports import DeliveryAnswer
from redial.wire.http import NoAnswer, NotSent, retry_after_seconds
from redial.wire.webhook_signature import sign

TIMEOUT_SECONDS = 10.0
"""For look-up, connecting, sending and the response's head together. Set by the HTTP contract."""
CONNECT_TIMEOUT_SECONDS = 5.0


class HttpWebhooks:
    """Implements `ports.Webhooks` over HTTP. `allow_local` permits http and loopback, for local development.
    `machine_time`: the time to sign with at an instant of a simulated clock; by default that instant."""

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

    def post(self, url: str, body: bytes, webhook_id: str, secrets: tuple[str, ...], now: datetime) -> DeliveryAnswer:
        """See the port. Only the status counts: the response's body is not read, and a redirect is a failure."""
        started = time.monotonic()
        try:
            target = check(url, allow_local=self._allow_local, resolve=self._lookups.within(CONNECT_TIMEOUT_SECONDS))
            signature = sign(secrets, webhook_id, self._machine_time(now), body)
        except (AddressRefused, ValueError) as error:
            return DeliveryAnswer(None, f"{error}: not sent")
        remaining = TIMEOUT_SECONDS - (time.monotonic() - started)
        try:
            answer = self._http.send(
                "POST",
                target.url,
                headers={"content-type": "application/json", "user-agent": "Redial/1", **signature},
                body=body,
                connect_timeout_seconds=min(CONNECT_TIMEOUT_SECONDS, remaining),
                read_timeout_seconds=remaining,
                total_timeout_seconds=remaining,
                max_body_bytes=0,
                connect_to=target.addresses,
            )
        except (NotSent, NoAnswer) as error:
            return DeliveryAnswer(None, str(error))
        if 200 <= answer.status < 300:
            return DeliveryAnswer(answer.status)
        error_text = f"HTTP {answer.status}" + (", a redirect, is not followed" if 300 <= answer.status < 400 else "")
        return DeliveryAnswer(answer.status, error_text, retry_after_seconds(answer.headers, now))
