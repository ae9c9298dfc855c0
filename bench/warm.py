"""Processor time of one event in a warm function, as a ratio to a bare handler that makes the very same requests.

Events are recorded on the local stack with everything that was answered while they were handled, and then replayed in
processes of their own, by turns with the bare handler (`bench.replay`).
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench import batch
from bench.attempt import NOON, WITHIN_MINUTES, Bench
from bench.cold_start import process_environment
from local import ROOT
from local.aws.functions import Function, Invocation
from local.aws.requests import Answer
from local.stack import LocalStack
from redial.adapters.http import Http

TURNS = 3
TIMES = 40
"""How often a turn's process handles each event."""
MOST_EVENTS = 8
"""Events of a function that are recorded: its first."""
CONTACTS = 20


@dataclass(frozen=True)
class Warm:
    """Of one function: `seconds` and `bare_seconds` of processor time for an event, on average over the recorded
    `events` of each one's median; `requests` of an event, on average."""

    function: str
    events: int
    requests: float
    seconds: float
    bare_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare_seconds


class Recorder(Bench):
    """Records the first events of each function, and what is answered meanwhile.

    A function starts with an empty memory for each, so that nothing is missing that it may read when the event comes
    again.
    """

    def __init__(self, stack: LocalStack, log: Path) -> None:
        super().__init__(stack, log)
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._recording: dict[str, dict[str, Any]] = {}
        stack.aws.middleware = self._between

    def _counted(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def run(event: Any, context: Any) -> Any:
            invocation = self.stack.functions.current()
            assert invocation is not None
            function = _name(invocation)
            if len(self.events[function]) >= MOST_EVENTS:
                return handler(event, context)
            self.new_processes()
            recorded: dict[str, Any] = {
                "event": json.loads(json.dumps(event)),
                "now": self.stack.clock.now().isoformat(),
                "request_id": invocation.request_id,
                "aws": [],
                "http": [],
            }
            self.events[function].append(recorded)
            self._recording[invocation.request_id] = recorded
            try:
                return handler(event, context)
            finally:
                del self._recording[invocation.request_id]

        return run

    def recorded(self) -> dict[str, Any] | None:
        """Where what is answered to this thread belongs."""
        invocation = self.stack.functions.current()
        return None if invocation is None else self._recording.get(invocation.request_id)

    def _between(self, service: str, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
        answer = ask()
        recorded = self.recorded()
        if recorded is not None:
            status, headers, content = answer
            plain = {str(name): str(value) for name, value in headers.items()}
            recorded["aws"].append(
                [f"{service}.{operation}", body.decode("latin-1"), status, plain, content.decode("latin-1")]
            )
        return answer


def _name(invocation: Invocation) -> str:
    return invocation.function.module.split(".")[1]


def record(say: Callable[[str], None]) -> tuple[dict[str, list[dict[str, Any]]], dict[str, Function]]:
    """Events of every function, and the functions as they were set up: a call that is answered, one that is not, then
    a small batch."""
    say("recording events of every function")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "functions.log"
        with LocalStack(start_at=NOON, log=log) as stack:
            recorder = Recorder(stack, log)
            functions = stack.template.functions(stack.environment)
            send = Http.send

            def sending(self: Http, *arguments: Any, **options: Any) -> Any:
                answer = send(self, *arguments, **options)
                recorded = recorder.recorded()
                if recorded is not None:
                    recorded["http"].append([answer.status, answer.body.decode("latin-1")])
                return answer

            agent = stack.create_agent(max_concurrent_calls=3)
            Http.send = sending  # type: ignore[method-assign]
            try:
                with recorder.counted_handlers(functions):
                    for number, outcome in enumerate(("completed", "no-answer")):
                        recorder.script(f"+1415555013{number}", outcome)
                        recorder.place(outcome, f"+1415555013{number}", agent)
                        recorder.advance(WITHIN_MINUTES)
                    batch_id = batch.create_batch(stack, agent, CONTACTS, batch.RETRIES)
                    recorder.advance(1)
                    batch.schedule(stack, batch_id, 2)
                    recorder.advance(2 * WITHIN_MINUTES)
            finally:
                Http.send = send  # type: ignore[method-assign]
    return dict(recorder.events), {function.module.split(".")[1]: function for function in functions}


def measure(say: Callable[[str], None]) -> list[Warm]:
    """Every function, in `TURNS` turns with its bare handler. Raises `RuntimeError` where their requests differ."""
    events, functions = record(say)
    found = []
    for name, function in functions.items():
        say(f"warm events of {name}: {len(events[name])}")
        found.append(_measured(function, {"function": name, "events": events[name]}))
    return found


def _measured(function: Function, recording: dict[str, Any]) -> Warm:
    seconds: dict[str, list[list[float]]] = {}
    requests = 0
    for _ in range(TURNS):
        replayed = _replay("redial", function, recording)
        repeated = _replay("bare", function, {**recording, "requests": replayed["requests"]})
        for own, bare in zip(replayed["bodies"], repeated["bodies"], strict=True):
            if own != bare:
                raise RuntimeError(f"{function.module}: the bare handler made other requests: {bare}, not {own}")
        requests = sum(map(len, replayed["bodies"]))
        for variant, run in (("redial", replayed), ("bare", repeated)):
            all_seconds = seconds.setdefault(variant, [[] for _ in run["seconds"]])
            for of_event, more in zip(all_seconds, run["seconds"], strict=True):
                of_event.extend(more)
    events = len(recording["events"])
    medians = {variant: sum(map(median, each)) / events for variant, each in seconds.items()}
    return Warm(recording["function"], events, requests / events, medians["redial"], medians["bare"])


def _replay(variant: str, function: Function, recording: dict[str, Any]) -> dict[str, Any]:
    """What `bench.replay` finds. Raises `RuntimeError` when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "recording.json", Path(folder) / "results.json"
        paths[0].write_text(json.dumps(recording))
        command = [sys.executable, "-m", "bench.replay", variant, *map(str, paths), str(TIMES)]
        environment = process_environment(function)
        done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
        if done.returncode != 0:
            raise RuntimeError(f"{function.module}, {variant}: {done.stderr}")
        found: dict[str, Any] = json.loads(paths[1].read_text())
        return found
