"""The small parts of bench/ on which its figures depend."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from bench import draw, elsewhere, prices, replay, report, stack
from bench.attempt import Counts
from bench.dynamodb_units import Item, Meter, Units, UnknownCost
from bench.goals import Goal
from local.aws.dynamodb import Image

TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "due",
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
}


class Model:
    def __init__(self, name: str) -> None:
        self.name = name


def insert(*items: Item) -> bytes:
    statements = []
    for item in items:
        names = ", ".join(f"'{name}': ?" for name in item)
        statements.append({"Statement": f'INSERT INTO "items" VALUE {{{names}}}', "Parameters": list(item.values())})
    return json.dumps({"Statements": statements}).encode()


def test_inserted_items_cost_units_of_the_table_and_of_its_indexes() -> None:
    images, counted = dict[tuple[str, str], Image](), list[Units]()
    meter = Meter(TABLE, images, lambda: True, lambda units, writes: counted.append(units))
    small: Item = {"pk": {"S": "a"}, "sk": {"S": "-"}}
    large: Item = {
        "pk": {"S": "b"}, "sk": {"S": "-"}, "due_shard": {"S": "1"}, "due_at": {"S": "2"}, "text": {"S": "x" * 2000}
    }  # fmt: skip
    context: dict[str, object] = {}
    meter.before(Model("BatchExecuteStatement"), {"body": insert(small, large)}, context)
    images.update({("a", "-"): Image(small), ("b", "-"): Image(large)})
    meter.after(Model("BatchExecuteStatement"), {"Responses": []}, context)
    assert counted == [Units(table_writes=1 + 2, index_writes=1)]


@pytest.mark.parametrize(
    ("request_", "parsed", "units"),
    [
        ({}, {"Items": [{"pk": {"S": "a"}, "sk": {"S": "1"}}, {"pk": {"S": "a"}, "sk": {"S": "2"}}]}, 1.0),
        ({"ConsistentRead": True}, {"Items": [{"pk": {"S": "a"}, "sk": {"S": "1"}}]}, 1.0),
        ({"IndexName": "due"}, {"Items": [{"pk": {"S": "a"}, "sk": {"S": "1"}}]}, 0.5),
        ({}, {"Items": []}, 0.5),
    ],
    ids=["two items of 3 KB", "consistent", "of an index: its keys only", "nothing found"],
)
def test_a_query_costs_the_items_that_it_finds(request_: Item, parsed: dict[str, Any], units: float) -> None:
    images = {("a", nth): Image({"pk": {"S": "a"}, "sk": {"S": nth}, "text": {"S": "x" * 3000}}) for nth in "12"}
    counted: list[Units] = []
    meter = Meter(TABLE, images, lambda: True, lambda units, writes: counted.append(units))
    context: dict[str, object] = {}
    meter.before(Model("Query"), {"body": json.dumps(request_)}, context)
    meter.after(Model("Query"), parsed, context)
    assert counted == [Units(reads=units)]


def test_the_cost_of_other_requests_is_unknown() -> None:
    meter = Meter(TABLE, {}, lambda: True, lambda units, writes: None)
    with pytest.raises(UnknownCost):
        meter.before(Model("TransactWriteItems"), {"body": "{}"}, {})
    context: dict[str, object] = {}
    meter.before(Model("Query"), {"body": '{"FilterExpression": "a = b"}'}, context)
    with pytest.raises(UnknownCost):
        meter.after(Model("Query"), {"Items": []}, context)


def test_elsewhere_counts_states_and_actions_as_documented() -> None:
    job = elsewhere.Job(calls=1, attempts=4, retries=3, callbacks=8, deliveries=12, webhooks=16)
    functions, durable, temporal = (service(job, 0) for service in elsewhere.SERVICES.values())
    assert functions.counted == 4 + 4 + 3 + 12
    assert functions.invocations == 1 + 4 + 12 + 8
    assert durable.counted == 1 + 4 + 8 + 3 + 12
    assert durable.invocations == 2 * (1 + 8) + 3
    assert temporal.counted == 1 + 4 + 4 + 3 + 12 + 8
    assert functions.dollars > functions.counted * prices.DOLLARS_PER_MILLION_TRANSITIONS / 1e6
    assert durable.dollars > durable.counted * prices.DOLLARS_PER_MILLION_DURABLE_OPERATIONS / 1e6
    assert temporal.dollars > temporal.counted * prices.DOLLARS_PER_MILLION_ACTIONS / 1e6 * 1.1


def test_less_memory_stretches_processor_time_but_not_waiting() -> None:
    whole, half = (
        prices.lambda_seconds(memory, cpu_seconds=0.1, aws_requests=20, carrier=0, webhooks=0)
        for memory in (prices.MB_OF_A_PROCESSOR, prices.MB_OF_A_PROCESSOR // 2)
    )
    assert whole == pytest.approx(0.1 + 0.1)
    assert half == pytest.approx(0.2 + 0.1, rel=0.01)


def test_recorded_reads_are_answered_by_content_and_writes_in_order() -> None:
    def asked(body: str) -> AWSPreparedRequest:
        return AWSPreparedRequest("POST", "https://aws", HTTPHeaders(), body.encode(), False)

    recorded = [
        ["dynamodb.GetItem", "a", 200, {}, "first a"],
        ["dynamodb.GetItem", "b", 200, {}, "b"],
        ["dynamodb.GetItem", "a", 200, {}, "second a"],
        ["dynamodb.PutItem", "as it was", 200, {}, "stored"],
    ]
    answers = replay.Answers({"aws": recorded, "http": []})
    got = [
        b"".join(answers.aws(asked(body), f"before-send.dynamodb.{operation}").raw.stream())
        for operation, body in (("GetItem", "b"), ("GetItem", "a"), ("PutItem", "as it is"), ("GetItem", "a"))
    ]
    assert got == [b"b", b"first a", b"stored", b"second a"]
    with pytest.raises(LookupError):
        answers.aws(asked("c"), "before-send.dynamodb.GetItem")


def test_a_connection_holds_its_answer_and_records_the_request() -> None:
    answers = replay.Answers({"aws": [], "http": [[201, "made"]]})
    with answers.connect("127.0.0.1", 80) as connection:
        connection.sendall(b"POST /calls HTTP/1.1\r\nhost: carrier:80\r\ncontent-length: 2\r\n\r\nhi")
        assert connection.recv(4096).endswith(b"\r\n\r\nmade")
        (sent,) = answers.sent()
    answers.connections[0].close()
    assert (sent["method"], sent["url"], sent["body"]) == ("POST", "http://carrier:80/calls", "hi")


def test_the_picture_of_limits_has_a_bar_for_each_row_of_the_first_table() -> None:
    tables = [
        report.table(["limit", "reached at, attempts/s", "raised by"], [["a", "22", "-"], ["b", "1,303", "-"]]),
        report.table(["function", "ms each"], [["dial", "360"]]),
    ]
    limits = draw.limits_of("\n\n".join(tables))
    assert limits == {"a": 22, "b": 1303}
    axes = mock.Mock()
    draw.draw_limits(axes, limits)
    assert axes.barh.call_args == mock.call(["a", "b"], [22, 1303], color=["#c0392b", "#2e86c1"])


EXECUTION = {"id": "00000000-0000-4000-8000-000000000001", "status": "completed", "sequence": 2, "attempts": [{}]}


@pytest.mark.parametrize(
    ("changes", "deliveries", "called", "fault"),
    [
        ({}, [("a", 1, 200), ("b", 2, 200), ("a", 1, 200)], [1], None),
        ({"status": "queued"}, [("a", 1, 200), ("b", 2, 200)], [1], "is queued"),
        ({"attempts": [{}, {}]}, [("a", 1, 200), ("b", 2, 200)], [1], "0 calls for attempt 2, not 1"),
        ({}, [("a", 1, 200), ("b", 2, 200)], [1, 1], "2 calls for attempt 1, not 1"),
        ({}, [("a", 1, 200), ("b", 2, 200)], [1, 2], "1 calls for attempt 2, not 0"),
        ({}, [("b", 2, 200), ("a", 1, 200)], [1], "events [2, 1], of 2"),
        ({}, [("a", 1, 200)], [1], "events [1], of 2"),
        ({}, [("a", 1, 200), ("b", 2, 500)], [1], "webhook b was not accepted"),
    ],
)
def test_a_finished_run_is_checked_for_lost_and_repeated_calls_and_events(
    changes: dict[str, Any], deliveries: list[tuple[str, int, int]], called: list[int], fault: str | None
) -> None:
    calls: list[Any] = [
        SimpleNamespace(request=SimpleNamespace(status_callback=f"http://a/twilio/{EXECUTION['id']}/{attempt}#rc=2"))
        for attempt in called
    ]
    posted: list[Any] = [
        SimpleNamespace(
            headers={"webhook-id": name}, verified=True, answered=status, body={**EXECUTION, "sequence": sequence}
        )
        for name, sequence, status in deliveries
    ]
    found = stack.check([{**EXECUTION, **changes}], calls, posted)
    assert [one.endswith(fault or "") for one in found.faults] == ([True] if fault else [])
    assert found.webhooks + found.repeated == len(deliveries)


def test_numbers_are_aligned_right_and_zero_is_a_dot() -> None:
    assert report.table(["a", "b"], [["x", 10], ["long", 0]]).splitlines() == [
        "| a    |   b |",
        "| ---- | --: |",
        "| x    |  10 |",
        "| long |   · |",
    ]


def test_lines_between_marks_of_a_document_are_replaced(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    for _ in range(2):
        report.put(document, "a", ["new", "blocks"])
    assert document.read_text() == "before\n<!-- a -->\n\nnew\n\nblocks\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="b"):
        report.put(document, "b", ["new"])


def test_a_message_is_three_requests_and_empty_queues_are_polled() -> None:
    counts = Counts("a call")
    counts.invocations.update(dial=1, deliver=2, api=4)
    assert counts.dollars()["SQS"] == pytest.approx(3 * 3 * 0.40 / 1e6)
    assert prices.dollars_of_empty_queues(2, 20) == pytest.approx(2 * 5 * 0.40 / 1e6)


def test_a_goal_is_met_or_missed() -> None:
    assert Goal("a", 10, 10.0).row() == ["a", "10", "10", "met", ""]
    assert Goal("b", 0.3, 0.5, "slow").row() == ["b", "0.3", "0.5", "**missed**", "slow"]
