"""Batches through Redial's HTTP interfaces: upload, start, rate limit, pause, stop, deletion, results."""

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from redial.adapters.dynamodb.call_queue import DynamoCallQueue
from redial.domain.batch import contact_id
from redial.domain.queue import BatchQueueEntry
from redial.runtime.services import services_of
from redial.usecases.accounts import allow_premium_numbers
from redial.usecases.batches import MAX_FILE_BYTES
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack, request
from tests.support.table import as_text

RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [15, 30]}
PREFIX = "+1202555"
TOMBSTONE = {"pk", "sk", "v", "ac", "ag", "ca", "fi", "ch", "da", "va", "in", "cl", "expires_at", "due_shard", "due_at"}
"""Attributes of the item that remains of a removed batch."""


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def number(index: int) -> str:
    return f"{PREFIX}{index:04d}"


def contacts(count: int, first: int = 1000) -> str:
    rows = [f'{number(first + index)},Name {index},"ten, sharp"' for index in range(count)]
    return "\n".join(["contact_number,name,time", *rows]) + "\n"


def create(client: LocalClient, file: str | bytes | None, *fields: tuple[str, str], **options: Any) -> Answer:
    sent = [("agent_id", options.pop("agent_id", client.stack.agent_id)), *fields]
    return client.api("POST", "/batches", multipart(sent, file), Content_Type=CONTENT_TYPE, **options)


def created(client: LocalClient, file: str | bytes, *fields: tuple[str, str], **options: Any) -> str:
    answer = create(client, file, *fields, **options)
    assert (answer.status, answer.json["state"]) == (201, "created"), answer
    return str(answer.json["batch_id"])


def started(client: LocalClient, file: str | bytes, *fields: tuple[str, str], **options: Any) -> str:
    """Create a batch that starts at once; return its id."""
    return created(client, file, ("start", "now"), *fields, **options)


def batch(client: LocalClient, batch_id: str) -> Any:
    answer = client.api("GET", f"/batches/{batch_id}")
    assert answer.status == 200, answer
    return answer.json


def executions(client: LocalClient, batch_id: str) -> list[Any]:
    found: list[Any] = []
    page = 1
    while True:
        answer = client.api("GET", f"/batches/{batch_id}/executions?page_number={page}&page_size=50")
        assert answer.status == 200, answer
        found += answer.json
        if len(answer.json) < 50:
            return found
        page += 1


def recount(client: LocalClient, batch_id: str) -> dict[str, int]:
    return dict(Counter(one["status"] for one in executions(client, batch_id)))


def script(client: LocalClient, outcomes: dict[int, list[str]]) -> None:
    for index, of_number in outcomes.items():
        client.script(number(index), *of_number)


def patch_agent(client: LocalClient, **config: Any) -> None:
    answer = client.api("PATCH", f"/v2/agent/{client.stack.agent_id}", {"agent_config": config})
    assert answer.status == 200, answer


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def live(client: LocalClient) -> dict[str, int]:
    found: dict[str, int] = request("GET", f"{client.stack.carrier_url}/_carrier/live").json
    return found


# ---- from upload to results ---------------------------------------------------------------------------------------


