"""The dial protocol: read, gates, line, reserve, claim, call once, record. An attempt is at most one phone call.

waiting ─► gates ──► line ──► gates, rate, ──► circuit, pace ──► reserve, claim ──► carrier ──► record
   │         │ closed  │ none   endpoints        │ not now         │ lost             │
   │         ▼         ▼          │ closed       ▼                 ▼                  ├ accepted ─► initiated
   │     deferred   queued        ▼            later,            read               ├ refused ──► the attempt's end
   │     or ended              deferred     keeps its line        again              ├ not placed ► unclaimed, no retry
   └ not due, not              or ended                                               └ unknown ──► stays claimed until
     current, claimed: leave                                                             a report or the sweeper

Calls of an API key with a quota of lines also need one of the key's lines (`usecases.key_lines`).

An invocation waits only for a start within `SHORTEST_DELAY`. If the batch's rate limit or the carrier account's pace
sets a later one, dial gets a message with a delay, and all gates decide again when it arrives.

Gates run again after the line is acquired. A stop marks the agent or the batch, then stops line holders, so each dial
is either stopped or sees the mark. No dial starts after a stop was answered, and the stop need not read every call. In
the same way the rules about the number are read after the line, and a change to them then reads the holders of lines
(`usecases.number_rules`). Just before its claim, an attempt reserves its number (`usecases.one_call`).

An agent may have endpoints that are asked (`usecases.ask_endpoints`). That takes seconds. A stop, a pause or a
suppression meanwhile changes the call, and the claim fails on its version; the gates that depend on the time decide
again afterwards. What the endpoints allowed is valid for `ASKED_LASTS`: they are not asked again about a call that only
waits for its start, or whose write was too slow.

Before the line is acquired, the agent may be up to ten seconds old: a stale read may let a call acquire a line, but
never defers or ends it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.carrier_url import fill_in
from redial.domain.decision import KEY_LINE, Decision, Gate, Verdict, held, waits
from redial.domain.delivery import LEASE
from redial.domain.execution import CLAIM_GRACE, Execution, Marker
from redial.domain.gates import BEFORE_LINE, GATES, OF_AGENT, Facts, GateFunction, ask, from_numbers, with_expiry
from redial.domain.number_rules import NumberRule
from redial.domain.outcome import Accepted, DialResult, NotPlaced, Refused
from redial.domain.policy import Policy
from redial.domain.questions import ALLOWED
from redial.domain.queue import QueuedCall
from redial.domain.status import Status
from redial.domain.values import dataclass
from redial.ports import CallRequest, Carrier, Services, StaleVersion
from redial.usecases import key_lines, one_call
from redial.usecases.ask_endpoints import Answers, ask_endpoints, not_asked
from redial.usecases.circuit_breaker import Admission, Asked, breaker_of
from redial.usecases.defaults import account_limits, complete, complete_now, pace_of
from redial.usecases.dispatch import (
    acquire,
    delayed_call,
    dispatch_all,
    enqueue_and_dispatch,
    is_ahead,
    preferred_shard,
    queued_call,
    release_line,
)
from redial.usecases.policies import policy_of
from redial.usecases.record_report import suppress_if_opted_out
from redial.usecases.stop import unless_stopped
from redial.usecases.update import MOST_TRIES, apply_effects, save, write

SCHEDULER_PRECISION = timedelta(seconds=60)
"""How early or late a timer may fire."""
EARLY = timedelta(seconds=5)
"""A dial that is at most this early is repeated at its time, with its line if it was given one: clocks differ."""
SHORTEST_DELAY = timedelta(milliseconds=250)
"""The invocation waits for a start this close: a message takes at least a second."""
LONGEST_UNSTORED_WAIT = timedelta(seconds=60)
"""A longer wait for the carrier account's next start is stored, so that it is visible, and the sweeper does not treat
the message as lost."""
LATEST_PACED = timedelta(seconds=30)
"""A start of the pacer is no longer used this long after its time: several at once would exceed the pace."""
OWN_QUEUE = timedelta(seconds=1)
"""A longer wait in the carrier's own queue shows that calls arrive faster than the carrier starts them."""
ASKED_LASTS = timedelta(minutes=2)
"""How long the permission of the agent's endpoints is valid for the same dial: longer than a wait that is not
stored."""
TOLD_TOGETHER = timedelta(seconds=2)
"""How long the event `initiated` waits for `ringing`, which usually follows at once: one delivery sends both."""


