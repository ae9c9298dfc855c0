"""The stored form of an execution: one flat DynamoDB item with short names, because writes are charged by item size.

Lists are JSON text, which is smaller than DynamoDB's nested lists and maps and many times faster to read. Old items
must load for as long as executions live, so names are only added, each with a default (tests/contract/recorded has old
items). Times are whole milliseconds; within JSON text, they are relative to `ca`.

    ac account · ag agent · ca created · to, fr numbers · ba batch · pr carrier (absent: the default)
    by guardrails bypassed · cw calling rule · tz time zone · ud user data · ux true: user data is kept apart, see below
    v version · sq row in the batch · ws statuses whose events are sent, a bit each (absent: all)
    pu purpose · po policy · pd true: the policy is a default · xa expires at (ms) · kp lines of its API key
    er true: an erased contact, which only its batch's lists and counts show
    rc retry config [enabled, retries, [statuses], voicemail, [minutes]]
    ch changes [[kind, at, attempt, {u until, m timer, l line, c count, i call id, f from, r reason, o code,
       v voicemail, d duration, g ring, h hangup by, e ended, w claim id, p delayed, n lost, k gates, s since,
       b invalid number, y price, q carrier until this claim}]]. The object is left out if it is empty. If every gate
       allowed a claim, its `w` ends with the short form of its gates, see `domain.decision.only_rules`
    dl delivery {s settled, p replaying, r tries, n next try, l lease, u lease until, x undelivered,
       g log [[sequence, at, HTTP status or 0, tries, error]]}
    due_shard, due_at, listing_shard, listing_key, undelivered_of, nu number called: index keys
    expires_at (epoch seconds) of a finished single call: DynamoDB removes it then, or some days later
    z1, pz of an item that is packed or may be: see `packed_execution`

    X#<id> / U   an execution's user data that is kept apart: ud, as above. Written and removed with the execution;
                 tally removes it after the execution has expired

Unknown names stored by a newer version are kept in the item, in a change and in `dl`, and so are markers whose kind
begins with `x-`. The lists `rc`, `g` and a change's list never grow: new data there gets a name.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from redial.domain.agent import DEFAULT_PROVIDER
from redial.domain.decision import only_rules, with_rules
from redial.domain.delivery import Delivery, DeliveryAttempt
from redial.domain.execution import MILLISECOND, Change, Execution, Marker
from redial.domain.retry import RetryConfig
from redial.domain.status import Status
from redial.wire.newer import with_newer
from redial.wire.packed_execution import compact_json, unpacked
from redial.wire.timestamps import from_ms, to_ms

DUE_SHARDS = 16
QUEUE_CHECK_SHARDS = 4
"""Partitions of the due index for queue checks, which the sweeper processes last."""
WATCHED = "watched"
"""Partition of the due index for line shards, which the sweeper counts every minute, due or not."""
LISTING_SHARDS = 4
INDEX_KEYS = ("sk", "due_shard", "listing_shard", "listing_key", "undelivered_of", "nu")
"""Index keys, which are derived from an item's other attributes."""
OPEN, DONE = "open", "done"
EXPIRES_AT = "expires_at"
"""The table's TTL attribute. Like an index key, it is derived when an execution is stored, from its end."""

_CHANGE_FIELDS = {
    "m": "timer",
    "l": "line_shard",
    "i": "call_id",
    "f": "from_number",
    "r": "reason",
    "o": "code",
    "v": "voicemail",
    "d": "duration_seconds",
    "g": "ring_seconds",
    "h": "hangup_by",
    "e": "ended",
    "p": "delayed",
    "n": "lost",
    "k": "gates",
    "b": "invalid_number",
    "y": "price",
    "q": "moved_from",
}
_STATUSES = frozenset(Status)
_MARKERS = frozenset(Marker)
INFORMS = "x-"
"""Prefix of markers that an execution can be read without: a version that does not know such a marker skips and keeps
it. Any other unknown kind (a status, a claim) raises ValueError instead of being misread."""


