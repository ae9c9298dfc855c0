"""Once a stop is answered, no dial starts and no retry is announced; later requests are not affected."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.web.server import Response
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.lines import DynamoLines
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.usecases import dispatch
from redial.usecases.circuit_breaker import CircuitBreaker
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import START, World
from tests.support.forms import CONTENT_TYPE, multipart

HOUR = 3600.0
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


def uploaded(story: Story, contacts: int) -> str:
    """A batch that has not been started."""
    body = multipart(
        [("agent_id", story.agent_id)],
        "\n".join(["contact_number", *(story.number("completed") for _ in range(contacts))]),
    )
    headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": "uploaded"}
    return str(story.ask("POST", "/batches", body, headers)["batch_id"])


def schedule(story: Story, batch_id: str) -> None:
    body = f"scheduled_at={story.in_minutes(5)}".encode()
    assert story.ask("POST", f"/batches/{batch_id}/schedule", body, {"Content-Type": FORM})["state"] == "scheduled"


def batch_of_api(world: World, batch_id: str) -> Any:
    return json.loads(world.ask_as(world.accounts[0], "GET", f"/batches/{batch_id}").body)


def hide(monkeypatch: pytest.MonkeyPatch, store: Any, listing: str, nothing: Callable[[], Any]) -> None:
    """The index that a stop reads does not yet show any calls or batches."""
    monkeypatch.setattr(store, listing, lambda self, agent_id: nothing())


def slow_in_dial(world: World, monkeypatch: pytest.MonkeyPatch, store: Any, name: str, seconds: float) -> None:
    """Each such request of dial takes `seconds`, before it is sent or before its answer is read."""
    real = getattr(store, name)

    def slowly(self: Any, *arguments: Any) -> Any:
        invocation = world.functions.current()
        is_dial = invocation is not None and invocation.function.name.endswith("-dial")
        answer = real(self, *arguments) if name != "acquire" else None
        if is_dial:
            world.functions.sleep(seconds)
        return real(self, *arguments) if name == "acquire" else answer

    monkeypatch.setattr(store, name, slowly)


# ---- requests after a stop are not affected -------------------------------------------------------------------------


def test_a_batch_uploaded_before_and_scheduled_after_a_stop_of_its_agent_runs_in_full(world: World) -> None:
    story = Story(world, 5)
    batch_id = uploaded(story, 3)
    world.run(600)
    story.stop_agent()
    world.seen.stops.clear()  # the stop does not cover what was scheduled later
    world.run(600)
    assert batch_of_api(world, batch_id)["status"] == "processed"
    schedule(story, batch_id)
    world.run(HOUR)
    assert len(world.carrier.calls.all()) == 3
    batch = batch_of_api(world, batch_id)
    assert (batch["status"], batch["execution_status"]) == ("completed", {"completed": 3})


# ---- calls that the listing does not show ---------------------------------------------------------------------------


def test_a_scheduled_batch_missed_by_its_agents_stop_is_stopped_at_its_start_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    batch_id = uploaded(story, 3)
    world.run(60)
    schedule(story, batch_id)
    hide(monkeypatch, DynamoBatches, "of_agent", list)
    story.stop_agent()
    world.run(HOUR)
    assert world.carrier.calls.all() == []
    batch = batch_of_api(world, batch_id)
    assert (batch["status"], batch["reason"], batch["execution_status"]) == ("stopped", "agent stopped", {"stopped": 3})


def test_a_running_batch_missed_by_its_agents_stop_dials_no_further_contact_and_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5, lines=1)
    batch_id = story.batch([story.number("completed") for _ in range(4)])
    world.run(5)
    hide(monkeypatch, DynamoBatches, "of_agent", list)
    story.stop_agent()
    world.run(HOUR)
    assert len(world.carrier.calls.all()) == 1
    batch = batch_of_api(world, batch_id)
    assert batch["status"] in ("stopped", "completed")
    assert batch["execution_status"] == {"completed": 1, "stopped": 3}


def test_a_call_missing_from_a_stale_listing_does_not_ring_after_its_agents_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dial is running, and acquires its line just after the stop."""
    story = Story(world, 5, lines=1)
    slow_in_dial(world, monkeypatch, DynamoLines, "acquire", 0.8)
    hide(monkeypatch, DynamoExecutions, "open_of_agent", lambda: iter(()))
    world.clock.after(0, lambda: story.call("completed"), "client")
    world.clock.after(0.3, story.stop_agent, "client")
    world.run(60)
    assert world.carrier.calls.all() == []
    assert [one.state.ended for one in world.stored_executions()] == ["agent stopped"]


