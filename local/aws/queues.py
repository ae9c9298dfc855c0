"""Amazon SQS on one machine: standard queues whose messages are read by a function, and Lambda's event source mappings.

    SendMessage ─delay─► queue ─► function          at most `max_concurrency` at a time; the others wait in order
                           ▲         │ fails
                           └─────────┘ after the visibility timeout; after `max_receives` receives: a dead letter

A message that no function has received when its retention ends is dropped. `Invoker.delays` determines how late and how
often each message arrives: the service delivers at least once, in any order.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import hashlib
import json
import random
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import RLock
from typing import Any

from local.aws.api_model import service_model, violations
from local.aws.functions import ACCOUNT_ID, REGION, DeadLetter, Function, FunctionFailed, Invoker
from local.clock import Timeline

MAX_MESSAGE_BYTES = 1_048_576
MAX_DELAY_SECONDS = 900
THROTTLED_SECONDS = 1.0
"""When a queue's messages are tried again after Lambda had no capacity."""
SENDER_ID = "AROALOCAL:redial"
_EMULATED = {"QueueUrl", "MessageBody", "DelaySeconds"}
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class UnknownQueue(Exception):
    """No function reads a queue with that URL or ARN."""


class QueueError(Exception):
    """A refused request, with the error's name in the JSON protocol and in the query protocol, which boto3 shows."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.code = code


def _invalid(message: str) -> QueueError:
    return QueueError("InvalidParameterValueException", "InvalidParameterValue", message)


@dataclass(frozen=True)
class Queue:
    """A queue of the template and the event source mapping that reads it, one message at a time.

    `dead_letters`: the ARN of its dead-letter queue. `max_concurrency`: None for no limit.
    """

    name: str
    function: Function
    visibility_seconds: int
    retention_seconds: int
    dead_letters: str
    max_receives: int
    max_concurrency: int | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{self.name}"

    @property
    def url(self) -> str:
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{self.name}"


@dataclass(eq=False)
class Message:
    """One copy of a message. Times are simulated, aware UTC. `error`: the error of the function's last run."""

    id: str
    body: str
    sent_at: datetime
    receives: int = 0
    first_received_at: datetime | None = None
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> Any:
        """The body, parsed if it is JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body


@dataclass(eq=False)
class _Reader:
    """A queue, its visible messages in order of arrival, and the number of concurrent runs of its function.

    `throttled`: Lambda has no capacity for the first message, which is tried again soon."""

    queue: Queue
    visible: deque[Message] = field(default_factory=deque)
    running: int = 0
    throttled: bool = False


class Queues:
    """The service, and the event source mappings of `queues`. `seed` determines the messages' ids."""

    def __init__(
        self, timeline: Timeline, functions: Invoker, queues: Sequence[Queue], lock: RLock, seed: int = 0
    ) -> None:
        self.expired: list[Message] = []
        self._timeline = timeline
        self._functions = functions
        self._lock = lock
        self._random = random.Random(f"messages {seed}")
        self._model = service_model("sqs")
        self._readers = {queue.arn: _Reader(queue) for queue in queues}

    def handle(self, operation: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer an HTTP request of the service's API with status, headers and body."""
        try:
            if operation != "SendMessage":
                raise QueueError("UnsupportedOperation", "UnsupportedOperation", f"{operation} is not emulated")
            answer = self._send_message(json.loads(body))
        except QueueError as error:
            headers = {"x-amzn-query-error": f"{error.code};Sender"}
            said = {"__type": f"com.amazonaws.sqs#{error.name}", "message": str(error)}
            return 400, headers, json.dumps(said).encode()
        return 200, {"content-type": "application/x-amz-json-1.0"}, json.dumps(answer).encode()

    def find(self, arn: str) -> Queue:
        """The queue with that ARN. Raises `UnknownQueue`."""
        if arn not in self._readers:
            raise UnknownQueue(f"Queue not found: {arn}")
        return self._readers[arn].queue

    def send(self, arn: str, body: str, delay_seconds: float = 0) -> Message:
        """Send a message, which the queue's function receives after the delay. Raises `UnknownQueue`."""
        queue = self.find(arn)
        with self._lock:
            digits = f"{self._random.getrandbits(128):032x}"
        message_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        sent = Message(message_id, body, self._timeline.now())
        for seconds in self._functions.delays(queue.function, sent.event):
            copy = Message(message_id, body, sent.sent_at)
            self._arrive_at(queue, copy, sent.sent_at + timedelta(seconds=delay_seconds + seconds))
        return sent

    def limit(self, arn: str, max_concurrency: int) -> None:
        """Change the maximum number of concurrent runs of the queue's function."""
        reader = self._readers[arn]
        reader.queue = replace(reader.queue, max_concurrency=max_concurrency)

    def waiting(self, arn: str) -> int:
        """The number of visible messages, which the function could receive if it had free runs."""
        with self._lock:
            return len(self._readers[arn].visible)

    def _send_message(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
        shape = self._model.operation_model("SendMessage").input_shape
        assert shape is not None
        for name in shape.required_members:
            if wanted.get(name) in (None, ""):
                message = f"The request must contain the parameter {name}."
                raise QueueError("MissingRequiredParameterException", "MissingParameter", message)
        if broken := violations(shape, wanted):
            raise QueueError("SerializationException", "SerializationException", "; ".join(broken))
        if others := wanted.keys() - _EMULATED:
            raise _invalid(f"{', '.join(sorted(others))} is not emulated")
        body, delay = wanted["MessageBody"], wanted.get("DelaySeconds", 0)
        if not 0 <= delay <= MAX_DELAY_SECONDS:
            raise _invalid(
                f"Value {delay} for parameter DelaySeconds is invalid. "
                f"Reason: DelaySeconds must be >= 0 and <= {MAX_DELAY_SECONDS}."
            )
        if len(body.encode(errors="surrogatepass")) > MAX_MESSAGE_BYTES:
            raise _invalid(
                f"One or more parameters are invalid. Reason: Message must be shorter than {MAX_MESSAGE_BYTES} bytes."
            )
        if _NOT_ALLOWED.search(body):
            raise QueueError("InvalidMessageContents", "InvalidMessageContents", "Invalid characters in MessageBody.")
        queue = next((one.queue for one in self._readers.values() if one.queue.url == wanted["QueueUrl"]), None)
        if queue is None:
            code = "AWS.SimpleQueueService.NonExistentQueue"
            raise QueueError("QueueDoesNotExist", code, "The specified queue does not exist.")
        return {"MessageId": self.send(queue.arn, body, delay).id, "MD5OfMessageBody": _md5(body)}

    def _arrive_at(self, queue: Queue, message: Message, at: datetime) -> None:
        """Make the message visible at that time."""

        def arrive() -> None:
            reader = self._readers[queue.arn]
            with self._lock:
                reader.visible.append(message)
            self._read(reader)

        self._timeline.at(at, arrive, f"invoke {queue.function.name}")

    def _read(self, reader: _Reader) -> None:
        """Run the function with visible messages. Messages for which Lambda has no capacity are tried again soon."""
        while (received := self._receive(reader)) is not None:
            self._run(reader, received)
        if reader.visible and not reader.running and not reader.throttled:
            reader.throttled = True

            def again() -> None:
                reader.throttled = False
                self._read(reader)

            self._timeline.after(THROTTLED_SECONDS, again, f"invoke {reader.queue.function.name}")

    def _receive(self, reader: _Reader) -> Message | None:
        """The next message for the function. None if there is no message or no free run."""
        queue, now = reader.queue, self._timeline.now()
        with self._lock:
            while reader.visible and self._has_capacity(reader):
                message = reader.visible.popleft()
                if now >= message.sent_at + timedelta(seconds=queue.retention_seconds):
                    self.expired.append(message)
                elif message.receives >= queue.max_receives:
                    given_up = DeadLetter(
                        now, queue.dead_letters, queue.function.name, message.event, message.receives, message.error
                    )
                    self._functions.dead_letters.append(given_up)
                else:
                    message.receives += 1
                    message.first_received_at = message.first_received_at or now
                    reader.running += 1
                    return message
        return None

    def _has_capacity(self, reader: _Reader) -> bool:
        most = reader.queue.max_concurrency
        return self._functions.has_capacity and (most is None or reader.running < most)

    def _run(self, reader: _Reader, message: Message) -> None:
        """Run the function with the message. If it fails, the message is visible again after the timeout."""
        queue, received_at = reader.queue, self._timeline.now()
        event = json.dumps({"Records": [self._record(queue, message)]})
        try:
            self._functions.invoke_text(queue.function.alias_arn, event, number=message.receives)
        except FunctionFailed as failure:
            message.error = failure.payload
            self._arrive_at(queue, message, received_at + timedelta(seconds=queue.visibility_seconds))
        finally:
            with self._lock:
                reader.running -= 1

    def _record(self, queue: Queue, message: Message) -> dict[str, Any]:
        """The message as the function receives it.

        https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
        """
        assert message.first_received_at is not None
        return {
            "messageId": message.id,
            "receiptHandle": _md5(f"{message.id} {message.receives}"),
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": _milliseconds(message.sent_at),
                "SenderId": SENDER_ID,
                "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_received_at),
            },
            "messageAttributes": {},
            "md5OfBody": _md5(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue.arn,
            "awsRegion": REGION,
        }


def _milliseconds(instant: datetime) -> str:
    return str(int(instant.timestamp() * 1000))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
