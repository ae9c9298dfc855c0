"""The HTTP API, one request at a time: who is asking, what is asked, one use case, and its answer on the wire.

    authenticate ─► known path and method ─► readable body ─► validated ─► use case ─► answer
         401              404, 405              400, 413         400       404, 409, …

Whatever goes wrong anywhere is turned into an answer by one function, `_failure`.
"""

import base64
import binascii
import re
import threading
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Query
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.adapters import address_guard
from redial.adapters.batch_csv import CsvContacts, check_file
from redial.adapters.dynamodb.executions import Page
from redial.adapters.files import upload_key
from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.batch import Batch, BatchStatus, is_batch_id
from redial.domain.errors import Conflict, InvalidInput, NotFound, RedialError, TooLarge, Unauthorized
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.runtime import system, telemetry, wiring
from redial.usecases import accounts, agents, batches, create_call, replay, stop
from redial.usecases.carry_on_batch import found_by_row
from redial.usecases.tally import counts_of
from redial.wire import batch_json, batch_requests, execution_json, forms, requests
from redial.wire.timestamps import rfc3339

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.openapi.models import OpenAPI

MAX_BODY_BYTES = 256 * 1024
"""Largest body that is read; an agent's configuration is the largest that makes sense."""
MAX_CSV_BYTES = 4 * 1024 * 1024
"""Largest CSV that is an answer itself; a larger one is fetched from where it is stored."""
MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Largest answer that is sent: Lambda takes 6 MB, its own envelope included."""
MOST_UNDELIVERED = 100
"""Most executions in one answer of `GET /webhooks/undelivered`."""
MAX_SHOWN_PATH = 200
"""How much of an unknown path is repeated to whoever asked for it."""
PUBLIC = frozenset({"/docs", "/openapi.json", "/health"})
"""Paths that need no API key."""
JSON = "application/json"
CSV = "text/csv; charset=utf-8"
FORMS = re.compile(r"/batches(/[^/]+/schedule)?")
"""Paths whose bodies are forms."""
COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress"})
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

logger = telemetry.logger
_one_at_a_time = threading.Lock()
"""The resolver keeps the current request in class attributes. Lambda never overlaps requests; a local server may."""


class _MethodNotAllowed(RedialError):
    status = 405

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not possible here; use {' or '.join(allowed)}")
        self.allowed = allowed


class _Api(APIGatewayHttpResolver):
    """The resolver, able to say which methods a path has, and with a description that says what really comes back."""

    def routes_of(self, path: str) -> dict[str, Route]:
        """The routes of a path by their methods, none for an unknown path. `/v2/agent/all` has its own alone: there,
        `all` is no agent's id."""
        for routes in (self._static_routes, self._dynamic_routes):
            found = {route.method: route for route in routes if route.rule.fullmatch(path)}
            if found:
                return found
        return {}

    def methods(self, path: str) -> list[str]:
        """The methods of a path, none for an unknown path."""
        return sorted(self.routes_of(path))

    def get_openapi_schema(self, **arguments: Any) -> "OpenAPI":
        schema = super().get_openapi_schema(**arguments)
        for path in (schema.paths or {}).values():
            for operation in (path.get, path.put, path.post, path.delete, path.patch):
                if operation is not None and operation.responses is not None:
                    operation.responses.pop(422, None)  # invalid input answers 400
        if schema.components is not None and schema.components.schemas is not None:
            for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
                schema.components.schemas.pop(unused, None)
        return schema


