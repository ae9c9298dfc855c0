"""Dispatches queued calls to lines: never above the limit, and no line stays idle while a call waits.

    a call that waits:      is added to the queue; if it is the queue's head, it then tries every shard for a line
    a call that ends:       hands its line to the queue's head in one write; if there is none, frees it and checks again
    a call given a line:    dial is invoked with the shard of that line
    a batch:                has one queue entry for all its contacts; each turn of the batch takes its next contact

Every caller that frees a line reads the queue afterwards, and every caller that joins the queue tries the lines
afterwards, so no wake-up is lost. The sweeper finds a call whose dial was lost after it was given a line. The cost of a
call does not depend on the number of lines or waiting calls.

Lines belong to an agent. Calls of an API key with a quota of lines also hold one of the key's (`usecases.key_lines`).
"""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from redial.domain.agent import Agent
from redial.domain.batch import contact_id
from redial.domain.execution import Execution
from redial.domain.queue import BatchQueueEntry, KeyLines, QueuedCall
from redial.domain.values import dataclass
from redial.ports import Services

LINES_PER_SHARD = 50
"""A shard is one item, written twice by each of its calls. With 50 calls the writes stay far below an item's limit."""

START_AHEAD = timedelta(seconds=2)
"""How far ahead starts are reserved by a batch's rate limit. Their calls hold lines for this long before they are
placed."""
_MOST_TRIES = 50
"""Tries for the next contact while other invocations are faster; then the next release tries again."""


Pool = Agent | KeyLines
"""An owner of lines and of a queue of calls that wait for them."""