def test_a_call_missing_from_a_stale_listing_is_stopped_while_it_holds_its_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dial read the agent before the stop."""
    story = Story(world, 5, lines=1)
    slow_in_dial(world, monkeypatch, CircuitBreaker, "admit", 3)
    hide(monkeypatch, DynamoExecutions, "open_of_agent", lambda: iter(()))
    world.clock.after(0, lambda: story.call("completed"), "client")
    world.clock.after(1, story.stop_agent, "client")
    world.run(60)
    assert world.carrier.calls.all() == []
    assert [one.state.ended for one in world.stored_executions()] == ["agent stopped"]


def test_a_call_created_while_its_agent_is_deleted_does_not_ring_after_the_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5, lines=1)
    listing = DynamoExecutions.open_of_agent

    def slowly(self: DynamoExecutions, agent_id: str) -> Iterator[str]:
        found = list(listing(self, agent_id))
        world.functions.sleep(2)
        return iter(found)

    def delete() -> None:
        story.ask("DELETE", f"/v2/agent/{story.agent_id}")
        story._stopped("agent", "agent_id", story.agent_id)

    monkeypatch.setattr(DynamoExecutions, "open_of_agent", slowly)
    slow_in_dial(world, monkeypatch, CircuitBreaker, "admit", 4)
    world.clock.after(0, delete, "client")
    world.clock.after(1, lambda: story.call("completed"), "client")
    world.run(60)
    assert world.carrier.calls.all() == []
    assert [one.state.ended for one in world.stored_executions()] == ["agent deleted"]


# ---- a dial that is about to claim ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lowered_to", [None, 2], ids=["the same limit", "a lowered limit"])
@pytest.mark.parametrize("what", ["batch", "pause", "agent"])
def test_a_stop_finds_line_holders_in_shards_above_a_lowered_limit(
    world: World, monkeypatch: pytest.MonkeyPatch, lowered_to: int | None, what: str
) -> None:
    """Six lines in shards of two; two lines are one shard."""
    monkeypatch.setattr(dispatch, "LINES_PER_SHARD", 2)
    story = Story(world, 5, lines=6)
    slow_in_dial(world, monkeypatch, DynamoBatches, "get", 3)
    # The worker that stops the other contacts runs later; in a large batch it needs minutes.
    late = START + timedelta(seconds=1.2)
    monkeypatch.setattr(
        world.functions,
        "delays",
        lambda function, event: (6.0,) if function.name.endswith("-batch") and world.now > late else (0.0,),
    )
    made: list[str] = []

    def lower() -> None:
        limit = {"agent_config": {"max_concurrent_calls": lowered_to}}
        world.ask_as(story.account, "PATCH", f"/v2/agent/{story.agent_id}", limit)

    def stop() -> None:
        if what == "agent":
            story.stop_agent()
        elif what == "batch":
            story.end_batch(made[0])
        else:
            story.end_batch(made[0], "POST", "/pause")

    world.clock.after(0, lambda: made.append(story.batch([story.number("completed") for _ in range(6)])), "client")
    if lowered_to is not None:
        world.clock.after(1, lower, "client")
    world.clock.after(1.5, stop, "client")
    world.run(120)
    assert world.carrier.calls.all() == []
    if what != "pause":
        assert {one.state.status for one in world.stored_executions()} == {Status.STOPPED}


def test_lines_above_a_lowered_limit_count_as_live_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "LINES_PER_SHARD", 2)
    story = Story(world, 5, lines=6)
    for _ in range(6):
        story.call("completed")
    world.run(20)
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"max_concurrent_calls": 2}})
    story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"max_concurrent_calls": 1}})
    assert story.ask("GET", "/user/me")["concurrency"]["current"] == 6


# ---- no retry is announced after a stop -----------------------------------------------------------------------------


def stop_agent(story: Story, batch_id: str | None) -> None:
    story.stop_agent()


def delete_agent(story: Story, batch_id: str | None) -> None:
    story.ask("DELETE", f"/v2/agent/{story.agent_id}")


def stop_batch(story: Story, batch_id: str | None) -> None:
    assert batch_id is not None
    story.end_batch(batch_id)


def delete_batch(story: Story, batch_id: str | None) -> None:
    assert batch_id is not None
    story.end_batch(batch_id, "DELETE", "")


STOPS = [
    pytest.param(stop_agent, False, "agent stopped", id="call: agent stopped"),
    pytest.param(delete_agent, False, "agent stopped", id="call: agent deleted"),
    pytest.param(stop_agent, True, "batch stopped", id="contact: agent stopped"),
    pytest.param(stop_batch, True, "batch stopped", id="contact: batch stopped"),
    pytest.param(delete_batch, True, "batch deleted", id="contact: batch deleted"),
]


@pytest.mark.parametrize("callbacks", [True, False], ids=["by callback", "by asking"])
@pytest.mark.parametrize(("stop", "of_a_batch", "reason"), STOPS)
def test_a_call_that_cannot_be_canceled_and_fails_after_a_stop_announces_no_retry(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[Story, str | None], None],
    of_a_batch: bool,
    reason: str,
    callbacks: bool,
) -> None:
    story = Story(world, 5)
    monkeypatch.setattr(world, "_cancel", lambda *sent: Response.of(503, {}))
    batch_id = story.batch([story.number("no-answer", "completed")]) if of_a_batch else None
    if not of_a_batch:
        story.call("no-answer", "completed")
    world.run(10)
    (ringing,) = world.stored_executions()
    assert ringing.state.status is Status.RINGING
    if not callbacks:
        world.carrier.calls.post = lambda url, body, headers, overrides: Response.of(200, {})
    stop(story, batch_id)
    world.run(HOUR)
    after: Execution = world.seen.executions[ringing.id]
    assert [str(change.kind) for _, change in after.events()][-2:] == ["no-answer", "stopped"]
    state = after.state
    assert (state.status, state.ended) == (Status.STOPPED, reason)
    assert [(attempt.number, attempt.status) for attempt in state.attempts] == [(1, Status.NO_ANSWER)]
    assert [(number, status) for number, status, _ in state.history] == [(1, Status.NO_ANSWER)]
    assert len(world.carrier.calls.all()) == 1
    if of_a_batch and stop is not delete_batch:
        assert batch_of_api(world, str(batch_id))["execution_status"] == {"stopped": 1}


def test_a_call_that_the_carrier_refuses_after_a_stop_announces_no_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)

    def refuse(sent: Any, limits: Any) -> Response:
        world.functions.sleep(5)
        return Response.of(400, {"code": 13224, "message": "Invalid phone number", "status": 400})

    monkeypatch.setattr(world, "_ask_carrier", refuse)
    world.clock.after(0, lambda: story.call("completed"), "client")
    world.clock.after(3, story.stop_agent, "client")
    world.run(HOUR)
    (execution,) = world.stored_executions()
    assert [str(change.kind) for _, change in execution.events()] == ["queued", "failed", "stopped"]


def test_no_event_of_a_retry_is_delivered_after_a_stop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    monkeypatch.setattr(world, "_cancel", lambda *sent: Response.of(503, {}))
    execution_id = story.call("no-answer", "completed")
    world.run(10)
    story.stop_agent()
    world.run(HOUR)
    statuses = [one.body["status"] for one in world.seen.received[execution_id]]
    assert statuses == ["queued", "initiated", "ringing", "no-answer", "stopped"]
    assert world.seen.received[execution_id][-1].body["ended_because"] == "agent stopped"
    assert world.seen.received[execution_id][-1].body["retry_count"] == 0
