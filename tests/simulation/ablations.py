"""Safeguards removed one at a time: the simulation must detect each removal by the promise that it violates.

A safeguard whose removal is not detected is either not needed or not tested. Each is patched in the running process;
the shipped code has no hooks for this.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from unittest import mock

from functions.carrier_callback import handler as carrier_callback
from functions.tally import handler as tally_handler
from local.stack import API_MODULE, LocalStack
from redial.adapters import batch_csv, eventbridge_scheduler
from redial.adapters.dynamodb import executions as executions_module
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.lines import DynamoLines
from redial.adapters.dynamodb.pacer import DynamoPacer
from redial.adapters.eventbridge_scheduler import SchedulerTimers
from redial.api import executions as api
from redial.carriers.twilio import callbacks as twilio
from redial.carriers.twilio.rest import TwilioCarrier
from redial.domain import batch as batch_module
from redial.domain import execution as execution_module
from redial.domain import gates, phone_number
from redial.domain.batch import Batch, BatchWork
from redial.domain.calling_window import CallingRule
from redial.domain.decision import Decision, Gate, failed, stopped
from redial.domain.delivery import Delivery, pending_events
from redial.domain.execution import Change, Execution, State
from redial.domain.gates import Facts, GateFunction
from redial.domain.outcome import CallReport, NotPlaced, Outcome, Refused, Scope, Unknown
from redial.domain.questions import ALLOWED
from redial.domain.queue import KeyLines
from redial.domain.retry import RetryAt, RetryConfig, decide
from redial.domain.status import WAITING, Status
from redial.runtime.services import services_of
from redial.usecases import (
    ask_endpoints,
    count_attempts,
    count_batches,
    dial_attempt,
    key_lines,
    one_call,
    run_batch,
    update,
)
from redial.usecases import batches as batches_module
from redial.usecases import create_call as create_call_module
from redial.usecases.agents import read_agent
from redial.usecases.sweep import Sweeper, SweepReport
from redial.wire import stored_execution
from redial.wire.contacts_csv import Contact
from redial.wire.stored_execution import decode
from tests.simulation.faults import CALM
from tests.simulation.world import NEWER_NAME


@dataclass(frozen=True)
class Ablation:
    """A safeguard, a patch that removes it, and the promise that is then violated within `seeds` seeds.

    `also`: promises that are then always or often violated too; if empty, only `detected_by` may be violated. `rates`:
    of the faults against which the safeguard protects; None: drawn from the seed. `first`: the first seed, just before
    one that is known to detect the removal.
    """

    safeguard: str
    without: Any
    detected_by: str
    also: tuple[str, ...] = ()
    first: int = 1
    seeds: int = 15
    rates: Mapping[str, float] | None = None


def _claim_condition() -> Any:
    """A claim is written over any version."""
    save = DynamoExecutions.save

    def anyhow(self: DynamoExecutions, execution: Execution) -> Execution:
        if not execution.state.is_dialling:
            return save(self, execution)
        current = self.get(execution.id)
        assert current is not None
        return save(self, replace(execution, version=current.version))

    return mock.patch.object(DynamoExecutions, "save", anyhow)


def _claim_id() -> Any:
    """Two claims of an attempt within one second are equal, so an invocation mistakes another's claim for its own."""
    claim = Execution.claim

    def alike(self: Execution, now: Any, from_number: str, shard: int, claim_id: str, *decisions: Any) -> Execution:
        return claim(self, now.replace(microsecond=0), from_number, shard, "same", *decisions)

    return mock.patch.object(Execution, "claim", alike)


def _attempt_of_a_callback() -> Any:
    """A callback counts for the current attempt, whichever attempt it is about. (Dial's check of its attempt number is
    not a separate safeguard: a started attempt is not due.)"""
    reported = Execution.reported

    def whichever(self: Execution, attempt: int, report: Any, now: Any) -> Execution:
        return reported(self, self.state.attempt.number, report, now)

    return mock.patch.object(Execution, "reported", whichever)


