"""DynamoDB by moto, without moto's HTTP layer and with the features that moto lacks.

`answer` checks a request (`local.aws.dynamodb_checks`), passes it to moto's own handler and returns the answer in JSON.
While the stack runs, `REPLACED` replaces moto's own code. It adds:

- `Changes`, a table's stream: listeners get the images before and after each write;
- `expire`, which removes items whose time has passed, late, as the service does;
- queries that read only the requested range of one partition of a table or index (moto sorts and searches the whole
  table for each query). Queries of a form that moto has answered before, and reads of one item, are answered from the
  images;
- updates and transactions that change nothing, and send nothing to the stream, if they fail;
- expressions that are parsed once (`local.aws.dynamodb_expressions`).
"""

import base64
import copy
import json
import re
import zlib
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import ConditionalCheckFailed, MockValidationException
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models import table as table_models
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import SecondaryIndex, Table
from moto.dynamodb.parsing.key_condition_expression import parse_expression
from moto.dynamodb.responses import DynamoHandler

from local.aws import dynamodb_expressions
from local.aws.dynamodb_checks import Plain, Value, check_request, fault_of_item
from local.aws.functions import ACCOUNT_ID, REGION

MAX_STATEMENTS = 25
MAX_STATEMENT_CHARACTERS = 8192
MOST_LATE = timedelta(days=2)
"""How long an item may exist after its expiry. The service says "within a few days"."""
HEADERS = {"content-type": "application/x-amz-json-1.0"}

Answer = tuple[int, dict[str, str], bytes]
"""HTTP status, headers and body."""
Key = tuple[Any, Any]
"""An item's partition key and sort key."""


def answer(operation: str, body: bytes) -> Answer | None:
    """DynamoDB's answer to a request for items. None for other operations, which moto answers over its HTTP layer."""
    if operation not in _OPERATIONS:
        return None
    request: dict[str, Any] = json.loads(body)
    try:
        result = _OPERATIONS[operation](request)
    except JsonRESTError as error:
        return 400, HEADERS, error.description.encode()
    return 200, HEADERS, json.dumps(result, default=_base64).encode()


def table_of(name: str) -> Table:
    """moto's table. Raises moto's `ResourceNotFoundException`."""
    return dynamodb_backends[ACCOUNT_ID][REGION].get_table(name)


def changes_of(name: str) -> "Changes":
    """The changes of a table that has a stream. Raises moto's `ResourceNotFoundException`."""
    changes = _changes(table_of(name))
    assert changes is not None, f"{name} has no stream"
    return changes


def expire(name: str, attribute: str, now: datetime) -> None:
    """Remove a table's items whose `attribute`, in epoch seconds, has passed: each up to `MOST_LATE` after its time.
    Streams name the service as the user that removed them."""
    changes, table = changes_of(name), table_of(name)
    for (pk, sk), image in list(changes.images.items()):
        late = zlib.crc32(f"{pk} {sk}".encode()) / 2**32 * MOST_LATE
        if attribute in image.plain and float(image.plain[attribute]["N"]) <= (now - late).timestamp():
            hash_key, range_key = (DynamoType(image.plain[one]) for one in table.table_key_attrs)
            changes.by_service = True
            try:
                table.delete_item(hash_key, range_key)
            finally:
                changes.by_service = False


def _changes(table: Table) -> "Changes | None":
    changes = table.__dict__["stream_shard"]  # see `REPLACED`
    return changes if isinstance(changes, Changes) else None


def _base64(binary: bytes) -> str:
    return base64.b64encode(binary).decode()


def _by_moto(operation: Callable[[DynamoHandler], ActionResult]) -> Callable[[dict[str, Any]], Any]:
    def run(request: dict[str, Any]) -> Any:
        check_request(request, table_of)
        handler = DynamoHandler()
        handler.region, handler.current_account = REGION, ACCOUNT_ID
        handler.headers, handler.response_headers = {}, {}
        handler.body = handler.params = request
        return operation(handler).result or {}

    return run


# ---- PartiQL --------------------------------------------------------------------------------------------------------

