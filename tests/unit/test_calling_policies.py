"""`next_open` against a simple reference, minute by minute, in every zone of the world on the days clocks change."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from phonenumbers.tzdata import TIMEZONE_DATA

from redial.domain.calling_window import CallingRule, Placement, next_open, spread

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
ZONES = sorted({zone for zones in TIMEZONE_DATA.values() for zone in zones} - {"Etc/Unknown"})
SPAN = 4 * DAY
"""The period checked around each day, from two days before it."""
ASKED = 12
"""Checks of each policy."""


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@cache
def days_of_change(zone: str) -> list[date]:
    """The days of 2026 on which the zone's clocks change; without changes, one day in each half of the year."""
    place, first = ZoneInfo(zone), date(2026, 1, 1)
    offsets = [midnight(first + n * DAY).astimezone(place).utcoffset() for n in range(366)]
    return [first + n * DAY for n in range(365) if offsets[n] != offsets[n + 1]] or [
        date(2026, 3, 29),
        date(2026, 10, 25),
    ]


@dataclass(frozen=True)
class Local:
    """The wall clock at one minute."""

    day: date
    minute: int


@cache
def wall_clock(zone: str, begin: datetime) -> list[Local]:
    """The wall clock at each minute of `SPAN`."""
    place, minutes = ZoneInfo(zone), int(SPAN / MINUTE)
    local = [(begin + n * MINUTE).astimezone(place) for n in range(minutes)]
    return [Local(one.date(), one.hour * 60 + one.minute) for one in local]


def windows_at(rule: CallingRule, local: Local) -> list[tuple[date, int, int]]:
    """The windows that contain this minute, each with the day on which it began: this day, or the day before for a
    window over midnight."""
    day_before = local.day - DAY
    found = []
    for on, start, end in rule.windows:
        if local.day.weekday() == on and start <= local.minute < end:
            found.append((local.day, start, end))
        if day_before.weekday() == on and local.minute + 1440 < end:
            found.append((day_before, start, end))
    return found


def is_open(rule: CallingRule, local: Local, attempts: list[tuple[date, int, int]]) -> bool:
    """The definition of open: not on an excluded date, in a window that did not begin on one, and in no window that has
    used up its attempts. `attempts`: the windows of each earlier attempt."""
    if local.day in rule.excluded:
        return False
    windows = windows_at(rule, local)
    if rule.per_window and any(attempts.count(window) >= rule.per_window for window in windows):
        return False
    return any(day not in rule.excluded for day, _, _ in windows)


def openings(rule: CallingRule, zones: list[str], begin: datetime, dialled: Sequence[int] = ()) -> list[int | None]:
    """For each minute of `SPAN`, the first minute from it on that is open in all zones; None if there is none within
    it. `dialled`: the minutes of earlier attempts."""
    clocks = [wall_clock(zone, begin) for zone in zones]
    attempts = [[window for minute in dialled for window in windows_at(rule, clock[minute])] for clock in clocks]
    following: list[int | None] = []
    found: int | None = None
    for minute in range(len(clocks[0]) - 1, -1, -1):
        if all(is_open(rule, *of_zone) for of_zone in zip([clock[minute] for clock in clocks], attempts, strict=True)):
            found = minute
        following.append(found)
    return following[::-1]


def policy(chance: random.Random, around: date) -> CallingRule:
    """Windows of any kind: single minutes, whole days, over midnight, overlapping; often around 2:00; some dates."""
    windows = set()
    for _ in range(chance.randint(1, 4)):
        start = chance.choice([chance.randint(0, 1439), 60 * chance.randint(0, 23), chance.randint(0, 240)])
        length = chance.choice([chance.randint(1, 1440), 30, 60, 480])
        for day in chance.sample(range(7), chance.choice([1, 3, 7, 7])):
            windows.add((day, start, start + min(length, 1440)))
    dates = chance.sample([around + n * DAY for n in range(-2, 3)], chance.choice([0, 0, 1, 2]))
    return CallingRule(tuple(sorted(windows)), tuple(sorted(dates)), per_window=chance.choice([0, 0, 1, 2]))


