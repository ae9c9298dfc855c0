"""Retry-After, in both of its forms and in none."""

from datetime import UTC, datetime

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


def test_a_date_with_nothing_to_measure_it_from_says_nothing() -> None:
    assert retry_after_seconds({"retry-after": "Mon, 26 Jan 2026 10:01:30 GMT"}) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_makes_it_raise_or_leave_its_bounds(value: str, date: str) -> None:
    seconds = retry_after_seconds({"retry-after": value, "date": date}, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS
