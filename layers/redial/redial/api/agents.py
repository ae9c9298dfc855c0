"""Agents: create, read, replace, change, delete."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from redial.adapters import address_guard
from redial.api.answers import account_id, answer, answers, known_id, new_router
from redial.api.fields import Instant, PageNumber, PhoneNumber, WebhookUrl
from redial.domain.agent import (
    DEFAULT_MAX_CALL_SECONDS,
    DEFAULT_MAX_CONCURRENT_CALLS,
    DEFAULT_PROVIDER,
    DEFAULT_RING_TIMEOUT_SECONDS,
    Agent,
)
from redial.runtime import system, wiring
from redial.usecases import agents
from redial.usecases.agents import (
    MAX_CALL_SECONDS,
    MAX_CONCURRENT_CALLS,
    MAX_FROM_PHONE_NUMBERS,
    MAX_NAME_LENGTH,
    MAX_RING_TIMEOUT_SECONDS,
    MAX_URL_LENGTH,
    MIN_RING_TIMEOUT_SECONDS,
    PROVIDERS,
)
from redial.wire.timestamps import rfc3339

router = new_router()


# ---- models ---


_CARRIER_URL = r"([!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]|\{agent_id\}|\{execution_id\})+$"
"""For the documentation, after the scheme; `redial.usecases.agents` decides."""


def _not_blank(schema: dict[str, Any]) -> None:
    """Documents a text that is more than spaces; where it may be left out, that stands for nothing."""
    schema.pop("default", None)
    schema |= {"pattern": r"[^\s\x1c-\x1f\x85]", "examples": ["Reminders"]}


def _carrier_url(scheme: str) -> Any:
    """Documents a URL that the carrier opens."""
    return Field(
        max_length=MAX_URL_LENGTH,
        json_schema_extra={
            "pattern": f"^{scheme}?://{_CARRIER_URL}",
            "examples": [f"{scheme}://voice.example.com/calls?execution={{execution_id}}"],
        },
    )


class CallingGuardrails(BaseModel):
    """Whole hours of the called person's own time between which the agent may ring. Start after end: over midnight."""

    model_config = ConfigDict(extra="allow")

    call_start_hour: int | None = Field(None, ge=0, le=23)
    call_end_hour: int | None = Field(None, ge=0, le=23)


class AgentConfig(BaseModel):
    """How calls are placed and answered. Keys that are not listed are kept and returned as sent; null: not given."""

    model_config = ConfigDict(extra="allow")

    agent_name: str = Field(min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=_not_blank)
    webhook_url: WebhookUrl | None = Field(
        None, description="Where the events of every call go: https, a public address."
    )
    telephony_provider: str | None = Field(DEFAULT_PROVIDER, json_schema_extra={"enum": [*PROVIDERS, None]})
    calling_guardrails: CallingGuardrails | None = None
    from_phone_numbers: list[PhoneNumber] | None = Field([], max_length=MAX_FROM_PHONE_NUMBERS)
    answer_url: Annotated[str, _carrier_url("https")] | None = Field(
        None,
        description="https: the carrier fetches its call instructions here. {agent_id} and {execution_id} are filled"
        " in. An agent with neither this nor stream_url can be saved, but places no calls.",
    )
    stream_url: Annotated[str, _carrier_url("wss")] | None = Field(
        None,
        description="wss: the carrier connects the call's audio to this. Not together with answer_url.",
    )
    max_concurrent_calls: int | None = Field(DEFAULT_MAX_CONCURRENT_CALLS, ge=1, le=MAX_CONCURRENT_CALLS)
    ring_timeout_seconds: int | None = Field(
        DEFAULT_RING_TIMEOUT_SECONDS, ge=MIN_RING_TIMEOUT_SECONDS, le=MAX_RING_TIMEOUT_SECONDS
    )
    max_call_seconds: int | None = Field(DEFAULT_MAX_CALL_SECONDS, ge=1, le=MAX_CALL_SECONDS)
    voicemail_detection: bool | None = Field(False, description="Have the carrier tell machines from people.")


class AgentConfigPatch(AgentConfig):
    """Keys to be put over those of the agent's configuration; null goes back to the default."""

    agent_name: str = Field("", min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=_not_blank)


class AgentRequest(BaseModel):
    """An agent. Other top-level keys (`agent_prompts`, …) are kept and returned as sent."""

    model_config = ConfigDict(extra="allow")

    # Documented here and checked by the use case, which must check a patched configuration whole.
    agent_config: SkipValidation[AgentConfig]


class AgentPatch(BaseModel):
    """What changes: top-level keys, and keys of `agent_config`; the rest stays."""

    model_config = ConfigDict(extra="allow")

    agent_config: SkipValidation[AgentConfigPatch] = Field(default_factory=AgentConfigPatch.model_construct)


class AgentCreated(BaseModel):
    """The agent is there."""

    agent_id: str
    state: Literal["created"]


class AgentChanged(BaseModel):
    """The agent is as you said."""

    message: Literal["success"]
    state: Literal["updated"]


