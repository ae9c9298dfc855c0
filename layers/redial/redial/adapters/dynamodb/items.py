"""Plain Python values to DynamoDB's typed attributes and back, with whole numbers staying `int`.

boto3's own (de)serializer does the work; it turns every number into a Decimal, which nothing here wants.
"""

from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_item(values: dict[str, Any]) -> dict[str, Any]:
    """`{"v": 1}` → `{"v": {"N": "1"}}`. Floats are refused by DynamoDB's own rules."""
    return {name: _serializer.serialize(value) for name, value in values.items()}


def from_item(item: dict[str, Any]) -> dict[str, Any]:
    """`{"v": {"N": "1"}}` → `{"v": 1}`."""
    return {name: _plain(_deserializer.deserialize(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, list):
        return [_plain(element) for element in value]
    if isinstance(value, dict):
        return {name: _plain(element) for name, element in value.items()}
    return value
