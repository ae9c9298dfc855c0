"""Every order of the requests of two (or three) shipped functions that run concurrently.

A scenario prepares the world: it holds some invocations back and lets everything else finish. Then its actors run,
each in a thread of its own, and stop before each request, to AWS or over HTTP. `orders.every_order` picks the actor
that continues, so that every order runs, except orders that differ only in requests that commute. After the actors,
simulated time passes until the system is quiet, and every invariant is checked.

Which requests commute: each request is a set of reads and writes. A read or write of the table names its item by key.
A query reads a partition of the table, or of an index, as a whole; a write in that partition conflicts with it. The
scheduler, the objects and the carrier are one resource each; so are each endpoint, and the invocations for one
execution or batch. Two requests conflict if one writes what the other reads, writes or queries. A write whose
condition fails still counts as a write. Two requests that do not conflict give the same answers and leave the same
state in both orders; this is all that `orders` assumes.

Assumptions. The seeds (campaign.py) and crash_points.py cover what these leave out:

- A request takes effect once and is answered. No function is killed.
- Each actor has an environment of its own with empty caches, as after a cold start, so actors meet only in requests.
  Only the carrier's credentials are cached.
- Asynchronous invocations, schedules and stream records that the actors cause run after all actors are done.
- The clock advances one millisecond at each request. No actor may depend on so short a time.
- Reads are consistent. One scenario has an index that lags.
"""

import gc
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby, pairwise
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from functions.batch import handler as batch_handler
from functions.carrier_callback import handler as callback_handler
from functions.deliver import handler as deliver_handler
from functions.dial import handler as dial_handler
from functions.sweep import handler as sweep_handler
from local.aws.dynamodb import changes_of, inserted
from local.aws.functions import Function, FunctionFailed
from local.clock import Event
from local.stack import CARRIER_SECRETS
from local.web.server import Response
from redial.adapters.dynamodb.numbers import DynamoNumbers
from redial.api import answers
from redial.carriers.secrets import CarrierSecrets
from redial.carriers.twilio.credentials import credentials_of
from redial.domain.called_number import CalledNumber
from redial.domain.execution import Execution
from redial.runtime import system
from redial.runtime.services import Services, services_of
from redial.usecases import one_call
from redial.usecases.dial_attempt import Dial
from redial.usecases.number_rules import LAST_DIALS
from redial.wire.stored_execution import DUE_SHARDS, WATCHED, due_shard
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END, ZONES
from tests.simulation.orders import Keys, Order, Step, every_order, possible
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import PORTS, START, AskedToStop, Limited, Stopped, Suppressed, Violation, World
from tests.support.forms import CONTENT_TYPE, multipart

RUNS_OF_A_WORLD = 40
"""Runs in one world: a new world costs as much as four runs, but its final checks grow with each run."""
LONGEST = timedelta(hours=40)
STEP_SECONDS = 600.0
A_MOMENT = 0.001
HOUR = 3600.0
INDEX_BEHIND_SECONDS = 5.0
CALLED = "+12025550142"


USERS_OF_SERVICES = (
    answers,
    batch_handler,
    callback_handler,
    deliver_handler,
    dial_handler,
    sweep_handler,
)
"""The modules that ask for their function's container; each actor builds its own."""


