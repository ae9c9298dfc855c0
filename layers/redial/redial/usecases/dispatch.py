"""Dispatch queued calls to an agent's lines: never above the limit, no line idle while a call waits.

    a call that waits:      is added to the queue, and then, as the queue's head, tries every shard for a line
    a call that ends:       hands its line to the queue's head in one write; without one frees it, and checks again
    a call given a line:    dial is invoked with the shard of that line
    a batch:                has one queue entry for all its contacts; each turn of the batch takes its next contact

Every caller that frees a line reads the queue afterwards, and every caller that joins the queue tries the lines
afterwards, so no wake-up is lost. The sweeper finds a call whose dial was lost after it was given a line. What a call
costs does not depend on how many lines the agent has or how many calls wait.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import contact_id
from redial.domain.execution import Execution
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.domain.values import dataclass
from redial.ports import Services

LINES_PER_SHARD = 50
"""A shard is one item, written twice by every call that it carries; 50 calls keep that far below what an item takes."""

START_AHEAD = timedelta(seconds=2)
"""How far ahead starts are reserved by a batch's rate: so long their calls hold lines before they are placed."""
_MOST_TRIES = 50
"""Lost races for batches' contacts before giving up; the next release tries again."""


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
    """The queue entry of an execution that waits: the same one each time."""
    state = execution.state
    ready_at = state.queued_at or state.updated_at
    return QueuedCall(execution.id, state.attempt.number, state.attempt.number > 1, ready_at)


def delayed_call(execution: Execution) -> QueuedCall:
    """The entry in its batch's delayed set of an execution that waits there."""
    number, at = execution.state.attempt.number, execution.state.next_time
    assert at is not None, "it waits for a time"
    return QueuedCall(execution.id, number, number > 1, at)


def acquire(services: Services, agent: Agent, shard: int, call: QueuedCall, now: datetime) -> bool:
    """Acquire a line of the shard for that attempt, or confirm the one that it holds there."""
    return services.lines.acquire(
        agent.account_id, agent.agent_id, shard, capacity(agent, shard), call.execution_id, call.attempt, now
    )


@dataclass(frozen=True)
class Turn:
    """The call to be started next. `queued`: it has an entry in the agent's queue, which is removed once it has a line.
    `at`: not to start earlier, by its batch's rate. `delayed_at`: it was taken from its batch's delayed set, where its
    entry has that time."""

    call: QueuedCall
    queued: bool = False
    at: datetime | None = None
    delayed_at: datetime | None = None


def next_turn(services: Services, agent: Agent, now: datetime, *, consistent: bool = True) -> Turn | None:
    """The call to be started next: due retries first, then the oldest. A batch is as old as its last turn.

    So batches of one agent take turns, with each other and with single calls, and each makes progress. A contact is
    taken from its batch once. `consistent=False`: the queue may be seen as it was a moment ago.
    """
    for _ in range(_MOST_TRIES):
        queue = services.queue.front(agent.agent_id, consistent=consistent)
        first = queue.calls[0] if queue.calls else None
        if first is not None and first.retry:
            return Turn(first, queued=True)
        ready = [entry for entry in queue.batches if _is_ready(entry, now)]
        entry = min(ready, key=lambda one: (one.served_at, one.batch_id), default=None)
        if entry is None or (first is not None and first.ready_at <= entry.served_at):
            return None if first is None else Turn(first, queued=True)
        turn = _turn_of(services, entry, now)
        if turn is not None:
            return turn
    return None


def _is_ready(entry: BatchQueueEntry, now: datetime) -> bool:
    if entry.paused or is_ahead(entry, now):
        return False
    return entry.next_row <= entry.last_row or _has_due(entry, now)


def is_ahead(entry: BatchQueueEntry, now: datetime) -> bool:
    """Whether the next start by the batch's rate is too far off to be reserved. A start starts the next one, so that is
    never less than the time between two."""
    ahead = START_AHEAD if entry.interval is None else max(START_AHEAD, entry.interval)
    return entry.next_at is not None and entry.next_at > now + ahead


def _has_due(entry: BatchQueueEntry, now: datetime) -> bool:
    return entry.delayed_from is not None and entry.delayed_from <= now


