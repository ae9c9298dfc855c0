"""`retry_config` in requests."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from redial.api.fields import MAX_INTERVALS, Flag, WholeNumber
from redial.domain.retry import DEFAULT_INTERVALS_MINUTES, DEFAULT_STATUSES, MAX_INTERVAL_MINUTES, MAX_RETRIES
from redial.domain.retry import RetryConfig as RetryRule
from redial.domain.status import RETRYABLE, Status

RetryableStatus = Literal["no-answer", "busy", "failed", "error"]
assert tuple(RETRYABLE) == ("no-answer", "busy", "failed", "error")  # mypy needs the spelled-out literal above


class RetryConfig(BaseModel):
    """Whether and when a call that failed is made again."""

    enabled: Flag = False
    max_retries: WholeNumber = Field(
        MAX_RETRIES, ge=1, le=MAX_RETRIES, description="Retries after the first dial: 3 means at most 4 calls."
    )
    retry_on_statuses: list[RetryableStatus] = Field(
        [str(status) for status in DEFAULT_STATUSES],  # type: ignore[misc]  # the assert above keeps them the same
        description="How an attempt must have ended to be followed by another.",
    )
    retry_on_voicemail: Flag = Field(False, description="Also try again after a machine has answered.")
    retry_intervals_minutes: list[Annotated[WholeNumber, Field(ge=1, le=MAX_INTERVAL_MINUTES)]] = Field(
        list(DEFAULT_INTERVALS_MINUTES),
        min_length=1,
        max_length=MAX_INTERVALS,
        description="Minutes from the end of a failed attempt to the next. Fewer than the retries: the last repeats.",
    )

    def to_rule(self) -> RetryRule:
        return RetryRule(
            enabled=self.enabled,
            max_retries=self.max_retries,
            retry_on_statuses=tuple(dict.fromkeys(Status(status) for status in self.retry_on_statuses)),
            retry_on_voicemail=self.retry_on_voicemail,
            retry_intervals_minutes=tuple(self.retry_intervals_minutes),
        )
