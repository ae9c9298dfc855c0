"""Checks of requests that DynamoDB refuses but moto accepts. Faults have the service's words.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.table import Table

MAX_ITEM_BYTES = 409_600
MAX_HASH_KEY_BYTES, MAX_RANGE_KEY_BYTES = 2048, 1024
MAX_NESTING = 32
MAX_DIGITS = 38

Value = dict[str, Any]
"""An attribute's value in its wire format: `{"S": "text"}`."""
Plain = dict[str, Value]
"""An item in its wire format: `{"pk": {"S": "…"}, "n": {"N": "1"}}`."""

_INVALID = "One or more parameter values were invalid: "
_EXPRESSIONS = (
    "KeyConditionExpression", "FilterExpression", "ConditionExpression", "UpdateExpression", "ProjectionExpression",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"[#:]\w+")
_BETWEEN = re.compile(r"(?<![#:.\w])BETWEEN\s*(:\w+)\s+AND\s*(:\w+)", re.IGNORECASE)
_ACTION = re.compile(r"(?:(?<![#:.\w])(?:SET|REMOVE|ADD|DELETE)\s|,)\s*([#.\w\[\]]+)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def check_request(request: dict[str, Any], table_of: Callable[[str], Table]) -> None:
    """Raise moto's `MockValidationException` for a request that the service refuses before it reads any item."""
    for write in request.get("TransactItems", ()):
        for operation in write.values():
            check_request(operation, table_of)
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    expressions = {kind: request[kind] for kind in _EXPRESSIONS if request.get(kind)}
    fault = _fault_of_placeholders(expressions, names, values)
    for kind, text in expressions.items():
        said = fault_of_paths(text, names) if kind == "UpdateExpression" else fault_of_bounds(text, values)
        fault = fault or (said and f"Invalid {kind}: {said}")
    for value in values.values():
        fault = fault or fault_of_value(value)
    if "Item" in request:
        fault = fault or fault_of_item(table_of(request["TableName"]), request["Item"])
    elif "Key" in request:
        fault = fault or fault_of_key(table_of(request["TableName"]), request["Key"])
    if fault:
        raise MockValidationException(fault)


# ---- expressions ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _placeholders(text: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(text))


def _fault_of_placeholders(expressions: Mapping[str, str], names: Mapping[str, str], values: Plain) -> str | None:
    """The fault of the placeholders, or None. moto checks only the names of some requests, and the values of
    updates."""
    used = frozenset().union(*map(_placeholders, expressions.values()))
    for given, kind in ((names, "Names"), (values, "Values")):
        if unused := given.keys() - used:
            return f"Value provided in ExpressionAttribute{kind} unused in expressions: keys: {{{', '.join(unused)}}}"
    return None


@lru_cache(maxsize=1024)
def _bounds(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(_BETWEEN.findall(text))


def fault_of_bounds(text: str, values: Plain) -> str | None:
    """The fault of the bounds of a BETWEEN, or None."""
    for low, high in _bounds(text):
        lower, upper = values.get(low), values.get(high)
        if not lower or not upper:
            continue  # moto refuses a value that is not given
        operands = f"lower bound operand: {_shown(lower)}, upper bound operand: {_shown(upper)}"
        if lower.keys() != upper.keys():
            return f"The BETWEEN operator requires same data type for lower and upper bounds; {operands}"
        if _comparable(lower) > _comparable(upper):
            return f"The BETWEEN operator requires upper bound to be greater than or equal to lower bound; {operands}"
    return None


def _shown(value: Value) -> str:
    ((kind, content),) = value.items()
    return f"AttributeValue: {{{kind}:{content}}}"


def _comparable(value: Value) -> Any:
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


@lru_cache(maxsize=1024)
def _changed_paths(text: str) -> tuple[tuple[str, ...], ...]:
    """The document paths that an update sets, removes, adds to or deletes from."""
    outside = text
    while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = shorter
    outside = re.sub(r"\s*\.\s*", ".", outside)
    return tuple(tuple(re.findall(r"#?\w+|\[\d+\]", path)) for path in _ACTION.findall(outside))


def fault_of_paths(text: str, names: Mapping[str, str]) -> str | None:
    """The fault of the paths of an update, or None. Paths must not be equal, and none may lead into another."""
    paths = [tuple(names.get(step, step) for step in path) for path in _changed_paths(text)]
    for number, one in enumerate(paths):
        for other in paths[number + 1 :]:
            shared = min(len(one), len(other))
            if one[:shared] == other[:shared]:
                return (
                    "Two document paths overlap with each other; must remove or rewrite one of these paths; "
                    f"path one: [{', '.join(one)}], path two: [{', '.join(other)}]"
                )
    return None


# ---- items ----------------------------------------------------------------------------------------------------------


def fault_of_item(table: Table, item: Plain) -> str | None:
    """The fault of an item to be stored, or None."""
    for name in table.table_key_attrs:
        if name not in item:
            return f"{_INVALID}Missing the key {name} in the item"
    if fault := fault_of_key(table, {name: item[name] for name in table.table_key_attrs}):
        return fault
    types = _key_types(table)
    for index in table.all_indexes():
        for position, name in enumerate(index.schema_key_attrs):
            limit = MAX_RANGE_KEY_BYTES if position else MAX_HASH_KEY_BYTES
            if name in item and (fault := _fault_of_index_key(item[name], types[name], limit, index.name, name)):
                return fault
    for value in item.values():
        if fault := fault_of_value(value):
            return fault
    if size_of(item) > MAX_ITEM_BYTES:
        return "Item size has exceeded the maximum allowed size"
    return None


def fault_of_key(table: Table, key: Plain) -> str | None:
    """The fault of a table's key, or None."""
    if key.keys() != set(table.table_key_attrs):
        return "The provided key element does not match the schema"
    types = _key_types(table)
    for name, limit, kind in zip(
        table.table_key_attrs, (MAX_HASH_KEY_BYTES, MAX_RANGE_KEY_BYTES), ("hashkey", "rangekey"), strict=False
    ):
        if key[name].keys() != {types[name]}:
            return f"{_INVALID}Type mismatch for key {name} expected: {types[name]} actual: {next(iter(key[name]), '')}"
        if key[name][types[name]] == "":
            return (
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                f"empty string value. Key: {name}"
            )
        if value_size(key[name]) > limit:
            return f"{_INVALID}Size of {kind} has exceeded the maximum size limit of{limit} bytes"
    return None


def _key_types(table: Table) -> dict[str, str]:
    return {definition["AttributeName"]: definition["AttributeType"] for definition in table.attr}


def _fault_of_index_key(value: Value, expected: str, limit: int, index_name: str, name: str) -> str | None:
    if value.keys() != {expected}:
        return (
            f"{_INVALID}Type mismatch for Index Key {name} Expected: {expected} Actual: {next(iter(value), '')} "
            f"IndexName: {index_name}"
        )
    if value[expected] == "":
        return (
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
            f"The AttributeValue for a key attribute cannot contain an empty string value. IndexName: {index_name}, "
            f"IndexKey: {name}"
        )
    if value_size(value) > limit:
        return (
            f"{_INVALID}Size of a secondary index key has exceeded the maximum size limit of {limit} bytes. "
            f"IndexName: {index_name}, IndexKey: {name}"
        )
    return None


def fault_of_value(value: Any, depth: int = 1) -> str | None:
    """The fault of an attribute's value at a depth of nesting, or None."""
    if not isinstance(value, dict) or len(value) != 1:
        return "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
    ((kind, content),) = value.items()
    match kind:
        case "S" | "B" | "BOOL":
            return None
        case "NULL":
            return None if content is True else "Null attribute value types must have the value of true"
        case "N":
            return None if _is_number(content) else f"The parameter cannot be converted to a numeric value: {content}"
        case "SS" | "NS" | "BS":
            if not content or len(set(content)) < len(content):
                return f"{_INVALID}Input collection {content} is empty or contains duplicates."
            return None if kind != "NS" or all(map(_is_number, content)) else f"{_INVALID}not numbers: {content}"
    if depth > MAX_NESTING:
        return "Nesting Levels have exceeded supported limits"
    elements = content.values() if kind == "M" else content
    return next((fault for element in elements if (fault := fault_of_value(element, depth + 1))), None)


def _is_number(text: str) -> bool:
    """Whether a number has at most 38 significant digits and a magnitude from 1E-130 to 9.9…E+125."""
    if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS:
        return True
    if not _NUMBER.fullmatch(text):
        return False
    try:
        number = Decimal(text)
    except InvalidOperation:
        return False
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    return not digits or (len(digits) <= MAX_DIGITS and -130 <= number.adjusted() <= 125)


def size_of(plain: Plain) -> int:
    """The bytes that an item, or the content of a map, takes.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + value_size(value) for name, value in plain.items())


def value_size(value: Value) -> int:
    """The bytes that an attribute's value takes."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            digits = content.strip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + str(content).startswith("-")
        case "B":
            return len(content) * 3 // 4 - str(content)[-2:].count("=")
        case "SS" | "NS" | "BS":
            return sum(value_size({kind[0]: element}) for element in content)
        case "L":
            return 3 + sum(1 + value_size(element) for element in content)
        case "M":
            return 3 + len(content) + size_of(content)
    return 1
