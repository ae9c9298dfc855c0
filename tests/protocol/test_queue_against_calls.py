"""An agent's queue agrees with its calls or is repaired: no call waits for ever, and no line stays idle for long."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from redial.domain.decision import stopped
from redial.domain.execution import QUEUE_CHECK, Execution
from redial.domain.queue import LINES_CHECK, QueuedCall
from redial.domain.repair import Repair
from redial.usecases import dispatch
from redial.usecases.dispatch import queued_call
from redial.usecases.sweep import LINE_GRACE, Sweeper, SweepReport
from tests.protocol.sweeping import delivered, ids, quiet_world, services_in
from tests.simulation.scenarios import Story

A_RUN = timedelta(minutes=1)


@pytest.fixture
def repairs(monkeypatch: pytest.MonkeyPatch) -> list[Repair]:
    """All repairs made by the sweeper's runs."""
    found: list[Repair] = []
    sweep = Sweeper.sweep

    def noted(self: Sweeper, *arguments: Any) -> SweepReport:
        swept = sweep(self, *arguments)
        found.extend(swept.repairs.elements())
        return swept

    monkeypatch.setattr(Sweeper, "sweep", noted)
    return found


def test_a_free_line_is_found_while_calls_wait() -> None:
    """An ending call released its line, but its function died before it read the queue. The waiting call has waited for
    eight hours, so its own check is eight hours away."""
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        services = services_in(world)
        story.call("completed")
        world.run(5)
        now, (one,) = world.now, ids(1)
        long_ago = now - timedelta(hours=8)
        waiting = delivered(
            Execution(one, "local", story.agent_id, long_ago, "+12125550199").begin(long_ago, None), now
        )
        assert waiting.due_at is not None and waiting.due_at > now + timedelta(hours=7)
        services.executions.create(waiting)
        services.queue.enqueue(story.agent_id, queued_call(waiting))
        dead = mock.patch.multiple(
            dispatch, _dispatch_shard=mock.Mock(return_value=True), next_turn=mock.Mock(return_value=None)
        )
        with dead:
            while services.lines.holders(story.agent_id, 0):
                world.run(5)
        freed = world.now
        world.run(600)
        dialled = world.seen.executions[one].state.attempt.dialed_at
        assert dialled is not None
        assert dialled - freed <= LINES_CHECK + A_RUN


def test_lines_are_checked_as_long_as_calls_wait() -> None:
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        services = services_in(world)
        services.lines.acquire("local", story.agent_id, 0, 1, "held", 1, world.now)
        services.lines.release(story.agent_id, 0, "held", 1)
        services.lines.recheck_at(story.agent_id, 0, world.now, queue_empty=False)
        assert [due.agent_id for due in services.due_items.watched()] == [story.agent_id]
        services.lines.recheck_at(story.agent_id, 0, world.now, queue_empty=True)
        assert list(services.due_items.watched()) == []
        services.lines.acquire("local", story.agent_id, 0, 1, "held", 2, world.now)
        services.lines.recheck_at(story.agent_id, 0, world.now, queue_empty=True)
        assert [due.agent_id for due in services.due_items.watched()] == [story.agent_id]


def test_a_missing_queue_entry_of_a_waiting_call_is_restored(repairs: list[Repair]) -> None:
    """Its dial saved it as waiting, but died before it added the entry."""
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        services = services_in(world)
        first = story.call("completed")
        world.run(1)
        second = story.call("completed")
        world.run(1)
        (entry,) = services.queue.front(story.agent_id).calls
        services.queue.dequeue(story.agent_id, entry)
        asked = world.now
        world.run(3600)
        assert Repair.QUEUE_ENTRY_LOST in repairs
        state = world.seen.executions[second].state
        assert str(state.status) == str(world.seen.executions[first].state.status) == "completed"
        dialled = state.attempt.dialed_at
        assert dialled is not None and dialled - asked <= QUEUE_CHECK + A_RUN


def test_an_existing_queue_entry_is_not_written_again(repairs: list[Repair]) -> None:
    """No repair is counted, however long calls wait."""
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        calls = [story.call("completed") for _ in range(8)]
        world.run(1800)
        assert {str(world.seen.executions[one].state.status) for one in calls} == {"completed"}
        assert repairs == []


@pytest.mark.parametrize("kind", ["gone", "final", "later attempt"])
def test_a_queue_entry_of_a_call_that_does_not_wait_is_dropped(kind: str, repairs: list[Repair]) -> None:
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        services = services_in(world)
        now, (one,) = world.now, ids(1)
        made = Execution(one, "local", story.agent_id, now, "+12125550199").begin(now, now + timedelta(hours=2))
        if kind == "final":
            services.executions.create(delivered(made.end(now, stopped("asked for")), now))
        elif kind == "later attempt":
            services.executions.create(delivered(made, now))
        stale = QueuedCall(one, 0 if kind == "later attempt" else 1, False, now)
        story.call("completed", "completed")
        world.run(5)
        with mock.patch.object(dispatch, "next_turn", return_value=None):  # it is never dispatched
            services.queue.enqueue(story.agent_id, stale)
            world.run(LINES_CHECK.total_seconds() + 60)
        assert services.queue.front(story.agent_id).calls == []
        assert repairs.count(Repair.QUEUE_ENTRY_STALE) == 1


def test_a_line_handed_to_a_deleted_call_is_released_within_minutes() -> None:
    with quiet_world() as world:
        story = Story(world, 1, lines=1)
        services = services_in(world)
        story.call("completed")
        world.run(5)
        (gone,) = ids(1)
        services.queue.enqueue(story.agent_id, QueuedCall(gone, 2, True, world.now))  # a retry goes first
        following = story.call("completed")
        world.run(70)
        assert set(services.lines.holders(story.agent_id, 0)) == {gone}
        given = world.now
        world.run(600)
        dialled = world.seen.executions[following].state.attempt.dialed_at
        assert dialled is not None
        assert dialled - given <= LINE_GRACE + LINES_CHECK + A_RUN
