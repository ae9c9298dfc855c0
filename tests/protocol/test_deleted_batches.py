"""A deleted batch does not come back: nothing creates it again, no contact is dialled, no item remains."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import TOMBSTONE_LIFE, WORK_LEASE, Batch, contact, contact_id
from redial.domain.decision import opens, waits
from redial.domain.execution import Execution
from redial.domain.queue import QueuedCall
from redial.wire.stored_batch import decode
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import Story
from tests.simulation.world import World
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.services import table_services

HOUR = 3600.0


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as world:
        yield world
        for check in AT_THE_END:
            check(world)
        assert world.violations == []


def post(world: World, story: Story, rows: list[str]) -> tuple[int, str, bool]:
    """Send the same request each time; return its status, the batch id, and whether the answer is a replay."""
    form = [("agent_id", story.agent_id), ("start", "now")]
    body = multipart(form, "\n".join(["contact_number", *rows]))
    headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": "job-1"}
    answer = world.ask_as(story.account, "POST", "/batches", body, headers)
    replayed = any(name.lower() == "idempotency-replayed" for name, _ in answer.headers)
    return answer.status, json.loads(answer.body)["batch_id"], replayed


def tombstone(world: World, batch_id: str) -> Batch:
    (item,) = world.items(f"B#{batch_id}")
    batch = decode(item)
    assert batch.is_tombstone
    return batch


def left_of(world: World, batch_id: str) -> list[Any]:
    """All items of the batch except its tombstone, its Idempotency-Key, the called number's data for limits, and the
    audit log."""
    kept = (f"B#{batch_id}", "I#", "T#", "J#")
    items = [item for item in world.items("") if not item["pk"].startswith(kept)]
    contacts = {contact_id(batch_id, row) for row in range(1, 5)}
    return [item for item in items if batch_id in str(item) or any(one in str(item) for one in contacts)]


def test_repeating_the_request_that_created_a_deleted_batch_dials_no_contact(world: World) -> None:
    story = Story(world, 5, lines=1)
    rows = [story.number("completed", "completed") for _ in range(4)]
    status, batch_id, replayed = post(world, story, rows)
    assert (status, replayed) == (201, False)
    world.run(30)
    assert world.ask_as(story.account, "DELETE", f"/batches/{batch_id}").status == 200
    world.run(HOUR)
    placed = len(world.carrier.calls.all())
    for hours in (0, 1, 19):  # as a job queue with at-least-once delivery, within the key's 24 hours
        world.run(hours * HOUR)
        assert post(world, story, rows) == (201, batch_id, True)
        world.run(HOUR)
        assert len(world.carrier.calls.all()) == placed
        assert world.ask_as(story.account, "GET", f"/batches/{batch_id}").status == 404
        assert json.loads(world.ask_as(story.account, "GET", f"/batches/{story.agent_id}/all").body) == []
    assert left_of(world, batch_id) == []


def test_a_slow_first_request_does_not_create_the_batch_after_its_deletion(world: World) -> None:
    """The slow request sends its write after the repeated one has created the batch and another has deleted it."""
    story = Story(world, 5)
    create = DynamoBatches.create

    def slow(self: DynamoBatches, batch: Batch) -> bool:
        assert create(self, batch)
        created = self.get(batch.id)
        assert created is not None
        self.save(created.delete(world.now).removed(world.now).with_due(world.now))
        return create(self, batch)

    with mock.patch.object(DynamoBatches, "create", slow):
        status, batch_id, replayed = post(world, story, [story.number("completed")])
    assert (status, replayed) == (201, True)
    world.run(HOUR)
    assert world.carrier.calls.all() == []
    assert tombstone(world, batch_id).changes[-1].status == "created"


def test_a_tombstone_outlives_the_idempotency_key_and_is_processed_once(world: World) -> None:
    story = Story(world, 5)
    _, batch_id, _ = post(world, story, [story.number("completed")])
    assert world.ask_as(story.account, "DELETE", f"/batches/{batch_id}").status == 200
    world.run(60)
    stone = tombstone(world, batch_id)
    assert stone.deleted_at is not None and stone.expires_at is not None
    assert (
        timedelta(hours=24, minutes=59) < stone.expires_at - stone.deleted_at <= TOMBSTONE_LIFE + timedelta(minutes=1)
    )
    assert stone.pending() == ()
    assert (stone.file_name, stone.webhook_url, stone.retry_config, stone.from_phone_numbers) == ("", None, None, ())
    world.run(WORK_LEASE.total_seconds() + 120)
    done = tombstone(world, batch_id)
    assert done.due_at is None and done.work(world.now) is None
    for function, event in (
        ("batch", {"batch_id": batch_id}),
        ("dial", {"execution_id": contact_id(batch_id, 1), "attempt": 1}),
        ("deliver", {"batch_id": batch_id}),
    ):
        world.functions.invoke_later(f"redial-local-{function}", event)
    world.run(60)
    assert tombstone(world, batch_id) == done
    assert world.carrier.calls.all() == [] and left_of(world, batch_id) == []


def test_items_stored_by_an_invocation_after_the_removal_are_removed_too(world: World) -> None:
    """A slow invocation from before the deletion stores contacts, counts and an entry of the delayed set."""
    story = Story(world, 5)
    rows = [story.number("completed") for _ in range(3)]
    _, batch_id, _ = post(world, story, rows)
    assert world.ask_as(story.account, "DELETE", f"/batches/{batch_id}").status == 200
    world.run(60)
    assert left_of(world, batch_id) == []
    services = table_services(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    late = [contact(tombstone(world, batch_id), row, number, {}) for row, number in enumerate(rows, start=1)]
    services.executions.create_contacts(late)
    services.counts.count(batch_id, "shard", {"queued": 3}, None, f"{1:040d}")
    services.delayed.add(story.agent_id, batch_id, QueuedCall(late[0].id, 1, False, world.now))
    assert left_of(world, batch_id) != []
    world.functions.invoke_later("redial-local-dial", {"execution_id": late[1].id, "attempt": 1})
    world.run(WORK_LEASE.total_seconds() + 300)
    assert left_of(world, batch_id) == []
    assert world.carrier.calls.all() == []
    world.seen.executions.clear()  # the contact was stopped while it was dialled: no promise covers it


def test_a_queue_entry_does_not_outlive_its_execution(world: World) -> None:
    """A deletion removes a contact's queue entry first: if it is killed after that, it finds the contact again."""
    story = Story(world, 5, lines=1)
    rows = [story.number("completed"), story.number("busy", "completed")]
    _, batch_id, _ = post(world, story, rows)
    world.run(2)
    waiting = world.stored_executions()[-1]
    remove = DynamoExecutions.remove
    queued_at_removal: dict[str, bool] = {}

    def checked(self: DynamoExecutions, execution: Execution) -> None:
        queued_at_removal[execution.id] = any(execution.id in item["sk"] for item in world.items("Q#"))
        remove(self, execution)

    queued = waiting.defer(world.now, opens(world.now, "test", delayed=True)).defer(
        world.now, waits("waiting for a line")
    )
    services = table_services(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    saved = services.executions.save(queued.with_due(world.now))
    entry = QueuedCall(saved.id, 1, False, saved.state.queued_at or world.now)
    services.queue.enqueue(story.agent_id, entry)
    with mock.patch.object(DynamoExecutions, "remove", checked):
        assert world.ask_as(story.account, "DELETE", f"/batches/{batch_id}").status == 200
        world.run(60)
    assert queued_at_removal == {saved.id: False}
    assert converge(world, timedelta(hours=2), 600) is not None
    assert world.items("Q#") == []