def _unknown_is_a_result() -> Any:
    """An unknown answer counts as not placed: the attempt is dialled again."""
    answered = Execution.answered_by_carrier

    def again(self: Execution, attempt: int, result: Any, now: Any, jitter: float) -> Execution:
        return answered(self, attempt, NotPlaced(result.reason) if isinstance(result, Unknown) else result, now, jitter)

    return mock.patch.object(Execution, "answered_by_carrier", again)


def _fault_of_the_account() -> Any:
    """A refusal of a caller id or a country counts as the contact's failure."""
    answered = Execution.answered_by_carrier

    def counted(self: Execution, attempt: int, result: Any, now: Any, jitter: float) -> Execution:
        fault = result.fault if isinstance(result, NotPlaced) else None
        if fault is not None and fault.scope is not Scope.ACCOUNT:
            result = Refused(Outcome(Status.FAILED, permanent=True, reason=result.reason, code=fault.code))
        return answered(self, attempt, result, now, jitter)

    return mock.patch.object(Execution, "answered_by_carrier", counted)


def _stop_of_an_agent() -> Any:
    """A stop of an agent is answered, but its single calls continue.

    The mark alone, or reading the line holders alone, stops nearly all calls: interleavings and mutants remove each.
    """
    return _all(
        mock.patch.object(
            batches_module,
            "mark_stopped",
            lambda services, agent_id, account_id, now: read_agent(services, agent_id, account_id=account_id),
        ),
        mock.patch.object(batches_module, "stop_calls", return_value=[]),
    )


def _suppression() -> Any:
    """A suppression is stored and answered, but no gate checks it."""
    return _gates(gates.suppression, lambda facts: Decision(Gate.SUPPRESSION))


def _consent() -> Any:
    """An agent requires a consent, but no gate checks it."""
    return _gates(gates.consent, lambda facts: Decision(Gate.CONSENT))


def _allowed_unasked(gate: Gate) -> Any:
    """That gate does not ask its endpoint, as if the endpoint had allowed the attempt."""
    ask = ask_endpoints._Asking._ask

    def unasked(self: Any, asked: Gate, decide: Any) -> Any:
        return ask_endpoints.Answers((Decision(gate, rule=ALLOWED),)) if asked is gate else ask(self, asked, decide)

    return mock.patch.object(ask_endpoints._Asking, "_ask", unasked)


def _scrub() -> Any:
    return _allowed_unasked(Gate.SCRUB)


def _hook() -> Any:
    return _allowed_unasked(Gate.HOOK)


def _contact_limits() -> Any:
    """Contact limits are never reached."""
    return _gates(gates.contact_limit, lambda facts: Decision(Gate.CONTACT_LIMIT))


def _one_call_to_a_number() -> Any:
    """A number counts as free while a call has it."""
    read = one_call._look

    def free(*arguments: Any, **options: Any) -> one_call.Number:
        found = read(*arguments, **options)
        return replace(found, contact=replace(found.contact, live=None))

    return mock.patch.object(one_call, "_look", free)


def _cancel_at_the_carrier() -> Any:
    """A call counts as canceled without a request to the carrier."""

    def skipped(self: TwilioCarrier, call_id: str) -> CallReport:
        return CallReport(call_id, Status.CANCELED, Outcome(Status.CANCELED))

    return mock.patch.object(TwilioCarrier, "cancel", skipped)


def _stopped_is_final() -> Any:
    """Dial treats a stopped call as waiting."""
    return mock.patch.object(execution_module, "WAITING", WAITING | {Status.STOPPED})


def _pace() -> Any:
    """Every call starts at once."""
    return mock.patch.object(DynamoPacer, "reserve", lambda self, carrier, interval, now: now)


def _forward_only() -> Any:
    """A report is accepted whatever the current status."""
    ranks = itertools.count()

    def falling(status: Status) -> int:
        return -next(ranks)

    return mock.patch.object(execution_module, "rank", falling)


