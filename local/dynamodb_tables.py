"""What moto's DynamoDB tables hold, kept a second time: as it travels, in order, and by index.

moto sorts and searches a whole table for every query, turns every attribute into an object of its own, and changes
items in place. Here each table has `Contents` beside it, which every write of moto's keeps up to date, whichever way it
comes (see `REPLACED`). A stored item is never changed, but replaced: old and new images of a write are there for free.
"""

import copy
import json
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models import table as table_models
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table

from local.dynamodb_expressions import Key, NotUnderstood, Plain, Range, Value, key_of

_CONTENTS = "_redial_contents"  # the attribute of moto's Table
_NO_SORT_KEY = ""


class StoredItem(Item):
    """An item of moto's that keeps how it travels. The form that moto works on is made when moto asks for it."""

    def __new__(cls, *_: Any) -> "StoredItem":
        return object.__new__(cls)  # not moto's own, which keeps every model that was ever made

    def __init__(self, plain: Plain, hash_key: DynamoType, range_key: DynamoType | None) -> None:
        self.plain = plain
        self.hash_key = hash_key
        self.range_key = range_key

    def __getattr__(self, name: str) -> Any:
        if name != "attrs":
            raise AttributeError(name)
        self.attrs = _attributes(self.plain)
        return self.attrs

    def __deepcopy__(self, memo: dict[int, Any]) -> Item:
        return self.for_moto()

    def for_moto(self) -> Item:
        """The same item, for moto to change as it likes."""
        item: Item = object.__new__(Item)
        item.hash_key, item.range_key = DynamoType(self.hash_key), self.range_key and DynamoType(self.range_key)
        item.attrs = _attributes(copy.deepcopy(self.plain))
        return item

    @cached_property
    def text(self) -> str:
        """The item in JSON."""
        return json.dumps(self.plain)

    @cached_property
    def bytes(self) -> int:
        """Its size by DynamoDB's rules (moto has rules of its own)."""
        return size_of(self.plain)


def _attributes(plain: Plain) -> LimitedSizeDict:
    attributes = LimitedSizeDict()
    for name, value in plain.items():
        dict.__setitem__(attributes, name, DynamoType(value))  # its own looks at all sizes each time
    return attributes


def size_of(plain: Plain) -> int:
    """The bytes that an item takes, or a part of one that has attributes of its own.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in plain.items())


def _value_size(value: Value) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return len(content) * 3 // 4 - str(content)[-2:].count("=")
        case "SS":
            return sum(len(element.encode()) for element in content)
        case "NS":
            return sum(map(_number_size, content))
        case "BS":
            return sum(_value_size({"B": element}) for element in content)
        case "L":
            return 3 + sum(1 + _value_size(element) for element in content)
        case "M":
            return 3 + len(content) + size_of(content)
    return 1


def _number_size(text: str) -> int:
    digits = text.strip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


def plain_of(item: Item) -> Plain:
    """How an item of moto's travels."""
    if isinstance(item, StoredItem):
        return item.plain
    return {name: _plain_value(value) for name, value in item.attrs.items()}


def _plain_value(value: DynamoType) -> Value:
    if value.is_list():
        return {"L": [_plain_value(element) for element in value.value]}
    if value.is_map():
        return {"M": {name: _plain_value(element) for name, element in value.value.items()}}
    return {value.type: value.value}


@dataclass
class Partition:
    """The items of one partition key, by sort key; `order` is their sort keys, lowest first."""

    items: dict[Key, StoredItem] = field(default_factory=dict)
    order: list[Any] = field(default_factory=list)


IndexEntry = tuple[Key, Key, Key]
"""A sort key in an index, and the table's two keys of the item."""


