"""Handing an agent's lines on: never more live calls than lines, and no pause while somebody waits.

    a waiter:       writes itself into the queue, then looks: if it is the head, it tries every shard for itself
    who ends:       gives its line to the next in one write; without a next frees it, and then looks again
    who got a line: is invoked with the shard that it now holds
    a batch:        stands in the queue once, for all its contacts; whoever takes its turn takes its next contact

A line becomes free only by somebody who looks at the queue afterwards, and whoever enters the queue looks at the lines
afterwards, so no wake-up is lost. A call that is given a line and then dies is found by the sweeper. What a call costs
does not depend on how many lines the agent has or how many calls wait.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import contact_id
from redial.domain.execution import Execution
from redial.ports import BatchQueueEntry, Invoker, Lines, QueuedCall

LINES_PER_SHARD = 50
"""A shard is one item, written twice by every call that it carries; 50 calls keep that far below what an item takes."""
LINES_CHECK = timedelta(minutes=3)
"""How often the sweeper checks an agent's lines and the front of its queue while lines are held or calls wait."""

LONGEST_PAUSE = timedelta(seconds=10)
"""How far ahead a start may be reserved by a batch's rate: dial waits for it, and starts the next one after it."""
_MOST_TRIES = 50
"""How often somebody else may be quicker at every batch before this look is given up; the next look is not far."""


