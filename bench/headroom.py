"""What one stack takes at 10, 100 and 1,000 attempts a second, and which quota or limit it meets first.

Computed from what one attempt of a played batch took, its keys included: use grows with the rate. The sweeper's time is
left out, which is the same at any rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import log10

from bench import batch
from bench.attempt import Counts
from bench.markdown import paragraph, table
from redial.wire.stored_execution import DUE_SHARDS, LISTING_SHARDS

RATES = (10, 100, 1000)
MINUTE_SECONDS = 60
"""EventBridge Scheduler fires within the minute of a schedule's time."""

LAMBDA_CONCURRENCY = 1_000  # https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
CREATE_SCHEDULE_PER_SECOND = 5_000
"""In the large Regions, 250 elsewhere. https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html"""
SCHEDULES_FIRED_PER_SECOND = 1_000  # the same page
CALLBACKS_PER_SECOND = 5_000
"""The template's own throttle of the callbacks' route; an account's, for all routes and APIs, is 10,000.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
NEW_TABLE_WRITES = 4_000
"""Write units a second of a new table on demand; twice its highest so far within 30 minutes.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""
TABLE_WRITES = 40_000  # of a table on demand; the same page
NEW_TABLE_READS = 12_000
PARTITION_WRITES = batch.PARTITION_WRITES
CARRIER_CALLS_PER_SECOND = 1
"""Twilio's default for an account; it puts what is more in a queue of its own."""


@dataclass(frozen=True)
class Limit:
    """`per_attempt`: what an attempt takes of it, in units a second at one attempt a second. `name` says of what."""

    name: str
    most: float
    per_attempt: float
    raised_by: str

    @property
    def reached_at(self) -> float:
        """Attempts a second at which it is used up."""
        return self.most / self.per_attempt


def limits(counts: Counts, played: batch.Campaign, memory_mb: dict[str, int], cpu: dict[str, float]) -> list[Limit]:
    """Every limit that an attempt takes part of, the one that is met first first."""
    attempts = counts.attempts
    kinds = batch.kinds_of(played.units)
    seconds = _lambda_seconds(counts, memory_mb, cpu) / attempts
    due = kinds["due", batch.INDEX_PARTITION].total() / attempts / DUE_SHARDS
    of_agent = [
        Limit(
            "one agent: its queue's key, DynamoDB write units",
            PARTITION_WRITES,
            max(kinds["table", batch.QUEUE].values()) / attempts,
            "several agents; a second queue key is a change of the code",
        ),
        Limit(
            "one agent: lines, at an average call's length",
            batch.MOST_LINES,
            played.call_seconds,
            "several agents",
        ),
    ]
    alike = [
        Limit("Twilio: calls a second of an account", CARRIER_CALLS_PER_SECOND, 1, "asking Twilio"),
        Limit("Lambda: concurrent executions", LAMBDA_CONCURRENCY, seconds, "Service Quotas"),
        Limit(
            "Scheduler: fired a second, were a minute's all at :00",
            SCHEDULES_FIRED_PER_SECOND * MINUTE_SECONDS,
            counts.schedules / attempts * MINUTE_SECONDS,
            "Service Quotas; what is above waits some seconds",
        ),
        Limit("Scheduler: created a second", CREATE_SCHEDULE_PER_SECOND, counts.schedules / attempts, "Service Quotas"),
        Limit(
            "HTTP API: callbacks a second",
            CALLBACKS_PER_SECOND,
            counts.invocations["carrier_callback"] / attempts,
            "template.yaml, then Service Quotas (10,000)",
        ),
        Limit(
            "DynamoDB: writes of a new table",
            NEW_TABLE_WRITES,
            counts.units.table_writes / attempts,
            "growing over half an hour, or warm throughput set beforehand",
        ),
        Limit("DynamoDB: writes of a table", TABLE_WRITES, counts.units.writes / attempts, "Service Quotas"),
        Limit("DynamoDB: reads of a new table", NEW_TABLE_READS, counts.units.reads / attempts, "as for writes"),
        Limit(
            f"DynamoDB: a key of the index due, of {DUE_SHARDS}, write units",
            PARTITION_WRITES,
            due,
            "DUE_SHARDS, a change of the code; a second stack",
        ),
    ]
    return sorted([*of_agent, *alike], key=lambda limit: limit.reached_at)


