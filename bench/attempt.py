"""What one attempt at a call costs, counted on the local stack: `python -m bench` prints it.

Calls are played on the local stack; every request that a function makes for a call is counted for the attempt that it
is made in. The sweeper is left out of that, and measured by itself.

Each function has a world of its own here, as it has a process of its own on Lambda, so that what one keeps in memory
serves no other. An attempt is counted `BUSY`, while its agent makes a call every second, and `ALONE`, the first in a
long time, when every function starts in a new process. Busy is the mean of some attempts, since now and then one reads
again what functions remember for seconds.
"""

import importlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import boto3

from bench import prices
from bench.dynamodb_units import Item, Meter, Units, size
from local.aws.functions import Function, Invocation
from local.aws.requests import OutsideRequest
from local.stack import INBOX_NAME, SWEEPER, LocalStack
from local.web.server import send
from redial.runtime import services

NOON = datetime(2026, 1, 26, 12, 0, tzinfo=UTC)
USER_DATA = {"note": "x" * 188}
"""200 bytes of JSON."""
RETRIES = {
    "enabled": True,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_intervals_minutes": [30],
}
WITHIN_MINUTES = 25
"""An attempt is over, and what it causes is done, within so many; the next is later."""
IDLE_MINUTES = 32
"""Runs of the sweeper that are measured with nothing to do: each of its shards is first once or more."""
TRAFFIC_SECONDS = 2
BUSY_CALLS = 5
"""Calls that are counted while there is traffic, as far apart as its calls: there is one call a second."""
TRAFFIC_NUMBER = "+14155550119"
LEAD_MINUTES = 0.4
"""How long there has been traffic when an attempt that is counted with it begins."""
LASTING_MINUTES = 2.0
"""How long it goes on: an answered call lasts less."""
Traffic = Literal["busy", "alone"]
BUSY: Traffic = "busy"
ALONE: Traffic = "alone"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_CALL_HEADER = "x-bench-call"


