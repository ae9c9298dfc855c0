"""Twilio's callbacks.

    POST <callback URL>        status of the call
    POST <callback URL>/amd    result of machine detection

Both are forms, signed over their URL and fields. Sources: see this package.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from redial.carriers.credentials import Credentials, Secrets, accepted_by
from redial.carriers.twilio import STATUS_OVERRIDE
from redial.carriers.twilio.codes import CALL_ID, UNDECIDED, report, voicemail_of
from redial.carriers.twilio.credentials import TwilioCredentials, credentials_of
from redial.domain.outcome import CallReport
from redial.domain.status import Status
from redial.ports import Callback, ForgedCallback, UnreadableCallback

MAX_FIELDS = 200

Form = Mapping[str, list[str]]
"""A form as `urllib.parse.parse_qs` returns it: each name with all its values."""


def reader(secrets: Secrets) -> "TwilioCallbacks":
    return TwilioCallbacks(credentials_of(secrets))


class TwilioCallbacks:
    """`ports.CallbackReader` of Twilio's callbacks."""

    def __init__(self, credentials: Credentials[TwilioCredentials]) -> None:
        self._credentials = credentials

    def verify(self, callback: Callback, now: datetime) -> None:
        """See the port. Twilio's signature has no time, so a replayed callback is accepted; it changes nothing."""
        try:
            form = form_of(callback.body)
        except UnreadableCallback as error:
            raise ForgedCallback(str(error)) from error
        if not accepted_by(self._credentials, lambda known: _is_signed(callback, form, known)):
            raise ForgedCallback("the signature is wrong or missing")

    def read(self, callback: Callback) -> CallReport:
        form = form_of(callback.body)
        match callback.kind:
            case "":
                return parse_status_callback(form)
            case "amd":
                return parse_amd_callback(form)
        raise UnreadableCallback(f"Twilio is given no callback URL that ends in {callback.kind}")


def form_of(body: bytes) -> dict[str, list[str]]:
    """Parse a form. Raises `UnreadableCallback` if the body is not a form."""
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise UnreadableCallback("the body is not a form") from error


def _is_signed(callback: Callback, form: Form, known: TwilioCredentials) -> bool:
    """Whether Twilio signed this callback. If it names an account, that must be ours.

    No source says whether Twilio signs a status callback's URL with its fragment, so both are tried.
    """
    if form.get("AccountSid", [known.account_sid]) != [known.account_sid]:
        return False
    urls = [url + tail for url in callback.urls for tail in (("", STATUS_OVERRIDE) if callback.kind == "" else ("",))]
    return any(verify(callback.headers, url, form, known.auth_token, known.shared_key) for url in urls)


def verify(
    headers: Mapping[str, str], url: str, form: Form | bytes, auth_token: str, shared_key: str | None = None
) -> bool:
    """Whether X-Twilio-Signature proves that Twilio sent `form` (or, as bytes, a JSON body) to `url`. [S] [W]

    The signature is base64(HMAC(secret, url + every name and value, sorted)), with SHA-1 and the account's auth token,
    or as in X-Twilio-Webhooks-Signature-Settings (`key=…,algorithm=HMAC_SHA256`), with `shared_key` if the account has
    one. A JSON body's hash is in the URL as `bodySHA256`. Twilio signs with or without the port, so both are tried.
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
    """The URL without its port, and with it (the scheme's default if it has none); otherwise unchanged."""
    scheme, separator, rest = url.partition("://")
    match = re.match(r"(\[[^\]]*\]|[^:/?#]*)(:[0-9]*)?", rest)
    assert match is not None  # it matches the empty string
    host, port, tail = match[1], match[2], rest[match.end() :]
    usual = ":443" if scheme == "https" else ":80"
    return f"{scheme}{separator}{host}{tail}", f"{scheme}{separator}{host}{port or usual}{tail}"


def parse_status_callback(form: Form) -> CallReport:
    """Parse a status callback. Raises `UnreadableCallback` for an unknown status or a missing call id."""
    try:
        return report(
            _first(form, "CallSid") or "",
            _first(form, "CallStatus") or "",
            _first(form, "AnsweredBy"),
            _first(form, "CallDuration"),
            _first(form, "SipResponseCode"),
            _first(form, "ErrorCode"),
        )
    except ValueError as error:
        raise UnreadableCallback(str(error)) from error


def parse_amd_callback(form: Form) -> CallReport:
    """Parse a machine detection callback, whose call was answered. Raises `UnreadableCallback`."""
    call_id = _first(form, "CallSid") or ""
    if not CALL_ID.fullmatch(call_id):
        raise UnreadableCallback("no call id")
    answered_by = _first(form, "AnsweredBy")
    undecided = answered_by == UNDECIDED
    return CallReport(call_id, Status.IN_PROGRESS, voicemail=voicemail_of(answered_by), undecided=undecided)


def _first(form: Form, name: str) -> str | None:
    values = form.get(name)
    return values[0] if values else None
