"""Placing, canceling and looking up calls at a platform that speaks the signed HTTP contract.

The HTTP client is passed in, not imported.
"""

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from redial.carriers.credentials import Credentials, CredentialsUnavailable, Secrets
from redial.carriers.http import LIMITS
from redial.carriers.http.codes import placed, report
from redial.carriers.http.credentials import HttpCredentials, credentials_of
from redial.carriers.sending import (
    ASK_TIMEOUT_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    PLACE_TIMEOUT_SECONDS,
    rate_of,
    send_dial,
)
from redial.domain.outcome import CallReport, DialResult, NotPlaced, Unknown
from redial.domain.status import UNANSWERED
from redial.ports import CallRequest, CarrierBusy, CarrierUnavailable, NotYetKnown
from redial.wire.http import HttpResponse, NoAnswer, NotSent, json_object
from redial.wire.webhook_signature import sign

if TYPE_CHECKING:
    from redial.adapters.http import Http


def carrier(http: "Http", secrets: Secrets, now: Callable[[], datetime]) -> "HttpCarrier":
    return HttpCarrier(http, credentials_of(secrets), now)


class HttpCarrier:
    """`ports.Carrier` of the signed HTTP contract. Every request is sent once."""

    limits = LIMITS

    def __init__(self, http: "Http", credentials: Credentials[HttpCredentials], now: Callable[[], datetime]) -> None:
        self._http = http
        self._credentials = credentials
        self._now = now

    def calls_per_second(self) -> float | None:
        return rate_of(self._credentials)

    def place(self, request: CallRequest) -> DialResult:
        """POST <api_url>/calls, once. A repeated request has the same body, and the platform places one call."""
        return self._post(
            request.dial_key,
            {
                "dial_key": request.dial_key,
                "execution_id": request.execution_id,
                "attempt": request.attempt,
                "to": request.to_number,
                "from": request.from_number,
                "answer_url": request.answer_url,
                "stream_url": request.stream_url,
                "variables": request.variables,
                "ring_timeout_seconds": request.ring_timeout_seconds,
                "max_call_seconds": request.max_call_seconds,
                "voicemail_detection": request.voicemail_detection,
                "callback_url": request.callback_url,
                "reports": [
                    *(["ringing"] if request.reports_ringing else []),
                    *(["in-progress"] if request.reports_answer else []),
                ],
            },
        )

    def check(self) -> str | None:
        """POST <api_url>/calls with an empty object. It has no number, so the platform must refuse it with 422."""
        match self._post("check", {}):
            case NotPlaced(reason) | Unknown(reason):
                return reason
        return None

    def unknown_caller_ids(self, numbers: Collection[str]) -> None:
        """None: the contract has no such request."""

    def closed_countries(self, countries: Collection[str]) -> None:
        """None: the contract has no such request."""

    def cancel(self, call_id: str) -> CallReport:
        """POST <api_url>/calls/cancel. The response is that of a lookup of the call afterwards."""
        body = json.dumps({"call_id": call_id}, separators=(",", ":")).encode()

        def send(credentials: HttpCredentials) -> HttpResponse:
            headers = {
                "content-type": "application/json",
                **sign((credentials.signing_secret,), "cancel", self._now(), body),
            }
            return self._send("POST", f"{_calls(credentials)}/cancel", headers, body, ASK_TIMEOUT_SECONDS)

        report = self._one_call(send, "call_id", call_id)
        if report is None or report.status in UNANSWERED:
            raise NotYetKnown("the platform has not ended the call" if report else "the platform knows no such call")
        return report

    def ask(self, call_id: str) -> CallReport | None:
        return self._look_up("call_id", call_id)

    def find(
        self,
        request: CallRequest,
        since: datetime,
        known_call_ids: frozenset[str],
        seconds_left: Callable[[], float],
    ) -> CallReport | None:
        """See the port. The platform identifies calls by dial key, so no call is mistaken for another attempt's."""
        if seconds_left() < ASK_TIMEOUT_SECONDS:
            raise NotYetKnown("there was no time to ask the platform")
        return self._look_up("dial_key", request.dial_key)

    def _post(self, webhook_id: str, fields: dict[str, Any]) -> DialResult:
        body = json.dumps(fields, separators=(",", ":")).encode()

        def send(credentials: HttpCredentials) -> HttpResponse:
            headers = {
                "content-type": "application/json",
                "idempotency-key": webhook_id,
                **sign((credentials.signing_secret,), webhook_id, self._now(), body),
            }
            return self._send("POST", _calls(credentials), headers, body, PLACE_TIMEOUT_SECONDS)

        sent = send_dial(self._credentials, send, "the platform")
        if isinstance(sent, NotPlaced | Unknown):
            return sent
        credentials, answer = sent
        if answer.status == 401 and self._credentials.refresh(credentials):
            return NotPlaced("the http carrier's secret has changed")
        return placed(answer)

    def _look_up(self, name: str, value: str) -> CallReport | None:
        """The call with that dial key or id. None only for an empty list, because a wrong route also returns 404.

        A GET has no body, so its signature covers its URL. Raises `CarrierUnavailable`.
        """

        def send(credentials: HttpCredentials) -> HttpResponse:
            url = f"{_calls(credentials)}?{urlencode({name: value})}"
            headers = sign((credentials.signing_secret,), "lookup", self._now(), url.encode())
            return self._send("GET", url, headers, b"", ASK_TIMEOUT_SECONDS)

        return self._one_call(send, name, value)

    def _one_call(self, send: Callable[[HttpCredentials], HttpResponse], name: str, value: str) -> CallReport | None:
        """The only call in the list, which must be the requested one; None for an empty list. Raises
        `CarrierUnavailable`."""
        try:
            credentials = self._credentials.get()
            answer = send(credentials)
        except CredentialsUnavailable as error:
            raise CarrierUnavailable(str(error)) from error
        except (NotSent, NoAnswer) as error:
            raise CarrierUnavailable(f"the platform could not be asked: {error}") from error
        if answer.status == 401:
            self._credentials.refresh(credentials)
        if answer.status == 429:
            raise CarrierBusy("the platform takes no more requests now")
        calls = json_object(answer.body).get("calls")
        if answer.status != 200 or not isinstance(calls, list):
            raise CarrierUnavailable(f"the platform answered {answer.status}, without a list of calls")
        if not calls:
            return None
        if len(calls) > 1 or not isinstance(calls[0], dict) or calls[0].get(name) != value:
            raise NotYetKnown(f"the platform listed other calls than the one with that {name}")
        try:
            return report(calls[0])
        except ValueError as error:
            raise NotYetKnown(f"the platform's record of the call is unreadable: {error}") from error

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes, seconds: float) -> HttpResponse:
        return self._http.send(
            method,
            url,
            headers={"accept": "application/json", **headers},
            body=body,
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=seconds,
            total_timeout_seconds=seconds,
        )


def _calls(credentials: HttpCredentials) -> str:
    return f"{credentials.api_url.rstrip('/')}/calls"