def shards(pool: Pool) -> int:
    """The number of line shards."""
    if isinstance(pool, KeyLines):
        return 1
    return max(1, -(-pool.max_concurrent_calls // LINES_PER_SHARD))


def shards_in_use(agent: Agent) -> range:
    """Every shard in which a line of the agent may be held, including those of a limit that was lowered since."""
    return range(max(shards(agent), -(-agent.peak_concurrent_calls // LINES_PER_SHARD)))


def capacity(pool: Pool, shard: int) -> int:
    """The number of lines in one shard. The shards' capacities add up to the limit.

    Shards are filled one after the other, so raising the limit lowers no shard's capacity, and lowering it raises none:
    while the limit changes, there are never more live calls than the higher of the two limits.
    """
    if isinstance(pool, KeyLines):
        return pool.lines
    return max(0, min(LINES_PER_SHARD, pool.max_concurrent_calls - shard * LINES_PER_SHARD))


def preferred_shard(agent: Agent, execution_id: str) -> int:
    """The shard that a call tries first. Calls are spread evenly over the lines."""
    return zlib.crc32(execution_id.encode()) % agent.max_concurrent_calls // LINES_PER_SHARD


def queued_call(execution: Execution) -> QueuedCall:
    """The queue entry of a waiting execution. It is the same each time."""
    state = execution.state
    ready_at = state.queued_at or state.updated_at
    return QueuedCall(execution.id, state.attempt.number, state.attempt.number > 1, ready_at)


def delayed_call(execution: Execution) -> QueuedCall:
    """The delayed set's entry of an execution that waits there."""
    number, at = execution.state.attempt.number, execution.state.next_time
    assert at is not None, "it waits for a time"
    return QueuedCall(execution.id, number, number > 1, at)


def acquire(services: Services, pool: Pool, shard: int, call: QueuedCall, now: datetime) -> bool:
    """Acquire a line of the shard for that attempt, or confirm the one that it holds. False: none is free."""
    return services.lines.acquire(
        pool.account_id, pool.pool_id, shard, capacity(pool, shard), call.execution_id, call.attempt, now
    )


@dataclass(frozen=True)
class Turn:
    """The call to start next. `queued`: it has an entry in the queue, which is removed once it has a line. `at`: its
    earliest start by its batch's rate limit. `delayed_at`: the time of its entry in its batch's delayed set, from which
    it was taken."""

    call: QueuedCall
    queued: bool = False
    at: datetime | None = None
    delayed_at: datetime | None = None


def next_turn(services: Services, pool: Pool, now: datetime, *, consistent: bool = True) -> Turn | None:
    """The call to start next: due retries first, then the oldest. The age of a batch counts from its last turn.

    So the batches of an agent take turns with each other and with single calls, and each makes progress. A contact is
    taken from its batch once. `consistent=False`: the read of the queue may miss the newest entries.
    """
    for _ in range(_MOST_TRIES):
        queue = services.queue.front(pool.pool_id, consistent=consistent)
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
    """Whether the next start by the batch's rate limit is too far ahead to be reserved. Each start dispatches the next,
    so the limit is never less than the interval between two."""
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


def enqueue_and_dispatch(services: Services, pool: Pool, call: QueuedCall, now: datetime) -> None:
    """Add the call to the queue. If it is the head, try every shard, since a line may have become free meanwhile."""
    services.queue.enqueue(pool.pool_id, call)
    calls = services.queue.front(pool.pool_id).calls
    if calls and calls[0].execution_id == call.execution_id:
        dispatch_all(services, pool, now)


def release_line(
    services: Services,
    pool: Pool,
    shard: int,
    execution_id: str,
    attempt: int,
    now: datetime,
    since: datetime | None = None,
) -> bool:
    """Hand the line that this attempt holds to the next call and start it. If no call waits, free the line and check
    the queue again.

    Idempotent: if the attempt holds no line of the shard, this only checks the queue, since the invocation that freed
    the line may have died before it did so. False: the shard is still full according to `pool`; if the agent has
    changed since, a call may wait although a line is free.

    `since`: only if the line was last acquired at that time. Required while the attempt is not over: another invocation
    may be about to dial it with that line.
    """
    turn = next_turn(services, pool, now, consistent=False)  # the read that must miss no call comes after the release
    if turn is not None:
        lines, limit = services.lines, capacity(pool, shard)
        if lines.hand_over(pool.pool_id, shard, limit, execution_id, attempt, turn.call, now, since):
            _invoke_dial(services, pool, turn, shard)
            return True
        _requeue(services, pool, turn)
    holders = services.lines.release(pool.pool_id, shard, execution_id, attempt, since)
    is_free = len(holders) < capacity(pool, shard)
    _dispatch_shard(services, pool, shard, holders, now)
    return is_free


def dispatch(services: Services, pool: Pool, shards_to_try: Iterable[int], now: datetime) -> None:
    """Start queued calls, in order, while lines of those shards are free."""
    for shard in shards_to_try:
        holders = set(services.lines.holders(pool.pool_id, shard))
        if not _dispatch_shard(services, pool, shard, holders, now):
            return


def dispatch_all(services: Services, pool: Pool, now: datetime) -> None:
    """Start queued calls on every free line."""
    dispatch(services, pool, range(shards(pool)), now)


def _dispatch_shard(services: Services, pool: Pool, shard: int, holders: set[str], now: datetime) -> bool:
    """`dispatch` for one shard. `holders`: execution ids of the holders of its lines. False: no call waits any more."""
    while len(holders) < capacity(pool, shard):
        turn = next_turn(services, pool, now)
        if turn is None:
            return False
        if not acquire(services, pool, shard, turn.call, now):
            _requeue(services, pool, turn)
            return True
        holders.add(turn.call.execution_id)
        _invoke_dial(services, pool, turn, shard)
    _restart_lost_head(services, pool, shard, holders, now)
    return True


def _restart_lost_head(services: Services, pool: Pool, shard: int, holders: set[str], now: datetime) -> None:
    """Invoke dial for the queue's head if it already holds a line of this full shard: its dial was lost."""
    calls = services.queue.front(pool.pool_id).calls
    if calls and calls[0].execution_id in holders and acquire(services, pool, shard, calls[0], now):
        _invoke_dial(services, pool, Turn(calls[0], queued=True), shard)


def _invoke_dial(services: Services, pool: Pool, turn: Turn, shard: int) -> None:
    if turn.queued:
        services.queue.dequeue(pool.pool_id, turn.call)
    line_shard = None if isinstance(pool, KeyLines) else shard
    services.invoker.dial(turn.call.execution_id, turn.call.attempt, line_shard, turn.at, turn.delayed_at)


def _requeue(services: Services, pool: Pool, turn: Turn) -> None:
    """Undo a turn that got no line: queue a contact that was taken from its batch. Any other call still has its
    entry."""
    if not turn.queued and turn.delayed_at is None:
        services.queue.enqueue(pool.pool_id, turn.call)
