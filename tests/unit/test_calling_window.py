"""Calling hours in the called number's local time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers.timezone import time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

from redial.domain.calling_window import CallingRule, check_zone, next_open
from redial.domain.phone_number import is_e164, time_zones
from tests.support.examples import examples

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
        ("2026-04-04T14:00", (3, 5), ["Pacific/Chatham"], "2026-04-04T14:15"),  # 3:45 became 2:45: 3:00 comes again
        ("2026-04-04T13:50", (2, 3), ["Pacific/Chatham"], "2026-04-04T14:00"),  # and a quarter of the hour before
        ("2026-03-29T00:30", (2, 4), ["Antarctica/Troll"], "2026-03-29T01:00"),  # 1:00 became 3:00
    ],
)
def test_the_window_opens_at_that_local_hour(now: str, hours: tuple[int, int], zones: list[str], opens: str) -> None:
    assert next_open(utc(now), CallingRule.of_hours(*hours), zones) == utc(opens)


def test_zones_too_far_apart_are_never_open_at_once() -> None:
    assert next_open(utc("2026-01-26T12:00"), CallingRule.of_hours(9, 10), [NEW_YORK, KOLKATA]) is None


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC)),
    start=st.integers(0, 23),
    end=st.integers(0, 23),
    zone=st.sampled_from([NEW_YORK, LOS_ANGELES, KOLKATA, "Australia/Lord_Howe", "America/St_Johns"]),
)
def test_the_result_is_open_and_within_about_a_day(now: datetime, start: int, end: int, zone: str) -> None:
    opens = next_open(now, CallingRule.of_hours(start, end), [zone])
    assert opens is not None and opens >= now
    hour = opens.astimezone(ZoneInfo(zone)).hour
    assert start == end or (start <= hour < end if start < end else hour >= start or hour < end)
    assert (opens - now).days < 2


QUARTER = timedelta(minutes=15)
CHANGING = [
    *(NEW_YORK, LOS_ANGELES, "Europe/London", "America/St_Johns"),
    *("Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham"),  # half an hour; half-hour and quarter-hour zones
    *("America/Havana", "Asia/Beirut", "America/Santiago", "Africa/Cairo"),  # clocks change at midnight
    *("Antarctica/Troll", "Africa/Casablanca", "America/Nuuk"),  # two hours at once; for Ramadan; late in the evening
]
STEADY = [KOLKATA, "Asia/Kathmandu", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"]


def changes_of(zone: str) -> list[datetime]:
    """The times at which the zone's clocks change in 2026, to the quarter of an hour."""
    place = ZoneInfo(zone)
    quarters = [utc("2026-01-01T00:00") + n * timedelta(hours=6) for n in range(4 * 365)]
    days = [
        (before, after)
        for before, after in pairwise(quarters)
        if before.astimezone(place).utcoffset() != after.astimezone(place).utcoffset()
    ]
    found = []
    for at, after in days:
        offset = at.astimezone(place).utcoffset()
        while at < after and at.astimezone(place).utcoffset() == offset:
            at += QUARTER  # noqa: PLW2901
        found.append(at)
    return found


CHANGES = [(zone, at) for zone in CHANGING for at in changes_of(zone)]


SEARCHED = timedelta(days=5)


def first_open_minute(now: datetime, start: int, end: int, zones: list[str]) -> datetime | None:
    """The reference: `now`, or the first full minute after it within the hours of all zones; None after `SEARCHED`."""
    hours = {(start + n) % 24 for n in range((end - start) % 24 or 24)}
    places = [ZoneInfo(zone) for zone in zones]
    at = now
    while at < now + SEARCHED:
        if all(at.astimezone(place).hour in hours for place in places):
            return at
        at = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return None


HOURS = st.integers(0, 23)
ANY_TIME = st.tuples(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 20)).map(lambda naive: naive.replace(tzinfo=UTC)),
    HOURS,
    HOURS,
    st.lists(st.sampled_from(CHANGING + STEADY), min_size=1, max_size=4, unique=True),
)
WHEN_CLOCKS_CHANGE = st.builds(
    lambda change, before, start, hours: (
        change[1] - timedelta(minutes=before),
        (change[1].astimezone(ZoneInfo(change[0])).hour + start) % 24,
        (change[1].astimezone(ZoneInfo(change[0])).hour + start + hours) % 24,
        [change[0]],
    ),
    st.sampled_from(CHANGES),
    st.integers(-60, 1500),
    st.integers(-2, 1),
    st.sampled_from([1, 1, 2, 3, 23]),
)


@given(ANY_TIME | WHEN_CLOCKS_CHANGE)
@settings(max_examples=examples(250))
def test_the_first_open_minute_is_found(asked: tuple[datetime, int, int, list[str]]) -> None:
    now, start, end, zones = asked
    found = next_open(now, CallingRule.of_hours(start, end), zones)
    is_later = found is not None and found >= now + SEARCHED  # zones that come to overlap when clocks change
    assert first_open_minute(now, start, end, zones) == (None if is_later else found)


