"""An execution as JSON, for the HTTP API and webhooks: plain dicts, ready for `json.dumps`.

One function renders both, so a webhook's body is what `GET /executions/{id}` would have returned at that time, plus
`type`.
The typed dicts define the rendered shapes and are the source of the API's documentation.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from typing_extensions import TypedDict  # pydantic needs this one on Python 3.11

from redial.domain import execution as domain
from redial.domain import retry
from redial.domain.decision import Gate, closed_by
from redial.domain.delivery import GONE, MOST_TRIES
from redial.domain.execution import Marker
from redial.domain.outcome import Price
from redial.domain.status import RETRYABLE, Status
from redial.domain.termination import (
    CallOutcome,
    HangupBy,
    TerminationReason,
    hangup_by,
    outcome_of,
    ring_seconds,
    termination_reason,
)
from redial.wire.stored_execution import INFORMS
from redial.wire.timestamps import Documented, Timestamp, rfc3339, rfc3339_or_none

Sequence = Annotated[int, Documented(description="Number of the latest event; each event's webhook carries its own.")]

_UNFILLED = Documented(description="Always null. Clients of the wire format expect the key.")
NoText = Annotated[str | None, _UNFILLED]
NoNumber = Annotated[float | None, _UNFILLED]
NoObject = Annotated[dict[str, Any] | None, _UNFILLED]


ProviderCode = Annotated[int | None, Documented(description="`hangup_code`, if it is an integer.")]
HangupCode = Annotated[
    str | None,
    Documented(description="The SIP code of the call's end or, if there is none, the carrier's own code, as text."),
]


class RetryConfigEcho(TypedDict):
    """The retry configuration of a call with its defaults filled in."""

    enabled: bool
    max_retries: int
    retry_on_statuses: list[Annotated[Status, Documented(type="string", enum=[*RETRYABLE])]]
    retry_on_voicemail: bool
    retry_intervals_minutes: list[int]


class RetryHistoryEntry(TypedDict):
    """How one attempt ended."""

    attempt: int
    status: Status
    at: Timestamp


class TelephonyData(TypedDict):
    """The latest attempt whose call was placed, or that ended without a call. A retry is shown from `initiated` on;
    until then, the previous attempt is shown."""

    to_number: str
    from_number: str | None
    provider: str
    provider_call_id: str | None
    duration: Annotated[str, Documented(description="Seconds of conversation, as digits.")]
    ring_duration: Annotated[
        int | None,
        Documented(description="Seconds from ringing to the answer, or to the end of an unanswered call."),
    ]
    call_type: Literal["outbound"]
    hangup_by: HangupBy | None
    hangup_reason: str | None
    hangup_provider_code: ProviderCode
    hangup_code: HangupCode
    recording_url: str | None


class ContextDetails(TypedDict):
    """The contact's number and data."""

    recipient_data: dict[str, Any]
    recipient_phone_number: str


class BatchRunDetails(TypedDict):
    """The contact's state within its batch."""

    status: str
    created_at: Timestamp
    updated_at: Timestamp
    retried: int


class ExecutionAttempt(TypedDict):
    """One attempt. Each time is null until it is reached."""

    attempt: int
    status: Status
    scheduled_at: Timestamp
    dialed_at: Timestamp | None
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    provider_call_id: str | None
    from_number: str | None
    hangup_reason: str | None
    hangup_provider_code: ProviderCode
    hangup_code: HangupCode
    voicemail: bool | None
    outcome: CallOutcome | None


class NextAttempt(TypedDict):
    """The attempt that waits for its time."""

    attempt: int
    at: Timestamp


class Execution(TypedDict):
    """One contact and all attempts to reach it."""

    id: str
    agent_id: str
    batch_id: str | None
    status: Status
    created_at: Timestamp
    updated_at: Timestamp
    scheduled_at: Timestamp | None
    rescheduled_at: Timestamp | None
    retry_config: RetryConfigEcho | None
    retry_count: int
    retry_history: list[RetryHistoryEntry] | None
    answered_by_voice_mail: bool | None
    conversation_duration: Annotated[float, Documented(description="Seconds; 0 without a conversation.")]
    error_message: str | None
    termination_reason: Annotated[
        TerminationReason | None,
        Documented(description="Why the attempt in telephony_data ended; null while it is in progress."),
    ]
    ended_because: Annotated[
        str | None, Documented(description="Why no further attempt follows; null until the execution is over.")
    ]
    outcome: Annotated[
        CallOutcome | None,
        Documented(description="How the attempt in telephony_data ended, in more detail than its status."),
    ]
    initiated_at: Timestamp | None
    user_number: str
    agent_number: str | None
    provider: str
    telephony_data: TelephonyData
    context_details: ContextDetails
    batch_run_details: BatchRunDetails | None
    attempts: list[ExecutionAttempt]
    next_attempt: NextAttempt | None
    sequence: Sequence
    purpose: Annotated[
        str | None, Documented(description="The requested purpose; null: its batch's or its agent's applies.")
    ]
    policy: Annotated[
        str | None,
        Documented(description="A single call's policy, with its version. A contact has its batch's policy."),
    ]
    expires_at: Annotated[
        Timestamp | None,
        Documented(description="No attempt starts at or after this time. For a contact, it is the batch's expiry."),
    ]
    transcript: NoText
    summary: NoText
    extracted_data: NoObject
    agent_extraction: NoObject
    total_cost: NoNumber
    cost_breakdown: NoObject
    usage_breakdown: NoObject
    transfer_call_data: NoObject


