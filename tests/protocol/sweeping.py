"""Worlds with much work for the sweeper, in which each of its requests to AWS takes a given time.

At full size, from the repository's root:  python -m tests.protocol.sweeping timers 100000
                                           python -m tests.protocol.sweeping questions 100000
                                           python -m tests.protocol.sweeping queue 40000
"""

import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from unittest import mock

from local.aws.functions import Function
from local.aws.requests import Answer
from local.stack import SWEEPER
from local.web.server import Request, Response
from redial.domain.execution import Execution
from redial.domain.outcome import CallReport
from redial.domain.status import Status
from redial.usecases.dispatch import queued_call
from redial.wire.stored_execution import DUE_SHARDS
from tests.simulation import world as worlds
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import World
from tests.support.samples import call_id, placed
from tests.support.services import TableServices, table_services

REQUEST_SECONDS = 0.015
"""The duration of a request to AWS: DynamoDB usually answers within 10 ms, Lambda accepts an event within 20 ms."""

CARRIER_SECONDS = 0.15
"""The duration of a request to the carrier: a new TLS connection, and its answer."""


@contextmanager
def quiet_world(
    seed: int = 5, request_seconds: float = 0.0, functions: tuple[str, ...] = (SWEEPER,)
) -> Iterator[World]:
    """A world without faults, in which each request to AWS of `functions` takes `request_seconds`."""
    most = mock.patch.object(worlds, "MOST_REQUESTS", 10**9)
    with most, world_of(seed, Faults(seed, {})) as world:
        between = world.aws.middleware

        def timed(service: str, operation: str, body: bytes, ask: Any) -> Answer:
            invocation = world.functions.current()
            if request_seconds and invocation is not None and invocation.function.module in functions:
                world.functions.sleep(request_seconds)
            return between(service, operation, body, ask)

        world.aws.middleware = timed
        yield world


def services_in(world: World) -> TableServices:
    return table_services(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])


def delivered(execution: Execution, now: datetime) -> Execution:
    """The execution after its events have been delivered."""
    delivery = replace(execution.delivery, settled=execution.state.sequence, lease_id=None, lease_until=None)
    return replace(execution, delivery=delivery).with_due(now)


def ids(count: int, seed: int = 1) -> list[str]:
    random = Random(seed)
    return [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(count)]


def lose_invocations(world: World, *names: str) -> None:
    """Lose asynchronous invocations of these functions from now on."""
    delays = world.functions.delays

    def without(function: Function, event: Any) -> tuple[float, ...]:
        return () if function.module.split(".")[1] in names else delays(function, event)

    world.functions.delays = without


def ended_at(world: World, execution_id: str) -> datetime | None:
    changes = world.seen.executions[execution_id].changes
    return next((change.at for change in changes if change.ended), None)


def minutes_to_end(world: World, asked: dict[str, datetime]) -> list[float]:
    """Sorted minutes from request to end, for the calls that ended."""
    ends = {one: ended_at(world, one) for one in asked}
    return sorted((end - asked[one]).total_seconds() / 60 for one, end in ends.items() if end is not None)


@dataclass(frozen=True)
class Recovery:
    """The repair of missed timers: simulated minutes until the last was repaired, and requests of the sweeper."""

    minutes: float
    repaired: int
    requests: int
    invocations: int
    by_kind: Counter[str]


def recover_missed_timers(count: int, request_seconds: float = REQUEST_SECONDS) -> Recovery:
    """Let `count` retries become due while no schedule fires and the sweeper does not run.

    Invocations of dial are counted but not run.
    """
    with quiet_world(request_seconds=request_seconds) as world:
        story = Story(world, 1, lines=5)
        executions = services_in(world).executions
        lose_invocations(world, "dial", "sweep")  # the sweeper does not run while these are stored
        start = world.now
        due = start + timedelta(minutes=1)
        for number, one in enumerate(ids(count)):
            made = Execution(one, "local", story.agent_id, start, f"+1212{number:07d}").begin(start, due)
            executions.create(delivered(made, start))
        world.run(3600)
        repaired: dict[str, datetime] = {}

        def note(_: World, before: Execution | None, after: Execution) -> None:
            repaired.setdefault(after.id, world.now)

        world.on_written.append(note)
        began, runs = world.now, [0]

        def only_sweep(function: Function, event: Any) -> tuple[float, ...]:
            runs[0] += function.module == SWEEPER
            return (0.0,) if function.module == SWEEPER else ()

        world.functions.delays = only_sweep
        world.requests.clear()
        while len(repaired) < count and world.now - began < timedelta(hours=4):
            world.run(60)
        asked = Counter({name: many for name, many in world.requests.items() if "-sweep " in name})
        last = max(repaired.values(), default=began)
        return Recovery((last - began).total_seconds() / 60, len(repaired), asked.total(), runs[0], asked)


