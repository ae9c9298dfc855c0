"""DynamoDB's write and read request units, computed from the items by its published rules.

moto's ConsumedCapacity does not depend on an item's size. So botocore's own events show each request of a function, and
the items it touches are read before and after it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html (sizes)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html (units)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations (indexes)
"""

import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any

import boto3
from moto.dynamodb.exceptions import MockValidationException

from local.aws.dynamodb import inserted
from redial.runtime import services

Item = dict[str, dict[str, Any]]
"""An item in DynamoDB's JSON: `{"pk": {"S": "…"}, "n": {"N": "1"}}`."""

WRITE_BYTES = 1024
"""One write unit for each started KB."""
READ_BYTES = 4096
"""One read unit for each started 4 KB; half a unit if the read may be eventually consistent."""
READS = ("GetItem", "Query", "BatchGetItem")


class UnknownCost(Exception):
    """The units of this kind of request are not computed here."""


@dataclass(frozen=True)
class Units:
    """Cost of a request: write units of the table, write units of its indexes, read units."""

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


@dataclass(frozen=True)
class Write:
    """One item written, or not written because a condition failed.

    `units` of the table; `entries`: by name of the index, each entry that the write adds or removes.
    """

    key: Item
    units: int
    entries: tuple[tuple[str, Item], ...] = ()
    failed: bool = False


def size(item: Item | None) -> int:
    """Bytes of an item: its attributes' names and values. 0 for None."""
    return sum(len(name.encode()) + _value_size(value) for name, value in (item or {}).items())


def _value_size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":  # a byte for every two significant digits, one more, and one for a minus sign
            number = Decimal(content).normalize()
            return ceil(len(number.as_tuple().digits) / 2) + 1 + (1 if number < 0 else 0)
        case "B":
            return len(content if isinstance(content, bytes) else b64decode(content))
        case "BOOL" | "NULL":
            return 1
        case "SS" | "NS":
            return sum(_value_size({kind[0]: one}) for one in content)
        case "L":
            return 3 + sum(1 + _value_size(one) for one in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in content.items())
    raise UnknownCost(f"an attribute of type {kind}")


def write_units(item: Item | None) -> int:
    return max(1, ceil(size(item) / WRITE_BYTES))


def read_units(size: int, request: dict[str, Any]) -> float:
    units = max(1, ceil(size / READ_BYTES))
    return units if request.get("ConsistentRead") else units / 2


class Meter:
    """Computes the units of requests to one table, whose indexes project keys only.

    `client` reads items and repeats queries; its own requests must not be metered. `wanted(operation)`: whether to
    meter the present request. `count(units, writes)` is called in the thread that makes the request, after it.
    """

    def __init__(
        self,
        definition: dict[str, Any],
        client: Any,
        wanted: Callable[[str], bool],
        count: Callable[[Units, Sequence[Write]], None],
    ) -> None:
        self._table = definition["TableName"]
        self._key = _names(definition)
        self._indexes = {index["IndexName"]: _names(index) for index in definition["GlobalSecondaryIndexes"]}
        for index in definition["GlobalSecondaryIndexes"]:
            if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
                raise UnknownCost(f"index {index['IndexName']} projects more than keys")
        self._client = client
        self._wanted = wanted
        self._count = count

    def attach(self) -> None:
        """Meter the clients that are made from now on, starting with new ones for the functions."""
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-call.dynamodb", self.before)
        boto3.DEFAULT_SESSION.events.register("after-call.dynamodb", self.after)
        services.reset()

    def before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """For botocore's event before-call.dynamodb."""
        if self._wanted(model.name):
            request: dict[str, Any] = json.loads(params["body"])
            context["bench"] = request, [(key, self._read(key)) for key in self._written(model.name, request)]

    def after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """For botocore's event after-call.dynamodb."""
        if "bench" not in context:
            return
        request, before = context.pop("bench")
        error = parsed.get("Error", {}).get("Code")
        if error not in (None, "ConditionalCheckFailedException"):
            raise UnknownCost(f"{model.name} failed: {error}")
        if not before:
            self._count(Units(reads=self._reads(model.name, request)), ())
            return
        if error is None:
            writes = [self._write(key, old, self._read(key)) for key, old in before]
        else:  # a failed condition costs the larger of the item there is and the one that was to replace it
            ((key, old),) = before
            writes = [Write(key, max(write_units(old), write_units(request.get("Item"))), failed=True)]
        entries = [entry for write in writes for _, entry in write.entries]
        self._count(Units(sum(write.units for write in writes), sum(map(write_units, entries))), writes)

    def _written(self, operation: str, request: dict[str, Any]) -> list[Item]:
        """Keys of the items that a request may change."""
        match operation:
            case "PutItem":
                return [{name: request["Item"][name] for name in self._key}]
            case "UpdateItem" | "DeleteItem":
                return [request["Key"]]
            case "BatchExecuteStatement":  # an item that exists already is read and not written, and costs as much
                return [self._inserted(statement) for statement in request["Statements"]]
        if operation not in READS:
            raise UnknownCost(operation)
        return []

    def _inserted(self, statement: dict[str, Any]) -> Item:
        """The key of the item that a statement inserts."""
        try:
            _, item = inserted(statement)
        except MockValidationException as error:
            raise UnknownCost(statement["Statement"]) from error
        return {name: item[name] for name in self._key}

    def _write(self, key: Item, before: Item | None, after: Item | None) -> Write:
        entries: list[tuple[str, Item]] = []
        for name, index_key in self._indexes.items():
            old, new = (self._entry(index_key, item) for item in (before, after))
            entries += [(name, entry) for entry in (old, new) if entry is not None and old != new]
        return Write(key, max(write_units(before), write_units(after)), tuple(entries))

    def _entry(self, index_key: tuple[str, ...], item: Item | None) -> Item | None:
        """The entry of an item in an index; None if the item lacks an attribute of the index's key."""
        if item is None or any(name not in item for name in index_key):
            return None
        return {name: item[name] for name in (*index_key, *self._key)}

    def _read(self, key: Item) -> Item | None:
        item: Item | None = self._client.get_item(TableName=self._table, Key=key).get("Item")
        return item

    def _reads(self, operation: str, request: dict[str, Any]) -> float:
        match operation:
            case "GetItem":
                return read_units(size(self._read(request["Key"])), request)
            case "BatchGetItem":  # each item costs what it costs alone
                asked = request["RequestItems"][self._table]
                return sum(read_units(size(self._read(key)), asked) for key in asked["Keys"])
        for unknown in ("FilterExpression", "ProjectionExpression", "Select"):
            if unknown in request:
                raise UnknownCost(f"Query with {unknown}")
        return read_units(sum(map(size, self._client.query(**request)["Items"])), request)


def _names(definition: dict[str, Any]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in definition["KeySchema"])