def test_a_batch_is_read_scheduled_run_retried_completed_and_reported(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=3)
    script(client, {1000 + index: ["completed"] for index in range(7)})
    script(client, {1007: ["no-answer", "completed"], 1008: ["busy"], 1009: ["failed", "no-answer", "completed"]})
    batch_id = created(
        client,
        contacts(10),
        ("retry_config", json.dumps(RETRIES)),
        ("webhook_url", f"{client.stack.inbox_url}/campaign"),
        ("from_phone_numbers", "+12025550100"),
        ("from_phone_numbers", "+12025550101"),
    )
    client.advance(0.2)
    read = batch(client, batch_id)
    assert (read["status"], read["valid_contacts"], read["total_contacts"]) == ("processed", 10, 10)
    assert read["execution_status"] == {"scheduled": 10}
    assert client.calls() == []

    start = NOON + timedelta(minutes=10)
    form = f"scheduled_at={start.isoformat().replace('+', '%2B')}".encode()
    urlencoded = "application/x-www-form-urlencoded"
    answer = client.api("POST", f"/batches/{batch_id}/schedule", form, Content_Type=urlencoded)
    assert answer.json == {"message": "success", "state": "scheduled"}
    assert at(batch(client, batch_id)["scheduled_at"]) == start
    client.advance(9)
    assert client.calls() == []
    client.advance(240)

    done = batch(client, batch_id)
    assert done["status"] == "completed"
    assert done["execution_status"] == recount(client, batch_id) == {"busy": 1, "completed": 9}
    calls = client.calls()
    assert min(at(call["placed_at"]) for call in calls) >= start
    assert len(calls) == 7 + 2 + 3 + 3
    assert live(client) == {"live": 0, "max_live": 3}
    found = executions(client, batch_id)
    assert [one["user_number"] for one in found] == [number(1000 + index) for index in range(10)], "the file's order"
    assert [one["id"] for one in found] == [contact_id(batch_id, row) for row in range(1, 11)]
    assert found[0]["context_details"]["recipient_data"] == {"name": "Name 0", "time": "ten, sharp"}
    assert found[7]["batch_run_details"]["retried"] == 1
    for one in found:
        numbers = [attempt["from_number"] for attempt in one["attempts"]]
        assert all(first != second for first, second in itertools.pairwise(numbers)), "another caller id"
    assert {one["attempts"][0]["from_number"] for one in found} == {"+12025550100", "+12025550101"}

    campaign = [one["body"] for one in client.inbox("campaign")]
    assert [body["status"] for body in campaign] == [
        "created", "processed", "scheduled", "queued", "running", "completed",
    ]  # fmt: skip
    assert [body["sequence"] for body in campaign] == [1, 2, 3, 4, 5, 6]
    assert campaign[-1]["execution_status"] == {"busy": 1, "completed": 9}
    for one in found:
        told = [event["body"]["sequence"] for event in client.inbox(execution_id=one["id"])]
        assert told == list(range(1, one["sequence"] + 1)), one["status"]
    listed = client.api("GET", f"/batches/{client.stack.agent_id}/all").json
    assert [one["batch_id"] for one in listed] == [batch_id]

    results = list(csv.DictReader(io.StringIO(client.api("GET", f"/batches/{batch_id}/results.csv").body.decode())))
    assert list(results[0])[:3] == ["contact_number", "name", "time"]
    assert [row["status"] for row in results] == [one["status"] for one in found]
    assert [row["attempts"] for row in results] == [str(len(one["attempts"])) for one in found]
    assert (
        client.stack.aws.client("dynamodb").scan(
            TableName=client.stack.environment["TABLE_NAME"],
            FilterExpression="begins_with(pk, :q) OR begins_with(pk, :r)",
            ExpressionAttributeValues={":q": {"S": "Q#"}, ":r": {"S": "R#"}},
        )["Items"]
        == []
    ), "no call waits any more"


def test_start_now_needs_no_schedule_and_an_idempotency_key_makes_one_batch(client: LocalClient) -> None:
    script(client, {1000 + index: ["completed"] for index in range(3)})
    first = create(client, contacts(3), ("start", "now"), Idempotency_Key="campaign-1")
    again = create(client, contacts(3), ("start", "now"), Idempotency_Key="campaign-1")
    other = create(client, contacts(2), ("start", "now"), Idempotency_Key="campaign-1")
    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert again.json == first.json
    assert again.headers["idempotency-replayed"] == "true"
    client.advance(10)
    assert batch(client, first.json["batch_id"])["status"] == "completed"
    assert len(client.calls()) == 3


