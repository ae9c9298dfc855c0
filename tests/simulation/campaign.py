"""One run of the simulation for one seed, and what came of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tests.protocol.traces import Validator
from tests.simulation.faults import CALM, Faults
from tests.simulation.invariants import AT_THE_END, ON_PLACED, ON_STOPPED, ON_WRITTEN, PROMISES
from tests.simulation.long_worlds import LongPopulation
from tests.simulation.population import Population
from tests.simulation.world import HOUR, START, Violation, World

LONGEST_TO_CONVERGE = timedelta(hours=120)
"""After everything has healed: calls and batches may have been scheduled up to 60 hours ahead, calls moved by calling
hours wait up to a day, retries for hours, events of an endpoint that was down for hours up to 12 for their next try,
and a call of whose attempt nothing was ever heard ends after a day."""
CALM_EVERY = 10
"""One in so many seeds is a good day, on which more is promised."""
ARTIFACT = "the simulation itself works"
"""What is violated where an event of the simulation raised."""
MODEL = "every step is one of the model"
"""What the models of the protocol judge, of all that the invariants judge one by one."""
STEP_SECONDS = 1 * HOUR


@dataclass(frozen=True)
class Result:
    """What one seed came to. `converged_after`: since healing (None: it did not); `hours`: simulated in all."""

    seed: int
    violations: tuple[Violation, ...]
    lines: tuple[str, ...]
    digest: str
    injected: Counter[str]
    looked: Counter[str]
    requests: int
    calls: int
    executions: int
    hours: float
    converged_after: timedelta | None


@contextmanager
def world_of(seed: int, faults: Faults) -> Iterator[World]:
    """A world with all invariants watching."""
    with World(seed, faults) as world:
        world.on_placed += ON_PLACED
        world.on_written += ON_WRITTEN
        world.on_stopped += ON_STOPPED
        Validator.watch(world)
        yield world


def overlooked(looked: Counter[str]) -> list[str]:
    """The promises that were never looked at."""
    unknown = looked.keys() - {*PROMISES, MODEL}
    assert not unknown, f"not in the list of promises: {sorted(unknown)}"
    return [promise for promise in (*PROMISES, MODEL) if not looked[promise]]


def run_seed(seed: int) -> Result:
    """That seed as a campaign runs it."""
    return run(seed, CALM if seed % CALM_EVERY == 0 else None)


def run_long(seed: int) -> Result:
    """That seed as a campaign of long worlds runs it."""
    return run(seed, CALM if seed % CALM_EVERY == 0 else None, population=LongPopulation)


def run(
    seed: int,
    rates: Mapping[str, float] | None = None,
    stop_early: Callable[[World], bool] = lambda world: False,
    population: type[Population] = Population,
) -> Result:
    """Populate, let everything go wrong for some hours, heal, and check.

    `rates` of faults, in place of the seed's own. Where `stop_early` says so, between two hours, it ends there.
    """
    with world_of(seed, Faults(seed, rates)) as world:
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
    """Let time pass until nothing more is to happen, looking every so often; how long that took.

    Where it takes longer than `within` that is a violation, and the answer None.
    """
    healed_at = world.now
    while world.now - healed_at < within:
        world.run(step_seconds)
        if is_healthy(world):
            world.looked["it converges"] += 1
            return world.now - healed_at
    world.violate("it converges", f"not within {within}")
    return None


def is_healthy(world: World) -> bool:
    """Nothing in the table is due at any time, nothing waits, and no timer of anything is set."""
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
        world.looked,
        sum(world.requests.values()),
        len(world.carrier.calls.all()),
        len(world.seen.executions),
        (world.now - START).total_seconds() / HOUR,
        converged_after,
    )
