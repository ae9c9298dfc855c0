"""Calling rules: the times of the called number's local day at which an attempt may be dialled.

A rule follows the wall clock, also on the two days a year on which clocks change. A window from 2:00 to 2:30 does not
open on the day on which these times do not exist; one from 2:30 to 5:00 opens when the clock jumps from 2:00 to 3:00;
an hour that comes twice is inside its window both times.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from redial.domain.values import dataclass

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
"""Days of the week in the text of a rule, as `date.weekday` counts them."""
_DAY = 24 * 60
_WEEK = 7 * _DAY
_AHEAD = 22 * _DAY
"""A weekly window that opens at all opens within three weeks, across any zones and clock changes."""
_AHEAD_OF_DATES = 400 * _DAY
"""How far ahead an opening is searched for with excluded dates: a year and a month."""
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_NOT = "not"
"""The word before the excluded dates in the text of a rule."""
_MOST = "max"
"""The word before the attempts per window in the text of a rule."""
_SHORT = 24
"""Maximum length of a rule's text in records; of a longer rule the open window is recorded."""
_ZONE = r"[A-Z][A-Za-z0-9_+-]{1,31}(/[A-Za-z0-9_+-]{1,31}){0,2}"


class Placement(StrEnum):
    """Where an attempt that came outside its windows is placed.

    `START`: at the opening. `SPREAD`: within the first minutes of the opening, each call at its own second. `ROTATE`:
    outside every hour of the day in which an earlier attempt failed, also if the window is open.
    """

    START = "start"
    SPREAD = "spread"
    ROTATE = "rotate"


