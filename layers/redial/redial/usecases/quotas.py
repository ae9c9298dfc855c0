"""Quotas of API keys: how many calls a key may have accepted in a day.

Calls are counted before they are stored, and given back where the request turns out to make none. So a key never has
more accepted than its quota; a request that dies between the two has taken what it did not use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from redial.domain.errors import Forbidden, QuotaUsedUp, RedialError
from redial.ports import Services


@dataclass(frozen=True)
class CallQuota:
    """What a key may have accepted in a day (UTC)."""

    key_id: str
    calls_a_day: int


@dataclass
class Taken:
    """Calls that were counted; `unused`: the request made none of them."""

    unused: bool = False


@contextmanager
def taken(services: Services, quota: CallQuota | None, calls: int, now: datetime) -> Iterator[Taken]:
    """Count `calls` against the quota (None: the key has none) while they are made. They are given back where that
    raises an error of the request, or sets `Taken.unused`. Raises `QuotaUsedUp`, and `Forbidden` for more calls than
    any day has."""
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
