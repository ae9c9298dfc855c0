"""Executions: one, its log, an agent's."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, Field

from redial.adapters.dynamodb.executions import Page
from redial.api.answers import account_id, answer, answers, known_id, new_router
from redial.api.fields import MAX_ID_LENGTH, Instant, PageNumber, PageSize
from redial.api.retry_config import RetryConfigEcho
from redial.domain import execution as domain
from redial.domain.errors import NotFound
from redial.domain.status import Status
from redial.runtime import wiring
from redial.usecases import agents
from redial.wire import execution_json

router = new_router()


# ---- models ---


class RetryHistoryEntry(BaseModel):
    """How one attempt ended."""

    attempt: int
    status: Status
    at: Instant


class TelephonyData(BaseModel):
    """The latest attempt, as the carrier saw it."""

    to_number: str
    from_number: str | None
    provider: str
    provider_call_id: str | None
    duration: str = Field(description="Seconds of conversation, as digits.")
    ring_duration: int | None = Field(description="Seconds of ringing.")
    call_type: Literal["outbound"]
    hangup_by: str | None
    hangup_reason: str | None
    hangup_provider_code: str | None
    recording_url: str | None


class ContextDetails(BaseModel):
    """What was known of the contact."""

    recipient_data: dict[str, Any]
    recipient_phone_number: str


class BatchRunDetails(BaseModel):
    """The contact's place in its batch."""

    status: str
    created_at: Instant
    updated_at: Instant
    retried: int


class ExecutionAttempt(BaseModel):
    """One attempt; times are null until they have come."""

    attempt: int
    status: Status
    scheduled_at: Instant
    dialed_at: Instant | None
    answered_at: Instant | None
    ended_at: Instant | None
    provider_call_id: str | None
    from_number: str | None
    hangup_reason: str | None
    hangup_provider_code: str | None
    voicemail: bool | None


class NextAttempt(BaseModel):
    """The attempt that is waiting for its time."""

    attempt: int
    at: Instant


class Execution(BaseModel):
    """One contact and all attempts to reach it."""

    id: str
    agent_id: str
    batch_id: str | None
    status: Status
    created_at: Instant
    updated_at: Instant
    scheduled_at: Instant | None
    rescheduled_at: Instant | None
    retry_config: RetryConfigEcho | None
    retry_count: int
    retry_history: list[RetryHistoryEntry] | None
    answered_by_voice_mail: bool | None
    conversation_duration: float = Field(description="Seconds; 0 until there was a conversation.")
    error_message: str | None
    termination_reason: str | None
    initiated_at: Instant | None
    user_number: str
    agent_number: str | None
    provider: str
    telephony_data: TelephonyData
    context_details: ContextDetails
    batch_run_details: BatchRunDetails | None
    attempts: list[ExecutionAttempt]
    next_attempt: NextAttempt | None
    sequence: int = Field(description="Number of the latest event; each event's webhook carries its own.")


class ExecutionPage(BaseModel):
    """One page of an agent's executions, newest first."""

    page_number: int
    page: int
    page_size: int
    total: int
    has_more: bool
    data: list[Execution]


class LogEntry(BaseModel):
    """One thing that happened to an execution."""

    created_at: Instant
    type: str
    component: str
    provider: str | None
    data: Any


class ExecutionLog(BaseModel):
    """What happened, oldest first, webhook deliveries included."""

    status: Literal["success"]
    data: list[LogEntry]


# ---- routes ---


@router.get(
    "/executions/<execution_id>",
    summary="How a call stands",
    tags=["executions"],
    operation_id="get_execution",
    responses=answers(200, "The execution as it is now.", Execution, 404),
)
def get_execution(execution_id: str) -> Response[Any]:
    return answer(execution_json.render(_execution(execution_id)))


@router.get(
    "/executions/<execution_id>/log",
    summary="What happened to a call",
    tags=["executions"],
    operation_id="get_execution_log",
    responses=answers(200, "Everything, oldest first.", ExecutionLog, 404),
)
def get_execution_log(execution_id: str) -> Response[Any]:
    return answer({"status": "success", "data": execution_json.log(_execution(execution_id))})


def _execution(execution_id: str) -> domain.Execution:
    execution = wiring.api().executions.get(known_id(execution_id, "execution"))
    if execution is None or execution.account_id != account_id():
        raise NotFound(f"there is no execution {execution_id}")
    return execution


OfStatus = Annotated[Status | None, Query(description="Only executions that stand there now.")]
OfBatch = Annotated[str | None, Query(max_length=MAX_ID_LENGTH)]
CreatedFrom = Annotated[Instant | None, Query(alias="from", description="Created at or after this.")]
CreatedTo = Annotated[Instant | None, Query(alias="to", description="Created at or before this.")]


@router.get(
    "/v2/agent/<agent_id>/executions",
    summary="An agent's calls, newest first",
    tags=["executions"],
    operation_id="list_executions",
    responses=answers(200, "One page of them.", ExecutionPage, 400, 404),
)
def get_agent_executions(
    agent_id: str,
    page_number: PageNumber = 1,
    page_size: PageSize = 20,
    status: OfStatus = None,
    batch_id: OfBatch = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response[Any]:
    page = _page(agent_id, page_number, page_size, status, batch_id, created_from, created_to)
    return answer(
        {
            "page_number": page_number,
            "page": page_number,
            "page_size": page_size,
            "total": page.total,
            "has_more": page.has_more,
            "data": [execution_json.render(execution) for execution in page.executions],
        }
    )


@router.get(
    "/agent/<agent_id>/executions",
    summary="An agent's calls, as a bare array",
    description="For older clients; `/v2/agent/{agent_id}/executions` says also how many there are.",
    tags=["executions"],
    operation_id="list_executions_bare",
    responses=answers(200, "One page of them.", list[Execution], 400, 404),
)
def get_agent_executions_bare(
    agent_id: str,
    page_number: PageNumber = 1,
    page_size: PageSize = 20,
    status: OfStatus = None,
    batch_id: OfBatch = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
) -> Response[Any]:
    page = _page(agent_id, page_number, page_size, status, batch_id, created_from, created_to)
    return answer([execution_json.render(execution) for execution in page.executions])


def _page(
    agent_id: str,
    page_number: int,
    page_size: int,
    status: Status | None,
    batch_id: str | None,
    created_from: Instant | None,
    created_to: Instant | None,
) -> Page:
    world = wiring.api()
    agent = agents.read_agent(known_id(agent_id, "agent"), account_id=account_id(), agents=world.agents)
    return world.executions.page_of_agent(
        agent.agent_id,
        batches=world.batches.of_agent(agent.agent_id),
        page_number=page_number,
        page_size=page_size,
        status=status,
        batch_id=batch_id,
        created_from=created_from,
        created_to=created_to,
    )
