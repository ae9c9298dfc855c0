"""Shared by all routes: documented answers, rendering an answer, parsing ids, and the current request."""

import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from pydantic import BaseModel, Field

from redial.api.fields import MAX_ID_LENGTH, to_json
from redial.api.forms import Form
from redial.domain.api_key import Caller
from redial.domain.audit import Changes, differences, recorded
from redial.domain.batch import is_batch_id
from redial.domain.errors import NotFound, TooLarge
from redial.domain.policy import Policy
from redial.domain.queue import KeyLines
from redial.runtime.services import Services, services_of
from redial.usecases.narrowed import narrowed
from redial.usecases.policies import named_policy
from redial.usecases.quotas import CallQuota

MAX_ANSWER_BYTES = 5_500_000
"""Maximum `sent_size` of an answer: Lambda allows 6,291,556 bytes including headers and status."""
JSON = "application/json"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass
class Note:
    """What a route notes of a change for its audit record. `resource`: kind and id, where the path does not name it."""

    resource: tuple[str, str | None] | None = None
    changes: Changes = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Current:
    """The current request. `caller` is None on public paths; `form` is empty unless the body is a form. `query`: its
    parameters, decoded."""

    caller: Caller | None
    request_id: str
    form: Form = field(default_factory=Form)
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    note: Note = field(default_factory=Note)


CURRENT: ContextVar[Current] = ContextVar("current request")


def services() -> Services:
    """The api function's container, or the view of it that the request's API key has."""
    found, caller = services_of("api"), CURRENT.get().caller
    if caller is None or caller.rights.agents is None:
        return found
    return cast(Services, narrowed(found, caller.rights.agents))


class FieldErrorBody(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(examples=["retry_config.max_retries"])
    message: str


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: int = Field(description="The HTTP status.", examples=[400])
    message: str = Field(description="What to do.")
    detail: str = Field(description="The same text.")
    errors: list[FieldErrorBody] | None = Field(None, description="Invalid input only: each field at fault.")
    request_id: str | None = Field(None, description="500 only: quote it when you report the error.")


class GatewayErrorBody(BaseModel):
    """What API Gateway answers by itself, with a message only; or, where the quota of the API key is used up, all that
    an error has."""

    message: str
    error: int | None = None
    detail: str | None = None


_MEANINGS = {
    400: "Invalid input; `errors` names each field at fault.",
    401: "No API key, or not a live one.",
    403: "The API key lacks the scope in `x-required-scope`, or is restricted to agents.",
    404: "Unknown, or of another account.",
    409: "Not possible in the present state.",
    412: "If-Match or If-None-Match does not hold: the record was changed meanwhile.",
    413: "The request or the answer is too large.",
    500: "An error of the service; quote `request_id` when you report it.",
}


_GATEWAY_MEANINGS = {
    429: "Too many requests for the moment: repeat it after a second or more. Or the API key's quota of calls is used"
    " up: then `Retry-After` says in how many seconds the next day begins (UTC).",
    503: "The API is briefly unavailable; repeat the request (with its Idempotency-Key, if it had one).",
}


def answers(status: int, meaning: str, model: Any, *failures: int, headers: dict[str, Any] | None = None) -> Any:
    """The documented answers of a route: its success, and its possible `failures` (401, 403, 500 and the
    gateway's own 429 and 503 are always added)."""
    success: dict[str, Any] = {"description": meaning, "content": {JSON: {"model": model}}}
    if headers:
        success["headers"] = headers
    return (
        {status: success}
        | {
            code: {"description": _MEANINGS[code], "content": {JSON: {"model": ErrorBody}}}
            for code in sorted({*failures, 401, 403, 500})
        }
        | {
            code: {"description": meaning, "content": {JSON: {"model": GatewayErrorBody}}}
            for code, meaning in _GATEWAY_MEANINGS.items()
        }
    )


def sent_size(text: str) -> int:
    """Bytes of a text within a function's answer, where it is a JSON string: quotes are escaped once more."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def answer(body: Any, status: int = 200, headers: dict[str, str | list[str]] | None = None) -> Response[Any]:
    """A successful answer. Serialized here, which saves Powertools from walking through it. Raises `TooLarge`."""
    text = to_json(body)
    if sent_size(text) > MAX_ANSWER_BYTES:
        raise TooLarge("the answer is larger than can be sent at once")
    return Response(status_code=status, content_type=JSON, body=text, headers=headers or {})


def new_router() -> Router:
    """A router for the routes of one resource."""
    return Router()  # type: ignore[no-untyped-call]


def caller() -> Caller:
    """Who sends the request, on a path that needs a key."""
    found = CURRENT.get().caller
    assert found is not None, "public paths have no account"
    return found


def note_changes(before: Any, after: Any) -> None:
    """Note two states of what the request changes: objects of one dataclass."""
    CURRENT.get().note.changes = differences(before, after)


def note_resource(kind: str, resource_id: str | None) -> None:
    """Note what the request made or changed, where its path does not say so."""
    CURRENT.get().note.resource = (kind, resource_id)


def note_details(**details: Any) -> None:
    """Note what else to know of the change."""
    CURRENT.get().note.details |= {name: recorded(value) for name, value in details.items()}


def call_quota() -> CallQuota | None:
    """The quota of calls that the request's API key has."""
    key = caller()
    return None if key.rights.calls_a_day is None else CallQuota(key.key_id, key.rights.calls_a_day)


def key_pool() -> str | None:
    """The id of the lines of the request's API key, where it has a quota of them."""
    key = caller()
    return None if key.rights.lines is None else KeyLines.of(key.account_id, key.key_id, key.rights.lines).pool_id


def account_id() -> str:
    """The account that the request's API key belongs to."""
    return caller().account_id


def read_policy(label: str) -> Policy:
    """The account's policy with that label; without a version: the latest. Raises `InvalidInput`."""
    return named_policy(services(), label, "policy", account_id=account_id())


def known_id(text: str, kind: str) -> str:
    """Normalize a UUID; any other text raises `NotFound`."""
    return text.lower() if _UUID.fullmatch(text) else no_such(text, kind)


def no_such(text: str, kind: str) -> NoReturn:
    """Raises `NotFound`."""
    raise NotFound(f"there is no {kind} {text[:MAX_ID_LENGTH]}")


def hex_id(text: str) -> str | None:
    """Normalize an id of 32 hexadecimal digits, with or without a UUID's dashes; any other text gives None."""
    digits = text.replace("-", "").lower() if _UUID.fullmatch(text) else text.lower()
    return digits if is_batch_id(digits) else None


def known_batch_id(text: str) -> str:
    """Normalize a batch id; any other text raises `NotFound`."""
    return hex_id(text) or no_such(text, "batch")
