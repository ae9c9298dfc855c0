"""The statuses of an execution, in the words of the HTTP contract.

queued ─► initiated ─► ringing ─► in-progress ─► call-disconnected ─► completed
waiting: queued, scheduled (a timer is set), rescheduled (moved by a calling window)
final:   completed, no-answer, busy, failed, canceled, stopped, error, balance-low
"""

from enum import StrEnum


class Status(StrEnum):
    """One word for where an execution stands."""

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
FINAL = frozenset(Status) - WAITING - LIVE
RETRYABLE = (Status.NO_ANSWER, Status.BUSY, Status.FAILED, Status.ERROR)
"""What `retry_on_statuses` may name, in the contract's order."""

_RANK = {
    Status.INITIATED: 1,
    Status.RINGING: 2,
    Status.IN_PROGRESS: 3,
    Status.CALL_DISCONNECTED: 4,
}


def rank(status: Status) -> int:
    """How far within one attempt a status lies: waiting 0, live 1 to 4, final 5. Within an attempt it only rises."""
    if status in WAITING:
        return 0
    return _RANK.get(status, 5)
