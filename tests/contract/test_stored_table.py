"""Whole tables of the past: the current code reads every item, shows it unchanged, and finishes what was under way.

Each file in recorded/tables is what a stack had stored at one time: the table's items and the files of batches, the
API's answers then, and what arrives later (events of schedules and of asynchronous invocations, the carrier's
callbacks, repeated requests). Such items may still be in a production table, so files are added, never edited.
Addresses of that stack are written as http://inbox and so on.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from moto.dynamodb.models import dynamodb_backends

from local.aws.functions import ACCOUNT_ID, REGION, Function
from local.carriers.twilio_calls import signature
from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.status import FINAL
from redial.wire import stored_batch, stored_execution
from tests.support.local_stack import LocalClient, local_stack, request
from tests.support.recorded import in_todays_words

TABLES = sorted((Path(__file__).parent / "recorded" / "tables").glob("*.json"))
"""Every recorded table."""
KINDS = {
    *("X X", "B B", "C shard", "L LINES", "Q 0", "Q 0b", "Q 1", "R contact"),
    *("A ACCOUNT", "A AGENT", "A KEY", "K K", "I I", "U execution"),
}
"""Every kind of item in the table, by its keys."""


def kind_of(item: dict[str, Any]) -> str:
    kind, order = item["pk"]["S"].partition("#")[0], item["sk"]["S"].partition("#")[0]
    return f"{kind} { {'C': 'shard', 'R': 'contact', 'U': 'execution'}.get(kind, order) }"


@pytest.fixture(params=TABLES, ids=lambda path: path.stem)
def recorded(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text())


@contextmanager
def unheard(table_name: str) -> Iterator[None]:
    """Restore items without stream records: they were counted when they were written."""
    shard: Any = dynamodb_backends[ACCOUNT_ID][REGION].get_table(table_name).stream_shard
    listeners: list[Any] = shard.listeners
    heard = list(listeners)
    listeners.clear()
    yield
    listeners.extend(heard)


def _from_then(item: dict[str, Any]) -> dict[str, Any]:
    """Rename a count of a closed shard: the current stream has other shards."""
    return {**item, "sk": {"S": f"{item['sk']['S']}-then"}} if kind_of(item) == "C shard" else item


@contextmanager
def restored(recorded: Any) -> Iterator[tuple[LocalClient, Any]]:
    """A stack with the current code, the recorded items and time; and the record with this stack's addresses."""
    with local_stack(start_at=datetime.fromisoformat(recorded["at"]), first_agent=False) as client:
        stack, text = client.stack, json.dumps(recorded)
        for name, url in (("inbox", stack.inbox_url), ("files", stack.files_url), ("api", stack.url)):
            text = text.replace(f"http://{name}", url)
        here = json.loads(text)
        dynamodb, s3 = stack.aws.client("dynamodb"), stack.aws.client("s3")
        with unheard(stack.environment["TABLE_NAME"]):
            for item in here["items"]:
                dynamodb.put_item(TableName=stack.environment["TABLE_NAME"], Item=_from_then(item))
        for key, content in here["files"].items():
            s3.put_object(Bucket=stack.environment["FILES_BUCKET"], Key=key, Body=content.encode("latin-1"))
        yield client, here


def items_of(client: LocalClient, kind: str) -> list[dict[str, Any]]:
    """All items of a kind as now stored."""
    pages = client.stack.aws.client("dynamodb").get_paginator("scan")
    found = [
        item for page in pages.paginate(TableName=client.stack.environment["TABLE_NAME"]) for item in page["Items"]
    ]
    return [from_item(item) for item in found if kind_of(item) == kind]


def test_every_kind_of_item_is_recorded() -> None:
    recorded = [json.loads(path.read_text()) for path in TABLES]
    assert {kind_of(item) for one in recorded for item in one["items"]} == KINDS
    events = {
        (event["function"].rpartition("-")[2], *sorted(event["event"])) for one in recorded for event in one["payloads"]
    }
    assert events >= {
        ("batch", "batch_id"),
        ("deliver", "batch_id"),
        ("deliver", "batch_id", "lease"),
        ("deliver", "execution_id"),
        ("deliver", "execution_id", "lease"),
        ("dial", "attempt", "execution_id"),
        ("dial", "attempt", "execution_id", "line"),
        ("dial", "at", "attempt", "execution_id", "line"),
        ("dial", "attempt", "execution_id", "line", "room"),
    }


def test_recorded_items_survive_reading_and_writing(recorded: Any) -> None:
    """A saved item has all that was read, and no new attributes."""
    for stored in recorded["items"]:
        item = from_item(stored)
        if kind_of(stored) == "X X":
            assert to_item(stored_execution.encode(stored_execution.decode(item))).keys() >= stored.keys()
            assert stored_execution.decode(stored_execution.encode(stored_execution.decode(item))) == (
                stored_execution.decode(item)
            )
        elif kind_of(stored) == "B B":
            batch = stored_batch.decode(item)
            assert stored_batch.encode(batch).keys() >= stored.keys()
            assert stored_batch.decode(stored_batch.encode(batch)) == batch


def without_added_keys(now: Any, then: Any) -> Any:
    """`now` without the keys added since `then`, the only change allowed."""
    if isinstance(now, dict) and isinstance(then, dict):
        return {name: without_added_keys(value, then[name]) for name, value in now.items() if name in then}
    if isinstance(now, list) and isinstance(then, list) and len(now) == len(then):
        return [without_added_keys(one, other) for one, other in zip(now, then, strict=True)]
    return now


OF_A_DELETED_AGENT = re.compile("(/v2)?/agent/[^/]+/executions|/batches/[^/]+/all")
"""Listings that answered 404 once their agent was deleted, and no longer do."""


