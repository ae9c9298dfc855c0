"""Delivery of one execution's events by webhook: strictly in order, each retried until accepted or given up."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from redial.domain.values import dataclass

LEASE = timedelta(seconds=90)
"""One invocation's exclusive lease on an execution's deliveries. Longer than the deliver function's timeout (60 s)."""
FIRST_WAIT = timedelta(seconds=5)
"""Wait before the second try."""
TIMER_GRACE = timedelta(minutes=3)
"""How late a timer may fire before the sweeper does its work (EventBridge Scheduler's precision is 1 minute)."""
LATER_WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
"""Waits before the third and later tries, ± 20 %."""
MOST_TRIES = 2 + len(LATER_WAITS)
GONE = 410
"""HTTP 410: the endpoint wants no more events; the event is given up at once."""


@dataclass(frozen=True)
class DeliveryAttempt:
    """The last try to deliver one event: its HTTP status (None: no answer, see `error`), and the number of tries so
    far."""

    sequence: int
    at: datetime
    status: int | None
    tries: int
    error: str | None = None


@dataclass(frozen=True)
class Delivery:
    """Delivery progress of an execution's events.

    `settled`: all events up to this sequence were accepted or given up; a prefix, since delivery is in order.
    `replaying`: given-up events to send again, before all others. `undelivered`: given-up events.
    `tries`, `next_try_at`: of the first pending event.
    `lease_id`: the one invocation that may send, until `lease_until`.
    `log`: the last try of each event. `newer`: see `Execution`.
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
        """Whether `lease_id` may send the first pending event: no other lease is valid, and no back-off is running."""
        if (
            self.lease_id is not None
            and self.lease_id != lease_id
            and self.lease_until is not None
            and self.lease_until > now
        ):
            return False
        return self.next_try_at is None or self.next_try_at <= now

    def leased(self, lease_id: str, now: datetime) -> "Delivery | None":
        """Leased to `lease_id` for `LEASE`; None unless `may_send`."""
        return replace(self, lease_id=lease_id, lease_until=now + LEASE) if self.may_send(lease_id, now) else None

    def due(self, since: datetime, now: datetime) -> datetime:
        """When the sweeper must check pending events, the last of which happened at `since`."""
        if self.next_try_at is not None:
            return max(self.next_try_at, now) + TIMER_GRACE
        return max(self.lease_until or since + LEASE, now) + timedelta(milliseconds=1)

    def release(self) -> "Delivery":
        """Release the lease."""
        return replace(self, lease_id=None, lease_until=None)

    def accepted(self, tried: DeliveryAttempt) -> "Delivery":
        """The endpoint accepted the first pending event. Idempotent: an event already settled stays settled."""
        return self if self._is_settled(tried) else self._settle(tried)

    def skipped(self, sequence: int) -> "Delivery":
        """Settle events up to `sequence` without sending them: no webhook is configured."""
        given_up = tuple(sorted({*self.undelivered, *self.replaying}))
        settled = max(self.settled, sequence)
        return replace(self, settled=settled, replaying=(), undelivered=given_up, tries=0, next_try_at=None)

    def failed(self, tried: DeliveryAttempt, retry_after: timedelta, jitter: float) -> "Delivery":
        """The first pending event was not accepted: schedule its next try, or give it up.

        The wait is never shorter than `retry_after`, as the endpoint asked for (zero: it did not). `jitter` in [0, 1)
        spreads it over ± 20 %.
        """
        if self._is_settled(tried):
            return self
        if tried.status == GONE or tried.tries >= MOST_TRIES:
            given_up = tuple(sorted({*self.undelivered, tried.sequence}))
            return replace(self._settle(tried), undelivered=given_up)
        wait = FIRST_WAIT if tried.tries == 1 else LATER_WAITS[tried.tries - 2] * (0.8 + 0.4 * jitter)
        next_try_at = tried.at + max(_whole_milliseconds(wait), retry_after)
        return replace(self, tries=tried.tries, next_try_at=next_try_at, log=self._logged(tried)).release()

    @property
    def is_listed(self) -> bool:
        """Whether the account's list of undelivered events includes it: an event was given up, or waits for its next
        try."""
        return bool(self.undelivered) or self.next_try_at is not None

    def replay(self) -> "Delivery":
        """Re-queue all undelivered events, oldest first, ahead of new ones, and end a back-off: all are sent now."""
        again = tuple(sorted({*self.replaying, *self.undelivered}))
        return replace(self, replaying=again, undelivered=(), tries=0, next_try_at=None)

    def _is_settled(self, tried: DeliveryAttempt) -> bool:
        """Whether the try is already recorded: the write was sent twice, or another invocation has the same lease."""
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
    """Sequences to send, in order: those being replayed, then those not settled yet."""
    return (*delivery.replaying, *range(delivery.settled + 1, last_sequence + 1))


def _whole_milliseconds(span: timedelta) -> timedelta:
    return timedelta(milliseconds=span // timedelta(milliseconds=1))