def check(zone: str, policies: int, chance: random.Random) -> int:
    """Compare `policies` random policies on each of the zone's days; return the number of checks."""
    asked = 0
    for day in days_of_change(zone):
        begin = midnight(day - 2 * DAY)
        for number in range(policies):
            zones = [zone, chance.choice(ZONES)] if number % 4 == 3 else [zone]
            rule = policy(chance, day)
            assert CallingRule.parse(str(rule)) == rule
            expected = openings(rule, zones, begin)
            edges = [n + 1 for n in range(len(expected) - 1) if (expected[n] == n) != (expected[n + 1] == n + 1)]
            minutes = [chance.randrange(len(expected)) for _ in range(ASKED)] + chance.sample(edges, min(len(edges), 6))
            for minute in minutes:
                now = begin + minute * MINUTE + timedelta(milliseconds=chance.choice([0, 0, 30_500]))
                if now > begin + minute * MINUTE and expected[minute] != minute:
                    first = expected[minute + 1] if minute + 1 < len(expected) else None
                else:
                    first = expected[minute]
                opens = next_open(now, rule, zones)
                wanted = None if first is None else max(now, begin + first * MINUTE)
                if wanted is None:
                    assert opens is None or opens >= begin + SPAN, (str(rule), zones, now)
                else:
                    assert opens == wanted, (str(rule), zones, now)
                asked += 1
            if rule.per_window:
                asked += check_budget(rule, zones, begin, edges, chance)
    return asked


def check_budget(rule: CallingRule, zones: list[str], begin: datetime, edges: list[int], chance: random.Random) -> int:
    """Compare the rule after one to four attempts at open minutes, the last just before; return the number of
    checks."""
    clocks = [wall_clock(zone, begin) for zone in zones]
    is_in = [n for n in range(len(clocks[0])) if all(is_open(rule, clock[n], []) for clock in clocks)]
    if not is_in:
        return 0
    dialled = sorted(chance.choices(is_in, k=chance.randint(1, 4)))
    expected = openings(rule, zones, begin, dialled)
    last = dialled[-1]
    later = [one for one in edges if one >= last]
    for minute in {last, *chance.sample(range(last, len(expected)), min(ASKED, len(expected) - last)), *later}:
        at = [begin + one * MINUTE for one in dialled]
        opens, first = next_open(begin + minute * MINUTE, rule, zones, dialled=at), expected[minute]
        if first is None:
            assert opens is None or opens >= begin + SPAN, (str(rule), zones, minute, at)
        else:
            assert opens == begin + first * MINUTE, (str(rule), zones, minute, at)
    return 1


SAMPLE = [
    *("America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Chatham", "Africa/Cairo"),
    *("Africa/Casablanca", "America/Santiago", "Asia/Calcutta", "America/St_Johns", "Asia/Beirut"),
    *random.Random(1).sample(ZONES, 10),
]
"""Zones with clock changes of each kind, and some more."""


@pytest.mark.parametrize("zone", sorted(set(SAMPLE)))
def test_the_first_open_minute_of_a_policy_is_found(zone: str) -> None:
    assert check(zone, 4, random.Random(zone)) >= 2 * 4 * ASKED


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(10))
def test_the_first_open_minute_is_found_in_all_zones_of_the_world(part: int) -> None:
    """This covers some 10,000 policies."""
    chance = random.Random(part)
    for zone in ZONES[part::10]:
        check(zone, 16, chance)
        wall_clock.cache_clear()


