"""Batches and their counts in DynamoDB: one item for each batch, with optimistic locking.

    B#<batch> / B                a batch, see `wire.stored_batch`; after its removal the tombstone
    C#<batch> / <stream shard>   contacts by status, counted from one shard of the table's stream:
                                 n {status: count}, sn sequence number of the last record counted

A shard's count can be negative: contacts may enter a status in one shard and leave it in another. The sum is exact.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import ABSENT, Table
from redial.domain.batch import Batch
from redial.ports import Counted, StaleVersion
from redial.wire.stored_batch import decode, encode, key, listing_shard

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoBatches:
    """Implements `ports.Batches` and `ports.Counts`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        sleep: Callable[[float], None] = lambda seconds: None,
        keep: timedelta | None = None,
    ) -> None:
        """`keep`: how long a finished batch is kept; None: forever."""
        self._table = Table(client, table_name, sleep)
        self._keep = keep

    def get(self, batch_id: str) -> Batch | None:
        item = self._table.get(key(batch_id))
        return None if item is None else decode(item)

    def create(self, batch: Batch) -> bool:
        return self._table.put_new(encode(replace(batch, version=1)))

    def save(self, batch: Batch) -> Batch:
        saved = replace(batch.kept_for(self._keep), version=batch.version + 1)
        self._table.put_version(encode(saved), batch.version)
        return saved

    def remove_counts(self, batch_id: str) -> None:
        for shard in self._counters(batch_id):
            self._table.delete(_counter_key(batch_id, shard))

    def of_agent(self, agent_id: str) -> list[Batch]:
        values = {":shard": listing_shard(agent_id)}
        listed = self._table.query("listing_shard = :shard", values, IndexName="listing", ScanIndexForward=False)
        ids = [str(item["pk"]).removeprefix("B#") for item in listed]
        found = {batch.id: batch for batch in map(decode, self._table.read([key(one) for one in ids]))}
        return [found[one] for one in ids if one in found and found[one].deleted_at is None]

    # ---- counts -------------------------------------------------------------------------------------------------

    def counted(self, batch_id: str) -> Counted:
        total: Counter[str] = Counter()
        position = hashlib.sha256()
        for shard, item in sorted(self._counters(batch_id).items()):
            total.update(item["n"])
            position.update(f"{shard} {item['sn']}\n".encode())
        counts = {status: count for status, count in sorted(total.items()) if count}
        return Counted(counts, position.hexdigest()[:16])

    def counts(self, batch_id: str) -> dict[str, int]:
        return self.counted(batch_id).counts

    def counted_up_to(self, batch_id: str, shard: str) -> str | None:
        last: str | None = (self._table.get(_counter_key(batch_id, shard)) or {}).get("sn")
        return last

    def count(self, batch_id: str, shard: str, deltas: Mapping[str, int], after: str | None, up_to: str) -> None:
        """See the port. Raises `StaleVersion` unless the shard was counted exactly up to `after`."""
        counter_key = _counter_key(batch_id, shard)
        if after is None:
            counted = self._table.put(counter_key | {"n": dict(deltas), "sn": up_to}, ABSENT).done
        else:
            names = {f"#{index}": status for index, status in enumerate(deltas)}
            values: dict[str, Any] = {f":{index}": delta for index, delta in enumerate(deltas.values())}
            if deltas:
                values[":zero"] = 0
            sums = "".join(f", n.#{i} = if_not_exists(n.#{i}, :zero) + :{i}" for i in range(len(deltas)))
            values |= {":up_to": up_to, ":after": after}
            counted = self._table.update(counter_key, f"SET sn = :up_to{sums}", "sn = :after", values, names).done
        if not counted:
            raise StaleVersion(batch_id)

    def _counters(self, batch_id: str) -> dict[str, dict[str, Any]]:
        found = self._table.query("pk = :pk", {":pk": f"C#{batch_id}"}, ConsistentRead=True)
        return {item["sk"]: item for item in found}


def _counter_key(batch_id: str, shard: str) -> dict[str, Any]:
    return {"pk": f"C#{batch_id}", "sk": shard}
