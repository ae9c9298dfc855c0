"""Counts of finished attempts in DynamoDB, one item per day for each account, agent and batch.

    Y#<account, agent or batch> / <day>   n counts by cell, compressed (see `pack`) · v version ·
                                          w {stream shard: the last record counted} · expires_at

Items are read and written whole. A stream shard's position and its counts are stored in one write, so repeated records
are recognized.
"""

import re
import zlib
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Table
from redial.ports import StaleVersion

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEPT = timedelta(days=400)
"""How long a day's counts are kept: a year and a month."""
_RECENT_SHARDS = 12
"""A stream's shard is open for four hours, and records are kept for a day. Positions of older shards are dropped."""
_MOST_TRIES = 5
_COUNT = re.compile("([a-z])(-?[0-9]+)")


class DynamoStatistics:
    """Implements `ports.StatisticsStore`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def add(self, scope: str, day: date, cells: Mapping[str, int], shard: str, up_to: str, now: datetime) -> bool:
        key = _key(scope, day)
        for _ in range(_MOST_TRIES):
            stored = self._table.get(key) or {}
            positions: dict[str, str] = stored.get("w", {})
            if positions.get(shard, "") >= up_to:
                return False
            sums = Counter(unpack(stored["n"]) if stored else {})
            sums.update(cells)
            kept = dict(sorted(positions.items(), key=lambda one: one[1])[-_RECENT_SHARDS:])
            version = stored.get("v", 0)
            item = key | {
                "n": pack(sums),
                "w": kept | {shard: up_to},
                "v": version + 1,
                "expires_at": int((now + KEPT).timestamp()),
            }
            try:
                self._table.put_version(item, version)
            except StaleVersion:
                continue  # another shard's counts were added in the meantime
            return True
        raise StaleVersion(f"{scope} {day}")

    def remove(self, scope: str) -> None:
        for item in self._table.query("pk = :pk", {":pk": f"Y#{scope}"}, ConsistentRead=True):
            self._table.delete({"pk": item["pk"], "sk": item["sk"]})

    def between(self, scope: str, first: date, last: date) -> dict[date, Mapping[str, int]]:
        values = {":pk": f"Y#{scope}", ":first": first.isoformat(), ":last": last.isoformat()}
        found = self._table.query("pk = :pk AND sk BETWEEN :first AND :last", values)
        return {date.fromisoformat(item["sk"]): unpack(item["n"]) for item in found}


def pack(cells: Mapping[str, int]) -> bytes:
    """Counts by cell, compressed: `<dimension and value>=<outcome letter><count>…`, separated by `;`. Zeros are left
    out. A busy day takes about a kilobyte."""
    by_value: dict[str, str] = {}
    for cell, count in sorted(cells.items()):
        if count:
            value, _, letter = cell.rpartition("=")
            by_value[value] = by_value.get(value, "") + f"{letter}{count}"
    return zlib.compress(";".join(f"{value}={counts}" for value, counts in by_value.items()).encode(), 9)


def unpack(packed: bytes) -> dict[str, int]:
    """The inverse of `pack`."""
    cells: dict[str, int] = {}
    for one in filter(None, zlib.decompress(bytes(packed)).decode().split(";")):
        value, _, counts = one.rpartition("=")
        cells |= {f"{value}={letter}": int(count) for letter, count in _COUNT.findall(counts)}
    return cells


def _key(scope: str, day: date) -> dict[str, Any]:
    return {"pk": f"Y#{scope}", "sk": day.isoformat()}
