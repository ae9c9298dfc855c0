"""moto's DynamoDB, reached without moto's HTTP layer: same tables, same rules, many times as fast.

What an application asks most often is answered here, from what `local.dynamodb_tables` keeps of moto's tables. Whatever
is not understood, and every error but a lost condition, is put to moto, whose own words the answer then has: failing
changes nothing. Statements, batches of writes and some faults of expressions are not: moto takes what the service
refuses.
"""

import json
import re
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import ResourceNotFoundException
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local.dynamodb_expressions import (
    Key,
    NotUnderstood,
    Plain,
    Value,
    condition,
    fault_of_bounds,
    fault_of_paths,
    key_condition,
    key_of,
    number_of,
    update,
)
from local.dynamodb_tables import Contents, Index, IndexEntry, StoredItem, contents_of, remove, size_of, store
from local.lambda_functions import ACCOUNT_ID, REGION

MAX_ITEM_BYTES = 409_600
MAX_PAGE_BYTES = 1_048_576
"""What one query reads at most."""
MAX_BATCH_GET_BYTES = 16 * 1024 * 1024
MAX_STATEMENTS = 25
MAX_STATEMENT_CHARACTERS = 8192
MAX_BATCH_WRITES = 25
MAX_BATCH_WRITE_BYTES = 16 * 1024 * 1024
MAX_HASH_KEY_BYTES, MAX_RANGE_KEY_BYTES = 2048, 1024
MAX_NESTING = 32

_SURELY_SMALL_BYTES = 300_000
"""An item is smaller than it is in JSON; what is shorter there is left unmeasured."""

Answer = tuple[int, bytes]
"""HTTP status and body."""


