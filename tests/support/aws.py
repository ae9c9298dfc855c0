"""The emulated AWS of the local stack, without the stack, for tests of the API and of the stores."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3

from local.aws.functions import Function, Invoker
from local.aws.queues import Message, Queue, Queues
from local.aws.requests import Aws
from local.aws.scheduler import Scheduler
from local.clock import Timeline
from tests.support.samples import TEN
from tests.support.table import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

BATCH = Function("BatchFunction", "redial-batch", "functions.batch.handler", alias="live")
DIAL = Function("DialFunction", "redial-dial", "functions.dial.handler", alias="live")
DELIVER = Function("DeliverFunction", "redial-deliver", "functions.deliver.handler", alias="live")


class Clock(Timeline):
    """Shows the time `now` and runs no events."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now(), speed=0)
        self._shown = now

    def now(self) -> datetime:
        return self._shown()


Asked = Callable[[str, Any], None]
"""Called with the name of a function that is to run, and its event."""


class _Functions(Invoker):
    """Runs no functions."""

    def __init__(self, clock: Clock, asked: Asked) -> None:
        super().__init__(clock, (BATCH, DIAL, DELIVER), lambda function: lambda event, context: None)
        self._asked = asked

    def invoke_later(self, reference: str, event: Any) -> None:
        self._asked(self.find(reference).name.removeprefix("redial-"), event)


class _Queues(Queues):
    """Drops all messages."""

    def __init__(self, clock: Clock, functions: Invoker, aws: Aws, asked: Asked) -> None:
        queues = [Queue(one.name, one, 60, 3600, "", 3) for one in (DIAL, DELIVER)]
        super().__init__(clock, functions, queues, aws.lock)
        self._asked = asked

    def send(self, arn: str, body: str, delay_seconds: float = 0) -> Message:
        message = super().send(arn, body, delay_seconds)
        self._asked(self.find(arn).name.removeprefix("redial-"), message.event)
        return message


def _ignore(function: str, event: Any) -> None:
    pass


@contextmanager
def emulated_aws(now: Callable[[], datetime] = lambda: TEN, asked: Asked = _ignore) -> Iterator[Aws]:
    """DynamoDB, EventBridge Scheduler, SQS and S3 at the time `now`; nothing that is scheduled or sent runs."""
    clock, aws = Clock(now), Aws()
    functions = _Functions(clock, asked)
    queues = _Queues(clock, functions, aws, asked)
    aws.start(functions, Scheduler(clock, functions, queues, aws.lock), queues)
    try:
        yield aws
    finally:
        aws.stop()


@contextmanager
def dynamodb_with_table() -> Iterator["DynamoDBClient"]:
    """A client of the emulated DynamoDB, which has one empty table."""
    with emulated_aws():
        client = boto3.client("dynamodb")
        create_table(client)
        yield client
