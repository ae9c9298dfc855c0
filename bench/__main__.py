"""`python -m bench`: the cost of an attempt, here and elsewhere, and the speed and size of functions.

Prints Markdown, the main table first, and progress on standard error. Exits with status 1 if a goal that is a count
is missed. Counts are the same in every run; ratios of times are only reported. README.md describes the method.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from bench import attempt, batch, cold_start, console, elsewhere, headroom, package, prices, warm
from bench.attempt import ALONE, BUSY, Attempts, Counts
from bench.elsewhere import Job
from bench.goals import Goal
from bench.report import paragraph, put, say, show, table
from bench.stack import USER_DATA, function_name
from local import ROOT
from local.aws.functions import Function
from local.template import Template

BATCH_ROWS, BATCH_LINES = 300, 60
PACED_ROWS, PACED_LINES, PACED_RATE = 60, 20, 2
"""A batch with a rate and free lines: its calls wait only for the rate."""
SCALING = ROOT / "docs" / "scaling.md"
MINUTES_PER_MONTH = 365 * 24 * 60 / 12
QUEUES = 2
"""The number of queues: dial's and deliver's."""

MOST_COLD = {"dial": 1.25, "carrier_callback": 1.25, "deliver": 1.25, "api": 2.0}
MOST_WARM = {"dial": 1.5, "carrier_callback": 1.5}
FEW = "only final statuses and `scheduled`"
"""The events that an agent with a filter receives."""

COLUMNS: dict[str, Callable[[Counts], float]] = {
    "AWS requests": lambda one: one.aws_requests,
    "DynamoDB": lambda one: one.of("dynamodb"),
    "Scheduler": lambda one: one.schedules,
    "SQS": lambda one: one.of("sqs"),
    "Lambda invocations": lambda one: one.invocations.total(),
    "HTTP API requests": lambda one: one.http_api_requests,
    "HTTP to carrier": lambda one: one.posted("carrier"),
    "webhooks": lambda one: one.posted("webhook"),
    "write units: table": lambda one: one.units.table_writes,
    "indexes": lambda one: one.units.index_writes,
    "read units": lambda one: one.units.reads,
    "log, bytes": lambda one: one.log_bytes,
}
"""The columns of the table of attempts, each per attempt."""


@dataclass(frozen=True)
class Measured:
    """All measurements. `slept`: seconds that functions sleep for an attempt of a batch with a rate. `memory_mb`: by
    function."""

    attempts: Attempts
    played: batch.Campaign
    slept: float
    sweeper: Counts
    starts: Sequence[cold_start.ColdStart]
    warm: Sequence[warm.Warm]
    packages: Sequence[package.Package]
    console: tuple[int, float | None]
    memory_mb: dict[str, int]

    @property
    def bare_cpu_seconds(self) -> float:
        """Processor time of an invocation that makes one request and nothing else."""
        requests = sum(one.requests * one.events for one in self.warm)
        return sum(one.bare_seconds * one.events for one in self.warm) / requests

    def lambda_seconds(self, counts: Counts) -> dict[str, float]:
        """Run time of each function in seconds, as estimated for the price."""
        cpu, posted = {one.function: one.seconds for one in self.warm}, counts.http
        return {
            name: prices.lambda_seconds(
                self.memory_mb[name],
                runs * cpu[name],
                counts.by(name),
                posted[name, "carrier"],
                posted[name, "webhook"],
            )
            for name, runs in counts.invocations.items()
        }

    def lambda_dollars(self, counts: Counts) -> float:
        seconds = self.lambda_seconds(counts)
        return sum(prices.lambda_dollars(self.memory_mb[name], seconds[name]) for name in seconds)

    def dollars(self, counts: Counts) -> float:
        return sum(counts.dollars().values()) + self.lambda_dollars(counts)


def together(attempts: Sequence[Counts]) -> Counts:
    """The summed cost of the attempts of each call."""
    whole = reduce(add, attempts)
    whole.calls = attempts[0].calls
    return whole


def measure() -> Measured:
    overrides = {"PUBLIC_URL": "https://example.com", "CARRIER_SECRETS": "none", "ALLOW_LOCAL_WEBHOOKS": "false"}
    functions: Sequence[Function] = Template(ROOT / "template.yaml").functions(overrides)
    attempts = attempt.attempts()
    say(f"a batch of {BATCH_ROWS} contacts, and one with a rate")
    played = batch.campaign(BATCH_ROWS, BATCH_LINES)
    paced = batch.campaign(PACED_ROWS, PACED_LINES, calls_per_second=f"{PACED_RATE}").counts
    return Measured(
        attempts,
        played,
        paced.slept / paced.attempts,
        attempt.idle_sweeper(),
        cold_start.measure(functions),
        warm.measure(),
        package.measure(),
        console.measure(),
        {function_name(function.module): function.memory_mb for function in functions},
    )


# ---- the main table --------------------------------------------------------------------------------------------------


def jobs(found: Measured) -> dict[str, dict[str, Counts]]:
    """The jobs to compare, each for agents in some states. On other services the first state's cost applies to all."""
    attempts = found.attempts
    return {
        "answered at once": {f", {state}": attempts.answered[state] for state in (BUSY, ALONE)},
        "no answer, four times": {f", {state}": together(attempts.unanswered[state]) for state in (BUSY, ALONE)},
        f"a batch of {BATCH_ROWS} contacts, played to its end": {"": found.played.counts},
    }


