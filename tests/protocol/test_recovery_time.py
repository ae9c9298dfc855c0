"""Recovery times by the simulated clock: each request of the sweeper to AWS takes 15 ms."""

from datetime import timedelta
from typing import Any

import pytest

from local.aws.functions import Function
from local.stack import SWEEPER
from redial.domain.execution import Execution
from redial.usecases import sweep
from redial.usecases.sweep import MOST_HOPS, QUESTIONS_AT_ONCE
from redial.wire.http import NoAnswer
from redial.wire.stored_execution import DUE_SHARDS
from tests.protocol.sweeping import (
    CARRIER_SECONDS,
    REQUEST_SECONDS,
    ask_about_lost_calls,
    delivered,
    ids,
    lose_invocations,
    lost_callbacks_beside_a_queue,
    minutes_to_end,
    quiet_world,
    recover_missed_timers,
    services_in,
)
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR

pytestmark = pytest.mark.simulation

LONGEST_INVOCATION = 45.0
"""Seconds. An invocation of the sweeper may take 55; the work that it begins last may take some of the rest."""


def test_missed_timers_are_repaired_in_parallel_with_two_requests_each() -> None:
    """If there are more than one run can repair, the rest goes to one worker for each shard."""
    count = 1200
    found = recover_missed_timers(count)
    assert found.repaired == count
    for_each = found.requests / count
    assert for_each <= 2.2, found.by_kind
    assert 1 < found.invocations <= 3 + DUE_SHARDS
    in_turn = count * 2 * REQUEST_SECONDS / 60
    assert found.minutes <= 1.5, f"one after the other would take {in_turn:.1f} minutes, plus the waits between runs"
    most = 100_000 / DUE_SHARDS * for_each * REQUEST_SECONDS / 60  # the workers' share of a hundred thousand
    assert most + 2 <= 10


DUE = 100_000
"""Calls that are due after an outage of an hour in which no callback arrived."""
WITHIN = 10
"""Minutes within which each of them is checked."""
BEFORE_THE_FIRST = 2
"""Minutes until the last asker begins: a run begins within one, and its workers within the next."""


def test_carriers_see_few_questions_at_once_and_enough_for_all() -> None:
    """Carriers limit an account's concurrent requests, and dial needs some of them."""
    assert DUE_SHARDS * QUESTIONS_AT_ONCE <= 64
    requests = 5  # the answer is stored, deliver invoked, the line released in up to three
    question = CARRIER_SECONDS + requests * REQUEST_SECONDS
    assert DUE / DUE_SHARDS / QUESTIONS_AT_ONCE * question / 60 <= WITHIN - BEFORE_THE_FIRST


