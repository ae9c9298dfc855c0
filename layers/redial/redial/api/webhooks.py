"""Routes of webhooks: list undelivered events, send them now, and send a test event."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from redial.api.agent_config import checked_url
from redial.api.answers import JSON, account_id, answer, answers, known_batch_id, known_id, new_router, services
from redial.api.fields import CalledUrl
from redial.domain.batch import Batch, BatchStatus
from redial.domain.errors import InvalidInput
from redial.domain.status import Status
from redial.runtime import system
from redial.usecases import replay, webhook_test
from redial.usecases.replay import UndeliveredEvents
from redial.wire.attention_json import AttentionEvent
from redial.wire.batch_json import BatchEvent
from redial.wire.execution_json import ExecutionEvent
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()


# ---- models ---


MAX_UNDELIVERED = 100
"""Maximum executions and batches in one response of `GET /webhooks/undelivered`."""


class UndeliveredEvent(TypedDict):
    """An undelivered event. Details of its last try are null once the log no longer has them. `next_try_at`: when it is
    tried again; null: it was given up."""

    sequence: int
    status: Status | BatchStatus
    last_tried_at: Timestamp | None
    tries: int | None
    http_status: int | None
    error: str | None
    next_try_at: Timestamp | None


class UndeliveredSubject(TypedDict):
    """An execution or a batch with its undelivered events, oldest first: those given up, and the first pending one if
    it waits for its next try. One of the two ids is null."""

    execution_id: str | None
    batch_id: str | None
    agent_id: str
    events: list[UndeliveredEvent]


class UndeliveredList(TypedDict):
    """Executions and batches with undelivered events. `has_more`: there are more, which are listed once these are
    replayed."""

    data: list[UndeliveredSubject]
    has_more: bool


def undelivered_json(found: UndeliveredEvents) -> UndeliveredSubject:
    """The undelivered events of one execution or batch as JSON."""
    subject = found.subject
    is_batch = isinstance(subject, Batch)
    statuses: dict[int, Status | BatchStatus]
    if isinstance(subject, Batch):
        statuses = {sequence: change.status for sequence, change in enumerate(subject.changes, start=1)}
    else:
        statuses = {sequence: Status(change.kind) for sequence, change in subject.events()}
    tried = {entry.sequence: entry for entry in found.tried}
    next_try_at = subject.delivery.next_try_at

    def event(sequence: int) -> UndeliveredEvent:
        last = tried.get(sequence)
        return {
            "sequence": sequence,
            "status": statuses[sequence],
            "last_tried_at": rfc3339(last.at) if last else None,
            "tries": last.tries if last else None,
            "http_status": last.status if last else None,
            "error": last.error if last else None,
            "next_try_at": rfc3339(next_try_at) if next_try_at is not None and sequence == found.waiting else None,
        }

    return {
        "execution_id": None if is_batch else subject.id,
        "batch_id": subject.id if is_batch else None,
        "agent_id": subject.agent_id,
        "events": [event(sequence) for sequence in found.sequences],
    }


_HEADERS = {
    "webhook-id": "The same for every try of an event: the execution or batch, and its `sequence`.",
    "webhook-timestamp": "When the request was sent, in seconds since 1970.",
    "webhook-signature": "`v1,` and the signature, as in the Standard Webhooks specification; one per live secret.",
}


def documented_events() -> tuple[dict[str, Any], dict[str, Any]]:
    """OpenAPI's `webhooks`, and the schemas that they refer to, by name."""
    kinds = {
        "execution": (ExecutionEvent, "A call changed its status", "POST to the agent's `webhook_url`."),
        "batch": (BatchEvent, "A batch changed its status", "POST to the batch's `webhook_url`."),
        "account": (AttentionEvent, "An attention item opened or was resolved", "POST to the account's `webhook_url`."),
        "test": (
            WebhookTestEvent,
            "A test event",
            "POST to the URL of `POST /webhooks/test`. It is sent once; its `webhook-id` begins with `test-`.",
        ),
    }
    inputs: Any = [(name, "serialization", TypeAdapter(model)) for name, (model, *_) in kinds.items()]
    bodies, definitions = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    parameters = [
        {"name": name, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in _HEADERS.items()
    ]
    answers = {
        "2XX": {
            "description": "Accepted, if it arrives within 10 seconds. After any other response, it is sent again."
        },
        "410": {"description": "Given up: the event is not sent again."},
    }
    events = {
        name: {
            "post": {
                "tags": ["webhooks"],
                "summary": summary,
                "description": description,
                "operationId": f"on_{name}_event",
                "security": [],
                "parameters": parameters,
                "requestBody": {
                    "required": True,
                    "content": {JSON: {"schema": bodies[name, "serialization"]}},
                },
                "responses": answers,
            }
        }
        for name, (_, summary, description) in kinds.items()
    }
    return events, definitions["$defs"]


class WebhookTestEvent(TypedDict):
    """An event that only tests the delivery: answer it with 2xx. `agent_id`: the agent whose webhook is tested; null: a
    URL was given."""

    type: Literal["webhook.test"]
    agent_id: str | None
    at: Timestamp


class WebhookTest(BaseModel):
    """Where a test event goes: give an agent or a URL."""

    agent_id: Annotated[str | None, Field(description="Send it to the `webhook_url` of this agent.")] = None
    url: Annotated[
        CalledUrl | None, Field(description="Send it to this URL, which must be permitted as a webhook.")
    ] = None


class WebhookTestResult(TypedDict):
    """The result of a test event. `accepted`: the endpoint answered with 2xx within 10 seconds. `status_code`: null if
    there was no response. `error`: why there was none, or why it was not accepted."""

    webhook_id: str
    url: str
    accepted: bool
    status_code: int | None
    error: str | None
    milliseconds: int


class ReplayStarted(TypedDict):
    """The call's events that are sent now, oldest first: those given up and those that waited."""

    execution_id: str
    replayed: Annotated[list[int], Field(description="Their sequence numbers.")]


class BatchReplayStarted(TypedDict):
    """The batch's own events that are sent now, oldest first: those given up and those that waited."""

    batch_id: str
    replayed: list[int]


# ---- routes ---


@router.get(
    "/webhooks/undelivered",
    summary="List undelivered events",
    tags=["webhooks"],
    operation_id="list_undelivered",
    responses=answers(200, f"At most {MAX_UNDELIVERED} calls and batches with undelivered events.", UndeliveredList),
)
def get_undelivered() -> Response[Any]:
    found = replay.list_undelivered(
        services(),
        account_id(),
        most=MAX_UNDELIVERED + 1,
    )
    shown = [undelivered_json(one) for one in found[:MAX_UNDELIVERED]]
    return answer(UndeliveredList(data=shown, has_more=len(found) > MAX_UNDELIVERED))


@router.post(
    "/webhooks/test",
    summary="Send a test event",
    description="Sends one signed event of the type `webhook.test`, like a real event: to public addresses only,"
    " without redirects, within 10 seconds. It is not repeated, and nothing is stored. The limit is one a second for"
    " all accounts.",
    tags=["webhooks"],
    operation_id="test_webhook",
    responses=answers(200, "The result of the test.", WebhookTestResult, 400, 404, 413),
)
def post_test(body: Annotated[WebhookTest, Body()]) -> Response[Any]:
    if (body.agent_id is None) == (body.url is None):
        raise InvalidInput("give either agent_id or url")
    if body.url is not None:
        agent_id, url = None, checked_url("url", body.url, services().check_webhook)
    else:
        agent_id = known_id(body.agent_id or "", "agent")
        url = webhook_test.webhook_of(services(), agent_id, account_id=account_id())
    event = WebhookTestEvent(type="webhook.test", agent_id=agent_id, at=rfc3339(system.now()))
    sent = webhook_test.send_test(services(), url, event, account_id=account_id())
    return answer(
        WebhookTestResult(
            webhook_id=sent.webhook_id,
            url=sent.url,
            accepted=sent.answer.accepted,
            status_code=sent.answer.status,
            error=sent.answer.error,
            milliseconds=sent.milliseconds,
        )
    )


@router.post(
    "/executions/<execution_id>/webhooks/replay",
    summary="Send a call's undelivered events now",
    tags=["webhooks"],
    operation_id="replay_webhooks",
    responses=answers(200, "Queued: first events given up, then waiting ones.", ReplayStarted, 404),
)
def post_replay(execution_id: str) -> Response[Any]:
    execution_id = known_id(execution_id, "execution")
    sequences = replay.replay_webhooks(
        services(),
        execution_id,
        account_id=account_id(),
        now=system.now(),
    )
    return answer(ReplayStarted(execution_id=execution_id, replayed=list(sequences)))


@router.post(
    "/batches/<batch_id>/webhooks/replay",
    summary="Send a batch's undelivered events now",
    tags=["webhooks"],
    operation_id="replay_batch_webhooks",
    responses=answers(200, "Queued: first events given up, then waiting ones.", BatchReplayStarted, 404),
)
def post_batch_replay(batch_id: str) -> Response[Any]:
    batch_id = known_batch_id(batch_id)
    sequences = replay.replay_batch_webhooks(services(), batch_id, account_id=account_id(), now=system.now())
    return answer(BatchReplayStarted(batch_id=batch_id, replayed=list(sequences)))
