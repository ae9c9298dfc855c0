"""The predicted end of a batch: the simulation in large steps, compared with one of single calls."""

import heapq
from datetime import UTC, datetime, timedelta

import pytest

from redial.domain.calling_window import CallingRule, closes, next_open
from redial.domain.finish import Assumed, Contacts, finish

MONDAY = datetime(2026, 1, 26, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NEW_YORK, TOKYO = ("America/New_York",), ("Asia/Tokyo",)
NINE_TO_FIVE = CallingRule.of_hours(9, 17)


def one_by_one(start: datetime, contacts: list[Contacts], rule: CallingRule | None, assumed: Assumed) -> datetime:
    """When the batch ends if every call takes the first free line and holds it for exactly `hold`. Of calls that are
    due at once, retries go first."""
    waiting = [(start, -1, zones) for number, zones in contacts for _ in range(number)]
    heapq.heapify(waiting)
    lines = [start] * assumed.lines
    ended = next_start = start
    while waiting:
        due, minus_attempt, zones = heapq.heappop(waiting)
        attempt = -minus_attempt
        at = max(due, lines[0], next_start)
        opening = at if rule is None else next_open(at, rule, zones)
        assert opening is not None
        if opening > at:
            heapq.heappush(waiting, (opening, -attempt, zones))
            continue
        heapq.heapreplace(lines, at + assumed.hold)
        ended = max(ended, at + assumed.hold)
        if assumed.per_second is not None:
            next_start = at + timedelta(seconds=1 / assumed.per_second)
        if attempt < assumed.attempts:
            heapq.heappush(waiting, (at + assumed.hold + assumed.intervals[attempt - 1], -attempt - 1, zones))
    return ended


@pytest.mark.parametrize("rule", [None, NINE_TO_FIVE, CallingRule.parse("9-9:30,16-17"), CallingRule.parse("mo 9-10")])
@pytest.mark.parametrize(
    "assumed",
    [
        Assumed(30 * timedelta(seconds=1), 1, 2),
        Assumed(MINUTE, 1, 5, 0.05),
        Assumed(MINUTE, 3, 3, None, [20 * MINUTE, HOUR]),
        Assumed(MINUTE, 4, 100, 0.5, [MINUTE, MINUTE, 24 * HOUR]),
    ],
)
@pytest.mark.parametrize("contacts", [[Contacts(300, NEW_YORK)], [Contacts(90, NEW_YORK), Contacts(110, TOKYO)]])
def test_large_steps_end_as_calls_played_one_by_one(
    rule: CallingRule | None, assumed: Assumed, contacts: list[Contacts]
) -> None:
    """Except for a call or two that just fit into a window or just do not: so the end lies between those of fewer and
    more calls."""
    exact = one_by_one(MONDAY, contacts, rule, assumed)
    fewer, more = (
        finish(MONDAY, [Contacts(round(one.number * part), one.zones) for one in contacts], rule, assumed)
        for part in (0.97, 1.03)
    )
    assert fewer is not None and more is not None
    assert fewer - 3 * MINUTE <= exact <= more + 3 * MINUTE
    if rule is None:
        assert more - fewer <= 0.1 * (exact - MONDAY) + 3 * MINUTE


def test_a_million_contacts_take_few_steps() -> None:
    contacts = [Contacts(500_000, NEW_YORK), Contacts(500_000, TOKYO)]
    found = finish(MONDAY, contacts, NINE_TO_FIVE, Assumed(MINUTE, 1, 1000))
    assert found is not None
    assert timedelta(days=1) < found - MONDAY < timedelta(days=2), "a thousand minutes, in two windows of eight hours"


def test_a_step_ends_where_the_windows_close() -> None:
    """A step is four and a half minutes long here, and 28 calls are made per day."""
    found = finish(MONDAY, [Contacts(9000, NEW_YORK)], CallingRule.parse("9-9:28"), Assumed(MINUTE, 1, 1))
    assert found is not None
    assert 9000 / 28 - 2 < (found - MONDAY).days < 9000 / 28 + 2


def test_an_end_that_is_too_far_off_is_none() -> None:
    assert finish(MONDAY, [Contacts(100_000, NEW_YORK)], CallingRule.parse("mo 9-9:30"), Assumed(HOUR, 1, 1)) is None


def test_without_contacts_it_ends_as_it_starts() -> None:
    assert finish(MONDAY, [], NINE_TO_FIVE, Assumed(MINUTE, 4, 1)) == MONDAY


def test_closed_contacts_use_up_starts_of_the_batchs_rate() -> None:
    contacts = [Contacts(100, NEW_YORK), Contacts(1, ("Europe/Berlin",))]
    assumed = Assumed(MINUTE, 1, 10, 0.1, waits_for_rate=True)
    rule = CallingRule.parse("13-14")
    found = finish(MONDAY, contacts, rule, assumed)
    assert found is not None and found > MONDAY + timedelta(seconds=1000)


# ---- the end of windows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "at", "zones", "closing"),
    [
        ("9-17", "2026-01-26T20:30", NEW_YORK, "2026-01-26T22:00"),
        ("9-12,12-17", "2026-01-26T16:30", NEW_YORK, "2026-01-26T22:00"),
        ("9-17", "2026-01-26T20:30:40", (*NEW_YORK, "America/Chicago"), "2026-01-26T22:00"),
        ("22-6", "2026-01-26T23:00", ("UTC",), "2026-01-27T06:00"),
        ("22-6 not 2026-01-27", "2026-01-26T23:00", ("UTC",), "2026-01-27T00:00"),
        ("0-0", "2026-01-26T23:00", ("UTC",), "2026-02-02T23:00"),
        ("1-5", "2026-03-29T00:30", ("Europe/Berlin",), "2026-03-29T03:00"),
        ("1-5", "2026-10-24T23:30", ("Europe/Berlin",), "2026-10-25T04:00"),
    ],
)
def test_windows_close(rule: str, at: str, zones: tuple[str, ...], closing: str) -> None:
    now = datetime.fromisoformat(at + "+00:00")
    assert closes(now, CallingRule.parse(rule), zones) == datetime.fromisoformat(closing + "+00:00")
