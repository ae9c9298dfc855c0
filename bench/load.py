"""`python -m bench.load`: requests calls at a steady rate from the local stack, and checks the results.

    this process                             another
    requests calls by the clock  ──HTTP──►   `python -m local`: API, functions, emulated AWS, carrier, inbox
    checks the results           ◄──HTTP──   its processor time, by what used it

README.md describes the measurement.
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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.report import paragraph, put, say, table
from bench.stack import ANSWER_SECONDS, RETRIES, Checked, ask, check
from local import ROOT
from local.web.server import HOST

SCALING = ROOT / "docs" / "scaling.md"
RATE, SECONDS = 50, 60
LINES = 1000
"""The agent's limit: the highest there is."""
SENDERS = 64
"""Requests in flight at most. Those that are due meanwhile wait, and their latency counts."""
FIRST_NUMBER = 12_125_550_000
INBOX = "load"
STEP_MINUTES = 5
MOST_STEPS = 60
"""Steps of the clock within which every call must be final."""
START_SECONDS = 60


# ---- the other process -----------------------------------------------------------------------------------------------


class Spent:
    """Processor seconds of this process by use, written to a file twice a second.

    "functions": handlers with boto3. "AWS": its emulation. "whole": the process; the rest is HTTP, clock, carrier and
    inbox. "events": runs of handlers.
    """

    EVERY_SECONDS = 0.5

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._spent: Counter[str] = Counter()
        self._thread = threading.local()

    def timed(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, whose time counts as that kind, without the timed work inside it."""

        def run(*arguments: Any, **options: Any) -> Any:
            outer, began = getattr(self._thread, "inside", 0.0), time.thread_time()
            self._thread.inside = 0.0
            try:
                return work(*arguments, **options)
            finally:
                taken = time.thread_time() - began
                with self._lock:
                    self._spent[kind] += taken - self._thread.inside
                    self._spent["events"] += kind == "functions"
                self._thread.inside = outer + taken

        return run

    def keep_writing(self) -> None:
        while True:
            with self._lock:
                found = dict(self._spent) | {"whole": time.process_time(), "at": time.monotonic()}
            beside = self._file.with_suffix(".new")
            beside.write_text(json.dumps(found))
            beside.replace(self._file)
            time.sleep(self.EVERY_SECONDS)


def be_the_stack(file: Path) -> int:
    """`python -m local`, with its processor time written to `file`."""
    from local import __main__ as main
    from local.aws.requests import Aws
    from local.stack import LocalStack

    spent, load = Spent(file), LocalStack.load
    Aws._answer = spent.timed("AWS", Aws._answer)  # type: ignore[method-assign]

    def timed_load(stack: LocalStack, function: Any) -> Any:
        return spent.timed("functions", load(stack, function))

    replaced: Any = timed_load
    LocalStack.load = replaced  # type: ignore[method-assign]
    threading.Thread(target=spent.keep_writing, name="spent", daemon=True).start()
    return main.main([])


@dataclass
class Stack:
    """The other process, seen from here."""

    api: str
    carrier: str
    inbox: str
    key: str
    spent_file: Path

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return ask(self.api + path, self.key, method, body)

    def calls(self) -> Any:
        return ask(f"{self.carrier}/_carrier/calls", self.key)

    def received(self) -> Any:
        return ask(f"{self.inbox}/_inbox/{INBOX}", self.key)

    def spent(self) -> dict[str, float]:
        found: dict[str, float] = json.loads(self.spent_file.read_text())
        return found


@contextmanager
def stack_of_its_own(speed: float) -> Iterator[Stack]:
    """The local stack in another process at free ports, until the body ends."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(4)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    names = ("REDIAL_PORT", "REDIAL_CARRIER_PORT", "REDIAL_INBOX_PORT", "REDIAL_FILES_PORT")
    with tempfile.TemporaryDirectory() as folder:
        api, carrier, inbox = (f"http://{HOST}:{port}" for port in ports[:3])
        stack = Stack(api, carrier, inbox, "load-key", Path(folder) / "spent.json")
        own = {**dict(zip(names, ports, strict=True)), "SPEED": f"{speed:g}", "REDIAL_API_KEY": stack.key}
        command = [sys.executable, "-m", "bench.load", "--stack", str(stack.spent_file)]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_until_up(stack, process)
            yield stack
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_up(stack: Stack, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the local stack ended with {process.returncode}")
        try:
            stack.ask("GET", "/health")
            return
        except (OSError, RuntimeError):
            time.sleep(0.1)  # it is not up yet
    raise RuntimeError(f"the local stack is not up after {START_SECONDS} s")


# ---- the load --------------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Results. `latencies` in seconds from when a request was due; `accepted`: ids of executions.

    `waits`: simulated seconds from acceptance to the dial, of the first calls, for which lines are free.
    """

    rate: float
    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    took: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    own_cpu: float = 0.0
    waits: list[float] = field(default_factory=list)
    dialled_meanwhile: int = 0
    webhooks_meanwhile: int = 0
    final_after: float = 0.0
    checked: Checked = field(default_factory=Checked)


def request_calls(stack: Stack, agent_id: str, rate: float, seconds: float) -> Load:
    """Send `rate` × `seconds` requests, each to another number, when they are due or as soon after as possible."""
    load, here = Load(rate, seconds), threading.local()
    host = stack.api.removeprefix("http://")
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    retries = {**RETRIES, "max_retries": 2, "retry_intervals_minutes": [5]}
    before, own_before = stack.spent(), time.process_time()
    start = time.monotonic() + 0.2

    def send(number: int) -> tuple[float, str, bytes]:
        if not hasattr(here, "connection"):
            here.connection = HTTPConnection(host, timeout=ANSWER_SECONDS)
        to = f"+{FIRST_NUMBER + number}"
        body = json.dumps({"agent_id": agent_id, "recipient_phone_number": to, "retry_config": retries})
        due = start + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            here.connection.request("POST", "/call", body, headers)
            answer = here.connection.getresponse()
            content, status = answer.read(), str(answer.status)
        except OSError as error:
            here.connection.close()
            content, status = b"", type(error).__name__
        return time.monotonic() - due, status, content

    with ThreadPoolExecutor(SENDERS) as senders:
        answers = list(senders.map(send, range(round(rate * seconds))))
    load.took = time.monotonic() - start
    load.latencies = [latency for latency, _, _ in answers]
    load.statuses = Counter(status for _, status, _ in answers)
    load.accepted = [json.loads(content)["execution_id"] for _, status, content in answers if status == "200"]
    time.sleep(2 * Spent.EVERY_SECONDS)
    load.spent = {kind: after - before.get(kind, 0.0) for kind, after in stack.spent().items()}
    load.own_cpu = time.process_time() - own_before
    return load


def run_out(stack: Stack) -> None:
    """Advance the clock until every call is final. Raises `RuntimeError` after `MOST_STEPS`."""
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
    """Check as `check` does, and that every request was answered 200 and there is no dead letter."""
    executions = [stack.ask("GET", f"/executions/{one}") for one in load.accepted]
    calls = [
        (call["to"], _instant(call["placed_at"]), _instant(call["ended_at"]) if call["ended_at"] else None)
        for call in stack.calls()
    ]
    deliveries = (
        (one["verified"] and one["answered"] == 200, one["headers"]["webhook-id"], one["body"])
        for one in stack.received()
    )
    load.checked = check(executions, calls, deliveries, LINES)
    first: dict[str, datetime] = {}
    for to, placed_at, _ in calls:
        first.setdefault(to, placed_at)
    for one in executions[:LINES]:
        if one["user_number"] in first:
            load.waits.append((first[one["user_number"]] - _instant(one["created_at"])).total_seconds())
    for status, count in load.statuses.items():
        load.checked.expect(status == "200", f"{count} requests were answered {status}")
    letters = stack.ask("GET", "/_local/dead-letters")
    load.checked.expect(not letters, f"{len(letters)} dead letters, the first: {letters[:1]}")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at most `1 - share` of the values exceed."""
    ranked = sorted(values)
    return ranked[max(0, -(-round(len(ranked) * share * 1e6) // 10**6) - 1)]


def load_of(rate: float, seconds: float, speed: float) -> Load:
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
        load = request_calls(stack, agent_id, rate, seconds)
        load.dialled_meanwhile, load.webhooks_meanwhile = len(stack.calls()), len(stack.received())
        say(f"{len(load.accepted)} calls accepted in {load.took:.1f} s; advancing the clock until all are final")
        began = time.monotonic()
        run_out(stack)
        load.final_after = time.monotonic() - began
        say("checking")
        examine(stack, load)
    return load


# ---- the report ------------------------------------------------------------------------------------------------------


def report(load: Load, speed: float) -> Iterator[str]:
    yield f"## {load.rate:g} calls a second for {load.seconds:g} seconds"
    yield ""
    checked = load.checked
    milliseconds = [latency * 1000 for latency in load.latencies]
    statuses = ", ".join(f"{status} {count}" for status, count in sorted(checked.statuses.items()))
    waits = ", ".join(f"{percentile(load.waits, share):.1f}" for share in (0.5, 0.99))
    shares = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    yield from table(
        ["", ""],
        [
            ["requests, answered 200", f"{len(load.latencies):,}, {load.statuses['200']:,}"],
            ["rate requested, achieved, per second", f"{load.rate:g}, {len(load.accepted) / load.took:.1f}"],
            *([f"POST /call, {name}, ms", f"{percentile(milliseconds, share):.0f}"] for name, share in shares),
            [f"seconds from accepted to dialled, the first {LINES:,}: p50, p99", waits],
            ["dialled, webhooks received meanwhile", f"{load.dialled_meanwhile:,}, {load.webhooks_meanwhile:,}"],
            ["seconds until every call was final, the clock advanced", f"{load.final_after:.0f}"],
            ["attempts = the carrier's calls", f"{checked.attempts:,}"],
            ["final statuses", statuses],
            ["most live calls at once, lines", f"{checked.max_live:,}, {LINES:,}"],
            ["webhooks, besides those sent again", f"{checked.webhooks:,}, {checked.duplicates}"],
        ],
    )
    spent, window = load.spent, load.spent["at"]
    uses = {
        "functions, with boto3": spent["functions"],
        "DynamoDB, Scheduler and Lambda, emulated": spent["AWS"],
        "HTTP, clock, carrier, inbox": spent["whole"] - spent["functions"] - spent["AWS"],
        "**whole**": spent["whole"],
    }
    yield from table(
        ["processor time of the stack's process meanwhile", "seconds", "of a processor", "ms per event"],
        [
            [name, f"{used:.1f}", f"{used / window:.2f}", f"{used / spent['events'] * 1000:.2f}"]
            for name, used in uses.items()
        ],
    )
    whole, machine = spent["whole"], f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}"
    yield from paragraph(
        f"{spent['events']:.0f} invocations in {window:.0f} s, the simulated clock at {speed:g} ×. The stack's process",
        f"used {whole / window:.2f} of a processor, {spent['functions'] / whole:.0%} of that for functions; this one",
        f"used {load.own_cpu / window:.2f}. The machine: {machine}.",
    )
    if checked.faults:
        yield f"**{len(checked.faults)} faults**, the first of them:"
        yield from (f"- {fault}" for fault in checked.faults[:10])
    else:
        yield "All checks passed."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=RATE, help=f"calls a second ({RATE})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"duration ({SECONDS})")
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds in a second (1)")
    parser.add_argument("--docs", action="store_true", help="update docs/scaling.md's figures of a run")
    parser.add_argument("--stack", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stack is not None:
        return be_the_stack(asked.stack)
    load = load_of(asked.rate, asked.seconds, asked.speed)
    lines = list(report(load, asked.speed))
    print("\n".join(lines))
    if asked.docs:
        put(SCALING, "load", lines[2:])  # the document has a heading of its own
    return 1 if load.checked.faults else 0


if __name__ == "__main__":
    sys.exit(main())
