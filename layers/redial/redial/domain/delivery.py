"""How the events of one execution reach the customer: strictly in order, each until it is accepted or given up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

LEASE = timedelta(seconds=90)
"""How long one invocation may deliver an execution's events alone. Longer than the deliver function can run (60 s)."""
FIRST_WAIT = timedelta(seconds=5)
"""Wait before the second try; EventBridge Scheduler cannot be that exact, so the same invocation makes it."""
TIMER_GRACE = timedelta(minutes=3)
"""How late a schedule may fire before the sweeper acts for it (EventBridge Scheduler's precision is 1 minute)."""
LATER_WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
"""Waits before the third and later tries, each by a schedule of its own and ± 20 %."""
MOST_TRIES = 2 + len(LATER_WAITS)
GONE = 410
"""The HTTP status by which an endpoint says that it wants no more of this."""


@dataclass(frozen=True)
class DeliveryAttempt:
    """What is known of one event's delivery: its last HTTP status (None: no answer, see `error`), how many tries."""

    sequence: int
    at: datetime
    status: int | None
    tries: int
    error: str | None = None


@dataclass(frozen=True)
class Delivery:
    """How far the events of an execution have got.

    Events are settled (accepted, or given up) strictly in order, so one number says it: `settled`. `replaying` are
    given-up ones that are to be sent again, before all others. `tries` and `next_try_at` belong to the event in front.
    `lease_id` names the one invocation that may send until `lease_until`. `undelivered` are the sequences given up.
    `newer`: see `Execution`.
    """

    settled: int = 0
    replaying: tuple[int, ...] = ()
    tries: int = 0
    next_try_at: datetime | None = None
    lease_id: str | None = None
    lease_until: datetime | None = None
    undelivered: tuple[int, ...] = ()
    log: tuple[DeliveryAttempt, ...] = ()
    newer: Mapping[str, Any] | None = None

    def may_send(self, lease_id: str | None, now: datetime) -> bool:
        """Whether `lease_id` may send the first pending event: no other lease is live, and no back-off runs."""
        if (
            self.lease_id is not None
            and self.lease_id != lease_id
            and self.lease_until is not None
            and self.lease_until > now
        ):
            return False
        return self.next_try_at is None or self.next_try_at <= now

    def leased(self, lease_id: str, now: datetime) -> "Delivery | None":
        """With `lease_id` as the live lease; None where it may not send."""
        return replace(self, lease_id=lease_id, lease_until=now + LEASE) if self.may_send(lease_id, now) else None

    def due(self, since: datetime, now: datetime) -> datetime:
        """When somebody must look, where events are pending and the last of them happened at `since`."""
        if self.next_try_at is not None:
            return max(self.next_try_at, now) + TIMER_GRACE
        return max(self.lease_until or since + LEASE, now) + timedelta(milliseconds=1)

    def release(self) -> "Delivery":
        """Nobody is sending any more."""
        return replace(self, lease_id=None, lease_until=None)

    def accepted(self, tried: DeliveryAttempt) -> "Delivery":
        """The event in front was taken by the endpoint. What is settled already stays so."""
        return self if self._is_settled(tried) else self._settle(tried)

    def skipped(self, sequence: int) -> "Delivery":
        """There is nowhere to send events up to `sequence`: the agent has no webhook."""
        given_up = tuple(sorted({*self.undelivered, *self.replaying}))
        settled = max(self.settled, sequence)
        return replace(self, settled=settled, replaying=(), undelivered=given_up, tries=0, next_try_at=None)

    def failed(self, tried: DeliveryAttempt, retry_after: timedelta, jitter: float) -> "Delivery":
        """The event in front was not taken: wait for its next try, or give it up.

        `retry_after` is what the endpoint asked for (zero: nothing); the wait is never shorter. `jitter` in [0, 1)
        spreads it over ± 20 %.
        """
        if self._is_settled(tried):
            return self
        if tried.status == GONE or tried.tries >= MOST_TRIES:
            given_up = tuple(sorted({*self.undelivered, tried.sequence}))
            return replace(self._settle(tried), undelivered=given_up)
        wait = LATER_WAITS[max(tried.tries - 2, 0)] * (0.8 + 0.4 * jitter)
        next_try_at = tried.at + max(_whole_milliseconds(wait), retry_after)
        return replace(self, tries=tried.tries, next_try_at=next_try_at, log=self._logged(tried)).release()

    def replay(self) -> "Delivery":
        """Put everything that was given up in line again, in its order and before the rest."""
        again = tuple(sorted({*self.replaying, *self.undelivered}))
        return replace(self, replaying=again, undelivered=(), tries=0, next_try_at=None)

    def _is_settled(self, tried: DeliveryAttempt) -> bool:
        """Subject a second time: the same write sent twice, or another invocation under the same lease."""
        return tried.sequence <= self.settled and tried.sequence not in self.replaying

    def _settle(self, tried: DeliveryAttempt) -> "Delivery":
        if tried.sequence in self.replaying:
            again = tuple(sequence for sequence in self.replaying if sequence != tried.sequence)
            settled = replace(self, replaying=again)
        else:
            settled = replace(self, settled=tried.sequence)
        return replace(settled, tries=0, next_try_at=None, log=self._logged(tried))

    def _logged(self, tried: DeliveryAttempt) -> tuple[DeliveryAttempt, ...]:
        return (*(entry for entry in self.log if entry.sequence != tried.sequence), tried)


def pending_events(delivery: Delivery, last_sequence: int) -> tuple[int, ...]:
    """Sequences to be sent, in order: those to be replayed, then those never settled."""
    return (*delivery.replaying, *range(delivery.settled + 1, last_sequence + 1))


def _whole_milliseconds(span: timedelta) -> timedelta:
    return timedelta(milliseconds=span // timedelta(milliseconds=1))
