"""Create, read, replace, patch and delete agents.

A customer's configuration is stored and returned as it was sent, unknown keys included. `Configure` validates it and
reads the fields that Redial uses. It always gets the whole configuration, also when an agent is patched.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from redial.domain.agent import Agent
from redial.domain.errors import Conflict, NotFound
from redial.ports import Services, StaleVersion
from redial.usecases.accounts import with_account_rules
from redial.usecases.batches import stop_agent_with_batches
from redial.usecases.dispatch import dispatch_all
from redial.usecases.number_rules import mark_if_used
from redial.usecases.replay import send_waiting_now
from redial.usecases.stop import stop_line_holders
from redial.usecases.update import update_agent

Configure = Callable[[Agent, dict[str, Any]], Agent]
"""The agent with that configuration. Raises `InvalidInput`, naming every field at fault, and `TooLarge`."""


def create_agent(
    services: Services, body: dict[str, Any], *, account_id: str, configure: Configure, now: datetime
) -> Agent:
    """Create an agent from `{"agent_config": {…}, …}`. Raises `InvalidInput` and `TooLarge`."""
    blank = Agent(services.new_id(), account_id, "", {}, created_at=now, updated_at=now)
    configured = configure(blank, body)
    kept = services.number_rules.any_kept(account_id)
    _make_key(services, configured)
    agent = services.agents.save(replace(configured, has_number_rules=kept))
    return with_account_rules(services, agent if kept else mark_if_used(services, agent))


def _make_key(services: Services, agent: Agent) -> None:
    """Create the account's key if the agent has a scrub: verdicts are stored under keyed hashes, and dial only reads
    the key."""
    if agent.scrub is not None:
        services.number_rules.digests(agent.account_id, [])


def read_agent(services: Services, agent_id: str, *, account_id: str, deleted: bool = False) -> Agent:
    """The agent. Raises `NotFound`, also for another account's agent and, unless `deleted`, for a deleted one."""
    agent = services.agents.get(account_id, agent_id)
    if agent is None or (agent.deleted_at is not None and not deleted):
        raise NotFound(f"there is no agent {agent_id}")
    return agent


def replace_agent(
    services: Services, agent_id: str, body: dict[str, Any], *, account_id: str, configure: Configure, now: datetime
) -> Agent:
    """Replace the agent's whole configuration with `body`.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """
    return _update(services, agent_id, lambda agent: configure(replace(agent, updated_at=now), body), account_id, now)


def patch_agent(
    services: Services, agent_id: str, patch: dict[str, Any], *, account_id: str, configure: Configure, now: datetime
) -> Agent:
    """Overlay `patch` on the agent's configuration: each top-level key, and each key of `agent_config`.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """

    def transition(agent: Agent) -> Agent:
        merged = agent.config | patch
        if isinstance(patch.get("agent_config"), dict):
            merged["agent_config"] = agent.config["agent_config"] | patch["agent_config"]
        return configure(replace(agent, updated_at=now), merged)

    return _update(services, agent_id, transition, account_id, now)


def delete_agent(services: Services, agent_id: str, *, account_id: str, now: datetime) -> None:
    """Stop the agent's calls and mark it deleted; answered calls finish and are reported. Raises `NotFound`.

    A deleted agent places no calls: one created between the stop and the deletion is stopped now if it holds a line,
    else when it is due.
    """
    stop_agent_with_batches(services, agent_id, account_id=account_id, now=now)
    deleted = _update(services, agent_id, lambda agent: replace(agent, deleted_at=now, updated_at=now), account_id, now)
    stop_line_holders(services, deleted, now)


def _update(
    services: Services, agent_id: str, transition: Callable[[Agent], Agent], account_id: str, now: datetime
) -> Agent:
    """Apply a change to the stored agent. If another writer saves first, read the agent again and retry. Additional
    lines and a new webhook URL are used at once."""

    def with_peak(before: Agent) -> Agent:
        after = transition(before)
        if after.max_concurrent_calls >= before.max_concurrent_calls:
            return after
        return replace(after, peak_concurrent_calls=max(before.max_concurrent_calls, before.peak_concurrent_calls))

    try:
        before, after = update_agent(services, agent_id, with_peak, account_id=account_id)
    except StaleVersion as error:
        raise Conflict(f"agent {agent_id} is being changed by others at the same time: try again") from error
    if after.scrub != before.scrub:
        _make_key(services, after)
    if after.max_concurrent_calls > before.max_concurrent_calls:
        dispatch_all(services, after, now)
    if after.webhook_url != before.webhook_url:
        send_waiting_now(services, after, now)
    return after
