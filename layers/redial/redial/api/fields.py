"""Shared by all requests: parsing JSON, field types, and error messages about fields."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core.core_schema import CoreSchema, no_info_before_validator_function

from redial.domain.calling_window import check_zone
from redial.domain.errors import FieldError, InvalidInput
from redial.domain.number_rules import PURPOSE
from redial.domain.phone_number import normalized
from redial.domain.policy import POLICY_LABEL, read_label

EXAMPLE_AGENT_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
"""The agent in the documentation's examples. The local stack shows its own agent and inbox, so its examples work."""
EXAMPLE_WEBHOOK_URL = "https://hooks.example.com/redial"
Model = TypeVar("Model", bound=BaseModel)
MAX_URL_LENGTH = 2048
MAX_FROM_PHONE_NUMBERS = 100
MAX_DEPTH = 100
"""Maximum nesting depth of a body. Python's own limit depends on its version and on the caller's depth."""
MAX_INTERVALS = 100
"""Maximum length of `retry_intervals_minutes`; only the first three have an effect."""
MAX_ID_LENGTH = 100
MAX_IDEMPOTENCY_KEY_LENGTH = 255

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""For the documentation; `redial.domain.phone_number` decides."""
WEBHOOK_URL_SCHEMA: dict[str, Any] = {
    "pattern": r"^(https?://[^\s\x00-\x20\x7f-\x9f\\]+)?$",
    "examples": [EXAMPLE_WEBHOOK_URL],
}
"""For the documentation; `ApiServices.check_webhook` decides. http is permitted in local development only."""


def read_json_object(text: str) -> dict[str, Any]:
    """Parse a request's body. Raises `InvalidInput` like `read_json`, and for a value that is not an object."""
    value = read_json(text, "the body")
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object")
    return value


def read_json(text: str, what: str) -> Any:
    """Parse `text`, named `what` in messages. Raises `InvalidInput` for text that is not JSON (RFC 8259: no NaN, no
    infinity), is nested too deeply, or holds an unpaired surrogate, which can be neither stored nor sent. A byte-order
    mark is ignored."""
    try:
        value = json.loads(text.removeprefix("\ufeff"), parse_constant=_not_a_number, parse_float=_finite)
        if depth(value) > MAX_DEPTH:
            raise RecursionError
        canonical_json(value).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{what} is not valid JSON: {error.msg.lower()}, {where}") from error
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{what} holds an unpaired surrogate, which is not text") from error
    except RecursionError as error:
        raise InvalidInput(f"{what} is nested too deeply: {MAX_DEPTH} levels are the most") from error
    except ValueError as error:
        # Python's own message about digits is for programmers.
        reason = "a number has too many digits" if "digits" in str(error) else error
        raise InvalidInput(f"{what} is not valid JSON: {reason}") from error
    return value


def canonical_json(value: Any) -> str:
    """JSON that is identical for equal values: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def hash_of(body: Any) -> str:
    """SHA-256 of a body's canonical JSON: spaces and the order of keys make no difference."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def hash_of_bytes(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def to_json(value: Any) -> str:
    """A response's body."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _read_instant(value: Any) -> datetime:
    message = "must be a time in ISO 8601 with an offset, such as 2026-01-26T10:00:00Z or 2026-01-26T15:30:00+05:30"
    if not isinstance(value, str):
        raise ValueError(message)
    text = value.upper()  # RFC 3339 allows t and z; Python reads only Z
    if "T" in text:  # an unescaped + in a query string arrives as a space
        text = re.sub(r"(?<=\d) (?=\d\d:?\d\d$)", "+", text)
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError(message)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(message) from error


def depth(value: Any) -> int:
    """The nesting depth of a JSON value; 1 for a plain value."""
    levels, layer = 0, [value]
    while layer:
        levels += 1
        nested: list[Any] = []
        for one in layer:
            nested.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        layer = [one for one in nested if isinstance(one, dict | list)]
    return levels


def _check_idempotency_key(value: str) -> str:
    if not 1 <= len(value) <= MAX_IDEMPOTENCY_KEY_LENGTH or not all(" " <= character <= "~" for character in value):
        raise ValueError(f"must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters")
    return value


def _purpose(text: str) -> str:
    if not PURPOSE.fullmatch(text):
        raise ValueError("must be 1 to 40 of a-z 0-9 _ -, such as marketing")
    return text


Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-26T10:00:00Z"]}),
]
"""A time on the wire: ISO 8601 with an offset; `t` and `z` may be lower case. Parsed to an aware UTC datetime."""
PageNumber = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=50)]
IdempotencyKey = Annotated[
    str,
    AfterValidator(_check_idempotency_key),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH, "pattern": "^[ -~]+$"}),
]
PhoneNumber = Annotated[
    str,
    AfterValidator(normalized),
    Field(json_schema_extra={"pattern": E164_PATTERN, "examples": ["+12025550123"]}),
]
"""A phone number in any common format. Parsed to E.164."""
Purpose = Annotated[
    str,
    AfterValidator(_purpose),
    Field(json_schema_extra={"pattern": f"^{PURPOSE.pattern}$", "examples": ["marketing"]}),
]
"""What a call is for."""
WebhookUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH, json_schema_extra=WEBHOOK_URL_SCHEMA)]
CalledUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        json_schema_extra={**WEBHOOK_URL_SCHEMA, "pattern": r"^https?://[^\s\x00-\x20\x7f-\x9f\\]+$"},
    ),
]
"""A webhook URL that must not be empty."""


class _NoEmptyText:
    """See `NO_EMPTY_TEXT`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any) -> Any:
            return None if value == "" else value

        return no_info_before_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        for text in shown["anyOf"]:
            pattern = text.get("pattern")
            if pattern is not None and not re.search(pattern, ""):
                text["pattern"] = f"^({pattern.removeprefix('^').removesuffix('$')})?$"
        return shown


