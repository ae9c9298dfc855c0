"""What the sweeper and a batch's check put right: one word for each kind, as logs and metrics name it."""

from enum import StrEnum


class Repair(StrEnum):
    """A kind of repair by the sweeper."""

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


class BatchRepair(StrEnum):
    """A kind of repair by a running batch's check."""

    LEFT_BEHIND = "left behind"  # a contact whose turn was taken, and that was never dialled
    WAKE_UP_LOST = "wake-up lost"  # the delayed set would have been looked at too late, or never
    ENTRY_LOST = "entry lost"  # a contact is stored as waiting in the delayed set, and has no entry there
    COUNTS_WRONG = "counts wrong"  # the counts were not what a recount of the contacts gives
