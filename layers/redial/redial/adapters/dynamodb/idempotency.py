"""Idempotency keys in DynamoDB: a conditional write claims a key, and a losing write returns the winner.

    pk `I#<account>#<sha256 of the key>` (hashed, because a key may contain any printable character)
    execution_id, body_hash · expires_at (epoch seconds)

The table's TTL deletes items late, so expiry is also checked here.
"""

import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Table
from redial.ports import IdempotentRequest
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

REMEMBERED = timedelta(hours=24)
"""How long a repeated key returns the first response."""


class DynamoIdempotencyKeys:
    """Implements `ports.IdempotencyKeys`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def find(self, account_id: str, key: str, now: datetime) -> IdempotentRequest | None:
        item = self._table.get(_item_key(account_id, key))
        if item is None or item["expires_at"] <= to_ms(now) // 1000:
            return None
        return IdempotentRequest(item["execution_id"], item["body_hash"])

    def claim(self, account_id: str, key: str, request: IdempotentRequest, now: datetime) -> IdempotentRequest | None:
        item = _item_key(account_id, key) | {
            "execution_id": request.execution_id,
            "body_hash": request.body_hash,
            "expires_at": to_ms(now + REMEMBERED) // 1000,
        }
        values = {":now": to_ms(now) // 1000}
        claimed, first = self._table.put(item, "attribute_not_exists(pk) OR expires_at <= :now", values)
        if claimed:
            return None
        assert first is not None, "the condition fails only on an item"
        return IdempotentRequest(first["execution_id"], first["body_hash"])


def _item_key(account_id: str, key: str) -> dict[str, Any]:
    return {"pk": f"I#{account_id}#{hashlib.sha256(key.encode()).hexdigest()}", "sk": "I"}
