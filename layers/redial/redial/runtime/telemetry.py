"""Logs and metrics of every function: structured JSON lines, and business facts as CloudWatch embedded metrics.

Each log line carries execution id and attempt; phone numbers are masked, and no body, key or header is logged.
Metrics have no dimension but the service and, where noted, a bounded word: never a number or an id.
"""

import re
import warnings

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from redial.domain.execution import Execution
from redial.domain.outcome import Accepted, DialResult, NotPlaced, Refused, Unknown
from redial.domain.status import FINAL, Status
from redial.usecases.deliver_events import Delivered
from redial.usecases.sweep import Swept

warnings.filterwarnings("ignore", message="No application metrics to publish")  # a duplicate event counts nothing

logger = Logger(use_rfc3339=True)
metrics = Metrics()


def masked(number: str) -> str:
    """`+14155550123` → `+1415*****23`: enough to tell two apart in a log, too little to ring."""
    return f"{number[:5]}{'*' * max(len(number) - 7, 1)}{number[-2:]}"


def masked_text(text: str) -> str:
    """`text` with every phone number in it masked; carriers' messages quote them."""
    return re.sub(r"\+[0-9]{7,15}", lambda found: masked(found.group()), text)


def _count(name: str, value: float = 1) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def dialled(result: DialResult) -> None:
    """AttemptPlaced, AttemptRefused, AttemptNotPlaced or AttemptUnknown: what the carrier answered to one dial."""
    names = {
        Accepted: "AttemptPlaced",
        Refused: "AttemptRefused",
        NotPlaced: "AttemptNotPlaced",
        Unknown: "AttemptUnknown",
    }
    _count(names[type(result)])


def changed(before: Execution, after: Execution) -> None:
    """The events that a change added: RetryScheduled, and CallCompleted, CallNoAnswer … for each final status;
    ExecutionExhausted where a failed execution has no retry left."""
    for sequence, change in after.events():
        if sequence <= before.state.sequence:
            continue
        status = Status(change.kind)
        if status is Status.SCHEDULED and change.attempt > 1:
            _count("RetryScheduled")
        if status in FINAL:
            _count("Call" + "".join(word.capitalize() for word in status.split("-")))
    state, config = after.state, after.retry_config
    if config is None or not config.enabled or state.sequence == before.state.sequence:
        return
    if state.is_final and state.status is not Status.COMPLETED and state.attempt.number > config.max_retries:
        _count("ExecutionExhausted")


def delivered(done: Delivered) -> None:
    """WebhookAccepted, WebhookUndelivered (given up), WebhookFailed (will be tried again)."""
    for name, value in (
        ("WebhookAccepted", done.accepted),
        ("WebhookUndelivered", done.given_up),
        ("WebhookFailed", int(done.failed)),
    ):
        if value:
            _count(name, value)


def swept(done: Swept) -> None:
    """SweeperRepair, and SweeperError for items that could not be looked at; the log says which kinds."""
    _count("SweeperRepair", sum(done.repairs.values()))
    if done.errors:
        _count("SweeperError", done.errors)


def callback_rejected() -> None:
    """CallbackRejected: a request to the carriers' callback whose signature was wrong."""
    _count("CallbackRejected")


def batch_completed() -> None:
    """BatchCompleted: every contact of a batch is final."""
    _count("BatchCompleted")


def not_counted() -> None:
    """TallyError: a record of the table's stream that could not be read; a batch's counts are wrong by it."""
    _count("TallyError")