@dataclass(frozen=True)
class DialReport:
    """What one invocation did.

    `before`: the execution just before the last save (claimed, if the carrier was asked); `found`: before the claim;
    `execution`: after the save (`before` and `execution` None: there is no such execution). `result`: the carrier's
    answer. `delayed_at`: the time of its entry in its batch's delayed set (None: it has none). `held`: it waits for its
    carrier account's open circuit. `opened`: the result opened a circuit. `needs_person`: it waits for a circuit whose
    cause a person must fix. `pace_wait`: how long it waits for its start by the pace of the carrier account.
    """

    before: Execution | None
    execution: Execution | None
    result: DialResult | None = None
    found: Execution | None = None
    delayed_at: datetime | None = None
    held: bool = False
    needs_person: bool = False
    opened: bool = False
    pace_wait: timedelta | None = None


@dataclass(frozen=True)
class Dialler:
    """Dials attempts."""

    services: Services

    def dial(
        self,
        execution_id: str,
        attempt: int,
        lease_id: str,
        line_shard: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
        paced_at: datetime | None = None,
        asked_at: datetime | None = None,
    ) -> DialReport:
        """Dial that attempt if it is due, current and not claimed; then have its events delivered.

        `lease_id`: a new id for the delivery lease. `line_shard`: the shard of the line that the attempt was given.
        `at`: its start by its batch's rate limit. `delayed_at`: the time of its entry in the delayed set. `paced_at`:
        its start by the carrier account's pace. `asked_at`: when its agent's endpoints allowed it. Raises
        `StaleVersion` if other writers were faster `MOST_TRIES` times; the sweeper then finds the call.
        """
        dial = Dial(self.services, attempt, lease_id, line_shard, at, delayed_at, paced_at, asked_at)
        report = dial.run(execution_id)
        execution = report.execution
        if execution is not None and execution.delivery.lease_id == lease_id:
            is_placed = execution.state.is_unanswered
            after = self.services.now() + TOLD_TOGETHER if is_placed else None
            self.services.invoker.deliver(execution_id, lease_id, None if is_placed else execution, after=after)
        return report


