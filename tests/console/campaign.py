"""A campaign of some thousand contacts, as the counts that `tally` would store, for the screen Learn."""

from collections import Counter
from datetime import timedelta
from random import Random

from redial.adapters.dynamodb.statistics import DynamoStatistics
from redial.domain.statistics import gap_of
from tests.support.local_stack import NOON, LocalClient

DAYS = 14
_CALLER_IDS = ("+12025550100", "+12025550101")
_COUNTRIES = ("US", "US", "US", "US", "CA")
_GAPS_MINUTES = (20, 90, 300)
_NOT_ANSWERED = {"n": 45, "b": 18, "v": 25, "d": 5, "f": 7}
"""Outcomes other than an answer, by their letters, with weights."""


def count_campaign(local: LocalClient, contacts: int = 4000, seed: int = 7) -> None:
    """Store the counts for the account and its first agent. Calls in the evening are answered more often, and so are
    calls after longer gaps. The carrier charges 2 cents for an answered attempt and 0.4 cents for any other."""
    random = Random(seed)
    days: dict[int, Counter[str]] = {}
    for _ in range(contacts):
        day = random.randrange(DAYS)
        weekday = (NOON - timedelta(days=day)).weekday()
        if weekday == 6 and random.random() < 0.9:
            continue
        cells = days.setdefault(day, Counter())
        minute = random.randrange(12 * 60, 18 * 60)
        before, caller, country = "", random.choice(_CALLER_IDS), random.choice(_COUNTRIES)
        for attempt in range(1, 5):
            gap = _GAPS_MINUTES[attempt - 2]
            minute += gap if attempt > 1 else 0
            hour = minute // 60
            if hour > 19:
                break
            chance = 0.19 + 0.035 * max(0, hour - 14) - (0.06 if before == "b" else 0) - (0.05 if attempt == 4 else 0)
            answered = random.random() < chance
            outcome = "a" if answered else random.choices(list(_NOT_ANSWERED), list(_NOT_ANSWERED.values()))[0]
            values = [f"n{attempt}", f"h{weekday}.{hour:02d}", f"c{caller}", f"o{country}"]
            values += [f"g{gap_of(gap)}", f"p{before}"] if before else []
            cells.update(f"{value}={outcome}" for value in values)
            cells.update({"mUSD=n": 1, "mUSD=x": 20_000 if answered else 4_000})
            if outcome in "af":
                break
            before = outcome
    store = DynamoStatistics(local.stack.aws.client("dynamodb"), local.stack.environment["TABLE_NAME"])
    for day, cells in days.items():
        for scope in ("local", local.stack.agent_id):
            assert store.add(scope, (NOON - timedelta(days=day)).date(), cells, "campaign", "1", NOON)
