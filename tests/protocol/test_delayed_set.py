"""A contact in its batch's delayed set is dialled, whatever happens to its entry."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from redial.adapters.dynamodb.delayed import DynamoDelayedSets
from redial.domain.queue import BatchQueueEntry, QueuedCall
from redial.domain.repair import BatchRepair
from redial.runtime import telemetry
from redial.usecases.run_batch import BatchWorker
from tests.simulation.campaign import MODEL as PROMISE
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import Story
from tests.simulation.world import World
from tests.support.services import GivenServices

HOUR = 3600.0
NUMBERS = itertools.count(10)
OPEN = {"call_start_hour": 9, "call_end_hour": 14}
"""14:00 UTC, when a world begins, is 9:00 in New York and 4:00 in Honolulu."""


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as world:
        yield world
        for check in AT_THE_END:
            check(world)
        assert world.violations == []


def ignore_the_models(world: World) -> None:
    """The test itself removes an entry, which is not a step of the models."""
    assert {one.invariant for one in world.violations} == {PROMISE}
    world.violations.clear()


@contextmanager
def repairs() -> Iterator[Counter[BatchRepair]]:
    """Repairs counted by the audits of batches."""
    found: Counter[BatchRepair] = Counter()
    with mock.patch.object(telemetry, "batch_repaired", found.update):
        yield found


def number(world: World, area: str, *outcomes: Any) -> str:
    to = f"+1{area}20105{next(NUMBERS):02d}"
    world.carrier.calls.scripts.set(to, outcomes)
    return to


def waiting_for_honolulu(world: World, count: int = 1) -> tuple[Story, str]:
    """A batch whose contacts all wait for 9:00 in Honolulu, in five hours."""
    story = Story(world, 5, lines=2, calling_guardrails=OPEN)
    batch_id = story.batch([number(world, "808", "completed") for _ in range(count)])
    world.run(300)
    assert len(world.items("R#")) == count
    return story, batch_id


def slow(world: World, until: Callable[[], bool]) -> None:
    for _ in range(300):
        if until():
            return
        world.functions.sleep(0.05)


@pytest.mark.nightly
@pytest.mark.parametrize("cut_off", [False, True])
def test_a_contact_added_while_the_empty_set_is_read_is_dialled(world: World, cut_off: bool) -> None:
    """New York closes as Honolulu opens. A retry to New York is deferred to the next day, and added to the delayed set,
    while a pop has found the set empty and is about to save that.

    `cut_off`: the pop is killed after its write and does not re-read the set; the audit corrects the time.
    """
    story = Story(world, 5, lines=2, calling_guardrails=OPEN)
    retries = '{"enabled":true,"max_retries":1,"retry_on_statuses":["busy"],"retry_intervals_minutes":[306]}'
    rows = [number(world, "212", "busy", "completed"), number(world, "808", "failed")]
    story.batch(rows, ("retry_config", retries))
    world.run(4 * HOUR)
    met = {"moves": False, "entered": False, "moved": False}
    moving: list[str] = []
    enter, move = DynamoDelayedSets.add, DynamoDelayedSets._raise_next
    look = DynamoDelayedSets._first_takeable

    def slow_enter(self: DynamoDelayedSets, *arguments: Any) -> bool:
        slow(world, lambda: met["moves"])
        first = enter(self, *arguments)
        met["entered"] = True
        world.functions.sleep(0.2)
        return first

    def slow_move(self: DynamoDelayedSets, standing: BatchQueueEntry, following: Any) -> None:
        if following is None and standing.delayed_from is not None:
            met["moves"] = True
            slow(world, lambda: met["entered"])
        moving.append(standing.batch_id)
        move(self, standing, following)
        moving.pop()

    def no_look(self: DynamoDelayedSets, *arguments: Any) -> Any:
        if cut_off and moving and met["entered"] and not met["moved"]:
            met["moved"] = True
            return None  # as if it had been killed after its write
        return look(self, *arguments)

    with (
        repairs() as found,
        mock.patch.object(DynamoDelayedSets, "add", slow_enter),
        mock.patch.object(DynamoDelayedSets, "_raise_next", slow_move),
        mock.patch.object(DynamoDelayedSets, "_first_takeable", no_look),
    ):
        world.run(2 * HOUR)
    assert met == {"moves": True, "entered": True, "moved": cut_off}
    assert found == ({BatchRepair.WAKE_UP_LOST: 1} if cut_off else {})
    done = converge(world, timedelta(hours=20), HOUR)
    assert done is not None
    assert [one.status for one in world.stored_batches()] == ["completed"]
    assert sorted(str(one.state.status) for one in world.stored_executions()) == ["completed", "failed"]


@pytest.mark.parametrize("days", [None, 7])
def test_a_lost_wake_up_is_repaired_by_the_batchs_audit_and_counted(world: World, days: int | None) -> None:
    """The set's next time is removed (None), or a week late."""
    waiting_for_honolulu(world)
    (item,) = (one for one in world.items("Q#") if one["sk"].startswith("0b#"))
    update: dict[str, Any] = {"UpdateExpression": "REMOVE rf"}
    if days is not None:
        late = {":at": {"N": str(item["rf"] + days * 24 * 3600 * 1000)}}
        update = {"UpdateExpression": "SET rf = :at", "ExpressionAttributeValues": late}
    key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
    world.aws.client("dynamodb").update_item(TableName=world.environment["TABLE_NAME"], Key=key, **update)
    with repairs() as found:
        world.run(20 * 60)
        assert found == {BatchRepair.WAKE_UP_LOST: 1}
        assert converge(world, timedelta(hours=6), 600) is not None
    assert found == {BatchRepair.WAKE_UP_LOST: 1}
    assert [str(one.state.status) for one in world.stored_executions()] == ["completed"]


def test_a_contact_without_its_entry_is_added_again_after_a_quiet_hour(world: World) -> None:
    waiting_for_honolulu(world, 3)
    lost = world.items("R#")[1]
    client, table = world.aws.client("dynamodb"), world.environment["TABLE_NAME"]
    client.delete_item(TableName=table, Key={"pk": {"S": lost["pk"]}, "sk": {"S": lost["sk"]}})
    with repairs() as found:
        world.run(1.5 * HOUR)
        assert found == {BatchRepair.ENTRY_LOST: 1}
        assert len(world.items("R#")) == 3
        assert converge(world, timedelta(hours=6), 600) is not None
    assert found == {BatchRepair.ENTRY_LOST: 1}
    assert {str(one.state.status) for one in world.stored_executions()} == {"completed"}
    ignore_the_models(world)


def test_a_contact_removed_while_its_entry_is_searched_is_not_added_again(world: World) -> None:
    """Its entry is missing because it was dialled: it has changed since it was read."""
    _, batch_id = waiting_for_honolulu(world, 1)
    (before,) = world.stored_executions()
    executions, absent = mock.Mock(), mock.Mock(return_value=[QueuedCall(before.id, 1, False, world.now)])
    executions.get.return_value = mock.Mock(version=before.version + 1)
    delayed = mock.Mock(absent=absent)
    worker = BatchWorker(GivenServices(executions=executions, delayed=delayed))
    found: Counter[BatchRepair] = Counter()
    worker._restore_entries(mock.Mock(id=batch_id), [before], found)
    absent.assert_called_once()
    assert found == {} and not delayed.add.called
    assert converge(world, timedelta(hours=6), 600) is not None
