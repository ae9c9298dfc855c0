"""Estimates when a batch will finish, by a simulation of its calls in large steps, many at a time. Pure.

Lines, rate limit, windows and retries are those that dial applies. The outcome of the calls is assumed, see `Assumed`.
"""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from redial.domain.calling_window import CallingRule, Placement, closes, next_open
from redial.domain.values import dataclass

_STEPS = 2000
"""The number of steps into which the total time of all calls, without pauses, is divided."""
_SHORTEST_STEP, _LONGEST_STEP = timedelta(seconds=5), timedelta(minutes=15)
LONGEST = timedelta(days=400)
"""How far ahead an end is estimated."""


class Contacts(NamedTuple):
    """A number of contacts with the same time zones."""

    number: int
    zones: tuple[str, ...]


@dataclass(frozen=True)
class Assumed:
    """The assumptions of an estimate. `hold`: how long a call holds its line on average. `attempts`: how many calls
    each contact takes. `lines`, `per_second`: the batch's share of the agent's lines and of the rate (None: no rate
    limit). `intervals`: the waits between the end of an attempt and the next. `delay`: how late the end of each wait
    may be. `waits_for_rate`: a contact whose calling hours are closed at its turn uses up a start of the batch's rate
    limit. `slow_placement`: calls are placed as late as spread, rotation and the attempts per window allow."""

    hold: timedelta
    attempts: int
    lines: int
    per_second: float | None = None
    intervals: Sequence[timedelta] = ()
    delay: timedelta = timedelta(0)
    waits_for_rate: bool = False
    slow_placement: bool = False

    @property
    def starts_per_second(self) -> float:
        """The sustained number of calls started per second."""
        by_lines = self.lines / self.hold.total_seconds()
        return by_lines if self.per_second is None else min(by_lines, self.per_second)


def finish(
    start: datetime, contacts: Sequence[Contacts], rule: CallingRule | None, assumed: Assumed
) -> datetime | None:
    """When the last call has ended (`start` if there are no contacts). None: not within `LONGEST`. The caller leaves
    out contacts whose calling hours never open."""
    run = _Run(start, contacts, rule, assumed)
    return run.play()


class _Run:
    """A simulation: groups of waiting calls, by the time from which they may be dialled."""

    def __init__(
        self, start: datetime, contacts: Sequence[Contacts], rule: CallingRule | None, assumed: Assumed
    ) -> None:
        self._rule, self._assumed, self._contacts = rule, assumed, contacts
        self._start = self._end = start
        self._counts: dict[tuple[datetime, int, int], float] = {}
        """Calls by (time, retries left, position in `contacts`)."""
        self._heap: list[tuple[datetime, int, int]] = []
        self._is_late = False

    def play(self) -> datetime | None:
        now = self._start + self._time_of_deferrals()
        for position, one in enumerate(self._contacts):
            if one.number:
                self._wait(now, self._assumed.attempts - 1, position, one.number)
        rate = self._assumed.starts_per_second
        calls = sum(one.number for one in self._contacts) * self._assumed.attempts
        step = min(max(timedelta(seconds=calls / rate / _STEPS), _SHORTEST_STEP), _LONGEST_STEP)
        while self._heap and not self._is_late:
            now = max(now, self._heap[0][0])
            now = self._step(now, step, rate)
        return None if self._is_late else self._end

    def _time_of_deferrals(self) -> timedelta:
        rate, rule = self._assumed.per_second, self._rule
        if not self._assumed.waits_for_rate or rate is None or rule is None:
            return timedelta(0)
        closed = sum(one.number for one in self._contacts if next_open(self._start, rule, one.zones) != self._start)
        return timedelta(seconds=closed / rate)

    def _step(self, now: datetime, step: timedelta, rate: float) -> datetime:
        """Start the calls that may start from `now` on, for at most one step. Returns the time after it."""
        room, until = rate * step.total_seconds(), now + step
        while self._heap and self._heap[0][0] <= now and room > 0:
            key = heapq.heappop(self._heap)
            count, (_, left, position) = self._counts.pop(key), key
            zones = self._contacts[position].zones
            if self._rule is not None:
                if next_open(now, self._rule, zones) != now:  # the windows closed before all were called
                    self._wait(now, left, position, count)
                    continue
                closing = closes(now, self._rule, zones)
                if closing < until:  # end the step there
                    room = max(0.0, room - rate * (until - closing).total_seconds())
                    until = closing
            started = min(count, room) if room else 0.0
            if count > started:
                self._add(key, count - started)
            if not started:
                break
            room -= started
            at = now if self._assumed.attempts == 1 else until
            ended = at + self._assumed.hold
            self._end = max(self._end, ended)
            if left:
                interval = self._assumed.intervals[self._assumed.attempts - 1 - left]
                self._wait(ended + interval + self._assumed.delay, left - 1, position, started)
        return until

    def _wait(self, due: datetime, left: int, position: int, count: float) -> None:
        """Have the calls dialled at `due`, or when their windows open."""
        rule, at = self._rule, due
        if rule is not None:
            zones, slow = self._contacts[position].zones, self._assumed.slow_placement
            made = self._assumed.attempts - 1 - left
            if slow and made and rule.placement is Placement.ROTATE:
                due += timedelta(hours=made)
            if slow and made and rule.per_window and made % rule.per_window == 0:
                due = closes(due, rule, zones) if next_open(due, rule, zones) == due else due
            opening = next_open(due, rule, zones)
            assert opening is not None, "the caller leaves those out"
            at = opening
            if slow and opening > due:
                at += timedelta(minutes=rule.spread_minutes) + self._assumed.delay
                at = next_open(at, rule, zones) or at
        if at > self._start + LONGEST:
            self._is_late = True
        self._add((at, left, position), count)

    def _add(self, key: tuple[datetime, int, int], count: float) -> None:
        if key not in self._counts:
            heapq.heappush(self._heap, key)
        self._counts[key] = self._counts.get(key, 0.0) + count
