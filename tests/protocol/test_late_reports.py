"""A carrier places a call long after the request: a person reached by it is not called again, and the call is not lost.

The first dial's request times out. An attempt without a report is given up after some minutes.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from local.web.server import Request
from redial.carriers.twilio import LATEST_CREATION
from redial.domain.execution import UNKNOWN_DEADLINE, Execution, Marker
from redial.domain.status import Status
from redial.usecases.circuit_breaker import CircuitBreaker
from redial.wire.http import NoAnswer
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import World

NO_ERRORS = {**RETRIES, "retry_on_statuses": ["no-answer", "busy", "failed"]}
GIVEN_UP = 7 * 60
"""Seconds after which the attempt has been given up: the sweeper runs once a minute."""


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made
        for check in AT_THE_END:
            check(made)
        assert made.violations == []


def place_late(world: World, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """The first requests to place a call time out; their calls are placed `seconds` after the request."""
    ask, left = world._ask_carrier, list(seconds)

    def late(sent: Request, limits: Any) -> Any:
        if sent.method != "POST" or not left:
            return ask(sent, limits)
        timeout = float(limits["read_timeout_seconds"])
        world.clock.after(left.pop(0), lambda: place(sent), "late placing by the carrier")
        world.functions.sleep(timeout)
        raise NoAnswer("no answer in time")

    def place(sent: Request) -> None:
        world.carrier.respond(sent)
        world._newest = call = world.carrier.calls.newest()
        assert call is not None
        world._placed(call)

    monkeypatch.setattr(world, "_ask_carrier", late)


def retried_after(minutes: int) -> dict[str, Any]:
    return {**RETRIES, "retry_intervals_minutes": [minutes]}


def events(execution: Execution) -> list[tuple[int, str]]:
    return [(change.attempt, str(change.kind)) for _, change in execution.events()]


def only_execution(world: World) -> Execution:
    (execution,) = world.stored_executions()
    return execution


def dials(world: World) -> list[str]:
    """Names of the schedules that invoke dial."""
    names = [str(one.definition["Name"]) for one in world.scheduler.schedules()]
    return [name for name in names if name.split(".")[1:2] == ["dial"]]


COMPLETED = [(1, "initiated"), (1, "ringing"), (1, "in-progress"), (1, "completed")]


@pytest.mark.parametrize("config", [retried_after(1), NO_ERRORS], ids=["error is retried", "error is not retried"])
@pytest.mark.parametrize("seconds", [90, 345, 400])
def test_a_call_placed_before_its_attempt_is_given_up_belongs_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch, seconds: float, config: dict[str, Any]
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, seconds)
    story.call("completed", "completed", retry_config=config)
    world.run(7200)
    assert len(world.carrier.calls.all()) == 1
    assert events(only_execution(world)) == [(1, "queued"), *COMPLETED]


def test_a_lost_attempt_whose_call_is_placed_late_is_reopened_and_its_retry_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    execution_id = story.call("completed", "completed", retry_config=retried_after(30))
    world.run(GIVEN_UP + 60)
    assert only_execution(world).state.history[0][1] is Status.ERROR
    assert dials(world) != []
    world.run(60)
    assert dials(world) == []
    world.run(7200)
    assert len(world.carrier.calls.all()) == 1
    execution = only_execution(world)
    assert events(execution) == [(1, "queued"), (1, "error"), (2, "scheduled"), *COMPLETED]
    said = story.ask("GET", f"/executions/{execution_id}")
    assert (said["status"], said["ended_because"]) == ("completed", "answered")
    assert (said["retry_count"], said["retry_history"], said["conversation_duration"]) == (0, [], 60)
    assert [attempt["status"] for attempt in said["attempts"]] == ["completed"]
    sequences = [one.body["sequence"] for one in world.seen.received[execution_id]]
    assert sequences == list(range(1, 8))
    log = story.ask("GET", f"/executions/{execution_id}/log")["data"]
    assert "found" in [entry["type"] for entry in log]


def test_a_lost_attempt_whose_late_call_fails_is_retried_from_that_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    story.call("busy", "completed", retry_config=retried_after(30))
    world.run(7200)
    execution = only_execution(world)
    first, second = world.carrier.calls.all()
    assert first.ended_at is not None
    assert timedelta(minutes=30) <= second.placed_at - first.ended_at < timedelta(minutes=32)
    assert [(number, status) for number, status, _ in execution.state.history] == [(1, Status.BUSY)]
    assert execution.state.status is Status.COMPLETED


def test_the_late_report_arrives_while_the_retry_waits_for_a_line(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only line is held: the retry is in the queue, and is removed from it."""
    story = Story(world, 5, lines=1)
    place_late(world, monkeypatch, GIVEN_UP + 70)
    execution_id = story.call("completed", retry_config=retried_after(1))
    world.run(GIVEN_UP + 20)
    story.call("completed")
    world.run(45)
    assert [item["sk"].split("#")[-1] for item in world.items("Q#")] == [execution_id]
    world.run(10)
    assert world.items("Q#") == []
    world.run(7200)
    execution = world.seen.executions[execution_id]
    assert events(execution) == [(1, "queued"), (1, "error"), (2, "scheduled"), (2, "queued"), *COMPLETED]
    assert execution.state.ended == "answered"
    assert len(world.carrier.calls.all()) == 2


