"""Plans: intervals of spread calls, limits, another call to the number, expiry, and warnings."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from redial.domain.called_number import Contact
from redial.domain.calling_window import CallingRule, Placement
from redial.domain.contact_limits import ContactHistory, ContactLimits
from redial.domain.decision import Gate
from redial.domain.execution import Execution
from redial.domain.gates import Facts
from redial.domain.plan import Plan, plan, warnings
from redial.domain.retry import RetryConfig
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, agent, minutes, seconds

BERLIN = "+493012345678"


def waiting(execution_id: str = "0" * 8, **fields: Any) -> Execution:
    call = Execution(execution_id, ACCOUNT_ID, AGENT_ID, TEN, BERLIN)
    return replace(call, **fields).begin(TEN, None)


def facts(execution: Execution, **fields: Any) -> Facts:
    return Facts(**{"now": TEN, "execution": execution, "agent": agent(), **fields})


def retries(*intervals: int) -> RetryConfig:
    return RetryConfig(enabled=True, max_retries=len(intervals), retry_intervals_minutes=intervals)


def instants(made: Plan) -> list[datetime]:
    return [one.earliest_at for one in made.attempts]


# ---- spread calls -------------------------------------------------------------------------------------------------


def rule(chance: random.Random) -> CallingRule:
    """Short windows with short gaps, so that a retry comes near their ends."""
    windows = []
    for day in range(7):
        minute = chance.randint(0, 60)
        while minute < 1380:
            end = minute + chance.randint(5, 120)
            windows.append((day, minute, end))
            minute = end + chance.randint(1, 90)
    minutes, most = chance.randint(1, 60), chance.choice([0, 0, 1, 2])
    return CallingRule(tuple(windows), placement=Placement.SPREAD, spread_minutes=minutes, per_window=most)


def test_each_calls_own_second_is_within_the_interval_of_a_plan_that_does_not_know_it() -> None:
    """This includes calls that are due a second later but dialled earlier, because they come after the opening."""
    chance, wide = random.Random(4), 0
    for _ in range(20):
        config = retries(*(chance.choice([1, 7, 30, 95, 240]) for _ in range(3)))
        call = waiting(retry_config=config, calling_rule=str(rule(chance)))
        unknown = plan(facts(call, spread_second=0))
        for _ in range(12):
            known = plan(facts(replace(call, id=f"{chance.getrandbits(128):032x}")))
            assert len(known.attempts) == len(unknown.attempts)
            for one, interval in zip(known.attempts, unknown.attempts, strict=True):
                assert one.latest_at == one.earliest_at
                assert interval.latest_at is not None
                assert interval.earliest_at <= one.earliest_at <= interval.latest_at
                wide += interval.earliest_at < interval.latest_at
    assert wide > 200


def test_a_call_due_just_before_an_opening_is_dialled_later_than_one_due_just_after_it() -> None:
    """The call is due between 10:25:30 and 10:40:29; the window opens again at 10:35."""
    call = waiting(calling_rule="11:05-11:25,11:35-12 spread 15", retry_config=retries(20))
    attempts = plan(facts(call, spread_second=0)).attempts
    assert [one.earliest_at for one in attempts] == [TEN + minutes(5), TEN + minutes(35)]
    assert [one.latest_at for one in attempts] == [TEN + minutes(20) - seconds(1), TEN + minutes(50) - seconds(1)]


# ---- limits, other calls, expiry ----------------------------------------------------------------------------------


def test_earlier_attempts_and_those_of_the_plan_count_for_limits() -> None:
    limits = ContactLimits(((2, timedelta(hours=24)),))
    call, before = waiting(retry_config=retries(60, 60)), TEN - minutes(600)
    some = facts(call, account_limits=limits, contact=Contact(ContactHistory((before,))))
    made = plan(some)
    assert [(one.earliest_at, [by.rule for by in one.moved_by]) for one in made.attempts] == [
        (TEN, []),
        (before + timedelta(hours=24), ["account 2/24h"]),
        (TEN + timedelta(hours=24, milliseconds=1), ["account 2/24h"]),
    ]
    reason = "the account's contact limit 2/24h does not allow another attempt yet"
    assert [one for one in warnings(made, some) if "contact limit" in one] == [
        f"attempt 2 waits until 2026-01-27 00:00 UTC: {reason}",
        f"attempt 3 waits until 2026-01-27 10:00 UTC: {reason}",
    ]


def test_another_call_to_the_number_is_taken_to_be_over_at_the_next_check() -> None:
    some = facts(waiting(retry_config=retries(60)), contact=Contact(live="another"))
    made = plan(some)
    assert [[by.gate for by in one.moved_by] for one in made.attempts] == [[Gate.ONE_CALL], []]
    assert minutes(1) <= made.attempts[0].earliest_at - TEN < minutes(5)
    assert "another call to the number" in next(iter(warnings(made, some)))


def test_a_limit_that_ends_calls_ends_the_plan() -> None:
    limits = ContactLimits.parse("1/24h end")
    some = facts(waiting(retry_config=retries(60, 60)), account_limits=limits)
    made = plan(some)
    assert (instants(made), made.most_calls) == ([TEN], 1)
    assert list(warnings(made, some))[-1].startswith("attempt 2 is not dialled: the account's contact limit 1/24h")


@pytest.mark.parametrize(
    ("expires_at", "calling_rule", "attempts", "why"),
    [
        (TEN + minutes(60), None, 1, "expired at 2026-01-26T11:00:00Z, before the retry at 2026-01-26T11:00:30Z"),
        (
            TEN
            + minutes(
                60,
            ),
            "12:30-13",
            0,
            "expired at 2026-01-26T11:00:00Z, before 2026-01-26T11:30:00Z: outside",
        ),
        (TEN + minutes(61), None, 2, "the retry is used"),
    ],
)
def test_nothing_is_planned_after_the_expiry(
    expires_at: datetime, calling_rule: str | None, attempts: int, why: str
) -> None:
    some = facts(waiting(retry_config=retries(60), expires_at=expires_at, calling_rule=calling_rule))
    made = plan(some)
    assert (len(made.attempts), made.ends_because[: len(why)]) == (attempts, why)
    told = [one for one in warnings(made, some) if "is not dialled" in one]
    assert told == ([] if attempts == 2 else [f"attempt {attempts + 1} is not dialled: {made.ends_because}"])


def test_calls_that_end_sooner_may_be_more() -> None:
    """With calls of 30 seconds the retry is half a minute after the expiry."""
    some = facts(waiting(retry_config=retries(60), expires_at=TEN + minutes(60) + seconds(10)))
    made = plan(some)
    assert (len(made.attempts), made.most_calls) == (1, 2)
    assert made.call_time == seconds(30)


def test_a_deleted_agent_ends_the_plan() -> None:
    some = facts(waiting(), agent=None)
    made = plan(some)
    assert (made.attempts, made.ends_because) == ((), "agent deleted")


def test_the_gates_that_need_no_line_are_asked_first() -> None:
    """As in dial: a call that expires before its hours open ends for that reason, even if a limit is reached too."""
    call = waiting(expires_at=TEN + minutes(60), calling_rule="12:30-13")
    reached = Contact(ContactHistory((TEN - minutes(1),)))
    made = plan(facts(call, account_limits=ContactLimits.parse("1/7d"), contact=reached))
    assert "outside calling hours 12:30-13" in made.ends_because
