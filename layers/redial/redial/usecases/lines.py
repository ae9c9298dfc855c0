"""Handing an agent's lines on: never more live calls than lines, and no pause while somebody waits.

A waiter first writes itself into the queue and then tries for a line; whoever frees a line frees it first (or gives it
straight to the queue's head) and then looks at the queue. In that order no wake-up is lost. A call that is given a line
and then dies is found by the sweeper.
"""

import zlib
from datetime import datetime

from redial.domain.agent import Agent
from redial.domain.execution import Execution
from redial.ports import Functions, Lines, Waiter

LINES_PER_SHARD = 50
"""A shard is one item, written twice by every call that it carries; 50 calls keep that far below what an item takes."""


def shards(agent: Agent) -> int:
    """How many shards the agent's lines are in."""
    return max(1, -(-agent.max_concurrent_calls // LINES_PER_SHARD))


def capacity(agent: Agent, shard: int) -> int:
    """Lines of one shard; the shards' capacities add up to the agent's limit."""
    count = shards(agent)
    if shard >= count:
        return 0
    return agent.max_concurrent_calls // count + (shard < agent.max_concurrent_calls % count)


def home_shard(agent: Agent, execution_id: str) -> int:
    """The shard in which a call queues, and which it tries first."""
    return zlib.crc32(execution_id.encode()) % shards(agent)


def waiter(execution: Execution) -> Waiter:
    """How a queued execution stands in its queue: the same place each time it is asked."""
    state = execution.state
    ready_at = state.queued_at or state.updated_at
    return Waiter(execution.id, state.attempt.number, state.attempt.number > 1, ready_at)


def acquire(agent: Agent, execution: Execution, lines: Lines, now: datetime) -> int | None:
    """The shard in which the execution's current attempt now holds a line; None: all are taken.

    A line that it kept from before (a throttled dial) comes first, then its home shard, then the others.
    """
    count = shards(agent)
    kept = execution.state.attempt.line
    first = home_shard(agent, execution.id) if kept is None else kept
    for step in range(count):
        shard = (first + step) % count
        if lines.acquire(
            agent.account_id,
            agent.agent_id,
            shard,
            capacity(agent, shard),
            execution.id,
            execution.state.attempt.number,
            now,
        ):
            return shard
    return None


def pass_on(
    agent: Agent, shard: int, execution_id: str, attempt: int, lines: Lines, functions: Functions, now: datetime
) -> None:
    """Give the line that this attempt holds to the next waiting call and start it; without one, free it.

    Does nothing when the attempt holds no line there, so that it may be repeated.
    """
    head = lines.head(agent.agent_id, shard)
    if head is not None and lines.hand_over(
        agent.agent_id, shard, capacity(agent, shard), execution_id, attempt, head, now
    ):
        lines.dequeue(agent.agent_id, shard, head)
        functions.dial(head.execution_id, head.attempt)
    elif lines.release(agent.agent_id, shard, execution_id, attempt):
        fill(agent, shard, lines, functions, now)


def fill(agent: Agent, shard: int, lines: Lines, functions: Functions, now: datetime) -> None:
    """Start waiting calls while lines of the shard are free; then wake other shards' waiters for what is left."""
    free = True
    while free and (head := lines.head(agent.agent_id, shard)) is not None:
        free = lines.acquire(
            agent.account_id, agent.agent_id, shard, capacity(agent, shard), head.execution_id, head.attempt, now
        )
        if free:
            lines.dequeue(agent.agent_id, shard, head)
            functions.dial(head.execution_id, head.attempt)
    if free and capacity(agent, shard):
        for other in range(shards(agent)):
            if other != shard and (head := lines.head(agent.agent_id, other)) is not None:
                functions.dial(head.execution_id, head.attempt)


def fill_all(agent: Agent, lines: Lines, functions: Functions, now: datetime) -> None:
    """Start waiting calls on every free line of the agent: its limit was raised, or something was lost."""
    for shard in range(shards(agent)):
        fill(agent, shard, lines, functions, now)
