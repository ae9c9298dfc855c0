"""Adds and removes suppressions and consents, and ends at once the calls that they forbid.

    write the rules ─► list the agents ─► mark them ─► read the holders of their lines ─► end those calls ─► answer
    acquire a line  ─► read the agent  ─► read the rules ─► claim over the version that was read             (dial)

After the answer, no attempt that a suppression covers is claimed. A dial needs a line to claim. If it acquired the line
before the holders were read, its call is among them. Then it was claimed before the answer, or the call is ended here
and the claim fails on its version. If it acquired the line later, it reads the agent and the rules even later, and sees
the mark and the rule. A call created meanwhile also needs a line. This does not depend on the index by number, which
may lag. The index serves to end calls that wait without a line now rather than at their turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.decision import Decision, Verdict
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.domain.gates import OF_NUMBER, Facts, ask
from redial.domain.number_rules import NumberRule, OptOut, RuleKind
from redial.domain.status import Status
from redial.ports import CarrierUnavailable, Services, StaleVersion
from redial.usecases.policies import policy_of
from redial.usecases.stop import cancel, end_waiting, line_holders, stop_with_batch
from redial.usecases.update import mark_agent

MOST_ADDED = 1000
"""Maximum rules that one request adds."""
SEARCH_SECONDS = 15.0
"""How long one request searches for calls that wait without a line, and cancels ringing ones."""
LAST_DIALS = timedelta(minutes=5)
"""A dial that read an agent before its deletion has ended this long after it: longer than dial can run."""


@dataclass(frozen=True)
class NewRule:
    """A rule to add, with its number (E.164). For the other fields see `NumberRule`."""

    kind: RuleKind
    number: str
    agent_id: str | None = None
    purpose: str | None = None
    reason: str | None = None
    source: str | None = None
    proof: str | None = None
    given_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass
class Changed:
    """The rules that were stored or removed, and the ids of the executions that this ended. `complete` False: time was
    up; the remaining waiting calls end at their turn, and ringing ones may still be answered."""

    rules: list[NumberRule]
    ended: list[str] = field(default_factory=list)
    complete: bool = True


def add_rules(services: Services, new: Sequence[NewRule], *, account_id: str, now: datetime) -> Changed:
    """Add the rules. A rule with the same number, kind and scope is replaced. Raises `NotFound` for an unknown
    agent, and `Forbidden`."""
    for agent_id in dict.fromkeys(one.agent_id for one in new if one.agent_id is not None):
        agent = services.agents.get(account_id, agent_id)
        if agent is None or agent.deleted_at is not None:
            raise NotFound(f"agent_id: there is no agent {agent_id}; GET /v2/agent/all lists yours")
    services.number_rules.check_agents(one.agent_id for one in new)  # before anything is stored
    digests = services.number_rules.digests(account_id, [one.number for one in new])
    rules = {(rule.kind, rule.digest, rule.scope): rule for rule in map(_rule, new, digests, [now] * len(new))}
    services.number_rules.add(account_id, list(rules.values()))
    agents = _marked_agents(services, account_id, now)
    changed = Changed(list(rules.values()))
    suppressed = {one.number for one in new if one.kind is RuleKind.SUPPRESSION}
    return _end_forbidden(services, agents, suppressed, changed, now) if suppressed else changed


def suppress_called(services: Services, execution_id: str, opt_out: OptOut, now: datetime) -> Changed | None:
    """Suppress the number of a call, as a webhook's answer or the carrier requested. Idempotent. None: the call was
    erased, or the agent that the suppression covers was deleted."""
    execution = services.executions.get(execution_id)
    if execution is None:
        return None
    agent_id = execution.agent_id if opt_out.of_agent else None
    new = NewRule(
        RuleKind.SUPPRESSION,
        execution.user_number,
        agent_id=agent_id,
        purpose=opt_out.purpose,
        reason=opt_out.reason,
        source=opt_out.source,
        expires_at=opt_out.expires_at,
    )
    try:
        return add_rules(services, [new], account_id=execution.account_id, now=now)
    except NotFound:
        return None


def _rule(new: NewRule, digest: str, now: datetime) -> NumberRule:
    return NumberRule(
        kind=new.kind,
        digest=digest,
        added_at=now,
        last_four=new.number[-4:],
        agent_id=new.agent_id,
        purpose=new.purpose,
        reason=new.reason,
        source=new.source,
        proof=new.proof,
        given_at=new.given_at,
        expires_at=new.expires_at,
    )


def remove_rule(
    services: Services, kind: RuleKind, number: str, scope: str, *, account_id: str, now: datetime
) -> Changed:
    """Remove the number's rule of that kind and scope, if there is one. Calls that lack a required consent after that
    are ended."""
    found = services.number_rules.of_number(account_id, number)
    removed = [one for one in found if (one.kind, one.scope) == (kind, scope)]
    for one in removed:
        services.number_rules.remove(account_id, one)
    changed = Changed(removed)
    if kind is RuleKind.CONSENT and removed:
        return _end_forbidden(services, _marked_agents(services, account_id, now), {number}, changed, now)
    return changed


def forget_person(services: Services, number: str, *, account_id: str) -> tuple[int, int]:
    """Remove the consents of an erased number, the scrub's verdicts on it, and the last four digits and reasons of its
    suppressions. Returns how many consents were removed, and how many suppressions stay."""
    found = services.number_rules.of_number(account_id, number)
    consents = [one for one in found if one.kind is RuleKind.CONSENT]
    for one in found:
        if one.kind is not RuleKind.SUPPRESSION:
            services.number_rules.remove(account_id, one)
    kept = [replace(one, last_four=None, reason=None) for one in found if one.kind is RuleKind.SUPPRESSION]
    services.number_rules.add(account_id, kept)
    return len(consents), len(kept)


def mark_if_used(services: Services, agent: Agent) -> Agent:
    """Mark a new agent if its account has rules by now. Agents are marked after the account's key is created. So a new
    agent is either among them, or this, which runs after the agent was stored, finds the key."""
    if not services.number_rules.any_kept(agent.account_id):
        return agent
    return mark_agent(services, agent, has_number_rules=True)


def _marked_agents(services: Services, account_id: str, now: datetime) -> list[Agent]:
    """Mark the account's agents, so that dial reads the rules from now on. Returns them, and recently deleted ones."""
    agents = services.agents.all(account_id, deleted_since=now - LAST_DIALS)
    return [one if one.deleted_at is not None else mark_agent(services, one, has_number_rules=True) for one in agents]


