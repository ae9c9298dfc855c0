"""Fills in what an agent leaves out from its account, else from the stack: carrier, caller ids, answer.

This happens for each attempt, when dial gates and claims it, so a retry uses the settings of that time. A call or a
batch is refused if there is no caller id or no answer when it is created.
"""

from redial.domain.agent import NO_DEFAULTS, Account, Agent
from redial.domain.contact_limits import ContactLimits
from redial.domain.errors import InvalidInput
from redial.ports import Carrier, Services


def complete(services: Services, agent: Agent) -> Agent:
    """The agent with the defaults filled in. The account is read only if something is missing, and may be up to ten
    seconds old. Before a call is refused or ended because something is still missing, use `complete_now`."""
    if agent.provider is not None and agent.from_phone_numbers and agent.has_answer:
        return agent
    return _filled(services, agent, services.accounts.cached(agent.account_id))


def complete_now(services: Services, agent: Agent) -> Agent:
    """The agent with the defaults filled in, from a consistent read of the account."""
    return _filled(services, agent, services.accounts.get(agent.account_id))


def account_limits(services: Services, account_id: str) -> ContactLimits | None:
    """The account's contact limits, at most ten seconds old."""
    account = services.accounts.cached(account_id)
    return None if account is None else account.contact_limits


def pace_of(services: Services, carrier: Carrier) -> float | None:
    """The pace of the carrier account, in calls per second: that of its secret, else the stack's. None: unlimited."""
    rate = carrier.calls_per_second()
    return (services.calls_per_second if rate is None else rate) or None


def check_can_call(services: Services, agent: Agent, numbers_field: str, *, has_numbers: bool) -> None:
    """Raises `InvalidInput` if there is no answer or no caller id. `has_numbers`: the request has a caller id, in the
    field `numbers_field`. The account is read only if the agent leaves something out."""

    def can_call(one: Agent) -> bool:
        return one.has_answer and (has_numbers or bool(one.from_phone_numbers))

    completed = agent if can_call(agent) else complete(services, agent)
    if not can_call(completed):
        completed = complete_now(services, agent)
    if not completed.has_answer:
        message = "neither the agent nor your account has an answer_url or a stream_url: set one of them"
        raise InvalidInput.of("agent_id", f"{message} by PATCH /v2/agent/{agent.agent_id} or PATCH /user/me")
    if not has_numbers and not completed.from_phone_numbers:
        message = "give one here, or set from_phone_numbers"
        raise InvalidInput.of(numbers_field, f"{message} by PATCH /v2/agent/{agent.agent_id} or PATCH /user/me")


def _filled(services: Services, agent: Agent, account: Account | None) -> Agent:
    return agent.with_defaults(NO_DEFAULTS if account is None else account.defaults, services.defaults)
