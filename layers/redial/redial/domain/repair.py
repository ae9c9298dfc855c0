"""What the sweeper does again: one word for each kind, as logs and metrics name it."""

from enum import StrEnum


class Repair(StrEnum):
    """A kind of repair."""

    TIMER_SET = "timer set"  # it is not due yet, and maybe its schedule was never made
    TIMER_MISSED = "timer missed"  # it is due, and no schedule has woken it
    DIAL_LOST = "dial lost"  # it was given a line, and never dialled
    CALLBACK_LOST = "callback lost"  # the carrier knew more of the call than it had told
    CALL_LOST = "call lost"  # the carrier knows no such call: the attempt ends as an error
    CARRIER_SILENT = "carrier silent"  # it could not be asked
    CALL_UNDECIDED = "call undecided"  # the carrier answered, and cannot tell yet what became of the call
    LINE_LOST = "line lost"  # held by a call that is over
    QUEUE_ENTRY_LOST = "queue entry lost"  # a call waits for a line and was missing from its agent's queue
    QUEUE_ENTRY_STALE = "queue entry stale"  # an entry in a queue whose call is gone or no longer waits
    DELIVERY_LOST = "delivery lost"  # events that nobody was sending
    REDELIVERY_SET = "redelivery set"  # their next try is not due yet, and maybe its schedule was never made
    BATCH_LOST = "batch lost"  # work that nobody was doing
