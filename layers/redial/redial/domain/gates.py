"""May this attempt be dialled now? Gates are asked in order; the first that does not allow decides. Pure: no I/O.

    agent ► stop ► pause ► expiry ► instructions ► caller-id
          ► suppression ► consent ► contact-limit ► calling-window ► one-call     here: functions of stored facts
          ► line ► rate ► carrier                                                 by dial

A new rule is one function here and one letter in `domain.decision`. Dial runs the gates before it acquires a line, and
again after it, since the agent or the batch may have been stopped meanwhile. For a batch's contact only the agent's
gates run before the line, since the batch is read after it. The rules about the number and its call history are also
read after the line.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.called_number import Contact
from redial.domain.calling_window import CallingRule, Placement, never_open, next_open, spread
from redial.domain.contact_limits import AtCap, ContactLimits
from redial.domain.decision import Decision, Gate, canceled, failed, held, opens, recorded, stopped, waits
from redial.domain.execution import LATEST_START, Execution
from redial.domain.number_rules import EVERYWHERE, NumberRule, RuleKind
from redial.domain.outcome import BLOCKED
from redial.domain.policy import Policy, in_force
from redial.domain.retry import TIME, expired
from redial.domain.status import Status
from redial.domain.values import dataclass

_TOO_LATE = f"could not be placed within {LATEST_START // timedelta(hours=1)} hours of its time"
NEVER = "never open"
"""The text recorded for a rule whose windows never open."""
NEVER_CHECK, LONGEST_NEVER_CHECK = timedelta(hours=1), timedelta(days=1)
"""A call whose windows never open is checked again after an hour, then after as long as it has waited, up to a day: the
rule or the zone may be changed."""
NEVER_ENDS = timedelta(days=7)
"""A call whose windows never open ends as `error` after this wait."""
NUMBER_CHECK, LONGEST_NUMBER_CHECK = timedelta(minutes=1), timedelta(minutes=5)
"""A call whose number is being called is tried again after a minute, then two, up to five."""
NUMBER_CHECK_SPREAD = 20
"""Seconds over which the checks of calls that wait for one number are spread."""
_SHORT = 24
"""Maximum length of contact limits in records; of longer ones the owners are recorded."""


@dataclass(frozen=True)
class Facts:
    """The facts on which gates decide. `batch` None: the execution has none, or it is deleted. `number_rules`: the
    suppressions and consents of the called number. `policy`: that of the call or its batch. `account_limits`: the
    contact limits of the account. `contact`: the call history of the called number, and its live call. `spread_second`:
    for a plan, the second at which a spread call is placed, 0 for the first and -1 for the last; None: the execution's
    own."""

    now: datetime
    execution: Execution
    agent: Agent | None
    batch: Batch | None = None
    number_rules: tuple[NumberRule, ...] = ()
    policy: Policy | None = None
    account_limits: ContactLimits | None = None
    contact: Contact = Contact()
    spread_second: int | None = None

    @cached_property
    def limits(self) -> tuple[tuple[str, ContactLimits], ...]:
        """The contact limits with their owners. All of them apply."""
        agent = None if self.agent is None else self.agent.limits
        policy = None if self.policy is None else self.policy.contact_limits
        found = (("account", self.account_limits), ("agent", agent), ("policy", policy))
        return tuple((owner, limits) for owner, limits in found if limits is not None)

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """IANA zones that the called number may be in: its own, else its agent's, else those of its prefix."""
        from redial.domain.phone_number import zones_of  # only an agent with calling hours needs them

        named = self.execution.time_zone or (self.agent.time_zone if self.agent is not None else None)
        return zones_of(self.execution.user_number, named)

    @cached_property
    def rule(self) -> tuple[str, CallingRule | None]:
        """The owner of the calling rule, and the rule (None: dial at any time): the call's own, its batch's, its
        policy's or its agent's, by `in_force`. Rules are not merged."""

        def of(owner: str, rule: str | CallingRule | None) -> tuple[str, CallingRule] | None:
            return None if rule is None else (owner, CallingRule.parse(rule) if isinstance(rule, str) else rule)

        call, batch = self.execution.calling_rule, None if self.batch is None else self.batch.calling_rule
        own = of("call ", call) or of("batch ", batch)
        policy = None if self.policy is None else of("policy ", self.policy.calling_rule)
        agent = None if self.agent is None else of("", self.agent.calling_rule)
        return in_force(own, policy, agent, is_default=self._policy_is_default) or ("", None)

    @property
    def _policy_is_default(self) -> bool:
        return (self.execution if self.batch is None else self.batch).policy_is_default

    @property
    def purpose(self) -> str | None:
        """What the call is for: its own purpose, else that of its batch, policy or agent, by `in_force`."""
        own = self.execution.purpose or (None if self.batch is None else self.batch.purpose)
        policy = None if self.policy is None else self.policy.purpose
        agent = None if self.agent is None else self.agent.purpose
        return in_force(own, policy, agent, is_default=self._policy_is_default)

    @property
    def consent_required(self) -> tuple[str, tuple[str, ...]]:
        """What requires consents, the policy or the agent, and the countries whose numbers need one."""
        policy = self.policy is not None and self.policy.consent_required
        agent = self.agent is not None and self.agent.consent_required
        of_policy, of_agent = (("policy", policy) if policy else None), (("agent", agent) if agent else None)
        return in_force(None, of_policy, of_agent, is_default=self._policy_is_default) or ("agent", ())

    @property
    def expires_at(self) -> datetime | None:
        """The time from which on no attempt starts."""
        batch = None if self.batch is None else self.batch.contacts_expire_at
        return self.execution.expires_at or batch

    def number_rule(self, kind: RuleKind) -> NumberRule | None:
        """A rule of that kind that covers the call now, if any."""
        agent_id, purpose = self.execution.agent_id, self.purpose
        found = (one for one in self.number_rules if one.kind is kind and one.covers(agent_id, purpose, self.now))
        return next(found, None)


