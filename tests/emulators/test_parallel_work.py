"""Parallel work within one invocation of an emulated function."""

from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock

import pytest

from local.aws.functions import Function, Invocation, Invoker
from local.clock import Timeline

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)
FUNCTION = Function("Some", "some", "some.module", timeout_seconds=10, retries=0)


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    timeline = Timeline(START, speed=0)
    timeline.start()
    yield timeline
    timeline.stop()


def run(timeline: Timeline, seconds: list[float], workers: int = 2) -> tuple[Invoker, list[object]]:
    """Run an invocation that sleeps `seconds` for each item; return the invoker and what was seen: each worker's
    invocation and time, then the results."""
    seen: list[object] = []

    def sleep(item: float) -> float:
        invoker.sleep(item)
        running = invoker.current()
        seen.append((None if running is None else running.event, (timeline.now() - START).total_seconds()))
        return item * 10

    def handler(event: object, context: object) -> None:
        seen.append(invoker.each(sleep, seconds, workers))

    invoker = Invoker(timeline, [FUNCTION], lambda function: handler)
    invoker.invoke_later("some", {"n": 1})
    timeline.advance(1)
    return invoker, seen


def test_items_are_worked_on_together_by_one_invocation(timeline: Timeline) -> None:
    event = {"n": 1}
    _, seen = run(timeline, [3.0, 1.0, 1.0, 2.0])
    assert seen == [(event, 1.0), (event, 2.0), (event, 3.0), (event, 4.0), [30.0, 10.0, 10.0, 20.0]]


def test_a_worker_that_outlives_the_timeout_ends_its_invocation(timeline: Timeline) -> None:
    invoker, seen = run(timeline, [3.0, 11.0, 1.0])
    assert [failure.payload["errorMessage"] for _, failure in invoker.failures] == [
        "Task timed out after 10.00 seconds"
    ]
    assert seen == [({"n": 1}, 3.0), ({"n": 1}, 4.0)], "no results follow"


def test_an_error_ends_the_invocation_when_the_other_workers_have_ended(timeline: Timeline) -> None:
    ended: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        invoker.sleep(5)
        ended.append(item)

    def handler(event: object, context: object) -> None:
        invoker.each(work, [0, 1, 2], 2)

    complain = mock.Mock()
    invoker = Invoker(timeline, [FUNCTION], lambda function: handler, complain=complain)
    invoker.invoke_later("some", {})
    timeline.advance(1)
    ((invocation, failure), _) = complain.call_args
    assert isinstance(invocation, Invocation)
    assert (failure.payload["errorMessage"], ended) == ("one", [0])
