"""An agent's lines and its queue in the table.

A shard of lines is one item: a map execution id → {attempt, since}. It takes part in the due index so that the sweeper
looks at who has held a line for long. The queue is a partition of small items, sorted by class and time, and read from
the table itself: an index may lag, and a waiter overlooked is a wake-up lost. Joining and leaving are one write each,
so that about 500 calls a second can come to wait at one agent.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, to_item
from redial.ports import Waiter
from redial.usecases.lines import LINES_CHECK
from redial.wire.stored_execution import due_shard
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_RETRY_CLASS, _FIRST_CLASS = "0", "1"  # sorts due retries before first dials


class DynamoLines:
    """Implements `ports.Lines`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

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
                {":holder": holder, ":shard": due_shard(agent_id), ":look": look_at, ":capacity": capacity}
                | {":attempt": attempt},
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
                "due_shard": due_shard(agent_id),
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

    def release(self, agent_id: str, shard: int, execution_id: str, attempt: int) -> bool:
        return self._update(
            agent_id,
            shard,
            "REMOVE holders.#id",
            "holders.#id.a = :attempt",
            {"#id": execution_id},
            {":attempt": attempt},
        )[0]

    def hand_over(
        self, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, to: Waiter, now: datetime
    ) -> bool:
        return self._update(
            agent_id,
            shard,
            "SET holders.#to = :holder REMOVE holders.#id",
            "holders.#id.a = :attempt AND attribute_not_exists(holders.#to) AND size(holders) <= :capacity",
            {"#id": execution_id, "#to": to.execution_id},
            {":attempt": attempt, ":holder": {"a": to.attempt, "t": to_ms(now)}, ":capacity": capacity},
        )[0]

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        item = self._lines(agent_id, shard)
        return {one: (holder["a"], from_ms(holder["t"])) for one, holder in item.get("holders", {}).items()}

    def owner(self, agent_id: str, shard: int) -> str | None:
        owner: str | None = self._lines(agent_id, shard).get("ac")
        return owner

    def look_again(self, agent_id: str, shard: int, at: datetime) -> None:
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
                {":shard": due_shard(agent_id), ":at": to_ms(at)},
            )  # fmt: skip

    def enqueue(self, agent_id: str, waiter: Waiter) -> None:
        item = _queue_key(agent_id, waiter) | {"n": waiter.attempt}
        self._client.put_item(TableName=self._table, Item=to_item(item))

    def dequeue(self, agent_id: str, waiter: Waiter) -> None:
        self._client.delete_item(TableName=self._table, Key=to_item(_queue_key(agent_id, waiter)))

    def head(self, agent_id: str) -> Waiter | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _queue_pk(agent_id)}),
            ConsistentRead=True,
            Limit=1,
        )
        for item in map(from_item, answer["Items"]):
            klass, ready, execution_id = item["sk"].split("#")
            return Waiter(execution_id, item["n"], klass == _RETRY_CLASS, from_ms(int(ready)))
        return None

    def _lines(self, agent_id: str, shard: int) -> dict[str, Any]:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_lines_key(agent_id, shard)), ConsistentRead=True
        )
        return from_item(answer.get("Item", {}))

    def _update(
        self, agent_id: str, shard: int, update: str, condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Whether the condition held; if not, the item as it is (None: there is none)."""
        extra: dict[str, Any] = {}
        if names:
            extra["ExpressionAttributeNames"] = names
        if values:
            extra["ExpressionAttributeValues"] = to_item(values)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_lines_key(agent_id, shard)),
                UpdateExpression=update,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **extra,
            )
            return True, None
        except ClientError as error:
            if lost_condition(error):
                item: Any = error.response.get("Item")
                return False, None if item is None else from_item(item)
            raise


def _lines_key(agent_id: str, shard: int) -> dict[str, Any]:
    return {"pk": f"L#{agent_id}#{shard}", "sk": "LINES"}


def _queue_pk(agent_id: str) -> str:
    return f"Q#{agent_id}"


def _queue_key(agent_id: str, waiter: Waiter) -> dict[str, Any]:
    klass = _RETRY_CLASS if waiter.retry else _FIRST_CLASS
    return {"pk": _queue_pk(agent_id), "sk": f"{klass}#{to_ms(waiter.ready_at):013d}#{waiter.execution_id}"}
