"""A stop of a call that the carrier has queued or is ringing: it is canceled there, and is `stopped`, never retried."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.web.server import Response
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.carriers.twilio.rest import TwilioCarrier
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.usecases import stop as stops
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import World

HOUR = 3600.0


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        assert made.violations == []


def events(execution: Execution) -> list[str]:
    return [str(change.kind) for _, change in execution.events()]


def read(story: Story, execution_id: str) -> Any:
    return story.ask("GET", f"/executions/{execution_id}")


def ask(story: Story, path: str, seconds: float = 1) -> tuple[int, Any]:
    """Send a POST, and let time pass after it; return the status and the answer."""
    answers: list[Response] = []
    asks = lambda: answers.append(story.world.ask_as(story.account, "POST", path))  # noqa: E731
    story.world.clock.after(0, asks, "client")
    story.world.run(seconds)
    (answer,) = answers
    return answer.status, json.loads(answer.body)


def stop(story: Story, execution_id: str, seconds: float = 1) -> tuple[int, Any]:
    return ask(story, f"/call/{execution_id}/stop", seconds)


def lost_callbacks(world: World) -> None:
    world.carrier.calls.post = lambda url, body, headers, overrides: Response.of(200, {})


def slowly(world: World, seconds: float) -> Callable[..., Response]:
    """A carrier that answers a cancel request after `seconds`."""
    real = world._cancel

    def answer(*sent: Any) -> Response:
        said = real(*sent)
        world.functions.sleep(seconds)
        return said

    return answer


def placed_slowly(world: World, seconds: float) -> Callable[[Any, bool, float], Response]:
    """A carrier that places a call after `seconds`."""
    real = world._place

    def place(sent: Any, down: bool, read: float) -> Response:
        world.functions.sleep(seconds)
        return real(sent, down, read)

    return place


# ---- one call -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "status"), [(1, "initiated"), (5, "ringing")])
def test_a_call_is_stopped_before_it_is_answered(world: World, after: float, status: str) -> None:
    story = Story(world, 5, lines=1)
    execution_id = story.call("completed")
    world.run(after)
    assert read(story, execution_id)["status"] == status
    assert stop(story, execution_id) == (
        200,
        {"message": "done", "status": "stopped", "execution_id": execution_id},
    )
    shown = read(story, execution_id)
    assert (shown["status"], shown["ended_because"]) == ("stopped", "stopped by request")
    assert shown["telephony_data"]["hangup_by"] == "API Request"
    assert shown["termination_reason"] == "agent_ended_call"
    assert [one["status"] for one in shown["attempts"]] == ["stopped"]
    assert [one["status"] for one in shown["retry_history"]] == ["stopped"]
    log = [(one["type"], one["component"]) for one in story.ask("GET", f"/executions/{execution_id}/log")["data"]]
    assert ("stopping", "api") in log and ("stopped", "api") in log
    (call,) = world.carrier.calls.all()
    assert (call.status, call.answered_at) == ("canceled", None)
    story.call("completed")  # the line is free
    world.run(HOUR)
    assert [call.status for call in world.carrier.calls.all()] == ["canceled", "completed"]
    assert [one.body["status"] for one in world.seen.received[execution_id]][-1] == "stopped"


def test_the_carriers_callback_may_come_before_its_answer_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    monkeypatch.setattr(world, "_cancel", slowly(world, 3))
    assert stop(story, execution_id, 10)[0] == 200
    assert events(world.seen.executions[execution_id])[-2:] == ["ringing", "stopped"]


def test_a_call_that_was_answered_meanwhile_goes_on(world: World) -> None:
    """The carrier knows that the call was answered; its callback is still on the way."""
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    deliver = world.carrier.calls.post
    lost_callbacks(world)
    world.run(10)
    world.carrier.calls.post = deliver
    assert world.seen.executions[execution_id].state.status is Status.RINGING
    status, body = stop(story, execution_id)
    assert (status, "in-progress" in body["message"]) == (400, True)
    world.run(HOUR)
    assert events(world.seen.executions[execution_id])[-2:] == ["in-progress", "completed"]


@pytest.mark.parametrize("retried", [True, False])
def test_a_call_that_ended_meanwhile_is_not_retried(world: World, retried: bool) -> None:
    """The carrier knows that the call failed. If a retry would follow, the stop succeeds; else the call is over."""
    story = Story(world, 5)
    execution_id = story.call("no-answer", "completed", **({} if retried else {"retry_config": {"enabled": False}}))
    world.run(5)
    lost_callbacks(world)
    world.run(50)
    status, body = stop(story, execution_id)
    world.run(HOUR)
    expected = ["no-answer", "stopped"] if retried else ["ringing", "no-answer"]
    assert events(world.seen.executions[execution_id])[-2:] == expected
    assert (status, "no-answer" in body["message"]) == ((200, False) if retried else (400, True))
    assert len(world.carrier.calls.all()) == 1


@pytest.mark.parametrize("reached_after", [20.0, HOUR])
def test_a_carrier_that_cannot_be_reached_is_asked_again_by_the_sweeper(
    world: World, monkeypatch: pytest.MonkeyPatch, reached_after: float
) -> None:
    """`no-callback`: the call stays at the carrier for minutes. If it cannot be canceled at all, it ends by itself."""
    monkeypatch.setattr("local.carriers.course.RINGING_SECONDS", 600.0)
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    real = world._cancel
    monkeypatch.setattr(world, "_cancel", lambda *sent: Response.of(503, {}))
    status, body = stop(story, execution_id)
    assert status == 400 and "has not confirmed" in body["message"] and "again within minutes" in body["message"]
    world.clock.after(reached_after, lambda: monkeypatch.setattr(world, "_cancel", real), "the carrier is back")
    world.run(300)
    if reached_after < 300:
        assert events(world.seen.executions[execution_id])[-2:] == ["initiated", "stopped"]
    world.run(HOUR)
    (call,) = world.carrier.calls.all()
    assert call.status == ("canceled" if reached_after < 300 else "completed")


@pytest.mark.parametrize("callbacks", [True, False], ids=["by callback", "by the sweeper"])
def test_a_stop_is_finished_after_a_crash_between_the_confirmation_and_its_save(
    world: World, monkeypatch: pytest.MonkeyPatch, callbacks: bool
) -> None:
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    if not callbacks:
        lost_callbacks(world)
    monkeypatch.setattr(world, "cuts_off", lambda invocation, where: where.startswith("after POST") and "/CA" in where)
    assert stop(story, execution_id)[0] == 500
    monkeypatch.undo()
    world.excused.update(str(number) for number in range(1000))
    world.violations.clear()  # the request was answered 500, since its function was killed
    world.run(HOUR)
    assert events(world.seen.executions[execution_id])[-2:] == ["ringing", "stopped"]
    assert len(world.carrier.calls.all()) == 1


def test_of_two_stops_at_once_one_finds_the_call_stopped_already(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    monkeypatch.setattr(world, "_cancel", slowly(world, 2))
    answers: list[int] = []
    path = f"/call/{execution_id}/stop"
    for seconds in (0, 1):
        asks = lambda: answers.append(world.ask_as(story.account, "POST", path).status)  # noqa: E731
        world.clock.after(seconds, asks, "client")
    world.run(60)
    assert sorted(answers) == [200, 400]
    assert events(world.seen.executions[execution_id]).count("stopped") == 1
    status, body = stop(story, execution_id)
    assert (status, "over: stopped" in body["message"]) == (400, True)


def test_a_call_that_is_being_handed_to_the_carrier_is_refused_for_some_seconds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    monkeypatch.setattr(world, "_place", placed_slowly(world, 4))
    execution_id = story.call("completed")
    world.run(2)
    status, body = stop(story, execution_id)
    assert (status, "again in a few seconds" in body["message"]) == (400, True)
    world.run(4)
    assert stop(story, execution_id)[0] == 200


def test_a_cancel_that_takes_effect_a_moment_later_is_confirmed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    (call,) = world.carrier.calls.all()
    real = world._cancel

    def later(*sent: Any) -> Response:
        before = world.carrier._resource(call)
        world.clock.after(0.2, lambda: real(*sent), "canceled")
        return Response.of(200, before)

    monkeypatch.setattr(world, "_cancel", later)
    assert stop(story, execution_id)[0] == 200
    assert call.status == "canceled"


# ---- agents and batches ---------------------------------------------------------------------------------------------


def test_a_stop_of_an_agent_cancels_and_lists_its_unanswered_calls(world: World) -> None:
    story = Story(world, 5, lines=3)
    talking = story.call("completed")
    world.run(20)
    ringing, queued = story.call("completed"), story.call("completed", scheduled_at=story.in_minutes(5))
    world.run(5)
    listed = story.ask("POST", f"/v2/agent/{story.agent_id}/stop")["stopped_executions"]
    assert sorted(listed) == sorted([ringing, queued])
    statuses = {one.id: one.state.status for one in world.stored_executions()}
    assert statuses == {talking: Status.IN_PROGRESS, ringing: Status.STOPPED, queued: Status.STOPPED}
    world.run(HOUR)
    assert [call.status for call in world.carrier.calls.all()] == ["completed", "canceled"]


@pytest.mark.parametrize("end", ["stop", "delete", "stop its agent", "delete its agent"])
def test_the_end_of_a_batch_cancels_its_unanswered_calls(world: World, end: str) -> None:
    story = Story(world, 5, lines=2)
    batch_id = story.batch([story.number("completed") for _ in range(3)])
    world.run(6)
    assert [call.status for call in world.carrier.calls.all()] == ["ringing", "ringing"]
    match end:
        case "stop":
            story.end_batch(batch_id)
        case "delete":
            story.end_batch(batch_id, "DELETE", "")
        case "stop its agent":
            story.stop_agent()
        case _:
            story.ask("DELETE", f"/v2/agent/{story.agent_id}")
    world.run(3)
    assert [call.status for call in world.carrier.calls.all()] == ["canceled", "canceled"]
    placed = [one.state for one in world.seen.executions.values() if one.state.attempt.call_id is not None]
    assert [state.status for state in placed] == [Status.STOPPED, Status.STOPPED]
    world.run(HOUR)


def test_a_paused_batch_keeps_its_ringing_calls(world: World) -> None:
    story = Story(world, 5, lines=2)
    batch_id = story.batch([story.number("completed") for _ in range(2)])
    world.run(6)
    story.ask("POST", f"/batches/{batch_id}/pause")
    world.run(HOUR)
    assert [call.status for call in world.carrier.calls.all()] == ["completed", "completed"]


def test_a_call_that_was_handed_over_while_its_agent_was_stopped_is_canceled_by_the_sweeper(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier queues the call for minutes."""
    monkeypatch.setattr("local.carriers.course.RINGING_SECONDS", 600.0)
    monkeypatch.setattr("local.carriers.course.PICKED_UP_AFTER_SECONDS", 700.0)
    story = Story(world, 5)
    monkeypatch.setattr(world, "_place", placed_slowly(world, 4))
    execution_id = story.call("completed")
    world.run(2)
    assert story.ask("POST", f"/v2/agent/{story.agent_id}/stop")["stopped_executions"] == []
    world.run(300)
    stopped = world.seen.executions[execution_id].state
    assert (stopped.status, stopped.ended) == (Status.STOPPED, "agent stopped")
    assert [call.status for call in world.carrier.calls.all()] == ["canceled"]