def test_a_contact_with_a_late_report_is_counted_once_by_its_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    rows = [story.number("completed"), story.number("completed")]
    batch_id = story.batch(rows, ("webhook_url", "http://127.0.0.1:4002/0-batch"))
    world.run(2 * 7200)
    said = story.ask("GET", f"/batches/{batch_id}")
    assert (said["status"], said["execution_status"]) == ("completed", {"completed": 2})


def test_once_the_retry_is_claimed_the_late_call_is_recorded_beside_its_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    story.call("completed", "completed", retry_config=retried_after(1))
    world.run(7200)
    assert len(world.carrier.calls.all()) == 2
    execution = only_execution(world)
    first, second = execution.state.attempts
    assert (first.status, first.late, second.status) == (Status.ERROR, Status.COMPLETED, Status.COMPLETED)
    assert execution.state.ended == "answered"


def test_a_final_status_stays_after_a_late_report_and_the_log_records_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    execution_id = story.call("completed", retry_config=NO_ERRORS)
    world.run(7200)
    said = story.ask("GET", f"/executions/{execution_id}")
    assert (said["status"], said["ended_because"]) == ("error", "error is not retried")
    assert [one.body["status"] for one in world.seen.received[execution_id]] == ["queued", "error"]
    call = world.carrier.calls.newest()
    assert call is not None
    late = [one for one in story.ask("GET", f"/executions/{execution_id}/log")["data"] if one["type"] == "late-report"]
    assert [(one["data"]["reason"], one["data"]["provider_call_id"]) for one in late] == [
        (status, call.sid) for status in ("ringing", "in-progress", "completed")
    ]


@pytest.mark.parametrize("report_first", [True, False])
def test_a_late_report_and_the_claim_of_the_retry_are_decided_by_one_write(
    world: World, monkeypatch: pytest.MonkeyPatch, report_first: bool
) -> None:
    """Dial is slow just before its claim, or the carrier just after it."""
    story = Story(world, 5)
    retry_at = GIVEN_UP + 60
    place_late(world, monkeypatch, retry_at + 5)
    admit, ask = CircuitBreaker.admit, world._ask_carrier

    def admit_slowly(self: CircuitBreaker, *arguments: Any) -> Any:
        if world.seen.claimed_at and report_first:
            world.functions.sleep(30)
        return admit(self, *arguments)

    def ask_slowly(sent: Request, limits: Any) -> Any:
        if sent.method == "POST" and len(world.seen.claimed_at) > 1 and not report_first:
            world.functions.sleep(10)
        return ask(sent, limits)

    monkeypatch.setattr(CircuitBreaker, "admit", admit_slowly)
    monkeypatch.setattr(world, "_ask_carrier", ask_slowly)
    execution_id = story.call("completed", "completed", retry_config=retried_after(1))
    world.run(7200)
    claimed = (execution_id, 2) in world.seen.claimed_at
    assert claimed is not report_first
    assert len(world.carrier.calls.all()) == (1 if report_first else 2)
    found = [change.attempt for change in only_execution(world).changes if change.kind is Marker.FOUND]
    assert found == ([1] if report_first else [])


def test_a_reopened_call_acquires_a_line_if_one_is_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5, lines=1)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    execution_id = story.call("completed", retry_config=retried_after(30))
    world.run(GIVEN_UP + 100)
    assert world.seen.executions[execution_id].state.status is Status.IN_PROGRESS
    other = story.call("completed")
    world.run(20)
    assert world.seen.executions[other].state.status is Status.QUEUED
    world.run(7200)
    assert world.seen.executions[other].state.status is Status.COMPLETED


def test_a_reopened_call_that_rings_when_its_agent_is_stopped_is_canceled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    execution_id = story.call("no-answer", "completed", retry_config=retried_after(30))
    world.run(GIVEN_UP + 100)
    story.stop_agent()
    world.run(7200)
    assert [kind for _, kind in events(world.seen.executions[execution_id])][-2:] == ["ringing", "stopped"]
    (call,) = world.carrier.calls.all()
    assert call.status == "canceled"


def test_a_call_is_searched_until_its_attempt_is_given_up() -> None:
    assert UNKNOWN_DEADLINE + timedelta(minutes=1) <= LATEST_CREATION


def test_the_late_report_of_a_contact_arrives_while_its_retry_is_in_the_delayed_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(world, 5)
    place_late(world, monkeypatch, GIVEN_UP + 80)
    batch_id = story.batch([story.number("completed")])
    world.run(GIVEN_UP + 10)
    story.ask("POST", f"/batches/{batch_id}/pause")
    world.run(60)
    assert only_execution(world).state.is_delayed
    world.run(30)
    assert world.items("R#") == []
    story.ask("POST", f"/batches/{batch_id}/resume")
    world.run(7200)
    assert len(world.carrier.calls.all()) == 1
    assert story.ask("GET", f"/batches/{batch_id}")["execution_status"] == {"completed": 1}


def test_a_dropped_retry_releases_its_line_even_if_another_retry_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier placed nothing for the retry, which keeps its line; then the lost call is reported as busy."""
    story = Story(world, 5, lines=1)
    place_late(world, monkeypatch, GIVEN_UP + 65)
    story.call("refused-429", "busy", "completed", retry_config=retried_after(1))
    world.run(GIVEN_UP + 72)
    execution = only_execution(world)
    assert execution.state.history[-1][1] is Status.BUSY
    assert (execution.state.status, execution.state.attempt.line_shard) == (Status.SCHEDULED, None)
    other = story.call("completed")
    world.run(3)
    assert world.seen.executions[other].state.status is Status.RINGING
    world.run(7200)
