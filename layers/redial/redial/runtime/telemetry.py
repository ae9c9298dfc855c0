"""Logs and metrics of every function: structured JSON lines, and business metrics in CloudWatch's embedded format.

Each log line carries execution id and attempt. Phone numbers are masked; bodies, keys and headers are never logged.
`METRICS` lists every metric. Each has one series with the dimension `service`, the stack's name. Some have further
series, split by a dimension with few fixed values, never by a phone number, an id or anything that a customer chose.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics

from redial.domain.decision import Gate, closed_by
from redial.domain.execution import Attempt, Execution, Marker
from redial.domain.outcome import Accepted, NotPlaced, Refused, Unknown
from redial.domain.repair import BatchRepair, Repair
from redial.domain.retry import MAX_RETRIES
from redial.domain.status import FINAL, RETRYABLE, Status
from redial.domain.values import dataclass
from redial.runtime.tracing import annotate

if TYPE_CHECKING:
    from redial.usecases.deliver_events import DeliveryReport
    from redial.usecases.dial_attempt import DialReport
    from redial.usecases.sweep import SweepReport

warnings.filterwarnings("ignore", message="No application metrics to publish")  # a duplicate event has none

logger = Logger(use_rfc3339=True)
metrics = Metrics()


def _adopt(package: str) -> None:
    """Format the log lines of use cases and adapters in the same way: as JSON, with the keys of this invocation."""
    adopted = logging.getLogger(package)
    adopted.setLevel(logger.log_level)
    for handler in logger.handlers:
        adopted.addHandler(handler)
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # Lambda's root handler would print each line again
        adopted.propagate = False


_adopt("redial")


def about(**ids: str | int) -> None:
    """Add the ids of this invocation's subject to its further log lines and to its trace."""
    logger.append_keys(**ids)
    annotate(**ids)


# ---- metrics --------------------------------------------------------------------------------------------------------

VOICEMAIL = "voicemail"
"""The outcome of an attempt that a machine answered, in metrics. Its status is `completed`."""

_ATTEMPTS = tuple(str(number + 1) for number in range(MAX_RETRIES + 1))
_OUTCOMES = (VOICEMAIL, *(str(status) for status in Status if status in FINAL and status is not Status.STOPPED))


@dataclass(frozen=True)
class Metric:
    """A metric: its CloudWatch unit, its meaning, the dimension that splits it, and the dimension's values."""

    unit: str
    about: str
    split: str | None = None
    words: tuple[str, ...] = ()


METRICS = {
    "AttemptPlaced": Metric("Count", "the carrier accepted a call", "attempt", _ATTEMPTS),
    "AttemptRefused": Metric("Count", "the carrier refused a call"),
    "AttemptNotPlaced": Metric("Count", "the carrier placed no call; the same attempt is dialled later"),
    "AttemptUnknown": Metric("Count", "the carrier gave no usable answer; never dialled again, settled later"),
    "LateReport": Metric("Count", "the carrier reported a call after its attempt had been given up as lost"),
    "AttemptAnswered": Metric("Count", "an attempt answered by a person ended", "attempt", _ATTEMPTS),
    "AttemptEnded": Metric("Count", "an attempt ended", "outcome", _OUTCOMES),
    "AttemptHeld": Metric("Count", "deferred, without using up a retry, because the carrier account's circuit is open"),
    "AttemptClosed": Metric("Count", "a gate deferred an attempt or ended its call", "gate", tuple(Gate)),
    "AttentionNeeded": Metric("Count", "refused or held, without using up a retry; only a person can fix the cause"),
    "RetryScheduled": Metric("Count", "a retry was scheduled after this outcome", "outcome", (VOICEMAIL, *RETRYABLE)),
    "RetryLateness": Metric("Seconds", "from a retry's due time until it was dialled or queued for a line"),
    "ExecutionExhausted": Metric("Count", "a call failed, and all its retries are used"),
    "LineWait": Metric("Seconds", "from queued for a line until dialled"),
    "PaceWait": Metric("Seconds", "from ready until the start that the carrier account's rate gives"),
    "LinesInUse": Metric("Count", "lines held by calls, of all agents; once a minute"),
    "CallsWaiting": Metric("Count", "calls waiting for a line, of all agents; once a minute"),
    "CircuitOpened": Metric("Count", "a carrier failed for every call, and its circuit opened"),
    "CallbackRejected": Metric("Count", "a carrier callback with a wrong signature, or malformed"),
    "WebhookAccepted": Metric("Count", "a webhook accepted an event"),
    "WebhookFailed": Metric("Count", "a webhook did not accept an event; it will be retried"),
    "WebhookUndelivered": Metric("Count", "an event was given up; it can be replayed"),
    "WebhookLatency": Metric("Milliseconds", "until a webhook answered or timed out"),
    "SweeperRepair": Metric("Count", "the sweeper repaired something overdue", "kind", tuple(Repair)),
    "SweeperError": Metric("Count", "the sweeper failed on an overdue item"),
    "BatchRepair": Metric("Count", "a running batch's audit repaired something", "kind", tuple(BatchRepair)),
    "BatchStarted": Metric("Count", "a batch started"),
    "BatchCompleted": Metric("Count", "every contact of a batch is final"),
    "ChainCut": Metric("Count", "dial and batch had invoked each other too often; the sweeper continues"),
    "TallyError": Metric("Count", "a stream record could not be counted, so its batch's counts are wrong"),
}