def key(execution_id: str) -> dict[str, Any]:
    """Primary key of an execution's item."""
    return {"pk": f"X#{execution_id}", "sk": "X"}


def user_data_key(execution_id: str) -> dict[str, Any]:
    """Primary key of the item with an execution's user data, if it is kept apart."""
    return {"pk": f"X#{execution_id}", "sk": "U"}


def encode_user_data(execution: Execution) -> dict[str, Any]:
    """The item with the user data of an execution that keeps it apart."""
    return user_data_key(execution.id) | {"ud": compact_json(execution.user_data)}


def decode_user_data(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The inverse of `encode_user_data`: the execution's id and its user data."""
    return item["pk"].removeprefix("X#"), json.loads(item["ud"])


def due_shard(execution_id: str) -> str:
    """An execution's partition of the due index, by the last digits of its UUID, which are uniformly distributed."""
    return f"{int(execution_id[-2:], 16) % DUE_SHARDS:02d}"


def queue_check_shard(execution_id: str) -> str:
    """An execution's partition of the due index for queue checks."""
    return f"q{int(execution_id[-2:], 16) % QUEUE_CHECK_SHARDS}"


def listing_shard(agent_id: str, shard: int) -> str:
    """One partition of the listing index with an agent's executions."""
    return f"{agent_id}#{shard}"


def number_key(account_id: str, number: str) -> str:
    """Partition of the index `called` with an account's calls to an E.164 number. It is a short hash, because every
    write of the item is charged for it. It never changes, so only creating a call writes the index."""
    digest = hashlib.sha256(f"{account_id} {number}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:6]).decode()


def encode(execution: Execution) -> dict[str, Any]:
    """The item, as plain Python values (str, int, bool)."""
    created = execution.created_at
    created_ms = to_ms(created)
    item: dict[str, Any] = key(execution.id) | {
        "v": execution.version,
        "ac": execution.account_id,
        "ag": execution.agent_id,
        "ca": created_ms,
        "to": execution.user_number,
        "ch": compact_json(_encode_changes(execution)),
    }
    if execution.erased:
        item["er"] = True
    else:
        item["nu"] = number_key(execution.account_id, execution.user_number)
    if execution.from_number is not None:
        item["fr"] = execution.from_number
    if execution.batch_id is not None:
        item["ba"] = execution.batch_id
    if execution.row is None:
        item["listing_shard"] = listing_shard(execution.agent_id, int(execution.id[-2:], 16) % LISTING_SHARDS)
        item["listing_key"] = f"{DONE if execution.state.is_final else OPEN}#{created_ms:013d}#{execution.id}"
    else:  # the listing contains its batch instead, for all contacts
        item["sq"] = execution.row
    if execution.provider != DEFAULT_PROVIDER:
        item["pr"] = execution.provider
    if execution.bypass_call_guardrails:
        item["by"] = True
    if execution.calling_rule is not None:
        item["cw"] = execution.calling_rule
    if execution.time_zone is not None:
        item["tz"] = execution.time_zone
    if execution.purpose is not None:
        item["pu"] = execution.purpose
    if execution.policy is not None:
        item["po"] = execution.policy
    if execution.policy_is_default:
        item["pd"] = True
    if execution.expires_at is not None:
        item["xa"] = to_ms(execution.expires_at)
    if execution.key_pool is not None:
        item["kp"] = execution.key_pool
    if execution.webhook_statuses is not None:
        item["ws"] = encode_statuses(execution.webhook_statuses)
    if execution.user_data_apart:
        item["ux"] = True
    elif execution.user_data:
        item["ud"] = compact_json(execution.user_data)
    if execution.retry_config is not None:
        item["rc"] = encode_retry_config(execution.retry_config)
    delivery = encode_delivery(execution.delivery, created)
    if delivery is not None:
        item["dl"] = delivery
    if execution.delivery.is_listed:
        item["undelivered_of"] = execution.account_id
    if execution.due_at is not None:
        shard = queue_check_shard if execution.is_due_for_queue_check else due_shard
        item["due_shard"] = shard(execution.id)
        item["due_at"] = to_ms(execution.due_at)
    return with_newer(item, execution.newer)


def decode(item: dict[str, Any]) -> Execution:
    """The inverse of `encode`; also decodes packed items. Raises ValueError for a change of unknown kind, unless it has
    the prefix `INFORMS`."""
    stored = dict(unpacked(item))
    for name in (*INDEX_KEYS, EXPIRES_AT):
        stored.pop(name, None)
    created = from_ms(stored.pop("ca"))
    changes = json.loads(stored.pop("ch"))
    return Execution(
        id=stored.pop("pk").removeprefix("X#"),
        account_id=stored.pop("ac"),
        agent_id=stored.pop("ag"),
        created_at=created,
        user_number=stored.pop("to"),
        from_number=stored.pop("fr", None),
        batch_id=stored.pop("ba", None),
        row=stored.pop("sq", None),
        provider=stored.pop("pr", DEFAULT_PROVIDER),
        user_data=None if (apart := stored.pop("ux", False)) else json.loads(stored.pop("ud", "{}")),
        user_data_apart=apart,
        retry_config=decode_retry_config(stored.pop("rc")) if "rc" in stored else None,
        bypass_call_guardrails=stored.pop("by", False),
        calling_rule=stored.pop("cw", None),
        time_zone=stored.pop("tz", None),
        webhook_statuses=decode_statuses(stored.pop("ws")) if "ws" in stored else None,
        changes=tuple(_decode_change(change, created) for change in changes if not _informs(change)),
        delivery=decode_delivery(stored.pop("dl", None), created),
        version=stored.pop("v"),
        due_at=from_ms(stored.pop("due_at")) if "due_at" in stored else None,
        erased=stored.pop("er", False),
        purpose=stored.pop("pu", None),
        policy=stored.pop("po", None),
        policy_is_default=stored.pop("pd", False),
        expires_at=from_ms(stored.pop("xa")) if "xa" in stored else None,
        key_pool=stored.pop("kp", None),
        newer=stored or None,  # only unknown names are left
        newer_notes=tuple(change for change in changes if _informs(change)),
    )


def status_of(item: dict[str, Any]) -> Status:
    """The status of a stored execution, without decoding all of it: `ch` ends with it, also in the packed form."""
    return next(Status(change[0]) for change in reversed(json.loads(item["ch"])) if change[0] in _STATUSES)


_BITS = (
    *(Status.QUEUED, Status.SCHEDULED, Status.RESCHEDULED, Status.INITIATED, Status.RINGING, Status.IN_PROGRESS),
    *(Status.CALL_DISCONNECTED, Status.COMPLETED, Status.NO_ANSWER, Status.BUSY, Status.FAILED, Status.CANCELED),
    *(Status.STOPPED, Status.ERROR, Status.BALANCE_LOW),
)
"""Stored sets of statuses have a bit for each status. New statuses are appended."""


def encode_statuses(statuses: Iterable[Status]) -> int:
    """A set of statuses as bits, which cost each save fewer bytes than names."""
    return sum(1 << _BITS.index(status) for status in set(statuses))


def decode_statuses(bits: int) -> tuple[Status, ...]:
    """The inverse of `encode_statuses`. A newer version's statuses, unknown here, are left out."""
    return tuple(status for bit, status in enumerate(_BITS) if bits & 1 << bit)


def _since(created: datetime, instant: datetime) -> int:
    return (instant - created) // MILLISECOND


@lru_cache(maxsize=16)
def encode_retry_config(config: RetryConfig) -> str:
    """The JSON text of a retry configuration."""
    return compact_json(
        [
            config.enabled,
            config.max_retries,
            config.retry_on_statuses,
            config.retry_on_voicemail,
            config.retry_intervals_minutes,
        ]
    )


def decode_retry_config(text: str) -> RetryConfig:
    """The inverse of `encode_retry_config`."""
    enabled, max_retries, statuses, voicemail, intervals = json.loads(text)
    return RetryConfig(enabled, max_retries, tuple(Status(status) for status in statuses), voicemail, tuple(intervals))


def _informs(stored: list[Any]) -> bool:
    kind: str = stored[0]
    return kind.startswith(INFORMS) and kind not in _MARKERS


def _encode_changes(execution: Execution) -> list[Any]:
    """All changes in chronological order, merged with a newer version's markers. Times are strictly increasing."""
    stored = [_encode_change(change, execution.created_at) for change in execution.changes]
    return sorted((*stored, *execution.newer_notes), key=lambda one: one[1]) if execution.newer_notes else stored


def _encode_change(change: Change, created: datetime) -> list[Any]:
    extra: dict[str, Any] = {}
    if change.until is not None:
        extra["u"] = _since(created, change.until)
    if change.count != 1:
        extra["c"] = change.count
    if change.since is not None:
        extra["s"] = _since(created, change.since)
    for short, name in _CHANGE_FIELDS.items():
        value = getattr(change, name)
        if value is not None:
            extra[short] = value
    if change.claim_id is not None:
        allowed = only_rules(change.gates)
        if allowed is not None:
            extra.pop("k")
        extra["w"] = change.claim_id if allowed is None else change.claim_id + allowed
    stored: list[Any] = [str(change.kind), _since(created, change.at), change.attempt]
    extra = with_newer(extra, change.newer)
    return [*stored, extra] if extra else stored


def _decode_change(stored: list[Any], created: datetime) -> Change:
    kind, at, attempt = stored[:3]
    extra: dict[str, Any] = dict(stored[3]) if len(stored) > 3 else {}
    claim_id, allowed = with_rules(extra.pop("w", ""))
    if allowed is not None:
        extra["k"] = allowed
    return Change(
        kind=Status(kind) if kind in _STATUSES else Marker(kind),
        at=created + at * MILLISECOND,
        attempt=attempt,
        claim_id=claim_id or None,
        until=created + extra.pop("u") * MILLISECOND if "u" in extra else None,
        count=extra.pop("c", 1),
        since=created + extra.pop("s") * MILLISECOND if "s" in extra else None,
        **{_CHANGE_FIELDS[short]: extra.pop(short) for short in _CHANGE_FIELDS.keys() & extra.keys()},
        newer=extra or None,
    )


def encode_delivery(delivery: Delivery, created: datetime) -> str | None:
    """The JSON text of a delivery; None if nothing was delivered or tried."""
    stored: dict[str, Any] = {
        "s": delivery.settled or None,
        "p": delivery.replaying,
        "r": delivery.tries or None,
        "n": _since(created, delivery.next_try_at) if delivery.next_try_at else None,
        "l": delivery.lease_id,
        "u": _since(created, delivery.lease_until) if delivery.lease_until else None,
        "x": delivery.undelivered,
        "g": [
            [tried.sequence, _since(created, tried.at), tried.status or 0, tried.tries]
            + ([tried.error] if tried.error else [])
            for tried in delivery.log
        ],
    }
    kept = with_newer({name: value for name, value in stored.items() if value not in (None, (), [])}, delivery.newer)
    return compact_json(kept) if kept else None


def decode_delivery(text: str | None, created: datetime) -> Delivery:
    """The inverse of `encode_delivery`."""
    stored: dict[str, Any] = json.loads(text or "{}")
    return Delivery(
        settled=stored.pop("s", 0),
        replaying=tuple(stored.pop("p", ())),
        tries=stored.pop("r", 0),
        next_try_at=created + stored.pop("n") * MILLISECOND if "n" in stored else None,
        lease_id=stored.pop("l", None),
        lease_until=created + stored.pop("u") * MILLISECOND if "u" in stored else None,
        undelivered=tuple(stored.pop("x", ())),
        log=tuple(
            DeliveryAttempt(g[0], created + g[1] * MILLISECOND, g[2] or None, g[3], *g[4:]) for g in stored.pop("g", ())
        ),
        newer=stored or None,
    )
