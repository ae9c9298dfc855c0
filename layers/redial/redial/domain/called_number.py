"""A called number: which call of the account has it now, and what was done with it in the last month.

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
    """An attempt that may be claimed: only over that version of its execution. `at`: when it was reserved."""

    execution_id: str
    attempt: int
    version: int
    at: datetime


@dataclass(frozen=True)
class CalledNumber:
    """What is stored of an account's number. `holder`: the last attempt that reserved it, over or not, which is not in
    `history` yet. `version` counts saves; 0: nothing is stored."""

    history: ContactHistory = ContactHistory()
    holder: Reservation | None = None
    version: int = 0

    def without_holder(self, execution: Execution | None) -> "CalledNumber":
        """Its holder, which is over, has become history. `execution`: the holder's, as it is now.

        An execution that is gone, or erased, cannot tell: it counts as dialled and answered when it was reserved.
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
    """What a holder does with its number. `OVER`: it can dial it no more without reserving it again; `CLAIMING`: its
    claim may be under way; `LIVE`: its call is being placed, or is up."""

    OVER = "over"
    CLAIMING = "claiming"
    LIVE = "live"


def use_of(holder: Reservation, execution: Execution | None) -> Use:
    """`execution`: the holder's, read consistently after the reservation was; None: it is gone."""
    if execution is None or execution.state.is_final:
        return Use.OVER
    if not execution.state.is_waiting:
        return Use.LIVE
    return Use.CLAIMING if execution.version == holder.version else Use.OVER


@dataclass(frozen=True)
class Contact:
    """What gates decide on. `live`: the id of another execution that calls the number now."""

    history: ContactHistory = ContactHistory()
    live: str | None = None


def _may_have_rung(attempt: Attempt) -> bool:
    """It was dialled, and the carrier did not refuse it. One that was given up as lost may have rung."""
    is_refused = attempt.call_id is None and attempt.ended_at is not None and not attempt.lost
    return attempt.dialed_at is not None and not is_refused


def _was_conversation(attempt: Attempt) -> bool:
    """A person answered, as far as is known."""
    answered = attempt.status is Status.COMPLETED or attempt.answered_at is not None
    return answered and not attempt.voicemail
