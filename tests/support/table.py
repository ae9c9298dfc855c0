"""The table of template.yaml, for tests that need only a table."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

TABLE_NAME = "redial-test"


def create_table(client: "DynamoDBClient", table_name: str = TABLE_NAME) -> None:
    """Create the table with its keys, all indexes, the stream and the TTL attribute."""
    client.create_table(
        TableName=table_name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "due_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
            {"AttributeName": "listing_shard", "AttributeType": "S"},
            {"AttributeName": "listing_key", "AttributeType": "S"},
            {"AttributeName": "undelivered_of", "AttributeType": "S"},
            {"AttributeName": "ca", "AttributeType": "N"},
            {"AttributeName": "nu", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": order, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for name, partition, order in (
                ("due", "due_shard", "due_at"),
                ("listing", "listing_shard", "listing_key"),
                ("undelivered", "undelivered_of", "ca"),
                ("called", "nu", "ca"),
            )
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    client.update_time_to_live(
        TableName=table_name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )


def every_item(client: "DynamoDBClient", table_name: str = TABLE_NAME) -> list[dict[str, Any]]:
    """Every item, with DynamoDB's types."""
    return [item for page in client.get_paginator("scan").paginate(TableName=table_name) for item in page["Items"]]


def as_text(item: dict[str, Any]) -> str:
    """An item as JSON, keys in order; binary values as Python writes them."""
    return json.dumps(item, sort_keys=True, default=repr)
