"""How an attempt ended, in the words of the wire format: `outcome`, `termination_reason` and `hangup_by`.

They are derived from stored facts, so older executions have them too.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from redial.domain.outcome import BLOCKED, DECLINED, UNWANTED
from redial.domain.status import FINAL, Status

if TYPE_CHECKING:
    from redial.domain.execution import Attempt


class CallOutcome(StrEnum):
    """How an attempt ended, in more detail than its status."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    DECLINED = "declined"
    BLOCKED = "blocked"
    FAILED = "failed"
    ERROR = "error"
    CANCELED = "canceled"


class TerminationReason(StrEnum):
    """Why an attempt ended."""

    USER_HUNG_UP = "user_hung_up"
    AGENT_ENDED_CALL = "agent_ended_call"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    VOICEMAIL_REACHED = "voicemail_reached"
    INVALID_NUMBER = "invalid_number"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    PROVIDER_ERROR = "provider_error"
    PLATFORM_ERROR = "platform_error"


class HangupBy(StrEnum):
    """Who ended a call."""

    CALLEE = "Callee"
    CALLER = "Caller"
    CARRIER = "Carrier"
    API_REQUEST = "API Request"
    ERROR = "Error"
    UNKNOWN = "Unknown"


_BY_STATUS = {
    Status.NO_ANSWER: CallOutcome.NO_ANSWER,
    Status.BUSY: CallOutcome.BUSY,
    Status.FAILED: CallOutcome.FAILED,
    Status.BALANCE_LOW: CallOutcome.FAILED,
    Status.ERROR: CallOutcome.ERROR,
    Status.CANCELED: CallOutcome.CANCELED,
    Status.STOPPED: CallOutcome.CANCELED,
}
_REPORTED = {"callee": HangupBy.CALLEE, "caller": HangupBy.CALLER, "carrier": HangupBy.CARRIER}


def outcome_of(attempt: "Attempt") -> CallOutcome | None:
    """The outcome of the attempt. None if it has not ended, or was never dialled."""
    if attempt.dialed_at is None or attempt.status not in FINAL:
        return None
    if attempt.status is Status.COMPLETED:
        return CallOutcome.VOICEMAIL if attempt.voicemail else CallOutcome.ANSWERED
    if _is_declined(attempt):
        return CallOutcome.DECLINED
    return CallOutcome.BLOCKED if attempt.code == BLOCKED else _BY_STATUS[attempt.status]


def termination_reason(attempt: "Attempt") -> TerminationReason | None:
    """Why the attempt ended. None if it has not ended, or was stopped or canceled before it was dialled.

    A call stopped while it rang counts as ended by the agent. A conversation whose end the carrier does not explain
    counts as ended by the user. A declined call counts as busy.
    """
    match attempt.status:
        case Status.COMPLETED if attempt.voicemail:
            return TerminationReason.VOICEMAIL_REACHED
        case Status.COMPLETED:
            by_agent = attempt.hangup_by == "caller"
            return TerminationReason.AGENT_ENDED_CALL if by_agent else TerminationReason.USER_HUNG_UP
        case Status.CANCELED | Status.STOPPED if attempt.call_id is not None:
            return TerminationReason.AGENT_ENDED_CALL
        case Status.NO_ANSWER:
            return TerminationReason.NO_ANSWER
        case Status.BUSY:
            return TerminationReason.BUSY
        case Status.FAILED if _is_declined(attempt):
            return TerminationReason.BUSY
        case Status.FAILED if attempt.invalid_number:
            return TerminationReason.INVALID_NUMBER
        case Status.FAILED:
            return TerminationReason.PROVIDER_ERROR
        case Status.BALANCE_LOW:
            return TerminationReason.INSUFFICIENT_BALANCE
        case Status.ERROR:
            return TerminationReason.PROVIDER_ERROR if _is_carriers_error(attempt) else TerminationReason.PLATFORM_ERROR
    return None


def hangup_by(attempt: "Attempt") -> HangupBy | None:
    """Who ended the call. None while it is up, and if the attempt was stopped or canceled before it was dialled.

    An unanswered call was ended by the carrier's network, unless the called party declined it.
    """
    match attempt.status:
        case Status.CANCELED | Status.STOPPED if attempt.call_id is not None:
            return HangupBy.API_REQUEST
        case Status.COMPLETED | Status.CALL_DISCONNECTED:
            return _REPORTED.get(attempt.hangup_by or "", HangupBy.UNKNOWN)
        case Status.NO_ANSWER | Status.BUSY | Status.FAILED:
            by_default = HangupBy.CALLEE if _is_declined(attempt) else HangupBy.CARRIER
            return _REPORTED.get(attempt.hangup_by or "", by_default)
        case Status.ERROR | Status.BALANCE_LOW:
            return HangupBy.ERROR
    return None


def ring_seconds(attempt: "Attempt") -> int | None:
    """Whole seconds of ringing: the carrier's figure, else the time from the report of ringing to the answer, or to the
    end of an unanswered call. None if either time is unknown."""
    if attempt.ring_seconds is not None or attempt.rang_at is None or attempt.lost:
        return attempt.ring_seconds
    unanswered = attempt.status in FINAL and attempt.status is not Status.COMPLETED
    until = attempt.answered_at or (attempt.ended_at if unanswered else None)
    return None if until is None else int((until - attempt.rang_at).total_seconds())


def _is_declined(attempt: "Attempt") -> bool:
    return attempt.code in (DECLINED, UNWANTED)


def _is_carriers_error(attempt: "Attempt") -> bool:
    """Whether the carrier placed nothing for too long, or did not report on the call. A refusal has a code, and is due
    to the configuration."""
    return attempt.code is None and (attempt.lost or attempt.dialed_at is not None or attempt.is_held)
