"""Agents' queues of calls that wait for a line, in DynamoDB.

    Q#<agent> / 0#<ready>#<id>   a due retry: n attempt
    Q#<agent> / 0b#<batch>       a running batch, for all its contacts not yet dialled
    Q#<agent> / 1#<ready>#<id>   a first dial: n attempt

A batch's entry: nr, la next and last row · sa served at (ms) · iv interval (ms) · nx next start (ms) · ff, pa first
dials first, paused · rf, rw when the first contact of its delayed set is due (ms), and which contact that was.

A queue is a partition of small items, sorted by class and time. It is read consistently from the table, because an
index may be stale and a call missed by a read could wait forever. Joining and leaving take one write each, so about 500
calls a second can join an agent's queue.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.items import from_item, to_item
from redial.adapters.dynamodb.table import PRESENT, Item, Table
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.queue import BatchQueueEntry, Queue, QueuedCall
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_RETRY_CLASS, _BATCH_CLASS, _FIRST_CLASS = "0", "0b", "1"  # sorts due retries, then batches, then first dials
_FRONT = 25  # items read at the front of a queue: 25 cost one or two read units


class DynamoCallQueue:
    """Implements `ports.CallQueue`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        now: Callable[[], datetime] | None = None,
        sleep: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._table = Table(client, table_name, sleep)
        self._empty: TtlCache[Queue] = TtlCache(now)

    def enqueue(self, agent_id: str, call: QueuedCall) -> bool:
        item = _call_key(agent_id, call) | {"n": call.attempt}
        answer = self._table.client.put_item(TableName=self._table.name, Item=to_item(item), ReturnValues="ALL_OLD")
        return "Attributes" not in answer

    def dequeue(self, agent_id: str, call: QueuedCall) -> None:
        self._table.delete(_call_key(agent_id, call))

    def absent(self, calls: Sequence[tuple[str, QueuedCall]]) -> set[str]:
        keys = {one.execution_id: _call_key(agent_id, one) for agent_id, one in calls}
        return set(keys) - {item["sk"].split("#")[2] for item in self._table.read(list(keys.values()))}

    def front(self, agent_id: str, *, consistent: bool = True) -> Queue:
        if not consistent and (empty := self._empty.get(agent_id)) is not None:
            return empty
        queue = Queue([], [])
        start: dict[str, Any] = {}
        while True:
            answer = self._table.client.query(
                TableName=self._table.name,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=to_item({":pk": _partition(agent_id)}),
                ConsistentRead=consistent,
                Limit=_FRONT,
                **start,
            )
            for item in map(from_item, answer["Items"]):
                if item["sk"].startswith(f"{_BATCH_CLASS}#"):
                    queue.batches.append(_batch_entry(item))
                else:
                    klass, ready, execution_id = item["sk"].split("#")
                    queue.calls.append(QueuedCall(execution_id, item["n"], klass == _RETRY_CLASS, from_ms(int(ready))))
            if queue.calls or "LastEvaluatedKey" not in answer:
                if queue.calls or queue.batches:
                    self._empty.forget(agent_id)
                    return queue
                return self._empty.keep(queue, agent_id)
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def waiting(self, agent_id: str, most: int) -> int:
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _partition(agent_id)}),
            Limit=most,
        )
        count = 0
        for item in map(from_item, answer["Items"]):
            if not item["sk"].startswith(f"{_BATCH_CLASS}#"):
                count += 1
            elif not item.get("pa", False):
                count += max(0, item["la"] - item["nr"] + 1)
        return count

    # ---- batches --------------------------------------------------------------------------------------------------

    def batches(self, agent_id: str) -> list[BatchQueueEntry]:
        values = {":pk": _partition(agent_id), ":batches": f"{_BATCH_CLASS}#"}
        found = self._table.query("pk = :pk AND begins_with(sk, :batches)", values, ConsistentRead=True)
        return [_batch_entry(item) for item in found]

    def join(self, entry: BatchQueueEntry) -> None:
        item = batch_key(entry.agent_id, entry.batch_id) | {
            "nr": entry.next_row,
            "la": entry.last_row,
            "sa": to_ms(entry.served_at),
        }
        if entry.interval is not None:
            item["iv"] = entry.interval // timedelta(milliseconds=1)
        if entry.first_dials_first:
            item["ff"] = True
        if entry.paused:
            item["pa"] = True
        self._table.put_new(item)

    def leave(self, agent_id: str, batch_id: str) -> None:
        self._table.delete(batch_key(agent_id, batch_id))

    def batch_entry(self, agent_id: str, batch_id: str) -> BatchQueueEntry | None:
        item = self._table.get(batch_key(agent_id, batch_id))
        return None if item is None else _batch_entry(item)

    def pause(self, agent_id: str, batch_id: str, paused: bool) -> None:
        self._table.update(batch_key(agent_id, batch_id), "SET pa = :paused", PRESENT, {":paused": paused})

    def next_contact(self, entry: BatchQueueEntry, now: datetime) -> tuple[int, datetime | None] | None:
        rate, condition, values, at = next_start(entry, now)
        done, changed = self._table.update(
            batch_key(entry.agent_id, entry.batch_id),
            f"SET nr = nr + :one, sa = :now{rate}",
            f"nr <= la AND (attribute_not_exists(pa) OR pa = :no){condition}",
            {":one": 1, ":now": to_ms(now), ":no": False, **values},
            returning=True,
        )
        return (changed["nr"] - 1, at) if done and changed is not None else None

    def reserve_start(self, entry: BatchQueueEntry, now: datetime) -> datetime | None:
        if entry.interval is None:
            raise ValueError("the batch has no rate")
        done, at = served(self._table, entry, now)
        return at if done else None