def test_a_large_file_is_uploaded_by_a_pre_signed_url(client: LocalClient) -> None:
    script(client, {1000 + index: ["completed"] for index in range(3)})
    file = contacts(3).encode()
    upload = client.api("POST", "/batches/uploads", {"size": len(file)}).json
    fields = [("agent_id", client.stack.agent_id), ("upload_id", upload["upload_id"]), ("start", "now")]
    early = client.api("POST", "/batches", multipart(fields), Content_Type=CONTENT_TYPE)
    assert (early.status, early.json["message"][:10]) == (404, "upload_id:")
    assert request("PUT", upload["url"], file + b"+12025550000\n").status == 403, "only a file of that size"
    assert request("PUT", upload["url"], file).status == 200
    answer = client.api("POST", "/batches", multipart(fields), Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    client.advance(10)
    assert batch(client, answer.json["batch_id"])["execution_status"] == {"completed": 3}


def test_an_upload_needs_the_files_size(client: LocalClient) -> None:
    for body, said in (
        ({}, "is required"),
        ({"size": "1"}, "must be a whole number"),
        ({"size": MAX_FILE_BYTES + 1}, f"must be at most {MAX_FILE_BYTES}"),
    ):
        answer = client.api("POST", "/batches/uploads", body)
        assert (answer.status, answer.json["errors"]) == (400, [{"field": "size", "message": said}])


def test_a_rejected_row_has_its_line_and_reason(client: LocalClient) -> None:
    file = (
        "contact_number;name\r\n'+1 (202) 555-1000;Ada\r\n\r\nnobody;Bob\r\n+12025551000;Ada again\r\n"
        '+12025551001;C;too many\r\n+12025551002;"Dee\r\nDee"\r\n'
    )
    batch_id = created(client, file.encode("utf-8-sig"))
    client.advance(0.2)
    read = batch(client, batch_id)
    assert (read["valid_contacts"], read["rejected_contacts"], read["total_contacts"]) == (2, 3, 5)
    answer = client.api("GET", f"/batches/{batch_id}/rejected.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rejected = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert [row["line"] for row in rejected] == ["4", "5", "6"]
    assert "line 2" in rejected[1]["reason"]
    assert [one["user_number"] for one in executions(client, batch_id)] == ["+12025551000", "+12025551002"]


@pytest.mark.parametrize("first", ["", "\ufeff", "\ufeffsep=;\r\n", "sep=;\r\n"])
def test_derived_files_come_in_the_dialect_of_the_upload(client: LocalClient, first: str) -> None:
    batch_id = created(client, f"{first}contact_number;name\r\n+12025551000;Zoë, Ångström\r\nunknown;Bob\r\n".encode())
    client.advance(0.2)
    for name, row in (("results", "+12025551000;Zoë, Ångström;"), ("rejected", "unknown;Bob;")):
        text = client.api("GET", f"/batches/{batch_id}/{name}.csv").body.decode()
        assert text.startswith(f"{first}contact_number;name;")
        assert text.removeprefix(first).splitlines()[1].startswith(row)
        assert len(text.removeprefix(first).splitlines()) == 2


def test_a_batch_keeps_the_setting_for_premium_numbers_of_its_creation(client: LocalClient) -> None:
    file = "contact_number\n+448712345678\n+44 116 123\n+12025551000\n"
    refused = created(client, file)
    account_id = client.api("GET", "/user/me").json["id"]
    accounts = services_of("api").accounts
    allow_premium_numbers(account_id, True, accounts=accounts)
    allowed = created(client, file)
    allow_premium_numbers(account_id, False, accounts=accounts)
    client.advance(0.2)
    for batch_id, rows in ((refused, ["+12025551000"]), (allowed, ["+448712345678", "+12025551000"])):
        assert [one["user_number"] for one in executions(client, batch_id)] == rows
        results = csv.DictReader(io.StringIO(client.api("GET", f"/batches/{batch_id}/results.csv").body.decode()))
        assert [row["contact_number"] for row in results] == rows


def test_caller_ids_are_normalized(client: LocalClient) -> None:
    numbers = '["+1 (202) 555-0100", "001 202 555 0100", "+44 (0)20 7946 0000"]'
    batch_id = created(client, contacts(1), ("from_phone_numbers", numbers))
    assert batch(client, batch_id)["from_phone_numbers"] == ["+12025550100", "+442079460000"]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"contact_number,name\n", "only a header"),
        (b"+12025551000,Ada\n+12025551001,Bob\n", "header"),
        (b"phone,name\n+12025551000,Ada\n", "contact_number"),
        (b"contact_number,name\n+12025551000,Andr\xe9\n", "line 2"),
        (b"PK\x03\x04\x14\x00\x06\x00", "xlsx"),
        (b"contact_number\nnobody\n", "line 2"),
        (b"", "file"),
    ],
)
def test_an_unusable_file_is_refused_and_leaves_nothing(client: LocalClient, file: bytes, said: str) -> None:
    answer = create(client, file)
    assert answer.status == 400, answer
    assert said in answer.json["message"]
    assert answer.json["errors"][0]["field"] == "file"
    assert client.api("GET", f"/batches/{client.stack.agent_id}/all").json == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ([("retry_config", "{")], "retry_config"),
        ([("retry_config", '{"enabled": true, "max_retries": 9}')], "retry_config.max_retries"),
        ([("from_phone_numbers", '["0123"]')], "from_phone_numbers.0"),
        ([("webhook_url", "ftp://example.com")], "webhook_url"),
        ([("start", "later")], "start"),
        ([("calls_per_second", "0")], "calls_per_second"),
        ([("upload_id", "x" * 32)], "file"),
    ],
)
def test_an_invalid_field_is_named(client: LocalClient, fields: list[tuple[str, str]], field: str) -> None:
    answer = create(client, contacts(1), *fields)
    assert answer.status == 400, answer
    assert answer.json["errors"][0]["field"] == field


