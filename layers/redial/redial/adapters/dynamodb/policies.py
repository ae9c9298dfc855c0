"""Policies in DynamoDB: one item for each version, under its account.

    A#<account> / POLICY#<name>#<version>   cf the rules as given (JSON text) · ca created (ms) · cw calling rule ·
                                            cl contact limits · xm expires after (minutes) · cr countries that require
                                            a consent · pu purpose · rc retry config

Versions are numbered 1, 2, 3 … and never change, so each process keeps the versions it has read in memory.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Item, Table
from redial.domain.calling_window import CallingRule
from redial.domain.contact_limits import ContactLimits
from redial.domain.policy import Policy, read_label
from redial.wire.stored_execution import decode_retry_config, encode_retry_config
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

MAX_KEPT = 1000
"""Maximum versions kept in memory; when full, all are forgotten."""
_PREFIX = "POLICY#"


class DynamoPolicies:
    """Implements `ports.Policies`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)
        self._kept: dict[tuple[str, str], Policy] = {}

    def get(self, account_id: str, label: str) -> Policy | None:
        known = self._kept.get((account_id, label))
        if known is not None:
            return known
        name, version = read_label(label)
        assert version is not None, "a label that is stored has a version"
        key = _key(account_id, name, version)
        item = self._table.get(key, consistent=False) or self._table.get(key)
        if item is None:
            return None
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        return self._kept.setdefault((account_id, label), _decode(item))

    def latest(self, account_id: str, name: str) -> Policy | None:
        values = {":account": f"A#{account_id}", ":versions": f"{_PREFIX}{name}#"}
        return next(self._newest_first("pk = :account AND begins_with(sk, :versions)", values), None)

    def all(self, account_id: str) -> list[Policy]:
        values = {":account": f"A#{account_id}", ":first": _PREFIX, ":last": f"{_PREFIX}~"}
        found: list[Policy] = []
        while True:  # the newest version of the last name, then of the previous name …
            condition = "pk = :account AND sk BETWEEN :first AND :last"
            newest = next(self._newest_first(condition, values), None)
            if newest is None:
                return found[::-1]
            found.append(newest)
            values[":last"] = f"{_PREFIX}{newest.name}#"

    def _newest_first(self, condition: str, values: Item) -> Iterator[Policy]:
        options = {"ConsistentRead": True, "ScanIndexForward": False, "Limit": 1}
        return map(_decode, self._table.query(condition, values, **options))

    def add(self, account_id: str, policy: Policy) -> bool:
        return self._table.put_new(_encode(account_id, policy))


def _key(account_id: str, name: str, version: int) -> Item:
    return {"pk": f"A#{account_id}", "sk": f"{_PREFIX}{name}#{version:06d}"}


def _encode(account_id: str, policy: Policy) -> Item:
    stored: dict[str, Any] = {
        "cf": json.dumps(policy.config, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
        "ca": to_ms(policy.created_at),
        "cw": None if policy.calling_rule is None else str(policy.calling_rule),
        "cl": None if policy.contact_limits is None else str(policy.contact_limits),
        "xm": policy.expires_after_minutes,
        "cr": list(policy.consent_required) or None,
        "pu": policy.purpose,
        "rc": None if policy.retry_config is None else encode_retry_config(policy.retry_config),
    }
    given = {name: value for name, value in stored.items() if value is not None}
    return _key(account_id, policy.name, policy.version) | given


def _decode(item: Item) -> Policy:
    _, name, version = item["sk"].split("#")
    return Policy(
        name=name,
        version=int(version),
        created_at=from_ms(item["ca"]),
        config=json.loads(item["cf"]),
        calling_rule=CallingRule.parse(item["cw"]) if "cw" in item else None,
        contact_limits=ContactLimits.parse(item["cl"]) if "cl" in item else None,
        expires_after_minutes=item.get("xm"),
        consent_required=tuple(item.get("cr", ())),
        purpose=item.get("pu"),
        retry_config=decode_retry_config(item["rc"]) if "rc" in item else None,
    )
