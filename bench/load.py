"""`python -m bench.load`: calls asked for at a steady rate on the local stack, and everything checked that must hold.

    this process                             another
    asks for calls by the clock  ──HTTP──►   `python -m local`: API, functions, emulated AWS, carrier, inbox
    checks what became of them   ◄──HTTP──   its processor time, by what it was spent on

Arrivals are set by the clock and not by answers, and a request's latency counts from the instant at which it was due: a
server that is late makes later requests late, and that is seen. Callbacks and webhooks flow meanwhile, at the pace of
the simulated clock. Then the clock is moved until all is final, and checked: no request answered but 200; every
execution final; each one's webhooks all there and in order; at the carrier exactly the attempts that were dialled, each
once; never more live calls than lines.

The other process is one Python that does everything by turns, with AWS emulated in it. What it can take says little of
AWS; what it spends its time on is printed for that reason.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.markdown import paragraph, put, table
from local import ROOT
from local.web.server import HOST, send
from redial.domain.status import FINAL

SCALING = ROOT / "docs" / "scaling.md"
RATE, SECONDS = 50, 60
LINES = 1000
"""The agent's limit: the highest there is."""
SENDERS = 64
"""Requests that are under way at once, at most; those that are due meanwhile wait, and their latency counts."""
FIRST_NUMBER = 12_125_550_000
RETRIES = {
    "enabled": True,
    "max_retries": 2,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_intervals_minutes": [5],
}
INBOX = "load"
STEP_MINUTES = 5
MOST_STEPS = 60
"""Moves of the clock until everything must be final."""
START_SECONDS = 60
ANSWER_SECONDS = 600
"""How long one request may take: moving the clock takes as long as all that happens meanwhile."""

Say = Callable[[str], None]


# ---- the other process ----------------------------------------------------------------------------------------------