class Refused(Exception):
    """The service would refuse this: an error's code, and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _ConditionLost(Exception):
    def __init__(self, item: StoredItem | None) -> None:
        super().__init__("The conditional request failed")
        self.item = item


def answer(operation: str, body: bytes) -> Answer | None:
    """The answer, in JSON, to an operation on items; None where moto must be asked in the ordinary way."""
    operate = _OPERATIONS.get(operation)
    if operate is None:
        return None
    parameters: dict[str, Any] = json.loads(body)
    try:
        _check_expressions(parameters)
        return 200, operate(parameters, len(body))
    except _ConditionLost as lost:
        item = f', "Item": {lost.item.text}' if lost.item is not None else ""
        return 400, f'{{"__type": "{_PREFIX}ConditionalCheckFailedException", "message": "{lost}"{item}}}'.encode()
    except Refused as error:
        return 400, json.dumps({"__type": _PREFIX + error.code, "message": str(error)}).encode()
    except NotUnderstood:
        moto = _MOTO_OPERATIONS.get(operation)
        return _answer_of_moto(moto, parameters) if moto is not None else None


def parsed(operation: str, body: bytes, members: Collection[str]) -> Any:
    """An answer that has these members, as botocore would give it; None where that takes more than reading JSON."""
    if operation not in _OPERATIONS or b'"B": ' in body or b'"BS": ' in body:
        return None
    return {name: value for name, value in json.loads(body).items() if name in members}


_PREFIX = "com.amazonaws.dynamodb.v20120810#"


def _answer_of_moto(operate: Callable[[DynamoHandler], ActionResult], parameters: dict[str, Any]) -> Answer | None:
    handler = DynamoHandler()
    handler.region, handler.current_account = REGION, ACCOUNT_ID
    handler.headers, handler.response_headers = {}, {}
    handler.body = handler.params = parameters
    try:
        result = operate(handler)
        return 200, json.dumps(result.result or {}).encode()
    except Exception:  # noqa: BLE001  whatever moto raises, it shall put into an answer itself
        return None


# ---- what all operations do -----------------------------------------------------------------------------------------


def _table(name: str) -> Table:
    table: Table | None = dynamodb_backends[ACCOUNT_ID][REGION].tables.get(name)
    if table is None:
        raise NotUnderstood("no such table")
    return table


def _only(parameters: dict[str, Any], *known: str) -> None:
    if not parameters.keys() <= set(known):
        raise NotUnderstood("a parameter of another kind")


def _placeholders(parameters: dict[str, Any], *used: Any) -> tuple[dict[str, str], dict[str, Value]]:
    """The names and values of a request. Raises `NotUnderstood` unless they are what its expressions use."""
    names, values = parameters.get("ExpressionAttributeNames"), parameters.get("ExpressionAttributeValues")
    if names == {} or values == {}:
        raise NotUnderstood("empty")
    names, values = names or {}, values or {}
    used_names = frozenset().union(*(one.names for one in used))
    used_values = frozenset().union(*(one.values for one in used))
    if names.keys() != used_names or values.keys() != used_values:
        raise NotUnderstood("a name or value too many or too few")
    for value in values.values():
        _check_value(value, 1)
    return names, values


def _check_expressions(parameters: dict[str, Any]) -> None:
    """Refuse what the service refuses before it looks at any item, and moto does not."""
    values = parameters.get("ExpressionAttributeValues") or {}
    for kind in ("KeyConditionExpression", "FilterExpression", "ConditionExpression"):
        if fault := fault_of_bounds(parameters.get(kind) or "", values):
            raise Refused("ValidationException", f"Invalid {kind}: {fault}")
    names = parameters.get("ExpressionAttributeNames") or {}
    if fault := fault_of_paths(parameters.get("UpdateExpression") or "", names):
        raise Refused("ValidationException", f"Invalid UpdateExpression: {fault}")
    for request in parameters.get("TransactItems") or ():
        for one in request.values():
            _check_expressions(one)


def _present(contents: Contents, key: Plain) -> StoredItem | None:
    """What is under a key. Raises `NotUnderstood` for what is no key of the table."""
    if len(key) != (1 if contents.range_name is None else 2):
        raise NotUnderstood("not a key of this table")
    if fault := _fault_of_keys(contents, key):
        raise NotUnderstood(fault)
    return contents.get(contents.key(key))


_CONDITION = ("ConditionExpression", "ReturnValuesOnConditionCheckFailure")
_PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")


def _check(
    parameters: dict[str, Any], item: StoredItem | None, *others: Any
) -> tuple[dict[str, str], dict[str, Value]]:
    """The names and values of a request, whose condition holds for `item`. Raises `_ConditionLost`."""
    text = parameters.get("ConditionExpression")
    wanted = parameters.get("ReturnValuesOnConditionCheckFailure", "NONE")
    if wanted not in ("ALL_OLD", "NONE"):
        raise NotUnderstood("not values to return")
    if text is None:
        return _placeholders(parameters, *others)
    compiled = condition(text)
    names, values = _placeholders(parameters, compiled, *others)
    if not compiled.holds(item.plain if item is not None else {}, names, values):
        raise _ConditionLost(item if wanted == "ALL_OLD" else None)
    return names, values


# ---- single items ---------------------------------------------------------------------------------------------------


def _get_item(parameters: dict[str, Any], size: int) -> bytes:
    _only(parameters, "TableName", "Key", "ConsistentRead")
    item = _present(contents_of(_table(parameters["TableName"])), parameters["Key"])
    return f'{{"Item": {item.text}}}'.encode() if item is not None else b"{}"


def _put_item(parameters: dict[str, Any], size: int) -> bytes:
    _only(parameters, "TableName", "Item", "ReturnValues", *_CONDITION, *_PLACEHOLDERS)
    wanted = parameters.get("ReturnValues", "NONE")
    table, item = _table(parameters["TableName"]), parameters["Item"]
    contents = contents_of(table)
    if wanted not in ("NONE", "ALL_OLD") or size > _SURELY_SMALL_BYTES or _fault(contents, item, size) is not None:
        raise NotUnderstood("moto shall say")
    old = contents.get(contents.key(item))
    _check(parameters, old)
    store(table, item)
    return _attributes(old if wanted == "ALL_OLD" else None)


def _update_item(parameters: dict[str, Any], size: int) -> bytes:
    _only(parameters, "TableName", "Key", "UpdateExpression", "ReturnValues", *_CONDITION, *_PLACEHOLDERS)
    wanted = parameters.get("ReturnValues", "NONE")
    if wanted not in ("NONE", "ALL_OLD", "ALL_NEW"):
        raise NotUnderstood("moto shall say")
    table, key = _table(parameters["TableName"]), parameters["Key"]
    contents = contents_of(table)
    old = _present(contents, key)
    if size + (len(old.text) if old is not None else 0) > _SURELY_SMALL_BYTES:
        raise NotUnderstood("moto shall measure it")
    compiled = update(parameters.get("UpdateExpression") or "")
    names, values = _check(parameters, old, compiled)
    new, changed = compiled.applied(old.plain if old is not None else None, key, names, values)
    if not changed.isdisjoint(key) or _fault_of_keys(contents, new) is not None:
        raise NotUnderstood("keys do not change")
    store(table, new)
    if wanted == "ALL_NEW":
        return _attributes(contents.get(contents.key(new)))
    return _attributes(old if wanted == "ALL_OLD" else None)


def _delete_item(parameters: dict[str, Any], size: int) -> bytes:
    _only(parameters, "TableName", "Key", "ReturnValues", *_CONDITION, *_PLACEHOLDERS)
    wanted = parameters.get("ReturnValues", "NONE")
    if wanted not in ("NONE", "ALL_OLD"):
        raise NotUnderstood("moto shall say")
    table = _table(parameters["TableName"])
    old = _present(contents_of(table), parameters["Key"])
    _check(parameters, old)
    if old is not None:
        remove(table, old)
    return _attributes(old if wanted == "ALL_OLD" else None)


def _attributes(item: StoredItem | None) -> bytes:
    return f'{{"Attributes": {item.text}}}'.encode() if item is not None else b"{}"


# ---- several items --------------------------------------------------------------------------------------------------


def _batch_get_item(parameters: dict[str, Any], size: int) -> bytes:
    _only(parameters, "RequestItems")
    found: dict[str, list[str]] = {}
    if not 1 <= sum(len(wanted["Keys"]) for wanted in parameters["RequestItems"].values()) <= 100:
        raise NotUnderstood("moto shall say")
    read = 0
    for name, wanted in parameters["RequestItems"].items():
        _only(wanted, "Keys", "ConsistentRead")
        contents = contents_of(_table(name))
        items = [_present(contents, key) for key in wanted["Keys"]]
        if len({contents.key(key) for key in wanted["Keys"]}) < len(items):
            raise NotUnderstood("moto shall say")
        read += sum(item.bytes for item in items if item is not None)
        found[name] = [item.text for item in items if item is not None]
    if read > MAX_BATCH_GET_BYTES:
        raise NotUnderstood("moto shall say what is left")
    responses = ", ".join(f"{json.dumps(name)}: [{', '.join(items)}]" for name, items in found.items())
    return f'{{"Responses": {{{responses}}}, "UnprocessedKeys": {{}}}}'.encode()


def _batch_write_item(parameters: dict[str, Any], size: int) -> bytes:
    requests = [(name, request) for name, several in parameters["RequestItems"].items() for request in several]
    if not 1 <= len(requests) <= MAX_BATCH_WRITES:
        raise Refused("ValidationException", f"1 validation error detected: {len(requests)} requests, not 1 to 25")
    if size > MAX_BATCH_WRITE_BYTES:
        raise Refused("ValidationException", "The request is larger than 16 MB")
    seen: set[tuple[str, Key, Key]] = set()
    writes: list[Callable[[], object]] = []
    for name, request in requests:
        table = _known_table(name)
        contents = contents_of(table)
        if request.keys() not in ({"PutRequest"}, {"DeleteRequest"}):
            raise Refused("ValidationException", "Supplied AttributeValue has more than one datatypes set")
        put = request.get("PutRequest")
        key: Plain = put["Item"] if put is not None else request["DeleteRequest"]["Key"]
        fault = _fault(contents, key, size) if put is not None else _fault_of_keys(contents, key)
        if fault is not None:
            raise Refused("ValidationException", fault)
        if put is None and len(key) != (1 if contents.range_name is None else 2):
            raise Refused("ValidationException", "The provided key element does not match the schema")
        place = (name, *contents.key(key))
        if place in seen:
            raise Refused("ValidationException", "Provided list of item keys contains duplicates")
        seen.add(place)
        writes.append(_write(table, contents, key, remove_it=put is None))
    for write in writes:
        write()
    return b'{"UnprocessedItems": {}}'


def _write(table: Table, contents: Contents, item: Plain, *, remove_it: bool) -> Callable[[], object]:
    def write() -> None:
        if not remove_it:
            store(table, item)
        elif (old := contents.get(contents.key(item))) is not None:
            remove(table, old)

    return write


def _known_table(name: str) -> Table:
    try:
        return dynamodb_backends[ACCOUNT_ID][REGION].get_table(name)
    except ResourceNotFoundException:
        raise Refused("ResourceNotFoundException", "Requested resource not found") from None


def _batch_execute_statement(parameters: dict[str, Any], size: int) -> bytes:
    """PartiQL, as far as inserting goes; the service runs each statement by itself."""
    statements = parameters["Statements"]
    if not 1 <= len(statements) <= MAX_STATEMENTS:
        raise Refused(
            "ValidationException",
            f"1 validation error detected: Value at 'statements' failed to satisfy constraint: Member must have length "
            f"less than or equal to {MAX_STATEMENTS}",
        )
    inserts = []
    for statement in statements:
        text, given = statement["Statement"], statement.get("Parameters", [])
        if not 1 <= len(text) <= MAX_STATEMENT_CHARACTERS:
            raise Refused(
                "ValidationException",
                f"1 validation error detected: Value at 'statement' failed to satisfy constraint: Member must have "
                f"length less than or equal to {MAX_STATEMENT_CHARACTERS}",
            )
        if not statement.keys() <= {"Statement", "Parameters"}:
            raise Refused("ValidationException", "only Statement and Parameters are emulated on one machine")
        table_name, names = _insert(text)
        if len(given) != len(names):
            raise Refused("ValidationException", "Number of parameters in request and statement don't match.")
        inserts.append((table_name, dict(zip(names, given, strict=True))))
    return f'{{"Responses": [{", ".join(_inserted(name, item, size) for name, item in inserts)}]}}'.encode()


def _inserted(table_name: str, item: Plain, size: int) -> str:
    table: Table | None = dynamodb_backends[ACCOUNT_ID][REGION].tables.get(table_name)
    if table is None:
        return _statement_error(table_name, "ResourceNotFound", "Requested resource not found")
    contents = contents_of(table)
    if fault := _fault(contents, item, size):
        return _statement_error(table_name, "ValidationError", fault)
    if contents.get(contents.key(item)) is not None:
        return _statement_error(table_name, "DuplicateItem", "Duplicate primary key exists in table")
    store(table, item)
    return json.dumps({"TableName": table_name})


def _statement_error(table_name: str, code: str, message: str) -> str:
    return json.dumps({"Error": {"Code": code, "Message": message}, "TableName": table_name})


_INSERT = re.compile(
    r"""\s*INSERT\s+INTO\s+"([a-zA-Z0-9_.-]{3,255})"\s+VALUE\s*\{(.*)\}\s*""", re.DOTALL | re.IGNORECASE
)
_MEMBER = re.compile(r"\s*'((?:[^']|'')+)'\s*:\s*\?\s*(,|$)", re.DOTALL)


@lru_cache(maxsize=1024)
def _insert(text: str) -> tuple[str, tuple[str, ...]]:
    """The table and the attributes' names of `INSERT INTO "<table>" VALUE {'name': ?, …}`. Raises `Refused`."""
    wrong = Refused("ValidationException", f"Statement wasn't well formed, can't be processed: {text[:200]}")
    match = _INSERT.fullmatch(text)
    if match is None:
        raise wrong
    names, position, more = [], 0, True
    while more:
        member = _MEMBER.match(match[2], position)
        if member is None:
            raise wrong
        names.append(member[1].replace("''", "'"))
        position, more = member.end(), member[2] == ","
    if position != len(match[2]) or len(set(names)) < len(names):
        raise wrong
    return match[1], tuple(names)


