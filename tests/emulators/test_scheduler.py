"""The emulated EventBridge Scheduler and Lambda, used through boto3: as strict as AWS, and schedules fire."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws.functions import Function, FunctionContext, Invoker
from local.aws.queues import Queue, Queues
from local.aws.requests import Aws, OutsideRequest
from local.aws.scheduler import Scheduler, as_late_as_aws
from local.clock import Timeline

START = datetime(2026, 1, 26, 10, 0, 0, 500_000, tzinfo=UTC)
DIAL = Function("DialFunction", "redial-dial", "dial", alias="live", timeout_seconds=30, on_failure="failed-queue")
ROLE = "arn:aws:iam::123456789012:role/redial-scheduler"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:redial-dlq"
DIAL_QUEUE = Queue("redial-dial", DIAL, 180, 1800, QUEUE, max_receives=3)


@dataclass
class World:
    """A clock, a function that records its events, and AWS clients."""

    timeline: Timeline
    functions: Invoker
    scheduler: Scheduler
    aws: Aws
    invoked: list[tuple[float, Any]] = field(default_factory=list)
    behaviour: Callable[[Any, FunctionContext], Any] = lambda event, context: None

    @property
    def seconds(self) -> float:
        return (self.timeline.now() - START).total_seconds()

    def client(self, service: str) -> Any:
        unchecked = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        return boto3.client(service, config=unchecked)  # type: ignore[call-overload]

    def create(self, name: str = "execution.dial.1", in_seconds: float = 120, **changes: Any) -> Any:
        target: dict[str, Any] = {
            "Arn": DIAL.alias_arn,
            "RoleArn": ROLE,
            "Input": '{"execution_id": "x", "attempt": 1}',
        }
        target |= changes.pop("Target", {})
        at = (self.timeline.now() + timedelta(seconds=in_seconds)).strftime("at(%Y-%m-%dT%H:%M:%S)")
        wanted: dict[str, Any] = {
            "Name": name,
            "GroupName": "redial",
            "ScheduleExpression": at,
            "ScheduleExpressionTimezone": "UTC",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {key: value for key, value in target.items() if value is not None},
            **changes,
        }
        return self.client("scheduler").create_schedule(
            **{name: value for name, value in wanted.items() if value is not None}
        )

    def names(self) -> list[str]:
        return [one["Name"] for one in self.client("scheduler").list_schedules(GroupName="redial")["Schedules"]]


@pytest.fixture
def world() -> Iterator[World]:
    timeline = Timeline(START, speed=0)
    invoked: list[tuple[float, Any]] = []

    def handler(event: Any, context: FunctionContext) -> Any:
        invoked.append((here.seconds, event))
        return here.behaviour(event, context)

    functions = Invoker(timeline, [DIAL], lambda function: handler)
    aws = Aws()
    queues = Queues(timeline, functions, [DIAL_QUEUE], aws.lock)
    scheduler = Scheduler(timeline, functions, queues, aws.lock)
    here = World(timeline, functions, scheduler, aws, invoked)
    aws.start(functions, scheduler, queues)
    timeline.start()
    try:
        here.client("scheduler").create_schedule_group(Name="redial")
        yield here
    finally:
        timeline.stop()
        aws.stop()


def refused(code: str, status: int, action: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        action()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    return caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a" * 65},
        {"name": "not/allowed"},
        {"name": "blank space"},
        {"ScheduleExpression": "at(2026-01-26T11:00:00Z)"},
        {"ScheduleExpression": "at(2026-01-26T11:00:00+00:00)"},
        {"ScheduleExpression": "at(2026-01-26T11:00:00.000)"},
        {"ScheduleExpression": "at(2026-01-26 11:00:00)"},
        {"ScheduleExpression": "at(2026-02-30T11:00:00)"},
        {"ScheduleExpression": "at(2026-01-26T25:00:00)"},
        {"ScheduleExpression": "at(2026-01-26T11:00:00) "},
        {"ScheduleExpression": "hello"},
        {"ScheduleExpression": "rate(5 minutes)"},
        {"ScheduleExpression": None},
        {"in_seconds": -1},
        {"ScheduleExpressionTimezone": "Mars/Olympus"},
        {"ScheduleExpressionTimezone": "x" * 51},
        {"FlexibleTimeWindow": None},
        {"FlexibleTimeWindow": {"Mode": "SOMETIMES"}},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 0}},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}},
        {"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}},
        {"ActionAfterCompletion": "VANISH"},
        {"State": "PAUSED"},
        {"Target": {"Input": "not json"}},
        {"Target": {"Input": '"' + "x" * 262_144 + '"'}},
        {"Target": {"Input": ""}},
        {"Target": {"RoleArn": None}},
        {"Target": {"RoleArn": "redial-scheduler"}},
        {"Target": {"Arn": None}},
        {"Target": {"Arn": "arn:aws:lambda:us-east-1:123456789012:function:missing:live"}},
        {"Target": {"Arn": DIAL.arn + ":other"}},
        {"Target": {"Arn": QUEUE}},
        {"Target": {"Arn": DIAL_QUEUE.arn, "Input": ""}},
        {"Target": {"Arn": DIAL_QUEUE.arn, "Input": "x" * 262_145}},
        {"Target": {"Arn": "arn:aws:sns:us-east-1:123456789012:topic"}},
        {"Target": {"RetryPolicy": {"MaximumRetryAttempts": -1}}},
        {"Target": {"RetryPolicy": {"MaximumRetryAttempts": 186}}},
        {"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 59}}},
        {"Target": {"RetryPolicy": {"MaximumEventAgeInSeconds": 86401}}},
        {"Target": {"DeadLetterConfig": {"Arn": ROLE}}},
        {"Target": {"DeadLetterConfig": {"Arn": QUEUE + ".fifo"}}},
        {"ClientToken": "x" * 65},
    ],
    ids=str,
)
def test_invalid_requests_are_refused_as_by_aws(world: World, changes: dict[str, Any]) -> None:
    refused("ValidationException", 400, lambda: world.create(**changes))
    assert world.names() == []


def test_the_bounds_are_accepted(world: World) -> None:
    for name, retry in (("low", (0, 60)), ("high", (185, 86400))):
        policy = {"MaximumRetryAttempts": retry[0], "MaximumEventAgeInSeconds": retry[1]}
        world.create(name * 16, Target={"RetryPolicy": policy, "DeadLetterConfig": {"Arn": QUEUE}})
    world.create("soonest", in_seconds=1)
    assert len(world.names()) == 3


def test_a_name_can_be_used_once(world: World) -> None:
    world.create()
    refused("ConflictException", 409, world.create)
    assert len(world.names()) == 1


def test_a_repeated_request_with_the_same_token_returns_the_same_schedule(world: World) -> None:
    first = world.create(ClientToken="once", in_seconds=300)
    assert world.create(ClientToken="once", in_seconds=300)["ScheduleArn"] == first["ScheduleArn"]
    refused("ConflictException", 409, lambda: world.create(ClientToken="once", in_seconds=301))


def test_a_schedule_fires_at_its_time_and_is_deleted(world: World) -> None:
    world.create(in_seconds=120)
    world.timeline.advance(1.98)
    assert world.invoked == [] and world.names() == ["execution.dial.1"]
    world.timeline.advance(1)
    assert world.invoked == [(119.5, {"execution_id": "x", "attempt": 1})]
    assert world.names() == []


def test_a_schedule_sends_its_input_as_a_message_to_a_queue(world: World) -> None:
    """The text is sent unchanged; a queue accepts not only JSON."""
    world.create(Target={"Arn": DIAL_QUEUE.arn})
    world.create("text", Target={"Arn": DIAL_QUEUE.arn, "Input": "<aws.scheduler.attempt-number>, please"})
    world.create("none", Target={"Arn": DIAL_QUEUE.arn, "Input": None})
    world.timeline.advance(1.98)
    assert world.invoked == []
    world.timeline.advance(1)
    assert [seconds for seconds, _ in world.invoked] == [119.5] * 3
    records = [record for _, event in world.invoked for record in event["Records"]]
    assert {record["eventSourceARN"] for record in records} == {DIAL_QUEUE.arn}
    first, second, third = (record["body"] for record in records)
    assert (first, second) == ('{"execution_id": "x", "attempt": 1}', "1, please")
    assert json.loads(third)["detail-type"] == "Scheduled Event"
    assert world.names() == []


def test_a_schedules_time_is_in_its_time_zone(world: World) -> None:
    world.create(ScheduleExpression="at(2026-01-26T15:32:00)", ScheduleExpressionTimezone="Asia/Kolkata")
    world.timeline.advance(5)
    assert [seconds for seconds, _ in world.invoked] == [119.5]


def test_a_schedule_stays_after_firing_by_default(world: World) -> None:
    world.create(ActionAfterCompletion="NONE")
    world.timeline.advance(10)
    assert len(world.invoked) == 1
    assert world.names() == ["execution.dial.1"]


def test_a_schedule_may_fire_up_to_a_minute_late_and_twice(world: World) -> None:
    world.scheduler.firing = as_late_as_aws(seed=7)
    world.create("late")
    world.scheduler.firing = lambda schedule: (0.0, 30.0)
    world.create("twice")
    world.timeline.advance(10)
    seconds = sorted(seconds for seconds, _ in world.invoked)
    assert seconds[0] == 119.5 and seconds[-1] <= 179.5 and len(seconds) == 3
    assert 149.5 in seconds
    assert world.names() == []


def test_a_deleted_or_disabled_schedule_does_not_fire(world: World) -> None:
    scheduler = world.client("scheduler")
    world.create("deleted")
    world.create("disabled", State="DISABLED")
    scheduler.delete_schedule(Name="deleted", GroupName="redial")
    world.timeline.advance(10)
    assert world.invoked == []
    refused("ResourceNotFoundException", 404, lambda: scheduler.delete_schedule(Name="deleted", GroupName="redial"))
    refused("ResourceNotFoundException", 404, lambda: scheduler.get_schedule(Name="deleted", GroupName="redial"))


def test_get_returns_the_request_with_defaults(world: World) -> None:
    world.create(ScheduleExpressionTimezone=None, ActionAfterCompletion=None)
    got = world.client("scheduler").get_schedule(Name="execution.dial.1", GroupName="redial")
    assert got["Arn"] == "arn:aws:scheduler:us-east-1:123456789012:schedule/redial/execution.dial.1"
    assert got["ScheduleExpressionTimezone"] == "UTC"
    assert got["ActionAfterCompletion"] == "NONE"
    assert got["State"] == "ENABLED"
    assert got["Target"]["Arn"] == DIAL.alias_arn
    assert got["CreationDate"] == START


def test_lists_are_filtered_and_paged(world: World) -> None:
    for number in range(5):
        world.create(f"a.{number}")
    world.create("b.0", GroupName="default")
    scheduler = world.client("scheduler")
    pages = list(
        scheduler.get_paginator("list_schedules").paginate(GroupName="redial", PaginationConfig={"PageSize": 2})
    )
    assert [one["Name"] for page in pages for one in page["Schedules"]] == [f"a.{number}" for number in range(5)]
    assert len(pages) == 3
    assert [one["Name"] for one in scheduler.list_schedules(NamePrefix="b")["Schedules"]] == ["b.0"]
    refused("ValidationException", 400, lambda: scheduler.list_schedules(MaxResults=101))
    refused("ResourceNotFoundException", 404, lambda: scheduler.list_schedules(GroupName="nowhere"))


def test_groups(world: World) -> None:
    scheduler = world.client("scheduler")
    refused("ConflictException", 409, lambda: scheduler.create_schedule_group(Name="redial"))
    refused("ValidationException", 400, lambda: scheduler.create_schedule_group(Name="no/slash"))
    refused("ResourceNotFoundException", 404, lambda: world.create(GroupName="nowhere"))


def test_context_attributes_are_filled_in(world: World) -> None:
    world.create(Target={"Input": '{"at": "<aws.scheduler.scheduled-time>", "arn": "<aws.scheduler.schedule-arn>"}'})
    world.timeline.advance(5)
    arn = "arn:aws:scheduler:us-east-1:123456789012:schedule/redial/execution.dial.1"
    assert world.invoked[0][1] == {"at": "2026-01-26T10:02:00Z", "arn": arn}


# ---- Lambda ---------------------------------------------------------------------------------------------


def test_a_failed_asynchronous_invocation_is_retried_twice_then_becomes_a_dead_letter(world: World) -> None:
    def fail(event: Any, context: FunctionContext) -> None:
        raise ValueError("no")

    world.behaviour = fail
    answer = world.client("lambda").invoke(FunctionName=DIAL.alias_arn, InvocationType="Event", Payload=b'{"n": 1}')
    assert answer["StatusCode"] == 202
    world.timeline.advance(60)
    assert [seconds for seconds, _ in world.invoked] == [0, 60, 180]
    (letter,) = world.functions.dead_letters
    assert (letter.function, letter.queue, letter.event, letter.tries) == ("redial-dial", "failed-queue", {"n": 1}, 3)
    assert letter.error["errorType"] == "ValueError"


def test_an_invocation_that_succeeds_on_retry_leaves_no_dead_letter(world: World) -> None:
    def fail_once(event: Any, context: FunctionContext) -> None:
        if len(world.invoked) == 1:
            raise ValueError("no")

    world.behaviour = fail_once
    world.client("lambda").invoke(FunctionName="redial-dial:live", InvocationType="Event", Payload=b"{}")
    world.timeline.advance(60)
    assert len(world.invoked) == 2 and world.functions.dead_letters == []


def test_a_synchronous_invocation_returns_the_functions_result(world: World) -> None:
    world.behaviour = lambda event, context: {"said": event["say"], "arn": context.invoked_function_arn}
    for name in (DIAL.arn, DIAL.alias_arn, "redial-dial", "123456789012:function:redial-dial"):
        answer = world.client("lambda").invoke(FunctionName=name, Payload=b'{"say": "hello"}')
        assert answer["Payload"].read() == f'{{"said": "hello", "arn": "{DIAL.alias_arn}"}}'.encode()
    qualified = world.client("lambda").invoke(FunctionName="redial-dial", Qualifier="live", Payload=b'{"say": 1}')
    assert qualified["StatusCode"] == 200


def test_a_synchronous_failure_is_marked_in_the_response(world: World) -> None:
    world.behaviour = lambda event, context: 1 / 0
    answer = world.client("lambda").invoke(FunctionName="redial-dial")
    assert answer["FunctionError"] == "Unhandled"
    assert b"ZeroDivisionError" in answer["Payload"].read()


def test_invalid_invocations_are_refused_as_by_lambda(world: World) -> None:
    client = world.client("lambda")
    for name in ("missing", "redial-dial:other", "arn:aws:lambda:eu-west-1:123456789012:function:redial-dial"):
        refused("ResourceNotFoundException", 404, partial(client.invoke, FunctionName=name))
    refused("InvalidRequestContentException", 400, lambda: client.invoke(FunctionName="redial-dial", Payload=b"{"))
    large = b'"' + b"x" * 1_048_576 + b'"'
    refused(
        "RequestTooLargeException",
        413,
        lambda: client.invoke(FunctionName="redial-dial", InvocationType="Event", Payload=large),
    )


def test_a_sleeping_function_lets_time_pass_and_may_time_out(world: World) -> None:
    left: list[int] = []

    def sleep(event: Any, context: FunctionContext) -> None:
        world.functions.sleep(event["seconds"])
        left.append(context.get_remaining_time_in_millis())

    world.behaviour = sleep
    for seconds in (5, 31):
        payload = f'{{"seconds": {seconds}}}'.encode()
        world.client("lambda").invoke(FunctionName="redial-dial", InvocationType="Event", Payload=payload)
    world.timeline.advance(60)
    assert left == [25_000]
    (letter,) = world.functions.dead_letters
    assert letter.error == {
        "errorMessage": "Task timed out after 30.00 seconds",
        "errorType": "FunctionTimedOut",
        "stackTrace": letter.error["stackTrace"],
    }


# ---- requests --------------------------------------------------------------------------------


class Gone(BaseException):
    """The process has ended."""


def test_requests_are_counted_and_shown_before_and_after(world: World) -> None:
    seen: list[tuple[str, str, str, int | None, str | None]] = []

    def look(one: OutsideRequest) -> None:
        name = one.invocation.function.name if one.invocation else None
        seen.append((one.phase, one.service, one.operation, one.status, name))

    world.aws.counts.clear()
    world.behaviour = lambda event, context: world.client("dynamodb").list_tables() and None
    world.aws.hooks.append(look)
    world.client("lambda").invoke(FunctionName="redial-dial", InvocationType="Event")
    world.timeline.settle()
    assert seen == [
        ("before", "lambda", "Invoke", None, None),
        ("after", "lambda", "Invoke", 202, None),
        ("before", "dynamodb", "ListTables", None, "redial-dial"),
        ("after", "dynamodb", "ListTables", 200, "redial-dial"),
    ]
    assert world.aws.requests() == {"dynamodb": {"ListTables": 1}, "lambda": {"Invoke": 1}}


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_function_can_be_killed_at_any_request_and_its_clean_up_has_no_effect(world: World, phase: str) -> None:
    def work(event: Any, context: FunctionContext) -> None:
        try:
            world.create("first")
        except Exception:  # noqa: BLE001  clean-up code might do this
            world.create("recovered")
        finally:
            world.create("cleaned-up")

    def cut(one: OutsideRequest) -> None:
        if one.phase == phase and one.operation == "CreateSchedule" and one.invocation.number == 1:  # type: ignore[union-attr]
            raise Gone

    world.behaviour = work
    world.aws.hooks.append(cut)
    world.client("lambda").invoke(FunctionName="redial-dial", InvocationType="Event")
    world.timeline.settle()
    assert world.names() == (["first"] if phase == "after" else [])
    ((invocation, failure),) = world.functions.failures
    assert invocation.number == 1 and failure.payload["errorType"] == "Gone"


def test_no_request_reaches_the_real_aws(world: World) -> None:
    client = boto3.client(
        "dynamodb", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    with pytest.raises(Exception, match="would leave this machine"):
        client.list_tables()