class LaggingIndexes(Faults):
    """Injects no fault, but while `behind`, indexes lag by some seconds."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, {"index stale": 1.0})
        self.active, self.behind = True, False

    def strikes(self, kind: str) -> bool:
        return kind == "index stale" and self.behind

    def between(self, low: float, high: float) -> float:
        return INDEX_BEHIND_SECONDS


# ---- requests as steps ------------------------------------------------------------------------------------------


def step_of(world: World, service: str, operation: str, body: bytes) -> Step:
    """The reads and writes of a request. Raises `KeyError` for a request that is not modelled here."""
    match service:
        case "dynamodb":
            return _of_table(world, operation, json.loads(body))
        case "http":
            return _of_http(operation)
        case "lambda":
            sent = json.loads(body)
            kind = "execution" if "execution_id" in sent else "batch"
            return Step(f"invoke for {kind}", writes=frozenset({("invoke", sent[f"{kind}_id"])}))
        case "sqs":
            sent = json.loads(json.loads(body)["MessageBody"])
            kind = "execution" if "execution_id" in sent else "batch"
            return Step(f"send for {kind}", writes=frozenset({("invoke", sent[f"{kind}_id"])}))
        case "scheduler":
            return Step(operation, writes=frozenset({"scheduler"}))
        case "s3":
            objects: Keys = frozenset({"objects"})
            reads = operation.startswith(("Get", "Head", "List"))
            return Step(operation, reads=objects) if reads else Step(operation, writes=objects)
    raise KeyError(f"{service} {operation}")


def _of_http(operation: str) -> Step:
    method, _, path = operation.partition(" ")
    if "/Accounts/" not in path:
        return Step(f"{method} webhook", writes=frozenset({("endpoint", path)}))
    if method == "GET":
        return Step("GET carrier", reads=frozenset({"carrier"}))
    return Step(f"{method} carrier", writes=frozenset({"carrier"}), changes=frozenset({"calls"}))


def _of_table(world: World, operation: str, asked: dict[str, Any]) -> Step:
    match operation:
        case "GetItem":
            key = _key(asked["Key"])
            return Step(f"get {_kind(*key)}", reads=frozenset({key}))
        case "BatchGetItem":
            keys = [_key(one) for table in asked["RequestItems"].values() for one in table["Keys"]]
            return Step(f"get {' '.join(sorted({_kind(*key) for key in keys}))}", reads=frozenset(keys))
        case "Query":
            values = asked["ExpressionAttributeValues"]
            partition = re.match(r"\w+ = (:\w+)", asked.get("KeyConditionExpression", ""))
            pk = values[":pk" if partition is None else partition[1]]["S"]
            if "IndexName" in asked:
                return Step(f"query {asked['IndexName']}", queries=frozenset({(asked["IndexName"], pk)}))
            return Step(f"query {_kind(pk, '')}", queries=frozenset({("partition", pk)}))
        case "PutItem":
            return _write(world, "put", _key(asked["Item"]), asked["Item"])
        case "UpdateItem":
            return _write(world, "update", _key(asked["Key"]), {})
        case "DeleteItem":
            return _write(world, "delete", _key(asked["Key"]), {})
        case "BatchWriteItem":
            puts = [one["PutRequest"]["Item"] for table in asked["RequestItems"].values() for one in table]
            return _together("put all", [_write(world, "put", _key(item), item) for item in puts])
        case "BatchExecuteStatement":
            items = [inserted(one)[1] for one in asked["Statements"]]
            return _together("insert", [_write(world, "insert", _key(item), item) for item in items])
    raise KeyError(f"dynamodb {operation}")


def _together(name: str, writes: list[Step]) -> Step:
    return Step(
        name,
        writes=frozenset().union(*(one.writes for one in writes)),
        changes=frozenset().union(*(one.changes for one in writes)),
    )


def _write(world: World, verb: str, key: tuple[str, str], item: dict[str, Any]) -> Step:
    pk, _ = key
    kind, _, rest = pk.partition("#")
    changes: set[Any] = {("partition", pk)}
    if kind == "L":
        changes.add(("due", WATCHED))
    if kind in ("X", "B", "S"):
        stored = _stored(world, key)
        changes |= {("listing", one["listing_shard"]["S"]) for one in (item, stored) if "listing_shard" in one}
        if "nu" in item and not stored:
            changes.add(("called", item["nu"]["S"]))
    if kind in ("X", "B"):
        changes.add(("due", due_shard(rest)))
    if kind == "X":
        changes.add("executions")
    return Step(f"{verb} {_kind(*key)}", writes=frozenset({key}), changes=frozenset(changes))


def _stored(world: World, key: tuple[str, str]) -> dict[str, Any]:
    found = changes_of(world.environment["TABLE_NAME"]).images.get(key)
    return {} if found is None else found.plain


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _kind(pk: str, sk: str) -> str:
    """The kind of an item, without ids: names of steps are compared between runs."""
    kind = pk.partition("#")[0]
    return f"{kind}/{sk.partition('#')[0]}" if kind == "A" else kind


ANSWER = Step("answer", queries=frozenset({"executions", "calls"}))
"""A client receives its answer. It matters whether a claim or a call comes before or after it."""


# ---- actors -----------------------------------------------------------------------------------------------------


class Actor(threading.Thread):
    """A function that runs concurrently with others. `begin` is its first step, possible once `ready` is true."""

    def __init__(
        self,
        name: str,
        act: Callable[["Actor"], object],
        begin: Step | None = None,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.act, self.ready = act, ready
        self.next: Step | None = begin or Step(f"begin {name}")
        self.error: BaseException | None = None
        self.remembered: dict[str, Any] = {}
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        self._go.acquire()
        try:
            self.act(self)
        except BaseException as error:  # noqa: BLE001  the thread of the scenario raises it
            self.error = error
        self.next = None
        self._stopped.release()

    def pause(self, step: Step) -> None:
        """Wait, in this actor's thread, for its turn to take this step."""
        self.next = step
        self._stopped.release()
        self._go.acquire()

    def take(self) -> None:
        """Let the actor take its next step and run up to the one after it."""
        self._go.release()
        self._stopped.acquire()


def one_after_the_other(name: str, *actors: Actor) -> Actor:
    """Return one actor that runs these, one after the other."""

    def act(actor: Actor) -> None:
        for one in actors:
            one.act(actor)

    return Actor(name, act)


@contextmanager
def _at_once(world: World, actors: list[Actor]) -> Iterator[None]:
    """Have the actors stop before each request, each in its own environment."""

    def stop(service: str, operation: str, body: bytes) -> None:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            actor.pause(step_of(world, service, operation, body))

    build: Callable[[str], Services] = services_of.__wrapped__

    def own_services(function: str) -> Services:
        """The current actor's own container of that function."""
        actor = threading.current_thread()
        assert isinstance(actor, Actor)
        if function not in actor.remembered:
            actor.remembered[function] = build(function)
        found: Services = actor.remembered[function]
        return found

    def no_sleep(seconds: float) -> None:
        raise AssertionError(f"{threading.current_thread().name} waits for {seconds} s: time stands still here")

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(world, "before_request", stop))
        for module in USERS_OF_SERVICES:
            stack.enter_context(mock.patch.object(module, "services_of", own_services))
        stack.enter_context(mock.patch.object(world.clock, "sleep", no_sleep))
        for actor in actors:
            actor.start()
        yield


def play(world: World, actors: list[Actor], order: Order) -> None:
    """Run the actors in that order. Raises the error of an actor that failed."""
    with _at_once(world, actors):
        while waiting := {
            number: actor.next for number, actor in enumerate(actors) if actor.next is not None and actor.ready()
        }:
            world.clock.pass_over(A_MOMENT)
            actors[order.choose(waiting)].take()
    for actor in actors:
        if actor.error is not None:
            raise actor.error