app = _Api(enable_validation=True, json_body_deserializer=requests.read_json_object)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One API Gateway HTTP API event, payload version 2.0."""
    request = APIGatewayProxyEventV2(event)
    method, path = request.http_method.upper(), request.path
    account_id = None
    with _one_at_a_time:
        try:
            if path not in PUBLIC:
                account_id = accounts.authenticate(request.headers.get("authorization"), accounts=wiring.api().accounts)
            takes_json = _takes_json(_route(method, path))
            form = _check_body(request) if takes_json or _takes_form(method, path) else None
            if not takes_json:  # a form is read already, and where no body is wanted any is ignored
                event = {**event, "body": None, "isBase64Encoded": False}
            elif request.body:  # the resolver knows the media type only in this very spelling
                event = {**event, "headers": {**event["headers"], "content-type": JSON}}
            app.context.update(account_id=account_id, request_id=context.aws_request_id, form=form)
            answer = app.resolve(event, context)
        except Exception as error:  # noqa: BLE001  whatever it is, the caller gets an answer
            answer = _on_the_wire(_failure(error, context.aws_request_id))
    logger.info(
        "request",
        extra={
            "method": method,
            "path": telemetry.masked_text(path),
            "status": answer["statusCode"],
            "account_id": account_id,
            "gateway_request_id": request.request_context.request_id,
        },
    )
    return answer


def _route(method: str, path: str) -> Route:
    routes = app.routes_of(path)
    if not routes:
        raise NotFound(f"there is no {path[:MAX_SHOWN_PATH]}; GET /docs shows what there is")
    if method not in routes:
        raise _MethodNotAllowed(method, sorted(routes))
    return routes[method]


def _takes_json(route: Route) -> bool:
    return bool(route.dependant.body_params)


def _takes_form(method: str, path: str) -> bool:
    return method == "POST" and FORMS.fullmatch(path) is not None


def _check_body(request: APIGatewayProxyEventV2) -> forms.Form | None:
    """A body, where there is one, is JSON in UTF-8, or a form where one is wanted, and not too large; what it says is
    for the route to check. The form, where one is wanted."""
    wants_form = _takes_form(request.http_method.upper(), request.path)
    body = request.body
    if not body:
        return forms.Form() if wants_form else None
    try:
        raw = base64.b64decode(body, validate=True) if request.is_base64_encoded else body.encode()
    except binascii.Error as error:
        raise InvalidInput("the body is not valid base64") from error
    except UnicodeError as error:
        raise InvalidInput("the body is not UTF-8 text") from error
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in COMPRESSED:
        raise InvalidInput.of("Content-Encoding", f"send the body as it is, not compressed ({encoding})")
    content_type = request.headers.get("content-type", JSON)
    media_type = content_type.partition(";")[0].strip().lower()
    if wants_form and media_type in (forms.MULTIPART, forms.URLENCODED):
        if len(raw) > batch_requests.MAX_FORM_BYTES:
            raise TooLarge(batch_requests.TOO_LARGE_A_FILE)
        return forms.read_form(content_type, raw)
    if len(raw) > MAX_BODY_BYTES:
        raise TooLarge(f"a body may have {MAX_BODY_BYTES} bytes, this one has {len(raw)}")
    try:
        text = raw.decode()
    except UnicodeError as error:
        raise InvalidInput("the body is not UTF-8 text") from error
    if media_type != JSON:
        wanted = f"{forms.MULTIPART}, {forms.URLENCODED} or {JSON}" if wants_form else JSON
        raise InvalidInput.of("Content-Type", f"must be {wanted}, not {media_type or 'empty'}")
    return batch_requests.form_of_json(text) if wants_form else None


# ---- failures -----------------------------------------------------------------------------------------------------


def _on_exception(error: Exception) -> Response[Any]:
    return _failure(error, app.context.get("request_id", ""))


app.exception_handler(Exception)(_on_exception)


def _failure(error: Exception, request_id: str) -> Response[Any]:
    """The answer to anything that went wrong, in the contract's words; what nobody foresaw is logged and not shown."""
    headers: dict[str, str | list[str]] = {}
    if isinstance(error, RequestValidationError):
        errors = requests.field_errors(error.errors())
        error = InvalidInput("; ".join(f"{one.field}: {one.message}" for one in errors), errors)
    if not isinstance(error, RedialError):
        logger.exception("request failed", exc_info=error)
        message = f"something failed here; try again, and if it stays so, report request {request_id}"
        return _error(500, message, {"request_id": request_id}, headers)
    more: dict[str, Any] = {}
    if isinstance(error, InvalidInput) and error.errors:
        more["errors"] = [{"field": one.field, "message": one.message} for one in error.errors]
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, _MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return _error(error.status, error.message, more, headers)


def _error(status: int, message: str, more: dict[str, Any], headers: dict[str, str | list[str]]) -> Response[Any]:
    body = {"error": status, "message": message, "detail": message, **more}
    return Response(status_code=status, content_type=JSON, body=requests.to_json(body), headers=headers)


def _on_the_wire(response: Response[Any]) -> dict[str, Any]:
    """An answer given before the resolver had the request, in the form that the resolver gives its own."""
    return {
        "statusCode": response.status_code,
        "headers": response.headers,
        "body": response.body,
        "isBase64Encoded": False,
        "cookies": [],
    }


# ---- what every route documents and shares ------------------------------------------------------------------------

_MEANINGS = {
    400: "Invalid input; `errors` names each field at fault.",
    401: "No API key, or not a live one.",
    404: "Unknown, or another account's.",
    409: "True, but not now.",
    413: "Larger than one request or answer may be.",
    500: "Our fault; `request_id` says which request.",
}


