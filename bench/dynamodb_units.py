"""DynamoDB's write and read request units, computed from the items by its published rules.

moto's ConsumedCapacity does not depend on an item's size. So each request of a function is observed through botocore's
events, and the images of its items are read from the emulated table before and after it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html (units)
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations (indexes)
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import ceil
from operator import add
from typing import Any

import boto3

from local.aws.dynamodb import Image, inserted
from local.aws.dynamodb_checks import size_of
from redial.runtime import services

Item = dict[str, dict[str, Any]]
"""An item in DynamoDB's JSON: `{"pk": {"S": "…"}, "n": {"N": "1"}}`."""

WRITE_BYTES = 1024
"""The size of a write unit: each started KB costs one."""
READ_BYTES = 4096
"""The size of a read unit: each started 4 KB costs one, or half a unit if the read may be eventually consistent."""
READS = ("GetItem", "Query", "BatchGetItem")


class UnknownCost(Exception):
    """The units of this kind of request cannot be computed."""


@dataclass(frozen=True)
class Units:
    """Cost of a request: write units of the table, write units of its indexes, read units."""

    table_writes: int = 0
    index_writes: int = 0
    reads: float = 0.0

    def __add__(self, other: "Units") -> "Units":
        return Units(*map(add, astuple(self), astuple(other)))

    @property
    def writes(self) -> int:
        return self.table_writes + self.index_writes


@dataclass(frozen=True)
class Write:
    """A write of an item, which may have failed because of its condition.

    `units`: of the table. `entries`: by name of the index, each entry that the write adds or removes.
    """

    key: Item
    units: int
    entries: tuple[tuple[str, Item], ...] = ()


def write_units(item: Item | None) -> int:
    return max(1, ceil(size_of(item or {}) / WRITE_BYTES))


def read_units(items: Sequence[Item], request: dict[str, Any]) -> float:
    """The read units of items that are read together."""
    units = max(1, ceil(sum(map(size_of, items)) / READ_BYTES))
    return units if request.get("ConsistentRead") else units / 2


class Meter:
    """Computes the units of requests to one table, whose indexes project keys only.

    `images`: the table's items by key. `wanted()`: whether to meter the present request. `count(units, writes)` is
    called after a request, in the thread that made it. An unknown request ends the run.
    """

    def __init__(
        self,
        definition: dict[str, Any],
        images: Mapping[tuple[Any, Any], Image],
        wanted: Callable[[], bool],
        count: Callable[[Units, Sequence[Write]], None],
    ) -> None:
        self._table = definition["TableName"]
        self._key = _names(definition)
        self._indexes = {index["IndexName"]: _names(index) for index in definition["GlobalSecondaryIndexes"]}
        for index in definition["GlobalSecondaryIndexes"]:
            if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
                raise UnknownCost(f"index {index['IndexName']} projects more than keys")
        self._images = images
        self._wanted = wanted
        self._count = count

    def attach(self) -> None:
        """Meter the clients that are created from now on, starting with new ones for the functions."""
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-call.dynamodb", self.before)
        boto3.DEFAULT_SESSION.events.register("after-call.dynamodb", self.after)
        services.reset()

    def before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """For botocore's event before-call.dynamodb."""
        if self._wanted():
            request: dict[str, Any] = json.loads(params["body"])
            context["bench"] = request, [(key, self._item(key)) for key in self._written(model.name, request)]

    def after(self, model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        """For botocore's event after-call.dynamodb."""
        if "bench" not in context:
            return
        request, before = context.pop("bench")
        error = parsed.get("Error", {}).get("Code")
        if error not in (None, "ConditionalCheckFailedException"):
            raise UnknownCost(f"{model.name} failed: {error}")
        if not before:
            self._count(Units(reads=self._reads(model.name, request, parsed)), ())
            return
        if error is None:
            writes = [self._write(key, old, self._item(key)) for key, old in before]
        else:  # a failed condition costs the larger of the existing item and its intended replacement
            ((key, old),) = before
            writes = [Write(key, max(write_units(old), write_units(request.get("Item"))))]
        entries = [entry for write in writes for _, entry in write.entries]
        self._count(Units(sum(write.units for write in writes), sum(map(write_units, entries))), writes)

    def _written(self, operation: str, request: dict[str, Any]) -> list[Item]:
        """Keys of the items that a request may change."""
        match operation:
            case "PutItem":
                return [self._key_of(request["Item"])]
            case "UpdateItem" | "DeleteItem":
                return [request["Key"]]
            case "BatchExecuteStatement":  # an item that already exists is read but not written, and costs as much
                return [self._key_of(inserted(statement)[1]) for statement in request["Statements"]]
        if operation not in READS:
            raise UnknownCost(operation)
        return []

    def _key_of(self, item: Item) -> Item:
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
        return {**{name: item[name] for name in index_key}, **self._key_of(item)}

    def _item(self, item: Item) -> Item | None:
        """The whole item with the key of `item`."""
        image = self._images.get((item["pk"]["S"], item["sk"]["S"]))
        return None if image is None else image.plain

    def _reads(self, operation: str, request: dict[str, Any], parsed: dict[str, Any]) -> float:
        match operation:
            case "GetItem":
                return read_units([self._item(request["Key"]) or {}], request)
            case "BatchGetItem":  # each item costs as much as a single read
                asked = request["RequestItems"][self._table]
                return sum(read_units([self._item(key) or {}], asked) for key in asked["Keys"])
        for unknown in ("FilterExpression", "ProjectionExpression", "Select"):
            if unknown in request:
                raise UnknownCost(f"Query with {unknown}")
        of_index = "IndexName" in request
        return read_units([item if of_index else self._item(item) or {} for item in parsed["Items"]], request)


def _names(definition: dict[str, Any]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in definition["KeySchema"])
