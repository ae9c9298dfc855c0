"""Cost of one attempt at a call, counted on the local stack. `python -m bench` prints it.

Every request that a function makes is counted for the attempt that caused it. The sweeper is measured by itself.

Each function has its own container of services here, as it has its own process on Lambda: no function profits from
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
from bench.dynamodb_units import Item, Meter, Units, Write, size
from bench.report import say
from bench.stack import RETRIES, USER_DATA, Stack, ask, function_name, running
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
"""Calls that are counted during traffic. They alternate with the traffic's own calls: one call a second in all."""
LEAD_MINUTES = 0.4
"""Traffic before the attempt that is counted."""
LASTING_MINUTES = 2.0
"""Traffic after it begins: longer than an answered call lasts."""
Traffic = Literal["busy", "alone"]
BUSY: Traffic = "busy"
ALONE: Traffic = "alone"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_CALL_HEADER = "x-bench-call"


@dataclass
class Counts:
    """Cost of one attempt, or of `attempts` at `calls` calls together.

    `requests` by function, service and operation; `http` by function and "carrier" or "webhook". `deliveries`:
    invocations that sent webhooks. `hours` that the calls were open. `execution_bytes` of one call at its end.
    """

    title: str
    calls: int = 1
    attempts: int = 1
    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    http: Counter[tuple[str, str]] = field(default_factory=Counter)
    units: Units = field(default_factory=Units)
    metered: int = 0
    log_bytes: int = 0
    execution_bytes: int = 0
    hours: float = 0.0
    deliveries: int = 0

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
    def webhooks(self) -> int:
        return self.posted("webhook")

    @property
    def http_api_requests(self) -> int:
        """Each request to API Gateway invokes one of these two; nothing else does."""
        return self.invocations["api"] + self.invocations["carrier_callback"]

    @property
    def messages(self) -> int:
        """Of the queues of dial and deliver, from a function or from the Scheduler: each is an invocation."""
        return self.invocations["dial"] + self.invocations["deliver"]

    @property
    def schedules(self) -> int:
        return self.of("scheduler", "CreateSchedule")

    def lambda_seconds(self, memory_mb: dict[str, int], cpu_seconds: dict[str, float]) -> dict[str, float]:
        """Run time of each function, by `prices.lambda_seconds`; `cpu_seconds` of one invocation, by function."""
        return {
            name: prices.lambda_seconds(
                memory_mb[name],
                invocations * cpu_seconds[name],
                self.by(name),
                self.http[name, "carrier"],
                self.http[name, "webhook"],
            )
            for name, invocations in self.invocations.items()
        }

    def lambda_dollars(self, memory_mb: dict[str, int], cpu_seconds: dict[str, float]) -> float:
        seconds = self.lambda_seconds(memory_mb, cpu_seconds)
        return sum(prices.lambda_dollars(memory_mb[name], seconds[name]) for name in seconds)

    def dollars(self) -> dict[str, float]:
        """List price by item, without the run time of functions."""
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

    def __add__(self, other: "Counts") -> "Counts":
        """Both together, with the title of the first and the execution of the second."""
        kept: dict[str, Any] = {"title": self.title, "execution_bytes": other.execution_bytes}
        sums = {name: value + vars(other)[name] for name, value in vars(self).items() if name not in kept}
        return Counts(**kept, **sums)


