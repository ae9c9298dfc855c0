"""Account events in DynamoDB: one item each, E#<id> / E; see `redial.wire.stored_account_event`."""

from dataclasses import replace
from typing import TYPE_CHECKING

from redial.adapters.dynamodb.table import Table
from redial.domain.account_event import AccountEvent
from redial.wire.stored_account_event import decode, encode, key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoAccountEvents:
    """Implements `ports.AccountEvents`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def get(self, event_id: str) -> AccountEvent | None:
        item = self._table.get(key(event_id))
        return None if item is None else decode(item)

    def save(self, event: AccountEvent) -> AccountEvent:
        saved = replace(event, version=event.version + 1)
        self._table.put_version(encode(saved), event.version)
        return saved