def _answers(status: int, meaning: str, model: Any, *failures: int, headers: dict[str, Any] | None = None) -> Any:
    """The documented answers of a route: its success, and the failures it can have (401 and 500 go without saying)."""
    success: dict[str, Any] = {"description": meaning, "content": {JSON: {"model": model}}}
    if headers:
        success["headers"] = headers
    return {status: success} | {
        code: {"description": _MEANINGS[code], "content": {JSON: {"model": requests.ErrorBody}}}
        for code in sorted({*failures, 401, 500})
    }


def _answer(body: Any, status: int = 200, headers: dict[str, str | list[str]] | None = None) -> Response[Any]:
    """A success. Already text here, so that nothing walks through a long answer once more."""
    text = requests.to_json(body)
    if len(text) > MAX_ANSWER_BYTES:
        raise TooLarge("the answer is larger than can be sent at once; ask for a smaller page_size")
    return Response(status_code=status, content_type=JSON, body=text, headers=headers or {})


def _account_id() -> str:
    account_id: str = app.context["account_id"]
    return account_id


def _known_id(text: str, kind: str) -> str:
    """A UUID as it is stored; anything else is an id that nothing has."""
    return text.lower() if _UUID.fullmatch(text) else _no_such(text, kind)


def _no_such(text: str, kind: str) -> str:
    raise NotFound(f"there is no {kind} {text[: requests.MAX_ID_LENGTH]}")


def _allow_local() -> bool:
    return wiring.api().settings.allow_local_webhooks == "true"


def _check_webhook(url: str) -> None:
    address_guard.check(url, allow_local=_allow_local())


def _read_body() -> dict[str, Any]:
    """The body as it was sent, unknown keys included."""
    body: dict[str, Any] = app.current_event.json_body
    return body


# ---- calls --------------------------------------------------------------------------------------------------------


@app.post(
    "/call",
    summary="Call a contact, and again if that fails",
    tags=["calls"],
    operation_id="create_call",
    responses=_answers(
        200,
        "The call is taken on.",
        requests.CallCreated,
        *(400, 404, 409, 413),
        headers={
            "Idempotency-Replayed": {
                "description": "`true`: an earlier request with this Idempotency-Key had made the call.",
                "schema": {"type": "string", "enum": ["true"]},
            }
        },
    ),
)
def post_call(
    body: Annotated[requests.CallRequest, Body()],
    idempotency_key: Annotated[
        requests.IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="The same key with the same body answers the first answer again, for 24 hours.",
        ),
    ] = None,
) -> Response[Any]:
    world = wiring.api()
    call = body.to_new_call()
    call = replace(call, agent_id=_known_id(call.agent_id, "agent"))
    created = create_call.create_call(
        call,
        account_id=_account_id(),
        idempotency_key=idempotency_key,
        body_hash=requests.hash_of(_read_body()),
        executions=world.executions,
        agents=world.agents,
        idempotency=world.idempotency,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
        new_id=system.new_id,
    )
    telemetry.about(execution_id=created.execution.id)
    answer = {"message": "done", "status": "queued", "execution_id": created.execution.id}
    return _answer(answer, headers={"Idempotency-Replayed": "true"} if created.replayed else {})


@app.post(
    "/call/<execution_id>/stop",
    summary="Stop a call that waits",
    tags=["calls"],
    operation_id="stop_call",
    responses=_answers(200, "Stopped; nobody's phone rings.", requests.CallStopped, 400, 404),
)
def post_call_stop(execution_id: str) -> Response[Any]:
    world = wiring.api()
    stopped = stop.stop_execution(
        _known_id(execution_id, "execution"),
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"message": "done", "status": "stopped", "execution_id": stopped.id})


@app.post(
    "/v2/agent/<agent_id>/stop",
    summary="Stop every waiting call of an agent",
    tags=["calls"],
    operation_id="stop_agent",
    responses=_answers(200, "Stopped, with the agent's batches; live calls finish.", requests.AgentStopped, 404),
)
def post_agent_stop(agent_id: str) -> Response[Any]:
    world = wiring.api()
    stopped, stopped_batches = batches.stop_agent_with_batches(
        _known_id(agent_id, "agent"),
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"stopped_executions": stopped, "stopped_batches": stopped_batches})


# ---- executions ---------------------------------------------------------------------------------------------------


@app.get(
    "/executions/<execution_id>",
    summary="How a call stands",
    tags=["executions"],
    operation_id="get_execution",
    responses=_answers(200, "The execution as it is now.", requests.Execution, 404),
)
def get_execution(execution_id: str) -> Response[Any]:
    return _answer(execution_json.render(_execution(execution_id)))


