"""`contact_limits` of an agent, an account or a policy, and its validation."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from redial.api.fields import WholeNumber
from redial.domain import contact_limits
from redial.domain.contact_limits import LONGEST_SPAN, MOST_ATTEMPTS, MOST_CAPS, AtCap

_HOUR = timedelta(hours=1)
MAX_HOURS = LONGEST_SPAN // _HOUR


class ContactCap(BaseModel):
    """A maximum number of attempts to one number in any period of `hours`."""

    model_config = ConfigDict(extra="allow")

    attempts: WholeNumber = Field(
        ge=1, le=MOST_ATTEMPTS, description="The maximum. Every dial counts, whatever its outcome."
    )
    hours: WholeNumber = Field(ge=1, le=MAX_HOURS)


class ContactLimits(BaseModel):
    """How often one number may be called. All calls of the account to it count, including retries. Null means not
    given."""

    model_config = ConfigDict(extra="allow")

    caps: list[ContactCap] | None = Field(
        None, max_length=MOST_CAPS, description="All caps apply.", examples=[[{"attempts": 3, "hours": 24}]]
    )
    pause_after_conversation_hours: WholeNumber | None = Field(
        None, ge=1, le=MAX_HOURS, description="Hours without attempts after the end of an answered call."
    )
    at_cap: AtCap | None = Field(
        AtCap.DEFER,
        description="What happens to an attempt that is not allowed. defer: it waits until it is allowed; end: the call"
        " is `canceled`.",
    )

    def to_limits(self) -> contact_limits.ContactLimits | None:
        """The limits; None if nothing is limited."""
        caps = tuple(sorted({(one.attempts, one.hours * _HOUR) for one in self.caps or ()}))
        pause = (self.pause_after_conversation_hours or 0) * _HOUR
        return contact_limits.ContactLimits(caps, pause, self.at_cap or AtCap.DEFER) if caps or pause else None


class ContactCapRead(TypedDict):
    """A cap, as in requests."""

    attempts: int
    hours: int


class ContactLimitsRead(TypedDict):
    """Contact limits, as in requests."""

    caps: list[ContactCapRead]
    pause_after_conversation_hours: int | None
    at_cap: AtCap


def contact_limits_json(limits: contact_limits.ContactLimits | None) -> ContactLimitsRead | None:
    """The limits in the format of requests; None if there are no limits."""
    if limits is None:
        return None
    return {
        "caps": [{"attempts": count, "hours": span // _HOUR} for count, span in limits.caps],
        "pause_after_conversation_hours": limits.pause // _HOUR or None,
        "at_cap": limits.at_cap,
    }
