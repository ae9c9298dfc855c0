"""The circuit breaker: stops dialling while a carrier refuses every call within a scope, and detects recovery.

A scope is a whole carrier account, the calls from one caller id, the calls to one country, or the calls of one agent.
The last concerns not a carrier but the agent's scrub or pre-dial hook, when it does not answer. An open circuit whose
cause a person must fix is an attention item (decision 30).

    closed ──failures in a row──► open ──its wait is over──► check ──► one probe ──works──► resuming ──minutes──► closed
                                   ▲                           │ fails     │ fails             │ fails again
                                   └───────────────────────────┴───────────┴───────────────────┘

A check asks the carrier without placing a call. If it passes, one call is admitted as the probe. A probe without a
usable answer may cost that call (decision 15), so the waits after such a probe grow longer. No check can tell whether a
caller id or a country works. There the probe is a waiting call itself, which rings only if the fault is fixed.

How many failures open a circuit depends on what they prove. An outage: five in a row. A refusal that names its cause:
one, if it proves that all calls within the scope are refused; five in a row of different numbers, if it may concern the
called number alone.

Pure: the clock is an argument, and every method returns a new circuit, or the same object if nothing changes. A call
refused because of its number counts as a success of the carrier account; a throttled call counts as neither.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zlib import crc32

from redial.domain.outcome import Accepted, DialResult, Fault, NotPlaced, Refused, Scope, Unknown
from redial.domain.values import dataclass

FAILURES_TO_OPEN = 5
"""Consecutive failures that open the circuit. Each may cost a call; opening in vain costs one minute."""
FORGET_AFTER = timedelta(minutes=10)
"""A failure this long after the previous one starts a new series."""
WAITS = (timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4), timedelta(minutes=5))
"""Waits of an open circuit after 0, 1, 2 … failed checks or probes; the last repeats. Schedules fire to the minute,
so shorter waits would have no effect."""
WAITS_AFTER_UNKNOWN = tuple(timedelta(minutes=wait) for wait in (1, 2, 4, 8, 15))
"""Waits after a probe without a usable answer, which may have cost a call: at most four an hour in the long run. Also
between probes of a caller id or a country: a person needs minutes to fix it, and each waiting call asks again."""
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
"""How long a process caches a carrier's circuits while the account's is healthy. This is also the maximum delay with
which it notices an outage that another process found. A stale circuit of a caller id or a country costs at most one
refused request."""
NOTICED_FOR = timedelta(hours=1)
"""How long a refusal that opened no circuit is shown as an attention item. Refused calls try again every 15 minutes."""


_IDS = uuid.UUID("5d5f1ad0-8c2a-4b0a-9f3e-1f0d6f2f9f10")


class CircuitState(StrEnum):
    """State of a circuit. `resuming` admits a growing number of calls after a successful probe."""

    CLOSED = "closed"
    OPEN = "open"
    RAMPING = "resuming"


@dataclass(frozen=True)
class Circuit:
    """A circuit's state; `version` counts saves. `provider`: the carrier, or the gate of an agent's endpoint.

    `scope`, `value`: the calls that it concerns; `value` is the caller id (E.164) or the country (ISO 3166, or a
    calling code). `failures`: consecutive failures since `failing_since` (for a caller id or a country: no call was
    placed since then), the last at `failed_at` for `reason`, with the carrier's `code` if a person must fix it.
    `refused`: marks of the different numbers refused since.
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
    scope: Scope = Scope.ACCOUNT
    value: str = ""
    code: str | None = None
    refused: tuple[str, ...] = ()

    @property
    def is_of_account(self) -> bool:
        """Whether it concerns all calls of the carrier account."""
        return self.scope is Scope.ACCOUNT

    @property
    def key(self) -> str:
        """Its unique name within the account: `<provider>`, `<provider>#caller_id#+14155550100` or
        `<provider>#country#GB`."""
        return self.provider if self.is_of_account else f"{self.provider}#{self.scope}#{self.value}"

    @property
    def attention_id(self) -> uuid.UUID:
        """The id of the attention item. The same fault of the same account always has the same id."""
        return uuid.uuid5(_IDS, f"{self.account_id}/{self.key}")

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

    @property
    def needs_person(self) -> bool:
        """Whether a person must fix its cause, according to the carrier."""
        return self.code is not None

    def needs_attention(self, now: datetime) -> bool:
        """Whether a person should check it: calls wait for it, or were recently refused for a cause that a person must
        fix."""
        match self.state:
            case CircuitState.OPEN:
                return True
            case CircuitState.RAMPING:
                assert self.resumed_at is not None
                return now < self.resumed_at + RESUMING_FOR
        return self.needs_person and self.failed_at is not None and now < self.failed_at + NOTICED_FOR

    def resolved(self, now: datetime) -> "Circuit":
        """The circuit after a person has fixed the fault. The account's circuit is probed at once. The others resume:
        if the fault persists, the dials that they admit are refused, which costs no call and opens them again."""
        match self.state:
            case CircuitState.CLOSED:
                return self._closed() if self.failures else self
            case CircuitState.RAMPING:
                return self
        return replace(self, next_try_at=now) if self.is_of_account else self._resumes(now, 0)

    # ---- after a dial -------------------------------------------------------------------------------------------

    def record(self, result: DialResult, probing: bool, now: datetime, number: str = "") -> "Circuit":
        """Record the result of a dial of `number`, or of a check. `probing`: an open circuit had admitted it."""
        works = self._works(result)
        if works is None:
            return self
        if works:
            return self._worked(now)
        waits = WAITS_AFTER_UNKNOWN if isinstance(result, Unknown) or not self.is_of_account else WAITS
        fault = result.fault if isinstance(result, NotPlaced) else None
        return self._failed(reason_of(result), fault, _mark(number), probing, waits, now)

    def _works(self, result: DialResult) -> bool | None:
        """Whether a result shows that calls within the scope are placed (True) or not (False); None: it shows
        neither."""
        match result:
            case Accepted():
                return True
            case NotPlaced(fault=Fault(scope=scope)):
                return False if scope is self.scope else self.is_of_account or None  # the account itself works
            case NotPlaced(outage=outage):
                return False if outage and (self.is_of_account or self.scope is Scope.AGENT) else None
        return isinstance(result, Refused) if self.is_of_account else None

    def _worked(self, now: datetime) -> "Circuit":
        match self.state:
            case CircuitState.CLOSED:
                return self._closed() if self.failures else self
            case CircuitState.OPEN:
                return self._resumes(now, 1)
        return replace(self, failures=0, failing_since=None, refused=()) if self.failures else self

    def _resumes(self, now: datetime, resumed: int) -> "Circuit":
        return replace(
            self, resumed_at=now, resumed=resumed, failures=0, failing_since=None, next_try_at=None, refused=()
        )

    def _failed(
        self, reason: str, fault: Fault | None, mark: str, probing: bool, waits: Sequence[timedelta], now: datetime
    ) -> "Circuit":
        code = fault.code if fault is not None else self.code if self.reason == reason else None
        if self.state is CircuitState.OPEN:  # dials that were in flight when it opened prove nothing new
            return replace(self, code=code)._opened(now, self.probes + 1, reason, waits) if probing else self
        forgotten = self.failed_at is None or now - self.failed_at > FORGET_AFTER
        failures, refused = (0, ()) if forgotten else (self.failures, self.refused)
        if fault is None:
            failures += 1
        elif fault.is_proof:
            failures = FAILURES_TO_OPEN
        elif mark not in refused:
            failures, refused = failures + 1, (*refused, mark)
        restarts = forgotten and self.is_of_account  # other scopes keep it: since when no call was placed
        since = now if restarts or self.failing_since is None else self.failing_since
        failing = replace(
            self, failures=failures, failing_since=since, failed_at=now, reason=reason, code=code, refused=refused
        )
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
            refused=(),
        )

    def _closed(self) -> "Circuit":
        return Circuit(
            self.account_id, self.provider, self.version, newer=self.newer, scope=self.scope, value=self.value
        )


def _mark(number: str) -> str:
    """A mark that distinguishes refused numbers without storing them: 16 bits, which thousands of numbers share."""
    return f"{crc32(number.encode()) & 0xFFFF:04x}"


def reason_of(result: DialResult) -> str:
    """Why a dial failed, in the carrier's or the network's words. Empty if it was accepted."""
    match result:
        case Accepted():
            return ""
        case Refused(outcome):
            return outcome.reason or str(outcome.status)
    return result.reason
