"""The bodies of the HTTP API as pydantic models: requests, which they check, and answers, which they document.

Only the api function loads this (pydantic costs 55 ms). What a request model cannot know (an agent's existence, the
clock) the use cases check. Answers are not validated when they are sent: the tests hold each against its schema.
"""

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema

from redial.domain.agent import (
    DEFAULT_MAX_CALL_SECONDS,
    DEFAULT_MAX_CONCURRENT_CALLS,
    DEFAULT_PROVIDER,
    DEFAULT_RING_TIMEOUT_SECONDS,
    Agent,
)
from redial.domain.batch import Batch, BatchStatus
from redial.domain.circuit import Circuit, CircuitState
from redial.domain.errors import FieldError, InvalidInput
from redial.domain.retry import (
    DEFAULT_INTERVALS_MINUTES,
    DEFAULT_STATUSES,
    MAX_INTERVAL_MINUTES,
    MAX_RETRIES,
)
from redial.domain.retry import RetryConfig as RetryRule
from redial.domain.status import RETRYABLE, Status
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
from redial.usecases.create_call import EARLIEST, LATEST, NewCall
from redial.usecases.replay import UndeliveredEvents
from redial.wire.timestamps import rfc3339, rfc3339_or_none

MAX_USER_DATA_BYTES = 8 * 1024
"""Most that `user_data` may take as JSON: it is stored and sent with every event of its call."""
MAX_USER_DATA_DEPTH = 20
MAX_DEPTH = 100
"""Deepest nesting of a body. Python's own bound depends on its version and on who asks."""
MAX_INTERVALS = 100
"""Longest `retry_intervals_minutes`; only the first three can ever count."""
MAX_ID_LENGTH = 100
MAX_IDEMPOTENCY_KEY_LENGTH = 255

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""For the documentation; `redial.domain.phone_number` decides."""
WEBHOOK_URL_SCHEMA: dict[str, Any] = {
    "pattern": r"^https?://[^\s\x00-\x20\x7f-\x9f\\]+$",
    "examples": ["https://hooks.example.com/redial"],
}
"""For the documentation; `redial.adapters.address_guard` decides. http is possible on one machine only."""
_CARRIER_URL = r"([!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]|\{agent_id\}|\{execution_id\})+$"
"""For the documentation, after the scheme; `redial.usecases.agents` decides."""


# ---- reading ------------------------------------------------------------------------------------------------------


def read_json_object(text: str) -> dict[str, Any]:
    """A request's body. Raises `InvalidInput` for what `read_json` refuses, and for what is not an object."""
    value = read_json(text, "the body")
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object")
    return value


def read_json(text: str, what: str) -> Any:
    """The JSON value in `text`, which messages call `what`. Raises `InvalidInput` for what is not JSON (RFC 8259: no
    NaN, no infinity), is nested too deeply, or holds half a character (an unpaired surrogate), which no store and no
    webhook could carry."""
    try:
        value = json.loads(text, parse_constant=_not_a_number, parse_float=_finite)
        if _depth(value) > MAX_DEPTH:
            raise RecursionError
        canonical_json(value).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidInput(f"{what} is not valid JSON: {error.msg.lower()}, {where}") from error
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{what} holds an unpaired surrogate, which is not text") from error
    except RecursionError as error:
        raise InvalidInput(f"{what} is nested too deeply: {MAX_DEPTH} levels are the most") from error
    except ValueError as error:
        reason = "a number has too many digits" if "digits" in str(error) else error  # Python speaks to programmers
        raise InvalidInput(f"{what} is not valid JSON: {reason}") from error
    return value


