"""A batch: a CSV file of contacts to call. Its statuses, its allowed transitions and its outstanding work.

    created ─► processed ─► scheduled ─► queued ─► running ─► completed
       └ failed: the file cannot be used        └ stopped: by request, from scheduled on

Each contact is an execution whose id is derived from the batch id and its row, so contacts need no index. Statuses only
move forward; each change is an event with a sequence number and one webhook. All methods are pure and return a new
Batch, or the same object if nothing changes. All times are aware UTC.
"""

import uuid
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from redial.domain.account_event import is_event_id
from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.decision import stopped
from redial.domain.delivery import TIMER_GRACE, Delivery, pending_events
from redial.domain.execution import DUE_SLACK, MILLISECOND, Change, Execution
from redial.domain.queue import KeyLines
from redial.domain.retry import RetryConfig
from redial.domain.row_check import TIME_ZONE_COLUMN, RowCheck
from redial.domain.status import FINAL, WAITING, Status
from redial.domain.values import dataclass

WORK_LEASE = timedelta(minutes=16)
"""A worker's exclusive lease on a batch. Longer than the batch function's timeout (15 minutes)."""
WORK_GRACE = timedelta(minutes=2)
"""If requested work has not begun by then, the sweeper invokes the worker again."""
RUNNING_CHECK = timedelta(minutes=10)
"""Interval between audits of a running batch: they find contacts that a crash left behind."""
GONE_CHECK = timedelta(minutes=5)
"""Interval between checks of a deleted batch that still has live calls."""
RESULTS_FRESH = timedelta(minutes=15)
"""Maximum age of a results file that is not final; an older one is rewritten."""
TOMBSTONE_LIFE = timedelta(hours=25)
"""How long a removed batch's id stays reserved: an hour longer than an Idempotency-Key is remembered."""
MOST_SHARED = 100
"""Maximum number of batches with shared contacts that a batch stores."""
MAX_SCHEDULINGS = 100
"""Maximum schedulings of a batch: each appends a change to the batch's one item."""
FIRST_RECOUNT = timedelta(hours=1)
"""Counts of an unfinished batch unchanged for this long trigger a recount, contact by contact."""
LONGEST_RECOUNT_WAIT = timedelta(hours=24)
"""The wait between recounts doubles while the counts stay unchanged, up to this."""


class BatchWork(StrEnum):
    """What the batch worker does for a batch, one kind at a time."""

    INGEST = "ingest"  # read the file, store a contact for each row
    START = "start"  # join the agent's queue
    AUDIT = "audit"  # find what a crash left behind in a running batch
    CLEAR = "clear"  # stop every waiting contact of a batch that is over
    LEAVE = "leave"  # a completed batch leaves the queue
    DELETE = "delete"
    DELETE_AGAIN = "delete again"  # contacts that were live, or stored by an invocation that began before the removal
    RESULTS = "results"  # write results.csv
    ERASE = "erase"  # erase rows in its files
    EXPIRE = "expire"  # its retention period is over: delete it, with its contacts and files


class BatchStatus(StrEnum):
    CREATED = "created"
    PROCESSED = "processed"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"


OVER = frozenset({BatchStatus.COMPLETED, BatchStatus.STOPPED, BatchStatus.FAILED})
STOPPABLE = frozenset({BatchStatus.SCHEDULED, BatchStatus.QUEUED, BatchStatus.RUNNING})


