"""Counts of accepted calls in DynamoDB: one item for each API key with a quota and each day (UTC).

D#<key id> / <day>   n number of calls · expires_at
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import PRESENT, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEPT = timedelta(days=3)
"""How long a day's count is kept after the day began."""


class DynamoCallQuotas:
    """Implements `ports.CallQuotas`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def take(self, key_id: str, day: date, calls: int, most: int) -> bool:
        if calls > most:
            return False
        update = "SET n = if_not_exists(n, :zero) + :calls, expires_at = :expires"
        expires = int((datetime.combine(day, time(), UTC) + KEPT).timestamp())
        values = {":zero": 0, ":calls": calls, ":expires": expires, ":rest": most - calls}
        return self._table.update(_key(key_id, day), update, "attribute_not_exists(n) OR n <= :rest", values).done

    def give_back(self, key_id: str, day: date, calls: int) -> None:
        self._table.update(_key(key_id, day), "SET n = n - :calls", PRESENT, {":calls": calls})


def _key(key_id: str, day: date) -> dict[str, Any]:
    return {"pk": f"D#{key_id}", "sk": day.isoformat()}
