"""A per-process TTL cache for reads that tolerate some seconds of staleness.

It is used for an agent's webhook, signing secrets and line limit (dial reads the limit consistently before it places a
call), for an empty queue (releasing a line reads the queue itself), and for a healthy circuit (a failed dial stores the
failure for every process).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

TTL = timedelta(seconds=10)
"""Default TTL: every process sees a change after at most this time."""
MAX_ENTRIES = 1000
"""Maximum entries of a cache; when full, it is cleared."""

Value = TypeVar("Value")


class TtlCache(Generic[Value]):
    """Values by key, as last read or written by this process. Without a clock (`now` is None) it caches nothing."""

    def __init__(self, now: Callable[[], datetime] | None, ttl: timedelta = TTL) -> None:
        self._now = now
        self._ttl = ttl
        self._entries: dict[tuple[str, ...], tuple[Value, datetime]] = {}

    def get(self, *key: str) -> Value | None:
        """The cached value; None if there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None or self._now is None:
            return None
        return entry[0] if self._now() - entry[1] < self._ttl else None

    def forget(self, *key: str) -> None:
        """Drop the entry. Idempotent."""
        self._entries.pop(key, None)

    def keep(self, value: Value, *key: str) -> Value:
        """Cache the value, and return it."""
        if self._now is not None:
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = (value, self._now())
        return value
