"""The route of numbers: what is known about a number, and whether it could be called now."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.api.contacts import InPath
from redial.api.number_rules import ConsentRead, SuppressionRead, consent_json, suppression_json
from redial.domain.contact_limits import ContactHistory, ContactLimits, cap_text
from redial.domain.explanation import made
from redial.domain.number_rules import RuleKind
from redial.runtime import system
from redial.usecases import foresee
from redial.wire.plan_json import GateRead, render_gates
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none

router = new_router()


# ---- models ---


class CalledNow(TypedDict):
    """Whether an attempt would be dialled now. `gates`: in order, up to the first that does not allow the attempt.
    `earliest_at`: when a call of the agent would be dialled; null: never, or no agent is given."""

    is_dialled: bool
    gates: list[GateRead]
    earliest_at: Timestamp | None
    warnings: list[str]


class LimitUse(TypedDict):
    """A cap that applies. `owner`: the account, the policy or the agent; `attempts`: how many of the `allowed` attempts
    are used, by all calls of the account to the number; `opens_at`: when the next is allowed, if none is now."""

    owner: str
    limit: Annotated[str, Field(examples=["3/24h"])]
    attempts: int
    allowed: int
    opens_at: Timestamp | None


class NumberRead(TypedDict):
    """What the account knows about a number."""

    phone_number: str
    countries: Annotated[list[str], Field(description="Countries that it may be in: ISO 3166 codes.")]
    time_zones: Annotated[
        list[str], Field(description="Time zones that it may be in: the agent's, or derived from the number.")
    ]
    suppressions: list[SuppressionRead]
    consents: list[ConsentRead]
    limits: Annotated[list[LimitUse], Field(description="Caps of the account, and of the agent or its policy.")]
    last_attempt_at: Timestamp | None
    last_conversation_at: Annotated[
        Timestamp | None, Field(description="When the last conversation within 31 days ended.")
    ]
    live_execution_id: Annotated[
        str | None, Field(description="The execution whose call to the number is being placed or is live.")
    ]
    now: CalledNow


# ---- routes ---


@router.get(
    "/numbers/<phone_number>",
    summary="Look up a number",
    description="Shows where the number is, its suppressions and consents, how much of its contact limits is used, and"
    " what the gates would decide about a call now: all gates for an agent; without one, only those that depend on the"
    " number alone.",
    tags=["contacts"],
    operation_id="get_number",
    responses=answers(200, "What is known about the number now.", NumberRead, 400, 404),
)
def get_number(
    phone_number: InPath,
    agent_id: Annotated[str | None, Query(description="Apply this agent's rules.")] = None,
) -> Response[Any]:
    now = system.now()
    agent_id = None if agent_id is None else known_id(agent_id, "agent")
    found = foresee.known_number(services(), phone_number, agent_id, account_id=account_id(), now=now)
    foreseen, facts = found.foreseen, found.facts
    history = facts.contact.history
    first = foreseen.plan.attempts[:1] if foreseen is not None else ()
    read: NumberRead = {
        "phone_number": phone_number,
        "countries": list(found.countries),
        "time_zones": list(facts.zones),
        "suppressions": [suppression_json(one) for one in facts.number_rules if one.kind is RuleKind.SUPPRESSION],
        "consents": [consent_json(one) for one in facts.number_rules if one.kind is RuleKind.CONSENT],
        "limits": [
            _use(owner, count, span, history, now) for owner, limits in facts.limits for count, span in limits.caps
        ],
        "last_attempt_at": rfc3339_or_none(max(history.attempts, default=None)),
        "last_conversation_at": rfc3339_or_none(history.talked_at),
        "live_execution_id": facts.contact.live,
        "now": {
            "is_dialled": found.decisions[-1].allows,
            "gates": render_gates(made(found.decisions, now, facts.zones)),
            "earliest_at": next((rfc3339(one.earliest_at) for one in first), None),
            "warnings": [] if foreseen is None else list(foreseen.warnings),
        },
    }
    return answer(read)


def _use(owner: str, count: int, span: timedelta, history: ContactHistory, now: datetime) -> LimitUse:
    opens = ContactLimits(((count, span),)).opens(now, history)
    return {
        "owner": owner,
        "limit": cap_text(count, span),
        "attempts": history.count(now, span),
        "allowed": count,
        "opens_at": None if opens is None else rfc3339(opens[0]),
    }
