"""Routes of calls: create, plan or stop one, stop all calls of an agent."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, call_quota, key_pool, known_id, new_router, services
from redial.api.calling_guardrails import CallingGuardrails
from redial.api.fields import (
    EXAMPLE_AGENT_ID,
    NO_EMPTY_TEXT,
    ExpiresAfter,
    Flag,
    IdempotencyKey,
    Instant,
    PhoneNumber,
    PolicyLabel,
    Purpose,
    TimeZone,
    canonical_json,
    depth,
    hash_of,
    not_with_expires_at,
)
from redial.api.retry_config import RetryConfig
from redial.runtime import system, telemetry
from redial.usecases import batches, create_call, foresee, stop
from redial.usecases.create_call import EARLIEST, LATEST, MAX_RULE_BYTES, NewCall
from redial.wire.plan_json import Plan, render_plan

router = new_router()


MAX_USER_DATA_BYTES = 64 * 1024
"""Maximum size of `user_data` as JSON in UTF-8: it is stored, and sent with every event of the call."""
MAX_USER_DATA_DEPTH = 20

# ---- models ---


def _size(user_data: dict[str, Any]) -> int:
    return len(canonical_json(user_data).encode())


def _check_user_data(value: dict[str, Any]) -> dict[str, Any]:
    size = _size(value)
    if size > MAX_USER_DATA_BYTES:
        raise ValueError(f"may take {MAX_USER_DATA_BYTES} bytes as JSON, this takes {size}")
    if depth(value) > MAX_USER_DATA_DEPTH:
        raise ValueError(f"may be nested {MAX_USER_DATA_DEPTH} deep")
    return value


class CallRequest(BaseModel):
    """A contact to call. Unknown fields are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "agent_id": EXAMPLE_AGENT_ID,
                    "recipient_phone_number": "+12025550123",
                    "user_data": {"name": "Ann"},
                    "retry_config": {"enabled": True, "max_retries": 3, "retry_intervals_minutes": [30, 60, 120]},
                }
            ]
        }
    )

    agent_id: str
    recipient_phone_number: PhoneNumber = Field(description="E.164; other formats are normalized.")
    from_phone_number: PhoneNumber | None = Field(None, description="The caller id. Default: the agent's.")
    scheduled_at: Instant | None = Field(
        None,
        description=f"When to call first, {EARLIEST.seconds // 60} minutes to {LATEST.days} days ahead. Default: now.",
    )
    user_data: Annotated[dict[str, Any], AfterValidator(_check_user_data)] | None = Field(
        None,
        description=f"Any data about the contact, at most {MAX_USER_DATA_BYTES} bytes; sent with every event.",
    )
    retry_config: RetryConfig | None = None
    bypass_call_guardrails: Flag = Field(False, description="Also call outside calling hours.")

    calling_guardrails: CallingGuardrails | None = Field(
        None, description=f"Replaces the agent's. At most {MAX_RULE_BYTES} bytes in its stored form."
    )
    purpose: Purpose | None = Field(
        None, description="What the call is for; suppressions and consents may name it. Default: the agent's."
    )
    time_zone: Annotated[TimeZone | None, NO_EMPTY_TEXT] = Field(
        None,
        description="The contact's IANA time zone. Default: the agent's, else every zone that the number may be in.",
    )

    policy: Annotated[PolicyLabel | None, NO_EMPTY_TEXT] = Field(
        None, description="A policy; the latest version if none is named. Default: the agent's, else the account's."
    )
    expires_at: Instant | None = Field(
        None, description="No attempt starts at or after this time; the call is `canceled`."
    )
    expires_after_minutes: ExpiresAfter | None = Field(
        None,
        description="Like expires_at, in minutes after scheduled_at, or else after now. Give only one of the two.",
    )

    _one_expiry = field_validator("expires_after_minutes")(not_with_expires_at)

    def to_new_call(self) -> NewCall:
        return NewCall(
            agent_id=self.agent_id,
            recipient_phone_number=self.recipient_phone_number,
            from_phone_number=self.from_phone_number,
            scheduled_at=self.scheduled_at,
            user_data=self.user_data or {},
            user_data_bytes=_size(self.user_data or {}),
            retry_config=self.retry_config.to_rule() if self.retry_config else None,
            bypass_call_guardrails=self.bypass_call_guardrails,
            calling_rule=self.calling_guardrails.to_rule() if self.calling_guardrails else None,
            time_zone=self.time_zone,
            purpose=self.purpose,
            policy=self.policy,
            expires_at=self.expires_at,
            expires_after_minutes=self.expires_after_minutes,
        )


