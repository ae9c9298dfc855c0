"""The bodies of the batch routes: forms (or JSON of the same fields) read into models, and answers as models."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from redial.domain.batch import BatchStatus
from redial.domain.errors import InvalidInput
from redial.domain.status import Status
from redial.usecases.agents import MAX_FROM_PHONE_NUMBERS, MAX_URL_LENGTH
from redial.usecases.batches import NewBatch
from redial.wire.forms import MULTIPART, URLENCODED, Form
from redial.wire.requests import (
    E164_PATTERN,
    MAX_ID_LENGTH,
    WEBHOOK_URL_SCHEMA,
    Instant,
    PhoneNumber,
    RetryConfig,
    RetryConfigEcho,
    WebhookUrl,
    field_errors,
    read_json,
    read_json_object,
)

Model = TypeVar("Model", bound=BaseModel)
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
"""Largest file in a request: Lambda takes an event of 6 MB, and a file in it grows by a third (base64)."""
MAX_FORM_BYTES = MAX_UPLOAD_BYTES + 64 * 1024
"""Largest form: a file, and everything else."""
MAX_FILE_NAME_LENGTH = 200
UPLOAD_SECONDS = 3600
"""How long the address for an upload is good."""
DOWNLOAD_SECONDS = 300
MAX_DIRECT_ROWS = 10_000
"""Most contacts of a batch whose results are written into the answer itself."""
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
    """A batch to be made. Fields that are not listed are ignored."""

    agent_id: str
    upload_id: Annotated[str, Field(max_length=MAX_ID_LENGTH)] | None = Field(
        None, description="In place of `file`: what POST /batches/uploads gave."
    )
    from_phone_numbers: list[PhoneNumber] = Field(
        [],
        max_length=MAX_FROM_PHONE_NUMBERS,
        description="Caller ids in turn; repeated, or one JSON list. Else the agent's.",
    )
    retry_config: RetryConfig | None = Field(None, description="As in POST /call; in a form, as JSON text.")
    webhook_url: WebhookUrl | None = Field(
        None, description="Where the batch's own events go; its contacts' go to the agent's."
    )
    calls_per_second: float | None = Field(
        None, ge=LOWEST_RATE, le=HIGHEST_RATE, description="At most so many calls are started in a second."
    )
    retries_first: FormFlag = Field(True, description="Due retries go before first dials; `false`: after them.")
    bypass_call_guardrails: FormFlag = Field(False, description="Call outside the agent's calling hours too.")
    start: Literal["now"] | None = Field(None, description="`now`: it starts as soon as its file has been read.")

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
            start=self.start == "now",
        )


class ScheduleRequest(BaseModel):
    """When a batch is to start."""

    scheduled_at: Instant = Field(description="2 minutes to 30 days ahead.")
    bypass_call_guardrails: FormFlag = False


class UploadRequest(BaseModel):
    """An upload to be made."""

    file_name: Annotated[str, Field(max_length=MAX_FILE_NAME_LENGTH)] | None = None


ANY_UPLOAD = UploadRequest()
"""A request without a body."""


def read_batch_request(form: Form) -> BatchRequest:
    """Raises `InvalidInput`, naming each field at fault."""
    values: dict[str, Any] = {name: texts[-1] for name, texts in form.values.items() if texts[-1] != ""}
    numbers: list[Any] = []
    for name in ("from_phone_numbers", "from_phone_number", "from_phone_numbers[]"):
        for text in form.values.get(name, []):
            numbers += _numbers(text.strip())
    values["from_phone_numbers"] = numbers
    if "retry_config" in values:
        values["retry_config"] = _json_field("retry_config", values["retry_config"])
    return _validated(BatchRequest, values)


def read_schedule_request(form: Form) -> ScheduleRequest:
    """Raises `InvalidInput`, naming each field at fault."""
    return _validated(ScheduleRequest, {name: texts[-1] for name, texts in form.values.items()})


def form_of_json(text: str) -> Form:
    """A JSON object as the form that would say the same. Raises `InvalidInput`."""
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
        example = '{"enabled": true}' if name == "retry_config" else '["+12025550100"]'
        raise InvalidInput.of(name, f"must be JSON, such as {example}; {error.message}") from error


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        errors = field_errors(found)
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in errors), errors) from error


# ---- answers --------------------------------------------------------------------------------------------------------


class BatchCreated(BaseModel):
    """The batch is there; its file is being read."""

    batch_id: str
    state: Literal["created"]


class BatchChanged(BaseModel):
    """It is so."""

    message: Literal["success"]
    state: Literal["scheduled", "stopped", "paused", "running", "deleted"]


class UploadCreated(BaseModel):
    """Where to put a file, with one PUT, until `expires_at`."""

    upload_id: str
    method: Literal["PUT"]
    url: str
    expires_at: Instant


class BatchReplayStarted(BaseModel):
    """The sequences that are being sent again."""

    batch_id: str
    replayed: list[int]


class ResultsPending(BaseModel):
    """The file is being written: ask again."""

    message: str
    state: Literal["writing"]


class BatchRead(BaseModel):
    """A batch. Counts follow its contacts within a second or two, and are exact."""

    batch_id: str
    agent_id: str
    humanized_created_at: str
    created_at: Instant
    updated_at: Instant
    status: BatchStatus
    reason: str | None = Field(description="Why it is stopped or failed.")
    scheduled_at: Instant | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: int = Field(description="Rows accepted; rises while the file is being read.")
    rejected_contacts: int
    total_contacts: int
    execution_status: dict[Status, int] = Field(description="How many contacts stand where.")
    retry_config: RetryConfigEcho | None
    calls_per_second: float | None
    sequence: int = Field(description="Number of the latest event; each event's webhook carries its own.")
    paused: bool


def expires_at(now: datetime, seconds: int) -> datetime:
    """When an address that is given out at `now` is good no longer."""
    return datetime.fromtimestamp(now.timestamp() + seconds, now.tzinfo)


# Written out, for a model's own schema knows neither files nor what a form cannot say (null).
_FIELDS: dict[str, Any] = {
    "agent_id": {"type": "string", "minLength": 1},
    "upload_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_ID_LENGTH,
        "description": "In place of `file`: what POST /batches/uploads gave.",
    },
    "from_phone_numbers": {
        "type": "array",
        "items": {"type": "string", "pattern": E164_PATTERN, "examples": ["+14155550123"]},
        "maxItems": MAX_FROM_PHONE_NUMBERS,
        "description": "Caller ids in turn; repeated, or one JSON list. Else the agent's.",
    },
    "retry_config": {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "As in POST /call, as JSON text.",
        "examples": ['{"enabled": true}'],
    },
    "webhook_url": {
        "type": "string",
        "maxLength": MAX_URL_LENGTH,
        **WEBHOOK_URL_SCHEMA,
        "description": "Where the batch's own events go; its contacts' go to the agent's.",
    },
    "calls_per_second": {
        "type": "number",
        "minimum": LOWEST_RATE,
        "maximum": HIGHEST_RATE,
        "description": "At most so many calls are started in a second.",
    },
    "retries_first": {
        "type": "boolean",
        "default": True,
        "description": "Due retries go before first dials; `false`: after them.",
    },
    "bypass_call_guardrails": {
        "type": "boolean",
        "default": False,
        "description": "Call outside the agent's calling hours too.",
    },
    "start": {"type": "string", "enum": ["now"], "description": "`now`: it starts as soon as its file has been read."},
}
_FILE = {"type": "string", "format": "binary", "description": "CSV with a column contact_number."}
_RETRY_CONFIG = {"$ref": "#/components/schemas/RetryConfig"}
_WITHOUT_FILE = {"type": "object", "required": ["agent_id", "upload_id"]}
FORM_SCHEMAS: dict[str, dict[str, Any]] = {
    MULTIPART: {
        "type": "object",
        "properties": {**_FIELDS, "file": _FILE},
        "required": ["agent_id"],
        "oneOf": [{"required": ["file"]}, {"required": ["upload_id"]}],
    },
    URLENCODED: {**_WITHOUT_FILE, "properties": _FIELDS},
    "application/json": {**_WITHOUT_FILE, "properties": {**_FIELDS, "retry_config": _RETRY_CONFIG}},
}
"""What `POST /batches` takes, by media type: only `multipart/form-data` can carry a file."""
_SCHEDULE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scheduled_at": {"type": "string", "format": "date-time", "description": "2 minutes to 30 days ahead."},
        "bypass_call_guardrails": {"type": "boolean", "default": False},
    },
    "required": ["scheduled_at"],
}
SCHEDULE_SCHEMAS: dict[str, dict[str, Any]] = dict.fromkeys((MULTIPART, URLENCODED, "application/json"), _SCHEDULE)
"""What `POST /batches/{batch_id}/schedule` takes, by media type."""