def canonical_json(value: Any) -> str:
    """The same text for the same value: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def hash_of(body: Any) -> str:
    """SHA-256 of a body's meaning: neither spaces nor the order of keys count."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def hash_of_bytes(content: bytes) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def to_json(value: Any) -> str:
    """An answer's body."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _not_a_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _read_instant(value: Any) -> datetime:
    message = "must be a time in ISO 8601 with an offset, such as 2026-01-26T10:00:00Z or 2026-01-26T15:30:00+05:30"
    if not isinstance(value, str):
        raise ValueError(message)
    # In a query string an unescaped + has become a space by the time it arrives here.
    text = re.sub(r"(?<=\d) (?=\d\d:?\d\d$)", "+", value) if "T" in value else value
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError(message)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(message) from error


def _check_user_data(value: dict[str, Any]) -> dict[str, Any]:
    size = len(canonical_json(value).encode())
    if size > MAX_USER_DATA_BYTES:
        raise ValueError(f"may take {MAX_USER_DATA_BYTES} bytes as JSON, this takes {size}")
    if _depth(value) > MAX_USER_DATA_DEPTH:
        raise ValueError(f"may be nested {MAX_USER_DATA_DEPTH} deep")
    return value


def _depth(value: Any) -> int:
    depth, layer = 0, [value]
    while layer:
        depth += 1
        nested: list[Any] = []
        for one in layer:
            nested.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
        layer = [one for one in nested if isinstance(one, dict | list)]
    return depth


def _check_idempotency_key(value: str) -> str:
    if not 1 <= len(value) <= MAX_IDEMPOTENCY_KEY_LENGTH or not all(" " <= character <= "~" for character in value):
        raise ValueError(f"must be 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} printable ASCII characters")
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-26T10:00:00Z"]}),
]
"""A time on the wire: ISO 8601 with an offset; aware UTC once read."""
IdempotencyKey = Annotated[
    str,
    AfterValidator(_check_idempotency_key),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH, "pattern": "^[ -~]+$"}),
]
PhoneNumber = Annotated[str, Field(json_schema_extra={"pattern": E164_PATTERN, "examples": ["+14155550123"]})]
WebhookUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH, json_schema_extra=WEBHOOK_URL_SCHEMA)]
WholeNumber = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
RetryableStatus = Literal["no-answer", "busy", "failed", "error"]
assert tuple(RETRYABLE) == ("no-answer", "busy", "failed", "error")  # the literal above, which mypy wants spelt out


def field_errors(errors: Iterable[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """What pydantic found, in the contract's words: a dotted path without the part of the request it is in, and what
    to do about it."""
    return tuple(
        FieldError(".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]), _advice(error))
        for error in errors
    )


def _advice(error: Mapping[str, Any]) -> str:
    context: Mapping[str, Any] = error.get("ctx") or {}
    match error["type"]:
        case "missing" if len(error["loc"]) == 1:
            return "is required, and must be a JSON object"
        case "missing":
            return "is required"
        case "string_type":
            return "must be a text"
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "list_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be an object"
        case "enum" | "literal_error":
            return f"must be one of {str(context['expected']).replace(chr(39), '')}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "too_short":
            return f"must have at least {context['min_length']}"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']}"
        case "value_error":
            return str(context["error"])
        case _:
            message = str(error["msg"])
            return message[:1].lower() + message[1:]


# ---- calls --------------------------------------------------------------------------------------------------------


class RetryConfig(BaseModel):
    """Whether and when a call that failed is made again."""

    enabled: Flag = False
    max_retries: WholeNumber = Field(
        MAX_RETRIES, ge=1, le=MAX_RETRIES, description="Retries after the first dial: 3 means at most 4 calls."
    )
    retry_on_statuses: list[RetryableStatus] = Field(
        [str(status) for status in DEFAULT_STATUSES],  # type: ignore[misc]  # the assert above says they are the same
        description="How an attempt must have ended to be followed by another.",
    )
    retry_on_voicemail: Flag = Field(False, description="Also try again after a machine has answered.")
    retry_intervals_minutes: list[Annotated[WholeNumber, Field(ge=1, le=MAX_INTERVAL_MINUTES)]] = Field(
        list(DEFAULT_INTERVALS_MINUTES),
        min_length=1,
        max_length=MAX_INTERVALS,
        description="Minutes from the end of a failed attempt to the next. Fewer than the retries: the last repeats.",
    )

    def to_rule(self) -> RetryRule:
        return RetryRule(
            enabled=self.enabled,
            max_retries=self.max_retries,
            retry_on_statuses=tuple(dict.fromkeys(Status(status) for status in self.retry_on_statuses)),
            retry_on_voicemail=self.retry_on_voicemail,
            retry_intervals_minutes=tuple(self.retry_intervals_minutes),
        )


class CallRequest(BaseModel):
    """One contact to be called. Fields that are not listed are ignored."""

    agent_id: str
    recipient_phone_number: PhoneNumber
    from_phone_number: PhoneNumber | None = Field(None, description="One of your numbers; else the agent's.")
    scheduled_at: Instant | None = Field(
        None,
        description=f"When to call first, {EARLIEST.seconds // 60} minutes to {LATEST.days} days ahead; else at once.",
    )
    user_data: Annotated[dict[str, Any], AfterValidator(_check_user_data)] | None = Field(
        None,
        description=f"Anything about the contact, at most {MAX_USER_DATA_BYTES} bytes; sent back with every event.",
    )
    retry_config: RetryConfig | None = None
    bypass_call_guardrails: Flag = Field(False, description="Call outside the agent's calling hours too.")

    def to_new_call(self) -> NewCall:
        return NewCall(
            agent_id=self.agent_id,
            recipient_phone_number=self.recipient_phone_number,
            from_phone_number=self.from_phone_number,
            scheduled_at=self.scheduled_at,
            user_data=self.user_data or {},
            retry_config=self.retry_config.to_rule() if self.retry_config else None,
            bypass_call_guardrails=self.bypass_call_guardrails,
        )


class CallCreated(BaseModel):
    """The call is taken on; `status` is `queued` also when it is scheduled for later."""

    message: Literal["done"]
    status: Literal["queued"]
    execution_id: str


class CallStopped(BaseModel):
    """The call is over before anybody's phone rang."""

    message: Literal["done"]
    status: Literal["stopped"]
    execution_id: str