def _event_order() -> Any:
    """The newest event is sent first."""

    def newest_first(self: Execution) -> tuple[int, ...]:
        return pending_events(self.delivery, self.last_sequence)[::-1]

    return mock.patch.object(Execution, "pending", newest_first)


def _delivery_lease() -> Any:
    """Any invocation may deliver, without the lease."""
    return mock.patch.object(Delivery, "may_send", return_value=True)


def _line_release() -> Any:
    """An acquired line is never released."""
    return _all(
        mock.patch.object(DynamoLines, "release", return_value=set()),
        mock.patch.object(DynamoLines, "hand_over", return_value=False),
    )


def _line_limit() -> Any:
    """A line of an agent is acquired even if none is free."""
    acquire = DynamoLines.acquire

    def anyway(self: DynamoLines, account: str, pool: str, shard: int, capacity: int, *rest: Any) -> bool:
        return acquire(self, account, pool, shard, capacity if KeyLines.names(pool) else 50, *rest)

    return mock.patch.object(DynamoLines, "acquire", anyway)


def _line_limit_of_key() -> Any:
    """A call counts as having a line of its key without acquiring one."""
    return mock.patch.object(key_lines, "has_line", return_value=True)


def _row_ids() -> Any:
    """A contact gets a new id each time its row is read."""
    fresh = itertools.count()
    contact = batch_module.contact

    def another(*arguments: Any, **options: Any) -> Execution:
        made = contact(*arguments, **options)
        return replace(made, id=f"{next(fresh):08x}{made.id[8:]}")

    return mock.patch.object(run_batch, "contact", another)


def _sweeper() -> Any:
    """The sweeper does nothing."""
    return mock.patch.object(Sweeper, "sweep", return_value=SweepReport())


def _idempotency_keys() -> Any:
    """A repeated request for a call counts as a new one."""
    create_call = create_call_module.create_call

    def without_key(*arguments: Any, **options: Any) -> Any:
        return create_call(*arguments, **{**options, "idempotency_key": None})

    return mock.patch.object(create_call_module, "create_call", without_key)


def _gates(replaced: GateFunction, instead: GateFunction | None) -> Any:
    """Dial skips `replaced`, or checks `instead` in its place."""

    def other(asked: Sequence[GateFunction]) -> Any:
        others = [instead if gate is replaced else gate for gate in asked]
        return tuple(gate for gate in others if gate is not None)

    return _all(
        mock.patch.object(dial_attempt, "GATES", other(gates.GATES)),
        mock.patch.object(dial_attempt, "BEFORE_LINE", other(gates.BEFORE_LINE)),
    )


def _calling_hours() -> Any:
    """The calling window is always open."""
    return _gates(gates.calling_window, lambda facts: Decision(Gate.CALLING_WINDOW))


def _expiry() -> Any:
    """A call never expires."""

    def decides(config: Any, attempts: Any, outcome: Any, now: Any, expires_at: Any = None) -> Any:
        return decide(config, attempts, outcome, now)

    return _all(
        mock.patch.object(gates.Facts, "expires_at", None),
        mock.patch.object(execution_module, "decide", decides),
    )


def _budget() -> Any:
    """Earlier attempts do not count toward a window's budget."""
    return mock.patch.object(CallingRule, "spent", return_value=())


def _policy() -> Any:
    """Dialling does not read the policy of a call."""
    return mock.patch.object(dial_attempt, "policy_of", return_value=None)


def _own_rule() -> Any:
    """The calling rule of a call or a batch does not replace its agent's."""
    return mock.patch.object(
        gates.Facts, "rule", property(lambda facts: ("", None if facts.agent is None else facts.agent.calling_rule))
    )


def _named_zone() -> Any:
    """The time zone that a contact names is not read."""
    return mock.patch.object(phone_number, "zones_of", lambda number, named: phone_number.time_zones(number))


def _every_gate() -> Any:
    """A gate that never closes in these worlds is skipped."""
    return _gates(gates.instructions, None)


