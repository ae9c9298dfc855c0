"""The Python client against the local stack, and its retries and errors against scripted answers."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

import redial_client
from local.web.server import RESET, HttpServer, Request, Response
from redial_client import ApiError, Conflict, InvalidInput, KeyRejected, NotFound, Redial, ServerError, Unreachable
from redial_client.client import Batches
from redial_client.errors import FieldError
from redial_client.webhooks import verify
from tests.support.local_stack import LocalClient, local_stack

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")
ANN, BOB = "+12025550171", "+12025550172"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


@pytest.fixture
def redial(local: LocalClient) -> Redial:
    return Redial(local.stack.url, local.stack.api_key)


# ---- resources ------------------------------------------------------------------------------------------------------


def test_a_call_is_planned_created_followed_and_explained(local: LocalClient, redial: Redial) -> None:
    agent_id = redial.agents.find(None)
    local.script(ANN, "no-answer", "completed")
    retries: Any = {"enabled": True, "max_retries": 2, "retry_intervals_minutes": [15]}
    plan = redial.calls.plan(agent_id=agent_id, recipient_phone_number=ANN, retry_config=retries)
    assert plan["worst_case_calls"] == 3
    execution_id = redial.calls.create(agent_id=agent_id, recipient_phone_number=ANN, retry_config=retries)[
        "execution_id"
    ]
    local.advance(30)
    assert redial.executions.get(execution_id)["status"] == "completed"
    types = [entry["type"] for entry in redial.executions.log(execution_id)]
    assert (types[0], types.count("ringing"), types.count("claimed")) == ("queued", 2, 2)
    assert redial.executions.explain(execution_id)["summary"].startswith("Over after attempt 2")
    assert [one["id"] for one in redial.executions.list(agent_id, user_number=ANN)] == [execution_id]
    assert redial.executions.replay_webhooks(execution_id)["replayed"] == []
    assert redial.contacts.get(ANN)["now"]["is_dialled"]
    assert redial.statistics(agent_id=agent_id)["attempts"] >= 0
    assert redial.executions.erase(execution_id)["state"] == "deleted"
    with pytest.raises(NotFound):
        redial.executions.get(execution_id)


def test_a_listing_is_fetched_part_by_part(local: LocalClient, redial: Redial) -> None:
    agent_id = redial.agents.find("First agent")
    file = "contact_number\n" + "".join(f"+1202556{number:04d}\n" for number in range(105))
    batch_id = redial.batches.create(agent_id, file.encode())["batch_id"]
    local.advance(2)
    assert redial.batches.get(batch_id)["valid_contacts"] == 105
    listed = redial.executions.list(agent_id, batch_id=batch_id)
    assert len({one["id"] for one in listed}) == 105
    assert len(list(redial.batches.executions(batch_id))) == 105
    assert redial.batches.delete(batch_id)["state"] == "deleted"


def test_a_batch_is_checked_scheduled_held_and_stopped(local: LocalClient, redial: Redial, tmp_path: Path) -> None:
    agent_id = redial.agents.find(None)
    file = tmp_path / "contacts.csv"
    file.write_text(f"contact_number,name\n{ANN},Ann\n12,Cy\n")
    batch_id = redial.batches.create(agent_id, file, retry_config={"enabled": True}, calls_per_second=5)["batch_id"]
    redial.transport.sleep = lambda seconds: local.advance(seconds / 60)
    read: list[int] = []
    preflight = redial.batches.preflight(batch_id, call_seconds=90, progress=lambda rows, _: read.append(rows))
    assert (preflight["to_be_called"], preflight["worst_case_calls"]) == (1, 4)
    start = (local.stack.clock.now() + timedelta(minutes=10)).isoformat()
    assert redial.batches.schedule(batch_id, start)["state"] == "scheduled"
    assert redial.batches.pause(batch_id)["state"] == "paused"
    assert redial.batches.resume(batch_id)["state"] == "scheduled"
    assert redial.batches.stop(batch_id)["state"] == "stopped"
    assert redial.batches.results(batch_id).startswith(b"contact_number,name,execution_id,status,")
    assert b"12,Cy,3," in redial.batches.rejected(batch_id)
    assert batch_id in [one["batch_id"] for one in redial.batches.list(agent_id)]
    assert redial.batches.replay_webhooks(batch_id)["replayed"] == []


def test_a_large_file_is_uploaded_first(
    local: LocalClient, redial: Redial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redial_client.client.LARGEST_DIRECT_FILE", 10)
    agent_id, sent = redial.agents.find(None), []
    content = f"contact_number\n{BOB}\n".encode()
    (tmp_path / "large.csv").write_bytes(content)
    for file in (tmp_path / "large.csv", content):
        batch_id = redial.batches.create(agent_id, file, progress=lambda done, all_: sent.append((done, all_)))
        local.advance(1)
        assert redial.batches.get(batch_id["batch_id"])["valid_contacts"] == 1
    assert sent[-1] == (len(content), len(content))


def test_agents_rules_and_the_account_are_managed(redial: Redial) -> None:
    made = redial.agents.create({"agent_config": {"agent_name": "Second", "answer_url": "https://voice.example.com/"}})
    agent_id = made["agent_id"]
    redial.agents.patch(agent_id, {"agent_config": {"max_concurrent_calls": 3}})
    assert redial.agents.get(agent_id)["agent_config"]["max_concurrent_calls"] == 3
    redial.agents.replace(
        agent_id, {"agent_config": {"agent_name": "Other", "answer_url": "https://voice.example.com/"}}
    )
    assert redial.agents.find("Other") == agent_id
    for name, message in ((None, "name one of 2 agents"), ("Third", "no agent 'Third'; agents: First agent, Other")):
        with pytest.raises(redial_client.AgentUnclear, match=message):
            redial.agents.find(name)
    assert redial.agents.stop(agent_id)["stopped_executions"] == []
    assert redial.agents.delete(agent_id)["state"] == "deleted"
    assert redial.suppressions.add(phone_number=BOB, purpose="marketing")["suppressions"][0]["last_four"] == BOB[-4:]
    assert [rule["purpose"] for rule in redial.suppressions.list(phone_number=BOB)] == ["marketing"]
    assert redial.suppressions.remove(phone_number=BOB, purpose="marketing")["deleted"] == 1
    redial.consents.add(phone_number=BOB, given_at="2026-01-01T00:00:00Z")
    assert len(list(redial.consents.list())) == 1
    assert redial.consents.remove(phone_number=BOB)["deleted"] == 1
    assert redial.policies.put("news", if_none_match="*", purpose="news")["policy"] == "news@1"
    with pytest.raises(Conflict):
        redial.policies.put("news", if_none_match="*", purpose="news")
    assert redial.policies.get("news", version=1)["purpose"] == "news"
    assert [one["name"] for one in redial.policies.list()] == ["news"]
    assert "us-federal" in [one["name"] for one in redial.policies.presets()]
    assert redial.attention.list() == [] and redial.webhooks.undelivered()["data"] == []
    with pytest.raises(NotFound):
        redial.attention.resolve("twilio")
    assert redial.account.patch(from_phone_numbers=["+12025550102"])["defaults"]["from_phone_numbers"] == [
        "+12025550102"
    ]
    assert redial.account.patch(from_phone_numbers=None)["defaults"]["from_phone_numbers"] == []
    assert len(list(redial.account.phone_numbers())) == 2
    assert redial.contacts.erase("+12025550179")["erased"]["executions"] == 0


def test_an_error_names_its_fields(local: LocalClient, redial: Redial) -> None:
    with pytest.raises(InvalidInput) as caught:
        redial.calls.create(
            agent_id=redial.agents.find(None),
            recipient_phone_number="12",
            retry_config={"enabled": True, "max_retries": 9},
        )
    assert caught.value.status == 400
    assert [error.field for error in caught.value.errors] == ["recipient_phone_number", "retry_config.max_retries"]
    with pytest.raises(KeyRejected) as rejected:
        Redial(local.stack.url, "rdl_wrong").account.get()
    assert rejected.value.status == 401


# ---- retries --------------------------------------------------------------------------------------------------------


class Scripted:
    """A server with scripted answers: an HTTP status, a response, or `RESET`. The last one repeats."""

    def __init__(self, *answers: int | Response | None) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.waits: list[float] = []
        self.server = HttpServer("scripted API", 0)

    def respond(self, request: Request) -> Response | None:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response.of(answer, {"message": f"status {answer}"}) if isinstance(answer, int) else answer

    def __enter__(self) -> Redial:
        self.server.start(self.respond)
        return Redial(self.server.url, "rdl_key", sleep=self.waits.append)

    def __exit__(self, *failure: object) -> None:
        self.server.stop()


CALL: Any = {"agent_id": "a", "recipient_phone_number": ANN}
CREATED = Response.of(200, {"message": "done", "status": "queued", "execution_id": "e"})


@pytest.mark.parametrize("failure", [429, 500, 502, 503, 504, RESET])
def test_a_call_is_requested_again_with_one_idempotency_key(failure: int | None) -> None:
    with (scripted := Scripted(failure, failure, CREATED)) as redial:
        assert redial.calls.create(**CALL)["execution_id"] == "e"
        redial.calls.create(**CALL)
    keys = [request.header("idempotency-key") for request in scripted.requests]
    assert len(keys) == 4 and keys[0] == keys[1] == keys[2] != keys[3]
    assert {request.header("authorization") for request in scripted.requests} == {"Bearer rdl_key"}
    first, second = scripted.waits
    assert 0.25 <= first <= 0.5 <= second <= 1


@pytest.mark.parametrize("failure", [500, 503, RESET])
def test_a_request_that_may_have_had_its_effect_is_not_repeated(failure: int | None) -> None:
    with (scripted := Scripted(failure)) as redial, pytest.raises((ServerError, Unreachable)):
        redial.batches.pause("b")
    assert len(scripted.requests) == 1 and scripted.waits == []


def test_what_was_refused_for_too_many_requests_is_repeated() -> None:
    refused = Response(429, b'{"message": "Too Many Requests"}', [("retry-after", "7")])
    with (scripted := Scripted(refused, Response.of(200, {"state": "paused"}))) as redial:
        assert redial.batches.pause("b") == {"state": "paused"}
    assert scripted.waits == [7.0]


def test_the_tries_end() -> None:
    with (scripted := Scripted(503)) as redial, pytest.raises(ServerError, match="status 503") as caught:
        redial.account.get()
    assert (len(scripted.requests), len(scripted.waits), caught.value.errors) == (4, 3, ())


def test_an_invalid_request_is_not_repeated() -> None:
    body = {"message": "name: is required", "errors": [{"field": "name", "message": "is required"}], "request_id": "r"}
    with (scripted := Scripted(Response.of(400, body))) as redial, pytest.raises(InvalidInput) as caught:
        redial.account.get()
    assert len(scripted.requests) == 1
    assert (caught.value.errors, caught.value.request_id) == ((FieldError("name", "is required"),), "r")


def test_a_retry_after_may_be_a_date_and_a_long_one_is_not_waited_for() -> None:
    soon, late = (
        Response(503, b"", [("retry-after", format_datetime(datetime.now(UTC) + timedelta(seconds=seconds)))])
        for seconds in (20, 3600)
    )
    with (scripted := Scripted(soon, late)) as redial, pytest.raises(ServerError):
        redial.account.get()
    assert len(scripted.requests) == 2 and 15 < scripted.waits[0] <= 20


def test_an_answer_that_is_not_json_is_an_error_of_its_status() -> None:
    with Scripted(Response(418, b"<html>")) as redial, pytest.raises(ApiError, match=r"The answer was HTTP 418\."):
        redial.account.get()


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://127.0.0.1:1", "Connection refused"), ("localhost", "is not a URL"), ("https://", "is not a URL")],
)
def test_an_api_that_is_not_there_is_unreachable(url: str, message: str) -> None:
    with pytest.raises(Unreachable, match=message):
        Redial(url, "k", tries=2, sleep=lambda _: None).account.get()


def test_an_interrupted_upload_says_so() -> None:
    with Scripted(RESET) as redial:
        upload = Response.of(
            201, {"upload_id": "u", "url": f"{redial.base_url}/put", "method": "PUT", "expires_at": ""}
        )
        with Scripted(upload) as other, pytest.raises(Unreachable, match="The file was not uploaded"):
            Batches(other.transport).upload(b"x", "x.csv")


# ---- webhooks -------------------------------------------------------------------------------------------------------


def test_a_webhook_is_verified() -> None:
    body = json.dumps({"type": "execution.queued", "id": "e", "sequence": 1}).encode()
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "e-1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign("e-1", now, body.decode()),
    }
    assert verify(SECRET, headers, body)["type"] == "execution.queued"
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, headers, body + b" ")


def test_the_package_has_its_names_and_no_other() -> None:
    assert {name for name in redial_client.__all__ if getattr(redial_client, name)} == set(redial_client.__all__)
    with pytest.raises(AttributeError, match="no attribute 'rocket'"):
        _ = redial_client.rocket