@dataclass
class Index:
    """Where the items that have `partition` and `order`, each of its declared type, stand by these attributes."""

    partition: str
    order: str | None
    types: dict[str, str]
    entries: dict[Key, list[IndexEntry]] = field(default_factory=lambda: defaultdict(list))

    def place(self, plain: Plain) -> tuple[Key, Key] | None:
        """The partition and the sort key of an item in this index; None: it is not in it."""
        first = plain.get(self.partition)
        second = plain.get(self.order) if self.order is not None else None
        if first is None or self.types[self.partition] not in first:
            return None
        if self.order is None:
            return key_of(first), _NO_SORT_KEY
        if second is None or self.types[self.order] not in second:
            return None
        return key_of(first), key_of(second)

    def move(self, key: tuple[Key, Key], before: tuple[Key, Key] | None, after: tuple[Key, Key] | None) -> None:
        """Have the item of that key leave one place and take the other."""
        if before == after:
            return
        if before is not None:
            partition, entry = before[0], (before[1], *key)
            entries = self.entries[partition]
            del entries[bisect_left(entries, entry)]
            if not entries:
                del self.entries[partition]
        if after is not None:
            insort(self.entries[after[0]], (after[1], *key))


class Contents:
    """What one table holds. Raises `NotUnderstood` for a table with binary keys or keys of several attributes."""

    def __init__(self, table: Table) -> None:
        types = {definition["AttributeName"]: definition["AttributeType"] for definition in table.attr}
        self.hash_name, self.range_name = table.hash_key_attr, table.range_key_attr
        self.types = types
        self.partitions: dict[Key, Partition] = {}
        self.indexes: dict[str, Index] = {}
        self._lowest: dict[str, tuple[list[tuple[float, Key, Key]], dict[tuple[Key, Key], float]]] = {}
        for index in table.all_indexes():
            names = {kind: [one["AttributeName"] for one in index.schema if one["KeyType"] == kind] for kind in _KINDS}
            if len(names["HASH"]) != 1 or len(names["RANGE"]) > 1:
                raise NotUnderstood("an index with keys of several attributes")
            self.indexes[index.name] = Index(names["HASH"][0], next(iter(names["RANGE"]), None), types)
        key_names = [name for name in (self.hash_name, self.range_name) if name is not None]
        key_names += [name for index in self.indexes.values() for name in (index.partition, index.order) if name]
        if any(types[name] not in ("S", "N") for name in key_names):
            raise NotUnderstood("binary keys")
        for item in _all(table):
            stored = _stored(item)
            if stored is not item:
                _hang_up(table, stored)
            self.change(None, stored)

    def key(self, plain: Plain) -> tuple[Key, Key]:
        """The table's keys of an item or a key. Raises `NotUnderstood` where they are missing or of a wrong type."""
        keys: list[Key] = []
        for name in (self.hash_name, self.range_name):
            if name is None:
                keys.append(_NO_SORT_KEY)
                continue
            value = plain.get(name)
            if value is None or self.types[name] not in value or len(value) != 1:
                raise NotUnderstood("not a key of this table")
            keys.append(key_of(value))
        return keys[0], keys[1]

    def get(self, key: tuple[Key, Key]) -> StoredItem | None:
        partition = self.partitions.get(key[0])
        return partition.items.get(key[1]) if partition is not None else None

    def change(self, old: StoredItem | None, new: StoredItem | None) -> None:
        """Put `new` in the place of `old`, an item of the same key; None: there is none."""
        one = new or old
        assert one is not None
        key = self.key(one.plain)
        if new is not None:
            partition = self.partitions.get(key[0])
            if partition is None:
                partition = self.partitions[key[0]] = Partition()
            if key[1] not in partition.items:
                insort(partition.order, key[1])
            partition.items[key[1]] = new
        else:
            partition = self.partitions[key[0]]
            del partition.items[key[1]]
            del partition.order[bisect_left(partition.order, key[1])]
            if not partition.items:
                del self.partitions[key[0]]
        for index in self.indexes.values():
            index.move(
                key,
                index.place(old.plain) if old is not None else None,
                index.place(new.plain) if new is not None else None,
            )
        for attribute in self._lowest:
            self._note_number(attribute, key, new)

    def lowest(self, attribute: str) -> float | None:
        """The lowest number that any item holds in that attribute; None where none holds one."""
        if attribute not in self._lowest:
            self._lowest[attribute] = [], {}
            for hash_key, partition in self.partitions.items():
                for range_key, item in partition.items.items():
                    self._note_number(attribute, (hash_key, range_key), item)
        ordered, _ = self._lowest[attribute]
        return ordered[0][0] if ordered else None

    def _note_number(self, attribute: str, key: tuple[Key, Key], item: StoredItem | None) -> None:
        ordered, known = self._lowest[attribute]
        value = item.plain.get(attribute) if item is not None else None
        number = float(value["N"]) if value is not None and "N" in value else None
        before = known.get(key)
        if before == number:
            return
        if before is not None:
            del ordered[bisect_left(ordered, (before, *key))]
            del known[key]
        if number is not None:
            insort(ordered, (number, *key))
            known[key] = number

    def of_partition(
        self, hash_key: Key, wanted: Range, forward: bool, after: Key | None
    ) -> tuple[Iterator[StoredItem], Callable[[], bool]]:
        """The items of a partition in `wanted`, from behind sort key `after`; and whether any lies beyond the last."""
        partition = self.partitions.get(hash_key)
        if partition is None:
            return iter(()), lambda: False
        order, items = partition.order, partition.items
        positions, more = _positions(order, wanted, forward, after, lambda key: key)
        return (items[order[position]] for position in positions), more

    def of_index(
        self, name: str, hash_key: Key, wanted: Range, forward: bool, after: IndexEntry | None
    ) -> tuple[Iterator[StoredItem], Callable[[], bool]]:
        """The same of a partition of an index."""
        entries = self.indexes[name].entries.get(hash_key, [])
        positions, more = _positions(entries, wanted, forward, after, lambda entry: entry[0])
        return (self.partitions[entries[at][1]].items[entries[at][2]] for at in positions), more


