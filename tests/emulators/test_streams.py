"""The emulated DynamoDB Streams: order, batches, windows, retries and duplicates."""

import json
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.aws import streams
from local.aws.functions import Function, Invoker
from local.aws.queues import Queues
from local.aws.requests import Aws, OutsideRequest
from local.aws.scheduler import Scheduler
from local.aws.streams import Stream, StreamMapping, check_pattern
from local.clock import Timeline
from local.stack import LocalStack
from tests.support.local_stack import NOON, local_stack
from tests.support.table import TABLE_NAME, create_table

ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE_NAME}/stream/2026-01-01T00:00:00.000"
READER = Function("Reader", "reader", "none", timeout_seconds=60)


class World:
    """A table, its stream and one function that reads it. `events` are the events that the function has accepted."""

    def __init__(self, **mapping: Any) -> None:
        options = {name: mapping.pop(name) for name in ("seed", "duplicates") if name in mapping}
        self.clock = Timeline(datetime(2026, 1, 26, 12, 0, tzinfo=UTC), speed=0)
        self.functions = Invoker(self.clock, [READER], lambda function: self._handle)
        self.aws = Aws()
        self.events: list[dict[str, Any]] = []
        self.tries: list[tuple[datetime, dict[str, Any]]] = []
        self.client: Any = None
        self.handler: Callable[[dict[str, Any]], Any] = lambda event: {"state": event.get("state")}
        self.stream = Stream(
            self.clock, self.functions, StreamMapping(READER, ARN, **mapping), **{"duplicates": 0.0, **options}
        )

    def _handle(self, event: dict[str, Any], context: Any) -> Any:
        self.tries.append((self.clock.now(), event))
        result = self.handler(event)
        self.events.append(event)
        return result

    def put(self, pk: str, **attributes: str) -> None:
        values = {name: {"S": value} for name, value in attributes.items()}
        self.client.put_item(TableName=TABLE_NAME, Item={"pk": {"S": pk}, "sk": {"S": "s"}, **values})

    def after(self, seconds: float) -> list[dict[str, Any]]:
        """All records that the function has accepted after `seconds`."""
        self.clock.advance(seconds / 60)
        return self.records

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for event in self.events for record in event["Records"]]

    def seen(self) -> dict[str, list[str]]:
        """The values of each item's attribute `n` in order of arrival, by partition key."""
        seen: dict[str, list[str]] = defaultdict(list)
        for record in self.records:
            change = record["dynamodb"]
            seen[change["Keys"]["pk"]["S"]].append(change["NewImage"]["n"]["S"])
        return seen


@contextmanager
def world(**mapping: Any) -> Iterator[World]:
    made = World(**mapping)
    queues = Queues(made.clock, made.functions, [], made.aws.lock)
    made.aws.start(made.functions, Scheduler(made.clock, made.functions, queues, made.aws.lock), queues)
    try:
        made.client = boto3.client("dynamodb")
        create_table(made.client)
        made.client.put_item(TableName=TABLE_NAME, Item={"pk": {"S": "before"}, "sk": {"S": "s"}})
        made.stream.follow(TABLE_NAME)
        made.clock.start()
        yield made
        assert made.clock.failures == []
    finally:
        made.clock.stop()
        made.aws.stop()