class Bench:
    """A stack whose requests are counted for the attempt that caused them. `units` sees each metered request."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._current: dict[str, Counts] = {}
        self._call_of: dict[str, str] = {}
        self._until: dict[str, datetime] = {}
        self._delivering: set[str] = set()
        self._unknown: Counter[str] = Counter()
        self._numbers = 0
        self._client = stack.aws.client("dynamodb")  # made before the meter, so it is not metered
        (table,) = stack.template.tables()
        self._table: str = table.definition["TableName"]
        Meter(table.definition, self._client, lambda _: self._counts() is not None, self.count_units).attach()
        stack.aws.hooks.append(self._count_request)
        stack.around = self._counted

    def new_processes(self) -> None:
        """Replace every process: each function gets a new container, which has read nothing yet."""
        services.services_of.cache_clear()

    def agent(self, **config: Any) -> str:
        """A new agent that has made one call: the first call also creates the item of its lines."""
        agent_id = self.stack.create_agent(**config)
        self.script("+14155550110", "completed")
        self.place("an agent's first", "+14155550110", agent_id)
        self.advance(WITHIN_MINUTES)
        return agent_id

    @contextmanager
    def traffic(self, traffic: Traffic, agent_id: str) -> Iterator[None]:
        """Run the body for an agent that is busy, or for one that is alone."""
        if traffic == ALONE:
            self.new_processes()
            yield
            return
        busy = True

        def call() -> None:
            if busy:
                to = self.number("busy")
                self._place(to, agent_id, {"enabled": False}, {})
                self.stack.clock.after(TRAFFIC_SECONDS, call)

        self.stack.clock.after(0, call)
        self.advance(LEAD_MINUTES)
        yield
        self.advance(LASTING_MINUTES)
        busy = False

    def to_next_attempt(self, call: str) -> None:
        """Advance the clock to where traffic begins for the call's next attempt."""
        at = datetime.fromisoformat(self.execution(call)["next_attempt"]["at"])
        self.advance((at - self.stack.clock.now()).total_seconds() / 60 - 1.5 * LEAD_MINUTES)

    def number(self, *outcomes: Any) -> str:
        """A number that was not called before, whose calls have these outcomes."""
        self._numbers += 1
        to = f"+1415556{self._numbers:04d}"
        self.script(to, *outcomes)
        return to

    def script(self, to: str, *outcomes: Any) -> None:
        self.stack.carrier.calls.scripts.set(to, list(outcomes))

    def advance(self, minutes: float) -> None:
        self.stack.clock.advance(minutes)

    def count(self, title: str, *calls: str) -> Counts:
        """From now on count the work for `calls`, as attempts with that title."""
        counts = Counts(title, calls=len(calls), attempts=len(calls))
        self._current.update(dict.fromkeys(calls, counts))
        return counts

    def place(self, call: str, to: str, agent_id: str, **headers: str) -> None:
        """Request a call, which is known as `call` here."""
        retries = {**RETRIES, "retry_intervals_minutes": [30], "retry_on_voicemail": True}
        self.known_as(call, self._place(to, agent_id, retries, {_CALL_HEADER: call, **headers}))

    def _place(self, to: str, agent_id: str, retries: dict[str, Any], headers: dict[str, str]) -> str:
        body = {"agent_id": agent_id, "recipient_phone_number": to, "user_data": USER_DATA, "retry_config": retries}
        return str(ask(f"{self.stack.url}/call", self.stack.api_key, "POST", body, headers)["execution_id"])

    def known_as(self, call: str, execution_id: str) -> None:
        """Count the work for that execution as work for `call`."""
        self._call_of[execution_id] = call

    def execution(self, call: str) -> Any:
        """The execution as the API shows it. This request is not counted."""
        (execution_id,) = (one for one, of in self._call_of.items() if of == call)
        return ask(f"{self.stack.url}/executions/{execution_id}", self.stack.api_key)

    def finish(self, call: str, attempts: int, status: str) -> None:
        """Stop counting the attempt. Raises `RuntimeError` if it did not end as it should have."""
        counts = self._current.pop(call)
        execution = self.execution(call)
        ended = [attempt["status"] for attempt in execution["attempts"] if attempt["status"] != "scheduled"]
        if (len(ended), ended[-1]) != (attempts, status):
            raise RuntimeError(f"{counts.title}: attempts ended in {ended}; attempt {attempts} should be {status}")
        if counts.metered != counts.of("dynamodb") or self._unknown:
            raise RuntimeError(f"{counts.title}: {counts.metered} requests metered; of no function: {self._unknown}")
        until = datetime.fromisoformat(execution["updated_at"])
        since = self._until.get(call, datetime.fromisoformat(execution["created_at"]))
        counts.hours += (until - since).total_seconds() / 3600
        self._until[call] = until
        key: Item = {"pk": {"S": f"X#{execution['id']}"}, "sk": {"S": "X"}}
        counts.execution_bytes = size(self._client.get_item(TableName=self._table, Key=key)["Item"])

        for delivery in self.stack.inbox.received(INBOX_NAME):
            if delivery.answered != 200:
                raise RuntimeError(f"a webhook was answered {delivery.answered}")
        for failure in (*self.stack.clock.failures, *self.stack.functions.failures, *self.stack.scheduler.dead_letters):
            raise RuntimeError(f"something failed: {failure}")

    def _counts(self, invocation: Invocation | None = None) -> Counts | None:
        """Where to count an invocation, by default the present one; None if it is not counted."""
        invocation = invocation or self.stack.functions.current()
        return None if invocation is None else self._current.get(self._call(invocation) or "")

    def _call(self, invocation: Invocation) -> str | None:
        """The call that an invocation is for, by its event."""
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
        if request.phase != "before":
            return
        if request.invocation is None:
            self._unknown[f"{request.service} {request.operation}"] += 1
            return
        counts, function = self._counts(request.invocation), function_name(request.invocation.function.module)
        if counts is None:
            return
        if request.service != "http":
            counts.requests[function, request.service, request.operation] += 1
        elif self.stack.carrier_url.removeprefix("http://") in request.operation:
            counts.http[function, "carrier"] += 1
        else:
            counts.http[function, "webhook"] += 1
            counts.deliveries += request.invocation.request_id not in self._delivering
            self._delivering.add(request.invocation.request_id)

    def count_units(self, units: Units, writes: Sequence[Write]) -> None:
        """Count one request that was metered."""
        counts = self._counts()
        if counts is not None:
            counts.units += units
            counts.metered += 1

    def _counted(self, function: Function, handler: Handler) -> Handler:
        def run(event: Any, context: Any) -> Any:
            logged = self.stack.log.stat().st_size
            try:
                return handler(event, context)
            finally:
                counts = self._counts()
                if counts is not None:
                    counts.invocations[function_name(function.module)] += 1
                    counts.log_bytes += self.stack.log.stat().st_size - logged

        return run