# ---- stages -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """An invocation that was requested but has not run."""

    function: str
    event: Any


class Stage(Story):
    """A scenario that can hold invocations and callbacks back, to run them as actors."""

    def __init__(self, world: World, number: int, lines: int = 1, **config: Any) -> None:
        self._holds: set[str] = set()
        self._held: list[Held] = []
        self._mute = False
        self.posted: dict[str, tuple[Any, Any]] = {}
        self.resumed: set[str] = set()
        self.callbacks: list[tuple[str, bytes, dict[str, str]]] = []
        self._usual_delays, self._usual_post = world.functions.delays, world.carrier.calls.post
        super().__init__(world, number, lines, **config)
        world.functions.delays, world.carrier.calls.post = self._delays, self._post

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        answer = super().ask(method, path, body, headers)
        if (method, path) == ("POST", "/batches"):
            self.posted[str(answer["batch_id"])] = body, headers
        return answer

    def _delays(self, function: Function, event: Any) -> tuple[float, ...]:
        if (name := function.name.rpartition("-")[2]) in self._holds:
            self._held.append(Held(name, event))
            return ()
        return self._usual_delays(function, event)

    def _post(self, url: str, body: bytes, headers: dict[str, str], overrides: Any) -> Any:
        self.callbacks.append((urlsplit(url).path, body, headers))
        return Response.of(200, {}) if self._mute else self._usual_post(url, body, headers, overrides)

    def end(self) -> None:
        """Stop holding anything back. Held invocations that did not run are lost."""
        self.world.functions.delays, self.world.carrier.calls.post = self._usual_delays, self._usual_post

    def hold(self, *functions: str) -> None:
        """Hold back invocations of these functions from now on."""
        self._holds.update(functions)

    def hold_only(self, function: str | None) -> None:
        """From now on hold back this function only, and let callbacks arrive."""
        self._holds &= {function}
        self._mute = False

    def held(self, function: str) -> Held:
        """Take the oldest held invocation of that function."""
        found = next(one for one in self._held if one.function == function)
        self._held.remove(found)
        return found

    def has_held(self, function: str) -> bool:
        return any(one.function == function for one in self._held)

    def lose_callbacks(self) -> None:
        """Drop callbacks from now on."""
        self._mute = True

    def invoke(self, held: Held) -> None:
        """Run the held invocation to its end."""
        self.world.functions.invoke(f"redial-local-{held.function}", held.event)

    def held_call(self, *outcomes: Any, **fields: Any) -> tuple[str, Held]:
        """Request a call; return its id and its held dial."""
        self.hold("dial")
        execution_id = self.call(*outcomes, **fields)
        return execution_id, self.held("dial")

    def held_contact(self, rows: int = 1, *fields: tuple[str, str]) -> tuple[str, Held]:
        """Start a batch; return its id and the held dial of its first contact, which owns a line."""
        self.hold("dial")
        batch_id = self.batch([self.number("completed") for _ in range(rows)], *fields)
        self.wait(1)
        return batch_id, self.held("dial")

    def waiting_call(self) -> str:
        """Create a call that waits for a line; return its id."""
        execution_id, dial = self.held_call("completed")
        self.invoke(dial)
        return execution_id

    def live_call(self, **fields: Any) -> str:
        """Place a call and return its id while the phone rings."""
        execution_id = self.call("completed", **fields)
        self.wait(5)
        return execution_id

    def step(self, execution_id: str, status: str) -> Event:
        """The event that changes its first call at the carrier to that status and posts the callback."""
        call = self.world.seen.placed[execution_id, 1][0].call
        return next(step for step in call.steps if step.name.endswith(f" {status}"))

    def until_due(self, execution_id: str) -> None:
        """Let time pass until the call is overdue."""
        due = self.world.seen.executions[execution_id].due_at
        assert due is not None
        self.wait((due - self.world.now).total_seconds() + 1)

    def configure(self, **config: Any) -> None:
        """Change the agent."""
        self.ask("PATCH", f"/v2/agent/{self.agent_id}", {"agent_config": config})

    def close_hours(self, to: str) -> float:
        """Close the number's calling hours until its next whole hour; return the seconds until then."""
        local = self.world.now.astimezone(ZoneInfo(ZONES[to[2:5]]))
        hours = {"call_start_hour": (local.hour + 1) % 24, "call_end_hour": (local.hour + 3) % 24}
        self.configure(calling_guardrails=hours)
        return HOUR - local.minute * 60 - local.second - local.microsecond / 1_000_000

    # ---- actors -----------------------------------------------------------------------------------------------------

    def runs(self, held: Held, name: str = "") -> Actor:
        return Actor(name or held.function, lambda actor: self.invoke(held))

    def sweeps(self) -> Actor:
        """The sweeper's next run."""
        while not self.has_held("sweep"):
            self.wait(5)
        return self.runs(self.held("sweep"))

    def reports(self, execution_id: str, status: str) -> Actor:
        """Once the call is placed, it changes to that status and its callback arrives."""

        def report(actor: Actor) -> None:
            self.step(execution_id, status).action()

        changes = Step(f"call {status}", writes=frozenset({"carrier"}), changes=frozenset({"calls"}))
        placed = self.world.seen.placed
        return Actor("callback", report, changes, lambda: bool(placed.get((execution_id, 1))))

    def repeats_callback(self, number: int) -> Actor:
        path, body, headers = self.callbacks[number]
        return Actor("callback again", lambda actor: self.world.request("POST", path, body, headers))

    def asks(
        self, name: str, method: str, path: str, covers: Callable[[Execution], bool] | None = None, **more: Any
    ) -> Actor:
        """A client's request. `covers` selects the executions that it stops if it succeeds."""

        def ask(actor: Actor) -> None:
            answer = self.world.ask_as(self.account, method, path, **more)
            actor.pause(ANSWER)
            if covers is not None and answer.status < 300:
                stopped = Stopped(self.world.now, lambda execution, at: covers(execution), name, self.world.now)
                self.world.stopped(stopped)

        return Actor(name, ask)

    def suppresses(self, number: str) -> Actor:
        """A client adds a suppression; after its answer no attempt to the number may be claimed."""

        def suppress(actor: Actor) -> None:
            answer = self.world.ask_as(self.account, "POST", "/suppressions", {"phone_number": number})
            actor.pause(ANSWER)
            assert answer.status == 200, answer
            self.world.suppressed(Suppressed(self.world.now, self.account.id, number))

        return Actor("suppress", suppress)

    def be_alone(self) -> None:
        """Delete the account's other agents, since a suppression reads the lines of each."""
        for agent in self.ask("GET", "/v2/agent/all"):
            if agent["agent_id"] != self.agent_id:
                self.ask("DELETE", f"/v2/agent/{agent['agent_id']}")
        self.wait(LAST_DIALS.total_seconds() + 60)

    def forget_rules(self) -> None:
        """Reset the account, as if it never had a suppression or a consent."""
        client, table = self.world.aws.client("dynamodb"), self.world.environment["TABLE_NAME"]
        account = {"pk": {"S": f"A#{self.account.id}"}}
        client.delete_item(TableName=table, Key={**account, "sk": {"S": "HASH"}})
        agent = {**account, "sk": {"S": f"AGENT#{self.agent_id}"}}
        client.update_item(TableName=table, Key=agent, UpdateExpression="REMOVE nr")

    def stops(self, what: str, path: str, attribute: str, value: str, method: str = "POST") -> Actor:
        asked = {"id": "execution_id", "agent_id": "agent_id"}.get(attribute)
        if asked is not None:
            until = self.world.now + timedelta(days=1)  # whenever the actor reaches it
            self.world.seen.stops_asked.append(AskedToStop(until, **{asked: value}))
        return self.asks(what, method, path, lambda execution: getattr(execution, attribute) == value)


