"""Suppressions, consents and verdicts in DynamoDB: one item each, under the account, sorted by number.

    S#<account> / <digest>#<letter>#<scope>   a rule, with the letter S, C or V
                                              l4 last four digits · ag agent · pu purpose · re reason ·
                                              so source · pf proof · al allowed · ca, ga, xa added, given, expires (ms)
    A#<account> / HASH                        the account's key for digests: `key`, created with its first rule or its
                                              first batch; `un`: it has no rule yet

    listing (index)   `S#<account>#<S or C>`, by the time when the rule was added; without verdicts

One consistent query reads all rules of a number, for one read unit. The key has its own item, so an export of rules
does not allow numbers to be guessed; without that item, no digest can be traced back to a number.
`expires_at` (epoch seconds) lets DynamoDB remove an expired rule; until then, `NumberRule.covers` decides.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import PRESENT, Item, Table
from redial.domain.number_rules import NumberRule, RuleKind, digest_of, scopes_covering
from redial.ports import Position
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_LETTERS = {RuleKind.SUPPRESSION: "S", RuleKind.CONSENT: "C", RuleKind.VERDICT: "V"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_TEXTS = {
    "l4": "last_four",
    "ag": "agent_id",
    "pu": "purpose",
    "re": "reason",
    "so": "source",
    "pf": "proof",
}
_TIMES = {"ca": "added_at", "ga": "given_at", "xa": "expires_at"}
_READ_AT_ONCE = 100


class DynamoNumberRules:
    """Implements `ports.NumberRules`. `new_id`: returns a new UUID; keys are built from two."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        new_id: Callable[[], str],
        sleep: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._table = Table(client, table_name, sleep)
        self._new_id = new_id
        self._keys: dict[str, bytes] = {}
        self._with_rules: set[str] = set()

    def any_kept(self, account_id: str) -> bool:
        if account_id not in self._with_rules:
            self._read_key(account_id)
        return account_id in self._with_rules

    def make_key(self, account_id: str) -> None:
        if self._key(account_id) is None:
            self._table.put_new(self._new_key(account_id) | {"un": True})

    def hasher(self, account_id: str) -> Callable[[str], str] | None:
        key = self._key(account_id)
        return None if key is None else partial(digest_of, key)

    def digests(self, account_id: str, numbers: Sequence[str]) -> list[str]:
        if not self.any_kept(account_id):
            if not self._table.put_new(self._new_key(account_id)):
                self._table.update(_hash_key(account_id), "REMOVE un", PRESENT)
            self._read_key(account_id)
        return [digest_of(self._keys[account_id], number) for number in numbers]

    def _new_key(self, account_id: str) -> Item:
        return _hash_key(account_id) | {"key": self._new_id().replace("-", "") + self._new_id().replace("-", "")}

    def _key(self, account_id: str) -> bytes | None:
        """The account's key, which never changes."""
        if account_id not in self._keys:
            self._read_key(account_id)
        return self._keys.get(account_id)

    def _read_key(self, account_id: str) -> None:
        stored = self._table.get(_hash_key(account_id))
        if stored is None:
            return
        self._keys[account_id] = bytes.fromhex(stored["key"])
        if "un" not in stored:
            self._with_rules.add(account_id)

    def check_agents(self, agent_ids: Iterable[str | None]) -> None:
        """Allow all: `usecases.narrowed` restricts it."""

    def of_number(self, account_id: str, number: str) -> tuple[NumberRule, ...]:
        if not self.any_kept(account_id):
            return ()
        return self.of_digest(account_id, digest_of(self._keys[account_id], number))

    def covering(
        self, account_id: str, agent_id: str, purpose: str | None, at: datetime, first_digit: str
    ) -> dict[RuleKind, set[str]]:
        found: dict[RuleKind, set[str]] = {kind: set() for kind in RuleKind}
        scopes, now = scopes_covering(agent_id, purpose), to_ms(at)
        pages = self._table.pages(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :first)",
            ExpressionAttributeValues={":pk": {"S": f"S#{account_id}"}, ":first": {"S": first_digit}},
            ProjectionExpression="sk, ga, xa",
        )
        for item in (item for page in pages for item in page["Items"]):  # up to a hundred thousand, so not decoded
            digest, letter, scope = item["sk"]["S"].split("#", 2)
            is_over = "xa" in item and now >= int(item["xa"]["N"])
            is_ahead = "ga" in item and now < int(item["ga"]["N"])
            if scope in scopes and not is_over and not is_ahead:
                found[_KINDS[letter]].add(digest)
        return found

    def of_digest(self, account_id: str, digest: str) -> tuple[NumberRule, ...]:
        values = {":pk": f"S#{account_id}", ":digest": f"{digest}#"}
        found = self._table.query("pk = :pk AND begins_with(sk, :digest)", values, ConsistentRead=True)
        return tuple(_decode(item) for item in found if _letter(item) in _KINDS)  # others: of a newer version

    def add(self, account_id: str, rules: Sequence[NumberRule]) -> None:
        keys = [_rule_key(account_id, one) for one in rules]
        stored = {item["sk"]: item for item in self._table.read(keys)}
        items = []
        for one in rules:
            item = _encode(account_id, one)
            known = stored.get(item["sk"], item)
            items.append(item | {"ca": known["ca"], "listing_key": known["listing_key"]})
        self._table.put_all(items)

    def keep_verdict(self, account_id: str, number: str, verdict: NumberRule) -> None:
        key = self._key(account_id)
        if key is not None:
            self._table.put_all([_encode(account_id, replace(verdict, digest=digest_of(key, number)))])

    def remove(self, account_id: str, rule: NumberRule) -> None:
        self._table.delete(_rule_key(account_id, rule))

    def count(self, account_id: str, kind: RuleKind, scope: str | None = None) -> int:
        if scope is not None:
            return sum(1 for _ in self._keys_listed(account_id, kind, scope, None))
        pages = self._table.pages(
            IndexName="listing",
            KeyConditionExpression="listing_shard = :shard",
            ExpressionAttributeValues={":shard": {"S": _shard(account_id, kind)}},
            Select="COUNT",
        )
        return sum(page["Count"] for page in pages)

    def listed(
        self, account_id: str, kind: RuleKind, scope: str | None = None, after: Position | None = None
    ) -> Iterator[tuple[Position, NumberRule]]:
        keys = self._keys_listed(account_id, kind, scope, after)
        while some := list(islice(keys, _READ_AT_ONCE)):
            wanted = [{"pk": one["pk"], "sk": one["sk"]} for one in some]
            found = {item["sk"]: item for item in self._table.read(wanted)}
            for one in some:
                if one["sk"] in found:  # else it was removed in the meantime
                    rule = _decode(found[one["sk"]])
                    yield Position(rule.added_at, rule.digest, _row(rule.scope)), rule

    def _keys_listed(
        self, account_id: str, kind: RuleKind, scope: str | None, after: Position | None
    ) -> Iterator[dict[str, Any]]:
        values = {":shard": _shard(account_id, kind)}
        condition = "listing_shard = :shard"
        if after is not None:
            values[":after"] = f"{to_ms(after.created_at):013d}#{after.id}#{after.row:09d}"
            condition += " AND listing_key < :after"
        parts = set() if scope is None else set(scope.split(","))
        for item in self._table.query(condition, values, IndexName="listing", ScanIndexForward=False):
            if parts <= set(item["sk"].split("#", 2)[2].split(",")):
                yield item


