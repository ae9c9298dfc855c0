"""The emulated SQS, used through boto3: as strict as AWS, and a queue's function receives its messages."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws.functions import Function, FunctionContext, Invoker
from local.aws.queues import MAX_MESSAGE_BYTES, Queue, Queues, UnknownQueue
from local.aws.requests import Aws, OutsideRequest
from local.aws.scheduler import Scheduler
from local.clock import Timeline

START = datetime(2026, 1, 26, 10, 0, 0, 500_000, tzinfo=UTC)
DIAL = Function("DialFunction", "redial-dial", "dial", alias="live", timeout_seconds=30)
DEAD_LETTERS = "arn:aws:sqs:us-east-1:123456789012:redial-dead"
QUEUE = Queue("redial-dial", DIAL, 180, 1800, DEAD_LETTERS, max_receives=3, max_concurrency=2)
BODY = '{"execution_id": "x", "attempt": 1}'


@dataclass
class World:
    """A clock, a function that records what it receives, and an SQS client."""

    timeline: Timeline
    functions: Invoker
    queues: Queues
    aws: Aws
    received: list[tuple[float, Any]] = field(default_factory=list)
    behaviour: Callable[[Any, FunctionContext], Any] = lambda event, context: None

    @property
    def seconds(self) -> float:
        return (self.timeline.now() - START).total_seconds()

    @property
    def client(self) -> Any:
        unchecked = Config(parameter_validation=False, retries={"total_max_attempts": 1})
        return boto3.client("sqs", config=unchecked)

    def send(self, body: str | None = BODY, queue_url: str | None = QUEUE.url, **wanted: Any) -> Any:
        wanted = {"QueueUrl": queue_url, "MessageBody": body, **wanted}
        return self.client.send_message(**{name: value for name, value in wanted.items() if value is not None})

    def bodies(self) -> list[tuple[float, str]]:
        """(seconds since the start, body) of each message that the function received."""
        return [(at, event["Records"][0]["body"]) for at, event in self.received]


@pytest.fixture
def world() -> Iterator[World]:
    timeline = Timeline(START, speed=0)

    def handler(event: Any, context: FunctionContext) -> Any:
        here.received.append((here.seconds, event))
        return here.behaviour(event, context)

    functions = Invoker(timeline, [DIAL], lambda function: handler)
    aws = Aws()
    queues = Queues(timeline, functions, [QUEUE], aws.lock)
    here = World(timeline, functions, queues, aws)
    aws.start(functions, Scheduler(timeline, functions, queues, aws.lock), queues)
    timeline.start()
    try:
        yield here
    finally:
        timeline.stop()
        aws.stop()


def refused(code: str, action: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        action()
    error: dict[str, Any] = dict(caught.value.response["Error"])
    assert error["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error


def failing(event: Any, context: FunctionContext) -> None:
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ({"body": None}, "MissingParameter", "MessageBody"),
        ({"body": ""}, "MissingParameter", "MessageBody"),
        ({"queue_url": None}, "MissingParameter", "QueueUrl"),
        ({"body": "x" * (MAX_MESSAGE_BYTES + 1)}, "InvalidParameterValue", "shorter than 1048576 bytes"),
        ({"body": "é" * (MAX_MESSAGE_BYTES // 2 + 1)}, "InvalidParameterValue", "shorter than 1048576 bytes"),
        ({"body": "a\x00b"}, "InvalidMessageContents", "MessageBody"),
        ({"body": "a\ufffeb"}, "InvalidMessageContents", "MessageBody"),
        ({"DelaySeconds": -1}, "InvalidParameterValue", "Value -1 for parameter DelaySeconds is invalid"),
        ({"DelaySeconds": 901}, "InvalidParameterValue", "must be >= 0 and <= 900"),
        ({"DelaySeconds": "soon"}, "SerializationException", "must be an integer"),
        ({"MessageGroupId": "g"}, "InvalidParameterValue", "MessageGroupId is not emulated"),
    ],
)
def test_a_wrong_message_is_refused_as_by_aws(world: World, wanted: dict[str, Any], code: str, message: str) -> None:
    assert message in refused(code, lambda: world.send(**wanted))["Message"]
    world.timeline.advance(60)
    assert world.received == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.us-east-1.amazonaws.com/123456789012/redial-dia",
        "https://sqs.us-east-1.amazonaws.com/000000000000/redial-dial",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/redial-dial",
        "arn:aws:sqs:us-east-1:123456789012:redial-dial",
        "redial-dial",
    ],
)
def test_a_message_to_an_unknown_queue_is_refused_as_by_aws(world: World, url: str) -> None:
    error = refused("AWS.SimpleQueueService.NonExistentQueue", lambda: world.send(queue_url=url))
    assert error["Message"] == "The specified queue does not exist."
    with pytest.raises(world.client.exceptions.QueueDoesNotExist):
        world.send(queue_url=url)


def test_an_unknown_arn_is_an_error(world: World) -> None:
    with pytest.raises(UnknownQueue):
        world.queues.send(QUEUE.arn.replace("us-east-1", "eu-west-1"), BODY)


def test_other_operations_are_refused(world: World) -> None:
    refused("UnsupportedOperation", lambda: world.client.receive_message(QueueUrl=QUEUE.url))
    refused("UnsupportedOperation", world.client.list_queues)


def test_the_longest_message_and_the_longest_delay_are_taken(world: World) -> None:
    body = "é" * (MAX_MESSAGE_BYTES // 2)
    world.send(body, DelaySeconds=900)
    world.timeline.advance(14.99)
    assert world.received == []
    world.timeline.advance(0.02)
    assert world.bodies() == [(900, body)]


def test_a_message_is_answered_with_its_id_and_digest(world: World) -> None:
    first, second = world.send("abc"), world.send("abc")
    assert first["MD5OfMessageBody"] == "900150983cd24fb0d6963f7d28e17f72"
    assert first["MessageId"] != second["MessageId"]
    world.timeline.settle()
    assert [event["Records"][0]["messageId"] for _, event in world.received] == [
        first["MessageId"],
        second["MessageId"],
    ]


def test_the_function_receives_an_event_of_sqs(world: World) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    sent = world.send(DelaySeconds=5)
    world.timeline.advance(1)
    ((at, event),) = world.received
    ((record,),) = event.values()
    assert (at, list(event)) == (5, ["Records"])
    handle = record.pop("receiptHandle")
    assert isinstance(handle, str) and handle
    assert record.pop("attributes") == {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": str(int(START.timestamp() * 1000)),
        "SenderId": "AROALOCAL:redial",
        "ApproximateFirstReceiveTimestamp": str(int(START.timestamp() * 1000) + 5000),
    }
    assert record == {
        "messageId": sent["MessageId"],
        "body": BODY,
        "messageAttributes": {},
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE.arn,
        "awsRegion": "us-east-1",
    }


def test_a_message_is_received_once_when_the_function_succeeds(world: World) -> None:
    world.send()
    world.timeline.advance(600)
    assert world.bodies() == [(0, BODY)]
    assert world.functions.dead_letters == []


def test_a_failed_message_comes_again_after_the_visibility_timeout(world: World) -> None:
    def fails_first(event: Any, context: FunctionContext) -> None:
        world.functions.sleep(10)
        if len(world.received) == 1:
            failing(event, context)

    world.behaviour = fails_first
    world.send()
    world.timeline.advance(600)
    assert [at for at, _ in world.bodies()] == [0, 180], "the timeout begins with the receive"
    (first,), (second,) = (event["Records"] for _, event in world.received)
    assert (first["messageId"], first["body"]) == (second["messageId"], second["body"])
    assert first["receiptHandle"] != second["receiptHandle"]
    assert second["attributes"]["ApproximateReceiveCount"] == "2"
    assert second["attributes"]["SentTimestamp"] == first["attributes"]["SentTimestamp"]
    key = "ApproximateFirstReceiveTimestamp"
    assert second["attributes"][key] == first["attributes"][key]
    assert world.functions.dead_letters == []


def test_a_function_that_times_out_leaves_its_message_in_the_queue(world: World) -> None:
    world.behaviour = lambda event, context: world.functions.sleep(31)
    world.send()
    world.timeline.advance(5)
    assert [at for at, _ in world.bodies()] == [0, 180]


def test_a_message_that_fails_three_times_is_a_dead_letter(world: World) -> None:
    world.behaviour = failing
    world.send()
    world.timeline.advance(8.99)
    assert [at for at, _ in world.bodies()] == [0, 180, 360]
    assert world.functions.dead_letters == []
    world.timeline.advance(0.02)
    (letter,) = world.functions.dead_letters
    assert (letter.queue, letter.function, letter.tries) == (DEAD_LETTERS, "redial-dial", 3)
    assert letter.event == json.loads(BODY)
    assert letter.error["errorMessage"] == "broken"
    assert (letter.at - START).total_seconds() == 540
    world.timeline.advance(600)
    assert len(world.received) == 3


def test_a_body_that_is_no_json_is_a_dead_letter_as_it_is(world: World) -> None:
    world.behaviour = failing
    world.send("no json")
    world.timeline.advance(60)
    (letter,) = world.functions.dead_letters
    assert letter.event == "no json"


def test_no_more_messages_than_the_maximum_are_received_at_a_time(world: World) -> None:
    """The mapping leaves the other messages in the queue, in order, and does not count them as received."""
    running: list[int] = []

    def slow(event: Any, context: FunctionContext) -> None:
        running.append(1)
        assert len(running) <= 2
        world.functions.sleep(20)
        running.pop()

    world.behaviour = slow
    for number in range(5):
        world.send(str(number))
    world.timeline.advance(0.1)
    assert world.queues.waiting(QUEUE.arn) == 3
    world.timeline.advance(10)
    assert world.bodies() == [(0, "0"), (0, "1"), (20, "2"), (20, "3"), (40, "4")]
    counts = [event["Records"][0]["attributes"]["ApproximateReceiveCount"] for _, event in world.received]
    assert counts == ["1"] * 5
    assert world.queues.waiting(QUEUE.arn) == 0
    assert world.functions.failures == []


def test_a_message_that_waits_past_its_retention_is_dropped(world: World) -> None:
    world.behaviour = lambda event, context: world.functions.sleep(29)
    for _ in range(130):
        world.send()
    world.timeline.advance(120)
    assert len(world.received) == 2 * 63, "two every 29 seconds, for half an hour"
    assert max(at for at, _ in world.received) < QUEUE.retention_seconds
    assert len(world.queues.expired) == 4
    assert world.functions.dead_letters == []


def test_messages_may_come_late_twice_and_out_of_order(world: World) -> None:
    delays = {"a": (30.0,), "b": (0.0, 12.0)}
    asked: list[Any] = []

    def late(function: Function, event: Any) -> tuple[float, ...]:
        asked.append((function.name, event))
        return delays[event["execution_id"]]

    world.functions.delays = late
    a, b = world.send('{"execution_id": "a"}', DelaySeconds=1), world.send('{"execution_id": "b"}')
    world.timeline.advance(5)
    assert [(at, event["Records"][0]["messageId"]) for at, event in world.received] == [
        (0, b["MessageId"]),
        (12, b["MessageId"]),
        (31, a["MessageId"]),
    ]
    assert asked == [("redial-dial", {"execution_id": "a"}), ("redial-dial", {"execution_id": "b"})]


def test_requests_are_counted_and_shown_to_hooks(world: World) -> None:
    seen: list[OutsideRequest] = []
    world.aws.hooks.append(seen.append)
    world.send()
    assert world.aws.requests()["sqs"] == {"SendMessage": 1}
    assert [(one.phase, one.service, one.operation, one.status) for one in seen] == [
        ("before", "sqs", "SendMessage", None),
        ("after", "sqs", "SendMessage", 200),
    ]


def test_the_same_seed_gives_the_same_ids(world: World) -> None:
    def ids(seed: int) -> list[str]:
        queues = Queues(world.timeline, world.functions, [QUEUE], world.aws.lock, seed)
        return [queues.send(QUEUE.arn, BODY).id for _ in range(3)]

    assert ids(1) == ids(1) != ids(2)