def _callback_signature() -> Any:
    return mock.patch.object(twilio, "verify", return_value=True)


def _undelivered_list() -> Any:
    """Items with given-up events are stored without the key of the index."""

    def unlisted(execution: Execution) -> dict[str, Any]:
        item = stored_execution.encode(execution)
        item.pop("undelivered_of", None)
        return item

    return mock.patch.object(executions_module, "encode", unlisted)


def _account_check() -> Any:
    """Any account can access an execution by its id."""

    def of_any_account(execution_id: str) -> Execution:
        execution = services_of("api").executions.get(execution_id)
        assert execution is not None
        return execution

    return mock.patch.object(api, "_execution", of_any_account)


def _count_once() -> Any:
    """A stream record counts each time it arrives."""
    return mock.patch.object(DynamoBatches, "counted_up_to", _always_behind(DynamoBatches.counted_up_to))


def _always_behind(counted_up_to: Any) -> Any:
    class Behind(str):
        __slots__ = ()

        def __gt__(self, other: str) -> bool:
            return False

        def __lt__(self, other: str) -> bool:
            return True

    def behind(self: DynamoBatches, batch_id: str, shard: str) -> str | None:
        known = counted_up_to(self, batch_id, shard)
        return None if known is None else Behind(known)

    return behind


def _decided(change: Callable[[RetryConfig, Any], Any]) -> Any:
    """The retry decision uses a configuration other than the requested one."""

    def otherwise(config: Any, attempts: Any, outcome: Any, now: Any, expires_at: Any) -> Any:
        return decide(None if config is None else change(config, outcome), attempts, outcome, now, expires_at)

    return mock.patch.object(execution_module, "decide", otherwise)


def _limit_of_retries() -> Any:
    def one_more(config: RetryConfig, outcome: Any) -> RetryConfig:
        config = copy(config)
        object.__setattr__(config, "max_retries", config.max_retries + 1)
        return config

    return _decided(one_more)


def _retries() -> Any:
    """Failed calls are not retried; voicemails are."""
    return _decided(lambda config, outcome: config if outcome.voicemail else replace(config, enabled=False))


def _voicemail_setting() -> Any:
    return _decided(lambda config, outcome: replace(config, retry_on_voicemail=True))


def _waiting_for_detection() -> Any:
    """An answered call is completed when it ends, whatever may be detected later."""
    return mock.patch.object(Execution, "_waits_for_detection", return_value=False)


def _interval_of_each_retry() -> Any:
    """Every retry waits the longest of the intervals."""
    longest = lambda self, retry: timedelta(minutes=max(self.retry_intervals_minutes))  # noqa: E731
    return mock.patch.object(RetryConfig, "interval", longest)


def _time_of_a_retry() -> Any:
    """The next attempt is due at once."""

    def at_once(config: Any, attempts: Any, outcome: Any, now: Any, expires_at: Any) -> Any:
        decision = decide(config, attempts, outcome, now, expires_at)
        return replace(decision, at=now) if isinstance(decision, RetryAt) else decision

    return mock.patch.object(execution_module, "decide", at_once)


def _time_at_dial() -> Any:
    """Dial treats a call as due two minutes early."""
    next_time: Any = State.__dict__["next_time"].fget

    def early(self: State) -> Any:
        at = next_time(self)
        return at - timedelta(minutes=2) if at is not None and self.timer is not None and not self.is_delayed else at

    return mock.patch.object(State, "next_time", property(early))


def _rising_times() -> Any:
    """Two changes of one write have the same time."""

    def as_given(self: Execution, *changes: Change) -> Execution:
        return replace(self, changes=(*self.changes, *changes))

    return mock.patch.object(Execution, "_with", as_given)


def _appending_only() -> Any:
    """A claim rewrites the first change with a later time."""
    claim = Execution.claim

    def rewriting(self: Execution, *arguments: Any, **options: Any) -> Execution:
        claimed = claim(self, *arguments, **options)
        first, *rest = claimed.changes
        return replace(claimed, changes=(replace(first, at=first.at + timedelta(milliseconds=1)), *rest))

    return mock.patch.object(Execution, "claim", rewriting)


