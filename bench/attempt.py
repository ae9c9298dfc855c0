"""`python -m bench.attempt`: what one attempt at a call costs, counted on the local stack. Markdown on standard output.

Calls are played on the local stack; every request that a function makes for a call is counted for the attempt that it
is made in. The sweeper is left out of that, and measured by itself. Times are measured of cold starts only.
"""

import importlib
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

from bench import cold_start
from bench.dynamodb_units import Item, Meter, Units, size
from local import ROOT
from local.aws import OutsideRequest
from local.http_server import send
from local.lambda_functions import Function, Invocation
from local.stack import INBOX_NAME, SWEEPER, LocalStack
from local.template import Template
from redial.runtime import wiring

PRICES_AS_OF = "2026-11-23"
"""The day on which these list prices of us-east-1, beyond all free allowances, were gathered, from pages that quote
AWS's own; the addresses say where AWS publishes them."""
DOLLARS_PER_MILLION_WRITE_UNITS = 0.625  # https://aws.amazon.com/dynamodb/pricing/on-demand/, since 2024-11-01
DOLLARS_PER_MILLION_READ_UNITS = 0.125  # the same
DOLLARS_PER_MILLION_HTTP_API_REQUESTS = 1.00  # https://aws.amazon.com/api-gateway/pricing/, the first 300 million
DOLLARS_PER_MILLION_LAMBDA_REQUESTS = 0.20  # https://aws.amazon.com/lambda/pricing/
DOLLARS_PER_GB_SECOND = 0.0000133334  # the same, on arm64
DOLLARS_PER_MILLION_SCHEDULES = 1.00  # https://aws.amazon.com/eventbridge/pricing/, Scheduler, for each that fires
DOLLARS_PER_LOG_GB = 0.50  # https://aws.amazon.com/cloudwatch/pricing/, logs taken in
MINUTES_PER_MONTH = 365 * 24 * 60 / 12

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
USER_DATA = {"note": "x" * 188}
"""200 bytes of JSON."""
RETRIES = {
    "enabled": True,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_intervals_minutes": [30],
}
FIRST_MINUTES, NEXT_MINUTES = 25, 31
"""An attempt is over, and what it causes is done, before the first; each retry comes within one more of the second."""
IDLE_MINUTES = 32
"""Runs of the sweeper that are measured with nothing to do: each of its shards is first once or more."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_CALL_HEADER = "x-bench-call"


@dataclass
class Counts:
    """What was done for one attempt. `requests` by function, service and operation; `execution_bytes` after it."""

    title: str
    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    http: Counter[str] = field(default_factory=Counter)
    units: Units = field(default_factory=Units)
    metered: int = 0
    log_bytes: int = 0
    execution_bytes: int = 0

    @property
    def aws_requests(self) -> int:
        return sum(self.requests.values())

    def of(self, service: str, operation: str | None = None) -> int:
        return sum(
            count
            for (_, of_service, of_operation), count in self.requests.items()
            if of_service == service and operation in (None, of_operation)
        )

    @property
    def http_api_requests(self) -> int:
        """API Gateway takes each request to these two; nothing else invokes them."""
        return self.invocations["api"] + self.invocations["carrier_callback"]

    @property
    def dollars_per_million(self) -> dict[str, float]:
        return {
            "DynamoDB writes": self.units.writes * DOLLARS_PER_MILLION_WRITE_UNITS,
            "DynamoDB reads": self.units.reads * DOLLARS_PER_MILLION_READ_UNITS,
            "HTTP API": self.http_api_requests * DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
            "Lambda requests": self.invocations.total() * DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
            "Scheduler": self.of("scheduler", "CreateSchedule") * DOLLARS_PER_MILLION_SCHEDULES,
            "logs": self.log_bytes / 1e9 * 1e6 * DOLLARS_PER_LOG_GB,
        }


class Bench:
    """A stack whose requests are counted for the attempt that they belong to; see `attempt`."""

    def __init__(self, stack: LocalStack, log: Path) -> None:
        self.stack = stack
        self._log = log
        self._current: dict[str, Counts] = {}
        self._call_of: dict[str, str] = {}
        self._nobodys: Counter[str] = Counter()
        self._client = stack.aws.client("dynamodb")  # made before the session below, whose clients are metered
        (table,) = stack.template.tables()
        self._table: str = table.definition["TableName"]
        meter = Meter(table.definition, self._client, lambda: self._counts() is not None, self._count_units)
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-call.dynamodb", meter.before)
        boto3.DEFAULT_SESSION.events.register("after-call.dynamodb", meter.after)
        wiring.reset()
        stack.aws.hooks.append(self._count_request)

    @contextmanager
    def counted_handlers(self, functions: Iterable[Function]) -> Iterator[None]:
        """Count every invocation of every function, and the bytes that it logs, while this lasts."""
        modules: list[Any] = [importlib.import_module(function.module) for function in functions]
        handlers = [module.handler for module in modules]
        for module, handler in zip(modules, handlers, strict=True):
            module.handler = self._counted(handler)
        try:
            yield
        finally:
            for module, handler in zip(modules, handlers, strict=True):
                module.handler = handler

    def agent(self, **config: Any) -> str:
        """A new agent that has made one call, for its first call also makes the item of its lines."""
        agent_id = self.stack.create_agent(**config)
        self.script("+14155550110", "completed")
        self.place("an agent's first", "+14155550110", agent_id)
        self.advance(FIRST_MINUTES)
        return agent_id

    def script(self, to: str, *outcomes: Any) -> None:
        self.stack.carrier.calls.script(to, list(outcomes))

    def count(self, call: str, title: str) -> Counts:
        """Count what is done for `call` from now on as that attempt."""
        self._current[call] = counts = Counts(title)
        return counts

    def place(self, call: str, to: str, agent_id: str, **headers: str) -> None:
        """Ask for a call, which is known as `call` here."""
        body = {
            "agent_id": agent_id,
            "recipient_phone_number": to,
            "user_data": USER_DATA,
            "retry_config": {**RETRIES, "retry_on_voicemail": True},
        }
        sent = {
            "Authorization": f"Bearer {self.stack.api_key}",
            "Content-Type": "application/json",
            _CALL_HEADER: call,
            **headers,
        }
        answer = send("POST", f"{self.stack.url}/call", json.dumps(body).encode(), sent)
        if answer.status != 200:
            raise RuntimeError(f"POST /call was answered {answer.status}: {answer.body!r}")
        self.known_as(call, json.loads(answer.body)["execution_id"])

    def known_as(self, call: str, execution_id: str) -> None:
        """What is done for that execution is done for `call`."""
        self._call_of[execution_id] = call

    def advance(self, minutes: float) -> None:
        self.stack.clock.advance(minutes)

    def execution(self, call: str) -> Any:
        """The execution as the API shows it; asking is not counted."""
        (execution_id,) = (one for one, of in self._call_of.items() if of == call)
        answer = send(
            "GET",
            f"{self.stack.url}/executions/{execution_id}",
            headers={"Authorization": f"Bearer {self.stack.api_key}"},
        )
        return json.loads(answer.body)

    def finish(self, call: str, attempts: int, status: str) -> None:
        """The attempt being counted is over. Raises `RuntimeError` where it did not go as it should have."""
        counts = self._current.pop(call)
        execution = self.execution(call)
        came = [attempt["status"] for attempt in execution["attempts"] if attempt["status"] != "scheduled"]
        if (len(came), came[-1]) != (attempts, status):
            raise RuntimeError(f"{counts.title}: attempts came to {came}, and not the {attempts}. to {status}")
        if counts.metered != counts.of("dynamodb") or self._nobodys:
            raise RuntimeError(f"{counts.title}: {counts.metered} metered; by nobody known: {self._nobodys}")
        key: Item = {"pk": {"S": f"X#{execution['id']}"}, "sk": {"S": "X"}}
        counts.execution_bytes = size(self._client.get_item(TableName=self._table, Key=key)["Item"])

        for delivery in self.stack.inbox.received(INBOX_NAME):
            if delivery.answered != 200:
                raise RuntimeError(f"a webhook was answered {delivery.answered}")
        for trouble in (*self.stack.clock.failures, *self.stack.functions.failures, *self.stack.scheduler.dead_letters):
            raise RuntimeError(f"something failed: {trouble}")

    def _counts(self, invocation: Invocation | None = None) -> Counts | None:
        """Where to count what an invocation, by default the present one, does; None if nowhere."""
        invocation = invocation or self.stack.functions.current()
        return None if invocation is None else self._current.get(self._call(invocation) or "")

    def _call(self, invocation: Invocation) -> str | None:
        """The call that an invocation is for, by its event."""
        event = invocation.event
        if invocation.function.module == SWEEPER:
            return SWEEPER
        if "execution_id" in event:
            return self._call_of.get(event["execution_id"])
        path = event.get("rawPath", "")
        if path.startswith("/callbacks/"):
            found = _ID.search(path)
            return self._call_of.get(found.group()) if found else None
        header: str | None = event.get("headers", {}).get(_CALL_HEADER)
        return header

    def _count_request(self, request: OutsideRequest) -> None:
        if request.phase != "before":
            return
        if request.invocation is None:
            self._nobodys[f"{request.service} {request.operation}"] += 1
            return
        counts = self._counts(request.invocation)
        if counts is None:
            return
        if request.service == "http":
            to_carrier = self.stack.carrier_url.removeprefix("http://") in request.operation
            counts.http["carrier" if to_carrier else "webhook"] += 1
        else:
            counts.requests[_short(request.invocation.function.module), request.service, request.operation] += 1

    def _count_units(self, operation: str, units: Units) -> None:
        counts = self._counts()
        if counts is not None:
            counts.units += units
            counts.metered += 1

    def _counted(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        def run(event: Any, context: Any) -> Any:
            logged = self._log.stat().st_size
            try:
                return handler(event, context)
            finally:
                invocation = self.stack.functions.current()
                counts = self._counts(invocation)
                if invocation is not None and counts is not None:
                    counts.invocations[_short(invocation.function.module)] += 1
                    counts.log_bytes += self._log.stat().st_size - logged

        return run


def _short(module: str) -> str:
    """`dial` for functions.dial.handler."""
    return module.split(".")[1]


# ---- the cases ------------------------------------------------------------------------------------------------------


def answered(bench: Bench) -> Iterator[Counts]:
    agent = bench.agent()
    for number, headers in enumerate(({}, {"Idempotency-Key": "a-key"})):
        call = f"answered-{number}"
        bench.script("+14155550111", "completed")
        counts = bench.count(call, "answered at once" + (", with Idempotency-Key" if headers else ""))
        bench.place(call, "+14155550111", agent, **headers)
        bench.advance(FIRST_MINUTES)
        bench.finish(call, 1, "completed")
        yield counts


def retried(
    bench: Bench, call: str, outcomes: Sequence[str], statuses: Sequence[str], **config: Any
) -> Iterator[Counts]:
    """One call, each attempt counted by itself."""
    agent = bench.agent(**config)
    bench.script("+14155550112", *outcomes)
    for attempt, (outcome, status) in enumerate(zip(outcomes, statuses, strict=True), start=1):
        last = attempt == len(outcomes)
        then = "the last" if last and outcome != "completed" else "answered" if last else "retried"
        what = "retry" if outcome == "completed" else outcome
        if what == "retry" and "voicemail" in outcomes:
            what = "retry after voicemail"
        counts = bench.count(call, f"{what}, {then} (attempt {attempt})")
        if attempt == 1:
            bench.place(call, "+14155550112", agent)
        bench.advance(FIRST_MINUTES if attempt == 1 else NEXT_MINUTES)
        bench.finish(call, attempt, status)
        yield counts


def waiting(bench: Bench, waiters: int) -> Iterator[Counts]:
    """One line, taken, and so many calls that wait for it; one from their middle is counted. It gives the line on."""
    agent = bench.agent(max_concurrent_calls=1)
    bench.script("+14155550113", "completed")
    placed = len(bench.stack.carrier.calls.all())
    calls = [f"waiting-{waiters}-{number}" for number in range(1 + waiters)]
    middle = calls[(1 + waiters) // 2]
    counts = bench.count(middle, f"answered, after waiting for a line with {waiters - 1} more")
    for call in calls:
        bench.place(call, "+14155550113", agent)
        bench.advance(0.01)
    if len(bench.stack.carrier.calls.all()) != placed + 1:
        raise RuntimeError("the calls did not have to wait")
    bench.advance(2 * (1 + waiters))
    bench.finish(middle, 1, "completed")
    yield counts


def attempts(say: Callable[[str], None]) -> list[Counts]:
    """Every case, on one stack that has done each thing once before, as a warm function has."""
    found: list[Counts] = []
    with _bench(recurring=False) as bench:
        say("warming up")
        list(
            retried(bench, "warm-up", ["voicemail", "completed"], ["completed", "completed"], voicemail_detection=True)
        )
        for case in (
            answered(bench),
            retried(bench, "no-answer", ["no-answer", "completed"], ["no-answer", "completed"]),
            retried(bench, "exhausted", ["no-answer"] * 4, ["no-answer"] * 4),
            retried(bench, "machine", ["voicemail", "completed"], ["completed", "completed"], voicemail_detection=True),
            waiting(bench, 2),
            waiting(bench, 30),
        ):
            for counts in case:
                say(f"counted: {counts.title}")
                found.append(counts)
    return found


def idle_sweeper(say: Callable[[str], None]) -> Counts:
    """`IDLE_MINUTES` runs of the sweeper with one agent and nothing to do."""
    say(f"the sweeper, idle for {IDLE_MINUTES} minutes")
    with _bench(recurring=True) as bench:
        bench.advance(1)
        counts = bench.count(SWEEPER, "sweeper")
        bench.advance(IDLE_MINUTES)
    if counts.invocations[_short(SWEEPER)] != IDLE_MINUTES or counts.metered != counts.of("dynamodb"):
        raise RuntimeError(f"the sweeper did not run once a minute: {counts}")
    return counts


@contextmanager
def _bench(*, recurring: bool) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "functions.log"
        with LocalStack(start_at=NOON, recurring=recurring, log=log) as stack:
            bench = Bench(stack, log)
            with bench.counted_handlers(stack.template.functions(stack.environment)):
                yield bench


# ---- the report -----------------------------------------------------------------------------------------------------


def report(
    counted: Sequence[Counts], sweeper: Counts, starts: Sequence[cold_start.ColdStart], functions: Sequence[Function]
) -> Iterator[str]:
    """The lines of the report, in Markdown."""
    names = [chr(ord("A") + number) for number in range(len(counted))]
    yield "## One attempt, counted"
    yield ""
    yield f"User data of {len(json.dumps(USER_DATA))} bytes; every webhook accepted at once; functions warm."
    yield ""
    yield from markdown_table(
        ["", "attempt", "AWS requests", "DynamoDB", "Scheduler", "Lambda invokes", "Lambda invocations",
         "HTTP API requests", "HTTP to carrier", "webhooks", "write units: table", "indexes", "read units",
         "execution, bytes", "log, bytes"],
        [
            [
                name, one.title, one.aws_requests, one.of("dynamodb"), one.of("scheduler"), one.of("lambda"),
                one.invocations.total(), one.http_api_requests, one.http["carrier"], one.http["webhook"],
                one.units.table_writes, one.units.index_writes, one.units.reads, one.execution_bytes, one.log_bytes,
            ]
            for name, one in zip(names, counted, strict=True)
        ],
    )  # fmt: skip
    yield ""
    yield "HTTP API requests are what the client and the carrier send: the request for the call, and status callbacks."
    yield "Write units are those of DynamoDB's rules for the items as they were: 1 for each started KB of the larger of"
    yield "the item before and after; in an index, 1 each for an entry that appears or goes. Read units: 1 for each"
    yield "started 4 KB, half for reads that may lag."
    yield ""
    yield "## AWS requests and Lambda invocations by function"
    yield ""
    yield from markdown_table(
        ["function", "", *names],
        [
            row
            for function in sorted({name for one in counted for name in one.invocations})
            for row in (
                [f"**{function}**", "invocations", *(one.invocations[function] for one in counted)],
                *(
                    ["", f"{service} {operation}", *(one.requests[function, service, operation] for one in counted)]
                    for of, service, operation in sorted({key for one in counted for key in one.requests})
                    if of == function
                ),
            )
        ],
    )
    yield ""
    yield "## List price of a million attempts, in dollars"
    yield ""
    parts = list(counted[0].dollars_per_million)
    memory = {_short(function.module): function.memory_mb / 1024 for function in functions}
    yield from markdown_table(
        ["", "attempt", *parts, "sum", "each 100 ms"],
        [
            [
                name,
                one.title,
                *(f"{one.dollars_per_million[part]:.2f}" for part in parts),
                f"**{sum(one.dollars_per_million.values()):.2f}**",
                f"{_gb_seconds(one, memory, 0.1) * 1e6 * DOLLARS_PER_GB_SECOND:.2f}",
            ]
            for name, one in zip(names, counted, strict=True)
        ],
    )
    yield ""
    prices = {
        "DynamoDB on demand a million write units": DOLLARS_PER_MILLION_WRITE_UNITS,
        "a million read units": DOLLARS_PER_MILLION_READ_UNITS,
        "a million HTTP API requests": DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
        "a million Lambda requests": DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
        "a million schedules that fire": DOLLARS_PER_MILLION_SCHEDULES,
        "a GB of logs": DOLLARS_PER_LOG_GB,
        "a million GB-seconds of Lambda on arm64": DOLLARS_PER_GB_SECOND * 1e6,
    }
    yield f"List prices of us-east-1 as of {PRICES_AS_OF}, beyond free allowances:"
    yield "; ".join(f"{what} ${price:g}" for what, price in prices.items()) + "."
    yield "How long functions run is not known here: the last column is what each 100 ms of every invocation adds."
    yield "Left out: Lambda's own log lines, the HTTP API's access log, tracing, storage, data sent out, the carrier."
    yield ""
    yield "## The sweeper, idle"
    yield ""
    runs = sweeper.invocations.total()
    month = MINUTES_PER_MONTH / runs / 1e6
    asked = ", ".join(
        f"{service} {operation} {count / runs:g}" for (_, service, operation), count in sorted(sweeper.requests.items())
    )
    cost = sum(sweeper.dollars_per_million.values()) + runs * DOLLARS_PER_MILLION_SCHEDULES
    duration = _gb_seconds(sweeper, memory, 0.1) * 1e6 * DOLLARS_PER_GB_SECOND
    yield f"For each of {runs} runs, one a minute: {sweeper.aws_requests / runs:g} AWS requests ({asked}),"
    yield f"{sweeper.units.reads / runs:g} read units, {sweeper.units.writes / runs:g} write units,"
    yield f"{sweeper.log_bytes / runs:.0f} bytes of log."
    yield f"In a month of {MINUTES_PER_MONTH:.0f} minutes, its schedule included: ${cost * month:.2f}, and"
    yield f"${duration * month:.2f} more for each 100 ms that a run takes."
    yield ""
    yield "## Cold start"
    yield ""
    yield from markdown_table(
        ["function", "modules loaded", "bare handler's", "processor time, bare = 1", "AWS clients made"],
        [
            [start.function, start.modules, start.bare_modules, f"{start.ratio:.2f}", ", ".join(start.clients)]
            for start in starts
        ],
    )
    yield ""
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    yield "A bare handler imports boto3 and makes one client of each of the same services."
    yield f"{version}, median of {cold_start.ROUNDS} by turns, with modules compiled before."


def _gb_seconds(counts: Counts, memory_gb: dict[str, float], seconds: float) -> float:
    return sum(count * memory_gb[function] * seconds for function, count in counts.invocations.items())


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; columns of numbers are aligned right, and 0 is a dot."""
    texts = [list(head), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in texts)) for column in range(len(head))]
    right = [all(_is_number(row[column]) for row in texts[1:]) for column in range(len(head))]
    for number, row in enumerate(texts):
        cells = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            rules = (
                "-" * (width - 1) + ":" if to_right else "-" * width
                for width, to_right in zip(widths, right, strict=True)
            )
            yield f"| {' | '.join(rules)} |"


def _cell(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, float) else "·" if cell == 0 else str(cell)


def _is_number(text: str) -> bool:
    return text == "·" or text.strip("*").replace(".", "", 1).isdigit()


def main() -> None:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    counted = attempts(say)
    sweeper = idle_sweeper(say)
    overrides = {"PUBLIC_URL": "https://example.com", "TWILIO_SECRET": "none", "ALLOW_LOCAL_WEBHOOKS": "false"}
    functions = Template(ROOT / "template.yaml").functions(overrides)
    starts = cold_start.measure(functions, say)
    print("\n".join(report(counted, sweeper, starts, functions)))


if __name__ == "__main__":
    main()