def test_a_record_has_the_keys_and_both_images() -> None:
    with world() as made:
        key = {"pk": {"S": "a"}, "sk": {"S": "s"}}
        made.client.put_item(TableName=TABLE_NAME, Item=key | {"n": {"N": "1"}, "m": {"M": {"x": {"L": [{"S": "ü"}]}}}})
        made.client.update_item(
            TableName=TABLE_NAME,
            Key=key,
            UpdateExpression="SET n = n + :one REMOVE m.x",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        made.client.delete_item(TableName=TABLE_NAME, Key=key)
        inserted, modified, removed = made.after(1)
        first = key | {"n": {"N": "1"}, "m": {"M": {"x": {"L": [{"S": "ü"}]}}}}
        second = key | {"n": {"N": "2"}, "m": {"M": {}}}
        assert [one["eventName"] for one in (inserted, modified, removed)] == ["INSERT", "MODIFY", "REMOVE"]
        assert (inserted["dynamodb"]["NewImage"], "OldImage" in inserted["dynamodb"]) == (first, False)
        assert (modified["dynamodb"]["OldImage"], modified["dynamodb"]["NewImage"]) == (first, second)
        assert (removed["dynamodb"]["OldImage"], "NewImage" in removed["dynamodb"]) == (second, False)
        assert removed["dynamodb"]["Keys"] == key
        assert removed["dynamodb"]["ApproximateCreationDateTime"] == 1769428800
        assert removed["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert removed["dynamodb"]["SequenceNumber"].isdigit() and len(removed["dynamodb"]["SequenceNumber"]) >= 21
        assert removed["dynamodb"]["SizeBytes"] > 0
        del removed["dynamodb"], removed["eventID"], removed["eventName"]
        assert removed == {
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
            "awsRegion": "us-east-1",
            "eventSourceARN": ARN,
        }
        assert set(made.events[0]) == {"Records"}, "without windows, an event holds records alone"
        assert len({one["eventID"] for one in made.records if "eventID" in one}) == 2


def test_a_write_that_changes_nothing_makes_no_record_and_a_new_item_makes_one() -> None:
    with world() as made:
        for _ in range(2):
            made.put("a", n="1")
        made.client.update_item(
            TableName=TABLE_NAME,
            Key={"pk": {"S": "b"}, "sk": {"S": "s"}},
            UpdateExpression="ADD n :one",  # moto creates the item first and then changes it
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        made.client.delete_item(TableName=TABLE_NAME, Key={"pk": {"S": "none"}, "sk": {"S": "s"}})
        records = made.after(1)
        assert sorted((one["eventName"], one["dynamodb"]["Keys"]["pk"]["S"]) for one in records) == [
            ("INSERT", "a"),
            ("INSERT", "b"),
        ]
        assert all(len(one["dynamodb"]["NewImage"]) == 3 for one in records)


def test_every_kind_of_write_makes_a_record_unless_it_is_rolled_back() -> None:
    def put(pk: str, **extra: Any) -> dict[str, Any]:
        return {"Put": {"TableName": TABLE_NAME, "Item": {"pk": {"S": pk}, "sk": {"S": "s"}}, **extra}}

    with world() as made:
        made.client.batch_write_item(RequestItems={TABLE_NAME: [{"PutRequest": {"Item": put("a")["Put"]["Item"]}}]})
        statement = f"INSERT INTO \"{TABLE_NAME}\" VALUE {{'pk': ?, 'sk': ?}}"
        made.client.batch_execute_statement(
            Statements=[{"Statement": statement, "Parameters": [{"S": "b"}, {"S": "s"}]}]
        )
        made.client.transact_write_items(TransactItems=[put("c"), put("d")])
        made.client.batch_write_item(
            RequestItems={TABLE_NAME: [{"DeleteRequest": {"Key": {"pk": {"S": "a"}, "sk": {"S": "s"}}}}]}
        )
        with pytest.raises(ClientError, match="TransactionCanceled"):
            made.client.transact_write_items(
                TransactItems=[put("e"), put("c", ConditionExpression="attribute_not_exists(pk)")]
            )
        assert "Item" not in made.client.get_item(TableName=TABLE_NAME, Key={"pk": {"S": "e"}, "sk": {"S": "s"}})
        made.put("f")
        names = [(one["eventName"], one["dynamodb"]["Keys"]["pk"]["S"]) for one in made.after(1)]
        assert sorted(names) == [("INSERT", one) for one in "abcdf"] + [("REMOVE", "a")]


def test_records_of_an_item_are_in_order_across_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RECORDS_PER_SHARD", 40)
    with world(batch_size=7, window_seconds=1, tumbling_seconds=60, seed=5) as made:
        first_ids = made.stream.shard_ids()
        for number in range(100):
            for item in range(10):
                made.put(f"item {item}", n=str(number))
            if number % 9 == 0:
                made.clock.advance(0.5)
        made.after(120)
        assert dict(made.seen()) == {f"item {item}": [str(number) for number in range(100)] for item in range(10)}
        numbers: dict[str, list[int]] = defaultdict(list)
        shards: dict[str, list[str]] = defaultdict(list)
        for event in made.events:
            for record in event["Records"]:
                numbers[event["shardId"]].append(int(record["dynamodb"]["SequenceNumber"]))
                of_item = shards[record["dynamodb"]["Keys"]["pk"]["S"]]
                if event["shardId"] not in of_item[-1:]:
                    of_item.append(event["shardId"])
        assert len(numbers) > 15, "shards have ended"
        assert all(earlier < later for one in numbers.values() for earlier, later in pairwise(one))
        assert all(len(one) == len(set(one)) for one in shards.values()), "an item never comes back to a shard"
        firsts = [one[0] for one in numbers.values()]
        assert firsts != sorted(firsts), "numbers of two shards say nothing"
        assert set(first_ids) <= set(numbers) and set(made.stream.shard_ids()).isdisjoint(first_ids)
        assert all(one.startswith("shardId-0000000154162609") and len(one) == 37 for one in numbers)
        assert made.stream.waiting() == 0


def test_a_batch_is_delivered_when_it_is_full_or_its_window_is_over() -> None:
    with world(batch_size=5, window_seconds=10) as made:
        for number in range(3):
            made.put("a", n=str(number))
        assert made.after(9) == []
        made.put("a", n="3")
        assert len(made.after(1)) == 4, "ten seconds after the first record"
        for number in range(12):
            made.put("a", n=f"1{number}")
        made.clock.settle()
        assert [len(event["Records"]) for event in made.events] == [4, 5, 5], "a full batch does not wait"
        made.after(10)
        assert [len(event["Records"]) for event in made.events] == [4, 5, 5, 2]


def test_a_batch_fits_into_one_invocation() -> None:
    with world(batch_size=1000, window_seconds=1) as made:
        for number in range(30):
            made.put("a", n=str(number), text="x" * 300_000)
        made.after(60)
        assert made.seen()["a"] == [str(number) for number in range(30)]
        assert len(made.events) > 2
        assert all(len(json.dumps(event)) <= 6_291_456 for event in made.events)


def test_a_shard_has_one_invocation_at_a_time() -> None:
    with world(batch_size=1) as made:
        running: set[str] = set()
        most = [0]

        def handle(event: dict[str, Any]) -> None:
            item = event["Records"][0]["dynamodb"]["Keys"]["pk"]["S"]
            assert item not in running
            running.add(item)
            most[0] = max(most[0], len(running))
            made.functions.sleep(5)
            running.discard(item)

        made.handler = handle
        for number in range(3):
            for item in range(8):
                made.put(f"item {item}", n=str(number))
        made.after(200)
        assert made.functions.failures == []
        assert all(one == ["0", "1", "2"] for one in made.seen().values()) and len(made.seen()) == 8
        assert most[0] > 1, "shards are read side by side"


def test_a_failed_batch_is_retried_and_blocks_only_its_shard() -> None:
    with world(batch_size=10, window_seconds=1, tumbling_seconds=900) as made:
        broken = [4]

        def handle(event: dict[str, Any]) -> Any:
            if any("bad" in record["dynamodb"]["NewImage"] for record in event["Records"]) and broken[0]:
                broken[0] -= 1
                raise ValueError("not now")
            return {"state": {}}

        made.handler = handle
        made.put("a", n="0", bad="x")
        for number in range(1, 4):
            made.put("a", n=str(number))
        for item in range(20):
            made.put(f"item {item}", n="0")
        made.after(2)
        shard = made.tries[0][1]["shardId"] if "bad" in json.dumps(made.tries[0][1]) else None
        shard = shard or next(event["shardId"] for _, event in made.tries if '"bad"' in json.dumps(event))
        assert {event["shardId"] for event in made.events}.isdisjoint({shard}) and len(made.events) == 3
        made.put("a", n="4")
        made.after(60)
        assert made.seen()["a"] == ["0", "1", "2", "3", "4"]
        failed = [(at, event) for at, event in made.tries if event["shardId"] == shard][:5]
        assert len({json.dumps(event) for _, event in failed}) == 1, "the same batch each time"
        waits = [(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(failed)]
        assert waits == [1, 2, 5, 10]
        assert len(made.functions.failures) == 4 and made.functions.dead_letters == []


def test_a_failed_batch_is_bisected_down_to_the_bad_record() -> None:
    with world(batch_size=8, window_seconds=1, bisect=True, max_retries=6) as made:

        def handle(event: dict[str, Any]) -> None:
            if any(record["dynamodb"]["NewImage"]["n"]["S"] == "5" for record in event["Records"]):
                raise ValueError("never")

        made.handler = handle
        for number in range(12):
            made.put("a", n=str(number))
        made.after(3600)
        assert made.seen()["a"] == [str(number) for number in range(12) if number != 5]
        (letter,) = made.functions.dead_letters
        assert (letter.function, letter.event["batchSize"], letter.error["errorType"]) == ("reader", 1, "ValueError")


def test_records_too_old_are_given_up() -> None:
    with world(window_seconds=1, max_age_seconds=60) as made:
        broken = [True]

        def handle(event: dict[str, Any]) -> None:
            if broken[0]:
                raise ValueError("not now")

        made.handler = handle
        made.put("a", n="0")
        made.after(50)
        made.put("a", n="1")
        made.after(30)
        broken[0] = False
        made.after(120)
        assert made.seen()["a"] == ["1"]
        (letter,) = made.functions.dead_letters
        assert (letter.error["errorType"], letter.event["batchSize"]) == ("RecordAgeExceeded", 1)


@pytest.mark.parametrize("seed", range(3))
def test_batches_may_be_delivered_again_with_other_boundaries(seed: int) -> None:
    def story() -> list[tuple[str, list[str]]]:
        with world(batch_size=10, window_seconds=1, tumbling_seconds=60, duplicates=0.5, seed=seed) as made:
            for number in range(60):
                for item in range(4):
                    made.put(f"item {item}", n=str(number))
                made.clock.advance(0.01)
            made.after(300)
            for came in made.seen().values():
                first_times = list(dict.fromkeys(came))
                assert first_times == [str(number) for number in range(60)], "what is new comes in order"
                assert all(int(later) <= int(earlier) + 1 for earlier, later in pairwise(came)), "nothing is left out"
                assert len(came) > 60
            return [
                (event["shardId"], [record["dynamodb"]["SequenceNumber"] for record in event["Records"]])
                for event in made.events
            ]

    events = story()
    by_first = defaultdict(set)
    for shard, numbers in events:
        if numbers:
            by_first[shard, numbers[0]].add(len(numbers))
    assert any(len(lengths) > 1 for lengths in by_first.values()), "other boundaries"
    assert story() == events, "one seed, one story"


def test_a_window_keeps_its_state_and_ends_with_a_final_invocation() -> None:
    with world(batch_size=2, window_seconds=1, tumbling_seconds=60) as made:
        made.clock.advance(0.5)  # to 12:00:30
        made.handler = lambda event: {"state": {"count": event["state"].get("count", 0) + len(event["Records"])}}
        for number in range(5):
            made.put("a", n=str(number))
        made.after(29)
        assert [event["state"] for event in made.events] == [{}, {"count": 2}, {"count": 4}]
        assert [event["isFinalInvokeForWindow"] for event in made.events] == [False] * 3
        made.after(1)
        last = made.events[-1]
        assert last["isFinalInvokeForWindow"] and last["state"] == {"count": 5} and last["Records"] == []
        assert last["window"] == {"start": "2026-01-26T12:00:00Z", "end": "2026-01-26T12:01:00Z"}
        assert last["isWindowTerminatedEarly"] is False and last["eventSourceARN"] == ARN
        assert last["shardId"] == made.events[0]["shardId"]
        made.put("a", n="5")
        made.after(600)
        assert [(event["state"], event["isFinalInvokeForWindow"]) for event in made.events[4:]] == [
            ({}, False),
            ({"count": 1}, True),
        ]
        assert made.events[4]["window"]["start"] == "2026-01-26T12:01:00Z"


def test_a_record_does_not_wait_for_the_end_of_its_window() -> None:
    with world(batch_size=100, window_seconds=1, tumbling_seconds=900) as made:
        for number in range(3):
            made.put("a", n=str(number))
            made.after(2)
            assert len(made.events) == number + 1


def test_records_of_two_windows_are_in_two_batches() -> None:
    with world(batch_size=100, window_seconds=10, tumbling_seconds=60) as made:
        made.clock.advance(55 / 60)
        made.put("a", n="0")
        made.clock.advance(6 / 60)
        made.put("a", n="1")
        made.after(30)
        assert [
            (len(event["Records"]), event["isFinalInvokeForWindow"], event["window"]["start"][11:16])
            for event in made.events
        ] == [(1, False, "12:00"), (0, True, "12:00"), (1, False, "12:01")]


def test_a_function_must_return_its_state_in_a_window() -> None:
    with world(tumbling_seconds=60) as made:
        answers: list[Any] = [None, {}, {"state": 1}, {"state": {}}]
        made.handler = lambda event: answers.pop(0) if answers else {"state": {}}
        made.put("a", n="0")
        made.after(30)
        assert len(made.tries) == 4 and made.stream.waiting() == 0
        assert "must return" in made.functions.failures[0][1].payload["errorMessage"]


def test_a_killed_function_is_invoked_again() -> None:
    class CutOff(BaseException):
        pass

    with world() as made:
        seen: list[OutsideRequest] = []

        def hook(request: OutsideRequest) -> None:
            if request.invocation is not None:
                seen.append(request)
                if len(seen) == 1:
                    raise CutOff("here")

        def handle(event: dict[str, Any]) -> None:
            made.client.get_item(TableName=TABLE_NAME, Key={"pk": {"S": "a"}, "sk": {"S": "s"}})

        made.handler = handle
        made.aws.hooks.append(hook)
        made.put("a", n="0")
        made.after(5)
        assert made.seen()["a"] == ["0"]
        ((invocation, failure),) = made.functions.failures
        assert isinstance(invocation.gone, CutOff) and failure.payload["errorType"] == "CutOff"


def test_only_records_that_match_a_filter_are_delivered() -> None:
    prefix = {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "X#"}]}}, "NewImage": {"ba": {"S": [{"exists": True}]}}}}
    removed = {"eventName": ["REMOVE", "OTHER"], "dynamodb": {"OldImage": {"ba": {"S": ["b", "c"]}}}}
    with world(filters=(prefix, removed)) as made:
        made.put("X#1", ba="b")
        made.put("X#2", other="b")
        made.put("Y#1", ba="b")
        made.put("Y#2", ba="d")
        for pk in ("X#1", "X#2", "Y#1", "Y#2"):
            made.client.delete_item(TableName=TABLE_NAME, Key={"pk": {"S": pk}, "sk": {"S": "s"}})
        came = [(record["eventName"], record["dynamodb"]["Keys"]["pk"]["S"]) for record in made.after(1)]
        assert sorted(came) == [("INSERT", "X#1"), ("REMOVE", "X#1"), ("REMOVE", "Y#1")]


