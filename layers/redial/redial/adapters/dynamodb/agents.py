"""Agents in the table: one item each, under their account.

    v version · na name · cf the customer's own configuration (JSON text)
    ca, ua created, updated (ms) · wh webhook · pr carrier · fn from-numbers · an, sm answer and stream URL
    hs, he calling hours · mc, rt, ms lines, ring and call limits · vd machine detection · pc most lines so far
    sb stopped before (ms) · da deleted (ms) · expires_at when a deleted agent leaves the table (epoch seconds)

The configuration is text because it comes back as it was sent: DynamoDB has no floats and nests 32 deep at most.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.executions import lost_condition
from redial.adapters.dynamodb.items import from_item, over, to_item
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.agent import Agent
from redial.ports import StaleVersion
from redial.wire.newer import with_newer
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEEP_DELETED = timedelta(days=30)
"""How long a deleted agent stays for the reports of its last calls: far longer than a call and its webhooks last."""

_PLAIN_FIELDS = {
    "wh": "webhook_url",
    "pr": "provider",
    "an": "answer_url",
    "sm": "stream_url",
    "hs": "call_start_hour",
    "he": "call_end_hour",
    "mc": "max_concurrent_calls",
    "rt": "ring_timeout_seconds",
    "ms": "max_call_seconds",
    "vd": "voicemail_detection",
}


class DynamoAgents:
    """Implements `ports.Agents`."""

    def __init__(self, client: "DynamoDBClient", table_name: str, now: Callable[[], datetime] | None = None) -> None:
        self._client = client
        self._table = table_name
        self._recent: TtlCache[Agent] = TtlCache(now)

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        return self._read(account_id, agent_id)

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        known = self._recent.get(account_id, agent_id) or self._read(account_id, agent_id, consistent=False)
        return known or self._read(account_id, agent_id)  # one that was just made may not be seen yet

    def _read(self, account_id: str, agent_id: str, *, consistent: bool = True) -> Agent | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(account_id, agent_id)), ConsistentRead=consistent
        )
        if "Item" not in answer:
            return None
        return self._recent.keep(_decode(from_item(answer["Item"])), account_id, agent_id)

    def all(self, account_id: str) -> list[Agent]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :account AND begins_with(sk, :agents)",
            ExpressionAttributeValues=to_item({":account": f"A#{account_id}", ":agents": "AGENT#"}),
            ConsistentRead=True,
        )
        agents = (_decode(from_item(item)) for page in pages for item in page["Items"])
        alive = (agent for agent in agents if agent.deleted_at is None)
        return sorted(alive, key=lambda agent: (agent.created_at, agent.agent_id))

    def save(self, agent: Agent) -> Agent:
        """An item that is just what was to be stored is a success: botocore sends a write again whose answer was
        lost."""
        saved = replace(agent, version=agent.version + 1)
        item = to_item(_encode(saved))
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **over(agent.version)
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            if error.response.get("Item") != item:
                raise StaleVersion(agent.agent_id) from error
        return self._recent.keep(saved, saved.account_id, saved.agent_id)


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
    if agent.peak_concurrent_calls:
        item["pc"] = agent.peak_concurrent_calls
    if agent.stopped_before is not None:
        item["sb"] = to_ms(agent.stopped_before)
    if agent.deleted_at is not None:
        item["da"] = to_ms(agent.deleted_at)
        item["expires_at"] = to_ms(agent.deleted_at + KEEP_DELETED) // 1000
    return with_newer(item, agent.newer)


def _decode(item: dict[str, Any]) -> Agent:
    stored = dict(item)
    stored.pop("expires_at", None)  # `da` says it
    return Agent(
        agent_id=stored.pop("sk").removeprefix("AGENT#"),
        account_id=stored.pop("pk").removeprefix("A#"),
        name=stored.pop("na"),
        config=json.loads(stored.pop("cf")),
        created_at=from_ms(stored.pop("ca")),
        updated_at=from_ms(stored.pop("ua")),
        version=stored.pop("v"),
        from_phone_numbers=tuple(stored.pop("fn", ())),
        peak_concurrent_calls=stored.pop("pc", 0),
        stopped_before=from_ms(stored.pop("sb")) if "sb" in stored else None,
        deleted_at=from_ms(stored.pop("da")) if "da" in stored else None,
        **{name: stored.pop(short) for short, name in _PLAIN_FIELDS.items() if short in stored},
        newer=stored or None,
    )