class CallCreated(TypedDict):
    """The call was accepted; `status` is `queued` even if it is scheduled for later."""

    message: Literal["done"]
    status: Literal["queued"]
    execution_id: str


class CallStopped(TypedDict):
    """The call was stopped before it was answered."""

    message: Literal["done"]
    status: Literal["stopped"]
    execution_id: str


class AgentStopped(TypedDict):
    """The agent's unanswered calls and its batches, which are stopped now."""

    stopped_executions: list[str]
    stopped_batches: Annotated[
        list[str], Field(description="The agent's batches; their contacts are stopped with them.")
    ]


# ---- routes ---


@router.post(
    "/call",
    summary="Call a contact, with retries",
    tags=["calls"],
    operation_id="create_call",
    responses=answers(
        200,
        "The call was accepted.",
        CallCreated,
        *(400, 404, 409, 413),
        headers={
            "Idempotency-Replayed": {
                "description": "`true`: an earlier request with this Idempotency-Key created the call.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        },
    ),
)
def post_call(
    body: Annotated[CallRequest, Body()],
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="Repeating the key with the same body returns the first response, for 24 hours.",
        ),
    ] = None,
) -> Response[Any]:
    call = body.to_new_call()
    call = replace(call, agent_id=known_id(call.agent_id, "agent"))
    created = create_call.create_call(
        services(),
        call,
        account_id=account_id(),
        idempotency_key=idempotency_key,
        body_hash=hash_of(router.current_event.json_body),
        now=system.now(),
        quota=call_quota(),
        key_pool=key_pool(),
    )
    telemetry.about(execution_id=created.execution.id)
    taken = CallCreated(message="done", status="queued", execution_id=created.execution.id)
    return answer(taken, headers={"Idempotency-Replayed": "true"} if created.replayed else {})


@router.post(
    "/call/plan",
    summary="Plan a call without making it",
    description="Takes the body of POST /call, with the same checks. Nothing is stored or dialled. The response has"
    " each attempt's time if all attempts fail, what moves that time, and warnings. An Idempotency-Key is ignored.",
    tags=["calls"],
    operation_id="plan_call",
    responses=answers(200, "The attempts if all of them fail.", Plan, 400, 404, 413),
)
def post_call_plan(body: Annotated[CallRequest, Body()]) -> Response[Any]:
    call = body.to_new_call()
    call = replace(call, agent_id=known_id(call.agent_id, "agent"))
    foreseen = foresee.plan_call(services(), call, account_id=account_id(), now=system.now())
    return answer(render_plan(foreseen.plan, foreseen.zones, foreseen.warnings))


@router.post(
    "/call/<execution_id>/stop",
    summary="Stop a call before it is answered",
    description="A waiting call is no longer dialled. A call that the carrier has queued or is ringing is canceled"
    " there; the response is 200 once the carrier has confirmed this. It is 400 if the call was answered, is over or is"
    " just being handed to the carrier, or if the carrier has not confirmed; the message says what to do.",
    tags=["calls"],
    operation_id="stop_call",
    responses=answers(200, "Stopped before it was answered.", CallStopped, 400, 404),
)
def post_call_stop(execution_id: str) -> Response[Any]:
    stopped = stop.stop_execution(
        services(),
        known_id(execution_id, "execution"),
        account_id=account_id(),
        now=system.now(),
    )
    return answer(CallStopped(message="done", status="stopped", execution_id=stopped.id))


@router.post(
    "/v2/agent/<agent_id>/stop",
    summary="Stop every unanswered call of an agent",
    tags=["calls"],
    operation_id="stop_agent",
    responses=answers(200, "Stopped, with the agent's batches; answered calls finish.", AgentStopped, 404),
)
def post_agent_stop(agent_id: str) -> Response[Any]:
    stopped, stopped_batches = batches.stop_agent_with_batches(
        services(),
        known_id(agent_id, "agent"),
        account_id=account_id(),
        now=system.now(),
    )
    return answer(AgentStopped(stopped_executions=stopped, stopped_batches=stopped_batches))
