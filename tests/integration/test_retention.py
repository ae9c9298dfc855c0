"""Retention: finished calls expire, batches are deleted as a whole, and no count or total becomes wrong."""

import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.tally import handler as tally
from local.aws.dynamodb import MOST_LATE
from redial.adapters.dynamodb import listings
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.listings import DynamoListings
from redial.domain.decision import stopped
from redial.domain.errors import InvalidInput
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.ports import Wanted
from redial.usecases.list_calls import EARLY
from redial.wire.stored_execution import EXPIRES_AT, key
from redial.wire.timestamps import from_ms, to_ms
from tests.integration.test_listings import large, read_by
from tests.support.aws import dynamodb_with_table
from tests.support.examples import examples
from tests.support.listed_keys import ListedKeys
from tests.support.local_stack import LocalClient, local_stack, request
from tests.support.samples import ACCOUNT_ID, AGENT_ID, NUMBER, RETRIES, TEN, minutes, placed, reported
from tests.support.table import TABLE_NAME

DAY = timedelta(days=1)
KEEP = 30 * DAY


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


# ---- the attribute --------------------------------------------------------------------------------------------------


def stored(client: Any, execution: Execution, keep: timedelta | None = KEEP) -> dict[str, Any]:
    """The item of the execution as stored, over any earlier version."""
    store = DynamoExecutions(client, TABLE_NAME, keep=keep)
    before = store.get(execution.id)
    assert before is not None
    store.save(replace(execution, version=before.version))
    stored_key = {name: {"S": one} for name, one in key(execution.id).items()}
    return dict(client.get_item(TableName=TABLE_NAME, Key=stored_key)["Item"])


def created(client: Any, **fields: Any) -> Execution:
    execution = Execution(str(uuid.uuid4()), ACCOUNT_ID, AGENT_ID, TEN, NUMBER, **fields).begin(TEN, None)
    DynamoExecutions(client, TABLE_NAME, keep=KEEP).create(execution)
    return execution


def test_a_call_expires_after_its_end_and_not_while_it_is_open(client: Any) -> None:
    ringing = placed(created(client, retry_config=RETRIES), TEN)
    assert EXPIRES_AT not in stored(client, ringing)
    retry = reported(ringing, Status.BUSY, TEN + minutes(1))
    assert retry.state.status is Status.SCHEDULED
    assert EXPIRES_AT not in stored(client, retry), "its retry is still to come"
    ended = retry.end(TEN + minutes(9), stopped("stopped by request"))
    item = stored(client, ended)
    assert ended.ended_at is not None
    assert int(item[EXPIRES_AT]["N"]) == int((ended.ended_at + KEEP).timestamp())
    again = DynamoExecutions(client, TABLE_NAME).get(ended.id)
    assert again is not None and again.newer is None
    assert EXPIRES_AT not in stored(client, again, keep=None), "nothing expires with KeepDays 0"


def test_a_contact_has_no_expiry_of_its_own(client: Any) -> None:
    contact = created(client, batch_id="0" * 32, row=1)
    assert EXPIRES_AT not in stored(client, contact.end(TEN + minutes(1), stopped("stopped by request")))


# ---- totals of listings ---------------------------------------------------------------------------------------------


AGES = st.integers(0, 40)


