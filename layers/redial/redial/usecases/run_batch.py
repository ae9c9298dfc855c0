"""What is long about a batch: reading its file, starting it, looking after it, stopping or removing its contacts.

One invocation at a time works at a batch. It can be cut off anywhere: what is done is written down as it is done, and
doing a piece again changes nothing, since a contact's id follows from its row and storing one never overwrites it.
Before its time is up it invokes itself; if that is lost, the sweeper does.

A batch that is over leaves its agent's queue. A running one is looked at every ten minutes: contacts whose turn
was taken by somebody who then died are found there (they are still untouched) and wait in the queue from then on.
The same check compares what is derived with its source: the time of the delayed set's next look with its entries, and,
when a batch stands still for an hour, its counts and its delayed set with its contacts.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from redial.domain.batch import RUNNING_CHECK, Batch, BatchStatus, Recount, all_final, contact, contact_id
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.repair import BatchRepair
from redial.ports import (
    Agents,
    Batches,
    BatchQueueEntry,
    Executions,
    Files,
    Invoker,
    Lines,
    QueuedCall,
    StaleVersion,
    Timers,
)
from redial.usecases.batches import contacts_key, dispatch_batch
from redial.usecases.count_batches import complete_if_over, counts_of
from redial.usecases.lines import queued_call, release_line
from redial.usecases.stop import is_stopped, stop_waiting

ROWS_AT_ONCE = 500
"""Contacts stored, or read, between two looks at the clock."""
ROWS_PER_CHECKPOINT = 10_000
"""Rows read between two writes of how far the file has been read."""
LEFT_BEHIND = timedelta(minutes=5)
"""After its turn was taken, how long a contact may stay untouched before whoever took it is thought to be lost."""
SECONDS_TO_SPARE = 60.0
"""With less time left the next invocation goes on."""

_log = logging.getLogger(__name__)


class Row(Protocol):
    """A row of the file that is a contact: number `row` of them."""

    @property
    def row(self) -> int: ...
    @property
    def number(self) -> str: ...
    @property
    def data(self) -> dict[str, str]: ...


class ReadContacts(Protocol):
    """Reads a batch's file, each time from its beginning."""

    def check(self, pieces: Iterable[bytes]) -> None:
        """Read as much of a file as an answer has time for. Raises `InvalidInput` for a file that is no CSV of
        contacts, or has none."""

    def rows(self, pieces: Iterable[bytes]) -> AbstractContextManager[Iterator[Row | str]]:
        """Contacts, and for each row that is none its line of the file of rejected rows; the first is that file's head.
        Raises `InvalidInput` where the file turns out to be unusable."""

    def results(self, pieces: Iterable[bytes], find: Callable[[list[int]], dict[int, Execution]]) -> Iterator[str]:
        """The lines of the results file, the first its head; `find` gives the executions of some rows."""


class _Stopped(Exception):
    """The batch has been stopped, deleted or given to another worker meanwhile."""


@dataclass
class CarriedOn:
    """What one invocation did: kinds of work, in their order, and what it put right."""

    work: list[str] = field(default_factory=list)
    repairs: Counter[BatchRepair] = field(default_factory=Counter)