GateFunction = Callable[[Facts], Decision]


def agent(facts: Facts) -> Decision:
    """The agent exists."""
    if facts.agent is None or facts.agent.deleted_at is not None:
        return stopped("agent deleted", Gate.AGENT)
    return Decision(Gate.AGENT)


def stop(facts: Facts) -> Decision:
    """Neither the agent nor the batch was stopped after the call was requested."""
    reason = stop_reason(facts.execution, facts.agent, facts.batch)
    return Decision(Gate.STOP) if reason is None else stopped(reason, Gate.STOP)


def pause(facts: Facts) -> Decision:
    """The batch is not paused."""
    if facts.batch is not None and facts.batch.paused:
        return waits("batch paused", Gate.PAUSE, delayed=True)
    return Decision(Gate.PAUSE)


def expiry(facts: Facts) -> Decision:
    """The attempt is less than `LATEST_START` late, and the call has not expired."""
    if facts.execution.state.is_too_late(facts.now):
        return failed(_TOO_LATE, Gate.EXPIRY)
    if facts.expires_at is not None and facts.now >= facts.expires_at:
        return canceled(expired(facts.expires_at), Gate.EXPIRY, "expired")
    return Decision(Gate.EXPIRY)


def with_expiry(decision: Decision, expires_at: datetime | None) -> tuple[Decision, ...]:
    """The decision. If it defers the attempt to a time at which the call has expired, the end of the call follows
    it."""
    if expires_at is None or decision.until is None or decision.until < expires_at:
        return (decision,)
    reason = f"{expired(expires_at)}, before {decision.until:{TIME}}: {decision.reason}"
    return decision, canceled(reason, Gate.EXPIRY, "expired")