def as_shown_now(recorded: Any, starts: dict[str, str | None]) -> Any:
    """A recorded answer with the one change since then: contacts are `scheduled`, not `queued`, until their batch
    starts. `starts`: start times of such batches, None if none was requested."""
    if isinstance(recorded, list):
        return [as_shown_now(one, starts) for one in recorded]
    if not isinstance(recorded, dict):
        return recorded
    if "data" in recorded:
        return {**recorded, "data": as_shown_now(recorded["data"], starts)}
    if recorded.get("batch_id") not in starts:
        return recorded
    start = starts[recorded["batch_id"]]
    if "execution_status" in recorded:
        counts = {
            status.replace("queued", "scheduled"): count for status, count in recorded["execution_status"].items()
        }
        return {**recorded, "execution_status": counts}
    if recorded["status"] != "queued":
        return recorded
    attempt = {**recorded["attempts"][0], "status": "scheduled"} | ({"scheduled_at": start} if start else {})
    return {
        **recorded,
        "status": "scheduled",
        "scheduled_at": start,
        "attempts": [attempt],
        "next_attempt": None if start is None else {"attempt": 1, "at": start},
        "batch_run_details": {**recorded["batch_run_details"], "status": "scheduled"},
    }


def test_the_api_renders_recorded_items_as_before(recorded: Any) -> None:
    with restored(recorded) as (client, here):
        bodies = [answer["body"] for answer in here["answers"].values()]
        starts = {
            body["batch_id"]: body["scheduled_at"]
            for body in bodies
            if "execution_status" in body and body["status"] in ("created", "processed", "scheduled")
        }
        for path, answer in here["answers"].items():
            now = client.api("GET", path)
            if answer["status"] == 404 and OF_A_DELETED_AGENT.fullmatch(path):
                assert now.status == 200
                continue
            assert now.status == answer["status"]
            before = as_shown_now(in_todays_words(answer["body"]), starts)
            assert without_added_keys(now.json, before) == before, path
        for asked in here["repeated"]:
            again = client.api("POST", "/call", asked["body"], Idempotency_Key=asked["key"])
            assert (again.status, again.json) == (200, asked["answer"])
            assert again.headers["idempotency-replayed"] == "true"
        client.assert_sound()


def test_recorded_events_and_callbacks_are_still_understood(recorded: Any) -> None:
    """All events of schedules and invocations, and all callbacks, arrive at once, as after a long interruption."""
    with restored(recorded) as (client, here):
        for callback in here["callbacks"]:
            url, form = client.stack.url + callback["path"], callback["parameters"]
            headers = {
                "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                "X-Twilio-Signature": signature(client.stack.carrier.auth_token, url, form),
            }
            answer = request("POST", url, urlencode(form).encode(), headers)
            assert answer.status == 204, answer
        for given in here["payloads"]:
            client.stack.functions.invoke_later(arn_of(client, given["function"]), given["event"])
        client.advance(0.1)
        client.assert_sound()
        ended = {
            one["path"].split("/")[3] for one in here["callbacks"] if one["parameters"]["CallStatus"] == "completed"
        }
        assert ended
        for execution_id in ended:
            assert client.execution(execution_id)["status"] == "completed"


def arn_of(client: LocalClient, name: str) -> str:
    """The current function for that recorded name."""
    functions: dict[str, Function] = {one.name: one for one in client.stack._definitions}
    return functions[name].alias_arn


@pytest.mark.simulation
def test_recorded_work_in_progress_is_completed(recorded: Any) -> None:
    """No schedule, invocation or callback of that time arrives: the sweeper finds everything."""
    with restored(recorded) as (client, here):
        for item in items_of(client, "B B"):
            path = f"/batches/{item['pk'].removeprefix('B#')}"
            batch = client.api("GET", path)
            if batch.status == 200 and batch.json["paused"]:
                assert client.api("POST", f"{path}/resume").status == 200
            elif batch.status == 200 and batch.json["status"] == "processed":
                at = "2026-01-26T14:00:00Z"
                assert client.api("POST", f"{path}/schedule", {"scheduled_at": at}).status == 200
        client.advance(36 * 60)
        client.assert_sound()
        executions = [stored_execution.decode(item) for item in items_of(client, "X X")]
        assert executions
        assert {one.id: one.state.status for one in executions if one.state.status not in FINAL} == {}
        assert {one.id: one.pending() for one in executions if one.pending()} == {}
        batches = [stored_batch.decode(item) for item in items_of(client, "B B")]
        left = [one for one in batches if not one.is_tombstone]  # a deleted batch leaves only a tombstone
        assert {one.id: one.status for one in left if not one.is_over or one.deleted_at is not None} == {}
        assert {one.id: one.pending() for one in batches if one.pending()} == {}
        for kind in ("Q 0", "Q 0b", "Q 1", "R contact"):
            assert items_of(client, kind) == [], "no call waits any more"
        assert all(item["holders"] == {} for item in items_of(client, "L LINES"))
        assert {one.due_at for one in executions} == {None}
        assert [one.id for one in batches if one.due_at != one.kept_until] == []

        deliveries = [one for name in ("demo", "slow", "batches") for one in client.inbox(name)]
        sent = {one["headers"]["webhook-id"] for one in deliveries if one["answered"] == 200}
        assert all(one["verified"] for one in deliveries)
        for stored in here["items"]:
            if kind_of(stored) == "X X":
                was = stored_execution.decode(from_item(stored))
                now = next((one for one in executions if one.id == was.id), None)
                if now is not None and not now.delivery.undelivered:
                    remaining = range(was.delivery.settled + 1, now.last_sequence + 1)
                    assert {f"{was.id}-{number}" for number in remaining} <= sent, "every remaining event was delivered"
