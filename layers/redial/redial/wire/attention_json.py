"""Attention items as JSON, for the HTTP API and webhooks."""

from enum import StrEnum

from typing_extensions import TypedDict  # pydantic needs this one on Python 3.11

from redial.domain.account_event import AccountEvent, AccountEventKind
from redial.domain.circuit import Circuit, CircuitState
from redial.domain.outcome import Scope
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none


class AttentionState(StrEnum):
    """`open`: affected calls wait. `noticed`: the carrier refused some calls, which wait; other calls are still placed,
    because the fault may concern only these numbers. `resuming`: calls are placed again, more each minute. `resolved`:
    no call is held."""

    OPEN = "open"
    NOTICED = "noticed"
    RESUMING = "resuming"
    RESOLVED = "resolved"


class AttentionItem(TypedDict):
    """A fault that holds calls. `scope` and `value` say which calls: all of the carrier account (null), those from a
    caller id, those to a country (ISO 3166, or a calling code such as `+800`), or those of an agent (its id). For an
    agent, `provider` is the endpoint that does not respond: `scrub` or `hook`. `code`: the carrier's error code; null
    for an outage, or if the carrier gives none. `next_try_at`: when a waiting call may try again."""

    id: str
    provider: str
    scope: Scope
    value: str | None
    state: AttentionState
    reason: str | None
    code: str | None
    what_to_do: str
    opened_at: Timestamp | None
    next_try_at: Timestamp | None


class AttentionEvent(AttentionItem):
    """The attention item's state at the time `at`, when it opened or its calls were released."""

    type: AccountEventKind
    at: Timestamp


_STATES = {
    CircuitState.OPEN: AttentionState.OPEN,
    CircuitState.RAMPING: AttentionState.RESUMING,
    CircuitState.CLOSED: AttentionState.NOTICED,
}
_AFTER = "Waiting calls then continue automatically; POST /attention/{id}/resolve retries at once."
_WHAT_TO_DO = {
    Scope.ACCOUNT: f"Fix it in the carrier's console, or correct the carrier's secret. {_AFTER}",
    Scope.CALLER_ID: "Verify the number with the carrier, or remove it from the agent's, the batch's or the account's "
    f"from_phone_numbers. {_AFTER}",
    Scope.COUNTRY: "Allow calls to the country in the carrier's console, and complete the profile that it may require. "
    f"{_AFTER}",
    Scope.AGENT: "Fix the endpoint that the agent uses as its scrub or pre_dial_hook, or remove it from the agent. "
    f"{_AFTER}",
}
_OUTAGE = f"If the carrier has an outage, wait. {_AFTER}"


def attention_json(circuit: Circuit) -> AttentionItem:
    """An attention item as JSON."""
    state = _STATES[circuit.state]
    if state is AttentionState.NOTICED and not circuit.failures:
        state = AttentionState.RESOLVED
    is_outage = circuit.code is None and circuit.scope is Scope.ACCOUNT
    return {
        "id": str(circuit.attention_id),
        "provider": circuit.provider,
        "scope": circuit.scope,
        "value": circuit.value or None,
        "state": state,
        "reason": circuit.reason,
        "code": circuit.code,
        "what_to_do": _OUTAGE if is_outage else _WHAT_TO_DO[circuit.scope],
        "opened_at": rfc3339_or_none(circuit.opened_at or circuit.failing_since),
        "next_try_at": rfc3339_or_none(circuit.next_try_at),
    }


def render_event(event: AccountEvent, sequence: int) -> AttentionEvent:
    """The body of the event's webhook."""
    return {"type": event.kind, "at": rfc3339(event.created_at), **attention_json(event.circuit)}
