"""Routes of agents: create, read, replace, change, delete."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field, SkipValidation
from typing_extensions import TypedDict

from redial.api.agent_config import AgentConfig, AgentConfigPatch, configure
from redial.api.answers import (
    account_id,
    answer,
    answers,
    known_id,
    new_router,
    note_changes,
    note_resource,
    read_policy,
    services,
)
from redial.api.fields import Instant
from redial.api.holidays import known_until
from redial.api.listings import HEADERS, AnyPageNumber, CursorText, paging, part_of
from redial.domain.agent import Agent
from redial.ports import Position
from redial.runtime import system
from redial.usecases import accounts, agents
from redial.wire.timestamps import rfc3339

router = new_router()


# ---- models ---


class AgentRequest(BaseModel):
    """An agent. Other top-level keys (`agent_prompts`, …) are stored and returned as sent."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "agent_config": {
                        "agent_name": "Reminders",
                        "from_phone_numbers": ["+12025550100"],
                        "answer_url": "https://voice.example.com/calls?execution={execution_id}",
                        "max_concurrent_calls": 5,
                    }
                }
            ]
        },
    )

    # For the documentation. `configure` validates, because it has the agent's current webhook and the merged patch.
    agent_config: SkipValidation[AgentConfig]


class AgentPatch(BaseModel):
    """Keys to change, at the top level and in `agent_config`. Other keys are kept."""

    model_config = ConfigDict(extra="allow")

    agent_config: SkipValidation[AgentConfigPatch] = Field(default_factory=AgentConfigPatch.model_construct)


class AgentCreated(TypedDict):
    """The agent was created."""

    agent_id: str
    state: Literal["created"]


class AgentChanged(TypedDict):
    """The agent was changed."""

    message: Literal["success"]
    state: Literal["updated"]


class AgentDeleted(TypedDict):
    """The agent was deleted, and its waiting calls are being stopped."""

    message: Literal["success"]
    state: Literal["deleted"]


class AgentRead(BaseModel):
    """An agent. `tasks` and every other top-level key that was sent are included."""

    model_config = ConfigDict(extra="allow")

    id: str
    agent_id: str
    agent_name: str
    agent_type: str
    agent_welcome_message: Any = None
    agent_status: Literal["processed"]
    created_at: Instant
    updated_at: Instant
    agent_config: AgentConfig = Field(description="As sent, with the defaults filled in.")


_FLAT_KEYS = ("tasks", "ingest_source_config", "agent_welcome_message")


def agent_json(agent: Agent, carrier: str) -> dict[str, Any]:
    """An agent as JSON: flat keys for existing clients, and the configuration with its defaults filled in. `carrier`:
    the default for agents that name none."""
    sent = agent.config["agent_config"]
    effective = {
        "webhook_url": agent.webhook_url,
        "telephony_provider": sent.get("telephony_provider") or agent.provider or carrier,
        "calling_guardrails": _with_holidays(sent.get("calling_guardrails"), agent),
        "from_phone_numbers": sent.get("from_phone_numbers") or [],
        "answer_url": agent.answer_url,
        "stream_url": agent.stream_url,
        "max_concurrent_calls": agent.max_concurrent_calls,
        "ring_timeout_seconds": agent.ring_timeout_seconds,
        "max_call_seconds": agent.max_call_seconds,
        "voicemail_detection": agent.voicemail_detection,
        "consent_required": sent.get("consent_required") or False,
    }
    agent_type = sent.get("agent_type")
    return {
        "agent_welcome_message": None,
        **agent.config,
        **{name: sent[name] for name in _FLAT_KEYS if name in sent},
        "id": agent.agent_id,
        "agent_id": agent.agent_id,
        "agent_name": agent.name,
        "agent_type": agent_type if isinstance(agent_type, str) else "other",
        "agent_status": "processed",
        "created_at": rfc3339(agent.created_at),
        "updated_at": rfc3339(agent.updated_at),
        "agent_config": {**sent, **effective},
    }