@dataclass(frozen=True)
class Plan:
    """The actors, and what a client does after them.

    `holds` names a function whose invocations an actor runs itself. All other invocations run after the actors.
    `setting` is entered while the actors run.
    """

    actors: list[Actor]
    after: Callable[[], object] = lambda: None
    index_behind: bool = False
    holds: str | None = None
    setting: AbstractContextManager[Any] = field(default_factory=nullcontext)


Pair = Callable[[Stage], Plan]


def dial_dial(stage: Stage) -> Plan:
    """One invocation, delivered twice."""
    _, dial = stage.held_call("completed")
    return Plan([stage.runs(dial), stage.runs(dial, "dial again")])


def dial_dial_one_line(stage: Stage) -> Plan:
    """Two calls, one line."""
    _, one = stage.held_call("completed")
    _, other = stage.held_call("completed")
    return Plan([stage.runs(one), stage.runs(other, "other dial")])


def dial_dial_contact(stage: Stage) -> Plan:
    """The dial of a contact that owns the only line, delivered twice, while another call waits."""
    _, dial = stage.held_contact()
    stage.waiting_call()
    return Plan([stage.runs(dial), stage.runs(dial, "dial again")])


def dial_stop_call(stage: Stage) -> Plan:
    execution_id, dial = stage.held_call("completed")
    return Plan([stage.runs(dial), stage.stops("stop", f"/call/{execution_id}/stop", "id", execution_id)])


def dial_stop_agent(stage: Stage) -> Plan:
    _, dial = stage.held_call("completed")
    return Plan([stage.runs(dial), _stop_agent(stage)])


def dial_stop_agent_lagging(stage: Stage) -> Plan:
    """The listing does not show the call yet."""
    _, dial = stage.held_call("completed")
    return Plan([stage.runs(dial), _stop_agent(stage)], index_behind=True)


def _stop_agent(stage: Stage) -> Actor:
    return stage.stops("stop agent", f"/v2/agent/{stage.agent_id}/stop", "agent_id", stage.agent_id)


def dial_suppress_first(stage: Stage) -> Plan:
    """The account's first suppression marks the agent while its call is dialled."""
    stage.be_alone()
    stage.forget_rules()
    return _dial_suppress(stage)


def dial_suppress(stage: Stage) -> Plan:
    """The index does not show the call yet."""
    stage.be_alone()
    stage.ask("POST", "/suppressions", {"phone_number": stage.number("completed")})
    return replace(_dial_suppress(stage), index_behind=True)


def _dial_suppress(stage: Stage) -> Plan:
    to = stage.number("completed")
    _, dial = stage.held_call(recipient_phone_number=to)
    return Plan([stage.runs(dial), stage.suppresses(to)])


def _asks_hook(stage: Stage) -> None:
    """The agent has a pre-dial hook and a scrub, which allow everything."""
    name = f"{stage.world.accounts.index(stage.account)}-{stage.agent_id}"
    inbox = f"http://127.0.0.1:{PORTS['inbox']}"
    stage.configure(pre_dial_hook={"url": f"{inbox}/hook-{name}"}, scrub={"url": f"{inbox}/scrub-{name}"})


