"""Handing an agent's lines on: never more live calls than lines, and no pause while somebody waits.

    a waiter:       writes itself into the queue, then looks: if it is the head, it tries every shard for itself
    who ends:       gives its line to the head in one write; without a head frees it, and then looks again
    who got a line: is invoked with the shard that it now holds

A line becomes free only by somebody who looks at the queue afterwards, and whoever enters the queue looks at the lines
afterwards, so no wake-up is lost. A call that is given a line and then dies is found by the sweeper. What a call costs
does not depend on how many lines the agent has or how many calls wait.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.execution import Execution
from redial.ports import Functions, Lines, Waiter

LINES_PER_SHARD = 50
"""A shard is one item, written twice by every call that it carries; 50 calls keep that far below what an item takes."""
LINES_CHECK = timedelta(minutes=10)
"""How long lines are held before the sweeper asks whether their holders still need them, and how often after that."""


def shards(agent: Agent) -> int:
    """How many shards the agent's lines are in."""
    return max(1, -(-agent.max_concurrent_calls // LINES_PER_SHARD))


def capacity(agent: Agent, shard: int) -> int:
    """Lines of one shard; the shards' capacities add up to the agent's limit.

    Shards are filled up one after the other, so that raising the limit lowers no shard's capacity, and lowering it
    raises none: calls that are live while it changes never make room for more than the higher of the two limits.
    """
    return max(0, min(LINES_PER_SHARD, agent.max_concurrent_calls - shard * LINES_PER_SHARD))


def home_shard(agent: Agent, execution_id: str) -> int:
    """The shard that a call tries first: calls spread evenly over the lines."""
    return zlib.crc32(execution_id.encode()) % agent.max_concurrent_calls // LINES_PER_SHARD


def waiter(execution: Execution) -> Waiter:
    """How a queued execution stands in the queue: the same place each time it is asked."""
    state = execution.state
    ready_at = state.queued_at or state.updated_at
    return Waiter(execution.id, state.attempt.number, state.attempt.number > 1, ready_at)


def acquire(agent: Agent, shard: int, who: Waiter, lines: Lines, now: datetime) -> bool:
    """Hold a line of the shard for that attempt, or keep the one that it holds there."""
    return lines.acquire(
        agent.account_id, agent.agent_id, shard, capacity(agent, shard), who.execution_id, who.attempt, now
    )


def wait(agent: Agent, who: Waiter, lines: Lines, functions: Functions, now: datetime) -> None:
    """Join the queue; if nobody is before it, see whether a line has become free since it last looked."""
    lines.enqueue(agent.agent_id, who)
    head = lines.head(agent.agent_id)
    if head is not None and head.execution_id == who.execution_id:
        fill(agent, range(shards(agent)), lines, functions, now)


def pass_on(
    agent: Agent, shard: int, execution_id: str, attempt: int, lines: Lines, functions: Functions, now: datetime
) -> None:
    """Give the line that this attempt holds to the next waiting call and start it; without one, free it.

    Does nothing when the attempt holds no line there, so that it may be repeated.
    """
    head = lines.head(agent.agent_id)
    if head is not None and lines.hand_over(
        agent.agent_id, shard, capacity(agent, shard), execution_id, attempt, head, now
    ):
        lines.dequeue(agent.agent_id, head)
        functions.dial(head.execution_id, head.attempt, shard)
    elif lines.release(agent.agent_id, shard, execution_id, attempt):
        fill(agent, (shard,), lines, functions, now)


def fill(agent: Agent, shards_to_try: Iterable[int], lines: Lines, functions: Functions, now: datetime) -> None:
    """Start waiting calls, the first of the queue first, while lines of those shards are free."""
    for shard in shards_to_try:
        while True:
            head = lines.head(agent.agent_id)
            if head is None:
                return
            if not acquire(agent, shard, head, lines, now):
                break
            lines.dequeue(agent.agent_id, head)
            functions.dial(head.execution_id, head.attempt, shard)


def fill_all(agent: Agent, lines: Lines, functions: Functions, now: datetime) -> None:
    """Start waiting calls on every free line of the agent: its limit was raised, or something was lost."""
    fill(agent, range(shards(agent)), lines, functions, now)
