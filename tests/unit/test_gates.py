"""The gates: what each decides, in which order, how decisions are recorded, and what `earliest` predicts."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.domain.agent import Agent
from redial.domain.batch import Batch, BatchStatus, contact
from redial.domain.calling_window import CallingRule, Placement, next_open
from redial.domain.decision import (
    Decision,
    Gate,
    Verdict,
    canceled,
    failed,
    held,
    opens,
    record,
    recorded,
    stopped,
    waits,
)
from redial.domain.execution import LATEST_START, Execution, Marker
from redial.domain.gates import GATES, Facts, ask, earliest, from_number
from redial.domain.phone_number import time_zones
from redial.domain.status import Status
from redial.wire.execution_json import log
from redial.wire.stored_execution import decode, encode
from tests.support.samples import (
    ACCOUNT_ID,
    AGENT_ID,
    CALLER_ID,
    NUMBER,
    TEN,
    agent,
    minutes,
    placed,
    queued,
    reported,
    seconds,
)

BATCH_ID = "b" * 32
LONDON = "+442079460123"


def facts(execution: Execution | None = None, **changes: Any) -> Facts:
    return Facts(**{"now": TEN, "execution": execution or queued(), "agent": agent(), **changes})


def running(**changes: Any) -> Batch:
    batch = Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, TEN - minutes(60), "people.csv").begin(TEN - minutes(60), True)
    return replace(batch.processed(1, 1, TEN - minutes(59)).run(TEN - minutes(58)), **changes)


def of_batch() -> Execution:
    return replace(queued(), batch_id=BATCH_ID, row=1)


def last(some: Facts) -> Decision:
    return ask(GATES, some)[-1]


def of_gate(some: Facts, gate: Gate) -> Decision:
    return next(one for one in ask(GATES, some) if one.gate is gate)


def test_an_open_attempt_passes_every_gate_in_order() -> None:
    decisions = ask(GATES, facts())
    assert [one.gate for one in decisions] == list(Gate)[: len(GATES)]
    assert all(one.allows for one in decisions)


@pytest.mark.parametrize(
    ("some", "gate", "verdict", "reason"),
    [
        (facts(agent=None), Gate.AGENT, Verdict.END, "agent deleted"),
        (facts(agent=agent(deleted_at=TEN)), Gate.AGENT, Verdict.END, "agent deleted"),
        (facts(agent=agent(stopped_before=TEN)), Gate.STOP, Verdict.END, "agent stopped"),
        (facts(of_batch()), Gate.STOP, Verdict.END, "batch deleted"),
        (
            facts(of_batch(), batch=running().stop(TEN, "stopped by request", {})),
            Gate.STOP,
            Verdict.END,
            "batch stopped",
        ),
        (facts(of_batch(), batch=running(paused=True)), Gate.PAUSE, Verdict.DEFER, "batch paused"),
        (
            facts(queued(scheduled_at=TEN), now=TEN + LATEST_START + seconds(1)),
            Gate.EXPIRY,
            Verdict.END,
            "could not be placed within 24 hours of its time",
        ),
        (
            facts(agent=agent(answer_url=None)),
            Gate.INSTRUCTIONS,
            Verdict.END,
            "neither the agent nor the account has an answer_url or a stream_url",
        ),
        (
            facts(agent=agent(from_phone_numbers=())),
            Gate.CALLER_ID,
            Verdict.END,
            "none of the agent and the account has from_phone_numbers",
        ),
        (
            facts(of_batch(), batch=running(), agent=agent(from_phone_numbers=())),
            Gate.CALLER_ID,
            Verdict.END,
            "none of the batch, the agent and the account has from_phone_numbers",
        ),
        (
            facts(replace(queued(), user_number=LONDON), agent=agent(call_start_hour=11, call_end_hour=18)),
            Gate.CALLING_WINDOW,
            Verdict.DEFER,
            "outside calling hours 11-18 of Europe/London",
        ),
    ],
)
def test_a_closed_gate_says_what_and_why(some: Facts, gate: Gate, verdict: Verdict, reason: str) -> None:
    decision = last(some)
    assert (decision.gate, decision.verdict, decision.reason) == (gate, verdict, reason)


def test_the_first_closed_gate_decides() -> None:
    both = facts(of_batch(), batch=running(paused=True), agent=agent(from_phone_numbers=()))
    assert [one.gate for one in ask(GATES, both)] == [Gate.AGENT, Gate.STOP, Gate.PAUSE]


def test_guardrails_that_are_bypassed_leave_a_trace() -> None:
    closed = agent(call_start_hour=11, call_end_hour=18)
    by_call = facts(replace(queued(), bypass_call_guardrails=True), agent=closed)
    by_batch = facts(of_batch(), batch=running(bypass_call_guardrails=True), agent=closed)
    for some in (by_call, by_batch):
        assert of_gate(some, Gate.CALLING_WINDOW) == Decision(Gate.CALLING_WINDOW, rule="bypassed")


@pytest.mark.parametrize("first", [queued(), of_batch()], ids=["single", "contact"])
def test_a_retry_calls_from_another_number(first: Execution) -> None:
    both = agent(from_phone_numbers=(CALLER_ID, "+14155550101"))
    retry = reported(placed(first, TEN), Status.NO_ANSWER, TEN + minutes(1))
    assert retry.state.attempt.number == 2
    assert {from_number(first, both, None), from_number(retry, both, None)} == set(both.from_phone_numbers)


@pytest.mark.parametrize("first", [queued(), of_batch()], ids=["single", "contact"])
def test_a_number_whose_call_the_network_blocked_calls_no_more(first: Execution) -> None:
    both = agent(from_phone_numbers=(CALLER_ID, "+14155550101"))
    retry = reported(placed(first, TEN), Status.FAILED, TEN + minutes(1), code="608")
    assert from_number(retry, both, None) == "+14155550101"
    third = reported(placed(retry, TEN + minutes(31)), Status.BUSY, TEN + minutes(32))
    assert from_number(third, both, None) == "+14155550101", "also where it would be the blocked one's turn"
    batch = running() if first.batch_id else None
    only = last(facts(retry, batch=batch))
    assert only == failed("the network blocked the calls from every caller id", Gate.CALLER_ID)
    assert from_number(replace(retry, from_number=CALLER_ID), both, None) is None


# ---- the two transitions ------------------------------------------------------------------------------------------

ALLOWED = tuple(Decision(gate) for gate in Gate)


@pytest.mark.parametrize(
    ("decision", "status", "kind"),
    [
        (opens(TEN + minutes(60), "closed", Gate.CALLING_WINDOW, "11-18"), Status.RESCHEDULED, Status.RESCHEDULED),
        (held(TEN + minutes(1), "down"), Status.QUEUED, Marker.DEFERRED),
        (failed("never", Gate.CALLER_ID), Status.ERROR, Status.ERROR),
        (stopped("batch stopped", Gate.STOP), Status.STOPPED, Status.STOPPED),
        (canceled("suppressed", Gate.SUPPRESSION), Status.CANCELED, Status.CANCELED),
    ],
)
def test_a_decision_becomes_a_change_that_holds_it(decision: Decision, status: Status, kind: object) -> None:
    waiting = queued()
    apply = waiting.defer if decision.verdict is Verdict.DEFER else waiting.end
    after = apply(TEN, *ALLOWED[:2], decision)
    assert after.state.status is status
    assert after.changes[-1].kind is kind
    assert [gate for gate, _, _ in recorded(after.changes[-1].gates)] == [Gate.AGENT, Gate.STOP, decision.gate]


def test_waiting_in_the_queue_is_no_new_event_where_it_waits_there_already() -> None:
    waiting = queued()
    assert waiting.defer(TEN, waits("waiting for a line", Gate.LINE)) is waiting


def test_a_claim_that_placed_nothing_keeps_its_decisions() -> None:
    claimed = queued().claim(TEN, CALLER_ID, 0, "mine", ALLOWED)
    assert claimed.defer(TEN, held(TEN + minutes(1), "throttled", gate=None)).changes[-1].gates == record(ALLOWED)


# ---- the record ---------------------------------------------------------------------------------------------------


def test_a_record_is_short() -> None:
    decisions = [replace(one, rule="9-18") if one.gate is Gate.CALLING_WINDOW else one for one in ALLOWED]
    assert record(decisions) == "ASPXICUOTW9-18NBHLRK"


def test_nothing_is_recorded_of_what_is_no_gate() -> None:
    assert record([stopped("stopped by request")]) is None


@given(
    st.lists(
        st.builds(
            Decision,
            gate=st.sampled_from(Gate),
            verdict=st.sampled_from(Verdict),
            rule=st.text("abcdefghijklmnopqrstuvwxyz0123456789-. ", max_size=12),
        ),
        max_size=12,
    )
)
def test_what_was_recorded_is_read_back(decisions: list[Decision]) -> None:
    assert list(recorded(record(decisions))) == [(one.gate, one.verdict, one.rule) for one in decisions]


def test_a_gate_of_a_newer_version_is_shown_by_its_letter() -> None:
    assert list(recorded("AZ=dnc")) == [(Gate.AGENT, Verdict.ALLOW, ""), ("Z", Verdict.END, "dnc")]


def test_a_claim_that_every_gate_allowed_is_stored_in_one_byte_and_its_rules() -> None:
    window = Decision(Gate.CALLING_WINDOW, rule="9-18")
    ruled = tuple(window if one.gate is Gate.CALLING_WINDOW else one for one in ALLOWED)
    for decisions, claim_id in ((ALLOWED, "a1b2c3d4~"), (ruled, "a1b2c3d4~W9-18"), ((), "a1b2c3d4")):
        claimed = queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4", decisions)
        stored = encode(claimed)
        assert json.loads(stored["ch"])[-1][3] == {"f": CALLER_ID, "l": 0, "w": claim_id}
        assert decode(stored) == claimed


@pytest.mark.parametrize(("stored", "gates"), [(".", "ASPXICWLRK"), (".W9-18", "ASPXICW9-18LRK")])
def test_a_claim_of_an_earlier_version_shows_the_gates_of_its_time_and_keeps_them(stored: str, gates: str) -> None:
    item = encode(queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4", ALLOWED))
    *others, claim = json.loads(item["ch"])
    claim[3]["w"] = f"a1b2c3d4{stored}"
    item["ch"] = json.dumps([*others, claim], separators=(",", ":"))
    earlier = decode(item)
    assert (earlier.changes[-1].claim_id, earlier.changes[-1].gates) == ("a1b2c3d4", gates)
    shown = [one["gate"] for one in log(earlier)[-1]["data"]["gates"]]
    assert "suppression" not in shown and "consent" not in shown
    assert encode(earlier) == item


def test_a_claim_that_lacks_a_gate_says_which_it_has() -> None:
    claimed = queued().claim(TEN, CALLER_ID, 0, "a1b2c3d4", ALLOWED[1:])
    assert json.loads(encode(claimed)["ch"])[-1][3]["k"] == "SPXICUOTWNBHLRK"
    assert decode(encode(claimed)) == claimed


def test_the_log_shows_every_decision() -> None:
    claimed = queued().claim(TEN, CALLER_ID, 0, "mine", ALLOWED)
    entry = log(claimed)[-1]
    assert entry["type"] == "claimed"
    assert [(one["gate"], one["decision"]) for one in entry["data"]["gates"]] == [(gate, "allow") for gate in Gate]
    texts = {one["gate"]: one["text"] for one in entry["data"]["gates"]}
    assert len(set(texts.values())) == len(Gate), "each gate says what it asked"
    assert texts[Gate.CALLER_ID] == f"It is called from {CALLER_ID}."
    window = opens(TEN + minutes(60), "closed", Gate.CALLING_WINDOW, "11-18")
    assert log(queued().defer(TEN, window))[-1]["data"]["gates"] == [
        {"gate": "calling-window", "decision": "defer", "rule": "11-18", "text": "Closed."}
    ]


# ---- predictions --------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 23),
    st.integers(0, 23),
    st.integers(0, 60 * 24 * 400),
    st.sampled_from(["+442079460123", "+14155550123", "+917969123456", "+61291234567", "+18005550123"]),
)
def test_the_earliest_start_is_the_next_opening(start: int, end: int, later: int, number: str) -> None:
    now = TEN + minutes(later)
    one: Agent = agent(call_start_hour=start, call_end_hour=end)
    at, moved = earliest(facts(replace(queued(), user_number=number), now=now, agent=one), timedelta(days=7))
    assert at == next_open(now, CallingRule.of_hours(start, end), time_zones(number))
    assert len(moved) == (at != now)
    if at is not None:
        assert last(facts(replace(queued(), user_number=number), now=at, agent=one)).allows


def test_ten_thousand_contacts_of_twelve_zones_start_in_their_mornings_and_not_at_once() -> None:
    """Each contact is placed as dial places it, in a batch that starts at 10:00 UTC, with its own rule."""
    zones = (
        *("Pacific/Honolulu", "America/Anchorage", "America/Los_Angeles", "America/Denver", "America/Chicago"),
        *("America/New_York", "America/St_Johns", "Asia/Kathmandu", "Asia/Shanghai", "Asia/Tokyo"),
        *("Australia/Adelaide", "Pacific/Auckland"),
    )
    batch = running(calling_rule="mo-fr 11-12:30,13:15-15 spread 15", row_check="@")
    a_second: Counter[datetime] = Counter()
    for row in range(1, 10_001):
        zone = zones[row % len(zones)]
        waiting = contact(batch, row, NUMBER, {"time_zone": zone})
        at, moved = earliest(facts(waiting, batch=batch), timedelta(days=2))
        assert at is not None
        assert [one.rule for one in moved] in (["batch mo 11-12:30"], ["batch tu 11-12:30"])
        local = at.astimezone(ZoneInfo(zone))
        assert local.hour == 11 and local.minute < 15
        a_second[at] += 1
    assert max(a_second.values()) <= 10, "833 calls of a zone over 900 seconds"


def test_a_long_rule_costs_an_attempt_few_bytes() -> None:
    windows = [(day, hour * 60 + 7, hour * 60 + 53) for day in range(7) for hour in (8, 11, 14, 17)]
    dates = tuple(TEN.date() + timedelta(days=n) for n in range(100, 200))
    rule = CallingRule(tuple(windows), dates, Placement.SPREAD, 15)
    assert len(str(rule)) > 1000
    batch = running(calling_rule=str(rule))
    waiting, open_at = of_batch(), TEN.replace(hour=16, minute=30)
    some = [facts(waiting, batch=batch, now=now) for now in (TEN, open_at)]
    closed, opened = (of_gate(one, Gate.CALLING_WINDOW) for one in some)
    assert closed.verdict is Verdict.DEFER and opened.allows
    assert (closed.rule, opened.rule) == ("batch mo 8:07-8:53", "batch mo 8:07-8:53")
    assert closed.reason == "outside calling hours mo 8:07-8:53 of America/Los_Angeles"
    assert len(record([closed]) or "") <= 60


def test_nothing_is_foreseen_beyond_the_horizon() -> None:
    closed = facts(replace(queued(), user_number=LONDON), agent=agent(call_start_hour=11, call_end_hour=18))
    assert earliest(closed, timedelta(minutes=30))[0] is None
    assert earliest(closed, timedelta(minutes=60))[0] == TEN + minutes(60)


def test_a_batch_that_is_completed_may_dial_no_more() -> None:
    over = running().complete(TEN, {"completed": 1})
    assert over.status is BatchStatus.COMPLETED
    assert last(facts(of_batch(), batch=over)).reason == "batch stopped"


# ---- expiry, and the budget of a window ---------------------------------------------------------------------------


def test_what_opens_after_the_expiry_is_foreseen_as_the_end() -> None:
    """It is ten o'clock, the hours open at 18:00, and the call expires at 18:00, or a millisecond later."""
    evening = agent(call_start_hour=18, call_end_hour=20, time_zone="UTC")
    at_six = TEN + timedelta(hours=8)
    in_time = facts(agent=evening, execution=replace(queued(), expires_at=at_six + timedelta(milliseconds=1)))
    assert earliest(in_time, timedelta(days=1))[0] == at_six
    too_late = facts(agent=evening, execution=replace(queued(), expires_at=at_six))
    opens, moved = earliest(too_late, timedelta(days=1))
    assert (opens, moved[-1].gate, moved[-1].verdict, moved[-1].status) == (None, Gate.EXPIRY, Verdict.END, "canceled")
    decisions = ask(GATES, too_late)
    assert [(one.gate, one.verdict) for one in decisions[-2:]] == [
        (Gate.CALLING_WINDOW, Verdict.DEFER),
        (Gate.EXPIRY, Verdict.END),
    ]
    assert decisions[-1].reason == (
        "expired at 2026-01-26T18:00:00Z, before 2026-01-26T18:00:00Z: outside calling hours 18-20 of UTC"
    )


def test_nothing_starts_from_the_expiry_on() -> None:
    for late, allowed in ((timedelta(milliseconds=-1), True), (timedelta(), False)):
        expired = facts(execution=replace(queued(), expires_at=TEN - late))
        assert ask(GATES, expired)[-1].allows is allowed