def _unknown_names() -> Any:
    """Attributes stored by a newer version are dropped when an item is read."""

    def dropping(item: dict[str, Any]) -> Execution:
        return decode({name: value for name, value in item.items() if name != NEWER_NAME})

    return mock.patch.object(executions_module, "decode", dropping)


def _removal_of_schedules() -> Any:
    return mock.patch.object(SchedulerTimers, "cancel_dial", return_value=None)


def _punctual_schedules() -> Any:
    """Every schedule is set two and a half minutes late."""
    expression = eventbridge_scheduler.at_expression
    late = lambda at, now: expression(at + timedelta(minutes=2.5), now)  # noqa: E731
    return mock.patch.object(eventbridge_scheduler, "at_expression", late)


def _due_time() -> Any:
    """A single call that waits for its time has no due time."""
    with_due = Execution.with_due

    def unwatched(self: Execution, now: Any) -> Execution:
        due = with_due(self, now)
        return replace(due, due_at=None) if due.batch_id is None and due.state.timer is not None else due

    return mock.patch.object(Execution, "with_due", unwatched)


def _end_of_due_times() -> Any:
    """An ended call stays due once a day, for ever."""
    with_due = Execution.with_due

    def watched(self: Execution, now: Any) -> Execution:
        due = with_due(self, now)
        return replace(due, due_at=now + timedelta(days=1)) if due.due_at is None and due.state.is_final else due

    return mock.patch.object(Execution, "with_due", watched)


def _storing_before_answering() -> Any:
    return mock.patch.object(DynamoExecutions, "create", return_value=True)


def _hand_over() -> Any:
    """A released line stays idle until the sweeper's next check."""

    def only_free(services: Any, agent: Any, shard: int, execution_id: str, attempt: int, *rest: Any) -> bool:
        services.lines.release(agent.agent_id, shard, execution_id, attempt)
        return True

    return mock.patch.object(update, "release_line", only_free)


def _hand_over_of_key() -> Any:
    """A released line of a key stays idle until the sweeper's next check."""

    def only_free(services: Any, lines: KeyLines, shard: int, execution_id: str, attempt: int, *rest: Any) -> bool:
        services.lines.release(lines.pool_id, shard, execution_id, attempt)
        return True

    return mock.patch.object(key_lines, "release_line", only_free)


def _second_attempt(decision: Decision) -> Any:
    """A gate ends the call at its first retry."""

    def closed(facts: Facts) -> Decision:
        return decision if facts.execution.state.attempt.number == 2 else gates.expiry(facts)

    return _gates(gates.expiry, closed)


def _ending_by_a_call_only() -> Any:
    return _second_attempt(failed("it took too long", Gate.EXPIRY))


def _stopping_on_request() -> Any:
    return _second_attempt(stopped("stopped", Gate.EXPIRY))


def _one_item_for_a_line() -> Any:
    """An acquired line is also stored in a second item that no function reads."""
    acquire = DynamoLines.acquire

    def stored_twice(self: DynamoLines, account_id: str, agent_id: str, shard: int, *rest: Any) -> bool:
        acquired = acquire(self, account_id, agent_id, shard, *rest)
        item = {"pk": f"L#{agent_id}#{shard + 900}", "sk": "LINES", "holders": {str(rest[1]): {"a": 1, "t": 0}}}
        self._table.put_new(item)
        return acquired

    return mock.patch.object(DynamoLines, "acquire", stored_twice)


def _one_queue_for_an_agent() -> Any:
    """A queued call is also added to a second queue that no function reads."""
    enqueue = DynamoCallQueue.enqueue

    def stored_twice(self: DynamoCallQueue, agent_id: str, waiter: Any) -> None:
        enqueue(self, agent_id, waiter)
        enqueue(self, f"{agent_id}-2", waiter)

    return mock.patch.object(DynamoCallQueue, "enqueue", stored_twice)


