"""Cost of one attempt at a call, counted on the local stack. `python -m bench` prints it.

Every request of a function is counted for the attempt that caused it. The sweeper is measured separately.

Each function has its own container of services here, as it has its own process on Lambda, so no function profits from
another's cache. `BUSY`: the agent places a call every second; the figures are the mean of several attempts, because
caches expire now and then. `ALONE`: the first call in a long time, so every function starts in a new process.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from bench import prices
from bench.dynamodb_units import Meter, Units, Write, write_units
from bench.report import say
from bench.stack import RETRIES, USER_DATA, Stack, function_name, running
from local.aws.dynamodb import changes_of
from local.aws.dynamodb_checks import size_of
from local.aws.functions import Function, Handler, Invocation
from local.aws.requests import OutsideRequest
from local.stack import INBOX_NAME, SWEEPER
from redial.domain.status import FINAL, Status
from redial.runtime import services

WITHIN_MINUTES = 25
"""An attempt, with everything it causes, ends within this time; the next one starts later."""
IDLE_MINUTES = 32
"""Runs of the idle sweeper that are measured: it starts with each of its shards at least once."""
TRAFFIC_SECONDS = 2
BUSY_CALLS = 5
"""Calls to count during traffic. They alternate with the traffic's own calls, at one call a second in all."""
LEAD_MINUTES = 0.4
"""Minutes of traffic before the counted attempt."""
LASTING_MINUTES = 2.0
"""Minutes of traffic after the attempt begins, longer than an answered call lasts."""
BUSY, ALONE = "busy", "alone"
ONE_INTERVAL = {**RETRIES, "retry_intervals_minutes": [30], "retry_on_voicemail": True}
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_CALL_HEADER = "x-bench-call"


@dataclass
class Counts:
    """Cost of one attempt, or the total of `attempts` attempts at `calls` calls.

    `requests`: by function, service and operation. `http`: by function and "carrier" or "webhook". `keys`: write units
    by ("table" or the name of an index, partition key), including failed writes. `slept`: simulated seconds that
    functions ran, all of them asleep. `execution_bytes`: the size of one call at its end.
    """

    title: str
    calls: int = 1
    attempts: int = 1
    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    http: Counter[tuple[str, str]] = field(default_factory=Counter)
    units: Units = field(default_factory=Units)
    keys: Counter[tuple[str, str]] = field(default_factory=Counter)
    metered: int = 0
    log_bytes: int = 0
    execution_bytes: int = 0
    slept: float = 0.0

    @property
    def aws_requests(self) -> int:
        return self.requests.total()

    def of(self, service: str, operation: str | None = None) -> int:
        return sum(n for (_, of, name), n in self.requests.items() if of == service and operation in (None, name))

    def by(self, function: str) -> int:
        """AWS requests of one function."""
        return sum(n for (name, _, _), n in self.requests.items() if name == function)

    def posted(self, to: Literal["carrier", "webhook"]) -> int:
        """HTTP requests to the carrier or to webhooks."""
        return sum(n for (_, where), n in self.http.items() if where == to)

    @property
    def http_api_requests(self) -> int:
        """The invocations of these two functions. Only a request to API Gateway invokes them, and each invokes one."""
        return self.invocations["api"] + self.invocations["carrier_callback"]

    @property
    def messages(self) -> int:
        """Messages to the queues of dial and deliver, from a function or from Scheduler. Each is an invocation."""
        return self.invocations["dial"] + self.invocations["deliver"]

    @property
    def schedules(self) -> int:
        return self.of("scheduler", "CreateSchedule")

    def dollars(self) -> dict[str, float]:
        """List price in dollars by item, without the run time of functions."""
        millionths = {
            "DynamoDB writes": self.units.writes * prices.DOLLARS_PER_MILLION_WRITE_UNITS,
            "DynamoDB reads": self.units.reads * prices.DOLLARS_PER_MILLION_READ_UNITS,
            "HTTP API": self.http_api_requests * prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
            "Lambda requests": self.invocations.total() * prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
            "Scheduler": self.schedules * prices.DOLLARS_PER_MILLION_SCHEDULES,
            "SQS": self.messages * prices.SQS_REQUESTS_PER_MESSAGE * prices.DOLLARS_PER_MILLION_SQS_REQUESTS,
            "secrets": self.of("secrets-manager") * prices.DOLLARS_PER_MILLION_SECRET_READS,
            "logs": self.log_bytes * prices.DOLLARS_PER_LOG_GB / 1000,
        }
        return {what: dollars / 1e6 for what, dollars in millionths.items()}

    def check_metered(self) -> None:
        """Raise `RuntimeError` unless the units of every request are known."""
        if self.metered != self.of("dynamodb"):
            raise RuntimeError(f"{self.title}: {self.metered} requests metered, of {self.of('dynamodb')}")

    def __add__(self, other: "Counts") -> "Counts":
        """The sum, with the title of the first and the execution of the second."""
        kept: dict[str, Any] = {"title": self.title, "execution_bytes": other.execution_bytes}
        sums = {name: value + vars(other)[name] for name, value in vars(self).items() if name not in kept}
        return Counts(**kept, **sums)