_KINDS = ("HASH", "RANGE")


def _positions(
    order: list[Any], wanted: Range, forward: bool, after: Any, key: Callable[[Any], Any]
) -> tuple[Iterator[int], Callable[[], bool]]:
    """Positions in a sorted list that are in a range; and whether the list goes on behind the last one taken."""
    low, high = 0, len(order)
    if wanted.low is not None:
        low = (bisect_left if wanted.with_low else bisect_right)(order, wanted.low, key=key)
    if wanted.high is not None:
        high = (bisect_right if wanted.with_high else bisect_left)(order, wanted.high, key=key)
    if wanted.start is not None:
        high = low
        while high < len(order) and str(key(order[high])).startswith(wanted.start):
            high += 1
    if after is not None and forward:
        low = max(low, bisect_right(order, after))
    elif after is not None:
        high = min(high, bisect_left(order, after))
    taken = iter(range(low, high) if forward else range(high - 1, low - 1, -1))
    last = len(order) - 1 if forward else 0
    reached = [-1]

    def positions() -> Iterator[int]:
        for position in taken:
            reached[0] = position
            yield position

    return positions(), lambda: reached[0] not in (-1, last)


def contents_of(table: Table) -> Contents:
    """What a table holds. Raises `NotUnderstood` where that is not kept."""
    found: Contents | None = table.__dict__.get(_CONTENTS)
    if found is None:
        found = table.__dict__[_CONTENTS] = Contents(table)
    return found


def _all(table: Table) -> list[Item]:
    by_hash_key: Any = table.items
    if table.range_key_attr is None:
        return list(by_hash_key.values())
    return [item for partition in by_hash_key.values() for item in partition.values()]


def _hang_up(table: Table, item: Item) -> None:
    """Put it where moto looks for it."""
    items: Any = table.items
    if item.range_key is None:
        items[item.hash_key] = item
    else:
        items[item.hash_key][item.range_key] = item


def store(table: Table, plain: Plain) -> StoredItem | None:
    """Put an item, whose keys are as they must be, into a table and its stream; what was there before."""
    contents = contents_of(table)
    old = contents.get(contents.key(plain))
    if old is not None:
        new = StoredItem(plain, old.hash_key, old.range_key)
    else:
        range_key = DynamoType(plain[table.range_key_attr]) if table.range_key_attr is not None else None
        new = StoredItem(plain, DynamoType(plain[table.hash_key_attr]), range_key)
    _hang_up(table, new)
    _tell(table, contents, old, new)
    return old


def remove(table: Table, item: StoredItem) -> None:
    """Take an item, which is there, out of a table."""
    items: Any = table.items
    if item.range_key is None:
        del items[item.hash_key]
    else:
        del items[item.hash_key][item.range_key]
        if not items[item.hash_key]:
            del items[item.hash_key]
    _tell(table, contents_of(table), item, None)


