"""Processor time of one event in a warm function, as a ratio to a bare handler that makes the same requests.

Events are recorded on the local stack with every answer, and replayed in separate processes, in turn with the bare
handler (`bench.replay`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean, median
from typing import Any
from unittest import mock

from bench.attempt import WITHIN_MINUTES, Bench, counting
from bench.cold_start import Compared, run_python
from bench.report import say
from bench.stack import Stack, function_name
from local.aws.functions import Function, Handler
from local.aws.requests import Answer
from redial.adapters.http import Http

TURNS = 3
TIMES = 40
"""How often a process handles each event in one turn."""
MOST_EVENTS = 8
"""The number of a function's first events to record."""
CONTACTS = 20


@dataclass(frozen=True)
class Warm(Compared):
    """The mean of the medians of all `events`. `requests`: the average of an event."""

    events: int
    requests: float


class Recorder(Bench):
    """Records the first events of each function, with every answer to the function's requests.

    The function's caches are empty for each event, so that every read of a replay has a recorded answer.
    """

    def __init__(self, stack: Stack) -> None:
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._recording: dict[str, dict[str, Any]] = {}
        super().__init__(stack)
        stack.aws.middleware = self._between

    def around(self, function: Function, handler: Handler) -> Handler:
        invocation = self.stack.functions.current()
        events = self.events[function_name(function.module)]
        if invocation is None or len(events) >= MOST_EVENTS:
            return handler

        def run(event: Any, context: Any) -> Any:
            self.new_processes()
            events.append(
                {
                    "event": json.loads(json.dumps(event)),
                    "now": self.stack.clock.now().isoformat(),
                    "request_id": invocation.request_id,
                    "aws": [],
                    "http": [],
                }
            )
            self._recording[invocation.request_id] = events[-1]
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
    """Record an answered call, an unanswered call and a small batch. Returns events by function, and the functions."""
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
            agent_id = recorder.agent(max_concurrent_calls=3)
            recorder.events.clear()  # an account's first call makes its key for numbers
            for outcome in ("completed", "no-answer"):
                recorder.place(outcome, recorder.number(outcome), agent_id)
                recorder.advance(WITHIN_MINUTES)
            stack.start_batch(agent_id, CONTACTS)
            recorder.advance(2 * WITHIN_MINUTES)
        return dict(recorder.events), stack.template.functions(stack.environment)


def measure() -> list[Warm]:
    """Measure every function in `TURNS` turns with its bare handler. Raises `RuntimeError` if their requests differ."""
    events, functions = record()
    found = []
    for function in functions:
        name = function_name(function.module)
        say(f"warm events of {name}: {len(events[name])}")
        found.append(_measured(function, {"function": name, "events": events[name]}))
    return found


def _measured(function: Function, recording: dict[str, Any]) -> Warm:
    turns, requests = [], 0
    for _ in range(TURNS):
        replayed = _replay("redial", function, recording)
        repeated = _replay("bare", function, {**recording, "requests": replayed["requests"]})
        own, bare = ([*map(_sent, run["requests"])] for run in (replayed, repeated))
        if own != bare:
            raise RuntimeError(f"{function.module}: the bare handler made other requests: {bare}, not {own}")
        turns.append((replayed["seconds"], repeated["seconds"]))
        requests = sum(map(len, own))
    seconds, bare_seconds = map(_mean_of_medians, zip(*turns, strict=True))
    events = len(recording["events"])
    return Warm(recording["function"], seconds, bare_seconds, events, requests / events)


def _sent(requests: dict[str, Any]) -> list[Any]:
    """The requests of an event, without HTTP headers, whose order differs."""
    return [*requests["aws"], *((one["url"], one["body"]) for one in requests["http"])]


def _mean_of_medians(turns: Sequence[Sequence[Sequence[float]]]) -> float:
    """The mean of the events' medians, in seconds. `turns`: for each turn and event, the seconds of each run."""
    return fmean(median(chain(*of_event)) for of_event in zip(*turns, strict=True))


def _replay(variant: str, function: Function, recording: dict[str, Any]) -> dict[str, Any]:
    """The measurements of `bench.replay`."""
    arguments = ("-m", "bench.replay", variant, str(TIMES))
    found: dict[str, Any] = json.loads(run_python(function, *arguments, stdin=json.dumps(recording)))
    return found
