"""May this attempt be dialled now? Gates are asked in order; the first that does not allow decides. Pure: no I/O.

    agent ► stop ► pause ► expiry ► instructions ► caller-id ► suppression ► consent ► calling-window │ line ► rate ► …
    └──────────────────────── here: functions of stored facts ────────────────────────────────────────┘ └── by dial

A new rule is one function here and one letter in `domain.decision`. Dial asks all gates before it acquires a line, and
again after it, since the agent or the batch may have been stopped meanwhile; of a batch's contact only what the agent
says is asked before the line, since the batch is read after it. The rules about the number are read after the line.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.calling_window import next_open
from redial.domain.decision import Decision, Gate, canceled, failed, opens, stopped, waits
from redial.domain.execution import LATEST_START, Execution
from redial.domain.number_rules import EVERYWHERE, NumberRule, RuleKind
from redial.domain.outcome import BLOCKED
from redial.domain.values import dataclass

_TOO_LATE = f"could not be placed within {LATEST_START // timedelta(hours=1)} hours of its time"


@dataclass(frozen=True)
class Facts:
    """What gates decide on. `batch` None: the execution has none, or it is deleted. `number_rules`: the suppressions
    and consents of the called number."""

    now: datetime
    execution: Execution
    agent: Agent | None
    batch: Batch | None = None
    number_rules: tuple[NumberRule, ...] = ()

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """IANA zones that the called number may be in."""
        from redial.domain.phone_number import time_zones  # only an agent with calling hours needs them

        return time_zones(self.execution.user_number)

    @property
    def purpose(self) -> str | None:
        """What the call is for: as asked for, else the batch's or the agent's."""
        batch = None if self.batch is None else self.batch.purpose
        return self.execution.purpose or batch or (None if self.agent is None else self.agent.purpose)

    def rule(self, kind: RuleKind) -> NumberRule | None:
        """A rule of that kind which covers the call now."""
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
    """Neither the agent nor the batch was stopped after the call was asked for."""
    reason = stop_reason(facts.execution, facts.agent, facts.batch)
    return Decision(Gate.STOP) if reason is None else stopped(reason, Gate.STOP)


def pause(facts: Facts) -> Decision:
    """The batch is not paused."""
    if facts.batch is not None and facts.batch.paused:
        return waits("batch paused", Gate.PAUSE, delayed=True)
    return Decision(Gate.PAUSE)


def expiry(facts: Facts) -> Decision:
    """The attempt is not `LATEST_START` behind its time."""
    if facts.execution.state.is_too_late(facts.now):
        return failed(_TOO_LATE, Gate.EXPIRY)
    return Decision(Gate.EXPIRY)


def instructions(facts: Facts) -> Decision:
    """The agent, or what fills in for it, says what to do with an answered call."""
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
    """No suppression of the number covers the call. It is asked where guardrails are bypassed, too."""
    found = facts.rule(RuleKind.SUPPRESSION)
    if found is None:
        return Decision(Gate.SUPPRESSION)
    about = ("" if found.agent_id is None else " for this agent") + (
        f" for purpose {found.purpose}" if found.purpose else ""
    )
    reason = f"the number is suppressed{about}" + (f": {found.reason}" if found.reason else "")
    return canceled(reason, Gate.SUPPRESSION, found.scope.partition(":")[0] or "account")


def consent(facts: Facts) -> Decision:
    """The number has given a consent that covers the call, where the agent requires one."""
    required = () if facts.agent is None else facts.agent.consent_required
    if not required:
        return Decision(Gate.CONSENT)
    if EVERYWHERE not in required:
        from redial.domain.phone_number import countries  # only an agent that names countries needs them

        required = tuple(one for one in required if one in countries(facts.execution.user_number))
    if not required:
        return Decision(Gate.CONSENT, rule="not-required")
    if facts.rule(RuleKind.CONSENT) is not None:
        return Decision(Gate.CONSENT, rule="given")
    where = "" if required == (EVERYWHERE,) else f" in {required[0]}"
    purpose = "" if facts.purpose is None else f" to calls for purpose {facts.purpose}"
    return canceled(f"the number has not consented{purpose}, which the agent requires{where}", Gate.CONSENT, "required")


def calling_window(facts: Facts) -> Decision:
    """It is within the agent's calling hours in every zone that the number may be in."""
    execution, agent, batch = facts.execution, facts.agent, facts.batch
    if agent is None or agent.call_start_hour is None or agent.call_end_hour is None:
        return Decision(Gate.CALLING_WINDOW)
    if execution.bypass_call_guardrails or (batch is not None and batch.bypass_call_guardrails):
        return Decision(Gate.CALLING_WINDOW, rule="bypassed")
    hours = f"{agent.call_start_hour}-{agent.call_end_hour}"
    at = next_open(facts.now, agent.call_start_hour, agent.call_end_hour, facts.zones)
    if at is None:
        count = len(facts.zones)
        reason = f"calling hours never open at once in all {count} zones of the number"
        return failed(reason, Gate.CALLING_WINDOW, hours)
    if at == facts.now:
        return Decision(Gate.CALLING_WINDOW, rule=hours)
    reason = f"outside calling hours {hours} of {', '.join(facts.zones)}"
    return opens(at, reason, Gate.CALLING_WINDOW, hours, delayed=execution.batch_id is not None)


