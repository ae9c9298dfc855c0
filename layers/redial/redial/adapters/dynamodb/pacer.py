"""The rate at which carrier accounts take calls, in DynamoDB: one item for each.

    P#<carrier> / PACE    nx: the next start that is free (ms)

The item is one for all accounts of the stack, since they share the carrier account.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from redial.adapters.dynamodb.table import Item, Table
from redial.ports import StaleVersion
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_MOST_TRIES = 20
"""Lost races before `StaleVersion`: between two tries the clock must have passed the next start, or gone back."""


class DynamoPacer:
    """Implements `ports.Pacer`. One write a start, two where the carrier was idle before or begins to be busy."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)
        self._busy_until: dict[str, datetime] = {}

    def reserve(self, carrier: str, interval: timedelta, now: datetime) -> datetime:
        """As the port says. Raises `StaleVersion` where other clocks disagree about which start comes next."""
        now_ms, least = to_ms(now), interval // timedelta(milliseconds=1)
        busy = self._busy_until.get(carrier, now) > now
        for _ in range(_MOST_TRIES):
            if busy:
                update, condition, value = "SET nx = nx + :value", "nx > :now", least
            else:
                update, condition, value = "SET nx = :value", "attribute_not_exists(nx) OR nx <= :now", now_ms + least
            values = {":now": now_ms, ":value": value}
            updated = self._table.update(_key(carrier), update, condition, values, returning=True)
            if updated.done and updated.item is not None:
                self._busy_until[carrier] = from_ms(updated.item["nx"])
                return from_ms(updated.item["nx"] - least)
            busy = not busy
        raise StaleVersion(carrier)

    def hold(self, carrier: str, until: datetime) -> None:
        condition = "attribute_not_exists(nx) OR nx < :until"
        self._table.update(_key(carrier), "SET nx = :until", condition, {":until": to_ms(until)})


def _key(carrier: str) -> Item:
    return {"pk": f"P#{carrier}", "sk": "PACE"}