@app.get(
    "/executions/<execution_id>/log",
    summary="What happened to a call",
    tags=["executions"],
    operation_id="get_execution_log",
    responses=_answers(200, "Everything, oldest first.", requests.ExecutionLog, 404),
)
def get_execution_log(execution_id: str) -> Response[Any]:
    return _answer({"status": "success", "data": execution_json.log(_execution(execution_id))})


def _execution(execution_id: str) -> Execution:
    execution = wiring.api().executions.get(_known_id(execution_id, "execution"))
    if execution is None or execution.account_id != _account_id():
        raise NotFound(f"there is no execution {execution_id}")
    return execution


PageNumber = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=50)]
OfStatus = Annotated[Status | None, Query(description="Only executions that stand there now.")]
OfBatch = Annotated[str | None, Query(max_length=requests.MAX_ID_LENGTH)]
CreatedFrom = Annotated[requests.Instant | None, Query(alias="from", description="Created at or after this.")]
CreatedTo = Annotated[requests.Instant | None, Query(alias="to", description="Created at or before this.")]


@app.get(
    "/v2/agent/<agent_id>/executions",
    summary="An agent's calls, newest first",
    tags=["executions"],
    operation_id="list_executions",
    responses=_answers(200, "One page of them.", requests.ExecutionPage, 400, 404),
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
    return _answer(
        {
            "page_number": page_number,
            "page": page_number,
            "page_size": page_size,
            "total": page.total,
            "has_more": page.has_more,
            "data": [execution_json.render(execution) for execution in page.executions],
        }
    )


@app.get(
    "/agent/<agent_id>/executions",
    summary="An agent's calls, as a bare array",
    description="For older clients; `/v2/agent/{agent_id}/executions` says also how many there are.",
    tags=["executions"],
    operation_id="list_executions_bare",
    responses=_answers(200, "One page of them.", list[requests.Execution], 400, 404),
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
    return _answer([execution_json.render(execution) for execution in page.executions])


def _page(
    agent_id: str,
    page_number: int,
    page_size: int,
    status: Status | None,
    batch_id: str | None,
    created_from: requests.Instant | None,
    created_to: requests.Instant | None,
) -> Page:
    world = wiring.api()
    agent = agents.read_agent(_known_id(agent_id, "agent"), account_id=_account_id(), agents=world.agents)
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


# ---- agents -------------------------------------------------------------------------------------------------------


@app.post(
    "/v2/agent",
    summary="Create an agent",
    tags=["agents"],
    operation_id="create_agent",
    status_code=201,
    responses=_answers(201, "It is there.", requests.AgentCreated, 400, 413),
)
def post_agent(body: Annotated[requests.AgentRequest, Body()]) -> Response[Any]:
    agent = agents.create_agent(
        _read_body(),
        account_id=_account_id(),
        agents=wiring.api().agents,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
        new_id=system.new_id,
    )
    return _answer({"agent_id": agent.agent_id, "state": "created"}, status=201)


@app.get(
    "/v2/agent/all",
    summary="All your agents, oldest first",
    tags=["agents"],
    operation_id="list_agents",
    responses=_answers(200, "All of them, or one page if page_size is given.", list[requests.AgentRead], 400, 413),
)
def get_agents(
    page_number: PageNumber = 1,
    page_size: Annotated[int | None, Query(ge=1, le=1000, description="All of them if left out.")] = None,
) -> Response[Any]:
    found = wiring.api().agents.all(_account_id())
    if page_size is not None:
        found = found[(page_number - 1) * page_size : page_number * page_size]
    return _answer([requests.agent_json(agent) for agent in found])


@app.get(
    "/v2/agent/<agent_id>",
    summary="An agent",
    tags=["agents"],
    operation_id="get_agent",
    responses=_answers(200, "The agent.", requests.AgentRead, 404),
)
def get_agent(agent_id: str) -> Response[Any]:
    agent = agents.read_agent(_known_id(agent_id, "agent"), account_id=_account_id(), agents=wiring.api().agents)
    return _answer(requests.agent_json(agent))


@app.put(
    "/v2/agent/<agent_id>",
    summary="Replace an agent",
    tags=["agents"],
    operation_id="replace_agent",
    responses=_answers(200, "It is as you said.", requests.AgentChanged, 400, 404, 409, 413),
)
def put_agent(agent_id: str, body: Annotated[requests.AgentRequest, Body()]) -> Response[Any]:
    world = wiring.api()
    agents.replace_agent(
        _known_id(agent_id, "agent"),
        _read_body(),
        account_id=_account_id(),
        agents=world.agents,
        lines=world.lines,
        functions=world.functions,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
    )
    return _answer({"message": "success", "state": "updated"})


@app.patch(
    "/v2/agent/<agent_id>",
    summary="Change parts of an agent",
    tags=["agents"],
    operation_id="patch_agent",
    responses=_answers(200, "It is as you said.", requests.AgentChanged, 400, 404, 409, 413),
)
def patch_agent(agent_id: str, body: Annotated[requests.AgentPatch, Body()]) -> Response[Any]:
    world = wiring.api()
    agents.patch_agent(
        _known_id(agent_id, "agent"),
        _read_body(),
        account_id=_account_id(),
        agents=world.agents,
        lines=world.lines,
        functions=world.functions,
        check_webhook=_check_webhook,
        allow_local=_allow_local(),
        now=system.now(),
    )
    return _answer({"message": "success", "state": "updated"})


@app.delete(
    "/v2/agent/<agent_id>",
    summary="Delete an agent and stop its waiting calls",
    tags=["agents"],
    operation_id="delete_agent",
    responses=_answers(200, "It is gone; live calls finish.", requests.AgentDeleted, 404, 409),
)
def delete_agent(agent_id: str) -> Response[Any]:
    world = wiring.api()
    agents.delete_agent(
        _known_id(agent_id, "agent"),
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"message": "success", "state": "deleted"})


# ---- batches ------------------------------------------------------------------------------------------------------


def _form_body(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The documentation of a route whose body is a form, by media type."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": one} for kind, one in schemas.items()}}}


