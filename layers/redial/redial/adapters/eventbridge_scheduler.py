"""Timers as one-shot EventBridge Scheduler schedules.

A schedule's name is made of what it is for, so setting a timer twice makes one. Schedules only wake: whether anything
is due is for the function that wakes to decide. Facts about the service: `at()` has a precision of a minute and takes
neither offset nor fraction, names have at most 64 of `[0-9a-zA-Z-_.]`, a time in the past is refused.
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
"""Least time ahead: the service fires at a minute's precision, and refuses a time that has passed when it arrives."""
MAX_RETRY_ATTEMPTS = 10
MAX_EVENT_AGE_SECONDS = 900
"""How long the service retries an invocation that Lambda did not take. By then the sweeper has long taken over."""


class SchedulerTimers:
    """`ports.Timers` in one schedule group, which bounds what the role may be used for.

    `dial_function`, `deliver_function` and `batch_function` are Lambda ARNs (with their alias); a function that sets no
    such timer may leave one out. A timer that cannot be set or removed is logged and left, like a lost invocation: what
    it was to wake is stored with its time, and the sweeper wakes it then. So nothing here undoes or fails the work that
    asked for it.
    """

    def __init__(
        self,
        client: "EventBridgeSchedulerClient",
        *,
        group: str,
        role_arn: str,
        dead_letter_arn: str,
        deliver_function: str | None = None,
        dial_function: str | None = None,
        batch_function: str | None = None,
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dead_letter_arn = dead_letter_arn
        self._deliver_function = deliver_function
        self._dial_function = dial_function
        self._batch_function = batch_function

    def schedule_dial(self, execution_id: str, attempt: int, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke dial with `{"execution_id", "attempt"}` at `at`, never earlier, up to a minute later."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        self._create(f"{execution_id}.dial.{timer_id}", self._dial_function, event, at, now)

    def schedule_delivery(self, subject_id: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke deliver with `{"execution_id"}`, or `{"batch_id"}`, at `at`, never earlier, up to a minute later."""
        event = subject(subject_id)
        self._create(f"{subject_id}.deliver.{timer_id}", self._deliver_function, event, at, now)

    def schedule_batch_run(self, batch_id: str, purpose: str, timer_id: int, at: datetime, now: datetime) -> None:
        """Invoke batch with `{"batch_id"}` at `at`, never earlier, up to a minute later."""
        self._create(f"{batch_id}.{purpose}.{timer_id}", self._batch_function, subject(batch_id), at, now)

    def cancel_dial(self, execution_id: str, timer_id: int) -> None:
        """Delete that dial timer; one that fired (and so deleted itself) or never was is as good as deleted."""
        self._delete(f"{execution_id}.dial.{timer_id}")

    def cancel_batch(self, batch_id: str, purpose: str, timer_id: int) -> None:
        """Delete that timer of the batch, likewise."""
        self._delete(f"{batch_id}.{purpose}.{timer_id}")

    def _delete(self, name: str) -> None:
        with _left_to_the_sweeper("remove", name, but_fine="ResourceNotFoundException"):
            self._client.delete_schedule(Name=name, GroupName=self._group)

    def _create(
        self, name: str, function: str | None, event: Mapping[str, str | int], at: datetime, now: datetime
    ) -> None:
        if function is None:
            raise ValueError(f"no function is configured for the timer {name}")
        with _left_to_the_sweeper("set", name, but_fine="ConflictException"):  # a conflict: this very timer is set
            self._client.create_schedule(
                Name=name,
                GroupName=self._group,
                ScheduleExpression=at_expression(at, now),
                ScheduleExpressionTimezone="UTC",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": function,
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
    """Log a request that the service did not take; the error code `but_fine` means that all is as wanted."""
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
    """`at(yyyy-mm-ddThh:mm:ss)` in UTC: `at`, or `SOONEST` from `now` if that is later, rounded up to the second.

    Both must be aware. Raises `ValueError` if not.
    """
    if at.tzinfo is None or now.tzinfo is None:
        raise ValueError("a timer needs times with a time zone")
    instant = max(at.astimezone(UTC), now.astimezone(UTC) + SOONEST)
    if instant.microsecond:
        instant = instant.replace(microsecond=0) + timedelta(seconds=1)
    return f"at({instant:%Y-%m-%dT%H:%M:%S})"