def served(table: Table, entry: BatchQueueEntry, now: datetime) -> tuple[bool, datetime | None]:
    """Record that the batch had its turn. Returns whether that was stored, and the start time that its rate gives."""
    rate, condition, values, at = next_start(entry, now)
    updated = table.update(
        batch_key(entry.agent_id, entry.batch_id),
        f"SET sa = :now{rate}",
        f"{PRESENT}{condition}",
        {":now": to_ms(now), **values},
    )
    return updated.done, at


def next_start(entry: BatchQueueEntry, now: datetime) -> tuple[str, str, dict[str, Any], datetime | None]:
    """For a batch with a rate: the additions to an update, its condition and its values, and the next start time."""
    if entry.interval is None:
        return "", "", {}, None
    at = now if entry.next_at is None else max(now, entry.next_at)
    values: dict[str, Any] = {":next": to_ms(at + entry.interval)}
    if entry.next_at is None:
        return ", nx = :next", " AND attribute_not_exists(nx)", values, at
    return ", nx = :next", " AND nx = :nx", values | {":nx": to_ms(entry.next_at)}, at


def batch_key(agent_id: str, batch_id: str) -> Item:
    """The key of a batch's queue entry."""
    return {"pk": _partition(agent_id), "sk": f"{_BATCH_CLASS}#{batch_id}"}


def _partition(agent_id: str) -> str:
    return f"Q#{agent_id}"


def _call_key(agent_id: str, call: QueuedCall) -> Item:
    klass = _RETRY_CLASS if call.retry else _FIRST_CLASS
    return {"pk": _partition(agent_id), "sk": f"{klass}#{to_ms(call.ready_at):013d}#{call.execution_id}"}


def _batch_entry(item: Item) -> BatchQueueEntry:
    return BatchQueueEntry(
        batch_id=item["sk"].partition("#")[2],
        agent_id=item["pk"].removeprefix("Q#"),
        next_row=item["nr"],
        last_row=item["la"],
        served_at=from_ms(item["sa"]),
        interval=timedelta(milliseconds=item["iv"]) if "iv" in item else None,
        next_at=from_ms(item["nx"]) if "nx" in item else None,
        delayed_from=from_ms(item["rf"]) if "rf" in item else None,
        paused=item.get("pa", False),
        first_dials_first=item.get("ff", False),
    )
