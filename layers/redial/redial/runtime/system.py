"""The sources of nondeterminism: clock, sleep, new ids, random numbers and threads.

Nothing else in Redial reads a clock, draws a random number or starts threads; handlers pass these values on as
arguments. `use` replaces any of them: the local stack gets a movable clock, and tests become repeatable.
"""

import random as _random
import time as _time
import uuid as _uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

KEY_PREFIX = "rdl_"
_KEY_BYTES = 32


class Each(Protocol):
    """A replacement for `each`."""

    def __call__(self, work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]: ...


def in_threads(work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    """Implements `each` with threads of this process."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, items))


_now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731  a replaceable default, named by `use`
_sleep: Callable[[float], None] = _time.sleep
_new_id: Callable[[], str] = lambda: str(_uuid.uuid4())  # noqa: E731
_random_unit: Callable[[], float] = _random.random
_machine_time: Callable[[datetime], datetime] = lambda instant: instant  # noqa: E731

_each: Each = in_threads


def now() -> datetime:
    """The current time in aware UTC, truncated to whole milliseconds, like stored and sent times."""
    instant = _now()
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def sleep(seconds: float) -> None:
    """Sleep for `seconds`."""
    _sleep(seconds)


def new_id() -> str:
    """A new UUID, 36 characters, lower case."""
    return _new_id()


def new_api_key() -> str:
    """A new API key: a prefix that identifies leaked keys, and 256 random bits from the operating system, even if
    `random` is replaced."""
    import secrets  # dial does not need it

    return f"{KEY_PREFIX}{secrets.token_urlsafe(_KEY_BYTES)}"


def random() -> float:
    """A number in [0, 1), for jitter."""
    return _random_unit()


def machine_time(instant: datetime) -> datetime:
    """The machine's time at a time of `now`: `instant` itself, unless a simulated clock replaces `now`.

    Used for signatures, because receivers compare their timestamp with their own clock.
    """
    return _machine_time(instant)


def each(work: Callable[[T], R], items: Sequence[T], workers: int) -> list[R]:
    """The results of `work` for each item, in order, with up to `workers` of them at once.

    Returns when all have ended. Raises the error of the first item that failed; items not started by then are skipped.
    """
    return _each(work, items, workers) if len(items) > 1 else [work(item) for item in items]


def use(
    *,
    now: Callable[[], datetime] | None = None,
    sleep: Callable[[float], None] | None = None,
    new_id: Callable[[], str] | None = None,
    random: Callable[[], float] | None = None,
    machine_time: Callable[[datetime], datetime] | None = None,
    each: Each | None = None,
) -> None:
    """Replace the given sources of this process; others are unchanged."""
    global _now, _sleep, _new_id, _random_unit, _machine_time, _each
    _now = now or _now
    _sleep = sleep or _sleep
    _new_id = new_id or _new_id
    _random_unit = random or _random_unit
    _machine_time = machine_time or _machine_time
    _each = each or _each
