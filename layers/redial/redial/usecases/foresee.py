"""Predicts what would happen to a call or a number in the current state. Nothing is stored or dialled."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.decision import KEY_LINE, Decision, Gate, Verdict, waits
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.domain.explanation import Waiting, waiting
from redial.domain.gates import GATES, OF_CONTACT, OF_NUMBER, Facts, ask, from_numbers
from redial.domain.number_rules import NumberRule
from redial.domain.phone_number import countries
from redial.domain.plan import Plan, plan, warnings
from redial.domain.status import Status
from redial.domain.values import dataclass
from redial.ports import Services
from redial.usecases import one_call
from redial.usecases.circuit_breaker import Asked, breaker_of
from redial.usecases.create_call import NewCall, check_call, new_execution
from redial.usecases.defaults import account_limits, complete
from redial.usecases.dispatch import queued_call
from redial.usecases.key_lines import WAITS_FOR_KEY, waits_for_key
from redial.usecases.policies import named_policy, policy_for, policy_of

_NO_ID = "00000000-0000-4000-8000-000000000000"
"""The id of a call that is planned only."""


@dataclass(frozen=True)
class Foreseen:
    """A plan, the IANA zones that the number may be in, and warnings about it in sentences."""

    plan: Plan
    zones: tuple[str, ...]
    warnings: Sequence[str]


def plan_call(services: Services, call: NewCall, *, account_id: str, now: datetime) -> Foreseen:
    """Plan the call as if it were created now and every attempt failed. Raises `NotFound` (agent), `InvalidInput`."""
    named = None if call.policy is None else named_policy(services, call.policy, "policy", account_id=account_id)
    agent = check_call(services, call, named, account_id, now)
    execution = new_execution(call, _NO_ID, account_id, policy_for(services, named, agent), now)
    facts = _facts(services, execution, agent, None, now)
    return _foreseen(services, replace(facts, spread_second=0))


@dataclass(frozen=True)
class Explained:
    """A call as the API shows it, with the zones of its number. `waits`: what it waits for; `decisions`: those that the
    gates would make now; `foreseen`: its plan if every further attempt fails. All three are None unless it waits."""

    execution: Execution
    zones: tuple[str, ...]
    waits: Waiting | None
    decisions: tuple[Decision, ...] | None
    foreseen: Foreseen | None


def explain(services: Services, execution: Execution, now: datetime) -> Explained:
    """Explain the state of a call, and plan its further attempts."""
    agent = services.agents.get(execution.account_id, execution.agent_id)
    batch = None if execution.batch_id is None else services.batches.get(execution.batch_id)
    execution = execution if batch is None else batch.shown(execution)
    if execution.erased:
        return Explained(execution, (), None, None, None)
    if batch is not None and batch.waits_for_start:
        batch = batch.run(now)  # the plan assumes that it starts
    facts = _facts(services, execution, agent, batch, now)
    if not execution.state.is_waiting:
        return Explained(execution, facts.zones, None, None, None)
    decisions = ask(GATES, facts)
    by = waiting(execution, facts.zones, _closed_now(services, execution, decisions))
    return Explained(execution, facts.zones, by, decisions, _foreseen(services, facts))


def _closed_now(services: Services, execution: Execution, decisions: Sequence[Decision]) -> Decision | None:
    """The decision for which a waiting call waits, if any. An immediate call that found no free line has no recorded
    decision: only its queue entry shows that it waits."""
    if decisions[-1].verdict is Verdict.DEFER:
        return decisions[-1]
    if execution.state.status is not Status.QUEUED or execution.is_not_started:
        return None
    if not services.queue.absent([(execution.agent_id, queued_call(execution))]):
        return waits("waiting for a line", Gate.LINE)
    return waits(WAITS_FOR_KEY, Gate.LINE, KEY_LINE) if waits_for_key(services, execution) else None


def _facts(services: Services, execution: Execution, agent: Agent | None, batch: Batch | None, now: datetime) -> Facts:
    """The facts that dial would read now."""
    if batch is not None:
        execution = batch.with_terms(execution)
    completed = None if agent is None else complete(services, agent)
    account_id, number = execution.account_id, execution.user_number
    rules: tuple[NumberRule, ...] = ()
    if agent is None or agent.has_number_rules:
        rules = services.number_rules.of_number(account_id, number)
    return Facts(
        now=now,
        execution=execution,
        agent=completed,
        batch=batch,
        number_rules=rules,
        policy=policy_of(services, execution, batch),
        account_limits=account_limits(services, account_id) if agent is None or agent.has_account_limits else None,
        contact=one_call.state(services, account_id, number),
    )


def _foreseen(services: Services, facts: Facts) -> Foreseen:
    made = plan(facts)
    return Foreseen(made, facts.zones, [*warnings(made, facts), *_of_carrier(services, facts)])


def _of_carrier(services: Services, facts: Facts) -> list[str]:
    """Warnings about the caller id and the carrier account."""
    execution, agent = facts.execution, facts.agent
    callers = () if agent is None else from_numbers(execution, agent, facts.batch)
    if agent is None or not callers:
        return []
    said = []
    known = agent.from_phone_numbers
    if execution.from_number is not None and known and execution.from_number not in known:
        said.append(f"caller id {execution.from_number} is none of the from_phone_numbers of the agent or the account")
    asked = Asked(execution.account_id, agent.carrier, execution.user_number, callers)
    held = breaker_of(services).holds(asked)
    return said if held is None else [*said, held]


# ---- a number -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KnownNumber:
    """Everything that an account has about a number. `countries`: ISO 3166 codes. `facts`: with its zones, rules,
    limits and call history. `decisions`: those that the gates would make now, in order. `foreseen`: the plan of a call
    without retries; None: no agent was named."""

    countries: Sequence[str]
    facts: Facts
    decisions: tuple[Decision, ...]
    foreseen: Foreseen | None


def known_number(
    services: Services, number: str, agent_id: str | None, *, account_id: str, now: datetime
) -> KnownNumber:
    """Look up a number (E.164). With `agent_id`, all gates decide on a call of that agent; without, only those that
    depend on the number alone. Raises `NotFound` (agent)."""
    agent = None
    if agent_id is not None:
        agent = services.agents.get(account_id, agent_id)
        if agent is None or agent.deleted_at is not None:
            raise NotFound(f"agent_id: there is no agent {agent_id}; GET /v2/agent/all lists yours")
    applied = policy_for(services, None, agent)
    execution = Execution(
        id=_NO_ID,
        account_id=account_id,
        agent_id=agent_id or _NO_ID,
        created_at=now,
        user_number=number,
        policy=applied.label,
        policy_is_default=applied.is_default,
    ).begin(now, None)
    facts = replace(_facts(services, execution, agent, None, now), spread_second=0)
    return KnownNumber(
        countries=sorted(countries(number)),
        facts=facts,
        decisions=ask((*OF_NUMBER, *OF_CONTACT) if agent is None else GATES, facts),
        foreseen=None if agent is None else _foreseen(services, facts),
    )
