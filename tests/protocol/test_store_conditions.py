"""Each conditional write of the store rejects what it must, tested on the store itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import Batch
from redial.domain.circuit import Circuit
from redial.domain.decision import stopped
from redial.domain.execution import Execution
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.ports import IdempotentRequest, StaleVersion
from tests.support.aws import dynamodb_with_table
from tests.support.samples import (
    ACCOUNT_ID,
    AGENT_ID,
    CALLER_ID,
    EXECUTION_ID,
    TEN,
    agent,
    minutes,
    queued,
    seconds,
)
from tests.support.services import TableServices, table_services

BATCH_ID = "1" * 32


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


@pytest.fixture
def services(client: Any) -> TableServices:
    return table_services(client)


@pytest.fixture
def executions(services: TableServices) -> DynamoExecutions:
    return services.executions


@pytest.fixture
def stored(executions: DynamoExecutions) -> Execution:
    executions.create(queued())
    read = executions.get(EXECUTION_ID)
    assert read is not None
    return read


# ---- versions -------------------------------------------------------------------------------------------------------


def test_an_execution_is_saved_over_the_version_that_was_read(executions: DynamoExecutions, stored: Execution) -> None:
    executions.save(stored.claim(TEN, CALLER_ID, 0, "one"))
    with pytest.raises(StaleVersion):
        executions.save(stored.end(TEN, stopped("stopped by request")))


def test_of_two_claims_one_wins(executions: DynamoExecutions, stored: Execution) -> None:
    executions.save(stored.claim(TEN, CALLER_ID, 0, "one"))
    with pytest.raises(StaleVersion):
        executions.save(stored.claim(TEN, CALLER_ID, 0, "two"))


def test_a_writers_own_repeated_write_succeeds(executions: DynamoExecutions, stored: Execution) -> None:
    """botocore repeats a request whose answer was lost."""
    claim = stored.claim(TEN, CALLER_ID, 0, "one")
    assert executions.save(claim) == executions.save(claim)


def test_an_execution_is_removed_at_the_version_that_was_read(executions: DynamoExecutions, stored: Execution) -> None:
    executions.save(stored.claim(TEN, CALLER_ID, 0, "one"))
    with pytest.raises(StaleVersion):
        executions.remove(stored)
    assert executions.get(EXECUTION_ID) is not None


def test_a_batch_is_saved_over_the_version_that_was_read(services: TableServices) -> None:
    batches = services.batches
    batches.create(Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv").begin(TEN, True))
    read = batches.get(BATCH_ID)
    assert read is not None
    batches.save(read.stop(TEN, "stopped by request", {}))
    with pytest.raises(StaleVersion):
        batches.save(read.processed(3, 3, TEN))


def test_an_agent_and_a_circuit_are_saved_over_the_version_that_was_read(services: TableServices) -> None:
    agents, circuits = services.agents, services.circuits
    one = agents.save(replace(agent(), version=0))
    agents.save(replace(one, name="another"))
    with pytest.raises(StaleVersion):
        agents.save(replace(one, stopped_before=TEN))
    circuit = circuits.save(Circuit(ACCOUNT_ID, "twilio", failures=1, failing_since=TEN, failed_at=TEN))
    circuits.save(replace(circuit, failures=2))
    with pytest.raises(StaleVersion):
        circuits.save(replace(circuit, failures=2))


# ---- lines ----------------------------------------------------------------------------------------------------------


def held(services: TableServices, *calls: tuple[str, int]) -> None:
    for execution_id, attempt in calls:
        assert services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, len(calls), execution_id, attempt, TEN)


def holders(services: TableServices) -> dict[str, int]:
    return {one: attempt for one, (attempt, _) in services.lines.holders(AGENT_ID, 0).items()}


def test_a_line_is_not_confirmed_above_a_lowered_limit(services: TableServices) -> None:
    held(services, ("a", 1), ("b", 1))
    assert not services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "a", 1, TEN)


def test_an_earlier_attempt_takes_no_line_from_a_later_one(services: TableServices) -> None:
    held(services, ("a", 2))
    services.lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "a", 1, TEN)
    assert holders(services) == {"a": 2}


def test_an_earlier_attempt_releases_no_line_of_a_later_one(services: TableServices) -> None:
    held(services, ("a", 2))
    services.lines.release(AGENT_ID, 0, "a", 1)
    assert holders(services) == {"a": 2}


def test_no_line_is_handed_over_above_a_lowered_limit(services: TableServices) -> None:
    held(services, ("a", 1), ("b", 1))
    assert not services.lines.hand_over(AGENT_ID, 0, 1, "a", 1, QueuedCall("c", 1, False, TEN), TEN)
    assert holders(services) == {"a": 1, "b": 1}


def test_a_line_that_is_not_held_is_not_handed_over(services: TableServices) -> None:
    held(services, ("a", 2))
    assert not services.lines.hand_over(AGENT_ID, 0, 1, "a", 1, QueuedCall("c", 1, False, TEN), TEN)
    assert holders(services) == {"a": 2}


def test_no_row_of_a_batch_is_taken_beyond_the_last(services: TableServices) -> None:
    """Two dispatchers that have read the same queue entry each take a row."""
    services.queue.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 3, 3, TEN))
    standing = services.queue.batch_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert [services.queue.next_contact(standing, TEN) for _ in range(2)] == [(3, None), None]


# ---- the delayed set ------------------------------------------------------------------------------------------------


def joined(services: TableServices, now_due: bool = True) -> BatchQueueEntry:
    """A batch without rows left, whose delayed set holds one contact."""
    services.queue.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 4, 3, TEN))
    services.delayed.add(AGENT_ID, BATCH_ID, QueuedCall("a", 1, False, TEN if now_due else TEN + minutes(60)))
    standing = services.queue.batch_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    return standing


def test_a_popped_contact_is_not_popped_again_at_once(services: TableServices) -> None:
    standing = joined(services)
    taken = [services.delayed.pop_due(standing, TEN + seconds(second)) for second in (0, 1)]
    assert [None if one is None else one[0].execution_id for one in taken] == ["a", None]


def test_of_two_readers_of_the_same_delayed_contact_one_pops_it(client: Any, services: TableServices) -> None:
    """The slower reader read the set before the other one popped the contact."""
    standing = joined(services)
    slow = table_services(client)
    read = list(slow.delayed._entries(BATCH_ID))
    assert services.delayed.pop_due(standing, TEN) is not None
    slow.delayed._entries = lambda batch_id: iter(read)  # type: ignore[method-assign]
    assert slow.delayed.pop_due(standing, TEN + seconds(1)) is None


def test_the_delayed_sets_next_time_is_moved_only_if_unchanged_since_its_read(services: TableServices) -> None:
    """Another contact was added since the set was read, and lowered the time; this pop must not raise it."""
    old = joined(services, now_due=False)
    services.delayed.add(AGENT_ID, BATCH_ID, QueuedCall("b", 1, False, TEN + minutes(30)))
    services.delayed._first_takeable = lambda *arguments: None  # type: ignore[method-assign]  # killed after its write
    services.delayed._raise_next(old, None)
    standing = services.queue.batch_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert standing.delayed_from == TEN + minutes(30)


def test_an_entry_missed_before_the_next_time_was_removed_is_found_after_it(services: TableServices) -> None:
    """A pop finds the set empty. Before it saves that, a contact is added that is due later than the set's next time,
    and therefore leaves that time unchanged."""
    read = joined(services)
    services.delayed.remove(BATCH_ID, QueuedCall("a", 1, False, TEN))
    services.delayed.add(AGENT_ID, BATCH_ID, QueuedCall("b", 1, False, TEN + minutes(60)))
    services.delayed._raise_next(read, None)
    standing = services.queue.batch_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert standing.delayed_from == TEN + minutes(60)


def test_a_contact_is_added_before_the_delayed_sets_next_time_is_lowered(
    client: Any, services: TableServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process is killed between the two, the batch's audit finds the entry. A time without an entry would be
    raised, and an entry added after that would never be found."""
    services.queue.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 4, 3, TEN))

    def cut_off(**arguments: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(client, "update_item", cut_off)
        with pytest.raises(InterruptedError):
            services.delayed.add(AGENT_ID, BATCH_ID, QueuedCall("a", 1, False, TEN))
    assert services.delayed.repair(AGENT_ID, BATCH_ID)
    standing = services.queue.batch_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    taken = services.delayed.pop_due(standing, TEN)
    assert taken is not None and taken[0].execution_id == "a"


# ---- others ---------------------------------------------------------------------------------------------------------


def test_an_idempotency_key_is_claimed_once(services: TableServices) -> None:
    keys = services.idempotency
    first, second = IdempotentRequest("x", "hash"), IdempotentRequest("y", "hash")
    assert keys.claim(ACCOUNT_ID, "key", first, TEN) is None
    assert keys.claim(ACCOUNT_ID, "key", second, TEN + minutes(60)) == first
    assert keys.find(ACCOUNT_ID, "key", TEN + minutes(24 * 60 - 1)) == first


def test_one_worker_holds_a_shard_of_the_sweeper(services: TableServices) -> None:
    leases = services.sweep_leases
    assert leases.take("3", "one", 1, TEN, TEN + minutes(2))
    assert not leases.take("3", "two", 1, TEN + minutes(1), TEN + minutes(3))
    assert not leases.take("3", "one", 1, TEN + minutes(1), TEN + minutes(3)), "the same hop twice"
    assert leases.take("3", "one", 2, TEN + minutes(1), TEN + minutes(3))
    leases.release("3", "one", 1)
    assert leases.held(TEN + minutes(2)) == {"3"}
    assert leases.take("3", "two", 1, TEN + minutes(3), TEN + minutes(5)), "its lease is over"