def _form() -> forms.Form:
    form: forms.Form = app.context["form"]
    return form


def _batch_id(text: str) -> str:
    """A batch's id as it is stored; anything else is an id that nothing has."""
    return _hex_id(text) or _no_such(text, "batch")


def _hex_id(text: str) -> str | None:
    """The 32 hexadecimal digits of an id that is written so, or as a UUID."""
    known = text.replace("-", "").lower() if _UUID.fullmatch(text) else text.lower()
    return known if is_batch_id(known) else None


def _batch(batch_id: str) -> Batch:
    return batches.read_batch(_batch_id(batch_id), account_id=_account_id(), batches=wiring.api().batches)


@app.post(
    "/batches",
    summary="Create a batch from a CSV of contacts",
    description="`file` is checked as far as the time allows; what is wrong with a row is in the batch's rejected.csv.",
    tags=["batches"],
    operation_id="create_batch",
    status_code=201,
    openapi_extensions=_form_body(batch_requests.FORM_SCHEMAS),
    responses=_answers(201, "It is there; its file is being read.", batch_requests.BatchCreated, 400, 404, 409, 413),
)
def post_batch(
    idempotency_key: Annotated[
        requests.IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="The same key with the same fields and file answers the first answer again, for 24 hours.",
        ),
    ] = None,
) -> Response[Any]:
    world = wiring.api()
    form = _form()
    body = batch_requests.read_batch_request(form)
    file = form.files.get("file")
    if (file is None) == (body.upload_id is None):
        what = "send a CSV file, or upload_id" if file is None else "send either a file or upload_id, not both"
        raise InvalidInput.of("file", what)
    if file is not None and len(file[1]) > batch_requests.MAX_UPLOAD_BYTES:
        raise TooLarge(batch_requests.TOO_LARGE_A_FILE)
    if body.webhook_url is not None:
        try:
            _check_webhook(body.webhook_url)
        except address_guard.AddressRefused as error:
            raise InvalidInput.of("webhook_url", str(error)) from error
    new = body.to_new_batch(
        file, None if body.upload_id is None else upload_key(_account_id(), _upload_id(body.upload_id))
    )
    batch, replayed = batches.create_batch(
        replace(new, agent_id=_known_id(new.agent_id, "agent")),
        account_id=_account_id(),
        idempotency_key=idempotency_key,
        body_hash=requests.hash_of(
            [body.model_dump(mode="json"), None if file is None else requests.hash_of_bytes(file[1])]
        ),
        check_file=check_file,
        agents=world.agents,
        batches=world.batches,
        files=world.files(),
        idempotency=world.idempotency,
        functions=world.functions,
        now=system.now(),
        new_id=system.new_id,
    )
    headers: dict[str, str | list[str]] = {"Idempotency-Replayed": "true"} if replayed else {}
    return _answer({"batch_id": batch.id, "state": "created"}, status=201, headers=headers)


def _upload_id(text: str) -> str:
    """An upload's id as it was given out. Raises `NotFound` for anything else, which nobody can have put there."""
    known = _hex_id(text)
    if known is None:
        raise NotFound(f"upload_id: there is no upload {text[: requests.MAX_ID_LENGTH]}")
    return known


