"""The sweeper: every minute, it repairs everything that should have progressed by now and has not.

Every open execution has a `due_at`. The sweeper repeats overdue steps, all of which are idempotent, and moves `due_at`
ahead. It finds a timer that was never set or never fired, a dial whose answer was not recorded, a call without
callbacks, events that wait for delivery, a line whose call is over, and a queue that disagrees with its calls.

    the minute's run ──► lines, then the shards of the due index, then queue checks; at most `limit` items of the shards
       │    └─ what is left of a shard ──► a worker for that shard, which works until it is done or its time is up,
       │                                    and then invokes itself again
       └─ a shard with calls to ask about ──► an asker for that shard, which asks several questions at once, and goes on
                                               in the same way

The run and its workers never wait for a carrier, so a slow carrier delays only its own answers. A shard has one asker
at a time, which bounds the number of concurrent requests to carriers.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice

from redial.domain.agent import Agent
from redial.domain.batch import Batch, BatchWork
from redial.domain.execution import CLAIM_GRACE, Execution
from redial.domain.gates import stop_reason
from redial.domain.outcome import CallReport
from redial.domain.queue import LINES_CHECK, KeyLines
from redial.domain.repair import Repair
from redial.domain.status import Status
from redial.ports import Carrier, CarrierBusy, CarrierUnavailable, Due, NotYetKnown, Services, StaleVersion
from redial.usecases import key_lines
from redial.usecases.dial_attempt import call_request
from redial.usecases.dispatch import Pool, dispatch, queued_call, release_line, shards
from redial.usecases.record_report import suppress_if_opted_out
from redial.usecases.stop import ask_to_cancel, unless_stopped
from redial.usecases.update import Updated, save, update

LONGEST_CALL = timedelta(hours=25)
"""No carrier keeps a call up longer: a call without a known end after this time is lost."""
CALL_OVER_GRACE = timedelta(minutes=15)
"""How long after a call's latest possible end the carrier's answer "no such call" is not yet accepted."""
LINE_GRACE = timedelta(minutes=2)
"""How long a line is held before its holder is checked. Longer than dial can run (60 s) between line and claim."""
SECONDS_TO_SPARE = 15.0
"""With less time left, no further item is begun."""
SECONDS_FOR_A_QUESTION = 25.0
"""With less time left, no carrier is asked: one request takes up to 10 s, and then its answer is stored."""
SECONDS_FOR_A_CANCEL = 45.0
"""With less time left, no call is canceled: that takes up to four requests."""
PAGE = 100
"""Number of items read together."""

WORKER_LEASE = timedelta(minutes=2)
"""Lease of a worker or an asker on its shard: longer than one invocation runs, and than the next takes to start."""
MOST_HOPS = 20
"""How often a worker or an asker may invoke itself again; the next minute's run continues with the rest."""
QUESTIONS_AT_ONCE = 4
"""How many concurrent requests an asker makes. The 16 shards have 16 askers, so they make at most 64: carriers limit
concurrent requests, and dial needs some of them."""

MOST_WAITING = 1000
"""Maximum entries of an agent's queue that are counted each minute."""

_log = logging.getLogger(__name__)


@dataclass
class SweepReport:
    """What one invocation did: items checked (`looked_at`), repairs by kind, executions before and after the carrier's
    answer (`changes`), items that raised an error, and whether it stopped before the end (`cut_short`).

    `lines_in_use` and `calls_waiting` are counted by the minute's run only, and None for others.
    """

    looked_at: int = 0
    repairs: Counter[Repair] = field(default_factory=Counter)
    changes: list[Updated] = field(default_factory=list)
    errors: int = 0
    cut_short: bool = False
    lines_in_use: int | None = None
    calls_waiting: int | None = None

    def add(self, other: "SweepReport") -> None:
        """Add the report of a part of the invocation."""
        self.looked_at += other.looked_at
        self.repairs += other.repairs
        self.changes += other.changes
        self.errors += other.errors
        self.cut_short |= other.cut_short


