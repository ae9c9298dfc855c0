"""The lines of an API key: never more live calls than lines, and no line idle while one of the key's calls waits."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from local.carriers.course import ENDED
from redial.adapters.dynamodb.lines import DynamoLines
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.ports import Services
from redial.usecases import key_lines
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import ZONES
from tests.simulation.scenarios import Story
from tests.simulation.world import World


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


def calls(world: World, numbers: set[str]) -> list[Any]:
    return [one for one in world.carrier.calls.all() if one.request.to in numbers]


def most_at_once(made: list[Any]) -> int:
    assert all(call.status in ENDED for call in made)
    counts: list[int] = [sum(one.placed_at <= other.placed_at < one.ended_at for one in made) for other in made]
    return max(counts)


def finish(world: World) -> None:
    assert converge(world, timedelta(hours=1), 10) is not None


def call_to_new_number(story: Story) -> str:
    number = story.number("completed")
    story.call(recipient_phone_number=number)
    return number


def call_again(story: Story, number: str) -> str:
    story.number("completed")  # another Idempotency-Key
    return story.call(recipient_phone_number=number)


def holders(world: World, pool_id: str) -> set[str]:
    lines = DynamoLines(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    return set(lines.holders(pool_id, 0))


def pool(world: World, execution_id: str) -> str:
    return str(world.seen.executions[execution_id].key_pool)


def test_calls_of_a_key_wait_for_its_lines_and_others_do_not(world: World) -> None:
    story = Story(world, 5, lines=10)
    free = {call_to_new_number(story) for _ in range(3)}
    story.limit_key(2)
    limited = {call_to_new_number(story) for _ in range(5)}
    finish(world)
    assert most_at_once(calls(world, limited)) == 2
    assert most_at_once(calls(world, free | limited)) == 5
    ended = sorted(one.ended_at for one in calls(world, limited))
    begun = sorted(one.placed_at for one in calls(world, limited))[2:]
    assert all(timedelta() <= start - end < timedelta(seconds=3) for start, end in zip(begun, ended, strict=False))


def test_a_batch_of_a_limited_key_leaves_lines_to_another(world: World) -> None:
    story = Story(world, 5, lines=5)
    free, limited = ([story.number("completed") for _ in range(8)] for _ in range(2))
    account = story.account
    story.limit_key(1)
    story.batch(limited)
    story.wait(10)
    story.account, story._number = account, 6
    story.batch(free)
    finish(world)
    assert most_at_once(calls(world, set(limited))) == 1
    assert most_at_once(calls(world, set(free))) >= 4
    assert max(one.ended_at for one in calls(world, set(free))) < max(
        one.ended_at for one in calls(world, set(limited))
    )


def test_what_a_call_waits_for_is_explained(world: World) -> None:
    story = Story(world, 5)
    story.limit_key(1)
    story.call("completed")
    story.wait(3)
    waiting = story.call("completed")
    story.wait(4)
    said = story.ask("GET", f"/executions/{waiting}/explain")
    assert said["waits_for"]["gate"] == "line"
    assert "a line of its API key" in said["waits_for"]["text"]
    assert "quota of lines" in said["waits_for"]["to_change"]
    finish(world)


def test_a_call_that_is_deferred_gives_its_line_up(world: World) -> None:
    story = Story(world, 5)
    story.limit_key(1)
    number = story.number("completed", "completed")
    first = story.call(recipient_phone_number=number)
    story.wait(80)
    config = {"contact_limits": {"caps": [{"attempts": 1, "hours": 5}]}}
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": config})
    deferred, other = call_again(story, number), story.call("completed")
    story.wait(5)
    states = {one: world.seen.executions[one].state.status for one in (first, deferred, other)}
    assert states == {first: Status.COMPLETED, deferred: Status.RESCHEDULED, other: Status.RINGING}
    assert holders(world, pool(world, other)) == {other}


def test_a_late_release_leaves_the_line_to_the_invocation_that_acquired_it_since(world: World) -> None:
    """The carrier does not accept the call, so dial defers it. Before dial releases the line, the call is woken, and
    another invocation acquires the line to dial it."""
    story = Story(world, 5)
    story.limit_key(1)
    real = key_lines.release
    acquired: list[Execution] = []

    def late(services: Services, execution: Execution, attempt: int, now: datetime, *since: datetime) -> None:
        if not acquired:
            acquired.append(execution)
            assert key_lines.has_line(services, execution, now + timedelta(seconds=3))
        real(services, execution, attempt, now, *since)

    with mock.patch.object(key_lines, "release", late):
        first = story.call("refused-429", "completed")
        story.wait(5)
    assert [one.id for one in acquired] == [first]
    assert holders(world, pool(world, first)) == {first}
    finish(world)


def test_a_stopped_call_leaves_its_keys_queue(world: World) -> None:
    story = Story(world, 5)
    story.limit_key(1)
    live = story.call("completed")
    story.wait(3)
    stopped = story.call("completed")
    story.wait(3)
    assert [item["pk"] for item in world.items("Q#")] == [f"Q#{pool(world, live)}"]
    story.stop(stopped)
    assert world.items("Q#") == []
    finish(world)


def test_a_call_that_is_stopped_before_its_agents_line_is_free_gives_its_keys_up(world: World) -> None:
    story = Story(world, 5, lines=1)
    story.call("completed")
    story.wait(3)
    story.limit_key(1)
    with_line, without = story.call("completed"), story.call("completed")
    story.wait(3)
    assert holders(world, pool(world, with_line)) == {with_line}
    story.stop(with_line)
    story.wait(1)
    assert holders(world, pool(world, with_line)) == set()
    story.stop(without)
    assert world.items("Q#") == []
    finish(world)


def test_an_entry_that_a_late_dial_left_behind_is_removed(world: World) -> None:
    """The sweeper took a new call's dial for lost, queued the call and was cut off. The late dial deferred the call.
    Nothing else would check the queue, since no line was ever held."""
    story = Story(world, 5)
    number = story.number("completed")
    hour = world.now.astimezone(ZoneInfo(ZONES[number[2:5]])).hour
    hours = {"call_start_hour": (hour + 1) % 24, "call_end_hour": (hour + 3) % 24}
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"calling_guardrails": hours}})
    delays = world.functions.delays
    world.functions.delays = lambda function, event: (150.0,) if function.name.endswith("-dial") else (0.0,)
    with mock.patch("redial.usecases.sweep.dispatch"):
        deferred = story.call(recipient_phone_number=number)
        story.wait(140)
        assert [item["pk"] for item in world.items("Q#")] == [f"Q#{story.agent_id}"]
        story.wait(20)
    world.functions.delays = delays
    assert world.seen.executions[deferred].state.status is Status.RESCHEDULED
    assert world.items("Q#") == []