class AgentDeleted(BaseModel):
    """The agent is gone and its waiting calls are stopped."""

    message: Literal["success"]
    state: Literal["deleted"]


class AgentRead(BaseModel):
    """An agent. `tasks` and every other top-level key that was sent stand beside these."""

    model_config = ConfigDict(extra="allow")

    id: str
    agent_id: str
    agent_name: str
    agent_type: str
    agent_status: Literal["processed"]
    created_at: Instant
    updated_at: Instant
    agent_config: AgentConfig = Field(description="As sent, with the defaults filled in.")


_FLAT_KEYS = ("tasks", "ingest_source_config")


def agent_json(agent: Agent) -> dict[str, Any]:
    """An agent on the wire: flat, as existing clients read it, and its configuration with the defaults filled in."""
    sent = agent.config["agent_config"]
    effective = {
        "webhook_url": agent.webhook_url,
        "telephony_provider": agent.provider,
        "calling_guardrails": sent.get("calling_guardrails"),
        "from_phone_numbers": sent.get("from_phone_numbers") or [],
        "answer_url": agent.answer_url,
        "stream_url": agent.stream_url,
        "max_concurrent_calls": agent.max_concurrent_calls,
        "ring_timeout_seconds": agent.ring_timeout_seconds,
        "max_call_seconds": agent.max_call_seconds,
        "voicemail_detection": agent.voicemail_detection,
    }
    agent_type = sent.get("agent_type")
    return {
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


# ---- routes ---


def _allow_local() -> bool:
    return wiring.api().settings.allow_local_webhooks == "true"


def _check_webhook(url: str) -> None:
    address_guard.check(url, allow_local=_allow_local())


@router.post(
    "/v2/agent",
    summary="Create an agent",
    tags=["agents"],
    operation_id="create_agent",
    status_code=201,
    responses=answers(201, "It is there.", AgentCreated, 400, 413),
)
def post_agent(body: Annotated[AgentRequest, Body()]) -> Response[Any]:
    agent = agents.create_agent(
        router.current_event.json_body,
        account_id=account_id(),
        agents=wiring.api().agents,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
        new_id=system.new_id,
    )
    return answer({"agent_id": agent.agent_id, "state": "created"}, status=201)


@router.get(
    "/v2/agent/all",
    summary="All your agents, oldest first",
    tags=["agents"],
    operation_id="list_agents",
    responses=answers(200, "All of them, or one page if page_size is given.", list[AgentRead], 400, 413),
)
def get_agents(
    page_number: PageNumber = 1,
    page_size: Annotated[int | None, Query(ge=1, le=1000, description="All of them if left out.")] = None,
) -> Response[Any]:
    found = wiring.api().agents.all(account_id())
    if page_size is not None:
        found = found[(page_number - 1) * page_size : page_number * page_size]
    return answer([agent_json(agent) for agent in found])


@router.get(
    "/v2/agent/<agent_id>",
    summary="An agent",
    tags=["agents"],
    operation_id="get_agent",
    responses=answers(200, "The agent.", AgentRead, 404),
)
def get_agent(agent_id: str) -> Response[Any]:
    agent = agents.read_agent(known_id(agent_id, "agent"), account_id=account_id(), agents=wiring.api().agents)
    return answer(agent_json(agent))


@router.put(
    "/v2/agent/<agent_id>",
    summary="Replace an agent",
    tags=["agents"],
    operation_id="replace_agent",
    responses=answers(200, "It is as you said.", AgentChanged, 400, 404, 409, 413),
)
def put_agent(agent_id: str, body: Annotated[AgentRequest, Body()]) -> Response[Any]:
    world = wiring.api()
    agents.replace_agent(
        known_id(agent_id, "agent"),
        router.current_event.json_body,
        account_id=account_id(),
        agents=world.agents,
        lines=world.lines,
        functions=world.functions,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
    )
    return answer({"message": "success", "state": "updated"})


@router.patch(
    "/v2/agent/<agent_id>",
    summary="Change parts of an agent",
    tags=["agents"],
    operation_id="patch_agent",
    responses=answers(200, "It is as you said.", AgentChanged, 400, 404, 409, 413),
)
def patch_agent(agent_id: str, body: Annotated[AgentPatch, Body()]) -> Response[Any]:
    world = wiring.api()
    agents.patch_agent(
        known_id(agent_id, "agent"),
        router.current_event.json_body,
        account_id=account_id(),
        agents=world.agents,
        lines=world.lines,
        functions=world.functions,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
    )
    return answer({"message": "success", "state": "updated"})


@router.delete(
    "/v2/agent/<agent_id>",
    summary="Delete an agent and stop its waiting calls",
    tags=["agents"],
    operation_id="delete_agent",
    responses=answers(200, "It is gone; live calls finish.", AgentDeleted, 404, 409),
)
def delete_agent(agent_id: str) -> Response[Any]:
    world = wiring.api()
    agents.delete_agent(
        known_id(agent_id, "agent"),
        account_id=account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return answer({"message": "success", "state": "deleted"})
