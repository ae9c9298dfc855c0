"""Safeguards taken away, one at a time: the simulation must find out, and name the promise that was broken.

A safeguard whose loss nothing notices is either not needed, or not tested. The shipped code knows nothing of this: the
pieces are taken out from here, in the running process.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from redial.adapters.carriers import twilio
from redial.adapters.dynamodb import executions
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.idempotency import DynamoIdempotencyKeys
from redial.adapters.dynamodb.lines import DynamoLines
from redial.api import executions as api
from redial.domain import batch as batch_module
from redial.domain import execution as execution_module
from redial.domain.batch import Batch
from redial.domain.delivery import Delivery, pending_events
from redial.domain.execution import Execution
from redial.domain.outcome import NotPlaced, Unknown
from redial.domain.retry import RetryAt, decide
from redial.domain.status import WAITING, Status
from redial.runtime import wiring
from redial.usecases import carry_on_batch, dial_attempt
from redial.usecases.dial_attempt import Dialler
from redial.usecases.sweep import Sweeper, Swept
from redial.wire import stored_execution
from tests.simulation.faults import CALM


@dataclass(frozen=True)
class Ablation:
    """A safeguard, what stands in its place, which invariants may notice (one of them must), within how many seeds.

    `rates`: of the faults that it is there for; None: whatever the seeds choose.
    """

    safeguard: str
    without: Any
    noticed_by: tuple[str, ...]
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

    def alike(self: Execution, now: Any, from_number: str, line: int, token: str) -> Execution:
        return claim(self, now.replace(microsecond=0), from_number, line, "same")

    return mock.patch.object(Execution, "claim", alike)


def _attempt_check() -> Any:
    """A callback counts for whichever attempt is current, and dial dials it whichever it was asked for."""
    reported = Execution.reported

    def whichever(self: Execution, attempt: int, report: Any, now: Any) -> Execution:
        return reported(self, self.state.attempt.number, report, now)

    return _all(
        mock.patch.object(Execution, "reported", whichever),
        mock.patch.object(dial_attempt, "_is_ours", lambda execution, attempt: execution.state.is_waiting),
    )


def _unknown_is_a_result() -> Any:
    """An unknown answer counts as none: the attempt is dialled again."""
    answered = Execution.answered_by_carrier

    def again(self: Execution, attempt: int, result: Any, now: Any, jitter: float) -> Execution:
        return answered(self, attempt, NotPlaced(result.reason) if isinstance(result, Unknown) else result, now, jitter)

    return mock.patch.object(Execution, "answered_by_carrier", again)


def _stop_check_at_dial() -> Any:
    """Dial does not ask whether its agent or its batch has been stopped."""
    gates = Dialler._gates

    def open_gates(self: Dialler, execution: Execution, agent: Any, now: Any) -> Any:
        return gates(self, execution, None if agent is None else replace(agent, stopped_before=None), now)

    may_dial = mock.patch.object(Batch, "may_dial", property(lambda self: True))
    return _all(mock.patch.object(Dialler, "_gates", open_gates), may_dial)


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

    return mock.patch.object(carry_on_batch, "contact", another)


def _sweeper() -> Any:
    """Nobody looks after what was lost."""
    return mock.patch.object(Sweeper, "sweep", return_value=Swept())


def _idempotency_keys() -> Any:
    """A request that is sent again is a request like any other."""
    return _all(
        mock.patch.object(DynamoIdempotencyKeys, "find", return_value=None),
        mock.patch.object(DynamoIdempotencyKeys, "claim", return_value=None),
    )


def _calling_hours() -> Any:
    return mock.patch.object(Dialler, "_calling_window", return_value=None)


def _callback_signature() -> Any:
    return mock.patch.object(twilio, "verify", return_value=True)


def _undelivered_list() -> Any:
    """What holds given-up events is stored without the index's key."""

    def unlisted(execution: Execution) -> dict[str, Any]:
        item = stored_execution.encode(execution)
        item.pop("undelivered_of", None)
        return item

    return mock.patch.object(executions, "encode", unlisted)


def _account_check() -> Any:
    """An id opens what it names, whoever asks."""

    def anybodys(execution_id: str) -> Execution:
        execution = wiring.api().executions.get(execution_id)
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


def _time_of_a_retry() -> Any:
    """The next attempt is due at once."""

    def at_once(config: Any, attempts: Any, outcome: Any, now: Any) -> Any:
        decision = decide(config, attempts, outcome, now)
        return replace(decision, at=now) if isinstance(decision, RetryAt) else decision

    return mock.patch.object(execution_module, "decide", at_once)


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

_SIDE_BY_SIDE = {"invoked twice": 0.6, "schedule twice": 0.6, "aws slow": 0.3, "carrier slow": 0.3}
_CALLBACKS = {"callback late": 0.5, "callback twice": 0.6, "carrier timeout before placing": 0.3}
_STALE = {"index stale": 0.9, "aws slow": 0.3, "invoked late": 0.2}

ABLATIONS: tuple[Ablation, ...] = (
    Ablation("claim condition", _claim_condition, (_TWICE,), rates=_SIDE_BY_SIDE),
    Ablation(
        "claim token", _claim_token, (_TWICE,), rates={"invoked twice": 1.0, "schedule twice": 1.0, "aws slow": 0.25}
    ),
    Ablation("attempt check", _attempt_check, (_TRUTH,), rates=_CALLBACKS),
    Ablation("unknown is a result", _unknown_is_a_result, (_TWICE,)),
    Ablation("stop check at dial", _stop_check_at_dial, ("no dial after an answered stop",), rates=_STALE),
    Ablation("stopped is final", _stopped_is_final, ("no dial after an answered stop", "statuses move forward")),
    Ablation("forward-only statuses", _forward_only, ("statuses move forward",)),
    Ablation("event order", _event_order, (_ORDER,)),
    Ablation("delivery lease", _delivery_lease, ("nothing is told twice on a good day",), rates=CALM),
    Ablation("line release", _line_release, _ENDLESS),
    Ablation("line limit", _line_limit, ("never more live calls than lines",), rates=CALM),
    Ablation("idempotent row ids", _row_ids, (*_ENDLESS, "batch counts are a recount")),
    Ablation("sweeper", _sweeper, (*_ENDLESS, "every event is told or listed")),
    Ablation(
        "idempotency keys", _idempotency_keys, ("one key makes one thing",), rates={"client lost the answer": 0.4}
    ),
    Ablation("calling hours", _calling_hours, ("no dial outside calling hours",)),
    Ablation("callback signature", _callback_signature, ("forged callbacks are refused",)),
    Ablation("list of undelivered events", _undelivered_list, ("every event is told or listed",)),
    Ablation("account check", _account_check, ("nobody sees another's",)),
    Ablation("counting once", _count_once, ("batch counts are a recount", "every batch ends", "it converges")),
    Ablation("time of a retry", _time_of_a_retry, ("no dial before its time",)),
)