# ---- queries --------------------------------------------------------------------------------------------------------


def _query(parameters: dict[str, Any], size: int) -> bytes:
    _only(
        parameters, "TableName", "IndexName", "KeyConditionExpression", "Limit", "ScanIndexForward", "ConsistentRead",
        "ExclusiveStartKey", *_PLACEHOLDERS,
    )  # fmt: skip
    table = _table(parameters["TableName"])
    contents = contents_of(table)
    compiled = key_condition(parameters.get("KeyConditionExpression", ""))
    names, values = _placeholders(parameters, compiled)
    limit, forward = parameters.get("Limit"), parameters.get("ScanIndexForward", True)
    start: Plain | None = parameters.get("ExclusiveStartKey")
    index_name: str | None = parameters.get("IndexName")
    if limit is not None and limit < 1:
        raise NotUnderstood("no limit")
    index = contents.indexes.get(index_name) if index_name is not None else None
    if index_name is not None and (index is None or index.order is None or parameters.get("ConsistentRead")):
        raise NotUnderstood("moto shall say")
    hash_name, range_name = (index.partition, index.order) if index else (contents.hash_name, contents.range_name)
    hash_value, wanted = compiled.wanted(hash_name, range_name, names, values)
    if contents.types[hash_name] not in hash_value:
        raise NotUnderstood("a value of another type")
    if range_name is not None:
        is_text = contents.types[range_name] == "S"
        if any(bound is not None and isinstance(bound, str) != is_text for bound in (wanted.low, wanted.high)):
            raise NotUnderstood("a value of another type")
    hash_key = key_of(hash_value)
    shown: list[str] | None = None
    if index is None:
        after = contents.key(start) if start is not None else None
        if after is not None and (after[0] != hash_key or contents.range_name is None):
            raise NotUnderstood("a start elsewhere")
        items, more = contents.of_partition(hash_key, wanted, forward, after[1] if after is not None else None)
    else:
        assert index_name is not None
        shown = _projection(table, contents, index_name)
        items, more = contents.of_index(index_name, hash_key, wanted, forward, _entry(contents, index, hash_key, start))
    found: list[str] = []
    last, read = None, 0
    for item in items:
        seen = {name: item.plain[name] for name in shown} if shown is not None else item.plain
        read += item.bytes if shown is None else size_of(seen)
        if last is not None and read > MAX_PAGE_BYTES:
            break
        found.append(item.text if shown is None else json.dumps(seen))
        last = item
        if len(found) == limit:
            last = item if more() else None
            break
    else:
        last = None
    count = len(found)
    answer = f'{{"Count": {count}, "ScannedCount": {count}, "Items": [{", ".join(found)}]'
    if last is not None:
        key_names = {contents.hash_name, contents.range_name, hash_name, range_name}
        evaluated = {name: value for name, value in last.plain.items() if name in key_names}
        answer += f', "LastEvaluatedKey": {json.dumps(evaluated)}'
    return f"{answer}}}".encode()


