"""Safeguards taken away, one at a time: the simulation must find out, and name the promise that was broken.

A safeguard whose loss nothing notices is either not needed, or not tested. The shipped code knows nothing of this: the
pieces are taken out from here, in the running process.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
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
from redial.adapters.eventbridge_scheduler import SchedulerTimers
from redial.api import executions as api
from redial.carriers.twilio import callbacks as twilio
from redial.domain import batch as batch_module
from redial.domain import execution as execution_module
from redial.domain import gates
from redial.domain.batch import Batch, BatchWork
from redial.domain.decision import Decision, Gate, failed, stopped
from redial.domain.delivery import Delivery, pending_events
from redial.domain.execution import Change, Execution, State
from redial.domain.gates import Facts, GateFunction
from redial.domain.outcome import NotPlaced, Unknown
from redial.domain.retry import RetryAt, RetryConfig, decide
from redial.domain.status import WAITING, Status
from redial.runtime.services import services_of
from redial.usecases import batches as batches_module
from redial.usecases import count_batches, dial_attempt, run_batch, update
from redial.usecases import create_call as create_call_module
from redial.usecases.sweep import Sweeper, SweepReport
from redial.wire import stored_execution
from redial.wire.contacts_csv import Contact
from redial.wire.stored_execution import decode
from tests.simulation.faults import CALM
from tests.simulation.world import NEWER_NAME


@dataclass(frozen=True)
class Ablation:
    """A safeguard, what stands in its place, and the promise that then breaks, within how many seeds.

    `also`: promises that break with it by necessity, or often; where there are none, `noticed_by` alone may break.
    `rates`: of the faults that it is there for; None: whatever the seeds choose. `first`: the seed to begin with, near
    to one that is known to notice it.
    """

    safeguard: str
    without: Any
    noticed_by: str
    also: tuple[str, ...] = ()
    first: int = 1
    seeds: int = 15
    rates: Mapping[str, float] | None = None


def _claim_condition() -> Any:
    """A claim is written over whatever is there."""
    save = DynamoExecutions.save

    def anyhow(self: DynamoExecutions, execution: Execution) -> Execution:
        if not execution.state.is_dialling:
            return save(self, execution)
        current = self.get(execution.id)
        assert current is not None
        return save(self, replace(execution, version=current.version))

    return mock.patch.object(DynamoExecutions, "save", anyhow)


def _claim_token() -> Any:
    """Claims of one attempt in one second look alike, so that somebody else's is taken for one's own."""
    claim = Execution.claim

    def alike(self: Execution, now: Any, from_number: str, shard: int, claim_id: str, *decisions: Any) -> Execution:
        return claim(self, now.replace(microsecond=0), from_number, shard, "same", *decisions)

    return mock.patch.object(Execution, "claim", alike)


def _attempt_of_a_callback() -> Any:
    """A callback counts for whichever attempt is current. (That dial asks for its attempt is no safeguard of its own:
    an attempt that has begun is not due.)"""
    reported = Execution.reported

    def whichever(self: Execution, attempt: int, report: Any, now: Any) -> Execution:
        return reported(self, self.state.attempt.number, report, now)

    return mock.patch.object(Execution, "reported", whichever)


def _unknown_is_a_result() -> Any:
    """An unknown answer counts as none: the attempt is dialled again."""
    answered = Execution.answered_by_carrier

    def again(self: Execution, attempt: int, result: Any, now: Any, jitter: float) -> Execution:
        return answered(self, attempt, NotPlaced(result.reason) if isinstance(result, Unknown) else result, now, jitter)

    return mock.patch.object(Execution, "answered_by_carrier", again)


def _stop_of_an_agent() -> Any:
    """A stop of an agent is answered, and its single calls go on.

    Its mark alone, or the look at holders of lines alone, stops nearly all: interleavings and mutants take each away.
    """
    return _all(
        mock.patch.object(
            batches_module,
            "mark_stopped",
            lambda services, agent_id, account_id, now: services.agents.get(account_id, agent_id),
        ),
        mock.patch.object(batches_module, "stop_calls", return_value=[]),
    )


def _stopped_is_final() -> Any:
    """Dial takes a stopped call for a waiting one."""
    return mock.patch.object(execution_module, "WAITING", WAITING | {Status.STOPPED})


def _forward_only() -> Any:
    """A report is taken whatever the status was."""
    ranks = itertools.count()

    def falling(status: Status) -> int:
        return -next(ranks)

    return mock.patch.object(execution_module, "rank", falling)


def _event_order() -> Any:
    """The newest event goes first."""

    def newest_first(self: Execution) -> tuple[int, ...]:
        return pending_events(self.delivery, self.last_sequence)[::-1]

    return mock.patch.object(Execution, "pending", newest_first)


def _delivery_lease() -> Any:
    """Whoever likes may deliver."""
    return mock.patch.object(Delivery, "may_send", return_value=True)


def _line_release() -> Any:
    """A line that was taken is never given back."""
    return _all(
        mock.patch.object(DynamoLines, "release", return_value=set()),
        mock.patch.object(DynamoLines, "hand_over", return_value=False),
    )


def _line_limit() -> Any:
    """A line is given whether one is free or not."""
    acquire = DynamoLines.acquire

    def anyway(self: DynamoLines, account: str, agent: str, shard: int, capacity: int, *rest: Any) -> bool:
        return acquire(self, account, agent, shard, 50, *rest)

    return mock.patch.object(DynamoLines, "acquire", anyway)


def _row_ids() -> Any:
    """A contact gets another id each time its row is read."""
    fresh = itertools.count()
    contact = batch_module.contact

    def another(*arguments: Any, **options: Any) -> Execution:
        made = contact(*arguments, **options)
        return replace(made, id=f"{next(fresh):08x}{made.id[8:]}")

    return mock.patch.object(run_batch, "contact", another)


def _sweeper() -> Any:
    """Nobody looks after what was lost."""
    return mock.patch.object(Sweeper, "sweep", return_value=SweepReport())


def _idempotency_keys() -> Any:
    """A request for a call that is sent again is a request like any other."""

    create_call = create_call_module.create_call

    def without_key(*arguments: Any, **options: Any) -> Any:
        return create_call(*arguments, **{**options, "idempotency_key": None})

    return mock.patch.object(create_call_module, "create_call", without_key)


def _gates(replaced: GateFunction, instead: GateFunction | None) -> Any:
    """Dial asks another gate in place of one, or none."""
    others = [instead if gate is replaced else gate for gate in gates.GATES]
    return mock.patch.object(dial_attempt, "GATES", tuple(gate for gate in others if gate is not None))


def _calling_hours() -> Any:
    """The window is always open."""
    return _gates(gates.calling_window, lambda facts: Decision(Gate.CALLING_WINDOW))


def _every_gate() -> Any:
    """A gate that nothing here would close is left out."""
    return _gates(gates.instructions, None)


def _callback_signature() -> Any:
    return mock.patch.object(twilio, "verify", return_value=True)


def _undelivered_list() -> Any:
    """What holds given-up events is stored without the index's key."""

    def unlisted(execution: Execution) -> dict[str, Any]:
        item = stored_execution.encode(execution)
        item.pop("undelivered_of", None)
        return item

    return mock.patch.object(executions_module, "encode", unlisted)