def main_table(found: Measured) -> Iterator[str]:
    yield "# A thousand attempts"
    rows: list[list[object]] = []
    for title, states in jobs(found).items():
        for state, counts in states.items():
            of = 1000 / counts.attempts
            values = [
                counts.aws_requests, None, counts.units.writes, counts.units.reads, counts.invocations.total(),
                counts.http_api_requests, counts.schedules,
            ]  # fmt: skip
            rows.append([title, f"**Redial**{state}", *_rounded(values, of), f"**{found.dollars(counts) * of:.4f}**"])
        job = _job(next(iter(states.values())))
        for name, service in elsewhere.SERVICES.items():
            cost, of = service(job, found.bare_cpu_seconds), 1000 / job.attempts
            values = [cost.aws_requests, cost.counted, 0, 0, cost.invocations, cost.http_api_requests, 0]
            rows.append([title, name, *_rounded(values, of), f"{cost.dollars * of:.4f}"])
    yield table(
        ["job", "on", "AWS requests", "transitions, operations or actions", "write units", "read units",
         "Lambda invocations", "HTTP API requests", "schedules", "dollars"],
        rows,
    )  # fmt: skip
    yield paragraph(
        f"Per attempt × 1,000, at list price, Lambda's time included. User data of {len(json.dumps(USER_DATA))} bytes, "
        "all webhooks on and accepted at once. Write units are of the table and its indexes."
    )


def _rounded(values: Sequence[float | None], of: float) -> list[object]:
    return ["–" if value is None else 0 if value == 0 else f"{value * of:,.0f}" for value in values]


def _job(counts: Counts) -> Job:
    """The attempts and deliveries of the jobs, as input for `elsewhere`."""
    runs, retries = counts.invocations, counts.attempts - counts.calls
    webhooks = counts.posted("webhook")
    return Job(counts.calls, counts.attempts, retries, runs["carrier_callback"], runs["deliver"], webhooks)


# ---- goals -----------------------------------------------------------------------------------------------------------