@dataclass(frozen=True)
class BatchChange:
    """A change to `status`. `counts`: contacts by status, as counted at that time. `newer`: see `Execution`."""

    status: BatchStatus
    at: datetime
    reason: str | None = None
    scheduled_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    valid: int = 0
    total: int = 0
    newer: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Recount:
    """A count of the batch's stored contacts, to check the counts made from the stream: a stream record may be lost.

    `position`: how far the stream was counted at the last audit; `since`: when that position was first seen.
    `due`: time of the next recount if the position does not move.
    `row`, `found`, `newest`: progress of the current recount: last row counted, counts so far, time of the newest
    change seen.
    `corrected`: the recount's result if it differs from the counts. Valid for `position` only: it may or may not
    include records counted later.
    """

    position: str
    since: datetime
    due: datetime
    row: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    newest: datetime | None = None
    corrected: Mapping[str, int] | None = None

    @staticmethod
    def begin(position: str, now: datetime) -> "Recount":
        """A fresh recount: the counts have just moved to `position`."""
        return Recount(position, now, now + FIRST_RECOUNT)

    def again(self, now: datetime, corrected: Mapping[str, int] | None) -> "Recount":
        """The recount is complete. The next is due after twice the wait, unless the counts move first."""
        wait = min(max(now - self.since, FIRST_RECOUNT), LONGEST_RECOUNT_WAIT)
        return Recount(self.position, self.since, now + wait, corrected=corrected)


