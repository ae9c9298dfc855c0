"""Shared by all routes: documented responses, rendering a response, parsing ids, and the current request."""

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
"""Maximum `sent_size` of a response: Lambda allows 6,291,556 bytes including headers and status."""
JSON = "application/json"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass
class Note:
    """What a route adds to the audit record of a change. `resource`: kind and id, if the path does not name it."""

    resource: tuple[str, str | None] | None = None
    changes: Changes = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Current:
    """The current request. `caller` is None on public paths; `form` is empty unless the body is a form; `query`
    contains the decoded parameters."""

    caller: Caller | None
    request_id: str
    form: Form = field(default_factory=Form)
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    note: Note = field(default_factory=Note)


CURRENT: ContextVar[Current] = ContextVar("current request")


def services() -> Services:
    """The api function's container, narrowed to the agents of the request's API key if the key is restricted."""
    found, caller = services_of("api"), CURRENT.get().caller
    if caller is None or caller.rights.agents is None:
        return found
    return cast(Services, narrowed(found, caller.rights.agents))


class FieldErrorBody(BaseModel):
    """One error in one field."""

    field: str = Field(examples=["retry_config.max_retries"])
    message: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: int = Field(description="The HTTP status.", examples=[400])
    message: str = Field(description="What to do.")
    detail: str = Field(description="The same text as `message`.")
    errors: list[FieldErrorBody] | None = Field(None, description="For invalid input only: each invalid field.")
    request_id: str | None = Field(None, description="For 500 only: quote it when you report the error.")


class GatewayErrorBody(BaseModel):
    """An error of API Gateway, which has only a message, or an exceeded quota of the API key, which has all fields of
    an error."""

    message: str
    error: int | None = None
    detail: str | None = None


_MEANINGS = {
    400: "Invalid input; `errors` names each invalid field.",
    401: "The API key is missing, unknown or revoked.",
    403: "The API key lacks the scope in `x-required-scope`, or is restricted to agents.",
    404: "It does not exist, or belongs to another account.",
    409: "Not possible in the current state.",
    412: "If-Match or If-None-Match is not met: the record has changed in the meantime.",
    413: "The request or the response is too large.",
    500: "An internal error; quote `request_id` when you report it.",
}


_GATEWAY_MEANINGS = {
    429: "Too many requests: retry after a second or more. Or the API key's quota of calls is used up: `Retry-After`"
    " is then the number of seconds until the next day begins (UTC).",
    503: "The API is briefly unavailable; retry the request (with its Idempotency-Key, if it had one).",
}


def answers(status: int, meaning: str, model: Any, *failures: int, headers: dict[str, Any] | None = None) -> Any:
    """The documented responses of a route: its success and its possible `failures`. 401, 403, 500 and the gateway's
    429 and 503 are always added."""
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
    """Bytes that a text takes in a function's response. It is a JSON string there, so its quotes are escaped again."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def answer(body: Any, status: int = 200, headers: dict[str, str | list[str]] | None = None) -> Response[Any]:
    """A successful response. Serialized here, so that Powertools need not walk through it. Raises `TooLarge`."""
    text = to_json(body)
    if sent_size(text) > MAX_ANSWER_BYTES:
        raise TooLarge("the answer is larger than can be sent at once")
    return Response(status_code=status, content_type=JSON, body=text, headers=headers or {})


def new_router() -> Router:
    """A router for the routes of one resource."""
    return Router()  # type: ignore[no-untyped-call]


def caller() -> Caller:
    """The sender of the request, on a path that needs a key."""
    found = CURRENT.get().caller
    assert found is not None, "public paths have no account"
    return found


def note_changes(before: Any, after: Any) -> None:
    """Record the differences between two states of what the request changes: objects of one dataclass."""
    CURRENT.get().note.changes = differences(before, after)


def note_resource(kind: str, resource_id: str | None) -> None:
    """Record which resource the request created or changed, if the path does not name it."""
    CURRENT.get().note.resource = (kind, resource_id)


def note_details(**details: Any) -> None:
    """Record further details of the change."""
    CURRENT.get().note.details |= {name: recorded(value) for name, value in details.items()}


def call_quota() -> CallQuota | None:
    """The request's API key's quota of calls; None if it has no such quota."""
    key = caller()
    return None if key.rights.calls_a_day is None else CallQuota(key.key_id, key.rights.calls_a_day)


def key_pool() -> str | None:
    """The id of the request's API key's pool of lines; None if it has no quota of lines."""
    key = caller()
    return None if key.rights.lines is None else KeyLines.of(key.account_id, key.key_id, key.rights.lines).pool_id


def account_id() -> str:
    """The account that the request's API key belongs to."""
    return caller().account_id


def read_policy(label: str) -> Policy:
    """The account's policy with this label; the latest version if the label names none. Raises `InvalidInput`."""
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