def dial_hook_suppress(stage: Stage) -> Plan:
    """The number is suppressed while dial also asks the agent's endpoints."""
    _asks_hook(stage)
    return dial_suppress(stage)


def dial_hook_stop(stage: Stage) -> Plan:
    _asks_hook(stage)
    return dial_stop_call(stage)


def dial_suppress_contact(stage: Stage) -> Plan:
    """The contact owns the only line; another call waits."""
    stage.be_alone()
    stage.ask("POST", "/suppressions", {"phone_number": stage.number("completed")})
    _, dial = stage.held_contact()
    (contact,) = (one for one in stage.world.seen.executions.values() if one.agent_id == stage.agent_id)
    stage.waiting_call()
    return Plan([stage.runs(dial), stage.suppresses(contact.user_number)])


def create_suppress(stage: Stage) -> Plan:
    """A call is created and dialled while its number is suppressed."""
    stage.be_alone()
    stage.ask("POST", "/suppressions", {"phone_number": stage.number("completed")})
    to = stage.number("completed")
    stage.hold("dial")
    body = {"agent_id": stage.agent_id, "recipient_phone_number": to}

    def create_and_dial(actor: Actor) -> None:
        assert stage.world.ask_as(stage.account, "POST", "/call", body).status == 200
        stage.invoke(stage.held("dial"))

    return Plan([Actor("create, then dial", create_and_dial), stage.suppresses(to)], holds="dial")


def dial_stop_batch(stage: Stage) -> Plan:
    """The contact owns the only line; a second contact waits."""
    batch_id, dial = stage.held_contact(rows=2)
    return Plan([stage.runs(dial), _stop_batch(stage, batch_id)])


def _stop_batch(stage: Stage, batch_id: str) -> Actor:
    return stage.stops("stop batch", f"/batches/{batch_id}/stop", "batch_id", batch_id)


def _of_one_number(stage: Stage, *batches: bool, **more: Any) -> list[Held]:
    """The held dials of calls to one number, each by an agent of its own: a batch's contact (True) or a single call."""
    to = stage.number(*["completed"] * 3)
    dials = []
    stage.hold("dial")
    for in_batch in batches:
        config = {"agent_config": Story._config(1) | more}
        agent_id = str(stage.ask("POST", "/v2/agent", config)["agent_id"])
        if in_batch:
            form = multipart([("agent_id", agent_id), ("start", "now")], f"contact_number\n{to}")
            assert stage.ask("POST", "/batches", form, {"Content-Type": CONTENT_TYPE}) is not None
            stage.wait(1)
        else:
            assert stage.ask("POST", "/call", {"agent_id": agent_id, "recipient_phone_number": to}) is not None
        dials.append(stage.held("dial"))
    return dials


def dial_dial_number(stage: Stage) -> Plan:
    """Contacts of two batches with one number."""
    one, other = _of_one_number(stage, True, True)
    return Plan([stage.runs(one), stage.runs(other, "other dial")])


def dial_dial_number_no_grace(stage: Stage) -> Plan:
    """Each dial takes the number over from the other, which has reserved it but not claimed yet."""
    one, other = _of_one_number(stage, False, False)
    return Plan([stage.runs(one), stage.runs(other, "other dial")], setting=_no_grace())


def dial_dial_cut_off(stage: Stage) -> Plan:
    """The first dial was cut off long ago, after its reservation, and is delivered again."""
    one, other = _of_one_number(stage, False, False)
    _cut_off(stage, one)
    return Plan([stage.runs(one, "dial again"), stage.runs(other, "other dial")], setting=_no_grace())


def dial_ends_number(stage: Stage) -> Plan:
    """A call ends while another to its number is dialled."""
    one, other = _of_one_number(stage, False, False)
    stage.invoke(one)
    stage.hold_only(None)
    stage.wait(5)
    return Plan([stage.runs(other), stage.reports(one.event["execution_id"], "completed")])


def dial_dial_cap(stage: Stage) -> Plan:
    """The cap allows one more attempt, and the number is free."""
    limits = {"caps": [{"attempts": 1, "hours": 1}]}
    one, other = _of_one_number(stage, False, False, contact_limits=limits)
    for dial in (one, other):
        agent_id = stage.world.seen.executions[dial.event["execution_id"]].agent_id
        stage.world.seen.contact_limits.append(Limited(START, stage.account.id, agent_id, limits))
    return Plan([stage.runs(one), stage.runs(other, "other dial")])


def dial_dial_dial_number(stage: Stage) -> Plan:
    """Contacts of two batches and a single call; one was cut off after its reservation."""
    one, other, third = _of_one_number(stage, True, False, True)
    _cut_off(stage, third)
    actors = [stage.runs(one), stage.runs(other, "other dial"), stage.runs(third, "dial again")]
    return Plan(actors, setting=_no_grace())


def _cut_off(stage: Stage, dial: Held) -> None:
    """Cut the dial off between its reservation and its claim."""
    with mock.patch.object(Dial, "_claimed", side_effect=InterruptedError), suppress(FunctionFailed):
        stage.invoke(dial)
    stage.world.functions.failures.clear()


def _no_grace() -> AbstractContextManager[Any]:
    """Withdraw each reservation as soon as it is found."""
    return mock.patch.object(one_call, "CLAIM_GRACE", timedelta(0))


def dial_callback(stage: Stage) -> Plan:
    """The call ends before dial has recorded it."""
    execution_id, dial = stage.held_call("busy", "completed")
    return Plan([stage.runs(dial), stage.reports(execution_id, "busy")])


