"""The safety net: every minute, everything that should have moved by now and has not.

Every open execution has a `due_at`. What the sweeper finds overdue it does again (all of it is safe to repeat) and
moves `due_at` on: a timer that was never made or never fired, a dial whose answer nobody recorded, a call without
callbacks, events nobody is delivering, a line whose call is over.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from redial.domain.agent import Agent
from redial.domain.execution import CLAIM_GRACE, UNKNOWN_DEADLINE, Execution
from redial.domain.outcome import CallReport
from redial.domain.repair import Repair
from redial.ports import (
    Agents,
    Batches,
    Carrier,
    CarrierUnavailable,
    Due,
    DueItems,
    Executions,
    Functions,
    Lines,
    NotYetKnown,
    StaleVersion,
    Timers,
)
from redial.usecases.change import change, follow_up
from redial.usecases.dial_attempt import call_request
from redial.usecases.lines import LINES_CHECK, fill, fill_all, pass_on, waiter
from redial.usecases.stop import unless_called_off

LONGEST_CALL = timedelta(hours=25)
"""No carrier keeps a call up longer (Twilio's TimeLimit ends at 24 hours): one still unaccounted for is lost."""
LINE_GRACE = timedelta(minutes=5)
"""A line is held at least this long before anybody doubts its holder."""
SECONDS_TO_SPARE = 30.0
"""With less time left no further item is begun: asking the carrier may take two requests of 15 s and more."""

MOST_WAITING = 1000
"""How many entries of an agent's queue are counted each minute."""

_log = logging.getLogger(__name__)


@dataclass
class Swept:
    """What one run did: repairs by kind, executions before and after what the carrier said of them when it was asked,
    items that raised, and whether it stopped before the end.

    `queued_at`: agents whose queue was put right, to be looked at when that is done. `carrier_silent`: the carrier
    could not be asked once; it is not asked again in this run, for each question may take longer than all the rest.
    The last two are what it saw: lines that calls hold, and calls that wait for one.
    """

    looked_at: int = 0
    repairs: Counter[Repair] = field(default_factory=Counter)
    changes: list[tuple[Execution, Execution]] = field(default_factory=list)
    errors: int = 0
    cut_short: bool = False
    queued_at: dict[str, Agent] = field(default_factory=dict)
    carrier_silent: bool = False
    lines_in_use: int = 0
    calls_waiting: int = 0


@dataclass(frozen=True)
class Sweeper:
    """What sweeping needs."""

    executions: Executions
    due_items: DueItems
    agents: Agents
    batches: Batches
    lines: Lines
    timers: Timers
    functions: Functions
    carrier_of: Callable[[str], Carrier]
    callback_url: Callable[[str, int], str]
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def sweep(self, shards: int, first_shard: int, limit: int, seconds_left: Callable[[], float]) -> Swept:
        """Look at everything overdue in all `shards` of the due index, beginning with `first_shard`, at most `limit`.

        What is not reached stays overdue and is met by the next run, which begins elsewhere. An item that raises is
        logged and counted and does not keep the others waiting.
        """
        swept = Swept()
        watched = list(self.due_items.watched())
        due_now = (due for due in watched if due.due_at <= self.now())
        for due in chain(due_now, self._overdue(shards, first_shard)):
            if swept.looked_at >= limit or seconds_left() < SECONDS_TO_SPARE:
                swept.cut_short = True
                break
            swept.looked_at += 1
            try:
                self._look_at(due, swept)
            except StaleVersion:
                continue  # it is moving by itself
            except Exception:  # noqa: BLE001  one bad item must not keep the others waiting; it is logged and counted
                swept.errors += 1
                _log.exception("sweeping failed", extra=_names(due))
        for agent in swept.queued_at.values():
            fill_all(agent, self.lines, self.functions, self.now())
        self._measure(watched, swept, seconds_left)
        return swept

    def _overdue(self, shards: int, first_shard: int) -> Iterator[Due]:
        for step in range(shards):
            yield from self.due_items.overdue((first_shard + step) % shards, self.now())

    def _measure(self, watched: list[Due], swept: Swept, seconds_left: Callable[[], float]) -> None:
        """Count lines and calls that wait, as far as there is time: too little is counted rather than nothing."""
        agents: set[str] = set()
        for due in watched:
            if due.agent_id is not None and due.shard is not None and seconds_left() > SECONDS_TO_SPARE:
                swept.lines_in_use += len(self.lines.holders(due.agent_id, due.shard))
                if due.agent_id not in agents:
                    agents.add(due.agent_id)
                    swept.calls_waiting += self.lines.waiting(due.agent_id, MOST_WAITING)

    def _look_at(self, due: Due, swept: Swept) -> None:
        if due.execution_id is not None:
            execution = self.executions.get(due.execution_id)
            if execution is not None and execution.due_at is not None and execution.due_at <= self.now():
                self._execution(execution, swept)
        elif due.batch_id is not None:
            self._batch(due.batch_id, swept)
        elif due.agent_id is not None and due.shard is not None:
            self._lines(due.agent_id, due.shard, swept)

    # ---- executions -----------------------------------------------------------------------------------------------

    def _execution(self, execution: Execution, swept: Swept) -> None:
        now = self.now()
        agent = self.agents.get(execution.account_id, execution.agent_id)
        state = execution.state
        if state.is_dialling or state.is_live:
            execution = self._ask(execution, agent, swept, now)
        elif state.is_waiting:
            self._wake(execution, agent, swept, now)
        if agent is not None:
            self._free_ended(execution, agent, swept, now)
        self._redeliver(execution, swept, now)
        if execution.due_at is not None and execution.due_at <= now:
            self.executions.save(execution.with_due(now))

    def _wake(self, execution: Execution, agent: Agent | None, swept: Swept, now: datetime) -> None:
        state = execution.state
        number = state.attempt.number
        if state.timer is None:
            if agent is not None:
                self.lines.enqueue(agent.agent_id, waiter(execution))
                swept.queued_at[agent.agent_id] = agent
            else:
                self.functions.dial(execution.id, number)
        elif state.timer[1] > now:
            self.timers.wake_dial(execution.id, number, state.timer[0], state.timer[1], now)
            swept.repairs[Repair.TIMER_SET] += 1
        else:
            self.functions.dial(execution.id, number)
            swept.repairs[Repair.TIMER_MISSED] += 1

    def _ask(self, execution: Execution, agent: Agent | None, swept: Swept, now: datetime) -> Execution:
        """Ask the carrier what became of the call, and store what it says. The execution as it then is."""
        state = execution.state
        attempt = state.attempt
        assert attempt.dialed_at is not None
        age = now - attempt.dialed_at
        if state.is_dialling and age < CLAIM_GRACE:
            return execution
        carrier = self.carrier_of(execution.provider)
        lost: str | None = None
        report: CallReport | None = None
        try:
            if swept.carrier_silent:
                raise CarrierUnavailable("it was silent a moment ago")
            if attempt.call_id is not None:
                report = carrier.ask(attempt.call_id)
                if report is None:
                    lost = "the carrier no longer knows the call"
            elif agent is not None:
                known = frozenset(other.call_id for other in state.attempts if other.call_id is not None)
                request = call_request(execution, agent, self.callback_url)
                report = carrier.find(request, attempt.dialed_at, known)
                if report is None and age >= UNKNOWN_DEADLINE:
                    lost = "the carrier has no call for this attempt"
            elif age >= UNKNOWN_DEADLINE:
                lost = "the agent is gone and nobody reported on the call"
        except CarrierUnavailable as error:
            swept.carrier_silent |= not isinstance(error, NotYetKnown)
            _log.warning("carrier cannot be asked: %s", error, extra={"execution_id": execution.id})
            swept.repairs[Repair.CARRIER_SILENT] += 1
        if report is None and lost is None and age >= LONGEST_CALL:
            lost = "nothing was heard of the call for longer than a call can last"
        if report is None and lost is None:
            return execution
        return self._store(execution, report, lost, swept, now)

    def _store(
        self, execution: Execution, report: CallReport | None, lost: str | None, swept: Swept, now: datetime
    ) -> Execution:
        lease = f"sweep-{self.new_id()[:8]}"
        number = execution.state.attempt.number

        def apply(current: Execution) -> Execution:
            state = current.state
            if state.attempt.number != number or state.is_final or not (state.is_dialling or state.is_live):
                return current
            after = current.lost(now, lost or "lost") if report is None else current.reported(number, report, now)
            after = unless_called_off(current, after, self.agents, self.batches)
            return current if after is current else after.lease_delivery(lease, now)

        changed = change(self.executions, execution.id, now, apply)
        if changed is None:
            return execution
        before, after = changed
        if after is not before:
            swept.repairs[Repair.CALL_LOST if report is None else Repair.CALLBACK_LOST] += 1
            swept.changes.append(changed)
            follow_up(
                before,
                after,
                agents=self.agents,
                lines=self.lines,
                timers=self.timers,
                functions=self.functions,
                now=now,
                lease=lease,
            )
        return after

    def _free_ended(self, execution: Execution, agent: Agent, swept: Swept, now: datetime) -> None:
        """The line of the attempt that ended last, in case it was not handed on."""
        attempts = execution.state.attempts
        ended = attempts[-1] if execution.state.is_final else attempts[-2] if len(attempts) > 1 else None
        if ended is None or ended.line is None:
            return
        held = self.lines.holders(agent.agent_id, ended.line).get(execution.id)
        if held is not None and held[0] == ended.number:
            pass_on(agent, ended.line, execution.id, ended.number, self.lines, self.functions, now)
            swept.repairs[Repair.LINE_LOST] += 1

    def _redeliver(self, execution: Execution, swept: Swept, now: datetime) -> None:
        delivery = execution.delivery
        if not execution.pending():
            return
        if delivery.next_try_at is not None and delivery.next_try_at > now:
            self.timers.wake_deliver(execution.id, execution.version, delivery.next_try_at, now)
            swept.repairs[Repair.REDELIVERY_SET] += 1
        elif delivery.may_send(None, now):
            self.functions.deliver(execution.id, None)
            swept.repairs[Repair.DELIVERY_LOST] += 1

    # ---- batches --------------------------------------------------------------------------------------------------

    def _batch(self, batch_id: str, swept: Swept) -> None:
        """Have it carried on, and its events delivered."""
        now = self.now()
        batch = self.batches.get(batch_id)
        if batch is None or batch.due_at is None or batch.due_at > now:
            return
        work = batch.work(now)
        if work is not None:
            self.functions.batch(batch_id)
            if work not in ("check", "delete again"):  # these two are looks that come by themselves
                swept.repairs[Repair.BATCH_LOST] += 1
        elif batch.start_at is not None and not batch.is_over and batch.timer is not None:
            self.timers.wake_batch(batch_id, "start", batch.timer, batch.start_at, now)
        if batch.pending():
            delivery = batch.delivery
            if delivery.next_try_at is not None and delivery.next_try_at > now:
                self.timers.wake_deliver(batch_id, batch.version, delivery.next_try_at, now)
                swept.repairs[Repair.REDELIVERY_SET] += 1
            elif delivery.may_send(None, now):
                self.functions.deliver(batch_id, None)
                swept.repairs[Repair.DELIVERY_LOST] += 1
        self.batches.save(batch.with_due(now))

    # ---- lines ----------------------------------------------------------------------------------------------------

    def _lines(self, agent_id: str, shard: int, swept: Swept) -> None:
        """Free the lines of calls that are over, or that never became calls; dial those that were given one and never
        dialled; then start who waits."""
        now = self.now()
        owner = self.lines.owner(agent_id, shard)
        agent = self.agents.get(owner, agent_id) if owner is not None else None
        for execution_id, (attempt, since) in self.lines.holders(agent_id, shard).items():
            if now - since < LINE_GRACE:
                continue
            execution = self.executions.get(execution_id)
            if execution is not None and _needs_line(execution, attempt, shard, now):
                due = execution.state.next_time
                if due is not None and due <= now:  # it was given the line, and whoever was to dial it was lost
                    self.functions.dial(execution_id, attempt, shard)
                    swept.repairs[Repair.DIAL_LOST] += 1
            else:
                if agent is not None:
                    pass_on(agent, shard, execution_id, attempt, self.lines, self.functions, now)
                else:
                    self.lines.release(agent_id, shard, execution_id, attempt)
                swept.repairs[Repair.LINE_LOST] += 1
        if agent is not None:
            fill(agent, (shard,), self.lines, self.functions, now)
        self.lines.look_again(agent_id, shard, now + LINES_CHECK)


def _needs_line(execution: Execution, attempt: int, shard: int, now: datetime) -> bool:
    state = execution.state
    if state.is_final or state.attempt.number != attempt:
        return False
    if state.is_waiting and state.queued_at is None:
        return False  # it waits for a timer, not for the line
    if state.timer is not None and state.timer[1] > now and state.attempt.line is None:
        return False  # the carrier asked it to wait for long, and it gave its line up
    return state.attempt.line in (shard, None)


def _names(due: Due) -> dict[str, str | None]:
    return {"execution_id": due.execution_id, "batch_id": due.batch_id, "agent_id": due.agent_id}
