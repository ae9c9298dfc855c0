"""Every crash point of a scenario: a function crashes before, or after, each single request that it makes.

The scenario runs once whole, to count its points, and then once for each point. The function that reaches the point
first crashes there: the API, dial, a callback, deliver, batch, tally or the sweeper. Its clean-up code does not run.
Then time passes, and every promise must hold.
"""

from dataclasses import dataclass
from datetime import timedelta

from local.aws.functions import Invocation
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import Scenario
from tests.simulation.world import World

STEP_SECONDS = 600.0
LONGEST = timedelta(hours=40)


@dataclass
class Cut:
    """Counts the points of one run, and crashes at number `at` (None: nowhere)."""

    at: int | None
    points: int = 0
    where: str | None = None

    def begin(self, at: int | None) -> None:
        """Count from here on: earlier requests set the scenario up."""
        self.at, self.points = at, 0

    def __call__(self, invocation: Invocation, where: str) -> bool:
        self.points += 1
        if self.points == self.at:
            self.where = f"{invocation.function.name.removeprefix('redial-')} {where}"
            return True
        return False


@dataclass(frozen=True)
class Tried:
    """`points`: crash points of the scenario; `tried`: how many of them ran; `met`: runs that reached their point.
    `longest`: the largest delay that a crash caused until the last call was final and the last event was accepted."""

    points: int
    tried: int
    met: int
    violations: list[str]
    longest: timedelta


def every_crash_point(scenario: Scenario, seed: int = 0, step: int = 1) -> Tried:
    """Run the scenario with a crash at every `step`-th point, one run after the other in one world."""
    with world_of(seed, Faults(seed, {})) as world:
        _run(world, scenario, 0, None)  # fetches or creates what later runs find: credentials, the account's keys
        counted, undisturbed = _run(world, scenario, 1, None)
        longest = timedelta()
        violations = [f"without a crash: {one.invariant}: {one.what}" for one in world.violations]
        world.violations.clear()
        met = 0
        points = range(1, counted.points + 1, step)
        for point in points:
            cut, took = _run(world, scenario, point + 1, point)
            longest = max(longest, took - undisturbed)
            met += cut.where is not None
            violations += [f"point {point}, {cut.where}: {one.invariant}: {one.what}" for one in world.violations]
            world.violations.clear()
        for check in AT_THE_END:
            check(world)
        violations += [f"at the end: {one.invariant}: {one.what}" for one in world.violations]
        return Tried(counted.points, len(points), met, violations, longest)


def _run(world: World, scenario: Scenario, number: int, at: int | None) -> tuple[Cut, timedelta]:
    cut = Cut(None)
    begun = world.now

    def begin() -> None:
        nonlocal begun
        begun = world.now
        cut.begin(at)

    world.forget_circuits()  # failures of earlier runs do not count
    world.cuts_off = cut
    scenario(world, number, begin)
    converge(world, LONGEST, STEP_SECONDS)
    world.requests.clear()
    world.cuts_off = lambda invocation, where: False
    return cut, world.seen.settled_at - begun
