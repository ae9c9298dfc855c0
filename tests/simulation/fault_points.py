"""The delay caused by one fault.

A scenario runs once without the fault, and then once for each point at which that kind of fault could occur: it is
injected once, only there. The delay is how much later than without the fault the last call is final and the last event
is accepted. A retry caused by the fault (of an attempt whose result stayed unknown) counts in full.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.simulation.campaign import converge, world_of
from tests.simulation.crash_points import LONGEST, STEP_SECONDS
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.world import World

MINUTE = timedelta(minutes=1)
NEXT_SWEEP = 1 * MINUTE
SLACK = 2 * MINUTE
"""A stored due time this close to the required one is kept."""
AGAIN = 4 * MINUTE
"""The next attempt of a scenario's call: an interval of a minute, ringing and talking."""


@dataclass(frozen=True)
class Bound:
    """After one fault of this kind, everything is delayed by at most `within`. `scenarios`: where it is measured."""

    kind: str
    within: timedelta
    because: str
    scenarios: tuple[str, ...] = ("retry", "line handed over")


_LOST_DIAL = 3 * MINUTE + NEXT_SWEEP + SLACK
_LOST_TURN = 16 * MINUTE + NEXT_SWEEP
_UNKNOWN = 6 * MINUTE + NEXT_SWEEP + AGAIN
_SILENT_CALL = 15 * MINUTE + NEXT_SWEEP + SLACK

BOUNDS: tuple[Bound, ...] = (
    Bound("invocation lost", _LOST_DIAL, "the sweeper acts after 3 minutes"),
    Bound(
        "invocation lost",
        _LOST_TURN,
        "a batch is audited every 10 minutes, for dispatches lost 5 minutes before",
        ("batch",),
    ),
    Bound("invoked hours late", _LOST_DIAL, "as if it were lost"),
    Bound("invoked twice", 1 * MINUTE, "the second finds nothing to do"),
    Bound("schedule never", _LOST_DIAL, "the sweeper allows a schedule 3 minutes", ("scheduled call", "retry")),
    Bound("schedule hours late", _LOST_DIAL, "as if it were lost", ("scheduled call", "retry")),
    Bound("schedule early", 4 * MINUTE + SLACK, "dial exits; then as if it were lost", ("scheduled call", "retry")),
    Bound("callback missing", _SILENT_CALL, "the sweeper asks about an answered call after 15 minutes"),
    Bound("callback hours late", _SILENT_CALL, "as if it were lost"),
    Bound("carrier not reached", 3 * MINUTE, "dialled again after a minute"),
    Bound("carrier 429", 3 * MINUTE, "dialled again after a minute"),
    Bound("carrier timeout before placing", _UNKNOWN, "no call is found by 6 minutes after the claim; then a retry"),
    Bound("carrier 5xx before placing", _UNKNOWN, "no call is found by 6 minutes after the claim; then a retry"),
    Bound("carrier timeout after placing", 1 * MINUTE, "the call's own callbacks settle it"),
    Bound("carrier 5xx after placing", 1 * MINUTE, "the call's own callbacks settle it"),
    Bound("endpoint 500", 2 * MINUTE, "sent again after 5 seconds"),
    Bound("endpoint hangs", 2 * MINUTE, "sent again after 5 seconds"),
    Bound("endpoint took it without an answer", 2 * MINUTE, "sent again after 5 seconds"),
)


class OneFault(Faults):
    """Only this kind, and only at its point number `at` (None: nowhere), with the longest delay."""

    def __init__(self, kind: str) -> None:
        super().__init__(0, {})
        self.kind = kind
        self.at: int | None = None
        self.points = 0

    def strikes(self, kind: str) -> bool:
        if kind != self.kind or not self.active:
            return False
        self.points += 1
        if self.points != self.at:
            return False
        self.injected[kind] += 1
        return True

    def between(self, low: float, high: float) -> float:
        return high

    def one_in(self, count: int) -> bool:
        return False


@dataclass(frozen=True)
class Recovered:
    """How often the fault was injected, the longest delay that it caused, and the violations."""

    struck: int
    longest: timedelta
    violations: list[str]


def every_fault_point(kind: str, scenario: Scenario) -> Recovered:
    """Run the scenario with that fault at every point in turn, one run after the other in one world."""
    faults = OneFault(kind)
    with world_of(0, faults) as world:
        undisturbed = _run(world, faults, scenario, 0, None)
        points, longest, violations = faults.points, timedelta(), []
        for point in range(1, points + 1):
            took = _run(world, faults, scenario, point, point)
            longest = max(longest, took - undisturbed)
            violations += [f"point {point}: {one.invariant}: {one.what}" for one in world.violations]
            world.violations.clear()
        for check in AT_THE_END:
            check(world)
        violations += [f"at the end: {one.invariant}: {one.what}" for one in world.violations]
        return Recovered(faults.injected[kind], longest, violations)


def _run(world: World, faults: OneFault, scenario: Scenario, number: int, at: int | None) -> timedelta:
    """The time from the scenario's `begin` until the last call was final and the last event was accepted."""
    world.forget_circuits()
    begun = world.now

    def begin() -> None:
        nonlocal begun
        begun = world.now
        faults.active, faults.at, faults.points = True, at, 0

    scenario(world, number, begin)
    converge(world, LONGEST, STEP_SECONDS)
    faults.active = False
    world.requests.clear()
    return world.seen.settled_at - begun


def measure(bound: Bound, report: Callable[[str], None] = lambda line: None) -> list[str]:
    """Return exceeded bounds and violated promises; `report` receives a line of figures for each scenario."""
    broken = []
    for name in bound.scenarios:
        found = every_fault_point(bound.kind, SCENARIOS[name])
        report(f"{bound.kind:36} {name:16} {found.struck:>5} {_minutes(found.longest):>8} {_minutes(bound.within):>8}")
        broken += [f"{name}: {one}" for one in found.violations]
        if found.longest > bound.within:
            broken.append(f"{name}: {found.longest} later, more than {bound.within}: {bound.because}")
        if not found.struck:
            broken.append(f"{name}: {bound.kind} never struck")
    return broken


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:.1f} min"


HEADING = f"{'fault':36} {'scenario':16} {'times':>5} {'longest':>8} {'bound':>8}"
