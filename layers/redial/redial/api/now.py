"""The route for the account's current activity, for a live screen."""

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
    """Live calls: the limit and the current number, for the account and for each agent. `complete`: whether all agents
    are listed."""

    max: int
    current: int
    agents: list[AgentLines]
    complete: Annotated[bool, Field(description=f"False: the account has more than {MOST_AGENTS} agents.")]


class DueNow(TypedDict):
    """Calls that wait for a time: retries, scheduled calls, calls outside calling hours. Calls that wait for a line and
    contacts that their batch has not started are not included."""

    minutes: int
    step_minutes: int
    calls: Annotated[
        list[int], Field(min_length=STEPS, max_length=STEPS, description="Calls that become due in each step from now.")
    ]
    complete: Annotated[
        bool,
        Field(
            description=f"False: there may be more. At most {MOST_CALLS} calls of the stack, {MOST_CALLS} delayed "
            f"contacts in each of {MOST_BATCHES} batches, and {MOST_AGENTS} agents are read."
        ),
    ]


class CarrierNow(TypedDict):
    """A carrier that the agents use. `paused`: its calls have failed since `since` because of `reason`, and now wait;
    `resuming`: more calls are placed each minute. `account`: your account; each account has its own state."""

    name: str
    account: str
    state: Literal["ok", "paused", "resuming"]
    since: Timestamp | None
    reason: str | None


class NowRead(TypedDict):
    """The account's current activity. `at`: the server's time. `attention`: the number of items in `GET /attention`.
    `undelivered`: the number of calls and batches with undelivered events."""

    version: str
    at: Timestamp
    lines: LinesNow
    due: DueNow
    carriers: list[CarrierNow]
    attention: int
    undelivered: Annotated[int, Field(description=f"{MOST_UNDELIVERED} means this many or more.")]


_STATES: dict[CircuitState, Literal["ok", "paused", "resuming"]] = {
    CircuitState.CLOSED: "ok",
    CircuitState.OPEN: "paused",
    CircuitState.RAMPING: "resuming",
}


def now_json(found: Now) -> NowRead:
    """The account's current activity as JSON."""
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
    summary="Show current activity",
    description="Lines in use, calls due in the next hour, carriers, and what needs attention. Suited to a screen that "
    "refreshes every few seconds: it costs two read units for each agent and one for each due call.",
    tags=["account"],
    operation_id="get_now",
    responses=answers(200, "The account's current activity.", NowRead),
)
def get_now() -> Response[Any]:
    return answer(now_json(read_now(services(), account_id(), DUE_SHARDS)))