# ---- the days on which clocks change ------------------------------------------------------------------------------


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        # New York, 8 March 2026: 2:00 becomes 3:00 at 7:00 UTC
        ("2:30-5", "2026-03-08T05:00", "2026-03-08T07:00"),  # 2:30 does not exist: as the clock jumps
        ("2-2:30", "2026-03-08T05:00", "2026-03-09T06:00"),  # does not exist at all: the next day
        ("1-2:30", "2026-03-08T07:00", "2026-03-09T05:00"),  # over as the clock jumps
        ("22-3", "2026-03-08T07:00", "2026-03-09T02:00"),
        # 1 November 2026: 2:00 becomes 1:00 at 6:00 UTC
        ("1-1:30", "2026-11-01T05:29", "2026-11-01T05:29"),
        ("1-1:30", "2026-11-01T05:30", "2026-11-01T06:00"),  # 1:00 comes again
        ("1-1:30", "2026-11-01T06:30", "2026-11-02T06:00"),
        ("su 0-24", "2026-11-02T04:59", "2026-11-02T04:59"),  # that Sunday has 25 hours
    ],
)
def test_the_wall_clock_decides_when_clocks_change(text: str, now: str, opens: str) -> None:
    assert next_open(utc(now), CallingRule.parse(text), ["America/New_York"]) == utc(opens)


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        ("9-18 not 2026-01-27", "2026-01-26T18:00", "2026-01-28T09:00"),
        ("22-2 not 2026-01-27", "2026-01-26T23:30", "2026-01-26T23:30"),
        ("22-2 not 2026-01-27", "2026-01-27T00:00", "2026-01-28T22:00"),  # nor the rest of the night
        ("22-2 not 2026-01-27", "2026-01-28T00:30", "2026-01-28T22:00"),  # no window began on that date
        ("0-24 not 2026-01-26", "2026-01-26T10:00", "2026-01-27T00:00"),
        ("mo 9-10 not 2026-01-26,2026-02-02,2026-02-09,2026-02-16", "2026-01-26T09:00", "2026-02-23T09:00"),
    ],
)
def test_nothing_is_placed_on_excluded_dates(text: str, now: str, opens: str) -> None:
    assert next_open(utc(now), CallingRule.parse(text), ["UTC"]) == utc(opens)


# ---- the position within the window -------------------------------------------------------------------------------


def test_ten_thousand_calls_are_spread_evenly_over_the_first_minutes() -> None:
    rule = CallingRule.parse("9-18 spread 15")
    opens = utc("2026-01-26T09:00")
    times = [spread(opens, rule, ["UTC"], f"call {n}") for n in range(10_000)]
    minutes = [sum((one - opens) // MINUTE == minute for one in times) for minute in range(15)]
    assert sum(minutes) == len(times)
    assert min(minutes) > 550 and max(minutes) < 800
    assert times == [spread(opens, rule, ["UTC"], f"call {n}") for n in range(10_000)]


def test_calls_are_spread_over_the_window_at_most() -> None:
    """London's window ends ten minutes after Kathmandu's has begun."""
    rule, zones = CallingRule.parse("9:00-14:55 spread 60"), ["Europe/London", "Asia/Kathmandu"]
    opens = next_open(utc("2026-01-26T01:00"), rule, zones)
    assert opens == utc("2026-01-26T09:00")
    times = [spread(opens, rule, zones, f"call {n}") for n in range(1000)]
    assert opens <= min(times) and max(times) < utc("2026-01-26T09:10")


def test_hours_that_were_tried_are_left_out_in_every_zone() -> None:
    rule, zones = CallingRule.parse("9-12 rotate"), ["Europe/London", "Europe/Paris"]
    assert rule.placement is Placement.ROTATE
    now = utc("2026-01-26T09:30")  # 9:30 in London, 10:30 in Paris
    assert next_open(now, rule, zones) == now
    assert next_open(now, rule, zones, [now]) == utc("2026-01-26T10:00"), "10:00 in London, 11:00 in Paris"
    assert next_open(now, rule, zones, [now, now + timedelta(hours=1)]) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9-18", "9-18"),
        ("mo-fr 9-12:30,14-18 sa 10-14 not 2026-12-24,2026-12-25 spread 15", "sa 10-14"),
        ("mo-we 9-10 fr 22:30-2", "mo-we 9-10 fr 22:30-2"),
        ("mo-fr 9:15-12,13:05-17:45 fr 22-24 sa 0-2", ""),
    ],
)
def test_a_long_rule_is_recorded_as_the_window_that_is_open(text: str, words: str) -> None:
    saturday_noon = utc("2026-01-31T12:00")
    rule = CallingRule.parse(text)
    assert rule.in_short(saturday_noon, "UTC") == words
    assert not any(letter.isupper() for letter in str(rule))
