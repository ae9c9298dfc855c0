"""Idempotency keys in DynamoDB: a conditional write claims a key, and a losing write returns the winner.

    pk `I#<account>#<sha256 of the key>` (hashed: a key may hold any printable character)
    execution_id, body_hash · expires_at (epoch seconds)

The table's TTL deletes late, so expiry is checked here too.
"""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, to_item
from redial.ports import IdempotentRequest
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

REMEMBERED = timedelta(hours=24)
"""How long a repeated key returns the first answer."""


class DynamoIdempotencyKeys:
    """Implements `ports.IdempotencyKeys`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def find(self, account_id: str, key: str, now: datetime) -> IdempotentRequest | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_item_key(account_id, key)), ConsistentRead=True
        )
        item = from_item(answer.get("Item", {}))
        if not item or item["expires_at"] <= to_ms(now) // 1000:
            return None
        return IdempotentRequest(item["execution_id"], item["body_hash"])

    def claim(self, account_id: str, key: str, request: IdempotentRequest, now: datetime) -> IdempotentRequest | None:
        item = _item_key(account_id, key) | {
            "execution_id": request.execution_id,
            "body_hash": request.body_hash,
            "expires_at": to_ms(now + REMEMBERED) // 1000,
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(item),
                ConditionExpression="attribute_not_exists(pk) OR expires_at <= :now",
                ExpressionAttributeValues=to_item({":now": to_ms(now) // 1000}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            first = from_item(error.response["Item"])  # type: ignore[typeddict-item]  # what ALL_OLD adds
            return IdempotentRequest(first["execution_id"], first["body_hash"])
        return None


def _item_key(account_id: str, key: str) -> dict[str, Any]:
    return {"pk": f"I#{account_id}#{hashlib.sha256(key.encode()).hexdigest()}", "sk": "I"}