@dataclass(frozen=True)
class Batch:
    """A batch: its request, its progress, and its event delivery.

    `provider`, `webhook_statuses`: its agent's when it was created.
    `start_at`: when it starts (None: not requested yet); `timer`: id of that timer.
    `premium_numbers`: its account allowed premium-rate and shared-cost numbers when it was created.
    `calling_rule`: the text of its own `CallingRule` (None: its agent's). `row_check`: see `RowCheck`.
    `calls_per_second`: rate limit for starting calls. `first_dials_first`: first dials precede due retries.
    `ingested`: the whole file has been read. `total`, `valid`: rows read and accepted so far. `indexed`: its contact
    index is stored (not by earlier versions). `compared`: it was compared with the batches that ran when it started.
    `shared`: (batch id, number of shared contacts) of batches that ran at the same time and have contacts of this one.
    `stored_to`: every contact up to this row is stored.
    `audit_from`: no contact up to this row was left behind. `audited_to`: the dispatch cursor at the previous audit,
    at `checked_at`.
    `withdrawn`: it is over, and none of its waiting contacts can be dialled any more; they are shown as stopped.
    `cleared_row`: progress of storing the stop of each contact, or of deleting contacts; `cleared`: that is complete.
    `worker`: id of the invocation with the exclusive lease until `worker_until`.
    `results_wanted`, `results_at`: a results file was requested; when the last one was written.
    `erase_rows`: rows to erase in its files.
    `recount`: see `Recount`. `kept_until`: when a batch that is over is deleted with its contacts and files (None:
    never). `expires_at`: the batch is a tombstone, deleted at that time. `purpose`, `policy`, `policy_is_default`,
    `newer`: see `Execution`.
    `last_start`: no attempt of a contact starts from then on; `expires_after_minutes`: the same, counted from the
    batch's start. At most one of the two is set. `counted`: its contacts were counted against the quota of an API key.
    `key_pool`: see `Execution`; that of the key that last asked for its start, else of the key that created it.
    """

    id: str
    account_id: str
    agent_id: str
    created_at: datetime
    file_name: str
    provider: str = DEFAULT_PROVIDER
    webhook_statuses: tuple[Status, ...] | None = None
    from_phone_numbers: tuple[str, ...] = ()
    retry_config: RetryConfig | None = None
    webhook_url: str | None = None
    calls_per_second: float | None = None
    first_dials_first: bool = False
    bypass_call_guardrails: bool = False
    premium_numbers: bool = False
    calling_rule: str | None = None
    row_check: str | None = None
    start_at: datetime | None = None
    timer: int | None = None
    paused: bool = False
    ingested: bool = False
    total: int = 0
    valid: int = 0
    stored_to: int = 0
    audit_from: int = 0
    audited_to: int = 0
    checked_at: datetime | None = None
    withdrawn: bool = False
    cleared_row: int = 0
    cleared: bool = False
    deleted_at: datetime | None = None
    results_wanted: bool = False
    results_at: datetime | None = None
    worker: str | None = None
    worker_until: datetime | None = None
    changes: tuple[BatchChange, ...] = ()
    delivery: Delivery = Delivery()
    version: int = 0
    due_at: datetime | None = None
    recount: Recount | None = None
    kept_until: datetime | None = None
    erase_rows: tuple[int, ...] = ()
    expires_at: datetime | None = None
    purpose: str | None = None
    indexed: bool = False
    compared: bool = False
    shared: tuple[tuple[str, int], ...] = ()
    policy: str | None = None
    policy_is_default: bool = False
    last_start: datetime | None = None
    expires_after_minutes: int | None = None
    counted: bool = False
    key_pool: str | None = None
    newer: Mapping[str, Any] | None = None

    @cached_property
    def rows(self) -> RowCheck | None:
        """The check of its rows. None: the batch was created by a version without row checks."""
        return None if self.row_check is None else RowCheck.parse(self.row_check, self.created_at)

    @property
    def key_lines(self) -> KeyLines | None:
        """The lines of its API key. Each of its calls holds one. None: there is no quota of lines."""
        return KeyLines.parse(self.account_id, self.key_pool)

    @property
    def status(self) -> BatchStatus:
        return self.changes[-1].status

    @property
    def updated_at(self) -> datetime:
        return self.changes[-1].at

    @property
    def last_sequence(self) -> int:
        return len(self.changes)

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_stoppable(self) -> bool:
        """Running, or going to run without a further request."""
        return self.status in STOPPABLE or (self.start_at is not None and not self.is_over)

    @property
    def may_dial(self) -> bool:
        """Running and not deleted. Does not consider `paused`: paused contacts keep their place in the queue."""
        return self.status is BatchStatus.RUNNING and self.deleted_at is None

    @property
    def start_asked_at(self) -> datetime:
        """Time of the last scheduling, else of creation."""
        asked = (change.at for change in reversed(self.changes) if change.status is BatchStatus.SCHEDULED)
        return next(asked, self.created_at)

    @property
    def contacts_expire_at(self) -> datetime | None:
        """No attempt of a contact starts from then on. None: there is no such time, or the batch has no start yet."""
        return self.contacts_expire_if_started(self.start_at)

    def contacts_expire_if_started(self, at: datetime | None) -> datetime | None:
        """`contacts_expire_at` if the batch starts at `at`, such as the start that it had at an earlier event."""
        if self.expires_after_minutes is None or at is None:
            return self.last_start
        return at + timedelta(minutes=self.expires_after_minutes)

    @property
    def is_tombstone(self) -> bool:
        """Removed: only the id stays reserved."""
        return self.expires_at is not None

    @property
    def waits_for_start(self) -> bool:
        """It has not started yet: its start time has not come, or was not requested."""
        return self.status in (BatchStatus.CREATED, BatchStatus.PROCESSED, BatchStatus.SCHEDULED)

    def with_terms(self, contact: Execution) -> Execution:
        """The contact with the expiry and the key's lines of the batch. Its first save stores them, so that all its
        events agree."""
        if (contact.expires_at, contact.key_pool) == (self.contacts_expire_at, self.key_pool):
            return contact
        return replace(contact, expires_at=self.contacts_expire_at, key_pool=self.key_pool)

    def shown(self, contact: Execution) -> Execution:
        """The contact as the API shows it.

        While the batch waits for its start, its contacts are shown as `scheduled`, although they are stored as `queued`
        from the beginning. A contact that was not dialled yet is shown with the expiry of its batch. Once the batch is
        withdrawn, a waiting contact is shown as `stopped`, which is stored later.
        """
        if self.withdrawn:
            return self.end_contact(contact)
        if not contact.is_not_started:
            return contact
        contact = self.with_terms(contact)
        if not self.waits_for_start:
            return contact
        timer = None if self.start_at is None else 0
        waiting = replace(contact.changes[0], kind=Status.SCHEDULED, until=self.start_at, timer=timer)
        return replace(contact, changes=(waiting,))

    @property
    def contacts_end(self) -> str:
        """The reason with which waiting contacts end when the batch is over."""
        return "batch stopped" if self.status is BatchStatus.STOPPED else "the batch's file cannot be used"

    def end_contact(self, contact: Execution) -> Execution:
        """End a waiting contact with this batch, which is over. Any other contact is returned unchanged."""
        if not contact.state.is_waiting:
            return contact
        return contact.end(self.updated_at, stopped(self.contacts_end))

    def shown_counts(self, counts: Mapping[str, int]) -> Mapping[str, int]:
        """Contacts by status, as `shown` shows them. A contact that was being dialled when the batch was withdrawn
        counts as `stopped` until the carrier reports on it."""
        if self.withdrawn:
            others = {status: count for status, count in counts.items() if Status(status) not in WAITING}
            ended = sum(counts.values()) - sum(others.values()) + others.get(Status.STOPPED, 0)
            return dict(sorted({**others, **({Status.STOPPED.value: ended} if ended else {})}.items()))
        if not self.waits_for_start or Status.QUEUED not in counts:
            return counts
        others = {status: count for status, count in counts.items() if status != Status.QUEUED}
        waiting = counts[Status.QUEUED] + others.get(Status.SCHEDULED, 0)
        return dict(sorted({**others, Status.SCHEDULED.value: waiting}.items()))

    def has_fresh_results(self, now: datetime) -> bool:
        """Whether the results file is final, or at most `RESULTS_FRESH` old."""
        if self.results_at is None or self.results_wanted:
            return False
        if self.status is BatchStatus.COMPLETED and self.results_at > self.updated_at:
            return True
        return now < self.results_at + RESULTS_FRESH

    # ---- transitions -----------------------------------------------------------------------------------------------

    def _with(
        self, status: BatchStatus, now: datetime, reason: str | None = None, counts: Mapping[str, int] | None = None
    ) -> "Batch":
        at = max(now, self.changes[-1].at + MILLISECOND) if self.changes else now
        change = BatchChange(status, at, reason, self.start_at, dict(counts or {}), self.valid, self.total)
        return replace(self, changes=(*self.changes, change))

    def begin(self, now: datetime, start: bool) -> "Batch":
        """Append the first event. `start`: start as soon as the file has been read."""
        return replace(self, start_at=now if start else None)._with(BatchStatus.CREATED, now)

    def schedule(self, at: datetime, bypass_call_guardrails: bool, now: datetime) -> "Batch":
        """Start at `at`. Raises ValueError if queued, running or over, or after `MAX_SCHEDULINGS`."""
        if self.status not in (BatchStatus.CREATED, BatchStatus.PROCESSED, BatchStatus.SCHEDULED):
            raise ValueError(f"a batch that is {self.status} cannot be scheduled")
        if sum(change.status is BatchStatus.SCHEDULED for change in self.changes) >= MAX_SCHEDULINGS:
            raise ValueError(
                f"this batch has been scheduled {MAX_SCHEDULINGS} times, the most there may be: it starts at its last "
                "time unless you stop or delete it"
            )
        asked = replace(self, start_at=at, timer=self.version + 1, bypass_call_guardrails=bypass_call_guardrails)
        return asked._with(BatchStatus.SCHEDULED, now)

    def progressed(self, total: int, valid: int, stored_to: int) -> "Batch":
        """Record ingestion progress: rows read and accepted, and the last row known to be stored."""
        return replace(self, total=total, valid=valid, stored_to=stored_to)

    def processed(self, total: int, valid: int, now: datetime, *, indexed: bool = False) -> "Batch":
        """The whole file is read and its contacts are stored."""
        read = replace(self, total=total, valid=valid, stored_to=valid, ingested=True, indexed=indexed)
        return read._with(BatchStatus.PROCESSED, now) if self.status is BatchStatus.CREATED else read

    def sharing(self, others: Mapping[str, int]) -> "Batch":
        """Add batches with shared contacts, {batch id: number of contacts}. The `MOST_SHARED` largest are kept."""
        found = sorted({**dict(self.shared), **others}.items(), key=lambda one: (-one[1], one[0]))[:MOST_SHARED]
        return self if tuple(found) == self.shared else replace(self, shared=tuple(found))

    def fail(self, reason: str, now: datetime) -> "Batch":
        """The file is unusable. Contacts already stored are stopped by the worker."""
        return self if self.is_over else self._with(BatchStatus.FAILED, now, reason)

    def queue(self, now: datetime) -> "Batch":
        """The start time has come."""
        return self._with(BatchStatus.QUEUED, now)

    def run(self, now: datetime) -> "Batch":
        """Its first contacts may be dialled."""
        due = self if self.status is BatchStatus.QUEUED else self.queue(now)
        return due._with(BatchStatus.RUNNING, now)

    def stop(self, now: datetime, reason: str, counts: Mapping[str, int]) -> "Batch":
        """Stop dialling its contacts. Raises ValueError unless `is_stoppable`."""
        if not self.is_stoppable:
            raise ValueError(f"a batch that is {self.status} cannot be stopped")
        return self._with(BatchStatus.STOPPED, now, reason, counts)

    def withdraw(self) -> "Batch":
        """Mark the batch as withdrawn: no waiting contact holds a line. Not needed for a deleted batch, which is not
        shown."""
        return self if self.withdrawn or self.deleted_at is not None else replace(self, withdrawn=True)

    def complete(self, now: datetime, counts: Mapping[str, int]) -> "Batch":
        """Every contact is final."""
        return self._with(BatchStatus.COMPLETED, now, None, counts)

    def delete(self, now: datetime) -> "Batch":
        """Delete it for the customer; the worker then deletes its contacts."""
        return replace(self, deleted_at=self.deleted_at or now, cleared=False, cleared_row=0)

    def removed(self, now: datetime) -> "Batch":
        """The tombstone: enough to answer a repeated creation request, and to search once more for leftover contacts.

        It has no events to send. `valid` and `ingested` stay: they bound the contacts that may exist.
        """
        return Batch(
            id=self.id,
            account_id=self.account_id,
            agent_id=self.agent_id,
            created_at=self.created_at,
            file_name="",
            ingested=self.ingested,
            valid=self.valid,
            deleted_at=self.deleted_at or now,
            worker=self.worker,
            worker_until=self.worker_until,
            changes=self.changes[:1],
            version=self.version,
            expires_at=(now + TOMBSTONE_LIFE).replace(microsecond=0),
            newer=self.newer,
        )

    def kept_for(self, keep: timedelta | None) -> "Batch":
        """Set `kept_until`, if the batch is over and has none yet. `keep` None: kept for ever."""
        if keep is None or not self.is_over or self.kept_until is not None or self.is_tombstone:
            return self
        return replace(self, kept_until=self.updated_at + keep)

    # ---- work ------------------------------------------------------------------------------------------------------

    def work(self, now: datetime) -> BatchWork | None:
        """The next work; None: nothing to do.

        `DELETE_AGAIN` repeats the deletion while calls are live, and once after the removal, when no invocation that
        began before it can still be running: such an invocation may have stored something since.
        """
        if self.expires_at is not None:
            last_look = self.expires_at - TOMBSTONE_LIFE + WORK_LEASE
            return BatchWork.DELETE_AGAIN if not self.cleared and now >= last_look else None
        if self.deleted_at is not None:
            return BatchWork.DELETE_AGAIN if self.cleared else BatchWork.DELETE
        if self.erase_rows and (self.ingested or self.is_over):
            return BatchWork.ERASE
        if self.is_over:
            if not self.cleared:
                return BatchWork.LEAVE if self.status is BatchStatus.COMPLETED else BatchWork.CLEAR
            if self.kept_until is not None and self.kept_until <= now:
                return BatchWork.EXPIRE
        elif not self.ingested:
            return BatchWork.INGEST
        elif self.status is BatchStatus.RUNNING:
            return BatchWork.RESULTS if self.results_wanted else BatchWork.AUDIT
        elif self.start_at is not None and self.start_at <= now:
            return BatchWork.START
        return BatchWork.RESULTS if self.results_wanted else None

    def take_work(self, worker: str, now: datetime) -> "Batch | None":
        """Lease the batch to `worker` for `WORK_LEASE`. None while another worker holds the lease."""
        if self.worker not in (None, worker) and self.worker_until is not None and self.worker_until > now:
            return None
        return replace(self, worker=worker, worker_until=now + WORK_LEASE)

    def leave_work(self) -> "Batch":
        """Release the worker's lease."""
        return replace(self, worker=None, worker_until=None)

    # ---- event delivery, and due times -----------------------------------------------------------------------------

    def pending(self) -> tuple[int, ...]:
        """Sequences of undelivered events, in sending order."""
        if self.is_tombstone:
            return ()
        return pending_events(self.delivery, self.last_sequence)

    def lease_delivery(self, lease_id: str, now: datetime) -> "Batch":
        """With the delivery leased to `lease_id`; the same object if nothing is pending or `may_send` is false."""
        leased = self.delivery.leased(lease_id, now) if self.pending() else None
        return self if leased is None else replace(self, delivery=leased)

    def with_due(self, now: datetime) -> "Batch":
        """With `due_at` set: when the sweeper must check the batch. None if it has no work and no events to send."""
        wanted = [self._work_due(now), self.delivery.due(self.updated_at, now) if self.pending() else None]
        earliest = min((one for one in wanted if one is not None), default=None)
        stored = self.due_at
        if stored is not None and earliest is not None and stored > now and abs(stored - earliest) <= DUE_SLACK:
            return self
        return replace(self, due_at=earliest)

    def _work_due(self, now: datetime) -> datetime | None:
        if self.worker is not None and self.worker_until is not None and self.worker_until > now:
            return self.worker_until + MILLISECOND
        match self.work(now):
            case BatchWork.AUDIT:
                return now + RUNNING_CHECK
            case BatchWork.DELETE_AGAIN if not self.is_tombstone:
                return now + GONE_CHECK
            case None if self.is_tombstone:
                assert self.expires_at is not None
                return None if self.cleared else self.expires_at - TOMBSTONE_LIFE + WORK_LEASE
            case None if self.is_over:
                return self.kept_until
            case None:
                return None if self.start_at is None else self.start_at + TIMER_GRACE
        return now + WORK_GRACE


