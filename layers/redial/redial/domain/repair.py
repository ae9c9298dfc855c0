"""Kinds of repair by the sweeper and by a batch's audit, as logs and metrics name them."""

from enum import StrEnum


class Repair(StrEnum):
    """A kind of repair by the sweeper."""

    TIMER_SET = "timer set"  # not due yet, and its schedule may be missing: it is created again
    TIMER_MISSED = "timer missed"  # due, and no schedule has fired for it
    DIAL_LOST = "dial lost"  # it has a line, and was never dialled
    CALLBACK_LOST = "callback lost"  # the carrier knew a status that no callback had reported
    CALL_LOST = "call lost"  # the carrier has no such call: the attempt ends as an error
    CARRIER_SILENT = "carrier silent"  # the carrier did not answer when asked
    CALL_UNDECIDED = "call undecided"  # the carrier answered, but the call's fate is still open
    LINE_LOST = "line lost"  # held by a call that is over
    QUEUE_ENTRY_LOST = "queue entry lost"  # a call waits for a line and was missing from its agent's queue
    QUEUE_ENTRY_STALE = "queue entry stale"  # a queue entry whose call is gone or no longer waits
    DELIVERY_LOST = "delivery lost"  # pending events without a live lease
    REDELIVERY_SET = "redelivery set"  # the next try is not due yet, and its schedule may be missing
    BATCH_LOST = "batch lost"  # a batch with work and no live worker


class BatchRepair(StrEnum):
    """A kind of repair by a running batch's audit."""

    LEFT_BEHIND = "left behind"  # a contact was dispatched and never dialled
    WAKE_UP_LOST = "wake-up lost"  # the delayed set's next wake-up was missing or too late
    ENTRY_LOST = "entry lost"  # a contact is stored as delayed, and was missing from the delayed set
    COUNTS_WRONG = "counts wrong"  # the counts differed from a recount of the contacts
