"""`GET /executions/{id}/explain` and the log: every gate of every attempt, and what the call waits for."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from redial.domain.decision import Gate
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import NOON, LocalClient, local_stack

BERLIN = "+493012345678"
NINE_TO_SIX = {"call_start_hour": 9, "call_end_hour": 18}


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


def explain(client: LocalClient, execution_id: str) -> Any:
    answer = client.api("GET", f"/executions/{execution_id}/explain")
    assert answer.status == 200, answer
    return answer.json


def test_every_attempt_is_explained_by_every_gate(client: LocalClient) -> None:
    """Noon UTC is 13:00 in Berlin; the retry is due outside calling hours."""
    client.configure(calling_guardrails=NINE_TO_SIX)
    client.script(BERLIN, "no-answer", "completed")
    execution_id = client.call(BERLIN, retry_config={"enabled": True, "retry_intervals_minutes": [360]})
    client.advance(5)
    waiting = explain(client, execution_id)
    assert waiting["summary"] == "Waiting until 2026-01-26 19:00 Europe/Berlin: the retry's interval."
    assert waiting["waits_for"]["gate"] is None
    assert waiting["plan"]["attempts"][0]["earliest_at"] == "2026-01-27T08:00:00.000Z"
    client.advance(6 * 60)
    waiting = explain(client, execution_id)
    reason = "outside calling hours 9-18 of Europe/Berlin"
    assert waiting["summary"] == f"Waiting until 2026-01-27 09:00 Europe/Berlin: {reason}."
    assert waiting["waits_for"] == {
        "gate": "calling-window",
        "until": "2026-01-27T08:00:00.000Z",
        "text": waiting["summary"],
        "to_change": "Wider calling hours of the agent, or the contact's own time_zone, may bring it forward.",
    }
    assert (waiting["now"][-1]["gate"], waiting["now"][-1]["decision"]) == ("calling-window", "defer")
    client.advance(15 * 60)
    over = explain(client, execution_id)
    assert over["summary"] == "Over after attempt 2, as completed: answered."
    assert (over["waits_for"], over["now"], over["plan"]) == (None, None, None)
    first, second = over["attempts"]
    assert [one["type"] for one in first["decided"]] == ["claimed"]
    assert [one["type"] for one in second["decided"]] == ["rescheduled", "claimed"]
    for claimed in (first["decided"][-1], second["decided"][-1]):
        assert [one["gate"] for one in claimed["gates"]] == list(Gate)
        assert {one["decision"] for one in claimed["gates"]} == {"allow"}
    texts = {one["gate"]: one["text"] for one in second["decided"][-1]["gates"]}
    assert texts["calling-window"] == "09:00 in Europe/Berlin is within calling hours 9-18 of the agent."
    assert texts["caller-id"].startswith("It is called from +1")
    assert (
        second["decided"][0]["gates"][-1]["text"] == f"{reason.capitalize().replace('europe/berlin', 'Europe/Berlin')}."
    )
    log = [
        one["data"]["gates"]
        for one in client.api("GET", f"/executions/{execution_id}/log").json["data"]
        if one["component"] != "deliver" and "gates" in one["data"]
    ]
    explained = [decided["gates"] for attempt in over["attempts"] for decided in attempt["decided"]]
    assert [[one["text"] for one in gates] for gates in log] == [[one["text"] for one in gates] for gates in explained]


def test_what_a_call_waits_for_is_explained(client: LocalClient) -> None:
    client.configure(max_concurrent_calls=1)
    client.script("+12025550101", "completed")
    first, second = client.call("+12025550101"), client.call("+12025550102")
    later = client.call("+12025550103", scheduled_at=(NOON + timedelta(days=1)).isoformat())
    client.advance(0.2)
    assert explain(client, first)["summary"] == "The call of attempt 1 is in-progress."
    queued = explain(client, second)
    assert (queued["summary"], queued["waits_for"]["gate"]) == ("Waiting for a line.", "line")
    assert queued["waits_for"]["to_change"].startswith("It goes on when a call of the agent ends")
    scheduled = explain(client, later)
    assert scheduled["summary"] == "Waiting until 2026-01-27 07:00 America/New_York: its time."
    assert scheduled["waits_for"]["to_change"] == "It goes on by itself. POST /call/{execution_id}/stop ends it."


def test_a_batchs_contact_is_explained(client: LocalClient) -> None:
    form = [("agent_id", client.stack.agent_id)]
    answer = client.api("POST", "/batches", multipart(form, f"contact_number\n{BERLIN}\n"), Content_Type=CONTENT_TYPE)
    batch_id = answer.json["batch_id"]
    client.advance(1)
    [contact] = client.api("GET", f"/batches/{batch_id}/executions").json
    assert explain(client, contact["id"])["summary"] == "It waits for its turn in the batch."
    start = (NOON + timedelta(hours=1)).isoformat()
    assert client.api("POST", f"/batches/{batch_id}/schedule", {"scheduled_at": start}).status == 200
    explained = explain(client, contact["id"])
    assert explained["summary"] == "Waiting until 2026-01-26 14:00 Europe/Berlin: its time."
    assert explained["plan"]["attempts"][0]["earliest_at"] == "2026-01-26T13:00:00.000Z"
    client.configure(max_concurrent_calls=1)
    client.script("+12025550101", "completed")
    client.advance(60)
    assert explain(client, contact["id"])["attempts"][0]["decided"][-1]["type"] == "claimed"


def test_a_paused_batchs_contacts_wait_for_it(client: LocalClient) -> None:
    client.configure(max_concurrent_calls=1)
    form = [("agent_id", client.stack.agent_id), ("start", "now")]
    numbers = f"contact_number\n{BERLIN}\n+493012345679"
    batch_id = client.api("POST", "/batches", multipart(form, numbers), Content_Type=CONTENT_TYPE).json["batch_id"]
    client.script(BERLIN, "completed")
    client.advance(0.1)
    assert client.api("POST", f"/batches/{batch_id}/pause").status == 200
    contacts = client.api("GET", f"/batches/{batch_id}/executions").json
    explained = explain(client, contacts[1]["id"])
    assert (explained["summary"], explained["waits_for"]["gate"]) == ("Batch paused.", "pause")
    assert explained["plan"]["warnings"] == ["attempt 1 waits without a time: batch paused"]


# ---- a number -----------------------------------------------------------------------------------------------------


def test_a_number_shows_its_live_call_and_the_use_of_its_limits(client: LocalClient) -> None:
    limits = {"caps": [{"attempts": 2, "hours": 24}], "pause_after_conversation_hours": 1}
    assert client.api("PATCH", "/user/me", {"contact_limits": limits}).status == 200
    agent_id = client.stack.agent_id
    client.script(BERLIN, "completed")
    execution_id = client.call(BERLIN)
    client.advance(0.5)
    during = client.api("GET", f"/numbers/{BERLIN}?agent_id={agent_id}").json
    assert during["live_execution_id"] == execution_id
    assert (during["now"]["is_dialled"], during["now"]["gates"][-1]["gate"]) == (False, "one-call")
    body = {"agent_id": agent_id, "recipient_phone_number": BERLIN}
    assert "another call to the number" in client.api("POST", "/call/plan", body).json["warnings"][0]
    client.advance(5)
    after = client.api("GET", f"/numbers/{BERLIN}?agent_id={agent_id}").json
    [use] = after["limits"]
    assert use == {"owner": "account", "limit": "2/24h", "attempts": 1, "allowed": 2, "opens_at": None}
    execution = client.execution(execution_id)
    ended = datetime.fromisoformat(execution["attempts"][0]["ended_at"])
    assert after["last_conversation_at"] == execution["attempts"][0]["ended_at"]
    assert after["last_attempt_at"] == execution["attempts"][0]["dialed_at"]
    assert after["live_execution_id"] is None
    assert datetime.fromisoformat(after["now"]["earliest_at"]) == ended + timedelta(hours=1)
    assert client.api("GET", f"/numbers/{BERLIN}").json["limits"] == [use], "without an agent: the account's"
    waiting = client.call(BERLIN)
    client.advance(1)
    explained = explain(client, waiting)
    assert explained["waits_for"]["gate"] == "contact-limit"
    assert "pause 1h" in explained["summary"]
    assert explained["waits_for"]["to_change"].startswith("Every call of the account to the number counts")
