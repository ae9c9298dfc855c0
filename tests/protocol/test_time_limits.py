"""After a day an attempt ends as `error` only if the carrier placed nothing all that time, or its timer was late."""

import json
from datetime import timedelta
from typing import Any

import pytest

from local.carriers import course
from redial.domain.decision import waits
from redial.domain.execution import HOLDS_APART, LATEST_START, THROTTLE_BACKOFF_SECONDS, Execution, Marker
from redial.domain.outcome import NotPlaced
from redial.domain.status import Status
from redial.wire.stored_execution import decode, encode
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import HOUR, World
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.samples import CALLER_ID, TEN, minutes, queued, saved, seconds

DAY = timedelta(days=1)


def batch_in(world: World, story: Story, hours: float, rows: list[str]) -> None:
    """A batch that is created now and starts `hours` later."""
    form = [("agent_id", story.agent_id), ("retry_config", json.dumps(RETRIES))]
    headers = {"Content-Type": CONTENT_TYPE, "Idempotency-Key": "batch"}
    made = story.ask("POST", "/batches", multipart(form, "\n".join(["contact_number", *rows])), headers)
    body = f"scheduled_at={story.in_minutes(60 * hours + 3)}".encode()
    form_type = {"Content-Type": "application/x-www-form-urlencoded"}
    assert story.ask("POST", f"/batches/{made['batch_id']}/schedule", body, form_type) is not None


def assert_all_answered_at_the_first_attempt(world: World, executions: int) -> None:
    assert world.violations == []
    stored: list[Execution] = world.stored_executions()
    assert [one.state.status for one in stored] == [Status.COMPLETED] * executions
    assert {one.state.attempt.number for one in stored} == {1}


@pytest.mark.simulation
def test_a_throttled_contact_is_not_ended_because_of_its_batchs_age() -> None:
    with world_of(1, Faults(1, {})) as world:
        story = Story(world, 1)
        batch_in(world, story, 25, [story.number("refused-429", "completed")])
        world.run(27 * HOUR)
        assert_all_answered_at_the_first_attempt(world, 1)


@pytest.mark.simulation
def test_an_outage_in_a_batch_that_is_older_than_a_day_costs_no_call() -> None:
    with world_of(2, Faults(2, {})) as world:
        story = Story(world, 2, lines=5)
        batch_in(world, story, 25, [story.number("completed") for _ in range(20)])
        begin = world.now + timedelta(hours=25, minutes=3)
        world.carrier_down = (begin, begin + timedelta(hours=1))
        world.run(29 * HOUR)
        assert_all_answered_at_the_first_attempt(world, 20)


@pytest.mark.nightly
@pytest.mark.simulation
def test_a_pause_of_a_batch_ends_no_contact_that_was_throttled_before_and_after_it() -> None:
    with world_of(3, Faults(3, {})) as world:
        story = Story(world, 3)
        batch = story.batch([story.number("refused-429", "refused-429", "completed")])
        world.run(10)
        story.ask("POST", f"/batches/{batch}/pause")
        world.run(25 * HOUR)
        story.ask("POST", f"/batches/{batch}/resume")
        world.run(HOUR)
        assert_all_answered_at_the_first_attempt(world, 1)


@pytest.mark.nightly
@pytest.mark.simulation
def test_a_long_wait_for_a_line_ends_no_call_that_is_throttled_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "TALK_SECONDS", 26 * HOUR)
    with world_of(4, Faults(4, {})) as world:
        story = Story(world, 4, lines=1, max_call_seconds=86400)
        story.call("completed")
        world.run(60)
        second = story.call("refused-429", "completed")
        world.run(25 * HOUR)
        stored = world.seen.executions[second]
        assert stored.state.status is Status.IN_PROGRESS, stored.changes


# ---- the rule itself -------------------------------------------------------------------------------------------------


def throttled(execution: Execution, now: Any, retry_after: float | None = None) -> Execution:
    claimed = saved(execution.claim(now, CALLER_ID, 3, "a1b2c3d4"))
    return saved(claimed.answered_by_carrier(1, NotPlaced("429", retry_after), now, 0.5))


def test_an_attempt_that_the_carrier_never_places_ends_after_a_day_and_not_before() -> None:
    execution, now, tries = queued(), TEN, 0
    while not execution.state.is_final:
        execution = decode(encode(throttled(execution, now)))
        tries += 1
        if not execution.state.is_final:
            assert now < TEN + LATEST_START
            assert execution.state.next_time is not None
            now = execution.state.next_time + minutes(1)
    assert now >= TEN + LATEST_START
    assert tries > DAY / timedelta(seconds=THROTTLE_BACKOFF_SECONDS[-1]) * 0.9
    assert (execution.state.status, execution.state.attempt.dialed_at) == (Status.ERROR, None)
    assert execution.state.ended == "the carrier could not place it for 24 hours: 429"
    assert len(execution.changes) == 3, "queued, deferred so many times, error"


def test_other_waits_between_two_answers_of_the_carrier_do_not_count() -> None:
    execution = throttled(queued(), TEN)
    again = execution.state.next_time
    assert again is not None
    prompt = throttled(execution, again + HOLDS_APART - seconds(1))
    late = throttled(execution, again + HOLDS_APART)
    assert (prompt.changes[-1].count, prompt.changes[-1].since) == (2, execution.changes[-1].at)
    assert (late.changes[-1].count, late.changes[-1].since) == (1, None)
    assert throttled(execution, TEN + 3 * DAY).state.is_waiting


def test_a_deferral_stored_without_its_start_counts_from_its_last_repetition() -> None:
    """Items of earlier versions have no start: such a call ends later, never earlier."""
    execution = throttled(throttled(queued(), TEN), TEN + minutes(2))
    item = encode(execution)
    changes = json.loads(item["ch"])
    assert changes[-1][0] == Marker.DEFERRED
    assert changes[-1][3].pop("s") < 120_000 <= changes[-1][1]
    past = decode({**item, "ch": json.dumps(changes)})
    assert throttled(past, TEN + minutes(10)).changes[-1].since == past.changes[-1].at


def test_a_queued_call_is_never_too_late_but_a_timer_a_day_late_is() -> None:
    scheduled = queued(None, TEN)
    assert not scheduled.state.is_too_late(TEN + LATEST_START)
    assert scheduled.state.is_too_late(TEN + LATEST_START + seconds(1))
    assert not queued().state.is_too_late(TEN + 3 * DAY)
    assert not throttled(queued(), TEN).state.is_too_late(TEN + 3 * DAY)
    assert not scheduled.defer(TEN, waits("waiting for a line")).state.is_too_late(TEN + 3 * DAY)