def _add(name: str, value: float = 1, word: str | None = None) -> None:
    """Add to the metric, in the series of `word` if the metric is split. Raises ValueError for an unlisted word."""
    metric = METRICS[name]
    if metric.split is None:
        metrics.add_metric(name=name, unit=metric.unit, value=value)
        return
    if word not in metric.words:
        raise ValueError(f"{name} is not counted by {word!r}")
    # Metrics of one log line share their dimensions, so a split metric needs its own line.
    line = EphemeralMetrics(namespace=metrics.namespace, service=metrics.service)
    line.add_metric(name=name, unit=metric.unit, value=value)
    line.add_dimensions(**{"service": metrics.service, metric.split: word})
    line.flush_metrics()


def dialled(done: "DialReport") -> None:
    """Metrics of one invocation of dial."""
    before, after, result = done.before, done.execution, done.result
    if done.opened:
        _add("CircuitOpened")
    if done.held:
        _add("AttemptHeld")
    if done.needs_person or (isinstance(result, NotPlaced) and result.fault is not None):
        _add("AttentionNeeded")
    if done.pace_wait is not None:
        _add("PaceWait", _seconds(done.pace_wait))
    if before is None or after is None:
        return
    gate = _closed_gate(done.found or before, after)
    if gate is not None:
        _add("AttemptClosed", word=gate)
    if isinstance(result, Accepted):
        _add("AttemptPlaced", word=str(before.state.attempt.number))
    elif result is not None:
        names = {Refused: "AttemptRefused", NotPlaced: "AttemptNotPlaced", Unknown: "AttemptUnknown"}
        _add(names[type(result)])
    changed(before, after)
    _waited(done.found or before, after, placed=result is not None and not isinstance(result, NotPlaced))


def _closed_gate(found: Execution, after: Execution) -> Gate | None:
    """The gate that this invocation found closed, according to its last change. If a call that waits for a line again
    finds none, nothing is recorded. `found`: the execution before this invocation."""
    last = after.changes[-1]
    if last in found.changes[-1:]:
        return None
    gate = closed_by(last.gates)
    return gate if isinstance(gate, Gate) else None


def _waited(found: Execution, after: Execution, placed: bool) -> None:
    """Metrics of a retry's lateness and, if `placed`, of the wait for a line. `found`: the execution before this
    invocation.

    Not recorded for batch contacts that were not started, for delayed calls, and for calls deferred before: they waited
    for something else.
    """
    state = found.state
    if found.is_not_started or state.is_delayed or state.deferrals or len(after.changes) <= len(found.changes):
        return
    acted_at = after.changes[len(found.changes)].at
    if state.timer is not None and state.attempt.number > 1:
        _add("RetryLateness", _seconds(acted_at - state.timer[1]))
    if placed and state.queued_at is not None:
        _add("LineWait", _seconds(acted_at - state.queued_at))