def _account_check() -> Any:
    """An id opens what it names, whoever asks."""

    def anybodys(execution_id: str) -> Execution:
        execution = services_of("api").executions.get(execution_id)
        assert execution is not None
        return execution

    return mock.patch.object(api, "_execution", anybodys)


def _count_once() -> Any:
    """A record of the stream counts each time it comes."""
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
    """What follows an attempt is decided by another configuration than the one that was asked for."""

    def otherwise(config: Any, attempts: Any, outcome: Any, now: Any) -> Any:
        return decide(None if config is None else change(config, outcome), attempts, outcome, now)

    return mock.patch.object(execution_module, "decide", otherwise)


def _limit_of_retries() -> Any:
    def one_more(config: RetryConfig, outcome: Any) -> RetryConfig:
        config = copy(config)
        object.__setattr__(config, "max_retries", config.max_retries + 1)
        return config

    return _decided(one_more)


def _retries() -> Any:
    """No call that failed is tried again; a voicemail is."""
    return _decided(lambda config, outcome: config if outcome.voicemail else replace(config, enabled=False))


def _voicemail_setting() -> Any:
    return _decided(lambda config, outcome: replace(config, retry_on_voicemail=True))


def _interval_of_each_retry() -> Any:
    """Every retry waits for the longest of the intervals."""
    longest = lambda self, retry: timedelta(minutes=max(self.retry_intervals_minutes))  # noqa: E731
    return mock.patch.object(RetryConfig, "interval", longest)