def _with_holidays(sent: dict[str, Any] | None, agent: Agent) -> dict[str, Any] | None:
    """Guardrails with the last date for which their holidays are known. They were looked up when the agent was last
    saved."""
    if sent is None or not sent.get("holidays"):
        return sent
    return {**sent, "holidays_until": known_until(agent.updated_at.date()).isoformat()}


# ---- routes ---


def _default_carrier() -> str:
    account = accounts.read_account(account_id(), accounts=services().accounts)
    return accounts.carrier_of(services(), account)


def _configure(agent: Agent, body: dict[str, Any]) -> Agent:
    configured = configure(agent, body, services().check_webhook, services().allow_local, read_policy)
    note_changes(agent, configured)
    return configured


@router.post(
    "/v2/agent",
    summary="Create an agent",
    tags=["agents"],
    operation_id="create_agent",
    status_code=201,
    responses=answers(201, "Created.", AgentCreated, 400, 413),
)
def post_agent(body: Annotated[AgentRequest, Body()]) -> Response[Any]:
    agent = agents.create_agent(
        services(),
        router.current_event.json_body,
        account_id=account_id(),
        configure=_configure,
        now=system.now(),
    )
    note_resource("agent", agent.agent_id)
    return answer(AgentCreated(agent_id=agent.agent_id, state="created"), status=201)


@router.get(
    "/v2/agent/all",
    summary="List your agents, oldest first",
    tags=["agents"],
    operation_id="list_agents",
    responses=answers(200, "All agents, or a part of them.", list[AgentRead], 400, 413, headers=HEADERS),
)
def get_agents(
    page_number: AnyPageNumber = None,
    page_size: Annotated[int | None, Query(ge=1, le=1000)] = None,
    cursor: CursorText = None,
) -> Response[Any]:
    carrier = _default_carrier()
    found = [(Position(one.created_at, one.agent_id), one) for one in services().agents.all(account_id())]
    shown = part_of(found, paging(page_number, page_size, cursor), lambda one: agent_json(one, carrier))
    return answer(shown.rows, headers=shown.headers)


@router.get(
    "/v2/agent/<agent_id>",
    summary="Get an agent",
    tags=["agents"],
    operation_id="get_agent",
    responses=answers(200, "The agent.", AgentRead, 404),
)
def get_agent(agent_id: str) -> Response[Any]:
    agent = agents.read_agent(services(), known_id(agent_id, "agent"), account_id=account_id())
    return answer(agent_json(agent, _default_carrier()))


@router.put(
    "/v2/agent/<agent_id>",
    summary="Replace an agent",
    tags=["agents"],
    operation_id="replace_agent",
    responses=answers(200, "Changed.", AgentChanged, 400, 404, 409, 413),
)
def put_agent(agent_id: str, body: Annotated[AgentRequest, Body()]) -> Response[Any]:
    agents.replace_agent(
        services(),
        known_id(agent_id, "agent"),
        router.current_event.json_body,
        account_id=account_id(),
        configure=_configure,
        now=system.now(),
    )
    return answer(AgentChanged(message="success", state="updated"))


@router.patch(
    "/v2/agent/<agent_id>",
    summary="Change parts of an agent",
    tags=["agents"],
    operation_id="patch_agent",
    responses=answers(200, "Changed.", AgentChanged, 400, 404, 409, 413),
)
def patch_agent(agent_id: str, body: Annotated[AgentPatch, Body()]) -> Response[Any]:
    agents.patch_agent(
        services(),
        known_id(agent_id, "agent"),
        router.current_event.json_body,
        account_id=account_id(),
        configure=_configure,
        now=system.now(),
    )
    return answer(AgentChanged(message="success", state="updated"))


@router.delete(
    "/v2/agent/<agent_id>",
    summary="Delete an agent and stop its calls",
    tags=["agents"],
    operation_id="delete_agent",
    responses=answers(200, "Deleted; answered calls finish.", AgentDeleted, 404, 409),
)
def delete_agent(agent_id: str) -> Response[Any]:
    agents.delete_agent(
        services(),
        known_id(agent_id, "agent"),
        account_id=account_id(),
        now=system.now(),
    )
    return answer(AgentDeleted(message="success", state="deleted"))
