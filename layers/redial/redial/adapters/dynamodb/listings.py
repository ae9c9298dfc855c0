"""An agent's calls, newest first, and their total, for any number of calls.

    listing (index)                          keys of calls outside of batches, by agent, open or done, and creation time
    called (index)                           keys of an account's calls to a number, by creation time
    N#<agent> / <created, 13 digits>#<id>    a checkpoint: `n` calls outside of batches are at or before that position
    N#<agent> / counting                     `u`: one worker counts until then; `at`: its last checkpoint

A position in the listing is the text `<created, 13 digits>#<id>`. A batch has one position for all its contacts.
No call is ever added before a checkpoint. The number of calls between two checkpoints is therefore their difference,
unless calls were removed:

- Calls expire, usually the oldest first. No call created since `kept_from` has expired, so only checkpoints since then
  are subtracted. Older calls are counted by their keys, as long as these exist.
- Before a call is erased, the checkpoints from it on are removed, and a worker that is counting loses its lease
  (`forget_counts`).
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from redial.adapters.dynamodb.items import to_item
from redial.adapters.dynamodb.table import ABSENT, Table
from redial.domain.batch import Batch, contact_id
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.status import FINAL
from redial.ports import FILTER_LIMIT, Listing, Position, Row, Wanted
from redial.wire.stored_execution import DONE, LISTING_SHARDS, OPEN, listing_shard, number_key
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

MOST_KEYS = 2_500
"""Maximum keys that one query of a listing reads."""
MOST_OLD = 40_000
"""Maximum keys that a listing counts of calls that may have expired but are not removed yet."""
SPACING = 2_000
"""Calls between two checkpoints; with more uncounted calls, a listing requests another checkpoint."""
SETTLE_SECONDS = 10.0
"""Pause between reading open and finished calls for a checkpoint: the index shows a call's end within this time."""
_ROWS_AT_ONCE = 100  # limit of BatchGetItem
_LATEST_MS = 9_999_999_999_999
"""The last instant (in 2286) whose milliseconds fit the 13 digits of a listing key."""
_FIRST, _LAST = "0", f"{_LATEST_MS:013d}#~"
"""Bounds of all positions."""
_BOTH = (OPEN, DONE)


class _Place(NamedTuple):
    """A place in a listing: a call's position, or a batch with all its contacts in sequence."""

    position: str
    batch: Batch | None = None

    @property
    def size(self) -> int:
        return 1 if self.batch is None else self.batch.stored_to


class _Window(NamedTuple):
    """Positions, newest first, complete down to `bottom`. `bottom` None: there are no older ones."""

    positions: list[str]
    bottom: str | None


class _Rank(NamedTuple):
    """The number of calls outside of batches at or before a position. `calls`: the number, complete only if `known`;
    otherwise there are too many since the last checkpoint. `newest`: the window that was read for it."""

    calls: int
    known: bool
    newest: _Window

    @property
    def to_count(self) -> bool:
        """Whether another checkpoint is needed."""
        return not self.known or len(self.newest.positions) > SPACING


class _Base(NamedTuple):
    """Where counting by checkpoints begins. `position`: the first checkpoint since `kept_from`, where `counted` calls
    had been counted, of which `there` are wanted and still exist; None: there is none, so every key is counted.
    `known`: the keys up to there could be read. `low`: the first key to count if there is no checkpoint."""

    position: str | None
    counted: int = 0
    there: int = 0
    known: bool = True
    low: str = _FIRST


_NOTHING_EXPIRED = _Base(_FIRST)


