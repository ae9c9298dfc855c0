"""Routes of executions: read, explain or erase one, read its log, list an agent's."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.api.fields import MAX_ID_LENGTH, Instant, PageNumber, PageSize, PhoneNumber
from redial.api.listings import (
    DEFAULT_PAGE_SIZE,
    HEADERS,
    AnyPageNumber,
    AnyPageSize,
    CursorText,
    Paging,
    Part,
    paging,
    part,
)
from redial.domain import execution as domain
from redial.domain.errors import NotFound
from redial.domain.gates import Facts
from redial.domain.status import Status
from redial.ports import FILTER_LIMIT, Listing, Wanted
from redial.runtime import system
from redial.usecases import agents, erase, foresee, list_calls
from redial.usecases.stop import batch_that_ended
from redial.wire import execution_json, plan_json
from redial.wire.execution_json import Execution, LogEntry
from redial.wire.plan_json import Explanation

router = new_router()


# ---- models ---


class ExecutionPage(TypedDict):
    """One page of an agent's executions, newest first."""

    page_number: int
    page: int
    page_size: int
    total: int | None
    has_more: bool
    data: list[Execution]


class ExecutionLog(TypedDict):
    """The events of a call, oldest first, including webhook deliveries."""

    status: Literal["success"]
    data: list[LogEntry]


class ExecutionErased(TypedDict):
    """The call was erased. Its id is unknown from now on."""

    message: Literal["success"]
    state: Literal["deleted"]


# ---- routes ---


@router.get(
    "/executions/<execution_id>",
    summary="Get a call and its attempts",
    tags=["executions"],
    operation_id="get_execution",
    responses=answers(200, "The execution's current state.", Execution, 404),
)
def get_execution(execution_id: str) -> Response[Any]:
    return answer(execution_json.render(_shown(_execution(execution_id))))


@router.get(
    "/agent/<agent_id>/execution/<execution_id>",
    summary="Get a call of an agent",
    description="For older clients; `/executions/{execution_id}` returns the same.",
    tags=["executions"],
    operation_id="get_agent_execution",
    responses=answers(200, "The execution's current state.", Execution, 404),
)
def get_agent_execution(agent_id: str, execution_id: str) -> Response[Any]:
    execution = _execution(execution_id)
    if execution.agent_id != known_id(agent_id, "agent"):
        raise NotFound(f"there is no execution {execution_id}")
    return answer(execution_json.render(_shown(execution)))


@router.get(
    "/executions/<execution_id>/log",
    summary="Get a call's log",
    tags=["executions"],
    operation_id="get_execution_log",
    responses=answers(200, "The whole log, oldest first.", ExecutionLog, 404),
)
def get_execution_log(execution_id: str) -> Response[Any]:
    execution = _execution(execution_id)
    batch = batch_that_ended(services(), execution)
    ended = execution if batch is None else batch.end_contact(execution)
    agent = services().agents.get(execution.account_id, execution.agent_id)
    zones = () if execution.erased else Facts(system.now(), execution, agent).zones
    return answer(ExecutionLog(status="success", data=execution_json.log(ended, zones)))


@router.get(
    "/executions/<execution_id>/explain",
    summary="Explain why a call was dialled, waits or is over",
    description="Describes each attempt's gates, what the call waits for, and what happens if it keeps failing. Times"
    " are given in the time zones that the number may be in, as currently known.",
    tags=["executions"],
    operation_id="explain_execution",
    responses=answers(200, "The explanation.", Explanation, 404),
)
def get_execution_explanation(execution_id: str) -> Response[Any]:
    now = system.now()
    explained = foresee.explain(services(), _execution(execution_id), now)
    plan = explained.foreseen
    planned = None if plan is None else plan_json.render_plan(plan.plan, plan.zones, plan.warnings)
    shown = plan_json.render_explanation(
        explained.execution, explained.zones, explained.waits, explained.decisions, now, planned
    )
    return answer(shown)


@router.delete(
    "/executions/<execution_id>",
    summary="Erase a call that is over",
    description=(
        "Its user data and undelivered events are erased too. A contact of a batch stays in the batch's counts and "
        "lists, with its status only; its row in the batch's files is erased within minutes."
    ),
    tags=["executions"],
    operation_id="delete_execution",
    responses=answers(200, "Erased.", ExecutionErased, 404, 409),
)
def delete_execution(execution_id: str) -> Response[Any]:
    erase.erase_execution(services(), known_id(execution_id, "execution"), account_id=account_id(), now=system.now())
    return answer(ExecutionErased(message="success", state="deleted"))


def _execution(execution_id: str) -> domain.Execution:
    execution = services().executions.get(known_id(execution_id, "execution"))
    if execution is None or execution.account_id != account_id():
        raise NotFound(f"there is no execution {execution_id}")
    return execution


