"""Agents' lines in DynamoDB.

    L#<agent>#<shard> / LINES    holders of lines: execution id → {a attempt, t since (ms)} · ac account · due_at (ms)

    L#key:<key id>:<lines>#0 / LINES    the same for an API key with a quota of lines

A line shard is one item. It is in the due index, so that the sweeper checks long-held lines.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from redial.adapters.dynamodb.table import PRESENT, Item, Table
from redial.domain.queue import LINES_CHECK, QueuedCall
from redial.wire.stored_execution import WATCHED
from redial.wire.timestamps import from_ms, to_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


class DynamoLines:
    """Implements `ports.Lines`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._table = Table(client, table_name)

    def acquire(
        self, account_id: str, agent_id: str, shard: int, capacity: int, execution_id: str, attempt: int, now: datetime
    ) -> bool:
        holder = {"a": attempt, "t": to_ms(now)}
        check_at = to_ms(now + LINES_CHECK)
        created_by_another = False
        while True:
            updated, old = self._table.update(
                _key(agent_id, shard),
                "SET holders.#id = :holder, due_shard = :shard, due_at = if_not_exists(due_at, :look)",
                "(attribute_exists(holders.#id) AND holders.#id.a <= :attempt AND size(holders) <= :capacity) OR "
                "(attribute_exists(holders) AND attribute_not_exists(holders.#id) AND size(holders) < :capacity)",
                {":holder": holder, ":shard": WATCHED, ":look": check_at, ":capacity": capacity, ":attempt": attempt},
                {"#id": execution_id},
            )
            if updated:
                return True
            if old is not None:
                held: dict[str, int] = old["holders"].get(execution_id, {"a": 0})
                return held["a"] > attempt
            if created_by_another or capacity < 1:
                return False
            item = _key(agent_id, shard) | {
                "ac": account_id,
                "holders": {execution_id: holder},
                "due_shard": WATCHED,
                "due_at": check_at,
            }
            if self._table.put_new(item):
                return True
            created_by_another = True

    def release(
        self, agent_id: str, shard: int, execution_id: str, attempt: int, since: datetime | None = None
    ) -> set[str]:
        held, values = _held_by(attempt, since)
        names = {"#id": execution_id}
        _, item = self._table.update(_key(agent_id, shard), "REMOVE holders.#id", held, values, names, returning=True)
        return set() if item is None else set(item["holders"])

    def hand_over(
        self,
        agent_id: str,
        shard: int,
        capacity: int,
        execution_id: str,
        attempt: int,
        to: QueuedCall,
        now: datetime,
        since: datetime | None = None,
    ) -> bool:
        if to.execution_id == execution_id:
            return False  # it holds a line for an earlier attempt, and one update may not set and remove the same path
        holder = {"a": to.attempt, "t": to_ms(now)}
        held_by, values = _held_by(attempt, since)
        updated, old = self._table.update(
            _key(agent_id, shard),
            "SET holders.#to = :holder REMOVE holders.#id",
            f"{held_by} AND attribute_not_exists(holders.#to) AND size(holders) <= :capacity",
            {":holder": holder, ":capacity": capacity, **values},
            {"#id": execution_id, "#to": to.execution_id},
        )
        held = {} if old is None else old["holders"]
        return updated or (execution_id not in held and held.get(to.execution_id) == holder)

    def holders(self, agent_id: str, shard: int) -> dict[str, tuple[int, datetime]]:
        item = self._table.get(_key(agent_id, shard)) or {}
        return {one: (holder["a"], from_ms(holder["t"])) for one, holder in item.get("holders", {}).items()}

    def in_use(self, shards: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        by_key = {_key(*shard)["pk"]: shard for shard in shards}
        items = self._table.read([_key(*shard) for shard in shards])
        return {by_key[item["pk"]]: len(item["holders"]) for item in items}

    def owner(self, agent_id: str, shard: int) -> str | None:
        owner: str | None = (self._table.get(_key(agent_id, shard)) or {}).get("ac")
        return owner

    def recheck_at(self, agent_id: str, shard: int, at: datetime, *, queue_empty: bool) -> None:
        lines_key = _key(agent_id, shard)
        unused = "attribute_exists(holders) AND size(holders) = :none"
        if queue_empty and self._table.update(lines_key, "REMOVE due_shard, due_at", unused, {":none": 0}).done:
            return
        values = {":shard": WATCHED, ":at": to_ms(at)}
        self._table.update(lines_key, "SET due_shard = :shard, due_at = :at", PRESENT, values)


def _held_by(attempt: int, since: datetime | None) -> tuple[str, dict[str, Any]]:
    """The condition that this attempt holds the line (acquired at `since`, if given), and the condition's values."""
    if since is None:
        return "holders.#id.a = :attempt", {":attempt": attempt}
    return "holders.#id.a = :attempt AND holders.#id.t = :since", {":attempt": attempt, ":since": to_ms(since)}


def _key(agent_id: str, shard: int) -> Item:
    return {"pk": f"L#{agent_id}#{shard}", "sk": "LINES"}
