"""What a gate decided about an attempt, and how decisions are recorded with it."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Literal

from redial.domain.status import Status
from redial.domain.values import dataclass


class Gate(StrEnum):
    """The gates of an attempt, in the order in which they decide."""

    AGENT = "agent"
    STOP = "stop"
    PAUSE = "pause"
    EXPIRY = "expiry"
    INSTRUCTIONS = "instructions"
    CALLER_ID = "caller-id"
    SUPPRESSION = "suppression"
    CONSENT = "consent"
    CONTACT_LIMIT = "contact-limit"
    CALLING_WINDOW = "calling-window"
    ONE_CALL = "one-call"
    SCRUB = "scrub"
    HOOK = "hook"
    LINE = "line"
    RATE = "rate"
    CARRIER = "carrier"


KEY_LINE = "key"
"""The rule that the gate `line` records for a call that waits for a line of its API key."""


class Verdict(StrEnum):
    """A gate's verdict. `ALLOW`: the next gate decides. `DEFER`: the attempt waits. `END`: the execution is over."""

    ALLOW = "allow"
    DEFER = "defer"
    END = "end"


@dataclass(frozen=True)
class Decision:
    """What one gate decided. `rule`: which rule it applied ("9-18"); `reason`: why the attempt waits or the call ends.

    A deferred attempt waits `until` that time or, if it is None, until it is woken (a line is free, the batch is
    resumed). `announced`: a `rescheduled` event notifies the customer of the time. `delayed`: a batch's contact waits
    in the delayed set rather than in the queue. `status`: the final status of an ended execution.
    """

    gate: Gate | None
    verdict: Verdict = Verdict.ALLOW
    rule: str = ""
    reason: str = ""
    until: datetime | None = None
    announced: bool = False
    delayed: bool = False
    status: Literal[Status.STOPPED, Status.CANCELED, Status.ERROR] = Status.ERROR

    @property
    def allows(self) -> bool:
        return self.verdict is Verdict.ALLOW


def stopped(reason: str, gate: Gate | None = None) -> Decision:
    """The execution ends as `stopped`, by a gate or by a request (`gate` None)."""
    return Decision(gate, Verdict.END, reason=reason, status=Status.STOPPED)


def canceled(reason: str, gate: Gate, rule: str = "") -> Decision:
    """The execution ends as `canceled`: a rule about its number forbids it."""
    return Decision(gate, Verdict.END, rule, reason, status=Status.CANCELED)


def failed(reason: str, gate: Gate | None = None, rule: str = "") -> Decision:
    """The execution ends as `error`: the attempt can never be placed."""
    return Decision(gate, Verdict.END, rule, reason)


def waits(reason: str, gate: Gate | None = None, rule: str = "", *, delayed: bool = False) -> Decision:
    """The attempt waits until it is woken."""
    return Decision(gate, Verdict.DEFER, rule, reason, delayed=delayed)


def opens(until: datetime, reason: str, gate: Gate | None = None, rule: str = "", *, delayed: bool = False) -> Decision:
    """The attempt waits until that time, announced to the customer by an event."""
    return Decision(gate, Verdict.DEFER, rule, reason, until, announced=True, delayed=delayed)


def held(until: datetime, reason: str, gate: Gate | None = Gate.CARRIER, *, delayed: bool = False) -> Decision:
    """The attempt waits until that time, when it is tried again."""
    return Decision(gate, Verdict.DEFER, "", reason, until, delayed=delayed)


# ---- the record ---------------------------------------------------------------------------------------------------

_LETTERS = {
    Gate.AGENT: "A",
    Gate.STOP: "S",
    Gate.PAUSE: "P",
    Gate.EXPIRY: "X",
    Gate.INSTRUCTIONS: "I",
    Gate.CALLER_ID: "C",
    Gate.SUPPRESSION: "U",
    Gate.CONSENT: "O",
    Gate.CONTACT_LIMIT: "T",
    Gate.CALLING_WINDOW: "W",
    Gate.ONE_CALL: "N",
    Gate.SCRUB: "B",
    Gate.HOOK: "H",
    Gate.LINE: "L",
    Gate.RATE: "R",
    Gate.CARRIER: "K",
}
_GATES = {letter: gate for gate, letter in _LETTERS.items()}
_SIGNS = {Verdict.ALLOW: "", Verdict.DEFER: "!", Verdict.END: "="}
_VERDICTS = {sign: verdict for verdict, sign in _SIGNS.items()}
_ENTRY = re.compile("([A-Z])([!=]?)([^A-Z]*)")


def record(decisions: Iterable[Decision]) -> str | None:
    """The stored form of an attempt's decisions: a capital letter for each gate, `!` if it deferred or `=` if it ended
    the execution, and its rule in small letters. `ASPXICUOTW9-18NBHLRK` takes 20 bytes."""
    text = "".join(
        f"{_LETTERS[one.gate]}{_SIGNS[one.verdict]}{one.rule.lower()}" for one in decisions if one.gate is not None
    )
    return text or None


def recorded(text: str | None) -> Iterator[tuple[str, Verdict, str]]:
    """(gate, verdict, rule) of each recorded decision. A gate known only to a newer version is returned as its
    letter."""
    for letter, sign, rule in _ENTRY.findall(text or ""):
        yield _GATES.get(letter, letter), _VERDICTS[sign], rule


def closed_by(text: str | None) -> str | None:
    """The gate in a record that did not allow the attempt. None: every gate allowed it, or there is no record."""
    return next((gate for gate, verdict, _ in recorded(text) if verdict is not Verdict.ALLOW), None)


_SETS = {"~": tuple(_GATES), ".": tuple("ASPXICWLRK")}
"""Marks of the short form of a record in which every gate allows: one for the current gates, and one for those of
earlier versions. A version with other gates adds a new mark, so that no claim is shown with gates that did not
exist."""
_SHORT = re.compile(f"[{re.escape(''.join(_SETS))}]")


def only_rules(text: str | None) -> str | None:
    """The short form of a record in which every gate allows, of this version or an earlier one: the mark of its gates,
    and its rules. `ASPXICUOTW9-18NBHLRK` → `~W9-18`. None for any other record, or for None."""
    entries = _ENTRY.findall(text or "")
    letters = tuple(letter for letter, _, _ in entries)
    mark = next((mark for mark, asked in _SETS.items() if asked == letters), None)
    if mark is None or any(sign for _, sign, _ in entries):
        return None
    return mark + "".join(f"{letter}{rule}" for letter, _, rule in entries if rule)


def with_rules(text: str) -> tuple[str, str | None]:
    """The part of `text` before the short form that `only_rules` made, and the record in full; None: `text` has no
    short form."""
    found = _SHORT.search(text)
    if found is None:
        return text, None
    rules = {letter: rule for letter, _, rule in _ENTRY.findall(text[found.end() :])}
    return text[: found.start()], "".join(f"{letter}{rules.get(letter, '')}" for letter in _SETS[found.group()])