def _tell(table: Table, contents: Contents, old: StoredItem | None, new: StoredItem | None) -> None:
    contents.change(old, new)
    if table.stream_shard is not None:
        table.stream_shard.add(old, new)


class Feed:
    """Stands where a table of moto's keeps the records of its stream: tells each change to `listeners`, keeps none."""

    def __init__(self, account_id: str, table: Table) -> None:
        self.listeners: list[Callable[[StoredItem | None, StoredItem | None], None]] = []
        self.id = "shardId-00000000000000000000-00000000"
        self.created_on = table.created_at
        self.starting_sequence_number = 0
        self.items: list[Any] = []

    def add(self, old: Item | None, new: Item | None) -> None:
        """`new` has taken the place of `old`; None: there is none."""
        if not self.listeners:
            return
        before, after = (_stored(item) if item is not None else None for item in (old, new))
        for listener in self.listeners:
            listener(before, after)

    def to_json(self) -> dict[str, Any]:
        return {"ShardId": self.id, "SequenceNumberRange": {"StartingSequenceNumber": "0"}}

    def get(self, start: int, quantity: int) -> list[dict[str, Any]]:
        return []


def _stored(item: Item) -> StoredItem:
    return item if isinstance(item, StoredItem) else StoredItem(plain_of(item), item.hash_key, item.range_key)


# ---- in moto's place ------------------------------------------------------------------------------------------------

_moto_query = Table.query
_moto_put_item = Table.put_item
_moto_delete_item = Table.delete_item
_moto_update_item = DynamoDBBackend.update_item
_moto_transact = DynamoDBBackend.transact_write_items
_QUERY_ARGUMENTS = (
    "range_comparison",
    "range_objs",
    "limit",
    "exclusive_start_key",
    "scan_index_forward",
    "projection_expressions",
    "index_name",
)
_CHANGING = "_redial_changing"  # marks a table that moto's update_item is at work on


def _query_of_one_partition(self: Table, hash_key: Any, *arguments: Any, **options: Any) -> Any:
    """A query is shown its own partition, of the table or the index; moto sorts and searches the whole table for it."""
    named = dict(zip(_QUERY_ARGUMENTS, arguments, strict=False)) | options
    index_name = named.get("index_name")
    if hash_key is None:
        return _moto_query(self, hash_key, *arguments, **options)
    items: Any = defaultdict(dict)
    try:
        if index_name is not None:
            contents = contents_of(self)
            entries = contents.indexes[index_name].entries.get(key_of({hash_key.type: hash_key.value}), [])
            for _, first, second in entries:
                item = contents.partitions[first].items[second]
                if item.range_key is None:
                    items[item.hash_key] = item
                else:
                    items[item.hash_key][item.range_key] = item
        elif hash_key in self.items:
            items[hash_key] = self.items[hash_key]
    except (KeyError, NotUnderstood):
        return _moto_query(self, hash_key, *arguments, **options)
    partition = copy.copy(self)
    partition.items = items
    return _moto_query(partition, hash_key, *arguments, **options)


def _unsorted_items(self: Table) -> list[Item]:
    """Every item, in no order, as a scan of the real one has none; whoever wants an order sorts afterwards."""
    return _all(self)


def _put_item(self: Table, item_attrs: Plain, *arguments: Any, **options: Any) -> Item:
    if self.__dict__.get(_CHANGING):
        return _moto_put_item(self, item_attrs, *arguments, **options)
    old = _present(self, item_attrs)
    shard, self.stream_shard = self.stream_shard, None
    try:
        item = _moto_put_item(self, item_attrs, *arguments, **options)
    finally:
        self.stream_shard = shard
    _settle(self, old, item)
    return item