def instructions(facts: Facts) -> Decision:
    """The agent or the defaults say what to do with an answered call."""
    if facts.agent is None or not facts.agent.has_answer:
        return failed("neither the agent nor the account has an answer_url or a stream_url", Gate.INSTRUCTIONS)
    return Decision(Gate.INSTRUCTIONS)


def caller_id(facts: Facts) -> Decision:
    """There is a number to call from."""
    if facts.agent is None or from_number(facts.execution, facts.agent, facts.batch) is None:
        if _blocked(facts.execution):
            return failed("the network blocked the calls from every caller id", Gate.CALLER_ID)
        batch = "" if facts.execution.batch_id is None else "the batch, "
        return failed(f"none of {batch}the agent and the account has from_phone_numbers", Gate.CALLER_ID)
    return Decision(Gate.CALLER_ID)


def suppression(facts: Facts) -> Decision:
    """No suppression of the number covers the call. Also checked if guardrails are bypassed."""
    found = facts.number_rule(RuleKind.SUPPRESSION)
    if found is None:
        return Decision(Gate.SUPPRESSION)
    about = ("" if found.agent_id is None else " for this agent") + (
        f" for purpose {found.purpose}" if found.purpose else ""
    )
    reason = f"the number is suppressed{about}" + (f": {found.reason}" if found.reason else "")
    return canceled(reason, Gate.SUPPRESSION, found.scope.partition(":")[0] or "account")


def consent(facts: Facts) -> Decision:
    """The number has given a consent that covers the call, if the policy or the agent requires one."""
    requires, required = facts.consent_required
    if not required:
        return Decision(Gate.CONSENT)
    if EVERYWHERE not in required:
        from redial.domain.phone_number import countries  # needed only if countries are named

        required = tuple(one for one in required if one in countries(facts.execution.user_number))
    if not required:
        return Decision(Gate.CONSENT, rule="not-required")
    if facts.number_rule(RuleKind.CONSENT) is not None:
        return Decision(Gate.CONSENT, rule="given")
    where = "" if required == (EVERYWHERE,) else f" in {required[0]}"
    purpose = "" if facts.purpose is None else f" to calls for purpose {facts.purpose}"
    return canceled(
        f"the number has not consented{purpose}, which the {requires} requires{where}", Gate.CONSENT, "required"
    )


def contact_limit(facts: Facts) -> Decision:
    """No cap is reached, and the pause after a conversation is over. Also checked if guardrails are bypassed."""
    closed = [
        (owner, limits, *opening)
        for owner, limits in facts.limits
        if (opening := limits.opens(facts.now, facts.contact.history)) is not None
    ]
    if not closed:
        return Decision(Gate.CONTACT_LIMIT, rule=_in_short(facts.limits))
    ending = [one for one in closed if one[1].at_cap is AtCap.END]
    owner, limits, until, rule = max(ending or closed, key=lambda one: one[2])
    reason = f"the {owner}'s contact limit {rule} does not allow another attempt yet"
    if limits.at_cap is AtCap.END:
        return canceled(reason, Gate.CONTACT_LIMIT, f"{owner} {rule}")
    delayed = facts.execution.batch_id is not None
    return opens(until, reason, Gate.CONTACT_LIMIT, f"{owner} {rule}", delayed=delayed)


def _in_short(limits: Sequence[tuple[str, ContactLimits]]) -> str:
    text = "+".join(str(one) for _, one in limits)
    return text if len(text) <= _SHORT else "+".join(owner for owner, _ in limits)