class ExecutionEvent(Execution):
    """The body of a webhook: the execution right after one change of its status."""

    type: Annotated[str, Documented(type="string", enum=[f"execution.{status}" for status in Status])]


class LogEntry(TypedDict):
    """One entry of an execution's log."""

    created_at: Timestamp
    type: str
    component: str
    provider: str | None
    data: Any


def render(execution: domain.Execution, sequence: int | None = None) -> Execution:
    """The execution as JSON: its current state, or its state right after event `sequence`.

    Raises `ValueError` if the execution's user data was not read.
    """
    if execution.user_data is None:
        raise ValueError(f"the user data of execution {execution.id} was not read")
    state = execution.state if sequence is None else execution.at_sequence(sequence)
    provider = execution.provider if sequence is None else execution.provider_at(sequence)
    attempt = state.shown
    agent_number = attempt.from_number or execution.from_number
    failed = attempt.status in (Status.FAILED, Status.ERROR)
    return {
        "id": execution.id,
        "agent_id": execution.agent_id,
        "batch_id": execution.batch_id,
        "status": state.status,
        "created_at": rfc3339(execution.created_at),
        "updated_at": rfc3339(state.updated_at),
        "scheduled_at": rfc3339_or_none(state.scheduled_at),
        "rescheduled_at": rfc3339_or_none(state.rescheduled_at),
        "retry_config": render_retry_config(execution.retry_config),
        "retry_count": state.attempt.number - 1,
        "retry_history": _history(execution, state),
        "answered_by_voice_mail": attempt.voicemail,
        "conversation_duration": attempt.duration_seconds or 0,
        "error_message": attempt.reason if failed else None,
        "termination_reason": termination_reason(attempt),
        "ended_because": state.ended,
        "outcome": outcome_of(attempt),
        "initiated_at": rfc3339_or_none(attempt.dialed_at if attempt.call_id is not None else None),
        "user_number": execution.user_number,
        "agent_number": agent_number,
        "provider": provider,
        "telephony_data": {
            "to_number": execution.user_number,
            "from_number": agent_number,
            "provider": provider,
            "provider_call_id": attempt.call_id,
            "duration": str(attempt.duration_seconds or 0),
            "ring_duration": ring_seconds(attempt),
            "call_type": "outbound",
            "hangup_by": hangup_by(attempt),
            "hangup_reason": attempt.reason,
            "hangup_provider_code": _integer(attempt.code),
            "hangup_code": attempt.code,
            "recording_url": None,
        },
        "context_details": {
            "recipient_data": execution.user_data,
            "recipient_phone_number": execution.user_number,
        },
        "batch_run_details": _batch_run(execution, state),
        "attempts": [_attempt(one) for one in state.attempts],
        "next_attempt": _next_attempt(state),
        "sequence": state.sequence,
        "purpose": execution.purpose,
        "policy": execution.policy,
        "expires_at": rfc3339_or_none(execution.expires_at),
        "transcript": None,
        "summary": None,
        "extracted_data": None,
        "agent_extraction": None,
        "total_cost": None,
        "cost_breakdown": None,
        "usage_breakdown": None,
        "transfer_call_data": None,
    }


def render_event(execution: domain.Execution, sequence: int) -> ExecutionEvent:
    """The body of event `sequence`'s webhook (1 is the first)."""
    body = render(execution, sequence)
    return {"type": f"execution.{body['status']}", **body}


def _batch_run(execution: domain.Execution, state: domain.State) -> BatchRunDetails | None:
    if execution.row is None:
        return None
    return {
        "status": state.status,
        "created_at": rfc3339(execution.created_at),
        "updated_at": rfc3339(state.updated_at),
        "retried": state.attempt.number - 1,
    }


def render_retry_config(config: retry.RetryConfig | None) -> RetryConfigEcho | None:
    """The complete configuration, with defaults filled in."""
    if config is None:
        return None
    return {
        "enabled": config.enabled,
        "max_retries": config.max_retries,
        "retry_on_statuses": list(config.retry_on_statuses),
        "retry_on_voicemail": config.retry_on_voicemail,
        "retry_intervals_minutes": list(config.retry_intervals_minutes),
    }


