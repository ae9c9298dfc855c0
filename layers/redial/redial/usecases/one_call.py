"""One person, one call: at most one call of an account to a number is placed or up at any moment, and limits are exact.

    read the number ─► its holder is over ─► gates ─► circuit, pace ─► reserve ─► claim over the version reserved
                         │ claiming, live                                │ another dial was quicker
                         ▼                                               ▼
                       wait a minute                                   read again

The item of a number names the attempt that reserved it last, and the version of its execution over which that attempt
is claimed. Dial claims only what it has reserved, and only over that version. A reservation is one write, conditional
on the item as it was read. It is never released: who finds a holder reads the holder's execution.

Why no two calls are live at once. Y takes the number over from X in one write, conditional on the item that names X at
version v. Before that write, and after it read the item, Y has read X's execution consistently:

- X is gone or final. Nothing of it is claimed any more.
- X is claimed, placed or up: Y waits. An attempt that nothing is known of is among these, until the sweeper settles it.
- X waits at another version than v. That is a later one, for X was at v when it reserved. So a claim over v fails. To
  be claimed over a later version, X must reserve that first, which changes the item, so that Y's write fails.
- X waits at v: its claim may be under way, so Y waits. It may also have been cut off after it reserved. So once the
  reservation is older than any dial can be (`CLAIM_GRACE`), Y saves X's execution unchanged. X is at another version
  then, as above. Only progress depends on that time: were the claim still under way, one of the two saves would fail.

So when Y's write succeeds, X is not live and cannot become live without taking the number over from Y in its turn. For
the same reason the item is read eventually consistently first: what is decided on an old copy cannot be written. A call
is not left waiting on an old copy; the item is read again.

An execution's own reservation never keeps it waiting. Over an earlier version of itself, it reserves anew. A later
version in the item says that its execution was read a moment too early: it is read again. Otherwise an old read might
replace a reservation whose claim is under way.

What happens to a reservation:

- The claim's answer is lost. Whether it was written or not, X is either claimed or waits at v: see above.
- The carrier placed nothing. X waits again, at a later version: the number is free, and the attempt does not count.
- X is stopped, suppressed, expired or erased before its claim: the claim fails on its version, or on the missing item.
- X is claimed and its answer never comes: it is live until a report or the sweeper ends it.
- X's history is packed, or a newer version has saved it: neither changes what is read of it.

Exempt, as with lines: a call that was given up as lost, and turns out to be up. The report that says so reopens its
attempt, which then keeps others waiting; but a call that was placed meanwhile is up as well.

Why limits are exact. The history in the item has every attempt to the number but the holder's. That one is read from
the holder's execution: it is over, or the gates close. The item is stored with both. A gate that allows at the time of
the read allows at the later claim, unless the item has changed, and then the reservation fails. Times are by the clocks
of the functions. An attempt counts if it was placed or may have been. An execution that is deleted before anything else
calls its number cannot tell: it counts as dialled and answered when it was reserved.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from redial.domain.called_number import CalledNumber, Contact, Reservation, Use, use_of
from redial.domain.execution import CLAIM_GRACE, Execution
from redial.ports import Services, StaleVersion
from redial.usecases.update import MOST_TRIES, save


@dataclass(frozen=True)
class Number:
    """A called number, as it was read. `contact`: what gates decide on; `called`: what is stored."""

    contact: Contact
    called: CalledNumber


def look(services: Services, execution: Execution, now: datetime) -> Number:
    """What else the account does and did with the number of an execution that waits. Raises `StaleVersion` where the
    execution was read before its last change, or another writer was quicker."""
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
    """Reserve the number for a claim of the execution over its present version. Raises `StaleVersion`."""
    assert number.contact.live is None, "the gates allow"
    holder, attempt = number.called.holder, execution.state.attempt.number
    if holder is not None and (holder.execution_id, holder.version) == (execution.id, execution.version):
        return  # reserved before: the answer was lost, or the message came twice
    reservation = Reservation(execution.id, attempt, execution.version, now)
    reserved = replace(number.called, history=number.contact.history, holder=reservation)
    services.numbers.save(execution.account_id, execution.user_number, reserved, now)


def state(services: Services, account_id: str, number: str) -> Contact:
    """What the account does and did with a number (E.164), for people: nothing is written."""
    called = services.numbers.get(account_id, number)
    if called.holder is None:
        return Contact(called.history)
    holder = services.executions.get(called.holder.execution_id)
    if use_of(called.holder, holder) is Use.LIVE:
        return Contact(called.history, live=called.holder.execution_id)
    return Contact(called.without_holder(holder).history)


def keep_history(services: Services, execution: Execution, now: datetime) -> None:
    """Before a finished execution is erased: what it was for its number stays, so that limits hold. Raises
    `StaleVersion` after `MOST_TRIES` lost races."""
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