def shards(agent: Agent) -> int:
    """How many shards the agent's lines are in."""
    return max(1, -(-agent.max_concurrent_calls // LINES_PER_SHARD))


def shards_in_use(agent: Agent) -> range:
    """Every shard in which a line of the agent may be held: also those of a limit that has been lowered since."""
    return range(max(shards(agent), -(-agent.peak_concurrent_calls // LINES_PER_SHARD)))


def capacity(agent: Agent, shard: int) -> int:
    """Lines of one shard; the shards' capacities add up to the agent's limit.

    Shards are filled up one after the other, so that raising the limit lowers no shard's capacity, and lowering it
    raises none: calls that are live while it changes never make room for more than the higher of the two limits.
    """
    return max(0, min(LINES_PER_SHARD, agent.max_concurrent_calls - shard * LINES_PER_SHARD))


def preferred_shard(agent: Agent, execution_id: str) -> int:
    """The shard that a call tries first: calls spread evenly over the lines."""
    return zlib.crc32(execution_id.encode()) % agent.max_concurrent_calls // LINES_PER_SHARD


def queued_call(execution: Execution) -> QueuedCall:
    """How a queued execution stands in the queue: the same place each time it is asked."""
    state = execution.state
    ready_at = state.queued_at or state.updated_at
    return QueuedCall(execution.id, state.attempt.number, state.attempt.number > 1, ready_at)


def acquire(agent: Agent, shard: int, who: QueuedCall, lines: Lines, now: datetime) -> bool:
    """Hold a line of the shard for that attempt, or keep the one that it holds there."""
    return lines.acquire(
        agent.account_id, agent.agent_id, shard, capacity(agent, shard), who.execution_id, who.attempt, now
    )


@dataclass(frozen=True)
class Turn:
    """Whose turn it is. `at`: not to start earlier, by its batch's rate; `room`: taken from its batch's room, where it
    stands at that time; `waits`: it stands in the agent's queue, and stays there until it has been given a line."""

    call: QueuedCall
    waits: bool = False
    at: datetime | None = None
    delayed_at: datetime | None = None


def next_turn(agent: Agent, lines: Lines, now: datetime, *, consistent: bool = True) -> Turn | None:
    """Whose turn it is: due retries first, then whoever waits longest, a batch being as old as its last turn.

    So batches of one agent take turns, with each other and with single calls, and each makes progress. What is taken
    from a batch is taken by nobody else. `lagging`: the queue may be seen as it was a moment ago.
    """
    for _ in range(_MOST_TRIES):
        queue = lines.queue(agent.agent_id, consistent=consistent)
        first = queue.calls[0] if queue.calls else None
        if first is not None and first.retry:
            return Turn(first, waits=True)
        ready = [entry for entry in queue.batches if _is_ready(entry, now)]
        entry = min(ready, key=lambda one: (one.served_at, one.batch_id), default=None)
        if entry is None or (first is not None and first.ready_at <= entry.served_at):
            return None if first is None else Turn(first, waits=True)
        turn = _turn_of(entry, lines, now)
        if turn is not None:
            return turn
    return None


def _is_ready(entry: BatchQueueEntry, now: datetime) -> bool:
    if entry.paused or (entry.next_at is not None and entry.next_at > now + LONGEST_PAUSE):
        return False
    return entry.next_row <= entry.last_row or _has_due(entry, now)


def _has_due(entry: BatchQueueEntry, now: datetime) -> bool:
    return entry.delayed_from is not None and entry.delayed_from <= now


def _turn_of(entry: BatchQueueEntry, lines: Lines, now: datetime) -> Turn | None:
    rows_left = entry.next_row <= entry.last_row
    if _has_due(entry, now) and not (entry.first_dials_first and rows_left):
        found = lines.pop_delayed(entry, now)
        return None if found is None else Turn(found[0], at=found[1], delayed_at=found[0].ready_at)
    taken = lines.next_contact(entry, now)
    if taken is None:
        return None
    row, at = taken
    return Turn(QueuedCall(contact_id(entry.batch_id, row), 1, False, now), at=at)


def enqueue_and_dispatch(agent: Agent, who: QueuedCall, lines: Lines, invoker: Invoker, now: datetime) -> None:
    """Join the queue; if nobody is before it, see whether a line has become free since it last looked."""
    lines.enqueue(agent.agent_id, who)
    calls = lines.queue(agent.agent_id).calls
    if calls and calls[0].execution_id == who.execution_id:
        dispatch(agent, range(shards(agent)), lines, invoker, now)


def release_line(
    agent: Agent,
    shard: int,
    execution_id: str,
    attempt: int,
    lines: Lines,
    invoker: Invoker,
    now: datetime,
    since: datetime | None = None,
) -> bool:
    """Give the line that this attempt holds to the next waiting call and start it; without one, free it and look again.

    When the attempt holds no line there it only looks, so that it may be repeated: whoever freed the line may have
    heard no answer, or have been lost before looking. False: the shard is still full, as far as `agent` tells; if that
    is not how the agent stands now, somebody may wait although a line is free.

    `since`: only if the line was acquired last at that time. An attempt that is not over needs this: another
    invocation may be about to dial it with that line.
    """
    turn = next_turn(agent, lines, now, consistent=False)  # the look that must not miss anybody comes after the release
    if turn is not None:
        to = turn.call
        if lines.hand_over(agent.agent_id, shard, capacity(agent, shard), execution_id, attempt, to, now, since):
            _invoke_dial(agent, turn, shard, lines, invoker)
            return True
        _requeue(agent, turn, lines)
    holders = lines.release(agent.agent_id, shard, execution_id, attempt, since)
    has_room = len(holders) < capacity(agent, shard)
    _dispatch(agent, shard, holders, lines, invoker, now)
    return has_room


def dispatch(agent: Agent, shards_to_try: Iterable[int], lines: Lines, invoker: Invoker, now: datetime) -> None:
    """Start waiting calls, whoever's turn it is first, while lines of those shards are free."""
    for shard in shards_to_try:
        if not _dispatch(agent, shard, set(lines.holders(agent.agent_id, shard)), lines, invoker, now):
            return


def _dispatch(agent: Agent, shard: int, holders: set[str], lines: Lines, invoker: Invoker, now: datetime) -> bool:
    """`dispatch` for one shard, whose lines `holders` hold; False: nobody waits any more."""
    while len(holders) < capacity(agent, shard):
        turn = next_turn(agent, lines, now)
        if turn is None:
            return False
        if not acquire(agent, shard, turn.call, lines, now):
            _requeue(agent, turn, lines)
            return True
        holders.add(turn.call.execution_id)
        _invoke_dial(agent, turn, shard, lines, invoker)
    _restart_lost_head(agent, shard, holders, lines, invoker, now)
    return True


def _restart_lost_head(
    agent: Agent, shard: int, holders: set[str], lines: Lines, invoker: Invoker, now: datetime
) -> None:
    """The first of the queue holds a line of this full shard already: whoever was to start it was lost."""
    calls = lines.queue(agent.agent_id).calls
    if calls and calls[0].execution_id in holders and acquire(agent, shard, calls[0], lines, now):
        _invoke_dial(agent, Turn(calls[0], waits=True), shard, lines, invoker)


def _invoke_dial(agent: Agent, turn: Turn, shard: int, lines: Lines, invoker: Invoker) -> None:
    if turn.waits:
        lines.dequeue(agent.agent_id, turn.call)
    invoker.dial(turn.call.execution_id, turn.call.attempt, shard, turn.at, turn.delayed_at)


def _requeue(agent: Agent, turn: Turn, lines: Lines) -> None:
    """Nothing was given to it: a contact taken from a batch then waits in the queue; one from its room stays there."""
    if not turn.waits and turn.delayed_at is None:
        lines.enqueue(agent.agent_id, turn.call)


def dispatch_all(agent: Agent, lines: Lines, invoker: Invoker, now: datetime) -> None:
    """Start waiting calls on every free line of the agent: its limit was raised, or something was lost."""
    dispatch(agent, range(shards(agent)), lines, invoker, now)
