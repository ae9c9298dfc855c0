"""Routes of executions: read one and its log, list those of an agent."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.api.fields import MAX_ID_LENGTH, Instant, PageNumber, PageSize
from redial.domain import execution as domain
from redial.domain.errors import NotFound
from redial.domain.status import Status
from redial.ports import Page
from redial.usecases import agents
from redial.wire import execution_json
from redial.wire.execution_json import Execution, LogEntry

router = new_router()


# ---- models ---


class ExecutionPage(TypedDict):
    """One page of an agent's executions, newest first."""

    page_number: int
    page: int
    page_size: int
    total: int
    has_more: bool
    data: list[Execution]


class ExecutionLog(TypedDict):
    """What happened, oldest first, webhook deliveries included."""

    status: Literal["success"]
    data: list[LogEntry]


# ---- routes ---


@router.get(
    "/executions/<execution_id>",
    summary="A call and its attempts",
    tags=["executions"],
    operation_id="get_execution",
    responses=answers(200, "The execution as it is now.", Execution, 404),
)
def get_execution(execution_id: str) -> Response[Any]:
    return answer(execution_json.render(_complete(_execution(execution_id))))


@router.get(
    "/agent/<agent_id>/execution/<execution_id>",
    summary="A call of an agent",
    description="For older clients; `/executions/{execution_id}` answers the same.",
    tags=["executions"],
    operation_id="get_agent_execution",
    responses=answers(200, "The execution as it is now.", Execution, 404),
)
def get_agent_execution(agent_id: str, execution_id: str) -> Response[Any]:
    execution = _execution(execution_id)
    if execution.agent_id != known_id(agent_id, "agent"):
        raise NotFound(f"there is no execution {execution_id}")
    return answer(execution_json.render(_complete(execution)))


@router.get(
    "/executions/<execution_id>/log",
    summary="A call's log",
    tags=["executions"],
    operation_id="get_execution_log",
    responses=answers(200, "Everything, oldest first.", ExecutionLog, 404),
)
def get_execution_log(execution_id: str) -> Response[Any]:
    return answer(ExecutionLog(status="success", data=execution_json.log(_execution(execution_id))))


def _execution(execution_id: str) -> domain.Execution:
    execution = services().executions.get(known_id(execution_id, "execution"))
    if execution is None or execution.account_id != account_id():
        raise NotFound(f"there is no execution {execution_id}")
    return execution


def _complete(execution: domain.Execution) -> domain.Execution:
    for found in services().executions.with_user_data([execution]):
        return found
    raise NotFound(f"there is no execution {execution.id}")


OfStatus = Annotated[Status | None, Query(description="Only executions that have this status now.")]
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
        ExecutionPage(
            page_number=page_number,
            page=page_number,
            page_size=page_size,
            total=page.total,
            has_more=page.has_more,
            data=[execution_json.render(execution) for execution in page.executions],
        )
    )


@router.get(
    "/agent/<agent_id>/executions",
    summary="An agent's calls, as a bare array",
    description="For older clients; `/v2/agent/{agent_id}/executions` also returns the total.",
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
    agent = agents.read_agent(services(), known_id(agent_id, "agent"), account_id=account_id(), deleted=True)
    return services().executions.page_of_agent(
        agent.agent_id,
        batches=services().batches.of_agent(agent.agent_id),
        page_number=page_number,
        page_size=page_size,
        status=status,
        batch_id=batch_id,
        created_from=created_from,
        created_to=created_to,
    )
