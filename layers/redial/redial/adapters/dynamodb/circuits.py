"""Circuits in DynamoDB: one item per account and carrier, caller id or country, with optimistic locking.

    H#<account> / <provider>
    H#<account> / <provider>#caller_id#<number>
    H#<account> / <provider>#country#<country>

    v version · f consecutive failures · fs, fa first and last of them (ms) · re reason · co the carrier's code
    rf marks of the refused numbers · oa opened at (ms) · pb failed probes · nt next try (ms) · ra resumed at (ms)
    rn admitted since

Without an item, the carrier has never failed. Once a caller id or a country works again, its item is removed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.items import to_item
from redial.adapters.dynamodb.table import ABSENT, Table
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.account_event import AccountEvent
from redial.domain.circuit import HEALTHY_TTL, Circuit
from redial.domain.outcome import Scope
from redial.ports import StaleVersion
from redial.wire.newer import with_newer
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_COUNTS = {"f": "failures", "pb": "probes", "rn": "resumed"}
_TEXTS = {"re": "reason", "co": "code"}
_TIMES = {"fs": "failing_since", "fa": "failed_at", "oa": "opened_at", "nt": "next_try_at", "ra": "resumed_at"}


class DynamoCircuits:
    """Implements `ports.Circuits`."""

    def __init__(self, client: "DynamoDBClient", table_name: str, now: Callable[[], datetime] | None = None) -> None:
        self._table = Table(client, table_name)
        self._healthy: TtlCache[Mapping[str, Circuit]] = TtlCache(now, HEALTHY_TTL)

    def get(self, account_id: str, provider: str) -> Circuit:
        return self.fresh(Circuit(account_id, provider))

    def fresh(self, circuit: Circuit) -> Circuit:
        item = self._table.get(_key(circuit))
        if item is not None:
            return _decode(item)
        return Circuit(circuit.account_id, circuit.provider, scope=circuit.scope, value=circuit.value)

    def cached(self, account_id: str, provider: str) -> Mapping[str, Circuit]:
        known = self._healthy.get(account_id, provider)
        if known is not None:
            return known
        values = {":pk": f"H#{account_id}", ":low": provider, ":high": f"{provider}$"}  # `$` comes after `#`
        items = self._table.query("pk = :pk AND sk BETWEEN :low AND :high", values)
        known = {circuit.key: circuit for circuit in map(_decode, items)}
        if (
            provider in known and not known[provider].is_healthy
        ):  # during an outage, every process must see the newest state
            return known
        return self._healthy.keep(known, account_id, provider)

    def all(self, account_id: str) -> list[Circuit]:
        return [
            _decode(item) for item in self._table.query("pk = :pk", {":pk": f"H#{account_id}"}, ConsistentRead=True)
        ]

    def save(self, circuit: Circuit, event: AccountEvent | None = None) -> Circuit:
        """See the port. A write that the client repeats because its response was lost raises `StaleVersion`: two dials
        may write equal items, and only one may win. The cost: a failure is counted twice, or a probe waits a minute
        longer."""
        self._healthy.forget(circuit.account_id, circuit.provider)
        read = circuit.version
        if not circuit.is_of_account and circuit.is_healthy:
            self._table.delete_version(_key(circuit), read)
            return replace(circuit, version=0)
        saved = replace(circuit, version=read + 1)
        condition, values = (ABSENT, None) if read == 0 else ("v = :read", {":read": read})
        if event is None:
            done = self._table.put(_encode(saved), condition, values).done
        else:
            done = self._put_with_event(_encode(saved), condition, values, event)
        if not done:
            raise StaleVersion(circuit.account_id)
        return saved

    def _put_with_event(
        self, item: dict[str, Any], condition: str, values: dict[str, Any] | None, event: AccountEvent
    ) -> bool:
        from redial.wire.stored_account_event import encode  # a circuit rarely opens

        put: dict[str, Any] = {"TableName": self._table.name, "Item": to_item(item), "ConditionExpression": condition}
        if values:
            put["ExpressionAttributeValues"] = to_item(values)
        new = {"TableName": self._table.name, "Item": to_item(encode(replace(event, version=1)))}
        return self._table.transact([{"Put": put}, {"Put": new}])


def _key(circuit: Circuit) -> dict[str, Any]:
    return {"pk": f"H#{circuit.account_id}", "sk": circuit.key}


def _encode(circuit: Circuit) -> dict[str, Any]:
    item = _key(circuit) | {"v": circuit.version}
    for short, name in _COUNTS.items():
        if getattr(circuit, name):
            item[short] = getattr(circuit, name)
    for short, name in _TIMES.items():
        if getattr(circuit, name) is not None:
            item[short] = to_ms(getattr(circuit, name))
    for short, name in _TEXTS.items():
        if getattr(circuit, name) is not None:
            item[short] = getattr(circuit, name)
    if circuit.refused:
        item["rf"] = list(circuit.refused)
    return with_newer(item, circuit.newer)


def _decode(item: dict[str, Any]) -> Circuit:
    stored = dict(item)
    counts: dict[str, int] = {name: stored.pop(short, 0) for short, name in _COUNTS.items()}
    times: dict[str, datetime] = {name: from_ms(stored.pop(short)) for short, name in _TIMES.items() if short in stored}
    texts: dict[str, str] = {name: stored.pop(short) for short, name in _TEXTS.items() if short in stored}
    provider, _, rest = stored.pop("sk").partition("#")
    scope, _, value = rest.partition("#")
    build: Callable[..., Circuit] = Circuit
    return build(
        account_id=stored.pop("pk").removeprefix("H#"),
        provider=provider,
        version=stored.pop("v"),
        scope=Scope(scope) if scope else Scope.ACCOUNT,
        value=value,
        refused=tuple(stored.pop("rf", ())),
        **texts,
        **counts,
        **times,
        newer=stored or None,
    )
