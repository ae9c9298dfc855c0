"""One stack's use of quotas and limits at 10, 100 and 1,000 attempts a second, and the limit that it reaches first; and
the needs of 1 to 100,000 attempts a second in cells, which are stacks with their own customers.

Computed from an attempt of a played batch, including its keys: use grows with the rate. The sweeper's time is left out,
since it is the same at any rate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import batch
from bench.batch import Campaign
from bench.report import paragraph, table
from redial.wire.stored_execution import DUE_SHARDS, LISTING_SHARDS

RATES = (10, 100, 1000)
STEPS = (1, 10, 100, 1_000, 10_000, 100_000)
CELL_RATE = 1_000
"""Attempts a second of a full cell. A stack's highest `CallbacksPerSecond` allows more than half as many again."""
CONCURRENCY_RESERVE = 3
"""A factor of the mean concurrency: retries bunch at full minutes, and endpoints are slower than assumed."""
MINUTE_SECONDS = 60
"""EventBridge Scheduler fires within the minute of a schedule's time."""

LAMBDA_CONCURRENCY = 1_000  # https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
CREATE_SCHEDULE_PER_SECOND = 5_000
"""In large Regions; 250 elsewhere. https://docs.aws.amazon.com/scheduler/latest/UserGuide/scheduler-quotas.html"""
SCHEDULES_FIRED_PER_SECOND = 1_000  # the same page
CALLBACKS_PER_SECOND = 200
"""The default of the template's `CallbacksPerSecond`. An account has 10,000 for all routes and APIs.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
DIALS_AT_ONCE = DELIVERIES_AT_ONCE = 50
"""The defaults of the template, at most 1,000 each: a mapping's MaximumConcurrency.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
NEW_TABLE_WRITES, NEW_TABLE_READS = 4_000, 12_000
"""Units a second of a new on-demand table; it may double its peak within 30 minutes.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html"""
TABLE_WRITES = 40_000  # of a table on demand; the same page
CARRIER_CALLS_PER_SECOND = 1
"""Twilio's default for an account. Twilio queues further calls."""


@dataclass(frozen=True)
class Limit:
    """A limit, in units a second. `per_attempt`: its use at one attempt a second."""

    name: str
    most: float
    per_attempt: float
    raised_by: str

    @property
    def reached_at(self) -> float:
        """The attempts a second at which the limit is reached."""
        return self.most / self.per_attempt

    def used(self, rate: float) -> str:
        share = rate / self.reached_at
        return f"**{share:.0%}**" if share >= 1 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def limits(played: Campaign, lambda_seconds: dict[str, float]) -> list[Limit]:
    """Every limit that attempts use, in the order in which they are reached. `lambda_seconds`: totals by function."""
    counts, keys = played.counts, played.keys()
    attempts, units = counts.attempts, counts.units
    due = keys["due", batch.INDEX_PARTITION].total() / DUE_SHARDS
    queue = max(keys["table", batch.QUEUE].values())
    fired = SCHEDULES_FIRED_PER_SECOND * MINUTE_SECONDS
    quotas = "Service Quotas"
    of_all = (
        ("one agent: its queue's key, DynamoDB write units", batch.PARTITION_WRITES, queue,
         "several agents; a second queue key is a change of the code"),
        ("one agent: lines, at an average call's length", batch.MOST_LINES, played.call_seconds * attempts,
         "several agents"),
        ("Twilio: calls a second of an account", CARRIER_CALLS_PER_SECOND, attempts, "asking Twilio"),
        ("SQS: dials at once", DIALS_AT_ONCE, lambda_seconds["dial"], "DialsAtOnce (1,000)"),
        ("SQS: deliveries at once", DELIVERIES_AT_ONCE, lambda_seconds["deliver"], "DeliveriesAtOnce (1,000)"),
        ("Lambda: concurrent executions", LAMBDA_CONCURRENCY, sum(lambda_seconds.values()), quotas),
        ("Scheduler: fired a second, were a minute's all at :00", fired, counts.schedules * MINUTE_SECONDS,
         "Service Quotas; what is above waits some seconds"),
        ("Scheduler: created a second", CREATE_SCHEDULE_PER_SECOND, counts.schedules, quotas),
        ("HTTP API: callbacks a second", CALLBACKS_PER_SECOND, counts.invocations["carrier_callback"],
         "CallbacksPerSecond (5,000), then Service Quotas (10,000)"),
        ("DynamoDB: writes of a new table", NEW_TABLE_WRITES, units.table_writes,
         "growing over half an hour, or warm throughput set beforehand"),
        ("DynamoDB: writes of a table", TABLE_WRITES, units.writes, quotas),
        ("DynamoDB: reads of a new table", NEW_TABLE_READS, units.reads, "as for writes"),
        (f"DynamoDB: a key of the index due, of {DUE_SHARDS}, write units", batch.PARTITION_WRITES, due,
         "DUE_SHARDS, a change of the code; a second stack"),
    )  # fmt: skip
    found = [Limit(name, most, taken / attempts, raised_by) for name, most, taken, raised_by in of_all]
    return sorted(found, key=lambda limit: limit.reached_at)


