"""A call's user data: up to 64 KiB, stored apart from the execution above one kilobyte, and never lost."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench.dynamodb_units import Meter, Units
from local.aws.dynamodb import changes_of
from local.stack import API_MODULE
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.ports import StaleVersion
from tests.support.local_stack import LocalClient, local_stack, request

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER = "+12025550199"
RETRIES = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [10]}
LIMIT = 64 * 1024


def data_of(size: int, character: str = "x") -> dict[str, str]:
    """User data of exactly `size` bytes as JSON in UTF-8."""
    room = size - len(b'{"text":""}')
    text = character * (room // len(character.encode()))
    return {"text": text + "x" * (room - len(text.encode()))}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def items(client: LocalClient, execution_id: str) -> dict[str, Any]:
    """The stored items of an execution by their sort key."""
    found = client.stack.aws.client("dynamodb").query(
        TableName=client.stack.environment["TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"X#{execution_id}"}},
    )
    return {item["sk"]["S"]: item for item in found["Items"]}


@pytest.mark.parametrize(
    "data",
    [
        data_of(1024),
        data_of(1025),
        data_of(LIMIT),
        data_of(LIMIT, "é"),
        data_of(LIMIT, "👋"),
        {"nested": [{"a": [1.5, None, True, '"\\']}] * 200},
    ],
    ids=["1 KiB", "more than 1 KiB", "64 KiB", "accents", "emoji", "nested"],
)
@pytest.mark.parametrize("carrier", ["twilio", "http"])
def test_every_event_every_answer_and_the_carrier_have_it_whole(client: LocalClient, data: Any, carrier: str) -> None:
    client.script(NUMBER, "no-answer", "completed")
    agent_id = client.stack.create_agent(agent_name="a", telephony_provider=carrier)
    execution_id = client.call(NUMBER, agent_id=agent_id, user_data=data, retry_config=RETRIES)
    client.advance(20)
    assert client.execution(execution_id)["status"] == "completed"
    tries = client.inbox(execution_id=execution_id)
    assert [one["body"]["sequence"] for one in tries] == list(range(1, tries[-1]["body"]["sequence"] + 1))
    assert tries[-1]["body"]["status"] == "completed"
    shown = [one["body"] for one in tries]
    shown.append(client.execution(execution_id))
    shown.append(client.api("GET", f"/agent/{agent_id}/execution/{execution_id}").json)
    shown += client.api("GET", f"/v2/agent/{agent_id}/executions").json["data"]
    shown += client.api("GET", f"/v2/agent/{agent_id}/executions?status=completed").json["data"]
    assert all(one["context_details"]["recipient_data"] == data for one in shown)
    if carrier == "http":
        assert [call.request["variables"] for call in client.stack.platform.calls] == [data] * 2
    stored, size = (
        items(client, execution_id),
        len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()),
    )
    assert set(stored) == ({"X", "U"} if size > 1024 else {"X"})


def test_a_call_that_waits_keeps_its_data_through_stop_and_replay(client: LocalClient) -> None:
    data, url = data_of(30_000), f"{client.stack.inbox_url}/gone"
    agent_id = client.stack.create_agent(agent_name="a", webhook_url=url)
    assert request("POST", f"{client.stack.inbox_url}/_inbox/gone/fail", {"times": 1, "status": 410}).status == 200
    later = "2026-01-27T12:00:00Z"
    execution_id = client.call(NUMBER, agent_id=agent_id, user_data=data, scheduled_at=later)
    client.advance(1)
    assert client.api("POST", f"/call/{execution_id}/stop").status == 200
    client.advance(1)
    assert client.api("POST", f"/executions/{execution_id}/webhooks/replay").json["replayed"] == [1]
    client.advance(1)
    received = client.inbox("gone", execution_id)
    assert [one["body"]["status"] for one in received] == ["scheduled", "stopped", "scheduled"]
    assert all(one["body"]["context_details"]["recipient_data"] == data for one in received)


def test_the_same_idempotency_key_makes_one_call_with_large_data(client: LocalClient) -> None:
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": NUMBER, "user_data": data_of(60_000)}
    first, second = (client.api("POST", "/call", body, Idempotency_Key="one") for _ in range(2))
    assert first.json == second.json
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    "data", [data_of(LIMIT + 1), data_of(LIMIT + 1, "é"), data_of(200_000)], ids=["one byte", "accents", "far"]
)
def test_more_is_refused_by_name(client: LocalClient, data: Any) -> None:
    body = {"agent_id": client.stack.agent_id, "recipient_phone_number": NUMBER, "user_data": data}
    answer = client.api("POST", "/call", body)
    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert error["field"] == "user_data"
    assert f"may take {LIMIT} bytes" in error["message"]


# ---- what an attempt costs ----------------------------------------------------------------------------------------


def cost_of_attempts(data: Any) -> Units:
    """The units of two attempts, without the request that creates the call."""
    with local_stack() as client:
        total = Units()

        def wanted() -> bool:
            invocation = client.stack.functions.current()
            return invocation is not None and invocation.function.module != API_MODULE

        def count(units: Units, _: Any) -> None:
            nonlocal total
            total += units

        (table,) = client.stack.template.tables()
        Meter(table.definition, changes_of(table.definition["TableName"]).images, wanted, count).attach()
        client.script(NUMBER, "no-answer", "completed")
        client.call(NUMBER, user_data=data, retry_config=RETRIES)
        client.advance(20)
        client.assert_sound()
        return total


def test_60_kib_cost_an_attempt_no_more_write_units_than_1_kb() -> None:
    none, small, large = cost_of_attempts({}), cost_of_attempts(data_of(1000)), cost_of_attempts(data_of(60 * 1024))
    assert 0 < none.writes <= large.writes <= small.writes
    assert large.table_writes <= none.table_writes + 2, "its mark may cross a kilobyte once in each attempt"


# ---- both items or none -------------------------------------------------------------------------------------------


def test_removing_an_execution_removes_its_data(client: LocalClient) -> None:
    execution_id = client.call(NUMBER, user_data=data_of(5000), scheduled_at="2026-01-27T12:00:00Z")
    client.advance(1)
    store = DynamoExecutions(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    found = store.get(execution_id)
    assert found is not None
    assert (found.user_data, found.user_data_apart) == (None, True)
    changed = store.save(found)
    with pytest.raises(StaleVersion):
        store.remove(found)
    assert set(items(client, execution_id)) == {"X", "U"}
    (complete,) = store.with_user_data([changed])
    assert complete.user_data == data_of(5000)
    assert store.save(complete).user_data == data_of(5000), "a save keeps what was read"
    assert set(items(client, execution_id)) == {"X", "U"}
    current = store.get(execution_id)
    assert current is not None
    store.remove(current)
    assert items(client, execution_id) == {}
    assert store.with_user_data([current]) == []
    store.remove(current)
    client.stack.scheduler.dead_letters.clear()


def test_creating_it_twice_keeps_the_first() -> None:
    with local_stack() as client:
        store = DynamoExecutions(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
        execution_id = client.call(NUMBER, user_data=data_of(5000))
        found = store.get(execution_id)
        assert found is not None
        assert not store.create(replace(found, user_data={"text": "another"}))
        (complete,) = store.with_user_data([found])
        assert complete.user_data == data_of(5000)
