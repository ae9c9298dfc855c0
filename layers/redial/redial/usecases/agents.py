"""Create, read, replace, patch and delete agents.

A customer's configuration is kept and returned as it was sent, unknown keys included. `Configure` validates it and
reads the fields that Redial acts on; it sees the whole configuration, also that of a patched agent.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from redial.domain.agent import Agent
from redial.domain.errors import Conflict, NotFound
from redial.ports import Agents, Batches, Executions, Invoker, Lines, StaleVersion, Timers
from redial.usecases.batches import stop_agent_with_batches
from redial.usecases.lines import dispatch_all
from redial.usecases.stop import stop_line_holders

_SAVE_TRIES = 10

Configure = Callable[[Agent, dict[str, Any]], Agent]
"""The agent with that configuration. Raises `InvalidInput`, naming every field at fault, and `TooLarge`."""


def create_agent(
    body: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    configure: Configure,
    now: datetime,
    new_id: Callable[[], str],
) -> Agent:
    """A new agent from `{"agent_config": {…}, …}`. Raises `InvalidInput` and `TooLarge`."""
    blank = Agent(new_id(), account_id, "", {}, created_at=now, updated_at=now)
    return agents.save(configure(blank, body))


def read_agent(agent_id: str, *, account_id: str, agents: Agents) -> Agent:
    """Raises `NotFound`, also for a deleted agent and another account's."""
    agent = agents.get(account_id, agent_id)
    if agent is None or agent.deleted_at is not None:
        raise NotFound(f"there is no agent {agent_id}")
    return agent


def replace_agent(
    agent_id: str,
    body: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    lines: Lines,
    invoker: Invoker,
    configure: Configure,
    now: datetime,
) -> Agent:
    """Replace the agent's whole configuration with `body`.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """

    def apply(agent: Agent) -> Agent:
        return configure(replace(agent, updated_at=now), body)

    return _save(agent_id, apply, account_id, agents, lines, invoker, now)


def patch_agent(
    agent_id: str,
    patch: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    lines: Lines,
    invoker: Invoker,
    configure: Configure,
    now: datetime,
) -> Agent:
    """Overlay `patch` on the agent's configuration: each top-level key, and each key of `agent_config`.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """

    def apply(agent: Agent) -> Agent:
        merged = agent.config | patch
        if isinstance(patch.get("agent_config"), dict):
            merged["agent_config"] = agent.config["agent_config"] | patch["agent_config"]
        return configure(replace(agent, updated_at=now), merged)

    return _save(agent_id, apply, account_id, agents, lines, invoker, now)


def delete_agent(
    agent_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    invoker: Invoker,
    now: datetime,
) -> None:
    """Stop the agent's waiting calls and mark it deleted; live calls finish and are reported. Raises `NotFound`.

    A deleted agent places no calls: one created between the stop and the deletion is stopped now if it is about to be
    dialled, else when it is due.
    """
    stop_agent_with_batches(
        agent_id,
        account_id=account_id,
        executions=executions,
        agents=agents,
        batches=batches,
        lines=lines,
        timers=timers,
        invoker=invoker,
        now=now,
    )

    def apply(agent: Agent) -> Agent:
        return replace(agent, deleted_at=now, updated_at=now)

    deleted = _save(agent_id, apply, account_id, agents, lines, invoker, now)
    stop_line_holders(deleted, executions, agents, batches, lines, timers, invoker, now)


def _save(
    agent_id: str,
    apply: Callable[[Agent], Agent],
    account_id: str,
    agents: Agents,
    lines: Lines,
    invoker: Invoker,
    now: datetime,
) -> Agent:
    """Apply a change to the stored agent. If another writer saves first, read the agent again and retry."""
    for _ in range(_SAVE_TRIES):
        before = read_agent(agent_id, account_id=account_id, agents=agents)
        after = apply(before)
        if after.max_concurrent_calls < before.max_concurrent_calls:
            peak = max(before.max_concurrent_calls, before.peak_concurrent_calls)
            after = replace(after, peak_concurrent_calls=peak)
        try:
            after = agents.save(after)
        except StaleVersion:
            continue
        if after.max_concurrent_calls > before.max_concurrent_calls:
            dispatch_all(after, lines, invoker, now)
        return after
    raise Conflict(f"agent {agent_id} is being changed by others at the same time: try again")