@dataclass(frozen=True)
class CallingRule:
    """When an attempt may be dialled.

    `windows`: (day of the week, first minute, end) of the wall clock; an end above 1440 is on the next day.
    `excluded`: dates on which nothing is dialled and no window begins. `spread_minutes`: the length of
    `Placement.SPREAD`. `per_window`: the attempts that one call may make in one window of one day (0: any number). If
    windows overlap, each must have an attempt left.
    """

    windows: tuple[tuple[int, int, int], ...]
    excluded: tuple[date, ...] = ()
    placement: Placement = Placement.START
    spread_minutes: int = 0
    per_window: int = 0

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
        excluded: tuple[date, ...] = ()
        placement, minutes, per_window, days = Placement.START, 0, 0, range(7)
        words = iter(text.split(" "))
        for word in words:
            if word == _NOT:
                excluded = tuple(date.fromisoformat(one) for one in next(words).split(","))
            elif word == Placement.SPREAD:
                placement, minutes = Placement.SPREAD, int(next(words))
            elif word == Placement.ROTATE:
                placement = Placement.ROTATE
            elif word == _MOST:
                per_window = int(next(words))
            elif word[0].isalpha():
                days = _read_days(word)
            else:
                windows += [(day, *_read_window(one)) for day in days for one in word.split(",")]
        return CallingRule(tuple(sorted(windows)), excluded, placement, minutes, per_window)

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
        hours = " ".join(words).removeprefix("mo-su ")
        dates = [_NOT, ",".join(one.isoformat() for one in self.excluded)] if self.excluded else []
        placed = [] if self.placement is Placement.START else [str(self.placement)]
        minutes = [str(self.spread_minutes)] if self.placement is Placement.SPREAD else []
        most = [_MOST, str(self.per_window)] if self.per_window else []
        return " ".join([hours, *dates, *placed, *minutes, *most])

    def __str__(self) -> str:
        """The text of the rule, without capital letters: `9-18`, `mo-fr 9-12:30,14-18 sa 10-14 not 2026-12-24 spread 15
        max 2`."""
        return self._text

    def in_short(self, at: datetime, zone: str) -> str:
        """The text for records: the rule if it is short, else its window at that time (aware UTC) in that zone."""
        if len(self._text) <= _SHORT:
            return self._text
        local = at.astimezone(_place(zone))
        today, minute = local.weekday(), local.hour * 60 + local.minute
        for day, begun in ((today, minute), ((today - 1) % 7, minute + _DAY)):
            for start, end in self._by_day[day]:
                if start <= begun < end:
                    return f"{DAYS[day]} {_window_text(start, end)}"
        return ""

    @property
    def summary(self) -> str:
        """The rule in at most 60 characters."""
        return self._text if len(self._text) <= 60 else f"{self._text[:59]}…"

    @cached_property
    def _by_day(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        return tuple(tuple(sorted((start, end) for on, start, end in self.windows if on == day)) for day in range(7))

    @property
    def is_always_open(self) -> bool:
        return not (self.excluded or self.per_window) and all((0, _DAY) in day for day in self._by_day)

    @property
    def ahead(self) -> int:
        """How many minutes ahead an opening is searched for."""
        return _AHEAD_OF_DATES if self.excluded else _AHEAD

    @cached_property
    def _excluded_days(self) -> frozenset[int]:
        return frozenset(one.toordinal() - _EPOCH_DAY for one in self.excluded)

    @lru_cache(maxsize=512)  # noqa: B019  there are few rules, and equal ones are one key
    def without_hours(self, hours: frozenset[int]) -> "CallingRule":
        """The rule without these hours of the day."""
        left = self.windows
        for hour in hours:
            for begin in (hour * 60, hour * 60 + _DAY):
                end = begin + 60
                pieces = [((day, start, min(stop, begin)), (day, max(start, end), stop)) for day, start, stop in left]
                left = tuple(one for both in pieces for one in both if one[1] < one[2])
        return replace(self, windows=tuple(sorted(left)))

    def spent(self, zone: str, dialled: Sequence[datetime]) -> tuple[tuple[int, int], ...]:
        """The windows in which a call with these attempts (aware UTC) may make no more: (first minute, end) of each
        window on its day, in minutes of the zone's wall clock since 1970."""
        if not self.per_window:
            return ()
        attempts: Counter[tuple[int, int]] = Counter()
        for one in dialled:
            local = one.astimezone(_place(zone))
            minute = (local.toordinal() - _EPOCH_DAY) * _DAY + local.hour * 60 + local.minute
            for day in (minute // _DAY - 1, minute // _DAY):
                windows = [(day * _DAY + start, day * _DAY + end) for start, end in self._by_day[(day + 3) % 7]]
                attempts.update(window for window in windows if window[0] <= minute < window[1])
        return tuple(sorted(window for window, count in attempts.items() if count >= self.per_window))

    def first_open(self, local: int, last: int, spent: Sequence[tuple[int, int]] = ()) -> int | None:
        """The first minute from `local` to `last` in a window and in none of `spent`; minutes of the wall clock since
        1970."""
        for day in range(local // _DAY - 1, last // _DAY + 1):
            if day in self._excluded_days:
                continue
            midnight = day * _DAY
            found = [
                minute
                for start, end in self._by_day[(day + 3) % 7]  # 1 January 1970 was a Thursday
                if (minute := _after(spent, max(local, midnight + start))) < midnight + end
            ]
            found = [one for one in found if one // _DAY not in self._excluded_days]
            if found:
                return min(found)
        return None

    def first_closed(self, local: int, last: int) -> int:
        """The first minute from `local` to `last` that is in no window, else `last`; minutes of the wall clock since
        1970."""
        while local < last:
            day = local // _DAY
            found = [
                midnight + end
                for midnight in ((day - 1) * _DAY, day * _DAY)
                if midnight // _DAY not in self._excluded_days and day not in self._excluded_days
                for start, end in self._by_day[(midnight // _DAY + 3) % 7]
                if midnight + start <= local < midnight + end
            ]
            if not found:
                return local
            # A window over midnight ends with its day if the next day is excluded, which the next round detects.
            local = min(max(found), (day + 1) * _DAY)
        return last


def _after(spans: Sequence[tuple[int, int]], minute: int) -> int:
    """The first minute from `minute` on that is in none of the sorted spans."""
    for start, end in spans:
        if start <= minute < end:
            minute = end
    return minute


def next_open(
    now: datetime,
    rule: CallingRule,
    zones: Sequence[str],
    tried: Sequence[datetime] = (),
    dialled: Sequence[datetime] = (),
) -> datetime | None:
    """The first instant at or after `now` (aware UTC) that is within the rule's windows in all of `zones`. In every
    zone it is outside the hours of the day of `tried`, and outside windows whose attempts `dialled` has used up.

    None: there is no such instant within three weeks (with excluded dates: a year), because the zones are too far
    apart. A number's zone is rarely certain, so all zones that its prefix allows must be open (a Russian mobile number
    may be in any of 14).
    """
    places = [
        (
            rule.without_hours(frozenset(one.astimezone(_place(zone)).hour for one in tried)) if tried else rule,
            zone,
            rule.spent(zone, dialled),
        )
        for zone in zones
    ]
    first = at = (now - _EPOCH) // _MINUTE
    last, agreed, turn = first + rule.ahead, 0, 0
    while agreed < len(zones):
        opens = _first_open(*places[turn % len(places)], at, last)
        if opens is None:
            return None
        agreed = agreed + 1 if opens == at else 1
        at, turn = opens, turn + 1
    return now if at == first else _EPOCH + at * _MINUTE


def closes(at: datetime, rule: CallingRule, zones: Sequence[str]) -> datetime:
    """The first full minute after `at` (aware UTC) at which the rule's windows are closed in one of `zones`, but at
    most a week later. The windows must be open at `at` in all of them."""
    first = (at - _EPOCH) // _MINUTE
    return _EPOCH + min(_closes_in(rule, zone, first, first + _WEEK) for zone in zones) * _MINUTE


def _closes_in(rule: CallingRule, zone: str, at: int, last: int) -> int:
    """The first minute from `at` to `last` that is in no window in one zone; minutes of UTC since 1970."""
    while at < last:
        end, offset = next((end, offset) for start, end, offset in _offsets(zone, at // _WEEK) if start <= at < end)
        closed = rule.first_closed(at + offset, end + offset) - offset
        if closed < end:
            return min(closed, last)
        at = end
    return min(at, last)


def spread(opening: datetime, rule: CallingRule, zones: Sequence[str], key: str | int) -> datetime:
    """The second for `key` within the rule's `spread_minutes` from `opening` on, while all zones are open. A text is
    hashed; a number is the second itself, and -1 the last one."""
    at = (opening - _EPOCH) // _MINUTE
    minutes = 1
    while minutes < rule.spread_minutes and _all_open(rule, zones, at + minutes):
        minutes += 1
    second = key if isinstance(key, int) else zlib.crc32(key.encode())
    return opening + timedelta(seconds=second % (minutes * 60))


def _all_open(rule: CallingRule, zones: Sequence[str], minute: int) -> bool:
    return all(_first_open(rule, zone, (), minute, minute) == minute for zone in zones)


def never_open(rule: CallingRule, zones: Sequence[str]) -> str:
    """The reason why a call to these zones can never be placed."""
    if len(zones) == 1:
        return f"calling hours {rule.summary} never open in {zones[0]}"
    return (
        f"calling hours {rule.summary} are never open at once in all {len(zones)} time zones that the number may be in"
    )


def _first_open(rule: CallingRule, zone: str, spent: Sequence[tuple[int, int]], at: int, last: int) -> int | None:
    """The first minute from `at` to `last` within the rule's windows in one zone, and in none of `spent`. Minutes of
    UTC since 1970."""
    while at <= last:
        for start, end, offset in _offsets(zone, at // _WEEK):
            begin = max(at, start)
            if begin >= end:
                continue
            opens = rule.first_open(begin + offset, min(end - 1, last) + offset, spent)
            if opens is not None and opens - offset < end:
                return opens - offset if opens - offset <= last else None
        at = (at // _WEEK + 1) * _WEEK
    return None


@lru_cache(maxsize=8192)
def _offsets(zone: str, week: int) -> tuple[tuple[int, int, int], ...]:
    """The parts into which clock changes divide a week: (first minute, end, offset in minutes). Weeks count from 1970.

    Assumes that clocks change at full minutes, and at most once in a week.
    """
    place, start, end = _place(zone), week * _WEEK, (week + 1) * _WEEK

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


def local_time(at: datetime, zone: str) -> datetime:
    """The instant as local time of an IANA zone."""
    return at.astimezone(_place(zone))


def _place(zone: str) -> "ZoneInfo":
    from zoneinfo import ZoneInfo  # takes 3 ms, and most cold starts do not need it

    return ZoneInfo(zone)


def check_zone(name: str) -> str:
    """Return `name` if it is an IANA time zone. Raises `ValueError`, whose message follows the name of the field."""
    if not _is_zone(name):
        raise ValueError(f"must be an IANA time zone, such as Europe/Berlin; there is no {name[:60]!r}")
    return name


@lru_cache(maxsize=512)
def _is_zone(name: str) -> bool:
    if re.fullmatch(_ZONE, name) is None:
        return False
    try:
        _place(name)
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
