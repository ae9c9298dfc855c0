"""The route of numbers: what is known about one, and what would happen if it were called now."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.api.contacts import InPath
from redial.api.number_rules import ConsentRead, SuppressionRead, consent_json, suppression_json
from redial.domain.explanation import made
from redial.domain.number_rules import RuleKind
from redial.runtime import system
from redial.usecases import foresee
from redial.wire.plan_json import GateRead, render_gates
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()


# ---- models ---


class CalledNow(TypedDict):
    """What would become of an attempt now. `gates`: in order, up to the first that does not allow it. `earliest_at`:
    when a call of the agent would be dialled; null: never, or no agent is named."""

    is_dialled: bool
    gates: list[GateRead]
    earliest_at: Timestamp | None
    warnings: list[str]


class NumberRead(TypedDict):
    """A number, as the account knows it."""

    phone_number: str
    countries: Annotated[list[str], Field(description="Those that it may be in: ISO 3166 codes.")]
    time_zones: Annotated[list[str], Field(description="Those that it may be in: the agent's, or by its prefix.")]
    suppressions: list[SuppressionRead]
    consents: list[ConsentRead]
    now: CalledNow


# ---- routes ---


@router.get(
    "/numbers/<phone_number>",
    summary="What is known about a number",
    description="Where it is, its suppressions and consents, and what the gates would decide about a call now: all of"
    " them for an agent, and without one those that depend on the number alone.",
    tags=["contacts"],
    operation_id="get_number",
    responses=answers(200, "The number, as it is now.", NumberRead, 400, 404),
)
def get_number(
    phone_number: InPath,
    agent_id: Annotated[str | None, Query(description="For a call of this agent, by its rules.")] = None,
) -> Response[Any]:
    now = system.now()
    agent_id = None if agent_id is None else known_id(agent_id, "agent")
    found = foresee.known_number(services(), phone_number, agent_id, account_id=account_id(), now=now)
    foreseen = found.foreseen
    first = foreseen.plan.attempts[:1] if foreseen is not None else ()
    read: NumberRead = {
        "phone_number": phone_number,
        "countries": list(found.countries),
        "time_zones": list(found.zones),
        "suppressions": [suppression_json(one) for one in found.rules if one.kind is RuleKind.SUPPRESSION],
        "consents": [consent_json(one) for one in found.rules if one.kind is RuleKind.CONSENT],
        "now": {
            "is_dialled": found.decisions[-1].allows,
            "gates": render_gates(made(found.decisions, now, found.zones)),
            "earliest_at": next((rfc3339(one.earliest_at) for one in first), None),
            "warnings": [] if foreseen is None else list(foreseen.warnings),
        },
    }
    return answer(read)
