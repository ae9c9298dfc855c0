"""Timers as one-shot EventBridge Scheduler schedules.

A schedule's name is made of what it is for, so setting a timer twice makes one. Schedules only wake: whether anything
is due is for the function that wakes to decide. Facts about the service: `at()` has a precision of a minute and takes
neither offset nor fraction, names have at most 64 of `[0-9a-zA-Z-_.]`, a time in the past is refused.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

SOONEST = timedelta(seconds=60)
"""Least time ahead: the service fires at a minute's precision, and refuses a time that has passed when it arrives."""
MAX_RETRY_ATTEMPTS = 10
MAX_EVENT_AGE_SECONDS = 900
"""How long the service retries an invocation that Lambda did not take. By then the sweeper has long taken over."""


class SchedulerTimers:
    """`ports.Timers` in one schedule group, which bounds what the role may be used for.

    `dial_function` and `deliver_function` are Lambda ARNs (with their alias); a function that sets no such timer may
    leave one out. Botocore errors other than "exists already" are raised as they are: the sweeper makes up for a timer.
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
    ) -> None:
        self._client = client
        self._group = group
        self._role_arn = role_arn
        self._dead_letter_arn = dead_letter_arn
        self._deliver_function = deliver_function
        self._dial_function = dial_function

    def wake_dial(self, execution_id: str, attempt: int, number: int, at: datetime, now: datetime) -> None:
        """Invoke dial with `{"execution_id", "attempt"}` at `at`, never earlier, up to a minute later."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        self._create(f"{execution_id}.dial.{number}", self._dial_function, event, at, now)

    def wake_deliver(self, execution_id: str, number: int, at: datetime, now: datetime) -> None:
        """Invoke deliver with `{"execution_id"}` at `at`, never earlier, up to a minute later."""
        event = {"execution_id": execution_id}
        self._create(f"{execution_id}.deliver.{number}", self._deliver_function, event, at, now)

    def cancel_dial(self, execution_id: str, number: int) -> None:
        """Delete that dial timer; one that fired (and so deleted itself) or never was is as good as deleted."""
        with suppress(self._client.exceptions.ResourceNotFoundException):
            self._client.delete_schedule(Name=f"{execution_id}.dial.{number}", GroupName=self._group)

    def _create(
        self, name: str, function: str | None, event: Mapping[str, str | int], at: datetime, now: datetime
    ) -> None:
        if function is None:
            raise ValueError(f"no function is configured for the timer {name}")
        with suppress(self._client.exceptions.ConflictException):  # then this very timer is set already
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