_INSERT = re.compile(
    r"""\s*INSERT\s+INTO\s+"([a-zA-Z0-9_.-]{3,255})"\s+VALUE\s*\{(.*)\}\s*""", re.DOTALL | re.IGNORECASE
)
_MEMBER = re.compile(
    r"\s*'((?:[^']|'')+)'\s*:\s*(?:(\?)|'((?:[^']|'')*)'|(-?[0-9]+)|(true|false))\s*(,|$)", re.DOTALL | re.IGNORECASE
)


def _batch_execute_statement(request: dict[str, Any]) -> dict[str, Any]:
    """Run each INSERT statement separately, as the service does. moto reads every table for each one, and
    overwrites."""
    statements = request["Statements"]
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise MockValidationException(
            "1 validation error detected: Value at 'statements' failed to satisfy constraint: Member must have length "
            f"less than or equal to {MAX_STATEMENTS}"
        )
    puts = []
    for statement in statements:
        if len(statement["Statement"]) > MAX_STATEMENT_CHARACTERS:
            raise MockValidationException(
                "1 validation error detected: Value at 'statement' failed to satisfy constraint: Member must have "
                f"length less than or equal to {MAX_STATEMENT_CHARACTERS}"
            )
        table_name, item = inserted(statement)
        puts.append({"TableName": table_name, "Item": item})
    return {"Responses": [{"TableName": put["TableName"], **_put_new(put)} for put in puts]}


def inserted(statement: dict[str, Any]) -> tuple[str, Plain]:
    """The table and the item of a statement `INSERT INTO "<table>" VALUE {'name': ?, 'other': 'text', …}`."""
    table_name, members = _insert(statement["Statement"])
    values = statement.get("Parameters", [])
    if len(values) != sum(literal is None for _, literal in members):
        raise MockValidationException("Number of parameters in request and statement don't match.")
    left = iter(values)
    return table_name, {name: next(left) if literal is None else literal for name, literal in members}