def dial_callback_again(stage: Stage) -> Plan:
    """The retry is dialled while the callback that ended the first attempt arrives again."""
    execution_id, dial = stage.held_call("busy", "completed")
    stage.invoke(dial)
    stage.wait(150)
    assert stage.world.seen.executions[execution_id].state.attempt.number == 2
    return Plan([stage.runs(stage.held("dial")), stage.repeats_callback(-1)])


def dial_sweep(stage: Stage) -> Plan:
    """A dial so late that its execution is overdue."""
    execution_id, dial = stage.held_call("completed")
    stage.hold("sweep")
    stage.until_due(execution_id)
    return Plan([stage.runs(dial), stage.sweeps()])


def dial_sweep_line(stage: Stage) -> Plan:
    """A dial so late that the sweeper doubts its line."""
    _, dial = stage.held_contact()
    stage.hold("sweep")
    stage.wait(11 * 60)
    return Plan([stage.runs(dial), stage.sweeps()])


def callback_sweep(stage: Stage) -> Plan:
    """A late callback arrives while the sweeper runs; another call waits for the line."""
    _silent_call(stage)
    return Plan([stage.repeats_callback(-1), stage.sweeps()])


def callback_question(stage: Stage) -> Plan:
    """A late callback arrives while the sweeper asks the carrier; another call waits for the line."""
    _silent_call(stage)
    asker = Held("sweep", {"questions": 0, "token": stage.agent_id, "hop": 1})
    return Plan([stage.repeats_callback(-1), stage.runs(asker, "asker")])


def _silent_call(stage: Stage) -> None:
    """Create a live call that is overdue because its callbacks were lost."""
    execution_id = stage.live_call()
    stage.waiting_call()
    stage.wait(10)
    stage.lose_callbacks()
    stage.hold("sweep")
    stage.until_due(execution_id)


def deliver_deliver(stage: Stage) -> Plan:
    """One invocation, delivered twice."""
    stage.hold("deliver")
    stage.live_call()
    deliver = stage.held("deliver")
    return Plan([stage.runs(deliver), stage.runs(deliver, "deliver again")])


def deliver_callback(stage: Stage) -> Plan:
    """A new event is added while one is delivered."""
    stage.hold("deliver")
    execution_id = stage.live_call()
    return Plan([stage.runs(stage.held("deliver")), stage.reports(execution_id, "in-progress")])


def deliver_replay(stage: Stage) -> Plan:
    """An event is given up while a client replays earlier ones."""
    stage.world.refused |= {(stage.endpoint, "ringing"), (stage.endpoint, "in-progress")}
    execution_id = stage.live_call()
    stage.hold("deliver")
    stage.wait(10)
    replay = stage.asks("replay", "POST", f"/executions/{execution_id}/webhooks/replay")
    return Plan([stage.runs(stage.held("deliver")), replay])


def deliver_replay_new_event(stage: Stage) -> Plan:
    """A replay is delivered while a new event is given up."""
    refused = {(stage.endpoint, "in-progress"), (stage.endpoint, "completed")}
    stage.world.refused |= refused
    execution_id = stage.live_call()
    stage.wait(10)
    stage.world.refused.discard((stage.endpoint, "in-progress"))
    stage.hold("deliver")
    stage.ask("POST", f"/executions/{execution_id}/webhooks/replay")
    replay = stage.held("deliver")

    def report_and_deliver(actor: Actor) -> None:
        stage.step(execution_id, "completed").action()
        while stage.has_held("deliver"):
            stage.invoke(stage.held("deliver"))

    changes = Step("call completed", writes=frozenset({"carrier"}), changes=frozenset({"calls"}))
    return Plan([stage.runs(replay), Actor("callback and deliver", report_and_deliver, changes)], holds="deliver")


def pause_dial(stage: Stage) -> Plan:
    """A batch is paused while its contact, which has the only line, is dialled; another call waits."""
    batch_id, dial = stage.held_contact()
    stage.waiting_call()
    return Plan([stage.runs(dial), _pause(stage, batch_id)], after=lambda: _resume(stage, batch_id))


def _pause(stage: Stage, batch_id: str) -> Actor:
    def covers(execution: Execution) -> bool:
        return execution.batch_id == batch_id and batch_id not in stage.resumed

    return stage.asks("pause", "POST", f"/batches/{batch_id}/pause", covers)


def _resume(stage: Stage, batch_id: str) -> None:
    stage.wait(300)
    stage.resumed.add(batch_id)
    stage.ask("POST", f"/batches/{batch_id}/resume")


def delayed_in_out(stage: Stage) -> Plan:
    """A retry is added to its batch's delayed set while an ending call pops the next contact from it.

    The set is empty, but its stored earliest time is in the past: the second of two lines found the only contact taken
    and not yet removed.
    """
    stage.configure(max_concurrent_calls=2)
    to = stage.number("busy", "completed")
    opens = stage.close_hours(to)
    retry = json.dumps({**RETRIES, "retry_intervals_minutes": [7]})
    form = [("agent_id", stage.agent_id), ("retry_config", retry), ("start", "now")]
    headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": f"delayed-{stage.agent_id}"}
    stage.ask("POST", "/batches", multipart(form, f"contact_number\n{to}"), headers)
    stage.wait(opens + 60)
    stage.hold("dial")
    stage.wait(5 * 60)
    stage.hold_only(None)
    live = stage.live_call(bypass_call_guardrails=True)
    stage.hold("dial")
    stage.wait(15)
    while not stage.has_held("dial"):
        stage.wait(5)
    stage.close_hours(to)
    return Plan([stage.runs(stage.held("dial")), stage.reports(live, "completed")])


