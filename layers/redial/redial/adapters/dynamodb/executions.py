"""Executions in DynamoDB: one item each, with optimistic locking, packed once it outgrows 1 KB.

The write that ends a single call also sets the table's TTL attribute `expires_at`, so removing it after `keep` costs no
request. Contacts have no TTL, because they are removed with their batch. DynamoDB removes an expired item up to some
days late; until then, it is read like any other. Tally then removes its user data if that is a separate item.

`due` (sparse index): items that the sweeper must check by a time. `listing`: an agent's executions by creation time,
open and finished ones separately; `listings.py` reads it. Both indexes project only keys and change rarely; items are
read from the table.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.items import to_item, to_value
from redial.adapters.dynamodb.table import ABSENT, Table, until_done
from redial.domain.execution import Execution
from redial.ports import Due, StaleVersion
from redial.wire.packed_execution import MAY_PACK, packed
from redial.wire.stored_execution import (
    DUE_SHARDS,
    EXPIRES_AT,
    LISTING_SHARDS,
    OPEN,
    QUEUE_CHECK_SHARDS,
    WATCHED,
    decode,
    decode_user_data,
    encode,
    encode_user_data,
    key,
    listing_shard,
    user_data_key,
)
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

_STATEMENTS = 25  # limit of BatchExecuteStatement
_OWN = frozenset({"pk", "to", "nu", "sq", "ud"})
"""Attributes in which the contacts of a batch differ."""
_OVERDUE = "due_shard = :shard AND due_at <= :now"
_TRY_AGAIN = (
    *("ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError", "InternalServerError"),
    "TransactionConflict",
)
"""Error codes of a statement that was not executed and may be repeated."""


class DynamoExecutions:
    """Implements `ports.Executions` and `ports.DueItems`."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table_name: str,
        sleep: Callable[[float], None] = lambda seconds: None,
        keep: timedelta | None = None,
    ) -> None:
        """`keep`: how long a finished call is kept; None: forever."""
        self._table = Table(client, table_name, sleep)
        self._keep = keep

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution | None:
        item = self._table.get(key(execution_id), consistent=consistent)
        return None if item is None or "er" in item else decode(item)

    def create(self, execution: Execution) -> bool:
        """See the port. User data that is kept apart is written in the same transaction as the execution."""
        item = self._item(replace(execution, version=1)) | {MAY_PACK: True}
        if not execution.user_data_apart:
            return self._table.put_new(item)
        put_data = {"Put": {"TableName": self._table.name, "Item": to_item(encode_user_data(execution))}}
        put = {"Put": {"TableName": self._table.name, "Item": to_item(item), "ConditionExpression": ABSENT}}
        return self._table.transact([put, put_data])

    def with_user_data(self, executions: Sequence[Execution]) -> list[Execution]:
        apart = [one.id for one in executions if one.user_data is None]
        if not apart:
            return list(executions)
        found = dict(map(decode_user_data, self._table.read([user_data_key(one) for one in apart])))
        filled = (replace(one, user_data=found.get(one.id)) if one.user_data is None else one for one in executions)
        return [one for one in filled if one.user_data is not None]

    def save(self, execution: Execution) -> Execution:
        saved = replace(execution, version=execution.version + 1)
        self._table.put_version(packed(self._item(saved)), execution.version)
        return saved

    def _item(self, execution: Execution) -> dict[str, Any]:
        item, ended_at = encode(execution), execution.ended_at
        if self._keep is not None and ended_at is not None and execution.batch_id is None:
            item[EXPIRES_AT] = to_ms(ended_at + self._keep) // 1000
        return item

    def create_contacts(self, executions: Sequence[Execution]) -> None:
        """See the port. One request stores 25 contacts. PartiQL's INSERT never overwrites existing ones."""
        for start in range(0, len(executions), _STATEMENTS):
            statements = [_insert(self._table.name, one) for one in executions[start : start + _STATEMENTS]]
            until_done(statements, self._insert, self._table.sleep)

    def _insert(self, statements: "list[BatchStatementRequestTypeDef]") -> "list[BatchStatementRequestTypeDef]":
        """Run the statements and return those to repeat. Raises RuntimeError for any other error."""
        answer = self._table.client.batch_execute_statement(Statements=statements)
        errors = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
        for code in errors:
            if code not in (None, "DuplicateItem", *_TRY_AGAIN):
                raise RuntimeError(f"DynamoDB rejected a contact: {code}")
        return [one for one, code in zip(statements, errors, strict=True) if code in _TRY_AGAIN]

    def read(self, ids: Sequence[str]) -> list[Execution]:
        read = self._table.read([key(one) for one in ids])
        found = {execution.id: execution for execution in map(decode, read)}
        return [found[one] for one in ids if one in found]

    def remove(self, execution: Execution) -> None:
        if not execution.user_data_apart:
            return self._table.delete_version(key(execution.id), execution.version)
        data = {"Delete": {"TableName": self._table.name, "Key": to_item(user_data_key(execution.id))}}
        removed = {
            "Delete": {
                "TableName": self._table.name,
                "Key": to_item(key(execution.id)),
                "ConditionExpression": f"{ABSENT} OR v = :read",
                "ExpressionAttributeValues": to_item({":read": execution.version}),
            }
        }
        if not self._table.transact([removed, data]):
            raise StaleVersion(execution.id)

    def remove_user_data(self, execution_id: str) -> None:
        self._table.delete(user_data_key(execution_id))

    # ---- the due index ------------------------------------------------------------------------------------------

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        yield from map(_due, self._query("due", _OVERDUE, _until(shard, now)))

    def first_due(self, shard: int, until: datetime, most: int) -> list[Due]:
        return list(map(_due, islice(self._query("due", _OVERDUE, _until(shard, until), Limit=most), most)))

    def queue_checks(self, now: datetime) -> Iterator[Due]:
        for shard in range(QUEUE_CHECK_SHARDS):
            values = {":shard": f"q{shard}", ":now": to_ms(now)}
            yield from map(_due, self._query("due", _OVERDUE, values))

    def watched(self) -> Iterator[Due]:
        yield from map(_due, self._query("due", "due_shard = :shard", {":shard": WATCHED}))

    # ---- open calls ---------------------------------------------------------------------------------------------

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        for shard in range(LISTING_SHARDS):
            values = {":shard": listing_shard(agent_id, shard), ":open": f"{OPEN}#"}
            for item in self._query("listing", "listing_shard = :shard AND begins_with(listing_key, :open)", values):
                yield item["pk"].removeprefix("X#")

    def _query(self, index: str, condition: str, values: dict[str, Any], **options: Any) -> Iterator[dict[str, Any]]:
        return self._table.query(condition, values, IndexName=index, **options)


