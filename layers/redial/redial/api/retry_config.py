"""`retry_config` in requests."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from redial.api.fields import MAX_INTERVALS, Flag, WholeNumber
from redial.domain.retry import DEFAULT_INTERVALS_MINUTES, DEFAULT_STATUSES, MAX_INTERVAL_MINUTES, MAX_RETRIES
from redial.domain.retry import RetryConfig as RetryRule
from redial.domain.status import RETRYABLE, Status

RetryableStatus = Literal["no-answer", "busy", "failed", "error"]
assert tuple(RETRYABLE) == ("no-answer", "busy", "failed", "error")  # mypy needs the spelled-out literal above


class RetryConfig(BaseModel):
    """Whether and when a failed call is retried. If `enabled` is false, invalid fields are ignored."""

    enabled: Flag = False
    max_retries: WholeNumber = Field(
        MAX_RETRIES, ge=1, le=MAX_RETRIES, description="Retries after the first dial: 3 means at most 4 calls."
    )
    retry_on_statuses: list[RetryableStatus] = Field(
        [str(status) for status in DEFAULT_STATUSES],  # type: ignore[misc]  # the assert above keeps them the same
        description="The outcomes that are retried.",
    )
    retry_on_voicemail: Flag = Field(False, description="Also retry if a machine has answered.")
    retry_intervals_minutes: list[Annotated[WholeNumber, Field(ge=1, le=MAX_INTERVAL_MINUTES)]] = Field(
        list(DEFAULT_INTERVALS_MINUTES),
        min_length=1,
        max_length=MAX_INTERVALS,
        description="Minutes from the end of each failed attempt to the next. If there are fewer intervals than"
        " retries, the last one repeats.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _off_is_not_judged(cls, values: Any, handler: ModelWrapValidatorHandler["RetryConfig"]) -> "RetryConfig":
        try:
            return handler(values)
        except ValidationError as error:
            if not isinstance(values, dict) or values.get("enabled", False) is not False:
                raise
            invalid = {fault["loc"][0] for fault in error.errors()}
            return handler({name: value for name, value in values.items() if name not in invalid})

    def to_rule(self) -> RetryRule:
        return RetryRule(
            enabled=self.enabled,
            max_retries=self.max_retries,
            retry_on_statuses=tuple(dict.fromkeys(Status(status) for status in self.retry_on_statuses)),
            retry_on_voicemail=self.retry_on_voicemail,
            retry_intervals_minutes=tuple(self.retry_intervals_minutes),
        )
