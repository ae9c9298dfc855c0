"""Calling rules: the times of the called number's local day at which an attempt may be dialled.

A rule is read by the wall clock. What that means on the two days a year on which clocks change: a window from 2:00 to
2:30 does not open on the day on which 2:30 does not exist; one from 2:30 to 5:00 opens as the clock jumps from 2:00 to
3:00; and an hour that comes twice is inside its window both times.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
"""Days of the week in the text of a rule, as `date.weekday` counts them."""
_DAY = 24 * 60
_WEEK = 7 * _DAY
_AHEAD = 22 * _DAY
"""A weekly window that opens at all opens within three weeks, across any zones and clock changes."""
_AHEAD_OF_DATES = 400 * _DAY
"""The same for a rule with excluded dates: a year and a month."""
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]{1,31}(/[A-Za-z0-9_+-]{1,31}){0,2}")


@dataclass(frozen=True)
class CallingRule:
    """When an attempt may be dialled.

    `windows`: (day of the week, first minute, end) by the wall clock; an end over 1440 is on the next day.
    """

    windows: tuple[tuple[int, int, int], ...]

    @staticmethod
    @lru_cache(maxsize=64)
    def of_hours(start: int, end: int) -> "CallingRule":
        """Every day from hour `start` until before `end`. Equal: always open; start > end: over midnight."""
        first, last = (0, _DAY) if start == end else (start * 60, end * 60 + _DAY * (start > end))
        return CallingRule(tuple((day, first, last) for day in range(7)))

    @staticmethod
    @lru_cache(maxsize=256)
    def parse(text: str) -> "CallingRule":
        """The inverse of `str`."""
        windows: list[tuple[int, int, int]] = []
        days: Iterable[int] = range(7)
        for word in text.split(" "):
            if word[0].isalpha():
                days = _read_days(word)
            else:
                windows += [(day, *_read_window(one)) for day in days for one in word.split(",")]
        return CallingRule(tuple(sorted(windows)))

    @cached_property
    def _text(self) -> str:
        words: list[str] = []
        by_day = [",".join(_window_text(*window) for window in day) for day in self._by_day]
        first = 0
        for day in range(1, 8):
            if day < 7 and by_day[day] == by_day[first]:
                continue
            if by_day[first]:
                words += [f"{DAYS[first]}-{DAYS[day - 1]}" if day - first > 1 else DAYS[first], by_day[first]]
            first = day
        return " ".join(words).removeprefix("mo-su ")

    def __str__(self) -> str:
        """In words, without capital letters: `9-18`, `mo-fr 9-12:30,14-18 sa 10-14`."""
        return self._text

    @cached_property
    def _by_day(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        return tuple(tuple(sorted((start, end) for on, start, end in self.windows if on == day)) for day in range(7))

    @property
    def is_always_open(self) -> bool:
        return all((0, _DAY) in day for day in self._by_day)

    @property
    def _ahead(self) -> int:
        return _AHEAD

    def first_open(self, local: int, last: int) -> int | None:
        """The first minute from `local` to `last` in a window; minutes of the wall clock since 1970."""
        for day in range(local // _DAY - 1, last // _DAY + 1):
            midnight = day * _DAY
            found = [
                max(local, midnight + start)
                for start, end in self._by_day[(day + 3) % 7]  # 1 January 1970 was a Thursday
                if local < midnight + end
            ]
            if found:
                return min(found)
        return None


def next_open(now: datetime, rule: CallingRule, zones: Sequence[str]) -> datetime | None:
    """The first instant at or after `now` (aware UTC) that is within the rule's windows in all of `zones`.

    None: there is none within three weeks, for the zones are too far apart. A number's zone is rarely certain, so every
    zone that its prefix allows must agree (a Russian mobile number may be in any of 14).
    """
    first = at = (now - _EPOCH) // _MINUTE
    last, agreed, turn = first + rule._ahead, 0, 0
    while agreed < len(zones):
        opens = _first_open(rule, zones[turn % len(zones)], at, last)
        if opens is None:
            return None
        agreed = agreed + 1 if opens == at else 1
        at, turn = opens, turn + 1
    return now if at == first else _EPOCH + at * _MINUTE


def never_open(rule: CallingRule, zones: Sequence[str]) -> str:
    """Why a call to these zones can never be placed."""
    if len(zones) == 1:
        return f"calling hours {rule} never open in {zones[0]}"
    return f"calling hours {rule} are never open at once in all {len(zones)} time zones that the number may be in"


def _first_open(rule: CallingRule, zone: str, at: int, last: int) -> int | None:
    """The first minute from `at` to `last` in the rule's windows in one zone; minutes of UTC since 1970."""
    while at <= last:
        for start, end, offset in _offsets(zone, at // _WEEK):
            begin = max(at, start)
            if begin >= end:
                continue
            opens = rule.first_open(begin + offset, min(end - 1, last) + offset)
            if opens is not None and opens - offset < end:
                return opens - offset if opens - offset <= last else None
        at = (at // _WEEK + 1) * _WEEK
    return None


@lru_cache(maxsize=8192)
def _offsets(zone: str, week: int) -> tuple[tuple[int, int, int], ...]:
    """(first minute, end, offset in minutes) of the parts of a week, counted from 1970, that clock changes make of it.

    Clocks change at full minutes, and not twice within a week.
    """
    place, start, end = ZoneInfo(zone), week * _WEEK, (week + 1) * _WEEK

    def offset(minute: int) -> int:
        found = (_EPOCH + minute * _MINUTE).astimezone(place).utcoffset()
        assert found is not None
        return found // _MINUTE

    before, after = offset(start), offset(end - 1)
    if before == after:
        return ((start, end, before),)
    low, high = start, end - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == before else (low, middle)
    return ((start, high, before), (high, end, after))


def check_zone(name: str) -> str:
    """`name`, where it is an IANA time zone. Raises `ValueError` with the reason, without a subject."""
    if not _is_zone(name):
        raise ValueError(f"must be an IANA time zone, such as Europe/Berlin; there is no {name[:60]!r}")
    return name


@lru_cache(maxsize=512)
def _is_zone(name: str) -> bool:
    if _ZONE.fullmatch(name) is None:
        return False
    try:
        ZoneInfo(name)
    except (LookupError, OSError, ValueError):  # no such file, a folder ("America"), a file that is no zone
        return False
    return True


# ---- the text of a rule -------------------------------------------------------------------------------------------


def _window_text(start: int, end: int) -> str:
    return f"{_clock(start)}-{_clock(end if end <= _DAY else end - _DAY)}"


def _clock(minute: int) -> str:
    hour, rest = divmod(minute, 60)
    return f"{hour}:{rest:02d}" if rest else str(hour)


def _read_window(text: str) -> tuple[int, int]:
    start, end = (_read_clock(one) for one in text.split("-"))
    return start, end + _DAY * (end <= start)


def _read_clock(text: str) -> int:
    hour, _, rest = text.partition(":")
    return int(hour) * 60 + int(rest or 0)


def _read_days(text: str) -> range:
    first, _, last = text.partition("-")
    return range(DAYS.index(first), DAYS.index(last or first) + 1)