class _TooLate(Exception):
    """Too little time is left to begin a step."""


@dataclass
class _Run:
    """One invocation: the time and number of items that it has left, and what it has already read.

    `shard`: the shard that is being processed. `asked`: shards whose asker was invoked. `to_dispatch`: agents and API
    keys with queued calls. `busy`: carriers that accept no more requests.
    """

    seconds_left: Callable[[], float]
    items: int | None = None
    shard: int | None = None
    report: SweepReport = field(default_factory=SweepReport)
    asked: set[int] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    agents: dict[tuple[str, str], Agent | None] = field(default_factory=dict)
    queues: dict[str, bool] = field(default_factory=dict)
    holders: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    to_dispatch: dict[str, Pool] = field(default_factory=dict)

    def is_out_of_time(self) -> bool:
        return self.seconds_left() < SECONDS_TO_SPARE

    def is_over(self) -> bool:
        return self.items == 0 or self.is_out_of_time()

    def need(self, seconds: float) -> None:
        """Raises `_TooLate` if less time is left."""
        if self.seconds_left() < seconds:
            raise _TooLate


@dataclass(frozen=True)
class Sweeper:
    """Repairs whatever should have progressed by now."""

    services: Services

    def sweep(self, due_shards: int, first_shard: int, limit: int, seconds_left: Callable[[], float]) -> SweepReport:
        """The minute's run: lines, then all shards of the due index from `first_shard` on, then queue checks.

        After `limit` items of the shards, or when time runs short, each shard with remaining items is handed to a
        worker. Shards under a worker's lease are left to the worker. An item that raises is logged and counted, and
        does not affect others.
        """
        run = _Run(seconds_left)
        watched = list(self.services.due_items.watched())
        now = self.services.now()
        done = self._work_through((due for due in watched if due.due_at <= now), run)
        run.items = limit
        left = self._overdue([(first_shard + step) % due_shards for step in range(due_shards)], run, now)
        run.report.cut_short = bool(left) or not done
        for shard in left:
            self.services.invoker.sweep_shard(shard, self.services.new_id()[:8], 1)
        run.items = run.shard = None
        self._work_through(self.services.due_items.queue_checks(now), run)
        self._finish(run)
        self._measure(watched, run)
        return run.report

    def sweep_shard(self, shard: int, token: str, hop: int, seconds_left: Callable[[], float]) -> SweepReport:
        """A worker: process the overdue items of one shard. If time runs short, the next hop continues.

        It returns at once if another worker has the shard's lease, or this hop was already made.
        """
        run = _Run(seconds_left, shard=shard)
        now = self.services.now()
        if not self.services.sweep_leases.take(str(shard), token, hop, now, now + WORKER_LEASE):
            return run.report
        done = self._work_through(self.services.due_items.overdue(shard, now), run)
        run.report.cut_short = not done
        if not done and hop < MOST_HOPS:
            self.services.invoker.sweep_shard(shard, token, hop + 1)
        else:
            self.services.sweep_leases.release(str(shard), token, hop)
        self._finish(run)
        return run.report

    def ask(self, shard: int, token: str, hop: int, seconds_left: Callable[[], float]) -> SweepReport:
        """An asker: ask carriers about the overdue calls of one shard, `QUESTIONS_AT_ONCE` at a time, and store their
        answers. If time runs short, the next hop continues.

        It returns at once if the shard has an asker. The next hop is invoked when all requests have been answered.
        """
        run, lease = _Run(seconds_left), _asker(shard)
        now = self.services.now()
        if not self.services.sweep_leases.take(lease, token, hop, now, now + WORKER_LEASE):
            return run.report
        overdue = self.services.due_items.overdue(shard, now)
        while not run.report.cut_short and (page := list(islice(overdue, PAGE))):
            self._ask_about([due.execution_id for due in page if due.execution_id is not None], run)
        if run.report.cut_short and hop < MOST_HOPS:
            self.services.invoker.ask(shard, token, hop + 1)
        else:
            self.services.sweep_leases.release(lease, token, hop)
        return run.report

    # ---- the pass over what is overdue ------------------------------------------------------------------------------

    def _overdue(self, order: Sequence[int], run: _Run, now: datetime) -> list[int]:
        """Process the shards in that order. Returns those with remaining items."""
        left: list[int] = []
        held: set[str] | None = None
        for shard in order:
            overdue = self.services.due_items.overdue(shard, now)
            first = next(overdue, None)
            if first is None:
                continue
            if held is None:
                held = self.services.sweep_leases.held(now)
            run.shard = shard
            if str(shard) not in held and not self._work_through(chain([first], overdue), run):
                left.append(shard)
        return left

    def _work_through(self, overdue: Iterable[Due], run: _Run) -> bool:
        """Process each item. False: the run was over before the end."""
        remaining = iter(overdue)
        while not run.is_over():
            page = list(islice(remaining, PAGE if run.items is None else min(PAGE, run.items)))
            if not page:
                return True
            if not self._page(page, run):
                return False
        return next(remaining, None) is None

    def _page(self, page: list[Due], run: _Run) -> bool:
        ids = list(dict.fromkeys(due.execution_id for due in page if due.execution_id is not None))
        executions = self._read_together(ids)
        absent = self._absent(executions.values() if executions is not None else ())
        for due in page:
            if run.is_out_of_time():
                return False
            run.report.looked_at += 1
            if run.items is not None:
                run.items -= 1
            self._guarded(partial(self._look_at, due, executions, absent, run), _names(due), run)
        return True

    def _guarded(self, work: Callable[[], None], names: Mapping[str, str | None], run: _Run) -> None:
        try:
            work()
        except StaleVersion:
            return  # another invocation is changing it
        except _TooLate:
            run.report.cut_short = True
        except Exception:  # noqa: BLE001  one bad item must not keep the others waiting; it is logged and counted
            run.report.errors += 1
            _log.exception("sweeping failed", extra=names)

    def _read_together(self, ids: Sequence[str]) -> dict[str, Execution] | None:
        """The executions by id. None if they cannot be read together: they are then read one by one, so that the error
        names its item."""
        try:
            return {execution.id: execution for execution in self.services.executions.read(ids)}
        except Exception:  # noqa: BLE001  the item at fault raises it again
            _log.warning("items cannot be read together", exc_info=True)
            return None

    def _absent(self, executions: Iterable[Execution]) -> set[str]:
        """The ids of the executions that wait for a line and are in no queue."""
        return key_lines.absent(self.services, [one for one in executions if _belongs_in_queue(one)])

    def _look_at(self, due: Due, executions: dict[str, Execution] | None, absent: set[str], run: _Run) -> None:
        if due.execution_id is not None:
            if executions is None:
                execution = self.services.executions.get(due.execution_id)
                absent = self._absent([] if execution is None else [execution])
            else:
                execution = executions.get(due.execution_id)
            if execution is not None and execution.due_at is not None and execution.due_at <= self.services.now():
                self._execution(execution, absent, run)
        elif due.batch_id is not None:
            self._batch(due.batch_id, run.report)
        elif due.event_id is not None:
            self.services.invoker.deliver(due.event_id, None)
        elif due.agent_id is not None and due.shard is not None:
            self._lines(due.agent_id, due.shard, run)

    def _finish(self, run: _Run) -> None:
        """Start waiting calls of the queues that were checked."""
        for pool in run.to_dispatch.values():
            for shard in range(shards(pool)):
                if run.is_out_of_time():
                    return  # the lines are checked within minutes
                dispatch(self.services, pool, (shard,), self.services.now())

    def _measure(self, watched: list[Due], run: _Run) -> None:
        """Count lines in use and waiting calls, while there is time: an incomplete count is better than none."""
        agents: set[str] = set()
        in_use = waiting = 0
        for due in watched:
            if due.agent_id is not None and due.shard is not None and not run.is_out_of_time():
                if not KeyLines.names(due.agent_id):  # those calls also hold lines of their agents
                    in_use += len(self.services.lines.holders(due.agent_id, due.shard))
                if due.agent_id not in agents:
                    agents.add(due.agent_id)
                    waiting += self.services.queue.waiting(due.agent_id, MOST_WAITING)
        run.report.lines_in_use, run.report.calls_waiting = in_use, waiting

    def _agent(self, account_id: str, agent_id: str, run: _Run) -> Agent | None:
        if (account_id, agent_id) not in run.agents:
            run.agents[account_id, agent_id] = self.services.agents.get(account_id, agent_id)
        return run.agents[account_id, agent_id]

    # ---- executions -----------------------------------------------------------------------------------------------

    def _execution(self, execution: Execution, absent: set[str], run: _Run) -> None:
        now = self.services.now()
        if _is_question(execution, now):  # it stays overdue until its shard's asker has an answer
            if run.shard is not None and run.shard not in run.asked:
                run.asked.add(run.shard)
                self.services.invoker.ask(run.shard, self.services.new_id()[:8], 1)
            return
        if execution.state.is_waiting:
            self._wake(execution, absent, run, now)
        self._redeliver(execution, run.report, now)
        save(self.services.executions, execution, now)

    def _wake(self, execution: Execution, absent: set[str], run: _Run, now: datetime) -> None:
        state = execution.state
        number = state.attempt.number
        if state.timer is None:
            agent = self._agent(execution.account_id, execution.agent_id, run)
            if agent is None:
                self.services.invoker.dial(execution.id, number)
                return
            if execution.id in absent and not self._holds_line(execution, agent, run):
                self.services.queue.enqueue(agent.agent_id, queued_call(execution))
                dialled_before = execution.delivery.settled > 0  # dial delivers the first event
                run.report.repairs[Repair.QUEUE_ENTRY_LOST if dialled_before else Repair.DIAL_LOST] += 1
            run.to_dispatch[agent.pool_id] = agent
            if (lines := execution.key_lines) is not None:
                run.to_dispatch[lines.pool_id] = lines
        elif state.timer[1] > now:
            self.services.timers.schedule_dial(execution.id, number, state.timer[0], state.timer[1], now)
            run.report.repairs[Repair.TIMER_SET] += 1
        else:
            self.services.invoker.dial(execution.id, number)
            run.report.repairs[Repair.TIMER_MISSED] += 1

    def _holds_line(self, execution: Execution, agent: Agent, run: _Run) -> bool:
        """Whether the call was given a line. Then it has left the queue, and the check of the lines finds it."""
        for shard in range(shards(agent)):
            if (agent.agent_id, shard) not in run.holders:
                run.holders[agent.agent_id, shard] = set(self.services.lines.holders(agent.agent_id, shard))
            if execution.id in run.holders[agent.agent_id, shard]:
                return True
        return False

    def _redeliver(self, subject: Execution | Batch, report: SweepReport, now: datetime) -> None:
        delivery = subject.delivery
        if not subject.pending():
            return
        if delivery.next_try_at is not None and delivery.next_try_at > now:
            self.services.timers.schedule_delivery(subject.id, subject.version, delivery.next_try_at, now)
            report.repairs[Repair.REDELIVERY_SET] += 1
        elif delivery.may_send(None, now):
            self.services.invoker.deliver(subject.id, None)
            report.repairs[Repair.DELIVERY_LOST] += 1

    # ---- questions to the carrier -----------------------------------------------------------------------------------

    def _ask_about(self, ids: Sequence[str], run: _Run) -> None:
        """Ask carriers about those calls of a page whose state only the carrier knows, several at once. Each has its
        own report."""
        if run.seconds_left() < SECONDS_FOR_A_QUESTION:
            run.report.cut_short = True
            return
        found, now = self._read_together(ids), self.services.now()

        def question(execution_id: str) -> SweepReport:
            own = replace(run, report=SweepReport())
            self._guarded(partial(self._ask, execution_id, found, own), {"execution_id": execution_id}, own)
            return own.report

        to_ask = ids if found is None else [one.id for one in found.values() if _is_overdue_question(one, now)]
        for done in self.services.each(question, to_ask, QUESTIONS_AT_ONCE):
            run.report.add(done)

    def _ask(self, execution_id: str, found: Mapping[str, Execution] | None, run: _Run) -> None:
        """Ask the carrier about the call, and store the answer. The execution stays overdue if too little time is left,
        or its carrier is busy."""
        execution = self.services.executions.get(execution_id) if found is None else found[execution_id]
        if execution is None or not _is_overdue_question(execution, self.services.now()):
            return
        run.need(SECONDS_FOR_A_QUESTION)
        if execution.provider in run.busy:
            return
        run.report.looked_at += 1
        self._redeliver(execution, run.report, self.services.now())
        attempt = execution.state.attempt
        assert attempt.dialed_at is not None
        agent = self._agent(execution.account_id, execution.agent_id, run)
        lost: str | None = None
        report: CallReport | None = None
        over_after, permanent = LONGEST_CALL, False
        try:
            report, lost = self._answer(execution, agent, run)
        except NotYetKnown as error:
            _log.info("carrier cannot tell yet: %s", error, extra={"execution_id": execution.id})
            run.report.repairs[Repair.CALL_UNDECIDED] += 1
            if attempt.call_id is None:  # a carrier whose answers settle nothing must not hold the line for a day
                over_after, permanent = _longest_call(agent, attempt.dialed_at), True  # the phone may have rung
        except CarrierBusy as error:
            run.busy.add(execution.provider)
            _log.warning("the other questions wait for the next run: %s", error, extra={"provider": execution.provider})
            if self.services.now() < attempt.dialed_at + LONGEST_CALL:
                return
        except CarrierUnavailable as error:
            _log.warning("carrier cannot be asked: %s", error, extra={"execution_id": execution.id})
            run.report.repairs[Repair.CARRIER_SILENT] += 1
        now = self.services.now()
        if report is None and lost is None and now - attempt.dialed_at >= over_after:
            lost = "nothing was heard of the call for longer than a call can last"
        if report is None and execution.state.status is Status.CALL_DISCONNECTED:
            lost = "the carrier does not say who answered"
        changed = (report, lost) != (None, None) and self._store(execution, report, lost, permanent, run.report, now)
        if not changed:
            save(self.services.executions, execution, now)

    def _answer(self, execution: Execution, agent: Agent | None, run: _Run) -> tuple[CallReport | None, str | None]:
        """The carrier's report on the call, or the reason why it is lost; both None if it is too early to tell.

        Raises `CarrierUnavailable`.
        """
        attempt = execution.state.attempt
        assert attempt.dialed_at is not None
        carrier = self.services.carrier(execution.provider)
        if attempt.call_id is not None:
            report = self._canceled(execution, agent, run) or carrier.ask(attempt.call_id)
            if report is not None:
                return report, None
            if self.services.now() < attempt.dialed_at + _longest_call(agent, attempt.dialed_at):
                raise NotYetKnown("the carrier does not know the call, which may still be up")
            return None, "the carrier no longer knows the call"
        is_late = self.services.now() - attempt.dialed_at >= _proved_after(carrier, agent, attempt.dialed_at)
        if agent is None:
            return None, "the agent is gone, and no report on the call has come" if is_late else None
        known = frozenset(other.call_id for other in execution.state.attempts if other.call_id is not None)
        request = call_request(self.services, execution, agent)
        to_store = SECONDS_TO_SPARE
        report = carrier.find(request, attempt.dialed_at, known, lambda: run.seconds_left() - to_store)
        return report, "the carrier has no call for this attempt" if report is None and is_late else None

    def _canceled(self, execution: Execution, agent: Agent | None, run: _Run) -> CallReport | None:
        """Have an unanswered call canceled if it is being stopped, or its agent or batch was stopped while it was
        placed. Returns the carrier's report; None: it is not such a call, or the carrier cannot cancel it."""
        if not execution.state.is_unanswered:
            return None
        batch = None if execution.batch_id is None else self.services.batches.get(execution.batch_id)
        reason = execution.state.attempt.stopping or stop_reason(execution, agent, batch)
        if reason is None:
            return None
        run.need(SECONDS_FOR_A_CANCEL)
        try:
            return ask_to_cancel(self.services, execution, reason, self.services.now())
        except CarrierBusy:
            raise
        except CarrierUnavailable as error:
            _log.warning("a call cannot be canceled: %s", error, extra={"execution_id": execution.id})
            return None

    def _store(
        self,
        execution: Execution,
        report: CallReport | None,
        lost: str | None,
        permanent: bool,
        done: SweepReport,
        now: datetime,
    ) -> bool:
        """Store the report, or that the call is lost. Returns whether that changed the execution."""
        lease_id = f"sweep-{self.services.new_id()[:8]}"
        number = execution.state.attempt.number
        permanent |= self.services.carrier(execution.provider).limits.absence_proves_after is None

        def transition(current: Execution) -> Execution:
            state = current.state
            if state.attempt.number != number or state.is_final or not (state.is_dialling or state.is_live):
                return current
            if report is None:
                after = current.mark_lost(now, lost or "lost", permanent=permanent)
            else:
                after = current.reported(number, report, now)
            return unless_stopped(self.services, current, after)

        suppress_if_opted_out(self.services, execution.id, None if report is None else report.outcome)
        updated = update(self.services, execution.id, transition, now, lease_id=lease_id, snapshot=execution)
        if updated is None or updated.after is updated.before:
            return False
        if updated.before.state.status is not Status.CALL_DISCONNECTED:  # missing machine detection is not a repair
            done.repairs[Repair.CALL_LOST if report is None else Repair.CALLBACK_LOST] += 1
        done.changes.append(updated)
        return True

    # ---- batches --------------------------------------------------------------------------------------------------

    def _batch(self, batch_id: str, report: SweepReport) -> None:
        """Re-invoke overdue batch work and deliveries."""
        now = self.services.now()
        batch = self.services.batches.get(batch_id)
        if batch is None or batch.due_at is None or batch.due_at > now:
            return
        work = batch.work(now)
        if work is not None:
            self.services.invoker.batch(batch_id)
            if work not in (BatchWork.AUDIT, BatchWork.DELETE_AGAIN, BatchWork.EXPIRE):  # these are due regularly
                report.repairs[Repair.BATCH_LOST] += 1
        elif batch.start_at is not None and not batch.is_over and batch.timer is not None:
            self.services.timers.schedule_batch_run(batch_id, "start", batch.timer, batch.start_at, now)
        self._redeliver(batch, report, now)
        save(self.services.batches, batch, now)

    # ---- lines ----------------------------------------------------------------------------------------------------

    def _pool(self, pool_id: str, shard: int, run: _Run) -> Pool | None:
        """The agent or API key that owns the lines. None: the agent no longer exists, or no line was ever held."""
        owner = self.services.lines.owner(pool_id, shard)
        if owner is None:
            return None
        return KeyLines.parse(owner, pool_id) or self._agent(owner, pool_id, run)

    def _lines(self, pool_id: str, shard: int, run: _Run) -> None:
        """Free the lines of calls that are over or were never placed, invoke dial for calls that were given a line of
        their agent and never dialled, then dispatch queued calls."""
        now = self.services.now()
        pool = self._pool(pool_id, shard, run)
        holders = self.services.lines.holders(pool_id, shard)
        doubted = {one: holder for one, holder in holders.items() if now - holder[1] >= LINE_GRACE}
        found = {execution.id: execution for execution in self.services.executions.read(list(doubted))}
        for execution_id, (attempt, since) in doubted.items():
            execution = found.get(execution_id)
            if execution is not None and isinstance(pool, KeyLines):
                if execution.key_pool == pool_id and execution.state.needs_key_line(attempt, now):
                    continue  # a lost dial is found when the execution is due
            elif execution is not None and _needs_line(execution, attempt, shard, now):
                due = execution.state.next_time
                if due is not None and due <= now:  # it was given the line, and its dial was lost
                    self.services.invoker.dial(execution_id, attempt, shard)
                    run.report.repairs[Repair.DIAL_LOST] += 1
                continue
            if pool is not None:
                release_line(self.services, pool, shard, execution_id, attempt, now, since)
            else:
                self.services.lines.release(pool_id, shard, execution_id, attempt, since)
            run.report.repairs[Repair.LINE_LOST] += 1
        if pool_id not in run.queues:
            run.queues[pool_id] = self._check_front(pool_id, run.report)
        if pool is not None and run.queues[pool_id]:
            dispatch(self.services, pool, (shard,), now)
        self.services.lines.recheck_at(pool_id, shard, now + LINES_CHECK, queue_empty=not run.queues[pool_id])

    def _check_front(self, agent_id: str, report: SweepReport) -> bool:
        """Remove entries of calls that are gone, live or over from the front of the queue. Returns whether it had any
        entry.

        The entry of a call that is being dialled stays, since the call may be deferred to the same place in the queue.
        """
        queue = self.services.queue.front(agent_id)
        found = {one.id: one for one in self.services.executions.read([one.execution_id for one in queue.calls])}
        for entry in queue.calls:
            execution = found.get(entry.execution_id)
            state = None if execution is None else execution.state
            if state is None or state.is_final or state.is_live or state.attempt.number > entry.attempt:
                self.services.queue.dequeue(agent_id, entry)
                report.repairs[Repair.QUEUE_ENTRY_STALE] += 1
        return bool(queue.calls or queue.batches)


