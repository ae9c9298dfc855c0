"""How soon lost work is repaired, and which leases outlast which invocations.

Times are plain minutes, not the code's own constants, so that no constant can be changed against a promise.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.idempotency import REMEMBERED
from redial.adapters.dynamodb.lines import DynamoLines
from redial.carriers.twilio import LATEST_CREATION
from redial.domain.batch import TOMBSTONE_LIFE, WORK_LEASE, Batch
from redial.domain.circuit import PROBE_LASTS
from redial.domain.delivery import LEASE
from redial.domain.execution import CLAIM_GRACE, UNKNOWN_DEADLINE, Execution
from redial.domain.outcome import NotPlaced
from redial.domain.status import Status
from redial.usecases.sweep import LINE_GRACE, WORKER_LEASE
from tests.support.aws import dynamodb_with_table
from tests.support.samples import ACCOUNT_ID, AGENT_ID, CALLER_ID, TEN, minutes, placed, queued, reported, seconds
from tests.support.table import TABLE_NAME
from tests.support.template import functions


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


def until_due(subject: Execution | Batch, now: datetime) -> float:
    """Minutes from `now` to the due time; pending events do not count."""
    delivered = replace(
        subject, delivery=replace(subject.delivery.release(), settled=subject.last_sequence), due_at=None
    )
    due = delivered.with_due(now).due_at
    return math.inf if due is None else (due - now) / minutes(1)


def runs_for(function: str) -> timedelta:
    """The time limit of one invocation."""
    return timedelta(seconds=functions()[function]["Timeout"])


# ---- how soon it is checked -----------------------------------------------------------------------------------------


def test_lines_are_checked_within_fifteen_minutes(client: Any) -> None:
    DynamoLines(client, TABLE_NAME).acquire(ACCOUNT_ID, AGENT_ID, 0, 5, "x", 1, TEN)
    (watched,) = DynamoExecutions(client, TABLE_NAME).watched()
    assert TEN < watched.due_at <= TEN + minutes(15)


def test_a_running_batch_is_audited_within_fifteen_minutes() -> None:
    batch = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv", version=1).begin(TEN, start=True)
    running = batch.processed(3, 3, TEN + minutes(1)).run(TEN + minutes(2))
    assert until_due(running, TEN + minutes(2)) <= 15


def test_a_lost_timer_is_repaired_within_five_minutes() -> None:
    at = TEN + minutes(60)
    assert until_due(queued(scheduled_at=at), TEN) <= 60 + 5
    assert until_due(queued(scheduled_at=at), at + minutes(10)) <= 5, "and again, as long as it is not dialled"


def test_a_queued_call_is_checked_within_five_minutes() -> None:
    assert until_due(queued(), TEN) <= 5


def test_a_claimed_call_is_asked_about_within_three_minutes() -> None:
    claimed = queued().claim(TEN, CALLER_ID, 0, "token")
    assert until_due(claimed, TEN) <= 3
    assert until_due(claimed, TEN + minutes(3)) <= 3


def test_a_silent_call_is_asked_about_within_minutes() -> None:
    initiated = placed(queued(), TEN)
    assert until_due(initiated, TEN + seconds(1)) <= 5
    ringing = reported(initiated, Status.RINGING, TEN + seconds(2))
    assert until_due(ringing, TEN + seconds(2)) <= 5
    assert until_due(reported(ringing, Status.IN_PROGRESS, TEN + seconds(9)), TEN + seconds(9)) <= 20


def test_an_unknown_call_is_given_up_after_five_to_ten_minutes() -> None:
    """The carrier's list may show the call only after a while; until then no retry follows and the line is held."""
    assert minutes(5) <= UNKNOWN_DEADLINE <= minutes(10)


def test_the_carriers_refusals_end_a_call_after_a_day_and_not_before() -> None:
    execution, hours = queued(), 0.0
    while not execution.state.is_final and hours < 48:
        hours += 0.25
        claimed = execution.claim(TEN + minutes(60 * hours), CALLER_ID, 0, "token")
        execution = claimed.answered_by_carrier(1, NotPlaced("throttled"), TEN + minutes(60 * hours), 0.5)
    assert 24 <= hours <= 25


def test_a_call_is_not_ended_because_of_its_age() -> None:
    """A batch's contacts are as old as its file."""
    execution = replace(queued(), created_at=TEN - timedelta(days=3))
    for hours in (0.0, 0.25, 0.5):
        claimed = execution.claim(TEN + minutes(60 * hours), CALLER_ID, 0, "token")
        execution = claimed.answered_by_carrier(1, NotPlaced("throttled"), TEN + minutes(60 * hours), 0.5)
    assert execution.state.is_waiting


# ---- what outlasts what ---------------------------------------------------------------------------------------------


def test_a_lease_outlasts_the_invocation_that_holds_it() -> None:
    assert runs_for("deliver") < LEASE
    assert runs_for("batch") < WORK_LEASE
    assert runs_for("sweep") < WORKER_LEASE
    assert runs_for("dial") < PROBE_LASTS


def test_an_attempt_is_not_checked_while_its_dial_may_still_run() -> None:
    assert runs_for("dial") < CLAIM_GRACE
    assert runs_for("dial") < LINE_GRACE


def test_a_call_is_matched_as_long_as_its_attempt_waits_for_it() -> None:
    assert LATEST_CREATION >= UNKNOWN_DEADLINE


def test_a_removed_batchs_id_stays_reserved_longer_than_its_idempotency_key() -> None:
    assert TOMBSTONE_LIFE > REMEMBERED >= timedelta(hours=24)
