"""The batch worker: ingest, start, audit, stop, results, delete, in resumable steps.

One invocation at a time works on a batch. It can be cut off anywhere: progress is stored, and repeating a step changes
nothing, since a contact's id is derived from its row and storing a contact never overwrites it. Before its time is up
it invokes itself; if that invocation is lost, the sweeper repeats it.

A batch that is over leaves its agent's queue. A running batch is audited every ten minutes. The audit finds contacts
that were dispatched but whose dial was lost (they are still not started), and queues them. It also compares derived
values with their source: the delayed set's next time with its entries and, if the batch makes no progress for an hour,
its counts and its delayed set with its contacts.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from redial.domain.batch import (
    RUNNING_CHECK,
    Batch,
    BatchStatus,
    BatchWork,
    Recount,
    all_final,
    contact,
    contact_id,
)
from redial.domain.contact_index import IndexBuilder, hash_of
from redial.domain.errors import InvalidInput, NotFound
from redial.domain.execution import Execution
from redial.domain.gates import is_stopped
from redial.domain.queue import BatchQueueEntry
from redial.domain.repair import BatchRepair
from redial.domain.row_check import TIME_ZONE_COLUMN
from redial.ports import RejectedRow, Services, StaleVersion
from redial.usecases import key_lines
from redial.usecases.batches import contacts_key, dispatch_batch, index_key
from redial.usecases.count_batches import complete_if_over, counts_of
from redial.usecases.dispatch import delayed_call, release_line
from redial.usecases.shared_contacts import running_batches, shared_contacts
from redial.usecases.stop import cancel_all, line_holders, stop_with_batch
from redial.usecases.update import save, update_batch

ROWS_AT_ONCE = 500
"""Contacts read between two checks of the time left."""
STORED_AT_ONCE = 2_000
"""Contacts stored between two checks of the time left."""
STORED_TOGETHER = 25
"""Contacts stored in one request."""
WRITERS = 8
"""Requests that store contacts at the same time. If each takes 10 milliseconds, fewer already keep the function's
processor busy; botocore keeps ten connections open."""
ROWS_PER_CHECKPOINT = 10_000
"""Rows read between two writes of the progress."""
LEFT_BEHIND = timedelta(minutes=5)
"""How long after its dispatch a contact that has not started is queued."""
SECONDS_TO_SPARE = 60.0
"""With less time left, the next invocation continues."""

INDEX_TYPE = "application/octet-stream"

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The batch was stopped, deleted or given to another worker meanwhile."""


@dataclass
class BatchReport:
    """What one invocation did: kinds of work, in order, and repairs by kind."""

    work: list[BatchWork] = field(default_factory=list)
    repairs: Counter[BatchRepair] = field(default_factory=Counter)