def delete_repeat(stage: Stage) -> Plan:
    """A batch is deleted while its create request is repeated."""
    batch_id, _ = stage.held_contact(rows=2)
    return Plan([_delete(stage, batch_id), _again(stage, batch_id)])


def remove_repeat(stage: Stage) -> Plan:
    """A deleted batch is removed while its create request is repeated.

    It has one contact: two may be counted in one shard of the table's stream or in two, so the counters would vary.
    """
    batch_id, _ = stage.held_contact()
    stage.hold("batch")
    stage.end_batch(batch_id, "DELETE", "")
    stage.wait(5)  # until the stopped contact's events are delivered; the removal would wait for them
    return Plan([stage.runs(stage.held("batch")), _again(stage, batch_id)])


def _delete(stage: Stage, batch_id: str) -> Actor:
    return stage.stops("delete", f"/batches/{batch_id}", "batch_id", batch_id, method="DELETE")


def _again(stage: Stage, batch_id: str) -> Actor:
    body, headers = stage.posted[batch_id]
    return stage.asks("create again", "POST", "/batches", body=body, headers=headers)


def dial_dial_then_pause(stage: Stage) -> Plan:
    """A contact with the only line is dialled, then its batch is paused; its dial is delivered twice, and another call
    waits."""
    batch_id, dial = stage.held_contact()
    stage.waiting_call()
    first = one_after_the_other("dial, then pause", stage.runs(dial), _pause(stage, batch_id))
    return Plan([first, stage.runs(dial, "dial again")], after=lambda: _resume(stage, batch_id))


def dial_dial_pause(stage: Stage) -> Plan:
    batch_id, dial = stage.held_contact()
    stage.waiting_call()
    actors = [stage.runs(dial), stage.runs(dial, "dial again"), _pause(stage, batch_id)]
    return Plan(actors, after=lambda: _resume(stage, batch_id))


def dial_stop_callback(stage: Stage) -> Plan:
    """A queued call is dialled, stopped and handed the line of a call that ends."""
    live = stage.live_call()
    execution_id = stage.waiting_call()
    dial = Held("dial", {"execution_id": execution_id, "attempt": 1})
    stop = stage.stops("stop", f"/call/{execution_id}/stop", "id", execution_id)
    return Plan([stage.runs(dial), stop, stage.reports(live, "completed")])


PAIRS: dict[str, Pair] = {
    "dial × dial": dial_dial,
    "dial × dial, two calls for one line": dial_dial_one_line,
    "dial × dial, a contact with its line": dial_dial_contact,
    "dial × stop of the call": dial_stop_call,
    "dial × stop of the agent": dial_stop_agent,
    "dial × stop of the agent, the index 5 s behind": dial_stop_agent_lagging,
    "dial × stop of the batch": dial_stop_batch,
    "dial × the account's first suppression": dial_suppress_first,
    "dial × suppression, the index 5 s behind": dial_suppress,
    "dial of a contact × suppression": dial_suppress_contact,
    "dial that asks its hook × suppression": dial_hook_suppress,
    "dial that asks its hook × stop of the call": dial_hook_stop,
    "creation and dial × suppression": create_suppress,
    "dial × dial, two batches, one number": dial_dial_number,
    "dial × dial, one number, each withdraws the other": dial_dial_number_no_grace,
    "dial that was cut off × dial, one number": dial_dial_cut_off,
    "dial × end of another call to its number": dial_ends_number,
    "dial × dial, one attempt is left of a cap": dial_dial_cap,
    "dial × callback": dial_callback,
    "dial of a retry × callback again": dial_callback_again,
    "dial × sweep": dial_sweep,
    "dial × sweep of its line": dial_sweep_line,
    "callback × sweep": callback_sweep,
    "callback × question of the sweeper": callback_question,
    "deliver × deliver": deliver_deliver,
    "deliver × callback": deliver_callback,
    "deliver × replay": deliver_replay,
    "deliver of a replay × another event": deliver_replay_new_event,
    "pause × dial": pause_dial,
    "dial, then pause × dial": dial_dial_then_pause,
    "delayed set, in × out": delayed_in_out,
    "delete × repeated create": delete_repeat,
    "removal × repeated create": remove_repeat,
}
TRIPLES: dict[str, Pair] = {
    "dial × dial × dial, one number": dial_dial_dial_number,
    "dial × dial × pause": dial_dial_pause,
    "dial × stop × callback": dial_stop_callback,
}


# ---- all orders of one ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """An order that violates an invariant."""

    order: str
    switches: int
    violation: Violation


@dataclass
class Explored:
    """The result for a pair. `requests`: of each actor in the first order; `possible`: the number of orders of that
    many requests; `repeated`: runs that differ from another only in requests that commute."""

    requests: dict[str, int] = field(default_factory=dict)
    possible: int = 0
    run: int = 0
    repeated: int = 0
    complete: bool = False
    broken: list[Broken] = field(default_factory=list)

    @property
    def shortest(self) -> Broken | None:
        """The violation whose order has the fewest switches between actors."""
        return min(self.broken, key=lambda one: one.switches, default=None)