class Bench:
    """A stack whose requests are counted for the attempt that caused them, or for `whole` while it is set."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.whole: Counts | None = None
        self._current: dict[str, Counts] = {}
        self._call_of: dict[str, str] = {}
        self._numbers = 0
        (table,) = stack.template.tables()
        self._items = changes_of(table.definition["TableName"]).images
        Meter(table.definition, self._items, lambda: self.counts_of() is not None, self._count_units).attach()
        stack.aws.hooks.append(self._count_request)
        stack.around = self.around

    def new_processes(self) -> None:
        """Replace every process: each function gets a new container with empty caches."""
        services.services_of.cache_clear()

    def agent(self, **config: Any) -> str:
        """A new agent that has made one call: the first call also creates the item of its lines."""
        agent_id = self.stack.create_agent(**config)
        self.place("an agent's first", self.number("completed"), agent_id)
        self.advance(WITHIN_MINUTES)
        return agent_id

    @contextmanager
    def traffic(self, traffic: str, agent_id: str) -> Iterator[None]:
        """Run the body for an agent that is busy, or for one that is alone."""
        if traffic == ALONE:
            self.new_processes()
            yield
            return
        busy = True

        def call() -> None:
            if busy:
                self.place("traffic", self.number("busy"), agent_id, {"enabled": False})
                self.stack.clock.after(TRAFFIC_SECONDS, call)

        self.stack.clock.after(0, call)
        self.advance(LEAD_MINUTES)
        yield
        self.advance(LASTING_MINUTES)
        busy = False

    def number(self, *outcomes: Any) -> str:
        """A new number whose calls have these outcomes."""
        self._numbers += 1
        to = f"+1415556{self._numbers:04d}"
        self.stack.carrier.calls.scripts.set(to, list(outcomes))
        return to

    def advance(self, minutes: float) -> None:
        self.stack.clock.advance(minutes)

    def count(self, title: str, *calls: str) -> Counts:
        """From now on, count the work for `calls` as attempts with that title."""
        counts = Counts(title, calls=len(calls), attempts=len(calls))
        self._current.update(dict.fromkeys(calls, counts))
        return counts

    def place(self, call: str, to: str, agent_id: str, retries: Any = ONE_INTERVAL, **headers: str) -> None:
        """Request a call, and name it `call` here."""
        body = {"agent_id": agent_id, "recipient_phone_number": to, "user_data": USER_DATA, "retry_config": retries}
        answer = self.stack.ask("POST", "/call", body, {_CALL_HEADER: call, **headers})
        self.known_as(call, answer["execution_id"])

    def known_as(self, call: str, execution_id: str) -> None:
        """Count the work for that execution as work for `call`."""
        self._call_of[execution_id] = call

    def execution(self, call: str) -> Any:
        """The execution as the API shows it. This request is not counted."""
        (execution_id,) = (one for one, of in self._call_of.items() if of == call)
        return self.stack.ask("GET", f"/executions/{execution_id}")

    def finish(self, call: str, attempts: int, status: str) -> None:
        """Stop counting the attempt. Raises `RuntimeError` if it did not end as expected."""
        counts = self._current.pop(call)
        execution = self.execution(call)
        ended = [attempt["status"] for attempt in execution["attempts"] if attempt["status"] != "scheduled"]
        if (len(ended), ended[-1]) != (attempts, status):
            raise RuntimeError(f"{counts.title}: attempts ended in {ended}; attempt {attempts} should be {status}")
        counts.check_metered()
        counts.execution_bytes = size_of(self._items[f"X#{execution['id']}", "X"].plain)

        refused = [one for one in self.stack.inbox.received(INBOX_NAME) if one.answered != 200]
        clock, functions, scheduler = self.stack.clock, self.stack.functions, self.stack.scheduler
        for failure in (*refused, *clock.failures, *functions.failures, *scheduler.dead_letters):
            raise RuntimeError(f"{counts.title}: something failed: {failure}")

    def counts_of(self, invocation: Invocation | None = None) -> Counts | None:
        """The counts for an invocation, by default the present one. None if it is not counted."""
        invocation = invocation or self.stack.functions.current()
        if invocation is None:
            return None
        return self.whole or self._current.get(self._call(invocation) or "")

    def _call(self, invocation: Invocation) -> str | None:
        """The call that an invocation is for, according to its event."""
        if invocation.function.module == SWEEPER:
            return SWEEPER
        event = invocation.event
        if not event.get("Records", [event]):
            return None  # the end of a window of the stream: statistics of all calls
        (record,) = event.get("Records", [event])[:1]
        event = json.loads(record["body"]) if "eventSource" in record and "body" in record else event
        if "execution_id" in event:
            return self._call_of.get(event["execution_id"])
        path = event.get("rawPath", "")
        if path.startswith("/callbacks/"):
            found = _ID.search(path)
            return self._call_of.get(found.group()) if found else None
        header: str | None = event.get("headers", {}).get(_CALL_HEADER)
        return header

    def _count_request(self, request: OutsideRequest) -> None:
        if request.invocation is None:
            raise RuntimeError(f"no function asked: {request.service} {request.operation}")
        counts, function = self.counts_of(request.invocation), function_name(request.invocation.function.module)
        if counts is None or request.phase == "after":
            return
        if request.service != "http":
            counts.requests[function, request.service, request.operation] += 1
        elif self.stack.carrier_url.removeprefix("http://") in request.operation:
            counts.http[function, "carrier"] += 1
        else:
            counts.http[function, "webhook"] += 1

    def _count_units(self, units: Units, writes: Sequence[Write]) -> None:
        counts = self.counts_of()
        if counts is None:
            return
        counts.units += units
        counts.metered += 1
        for write in writes:
            counts.keys["table", write.key["pk"]["S"]] += write.units
            for index, entry in write.entries:
                counts.keys[index, next(iter(entry.values()))["S"]] += write_units(entry)

    def around(self, function: Function, handler: Handler) -> Handler:
        """The handler, wrapped to count its invocations."""

        def run(event: Any, context: Any) -> Any:
            logged, began = self.stack.log.stat().st_size, self.stack.clock.now()
            try:
                return handler(event, context)
            finally:
                counts = self.counts_of()
                if counts is not None:
                    counts.invocations[function_name(function.module)] += 1
                    counts.log_bytes += self.stack.log.stat().st_size - logged
                    counts.slept += (self.stack.clock.now() - began).total_seconds()

        return run


B = TypeVar("B", bound=Bench)


@contextmanager
def counting(kind: type[B], **options: Any) -> Iterator[B]:
    """A bench of that kind on a stack of its own."""
    with running(**options) as stack:
        yield kind(stack)


# ---- the cases -------------------------------------------------------------------------------------------------------


def attempts_of(bench: Bench, traffic: str, outcomes: Sequence[str], key: str = "", **config: Any) -> list[Counts]:
    """The counts of each attempt of calls with these outcomes. Titles list the outcomes so far, the attempt's own last.

    `key`: an Idempotency-Key for each call.
    """
    agent, found = bench.agent(**config), []
    names = (f"{', '.join(outcomes)} {key} {agent} {one}" for one in range(BUSY_CALLS if traffic == BUSY else 1))
    calls = {name: bench.number(*outcomes) for name in names}
    for attempt, outcome in enumerate(outcomes, start=1):
        title = ", ".join(outcomes[:attempt]) + (" with Idempotency-Key" if key else "")
        if attempt > 1:  # to where its traffic begins
            at = datetime.fromisoformat(bench.execution(next(iter(calls)))["next_attempt"]["at"])
            bench.advance((at - bench.stack.clock.now()).total_seconds() / 60 - 1.5 * LEAD_MINUTES)
        with bench.traffic(traffic, agent):
            counts = bench.count(title, *calls)
            for name, number in calls.items() if attempt == 1 else ():
                bench.place(name, number, agent, **({"Idempotency-Key": f"{key} {name}"} if key else {}))
                bench.advance(TRAFFIC_SECONDS / 60)
        bench.advance(WITHIN_MINUTES)
        for name in calls:
            bench.finish(name, attempt, "completed" if outcome == "voicemail" else outcome)
        if counts.invocations["dial"] < len(calls) or not counts.invocations["deliver"]:
            raise RuntimeError(f"{title}: dial or deliver was not counted: {counts.invocations}")
        found.append(counts)
    return found


def waiting(bench: Bench, waiters: int) -> Counts:
    """The counts of the middle one of `waiters` calls that queue for one line, until it hands the line over."""
    agent = bench.agent(max_concurrent_calls=1)
    placed = len(bench.stack.carrier.calls.all())
    calls = [f"waiting-{waiters}-{number}" for number in range(1 + waiters)]
    middle = calls[(1 + waiters) // 2]
    counts = bench.count(f"completed, after waiting for a line with {waiters - 1} more", middle)
    for call in calls:
        bench.place(call, bench.number("completed"), agent)
        bench.advance(0.01)
    if len(bench.stack.carrier.calls.all()) != placed + 1:
        raise RuntimeError("the calls did not have to wait")
    bench.advance(2 * (1 + waiters))
    bench.finish(middle, 1, "completed")
    return counts


@dataclass
class Attempts:
    """By traffic: a call answered at once, and four unanswered attempts at one call. `others`: of busy agents.

    `filtered`: four unanswered attempts of a busy agent that receives only final statuses and `scheduled`.
    """

    answered: dict[str, Counts] = field(default_factory=dict)
    unanswered: dict[str, list[Counts]] = field(default_factory=dict)
    filtered: list[Counts] = field(default_factory=list)
    others: list[Counts] = field(default_factory=list)


def attempts() -> Attempts:
    """Count every case, on one stack that has run each once before."""
    found, unanswered, machine = Attempts(), ["no-answer"] * 4, ["voicemail", "completed"]
    with counting(Bench, recurring=False) as bench:
        say("warming up")
        attempts_of(bench, ALONE, machine, voicemail_detection=True)
        for traffic in (BUSY, ALONE):
            say(f"one attempt, counted: {traffic}")
            (found.answered[traffic],) = attempts_of(bench, traffic, ["completed"])
            found.unanswered[traffic] = attempts_of(bench, traffic, unanswered)
        say("one attempt, counted: few events")
        found.filtered = attempts_of(bench, BUSY, unanswered, webhook_statuses=[*FINAL, Status.SCHEDULED])
        say("one attempt, counted: others")
        found.others = [
            *attempts_of(bench, BUSY, ["completed"], key="a-key"),
            *attempts_of(bench, BUSY, ["no-answer", "completed"])[1:],
            *attempts_of(bench, BUSY, machine, voicemail_detection=True),
            waiting(bench, 2),
            waiting(bench, 30),
        ]
    return found


def idle_sweeper() -> Counts:
    """`IDLE_MINUTES` runs of the sweeper with one agent and nothing to do."""
    say(f"the sweeper, idle for {IDLE_MINUTES} minutes")
    with counting(Bench, recurring=True) as bench:
        bench.advance(1)
        counts = bench.count("sweeper", SWEEPER)
        bench.advance(IDLE_MINUTES)
    counts.check_metered()
    if counts.invocations[function_name(SWEEPER)] != IDLE_MINUTES:
        raise RuntimeError(f"the sweeper did not run once a minute: {counts}")
    return counts
