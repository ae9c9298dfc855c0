"""Batches' delayed sets in DynamoDB: contacts that wait for a time, not for a line.

    R#<batch> / <ready>#<id>    a contact: n attempt, tk when it was last popped (ms)

The batch's queue entry has the earliest due time of the set (rf) and that contact (rw), so reading the queue, which
every free line requires anyway, also finds delayed contacts.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.call_queue import batch_key, served
from redial.adapters.dynamodb.items import from_item, to_item
from redial.adapters.dynamodb.table import PRESENT, Item, Table
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_FRONT = 25  # items read at once
_TAKEN = timedelta(minutes=5)
"""How long a popped contact has to be dialled before it may be popped again."""


class DynamoDelayedSets:
    """Implements `ports.DelayedSets`."""

    def __init__(
        self, client: "DynamoDBClient", table_name: str, sleep: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._table = Table(client, table_name, sleep)

    def add(self, agent_id: str, batch_id: str, call: QueuedCall) -> bool:
        item = _key(batch_id, call) | {"n": call.attempt}
        self._table.client.put_item(TableName=self._table.name, Item=to_item(item))
        first = {"rf": to_ms(call.ready_at), "rw": call.execution_id}
        lowered, old = self._table.update(
            batch_key(agent_id, batch_id),
            "SET rf = :ready, rw = :who",
            f"{PRESENT} AND (attribute_not_exists(rf) OR rf > :ready)",
            {":ready": first["rf"], ":who": first["rw"]},
        )
        return lowered or first.items() <= (old or {}).items()  # our own write, repeated by the client

    def pop_due(self, entry: BatchQueueEntry, now: datetime) -> tuple[QueuedCall, datetime | None] | None:
        following: datetime | None = None
        for item in self._entries(entry.batch_id):
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
            done, at = served(self._table, entry, now)
            if not done:
                self._unmark_taken(item["sk"], entry.batch_id)
                self._lower_next(entry.agent_id, entry.batch_id, call.ready_at)
                return None
            return call, at
        self._raise_next(entry, following)
        return None

    def remove(self, batch_id: str, call: QueuedCall) -> None:
        self._table.delete(_key(batch_id, call))

    def next_due(self, batch_id: str, after: datetime) -> datetime | None:
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk AND sk > :after",
            ExpressionAttributeValues=to_item({":pk": _partition(batch_id), ":after": f"{to_ms(after) + 1:013d}"}),
            ConsistentRead=True,
            Limit=1,
        )
        return next((from_ms(int(from_item(item)["sk"].split("#")[0])) for item in answer["Items"]), None)

    def due_between(self, batch_id: str, first: datetime, last: datetime, most: int) -> list[datetime]:
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_item(
                {":pk": _partition(batch_id), ":first": f"{to_ms(first):013d}", ":last": f"{to_ms(last):013d}$"}
            ),  # `$` comes after `#`
            Limit=most,
        )
        return [from_ms(int(from_item(item)["sk"].split("#")[0])) for item in answer["Items"]]

    def repair(self, agent_id: str, batch_id: str) -> bool:
        first = self._first_takeable(batch_id)
        return first is not None and self._lower_next(agent_id, batch_id, first)

    def absent(self, batch_id: str, calls: Sequence[QueuedCall]) -> list[QueuedCall]:
        keys = [_key(batch_id, one) for one in calls]
        there = {item["sk"] for item in self._table.read(keys)}
        return [one for one, key in zip(calls, keys, strict=True) if key["sk"] not in there]

    def clear(self, batch_id: str) -> None:
        for item in self._entries(batch_id):
            self._table.delete({"pk": item["pk"], "sk": item["sk"]})

    def _entries(self, batch_id: str) -> Iterator[Item]:
        return self._table.query("pk = :pk", {":pk": _partition(batch_id)}, ConsistentRead=True, Limit=_FRONT)

    def _mark_taken(self, sort_key: str, batch_id: str, now: datetime) -> bool:
        condition = f"{PRESENT} AND (attribute_not_exists(tk) OR tk <= :old)"
        values: dict[str, Any] = {":now": to_ms(now), ":old": to_ms(now - _TAKEN)}
        key = {"pk": _partition(batch_id), "sk": sort_key}
        return self._table.update(key, "SET tk = :now", condition, values).done

    def _unmark_taken(self, sort_key: str, batch_id: str) -> None:
        self._table.update({"pk": _partition(batch_id), "sk": sort_key}, "REMOVE tk", PRESENT)

    def _first_takeable(self, batch_id: str) -> datetime | None:
        """When the first entry may be taken; None if the set is empty."""
        first: datetime | None = None
        for item in self._entries(batch_id):
            takeable_at = _takeable_at(item)
            first = takeable_at if first is None else min(first, takeable_at)
            if "tk" not in item:  # all others are due later than this one
                break
        return first

    def _raise_next(self, entry: BatchQueueEntry, following: datetime | None) -> None:
        """No entry is due: set `rf` to the time when the first will be, or remove it if the set is empty. Then check.

        An entry is stored first, and then `rf` is lowered to its time. `rf` is only raised here, and every raise is
        followed by a check. Consider the last raise: its check finds any entry stored before it, and lowers `rf`. An
        entry stored later lowers `rf` itself, and no raise follows. `rf` is therefore never later than the first
        entry's time for longer than this takes. The check also runs if the write seems to have lost the race, because
        it may be our own write, repeated. If the function is killed between the two, the batch's audit repairs `rf`.
        """
        if entry.delayed_from is None:
            return
        values: dict[str, Any] = {":read": to_ms(entry.delayed_from)}
        update = "REMOVE rf"
        if following is not None:
            update, values = "SET rf = :following", values | {":following": to_ms(following)}
        self._table.update(batch_key(entry.agent_id, entry.batch_id), update, "rf = :read", values)
        first = self._first_takeable(entry.batch_id)
        if first is not None and (following is None or first < following):
            self._lower_next(entry.agent_id, entry.batch_id, first)

    def _lower_next(self, agent_id: str, batch_id: str, to: datetime) -> bool:
        """Have the set checked from `to` on. False if it is checked by then anyway, or the batch has left the queue."""
        condition = f"{PRESENT} AND (attribute_not_exists(rf) OR rf > :to)"
        return self._table.update(batch_key(agent_id, batch_id), "SET rf = :to", condition, {":to": to_ms(to)}).done


def _takeable_at(item: Item) -> datetime:
    """When an entry may be taken: at its time, or some minutes after it was last taken."""
    ready = from_ms(int(item["sk"].split("#")[0]))
    return max(ready, from_ms(item["tk"]) + _TAKEN) if "tk" in item else ready


def _partition(batch_id: str) -> str:
    return f"R#{batch_id}"


def _key(batch_id: str, call: QueuedCall) -> Item:
    return {"pk": _partition(batch_id), "sk": f"{to_ms(call.ready_at):013d}#{call.execution_id}"}
