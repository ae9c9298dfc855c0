"""Plans and explanations as JSON: plain dicts, ready for `json.dumps`. The typed dicts are the API's documentation."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated

from typing_extensions import TypedDict  # pydantic needs this one on Python 3.11

from redial.domain import explanation, plan
from redial.domain.calling_window import local_time
from redial.domain.decision import Decision, Verdict
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.wire.execution_json import type_of
from redial.wire.timestamps import Documented, Timestamp, rfc3339, rfc3339_or_none


class MovedBy(TypedDict):
    """A gate that makes the attempt wait. `rule`: the rule that it applied, if any; `until`: when it is asked again."""

    gate: str
    rule: str | None
    until: Timestamp | None
    text: str


class PlannedAttempt(TypedDict):
    """An attempt. `latest_at` is later than `earliest_at` if calls are spread over the first minutes of a window: a
    call's own second is known only once it is created. Null: possibly the attempt is not dialled at all."""

    attempt: int
    earliest_at: Timestamp
    latest_at: Timestamp | None
    local_times: Annotated[
        dict[str, str],
        Documented(description="`earliest_at` in each IANA time zone that the number may be in, RFC 3339."),
    ]
    moved_by: list[MovedBy]


class Assumed(TypedDict):
    """What the plan assumes: how every call ends, and after how many seconds."""

    status: Status
    voicemail: bool
    call_seconds: float
    text: str


class Plan(TypedDict):
    """What happens if every attempt fails."""

    attempts: list[PlannedAttempt]
    worst_case_calls: Annotated[int, Documented(description="The maximum number of calls.")]
    ends_because: Annotated[str, Documented(description="Why no attempt follows the last one.")]
    assumed: Assumed
    warnings: list[str]


class GateRead(TypedDict):
    """What one gate decided. `rule`: the rule that it applied, if any."""

    gate: str
    decision: Verdict
    rule: str | None
    text: str


class Decided(TypedDict):
    """The gates that were asked at one time, and the result as in the log: `claimed` (the call was handed to the
    carrier), `rescheduled`, `queued`, `deferred`, or how the call ended."""

    at: Timestamp
    type: str
    gates: list[GateRead]


class ExplainedAttempt(TypedDict):
    """An attempt and the gates' decisions about it, oldest first."""

    attempt: int
    status: Status
    decided: list[Decided]


class WaitsFor(TypedDict):
    """What the call waits for. `gate`: the gate that makes it wait, if any; `until`: null if it waits for an event, not
    for a time; `to_change`: what would let it continue."""

    gate: str | None
    until: Timestamp | None
    text: str
    to_change: str


class Explanation(TypedDict):
    """Why a call was dialled, waits, or is over. `now`: what the gates would decide now; `plan`: what happens if every
    further attempt fails. `now`, `plan` and `waits_for` are null if the call does not wait."""

    execution_id: str
    status: Status
    summary: str
    waits_for: WaitsFor | None
    attempts: list[ExplainedAttempt]
    now: list[GateRead] | None
    plan: Plan | None


def render_plan(planned: plan.Plan, zones: tuple[str, ...], warnings: Sequence[str]) -> Plan:
    """A plan as JSON. `zones`: the time zones that the number may be in."""
    seconds, assumed = planned.call_time.total_seconds(), planned.assumed
    ends = "is answered by a machine" if assumed.voicemail else f"ends as {assumed.status}"
    return {
        "attempts": [_attempt(one, zones) for one in planned.attempts],
        "worst_case_calls": planned.most_calls,
        "ends_because": planned.ends_because,
        "assumed": {
            "status": assumed.status,
            "voicemail": assumed.voicemail or False,
            "call_seconds": seconds,
            "text": f"Every call {ends} and is over after {seconds:.0f} seconds. No attempt waits for a line, for the"
            " batch's rate or for the carrier.",
        },
        "warnings": list(warnings),
    }


def _attempt(one: plan.PlannedAttempt, zones: tuple[str, ...]) -> PlannedAttempt:
    return {
        "attempt": one.number,
        "earliest_at": rfc3339(one.earliest_at),
        "latest_at": rfc3339_or_none(one.latest_at),
        "local_times": {zone: local_time(one.earliest_at, zone).isoformat(timespec="seconds") for zone in zones},
        "moved_by": [_moved_by(decision) for decision in one.moved_by],
    }


def _moved_by(decision: Decision) -> MovedBy:
    return {
        "gate": str(decision.gate),
        "rule": decision.rule or None,
        "until": rfc3339_or_none(decision.until),
        "text": decision.reason,
    }


def render_gates(results: Iterable[explanation.GateResult]) -> list[GateRead]:
    """The gates' decisions as JSON, in order."""
    return [{"gate": one.gate, "decision": one.verdict, "rule": one.rule or None, "text": one.text} for one in results]


def render_explanation(
    execution: Execution,
    zones: tuple[str, ...],
    waits: explanation.Waiting | None,
    decisions: Sequence[Decision] | None,
    now: datetime,
    planned: Plan | None,
) -> Explanation:
    """An explanation as JSON. `decisions`: what the gates would decide now."""
    return {
        "execution_id": execution.id,
        "status": execution.state.status,
        "summary": explanation.summary(execution, waits),
        "waits_for": None
        if waits is None
        else {
            "gate": waits.gate,
            "until": rfc3339_or_none(waits.until),
            "text": waits.text,
            "to_change": waits.to_change,
        },
        "attempts": [
            {
                "attempt": one.number,
                "status": one.status,
                "decided": [
                    {
                        "at": rfc3339(change.at),
                        "type": type_of(change),
                        "gates": render_gates(explanation.results(change, zones)),
                    }
                    for change in explanation.shown(execution, one.number)
                ],
            }
            for one in execution.state.attempts
        ],
        "now": None if decisions is None else render_gates(explanation.made(decisions, now, zones)),
        "plan": planned,
    }
