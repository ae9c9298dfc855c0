"""The circuit breaker of one carrier and account: stops dialling while the carrier fails for every call.

    closed ──failures in a row──► open ──its wait is over──► check ──► one probe ──works──► resuming ──minutes──► closed
                                   ▲                           │ fails     │ fails             │ fails again
                                   └───────────────────────────┴───────────┴───────────────────┘

A check asks the carrier without placing a call. If it passes, one call is admitted as the probe. A probe without a
usable answer may cost that call (decision 15), so the waits after such a probe grow longer.

Pure: the clock is an argument, and every method returns a new circuit, or the same object if nothing changes. A call
refused because of its number counts as success of the carrier; a throttled call says nothing about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redial.domain.outcome import Accepted, DialResult, NotPlaced, Refused, Unknown
from redial.domain.values import dataclass

FAILURES_TO_OPEN = 5
"""Consecutive failures that open the circuit. Each may cost a call; opening in vain costs one minute."""
FORGET_AFTER = timedelta(minutes=10)
"""A failure this long after the previous one starts a new series."""
WAITS = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=5))
"""Waits of an open circuit after 0, 1, 2 … failed checks or probes; the last repeats. Schedules fire to the minute,
so shorter waits would have no effect."""
WAITS_AFTER_UNKNOWN = tuple(timedelta(minutes=wait) for wait in (1, 2, 4, 8, 15))
"""Waits after a probe without a usable answer, which may have cost a call: at most four an hour in the long run."""
PROBE_LASTS = timedelta(seconds=75)
"""Deadline of a check and its probe; then another may be made. Longer than the dial function's timeout (60 s)."""
RESUMING_FOR = timedelta(minutes=5)
"""Length of the ramp after a successful probe."""
FIRST_RESUMED = 10
"""Dials that the ramp admits at once."""
RESUMED_GROWTH = 4
"""Growth per minute of the total that the ramp admits: 10, 40, 160, 640, 2,560."""
FAILURES_TO_OPEN_AGAIN = 3
"""Consecutive failures that reopen a resuming circuit."""
HEALTHY_TTL = timedelta(seconds=5)
"""How long a process caches a healthy circuit, so the delay with which it notices an outage found by another."""


class CircuitState(StrEnum):
    """State of a circuit. `resuming` admits a growing number of calls after a successful probe."""

    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "resuming"


@dataclass(frozen=True)
class Circuit:
    """A circuit's state; `version` counts saves.

    `failures`: consecutive ones since `failing_since`, the last at `failed_at` for `reason`.
    Open since `opened_at`: nothing is admitted before `next_try_at`; `probes` checks and probes have failed.
    Ramping since `resumed_at`: `resumed` dials were admitted. `newer`: see `Execution`.
    """

    account_id: str
    provider: str
    version: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    reason: str | None = None
    opened_at: datetime | None = None
    probes: int = 0
    next_try_at: datetime | None = None
    resumed_at: datetime | None = None
    resumed: int = 0
    newer: Mapping[str, Any] | None = None

    @property
    def state(self) -> CircuitState:
        if self.opened_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self.resumed_at is None else CircuitState.RAMPING

    @property
    def is_healthy(self) -> bool:
        """Closed, without recent failures."""
        return self.opened_at is None and not self.failures

    # ---- before a dial ------------------------------------------------------------------------------------------

    def admit(self, now: datetime) -> "Circuit | None":
        """Admit one dial. None if rejected: retry at `retry_at`.

        Returns `self` if closed; otherwise save the result, and only the winner of that save may dial.
        """
        match self.state:
            case CircuitState.CLOSED:
                return self
            case CircuitState.OPEN:
                assert self.next_try_at is not None
                return None if now < self.next_try_at else replace(self, next_try_at=now + PROBE_LASTS)
        assert self.resumed_at is not None
        passed = now - self.resumed_at
        if passed >= RESUMING_FOR:
            return self._closed()
        if self.resumed >= FIRST_RESUMED * RESUMED_GROWTH ** (passed / timedelta(minutes=1)):
            return None
        return replace(self, resumed=self.resumed + 1)

    def retry_at(self, now: datetime) -> datetime:
        """When a rejected dial may try again."""
        if self.state is CircuitState.OPEN:
            assert self.next_try_at is not None
            return max(self.next_try_at, now)
        return now + timedelta(minutes=1)

    # ---- after a dial -------------------------------------------------------------------------------------------

    def record(self, result: DialResult, probing: bool, now: datetime) -> "Circuit":
        """Record the answer to a dial or a check. `probing`: an open circuit had admitted it."""
        works = carrier_works(result)
        if works is None:
            return self
        waits = WAITS_AFTER_UNKNOWN if isinstance(result, Unknown) else WAITS
        return self._worked(now) if works else self._failed(reason_of(result), probing, waits, now)

    def _worked(self, now: datetime) -> "Circuit":
        match self.state:
            case CircuitState.CLOSED:
                return self._closed() if self.failures else self
            case CircuitState.OPEN:
                return replace(self, resumed_at=now, resumed=1, failures=0, failing_since=None, next_try_at=None)
        return replace(self, failures=0, failing_since=None) if self.failures else self

    def _failed(self, reason: str, probing: bool, waits: Sequence[timedelta], now: datetime) -> "Circuit":
        if self.state is CircuitState.OPEN:  # other dials were in flight when it opened: nothing new
            return self._opened(now, self.probes + 1, reason, waits) if probing else self
        forgotten = self.failed_at is None or now - self.failed_at > FORGET_AFTER
        failures = 1 if forgotten else self.failures + 1
        since = now if forgotten or self.failing_since is None else self.failing_since
        failing = replace(self, failures=failures, failing_since=since, failed_at=now, reason=reason)
        if self.state is CircuitState.RAMPING:
            again = failures >= FAILURES_TO_OPEN_AGAIN
            return failing._opened(now, self.probes + 1, reason, waits) if again else failing
        return failing._opened(now, 0, reason, waits) if failures >= FAILURES_TO_OPEN else failing

    def _opened(self, now: datetime, probes: int, reason: str, waits: Sequence[timedelta]) -> "Circuit":
        return replace(
            self,
            failed_at=now,
            reason=reason,
            opened_at=self.opened_at or now,
            probes=probes,
            next_try_at=now + waits[min(probes, len(waits) - 1)],
            resumed_at=None,
            resumed=0,
        )

    def _closed(self) -> "Circuit":
        return Circuit(self.account_id, self.provider, self.version, newer=self.newer)


def carrier_works(result: DialResult) -> bool | None:
    """Whether an answer shows the carrier working (True) or failing (False); None if it shows neither."""
    match result:
        case Accepted():
            return True
        case Refused():
            return True
        case NotPlaced():
            return False if result.outage else None
    return False


def reason_of(result: DialResult) -> str:
    """Why a dial failed, in the carrier's or the network's words. Empty if it was accepted."""
    match result:
        case Accepted():
            return ""
        case Refused(outcome):
            return outcome.reason or str(outcome.status)
    return result.reason
