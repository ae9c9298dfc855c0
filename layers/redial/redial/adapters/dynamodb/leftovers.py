"""Requests for several items, which DynamoDB may answer partially: the rest is requested again after a pause.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html: "we strongly recommend that you
use an exponential backoff algorithm".
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from redial.adapters.dynamodb.items import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

MOST_ROUNDS = 10
"""Maximum consecutive rounds without progress. With their pauses they take 16 seconds."""
FIRST_PAUSE_SECONDS = 0.05
"""Pause after a partial answer; doubles with each further round without progress."""
LONGEST_PAUSE_SECONDS = 5.0
_BATCH_GET = 100  # limit of BatchGetItem

Part = TypeVar("Part")


class PartlyDone(Exception):
    """DynamoDB left the same parts of a request unprocessed in `MOST_ROUNDS` consecutive rounds."""


def until_done(parts: list[Part], ask: Callable[[list[Part]], list[Part]], sleep: Callable[[float], None]) -> None:
    """Call `ask` with `parts`, then with the unprocessed parts that it returns, until none is left.

    Raises `PartlyDone` after `MOST_ROUNDS` consecutive rounds without progress.
    """
    idle = 0
    while parts:
        left = ask(parts)
        idle = idle + 1 if len(left) == len(parts) else 0
        if idle == MOST_ROUNDS:
            raise PartlyDone(f"{len(left)} parts are left after {MOST_ROUNDS} rounds")
        if left:
            sleep(min(FIRST_PAUSE_SECONDS * 2 ** max(idle - 1, 0), LONGEST_PAUSE_SECONDS))
        parts = left


def read_items(
    client: "DynamoDBClient", table_name: str, keys: Sequence[dict[str, Any]], sleep: Callable[[float], None]
) -> Iterator[dict[str, Any]]:
    """The existing items with these keys, in any order, read consistently. Raises `PartlyDone`."""
    for start in range(0, len(keys), _BATCH_GET):
        found: list[dict[str, Any]] = []

        def ask(wanted: list[dict[str, Any]], found: list[dict[str, Any]] = found) -> list[dict[str, Any]]:
            answer = client.batch_get_item(RequestItems={table_name: {"Keys": wanted, "ConsistentRead": True}})
            found += map(from_item, answer["Responses"].get(table_name, []))
            left = answer["UnprocessedKeys"].get(table_name)
            return list(left["Keys"]) if left else []

        until_done([to_item(key) for key in keys[start : start + _BATCH_GET]], ask, sleep)
        yield from found
