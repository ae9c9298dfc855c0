"""Conversion between plain Python values and DynamoDB's typed attributes; whole numbers stay `int`.

It wraps boto3's own (de)serializer, which is slow for the plain values of nearly all attributes and returns every
number as a Decimal.
"""

from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(values: dict[str, Any]) -> dict[str, Any]:
    """Convert an item: `{"v": 1}` → `{"v": {"N": "1"}}`. Raises TypeError for floats, which DynamoDB lacks."""
    return {name: to_value(value) for name, value in values.items()}


def to_value(value: Any) -> dict[str, Any]:
    """Convert a value: `1` → `{"N": "1"}`. Raises TypeError for floats."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is int:
        return {"N": str(value)}
    if kind is bool:
        return {"BOOL": value}
    return dict(_serializer.serialize(value))


def from_item(item: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `to_item`: `{"v": {"N": "1"}}` → `{"v": 1}`."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, list):
        return [_plain(element) for element in value]
    if isinstance(value, dict):
        return {name: _plain(element) for name, element in value.items()}
    return value
