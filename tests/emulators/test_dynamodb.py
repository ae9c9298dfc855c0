"""The emulated DynamoDB: checks stricter than moto's, and replacements for parts of moto."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError

from local.aws import dynamodb, dynamodb_expressions
from local.aws.dynamodb import Image, changes_of
from local.aws.functions import Invoker
from local.aws.queues import Queues
from local.aws.requests import Aws
from local.aws.scheduler import Scheduler
from local.clock import Timeline
from tests.support.table import TABLE_NAME, create_table

T = {"TableName": TABLE_NAME}
WRONG_WAY_ROUND = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
OVERLAP = "Two document paths overlap with each other"
PK_SK = f"INSERT INTO \"{TABLE_NAME}\" VALUE {{'pk': ?, 'sk': ?}}"


@contextmanager
def emulated() -> Iterator[Any]:
    """A client, with an empty table."""
    timeline = Timeline(datetime(2026, 1, 26, tzinfo=UTC), speed=0)
    functions = Invoker(timeline, [], lambda function: lambda event, context: None)
    aws = Aws()
    queues = Queues(timeline, functions, [], aws.lock)
    aws.start(functions, Scheduler(timeline, functions, queues, aws.lock), queues)
    try:
        client = boto3.client("dynamodb")
        create_table(client)
        yield client
    finally:
        aws.stop()


@pytest.fixture
def client() -> Iterator[Any]:
    with emulated() as client:
        yield client


def item(pk: str, **attributes: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "s"}, **attributes}


def refused(request: Any, said: str, code: str = "ValidationException") -> None:
    """Assert that the request is answered with this error."""
    with pytest.raises(ClientError, match=re.escape(said)) as raised:
        request()
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def recorded() -> list[tuple[Any, Any]]:
    """Record the images before and after each write from now on."""
    writes: list[tuple[Any, Any]] = []

    def note(old: Image | None, new: Image | None) -> None:
        writes.append((old and old.plain, new and new.plain))

    changes_of(TABLE_NAME).listeners.append(note)
    return writes


# ---- refused expressions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ({"S": "b"}, {"S": "a"}, WRONG_WAY_ROUND + "; lower bound operand: AttributeValue: {S:b}"),
        ({"N": "10"}, {"N": "9.5"}, WRONG_WAY_ROUND),
        ({"S": "1"}, {"N": "2"}, "The BETWEEN operator requires same data type"),
    ],
)
def test_swapped_bounds_are_refused(client: Any, low: Any, high: Any, said: str) -> None:
    bounds = {":low": low, ":high": high}
    key = bounds | {":p": {"S": "p"}}
    for operation, kind, parameters in (
        ("query", "KeyConditionExpression", {"KeyConditionExpression": "pk = :p AND sk between :low AND :high"}),
        ("scan", "FilterExpression", {"FilterExpression": "NOT (v BETWEEN :low AND :high)"}),
        ("put_item", "ConditionExpression", {"Item": item("a"), "ConditionExpression": "v BETWEEN :low AND :high"}),
    ):
        values = {"ExpressionAttributeValues": key if operation == "query" else bounds}
        ask, given = getattr(client, operation), T | values | parameters
        refused(lambda ask=ask, given=given: ask(**given), f"Invalid {kind}: {said}")


def test_both_bounds_may_be_the_same(client: Any) -> None:
    client.put_item(**T, Item=item("a", v={"N": "1.0"}))
    bounds = {":low": {"N": "1"}, ":high": {"N": "1"}}
    between = "v BETWEEN :low AND :high"
    assert client.scan(**T, FilterExpression=between, ExpressionAttributeValues=bounds)["Count"] == 1


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
def test_an_update_of_overlapping_paths_is_refused_before_its_condition_is_evaluated(client: Any, update: str) -> None:
    request = T | {"Key": item("a"), "UpdateExpression": update, "ConditionExpression": "attribute_exists(pk)"}
    request |= placeholders(update)
    refused(lambda: client.update_item(**request), OVERLAP)
    refused(lambda: client.transact_write_items(TransactItems=[{"Update": request}]), OVERLAP)


def placeholders(text: str) -> dict[str, Any]:
    """The names and the value of an update: each name is `a`, the value is 1."""
    names = {f"#{name}": "a" for name in ("n", "same") if f"#{name}" in text}
    found: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
    return found | ({"ExpressionAttributeValues": {":v": {"N": "1"}}} if ":v" in text else {})


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
def test_an_update_may_read_what_it_changes_and_change_separate_paths(client: Any, update: str) -> None:
    maps = {"m": {"M": {"a": {"N": "1"}, "b": {"N": "2"}}}, "l": {"L": [{"S": "x"}, {"S": "y"}]}}
    client.put_item(**T, Item=item("a", v={"N": "1"}, **maps))
    client.update_item(**T, Key=item("a"), UpdateExpression=update, **placeholders(update))


def test_names_and_values_that_no_expression_uses_are_refused(client: Any) -> None:
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    for unused in (
        {"ExpressionAttributeNames": {"#n": "n"}},
        {"ExpressionAttributeValues": {":n": {"N": "1"}}},
    ):
        given = T | {"Item": item("a")} | condition | unused
        refused(lambda given=given: client.put_item(**given), "unused in expressions")


# ---- refused items --------------------------------------------------------------------------------------------------

WRONG_ITEMS = [
    ({"sk": {"S": "s"}}, "Missing the key pk"),
    (item("a") | {"sk": {"N": "1"}}, "Type mismatch for key sk expected: S actual: N"),
    (item(""), "cannot contain an empty string value. Key: pk"),
    (item("x" * 2049), "Size of hashkey has exceeded"),
    (item("a", due_at={"S": "5"}), "Type mismatch for Index Key due_at Expected: N Actual: S IndexName: due"),
    (item("a", listing_key={"S": ""}), "IndexName: listing, IndexKey: listing_key"),
    (item("a", n={"N": "one"}), "cannot be converted to a numeric value"),
    (item("a", n={"N": "1" * 39}), "cannot be converted to a numeric value"),
    (item("a", s={"SS": ["a", "a"]}), "contains duplicates"),
    (item("a", text={"S": "x" * 409_600}), "Item size has exceeded the maximum allowed size"),
    (item("a", deep=json.loads('{"L": [' * 33 + '{"S": "x"}' + "]}" * 33)), "Nesting Levels"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG_ITEMS)
def test_an_item_that_the_service_refuses_is_refused(client: Any, wrong: dict[str, Any], said: str) -> None:
    refused(lambda: client.put_item(**T, Item=wrong), said)
    good, bad, last = insert(client, item("b"), wrong, item("c"))
    assert "Error" not in good and "Error" not in last
    assert bad["Error"]["Code"] == "ValidationError" and said in bad["Error"]["Message"]
    assert client.scan(**T)["Count"] == 2


def test_an_item_may_have_four_hundred_kilobytes(client: Any) -> None:
    rest = 409_600 - len("pkask" + "s" + "text")
    full, over = item("a", text={"S": "x" * rest}), item("b", text={"S": "x" * (rest + 1)})
    assert ["Error" in answer for answer in insert(client, full, over)] == [False, True]


def test_an_invalid_value_is_refused(client: Any) -> None:
    for value in ({"N": 5}, {"S": None}, {"X": "x"}, {"M": {"a": "b"}}, {"L": "x"}, "x", None):
        with pytest.raises(ParamValidationError):
            client.put_item(**T, Item=item("a", wrong=value))
    for value in ({}, {"S": "a", "N": "1"}):
        wrong = item("a", wrong=value)
        refused(lambda wrong=wrong: client.put_item(**T, Item=wrong), "must contain exactly one of the supported")
    client.put_item(**T, Item=item("a", binary={"B": b"\x00\xff"}, several={"BS": [b"a", b"b"]}))
    found = client.get_item(**T, Key=item("a"))["Item"]
    assert (found["binary"], found["several"]) == ({"B": b"\x00\xff"}, {"BS": [b"a", b"b"]})


# ---- PartiQL --------------------------------------------------------------------------------------------------------


def insert(client: Any, *items: dict[str, Any]) -> list[Any]:
    statements = []
    for one in items:
        names = ", ".join(f"'{name}': ?" for name in one)
        text = f'INSERT INTO "{TABLE_NAME}" VALUE {{{names}}}'
        statements.append({"Statement": text, "Parameters": list(one.values())})
    responses: list[Any] = client.batch_execute_statement(Statements=statements)["Responses"]
    return responses


def test_a_statement_inserts_a_missing_item_only(client: Any) -> None:
    first = item("a", due_shard={"S": "00"}, due_at={"N": "5"}, deep={"M": {"l": {"L": [{"N": "1"}]}}})
    duplicate = {"Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"}}
    done = {"TableName": TABLE_NAME}
    answers = insert(client, first, item("b"), item("a", other={"S": "x"}), item("b"))
    assert answers == [done, done, done | duplicate, done | duplicate]
    assert client.get_item(**T, Key=item("a"))["Item"] == first
    quoted = {
        "Statement": PK_SK.replace("'sk'", "'it''s': ?, 'sk'"),
        "Parameters": [{"S": "c"}, {"S": "x"}, {"S": "s"}],
    }
    client.batch_execute_statement(Statements=[quoted])
    assert client.get_item(**T, Key=item("c"))["Item"]["it's"] == {"S": "x"}


@pytest.mark.parametrize(
    ("text", "parameters", "said"),
    [
        (PK_SK.replace("INSERT INTO", "SELECT * FROM"), 2, "well formed"),
        (PK_SK.replace("?", "NOW()"), 0, "well formed"),
        (PK_SK.replace("'sk'", "'pk'"), 2, "well formed"),
        (PK_SK.replace('"', ""), 2, "well formed"),
        (PK_SK + " x", 2, "well formed"),
        (PK_SK, 1, "Number of parameters"),
        (PK_SK + " " * 8192, 2, "less than or equal to 8192"),
    ],
)
def test_a_malformed_statement_is_refused_with_all_others(client: Any, text: str, parameters: int, said: str) -> None:
    values = [{"S": "a"}, {"S": "s"}]
    good = {"Statement": PK_SK, "Parameters": values}
    wrong = {"Statement": text, **({"Parameters": values[:parameters]} if parameters else {})}
    refused(lambda: client.batch_execute_statement(Statements=[good, wrong]), said)
    refused(lambda: client.batch_execute_statement(Statements=[good] * 26), "less than or equal to 25")
    assert client.scan(**T)["Count"] == 0


def test_a_statement_for_a_missing_table_is_an_error_of_its_own(client: Any) -> None:
    statement = {"Statement": PK_SK.replace(TABLE_NAME, "other"), "Parameters": [{"S": "a"}, {"S": "s"}]}
    (answer,) = client.batch_execute_statement(Statements=[statement])["Responses"]
    assert (answer["Error"]["Code"], answer["TableName"]) == ("ResourceNotFound", "other")


# ---- replacements of moto's own code --------------------------------------------------------------------------------


def pages(client: Any) -> list[Any]:
    """Write two items, and return every page of some queries, by key and by index, in both directions."""
    chance = random.Random(1)
    for number in range(40):
        due = {"due_shard": {"S": "00"}, "due_at": {"N": str(number % 7)}, "v": {"S": "x" * chance.randrange(9)}}
        client.put_item(**T, Item={"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{chance.random()}"}} | due)
    client.put_item(**T, Item=item("alone", n={"N": "1"}, b={"B": b"1"}, m={"M": {"l": {"L": [{"S": "x"}]}}}))
    found: list[Any] = [client.get_item(**T, Key=item(pk)).get("Item") for pk in ("alone", "none")]
    for index, text, values in 2 * (  # the second time in the form of the first
        (None, "pk = :h", {":h": {"S": "p1"}}),
        (None, "pk = :h", {":h": {"S": "none"}}),
        (None, "pk = :h AND sk >= :o", {":h": {"S": "p1"}, ":o": {"S": "0.3"}}),
        ("due", "due_shard = :h AND due_at <= :o", {":h": {"S": "00"}, ":o": {"N": "4"}}),
        ("due", "due_shard = :h AND due_at BETWEEN :o AND :p", {":h": {"S": "00"}, ":o": {"N": "2"}, ":p": {"N": "4"}}),
    ):
        for forward in (True, False):
            wanted = T | {"KeyConditionExpression": text, "ExpressionAttributeValues": values, "Limit": 4}
            wanted |= {"IndexName": index} if index else {"ProjectionExpression": "sk, v, due_at"}
            answers = client.get_paginator("query").paginate(**wanted, ScanIndexForward=forward)
            found += [(answer["Items"], answer.get("LastEvaluatedKey")) for answer in answers]
    return found


def test_reads_from_the_images_find_what_moto_finds_in_the_whole_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with emulated() as client:
        narrow = pages(client)
    monkeypatch.setattr(dynamodb, "REPLACED", {})
    with emulated() as client:
        assert narrow == pages(client)
    assert len(narrow) > 30


UPDATES = (
    "SET n = n + :n", "SET n = if_not_exists(n, :n) + :n, #t = :t", "SET #t = :t REMOVE n", "ADD n :n", "ADD s :s",
    "DELETE s :s", "SET m.l = list_append(m.l, :l)", "SET m.#t = :t, m.l[0] = :t", "REMOVE m.l[1], m.l[0]",
    "SET m = :m", "SET l = list_append(:l, if_not_exists(l, :l)) ADD n :n", "SET n = :n - n", "REMOVE #t, s, m.none",
    "SET pk = :t", "SET n = :n SET l = :l", "SET due_at = :t", "SET m.none.x = :n", "SET n = :none", "SET #none = :n",
    "SET",
)  # fmt: skip
CONDITIONS = (
    None, "attribute_exists(pk)", "attribute_not_exists(pk)", "n = :n", "n < :n OR n > :n", "NOT n <> :n",
    "#t IN (:t, :n)", "contains(s, :e) AND attribute_exists(m.l)", "(n BETWEEN :n AND :o) OR size(m) > :n",
    "begins_with(#t, :t)", "m = :m", "attribute_exists(m.l[0]) AND (#t = :t OR n >= :n)", "n = :none", "#none = :n",
    "n = ", "((n = :n))", "attribute_exists(:n)",
)  # fmt: skip


def writes(client: Any) -> list[Any]:
    """The answers to many updates and puts, many of them refused, and what is stored after each."""
    chance = random.Random(1)
    found: list[Any] = []
    for number in range(800):
        values = {
            ":n": {"N": f"{chance.randrange(3)}"},
            ":o": {"N": "2"},
            ":t": {"S": chance.choice("abc")},
            ":e": {"S": "a"},
            ":s": {"SS": chance.choice([["a"], ["a", "b"]])},
            ":l": {"L": [{"S": "x"}, {"N": "1"}]},
            ":m": {"M": {"l": {"L": [{"S": "y"}, {"BOOL": True}]}, "t": {"NULL": True}}},
        }
        update, condition, key = chance.choice(UPDATES), chance.choice(CONDITIONS), item(chance.choice("pqr"))
        wanted: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
        if number % 7:
            wanted |= {
                "UpdateExpression": update,
                "Key": key,
                "ReturnValues": chance.choice(["NONE", "ALL_NEW", "ALL_OLD"]),
            }
        else:
            wanted["Item"] = key | {name: values[f":{name}"] for name in "nslm" if chance.randrange(2)}
        text = f"{condition} {update if number % 7 else ''}"
        used = {name: value for name, value in values.items() if re.search(rf"{name}\b", text)}
        wanted |= {"ExpressionAttributeValues": used} if used else {}
        wanted |= {"ExpressionAttributeNames": {"#t": "t"}} if "#t" in text else {}
        wanted |= {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if chance.randrange(2) else {}
        try:
            found.append((client.update_item if number % 7 else client.put_item)(**T, **wanted))
        except ClientError as error:
            found.append(error.response)
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:  # moto itself fails
            found.append(repr(error))
        found.append(client.get_item(**T, Key=key))
    return found


@pytest.mark.parametrize("slow", ["moto", "botocore"])
def test_writes_are_answered_as_by_all_of_moto_and_botocore(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with emulated() as client:
        fast = writes(client)
    if slow == "moto":
        others = {name: one for name, one in dynamodb.REPLACED.items() if name not in dynamodb_expressions.REPLACED}
        monkeypatch.setattr(dynamodb, "REPLACED", others)
    else:
        monkeypatch.setattr(Aws, "_skip_botocore", lambda self: None)
    with emulated() as client:
        assert fast == writes(client)
    codes = Counter(one.get("Error", {}).get("Code", "done") if isinstance(one, dict) else one for one in fast[::2])
    assert codes["done"] > 90
    assert codes["ConditionalCheckFailedException"] > 90
    assert codes["ValidationException"] > 90


def test_the_lowest_key_of_an_index_is_known_after_every_write(client: Any) -> None:
    chance = random.Random(1)
    held: dict[str, int] = {}
    for _ in range(300):
        pk, number = f"p{chance.randrange(20)}", chance.randrange(1000)
        key, due = item(pk), {"due_shard": {"S": "00"}, "due_at": {"N": f"{number}"}}
        match chance.randrange(4):
            case 0:
                client.put_item(**T, Item=key | due)
                held[pk] = number
            case 1:
                client.put_item(**T, Item=key)
                held.pop(pk, None)
            case 2:
                values = {":s": due["due_shard"], ":n": due["due_at"]}
                update = "SET due_shard = :s, due_at = :n"
                client.update_item(**T, Key=key, UpdateExpression=update, ExpressionAttributeValues=values)
                held[pk] = number
            case _:
                client.delete_item(**T, Key=key)
                held.pop(pk, None)
        assert changes_of(TABLE_NAME).lowest("due") == min(held.values(), default=None)


def test_an_update_makes_one_stream_record_and_a_failed_one_changes_nothing(client: Any) -> None:
    writes = recorded()

    def update(text: str) -> Any:
        values = {":v": {"N": "1"}, ":t": {"S": text}}
        expression = {"UpdateExpression": "SET v = :v, t = :t", "ExpressionAttributeValues": values}
        return client.update_item(**T, Key=item("a"), **expression)

    for before in (None, item("a", old={"S": "x"})):
        if before is not None:
            client.put_item(**T, Item=before)
            writes.clear()
        refused(lambda: update("x" * 409_600), "Item size has exceeded")
        assert (client.get_item(**T, Key=item("a")).get("Item"), writes) == (before, [])
        update("x")
        assert writes == [(before, (before or item("a")) | {"v": {"N": "1"}, "t": {"S": "x"}})]


def test_a_transaction_that_fails_changes_nothing(client: Any) -> None:
    writes = recorded()

    def put(number: int, **extra: Any) -> dict[str, Any]:
        due = {"due_shard": {"S": "00"}, "due_at": {"N": f"{number}"}}
        return {"Put": T | {"Item": item(f"p{number}", **due), **extra}}

    def due() -> list[str]:
        condition, values = "due_shard = :s", {":s": {"S": "00"}}
        found = client.query(**T, IndexName="due", KeyConditionExpression=condition, ExpressionAttributeValues=values)
        return [one["pk"]["S"] for one in found["Items"]]

    client.transact_write_items(TransactItems=[put(1), put(2)])
    update = {"UpdateExpression": "SET due_at = :n", "ExpressionAttributeValues": {":n": {"N": "9"}}}
    change: list[dict[str, Any]] = [put(3), {"Update": T | {"Key": item("p1")} | update}]
    lost = put(2, ConditionExpression="attribute_not_exists(pk)")
    stored = client.scan(**T)["Items"]
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(TransactItems=[*change, lost])
    assert (due(), len(writes)) == (["p1", "p2"], 2)
    assert (client.scan(**T)["Items"], client.get_item(**T, Key=item("p3")).get("Item")) == (stored, None)
    client.transact_write_items(TransactItems=[*change, {"Delete": T | {"Key": item("p2")}}])
    assert (due(), len(writes)) == (["p3", "p1"], 5)


def test_patches_of_moto_are_undone() -> None:
    from moto.dynamodb.models.table import Table
    from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]

    with emulated():
        assert Table.query.__module__ == dynamodb.__name__
    assert Table.query.__module__ == Table.__module__
    assert UpdateExpressionParser.make.__func__.__module__ == UpdateExpressionParser.__module__
