"""Events of an account: an attention item was opened or resolved. Each event has its own delivery."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redial.domain.circuit import Circuit, CircuitState
from redial.domain.delivery import Delivery, pending_events
from redial.domain.values import dataclass

KEPT_FOR = timedelta(days=30)
"""How long an event is kept, delivered or not."""
PREFIX = "event-"


class AccountEventKind(StrEnum):
    """What happened. The values are the `type` of the webhooks."""

    ATTENTION_OPENED = "attention.opened"
    ATTENTION_RESOLVED = "attention.resolved"


@dataclass(frozen=True)
class AccountEvent:
    """One event, with its delivery. `id`: 32 hexadecimal digits after `PREFIX`. `circuit`: the attention item at that
    time. `version` counts saves; `due_at`: when the sweeper must check the delivery; `newer`: see `Execution`."""

    id: str
    kind: AccountEventKind
    created_at: datetime
    circuit: Circuit
    delivery: Delivery = Delivery()
    version: int = 0
    due_at: datetime | None = None
    newer: Mapping[str, Any] | None = None

    @property
    def account_id(self) -> str:
        return self.circuit.account_id

    @property
    def last_sequence(self) -> int:
        return 1

    def pending(self) -> tuple[int, ...]:
        """(1,) until the event was accepted or given up."""
        return pending_events(self.delivery, self.last_sequence)

    def lease_delivery(self, lease_id: str, now: datetime) -> "AccountEvent":
        """With the delivery leased to `lease_id`; the same object if nothing is pending or `may_send` is false."""
        leased = self.delivery.leased(lease_id, now) if self.pending() else None
        return self if leased is None else replace(self, delivery=leased)

    def with_due(self, now: datetime) -> "AccountEvent":
        """With `due_at` set: when the sweeper must check the delivery; None once it is over."""
        return replace(self, due_at=self.delivery.due(self.created_at, now) if self.pending() else None)


def is_event_id(subject_id: str) -> bool:
    """Whether this is the id of an account's event."""
    return subject_id.startswith(PREFIX)


def attention_event(before: Circuit, after: Circuit, now: datetime) -> AccountEvent | None:
    """The event that follows from the change of a circuit; None unless the circuit opens or is no longer open."""
    opens = after.state is CircuitState.OPEN
    if opens == (before.state is CircuitState.OPEN):
        return None
    kind = AccountEventKind.ATTENTION_OPENED if opens else AccountEventKind.ATTENTION_RESOLVED
    shown = after if opens else replace(after, opened_at=before.opened_at, reason=before.reason, code=before.code)
    change = uuid.uuid5(after.attention_id, f"{after.version} {now.isoformat()}")
    return AccountEvent(f"{PREFIX}{change.hex}", kind, now, replace(shown, newer=None)).with_due(now)
