"""No repeated request makes an item of a batch or an execution grow until it cannot be written."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from redial.domain.batch import MAX_SCHEDULINGS
from redial.domain.delivery import MOST_TRIES, Delivery, DeliveryAttempt
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import World
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.samples import TEN


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as world:
        yield world
        assert world.violations == []


def uploaded(story: Story) -> str:
    body = multipart([("agent_id", story.agent_id)], f"contact_number\n{story.number('completed')}\n")
    headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": "k"}
    return str(story.ask("POST", "/batches", body, headers)["batch_id"])


@pytest.mark.parametrize(("method", "rest"), [("POST", "/stop"), ("DELETE", "")])
def test_a_batch_scheduled_a_hundred_times_can_still_be_stopped_or_deleted(
    world: World, method: str, rest: str
) -> None:
    story = Story(world, 5)
    batch_id = uploaded(story)
    world.run(60)
    form = {"scheduled_at": story.in_minutes(60)}
    for _ in range(MAX_SCHEDULINGS):
        assert world.ask_as(story.account, "POST", f"/batches/{batch_id}/schedule", form).status == 200
    refused = world.ask_as(story.account, "POST", f"/batches/{batch_id}/schedule", form)
    assert refused.status == 409
    assert "scheduled 100 times" in refused.body.decode() and "create another one" in refused.body.decode()
    (item,) = world.items(f"B#{batch_id}")
    assert len(json.dumps(item, default=str)) < 16_000
    assert world.ask_as(story.account, method, f"/batches/{batch_id}{rest}").status == 200
    assert converge(world, timedelta(hours=2), 600) is not None
    assert world.carrier.calls.all() == []


def test_a_batch_that_was_scheduled_a_hundred_times_starts_at_its_last_time(world: World) -> None:
    story = Story(world, 5)
    batch_id = uploaded(story)
    world.run(60)
    for minutes in range(MAX_SCHEDULINGS):
        form = {"scheduled_at": story.in_minutes(10 + minutes / 10)}
        assert world.ask_as(story.account, "POST", f"/batches/{batch_id}/schedule", form).status == 200
    assert converge(world, timedelta(hours=2), 600) is not None
    assert len(world.carrier.calls.all()) == 1
    assert [one.status for one in world.stored_batches()] == ["completed"]


def test_pausing_and_resuming_adds_nothing_to_the_batch_or_its_contacts(world: World) -> None:
    story = Story(world, 5, calling_guardrails={"call_start_hour": 9, "call_end_hour": 14})
    batch_id = story.batch(["+18082010501"])
    world.carrier.calls.scripts.set("+18082010501", ["completed"])
    world.run(60)
    sizes = []
    for _ in range(30):
        for rest in ("/pause", "/resume"):
            assert world.ask_as(story.account, "POST", f"/batches/{batch_id}{rest}").status == 200
            world.run(1)
        (batch,), (execution,) = world.stored_batches(), world.stored_executions()
        sizes.append((len(batch.changes), len(execution.changes)))
    assert len(set(sizes)) == 1
    assert converge(world, timedelta(hours=6), 600) is not None


def test_repeated_replays_keep_one_log_entry_for_each_event() -> None:
    delivery = Delivery()
    for tries in range(1, MOST_TRIES + 1):
        delivery = delivery.failed(DeliveryAttempt(1, TEN, 500, tries), timedelta(), 0.5)
    for _ in range(50):
        assert delivery.undelivered == (1,)
        delivery = delivery.replay()
        delivery = replace(delivery, tries=MOST_TRIES).failed(DeliveryAttempt(1, TEN, 410, 1), timedelta(), 0.5)
    assert len(delivery.log) == 1
