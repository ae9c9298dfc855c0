"""Each operation of the API that changes something leaves one audit record."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from redial.api.audit import NOT_AUDITED
from redial.wire.webhook_signature import sign
from tests.support.api import openapi
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, Answer, LocalClient, local_stack, request
from tests.support.samples import CALLER_ID

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER, LATER = "+12025550161", (NOON + timedelta(days=1)).isoformat()
CHANGING = {
    operation["operationId"]
    for operations in openapi()["paths"].values()
    for method, operation in operations.items()
    if method != "get"
}


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


class Recorder:
    """Sends requests, and asserts that each leaves exactly one record."""

    def __init__(self, client: LocalClient) -> None:
        self.client = client
        self.covered: set[str] = set()
        self.seen = {record["id"] for record in client.api("GET", "/audit").json}

    def do(
        self, operation: str, method: str, path: str, body: Any = None, resource: tuple[str, str] | None = None
    ) -> Any:
        headers = {"Content_Type": CONTENT_TYPE} if isinstance(body, bytes) else {}
        answer = self.client.api(method, path, body, **headers)
        assert answer.status < 300, answer
        records = [one for one in self.client.api("GET", "/audit").json if one["id"] not in self.seen]
        self.seen |= {one["id"] for one in records}
        if operation in NOT_AUDITED:
            assert records == []
        else:
            (record,) = records
            assert (record["operation"], record["by"], bool(record["key_id"])) == (operation, "Local account", True)
            if resource is not None:
                assert (record["resource_type"], record["resource_id"]) == resource
            text = json.dumps(record)
            assert NUMBER not in text and "rdl_" not in text
        self.covered.add(operation)
        return answer.json


def test_every_operation_that_changes_something_leaves_a_record(local: LocalClient) -> None:
    recorder = Recorder(local)
    do = recorder.do
    config = {"agent_name": "A", "from_phone_numbers": [CALLER_ID], "answer_url": "https://voice.example.com/a"}
    agent_id = do("create_agent", "POST", "/v2/agent", {"agent_config": config})["agent_id"]
    agent = ("agent", agent_id)
    do("replace_agent", "PUT", f"/v2/agent/{agent_id}", {"agent_config": config}, agent)
    do("patch_agent", "PATCH", f"/v2/agent/{agent_id}", {"agent_config": {"agent_name": "B"}}, agent)
    do("test_webhook", "POST", "/webhooks/test", {"url": f"{local.stack.inbox_url}/x"})
    do("patch_user", "PATCH", "/user/me", {"webhook_url": f"{local.stack.inbox_url}/x"})
    do("put_policy", "PUT", "/policies/news", {"purpose": "news"}, ("policy", "news@1"))
    key_id = do("create_key", "POST", "/keys", {"name": "k"})["id"]
    do("revoke_key", "DELETE", f"/keys/{key_id}", None, ("key", key_id))

    call = {"agent_id": agent_id, "recipient_phone_number": NUMBER, "scheduled_at": LATER}
    do("plan_call", "POST", "/call/plan", call)
    execution_id = do("create_call", "POST", "/call", call)["execution_id"]
    execution = ("execution", execution_id)
    do("stop_call", "POST", f"/call/{execution_id}/stop", None, execution)
    do("replay_webhooks", "POST", f"/executions/{execution_id}/webhooks/replay", None, execution)
    do("suppress_execution", "POST", f"/executions/{execution_id}/suppress", {}, ("suppression", "+1202*****61"))
    do("delete_execution", "DELETE", f"/executions/{execution_id}", None, execution)
    do("add_suppressions", "POST", "/suppressions", {"phone_number": NUMBER}, ("suppression", "+1202*****61"))
    do("delete_suppression", "DELETE", f"/suppressions?{urlencode({'phone_number': NUMBER})}")
    do("add_consents", "POST", "/consents", {"phone_number": NUMBER, "given_at": "2026-01-01T00:00:00Z"})
    do("delete_consent", "DELETE", f"/consents?{urlencode({'phone_number': NUMBER})}")
    do("delete_contact", "DELETE", f"/contacts/{quote(NUMBER)}", None, ("contact", "+1202*****61"))

    local.script(NUMBER, "refused-21210")
    local.call(NUMBER, agent_id=agent_id)
    local.advance(1)
    (item,) = local.api("GET", "/attention").json["data"]
    do("resolve_attention", "POST", f"/attention/{item['id']}/resolve", None, ("attention", item["id"]))

    form = multipart([("agent_id", agent_id)], f"contact_number\n{NUMBER}\n")
    do("create_upload", "POST", "/batches/uploads", {"size": 5})
    batch_id = do("create_batch", "POST", "/batches", form)["batch_id"]
    batch = ("batch", batch_id)
    local.advance(1)
    do("preflight_batch", "POST", f"/batches/{batch_id}/preflight", {})
    do("schedule_batch", "POST", f"/batches/{batch_id}/schedule", {"scheduled_at": LATER}, batch)
    do("pause_batch", "POST", f"/batches/{batch_id}/pause", None, batch)
    do("resume_batch", "POST", f"/batches/{batch_id}/resume", None, batch)
    do("replay_batch_webhooks", "POST", f"/batches/{batch_id}/webhooks/replay", None, batch)
    do("stop_batch", "POST", f"/batches/{batch_id}/stop", None, batch)
    do("delete_batch", "DELETE", f"/batches/{batch_id}", None, batch)
    do("stop_agent", "POST", f"/v2/agent/{agent_id}/stop", None, agent)
    do("delete_agent", "DELETE", f"/v2/agent/{agent_id}", None, agent)
    assert recorder.covered == CHANGING
    assert recorder.covered > NOT_AUDITED.keys()


def test_a_repeated_request_and_a_refused_one_leave_no_record(local: LocalClient) -> None:
    form = multipart([("agent_id", local.stack.agent_id)], f"contact_number\n{NUMBER}\n")

    def send() -> Answer:
        return local.api("POST", "/batches", form, Content_Type=CONTENT_TYPE, Idempotency_Key="once")

    before = len(local.api("GET", "/audit").json)
    assert send().status == 201
    assert send().headers["idempotency-replayed"] == "true"
    assert local.api("PATCH", "/user/me", {"policy": "unknown"}).status == 400
    assert local.api("DELETE", "/keys/unknown").status == 404
    assert len(local.api("GET", "/audit").json) == before + 1


def test_a_signed_request_is_recorded_as_one(local: LocalClient) -> None:
    execution_id = local.call(NUMBER, scheduled_at=LATER)
    local.advance(1)
    headers = sign([local.stack.webhook_secret], f"suppress-{execution_id}", local.stack.clock.now(), b"{}")
    headers["content-type"] = "application/json"
    answer = request("POST", f"{local.stack.url}/executions/{execution_id}/suppress", b"{}", headers)
    assert answer.status == 200, answer
    (record, *_) = local.api("GET", "/audit").json
    assert (record["by"], record["key_id"]) == ("webhook signature", None)