def _asker(shard: int) -> str:
    """The name of the lease of a shard's asker."""
    return f"a{shard}"


def _is_question(execution: Execution, now: datetime) -> bool:
    """Whether only the carrier knows the state of the call."""
    state = execution.state
    return state.is_live or (
        state.claimed_at is not None and state.is_dialling and now >= state.claimed_at + CLAIM_GRACE
    )


def _is_overdue_question(execution: Execution, now: datetime) -> bool:
    return execution.due_at is not None and execution.due_at <= now and _is_question(execution, now)


def _belongs_in_queue(execution: Execution) -> bool:
    state = execution.state
    return state.is_waiting and state.timer is None and not state.is_delayed


def _proved_after(carrier: Carrier, agent: Agent | None, dialed_at: datetime) -> timedelta:
    """How long after its dial an attempt ends if its call is not found: when that proves that there is no call or, if
    it never does, when no call can be up any more. In the second case it is not retried, since the phone may have
    rung."""
    proves_after = carrier.limits.absence_proves_after
    return _longest_call(agent, dialed_at) if proves_after is None else proves_after


def _longest_call(agent: Agent | None, dialed_at: datetime) -> timedelta:
    """How long after its dial a call may be up, by its agent's settings unless they have changed since."""
    if agent is None or agent.updated_at > dialed_at:
        return LONGEST_CALL
    seconds = agent.ring_timeout_seconds + agent.max_call_seconds
    return min(LONGEST_CALL, timedelta(seconds=seconds) + CALL_OVER_GRACE)


def _needs_line(execution: Execution, attempt: int, shard: int, now: datetime) -> bool:
    state = execution.state
    if not state.still_needs_line(attempt):
        return False
    if state.is_waiting and state.queued_at is None:
        return False  # it waits for a timer, not for the line
    if state.timer is not None and state.timer[1] > now and state.attempt.line_shard is None:
        return False  # it gave up its line for a long wait that the carrier asked for
    return state.attempt.line_shard in (shard, None)


def _names(due: Due) -> dict[str, str | None]:
    names = ("execution_id", "batch_id", "agent_id", "event_id")
    return {name: getattr(due, name) for name in names}
