"""Creates a call: checks it, stores it with its first event, and has it dialled now or later."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from redial.domain.agent import DEFAULT_PROVIDER, Agent
from redial.domain.calling_window import CallingRule
from redial.domain.errors import Conflict, InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.domain.phone_number import NOT_CALLED, NumberKind, read_number, zones_of
from redial.domain.policy import Policy
from redial.domain.retry import RetryConfig
from redial.domain.row_check import unplaceable
from redial.ports import IdempotentRequest, Services
from redial.usecases.defaults import check_can_call, complete
from redial.usecases.idempotency import id_for
from redial.usecases.policies import Applied, named_policy, policy_for
from redial.usecases.quotas import CallQuota, taken

EARLIEST = timedelta(minutes=2)
LATEST = timedelta(days=365)
"""How far ahead `scheduled_at` may be."""
GRACE = timedelta(seconds=10)
"""How much too early `scheduled_at` may be, for clients that compute the earliest time: clocks differ, and a request
takes time."""

MAX_RULE_BYTES = 150
"""Maximum size of a call's own calling rule: each save of the call writes it."""
USER_DATA_APART = 1024
"""Larger user data (in bytes) is stored in an item of its own: an attempt saves its execution several times, and each
kilobyte of the item costs a write unit each time."""


@dataclass(frozen=True)
class NewCall:
    """`POST /call`, parsed. Phone numbers are E.164, times aware UTC. `user_data_bytes`: the size of `user_data` as
    JSON. `scheduled_at` None: at once. `policy`: the label in the request, perhaps without a version. At most one of
    `expires_at` and `expires_after_minutes` is given."""

    agent_id: str
    recipient_phone_number: str
    from_phone_number: str | None
    scheduled_at: datetime | None
    user_data: dict[str, Any]
    user_data_bytes: int
    retry_config: RetryConfig | None
    bypass_call_guardrails: bool
    calling_rule: CallingRule | None = None
    time_zone: str | None = None
    purpose: str | None = None
    policy: str | None = None
    expires_at: datetime | None = None
    expires_after_minutes: int | None = None


@dataclass(frozen=True)
class Created:
    """The call's execution, and whether an earlier request with the same Idempotency-Key had created it."""

    execution: Execution
    replayed: bool


def create_call(
    services: Services,
    call: NewCall,
    *,
    account_id: str,
    idempotency_key: str | None,
    body_hash: str,
    now: datetime,
    quota: CallQuota | None = None,
    key_pool: str | None = None,
) -> Created:
    """Create the call, once per Idempotency-Key. `quota`, `key_pool`: of the API key. Raises `NotFound` (agent),
    `InvalidInput`, `Conflict` (key reused), `QuotaUsedUp`."""
    request = IdempotentRequest(services.new_id(), body_hash)
    named = None if call.policy is None else named_policy(services, call.policy, "policy", account_id=account_id)
    execution_id = id_for(
        services,
        account_id,
        idempotency_key,
        request,
        lambda: check_call(services, call, named, account_id, now),
        now,
        kind="call",
    )
    if execution_id != request.execution_id:
        existing = services.executions.get(execution_id)
        if existing is not None:
            return Created(existing, replayed=True)
    agent = services.agents.cached(account_id, call.agent_id)  # the check has just read it
    applied = policy_for(services, named, agent)
    execution = replace(
        new_execution(call, execution_id, account_id, applied, now),
        provider=DEFAULT_PROVIDER if agent is None else _carrier(services, agent, call),
        webhook_statuses=None if agent is None else agent.webhook_statuses,
        key_pool=key_pool,
    )
    if call.scheduled_at is not None:
        execution = execution.lease_delivery(execution_id[:8], now)  # dial delivers an immediate call's first event
    with taken(services, quota, 1, now) as taken_call:
        is_new = services.executions.create(execution.with_due(now))
        taken_call.unused = not is_new
    if not is_new:
        stored = services.executions.get(execution_id)
        if stored is None:
            raise Conflict("the call was deleted while it was being made; send it again with a new Idempotency-Key")
        return Created(stored, replayed=True)
    if execution.state.timer is None:
        services.invoker.dial(execution_id, 1)
    else:
        timer_id, at = execution.state.timer
        services.timers.schedule_dial(execution_id, 1, timer_id, at, now)
        services.invoker.deliver(execution_id, execution.delivery.lease_id)
    return Created(execution, replayed=False)