@app.post(
    "/batches/uploads",
    summary="An address for a large file",
    description="PUT the file there, then send `upload_id` to POST /batches in place of `file`.",
    tags=["batches"],
    operation_id="create_upload",
    status_code=201,
    responses=_answers(201, "PUT the file there within an hour.", batch_requests.UploadCreated, 400, 413),
)
def post_upload(
    body: Annotated[batch_requests.UploadRequest, Body()] = batch_requests.ANY_UPLOAD,
) -> Response[Any]:
    upload_id = system.new_id().replace("-", "")
    seconds = batch_requests.UPLOAD_SECONDS
    url = wiring.api().files().upload_url(upload_key(_account_id(), upload_id), seconds)
    until = rfc3339(batch_requests.expires_at(system.now(), seconds))
    return _answer({"upload_id": upload_id, "method": "PUT", "url": url, "expires_at": until}, status=201)


@app.get(
    "/batches/<batch_id>",
    summary="How a batch stands",
    tags=["batches"],
    operation_id="get_batch",
    responses=_answers(200, "The batch as it is now.", batch_requests.BatchRead, 404),
)
def get_batch(batch_id: str) -> Response[Any]:
    batch = _batch(batch_id)
    return _answer(batch_json.render(batch, counts_of(batch, wiring.api().batches), system.now()))


@app.get(
    "/batches/<agent_id>/all",
    summary="An agent's batches, newest first",
    tags=["batches"],
    operation_id="list_batches",
    responses=_answers(200, "All of them.", list[batch_requests.BatchRead], 404, 413),
)
def get_batches(agent_id: str) -> Response[Any]:
    world = wiring.api()
    agent = agents.read_agent(_known_id(agent_id, "agent"), account_id=_account_id(), agents=world.agents)
    now = system.now()
    found = world.batches.of_agent(agent.agent_id)
    return _answer([batch_json.render(batch, counts_of(batch, world.batches), now) for batch in found])


@app.get(
    "/batches/<batch_id>/executions",
    summary="A batch's calls, in the order of its file",
    tags=["batches"],
    operation_id="list_batch_executions",
    responses=_answers(200, "One page of them.", list[requests.Execution], 400, 404),
)
def get_batch_executions(batch_id: str, page_number: PageNumber = 1, page_size: PageSize = 20) -> Response[Any]:
    found = batches.page_of_batch(_batch(batch_id), page_number, page_size, wiring.api().executions)
    return _answer([execution_json.render(execution) for execution in found])


@app.post(
    "/batches/<batch_id>/schedule",
    summary="Set when a batch starts",
    tags=["batches"],
    operation_id="schedule_batch",
    openapi_extensions=_form_body(batch_requests.SCHEDULE_SCHEMAS),
    responses=_answers(200, "It starts then.", batch_requests.BatchChanged, 400, 404, 409, 413),
)
def post_batch_schedule(batch_id: str) -> Response[Any]:
    world = wiring.api()
    body = batch_requests.read_schedule_request(_form())
    batches.schedule_batch(
        _batch_id(batch_id),
        body.scheduled_at,
        body.bypass_call_guardrails,
        account_id=_account_id(),
        batches=world.batches,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"message": "success", "state": "scheduled"})


@app.post(
    "/batches/<batch_id>/stop",
    summary="Stop a batch that runs, or is to",
    tags=["batches"],
    operation_id="stop_batch",
    responses=_answers(200, "No call of it starts any more; live calls finish.", batch_requests.BatchChanged, 404),
)
def post_batch_stop(batch_id: str) -> Response[Any]:
    world = wiring.api()
    batches.stop_batch(
        _batch_id(batch_id),
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"message": "success", "state": "stopped"})


@app.post(
    "/batches/<batch_id>/pause",
    summary="Pause a batch",
    tags=["batches"],
    operation_id="pause_batch",
    responses=_answers(200, "No call of it starts until it is resumed.", batch_requests.BatchChanged, 404),
)
def post_batch_pause(batch_id: str) -> Response[Any]:
    _pause(batch_id, paused=True)
    return _answer({"message": "success", "state": "paused"})


@app.post(
    "/batches/<batch_id>/resume",
    summary="Go on with a paused batch",
    tags=["batches"],
    operation_id="resume_batch",
    responses=_answers(200, "It goes on where it was.", batch_requests.BatchChanged, 404),
)
def post_batch_resume(batch_id: str) -> Response[Any]:
    status = _pause(batch_id, paused=False).status
    return _answer({"message": "success", "state": "scheduled" if status is BatchStatus.SCHEDULED else "running"})


