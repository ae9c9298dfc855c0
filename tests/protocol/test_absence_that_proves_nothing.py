"""A carrier whose "no such call" proves nothing: an attempt that it does not find is never dialled again.

The phone rings, but Redial gets no report: the answer to the dial and all callbacks are lost, and the carrier, when
asked, shows no call. The emulated Twilio acts as such a carrier here.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from local.web.server import Request
from redial.carriers.twilio import LIMITS
from redial.carriers.twilio.rest import TwilioCarrier
from redial.domain.execution import UNKNOWN_DEADLINE, Execution
from redial.usecases.sweep import CALL_OVER_GRACE, LONGEST_CALL
from redial.wire.http import NoAnswer
from tests.protocol.sweeping import quiet_world
from tests.simulation.scenarios import RETRIES, Story
from tests.simulation.world import World

pytestmark = pytest.mark.simulation

RING, LONGEST = 30, 1800
LONGEST_UNKNOWN = timedelta(seconds=RING + LONGEST) + CALL_OVER_GRACE


@contextmanager
def world_of_a_carrier(absence_proves_after: timedelta | None, *, answers: bool) -> Iterator[World]:
    """A carrier whose callbacks never arrive and that finds no call when asked. `answers`: answers to dials arrive."""
    limits = replace(LIMITS, absence_proves_after=absence_proves_after)
    with ExitStack() as stack:
        for name, value in (("limits", limits), ("find", absent), ("ask", absent)):
            stack.enter_context(mock.patch.object(TwilioCarrier, name, value))
        world = stack.enter_context(quiet_world())
        if not answers:
            lose_answers_to_dials(world)
        yield world


def lose_answers_to_dials(world: World) -> None:
    ask_carrier = world._ask_carrier

    def lost(sent: Request, limits: Any) -> Any:
        answer = ask_carrier(sent, limits)
        if sent.method == "POST":
            raise NoAnswer("no answer in time")
        return answer

    world._ask_carrier = lost  # type: ignore[method-assign]


def absent(self: TwilioCarrier, *asked: Any) -> None:
    """The carrier knows no such call."""


def dialled(world: World, **agent: Any) -> tuple[Story, datetime]:
    """A call that was just dialled and may be retried after errors, with the time of its dial."""
    settings = {"max_call_seconds": LONGEST, "ring_timeout_seconds": RING} | agent
    story = Story(world, 5, lines=1, **settings)
    story.call("no-callback", retry_config=RETRIES)
    world.run(60)
    at = the_only(world).state.attempts[0].dialed_at
    assert at is not None
    return story, at


def the_only(world: World) -> Execution:
    (execution,) = world.stored_executions()
    return execution


def ends_without_a_retry_when_no_call_can_be_up(world: World) -> None:
    """The phone may have rung."""
    _, at = dialled(world)
    until = at + LONGEST_UNKNOWN
    world.run((until - world.now).total_seconds() - 60)
    assert the_only(world).state.attempts[0].ended_at is None
    world.run(24 * 3600)
    state = the_only(world).state
    assert (str(state.status), len(state.attempts)) == ("error", 1)
    ended_at = state.attempts[0].ended_at
    assert ended_at is not None and until <= ended_at <= until + timedelta(minutes=16)
    assert len(world.carrier.calls.all()) == 1
    assert world.items("L#")[0]["holders"] == {}


@pytest.mark.parametrize("answers", [False, True], ids=["answer lost", "accepted"])
def test_the_attempt_ends_without_a_retry_when_no_call_can_be_up(answers: bool) -> None:
    with world_of_a_carrier(None, answers=answers) as world:
        ends_without_a_retry_when_no_call_can_be_up(world)


@pytest.mark.nightly
def test_where_the_agent_has_changed_since_it_ends_when_no_call_of_any_agent_can_be_up() -> None:
    with world_of_a_carrier(None, answers=False) as world:
        story, at = dialled(world)
        story.ask("PATCH", f"/v2/agent/{story.agent_id}", {"agent_config": {"max_call_seconds": 60}})
        world.run((at + LONGEST_CALL - world.now).total_seconds() - 60)
        assert the_only(world).state.attempts[0].ended_at is None
        world.run(3600)
        state = the_only(world).state
        assert (str(state.status), len(state.attempts)) == ("error", 1)
        assert len(world.carrier.calls.all()) == 1


def test_a_report_that_comes_before_settles_it() -> None:
    with world_of_a_carrier(None, answers=False) as world:
        dialled(world)
        world.run(1800)
        (call,) = world.carrier.calls.all()
        with mock.patch.object(call, "outcome", "completed"):
            world.carrier.calls._report(call, "completed", "completed")
        world.run(60)
        assert str(the_only(world).state.status) == "completed"


def test_a_carrier_that_never_tells_does_not_hold_the_line_longer_than_a_call_lasts() -> None:
    """Twilio lists calls that may be the attempt's, but their Events show no callback of ours."""
    with mock.patch.object(TwilioCarrier, "_belongs", absent), quiet_world() as world:
        lose_answers_to_dials(world)
        ends_without_a_retry_when_no_call_can_be_up(world)


def test_believing_it_would_ring_the_phone_again() -> None:
    """Shows why the rule exists: if absence counted as proof, the phone would ring once more for each retry."""
    with world_of_a_carrier(UNKNOWN_DEADLINE, answers=False) as world:
        dialled(world)
        world.run(24 * 3600)
        assert len(world.carrier.calls.all()) == 1 + int(str(RETRIES["max_retries"]))
