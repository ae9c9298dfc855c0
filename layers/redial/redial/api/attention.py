"""Routes of attention items: faults that hold calls until a person has mended them."""

from enum import StrEnum
from typing import Any

from aws_lambda_powertools.event_handler import Response
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.domain.circuit import Circuit, CircuitState
from redial.domain.outcome import Scope
from redial.usecases import attention
from redial.wire.timestamps import Timestamp, rfc3339_or_none

router = new_router()


# ---- models ---


class AttentionState(StrEnum):
    """`open`: the calls that it affects wait. `noticed`: the carrier refused calls, which wait; the others are still
    placed, since the fault may concern these numbers alone. `resuming`: calls are placed again, more each minute.
    `resolved`: nothing is held."""

    OPEN = "open"
    NOTICED = "noticed"
    RESUMING = "resuming"
    RESOLVED = "resolved"


class AttentionItem(TypedDict):
    """A fault that holds calls. `scope`, `value`: of which calls: all of the carrier account (null), those from a
    caller id, those to a country (ISO 3166, or a calling code such as `+800`), or those of an agent (its id). Of an
    agent, `provider` says which of its endpoints does not answer: `scrub` or `hook`. `code`: the carrier's error code;
    null: an outage, or the carrier names none. `next_try_at`: when a waiting call may try again."""

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


class AttentionList(TypedDict):
    """What holds calls now. Empty: nothing does."""

    data: list[AttentionItem]


_STATES = {
    CircuitState.OPEN: AttentionState.OPEN,
    CircuitState.RAMPING: AttentionState.RESUMING,
    CircuitState.CLOSED: AttentionState.NOTICED,
}
_AFTER = "Waiting calls then go on by themselves; POST /attention/{id}/resolve tries at once."
_WHAT_TO_DO = {
    Scope.ACCOUNT: f"Mend it in the carrier's console, or correct the carrier's secret. {_AFTER}",
    Scope.CALLER_ID: "Verify the number with the carrier, or take it out of the agent's, the batch's or the account's "
    f"from_phone_numbers. {_AFTER}",
    Scope.COUNTRY: "Allow calls to the country in the carrier's console, and complete the profile that it may require. "
    f"{_AFTER}",
    Scope.AGENT: "Mend the endpoint that the agent names as its scrub or its pre_dial_hook, or take it out of the "
    f"agent. {_AFTER}",
}
_OUTAGE = f"If the carrier has an outage, wait. {_AFTER}"


def attention_json(circuit: Circuit) -> AttentionItem:
    """An attention item as JSON."""
    state = _STATES[circuit.state]
    if state is AttentionState.NOTICED and not circuit.failures:
        state = AttentionState.RESOLVED
    is_outage = circuit.code is None and circuit.scope is Scope.ACCOUNT
    return {
        "id": attention.id_of(circuit),
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


# ---- routes ---


@router.get(
    "/attention",
    summary="What holds calls back",
    description="Faults that the carrier refuses calls for, and outages. Open ones come first. They cost no attempt: "
    "the calls that they affect wait, for 24 hours at most.",
    tags=["account"],
    operation_id="list_attention",
    responses=answers(200, "The account's attention items.", AttentionList),
)
def get_attention() -> Response[Any]:
    return answer(AttentionList(data=[attention_json(one) for one in attention.items(services(), account_id())]))


@router.post(
    "/attention/<item_id>/resolve",
    summary="Try again now",
    description="Once you have mended it. Of a carrier account the carrier is checked first, without a call. If it is "
    "not mended, the item stays, or opens again at the next refusal; no attempt is lost by that.",
    tags=["account"],
    operation_id="resolve_attention",
    responses=answers(200, "The item as it is now.", AttentionItem, 404, 409),
)
def resolve_attention(item_id: str) -> Response[Any]:
    found = attention.resolve(services(), account_id(), known_id(item_id, "attention item"))
    return answer(attention_json(found))
