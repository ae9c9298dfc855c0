"""The list of an account's executions and batches that have given-up events.

It is the sparse index `undelivered`: an item with given-up events holds the index's key, in the same write as those
events. So no list has to be kept in step with the items, and no order of deliveries and replays can lose an entry.

    U#<account> / <id>   an entry from the time before the index; read, never written

An item that was stored before the index holds no key until it is next written; its entry lists it until then.
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
