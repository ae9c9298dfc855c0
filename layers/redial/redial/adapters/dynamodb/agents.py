"""Agents in DynamoDB: one item each, under their account.

    v version · na name · cf the customer's configuration (JSON text)
    ca, ua created, updated (ms) · wh webhook · pr carrier · fn from-numbers · an, sm answer and stream URL
    hs, he calling hours · cw calling windows · tz time zone · mc, rt, ms lines, ring and call limits
    vd machine detection · pc peak of the line limit · pu purpose · cr countries that require a consent
    po, ap its own and its account's policy · xm expires after (minutes) · nr has number rules
    sc, hk scrub and pre-dial hook [URL, seconds]
    sb stopped before (ms) · da deleted at (ms) · expires_at of a deleted agent (epoch seconds)

The configuration is text because it is returned as sent: DynamoDB has no floats and nests at most 32 levels.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Table
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.agent import Agent, Endpoint
from redial.domain.status import Status
from redial.wire.newer import with_newer
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEEP_DELETED = timedelta(days=30)
"""How long a deleted agent is kept for its last calls' reports: far longer than a call and its deliveries take."""

_PLAIN_FIELDS = {
    "wh": "webhook_url",
    "pr": "provider",
    "an": "answer_url",
    "sm": "stream_url",
    "hs": "call_start_hour",
    "he": "call_end_hour",
    "cw": "calling_windows",
    "tz": "time_zone",
    "mc": "max_concurrent_calls",
    "rt": "ring_timeout_seconds",
    "ms": "max_call_seconds",
    "vd": "voicemail_detection",
    "pu": "purpose",
    "po": "policy",
    "ap": "account_policy",
    "xm": "expires_after_minutes",
    "cl": "contact_limits",
}


class DynamoAgents:
    """Implements `ports.Agents`."""

    def __init__(self, client: "DynamoDBClient", table_name: str, now: Callable[[], datetime] | None = None) -> None:
        self._table = Table(client, table_name)
        self._cached: TtlCache[Agent] = TtlCache(now)

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        return self._read(account_id, agent_id)

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        known = self._cached.get(account_id, agent_id) or self._read(account_id, agent_id, consistent=False)
        return known or self._read(account_id, agent_id)  # an eventually consistent read may miss a new agent

    def _read(self, account_id: str, agent_id: str, *, consistent: bool = True) -> Agent | None:
        item = self._table.get(_key(account_id, agent_id), consistent=consistent)
        return None if item is None else self._cached.keep(_decode(item), account_id, agent_id)

    def all(self, account_id: str, *, deleted_since: datetime | None = None) -> list[Agent]:
        values = {":account": f"A#{account_id}", ":agents": "AGENT#"}
        stored = self._table.query("pk = :account AND begins_with(sk, :agents)", values, ConsistentRead=True)
        found = [agent for agent in map(_decode, stored) if not _is_gone(agent, deleted_since)]
        return sorted(found, key=lambda agent: (agent.created_at, agent.agent_id))

    def some(self, account_id: str, most: int) -> list[Agent]:
        values = {":account": f"A#{account_id}", ":agents": "AGENT#"}
        stored = self._table.query("pk = :account AND begins_with(sk, :agents)", values, Limit=most)
        return list(map(_decode, islice(stored, most)))

    def save(self, agent: Agent) -> Agent:
        saved = replace(agent, version=agent.version + 1)
        self._table.put_version(_encode(saved), agent.version)
        return self._cached.keep(saved, saved.account_id, saved.agent_id)


def _is_gone(agent: Agent, deleted_since: datetime | None) -> bool:
    return agent.deleted_at is not None and (deleted_since is None or agent.deleted_at < deleted_since)


def _key(account_id: str, agent_id: str) -> dict[str, Any]:
    return {"pk": f"A#{account_id}", "sk": f"AGENT#{agent_id}"}


def _encode(agent: Agent) -> dict[str, Any]:
    item = _key(agent.account_id, agent.agent_id) | {
        "v": agent.version,
        "na": agent.name,
        "cf": json.dumps(agent.config, ensure_ascii=False, separators=(",", ":")),
        "ca": to_ms(agent.created_at),
        "ua": to_ms(agent.updated_at),
    }
    for short, name in _PLAIN_FIELDS.items():
        value = getattr(agent, name)
        if value is not None:
            item[short] = value
    if agent.from_phone_numbers:
        item["fn"] = list(agent.from_phone_numbers)
    if agent.consent_required:
        item["cr"] = list(agent.consent_required)
    if agent.has_number_rules:
        item["nr"] = True
    if agent.has_account_limits:
        item["al"] = True
    for short, endpoint in (("sc", agent.scrub), ("hk", agent.pre_dial_hook)):
        if endpoint is not None:
            item[short] = [endpoint.url, endpoint.seconds]
    if agent.webhook_statuses is not None:
        item["ws"] = [str(status) for status in agent.webhook_statuses]
    if agent.peak_concurrent_calls:
        item["pc"] = agent.peak_concurrent_calls
    if agent.stopped_before is not None:
        item["sb"] = to_ms(agent.stopped_before)
    if agent.deleted_at is not None:
        item["da"] = to_ms(agent.deleted_at)
        item["expires_at"] = to_ms(agent.deleted_at + KEEP_DELETED) // 1000
    return with_newer(item, agent.newer)


def _endpoint(stored: list[Any] | None) -> Endpoint | None:
    return None if stored is None else Endpoint(*stored)


def _decode(item: dict[str, Any]) -> Agent:
    stored = dict(item)
    stored.pop("expires_at", None)  # derived from `da`
    return Agent(
        agent_id=stored.pop("sk").removeprefix("AGENT#"),
        account_id=stored.pop("pk").removeprefix("A#"),
        name=stored.pop("na"),
        config=json.loads(stored.pop("cf")),
        created_at=from_ms(stored.pop("ca")),
        updated_at=from_ms(stored.pop("ua")),
        version=stored.pop("v"),
        from_phone_numbers=tuple(stored.pop("fn", ())),
        webhook_statuses=tuple(map(Status, stored.pop("ws"))) if "ws" in stored else None,
        consent_required=tuple(stored.pop("cr", ())),
        has_number_rules=stored.pop("nr", False),
        has_account_limits=stored.pop("al", False),
        peak_concurrent_calls=stored.pop("pc", 0),
        stopped_before=from_ms(stored.pop("sb")) if "sb" in stored else None,
        deleted_at=from_ms(stored.pop("da")) if "da" in stored else None,
        **{name: stored.pop(short) for short, name in _PLAIN_FIELDS.items() if short in stored},
        scrub=_endpoint(stored.pop("sc", None)),
        pre_dial_hook=_endpoint(stored.pop("hk", None)),
        newer=stored or None,
    )