@dataclass(frozen=True)
class Answered:
    """Questions about calls whose callbacks were lost. `minutes`: from the end of the outage until the last call was
    settled; `a_second`: questions per second from the first to the last; `at_once`: the most requests that the carrier
    had at once; `longest`: seconds of the longest invocation, until its last request."""

    minutes: float
    settled: int
    a_second: float
    asked: int
    at_once: int
    longest: float
    timed_out: int


def ask_about_lost_calls(
    count: int,
    shards: int = DUE_SHARDS,
    request_seconds: float = REQUEST_SECONDS,
    carrier_seconds: float = CARRIER_SECONDS,
) -> Answered:
    """Let `count` calls, in that many `shards` of the due index, ring and end in an hour in which no callback arrives
    and the sweeper does not run."""
    with quiet_world(request_seconds=request_seconds) as world:
        story = Story(world, 1, lines=5)
        executions, start, functions = services_in(world).executions, world.now, world.functions
        lose_invocations(world, "dial", "sweep", "deliver")
        for number, one in enumerate(ids(count)):
            in_shard = one[:-2] + f"{number % shards:02x}"
            waits = Execution(in_shard, "local", story.agent_id, start, f"+1212{number:07d}").begin(start, None)
            rings = placed(waits, start).reported(1, CallReport(call_id(1), Status.RINGING, None), start)
            executions.create(delivered(rings, start))
        world.run(3600)

        began = world.now
        settled, asked_at = dict[str, datetime](), list[datetime]()
        at_once, most, longest = [0], [0], [0.0]
        between = world.aws.middleware

        def note(_: World, before: Execution | None, after: Execution) -> None:
            if after.state.is_final:
                settled.setdefault(after.id, world.now)  # later saves are for its events

        def timed(service: str, operation: str, body: bytes, ask: Any) -> Answer:
            answer = between(service, operation, body, ask)
            if (running := functions.current()) is not None and running.function.module == SWEEPER:
                left = (running.deadline - world.now).total_seconds()
                longest[0] = max(longest[0], running.function.timeout_seconds - left)
            return answer

        def answer(sent: Request, limits: Any) -> Response:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            functions.sleep(carrier_seconds)
            asked_at.append(world.now)
            at_once[0] -= 1
            return Response.of(200, {"sid": call_id(1), "status": "completed", "duration": "30"})

        world.on_written.append(note)
        world.aws.middleware = timed
        world._ask_carrier = answer  # type: ignore[method-assign]
        functions.delays = lambda function, event: (0.0,) if function.module == SWEEPER else ()
        while len(settled) < count and world.now - began < timedelta(hours=2):
            world.run(60)
        seconds = (asked_at[-1] - asked_at[0]).total_seconds()
        return Answered(
            minutes=(max(settled.values()) - began).total_seconds() / 60,
            settled=len(settled),
            a_second=len(asked_at) / seconds,
            asked=len(asked_at),
            at_once=most[0],
            longest=longest[0],
            timed_out=len(functions.failures),
        )


@dataclass(frozen=True)
class Settled:
    """Minutes from request to end of another agent's calls whose callbacks are lost, while a long queue waits."""

    waiting: int
    minutes: list[float]
    asked: int


def lost_callbacks_beside_a_queue(count: int, hours: float, request_seconds: float = REQUEST_SECONDS) -> Settled:
    """`count` calls wait for one agent's only line; every five minutes a call of another agent loses its callbacks."""
    with quiet_world(3, request_seconds) as world:
        busy, other = Story(world, 1, lines=1), Story(world, 2, lines=5)
        services = services_in(world)
        busy.call("completed")
        world.run(5)
        now = world.now
        for number, one in enumerate(ids(count)):
            made = Execution(one, "local", busy.agent_id, now, f"+1212{number:07d}").begin(now, None)
            waiting = delivered(made, now)
            services.executions.create(waiting)
            services.queue.enqueue(busy.agent_id, queued_call(waiting))
        asked: dict[str, datetime] = {}
        for _ in range(round(hours * 12)):
            asked[other.call("no-callback", retry_config=None)] = world.now
            world.run(300)
        world.run(900)
        return Settled(count, minutes_to_end(world, asked), len(asked))


def main(what: str, count: int) -> None:
    began = time.monotonic()
    if what == "timers":
        print(recover_missed_timers(count))
    elif what == "questions":
        print(ask_about_lost_calls(count))
    else:
        print(lost_callbacks_beside_a_queue(count, hours=2.0))
    print(f"{time.monotonic() - began:.0f} s on this machine")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
