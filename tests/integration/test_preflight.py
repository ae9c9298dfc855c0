"""A batch's preflight, and contacts that several batches share."""

import json
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from local.aws.requests import OutsideRequest
from redial.adapters.batch_csv import CsvContacts
from redial.adapters.dynamodb.number_rules import DynamoNumberRules
from redial.adapters.files import S3Files
from redial.domain.contact_index import ContactIndex, Place, hash_of
from redial.usecases.batches import index_key
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack
from tests.support.table import as_text

NINE_TO_FIVE = {"windows": [{"start": "09:00", "end": "17:00"}]}
RETRIES = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [20, 40]}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack(log=None) as client:
        yield client
        client.assert_sound()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def upload(client: LocalClient, lines: list[str], *fields: tuple[str, str], agent_id: str | None = None) -> str:
    form = multipart([("agent_id", agent_id or client.stack.agent_id), *fields], "\n".join(lines))
    answer = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    return str(answer.json["batch_id"])


def number(index: int) -> str:
    return f"+1202{5_550_000 + index}"


def numbers(*indexes: int) -> list[str]:
    return ["contact_number", *map(number, indexes)]


def preflight(client: LocalClient, batch_id: str, **body: Any) -> Any:
    answer = client.api("POST", f"/batches/{batch_id}/preflight", body)
    assert answer.status == 200, answer
    return answer.json


def batch(client: LocalClient, batch_id: str) -> Any:
    return client.api("GET", f"/batches/{batch_id}").json


def schedule(client: LocalClient, batch_id: str, start: datetime) -> None:
    form = multipart([("scheduled_at", start.isoformat())], None)
    answer = client.api("POST", f"/batches/{batch_id}/schedule", form, Content_Type=CONTENT_TYPE)
    assert answer.status == 200, answer


def stored(client: LocalClient) -> Any:
    """All that is stored in the table and in the bucket."""
    bucket = client.stack.environment["FILES_BUCKET"]
    objects = client.stack.aws.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return sorted(map(as_text, client.every_item())), [(one["Key"], one["ETag"]) for one in objects]


# ---- its answer ---------------------------------------------------------------------------------------------------

FILE = [
    "contact_number,time_zone",
    f"{number(1)},",  # suppressed
    f"{number(2)},",
    f"{number(2)},",  # twice
    f"{number(3)},Africa/Lagos",
    "+33612345671,",  # without a consent
    "+33612345672,",
    "+33612345673,",  # suppressed, and without a consent
    "+79161234567,",  # may be in too many zones
    f"{number(4)},Nowhere",
    "nonsense,",
]


def test_a_preflight_says_whom_the_batch_would_call_and_whom_not(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_FIVE, consent_required=["FR"])
    batch_id = upload(client, FILE, ("retry_config", json.dumps(RETRIES)))
    client.advance(0)
    for one in (number(1), "+33612345673", number(99)):
        assert client.api("POST", "/suppressions", {"phone_number": one}).status == 200
    consent = {"phone_number": "+33612345672", "given_at": "2026-01-01T00:00:00Z"}
    assert client.api("POST", "/consents", consent).status == 200
    before = stored(client)
    found = preflight(client, batch_id)
    assert stored(client) == before, "nothing is stored"
    del found["finish"], found["lines"]
    assert found == {
        "batch_id": batch_id,
        "contacts": 6,
        "rejected": {"duplicates": 1, "never_placeable": 1, "others": 2},
        "by_time_zone": [
            {"time_zones": ["Europe/Paris"], "contacts": 3},
            {"time_zones": ["America/New_York"], "contacts": 2},
            {"time_zones": ["Africa/Lagos"], "contacts": 1},
        ],
        "by_country": [{"country": "FR", "contacts": 3}, {"country": "US", "contacts": 3}],
        "suppressed": 2,
        "without_consent": 1,
        "never_placeable": 0,
        "to_be_called": 3,
        "shared_contacts": [],
        "attempts_per_contact": 3,
        "worst_case_calls": 9,
        "warnings": [],
    }
    for one in (number(2), number(3), "+33612345672"):
        client.script(one, "no-answer", "busy", "no-answer")
    schedule(client, batch_id, NOON + timedelta(minutes=3))
    client.advance(4 * 60)
    assert len(client.calls()) == 9, "as predicted for the worst case"
    assert batch(client, batch_id)["execution_status"] == {"canceled": 3, "no-answer": 3}