@settings(max_examples=examples(200))
@given(
    calls=st.lists(st.tuples(AGES, AGES, st.integers(0, 3)), max_size=40),
    counts=st.lists(st.integers(0, 40), max_size=4),
    keep=st.integers(1, 20),
    low=st.none() | AGES,
    high=st.none() | AGES,
    size=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
def test_totals_and_pages_count_what_is_there_whatever_has_expired(
    calls: list[tuple[int, int, int]],
    counts: list[int],
    keep: int,
    low: int | None,
    high: int | None,
    size: int,
    seed: int,
) -> None:
    """A minute represents a day. Calls are created, counted, ended after some days, and removed some days late."""
    chance = random.Random(seed)
    keys = ListedKeys(AGENT_ID)
    first = to_ms(TEN)
    ends: list[tuple[int, int, int, str]] = []  # created, ended, removed, id
    for age, life, late in calls:
        at = 40 - age
        ends.append((at, at + life, at + life + keep + late, str(uuid.UUID(int=chance.getrandbits(128), version=4))))
    when = {one: first + at for at, _, _, one in ends}
    store = DynamoListings(keys, "table", read_by(when))  # type: ignore[arg-type]  # as much of it as is used

    def at_day(day: int) -> None:
        keys.listed.clear()
        for at, ended, removed, one in ends:
            if at <= day < removed:
                keys.add("done" if ended <= day else "open", first + at, one)
        keys.sort()

    with mock.patch.multiple(listings, SPACING=3, MOST_KEYS=5):
        for day in sorted({*counts, 40}):
            at_day(day)
            kept_from = from_ms(first + max(day - keep, 0) + 1)
            wanted = Wanted(
                created_from=None if low is None else from_ms(first + low),
                created_to=None if high is None else from_ms(first + high),
            )
            expected = sorted(
                (
                    (first + at, one)
                    for at, _, removed, one in ends
                    if at <= day < removed and (low is None or low <= at) and (high is None or at <= high)
                ),
                reverse=True,
            )
            listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), wanted, kept_from=kept_from)
            assert listing.total in (None, len(expected))
            assert listing.total is not None or listing.to_count
            assert [(to_ms(row.position.created_at), row.position.id) for row in listing.rows] == expected
            for start in range(0, len(expected) + size, size):
                try:
                    page = store.of_agent(ACCOUNT_ID, AGENT_ID, (), wanted, skip=start, most=size, kept_from=kept_from)
                except InvalidInput:
                    assert listing.total is None
                    continue
                rows = [(to_ms(row.position.created_at), row.position.id) for row in islice(page.rows, size)]
                assert rows == expected[start : start + size]
            assert store.count(AGENT_ID, from_ms(first + day), TEN, lambda: 1.0)
            listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), wanted, kept_from=kept_from)
            if len(expected) <= 5:
                assert listing.total == len(expected)


def test_the_total_of_a_large_agent_is_exact_after_its_old_calls_have_expired() -> None:
    keys, store = large(100_000)
    assert store.count(AGENT_ID, TEN, TEN, lambda: 1.0)
    kept_from = from_ms(to_ms(TEN) - 60_000)
    for shard in keys.listed.values():  # 60,000 are kept; 1,500 of the others ended later or are removed late
        shard[:] = [one for one in shard if int(one.split("#")[1]) >= to_ms(TEN) - 61_499]
    before = keys.requests
    listing = store.of_agent(ACCOUNT_ID, AGENT_ID, (), Wanted(), most=21, kept_from=kept_from)
    assert listing.total == 61_500
    assert keys.requests - before <= 18
    assert store.of_agent(ACCOUNT_ID, AGENT_ID, (), Wanted(), kept_from=None).total != 61_500, (
        "checkpoints alone are wrong"
    )
    deep = store.of_agent(ACCOUNT_ID, AGENT_ID, (), Wanted(), skip=61_490, most=21, kept_from=kept_from)
    assert len(list(deep.rows)) == 10


# ---- on the local stack ---------------------------------------------------------------------------------------------


@pytest.fixture
def client_of_stack() -> Iterator[LocalClient]:
    with local_stack(parameters={"KeepDays": "3"}) as client:
        yield client


def days(client: LocalClient, count: float) -> None:
    client.advance(count * 24 * 60)