class DynamoListings:
    """Implements `ports.Listings`. `read`: `Executions.read`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        read: Callable[[Sequence[str]], list[Execution]],
        sleep: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._table = Table(client, table_name)
        self._read = read
        self._sleep = sleep

    def of_agent(
        self,
        account_id: str,
        agent_id: str,
        batches: Sequence[Batch],
        wanted: Wanted,
        *,
        after: Position | None = None,
        skip: int = 0,
        most: int = MOST_KEYS,
        kept_from: datetime | None = None,
    ) -> Listing:
        if wanted.reads_executions:
            return self._filtered(account_id, agent_id, batches, wanted, after, skip)
        low, high = _bounds(wanted)
        if low > high:
            return Listing(0, iter(()))
        places = _places(batches, wanted)
        total: int | None = sum(one.size for one in places)
        kinds: tuple[str, ...] = ()
        first, to_count = None, False
        if wanted.batch_id is None:
            base = _NOTHING_EXPIRED if kept_from is None else self._base(agent_id, kept_from, low, high)
            newest = self._rank(agent_id, high, base)
            older = (
                self._rank(agent_id, _below(low), base) if base.position is not None and base.position < low else None
            )
            kinds, to_count = _BOTH, newest.to_count
            known = newest.known and (older is None or older.known)
            total = sum(one.size for one in places) + newest.calls - (older.calls if older else 0) if known else None
            first = newest.newest if after is None else None
            if skip > MOST_KEYS and after is None:
                if total is None:
                    message = "the calls are still being counted; ask again in a minute, or follow the Link of a page"
                    raise InvalidInput.of("page_number", message)
                start, skip = self._jump(agent_id, places, high, newest.calls, skip, base)
                high, first = (start, None) if start != high else (high, first)
        if total is not None and skip >= total:
            return Listing(total, iter(()), to_count)
        ids = self._ids(agent_id, places, kinds, low, high, after, skip, most, first)
        return Listing(total, self._rows(ids, batches, most), to_count)

    # ---- filters that read executions -------------------------------------------------------------------------------

    def _filtered(
        self,
        account_id: str,
        agent_id: str,
        batches: Sequence[Batch],
        wanted: Wanted,
        after: Position | None,
        skip: int,
    ) -> Listing:
        """Read every execution that may match, so that the total is exact. Raises `InvalidInput` if there are more than
        `FILTER_LIMIT`."""
        if wanted.user_number is not None:
            ids = self._called(account_id, wanted)
        else:
            kinds: tuple[str, ...] = _BOTH if wanted.status is None else (DONE if wanted.status in FINAL else OPEN,)
            low, high = _bounds(wanted)
            places = _places(batches, wanted)
            kinds = kinds if wanted.batch_id is None else ()
            ids = self._ids(agent_id, places, kinds, low, high, None, 0, MOST_KEYS, None)
        candidates = list(islice(ids, FILTER_LIMIT + 1))
        if len(candidates) > FILTER_LIMIT:
            message = f"more than {FILTER_LIMIT} executions to look through; narrow from and to"
            message += ", or read the batch's results.csv" if wanted.batch_id is not None else ""
            raise InvalidInput.of("from" if wanted.batch_id is None else "batch_id", message)
        found = self._rows(iter(candidates), batches, FILTER_LIMIT)
        rows = [row for row in found if wanted.matches(row.execution, agent_id)]
        rows.sort(key=lambda row: row.position.row)
        rows.sort(key=lambda row: row.position[:2], reverse=True)
        later = rows if after is None else [row for row in rows if row.position.follows(after)]
        return Listing(len(rows), iter(later[skip:]))

    def called(self, account_id: str, user_number: str) -> Iterator[str]:
        return self._called(account_id, Wanted(user_number=user_number))

    def _called(self, account_id: str, wanted: Wanted) -> Iterator[str]:
        assert wanted.user_number is not None
        low, high = _milliseconds(wanted)
        if low > high:
            return
        values = {":number": number_key(account_id, wanted.user_number), ":low": low, ":high": high}
        condition = "nu = :number AND ca BETWEEN :low AND :high"
        for item in self._table.query(condition, values, IndexName="called", ScanIndexForward=False):
            yield item["pk"].removeprefix("X#")

    def _rows(self, ids: Iterator[str], batches: Sequence[Batch], most: int) -> Iterator[Row]:
        """The executions as shown to customers, without contacts of batches that are not in `batches`."""
        by_id = {batch.id: batch for batch in batches}
        while some := list(islice(ids, min(most, _ROWS_AT_ONCE))):
            for one in self._read(some):
                if one.batch_id is None:
                    yield Row(Position(one.created_at, one.id), one)
                elif (batch := by_id.get(one.batch_id)) is not None:
                    yield Row(Position(batch.created_at, batch.id, one.row or 0), batch.shown(one))

    # ---- walking through the listing --------------------------------------------------------------------------------

    def _ids(
        self,
        agent_id: str,
        places: list[_Place],
        kinds: Sequence[str],
        low: str,
        high: str,
        after: Position | None,
        skip: int,
        most: int,
        first: _Window | None,
    ) -> Iterator[str]:
        """Ids of the executions between `low` and `high`, after `after`, without the first `skip`. `first`: the newest
        window, if it has already been read."""
        if after is not None:
            reached = f"{to_ms(after.created_at):013d}#{after.id}"
            high = min(high, reached if after.row else _below(reached))
        wide = min(max(most, (most + skip) // 2), MOST_KEYS)  # of each shard and kind: usually twice what is needed
        walk = self._walk(agent_id, kinds, low, high, wide, first)
        of_batches = (one for one in places if one.position <= high)
        for place in heapq.merge(map(_Place, walk), of_batches, key=lambda one: one.position, reverse=True):
            is_reached = after is not None and place.batch is not None and place.batch.id == after.id
            row = min(after.row, place.size) if after is not None and is_reached else 0
            if skip >= place.size - row:
                skip -= place.size - row
                continue
            if place.batch is None:
                yield place.position.partition("#")[2]
            else:
                for one in range(row + skip + 1, place.size + 1):
                    yield contact_id(place.batch.id, one)
            skip = 0

    def _walk(
        self, agent_id: str, kinds: Sequence[str], low: str, high: str, most: int, first: _Window | None
    ) -> Iterator[str]:
        """Positions between `low` and `high`, newest first."""
        window = first
        while kinds:
            window = window or self._window(agent_id, kinds, low, high, most)
            for position in window.positions:
                if position < low:
                    return
                yield position
            if window.bottom is None:
                return
            high, window = _below(window.bottom), None

    def _window(self, agent_id: str, kinds: Sequence[str], low: str, high: str, most: int) -> _Window:
        """The newest positions between `low` and `high`, by one query of at most `most` keys for each shard and kind.

        Open calls are read first, so a call that ends in between is found twice instead of being missed.
        """
        found: set[str] = set()
        bottom: str | None = None
        for kind in kinds:
            for shard in range(LISTING_SHARDS):
                positions, more = self._some(agent_id, shard, kind, bottom or low, high, most)
                found.update(positions)
                if more:
                    bottom = max(bottom or "", positions[-1])
        return _Window(sorted((one for one in found if bottom is None or one >= bottom), reverse=True), bottom)

    def _some(self, agent_id: str, shard: int, kind: str, low: str, high: str, most: int) -> tuple[list[str], bool]:
        """The newest positions of one partition, by one query, and whether there may be more."""
        if low > high:  # DynamoDB rejects such bounds
            return [], False
        answer = self._table.client.query(
            TableName=self._table.name,
            Limit=most,
            ScanIndexForward=False,
            **_asked(agent_id, shard, kind, low, high),
        )
        return [_position(item["listing_key"]["S"]) for item in answer["Items"]], "LastEvaluatedKey" in answer

    # ---- counts -----------------------------------------------------------------------------------------------------

    def _base(self, agent_id: str, kept_from: datetime, low: str, high: str) -> _Base:
        since = f"{_up(kept_from):013d}#"
        for first in self._checkpoints(agent_id, since, high, Limit=1):
            position, counted = str(first["sk"]), int(first["n"])
            if position < low:
                return _Base(position, counted)  # only differences from here on are needed
            there = sum(1 for _ in islice(self._walk(agent_id, _BOTH, low, position, MOST_KEYS, None), MOST_OLD + 1))
            return _Base(position, counted, there, there <= MOST_OLD)
        return _Base(None, low=low)

    def _rank(self, agent_id: str, upto: str, base: _Base) -> _Rank:
        start, counted = (base.low, 0) if base.position is None else self._checkpoint(agent_id, upto, base.position)
        since = self._window(agent_id, _BOTH, start, upto, MOST_KEYS)
        if since.bottom is not None:
            return _Rank(counted, known=False, newest=since)
        older = None if start == base.low else start
        counted += base.there - base.counted + len(since.positions)
        return _Rank(counted, known=base.known, newest=_Window(since.positions, older))

    def _checkpoint(self, agent_id: str, upto: str, since: str = _FIRST) -> tuple[str, int]:
        """The first position after the last checkpoint from `since` to `upto`, and the number of calls before it."""
        for last in self._checkpoints(agent_id, since, upto, Limit=1, ScanIndexForward=False):
            return f"{last['sk']}#", int(last["n"])
        return _FIRST, 0

    def _checkpoints(self, agent_id: str, since: str, upto: str, **options: Any) -> Iterator[dict[str, Any]]:
        """The checkpoints from `since` to `upto`. `options`: options of the query."""
        values = {":agent": f"N#{agent_id}", ":low": since, ":high": max(since, upto)}
        return self._table.query("pk = :agent AND sk BETWEEN :low AND :high", values, **options)

    def _jump(
        self, agent_id: str, places: list[_Place], high: str, newest: int, skip: int, base: _Base
    ) -> tuple[str, int]:
        """Where to start (the nearest checkpoint before the row `skip`), and how many rows to skip from there.
        `newest`: the number of calls at or before `high`."""
        if base.position is None or base.position > high:
            return high, skip
        kept = self._checkpoints(agent_id, base.position, high, ScanIndexForward=False)
        best = high, skip
        of_batches = list(reversed(places))  # the last is the newest
        newer = 0
        for item in kept:
            while of_batches and of_batches[-1].position > item["sk"]:
                newer += of_batches.pop().size
            rows = newest - (item["n"] - base.counted + base.there) + newer
            if rows > skip:
                break
            best = item["sk"], skip - rows
        return best

    def begin_count(self, agent_id: str, now: datetime, until: datetime) -> bool:
        values = {":until": to_ms(until), ":now": to_ms(now)}
        return self._table.update(
            _counting(agent_id), "SET u = :until", "attribute_not_exists(u) OR u <= :now", values
        ).done

    def end_count(self, agent_id: str, until: datetime) -> None:
        self._table.update(_counting(agent_id), "REMOVE u", "u = :mine", {":mine": to_ms(until)})

    def forget_counts(self, execution: Execution, until: datetime) -> None:
        self._table.update(
            _counting(execution.agent_id), "SET u = :until", f"{ABSENT} OR NOT {ABSENT}", {":until": to_ms(until)}
        )
        position = f"{to_ms(execution.created_at):013d}#{execution.id}"
        for item in self._checkpoints(execution.agent_id, position, _LAST, ConsistentRead=True):
            self._table.delete({"pk": item["pk"], "sk": item["sk"]})

    def count(self, agent_id: str, created_to: datetime, until: datetime, seconds_left: Callable[[], float]) -> bool:
        start, counted = self._checkpoint(agent_id, _LAST)
        high = f"{to_ms(created_to):013d}#~"
        if start > high:
            return True
        opened = set(self._merged(agent_id, OPEN, start, high))
        self._sleep(SETTLE_SECONDS)
        done = (one for one in self._merged(agent_id, DONE, start, high) if one not in opened)
        last = None
        for position in heapq.merge(sorted(opened), done):
            counted += 1
            last = position
            if counted % SPACING == 0 and (not self._keep(agent_id, position, counted, until) or seconds_left() <= 0):
                return False
        return last is None or self._keep(agent_id, last, counted, until)

    def _keep(self, agent_id: str, position: str, counted: int, until: datetime) -> bool:
        """Store a checkpoint. False if the lease was lost, because a counted call is being erased."""
        mine = {
            "Update": {
                "TableName": self._table.name,
                "Key": to_item(_counting(agent_id)),
                "UpdateExpression": "SET #at = :at",
                "ConditionExpression": "u = :mine",
                "ExpressionAttributeNames": {"#at": "at"},
                "ExpressionAttributeValues": to_item({":at": position, ":mine": to_ms(until)}),
            }
        }
        item = to_item({"pk": f"N#{agent_id}", "sk": position, "n": counted})
        return self._table.transact([mine, {"Put": {"TableName": self._table.name, "Item": item}}])

    def _merged(self, agent_id: str, kind: str, low: str, high: str) -> Iterator[str]:
        """Positions of all shards, oldest first."""
        return heapq.merge(*(self._pages(agent_id, shard, kind, low, high) for shard in range(LISTING_SHARDS)))

    def _pages(self, agent_id: str, shard: int, kind: str, low: str, high: str) -> Iterator[str]:
        for page in self._table.pages(**_asked(agent_id, shard, kind, low, high)):
            yield from (_position(item["listing_key"]["S"]) for item in page["Items"])


def _asked(agent_id: str, shard: int, kind: str, low: str, high: str) -> Any:
    """A query's parameters."""
    return {
        "IndexName": "listing",
        "KeyConditionExpression": "listing_shard = :shard AND listing_key BETWEEN :low AND :high",
        "ProjectionExpression": "listing_key",
        "ExpressionAttributeValues": {
            ":shard": {"S": listing_shard(agent_id, shard)},
            ":low": {"S": f"{kind}#{low}"},
            ":high": {"S": f"{kind}#{high}"},
        },
    }