def calling_window(facts: Facts) -> Decision:
    """The time is within the windows of the calling rule in every zone that the number may be in."""
    execution = facts.execution
    owner, rule = facts.rule
    if rule is None:
        return Decision(Gate.CALLING_WINDOW)
    if is_bypassed(facts):
        return Decision(Gate.CALLING_WINDOW, rule="bypassed")
    dialled = _dialled_before(execution)
    opening = next_open(facts.now, rule, facts.zones, dialled=dialled)
    if opening is None:
        return _never_open(facts, rule)
    hours = rule.in_short(opening, facts.zones[0])
    at, reason = opening, f"outside calling hours {hours} of {_named(facts.zones)}"
    if rule.per_window and dialled and next_open(facts.now, rule, facts.zones) == facts.now:
        attempts = f"{rule.per_window} attempts" if rule.per_window > 1 else "attempt"
        reason = f"the {attempts} that one window of {_named(facts.zones)} allows are made"
    if rule.placement is Placement.ROTATE and dialled:
        other_hour = next_open(facts.now, rule, facts.zones, dialled, dialled)
        if other_hour is not None and other_hour > opening:
            at, reason = other_hour, f"placed at another hour of {_named(facts.zones)} than the attempts before"
    elif rule.placement is Placement.SPREAD and opening > facts.now:
        key = execution.id if facts.spread_second is None else facts.spread_second
        at = spread(opening, rule, facts.zones, key)
    applied = f"{owner}{rule.in_short(at, facts.zones[0])}"
    if at == facts.now:
        return Decision(Gate.CALLING_WINDOW, rule=applied)
    return opens(at, reason, Gate.CALLING_WINDOW, applied, delayed=execution.batch_id is not None)


def is_bypassed(facts: Facts) -> bool:
    """Whether the call, by its own or its batch's request, may be dialled outside the windows."""
    batch = facts.batch
    return facts.execution.bypass_call_guardrails or (batch is not None and batch.bypass_call_guardrails)


def _dialled_before(execution: Execution) -> list[datetime]:
    """When the attempts before the current one were dialled."""
    return [one.dialed_at for one in execution.state.attempts[:-1] if one.dialed_at is not None]


def _never_open(facts: Facts, rule: CallingRule) -> Decision:
    """The decision if the windows never open: the rule or the agent's zone was changed after the call was accepted. It
    may be changed again, so the call waits for up to `NEVER_ENDS`."""
    execution, now = facts.execution, facts.now
    since = now
    for change in reversed(execution.changes):
        if change.attempt != execution.state.attempt.number:
            break
        if change.kind is Status.RESCHEDULED:
            if NEVER not in {text for gate, _, text in recorded(change.gates) if gate is Gate.CALLING_WINDOW}:
                break
            since = change.at
    reason = never_open(rule, facts.zones)
    if now - since >= NEVER_ENDS:
        return failed(f"for {NEVER_ENDS.days} days {reason}", Gate.CALLING_WINDOW, NEVER)
    wait, delayed = min(max(now - since, NEVER_CHECK), LONGEST_NEVER_CHECK), execution.batch_id is not None
    return opens(now + wait, f"{reason}; checked again then", Gate.CALLING_WINDOW, NEVER, delayed=delayed)


def one_call(facts: Facts) -> Decision:
    """No other call to the number is being placed or up. Also checked if guardrails are bypassed."""
    if facts.contact.live is None:
        return Decision(Gate.ONE_CALL)
    execution, last = facts.execution, facts.execution.changes[-1]
    waits = last.count if last.waits_for_number else 0
    spread = timedelta(seconds=zlib.crc32(f"{execution.id} {waits}".encode()) % NUMBER_CHECK_SPREAD)
    until = facts.now + min(NUMBER_CHECK * (waits + 1), LONGEST_NUMBER_CHECK) + spread
    return held(until, "another call to the number", Gate.ONE_CALL, delayed=execution.batch_id is not None)


def _named(zones: Sequence[str]) -> str:
    return ", ".join(zones[:3]) + (f" and {len(zones) - 3} more" if len(zones) > 3 else "")


