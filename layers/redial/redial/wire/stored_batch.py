"""The stored form of a batch: one flat DynamoDB item with short names, following the rules of `stored_execution`.

ac account · ag agent · ca created · fi file name · pr carrier (absent: the default) · fn from-numbers · wh webhook ·
v version · cp calls per second (text) · ff first dials first · by guardrails bypassed ·
cw calling rule · hr row check · rc retry config (as an execution's) · sa start at · tm timer · pa paused ·
in ingested · to total · va valid · cl cleared · dr stored to · kr audit from · sr audited to · cr cleared row ·
ka checked at · da deleted at · rw, ra results wanted, at · wo, wu worker, until · wd withdrawn ·
ku kept until · re rows to erase · pu purpose · ix indexed · cm compared · sh shared [[batch id, contacts]] ·
ku kept until · re rows to erase · pu purpose · po policy · pd the policy is a default · xa last start ·
xm contacts expire after (minutes) · qc contacts counted against a quota · kp lines of its API key ·
ch changes [[status, at, {r reason, s scheduled at, c counts, v valid, t total}]] ·
dl delivery (as an execution's) · rn recount {p position, s since, d due, r row, f found, n newest, c corrected} ·
expires_at (epoch seconds; of a tombstone) · due_shard, due_at, listing_shard, listing_key, undelivered_of: index keys
"""

import json
from typing import Any

from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.batch import Batch, BatchChange, BatchStatus, Recount
from redial.wire.newer import with_newer
from redial.wire.stored_execution import (
    INDEX_KEYS,
    decode_delivery,
    decode_retry_config,
    decode_statuses,
    due_shard,
    encode_delivery,
    encode_retry_config,
    encode_statuses,
)
from redial.wire.timestamps import from_ms, to_ms

_TIMES = {
    "sa": "start_at",
    "da": "deleted_at",
    "ra": "results_at",
    "wu": "worker_until",
    "ka": "checked_at",
    "ku": "kept_until",
    "xa": "last_start",
}
_NUMBERS = {
    "to": "total",
    "va": "valid",
    "dr": "stored_to",
    "kr": "audit_from",
    "sr": "audited_to",
    "cr": "cleared_row",
    "xm": "expires_after_minutes",
}
_FLAGS = {
    "pa": "paused",
    "in": "ingested",
    "cl": "cleared",
    "wd": "withdrawn",
    "rw": "results_wanted",
    "ff": "first_dials_first",
    "by": "bypass_call_guardrails",
    "pn": "premium_numbers",
    "pd": "policy_is_default",
    "ix": "indexed",
    "cm": "compared",
    "qc": "counted",
}
_TEXTS = {
    "wh": "webhook_url",
    "wo": "worker",
    "hr": "row_check",
    "cw": "calling_rule",
    "pu": "purpose",
    "po": "policy",
    "kp": "key_pool",
}


def key(batch_id: str) -> dict[str, Any]:
    """Primary key of a batch's item."""
    return {"pk": f"B#{batch_id}", "sk": "B"}


def listing_shard(agent_id: str) -> str:
    """Partition of the listing index with an agent's batches."""
    return f"{agent_id}#batches"


def encode(batch: Batch) -> dict[str, Any]:
    """The item, as plain Python values (str, int, bool, list, dict)."""
    created = batch.created_at
    item: dict[str, Any] = key(batch.id) | {
        "v": batch.version,
        "ac": batch.account_id,
        "ag": batch.agent_id,
        "ca": to_ms(created),
        "fi": batch.file_name,
        "ch": json.dumps([_encode_change(change) for change in batch.changes], separators=(",", ":")),
    }
    for short, name in _TIMES.items():
        if (instant := getattr(batch, name)) is not None:
            item[short] = to_ms(instant)
    for names in (_NUMBERS, _FLAGS, _TEXTS):
        item |= {short: value for short, name in names.items() if (value := getattr(batch, name))}
    if batch.provider != DEFAULT_PROVIDER:
        item["pr"] = batch.provider
    if batch.webhook_statuses is not None:
        item["ws"] = encode_statuses(batch.webhook_statuses)
    if batch.from_phone_numbers:
        item["fn"] = list(batch.from_phone_numbers)
    if batch.calls_per_second is not None:
        item["cp"] = str(batch.calls_per_second)
    if batch.erase_rows:
        item["re"] = list(batch.erase_rows)
    if batch.shared:
        item["sh"] = [list(one) for one in batch.shared]
    if batch.timer is not None:
        item["tm"] = batch.timer
    if batch.retry_config is not None:
        item["rc"] = encode_retry_config(batch.retry_config)
    delivery = encode_delivery(batch.delivery, created)
    if delivery is not None:
        item["dl"] = delivery
    if batch.recount is not None:
        item["rn"] = _encode_recount(batch.recount)
    if batch.expires_at is not None:
        item["expires_at"] = to_ms(batch.expires_at) // 1000
    if batch.due_at is not None:
        item["due_shard"] = due_shard(batch.id)
        item["due_at"] = to_ms(batch.due_at)
    if batch.deleted_at is None:
        item["listing_shard"] = listing_shard(batch.agent_id)
        item["listing_key"] = f"{to_ms(created):013d}#{batch.id}"
        if batch.delivery.is_listed:
            item["undelivered_of"] = batch.account_id
    return with_newer(item, batch.newer)