class Spent:
    """Processor seconds of this process by what they were spent on, written to a file twice a second.

    Kinds: "functions", which is a handler's own with boto3's part of it, "AWS", emulated, and "whole"; the rest of that
    is HTTP, the clock, the carrier and the inbox. "events": how often a handler ran.
    """

    EVERY_SECONDS = 0.5

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._thread = threading.local()

    def _add(self, kind: str, seconds: float) -> None:
        with self._lock:
            self._seconds[kind] += seconds

    def answering(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        """The emulated AWS, with its time taken."""

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return answer(*arguments, **options)
            finally:
                taken = time.thread_time() - began
                self._add("AWS", taken)
                self._thread.__dict__["answered"] = self._thread.__dict__.get("answered", 0.0) + taken

        return timed

    def loading(self, load: Callable[..., Any]) -> Callable[..., Any]:
        """What finds a function's handler, which then has its time taken."""

        def timed_load(stack: Any, function: Any) -> Any:
            handler = load(stack, function)

            def timed(event: Any, context: Any) -> Any:
                began, answered = time.thread_time(), self._thread.__dict__.get("answered", 0.0)
                try:
                    return handler(event, context)
                finally:
                    answering = self._thread.__dict__.get("answered", 0.0) - answered
                    self._add("functions", time.thread_time() - began - answering)
                    self._add("events", 1)

            return timed

        return timed_load

    def write(self) -> None:
        """Do it from now on."""

        def keep_writing() -> None:
            while True:
                with self._lock:
                    found = dict(self._seconds) | {"whole": time.process_time(), "at": time.monotonic()}
                beside = self._file.with_suffix(".new")
                beside.write_text(json.dumps(found))
                beside.replace(self._file)
                time.sleep(self.EVERY_SECONDS)

        threading.Thread(target=keep_writing, name="spent", daemon=True).start()


def be_the_stack(file: Path) -> int:
    """`python -m local`, and what it spends its time on written to `file`."""
    from local import __main__ as main
    from local.aws.requests import Aws
    from local.stack import LocalStack

    spent = Spent(file)
    Aws._answer = spent.answering(Aws._answer)  # type: ignore[method-assign]
    LocalStack.load = spent.loading(LocalStack.load)  # type: ignore[method-assign]
    spent.write()
    return main.main([])


@dataclass
class Stack:
    """The other process, from here."""

    api: str
    carrier: str
    inbox: str
    key: str
    spent_file: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the API. Raises `RuntimeError` unless it is answered 2xx."""
        return self._ask(method, self.api + path, body)

    def calls(self) -> Any:
        return self._ask("GET", f"{self.carrier}/_carrier/calls", None)

    def received(self) -> Any:
        return self._ask("GET", f"{self.inbox}/_inbox/{INBOX}", None)

    def spent(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self.spent_file.read_text())
        return found

    def _ask(self, method: str, url: str, body: Any) -> Any:
        host, _, path = url.removeprefix("http://").partition("/")
        connection = HTTPConnection(host, timeout=ANSWER_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, f"/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {url} was answered {answer.status}: {content!r}")
        return json.loads(content)


@contextmanager
def stack_of_its_own(speed: float) -> Iterator[Stack]:
    """The local stack in another process, at free ports; ended when this is left."""
    ports = _free_ports(4)
    names = ("REDIAL_PORT", "REDIAL_CARRIER_PORT", "REDIAL_INBOX_PORT", "REDIAL_FILES_PORT")
    urls = [f"http://{HOST}:{port}" for port in ports]
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(urls[0], urls[1], urls[2], "load-key", Path(folder) / "spent.json")
        environment = {
            **os.environ,
            **dict(zip(names, map(str, ports), strict=True)),
            "SPEED": f"{speed:g}",
            "REDIAL_API_KEY": stack.key,
        }
        command = [sys.executable, "-m", "bench.load", "--stack", str(stack.spent_file)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_until_up(stack, process)
            yield stack
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_until_up(stack: Stack, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the local stack ended with {process.returncode}")
        try:
            if send("GET", f"{stack.api}/health").status == 200:
                return
        except OSError:
            pass  # it does not listen yet
        time.sleep(0.1)
    raise RuntimeError(f"the local stack is not up after {START_SECONDS} s")


# ---- the load -------------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """What came of it. `latencies` in seconds from the instant a request was due; `accepted`: execution id → number."""

    rate: float
    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    accepted: dict[str, str] = field(default_factory=dict)
    took: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    own_cpu: float = 0.0
    waits: list[float] = field(default_factory=list)
    """Simulated seconds from being taken on to being dialled, of the first calls: those for whom lines are free."""
    dialled_meanwhile: int = 0
    webhooks_meanwhile: int = 0
    final_after: float = 0.0
    attempts: int = 0
    webhooks: int = 0
    duplicates: int = 0
    max_live: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def ask_for_calls(stack: Stack, agent_id: str, rate: float, seconds: float) -> Load:
    """`rate` × `seconds` requests, each to another number, sent when they are due or as soon after as can be."""
    load = Load(rate, seconds)
    host = stack.api.removeprefix("http://")
    lock = threading.Lock()
    numbers = iter(range(round(rate * seconds)))
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    before, own_before = stack.spent(), time.process_time()
    start = time.monotonic() + 0.2

    def send_some() -> None:
        connection = HTTPConnection(host, timeout=ANSWER_SECONDS)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                connection.close()
                return
            to = f"+{FIRST_NUMBER + number}"
            body = json.dumps({"agent_id": agent_id, "recipient_phone_number": to, "retry_config": RETRIES})
            due = start + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                connection.request("POST", "/call", body, headers)
                answer = connection.getresponse()
                content, status = answer.read(), str(answer.status)
            except OSError as error:
                connection.close()
                content, status = b"", type(error).__name__
            taken = time.monotonic() - due
            with lock:
                load.latencies.append(taken)
                load.statuses[status] += 1
                if status == "200":
                    load.accepted[json.loads(content)["execution_id"]] = to

    senders = [threading.Thread(target=send_some, name=f"sender {number}") for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    load.took = time.monotonic() - start
    time.sleep(2 * Spent.EVERY_SECONDS)
    after = stack.spent()
    load.spent = {kind: after.get(kind, 0.0) - before.get(kind, 0.0) for kind in after}
    load.own_cpu = time.process_time() - own_before
    return load


def run_out(stack: Stack, say: Say) -> None:
    """Move the clock until nobody waits for anything. Raises `RuntimeError` when that never comes."""
    for _ in range(MOST_STEPS):
        stack.ask("POST", "/_local/clock/advance", {"minutes": STEP_MINUTES})
        live = sum(call["ended_at"] is None for call in stack.calls())
        schedules = len(stack.ask("GET", "/_local/schedules"))
        say(f"live calls: {live}, schedules: {schedules}")
        if not live and not schedules:
            stack.ask("POST", "/_local/clock/advance", {"minutes": STEP_MINUTES})
            return
    raise RuntimeError("the calls do not come to an end")


def examine(stack: Stack, load: Load) -> None:
    """Compare what the API, the inbox and the carrier say; every fault is noted in `load`."""
    executions = {one: stack.ask("GET", f"/executions/{one}") for one in load.accepted}
    told: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for delivery in stack.received():
        if not delivery["verified"] or delivery["answered"] != 200:
            load.faults.append(f"a webhook was not accepted: {delivery['headers']}")
        if delivery["headers"]["webhook-id"] in seen:
            load.duplicates += 1
            continue
        seen.add(delivery["headers"]["webhook-id"])
        told[delivery["body"]["id"]].append(delivery["body"]["sequence"])
    load.webhooks = len(seen)
    placed: dict[str, list[Any]] = defaultdict(list)
    calls = stack.calls()
    for call in calls:
        placed[call["to"]].append(call)
    for execution_id, number in load.accepted.items():
        execution = executions[execution_id]
        load.outcomes[execution["status"]] += 1
        if execution["status"] not in FINAL:
            load.faults.append(f"{execution_id} is {execution['status']}")
        if told[execution_id] != list(range(1, execution["sequence"] + 1)):
            load.faults.append(f"{execution_id}: events {told[execution_id]}, of {execution['sequence']}")
        if len(placed[number]) != len(execution["attempts"]):
            load.faults.append(f"{execution_id}: {len(placed[number])} calls, {len(execution['attempts'])} attempts")
    for execution_id in list(load.accepted)[:LINES]:
        created, first = executions[execution_id]["created_at"], placed[load.accepted[execution_id]][:1]
        load.waits += [(_instant(call["placed_at"]) - _instant(created)).total_seconds() for call in first]
    load.attempts = sum(len(execution["attempts"]) for execution in executions.values())
    if len(calls) != load.attempts:
        load.faults.append(f"the carrier placed {len(calls)} calls, for {load.attempts} attempts")
    load.max_live = most_at_once([(call["placed_at"], call["ended_at"]) for call in calls])
    if load.max_live > LINES:
        load.faults.append(f"{load.max_live} calls were live at once, with {LINES} lines")
    for status, count in load.statuses.items():
        if status != "200":
            load.faults.append(f"{count} requests came to {status}")
    letters = stack.ask("GET", "/_local/dead-letters")
    if letters:
        load.faults.append(f"{len(letters)} dead letters, the first: {letters[0]}")


def most_at_once(spans: Sequence[tuple[str, str]]) -> int:
    """The most of these (start, end) that overlap; one that ends when another starts does not."""
    changes = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of them that no more than `1 - share` of them are above."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(len(ranked) * share * 1e6) // 10**6) - 1)]


def load_of(rate: float, seconds: float, speed: float, say: Say) -> Load:
    with stack_of_its_own(speed) as stack:
        config = {
            "agent_name": "Load",
            "webhook_url": f"{stack.inbox}/{INBOX}",
            "from_phone_numbers": ["+12025550100"],
            "answer_url": "https://demo.twilio.com/docs/voice.xml",
            "max_concurrent_calls": LINES,
        }
        agent_id = stack.ask("POST", "/v2/agent", {"agent_config": config})["agent_id"]
        say(f"{rate:g} calls a second for {seconds:g} s")
        load = ask_for_calls(stack, agent_id, rate, seconds)
        load.dialled_meanwhile, load.webhooks_meanwhile = len(stack.calls()), len(stack.received())
        say(f"{len(load.accepted)} calls taken on in {load.took:.1f} s; letting all of it come to its end")
        began = time.monotonic()
        run_out(stack, say)
        load.final_after = time.monotonic() - began
        say("checking")
        examine(stack, load)
    return load


# ---- the report -----------------------------------------------------------------------------------------------------


def report(load: Load, speed: float) -> Iterator[str]:
    yield f"## {load.rate:g} calls a second for {load.seconds:g} seconds"
    yield ""
    milliseconds = [latency * 1000 for latency in load.latencies]
    outcomes = ", ".join(f"{status} {count}" for status, count in sorted(load.outcomes.items()))
    yield from table(
        ["", ""],
        [
            ["requests, answered 200", f"{len(load.latencies):,}, {load.statuses['200']:,}"],
            ["rate asked for, achieved, per second", f"{load.rate:g}, {len(load.accepted) / load.took:.1f}"],
            *(
                [f"POST /call, {name}, ms", f"{percentile(milliseconds, share):.0f}"]
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
            ),
            [
                f"seconds from taken on to dialled, the first {LINES:,}: p50, p99",
                f"{percentile(load.waits, 0.5):.1f}, {percentile(load.waits, 0.99):.1f}",
            ],
            [
                "dialled, webhooks received by the end of that",
                f"{load.dialled_meanwhile:,}, {load.webhooks_meanwhile:,}",
            ],
            ["seconds until all was final, the clock moved", f"{load.final_after:.0f}"],
            ["attempts = the carrier's calls", f"{load.attempts:,}"],
            ["came to", outcomes],
            ["most live calls at once, lines", f"{load.max_live:,}, {LINES:,}"],
            ["webhooks, besides those sent again", f"{load.webhooks:,}, {load.duplicates}"],
        ],
    )
    yield ""
    spent, window = load.spent, load.spent["at"]
    rest = spent["whole"] - spent["functions"] - spent["AWS"]
    yield from table(
        ["processor time of the stack's process meanwhile", "seconds", "of a processor", "ms per event"],
        [
            [name, f"{seconds:.1f}", f"{seconds / window:.2f}", f"{seconds / spent['events'] * 1000:.2f}"]
            for name, seconds in (
                ("functions, with boto3", spent["functions"]),
                ("DynamoDB, Scheduler and Lambda, emulated", spent["AWS"]),
                ("HTTP, clock, carrier, inbox", rest),
                ("**whole**", spent["whole"]),
            )
        ],
    )
    yield ""
    yield from paragraph(
        f"{spent['events']:.0f} invocations in {window:.0f} s, the simulated clock at {speed:g} ×. One Python process",
        f"is one processor at most; this one used {spent['whole'] / window:.2f} of it, and",
        f"{spent['functions'] / spent['whole']:.0%} of that for functions; who asked used",
        f"{load.own_cpu / window:.2f} of another. The machine has {os.cpu_count()}, and others use it too:",
        f"{os.getloadavg()[0]:.1f} processes wanted one in the last minute.",
    )
    yield ""
    if load.faults:
        yield f"**{len(load.faults)} faults**, the first of them:"
        yield from (f"- {fault}" for fault in load.faults[:10])
    else:
        yield from paragraph(
            "Checked, and so: every request 200; every execution final; each one's webhooks all there and in order; at",
            "the carrier exactly the attempts that were dialled; never more live calls than lines; no dead letter.",
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=RATE, help=f"calls a second ({RATE})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for so long ({SECONDS})")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a second (1)")
    parser.add_argument("--docs", action="store_true", help="write docs/scaling.md's figures of a run anew")
    parser.add_argument("--stack", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stack is not None:
        return be_the_stack(asked.stack)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    load = load_of(asked.rate, asked.seconds, asked.speed, say)
    lines = list(report(load, asked.speed))
    print("\n".join(lines))
    if asked.docs:
        put(SCALING, "load", lines[2:])  # its heading is the document's own
    return 1 if load.faults else 0


if __name__ == "__main__":
    sys.exit(main())