def _put_new(put: dict[str, Any]) -> dict[str, Any]:
    condition = {"ConditionExpression": "attribute_not_exists(#key)"}
    try:
        names = {"#key": table_of(put["TableName"]).hash_key_attr}
        _put_item(put | condition | {"ExpressionAttributeNames": names})
    except ConditionalCheckFailed:
        return {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
    except JsonRESTError as error:
        code = error.relative_error_type.removesuffix("Exception")
        return {"Error": {"Code": code.replace("Validation", "ValidationError"), "Message": error.message}}
    return {}


@lru_cache(maxsize=1024)
def _insert(text: str) -> tuple[str, tuple[tuple[str, Value | None], ...]]:
    """The table and the attributes of an INSERT, each with its literal, or None if its value is a parameter."""
    fault = MockValidationException(f"Statement wasn't well formed, can't be processed: {text[:200]}")
    match = _INSERT.fullmatch(text)
    if match is None:
        raise fault
    members: list[tuple[str, Value | None]] = []
    position, more = 0, True
    while more:
        member = _MEMBER.match(match[2], position)
        if member is None:
            raise fault
        members.append((member[1].replace("''", "'"), _literal(member)))
        position, more = member.end(), member[6] == ","
    if len({name for name, _ in members}) < len(members):
        raise fault
    return match[1], tuple(members)


def _literal(member: re.Match[str]) -> Value | None:
    _, parameter, text, number, truth, _ = member.groups()
    if parameter:
        return None
    if text is not None:
        return {"S": text.replace("''", "'")}
    return {"N": number} if number is not None else {"BOOL": truth.lower() == "true"}


# ---- reads ----------------------------------------------------------------------------------------------------------

_USUAL_QUERY = frozenset(
    {
        *("TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeValues", "ProjectionExpression"),
        *("Limit", "ScanIndexForward", "ConsistentRead"),
    }
)
_USUAL_GET = frozenset({"TableName", "Key", "ConsistentRead"})
_SURE_PAGE_BYTES, _SURE_PAGE_ITEMS = 900_000, 1_000
"""Limits below which items surely fit on one page: bytes of the table's items, and the number of items in an index of
keys."""


@dataclass(frozen=True)
class Form:
    """A form of query: the placeholders of its values, and the attributes that it returns (None: all)."""

    partition: str
    comparison: str | None
    values: tuple[str, ...]
    names: tuple[str, ...] | None


def _query(request: dict[str, Any]) -> Any:
    """Answer a query. moto parses the expressions again for each query, copies the items, and converts each value
    twice."""
    table = table_of(request["TableName"])
    changes = _changes(table)
    if changes is None or not request.keys() <= _USUAL_QUERY or "KeyConditionExpression" not in request:
        return _query_by_moto(request)
    kinds = tuple((name, *value) for name, value in request.get("ExpressionAttributeValues", {}).items())
    known = (*(request.get(name) for name in _FORM), kinds)
    form = changes.forms.get(known)
    if form is not None:
        check_request(request, table_of)
        answer = changes.answer(table, form, request)
        if answer is not None:
            return answer
    answer = _query_by_moto(request)
    if form is None and (form := _form(table, request)) is not None:
        changes.forms[known] = form
    return answer


_FORM = ("IndexName", "KeyConditionExpression", "ProjectionExpression", "ConsistentRead")
_query_by_moto = _by_moto(DynamoHandler.query)


def _form(table: Table, request: dict[str, Any]) -> Form | None:
    """The form of a query that moto has accepted. None if moto should answer it."""
    index = table.get_index(request["IndexName"]) if "IndexName" in request else None
    schema = table.schema if index is None else index.schema
    given: Plain = request.get("ExpressionAttributeValues", {})
    (hashes, ranges, _) = parse_expression(
        request["KeyConditionExpression"], {name: {"S": name} for name in given}, {}, schema
    )
    asked = [(hashes[0][0], hashes[0][1]["S"]), *((name, one["S"]) for name, _, values in ranges for one in values)]
    types = {definition["AttributeName"]: definition["AttributeType"] for definition in table.attr}
    if any(given.get(placeholder, {}).keys() != {types[name]} for name, placeholder in asked):
        return None
    names = None
    if index is not None:
        if index.projection["ProjectionType"] != "KEYS_ONLY":
            return None
        names = (*table.table_key_attrs, *index.schema_key_attrs)
    if "ProjectionExpression" in request:
        projected = tuple(name.strip() for name in request["ProjectionExpression"].split(","))
        if not all(map(str.isidentifier, projected)):
            return None
        names = projected if names is None else tuple(name for name in projected if name in names)
    comparison = ranges[0][1] if ranges else None
    return Form(asked[0][1], comparison, tuple(placeholder for _, placeholder in asked[1:]), names)


def _get_item(request: dict[str, Any]) -> Any:
    changes = _changes(table := table_of(request["TableName"]))
    if changes is None or not request.keys() <= _USUAL_GET:
        return _get_item_by_moto(request)
    check_request(request, table_of)
    pk, sk = (_content(request["Key"][name]) for name in table.table_key_attrs)
    image = changes.images.get((pk, sk))
    return {} if image is None else {"Item": image.plain}


def _content(value: Value) -> Any:
    (content,) = value.values()
    return content


_get_item_by_moto = _by_moto(DynamoHandler.get_item)
_put_item = _by_moto(DynamoHandler.put_item)
_OPERATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "BatchExecuteStatement": _batch_execute_statement,
    "BatchGetItem": _by_moto(DynamoHandler.batch_get_item),
    "DeleteItem": _by_moto(DynamoHandler.delete_item),
    "GetItem": _get_item,
    "PutItem": _put_item,
    "Query": _query,
    "Scan": _by_moto(DynamoHandler.scan),
    "TransactWriteItems": _by_moto(DynamoHandler.transact_write_items),
    "UpdateItem": _by_moto(DynamoHandler.update_item),
}

OF_ITEMS = frozenset(_OPERATIONS)
"""The operations that `answer` answers."""


# ---- changes --------------------------------------------------------------------------------------------------------


