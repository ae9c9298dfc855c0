"""Routes of batches: create from a CSV, schedule, pause, resume, stop, delete, read."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema, field_validator
from typing_extensions import TypedDict

from redial.api.answers import (
    CURRENT,
    JSON,
    MAX_ANSWER_BYTES,
    ErrorBody,
    account_id,
    answer,
    answers,
    call_quota,
    hex_id,
    key_pool,
    known_batch_id,
    known_id,
    new_router,
    note_details,
    note_resource,
    sent_size,
    services,
)
from redial.api.calling_guardrails import CallingGuardrails
from redial.api.fields import (
    EXAMPLE_AGENT_ID,
    MAX_EXPIRY_MINUTES,
    MAX_FROM_PHONE_NUMBERS,
    MAX_ID_LENGTH,
    NO_EMPTY_TEXT,
    IdempotencyKey,
    Instant,
    PhoneNumber,
    PolicyLabel,
    Purpose,
    WebhookUrl,
    WholeNumber,
    form_fields,
    hash_of,
    hash_of_bytes,
    not_with_expires_at,
    read_json,
    read_json_object,
    validated,
)
from redial.api.forms import MULTIPART, URLENCODED, Form
from redial.api.listings import HEADERS, AnyPageNumber, AnyPageSize, CursorText, paging, part, part_of
from redial.api.retry_config import RetryConfig
from redial.domain.batch import Batch, BatchStatus
from redial.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, TooLarge
from redial.ports import Position
from redial.runtime import system
from redial.usecases import agents, batches
from redial.usecases.batches import MAX_FILE_BYTES, NewBatch
from redial.usecases.count_batches import counts_of
from redial.usecases.run_batch import found_by_row
from redial.wire import batch_json, execution_json
from redial.wire.batch_json import BatchRead
from redial.wire.execution_json import Execution
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()


# ---- models ---


MAX_UPLOAD_BYTES = 4 * 1024 * 1024
"""Maximum file size in a request: Lambda takes events of 6 MB, and base64 adds a third."""
MAX_FORM_BYTES = MAX_UPLOAD_BYTES + 64 * 1024
"""Maximum form size: a file and all other fields."""
MAX_FILE_NAME_LENGTH = 200
UPLOAD_SECONDS = 3600
"""How long an upload URL is valid."""
DOWNLOAD_SECONDS = 300
"""How long a download URL is valid."""
MOST_BATCHES = 500
"""Maximum batches in one response: counting the contacts of each takes a request."""
MAX_DIRECT_ROWS = 10_000
"""Up to this many rows, the response contains the results; above it, they are a stored file."""
LOWEST_RATE, HIGHEST_RATE = 0.1, 100.0
TOO_LARGE_A_FILE = (
    f"file: may have {MAX_UPLOAD_BYTES} bytes in a request; for a larger one ask POST /batches/uploads for an address, "
    "PUT the file there, and send its upload_id in place of file"
)


def _flag(value: Any) -> Any:
    words = {"true": True, "1": True, "false": False, "0": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


FormFlag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]


class BatchRequest(BaseModel):
    """A batch to create. Unknown fields are ignored."""

    agent_id: Annotated[str, Field(json_schema_extra={"minLength": 1, "examples": [EXAMPLE_AGENT_ID]})]
    upload_id: Annotated[str, Field(max_length=MAX_ID_LENGTH, json_schema_extra={"minLength": 1})] | None = Field(
        None, description="The id from POST /batches/uploads, instead of `file`."
    )
    from_phone_numbers: list[PhoneNumber] = Field(
        [],
        max_length=MAX_FROM_PHONE_NUMBERS,
        description="Caller ids, used in turn: a repeated field or one JSON list. Default: the agent's.",
        json_schema_extra={"examples": [["+12025550100"]]},
    )
    retry_config: RetryConfig | None = Field(None, description="As in POST /call; in a form, as JSON text.")
    webhook_url: Annotated[WebhookUrl | None, NO_EMPTY_TEXT] = Field(
        None,
        description="Where the batch's own events go. Its contacts' events go to the agent's webhook. Empty: nowhere.",
    )
    calls_per_second: float | None = Field(
        None, ge=LOWEST_RATE, le=HIGHEST_RATE, description="Maximum calls started per second.", examples=[5]
    )
    retries_first: FormFlag = Field(
        True, description="Whether due retries go before first dials; `false`: after them.", examples=[True]
    )
    bypass_call_guardrails: FormFlag = Field(False, description="Also call outside calling hours.", examples=[False])
    calling_guardrails: CallingGuardrails | None = Field(
        None, description="Replaces the agent's; in a form, as JSON text."
    )
    purpose: Purpose | None = Field(None, description="The purpose of its calls, as in POST /call.")
    policy: Annotated[PolicyLabel | None, NO_EMPTY_TEXT] = Field(None, description="As in POST /call.", examples=[""])
    expires_at: Instant | None = Field(
        None, description="No attempt starts at or after this time; contacts are `canceled`.", examples=[""]
    )
    expires_after_minutes: Annotated[int, Field(ge=1, le=MAX_EXPIRY_MINUTES)] | None = Field(
        None,
        description="Like expires_at, in minutes after the batch's start. Give only one of the two.",
        examples=[""],
    )
    start: Annotated[Literal["now"], WithJsonSchema({"type": "string", "enum": ["now"]})] | None = Field(
        None, description="`now`: start the batch as soon as its file has been read."
    )

    _one_expiry = field_validator("expires_after_minutes")(not_with_expires_at)

    def to_new_batch(self, file: tuple[str, bytes] | None, upload_key: str | None) -> NewBatch:
        return NewBatch(
            agent_id=self.agent_id,
            file_name="" if file is None else file[0][-MAX_FILE_NAME_LENGTH:],
            content=None if file is None else file[1],
            upload_key=upload_key,
            from_phone_numbers=tuple(dict.fromkeys(self.from_phone_numbers)),
            retry_config=self.retry_config.to_rule() if self.retry_config else None,
            webhook_url=self.webhook_url,
            calls_per_second=self.calls_per_second,
            first_dials_first=not self.retries_first,
            bypass_call_guardrails=self.bypass_call_guardrails,
            calling_rule=self.calling_guardrails.to_rule() if self.calling_guardrails else None,
            start=self.start == "now",
            purpose=self.purpose,
            policy=self.policy,
            expires_at=self.expires_at,
            expires_after_minutes=self.expires_after_minutes,
        )


class ScheduleRequest(BaseModel):
    """When a batch starts."""

    scheduled_at: Instant = Field(description="2 minutes to 30 days ahead.")
    bypass_call_guardrails: FormFlag = False


class UploadRequest(BaseModel):
    """An upload to create."""

    size: Annotated[WholeNumber, Field(ge=0, le=MAX_FILE_BYTES)] = Field(
        description="The file's size in bytes; the URL accepts exactly this size.", examples=[12_345_678]
    )
    file_name: Annotated[str, Field(max_length=MAX_FILE_NAME_LENGTH)] | None = None


def read_batch_request(form: Form) -> BatchRequest:
    """Validate a form. Raises `InvalidInput`, naming each invalid field."""
    values: dict[str, Any] = {name: texts[-1] for name, texts in form.values.items() if texts[-1] != ""}
    numbers: list[Any] = []
    for name in ("from_phone_numbers", "from_phone_number", "from_phone_numbers[]"):
        for text in form.values.get(name, []):
            numbers += _numbers(text.strip())
    values["from_phone_numbers"] = numbers
    for name in _EXAMPLES.keys() & values.keys():
        values[name] = _json_field(name, values[name])
    return validated(BatchRequest, values)


def read_schedule_request(form: Form) -> ScheduleRequest:
    """Validate a form. Raises `InvalidInput`, naming each invalid field."""
    return validated(ScheduleRequest, {name: texts[-1] for name, texts in form.values.items()})


def form_of_json(text: str) -> Form:
    """A JSON object as the equivalent form. Raises `InvalidInput`."""
    form = Form()
    for name, value in read_json_object(text).items():
        values = value if isinstance(value, list) else [value]
        form.values[name] = [one if isinstance(one, str) else json.dumps(one) for one in values if one is not None]
        if not form.values[name]:
            del form.values[name]
    return form


def _numbers(text: str) -> list[Any]:
    if text.startswith("["):
        found = _json_field("from_phone_numbers", text)
        return found if isinstance(found, list) else [found]
    return [text] if text else []


def _json_field(name: str, text: str) -> Any:
    try:
        return read_json(text, "it")
    except InvalidInput as error:
        example = _EXAMPLES.get(name, '["+12025550100"]')
        raise InvalidInput.of(name, f"must be JSON, such as {example}; {error.message}") from error


_EXAMPLES = {
    "retry_config": '{"enabled": true}',
    "calling_guardrails": '{"call_start_hour": 9, "call_end_hour": 18}',
}
"""Form fields that contain JSON, each with an example."""


class BatchCreated(TypedDict):
    """The batch was created; its file is being read."""

    batch_id: str
    state: Literal["created"]


class BatchChanged(TypedDict):
    """The batch was changed."""

    message: Literal["success"]
    state: Literal["scheduled", "stopped", "paused", "running", "deleted"]


class UploadCreated(TypedDict):
    """The URL for one PUT of the file, valid until `expires_at`."""

    upload_id: str
    method: Literal["PUT"]
    url: str
    expires_at: Timestamp


class ResultsPending(TypedDict):
    """The file is being written; ask again later."""

    message: str
    state: Literal["writing"]


def form_bodies() -> dict[str, dict[str, Any]]:
    """The documented bodies of the routes that accept forms, by operation id. Computed on demand, because few requests
    need the documentation and schemas take milliseconds.

    Swagger UI fills in every field with its example and sends them all, so together they must be a valid request."""
    fields = form_fields(BatchRequest)
    for name, example in _EXAMPLES.items():
        fields[name] = {
            "type": "string",  # without contentMediaType, for which Swagger UI would ask for a file
            "description": "As in POST /call, as JSON text.",
            "examples": [example],
        }
    file = {"type": "string", "format": "binary", "description": "CSV with a column contact_number."}
    with_file = {
        "type": "object",
        "properties": {"file": file} | {name: schema for name, schema in fields.items() if name != "upload_id"},
        "required": ["agent_id", "file"],
    }
    without_file = {"type": "object", "properties": fields, "required": ["agent_id", "upload_id"]}
    nested = {
        **fields,
        "retry_config": {"$ref": "#/components/schemas/RetryConfig"},
        "calling_guardrails": {"$ref": "#/components/schemas/CallingGuardrails"},
    }
    times = form_fields(ScheduleRequest)
    del times["scheduled_at"]["examples"]  # a fixed example would soon be in the past
    schedule = {"type": "object", "properties": times, "required": ["scheduled_at"]}
    return {
        "create_batch": _body(
            {MULTIPART: with_file, URLENCODED: without_file, JSON: {**without_file, "properties": nested}}
        ),
        # One media type: openapi-python-client 0.29 generates code that fails for several without other parameters.
        "schedule_batch": _body({MULTIPART: schedule}),
    }


def _body(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema} for media_type, schema in schemas.items()}}


# ---- routes ---


def _form() -> Form:
    return CURRENT.get().form


def _batch(batch_id: str) -> Batch:
    return batches.read_batch(services(), known_batch_id(batch_id), account_id=account_id())


@router.post(
    "/batches",
    summary="Create a batch from a CSV of contacts",
    description="`file` is checked as far as time allows. Invalid rows are listed, with reasons, in the batch's"
    " rejected.csv.",
    tags=["batches"],
    operation_id="create_batch",
    status_code=201,
    responses=answers(201, "Created; its file is being read.", BatchCreated, 400, 404, 409, 413),
)
def post_batch(
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="Repeating the key with the same fields and file returns the first response, for 24 hours.",
        ),
    ] = None,
) -> Response[Any]:
    form = _form()
    body = read_batch_request(form)
    if body.start is not None and call_quota() is not None:
        raise Forbidden(
            "this API key has a quota of calls a day: leave out start, and schedule the batch once it is read"
        )
    file = form.files.get("file")
    if (file is None) == (body.upload_id is None):
        what = "send a CSV file, or upload_id" if file is None else "send either a file or upload_id, not both"
        raise InvalidInput.of("file", what)
    if file is not None and len(file[1]) > MAX_UPLOAD_BYTES:
        raise TooLarge(TOO_LARGE_A_FILE)
    if body.webhook_url is not None:
        try:
            services().check_webhook(body.webhook_url)
        except InvalidInput as error:
            raise InvalidInput.of("webhook_url", error.message) from error
    new = body.to_new_batch(
        file, None if body.upload_id is None else batches.upload_key(account_id(), _upload_id(body.upload_id))
    )
    batch, replayed = batches.create_batch(
        services(),
        replace(new, agent_id=known_id(new.agent_id, "agent")),
        account_id=account_id(),
        idempotency_key=idempotency_key,
        body_hash=hash_of([_hashed(body), None if file is None else hash_of_bytes(file[1])]),
        now=system.now(),
        key_pool=key_pool(),
    )
    note_resource("batch", batch.id)
    note_details(agent_id=batch.agent_id, start=body.start)
    headers: dict[str, str | list[str]] = {"Idempotency-Replayed": "true"} if replayed else {}
    return answer(BatchCreated(batch_id=batch.id, state="created"), status=201, headers=headers)


_LATER_FIELDS = frozenset({"purpose", "policy", "expires_at", "expires_after_minutes"})


def _hashed(body: BatchRequest) -> dict[str, Any]:
    """The part of the request that an Idempotency-Key covers: without null fields that earlier versions lack."""
    hashed = body.model_dump(mode="json")
    return {name: value for name, value in hashed.items() if value is not None or name not in _LATER_FIELDS}


def _upload_id(text: str) -> str:
    """Normalize an upload id; any other text raises `NotFound`."""
    upload_id = hex_id(text)
    if upload_id is None:
        raise NotFound(f"upload_id: there is no upload {text[:MAX_ID_LENGTH]}")
    return upload_id


@router.post(
    "/batches/uploads",
    summary="Get a URL to upload a large file",
    description="PUT the file to the URL (`curl -T`), then send `upload_id` to POST /batches instead of `file`.",
    tags=["batches"],
    operation_id="create_upload",
    status_code=201,
    responses=answers(201, "PUT the file to this URL within an hour.", UploadCreated, 400, 413),
)
def post_upload(
    body: Annotated[UploadRequest, Body()],
) -> Response[Any]:
    upload_id = system.new_id().replace("-", "")
    url = services().files.upload_url(batches.upload_key(account_id(), upload_id), UPLOAD_SECONDS, body.size)
    until = rfc3339(system.now() + timedelta(seconds=UPLOAD_SECONDS))
    return answer(UploadCreated(upload_id=upload_id, method="PUT", url=url, expires_at=until), status=201)


@router.get(
    "/batches/<batch_id>",
    summary="Get a batch, with its contacts counted by status",
    tags=["batches"],
    operation_id="get_batch",
    responses=answers(200, "The batch's current state.", BatchRead, 404),
)
def get_batch(batch_id: str) -> Response[Any]:
    batch = _batch(batch_id)
    return answer(_batch_json(batch))


@router.get(
    "/batches/<agent_id>/all",
    summary="List an agent's batches, newest first",
    tags=["batches"],
    operation_id="list_batches",
    responses=answers(200, "All batches, or a part of them.", list[BatchRead], 400, 404, 413, headers=HEADERS),
)
def get_batches(
    agent_id: str, page_number: AnyPageNumber = None, page_size: AnyPageSize = None, cursor: CursorText = None
) -> Response[Any]:
    asked = paging(page_number, page_size, cursor, MOST_BATCHES)
    agent = agents.read_agent(services(), known_id(agent_id, "agent"), account_id=account_id(), deleted=True)
    found = [(Position(one.created_at, one.id), one) for one in services().batches.of_agent(agent.agent_id)]
    shown = part_of(found, asked, _batch_json, newest_first=True)
    return answer(shown.rows, headers=shown.headers)


def _batch_json(batch: Batch) -> BatchRead:
    return batch_json.render(batch, batch.shown_counts(counts_of(services(), batch)), system.now())


@router.get(
    "/batches/<batch_id>/executions",
    summary="List a batch's calls, in the order of its file",
    description="Lists all calls, unless `page_number` or `page_size` is given. An unknown parameter is a 400.",
    tags=["batches"],
    operation_id="list_batch_executions",
    responses=answers(200, "All calls, or a part of them.", list[Execution], 400, 404, 413, headers=HEADERS),
)
def get_batch_executions(
    batch_id: str, page_number: AnyPageNumber = None, page_size: AnyPageSize = None, cursor: CursorText = None
) -> Response[Any]:
    asked = paging(page_number, page_size, cursor)
    batch = _batch(batch_id)
    first = (asked.skip if asked.after is None else asked.after.row) + 1
    rows = batches.contacts_from(services(), batch, first, asked.size + 1)
    shown = part(rows, batch.stored_to, asked, execution_json.render)
    return answer(shown.rows, headers=shown.headers)


@router.post(
    "/batches/<batch_id>/schedule",
    summary="Schedule a batch's start",
    description="The fields are also accepted URL-encoded or as a JSON object.",
    tags=["batches"],
    operation_id="schedule_batch",
    responses=answers(200, "Scheduled.", BatchChanged, 400, 404, 409, 413),
)
def post_batch_schedule(batch_id: str) -> Response[Any]:
    body = read_schedule_request(_form())
    batches.schedule_batch(
        services(),
        known_batch_id(batch_id),
        body.scheduled_at,
        body.bypass_call_guardrails,
        account_id=account_id(),
        now=system.now(),
        quota=call_quota(),
        key_pool=key_pool(),
    )
    note_details(scheduled_at=rfc3339(body.scheduled_at), bypass_call_guardrails=body.bypass_call_guardrails)
    return answer(BatchChanged(message="success", state="scheduled"))


@router.post(
    "/batches/<batch_id>/stop",
    summary="Stop a running or scheduled batch",
    tags=["batches"],
    operation_id="stop_batch",
    responses=answers(200, "Stopped: no further calls start; live calls finish.", BatchChanged, 404),
)
def post_batch_stop(batch_id: str) -> Response[Any]:
    batches.stop_batch(
        services(),
        known_batch_id(batch_id),
        account_id=account_id(),
        now=system.now(),
    )
    return answer(BatchChanged(message="success", state="stopped"))


@router.post(
    "/batches/<batch_id>/pause",
    summary="Pause a batch",
    tags=["batches"],
    operation_id="pause_batch",
    responses=answers(200, "Paused: no calls start until the batch is resumed.", BatchChanged, 404),
)
def post_batch_pause(batch_id: str) -> Response[Any]:
    _pause(batch_id, paused=True)
    return answer(BatchChanged(message="success", state="paused"))


@router.post(
    "/batches/<batch_id>/resume",
    summary="Resume a paused batch",
    tags=["batches"],
    operation_id="resume_batch",
    responses=answers(200, "Resumed.", BatchChanged, 404),
)
def post_batch_resume(batch_id: str) -> Response[Any]:
    status = _pause(batch_id, paused=False).status
    return answer(BatchChanged(message="success", state="scheduled" if status is BatchStatus.SCHEDULED else "running"))


def _pause(batch_id: str, *, paused: bool) -> Batch:
    return batches.pause_batch(
        services(),
        known_batch_id(batch_id),
        paused,
        account_id=account_id(),
        now=system.now(),
    )


@router.delete(
    "/batches/<batch_id>",
    summary="Delete a batch and its contacts' data",
    description="Waiting calls are stopped. The data of live calls is removed when they end.",
    tags=["batches"],
    operation_id="delete_batch",
    responses=answers(200, "Deleted; its data is being removed.", BatchChanged, 404),
)
def delete_batch(batch_id: str) -> Response[Any]:
    batches.delete_batch(
        services(),
        known_batch_id(batch_id),
        account_id=account_id(),
        now=system.now(),
    )
    return answer(BatchChanged(message="success", state="deleted"))


CSV = "text/csv; charset=utf-8"
_CSV_ANSWERS = {
    200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}}},
    302: {
        "description": "The file can be downloaded from this URL for five minutes.",
        "content": {},
        "headers": {"Location": {"description": "The URL.", "schema": {"type": "string", "format": "uri"}}},
    },
}


@router.get(
    "/batches/<batch_id>/results.csv",
    summary="Download the uploaded rows, each with its result",
    tags=["batches"],
    operation_id="get_batch_results",
    responses=_CSV_ANSWERS | answers(202, "The file is being written; ask again later.", ResultsPending, 404, 409),
)
def get_batch_results(batch_id: str) -> Response[Any]:
    batch = _batch(batch_id)
    if not batch.ingested:
        raise Conflict(_still_read(batch))
    if batch.valid <= MAX_DIRECT_ROWS:
        pieces = services().files.read(batches.contacts_key(batch.account_id, batch.id, "contacts"))
        lines = services().contacts.results(
            pieces,
            lambda rows: found_by_row(services(), batch, rows),
            premium=batch.premium_numbers,
            batch_id=batch.id,
            row_check=batch.rows,
        )
        text = "".join(lines)
        if sent_size(text) <= MAX_ANSWER_BYTES:
            return _csv(text, f"{batch.id}-results.csv")
    now = system.now()
    if batch.has_fresh_results(now):
        return _stored(batch, "results")
    batches.want_results(services(), batch.id, account_id=account_id(), now=now)
    pending = ResultsPending(message="the file is being written; ask again in half a minute", state="writing")
    return answer(pending, status=202, headers={"Retry-After": "30"})


@router.get(
    "/batches/<batch_id>/rejected.csv",
    summary="Download the rejected rows, each with the reason",
    tags=["batches"],
    operation_id="get_batch_rejected",
    responses=_CSV_ANSWERS | answers(200, "", ErrorBody, 404, 409) | {200: _CSV_ANSWERS[200]},
)
def get_batch_rejected(batch_id: str) -> Response[Any]:
    batch = _batch(batch_id)
    key = batches.contacts_key(batch.account_id, batch.id, "rejected")
    files = services().files
    size = files.size(key) if batch.ingested else None
    if size is None:
        raise Conflict(_still_read(batch))
    if size > MAX_ANSWER_BYTES:
        return _stored(batch, "rejected")
    text = b"".join(files.read(key)).decode()
    return _csv(text, f"{batch.id}-rejected.csv") if sent_size(text) <= MAX_ANSWER_BYTES else _stored(batch, "rejected")


def _still_read(batch: Batch) -> str:
    if batch.is_over:
        return f"the batch's file was not read to its end: {batch.changes[-1].reason or batch.status}"
    return f"the batch's file is still being read ({batch.total} rows so far); ask again in a while"


def _csv(text: str, name: str) -> Response[Any]:
    headers: dict[str, str | list[str]] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(status_code=200, content_type=CSV, body=text, headers=headers)


def _stored(batch: Batch, name: str) -> Response[Any]:
    """A redirect to the stored file."""
    key = batches.contacts_key(batch.account_id, batch.id, name)
    url = services().files.download_url(key, DOWNLOAD_SECONDS)
    return Response(status_code=302, content_type=CSV, body="", headers={"Location": url})
