"""The simulated clock and its events, which run one at a time.

`Timeline` holds events, each due at a time. Exactly one thread at a time, the *runner*, takes the next due event and
runs it. A function that sleeps inside an event makes another thread the runner, and becomes the runner again when it
wakes. So other events run meanwhile, in order, without recursion.

Time passes in one of two ways:

- at `speed` × the wall clock. At speed 0 no event runs by itself, not even a due one, so that a thread that sends
  requests and advances the clock in turn sees the same result in each run;
- by `advance`, which jumps from event to event and returns when it has reached its goal and no event is due.

Requests from outside run in their own threads, in parallel with the runner. While a request is inside `request()`,
`advance` does not move the clock: time does not jump during a request. This cannot deadlock: a request never waits for
the runner, and a sleeping request does not count.
"""

import heapq
import itertools
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

LONGEST_NAP_SECONDS = 3600.0
"""The runner's longest wait, below the limit of the operating system."""


class ClockStopped(BaseException):
    """The timeline stopped while this thread slept. Not an `Exception`: no handler may catch it."""


@dataclass
class Event:
    """An action to run at `due`; `name` is for messages. A cancelled event is dropped when it is due."""

    due: datetime
    name: str
    action: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(frozen=True)
class EventFailure:
    """An event whose action raised: an error of the emulation (errors of functions are caught earlier)."""

    at: datetime
    name: str
    error: Exception


@dataclass(eq=False)
class _Sleeper:
    """A thread asleep in simulated time. `runner`: the thread that becomes the runner when it wakes; `request`: it
    handles a request from outside."""

    runner: threading.Thread | None
    request: bool
    woken: threading.Event = field(default_factory=threading.Event)


