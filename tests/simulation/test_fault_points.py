"""After one fault everything continues within that fault's bound; see fault_points.py."""

from datetime import timedelta
from unittest import mock

import pytest

from redial.adapters.dynamodb import lines
from redial.domain import execution
from redial.usecases import sweep
from tests.simulation.fault_points import BOUNDS, Bound, measure

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.kind}: {', '.join(bound.scenarios)}")
def test_one_fault_delays_everything_by_at_most_its_bound(bound: Bound) -> None:
    assert measure(bound, report=print) == []


def _bound(kind: str) -> Bound:
    return next(one for one in BOUNDS if one.kind == kind)


def test_a_bound_is_exceeded_if_lost_timers_are_repaired_too_late() -> None:
    with mock.patch.object(execution, "TIMER_GRACE", timedelta(minutes=20)):
        assert any("more than" in one for one in measure(_bound("schedule never")))


def test_a_bound_is_exceeded_if_silent_calls_are_asked_about_too_late() -> None:
    with mock.patch.object(execution, "CALL_CHECK", timedelta(hours=1)):
        assert any("more than" in one for one in measure(_bound("callback missing")))


def test_a_bound_is_exceeded_if_an_unknown_attempt_is_given_up_too_late() -> None:
    with mock.patch.object(sweep, "UNKNOWN_DEADLINE", timedelta(minutes=20)):
        assert any("more than" in one for one in measure(_bound("carrier timeout before placing")))


def test_a_bound_is_exceeded_if_a_queue_is_checked_too_late() -> None:
    with (
        mock.patch.object(execution, "QUEUE_CHECK", timedelta(minutes=20)),
        mock.patch.object(lines, "LINES_CHECK", timedelta(hours=1)),
    ):
        assert any("more than" in one for one in measure(_bound("invocation lost")))
