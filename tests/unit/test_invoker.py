"""Messages to dial and deliver, asynchronous invocations of batch and sweep, and the logging of lost ones."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber

from redial.adapters.invoker import MOST_DELAY_SECONDS, MOST_HOPS, AwsInvoker

EXECUTION = "3f6a9d1e-8b1c-4a57-9c1f-0a6d8f2b7c41"
BATCH_ID = "f" * 32
NOW = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
DIAL = "https://sqs.us-east-1.amazonaws.com/123456789012/redial-dial"
DELIVER = "https://sqs.us-east-1.amazonaws.com/123456789012/redial-deliver"
BATCH = "arn:aws:lambda:us-east-1:123456789012:function:redial-batch:live"


class Aws:
    """Both services, with answers given by the test."""

    def __init__(self) -> None:
        self.queues = boto3.client("sqs", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.functions = boto3.client("lambda", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        self.messages, self.invocations = Stubber(self.queues), Stubber(self.functions)
        self.cut: list[str] = []
        self.invoker = AwsInvoker(
            lambda: self.queues,
            lambda: self.functions,
            lambda: NOW,
            deliver_queue=DELIVER,
            dial_queue=DIAL,
            batch_function=BATCH,
            on_cut=lambda: self.cut.append("cut"),
        )

    def expect(self, queue: str, event: dict[str, Any], delay: int = 0) -> None:
        body = json.dumps(event, separators=(",", ":"))
        sent = {"QueueUrl": queue, "MessageBody": body, "DelaySeconds": delay}
        self.messages.add_response("send_message", {"MessageId": "1"}, sent)


@pytest.fixture
def aws() -> Iterator[Aws]:
    aws = Aws()
    with aws.messages, aws.invocations:
        yield aws
        aws.messages.assert_no_pending_responses()
        aws.invocations.assert_no_pending_responses()


def test_dial_and_deliver_get_messages(aws: Aws) -> None:
    aws.expect(DIAL, {"execution_id": EXECUTION, "attempt": 2})
    aws.expect(DELIVER, {"execution_id": EXECUTION, "lease": "l-1"})
    aws.expect(DELIVER, {"batch_id": BATCH_ID})
    aws.invoker.dial(EXECUTION, 2)
    aws.invoker.deliver(EXECUTION, "l-1")
    aws.invoker.deliver(BATCH_ID, None)


def test_batch_is_invoked_without_waiting(aws: Aws) -> None:
    event = json.dumps({"batch_id": BATCH_ID}).encode()
    sent = {"FunctionName": BATCH, "InvocationType": "Event", "Payload": event}
    aws.invocations.add_response("invoke", {"StatusCode": 202}, sent)
    aws.invoker.batch(BATCH_ID)


@pytest.mark.parametrize(
    ("seconds", "delay"), [(-5, 0), (0, 0), (0.001, 1), (3, 3), (3.2, 4), (899.5, 900), (4000, MOST_DELAY_SECONDS)]
)
def test_a_start_in_the_future_delays_the_message_to_the_next_whole_second(
    aws: Aws, seconds: float, delay: int
) -> None:
    at = NOW + timedelta(seconds=seconds)
    milliseconds = round(at.timestamp() * 1000)
    aws.expect(DIAL, {"execution_id": EXECUTION, "attempt": 1, "line": 2, "at": milliseconds}, delay)
    aws.expect(DIAL, {"execution_id": EXECUTION, "attempt": 1, "paced": milliseconds}, delay)
    aws.expect(DELIVER, {"execution_id": EXECUTION}, delay)
    aws.invoker.dial(EXECUTION, 1, 2, at)
    aws.invoker.dial(EXECUTION, 1, paced_at=at, after=at)
    aws.invoker.deliver(EXECUTION, None, after=at)


@pytest.mark.parametrize("code", ["RequestThrottled", "QueueDoesNotExist", "AccessDeniedException"])
def test_a_rejected_message_is_logged_and_left_to_the_sweeper(
    aws: Aws, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    aws.messages.add_client_error("send_message", code)
    with caplog.at_level(logging.WARNING):
        aws.invoker.dial(EXECUTION, 2)
    (record,) = caplog.records
    assert record.message == f"could not invoke dial ({code}): left to the sweeper"
    assert record.__dict__["execution_id"] == EXECUTION


def test_an_unsent_message_is_logged_and_left_to_the_sweeper(caplog: pytest.LogCaptureFixture) -> None:
    class Unreachable:
        def send_message(self, **_: object) -> None:
            raise ConnectTimeoutError(endpoint_url="https://sqs.us-east-1.amazonaws.com")

    def queues() -> Any:
        return Unreachable()

    AwsInvoker(queues, queues, lambda: NOW, deliver_queue=DELIVER).deliver(EXECUTION, None)
    assert "could not invoke deliver (ConnectTimeoutError)" in caplog.text


def test_invoking_an_unconfigured_function_raises(aws: Aws) -> None:
    invoker = AwsInvoker(lambda: aws.queues, lambda: aws.functions, lambda: NOW, deliver_queue=DELIVER)
    with pytest.raises(ValueError, match="no dial queue"):
        invoker.dial(EXECUTION, 2)
    with pytest.raises(ValueError, match="no batch function"):
        invoker.batch(BATCH_ID)


def test_a_chain_of_invocations_is_counted_and_cut_off(aws: Aws, caplog: pytest.LogCaptureFixture) -> None:
    aws.invoker.hop = MOST_HOPS
    aws.expect(DIAL, {"execution_id": EXECUTION, "attempt": 2, "hop": MOST_HOPS})
    aws.invoker.dial(EXECUTION, 2)
    aws.invoker.hop = MOST_HOPS + 1
    with caplog.at_level(logging.ERROR):
        aws.invoker.dial(EXECUTION, 2)
    aws.expect(DELIVER, {"execution_id": EXECUTION})
    aws.invoker.deliver(EXECUTION, None)
    assert aws.cut == ["cut"]
    (record,) = caplog.records
    assert record.__dict__["execution_id"] == EXECUTION
