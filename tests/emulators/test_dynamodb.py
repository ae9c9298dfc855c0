"""The short way to moto's DynamoDB answers exactly as the ordinary way does."""

import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from moto.dynamodb.models import dynamodb_backends

from local import dynamodb, dynamodb_tables
from local.aws.functions import ACCOUNT_ID, REGION, Functions
from local.aws.requests import Aws
from local.aws.scheduler import Scheduler
from local.clock import Timeline
from tests.support.table import TABLE_NAME, create_table

KEY = {"pk": {"S": "X#1"}, "sk": {"S": "X"}}
NESTED = {
    "text": {"S": "ü"},
    "number": {"N": "12.5"},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"S": "a"}, {"L": []}, {"M": {"deep": {"N": "1"}}}]},
    "map": {"M": {"a": {"M": {}}, "b": {"L": [{"N": "2"}]}}},
    "set": {"SS": ["p", "q"]},
}
T = {"TableName": TABLE_NAME}
STORY: list[tuple[str, dict[str, Any]]] = [
    ("get_item", T | {"Key": KEY}),
    ("put_item", T | {"Item": KEY | NESTED | {"due_shard": {"S": "03"}, "due_at": {"N": "5"}}}),
    ("put_item", T | {"Item": KEY | {"v": {"N": "1"}}, "ReturnValues": "ALL_OLD"}),
    ("put_item", T | {"Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}),
    (
        "put_item",
        T
        | {
            "Item": KEY,
            "ConditionExpression": "v = :v",
            "ExpressionAttributeValues": {":v": {"N": "7"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    ),
    ("get_item", T | {"Key": KEY, "ConsistentRead": True}),
    ("get_item", T | {"Key": KEY, "ProjectionExpression": "#a", "ExpressionAttributeNames": {"#a": "v"}}),
    ("get_item", T | {"Key": {"pk": {"S": "X#1"}}}),
    ("get_item", {"TableName": "other", "Key": KEY}),
    ("put_item", T | {"Item": {"pk": {"S": ""}, "sk": {"S": "X"}}}),
    *(
        (
            "put_item",
            T | {"Item": {"pk": {"S": "Q"}, "sk": {"S": f"{n}"}, "due_shard": {"S": "03"}, "due_at": {"N": f"{n}"}}},
        )
        for n in (3, 1, 2)
    ),
    (
        "update_item",
        T
        | {
            "Key": KEY,
            "UpdateExpression": "SET holders.#x = :y",
            "ExpressionAttributeNames": {"#x": "e"},
            "ExpressionAttributeValues": {":y": {"N": "1"}},
        },
    ),
    (
        "update_item",
        T
        | {
            "Key": KEY,
            "UpdateExpression": "SET v = if_not_exists(v, :one) + :one, l = list_append(if_not_exists(l, :none), :two)",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":none": {"L": []}, ":two": {"L": [{"S": "x"}]}},
            "ReturnValues": "ALL_NEW",
        },
    ),
    ("query", T | {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "Q"}}}),
    (
        "query",
        T
        | {
            "KeyConditionExpression": "pk = :p AND begins_with(sk, :s)",
            "ExpressionAttributeValues": {":p": {"S": "Q"}, ":s": {"S": "2"}},
        },
    ),
    (
        "query",
        T
        | {
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": {":p": {"S": "Q"}},
            "ScanIndexForward": False,
            "Limit": 2,
        },
    ),
    ("query", T | {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "none"}}}),
    (
        "query",
        T
        | {
            "IndexName": "due",
            "KeyConditionExpression": "due_shard = :s AND due_at <= :n",
            "ExpressionAttributeValues": {":s": {"S": "03"}, ":n": {"N": "2"}},
        },
    ),
    (
        "query",
        T
        | {
            "IndexName": "due",
            "KeyConditionExpression": "due_shard = :s",
            "ExpressionAttributeValues": {":s": {"S": "03"}},
            "ConsistentRead": True,
        },
    ),
    ("batch_get_item", {"RequestItems": {TABLE_NAME: {"Keys": [KEY, {"pk": {"S": "Q"}, "sk": {"S": "1"}}]}}}),
    (
        "transact_write_items",
        {
            "TransactItems": [
                {"Put": T | {"Item": KEY, "ConditionExpression": "attribute_not_exists(pk)"}},
                {"Put": T | {"Item": {"pk": {"S": "Z"}, "sk": {"S": "Z"}}}},
            ]
        },
    ),
    ("get_item", T | {"Key": {"pk": {"S": "Z"}, "sk": {"S": "Z"}}}),
    ("delete_item", T | {"Key": KEY, "ReturnValues": "ALL_OLD"}),
    ("delete_item", T | {"Key": KEY}),
    ("get_item", T | {"Key": KEY}),
]