def _history(execution: domain.Execution, state: domain.State) -> list[RetryHistoryEntry] | None:
    if execution.retry_config is None:
        return None
    return [{"attempt": attempt, "status": status, "at": rfc3339(at)} for attempt, status, at in state.history]


def _attempt(attempt: domain.Attempt) -> ExecutionAttempt:
    return {
        "attempt": attempt.number,
        "status": attempt.status,
        "scheduled_at": rfc3339(attempt.scheduled_at),
        "dialed_at": rfc3339_or_none(attempt.dialed_at),
        "answered_at": rfc3339_or_none(attempt.answered_at),
        "ended_at": rfc3339_or_none(attempt.ended_at),
        "provider_call_id": attempt.call_id,
        "from_number": attempt.from_number,
        "hangup_reason": attempt.reason,
        "hangup_provider_code": _integer(attempt.code),
        "hangup_code": attempt.code,
        "voicemail": attempt.voicemail,
        "outcome": outcome_of(attempt),
    }


def _integer(code: str | None) -> int | None:
    return int(code) if code is not None and code.isascii() and code.isdigit() else None


def _next_attempt(state: domain.State) -> NextAttempt | None:
    at = state.next_time
    return None if at is None else {"attempt": state.attempt.number, "at": rfc3339(at)}


# ---- the log ------------------------------------------------------------------------------------------------------


def log(execution: domain.Execution, zones: tuple[str, ...] = ()) -> list[LogEntry]:
    """The execution's log, oldest first: its changes, and the last try of each webhook. `zones`: the time zones that
    the called number may be in, for local times in the texts; if empty, there are no local times."""
    entries = [(change.at, _change_entry(execution, change, zones)) for change in execution.changes]
    for tried in execution.delivery.log:
        accepted = tried.status is not None and 200 <= tried.status < 300
        over = tried.tries >= MOST_TRIES or tried.status == GONE
        outcome = "accepted" if accepted else "given up" if over else "failed"
        data = {"sequence": tried.sequence, "outcome": outcome, "tries": tried.tries, "http_status": tried.status}
        if tried.error:
            data["error"] = tried.error
        entries.append((tried.at, _entry(tried.at, "webhook", "deliver", None, data)))
    return [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]


_COMPONENTS = {
    Marker.CLAIMED: "dial",
    Marker.UNKNOWN: "dial",
    Marker.DEFERRED: "dial",
    Marker.STOPPING: "api",
    Status.QUEUED: "dial",
    Status.RESCHEDULED: "calling-window",
    Status.SCHEDULED: "retry",
    Status.STOPPED: "api",
}


def type_of(change: domain.Change) -> str:
    """A change's type in the log."""
    return change.kind.removeprefix(INFORMS)


def _change_entry(execution: domain.Execution, change: domain.Change, zones: tuple[str, ...]) -> LogEntry:
    data: dict[str, Any] = {"attempt": change.attempt}
    if change.until is not None:
        data["until"] = rfc3339(change.until)
    if change.count > 1:
        data["times"] = change.count
    details = {
        "provider_call_id": change.call_id,
        "from_number": change.from_number,
        "reason": change.reason,
        "code": change.code,
        "voicemail": change.voicemail,
        "duration_seconds": change.duration_seconds,
        "ring_seconds": change.ring_seconds,
        "hangup_by": change.hangup_by,
        "ended_because": change.ended,
    }
    data |= {name: value for name, value in details.items() if value is not None}
    if change.price is not None:
        price = Price.parse(change.price)
        data["price"] = {"amount": price.amount, "currency": price.currency}
    component = _COMPONENTS.get(change.kind, "carrier")
    if change.gates is not None:
        from redial.domain.explanation import results  # only the log needs it; webhooks are rendered here too

        data["gates"] = [
            {"gate": one.gate, "decision": one.verdict} | ({"rule": one.rule} if one.rule else {}) | {"text": one.text}
            for one in results(change, zones)
        ]
    gate = closed_by(change.gates)
    if gate in (Gate.CONTACT_LIMIT, Gate.CALLING_WINDOW, Gate.SCRUB, Gate.HOOK) and change.is_event:
        component = str(gate)
    if change is execution.changes[0]:
        component = "api"
    provider = execution.provider if component in ("carrier", "dial") else None
    return _entry(change.at, type_of(change), component, provider, data)


def _entry(at: datetime, kind: str, component: str, provider: str | None, data: dict[str, Any]) -> LogEntry:
    return {"created_at": rfc3339(at), "type": kind, "component": component, "provider": provider, "data": data}