def decode(item: dict[str, Any]) -> Batch:
    """The inverse of `encode`."""
    stored = dict(item)
    for name in INDEX_KEYS:
        stored.pop(name, None)
    created = from_ms(stored.pop("ca"))
    others: dict[str, Any] = {name: from_ms(stored.pop(short)) for short, name in _TIMES.items() if short in stored}
    for names in (_NUMBERS, _FLAGS, _TEXTS):
        others |= {name: stored.pop(short) for short, name in names.items() if short in stored}
    return Batch(
        id=stored.pop("pk").removeprefix("B#"),
        account_id=stored.pop("ac"),
        agent_id=stored.pop("ag"),
        created_at=created,
        file_name=stored.pop("fi"),
        provider=stored.pop("pr", DEFAULT_PROVIDER),
        webhook_statuses=decode_statuses(stored.pop("ws")) if "ws" in stored else None,
        from_phone_numbers=tuple(stored.pop("fn", ())),
        retry_config=decode_retry_config(stored.pop("rc")) if "rc" in stored else None,
        calls_per_second=float(stored.pop("cp")) if "cp" in stored else None,
        timer=stored.pop("tm", None),
        erase_rows=tuple(stored.pop("re", ())),
        shared=tuple((batch_id, contacts) for batch_id, contacts in stored.pop("sh", ())),
        changes=tuple(_decode_change(change) for change in json.loads(stored.pop("ch"))),
        delivery=decode_delivery(stored.pop("dl", None), created),
        version=stored.pop("v"),
        due_at=from_ms(stored.pop("due_at")) if "due_at" in stored else None,
        recount=_decode_recount(stored.pop("rn")) if "rn" in stored else None,
        expires_at=from_ms(stored.pop("expires_at") * 1000) if "expires_at" in stored else None,
        **others,
        newer=stored or None,  # last argument: only unknown names are left
    )


def _encode_recount(recount: Recount) -> dict[str, Any]:
    item: dict[str, Any] = {"p": recount.position, "s": to_ms(recount.since), "d": to_ms(recount.due)}
    if recount.row:
        item |= {"r": recount.row, "f": dict(recount.found)}
    if recount.newest is not None:
        item["n"] = to_ms(recount.newest)
    if recount.corrected is not None:
        item["c"] = dict(recount.corrected)
    return item


def _decode_recount(item: dict[str, Any]) -> Recount:
    return Recount(
        item["p"],
        from_ms(item["s"]),
        from_ms(item["d"]),
        item.get("r", 0),
        item.get("f", {}),
        from_ms(item["n"]) if "n" in item else None,
        item.get("c"),
    )


def _encode_change(change: BatchChange) -> list[Any]:
    extra: dict[str, Any] = {"r": change.reason, "c": change.counts, "v": change.valid, "t": change.total}
    if change.scheduled_at is not None:
        extra["s"] = to_ms(change.scheduled_at)
    known = {name: value for name, value in extra.items() if value}
    return [str(change.status), to_ms(change.at), with_newer(known, change.newer)]


def _decode_change(stored: list[Any]) -> BatchChange:
    status, at, extra = stored
    extra = dict(extra)
    return BatchChange(
        BatchStatus(status),
        from_ms(at),
        reason=extra.pop("r", None),
        scheduled_at=from_ms(extra.pop("s")) if "s" in extra else None,
        counts=extra.pop("c", {}),
        valid=extra.pop("v", 0),
        total=extra.pop("t", 0),
        newer=extra or None,
    )
