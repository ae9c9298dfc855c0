"""What this process has read in the last seconds, so that a busy one need not read it again for every event.

Only for reads where that much delay does no harm: where a webhook is, what signs it, how many lines an agent has (dial
looks for itself before it places a call), that nobody waited for one (whoever frees a line looks for himself), that a
carrier works (a dial that fails tells everybody).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

LASTS = timedelta(seconds=10)
"""How old it may be. So much later does a change reach every process."""
MOST = 1000
"""How many a process remembers; then it begins anew."""

Value = TypeVar("Value")


class TtlCache(Generic[Value]):
    """The values of some keys as they were last read or written here; without a clock nothing is remembered."""

    def __init__(self, now: Callable[[], datetime] | None, lasts: timedelta = LASTS) -> None:
        self._now = now
        self._lasts = lasts
        self._known: dict[tuple[str, ...], tuple[Value, datetime]] = {}

    def get(self, *key: str) -> Value | None:
        """The value, if it was kept as lately as that."""
        known = self._known.get(key)
        if known is None or self._now is None:
            return None
        return known[0] if self._now() - known[1] < self._lasts else None

    def forget(self, *key: str) -> None:
        """Nothing is known of it any more."""
        self._known.pop(key, None)

    def keep(self, value: Value, *key: str) -> Value:
        """Remember it, and give it back."""
        if self._now is not None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = (value, self._now())
        return value
