"""Calling hours: the hours of the day, in the called number's local time, in which an agent may dial."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

_STEP = timedelta(minutes=15)
"""All UTC offsets and clock changes are multiples of it, so windows open at multiples of it too."""
_AHEAD = timedelta(days=3)
"""A daily window that opens at all opens within three days, across any zones and clock changes."""


def next_open(now: datetime, start_hour: int, end_hour: int, zones: Sequence[str]) -> datetime | None:
    """The first instant at or after `now` (aware UTC) with `start_hour` ≤ local hour < `end_hour` in all of `zones`.

    Equal hours: always open; start > end: open over midnight. None if the zones are so far apart that the window is
    never open in all of them at once. A number's zone is rarely certain, so every zone that its prefix allows must
    agree (a Russian mobile number may be in any of 15).
    """
    from zoneinfo import ZoneInfo  # takes 3 ms; most cold starts need none

    places = [ZoneInfo(zone) for zone in zones]
    instant, midnight = now, datetime.combine(now.date(), time(), UTC)
    while instant <= now + _AHEAD:
        if all(_is_open(instant.astimezone(place).hour, start_hour, end_hour) for place in places):
            return instant
        instant = midnight + ((instant - midnight) // _STEP + 1) * _STEP
    return None


def _is_open(hour: int, start_hour: int, end_hour: int) -> bool:
    if start_hour == end_hour:
        return True
    if start_hour < end_hour:
        return start_hour <= hour < end_hour
    return hour >= start_hour or hour < end_hour
