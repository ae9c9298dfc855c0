"""DynamoDB's write and read request units, by its published rules, from the items as they are.

moto's ConsumedCapacity is the same whatever an item's size, so units are computed here: each request of a function is
seen by botocore's own events, and the items that it touches are read before and after it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html (sizes)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html (units)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations (indexes)
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

Item = dict[str, dict[str, Any]]
"""An item as DynamoDB's JSON has it: `{"pk": {"S": "…"}, "n": {"N": "1"}}`."""

WRITE_BYTES = 1024
"""A write request unit is each started KB of an item."""
READ_BYTES = 4096
"""A read request unit is each started 4 KB, or half a unit when the read may be eventually consistent."""

_INSERT = re.compile(r'INSERT INTO "[^"]+" VALUE (\{.*\})')


class UnknownCost(Exception):
    """A request of a kind whose units are not computed here; better none than a wrong number."""


@dataclass(frozen=True)
class Units:
    """What one request costs: write units of the table, write units of its indexes, read units."""

    table_writes: int = 0
    index_writes: int = 0
    reads: float = 0.0

    def __add__(self, other: "Units") -> "Units":
        return Units(
            self.table_writes + other.table_writes, self.index_writes + other.index_writes, self.reads + other.reads
        )

    @property
    def writes(self) -> int:
        return self.table_writes + self.index_writes


def size(item: Item) -> int:
    """The bytes of an item: its attributes' names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS":
            return sum(_value_size({kind[0]: one}) for one in content)
        case "L":
            return 3 + sum(1 + _value_size(one) for one in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in content.items())
    raise UnknownCost(f"an attribute of type {kind}")


def _number_size(text: str) -> int:
    """A byte for each two significant digits, and one more; another for a minus sign."""
    number = Decimal(text).normalize()
    return ceil(len(number.as_tuple().digits) / 2) + 1 + (1 if number < 0 else 0)


class Meter:
    """Computes the units of requests to one table, whose indexes project keys only.

    `client` reads items and runs queries again; its own requests must not come here. `before` and `after` are for the
    botocore events before-call.dynamodb and after-call.dynamodb; `count` is told the units of each request that
    `wanted` says yes to, in the thread that makes it.
    """

    def __init__(
        self, definition: dict[str, Any], client: Any, wanted: Callable[[], bool], count: Callable[[str, Units], None]
    ) -> None:
        self._table = definition["TableName"]
        self._key = tuple(part["AttributeName"] for part in definition["KeySchema"])
        self._index_keys = []
        for index in definition["GlobalSecondaryIndexes"]:
            if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
                raise UnknownCost(f"index {index['IndexName']} projects more than keys")
            self._index_keys.append(tuple(part["AttributeName"] for part in index["KeySchema"]))
        self._client = client
        self._wanted = wanted
        self._count = count

    def before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if not self._wanted():
            return
        request: dict[str, Any] = json.loads(params["body"])
        context["bench"] = (request, [self._read(key) for key in self._written(model.name, request)])

    def after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "bench" not in context:
            return
        request, old = context.pop("bench")
        error = parsed.get("Error", {}).get("Code")
        if error not in (None, "ConditionalCheckFailedException"):
            raise UnknownCost(f"{model.name} failed: {error}")
        self._count(model.name, self._units(model.name, request, old, failed=error is not None))

    def _written(self, operation: str, request: dict[str, Any]) -> list[Item]:
        """The keys of the items that a request may change."""
        match operation:
            case "PutItem":
                return [{name: request["Item"][name] for name in self._key}]
            case "UpdateItem" | "DeleteItem":
                return [request["Key"]]
            case "BatchExecuteStatement":
                return [self._inserted(statement) for statement in request["Statements"]]
            case _:
                return []

    def _inserted(self, statement: dict[str, Any]) -> Item:
        """The key of the item that a statement inserts."""
        names = _INSERT.fullmatch(statement["Statement"])
        if names is None:
            raise UnknownCost(statement["Statement"])
        item = dict(zip(re.findall(r"'(\w+)': \?", names[1]), statement["Parameters"], strict=True))
        return {name: item[name] for name in self._key}

    def _units(self, operation: str, request: dict[str, Any], old: list[Item | None], *, failed: bool) -> Units:
        match operation:
            case "PutItem" | "UpdateItem" | "DeleteItem":
                (key,), (before,) = self._written(operation, request), old
                if not failed:
                    return self._write(before, self._read(key))
                # A write whose condition fails costs the larger of the item there is and the one there was to be.
                return Units(table_writes=max(write_units(before), write_units(request.get("Item"))))
            case "GetItem":
                item = self._read(request["Key"])
                return Units(reads=_read_units(size(item) if item else 0, request))
            case "BatchExecuteStatement":  # an item that was there already is read and not written, and costs as much
                keys = self._written(operation, request)
                return sum((self._write(*both) for both in zip(old, map(self._read, keys), strict=True)), Units())
            case "Query":
                return Units(reads=_read_units(self._looked_at(request), request))
            case "BatchGetItem":  # each item costs what it costs alone
                asked = request["RequestItems"][self._table]
                found = [self._read(key) for key in asked["Keys"]]
                return Units(reads=sum(_read_units(size(item) if item else 0, asked) for item in found))
        raise UnknownCost(operation)

    def _write(self, before: Item | None, after: Item | None) -> Units:
        units = Units(table_writes=max(write_units(before), write_units(after)))
        for index_key in self._index_keys:
            changed = changed_entries(index_key, self._key, before, after)
            units += Units(index_writes=sum(map(write_units, changed)))
        return units

    def _read(self, key: Item) -> Item | None:
        item: Item | None = self._client.get_item(TableName=self._table, Key=key).get("Item")
        return item

    def _looked_at(self, query: dict[str, Any]) -> int:
        """The bytes of the items that a query goes through, which without a filter are those that it answers."""
        for unknown in ("FilterExpression", "ProjectionExpression", "Select"):
            if unknown in query:
                raise UnknownCost(f"Query with {unknown}")
        return sum(map(size, self._client.query(**query)["Items"]))


def changed_entries(
    index_key: tuple[str, ...], table_key: tuple[str, ...], before: Item | None, after: Item | None
) -> list[Item]:
    """The entries that a write takes out of an index of keys and puts into it: a changed key is both."""
    old, new = (_entry(index_key, table_key, item) for item in (before, after))
    return [] if old == new else [entry for entry in (old, new) if entry is not None]


def _entry(index_key: tuple[str, ...], table_key: tuple[str, ...], item: Item | None) -> Item | None:
    """What an index holds of an item; None where the item lacks an attribute of the index's key."""
    if item is None or any(name not in item for name in index_key):
        return None
    return {name: item[name] for name in (*index_key, *table_key)}


def write_units(item: Item | None) -> int:
    """What it costs to write this item, or, for None, one that is not there."""
    return max(1, ceil(size(item) / WRITE_BYTES)) if item else 1


def _read_units(looked_at: int, request: dict[str, Any]) -> float:
    units = max(1, ceil(looked_at / READ_BYTES))
    return units if request.get("ConsistentRead") else units / 2