def _pause(batch_id: str, *, paused: bool) -> Batch:
    world = wiring.api()
    return batches.pause_batch(
        _batch_id(batch_id),
        paused,
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        functions=world.functions,
        now=system.now(),
    )


@app.delete(
    "/batches/<batch_id>",
    summary="Delete a batch and its contacts' data",
    description="Waiting calls are not made any more; the data of live ones goes when they are over.",
    tags=["batches"],
    operation_id="delete_batch",
    responses=_answers(200, "It is gone; its data is being removed.", batch_requests.BatchChanged, 404),
)
def delete_batch(batch_id: str) -> Response[Any]:
    world = wiring.api()
    batches.delete_batch(
        _batch_id(batch_id),
        account_id=_account_id(),
        executions=world.executions,
        agents=world.agents,
        batches=world.batches,
        lines=world.lines,
        timers=world.timers,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"message": "success", "state": "deleted"})


_CSV_ANSWERS = {
    200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    302: {"description": "The file is there, for five minutes."},
}


@app.get(
    "/batches/<batch_id>/results.csv",
    summary="The rows as uploaded, and what became of each",
    tags=["batches"],
    operation_id="get_batch_results",
    responses=_CSV_ANSWERS
    | _answers(202, "It is being written: ask again in a while.", batch_requests.ResultsPending, 404, 409),
)
def get_batch_results(batch_id: str) -> Response[Any]:
    world = wiring.api()
    batch = _batch(batch_id)
    if not batch.ingested:
        raise Conflict(_still_read(batch))
    if batch.valid <= batch_requests.MAX_DIRECT_ROWS:
        pieces = world.files().read(batches.contacts_key(batch.account_id, batch.id, "contacts"))
        lines = CsvContacts().results(pieces, lambda rows: found_by_row(batch, rows, world.executions))
        text = "".join(lines)
        if len(text.encode()) <= MAX_CSV_BYTES:
            return _csv(text, f"{batch.id}-results.csv")
    now = system.now()
    if batch.has_fresh_results(now):
        return _stored(batch, "results")
    batches.want_results(batch.id, account_id=_account_id(), batches=world.batches, functions=world.functions, now=now)
    answer = {"message": "the file is being written; ask again in half a minute", "state": "writing"}
    return _answer(answer, status=202, headers={"Retry-After": "30"})


@app.get(
    "/batches/<batch_id>/rejected.csv",
    summary="Every row that was not accepted, and why",
    tags=["batches"],
    operation_id="get_batch_rejected",
    responses=_CSV_ANSWERS | _answers(200, "", requests.ErrorBody, 404, 409) | {200: _CSV_ANSWERS[200]},
)
def get_batch_rejected(batch_id: str) -> Response[Any]:
    batch = _batch(batch_id)
    key = batches.contacts_key(batch.account_id, batch.id, "rejected")
    files = wiring.api().files()
    size = files.size(key) if batch.ingested else None
    if size is None:
        raise Conflict(_still_read(batch))
    if size > MAX_CSV_BYTES:
        return _stored(batch, "rejected")
    return _csv(b"".join(files.read(key)).decode(), f"{batch.id}-rejected.csv")


def _still_read(batch: Batch) -> str:
    if batch.is_over:
        return f"the batch's file was not read to its end: {batch.changes[-1].reason or batch.status}"
    return f"the batch's file is still being read ({batch.total} rows so far); ask again in a while"


def _csv(text: str, name: str) -> Response[Any]:
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(status_code=200, content_type=CSV, body=text, headers=headers)


def _stored(batch: Batch, name: str) -> Response[Any]:
    """Where the file is, for a while."""
    key = batches.contacts_key(batch.account_id, batch.id, name)
    url = wiring.api().files().download_url(key, batch_requests.DOWNLOAD_SECONDS)
    return Response(status_code=302, content_type=CSV, body="", headers={"Location": url})


# ---- account ------------------------------------------------------------------------------------------------------


@app.get(
    "/user/me",
    summary="Your account",
    tags=["account"],
    operation_id="get_user",
    responses=_answers(200, "Whose API key this is.", requests.UserRead),
)
def get_user() -> Response[Any]:
    world = wiring.api()
    account = accounts.read_account(_account_id(), accounts=world.accounts)
    calls = accounts.concurrency(account.account_id, agents=world.agents, lines=world.lines)
    concurrency = {"max": calls.max, "current": calls.current}
    carriers = [requests.carrier_json(world.circuits.get(account.account_id, DEFAULT_PROVIDER))]
    return _answer({"id": account.account_id, "name": account.name, "concurrency": concurrency, "carriers": carriers})