@pytest.mark.parametrize(
    "pattern",
    [
        [],
        {},
        {"eventName": "INSERT"},
        {"eventName": []},
        {"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">", 1]}]}}}},
        {"dynamodb": {"NewImage": {"n": {"S": [{"exists": False}]}}}},
        {"dynamodb": {"NewImage": {"n": {"S": [{"prefix": 1}]}}}},
        {"eventName": [{"anything-but": "INSERT"}]},
    ],
)
def test_other_filters_are_not_emulated(pattern: Any) -> None:
    with pytest.raises(ValueError):
        check_pattern(pattern)


def test_records_are_removed_once_the_function_has_accepted_them() -> None:
    with world() as made:
        for number in range(50):
            made.put("a", n=str(number))
        made.after(1)
        assert made.stream.waiting() == 0


SMALL = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: redial
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: stream_reader
      Handler: handler.handler
      Environment:
        Variables: {TABLE_NAME: !Ref Table, POWERTOOLS_METRICS_NAMESPACE: Redial, POWERTOOLS_SERVICE_NAME: redial}
      Events:
        Changes:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 60}
"""


def test_the_templates_functions_read_the_templates_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, Any]] = []

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        events.append(event)
        return {"state": {}}

    module = types.ModuleType("stream_reader.handler")
    module.handler = handler  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stream_reader", types.ModuleType("stream_reader"))
    monkeypatch.setitem(sys.modules, "stream_reader.handler", module)
    (tmp_path / "template.yaml").write_text(SMALL)
    options: dict[str, Any] = {"start_at": NOON, "first_agent": False, "stream_duplicates": 0.25}
    with LocalStack(template=tmp_path / "template.yaml", **options) as stack:
        (stream,) = stack.streams
        assert (stream.duplicates, stream.mapping.tumbling_seconds) == (0.25, 60)
        client = boto3.client("dynamodb")
        client.put_item(TableName="redial", Item={"pk": {"S": "X#1"}, "sk": {"S": "X"}})
        stack.clock.advance(2)
    records = [record["dynamodb"] for event in events for record in event["Records"]]
    assert {"pk": {"S": "X#1"}, "sk": {"S": "X"}} in [record["NewImage"] for record in records]
    assert "OldImage" not in json.dumps(records)
    assert {event["eventSourceARN"] for event in events} == {
        "arn:aws:dynamodb:us-east-1:123456789012:table/redial/stream/2026-01-01T00:00:00.000"
    }
    assert stack.clock.now() - NOON == timedelta(minutes=2)


def test_the_repositorys_stream_is_read() -> None:
    with local_stack() as client:
        assert [stream.mapping.function.module for stream in client.stack.streams] == ["functions.tally.handler"]
