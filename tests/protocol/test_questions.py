"""While an agent's endpoints are asked, for seconds, a stop, a pause, a suppression and calling hours still win."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.endpoints import HttpEndpoints
from redial.domain.status import Status
from tests.protocol.test_stops import slow_in_dial
from tests.protocol.test_suppressions import suppress
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import PORTS, World

ANSWER_SECONDS = 4.0


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


@pytest.fixture(params=["hook", "scrub"])
def slow(world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The endpoint answers yes after some seconds."""
    slow_in_dial(world, monkeypatch, HttpEndpoints, request.param, ANSWER_SECONDS)
    return str(request.param)


def asking(world: World, gate: str, **config: Any) -> Story:
    story = Story(world, 5, lines=1, **config)
    url = f"http://127.0.0.1:{PORTS['inbox']}/{gate}-0-{story.agent_id}"
    field = {"hook": "pre_dial_hook", "scrub": "scrub"}[gate]
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {field: {"url": url, "timeout_seconds": 5}}})
    return story


@pytest.mark.parametrize(
    ("do", "status"),
    [
        (lambda story, call, to: suppress(story, to), Status.CANCELED),
        (lambda story, call, to: story.stop(call), Status.STOPPED),
        (lambda story, call, to: story.stop_agent(), Status.STOPPED),
    ],
    ids=["suppression", "stop of the call", "stop of the agent"],
)
def test_a_call_is_ended_while_its_endpoint_is_asked(
    world: World, slow: str, do: Callable[[Story, str, str], object], status: Status
) -> None:
    story = asking(world, slow)
    to = story.number("completed")
    called: list[str] = []
    world.clock.after(0, lambda: called.append(story.call(recipient_phone_number=to)), "client")
    world.clock.after(2, lambda: do(story, called[0], to), "client")
    world.run(60)
    assert world.carrier.calls.all() == []
    (execution,) = world.stored_executions()
    assert execution.state.status is status


def test_a_pause_of_the_batch_wins_and_the_answer_holds_when_it_is_resumed_at_once(world: World, slow: str) -> None:
    story = asking(world, slow)
    batch = story.batch([story.number("completed")])
    world.clock.after(2, lambda: story.ask("POST", f"/batches/{batch}/pause"), "client")
    world.run(30)
    assert world.carrier.calls.all() == []
    (contact,) = world.stored_executions()
    assert contact.state.is_waiting
    story.ask("POST", f"/batches/{batch}/resume")
    world.run(60)
    assert len(world.carrier.calls.all()) == 1


def test_a_window_that_closes_meanwhile_is_not_overstepped(world: World, slow: str) -> None:
    story = asking(world, slow, calling_guardrails={"windows": [{"start": "08:00", "end": "09:01"}]})
    seconds = (timedelta(minutes=1) - timedelta(seconds=2)).total_seconds()  # it is 09:00 in New York
    to = "+12125550123"
    world.carrier.calls.scripts.set(to, ["completed"])
    world.clock.after(seconds, lambda: story.call(recipient_phone_number=to), "client")
    world.run(120)
    assert world.carrier.calls.all() == []
    (execution,) = world.stored_executions()
    assert execution.state.status is Status.RESCHEDULED
    world.run(24 * 3600)
    assert len(world.carrier.calls.all()) == 1


def test_a_lost_race_does_not_ask_again(world: World, slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer saves the execution between the answer and the claim."""
    asked: list[str] = []
    ask = getattr(HttpEndpoints, slow)
    executions = DynamoExecutions(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])

    def counted(self: Any, *arguments: Any) -> Any:
        asked.append(slow)
        (execution,) = world.stored_executions()
        executions.save(execution)
        return ask(self, *arguments)

    monkeypatch.setattr(HttpEndpoints, slow, counted)
    story = asking(world, slow)
    story.call("completed")
    world.run(60)
    assert len(world.carrier.calls.all()) == 1
    assert asked == [slow]
    (execution,) = world.stored_executions()
    assert execution.delivery.settled >= 1
