"""A DynamoDB client for listings of very many calls: sorted keys in memory, with a count of the keys read."""

import bisect
from collections import defaultdict
from typing import Any

from redial.wire.stored_execution import LISTING_SHARDS, listing_shard

KEYS_IN_A_MEGABYTE = 6_000
"""The approximate number of keys in one answer of a query."""


class ListedKeys:
    """The index `listing` of one agent, and the items `N#<agent>`. `requests` and `keys` count reads."""

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.listed: dict[str, list[str]] = defaultdict(list)
        self.kept: dict[str, dict[str, Any]] = {}
        self.requests = self.keys = 0

    def add(self, kind: str, created_ms: int, execution_id: str) -> None:
        """List a call; call `sort` before the first query."""
        shard = listing_shard(self.agent_id, int(execution_id[-2:], 16) % LISTING_SHARDS)
        self.listed[shard].append(f"{kind}#{created_ms:013d}#{execution_id}")

    def end(self, created_ms: int, execution_id: str) -> None:
        """Move an open call to the done ones."""
        shard = self.listed[listing_shard(self.agent_id, int(execution_id[-2:], 16) % LISTING_SHARDS)]
        shard.remove(f"open#{created_ms:013d}#{execution_id}")
        bisect.insort(shard, f"done#{created_ms:013d}#{execution_id}")

    def sort(self) -> None:
        for keys in self.listed.values():
            keys.sort()

    def query(self, **asked: Any) -> dict[str, Any]:
        values = {name: value["S"] for name, value in asked["ExpressionAttributeValues"].items()}
        low, high = values[":low"], values[":high"]
        assert low <= high, "DynamoDB rejects such bounds"
        forward = asked.get("ScanIndexForward", True)
        start = asked.get("ExclusiveStartKey")
        is_index = asked.get("IndexName") == "listing"
        keys = self.listed[values[":shard"]] if is_index else sorted(self.kept)
        first, last = bisect.bisect_left(keys, low), bisect.bisect_right(keys, high)
        if start is not None and forward:
            first = bisect.bisect_right(keys, start)
        elif start is not None:
            last = bisect.bisect_left(keys, start)
        most = min(asked.get("Limit", KEYS_IN_A_MEGABYTE), KEYS_IN_A_MEGABYTE)
        found = keys[first : min(last, first + most)] if forward else keys[max(first, last - most) : last][::-1]
        self.requests += 1
        self.keys += len(found)
        items = [{"listing_key": {"S": one}} for one in found] if is_index else [self.kept[one] for one in found]
        return {"Items": items} | ({"LastEvaluatedKey": found[-1]} if len(found) == most else {})

    def transact_write_items(self, *, TransactItems: list[Any]) -> dict[str, Any]:  # noqa: N803  as botocore calls it
        item = TransactItems[1]["Put"]["Item"]
        assert item["pk"]["S"] == f"N#{self.agent_id}"
        self.kept[item["sk"]["S"]] = item
        return {}
