"""Calling hours in the called person's own time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.calling_window import next_open
from redial.domain.phone_number import time_zones

NEW_YORK, LOS_ANGELES, KOLKATA = "America/New_York", "America/Los_Angeles", "Asia/Kolkata"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "hours", "zones", "opens"),
    [
        ("2026-01-26T15:00", (9, 18), [NEW_YORK], "2026-01-26T15:00"),  # 10:00 there: open
        ("2026-01-26T13:59", (9, 18), [NEW_YORK], "2026-01-26T14:00"),  # a minute before nine
        ("2026-01-26T23:00", (9, 18), [NEW_YORK], "2026-01-27T14:00"),  # 18:00 there: closed, tomorrow
        ("2026-01-26T15:00", (9, 18), [NEW_YORK, LOS_ANGELES], "2026-01-26T17:00"),  # all zones must be open
        ("2026-01-26T12:00", (9, 18), [KOLKATA], "2026-01-26T12:00"),  # 17:30 there
        ("2026-01-26T12:31", (9, 18), [KOLKATA], "2026-01-27T03:30"),
        ("2026-01-26T04:00", (21, 6), [NEW_YORK], "2026-01-26T04:00"),  # over midnight: 23:00 there
        ("2026-01-26T12:00", (21, 6), [NEW_YORK], "2026-01-27T02:00"),
        ("2026-01-26T12:00", (9, 9), [NEW_YORK], "2026-01-26T12:00"),  # equal hours: always open
        ("2026-03-08T06:30", (2, 4), [NEW_YORK], "2026-03-08T07:00"),  # 2:00 is skipped that night: opens at 3:00
    ],
)
def test_the_window_opens_when_it_is_that_hour_there(
    now: str, hours: tuple[int, int], zones: list[str], opens: str
) -> None:
    assert next_open(utc(now), *hours, zones) == utc(opens)


def test_zones_too_far_apart_are_never_open_at_once() -> None:
    assert next_open(utc("2026-01-26T12:00"), 9, 10, [NEW_YORK, KOLKATA]) is None


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)),
    start=st.integers(0, 23),
    end=st.integers(0, 23),
    zone=st.sampled_from([NEW_YORK, LOS_ANGELES, KOLKATA, "Australia/Lord_Howe", "America/St_Johns"]),
)
def test_what_is_returned_is_open_and_within_a_day_or_so(now: datetime, start: int, end: int, zone: str) -> None:
    opens = next_open(now, start, end, [zone])
    assert opens is not None and opens >= now
    hour = opens.astimezone(ZoneInfo(zone)).hour
    assert start == end or (start <= hour < end if start < end else hour >= start or hour < end)
    assert (opens - now).days < 2


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+14155550123", {LOS_ANGELES}),
        ("+919876543210", {"Asia/Calcutta"}),
        ("+99999999999999", {"UTC"}),  # no such country code: nothing is known
    ],
)
def test_a_numbers_zones_come_from_its_prefix(number: str, zones: set[str]) -> None:
    assert set(time_zones(number)) == zones


def test_a_russian_mobile_number_may_be_in_many_zones() -> None:
    assert len(time_zones("+79161234567")) > 5
