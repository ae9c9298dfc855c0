"""Faults that only a person can fix: only the affected calls wait, and they continue once the fault is fixed."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.aws.dynamodb import changes_of
from redial.adapters.invoker import AwsInvoker
from tests.integration.test_carrier_outage import metrics
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient, local_stack

CALLER = "+12025550100"
OTHER_CALLER = "+12025550101"


def started(client: LocalClient, numbers: list[str], **config: Any) -> str:
    """Start a batch of these numbers and return its id. `config`: of its agent, which otherwise has one caller id."""
    agent = client.stack.agent_id
    config = {"from_phone_numbers": [CALLER], **config}
    assert client.api("PATCH", f"/v2/agent/{agent}", {"agent_config": config}).status == 200
    form = [("agent_id", agent), ("start", "now"), ("retry_config", json.dumps({"enabled": True}))]
    body = multipart(form, "\n".join(["contact_number", *numbers]))
    batch_id: str = client.api("POST", "/batches", body, Content_Type=CONTENT_TYPE).json["batch_id"]
    return batch_id


def counts(client: LocalClient, batch_id: str) -> dict[str, int]:
    answer: dict[str, int] = client.api("GET", f"/batches/{batch_id}").json["execution_status"]
    return answer


def attention(client: LocalClient) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = client.api("GET", "/attention").json["data"]
    return answer


def scripted(client: LocalClient, numbers: list[str], outcome: str) -> None:
    for number in numbers:
        client.script(number, outcome)


@pytest.mark.parametrize(
    ("code", "scope", "value"),
    [
        (21216, "country", "US"),
        (21215, "country", "US"),
        (21210, "caller_id", CALLER),
        (21219, "account", None),
        (20003, "account", None),
    ],
)
def test_a_refusal_that_is_the_accounts_uses_up_no_attempt(
    tmp_path: Path, code: int, scope: str, value: str | None
) -> None:
    log = tmp_path / "functions.log"
    with local_stack(log=log) as client:
        numbers = [f"+1415555{number:04d}" for number in range(100, 125)]
        scripted(client, numbers, f"refused-{code}")
        batch_id = started(client, numbers)
        client.advance(15)
        assert counts(client, batch_id) == {"queued": 25}
        (item,) = attention(client)
        assert (item["scope"], item["value"], item["state"], item["code"]) == (scope, value, "open", str(code))
        assert item["reason"] and item["what_to_do"] and item["next_try_at"]
        scripted(client, numbers, "completed")
        client.advance(60)
        assert counts(client, batch_id) == {"completed": 25}
        assert attention(client) == []
        assert set(Counter(call["to"] for call in client.calls()).values()) == {1}
        client.assert_sound()
    assert metrics(log)["AttentionNeeded"] > 0


def test_just_the_calls_to_that_country_wait_and_they_hold_no_line() -> None:
    with local_stack() as client:
        british = [f"+44770090{number:04d}" for number in range(10)]
        american = [f"+1415555{number:04d}" for number in range(100, 110)]
        scripted(client, british, "refused-21215")
        scripted(client, american, "completed")
        batch_id = started(client, [*british, *american], max_concurrent_calls=2)
        client.advance(15)
        assert counts(client, batch_id) == {"queued": 10, "completed": 10}
        assert [(item["scope"], item["value"]) for item in attention(client)] == [("country", "GB")]
        client.assert_sound()


def test_a_call_uses_another_caller_id_of_its_agent_instead_of_waiting() -> None:
    with local_stack() as client:
        numbers = [f"+1415555{number:04d}" for number in range(100, 110)]
        config = {"from_phone_numbers": [CALLER, OTHER_CALLER]}
        for number in numbers:
            client.script(number, "refused-21210", "completed")
        batch_id = started(client, numbers[:1], **config)
        client.advance(0.1)
        assert [item["value"] for item in attention(client)] == [CALLER]
        scripted(client, numbers[1:], "completed")
        others = started(client, numbers[1:], **config)
        client.advance(0.5)
        assert len(client.calls()) >= 5, "in the half minute before the first caller id is tried again"
        assert {call["from"] for call in client.calls()} == {OTHER_CALLER}
        client.advance(10)
        assert (counts(client, batch_id), counts(client, others)) == ({"completed": 1}, {"completed": 9})
        client.assert_sound()


def test_one_blocked_number_ends_by_itself_and_holds_no_country() -> None:
    with local_stack() as client:
        client.script("+14155550100", "refused-21216")
        call = client.call("+14155550100")
        client.advance(1)
        (item,) = attention(client)
        assert (item["state"], item["value"], item["next_try_at"]) == ("noticed", "US", None)
        other = client.call("+14155550101")
        client.advance(10)
        ended = client.execution(call)
        assert (ended["status"], ended["retry_count"]) == ("failed", 0)
        assert ended["telephony_data"]["hangup_code"] == "21216"
        assert client.execution(other)["status"] in ("completed", "in-progress")
        client.assert_sound()


def test_fewer_than_five_numbers_wait_too_while_no_call_to_the_country_is_placed() -> None:
    """The fault may be the account's, as long as nothing shows that it is specific to these numbers."""
    with local_stack() as client:
        numbers = [f"+1415555{number:04d}" for number in range(100, 104)]
        scripted(client, numbers, "refused-21216")
        batch_id = started(client, numbers)
        client.advance(120)
        assert counts(client, batch_id) == {"queued": 4}
        (item,) = attention(client)
        assert (item["state"], item["value"], item["code"]) == ("noticed", "US", "21216")
        scripted(client, numbers[:2], "completed")
        client.advance(30)
        assert counts(client, batch_id) == {"completed": 2, "failed": 2}, "calls to the country are placed"
        assert attention(client) == [] or attention(client)[0]["state"] == "noticed"
        client.assert_sound()