def test_a_batch_of_another_account_or_none_is_unknown(client: LocalClient) -> None:
    for method, path in (
        ("GET", ""), ("GET", "/executions"), ("GET", "/results.csv"), ("GET", "/rejected.csv"), ("POST", "/stop"),
        ("POST", "/pause"), ("POST", "/resume"), ("DELETE", ""),
    ):  # fmt: skip
        assert client.api(method, f"/batches/{'0' * 32}{path}").status == 404, (method, path)


def test_a_batchs_undelivered_events_are_listed_and_replayed(client: LocalClient) -> None:
    script(client, {1000: ["completed"]})
    gone = {"times": 1, "status": 410}
    assert request("POST", f"{client.stack.inbox_url}/_inbox/campaign/fail", gone).status == 200
    batch_id = started(client, contacts(1), ("webhook_url", f"{client.stack.inbox_url}/campaign"))
    client.advance(10)
    (listed,) = client.api("GET", "/webhooks/undelivered").json["data"]
    assert (listed["batch_id"], listed["execution_id"]) == (batch_id, None)
    assert [event["status"] for event in listed["events"]] == ["created"]
    replayed = client.api("POST", f"/batches/{batch_id}/webhooks/replay")
    assert replayed.json == {"batch_id": batch_id, "replayed": [1]}
    client.advance(1)
    assert [one["body"]["status"] for one in client.inbox("campaign")][-1] == "created"
    assert client.api("GET", "/webhooks/undelivered").json["data"] == []


def test_a_file_too_large_for_a_request_is_refused_with_advice(client: LocalClient) -> None:
    rows = "".join(f"+1202{index:07d},{'x' * 80}\n" for index in range(46_000))
    file = f"contact_number,note\n{rows}"
    assert len(file) > 4 * 1024 * 1024
    answer = create(client, file)
    assert (answer.status, "POST /batches/uploads" in answer.json["message"]) == (413, True)


def test_every_page_of_a_batchs_calls_costs_the_same(client: LocalClient) -> None:
    batch_id = created(client, contacts(100))
    client.advance(0.2)
    costs = []
    for page in (1, 20):
        client.stack.aws.counts.clear()
        answer = client.api("GET", f"/batches/{batch_id}/executions?page_number={page}&page_size=5")
        assert [one["user_number"] for one in answer.json] == [number(1000 + 5 * page - 5 + row) for row in range(5)]
        costs.append(client.stack.aws.requests())
    assert costs[0] == costs[1] == {"dynamodb": {"BatchGetItem": 1, "GetItem": 2}}


# ---- pace ---------------------------------------------------------------------------------------------------------


def test_two_batches_and_single_calls_of_one_agent_share_its_lines_and_all_make_progress(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=2)
    script(client, {index: ["completed"] for index in (*range(1000, 1020), *range(2000, 2020), 3000)})
    first = started(client, contacts(20, 1000))
    client.advance(1)
    second = started(client, contacts(20, 2000))
    client.advance(2)
    single = client.call(number(3000))
    client.advance(10)
    assert client.execution(single)["status"] == "completed", "a single call does not wait for a batch to end"
    halves = [batch(client, one)["execution_status"].get("completed", 0) for one in (first, second)]
    assert min(halves) >= 3, halves
    client.advance(60)
    assert [batch(client, one)["status"] for one in (first, second)] == ["completed", "completed"]
    assert live(client) == {"live": 0, "max_live": 2}
    assert len(client.calls()) == 41


