"""The decisions of gates about an attempt in readable sentences, for a call's log and its explanation."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from redial.domain.calling_window import local_time
from redial.domain.decision import KEY_LINE, Decision, Gate, Verdict, recorded
from redial.domain.execution import LATEST_START, Change, Execution, Marker
from redial.domain.status import WAITING, Status
from redial.domain.values import dataclass


@dataclass(frozen=True)
class GateResult:
    """The decision of one gate. `gate`: its name, or its letter if only a newer version knows it. `rule`: the rule that
    it applied, as recorded, or empty."""

    gate: str
    verdict: Verdict
    rule: str
    text: str


@dataclass(frozen=True)
class Waiting:
    """What a call waits for. `gate`: the gate that deferred it, if any. `until`: when the wait ends (None: when it is
    woken). `to_change`: what would let it continue."""

    gate: str | None
    until: datetime | None
    text: str
    to_change: str


def results(change: Change, zones: tuple[str, ...] = ()) -> list[GateResult]:
    """The decisions of the gates that this change records, in order. `zones`: those of the called number, in which
    times are given; empty: times are left out."""
    found = []
    for gate, verdict, rule in recorded(change.gates):
        reason = change.reason or change.ended
        text = _allowed(gate, rule, change.at, zones, change.from_number)
        found.append(GateResult(gate, verdict, rule, text if verdict is Verdict.ALLOW or not reason else _said(reason)))
    return found


def made(decisions: Iterable[Decision], at: datetime, zones: tuple[str, ...]) -> list[GateResult]:
    """The results of decisions that are not recorded, made at `at`. `zones`: see `results`."""
    return [
        GateResult(
            str(one.gate),
            one.verdict,
            one.rule,
            _allowed(str(one.gate), one.rule, at, zones, None) if one.allows else _said(one.reason),
        )
        for one in decisions
    ]


def _said(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


_ALLOWED: dict[str, str] = {
    Gate.AGENT: "The agent exists.",
    Gate.STOP: "Neither the agent nor the batch was stopped after the call was asked for.",
    Gate.PAUSE: "The batch is not paused.",
    Gate.EXPIRY: f"The attempt is less than {LATEST_START.total_seconds() / 3600:.0f} hours behind its time.",
    Gate.INSTRUCTIONS: "The agent, or its account, says what to do with an answered call.",
    Gate.SUPPRESSION: "No suppression of the number covers the call.",
    Gate.ONE_CALL: "No other call of the account to the number is being placed or up.",
    Gate.LINE: "The agent has a free line.",
    Gate.RATE: "No rate makes it wait.",
    Gate.CARRIER: "No fault or outage holds the carrier account's calls.",
}
_CONSENT = {
    "": "No consent is required.",
    "given": "The number has given a consent that covers the call.",
    "not-required": "No consent is required in the number's country.",
}


def _allowed(gate: str, rule: str, at: datetime, zones: tuple[str, ...], from_number: str | None) -> str:
    """Why a gate allowed the attempt at that time."""
    match gate:
        case Gate.CALLER_ID:
            return f"It is called from {from_number}." if from_number else "There is a number to call from."
        case Gate.CONSENT:
            return _CONSENT.get(rule, "No consent is missing.")
        case Gate.CONTACT_LIMIT:
            return f"Contact limits {rule} allow another attempt." if rule else "No contact limits apply."
        case Gate.CALLING_WINDOW:
            return _within(rule, at, zones)
        case Gate.SCRUB:
            return "The scrub allowed the number." if rule else "The agent has no scrub."
        case Gate.HOOK:
            return "The pre-dial hook allowed the attempt." if rule else "The agent has no pre-dial hook."
    return _ALLOWED.get(gate, "It allowed the attempt.")


def _within(rule: str, at: datetime, zones: tuple[str, ...]) -> str:
    if rule == "bypassed":
        return "The request bypasses calling hours."
    if not rule:
        return "No calling hours apply."
    owner, hours = hours_of(rule)
    return f"{_clocks(at, zones) if zones else 'It'} is within calling hours {hours} of {owner}."


def hours_of(rule: str) -> tuple[str, str]:
    """The owner of the calling hours in a recorded rule, and the hours."""
    owner, _, hours = rule.partition(" ")
    return (f"the {owner}", hours) if owner in ("call", "batch", "policy") else ("the agent", rule)


def _clocks(at: datetime, zones: tuple[str, ...]) -> str:
    """The time in one zone, or the range of times in several."""
    local = sorted((local_time(at, zone).replace(tzinfo=None), zone) for zone in zones)
    first, last = local[0], local[-1]
    if len(local) == 1:
        return f"{first[0]:%H:%M} in {first[1]}"
    return f"{first[0]:%H:%M} in {first[1]} to {last[0]:%H:%M} in {last[1]}, {len(local)} time zones,"


# ---- what it waits for --------------------------------------------------------------------------------------------

_TO_CHANGE: dict[str, str] = {
    Gate.PAUSE: "POST /batches/{batch_id}/resume lets it go on.",
    Gate.CONTACT_LIMIT: "Every call of the account to the number counts: GET /numbers/{phone_number} shows them.",
    Gate.ONE_CALL: "It is checked again each minute or so, until the other call is over.",
    Gate.SCRUB: "The scrub is asked again then; it is the agent's endpoint, which gave no usable answer.",
    Gate.HOOK: "The pre-dial hook is asked again then; it is the agent's endpoint.",
    Gate.LINE: "It goes on when a call of the agent ends, or when the agent gets a higher max_concurrent_calls.",
    Gate.RATE: "It starts when its turn comes. A higher rate of the batch or the carrier account brings it forward.",
    Gate.CARRIER: "GET /attention shows the fault; POST /attention/{item_id}/resolve tries again at once.",
}
_STOP = "It goes on by itself. POST /call/{execution_id}/stop ends it."


def waiting(execution: Execution, zones: tuple[str, ...], closed: Decision | None = None) -> Waiting | None:
    """What a waiting call waits for; None if it does not wait. `closed`: the current decision that defers a queued
    call, if none is recorded."""
    state = execution.state
    if not state.is_waiting:
        return None
    last = next(one for one in reversed(execution.changes) if one.kind in WAITING or one.kind is Marker.DEFERRED)
    until = None if state.timer is None else state.timer[1]
    deferred = next(((gate, rule) for gate, verdict, rule in recorded(last.gates) if verdict is Verdict.DEFER), None)
    gate: str | None = Gate.CARRIER if last.kind is Marker.DEFERRED else None
    rule, reason = "", last.reason
    if deferred is not None:
        gate, rule = deferred
    elif closed is not None and state.status is Status.QUEUED:
        gate, rule, reason = str(closed.gate), closed.rule, closed.reason
    if until is not None:
        reason = reason or ("its time" if last.attempt == 1 else "the retry's interval")
        text = f"Waiting until {_when(until, zones)}: {reason}."
    elif execution.is_not_started or state.status is not Status.QUEUED:
        text = _said(reason or "it waits for its turn in the batch")
    else:
        text = _said(reason or f"attempt {state.attempt.number} is about to be dialled")
    return Waiting(gate, until, text, _to_change(gate, rule))


def _to_change(gate: str | None, rule: str) -> str:
    if gate == Gate.CALLING_WINDOW:
        return f"Wider calling hours of {hours_of(rule)[0]}, or the contact's own time_zone, may bring it forward."
    if gate == Gate.LINE and rule == KEY_LINE:
        return "It goes on when another call of the API key that asked for it ends: the key has a quota of lines."
    return _STOP if gate is None else _TO_CHANGE.get(gate, _STOP)


def _when(at: datetime, zones: tuple[str, ...]) -> str:
    if len(zones) == 1:
        return f"{local_time(at, zones[0]):%Y-%m-%d %H:%M} {zones[0]}"
    return f"{at:%Y-%m-%d %H:%M} UTC"


def summary(execution: Execution, waits: Waiting | None) -> str:
    """The state of the call in one sentence. `waits`: what it waits for."""
    state = execution.state
    number = state.attempt.number
    if waits is not None:
        return waits.text
    if state.is_final:
        return f"Over after attempt {number}, as {state.status}: {state.ended}."
    if state.is_dialling:
        return f"Attempt {number} is being handed to the carrier."
    return f"The call of attempt {number} is {'being connected' if state.status is Status.INITIATED else state.status}."


def shown(execution: Execution, attempt: int) -> Iterator[Change]:
    """The changes of that attempt that record decisions of gates, oldest first."""
    return (change for change in execution.changes if change.attempt == attempt and change.gates is not None)
