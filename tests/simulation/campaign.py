"""One run of the simulation for one seed, and its result."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from tests.protocol.traces import Validator
from tests.simulation.faults import CALM, Faults
from tests.simulation.invariants import AT_THE_END, ON_PLACED, ON_STOPPED, ON_WRITTEN, PROMISES
from tests.simulation.long_worlds import LongPopulation
from tests.simulation.population import Population
from tests.simulation.world import HOUR, START, Violation, World

LONGEST_TO_CONVERGE = timedelta(hours=120)
"""The longest wait after the faults have ended. Calls and batches may be scheduled up to 60 hours ahead. A call outside
its calling hours waits up to a day, a retry for hours, and an event of an endpoint that was down up to 12 hours for its
next try. A call without any report ends after a day."""
CALM_EVERY = 10
"""One seed in this many is a good day without faults, for which there are more promises."""
ARTIFACT = "the simulation itself works"
"""Violated if an event of the simulation raised an exception."""
MODEL = "every step is a step of the models"
"""The promise that the models of the protocol check."""
STEP_SECONDS = 1 * HOUR
PACES = (None, None, 0.1, 0.5, 2.0)
"""Calls per second that the carrier account starts: one is drawn for each seed. On a good day it is None: unlimited."""


@dataclass(frozen=True)
class Result:
    """The result of one seed. `converged_after`: since the faults ended (None: never); `hours`: simulated in total.

    `checked`: how often each promise was checked.
    """

    seed: int
    violations: tuple[Violation, ...]
    lines: tuple[str, ...]
    digest: str
    injected: Counter[str]
    checked: Counter[str]
    requests: int
    calls: int
    executions: int
    hours: float
    converged_after: timedelta | None


@contextmanager
def world_of(seed: int, faults: Faults, calls_per_second: float | None = None) -> Iterator[World]:
    """A world in which all invariants are checked. `calls_per_second`: the carrier account's maximum."""
    with World(seed, faults, calls_per_second) as world:
        world.on_placed += ON_PLACED
        world.on_written += ON_WRITTEN
        world.on_stopped += ON_STOPPED
        Validator.watch(world)
        yield world


def unchecked(checked: Counter[str]) -> list[str]:
    """The promises that were never checked."""
    unknown = checked.keys() - {*PROMISES, MODEL}
    assert not unknown, f"not in the list of promises: {sorted(unknown)}"
    return [promise for promise in (*PROMISES, MODEL) if not checked[promise]]


def run_seed(seed: int) -> Result:
    """Run the seed as a campaign does."""
    return run(seed, CALM if seed % CALM_EVERY == 0 else None)


def run_long(seed: int) -> Result:
    """Run the seed as a campaign of long worlds does."""
    return run(seed, CALM if seed % CALM_EVERY == 0 else None, population=LongPopulation)


def run(
    seed: int,
    rates: Mapping[str, float] | None = None,
    stop_early: Callable[[World], bool] = lambda world: False,
    population: type[Population] = Population,
) -> Result:
    """Populate, inject faults for some hours, end the faults, let the world converge, and check.

    `rates` of faults replace the seed's own. The run ends early if `stop_early`, called every hour, is true.
    """
    faults = Faults(seed, rates)
    pace = None if faults.calm else Random(f"{seed} pace").choice(PACES)
    with world_of(seed, faults, pace) as world:
        people = population(world)
        with people.setting():
            people.populate()
            world.faults.active = True
            for _ in range(int(people.chaos_seconds / STEP_SECONDS)):
                world.run(STEP_SECONDS)
                if stop_early(world):
                    return _result(world, None)
            world.trace("everything heals")
            world.faults.active = False
            converged_after = converge(world, LONGEST_TO_CONVERGE, STEP_SECONDS)
            for check in AT_THE_END:
                check(world)
            return _result(world, converged_after)


def converge(world: World, within: timedelta, step_seconds: float) -> timedelta | None:
    """Let time pass until nothing is due or pending, checked every `step_seconds`; returns how long that took.

    More than `within` is a violation, and the result is None.
    """
    healed_at = world.now
    while world.now - healed_at < within:
        world.run(step_seconds)
        if is_healthy(world):
            world.checked["it converges"] += 1
            return world.now - healed_at
    world.violate("it converges", f"not within {within}")
    return None


def is_healthy(world: World) -> bool:
    """Whether no item has a due time, no stream record waits, and nothing is scheduled."""
    if world.is_anything_due():
        return False
    if any(stream.waiting() for stream in world.streams):
        return False
    return not any(event.name.startswith(("invoke", "schedule", "late", "client")) for event in world.clock.pending())


def _result(world: World, converged_after: timedelta | None) -> Result:
    for failure in world.clock.failures:
        world.violate(ARTIFACT, f"{failure.name}: {failure.error!r}")
    return Result(
        world.seed,
        tuple(world.violations),
        tuple(world.lines),
        world.digest,
        world.faults.injected,
        world.checked,
        sum(world.requests.values()),
        len(world.carrier.calls.all()),
        len(world.seen.executions),
        (world.now - START).total_seconds() / HOUR,
        converged_after,
    )
