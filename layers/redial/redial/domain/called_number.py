"""A called number: which call of the account has reserved it, and its call history of the last month.

Pure. `usecases.one_call` has the protocol.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from redial.domain.contact_limits import ContactHistory
from redial.domain.execution import Attempt, Execution
from redial.domain.status import Status
from redial.domain.values import dataclass


@dataclass(frozen=True)
class Reservation:
    """The reservation of a number by an attempt, which may be claimed over that version of its execution only. `at`:
    when it was made."""

    execution_id: str
    attempt: int
    version: int
    at: datetime


@dataclass(frozen=True)
class CalledNumber:
    """The stored state of a number that an account calls. `holder`: the last attempt that reserved it, over or not;
    `history` does not include it yet. `version` counts saves; 0: nothing is stored."""

    history: ContactHistory = ContactHistory()
    holder: Reservation | None = None
    version: int = 0

    def without_holder(self, execution: Execution | None) -> "CalledNumber":
        """Move the holder, which is over, to the history. `execution`: the holder's current state.

        If the execution is gone or erased, the holder counts as dialled and answered at the time of its reservation.
        """
        holder, history = self.holder, self.history
        assert holder is not None, "the caller asked"
        if execution is None or execution.erased:
            history = history.with_attempt(holder.at).with_conversation(holder.at)
            return replace(self, history=history, holder=None)
        attempts = execution.state.attempts
        for attempt in attempts[holder.attempt - 1 :]:
            if _may_have_rung(attempt) and attempt.dialed_at is not None:
                history = history.with_attempt(attempt.dialed_at)
        for attempt in attempts:
            if _was_conversation(attempt) and attempt.ended_at is not None:
                history = history.with_conversation(attempt.ended_at)
        return replace(self, history=history, holder=None)


class Use(StrEnum):
    """How a holder uses its number. `OVER`: it cannot dial the number without reserving it again; `CLAIMING`: its claim
    may be under way; `LIVE`: its call is being placed, or is up."""

    OVER = "over"
    CLAIMING = "claiming"
    LIVE = "live"


def use_of(holder: Reservation, execution: Execution | None) -> Use:
    """How the holder uses its number. `execution`: the holder's, from a consistent read after that of the reservation;
    None: it is gone."""
    if execution is None or execution.state.is_final:
        return Use.OVER
    if not execution.state.is_waiting:
        return Use.LIVE
    return Use.CLAIMING if execution.version == holder.version else Use.OVER


@dataclass(frozen=True)
class Contact:
    """What the gates know of a number. `live`: the id of another execution that is calling it now."""

    history: ContactHistory = ContactHistory()
    live: str | None = None


def _may_have_rung(attempt: Attempt) -> bool:
    """Whether it was dialled and the carrier did not refuse it. A lost attempt may have rung."""
    is_refused = attempt.call_id is None and attempt.ended_at is not None and not attempt.lost
    return attempt.dialed_at is not None and not is_refused


def _was_conversation(attempt: Attempt) -> bool:
    """Whether a person answered, as far as is known."""
    answered = attempt.status is Status.COMPLETED or attempt.answered_at is not None
    return answered and not attempt.voicemail
