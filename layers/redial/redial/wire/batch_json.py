"""A batch as the HTTP contract and its webhooks show it: plain dicts, ready for `json.dumps`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from redial.domain.batch import Batch
from redial.wire.execution_json import render_retry_config
from redial.wire.timestamps import rfc3339, rfc3339_or_none


def render(batch: Batch, counts: Mapping[str, int], now: datetime) -> dict[str, Any]:
    """The contract's Batch as it is now; `counts` says how many of its contacts stand where."""
    return _render(batch, batch.last_sequence, counts, batch.valid, batch.total, now) | {"paused": batch.paused}


def render_event(batch: Batch, sequence: int) -> dict[str, Any]:
    """The Batch as it was at its event number `sequence` (1 is the first): the body of that event's webhook."""
    change = batch.changes[sequence - 1]
    return _render(batch, sequence, change.counts, change.valid, change.total, change.at) | {"paused": False}


def _render(
    batch: Batch, sequence: int, counts: Mapping[str, int], valid: int, total: int, now: datetime
) -> dict[str, Any]:
    change = batch.changes[sequence - 1]
    numbers = list(batch.from_phone_numbers)
    return {
        "batch_id": batch.id,
        "agent_id": batch.agent_id,
        "humanized_created_at": humanized(now - batch.created_at),
        "created_at": rfc3339(batch.created_at),
        "updated_at": rfc3339(change.at),
        "status": str(change.status),
        "reason": change.reason,
        "scheduled_at": rfc3339_or_none(change.scheduled_at),
        "from_phone_number": numbers[0] if numbers else None,
        "from_phone_numbers": numbers,
        "file_name": batch.file_name,
        "valid_contacts": valid,
        "rejected_contacts": total - valid,
        "total_contacts": total,
        "execution_status": dict(counts),
        "retry_config": render_retry_config(batch.retry_config),
        "calls_per_second": batch.calls_per_second,
        "sequence": sequence,
    }


def humanized(age: timedelta) -> str:
    """`just now`, `5 minutes ago`, `3 hours ago`, `2 days ago`."""
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        count = age // unit
        if count > 0:  # a machine's clock may be behind the one that was created by
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
