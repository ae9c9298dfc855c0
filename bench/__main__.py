"""`python -m bench`: what an attempt costs, here and elsewhere, how fast functions start and run, how large they are.

Prints Markdown, the main table first, and progress on standard error. Exits with status 1 if a goal that is a count
is missed; counts are the same in every run. Ratios of times are only reported.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from bench import attempt, batch, cold_start, console, elsewhere, goals, headroom, package, prices, warm
from bench.attempt import ALONE, BUSY, Attempts, Counts, Traffic
from bench.elsewhere import Cost, Job
from bench.goals import Goal
from bench.report import paragraph, put, say, table
from bench.stack import USER_DATA, function_name
from local import ROOT
from local.aws.functions import Function
from local.template import Template

BATCH_ROWS, BATCH_LINES = 300, 60
SCALING = ROOT / "docs" / "scaling.md"
MINUTES_PER_MONTH = 365 * 24 * 60 / 12
QUEUES = 2
"""Of dial and of deliver."""


MOST_COLD = {"dial": 1.25, "carrier_callback": 1.25, "deliver": 1.25, "api": 2.0}
MOST_WARM = 1.5
HURRIED = ("dial", "carrier_callback")
"""Functions whose times have goals."""
FEW = "only final statuses and `scheduled`"
"""The events that a filtering agent wants."""
COLD = "median processor time, with the layer as deployed"


@dataclass(frozen=True)
class Measured:
    """Everything that was measured. `whole`: cost of a batch, `played`; `slept`: seconds that functions sleep for an
    attempt of a batch with a rate; `memory_mb` by function."""

    attempts: Attempts
    whole: Counts
    played: batch.Campaign
    slept: float
    sweeper: Counts
    starts: Sequence[cold_start.ColdStart]
    warm: Sequence[warm.Warm]
    packages: Sequence[package.Package]
    console: console.ConsoleFigures
    memory_mb: dict[str, int]

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """Processor time of one invocation, by function."""
        return {one.function: one.seconds for one in self.warm}

    @property
    def bare_cpu_seconds(self) -> float:
        """Of an invocation that makes one request."""
        requests = sum(one.requests * one.events for one in self.warm)
        return sum(one.bare_seconds * one.events for one in self.warm) / requests

    def lambda_dollars(self, counts: Counts) -> float:
        return counts.lambda_dollars(self.memory_mb, self.cpu_seconds)

    def dollars(self, counts: Counts) -> float:
        return sum(counts.dollars().values()) + self.lambda_dollars(counts)

    def unanswered(self, traffic: Traffic) -> Counts:
        """The four attempts of each call, together."""
        return _together(self.attempts.unanswered[traffic])

    @property
    def lambda_seconds(self) -> float:
        """Of an attempt of the batch, estimated as for the price."""
        return sum(self.whole.lambda_seconds(self.memory_mb, self.cpu_seconds).values()) / self.whole.attempts


def _together(attempts: Sequence[Counts]) -> Counts:
    """The attempts of each call as one cost."""
    together = reduce(add, attempts)
    together.calls = attempts[0].calls
    return together


def measure() -> Measured:
    overrides = {"PUBLIC_URL": "https://example.com", "CARRIER_SECRETS": "none", "ALLOW_LOCAL_WEBHOOKS": "false"}
    functions: Sequence[Function] = Template(ROOT / "template.yaml").functions(overrides)
    attempts = attempt.attempts()
    say(f"a batch of {BATCH_ROWS} contacts")
    whole, played = batch.whole(BATCH_ROWS, BATCH_LINES)
    slept = goals.paced()
    sweeper = attempt.idle_sweeper()
    starts = cold_start.measure(functions)
    warmed = warm.measure()
    say("building the layer")
    memory_mb = {function_name(function.module): function.memory_mb for function in functions}
    packages = package.measure()
    say("drawing the console")
    drawn = console.measure()
    return Measured(attempts, whole, played, slept, sweeper, starts, warmed, packages, drawn, memory_mb)


# ---- the main table --------------------------------------------------------------------------------------------------


def main_table(found: Measured) -> Iterator[str]:
    yield "# A thousand attempts"
    yield ""
    ways: list[tuple[str, str, Counts]] = [
        *(("answered at once", f", {one}", found.attempts.answered[one]) for one in (BUSY, ALONE)),
        *(("no answer, four times", f", {one}", found.unanswered(one)) for one in (BUSY, ALONE)),
        (f"a batch of {BATCH_ROWS} contacts, played to its end", "", found.whole),
    ]
    rows: list[list[object]] = []
    for title, way, counts in ways:
        of = 1000 / counts.attempts
        values = [
            counts.aws_requests, None, counts.units.writes, counts.units.reads, counts.invocations.total(),
            counts.http_api_requests, counts.schedules,
        ]  # fmt: skip
        rows.append([title, f"**Redial**{way}", *_rounded(values, of), f"**{found.dollars(counts) * of:.4f}**"])
        if way == f", {BUSY}":
            continue
        # Elsewhere there is no difference between busy and alone.
        same = next(one for name, _, one in ways if name == title)
        for name, service in elsewhere.SERVICES.items():
            cost = service(_job(same), found.bare_cpu_seconds)
            rows.append([title, name, *_elsewhere(cost, 1000 / same.attempts)])
    yield from table(
        ["job", "on", "AWS requests", "transitions, operations or actions", "write units", "read units",
         "Lambda invocations", "HTTP API requests", "schedules", "dollars"],
        rows,
    )  # fmt: skip
    yield from paragraph(
        f"Per attempt × 1,000, at list price, Lambda's time included. User data of {len(json.dumps(USER_DATA))} bytes,",
        "all webhooks on and accepted at once. Write units are of the table and its indexes.",
    )


def _elsewhere(cost: Cost, of: float) -> list[object]:
    values = [cost.aws_requests, cost.counted, 0, 0, cost.invocations, cost.http_api_requests, 0]
    return [*_rounded(values, of), f"{cost.dollars * of:.4f}"]


def _rounded(values: Sequence[float | None], of: float) -> list[object]:
    return ["–" if value is None else 0 if value == 0 else f"{value * of:,.0f}" for value in values]


def _job(counts: Counts) -> Job:
    """The attempts and deliveries of the jobs, as input for `elsewhere`."""
    retries, callbacks = counts.attempts - counts.calls, counts.invocations["carrier_callback"]
    return Job(counts.calls, counts.attempts, retries, callbacks, counts.deliveries, counts.webhooks, counts.hours)


# ---- goals -----------------------------------------------------------------------------------------------------------


def all_goals(found: Measured) -> list[Goal]:
    """For costs, size and speed. A count or a size is exact: the same in every run."""
    unanswered, filtered = found.attempts.unanswered[BUSY], found.attempts.filtered
    all_told, few = (1e6 * found.dollars(one) / one.attempts for one in map(_together, (unanswered, filtered)))
    estimate = f"asleep; with waiting and processor time, as estimated for the price, {found.lambda_seconds:.2f}"
    four = "four unanswered attempts of a busy agent, Lambda's time included"
    queues = "; queues, which keep hanging webhooks from dialling, cost"
    created = "the creation of the call takes 4 of them: its item and three index entries"
    floor = "line 2, claim, carrier's id, result and delivery 1 each, entry of `due` 2; 4 more for the call's creation"
    again = "the agent is read again once it has a line, for a stop; deliver reads the item, to send two events at once"
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
        Goal("dollars a million attempts", 12, all_told, f"{four}{queues} 3.6"),
        Goal(f"dollars a million attempts, {FEW}", 8, few, f"{four}{queues} 2.4"),
        Goal("a batch with a rate: Lambda seconds an attempt", 0.3, found.slept, estimate),
        goals.kept(goals.STOP, 15, "make bench-batch"),
        goals.kept(goals.INGEST, 8_000, "make bench-ingest", at_least=True),
        *(Goal(f"{name}: cold start, bare handler = 1", of, starts[name], COLD) for name, of in MOST_COLD.items()),
        *(Goal(f"{name}: a warm event, bare handler = 1", MOST_WARM, warmed[name]) for name in HURRIED),
        Goal("the layer, zipped, MB", 15, found.packages[0].zipped / package.MB, exact=True),
    ]


# ---- details ---------------------------------------------------------------------------------------------------------


def attempts_report(found: Measured) -> Iterator[str]:
    attempts = found.attempts
    busy, alone = ([attempts.answered[one], *attempts.unanswered[one]] for one in (BUSY, ALONE))
    counted = [*busy, *alone, *attempts.filtered, *attempts.others]
    names = [chr(ord("A") + number) for number in range(len(counted))]
    titles = [
        f"{one.title}{', alone' if one in alone else ', few events' if one in attempts.filtered else ''}"
        for one in counted
    ]
    yield "## One attempt, counted"
    yield ""
    yield from table(
        ["", "attempt", "AWS requests", "DynamoDB", "Scheduler", "SQS", "Lambda invokes", "Lambda invocations",
         "HTTP API requests", "HTTP to carrier", "webhooks", "write units: table", "indexes", "read units",
         "execution, bytes", "log, bytes"],
        [
            [
                name, title,
                *(
                    _each(value, one)
                    for value in (
                        one.aws_requests, one.of("dynamodb"), one.of("scheduler"), one.of("sqs"), one.of("lambda"),
                        one.invocations.total(), one.http_api_requests, one.posted("carrier"), one.webhooks,
                        one.units.table_writes, one.units.index_writes, one.units.reads,
                    )
                ),
                one.execution_bytes, _each(one.log_bytes, one),
            ]
            for name, title, one in zip(names, titles, counted, strict=True)
        ],
    )  # fmt: skip
    yield "### AWS requests and Lambda invocations by function"
    yield ""
    rows: list[list[object]] = []
    for function in sorted({name for one in counted for name in one.invocations}):
        rows.append([f"**{function}**", "invocations", *(_each(one.invocations[function], one) for one in counted)])
        keys = sorted({key for one in counted for key in one.requests if key[0] == function})
        rows += [["", " ".join(key[1:]), *(_each(one.requests[key], one) for one in counted)] for key in keys]
    yield from table(["function", "", *names], rows)
    yield "### List price of a million attempts, in dollars"
    yield ""
    parts = list(found.whole.dollars())
    rows = []
    for name, title, one in zip([*names, "batch"], [*titles, found.whole.title], [*counted, found.whole], strict=True):
        million, listed = 1e6 / one.attempts, one.dollars()
        each, time = [listed[part] * million for part in parts], found.lambda_dollars(one) * million
        prices_of = (*(f"{value:.2f}" for value in each), f"**{sum(each):.2f}**", f"{time:.2f}")
        rows.append([name, title, *prices_of, f"**{sum(each) + time:.2f}**"])
    yield from table(["", "attempt", *parts, "sum", "Lambda's time, estimated", "with it"], rows)
    yield from prices_report()
    yield from batch_report(found.whole)


def _each(value: float, counts: Counts) -> float:
    """Per attempt, to a hundredth."""
    return round(value / counts.attempts, 2)


def prices_report() -> Iterator[str]:
    listed = {
        "DynamoDB on demand a million write units": prices.DOLLARS_PER_MILLION_WRITE_UNITS,
        "a million read units": prices.DOLLARS_PER_MILLION_READ_UNITS,
        "a million HTTP API requests": prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
        "a million Lambda requests": prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
        "a million GB-seconds of Lambda on arm64": prices.DOLLARS_PER_GB_SECOND * 1e6,
        "a million schedules that fire": prices.DOLLARS_PER_MILLION_SCHEDULES,
        "a million SQS requests": prices.DOLLARS_PER_MILLION_SQS_REQUESTS,
        "a million reads of a secret": prices.DOLLARS_PER_MILLION_SECRET_READS,
        "a GB of logs": prices.DOLLARS_PER_LOG_GB,
    }
    yield from paragraph(
        f"List prices of us-east-1 as of {prices.PRICES_AS_OF}, beyond free allowances:",
        "; ".join(f"{what} ${price:g}" for what, price in listed.items()) + ".",
        "Lambda's time is an estimate: processor time of a warm event as measured below, times",
        f"{prices.MB_OF_A_PROCESSOR} MB / the function's memory, plus assumed waiting:",
        f"{prices.MS_PER_AWS_REQUEST:g} ms for each AWS request, {prices.MS_PER_CARRIER_REQUEST:g} for the carrier,",
        f"{prices.MS_PER_WEBHOOK:g} for each webhook. A message of a queue is",
        f"{prices.SQS_REQUESTS_PER_MESSAGE} requests: sent by a function or the Scheduler, received, deleted.",
        "Left out: Lambda's own log lines, cold starts, the HTTP API's access log, tracing, S3 (some requests for each",
        "batch), storage, data sent out, the carrier.",
    )


def batch_report(counts: Counts) -> Iterator[str]:
    yield f"### A batch of {BATCH_ROWS} contacts, by function, per attempt"
    yield ""
    rows = []
    for name in sorted(counts.invocations):
        posted = counts.http[name, "carrier"] + counts.http[name, "webhook"]
        values = (counts.invocations[name], counts.by(name), posted)
        rows.append([name, *(f"{n / counts.attempts:.{digits}f}" for n, digits in zip(values, (3, 2, 2), strict=True))])
    yield from table(["function", "invocations", "AWS requests", "HTTP requests"], rows)
    yield f"{counts.attempts} attempts over {BATCH_LINES} lines. The sweeper's share is smaller in a larger batch."
    yield ""


def elsewhere_report(found: Measured) -> Iterator[str]:
    yield "## Elsewhere: how it is counted"
    yield ""
    jobs = {
        "answered at once": _job(found.attempts.answered[BUSY]),
        "no answer, four times": _job(found.unanswered(BUSY)),
        f"a batch of {BATCH_ROWS}": _job(found.whole),
    }
    yield from table(
        ["job", "calls", "attempts", "retries", "callbacks", "deliveries"],
        [[title, job.calls, job.attempts, job.retries, job.callbacks, job.deliveries] for title, job in jobs.items()],
    )
    rows: list[list[object]] = []
    for name, service in elsewhere.SERVICES.items():
        costs = [service(job, 0) for job in jobs.values()]
        rows += [[name, step, *(cost.steps[step] for cost in costs)] for step in costs[0].steps]
        rows.append([f"**{name}**", "**all**", *(cost.counted for cost in costs)])
    yield from table(["on", "charged for", *jobs], rows)
    yield from paragraph(
        f"Step Functions Standard: ${prices.DOLLARS_PER_MILLION_TRANSITIONS:g} for a million transitions",
        "(https://aws.amazon.com/step-functions/pricing/). Lambda durable functions:",
        f"${prices.DOLLARS_PER_MILLION_DURABLE_OPERATIONS:g} for a million operations, from the example of",
        "https://aws.amazon.com/lambda/pricing/; they also charge for data written and retained, which is left out for",
        "want of a source. Temporal Cloud:",
        f"${prices.DOLLARS_PER_MILLION_ACTIONS:g} for a million actions, the first tier;",
        f"${prices.DOLLARS_PER_ACTIVE_GB_HOUR:g} for a GB of open history for an hour and",
        f"${prices.DOLLARS_PER_RETAINED_GB_HOUR:g} of closed, {elsewhere.HISTORY_BYTES_PER_ACTION} bytes for each",
        f"action kept {elsewhere.RETENTION_HOURS} hours; and {prices.DEVELOPER_PLAN:.0%} for the smallest plan",
        "(https://docs.temporal.io/cloud/pricing). Their functions take the processor time of a bare handler, and",
        "wait as assumed above.",
    )


def sweeper_report(found: Measured) -> Iterator[str]:
    sweeper = found.sweeper
    runs = sweeper.invocations.total()
    requests = sorted(sweeper.requests.items())
    asked = ", ".join(f"{service} {operation} {count / runs:g}" for (_, service, operation), count in requests)
    dollars = found.dollars(sweeper) + runs * prices.DOLLARS_PER_MILLION_SCHEDULES / 1e6
    yield "## The sweeper, idle"
    yield ""
    yield from paragraph(
        f"For each of {runs} runs, one a minute: {sweeper.aws_requests / runs:g} AWS requests ({asked}),",
        f"{sweeper.units.reads / runs:g} read units, {sweeper.units.writes / runs:g} write units,",
        f"{sweeper.log_bytes / runs:.0f} bytes of log. In a month of {MINUTES_PER_MONTH:.0f} minutes:",
        f"${dollars * MINUTES_PER_MONTH / runs:.2f}, its schedule and its estimated time included.",
    )
    month = prices.dollars_of_empty_queues(QUEUES, MINUTES_PER_MONTH * 60)
    yield from paragraph(
        f"Besides, Lambda polls the {QUEUES} queues of dial and deliver, {prices.POLLERS} pollers each, also when they",
        f"are empty: about ${month:.2f} in a month, if each waits {prices.LONG_POLL_SECONDS} seconds.",
    )


def speed_report(found: Measured) -> Iterator[str]:
    yield "## Cold start"
    yield ""
    yield from table(
        ["function", "modules loaded", "bare handler's", "ms", "bare handler's, ms", "bare = 1", "AWS clients made"],
        [
            [
                start.function, start.modules, start.bare_modules, f"{start.seconds * 1000:.0f}",
                f"{start.bare_seconds * 1000:.0f}", f"{start.ratio:.2f}", ", ".join(start.clients),
            ]
            for start in found.starts
        ],
    )  # fmt: skip
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    yield f"Median processor time of {cold_start.ROUNDS} starts by turns, {version}, with the layer as deployed."
    yield ""
    yield "## A warm event"
    yield ""
    yield from table(
        ["function", "events", "requests of an event", "ms", "bare handler's, ms", "bare = 1"],
        [
            [
                one.function, one.events, f"{one.requests:.1f}", f"{one.seconds * 1000:.2f}",
                f"{one.bare_seconds * 1000:.2f}", f"{one.ratio:.2f}",
            ]
            for one in found.warm
        ],
    )  # fmt: skip
    yield f"Processor time by turns: {warm.TURNS} processes of each handler, {warm.TIMES} times each event."
    yield ""


def package_report(packages: Sequence[package.Package]) -> Iterator[str]:
    yield "## What is deployed"
    yield ""
    yield from table(
        ["", "zipped, kB", "unzipped, kB"],
        [[one.name, f"{one.zipped / 1000:,.0f}", f"{one.unzipped / 1000:,.0f}"] for one in packages],
    )
    parts = packages[0].parts[:6]
    largest = ", ".join(f"{name.removeprefix('python/')} {size / package.MB:.2f}" for name, size in parts)
    yield f"The layer's largest parts, zipped, in MB: {largest}."
    yield ""


def headroom_report(found: Measured) -> Iterator[str]:
    seconds = found.whole.lambda_seconds(found.memory_mb, found.cpu_seconds)
    yield from headroom.report(found.whole, found.played, seconds, found.dollars(found.whole) / found.whole.attempts)


def report(found: Measured, wanted: Sequence[Goal]) -> Iterator[str]:
    yield from main_table(found)
    yield from goals.report(wanted)
    yield from attempts_report(found)
    yield from elsewhere_report(found)
    yield from sweeper_report(found)
    yield from speed_report(found)
    yield from package_report(found.packages)
    yield from console.report(found.console)
    yield from headroom_report(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="update the tables of docs/scaling.md")
    asked = parser.parse_args()
    found = measure()
    wanted = all_goals(found)
    print("\n".join(report(found, wanted)))
    if asked.docs:
        put(SCALING, "bench", list(headroom_report(found))[2:])  # the document has a heading of its own
    missed = [goal.name for goal in wanted if goal.exact and not goal.met]
    for name in missed:
        say(f"missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