def all_goals(found: Measured) -> list[Goal]:
    """The goals for costs, size and speed. A count or a size is exact: it is the same in every run."""
    unanswered, filtered = found.attempts.unanswered[BUSY], found.attempts.filtered
    in_all, few = (1e6 * found.dollars(one) / one.attempts for one in map(together, (unanswered, filtered)))
    four = "four unanswered attempts of a busy agent, Lambda's time included"
    created = "the creation of the call takes 4 of them: its item and three index entries"
    floor = "line 2, claim, carrier's id, result and delivery 1 each, entry of `due` 2; 4 more for the call's creation"
    again = "the agent is read again once it has a line, for a stop; deliver reads the item, to send two events at once"
    cold = "median processor time, with the layer as deployed"
    starts = {one.function: one.ratio for one in found.starts}
    warmed = {one.function: one.ratio for one in found.warm}

    def most(of: Callable[[Counts], float], attempts: Sequence[Counts]) -> float:
        return max(of(one) / one.attempts for one in attempts)

    def writes(one: Counts) -> float:
        return one.units.writes

    return [
        Goal("write units, first attempt", 10, most(writes, unanswered[:1]), created, exact=True),
        Goal("write units, 2nd to 4th attempt", 12, most(writes, unanswered[1:]), "the most of three", exact=True),
        Goal(f"write units, {FEW}", 7, most(writes, filtered), floor, exact=True),
        Goal("read units", 4, most(lambda one: one.units.reads, unanswered), again, exact=True),
        Goal("Lambda invocations", 6, most(lambda one: one.invocations.total(), unanswered), exact=True),
        Goal("dollars a million attempts", 12, in_all, four),
        Goal(f"dollars a million attempts, {FEW}", 8, few, four),
        Goal("a batch with a rate: Lambda seconds an attempt", 0.3, found.slept, "asleep"),
        *(Goal(f"{name}: cold start, bare handler = 1", of, starts[name], cold) for name, of in MOST_COLD.items()),
        *(Goal(f"{name}: a warm event, bare handler = 1", of, warmed[name]) for name, of in MOST_WARM.items()),
        Goal("the layer, zipped, MB", 15, found.packages[0].zipped / 1e6, exact=True),
    ]


# ---- details ---------------------------------------------------------------------------------------------------------


def attempts_report(found: Measured) -> Iterator[str]:
    attempts = found.attempts
    busy, alone = ([attempts.answered[one], *attempts.unanswered[one]] for one in (BUSY, ALONE))
    kinds = ((busy, ""), (alone, ", alone"), (attempts.filtered, ", few events"), (attempts.others, ""))
    counted = {one.title + kind: one for of_kind, kind in kinds for one in of_kind}
    names = [chr(ord("A") + place) for place in range(len(counted))]
    yield "## One attempt, counted"
    yield table(
        ["", "outcomes, the attempt's own last", *COLUMNS, "execution, bytes"],
        [
            [name, title, *(_each(column(one), one) for column in COLUMNS.values()), one.execution_bytes]
            for name, (title, one) in zip(names, counted.items(), strict=True)
        ],
    )
    yield "### AWS requests and Lambda invocations by function"
    rows: list[list[object]] = []
    for function in sorted({name for one in counted.values() for name in one.invocations}):
        runs = (_each(one.invocations[function], one) for one in counted.values())
        rows.append([f"**{function}**", "invocations", *runs])
        keys = sorted({key for one in counted.values() for key in one.requests if key[0] == function})
        rows += [["", " ".join(key[1:]), *(_each(one.requests[key], one) for one in counted.values())] for key in keys]
    yield table(["function", "", *names], rows)
    yield "### List price of a million attempts, in dollars"
    parts = list(found.played.counts.dollars())
    counted[found.played.counts.title] = found.played.counts
    rows = []
    for name, (title, one) in zip([*names, "batch"], counted.items(), strict=True):
        listed, time = one.dollars(), found.lambda_dollars(one)
        each, whole = (*(listed[part] for part in parts), time), found.dollars(one)
        rows.append([name, title, *(f"{value * 1e6 / one.attempts:.2f}" for value in (*each, whole))])
    yield table(["", "attempt", *parts, "Lambda's time, estimated", "sum"], rows)
    yield f"List prices of us-east-1 as of {prices.PRICES_AS_OF}, beyond free allowances: bench/prices.py has each."
    yield f"### A batch of {BATCH_ROWS} contacts, by function, per attempt"
    yield batch.by_function(found.played.counts)


