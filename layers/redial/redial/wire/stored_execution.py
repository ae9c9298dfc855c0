"""An execution as it is stored: one DynamoDB item with short attribute names, since every write is charged by item size.

Items written today must load for as long as executions live: names are only ever added, each with a default
(tests/contract/recorded holds items of the past).

    ac account · ag agent · ca created (ms) · to, fr numbers · ba batch · pr carrier (absent: twilio) · by guardrails bypassed
    ud user data (JSON text: DynamoDB has no floats) · rc retry config [enabled, retries, [statuses], voicemail, [minutes]]
    ch changes [{k kind, t at, n attempt, u until, m timer, l line, c count, i call id, f from, r reason, o code,
       v voicemail, d duration, g ring, h hangup by, e ended}]
    dl delivery {s settled, p replaying, r tries, n next try, l lease, u lease until, x undelivered, g log}
    v version · due_shard, due_at, listing_shard, listing_key: index keys
"""

import json
from typing import Any

from redial.domain.delivery import Delivery, Tried
from redial.domain.execution import Change, Execution, Note
from redial.domain.retry import RetryConfig
from redial.domain.status import Status
from redial.wire.timestamps import from_ms, to_ms

DUE_SHARDS = 16
LISTING_SHARDS = 4
OPEN, DONE = "open", "done"

_CHANGE_FIELDS = {
    "m": "timer",
    "l": "line",
    "i": "call_id",
    "f": "from_number",
    "r": "reason",
    "o": "code",
    "v": "voicemail",
    "d": "duration_seconds",
    "g": "ring_seconds",
    "h": "hangup_by",
    "e": "ended",
}
_STATUSES = frozenset(Status)


def key(execution_id: str) -> dict[str, Any]:
    """The primary key of an execution's item."""
    return {"pk": f"X#{execution_id}", "sk": "X"}


def due_shard(execution_id: str) -> str:
    """Which of the due index's partitions an execution is in: UUIDs are uniform, so their last digits are."""
    return f"{int(execution_id[-2:], 16) % DUE_SHARDS:02d}"


def listing_shard(agent_id: str, shard: int) -> str:
    """One of the partitions of an agent's listing."""
    return f"{agent_id}#{shard}"


def encode(execution: Execution) -> dict[str, Any]:
    """The item as plain Python values (str, int, bool, list, dict)."""
    created = to_ms(execution.created_at)
    state = execution.state
    item: dict[str, Any] = key(execution.id) | {
        "v": execution.version,
        "ac": execution.account_id,
        "ag": execution.agent_id,
        "ca": created,
        "to": execution.user_number,
        "ch": [_encode_change(change) for change in execution.changes],
        "listing_shard": listing_shard(execution.agent_id, int(execution.id[-2:], 16) % LISTING_SHARDS),
        "listing_key": f"{DONE if state.is_final else OPEN}#{created:013d}#{execution.id}",
    }
    if execution.from_number is not None:
        item["fr"] = execution.from_number
    if execution.batch_id is not None:
        item["ba"] = execution.batch_id
    if execution.provider != "twilio":
        item["pr"] = execution.provider
    if execution.bypass_call_guardrails:
        item["by"] = True
    if execution.user_data:
        item["ud"] = json.dumps(execution.user_data, ensure_ascii=False, separators=(",", ":"))
    if execution.retry_config is not None:
        config = execution.retry_config
        item["rc"] = [
            config.enabled,
            config.max_retries,
            [str(status) for status in config.retry_on_statuses],
            config.retry_on_voicemail,
            list(config.retry_intervals_minutes),
        ]
    delivery = _encode_delivery(execution.delivery)
    if delivery:
        item["dl"] = delivery
    if execution.due_at is not None:
        item["due_shard"] = due_shard(execution.id)
        item["due_at"] = to_ms(execution.due_at)
    return item


def decode(item: dict[str, Any]) -> Execution:
    """The execution that `encode` was given."""
    config = item.get("rc")
    return Execution(
        id=item["pk"].removeprefix("X#"),
        account_id=item["ac"],
        agent_id=item["ag"],
        created_at=from_ms(item["ca"]),
        user_number=item["to"],
        from_number=item.get("fr"),
        batch_id=item.get("ba"),
        provider=item.get("pr", "twilio"),
        user_data=json.loads(item["ud"]) if "ud" in item else {},
        retry_config=config
        and RetryConfig(config[0], config[1], tuple(Status(s) for s in config[2]), config[3], tuple(config[4])),
        bypass_call_guardrails=item.get("by", False),
        changes=tuple(_decode_change(change) for change in item["ch"]),
        delivery=_decode_delivery(item.get("dl", {})),
        version=item["v"],
        due_at=from_ms(item["due_at"]) if "due_at" in item else None,
    )


def _encode_change(change: Change) -> dict[str, Any]:
    stored: dict[str, Any] = {"k": str(change.kind), "t": to_ms(change.at), "n": change.attempt}
    if change.until is not None:
        stored["u"] = to_ms(change.until)
    if change.count != 1:
        stored["c"] = change.count
    for short, name in _CHANGE_FIELDS.items():
        value = getattr(change, name)
        if value is not None:
            stored[short] = value
    return stored


def _decode_change(stored: dict[str, Any]) -> Change:
    kind = stored["k"]
    return Change(
        kind=Status(kind) if kind in _STATUSES else Note(kind),
        at=from_ms(stored["t"]),
        attempt=stored["n"],
        until=from_ms(stored["u"]) if "u" in stored else None,
        count=stored.get("c", 1),
        **{name: stored[short] for short, name in _CHANGE_FIELDS.items() if short in stored},
    )


def _encode_delivery(delivery: Delivery) -> dict[str, Any]:
    stored: dict[str, Any] = {}
    if delivery.settled:
        stored["s"] = delivery.settled
    if delivery.replaying:
        stored["p"] = list(delivery.replaying)
    if delivery.tries:
        stored["r"] = delivery.tries
    if delivery.next_try_at is not None:
        stored["n"] = to_ms(delivery.next_try_at)
    if delivery.lease is not None and delivery.lease_until is not None:
        stored["l"], stored["u"] = delivery.lease, to_ms(delivery.lease_until)
    if delivery.undelivered:
        stored["x"] = list(delivery.undelivered)
    if delivery.log:
        stored["g"] = [
            [tried.sequence, to_ms(tried.at), tried.status or 0, tried.tries, *([tried.error] if tried.error else [])]
            for tried in delivery.log
        ]
    return stored


def _decode_delivery(stored: dict[str, Any]) -> Delivery:
    return Delivery(
        settled=stored.get("s", 0),
        replaying=tuple(stored.get("p", ())),
        tries=stored.get("r", 0),
        next_try_at=from_ms(stored["n"]) if "n" in stored else None,
        lease=stored.get("l"),
        lease_until=from_ms(stored["u"]) if "u" in stored else None,
        undelivered=tuple(stored.get("x", ())),
        log=tuple(Tried(g[0], from_ms(g[1]), g[2] or None, g[3], *g[4:]) for g in stored.get("g", ())),
    )