def test_due_retries_go_first_unless_retries_first_is_false(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=1)
    retries = json.dumps({"enabled": True, "max_retries": 1, "retry_intervals_minutes": [1]})
    script(client, {1000 + index: ["busy", "completed"] if index == 0 else ["completed"] for index in range(6)})
    started(client, contacts(6), ("retry_config", retries))
    client.advance(30)
    order = [call["to"] for call in client.calls()]
    assert order.index(number(1000), 1) < 4, "its retry came before the rest"

    script(client, {2000 + index: ["busy", "completed"] if index == 0 else ["completed"] for index in range(6)})
    batch_id = started(client, contacts(6, 2000), ("retry_config", retries), ("retries_first", "false"))
    client.advance(30)
    order = [call["to"] for call in client.calls()][7:]
    assert order[-1] == number(2000), "its retry came after all first dials"
    assert batch(client, batch_id)["status"] == "completed"


def test_no_more_calls_than_its_rate_are_started_in_a_second(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=40)
    script(client, {1000 + index: ["busy", "completed"] if index % 3 == 0 else ["completed"] for index in range(30)})
    retries = json.dumps({"enabled": True, "max_retries": 1, "retry_intervals_minutes": [1]})
    batch_id = started(client, contacts(30), ("calls_per_second", "2"), ("retry_config", retries))
    client.advance(0.1)
    assert 0 < len(client.calls()) <= 14
    client.advance(20)
    starts = sorted(at(call["placed_at"]) for call in client.calls())
    assert len(starts) == 40
    for seconds in range(1, 20):  # starts are exact to a second
        most = max(sum(first <= one < first + timedelta(seconds=seconds) for one in starts) for first in starts)
        assert most <= 2 * (seconds + 1), f"{most} starts within {seconds} seconds"
    assert batch(client, batch_id)["status"] == "completed"


