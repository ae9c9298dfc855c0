"""The one table: consistent reads, conditional writes and queries, with plain dicts in and out.

Every write states its condition. DynamoDB's client repeats a request whose response was lost, so a failed condition may
be caused by our own earlier write: `put_version` recognizes that, and `update` returns the current item so that the
caller can.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import ClientError

from redial.adapters.dynamodb.items import from_item, to_item
from redial.ports import StaleVersion

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

ABSENT = "attribute_not_exists(pk)"
"""The condition that the item does not exist yet."""
PRESENT = "attribute_exists(pk)"
_BATCH_GET = 100  # limit of BatchGetItem
_BATCH_WRITE = 25  # limit of BatchWriteItem
MOST_ROUNDS = 10
"""Maximum consecutive rounds without progress. With their pauses they take 16 seconds."""
FIRST_PAUSE_SECONDS = 0.05
"""Pause after a partial response; doubles with each further round without progress."""
LONGEST_PAUSE_SECONDS = 5.0

Part = TypeVar("Part")

Item = dict[str, Any]


class Updated(NamedTuple):
    """Whether the condition of an update was met, and the item: as updated, if requested, or the current item if the
    condition was not met. None: there is no item, or it was not requested."""

    done: bool
    item: Item | None


class Table:
    """The single DynamoDB table. Except for failed conditions, botocore's errors are raised unchanged."""

    def __init__(
        self, client: "DynamoDBClient", name: str, sleep: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self.client = client
        self.name = name
        self.sleep = sleep

    def get(self, key: Item, *, consistent: bool = True) -> Item | None:
        """The item with that key; None if there is none."""
        answer = self.client.get_item(TableName=self.name, Key=to_item(key), ConsistentRead=consistent)
        return from_item(answer["Item"]) if "Item" in answer else None

    def read(self, keys: Sequence[Item]) -> Iterator[Item]:
        """The existing items with these keys, in any order, read consistently. Raises `PartlyDone`."""
        for start in range(0, len(keys), _BATCH_GET):
            found: list[Item] = []

            def ask(wanted: list[Item], found: list[Item] = found) -> list[Item]:
                request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
                answer = self.client.batch_get_item(RequestItems=request)  # type: ignore[arg-type]  # a TypedDict
                found += map(from_item, answer["Responses"].get(self.name, []))
                left = answer["UnprocessedKeys"].get(self.name)
                return list(left["Keys"]) if left else []

            until_done([to_item(key) for key in keys[start : start + _BATCH_GET]], ask, self.sleep)
            yield from found

    def query(self, condition: str, values: Item, **options: Any) -> Iterator[Item]:
        """Items under a key condition, read page by page. `options`: IndexName, ConsistentRead, ScanIndexForward …

        `Limit` is the maximum number of items in a page."""
        for page in self.pages(KeyConditionExpression=condition, ExpressionAttributeValues=to_item(values), **options):
            yield from map(from_item, page["Items"])

    def pages(self, **asked: Any) -> Iterator[Item]:
        """The pages of a query, with DynamoDB's types. (boto3's paginator would cost a tenth of a request's time.)"""
        start: Item = {}
        while True:
            page: Any = self.client.query(TableName=self.name, **asked, **start)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def put_new(self, item: Item) -> bool:
        """Store an item; False if another item has its key."""
        done, found = self._put(typed := to_item(item), ABSENT)
        return done or found == typed  # an equal item is our own write, repeated

    def put(self, item: Item, condition: str, values: Item | None = None) -> Updated:
        """Store an item whole if the condition is met."""
        done, typed = self._put(to_item(item), condition, values)
        return Updated(done, None if typed is None else from_item(typed))

    def put_version(self, item: Item, read: int) -> None:
        """Store an item over the version read (0: none existed). Raises `StaleVersion`.

        A stored item equal to the one written counts as success: the client repeated our own write, whose response was
        lost. Two writers never write equal items where it matters, because each claim has its own id.
        """
        if read == 0:
            stored = self.put_new(item)
        else:
            done, found = self._put(typed := to_item(item), "v = :read", {":read": read})
            stored = done or found == typed
        if not stored:
            raise StaleVersion(item["pk"])

    def _put(self, item: Item, condition: str, values: Item | None = None) -> tuple[bool, Item | None]:
        """Whether the item was stored, and if not, the existing item with DynamoDB's types."""
        arguments: Item = {"ExpressionAttributeValues": to_item(values)} if values else {}
        try:
            self.client.put_item(
                TableName=self.name,
                Item=item,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **arguments,
            )
        except ClientError as error:
            return False, _unless_condition(error)
        return True, None

    def update(
        self,
        key: Item,
        update: str,
        condition: str,
        values: Item | None = None,
        names: dict[str, str] | None = None,
        *,
        returning: bool = False,
    ) -> Updated:
        """Apply an update expression if the condition is met. `returning`: return the updated item."""
        arguments: Item = {"ReturnValues": "ALL_NEW"} if returning else {}
        if names:
            arguments["ExpressionAttributeNames"] = names
        if values:
            arguments["ExpressionAttributeValues"] = to_item(values)
        try:
            answer = self.client.update_item(
                TableName=self.name,
                Key=to_item(key),
                UpdateExpression=update,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **arguments,
            )
        except ClientError as error:
            item = _unless_condition(error)
            return Updated(False, None if item is None else from_item(item))
        return Updated(True, from_item(answer["Attributes"]) if returning else None)

    def put_all(self, items: Sequence[Item]) -> None:
        """Store items whole, replacing existing ones: only for items that no two writers change in different ways.
        Raises `PartlyDone`."""
        for start in range(0, len(items), _BATCH_WRITE):

            def write(left: list[Item]) -> list[Item]:
                puts: Any = {self.name: [{"PutRequest": {"Item": one}} for one in left]}
                answer = self.client.batch_write_item(RequestItems=puts)
                return [dict(one["PutRequest"]["Item"]) for one in answer["UnprocessedItems"].get(self.name, [])]

            until_done([to_item(item) for item in items[start : start + _BATCH_WRITE]], write, self.sleep)

    def transact(self, writes: Sequence[Any]) -> bool:
        """Do all `writes` of a TransactWriteItems or none. Only the first may have a condition; False if it is not met.
        botocore repeats a request with the same token, so a lost response makes no difference."""
        try:
            self.client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons: list[Item] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
            if not reasons or reasons[0].get("Code") != "ConditionalCheckFailed":
                raise
            return False
        return True

    def delete(self, key: Item) -> None:
        """Remove the item. Idempotent."""
        self.client.delete_item(TableName=self.name, Key=to_item(key))

    def delete_version(self, key: Item, read: int) -> None:
        """Remove the version that was read. Idempotent. Raises `StaleVersion`."""
        try:
            self.client.delete_item(
                TableName=self.name,
                Key=to_item(key),
                ConditionExpression=f"{ABSENT} OR v = :read",
                ExpressionAttributeValues=to_item({":read": read}),
            )
        except ClientError as error:
            _unless_condition(error)
            raise StaleVersion(key["pk"]) from error


def _unless_condition(error: ClientError) -> Item | None:
    """The item that did not meet the condition, with DynamoDB's types. Re-raises any other error."""
    if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
        raise error
    item: Item | None = error.response.get("Item")  # type: ignore[assignment]  # what ALL_OLD adds
    return item


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
