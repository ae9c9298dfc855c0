"""The pace of carrier accounts in DynamoDB: one item for each.

    P#<carrier> / PACE    nx: the next free start time (ms)

All accounts of the stack share the item, because they share the carrier account.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from redial.adapters.dynamodb.table import Item, Table
from redial.ports import StaleVersion
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_MOST_TRIES = 20
"""Tries before `StaleVersion`. A try only fails if the clock passed the next start, or went back, since the last."""


class DynamoPacer:
    """Implements `ports.Pacer`. A start takes one write, or two if the carrier has just become busy or idle."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)
        self._busy_until: dict[str, datetime] = {}

    def reserve(self, carrier: str, interval: timedelta, now: datetime) -> datetime:
        """See the port. Raises `StaleVersion` if the clocks of several processes disagree about the next start."""
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
