"""A batch: a file of contacts that becomes calls. Its statuses, what may be done with it when, and what is to be done.

    created ─► processed ─► scheduled ─► queued ─► running ─► completed
       └ failed: the file cannot be used        └ stopped: by request, from scheduled on

Each contact is an execution, whose id follows from the batch and its row, so that whoever knows the batch knows all its
contacts. Statuses only move forward; each is an event with a sequence number and one webhook. All methods are pure and
return a new Batch, or the same one where nothing changes; all times are aware UTC.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.delivery import TIMER_GRACE, Delivery, pending_events
from redial.domain.execution import DUE_SLACK, MILLISECOND, Execution
from redial.domain.retry import RetryConfig
from redial.domain.status import FINAL, Status

WORK_LEASE = timedelta(minutes=16)
"""How long one invocation may work at a batch alone. Longer than the batch function can run (15 minutes)."""
WORK_GRACE = timedelta(minutes=2)
"""How long work that was asked for may take to begin before the sweeper asks again."""
RUNNING_CHECK = timedelta(minutes=10)
"""How often a running batch is looked at for contacts that a crash left behind."""
GONE_CHECK = timedelta(minutes=5)
"""How often a deleted batch is looked at whose last calls are still live."""
RESULTS_FRESH = timedelta(minutes=15)
"""How long a written results file is handed out before it is written anew, while the batch is not over."""
TOMBSTONE_LIFE = timedelta(hours=25)
"""How long a removed batch's id stays taken: an hour longer than an Idempotency-Key answers."""
MAX_SCHEDULINGS = 100
"""How often a batch may be scheduled: each time is a change, and all changes are in the batch's one item."""
FIRST_RECOUNT = timedelta(hours=1)
"""How long the counts of a batch that is not complete stand still before its contacts are counted one by one."""
LONGEST_RECOUNT_WAIT = timedelta(hours=24)
"""The wait between two recounts doubles while nothing is counted, up to this."""