@dataclass(frozen=True)
class Worker:
    """What carrying batches on needs. `seconds_left`: how long this invocation may still run."""

    batches: Batches
    executions: Executions
    agents: Agents
    lines: Lines
    timers: Timers
    invoker: Invoker
    files: Files
    contacts: ReadContacts
    now: Callable[[], datetime]

    def run(self, batch_id: str, worker: str, seconds_left: Callable[[], float]) -> CarriedOn:
        """Do what is to be done for the batch, one kind of work after the other.

        `worker` is this invocation's own name.
        """
        done = CarriedOn()
        while True:
            now = self.now()
            batch = self.batches.get(batch_id)
            work = None if batch is None else batch.work(now)
            if batch is None or work is None or not _ONCE.get(work, frozenset()).isdisjoint(done.work):
                return done
            taken = batch.take_work(worker, now)
            if taken is None:
                return done
            try:
                batch = self.batches.save(taken.with_due(now))
                finished = self._do(work, batch, seconds_left, done.repairs)
            except StaleVersion:
                continue  # it was stopped, paused or scheduled in this moment: look again
            except _Stopped:
                finished = True
            done.work.append(work)
            self._leave(batch_id, worker)
            if not finished:
                self.invoker.batch(batch_id)
                return done

    def _do(self, work: str, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]) -> bool:
        """Whether it is finished; False: time is up."""
        match work:
            case "ingest":
                return self._ingest(batch, seconds_left)
            case "start":
                return self._start(batch)
            case "clear":
                return self._clear(batch, seconds_left)
            case "leave":
                return self._leave_queue(batch)
            case "delete" | "delete again":
                return self._delete(batch, seconds_left)
            case "results":
                return self._results(batch)
        return self._check(batch, seconds_left, repairs)

    def _leave(self, batch_id: str, worker: str) -> None:
        self._change(batch_id, worker, Batch.leave_work)

    def _change(self, batch_id: str, worker: str | None, apply: Callable[[Batch], Batch]) -> Batch | None:
        """Apply a change to the batch as stored; None, and nothing changed, where this invocation is not its worker."""
        while True:
            before = self.batches.get(batch_id)
            if before is None or before.worker != worker:
                return None
            after = apply(before)
            if after is before:
                return before
            now, lease_id = self.now(), f"c-{before.version}"
            if after.last_sequence > before.last_sequence:
                after = after.lease_delivery(lease_id, now)
            try:
                after = self.batches.save(after.with_due(now))
            except StaleVersion:
                continue
            if after.delivery.lease_id == lease_id:
                self.invoker.deliver(batch_id, lease_id)
            return after

    # ---- reading the file ------------------------------------------------------------------------------------------

    def _ingest(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Store a contact for each row; the file is read from its beginning, contacts known to be stored are passed."""
        key = contacts_key(batch.account_id, batch.id, "contacts")
        total = valid = since_checkpoint = 0
        stored = batch.stored_to
        waiting: list[Execution] = []
        try:
            with (
                self.files.writing(contacts_key(batch.account_id, batch.id, "rejected")) as reject,
                self.contacts.rows(self.files.read(key)) as rows,
            ):
                reject(str(next(rows)))
                for row in rows:
                    total += 1
                    if isinstance(row, str):
                        reject(row)
                    else:
                        valid = row.row
                        if row.row > stored:
                            waiting.append(contact(batch, row.row, row.number, row.data))
                    since_checkpoint += 1
                    if len(waiting) >= ROWS_AT_ONCE:
                        self.executions.create_contacts(waiting)
                        waiting.clear()
                        if since_checkpoint >= ROWS_PER_CHECKPOINT:
                            since_checkpoint = 0
                            self._progressed(batch, total, valid)
                        if seconds_left() < SECONDS_TO_SPARE:
                            self._progressed(batch, total, valid)
                            raise TimeoutError
                self.executions.create_contacts(waiting)
        except TimeoutError:
            return False  # the file of rejected rows is written by whoever reaches the end
        except InvalidInput as error:
            reason = error.message.removeprefix("file: ")
            self._change(batch.id, batch.worker, lambda current: current.fail(reason, self.now()))
            return True
        self._change(batch.id, batch.worker, lambda current: self._read(current, total, valid))
        return True

    def _progressed(self, batch: Batch, total: int, valid: int) -> None:
        """Raises `_Stopped` where nobody wants the rest any more."""
        after = self._change(batch.id, batch.worker, lambda current: current.progressed(total, valid, valid))
        if after is None or after.is_over or after.deleted_at is not None:
            raise _Stopped
        _log.info("contacts read", extra={"batch_id": batch.id, "total": total, "valid": valid})

    def _read(self, current: Batch, total: int, valid: int) -> Batch:
        if current.is_over:
            return current.progressed(total, valid, valid)
        read = current.processed(total, valid, self.now())
        return read if valid else read.fail("no row of the file is a contact; rejected.csv says why", self.now())

    # ---- running ---------------------------------------------------------------------------------------------------

    def _start(self, batch: Batch) -> bool:
        """It is due: let it stand in its agent's queue, and start as many calls as there are free lines."""
        if self._stopped_with_agent(batch):
            return True
        interval = None
        if batch.calls_per_second is not None:
            interval = timedelta(milliseconds=max(1, round(1000 / batch.calls_per_second)))
        now = self.now()
        entry = BatchQueueEntry(
            batch.id,
            batch.agent_id,
            next_row=1,
            last_row=batch.valid,
            served_at=now,
            interval=interval,
            paused=batch.paused,
            first_dials_first=batch.first_dials_first,
        )
        after = self._change(batch.id, batch.worker, lambda current: self._running(current, now))
        if after is None or not after.may_dial:
            return True
        self.lines.join(entry)
        fresh = self.batches.get(batch.id)
        if fresh is None or not fresh.may_dial:  # stopped since: whoever stopped it may have looked before it joined
            self.lines.leave(batch.agent_id, batch.id)
            return True
        dispatch_batch(batch, self.agents, self.lines, self.invoker, now)
        return True

    @staticmethod
    def _running(current: Batch, now: datetime) -> Batch:
        if current.is_over or current.deleted_at is not None or current.status is BatchStatus.RUNNING:
            return current
        return current.run(now)

    def _check(self, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]) -> bool:
        """Look after a running batch: its place in the queue, contacts left behind, its delayed set, free lines, its
        counts, its end."""
        if self._stopped_with_agent(batch):
            return True
        now = self.now()
        entry = self.lines.queue_entry(batch.agent_id, batch.id)
        if entry is None:  # a crash between being stored as running and joining; nobody was taken from it yet
            return self._start(batch)
        if entry.paused != batch.paused:
            self.lines.pause(batch.agent_id, batch.id, batch.paused)
        finished = self._find_left_behind(batch, entry.next_row - 1, seconds_left, repairs)
        if self.lines.repair_delayed(batch.agent_id, batch.id, now):
            _log.warning("the delayed set would have been looked at too late", extra={"batch_id": batch.id})
            repairs[BatchRepair.WAKE_UP_LOST] += 1
        if finished:
            finished = self._compare_counts(batch, seconds_left, repairs)
        if not batch.paused:
            dispatch_batch(batch, self.agents, self.lines, self.invoker, now)
        following = self.lines.next_delayed(batch.id, now)
        if following is not None:
            self.timers.schedule_batch_run(batch.id, "room", int(following.timestamp()), following, now)
        complete_if_over(batch.id, batches=self.batches, invoker=self.invoker, now=now)
        return finished

    def _stopped_with_agent(self, batch: Batch) -> bool:
        """Whether its agent was stopped after it was asked to start, or deleted; it is stopped then. The listing by
        which a stop of the agent finds its batches may not have shown this one."""
        agent = self.agents.get(batch.account_id, batch.agent_id)
        gone = agent is None or agent.deleted_at is not None
        if agent is not None and not gone and not is_stopped(agent, batch.start_asked_at):
            return False
        counts, reason = counts_of(batch, self.batches), f"agent {'deleted' if gone else 'stopped'}"

        def apply(current: Batch) -> Batch:
            covered = gone or current.start_asked_at == batch.start_asked_at
            return current.stop(self.now(), reason, counts) if covered and current.is_stoppable else current

        self._change(batch.id, batch.worker, apply)
        return True

    def _find_left_behind(
        self, batch: Batch, taken_row: int, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]
    ) -> bool:
        """Contacts whose turn was taken and that are still untouched wait in the queue from now on.

        Rows taken since the look before are left for the next one: their dial may be on its way.
        """
        now = self.now()
        if batch.checked_at is not None and now < batch.checked_at + LEFT_BEHIND:
            return True
        row, up_to = batch.audit_from, batch.audited_to
        while row < up_to:
            rows = range(row + 1, min(row + ROWS_AT_ONCE, up_to) + 1)
            self._queue_left_behind(batch, self.executions.read([contact_id(batch.id, one) for one in rows]), repairs)
            row = rows[-1]
            if seconds_left() < SECONDS_TO_SPARE:
                break
        finished = row >= up_to

        def apply(current: Batch) -> Batch:
            checked = replace(current, audit_from=row)
            return replace(checked, audited_to=taken_row, checked_at=now) if finished else checked

        self._change(batch.id, batch.worker, apply)
        return finished

    def _queue_left_behind(self, batch: Batch, contacts: list[Execution], repairs: Counter[BatchRepair]) -> None:
        """The turn of these contacts was taken: those to which nothing has happened since wait in the queue from now
        on, unless they are in the delayed set."""
        not_started = [delayed_entry(one) for one in contacts if one.is_not_started]
        for entry in self.lines.absent_from_delayed(batch.id, not_started):
            if self.lines.enqueue(batch.agent_id, entry):
                _log.warning("a contact was left behind", extra={"execution_id": entry.execution_id})
                repairs[BatchRepair.LEFT_BEHIND] += 1

    # ---- its counts ------------------------------------------------------------------------------------------------

    def _compare_counts(self, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]) -> bool:
        """While nothing is counted for long, count the contacts themselves, correct the counts, and complete the batch
        if all are final. False: time is up, the next invocation goes on.

        The recount is no snapshot: contacts may change while it reads. It is believed where nothing was counted
        meanwhile and no contact has changed lately, so that no record can be on its way. A contact that is final stays
        so, therefore a batch whose contacts are all found final may be completed in any case.
        """
        counted, now = self.batches.counted(batch.id), self.now()
        recount = batch.recount
        if recount is None or recount.position != counted.position:
            self._change(batch.id, batch.worker, _recounting(Recount.begin(counted.position, now)))
            return True
        if now < recount.due:
            return True
        while recount.row < batch.valid:
            recount = self._recount_some(batch, recount, repairs)
            if seconds_left() < SECONDS_TO_SPARE or recount.row % ROWS_PER_CHECKPOINT < ROWS_AT_ONCE:
                self._change(batch.id, batch.worker, _recounting(recount))
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        self._conclude(batch, recount, repairs)
        return True

    def _recount_some(self, batch: Batch, recount: Recount, repairs: Counter[BatchRepair]) -> Recount:
        """Count the next contacts. Each of them that waits must stand where it is looked for."""
        rows = range(recount.row + 1, min(recount.row + ROWS_AT_ONCE, batch.valid) + 1)
        contacts = self.executions.read([contact_id(batch.id, one) for one in rows])
        checked = [one for one in contacts if one.row is not None and one.row <= batch.audit_from]
        self._queue_left_behind(batch, checked, repairs)
        self._restore_entries(
            batch, [one for one in contacts if one.state.is_delayed and one.state.is_waiting], repairs
        )
        found = Counter(recount.found)
        found.update(str(one.state.status) for one in contacts)
        changed = [one.state.updated_at for one in contacts if not one.is_not_started]
        newest = max((*changed, recount.newest) if recount.newest is not None else changed, default=None)
        return replace(recount, row=rows[-1], found=dict(found), newest=newest)

    def _restore_entries(self, batch: Batch, contacts: list[Execution], repairs: Counter[BatchRepair]) -> None:
        """Contacts that are stored as waiting in the delayed set enter it again where they have no entry.

        An entry is removed only after its contact was stored as not waiting there. So where the contact is still as it
        was read, after its entry was looked for, the entry is missing indeed.
        """
        versions = {one.id: one.version for one in contacts}
        for entry in self.lines.absent_from_delayed(batch.id, [delayed_entry(one) for one in contacts]):
            current = self.executions.get(entry.execution_id)
            if current is not None and current.version == versions[entry.execution_id]:
                self.lines.add_delayed(batch.agent_id, batch.id, entry)
                _log.warning("a contact was not in the delayed set", extra={"execution_id": entry.execution_id})
                repairs[BatchRepair.ENTRY_LOST] += 1

    def _conclude(self, batch: Batch, recount: Recount, repairs: Counter[BatchRepair]) -> None:
        """Every contact was read: believe the recount, or have it done again."""
        counted, now = self.batches.counted(batch.id), self.now()
        found = dict(recount.found)
        moves = counted.position != recount.position
        moves = moves or (recount.newest is not None and recount.newest > now - RUNNING_CHECK)
        if moves and not all_final(found, batch.valid):
            again = replace(Recount.begin(counted.position, now), due=now + RUNNING_CHECK)
            self._change(batch.id, batch.worker, _recounting(again))
            return
        corrected = None if found == counted.counts else found
        if corrected is not None and corrected != recount.corrected and not moves:
            _log.warning(
                "the counts were wrong", extra={"batch_id": batch.id, "counts": counted.counts, "recount": found}
            )
            repairs[BatchRepair.COUNTS_WRONG] += 1
        settled = replace(recount, position=counted.position).again(now, corrected)
        self._change(batch.id, batch.worker, _recounting(settled))

    # ---- its end ---------------------------------------------------------------------------------------------------

    def _clear(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Stop every contact that waits; live calls finish."""
        self.lines.leave(batch.agent_id, batch.id)
        reason = "batch stopped" if batch.status is BatchStatus.STOPPED else "the batch's file cannot be used"
        for last_row, contacts in self._contacts(batch):
            for execution in contacts:
                if execution.state.is_waiting:
                    self._stop(execution, reason)
            self._cleared(batch, last_row)
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        return self._leave_queue(batch)

    def _leave_queue(self, batch: Batch) -> bool:
        """Nobody of it waits any more."""
        self.lines.leave(batch.agent_id, batch.id)
        self.lines.clear_delayed(batch.id)
        self._change(batch.id, batch.worker, lambda current: replace(current, cleared=True))
        return True

    def _stop(self, execution: Execution, reason: str) -> None:
        stop_waiting(
            execution.id,
            reason,
            self.executions,
            self.agents,
            self.lines,
            self.timers,
            self.invoker,
            self.now(),
            known=execution,
        )

    def _delete(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Remove its contacts with their pending schedules, its files, its counts, and at last the batch but for its
        tombstone.

        A call that is live, and one whose events are still being delivered, is left for a later look. The tombstone is
        worked on once in the same way: an invocation that began before the removal may have stored something since.
        """
        self.lines.leave(batch.agent_id, batch.id)
        left: int | None = None
        for last_row, contacts in self._contacts(batch):
            for execution in contacts:
                if not self._remove(execution) and left is None and execution.row is not None:
                    left = execution.row
            self._cleared(batch, last_row if left is None else left - 1)
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        self.lines.clear_delayed(batch.id)
        if left is not None:
            if not batch.is_tombstone:
                self._change(batch.id, batch.worker, lambda current: replace(current, cleared=True))
            return True
        for name in ("contacts", "rejected", "results"):
            self.files.remove(contacts_key(batch.account_id, batch.id, name))
        self.batches.remove_counts(batch.id)
        now = self.now()
        self._change(
            batch.id,
            batch.worker,
            lambda current: replace(current, cleared=True) if current.is_tombstone else current.removed(now),
        )
        return True

    def _remove(self, execution: Execution) -> bool:
        """False: it is live, or has events to deliver."""
        state = execution.state
        if not state.is_waiting and (not state.is_final or execution.pending()):
            return False
        if state.is_waiting and state.queued_at is not None and not execution.is_not_started and not state.is_delayed:
            # First: a queue entry must not outlive its execution.
            self.lines.dequeue(execution.agent_id, queued_call(execution))
        try:
            self.executions.remove(execution)
        except StaleVersion:
            fresh = self.executions.get(execution.id)
            return fresh is None or self._remove(fresh)
        if state.timer is not None and not state.is_delayed:
            self.timers.cancel_dial(execution.id, state.timer[0])
        agent = self.agents.get(execution.account_id, execution.agent_id) if state.attempt.line is not None else None
        if agent is not None and state.attempt.line is not None and state.is_waiting:
            number = state.attempt.number
            release_line(agent, state.attempt.line, execution.id, number, self.lines, self.invoker, self.now())
        return True

    def _contacts(self, batch: Batch) -> Iterator[tuple[int, list[Execution]]]:
        """Its contacts from where this work has got to, (last row, contacts) piece by piece; also those that an ingest,
        cut off, stored after its last checkpoint."""
        row = batch.cleared_row
        while True:
            found = self.executions.read([contact_id(batch.id, row + one) for one in range(1, ROWS_AT_ONCE + 1)])
            row += ROWS_AT_ONCE
            if found:
                yield row, found
            if row >= batch.valid + 2 * ROWS_PER_CHECKPOINT or (batch.ingested and row >= batch.valid):
                return

    def _cleared(self, batch: Batch, row: int) -> None:
        self._change(batch.id, batch.worker, lambda current: replace(current, cleared_row=row))

    # ---- its results -----------------------------------------------------------------------------------------------

    def _results(self, batch: Batch) -> bool:
        """Write the results file, as things stand now."""
        now = self.now()
        with self.files.writing(contacts_key(batch.account_id, batch.id, "results")) as write:
            for line in self.result_lines(batch):
                write(line)
        self._change(batch.id, batch.worker, lambda current: replace(current, results_wanted=False, results_at=now))
        return True

    def result_lines(self, batch: Batch) -> Iterator[str]:
        return self.contacts.results(
            self.files.read(contacts_key(batch.account_id, batch.id, "contacts")),
            lambda rows: found_by_row(batch, rows, self.executions),
        )


_ONCE = {
    "check": frozenset({"check"}),
    "delete": frozenset({"delete", "delete again"}),
    "delete again": frozenset({"delete", "delete again"}),
}
"""Work that is not done in an invocation that has done one of these: its next time is later."""


def _recounting(recount: Recount) -> Callable[[Batch], Batch]:
    return lambda current: replace(current, recount=recount)


def delayed_entry(execution: Execution) -> QueuedCall:
    """How an execution that is stored as waiting in its batch's room stands there."""
    number, at = execution.state.attempt.number, execution.state.next_time
    assert at is not None, "it waits"
    return QueuedCall(execution.id, number, number > 1, at)


def found_by_row(batch: Batch, rows: list[int], executions: Executions) -> dict[int, Execution]:
    """The executions of some rows of a batch."""
    found = executions.read([contact_id(batch.id, row) for row in rows])
    return {one.row: one for one in found if one.row is not None}
