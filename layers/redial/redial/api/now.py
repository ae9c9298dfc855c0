"""The route of the account at this moment, for a screen that shows it."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from pydantic import Field
from typing_extensions import TypedDict

from redial import __version__
from redial.api.answers import account_id, answer, answers, new_router, services
from redial.domain.circuit import Circuit, CircuitState
from redial.usecases.now import MOST_AGENTS, MOST_BATCHES, MOST_CALLS, MOST_UNDELIVERED, STEP, STEPS, Now, read_now
from redial.wire.stored_execution import DUE_SHARDS
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none

router = new_router()

_STEP_MINUTES = int(STEP.total_seconds()) // 60


# ---- models ---


class AgentLines(TypedDict):
    """An agent's lines."""

    agent_id: str
    agent_name: str
    max: int
    current: int


class LinesNow(TypedDict):
    """Live calls: the limit, and the present number, of the account and of each agent. `complete`: no agent is left
    out."""

    max: int
    current: int
    agents: list[AgentLines]
    complete: Annotated[bool, Field(description=f"False: the account has more than {MOST_AGENTS} agents.")]


class DueNow(TypedDict):
    """Calls that wait for a time: retries, scheduled calls, calls outside of calling hours. Not those that wait for a
    line, nor contacts that their batch has not started."""

    minutes: int
    step_minutes: int
    calls: Annotated[
        list[int], Field(min_length=STEPS, max_length=STEPS, description="How many become due in each step from now.")
    ]
    complete: Annotated[
        bool,
        Field(
            description=f"False: there may be more. At most {MOST_CALLS} calls of the stack, {MOST_CALLS} delayed "
            f"contacts of each of {MOST_BATCHES} batches, and {MOST_AGENTS} agents are read."
        ),
    ]


class CarrierNow(TypedDict):
    """A carrier that the agents use. `paused`: its calls fail, and wait, since `since` for `reason`; `resuming`: more
    are placed each minute. `account`: yours; each account has its own state."""

    name: str
    account: str
    state: Literal["ok", "paused", "resuming"]
    since: Timestamp | None
    reason: str | None


class NowRead(TypedDict):
    """The account at this moment. `at`: the server's time. `attention`: items of `GET /attention`. `undelivered`: calls
    and batches with undelivered events."""

    version: str
    at: Timestamp
    lines: LinesNow
    due: DueNow
    carriers: list[CarrierNow]
    attention: int
    undelivered: Annotated[int, Field(description=f"{MOST_UNDELIVERED}: that many or more.")]


_STATES: dict[CircuitState, Literal["ok", "paused", "resuming"]] = {
    CircuitState.CLOSED: "ok",
    CircuitState.OPEN: "paused",
    CircuitState.RAMPING: "resuming",
}


def now_json(found: Now) -> NowRead:
    """The account now as JSON."""
    return {
        "version": __version__,
        "at": rfc3339(found.at),
        "lines": {
            "max": sum(one.agent.max_concurrent_calls for one in found.agents),
            "current": sum(one.current for one in found.agents),
            "agents": [
                {
                    "agent_id": one.agent.agent_id,
                    "agent_name": one.agent.name,
                    "max": one.agent.max_concurrent_calls,
                    "current": one.current,
                }
                for one in found.agents
            ],
            "complete": found.agents_complete,
        },
        "due": {
            "minutes": STEPS * _STEP_MINUTES,
            "step_minutes": _STEP_MINUTES,
            "calls": list(found.due),
            "complete": found.due_complete,
        },
        "carriers": [_carrier(circuit) for circuit in found.carriers],
        "attention": found.attention,
        "undelivered": found.undelivered,
    }


def _carrier(circuit: Circuit) -> CarrierNow:
    return {
        "name": circuit.provider,
        "account": circuit.account_id,
        "state": _STATES[circuit.state],
        "since": rfc3339_or_none(circuit.resumed_at or circuit.opened_at),
        "reason": None if circuit.state is CircuitState.CLOSED else circuit.reason,
    }


# ---- routes ---


@router.get(
    "/now",
    summary="What happens now",
    description="Lines in use, calls that become due in the next hour, carriers, and what needs attention. For a "
    "screen that asks every few seconds: it costs two read units for each agent, and one for each call that is due.",
    tags=["account"],
    operation_id="get_now",
    responses=answers(200, "The account at this moment.", NowRead),
)
def get_now() -> Response[Any]:
    return answer(now_json(read_now(services(), account_id(), DUE_SHARDS)))