def _counting(agent_id: str) -> dict[str, Any]:
    return {"pk": f"N#{agent_id}", "sk": "counting"}


def _position(listing_key: str) -> str:
    return listing_key.partition("#")[2]


def _below(position: str) -> str:
    """A bound just before `position`, which ends with a digit of an id or with a bound's own last character."""
    return f"{position[:-1]}{chr(ord(position[-1]) - 1)}~"


def _milliseconds(wanted: Wanted) -> tuple[int, int]:
    """The first and the last creation time (ms). The first is later than the last if nothing can match."""
    low = 0 if wanted.created_from is None else _up(wanted.created_from)
    high = _LATEST_MS if wanted.created_to is None else to_ms(wanted.created_to)
    return max(low, 0), min(high, _LATEST_MS)


def _up(instant: datetime) -> int:
    """The first whole millisecond at or after the instant."""
    whole = to_ms(instant)
    return whole if from_ms(whole) >= instant else whole + 1


def _bounds(wanted: Wanted) -> tuple[str, str]:
    """The first and the last position. The first is greater than the last if nothing can match."""
    low, high = _milliseconds(wanted)
    if low > high:
        return _LAST, _FIRST
    return f"{low:013d}#" if low else _FIRST, f"{high:013d}#~"


def _places(batches: Sequence[Batch], wanted: Wanted) -> list[_Place]:
    """The places of the wanted batches, newest first."""
    low, high = _bounds(wanted)
    places = [
        _Place(f"{to_ms(batch.created_at):013d}#{batch.id}", batch)
        for batch in batches
        if wanted.batch_id in (None, batch.id)
    ]
    return sorted((one for one in places if low <= one.position <= high), key=lambda one: one.position, reverse=True)
