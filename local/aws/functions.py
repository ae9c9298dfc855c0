"""AWS Lambda on one machine: the template's functions, run in this process.

A synchronous invocation runs in the caller's thread. An asynchronous one is an event of the timeline. If it fails, it
is retried after 1 and after 2 minutes, as often as configured, and then becomes a dead letter.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html

All functions share one process: every request of a killed function (see `Invocation.gone`) fails instead.
"""

import io
import json
import random
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TextIO, TypeVar

from local.clock import ClockStopped, Timeline

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"
MAX_SYNCHRONOUS_BYTES = 6_291_456
MAX_ASYNCHRONOUS_BYTES = 1_048_576
RETRY_AFTER_SECONDS = (60, 120)
"""Waits before the first and the second retry of a failed asynchronous invocation."""

T = TypeVar("T")
R = TypeVar("R")
Handler = Callable[[Any, "FunctionContext"], Any]


@dataclass(frozen=True)
class Function:
    """A function of the template. `module` and `attribute` name its handler in this repository."""

    logical_id: str
    name: str
    module: str
    attribute: str = "handler"
    timeout_seconds: int = 3
    memory_mb: int = 128
    alias: str | None = None
    retries: int = 2
    max_event_age_seconds: int = 21600
    on_failure: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.name}"

    @property
    def alias_arn(self) -> str:
        """The value of `!Ref Function.Alias`."""
        return f"{self.arn}:{self.alias}" if self.alias else self.arn


class UnknownFunction(Exception):
    """No function of that name, ARN or alias."""


class FunctionFailed(Exception):
    """A handler raised, timed out, was killed, or did not return JSON. The message is Lambda's error payload."""

    def __init__(self, payload: dict[str, Any]) -> None:
        super().__init__(json.dumps(payload))
        self.payload = payload


class FunctionTimedOut(BaseException):
    """The function slept past its timeout. Not an `Exception`: handlers cannot catch Lambda's timeout."""


@dataclass(eq=False)
class Invocation:
    """One run of a handler.

    `gone`: the error that killed it. Every AWS or HTTP request of its clean-up code fails with the same error.
    """

    request_id: str
    function: Function
    event: Any
    number: int
    deadline: datetime
    gone: BaseException | None = None


@dataclass(frozen=True)
class DeadLetter:
    """An asynchronous or scheduled invocation, or a message, that was given up, and its dead-letter queue."""

    at: datetime
    queue: str | None
    function: str
    event: Any
    tries: int
    error: dict[str, Any]


class FunctionContext:
    """Lambda's context object in simulated time."""

    function_version = "1"
    client_context = None
    identity = None

    def __init__(self, invocation: Invocation, timeline: Timeline) -> None:
        function = invocation.function
        self._deadline, self._timeline = invocation.deadline, timeline
        self.aws_request_id = invocation.request_id
        self.function_name = function.name
        self.memory_limit_in_mb = str(function.memory_mb)
        self.invoked_function_arn = function.alias_arn
        self.log_group_name = f"/aws/lambda/{function.name}"
        self.log_stream_name = "local"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - self._timeline.now()).total_seconds() * 1000))


