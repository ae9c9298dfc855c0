"""Processor time of one event in a warm function, as a ratio to a bare handler that makes the same requests.

Events are recorded on the local stack together with every answer, and replayed in processes of their own, by turns with
the bare handler (`bench.replay`).
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from bench.attempt import WITHIN_MINUTES, Bench, counting
from bench.cold_start import run_python
from bench.report import say
from bench.stack import BATCH_RETRIES, Stack, create_batch, function_name, schedule
from local.aws.functions import Function, Handler
from local.aws.requests import Answer
from redial.adapters.http import Http

TURNS = 3
TIMES = 40
"""How often the process of one turn handles each event."""
MOST_EVENTS = 8
"""The first events of a function are recorded."""
CONTACTS = 20


@dataclass(frozen=True)
class Warm:
    """`seconds` and `bare_seconds`: processor time of an event, the mean over `events` of each one's median.
    `requests` of an event on average."""

    function: str
    events: int
    requests: float
    seconds: float
    bare_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare_seconds


class Recorder(Bench):
    """Records the first events of each function, with every answer to the function's requests.

    The function's caches are empty for each, so that no read is missing that it may make when the event is replayed.
    """

    def __init__(self, stack: Stack) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._recording: dict[str, dict[str, Any]] = {}
        super().__init__(stack)
        stack.aws.middleware = self._between

    def _counted(self, function: Function, handler: Handler) -> Handler:
        invocation = self.stack.functions.current()
        events = self.events[function_name(function.module)]
        if invocation is None or len(events) >= MOST_EVENTS:
            return handler

        def run(event: Any, context: Any) -> Any:
            self.new_processes()
            recorded: dict[str, Any] = {
                "event": json.loads(json.dumps(event)),
                "now": self.stack.clock.now().isoformat(),
                "request_id": invocation.request_id,
                "aws": [],
                "http": [],
            }
            events.append(recorded)
            self._recording[invocation.request_id] = recorded
            try:
                return handler(event, context)
            finally:
                del self._recording[invocation.request_id]

        return run

    def recorded(self) -> dict[str, Any] | None:
        """The recording that this thread's answers belong to."""
        invocation = self.stack.functions.current()
        return None if invocation is None else self._recording.get(invocation.request_id)

    def _between(self, service: str, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
        status, headers, content = answer = ask()
        recorded = self.recorded()
        if recorded is not None:
            plain = {str(name): str(value) for name, value in headers.items()}
            name = f"{service}.{operation}"
            recorded["aws"].append([name, body.decode("latin-1"), status, plain, content.decode("latin-1")])
        return answer


def record() -> tuple[dict[str, list[dict[str, Any]]], list[Function]]:
    """Events of every function, and the functions: an answered call, an unanswered call, then a small batch."""
    say("recording events of every function")
    with counting(Recorder) as recorder:
        stack, send = recorder.stack, Http.send

        def sending(self: Http, *arguments: Any, **options: Any) -> Any:
            answer = send(self, *arguments, **options)
            recorded = recorder.recorded()
            if recorded is not None:
                recorded["http"].append([answer.status, answer.body.decode("latin-1")])
            return answer

        with mock.patch.object(Http, "send", sending):
            agent = stack.create_agent(max_concurrent_calls=3)
            recorder.script("+14155550139", "completed")
            recorder.place("completed", "+14155550139", agent)  # an account's first call makes its key for numbers
            recorder.advance(WITHIN_MINUTES)
            recorder.events.clear()
            for number, outcome in enumerate(("completed", "no-answer")):
                recorder.script(f"+1415555013{number}", outcome)
                recorder.place(outcome, f"+1415555013{number}", agent)
                recorder.advance(WITHIN_MINUTES)
            batch_id = create_batch(stack, agent, CONTACTS, BATCH_RETRIES)
            recorder.advance(1)
            schedule(stack, batch_id, 2)
            recorder.advance(2 * WITHIN_MINUTES)
        return dict(recorder.events), stack.template.functions(stack.environment)


def measure() -> list[Warm]:
    """Every function, in `TURNS` turns with its bare handler. Raises `RuntimeError` if their requests differ."""
    events, functions = record()
    found = []
    for function in functions:
        name = function_name(function.module)
        say(f"warm events of {name}: {len(events[name])}")
        found.append(_measured(function, {"function": name, "events": events[name]}))
    return found


def _measured(function: Function, recording: dict[str, Any]) -> Warm:
    events = len(recording["events"])
    seconds: dict[str, list[list[float]]] = {"redial": [[] for _ in range(events)], "bare": [[] for _ in range(events)]}
    requests = 0
    for _ in range(TURNS):
        replayed = _replay("redial", function, recording)
        repeated = _replay("bare", function, {**recording, "requests": replayed["requests"]})
        for own, bare in zip(replayed["bodies"], repeated["bodies"], strict=True):
            if own != bare:
                raise RuntimeError(f"{function.module}: the bare handler made other requests: {bare}, not {own}")
        requests = sum(map(len, replayed["bodies"]))
        for variant, run in (("redial", replayed), ("bare", repeated)):
            for of_event, more in zip(seconds[variant], run["seconds"], strict=True):
                of_event.extend(more)
    redial, bare = (sum(map(median, seconds[variant])) / events for variant in ("redial", "bare"))
    return Warm(recording["function"], events, requests / events, redial, bare)


def _replay(variant: str, function: Function, recording: dict[str, Any]) -> dict[str, Any]:
    """The measurements of `bench.replay`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "recording.json", Path(folder) / "results.json"
        paths[0].write_text(json.dumps(recording))
        run_python(function, "-m", "bench.replay", variant, *map(str, paths), str(TIMES))
        found: dict[str, Any] = json.loads(paths[1].read_text())
        return found