def _seconds(time: timedelta) -> float:
    return max(0.0, time.total_seconds())


def changed(before: Execution, after: Execution) -> None:
    """Metrics of the changes from `before` to `after`: ended attempts, retries, exhausted retries, late reports."""
    for sequence, change in after.events():
        if sequence <= before.state.sequence:
            continue
        status, attempt = Status(change.kind), after.state.attempts[change.attempt - 1]
        if status in FINAL and status is not Status.STOPPED and attempt.dialed_at is not None:
            outcome = _outcome(attempt)
            _add("AttemptEnded", word=outcome)
            if outcome == Status.COMPLETED:
                _add("AttemptAnswered", word=str(attempt.number))
        if status is Status.SCHEDULED and change.attempt > 1:
            _add("RetryScheduled", word=_outcome(after.state.attempts[change.attempt - 2]))
    late = sum(change.kind in (Marker.FOUND, Marker.LATE) for change in after.changes[len(before.changes) :])
    if late:
        _add("LateReport", late)
    state, config = after.state, after.retry_config
    if config is None or not config.enabled or state.sequence == before.state.sequence:
        return
    if state.is_final and state.status is not Status.COMPLETED and state.attempt.number > config.max_retries:
        _add("ExecutionExhausted")


def _outcome(attempt: Attempt) -> str:
    return VOICEMAIL if attempt.status is Status.COMPLETED and attempt.voicemail else str(attempt.status)


def delivered(done: "DeliveryReport") -> None:
    """Metrics of one invocation that delivered events."""
    for name, value in (
        ("WebhookAccepted", done.accepted),
        ("WebhookUndelivered", done.given_up),
        ("WebhookFailed", int(done.failed)),
    ):
        if value:
            _add(name, value)
    for seconds in done.seconds:
        _add("WebhookLatency", seconds * 1000)


def swept(done: "SweepReport") -> None:
    """Metrics of one invocation of the sweeper."""
    for repair, times in done.repairs.items():
        _add("SweeperRepair", times, word=repair)
    if done.errors:
        _add("SweeperError", done.errors)
    if done.lines_in_use is not None:
        _add("LinesInUse", done.lines_in_use)
    if done.calls_waiting is not None:
        _add("CallsWaiting", done.calls_waiting)
    for before, after in done.changes:
        changed(before, after)


class Rejections:
    """Counts rejected callbacks of a process: a flood of forged ones must not cause a flood of log and metric lines."""

    SECONDS = 1.0
    """Minimum time between two reports."""

    def __init__(self) -> None:
        self._count, self._reported_at = 0, float("-inf")

    def add(self, seconds: float) -> int:
        """Count one more, at this time of a monotonic clock. Returns how many to report now, including this one; 0:
        report it later."""
        self._count += 1
        if seconds < self._reported_at + self.SECONDS:
            return 0
        count, self._count, self._reported_at = self._count, 0, seconds
        return count


_rejections = Rejections()


def callback_rejected(seconds: float) -> int:
    """A carrier callback was rejected, at this time of a monotonic clock. Returns how many the metric counts now."""
    count = _rejections.add(seconds)
    if count:
        _add("CallbackRejected", count)
    return count


def chain_cut() -> None:
    """A chain of invocations of dial and batch was cut off."""
    _add("ChainCut")


def batch_started() -> None:
    """A batch started."""
    _add("BatchStarted")


def batch_repaired(repairs: Mapping[BatchRepair, int]) -> None:
    """Repairs by a running batch's audit."""
    for repair, times in repairs.items():
        _add("BatchRepair", times, word=repair)


def batch_completed() -> None:
    """Every contact of a batch is final."""
    _add("BatchCompleted")


def not_counted() -> None:
    """A stream record could not be counted."""
    _add("TallyError")