def _time_of_a_retry() -> Any:
    """The next attempt is due at once."""

    def at_once(config: Any, attempts: Any, outcome: Any, now: Any) -> Any:
        decision = decide(config, attempts, outcome, now)
        return replace(decision, at=now) if isinstance(decision, RetryAt) else decision

    return mock.patch.object(execution_module, "decide", at_once)


def _time_at_dial() -> Any:
    """Dial takes a call for due two minutes early."""
    next_time: Any = State.__dict__["next_time"].fget

    def early(self: State) -> Any:
        at = next_time(self)
        return at - timedelta(minutes=2) if at is not None and self.timer is not None and not self.is_delayed else at

    return mock.patch.object(State, "next_time", property(early))


def _rising_times() -> Any:
    """Two changes of one write are of one instant."""

    def as_given(self: Execution, *changes: Change) -> Execution:
        return replace(self, changes=(*self.changes, *changes))

    return mock.patch.object(Execution, "_with", as_given)


def _appending_only() -> Any:
    """A claim writes the first change anew, a moment later."""
    claim = Execution.claim

    def rewriting(self: Execution, *arguments: Any, **options: Any) -> Execution:
        claimed = claim(self, *arguments, **options)
        first, *rest = claimed.changes
        return replace(claimed, changes=(replace(first, at=first.at + timedelta(milliseconds=1)), *rest))

    return mock.patch.object(Execution, "claim", rewriting)


def _unknown_names() -> Any:
    """What a newer version stored is dropped when an item is read."""

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


def _time_to_look() -> Any:
    """Nobody looks at a single call that waits for its time."""
    with_due = Execution.with_due

    def unwatched(self: Execution, now: Any) -> Execution:
        due = with_due(self, now)
        return replace(due, due_at=None) if due.batch_id is None and due.state.timer is not None else due

    return mock.patch.object(Execution, "with_due", unwatched)


def _end_of_looking() -> Any:
    """A call that is over is looked at once a day, for ever."""
    with_due = Execution.with_due

    def watched(self: Execution, now: Any) -> Execution:
        due = with_due(self, now)
        return replace(due, due_at=now + timedelta(days=1)) if due.due_at is None and due.state.is_final else due

    return mock.patch.object(Execution, "with_due", watched)


def _storing_before_answering() -> Any:
    return mock.patch.object(DynamoExecutions, "create", return_value=True)


def _handing_on() -> Any:
    """A line that is freed waits for the next look of the sweeper."""

    def only_free(services: Any, agent: Any, shard: int, execution_id: str, attempt: int, *rest: Any) -> bool:
        services.lines.release(agent.agent_id, shard, execution_id, attempt)
        return True

    return mock.patch.object(update, "release_line", only_free)


def _second_attempt(decision: Decision) -> Any:
    """A gate ends every first retry."""

    def closed(facts: Facts) -> Decision:
        return decision if facts.execution.state.attempt.number == 2 else gates.expiry(facts)

    return _gates(gates.expiry, closed)


def _ending_by_a_call_only() -> Any:
    return _second_attempt(failed("it took too long", Gate.EXPIRY))


def _stopping_on_request() -> Any:
    return _second_attempt(stopped("stopped", Gate.EXPIRY))


def _one_item_for_a_line() -> Any:
    """A line that is taken is noted a second time, where nobody looks."""
    acquire = DynamoLines.acquire

    def noted_twice(self: DynamoLines, account_id: str, agent_id: str, shard: int, *rest: Any) -> bool:
        acquired = acquire(self, account_id, agent_id, shard, *rest)
        item = {"pk": f"L#{agent_id}#{shard + 900}", "sk": "LINES", "holders": {str(rest[1]): {"a": 1, "t": 0}}}
        self._table.put_new(item)
        return acquired

    return mock.patch.object(DynamoLines, "acquire", noted_twice)


