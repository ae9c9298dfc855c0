"""Carriers' credentials: where they come from, and how a secret's text is read. Loads nothing of AWS."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class CredentialsUnavailable(Exception):
    """The credentials cannot be read, or make no sense; the message shows nothing of the secret."""


class Credentials(Protocol[T]):
    """One carrier's credentials, which may be replaced at any time."""

    def get(self) -> T:
        """The credentials. Raises `CredentialsUnavailable`."""

    def refresh(self, refused: T) -> bool:
        """The carrier does not know `refused`: read the secret again, unless that was just done. True when the
        credentials differ from `refused` now."""


class Secrets(Protocol):
    """Carriers' secrets."""

    def of(self, carrier: str, parse: Callable[[str], T]) -> Credentials[T]:
        """The carrier's credentials. `parse` makes them of the secret's text, and raises `ValueError`, whose message
        shows nothing of the secret."""


def accepted_by(credentials: Credentials[T], check: Callable[[T], bool]) -> bool:
    """Whether `check` accepts the credentials; read again where it does not, for the secret may just have been rotated.

    Raises `CredentialsUnavailable`.
    """
    known = credentials.get()
    return check(known) or (credentials.refresh(known) and check(credentials.get()))


def read_fields(text: str, names: Iterable[str], secret: str) -> dict[str, str]:
    """Those of the fields `names` that a secret's JSON object has; null counts as absent, others are ignored.

    `secret` is what messages call it. Raises `ValueError`, whose message shows nothing of the secret.
    """
    try:
        fields = json.loads(text)
    except ValueError:
        raise ValueError(f"{secret} is not JSON") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{secret} must be a JSON object")
    known = {name: fields[name] for name in names if fields.get(name) is not None}
    for name, value in known.items():
        if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
            raise ValueError(f"{name} of {secret} must be text without spaces")
    return known


RATES = (0.1, 1000.0)
"""The lowest and the highest rate at which calls are started, in calls a second."""


def read_rate(text: str, secret: str) -> float | None:
    """`calls_per_second` of a secret's JSON object: how many calls a second the carrier account starts; None: the
    secret does not say. 0: it starts any number at once. Raises `ValueError`."""
    rate = json.loads(text).get("calls_per_second")
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (rate == 0 or RATES[0] <= rate <= RATES[1]):
        low, high = RATES
        raise ValueError(f"calls_per_second of {secret} must be a number from {low:g} to {high:g}, or 0 for no limit")
    return float(rate)


def check_api_url(url: str, secret: str) -> None:
    """Raises `ValueError` for a URL that requests with credentials must not go to: only https, or http to an address
    of a private network, with neither user name, query nor fragment."""
    message = f"api_url of {secret} must be https://<host>, with neither user name, query nor fragment"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(message) from None
    if not host or parts.netloc.rpartition("@")[1] or parts.query or parts.fragment or re.search(r"[?#]$", url):
        raise ValueError(message)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_private(host)):
        raise ValueError(message)


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
