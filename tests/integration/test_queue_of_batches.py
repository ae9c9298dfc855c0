"""A batch's queue entry, delayed set and counts, on moto: which call is dispatched, when, and in what order."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.ttl_cache import TTL
from redial.domain.agent import Agent
from redial.domain.batch import Batch, contact_id
from redial.domain.execution import Execution
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.domain.status import Status
from redial.ports import StaleVersion
from redial.usecases.count_batches import StatusMove, count_batches
from redial.usecases.dispatch import dispatch, next_turn, release_line
from tests.support.aws import dynamodb_with_table
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, agent, seconds
from tests.support.services import GivenServices, TableServices, table_services
from tests.support.table import TABLE_NAME

FIRST, SECOND = "1" * 32, "2" * 32


class Started:
    """An invoker that records its invocations."""

    def __init__(self) -> None:
        self.dials: list[tuple[str, int | None, datetime | None]] = []
        self.batches: list[str] = []
        self.deliveries: list[str] = []

    def dial(
        self,
        execution_id: str,
        attempt: int,
        line: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
    ) -> None:
        self.dials.append((execution_id, line, at))

    def deliver(self, subject_id: str, lease: str | None, known: Execution | None = None) -> None:
        self.deliveries.append(subject_id)

    def batch(self, batch_id: str) -> None:
        self.batches.append(batch_id)


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


@pytest.fixture
def services(client: Any) -> TableServices:
    return table_services(client)


@pytest.fixture
def one() -> Agent:
    return agent(max_concurrent_calls=3)


def queue_entry(batch_id: str = FIRST, last_row: int = 3, **options: Any) -> BatchQueueEntry:
    return replace(BatchQueueEntry(batch_id, AGENT_ID, 1, last_row, TEN), **options)


def taken(agent: Agent, services: TableServices, now: datetime) -> str | None:
    turn = next_turn(services, agent, now)
    return None if turn is None else turn.call.execution_id


def test_a_batchs_contacts_are_dispatched_in_order_each_once(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry())
    services.queue.join(queue_entry(next_row=1, last_row=99))  # joining again changes nothing
    assert [taken(one, services, TEN) for _ in range(4)] == [*(contact_id(FIRST, row) for row in (1, 2, 3)), None]


def test_batches_alternate_and_a_single_call_waits_for_at_most_one_turn(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry(FIRST))
    services.queue.join(queue_entry(SECOND, served_at=TEN + seconds(1)))
    single = QueuedCall("9" * 8, 1, False, TEN + seconds(11))
    order = [taken(one, services, TEN + seconds(second)) for second in range(10, 13)]
    services.queue.enqueue(AGENT_ID, single)
    order += [taken(one, services, TEN + seconds(13)), taken(one, services, TEN + seconds(14))]
    assert order[:3] == [contact_id(FIRST, 1), contact_id(SECOND, 1), contact_id(FIRST, 2)]
    assert single.execution_id in order[3:]


def test_due_retries_go_before_batches(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry())
    services.queue.enqueue(AGENT_ID, QueuedCall("retry", 2, True, TEN + seconds(5)))
    assert taken(one, services, TEN + seconds(5)) == "retry"
    services.queue.dequeue(AGENT_ID, QueuedCall("retry", 2, True, TEN + seconds(5)))
    assert taken(one, services, TEN + seconds(5)) == contact_id(FIRST, 1)


def test_a_paused_batch_is_skipped(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry())
    services.queue.pause(AGENT_ID, FIRST, True)
    assert taken(one, services, TEN) is None
    services.queue.pause(AGENT_ID, FIRST, False)
    assert taken(one, services, TEN) == contact_id(FIRST, 1)
    services.queue.leave(AGENT_ID, FIRST)
    services.queue.pause(AGENT_ID, FIRST, True)  # its entry is gone, and none is created
    assert services.queue.batch_entry(AGENT_ID, FIRST) is None


@pytest.mark.parametrize(("interval", "ahead"), [(4, [0, 4]), (1, [0, 1, 2]), (0.5, [0, 0.5, 1, 1.5, 2])])
def test_starts_are_reserved_at_the_batchs_rate_two_seconds_ahead_or_one_start(
    one: Agent, services: TableServices, interval: float, ahead: list[float]
) -> None:
    services.queue.join(queue_entry(last_row=100, interval=seconds(interval)))
    starts = []
    while (turn := next_turn(services, one, TEN)) is not None:
        starts.append(turn.at)
    assert starts == [TEN + seconds(one) for one in ahead]
    turn = next_turn(services, one, TEN + seconds(30))
    assert turn is not None
    assert turn.at == TEN + seconds(30), "a start that was not used is not saved up"


def test_a_reservation_on_a_stale_next_start_is_refused(services: TableServices) -> None:
    services.queue.join(queue_entry(interval=seconds(1)))
    read = services.queue.batch_entry(AGENT_ID, FIRST)
    assert read is not None
    assert services.queue.reserve_start(read, TEN) == TEN
    assert services.queue.reserve_start(read, TEN) is None
    assert services.queue.next_contact(read, TEN) is None


def test_delayed_contacts_are_popped_when_due_and_again_after_five_minutes(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry(next_row=4))
    late, early = QueuedCall("late", 1, False, TEN + seconds(60)), QueuedCall("early", 2, True, TEN + seconds(30))
    assert services.delayed.add(AGENT_ID, FIRST, late)
    assert services.delayed.add(AGENT_ID, FIRST, early)
    assert not services.delayed.add(AGENT_ID, FIRST, replace(late, execution_id="later"))
    assert services.delayed.next_due(FIRST, TEN + seconds(30)) == TEN + seconds(60)
    assert taken(one, services, TEN) is None
    turn = next_turn(services, one, TEN + seconds(30))
    assert turn is not None
    assert (turn.call, turn.delayed_at) == (early, early.ready_at)
    assert taken(one, services, TEN + seconds(31)) is None, "no other contact is due, and this one is being dialled"
    services.delayed.remove(FIRST, early)
    assert [taken(one, services, TEN + seconds(70)) for _ in range(3)] == ["late", "later", None]
    assert taken(one, services, TEN + seconds(70) + timedelta(minutes=5)) == "late", "its dial was lost"
    services.delayed.clear(FIRST)
    assert taken(one, services, TEN + timedelta(hours=1)) is None


def test_first_dials_first_precede_the_delayed_set(one: Agent, services: TableServices) -> None:
    services.queue.join(queue_entry(last_row=1, first_dials_first=True))
    services.delayed.add(AGENT_ID, FIRST, QueuedCall("retry", 2, True, TEN))
    assert [taken(one, services, TEN) for _ in range(2)] == [contact_id(FIRST, 1), "retry"]


def test_free_lines_are_dispatched_and_no_more(one: Agent, client: Any) -> None:
    functions = Started()
    services = table_services(client, invoker=functions)
    services.queue.join(queue_entry(last_row=10))
    dispatch(services, one, (0,), TEN)
    dispatch(services, one, (0,), TEN)
    assert [dial[:2] for dial in functions.dials] == [(contact_id(FIRST, row), 0) for row in (1, 2, 3)]
    read = services.queue.batch_entry(AGENT_ID, FIRST)
    assert read is not None
    assert read.next_row == 4, "no contact is dispatched without a free line"


def test_a_call_queued_while_the_queue_is_cached_as_empty_gets_the_released_line(client: Any) -> None:
    """Of two released lines, the second is handed over in one write: by then the queue is known not to be empty."""
    now = [TEN]
    agent_of_two, functions = agent(max_concurrent_calls=2), Started()
    services = table_services(client, now=lambda: now[0], invoker=functions)
    for name in ("first", "second"):
        assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 2, name, 1, TEN)
    assert not services.queue.front(AGENT_ID).calls
    other_process = table_services(client)
    for second, name in enumerate(("third", "fourth")):
        other_process.queue.enqueue(AGENT_ID, QueuedCall(name, 1, False, TEN + seconds(second)))
    assert not services.queue.front(AGENT_ID, consistent=False).calls, "it is cached as empty"
    assert release_line(services, agent_of_two, 0, "first", 1, TEN)
    assert [dial[0] for dial in functions.dials] == ["third"]
    assert [waiter.execution_id for waiter in services.queue.front(AGENT_ID, consistent=False).calls] == ["fourth"]
    assert release_line(services, agent_of_two, 0, "second", 1, TEN)
    assert [dial[0] for dial in functions.dials] == ["third", "fourth"]
    assert set(services.lines.holders(AGENT_ID, 0)) == {"third", "fourth"}
    services.queue.front(AGENT_ID)
    other_process.queue.enqueue(AGENT_ID, QueuedCall("fifth", 1, False, TEN))
    now[0] += TTL
    assert [waiter.execution_id for waiter in services.queue.front(AGENT_ID, consistent=False).calls] == ["fifth"]


# ---- counts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def batches(client: Any) -> DynamoBatches:
    return DynamoBatches(client, TABLE_NAME)


def running(batches: DynamoBatches, valid: int) -> Batch:
    batch = Batch(FIRST, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv").begin(TEN, True)
    assert batches.create(batch.processed(valid, valid, TEN).run(TEN))
    read = batches.get(FIRST)
    assert read is not None
    return read


def moved(number: int, before: Status | None, after: Status) -> StatusMove:
    return StatusMove(FIRST, before, after, f"{number:040d}")


def count(batches: DynamoBatches, shard: str, *moves: StatusMove) -> list[str]:
    services = GivenServices(batches=batches, counts=batches, invoker=Started())
    return count_batches(services, shard, moves, TEN + seconds(60))


def test_repeated_records_in_any_batches_are_counted_once(batches: DynamoBatches) -> None:
    running(batches, 2)
    moves = [moved(1, None, Status.QUEUED), moved(2, None, Status.QUEUED), moved(5, Status.QUEUED, Status.INITIATED)]
    count(batches, "shard-a", *moves[:1])
    count(batches, "shard-a", *moves[:2])
    count(batches, "shard-a", *moves)
    count(batches, "shard-a", *moves[1:])
    assert batches.counts(FIRST) == {"initiated": 1, "queued": 1}


def test_counts_of_several_shards_add_up(batches: DynamoBatches) -> None:
    running(batches, 2)
    count(batches, "shard-b", moved(900, Status.QUEUED, Status.COMPLETED))
    count(batches, "shard-a", moved(7, None, Status.QUEUED), moved(8, None, Status.QUEUED))
    assert batches.counts(FIRST) == {"completed": 1, "queued": 1}


def test_a_batch_is_completed_once_when_its_last_contact_is_final(batches: DynamoBatches) -> None:
    running(batches, 2)
    ends = [moved(number, None, Status.QUEUED) for number in (1, 2)]
    assert count(batches, "shard-a", *ends, moved(3, Status.QUEUED, Status.BUSY)) == []
    last = moved(4, Status.QUEUED, Status.STOPPED)
    assert count(batches, "shard-a", last) == [FIRST]
    assert count(batches, "shard-a", last) == []
    done = batches.get(FIRST)
    assert done is not None
    assert (done.status, done.changes[-1].counts) == ("completed", {"busy": 1, "stopped": 1})


def test_a_crash_between_counting_and_completing_is_repaired_by_repeated_records(
    batches: DynamoBatches,
) -> None:
    running(batches, 1)
    batches.count(FIRST, "shard-a", {"completed": 1}, None, f"{2:040d}")
    assert count(batches, "shard-a", moved(2, Status.IN_PROGRESS, Status.COMPLETED)) == [FIRST]


def test_counting_a_shard_from_a_stale_position_is_refused(batches: DynamoBatches) -> None:
    running(batches, 1)
    batches.count(FIRST, "shard-a", {"queued": 1}, None, "1")
    for after in (None, "0"):
        with pytest.raises(StaleVersion):
            batches.count(FIRST, "shard-a", {"queued": 1}, after, "2")


def test_a_deleted_batch_leaves_no_counts_behind(batches: DynamoBatches) -> None:
    batch = running(batches, 1)
    count(batches, "shard-a", moved(1, None, Status.QUEUED))
    deleted = batches.save(batch.delete(TEN))
    count(batches, "shard-b", moved(1, Status.QUEUED, Status.STOPPED))
    batches.remove_counts(FIRST)
    batches.save(deleted.removed(TEN))
    assert batches.counts(FIRST) == {}
    count(batches, "shard-c", moved(2, Status.QUEUED, Status.STOPPED))
    assert batches.counts(FIRST) == {}
