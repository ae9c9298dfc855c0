"""`python -m bench.batch`: batches played on the local stack, checked and counted. Markdown on standard output.

    campaign   a batch of `--rows` contacts, called as the emulated carrier's mix decides, with up to three retries:
               everything that must hold of it is checked, its requests are counted, and so are the write units that
               each item and each partition of an index takes
    attempt    the requests and units of one attempt in the middle of a batch of 100 contacts and of one of 100,000

Without either: both. What is checked and does not hold ends the run with `RuntimeError`.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3

from bench.attempt import NOON, USER_DATA, Bench, Counts
from bench.dynamodb_units import Item, changed_entries, write_units
from bench.markdown import paragraph, table
from local.aws.dynamodb import Image, changes_of
from local.aws.functions import Invocation
from local.stack import INBOX_NAME, LocalStack
from local.web.server import send
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import contact, contact_id
from redial.domain.queue import BatchQueueEntry
from redial.domain.status import FINAL
from redial.runtime import services
from redial.usecases.dispatch import LINES_PER_SHARD

ROWS = 10_000
LINES = 200
SEED = 20260126
RETRIES = {
    "enabled": True,
    "max_retries": 3,
    "retry_on_statuses": ["no-answer", "busy", "failed"],
    "retry_intervals_minutes": [10, 20, 30],
    "retry_on_voicemail": True,
}
STEP_MINUTES = 5
LONGEST_HOURS = 100
PARTITION_WRITES = 1_000
"""Write units a second that DynamoDB takes for one partition key, of a table or of an index, and so for one item.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
ATTEMPTS_A_SECOND = 500
MOST_LINES = 1_000
"""An agent's highest limit of concurrent calls."""
SMALL, LARGE = 100, 100_000
FEW = 10
"""Contacts before the middle one of the large batch that are called too."""
MIDDLE_LINES = 3
TALLY = "tally"
_BOUNDARY = "----redial-bench"
_CALLBACK = re.compile(r"/([0-9a-f]{8}-[0-9a-f-]{27})/([0-9]+)")

Say = Callable[[str], None]


def number(row: int) -> str:
    return f"+1415{2_000_000 + row}"


def contacts(rows: int) -> str:
    """The file of a batch."""
    return "contact_number,note\n" + "".join(f"{number(row)},{USER_DATA['note']}\n" for row in range(1, rows + 1))


def create_batch(stack: LocalStack, agent_id: str, rows: int, retries: dict[str, Any]) -> str:
    """Upload a batch of that many contacts through the API; returns its id."""
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"agent_id": agent_id, "retry_config": json.dumps(retries)}.items()
    ]
    parts.append(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="contacts.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{contacts(rows)}\r\n--{_BOUNDARY}--\r\n"
    )
    kind = f"multipart/form-data; boundary={_BOUNDARY}"
    return str(_ask(stack, "POST", "/batches", "".join(parts).encode(), kind)["batch_id"])


def schedule(stack: LocalStack, batch_id: str, minutes: float) -> None:
    at = (stack.clock.now() + timedelta(minutes=minutes)).isoformat()
    body = urlencode({"scheduled_at": at}).encode()
    _ask(stack, "POST", f"/batches/{batch_id}/schedule", body, "application/x-www-form-urlencoded")