def contact_id(batch_id: str, row: int) -> str:
    """The execution id of the contact in `row` (1: the first accepted row of the file)."""
    return str(uuid.uuid5(_namespace(batch_id), str(row)))


@lru_cache(maxsize=16)
def _namespace(batch_id: str) -> uuid.UUID:
    return uuid.UUID(batch_id)


def is_batch_id(text: str) -> bool:
    """Whether an id has the form of a batch id: 32 hexadecimal digits (an execution id has dashes)."""
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)


def subject(subject_id: str) -> dict[str, str | int]:
    """The payload that names an execution, a batch or an event of an account: {"execution_id": …}, {"batch_id": …} or
    {"event_id": …}, by the id's form."""
    if is_event_id(subject_id):
        return {"event_id": subject_id}
    return {"batch_id" if is_batch_id(subject_id) else "execution_id": subject_id}


def contact(batch: Batch, row: int, number: str, data: dict[str, str]) -> Execution:
    """A new contact of the batch, not started: queued since the batch was created."""
    created = batch.created_at
    return Execution(
        id=contact_id(batch.id, row),
        account_id=batch.account_id,
        agent_id=batch.agent_id,
        created_at=created,
        user_number=number,
        batch_id=batch.id,
        row=row,
        provider=batch.provider,
        user_data=dict(data),
        retry_config=batch.retry_config,
        time_zone=None if batch.row_check is None else data.get(TIME_ZONE_COLUMN, "").strip() or None,
        webhook_statuses=batch.webhook_statuses,
        changes=(Change(Status.QUEUED, created, 1),),
    )


def all_final(counts: Mapping[str, int], contacts: int) -> bool:
    """Whether `counts` (contacts by status) adds up to `contacts`, all of them final."""
    final = sum(count for status, count in counts.items() if Status(status) in FINAL)
    return final == contacts == sum(counts.values())