class Timeline:
    """A movable clock and its events. `start` is aware UTC. Thread-safe."""

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError("speed must be 0 or more")
        self.speed = speed
        self.failures: list[EventFailure] = []
        lock = threading.Lock()
        self._changed = threading.Condition(lock)  # the runner waits for it
        self._handed_back = threading.Condition(lock)  # threads that wait for the runner wait for it
        self._instant = start
        self._instant_read_at = time.monotonic()
        self._goal: datetime | None = None
        self._events: list[tuple[datetime, int, Event | _Sleeper]] = []
        self._numbers = itertools.count()
        self._sleepers: set[_Sleeper] = set()
        self._requests = 0
        self._lenders: set[threading.Thread] = set()
        self._runner: threading.Thread | None = None
        self._stopped = False
        self._one_advance = threading.Lock()
        self._thread = threading.local()

    def start(self) -> None:
        """Start running events."""
        with self._changed:
            self._instant_read_at = time.monotonic()
            self._new_runner()

    def stop(self) -> None:
        """Run no more events, and raise `ClockStopped` in every sleeping thread."""
        with self._changed:
            self._stopped = True
            for sleeper in self._sleepers:
                sleeper.woken.set()
            self._changed.notify_all()
            self._handed_back.notify_all()
            runner = self._runner
        if runner is not None and runner is not threading.current_thread():
            runner.join(timeout=10)

    def now(self) -> datetime:
        """The simulated time, aware UTC."""
        with self._changed:
            return self._now()

    def at(self, due: datetime, action: Callable[[], object], name: str = "") -> Event:
        """Run `action` at `due` (at once if that is past), after earlier events for the same time."""
        event = Event(due, name, action)
        with self._changed:
            self._push(due, event)
        return event

    def after(self, seconds: float, action: Callable[[], object], name: str = "") -> Event:
        """Run `action` after `seconds`."""
        with self._changed:
            event = Event(self._now() + timedelta(seconds=seconds), name, action)
            self._push(event.due, event)
        return event

    def pending(self) -> list[Event]:
        """The events to come, soonest first."""
        with self._changed:
            entries = sorted(self._events, key=lambda entry: entry[:2])
        return [entry for _, _, entry in entries if isinstance(entry, Event) and not entry.cancelled]

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of simulated time. Raises `ClockStopped` if the timeline stops first."""
        if seconds <= 0:
            return
        with self._changed:
            if self._stopped:
                raise ClockStopped
            request: bool = getattr(self._thread, "request", False)
            borrowing: bool = getattr(self._thread, "borrowing", False) and self._runner in self._lenders
            runs = borrowing or threading.current_thread() is self._runner
            until = self._now() + timedelta(seconds=seconds)
            if runs and self._leaps_to(until, request):
                return
            sleeper = _Sleeper(self._runner if runs else None, request)
            self._sleepers.add(sleeper)
            self._push(until, sleeper)
            if request:
                self._requests -= 1
            if runs:
                self._new_runner()
            self._changed.notify_all()
        self._wait(sleeper)

    def together(self, actions: Sequence[Callable[[], object]]) -> None:
        """Run all actions, and return when they have ended. Inside an event, they become events that are due now, so
        that one runs while another sleeps. Elsewhere, they run in turn. They may raise only `ClockStopped`."""
        me, left = threading.current_thread(), len(actions)
        if me is not self._runner or left < 2:
            for action in actions:
                action()
            return
        sleeper = _Sleeper(me, request=False)

        def run(action: Callable[[], object]) -> None:
            nonlocal left
            action()
            with self._changed:
                left -= 1
                if not left:
                    self._push(self._now(), sleeper)

        with self._changed:
            if self._stopped:
                raise ClockStopped
            self._sleepers.add(sleeper)
            for action in actions:
                self._push(self._now(), Event(self._now(), "together", partial(run, action)))
            self._new_runner()
            self._changed.notify_all()
        self._wait(sleeper)

    def _wait(self, sleeper: _Sleeper) -> None:
        sleeper.woken.wait()
        with self._changed:
            self._sleepers.discard(sleeper)
            if self._stopped:
                raise ClockStopped

    def _leaps_to(self, until: datetime, request: bool) -> bool:
        """Move the clock to `until` if `advance` goes further and no earlier event is due; otherwise return False."""
        if self._goal is None or until > self._goal or self._requests > request:
            return False
        if self._events and self._events[0][0] <= until:
            return False
        self._instant = until
        return True

    def advance(self, minutes: float) -> datetime:
        """Move the clock by `minutes`, and run all events that become due, in order, each at its time.

        Returns the new time once no event is due. Raises `RuntimeError` inside an event, which would wait for itself.
        """
        if minutes < 0:
            raise ValueError("the clock moves forward only")
        if threading.current_thread() is self._runner:
            raise RuntimeError("an event cannot advance its own clock")
        with self._one_advance, self._changed:
            self._instant = self._now()
            goal = self._instant + timedelta(minutes=minutes)
            self._goal = goal
            self._changed.notify_all()
            self._handed_back.wait_for(lambda: self._goal is None or self._stopped)
            if self._stopped:
                raise ClockStopped
            return goal

    def pass_over(self, seconds: float) -> None:
        """Move the clock at speed 0 without running events: due ones run at the next `advance`."""
        if self.speed:
            raise RuntimeError("the clock moves by itself")
        with self._changed:
            self._instant += timedelta(seconds=seconds)

    def settle(self) -> None:
        """Run all due events without moving the clock."""
        self.advance(0)

    @contextmanager
    def request(self, *, from_an_event: bool = False) -> Iterator[None]:
        """Keep `advance` from moving the clock while this thread handles a request from outside.

        `from_an_event`: an event may have sent the request, inside `lending()`. A sleep then counts as the event's.
        """
        with self._changed:
            self._requests += 1
        self._thread.request, self._thread.borrowing = True, from_an_event
        try:
            yield
        finally:
            self._thread.request = self._thread.borrowing = False
            with self._changed:
                self._requests -= 1
                self._changed.notify_all()

    @contextmanager
    def lending(self) -> Iterator[None]:
        """Wrap an event's request to a server of this process: the server's thread may sleep for the event."""
        me = threading.current_thread()
        with self._changed:
            lends = me is self._runner
            if lends:
                self._lenders.add(me)
        try:
            yield
        finally:
            if lends:
                with self._changed:
                    self._handed_back.wait_for(lambda: self._runner is me or self._stopped)
                    self._lenders.discard(me)

    def _now(self) -> datetime:
        if self._goal is not None or self.speed == 0:
            return self._instant
        return self._instant + timedelta(seconds=(time.monotonic() - self._instant_read_at) * self.speed)

    def _push(self, due: datetime, entry: Event | _Sleeper) -> None:
        heapq.heappush(self._events, (due, next(self._numbers), entry))
        self._changed.notify_all()

    def _new_runner(self) -> None:
        self._runner = threading.Thread(target=self._run, name="timeline", daemon=True)
        self._runner.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                event = self._take()
            if event is None:
                return
            try:
                event.action()
            except ClockStopped:
                return
            except Exception as error:  # noqa: BLE001  an event's error must not stop the others
                self.failures.append(EventFailure(self.now(), event.name, error))
                traceback.print_exception(error)

    def _take(self) -> Event | None:
        """Wait for the next due event. None if another thread is the runner now, or the timeline has stopped."""
        while not self._stopped:
            entry = self._pop_due()
            if isinstance(entry, Event):
                return entry
            if entry is None:
                self._changed.wait(self._nap_seconds())
                continue
            if entry.request:
                self._requests += 1
            entry.woken.set()
            if entry.runner is not None:
                self._runner = entry.runner
                self._handed_back.notify_all()
                return None
        return None

    def _pop_due(self) -> Event | _Sleeper | None:
        """Remove and return the next due entry. Moves the clock during `advance`."""
        while self._events and isinstance(first := self._events[0][2], Event) and first.cancelled:
            heapq.heappop(self._events)
        due = self._events[0][0] if self._events else None
        now = self._now()
        if self._goal is None and self.speed == 0:
            return None
        if due is not None and due <= now:
            return heapq.heappop(self._events)[2]
        if self._goal is None or self._requests:
            return None
        if due is not None and due <= self._goal:
            self._instant = due
            return heapq.heappop(self._events)[2]
        self._instant, self._instant_read_at, self._goal = self._goal, time.monotonic(), None
        self._handed_back.notify_all()
        return None

    def _nap_seconds(self) -> float | None:
        """Seconds of the wall clock until the next event is due. None if unknown."""
        if self._goal is not None or self.speed == 0 or not self._events:
            return None
        seconds = (self._events[0][0] - self._now()).total_seconds() / self.speed
        return min(max(seconds, 0.0), LONGEST_NAP_SECONDS)