class BatchWork(StrEnum):
    """What the batch worker does for a batch, one kind at a time."""

    INGEST = "ingest"  # read the file, store a contact for each row
    START = "start"  # join the agent's queue
    AUDIT = "audit"  # look after a running batch
    CLEAR = "clear"  # stop every waiting contact of a batch that is over
    LEAVE = "leave"  # a completed batch leaves the queue
    DELETE = "delete"
    DELETE_AGAIN = "delete again"  # what was live, or was stored by an invocation that began before
    RESULTS = "results"  # write results.csv


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
    """The batch came to stand at `status`. `counts`: how many contacts stood where, as far as was known then.
    `newer`: see `Execution`."""

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
    """How a batch's counts compare with its contacts: a second source, for a record of the stream may be lost.

    `position` says how far the stream had been counted at the last look, `since` when it was first seen there. While it
    stays there, `due` is the time of the next recount. A recount has got to `row`, has found `found`, and the newest
    change that it saw is of `newest`. `corrected` is what it found where the counts said otherwise. It holds for
    `position` only: what is counted later may be in it already, or may not.
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
        """The counts have just moved."""
        return Recount(position, now, now + FIRST_RECOUNT)

    def again(self, now: datetime, corrected: Mapping[str, int] | None) -> "Recount":
        """It is done; the next one comes after twice the time, if nothing is counted before."""
        wait = min(max(now - self.since, FIRST_RECOUNT), LONGEST_RECOUNT_WAIT)
        return Recount(self.position, self.since, now + wait, corrected=corrected)


@dataclass(frozen=True)
class Batch:
    """What was asked, how far it has got, and how far the customer has been told.

    `provider`: its agent's carrier when it was created. `start_at`: when it is to start (None: not decided yet),
    `timer` the number of that timer.
    `calls_per_second`: at most so many calls are started in a second. `first_dials_first`: waiting first dials go
    before due retries. `ingested`: every row of the file has been read. `valid` and `total` count rows read so far,
    `stored_to` is the last contact that is certainly stored. `audit_from`: no contact up to it was left behind;
    `audited_to`: the last whose turn had come when that was looked at, at `checked_at`. `cleared_row`: stopping or
    deleting has got so far; `cleared`: to the end. `worker` may work alone until `worker_until`. `results_at`: when the
    results file was written. `recount`: how its counts compare with its contacts. `expires_at`: nothing is left of it
    but this tombstone, which is removed then. `newer`: see `Execution`.
    """

    id: str
    account_id: str
    agent_id: str
    created_at: datetime
    file_name: str
    provider: str = DEFAULT_PROVIDER
    from_phone_numbers: tuple[str, ...] = ()
    retry_config: RetryConfig | None = None
    webhook_url: str | None = None
    calls_per_second: float | None = None
    first_dials_first: bool = False
    bypass_call_guardrails: bool = False
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
    expires_at: datetime | None = None
    newer: Mapping[str, Any] | None = None

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
        """Whether it runs, or will by itself."""
        return self.status in STOPPABLE or (self.start_at is not None and not self.is_over)

    @property
    def may_dial(self) -> bool:
        """Whether its contacts may be dialled now; a paused batch's may not, but keep their place."""
        return self.status is BatchStatus.RUNNING and self.deleted_at is None

    @property
    def start_asked_at(self) -> datetime:
        """When it was last asked to start: by its schedule, else as it was created."""
        asked = (change.at for change in reversed(self.changes) if change.status is BatchStatus.SCHEDULED)
        return next(asked, self.created_at)

    @property
    def is_tombstone(self) -> bool:
        """Whether the batch has been removed, and only its id is kept from being used again."""
        return self.expires_at is not None

    def has_fresh_results(self, now: datetime) -> bool:
        """Whether the results file says what is so, or what was so a few minutes ago while the batch is not over."""
        if self.results_at is None or self.results_wanted:
            return False
        if self.status is BatchStatus.COMPLETED and self.results_at > self.updated_at:
            return True
        return now < self.results_at + RESULTS_FRESH

    # ---- what happens to it ----------------------------------------------------------------------------------------

    def _with(
        self, status: BatchStatus, now: datetime, reason: str | None = None, counts: Mapping[str, int] | None = None
    ) -> "Batch":
        at = max(now, self.changes[-1].at + MILLISECOND) if self.changes else now
        change = BatchChange(status, at, reason, self.start_at, dict(counts or {}), self.valid, self.total)
        return replace(self, changes=(*self.changes, change))

    def begin(self, now: datetime, start: bool) -> "Batch":
        """The first event; `start`: it starts as soon as its file has been read."""
        return replace(self, start_at=now if start else None)._with(BatchStatus.CREATED, now)

    def schedule(self, at: datetime, bypass_call_guardrails: bool, now: datetime) -> "Batch":
        """Start at `at`. Raises ValueError once it is due, running or over, or has been scheduled too often."""
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
        """So many rows have been read, and contacts up to `stored_to` are stored."""
        return replace(self, total=total, valid=valid, stored_to=stored_to)

    def processed(self, total: int, valid: int, now: datetime) -> "Batch":
        """The whole file has been read and stored."""
        read = replace(self, total=total, valid=valid, stored_to=valid, ingested=True)
        return read._with(BatchStatus.PROCESSED, now) if self.status is BatchStatus.CREATED else read

    def fail(self, reason: str, now: datetime) -> "Batch":
        """The file cannot be used; contacts that were stored already are stopped."""
        return self if self.is_over else self._with(BatchStatus.FAILED, now, reason)

    def queue(self, now: datetime) -> "Batch":
        """It is due."""
        return self._with(BatchStatus.QUEUED, now)

    def run(self, now: datetime) -> "Batch":
        """Its first contacts are being dialled."""
        due = self if self.status is BatchStatus.QUEUED else self.queue(now)
        return due._with(BatchStatus.RUNNING, now)

    def stop(self, now: datetime, reason: str, counts: Mapping[str, int]) -> "Batch":
        """No contact is dialled any more. Raises ValueError where there is nothing to stop."""
        if not self.is_stoppable:
            raise ValueError(f"a batch that is {self.status} cannot be stopped")
        return self._with(BatchStatus.STOPPED, now, reason, counts)

    def complete(self, now: datetime, counts: Mapping[str, int]) -> "Batch":
        """Every contact is final."""
        return self._with(BatchStatus.COMPLETED, now, None, counts)

    def delete(self, now: datetime) -> "Batch":
        """Gone for its owner; its contacts follow."""
        return replace(self, deleted_at=self.deleted_at or now, cleared=False, cleared_row=0)

    def removed(self, now: datetime) -> "Batch":
        """Its tombstone: what answers the request that created it once more, and what a last look for leftovers needs.

        It has no events to send. `valid` and `ingested` stay: they say which contacts there may be.
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

    # ---- work ------------------------------------------------------------------------------------------------------

    def work(self, now: datetime) -> BatchWork | None:
        """What is to be done next; None: nothing.

        A deleted batch is looked at again (`DELETE_AGAIN`) while calls are live, and once more after its removal, when
        no invocation that began before it can still run: such a one may have stored something meanwhile.
        """
        if self.expires_at is not None:
            last_look = self.expires_at - TOMBSTONE_LIFE + WORK_LEASE
            return BatchWork.DELETE_AGAIN if not self.cleared and now >= last_look else None
        if self.deleted_at is not None:
            return BatchWork.DELETE_AGAIN if self.cleared else BatchWork.DELETE
        if self.is_over:
            if not self.cleared:
                return BatchWork.LEAVE if self.status is BatchStatus.COMPLETED else BatchWork.CLEAR
        elif not self.ingested:
            return BatchWork.INGEST
        elif self.status is BatchStatus.RUNNING:
            return BatchWork.RESULTS if self.results_wanted else BatchWork.AUDIT
        elif self.start_at is not None and self.start_at <= now:
            return BatchWork.START
        return BatchWork.RESULTS if self.results_wanted else None

    def take_work(self, worker: str, now: datetime) -> "Batch | None":
        """Make `worker` the one that works; None while another does."""
        if self.worker not in (None, worker) and self.worker_until is not None and self.worker_until > now:
            return None
        return replace(self, worker=worker, worker_until=now + WORK_LEASE)

    def leave_work(self) -> "Batch":
        return replace(self, worker=None, worker_until=None)

    # ---- telling, and looking again ----------------------------------------------------------------------------------

    def pending(self) -> tuple[int, ...]:
        """Sequences of the events to be sent, in order."""
        if self.is_tombstone:
            return ()
        return pending_events(self.delivery, self.last_sequence)

    def lease_delivery(self, lease_id: str, now: datetime) -> "Batch":
        """Make `lease_id` the one that may send now; the same batch where there is nothing to send, or another may."""
        leased = self.delivery.leased(lease_id, now) if self.pending() else None
        return self if leased is None else replace(self, delivery=leased)

    def with_due(self, now: datetime) -> "Batch":
        """`due_at` for what is stored now: the time by which something must have happened; None when all is done."""
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
            case None:
                return self.start_at + TIMER_GRACE if self.start_at is not None and not self.is_over else None
        return now + WORK_GRACE


def contact_id(batch_id: str, row: int) -> str:
    """The execution id of a batch's contact number `row` (1 is the first accepted row of the file)."""
    return str(uuid.uuid5(uuid.UUID(batch_id), str(row)))


def is_batch_id(text: str) -> bool:
    """Whether an id has the form of a batch's: 32 hexadecimal digits (an execution's has dashes)."""
    return len(text) == 32 and all(character in "0123456789abcdef" for character in text)


def subject(subject_id: str) -> dict[str, str | int]:
    """The event that names an execution or a batch: {"execution_id": …} or {"batch_id": …}, by the id's form."""
    return {"batch_id" if is_batch_id(subject_id) else "execution_id": subject_id}


def contact(batch: Batch, row: int, number: str, data: dict[str, str]) -> Execution:
    """A contact of the batch, untouched: queued since the batch was created."""
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
    ).begin(created, None)


def all_final(counts: Mapping[str, int], contacts: int) -> bool:
    """Whether `contacts` contacts are all final, by how many stand where."""
    final = sum(count for status, count in counts.items() if Status(status) in FINAL)
    return final == contacts == sum(counts.values())
