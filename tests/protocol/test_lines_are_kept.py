"""A line is never released while a call is dialled with it, and never held for long by a call that only waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest

from local.web.server import Request, Response
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.lines import DynamoLines
from redial.domain.execution import THROTTLE_BACKOFF_SECONDS, Execution
from redial.domain.phone_number import time_zones
from redial.domain.status import Status
from redial.usecases import dial_attempt
from redial.usecases.dispatch import release_line
from redial.usecases.sweep import LINE_GRACE
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR, START, World


@contextmanager
def a_world(lines: int, copies: tuple[float, ...] = (0.0, 0.0)) -> Iterator[tuple[World, Story]]:
    """A world in which each invocation of dial with a line is delivered several times: after `copies` seconds."""
    with world_of(5, Faults(5, {})) as world:
        delays = world.functions.delays

        def repeated(function: Any, event: Any) -> tuple[float, ...]:
            return copies if function.name.endswith("-dial") and "line" in str(event) else delays(function, event)

        world.functions.delays = repeated
        yield world, Story(world, 5, lines=lines)


@contextmanager
def first_dial_slow_at(world: World, store: type, method: str, seconds: float) -> Iterator[None]:
    """The first invocation of dial that calls this method first waits for `seconds`."""
    real = getattr(store, method)
    slow: list[Any] = []

    def called(*given: Any, **named: Any) -> Any:
        invocation = world.functions.current()
        if not slow and invocation is not None and invocation.function.name.endswith("-dial"):
            slow.append(invocation)
            world.functions.sleep(seconds)
        return real(*given, **named)

    with mock.patch.object(store, method, called):
        yield
    assert slow


def holders(world: World, story: Story) -> set[str]:
    lines = DynamoLines(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
    return set(lines.holders(story.agent_id, 0))


def status_of(world: World, execution_id: str) -> Status:
    execution: Execution = world.seen.executions[execution_id]
    return execution.state.status


def test_a_dial_that_read_an_old_version_releases_no_line() -> None:
    """Its duplicate has claimed the attempt; then the batch is paused, and the slow dial finds a closed gate."""
    with a_world(lines=1) as (world, story), first_dial_slow_at(world, DynamoBatches, "get", 4):
        batch: list[str] = []
        world.clock.after(0, lambda: batch.append(story.batch([story.number("completed")])), "client")
        world.clock.after(1.5, lambda: story.call("completed"), "client")
        world.clock.after(2.5, lambda: story.ask("POST", f"/batches/{batch[0]}/pause"), "client")
        world.run(30)
        assert len(world.carrier.calls.all()) == 1
        assert world.violations == []


def test_a_line_acquired_again_after_the_call_was_deferred_is_not_released() -> None:
    """The call is deferred by a pause and popped from the delayed set at once, since the batch is resumed. Only then
    does the first dial release its line."""
    slow: list[bool] = []

    def released_late(*given: Any) -> bool:
        if not slow:
            slow.append(True)
            world.functions.sleep(8)
        return release_line(*given)

    with (
        world_of(5, Faults(5, {})) as world,
        first_dial_slow_at(world, DynamoBatches, "get", 2),
        mock.patch.object(dial_attempt, "release_line", released_late),
    ):
        story = Story(world, 5, lines=2)
        batch: list[str] = []
        world.clock.after(0, lambda: batch.append(story.batch([story.number("completed")])), "client")
        world.clock.after(1, lambda: story.ask("POST", f"/batches/{batch[0]}/pause"), "client")
        world.clock.after(4, lambda: story.ask("POST", f"/batches/{batch[0]}/resume"), "client")
        for _ in range(2):
            world.clock.after(6, lambda: story.call("completed"), "client")
        world.run(9)
        assert slow and len(world.carrier.calls.all()) == 2
        world.run(21)
        assert len(world.carrier.calls.all()) == 2
        assert world.violations == []
        world.run(HOUR)
        assert [one.state.status for one in world.stored_executions()] == [Status.COMPLETED] * 3
        assert world.violations == []


@pytest.mark.parametrize("slow_one", [0, 1], ids=["the one that defers it", "its duplicate"])
def test_a_line_handed_over_and_acquired_again_is_not_released(slow_one: int) -> None:
    """The call gets a line eight seconds before its calling hours open. One of two dials defers it until then. Both
    then release the line, one of them late: a third dial has acquired it again, and the phone rings."""
    arrived: list[Any] = []

    def released_late(*given: Any) -> bool:
        invocation = world.functions.current()
        if given[3] == waiting and invocation is not None and invocation.function.name.endswith("-dial"):
            arrived.append(given)
            if len(arrived) == slow_one + 1:
                world.functions.sleep(15)
        return release_line(*given)

    with a_world(1, (0.0, 0.0, 4.0)) as (world, story), mock.patch.object(dial_attempt, "release_line", released_late):
        world.run(HOUR - 30)
        story.call("completed")
        to = story.number("completed")
        waiting = story.call(recipient_phone_number=to)
        world.run(22)
        opens = world.now.astimezone(ZoneInfo(time_zones(to)[0])).hour + 1
        hours = {"call_start_hour": opens % 24, "call_end_hour": (opens + 3) % 24}
        change = {"agent_config": {"max_concurrent_calls": 2, "calling_guardrails": hours}}
        story.ask("PATCH", f"/v2/agent/{story.agent_id}", change)
        world.run(28)
        assert len(arrived) == 2
        assert len(world.carrier.calls.all()) == 2
        assert waiting in holders(world, story)
        assert world.violations == []


def test_a_dial_above_a_lowered_limit_releases_no_line_of_a_live_call() -> None:
    with a_world(lines=2) as (world, story), first_dial_slow_at(world, DynamoAgents, "get", 4):
        world.clock.after(0, lambda: story.batch([story.number("completed"), story.number("completed")]), "client")
        lower = {"agent_config": {"max_concurrent_calls": 1}}
        world.clock.after(2, lambda: story.ask("PATCH", f"/v2/agent/{story.agent_id}", lower), "client")
        world.run(20)
        assert len(world.carrier.calls.all()) == 2
        assert holders(world, story) == {one.id for one in world.stored_executions()}
        assert world.violations == []


# ---- long waits ------------------------------------------------------------------------------------------------------


def test_a_call_deferred_for_long_by_its_carrier_releases_its_line_and_acquires_one_again() -> None:
    with world_of(6, Faults(6, {})) as world:
        story = Story(world, 6, lines=1)
        throttle(world, until_minutes=1, retry_after=2 * HOUR)
        first = story.call("completed")
        world.run(60)
        assert holders(world, story) == set()
        second = story.call("completed")
        world.run(120)
        assert status_of(world, second) is Status.COMPLETED
        assert status_of(world, first) is Status.QUEUED
        world.run(2 * HOUR)
        execution = world.seen.executions[first]
        assert (execution.state.status, execution.state.attempt.number) == (Status.COMPLETED, 1)
        assert execution.state.attempt.dialed_at is not None
        assert execution.state.attempt.dialed_at - START >= timedelta(hours=2)
        assert world.violations == []


def test_a_call_whose_wait_is_short_keeps_its_line() -> None:
    with world_of(7, Faults(7, {})) as world:
        story = Story(world, 7, lines=1)
        throttle(world, until_minutes=1, retry_after=THROTTLE_BACKOFF_SECONDS[-1])
        first = story.call("completed")
        world.run(30)
        assert holders(world, story) == {first}


def test_a_deferred_calls_line_is_released_even_if_its_dial_dies_after_saving() -> None:
    with world_of(8, Faults(8, {})) as world:
        story = Story(world, 8, lines=1)
        throttle(world, until_minutes=1, retry_after=3 * HOUR)
        with mock.patch.object(dial_attempt, "apply_effects", side_effect=RuntimeError("killed here")):
            first = story.call("completed")
            world.run(30)
        assert holders(world, story) == {first}
        world.run(3 * LINE_GRACE.total_seconds())
        assert holders(world, story) == set()
        world.run(4 * HOUR)
        assert status_of(world, first) is Status.COMPLETED
        assert world.violations == []


def throttle(world: World, until_minutes: float, retry_after: float) -> None:
    """Until then the carrier throttles each request to place a call, with `retry_after` seconds as Retry-After."""
    ask, until = world._ask_carrier, world.now + timedelta(minutes=until_minutes)

    def asked(sent: Request, limits: Any) -> Response:
        if sent.method == "POST" and world.now < until:
            return Response(429, b'{"code": 20429}', [("retry-after", f"{retry_after:.0f}")])
        return ask(sent, limits)

    world._ask_carrier = asked  # type: ignore[method-assign]