OF_NUMBER: tuple[GateFunction, ...] = (suppression, consent)
"""Gates that need the rules about the number, which are read after the line is acquired."""
OF_CONTACT: tuple[GateFunction, ...] = (contact_limit, one_call)
"""Gates that need the number's call history, which is also read after the line is acquired."""
GATES: tuple[GateFunction, ...] = (
    *(agent, stop, pause, expiry, instructions, caller_id),
    *OF_NUMBER,
    contact_limit,
    calling_window,
    one_call,
)
BEFORE_LINE: tuple[GateFunction, ...] = tuple(gate for gate in GATES if gate not in (*OF_NUMBER, *OF_CONTACT))
"""Gates that run for a single call before it has a line."""
OF_AGENT: tuple[GateFunction, ...] = (agent, instructions)
"""Gates that run for a batch's contact before its batch is read."""
TIME_GATES: tuple[GateFunction, ...] = (contact_limit, calling_window)
"""Gates that open at a known time without any action."""


def ask(gates: Iterable[GateFunction], facts: Facts) -> tuple[Decision, ...]:
    """The decisions of the gates, in order, up to and including the first that does not allow."""
    made: list[Decision] = []
    for gate in gates:
        made += with_expiry(gate(facts), facts.expires_at)
        if not made[-1].allows:
            break
    return tuple(made)


def earliest(facts: Facts, horizon: timedelta) -> tuple[datetime | None, tuple[Decision, ...]]:
    """The first instant from `facts.now` on at which all time gates allow (None: none within `horizon`), and the
    decisions that deferred it until then. This predicts what dial will do."""
    moved: list[Decision] = []
    last = facts.now + horizon
    while facts.now <= last:
        closed = ask(TIME_GATES, facts)[-1]
        if closed.allows:
            return facts.now, tuple(moved)
        moved.append(closed)
        if closed.until is None or closed.rule == NEVER:
            break
        facts = replace(facts, now=closed.until)
    return None, tuple(moved)


def stop_reason(execution: Execution, agent: Agent | None, batch: Batch | None) -> str | None:
    """Why no attempt of the execution may be dialled, by the current state of its agent and batch. None: it may.

    An agent's stop covers calls requested before it. A contact counts as requested when its batch was last asked to
    start, even if the batch was uploaded earlier.
    """
    if agent is None or agent.deleted_at is not None:
        return "agent deleted"
    asked_at = execution.created_at
    if execution.batch_id is not None:
        if batch is None or batch.deleted_at is not None:
            return "batch deleted"
        if not batch.may_dial:
            return "batch stopped"
        asked_at = batch.start_asked_at
    return "agent stopped" if is_stopped(agent, asked_at) else None


def is_stopped(agent: Agent, asked_at: datetime) -> bool:
    """Whether the agent was stopped at or after `asked_at`."""
    return agent.stopped_before is not None and asked_at <= agent.stopped_before


def from_number(execution: Execution, agent: Agent, batch: Batch | None) -> str | None:
    """The preferred caller id of the next attempt, whatever its circuit's state. None: there is none."""
    return next(iter(from_numbers(execution, agent, batch)), None)


def from_numbers(execution: Execution, agent: Agent, batch: Batch | None) -> tuple[str, ...]:
    """The caller ids that the next attempt may use, in order of preference: the requested one, else the numbers of the
    batch or the agent, rotated so that a retry uses another number than the previous attempt, if there is one. A number
    whose call the network blocked is left out."""
    if execution.from_number is not None:
        numbers: tuple[str, ...] = (execution.from_number,)
    else:
        numbers = (batch.from_phone_numbers if batch is not None else ()) or agent.from_phone_numbers
    blocked = _blocked(execution)
    first = int(execution.id[:8], 16) if execution.row is None else execution.row - 1
    turn = (first + execution.state.attempt.number - 1) % (len(numbers) or 1)
    return tuple(number for number in (*numbers[turn:], *numbers[:turn]) if number not in blocked)


def _blocked(execution: Execution) -> set[str | None]:
    """The caller ids from which the network blocked a call of the execution."""
    return {attempt.from_number for attempt in execution.state.attempts if attempt.code == BLOCKED}