def explore(pair: Pair, most: int | None = None, until: Callable[[Explored], bool] = lambda so_far: False) -> Explored:
    """Run every order, or at most `most` of them, or until `until` is true."""
    explored = Explored()
    orders = every_order()
    while not (explored.complete or until(explored)):
        with _a_world() as world:
            runs: list[_Run] = []
            for number in range(RUNS_OF_A_WORLD):
                order = next(orders, None)
                explored.complete = order is None
                if order is None or explored.run == most:
                    return _checked(world, runs, explored)
                runs.append(_run_once(world, pair, number, order, explored))
                if world.violations:
                    break
            _checked(world, runs, explored)
        gc.collect()  # a world is tens of megabytes of cycles, and the shipped code makes the collector run rarely
    return explored


@dataclass(frozen=True)
class _Run:
    """One run: its order and its agent."""

    order: str
    switches: int
    agent_id: str


@contextmanager
def _a_world() -> Iterator[World]:
    """A world whose ids all fall in one partition of the due index. The sweeper asks only that one."""
    chance = Random(0)

    def new_id() -> str:
        while True:
            drawn = UUID(int=chance.getrandbits(128), version=4)
            if drawn.int % DUE_SHARDS == 0:
                return str(drawn)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sweep_handler, "DUE_SHARDS", 1))
        world = stack.enter_context(world_of(0, LaggingIndexes(0)))
        system.use(new_id=new_id)
        secrets = CarrierSecrets(lambda: world.aws.client("secretsmanager"), CARRIER_SECRETS)
        stack.enter_context(mock.patch.object(credentials_of(secrets), "_clock", return_value=0.0))
        credentials_of(secrets).get()  # read once, shared by all actors
        numbers = DynamoNumbers(world.aws.client("dynamodb"), world.environment["TABLE_NAME"], new_id)
        numbers.save(world.accounts[0].id, CALLED, CalledNumber(), world.now)  # the account has called before
        stack.enter_context(mock.patch.object(Services, "carrier_secrets", secrets))
        yield world


def _run_once(world: World, pair: Pair, number: int, order: Order, explored: Explored) -> _Run:
    """Set the stage, run the actors in that order, wait until the system is quiet, and record violations."""
    stage = Stage(world, number)
    plan = pair(stage)
    faults = world.faults
    assert isinstance(faults, LaggingIndexes)
    faults.behind = plan.index_behind
    stage.hold_only(plan.holds)
    with plan.setting:
        play(world, plan.actors, order)
    faults.behind = False
    stage.end()
    plan.after()
    converge(world, LONGEST, STEP_SECONDS)
    world.requests.clear()
    for failed, failure in world.functions.failures:
        world.violate("no function fails", f"{failed.function.name}: {failure}")
    world.functions.failures.clear()
    names = [actor.name for actor in plan.actors]
    if not explored.run:
        taken = [actor for actor, _ in order.taken]
        explored.requests = {name: taken.count(actor) - 1 for actor, name in enumerate(names)}
        explored.possible = possible([taken.count(actor) for actor in range(len(names))])
    explored.run += 1
    explored.repeated += order.repeats
    run = _Run(in_words(names, order), _switches(order), stage.agent_id)
    explored.broken += [Broken(run.order, run.switches, one) for one in world.violations]
    return run


def _checked(world: World, runs: list[_Run], explored: Explored) -> Explored:
    """Check the invariants of the end. A violation belongs to the run whose agent it names, else to the last run."""
    known = len(world.violations)
    for check in AT_THE_END:
        check(world)
    agents = {execution.id: execution.agent_id for execution in world.seen.executions.values()}
    agents |= {batch.id: batch.agent_id for batch in world.stored_batches()}
    for violation in world.violations[known:]:
        about = {agent_id for subject, agent_id in agents.items() if subject in violation.what}
        about |= {one.agent_id for one in runs if one.agent_id in violation.what}
        one = next((one for one in runs if one.agent_id in about), runs[-1])
        explored.broken.append(Broken(one.order, one.switches, violation))
    for failure in world.clock.failures:
        raise failure.error
    return explored


def _switches(order: Order) -> int:
    return sum(one != other for (one, _), (other, _) in pairwise(order.taken))


def in_words(names: list[str], order: Order) -> str:
    """The actors in turn, each with its first and last request of that turn."""
    parts = []
    for actor, steps in groupby(order.taken, key=lambda taken: taken[0]):
        requests = [step.name for _, step in steps]
        ends = requests if len(requests) < 3 else [requests[0], "…", requests[-1]]
        parts.append(f"{names[actor]} ({' '.join(ends)})")
    return ", ".join(parts)


def described(name: str, explored: Explored) -> str:
    """A row of the table in docs/guarantees.md."""
    requests = " × ".join(str(count) for count in explored.requests.values())
    ran = f"{explored.run:,}" if explored.complete else f"the first {explored.run:,}"
    return f"| {name} | {requests} | {explored.possible:,} | {ran} | {len(explored.broken)} |"


HEAD = """| At once | Requests | Orders | Run | Violations |
|---|---|---|---|---|"""
MOST_OF_A_TRIPLE = 1000


def main() -> int:
    """Run every order of every pair, and a part of the triples; return 1 if an invariant was violated."""
    print(HEAD)
    failed = False
    for name, pair in (PAIRS | TRIPLES).items():
        explored = explore(pair, MOST_OF_A_TRIPLE if name in TRIPLES else None)
        print(described(name, explored), flush=True)
        shortest = explored.shortest
        if shortest is not None:
            failed = True
            print(f"\n{shortest.violation.invariant}: {shortest.violation.what}\n  {shortest.order}\n", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
