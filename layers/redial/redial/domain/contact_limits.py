"""Contact limits: how often a number may be called, and how long it is not called after a conversation.

A cap is a number of attempts in a rolling span of time: an attempt counts from its dial until the span is over,
whatever its outcome. Every attempt of the account to the number counts, of all agents, batches and single calls.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache

from redial.domain.values import dataclass

MOST_CAPS = 4
MOST_ATTEMPTS = 50
"""Maximum attempts of a cap, and the number of dial times kept for each number."""
LONGEST_SPAN = timedelta(days=31)
"""Maximum span of a cap and of a pause, and how long dial times are kept."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_PAUSE = "pause"
"""The word before the pause in the text of limits."""


class AtCap(StrEnum):
    """What happens to an attempt that a limit does not allow. `DEFER`: it waits until the limit allows it; `END`: the
    call ends as `canceled`."""

    DEFER = "defer"
    END = "end"


@dataclass(frozen=True)
class ContactLimits:
    """Contact limits. `caps`: (attempts, span), the maximum of attempts in any span of that length; all apply. `pause`:
    how long after the end of a conversation nothing is dialled (zero: no pause). Spans and pauses are whole hours."""

    caps: tuple[tuple[int, timedelta], ...] = ()
    pause: timedelta = timedelta()
    at_cap: AtCap = AtCap.DEFER

    @staticmethod
    @lru_cache(maxsize=256)
    def parse(text: str) -> "ContactLimits":
        """The inverse of `str`."""
        caps: list[tuple[int, timedelta]] = []
        pause, at_cap = timedelta(), AtCap.DEFER
        words = iter(text.split(" "))
        for word in words:
            if word == _PAUSE:
                pause = _read_span(next(words))
            elif word == AtCap.END:
                at_cap = AtCap.END
            else:
                parts = (one.split("/") for one in word.split(","))
                caps += [(int(count), _read_span(span)) for count, span in parts]
        return ContactLimits(tuple(caps), pause, at_cap)

    @cached_property
    def _text(self) -> str:
        caps = [",".join(cap_text(*cap) for cap in self.caps)] if self.caps else []
        pause = [_PAUSE, span_text(self.pause)] if self.pause else []
        return " ".join([*caps, *pause, *([] if self.at_cap is AtCap.DEFER else [str(self.at_cap)])])

    def __str__(self) -> str:
        """The text of the limits, without capital letters: `3/24h,7/7d pause 24h end`."""
        return self._text

    def opens(self, now: datetime, history: "ContactHistory") -> tuple[datetime, str] | None:
        """When every limit allows an attempt again, and the limit that opens last: a cap (`3/24h`) or the pause (`pause
        24h`). None: an attempt is allowed now.

        All times are aware UTC.
        """
        closed = [
            (history.attempts[-count] + span, cap_text(count, span))
            for count, span in self.caps
            if len(history.attempts) >= count
        ]
        if self.pause and history.talked_at is not None:
            closed.append((history.talked_at + self.pause, f"{_PAUSE} {span_text(self.pause)}"))
        return max((one for one in closed if one[0] > now), default=None)


@dataclass(frozen=True)
class ContactHistory:
    """An account's call history of a number. `attempts`: when it was dialled, oldest first; at most `MOST_ATTEMPTS` of
    the last `LONGEST_SPAN`. `talked_at`: when the last conversation ended. Times are aware UTC."""

    attempts: tuple[datetime, ...] = ()
    talked_at: datetime | None = None

    def with_attempt(self, at: datetime) -> "ContactHistory":
        """Add an attempt that was dialled at that time."""
        attempts = sorted((*self.attempts, at))
        kept = [one for one in attempts if one + LONGEST_SPAN > attempts[-1]]
        return replace(self, attempts=tuple(kept[-MOST_ATTEMPTS:]))

    def with_conversation(self, ended_at: datetime) -> "ContactHistory":
        """Add a conversation that ended at that time."""
        return replace(self, talked_at=max(self.talked_at or ended_at, ended_at))

    def count(self, now: datetime, span: timedelta) -> int:
        """The number of attempts that count at `now` for a cap with this span."""
        return sum(1 for at in self.attempts if at + span > now)


def cap_text(count: int, span: timedelta) -> str:
    """`3/24h`, `7/7d`."""
    return f"{count}/{span_text(span)}"


def span_text(span: timedelta) -> str:
    """`24h`, `36h`, `7d`: whole days are written in days, from two on."""
    return f"{span // _DAY}d" if span >= 2 * _DAY and not span % _DAY else f"{span // _HOUR}h"


def _read_span(text: str) -> timedelta:
    return int(text[:-1]) * (_DAY if text[-1] == "d" else _HOUR)
