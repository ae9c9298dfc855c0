"""The list of executions with given-up events: one small item per execution, under its account."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from redial.adapters.dynamodb.items import from_item, to_item
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoUndelivered:
    """Implements `ports.Undelivered`. Adding twice keeps one."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def add(self, account_id: str, execution_id: str, at: datetime) -> None:
        item = {"pk": f"U#{account_id}", "sk": execution_id, "at": to_ms(at)}
        self._client.put_item(TableName=self._table, Item=to_item(item))

    def remove(self, account_id: str, execution_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key=to_item({"pk": f"U#{account_id}", "sk": execution_id}))

    def all(self, account_id: str) -> Iterator[str]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": f"U#{account_id}"}),
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                sort_key: str = from_item(item)["sk"]
                yield sort_key
