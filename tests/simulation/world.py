"""The simulated world: the whole local stack without sockets, in one thread at a time, with faults between its parts.

    the shipped handlers ─► botocore ─► faults ─► local.aws (moto, scheduler, Lambda, stream)
                         └► Http.send ─► faults ─► local.carriers.twilio, or a customer's endpoint
    local.carriers.twilio ─► faults ─► callbacks ─► API ─► the shipped handlers
    clients (events of the timeline) ─► API

Only `redial.adapters.http.Http.send`, the last step onto the wire, is replaced; what it does is tested with real
sockets in tests/contract/test_http.py. While a function waits, or its request is slow, others run, so
that every interleaving of requests can happen; which function runs next depends on the seed alone.

Events are recorded for the invariants (`Seen`) and, for people, as a timeline.
"""

import base64
import hashlib
import json
import logging
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlencode, urlsplit

import botocore.endpoint
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from local.aws.dynamodb import Image, changes_of
from local.aws.dynamodb import answer as answer_dynamodb
from local.aws.functions import Function, Handler, Invocation
from local.aws.requests import Answer, OutsideRequest
from local.aws.scheduler import PRECISION_SECONDS, Schedule
from local.carriers.twilio_calls import Call, Overrides
from local.stack import API_MODULE, SWEEPER, LocalStack, webhook_secret_of
from local.web.inbox import verify
from local.web.server import HttpServer, Request, Response
from redial.adapters import invoker
from redial.adapters.dynamodb import executions as stored_executions
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.items import from_item
from redial.adapters.dynamodb.undelivered import DynamoUndelivered
from redial.adapters.http import Http, Lookups
from redial.carriers.secrets import SecretCredentials
from redial.domain.batch import Batch
from redial.domain.execution import Execution
from redial.runtime import keys, services, system
from redial.wire.http import HttpResponse, NoAnswer, NotSent
from redial.wire.stored_batch import decode as decode_batch
from redial.wire.stored_execution import decode
from tests.simulation.faults import KINDS, Faults

START = datetime(2026, 1, 26, 14, 0, tzinfo=UTC)
PORTS = {"API": 4000, "carrier": 4001, "inbox": 4002, "files": 4003}
HOUR = 3600.0
LATEST_FOUND = timedelta(minutes=6)
"""If the carrier places a call later than this after the claim, its attempt may have been given up."""
MOST_REQUESTS = 1_000_000
"""A run with more requests is in an endless loop."""
_CALLBACK = re.compile(r"/callbacks/[^/]+/([0-9a-f-]{36})/(\d+)")
_DETECTION = re.compile(_CALLBACK.pattern + "/amd")
_CALL_RESOURCE = re.compile(r"/Calls/(CA[0-9a-f]{32})\.json\Z")
NEWER_NAME = "zz"
"""An attribute stored with an execution by a newer version, unknown to this one."""


def _forget_environments() -> None:
    """Empty all caches, as if every process had been replaced. AWS clients stay: they cache nothing and are slow
    to create."""
    services.services_of.cache_clear()


Encode = Callable[[Execution], dict[str, Any]]
STATISTICS_SECONDS = 60
"""How often statistics are stored."""


class Killed(BaseException):
    """The function's process has ended."""


class NoSocket(HttpServer):
    """An address without a socket: the simulated network routes requests by it."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port, self.serving = name, port, False
        self.url = f"http://127.0.0.1:{port}"

    def start(self, respond: Callable[[Request], Response | None]) -> None:
        self.respond, self.serving = respond, True

    def stop(self) -> None:
        self.serving = False


@dataclass(frozen=True)
class Account:
    """A customer of Redial."""

    id: str
    key: str
    secret: str


@dataclass(frozen=True)
class Placed:
    """A call that the carrier placed for that attempt of that execution.

    `late`: the carrier placed it so long after the claim that the attempt may have been given up by then.
    """

    execution_id: str
    attempt: int
    at: datetime
    call: Call
    late: bool = False


@dataclass(frozen=True)
class Received:
    """A webhook that an endpoint received. `taken`: it answered 2xx, even if the answer was lost."""

    endpoint: str
    at: datetime
    body: Any
    raw: bytes
    verified: bool
    taken: bool


@dataclass(frozen=True)
class Stopped:
    """A stop that was answered at `at`: no call that it covers may be claimed afterwards.

    `asked_at`: when it was sent. `at_once`: a covered call is stopped before the answer, its schedule included; the
    contacts of a batch follow later.
    """

    at: datetime
    covers: Callable[[Execution, datetime], bool]
    what: str
    asked_at: datetime
    at_once: bool = False


@dataclass(frozen=True)
class Suppressed:
    """A suppression that was answered at `at`: no attempt of the account to that number may be claimed afterwards."""

    at: datetime
    account_id: str
    number: str


@dataclass(frozen=True)
class Consent:
    """A consent that was answered between `asked_at` and `given_at`, and its withdrawal (None: there was none)."""

    account_id: str
    number: str
    asked_at: datetime
    withdrawn_at: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """A scrub's verdict as it was sent. `until`: how long it may be kept."""

    at: datetime
    allowed: bool
    until: datetime


@dataclass(frozen=True)
class Limited:
    """`contact_limits`, as sent, in force from their answer at `at`: an agent's, or (None) those of the account."""

    at: datetime
    account_id: str
    agent_id: str | None
    limits: dict[str, Any]


@dataclass(frozen=True)
class AskedToStop:
    """A request to stop one call, or all calls of an agent, that ended at `until`, answered or not."""

    until: datetime
    execution_id: str | None = None
    agent_id: str | None = None