def test_the_hours_and_the_agents_zone_of_today_count(client: LocalClient) -> None:
    """Rows were checked with the hours in force when the batch was created."""
    client.configure(calling_guardrails={"call_start_hour": 8, "call_end_hour": 20})
    batch_id = upload(client, ["contact_number,time_zone", "+79161234567,", "+79161234568,Asia/Omsk"])
    client.advance(0)
    assert preflight(client, batch_id)["never_placeable"] == 0
    client.configure(calling_guardrails=NINE_TO_FIVE)
    found = preflight(client, batch_id)
    assert (found["never_placeable"], found["to_be_called"]) == (1, 1)
    assert "never open" in found["warnings"][0]
    assert preflight(client, batch_id, bypass_call_guardrails=True)["to_be_called"] == 2
    client.configure(time_zone="Europe/Moscow")
    assert preflight(client, batch_id)["to_be_called"] == 2


def test_a_rule_counts_if_it_holds_when_the_batch_starts(client: LocalClient) -> None:
    client.configure(consent_required=True, purpose="marketing")
    batch_id = upload(client, numbers(1, 2, 3, 4))
    client.advance(0)
    tomorrow = (NOON + timedelta(days=1)).isoformat()
    consents: list[dict[str, Any]] = [
        {"phone_number": number(1), "expires_at": tomorrow},
        {"phone_number": number(2), "purpose": "marketing"},
        {"phone_number": number(3), "purpose": "reminder"},
        {"phone_number": number(4)},
    ]
    for consent in consents:
        body = {"given_at": "2026-01-01T00:00:00Z", **consent}
        assert client.api("POST", "/consents", body).status == 200
    other = client.stack.create_agent()
    for suppression in ({"phone_number": number(1), "agent_id": other}, {"phone_number": number(4), "purpose": "x"}):
        assert client.api("POST", "/suppressions", suppression).status == 200
    found = preflight(client, batch_id)
    assert (found["suppressed"], found["without_consent"]) == (0, 1)
    later = preflight(client, batch_id, scheduled_at=(NOON + timedelta(days=2)).isoformat())
    assert (later["suppressed"], later["without_consent"]) == (0, 2)


def test_in_each_state_of_the_batch(client: LocalClient) -> None:
    batch_id = upload(client, numbers(*range(20)))
    reading = client.api("POST", f"/batches/{batch_id}/preflight")
    assert (reading.status, reading.json["state"], reading.headers["retry-after"]) == (202, "reading", "10")
    client.advance(0)
    assert at(preflight(client, batch_id)["finish"]["starts_at"]) == NOON
    start = NOON + timedelta(hours=3)
    assert at(preflight(client, batch_id, scheduled_at=start.isoformat())["finish"]["starts_at"]) == start
    for wrong in (NOON, NOON + timedelta(days=31)):
        answer = client.api("POST", f"/batches/{batch_id}/preflight", {"scheduled_at": wrong.isoformat()})
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "scheduled_at")
    schedule(client, batch_id, start)
    assert at(preflight(client, batch_id)["finish"]["starts_at"]) == start
    client.advance(3 * 60)
    refused(client, batch_id, "running")
    client.advance(60)
    refused(client, batch_id, "completed")
    assert client.api("DELETE", f"/batches/{batch_id}").status == 200
    assert client.api("POST", f"/batches/{batch_id}/preflight").status == 404


def refused(client: LocalClient, batch_id: str, status: str) -> None:
    answer = client.api("POST", f"/batches/{batch_id}/preflight")
    assert (answer.status, f"the batch is {status}" in answer.json["message"]) == (409, True), answer


def test_a_deleted_agents_batch_has_no_preflight(client: LocalClient) -> None:
    agent_id = client.stack.create_agent()
    batch_id = upload(client, numbers(1), agent_id=agent_id)
    client.advance(0)
    assert client.api("DELETE", f"/v2/agent/{agent_id}").status == 200
    answer: Answer = client.api("POST", f"/batches/{batch_id}/preflight")
    assert answer.status in (404, 409), answer


