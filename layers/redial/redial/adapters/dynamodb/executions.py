"""Executions in the table: one item each, written whole, and only over the version that was read.

`due` (sparse index): everything that somebody must look at by a time. `listing`: an agent's executions by creation
time, open ones and finished ones apart. Both indexes hold keys alone and change rarely; items are read from the table.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.status import FINAL, Status
from redial.ports import Due, StaleVersion
from redial.wire.stored_execution import (
    DONE,
    DUE_SHARDS,
    LISTING_SHARDS,
    OPEN,
    decode,
    encode,
    key,
    listing_shard,
)
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

FILTER_LIMIT = 10_000
"""Most executions that one listing with a status or batch filter reads; a wider one is asked to narrow its dates."""
_BATCH_GET = 100  # BatchGetItem takes no more keys


def lost_condition(error: ClientError) -> bool:
    """Whether a conditional write failed on its condition, and not for any other reason."""
    return error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


@dataclass(frozen=True)
class Page:
    """One page of a listing, newest first; `total` counts all pages."""

    executions: list[Execution]
    total: int
    has_more: bool


class DynamoExecutions:
    """Implements `ports.Executions` and `ports.DueItems`, and the listing for the API."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def get(self, execution_id: str) -> Execution | None:
        answer = self._client.get_item(TableName=self._table, Key=to_item(key(execution_id)), ConsistentRead=True)
        return decode(from_item(answer["Item"])) if "Item" in answer else None

    def create(self, execution: Execution) -> bool:
        try:
            self._put(replace(execution, version=1), "attribute_not_exists(pk)", {})
        except StaleVersion:
            return False
        return True

    def save(self, execution: Execution) -> Execution:
        saved = replace(execution, version=execution.version + 1)
        self._put(saved, "v = :read", {":read": {"N": str(execution.version)}})
        return saved

    def _put(self, execution: Execution, condition: str, values: dict[str, Any]) -> None:
        """Write it on the condition, or raise `StaleVersion`.

        botocore sends a request again whose answer was lost; then our own write is what the condition meets. So an item
        that is just what we wanted to store is a success: no two writers write alike where it matters (a claim holds
        its token).
        """
        extra = {"ExpressionAttributeValues": values} if values else {}
        item = to_item(encode(execution))
        try:
            self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **extra,  # type: ignore[arg-type]  # the stubs want the argument left out or typed, not a dict of it
            )
        except ClientError as error:
            if not lost_condition(error):
                raise
            if error.response.get("Item") != item:
                raise StaleVersion(execution.id) from error

    # ---- the due index ------------------------------------------------------------------------------------------

    def overdue(self, shard: int, now: datetime) -> Iterator[Due]:
        for item in self._query(
            "due",
            "due_shard = :shard AND due_at <= :now",
            {":shard": f"{shard % DUE_SHARDS:02d}", ":now": to_ms(now)},
        ):
            due_at = from_ms(item["due_at"])
            kind, _, rest = item["pk"].partition("#")
            if kind == "X":
                yield Due(due_at, execution_id=rest)
            else:
                agent_id, _, line_shard = rest.rpartition("#")
                yield Due(due_at, agent_id=agent_id, shard=int(line_shard))

    # ---- listings -----------------------------------------------------------------------------------------------

    def open_of_agent(self, agent_id: str) -> Iterator[str]:
        for shard in range(LISTING_SHARDS):
            for item in self._listing(agent_id, shard, OPEN, None, None):
                yield item["pk"].removeprefix("X#")

    def page_of_agent(
        self,
        agent_id: str,
        *,
        page_number: int,
        page_size: int,
        status: Status | None = None,
        batch_id: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
    ) -> Page:
        """One page, newest first. Without `status` and `batch_id` only keys are read to find it, and the page's items.

        Raises `InvalidInput` when a filter would have to read more than `FILTER_LIMIT` executions.
        """
        kinds = (OPEN, DONE) if status is None else (DONE,) if status in FINAL else (OPEN,)
        keys = heapq.merge(
            *(
                map(_newest_first, self._listing(agent_id, shard, kind, created_from, created_to))
                for kind in kinds
                for shard in range(LISTING_SHARDS)
            )
        )
        start = (page_number - 1) * page_size
        if status is None and batch_id is None:
            ids = [execution_id for _, execution_id in keys]
            total = len(ids)
            executions = self._read(ids[start : start + page_size])
        else:
            candidates = [execution_id for _, execution_id in islice(keys, FILTER_LIMIT + 1)]
            if len(candidates) > FILTER_LIMIT:
                message = f"more than {FILTER_LIMIT} executions to look through; narrow from and to"
                raise InvalidInput.of("from", message)
            matching = [
                execution
                for execution in self._read(candidates)
                if (status is None or execution.state.status is status)
                and (batch_id is None or execution.batch_id == batch_id)
            ]
            total = len(matching)
            executions = matching[start : start + page_size]
        return Page(executions, total, total > start + page_size)

    def _listing(
        self, agent_id: str, shard: int, kind: str, created_from: datetime | None, created_to: datetime | None
    ) -> Iterator[dict[str, Any]]:
        low = to_ms(created_from) if created_from else 0
        high = to_ms(created_to) if created_to else 9_999_999_999_999
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
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=to_item(values),
            ScanIndexForward=not newest_first,
        )
        for page in pages:
            yield from map(from_item, page["Items"])

    def _read(self, ids: Sequence[str]) -> list[Execution]:
        """The executions in the order of `ids`; one deleted since is left out."""
        found: dict[str, Execution] = {}
        for start in range(0, len(ids), _BATCH_GET):
            wanted: list[dict[str, Any]] = [to_item(key(one)) for one in ids[start : start + _BATCH_GET]]
            while wanted:
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}}
                )
                for item in answer["Responses"].get(self._table, []):
                    execution = decode(from_item(item))
                    found[execution.id] = execution
                unprocessed = answer["UnprocessedKeys"].get(self._table)
                wanted = list(unprocessed["Keys"]) if unprocessed else []
        return [found[one] for one in ids if one in found]


def _newest_first(item: dict[str, Any]) -> tuple[int, str]:
    _, created, execution_id = item["listing_key"].split("#")
    return (-int(created), execution_id)
