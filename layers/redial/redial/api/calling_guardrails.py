"""`calling_guardrails` of agents, policies, batches and calls, and their validation."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from redial.api.fields import WholeNumber
from redial.api.holidays import MAX_REGIONS, REGION, Holiday, holidays_of
from redial.domain.calling_window import CallingRule, Placement
from redial.domain.retry import MAX_RETRIES
from redial.runtime import system

MAX_WINDOWS = 28
"""Maximum entries of `windows`: four a day."""
MAX_EXCLUDED_DATES = 100
MAX_SPREAD_MINUTES = 120
DEFAULT_SPREAD_MINUTES = 15
DAY_MINUTES = 24 * 60

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _minute(value: Any) -> int:
    """The minutes since midnight of a time such as 09:30. Raises `ValueError`."""
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time of day such as 09:30, from 00:00 to 24:00")
    return DAY_MINUTES if value == "24:00" else int(found[1]) * 60 + int(found[2])


def read_date(value: Any) -> date:
    """Parse a date such as 2026-12-25. Raises `ValueError`."""
    try:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("must be a date such as 2026-12-25")


def _start(value: Any) -> int:
    if value == "24:00":
        raise ValueError("must be a time of day such as 09:30, from 00:00 to 23:59")
    return _minute(value)


_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
StartTime = Annotated[
    int,
    BeforeValidator(_start),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$", "examples": ["09:00", "17:30"]}),
]
EndTime = Annotated[
    int,
    BeforeValidator(_minute),
    WithJsonSchema({"type": "string", "pattern": f"^({_TIME}|24:00)$", "examples": ["12:30", "20:00"]}),
]
Date = Annotated[
    date, BeforeValidator(read_date), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-12-25"]})
]


def _region(text: str) -> str:
    if REGION.fullmatch(text) is None:
        raise ValueError("must be a country, or a part of one, such as FR or US-CA")
    holidays_of([text], system.now().date())
    return text


Region = Annotated[
    str, AfterValidator(_region), Field(json_schema_extra={"pattern": f"^{REGION.pattern}$", "examples": ["FR"]})
]


class CallingWindow(BaseModel):
    """A period of the day in which calls may start. If it ends before its start, it ends on the next day; if both are
    the same, it lasts 24 hours."""

    model_config = ConfigDict(extra="allow")

    days: list[Day] | None = Field(
        None, min_length=1, max_length=7, description="The days on which it begins. Not given: every day."
    )
    start: StartTime
    end: EndTime = Field(description="The first minute after the window.")


class CallingGuardrails(BaseModel):
    """When calls may start, in the called person's local time: whole hours (over midnight if the start is after the
    end), or windows. Null means not given."""

    model_config = ConfigDict(extra="allow")

    call_start_hour: WholeNumber | None = Field(None, ge=0, le=23)
    call_end_hour: WholeNumber | None = Field(None, ge=0, le=23)
    windows: list[CallingWindow] | None = Field(
        None, min_length=1, max_length=MAX_WINDOWS, description="Windows, instead of the two hours."
    )
    excluded_dates: list[Date] | None = Field(
        None,
        max_length=MAX_EXCLUDED_DATES,
        description="Dates on which no call starts and no window over midnight begins.",
    )
    holidays: list[Region] | None = Field(
        None,
        max_length=MAX_REGIONS,
        description="Countries or their subdivisions. Their public holidays of this year and the next are excluded"
        " dates. They are looked up when the rule is saved: save it again every year.",
        examples=[["FR"], ["US-CA"]],
    )
    placement: Placement | None = Field(
        Placement.START,
        description="When a call that became due outside the windows is placed. start: when they open; spread: within"
        " the first spread_minutes, each call at its own second; rotate: when they open, and a retry in a different"
        " hour of the day than the attempts before it.",
    )
    spread_minutes: WholeNumber | None = Field(
        DEFAULT_SPREAD_MINUTES, ge=1, le=MAX_SPREAD_MINUTES, description="For the placement `spread`."
    )

    attempts_per_window: WholeNumber | None = Field(
        None,
        ge=1,
        le=MAX_RETRIES + 1,
        description="Maximum attempts of one call in one window of one day; further attempts wait for the next window."
        " Not given: no limit.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "CallingGuardrails":
        if (self.call_start_hour is None) != (self.call_end_hour is None):
            missing = "call_start_hour" if self.call_start_hour is None else "call_end_hour"
            raise _fault("CallingGuardrails", missing, "give both hours, or neither")
        if self.windows is not None and self.call_start_hour is not None:
            raise _fault("CallingGuardrails", "windows", "give windows or hours, not both")
        return self

    def to_rule(self) -> CallingRule | None:
        """The calling rule; None if calls may start at any time."""
        if self.call_start_hour is not None and self.call_end_hour is not None:
            windows = CallingRule.of_hours(self.call_start_hour, self.call_end_hour).windows
        elif self.windows is not None:
            windows = tuple(sorted({window for one in self.windows for window in _read(one)}))
        elif self.excluded_dates or self.holidays or self.attempts_per_window:
            windows = CallingRule.of_hours(0, 0).windows
        else:
            return None
        placement = self.placement or Placement.START
        minutes = (self.spread_minutes or DEFAULT_SPREAD_MINUTES) if placement is Placement.SPREAD else 0
        excluded = {*(self.excluded_dates or ()), *(date.fromisoformat(one["date"]) for one in self.holiday_dates)}
        return CallingRule(windows, tuple(sorted(excluded)), placement, minutes, self.attempts_per_window or 0)

    @property
    def holiday_dates(self) -> list[Holiday]:
        """The public holidays of `holidays`, as currently known."""
        return holidays_of(self.holidays, system.now().date()) if self.holidays else []


def _read(window: CallingWindow) -> list[tuple[int, int, int]]:
    end = window.end if window.end > window.start else window.end + DAY_MINUTES
    return [(DAYS.index(day), window.start, end) for day in window.days or DAYS]


def _fault(model: str, field: str, message: str) -> ValidationError:
    problem = PydanticCustomError("guardrails", message)
    return ValidationError.from_exception_data(model, [InitErrorDetails(type=problem, loc=(field,), input=None)])