def _one_queue_for_an_agent() -> Any:
    """Whoever comes to wait is noted a second time, in a queue at which nobody looks."""
    enqueue = DynamoCallQueue.enqueue

    def noted_twice(self: DynamoCallQueue, agent_id: str, waiter: Any) -> None:
        enqueue(self, agent_id, waiter)
        enqueue(self, f"{agent_id}-2", waiter)

    return mock.patch.object(DynamoCallQueue, "enqueue", noted_twice)


def _reading_every_row() -> Any:
    """The last row of a file is overlooked."""
    rows = batch_csv._rows

    def but_the_last(file: Any) -> Iterator[Any]:
        found = list(rows(file))
        contacts = [row for row in found if isinstance(row, Contact)]
        yield from (row for row in found if row is not contacts[-1] or len(contacts) == 1)

    return mock.patch.object(batch_csv, "_rows", but_the_last)


def _what_is_counted() -> Any:
    """An answered call is counted as one that nobody answered."""
    status = tally_handler._status

    def wrong(image: Any) -> Any:
        known = status(image)
        return Status.NO_ANSWER if known is Status.COMPLETED else known

    return mock.patch.object(tally_handler, "_status", wrong)


def _completing_a_batch() -> Any:
    """Nobody completes a batch, and nobody looks at one that runs."""
    work_due = Batch._work_due
    unwatched = lambda self, now: None if self.work(now) is BatchWork.AUDIT else work_due(self, now)  # noqa: E731
    return _all(
        mock.patch.object(count_batches, "complete_if_over", return_value=False),
        mock.patch.object(run_batch, "complete_if_over", return_value=False),
        mock.patch.object(Batch, "_work_due", unwatched),
        # Nor does the batch keep its agent's lines watched, as one that runs does.
        mock.patch.object(
            Sweeper, "_check_front", lambda self, agent_id, swept: bool(self.services.queue.front(agent_id).calls)
        ),
    )


def _answer_to_a_forgery() -> Any:
    """A callback with a wrong signature changes nothing, but is answered as if it had been taken."""
    return mock.patch.object(carrier_callback, "_reject", return_value=carrier_callback._answer(204))


def _answered_otherwise(instead: int) -> Any:
    """What is not found is answered with another status."""
    load = LocalStack.load

    def loading(self: LocalStack, function: Any) -> Any:
        handler = load(self, function)

        def otherwise(event: Any, context: Any) -> Any:
            answer = handler(event, context)
            return {**answer, "statusCode": instead} if answer["statusCode"] == 404 else answer

        return otherwise if function.module == API_MODULE else handler

    return mock.patch.object(LocalStack, "load", loading)


def _documented_statuses() -> Any:
    return _answered_otherwise(418)


def _answers_to_bad_requests() -> Any:
    return _answered_otherwise(500)