@app.get(
    "/phone-numbers/all",
    summary="The numbers your agents call from",
    tags=["account"],
    operation_id="list_phone_numbers",
    responses=_answers(200, "Each agent's, oldest agent first.", list[requests.PhoneNumberRead]),
)
def get_phone_numbers() -> Response[Any]:
    found = wiring.api().agents.all(_account_id())
    return _answer(
        [requests.phone_number_json(agent, number) for agent in found for number in agent.from_phone_numbers]
    )


# ---- webhooks -----------------------------------------------------------------------------------------------------


@app.get(
    "/webhooks/undelivered",
    summary="Events that your webhooks did not take",
    tags=["webhooks"],
    operation_id="list_undelivered",
    responses=_answers(200, f"At most {MOST_UNDELIVERED} calls and batches that have some.", requests.UndeliveredList),
)
def get_undelivered() -> Response[Any]:
    world = wiring.api()
    found = replay.list_undelivered(
        _account_id(),
        executions=world.executions,
        batches=world.batches,
        undelivered=world.undelivered,
        most=MOST_UNDELIVERED + 1,
    )
    shown = [requests.undelivered_json(one) for one in found[:MOST_UNDELIVERED]]
    return _answer({"data": shown, "has_more": len(found) > MOST_UNDELIVERED})


@app.post(
    "/executions/<execution_id>/webhooks/replay",
    summary="Send a call's undelivered events again",
    tags=["webhooks"],
    operation_id="replay_webhooks",
    responses=_answers(200, "They are in line, before all newer ones.", requests.ReplayStarted, 404),
)
def post_replay(execution_id: str) -> Response[Any]:
    world = wiring.api()
    execution_id = _known_id(execution_id, "execution")
    sequences = replay.replay_webhooks(
        execution_id,
        account_id=_account_id(),
        executions=world.executions,
        functions=world.functions,
        now=system.now(),
    )
    return _answer({"execution_id": execution_id, "replayed": list(sequences)})


@app.post(
    "/batches/<batch_id>/webhooks/replay",
    summary="Send a batch's undelivered events again",
    tags=["webhooks"],
    operation_id="replay_batch_webhooks",
    responses=_answers(200, "They are in line, before all newer ones.", batch_requests.BatchReplayStarted, 404),
)
def post_batch_replay(batch_id: str) -> Response[Any]:
    world = wiring.api()
    batch_id = _batch_id(batch_id)
    sequences = replay.replay_batch_webhooks(
        batch_id, account_id=_account_id(), batches=world.batches, functions=world.functions, now=system.now()
    )
    return _answer({"batch_id": batch_id, "replayed": list(sequences)})


# ---- the service itself -------------------------------------------------------------------------------------------


@app.get(
    "/health",
    summary="Whether the API answers",
    tags=["service"],
    operation_id="health",
    openapi_extensions={"security": []},
    responses={200: {"description": "It does.", "content": {JSON: {"model": requests.Healthy}}}},
)
def get_health() -> Response[Any]:
    return _answer({"status": "ok"})


@app.get(
    "/openapi.json",
    summary="This description",
    tags=["service"],
    operation_id="openapi",
    openapi_extensions={"security": []},
    responses={200: {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}},
)
def get_openapi() -> Response[Any]:
    return Response(status_code=200, content_type=JSON, body=openapi_document())


@cache
def openapi_document() -> str:
    """OpenAPI 3.1 of every route above, as JSON."""
    from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer  # 90 ms, and few ask for this

    return app.get_openapi_json_schema(
        title="Redial",
        version="1.0.0",
        description="Outbound phone calls, made again until somebody answers.",
        security_schemes={"apiKey": HTTPBearer(description="An API key of your account.")},
        security=[{"apiKey": []}],
    )


@app.get(
    "/docs",
    summary="This description, as a page for people",
    tags=["service"],
    operation_id="docs",
    compress=True,
    openapi_extensions={"security": []},
    responses={200: {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}}},
)
def get_docs() -> Response[Any]:
    return Response(status_code=200, content_type="text/html", body=_docs())


@cache
def _docs() -> str:
    """Swagger UI with its script and style sheet inside, so that the page asks nobody for anything."""
    from aws_lambda_powertools.event_handler.openapi import swagger_ui

    assets = Path(swagger_ui.__file__).parent
    script, style = ((assets / name).read_text() for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"))
    return swagger_ui.generate_swagger_html(openapi_document().replace("</", "<\\/"), script, style, "", None)
