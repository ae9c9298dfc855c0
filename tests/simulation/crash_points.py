"""Every crash point of a scenario: a function is gone before, or after, each single request that it makes.

The scenario is told once whole, to count its points, and then once for each point, in which whoever reaches that point
first is cut off there: the API, dial, a callback, deliver, batch, tally or the sweeper. No clean-up code gets anywhere.
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
    """Counts the points of one telling, and cuts off at number `at` (None: nowhere)."""

    at: int | None
    points: int = 0
    where: str | None = None

    def begin(self, at: int | None) -> None:
        """Count from here on: what came before is another scenario's matter."""
        self.at, self.points = at, 0

    def __call__(self, invocation: Invocation, where: str) -> bool:
        self.points += 1
        if self.points == self.at:
            self.where = f"{invocation.function.name.removeprefix('redial-')} {where}"
            return True
        return False


@dataclass(frozen=True)
class DeliveryAttempt:
    """What came of a scenario: how many points it has, at how many it was cut off, and what did not hold. `longest`:
    how much later than uncut the last call was final and the last event taken, at most."""

    points: int
    met: int
    violations: list[str]
    longest: timedelta


def every_crash_point(scenario: Scenario, seed: int = 0, step: int = 1) -> DeliveryAttempt:
    """Tell it, cut off at every point in turn, or at each `step`th, all in one world, one telling after the other."""
    with world_of(seed, Faults(seed, {})) as world:
        counted, undisturbed = _tell(world, scenario, 0, None)
        longest = timedelta()
        violations = [f"uncut: {one.invariant}: {one.what}" for one in world.violations]
        world.violations.clear()
        met = 0
        points = range(1, counted.points + 1, step)
        for point in points:
            cut, took = _tell(world, scenario, point, point)
            longest = max(longest, took - undisturbed)
            met += cut.where is not None
            violations += [f"point {point}, {cut.where}: {one.invariant}: {one.what}" for one in world.violations]
            world.violations.clear()
        for check in AT_THE_END:
            check(world)
        violations += [f"at the end: {one.invariant}: {one.what}" for one in world.violations]
        return DeliveryAttempt(len(points), met, violations, longest)


def _tell(world: World, scenario: Scenario, number: int, at: int | None) -> tuple[Cut, timedelta]:
    cut = Cut(None)
    begun = world.now

    def begin() -> None:
        nonlocal begun
        begun = world.now
        cut.begin(at)

    world.forget_circuits()  # a scenario of failures is told again and again, and each time the carrier worked before
    world.cuts_off = cut
    scenario(world, number, begin)
    converge(world, LONGEST, STEP_SECONDS)
    world.requests.clear()
    world.cuts_off = lambda invocation, where: False
    return cut, world.seen.settled_at - begun
