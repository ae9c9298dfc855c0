"""Carriers' credentials: their protocols, and the parsing of a secret's text. Loads no AWS modules."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")


class CredentialsUnavailable(Exception):
    """The credentials cannot be read, or are invalid. The message reveals nothing of the secret."""


class Credentials(Protocol[T]):
    """One carrier's credentials, which may be replaced at any time."""

    def get(self) -> T:
        """The credentials. Raises `CredentialsUnavailable`."""

    def refresh(self, refused: T) -> bool:
        """The carrier does not accept `refused`: read the secret again, unless that was just done. Returns whether the
        credentials now differ from `refused`."""


class Secrets(Protocol):
    """Carriers' secrets."""

    def of(self, carrier: str, parse: Callable[[str], T]) -> Credentials[T]:
        """The carrier's credentials. `parse` parses the secret's text, and raises `ValueError` with a message that
        reveals nothing of the secret."""


def accepted_by(credentials: Credentials[T], check: Callable[[T], bool]) -> bool:
    """Whether `check` accepts the credentials. If not, they are read again, because the secret may just have been
    rotated. Raises `CredentialsUnavailable`.
    """
    known = credentials.get()
    return check(known) or (credentials.refresh(known) and check(credentials.get()))


def read_fields(text: str, names: Iterable[str], secret: str) -> dict[str, str]:
    """The fields `names` of a secret's JSON object, as far as it has them. Null counts as absent; others are ignored.

    `secret`: its name in messages. Raises `ValueError`; its message reveals nothing of the secret.
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
"""The lowest and the highest rate at which calls are started, in calls per second."""


def read_rate(text: str, secret: str) -> float | None:
    """`calls_per_second` of a secret's JSON object: how many calls the carrier account starts per second; 0: no limit;
    None: the secret names no rate. Raises `ValueError`."""
    rate = json.loads(text).get("calls_per_second")
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (rate == 0 or RATES[0] <= rate <= RATES[1]):
        low, high = RATES
        raise ValueError(f"calls_per_second of {secret} must be a number from {low:g} to {high:g}, or 0 for no limit")
    return float(rate)


def check_api_url(url: str, secret: str) -> None:
    """Raises `ValueError` for a URL to which credentials must not be sent. Permitted are https, and http to an address
    of a private network, without user name, query and fragment."""
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