def _reading_every_row() -> Any:
    """The last row of a file is skipped."""
    rows = batch_csv._rows

    def but_the_last(file: Any) -> Iterator[Any]:
        found = list(rows(file))
        contacts = [row for row in found if isinstance(row, Contact)]
        yield from (row for row in found if row is not contacts[-1] or len(contacts) == 1)

    return mock.patch.object(batch_csv, "_rows", but_the_last)


def _what_is_counted() -> Any:
    """An answered call is counted as `no-answer`."""
    status = stored_execution.status_of

    def wrong(image: Any) -> Any:
        known = status(image)
        return Status.NO_ANSWER if known is Status.COMPLETED else known

    return mock.patch.object(tally_handler, "status_of", wrong)


def _what_statistics_had_before() -> Any:
    """Each record of an execution adds its finished attempts, whether or not an earlier record had added them."""
    collect = count_attempts.collect

    def all_anew(window: dict[str, Any], before: Any, after: Any, number: str) -> None:
        collect(window, None, after, number)

    return mock.patch.object(count_attempts, "collect", all_anew)


def _completing_a_batch() -> Any:
    """No batch is completed, and no running batch is audited."""
    work_due = Batch._work_due
    unwatched = lambda self, now: None if self.work(now) is BatchWork.AUDIT else work_due(self, now)  # noqa: E731
    return _all(
        mock.patch.object(count_batches, "complete_if_over", return_value=False),
        mock.patch.object(run_batch, "complete_if_over", return_value=False),
        mock.patch.object(Batch, "_work_due", unwatched),
        # Nor are its agent's lines checked, as they would be for a running batch.
        mock.patch.object(
            Sweeper, "_check_front", lambda self, agent_id, swept: bool(self.services.queue.front(agent_id).calls)
        ),
    )


def _answer_to_a_forgery() -> Any:
    """A callback with a wrong signature changes nothing, but is answered as if it were accepted."""
    answer = carrier_callback._answer

    def accepted(status: int, *rest: str) -> Any:
        return answer(204) if status == 403 else answer(status, *rest)

    return mock.patch.object(carrier_callback, "_answer", accepted)


def _status_of_404(instead: int) -> Any:
    """A 404 is replaced by another status."""
    load = LocalStack.load

    def loading(self: LocalStack, function: Any) -> Any:
        handler = load(self, function)

        def otherwise(event: Any, context: Any) -> Any:
            answer = handler(event, context)
            return {**answer, "statusCode": instead} if answer["statusCode"] == 404 else answer

        return otherwise if function.module == API_MODULE else handler

    return mock.patch.object(LocalStack, "load", loading)


def _documented_statuses() -> Any:
    return _status_of_404(418)


def _answers_to_bad_requests() -> Any:
    return _status_of_404(500)