OF_NUMBER: tuple[GateFunction, ...] = (suppression, consent)
"""What is asked of the rules about the number, which are read after the line."""
GATES: tuple[GateFunction, ...] = (
    *(agent, stop, pause, expiry, instructions, caller_id),
    *OF_NUMBER,
    calling_window,
)
BEFORE_LINE: tuple[GateFunction, ...] = tuple(gate for gate in GATES if gate not in OF_NUMBER)
"""What is asked of a single call before it has a line."""
OF_AGENT: tuple[GateFunction, ...] = (agent, instructions)
"""What is asked of a batch's contact before its batch is read."""
TIME_GATES: tuple[GateFunction, ...] = (calling_window,)
"""Gates that open by themselves at a time that they can tell."""


def ask(gates: Iterable[GateFunction], facts: Facts) -> tuple[Decision, ...]:
    """Every decision up to and including the first that does not allow."""
    made: list[Decision] = []
    for gate in gates:
        made.append(gate(facts))
        if not made[-1].allows:
            break
    return tuple(made)


def earliest(facts: Facts, horizon: timedelta) -> tuple[datetime | None, tuple[Decision, ...]]:
    """The first instant from `facts.now` on at which all time gates allow, and the decisions that moved it there: what
    dial will do, foreseen. None where there is no such instant within `horizon`."""
    moved: list[Decision] = []
    last = facts.now + horizon
    while facts.now <= last:
        closed = ask(TIME_GATES, facts)[-1]
        if closed.allows:
            return facts.now, tuple(moved)
        moved.append(closed)
        if closed.until is None:
            break
        facts = replace(facts, now=closed.until)
    return None, tuple(moved)


def stop_reason(execution: Execution, agent: Agent | None, batch: Batch | None) -> str | None:
    """Why no attempt of the execution may be dialled, as its agent and its batch are now; None: it may.

    An agent's stop covers what was asked for before it. A contact was asked for when its batch was last asked to start,
    however long ago the batch was uploaded.
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
    """Whether the agent was stopped after this was asked for."""
    return agent.stopped_before is not None and asked_at <= agent.stopped_before


def from_number(execution: Execution, agent: Agent, batch: Batch | None) -> str | None:
    """The caller id of the next attempt: as asked for, else the batch's or the agent's numbers in turn, so that a retry
    uses another one than the attempt before, where there is one. A number whose call the network blocked is left out.
    None: there is none."""
    if execution.from_number is not None:
        numbers: tuple[str, ...] = (execution.from_number,)
    else:
        numbers = (batch.from_phone_numbers if batch is not None else ()) or agent.from_phone_numbers
    blocked = _blocked(execution)
    first = int(execution.id[:8], 16) if execution.row is None else execution.row - 1
    turn = (first + execution.state.attempt.number - 1) % (len(numbers) or 1)
    return next((number for number in (*numbers[turn:], *numbers[:turn]) if number not in blocked), None)


def _blocked(execution: Execution) -> set[str | None]:
    """The caller ids from which the network blocked a call of the execution."""
    return {attempt.from_number for attempt in execution.state.attempts if attempt.code == BLOCKED}