B = TypeVar("B", bound=Bench)


@contextmanager
def counting(kind: type[B], **options: Any) -> Iterator[B]:
    """A bench of that kind on a stack of its own."""
    with running(**options) as stack:
        yield kind(stack)


# ---- the cases -------------------------------------------------------------------------------------------------------


def attempts_of(
    bench: Bench, traffic: Traffic, outcomes: Sequence[str], statuses: Sequence[str], key: str = "", **config: Any
) -> list[Counts]:
    """Calls with these outcomes, each attempt counted by itself. `key`: an Idempotency-Key for each call."""
    agent, found = bench.agent(**config), []
    names = (f"{', '.join(outcomes)} {key} {agent} {one}" for one in range(BUSY_CALLS if traffic == BUSY else 1))
    calls = {name: bench.number(*outcomes) for name in names}
    for attempt, (outcome, status) in enumerate(zip(outcomes, statuses, strict=True), start=1):
        retry = "retry after voicemail" if "voicemail" in outcomes else "retry"
        what = retry if outcome == "completed" else outcome
        title = f"{what}, {_then(outcome, attempt == len(outcomes))} (attempt {attempt})"
        if len(outcomes) == 1:
            title = "answered at once" + (", with Idempotency-Key" if key else "")
        if attempt > 1:
            bench.to_next_attempt(next(iter(calls)))
        with bench.traffic(traffic, agent):
            counts = bench.count(title, *calls)
            for name, number in calls.items() if attempt == 1 else ():
                bench.place(name, number, agent, **({"Idempotency-Key": f"{key} {name}"} if key else {}))
                bench.advance(TRAFFIC_SECONDS / 60)
        bench.advance(WITHIN_MINUTES)
        for name in calls:
            bench.finish(name, attempt, status)
        if counts.invocations["dial"] < len(calls) or not counts.invocations["deliver"]:
            raise RuntimeError(f"{title}: dial or deliver was not counted: {counts.invocations}")
        found.append(counts)
    return found


def _then(outcome: str, last: bool) -> str:
    return "retried" if not last else "answered" if outcome == "completed" else "the last"


def waiting(bench: Bench, waiters: int) -> Counts:
    """One line in use, and `waiters` calls queued for it. The middle one is counted until it hands the line over."""
    agent = bench.agent(max_concurrent_calls=1)
    placed = len(bench.stack.carrier.calls.all())
    calls = [f"waiting-{waiters}-{number}" for number in range(1 + waiters)]
    middle = calls[(1 + waiters) // 2]
    counts = bench.count(f"answered, after waiting for a line with {waiters - 1} more", middle)
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

    `filtered`: four unanswered attempts of a busy agent that wants final statuses and `scheduled` only.
    """

    answered: dict[Traffic, Counts] = field(default_factory=dict)
    unanswered: dict[Traffic, list[Counts]] = field(default_factory=dict)
    filtered: list[Counts] = field(default_factory=list)
    others: list[Counts] = field(default_factory=list)


def attempts() -> Attempts:
    """Every case, on one stack that has done each thing once before."""
    found = Attempts()
    unanswered, machine = ["no-answer"] * 4, ["voicemail", "completed"]
    answered, both_answered = ["completed"], ["completed", "completed"]
    retry = ["no-answer", "completed"]
    with counting(Bench, recurring=False) as bench:
        say("warming up")
        attempts_of(bench, ALONE, machine, both_answered, voicemail_detection=True)
        for traffic in (BUSY, ALONE):
            say(f"one attempt, counted: {traffic}")
            (found.answered[traffic],) = attempts_of(bench, traffic, answered, answered)
            found.unanswered[traffic] = attempts_of(bench, traffic, unanswered, unanswered)
        say("one attempt, counted: few events")
        found.filtered = attempts_of(bench, BUSY, unanswered, unanswered, webhook_statuses=[*FINAL, Status.SCHEDULED])
        say("one attempt, counted: others")
        found.others = [
            *attempts_of(bench, BUSY, answered, answered, key="a-key"),
            *attempts_of(bench, BUSY, retry, retry)[1:],
            *attempts_of(bench, BUSY, machine, both_answered, voicemail_detection=True),
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
    if counts.invocations[function_name(SWEEPER)] != IDLE_MINUTES or counts.metered != counts.of("dynamodb"):
        raise RuntimeError(f"the sweeper did not run once a minute: {counts}")
    return counts
