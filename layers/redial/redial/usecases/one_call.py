"""One person, one call: at most one call of an account to a number is placed or up at any time, and limits are exact.

    read the number ─► its holder is over ─► gates ─► circuit, pace ─► reserve ─► claim over the version reserved
                         │ claiming, live                                │ another dial was quicker
                         ▼                                               ▼
                       wait a minute                                   read again

The item of a number names the attempt that reserved it last, and the version of its execution over which that attempt
is claimed. Dial claims only what it has reserved, and only over that version. A reservation is one write, conditional
on the version of the item that was read. It is never released: an invocation that finds a holder reads the holder's
execution.

Why no two calls are live at once. Y takes the number over from X in one write, conditional on the item that names X at
version v. Between reading the item and that write, Y has read X's execution consistently:

- X is gone or final. Nothing of it is claimed any more.
- X is claimed, placed or up: Y waits. This includes an unknown attempt, until the sweeper settles it.
- X waits at another version than v. It is a later one, since X was at v when it reserved, so a claim over v fails. To
  be claimed over a later version, X must reserve that version first. This changes the item, so Y's write fails.
- X waits at v: its claim may be under way, so Y waits. X may also have been cut off after it reserved. So once the
  reservation is older than any dial can be (`CLAIM_GRACE`), Y saves X's execution unchanged, and X is at another
  version, as above. Only progress depends on that time: if the claim were still under way, one of the two saves would
  fail.

So when Y's write succeeds, X is not live, and cannot become live without taking the number over from Y in turn. For the
same reason an eventually consistent read of the item is enough at first: a decision on a stale copy cannot be written.
Before a call is left waiting, the item is read again consistently.

An execution's own reservation never makes it wait. If the item names an earlier version of it, it reserves again. If
the item names a later version, the read of its execution was stale, and it is read again. Otherwise a stale read might
replace a reservation whose claim is under way.

What happens to a reservation:

- The claim's answer is lost. Whether it was written or not, X is either claimed or waits at v: see above.
- The carrier placed nothing. X waits again, at a later version: the number is free, and the attempt does not count.
- X is stopped, suppressed, expired or erased before its claim: the claim fails on its version, or on the missing item.
- X is claimed and its answer never arrives: it is live until a report or the sweeper ends it.
- X's history is packed, or a newer version of Redial has saved it: neither changes what is read here.

There is one exception, as with lines: a lost call that turns out to be up. The report of it reopens its attempt, which
then makes others wait; but a call that was placed meanwhile is up as well.

Why limits are exact. The history in the item has every attempt to the number except the holder's, which is read from
the holder's execution: it is over, or the gates close. The item is stored with both. A gate that allows at the time of
the read also allows at the later claim, unless the item has changed, and then the reservation fails. Times are by the
clocks of the functions. An attempt counts if it was placed or may have been. If an execution is deleted before another
calls its number, its attempt counts as dialled and answered when it was reserved.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from redial.domain.called_number import CalledNumber, Contact, Reservation, Use, use_of
from redial.domain.execution import CLAIM_GRACE, Execution
from redial.ports import Services, StaleVersion
from redial.usecases.update import MOST_TRIES, save


@dataclass(frozen=True)
class Number:
    """A called number as it was read. `contact`: the facts for the gates; `called`: the stored item."""

    contact: Contact
    called: CalledNumber


def look(services: Services, execution: Execution, now: datetime) -> Number:
    """Read the number of a waiting execution: its call history, and another call that is live. Raises `StaleVersion` if
    the read of the execution was stale, or another writer was faster."""
    found = _look(services, execution, now, consistent=False)
    return found if found.contact.live is None else _look(services, execution, now, consistent=True)


def _look(services: Services, execution: Execution, now: datetime, consistent: bool) -> Number:
    called = services.numbers.get(execution.account_id, execution.user_number, consistent=consistent)
    holder = called.holder
    if holder is None:
        return Number(Contact(called.history), called)
    if holder.execution_id == execution.id:
        if holder.version > execution.version:
            raise StaleVersion(execution.id)
        return Number(Contact(called.without_holder(execution).history), called)
    other = services.executions.get(holder.execution_id)
    use = use_of(holder, other)
    if use is Use.CLAIMING and other is not None and now - holder.at >= CLAIM_GRACE:
        save(services.executions, other, now)  # a claim over the version that was reserved fails from now on
        use = Use.OVER
    if use is not Use.OVER:
        return Number(Contact(called.history, live=holder.execution_id), called)
    return Number(Contact(called.without_holder(other).history), called)


def reserve(services: Services, execution: Execution, number: Number, now: datetime) -> None:
    """Reserve the number for a claim of the execution over its current version. Raises `StaleVersion`."""
    assert number.contact.live is None, "the gates allow"
    holder, attempt = number.called.holder, execution.state.attempt.number
    if holder is not None and (holder.execution_id, holder.version) == (execution.id, execution.version):
        return  # reserved before: the answer was lost, or the message came twice
    reservation = Reservation(execution.id, attempt, execution.version, now)
    reserved = replace(number.called, history=number.contact.history, holder=reservation)
    services.numbers.save(execution.account_id, execution.user_number, reserved, now)


def state(services: Services, account_id: str, number: str) -> Contact:
    """The call history and the live call of a number (E.164), for display. Nothing is written."""
    called = services.numbers.get(account_id, number)
    if called.holder is None:
        return Contact(called.history)
    holder = services.executions.get(called.holder.execution_id)
    if use_of(called.holder, holder) is Use.LIVE:
        return Contact(called.history, live=called.holder.execution_id)
    return Contact(called.without_holder(holder).history)


def keep_history(services: Services, execution: Execution, now: datetime) -> None:
    """Add a finished execution to its number's history before it is erased, so that limits stay exact. Raises
    `StaleVersion` if other writers were faster `MOST_TRIES` times."""
    for _ in range(MOST_TRIES):
        called = services.numbers.get(execution.account_id, execution.user_number)
        if called.holder is None or called.holder.execution_id != execution.id:
            return
        try:
            kept = called.without_holder(execution)
            return services.numbers.save(execution.account_id, execution.user_number, kept, now)
        except StaleVersion:
            continue
    raise StaleVersion(execution.id)