def _turn_of(services: Services, entry: BatchQueueEntry, now: datetime) -> Turn | None:
    rows_left = entry.next_row <= entry.last_row
    if _has_due(entry, now) and not (entry.first_dials_first and rows_left):
        found = services.delayed.pop_due(entry, now)
        return None if found is None else Turn(found[0], at=found[1], delayed_at=found[0].ready_at)
    taken = services.queue.next_contact(entry, now)
    if taken is None:
        return None
    row, at = taken
    return Turn(QueuedCall(contact_id(entry.batch_id, row), 1, False, now), at=at)


def enqueue_and_dispatch(services: Services, agent: Agent, call: QueuedCall, now: datetime) -> None:
    """Add the call to the queue; if it is the head, try every shard, for a line may have become free meanwhile."""
    services.queue.enqueue(agent.agent_id, call)
    calls = services.queue.front(agent.agent_id).calls
    if calls and calls[0].execution_id == call.execution_id:
        dispatch_all(services, agent, now)


def release_line(
    services: Services,
    agent: Agent,
    shard: int,
    execution_id: str,
    attempt: int,
    now: datetime,
    since: datetime | None = None,
) -> bool:
    """Hand the line that this attempt holds to the next call and start it; if none waits, free it and check again.

    Idempotent: when the attempt holds no line there this only checks the queue, for the invocation that freed the line
    may have died before it did. False: the shard is still full, as far as `agent` tells; if the agent has changed
    since, a call may wait although a line is free.

    `since`: only if the line was last acquired at that time. An attempt that is not over needs this: another
    invocation may be about to dial it with that line.
    """
    turn = next_turn(services, agent, now, consistent=False)  # the read that must miss no call comes after the release
    if turn is not None:
        lines, limit = services.lines, capacity(agent, shard)
        if lines.hand_over(agent.agent_id, shard, limit, execution_id, attempt, turn.call, now, since):
            _invoke_dial(services, agent, turn, shard)
            return True
        _requeue(services, agent, turn)
    holders = services.lines.release(agent.agent_id, shard, execution_id, attempt, since)
    is_free = len(holders) < capacity(agent, shard)
    _dispatch_shard(services, agent, shard, holders, now)
    return is_free


def dispatch(services: Services, agent: Agent, shards_to_try: Iterable[int], now: datetime) -> None:
    """Start queued calls, in their order, while lines of those shards are free."""
    for shard in shards_to_try:
        holders = set(services.lines.holders(agent.agent_id, shard))
        if not _dispatch_shard(services, agent, shard, holders, now):
            return


def dispatch_all(services: Services, agent: Agent, now: datetime) -> None:
    """Start queued calls on every free line of the agent."""
    dispatch(services, agent, range(shards(agent)), now)


def _dispatch_shard(services: Services, agent: Agent, shard: int, holders: set[str], now: datetime) -> bool:
    """`dispatch` for one shard, whose lines `holders` hold; False: no call waits any more."""
    while len(holders) < capacity(agent, shard):
        turn = next_turn(services, agent, now)
        if turn is None:
            return False
        if not acquire(services, agent, shard, turn.call, now):
            _requeue(services, agent, turn)
            return True
        holders.add(turn.call.execution_id)
        _invoke_dial(services, agent, turn, shard)
    _restart_lost_head(services, agent, shard, holders, now)
    return True


def _restart_lost_head(services: Services, agent: Agent, shard: int, holders: set[str], now: datetime) -> None:
    """The queue's head already holds a line of this full shard, but its dial was never invoked: invoke it."""
    calls = services.queue.front(agent.agent_id).calls
    if calls and calls[0].execution_id in holders and acquire(services, agent, shard, calls[0], now):
        _invoke_dial(services, agent, Turn(calls[0], queued=True), shard)


def _invoke_dial(services: Services, agent: Agent, turn: Turn, shard: int) -> None:
    if turn.queued:
        services.queue.dequeue(agent.agent_id, turn.call)
    services.invoker.dial(turn.call.execution_id, turn.call.attempt, shard, turn.at, turn.delayed_at)


def _requeue(services: Services, agent: Agent, turn: Turn) -> None:
    """Undo a turn that got no line: queue a contact that was taken from its batch. Any other still has its entry."""
    if not turn.queued and turn.delayed_at is None:
        services.queue.enqueue(agent.agent_id, turn.call)
