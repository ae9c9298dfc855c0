"""Logs and metrics of every function: structured JSON lines, and business facts as CloudWatch embedded metrics.

Each log line carries execution id and attempt; phone numbers are masked, and no body, key or header is logged.
`METRICS` lists every metric. Each has one series with the dimension `service`, the stack's name; some have more of
them, split by one word of a short list: never by a number, an id or anything that a customer chose.
"""

import logging
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics

from redial.domain.execution import Attempt, Execution, Marker
from redial.domain.outcome import Accepted, NotPlaced, Refused, Unknown
from redial.domain.repair import BatchRepair, Repair
from redial.domain.retry import MAX_RETRIES
from redial.domain.status import FINAL, RETRYABLE, Status
from redial.runtime.tracing import annotate

if TYPE_CHECKING:
    from redial.usecases.deliver_events import DeliveryReport
    from redial.usecases.dial_attempt import DialReport
    from redial.usecases.sweep import SweepReport

warnings.filterwarnings("ignore", message="No application metrics to publish")  # a duplicate event counts nothing

logger = Logger(use_rfc3339=True)
metrics = Metrics()


def _adopt(package: str) -> None:
    """What use cases and adapters log goes out like all else: as JSON, with the keys of this invocation."""
    adopted = logging.getLogger(package)
    adopted.setLevel(logger.log_level)
    for handler in logger.handlers:
        adopted.addHandler(handler)
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # there the root logger has a handler that would print it once more
        adopted.propagate = False


_adopt("redial")


def about(**ids: str | int) -> None:
    """What this invocation is about: on each of its log lines from now on, and on its trace."""
    logger.append_keys(**ids)
    annotate(**ids)


def masked(number: str) -> str:
    """`+14155550123` → `+1415*****23`: enough to tell two apart in a log, too little to ring."""
    return f"{number[:5]}{'*' * max(len(number) - 7, 1)}{number[-2:]}"


def masked_text(text: str) -> str:
    """`text` with every phone number in it masked; carriers' messages quote them."""
    return re.sub(r"\+[0-9]{7,15}", lambda found: masked(found.group()), text)


# ---- metrics --------------------------------------------------------------------------------------------------------

VOICEMAIL = "voicemail"
"""How an attempt ended that a machine answered; its status is `completed`."""

_ATTEMPTS = tuple(str(number + 1) for number in range(MAX_RETRIES + 1))
_OUTCOMES = (VOICEMAIL, *(str(status) for status in Status if status in FINAL and status is not Status.STOPPED))


@dataclass(frozen=True)
class Metric:
    """One metric: its CloudWatch unit, what it tells, and the word by which it is split, with all that may be said."""

    unit: str
    about: str
    split: str | None = None
    words: tuple[str, ...] = ()


