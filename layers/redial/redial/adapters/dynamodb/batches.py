"""Batches in DynamoDB, one item each with optimistic locking; and their counts.

    B#<batch> / B                a batch, see `wire.stored_batch`; after its removal the tombstone
    C#<batch> / <stream shard>   contacts by status, counted from one shard of the table's stream:
                                 n {status: count}, sn sequence number of the last record counted

A shard's count may be negative, if contacts entered a status in one shard and left it in another. The sum is exact.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, to_item
from redial.adapters.dynamodb.leftovers import read_items
from redial.domain.batch import Batch
from redial.ports import Counted, StaleVersion
from redial.wire.stored_batch import decode, encode, key, listing_shard

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoBatches:
    """Implements `ports.Batches` and `ports.Counts`."""

    def __init__(
        self, client: "DynamoDBClient", table_name: str, sleep: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._client = client
        self._table = table_name
        self._sleep = sleep

    def get(self, batch_id: str) -> Batch | None:
        answer = self._client.get_item(TableName=self._table, Key=to_item(key(batch_id)), ConsistentRead=True)
        return decode(from_item(answer["Item"])) if "Item" in answer else None

    def create(self, batch: Batch) -> bool:
        try:
            self._put(replace(batch, version=1), "attribute_not_exists(pk)", {})
        except StaleVersion:
            return False
        return True

    def save(self, batch: Batch) -> Batch:
        saved = replace(batch, version=batch.version + 1)
        self._put(saved, "v = :read", {":read": {"N": str(batch.version)}})
        return saved

    def remove_counts(self, batch_id: str) -> None:
        for shard in self._counters(batch_id):
            self._client.delete_item(TableName=self._table, Key=to_item(_counter_key(batch_id, shard)))

    def of_agent(self, agent_id: str) -> list[Batch]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="listing",
            KeyConditionExpression="listing_shard = :shard",
            ExpressionAttributeValues=to_item({":shard": listing_shard(agent_id)}),
            ScanIndexForward=False,
        )
        ids = [str(from_item(item)["pk"]).removeprefix("B#") for page in pages for item in page["Items"]]
        read = read_items(self._client, self._table, [key(one) for one in ids], self._sleep)
        found = {batch.id: batch for batch in map(decode, read)}
        return [found[one] for one in ids if one in found and found[one].deleted_at is None]

    def _put(self, batch: Batch, condition: str, values: dict[str, Any]) -> None:
        """Write conditionally. Raises `StaleVersion`, unless the stored item equals the one written (see
        `DynamoExecutions`)."""
        extra = {"ExpressionAttributeValues": values} if values else {}
        item = to_item(encode(batch))
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **extra,  # type: ignore[arg-type]  # the stubs want the argument left out or typed, not a dict of it
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            if error.response.get("Item") != item:
                raise StaleVersion(batch.id) from error

    # ---- counts -------------------------------------------------------------------------------------------------

    def counted(self, batch_id: str) -> Counted:
        total: Counter[str] = Counter()
        position = hashlib.sha256()
        for shard, item in sorted(self._counters(batch_id).items()):
            total.update(item["n"])
            position.update(f"{shard} {item['sn']}\n".encode())
        counts = {status: count for status, count in sorted(total.items()) if count}
        return Counted(counts, position.hexdigest()[:16])

    def counts(self, batch_id: str) -> dict[str, int]:
        return self.counted(batch_id).counts

    def counted_up_to(self, batch_id: str, shard: str) -> str | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_counter_key(batch_id, shard)), ConsistentRead=True
        )
        last: str | None = from_item(answer.get("Item", {})).get("sn")
        return last

    def count(self, batch_id: str, shard: str, deltas: Mapping[str, int], after: str | None, up_to: str) -> None:
        """Raises `StaleVersion` unless the shard was counted exactly up to `after`."""
        item_key = to_item(_counter_key(batch_id, shard))
        try:
            if after is None:
                item = item_key | to_item({"n": dict(deltas), "sn": up_to})
                self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)")
                return
            names = {f"#{index}": status for index, status in enumerate(deltas)}
            values = {f":{index}": delta for index, delta in enumerate(deltas.values())}
            sums = "".join(f", n.#{i} = if_not_exists(n.#{i}, :zero) + :{i}" for i in range(len(deltas)))
            arguments: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
            if deltas:
                values |= {":zero": 0}
            self._client.update_item(
                TableName=self._table,
                Key=item_key,
                UpdateExpression=f"SET sn = :up_to{sums}",
                ConditionExpression="sn = :after",
                ExpressionAttributeValues=to_item({**values, ":up_to": up_to, ":after": after}),
                **arguments,
            )
        except ClientError as error:
            if lost_condition(error):
                raise StaleVersion(batch_id) from error
            raise

    def _counters(self, batch_id: str) -> dict[str, dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": f"C#{batch_id}"}),
            ConsistentRead=True,
        )
        return {item["sk"]: item for page in pages for item in map(from_item, page["Items"])}


def _counter_key(batch_id: str, shard: str) -> dict[str, Any]:
    return {"pk": f"C#{batch_id}", "sk": shard}
