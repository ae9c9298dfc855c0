"""What each conditional write of the store refuses, asked on the store itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.dynamodb.sweep_leases import DynamoSweepLeases
from redial.domain.batch import Batch
from redial.domain.circuit import Circuit
from redial.domain.execution import Execution
from redial.ports import BatchQueueEntry, IdempotentRequest, QueuedCall, StaleVersion
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
from tests.support.table import TABLE_NAME, create_table

BATCH_ID = "1" * 32


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client)
        yield client


@pytest.fixture
def executions(client: Any) -> DynamoExecutions:
    return DynamoExecutions(client, TABLE_NAME)


@pytest.fixture
def lines(client: Any) -> DynamoLines:
    return DynamoLines(client, TABLE_NAME)


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
        executions.save(stored.stop(TEN, "stopped by request"))


def test_of_two_claims_one_wins(executions: DynamoExecutions, stored: Execution) -> None:
    executions.save(stored.claim(TEN, CALLER_ID, 0, "one"))
    with pytest.raises(StaleVersion):
        executions.save(stored.claim(TEN, CALLER_ID, 0, "two"))


def test_a_write_that_is_sent_again_has_won(executions: DynamoExecutions, stored: Execution) -> None:
    """botocore sends a request again whose answer was lost."""
    claim = stored.claim(TEN, CALLER_ID, 0, "one")
    assert executions.save(claim) == executions.save(claim)


def test_an_execution_is_removed_at_the_version_that_was_read(executions: DynamoExecutions, stored: Execution) -> None:
    executions.save(stored.claim(TEN, CALLER_ID, 0, "one"))
    with pytest.raises(StaleVersion):
        executions.remove(stored)
    assert executions.get(EXECUTION_ID) is not None


def test_a_batch_is_saved_over_the_version_that_was_read(client: Any) -> None:
    batches = DynamoBatches(client, TABLE_NAME)
    batches.create(Batch(BATCH_ID, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv").begin(TEN, True))
    read = batches.get(BATCH_ID)
    assert read is not None
    batches.save(read.stop(TEN, "stopped by request", {}))
    with pytest.raises(StaleVersion):
        batches.save(read.processed(3, 3, TEN))


def test_an_agent_and_a_circuit_are_saved_over_the_version_that_was_read(client: Any) -> None:
    agents, circuits = DynamoAgents(client, TABLE_NAME), DynamoCircuits(client, TABLE_NAME)
    one = agents.save(replace(agent(), version=0))
    agents.save(replace(one, name="another"))
    with pytest.raises(StaleVersion):
        agents.save(replace(one, stopped_before=TEN))
    circuit = circuits.save(Circuit(ACCOUNT_ID, "twilio", failures=1, failing_since=TEN, failed_at=TEN))
    circuits.save(replace(circuit, failures=2))
    with pytest.raises(StaleVersion):
        circuits.save(replace(circuit, failures=2))


# ---- lines ----------------------------------------------------------------------------------------------------------


def held(lines: DynamoLines, *calls: tuple[str, int]) -> None:
    for execution_id, attempt in calls:
        assert lines.acquire(ACCOUNT_ID, AGENT_ID, 0, len(calls), execution_id, attempt, TEN)


def holders(lines: DynamoLines) -> dict[str, int]:
    return {one: attempt for one, (attempt, _) in lines.holders(AGENT_ID, 0).items()}


def test_a_line_is_not_kept_beyond_a_lowered_limit(lines: DynamoLines) -> None:
    held(lines, ("a", 1), ("b", 1))
    assert not lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "a", 1, TEN)


def test_an_earlier_attempt_takes_no_line_from_a_later_one(lines: DynamoLines) -> None:
    held(lines, ("a", 2))
    lines.acquire(ACCOUNT_ID, AGENT_ID, 0, 1, "a", 1, TEN)
    assert holders(lines) == {"a": 2}


def test_an_earlier_attempt_frees_no_line_of_a_later_one(lines: DynamoLines) -> None:
    held(lines, ("a", 2))
    lines.release(AGENT_ID, 0, "a", 1)
    assert holders(lines) == {"a": 2}


def test_no_line_is_handed_over_beyond_a_lowered_limit(lines: DynamoLines) -> None:
    held(lines, ("a", 1), ("b", 1))
    assert not lines.hand_over(AGENT_ID, 0, 1, "a", 1, QueuedCall("c", 1, False, TEN), TEN)
    assert holders(lines) == {"a": 1, "b": 1}


def test_a_line_that_is_not_held_is_not_handed_over(lines: DynamoLines) -> None:
    held(lines, ("a", 2))
    assert not lines.hand_over(AGENT_ID, 0, 1, "a", 1, QueuedCall("c", 1, False, TEN), TEN)
    assert holders(lines) == {"a": 2}


def test_no_row_of_a_batch_is_taken_beyond_the_last(lines: DynamoLines) -> None:
    """Two that have read the same standing take a row."""
    lines.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 3, 3, TEN))
    standing = lines.queue_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert [lines.next_contact(standing, TEN) for _ in range(2)] == [(3, None), None]


# ---- the delayed set ------------------------------------------------------------------------------------------------


def joined(lines: DynamoLines, now_due: bool = True) -> BatchQueueEntry:
    """A batch without rows left, whose delayed set holds one contact."""
    lines.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 4, 3, TEN))
    lines.add_delayed(AGENT_ID, BATCH_ID, QueuedCall("a", 1, False, TEN if now_due else TEN + minutes(60)))
    standing = lines.queue_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    return standing


def test_a_contact_that_was_taken_from_the_delayed_set_is_not_taken_again_at_once(lines: DynamoLines) -> None:
    standing = joined(lines)
    taken = [lines.pop_delayed(standing, TEN + seconds(second)) for second in (0, 1)]
    assert [None if one is None else one[0].execution_id for one in taken] == ["a", None]


def test_of_two_that_see_the_same_contact_in_the_delayed_set_one_takes_it(client: Any, lines: DynamoLines) -> None:
    """The slower one has read the set before the other took the contact."""
    standing = joined(lines)
    slow = DynamoLines(client, TABLE_NAME)
    read = list(slow._room(BATCH_ID))
    assert lines.pop_delayed(standing, TEN) is not None
    slow._room = lambda batch_id: iter(read)  # type: ignore[method-assign]
    assert slow.pop_delayed(standing, TEN + seconds(1)) is None


def test_the_delayed_sets_next_time_is_only_moved_as_it_was_read(lines: DynamoLines) -> None:
    """Another contact has entered, and lowered it, since the set was looked at; this look has nothing to do with it."""
    old = joined(lines, now_due=False)
    lines.add_delayed(AGENT_ID, BATCH_ID, QueuedCall("b", 1, False, TEN + minutes(30)))
    lines._first_takeable = lambda *arguments: None  # type: ignore[method-assign]  # cut off after its write
    lines._move_delayed_from(old, None, TEN)
    standing = lines.queue_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert standing.delayed_from == TEN + minutes(30)


def test_an_entry_that_was_not_seen_before_the_next_time_was_removed_is_seen_after_it(lines: DynamoLines) -> None:
    """One look finds the set empty. Before it writes that down, a contact enters that is due later than the set's next
    time, which it leaves as it is."""
    read = joined(lines)
    lines.remove_delayed(BATCH_ID, QueuedCall("a", 1, False, TEN))
    lines.add_delayed(AGENT_ID, BATCH_ID, QueuedCall("b", 1, False, TEN + minutes(60)))
    lines._move_delayed_from(read, None, TEN)
    standing = lines.queue_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    assert standing.delayed_from == TEN + minutes(60)


def test_a_contact_is_in_the_delayed_set_before_its_next_time_is_lowered(
    lines: DynamoLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off between the two, the batch's check finds the entry; a time without an entry would be moved on, and the
    entry that comes then would be found by nothing."""
    lines.join(BatchQueueEntry(BATCH_ID, AGENT_ID, 4, 3, TEN))

    def cut_off(**arguments: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(lines._client, "update_item", cut_off)
        with pytest.raises(InterruptedError):
            lines.add_delayed(AGENT_ID, BATCH_ID, QueuedCall("a", 1, False, TEN))
    assert lines.repair_delayed(AGENT_ID, BATCH_ID, TEN)
    standing = lines.queue_entry(AGENT_ID, BATCH_ID)
    assert standing is not None
    taken = lines.pop_delayed(standing, TEN)
    assert taken is not None and taken[0].execution_id == "a"


# ---- others ---------------------------------------------------------------------------------------------------------


def test_an_idempotency_key_is_claimed_once(client: Any) -> None:
    keys = DynamoIdempotencyKeys(client, TABLE_NAME)
    first, second = IdempotentRequest("x", "hash"), IdempotentRequest("y", "hash")
    assert keys.claim(ACCOUNT_ID, "key", first, TEN) is None
    assert keys.claim(ACCOUNT_ID, "key", second, TEN + minutes(60)) == first
    assert keys.find(ACCOUNT_ID, "key", TEN + minutes(24 * 60 - 1)) == first


def test_one_worker_holds_a_shard_of_the_sweeper(client: Any) -> None:
    leases = DynamoSweepLeases(client, TABLE_NAME)
    assert leases.take(3, "one", 1, TEN, TEN + minutes(2))
    assert not leases.take(3, "two", 1, TEN + minutes(1), TEN + minutes(3))
    assert not leases.take(3, "one", 1, TEN + minutes(1), TEN + minutes(3)), "the same hop twice"
    assert leases.take(3, "one", 2, TEN + minutes(1), TEN + minutes(3))
    leases.release(3, "one", 1)
    assert leases.held(TEN + minutes(2)) == {3}
    assert leases.take(3, "two", 1, TEN + minutes(3), TEN + minutes(5)), "its lease is over"
