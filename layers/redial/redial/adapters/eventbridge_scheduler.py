"""Timers as one-shot EventBridge Scheduler schedules.

A schedule's name is derived from its purpose, so setting a timer is idempotent. A schedule only sends a message to
dial's or deliver's queue, or invokes batch; the function decides whether anything is due. Limits of the service: `at()`
has a precision of a minute and accepts neither offset nor fraction, names have at most 64 characters of
`[0-9a-zA-Z-_.]`, and a time in the past is refused.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from redial.domain.batch import subject

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

_log = logging.getLogger(__name__)

SOONEST = timedelta(seconds=60)
"""Minimum delay: the service has a precision of a minute, and refuses a time that has passed when the request
arrives."""
MAX_RETRY_ATTEMPTS = 10
MAX_EVENT_AGE_SECONDS = 900
"""How long the service retries a message that SQS or Lambda rejected; the sweeper takes over much earlier."""


class SchedulerTimers:
    """Implements `ports.Timers` in one schedule group, to which the role is restricted.

    `dial_queue`, `deliver_queue`: ARNs of SQS queues; `batch_function`: a Lambda ARN with alias; None if no such timer
    is needed.
    A failure to set or remove a timer is logged and never fails the caller: the due time is stored with the item, so
    the sweeper does the work.
    """

    def __init__(
        self,
        client: "EventBridgeSchedulerClient",
        *,
        group: str,
        role_arn: str,
        dead_letter_arn: str,
        deliver_queue: str | None = None,
        dial_queue: str | None = None,
        batch_function: str | None = None,
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dead_letter_arn = dead_letter_arn
        self._deliver_queue = deliver_queue
        self._dial_queue = dial_queue
        self._batch_function = batch_function

    def schedule_dial(self, execution_id: str, attempt: int, timer_id: int, at: datetime, now: datetime) -> None:
        """Send dial `{"execution_id", "attempt"}` at `at` or up to a minute later, never earlier."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        self._create(f"{execution_id}.dial.{timer_id}", self._dial_queue, event, at, now)

    def schedule_delivery(self, subject_id: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Send deliver `{"execution_id"}` or `{"batch_id"}` at `at` or up to a minute later, never earlier."""
        event = subject(subject_id)
        self._create(f"{subject_id}.deliver.{timer_id}", self._deliver_queue, event, at, now)

    def schedule_batch_run(self, batch_id: str, purpose: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke batch with `{"batch_id"}` at `at` or up to a minute later, never earlier."""
        self._create(f"{batch_id}.{purpose}.{timer_id}", self._batch_function, subject(batch_id), at, now)

    def cancel_dial(self, execution_id: str, timer_id: int) -> None:
        """Delete a dial timer. Idempotent; a timer that has fired has deleted itself."""
        self._delete(f"{execution_id}.dial.{timer_id}")

    def cancel_batch(self, batch_id: str, purpose: str, timer_id: int) -> None:
        """Delete a timer of the batch. Idempotent."""
        self._delete(f"{batch_id}.{purpose}.{timer_id}")

    def _delete(self, name: str) -> None:
        with _left_to_the_sweeper("remove", name, but_fine="ResourceNotFoundException"):
            self._client.delete_schedule(Name=name, GroupName=self._group)

    def _create(
        self, name: str, target: str | None, event: Mapping[str, str | int], at: datetime, now: datetime
    ) -> None:
        if target is None:
            raise ValueError(f"no target is configured for the timer {name}")
        with _left_to_the_sweeper("set", name, but_fine="ConflictException"):  # conflict: already set
            self._client.create_schedule(
                Name=name,
                GroupName=self._group,
                ScheduleExpression=at_expression(at, now),
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": target,
                    "RoleArn": self._role_arn,
                    "Input": json.dumps(event),
                    "RetryPolicy": {
                        "MaximumRetryAttempts": MAX_RETRY_ATTEMPTS,
                        "MaximumEventAgeInSeconds": MAX_EVENT_AGE_SECONDS,
                    },
                    "DeadLetterConfig": {"Arn": self._dead_letter_arn},
                },
            )


@contextmanager
def _left_to_the_sweeper(what: str, name: str, but_fine: str) -> Iterator[None]:
    """Log an error of the service instead of raising it; the code `but_fine` counts as success."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else None
        if code == but_fine:
            return
        reason = code or type(error).__name__
        extra = {"schedule": name, **subject(name.partition(".")[0]), "error": reason}
        _log.warning("could not %s timer %s (%s): left to the sweeper", what, name, reason, extra=extra)


def at_expression(at: datetime, now: datetime) -> str:
    """`at(yyyy-mm-ddThh:mm:ss)` in UTC: the later of `at` and `now` + `SOONEST`, rounded up to the second.

    Raises `ValueError` unless both are aware.
    """
    if at.tzinfo is None or now.tzinfo is None:
        raise ValueError("a timer needs times with a time zone")
    instant = max(at.astimezone(UTC), now.astimezone(UTC) + SOONEST)
    if instant.microsecond:
        instant = instant.replace(microsecond=0) + timedelta(seconds=1)
    return f"at({instant:%Y-%m-%dT%H:%M:%S})"
