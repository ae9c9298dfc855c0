"""Costs, size and speed: each goal, what was measured, and the reason where it is missed.

Two take too long for `make bench`: `make bench-ingest` and `make bench-batch` leave their figures in `MEASURED`, by
`keep`, from where the table takes them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.attempt import Bench, counting
from bench.report import say, table
from bench.stack import BATCH_RETRIES, SEED, Stack, create_batch, play, schedule
from local import ROOT
from local.aws.functions import Function, Handler

MEASURED = ROOT / ".run" / "goals.json"
INGEST, STOP = "ingest, rows a second", "stop of a batch of 1,000,000, minutes"
PACED_CONTACTS, PACED_RATE, PACED_LINES = 60, 2.0, 20
"""A batch with a rate, all of whose lines are free: the calls wait for the rate alone."""


@dataclass(frozen=True)
class Goal:
    """`value` None: not measured. `reason`: why it is missed, or how it was measured. `exact`: equal in every run."""

    name: str
    goal: float
    value: float | None
    reason: str = ""
    at_least: bool = False
    exact: bool = False

    @property
    def met(self) -> bool:
        return self.value is not None and (self.value >= self.goal if self.at_least else self.value <= self.goal)

    def row(self) -> list[object]:
        sign = "≥" if self.at_least else "≤"
        found = "–" if self.value is None else f"{self.value:,.3g}" if self.value < 1000 else f"{self.value:,.0f}"
        verdict = "not measured" if self.value is None else "met" if self.met else "**missed**"
        return [self.name, f"{sign} {self.goal:,g}", found, verdict, self.reason]


def keep(name: str, value: float, how: str) -> None:
    """Keep a figure for the table. `how` it was measured, in a few words."""
    MEASURED.parent.mkdir(exist_ok=True)
    kept = {**_kept(), name: {"value": value, "how": f"{how}, {datetime.now(UTC).date()}"}}
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n")


def kept(name: str, goal: float, command: str, *, at_least: bool = False) -> Goal:
    """The goal with the figure that was kept, if there is one."""
    found = _kept().get(name)
    if found is None:
        return Goal(name, goal, None, f"`{command}` measures it", at_least)
    return Goal(name, goal, float(found["value"]), str(found["how"]), at_least)


def _kept() -> dict[str, Any]:
    return dict(json.loads(MEASURED.read_text())) if MEASURED.exists() else {}


class TimedBench(Bench):
    """Adds up how long functions run by the simulated clock, which stands still unless they sleep."""

    def __init__(self, stack: Stack) -> None:
        self.seconds = 0.0
        super().__init__(stack)

    def _counted(self, function: Function, handler: Handler) -> Handler:
        counted = super()._counted(function, handler)

        def run(event: Any, context: Any) -> Any:
            started = self.stack.clock.now()
            try:
                return counted(event, context)
            finally:
                self.seconds += (self.stack.clock.now() - started).total_seconds()

        return run


def paced() -> float:
    """Seconds that functions sleep for an attempt of a batch with a rate. Raises `RuntimeError` if it is exceeded."""
    say(f"a batch of {PACED_CONTACTS} contacts at {PACED_RATE:g} calls a second")
    with counting(TimedBench, seed=SEED) as bench:
        stack = bench.stack
        agent_id = bench.agent(max_concurrent_calls=PACED_LINES)
        before = len(stack.carrier.calls.all())
        batch_id = create_batch(stack, agent_id, PACED_CONTACTS, BATCH_RETRIES, calls_per_second=f"{PACED_RATE:g}")
        bench.advance(1)
        bench.seconds = 0.0
        schedule(stack, batch_id, 2)
        play(stack, batch_id)
        placed = sorted(call.placed_at for call in stack.carrier.calls.all()[before:])
        for first, second in zip(placed, placed[int(PACED_RATE) + 1 :], strict=False):
            if (second - first).total_seconds() < 1:
                raise RuntimeError(f"more than {PACED_RATE:g} calls were started in the second from {first}")
        return bench.seconds / len(placed)


def report(goals: Sequence[Goal]) -> Iterator[str]:
    yield "## Goals"
    yield ""
    yield from table(["", "goal", "found", "", "how, or why not"], [goal.row() for goal in goals])
