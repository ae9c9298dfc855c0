"""An agent's lines, its queue, and the delayed_sets of its batches in the table.

    L#<agent>#<shard> / LINES       holders of lines
    Q#<agent> / 0#<ready>#<id>      a due retry that waits for a line
    Q#<agent> / 0b#<batch>          a running batch, for all its contacts that nobody has dialled
    Q#<agent> / 1#<ready>#<id>      a first dial that waits for a line
    R#<batch> / <ready>#<id>        a contact in its batch's room: n attempt, tk when it was last taken

A batch in the queue: nr, la next and last row · sa served at (ms) · iv interval (ms) · nx next start (ms) · ff, pa
first dials first, paused · rf, rw when its room's first is due (ms), and who that was.

A shard of lines is one item: a map execution id → {attempt, since}. It takes part in the due index so that the sweeper
looks at who has held a line for long. The queue is a partition of small items, sorted by class and time, and read from
the table itself: an index may lag, and a waiter overlooked is a wake-up lost. Joining and leaving are one write each,
so that about 500 calls a second can come to wait at one agent.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, to_item
from redial.adapters.dynamodb.leftovers import read_items
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.ports import BatchQueueEntry, Queue, QueuedCall
from redial.usecases.lines import LINES_CHECK
from redial.wire.stored_execution import WATCHED
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

_RETRY_CLASS, _BATCH_CLASS, _FIRST_CLASS = "0", "0b", "1"  # sorts due retries, then batches, then first dials
_FRONT = 25  # items of the front of a queue: 25 of them are one read unit or two
_TAKEN = timedelta(minutes=5)
"""How long somebody who was taken from a room has to be dialled before another may take him again."""


class DynamoLines:
    """Implements `ports.Lines`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        now: Callable[[], datetime] | None = None,
        sleep: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._client = client
        self._table = table_name
        self._sleep = sleep
        self._empty: TtlCache[Queue] = TtlCache(now)

    def acquire(
        self, account_id: str, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, now: datetime
    ) -> bool:
        holder = {"a": attempt, "t": to_ms(now)}
        look_at = to_ms(now + LINES_CHECK)
        created_by_another = False
        while True:
            updated, old = self._update(
                agent_id,
                shard,
                "SET holders.#id = :holder, due_shard = :shard, due_at = if_not_exists(due_at, :look)",
                "(attribute_exists(holders.#id) AND holders.#id.a <= :attempt AND size(holders) <= :capacity) OR "
                "(attribute_exists(holders) AND attribute_not_exists(holders.#id) AND size(holders) < :capacity)",
                {"#id": execution_id},
                {":holder": holder, ":shard": WATCHED, ":look": look_at, ":capacity": capacity} | {":attempt": attempt},
            )
            if updated:
                return True
            if old is not None:
                held: dict[str, int] = old["holders"].get(execution_id, {"a": 0})
                return held["a"] > attempt
            if created_by_another or capacity < 1:
                return False
            item = _lines_key(agent_id, shard) | {
                "ac": account_id,
                "holders": {execution_id: holder},
                "due_shard": WATCHED,
                "due_at": look_at,
            }
            try:
                self._client.put_item(
                    TableName=self._table, Item=to_item(item), ConditionExpression="attribute_not_exists(pk)"
                )
                return True
            except ClientError as error:
                if not lost_condition(error):
                    raise
            created_by_another = True

    def release(
        self, agent_id: str, shard: int, execution_id: str, attempt: int, since: datetime | None = None
    ) -> set[str]:
        held, values = _held_by(attempt, since)
        _, item = self._update(
            agent_id,
            shard,
            "REMOVE holders.#id",
            held,
            {"#id": execution_id},
            values,
            ReturnValues="ALL_NEW",
        )
        return set() if item is None else set(item["holders"])

    def hand_over(
        self,
        agent_id: str,
        shard: int,
        capacity: int,
        execution_id: str,
        attempt: int,
        to: QueuedCall,
        now: datetime,
        since: datetime | None = None,
    ) -> bool:
        if to.execution_id == execution_id:
            return False  # it holds one, for an earlier attempt; and one update may not set and remove the same path
        holder = {"a": to.attempt, "t": to_ms(now)}
        held_by, values = _held_by(attempt, since)
        updated, old = self._update(
            agent_id,
            shard,
            "SET holders.#to = :holder REMOVE holders.#id",
            f"{held_by} AND attribute_not_exists(holders.#to) AND size(holders) <= :capacity",
            {"#id": execution_id, "#to": to.execution_id},
            {":holder": holder, ":capacity": capacity, **values},
        )
        held = {} if old is None else old["holders"]
        return updated or (execution_id not in held and held.get(to.execution_id) == holder)

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        item = self._lines(agent_id, shard)
        return {one: (holder["a"], from_ms(holder["t"])) for one, holder in item.get("holders", {}).items()}

    def owner(self, agent_id: str, shard: int) -> str | None:
        owner: str | None = self._lines(agent_id, shard).get("ac")
        return owner

    def recheck_at(self, agent_id: str, shard: int, at: datetime, *, queue_empty: bool) -> None:
        emptied = False
        if queue_empty:
            emptied, _ = self._update(
                agent_id,
                shard,
                "REMOVE due_shard, due_at",
                "attribute_exists(holders) AND size(holders) = :none",
                {},
                {":none": 0},
            )
        if not emptied:
            self._update(
                agent_id, shard, "SET due_shard = :shard, due_at = :at", "attribute_exists(pk)", {},
                {":shard": WATCHED, ":at": to_ms(at)},
            )  # fmt: skip

    def enqueue(self, agent_id: str, call: QueuedCall) -> bool:
        item = _queue_key(agent_id, call) | {"n": call.attempt}
        answer = self._client.put_item(TableName=self._table, Item=to_item(item), ReturnValues="ALL_OLD")
        return "Attributes" not in answer

    def dequeue(self, agent_id: str, call: QueuedCall) -> None:
        self._client.delete_item(TableName=self._table, Key=to_item(_queue_key(agent_id, call)))

    def absent(self, calls: Sequence[tuple[str, QueuedCall]]) -> set[str]:
        keys = {one.execution_id: _queue_key(agent_id, one) for agent_id, one in calls}
        there = read_items(self._client, self._table, list(keys.values()), self._sleep)
        return set(keys) - {item["sk"].split("#")[2] for item in there}

    def queue(self, agent_id: str, *, consistent: bool = True) -> Queue:
        if not consistent and (empty := self._empty.get(agent_id)) is not None:
            return empty
        queue = Queue([], [])
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=to_item({":pk": _queue_pk(agent_id)}),
                ConsistentRead=consistent,
                Limit=_FRONT,
                **start,
            )
            for item in map(from_item, answer["Items"]):
                if item["sk"].startswith(f"{_BATCH_CLASS}#"):
                    queue.batches.append(_queue_entry(item))
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
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _queue_pk(agent_id)}),
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

    def join(self, entry: BatchQueueEntry) -> None:
        item = _queue_entry_key(entry.agent_id, entry.batch_id) | {
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
        try:
            self._client.put_item(
                TableName=self._table, Item=to_item(item), ConditionExpression="attribute_not_exists(pk)"
            )
        except ClientError as error:
            if not lost_condition(error):
                raise

    def leave(self, agent_id: str, batch_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key=to_item(_queue_entry_key(agent_id, batch_id)))

    def queue_entry(self, agent_id: str, batch_id: str) -> BatchQueueEntry | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_queue_entry_key(agent_id, batch_id)), ConsistentRead=True
        )
        return _queue_entry(from_item(answer["Item"])) if "Item" in answer else None

    def pause(self, agent_id: str, batch_id: str, paused: bool) -> None:
        self._change(agent_id, batch_id, "SET pa = :paused", "attribute_exists(pk)", {":paused": paused})

    def next_contact(self, entry: BatchQueueEntry, now: datetime) -> tuple[int, datetime | None] | None:
        rate, condition, values, at = _next_start(entry, now)
        changed = self._change(
            entry.agent_id,
            entry.batch_id,
            f"SET nr = nr + :one, sa = :now{rate}",
            f"nr <= la AND (attribute_not_exists(pa) OR pa = :no){condition}",
            {":one": 1, ":now": to_ms(now), ":no": False, **values},
        )
        return None if changed is None else (changed["nr"] - 1, at)

    def reserve_start(self, entry: BatchQueueEntry, now: datetime) -> datetime | None:
        rate, condition, values, at = _next_start(entry, now)
        if at is None:
            raise ValueError("the batch has no rate")
        changed = self._change(
            entry.agent_id,
            entry.batch_id,
            f"SET sa = :now{rate}",
            f"attribute_exists(pk){condition}",
            {":now": to_ms(now), **values},
        )
        return None if changed is None else at

    def add_delayed(self, agent_id: str, batch_id: str, call: QueuedCall) -> bool:
        item = _delayed_key(batch_id, call) | {"n": call.attempt}
        self._client.put_item(TableName=self._table, Item=to_item(item))
        first = {"rf": to_ms(call.ready_at), "rw": call.execution_id}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_queue_entry_key(agent_id, batch_id)),
                UpdateExpression="SET rf = :ready, rw = :who",
                ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(rf) OR rf > :ready)",
                ExpressionAttributeValues=to_item({":ready": first["rf"], ":who": first["rw"]}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            old: Any = error.response.get("Item", {})
            return first.items() <= from_item(old).items()  # it was this very write, sent again
        return True

    def pop_delayed(self, entry: BatchQueueEntry, now: datetime) -> tuple[QueuedCall, datetime | None] | None:
        following: datetime | None = None
        for item in self._room(entry.batch_id):
            ready, execution_id = item["sk"].split("#")
            call = QueuedCall(execution_id, item["n"], item["n"] > 1, from_ms(int(ready)))
            takeable_at = _takeable_at(item)
            if takeable_at > now:
                following = takeable_at if following is None else min(following, takeable_at)
                if call.ready_at > now:
                    break
                continue
            if not self._mark_taken(item["sk"], entry.batch_id, now):
                return None
            rate, condition, values, at = _next_start(entry, now)
            changed = self._change(
                entry.agent_id,
                entry.batch_id,
                f"SET sa = :now{rate}",
                f"attribute_exists(pk){condition}",
                {":now": to_ms(now), **values},
            )
            if changed is None:
                self._unmark_taken(item["sk"], entry.batch_id)
                self._lower_room_from(entry.agent_id, entry.batch_id, call.ready_at)
                return None
            return call, at
        self._move_delayed_from(entry, following, now)
        return None

    def remove_delayed(self, batch_id: str, call: QueuedCall) -> None:
        self._client.delete_item(TableName=self._table, Key=to_item(_delayed_key(batch_id, call)))

    def next_delayed(self, batch_id: str, after: datetime) -> datetime | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND sk > :after",
            ExpressionAttributeValues=to_item({":pk": f"R#{batch_id}", ":after": f"{to_ms(after) + 1:013d}"}),
            ConsistentRead=True,
            Limit=1,
        )
        return next((from_ms(int(from_item(item)["sk"].split("#")[0])) for item in answer["Items"]), None)

    def repair_delayed(self, agent_id: str, batch_id: str, now: datetime) -> bool:
        first = self._first_takeable(batch_id, now)
        return first is not None and self._lower_room_from(agent_id, batch_id, first)

    def absent_from_delayed(self, batch_id: str, calls: Sequence[QueuedCall]) -> list[QueuedCall]:
        keys = [_delayed_key(batch_id, one) for one in calls]
        there = {item["sk"] for item in read_items(self._client, self._table, keys, self._sleep)}
        return [one for one, key in zip(calls, keys, strict=True) if key["sk"] not in there]

    def clear_delayed(self, batch_id: str) -> None:
        for item in self._room(batch_id):
            self._client.delete_item(TableName=self._table, Key=to_item({"pk": item["pk"], "sk": item["sk"]}))

    def _room(self, batch_id: str) -> "Iterator[dict[str, Any]]":
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": f"R#{batch_id}"}),
            ConsistentRead=True,
            PaginationConfig={"PageSize": _FRONT},
        )
        for page in pages:
            yield from map(from_item, page["Items"])

    def _mark_taken(self, sort_key: str, batch_id: str, now: datetime) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item({"pk": f"R#{batch_id}", "sk": sort_key}),
                UpdateExpression="SET tk = :now",
                ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(tk) OR tk <= :old)",
                ExpressionAttributeValues=to_item({":now": to_ms(now), ":old": to_ms(now - _TAKEN)}),
            )
        except ClientError as error:
            if lost_condition(error):
                return False
            raise
        return True

    def _unmark_taken(self, sort_key: str, batch_id: str) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item({"pk": f"R#{batch_id}", "sk": sort_key}),
                UpdateExpression="REMOVE tk",
                ConditionExpression="attribute_exists(pk)",
            )
        except ClientError as error:
            if not lost_condition(error):
                raise

    def _first_takeable(self, batch_id: str, now: datetime) -> datetime | None:
        """When the first entry of the room may be taken; None: the room is empty."""
        first: datetime | None = None
        for item in self._room(batch_id):
            takeable_at = _takeable_at(item)
            first = takeable_at if first is None else min(first, takeable_at)
            if "tk" not in item:  # all others are due later than this one
                break
        return first

    def _move_delayed_from(self, entry: BatchQueueEntry, following: datetime | None, now: datetime) -> None:
        """No entry is due: write down in `rf` when the first will be, or that there is none. Then look again.

        An entry is put first, and then `rf` is lowered to its time. `rf` is raised here alone, and every raise is
        followed by a look. Take the last raise: an entry put before its look is seen by that look, which lowers `rf`.
        An entry put later lowers `rf` itself, and no raise follows. So `rf` is never later than the first entry's time
        for longer than this takes. It looks also where the write seems to have lost: that may be its own write, sent
        again. Where this function is cut off between the two, the batch's check corrects it.
        """
        if entry.delayed_from is None:
            return
        values: dict[str, Any] = {":read": to_ms(entry.delayed_from)}
        update = "REMOVE rf"
        if following is not None:
            update, values = "SET rf = :following", values | {":following": to_ms(following)}
        self._change(entry.agent_id, entry.batch_id, update, "rf = :read", values)
        first = self._first_takeable(entry.batch_id, now)
        if first is not None and (following is None or first < following):
            self._lower_room_from(entry.agent_id, entry.batch_id, first)

    def _lower_room_from(self, agent_id: str, batch_id: str, to: datetime) -> bool:
        """Have the room looked at from `to` on; False where it is looked at then anyway, or the batch has left."""
        lowered = self._change(
            agent_id,
            batch_id,
            "SET rf = :to",
            "attribute_exists(pk) AND (attribute_not_exists(rf) OR rf > :to)",
            {":to": to_ms(to)},
        )
        return lowered is not None

    def _change(
        self, agent_id: str, batch_id: str, update: str, condition: str, values: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The batch's standing as changed; None where the condition did not hold."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=to_item(_queue_entry_key(agent_id, batch_id)),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=to_item(values),
                ReturnValues="ALL_NEW",
            )
            return from_item(answer["Attributes"])
        except ClientError as error:
            if lost_condition(error):
                return None
            raise

    def _lines(self, agent_id: str, shard: int) -> dict[str, Any]:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_lines_key(agent_id, shard)), ConsistentRead=True
        )
        return from_item(answer.get("Item", {}))

    def _update(
        self,
        agent_id: str,
        shard: int,
        update: str,
        condition: str,
        names: dict[str, str],
        values: dict[str, Any],
        **extra: Any,
    ) -> tuple[bool, dict[str, Any] | None]:
        """Whether the condition held, and the item as it is (None: there is none, or what was written was not asked
        for)."""
        if names:
            extra["ExpressionAttributeNames"] = names
        if values:
            extra["ExpressionAttributeValues"] = to_item(values)
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=to_item(_lines_key(agent_id, shard)),
                UpdateExpression=update,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **extra,
            )
            return True, from_item(answer["Attributes"]) if "Attributes" in answer else None
        except ClientError as error:
            if lost_condition(error):
                item: Any = error.response.get("Item")
                return False, None if item is None else from_item(item)
            raise


