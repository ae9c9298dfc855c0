"""An account's executions and batches with undelivered events.

The sparse index `undelivered` lists them. An item's index key is written together with its given-up events, so the list
cannot diverge from the items.

    U#<account> / <id>   an entry from before the index existed; read, never written

An item stored before the index existed has no index key until its next write; until then, its entry lists it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from redial.adapters.dynamodb.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoUndelivered:
    """Implements `ports.Undelivered`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def all(self, account_id: str) -> Iterator[str]:
        listed: set[str] = set()
        for item in self._table.query("undelivered_of = :shard", {":shard": account_id}, IndexName="undelivered"):
            subject_id = item["pk"].partition("#")[2]
            listed.add(subject_id)
            yield subject_id
        for entry in self._table.query("pk = :shard", {":shard": f"U#{account_id}"}, ConsistentRead=True):
            if entry["sk"] not in listed:
                yield entry["sk"]