def _projection(table: Table, contents: Contents, index_name: str) -> list[str] | None:
    """The attributes that an index shows of an item; None: all of them."""
    match table.get_index(index_name).projection.get("ProjectionType"):
        case "ALL":
            return None
        case "KEYS_ONLY":
            index = contents.indexes[index_name]
            names = (contents.hash_name, contents.range_name, index.partition, index.order)
            return [name for name in dict.fromkeys(names) if name is not None]
    raise NotUnderstood("moto shall project")


def _entry(contents: Contents, index: Index, hash_key: Key, start: Plain | None) -> IndexEntry | None:
    if start is None:
        return None
    place = index.place(start)
    if place is None or place[0] != hash_key:
        raise NotUnderstood("a start elsewhere")
    return (place[1], *contents.key(start))


# ---- what an item may be --------------------------------------------------------------------------------------------


def _fault(contents: Contents, item: Plain, request_bytes: int) -> str | None:
    """Why the service would not take an item that came in such a request, in its words; None: it would."""
    for name in (contents.hash_name, contents.range_name):
        if name is not None and name not in item:
            return f"One or more parameter values were invalid: Missing the key {name} in the item"
    if fault := _fault_of_keys(contents, item):
        return fault
    try:
        for value in item.values():
            _check_value(value, 1)
    except NotUnderstood as fault:
        return str(fault)
    if request_bytes > _SURELY_SMALL_BYTES and size_of(item) > MAX_ITEM_BYTES:
        return "Item size has exceeded the maximum allowed size"
    return None