def _held_by(attempt: int, since: datetime | None) -> tuple[str, dict[str, Any]]:
    """The condition that this attempt holds the line, acquired last at `since`, and its values."""
    if since is None:
        return "holders.#id.a = :attempt", {":attempt": attempt}
    return "holders.#id.a = :attempt AND holders.#id.t = :since", {":attempt": attempt, ":since": to_ms(since)}


def _lines_key(agent_id: str, shard: int) -> dict[str, Any]:
    return {"pk": f"L#{agent_id}#{shard}", "sk": "LINES"}


def _queue_pk(agent_id: str) -> str:
    return f"Q#{agent_id}"


def _queue_key(agent_id: str, call: QueuedCall) -> dict[str, Any]:
    klass = _RETRY_CLASS if call.retry else _FIRST_CLASS
    return {"pk": _queue_pk(agent_id), "sk": f"{klass}#{to_ms(call.ready_at):013d}#{call.execution_id}"}


def _queue_entry_key(agent_id: str, batch_id: str) -> dict[str, Any]:
    return {"pk": _queue_pk(agent_id), "sk": f"{_BATCH_CLASS}#{batch_id}"}


def _queue_entry(item: dict[str, Any]) -> BatchQueueEntry:
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


def _takeable_at(item: dict[str, Any]) -> datetime:
    """When an entry of a room may be taken: at its time, or some minutes after it was taken last."""
    ready = from_ms(int(item["sk"].split("#")[0]))
    return max(ready, from_ms(item["tk"]) + _TAKEN) if "tk" in item else ready


def _next_start(entry: BatchQueueEntry, now: datetime) -> tuple[str, str, dict[str, Any], datetime | None]:
    """For a batch with a rate: what to add to an update and its condition, the values for that, and the next start."""
    if entry.interval is None:
        return "", "", {}, None
    at = now if entry.next_at is None else max(now, entry.next_at)
    values: dict[str, Any] = {":next": to_ms(at + entry.interval)}
    if entry.next_at is None:
        return ", nx = :next", " AND attribute_not_exists(nx)", values, at
    return ", nx = :next", " AND nx = :nx", values | {":nx": to_ms(entry.next_at)}, at


def _delayed_key(batch_id: str, call: QueuedCall) -> dict[str, Any]:
    return {"pk": f"R#{batch_id}", "sk": f"{to_ms(call.ready_at):013d}#{call.execution_id}"}
