"""A batch as JSON, for the HTTP API and webhooks: plain dicts, ready for `json.dumps`.

The typed dicts define the rendered shapes and are the source of the API's documentation.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, cast

from typing_extensions import TypedDict  # pydantic needs this one on Python 3.11

from redial.domain.batch import Batch, BatchStatus
from redial.domain.status import Status
from redial.wire.execution_json import RetryConfigEcho, Sequence, render_retry_config
from redial.wire.timestamps import Documented, Timestamp, rfc3339, rfc3339_or_none


class SharedContacts(TypedDict):
    """The number of contacts that another batch also has."""

    batch_id: str
    contacts: int


class BatchState(TypedDict):
    """The common fields of a batch and its events."""

    batch_id: str
    agent_id: str
    humanized_created_at: str
    created_at: Timestamp
    updated_at: Timestamp
    status: BatchStatus
    reason: Annotated[str | None, Documented(description="Why the batch stopped or failed.")]
    scheduled_at: Timestamp | None
    from_phone_number: str | None
    from_phone_numbers: list[str]
    file_name: str
    valid_contacts: Annotated[int, Documented(description="Accepted rows; grows while the file is being read.")]
    rejected_contacts: int
    total_contacts: int
    execution_status: Annotated[dict[Status, int], Documented(description="Contacts by status.")]
    retry_config: RetryConfigEcho | None
    calls_per_second: float | None
    sequence: Sequence
    paused: bool
    policy: Annotated[str | None, Documented(description="The batch's own policy or its agent's, with its version.")]
    expires_at: Annotated[
        Timestamp | None,
        Documented(description="No attempt starts at or after this time; null before the batch has a start time."),
    ]


class BatchRead(BatchState):
    """A batch. Its counts are exact, with a delay of a second or two."""

    shared_contacts: Annotated[
        list[SharedContacts],
        Documented(description="Other batches that had some of the same contacts and ran at the same time."),
    ]


class BatchEvent(BatchState):
    """The body of a batch's own webhook: the batch right after one change of its status."""

    type: Annotated[str, Documented(type="string", enum=[f"batch.{status}" for status in BatchStatus])]


def render(batch: Batch, counts: Mapping[str, int], now: datetime) -> BatchRead:
    """The batch's current state as JSON. `counts`: contacts by status."""
    body = _render(batch, batch.last_sequence, counts, batch.valid, batch.total, now, paused=batch.paused)
    return {**body, "shared_contacts": shared_contacts(batch.shared)}


def shared_contacts(found: Iterable[tuple[str, int]]) -> list[SharedContacts]:
    """Contacts shared with other batches, (batch id, contacts), as JSON."""
    return [{"batch_id": batch_id, "contacts": contacts} for batch_id, contacts in found]


def render_event(batch: Batch, sequence: int) -> BatchEvent:
    """The batch right after event `sequence` (1 is the first): the body of that event's webhook."""
    change = batch.changes[sequence - 1]
    body = _render(batch, sequence, change.counts, change.valid, change.total, change.at, paused=False)
    return {"type": f"batch.{change.status}", **body}


def _render(
    batch: Batch, sequence: int, counts: Mapping[str, int], valid: int, total: int, now: datetime, *, paused: bool
) -> BatchState:
    change = batch.changes[sequence - 1]
    numbers = list(batch.from_phone_numbers)
    return {
        "batch_id": batch.id,
        "agent_id": batch.agent_id,
        "humanized_created_at": humanized(now - batch.created_at),
        "created_at": rfc3339(batch.created_at),
        "updated_at": rfc3339(change.at),
        "status": change.status,
        "reason": change.reason,
        "scheduled_at": rfc3339_or_none(change.scheduled_at),
        "from_phone_number": numbers[0] if numbers else None,
        "from_phone_numbers": numbers,
        "file_name": batch.file_name,
        "valid_contacts": valid,
        "rejected_contacts": total - valid,
        "total_contacts": total,
        "execution_status": cast(dict[Status, int], dict(counts)),
        "retry_config": render_retry_config(batch.retry_config),
        "calls_per_second": batch.calls_per_second,
        "sequence": sequence,
        "paused": paused,
        "policy": batch.policy,
        "expires_at": rfc3339_or_none(batch.contacts_expire_if_started(change.scheduled_at)),
    }


def humanized(age: timedelta) -> str:
    """The age as text: `just now`, `5 minutes ago`, `3 hours ago`, `2 days ago`."""
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        count = age // unit
        if count > 0:  # with clock skew the age may be negative
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
