"""A stopped batch: every reader shows its waiting contacts as stopped before that is stored with them."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.functions import Function
from local.aws.requests import OutsideRequest
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.batch import contact_id
from redial.domain.execution import Execution
from tests.integration.test_batches import RETRIES, batch, contacts, executions, patch_agent, script, started
from tests.support.local_stack import LocalClient, local_stack

ROWS, LINES = 40, 3
UNTIL_THE_SWEEPER_FOUND_IT = 10
"""Minutes: work that was requested and has not begun is repeated after two."""


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def stored(client: LocalClient, batch_id: str, rows: int = ROWS) -> list[Execution]:
    table = DynamoExecutions(client.stack.aws.client("dynamodb"), client.stack.environment["TABLE_NAME"])
    return table.read([contact_id(batch_id, row) for row in range(1, rows + 1)])


def batch_function(client: LocalClient, runs: bool) -> None:
    """Set whether the batch function runs when it is invoked."""

    def delays(function: Function, event: Any) -> tuple[float, ...]:
        return (0.0,) if runs or not function.name.endswith("-batch") else ()

    client.stack.functions.delays = delays


def running(client: LocalClient) -> str:
    """A batch of which some contacts wait for a retry, some have a live call, and most have not started."""
    patch_agent(client, max_concurrent_calls=LINES)
    script(client, {1000 + index: ["busy"] for index in range(2 * LINES)})
    batch_id = started(client, contacts(ROWS), ("retry_config", json.dumps(RETRIES)))
    client.advance(2)
    return batch_id


def stop(client: LocalClient, batch_id: str) -> None:
    answer = client.api("POST", f"/batches/{batch_id}/stop")
    assert (answer.status, answer.json["state"]) == (200, "stopped"), answer


def test_every_reader_says_stopped_before_it_is_stored_and_the_same_after(client: LocalClient) -> None:
    batch_id = running(client)
    before = [one.state for one in stored(client, batch_id)]
    waiting = {row for row, state in enumerate(before, start=1) if state.is_waiting}
    retries = {row for row in waiting if before[row - 1].attempt.number > 1}
    assert len(retries) >= LINES and len(waiting) > ROWS / 2

    batch_function(client, runs=False)
    stop(client, batch_id)
    unstored = {one.row for one in stored(client, batch_id) if one.state.is_waiting}
    assert unstored == waiting, "nothing is stored with the contacts yet"

    ids = {row: contact_id(batch_id, row) for row in waiting}
    shown = {row: client.execution(one) for row, one in ids.items()}
    assert {one["status"] for one in shown.values()} == {"stopped"}
    listed = {one["id"]: one for one in executions(client, batch_id)}
    assert {row: listed[one] for row, one in ids.items()} == shown
    found = client.api("GET", f"/v2/agent/{client.stack.agent_id}/executions?status=stopped&page_size=50").json
    assert {one["id"] for one in found["data"]} == set(ids.values())
    counts = batch(client, batch_id)["execution_status"]
    assert (counts["stopped"], sum(counts.values())) == (len(waiting), ROWS)
    assert not counts.keys() & {"queued", "scheduled", "rescheduled"}
    rows = csv.DictReader(io.StringIO(client.api("GET", f"/batches/{batch_id}/results.csv").body.decode()))
    assert {row["execution_id"] for row in rows if row["status"] == "stopped"} == set(ids.values())
    one = ids[max(waiting)]
    log = client.api("GET", f"/executions/{one}/log").json["data"]
    assert "stopped" in json.dumps(log[-1]), log
    again = client.api("POST", f"/call/{one}/stop")
    assert (again.status, "over: stopped" in again.json["message"]) == (400, True), again
    assert client.execution(one) == shown[max(waiting)]

    batch_function(client, runs=True)
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert not any(one.state.is_waiting for one in stored(client, batch_id))
    assert {row: client.execution(one) for row, one in ids.items()} == shown
    assert client.api("GET", f"/executions/{one}/log").json["data"][: len(log)] == log
    for row, execution_id in ids.items():
        events = [tried["body"] for tried in client.inbox(execution_id=execution_id)]
        assert [event["status"] for event in events].count("stopped") == 1, row
        assert (events[-1]["status"], events[-1]["updated_at"]) == ("stopped", shown[row]["updated_at"])


def test_a_contact_of_a_stopped_batch_is_erased_before_its_stop_is_stored(client: LocalClient) -> None:
    batch_id = running(client)
    batch_function(client, runs=False)
    stop(client, batch_id)
    assert client.api("DELETE", f"/executions/{contact_id(batch_id, ROWS)}").status == 200
    batch_function(client, runs=True)
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    last = stored(client, batch_id)[:ROWS]
    assert ROWS not in {one.row for one in last if not one.erased}
    assert all(one["status"] == "stopped" for one in executions(client, batch_id)[-5:])


def test_an_unfinished_stop_is_finished_by_the_batch_function(client: LocalClient) -> None:
    """The request is killed after its first mark: no call can start, and the second mark follows."""
    batch_id = running(client)
    dead: list[str] = []

    def die(seen: OutsideRequest) -> None:
        invocation = seen.invocation
        if invocation is not None and invocation.function.name.endswith("-api") and seen.phase == "before" and dead:
            raise SystemExit
        if invocation is not None and invocation.function.name.endswith("-api") and seen.operation == "PutItem":
            dead.append(seen.operation)

    client.stack.aws.hooks.append(die)
    client.api("POST", f"/batches/{batch_id}/stop")
    client.stack.aws.hooks.remove(die)
    client.stack.functions.failures.clear()
    assert batch(client, batch_id)["status"] == "stopped"
    assert Counter(one["status"] for one in executions(client, batch_id))["stopped"] == 0
    client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert not any(one.state.is_waiting for one in stored(client, batch_id))


def test_a_stop_costs_the_same_for_a_batch_of_any_size(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=LINES)
    script(client, {1000 + index: ["completed"] * 2 for index in range(LINES)})
    counted: dict[int, Counter[str]] = {}
    for rows in (10, 200):
        batch_id = started(client, contacts(rows))
        client.advance(0.1)
        requests = counted[rows] = Counter[str]()

        def count(seen: OutsideRequest, requests: Counter[str] = requests) -> None:
            if seen.phase == "after" and seen.invocation is not None:
                requests[f"{seen.service} {seen.operation}"] += 1

        batch_function(client, runs=False)
        client.stack.aws.hooks.append(count)
        stop(client, batch_id)
        client.stack.aws.hooks.remove(count)
        assert Counter(one["status"] for one in executions(client, batch_id))["stopped"] == rows - LINES
        batch_function(client, runs=True)
        client.advance(UNTIL_THE_SWEEPER_FOUND_IT)
    assert counted[10] == counted[200]
    assert counted[10].total() < 20, counted[10]
