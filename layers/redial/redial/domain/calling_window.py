"""Calling hours: the part of the day, in the called person's own time, in which an agent may ring."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_STEP = timedelta(minutes=15)
"""Every zone's offset and every change of clocks is a whole number of these, so a window opens at a full one."""
_AHEAD = timedelta(days=3)
"""Within three days every daily window that ever opens has opened, whatever the zones and a change of clocks."""


def next_open(now: datetime, start_hour: int, end_hour: int, zones: Sequence[str]) -> datetime | None:
    """The first instant from `now` (aware UTC) on at which it is `start_hour` ≤ hour < `end_hour` in all of `zones`.

    `now` itself when it is open now. Equal hours: always open; start > end: open over midnight. None when the zones
    are so far apart that the window is never open in all of them. A number's zone is rarely known for certain, so all
    that its prefix allows must agree (a Russian mobile number may be in any of 15).
    """
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
