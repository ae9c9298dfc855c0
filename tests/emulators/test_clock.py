"""The movable clock: due events run in order, each at its time, without deadlocks."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from local.clock import ClockStopped, Timeline

START = datetime(2026, 1, 26, 10, 0, tzinfo=UTC)


@pytest.fixture
def timeline() -> Iterator[Timeline]:
    timeline = Timeline(START, speed=0)
    timeline.start()
    yield timeline
    timeline.stop()


def minute(timeline: Timeline) -> float:
    return (timeline.now() - START).total_seconds() / 60


def test_advance_runs_due_events_in_order_each_at_its_time(timeline: Timeline) -> None:
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, minute(timeline)))

    for name, minutes in (("c", 3), ("a", 1), ("b", 2), ("later", 11)):
        timeline.at(START + timedelta(minutes=minutes), partial(note, name))
    reached = timeline.advance(10)
    assert seen == [("a", 1), ("b", 2), ("c", 3)]
    assert reached == timeline.now() == START + timedelta(minutes=10)
    timeline.advance(1)
    assert seen[-1] == ("later", 11)


def test_events_of_one_time_run_in_the_order_they_were_added(timeline: Timeline) -> None:
    seen: list[int] = []
    for number in range(20):
        timeline.after(60, partial(seen.append, number))
    timeline.advance(1)
    assert seen == list(range(20))


def test_an_event_may_add_events_and_those_due_still_run_in_the_same_advance(timeline: Timeline) -> None:
    seen: list[float] = []

    def again() -> None:
        seen.append(minute(timeline))
        timeline.after(60, again)

    timeline.after(60, again)
    timeline.advance(5)
    assert seen == [1, 2, 3, 4, 5]


def test_settle_runs_due_events_without_moving_the_clock(timeline: Timeline) -> None:
    seen: list[float] = []
    timeline.at(START - timedelta(hours=1), lambda: seen.append(minute(timeline)))
    timeline.settle()
    assert seen == [0]


def test_other_events_run_while_an_event_sleeps(timeline: Timeline) -> None:
    seen: list[tuple[str, float]] = []

    def sleeper() -> None:
        seen.append(("before", minute(timeline)))
        timeline.sleep(120)
        seen.append(("after", minute(timeline)))

    timeline.after(60, sleeper)
    timeline.after(120, lambda: seen.append(("meanwhile", minute(timeline))))
    timeline.after(240, lambda: seen.append(("last", minute(timeline))))
    timeline.advance(10)
    assert seen == [("before", 1), ("meanwhile", 2), ("after", 3), ("last", 4)]


def test_a_thousand_events_may_sleep_at_once(timeline: Timeline) -> None:
    seen: list[int] = []

    def sleeper(number: int) -> None:
        timeline.sleep(600)
        seen.append(number)

    for number in range(300):
        timeline.after(number, partial(sleeper, number))
    timeline.advance(30)
    assert seen == list(range(300))


def test_advance_returns_while_an_event_still_sleeps_beyond_its_goal(timeline: Timeline) -> None:
    seen: list[float] = []

    def sleeper() -> None:
        timeline.sleep(3600)
        seen.append(minute(timeline))

    timeline.after(0, sleeper)
    timeline.advance(30)
    assert seen == []
    timeline.advance(30)
    assert seen == [60]


def test_the_clock_does_not_move_during_a_request(timeline: Timeline) -> None:
    inside, leave = threading.Event(), threading.Event()
    seen: list[float] = []

    def request() -> None:
        with timeline.request():
            seen.append(minute(timeline))
            inside.set()
            leave.wait(5)
            seen.append(minute(timeline))

    thread = threading.Thread(target=request)
    thread.start()
    inside.wait(5)
    timeline.after(60, lambda: None)
    advancing = threading.Thread(target=lambda: timeline.advance(10))
    advancing.start()
    time.sleep(0.05)
    leave.set()
    thread.join(5)
    advancing.join(5)
    assert seen == [0, 0]
    assert minute(timeline) == 10


def test_a_sleeping_request_does_not_stop_the_clock(timeline: Timeline) -> None:
    seen: list[float] = []

    def request() -> None:
        with timeline.request():
            timeline.sleep(300)
            seen.append(minute(timeline))

    thread = threading.Thread(target=request)
    thread.start()
    while not timeline._sleepers:
        time.sleep(0.001)
    timeline.advance(10)
    thread.join(5)
    assert seen == [5]


def test_a_request_made_by_an_event_may_sleep_without_a_deadlock(timeline: Timeline) -> None:
    """An event waits for a server of this process, whose thread sleeps on the same clock."""
    seen: list[tuple[str, float]] = []

    def answer() -> None:
        with timeline.request(from_an_event=True):
            timeline.sleep(60)
            seen.append(("answered", minute(timeline)))

    def event() -> None:
        with timeline.lending():
            server = threading.Thread(target=answer)
            server.start()
            server.join(5)
        seen.append(("event goes on", minute(timeline)))

    timeline.after(0, event)
    timeline.after(30, lambda: seen.append(("meanwhile", minute(timeline))))
    timeline.advance(5)
    assert seen == [("meanwhile", 0.5), ("answered", 1), ("event goes on", 1)]


def test_an_event_that_raises_is_recorded_and_the_others_run(timeline: Timeline) -> None:
    seen: list[str] = []
    timeline.after(1, lambda: 1 / 0, "a fault")
    timeline.after(2, lambda: seen.append("the rest"))
    timeline.advance(1)
    assert seen == ["the rest"]
    assert [(failure.name, type(failure.error)) for failure in timeline.failures] == [("a fault", ZeroDivisionError)]


def test_a_cancelled_event_does_not_run(timeline: Timeline) -> None:
    seen: list[str] = []
    timeline.after(1, lambda: seen.append("cancelled")).cancel()
    timeline.after(1, lambda: seen.append("kept"))
    timeline.advance(1)
    assert seen == ["kept"]


def test_an_event_cannot_advance_its_own_clock(timeline: Timeline) -> None:
    timeline.after(0, partial(timeline.advance, 1))
    timeline.settle()
    assert isinstance(timeline.failures[0].error, RuntimeError)


def test_threads_may_advance_at_once_and_both_moves_count(timeline: Timeline) -> None:
    threads = [threading.Thread(target=lambda: timeline.advance(10)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert minute(timeline) == 80


def test_stopping_wakes_sleeping_threads(timeline: Timeline) -> None:
    ended: list[str] = []

    def request() -> None:
        try:
            timeline.sleep(3600)
        except ClockStopped:
            ended.append("stopped")

    thread = threading.Thread(target=request)
    thread.start()
    while not timeline._sleepers:
        time.sleep(0.001)
    timeline.stop()
    thread.join(5)
    assert ended == ["stopped"]


def test_time_passes_at_the_given_speed() -> None:
    timeline = Timeline(START, speed=600)
    timeline.start()
    happened = threading.Event()
    timeline.after(60, happened.set)
    try:
        assert happened.wait(5)
        assert minute(timeline) >= 1
        timeline.advance(60)
        assert 61 <= minute(timeline) < 120
    finally:
        timeline.stop()


def test_time_cannot_run_backwards(timeline: Timeline) -> None:
    with pytest.raises(ValueError):
        timeline.advance(-1)
    with pytest.raises(ValueError):
        Timeline(START, speed=-1)


def test_at_speed_0_no_event_runs_by_itself(timeline: Timeline) -> None:
    happened = threading.Event()
    timeline.after(0, happened.set)
    assert not happened.wait(0.05)
    timeline.settle()
    assert happened.is_set()


def test_actions_of_one_event_run_together_and_it_goes_on_when_all_have_ended(timeline: Timeline) -> None:
    seen: list[tuple[str, float]] = []

    def act(name: str, minutes: float) -> None:
        seen.append((f"{name} begins", minute(timeline)))
        timeline.sleep(minutes * 60)
        seen.append((f"{name} ends", minute(timeline)))

    def event() -> None:
        timeline.together([partial(act, "a", 3), partial(act, "b", 1)])
        act("c", 1)

    timeline.after(60, event)
    timeline.after(90, lambda: seen.append(("another", minute(timeline))))
    timeline.advance(10)
    begun = [("a begins", 1), ("b begins", 1), ("another", 1.5)]
    assert seen == [*begun, ("b ends", 2), ("a ends", 4), ("c begins", 4), ("c ends", 5)]


def test_outside_of_an_event_actions_run_in_turn(timeline: Timeline) -> None:
    seen: list[int] = []
    timeline.together([partial(seen.append, 1), partial(seen.append, 2)])
    assert seen == [1, 2]


def test_stopping_wakes_an_event_whose_actions_sleep(timeline: Timeline) -> None:
    ended: list[str] = []

    def act() -> None:
        try:
            timeline.sleep(3600)
        except ClockStopped:
            ended.append("action")
            raise

    def event() -> None:
        try:
            timeline.together([act, act])
        except ClockStopped:
            ended.append("event")
            raise

    timeline.after(0, event)
    timeline.advance(1)
    timeline.stop()
    wait = time.monotonic() + 10
    while len(ended) < 3 and time.monotonic() < wait:
        time.sleep(0.01)
    assert sorted(ended) == ["action", "action", "event"]