def test_an_item_is_resolved_by_hand() -> None:
    with local_stack() as client:
        numbers = [f"+1415555{number:04d}" for number in range(100, 105)]
        scripted(client, numbers, "refused-21210")
        batch_id = started(client, numbers)
        client.advance(120)
        (item,) = attention(client)
        resolved = client.api("POST", f"/attention/{item['id']}/resolve")
        assert (resolved.status, resolved.json["state"], resolved.json["next_try_at"]) == (200, "resuming", None)
        client.advance(25)
        assert [item["state"] for item in attention(client)] == ["open"], "it was not fixed"
        assert counts(client, batch_id) == {"queued": 5}
        scripted(client, numbers, "completed")
        client.api("POST", f"/attention/{item['id']}/resolve")
        client.advance(3)
        assert counts(client, batch_id) == {"completed": 5}, "they need not wait for their next try"
        client.advance(6)
        assert client.api("POST", f"/attention/{item['id']}/resolve").status == 404
        assert client.api("POST", "/attention/1/resolve").status == 404
        client.assert_sound()


def test_resolving_an_item_wakes_the_calls_that_it_holds_at_the_pace_of_its_ramp() -> None:
    with local_stack() as client:
        numbers = [f"+1415555{number:04d}" for number in range(100, 160)]
        scripted(client, numbers, "refused-21215")
        batch_id = started(client, numbers, max_concurrent_calls=60)
        single = "+14155550199"
        client.script(single, "refused-21215")
        client.call(single)
        client.advance(62)
        scripted(client, [*numbers, single], "completed")
        (item,) = [one for one in attention(client) if one["scope"] == "country"]
        placed = len(client.calls())
        client.api("POST", f"/attention/{item['id']}/resolve")
        client.advance(0.25)
        assert 5 <= len(client.calls()) - placed <= 16, "the ramp's, after a quarter of a minute"
        client.advance(4)
        assert counts(client, batch_id)["completed"] >= 45
        client.advance(8)
        assert counts(client, batch_id) == {"completed": 60}
        client.assert_sound()