def steps(played: Campaign, running: float, dollars: float) -> dict[str, Callable[[float], float]]:
    """The needs of a rate of attempts a second. `running`: concurrent functions at one attempt a second."""
    counts, attempts = played.counts, played.counts.attempts

    def of_cell(total: float) -> Callable[[float], float]:
        return lambda rate: min(rate, CELL_RATE) * total / attempts

    def of_all(total: float) -> Callable[[float], float]:
        return lambda rate: rate * total / attempts

    return {
        "cells": lambda rate: -(-rate // CELL_RATE),
        "attempts a second of a cell": of_cell(attempts),
        "live calls": lambda rate: rate * played.call_seconds,
        f"agents of {batch.MOST_LINES:,} lines": lambda rate: -(-rate * played.call_seconds // batch.MOST_LINES),
        "Lambda: concurrent executions": lambda rate: rate * running,
        "of a cell: concurrency to ask for": lambda rate: max(
            LAMBDA_CONCURRENCY, min(rate, CELL_RATE) * running * CONCURRENCY_RESERVE
        ),
        "of a cell: callbacks a second": of_cell(counts.invocations["carrier_callback"]),
        "of a cell: write units a second": of_cell(counts.units.writes),
        "of a cell: messages a second": of_cell(counts.messages),
        "of a cell: retries that fall into a minute": of_cell(counts.schedules * MINUTE_SECONDS),
        "webhooks a second": of_all(counts.posted("webhook")),
        "log, kB a second": of_all(counts.log_bytes / 1000),
        "dollars an hour, list price": lambda rate: rate * dollars * 3600,
    }


def _three_digits(value: float) -> str:
    return f"{value:,.2f}" if value < 10 and value % 1 else f"{float(f'{value:.3g}'):,.0f}"


def report(played: Campaign, lambda_seconds: dict[str, float], dollars: float) -> Iterator[str]:
    """Yield the report. `lambda_seconds`: totals by function. `dollars`: of an attempt."""
    counts, attempts = played.counts, played.counts.attempts
    seconds_of = {name: seconds for name, seconds in sorted(lambda_seconds.items()) if name != "sweep"}
    yield "## What one stack takes"
    yield table(
        ["limit", "default", "an attempt takes", *(f"used at {rate:,}/s" for rate in RATES), "reached at, attempts/s",
         "raised by"],
        [
            [
                limit.name, f"{limit.most:,.0f}", f"{limit.per_attempt:.3g}",
                *(limit.used(rate) for rate in RATES), f"{limit.reached_at:,.0f}", limit.raised_by,
            ]
            for limit in limits(played, seconds_of)
        ],
    )  # fmt: skip
    yield table(
        ["function", "invocations of an attempt", "ms each", *(f"at once, {rate:,}/s" for rate in RATES)],
        [
            [
                name, f"{counts.invocations[name] / attempts:.2f}", f"{seconds / counts.invocations[name] * 1000:.0f}",
                *(f"{seconds / attempts * rate:.1f}" for rate in RATES),
            ]
            for name, seconds in seconds_of.items()
        ],
    )  # fmt: skip
    yield table(
        ["from one to many cells", *(f"{rate:,}/s" for rate in STEPS)],
        [
            [what, *(_three_digits(value(rate)) for rate in STEPS)]
            for what, value in steps(played, sum(seconds_of.values()) / attempts, dollars).items()
        ],
    )
    yield paragraph(
        f"From the batch above: {attempts} attempts, calls of {played.call_seconds:.0f} seconds on average. The time "
        "of functions is estimated as for the price. Agents' listings are not counted: they do not contain contacts "
        f"of a batch (a single call writes 3 units to one of {LISTING_SHARDS} keys of its agent)."
    )
