"""One HTTP exchange as data: the answer, the two ways of getting none, and the wait that an answer asks for.

Apart from `redial.adapters.http` so that code which only reads answers loads no HTTP client.
"""

import email.utils
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

LONGEST_WAIT_SECONDS = 24 * 3600.0
"""Longest `Retry-After` that is honoured: a day. Longer ones count as a day."""


class NotSent(Exception):
    """The request certainly did not go out: no such host, connection refused or timed out, no TLS. Safe to repeat."""


class NoAnswer(Exception):
    """Bytes of the request may have gone out and no usable answer came back: what the server did is not known."""


@dataclass(frozen=True)
class HttpResponse:
    """An HTTP answer. Header names are lower case, repeated headers joined by ", ".

    `body` is cut at the limit that the caller of `Http.send` set.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """What `Retry-After` asks for, in seconds, 0 to `LONGEST_WAIT_SECONDS`; None where it is missing or unreadable.

    RFC 9110, 10.2.3: whole seconds, or an HTTP date. A date is measured from the answer's own `Date`, which needs no
    agreement between clocks, else from `now` (aware); with neither it says nothing.
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