def test_a_stop_of_an_agent_cancels_for_seconds_and_leaves_the_rest_to_the_sweeper(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.carriers.course.RINGING_SECONDS", 600.0)
    story = Story(world, 5, lines=8)
    made = [story.call("completed") for _ in range(8)]
    world.run(5)
    monkeypatch.setattr(world, "_cancel", slowly(world, 4))
    listed = ask(story, f"/v2/agent/{story.agent_id}/stop", 30)[1]["stopped_executions"]
    assert len(listed) == 3, "ten seconds"
    monkeypatch.undo()
    world.run(400)
    assert {world.seen.executions[one].state.status for one in made} == {Status.STOPPED}
    assert {call.status for call in world.carrier.calls.all()} == {"canceled"}


# ---- the mark -------------------------------------------------------------------------------------------------------


def test_a_stop_is_stored_before_the_carrier_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    seen: list[str | None] = []
    real = TwilioCarrier.cancel

    def watched(self: TwilioCarrier, call_id: str) -> Any:
        seen.append(world.seen.executions[execution_id].state.attempt.stopping)
        return real(self, call_id)

    monkeypatch.setattr(TwilioCarrier, "cancel", watched)
    assert stop(story, execution_id)[0] == 200
    assert seen == [stops._REQUESTED]


def test_a_listing_that_lags_does_not_hide_a_ringing_call_from_its_agents_stop(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DynamoExecutions, "open_of_agent", lambda self, agent_id: iter(()))
    story = Story(world, 5)
    execution_id = story.call("completed")
    world.run(5)
    assert story.ask("POST", f"/v2/agent/{story.agent_id}/stop")["stopped_executions"] == [execution_id]