def test_zones_with_clock_changes_have_two_a_year() -> None:
    """Otherwise the test above would cover no clock changes."""
    assert utc("2026-03-08T10:00") in changes_of(LOS_ANGELES)
    assert [len(changes_of(zone)) for zone in (NEW_YORK, "Australia/Lord_Howe")] == [2, 2]
    assert all(changes_of(zone) == [] for zone in STEADY)


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+14155550123", {LOS_ANGELES}),
        ("+919876543210", {"Asia/Calcutta"}),
        ("+12425551234", {"America/Nassau"}),  # not in the data as a number, but its prefix is
        ("+18765551234", {"America/Jamaica"}),
        ("+16585551234", {"America/Jamaica"}),  # its second area code
        ("+551187654321", {"America/Sao_Paulo"}),  # a mobile number without its ninth digit
        ("+77011234567", {"Asia/Almaty", "Asia/Aqtobe"}),  # Kazakhstan, within Russia's country code
        ("+4915112345678", {"Europe/Berlin"}),
        ("+62812345678", {"Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"}),  # mobile numbers tell no place
    ],
)
def test_a_numbers_zones_come_from_its_prefix(number: str, zones: set[str]) -> None:
    assert set(time_zones(number)) == zones


@pytest.mark.parametrize("number", ["+79161234567", "+7916123456", "+78001234567"])
def test_a_russian_mobile_number_may_be_in_all_of_russia(number: str) -> None:
    zones = set(time_zones(number))
    assert {"Europe/Moscow", "Asia/Kamchatka", "Asia/Vladivostok", "Asia/Yekaterinburg"} <= zones
    assert not zones & {"Asia/Almaty", "Asia/Aqtobe"}, "not in Kazakhstan, whose numbers begin with +7 7"


@pytest.mark.parametrize("number", ["+61412345678", "+614123456"])
def test_an_australian_mobile_number_may_be_in_perth(number: str) -> None:
    assert {"Australia/Perth", "Australia/Sydney", "Australia/Brisbane"} <= set(time_zones(number))


@pytest.mark.parametrize("number", ["+14362201234", "+18005551234", "+15002345678"])
def test_an_unknown_north_american_number_may_be_in_the_united_states_or_canada(number: str) -> None:
    """The number may have an area code newer than the data, or be one that indicates no place."""
    zones = set(time_zones(number))
    assert {NEW_YORK, LOS_ANGELES, "America/St_Johns", "America/Adak", "Pacific/Honolulu"} <= zones
    assert not zones & {"Pacific/Guam", "America/Jamaica", "America/Puerto_Rico", "Atlantic/Bermuda"}


@pytest.mark.parametrize("number", ["+870773111632", "+800123456789", "+99999999999999"])
def test_a_code_of_no_country_may_be_anywhere(number: str) -> None:
    assert {NEW_YORK, "Asia/Calcutta", "Asia/Tokyo", "Pacific/Auckland", "Europe/London"} <= set(time_zones(number))


def test_a_number_in_use_has_no_zone_outside_its_country() -> None:
    """For every country's example numbers, the zones are a subset of those that the data give for a valid number.
    Mobile numbers in Indonesia are an exception: their data name Jakarta alone."""
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in phonenumbers.PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None or (region, kind) == ("ID", phonenumbers.PhoneNumberType.MOBILE):
                continue
            number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert set(time_zones(number)) <= set(time_zones_for_number(example)), number


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "Asia/Calcutta"]
)
def test_iana_names_are_zones(name: str) -> None:
    assert check_zone(name) == name


@pytest.mark.parametrize(
    "name", ["America", "Europe/Nowhere", "europe/berlin", "../etc/passwd", "GMT+25", "", "A" * 500]
)
def test_other_names_are_no_zones(name: str) -> None:
    with pytest.raises(ValueError, match="must be an IANA time zone, such as Europe/Berlin"):
        check_zone(name)


def test_offsets_and_clock_changes_are_multiples_of_a_quarter_hour() -> None:
    """This covers every zone that a number may be in, sampled once in every month of two years."""
    months = [datetime(2026 + n // 12, n % 12 + 1, 1, 0, 5, tzinfo=UTC) for n in range(24)]
    for zone in {zone for zones in TIMEZONE_DATA.values() for zone in zones}:
        assert all(not (month.astimezone(ZoneInfo(zone)).utcoffset() or QUARTER) % QUARTER for month in months)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_every_number_has_existing_zones(number: str) -> None:
    assert is_e164(number)
    zones = time_zones(number)
    assert zones
    for zone in zones:
        ZoneInfo(zone)
