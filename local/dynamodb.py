"""moto's DynamoDB, reached without moto's HTTP layer: same tables, same rules, about four times as fast.

What costs time in moto is not the database but turning a request into a web framework's, and an answer into JSON member
by member. Items travel as plain JSON here. A request that fails is put to moto once more in the ordinary way: failing
changes nothing, and so the error comes out word for word as moto writes it.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local.lambda_functions import ACCOUNT_ID, REGION

_OPERATIONS: dict[str, Callable[[DynamoHandler], ActionResult]] = {
    "BatchGetItem": DynamoHandler.batch_get_item,
    "DeleteItem": DynamoHandler.delete_item,
    "GetItem": DynamoHandler.get_item,
    "PutItem": DynamoHandler.put_item,
    "Query": DynamoHandler.query,
    "TransactWriteItems": DynamoHandler.transact_write_items,
    "UpdateItem": DynamoHandler.update_item,
}


def answer(operation: str, body: bytes) -> bytes | None:
    """The answer, in JSON, to an operation on items; None where moto must be asked in the ordinary way."""
    operate = _OPERATIONS.get(operation)
    if operate is None:
        return None
    handler = DynamoHandler()
    handler.region, handler.current_account = REGION, ACCOUNT_ID
    handler.headers, handler.response_headers = {}, {}
    parameters: dict[str, Any] = json.loads(body)
    handler.body = handler.params = parameters
    try:
        result = operate(handler)
    except Exception:  # noqa: BLE001  whatever moto raises, it shall put into an answer itself
        return None
    return json.dumps(result.result or {}).encode()


_moto_query = Table.query
_QUERY_ARGUMENTS = (
    "range_comparison",
    "range_objs",
    "limit",
    "exclusive_start_key",
    "scan_index_forward",
    "projection_expressions",
    "index_name",
)


def _query_of_one_partition(self: Table, hash_key: Any, *arguments: Any, **options: Any) -> Any:
    """A query of the table itself is shown its own partition only; moto sorts and searches the whole table for it."""
    named = dict(zip(_QUERY_ARGUMENTS, arguments, strict=False)) | options
    if named.get("index_name") is not None or hash_key is None:
        return _moto_query(self, hash_key, *arguments, **options)
    partition = copy.copy(self)
    items: Any = {hash_key: self.items[hash_key]} if hash_key in self.items else {}
    partition.items = items
    return _moto_query(partition, hash_key, *arguments, **options)


def _unsorted_items(self: Table) -> list[Item]:
    """Every item, in no order, as a scan of the real one has none; whoever wants an order sorts afterwards."""
    by_sort_key: Any = self.items
    return [item for partition in by_sort_key.values() for item in partition.values()]


QUICKER: dict[str, Callable[..., Any]] = {"query": _query_of_one_partition, "all_items": _unsorted_items}
"""Methods of moto's `Table`, by name, that spare a query the sorting of the whole table; their answers are the same."""
