"""Routes of API keys: list, create, revoke."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from redial.api.answers import (
    account_id,
    answer,
    answers,
    caller,
    known_id,
    new_router,
    no_such,
    note_details,
    note_resource,
    services,
)
from redial.api.fields import EXAMPLE_AGENT_ID, MAX_ID_LENGTH, WholeNumber
from redial.domain.api_key import ALL_SCOPES, ApiKey, Caller, KeyRights, KeyScope, NumbersShown, hour_of
from redial.domain.errors import InvalidInput, NotFound
from redial.domain.queue import MAX_KEY_LINES
from redial.runtime import system
from redial.usecases import accounts, agents
from redial.wire.api_key_json import QuotasRead, rights_json
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none

router = new_router()


# ---- models ---

MAX_AGENTS = 100
"""Maximum number of agents that a key may be restricted to: each request reads the list."""
MAX_CALLS_A_DAY = 1_000_000_000


class Quotas(BaseModel):
    """Limits of a key. Null or omitted: no limit."""

    model_config = ConfigDict(extra="forbid")

    calls_a_day: Annotated[WholeNumber, Field(ge=1, le=MAX_CALLS_A_DAY)] | None = Field(
        None, description="Calls and contacts of scheduled batches per day (UTC).", examples=[1000]
    )
    lines: Annotated[WholeNumber, Field(ge=1, le=MAX_KEY_LINES)] | None = Field(
        None,
        description="Live calls at once, among the calls that the key creates and the batches that it schedules. Other"
        " calls wait.",
        examples=[5],
    )


class KeyRequest(BaseModel):
    """A key to create. Omitted or null fields are copied from the key that creates it. Unknown fields are ignored."""

    name: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": accounts.MAX_NAME_LENGTH})] = Field(
        examples=["dashboard"]
    )
    scopes: Annotated[list[KeyScope], Field(min_length=1)] | None = Field(None, examples=[["read"]])
    agents: Annotated[list[str], Field(min_length=1, max_length=MAX_AGENTS)] | None = Field(
        None, description="The only agents that the key can see and change.", examples=[[EXAMPLE_AGENT_ID]]
    )
    numbers: NumbersShown | None = Field(None, description="`masked`: phone numbers are masked in every response.")
    quotas: Quotas | None = None

    def to_rights(self, own: KeyRights) -> KeyRights:
        """The new key's rights. `own`: the rights of the key that creates it."""
        quotas = self.quotas or Quotas(calls_a_day=None, lines=None)
        return KeyRights(
            scopes=own.scopes if self.scopes is None else tuple(one for one in ALL_SCOPES if one in self.scopes),
            agents=own.agents if self.agents is None else tuple(dict.fromkeys(map(_agent_id, self.agents))),
            numbers=self.numbers or own.numbers,
            calls_a_day=quotas.calls_a_day or own.calls_a_day,
            lines=quotas.lines or own.lines,
        )


def _agent_id(text: str) -> str:
    try:
        return known_id(text, "agent")
    except NotFound as error:
        raise InvalidInput.of("agents", error.message) from error


class OwnKeyRead(TypedDict):
    """A key and its rights. `agents`: null means all agents. `last_used_at`: the hour of its last request."""

    id: str
    name: str
    scopes: list[KeyScope]
    agents: list[str] | None
    numbers: NumbersShown
    quotas: QuotasRead
    last_used_at: Timestamp | None


class KeyRead(OwnKeyRead):
    """A key as it is listed."""

    created_at: Timestamp
    revoked_at: Timestamp | None


class KeyCreated(KeyRead):
    """The new key. `api_key` is shown only here."""

    api_key: str


class KeyRevoked(TypedDict):
    """The key no longer works."""

    message: Literal["success"]
    state: Literal["revoked"]


def own_key_json(key: Caller, now: datetime) -> OwnKeyRead:
    """The key used for the current request, as JSON."""
    return _key_json(replace(key, last_used_at=hour_of(now)))


def _key_json(key: ApiKey | Caller) -> OwnKeyRead:
    return {
        "id": key.key_id,
        "name": key.name,
        **rights_json(key.rights),
        "last_used_at": rfc3339_or_none(key.last_used_at),
    }


def key_json(key: ApiKey) -> KeyRead:
    """A key as JSON."""
    return {
        **_key_json(key),
        "created_at": rfc3339(key.created_at),
        "revoked_at": rfc3339_or_none(key.revoked_at),
    }


# ---- routes ---


@router.get(
    "/keys",
    summary="List your API keys, oldest first",
    description="Includes revoked keys. A key that is restricted to agents sees only keys restricted to some of them.",
    tags=["keys"],
    operation_id="list_keys",
    responses=answers(200, "The keys, without their secrets.", list[KeyRead], 413),
)
def get_keys() -> Response[Any]:
    found = accounts.list_keys(account_id(), accounts=services().accounts, by=caller().rights)
    return answer([key_json(one) for one in found])


@router.post(
    "/keys",
    summary="Create an API key",
    description="The new key can have at most the scopes, agents, numbers and quotas of the key that creates it. More"
    " is a 403, which names the excess. A key's rights never change: create another key, then revoke the first.",
    tags=["keys"],
    operation_id="create_key",
    status_code=201,
    responses=answers(201, "The key. Keep it: it is not shown again.", KeyCreated, 400, 413),
)
def post_key(body: Annotated[KeyRequest, Body()]) -> Response[Any]:
    own = caller().rights
    rights = body.to_rights(own)
    if own.agents is None and rights.agents is not None:
        _check_agents(rights.agents)
    api_key = system.new_api_key()
    key = accounts.create_key(
        account_id(),
        body.name,
        api_key=api_key,
        key_id=system.new_id(),
        accounts=services().accounts,
        now=system.now(),
        rights=rights,
        by=own,
    )
    note_resource("key", key.key_id)
    note_details(**{name: value for name, value in _key_json(key).items() if name not in ("id", "last_used_at")})
    return answer(KeyCreated(**key_json(key), api_key=api_key), status=201)


def _check_agents(ids: Sequence[str]) -> None:
    """Raises `InvalidInput` for an agent that does not exist."""
    for agent_id in ids:
        try:
            agents.read_agent(services(), agent_id, account_id=account_id())
        except NotFound as error:
            raise InvalidInput.of("agents", f"{error.message}; GET /v2/agent/all lists yours") from error


@router.delete(
    "/keys/<key_id>",
    summary="Revoke an API key",
    description="The key is refused from the response on. Revoking it again changes nothing.",
    tags=["keys"],
    operation_id="revoke_key",
    responses=answers(200, "Revoked: the key no longer works.", KeyRevoked, 404),
)
def delete_key(key_id: str) -> Response[Any]:
    if len(key_id) > MAX_ID_LENGTH:  # DynamoDB refuses it
        no_such(key_id, "key")
    accounts.revoke_key(account_id(), key_id, accounts=services().accounts, now=system.now(), by=caller().rights)
    return answer(KeyRevoked(message="success", state="revoked"))
