"""A waiting call is started when a line is free: it joins the queue, then checks every line shard."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.domain.batch import contact_id
from redial.domain.queue import BatchQueueEntry, Queue, QueuedCall
from redial.usecases.dispatch import (
    LINES_PER_SHARD,
    capacity,
    dispatch,
    enqueue_and_dispatch,
    next_turn,
    release_line,
    shards,
)
from tests.support.aws import dynamodb_with_table
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, agent, seconds
from tests.support.services import table_services
from tests.support.table import TABLE_NAME


class Dials:
    """Records which calls are started on a line of which shard; `meanwhile` is called at each start."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.started: list[tuple[str, int | None]] = []
        self._meanwhile = meanwhile

    def dial(
        self,
        execution_id: str,
        attempt: int,
        line: int | None = None,
        at: datetime | None = None,
        room: datetime | None = None,
    ) -> None:
        self.started.append((execution_id, line))
        self._meanwhile()


class Watched(DynamoCallQueue):
    """Calls `after_read` once, just after it has read the queue for the first time."""

    after_read: Callable[[], None] | None = None

    def front(self, agent_id: str, *, consistent: bool = True) -> Queue:
        seen = super().front(agent_id, consistent=consistent)
        if self.after_read is not None:
            happens, self.after_read = self.after_read, None
            happens()
        return seen


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


def waits(execution_id: str, since: float = 0) -> QueuedCall:
    return QueuedCall(execution_id, 1, False, TEN + seconds(since))


def test_a_call_joins_the_queue_before_the_queue_is_read(client: Any) -> None:
    """While the call reads the queue, the call before it gets the only line, and ends."""
    one, dials = agent(max_concurrent_calls=1), Dials()
    queue = Watched(client, TABLE_NAME)
    others, mine = table_services(client, invoker=dials), table_services(client, invoker=dials, queue=queue)
    assert others.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "busy", 1, TEN)
    others.queue.enqueue(AGENT_ID, waits("in front"))

    def two_calls_end() -> None:
        for ended in ("busy", "in front"):
            release_line(others, one, 0, ended, 1, TEN + seconds(2))

    queue.after_read = two_calls_end
    enqueue_and_dispatch(mine, one, waits("mine", 1), TEN + seconds(2))
    assert dials.started == [("in front", 0), ("mine", 0)]


@pytest.mark.parametrize("free", [0, 1])
def test_a_waiting_call_tries_every_line_shard(client: Any, free: int) -> None:
    two_shards, dials = agent(max_concurrent_calls=2 * LINES_PER_SHARD), Dials()
    services = table_services(client, invoker=dials)
    for call in range(LINES_PER_SHARD):
        services.lines.acquire(ACCOUNT_ID, AGENT_ID, 1 - free, LINES_PER_SHARD, f"live-{call}", 1, TEN)
    enqueue_and_dispatch(services, two_shards, waits("mine"), TEN)
    assert dials.started == [("mine", free)]


def test_a_call_leaves_the_queue_before_it_is_started(client: Any) -> None:
    """Its dial may be quick, and the call may be queued again at the same place. That entry must stay."""
    services = table_services(client)

    def queue_again_at_once() -> None:
        services.lines.release(AGENT_ID, 0, "mine", 1)
        services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "another", 1, TEN)
        services.queue.enqueue(AGENT_ID, waits("mine"))

    services.invoker = dials = Dials(queue_again_at_once)  # type: ignore[assignment]  # it only dials
    enqueue_and_dispatch(services, agent(max_concurrent_calls=1), waits("mine"), TEN)
    assert dials.started == [("mine", 0)]
    assert [one.execution_id for one in services.queue.front(AGENT_ID).calls] == ["mine"]


def test_a_contact_dispatched_without_a_line_is_queued(client: Any) -> None:
    """The line was free when the contact was chosen, but another call acquired it."""
    dials = Dials()
    services = table_services(client, invoker=dials)
    services.queue.join(BatchQueueEntry("1" * 32, AGENT_ID, 1, 3, TEN))
    assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "quicker", 1, TEN)
    services.lines.holders = lambda agent_id, shard: {}  # type: ignore[method-assign]  # as they were before
    dispatch(services, agent(max_concurrent_calls=1), (0,), TEN)
    assert dials.started == []
    assert [one.execution_id for one in services.queue.front(AGENT_ID).calls] == [contact_id("1" * 32, 1)]


@pytest.mark.parametrize("limit", [1, LINES_PER_SHARD, LINES_PER_SHARD + 1, 3 * LINES_PER_SHARD])
def test_the_lines_of_all_shards_add_up_to_the_limit(limit: int) -> None:
    one = agent(max_concurrent_calls=limit)
    assert sum(capacity(one, shard) for shard in range(shards(one))) == limit
    assert max(capacity(one, shard) for shard in range(shards(one))) <= LINES_PER_SHARD


def test_the_head_of_the_queue_that_already_holds_a_line_is_started(client: Any) -> None:
    """The function that handed over the line died before it started the call."""
    dials = Dials()
    services = table_services(client, invoker=dials)
    services.queue.enqueue(AGENT_ID, waits("mine"))
    assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "mine", 1, TEN)
    dispatch(services, agent(max_concurrent_calls=1), (0,), TEN)
    assert dials.started == [("mine", 0)]
    assert services.queue.front(AGENT_ID).calls == []


def test_a_paused_batchs_delayed_set_is_skipped(client: Any) -> None:
    services = table_services(client)
    services.queue.join(BatchQueueEntry("1" * 32, AGENT_ID, 4, 3, TEN))
    services.delayed.add(AGENT_ID, "1" * 32, waits("mine"))
    services.queue.pause(AGENT_ID, "1" * 32, True)
    assert next_turn(services, agent(), TEN) is None
    services.queue.pause(AGENT_ID, "1" * 32, False)
    turn = next_turn(services, agent(), TEN)
    assert turn is not None and turn.call.execution_id == "mine"


def test_a_rate_limited_start_is_reserved_once(client: Any) -> None:
    """Two dispatchers that have read the same next start try to reserve it."""
    services = table_services(client)
    services.queue.join(BatchQueueEntry("1" * 32, AGENT_ID, 1, 9, TEN, interval=seconds(1)))
    for expected in (TEN, TEN + seconds(1)):
        standing = services.queue.batch_entry(AGENT_ID, "1" * 32)
        assert standing is not None
        assert [services.queue.reserve_start(standing, TEN) for _ in range(2)] == [expected, None]
