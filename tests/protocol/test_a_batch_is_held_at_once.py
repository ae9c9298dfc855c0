"""A contact that holds its line when its batch is stopped or paused is not dialled after the answer."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.functions import Function
from redial.usecases.circuit_breaker import Admission, CircuitBreaker
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import World

SLOW = 6.0
"""Seconds from a dial's last read of the batch to its claim."""


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(7, Faults(7, {})) as made:
        yield made
        assert made.violations == []


def ask_during_a_dial(world: World, monkeypatch: pytest.MonkeyPatch, story: Story, rest: str) -> str:
    """Send the request while the dial of a batch's only contact holds a line and has read the batch; return its id."""
    admit = CircuitBreaker.admit
    asked: list[float] = []

    def slowly(self: CircuitBreaker, *arguments: Any) -> Admission:
        if not asked:
            asked.append(SLOW)
            world.clock.after(SLOW / 3, lambda: story.ask("POST", f"/batches/{batch_id}{rest}"), "client")
            world.functions.sleep(SLOW)
        return admit(self, *arguments)

    monkeypatch.setattr(CircuitBreaker, "admit", slowly)
    batch_id = story.batch([story.number("completed")])
    world.run(120)
    assert asked, "the dial acquired its line"
    return batch_id


def test_a_contact_that_holds_its_line_is_stopped_with_its_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request itself stops the contact: the function that stops the others is slow to start."""
    story, delays = Story(world, 7, lines=1), world.functions.delays

    def batch_is_slow(function: Function, event: Any) -> tuple[float, ...]:
        slow = function.name.endswith("-batch") and world.stored_batches()[0].is_over
        return (60.0,) if slow else delays(function, event)

    world.functions.delays = batch_is_slow
    ask_during_a_dial(world, monkeypatch, story, "/stop")
    assert world.carrier.calls.all() == []
    assert [one.state.ended for one in world.stored_executions()] == ["batch stopped"]


def test_a_contact_that_holds_its_line_waits_when_its_batch_is_paused_and_is_dialled_when_it_is_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 7, lines=1)
    batch_id = ask_during_a_dial(world, monkeypatch, story, "/pause")
    assert world.carrier.calls.all() == []
    story.ask("POST", f"/batches/{batch_id}/resume")
    world.run(600)
    assert [str(one.state.status) for one in world.stored_executions()] == ["completed"]
