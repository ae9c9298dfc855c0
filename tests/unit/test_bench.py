"""The small parts of bench/, on which its figures depend."""

import json
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from bench import draw, elsewhere, goals, load, prices, replay, report, stack
from bench.attempt import Counts
from bench.dynamodb_units import Item, Meter, Units, UnknownCost

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


class Items:
    """A client with some items, by partition."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    def get_item(self, *, TableName: str, Key: Item) -> dict[str, Item]:  # noqa: N803  as boto3 has it
        item = self.items.get(Key["pk"]["S"])
        return {} if item is None else {"Item": item}


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
    items, counted = Items(), list[Units]()
    meter = Meter(TABLE, items, lambda operation: True, lambda units, writes: counted.append(units))
    small: Item = {"pk": {"S": "a"}, "sk": {"S": "-"}}
    large: Item = {
        "pk": {"S": "b"}, "sk": {"S": "-"}, "due_shard": {"S": "1"}, "due_at": {"S": "2"}, "text": {"S": "x" * 2000}
    }  # fmt: skip
    context: dict[str, object] = {}
    meter.before(Model("BatchExecuteStatement"), {"body": insert(small, large)}, context)
    items.items = {"a": small, "b": large}
    meter.after(Model("BatchExecuteStatement"), {"Responses": []}, context)
    assert counted == [Units(table_writes=1 + 2, index_writes=1)]


def test_the_cost_of_a_statement_other_than_insert_is_unknown() -> None:
    meter = Meter(TABLE, Items(), lambda operation: True, lambda units, writes: None)
    body = b'{"Statements": [{"Statement": "DELETE FROM \\"T\\" WHERE pk = ?", "Parameters": [{"S": "a"}]}]}'
    with pytest.raises(UnknownCost):
        meter.before(Model("BatchExecuteStatement"), {"body": body}, {})


def test_elsewhere_counts_states_and_actions_as_documented() -> None:
    job = elsewhere.Job(calls=1, attempts=4, retries=3, callbacks=8, deliveries=12, webhooks=16, hours=1.5)
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


def test_a_call_may_start_when_another_ends() -> None:
    def spans(*hours: tuple[int, int]) -> list[tuple[datetime, datetime]]:
        start, end = ([datetime(2026, 1, 26, one[which], tzinfo=UTC) for one in hours] for which in (0, 1))
        return list(zip(start, end, strict=True))

    assert stack.most_at_once(spans((1, 2), (2, 3))) == 1
    assert stack.most_at_once(spans((2, 5), (4, 6), (1, 3))) == 2
    assert stack.most_at_once([]) == 0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)])
def test_percentiles_are_observed_values(share: float, expected: int) -> None:
    assert load.percentile(list(range(100, 0, -1)), share) == expected


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
    answers.end()
    assert (sent["method"], sent["url"], sent["body"]) == ("POST", "http://carrier:80/calls", "hi")


def test_the_picture_of_limits_has_a_bar_for_each_row_of_the_first_table() -> None:
    text = "\n".join(
        [
            *report.table(["limit", "reached at, attempts/s", "raised by"], [["a", "22", "-"], ["b", "1,303", "-"]]),
            *report.table(["function", "ms each"], [["dial", "360"]]),
        ]
    )
    limits = draw.limits_of(text)
    assert limits == {"a": 22, "b": 1303}
    axes = mock.Mock()
    draw.draw_limits(axes, limits)
    assert axes.barh.call_args == mock.call(["a", "b"], [22, 1303], color=["#c0392b", "#2e86c1"])


def _execution(**changes: object) -> dict[str, object]:
    return {"id": "x", "status": "completed", "sequence": 2, "attempts": [{}], "user_number": "+1", **changes}


@pytest.mark.parametrize(
    ("changes", "deliveries", "fault"),
    [
        ({}, [(True, "a", 1), (True, "b", 2), (True, "a", 1)], None),
        ({"status": "queued"}, [(True, "a", 1), (True, "b", 2)], "x is queued"),
        ({"attempts": [{}, {}]}, [(True, "a", 1), (True, "b", 2)], "x: 1 calls for 2 attempts"),
        ({}, [(True, "b", 2), (True, "a", 1)], "x: events [2, 1], of 2"),
        ({}, [(True, "a", 1)], "x: events [1], of 2"),
        ({}, [(True, "a", 1), (False, "b", 2)], "webhook b was not accepted"),
    ],
)
def test_a_finished_run_is_checked_for_lost_and_repeated_calls_and_events(
    changes: dict[str, object], deliveries: list[tuple[bool, str, int]], fault: str | None
) -> None:
    placed = datetime(2026, 1, 26, tzinfo=UTC)
    events = [(accepted, name, {"id": "x", "sequence": sequence}) for accepted, name, sequence in deliveries]
    found = stack.check([_execution(**changes)], [("+1", placed, placed)], events, lines=1)
    assert found.faults[:1] == ([fault] if fault else [])
    assert found.webhooks + found.duplicates == len(deliveries)


def test_numbers_are_aligned_right_and_zero_is_a_dot() -> None:
    assert list(report.table(["a", "b"], [["x", 10], ["long", 0]])) == [
        "| a    |   b |",
        "| ---- | --: |",
        "| x    |  10 |",
        "| long |   · |",
        "",
    ]


def test_lines_between_marks_of_a_document_are_replaced(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    for _ in range(2):
        report.put(document, "a", ["new", "lines"])
    assert document.read_text() == "before\n<!-- a -->\n\nnew\nlines\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="b"):
        report.put(document, "b", ["new"])


def test_a_message_is_three_requests_and_empty_queues_are_polled() -> None:
    counts = Counts("a call")
    counts.invocations.update(dial=1, deliver=2, api=4)
    assert counts.dollars()["SQS"] == pytest.approx(3 * 3 * 0.40 / 1e6)
    assert prices.dollars_of_empty_queues(2, 20) == pytest.approx(2 * 5 * 0.40 / 1e6)


def test_a_goal_is_met_missed_or_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goals, "MEASURED", tmp_path / "folder" / "goals.json")
    assert goals.kept(goals.INGEST, 8000, "make bench-ingest", at_least=True).row()[2:4] == ["–", "not measured"]
    goals.keep(goals.INGEST, 9000, "a million rows")
    goals.keep(goals.STOP, 20, "counted")
    fast = goals.kept(goals.INGEST, 8000, "make bench-ingest", at_least=True)
    assert fast.met and fast.row()[1:4] == ["≥ 8,000", "9,000", "met"]
    slow = goals.kept(goals.STOP, 15, "make bench-batch")
    assert not slow.met and slow.row()[1:4] == ["≤ 15", "20", "**missed**"]
    assert slow.reason.startswith("counted, ")
