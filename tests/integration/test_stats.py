"""`GET /stats/retries`: the counts of calls, for those who may see them."""

import zlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from redial.adapters.dynamodb.statistics import DynamoStatistics
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack
from tests.support.samples import TEN
from tests.support.table import TABLE_NAME, create_table

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

SAN_FRANCISCO, NEW_YORK = "+14155550123", "+12125550124"


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        client.script(SAN_FRANCISCO, "no-answer", "voicemail", "completed")
        client.script(NEW_YORK, "busy", "busy", "busy", "busy")
        retries = {"enabled": True, "retry_on_voicemail": True, "retry_intervals_minutes": [5, 20, 90]}
        agent = {"agent_config": {"voicemail_detection": True}}
        client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", agent)
        for number in (SAN_FRANCISCO, NEW_YORK):
            client.call(number, retry_config=retries)
        client.advance(180)
        yield client
        client.assert_sound()


def stats(client: LocalClient, query: str = "") -> dict[str, Any]:
    answer = client.api("GET", f"/stats/retries{query}")
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json
    return found


def test_attempts_answers_and_reach_by_attempt(client: LocalClient) -> None:
    found = stats(client)
    assert (found["contacts"], found["attempts"], found["answers"], found["calls_per_answer"]) == (2, 7, 1, 7.0)
    assert found["outcomes"] == {"answered": 1, "voicemail": 1, "no-answer": 1, "busy": 4}
    assert [(one["attempt"], one["contacts"], one["reached"]) for one in found["reach"]] == [
        (1, 2, 0),
        (2, 2, 0),
        (3, 2, 1),
        (4, 2, 1),
    ]
    third = next(one for one in found["by_attempt"] if one["value"] == "3")
    assert third == {
        "value": "3",
        "attempts": 2,
        "answers": 1,
        "rate": 0.5,
        "interval": [0.0945, 0.9055],
        "outcomes": {"answered": 1, "busy": 1},
    }
    gaps = {(one["from_minutes"], one["to_minutes"]): one["attempts"] for one in found["by_gap"]}
    assert gaps == {(None, 15): 2, (15, 30): 2, (60, 120): 1}
    assert {one["value"]: one["attempts"] for one in found["by_outcome_before"]} == {
        "busy": 3,
        "no-answer": 1,
        "voicemail": 1,
    }
    assert [one["value"] for one in found["by_country"]] == ["US"]
    assert sum(one["attempts"] for one in found["by_local_hour"]) == 7
    assert found["advice"] == ["Not enough yet: 7 attempts counted, 100 first attempts tell something."]


def test_twilio_tells_no_price_in_time(client: LocalClient) -> None:
    assert stats(client)["cost"] == {
        "carrier": [],
        "redial": {"currency": "USD", "amount": 0.000154, "per_1000_attempts": 0.022, "per_answer": 0.000154},
    }


def test_an_attempts_outcome_is_in_its_execution(client: LocalClient) -> None:
    listed = client.api("GET", f"/v2/agent/{client.stack.agent_id}/executions?user_number=%2B14155550123").json["data"]
    (execution,) = listed
    assert execution["outcome"] == "answered"
    assert [one["outcome"] for one in execution["attempts"]] == ["no-answer", "voicemail", "answered"]


def test_statistics_of_an_agent_a_batch_and_a_period(client: LocalClient) -> None:
    client.script("+13125550125", "completed")
    body = multipart([("agent_id", client.stack.agent_id), ("start", "now")], "contact_number\n+13125550125\n")
    batch_id = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(15)
    assert stats(client, f"?agent_id={client.stack.agent_id}")["attempts"] == 8
    of_batch = stats(client, f"?batch_id={batch_id}")
    assert (of_batch["attempts"], of_batch["answers"], of_batch["agent_id"]) == (1, 1, None)
    other = client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "other"}}).json["agent_id"]
    assert stats(client, f"?agent_id={other}")["attempts"] == 0
    assert client.api("GET", f"/stats/retries?batch_id={batch_id}&agent_id={other}").status == 404
    today = client.stack.clock.now().date().isoformat()
    assert stats(client, f"?from={today}&to={today}")["period_start"] == today
    assert stats(client, "?from=2020-01-01&to=2020-12-31")["attempts"] == 0


def test_a_platform_that_reports_prices(client: LocalClient) -> None:
    agent_id = client.stack.create_agent(telephony_provider="http")
    client.script("+13125550126", "no-answer", "completed")
    execution_id = client.call("+13125550126", agent_id=agent_id, retry_config={"enabled": True})
    client.advance(45)
    assert stats(client, f"?agent_id={agent_id}")["cost"]["carrier"] == [
        {"currency": "USD", "amount": 0.012, "attempts": 1, "per_answer": None}
    ], "it reports none for the unanswered attempt"
    client.script("+13125550127", "completed")
    other = client.stack.create_agent(telephony_provider="http")
    client.call("+13125550127", agent_id=other)
    client.advance(15)
    (cost,) = stats(client, f"?agent_id={other}")["cost"]["carrier"]
    assert cost == {"currency": "USD", "amount": 0.012, "attempts": 1, "per_answer": 0.012}
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    prices = [one["data"]["price"] for one in log if "price" in one["data"]]
    assert prices == [{"amount": 0.012, "currency": "USD"}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?from=2026-02-01&to=2026-01-31", "to: must not be before from"),
        ("?from=2025-01-01&to=2026-01-02", "from: may be at most 366 days before to"),
        ("?from=yesterday", "from: must be a date such as 2026-12-25"),
        ("?agent=1", "agent"),
    ],
)
def test_a_bad_query_is_refused(client: LocalClient, query: str, message: str) -> None:
    answer = client.api("GET", f"/stats/retries{query}")
    assert (answer.status, message in answer.json["message"]) == (400, True), answer


def test_a_busy_year_is_read_with_few_units() -> None:
    """Half a unit reads 4 KB, and an item has 150 bytes besides its counts. The calls are in every hour of two local
    days, from ten caller ids to four countries."""
    letters = "anvbf"
    cells = {f"h{day}.{hour:02d}={one}": 1000 + 7 * hour for day in (1, 2) for hour in range(8, 21) for one in letters}
    cells |= {f"n{number}={one}": 40_000 // number for number in range(1, 5) for one in letters}
    cells |= {f"g{gap}={one}": 9000 + gap for gap in range(9) for one in letters}
    cells |= {f"c+1202555{number:04d}={one}": 4000 + number for number in range(10) for one in letters}
    cells |= {"mUSD=n": 400_000, "mUSD=x": 5_600_000_000}
    cells |= {f"o{code}={one}": 20_000 for code in ("US", "CA", "GB", "DE") for one in letters}
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        create_table(client)
        store = DynamoStatistics(client, TABLE_NAME)
        first = date(2026, 1, 1)
        for number in range(366):
            varied = {cell: count + zlib.crc32(f"{cell}{number}".encode()) % 999 for cell, count in cells.items()}
            assert store.add("one", first + timedelta(days=number), varied, "shard", "1", TEN)
        bytes_read = sum(len(item["n"]["B"]) + 150 for item in client.scan(TableName=TABLE_NAME)["Items"])
        assert len(store.between("one", first, date(2027, 1, 1))) == 366
    assert bytes_read / 4096 / 2 <= 50


def test_another_accounts_agents_and_batches_are_unknown(client: LocalClient) -> None:
    for name in ("agent_id", "batch_id"):
        answer = client.api("GET", f"/stats/retries?{name}=1f0a6a9e-43a1-4a5e-9d0f-0d3f6f4f1c02")
        assert answer.status == 404