@pytest.mark.parametrize(("at_once", "keeps_up"), [(QUESTIONS_AT_ONCE, True), (1, False)])
def test_calls_without_callbacks_are_asked_about_fast_enough(
    at_once: int, keeps_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One shard with a sixteenth of its calls has one asker, as at full size, so the rate is the same. One question
    after the other would take too long."""
    monkeypatch.setattr(sweep, "QUESTIONS_AT_ONCE", at_once)
    count = DUE // DUE_SHARDS // 16
    found = ask_about_lost_calls(count, shards=1)
    assert (found.settled, found.asked, found.timed_out) == (count, count, 0)
    assert found.at_once == at_once
    assert found.longest <= LONGEST_INVOCATION
    assert (BEFORE_THE_FIRST + DUE / DUE_SHARDS / found.a_second / 60 <= WITHIN) == keeps_up, found


@pytest.mark.nightly
def test_a_hundred_thousand_calls_without_callbacks_are_asked_about_in_ten_minutes() -> None:
    found = ask_about_lost_calls(DUE)
    assert (found.settled, found.asked, found.timed_out) == (DUE, DUE, 0)
    assert found.at_once <= DUE_SHARDS * QUESTIONS_AT_ONCE
    assert found.longest <= LONGEST_INVOCATION
    assert found.minutes <= WITHIN, found


@pytest.mark.nightly
def test_a_worker_whose_next_hop_is_lost_is_replaced() -> None:
    """Its lease expires, and the next run assigns the shard again."""
    with quiet_world(request_seconds=1.0) as world:
        story = Story(world, 1)
        executions = services_in(world).executions
        lose_invocations(world, "dial")
        start = world.now
        one_shard = [f"{one[:-2]}00" for one in ids(700)]
        for number, one in enumerate(one_shard):
            made = Execution(one, "local", story.agent_id, start, f"+1212{number:07d}")
            executions.create(delivered(made.begin(start, start + timedelta(minutes=1)), start))
        hops: list[int] = []
        delays = world.functions.delays

        def lose_the_first_second_hop(function: Function, event: Any) -> tuple[float, ...]:
            if function.module == SWEEPER and "hop" in event:
                hops.append(event["hop"])
                if event["hop"] == 2 and hops.count(2) == 1:
                    return ()
            return delays(function, event)

        world.functions.delays = lose_the_first_second_hop
        world.run(3600)
        assert hops.count(1) >= 2, "it was assigned again"
        assert max(hops) > 2, "and then continued from hop to hop"
        assert max(hops) <= MOST_HOPS
        left = [one for one in world.stored_executions() if one.due_at is not None and one.due_at <= world.now]
        assert len(left) < 700, "the lost dials make them due again, but the shard is worked through"
        seen = [world.seen.executions[one].version for one in one_shard]
        assert min(seen) > 1, "each was checked"


@pytest.mark.nightly
def test_a_lost_callback_is_repaired_within_minutes_beside_a_long_queue() -> None:
    """A call of 70 s is first checked two minutes after it rang; three more minutes are allowed."""
    found = lost_callbacks_beside_a_queue(1500, hours=0.5)
    assert len(found.minutes) == found.asked
    assert found.minutes[-1] <= 5.0


@pytest.mark.parametrize("seconds", [0.0, 9.0])
def test_a_carrier_that_answers_slowly_delays_its_own_questions_alone(seconds: float) -> None:
    """Ten calls a minute lose their callbacks, and timers of another agent's calls never fire."""
    with quiet_world() as world:
        silent, timed = Story(world, 5, lines=60), Story(world, 6, lines=60)
        ask = world._ask_carrier

        def slow(sent: Any, limits: Any) -> Any:
            if sent.method == "GET":
                world.functions.sleep(seconds)
            return ask(sent, limits)

        world._ask_carrier = slow  # type: ignore[method-assign]
        world.scheduler.firing = lambda schedule: () if ".dial." in schedule.definition["Name"] else (0.0,)
        asked = {}
        late: list[str] = []
        for minute in range(12):
            for _ in range(10):
                asked[silent.call("no-callback", retry_config=None)] = world.now
                world.run(6)
            if minute % 3 == 0:
                late.append(timed.call("completed", scheduled_at=timed.in_minutes(3), retry_config=None))
        world.run(2 * HOUR)
        for one in late:
            attempt = world.seen.executions[one].state.attempts[0]
            assert attempt.dialed_at is not None
            assert attempt.dialed_at - attempt.scheduled_at <= timedelta(minutes=4.5)
        minutes = minutes_to_end(world, asked)
        assert len(minutes) == len(asked)
        assert minutes[-1] <= 3 + 2 * seconds / 60 + 3


@pytest.mark.parametrize("poisoned", [False, True])
def test_one_ambiguous_call_delays_no_question_about_another(poisoned: bool) -> None:
    """Of eight calls to one number the first was never placed: each of the seven others may be its call."""
    with quiet_world() as world:
        popular, other = Story(world, 5, lines=20), Story(world, 6, lines=60)
        ask, posts = world._ask_carrier, [0]
        questions: list[str] = []

        def first_is_lost(sent: Any, limits: Any) -> Any:
            if sent.method == "GET":
                questions.append(sent.path)
            elif poisoned and not posts[0]:
                posts[0] += 1
                raise NoAnswer("no answer in time")
            return ask(sent, limits)

        world._ask_carrier = first_is_lost  # type: ignore[method-assign]
        to = popular.number("completed")
        first = None
        for _ in range(8):
            popular._calls += 1  # its own key
            made = popular.call(recipient_phone_number=to, retry_config=None)
            first = first or made
        asked = {}
        for _ in range(15):
            asked[other.call("no-callback", retry_config=None)] = world.now
            world.run(20)
        world.run(HOUR)
        minutes = minutes_to_end(world, asked)
        assert len(minutes) == len(asked)
        assert minutes[-1] <= 3.0
        if poisoned:
            assert first is not None
            ended = world.seen.executions[first]
            assert str(ended.state.status) == "error"
            assert ended.state.ended == "retries are not enabled"
            lists = [path for path in questions if path.endswith("/Calls.json")]
            assert 4 <= len(lists) <= 9, "asked at growing waits, not every minute"