def _lambda_seconds(counts: Counts, memory_mb: dict[str, int], cpu: dict[str, float]) -> float:
    return sum(seconds for name, seconds in counts.lambda_seconds(memory_mb, cpu).items() if name != "sweep")


def report(
    counts: Counts, played: batch.Campaign, memory_mb: dict[str, int], cpu: dict[str, float], dollars: float
) -> Iterator[str]:
    """`dollars`: of an attempt."""
    found = limits(counts, played, memory_mb, cpu)
    yield "## What one stack takes"
    yield ""
    yield from table(
        ["limit", "default", "an attempt takes", *(f"used at {rate:,}/s" for rate in RATES), "reached at, attempts/s",
         "raised by"],
        [
            [
                limit.name, f"{limit.most:,.0f}", f"{limit.per_attempt:.3g}",
                *(_used(limit, rate) for rate in RATES), f"{limit.reached_at:,.0f}", limit.raised_by,
            ]
            for limit in found
        ],
    )  # fmt: skip
    yield ""
    seconds = counts.lambda_seconds(memory_mb, cpu)
    yield from table(
        ["function", "invocations of an attempt", "ms each", *(f"at once, {rate:,}/s" for rate in RATES)],
        [
            [
                name, f"{counts.invocations[name] / counts.attempts:.2f}",
                f"{seconds[name] / counts.invocations[name] * 1000:.0f}",
                *(f"{seconds[name] / counts.attempts * rate:.1f}" for rate in RATES),
            ]
            for name in sorted(seconds) if name != "sweep"
        ],
    )  # fmt: skip
    yield ""
    yield from table(
        ["", *(f"at {rate:,}/s" for rate in RATES)],
        [
            ["dollars an hour, list price", *(f"{dollars * rate * 3600:,.2f}" for rate in RATES)],
            ["webhooks a second", *(f"{counts.webhooks / counts.attempts * rate:,.0f}" for rate in RATES)],
            ["log, kB a second", *(f"{counts.log_bytes / counts.attempts * rate / 1000:,.0f}" for rate in RATES)],
            [
                "retries that fall into a minute",
                *(f"{counts.schedules / counts.attempts * rate * MINUTE_SECONDS:,.0f}" for rate in RATES),
            ],
            ["live calls", *(f"{played.call_seconds * rate:,.0f}" for rate in RATES)],
        ],
    )
    yield ""
    yield from paragraph(
        f"From the batch above: {counts.attempts} attempts, calls of {played.call_seconds:.0f} seconds on average. The",
        "time of functions is estimated as for the price. Not counted here: agents' listings, in which contacts of a",
        f"batch do not stand (a call by itself writes 3 units to one of {LISTING_SHARDS} keys of its agent).",
    )
    yield ""


def _used(limit: Limit, rate: float) -> str:
    share = rate / limit.reached_at
    return f"**{share:.0%}**" if share >= 1 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def picture(found: Sequence[Limit]) -> str:
    """An SVG: for each limit a bar from one attempt a second to where it is reached, by orders of magnitude."""
    left, width, step, top = 380, 520, 26, 40
    decades = 5  # 1 to 100,000
    height = top + step * len(found) + 30

    def at(rate: float) -> float:
        return left + width * min(max(log10(max(rate, 1)), 0), decades) / decades

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" font-size="12">',
        "<style>text { font-family: sans-serif; fill: #333333 }</style>",
        f'<rect width="{left + width + 90}" height="{height}" fill="#ffffff"/>',
        f'<text x="{left}" y="16">attempts a second at which each limit is reached, by default</text>',
    ]
    for power in range(decades + 1):
        x = at(10**power)
        strong = 10**power in RATES
        lines.append(
            f'<line x1="{x:.0f}" y1="{top - 8}" x2="{x:.0f}" y2="{height - 24}" '
            f'stroke="{"#888888" if strong else "#dddddd"}"/>'
        )
        lines.append(f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle">{10**power:,}</text>')
    for number, limit in enumerate(found):
        y = top + step * number
        end = at(limit.reached_at)
        color = "#c0392b" if limit.reached_at < RATES[1] else "#d68910" if limit.reached_at < RATES[2] else "#2e86c1"
        lines.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(limit.name)}</text>')
        lines.append(f'<rect x="{left}" y="{y}" width="{max(end - left, 2):.0f}" height="16" fill="{color}"/>')
        lines.append(f'<text x="{end + 6:.0f}" y="{y + 12}">{limit.reached_at:,.0f}</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"
