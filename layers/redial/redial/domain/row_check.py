"""Checks whether the number in a row of a batch's file can ever be called, by the rule in force when the batch was
created.

The check is stored with the batch: its file is read again for results.csv, and must then give the same rows although
the agent's calling hours may have changed. Contacts that never fit the new hours wait, see `gates.calling_window`.
"""

from dataclasses import field
from datetime import datetime

from redial.domain.calling_window import CallingRule, check_zone, never_open, next_open
from redial.domain.retry import TIME
from redial.domain.values import dataclass

TIME_ZONE_COLUMN = "time_zone"
"""The column with a contact's own IANA time zone; empty: none."""
MEND = "give the contact's time_zone, or widen the hours"
"""What to do about a number whose calling hours never open."""


def unplaceable(
    rule: CallingRule, zones: tuple[str, ...], at: datetime, expires_at: datetime | None = None
) -> str | None:
    """Why a number in these zones can never be called from `at` until `expires_at`, and what to do about it. None: it
    can be called."""
    opens = next_open(at, rule, zones)
    if opens is None:
        return f"{never_open(rule, zones)}; {MEND}"
    if expires_at is not None and opens >= expires_at:
        hours = f"calling hours {rule.summary} open at {opens:{TIME}}, when the call has expired ({expires_at:{TIME}})"
        return f"{hours}; give it more time, or widen the hours"
    return None


@dataclass(frozen=True)
class RowCheck:
    """The check of a batch's rows. `rule`: the calling rule (None: every time is allowed). `time_zone`: the zone of
    contacts that name none (None: by their prefix). `at`: the time from which on a call must be possible."""

    rule: CallingRule | None
    time_zone: str | None
    at: datetime
    _known: dict[tuple[str, ...], str | None] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def parse(text: str, at: datetime) -> "RowCheck":
        """The inverse of `str`."""
        rule, _, zone = text.partition("@")
        return RowCheck(CallingRule.parse(rule) if rule else None, zone or None, at)

    def __str__(self) -> str:
        return f"{self.rule or ''}@{self.time_zone or ''}"

    def fault(self, number: str, time_zone: str | None) -> str | None:
        """Why a row with this number (E.164) and cell `time_zone` (None: no such column) is rejected, with the column
        at fault."""
        named = (time_zone or "").strip() or None
        if named is not None:
            try:
                check_zone(named)
            except ValueError as error:
                return f"{TIME_ZONE_COLUMN}: {error}"
        if self.rule is None:
            return None
        from redial.domain.phone_number import zones_of  # most batches have no calling hours

        zones = zones_of(number, named or self.time_zone)
        if zones not in self._known:
            fault = unplaceable(self.rule, zones, self.at)
            self._known[zones] = None if fault is None else f"contact_number: {fault}"
        return self._known[zones]
