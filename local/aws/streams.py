"""DynamoDB Streams and Lambda's event source mappings, on one machine.

    table ─write─► shard ─batches─► function          one of `SHARDS` lineages of shards, by the key of the item
                     └─after `RECORDS_PER_SHARD`─► its successor, with its own id and sequence numbers

Records of one item are delivered in order; those of several items need not be. Sequence numbers rise within a shard
only. A failed batch blocks its shard and is retried. Some successful batches are delivered again, in whole or in part,
since the service delivers at least once. All waits are in simulated time.
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
"""

import json
import random
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.aws.dynamodb import Changes, Image, changes_of, table_of
from local.aws.functions import MAX_SYNCHRONOUS_BYTES, DeadLetter, Function, FunctionFailed, Invoker
from local.clock import Event, Timeline

SHARDS = 4
"""The number of open shards."""
RECORDS_PER_SHARD = 5_000
"""The number of writes after which a shard closes. (The service's shards close after some hours.)"""
RETRY_AFTER_SECONDS = (1, 2, 5, 10, 30, 60)
"""Seconds before the retries of a failed batch; the last repeats."""
STREAM_DUPLICATES = 0.02
"""The share of successful batches that are delivered again, in whole or in part."""
_RECORD_BYTES = 700  # a record's size without its images, at least


@dataclass(frozen=True)
class StreamMapping:
    """The template's event source mapping. -1 means unlimited.

    A record must match one of `filters`, the patterns of FilterCriteria; without patterns, every record matches.
    `window_seconds`: how long a batch collects records after its first. `tumbling_seconds`: 0 for no windows.
    """

    function: Function
    stream_arn: str
    batch_size: int = 100
    window_seconds: float = 0.0
    tumbling_seconds: int = 0
    filters: tuple[Mapping[str, Any], ...] = ()
    bisect: bool = False
    max_retries: int = -1
    max_age_seconds: int = -1


@dataclass(frozen=True)
class _Record:
    """One change. `second`: its time in epoch seconds. `bytes`: its maximum size in an invocation's payload. `expired`:
    the item was removed because its time had passed."""

    number: int
    name: str
    second: int
    old: Image | None
    new: Image | None
    bytes: int
    expired: bool


@dataclass(eq=False)
class _Shard:
    """One shard. `records`: those that the function has not processed. `written`: the number of all records. `ended`:
    the shard is closed."""

    id: str
    number: int
    records: deque[_Record] = field(default_factory=deque)
    written: int = 0
    ended: bool = False


@dataclass(eq=False)
class _Lineage:
    """A shard and its successors, read in order, one invocation at a time.

    `limits`: sizes of the next batches after a failure. `window`: the start of the open window in epoch seconds.
    `state`: the function's last result in that window.
    """

    chance: random.Random
    shards: deque[_Shard] = field(default_factory=deque)
    next_read: Event | None = None
    reading: bool = False
    failures: int = 0
    limits: deque[int] = field(default_factory=deque)
    window: int | None = None
    state: Any = field(default_factory=dict)