@dataclass
class Counts:
    """What was done for one attempt, or for `attempts` of `calls` calls together.

    `requests` by function, service and operation; `http` by function and "carrier" or "webhook". `deliveries`:
    invocations that sent webhooks. `hours` that the calls were open. `execution_bytes` after it.
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
    delivering: set[str] = field(default_factory=set)

    @property
    def aws_requests(self) -> int:
        return self.requests.total()

    def of(self, service: str, operation: str | None = None) -> int:
        return sum(
            count
            for (_, of_service, of_operation), count in self.requests.items()
            if of_service == service and operation in (None, of_operation)
        )

    @property
    def carrier_requests(self) -> int:
        return sum(count for (_, to), count in self.http.items() if to == "carrier")

    @property
    def webhooks(self) -> int:
        return sum(count for (_, to), count in self.http.items() if to == "webhook")

    @property
    def deliveries(self) -> int:
        return len(self.delivering)

    @property
    def http_api_requests(self) -> int:
        """API Gateway takes each request to these two; nothing else invokes them."""
        return self.invocations["api"] + self.invocations["carrier_callback"]

    @property
    def schedules(self) -> int:
        return self.of("scheduler", "CreateSchedule")

    def lambda_seconds(self, memory_mb: dict[str, int], cpu_seconds: dict[str, float]) -> dict[str, float]:
        """How long each function ran, by `prices.lambda_seconds`; `cpu_seconds` of one invocation, by function."""
        return {
            name: prices.lambda_seconds(
                memory_mb[name],
                invocations * cpu_seconds[name],
                sum(count for (function, _, _), count in self.requests.items() if function == name),
                self.http[name, "carrier"],
                self.http[name, "webhook"],
            )
            for name, invocations in self.invocations.items()
        }

    def lambda_dollars(self, memory_mb: dict[str, int], cpu_seconds: dict[str, float]) -> float:
        """What that takes."""
        seconds = self.lambda_seconds(memory_mb, cpu_seconds)
        return sum(prices.lambda_dollars(memory_mb[name], seconds[name]) for name in seconds)

    def dollars(self) -> dict[str, float]:
        """The list price of all of it but for the time that functions run, by what is paid for."""
        millionths = {
            "DynamoDB writes": self.units.writes * prices.DOLLARS_PER_MILLION_WRITE_UNITS,
            "DynamoDB reads": self.units.reads * prices.DOLLARS_PER_MILLION_READ_UNITS,
            "HTTP API": self.http_api_requests * prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
            "Lambda requests": self.invocations.total() * prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
            "Scheduler": self.schedules * prices.DOLLARS_PER_MILLION_SCHEDULES,
            "secrets": self.of("secrets-manager") * prices.DOLLARS_PER_MILLION_SECRET_READS,
            "logs": self.log_bytes * prices.DOLLARS_PER_LOG_GB / 1000,
        }
        return {what: dollars / 1e6 for what, dollars in millionths.items()}

    def __add__(self, other: "Counts") -> "Counts":
        """Both together, under the first one's title and with the last one's execution."""
        return Counts(
            self.title,
            self.calls + other.calls,
            self.attempts + other.attempts,
            self.requests + other.requests,
            self.invocations + other.invocations,
            self.http + other.http,
            self.units + other.units,
            self.metered + other.metered,
            self.log_bytes + other.log_bytes,
            other.execution_bytes,
            self.hours + other.hours,
            self.delivering | other.delivering,
        )


class Bench:
    """A stack whose requests are counted for the attempt that they belong to; see `attempt`."""

    def __init__(self, stack: LocalStack, log: Path) -> None:
        self.stack = stack
        self._log = log
        self._current: dict[str, Counts] = {}
        self._call_of: dict[str, str] = {}
        self._until: dict[str, datetime] = {}
        self._nobodys: Counter[str] = Counter()
        self._client = stack.aws.client("dynamodb")  # made before the session below, whose clients are metered
        (table,) = stack.template.tables()
        self._table: str = table.definition["TableName"]
        meter = Meter(table.definition, self._client, lambda: self._counts() is not None, self._count_units)
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-call.dynamodb", meter.before)
        boto3.DEFAULT_SESSION.events.register("after-call.dynamodb", meter.after)
        services.reset()
        stack.aws.hooks.append(self._count_request)

    @contextmanager
    def counted_handlers(self, functions: Iterable[Function]) -> Iterator[None]:
        """Count every invocation of every function, and the bytes that it logs, while this lasts."""
        modules: list[Any] = [importlib.import_module(function.module) for function in functions]
        handlers = [module.handler for module in modules]
        for module, handler in zip(modules, handlers, strict=True):
            module.handler = self._counted(handler)
        self.new_processes()
        try:
            yield
        finally:
            for module, handler in zip(modules, handlers, strict=True):
                module.handler = handler

    def new_processes(self) -> None:
        """As if every process had been replaced: each function gets a new container, in which nothing was read yet."""
        services.services_of.cache_clear()

    def agent(self, **config: Any) -> str:
        """A new agent that has made one call, for its first call also makes the item of its lines."""
        agent_id = self.stack.create_agent(**config)
        self.script("+14155550110", "completed")
        self.place("an agent's first", "+14155550110", agent_id)
        self.advance(WITHIN_MINUTES)
        return agent_id

    @contextmanager
    def traffic(self, traffic: Traffic, agent_id: str) -> Iterator[None]:
        """What is begun in here is done for an agent that is busy, or for one that is alone; then that is over."""
        if traffic == ALONE:
            self.new_processes()
            yield
            return
        busy = True

        def call() -> None:
            if busy:
                self._ask_for_call(TRAFFIC_NUMBER, agent_id, {"enabled": False}, {})
                self.stack.clock.after(TRAFFIC_SECONDS, call)

        self.script(TRAFFIC_NUMBER, "busy")
        self.stack.clock.after(0, call)
        self.advance(LEAD_MINUTES)
        yield
        self.advance(LASTING_MINUTES)
        busy = False

    def to_next_attempt(self, call: str) -> None:
        """Move the clock to where traffic begins for the call's next attempt."""
        at = datetime.fromisoformat(self.execution(call)["next_attempt"]["at"])
        self.advance((at - self.stack.clock.now()).total_seconds() / 60 - 1.5 * LEAD_MINUTES)

    def script(self, to: str, *outcomes: Any) -> None:
        self.stack.carrier.calls.scripts.set(to, list(outcomes))

    def count(self, title: str, *calls: str) -> Counts:
        """Count what is done for `calls` from now on as attempts of that title."""
        counts = Counts(title, calls=len(calls), attempts=len(calls))
        self._current.update(dict.fromkeys(calls, counts))
        return counts

    def place(self, call: str, to: str, agent_id: str, **headers: str) -> None:
        """Ask for a call, which is known as `call` here."""
        retries = {**RETRIES, "retry_on_voicemail": True}
        self.known_as(call, self._ask_for_call(to, agent_id, retries, {_CALL_HEADER: call, **headers}))

    def _ask_for_call(self, to: str, agent_id: str, retries: dict[str, Any], headers: dict[str, str]) -> str:
        body = {
            "agent_id": agent_id,
            "recipient_phone_number": to,
            "user_data": USER_DATA,
            "retry_config": retries,
        }
        sent = {
            "Authorization": f"Bearer {self.stack.api_key}",
            "Content-Type": "application/json",
            **headers,
        }
        answer = send("POST", f"{self.stack.url}/call", json.dumps(body).encode(), sent)
        if answer.status != 200:
            raise RuntimeError(f"POST /call was answered {answer.status}: {answer.body!r}")
        return str(json.loads(answer.body)["execution_id"])

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
        until = datetime.fromisoformat(execution["updated_at"])
        counts.hours += (
            until - self._until.get(call, datetime.fromisoformat(execution["created_at"]))
        ).total_seconds() / 3600
        self._until[call] = until
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
            counts.http[_short(request.invocation.function.module), "carrier" if to_carrier else "webhook"] += 1
            if not to_carrier:
                counts.delivering.add(request.invocation.request_id)
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