class AgentStopped(BaseModel):
    """Every call of the agent that was waiting and is stopped now."""

    stopped_executions: list[str]
    stopped_batches: list[str] = Field(description="Batches of the agent; their contacts are stopped with them.")


# ---- executions ---------------------------------------------------------------------------------------------------


class RetryConfigEcho(BaseModel):
    """The retry configuration of a call with its defaults filled in."""

    enabled: bool
    max_retries: int
    retry_on_statuses: list[RetryableStatus]
    retry_on_voicemail: bool
    retry_intervals_minutes: list[int]


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


# ---- agents -------------------------------------------------------------------------------------------------------


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


# ---- account ------------------------------------------------------------------------------------------------------


class ConcurrencyRead(BaseModel):
    """Live calls: the most that the account's agents may have together, and how many there are."""

    max: int
    current: int


class CarrierRead(BaseModel):
    """How a carrier does for the account: `open` while it fails for all calls, which then wait; `resuming` for some
    minutes after it works again."""

    provider: str
    circuit: CircuitState
    since: Instant | None
    next_try_at: Instant | None
    reason: str | None


def carrier_json(circuit: Circuit) -> dict[str, Any]:
    """A circuit as `CarrierRead` describes it; a closed one has neither times nor reason."""
    closed = circuit.state is CircuitState.CLOSED
    return {
        "provider": circuit.provider,
        "circuit": str(circuit.state),
        "since": rfc3339_or_none(circuit.resumed_at or circuit.opened_at),
        "next_try_at": rfc3339_or_none(circuit.next_try_at),
        "reason": None if closed else circuit.reason,
    }


class UserRead(BaseModel):
    """The account that the API key opens."""

    id: str
    name: str
    concurrency: ConcurrencyRead
    carriers: list[CarrierRead]


class PhoneNumberRead(BaseModel):
    """A number that an agent may call from."""

    id: str
    phone_number: str
    agent_id: str
    telephony_provider: str
    rented: bool


def phone_number_json(agent: Agent, number: str) -> dict[str, Any]:
    """One of an agent's numbers on the wire; the id is the same each time, and of the form that clients know."""
    return {
        "id": uuid.uuid5(uuid.UUID(agent.agent_id), number).hex,
        "phone_number": number,
        "agent_id": agent.agent_id,
        "telephony_provider": agent.provider,
        "rented": False,
    }


# ---- webhooks, health, errors -------------------------------------------------------------------------------------


class UndeliveredEvent(BaseModel):
    """An event that was given up. What is known of its last try is null where the log no longer holds it."""

    sequence: int
    status: Status | BatchStatus
    last_tried_at: Instant | None
    tries: int | None
    http_status: int | None
    error: str | None


class UndeliveredSubject(BaseModel):
    """An execution, or a batch, with events that were given up, oldest first. One of the two ids is null."""

    execution_id: str | None
    batch_id: str | None
    agent_id: str
    events: list[UndeliveredEvent]


class UndeliveredList(BaseModel):
    """Whose events were given up; `has_more`: there are others, listed once these are replayed."""

    data: list[UndeliveredSubject]
    has_more: bool


def undelivered_json(found: UndeliveredEvents) -> dict[str, Any]:
    """One execution's or batch's given-up events on the wire."""
    subject = found.subject
    is_batch = isinstance(subject, Batch)
    if isinstance(subject, Batch):
        statuses = {sequence: str(change.status) for sequence, change in enumerate(subject.changes, start=1)}
    else:
        statuses = {sequence: str(change.kind) for sequence, change in subject.events()}
    tried = {entry.sequence: entry for entry in found.tried}
    return {
        "execution_id": None if is_batch else subject.id,
        "batch_id": subject.id if is_batch else None,
        "agent_id": subject.agent_id,
        "events": [
            {
                "sequence": sequence,
                "status": statuses[sequence],
                "last_tried_at": rfc3339(tried[sequence].at) if sequence in tried else None,
                "tries": tried[sequence].tries if sequence in tried else None,
                "http_status": tried[sequence].status if sequence in tried else None,
                "error": tried[sequence].error if sequence in tried else None,
            }
            for sequence in subject.delivery.undelivered
        ],
    }


class ReplayStarted(BaseModel):
    """Events that are sent again, oldest first."""

    execution_id: str
    replayed: list[int] = Field(description="Their sequence numbers.")


class Healthy(BaseModel):
    """The API answers."""

    status: Literal["ok"]


class FieldErrorBody(BaseModel):
    """One thing wrong with one field."""

    field: str = Field(examples=["retry_config.max_retries"])
    message: str


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: int = Field(description="The HTTP status.", examples=[400])
    message: str = Field(description="What to do.")
    detail: str = Field(description="The same text.")
    errors: list[FieldErrorBody] | None = Field(None, description="Invalid input only: each field at fault.")
    request_id: str | None = Field(None, description="500 only: what to quote when you report it.")
