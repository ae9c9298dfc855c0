"""`webhook_statuses` of an agent: only events with these statuses are sent, and the carrier is asked for no others."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack

# The stack ignores this warning itself, but only until the end of the test that started it.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

NUMBER = "+12025550181"
RETRIES = {"enabled": True, "retry_intervals_minutes": [10]}
FINAL = ["completed", "no-answer", "busy", "failed", "canceled", "stopped", "error"]


@pytest.fixture(scope="module")
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def agent(client: LocalClient, **config: Any) -> str:
    url = f"{client.stack.inbox_url}/few"
    return client.stack.create_agent(webhook_url=url, **config)


def sent(client: LocalClient, execution_id: str) -> list[tuple[str, int]]:
    events = client.inbox("few", execution_id)
    return [(event["body"]["status"], event["body"]["sequence"]) for event in events]


def test_a_call_sends_only_wanted_events_and_is_reported_only_its_end(client: LocalClient) -> None:
    agent_id = agent(client, webhook_statuses=[*FINAL, "scheduled"])
    client.script(NUMBER, "no-answer", "completed")
    execution_id = client.call(NUMBER, agent_id=agent_id, retry_config=RETRIES)
    client.advance(15)
    assert sent(client, execution_id) == [("no-answer", 3), ("scheduled", 4), ("completed", 6)]
    execution = client.execution(execution_id)
    assert (execution["status"], execution["sequence"], execution["retry_count"]) == ("completed", 6, 1)
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert not {"ringing", "in-progress"} & {entry["type"] for entry in log}, "the carrier was not asked for them"
    assert client.api("GET", "/webhooks/undelivered").json["data"] == []


def test_a_changed_filter_holds_from_the_next_attempt_on(client: LocalClient) -> None:
    agent_id = agent(client, webhook_statuses=["completed"])
    client.script(NUMBER, "busy", "completed")
    execution_id = client.call(NUMBER, agent_id=agent_id, retry_config=RETRIES)
    client.advance(2)
    assert sent(client, execution_id) == []
    body = {"agent_config": {"webhook_statuses": None}}
    assert client.api("PATCH", f"/v2/agent/{agent_id}", body).status == 200
    client.advance(15)
    assert sent(client, execution_id) == [("initiated", 5), ("ringing", 6), ("in-progress", 7), ("completed", 8)]


def test_a_batchs_contacts_send_only_wanted_events(client: LocalClient) -> None:
    agent_id = agent(client, webhook_statuses=FINAL)
    client.script(NUMBER, "busy")
    form = multipart([("agent_id", agent_id), ("start", "now")], f"contact_number\n{NUMBER}\n")
    batch_id = client.api("POST", "/batches", form, Content_Type=CONTENT_TYPE).json["batch_id"]
    client.advance(3)
    (contact,) = client.api("GET", f"/batches/{batch_id}/executions").json
    assert sent(client, contact["id"]) == [("busy", 3)]


@pytest.mark.parametrize(
    ("value", "said"),
    [([], "at least 1"), (["done"], "must be one of"), ("completed", "must be a list"), ([7], "must be one of")],
)
def test_what_is_no_list_of_statuses_is_refused(client: LocalClient, value: Any, said: str) -> None:
    answer = client.api("POST", "/v2/agent", {"agent_config": {"agent_name": "a", "webhook_statuses": value}})
    assert answer.status == 400
    (error,) = answer.json["errors"]
    assert error["field"].startswith("agent_config.webhook_statuses") and said in error["message"]