@dataclass
class Dial:
    """One invocation. `line_shard`: the shard of the line that the attempt holds, as far as is known. `start_at`: its
    start by its batch's rate limit; `paced_at`: by the carrier account's pace. `delayed_at`: the time of its entry in
    the delayed set. `asked_at`: when its agent's endpoints allowed it. `number`: the called number as last read for the
    gates. `key_line_at`: when this invocation last acquired a line of its API key."""

    services: Services
    attempt: int
    lease_id: str
    line_shard: int | None
    start_at: datetime | None
    delayed_at: datetime | None
    paced_at: datetime | None = None
    asked_at: datetime | None = None
    number: one_call.Number | None = None
    key_line_at: datetime | None = None

    def run(self, execution_id: str) -> DialReport:
        """Try until no other writer is faster. Raises `StaleVersion` after `MOST_TRIES`."""
        for number in range(MOST_TRIES):
            execution = self._read(execution_id, consistent=number > 0)
            if execution is None or not self._is_current(execution):
                self._return_line(execution)
                self._return_key_line(execution)
                self._remove_delayed(execution)
                return DialReport(execution, execution)
            try:
                report = self._try(execution)
            except StaleVersion:
                continue  # a stop, a delivery or another dial was faster: read again
            if report is None:
                continue
            if report.delayed_at != self.delayed_at:
                self._remove_delayed(execution)
            self._return_key_line(report.execution)
            return report
        raise StaleVersion(execution_id)

    def _read(self, execution_id: str, consistent: bool) -> Execution | None:
        """The execution. An eventually consistent read is enough to dial it, since the claim is saved over that
        version. An attempt is left undialled only after a consistent read."""
        execution = self.services.executions.get(execution_id, consistent=consistent)
        if consistent:
            return execution
        if execution is not None and self._is_current(execution):
            due = execution.state.next_time
            if due is not None and due <= self.services.now() + SHORTEST_DELAY:
                return execution
        return self.services.executions.get(execution_id)

    def _is_current(self, execution: Execution) -> bool:
        return execution.state.is_waiting and execution.state.attempt.number == self.attempt

    # ---- before the claim -----------------------------------------------------------------------------------------

    def _try(self, execution: Execution) -> DialReport | None:
        """Dial the attempt, or defer or end it as the first closed gate says. None: read it again, since it may have
        been stopped meanwhile. Raises `StaleVersion` if another writer was faster."""
        now = self.services.now()
        due = execution.state.next_time
        if due is None or due > now + SHORTEST_DELAY:
            return self._not_due(execution, due, now)
        now = self._wait_until(due)
        self._acquire_key_line(execution, now)
        policy = None if execution.batch_id is not None else policy_of(self.services, execution, None)
        cached = self._complete(self.services.agents.cached(execution.account_id, execution.agent_id))
        kept = self.line_shard if self.line_shard is not None else execution.state.attempt.line_shard
        shard = self._acquire(execution, cached, policy, kept, now)
        agent = self._complete(self.services.agents.get(execution.account_id, execution.agent_id))
        if agent is not None:
            execution = execution.with_webhook_statuses(agent.webhook_statuses)
        agent, decisions = self._ask(_before_line(execution), Facts(now, execution, agent, policy=policy))
        if decisions[-1].allows and shard is None and cached != agent:
            shard = self._acquire(execution, agent, policy, kept, now)
            if shard is not None:
                agent = self._complete(self.services.agents.get(execution.account_id, execution.agent_id))
                agent, decisions = self._ask(_before_line(execution), Facts(now, execution, agent, policy=policy))
        facts = Facts(now, execution, agent, policy=policy)
        if execution.batch_id is None and (shard is not None or decisions[-1].verdict is Verdict.DEFER):
            facts = self._facts(now, execution, agent, None, policy)
            agent, decisions = self._ask_all(facts)
        if not decisions[-1].allows:
            self.line_shard = kept if shard is None else shard
            acquired_at = None if shard is None else now
            changed = _closed(execution, decisions, now)
            return DialReport(execution, self._leave(execution, changed, agent, now, acquired_at))
        assert agent is not None
        if shard is None:
            waiting = self._wait_for_line(execution, agent, decisions, kept, now)
            entry = waiting.state.next_time if waiting.state.is_delayed else None
            return DialReport(execution, waiting, delayed_at=entry)
        self.line_shard = shard
        batch, rate = None, Decision(Gate.RATE)
        if execution.batch_id is not None:
            batch = self.services.batches.get(execution.batch_id)
            rate = self._reserve_start(execution, batch, now)
            execution = execution if batch is None else batch.with_terms(execution)
            policy = policy_of(self.services, execution, batch)
            facts = self._facts(now, execution, agent, batch, policy)
            agent, decisions = self._ask_all(facts)
            assert agent is not None
        if decisions[-1].allows and not rate.allows:
            decisions = (*decisions, Decision(Gate.LINE), rate)
        if not decisions[-1].allows:
            return self._close(execution, agent, decisions, now, now)
        if execution.key_pool is not None and self.key_line_at is None:
            self._acquire_key_line(execution, now)
            if self.key_line_at is None:
                return DialReport(execution, self._wait_for_key_line(execution, agent, shard, decisions, now))
        if self.start_at is not None and self.start_at > now:
            if self.start_at > now + SHORTEST_DELAY:
                return self._come_back(execution, self.start_at)
            self._wait_until(self.start_at)
            return None
        answers = self._ask_endpoints(replace(facts, agent=agent))
        *allowed, last = answers.decisions
        asked = (*allowed, *with_expiry(last, facts.expires_at))
        if asked[-1].until is not None and not asked[-1].announced:
            return self._wait_for_answer(execution, agent, shard, (*decisions, *asked), answers)
        if self.asked_at is not None and self.asked_at > now:
            assert self.number is not None, "every gate was asked"
            facts = replace(facts, agent=agent, now=self.services.now(), contact=self.number.contact)
            agent, decisions = self._ask(GATES, facts)
            assert agent is not None, "its gate allowed"
        if decisions[-1].allows:
            decisions = (*decisions, *asked)
        if not decisions[-1].allows:
            return self._close(execution, agent, decisions, self.services.now(), now)
        decisions = (*decisions, Decision(Gate.LINE), rate)
        report = self.claim_and_call(execution, agent, batch, shard, decisions)
        if batch is not None and batch.calls_per_second is not None and report.pace_wait is None:
            dispatch_all(self.services, agent, self.services.now())  # each start dispatches the next
        return report

    def _ask_endpoints(self, facts: Facts) -> Answers:
        """Ask the agent's endpoints, if it has any that have not allowed the attempt already."""
        agent, now = facts.agent, self.services.now()
        assert agent is not None, "its gate allowed"
        if agent.scrub is None and agent.pre_dial_hook is None:
            return not_asked(facts)
        if self.asked_at is not None and now < self.asked_at + ASKED_LASTS and agent.updated_at <= self.asked_at:
            return not_asked(facts, ALLOWED)
        answers = ask_endpoints(self.services, replace(facts, now=now))
        if answers.decisions[-1].allows:
            self.asked_at = self.services.now()
        return answers

    def _close(
        self,
        execution: Execution,
        agent: Agent,
        decisions: tuple[Decision, ...],
        now: datetime,
        acquired_at: datetime,
    ) -> DialReport:
        """Defer or end the call as the last decision says, and hand over its line."""
        changed = _closed(execution, decisions, now)
        waits_delayed = execution.batch_id is not None and changed.state.is_waiting
        entry = self._add_delayed(changed) if waits_delayed else None
        return DialReport(execution, self._leave(execution, changed, agent, now, acquired_at), delayed_at=entry)

    def _facts(
        self, now: datetime, execution: Execution, agent: Agent | None, batch: Batch | None, policy: Policy | None
    ) -> Facts:
        """The facts with the suppressions, consents and kept verdicts of the number, and the account's contact limits
        (up to ten seconds old), if the agent's flags say that there are any. `agent` was read after the line was
        acquired."""
        rules, limits = self._number_rules(execution, agent), None
        if agent is not None and agent.has_account_limits:
            limits = account_limits(self.services, execution.account_id)
        return Facts(now, execution, agent, batch, rules, policy, limits)

    def _number_rules(self, execution: Execution, agent: Agent | None) -> tuple[NumberRule, ...]:
        if agent is None or not (agent.has_number_rules or agent.scrub is not None):
            return ()
        return self.services.number_rules.of_number(execution.account_id, execution.user_number)

    def _ask_all(self, facts: Facts) -> tuple[Agent | None, tuple[Decision, ...]]:
        """Run every gate. The number's call history is read only if there are limits, or if all other gates allow."""
        if not facts.limits:
            agent, decisions = self._ask(GATES, facts)
            if not decisions[-1].allows:
                return agent, decisions
            facts = replace(facts, agent=agent)
        self.number = one_call.look(self.services, facts.execution, facts.now)
        return self._ask(GATES, replace(facts, contact=self.number.contact))

    def _complete(self, agent: Agent | None) -> Agent | None:
        return None if agent is None else complete(self.services, agent)

    def _ask(self, gates: Sequence[GateFunction], facts: Facts) -> tuple[Agent | None, tuple[Decision, ...]]:
        """The agent and the decisions of the gates. If a setting is missing, the account's defaults are read again
        first."""
        decisions, agent = ask(gates, facts), facts.agent
        if agent is not None and not decisions[-1].allows and decisions[-1].gate in (Gate.INSTRUCTIONS, Gate.CALLER_ID):
            agent = complete_now(self.services, agent)
            decisions = ask(gates, replace(facts, agent=agent))
        return agent, decisions

    def _not_due(self, execution: Execution, due: datetime | None, now: datetime) -> DialReport:
        """Leave the attempt, unless it is due within `EARLY`. If a timer fired early, or a long wait for the carrier
        account's start is not over, dial is invoked again for that time: no other message would start the attempt.

        EventBridge Scheduler has a precision of a minute, and SQS delays a message by at most 15 minutes.
        """
        timer = execution.state.timer
        if due is not None and due <= now + EARLY:
            return self._come_back(execution, due)
        if self.line_shard is not None and execution.state.attempt.line_shard != self.line_shard:
            agent = self.services.agents.get(execution.account_id, execution.agent_id)
            self._leave(execution, execution, agent, now, None)
        elif timer is not None and (self.paced_at == timer[1] or timer[1] <= now + SCHEDULER_PRECISION):
            self._come_back(execution, timer[1])
        return DialReport(execution, execution, delayed_at=due if execution.state.is_delayed else None)

    def _come_back(self, execution: Execution, at: datetime) -> DialReport:
        """Have dial invoked again at `at`. The attempt keeps its line, its starts and its entry in the delayed set."""
        self.services.invoker.dial(
            execution.id,
            self.attempt,
            self.line_shard,
            self.start_at,
            self.delayed_at,
            self.paced_at,
            self.asked_at,
            after=at,
        )
        return DialReport(execution, execution, delayed_at=self.delayed_at)

    def _wait_until(self, at: datetime) -> datetime:
        """Wait for a start that is at most `SHORTEST_DELAY` ahead. Returns the current time after it."""
        seconds = (at - self.services.now()).total_seconds()
        if seconds > 0:
            self.services.sleep(min(seconds, SHORTEST_DELAY.total_seconds()))
        return self.services.now()

    def _acquire(
        self, execution: Execution, agent: Agent | None, policy: Policy | None, shard: int | None, now: datetime
    ) -> int | None:
        """Acquire a line, or confirm the one that the attempt already holds in `shard`. Returns its shard; None: no
        line is free, or a gate is closed."""
        facts = Facts(now, execution, agent, policy=policy)
        if agent is None or not ask(_before_line(execution), facts)[-1].allows:
            return None
        if shard is None:
            shard = preferred_shard(agent, execution.id)
        return shard if acquire(self.services, agent, shard, queued_call(execution), now) else None

    def _reserve_start(self, execution: Execution, batch: Batch | None, now: datetime) -> Decision:
        """Reserve a start within the next seconds by the rate limit of the execution's batch, and set `start_at`."""
        if self.start_at is not None or batch is None or batch.calls_per_second is None or not batch.may_dial:
            return Decision(Gate.RATE)
        for _ in range(MOST_TRIES):
            entry = self.services.queue.batch_entry(execution.agent_id, batch.id)
            if entry is None or entry.interval is None:
                self.start_at = now
                return Decision(Gate.RATE)
            if is_ahead(entry, now):
                break
            self.start_at = self.services.queue.reserve_start(entry, now)
            if self.start_at is not None:
                return Decision(Gate.RATE)
        return waits(f"at most {batch.calls_per_second:g} calls a second", Gate.RATE, delayed=True)

    def _add_delayed(self, execution: Execution) -> datetime:
        """Add an entry to the delayed set before the execution is saved. If the save fails, the entry is removed when
        it is popped."""
        assert execution.batch_id is not None, "only contacts have a delayed set"
        call = delayed_call(execution)
        is_first = self.services.delayed.add(execution.agent_id, execution.batch_id, call)
        now = self.services.now()
        if is_first and call.ready_at > now:
            timer_id = int(call.ready_at.timestamp())
            self.services.timers.schedule_batch_run(execution.batch_id, "room", timer_id, call.ready_at, now)
        return call.ready_at

    def _remove_delayed(self, execution: Execution | None) -> None:
        if self.delayed_at is not None and execution is not None and execution.batch_id is not None:
            entry = QueuedCall(execution.id, self.attempt, self.attempt > 1, self.delayed_at)
            self.services.delayed.remove(execution.batch_id, entry)

    def _leave(
        self, execution: Execution, changed: Execution, agent: Agent | None, now: datetime, acquired_at: datetime | None
    ) -> Execution:
        """Save what a gate decided, then hand over the line that the attempt was given, had kept, or acquired here.

        It is saved even if nothing changes: another invocation may have claimed the attempt with that line since
        `execution` was read, and then the save fails. `acquired_at`: when this invocation acquired the line (None: it
        was given the line, so the time is read before the save). If another invocation acquires the line after that, to
        dial the attempt after all, the attempt keeps it. Raises `StaleVersion`.
        """
        saved, shard = execution, self.line_shard
        if acquired_at is None and agent is not None and shard is not None:
            acquired_at = self._acquired_at(execution, agent, shard) or now  # `now`: it holds no line
        if changed is not execution:
            saved = save(self.services.executions, changed, now, self.lease_id)
            apply_effects(self.services, execution, saved, now)
            queued_at = execution.state.queued_at
            if queued_at is not None and queued_at + LEASE <= now:  # the sweeper may have treated its dial as lost
                key_lines.dequeue(self.services, execution)
        elif shard is not None:
            saved = save(self.services.executions, execution, now)
        if agent is not None and shard is not None:
            release_line(self.services, agent, shard, execution.id, self.attempt, now, acquired_at)
        return saved

    def _wait_for_line(
        self, execution: Execution, agent: Agent, decisions: tuple[Decision, ...], kept: int | None, now: datetime
    ) -> Execution:
        """Queue the attempt. If a line has become free meanwhile, dial is invoked again with that line.

        `kept`: the shard of a line that the attempt was given, or had kept, before the agent's limit was lowered. It is
        freed, but as in `_leave` only after a save, which fails if the attempt is being dialled with it.
        """
        acquired_at = None if kept is None else self._acquired_at(execution, agent, kept)
        batch = None
        if execution.batch_id is not None and (self.attempt > 1 or execution.is_not_started):
            batch = self.services.batches.get(execution.batch_id)
            execution = execution if batch is None else batch.with_terms(execution)
        delayed = batch is not None and self.attempt > 1 and batch.first_dials_first and batch.may_dial
        reason = "waiting for a line, after first dials" if delayed else "waiting for a line"
        waiting = execution.defer(now, *decisions, waits(reason, Gate.LINE, delayed=delayed))
        if delayed:
            self._add_delayed(waiting)
        else:
            waiting = waiting.lease_delivery(self.lease_id, now)
        if waiting is not execution or acquired_at is not None:
            waiting = save(self.services.executions, waiting, now, self.lease_id)
        if kept is not None and acquired_at is not None:
            self.services.lines.release(agent.agent_id, kept, execution.id, self.attempt, acquired_at)
        if delayed:
            dispatch_all(self.services, agent, now)
        else:
            enqueue_and_dispatch(self.services, agent, queued_call(waiting), now)
        return waiting

    def _acquire_key_line(self, execution: Execution, now: datetime) -> None:
        """Acquire a line of the API key, or confirm the one that the attempt holds, if the key has a quota of lines.
        Sets `key_line_at`; None: it has no such line."""
        has_line = execution.key_pool is not None and key_lines.has_line(self.services, execution, now)
        self.key_line_at = now if has_line else None

    def _wait_for_key_line(
        self, execution: Execution, agent: Agent, shard: int, decisions: tuple[Decision, ...], now: datetime
    ) -> Execution:
        """Queue the attempt for a line of its API key, and hand over the agent's line that it acquired at `now`. It is
        always saved, as in `_leave`."""
        lines = execution.key_lines
        assert lines is not None, "its key has a quota of lines"
        waiting = execution.defer(now, *decisions, waits(key_lines.WAITS_FOR_KEY, Gate.LINE, KEY_LINE))
        waiting = save(self.services.executions, waiting, now, self.lease_id)
        release_line(self.services, agent, shard, execution.id, self.attempt, now, now)
        enqueue_and_dispatch(self.services, lines, queued_call(waiting), now)
        return waiting

    def _return_key_line(self, execution: Execution | None) -> None:
        """Hand over the line of the API key if the attempt is over, or waits for a later time."""
        if execution is None or execution.key_pool is None:
            return
        state, now = execution.state, self.services.now()
        is_over = not state.still_needs_line(self.attempt)
        if is_over or (self.key_line_at is not None and not state.needs_key_line(self.attempt, now)):
            since = None if is_over else self.key_line_at
            key_lines.release(self.services, execution, self.attempt, now, since)

    def _acquired_at(self, execution: Execution, agent: Agent, shard: int) -> datetime | None:
        """When the line that this attempt holds in the shard was last acquired. None: it holds none."""
        attempt, at = self.services.lines.holders(agent.agent_id, shard).get(execution.id, (0, None))
        return at if attempt == self.attempt else None

    def _return_line(self, execution: Execution | None) -> None:
        """Hand over the line that the attempt was given, if the attempt is over or is dialled with another line."""
        if execution is None or self.line_shard is None:
            return
        state = execution.state
        if state.attempt.number == self.attempt and not state.is_final and state.attempt.line_shard == self.line_shard:
            return  # this attempt uses it
        agent = self.services.agents.get(execution.account_id, execution.agent_id)
        if agent is not None:
            now = self.services.now()
            release_line(self.services, agent, self.line_shard, execution.id, self.attempt, now)

    # ---- from the claim to the record -----------------------------------------------------------------------------

    def claim_and_call(
        self, execution: Execution, agent: Agent, batch: Batch | None, shard: int, decisions: tuple[Decision, ...]
    ) -> DialReport:
        """Unless a circuit holds the attempt: reserve the number, claim, call once, record the answer, and then record
        it with the circuits. Raises `StaleVersion`."""
        services = self.services
        provider = agent.carrier  # the agent's carrier may have changed since the call was created
        breaker = breaker_of(services)
        carrier = services.carrier(provider)
        callers = from_numbers(execution, agent, batch)
        asked = Asked(execution.account_id, provider, execution.user_number, callers)
        admission = breaker.admit(asked, carrier.check)
        now = services.now()
        if admission.held_until is not None:
            return self._wait_for_carrier(execution, agent, shard, decisions, admission, now)
        if not admission.probes:
            start, reason = self._reserve_pace(provider, carrier, now)
            if start > now + SHORTEST_DELAY:
                return self._wait_for_pace(execution, agent, shard, decisions, held(start, reason, Gate.RATE), now)
            now = self._wait_until(start)
        variables = _variables(services, execution) if carrier.limits.variables else {}
        allowed = (*decisions, Decision(Gate.CARRIER))
        assert self.number is not None, "the gates were asked"
        one_call.reserve(services, execution, self.number, now)
        claim = execution.claim(now, admission.caller, shard, self.lease_id, allowed, provider)
        claimed = self._claimed(claim.lease_delivery(self.lease_id, now), now)

        result = carrier.place(call_request(services, claimed, agent, variables))
        if isinstance(result, NotPlaced) and result.fault is not None and result.fault.otherwise is not None:
            refused_since = claimed.refused_since(result.reason)
            if admission.probes or (refused_since is not None and not breaker.places_others(asked, refused_since)):
                result = replace(result, fault=replace(result.fault, otherwise=None))  # refused like all others

        now, jitter = services.now(), services.random()

        def answered(current: Execution) -> Execution:
            after = current.answered_by_carrier(self.attempt, result, now, jitter)
            return unless_stopped(services, current, after)

        updated = write(services, claimed.id, answered, now, lease_id=self.lease_id, snapshot=claimed)
        if updated is not None:  # since the claim: later changes may be another writer's, or our own lost answer
            apply_effects(services, claimed, updated.after, now)
        if isinstance(result, Refused):
            suppress_if_opted_out(services, claimed.id, result.outcome)
        opened = breaker.record(asked, admission, result)
        if isinstance(result, Accepted) and result.queue_seconds > OWN_QUEUE.total_seconds():
            services.pacer.hold(provider, now + timedelta(seconds=result.queue_seconds))
        before, after = updated or (claimed, None)
        return DialReport(before, after, result, execution, opened=opened)

    def _reserve_pace(self, provider: str, carrier: Carrier, now: datetime) -> tuple[datetime, str]:
        """The attempt's start by the carrier account's pace, and the pace in words. Sets `paced_at`."""
        rate = pace_of(self.services, carrier)
        if rate is None:
            return now, ""
        if self.paced_at is None or now > self.paced_at + LATEST_PACED:
            self.paced_at = self.services.pacer.reserve(provider, timedelta(seconds=1) / rate, now)
        return self.paced_at, f"{provider} takes {rate:g} calls a second"

    def _wait_for_pace(
        self,
        execution: Execution,
        agent: Agent,
        shard: int,
        decisions: tuple[Decision, ...],
        not_yet: Decision,
        now: datetime,
    ) -> DialReport:
        """Dial again at the start from the pacer, with the line. A long wait is saved."""
        start = not_yet.until
        assert start is not None, "the pacer gave it"
        self.line_shard = shard
        if start <= now + LONGEST_UNSTORED_WAIT:
            return replace(self._come_back(execution, start), pace_wait=start - now)
        waiting = execution.defer(now, *decisions[:-1], not_yet, line_shard=shard)
        if waiting.state.is_final:
            return DialReport(execution, self._leave(execution, waiting, agent, now, None))
        saved = save(self.services.executions, waiting, now, self.lease_id)
        self.services.invoker.dial(execution.id, self.attempt, paced_at=start, after=start)
        return DialReport(execution, saved, pace_wait=start - now)

    def _claimed(self, claim: Execution, now: datetime) -> Execution:
        """Save the claim. Raises `StaleVersion`, unless the stored execution has this invocation's own claim, not
        dialled yet: then the answer to the write was lost, and another writer (a delivery) changed the item before the
        write was sent again."""
        try:
            return save(self.services.executions, claim, now)
        except StaleVersion:
            stored = self.services.executions.get(claim.id)
            if stored is None:
                raise
            state = stored.state
            claimed_by = [change.claim_id for change in stored.changes if change.kind is Marker.CLAIMED]
            waits_for_dial = state.is_dialling and not state.unknown and state.attempt.number == self.attempt
            in_time = state.claimed_at is not None and self.services.now() < state.claimed_at + CLAIM_GRACE
            if claimed_by[-1:] != [self.lease_id] or not waits_for_dial or not in_time:
                raise
            return stored

    def _wait_for_carrier(
        self,
        execution: Execution,
        agent: Agent,
        shard: int,
        decisions: tuple[Decision, ...],
        admission: Admission,
        now: datetime,
    ) -> DialReport:
        """Save that the attempt waits for the carrier, or ends because it has waited too long. It keeps its line if all
        calls wait; otherwise calls that can be placed need it."""
        assert admission.held_until is not None, "the caller asked"
        until = held(admission.held_until + admission.spread * self.services.random(), admission.reason)
        assert admission.held_by is not None, "it is held"
        keeps_line, needs_person = admission.held_by.is_of_account, admission.held_by.needs_person
        saved = self._hold(execution, agent, shard if keeps_line else None, (*decisions, until), now)
        return DialReport(execution, saved, held=keeps_line, needs_person=needs_person)

    def _wait_for_answer(
        self, execution: Execution, agent: Agent, shard: int, decisions: tuple[Decision, ...], answers: Answers
    ) -> DialReport:
        """Save that the attempt waits for an endpoint of its agent, or ends because it has waited too long."""
        now = self.services.now()
        saved = self._hold(execution, agent, shard if answers.keeps_line else None, decisions, now)
        return DialReport(execution, saved, opened=answers.opened)

    def _hold(
        self, execution: Execution, agent: Agent, shard: int | None, decisions: tuple[Decision, ...], now: datetime
    ) -> Execution:
        """Save that the attempt is held as the last decision says. `shard`: of the line that it keeps (None: it keeps
        none)."""
        waiting = execution.defer(now, *decisions, line_shard=shard)
        if waiting.state.is_final or shard is None:
            return self._leave(execution, waiting, agent, now, None)
        saved = save(self.services.executions, waiting, now, self.lease_id)
        apply_effects(self.services, execution, saved, now)
        return saved


