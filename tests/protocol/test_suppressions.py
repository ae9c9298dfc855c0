"""Once a suppression is answered, no attempt to its number is claimed, even by work under way."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.web.server import Response
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.dynamodb.listings import DynamoListings
from redial.domain.status import Status
from redial.usecases import dispatch
from redial.usecases.circuit_breaker import CircuitBreaker
from tests.protocol.test_stops import HOUR, slow_in_dial
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import Suppressed, World


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


def suppress(story: Story, number: str) -> Any:
    said = story.ask("POST", "/suppressions", {"phone_number": number})
    story.world.suppressed(Suppressed(story.world.now, story.account.id, number))
    return said


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index by number does not yet show any call."""
    monkeypatch.setattr(DynamoListings, "called", lambda self, account_id, number: iter(()))


@pytest.mark.parametrize("first", [True, False], ids=["the account's first", "a later one"])
@pytest.mark.parametrize(("store", "name"), [(DynamoLines, "acquire"), (CircuitBreaker, "admit")])
def test_a_call_that_the_index_does_not_show_is_ended_while_it_is_dialled(
    world: World, monkeypatch: pytest.MonkeyPatch, no_index: None, store: Any, name: str, first: bool
) -> None:
    """Its dial is about to acquire its line, or has passed every gate."""
    story = Story(world, 5, lines=1)
    if not first:
        suppress(story, story.number("completed"))
    to = story.number("completed")
    slow_in_dial(world, monkeypatch, store, name, 3)
    world.clock.after(0, lambda: story.call(recipient_phone_number=to), "client")
    world.clock.after(1, lambda: suppress(story, to), "client")
    world.run(60)
    assert world.carrier.calls.all() == []
    (execution,) = world.stored_executions()
    assert (execution.state.status, execution.state.ended) == (Status.CANCELED, "the number is suppressed")


def test_line_holders_are_found_in_shards_above_a_lowered_limit(
    world: World, monkeypatch: pytest.MonkeyPatch, no_index: None
) -> None:
    monkeypatch.setattr(dispatch, "LINES_PER_SHARD", 1)
    story = Story(world, 5, lines=4)
    numbers = [story.number("completed") for _ in range(4)]
    slow_in_dial(world, monkeypatch, CircuitBreaker, "admit", 3)
    for to in numbers:
        world.clock.after(0, lambda to=to: story.call(recipient_phone_number=to), "client")  # type: ignore[misc]
    lower = {"agent_config": {"max_concurrent_calls": 1}}
    world.clock.after(1, lambda: world.ask_as(story.account, "PATCH", f"/v2/agent/{story.agent_id}", lower), "client")
    world.clock.after(1.5, lambda: [suppress(story, to) for to in numbers], "client")
    world.run(60)
    assert world.carrier.calls.all() == []


def test_an_agent_that_was_just_deleted_is_searched_as_well(
    world: World, monkeypatch: pytest.MonkeyPatch, no_index: None
) -> None:
    """The deletion has not stopped its line holders yet."""
    story = Story(world, 5, lines=1)
    to = story.number("completed")
    slow_in_dial(world, monkeypatch, CircuitBreaker, "admit", 3)
    save = DynamoAgents.save
    deleted: list[Any] = []

    def slowly(self: DynamoAgents, agent: Any) -> Any:
        saved = save(self, agent)
        if agent.deleted_at is not None and not deleted:
            deleted.append(agent)
            world.functions.sleep(4)
        return saved

    monkeypatch.setattr(DynamoAgents, "save", slowly)
    monkeypatch.setattr("redial.usecases.agents.stop_agent_with_batches", lambda *arguments, **named: ([], []))
    world.clock.after(0, lambda: story.call(recipient_phone_number=to), "client")
    world.clock.after(1, lambda: story.ask("DELETE", f"/v2/agent/{story.agent_id}"), "client")
    world.clock.after(1.5, lambda: suppress(story, to), "client")
    world.run(60)
    assert world.carrier.calls.all() == []


def test_a_call_that_is_being_handed_over_rings_once_and_is_not_retried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    to = story.number("no-answer", "completed")
    place = world._ask_carrier

    def slowly(sent: Any, limits: Any) -> Response:
        world.functions.sleep(3)
        return place(sent, limits)

    monkeypatch.setattr(world, "_ask_carrier", slowly)
    world.clock.after(0, lambda: story.call(recipient_phone_number=to), "client")
    world.clock.after(2, lambda: suppress(story, to), "client")
    world.run(HOUR)
    (execution,) = world.stored_executions()
    assert [str(change.kind) for _, change in execution.events()][-3:] == ["no-answer", "scheduled", "canceled"]
    assert len(world.carrier.calls.all()) == 1


def test_a_carrier_that_does_not_cancel_at_once_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    to = story.number("no-answer", "completed")
    story.call(recipient_phone_number=to)
    world.run(10)
    monkeypatch.setattr(world, "_cancel", lambda *sent: Response.of(503, {}))
    said = suppress(story, to)
    assert (said["canceled_executions"], said["complete"]) == ([], False)
    world.run(HOUR)
    (execution,) = world.stored_executions()
    assert (execution.state.status, execution.state.ended) == (Status.CANCELED, "the number is suppressed")
    assert len(world.carrier.calls.all()) == 1