def _each(value: float, counts: Counts) -> float:
    """`value` per attempt, rounded to hundredths."""
    return round(value / counts.attempts, 2)


def elsewhere_report(found: Measured) -> Iterator[str]:
    yield "## Elsewhere: how it is counted"
    of_title = {title: _job(next(iter(states.values()))) for title, states in jobs(found).items()}
    rows: list[list[object]] = []
    for name, service in elsewhere.SERVICES.items():
        costs = [service(job, 0) for job in of_title.values()]
        rows += [[name, step, *(cost.steps[step] for cost in costs)] for step in costs[0].steps]
        rows.append([f"**{name}**", "**all**", *(cost.counted for cost in costs)])
    yield table(["on", "charged for", *of_title], rows)


def sweeper_report(found: Measured) -> Iterator[str]:
    sweeper = found.sweeper
    runs = sweeper.invocations.total()
    dollars = found.dollars(sweeper) / runs + prices.DOLLARS_PER_MILLION_SCHEDULES / 1e6
    empty = prices.dollars_of_empty_queues(QUEUES, MINUTES_PER_MONTH * 60)
    yield "## Without work"
    yield table(
        ["", "value"],
        [
            ["the sweeper's AWS requests in a run, one a minute", f"{sweeper.aws_requests / runs:g}"],
            ["its read units", f"{sweeper.units.reads / runs:g}"],
            ["its write units", f"{sweeper.units.writes / runs:g}"],
            ["its log, bytes", f"{sweeper.log_bytes / runs:.0f}"],
            ["its dollars a month, with its schedule and estimated time", f"{dollars * MINUTES_PER_MONTH:.2f}"],
            [f"dollars a month for Lambda's polling of {QUEUES} empty queues", f"{empty:.2f}"],
        ],
    )


def speed_report(found: Measured) -> Iterator[str]:
    yield "## Cold start"
    yield table(
        ["function", "modules loaded", "bare handler's", "ms", "bare handler's, ms", "bare = 1", "AWS clients made"],
        [
            [
                start.function, start.modules, start.bare_modules, f"{start.seconds * 1000:.0f}",
                f"{start.bare_seconds * 1000:.0f}", f"{start.ratio:.2f}", ", ".join(start.clients),
            ]
            for start in found.starts
        ],
    )  # fmt: skip
    yield "## A warm event"
    yield table(
        ["function", "events", "requests of an event", "ms", "bare handler's, ms", "bare = 1"],
        [
            [
                one.function, one.events, f"{one.requests:.1f}", f"{one.seconds * 1000:.2f}",
                f"{one.bare_seconds * 1000:.2f}", f"{one.ratio:.2f}",
            ]
            for one in found.warm
        ],
    )  # fmt: skip


def headroom_report(found: Measured) -> Iterator[str]:
    counts = found.played.counts
    return headroom.report(found.played, found.lambda_seconds(counts), found.dollars(counts) / counts.attempts)


def report(found: Measured, wanted: Sequence[Goal]) -> Iterator[str]:
    yield from main_table(found)
    yield "## Goals"
    yield table(["", "at most", "found", "", "how, or why not"], [goal.row() for goal in wanted])
    yield from attempts_report(found)
    yield from elsewhere_report(found)
    yield from sweeper_report(found)
    yield from speed_report(found)
    yield from package.report(found.packages)
    yield from console.report(*found.console)
    yield from headroom_report(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="update the tables of docs/scaling.md")
    asked = parser.parse_args()
    found = measure()
    wanted = all_goals(found)
    show(report(found, wanted))
    if asked.docs:
        put(SCALING, "bench", list(headroom_report(found))[1:])  # the document has a heading of its own
    missed = [goal.name for goal in wanted if goal.exact and not goal.met]
    for name in missed:
        say(f"missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