def _hash_key(account_id: str) -> dict[str, Any]:
    return {"pk": f"A#{account_id}", "sk": "HASH"}


def _rule_key(account_id: str, rule: NumberRule) -> dict[str, Any]:
    return {"pk": f"S#{account_id}", "sk": f"{rule.digest}#{_LETTERS[rule.kind]}#{rule.scope}"}


def _shard(account_id: str, kind: RuleKind) -> str:
    return f"S#{account_id}#{_LETTERS[kind]}"


def _row(scope: str) -> int:
    return zlib.crc32(scope.encode()) % 10**9


def _encode(account_id: str, rule: NumberRule) -> dict[str, Any]:
    item = _rule_key(account_id, rule)
    if rule.kind is not RuleKind.VERDICT:
        item["listing_shard"] = _shard(account_id, rule.kind)
        item["listing_key"] = f"{to_ms(rule.added_at):013d}#{rule.digest}#{_row(rule.scope):09d}"
    if rule.allowed is not None:
        item["al"] = rule.allowed
    item |= {short: value for short, name in _TEXTS.items() if (value := getattr(rule, name)) is not None}
    item |= {short: to_ms(value) for short, name in _TIMES.items() if (value := getattr(rule, name)) is not None}
    if rule.expires_at is not None:
        item["expires_at"] = -(-to_ms(rule.expires_at) // 1000)
    return item


def _decode(item: dict[str, Any]) -> NumberRule:
    digest = item["sk"].partition("#")[0]
    values: dict[str, Any] = {name: item[short] for short, name in _TEXTS.items() if short in item}
    values |= {name: from_ms(item[short]) for short, name in _TIMES.items() if short in item}
    return NumberRule(kind=_KINDS[_letter(item)], digest=digest, allowed=item.get("al"), **values)


def _letter(item: dict[str, Any]) -> str:
    return str(item["sk"].split("#", 2)[1])
