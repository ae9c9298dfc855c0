"""One run of the simulation for one seed, and what came of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from tests.protocol.traces import Validator
from tests.simulation.faults import CALM, Faults
from tests.simulation.invariants import AT_THE_END, ON_PLACED, ON_WRITTEN
from tests.simulation.population import CHAOS_SECONDS, Population
from tests.simulation.world import HOUR, START, Violation, World

LONGEST_TO_CONVERGE = timedelta(hours=72)
"""After everything has healed: calls moved by calling hours wait up to a day, events of an endpoint that was down for
hours up to 12 for their next try, and a call of whose attempt nothing was ever heard ends after a day."""
CALM_EVERY = 10
"""One in so many seeds is a good day, on which more is promised."""
STEP_SECONDS = 1 * HOUR


@dataclass(frozen=True)
class Result:
    """What one seed came to. `converged_after`: since healing (None: it did not); `hours`: simulated in all."""

    seed: int
    violations: tuple[Violation, ...]
    lines: tuple[str, ...]
    digest: str
    injected: Counter[str]
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
        Validator.watch(world)
        yield world


def run_seed(seed: int) -> Result:
    """That seed as a campaign runs it."""
    return run(seed, CALM if seed % CALM_EVERY == 0 else None)


def run(
    seed: int,
    rates: Mapping[str, float] | None = None,
    stop_early: Callable[[World], bool] = lambda world: False,
) -> Result:
    """Populate, let everything go wrong for some hours, heal, and check.

    `rates` of faults, in place of the seed's own. Where `stop_early` says so, between two hours, it ends there.
    """
    with world_of(seed, Faults(seed, rates)) as world:
        Population(world).populate()
        world.faults.active = True
        for _ in range(int(CHAOS_SECONDS / STEP_SECONDS)):
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
        if is_quiet(world):
            return world.now - healed_at
    world.violate("it converges", f"not within {within}")
    return None


def is_quiet(world: World) -> bool:
    """Nothing in the table is due at any time, nothing waits, and no timer of anything is set."""
    if world.is_anything_due():
        return False
    if any(stream.waiting() for stream in world.streams):
        return False
    return not any(event.name.startswith(("invoke", "schedule", "late", "client")) for event in world.clock.pending())


def _result(world: World, converged_after: timedelta | None) -> Result:
    for failure in world.clock.failures:
        world.violate("the simulation itself works", f"{failure.name}: {failure.error!r}")
    return Result(
        world.seed,
        tuple(world.violations),
        tuple(world.lines),
        world.digest,
        world.faults.injected,
        sum(world.requests.values()),
        len(world.carrier.calls.all()),
        len(world.seen.executions),
        (world.now - START).total_seconds() / HOUR,
        converged_after,
    )