def _end_forbidden(
    services: Services, listed: list[Agent], numbers: set[str], changed: Changed, now: datetime
) -> Changed:
    """End the calls of these agents to `numbers` that may not be dialled any more: first those that hold a line, then
    those that wait without one, then ringing ones."""
    if not listed:
        return changed
    account_id, agents = listed[0].account_id, {one.agent_id: one for one in listed}
    ending = _Ending(services, agents, changed, now)
    until = services.now() + timedelta(seconds=SEARCH_SECONDS)
    held = line_holders(services, *agents.values())
    ending.end(one for one in held if one.user_number in numbers)
    for number in sorted(numbers):
        if services.now() >= until:
            changed.complete = False
            break
        waiting = services.executions.read(list(services.listings.called(account_id, number)))
        ending.end(one for one in waiting if (one.account_id, one.user_number) == (account_id, number))
    ending.cancel(until)
    return changed


@dataclass
class _Ending:
    """Ends calls that a rule about their number forbids. `ringing`: unanswered calls at the carrier, with the
    decisions."""

    services: Services
    agents: dict[str, Agent]
    changed: Changed
    now: datetime
    batches: dict[str, Batch | None] = field(default_factory=dict)
    rules: dict[tuple[str, str], tuple[NumberRule, ...]] = field(default_factory=dict)
    ringing: dict[str, tuple[Execution, Decision]] = field(default_factory=dict)

    def end(self, executions: Iterable[Execution]) -> None:
        for execution in executions:
            if not (execution.state.is_waiting or execution.state.is_unanswered):
                continue
            decision = self._decision(execution)
            if decision is None:
                continue
            found: Execution | None = execution
            if execution.state.is_waiting:
                batch = self.batches.get(execution.batch_id or "")
                if batch is not None and batch.withdrawn:
                    stop_with_batch(self.services, execution, self.now, batch)
                    continue
                if end_waiting(self.services, execution.id, decision, self.now, snapshot=execution):
                    self.changed.ended.append(execution.id)
                    continue
                found = self.services.executions.get(execution.id)  # it was just claimed, or is over
            if found is not None and found.state.is_unanswered:
                self.ringing[found.id] = found, decision

    def cancel(self, until: datetime) -> None:
        """Cancel the ringing calls at their carriers, until `until`. If a carrier does not confirm at once, the sweeper
        asks it again."""
        for execution, decision in self.ringing.values():
            if self.services.now() >= until:
                self.changed.complete = False
                return
            try:
                after = cancel(self.services, execution, decision.reason, self.now, Status.CANCELED)
            except (CarrierUnavailable, StaleVersion):
                self.changed.complete = False
                continue
            if after is not None and after.state.status is Status.CANCELED:
                self.changed.ended.append(execution.id)

    def _decision(self, execution: Execution) -> Decision | None:
        """The decision of the gate that ends the call; None: the gates allow it."""
        agent = self.agents.get(execution.agent_id)
        if agent is None:
            return None  # deleted, so no call of it is dialled
        number = (execution.account_id, execution.user_number)
        if number not in self.rules:
            self.rules[number] = self.services.number_rules.of_number(*number)
        batch_id = execution.batch_id
        if batch_id is not None and batch_id not in self.batches:
            self.batches[batch_id] = self.services.batches.get(batch_id)
        batch = None if batch_id is None else self.batches[batch_id]
        policy = policy_of(self.services, execution, batch)
        last = ask(OF_NUMBER, Facts(self.now, execution, agent, batch, self.rules[number], policy))[-1]
        return last if last.verdict is Verdict.END else None