@contextmanager
def _all(*patches: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


_TWICE = "at most one call per attempt"
_LINES = "never more live calls than lines"
_TRUTH = "attempts agree with the carrier"
_ORDER = "events are delivered in order"
_FINAL = "every execution is final"
_ENDLESS = ("it converges", _FINAL, "no line is lost", "no call waits for ever", "every batch ends")

_LISTED = "every event is delivered or listed"

_CONCURRENT = {"invoked twice": 0.6, "schedule twice": 0.6, "aws slow": 0.3, "carrier slow": 0.3}
_AT_ONCE = {"invoked twice": 1.0, "schedule twice": 1.0, "aws slow": 0.25}
_CALLBACKS = {"callback late": 0.5, "callback twice": 0.6, "carrier timeout before placing": 0.3}
_UNKNOWN = {"carrier timeout after placing": 0.3, "carrier 5xx after placing": 0.3}
_ENDPOINT = {"endpoint 500": 0.2, "endpoint 410": 0.3}
_REPEATED = {"client lost the answer": 0.4}
_NEWER = {"stored by a newer version": 0.3}
_FORGED = {"callback forged": 1.0}
_OUT_OF_ORDER = {"callback late": 0.6, "callback twice": 0.6}
_NOTHING: Mapping[str, float] = {}

ABLATIONS: tuple[Ablation, ...] = (
    Ablation("claim id", _claim_id, _TWICE, first=12, rates=_AT_ONCE),
    Ablation("limit of retries", _limit_of_retries, "attempts ≤ 1 + max_retries", first=8, rates=_NOTHING),
    Ablation("due time at dial", _time_at_dial, "no dial before its time", rates={"schedule early": 1.0}),
    Ablation("stop of an agent", _stop_of_an_agent, "no dial after an answered stop", first=25, rates=_NOTHING),
    Ablation("suppression", _suppression, "no dial to a suppressed number", first=10, rates=_NOTHING),
    Ablation("consent", _consent, "no dial without a required consent", first=2, rates=_NOTHING),
    Ablation("scrub", _scrub, "no dial without the scrub's yes", rates=_NOTHING),
    Ablation("pre-dial hook", _hook, "no dial without the hook's yes", rates=_NOTHING),
    Ablation(
        "one call to a number", _one_call_to_a_number, "never two live calls to one number", first=2, rates=_NOTHING
    ),
    Ablation("contact limits", _contact_limits, "never over a cap or in a pause", first=8, rates=_NOTHING),
    Ablation(
        "cancel at the carrier", _cancel_at_the_carrier, "a stopped call is never answered", first=3, rates=_NOTHING
    ),
    Ablation("line limit", _line_limit, "never more live calls than lines", rates=CALM),
    Ablation(
        "lines of a key", _line_limit_of_key, "never more live calls than lines of a key", first=38, rates=_NOTHING
    ),
    Ablation("calling hours", _calling_hours, "no dial outside calling hours", first=4, rates=_NOTHING),
    Ablation("expiry", _expiry, "no dial after its call has expired", first=15, rates=_NOTHING),
    Ablation("budget of a window", _budget, "no window has more attempts than its budget", first=3, rates=_NOTHING),
    Ablation("a call's own rule", _own_rule, "no dial outside calling hours", first=14, rates=_NOTHING),
    Ablation("a contact's time zone", _named_zone, "no dial outside calling hours", first=4, rates=_NOTHING),
    Ablation("pace", _pace, "calls start at the carrier account's rate", first=8, rates=_NOTHING),
    Ablation("forward-only statuses", _forward_only, "statuses move forward", rates=_OUT_OF_ORDER),
    Ablation("rising times", _rising_times, "updated_at and sequence rise", rates=_NOTHING),
    Ablation("append-only history", _appending_only, "history is never rewritten", rates=_NOTHING),
    Ablation("every gate", _every_gate, "every claim has every gate's decision", rates=_NOTHING),
    Ablation("unknown attributes", _unknown_names, "a newer version's data is kept", rates=_NEWER),
    Ablation("removal of schedules", _removal_of_schedules, "no schedule could still dial", rates=_NOTHING),
    Ablation("due time of a waiting call", _due_time, _FINAL, rates={"schedule never": 1.0}),
    Ablation("storing before answering", _storing_before_answering, "what was acknowledged exists", rates=_NOTHING),
    Ablation("idempotency keys", _idempotency_keys, "one key creates one call or batch", rates=_REPEATED),
    Ablation("event order", _event_order, _ORDER, rates=_NOTHING),
    Ablation("list of undelivered events", _undelivered_list, _LISTED, rates=_ENDPOINT),
    Ablation("delivery lease", _delivery_lease, "nothing is delivered twice on a good day", rates=CALM),
    Ablation("punctual schedules", _punctual_schedules, "retries are punctual on a good day", rates=CALM),
    Ablation("hand-over of a line", _hand_over, "no call waits while a line is free on a good day", rates=CALM),
    Ablation(
        "hand-over of a key's line",
        _hand_over_of_key,
        "no call waits while a line is free on a good day",
        first=6,
        rates=CALM,
    ),
    Ablation("retries", _retries, "retries are as configured", rates=_NOTHING),
    Ablation(
        "interval of each retry", _interval_of_each_retry, "retries keep their intervals", first=3, rates=_NOTHING
    ),
    Ablation("voicemail setting", _voicemail_setting, "voicemail is retried only if asked", first=23, rates=_NOTHING),
    Ablation("waiting for detection", _waiting_for_detection, "machine detection counts", first=35, rates=_NOTHING),
    Ablation("no end without a call", _ending_by_a_call_only, "no error without a reason", rates=_NOTHING),
    Ablation(
        "a fault of the account is no result",
        _fault_of_the_account,
        "a fault of the account uses up no attempt",
        rates={"fault of the account": 1.0},
    ),
    Ablation("no stop without a request", _stopping_on_request, "nothing is stopped without a request", rates=_NOTHING),
    Ablation("attempt of a callback", _attempt_of_a_callback, _TRUTH, first=28, rates=_CALLBACKS),
    Ablation("one item for a line", _one_item_for_a_line, "no line is lost", rates=_NOTHING),
    Ablation("one queue for an agent", _one_queue_for_an_agent, "no call waits for ever", rates=_NOTHING),
    Ablation("reading every row", _reading_every_row, "contacts are the file's rows", first=9, rates=_NOTHING),
    Ablation("counted status", _what_is_counted, "batch counts equal a recount", first=17, rates=_NOTHING),
    Ablation("differences", _what_statistics_had_before, "statistics equal a recount", rates=_NOTHING),
    Ablation("completing a batch", _completing_a_batch, "every batch ends", rates=_NOTHING),
    Ablation("account check", _account_check, "an account sees only its own", rates=_NOTHING),
    Ablation("answer to a forgery", _answer_to_a_forgery, "forged callbacks are refused", rates=_FORGED),
    Ablation("documented statuses", _documented_statuses, "every answer is documented", rates=_NOTHING),
    Ablation("answers to bad requests", _answers_to_bad_requests, "no server error without a fault", rates=_NOTHING),
    Ablation("end of due times", _end_of_due_times, "it converges", rates=_NOTHING),
)
"""Each removal violates exactly one promise, and each promise is violated by one of them."""

WITH_CONSEQUENCES: tuple[Ablation, ...] = (
    Ablation(
        "claim condition",
        _claim_condition,
        _TWICE,
        (
            "never more live calls than lines",
            "updated_at and sequence rise",
            "history is never rewritten",
            "statuses move forward",
            _TRUTH,
            _ORDER,
        ),
        rates=_CONCURRENT,
    ),
    Ablation("an unknown answer is a result", _unknown_is_a_result, _TWICE, (_TRUTH, _LINES), rates=_UNKNOWN),
    Ablation(
        "stopped is final", _stopped_is_final, "statuses move forward", ("no dial after an answered stop",), first=6
    ),
    Ablation("line release", _line_release, "no line is lost", _ENDLESS),
    Ablation("idempotent row ids", _row_ids, _FINAL, (*_ENDLESS, "batch counts equal a recount", _LISTED)),
    Ablation("sweeper", _sweeper, "it converges", (*_ENDLESS, _LISTED, _TRUTH)),
    Ablation("callback signature", _callback_signature, "forged callbacks are refused", (_TRUTH,), rates=_FORGED),
    Ablation(
        "counting once", _count_once, "batch counts equal a recount", ("every batch ends", "it converges"), first=31
    ),
    Ablation(
        "policy of a call",
        _policy,
        "no dial outside calling hours",
        ("no window has more attempts than its budget",),
        first=3,
        seeds=29,
        rates=_NOTHING,
    ),
    Ablation("time of a retry", _time_of_a_retry, "no dial before its time", ("retries keep their intervals",)),
)
"""Safeguards whose removal violates several promises at once; run by `make nightly`."""