def _delete_item(self: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Item | None:
    shard, self.stream_shard = self.stream_shard, None
    contents_of_before = _contents_or_none(self)
    try:
        item = _moto_delete_item(self, hash_key, range_key)
    finally:
        self.stream_shard = shard
    if item is not None:
        if contents_of_before is not None:
            assert isinstance(item, StoredItem)
            contents_of_before.change(item, None)
        if shard is not None:
            shard.add(item, None)
    return item


def _update_item(self: DynamoDBBackend, table_name: str, key: Plain, *arguments: Any, **options: Any) -> Item:
    """moto changes an item in place, and one that it has just made stays when the update then fails."""
    table = self.get_table(table_name)
    old = _present(table, key)
    if old is not None:
        _hang_up(table, old.for_moto() if isinstance(old, StoredItem) else copy.deepcopy(old))
    shard, table.stream_shard = table.stream_shard, None
    table.__dict__[_CHANGING] = True
    try:
        item = _moto_update_item(self, table_name, key, *arguments, **options)
    except BaseException:
        if old is not None:
            _hang_up(table, old)
        elif (made := _found_by_moto(table, key)) is not None:
            _moto_delete_item(table, made.hash_key, made.range_key)
        raise
    finally:
        table.stream_shard = shard
        table.__dict__[_CHANGING] = False
    _settle(table, old, item)
    return item


def _transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """What a transaction that is rolled back has written is in no stream."""
    names = {operation.get("TableName") for item in transact_items for operation in item.values()}
    real = {name: self.tables[name].stream_shard for name in names if name in self.tables}
    held: list[tuple[Any, Item | None, Item | None]] = []
    for name, shard in real.items():
        if shard is not None:
            self.tables[name].stream_shard = _Held(shard, held)  # type: ignore[assignment]
    try:
        _moto_transact(self, transact_items)
    except BaseException:
        held.clear()
        raise
    finally:
        for name, shard in real.items():  # a table that was rolled back is another object
            self.tables[name].stream_shard = shard
    for shard, old, new in held:
        shard.add(old, new)


class _Held:
    """Stands in for a table's stream while nobody knows whether its changes stay."""

    def __init__(self, shard: Any, held: list[tuple[Any, Item | None, Item | None]]) -> None:
        self._shard, self._held = shard, held

    def add(self, old: Item | None, new: Item | None) -> None:
        self._held.append((self._shard, old, new))


def _snapshot(self: Table, memo: dict[int, Any]) -> Table:
    """What moto keeps for a roll-back: the items are never changed, so the same ones will do."""
    kept: Table = object.__new__(type(self))
    kept.__dict__.update(self.__dict__)
    kept.__dict__.pop(_CONTENTS, None)
    items: Any = self.items
    if self.range_key_attr is not None:
        items = defaultdict(dict, {hash_key: dict(partition) for hash_key, partition in items.items()})
    else:
        items = defaultdict(dict, items)
    kept.items = items
    return kept


def _present(table: Table, plain: Plain) -> Item | None:
    """What the table holds under the keys of an item, if they are keys."""
    try:
        contents = contents_of(table)
        return contents.get(contents.key(plain))
    except NotUnderstood:
        return _found_by_moto(table, plain)


def _found_by_moto(table: Table, plain: Plain) -> Item | None:
    names = (table.hash_key_attr, table.range_key_attr)
    if any(name is not None and name not in plain for name in names):
        return None
    by_hash_key: Any = table.items
    found: Any = by_hash_key.get(DynamoType(plain[table.hash_key_attr]))
    if table.range_key_attr is None or found is None:
        return found  # type: ignore[no-any-return]  # an item, where there is no sort key
    return found.get(DynamoType(plain[table.range_key_attr]))  # type: ignore[no-any-return]


def _contents_or_none(table: Table) -> Contents | None:
    try:
        return contents_of(table)
    except NotUnderstood:
        return None


def _settle(table: Table, old: Item | None, item: Item) -> None:
    """Have `item`, which moto has just stored, kept as everything else is."""
    contents = _contents_or_none(table)
    new = StoredItem(plain_of(item), item.hash_key, item.range_key)
    _hang_up(table, new)
    if contents is not None:
        assert old is None or isinstance(old, StoredItem)
        contents.change(old, new)
    if table.stream_shard is not None:
        table.stream_shard.add(old, new)


REPLACED: dict[tuple[Any, str], Callable[..., Any]] = {
    (table_models, "StreamShard"): Feed,
    (Table, "query"): _query_of_one_partition,
    (Table, "all_items"): _unsorted_items,
    (Table, "put_item"): _put_item,
    (Table, "delete_item"): _delete_item,
    (Table, "__deepcopy__"): _snapshot,
    (DynamoDBBackend, "update_item"): _update_item,
    (DynamoDBBackend, "transact_write_items"): _transact_write_items,
}
"""What stands in for moto's own while the stack runs, by class and name. The answers are the same."""