def _ask(stack: LocalStack, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Any:
    """A request to the API. Raises `RuntimeError` unless it is 2xx."""
    headers = {"Authorization": f"Bearer {stack.api_key}", "Content-Type": kind}
    answer = send(method, stack.url + path, body, headers)
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {answer.body!r}")
    return json.loads(answer.body)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


# ---- a campaign -----------------------------------------------------------------------------------------------------


class Keys:
    """Counts the write units that each key takes, from what moto's table writes and from writes that fail.

    `units` by (where, key): where is "item", "table" (a partition of it) or an index's name. `peaks`: the most that a
    key but for a call's own took within one simulated second.
    """

    def __init__(self, stack: LocalStack) -> None:
        self.units: Counter[tuple[str, str]] = Counter()
        self.peaks: Counter[tuple[str, str]] = Counter()
        self.lost = 0
        self._stack = stack
        self._second = 0
        self._in_second: Counter[tuple[str, str]] = Counter()
        (table,) = stack.template.tables()
        definition = table.definition
        self._table = definition["TableName"]
        self._key: tuple[str, ...] = tuple(part["AttributeName"] for part in definition["KeySchema"])
        self._indexes = {
            index["IndexName"]: tuple(part["AttributeName"] for part in index["KeySchema"])
            for index in definition["GlobalSecondaryIndexes"]
        }
        self._client = stack.aws.client("dynamodb")
        changes_of(self._table).listeners.append(self._wrote)

    def clear(self) -> None:
        for counter in (self.units, self.peaks, self._in_second):
            counter.clear()
        self.lost = 0

    def _wrote(self, before: Image | None, after: Image | None) -> None:
        old, new = (None if image is None else image.plain for image in (before, after))
        item = new if new is not None else old
        assert item is not None
        self._count(item, max(write_units(old), write_units(new)))
        for name, index_key in self._indexes.items():
            for entry in changed_entries(index_key, self._key, old, new):
                self._add(name, str(entry[index_key[0]]["S"]), write_units(entry))

    def failed(self, operation: str, body: bytes, answer: Any) -> None:
        """A write whose condition did not hold: it costs as much."""
        request = json.loads(body)
        wanted: Item = request.get("Item") or request["Key"]
        key = {name: wanted[name] for name in self._key}
        there = self._client.get_item(TableName=self._table, Key=key).get("Item")
        self.lost += 1
        self._count(key, max(write_units(there), write_units(request.get("Item"))))

    def _count(self, item: Item, units: int) -> None:
        partition, sort = (str(item[name]["S"]) for name in self._key)
        self._add("item", f"{partition} / {sort}", units)
        self._add("table", partition, units)

    def _add(self, where: str, key: str, units: int) -> None:
        self.units[where, key] += units
        if key.startswith("X#"):
            return
        second = int(self._stack.clock.now().timestamp())
        if second != self._second:
            self._second = second
            self._in_second.clear()
        self._in_second[where, key] += units
        self.peaks[where, key] = max(self.peaks[where, key], self._in_second[where, key])


@dataclass
class Campaign:
    """What a campaign came to. `requests` by function, service and operation, from its start to its end."""

    rows: int
    lines: int
    seconds: float = 0.0
    ingest_seconds: float = 0.0
    hours: float = 0.0
    attempts: int = 0
    max_live: int = 0
    status_changes: int = 0
    webhooks: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    requests: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    invocations: Counter[str] = field(default_factory=Counter)
    ingest_requests: int = 0
    call_seconds: float = 0.0
    """A call's, from being placed to its end, on average."""
    call_hours: float = 0.0
    """Executions', from being created to being final, together."""
    units: dict[tuple[str, str], int] = field(default_factory=dict)
    peaks: dict[tuple[str, str], int] = field(default_factory=dict)
    lost: int = 0


def campaign(rows: int, lines: int, say: Say) -> Campaign:
    """Play one, and check it."""
    found = Campaign(rows, lines)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(start_at=NOON, seed=SEED, log=Path(folder) / "functions.log") as stack,
    ):
        keys = Keys(stack)
        batches = DynamoBatches(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
        _watch(stack, keys, found)
        agent_id = stack.create_agent(max_concurrent_calls=lines, voicemail_detection=True)
        began = time.monotonic()
        batch_id = create_batch(stack, agent_id, rows, RETRIES)
        while True:
            stack.clock.advance(1)
            batch = batches.get(batch_id)
            assert batch is not None
            if batch.status == "processed":
                break
            _check(batch.status == "created", f"the file came to {batch.status}")
        _check(batch.valid == rows, f"{batch.valid} contacts of {rows} were stored")
        found.ingest_seconds = time.monotonic() - began
        found.ingest_requests = found.requests.total()
        say(f"{rows} contacts stored in {found.ingest_seconds:.0f} s")

        schedule(stack, batch_id, 5)
        stack.clock.advance(4.9)
        for counter in (found.requests, found.invocations):
            counter.clear()
        keys.clear()
        began, start = time.monotonic(), stack.clock.now()
        while batch.status != "completed":
            stack.clock.advance(STEP_MINUTES)
            batch = batches.get(batch_id)
            assert batch is not None
            hours = (stack.clock.now() - start).total_seconds() / 3600
            placed = len(stack.carrier.calls.all())
            left = {status: count for status, count in batches.counts(batch_id).items() if count}
            say(f"{hours:.2f} h simulated, {time.monotonic() - began:.0f} s: {placed} calls, {left}")
            _check(hours < LONGEST_HOURS, "the batch is not completed")
        completed = next(change.at for change in batch.changes if change.status == "completed")
        stack.clock.advance(STEP_MINUTES)  # what is still to be delivered
        found.seconds = time.monotonic() - began
        found.hours = (completed - start).total_seconds() / 3600
        found.units, found.peaks, found.lost = dict(keys.units), dict(keys.peaks), keys.lost
        say("checking")
        requests, invocations = Counter(found.requests), Counter(found.invocations)
        _examine(stack, batch_id, found)
        found.requests, found.invocations = requests, invocations
    return found


def _watch(stack: LocalStack, keys: Keys, found: Campaign) -> None:
    """Count the requests of functions by botocore's own events. (A hook of the emulated AWS would make the sweeper look
    at every shard in every simulated minute.)"""
    last: dict[str, Invocation] = {}

    def before(model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        invocation = stack.functions.current()
        if invocation is not None:
            function = invocation.function.module.split(".")[1]
            found.requests[function, model.service_model.service_name, model.name] += 1
            if last.get(function) is not invocation:
                last[function] = invocation
                found.invocations[function] += 1
        context["bench_body"] = params.get("body")

    def after(model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if parsed.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
            keys.failed(model.name, context["bench_body"], parsed)

    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-call", before)
    boto3.DEFAULT_SESSION.events.register("after-call.dynamodb", after)
    services.reset()


def _examine(stack: LocalStack, batch_id: str, found: Campaign, before: int = 0) -> None:
    """Raises `RuntimeError` where anything is not as it must be. `before`: calls that were there before the batch."""
    calls = stack.carrier.calls.all()[before:]
    live, found.max_live = stack.carrier.calls.live()
    found.attempts = len(calls)
    taken = [(call.ended_at - call.placed_at).total_seconds() for call in calls if call.ended_at is not None]
    found.call_seconds = sum(taken) / len(taken)
    _check(live == 0, f"{live} calls are live")
    _check(found.max_live <= found.lines, f"{found.max_live} calls were live at once, with {found.lines} lines")

    executions: list[Any] = []
    page = 1
    while len(executions) < found.rows:
        part = _ask(stack, "GET", f"/batches/{batch_id}/executions?page_number={page}&page_size=50")
        _check(bool(part), f"{len(executions)} executions are listed, of {found.rows}")
        executions += part
        page += 1
    wanted = [contact_id(batch_id, row) for row in range(1, found.rows + 1)]
    _check([one["id"] for one in executions] == wanted, "the listing is not the file's rows in their order")
    for one in executions:
        _check(one["status"] in FINAL, f"{one['id']} is not final: {one['status']}")
    found.counts = dict(sorted(Counter(one["status"] for one in executions).items()))
    open_for = (
        datetime.fromisoformat(one["updated_at"]) - datetime.fromisoformat(one["created_at"]) for one in executions
    )
    found.call_hours = sum(open_for, timedelta()).total_seconds() / 3600
    shown = _ask(stack, "GET", f"/batches/{batch_id}")
    _check(shown["execution_status"] == found.counts, f"counted {shown['execution_status']}, are {found.counts}")

    placed: Counter[tuple[str, str, str]] = Counter()
    for call in calls:
        parts = _CALLBACK.search(urlsplit(call.request.status_callback or "").path)
        assert parts is not None
        placed[call.request.to, parts[1], parts[2]] += 1
    twice = [key for key, count in placed.items() if count > 1]
    _check(not twice, f"dialled twice in one attempt: {twice[:5]}")
    expected = {
        (one["user_number"], one["id"], str(attempt))
        for one in executions
        for attempt in range(1, len(one["attempts"]) + 1)
    }
    _check(placed.keys() == expected, "the attempts are not the calls of the carrier's list")
    _check(sum(len(one["attempts"]) for one in executions) == len(calls), "attempts are more or fewer than calls")

    told: dict[str, list[int]] = defaultdict(list)
    for delivery in stack.inbox.received(INBOX_NAME):
        _check(delivery.answered == 200 and delivery.verified, "a webhook was not accepted")
        body = delivery.body
        told[body["id"]].append(body["sequence"])
        found.webhooks += 1
    for one in executions:
        right = told[one["id"]] == list(range(1, one["sequence"] + 1))
        _check(right, f"events of {one['id']} came as {told[one['id']]}, of {one['sequence']}")
        found.status_changes += one["sequence"] - 1
    failures = (
        stack.clock.failures, stack.functions.failures, stack.functions.dead_letters, stack.scheduler.dead_letters
    )  # fmt: skip
    for trouble in failures:
        _check(not trouble, f"something failed: {trouble[:1]}")
    _check(not stack.carrier.calls.problems, f"the carrier met problems: {stack.carrier.calls.problems[:1]}")
    client, table = stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"]
    for partition in (f"Q#{shown['agent_id']}", f"R#{batch_id}"):
        values = {":pk": {"S": partition}}
        waiting = client.query(
            TableName=table, KeyConditionExpression="pk = :pk", ExpressionAttributeValues=values, Limit=5
        )["Items"]
        _check(not waiting, f"somebody waits still: {waiting}")


def campaign_report(found: Campaign) -> Iterator[str]:
    attempts = found.attempts
    yield f"## A batch of {found.rows:,} contacts"
    yield ""
    yield f"One agent with {found.lines} lines, `max_retries` 3 after 10, 20, 30 minutes, the emulated carrier's mix."
    yield "Checked, and so: every contact final; the counts shown are those of a recount; never more live calls than"
    yield "lines; no attempt with two calls; attempts exactly the carrier's list of calls; each contact's events all"
    yield "there, once and in order; no failed function, no dead letter; nobody left in a queue or a room."
    yield ""
    tally = sum(count for (function, _, _), count in found.requests.items() if function == TALLY)
    looks = found.requests[TALLY, "dynamodb", "Query"]
    yield from table(
        ["", "value"],
        [
            ["contacts", found.rows],
            ["attempts = calls of the carrier", attempts],
            ["came to", ", ".join(f"{status} {count}" for status, count in found.counts.items())],
            ["most live calls at once", found.max_live],
            ["webhooks", found.webhooks],
            ["simulated hours from start to completed", f"{found.hours:.2f}"],
            ["seconds on this machine for that", f"{found.seconds:.0f}"],
            ["AWS requests for upload and ingest", found.ingest_requests],
            ["seconds for upload and ingest", f"{found.ingest_seconds:.0f}"],
            ["AWS requests", found.requests.total()],
            ["AWS requests per attempt", f"{found.requests.total() / attempts:.2f}"],
            ["… of these by tally", f"{tally / attempts:.3f}"],
            ["tally's requests per 1,000 status changes", f"{tally / found.status_changes * 1000:.1f}"],
            ["invocations of tally", found.invocations[TALLY]],
            ["tally's looks at all counters of the batch", looks],
            ["writes that lost their condition, per attempt", f"{found.lost / attempts:.3f}"],
        ],
    )
    yield ""
    yield "AWS requests per attempt, by function:"
    yield ""
    yield from table(
        ["function", "request", "per attempt"],
        [
            [function, f"{service} {operation}", f"{count / attempts:.4f}"]
            for (function, service, operation), count in sorted(found.requests.items())
        ],
    )
    yield ""
    yield "The sweeper is left out of minutes in which nothing is due (`make bench` counts an idle run of it)."
    yield ""
    yield from keys_report(found)


def keys_report(found: Campaign) -> Iterator[str]:
    """Write units of the busiest keys per attempt, and what many attempts a second would make of them."""
    attempts, line_shards = found.attempts, MOST_LINES // LINES_PER_SHARD
    kinds = kinds_of(found.units)
    of_calls = kinds["table", CALL].total() / attempts
    of_lines = kinds["table", LINES_SHARD].total() / attempts
    of_queue = kinds["table", QUEUE].total() / attempts
    in_table = sum(units.total() for (where, _), units in kinds.items() if where == "table") / attempts
    in_indexes = {where: units.total() / attempts for (where, kind), units in kinds.items() if kind == INDEX_PARTITION}
    alone = min(ATTEMPTS_A_SECOND, MOST_LINES / found.call_seconds)
    yield "## Write units of the busiest keys"
    yield ""
    yield from paragraph(
        f"Counted over the run above, failed writes included: {in_table:.1f} units of the table per attempt, of these",
        f"{of_calls:.1f} on the call's own item; of indexes",
        ", ".join(f"{units:.1f} ({name})" for name, units in sorted(in_indexes.items())) + ".",
        f"DynamoDB takes {PARTITION_WRITES:,} a second for one partition key, of a table or an index, and so for an",
        "item.",
    )
    yield ""
    yield from paragraph(
        f"An agent has at most {MOST_LINES:,} lines. A call took {found.call_seconds:.0f} seconds here on average, so",
        f"one agent alone makes at most {alone:.0f} attempts a second; to make {ATTEMPTS_A_SECOND}, its calls would",
        f"have to last {MOST_LINES / ATTEMPTS_A_SECOND:g} seconds. The units of lines are those of all shards here,",
        f"spread over the {line_shards} of {MOST_LINES:,} lines.",
    )
    yield ""
    rows: list[tuple[float, list[object]]] = []
    for (where, kind), units in kinds.items():
        if kind == CALL:
            continue
        busiest = (units.total() / line_shards if kind == LINES_SHARD else max(units.values())) / attempts
        most = max((found.peaks.get((where, key), 0) for key in units), default=0)
        row: list[object] = [kind, where, len(units), f"{busiest:.4f}", f"{busiest * alone:.1f}"]
        rows.append((-busiest, [*row, f"{busiest * ATTEMPTS_A_SECOND:.1f}", most]))
    yield from table(
        ["key", "of", "keys", "units per attempt, busiest", f"× {alone:.0f}/s", f"× {ATTEMPTS_A_SECOND}/s",
         "most in a second of the run"],
        [row for _, row in sorted(rows, key=lambda one: one[0])],
    )  # fmt: skip
    yield ""
    yield from paragraph(
        f"- The first at its limit is an agent's queue: {of_queue:.2f} units per attempt here. A first dial of a batch",
        f"is 1, a retry that waits for a line 2 (in and out; 3 with a rate), so at worst {2 * ATTEMPTS_A_SECOND:,} a",
        f"second at {ATTEMPTS_A_SECOND} attempts of one agent, and {2 * alone:.0f} at {alone:.0f}.",
        indent="  ",
    )
    yield from paragraph(
        f"- A shard of lines takes {of_lines:.1f} units per attempt that it carries, and carries {LINES_PER_SHARD} at",
        f"once: it is at its limit when calls last {LINES_PER_SHARD * of_lines / PARTITION_WRITES:.2f} seconds,",
        "whatever the agent's limit is.",
        indent="  ",
    )
    yield from paragraph(
        "- Counters are written once for all records of a shard of the stream that came within a second (at most",
        "1,000) and not once per attempt: the faster attempts come, the less is it for each.",
        indent="  ",
    )
    yield from paragraph(
        f"- The index `due` is shared by all agents: × {ATTEMPTS_A_SECOND} is for all of them together.", indent="  "
    )
    yield from paragraph(
        "- One function runs at a time here, so writes that fail because two met at one key are not in these figures.",
        "All lines of the agent are filled at once at the start: most in a second is that.",
        indent="  ",
    )
    yield ""


CALL, QUEUE, LINES_SHARD = "one call (X#)", "an agent's queue (Q#)", "lines, a shard of 50 (L#)"
INDEX_PARTITION = "a partition of the index"
_KINDS = (
    ("X#", CALL), ("L#", LINES_SHARD), ("Q#", QUEUE),
    ("B#", "a batch (B#)"), ("C#", "a batch's counters (C#)"), ("R#", "a batch's room (R#)"),
)  # fmt: skip


def kinds_of(units: dict[tuple[str, str], int]) -> dict[tuple[str, str], Counter[str]]:
    """By (where, kind of key): the units of each key."""
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (where, key), count in units.items():
        kind = next((name for prefix, name in _KINDS if key.startswith(prefix)), key[:2] + "…")
        if where not in ("item", "table"):
            kind = INDEX_PARTITION
        elif where == "item" and key.startswith("Q#"):
            standing = "/ 0b#" in key
            kind = "a batch's place in the queue (Q# / 0b#)" if standing else "a waiting call (Q# / 0# or 1#)"
        found[where, kind][key] += count
    return found


# ---- a small campaign, counted as attempts are --------------------------------------------------------------------


class WholeBench(Bench):
    """Counts whatever any function does, once `whole` is set."""

    whole: Counts | None = None

    def _counts(self, invocation: Invocation | None = None) -> Counts | None:
        return self.whole if invocation or self.stack.functions.current() else None


def whole(rows: int, lines: int, say: Say) -> tuple[Counts, Campaign]:
    """Everything that a batch of so many contacts takes, from its upload to its last webhook, checked as a campaign is.

    The sweeper runs every minute of it, as it does on AWS.
    """
    found = Campaign(rows, lines)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "functions.log"
        with LocalStack(start_at=NOON, seed=SEED, log=log) as stack:
            bench = WholeBench(stack, log)
            with bench.counted_handlers(stack.template.functions(stack.environment)):
                agent_id = bench.agent(max_concurrent_calls=lines, voicemail_detection=True)
                before = len(stack.carrier.calls.all())
                keys = Keys(stack)
                batches = DynamoBatches(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
                counts = bench.whole = Counts(f"a contact of a batch of {rows}", calls=rows)
                start = stack.clock.now()
                batch_id = create_batch(stack, agent_id, rows, RETRIES)
                bench.advance(1)
                schedule(stack, batch_id, 2)
                while True:
                    bench.advance(STEP_MINUTES)
                    batch = batches.get(batch_id)
                    assert batch is not None
                    if batch.status == "completed":
                        break
                    _check((stack.clock.now() - start) < timedelta(hours=LONGEST_HOURS), "the batch is not completed")
                bench.advance(STEP_MINUTES)  # what is still to be delivered
                bench.whole = None
                found.units = dict(keys.units)
                if counts.metered != counts.of("dynamodb"):
                    raise RuntimeError(f"{counts.metered} requests metered, of {counts.of('dynamodb')}")
                _examine(stack, batch_id, found, before)
    counts.attempts = found.attempts
    counts.hours = found.call_hours
    say(f"a batch of {rows} contacts came to {found.attempts} attempts: {found.counts}")
    return counts, found


# ---- one attempt ----------------------------------------------------------------------------------------------------


class BatchBench(Bench):
    """Counts tally's requests too, as those of the "call" `TALLY`."""

    def _call(self, invocation: Invocation) -> str | None:
        return TALLY if "Records" in invocation.event else super()._call(invocation)


@dataclass
class Middle:
    """What an attempt in the middle of a batch took, and tally meanwhile for all calls."""

    rows: int
    attempt: Counts
    tally: Counts


def middle(rows: int, say: Say) -> Middle:
    """One unanswered attempt at the contact in the middle of a batch of so many; all lines are taken when it starts.

    A large batch is uploaded small, and its other contacts are put into the table as its ingest would have put them;
    its place in the queue is made beforehand, with its cursor a few contacts before the middle: what comes before is
    never called.
    """
    row = rows // 2
    with _bench() as bench:
        stack = bench.stack
        agent_id = bench.agent(max_concurrent_calls=MIDDLE_LINES)
        uploaded = min(rows, SMALL)
        batch_id = create_batch(stack, agent_id, uploaded, {**RETRIES, "retry_intervals_minutes": [60]})
        bench.advance(1)
        if rows > uploaded:
            _grow(stack, batch_id, uploaded, rows, row - FEW, say)
            bench.advance(5)
        near = range(1, rows + 1) if rows == uploaded else range(row - FEW, row + 2 * SMALL)
        for one in near:
            bench.script(number(one), "no-answer" if one == row else "completed")
        bench.known_as("middle", contact_id(batch_id, row))
        schedule(stack, batch_id, 5)
        attempt = bench.count(f"middle of {rows:,}", "middle")
        tally = bench.count(TALLY, TALLY)
        bench.advance(5 + 28)
        calls = stack.carrier.calls.all()
        say(f"{rows:,} contacts: {len(calls)} calls made, {stack.carrier.calls.live()[1]} live at once")
        _check(stack.carrier.calls.live()[1] == MIDDLE_LINES, "the lines were not all taken")
        bench.finish("middle", 1, "no-answer")
    return Middle(rows, attempt, tally)


def _grow(stack: LocalStack, batch_id: str, uploaded: int, rows: int, next_row: int, say: Say) -> None:
    client, table = stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"]
    batches, executions, queue = (
        DynamoBatches(client, table),
        DynamoExecutions(client, table),
        DynamoCallQueue(client, table),
    )
    batch = batches.get(batch_id)
    assert batch is not None and batch.ingested
    data = {"note": USER_DATA["note"]}
    for start in range(uploaded + 1, rows + 1, 1000):
        piece = range(start, min(start + 1000, rows + 1))
        executions.create_contacts([contact(batch, row, number(row), data) for row in piece])
        if start % 10_000 < 1000:
            say(f"{start:,} contacts stored")
    batches.save(
        replace(batch, total=rows, valid=rows, stored_to=rows, audit_from=next_row - 1, audited_to=next_row - 1)
    )
    queue.join(BatchQueueEntry(batch_id, batch.agent_id, next_row, rows, served_at=stack.clock.now()))


@contextmanager
def _bench() -> Iterator[BatchBench]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "functions.log"
        with LocalStack(start_at=NOON, recurring=False, log=log) as stack:
            bench = BatchBench(stack, log)
            with bench.counted_handlers(stack.template.functions(stack.environment)):
                yield bench


_SHARED: dict[str, Callable[[Counts], float]] = {
    "AWS requests": lambda counts: counts.aws_requests,
    "write units": lambda counts: counts.units.writes,
    "read units": lambda counts: counts.units.reads,
}


def attempt_report(found: Sequence[Middle]) -> Iterator[str]:
    yield "## One attempt in a small and in a large batch"
    yield ""
    yield from paragraph(
        f"The contact in the middle: started on a line that another freed ({MIDDLE_LINES} lines, all taken), not",
        f"answered, its retry scheduled, its line handed on. Of the {LARGE:,} contacts all but {SMALL} were put into",
        f"the table directly, as the ingest would have, and the batch's cursor started {FEW} contacts before the",
        "middle: those before were never called.",
    )
    yield ""
    rows: list[list[object]] = [
        ["AWS requests", *(one.attempt.aws_requests for one in found)],
        ["write units: table", *(one.attempt.units.table_writes for one in found)],
        ["write units: indexes", *(one.attempt.units.index_writes for one in found)],
        ["read units", *(one.attempt.units.reads for one in found)],
        ["Lambda invocations", *(one.attempt.invocations.total() for one in found)],
        ["HTTP API requests", *(one.attempt.http_api_requests for one in found)],
        ["webhooks", *(one.attempt.webhooks for one in found)],
    ]
    operations = sorted({key for one in found for key in one.attempt.requests})
    rows += [[" ".join(key), *(one.attempt.requests[key] for one in found)] for key in operations]
    rows += [
        [
            f"tally, shared: {what} per invocation",
            *(f"{of(one.tally) / one.tally.invocations[TALLY]:.2f}" for one in found),
        ]
        for what, of in _SHARED.items()
    ]
    yield from table(["", *(f"batch of {one.rows:,}" for one in found)], rows)
    yield ""
    small, large = found[0].attempt, found[-1].attempt
    same = (small.requests, small.units, small.invocations) == (large.requests, large.units, large.invocations)
    yield f"Requests, units and invocations of the attempt are {'the same' if same else '**not** the same'}."
    yield ""


def main() -> None:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("campaign", "attempt"))
    parser.add_argument("--rows", type=int, default=ROWS, help=f"contacts of the campaign ({ROWS})")
    parser.add_argument("--lines", type=int, default=LINES, help=f"its agent's limit of concurrent calls ({LINES})")
    asked = parser.parse_args()
    if asked.what in (None, "campaign"):
        print("\n".join(campaign_report(campaign(asked.rows, asked.lines, say))), flush=True)
    if asked.what in (None, "attempt"):
        print("\n".join(attempt_report([middle(rows, say) for rows in (SMALL, LARGE)])), flush=True)


if __name__ == "__main__":
    main()