class Image:
    """An item at one time, in its wire format: `{"pk": {"S": "…"}, "n": {"N": "1"}}`. Immutable."""

    def __init__(self, plain: Plain) -> None:
        self.plain = plain

    @cached_property
    def text(self) -> str:
        """The item in JSON."""
        return json.dumps(self.plain)


Listener = Callable[[Image | None, Image | None], None]
"""Called after each write of an item with the images before and after it; None if there was, or is, no item."""


class Changes:
    """A table's stream, instead of moto's `StreamShard`. Keeps the newest image of each item, and the indexes.

    `by_service`: the item that is being removed has expired; no client requested its removal.
    Only tables with a sort key, and indexes with one partition key, are emulated.
    """

    def __init__(self, account_id: str, table: Table) -> None:
        self.listeners: list[Listener] = []
        self.by_service = False
        self.images: dict[Key, Image] = {}
        self.forms: dict[Any, Form] = {}
        assert table.has_range_key
        self._table = table
        self._indexed: dict[tuple[str, Any], dict[Key, Item]] = defaultdict(dict)  # (index, its partition key) → items
        self._order: dict[tuple[str, Any], list[Place]] = defaultdict(list)  # the same, and of the table itself ("")

    def add(self, old: Item | None, new: Item | None) -> None:
        """Record that `new` has replaced `old`. moto calls this for a stream."""
        item = new if new is not None else old
        assert item is not None
        assert item.range_key is not None
        key = item.hash_key.value, item.range_key.value
        before = self.images.pop(key, None) if new is None else self.images.get(key)
        after = None if new is None else Image(plain_of(new))
        if after is not None:
            self.images[key] = after
        if before is None and after is not None:
            insort(self._order["", key[0]], (key[1], key))
        elif before is not None and after is None:
            _take_out(self._order["", key[0]], (key[1], key))
        for index in self._table.all_indexes():
            partition, names = index.schema_key_attrs[0], index.schema_key_attrs
            if before is not None and partition in before.plain:
                ((_, value),) = before.plain[partition].items()
                removed = self._indexed[index.name, value].pop(key, None)
                if removed is not None:
                    _take_out(self._order[index.name, value], (_sortable(removed.attrs[names[1]]), key))
            if new is not None and all(name in new.attrs for name in names):
                value = new.attrs[partition].value
                self._indexed[index.name, value][key] = index.project(new)
                insort(self._order[index.name, value], (_sortable(new.attrs[names[1]]), key))
        for listener in self.listeners:
            listener(before, after)

    def part(self, table: Table, index_name: str, partition: Any, wanted: "Wanted") -> list[Item]:
        """The items of one partition key of an index (empty: of the table) that a query has to read, in order.

        `table`: the current object, which a rolled back transaction replaces."""
        keys = [key for _, key in wanted.of(self._order[index_name, partition])]
        if index_name:
            items = self._indexed[index_name, partition]
            return [items[key] for key in keys]
        stored = table.items.get(DynamoType({"S": partition}), {})
        found = (stored.get(DynamoType({"S": sort_key})) for _, sort_key in keys)
        return [item for item in found if item is not None]

    def answer(self, table: Table, form: Form, request: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a checked query of that form. None if moto has to determine how much fits on a page."""
        given, limit, index_name = request["ExpressionAttributeValues"], request.get("Limit"), request.get("IndexName")
        if any(_content(value) == "" for value in given.values()):
            return None  # moto refuses it
        values = [_sortable(DynamoType(given[name])) for name in form.values]
        wanted = Wanted(form.comparison, values, None, limit or 0, request.get("ScanIndexForward", True))
        places = wanted.of(self._order.get((index_name or "", _content(given[form.partition])), []))
        images = [self.images[key] for _, key in (places if wanted.forward else reversed(places))]
        more = limit is not None and len(images) > limit
        found = images[:limit] if more else images
        if len(found) > _SURE_PAGE_ITEMS or (
            index_name is None and sum(len(image.text) for image in found) > _SURE_PAGE_BYTES
        ):
            return None
        items = [image.plain if form.names is None else _only(image.plain, form.names) for image in found]
        answer: dict[str, Any] = {"Count": len(items), "ScannedCount": len(items), "Items": items}
        if more:
            keys = table.get_index(index_name).schema_key_attrs if index_name else ()
            answer["LastEvaluatedKey"] = _only(found[-1].plain, (*table.table_key_attrs, *keys))
        return answer

    def lowest(self, index_name: str) -> float | None:
        """The lowest sort key in an index, which must have numbers. None if the index is empty."""
        partitions = (order for (name, _), order in self._order.items() if name == index_name)
        return min((order[0][0] for order in partitions if order), default=None)


Place = tuple[Any, Key]
"""An item's place in a partition: its sort key there, and its key in the table."""
_LAST = "\U0010ffff"
"""A text that sorts after every sort key used here."""


def _only(plain: Plain, names: tuple[str, ...]) -> Plain:
    return {name: plain[name] for name in names if name in plain}


def _sortable(value: DynamoType) -> Any:
    return float(value.value) if value.type == "N" else value.value


def _take_out(order: list[Place], place: Place) -> None:
    at = bisect_left(order, place)
    assert order[at] == place, "it was put there"
    del order[at]


@dataclass(frozen=True)
class Wanted:
    """The part of a partition that a query requests: a comparison of the sort key, the place after which it continues,
    and the number of items (0: all)."""

    comparison: str | None
    values: list[Any]
    after: Place | None
    limit: int
    forward: bool

    def of(self, order: list[Place]) -> list[Place]:
        """The requested places, with one more than the limit."""
        low, high = self._range(order)
        if self.after is not None:
            low, high = (
                (max(low, bisect_right(order, self.after)), high)
                if self.forward
                else (
                    low,
                    min(high, bisect_left(order, self.after)),
                )
            )
        if self.limit and self.forward:
            high = min(high, low + self.limit + 1)
        elif self.limit:
            low = max(low, high - self.limit - 1)
        return order[low:high]

    def _range(self, order: list[Place]) -> tuple[int, int]:
        def before(value: Any) -> int:
            return bisect_left(order, value, key=itemgetter(0))

        def upto(value: Any) -> int:
            return bisect_right(order, value, key=itemgetter(0))

        match (self.comparison or "").upper(), *self.values:
            case "=", value:
                return before(value), upto(value)
            case "<", value:
                return 0, before(value)
            case "<=", value:
                return 0, upto(value)
            case ">", value:
                return upto(value), len(order)
            case ">=", value:
                return before(value), len(order)
            case "BETWEEN", first, last:
                return before(first), upto(last)
            case "BEGINS_WITH", value:
                return before(value), upto(value + _LAST)
        return 0, len(order)


def plain_of(item: Item) -> Plain:
    """An item in its wire format."""
    return {name: _plain_value(value) for name, value in item.attrs.items()}


def _plain_value(value: DynamoType) -> Value:
    match value.type:
        case "L":
            return {"L": [_plain_value(element) for element in value.value]}
        case "M":
            return {"M": {name: _plain_value(element) for name, element in value.value.items()}}
    return {value.type: value.value}


# ---- in place of moto's own -----------------------------------------------------------------------------------------

_moto_query = Table.query
_moto_update_item = DynamoDBBackend.update_item
_moto_transact_write_items = DynamoDBBackend.transact_write_items


def _query_one_partition(self: Table, hash_key: DynamoType | None, *arguments: Any, **options: Any) -> Any:
    changes = _changes(self)
    if hash_key is None or changes is None:
        return _moto_query(self, hash_key, *arguments, **options)
    comparison, values, limit, start, forward, _, index_name = arguments[:7]
    after = None
    if start is not None:
        pk, sk = (DynamoType(start[name]).value for name in self.table_key_attrs)
        after = sk, (pk, sk)
        if index_name:
            after = _sortable(DynamoType(start[self.get_index(index_name).schema_key_attrs[1]])), (pk, sk)
    wanted = Wanted(comparison, [_sortable(one) for one in values], after, limit or 0, forward is not False)
    items = changes.part(self, index_name or "", hash_key.value, wanted)
    partition: Any = copy.copy(self)
    partition.all_items = lambda: items
    return _moto_query(partition, hash_key, *arguments, **options)


def _update_item(self: DynamoDBBackend, table_name: str, key: Plain, *arguments: Any, **options: Any) -> Item:
    """Update an item atomically. moto changes the stored item step by step, and sends a new item to the stream
    twice."""
    table = self.get_table(table_name)
    changes = _changes(table)
    if changes is None:
        return _moto_update_item(self, table_name, key, *arguments, **options)
    table.stream_shard = None
    try:
        item = _moto_update_item(self, table_name, key, *arguments, **options)
        if fault := fault_of_item(table, plain_of(item)):
            raise MockValidationException(fault)
    except BaseException:
        _restore(table, key, changes)
        raise
    finally:
        table.__dict__["stream_shard"] = changes
    changes.add(None, item)
    return item


def _restore(table: Table, key: Plain, changes: Changes) -> None:
    """Restore an item to its state after the last successful write."""
    hash_key, range_key = (DynamoType(key[name]) for name in table.table_key_attrs)
    image = changes.images.get((hash_key.value, range_key.value))
    if image is None:
        table.items[hash_key].pop(range_key, None)
    else:
        table.items[hash_key][range_key] = Item(hash_key, range_key, image.plain)


def _transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """Run a transaction, and send its writes to the streams once all of them are done.

    moto copies the whole table for each write, to restore it if one fails. Here the items are restored."""
    writes = [operation for item in transact_items for operation in item.values()]
    streams = {write["TableName"]: _changes(self.get_table(write["TableName"])) for write in writes}
    for name, changes in streams.items():
        table = self.tables[name]
        table.stream_shard = None
        if changes is not None:
            table.__dict__["__deepcopy__"] = lambda memo, table=table: table
    try:
        _moto_transact_write_items(self, transact_items)
    except BaseException:  # a function's time-out, too
        for write in writes:
            changes = streams[write["TableName"]]
            if changes is not None:
                _restore(self.tables[write["TableName"]], write.get("Item") or write["Key"], changes)
        raise
    finally:
        for name, changes in streams.items():  # after a rollback the table may be another object
            self.tables[name].__dict__["stream_shard"] = changes
            self.tables[name].__dict__.pop("__deepcopy__", None)
    for write in writes:
        changes, table = streams[write["TableName"]], self.tables[write["TableName"]]
        if changes is not None:
            plain = write.get("Item") or write["Key"]
            hash_key, range_key = (DynamoType(plain[name]) for name in table.table_key_attrs)
            stored = table.get_item(hash_key, range_key)
            if stored is not None:
                changes.add(None, stored)
            elif (hash_key.value, range_key.value) in changes.images:
                changes.add(Item(hash_key, range_key, plain), None)


def _project(self: SecondaryIndex, item: Item) -> Item:
    """Project an item onto an index. moto converts each attribute to Python values and back."""
    if self.projection["ProjectionType"] != "KEYS_ONLY":
        return item
    projected = Item(item.hash_key, item.range_key, {})
    for name in (*self.table_key_attrs, *self.schema_key_attrs):
        dict.__setitem__(projected.attrs, name, item.attrs[name])
    return projected


REPLACED: dict[tuple[Any, str], Callable[..., Any]] = {
    **dynamodb_expressions.REPLACED,
    (table_models, "StreamShard"): Changes,
    (Table, "query"): _query_one_partition,
    (DynamoDBBackend, "update_item"): _update_item,
    (DynamoDBBackend, "transact_write_items"): _transact_write_items,
    (SecondaryIndex, "project"): _project,
    # moto measures the whole item for each attribute that is set; `fault_of_item` measures it once.
    (LimitedSizeDict, "__setitem__"): dict.__setitem__,
    # moto keeps every model that it ever makes.
    (Item, "__new__"): lambda cls, *_, **__: object.__new__(cls),
    (Item, "to_json"): lambda self, name="Attributes": {name: plain_of(self)},
}
"""The functions that replace moto's own while the stack runs, by owner and name."""