METRICS = {
    "AttemptPlaced": Metric("Count", "the carrier took a call", "attempt", _ATTEMPTS),
    "AttemptRefused": Metric("Count", "the carrier refused one"),
    "AttemptNotPlaced": Metric(
        "Count", "the carrier placed nothing; the attempt is dialled later, as if it had not been"
    ),
    "AttemptUnknown": Metric("Count", "the carrier gave no usable answer; never dialled again, settled later"),
    "LateReport": Metric("Count", "the carrier reported on a call after its attempt had been given up as lost"),
    "AttemptAnswered": Metric("Count", "an attempt ended that a person answered", "attempt", _ATTEMPTS),
    "AttemptEnded": Metric("Count", "an attempt ended", "outcome", _OUTCOMES),
    "AttemptHeld": Metric("Count", "put off, without using up a retry, because the carrier's circuit is open"),
    "RetryScheduled": Metric("Count", "a retry was scheduled, after this", "outcome", (VOICEMAIL, *RETRYABLE)),
    "RetryLateness": Metric("Seconds", "from the time of a retry to when it was dialled, or began to wait for a line"),
    "ExecutionExhausted": Metric("Count", "a call failed for good: all its retries are used"),
    "LineWait": Metric("Seconds", "from when a call was ready to when it was dialled: it waited for a line"),
    "LinesInUse": Metric("Count", "lines held by calls, of all agents; once a minute"),
    "CallsWaiting": Metric("Count", "calls that wait for a line, of all agents; once a minute"),
    "CircuitOpened": Metric("Count", "a carrier failed for everybody: its circuit was opened"),
    "CallbackRejected": Metric(
        "Count", "a request to the carriers' callback whose signature was wrong, or that made no sense"
    ),
    "WebhookAccepted": Metric("Count", "an event was taken by its webhook"),
    "WebhookFailed": Metric("Count", "an event was not taken; it will be tried again"),
    "WebhookUndelivered": Metric("Count", "an event was given up; it can be replayed"),
    "WebhookLatency": Metric("Milliseconds", "until a webhook answered, or was given up waiting for"),
    "SweeperRepair": Metric("Count", "something that had not happened was done", "kind", tuple(Repair)),
    "SweeperError": Metric("Count", "something overdue could not be looked at"),
    "BatchRepair": Metric("Count", "a running batch's check put something right", "kind", tuple(BatchRepair)),
    "BatchStarted": Metric("Count", "a batch began to be called"),
    "BatchCompleted": Metric("Count", "every contact of a batch is final"),
    "TallyError": Metric("Count", "a record of the table's stream could not be read; a batch's counts are wrong by it"),
}


def _add(name: str, value: float = 1, word: str | None = None) -> None:
    """To the series of all, and to that of `word` where the metric is split."""
    metric = METRICS[name]
    if metric.split is None:
        metrics.add_metric(name=name, unit=metric.unit, value=value)
        return
    if word not in metric.words:
        raise ValueError(f"{name} is not counted by {word!r}")
    # Metrics of one line share their dimensions, so what is split has a line of its own.
    line = EphemeralMetrics(namespace=metrics.namespace, service=metrics.service)
    line.add_metric(name=name, unit=metric.unit, value=value)
    line.add_dimensions(**{"service": metrics.service, metric.split: word})
    line.flush_metrics()


def dialled(done: "DialReport") -> None:
    """What one invocation of dial came to."""
    before, after, result = done.before, done.execution, done.result
    if done.opened:
        _add("CircuitOpened")
    if done.held:
        _add("AttemptHeld")
    if before is None or after is None:
        return
    if isinstance(result, Accepted):
        _add("AttemptPlaced", word=str(before.state.attempt.number))
    elif result is not None:
        names = {Refused: "AttemptRefused", NotPlaced: "AttemptNotPlaced", Unknown: "AttemptUnknown"}
        _add(names[type(result)])
    changed(before, after)
    _waited(done.found or before, after, placed=result is not None and not isinstance(result, NotPlaced))


def _waited(found: Execution, after: Execution, placed: bool) -> None:
    """How long a call waited that was `found` waiting: for its time, or for a line until it was `placed`.

    Neither is told of a batch's contact whose turn has just come, or that waits in its batch's room, nor of a call that
    the carrier could not place before: they wait for something else.
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
    """What a change came to: attempts that ended, a retry, or that there is none left."""
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
    """What came of sending events."""
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
    """What one invocation of the sweeper did, and what the minute's run counted."""
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


def callback_rejected() -> None:
    """A request to the carriers' callback was turned away."""
    _add("CallbackRejected")


def batch_started() -> None:
    """A batch began to be called."""
    _add("BatchStarted")


def batch_repaired(repairs: Mapping[BatchRepair, int]) -> None:
    """What a running batch's check put right."""
    for repair, times in repairs.items():
        _add("BatchRepair", times, word=repair)


def batch_completed() -> None:
    """Every contact of a batch is final."""
    _add("BatchCompleted")


def not_counted() -> None:
    """A record of the table's stream could not be read."""
    _add("TallyError")