class Stream:
    """One mapping's view of a table's stream. Thread-safe.

    `seed` determines sequence numbers and duplicates. `duplicates`: the share of batches that are delivered again.
    """

    def __init__(
        self,
        timeline: Timeline,
        functions: Invoker,
        mapping: StreamMapping,
        seed: int = 0,
        duplicates: float = STREAM_DUPLICATES,
    ) -> None:
        if not 0 <= duplicates < 1:
            raise ValueError("duplicates must be 0 or more and less than 1")
        self.mapping = mapping
        self.duplicates = duplicates
        self._timeline = timeline
        self._functions = functions
        self._wanted = [_compiled(pattern) for pattern in mapping.filters]
        self._view = "NEW_AND_OLD_IMAGES"
        self._key_names: tuple[str, ...] = ()
        self._changes: Changes | None = None
        self._lock = threading.Lock()
        self._lineages = [_Lineage(random.Random(f"{seed} {place}")) for place in range(SHARDS)]
        for place, lineage in enumerate(self._lineages):
            lineage.shards.append(self._new_shard(place, 1))

    def follow(self, table_name: str) -> None:
        """Read the changes of a table that has a stream, from now on."""
        table = table_of(table_name)
        assert table.stream_specification is not None
        self._view = str(table.stream_specification["StreamViewType"])
        self._key_names = tuple(table.table_key_attrs)
        self._changes = changes_of(table_name)
        self._changes.listeners.append(self.wrote)

    def shard_ids(self) -> list[str]:
        """The ids of the open shards."""
        with self._lock:
            return [lineage.shards[-1].id for lineage in self._lineages]

    def waiting(self) -> int:
        """The number of records that the function has not processed yet."""
        with self._lock:
            return sum(len(shard.records) for lineage in self._lineages for shard in lineage.shards)

    def wrote(self, old: Image | None, new: Image | None) -> None:
        """Record a write of one item, unless it changes nothing."""
        item = new if new is not None else old
        assert item is not None
        if old is not None and new is not None and old.plain == new.plain:
            return
        expired = self._changes is not None and self._changes.by_service
        name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        keys = {key: item.plain[key] for key in self._key_names}
        place = (zlib.crc32(repr(keys).encode()) * 0x9E3779B1 >> 20) % SHARDS  # CRCs of similar keys are similar
        lineage = self._lineages[place]
        with self._lock:
            shard = lineage.shards[-1]
            shard.written += 1
            shard.number += 1 + int(lineage.chance.random() * 89)
            number = shard.number
            if shard.written >= RECORDS_PER_SHARD:
                shard.ended = True
                lineage.shards.append(self._new_shard(place, int(shard.id[8:28]) - _FIRST_SHARD + 1))
            if self._wanted and not self._wants(name, keys, old, new, expired):
                return
            second = int(self._timeline.now().timestamp())
            size = _RECORD_BYTES + sum(len(one.text) for one in (old, new) if one is not None)
            shard.records.append(_Record(number, name, second, old, new, size, expired))
            self._read_in_time(lineage)

    def _new_shard(self, place: int, generation: int) -> _Shard:
        """A shard with an id and sequence numbers like the service's. Numbers do not rise from shard to shard."""
        chance = self._lineages[place].chance
        number = 100_000_000_000_000_000_000 * chance.randint(10, 99) + chance.randrange(10**9)
        return _Shard(f"shardId-{_FIRST_SHARD + generation:020d}-{chance.getrandbits(32):08x}", number)

    def _wants(self, name: str, keys: Any, old: Image | None, new: Image | None, expired: bool) -> bool:
        change: dict[str, Any] = {"Keys": keys}
        if old is not None and self._view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = old.plain
        if new is not None and self._view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = new.plain
        record = {"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change}
        if expired:
            record["userIdentity"] = _SERVICE
        return any(wanted(record) for wanted in self._wanted)

    # ---- reading ------------------------------------------------------------------------------------------------

    def _read_in_time(self, lineage: _Lineage) -> None:
        """Schedule a read for the time when a batch is full or its window is over. Needs the lock."""
        if lineage.reading or lineage.failures:
            return
        waiting = len(lineage.shards[0].records)
        full = waiting >= self.mapping.batch_size or lineage.limits or lineage.shards[0].ended
        seconds = 0 if full else self.mapping.window_seconds
        if lineage.next_read is None or lineage.next_read.due > self._timeline.now() + timedelta(seconds=seconds):
            self._read_after(lineage, seconds)  # a scheduled end of a window, which is later, waits for these records

    def _read_after(self, lineage: _Lineage, seconds: float) -> None:
        if lineage.next_read is not None:
            lineage.next_read.cancel()
        lineage.next_read = self._timeline.after(
            seconds, lambda: self._read(lineage), f"stream {lineage.shards[0].id}: {self.mapping.function.name}"
        )

    def _read(self, lineage: _Lineage) -> None:
        """Invoke the function with one batch, or with the end of its window, and schedule the next read."""
        with self._lock:
            lineage.next_read = None
            if lineage.reading:
                return
            self._drop_the_old(lineage)
            batch, final = self._next(lineage)
            if not batch and not final:
                self._go_on(lineage)
                return
            lineage.reading = True
            event = self._event(lineage, batch, final)
        try:
            result = self._functions.invoke_text(self.mapping.function.alias_arn, event, self._check)
        except FunctionFailed as failure:
            with self._lock:
                lineage.reading = False
                self._after_failure(lineage, batch, failure)
            return
        with self._lock:
            lineage.reading = False
            self._after_success(lineage, batch, final, result)

    def _next(self, lineage: _Lineage) -> tuple[list[_Record], bool]:
        """The next batch, all of it from one window, and whether the open window ends first. Needs the lock."""
        shard, length = lineage.shards[0], self.mapping.tumbling_seconds
        first = shard.records[0] if shard.records else None
        if length and lineage.window is not None:
            now = int(self._timeline.now().timestamp())
            over = first is None and (now >= lineage.window + length or shard.ended)
            if over or (first is not None and first.second >= lineage.window + length):
                return [], True
        if first is None:
            return [], False
        if length and lineage.window is None:
            lineage.window, lineage.state = first.second // length * length, {}
        batch: list[_Record] = []
        size, limit = 0, lineage.limits[0] if lineage.limits else self.mapping.batch_size
        for record in shard.records:
            size += record.bytes
            another = bool(length) and lineage.window is not None and record.second >= lineage.window + length
            if len(batch) == limit or (batch and (another or size > MAX_SYNCHRONOUS_BYTES)):
                break
            batch.append(record)
        return batch, False

    def _drop_the_old(self, lineage: _Lineage) -> None:
        if self.mapping.max_age_seconds < 0:
            return
        oldest = self._timeline.now().timestamp() - self.mapping.max_age_seconds
        records = lineage.shards[0].records
        old = []
        while records and records[0].second < oldest:
            old.append(records.popleft())
        if old:
            lineage.limits.clear()
            reason = {"errorType": "RecordAgeExceeded", "errorMessage": f"older than {self.mapping.max_age_seconds} s"}
            self._give_up(lineage, old, lineage.failures, reason)
            lineage.failures = 0

    def _after_failure(self, lineage: _Lineage, batch: list[_Record], failure: FunctionFailed) -> None:
        """Retry the batch, whole or in halves, or give up on it. The end of a window is retried until it succeeds."""
        lineage.failures += 1
        if batch:
            if lineage.limits:
                lineage.limits.popleft()
            lineage.limits.appendleft(len(batch))
        if self.mapping.bisect and len(batch) > 1:
            half = len(batch) // 2
            lineage.limits[0] -= half
            lineage.limits.appendleft(half)
        elif batch and 0 <= self.mapping.max_retries < lineage.failures:
            self._taken(lineage, batch)
            self._give_up(lineage, batch, lineage.failures, failure.payload)
            lineage.failures = 0
            self._go_on(lineage)
            return
        seconds = RETRY_AFTER_SECONDS[min(lineage.failures, len(RETRY_AFTER_SECONDS)) - 1]
        self._read_after(lineage, seconds)

    def _after_success(self, lineage: _Lineage, batch: list[_Record], final: bool, result: Any) -> None:
        lineage.failures = 0
        if final:
            lineage.window, lineage.state = None, {}
        elif self.mapping.tumbling_seconds:
            lineage.state = result["state"]
        if batch and lineage.chance.random() < self.duplicates:
            lineage.limits.clear()
            batch = batch[: lineage.chance.randrange(len(batch))]  # the others are delivered again
        self._taken(lineage, batch)
        self._go_on(lineage)

    def _taken(self, lineage: _Lineage, batch: list[_Record]) -> None:
        records = lineage.shards[0].records
        for _ in batch:
            records.popleft()
        if batch and lineage.limits:
            lineage.limits.popleft()

    def _go_on(self, lineage: _Lineage) -> None:
        """Schedule the next batch, the end of the window or the next shard."""
        while lineage.shards[0].ended and not lineage.shards[0].records and lineage.window is None:
            lineage.shards.popleft()
        shard = lineage.shards[0]
        if shard.records:
            self._read_in_time(lineage)
        elif lineage.window is not None:
            end = datetime.fromtimestamp(lineage.window + self.mapping.tumbling_seconds, UTC)
            seconds = (end - self._timeline.now()).total_seconds()
            self._read_after(lineage, 0 if shard.ended else max(seconds, 0))

    def _give_up(self, lineage: _Lineage, batch: list[_Record], tries: int, error: dict[str, Any]) -> None:
        event = {
            "shardId": lineage.shards[0].id,
            "startSequenceNumber": str(batch[0].number),
            "endSequenceNumber": str(batch[-1].number),
            "batchSize": len(batch),
            "streamArn": self.mapping.stream_arn,
        }
        letter = DeadLetter(self._timeline.now(), None, self.mapping.function.name, event, tries, error)
        self._functions.dead_letters.append(letter)

    def _check(self, result: Any) -> None:
        """Raises `ValueError` for a result that the service treats as a failure."""
        if self.mapping.tumbling_seconds and not (isinstance(result, dict) and isinstance(result.get("state"), dict)):
            raise ValueError('in a tumbling window a function must return {"state": {…}}')

    # ---- events -------------------------------------------------------------------------------------------------

    def _event(self, lineage: _Lineage, batch: list[_Record], final: bool) -> str:
        """The event, in JSON."""
        shard, arn = lineage.shards[0].id, self.mapping.stream_arn
        parts = [f'"Records": [{", ".join(self._text(shard, record) for record in batch)}]']
        if lineage.window is not None:
            start = datetime.fromtimestamp(lineage.window, UTC)
            window = {
                "start": _instant(start),
                "end": _instant(start + timedelta(seconds=self.mapping.tumbling_seconds)),
            }
            parts.append(f'"window": {json.dumps(window)}, "state": {json.dumps(lineage.state)}')
            parts.append(f'"shardId": {json.dumps(shard)}, "eventSourceARN": {json.dumps(arn)}')
            parts.append(f'"isFinalInvokeForWindow": {json.dumps(final)}, "isWindowTerminatedEarly": false')
        return f"{{{', '.join(parts)}}}"

    def _text(self, shard: str, record: _Record) -> str:
        item = record.new if record.new is not None else record.old
        assert item is not None
        keys = json.dumps({name: item.plain[name] for name in self._key_names})
        images = ""
        if record.new is not None and self._view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            images += f', "NewImage": {record.new.text}'
        if record.old is not None and self._view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            images += f', "OldImage": {record.old.text}'
        by = f', "userIdentity": {json.dumps(_SERVICE)}' if record.expired else ""
        event_id = zlib.crc32(shard.encode()) << 96 | record.number
        return (
            f'{{"eventID": "{event_id:032x}", "eventName": "{record.name}", "eventVersion": "1.1", '
            f'"eventSource": "aws:dynamodb", "awsRegion": "{self.mapping.stream_arn.split(":")[3]}", "dynamodb": '
            f'{{"ApproximateCreationDateTime": {record.second}, "Keys": {keys}{images}, '
            f'"SequenceNumber": "{record.number}", "SizeBytes": {record.bytes - _RECORD_BYTES}, '
            f'"StreamViewType": "{self._view}"}}{by}, "eventSourceARN": "{self.mapping.stream_arn}"}}'
        )


_SERVICE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""The user that removes expired items.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html"""
_FIRST_SHARD = 1_541_626_099_284


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


# ---- filters --------------------------------------------------------------------------------------------------------


def check_pattern(pattern: Any) -> None:
    """Raise `ValueError` for a filter pattern that is not emulated.

    Supported are lists of values of which one must be equal, `{"exists": true}` and `{"prefix": "…"}`.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
    """
    if not isinstance(pattern, dict) or not pattern:
        raise ValueError("a filter pattern must be an object with at least one name")
    for name, wanted in pattern.items():
        if isinstance(wanted, dict):
            check_pattern(wanted)
        elif not isinstance(wanted, list) or not wanted:
            raise ValueError(f"{name}: must be a list of values and rules")
        else:
            for rule in wanted:
                _rule(name, rule)


def _rule(name: str, rule: Any) -> Callable[[Any], bool]:
    if isinstance(rule, str | int | float):
        return lambda value: bool(value == rule)
    if rule == {"exists": True}:
        return lambda value: value is not None
    if isinstance(rule, dict) and rule.keys() == {"prefix"} and isinstance(rule["prefix"], str):
        prefix: str = rule["prefix"]
        return lambda value: isinstance(value, str) and value.startswith(prefix)
    raise ValueError(f"{name}: {rule} is not emulated")


def _compiled(pattern: Mapping[str, Any]) -> Callable[[Any], bool]:
    """A function that says whether a record matches the pattern."""
    check_pattern(pattern)
    leaves: list[tuple[tuple[str, ...], list[Callable[[Any], bool]]]] = []

    def gather(part: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for name, wanted in part.items():
            if isinstance(wanted, dict):
                gather(wanted, (*path, name))
            else:
                leaves.append(((*path, name), [_rule(name, rule) for rule in wanted]))

    gather(pattern, ())

    def matches(record: Any) -> bool:
        for path, rules in leaves:
            value = record
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if not any(rule(value) for rule in rules):
                return False
        return True

    return matches