# ---- its cost -----------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_rows_take_as_many_requests_as_ten(client: LocalClient) -> None:
    """It also takes less than 30 seconds: the index is stored here as if such a file had been read."""
    client.configure(calling_guardrails=NINE_TO_FIVE)
    batch_id = upload(client, numbers(*range(10)))
    client.advance(0)
    assert client.api("POST", "/suppressions", {"phone_number": number(1)}).status == 200
    small, _ = counted(client, batch_id)
    zones = ("America/New_York", "America/Chicago", "America/Denver", "Pacific/Honolulu")
    draw = random.Random(1)
    hashes = array("Q", sorted(draw.getrandbits(64) for _ in range(100_000)))
    places = tuple(Place("US", ("US",), (zone,)) for zone in zones)
    index = ContactIndex(hashes, array("I", (draw.randrange(4) for _ in hashes)), places)
    files = S3Files(client.stack.aws.client("s3"), client.stack.environment["FILES_BUCKET"])
    files.put(index_key("local", batch_id), CsvContacts().index_file(index))
    begun = time.monotonic()
    large, found = counted(client, batch_id)
    assert time.monotonic() - begun < 30
    assert (large, found["contacts"], found["to_be_called"]) == (small, 100_000, 100_000)
    assert large == {"GetItem": 3, "Query": 18, "GetObject": 1}


def counted(client: LocalClient, batch_id: str) -> tuple[dict[str, int], Any]:
    """The AWS requests of a preflight, by operation, and its answer. The function was already warm."""
    preflight(client, batch_id)
    seen: Counter[str] = Counter()

    def hook(request: OutsideRequest) -> None:
        if request.phase == "before" and request.invocation is not None:
            seen[request.operation] += 1

    client.stack.aws.hooks.append(hook)
    found = preflight(client, batch_id)
    client.stack.aws.hooks.remove(hook)
    return dict(seen), found


