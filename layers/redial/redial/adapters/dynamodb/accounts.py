"""Accounts and their API keys in DynamoDB.

    A#<account> / ACCOUNT    name, created_at (ms), webhook_secrets (newest first), premium_numbers (if set),
                             defaults {provider, from_phone_numbers, answer_url, stream_url, policy} (if set),
                             contact_limits (the text of `ContactLimits`; if set), webhook_url (if set)
    A#<account> / KEY#<id>   a key in its account's list: name, created_at, revoked_at (ms), key_hash,
                             and its rights: scopes (absent: all), agents (absent: all), numbers (absent: full),
                             calls_a_day (absent: any)
    K#<sha256 of a key> / K  the account of a key: account_id, key_id, name, revoked_at (ms), its rights, and
                             last_used_at (ms, a whole hour)

One transaction writes a key's two items. Authentication reads only the second.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.items import from_item, to_item
from redial.adapters.dynamodb.table import ABSENT, PRESENT, Item, Table
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.agent import Account, Defaults
from redial.domain.api_key import ALL_SCOPES, ApiKey, Caller, KeyRights, NumbersShown
from redial.domain.contact_limits import ContactLimits
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

MAX_MARKED = 1000
"""Maximum keys whose hour of use a process remembers; when full, all are forgotten."""


class DynamoAccounts:
    """Implements `ports.Accounts`."""

    def __init__(self, client: "DynamoDBClient", table_name: str, now: Callable[[], datetime] | None = None) -> None:
        self._table = Table(client, table_name)
        self._cached: TtlCache[Account] = TtlCache(now)
        self._marked: dict[str, datetime] = {}  # the hours that this process has stored or tried to store

    def get(self, account_id: str) -> Account | None:
        item = self._table.get(_account_key(account_id))
        return None if item is None else self._cached.keep(_decode(account_id, item), account_id)

    def all(self) -> list[Account]:
        """All accounts, oldest first. Reads the whole table: for operators, not for functions."""
        pages = self._table.client.get_paginator("scan").paginate(
            TableName=self._table.name,
            FilterExpression="sk = :account",
            ExpressionAttributeValues={":account": {"S": "ACCOUNT"}},
            ConsistentRead=True,
        )
        items = [from_item(item) for page in pages for item in page["Items"]]
        found = [_decode(item["pk"].removeprefix("A#"), item) for item in items]
        return sorted(found, key=lambda account: (account.created_at, account.account_id))

    def cached(self, account_id: str) -> Account | None:
        known = self._cached.get(account_id)
        if known is not None:
            return known
        item = self._table.get(_account_key(account_id), consistent=False) or self._table.get(_account_key(account_id))
        return None if item is None else self._cached.keep(_decode(account_id, item), account_id)

    def create(self, account: Account) -> bool:
        item = _account_key(account.account_id) | {
            "name": account.name,
            "created_at": to_ms(account.created_at),
            "webhook_secrets": list(account.webhook_secrets),
        }
        return self._table.put(item, ABSENT).done

    def replace_secrets(self, account: Account, secrets: tuple[str, ...]) -> bool:
        values = {":new": list(secrets), ":read": list(account.webhook_secrets)}
        account_key = _account_key(account.account_id)
        set_secrets = "SET webhook_secrets = :new"
        return self._table.update(account_key, set_secrets, "webhook_secrets = :read", values).done

    def allow_premium_numbers(self, account_id: str, allowed: bool) -> bool:
        set_allowed = "SET premium_numbers = :allowed"
        return self._table.update(_account_key(account_id), set_allowed, PRESENT, {":allowed": allowed}).done

    def replace_settings(self, account: Account, changed: Account) -> bool:
        new, read = _encode_settings(changed), _encode_settings(account)
        removed = [name for name in read if name not in new]
        update = [f"SET {', '.join(f'{name} = :{name}' for name in new)}"] if new else []
        update += [f"REMOVE {', '.join(removed)}"] if removed else []
        is_as_read = [
            f"{name} = :read_{name}" if name in read else f"attribute_not_exists({name})" for name in _SETTINGS
        ]
        values = {f":{name}": value for name, value in new.items()}
        values |= {f":read_{name}": value for name, value in read.items()}
        if not update:
            return True
        condition = " AND ".join([PRESENT, *is_as_read])
        done = self._table.update(_account_key(account.account_id), " ".join(update), condition, values).done
        self._cached.forget(account.account_id)
        return done

    # ---- keys ---------------------------------------------------------------------------------------------------

    def caller_of_key(self, key_hash: str) -> Caller | None:
        item = self._table.get(_key_key(key_hash), consistent=False) or self._table.get(_key_key(key_hash))
        if item is None or "revoked_at" in item:
            return None
        return Caller(
            item["account_id"], _decode_rights(item), item["key_id"], item["name"], key_hash, _decode_used(item)
        )

    def mark_used(self, key_hash: str, hour: datetime) -> None:
        marked = self._marked.get(key_hash)
        if marked is not None and marked >= hour:
            return
        if len(self._marked) >= MAX_MARKED:
            self._marked.clear()
        self._marked[key_hash] = hour
        condition = f"{PRESENT} AND (attribute_not_exists(last_used_at) OR last_used_at < :hour)"
        self._table.update(_key_key(key_hash), "SET last_used_at = :hour", condition, {":hour": to_ms(hour)})

    def add_key(self, key: ApiKey, key_hash: str) -> None:
        listed = _listed_key(key.account_id, key.key_id) | {
            "name": key.name,
            "created_at": to_ms(key.created_at),
            "key_hash": key_hash,
        }
        opens = _key_key(key_hash) | {"account_id": key.account_id, "key_id": key.key_id, "name": key.name}
        rights = _encode_rights(key.rights)
        self._table.client.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": self._table.name, "Item": to_item(item | rights), "ConditionExpression": ABSENT}}
                for item in (listed, opens)
            ]
        )

    def keys(self, account_id: str) -> list[ApiKey]:
        values = {":account": f"A#{account_id}", ":keys": "KEY#"}
        stored = list(self._table.query("pk = :account AND begins_with(sk, :keys)", values, ConsistentRead=True))
        opens = self._table.read([_key_key(item["key_hash"]) for item in stored])
        used = {item["key_id"]: _decode_used(item) for item in opens}
        found = [_decode_key(account_id, item, used) for item in stored]
        return sorted(found, key=lambda key: (key.created_at, key.key_id))

    def revoke_key(self, account_id: str, key_id: str, now: datetime) -> bool:
        listed = self._table.get(_listed_key(account_id, key_id))
        if listed is None:
            return False
        self._table.client.transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": self._table.name,
                        "Key": to_item(item_key),
                        "UpdateExpression": "SET revoked_at = if_not_exists(revoked_at, :now)",
                        "ConditionExpression": PRESENT,
                        "ExpressionAttributeValues": to_item({":now": to_ms(now)}),
                    }
                }
                for item_key in (_key_key(listed["key_hash"]), _listed_key(account_id, key_id))
            ]
        )
        return True


def _encode_rights(rights: KeyRights) -> dict[str, Any]:
    """The rights that restrict the key."""
    stored: dict[str, Any] = {
        "scopes": None if rights.scopes == ALL_SCOPES else list(rights.scopes),
        "agents": None if rights.agents is None else list(rights.agents),
        "numbers": None if rights.numbers is NumbersShown.FULL else str(rights.numbers),
        "calls_a_day": rights.calls_a_day,
        "lines": rights.lines,
    }
    return {name: value for name, value in stored.items() if value is not None}


def _decode_rights(item: dict[str, Any]) -> KeyRights:
    """The rights of a stored key. A newer version's unknown scopes are left out, so they grant nothing. Numbers are
    masked unless the key was created without that restriction."""
    scopes = item.get("scopes", ALL_SCOPES)
    return KeyRights(
        scopes=tuple(scope for scope in ALL_SCOPES if scope in scopes),
        agents=tuple(item["agents"]) if "agents" in item else None,
        numbers=NumbersShown.MASKED if "numbers" in item else NumbersShown.FULL,
        calls_a_day=item.get("calls_a_day"),
        lines=item.get("lines"),
    )


def _decode_used(item: dict[str, Any]) -> datetime | None:
    return from_ms(item["last_used_at"]) if "last_used_at" in item else None


def _account_key(account_id: str) -> Item:
    return {"pk": f"A#{account_id}", "sk": "ACCOUNT"}


def _listed_key(account_id: str, key_id: str) -> Item:
    return {"pk": f"A#{account_id}", "sk": f"KEY#{key_id}"}


def _key_key(key_hash: str) -> Item:
    return {"pk": f"K#{key_hash}", "sk": "K"}


def _decode(account_id: str, item: dict[str, Any]) -> Account:
    return Account(
        account_id,
        item["name"],
        from_ms(item["created_at"]),
        tuple(item["webhook_secrets"]),
        premium_numbers=item.get("premium_numbers", False),
        defaults=_decode_defaults(item.get("defaults", {})),
        webhook_url=item.get("webhook_url"),
        contact_limits=ContactLimits.parse(item["contact_limits"]) if "contact_limits" in item else None,
    )


_SETTINGS = ("defaults", "contact_limits", "webhook_url")


def _encode_settings(account: Account) -> dict[str, Any]:
    """The values of those `_SETTINGS` that are set."""
    stored = {
        "defaults": _encode_defaults(account.defaults),
        "contact_limits": None if account.contact_limits is None else str(account.contact_limits),
        "webhook_url": account.webhook_url,
    }
    return {name: value for name, value in stored.items() if value}


def _encode_defaults(defaults: Defaults) -> dict[str, Any]:
    stored = {
        "provider": defaults.provider,
        "from_phone_numbers": list(defaults.from_phone_numbers),
        "answer_url": defaults.answer_url,
        "stream_url": defaults.stream_url,
        "policy": defaults.policy,
    }
    return {name: value for name, value in stored.items() if value}


def _decode_defaults(stored: dict[str, Any]) -> Defaults:
    return Defaults(
        stored.get("provider"),
        tuple(stored.get("from_phone_numbers", ())),
        stored.get("answer_url"),
        stored.get("stream_url"),
        stored.get("policy"),
    )


def _decode_key(account_id: str, item: dict[str, Any], used: dict[str, datetime | None]) -> ApiKey:
    key_id = item["sk"].removeprefix("KEY#")
    return ApiKey(
        key_id=key_id,
        account_id=account_id,
        name=item["name"],
        created_at=from_ms(item["created_at"]),
        revoked_at=from_ms(item["revoked_at"]) if "revoked_at" in item else None,
        rights=_decode_rights(item),
        last_used_at=used.get(key_id),
    )