@dataclass
class Seen:
    """Everything that an outside observer could have seen, by true time.

    `answers`: the results of the requests to place a call, by attempt. `claimers`: the invocation that claimed it.
    `files`: the valid numbers of each batch's file, in order; `batch_configs`, `batch_rules`: the retries and the
    calling rules requested with it. `calls_of`: calls by agent, and by the lines of a key. `held`: lines in use by
    agent, or lines of a key, and shard; `held_since`: their sum whenever it changed. `queued`: agents with a call that
    has waited for a line; `paused`: batches that were ever paused. `settled_at`: when an execution last became final,
    or an event was last accepted. `received`: webhooks by execution or batch id. `machines`: when the API first
    accepted the carrier's report that a machine had answered, by attempt. `refused_by_fault`: attempts refused for a
    fault of the account. `yes_of_hook`: when an agent's hook allowed an attempt; `verdicts`: those of scrubs by agent
    and number.
    """

    placed: dict[tuple[str, int], list[Placed]] = field(default_factory=lambda: defaultdict(list))
    calls_of: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    executions: dict[str, Execution] = field(default_factory=dict)
    created_at: dict[str, datetime] = field(default_factory=dict)
    claimed_at: dict[tuple[str, int], datetime] = field(default_factory=dict)
    received: dict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    stops: list[Stopped] = field(default_factory=list)
    suppressed: list[Suppressed] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    yes_of_hook: dict[tuple[str, int], list[datetime]] = field(default_factory=lambda: defaultdict(list))
    verdicts: dict[tuple[str, str], list[Verdict]] = field(default_factory=lambda: defaultdict(list))
    contact_limits: list[Limited] = field(default_factory=list)
    with_webhook: set[str] = field(default_factory=set)
    limits: dict[str, list[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: dict[str, Any] = field(default_factory=dict)
    keys: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    key_answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    stops_asked: list[AskedToStop] = field(default_factory=list)
    answers: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    claimers: dict[tuple[str, int], Invocation | None] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    batch_configs: dict[str, Any] = field(default_factory=dict)
    batch_rules: dict[str, Any] = field(default_factory=dict)
    held: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    held_since: dict[str, list[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(list))
    queued: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    settled_at: datetime = START
    given_up: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    machines: dict[tuple[str, int], datetime] = field(default_factory=dict)
    refused_by_fault: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True)
class AccountFault:
    """A fault that only a person can fix, at `until`. Before that the carrier refuses each request to place a call
    whose `field` begins with `value` (empty: each request), with this HTTP status and code."""

    begin: datetime
    until: datetime
    status: int
    code: int
    field: str
    value: str

    def refuses(self, form: dict[str, list[str]], now: datetime) -> bool:
        within = not self.field or form.get(self.field, [""])[0].startswith(self.value)
        return self.begin <= now < self.until and within


@dataclass(frozen=True)
class Violation:
    """A violated invariant, by its name."""

    invariant: str
    at: datetime
    what: str


class World(LocalStack):
    """One run of one seed. From `start` to `stop` this process uses the world's clock, AWS, HTTP and random numbers."""

    def __init__(self, seed: int, faults: Faults, calls_per_second: float | None = None) -> None:
        super().__init__(
            seed=seed,
            start_at=START,
            log=Path(os.devnull),
            first_agent=False,
            firing=self._firing,
            stream_duplicates=0.05,
            parameters={"StatisticsSeconds": str(STATISTICS_SECONDS)},
        )
        self.carrier.calls.calls_per_second = calls_per_second
        self.faults = faults
        self.seen = Seen()
        self.lines: list[str] = []
        self.violations: list[Violation] = []
        self.requests: Counter[str] = Counter()
        self.cuts_off: Callable[[Invocation, str], bool] = lambda invocation, where: False
        """Whether a function is killed here: before or after one of its requests, to AWS or over HTTP."""
        self.before_request: Callable[[str, str, bytes], None] = lambda service, operation, body: None
        """Sees each request of a function before it is sent (service, operation, body), and may delay it."""
        self.refused: set[tuple[str, str]] = set()
        """Pairs of an endpoint and the status of the events that it answers with 410."""
        self.on_placed: list[Callable[[World, Placed], None]] = []
        self.on_written: list[Callable[[World, Execution | None, Execution], None]] = []
        self.on_stopped: list[Callable[[World, Stopped], None]] = []
        self.checked: Counter[str] = Counter()
        """How often each promise was checked on a case to which it applies."""
        self.most_requests = MOST_REQUESTS
        self.outages: dict[str, tuple[datetime, datetime, str]] = {}
        self.carrier_down: tuple[datetime, datetime] | None = None
        self.account_faults: list[AccountFault] = []
        self.hooked: set[str] = set()
        self.scrubbed: set[str] = set()
        self.consenting: set[str] = set()
        """Agents with a pre-dial hook, with a scrub, and that require a consent."""
        self.guardrails: dict[str, Any] = {}
        """`calling_guardrails` of agents, as sent."""
        self.policies: dict[str, dict[str, Any]] = {}
        """Rules of the policies that agents name."""
        self.accounts = [
            Account("local", self.api_key, webhook_secret_of(f"{seed}")),
            Account("other", "other-key", webhook_secret_of("o")),
        ]
        self._newest: Call | None = None
        self.excused: set[str | None] = set()
        """Clients' requests during which a request to AWS failed, was lost or was killed: they may be answered 500."""
        self._in_trouble: set[str] = set()
        self._numbered = 0
        self._rotations = 0
        self._digest = hashlib.sha256()
        self._patches: list[Any] = []
        self._history: list[tuple[datetime, dict[str, Any] | None, dict[str, Any] | None]] = []

    # ---- starting and ending --------------------------------------------------------------------------------------

    def _bind(self, name: str, port: int) -> HttpServer:
        return NoSocket(name, PORTS[name])

    def start(self) -> "World":
        logging.getLogger("redial").addHandler(logging.NullHandler())
        random.seed(self.seed)  # botocore draws its retry delays from here
        self._patch(mock.patch.object(Http, "send", self._send))
        self._patch(mock.patch.object(botocore.endpoint, "time", mock.Mock(sleep=self.functions.sleep)))
        # Concurrent invocations run in their own environments, so none waits for another's lock.
        self._patch(mock.patch("redial.carriers.secrets.threading", mock.Mock(Lock=nullcontext)))
        # The results do not depend on the speed of this machine.
        self._patch(mock.patch("redial.adapters.webhooks.time", mock.Mock(monotonic=lambda: 0.0)))
        self._patch(mock.patch.object(Lookups, "within", lambda lookups, seconds: lookups._resolve))
        # Cached credentials expire by simulated time.
        defaults: Any = SecretCredentials.__init__.__kwdefaults__
        self._patch(mock.patch.dict(defaults, {"clock": self._seconds}))
        for module in (stored_executions, invoker):
            encode: Encode = vars(module)["encode"]
            self._patch(mock.patch.object(module, "encode", self._by_newer_versions(encode)))
        super().start()
        second = self.accounts[1]
        dynamodb = self.aws.client("dynamodb")
        keys.ensure_account(
            account_id=second.id,
            name="Another",
            webhook_secret=second.secret,
            api_key=second.key,
            accounts=DynamoAccounts(dynamodb, self.environment["TABLE_NAME"]),
            now=system.now(),
        )
        changes_of(self.environment["TABLE_NAME"]).listeners.append(self._wrote)
        self.aws.middleware = self._between
        self.carrier.calls.post = self._post_callback
        self.functions.delays = self._delays
        return self

    def __enter__(self) -> "World":
        return self.start()

    def stop(self) -> None:
        super().stop()
        while self._patches:
            self._patches.pop().stop()

    def _by_newer_versions(
        self, encode: Callable[[Execution], dict[str, Any]]
    ) -> Callable[[Execution], dict[str, Any]]:
        """Encode as the running version does: a newer one adds an attribute unknown to this one."""

        def written(execution: Execution) -> dict[str, Any]:
            item = encode(execution)
            invocation = self.functions.current()
            if invocation is not None and self.faults.is_newer(invocation.request_id):
                item[NEWER_NAME] = 1
            return item

        return written

    def load(self, function: Function) -> Handler:
        if self.functions.current() is not None and self.faults.strikes("environment replaced"):
            _forget_environments()
        handler = super().load(function)
        if function.module != API_MODULE:
            return handler

        def excusing(event: Any, context: Any) -> Any:
            try:
                return handler(event, context)
            finally:
                if context.aws_request_id in self._in_trouble:
                    self.excused.add(event["headers"].get("x-number"))

        return excusing

    def _patch(self, patch: Any) -> None:
        patch.start()
        self._patches.append(patch)

    def _use_simulated_system(self) -> None:
        """As in the local stack, but the clocks of two functions may differ."""
        super()._use_simulated_system()

        def now() -> datetime:
            invocation = self.functions.current()
            true = self.clock.now()
            if invocation is None:
                return true
            return true + timedelta(seconds=self.faults.skew_seconds(invocation.request_id))

        system.use(now=now, machine_time=lambda instant: instant)  # the endpoints' clocks are simulated too

    # ---- records -------------------------------------------------------------------------------------------------

    def _seconds(self) -> float:
        return (self.now - START).total_seconds()

    @property
    def now(self) -> datetime:
        """The true simulated instant."""
        return self.clock.now()

    @property
    def digest(self) -> str:
        """A hash of all events, every AWS request included: the same for the same seed."""
        return self._digest.hexdigest()

    def trace(self, what: str, timeline: bool = True) -> None:
        at = self.now - START
        self._digest.update(f"{at.total_seconds():.3f} {what}\n".encode())
        if timeline:
            self.lines.append(f"{_clock(at)}  {what}")

    def violate(self, invariant: str, what: str) -> None:
        self.violations.append(Violation(invariant, self.now, what))
        self.trace(f"VIOLATED {invariant}: {what}")

    def was_in_trouble(self, invocation: Invocation) -> bool:
        """Whether the invocation was killed, or one of its requests to AWS failed."""
        return invocation.gone is not None or invocation.request_id in self._in_trouble

    def judge(self, promise: str, holds: bool, what: str | Callable[[], str]) -> None:
        """Count a check of a promise; `what` describes the violation if it does not hold."""
        self.checked[promise] += 1
        if not holds:
            self.violate(promise, what if isinstance(what, str) else what())

    def stopped(self, stop: Stopped) -> None:
        """Record a stop that was answered with 2xx."""
        self.seen.stops.append(stop)
        for check in self.on_stopped:
            check(self, stop)

    def suppressed(self, suppressed: Suppressed) -> None:
        """Record a suppression that was answered with 2xx."""
        self.seen.suppressed.append(suppressed)
        waiting = (one for one in self.seen.executions.values() if one.user_number == suppressed.number)
        self.checked["no dial to a suppressed number"] += sum(
            one.account_id == suppressed.account_id for one in waiting
        )

    def _wrote(self, old: Image | None, new: Image | None) -> None:
        """Record a write of one item of the table, at its true time."""
        if (self.faults.rates["index stale"] or self.faults.rates["read stale"]) and self.faults.active:
            self._history.append((self.now, None if old is None else old.plain, None if new is None else new.plain))
        if new is None:
            return
        pk, sk = str(new.plain["pk"]["S"]), str(new.plain["sk"]["S"])
        if sk.startswith("AGENT#"):
            self.seen.limits[sk.removeprefix("AGENT#")].append((self.now, int(new.plain["mc"]["N"])))
            if "wh" in new.plain:
                self.seen.with_webhook.add(sk.removeprefix("AGENT#"))
        if pk.startswith("L#"):
            agent_id, _, shard = pk.removeprefix("L#").rpartition("#")
            self.seen.held[agent_id][shard] = len(new.plain["holders"]["M"])
            self.seen.held_since[agent_id].append((self.now, sum(self.seen.held[agent_id].values())))
        if pk.startswith("Q#") and not sk.startswith("0b#"):
            self.seen.queued.add(pk.removeprefix("Q#"))
        if pk.startswith("B#") and sk == "B":
            batch = decode_batch(from_item(new.plain))
            if batch.paused:
                self.seen.paused.add(batch.id)
            self.seen.given_up[batch.id].update(batch.delivery.undelivered)
        if not pk.startswith("X#") or sk != "X":
            return
        if old is not None and NEWER_NAME in old.plain:
            self.judge("a newer version's data is kept", NEWER_NAME in new.plain, pk)
        after = decode(from_item(new.plain))
        before = self.seen.executions.get(after.id)
        self.seen.executions[after.id] = after
        self.seen.created_at.setdefault(after.id, self.now)
        self.seen.given_up[after.id].update(after.delivery.undelivered)
        self._note(before, after)
        for check in self.on_written:
            check(self, before, after)

    def _note(self, before: Execution | None, after: Execution) -> None:
        state, number = after.state, after.state.attempt.number
        known = 0 if before is None else len(before.changes)
        if state.is_dialling and (before is None or not before.state.is_dialling):
            self.seen.claimed_at[after.id, number] = self.now
            self.seen.claimers[after.id, number] = self.functions.current()
        if state.is_final and (before is None or not before.state.is_final):
            self.seen.settled_at = self.now
        for change in after.changes[known:]:
            until = "" if change.until is None else f" until {_clock(change.until - START)}"
            why = change.reason or change.ended or ""
            self.trace(f"{_short(after.id)} #{change.attempt} {change.kind}{until}{f' ({why})' if why else ''}")

    # ---- stored items ---------------------------------------------------------------------------------------------

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """Every item of the table whose partition key has this prefix."""
        images = changes_of(self.environment["TABLE_NAME"]).images
        found = (image.plain for (pk, _), image in images.items() if pk.startswith(prefix))
        return [from_item({name: _typed(value) for name, value in plain.items()}) for plain in found]

    def is_anything_due(self) -> bool:
        """Whether any item has a due time, now or later."""
        images = changes_of(self.environment["TABLE_NAME"]).images.values()
        due = [image.plain for image in images if "due_at" in image.plain]
        return any(one["due_at"] != one.get("ku") for one in due)  # not a batch that waits for its expiry only

    def forget_circuits(self) -> None:
        """Delete all circuits, as if no carrier had ever failed."""
        client = self.aws.client("dynamodb")
        for item in self.items("H#"):
            key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
            client.delete_item(TableName=self.environment["TABLE_NAME"], Key=key)

    def stored_executions(self) -> list[Execution]:
        return [decode(item) for item in self.items("X#")]

    def stored_batches(self) -> list[Batch]:
        """All batches except removed ones, of which only a tombstone is left."""
        found = [decode_batch(item) for item in self.items("B#") if item["sk"] == "B"]
        return [batch for batch in found if not batch.is_tombstone]

    def batch(self, batch_id: str) -> Batch | None:
        """The batch as it is stored."""
        image = changes_of(self.environment["TABLE_NAME"]).images.get((f"B#{batch_id}", "B"))
        return None if image is None else decode_batch(from_item(image.plain))

    def has_endpoint(self, execution: Execution) -> bool:
        """Whether its agent has a webhook, which is set once, right after the agent is created."""
        return execution.agent_id in self.seen.with_webhook

    def listed_undelivered(self) -> set[str]:
        """Ids of all executions and batches in the accounts' lists of undelivered events."""
        listed = DynamoUndelivered(self.aws.client("dynamodb"), self.environment["TABLE_NAME"])
        return {subject_id for account in self.accounts for subject_id in listed.all(account.id)}

    # ---- AWS ------------------------------------------------------------------------------------------------------

    def _between(self, service: str, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
        """Send one request of a function to AWS, with faults."""
        invocation, faults = self.functions.current(), self.faults
        if invocation is None:
            return ask()
        self.before_request(service, operation, body)
        who = invocation.function.name.removeprefix("redial-")
        self.requests[f"{who} {service} {operation}"] += 1
        if invocation.gone is None and self.requests.total() > self.most_requests:
            if self.requests.total() == self.most_requests + 1:
                self.violate(
                    "it converges", f"more than {self.most_requests} requests, the last {who} {service} {operation}"
                )
            invocation.gone = Killed("there were too many requests")
        if invocation.gone is not None:
            raise invocation.gone
        self.trace(f"{who} {service} {operation}", timeline=False)
        injected = _trouble(faults)
        try:
            self._maybe_kill(invocation, f"before {service} {operation}")
            return self._through_faults(invocation, service, operation, body, ask)
        finally:
            if _trouble(faults) > injected or invocation.gone is not None:
                self._in_trouble.add(invocation.request_id)

    def _through_faults(
        self, invocation: Invocation, service: str, operation: str, body: bytes, ask: Callable[[], Answer]
    ) -> Answer:
        faults, who = self.faults, invocation.function.name.removeprefix("redial-")
        if faults.strikes("aws slow"):
            self.functions.sleep(faults.between(0.02, 4.0 if faults.one_in(4) else 0.6))
        if faults.strikes("function stalled"):
            self.trace(f"{who} stalls at {service} {operation}")
            self.functions.sleep(invocation.function.timeout_seconds + 1)
        if faults.strikes("aws request lost"):
            raise EndpointConnectionError(endpoint_url=f"https://{service}")
        if faults.strikes("aws throttled"):
            return _refusal(service, throttled=True)
        if faults.strikes("aws error 500"):
            return _refusal(service, throttled=False)
        answer = self._asked_in_part(operation, body, ask)
        if operation == "Query" and b"IndexName" in body and faults.strikes("index stale"):
            answer = self._stale(body, answer)
        if operation in ("GetItem", "Query") and _may_lag(body) and faults.strikes("read stale"):
            answer = self._stale_read(body, answer)
        if faults.strikes("aws slow"):
            self.functions.sleep(faults.between(0.02, 0.6))
        self._maybe_kill(invocation, f"after {service} {operation}")
        if faults.strikes("aws answer lost"):
            raise ReadTimeoutError(endpoint_url=f"https://{service}")
        return answer

    def _asked_in_part(self, operation: str, body: bytes, ask: Callable[[], Answer]) -> Answer:
        """Send the request; DynamoDB may process a request for many items in part, and reports which are left."""
        faults = self.faults
        if operation == "BatchGetItem" and faults.strikes("batch get partial"):
            return _unprocessed(body, ask(), faults)
        if operation == "BatchExecuteStatement":
            if faults.strikes("batch statements partial"):
                return self._some_statements(body)
            if faults.strikes("batch statements partial, though they took effect"):
                answer = ask()
                said = json.loads(answer[2])
                said["Responses"] = [one if faults.one_in(2) else _THROTTLED for one in said["Responses"]]
                return answer[0], answer[1], json.dumps(said).encode()
        return ask()

    def _some_statements(self, body: bytes) -> Answer:
        """Execute some of the statements; the others are throttled."""
        asked = json.loads(body)
        done = [not self.faults.one_in(2) for _ in asked["Statements"]]
        some = [one for one, kept in zip(asked["Statements"], done, strict=True) if kept]
        answers: list[Any] = []
        if some:
            with self.aws.lock:
                answer = answer_dynamodb("BatchExecuteStatement", json.dumps({**asked, "Statements": some}).encode())
            assert answer is not None, "the emulated DynamoDB knows this operation"
            answers = json.loads(answer[2])["Responses"]
        remaining = iter(answers)
        said = {"Responses": [next(remaining) if kept else _THROTTLED for kept in done]}
        return 200, {"content-type": "application/x-amz-json-1.0"}, json.dumps(said).encode()

    def _maybe_kill(self, invocation: Invocation, where: str) -> None:
        if self.faults.strikes("function killed") or self.cuts_off(invocation, where):
            self.trace(f"{invocation.function.name.removeprefix('redial-')} killed {where}")
            invocation.gone = Killed(where)
            self._in_trouble.add(invocation.request_id)
            raise invocation.gone

    def _stale(self, body: bytes, answer: Answer) -> Answer:
        """The index as it was some seconds ago: without the newest writes, and with the entries that they removed.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.Writes
        """
        since = self.now - timedelta(seconds=self.faults.between(0.1, 5.0))
        asked = json.loads(body)
        index, values = asked["IndexName"], asked["ExpressionAttributeValues"]
        shard, key = _INDEXES[index]
        named = re.match(r"\w+ = (:\w+)", asked["KeyConditionExpression"])
        assert named is not None
        partition = values[named[1]]
        first = self._changed_since(since)
        said = json.loads(answer[2])
        names = (asked["ProjectionExpression"],) if "ProjectionExpression" in asked else ("pk", "sk", shard, key)
        if "pk" in names:
            items = [item for item in said["Items"] if (item["pk"]["S"], item["sk"]["S"]) not in first]
        else:  # the index key alone, which names the item
            changed = [
                after[key] for at, _, after in self._history if at > since and after is not None and key in after
            ]
            items = [item for item in said["Items"] if item[key] not in changed]
        for before in first.values():
            if before is None or before.get(shard) != partition or not _in_range(before, key, values):
                continue
            items.append({name: before[name] for name in names})
        items.sort(key=lambda item: _sortable(item[key]), reverse=asked.get("ScanIndexForward") is False)
        items = items[: asked.get("Limit")]
        said["Items"], said["Count"] = items, len(items)
        return answer[0], answer[1], json.dumps(said).encode()

    def _stale_read(self, body: bytes, answer: Answer) -> Answer:
        """A replica of the table as it was a moment ago: without the newest writes.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
        """
        asked = json.loads(body)
        first = self._changed_since(self.now - timedelta(seconds=self.faults.between(0.05, 2.0)))
        said = json.loads(answer[2])
        if "Key" in asked:
            key = (asked["Key"]["pk"]["S"], asked["Key"]["sk"]["S"])
            if key in first:
                said = {} if first[key] is None else {"Item": first[key]}
        else:
            values = {name: value.get("S", "") for name, value in asked["ExpressionAttributeValues"].items()}
            (partition,) = re.findall(r"\bpk = (:\w+)", asked["KeyConditionExpression"])
            items = [item for item in said["Items"] if (item["pk"]["S"], item["sk"]["S"]) not in first]
            items += [
                before
                for (pk, sk), before in first.items()
                if pk == values[partition] and before is not None
                if values.get(":low", "") <= sk <= values.get(":high", "~")
            ]
            items.sort(key=lambda item: str(item["sk"]["S"]), reverse=asked.get("ScanIndexForward") is False)
            said["Items"] = items[: asked.get("Limit")]
        return answer[0], answer[1], json.dumps(said).encode()

    def _changed_since(self, since: datetime) -> dict[tuple[str, str], dict[str, Any] | None]:
        """The items written since then, by key, as they were before."""
        first: dict[tuple[str, str], dict[str, Any] | None] = {}
        for at, before, after in self._history:
            one = before if before is not None else after
            if at > since and one is not None:
                first.setdefault((one["pk"]["S"], one["sk"]["S"]), before)
        return first

    # ---- Lambda and Scheduler -------------------------------------------------------------------------------------

    def _delays(self, function: Function, event: Any) -> tuple[float, ...]:
        """When an asynchronous invocation runs, or a message arrives, and how often.

        SQS loses no message; here it does, as if it had rejected it.
        """
        faults = self.faults
        if function.module == SWEEPER and "token" not in event:  # what the sweeper sends itself may be lost
            return (0.0, faults.between(0, 5)) if faults.strikes("two sweepers") else (0.0,)
        if faults.strikes("invocation lost"):
            self.trace(f"{function.name.removeprefix('redial-')} invocation lost {_subject(event)}")
            return ()
        late = 0.0
        if faults.strikes("invoked a day late"):
            late = faults.between(4 * HOUR, 24 * HOUR)
        elif faults.strikes("invoked hours late"):
            late = faults.between(HOUR, 4 * HOUR)
        elif faults.strikes("invoked late"):
            late = faults.between(1, 240)
        return (late, late + self._again()) if faults.strikes("invoked twice") else (late,)

    def _again(self) -> float:
        """Seconds until it arrives a second time: often 0, so that both run concurrently."""
        return 0.0 if self.faults.one_in(2) else self.faults.between(0, 90)

    def _firing(self, schedule: Schedule) -> tuple[float, ...]:
        """When a schedule fires, and how often. The service promises that none fires early."""
        faults = self.faults
        if faults.strikes("schedule never"):
            self.trace(f"schedule {_subject(schedule.definition['Name'])} will never fire")
            return ()
        late = faults.between(0, PRECISION_SECONDS) if faults.strikes("schedule up to 60 s late") else 0.0
        if faults.strikes("schedule early"):
            late = -faults.between(0, PRECISION_SECONDS)
        elif faults.strikes("schedule hours late"):
            late = faults.between(HOUR, 5 * HOUR)
        return (late, late + self._again()) if faults.strikes("schedule twice") else (late,)

    # ---- HTTP -----------------------------------------------------------------------------------------------------

    def _send(self, method: str, url: str, *, headers: Any, body: bytes = b"", **limits: Any) -> HttpResponse:
        """`Http.send`, to the carrier or endpoint at that address."""
        parts = urlsplit(url)
        sent = Request(method, parts.path, parts.query, list(headers.items()), body, "127.0.0.1", "HTTP/1.1")
        invocation = self.functions.current()
        watched = OutsideRequest("before", "http", f"{method} {url}", invocation)
        self.aws.notify(watched)
        if invocation is not None:
            self.before_request("http", f"{method} {parts.path}", body)
            self._maybe_kill(invocation, f"before {method} {parts.path}")
        send = self._ask_carrier if parts.port == PORTS["carrier"] else self._post_webhook
        answer = send(sent, limits)
        if invocation is not None:
            self._maybe_kill(invocation, f"after {method} {parts.path}")
        self.aws.notify(OutsideRequest("after", "http", watched.operation, invocation, answer.status))
        return HttpResponse(answer.status, {name.lower(): value for name, value in answer.headers}, answer.body)

    def _ask_carrier(self, sent: Request, limits: Any) -> Response:
        faults, read = self.faults, float(limits["read_timeout_seconds"])
        down = self.carrier_down is not None and self.carrier_down[0] <= self.now < self.carrier_down[1]
        if sent.method == "GET":
            if down or faults.strikes("carrier cannot be asked"):
                raise NotSent("connection refused")
            if faults.strikes("carrier 429"):
                return Response.of(429, {"code": 20429, "message": "Too Many Requests", "status": 429})
            if self._may_be_up(sent.path) and faults.strikes("carrier does not find a call"):
                return Response.of(404, {"code": 20404, "message": "Not found", "status": 404})
            return _answered(self.carrier.respond(sent))
        if _CALL_RESOURCE.search(sent.path):
            return self._cancel(sent, down, read)
        attempt = self._attempt_of(sent)
        answers = [] if attempt is None else self.seen.answers[attempt]
        try:
            answer = self._place(sent, down, read)
        except (NotSent, NoAnswer) as error:
            answers.append(type(error).__name__)
            raise
        answers.append(str(answer.status))
        return answer

    def _cancel(self, sent: Request, down: bool, read: float) -> Response:
        """A request to cancel a call, with the same faults as a request to place one."""
        self._on_the_way(down, read)
        self._slowly(read * 0.5)
        answer = self.carrier.respond(sent)
        self._slowly(read * 0.4)
        return self._on_the_way_back(answer, read)

    def _on_the_way(self, down: bool, read: float) -> None:
        """Faults before a request reaches the carrier."""
        if down or self.faults.strikes("carrier not reached"):
            raise NotSent("connection refused")
        if self.faults.strikes("carrier timeout before placing"):
            self.functions.sleep(read)
            raise NoAnswer("no answer in time")

    def _slowly(self, most: float) -> None:
        if self.faults.strikes("carrier slow"):
            self.functions.sleep(self.faults.between(0.1, most))

    def _on_the_way_back(self, answer: Response | None, read: float) -> Response:
        """Faults after the carrier has processed the request."""
        if self.faults.strikes("carrier timeout after placing"):
            self.functions.sleep(read)
            raise NoAnswer("no answer in time")
        if self.faults.strikes("carrier 5xx after placing"):
            return Response.of(502, {"message": "Bad Gateway"})
        return _answered(answer)

    def _may_be_up(self, path: str) -> bool:
        """Whether this is a question about a call placed within the last hour."""
        found = _CALL_RESOURCE.search(path)
        call = None if found is None else self.carrier.calls.get(found[1])
        return call is not None and self.now - call.placed_at < timedelta(hours=1)

    @staticmethod
    def _attempt_of(sent: Request) -> tuple[str, int] | None:
        """The attempt of a request to place a call; None for a check, which has no number and no attempt."""
        form = parse_qs(sent.body.decode())
        if "To" not in form:
            return None
        found = _CALLBACK.search(form["StatusCallback"][0])
        assert found is not None, "every call carries its attempt's callback URL"
        return found[1], int(found[2])

    def _place(self, sent: Request, down: bool, read: float) -> Response:
        faults = self.faults
        self._on_the_way(down, read)
        if faults.strikes("carrier 429"):
            return Response.of(429, {"code": 20429, "message": "Too Many Requests", "status": 429})
        if faults.strikes("carrier 5xx before placing"):
            return Response.of(503, {"message": "Service Unavailable"})
        if faults.strikes("carrier places late"):
            late = faults.between(read + 5, 600)
            self.clock.after(late, lambda: self._asked_to_place(sent), "late placing")
            self.functions.sleep(read)
            raise NoAnswer("no answer in time")
        self._slowly(read * 0.9)
        answer = self._asked_to_place(sent)
        self._slowly(read * 0.9)
        return self._on_the_way_back(answer, read)

    def _asked_to_place(self, sent: Request) -> Response | None:
        """The request reaches the carrier, which places the call or refuses."""
        form = parse_qs(sent.body.decode())
        for fault in self.account_faults:
            if self.faults.active and fault.refuses(form, self.now):
                self.faults.injected["fault of the account"] += 1
                attempt = self._attempt_of(sent)
                if attempt is not None:
                    self.seen.refused_by_fault.add(attempt)
                body = {"code": fault.code, "message": "refused", "status": fault.status}
                return Response.of(fault.status, body)
        answer = self.carrier.respond(sent)
        call = self.carrier.calls.newest()
        if call is not None and call is not self._newest:
            self._newest = call
            self._placed(call)
        return answer

    def _placed(self, call: Call) -> None:
        found = _CALLBACK.search(call.request.status_callback or "")
        assert found is not None, "every call carries its attempt's callback URL"
        execution_id, attempt = found[1], int(found[2])
        late = self.now - self.seen.claimed_at[execution_id, attempt] > LATEST_FOUND
        placed = Placed(execution_id, attempt, self.now, call, late)
        self.seen.placed[placed.execution_id, placed.attempt].append(placed)
        execution = self.seen.executions[placed.execution_id]
        self.seen.calls_of[execution.agent_id].append(call)
        if execution.key_pool is not None:
            self.seen.calls_of[execution.key_pool].append(call)
        self.trace(f"{_short(placed.execution_id)} #{placed.attempt} RINGS {call.request.to} ({call.outcome})")
        for check in self.on_placed:
            check(self, placed)

    def _post_webhook(self, sent: Request, limits: Any) -> Response:
        faults, name = self.faults, sent.path.strip("/")
        if name.startswith(("hook-", "scrub-")):
            return self._answer_question(name, sent, float(limits["total_timeout_seconds"]))
        start, end, how = self.outages.get(name, (START, START, ""))
        if start <= self.now < end:
            faults.injected["endpoint down"] += 1
            if how == "refused":
                raise NotSent("connection refused")
            if how == "hangs":
                self.functions.sleep(float(limits["total_timeout_seconds"]))
                raise NoAnswer("no answer in time")
            return self._received(name, sent, int(how))
        if (name, json.loads(sent.body)["status"]) in self.refused:
            return self._received(name, sent, 410)
        if faults.strikes("endpoint hangs"):
            self.functions.sleep(float(limits["total_timeout_seconds"]))
            raise NoAnswer("no answer in time")
        for kind, status in (("endpoint 500", 500), ("endpoint 410", 410), ("endpoint 429", 429)):
            if faults.strikes(kind):
                answer = self._received(name, sent, status)
                wait = [("retry-after", str(int(faults.between(1, 600))))] if status == 429 else []
                return Response(status, answer.body, [*answer.headers, *wait])
        if faults.strikes("endpoint slow"):
            self.functions.sleep(faults.between(0.5, float(limits["total_timeout_seconds"]) * 0.9))
        answer = self._received(name, sent, 200)
        if faults.strikes("endpoint took it without an answer"):
            raise NoAnswer("connection closed by the other side")
        return answer

    def _answer_question(self, name: str, sent: Request, seconds: float) -> Response:
        """A scrub or a pre-dial hook is asked. What it decides depends on the seed, the number and the time."""
        faults, (gate, index, agent_id) = self.faults, name.split("-", 2)
        headers = {key.lower(): value for key, value in sent.headers}
        if not verify(headers, sent.body, (self.accounts[int(index)].secret,), self.now):
            return Response.of(401, {})
        start, end, _ = self.outages.get(name, (START, START, ""))
        if start <= self.now < end:
            faults.injected["question endpoint down"] += 1
            raise NotSent("connection refused")
        if faults.strikes("question not answered"):
            self.functions.sleep(seconds)
            raise NoAnswer("no answer in time")
        if faults.strikes("question slow"):
            self.functions.sleep(faults.between(0.1, seconds * 0.9))
        if faults.strikes("question 500"):
            return Response.of(500, {})
        if faults.strikes("question answered with nonsense"):
            return Response(200, b'{"eligible": "yes", "allowed": 1}', [])
        asked = json.loads(sent.body)
        hours = int((self.now - START).total_seconds() // 1800)
        drawn = 0.5
        if agent_id in self.hooked | self.scrubbed:
            drawn = random.Random(
                f"{self.seed} {name} {asked.get('user_number', asked.get('phone_number'))} {hours}"
            ).random()
        if gate == "scrub":
            verdict = Verdict(
                self.now, drawn > 0.12, self.now + timedelta(seconds=-60 if drawn > 0.8 else 3600 * drawn)
            )
            self.seen.verdicts[agent_id, asked["phone_number"]].append(verdict)
            return Response.of(200, {"allowed": verdict.allowed, "expires_at": verdict.until.isoformat()})
        if drawn < 0.1:
            return Response.of(200, {"eligible": False, "reason": "paid meanwhile"})
        if drawn < 0.3:
            later = self.now + timedelta(seconds=drawn * 9000)
            return Response.of(200, {"eligible": False, "defer_until": later.isoformat()})
        self.seen.yes_of_hook[asked["id"], asked["attempt"]].append(self.now)
        return Response.of(200, {"eligible": True})

    def _received(self, name: str, sent: Request, status: int) -> Response:
        """The endpoint has received a whole webhook, and answers it."""
        account = self.accounts[int(name.partition("-")[0])]
        headers = {key.lower(): value for key, value in sent.headers}
        body = json.loads(sent.body)
        received = Received(
            name, self.now, body, sent.body, verify(headers, sent.body, (account.secret,), self.now), status < 300
        )
        subject_id = body["id"] if "id" in body else body["batch_id"]
        self.seen.received[subject_id].append(received)
        if received.taken:
            self.seen.settled_at = self.now
        if status == 410:  # it is given up, even if deliver is killed before it saves that
            self.seen.given_up[subject_id].add(body["sequence"])
        self.trace(f"{_short(subject_id)} told {body.get('sequence')} {body.get('status')} → {status}")
        return Response.of(status, {})

    def _post_callback(self, url: str, body: bytes, headers: dict[str, str], overrides: Overrides) -> Any:
        """Deliver the carrier's callback to the API, with faults."""
        faults = self.faults
        if faults.strikes("callback forged"):
            self._forge(url, body, headers)
        if faults.strikes("callback missing"):
            self.trace(f"callback lost: {_subject(url)} {_status(body)}")
            return Response.of(200, {})  # as far as the carrier knows

        def deliver() -> Response:
            answer = self.request("POST", urlsplit(url).path, body, headers)
            detected = _DETECTION.search(url)
            if answer.status < 300 and detected and b"AnsweredBy=machine" in body:
                self.seen.machines.setdefault((detected[1], int(detected[2])), self.now)
            return answer

        late = faults.between(1, HOUR / 2 if faults.one_in(5) else 120) if faults.strikes("callback late") else 0.0
        if faults.strikes("callback hours late"):
            late = faults.between(HOUR, 24 * HOUR)
        if faults.strikes("callback twice"):
            self.clock.after(late + 10 * self._again(), deliver, "callback again")
        if late:
            self.clock.after(late, deliver, "late callback")
            return Response.of(200, {})
        return deliver()

    def _forge(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        """A sender that knows the URL but not the token reports that the call was answered."""
        false = urlencode(
            {"CallSid": "CA" + "0" * 32, "CallStatus": "completed", "AccountSid": self.carrier.account_sid}
        )
        forgery = body + b"&CallDuration=99" if self.faults.one_in(2) else false.encode()
        answer = self.request("POST", urlsplit(url).path, forgery, headers)
        refused = answer.status >= 400
        self.judge("forged callbacks are refused", refused, f"{_subject(url)} was answered {answer.status}")

    def rotate_credentials(self) -> None:
        """The account's token changes at the carrier, and up to two minutes later in the secret."""
        self.faults.injected["credentials rotated"] += 1
        self._rotations += 1
        token = hashlib.sha256(f"{self.seed} token {self._rotations}".encode()).hexdigest()[:32]
        self.trace("the carrier's token is rotated")
        self.carrier.rotate(token)

        def put() -> None:
            secrets = self.aws.client("secretsmanager")
            secrets.put_secret_value(**self.carrier_secret("twilio"))

        self.clock.after(self.faults.between(0, 120), put, "the secret is rotated")

    # ---- clients --------------------------------------------------------------------------------------------------

    def request(self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Response:
        """Send one HTTP request to the API, from outside."""
        parts = urlsplit(target)
        sent = {"host": f"127.0.0.1:{PORTS['API']}", **(headers or {})}
        request = Request(method, parts.path, parts.query, list(sent.items()), body, "203.0.113.7", "HTTP/1.1")
        return _answered(self.api.respond(request))

    def ask_as(
        self, account: Account, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request of a customer. A body that is not bytes is sent as JSON."""
        self._numbered += 1
        sent = {"Authorization": f"Bearer {account.key}", "X-Number": str(self._numbered), **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        answer = self.request(method, target, body or b"", sent)
        self.trace(f"{account.id} {method} {_shortened(target)} → {answer.status}")
        if answer.status != 500 or sent["X-Number"] not in self.excused:
            self.judge(
                "no server error without a fault",
                answer.status != 500,
                f"{method} {target}: {answer.body[:200]!r}",
            )
        return answer

    def run(self, seconds: float) -> None:
        """Let simulated time pass."""
        self.clock.advance(seconds / 60)


def _typed(value: dict[str, Any]) -> dict[str, Any]:
    """moto keeps binary values in Base64, as they are sent."""
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def _answered(response: Response | None) -> Response:
    """Raises `NoAnswer` if the other side closed the connection."""
    if response is None:
        raise NoAnswer("connection closed by the other side")
    return response


def _trouble(faults: Faults) -> int:
    """The number of failures so far; slow requests do not count."""
    return sum(map(faults.injected.__getitem__, _TROUBLES))


_TROUBLES = [kind for kind in KINDS if kind.startswith(("aws", "function")) and kind != "aws slow"]


_THROTTLED = {"Error": {"Code": "ThrottlingError", "Message": "Rate exceeded"}}


def _unprocessed(body: bytes, answer: Answer, faults: Faults) -> Answer:
    """An answer of BatchGetItem with some keys unprocessed."""
    (table, asked), *_ = json.loads(body)["RequestItems"].items()
    left = [one for one in asked["Keys"] if faults.one_in(2)]
    if not left:
        return answer
    said = json.loads(answer[2])
    keys = [{name: item[name] for name in ("pk", "sk")} for item in said["Responses"][table]]
    kept = [item for item, key in zip(said["Responses"][table], keys, strict=True) if key not in left]
    said["Responses"][table] = kept
    said["UnprocessedKeys"] = {table: {**asked, "Keys": left}}
    return answer[0], answer[1], json.dumps(said).encode()


def _refusal(service: str, *, throttled: bool) -> Answer:
    """A service's answer that it throttles, or that it failed."""
    if not throttled:
        return 500, {"x-amzn-ErrorType": "InternalServerError"}, b'{"__type": "InternalServerError", "message": "!"}'
    code = {
        "dynamodb": "ProvisionedThroughputExceededException",
        "lambda": "TooManyRequestsException",
        "s3": "SlowDown",
    }.get(service, "ThrottlingException")
    if service == "s3":
        return 503, {}, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    status = 400 if service in ("dynamodb", "secrets-manager") else 429
    return status, {"x-amzn-ErrorType": code}, json.dumps({"__type": code, "message": "Rate exceeded"}).encode()


_INDEXES = {
    "due": ("due_shard", "due_at"),
    "listing": ("listing_shard", "listing_key"),
    "undelivered": ("undelivered_of", "ca"),
    "called": ("nu", "ca"),
}
"""The keys of the table's indexes."""


def _may_lag(body: bytes) -> bool:
    """Whether this reads the table, not an index, and is eventually consistent."""
    return b'"IndexName": ' not in body and b'"ConsistentRead": true' not in body


def _in_range(item: dict[str, Any], key: str, values: dict[str, Any]) -> bool:
    if key not in item:
        return False
    value = _sortable(item[key])
    lows = [_sortable(values[name]) for name in (":low",) if name in values]
    highs = [_sortable(values[name]) for name in (":high", ":now", ":until") if name in values]
    if ":open" in values:  # begins with it
        return bool(value.startswith(_sortable(values[":open"])))
    assert lows or highs or list(values) == [":shard"], f"unknown bounds of an index: {sorted(values)}"
    return all(value >= low for low in lows) and all(value <= high for high in highs)


def _sortable(value: dict[str, str]) -> Any:
    return int(value["N"]) if "N" in value else value["S"]


def _clock(span: timedelta) -> str:
    """A span since the start, as days and time of day."""
    seconds = span.total_seconds()
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(int(minutes), 60)
    return f"{hours // 24}d{hours % 24:02d}:{minute:02d}:{second:06.3f}"


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def _short(identifier: str) -> str:
    return identifier[:8]


def _shortened(text: str) -> str:
    return _ID.sub(lambda found: found[0][:8], text)


def _subject(of: Any) -> str:
    """The shortened ids in an event, a URL or a schedule's name."""
    text = of if isinstance(of, str) else json.dumps(of)
    return " ".join(_short(one) for one in dict.fromkeys(_ID.findall(text)))


def _status(body: bytes) -> str:
    found = re.search(rb"CallStatus=([a-z-]+)", body)
    return found[1].decode() if found else "detection"
