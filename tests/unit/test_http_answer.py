"""Parsing of Retry-After."""

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.wire.http import LONGEST_WAIT_SECONDS, retry_after_seconds

NOW = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "9" * 400}, LONGEST_WAIT_SECONDS),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "١٢"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 26 Jan 2026 10:01:30 GMT"}, 90.0),
        ({"retry-after": "Mon, 26 Jan 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}, LONGEST_WAIT_SECONDS),
        ({"retry-after": "Mon, 26 Jan 2026 12:00:10 GMT", "date": "Mon, 26 Jan 2026 12:00:00 GMT"}, 10.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


def test_a_date_without_a_reference_is_ignored() -> None:
    assert retry_after_seconds({"retry-after": "Mon, 26 Jan 2026 10:01:30 GMT"}) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_header_gives_a_wait_within_bounds(value: str, date: str) -> None:
    seconds = retry_after_seconds({"retry-after": value, "date": date}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS


INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
)


@given(st.integers(0, 10**7))
def test_seconds_are_accepted_up_to_a_day(seconds: int) -> None:
    assert retry_after_seconds({"retry-after": f"  {seconds}\t"}, NOW) == min(seconds, 86_400)


@given(
    until=INSTANTS,
    since=INSTANTS | st.integers(-100_000, 100_000),
    own_date=st.booleans(),
    minutes=st.integers(-840, 840),
)
def test_a_date_gives_its_distance(until: datetime, since: datetime | int, own_date: bool, minutes: int) -> None:
    """Measured from the answer's own date, if it has one, in any zone and whatever the local clock shows."""
    since = until + timedelta(seconds=since) if isinstance(since, int) else since
    zoned = until.astimezone(timezone(timedelta(minutes=minutes)))
    headers = {"retry-after": email.utils.format_datetime(zoned)}
    if own_date:
        headers["date"] = email.utils.format_datetime(since, usegmt=True)
    expected = min(max((until - since).total_seconds(), 0.0), 86_400.0)
    assert retry_after_seconds(headers, NOW if own_date else since) == expected


DATE_LIKE = st.lists(
    st.sampled_from(
        ["Mon,", "26", "Jan", "2026", "99999", "0", "10:00:00", "99:99:99", "GMT", "+9999", "-1400", "EST", "-", "1"]
    ),
    max_size=7,
).map(" ".join)


@given(DATE_LIKE, DATE_LIKE)
def test_a_malformed_date_is_ignored(value: str, date: str) -> None:
    seconds = retry_after_seconds({"retry-after": value, "date": date}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS
