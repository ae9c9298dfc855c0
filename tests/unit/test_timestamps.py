"""Times in milliseconds and as text: exact, ordered, and invertible."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from redial.wire.timestamps import from_ms, rfc3339, rfc3339_or_none, to_ms

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.builds(
    lambda naive, zone: naive.replace(tzinfo=zone), st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), ZONES
)
MILLISECONDS = st.integers(to_ms(datetime(1, 1, 1, tzinfo=UTC)), to_ms(datetime(9999, 12, 31, tzinfo=UTC)))


@given(MILLISECONDS)
def test_milliseconds_survive_a_round_trip(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds
    assert from_ms(milliseconds).tzinfo is UTC


@given(INSTANTS)
def test_an_instant_loses_less_than_a_millisecond_and_is_never_later(instant: datetime) -> None:
    assert timedelta(0) <= instant - from_ms(to_ms(instant)) < timedelta(milliseconds=1)


@given(INSTANTS, INSTANTS)
def test_order_is_kept_in_milliseconds_and_as_text(one: datetime, other: datetime) -> None:
    assert (to_ms(one) <= to_ms(other)) or one > other
    assert (to_ms(one) < to_ms(other)) == (rfc3339(one) < rfc3339(other)), "texts sort as times do"


@given(INSTANTS)
def test_text_is_utc_to_the_millisecond(instant: datetime) -> None:
    text = rfc3339(instant)
    assert text == rfc3339_or_none(instant)
    assert len(text) == len("2026-01-26T10:00:00.000Z") and text.endswith("Z")
    assert datetime.fromisoformat(text) == from_ms(to_ms(instant))


def test_none_renders_as_none() -> None:
    assert rfc3339_or_none(None) is None
