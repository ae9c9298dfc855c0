"""The short way to moto's DynamoDB answers exactly as the ordinary way does."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local import dynamodb
from local.aws import Aws
from local.clock import Timeline
from local.lambda_functions import Functions
from local.scheduler import Scheduler
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


@pytest.fixture
def aws() -> Iterator[Aws]:
    timeline = Timeline(datetime(2026, 1, 26, tzinfo=UTC), speed=0)
    functions = Functions(timeline, [], lambda function: lambda event, context: None)
    aws = Aws()
    aws.start(functions, Scheduler(timeline, functions, aws.lock))
    yield aws
    aws.stop()


def answers() -> list[Any]:
    """What the story's requests are answered, errors included."""
    client = boto3.client("dynamodb")
    create_table(client)
    answered = []
    for operation, parameters in STORY:
        try:
            answer = getattr(client, operation)(**parameters)
        except ClientError as error:
            answer = error.response
        metadata = answer.pop("ResponseMetadata")
        answered.append((operation, metadata["HTTPStatusCode"], json.loads(json.dumps(answer, default=str))))
    client.delete_table(TableName=TABLE_NAME)
    return answered


def test_both_ways_give_the_same_answers(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    short_way = dynamodb.answer

    def answer(operation: str, body: bytes) -> bytes | None:
        answered = short_way(operation, body)
        if answered is not None:
            shown.append(operation)
        return answered

    monkeypatch.setattr(dynamodb, "answer", answer)
    short = answers()
    assert len(shown) > 15, "the short way was taken"
    monkeypatch.setattr(dynamodb, "answer", lambda operation, body: None)
    assert short == answers()
    assert [status for _, status, _ in short].count(400) == 8


def test_the_process_is_left_as_it_was() -> None:
    from moto.dynamodb.models.table import Table

    assert Table.query.__module__ == Table.all_items.__module__ == Table.__module__