def _calls(traffic: Traffic, what: str) -> dict[str, str]:
    """The calls that are counted together, and their numbers."""
    return {
        f"{what} {traffic} {number}": f"+141555502{number:02d}"
        for number in range(BUSY_CALLS if traffic == BUSY else 1)
    }


def _place(bench: Bench, calls: dict[str, str], agent_id: str, **headers: str) -> None:
    for call, number in calls.items():
        bench.place(call, number, agent_id, **{name: f"{value} {call}" for name, value in headers.items()})
        bench.advance(TRAFFIC_SECONDS / 60)


def answered(bench: Bench, traffic: Traffic, **headers: str) -> Counts:
    """Calls that are answered at once."""
    agent, calls = bench.agent(), _calls(traffic, f"answered {len(headers)}")
    for number in calls.values():
        bench.script(number, "completed")
    with bench.traffic(traffic, agent):
        counts = bench.count("answered at once" + (", with Idempotency-Key" if headers else ""), *calls)
        _place(bench, calls, agent, **headers)
    bench.advance(WITHIN_MINUTES)
    for call in calls:
        bench.finish(call, 1, "completed")
    return counts


def retried(
    bench: Bench, traffic: Traffic, outcomes: Sequence[str], statuses: Sequence[str], **config: Any
) -> list[Counts]:
    """Calls with these outcomes, each attempt counted by itself."""
    agent, calls, found = bench.agent(**config), _calls(traffic, ", ".join(outcomes)), []
    for number in calls.values():
        bench.script(number, *outcomes)
    for attempt, (outcome, status) in enumerate(zip(outcomes, statuses, strict=True), start=1):
        last = attempt == len(outcomes)
        then = "the last" if last and outcome != "completed" else "answered" if last else "retried"
        what = "retry" if outcome == "completed" else outcome
        if what == "retry" and "voicemail" in outcomes:
            what = "retry after voicemail"
        if attempt > 1:
            bench.to_next_attempt(next(iter(calls)))
        with bench.traffic(traffic, agent):
            counts = bench.count(f"{what}, {then} (attempt {attempt})", *calls)
            if attempt == 1:
                _place(bench, calls, agent)
        bench.advance(WITHIN_MINUTES)
        for call in calls:
            bench.finish(call, attempt, status)
        found.append(counts)
    return found


def waiting(bench: Bench, waiters: int) -> Counts:
    """One line, taken, and so many calls that wait for it; one from their middle is counted. It gives the line on."""
    agent = bench.agent(max_concurrent_calls=1)
    bench.script("+14155550113", "completed")
    placed = len(bench.stack.carrier.calls.all())
    calls = [f"waiting-{waiters}-{number}" for number in range(1 + waiters)]
    middle = calls[(1 + waiters) // 2]
    counts = bench.count(f"answered, after waiting for a line with {waiters - 1} more", middle)
    for call in calls:
        bench.place(call, "+14155550113", agent)
        bench.advance(0.01)
    if len(bench.stack.carrier.calls.all()) != placed + 1:
        raise RuntimeError("the calls did not have to wait")
    bench.advance(2 * (1 + waiters))
    bench.finish(middle, 1, "completed")
    return counts


@dataclass
class Attempts:
    """What was counted. By traffic: a call answered at once, and the four attempts of one that nobody answers;
    `others`: of busy agents."""

    answered: dict[Traffic, Counts] = field(default_factory=dict)
    unanswered: dict[Traffic, list[Counts]] = field(default_factory=dict)
    others: list[Counts] = field(default_factory=list)


def attempts(say: Callable[[str], None]) -> Attempts:
    """Every case, on one stack that has done each thing once before."""
    found = Attempts()
    machine = ["voicemail", "completed"], ["completed", "completed"]
    with _bench(recurring=False) as bench:
        say("warming up")
        retried(bench, ALONE, *machine, voicemail_detection=True)
        for traffic in (BUSY, ALONE):
            say(f"one attempt, counted: {traffic}")
            found.answered[traffic] = answered(bench, traffic)
            found.unanswered[traffic] = retried(bench, traffic, ["no-answer"] * 4, ["no-answer"] * 4)
        say("one attempt, counted: others")
        found.others = [
            answered(bench, BUSY, **{"Idempotency-Key": "a-key"}),
            *retried(bench, BUSY, ["no-answer", "completed"], ["no-answer", "completed"])[1:],
            *retried(bench, BUSY, *machine, voicemail_detection=True),
            waiting(bench, 2),
            waiting(bench, 30),
        ]
    return found


def idle_sweeper(say: Callable[[str], None]) -> Counts:
    """`IDLE_MINUTES` runs of the sweeper with one agent and nothing to do."""
    say(f"the sweeper, idle for {IDLE_MINUTES} minutes")
    with _bench(recurring=True) as bench:
        bench.advance(1)
        counts = bench.count("sweeper", SWEEPER)
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
