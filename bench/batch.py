"""`python -m bench.batch`: batches played on the local stack, checked and counted. Prints Markdown.

    campaign   a batch of `--rows` contacts with the emulated carrier's mix of outcomes and up to three retries: checks
               it, counts its requests, and counts the write units of each item and each partition of an index
    attempt    requests and units of one attempt in the middle of a batch of 100 contacts and of one of 100,000
    stop       requests, units and time of a stop, until every contact says `stopped` and until that is stored

Runs all of them by default. A check that fails ends the run with `RuntimeError`.
"""

import argparse
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import boto3

from bench.attempt import Bench, Counts, counting
from bench.dynamodb_units import READS, Meter, Units, Write, write_units
from bench.prices import MS_PER_AWS_REQUEST
from bench.report import bullets, paragraph, say, table
from bench.stack import (
    BATCH_RETRIES,
    SEED,
    USER_DATA,
    Checked,
    Stack,
    ask,
    check,
    create_batch,
    function_name,
    number,
    play,
    running,
    schedule,
)
from local.aws.functions import Invocation
from local.stack import INBOX_NAME, LocalStack
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import contact, contact_id
from redial.domain.queue import BatchQueueEntry
from redial.domain.status import WAITING
from redial.usecases.dispatch import LINES_PER_SHARD

ROWS = 10_000
LINES = 200
PARTITION_WRITES = 1_000
"""Write units a second that DynamoDB takes for one partition key of a table or of an index, and so for one item.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
ATTEMPTS_A_SECOND = 500
MOST_LINES = 1_000
"""An agent's highest limit of concurrent calls."""
SMALL, LARGE = 100, 100_000
FEW = 10
"""Contacts before the middle one of the large batch that are called too."""
MIDDLE_LINES = 3
TALLY = "tally"
STOPPED = (100, 1_000)
MOST_ROWS = 1_000_000
_CALLBACK = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27})/([0-9]+)")


# ---- a campaign ------------------------------------------------------------------------------------------------------


class Keys:
    """Counts the write units of each key, failed writes included, from what the meter reports.

    `units` by (where, key): where is "item", "table" (a partition of it) or the name of an index. `peaks`: the most
    within one simulated second, without keys of single calls.
    """

    def __init__(self, stack: LocalStack) -> None:
        self.units: Counter[tuple[str, str]] = Counter()
        self.peaks: Counter[tuple[str, str]] = Counter()
        self.lost = 0
        self._clock = stack.clock
        self._second = 0
        self._in_second: Counter[tuple[str, str]] = Counter()

    def clear(self) -> None:
        self.lost = 0
        for counter in (self.units, self.peaks, self._in_second):
            counter.clear()

    def count(self, units: Units, writes: Sequence[Write]) -> None:
        for write in writes:
            partition, sort = write.key["pk"]["S"], write.key["sk"]["S"]
            self.lost += write.failed
            self._add("item", f"{partition} / {sort}", write.units)
            self._add("table", partition, write.units)
            for name, entry in write.entries:
                self._add(name, str(next(iter(entry.values()))["S"]), write_units(entry))

    def _add(self, where: str, key: str, units: int) -> None:
        self.units[where, key] += units
        if key.startswith("X#"):
            return
        second = int(self._clock.now().timestamp())
        if second != self._second:
            self._second = second
            self._in_second.clear()
        self._in_second[where, key] += units
        self.peaks[where, key] = max(self.peaks[where, key], self._in_second[where, key])