def test_what_is_held_for_a_day_ends_with_the_reason() -> None:
    with local_stack() as client:
        client.script("+14155550100", "refused-21210")
        call = client.call("+14155550100")
        client.advance(25 * 60)
        ended = client.execution(call)
        assert (ended["status"], ended["retry_count"]) == ("error", 0)
        assert ended["ended_because"].startswith("the carrier could not place it for 24 hours")
        assert "the from number is not one of the account's" in ended["ended_because"]
        client.assert_sound()


# ---- the account's webhook -------------------------------------------------------------------------------------------


def watched(client: LocalClient) -> None:
    answer = client.api("PATCH", "/user/me", {"webhook_url": f"{client.stack.inbox_url}/account"})
    assert (answer.status, answer.json["webhook_url"]) == (200, f"{client.stack.inbox_url}/account")


def opened(client: LocalClient) -> None:
    """Calls from the caller id are refused."""
    client.script("+14155550100", "refused-21210")
    client.call("+14155550100", from_phone_number=CALLER)
    client.advance(0.2)


def test_an_item_that_opens_and_is_resolved_is_sent_to_the_accounts_webhook() -> None:
    with local_stack() as client:
        watched(client)
        opened(client)
        (item,) = attention(client)
        (first,) = client.inbox("account")
        assert first["verified"] and first["headers"]["webhook-id"].startswith("event-")
        assert first["body"].pop("type") == "attention.opened"
        assert first["body"].pop("at") == item["opened_at"]
        assert first["body"] == item
        client.script("+14155550100", "completed")
        client.advance(30)
        first, second = client.inbox("account")
        assert (second["body"]["type"], second["body"]["state"]) == ("attention.resolved", "resuming")
        assert (second["body"]["id"], second["body"]["opened_at"]) == (item["id"], item["opened_at"])
        assert second["headers"]["webhook-id"] != first["headers"]["webhook-id"]
        client.assert_sound()


def test_a_resolution_by_hand_is_sent_and_so_is_a_fault_that_opens_again() -> None:
    with local_stack() as client:
        watched(client)
        opened(client)
        (item,) = attention(client)
        client.api("POST", f"/attention/{item['id']}/resolve")
        client.advance(25)
        kinds = [one["body"]["type"].removeprefix("attention.") for one in client.inbox("account")]
        assert kinds[:2] == ["opened", "resolved"]
        client.assert_sound()


def test_an_event_of_the_account_is_sent_again_until_it_is_accepted() -> None:
    with local_stack() as client:
        watched(client)
        client.stack.inbox.fail("account", times=3, status=500)
        opened(client)
        client.advance(20)
        tries = client.inbox("account")
        assert [one["answered"] for one in tries] == [500, 500, 500, 200]
        assert len({one["headers"]["webhook-id"] for one in tries}) == 1
        client.assert_sound()


def test_an_event_whose_message_was_lost_is_found_by_the_sweeper(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = AwsInvoker.deliver
    lost: list[str] = []

    def losing(self: AwsInvoker, subject_id: str, *arguments: Any, **options: Any) -> None:
        if subject_id.startswith("event-") and not lost:
            lost.append(subject_id)
            return
        deliver(self, subject_id, *arguments, **options)

    monkeypatch.setattr(AwsInvoker, "deliver", losing)
    with local_stack() as client:
        watched(client)
        opened(client)
        assert (len(lost), client.inbox("account")) == (1, [])
        client.advance(4)
        assert [one["body"]["type"] for one in client.inbox("account")] == ["attention.opened"]


def test_without_a_webhook_of_the_account_nothing_is_sent_and_nothing_stays_due() -> None:
    with local_stack() as client:
        opened(client)
        client.advance(10)
        images = changes_of(client.stack.environment["TABLE_NAME"]).images
        (event,) = [image.plain for (pk, _), image in images.items() if pk.startswith("E#")]
        assert "due_at" not in event and "expires_at" in event
        watched(client)
        assert client.api("PATCH", "/user/me", {"webhook_url": None}).json["webhook_url"] is None
        answer = client.api("PATCH", "/user/me", {"webhook_url": "https://10.0.0.1/"})
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "webhook_url")
        client.assert_sound()