def _fault_of_keys(contents: Contents, item: Plain) -> str | None:
    """What is wrong with the keys of the table and its indexes."""
    for name, limit, kind in (
        (contents.hash_name, MAX_HASH_KEY_BYTES, "hashkey"),
        (contents.range_name, MAX_RANGE_KEY_BYTES, "rangekey"),
    ):
        if name is None:
            continue
        value, expected = item.get(name), contents.types[name]
        if value is None:
            return "The provided key element does not match the schema"
        if value.keys() != {expected}:
            actual = next(iter(value), "")
            return (
                f"One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} "
                f"actual: {actual}"
            )
        if value[expected] == "":
            return (
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        if expected == "N" and not _is_number(value["N"]):
            return f"The parameter cannot be converted to a numeric value: {value['N']}"
        if expected == "S" and len(value["S"].encode()) > limit:
            return (
                f"One or more parameter values were invalid: Size of {kind} has exceeded the maximum size limit of"
                f"{limit} bytes"
            )
    for index_name, index in contents.indexes.items():
        for name, limit in ((index.partition, MAX_HASH_KEY_BYTES), (index.order, MAX_RANGE_KEY_BYTES)):
            if name is None or name not in item:
                continue
            value, expected = item[name], contents.types[name]
            if value.keys() != {expected}:
                return (
                    f"One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: "
                    f"{expected} Actual: {next(iter(value), '')} IndexName: {index_name}"
                )
            if value[expected] == "":
                return (
                    "One or more parameter values are not valid. A value specified for a secondary index key is not "
                    "supported. The AttributeValue for a key attribute cannot contain an empty string value. "
                    f"IndexName: {index_name}, IndexKey: {name}"
                )
            if expected == "S" and len(value["S"].encode()) > limit:
                return (
                    "One or more parameter values were invalid: Size of a secondary index key has exceeded the maximum "
                    f"size limit of {limit} bytes. IndexName: {index_name}, IndexKey: {name}"
                )
    return None


def _check_value(value: Any, depth: int) -> None:
    """Raises `NotUnderstood`, with the service's words, for what is no attribute's value."""
    if not isinstance(value, dict) or len(value) != 1:
        message = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        raise Refused("ValidationException", message)
    ((kind, content),) = value.items()
    match kind:
        case "S" | "B":
            right = isinstance(content, str)
        case "N":
            right = isinstance(content, str)
            if right and not _is_number(content):
                raise NotUnderstood(f"The parameter cannot be converted to a numeric value: {content}")
        case "BOOL":
            right = isinstance(content, bool)
        case "NULL":
            right = content is True
        case "SS" | "NS" | "BS":
            right = isinstance(content, list) and bool(content) and len(set(map(str, content))) == len(content)
            for element in content if right else ():
                _check_value({kind[0]: element}, depth)
        case "L" | "M":
            right = isinstance(content, list if kind == "L" else dict)
            if depth > MAX_NESTING:
                raise NotUnderstood("Nesting Levels have exceeded supported limits")
            for element in (content if kind == "L" else content.values()) if right else ():
                _check_value(element, depth + 1)
        case _:
            right = False
    if not right:
        raise NotUnderstood(f"One or more parameter values were invalid: not a value of type {kind}")


_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SHORT_WHOLE = re.compile(r"-?[0-9]{1,38}")


def _is_number(text: str) -> bool:
    if _SHORT_WHOLE.fullmatch(text):
        return True
    if _NUMBER.fullmatch(text) is None:
        return False
    number = number_of(text)
    _, digits, exponent = number.as_tuple() if not isinstance(number, int) else (0, str(number).strip("-"), 0)
    significant = "".join(map(str, digits)).strip("0")
    if not significant:
        return True
    magnitude = len("".join(map(str, digits)).lstrip("0")) - 1 + int(exponent)
    return len(significant) <= 38 and -130 <= magnitude <= 125


_OPERATIONS: dict[str, Callable[[dict[str, Any], int], bytes]] = {
    "BatchExecuteStatement": _batch_execute_statement,
    "BatchGetItem": _batch_get_item,
    "BatchWriteItem": _batch_write_item,
    "DeleteItem": _delete_item,
    "GetItem": _get_item,
    "PutItem": _put_item,
    "Query": _query,
    "Scan": lambda parameters, size: _left_to_moto(),
    "TransactWriteItems": lambda parameters, size: _left_to_moto(),
    "UpdateItem": _update_item,
}
_MOTO_OPERATIONS: dict[str, Callable[[DynamoHandler], ActionResult]] = {
    "BatchGetItem": DynamoHandler.batch_get_item,
    "DeleteItem": DynamoHandler.delete_item,
    "GetItem": DynamoHandler.get_item,
    "PutItem": DynamoHandler.put_item,
    "Query": DynamoHandler.query,
    "Scan": DynamoHandler.scan,
    "TransactWriteItems": DynamoHandler.transact_write_items,
    "UpdateItem": DynamoHandler.update_item,
}


def _left_to_moto() -> bytes:
    raise NotUnderstood("moto's own")