@dataclass(frozen=True)
class BatchWorker:
    """Works on batches."""

    services: Services

    def run(self, batch_id: str, worker: str, seconds_left: Callable[[], float]) -> BatchReport:
        """Do the batch's work, one kind after the other. `worker`: this invocation's id. `seconds_left`: how long it
        may still run."""
        done = BatchReport()
        while True:
            now = self.services.now()
            batch = self.services.batches.get(batch_id)
            work = None if batch is None else batch.work(now)
            if batch is None or work is None or not _ONCE.get(work, frozenset()).isdisjoint(done.work):
                return done
            taken = batch.take_work(worker, now)
            if taken is None:
                return done
            try:
                batch = save(self.services.batches, taken, now)
                finished = self._do(work, batch, seconds_left, done.repairs)
            except StaleVersion:
                continue  # it was stopped, paused or scheduled meanwhile: read it again
            except _Stopped:
                finished = True
            done.work.append(work)
            self._update(batch, Batch.leave_work)
            if not finished:
                self.services.invoker.batch(batch_id)
                return done

    def _do(
        self, work: BatchWork, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]
    ) -> bool:
        """Do one kind of work. False: time was up before the end."""
        match work:
            case BatchWork.INGEST:
                return self._ingest(batch, seconds_left)
            case BatchWork.START:
                return self._start(batch)
            case BatchWork.CLEAR:
                return self._clear(batch, seconds_left)
            case BatchWork.LEAVE:
                return self._leave_queue(batch)
            case BatchWork.DELETE | BatchWork.DELETE_AGAIN:
                return self._delete(batch, seconds_left)
            case BatchWork.RESULTS:
                return self._results(batch)
            case BatchWork.ERASE:
                return self._erase(batch)
            case BatchWork.EXPIRE:
                self._update(batch, lambda current: current.delete(self.services.now()))
                return True
            case BatchWork.AUDIT:
                return self._audit(batch, seconds_left, repairs)

    def _update(self, batch: Batch, transition: Callable[[Batch], Batch]) -> Batch | None:
        """Apply a transition to the stored batch. None, with nothing changed, if another invocation works on it or it
        is gone. `batch`: as leased by this invocation."""

        def of_this_worker(current: Batch) -> Batch:
            if current.worker != batch.worker:
                raise _Stopped
            return transition(current)

        try:
            return update_batch(self.services, batch.id, of_this_worker, self.services.now())[1]
        except (NotFound, _Stopped):
            return None

    # ---- reading the file ------------------------------------------------------------------------------------------

    def _ingest(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Store a contact for each row. The file is read from its beginning; contacts known to be stored are
        skipped."""
        key = contacts_key(batch.account_id, batch.id, "contacts")
        total = valid = since_checkpoint = 0
        stored = batch.stored_to
        waiting: list[Execution] = []
        hasher = self.services.number_rules.hasher(batch.account_id)
        index = None if hasher is None else IndexBuilder(hasher)
        try:
            with (
                self.services.files.writing(contacts_key(batch.account_id, batch.id, "rejected")) as reject,
                self.services.contacts.rows(
                    self.services.files.read(key), premium=batch.premium_numbers, row_check=batch.rows
                ) as (header, rows),
            ):
                reject(header)
                for row in rows:
                    total += 1
                    if isinstance(row, RejectedRow):
                        reject(row.text)
                        if index is not None:
                            index.reject(row.reason)
                    else:
                        valid = row.row
                        if index is not None:
                            named = None if batch.row_check is None else row.data.get(TIME_ZONE_COLUMN, "").strip()
                            index.add(row.number, named or None)
                        if row.row > stored:
                            waiting.append(contact(batch, row.row, row.number, row.data))
                    since_checkpoint += 1
                    if len(waiting) >= STORED_AT_ONCE:
                        self._store(waiting)
                        waiting.clear()
                        if since_checkpoint >= ROWS_PER_CHECKPOINT:
                            since_checkpoint = 0
                            self._progressed(batch, total, valid)
                        if seconds_left() < SECONDS_TO_SPARE:
                            self._progressed(batch, total, valid)
                            raise TimeoutError
                self._store(waiting)
        except TimeoutError:
            return False  # the invocation that reaches the end writes rejected.csv
        except InvalidInput as error:
            reason = error.message.removeprefix("file: ")
            self._update(batch, lambda current: current.fail(reason, self.services.now()))
            return True
        if index is not None:
            content = self.services.contacts.index_file(index.build())
            self.services.files.put(index_key(batch.account_id, batch.id), content, INDEX_TYPE)
        self._update(batch, lambda current: self._read(current, total, valid, indexed=index is not None))
        return True

    def _store(self, contacts: list[Execution]) -> None:
        """Store the contacts, by several requests at once."""
        starts = range(0, len(contacts), STORED_TOGETHER)
        together = [contacts[start : start + STORED_TOGETHER] for start in starts]
        self.services.each(self.services.executions.create_contacts, together, WRITERS)

    def _progressed(self, batch: Batch, total: int, valid: int) -> None:
        """Store the progress. Raises `_Stopped` if the batch was stopped or deleted."""
        after = self._update(batch, lambda current: current.progressed(total, valid, valid))
        if after is None or after.is_over or after.deleted_at is not None:
            raise _Stopped
        _log.info("contacts read", extra={"batch_id": batch.id, "total": total, "valid": valid})

    def _read(self, current: Batch, total: int, valid: int, *, indexed: bool) -> Batch:
        if current.is_over:
            return current.progressed(total, valid, valid)
        read = current.processed(total, valid, self.services.now(), indexed=indexed)
        return (
            read if valid else read.fail("no row of the file is a contact; rejected.csv says why", self.services.now())
        )

    # ---- running ---------------------------------------------------------------------------------------------------

    def _start(self, batch: Batch) -> bool:
        """Start a batch that is due: add it to its agent's queue, and start as many calls as there are free lines."""
        if self._stopped_with_agent(batch):
            return True
        interval = None
        if batch.calls_per_second is not None:
            interval = timedelta(milliseconds=max(1, round(1000 / batch.calls_per_second)))
        now = self.services.now()
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
        after = self._update(batch, lambda current: self._running(current, now))
        if after is None or not after.may_dial:
            return True
        self.services.queue.join(entry)
        fresh = self.services.batches.get(batch.id)
        if fresh is None or not fresh.may_dial:  # stopped since, perhaps before it joined the queue
            self.services.queue.leave(batch.agent_id, batch.id)
            return True
        dispatch_batch(self.services, batch, now)
        return True

    @staticmethod
    def _running(current: Batch, now: datetime) -> Batch:
        if current.is_over or current.deleted_at is not None or current.status is BatchStatus.RUNNING:
            return current
        return current.run(now)

    def _audit(self, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]) -> bool:
        """Audit a running batch: queue entry, contacts left behind, delayed set, free lines, counts, end."""
        if self._stopped_with_agent(batch):
            return True
        now = self.services.now()
        entry = self.services.queue.batch_entry(batch.agent_id, batch.id)
        if entry is None:  # a crash between being stored as running and joining the queue
            return self._start(batch)
        if batch.indexed and not batch.compared:
            self._compare(batch)
        if entry.paused != batch.paused:
            self.services.queue.pause(batch.agent_id, batch.id, batch.paused)
        finished = self._find_left_behind(batch, entry.next_row - 1, seconds_left, repairs)
        if self.services.delayed.repair(batch.agent_id, batch.id):
            _log.warning("the delayed set was due too late", extra={"batch_id": batch.id})
            repairs[BatchRepair.WAKE_UP_LOST] += 1
        if finished:
            finished = self._compare_counts(batch, seconds_left, repairs)
        if not batch.paused:
            dispatch_batch(self.services, batch, now)
        following = self.services.delayed.next_due(batch.id, now)
        if following is not None:
            self.services.timers.schedule_batch_run(batch.id, "room", int(following.timestamp()), following, now)
        complete_if_over(self.services, batch.id, now)
        return finished

    def _compare(self, batch: Batch) -> None:
        """Count the contacts that other running batches of the account also have, and store the numbers with both
        batches.

        The batch has already joined the queue. Of two batches that start at once, the one that joined later finds the
        other.
        """
        found = shared_contacts(self.services, batch, running_batches(self.services, batch.account_id))
        for other, contacts in found.items():
            with suppress(NotFound):  # deleted meanwhile
                update_batch(self.services, other, _sharing(batch.id, contacts), self.services.now())
        self._update(batch, lambda current: replace(current.sharing(found), compared=True))

    def _stopped_with_agent(self, batch: Batch) -> bool:
        """Stop the batch if its agent was deleted, or stopped after the batch was asked to start. True if so. A stop of
        the agent finds its batches by a listing, which may have missed this one."""
        agent = self.services.agents.get(batch.account_id, batch.agent_id)
        gone = agent is None or agent.deleted_at is not None
        if agent is not None and not gone and not is_stopped(agent, batch.start_asked_at):
            return False
        counts, reason = counts_of(self.services, batch), f"agent {'deleted' if gone else 'stopped'}"

        def transition(current: Batch) -> Batch:
            covered = gone or current.start_asked_at == batch.start_asked_at
            return current.stop(self.services.now(), reason, counts) if covered and current.is_stoppable else current

        self._update(batch, transition)
        return True

    def _find_left_behind(
        self, batch: Batch, taken_row: int, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]
    ) -> bool:
        """Queue the contacts that were dispatched and have not started.

        Rows dispatched since the previous audit are left for the next one: their dial may be under way.
        """
        now = self.services.now()
        if batch.checked_at is not None and now < batch.checked_at + LEFT_BEHIND:
            return True
        row, up_to = batch.audit_from, batch.audited_to
        while row < up_to:
            rows = range(row + 1, min(row + ROWS_AT_ONCE, up_to) + 1)
            self._queue_left_behind(
                batch, self.services.executions.read([contact_id(batch.id, one) for one in rows]), repairs
            )
            row = rows[-1]
            if seconds_left() < SECONDS_TO_SPARE:
                break
        finished = row >= up_to

        def transition(current: Batch) -> Batch:
            checked = replace(current, audit_from=row)
            return replace(checked, audited_to=taken_row, checked_at=now) if finished else checked

        self._update(batch, transition)
        return finished

    def _queue_left_behind(self, batch: Batch, contacts: list[Execution], repairs: Counter[BatchRepair]) -> None:
        """Queue those of the dispatched `contacts` that have not started, unless they are in the delayed set."""
        lost = key_lines.absent(self.services, [one for one in contacts if one.is_not_started and one.key_pool])
        not_started = [
            delayed_call(one) for one in contacts if one.is_not_started and (one.key_pool is None or one.id in lost)
        ]
        for entry in self.services.delayed.absent(batch.id, not_started):
            if self.services.queue.enqueue(batch.agent_id, entry):
                _log.warning("a contact was left behind", extra={"execution_id": entry.execution_id})
                repairs[BatchRepair.LEFT_BEHIND] += 1

    # ---- its counts ------------------------------------------------------------------------------------------------

    def _compare_counts(self, batch: Batch, seconds_left: Callable[[], float], repairs: Counter[BatchRepair]) -> bool:
        """If no record was counted for long, count the contacts themselves, correct the counts, and complete the batch
        if all contacts are final. False: time is up, and the next invocation continues.

        The recount is not a snapshot: contacts may change while it reads. It is accepted if no record was counted
        meanwhile and no contact has changed recently, so that no record can be under way. A final contact stays final,
        so a batch whose contacts are all found final may be completed in any case.
        """
        counted, now = self.services.batches.counted(batch.id), self.services.now()
        recount = batch.recount
        if recount is None or recount.position != counted.position:
            self._update(batch, _recounting(Recount.begin(counted.position, now)))
            return True
        if now < recount.due:
            return True
        while recount.row < batch.valid:
            recount = self._recount_some(batch, recount, repairs)
            if seconds_left() < SECONDS_TO_SPARE or recount.row % ROWS_PER_CHECKPOINT < ROWS_AT_ONCE:
                self._update(batch, _recounting(recount))
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        self._conclude(batch, recount, repairs)
        return True

    def _recount_some(self, batch: Batch, recount: Recount, repairs: Counter[BatchRepair]) -> Recount:
        """Count the next contacts, and repair the queue and delayed entries of those that wait."""
        rows = range(recount.row + 1, min(recount.row + ROWS_AT_ONCE, batch.valid) + 1)
        contacts = self.services.executions.read([contact_id(batch.id, one) for one in rows])
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
        """Restore the missing entries of contacts that are stored as waiting in the delayed set.

        An entry is removed only after its contact was stored as no longer waiting there. So if the contact is unchanged
        after its entry was not found, the entry is missing.
        """
        versions = {one.id: one.version for one in contacts}
        for entry in self.services.delayed.absent(batch.id, [delayed_call(one) for one in contacts]):
            current = self.services.executions.get(entry.execution_id)
            if current is not None and current.version == versions[entry.execution_id]:
                self.services.delayed.add(batch.agent_id, batch.id, entry)
                _log.warning("a contact was not in the delayed set", extra={"execution_id": entry.execution_id})
                repairs[BatchRepair.ENTRY_LOST] += 1

    def _conclude(self, batch: Batch, recount: Recount, repairs: Counter[BatchRepair]) -> None:
        """Every contact was read: accept the recount, or schedule another one."""
        counted, now = self.services.batches.counted(batch.id), self.services.now()
        found = dict(recount.found)
        moves = counted.position != recount.position
        moves = moves or (recount.newest is not None and recount.newest > now - RUNNING_CHECK)
        if moves and not all_final(found, batch.valid):
            again = replace(Recount.begin(counted.position, now), due=now + RUNNING_CHECK)
            self._update(batch, _recounting(again))
            return
        corrected = None if found == counted.counts else found
        if corrected is not None and corrected != recount.corrected and not moves:
            _log.warning(
                "the counts were wrong", extra={"batch_id": batch.id, "counts": counted.counts, "recount": found}
            )
            repairs[BatchRepair.COUNTS_WRONG] += 1
        settled = replace(recount, position=counted.position).again(now, corrected)
        self._update(batch, _recounting(settled))

    # ---- its end ---------------------------------------------------------------------------------------------------

    def _clear(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Store every waiting contact as stopped, and cancel unanswered calls; answered calls finish.

        The contacts are already shown as stopped. Storing the stop sends their webhooks, so it is done for one contact
        after the other: a million at once would delay the webhooks of all other calls.
        """
        batch = self._withdraw(batch)
        self._cancel_unanswered(batch, batch.contacts_end, seconds_left)
        for last_row, contacts in self._contacts(batch):
            for execution in contacts:
                stop_with_batch(self.services, execution, self.services.now(), batch)
            self._cleared(batch, last_row)
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        return self._leave_queue(batch)

    def _withdraw(self, batch: Batch) -> Batch:
        """Withdraw the batch, which is over: stop its waiting contacts that hold a line, and mark it. Usually the
        request that stopped it has already done this."""
        self.services.queue.leave(batch.agent_id, batch.id)
        if batch.withdrawn:
            return batch
        for execution in self._line_holders(batch):
            stop_with_batch(self.services, execution, self.services.now(), batch)
        return self._update(batch, Batch.withdraw) or batch

    def _leave_queue(self, batch: Batch) -> bool:
        """End the work on a batch that is over: no contact waits any more. It leaves the queue, and its delayed set is
        cleared."""
        self.services.queue.leave(batch.agent_id, batch.id)
        self.services.delayed.clear(batch.id)
        self._update(batch, lambda current: replace(current, cleared=True))
        return True

    def _cancel_unanswered(self, batch: Batch, reason: str, seconds_left: Callable[[], float]) -> None:
        """Cancel the batch's calls that the carrier has queued or is ringing. They are found as line holders."""
        now = self.services.now()
        cancel_all(self.services, self._line_holders(batch), reason, now, lambda: seconds_left() >= SECONDS_TO_SPARE)

    def _line_holders(self, batch: Batch) -> list[Execution]:
        agent = self.services.agents.get(batch.account_id, batch.agent_id)
        held = [] if agent is None else line_holders(self.services, agent)
        return [one for one in held if one.batch_id == batch.id]

    def _delete(self, batch: Batch, seconds_left: Callable[[], float]) -> bool:
        """Remove the batch's contacts with their timers, its files, its counts, and at last the batch except its
        tombstone.

        A contact whose call is live, or whose events are still being delivered, is left for a later run. The tombstone
        is processed once in the same way: an invocation that began before the removal may have stored something since.
        """
        self.services.queue.leave(batch.agent_id, batch.id)
        self._cancel_unanswered(batch, "batch deleted", seconds_left)
        left: int | None = None
        for last_row, contacts in self._contacts(batch):
            for execution in contacts:
                if not self._remove(execution) and left is None and execution.row is not None:
                    left = execution.row
            self._cleared(batch, last_row if left is None else left - 1)
            if seconds_left() < SECONDS_TO_SPARE:
                return False
        self.services.delayed.clear(batch.id)
        if left is not None:
            if not batch.is_tombstone:
                self._update(batch, lambda current: replace(current, cleared=True))
            return True
        for name in ("contacts", "rejected", "results"):
            self.services.files.remove(contacts_key(batch.account_id, batch.id, name))
        self.services.files.remove(index_key(batch.account_id, batch.id))
        self.services.batches.remove_counts(batch.id)
        self.services.statistics.remove(batch.id)
        now = self.services.now()
        self._update(
            batch,
            lambda current: replace(current, cleared=True) if current.is_tombstone else current.removed(now),
        )
        return True

    def _remove(self, execution: Execution) -> bool:
        """Remove a contact. False: its call is live, or it has events to deliver."""
        state = execution.state
        if not state.is_waiting and (not state.is_final or execution.pending()):
            return False
        if state.is_waiting and state.queued_at is not None and not execution.is_not_started and not state.is_delayed:
            # This comes first: a queue entry must not outlive its execution.
            key_lines.dequeue(self.services, execution)
        try:
            self.services.executions.remove(execution)
        except StaleVersion:
            fresh = self.services.executions.get(execution.id)
            return fresh is None or self._remove(fresh)
        if state.timer is not None and not state.is_delayed:
            self.services.timers.cancel_dial(execution.id, state.timer[0])
        agent = (
            self.services.agents.get(execution.account_id, execution.agent_id)
            if state.attempt.line_shard is not None
            else None
        )
        if agent is not None and state.attempt.line_shard is not None and state.is_waiting:
            number = state.attempt.number
            release_line(self.services, agent, state.attempt.line_shard, execution.id, number, self.services.now())
        return True

    def _contacts(self, batch: Batch) -> Iterator[tuple[int, list[Execution]]]:
        """The batch's contacts after `cleared_row`, as (last row, contacts) piece by piece. Includes those that an
        ingest stored after its last checkpoint, if it was cut off."""
        row = batch.cleared_row
        while True:
            found = self.services.executions.read(
                [contact_id(batch.id, row + one) for one in range(1, ROWS_AT_ONCE + 1)]
            )
            row += ROWS_AT_ONCE
            if found:
                yield row, found
            if row >= batch.valid + 2 * ROWS_PER_CHECKPOINT or (batch.ingested and row >= batch.valid):
                return

    def _cleared(self, batch: Batch, row: int) -> None:
        self._update(batch, lambda current: replace(current, cleared_row=row))

    # ---- its results -----------------------------------------------------------------------------------------------

    def _results(self, batch: Batch) -> bool:
        """Write the results file from the current contacts."""
        now = self.services.now()
        with self.services.files.writing(contacts_key(batch.account_id, batch.id, "results")) as write:
            for line in self.result_lines(batch):
                write(line)
        self._update(batch, lambda current: replace(current, results_wanted=False, results_at=now))
        return True

    def _erase(self, batch: Batch) -> bool:
        """Rewrite the batch's files without the cells of erased rows. The results file is removed, and written again on
        request. Idempotent."""
        rows, files, contacts = frozenset(batch.erase_rows), self.services.files, self.services.contacts
        keys = {name: contacts_key(batch.account_id, batch.id, name) for name in ("contacts", "rejected", "results")}
        if not batch.ingested:  # its file is unusable, and is not shown
            for key in (*keys.values(), index_key(batch.account_id, batch.id)):
                files.remove(key)
            self._update(batch, lambda current: replace(current, erase_rows=()))
            return True
        how: Any = {"premium": batch.premium_numbers, "batch_id": batch.id, "row_check": batch.rows}
        numbers = contacts.numbers(files.read(keys["contacts"]), rows, **how)
        if numbers:
            self._erase_from_index(batch, numbers)
            with files.writing(keys["rejected"]) as write:
                for line in contacts.rejected_without(
                    files.read(keys["rejected"]), files.read(keys["contacts"]), numbers
                ):
                    write(line)
        with files.writing(keys["contacts"]) as write:  # last, since the numbers are read from this file
            for line in contacts.without_rows(files.read(keys["contacts"]), rows, **how):
                write(line)
        files.remove(keys["results"])

        def transition(current: Batch) -> Batch:
            left = tuple(row for row in current.erase_rows if row not in rows)
            return replace(current, erase_rows=left, results_at=None)

        self._update(batch, transition)
        return True

    def _erase_from_index(self, batch: Batch, numbers: frozenset[str]) -> None:
        hasher = self.services.number_rules.hasher(batch.account_id)
        if not batch.indexed or hasher is None:
            return
        key, contacts = index_key(batch.account_id, batch.id), self.services.contacts
        index = contacts.read_index(self.services.files.read(key))
        left = index.without({hash_of(hasher(number)) for number in numbers})
        self.services.files.put(key, contacts.index_file(left), INDEX_TYPE)

    def result_lines(self, batch: Batch) -> Iterator[str]:
        return self.services.contacts.results(
            self.services.files.read(contacts_key(batch.account_id, batch.id, "contacts")),
            lambda rows: found_by_row(self.services, batch, rows),
            premium=batch.premium_numbers,
            batch_id=batch.id,
            row_check=batch.rows,
        )


_ONCE = {
    BatchWork.AUDIT: frozenset({BatchWork.AUDIT}),
    BatchWork.DELETE: frozenset({BatchWork.DELETE, BatchWork.DELETE_AGAIN}),
    BatchWork.DELETE_AGAIN: frozenset({BatchWork.DELETE, BatchWork.DELETE_AGAIN}),
}
"""Kinds of work that an invocation does not do after one of these: they are due later."""


def _sharing(batch_id: str, contacts: int) -> Callable[[Batch], Batch]:
    return lambda current: current.sharing({batch_id: contacts})


def _recounting(recount: Recount) -> Callable[[Batch], Batch]:
    return lambda current: replace(current, recount=recount)


def found_by_row(services: Services, batch: Batch, rows: list[int]) -> dict[int, Execution]:
    """The executions of these rows of a batch, by row, as the API shows them."""
    found = services.executions.read([contact_id(batch.id, row) for row in rows])
    return {one.row: batch.shown(one) for one in found if one.row is not None}
