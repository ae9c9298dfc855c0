"""Leases of the sweeper's workers on shards of the due index: one item, three attributes per shard.

    W#sweep / W     t<shard> token of the chain of invocations · h<shard> its hop · u<shard> expiry (ms)

A lease only saves two workers from doing the same work. Correctness does not depend on it: every item has its own
version, and a repeated invocation is harmless.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, to_item
from redial.wire.stored_execution import DUE_SHARDS
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_KEY: dict[str, Any] = {"pk": "W#sweep", "sk": "W"}


class DynamoSweepLeases:
    """Implements `ports.SweepLeases`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def held(self, now: datetime) -> set[int]:
        answer = self._client.get_item(TableName=self._table, Key=to_item(_KEY), ConsistentRead=True)
        item = from_item(answer.get("Item", {}))
        return {shard for shard in range(DUE_SHARDS) if item.get(f"u{shard}", 0) > to_ms(now)}

    def take(self, shard: int, token: str, hop: int, now: datetime, until: datetime) -> bool:
        wanted = {f"t{shard}": token, f"h{shard}": hop, f"u{shard}": to_ms(until)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_KEY),
                UpdateExpression=f"SET t{shard} = :token, h{shard} = :hop, u{shard} = :until",
                ConditionExpression=f"attribute_not_exists(u{shard}) OR u{shard} <= :now "
                f"OR (t{shard} = :token AND h{shard} < :hop)",
                ExpressionAttributeValues=to_item(
                    {":token": token, ":hop": hop, ":until": to_ms(until), ":now": to_ms(now)}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            old: Any = error.response.get("Item", {})
            return wanted.items() <= from_item(old).items()  # our own write, repeated by botocore
        return True

    def release(self, shard: int, token: str, hop: int) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_KEY),
                UpdateExpression=f"REMOVE t{shard}, h{shard}, u{shard}",
                ConditionExpression=f"t{shard} = :token AND h{shard} = :hop",
                ExpressionAttributeValues=to_item({":token": token, ":hop": hop}),
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
