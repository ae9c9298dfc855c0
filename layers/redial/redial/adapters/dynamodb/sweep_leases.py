"""Leases of sweep workers and askers on shards of the due index: one item with three attributes for each lease.

    W#sweep / W     t<name> token of the chain of invocations · h<name> its hop · u<name> expiry (ms)

A lease keeps two invocations from doing the same work, and limits how many invocations ask carriers at once.
Correctness does not depend on it: every item has its own version, and a repeated invocation is harmless.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Table
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_KEY: dict[str, Any] = {"pk": "W#sweep", "sk": "W"}


class DynamoSweepLeases:
    """Implements `ports.SweepLeases`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def held(self, now: datetime) -> set[str]:
        item = self._table.get(_KEY) or {}
        return {one.removeprefix("u") for one, until in item.items() if one.startswith("u") and until > to_ms(now)}

    def take(self, name: str, token: str, hop: int, now: datetime, until: datetime) -> bool:
        wanted = {f"t{name}": token, f"h{name}": hop, f"u{name}": to_ms(until)}
        taken, old = self._table.update(
            _KEY,
            f"SET t{name} = :token, h{name} = :hop, u{name} = :until",
            f"attribute_not_exists(u{name}) OR u{name} <= :now OR (t{name} = :token AND h{name} < :hop)",
            {":token": token, ":hop": hop, ":until": to_ms(until), ":now": to_ms(now)},
        )
        return taken or wanted.items() <= (old or {}).items()  # our own write, repeated by the client

    def release(self, name: str, token: str, hop: int) -> None:
        self._table.update(
            _KEY,
            f"REMOVE t{name}, h{name}, u{name}",
            f"t{name} = :token AND h{name} = :hop",
            {":token": token, ":hop": hop},
        )
