"""Whether a failed attempt is followed by another, and when. Pure: the clock is an argument."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from redial.domain.errors import FieldError, InvalidInput
from redial.domain.outcome import DECLINED, Outcome
from redial.domain.status import RETRYABLE, Status
from redial.domain.values import dataclass

MAX_RETRIES = 3
"""Maximum retries of a configuration: with the first dial, four calls."""
MAX_INTERVAL_MINUTES = 365 * 24 * 60
"""Maximum wait before a retry, a year: EventBridge Scheduler and `scheduled_at` accept no later time either."""
REFUSED_FOR_GOOD = "the carrier refused the number for good"
"""The reason why no attempt follows a permanent failure, if the carrier gave none."""
TIME = "%Y-%m-%dT%H:%M:%SZ"
"""The format of a time (UTC) in reasons."""
DEFAULT_STATUSES = (Status.NO_ANSWER, Status.BUSY, Status.FAILED)
DEFAULT_INTERVALS_MINUTES = (30, 60, 120)


@dataclass(frozen=True)
class RetryConfig:
    """`retry_config` of the HTTP contract, with its defaults filled in.

    `retry_intervals_minutes[n]` is the wait before retry n+1, from the end of the failed attempt.
    Fewer intervals than retries: the last repeats; more: the extra ones are ignored.
    Raises `InvalidInput`, naming every field at fault, for values that the contract forbids.
    """

    enabled: bool = False
    max_retries: int = MAX_RETRIES
    retry_on_statuses: tuple[Status, ...] = DEFAULT_STATUSES
    retry_on_voicemail: bool = False
    retry_intervals_minutes: tuple[int, ...] = DEFAULT_INTERVALS_MINUTES

    def __post_init__(self) -> None:
        errors = []
        if not 1 <= self.max_retries <= MAX_RETRIES:
            errors.append(FieldError("retry_config.max_retries", f"must be 1 to {MAX_RETRIES}"))
        unknown = [status for status in self.retry_on_statuses if status not in RETRYABLE]
        if unknown:
            allowed = ", ".join(RETRYABLE)
            errors.append(FieldError("retry_config.retry_on_statuses", f"may hold {allowed}; not {', '.join(unknown)}"))
        if not self.retry_intervals_minutes:
            errors.append(FieldError("retry_config.retry_intervals_minutes", "must hold at least one interval"))
        if any(not 1 <= minutes <= MAX_INTERVAL_MINUTES for minutes in self.retry_intervals_minutes):
            message = f"each interval must be 1 to {MAX_INTERVAL_MINUTES} minutes"
            errors.append(FieldError("retry_config.retry_intervals_minutes", message))
        if errors:
            raise InvalidInput("; ".join(f"{e.field}: {e.message}" for e in errors), tuple(errors))

    def interval(self, retry: int) -> timedelta:
        """How long to wait before retry number `retry` (1 is the first)."""
        intervals = self.retry_intervals_minutes
        return timedelta(minutes=intervals[min(retry, len(intervals)) - 1])


@dataclass(frozen=True)
class RetryAt:
    """Dial again: attempt number `attempt` (2 is the first retry), not before `at`."""

    attempt: int
    at: datetime


@dataclass(frozen=True)
class GiveUp:
    """No further attempt, and why: `ended_because` of the execution."""

    reason: str


def expired(at: datetime) -> str:
    """The reason why no attempt starts from `at` on."""
    return f"expired at {at:{TIME}}"


def decide(
    config: RetryConfig | None,
    attempts: Sequence[object],
    outcome: Outcome,
    now: datetime,
    expires_at: datetime | None = None,
) -> RetryAt | GiveUp:
    """What follows an attempt that ended with `outcome` at `now`. No attempt starts from `expires_at` on.

    `attempts` are all attempts made so far, the one that just ended included.
    An answered call is never dialled again, except a voicemail if the configuration says so. A permanent failure (the
    number does not exist) ends it whatever the configuration says. A declined call is retried at most once.
    """
    voicemail = outcome.status is Status.COMPLETED and outcome.voicemail is True
    if outcome.status is Status.COMPLETED and not voicemail:
        return GiveUp("answered")
    if outcome.permanent:
        return GiveUp(outcome.reason or REFUSED_FOR_GOOD)
    if config is None or not config.enabled:
        return GiveUp("voicemail" if voicemail else "retries are not enabled")
    if voicemail:
        if not config.retry_on_voicemail:
            return GiveUp("voicemail")
    elif outcome.status not in config.retry_on_statuses:
        return GiveUp(f"{outcome.status} is not retried")
    made = len(attempts)
    if outcome.code == DECLINED and made > 1:
        return GiveUp("the call was declined, and is not retried again")
    if made > config.max_retries:
        return GiveUp(f"all {config.max_retries} retries used" if config.max_retries > 1 else "the retry is used")
    at = now + config.interval(made)
    if expires_at is not None and at >= expires_at:
        return GiveUp(f"{expired(expires_at)}, before the retry at {at:{TIME}}")
    return RetryAt(attempt=made + 1, at=at)