def _before_line(execution: Execution) -> Sequence[GateFunction]:
    """Gates that need neither the batch nor the rules about the number, which are read after the line."""
    return BEFORE_LINE if execution.batch_id is None else OF_AGENT


def _closed(execution: Execution, decisions: tuple[Decision, ...], now: datetime) -> Execution:
    """The execution, deferred or ended as the last decision says."""
    if decisions[-1].verdict is Verdict.DEFER:
        return execution.defer(now, *decisions)
    return execution.end(now, *decisions)


def _variables(services: Services, execution: Execution) -> Mapping[str, Any]:
    """The call's user data. Raises `StaleVersion` if the execution was removed meanwhile."""
    for found in services.executions.with_user_data([execution]):
        assert found.user_data is not None, "it was read"
        return found.user_data
    raise StaleVersion(execution.id)


def call_request(
    services: Services, execution: Execution, agent: Agent, variables: Mapping[str, Any] | None = None
) -> CallRequest:
    """The request to the carrier to place the claimed attempt."""
    attempt = execution.state.attempt
    assert attempt.from_number is not None, "only a claimed attempt is placed"
    config = execution.retry_config
    retries_voicemail = config is not None and config.enabled and config.retry_on_voicemail
    wanted = execution.webhook_statuses
    return CallRequest(
        execution_id=execution.id,
        attempt=attempt.number,
        to_number=execution.user_number,
        from_number=attempt.from_number,
        callback_url=services.callback_url(execution.provider, execution.id, attempt.number),
        answer_url=None if agent.answer_url is None else fill_in(agent.answer_url, execution.agent_id, execution.id),
        ring_timeout_seconds=agent.ring_timeout_seconds,
        max_call_seconds=agent.max_call_seconds,
        voicemail_detection=agent.voicemail_detection or retries_voicemail,  # retries after voicemail need detection
        stream_url=None if agent.stream_url is None else fill_in(agent.stream_url, execution.agent_id, execution.id),
        variables=variables or {},
        reports_ringing=wanted is None or Status.RINGING in wanted,
        reports_answer=wanted is None or Status.IN_PROGRESS in wanted,
    )
