"""`python -m bench.load`: request calls at a steady rate from the local stack, and check the results.

    this process                                      another
    the stack: API, functions, AWS, carrier, inbox    ◄──HTTP──  requests calls by the clock
    checks the results

README.md describes the measurement.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection

from bench.draw import statistic
from bench.report import put, say, show, table
from bench.stack import RETRIES, Checked, Stack, examine, running
from local import ROOT
from local.stack import INBOX_NAME

SCALING = ROOT / "docs" / "scaling.md"
RATE, SECONDS = 50, 60
LINES = 1000
"""The agent's limit, the highest possible."""
SENDERS = 64
"""The maximum of requests in flight. Requests that are due meanwhile wait, and their latency counts."""
ANSWER_SECONDS = 600
FIRST_NUMBER = 12_125_550_000
STEP_MINUTES = 5
MOST_STEPS = 60
"""The maximum of clock steps within which every call must be final."""


# ---- the other process -----------------------------------------------------------------------------------------------


def send(host: str, key: str, agent_id: str, rate: float, seconds: float) -> None:
    """Send `rate` × `seconds` requests, each for a different number, when they are due or as soon after as possible.

    Prints a list in JSON, with three values for each request: the seconds from its due time to its answer, the status
    (or the error's name), and the id of the execution.
    """
    here, start = threading.local(), time.monotonic() + 0.2
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    retries = {**RETRIES, "max_retries": 2, "retry_intervals_minutes": [5]}

    def send_one(number: int) -> tuple[float, str, str]:
        if not hasattr(here, "connection"):
            here.connection = HTTPConnection(host, timeout=ANSWER_SECONDS)
        to = f"+{FIRST_NUMBER + number}"
        body = json.dumps({"agent_id": agent_id, "recipient_phone_number": to, "retry_config": retries})
        due = start + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            here.connection.request("POST", "/call", body, headers)
            answer = here.connection.getresponse()
            status, content = str(answer.status), json.loads(answer.read())
        except OSError as error:
            here.connection.close()
            status, content = type(error).__name__, {}
        return time.monotonic() - due, status, content.get("execution_id", "")

    with ThreadPoolExecutor(SENDERS) as senders:
        print(json.dumps(list(senders.map(send_one, range(round(rate * seconds))))))


# ---- this process ----------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Results. `latencies`: seconds from a request's due time. `waits`: simulated seconds from acceptance to the dial,
    of the first calls, which have free lines. `dialled`, `webhooks`: their numbers until the last answer."""

    latencies: list[float]
    statuses: Counter[str]
    dialled: int
    webhooks: int
    waits: list[float] = field(default_factory=list)
    checked: Checked = field(default_factory=Checked)


def load_of(rate: float, seconds: float) -> Load:
    """Run the load, and return the results. Raises `CalledProcessError` if the other process fails."""
    with running(speed=1.0) as stack:
        stack.aws.by_botocore = False
        agent_id = stack.create_agent(max_concurrent_calls=LINES)
        say(f"{rate:g} calls a second for {seconds:g} s")
        call = f"send({stack.url.removeprefix('http://')!r}, {stack.api_key!r}, {agent_id!r}, {rate}, {seconds})"
        command = [sys.executable, "-c", f"from bench import load; load.{call}"]
        sent = subprocess.run(  # noqa: S603  this interpreter, with our own module
            command, cwd=ROOT, check=True, stdout=subprocess.PIPE
        )
        latencies, statuses, accepted = zip(*json.loads(sent.stdout), strict=True)
        dialled, webhooks = len(stack.carrier.calls.all()), len(stack.inbox.received(INBOX_NAME))
        load = Load(list(latencies), Counter(statuses), dialled, webhooks)
        say(f"{load.statuses['200']} calls accepted; advancing the clock until all are final")
        run_out(stack)
        say("checking")
        executions = [stack.ask("GET", f"/executions/{one}") for one in accepted if one]
        load.checked = examine(stack, executions, LINES)
        for status, count in load.statuses.items():
            load.checked.expect(status == "200", f"{count} requests were answered {status}")
        first = {one.request.to: one.placed_at for one in reversed(stack.carrier.calls.all())}
        for one in executions[:LINES]:
            accepted_at = datetime.fromisoformat(one["created_at"])
            load.waits.append((first[one["user_number"]] - accepted_at).total_seconds())
    return load


def run_out(stack: Stack) -> None:
    """Advance the clock until every call is final. Raises `RuntimeError` after `MOST_STEPS`."""
    for _ in range(MOST_STEPS):
        stack.clock.advance(STEP_MINUTES)
        live, _ = stack.carrier.calls.live()
        schedules = len(stack.scheduler.schedules())
        say(f"live calls: {live}, schedules: {schedules}")
        if not live and not schedules:
            stack.clock.advance(STEP_MINUTES)
            return
    raise RuntimeError("the calls do not come to an end")


# ---- the report ------------------------------------------------------------------------------------------------------


def report(load: Load, rate: float, seconds: float) -> Iterator[str]:
    yield f"## {rate:g} calls a second for {seconds:g} seconds"
    checked = load.checked
    shown = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("max", "Maximum"))
    yield table(
        ["", ""],
        [
            ["requests, answered 200", f"{len(load.latencies):,}, {load.statuses['200']:,}"],
            *([f"POST /call, {name}, ms", f"{statistic(of, load.latencies) * 1000:.0f}"] for name, of in shown),
            [
                f"seconds from accepted to dialled, the first {LINES:,}: p50, p99",
                ", ".join(f"{statistic(of, load.waits):.1f}" for of in ("p50", "p99")),
            ],
            ["dialled, webhooks received meanwhile", f"{load.dialled:,}, {load.webhooks:,}"],
            ["attempts = the carrier's calls", f"{checked.attempts:,}"],
            ["final statuses", checked.ended],
            ["most live calls at once, lines", f"{checked.max_live:,}, {LINES:,}"],
            ["webhooks, besides those sent again", f"{checked.webhooks:,}, {checked.repeated}"],
        ],
    )
    if checked.faults:
        yield f"**{len(checked.faults)} faults**, the first of them:"
        yield "\n".join(f"- {fault}" for fault in checked.faults[:10])
    else:
        yield "All checks passed."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=RATE, help=f"calls a second ({RATE})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"duration ({SECONDS})")
    parser.add_argument("--docs", action="store_true", help="update docs/scaling.md's figures of a run")
    asked = parser.parse_args()
    load = load_of(asked.rate, asked.seconds)
    blocks = list(report(load, asked.rate, asked.seconds))
    show(blocks)
    if asked.docs:
        put(SCALING, "load", blocks[1:])  # the document has a heading of its own
    return 1 if load.checked.faults else 0


if __name__ == "__main__":
    sys.exit(main())