@contextmanager
def emulated() -> Iterator[Aws]:
    timeline = Timeline(datetime(2026, 1, 26, tzinfo=UTC), speed=0)
    functions = Functions(timeline, [], lambda function: lambda event, context: None)
    aws = Aws()
    aws.start(functions, Scheduler(timeline, functions, aws.lock))
    try:
        yield aws
    finally:
        aws.stop()


@pytest.fixture
def aws() -> Iterator[Aws]:
    with emulated() as aws:
        yield aws


@contextmanager
def moto_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every operation answered by moto, over its own tables, in the ordinary way."""
    with monkeypatch.context() as patched:
        patched.setattr(dynamodb, "answer", lambda operation, body: None)
        patched.setattr(dynamodb_tables, "REPLACED", {})
        with emulated():
            yield


def ask(client: Any, operation: str, parameters: dict[str, Any]) -> tuple[str, int, Any]:
    """What one request is answered, errors included; capacity is left out, which moto always tells."""
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as error:
        answer = error.response
    except Exception as error:  # noqa: BLE001  moto's own trouble with what the service would refuse
        return operation, 0, type(error).__name__
    metadata = answer.pop("ResponseMetadata")
    answer.pop("ConsumedCapacity", None)
    return operation, metadata["HTTPStatusCode"], json.loads(json.dumps(answer, default=str))


def new_table() -> Any:
    """A client, and an empty table."""
    client = boto3.client("dynamodb")
    create_table(client)
    return client


def answers(story: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    client = new_table()
    try:
        return [ask(client, operation, parameters) for operation, parameters in story]
    finally:
        client.delete_table(TableName=TABLE_NAME)


def test_both_ways_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    left_to_moto: list[str] = []
    ordinary = Aws._moto_answer

    def answer(self: Aws, event_name: str, request: Any) -> Any:
        left_to_moto.append(event_name.rsplit(".", maxsplit=1)[-1])
        return ordinary(self, event_name, request)

    monkeypatch.setattr(Aws, "_moto_answer", answer)
    with emulated():
        short = answers(STORY)
    del left_to_moto[:4], left_to_moto[-1]  # the stack's own, the table's making and removal
    assert len(left_to_moto) == 6, "moto answered errors alone"
    with moto_alone(monkeypatch):
        assert short == answers(STORY)
    assert [status for _, status, _ in short].count(400) == 8


def random_value(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    kind = chance.choice(["S", "N", "BOOL", "NULL", "L", "M", "SS"] if depth < 2 else ["S", "N", "BOOL"])
    match kind:
        case "S":
            return {"S": chance.choice(["", "a", "ab", "b", "ü", "z" * 30])}
        case "N":
            return {"N": chance.choice(["0", "1", "-1", "2.5", "10", "1e3"])}
        case "BOOL":
            return {"BOOL": chance.random() < 0.5}
        case "L":
            return {"L": [random_value(chance, depth + 1) for _ in range(chance.randrange(3))]}
        case "M":
            return {"M": {name: random_value(chance, depth + 1) for name in chance.sample("abc", chance.randrange(4))}}
        case "SS":
            return {"SS": chance.sample(["p", "q", "r"], chance.randrange(1, 4))}
    return {"NULL": True}


CONDITIONS = (
    "attribute_not_exists(pk)",
    "attribute_exists(pk)",
    "v = :v",
    "v < :v OR attribute_not_exists(v)",
    "NOT v >= :v",
    "m.#n = :v",
    "attribute_exists(m.#n) AND (attribute_not_exists(v) OR v <= :v)",
    "attribute_exists(m) AND size(m) < :n",
    "begins_with(t, :t)",
    "t > :t AND t <> :t",
    "v BETWEEN :n AND :v",
    "contains(t, :t)",
)
UPDATES = (
    "SET v = :v",
    "SET m.#n = :v, t = :t",
    "SET v = if_not_exists(v, :n) + :n",
    "SET m.#n = if_not_exists(m.#n, :n) + :n REMOVE t",
    "REMOVE m.#n",
    "REMOVE due_at",
    "SET due_at = :n, due_shard = :t",
    "REMOVE due_shard, listing_shard",
    "SET l = list_append(if_not_exists(l, :l), :l)",
    "SET v = v - :n",
    "SET m = :m",
    "SET pk = :t",
    "ADD v :n",
    "SET m.#n.a = :v",
    "REMOVE m.#n, m.b",
    "SET t = l",
)
RANGES = (
    "",
    " AND {order} = {one}",
    " AND {order} < {one}",
    " AND {order} <= {one}",
    " AND {order} > {one}",
    " AND {order} >= {one}",
    " AND {order} BETWEEN {one} AND {two}",
    " AND begins_with({order}, {one})",
)


def used(text: str, **values: Any) -> dict[str, Any]:
    """The names and values of an expression."""
    given = {f":{name}": value for name, value in values.items() if re.search(rf":{name}\b", text)}
    arguments: dict[str, Any] = {"ExpressionAttributeValues": given} if given else {}
    if "#n" in text:
        arguments["ExpressionAttributeNames"] = {"#n": "a"}
    return arguments


def random_story(chance: random.Random, length: int) -> list[tuple[str, dict[str, Any]]]:
    """Writes and reads of some few items in every form that is answered here, and in some that are left to moto.

    Left out is what moto does wrong: an update that reads a key, one that fails when half of it is done, and what the
    tests of refused expressions below have.
    """
    story: list[tuple[str, dict[str, Any]]] = []
    hashes, orders = ("p1", "p2", "p3"), tuple(f"{number:02d}" for number in range(12))

    def key() -> dict[str, Any]:
        return {"pk": {"S": chance.choice(hashes)}, "sk": {"S": chance.choice(orders)}}

    def item() -> dict[str, Any]:
        extra = {"v": random_value(chance), "m": random_value(chance), "t": {"S": chance.choice("abc")}}
        index = {
            "due_shard": {"S": chance.choice(["00", "01"])},
            "due_at": {"N": str(chance.randrange(6))},
            "listing_shard": {"S": "agent"},
            "listing_key": {"S": chance.choice(["O#1", "O#2", "D#1"])},
        }
        extra |= index
        return key() | {name: value for name, value in extra.items() if chance.random() < 0.7}

    def conditional(*texts: str) -> dict[str, Any]:
        condition = chance.choice([*CONDITIONS, ""])
        values = {
            "v": {"N": str(chance.randrange(2, 5))},
            "n": {"N": str(chance.randrange(1, 3))},
            "t": {"S": chance.choice("abc")},
            "l": {"L": [{"S": "x"}]},
            "m": {"M": {"a": {"N": "1"}, "b": {"M": {}}}},
        }
        arguments = used(" ".join([condition, *texts]), **values)
        if condition:
            arguments["ConditionExpression"] = condition
            if chance.random() < 0.5:
                arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return T | arguments

    def query() -> dict[str, Any]:
        index = chance.choice([None, None, "due", "listing"])
        names = {None: ("pk", "sk"), "due": ("due_shard", "due_at"), "listing": ("listing_shard", "listing_key")}
        partition, order = names[index]
        choices = {"pk": hashes, "due_shard": ("00", "01"), "listing_shard": ("agent", "none")}
        ordered = {"sk": orders, "due_at": tuple("012345"), "listing_key": ("O#", "O#1", "O#2", "D#1")}
        one, two = sorted(chance.choice(ordered[order]) for _ in range(2))
        text = f"{partition} = :h" + chance.choice(RANGES).format(order=order, one=":o", two=":w")
        kind = "N" if order == "due_at" else "S"
        values = {"h": {"S": chance.choice(choices[partition])}, "o": {kind: one}, "w": {kind: two}}
        arguments = T | {"KeyConditionExpression": text, **used(text, **values)}
        if index is not None:
            arguments["IndexName"] = index
        if chance.random() < 0.5:
            arguments["Limit"] = chance.randrange(1, 5)
        if chance.random() < 0.5:
            arguments["ScanIndexForward"] = False
        left_to_moto: list[dict[str, Any]] = [
            {"FilterExpression": "attribute_exists(v)"},
            {"ProjectionExpression": "sk, v"},
            {"Select": "COUNT"},
        ]
        if chance.random() < 0.3:
            arguments |= chance.choice(left_to_moto)
        return arguments

    for _ in range(length):
        match chance.randrange(8):
            case 0 | 1:
                story.append(("put_item", conditional() | {"Item": item()}))
            case 2 | 3:
                update = chance.choice(UPDATES)
                returned = chance.choice(["NONE", "ALL_NEW", "ALL_OLD", "UPDATED_NEW"])
                story.append(
                    (
                        "update_item",
                        conditional(update) | {"Key": key(), "UpdateExpression": update, "ReturnValues": returned},
                    )
                )
            case 4:
                story.append(("delete_item", conditional() | {"Key": key(), "ReturnValues": "ALL_OLD"}))
            case 5:
                wanted = {(one["pk"]["S"], one["sk"]["S"]) for one in (key() for _ in range(3))}
                keys = [{"pk": {"S": first}, "sk": {"S": second}} for first, second in sorted(wanted)]
                story.append(("batch_get_item", {"RequestItems": {TABLE_NAME: {"Keys": keys}}}))
            case _:
                story.append(("query", query()))
    return story


@pytest.mark.parametrize("seed", range(6))
def test_random_requests_are_answered_as_moto_answers_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    story = random_story(random.Random(seed), 400)
    with emulated():
        ours = answers(story)
    with moto_alone(monkeypatch):
        motos = answers(story)
    for request, our, moto in zip(story, ours, motos, strict=True):
        assert our == moto, request
    assert {200, 400} <= {status for _, status, _ in ours}


def test_pages_of_a_query_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_pages() -> list[Any]:
        client = new_table()
        for number in range(40):
            due = {"due_shard": {"S": "00"}, "due_at": {"N": str(number % 7)}}
            client.put_item(**T, Item={"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{number:02d}"}} | due)
        found = []
        for index, text, values in (
            (None, "pk = :h", {":h": {"S": "p1"}}),
            (None, "pk = :h AND sk >= :o", {":h": {"S": "p1"}, ":o": {"S": "10"}}),
            ("due", "due_shard = :h AND due_at <= :o", {":h": {"S": "00"}, ":o": {"N": "4"}}),
        ):
            for forward in (True, False):
                wanted = T | {"KeyConditionExpression": text, "ExpressionAttributeValues": values, "Limit": 4}
                wanted |= {"IndexName": index} if index else {}
                paginator = client.get_paginator("query")
                pages = paginator.paginate(**wanted, ScanIndexForward=forward)
                found += [(page["Items"], page.get("LastEvaluatedKey")) for page in pages]
        client.delete_table(**T)
        return found

    with emulated():
        ours = all_pages()
    with moto_alone(monkeypatch):
        assert ours == all_pages()
    assert len(ours) == 30


def test_a_query_reads_a_megabyte_at_most(aws: Aws) -> None:
    client = new_table()
    for number in range(5):
        client.put_item(**T, Item={"pk": {"S": "p"}, "sk": {"S": f"{number}"}, "text": {"S": "x" * 250_000}})
    wanted = T | {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}
    assert [len(page["Items"]) for page in client.get_paginator("query").paginate(**wanted)] == [4, 1]


def test_the_lowest_number_in_an_attribute_is_known_after_every_write(aws: Aws) -> None:
    client = new_table()
    table = dynamodb_backends[ACCOUNT_ID][REGION].get_table(TABLE_NAME)
    chance = random.Random(1)
    held: dict[str, int] = {}
    for _ in range(500):
        pk, number = f"p{chance.randrange(20)}", chance.randrange(1000)
        key = {"pk": {"S": pk}, "sk": {"S": "s"}}
        match chance.randrange(4):
            case 0:
                client.put_item(**T, Item=key | {"due_at": {"N": f"{number}"}})
                held[pk] = number
            case 1:
                client.put_item(**T, Item=key)
                held.pop(pk, None)
            case 2:
                client.update_item(**T, Key=key, AttributeUpdates={"due_at": {"Value": {"N": f"{number}"}}})
                held[pk] = number
            case _:
                client.delete_item(**T, Key=key)
                held.pop(pk, None)
        assert dynamodb_tables.contents_of(table).lowest("due_at") == min(held.values(), default=None)


def test_a_transaction_that_fails_leaves_table_and_indexes_as_they_were(aws: Aws) -> None:
    client = new_table()

    def put(number: int, **extra: Any) -> dict[str, Any]:
        item = {"pk": {"S": f"p{number}"}, "sk": {"S": "s"}, "due_shard": {"S": "00"}, "due_at": {"N": f"{number}"}}
        return {"Put": T | {"Item": item, **extra}}

    def due() -> list[str]:
        values = {":s": {"S": "00"}}
        answer = client.query(
            **T, IndexName="due", KeyConditionExpression="due_shard = :s", ExpressionAttributeValues=values
        )
        return [item["pk"]["S"] for item in answer["Items"]]

    client.transact_write_items(TransactItems=[put(1), put(2)])
    update = {
        "Update": T
        | {
            "Key": {"pk": {"S": "p1"}, "sk": {"S": "s"}},
            "UpdateExpression": "SET due_at = :n",
            "ExpressionAttributeValues": {":n": {"N": "9"}},
        }
    }
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(
            TransactItems=[put(3), update, put(2, ConditionExpression="attribute_not_exists(pk)")]
        )
    assert due() == ["p1", "p2"]
    client.transact_write_items(TransactItems=[put(3), update])
    assert due() == ["p2", "p3", "p1"]


# ---- refused expressions -------------------------------------------------------------------------------------------

WRONG_WAY_ROUND = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
OVERLAP = "Two document paths overlap with each other"


def bounds(low: Any, high: Any, **others: Any) -> dict[str, Any]:
    return T | {"ExpressionAttributeValues": {":low": low, ":high": high, **others}}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ({"S": "b"}, {"S": "a"}, WRONG_WAY_ROUND + "; lower bound operand: AttributeValue: {S:b}"),
        ({"N": "10"}, {"N": "9.5"}, WRONG_WAY_ROUND),
        ({"S": "1"}, {"N": "2"}, "The BETWEEN operator requires same data type"),
    ],
)
def test_bounds_the_wrong_way_round_are_refused(aws: Aws, low: Any, high: Any, said: str) -> None:
    client = new_table()
    of_key = "pk = :p AND sk {between} :low AND :high"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        (
            "query",
            "KeyConditionExpression",
            bounds(low, high, **{":p": {"S": "p"}}) | {"KeyConditionExpression": of_key.format(between=between)},
        )
        for between in ("BETWEEN", "between")
    ]
    requests += [
        ("scan", "FilterExpression", bounds(low, high) | {"FilterExpression": "v BETWEEN :low AND :high"}),
        (
            "query",
            "FilterExpression",
            bounds(low, high, **{":p": {"S": "p"}})
            | {"KeyConditionExpression": "pk = :p", "FilterExpression": "NOT (v BETWEEN :low AND :high)"},
        ),
        (
            "put_item",
            "ConditionExpression",
            bounds(low, high) | {"Item": item("a"), "ConditionExpression": "v BETWEEN :low AND :high"},
        ),
    ]
    for operation, kind, parameters in requests:
        with pytest.raises(ClientError, match=re.escape(f"Invalid {kind}: {said}")) as raised:
            getattr(client, operation)(**parameters)
        assert raised.value.response["Error"]["Code"] == "ValidationException"
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_bounds_may_be_one_and_the_same(aws: Aws) -> None:
    client = new_table()
    client.put_item(**T, Item=item("a", v={"N": "1.0"}))
    values = bounds({"N": "1"}, {"N": "1"})
    assert client.scan(**values, FilterExpression="v BETWEEN :low AND :high")["Count"] == 1
    values = bounds({"S": "s"}, {"S": "s"}, **{":p": {"S": "a"}})
    assert client.query(**values, KeyConditionExpression="pk = :p AND sk BETWEEN :low AND :high")["Count"] == 1


@pytest.mark.parametrize(
    "update",
    [
        "SET m.#n = :v REMOVE m.a",
        "SET m.#n = :v REMOVE m.#same",
        "REMOVE m, m.#n.a",
        "REMOVE m.#n.a SET m.#n = :v",
        "SET m . #n = :v, m.a.b = :v",
        "SET v = if_not_exists(v, :v), v = :v",
        "ADD v :v SET v = :v",
        "REMOVE l[1], l[1].a",
        "REMOVE l, l[0]",
    ],
)
def test_an_update_of_overlapping_paths_is_refused_before_its_condition_is_looked_at(aws: Aws, update: str) -> None:
    client = new_table()
    parameters = T | {"Key": item("a"), "UpdateExpression": update, "ConditionExpression": "attribute_exists(pk)"}
    names = {f"#{name}": "a" for name in ("n", "same") if f"#{name}" in update}
    parameters |= {"ExpressionAttributeNames": names} if names else {}
    parameters |= {"ExpressionAttributeValues": {":v": {"N": "1"}}} if ":v" in update else {}
    for ask in (client.update_item, lambda **one: client.transact_write_items(TransactItems=[{"Update": one}])):
        with pytest.raises(ClientError, match=OVERLAP) as raised:
            ask(**parameters)
        assert raised.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    "update",
    [
        "SET m.#n = :v REMOVE m.b",
        "SET v = v + :v, w = if_not_exists(v, :v), #n = :v REMOVE l[0], l[1]",
        "SET w = if_not_exists(v, v), v = :v",
        "SET m.b = m.a REMOVE m.a",
        "SET m.#n = :v, #n = :v",
    ],
)
def test_an_update_may_read_what_it_changes_and_change_what_is_apart(aws: Aws, update: str) -> None:
    client = new_table()
    maps = {"m": {"M": {"a": {"N": "1"}, "b": {"N": "2"}}}, "l": {"L": [{"S": "x"}, {"S": "y"}]}}
    client.put_item(**T, Item=item("a", v={"N": "1"}, **maps))
    parameters = T | {"Key": item("a"), "UpdateExpression": update}
    parameters |= {"ExpressionAttributeNames": {"#n": "a"}} if "#n" in update else {}
    parameters |= {"ExpressionAttributeValues": {":v": {"N": "1"}}} if ":v" in update else {}
    client.update_item(**parameters)


# ---- statements and batches ----------------------------------------------------------------------------------------

PK_SK = f"INSERT INTO \"{TABLE_NAME}\" VALUE {{'pk': ?, 'sk': ?}}"


def insert(client: Any, *items: dict[str, Any]) -> list[Any]:
    statements = []
    for item in items:
        names = ", ".join(f"'{name}': ?" for name in item)
        text = f'INSERT INTO "{TABLE_NAME}" VALUE {{{names}}}'
        statements.append({"Statement": text, "Parameters": list(item.values())})
    responses: list[Any] = client.batch_execute_statement(Statements=statements)["Responses"]
    return responses


def item(pk: str, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "s"}, **attributes}


def test_a_statement_inserts_an_item_that_is_not_there(aws: Aws) -> None:
    client = new_table()
    first = item("a", due_shard={"S": "00"}, due_at={"N": "5"}, deep={"M": {"l": {"L": [{"N": "1"}]}}})
    duplicate = {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
    assert insert(client, first, item("b"), item("a", other={"S": "x"}), item("b")) == [
        {"TableName": TABLE_NAME},
        {"TableName": TABLE_NAME},
        {"TableName": TABLE_NAME, **duplicate},
        {"TableName": TABLE_NAME, **duplicate},
    ]
    assert client.get_item(**T, Key=item("a"))["Item"] == first
    answer = client.query(
        **T,
        IndexName="due",
        KeyConditionExpression="due_shard = :s",
        ExpressionAttributeValues={":s": {"S": "00"}},
    )
    assert answer["Items"] == [{name: first[name] for name in ("pk", "sk", "due_shard", "due_at")}]
    assert client.scan(**T)["Count"] == 2, "moto has them too"
    quoted = {
        "Statement": PK_SK.replace("'sk'", "'it''s': ?, 'sk'"),
        "Parameters": [{"S": "c"}, {"S": "x"}, {"S": "s"}],
    }
    client.batch_execute_statement(Statements=[quoted])
    assert client.get_item(**T, Key=item("c"))["Item"]["it's"] == {"S": "x"}
    assert aws.requests()["dynamodb"]["BatchExecuteStatement"] == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sk": {"S": "s"}}, "Missing the key pk"),
        (item("a") | {"sk": {"N": "1"}}, "Type mismatch for key sk expected: S actual: N"),
        (item(""), "cannot contain an empty string value. Key: pk"),
        (item("x" * 2049), "Size of hashkey has exceeded"),
        (item("a", due_at={"S": "5"}), "Type mismatch for Index Key due_at Expected: N Actual: S IndexName: due"),
        (item("a", listing_key={"S": ""}), "IndexName: listing, IndexKey: listing_key"),
        (item("a", n={"N": "one"}), "cannot be converted to a numeric value"),
        (item("a", n={"N": "1" * 39}), "cannot be converted to a numeric value"),
        (item("a", s={"SS": ["a", "a"]}), "not a value of type SS"),
        (item("a", text={"S": "x" * 409_600}), "Item size has exceeded the maximum allowed size"),
        (item("a", deep=json.loads('{"L": [' * 33 + '{"S": "x"}' + "]}" * 33)), "Nesting Levels"),
    ],
)
def test_an_item_that_a_put_refuses_is_an_error_of_its_statement_alone(
    aws: Aws, wrong: dict[str, Any], said: str
) -> None:
    client = new_table()
    good, bad, last = insert(client, item("b"), wrong, item("c"))
    assert "Error" not in good and "Error" not in last
    assert bad["Error"]["Code"] == "ValidationError" and said in bad["Error"]["Message"]
    assert client.scan(**T)["Count"] == 2


def test_an_item_may_have_four_hundred_kilobytes(aws: Aws) -> None:
    client = new_table()
    rest = 409_600 - len("pkask" + "s" + "text")
    full, over = item("a", text={"S": "x" * rest}), item("b", text={"S": "x" * (rest + 1)})
    assert ["Error" in answer for answer in insert(client, full, over)] == [False, True]


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([{"Statement": PK_SK.replace("INSERT INTO", "SELECT * FROM")}], "well formed"),
        ([{"Statement": PK_SK.replace("INSERT INTO", "DELETE FROM")}], "well formed"),
        ([{"Statement": PK_SK.replace("?", "'a'")}], "well formed"),
        ([{"Statement": PK_SK.replace("'sk'", "'pk'"), "Parameters": [{"S": "a"}, {"S": "s"}]}], "well formed"),
        ([{"Statement": PK_SK.replace('"', ""), "Parameters": [{"S": "a"}, {"S": "s"}]}], "well formed"),
        ([{"Statement": PK_SK + " x", "Parameters": [{"S": "a"}, {"S": "s"}]}], "well formed"),
        ([{"Statement": PK_SK, "Parameters": [{"S": "a"}]}], "Number of parameters"),
        ([{"Statement": PK_SK}], "Number of parameters"),
        ([{"Statement": PK_SK, "Parameters": [{"S": "a"}, {"S": "s"}]}] * 26, "less than or equal to 25"),
        ([{"Statement": PK_SK + " " * 8192, "Parameters": [{"S": "a"}, {"S": "s"}]}], "less than or equal to 8192"),
    ],
)
def test_a_statement_that_is_no_insert_is_refused_with_all_others(
    aws: Aws, statements: list[dict[str, Any]], said: str
) -> None:
    client = new_table()
    good = {"Statement": PK_SK, "Parameters": [{"S": "good"}, {"S": "s"}]}
    with pytest.raises(ClientError, match=said) as raised:
        client.batch_execute_statement(Statements=[good, *statements])
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    assert client.scan(**T)["Count"] == 0


def test_a_statement_for_a_table_that_is_not_there_is_an_error_of_its_own(aws: Aws) -> None:
    client = new_table()
    other = {"Statement": PK_SK.replace(TABLE_NAME, "other"), "Parameters": [{"S": "a"}, {"S": "s"}]}
    (answer,) = client.batch_execute_statement(Statements=[other])["Responses"]
    assert (answer["Error"]["Code"], answer["TableName"]) == ("ResourceNotFound", "other")


def test_a_batch_of_writes(aws: Aws) -> None:
    client = new_table()
    puts = [{"PutRequest": {"Item": item(f"{number}", n={"N": "1"})}} for number in range(25)]
    assert client.batch_write_item(RequestItems={TABLE_NAME: puts})["UnprocessedItems"] == {}
    client.batch_write_item(
        RequestItems={
            TABLE_NAME: [{"DeleteRequest": {"Key": item("1")}}, {"DeleteRequest": {"Key": item("none")}}, *puts[2:4]]
        }
    )
    assert client.scan(**T)["Count"] == 24
    assert aws.requests()["dynamodb"]["BatchWriteItem"] == 2


@pytest.mark.parametrize(
    ("requests", "code", "said"),
    [
        ([{"PutRequest": {"Item": item(f"{number}")}} for number in range(26)], "ValidationException", "26"),
        (
            [{"PutRequest": {"Item": item("a")}}, {"PutRequest": {"Item": item("a")}}],
            "ValidationException",
            "duplicates",
        ),
        (
            [{"PutRequest": {"Item": item("a")}}, {"DeleteRequest": {"Key": item("a")}}],
            "ValidationException",
            "duplicates",
        ),
        ([{"PutRequest": {"Item": item("")}}], "ValidationException", "empty string"),
        ([{"PutRequest": {"Item": item("a", due_at={"S": "1"})}}], "ValidationException", "Type mismatch"),
        ([{"DeleteRequest": {"Key": item("a", n={"N": "1"})}}], "ValidationException", "does not match the schema"),
        ([{"DeleteRequest": {"Key": {"pk": {"S": "a"}}}}], "ValidationException", "does not match the schema"),
    ],
)
def test_a_batch_of_writes_that_is_refused_writes_nothing(
    aws: Aws, requests: list[dict[str, Any]], code: str, said: str
) -> None:
    client = new_table()
    good = {"PutRequest": {"Item": item("good")}}
    with pytest.raises(ClientError, match=said) as raised:
        client.batch_write_item(RequestItems={TABLE_NAME: [good, *requests][:26]})
    assert raised.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client.batch_write_item(RequestItems={TABLE_NAME: [good], "other": [good]})
    assert client.scan(**T)["Count"] == 0


def test_what_is_wrong_in_a_request_is_told_before_it_is_sent(aws: Aws) -> None:
    client = new_table()
    for value in ({"N": 5}, {"S": None}, {"X": "x"}, {"M": {"a": "b"}}, {"L": "x"}, "x", None):
        with pytest.raises(ParamValidationError):
            client.put_item(**T, Item=item("a", wrong=value))
    for value in ({}, {"S": "a", "N": "1"}):
        with pytest.raises(ClientError, match="must contain exactly one of the supported datatypes"):
            client.put_item(**T, Item=item("a", wrong=value))
    client.put_item(**T, Item=item("a", binary={"B": b"\x00\xff"}, several={"BS": [b"a", b"b"]}))
    found = client.get_item(**T, Key=item("a"))["Item"]
    assert (found["binary"], found["several"]) == ({"B": b"\x00\xff"}, {"BS": [b"a", b"b"]})


def test_the_process_is_left_as_it_was() -> None:
    from moto.dynamodb.models.table import Table

    assert Table.query.__module__ == Table.all_items.__module__ == Table.__module__
    assert not hasattr(Table, "__deepcopy__")