def new_execution(call: NewCall, execution_id: str, account_id: str, applied: Applied, now: datetime) -> Execution:
    """The call as a waiting execution."""
    return Execution(
        id=execution_id,
        account_id=account_id,
        agent_id=call.agent_id,
        created_at=now,
        user_number=call.recipient_phone_number,
        from_number=call.from_phone_number,
        user_data=call.user_data,
        user_data_apart=call.user_data_bytes > USER_DATA_APART,
        retry_config=applied.retry_config(call.retry_config),
        bypass_call_guardrails=call.bypass_call_guardrails,
        calling_rule=None if call.calling_rule is None else str(call.calling_rule),
        time_zone=call.time_zone,
        purpose=call.purpose,
        policy=applied.label,
        policy_is_default=applied.is_default,
        expires_at=_expiry(call, applied, now),
    ).begin(now, call.scheduled_at)


def _carrier(services: Services, agent: Agent, call: NewCall) -> str:
    """The call's carrier, as far as is known now; the claim decides. For an immediate call of an agent that leaves out
    nothing else, reading the account is not worth its cost: until the claim the call shows the stack's carrier."""
    soon = call.scheduled_at is None and agent.has_answer and bool(agent.from_phone_numbers or call.from_phone_number)
    known = agent.with_defaults(services.defaults) if soon else complete(services, agent)
    return known.carrier


def _expiry(call: NewCall, applied: Applied, now: datetime) -> datetime | None:
    """When the call expires, if ever. Minutes count from the time for which the call was requested."""
    if call.expires_at is not None:
        return call.expires_at
    minutes = applied.expires_after_minutes(call.expires_after_minutes)
    return None if minutes is None else (call.scheduled_at or now) + timedelta(minutes=minutes)


def check_call(services: Services, call: NewCall, named: Policy | None, account_id: str, now: datetime) -> Agent:
    """Check the call before anything is stored, and return its agent. `named`: the policy that the call names. Raises
    `NotFound`, `InvalidInput`."""
    agent = services.agents.get(account_id, call.agent_id)
    if agent is None or agent.deleted_at is not None:
        raise NotFound(f"agent_id: there is no agent {call.agent_id}; GET /v2/agent/all lists yours")
    _check_number(services, call.recipient_phone_number, account_id)
    check_can_call(services, agent, "from_phone_number", has_numbers=call.from_phone_number is not None)
    if call.scheduled_at is not None:
        if call.scheduled_at < now + EARLIEST - GRACE:
            minutes = EARLIEST // timedelta(minutes=1)
            raise InvalidInput.of("scheduled_at", f"must be at least {minutes} minutes ahead; leave it out to call now")
        if call.scheduled_at > now + LATEST:
            raise InvalidInput.of("scheduled_at", f"must be at most {LATEST.days} days ahead")
    if call.calling_rule is not None and len(str(call.calling_rule)) > MAX_RULE_BYTES:
        size = len(str(call.calling_rule))
        message = f"may take {MAX_RULE_BYTES} bytes as stored, this takes {size}; give long ones to the agent"
        raise InvalidInput.of("calling_guardrails", message)
    applied = policy_for(services, named, agent)
    start, expires_at = call.scheduled_at or now, _expiry(call, applied, now)
    if expires_at is not None and expires_at <= start:
        raise InvalidInput.of("expires_at", "must be in the future, and after scheduled_at")
    if not call.bypass_call_guardrails:
        _check_hours(agent, call, applied.calling_rule(call.calling_rule), start, expires_at)
    return agent


def _check_hours(
    agent: Agent, call: NewCall, rule: CallingRule | None, start: datetime, expires_at: datetime | None
) -> None:
    if rule is None or rule.is_always_open:
        return
    zones = zones_of(call.recipient_phone_number, call.time_zone or agent.time_zone)
    fault = unplaceable(rule, zones, start, expires_at)
    if fault is not None:
        raise InvalidInput.of("recipient_phone_number", fault)


def _check_number(services: Services, number: str, account_id: str) -> None:
    _, kind = read_number(number)
    if kind is NumberKind.PREMIUM:
        account = services.accounts.get(account_id)
        if account is not None and account.premium_numbers:
            return
    if kind is not NumberKind.ORDINARY:
        raise InvalidInput.of("recipient_phone_number", NOT_CALLED[kind])