def items(client: LocalClient, pk: str) -> list[str]:
    found = client.stack.aws.client("dynamodb").query(
        TableName=client.stack.environment["TABLE_NAME"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
    )
    return [item["sk"]["S"] for item in found["Items"]]


def test_a_finished_call_goes_with_its_user_data_and_an_open_one_stays(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    agent = client.stack.agent_id
    client.script(NUMBER, "completed")
    ended = client.call(NUMBER, user_data={"notes": "x" * 2_000})
    far = (client.stack.clock.now() + 30 * DAY).isoformat()
    waits = client.call(NUMBER, user_data={"notes": "y" * 2_000}, scheduled_at=far)
    days(client, 2.9)
    assert client.api("GET", f"/executions/{ended}").status == 200
    assert client.api("GET", f"/v2/agent/{agent}/executions").json["total"] == 2
    assert items(client, f"X#{ended}") == ["U", "X"]
    days(client, 0.6 + MOST_LATE / DAY)
    assert client.api("GET", f"/executions/{ended}").status == 404
    assert items(client, f"X#{ended}") == [], "its user data was removed after it"
    page = client.api("GET", f"/v2/agent/{agent}/executions").json
    assert (page["total"], [one["id"] for one in page["data"]]) == (1, [waits])
    assert items(client, f"X#{waits}") == ["U", "X"]
    days(client, 26)
    assert client.execution(waits)["status"] == "completed"
    days(client, 4 + MOST_LATE / DAY)
    assert client.api("GET", f"/executions/{waits}").status == 404
    client.assert_sound()


def batch_of(client: LocalClient, file: str) -> str:
    fields = {"agent_id": client.stack.agent_id, "start": "now"}
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{one}' for name, one in fields.items()]
    parts.append(f'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n{file}')
    body = "".join(f"--cut\r\n{part}\r\n" for part in parts) + "--cut--\r\n"
    made = client.api("POST", "/batches", body.encode(), Content_Type="multipart/form-data; boundary=cut")
    assert made.status == 201, made
    return str(made.json["batch_id"])


def test_a_batch_goes_as_a_whole_after_its_end(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    stack = client.stack
    rows = "contact_number\n+14155550101\n+14155550102\nno number"
    batch_id = batch_of(client, rows)
    days(client, 2.9)
    batch = client.api("GET", f"/batches/{batch_id}").json
    assert (batch["status"], sum(batch["execution_status"].values())) == ("completed", 2)
    assert len(client.api("GET", f"/batches/{batch_id}/executions").json) == 2
    contacts = [one["id"] for one in client.api("GET", f"/batches/{batch_id}/executions").json]
    days(client, 0.2)
    assert client.api("GET", f"/batches/{batch_id}").status == 404
    assert [one for contact in contacts for one in items(client, f"X#{contact}")] == []
    assert items(client, f"C#{batch_id}") == []
    (bucket,) = stack.template.buckets()
    files = stack.aws.client("s3").list_objects_v2(Bucket=bucket)
    assert [one["Key"] for one in files.get("Contents", ()) if batch_id in one["Key"]] == []
    days(client, 2 + MOST_LATE / DAY)
    assert items(client, f"B#{batch_id}") == [], "its tombstone has expired"
    client.assert_sound()


def test_an_hour_before_a_calls_expiry_its_checkpoints_are_not_used() -> None:
    """The bound allows for clock differences, and for the end, which is stored in whole seconds."""
    assert timedelta(minutes=1) < EARLY < DAY


# ---- erasure --------------------------------------------------------------------------------------------------------


def record(name: str, image: dict[str, Any], by: str | None = None) -> dict[str, Any]:
    change = {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "SequenceNumber": "1"}
    change["NewImage" if name != "REMOVE" else "OldImage"] = image
    identity = {} if by is None else {"userIdentity": {"type": "Service", "principalId": by}}
    return {"eventName": name, "dynamodb": change, **identity}


def test_a_removed_contact_stays_counted(client: Any) -> None:
    """A client or the DynamoDB service may remove it. Only a removal by the service leaves user data to remove."""
    contact = created(client, batch_id="0" * 32, row=1)
    image = stored(client, contact.end(TEN + minutes(1), stopped("stopped by request")))
    assert tally._moved(record("INSERT", image)) is not None
    assert tally._moved(record("REMOVE", image)) is None
    assert tally._moved(record("REMOVE", image, tally.EXPIRY)) is None
    apart = {**image, "ux": {"BOOL": True}}
    assert tally._expired(record("REMOVE", apart, tally.EXPIRY)) == contact.id
    assert tally._expired(record("REMOVE", apart)) is None
    assert tally._expired(record("REMOVE", image, tally.EXPIRY)) is None, "it has none"
    assert tally._expired(record("MODIFY", apart, tally.EXPIRY)) is None


def test_an_erased_call_leaves_the_total(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    listing = f"/v2/agent/{client.stack.agent_id}/executions"
    client.script(NUMBER, "completed")
    calls = [client.call(NUMBER, user_data={"notes": "x" * 2_000}) for _ in range(5)]
    client.advance(10)
    with mock.patch.multiple(listings, MOST_KEYS=1, SPACING=1):  # have them counted
        client.api("GET", listing)
    client.advance(10)
    kept = items(client, f"N#{client.stack.agent_id}")
    assert len(kept) > 1
    assert client.api("DELETE", f"/executions/{calls[2]}").json == {"message": "success", "state": "deleted"}
    page = client.api("GET", listing).json
    assert (page["total"], len(page["data"])) == (4, 4)
    assert items(client, f"X#{calls[2]}") == []
    assert client.api("DELETE", f"/executions/{calls[2]}").status == 404
    client.assert_sound()


def test_an_open_call_is_not_erased(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    far = (client.stack.clock.now() + DAY).isoformat()
    waits = client.call(NUMBER, scheduled_at=far)
    refused = client.api("DELETE", f"/executions/{waits}")
    assert (refused.status, f"POST /call/{waits}/stop" in refused.json["message"]) == (409, True)
    assert client.execution(waits)["status"] == "scheduled"
    assert client.api("POST", f"/call/{waits}/stop").status == 200
    assert client.api("DELETE", f"/executions/{waits}").status == 200


def test_a_worker_that_has_counted_an_erased_call_keeps_no_checkpoint(client: Any) -> None:
    store = DynamoListings(client, TABLE_NAME, DynamoExecutions(client, TABLE_NAME).read)
    calls = [created(client) for _ in range(5)]
    until = TEN + minutes(15)
    assert store.begin_count(AGENT_ID, TEN, until)
    store._sleep = lambda seconds: store.forget_counts(calls[0], TEN + minutes(1))  # during the count
    assert not store.count(AGENT_ID, TEN + minutes(5), until, lambda: 1.0)
    assert store._checkpoint(AGENT_ID, listings._LAST)[1] == 0
    store.end_count(AGENT_ID, until)
    assert not store.begin_count(AGENT_ID, TEN, until), "the call may not be removed yet"
    assert store.begin_count(AGENT_ID, TEN + minutes(1), until)


def test_an_erased_contact_keeps_its_place_in_counts_lists_and_files(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    ann, ben = "+14155550101", "+14155550102"
    client.script(ann, "completed")
    client.script(ben, "completed")
    batch_id = batch_of(client, f"contact_number,name\n{ann},Ann\n{ben},Ben\n{ann},Ann Again\nno number,Cleo")
    client.advance(60)
    contacts = [one["id"] for one in client.api("GET", f"/batches/{batch_id}/executions").json]
    before = client.api("GET", f"/batches/{batch_id}").json
    assert client.api("DELETE", f"/executions/{contacts[0]}").status == 200
    client.advance(1)
    assert client.api("GET", f"/executions/{contacts[0]}").status == 404
    assert client.api("DELETE", f"/executions/{contacts[0]}").status == 404
    after = client.api("GET", f"/batches/{batch_id}").json
    assert {name: after[name] for name in ("status", "execution_status", "valid_contacts")} == {
        name: before[name] for name in ("status", "execution_status", "valid_contacts")
    }
    rows = client.api("GET", f"/batches/{batch_id}/executions").json
    assert [(one["id"], one["user_number"], one["status"]) for one in rows] == [
        (contacts[0], "", "completed"),
        (contacts[1], ben, "completed"),
    ]
    results = client.api("GET", f"/batches/{batch_id}/results.csv").body.decode().splitlines()
    assert results[1].startswith(f",,{contacts[0]},completed,")
    assert results[2].startswith(f"{ben},Ben,{contacts[1]},completed,")
    rejected = client.api("GET", f"/batches/{batch_id}/rejected.csv").body.decode().splitlines()
    assert rejected[1:] == [",,4,contact_number: duplicate of line 2", rejected[2]]
    assert "Cleo" in rejected[2]
    assert client.api("DELETE", f"/executions/{contacts[1]}").status == 200
    client.advance(60)
    assert not {ann, ben, "Ann", "Ben"} & set(words_stored(client))
    client.assert_sound()


def test_a_person_is_erased_everywhere(client_of_stack: LocalClient, capsys: pytest.CaptureFixture[str]) -> None:
    client = client_of_stack
    ann, ben = "+14155550101", "+14155550102"
    client.script(ann, "completed")
    client.script(ben, "completed")
    request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", {"times": 3, "status": 410})
    data = {"name": "Ann", "notes": "x" * 2_000}
    single = client.call(ann, user_data=data)
    client.call(ben, user_data={"name": "Ben"})
    client.api("POST", "/call", {"agent_id": client.stack.agent_id, "recipient_phone_number": ann}, Idempotency_Key="a")
    batches = [batch_of(client, f"contact_number,name\n{ben},Ben\n{ann},Ann\n{ann},Ann") for _ in range(2)]
    client.advance(60)
    assert client.api("GET", "/webhooks/undelivered").json["data"]
    far = (client.stack.clock.now() + DAY).isoformat()
    waits = client.call(ann, user_data=data, scheduled_at=far)
    capsys.readouterr()
    receipt = client.api("DELETE", "/contacts/001%20(415)%20555-0101")
    assert receipt.status == 200, receipt
    assert receipt.json == {
        "message": "success",
        "state": "deleted",
        "erased": {"executions": 5, "files": 2, "consents": 0},
        "kept": {"suppressions": 0, "attempts": 4},
        "erased_at": receipt.json["erased_at"],
    }
    assert "5550101" not in capsys.readouterr().out.replace("-", ""), "logs have no number"
    client.advance(10)
    for one in (single, waits):
        assert client.api("GET", f"/executions/{one}").status == 404
    words = set(words_stored(client))
    assert not {ann, "Ann"} & words
    assert {ben, "Ben"} <= words
    undelivered = client.api("GET", "/webhooks/undelivered").json["data"]
    assert single not in [one["execution_id"] for one in undelivered]
    for batch_id in batches:
        batch = client.api("GET", f"/batches/{batch_id}").json
        assert (batch["status"], batch["execution_status"]) == ("completed", {"completed": 2})
    again = client.api("DELETE", f"/contacts/{ann}").json
    assert again["erased"] == {"executions": 0, "files": 0, "consents": 0}
    client.advance(2 * 24 * 60)
    assert client.calls(ann)[4:] == [], "the waiting call was not made"
    client.assert_sound()


def test_a_person_with_a_live_call_is_not_erased(client_of_stack: LocalClient) -> None:
    client = client_of_stack
    client.script(NUMBER, "completed")
    live = client.call(NUMBER)
    client.advance(0.05)
    assert client.execution(live)["status"] in ("initiated", "ringing", "in-progress")
    refused = client.api("DELETE", f"/contacts/{NUMBER}")
    assert (refused.status, live in refused.json["message"]) == (409, True)
    assert client.api("DELETE", f"/executions/{live}").status == 409
    client.advance(10)
    assert client.api("DELETE", f"/contacts/{NUMBER}").json["erased"] == {"executions": 1, "files": 0, "consents": 0}


@pytest.mark.parametrize("number", ["12", "abc", "+1", "%00", "+999999999999999", "x" * 500])
def test_what_is_no_number_erases_nothing(client_of_stack: LocalClient, number: str) -> None:
    answer = client_of_stack.api("DELETE", f"/contacts/{quote(number)}")
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "phone_number"), answer


def words_stored(client: LocalClient) -> list[str]:
    """Every word in the table, except for inbox and agents, and in the files."""
    aws, (bucket,) = client.stack.aws, client.stack.template.buckets()
    scanned = aws.client("dynamodb").scan(TableName=client.stack.environment["TABLE_NAME"])["Items"]
    s3 = aws.client("s3")
    files = [
        s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().decode(errors="replace")
        for one in s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    return re.findall(r"\+?\w+", " ".join([str(scanned), *files]))