@pytest.mark.parametrize("rate", [[], [("calls_per_second", "1")]])
def test_a_contact_left_behind_is_found_by_the_audit(
    client: LocalClient, rate: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lose the answer to the write that dispatches the first contact, so that the write is repeated."""
    next_contact = DynamoCallQueue.next_contact
    lost: list[tuple[int, datetime | None] | None] = []

    def sent_again(
        self: DynamoCallQueue, standing: BatchQueueEntry, now: datetime
    ) -> tuple[int, datetime | None] | None:
        if not lost:
            lost.append(next_contact(self, standing, now))
        return next_contact(self, standing, now)

    monkeypatch.setattr(DynamoCallQueue, "next_contact", sent_again)
    script(client, {1000 + index: ["completed"] for index in range(4)})
    batch_id = started(client, contacts(4), *rate)
    client.advance(5)
    assert len(lost) == 1 and lost[0] is not None and lost[0][0] == 1
    assert recount(client, batch_id) == {"completed": 3, "queued": 1}
    assert client.calls(number(1000)) == []
    client.advance(25)
    assert recount(client, batch_id) == {"completed": 4}
    assert len(client.calls(number(1000))) == 1
    assert batch(client, batch_id)["status"] == "completed"


def test_contacts_outside_calling_hours_wait_in_the_delayed_set_with_one_schedule(client: LocalClient) -> None:
    """Noon UTC is 7:00 in Washington; the window opens two hours later, and the batch continues by itself."""
    patch_agent(client, max_concurrent_calls=2, calling_guardrails={"call_start_hour": 9, "call_end_hour": 18})
    script(client, {1000 + index: ["completed"] for index in range(8)})
    batch_id = started(client, contacts(8))
    client.advance(5)
    assert client.calls() == []
    assert batch(client, batch_id)["execution_status"] == {"rescheduled": 8}
    schedules = request("GET", f"{client.stack.url}/_local/schedules").json
    assert len(schedules) == 1, schedules
    client.advance(150)
    assert batch(client, batch_id)["status"] == "completed"
    assert min(at(call["placed_at"]) for call in client.calls()) >= NOON + timedelta(hours=2)
    assert live(client)["max_live"] == 2


# ---- paused, stopped, deleted -------------------------------------------------------------------------------------


def test_a_paused_batch_starts_no_call_and_resumes_in_place(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=2)
    script(client, {1000 + index: ["busy", "completed"] if index < 2 else ["completed"] for index in range(8)})
    retries = json.dumps({"enabled": True, "max_retries": 1, "retry_intervals_minutes": [1]})
    batch_id = started(client, contacts(8), ("retry_config", retries))
    client.advance(0.3)
    assert client.api("POST", f"/batches/{batch_id}/pause").json == {"message": "success", "state": "paused"}
    before = len(client.calls())
    client.advance(60)
    assert len(client.calls()) == before
    paused = batch(client, batch_id)
    assert (paused["status"], paused["paused"]) == ("running", True)
    assert paused["execution_status"] == recount(client, batch_id)
    assert client.api("POST", f"/batches/{batch_id}/resume").json == {"message": "success", "state": "running"}
    client.advance(30)
    done = batch(client, batch_id)
    assert (done["status"], done["paused"], done["execution_status"]) == ("completed", False, {"completed": 8})
    assert len(client.calls()) == 10


def test_a_stop_with_500_waiting_and_5_live_calls(client: LocalClient) -> None:
    """After the answer no dial starts; the five finish; every contact ends, and the counts agree."""
    patch_agent(client, max_concurrent_calls=5)
    script(client, {1000 + index: ["completed"] for index in range(505)})
    batch_id = started(client, contacts(505), ("webhook_url", f"{client.stack.inbox_url}/campaign"))
    client.advance(0.5)
    assert live(client)["live"] == 5
    assert client.api("POST", f"/batches/{batch_id}/stop").json == {"message": "success", "state": "stopped"}
    placed = len(client.calls())
    client.advance(30)
    assert len(client.calls()) == placed == 5
    done = batch(client, batch_id)
    assert done["status"] == "stopped"
    assert done["execution_status"] == recount(client, batch_id) == {"completed": 5, "stopped": 500}
    assert [one["body"]["status"] for one in client.inbox("campaign")][-1] == "stopped"
    again = client.api("POST", f"/batches/{batch_id}/stop")
    assert (again.status, again.json["message"]) == (404, "Batch is not queued or running")
    stopped = next(one for one in executions(client, batch_id) if one["status"] == "stopped")
    assert [event["body"]["status"] for event in client.inbox(execution_id=stopped["id"])] == ["queued", "stopped"]


def test_one_contact_can_be_stopped_and_the_rest_continues(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=1)
    script(client, {1000 + index: ["completed"] for index in range(4)})
    batch_id = started(client, contacts(4))
    client.advance(0.2)
    wanted = contact_id(batch_id, 3)
    assert client.api("POST", f"/call/{wanted}/stop").status == 200
    client.advance(20)
    assert batch(client, batch_id)["status"] == "completed"
    assert batch(client, batch_id)["execution_status"] == {"completed": 3, "stopped": 1}
    assert number(1002) not in [call["to"] for call in client.calls()]


def test_stopping_an_agent_stops_its_batches(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=1)
    script(client, {1000 + index: ["completed"] for index in range(5)})
    batch_id = started(client, contacts(5))
    client.advance(0.2)
    answer = client.api("POST", f"/v2/agent/{client.stack.agent_id}/stop").json
    assert answer == {"stopped_executions": [], "stopped_batches": [batch_id]}
    client.advance(10)
    assert batch(client, batch_id)["execution_status"] == {"completed": 1, "stopped": 4}


def test_an_unscheduled_batch_cannot_be_stopped_but_deleted(client: LocalClient) -> None:
    batch_id = created(client, contacts(3))
    client.advance(0.2)
    assert client.api("POST", f"/batches/{batch_id}/stop").json["message"] == "Batch is not queued or running"
    assert client.api("POST", f"/batches/{batch_id}/pause").status == 404
    assert client.api("DELETE", f"/batches/{batch_id}").json == {"message": "success", "state": "deleted"}
    assert client.api("GET", f"/batches/{batch_id}").status == 404
    client.advance(10)
    assert stored_about(client, batch_id) == [tombstone(client, batch_id)]


def test_delete_removes_waiting_contacts_at_once_and_live_ones_when_they_end(client: LocalClient) -> None:
    patch_agent(client, max_concurrent_calls=2)
    script(client, {1000: ["busy", "completed"]})
    script(client, {1001 + index: ["completed"] for index in range(5)})
    batch_id = started(client, contacts(6), ("retry_config", json.dumps(RETRIES)))
    client.advance(0.4)
    assert client.api("DELETE", f"/batches/{batch_id}").json == {"message": "success", "state": "deleted"}
    placed = len(client.calls())
    client.advance(1)
    assert client.api("GET", f"/executions/{contact_id(batch_id, 6)}").status == 404
    client.advance(60)
    assert len(client.calls()) == placed
    assert stored_about(client, batch_id) == [tombstone(client, batch_id)]
    assert request("GET", f"{client.stack.url}/_local/schedules").json == []
    assert client.api("GET", "/user/me").json["concurrency"]["current"] == 0


def stored_about(client: LocalClient, batch_id: str) -> list[Any]:
    """All items and files of a batch, without the records of its changes in the audit log."""
    items = [item for item in client.every_item() if batch_id in as_text(item) and item["pk"] != {"S": "J#local"}]
    listed = client.stack.aws.client("s3").list_objects_v2(Bucket=client.stack.environment["FILES_BUCKET"])
    return items + [one["Key"] for one in listed.get("Contents", []) if batch_id in one["Key"]]


def tombstone(client: LocalClient, batch_id: str) -> Any:
    """Assert that of a batch and its contacts only the tombstone remains; return it."""
    key = {"pk": {"S": f"B#{batch_id}"}, "sk": {"S": "B"}}
    item = client.stack.aws.client("dynamodb").get_item(TableName=client.stack.environment["TABLE_NAME"], Key=key)
    assert {"da", "expires_at"} <= item["Item"].keys() <= TOMBSTONE, item["Item"]
    return item["Item"]


def test_a_batch_can_be_scheduled_stopped_and_deleted_while_its_file_is_being_read(client: LocalClient) -> None:
    """The requests arrive before ingestion, since the clock is stopped until it is advanced."""
    scheduled, stopped, deleted = (created(client, contacts(50, 1000 + 50 * index)) for index in range(3))
    form = json.dumps({"scheduled_at": (NOON + timedelta(hours=1)).isoformat()}).encode()
    for batch_id in (scheduled, stopped):
        answer = client.api("POST", f"/batches/{batch_id}/schedule", form, Content_Type="application/json")
        assert answer.status == 200, answer
    assert client.api("POST", f"/batches/{stopped}/stop").status == 200
    assert client.api("DELETE", f"/batches/{deleted}").status == 200
    client.advance(30)
    assert batch(client, scheduled)["status"] == "scheduled"
    assert batch(client, scheduled)["valid_contacts"] == 50
    assert batch(client, stopped)["status"] == "stopped"
    assert client.calls() == []
    assert stored_about(client, deleted) == [tombstone(client, deleted)]
    client.advance(180)
    assert batch(client, scheduled)["status"] == "completed"


def test_listings_include_a_batchs_calls(client: LocalClient) -> None:
    script(client, {1000 + index: ["completed" if index % 2 else "busy"] for index in range(30)})
    single = client.call(number(3000))
    client.advance(5)
    batch_id = started(client, contacts(30))
    client.advance(30)
    path = f"/v2/agent/{client.stack.agent_id}/executions"
    page = client.api("GET", f"{path}?page_size=20&page_number=2").json
    assert (page["total"], page["has_more"], len(page["data"])) == (31, False, 11)
    assert page["data"][-1]["id"] == single, "the oldest"
    busy = client.api("GET", f"{path}?status=busy&batch_id={batch_id}&page_size=50").json
    assert (busy["total"], {one["status"] for one in busy["data"]}) == (15, {"busy"})
    of_batch = client.api("GET", f"{path}?batch_id={batch_id}&page_size=50").json
    assert [one["id"] for one in of_batch["data"]] == [contact_id(batch_id, row) for row in range(1, 31)]
    assert client.api("GET", f"/batches/{batch_id}/executions").json == of_batch["data"]
    bare = client.api("GET", path.removeprefix("/v2"))
    assert (len(bare.json), bare.headers["x-total-count"]) == (31, "31")
    to_number = client.api("GET", f"{path}?user_number={quote(number(1007))}").json
    assert [one["id"] for one in to_number["data"]] == [contact_id(batch_id, 8)]