def _shown(execution: domain.Execution) -> domain.Execution:
    """The execution with its user data, as shown to customers. A waiting contact also reflects its batch's state, see
    `Batch.shown`. Raises `NotFound` if the execution was removed in the meantime."""
    complete = services().executions.with_user_data([execution])
    if not complete:
        raise NotFound(f"there is no execution {execution.id}")
    (execution,) = complete
    if execution.batch_id is None or not execution.state.is_waiting:
        return execution
    batch = services().batches.get(execution.batch_id)
    return execution if batch is None else batch.shown(execution)


PREPARED = "prepared"
"""A status of other platforms, which no execution has here."""


def _known_status(text: str) -> str:
    if text not in (*Status, PREPARED):
        raise ValueError(f"must be one of {', '.join((*Status, PREPARED))}")
    return text


StatusText = Annotated[str, AfterValidator(_known_status), Field(json_schema_extra={"enum": [*Status, PREPARED]})]
OfStatus = Annotated[
    StatusText | None,
    Query(
        description="Only executions whose current status is this. `prepared`, used by other platforms, matches none."
    ),
]
OfBatch = Annotated[str | None, Query(max_length=MAX_ID_LENGTH)]
CreatedFrom = Annotated[Instant | None, Query(alias="from", description="Created at or after this.")]
CreatedTo = Annotated[Instant | None, Query(alias="to", description="Created at or before this.")]
OfVoicemail = Annotated[
    bool | None, Query(description="Only executions whose `answered_by_voice_mail` is this; null matches neither.")
]
OfCallType = Annotated[Literal["outbound", "inbound"] | None, Query(description="Every call is `outbound`.")]
OfProvider = Annotated[str | None, Query(max_length=MAX_ID_LENGTH, description="Only calls of this carrier.")]
OfNumber = Annotated[
    PhoneNumber | None, Query(description="Only calls to this number, in any format that POST /call accepts.")
]
_LISTED = (
    "An unknown parameter is a 400. A filter by status, voicemail or provider searches at most "
    f"{FILTER_LIMIT:,} executions; above that, the response is 400: narrow `from` and `to`."
)


@router.get(
    "/v2/agent/<agent_id>/executions",
    summary="List an agent's calls, newest first",
    description=f"{_LISTED} `total` is null while the calls are still being counted.",
    tags=["executions"],
    operation_id="list_executions",
    responses=answers(200, "One page of calls.", ExecutionPage, 400, 404, 413, headers=HEADERS),
)
def get_agent_executions(
    agent_id: str,
    page_number: PageNumber = 1,
    page_size: PageSize = DEFAULT_PAGE_SIZE,
    cursor: CursorText = None,
    status: OfStatus = None,
    batch_id: OfBatch = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    answered_by_voice_mail: OfVoicemail = None,
    call_type: OfCallType = None,
    provider: OfProvider = None,
    user_number: OfNumber = None,
) -> Response[Any]:
    wanted = Wanted(_status(status), batch_id, created_from, created_to, answered_by_voice_mail, provider, user_number)
    none = status == PREPARED or call_type == "inbound"
    total, found = _part(agent_id, wanted, paging(page_number, page_size, cursor), none=none)
    page = ExecutionPage(
        page_number=page_number,
        page=page_number,
        page_size=page_size,
        total=total,
        has_more=found.has_more,
        data=found.rows,
    )
    return answer(page, headers=found.headers)


@router.get(
    "/agent/<agent_id>/executions",
    summary="List an agent's calls as a bare array",
    description=f"Lists all calls, newest first, unless `page_number` or `page_size` is given. {_LISTED}",
    tags=["executions"],
    operation_id="list_executions_bare",
    responses=answers(200, "All calls, or a part of them.", list[Execution], 400, 404, 413, headers=HEADERS),
)
def get_agent_executions_bare(
    agent_id: str,
    page_number: AnyPageNumber = None,
    page_size: AnyPageSize = None,
    cursor: CursorText = None,
    status: OfStatus = None,
    batch_id: OfBatch = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    answered_by_voice_mail: OfVoicemail = None,
    call_type: OfCallType = None,
    provider: OfProvider = None,
    user_number: OfNumber = None,
) -> Response[Any]:
    wanted = Wanted(_status(status), batch_id, created_from, created_to, answered_by_voice_mail, provider, user_number)
    none = status == PREPARED or call_type == "inbound"
    _, found = _part(agent_id, wanted, paging(page_number, page_size, cursor), none=none)
    return answer(found.rows, headers=found.headers)


def _status(text: str | None) -> Status | None:
    return None if text is None or text == PREPARED else Status(text)


def _part(agent_id: str, wanted: Wanted, asked: Paging, *, none: bool) -> tuple[int | None, Part]:
    """The total and the requested rows. `none`: no execution can match, so only the agent is checked."""
    agent_id = known_id(agent_id, "agent")
    if none:
        agents.read_agent(services(), agent_id, account_id=account_id(), deleted=True)
        listing = Listing(0, iter(()))
    else:
        listing = list_calls.list_calls(
            services(),
            agent_id,
            wanted,
            account_id=account_id(),
            after=asked.after,
            skip=asked.skip,
            most=asked.size + 1,
        )
    return listing.total, part(listing.rows, listing.total, asked, execution_json.render)