@contextmanager
def _all(*patches: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


_TWICE = "at most one call per attempt"
_TRUTH = "attempts say what the carrier says"
_ORDER = "every event is told in order"
_FINAL = "every execution is final"
_ENDLESS = ("it converges", _FINAL, "no line is lost", "nobody waits for ever", "every batch ends")

_LISTED = "every event is told or listed"

_SIDE_BY_SIDE = {"invoked twice": 0.6, "schedule twice": 0.6, "aws slow": 0.3, "carrier slow": 0.3}
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
    Ablation("claim token", _claim_token, _TWICE, rates=_AT_ONCE),
    Ablation("limit of retries", _limit_of_retries, "attempts ≤ 1 + max_retries", rates=_NOTHING),
    Ablation("time at dial", _time_at_dial, "no dial before its time", rates={"schedule early": 1.0}),
    Ablation("stop of an agent", _stop_of_an_agent, "no dial after an answered stop", rates=_NOTHING),
    Ablation("line limit", _line_limit, "never more live calls than lines", rates=CALM),
    Ablation("calling hours", _calling_hours, "no dial outside calling hours", first=3, rates=_NOTHING),
    Ablation("forward-only statuses", _forward_only, "statuses move forward", rates=_OUT_OF_ORDER),
    Ablation("rising times", _rising_times, "updated_at and sequence rise", rates=_NOTHING),
    Ablation("appending only", _appending_only, "history is never rewritten", rates=_NOTHING),
    Ablation("every gate", _every_gate, "every claim has every gate's decision", rates=_NOTHING),
    Ablation("unknown names", _unknown_names, "what a newer version stored stays", rates=_NEWER),
    Ablation("removal of schedules", _removal_of_schedules, "no schedule could still dial", rates=_NOTHING),
    Ablation("time to look", _time_to_look, _FINAL, rates={"schedule never": 1.0}),
    Ablation("storing before answering", _storing_before_answering, "what was acknowledged exists", rates=_NOTHING),
    Ablation("idempotency keys", _idempotency_keys, "one key makes one thing", rates=_REPEATED),
    Ablation("event order", _event_order, _ORDER, rates=_NOTHING),
    Ablation("list of undelivered events", _undelivered_list, _LISTED, rates=_ENDPOINT),
    Ablation("delivery lease", _delivery_lease, "nothing is told twice on a good day", rates=CALM),
    Ablation("punctual schedules", _punctual_schedules, "retries are punctual on a good day", rates=CALM),
    Ablation("handing a line on", _handing_on, "nobody waits while a line is free on a good day", rates=CALM),
    Ablation("retries", _retries, "retries are as configured", rates=_NOTHING),
    Ablation("interval of each retry", _interval_of_each_retry, "retries keep their intervals", rates=_NOTHING),
    Ablation("voicemail setting", _voicemail_setting, "voicemail is retried only if asked", first=16, rates=_NOTHING),
    Ablation("ending by a call only", _ending_by_a_call_only, "no error without a reason", rates=_NOTHING),
    Ablation("stopping on request only", _stopping_on_request, "nothing is stopped that was not to be", rates=_NOTHING),
    Ablation("attempt of a callback", _attempt_of_a_callback, _TRUTH, first=3, rates=_CALLBACKS),
    Ablation("one item for a line", _one_item_for_a_line, "no line is lost", rates=_NOTHING),
    Ablation("one queue for an agent", _one_queue_for_an_agent, "nobody waits for ever", rates=_NOTHING),
    Ablation("reading every row", _reading_every_row, "contacts are the file's rows", rates=_NOTHING),
    Ablation("what is counted", _what_is_counted, "batch counts are a recount", rates=_NOTHING),
    Ablation("completing a batch", _completing_a_batch, "every batch ends", rates=_NOTHING),
    Ablation("account check", _account_check, "nobody sees another's", rates=_NOTHING),
    Ablation("answer to a forgery", _answer_to_a_forgery, "forged callbacks are refused", rates=_FORGED),
    Ablation("documented statuses", _documented_statuses, "every answer is documented", rates=_NOTHING),
    Ablation("answers to bad requests", _answers_to_bad_requests, "no server error without a fault", rates=_NOTHING),
    Ablation("end of looking", _end_of_looking, "it converges", rates=_NOTHING),
)
"""Each promise notices the loss of one of these, and no other promise does."""

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
        rates=_SIDE_BY_SIDE,
    ),
    Ablation("unknown is a result", _unknown_is_a_result, _TWICE, (_TRUTH,), rates=_UNKNOWN),
    Ablation("stopped is final", _stopped_is_final, "statuses move forward", ("no dial after an answered stop",)),
    Ablation("line release", _line_release, "no line is lost", _ENDLESS),
    Ablation("idempotent row ids", _row_ids, _FINAL, (*_ENDLESS, "batch counts are a recount", _LISTED)),
    Ablation("sweeper", _sweeper, "it converges", (*_ENDLESS, _LISTED, _TRUTH)),
    Ablation("callback signature", _callback_signature, "forged callbacks are refused", (_TRUTH,), rates=_FORGED),
    Ablation("counting once", _count_once, "batch counts are a recount", ("every batch ends", "it converges"), first=4),
    Ablation("time of a retry", _time_of_a_retry, "no dial before its time", ("retries keep their intervals",)),
)
"""Safeguards whose loss breaks several promises at once; `make nightly` takes them away too."""
