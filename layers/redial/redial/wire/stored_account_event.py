"""The stored form of an account event: one flat DynamoDB item with short names.

v version · ac account · ty kind · ca created (ms) · dl delivery (as an execution's) · expires_at (epoch seconds) ·
due_shard, due_at: index keys · of the attention item: pr provider · sc scope · va value · re reason · co code ·
oa opened at (ms) · nt next try (ms)
"""

from typing import Any

from redial.domain.account_event import KEPT_FOR, AccountEvent, AccountEventKind
from redial.domain.circuit import Circuit
from redial.domain.outcome import Scope
from redial.wire.newer import with_newer
from redial.wire.stored_execution import decode_delivery, due_shard, encode_delivery
from redial.wire.timestamps import from_ms, to_ms

_TEXTS = {"va": "value", "re": "reason", "co": "code"}
_TIMES = {"oa": "opened_at", "nt": "next_try_at"}


def key(event_id: str) -> dict[str, Any]:
    """Primary key of an event's item."""
    return {"pk": f"E#{event_id}", "sk": "E"}


def encode(event: AccountEvent) -> dict[str, Any]:
    """The item, as plain Python values."""
    circuit = event.circuit
    item = key(event.id) | {
        "v": event.version,
        "ac": event.account_id,
        "ty": str(event.kind),
        "ca": to_ms(event.created_at),
        "pr": circuit.provider,
        "sc": str(circuit.scope),
        "expires_at": to_ms(event.created_at + KEPT_FOR) // 1000,
    }
    item |= {short: value for short, name in _TEXTS.items() if (value := getattr(circuit, name))}
    item |= {short: to_ms(value) for short, name in _TIMES.items() if (value := getattr(circuit, name)) is not None}
    delivery = encode_delivery(event.delivery, event.created_at)
    if delivery is not None:
        item["dl"] = delivery
    if event.due_at is not None:
        item["due_shard"] = due_shard(event.id)
        item["due_at"] = to_ms(event.due_at)
    return with_newer(item, event.newer)


def decode(item: dict[str, Any]) -> AccountEvent:
    """The inverse of `encode`."""
    stored = dict(item)
    for name in ("sk", "due_shard", "expires_at"):
        stored.pop(name, None)
    created, kind = from_ms(stored.pop("ca")), AccountEventKind(stored.pop("ty"))
    others: dict[str, Any] = {name: stored.pop(short) for short, name in _TEXTS.items() if short in stored}
    others |= {name: from_ms(stored.pop(short)) for short, name in _TIMES.items() if short in stored}
    resolved = kind is AccountEventKind.ATTENTION_RESOLVED
    circuit = Circuit(
        account_id=stored.pop("ac"),
        provider=stored.pop("pr"),
        scope=Scope(stored.pop("sc")),
        resumed_at=created if resolved else None,
        **others,
    )
    return AccountEvent(
        id=stored.pop("pk").removeprefix("E#"),
        kind=kind,
        created_at=created,
        circuit=circuit,
        delivery=decode_delivery(stored.pop("dl", None), created),
        version=stored.pop("v"),
        due_at=from_ms(stored.pop("due_at")) if "due_at" in stored else None,
        newer=stored or None,
    )
