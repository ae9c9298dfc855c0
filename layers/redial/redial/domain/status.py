"""The statuses of an execution, as the HTTP contract names them.

queued ─► initiated ─► ringing ─► in-progress ─► call-disconnected ─► completed
waiting: queued, scheduled (a timer is set), rescheduled (moved into calling hours)
final:   completed, no-answer, busy, failed, canceled, stopped, error, balance-low
"""

from enum import StrEnum


class Status(StrEnum):
    """Status of an execution, or of one attempt."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RESCHEDULED = "rescheduled"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    CALL_DISCONNECTED = "call-disconnected"
    COMPLETED = "completed"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    FAILED = "failed"
    CANCELED = "canceled"
    STOPPED = "stopped"
    ERROR = "error"
    BALANCE_LOW = "balance-low"


WAITING = frozenset({Status.QUEUED, Status.SCHEDULED, Status.RESCHEDULED})
LIVE = frozenset({Status.INITIATED, Status.RINGING, Status.IN_PROGRESS, Status.CALL_DISCONNECTED})
UNANSWERED = frozenset({Status.INITIATED, Status.RINGING})
"""Statuses of a call that the carrier has queued or is ringing: it can be canceled."""
FINAL = frozenset(Status) - WAITING - LIVE
RETRYABLE = (Status.NO_ANSWER, Status.BUSY, Status.FAILED, Status.ERROR)
"""Allowed values of `retry_on_statuses`, in the contract's order."""

_RANK = {
    Status.INITIATED: 1,
    Status.RINGING: 2,
    Status.IN_PROGRESS: 3,
    Status.CALL_DISCONNECTED: 4,
}


def rank(status: Status) -> int:
    """Position of a status within an attempt: waiting 0, live 1 to 4, final 5. It only rises within an attempt."""
    if status in WAITING:
        return 0
    return _RANK.get(status, 5)