class Invoker:
    """The functions of one stack.

    `load` returns a function's handler. `seed` determines the request ids. `complain` is called after every failed run.
    """

    def __init__(
        self,
        timeline: Timeline,
        functions: Sequence[Function],
        load: Callable[[Function], Handler],
        seed: int = 0,
        complain: Callable[[Invocation, FunctionFailed], None] = lambda invocation, failure: None,
    ) -> None:
        self.dead_letters: list[DeadLetter] = []
        self.failures: list[tuple[Invocation, FunctionFailed]] = []
        self._timeline = timeline
        self._functions = {function.name: function for function in functions}
        self._load = load
        self._complain = complain
        self._random = random.Random(seed)
        self._random_lock = threading.Lock()
        self.delays: Callable[[Function, Any], tuple[float, ...]] = lambda function, event: (0.0,)
        """Returns delays in seconds. For each, an asynchronous invocation runs once, or a message of the function's
        queue arrives once. The arguments are the function, and the invocation's event or the message's body."""
        self.account_concurrency: int | None = None
        """How many functions may run at the same time; beyond that messages wait. None: no limit. Other invocations are
        not throttled here."""
        self._running = 0
        self._thread = threading.local()

    @property
    def has_capacity(self) -> bool:
        """Whether one more function may run."""
        return self.account_concurrency is None or self._running < self.account_concurrency

    def now(self) -> datetime:
        """The simulated time, aware UTC."""
        return self._timeline.now()

    def current(self) -> Invocation | None:
        """The invocation that runs in this thread."""
        running: list[Invocation] = getattr(self._thread, "running", [])
        return running[-1] if running else None

    def find(self, reference: str) -> Function:
        """The function of that name, ARN or partial ARN, with or without its alias. Raises `UnknownFunction`."""
        _, _, after = reference.rpartition("function:")
        name, _, qualifier = after.partition(":")
        function = self._functions.get(name)
        if function is None or qualifier not in ("", "$LATEST", function.alias):
            raise UnknownFunction(f"Function not found: {reference}")
        expected = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:"
        if reference.startswith("arn:") and not reference.startswith(expected):
            raise UnknownFunction(f"Function not found: {reference}")
        return function

    def invoke(self, reference: str, event: Any) -> Any:
        """Run a function in this thread and return its result. Raises `UnknownFunction` and `FunctionFailed`."""
        return self.invoke_text(reference, json.dumps(event))

    def invoke_text(
        self, reference: str, event: str, check: Callable[[Any], None] = lambda result: None, number: int = 1
    ) -> Any:
        """Like `invoke`, with an event in JSON. If `check` raises an error for the result, the function has failed."""
        return self._run(self.find(reference), event, self._new_request_id(), number, check)

    def invoke_later(self, reference: str, event: Any) -> None:
        """Schedule an asynchronous invocation. Raises `UnknownFunction`."""
        function, request_id, asked_at = self.find(reference), self._new_request_id(), self._timeline.now()
        for seconds in self.delays(function, event):
            self._try_later(function, json.dumps(event), request_id, asked_at, number=1, seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep in simulated time (`system.sleep`). Kills a function that sleeps past its timeout."""
        invocation = self.current()
        if invocation is not None:
            left = (invocation.deadline - self._timeline.now()).total_seconds()
            if seconds > left:
                self._timeline.sleep(left)
                invocation.gone = FunctionTimedOut(
                    f"Task timed out after {invocation.function.timeout_seconds}.00 seconds"
                )
                raise invocation.gone
        self._timeline.sleep(seconds)

    def each(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
        """`system.each` in simulated time. Its workers are events, and one runs while the others sleep. Their requests
        count for this thread's invocation."""
        invocation, waiting = self.current(), iter(enumerate(items))
        results: dict[int, R] = {}
        errors: list[BaseException] = []

        def serve() -> None:
            with self._working_for(invocation):
                try:
                    for index, item in waiting:
                        results[index] = work(item)
                        if errors:
                            return
                except ClockStopped:
                    raise
                except BaseException as error:  # noqa: BLE001  it is raised again below
                    errors.append(error)

        self._timeline.together([serve] * min(workers, len(items)))
        if errors:
            raise errors[0]
        return [results[index] for index in range(len(items))]

    @contextmanager
    def _working_for(self, invocation: Invocation | None) -> Iterator[None]:
        """Attribute the actions of this thread to that invocation."""
        if invocation is None:
            yield
            return
        running: list[Invocation] = self._thread.__dict__.setdefault("running", [])
        running.append(invocation)
        OUTPUT.function_threads.add(threading.get_ident())
        try:
            yield
        finally:
            running.pop()
            if not running:
                OUTPUT.function_threads.discard(threading.get_ident())

    def _try_later(
        self, function: Function, event: str, request_id: str, asked_at: datetime, number: int, seconds: float
    ) -> None:
        def attempt() -> None:
            try:
                self._run(function, event, request_id, number)
            except FunctionFailed as failure:
                self._after_failure(function, event, request_id, asked_at, number, failure)

        self._timeline.after(seconds, attempt, f"invoke {function.name}")

    def _after_failure(
        self, function: Function, event: str, request_id: str, asked_at: datetime, number: int, failure: FunctionFailed
    ) -> None:
        now = self._timeline.now()
        if number <= function.retries:
            seconds = RETRY_AFTER_SECONDS[min(number, len(RETRY_AFTER_SECONDS)) - 1]
            oldest = asked_at + timedelta(seconds=function.max_event_age_seconds)
            if now + timedelta(seconds=seconds) <= oldest:
                self._try_later(function, event, request_id, asked_at, number + 1, seconds)
                return
        letter = DeadLetter(now, function.on_failure, function.name, json.loads(event), number, failure.payload)
        self.dead_letters.append(letter)

    def _run(
        self,
        function: Function,
        sent: str,
        request_id: str,
        number: int,
        check: Callable[[Any], None] = lambda result: None,
    ) -> Any:
        """Run a function with its own copy of the event, given in JSON."""
        event = json.loads(sent)
        deadline = self._timeline.now() + timedelta(seconds=function.timeout_seconds)
        invocation = Invocation(request_id, function, event, number, deadline)
        self._running += 1
        with self._working_for(invocation):
            try:
                result = self._load(function)(event, FunctionContext(invocation, self._timeline))
                result = json.loads(json.dumps(result))
                check(result)
                return result
            except ClockStopped:
                raise
            except BaseException as error:  # Lambda reports every error
                failure = FunctionFailed(_error_payload(invocation.gone or error))
                print(json.dumps({"request_id": request_id, "function": function.name, **failure.payload}))
                self.failures.append((invocation, failure))
                self._complain(invocation, failure)
                raise failure from error
            finally:
                self._running -= 1

    def _new_request_id(self) -> str:
        with self._random_lock:
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def _error_payload(error: BaseException) -> dict[str, Any]:
    """The response of Lambda's Python runtime for an unhandled error."""
    trace = traceback.format_list(traceback.extract_tb(error.__traceback__))
    return {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": trace}


class FunctionOutput(io.TextIOBase):
    """Standard output that writes what functions print to a log file."""

    def __init__(self) -> None:
        self.function_threads: set[int] = set()
        self._log: TextIO | None = None
        self._stdout: TextIO = sys.stdout

    def redirect_to(self, log: TextIO) -> None:
        """Replace `sys.stdout` from now on."""
        if sys.stdout is not self:
            self._stdout = sys.stdout
        self._log = log
        sys.stdout = self

    def restore(self) -> None:
        """Restore `sys.stdout`."""
        self._log = None
        if sys.stdout is self:
            sys.stdout = self._stdout

    def write(self, text: str) -> int:
        if self._log is not None and threading.get_ident() in self.function_threads:
            return self._log.write(text)
        return self._stdout.write(text)

    def flush(self) -> None:
        (self._log or self._stdout).flush()

    def close(self) -> None:
        """Keep both streams open: their owners close them."""


OUTPUT = FunctionOutput()
"""The process's only instance: loggers keep their first stream longer than a stack runs."""
