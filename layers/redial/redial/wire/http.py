"""Data of an HTTP exchange: the response, the two errors without a response, and `Retry-After`.

It is separate from `redial.adapters.http`, so that code that only reads responses need not import an HTTP client.
"""

import email.utils
import json
import math
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from redial.domain.values import dataclass

LONGEST_WAIT_SECONDS = 24 * 3600.0
"""Upper limit for `Retry-After`: longer waits count as a day."""


class NotSent(Exception):
    """The request was certainly not sent: unknown host, connection refused or timed out, TLS failed. Safe to repeat."""


class NoAnswer(Exception):
    """The request may have been sent, but there was no usable response: it is unknown what the server did."""


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP response. Header names are lower case, repeated headers joined by ", ".

    `body` is truncated at the limit given to `Http.send`.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """`Retry-After` in seconds, 0 to `LONGEST_WAIT_SECONDS`; None if missing or malformed.

    RFC 9110, 10.2.3: whole seconds, or an HTTP date. A date is measured from the response's own `Date`, so that it does
    not depend on our clock, or else from `now` (aware). Without either, it counts as malformed.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
        return min(seconds, LONGEST_WAIT_SECONDS) if math.isfinite(seconds) else LONGEST_WAIT_SECONDS
    until, since = _date(value), _date(headers.get("date", "")) or now
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; an empty one for anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _date(value: str) -> datetime | None:
    try:
        parsed = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError:
        return None
