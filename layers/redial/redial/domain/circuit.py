"""The circuit of one carrier and account: whether it is worth dialling at all, while the carrier fails for everybody.

    closed ──failures in a row──► open ──its wait is over──► check ──► one probe ──works──► resuming ──minutes──► closed
                                   ▲                           │ fails     │ fails             │ fails again
                                   └───────────────────────────┴───────────┴───────────────────┘

A check asks the carrier and places nothing. Only where it finds nothing wrong is a call let through as the probe. A
probe without a usable answer may cost that call (see decision 15), so such probes are made at longer and longer
intervals.

Pure: the clock is an argument, and every method returns a new circuit, or the same one where nothing changes. A call
that is refused for its number's sake shows that the carrier works; one that is throttled shows nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redial.domain.outcome import Accepted, DialResult, NotPlaced, Refused, Unknown

FAILURES_TO_OPEN = 5
"""So many failures in a row open the circuit. Each may have cost a call; to open in vain costs a wait of a minute."""
FORGET_AFTER = timedelta(minutes=10)
"""Failures further apart than this belong to no series."""
WAITS = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=5))
"""How long an open circuit lets no call through: at first, after one check or probe has failed, after two … the last
repeats. A schedule fires to the minute, so shorter waits would not be shorter."""
WAITS_AFTER_UNKNOWN = tuple(timedelta(minutes=wait) for wait in (1, 2, 4, 8, 15))
"""The same after a probe without a usable answer, which may have cost a call: in the long run four an hour."""
PROBE_LASTS = timedelta(seconds=75)
"""How long a check and its probe may take; then they count as lost, and others may go. dial runs for a minute at
most."""
RESUMING_FOR = timedelta(minutes=5)
"""How long after a probe that worked dials are let through by the ramp."""
FIRST_RESUMED = 10
"""How many dials the ramp lets through at once."""
RESUMED_GROWTH = 4
"""By how much the number that have been let through may grow each minute: 10, 40, 160, 640, 2,560."""
FAILURES_TO_OPEN_AGAIN = 3
"""So many in a row open a circuit again that is resuming."""
LOOK_EVERY = timedelta(seconds=5)
"""How long a process takes a quiet circuit for quiet. So much later than another process may it notice an outage."""


class CircuitState(StrEnum):
    """How a circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "resuming"


@dataclass(frozen=True)
class Circuit:
    """A circuit as it stands; `version` counts saves.

    `failures` in a row since `failing_since`, the last at `failed_at`, for `reason`. Open: since `opened_at`, no call
    is let through before `next_try_at`, and `probes` checks and probes have failed. Resuming since `resumed_at`:
    `resumed` dials were let through. `newer`: see `Execution`.
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
        """Closed, and nothing speaks against the carrier."""
        return self.opened_at is None and not self.failures

    # ---- before a dial ------------------------------------------------------------------------------------------

    def admit(self, now: datetime) -> "Circuit | None":
        """The circuit with one more dial let through; None: not before `retry_at`.

        The same object where the dial need not be counted; else whoever stores the new one first may dial.
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
            return self._quiet()
        if self.resumed >= FIRST_RESUMED * RESUMED_GROWTH ** (passed / timedelta(minutes=1)):
            return None
        return replace(self, resumed=self.resumed + 1)

    def retry_at(self, now: datetime) -> datetime:
        """When somebody who was not let through may ask again."""
        if self.state is CircuitState.OPEN:
            assert self.next_try_at is not None
            return max(self.next_try_at, now)
        return now + timedelta(minutes=1)

    # ---- after it -----------------------------------------------------------------------------------------------

    def record(self, result: DialResult, probing: bool, now: datetime) -> "Circuit":
        """What the answer to a dial, or to a check, says of the carrier; `probing`: it was an open circuit's."""
        works = carrier_works(result)
        if works is None:
            return self
        waits = WAITS_AFTER_UNKNOWN if isinstance(result, Unknown) else WAITS
        return self._worked(now) if works else self._failed(reason_of(result), probing, waits, now)

    def _worked(self, now: datetime) -> "Circuit":
        match self.state:
            case CircuitState.CLOSED:
                return self._quiet() if self.failures else self
            case CircuitState.OPEN:
                return replace(self, resumed_at=now, resumed=1, failures=0, failing_since=None, next_try_at=None)
        return replace(self, failures=0, failing_since=None) if self.failures else self

    def _failed(self, reason: str, probing: bool, waits: Sequence[timedelta], now: datetime) -> "Circuit":
        if self.state is CircuitState.OPEN:  # others were under way when it was opened: they say nothing new
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

    def _quiet(self) -> "Circuit":
        return Circuit(self.account_id, self.provider, self.version, newer=self.newer)


def carrier_works(result: DialResult) -> bool | None:
    """What one answer says of the carrier as such; None: nothing."""
    match result:
        case Accepted():
            return True
        case Refused():
            return True
        case NotPlaced():
            return False if result.outage else None
    return False


def reason_of(result: DialResult) -> str:
    """Why a dial came to nothing, in the carrier's words or the network's."""
    match result:
        case Accepted():
            return ""
        case Refused(outcome):
            return outcome.reason or str(outcome.status)
    return result.reason
