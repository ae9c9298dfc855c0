"""The audit log in DynamoDB: one item for each record, by account and time.

    J#<account> / <at (13 digits of ms)>#<id>   op operation · by · kid key id · rt resource type · rid resource id ·
                                                ch {field: [before, after]} (JSON text) · dt details (JSON text)

Records are only added, each under a new key, and never expire.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Item, Table
from redial.domain.audit import AuditRecord
from redial.ports import Position
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoAuditLog:
    """The audit log of accounts' changes."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def add(self, record: AuditRecord) -> None:
        """Append the record. Raises `ValueError` if its key exists: records are never overwritten."""
        if not self._table.put_new(_encode(record)):
            raise ValueError(f"another audit record has the id {record.id}")

    def newest_first(
        self, account_id: str, first: datetime | None, last: datetime | None, after: Position | None, most: int
    ) -> Iterator[tuple[Position, AuditRecord]]:
        """The records from `first` to `last`, both inclusive, that follow `after`. `most`: how many the caller expects
        to read."""
        low = "0" if first is None else f"{to_ms(first):013d}"
        high = "~" if last is None else f"{to_ms(last):013d}~"
        if after is not None:
            high = min(high, _sort_key(after.created_at, after.id))
        if low > high:
            return  # DynamoDB refuses such bounds
        values = {":pk": f"J#{account_id}", ":low": low, ":high": high}
        condition = "pk = :pk AND sk BETWEEN :low AND :high"
        options: dict[str, Any] = {"ConsistentRead": True, "ScanIndexForward": False, "Limit": most + 1}
        for item in self._table.query(condition, values, **options):
            record = _decode(item)
            position = Position(record.at, record.id)
            if position != after:
                yield position, record


def _sort_key(at: datetime, record_id: str) -> str:
    return f"{to_ms(at):013d}#{record_id}"


def _encode(record: AuditRecord) -> Item:
    stored: dict[str, Any] = {
        "pk": f"J#{record.account_id}",
        "sk": _sort_key(record.at, record.id),
        "op": record.operation,
        "by": record.by,
        "kid": record.key_id,
        "rt": record.resource_type,
        "rid": record.resource_id,
        "ch": _json({name: list(pair) for name, pair in record.changes.items()}) if record.changes else None,
        "dt": _json(record.details) if record.details else None,
    }
    return {name: value for name, value in stored.items() if value is not None}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _decode(item: Item) -> AuditRecord:
    at, _, record_id = item["sk"].partition("#")
    changes: dict[str, list[Any]] = json.loads(item.get("ch", "{}"))
    return AuditRecord(
        id=record_id,
        account_id=item["pk"].removeprefix("J#"),
        at=from_ms(int(at)),
        key_id=item.get("kid"),
        by=item["by"],
        operation=item["op"],
        resource_type=item["rt"],
        resource_id=item.get("rid"),
        changes={name: (old, new) for name, (old, new) in changes.items()},
        details=json.loads(item.get("dt", "{}")),
    )
