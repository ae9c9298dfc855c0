"""Quotas of API keys count a batch's contacts when it is scheduled, so an accepted batch can complete."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

LATER, LATEST = ((NOON + timedelta(days=days)).isoformat() for days in (2, 3))


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def key(local: LocalClient, calls_a_day: int) -> str:
    body = {"name": "k", "quotas": {"calls_a_day": calls_a_day}}
    return str(local.api("POST", "/keys", body).json["api_key"])


def batch(local: LocalClient, contacts: int, api_key: str, *fields: tuple[str, str]) -> Answer:
    rows = "".join(f"+1202555{number:04d}\n" for number in range(100, 100 + contacts))
    form = multipart([("agent_id", local.stack.agent_id), *fields], f"contact_number\n{rows}12\n")
    headers = {"Content_Type": CONTENT_TYPE, "Authorization": f"Bearer {api_key}"}
    return local.api("POST", "/batches", form, **headers)


def schedule(local: LocalClient, batch_id: str, api_key: str, at: str = LATER, **fields: Any) -> Answer:
    path = f"/batches/{batch_id}/schedule"
    return local.api("POST", path, {"scheduled_at": at, **fields}, Authorization=f"Bearer {api_key}")


def call(local: LocalClient, api_key: str) -> int:
    body = {"agent_id": local.stack.agent_id, "recipient_phone_number": "+12025550199", "scheduled_at": LATER}
    return local.api("POST", "/call", body, Authorization=f"Bearer {api_key}").status


def test_a_batch_is_counted_once_when_it_is_scheduled(local: LocalClient) -> None:
    limited = key(local, 5)
    first, second = (batch(local, 3, limited).json["batch_id"] for _ in range(2))
    local.advance(1)
    assert schedule(local, first, limited).status == 200
    assert schedule(local, first, limited, LATEST).status == 200, "it was counted before"
    refused = schedule(local, second, limited, bypass_call_guardrails=True)
    assert (refused.status, "3 more" in refused.json["message"]) == (429, True)
    assert int(refused.headers["retry-after"]) > 0
    assert local.api("GET", f"/batches/{second}").json["status"] == "processed"
    assert [call(local, limited) for _ in range(3)] == [200, 200, 429]
    local.advance(24 * 60)
    assert schedule(local, second, limited).status == 200
    assert [call(local, limited) for _ in range(3)] == [200, 200, 429]


def test_a_batch_that_is_not_scheduled_after_all_is_given_back(local: LocalClient) -> None:
    limited = key(local, 3)
    batch_id = batch(local, 3, limited).json["batch_id"]
    local.advance(1)
    assert schedule(local, batch_id, limited, NOON.isoformat()).status == 400, "too early"
    assert local.api("DELETE", f"/batches/{batch_id}").status == 200
    assert schedule(local, batch_id, limited).status == 404
    assert [call(local, limited) for _ in range(4)] == [200, 200, 200, 429]


def test_a_batch_with_more_contacts_than_the_quota_never_starts(local: LocalClient) -> None:
    limited = key(local, 3)
    batch_id = batch(local, 4, limited).json["batch_id"]
    local.advance(1)
    refused = schedule(local, batch_id, limited)
    assert refused.status == 403 and "split them" in refused.json["message"]


def test_contacts_are_counted_once_they_are_known(local: LocalClient) -> None:
    limited = key(local, 3)
    refused = batch(local, 2, limited, ("start", "now"))
    assert refused.status == 403 and "schedule the batch" in refused.json["message"]
    batch_id = batch(local, 2, limited).json["batch_id"]
    unread = schedule(local, batch_id, limited)
    assert unread.status == 409 and "still being read" in unread.json["message"]
    local.advance(1)
    assert schedule(local, batch_id, limited).status == 200