def _until(shard: int, instant: datetime) -> dict[str, Any]:
    return {":shard": f"{shard % DUE_SHARDS:02d}", ":now": to_ms(instant)}


def _due(item: dict[str, Any]) -> Due:
    due_at = from_ms(item["due_at"])
    kind, _, rest = item["pk"].partition("#")
    match kind:
        case "X":
            return Due(due_at, execution_id=rest)
        case "B":
            return Due(due_at, batch_id=rest)
        case "E":
            return Due(due_at, event_id=rest)
    agent_id, _, shard = rest.rpartition("#")
    return Due(due_at, agent_id=agent_id, shard=int(shard))


def _insert(table_name: str, execution: Execution) -> "BatchStatementRequestTypeDef":
    item = {**encode(execution), "v": 1, MAY_PACK: True}
    own = [name for name, value in item.items() if name in _OWN or not isinstance(value, str | int)]
    shared = tuple((name, value) for name, value in item.items() if name not in own)
    return {
        "Statement": _statement(table_name, shared, tuple(own)),
        "Parameters": [to_value(item[name]) for name in own],
    }


@lru_cache(maxsize=64)
def _statement(table_name: str, shared: tuple[tuple[str, str | int], ...], own: tuple[str, ...]) -> str:
    """The statement for a batch's contacts, with their shared values in its text: encoding parameters takes most of the
    time of storing a contact."""
    values = [f"'{name}': {_literal(value)}" for name, value in shared] + [f"'{name}': ?" for name in own]
    return f'INSERT INTO "{table_name}" VALUE {{{", ".join(values)}}}'


def _literal(value: str | int) -> str:
    """A text or a whole number in PartiQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()  # also true and false