# ---- the predicted end of the batch -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({"max_concurrent_calls": 2}, {}),
        ({"max_concurrent_calls": 20}, {"calls_per_second": "0.1"}),
        ({"max_concurrent_calls": 5}, {"retry_config": json.dumps(RETRIES)}),
        pytest.param(
            {"max_concurrent_calls": 3, "calling_guardrails": {**NINE_TO_FIVE, "placement": "spread"}},
            {"retry_config": json.dumps(RETRIES), "calls_per_second": "0.2"},
            marks=pytest.mark.nightly,
        ),
        pytest.param(
            {"calling_guardrails": {"call_start_hour": 9, "call_end_hour": 10, "placement": "rotate"}},
            {"retry_config": json.dumps(RETRIES)},
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_the_batch_is_finished_within_the_interval_foreseen(
    client: LocalClient, config: dict[str, Any], fields: dict[str, str]
) -> None:
    """The carrier's outcomes are its defaults: some calls are answered, others not. Noon UTC is 7:00 in Washington."""
    client.configure(**config)
    lines = ["contact_number,time_zone"]
    lines += [f"{number(one)},{('', 'Europe/Berlin', 'Asia/Tokyo')[one % 3]}" for one in range(24)]
    batch_id = upload(client, lines, *fields.items())
    client.advance(0)
    start = NOON + timedelta(minutes=10)
    found = preflight(client, batch_id, scheduled_at=start.isoformat())["finish"]
    earliest, latest = at(found["earliest"]), at(found["latest"])
    schedule(client, batch_id, start)
    client.advance((latest - NOON).total_seconds() / 60 + 15)
    ended = batch(client, batch_id)
    assert ended["status"] == "completed"
    assert start < earliest <= at(ended["updated_at"]) <= latest


def test_a_batchs_policy_its_limits_and_its_expiry_count(client: LocalClient) -> None:
    policy = {
        "calling_guardrails": NINE_TO_FIVE,
        "consent_required": ["FR"],
        "contact_limits": {"caps": [{"attempts": 1, "hours": 48}]},
        "retry_config": RETRIES,
    }
    answer = client.api("PUT", "/policies/leads", policy, If_None_Match="*")
    assert answer.status in (200, 201), answer
    lines = [*numbers(1, 2), "+33612345671"]
    batch_id = upload(client, lines, ("policy", "leads"))
    client.advance(0)
    found = preflight(client, batch_id)
    assert (found["without_consent"], found["attempts_per_contact"], found["to_be_called"]) == (1, 3, 2)
    opens = NOON + timedelta(hours=2)
    assert at(found["finish"]["earliest"]) == opens + timedelta(seconds=5)
    assert opens + timedelta(days=4) < at(found["finish"]["latest"]) < opens + timedelta(days=5), "one call in two days"
    expiring = upload(client, lines, ("policy", "leads"), ("expires_after_minutes", "1500"))
    client.advance(0)
    found = preflight(client, expiring)
    assert "expires at" in found["warnings"][0]
    assert at(found["finish"]["latest"]) < NOON + timedelta(minutes=1500 + 5)


# ---- contacts that several batches share ---------------------------------------------------------------------------


def test_contacts_of_two_running_batches_are_reported_in_both(client: LocalClient) -> None:
    """The batches may be of different agents. They run when each zone opens, in two hours."""
    client.configure(calling_guardrails=NINE_TO_FIVE)
    other_agent = client.stack.create_agent(calling_guardrails=NINE_TO_FIVE)
    first = upload(client, numbers(*range(10)), ("start", "now"))
    client.advance(1)
    assert batch(client, first)["shared_contacts"] == []
    second = upload(client, numbers(*range(7, 20)), agent_id=other_agent)
    client.advance(1)
    shared = [{"batch_id": first, "contacts": 3}]
    assert preflight(client, second)["shared_contacts"] == shared
    assert batch(client, first)["shared_contacts"] == batch(client, second)["shared_contacts"] == []
    schedule(client, second, NOON + timedelta(minutes=5))
    client.advance(5)
    assert batch(client, second)["shared_contacts"] == shared
    assert batch(client, first)["shared_contacts"] == [{"batch_id": second, "contacts": 3}]
    third = upload(client, numbers(*range(9, 14)), ("start", "now"))
    client.advance(1)
    both = [{"batch_id": second, "contacts": 5}, {"batch_id": first, "contacts": 1}]
    assert batch(client, third)["shared_contacts"] == both
    assert {"batch_id": third, "contacts": 5} in batch(client, second)["shared_contacts"]
    client.advance(3 * 60)
    fourth = upload(client, numbers(*range(10)))
    client.advance(1)
    assert preflight(client, fourth)["shared_contacts"] == [], "the others are over"


def test_batches_that_start_at_once_find_each_other(client: LocalClient) -> None:
    client.configure(calling_guardrails=NINE_TO_FIVE)
    found = [upload(client, numbers(*range(one, one + 8))) for one in range(4)]
    client.advance(0)
    for batch_id in found:
        schedule(client, batch_id, NOON + timedelta(minutes=5))
    client.advance(6)
    for position, batch_id in enumerate(found):
        wanted = {other: 8 - abs(position - place) for place, other in enumerate(found) if other != batch_id}
        assert {one["batch_id"]: one["contacts"] for one in batch(client, batch_id)["shared_contacts"]} == wanted


# ---- erasure ------------------------------------------------------------------------------------------------------


def test_an_erased_person_is_not_in_the_index_and_a_deleted_batch_has_none(client: LocalClient) -> None:
    batch_id = upload(client, numbers(1, 2, 3))
    client.advance(0)
    stack = client.stack
    files = S3Files(stack.aws.client("s3"), stack.environment["FILES_BUCKET"])
    rules = DynamoNumberRules(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"], lambda: "")
    hasher = rules.hasher("local")
    assert hasher is not None and not rules.any_kept("local")
    key = index_key("local", batch_id)
    assert list(CsvContacts().read_hashes(files.read(key))) == sorted(hash_of(hasher(number(one))) for one in (1, 2, 3))
    assert number(2)[1:].encode() not in b"".join(files.read(key))
    assert client.api("DELETE", f"/contacts/{number(2)}").status == 200
    client.advance(5)
    assert list(CsvContacts().read_hashes(files.read(key))) == sorted(hash_of(hasher(number(one))) for one in (1, 3))
    assert preflight(client, batch_id)["contacts"] == 2
    assert client.api("DELETE", f"/batches/{batch_id}").status == 200
    client.advance(20)
    assert files.size(key) is None