NO_EMPTY_TEXT = _NoEmptyText()
"""For an optional field: an empty text counts as null."""
TimeZone = Annotated[
    str,
    AfterValidator(check_zone),
    Field(json_schema_extra={"examples": ["Europe/Berlin"]}),
]
"""The name of an IANA time zone."""


def _policy_label(text: str) -> str:
    read_label(text)
    return text


PolicyLabel = Annotated[
    str,
    AfterValidator(_policy_label),
    Field(json_schema_extra={"pattern": f"^{POLICY_LABEL.pattern}$", "examples": ["lead-outreach@3"]}),
]
"""A policy's name, optionally with a version."""
WholeNumber = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
MAX_EXPIRY_MINUTES = 365 * 24 * 60
"""Longest time until a call expires: a year, the same as for scheduling calls ahead."""
ExpiresAfter = Annotated[WholeNumber, Field(ge=1, le=MAX_EXPIRY_MINUTES)]


def not_with_expires_at(minutes: int | None, info: ValidationInfo) -> int | None:
    """Validates `expires_after_minutes`, which comes after `expires_at` in its model."""
    if minutes is not None and info.data.get("expires_at") is not None:
        raise ValueError("give expires_at or expires_after_minutes, not both")
    return minutes


def form_fields(model: type[BaseModel]) -> dict[str, Any]:
    """A model's fields as form fields. A form has no null and omits fields that are not given."""
    fields = {}
    for name, schema in model.model_json_schema()["properties"].items():
        for one in schema.pop("anyOf", ()):
            if one != {"type": "null"}:
                schema = {**one, **schema}  # noqa: PLW2901  the field's own keys take precedence over its type's
        if schema.get("default") in (None, []):
            schema.pop("default", None)
        schema.pop("title", None)
        fields[name] = schema
    return fields


def validated(model: type[Model], values: Any, *, at: str = "", context: Any = None) -> Model:
    """Validate `values` as `model`. Raises `InvalidInput`, naming every invalid field by its path below `at`."""
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        prefix = ("body", at) if at else ("body",)
        raise invalid({**one, "loc": (*prefix, *one["loc"])} for one in error.errors(include_url=False)) from error


def invalid(errors: Iterable[Mapping[str, Any]]) -> InvalidInput:
    """pydantic's errors as one `InvalidInput` that names every invalid field."""
    found = field_errors(errors)
    return InvalidInput("; ".join(f"{one.field}: {one.message}" for one in found), found)


def field_errors(errors: Iterable[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """pydantic's errors in the API's format: a dotted path without its first part (body, query), and what to do."""
    return tuple(
        FieldError(".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]), _advice(error))
        for error in errors
    )


def _advice(error: Mapping[str, Any]) -> str:
    context: Mapping[str, Any] = error.get("ctx") or {}
    match error["type"]:
        case "missing" if len(error["loc"]) == 1:
            return "is required, and must be a JSON object"
        case "missing":
            return "is required"
        case "string_type":
            return "must be a text"
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "list_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be an object"
        case "enum" | "literal_error":
            return f"must be one of {str(context['expected']).replace(chr(39), '')}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            return f"must have at least {context['min_length']}"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']}"
        case "value_error":
            return str(context["error"])
        case _:
            message = str(error["msg"])
            return message[:1].lower() + message[1:]
