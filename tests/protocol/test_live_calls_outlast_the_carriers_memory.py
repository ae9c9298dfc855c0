"""A call that may be live is not ended when its carrier, which placed it, answers "no such call"."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

import local.carriers.course
from redial.carriers.twilio.rest import TwilioCarrier
from redial.usecases.sweep import CALL_OVER_GRACE, LONGEST_CALL
from tests.protocol.sweeping import quiet_world
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import World

pytestmark = pytest.mark.simulation

RING, LONGEST = 30, 1800
RETRY_ERRORS = {**RETRIES, "retry_intervals_minutes": [1]}


def forgetting(world: World, times: int) -> Any:
    """The carrier answers the first `times` questions with 404."""
    ask, left = TwilioCarrier.ask, [times]

    def forgets(self: TwilioCarrier, call_id: str) -> Any:
        left[0] -= 1
        return None if left[0] >= 0 else ask(self, call_id)

    return mock.patch.object(TwilioCarrier, "ask", forgets)


def test_a_live_call_outlasts_a_wrong_answer() -> None:
    talk = mock.patch.object(local.carriers.course, "TALK_SECONDS", 1500.0)
    with talk, quiet_world() as world, forgetting(world, 1):
        story = Story(world, 5, lines=1, max_call_seconds=LONGEST)
        one = story.call("completed", "completed", retry_config=RETRY_ERRORS)
        world.run(3600)
        state = world.seen.executions[one].state
        assert (str(state.status), len(state.attempts)) == ("completed", 1)
        assert world.carrier.calls.live()[1] == 1
        assert world.violations == []


@pytest.mark.parametrize("agent_changed", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_it_ends_once_it_cannot_be_live_any_more(agent_changed: bool) -> None:
    """A call ends when it can no longer be live according to its agent's settings, or to any agent's settings if these
    have changed since the dial. Until then no line is released and nothing is dialled again."""
    with quiet_world() as world, forgetting(world, 10**6):
        story = Story(world, 5, lines=1, max_call_seconds=LONGEST, ring_timeout_seconds=RING)
        one = story.call("no-callback", "completed", retry_config=RETRY_ERRORS)
        world.run(60)
        dialled = world.seen.executions[one].state.attempts[0].dialed_at
        assert dialled is not None
        if agent_changed:
            settings = {"agent_config": {"max_call_seconds": 60}}
            story.ask("PATCH", f"/v2/agent/{story.agent_id}", settings)
        longest = timedelta(seconds=RING + LONGEST) + CALL_OVER_GRACE
        until = dialled + (LONGEST_CALL if agent_changed else longest)
        world.run((until - world.now).total_seconds() - 60)
        assert [attempt.ended_at for attempt in world.seen.executions[one].state.attempts] == [None]
        world.run(20 * 60)
        first, second = world.seen.executions[one].state.attempts
        assert (str(first.status), first.reason) == ("error", "the carrier no longer knows the call")
        assert first.ended_at is not None and until <= first.ended_at <= until + timedelta(minutes=16)
        assert second.dialed_at is not None and second.dialed_at > first.ended_at
