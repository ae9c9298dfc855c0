"""Quotas of API keys: the maximum number of calls accepted for a key in a day.

Calls are counted before they are stored, and subtracted again if the request creates none. So a key's accepted calls
never exceed its quota. If a request dies in between, its calls stay counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from redial.domain.errors import Forbidden, QuotaUsedUp, RedialError
from redial.ports import Services


@dataclass(frozen=True)
class CallQuota:
    """The maximum number of calls accepted for a key in a day (UTC)."""

    key_id: str
    calls_a_day: int


@dataclass
class Taken:
    """Calls that were counted. `unused`: the request created none of them."""

    unused: bool = False


@contextmanager
def taken(services: Services, quota: CallQuota | None, calls: int, now: datetime) -> Iterator[Taken]:
    """Count `calls` against the quota (None: the key has none) while the context creates them. They are subtracted
    again if the context raises a `RedialError` or sets `Taken.unused`. Raises `QuotaUsedUp`, and `Forbidden` for more
    calls than the quota of a day."""
    result = Taken()
    if quota is None or not calls:
        yield result
        return
    most, day = quota.calls_a_day, now.astimezone(UTC).date()
    if calls > most:
        raise Forbidden(f"this API key may have {most} calls accepted a day, and these are {calls}: split them")
    if not services.call_quotas.take(quota.key_id, day, calls, most):
        tomorrow = datetime.combine(day + timedelta(days=1), time(), UTC)
        raise QuotaUsedUp(
            f"this API key may have {most} calls accepted a day (UTC), and too few of them are left for {calls} more;"
            f" ask again on {tomorrow:%Y-%m-%d}",
            tomorrow - now,
        )
    try:
        yield result
    except RedialError:
        result.unused = True
        raise
    finally:
        if result.unused:
            services.call_quotas.give_back(quota.key_id, day, calls)
