"""Answers of a customer's endpoints before an attempt, and how the gates `scrub` and `hook` decide by them.

Dial asks both just before the claim. An endpoint that gives no usable answer closes its gate. The call then waits,
longer each time, and ends after `LATEST_START`, as with a carrier that places nothing.
"""

from datetime import datetime, timedelta

from redial.domain.decision import Decision, Gate, Verdict, canceled, failed, opens, recorded
from redial.domain.execution import THROTTLE_BACKOFF_SECONDS, Execution
from redial.domain.gates import Facts
from redial.domain.number_rules import NumberRule, RuleKind, scope_of, source_of
from redial.domain.status import Status
from redial.domain.values import dataclass

ALLOWED, REFUSED, DEFERRED, NO_ANSWER = "allowed", "refused", "deferred", "no-answer"
"""The values recorded as the rule of a gate whose endpoint was asked."""
SHORTEST_DEFERRAL, LONGEST_DEFERRAL = timedelta(minutes=1), timedelta(days=30)
"""Limits of a hook's deferral; an earlier or a later time counts as the limit."""
MOST_DEFERRALS = 50
"""How often a hook may defer one attempt; then the call ends as `error`."""
LONGEST_VERDICT = timedelta(days=31)
"""How long a verdict is kept at most, whatever its `expires_at`."""


@dataclass(frozen=True)
class HookAnswer:
    """A pre-dial hook's answer: dial now (`eligible`), not before `defer_until`, or not at all."""

    eligible: bool
    defer_until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ScrubAnswer:
    """A scrub's verdict on a number. `expires_at`: until when it is valid for later attempts (None: for this one
    only)."""

    allowed: bool
    expires_at: datetime | None = None
    reason: str | None = None


def by_hook(answer: HookAnswer, execution: Execution, now: datetime) -> Decision:
    """The decision of the gate `hook`. A `defer_until` in the past is ignored."""
    because = f": {answer.reason}" if answer.reason else ""
    later = answer.defer_until
    if later is not None and later > now:
        times = _deferrals(execution)
        if times >= MOST_DEFERRALS:
            return failed(f"the pre-dial hook deferred it {times} times{because}", Gate.HOOK, DEFERRED)
        until = min(max(later, now + SHORTEST_DEFERRAL), now + LONGEST_DEFERRAL)
        delayed = execution.batch_id is not None
        return opens(until, f"deferred by the pre-dial hook{because}", Gate.HOOK, DEFERRED, delayed=delayed)
    if answer.eligible:
        return Decision(Gate.HOOK, rule=ALLOWED)
    return canceled(f"refused by the pre-dial hook{because}", Gate.HOOK, REFUSED)


def _deferrals(execution: Execution) -> int:
    """How often the hook has deferred the current attempt."""
    number = execution.state.attempt.number
    return sum(
        (Gate.HOOK, Verdict.DEFER, DEFERRED) in recorded(change.gates)
        for change in execution.changes
        if change.attempt == number and change.kind is Status.RESCHEDULED
    )


def by_scrub(allowed: bool, reason: str | None) -> Decision:
    """The decision of the gate `scrub`."""
    if allowed:
        return Decision(Gate.SCRUB, rule=ALLOWED)
    return canceled("refused by the scrub" + (f": {reason}" if reason else ""), Gate.SCRUB, REFUSED)


def kept_verdict(facts: Facts) -> NumberRule | None:
    """The kept verdict of the agent's scrub that covers the call now, if any."""
    assert facts.agent is not None and facts.agent.scrub is not None, "there is a scrub"
    wanted = scope_of(facts.execution.agent_id, facts.purpose), source_of(facts.agent.scrub.url)
    for rule in facts.number_rules:
        is_current = rule.expires_at is not None and facts.now < rule.expires_at
        if rule.kind is RuleKind.VERDICT and (rule.scope, rule.source) == wanted and is_current:
            return rule
    return None


def verdict_to_keep(answer: ScrubAnswer, facts: Facts) -> NumberRule | None:
    """The number rule for the verdict, still without the number's digest; None: it is valid for this attempt only."""
    assert facts.agent is not None and facts.agent.scrub is not None, "there is a scrub"
    if answer.expires_at is None or answer.expires_at <= facts.now:
        return None
    return NumberRule(
        kind=RuleKind.VERDICT,
        digest="",
        added_at=facts.now,
        agent_id=facts.execution.agent_id,
        purpose=facts.purpose,
        reason=answer.reason,
        source=source_of(facts.agent.scrub.url),
        expires_at=min(answer.expires_at, facts.now + LONGEST_VERDICT),
        allowed=answer.allowed,
    )


def unanswered(gate: Gate, error: str, until: datetime) -> Decision:
    """The gate stays closed until `until`, when its endpoint is asked again."""
    return Decision(gate, Verdict.DEFER, NO_ANSWER, f"{NAMES[gate]} gave no usable answer: {error}", until)


def ask_again_at(execution: Execution, now: datetime, jitter: float) -> datetime:
    """When an endpoint that gave no usable answer is asked again. `jitter` in [0, 1) spreads the wait over ± 10 %."""
    waits = THROTTLE_BACKOFF_SECONDS
    seconds = waits[min(execution.state.deferrals, len(waits) - 1)] * (0.9 + 0.2 * jitter)
    return now + timedelta(milliseconds=round(seconds * 1000))


NAMES = {Gate.SCRUB: "the scrub", Gate.HOOK: "the pre-dial hook"}
