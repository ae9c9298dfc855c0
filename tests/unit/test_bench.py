"""The small parts of bench/, on which its figures depend."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from bench import elsewhere, headroom, load, markdown, prices, replay
from bench.dynamodb_units import Item, Meter, Units, UnknownCost

TABLE = {
    "TableName": "T",
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
        statements.append({"Statement": f'INSERT INTO "T" VALUE {{{names}}}', "Parameters": list(item.values())})
    return json.dumps({"Statements": statements}).encode()


def test_items_inserted_by_statements_count_in_the_table_and_its_indexes() -> None:
    items, counted = Items(), list[Units]()
    meter = Meter(TABLE, items, lambda: True, lambda operation, units: counted.append(units))
    small: Item = {"pk": {"S": "a"}, "sk": {"S": "-"}}
    large: Item = {
        "pk": {"S": "b"}, "sk": {"S": "-"}, "due_shard": {"S": "1"}, "due_at": {"S": "2"}, "text": {"S": "x" * 2000}
    }  # fmt: skip
    context: dict[str, object] = {}
    meter.before(Model("BatchExecuteStatement"), {"body": insert(small, large)}, context)
    items.items = {"a": small, "b": large}
    meter.after(Model("BatchExecuteStatement"), {"Responses": []}, context)
    assert counted == [Units(table_writes=1 + 2, index_writes=1)]


def test_a_statement_other_than_insert_has_no_known_cost() -> None:
    meter = Meter(TABLE, Items(), lambda: True, lambda operation, units: None)
    body = b'{"Statements": [{"Statement": "DELETE FROM \\"T\\" WHERE pk = ?", "Parameters": [{"S": "a"}]}]}'
    with pytest.raises(UnknownCost):
        meter.before(Model("BatchExecuteStatement"), {"body": body}, {})


def test_other_platforms_states_and_actions_are_counted() -> None:
    job = elsewhere.Job(calls=1, attempts=4, retries=3, callbacks=8, deliveries=12, webhooks=16, hours=1.5)
    functions, temporal = elsewhere.step_functions(job, 0), elsewhere.temporal_cloud(job, 0)
    assert functions.counted == 4 + 4 + 3 + 12
    assert functions.invocations == 1 + 4 + 12 + 8
    assert temporal.counted == 1 + 4 + 4 + 3 + 12 + 8
    assert functions.dollars > functions.counted * prices.DOLLARS_PER_MILLION_TRANSITIONS / 1e6
    assert temporal.dollars > temporal.counted * prices.DOLLARS_PER_MILLION_ACTIONS / 1e6 * 1.1


def test_less_memory_scales_cpu_time_and_not_waits() -> None:
    whole, half = (
        prices.lambda_seconds(memory, cpu_seconds=0.1, aws_requests=20, carrier=0, webhooks=0)
        for memory in (prices.MB_OF_A_PROCESSOR, prices.MB_OF_A_PROCESSOR // 2)
    )
    assert whole == pytest.approx(0.1 + 0.1)
    assert half == pytest.approx(0.2 + 0.1, rel=0.01)


def test_one_call_may_start_when_another_ends() -> None:
    assert load.most_at_once([("10", "20"), ("20", "30")]) == 1
    assert load.most_at_once([("10", "21"), ("20", "30"), ("05", "11")]) == 2
    assert load.most_at_once([]) == 0


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.9, 90), (0.99, 99), (1.0, 100)])
def test_percentiles_are_observed_values(share: float, expected: int) -> None:
    assert load.percentile(list(range(100, 0, -1)), share) == expected


def test_replayed_reads_match_by_request_and_writes_by_order() -> None:
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


def test_a_replayed_connection_has_its_answer_and_records_the_request() -> None:
    answers = replay.Answers({"aws": [], "http": [[201, "made"]]})
    with answers.connect("127.0.0.1", 80) as connection:
        connection.sendall(b"POST /calls HTTP/1.1\r\nhost: carrier:80\r\ncontent-length: 2\r\n\r\nhi")
        assert connection.recv(4096).endswith(b"\r\n\r\nmade")
        (sent,) = answers.sent()
    answers.end()
    assert (sent["method"], sent["url"], sent["body"]) == ("POST", "http://carrier:80/calls", "hi")


def test_the_picture_of_limits_is_svg_with_a_bar_for_each() -> None:
    found = [headroom.Limit("one & only", 1000, 2.0, ""), headroom.Limit("other", 10, 20.0, "")]
    picture = ElementTree.fromstring(headroom.picture(found))  # noqa: S314  our own
    bars = [one for one in picture.iter("{http://www.w3.org/2000/svg}rect") if one.get("height") == "16"]
    widths = [float(bar.get("width", 0)) for bar in bars]
    assert len(widths) == 2
    assert widths[0] > widths[1] > 0


def test_numbers_are_right_aligned_and_zero_is_a_dot() -> None:
    assert list(markdown.table(["a", "b"], [["x", 10], ["long", 0]])) == [
        "| a    |   b |",
        "| ---- | --: |",
        "| x    |  10 |",
        "| long |   · |",
    ]


def test_measurements_replace_the_marked_part_of_a_document(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n")
    for _ in range(2):
        markdown.put(document, "a", ["new", "lines"])
    assert document.read_text() == "before\n<!-- a -->\n\nnew\nlines\n\n<!-- /a -->\nafter\n"
    with pytest.raises(ValueError, match="b"):
        markdown.put(document, "b", ["new"])
