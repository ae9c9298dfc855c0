"""Validation of requests: JSON, times, user data and idempotency keys, with their error messages."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from redial.api import calls, fields, retry_config
from redial.domain.errors import InvalidInput
from redial.domain.retry import RetryConfig as RetryRule
from redial.domain.status import Status
from tests.support.samples import NUMBER

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def call(**fields: Any) -> calls.CallRequest:
    return calls.CallRequest.model_validate({"agent_id": "a", "recipient_phone_number": NUMBER} | fields)


def complaints(model: Any, value: Any) -> dict[str, str]:
    """The API's error messages for `value`, by field."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(model).validate_python(value)
    errors = [{**error, "loc": ("body", *error["loc"])} for error in refused.value.errors()]
    return {error.field: error.message for error in fields.field_errors(errors)}


# ---- JSON ---------------------------------------------------------------------------------------------------------


@unhurried
@given(st.dictionaries(st.text(), JSON_VALUES))
def test_every_json_object_is_read_unchanged(value: dict[str, Any]) -> None:
    assert fields.read_json_object(json.dumps(value)) == value


@unhurried
@given(st.text())
def test_any_other_text_is_refused_as_invalid_input(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert isinstance(fields.read_json_object(text), dict)


def test_a_bodys_depth_is_limited() -> None:
    most = fields.MAX_DEPTH
    assert fields.read_json_object('{"a":' * most + "1" + "}" * most)
    for depth in (most + 1, 900, 1000, 5000):
        with pytest.raises(InvalidInput, match="nested too deeply"):
            fields.read_json_object('{"a":' * depth + "1" + "}" * depth)


def test_the_hash_of_a_body_ignores_only_order_and_spaces() -> None:
    same = ('{"a": 1, "b": [1, 2]}', '{ "b":[1,2],"a":1 }')
    hashes = {fields.hash_of(fields.read_json_object(text)) for text in same}
    assert len(hashes) == 1
    for other in ('{"a": 1, "b": [2, 1]}', '{"a": 1.0, "b": [1, 2]}', '{"a": "1", "b": [1, 2]}', '{"a": 1}'):
        hashes.add(fields.hash_of(fields.read_json_object(other)))
    assert len(hashes) == 5


# ---- times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-26T10:00:00Z",
        "2026-01-26T10:00:00.000Z",
        "2026-01-26T10:00Z",
        "2026-01-26T15:30:00+05:30",
        "2026-01-26T15:30:00 05:30",
        "2026-01-26T05:00:00-0500",
        "2026-01-26 10:00:00+00:00",
        "20260126T100000Z",
    ],
)
def test_a_time_with_an_offset_is_read_as_utc(text: str) -> None:
    read = call(scheduled_at=text).scheduled_at
    assert read == datetime(2026, 1, 26, 10, tzinfo=UTC)
    assert read is not None
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    ["", "now", "2026-01-26", "2026-01-26T10:00:00", "2026-13-01T00:00:00Z", "1769421600", 1769421600, True, [],
     "9999-12-31T23:59:59-14:00", "2026-01-26T10:00:00Z\n"],
)  # fmt: skip
def test_any_other_text_is_refused_as_a_time(value: Any) -> None:
    assert "ISO 8601 with an offset" in complaints(calls.CallRequest, {"scheduled_at": value})["scheduled_at"]


# ---- user data ----------------------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": [value]} if depth % 2 else {"a": value}
    return value


def test_user_datas_size_is_limited() -> None:
    most = calls.MAX_USER_DATA_BYTES - len('{"a":""}')
    assert call(user_data={"a": "x" * most}).user_data is not None
    assert "65536 bytes" in complaints(calls.CallRequest, {"user_data": {"a": "x" * (most + 1)}})["user_data"]


def test_user_datas_depth_is_limited() -> None:
    assert call(user_data=nested(20)).user_data is not None
    assert "20 deep" in complaints(calls.CallRequest, {"user_data": nested(22)})["user_data"]


# ---- calls --------------------------------------------------------------------------------------------------------


def test_a_call_without_options_has_the_contracts_defaults() -> None:
    new = call().to_new_call()
    assert (new.agent_id, new.recipient_phone_number) == ("a", NUMBER)
    assert (new.from_phone_number, new.scheduled_at, new.retry_config) == (None, None, None)
    assert (new.user_data, new.bypass_call_guardrails) == ({}, False)


def test_an_empty_retry_configuration_is_the_contracts_defaults() -> None:
    assert call(retry_config={}).to_new_call().retry_config == RetryRule()
    documented = retry_config.RetryConfig.model_json_schema()["properties"]
    rule = RetryRule()
    for name, schema in documented.items():
        value = getattr(rule, name)
        assert schema["default"] == (list(value) if isinstance(value, tuple) else value)


def test_a_status_given_twice_counts_once() -> None:
    new = call(retry_config={"retry_on_statuses": ["error", "busy", "error"]}).to_new_call()
    assert new.retry_config is not None
    assert new.retry_config.retry_on_statuses == (Status.ERROR, Status.BUSY)


def test_an_empty_list_of_statuses_is_accepted() -> None:
    new = call(retry_config={"retry_on_statuses": [], "retry_on_voicemail": True}).to_new_call()
    assert new.retry_config is not None
    assert new.retry_config.retry_on_statuses == ()


@unhurried
@given(JSON_VALUES)
def test_any_body_is_read_or_refused_in_words(value: Any) -> None:
    names = ("agent_id", "recipient_phone_number", "from_phone_number", "scheduled_at", "user_data", "retry_config")
    for name in names:
        try:
            call(**{name: value})
        except ValidationError as refused:
            errors = [{**error, "loc": ("body", *error["loc"])} for error in refused.errors()]
            for error in fields.field_errors(errors):
                assert error.field.startswith(name)
                assert error.message
                assert "Value error" not in error.message
                assert "pydantic" not in error.message


@pytest.mark.parametrize("key", ["a", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324", " ~!", "a, b"])
def test_an_idempotency_key_is_printable_ascii(key: str) -> None:
    assert TypeAdapter(fields.IdempotencyKey).validate_python(key) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\tb", "a\x7f"])
def test_any_other_idempotency_key_is_refused(key: str) -> None:
    assert complaints(fields.IdempotencyKey, key) == {"body": "must be 1 to 255 printable ASCII characters"}
