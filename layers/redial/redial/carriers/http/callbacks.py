"""The platform's callbacks: POST <callback URL>, a report on the call.

Bodies are JSON objects with the attempt's `dial_key`, signed as in Standard Webhooks.
"""

from datetime import datetime

from redial.carriers.credentials import Credentials, Secrets, accepted_by
from redial.carriers.http.codes import report
from redial.carriers.http.credentials import HttpCredentials, credentials_of
from redial.domain.outcome import CallReport
from redial.ports import Callback, ForgedCallback, UnreadableCallback
from redial.wire.http import json_object
from redial.wire.webhook_signature import is_signed


def reader(secrets: Secrets) -> "HttpCallbacks":
    return HttpCallbacks(credentials_of(secrets))


class HttpCallbacks:
    """`ports.CallbackReader` of the signed HTTP contract."""

    def __init__(self, credentials: Credentials[HttpCredentials]) -> None:
        self._credentials = credentials

    def verify(self, callback: Callback, now: datetime) -> None:
        def signed(known: HttpCredentials) -> bool:
            return is_signed(known.signing_secret, callback.headers, callback.body, now)

        if not accepted_by(self._credentials, signed):
            raise ForgedCallback("the signature is wrong, missing or too old")

    def read(self, callback: Callback) -> CallReport:
        """See the port. The signature covers only the body, so the body must name the attempt of its URL."""
        fields = json_object(callback.body)
        if fields.get("dial_key") != callback.dial_key:
            raise UnreadableCallback("dial_key is not the one of this URL")
        if callback.kind:
            raise UnreadableCallback(f"there is no callback URL that ends in {callback.kind}")
        try:
            return report(fields)
        except ValueError as error:
            raise UnreadableCallback(str(error)) from error