@dataclass
class Campaign:
    """Figures of a played batch. `counts`: its requests and invocations by function, from its start to its end.

    `call_seconds`: average from placing a call to its end. `call_hours`: from creation to the final status, of all
    executions together.
    """

    rows: int
    lines: int
    checked: Checked = field(default_factory=Checked)
    counts: Counts = field(default_factory=lambda: Counts("campaign"))
    seconds: float = 0.0
    hours: float = 0.0
    ingest_seconds: float = 0.0
    ingest_requests: int = 0
    status_changes: int = 0
    call_seconds: float = 0.0
    call_hours: float = 0.0
    units: dict[tuple[str, str], int] = field(default_factory=dict)
    peaks: dict[tuple[str, str], int] = field(default_factory=dict)
    lost: int = 0

    def statuses(self) -> str:
        return ", ".join(f"{status} {count}" for status, count in sorted(self.checked.statuses.items()))


def campaign(rows: int, lines: int) -> Campaign:
    """Play a batch, and check it."""
    found = Campaign(rows, lines)
    with running(seed=SEED) as stack:
        keys, counts = Keys(stack), Counts("campaign")
        _count_requests(stack, keys, counts)
        batches = DynamoBatches(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
        agent_id = stack.create_agent(max_concurrent_calls=lines, voicemail_detection=True)
        began = time.monotonic()
        batch_id = create_batch(stack, agent_id, rows, BATCH_RETRIES)
        status, valid = "created", 0
        while status == "created":
            stack.clock.advance(1)
            batch = batches.get(batch_id)
            assert batch is not None
            status, valid = batch.status, batch.valid
        if (status, valid) != ("processed", rows):
            raise RuntimeError(f"the file is {status}, with {valid} contacts of {rows}")
        found.ingest_seconds = time.monotonic() - began
        found.ingest_requests = counts.requests.total()
        say(f"{rows} contacts stored in {found.ingest_seconds:.0f} s")

        schedule(stack, batch_id, 5)
        stack.clock.advance(4.9)
        counts.requests.clear()
        counts.invocations.clear()
        keys.clear()
        began, start = time.monotonic(), stack.clock.now()
        found.hours = (play(stack, batch_id) - start).total_seconds() / 3600
        found.seconds = time.monotonic() - began
        found.counts = replace(counts, requests=counts.requests.copy(), invocations=counts.invocations.copy())
        found.units, found.peaks, found.lost = dict(keys.units), dict(keys.peaks), keys.lost
        say("checking")
        _examine(stack, batch_id, found)
    return found


def _count_requests(stack: Stack, keys: Keys, counts: Counts) -> None:
    """Count the requests of functions by botocore's events: with a hook of the emulated AWS, the sweeper would query
    every shard in every simulated minute."""
    functions = stack.functions
    (table,) = stack.template.tables()
    Meter(
        table.definition,
        stack.aws.client("dynamodb"),
        lambda operation: operation not in READS and functions.current() is not None,
        keys.count,
    ).attach()

    seen: set[str] = set()

    def request(model: Any, **_: Any) -> None:
        invocation = functions.current()
        if invocation is not None:
            name = function_name(invocation.function.module)
            counts.requests[name, model.service_model.service_name, model.name] += 1
            counts.invocations[name] += invocation.request_id not in seen
            seen.add(invocation.request_id)

    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-call", request)


def _examine(stack: Stack, batch_id: str, found: Campaign, before: int = 0) -> None:
    """Check the batch, and add figures to `found`. `before`: calls that were there before the batch.

    Raises `RuntimeError` with the first things that do not hold.
    """

    def get(path: str) -> Any:
        return ask(f"{stack.url}/batches/{batch_id}{path}", stack.api_key)

    calls = stack.carrier.calls.all()[before:]
    pages = range(1, found.rows // 50 + 2)
    executions = [one for page in pages for one in get(f"/executions?page_number={page}&page_size=50")]
    found.checked = checked = check(
        executions,
        [(call.request.to, call.placed_at, call.ended_at) for call in calls],
        ((one.answered == 200 and one.verified, one.headers["webhook-id"], one.body) for one in _deliveries(stack)),
        found.lines,
    )
    taken = [(call.ended_at - call.placed_at).total_seconds() for call in calls if call.ended_at is not None]
    found.call_seconds = sum(taken) / len(taken)
    found.status_changes = sum(one["sequence"] - 1 for one in executions)
    created, updated = ([datetime.fromisoformat(one[at]) for one in executions] for at in ("created_at", "updated_at"))
    open_for = (end - start for start, end in zip(created, updated, strict=True))
    found.call_hours = sum(open_for, timedelta()).total_seconds() / 3600

    checked.expect(checked.duplicates == 0, f"{checked.duplicates} webhooks came twice")
    wanted = [contact_id(batch_id, row) for row in range(1, found.rows + 1)]
    checked.expect([one["id"] for one in executions] == wanted, "the listing is not the file's rows in their order")
    shown = get("")
    checked.expect(shown["execution_status"] == checked.statuses, f"counted as {shown['execution_status']}")
    placed = [
        (call.request.to, *part.groups())
        for call in calls
        if (part := _CALLBACK.search(call.request.status_callback or "")) is not None
    ]
    expected = [
        (one["user_number"], one["id"], str(attempt))
        for one in executions
        for attempt in range(1, len(one["attempts"]) + 1)
    ]
    checked.expect(sorted(placed) == sorted(expected), "the carrier's calls are not one for each attempt")
    for failures in (
        stack.clock.failures, stack.functions.failures, stack.functions.dead_letters, stack.scheduler.dead_letters,
        stack.carrier.calls.problems,
    ):  # fmt: skip
        checked.expect(not failures, f"something failed: {failures[:1]}")
    client, name = stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"]
    for partition in (f"Q#{shown['agent_id']}", f"R#{batch_id}"):
        values = {":pk": {"S": partition}}
        query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values, "Limit": 5}
        waiting = client.query(TableName=name, **query)["Items"]
        checked.expect(not waiting, f"calls still wait: {waiting}")
    if checked.faults:
        raise RuntimeError(f"{len(checked.faults)} faults: {checked.faults[:5]}")


def _deliveries(stack: Stack) -> Sequence[Any]:
    return stack.inbox.received(INBOX_NAME)


def campaign_report(found: Campaign) -> Iterator[str]:
    attempts, requests = found.checked.attempts, found.counts.requests
    yield f"## A batch of {found.rows:,} contacts"
    yield ""
    yield f"One agent with {found.lines} lines, the emulated carrier's mix of outcomes. All checks passed."
    yield ""
    of_tally = found.counts.by(TALLY)
    yield from table(
        ["", "value"],
        [
            ["contacts", found.rows],
            ["attempts = calls of the carrier", attempts],
            ["final statuses", found.statuses()],
            ["most live calls at once", found.checked.max_live],
            ["webhooks", found.checked.webhooks],
            ["simulated hours from start to completed", f"{found.hours:.2f}"],
            ["seconds on this machine for that", f"{found.seconds:.0f}"],
            ["AWS requests for upload and ingest", found.ingest_requests],
            ["seconds for upload and ingest", f"{found.ingest_seconds:.0f}"],
            ["AWS requests", requests.total()],
            ["AWS requests per attempt", f"{requests.total() / attempts:.2f}"],
            ["… of these by tally", f"{of_tally / attempts:.3f}"],
            ["tally's requests per 1,000 status changes", f"{of_tally / found.status_changes * 1000:.1f}"],
            ["invocations of tally that made requests", found.counts.invocations[TALLY]],
            ["tally's queries of all counters of the batch", requests[TALLY, "dynamodb", "Query"]],
            ["writes whose condition failed, per attempt", f"{found.lost / attempts:.3f}"],
        ],
    )
    yield "AWS requests per attempt, by function:"
    yield ""
    yield from table(
        ["function", "request", "per attempt"],
        [
            [function, f"{service} {operation}", f"{count / attempts:.4f}"]
            for (function, service, operation), count in sorted(requests.items())
        ],
    )
    yield "The sweeper does not run in minutes in which nothing is due (`make bench` counts an idle run of it)."
    yield ""
    yield from keys_report(found)


def keys_report(found: Campaign) -> Iterator[str]:
    """Write units of the busiest keys per attempt, and at many attempts a second."""
    attempts, line_shards = found.checked.attempts, MOST_LINES // LINES_PER_SHARD
    kinds = kinds_of(found.units)
    per_attempt = {key: units.total() / attempts for key, units in kinds.items()}
    in_table = sum(units for (where, _), units in per_attempt.items() if where == "table")
    in_indexes = [f"{units:.1f} ({where})" for (where, kind), units in per_attempt.items() if kind == INDEX_PARTITION]
    of_lines, of_queue = per_attempt["table", LINE_SHARD], per_attempt["table", QUEUE]
    alone = min(ATTEMPTS_A_SECOND, MOST_LINES / found.call_seconds)
    yield "## Write units of the busiest keys"
    yield ""
    yield from paragraph(
        f"Counted over the run above, failed writes included: {in_table:.1f} units of the table per attempt, of these",
        f"{per_attempt['table', CALL]:.1f} for the call's own item; of indexes {', '.join(sorted(in_indexes))}.",
        f"DynamoDB takes {PARTITION_WRITES:,} a second for one partition key of a table or index, and so for one item.",
    )
    yield from paragraph(
        f"An agent has at most {MOST_LINES:,} lines. A call lasted {found.call_seconds:.0f} seconds on average, so one",
        f"agent makes at most {alone:.0f} attempts a second; for {ATTEMPTS_A_SECOND}, its calls would have to last",
        f"{MOST_LINES / ATTEMPTS_A_SECOND:g} seconds. The units of lines are those of all shards here, spread over the",
        f"{line_shards} of {MOST_LINES:,} lines.",
    )
    rows: list[tuple[float, list[object]]] = []
    for (where, kind), units in kinds.items():
        if kind == CALL:
            continue
        busiest = (units.total() / line_shards if kind == LINE_SHARD else max(units.values())) / attempts
        most = max((found.peaks.get((where, key), 0) for key in units), default=0)
        row: list[object] = [kind, where, len(units), f"{busiest:.4f}", f"{busiest * alone:.1f}"]
        rows.append((-busiest, [*row, f"{busiest * ATTEMPTS_A_SECOND:.1f}", most]))
    yield from table(
        ["key", "of", "keys", "units per attempt, busiest", f"× {alone:.0f}/s", f"× {ATTEMPTS_A_SECOND}/s",
         "most in a second of the run"],
        [row for _, row in sorted(rows, key=lambda one: one[0])],
    )  # fmt: skip
    yield from bullets(
        f"An agent's queue reaches its limit first: {of_queue:.2f} units per attempt here. The first dial of a contact "
        "takes 1, a retry that waits for a line takes 2 (in and out; 3 with a rate), so at worst "
        f"{2 * ATTEMPTS_A_SECOND:,} a second at {ATTEMPTS_A_SECOND} attempts of one agent, and {2 * alone:.0f} at "
        f"{alone:.0f}.",
        f"A line shard takes {of_lines:.1f} units per attempt that it carries, and carries {LINES_PER_SHARD} at once: "
        f"it reaches its limit when calls last {LINES_PER_SHARD * of_lines / PARTITION_WRITES:.2f} seconds, whatever "
        "the agent's limit is.",
        "Counters are written once for all records of a shard of the stream within a second (at most 1,000), not once "
        "per attempt: the more attempts a second, the less for each.",
        f"All agents share the index `due`: × {ATTEMPTS_A_SECOND} is for all of them together.",
        "One function runs at a time here, so writes that fail because two met at one key are not in these figures. "
        "All lines of the agent are filled at once at the start: that is the most in a second.",
    )


CALL, QUEUE, LINE_SHARD = "one call (X#)", "an agent's queue (Q#)", f"a shard of {LINES_PER_SHARD} lines (L#)"
INDEX_PARTITION = "a partition of the index"
_KINDS = {
    "X#": CALL, "L#": LINE_SHARD, "Q#": QUEUE, "B#": "a batch (B#)", "C#": "a batch's counters (C#)",
    "R#": "a batch's delayed set (R#)",
}  # fmt: skip


def kinds_of(units: dict[tuple[str, str], int]) -> dict[tuple[str, str], Counter[str]]:
    """The units of each key, by (where, kind of key)."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (where, key), count in units.items():
        kind = _KINDS.get(key[:2], key[:2] + "…")
        if where not in ("item", "table"):
            kind = INDEX_PARTITION
        elif where == "item" and kind == QUEUE:
            kind = "a batch's queue entry (Q# / 0b#)" if "/ 0b#" in key else "a queued call (Q# / 0# or 1#)"
        found[where, kind][key] += count
    return found


# ---- a small campaign, counted as attempts are -----------------------------------------------------------------------


class WholeBench(Bench):
    """Counts everything that any function does, once `whole` is set."""

    def __init__(self, stack: Stack) -> None:
        self.whole: Counts | None = None
        self.keys = Keys(stack)
        super().__init__(stack)

    def _counts(self, invocation: Invocation | None = None) -> Counts | None:
        return self.whole if invocation or self.stack.functions.current() else None

    def count_units(self, units: Units, writes: Sequence[Write]) -> None:
        super().count_units(units, writes)
        self.keys.count(units, writes)


def whole(rows: int, lines: int) -> tuple[Counts, Campaign]:
    """Everything that a batch takes from its upload to its last webhook, checked like a campaign.

    The sweeper runs every minute, as on AWS.
    """
    found = Campaign(rows, lines)
    with counting(WholeBench, seed=SEED) as bench:
        stack = bench.stack
        agent_id = bench.agent(max_concurrent_calls=lines, voicemail_detection=True)
        before = len(stack.carrier.calls.all())
        counts = bench.whole = Counts(f"a contact of a batch of {rows}", calls=rows)
        batch_id = create_batch(stack, agent_id, rows, BATCH_RETRIES)
        bench.advance(1)
        schedule(stack, batch_id, 2)
        play(stack, batch_id)
        bench.whole = None
        found.units = dict(bench.keys.units)
        if counts.metered != counts.of("dynamodb"):
            raise RuntimeError(f"{counts.metered} requests metered, of {counts.of('dynamodb')}")
        _examine(stack, batch_id, found, before)
    counts.attempts, counts.hours = found.checked.attempts, found.call_hours
    say(f"a batch of {rows} contacts took {counts.attempts} attempts: {found.statuses()}")
    return counts, found


# ---- one attempt -----------------------------------------------------------------------------------------------------


class BatchBench(Bench):
    """Counts tally's requests too, as those of the "call" `TALLY`."""

    def _call(self, invocation: Invocation) -> str | None:
        return TALLY if function_name(invocation.function.module) == TALLY else super()._call(invocation)


@dataclass
class Middle:
    """Cost of an attempt in the middle of a batch, and of tally for all calls meanwhile."""

    rows: int
    attempt: Counts
    tally: Counts


def middle(rows: int) -> Middle:
    """One unanswered attempt at the contact in the middle of a batch, on a line that another call releases.

    A large batch is uploaded small, and its other contacts are stored as its ingest would have stored them. Its queue
    entry is created beforehand with its cursor a few contacts before the middle: those before are never called.
    """
    row = rows // 2
    with counting(BatchBench, recurring=False) as bench:
        stack = bench.stack
        agent_id = bench.agent(max_concurrent_calls=MIDDLE_LINES)
        uploaded = min(rows, SMALL)
        batch_id = create_batch(stack, agent_id, uploaded, {**BATCH_RETRIES, "retry_intervals_minutes": [60]})
        bench.advance(1)
        if rows > uploaded:
            _grow(stack, batch_id, uploaded, rows, row - FEW)
            bench.advance(5)
        near = range(1, rows + 1) if rows == uploaded else range(row - FEW, row + 2 * SMALL)
        for one in near:
            bench.script(number(one), "no-answer" if one == row else "completed")
        bench.known_as("middle", contact_id(batch_id, row))
        schedule(stack, batch_id, 5)
        attempt = bench.count(f"middle of {rows:,}", "middle")
        tally = bench.count(TALLY, TALLY)
        bench.advance(5 + 28)
        live = stack.carrier.calls.live()[1]
        say(f"{rows:,} contacts: {len(stack.carrier.calls.all())} calls made, {live} live at once")
        if live != MIDDLE_LINES:
            raise RuntimeError("the lines were not all in use")
        bench.finish("middle", 1, "no-answer")
    return Middle(rows, attempt, tally)


def _grow(stack: Stack, batch_id: str, uploaded: int, rows: int, next_row: int) -> None:
    at = stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"]
    batches, executions, queue = DynamoBatches(*at), DynamoExecutions(*at), DynamoCallQueue(*at)
    batch = batches.get(batch_id)
    assert batch is not None and batch.ingested
    for start in range(uploaded + 1, rows + 1, 1000):
        piece = range(start, min(start + 1000, rows + 1))
        executions.create_contacts([contact(batch, row, number(row), USER_DATA) for row in piece])
        if start % 10_000 < 1000:
            say(f"{start:,} contacts stored")
    batches.save(
        replace(batch, total=rows, valid=rows, stored_to=rows, audit_from=next_row - 1, audited_to=next_row - 1)
    )
    queue.join(BatchQueueEntry(batch_id, batch.agent_id, next_row, rows, served_at=stack.clock.now()))


def attempt_report(found: Sequence[Middle]) -> Iterator[str]:
    yield "## One attempt in a small and in a large batch"
    yield ""
    operations = sorted({key for one in found for key in one.attempt.requests})
    in_tally: dict[str, list[float]] = {
        "AWS requests": [one.tally.aws_requests for one in found],
        "write units": [one.tally.units.writes for one in found],
        "read units": [one.tally.units.reads for one in found],
    }
    rows: list[list[object]] = [
        ["AWS requests", *(one.attempt.aws_requests for one in found)],
        ["write units: table", *(one.attempt.units.table_writes for one in found)],
        ["write units: indexes", *(one.attempt.units.index_writes for one in found)],
        ["read units", *(one.attempt.units.reads for one in found)],
        ["Lambda invocations", *(one.attempt.invocations.total() for one in found)],
        ["HTTP API requests", *(one.attempt.http_api_requests for one in found)],
        ["webhooks", *(one.attempt.webhooks for one in found)],
        *([" ".join(key), *(one.attempt.requests[key] for one in found)] for key in operations),
    ]
    for what, values in in_tally.items():
        runs = [one.tally.invocations[TALLY] for one in found]
        each = (f"{value / count:.2f}" for value, count in zip(values, runs, strict=True))
        rows.append([f"tally, shared: {what} per invocation", *each])
    yield from table(["", *(f"batch of {one.rows:,}" for one in found)], rows)
    small, large = found[0].attempt, found[-1].attempt
    same = (small.requests, small.units, small.invocations) == (large.requests, large.units, large.invocations)
    yield f"Requests, units and invocations of the attempt are {'the same' if same else '**not** the same'}."
    yield ""


# ---- a stop ----------------------------------------------------------------------------------------------------------


@dataclass
class Stop:
    """A stopped batch: when the stop is answered no contact waits any more.

    `answered`, `stored`: requests until then, and from then until the stop is stored with every contact, by function.
    `units`: write units of the table and its indexes of the latter.
    """

    rows: int
    answered: Counter[str]
    stored: Counter[str]
    units: int


def stop(rows: int) -> Stop:
    """Stop a batch while all lines are in use."""
    with running(seed=SEED, recurring=False) as stack:
        keys, counts = Keys(stack), Counts("stop")
        _count_requests(stack, keys, counts)
        agent_id = stack.create_agent(max_concurrent_calls=MIDDLE_LINES)
        batch_id = create_batch(stack, agent_id, rows, BATCH_RETRIES)
        stack.clock.advance(1)
        schedule(stack, batch_id, 2)
        stack.clock.advance(2.1)
        counts.requests.clear()

        ask(f"{stack.url}/batches/{batch_id}/stop", stack.api_key, "POST")
        answered = _by_function(counts)
        shown = ask(f"{stack.url}/batches/{batch_id}", stack.api_key)["execution_status"]
        if shown.keys() & WAITING:
            raise RuntimeError(f"contacts that wait after the stop: {shown}")
        counts.requests.clear()
        keys.clear()
        stack.clock.advance(1)
        table = DynamoExecutions(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
        if any(one.state.is_waiting for one in table.read([contact_id(batch_id, row) for row in range(1, rows + 1)])):
            raise RuntimeError("the stop is not stored with every contact")
        units = sum(count for (where, _), count in keys.units.items() if where != "item")
        return Stop(rows, answered, _by_function(counts), units)


def _by_function(counts: Counts) -> Counter[str]:
    found: Counter[str] = Counter()
    for (function, service, operation), count in counts.requests.items():
        found[f"{function}: {service} {operation}"] += count
    return found


def stop_report(found: Sequence[Stop]) -> Iterator[str]:
    yield "## A stop"
    yield ""
    small, large = found[0], found[-1]
    more = large.rows - small.rows
    operations = sorted({*small.answered, *large.answered})
    yield from table(
        ["until it is answered, and every contact says `stopped`", *(f"batch of {one.rows:,}" for one in found)],
        [
            [
                f"seconds, at {MS_PER_AWS_REQUEST:g} ms a request",
                *(f"{one.answered.total() * MS_PER_AWS_REQUEST / 1000:.3f}" for one in found),
            ],
            ["AWS requests", *(one.answered.total() for one in found)],
            *([name, *(one.answered[name] for one in found)] for name in operations),
        ],
    )
    each = {name: (large.stored[name] - small.stored[name]) / more for name in sorted({*small.stored, *large.stored})}
    worker = sum(count for name, count in each.items() if name.startswith("batch: "))
    yield from table(
        ["until that is stored and its webhooks are sent", "for each contact"],
        [
            *([name, f"{count:.2f}"] for name, count in each.items() if count >= 0.005),
            ["write units", f"{(large.units - small.units) / more:.2f}"],
            [
                "seconds of the batch function, without its processor's",
                f"{worker * MS_PER_AWS_REQUEST / 1000:.4f}",
            ],
        ],
    )
    hours = worker * MS_PER_AWS_REQUEST / 1000 * MOST_ROWS / 3600
    yield from paragraph(
        f"The answer costs the same for {small.rows:,} contacts and for {large.rows:,}, and so for {MOST_ROWS:,}.",
        f"Storing the stop with {MOST_ROWS:,} contacts, one after the other, takes {hours:.1f} hours.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("campaign", "attempt", "stop"))
    parser.add_argument("--rows", type=int, default=ROWS, help=f"contacts of the campaign ({ROWS})")
    parser.add_argument("--lines", type=int, default=LINES, help=f"its agent's limit of concurrent calls ({LINES})")
    asked = parser.parse_args()
    if asked.what in (None, "campaign"):
        print("\n".join(campaign_report(campaign(asked.rows, asked.lines))), flush=True)
    if asked.what in (None, "attempt"):
        print("\n".join(attempt_report([middle(rows) for rows in (SMALL, LARGE)])), flush=True)
    if asked.what in (None, "stop"):
        print("\n".join(stop_report([stop(rows) for rows in STOPPED])), flush=True)


if __name__ == "__main__":
    main()
