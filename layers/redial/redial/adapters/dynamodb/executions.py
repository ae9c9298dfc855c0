"""Executions in DynamoDB: one item each, with optimistic locking.

`due` (sparse index): items that the sweeper must check by a time. `listing`: an agent's executions by creation time,
open and finished ones separately. Both project keys only and change rarely; items are read from the table.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.items import to_item
from redial.adapters.dynamodb.table import ABSENT, Table, until_done
from redial.domain.batch import Batch, contact_id
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.status import FINAL, Status
from redial.ports import Due, Page, StaleVersion
from redial.wire.stored_execution import (
    DONE,
    DUE_SHARDS,
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

FILTER_LIMIT = 10_000
"""Maximum executions that a listing filtered by status reads; above it the caller must narrow the dates."""
_STATEMENTS = 25  # limit of BatchExecuteStatement
_LATEST_MS = 9_999_999_999_999
"""The last instant (in 2286) whose milliseconds fit the 13 digits of a listing key."""
_TRY_AGAIN = (
    *("ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError", "InternalServerError"),
    "TransactionConflict",
)
"""Errors of a statement that was not executed and may be repeated."""


@dataclass(frozen=True)
class _Block:
    """A part of a listing: one execution, by id, or all stored contacts of a batch."""

    created_at: datetime
    of: str | Batch

    @property
    def size(self) -> int:
        return 1 if isinstance(self.of, str) else self.of.stored_to

    def newest_first(self) -> tuple[int, str]:
        return -to_ms(self.created_at), self.of if isinstance(self.of, str) else self.of.id

    def ids(self, start: int, size: int) -> Iterator[str]:
        if isinstance(self.of, str):
            yield self.of
        else:
            for row in range(start + 1, min(start + size, self.size) + 1):
                yield contact_id(self.of.id, row)


def _ids(blocks: Sequence[_Block], start: int, size: int) -> list[str]:
    """The ids of at most `size` executions, from index `start` (0 is the first)."""
    found: list[str] = []
    for block in blocks:
        if start >= block.size:
            start -= block.size
            continue
        found += block.ids(start, size - len(found))
        start = 0
        if len(found) >= size:
            break
    return found[:size]


class DynamoExecutions:
    """Implements `ports.Executions` and `ports.DueItems`."""

    def __init__(
        self, client: "DynamoDBClient", table_name: str, sleep: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._table = Table(client, table_name, sleep)

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution | None:
        item = self._table.get(key(execution_id), consistent=consistent)
        return None if item is None else decode(item)

    def create(self, execution: Execution) -> bool:
        """User data that is kept apart is written in one transaction with the execution: neither is there alone."""
        item = encode(replace(execution, version=1))
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
        self._table.put_version(encode(saved), execution.version)
        return saved

    def create_contacts(self, executions: Sequence[Execution]) -> None:
        """One request stores 25 contacts and leaves existing ones alone: PartiQL's INSERT never overwrites."""
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

    # ---- the due index ------------------------------------------------------------------------------------------

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        values = {":shard": f"{shard % DUE_SHARDS:02d}", ":now": to_ms(now)}
        yield from map(_due, self._query("due", "due_shard = :shard AND due_at <= :now", values))

    def queue_checks(self, now: datetime) -> Iterator[Due]:
        for shard in range(QUEUE_CHECK_SHARDS):
            values = {":shard": f"q{shard}", ":now": to_ms(now)}
            yield from map(_due, self._query("due", "due_shard = :shard AND due_at <= :now", values))

    def watched(self) -> Iterator[Due]:
        yield from map(_due, self._query("due", "due_shard = :shard", {":shard": WATCHED}))

    # ---- listings -----------------------------------------------------------------------------------------------

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        for shard in range(LISTING_SHARDS):
            for item in self._listing(agent_id, shard, OPEN, None, None):
                yield item["pk"].removeprefix("X#")

    def page_of_agent(
        self,
        agent_id: str,
        *,
        batches: Sequence[Batch],
        page_number: int,
        page_size: int,
        status: Status | None = None,
        batch_id: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
    ) -> Page:
        """One page, newest first; a batch's contacts count as old as the batch, in the order of its file.

        `batches`: all of the agent's. Without `status`, keys find the page, and only the page's items are read.
        Raises `InvalidInput` if a filter by status would read more than `FILTER_LIMIT` executions.
        """
        blocks = [_Block(batch.created_at, batch) for batch in batches if batch_id in (None, batch.id)]
        if batch_id is None:
            kinds = (OPEN, DONE) if status is None else (DONE,) if status in FINAL else (OPEN,)
            found = heapq.merge(
                *(
                    map(_newest_first, self._listing(agent_id, shard, kind, created_from, created_to))
                    for kind in kinds
                    for shard in range(LISTING_SHARDS)
                )
            )
            keys = dict.fromkeys(found)  # an execution that ends during the query may appear as open and as done
            blocks += [_Block(from_ms(-minus_created), execution_id) for minus_created, execution_id in keys]
        low, high = created_from or datetime.min.replace(tzinfo=UTC), created_to or datetime.max.replace(tzinfo=UTC)
        blocks = sorted((one for one in blocks if low <= one.created_at <= high), key=_Block.newest_first)
        total = sum(one.size for one in blocks)
        start = (page_number - 1) * page_size
        if status is None:
            listed = self.with_user_data(self.read(_ids(blocks, start, page_size)))
            return Page(listed, total, total > start + page_size)
        if total > FILTER_LIMIT:
            message = f"more than {FILTER_LIMIT} executions to look through; narrow from and to"
            message += ", or read the batch's results.csv" if batch_id is not None else ""
            raise InvalidInput.of("from" if batch_id is None else "status", message)
        matching = [one for one in self.read(_ids(blocks, 0, total)) if one.state.status is status]
        listed = self.with_user_data(matching[start : start + page_size])
        return Page(listed, len(matching), len(matching) > start + page_size)

    def _listing(
        self, agent_id: str, shard: int, kind: str, created_from: datetime | None, created_to: datetime | None
    ) -> Iterator[dict[str, Any]]:
        """Empty if `created_from` is later than `created_to`: DynamoDB rejects such bounds."""
        low = min(max(to_ms(created_from), 0), _LATEST_MS) if created_from else 0
        high = min(max(to_ms(created_to), 0), _LATEST_MS) if created_to else _LATEST_MS
        if low > high:
            return iter(())
        return self._query(
            "listing",
            "listing_shard = :shard AND listing_key BETWEEN :low AND :high",
            {
                ":shard": listing_shard(agent_id, shard),
                ":low": f"{kind}#{low:013d}#",
                ":high": f"{kind}#{high:013d}#~",
            },
            newest_first=True,
        )

    def _query(
        self, index: str, condition: str, values: dict[str, Any], newest_first: bool = False
    ) -> Iterator[dict[str, Any]]:
        return self._table.query(condition, values, IndexName=index, ScanIndexForward=not newest_first)


def _due(item: dict[str, Any]) -> Due:
    due_at = from_ms(item["due_at"])
    kind, _, rest = item["pk"].partition("#")
    match kind:
        case "X":
            return Due(due_at, execution_id=rest)
        case "B":
            return Due(due_at, batch_id=rest)
    agent_id, _, shard = rest.rpartition("#")
    return Due(due_at, agent_id=agent_id, shard=int(shard))


def _insert(table_name: str, execution: Execution) -> "BatchStatementRequestTypeDef":
    item = to_item(encode(replace(execution, version=1)))
    names = ", ".join(f"'{name}': ?" for name in item)
    return {"Statement": f'INSERT INTO "{table_name}" VALUE {{{names}}}', "Parameters": list(item.values())}


def _newest_first(item: dict[str, Any]) -> tuple[int, str]:
    _, created, execution_id = item["listing_key"].split("#")
    return (-int(created), execution_id)
