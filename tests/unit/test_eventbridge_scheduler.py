"""Requests to EventBridge Scheduler; botocore validates each against the service's API model."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import example, given
from hypothesis import strategies as st

from redial.adapters.eventbridge_scheduler import SOONEST, SchedulerTimers, at_expression

EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
NOW = datetime(2026, 1, 26, 10, 0, 0, tzinfo=UTC)
DIAL = "arn:aws:sqs:us-east-1:123456789012:redial-dial"
DELIVER = "arn:aws:sqs:us-east-1:123456789012:redial-deliver"
ROLE = "arn:aws:iam::123456789012:role/redial-scheduler"
DEAD_LETTERS = "arn:aws:sqs:us-east-1:123456789012:redial-schedules-dead"


@pytest.fixture
def scheduler() -> Iterator[tuple[SchedulerTimers, Stubber]]:
    client = boto3.client("scheduler", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    timers = SchedulerTimers(
        client,
        group="redial",
        role_arn=ROLE,
        dead_letter_arn=DEAD_LETTERS,
        deliver_queue=DELIVER,
        dial_queue=DIAL,
    )
    with Stubber(client) as stubber:
        yield timers, stubber
        stubber.assert_no_pending_responses()


def request(name: str, at: str, function: str, event: dict[str, Any]) -> dict[str, Any]:
    return {
        "Name": name,
        "GroupName": "redial",
        "ScheduleExpression": at,
        "ScheduleExpressionTimezone": "UTC",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": function,
            "RoleArn": ROLE,
            "Input": json.dumps(event),
            "RetryPolicy": {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 900},
            "DeadLetterConfig": {"Arn": DEAD_LETTERS},
        },
    }


ARN = {"ScheduleArn": "arn:aws:scheduler:us-east-1:123456789012:schedule/redial/x"}


def test_a_dial_timer_is_a_one_shot_schedule(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    timers, stubber = scheduler
    event = {"execution_id": EXECUTION, "attempt": 2}
    stubber.add_response("create_schedule", ARN, request(f"{EXECUTION}.dial.7", "at(2026-01-26T10:30:00)", DIAL, event))
    timers.schedule_dial(EXECUTION, 2, 7, NOW + timedelta(minutes=30), NOW)


def test_a_deliver_timer_names_the_execution_alone(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    timers, stubber = scheduler
    event = {"execution_id": EXECUTION}
    expected = request(f"{EXECUTION}.deliver.41", "at(2026-01-26T10:05:00)", DELIVER, event)
    stubber.add_response("create_schedule", ARN, expected)
    timers.schedule_delivery(EXECUTION, 41, NOW + timedelta(minutes=5), NOW)


def test_setting_an_existing_timer_succeeds(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    timers, stubber = scheduler
    stubber.add_client_error("create_schedule", "ConflictException", http_status_code=409)
    timers.schedule_dial(EXECUTION, 2, 7, NOW, NOW)


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException", "ServiceQuotaExceededException"])
def test_a_timer_that_cannot_be_set_is_logged_and_left_to_the_sweeper(
    code: str, scheduler: tuple[SchedulerTimers, Stubber], caplog: pytest.LogCaptureFixture
) -> None:
    timers, stubber = scheduler
    stubber.add_client_error("create_schedule", code)
    timers.schedule_dial(EXECUTION, 2, 7, NOW, NOW)
    assert caplog.messages == [f"could not set timer {EXECUTION}.dial.7 ({code}): left to the sweeper"]


def test_cancelling_deletes_the_schedule(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    timers, stubber = scheduler
    stubber.add_response("delete_schedule", {}, {"Name": f"{EXECUTION}.dial.7", "GroupName": "redial"})
    timers.cancel_dial(EXECUTION, 7)


def test_cancelling_a_missing_timer_succeeds(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    timers, stubber = scheduler
    stubber.add_client_error("delete_schedule", "ResourceNotFoundException", http_status_code=404)
    timers.cancel_dial(EXECUTION, 7)


def test_a_timer_that_cannot_be_cancelled_is_logged(
    scheduler: tuple[SchedulerTimers, Stubber], caplog: pytest.LogCaptureFixture
) -> None:
    timers, stubber = scheduler
    stubber.add_client_error("delete_schedule", "ThrottlingException")
    timers.cancel_dial(EXECUTION, 7)
    assert caplog.messages == [f"could not remove timer {EXECUTION}.dial.7 (ThrottlingException): left to the sweeper"]


def test_a_timer_needs_its_target(scheduler: tuple[SchedulerTimers, Stubber]) -> None:
    client = scheduler[0]._client
    timers = SchedulerTimers(client, group="redial", role_arn=ROLE, dead_letter_arn=DEAD_LETTERS, deliver_queue=DELIVER)
    with pytest.raises(ValueError, match="no target"):
        timers.schedule_dial(EXECUTION, 2, 7, NOW, NOW)


def test_names_fit_the_services_limit() -> None:
    assert len(f"{EXECUTION}.deliver.{10**15}") <= 64


@pytest.mark.parametrize(
    ("at", "now", "expression"),
    [
        (NOW + timedelta(minutes=30), NOW, "at(2026-01-26T10:30:00)"),
        (NOW + timedelta(minutes=30, microseconds=1), NOW, "at(2026-01-26T10:30:01)"),
        (NOW + timedelta(minutes=29, seconds=59, milliseconds=999), NOW, "at(2026-01-26T10:30:00)"),
        (NOW, NOW, "at(2026-01-26T10:01:00)"),
        (NOW - timedelta(days=1), NOW, "at(2026-01-26T10:01:00)"),
        (NOW, NOW + timedelta(milliseconds=1), "at(2026-01-26T10:01:01)"),
        (datetime(2026, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC), NOW, "at(2027-01-01T00:00:00)"),
        (datetime(2026, 1, 26, 16, 0, tzinfo=timezone(timedelta(hours=5, minutes=30))), NOW, "at(2026-01-26T10:30:00)"),
    ],
)
def test_a_time_is_rounded_up_and_at_least_a_minute_ahead(at: datetime, now: datetime, expression: str) -> None:
    assert at_expression(at, now) == expression


@pytest.mark.parametrize(("at", "now"), [(datetime(2026, 1, 26), NOW), (NOW, datetime(2026, 1, 26))])
def test_a_naive_time_is_refused(at: datetime, now: datetime) -> None:
    with pytest.raises(ValueError, match="time zone"):
        at_expression(at, now)


INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.timezones())


@example(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 3, 29, 3, 59, 30, tzinfo=ZoneInfo("Europe/Sofia")))
@given(INSTANTS, INSTANTS)
def test_a_timer_is_never_early_nor_more_than_a_second_late(at: datetime, now: datetime) -> None:
    expression = at_expression(at, now)
    match = re.fullmatch(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)", expression)
    assert match is not None
    instant = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    wanted = max(at.astimezone(UTC), now.astimezone(UTC) + SOONEST)
    assert timedelta(0) <= instant - wanted < timedelta(seconds=1)
