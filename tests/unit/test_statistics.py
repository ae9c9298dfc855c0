"""Counts of finished attempts: what an execution adds, what the totals say, and how they are stored."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from local import ROOT
from redial.adapters.dynamodb.statistics import pack, unpack
from redial.domain.execution import Execution
from redial.domain.outcome import BLOCKED, DECLINED, CallReport, Outcome, Price
from redial.domain.statistics import (
    DOLLARS_PER_1000_ATTEMPTS,
    Dimension,
    Rate,
    Statistics,
    advice,
    counted,
    gap_of,
    gap_range,
    value_in_words,
    wilson,
)
from redial.domain.status import Status
from redial.domain.termination import CallOutcome
from redial.usecases.count_attempts import collect
from redial.wire.stored_execution import decode, encode
from tests.support.samples import RETRIES, TEN, call_id, minutes, placed, queued


def ended(execution: Execution, outcome: Outcome, at_minutes: float) -> Execution:
    """The execution after its current attempt was dialled half a minute before `at_minutes`, and ended then."""
    number = execution.state.attempt.number
    called = placed(execution, TEN + minutes(at_minutes - 0.5))
    report = CallReport(call_id(number), outcome.status, outcome)
    return called.reported(number, report, TEN + minutes(at_minutes))


NO_ANSWER = Outcome(Status.NO_ANSWER)
ANSWERED = Outcome(Status.COMPLETED, duration_seconds=10)


def test_an_attempt_counts_once_in_each_dimension_and_for_the_day_of_the_first_dial() -> None:
    first = ended(queued(), NO_ANSWER, 1)
    assert counted(queued()) is None
    found = counted(first)
    assert found is not None
    day, cells = found
    assert day == TEN.date()
    # +1 415 is San Francisco: 10:00 UTC on Monday is 2:00 there
    assert cells == {"n1=n": 1, "oUS=n": 1, "h0.02=n": 1, "c+14155550100=n": 1}

    second = counted(ended(first, ANSWERED, 31))
    assert second is not None
    assert second[0] == day
    assert second[1] - cells == {"n2=a": 1, "oUS=a": 1, "h0.02=a": 1, "c+14155550100=a": 1, "g1=a": 1, "pn=a": 1}


def test_a_retry_after_midnight_counts_for_the_day_of_its_contact() -> None:
    late = replace(queued(), created_at=TEN + timedelta(hours=13))
    first = ended(late, NO_ANSWER, 14 * 60 - 1)
    second = ended(first, NO_ANSWER, 14 * 60 + 60)
    found = counted(second)
    assert found is not None
    assert found[0] == TEN.date()
    assert found[1]["n2=n"] == 1


def test_a_number_that_may_be_in_zones_of_other_hours_has_no_local_hour() -> None:
    toll_free = replace(queued(), user_number="+18005550123")
    named = replace(toll_free, time_zone="America/New_York")
    for execution, hours in ((toll_free, []), (named, ["h0.05=n"])):
        found = counted(ended(execution, NO_ANSWER, 1))
        assert found is not None
        assert [cell for cell in found[1] if cell.startswith("h")] == hours


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ANSWERED, CallOutcome.ANSWERED),
        (Outcome(Status.COMPLETED, voicemail=True), CallOutcome.VOICEMAIL),
        (Outcome(Status.BUSY), CallOutcome.BUSY),
        (Outcome(Status.BUSY, code=DECLINED), CallOutcome.DECLINED),
        (Outcome(Status.FAILED, code=BLOCKED), CallOutcome.BLOCKED),
        (Outcome(Status.FAILED, code="503"), CallOutcome.FAILED),
        (Outcome(Status.BALANCE_LOW), CallOutcome.FAILED),
        (Outcome(Status.CANCELED), CallOutcome.CANCELED),
        (Outcome(Status.ERROR), CallOutcome.ERROR),
    ],
)
def test_outcomes_are_finer_than_statuses(outcome: Outcome, expected: CallOutcome) -> None:
    found = counted(ended(queued(None), outcome, 1))
    assert found is not None
    assert Statistics.total([found[1]]).totals == {expected: 1}


def test_differences_of_all_changes_equal_a_recount() -> None:
    states: list[Execution | None] = [None]
    execution = queued()
    states.append(execution)
    priced = Outcome(Status.COMPLETED, price=Price(14_000, "USD"))
    for minute, outcome in ((1, NO_ANSWER), (31, priced), (32, NO_ANSWER)):
        if execution.state.is_final:
            break
        states.append(placed(execution, TEN + minutes(minute - 0.5)))
        execution = ended(execution, outcome, minute)
        states.append(execution)
    late = CallReport(call_id(2), Status.COMPLETED, Outcome(Status.COMPLETED, voicemail=True), voicemail=True)
    states.append(execution.reported(2, late, TEN + minutes(33)))  # the answer turns out to be a machine's
    window: dict[str, object] = {}
    for number, (before, after) in enumerate(itertools.pairwise(states)):
        assert after is not None
        for _ in range(2):  # each record arrives twice
            collect(window, before, after, f"{number:040d}")
    sums = window["sums"]
    assert isinstance(sums, dict)
    final = states[-1]
    assert final is not None
    recount = counted(final)
    assert recount is not None
    assert set(sums) == {final.account_id, final.agent_id}
    for days in sums.values():
        assert {cell: count for cell, count in days[recount[0].isoformat()].items() if count} == recount[1]
    assert recount[1]["n2=v"] == 1
    assert (recount[1]["mUSD=n"], recount[1]["mUSD=x"]) == (1, 14_000)
    assert decode(encode(final)).state.attempts[1].price == Price(14_000, "USD")


def test_a_change_that_ends_no_attempt_does_not_ask_where_the_number_is(monkeypatch: pytest.MonkeyPatch) -> None:
    over = ended(queued(), NO_ANSWER, 1)
    dialled_again = placed(over, TEN + minutes(31))
    window: dict[str, object] = {}
    monkeypatch.setattr("redial.domain.statistics._place", None)
    for before, after in ((None, queued()), (queued(), placed(queued(), TEN)), (over, dialled_again)):
        collect(window, before, after, "1")
    assert window == {}


def test_a_price_outlasts_the_wait_for_machine_detection() -> None:
    waiting = ended(
        queued(replace(RETRIES, retry_on_voicemail=True)), Outcome(Status.COMPLETED, price=Price(1, "EUR")), 1
    )
    assert waiting.state.status is Status.CALL_DISCONNECTED
    machine = CallReport(call_id(1), Status.IN_PROGRESS, voicemail=True)
    over = counted(waiting.reported(1, machine, TEN + minutes(2)))
    assert over is not None
    assert (over[1]["n1=v"], over[1]["mEUR=x"]) == (1, 1)


def test_prices_by_currency() -> None:
    cells = {"n1=a": 2, "n1=n": 3, "mUSD=n": 2, "mUSD=x": 28_000, "mEUR=n": 1}
    assert unpack(pack(cells)) == cells
    found = Statistics(cells)
    assert found.prices == {"EUR": (1, Price(0, "EUR")), "USD": (2, Price(28_000, "USD"))}
    assert found.totals == {CallOutcome.ANSWERED: 2, CallOutcome.NO_ANSWER: 3}
    assert Statistics({"n1=a": 1}).prices == {}


@pytest.mark.parametrize(
    ("amount", "currency", "price"),
    [
        ("-0.01400", "USD", Price(14_000, "USD")),
        (0.1, "eur", Price(100_000, "EUR")),
        (0, "USD", Price(0, "USD")),
        (None, "USD", None),
        ("0.1", None, None),
        ("0.1", "US", None),
        ("nan", "USD", None),
        ("inf", "USD", None),
        ("1e99999999", "USD", None),
        ("much", "USD", None),
        (True, "USD", None),
        ([1], "USD", None),
    ],
)
def test_a_carriers_price(amount: object, currency: object, price: Price | None) -> None:
    assert Price.read(amount, currency) == price
    assert price is None or Price.parse(str(price)) == price


def test_the_list_price_is_the_readmes() -> None:
    assert (
        f"| List price per 1,000 unanswered attempts | ${DOLLARS_PER_1000_ATTEMPTS} |"
        in (ROOT / "README.md").read_text()
    )


def test_erasing_a_contact_takes_nothing_back() -> None:
    window: dict[str, object] = {}
    over = ended(replace(queued(None), batch_id="b" * 32, row=1), NO_ANSWER, 1)
    collect(window, over, over.erase(), "1")
    assert window == {}


def test_packing_keeps_the_counts_and_a_busy_day_takes_little() -> None:
    cells = Counter(
        {f"h{day}.{hour:02d}={letter}": 1000 + hour for day in (1, 2) for hour in range(24) for letter in "anvbf"}
    )
    cells |= Counter({f"n{number}=a": 10_000 for number in range(1, 5)} | {"c+12025550123=a": -1, "oUS=n": 3})
    assert unpack(pack(cells)) == cells
    assert len(pack(cells)) < 1024
    assert unpack(pack({"n1=a": 0})) == {}


def test_the_gaps_cover_every_number_of_minutes_once() -> None:
    for minute in range(10_000):
        low, high = gap_range(gap_of(minute))
        assert (low is None or low <= minute) and (high is None or minute < high)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1000, 0.00018, 0.00564), (10, 10, 0.7225, 1.0)],
)
def test_wilsons_interval_as_published(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


def of(**attempts: tuple[int, int]) -> Statistics:
    """Statistics with (attempts, answers) by attempt: n1, n2 …"""
    cells: dict[str, int] = {}
    for name, (count, answers) in attempts.items():
        cells |= {f"{name}=a": answers, f"{name}=n": count - answers}
    return Statistics.total([cells])


def test_the_reach_is_of_the_contacts_of_the_first_attempt() -> None:
    found = of(n1=(1000, 300), n2=(700, 70))
    assert found.reach == {1: Rate(1000, 300), 2: Rate(1000, 370)}
    assert found.rates(Dimension.ATTEMPT)["2"] == Rate(700, 70)


def test_advice_tells_what_a_retry_costs() -> None:
    assert "The third retry reached 1.1 % of 4,210: 47 people for 4,163 calls without an answer." in advice(
        of(n1=(9000, 3000), n4=(4210, 47))
    )


def test_advice_says_when_it_is_not_enough_yet() -> None:
    assert advice(of(n1=(99, 9))) == ["Not enough yet: 99 attempts counted, 100 first attempts tell something."]
    assert advice(Statistics({}))[0].startswith("Not enough yet: 0 attempts")
    assert advice(of(n1=(200, 9), n2=(20, 1))) == ["The first retry: not enough yet, 20 attempts."]


def test_advice_compares_only_what_differs_beyond_chance() -> None:
    near = of(n1=(500, 100), g0=(200, 20), g7=(200, 22))
    far = of(n1=(500, 100), g0=(200, 10), g7=(200, 60))
    assert len(advice(near)) == 0
    assert advice(far) == [
        (
            "Retries after 1 day to 3 days reached 30.0 % of 200, retries within 15 minutes 5.0 % of 200:"
            " the difference is more than chance."
        )
    ]


def test_values_in_words() -> None:
    assert value_in_words(Dimension.HOUR, "0.09") == "on Mon at 9:00"
    assert value_in_words(Dimension.GAP, "8") == "after 3 days or more"
    assert value_in_words(Dimension.BEFORE, "v") == "after voicemail"
