"""Leases of the sweeper's workers on shards of the due index: one item, three attributes per shard.

    W#sweep / W     t<shard> token of the chain of invocations · h<shard> its hop · u<shard> expiry (ms)

A lease only saves two workers from doing the same work. Correctness does not depend on it: every item has its own
version, and a repeated invocation is harmless.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Table
from redial.wire.stored_execution import DUE_SHARDS
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_KEY: dict[str, Any] = {"pk": "W#sweep", "sk": "W"}


class DynamoSweepLeases:
    """Implements `ports.SweepLeases`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def held(self, now: datetime) -> set[int]:
        item = self._table.get(_KEY) or {}
        return {shard for shard in range(DUE_SHARDS) if item.get(f"u{shard}", 0) > to_ms(now)}

    def take(self, shard: int, token: str, hop: int, now: datetime, until: datetime) -> bool:
        wanted = {f"t{shard}": token, f"h{shard}": hop, f"u{shard}": to_ms(until)}
        taken, old = self._table.update(
            _KEY,
            f"SET t{shard} = :token, h{shard} = :hop, u{shard} = :until",
            f"attribute_not_exists(u{shard}) OR u{shard} <= :now OR (t{shard} = :token AND h{shard} < :hop)",
            {":token": token, ":hop": hop, ":until": to_ms(until), ":now": to_ms(now)},
        )
        return taken or wanted.items() <= (old or {}).items()  # our own write, repeated by the client

    def release(self, shard: int, token: str, hop: int) -> None:
        self._table.update(
            _KEY,
            f"REMOVE t{shard}, h{shard}, u{shard}",
            f"t{shard} = :token AND h{shard} = :hop",
            {":token": token, ":hop": hop},
        )
