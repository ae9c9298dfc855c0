"""Called numbers in DynamoDB: one item for each account and number, less than 1 KB.

    T#<account>#<digest> / N   v version · id, n, w holder's execution, attempt, version · ta when it reserved (ms)
                               at attempts: JSON of their times (ms), each but the first relative to the previous one
                               tk when the last conversation ended (ms)
    T#<account> / KEY          the account's key for digests: `key`, created when its first number is stored

`expires_at` (epoch seconds) lets DynamoDB remove an item that no limit can need anymore. The key differs from that of
suppressions and consents, so that the two cannot be joined without both keys.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import Item, Table
from redial.domain.called_number import CalledNumber, Reservation
from redial.domain.contact_limits import LONGEST_SPAN, ContactHistory
from redial.domain.number_rules import digest_of
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KEEP = LONGEST_SPAN + timedelta(days=2)
"""How long an item is kept after it was last stored: its call may last 25 hours, and then a pause begins."""


class DynamoNumbers:
    """Implements `ports.Numbers`. `new_id`: returns a new UUID; keys are built from two."""

    def __init__(self, client: "DynamoDBClient", table_name: str, new_id: Callable[[], str]) -> None:
        self._table = Table(client, table_name)
        self._new_id = new_id
        self._keys: dict[str, bytes] = {}

    def get(self, account_id: str, number: str, *, consistent: bool = True) -> CalledNumber:
        key = self._key(account_id)
        item = None if key is None else self._table.get(_item_key(account_id, key, number), consistent=consistent)
        return CalledNumber() if item is None else _decode(item)

    def save(self, account_id: str, number: str, called: CalledNumber, now: datetime) -> None:
        key = self._key(account_id) or self._new_key(account_id)
        item = _item_key(account_id, key, number) | _encode(called)
        item |= {"v": called.version + 1, "expires_at": to_ms(now + KEEP) // 1000}
        self._table.put_version(item, called.version)

    def _key(self, account_id: str) -> bytes | None:
        """The account's key, which never changes; None if it has called no number yet."""
        if account_id not in self._keys:
            key = _key_key(account_id)
            stored = self._table.get(key, consistent=False) or self._table.get(key)
            if stored is None:
                return None
            self._keys[account_id] = bytes.fromhex(stored["key"])
        return self._keys[account_id]

    def _new_key(self, account_id: str) -> bytes:
        """Create the account's key, unless another process has just created it, and return it."""
        self._table.put_new(_key_key(account_id) | {"key": f"{self._new_id()}{self._new_id()}".replace("-", "")})
        key = self._key(account_id)
        assert key is not None, "it was just stored"
        return key


def _key_key(account_id: str) -> Item:
    return {"pk": f"T#{account_id}", "sk": "KEY"}


def _item_key(account_id: str, key: bytes, number: str) -> Item:
    return {"pk": f"T#{account_id}#{digest_of(key, number)}", "sk": "N"}


def _encode(called: CalledNumber) -> Item:
    item: dict[str, Any] = {}
    holder, history = called.holder, called.history
    if holder is not None:
        item |= {"id": holder.execution_id, "n": holder.attempt, "w": holder.version, "ta": to_ms(holder.at)}
    if history.attempts:
        times = [to_ms(at) for at in history.attempts]
        steps = [later - earlier for earlier, later in pairwise(times)]
        item["at"] = json.dumps([times[0], *steps], separators=(",", ":"))
    if history.talked_at is not None:
        item["tk"] = to_ms(history.talked_at)
    return item


def _decode(item: Item) -> CalledNumber:
    times = accumulate(json.loads(item.get("at", "[]")))
    history = ContactHistory(tuple(map(from_ms, times)), from_ms(item["tk"]) if "tk" in item else None)
    holder = Reservation(item["id"], item["n"], item["w"], from_ms(item["ta"])) if "id" in item else None
    return CalledNumber(history, holder, item["v"])
