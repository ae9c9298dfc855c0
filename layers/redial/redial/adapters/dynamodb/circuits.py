"""Circuits in DynamoDB: one item per account and carrier, with optimistic locking.

    H#<account> / <provider>

    v version · f consecutive failures · fs, fa first and last of them (ms) · re reason · oa opened at (ms)
    pb failed probes · nt next try (ms) · ra resumed at (ms) · rn admitted since

No item: the carrier has never failed.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import ABSENT, Table
from redial.adapters.dynamodb.ttl_cache import TtlCache
from redial.domain.circuit import HEALTHY_TTL, Circuit
from redial.ports import StaleVersion
from redial.wire.newer import with_newer
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

_COUNTS = {"f": "failures", "pb": "probes", "rn": "resumed"}
_TIMES = {"fs": "failing_since", "fa": "failed_at", "oa": "opened_at", "nt": "next_try_at", "ra": "resumed_at"}


class DynamoCircuits:
    """Implements `ports.Circuits`."""

    def __init__(self, client: "DynamoDBClient", table_name: str, now: Callable[[], datetime] | None = None) -> None:
        self._table = Table(client, table_name)
        self._healthy: TtlCache[Circuit] = TtlCache(now, HEALTHY_TTL)

    def get(self, account_id: str, provider: str) -> Circuit:
        return self._read(account_id, provider)

    def cached(self, account_id: str, provider: str) -> Circuit:
        known = self._healthy.get(account_id, provider)
        return known or self._remember(self._read(account_id, provider, consistent=False))

    def save(self, circuit: Circuit) -> Circuit:
        """A write that the client repeats because its answer was lost raises `StaleVersion`: two dials may write equal
        items, and only one of them may win. The cost: a failure is counted twice, or a probe waits a minute longer."""
        saved = replace(circuit, version=circuit.version + 1)
        item = _encode(saved)
        read = circuit.version
        condition, values = (ABSENT, None) if read == 0 else ("v = :read", {":read": read})
        stored = self._table.put(item, condition, values).done
        if not stored:
            raise StaleVersion(circuit.account_id)
        return self._remember(saved)

    def _read(self, account_id: str, provider: str, *, consistent: bool = True) -> Circuit:
        item = self._table.get(_key(account_id, provider), consistent=consistent)
        return Circuit(account_id, provider) if item is None else _decode(item)

    def _remember(self, circuit: Circuit) -> Circuit:
        """Cache healthy circuits only: of any other, every process must see the newest state."""
        if not circuit.is_healthy:
            self._healthy.forget(circuit.account_id, circuit.provider)
            return circuit
        return self._healthy.keep(circuit, circuit.account_id, circuit.provider)


def _key(account_id: str, provider: str) -> dict[str, Any]:
    return {"pk": f"H#{account_id}", "sk": provider}


def _encode(circuit: Circuit) -> dict[str, Any]:
    item = _key(circuit.account_id, circuit.provider) | {"v": circuit.version}
    for short, name in _COUNTS.items():
        if getattr(circuit, name):
            item[short] = getattr(circuit, name)
    for short, name in _TIMES.items():
        if getattr(circuit, name) is not None:
            item[short] = to_ms(getattr(circuit, name))
    if circuit.reason is not None:
        item["re"] = circuit.reason
    return with_newer(item, circuit.newer)


def _decode(item: dict[str, Any]) -> Circuit:
    stored = dict(item)
    counts: dict[str, int] = {name: stored.pop(short, 0) for short, name in _COUNTS.items()}
    times: dict[str, datetime] = {name: from_ms(stored.pop(short)) for short, name in _TIMES.items() if short in stored}
    build: Callable[..., Circuit] = Circuit
    return build(
        account_id=stored.pop("pk").removeprefix("H#"),
        provider=stored.pop("sk"),
        version=stored.pop("v"),
        reason=stored.pop("re", None),
        **counts,
        **times,
        newer=stored or None,
    )
