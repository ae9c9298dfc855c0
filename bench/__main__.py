"""`python -m bench`: what an attempt costs, here and elsewhere, how fast functions start and run, how large they are.

Markdown on standard output, the table of the whole first; progress on standard error. A target that is missed ends it
with status 1 where it is a count, which is the same in every run; a ratio of times is only reported.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from bench import attempt, batch, cold_start, elsewhere, headroom, package, prices, warm
from bench.attempt import ALONE, BUSY, USER_DATA, Attempts, Counts, Traffic
from bench.elsewhere import Cost, Job
from bench.markdown import paragraph, put, table
from local import ROOT
from local.aws.functions import Function
from local.template import Template

BATCH_ROWS, BATCH_LINES = 300, 60
SCALING = ROOT / "docs" / "scaling.md"
MINUTES_PER_MONTH = 365 * 24 * 60 / 12


MOST_COLD = 1.25
MOST_WARM = 1.5
HURRIED = ("dial", "carrier_callback")
"""Functions whose times have targets."""
MOST_WRITE_UNITS, MOST_READ_UNITS, MOST_INVOCATIONS, MOST_DOLLARS = 20, 4, 6, 25.0
"""Of one attempt that is not answered, whichever of the four; dollars for a million."""
MOST_PACKAGE_MB = 15.0


@dataclass(frozen=True)
class Measured:
    """Everything that was measured. `whole`: of a batch, `played`; `memory_mb` by function."""

    attempts: Attempts
    whole: Counts
    played: batch.Campaign
    sweeper: Counts
    starts: Sequence[cold_start.ColdStart]
    warm: Sequence[warm.Warm]
    packages: Sequence[package.Package]
    memory_mb: dict[str, int]

    @property
    def cpu_seconds(self) -> dict[str, float]:
        """Processor time of one invocation, by function."""
        return {one.function: one.seconds for one in self.warm}

    @property
    def bare_cpu_seconds(self) -> float:
        """Of an invocation that makes one request."""
        return sum(one.bare_seconds * one.events for one in self.warm) / sum(
            one.requests * one.events for one in self.warm
        )

    def lambda_dollars(self, counts: Counts) -> float:
        return counts.lambda_dollars(self.memory_mb, self.cpu_seconds)

    def dollars(self, counts: Counts) -> float:
        return sum(counts.dollars().values()) + self.lambda_dollars(counts)

    def unanswered(self, traffic: Traffic) -> Counts:
        """The four attempts of each call, together."""
        together = reduce(add, self.attempts.unanswered[traffic])
        together.calls = self.attempts.unanswered[traffic][0].calls
        return together


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure() -> Measured:
    overrides = {"PUBLIC_URL": "https://example.com", "CARRIER_SECRETS": "none", "ALLOW_LOCAL_WEBHOOKS": "false"}
    functions: Sequence[Function] = Template(ROOT / "template.yaml").functions(overrides)
    attempts = attempt.attempts(_say)
    _say(f"a batch of {BATCH_ROWS} contacts")
    whole, played = batch.whole(BATCH_ROWS, BATCH_LINES, _say)
    sweeper = attempt.idle_sweeper(_say)
    starts = cold_start.measure(functions, _say)
    warmed = warm.measure(_say)
    _say("building the layer")
    memory_mb = {function.module.split(".")[1]: function.memory_mb for function in functions}
    return Measured(attempts, whole, played, sweeper, starts, warmed, package.measure(), memory_mb)


# ---- the one table --------------------------------------------------------------------------------------------------


def one_table(found: Measured) -> Iterator[str]:
    yield "# A thousand attempts"
    yield ""
    jobs: list[tuple[str, list[tuple[str, Counts]]]] = [
        ("answered at once", [(_of_traffic(one), found.attempts.answered[one]) for one in (BUSY, ALONE)]),
        ("no answer, four times", [(_of_traffic(one), found.unanswered(one)) for one in (BUSY, ALONE)]),
        (f"a batch of {BATCH_ROWS} contacts, played to its end", [("", found.whole)]),
    ]
    rows: list[list[object]] = []
    for job, ways in jobs:
        for way, counts in ways:
            of = 1000 / counts.attempts
            rows.append(
                [
                    job, f"**Redial**{way}", _round(counts.aws_requests * of), "–", _round(counts.units.writes * of),
                    _round(counts.units.reads * of), _round(counts.invocations.total() * of),
                    _round(counts.http_api_requests * of), _round(counts.schedules * of),
                    f"**{found.dollars(counts) * of:.4f}**",
                ]
            )  # fmt: skip
        counts = ways[0][1]
        for name, cost in (
            ("Step Functions Standard", elsewhere.step_functions(_job(counts), found.bare_cpu_seconds)),
            ("Temporal Cloud", elsewhere.temporal_cloud(_job(counts), found.bare_cpu_seconds)),
        ):
            rows.append([job, name, *_elsewhere(cost, 1000 / counts.attempts)])
    yield from table(
        ["job", "on", "AWS requests", "transitions or actions", "write units", "read units", "Lambda invocations",
         "HTTP API requests", "schedules", "dollars"],
        rows,
    )  # fmt: skip
    yield ""
    yield from paragraph(
        "Per attempt × 1,000, at list price, Lambda's time included. User data of",
        f"{len(json.dumps(USER_DATA))} bytes, all webhooks on, each accepted at once. Busy: its agent makes a call",
        "every second, so functions are warm, one process of each, and hold what they keep",
        "in memory. Alone: nobody has called for a long time, every function starts in a new process. The batch is",
        "counted from its upload to its last webhook, with the functions that read, start and count it and the",
        "sweeper every minute. Write units are of the table and its indexes.",
    )
    yield ""


def _of_traffic(traffic: Traffic) -> str:
    return ", busy" if traffic == BUSY else ", alone"


def _elsewhere(cost: Cost, of: float) -> list[object]:
    return [
        _round(cost.aws_requests * of), _round(cost.counted * of), 0, 0, _round(cost.invocations * of),
        _round(cost.http_api_requests * of), 0, f"{cost.dollars * of:.4f}",
    ]  # fmt: skip


def _job(counts: Counts) -> Job:
    """What happened, for those who would have done it otherwise."""
    return Job(
        counts.calls,
        counts.attempts,
        counts.attempts - counts.calls,
        counts.invocations["carrier_callback"],
        counts.deliveries,
        counts.webhooks,
        counts.hours,
    )


def _round(value: float) -> str:
    return "0" if value == 0 else f"{value:,.0f}"


# ---- targets --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """`exact`: a count, the same in every run, or the size of what is built."""

    name: str
    most: float
    value: float
    exact: bool = True

    @property
    def met(self) -> bool:
        return self.value <= self.most

    def row(self) -> list[object]:
        by = abs(self.value / self.most - 1) * 100
        return [
            self.name,
            f"{self.most:g}",
            f"{self.value:.4g}",
            f"met, {by:.0f} % below" if self.met else f"**missed by {by:.0f} %**",
        ]


def targets(found: Measured) -> list[Target]:
    starts = {one.function: one.ratio for one in found.starts}
    warmed = {one.function: one.ratio for one in found.warm}
    of_attempts = found.attempts.unanswered[BUSY]
    worst = "an attempt not answered, the worst of four, busy: "
    return [
        Target(worst + "write units", MOST_WRITE_UNITS, max(one.units.writes / one.attempts for one in of_attempts)),
        Target(worst + "read units", MOST_READ_UNITS, max(one.units.reads / one.attempts for one in of_attempts)),
        Target(
            worst + "Lambda invocations",
            MOST_INVOCATIONS,
            max(one.invocations.total() / one.attempts for one in of_attempts),
        ),
        Target(
            worst + "dollars for a million, without Lambda's time",
            MOST_DOLLARS,
            1e6 * max(sum(one.dollars().values()) / one.attempts for one in of_attempts),
        ),
        Target(
            worst + "dollars for a million, with it",
            MOST_DOLLARS,
            1e6 * max(found.dollars(one) / one.attempts for one in of_attempts),
            exact=False,
        ),
        *(Target(f"{name}: cold start, bare handler = 1", MOST_COLD, starts[name], exact=False) for name in HURRIED),
        *(Target(f"{name}: a warm event, bare handler = 1", MOST_WARM, warmed[name], exact=False) for name in HURRIED),
        Target("the layer, zipped, MB", MOST_PACKAGE_MB, found.packages[0].zipped / package.MB),
    ]


def targets_report(all_targets: Sequence[Target]) -> Iterator[str]:
    yield "## Targets"
    yield ""
    yield from table(["", "at most", "found", ""], [target.row() for target in all_targets])
    yield ""


# ---- details --------------------------------------------------------------------------------------------------------


def attempts_report(found: Measured) -> Iterator[str]:
    attempts = found.attempts
    counted = [
        *(one for traffic in (BUSY, ALONE) for one in (attempts.answered[traffic], *attempts.unanswered[traffic])),
        *attempts.others,
    ]
    alone = len(attempts.unanswered[ALONE]) + 1
    names = [chr(ord("A") + number) for number in range(len(counted))]
    titles = [f"{one.title}{', alone' if alone <= number < 2 * alone else ''}" for number, one in enumerate(counted)]
    yield "## One attempt, counted"
    yield ""
    yield from table(
        ["", "attempt", "AWS requests", "DynamoDB", "Scheduler", "Lambda invokes", "Lambda invocations",
         "HTTP API requests", "HTTP to carrier", "webhooks", "write units: table", "indexes", "read units",
         "execution, bytes", "log, bytes"],
        [
            [
                name, title,
                *(
                    _each(value, one)
                    for value in (
                        one.aws_requests, one.of("dynamodb"), one.of("scheduler"), one.of("lambda"),
                        one.invocations.total(), one.http_api_requests, one.carrier_requests, one.webhooks,
                        one.units.table_writes, one.units.index_writes, one.units.reads,
                    )
                ),
                one.execution_bytes, _each(one.log_bytes, one),
            ]
            for name, title, one in zip(names, titles, counted, strict=True)
        ],
    )  # fmt: skip
    yield ""
    yield from paragraph(
        "HTTP API requests are what the client and the carrier send: the request for the call, and status callbacks.",
        "Write units are those of DynamoDB's rules for the items as they were: 1 for each started KB of the larger of",
        "the item before and after; in an index, 1 each for an entry that appears or goes. Read units: 1 for each",
        "started 4 KB, half for reads that may lag. Those that wait for a line do so while nobody else calls.",
    )
    yield ""
    yield "### AWS requests and Lambda invocations by function"
    yield ""
    yield from table(
        ["function", "", *names],
        [
            row
            for function in sorted({name for one in counted for name in one.invocations})
            for row in (
                [f"**{function}**", "invocations", *(_each(one.invocations[function], one) for one in counted)],
                *(
                    [
                        "",
                        f"{service} {operation}",
                        *(_each(one.requests[function, service, operation], one) for one in counted),
                    ]
                    for of, service, operation in sorted({key for one in counted for key in one.requests})
                    if of == function
                ),
            )
        ],
    )
    yield ""
    yield "### List price of a million attempts, in dollars"
    yield ""
    counted.append(found.whole)
    parts = list(counted[0].dollars())
    yield from table(
        ["", "attempt", *parts, "sum", "Lambda's time, estimated", "with it"],
        [
            [
                name,
                title,
                *(f"{one.dollars()[part] / one.attempts * 1e6:.2f}" for part in parts),
                f"**{sum(one.dollars().values()) / one.attempts * 1e6:.2f}**",
                f"{found.lambda_dollars(one) / one.attempts * 1e6:.2f}",
                f"**{found.dollars(one) / one.attempts * 1e6:.2f}**",
            ]
            for name, title, one in zip([*names, "batch"], [*titles, found.whole.title], counted, strict=True)
        ],
    )
    yield ""
    yield from prices_report()
    yield from batch_report(found.whole)


def _each(value: float, counts: Counts) -> float:
    """Of each attempt, to a hundredth."""
    return round(value / counts.attempts, 2)


def prices_report() -> Iterator[str]:
    listed = {
        "DynamoDB on demand a million write units": prices.DOLLARS_PER_MILLION_WRITE_UNITS,
        "a million read units": prices.DOLLARS_PER_MILLION_READ_UNITS,
        "a million HTTP API requests": prices.DOLLARS_PER_MILLION_HTTP_API_REQUESTS,
        "a million Lambda requests": prices.DOLLARS_PER_MILLION_LAMBDA_REQUESTS,
        "a million GB-seconds of Lambda on arm64": prices.DOLLARS_PER_GB_SECOND * 1e6,
        "a million schedules that fire": prices.DOLLARS_PER_MILLION_SCHEDULES,
        "a million reads of a secret": prices.DOLLARS_PER_MILLION_SECRET_READS,
        "a GB of logs": prices.DOLLARS_PER_LOG_GB,
    }
    yield from paragraph(
        f"List prices of us-east-1 as of {prices.PRICES_AS_OF}, beyond free allowances:",
        "; ".join(f"{what} ${price:g}" for what, price in listed.items()) + ".",
        "Lambda's time is an estimate: processor time of a warm event as measured below, times",
        f"{prices.MB_OF_A_PROCESSOR} MB / the function's memory, and waiting as assumed:",
        f"{prices.MS_PER_AWS_REQUEST:g} ms for each AWS request, {prices.MS_PER_CARRIER_REQUEST:g} for the carrier,",
        f"{prices.MS_PER_WEBHOOK:g} for each webhook. Left out: Lambda's own log lines, cold starts, the",
        "HTTP API's access log, tracing, S3 (some requests for each batch), storage, data sent out, the carrier.",
    )
    yield ""


def batch_report(counts: Counts) -> Iterator[str]:
    yield f"### A batch of {BATCH_ROWS} contacts, by function, per attempt"
    yield ""
    functions = sorted(counts.invocations)
    yield from table(
        ["function", "invocations", "AWS requests", "HTTP requests"],
        [
            [
                name,
                f"{counts.invocations[name] / counts.attempts:.3f}",
                f"{sum(n for (of, _, _), n in counts.requests.items() if of == name) / counts.attempts:.2f}",
                f"{sum(n for (of, _), n in counts.http.items() if of == name) / counts.attempts:.2f}",
            ]
            for name in functions
        ],
    )
    yield ""
    yield from paragraph(
        f"{counts.attempts} attempts with the emulated carrier's mix of outcomes, {BATCH_LINES} lines, up to",
        "three retries after 10, 20 and 30 minutes. What the sweeper takes is a minute's, whatever the number of",
        "calls: in a larger batch its share is smaller. Checked: every contact final, counts right, never more calls",
        "than lines, each attempt one call, every event there once and in order.",
    )
    yield ""


def elsewhere_report(found: Measured) -> Iterator[str]:
    yield "## Elsewhere: how it is counted"
    yield ""
    yield "```text"
    yield from (elsewhere.__doc__ or "").partition("\n\n")[2].strip().splitlines()
    yield "```"
    yield ""
    rows: list[list[object]] = []
    for title, counts in (
        ("answered at once", found.attempts.answered[BUSY]),
        ("no answer, four times", found.unanswered(BUSY)),
        (f"a batch of {BATCH_ROWS}", found.whole),
    ):
        job = _job(counts)
        rows.append(
            [
                title, job.calls, job.attempts, job.retries, job.callbacks, job.deliveries,
                elsewhere.step_functions(job, 0).counted, elsewhere.temporal_cloud(job, 0).counted,
            ]
        )  # fmt: skip
    yield from table(["job", "calls", "attempts", "retries", "callbacks", "deliveries", "transitions", "actions"], rows)
    yield ""
    yield from paragraph(
        f"Step Functions Standard: ${prices.DOLLARS_PER_MILLION_TRANSITIONS:g} for a million transitions",
        "(https://aws.amazon.com/step-functions/pricing/). Temporal Cloud:",
        f"${prices.DOLLARS_PER_MILLION_ACTIONS:g} for a million actions, the first tier;",
        f"${prices.DOLLARS_PER_ACTIVE_GB_HOUR:g} for a GB of open history for an hour and",
        f"${prices.DOLLARS_PER_RETAINED_GB_HOUR:g} of closed, {elsewhere.HISTORY_BYTES_PER_ACTION} bytes for",
        f"each action kept {elsewhere.RETENTION_HOURS} hours; and {prices.DEVELOPER_PLAN:.0%} for the least plan",
        "(https://docs.temporal.io/cloud/pricing). Functions there take the processor time of a bare handler, and wait",
        "as assumed above.",
    )
    yield ""
    yield from paragraph(
        "Where they win: no state of one's own to design, a picture and a history of every run, retries and timeouts",
        "that are declared or plain code, and whatever else a workflow is to do later. Step Functions costs nothing up",
        "to 4,000 transitions a month. Temporal's price for an action halves at 100 million a month; and it keeps the",
        "events of one call in order by itself.",
    )
    yield ""


def sweeper_report(found: Measured) -> Iterator[str]:
    sweeper = found.sweeper
    runs = sweeper.invocations.total()
    month = MINUTES_PER_MONTH / runs
    asked = ", ".join(
        f"{service} {operation} {count / runs:g}" for (_, service, operation), count in sorted(sweeper.requests.items())
    )
    dollars = found.dollars(sweeper) + runs * prices.DOLLARS_PER_MILLION_SCHEDULES / 1e6
    yield "## The sweeper, idle"
    yield ""
    yield from paragraph(
        f"For each of {runs} runs, one a minute: {sweeper.aws_requests / runs:g} AWS requests ({asked}),",
        f"{sweeper.units.reads / runs:g} read units, {sweeper.units.writes / runs:g} write units,",
        f"{sweeper.log_bytes / runs:.0f} bytes of log. In a month of {MINUTES_PER_MONTH:.0f} minutes:",
        f"${dollars * month:.2f}, its schedule and its estimated time included.",
    )
    yield ""


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
    yield ""
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    yield from paragraph(
        "Processor time of importing a function and building its world, in a fresh process. A bare handler imports",
        f"boto3 and makes one client of each of the same services. {version}, median of {cold_start.ROUNDS} by turns,",
        "with modules compiled before. Milliseconds are this machine's.",
    )
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
    yield ""
    yield from paragraph(
        "Processor time of handling one event, the mean over the recorded events of each one's median. The bare",
        "handler makes the very same AWS and HTTP requests, with parameters that are ready, and does nothing else: it",
        "reads no event, decides nothing, logs nothing. Answers are laid ready for both; TLS is left out.",
        f"{warm.TURNS} processes of each by turns, {warm.TIMES} times each event.",
    )
    yield ""


def package_report(packages: Sequence[package.Package]) -> Iterator[str]:
    layer, *functions = packages
    yield "## What is deployed"
    yield ""
    largest = ", ".join(f"{name.removeprefix('python/')} {size / package.MB:.2f}" for name, size in layer.parts[:6])
    yield from table(
        ["", "zipped, kB", "unzipped, kB"],
        [
            [one.name, f"{one.zipped / 1000:,.0f}", f"{one.unzipped / 1000:,.0f}"]
            for one in (layer, *functions)
        ],
    )  # fmt: skip
    yield ""
    yield f"The layer's largest parts, zipped, in MB: {largest}."
    yield ""


def limits_of(found: Measured) -> list[headroom.Limit]:
    return headroom.limits(found.whole, found.played, found.memory_mb, found.cpu_seconds)


def headroom_report(found: Measured) -> Iterator[str]:
    dollars = found.dollars(found.whole) / found.whole.attempts
    yield from headroom.report(found.whole, found.played, found.memory_mb, found.cpu_seconds, dollars)


def report(found: Measured, all_targets: Sequence[Target]) -> Iterator[str]:
    yield from one_table(found)
    yield from targets_report(all_targets)
    yield from attempts_report(found)
    yield from elsewhere_report(found)
    yield from sweeper_report(found)
    yield from speed_report(found)
    yield from package_report(found.packages)
    yield from headroom_report(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", action="store_true", help="write docs/scaling.md's tables and picture anew")
    asked = parser.parse_args()
    found = measure()
    all_targets = targets(found)
    print("\n".join(report(found, all_targets)))
    if asked.docs:
        SCALING.with_suffix(".svg").write_text(headroom.picture(limits_of(found)))
        put(SCALING, "bench", list(headroom_report(found))[2:])  # its heading is the document's own
    missed = [target.name for target in all_targets if target.exact and not target.met]
    for name in missed:
        _say(f"missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
