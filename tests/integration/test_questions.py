"""Scrubs and pre-dial hooks: what an agent's endpoints are asked, and how their answers affect calls."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws.dynamodb import changes_of
from local.web.inbox import Scripted
from tests.integration.test_number_rules import RETRIES, batch_of
from tests.support.local_stack import LocalClient, local_stack
from tests.support.samples import NUMBER

OTHER_NUMBER = "+14155550177"
YES, NO = Scripted({"eligible": True}), Scripted({"eligible": False, "reason": "has  paid\n meanwhile"})
ALLOWED = Scripted({"allowed": True, "expires_at": "2026-01-26T18:00:00Z"})
UNUSABLE = {
    "an error": Scripted({"eligible": True, "allowed": True}, status=503),
    "a redirect": Scripted({"eligible": True, "allowed": True}, status=302),
    "no JSON": Scripted("yes"),
    "an empty answer": Scripted("", status=204),
    "other types": Scripted({"eligible": "true", "allowed": "true"}),
    "a time without an offset": Scripted(
        {"eligible": True, "allowed": True, "defer_until": "2026-01-26T13:00", "expires_at": "tomorrow"}
    ),
    "too much": Scripted({"reason": "x" * 5000, "eligible": True, "allowed": True}),
    "too late": Scripted({"eligible": True, "allowed": True}, after_seconds=1.3),
}


@pytest.fixture
def stack() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client


def ask(client: LocalClient, *gates: str, agent_id: str | None = None, **config: Any) -> None:
    """Have these gates ask the inbox: `hook`, `scrub`, or both."""
    for gate in gates:
        field = {"hook": "pre_dial_hook", "scrub": "scrub"}[gate]
        config[field] = {"url": f"{client.stack.inbox_url}/{gate}", "timeout_seconds": 1}
    agent = f"/v2/agent/{agent_id or client.stack.agent_id}"
    assert client.api("PATCH", agent, {"agent_config": config}).status == 200


def answers(client: LocalClient, gate: str, *scripted: Scripted) -> None:
    client.stack.inbox.answer(gate, *scripted)


def decisions(client: LocalClient, execution_id: str, kind: str) -> dict[str, Any]:
    """{gate: (decision, rule)} from the last entry of that kind in the log."""
    log = client.api("GET", f"/executions/{execution_id}/log").json["data"]
    entry = [one for one in log if one["type"] == kind][-1]
    return {one["gate"]: (one["decision"], one.get("rule")) for one in entry["data"]["gates"]}


# ---- the pre-dial hook ----------------------------------------------------------------------------------------------


def test_the_hook_is_asked_with_the_execution_before_each_attempt(stack: LocalClient) -> None:
    ask(stack, "hook")
    answers(stack, "hook", YES)
    stack.script(NUMBER, "no-answer", "completed")
    execution_id = stack.call(NUMBER, retry_config=RETRIES, user_data={"name": "Zoë"})
    stack.advance(15)
    assert stack.execution(execution_id)["status"] == "completed"
    asked = stack.inbox("hook")
    assert [(one["body"]["attempt"], one["verified"]) for one in asked] == [(1, True), (2, True)]
    first, second = (one["body"] for one in asked)
    assert (first["type"], first["id"], first["status"]) == ("hook.pre_dial", execution_id, "queued")
    assert first["context_details"] == {"recipient_data": {"name": "Zoë"}, "recipient_phone_number": NUMBER}
    assert [(one["attempt"], one["status"]) for one in second["retry_history"]] == [(1, "no-answer")]
    assert len({one["headers"]["webhook-id"] for one in asked}) == 2
    assert decisions(stack, execution_id, "claimed")["hook"] == ("allow", "allowed")
    assert decisions(stack, execution_id, "claimed")["scrub"] == ("allow", None)
    stack.assert_sound()


def test_a_refused_call_is_canceled_with_the_reason_and_its_retry_as_well(stack: LocalClient) -> None:
    ask(stack, "hook")
    answers(stack, "hook", NO, YES, NO)
    refused = stack.call(NUMBER)
    stack.advance(1)
    said = stack.execution(refused)
    assert (said["status"], said["ended_because"]) == ("canceled", "refused by the pre-dial hook: has paid meanwhile")
    assert decisions(stack, refused, "canceled")["hook"] == ("end", "refused")
    stack.script(NUMBER, "busy", "completed")
    retried = stack.call(NUMBER, retry_config=RETRIES)
    stack.advance(10)
    said = stack.execution(retried)
    assert (said["status"], len(said["retry_history"]), len(stack.calls(NUMBER))) == ("canceled", 1, 1)
    assert [one["body"]["status"] for one in stack.inbox(execution_id=refused)] == ["queued", "canceled"]
    stack.assert_sound()


@pytest.mark.parametrize("is_contact", [False, True], ids=["a call", "a contact"])
def test_a_hook_defers_an_attempt_to_a_time(stack: LocalClient, is_contact: bool) -> None:
    ask(stack, "hook", max_concurrent_calls=1)
    answers(
        stack,
        "hook",
        Scripted({"eligible": False, "defer_until": "2026-01-26T14:30:00+01:00", "reason": "at work"}),
        YES,
    )
    stack.script(NUMBER, "completed")
    if is_contact:
        batch = batch_of(stack, [NUMBER])
        stack.advance(1)
        execution_id = stack.api("GET", f"/batches/{batch}/executions").json[0]["id"]
    else:
        execution_id = stack.call(NUMBER)
        stack.advance(1)
    said = stack.execution(execution_id)
    assert (said["status"], said["rescheduled_at"]) == ("rescheduled", "2026-01-26T13:30:00.000Z")
    log = stack.api("GET", f"/executions/{execution_id}/log").json["data"]
    (moved,) = [one for one in log if one["type"] == "rescheduled"]
    assert (moved["component"], moved["data"]["reason"]) == ("hook", "deferred by the pre-dial hook: at work")
    stack.advance(85)
    assert stack.calls(NUMBER) == []
    stack.advance(15)
    assert (stack.execution(execution_id)["status"], len(stack.inbox("hook"))) == ("completed", 2)
    stack.assert_sound()


def test_a_hook_defers_an_attempt_for_a_month_at_most(stack: LocalClient) -> None:
    ask(stack, "hook")
    answers(stack, "hook", Scripted({"eligible": True, "defer_until": "2029-01-01T00:00:00Z"}))
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    assert stack.execution(execution_id)["rescheduled_at"].startswith("2026-02-25T12:00")


@pytest.mark.parametrize("gate", ["hook", "scrub"])
@pytest.mark.parametrize("scripted", UNUSABLE.values(), ids=UNUSABLE)
def test_without_a_usable_answer_the_call_waits_and_is_dialled_once_there_is_one(
    stack: LocalClient, gate: str, scripted: Scripted
) -> None:
    ask(stack, gate)
    answers(stack, gate, scripted)
    stack.script(NUMBER, "completed")
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    assert (stack.execution(execution_id)["status"], stack.calls(NUMBER)) == ("queued", [])
    assert decisions(stack, execution_id, "deferred")[gate] == ("defer", "no-answer")
    answers(stack, gate, Scripted({"eligible": True, "allowed": True}))
    stack.advance(5)
    assert stack.execution(execution_id)["status"] == "completed"
    stack.assert_sound()


def test_an_endpoint_where_nothing_listens_gives_no_answer(stack: LocalClient) -> None:
    gone = {"url": "http://127.0.0.1:9/", "timeout_seconds": 1}
    assert stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": {"scrub": gone}}).status == 200
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    log = stack.api("GET", f"/executions/{execution_id}/log").json["data"]
    assert [one["data"]["reason"] for one in log if one["type"] == "deferred"] == [
        "the scrub gave no usable answer: connection refused"
    ]


@pytest.mark.parametrize(("gate", "name"), [("hook", "the pre-dial hook"), ("scrub", "the scrub")])
def test_a_call_whose_endpoint_never_answers_ends_after_a_day_with_the_reason(
    stack: LocalClient, gate: str, name: str
) -> None:
    ask(stack, gate)
    answers(stack, gate, Scripted("", status=500))
    execution_id = stack.call(NUMBER, retry_config=RETRIES)
    stack.advance(25 * 60)
    said = stack.execution(execution_id)
    assert (said["status"], said["retry_count"]) == ("error", 0)
    assert said["ended_because"].startswith(f"for 24 hours {name} gave no usable answer: ")
    assert said["ended_because"].endswith("HTTP 500")
    assert 50 < len(stack.inbox(gate)) < 150
    stack.assert_sound()


def test_a_hook_that_is_down_keeps_no_function_busy_and_other_agents_calls_go_on(stack: LocalClient) -> None:
    ask(stack, "hook", max_concurrent_calls=5)
    answers(stack, "hook", Scripted("", status=500))
    numbers = [f"+1415555{count:04d}" for count in range(100, 130)]
    for number in numbers:
        stack.script(number, "completed")
    batch = batch_of(stack, numbers)
    other = stack.stack.create_agent(agent_name="without a hook")
    stack.script(OTHER_NUMBER, "completed")
    unaffected = stack.call(OTHER_NUMBER, agent_id=other)
    stack.advance(3)
    assert stack.execution(unaffected)["status"] == "completed"
    (item,) = stack.api("GET", "/attention").json["data"]
    assert (item["provider"], item["scope"], item["value"], item["state"]) == (
        *("hook", "agent", stack.stack.agent_id),
        "open",
    )
    asked = len(stack.inbox("hook"))
    assert asked <= 12, "five open the circuit; then it is probed"
    answers(stack, "hook", YES)
    assert stack.api("POST", f"/attention/{item['id']}/resolve").json["state"] == "resuming"
    stack.advance(30)
    assert stack.api("GET", f"/batches/{batch}").json["execution_status"] == {"completed": 30}
    assert stack.api("GET", "/attention").json["data"] == []
    stack.assert_sound()


def test_a_call_that_only_waits_for_its_start_is_not_asked_about_again() -> None:
    with local_stack() as client:
        client.stack.carrier.calls.calls_per_second = 0.5
        secrets = client.stack.aws.client("secretsmanager")
        secrets.put_secret_value(**client.stack.carrier_secret("twilio"))
        ask(client, "hook", "scrub")
        answers(client, "hook", YES)
        answers(client, "scrub", Scripted({"allowed": True}))
        calls = []
        for count in range(100, 108):
            client.script(f"+1415555{count:04d}", "completed")
            calls.append(client.call(f"+1415555{count:04d}"))
        client.advance(5)
        assert {client.execution(one)["status"] for one in calls} == {"completed"}
        assert sorted(one["body"]["id"] for one in client.inbox("hook")) == sorted(calls)
        assert sorted(one["body"]["execution_id"] for one in client.inbox("scrub")) == sorted(calls)
        client.assert_sound()


def test_the_log_of_the_functions_has_nothing_of_an_answer(tmp_path: Any) -> None:
    log = tmp_path / "functions.log"
    with local_stack(log=log) as client:
        ask(client, "hook")
        answers(client, "hook", Scripted({"eligible": False, "reason": "owes 4711 dollars"}))
        execution_id = client.call(NUMBER)
        client.advance(1)
        assert "4711" in client.execution(execution_id)["ended_because"]
    assert "4711" not in log.read_text()


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "ftp://hooks.example.com/"}, "url"),
        ({"url": "http://127.0.0.1:1/", "timeout_seconds": 6}, "timeout_seconds"),
        ({"url": "http://127.0.0.1:1/", "timeout_seconds": 0}, "timeout_seconds"),
    ],
)
@pytest.mark.parametrize("name", ["scrub", "pre_dial_hook"])
def test_an_agent_names_an_endpoint_as_a_webhook(
    stack: LocalClient, endpoint: dict[str, Any], field: str, name: str
) -> None:
    answer = stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": {name: endpoint}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, f"agent_config.{name}.{field}")


def test_an_agent_shows_its_endpoints_and_loses_them_by_null(stack: LocalClient) -> None:
    ask(stack, "hook")
    agent = f"/v2/agent/{stack.stack.agent_id}"
    shown = stack.api("GET", agent).json["agent_config"]["pre_dial_hook"]
    assert shown == {"url": f"{stack.stack.inbox_url}/hook", "timeout_seconds": 1}
    assert stack.api("PATCH", agent, {"agent_config": {"pre_dial_hook": None}}).status == 200
    stack.script(NUMBER, "completed")
    execution_id = stack.call(NUMBER)
    stack.advance(3)
    assert (stack.execution(execution_id)["status"], stack.inbox("hook")) == ("completed", [])


# ---- the scrub ------------------------------------------------------------------------------------------------------


def verdicts(client: LocalClient) -> list[dict[str, Any]]:
    images = changes_of(client.stack.environment["TABLE_NAME"]).images
    return [image.plain for (pk, sk), image in images.items() if pk.startswith("S#") and "#V#" in sk]


def test_a_verdict_is_kept_until_it_expires(stack: LocalClient) -> None:
    ask(stack, "scrub", purpose="marketing")
    answers(stack, "scrub", ALLOWED)
    stack.script(NUMBER, "completed", "completed", "completed")
    first, second = stack.call(NUMBER), stack.call(NUMBER)
    stack.advance(3 * 60)
    assert [stack.execution(one)["status"] for one in (first, second)] == ["completed", "completed"]
    (asked,) = stack.inbox("scrub")
    assert asked["verified"]
    assert asked["body"] == {
        "type": "hook.scrub",
        "phone_number": NUMBER,
        "agent_id": stack.stack.agent_id,
        "execution_id": first,
        "purpose": "marketing",
    }
    (kept,) = verdicts(stack)
    assert NUMBER not in json.dumps(kept), "only a keyed hash"
    answers(stack, "scrub", Scripted({"allowed": False, "reason": "on the list", "expires_at": "2026-09-01T00:00:00Z"}))
    stack.advance(4 * 60)
    third, fourth = stack.call(NUMBER), stack.call(NUMBER)
    stack.advance(1)
    for one in (third, fourth):
        said = stack.execution(one)
        assert (said["status"], said["ended_because"]) == ("canceled", "refused by the scrub: on the list")
    assert len(stack.inbox("scrub")) == 2
    (kept,) = verdicts(stack)
    assert 0 <= int(kept["expires_at"]["N"]) - 1772132400 < 3600, "31 days at most"
    stack.assert_sound()


def test_a_verdict_holds_for_its_agent_its_purpose_and_its_scrub_only(stack: LocalClient) -> None:
    ask(stack, "scrub")
    answers(stack, "scrub", ALLOWED)
    stack.script(NUMBER, *["completed"] * 6)
    other = stack.stack.create_agent(agent_name="another")
    ask(stack, "scrub", agent_id=other)
    for fields in ({}, {"purpose": "marketing"}, {"agent_id": other}, {}, {"purpose": "marketing"}):
        stack.call(NUMBER, **fields)
        stack.advance(3)
    assert [(one["body"]["agent_id"] == other, one["body"]["purpose"]) for one in stack.inbox("scrub")] == [
        (False, None),
        (False, "marketing"),
        (True, None),
    ]
    moved = {"scrub": {"url": f"{stack.stack.inbox_url}/elsewhere"}}
    answers(stack, "elsewhere", Scripted({"allowed": False}))
    assert stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": moved}).status == 200
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    assert stack.execution(execution_id)["ended_because"] == "refused by the scrub"
    stack.assert_sound()


def test_a_scrub_is_asked_first_and_a_refusal_spares_the_hook(stack: LocalClient) -> None:
    ask(stack, "scrub", "hook")
    answers(stack, "scrub", Scripted({"allowed": False}))
    answers(stack, "hook", YES)
    execution_id = stack.call(NUMBER)
    stack.advance(1)
    assert stack.execution(execution_id)["status"] == "canceled"
    assert (len(stack.inbox("scrub")), stack.inbox("hook")) == (1, [])


def test_erasing_a_person_removes_the_verdicts_on_the_number(stack: LocalClient) -> None:
    ask(stack, "scrub")
    answers(stack, "scrub", ALLOWED)
    stack.script(NUMBER, "completed")
    stack.call(NUMBER)
    stack.advance(3)
    assert len(verdicts(stack)) == 1
    assert stack.api("DELETE", f"/contacts/{NUMBER}").status == 200
    assert verdicts(stack) == []


# ---- suppression by an answer, or by the carrier --------------------------------------------------------------------


def suppressions(client: LocalClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.api("GET", f"/suppressions?phone_number=%2B{NUMBER[1:]}").json
    return found


@pytest.mark.parametrize(
    ("answer", "reason", "scope"),
    [
        ({"suppress": True}, None, (None, None)),
        ({"ok": 1, "suppress": {"reason": "said stop"}}, "said stop", (None, None)),
        ({"suppress": {"purpose": "marketing", "expires_at": "2030-01-01T00:00:00Z"}}, None, (None, "marketing")),
        ({"suppress": {"purpose": "No!", "expires_at": "soon", "agent_id": "other", "reason": 3}}, None, (None, None)),
    ],
)
def test_the_answer_to_a_webhook_suppresses_the_number(
    stack: LocalClient, answer: dict[str, Any], reason: str | None, scope: tuple[str | None, str | None]
) -> None:
    stack.script(NUMBER, "completed")
    waiting = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z", purpose="marketing")
    stack.advance(1)
    answers(stack, "events", Scripted(answer))
    agent = {"webhook_url": f"{stack.stack.inbox_url}/events"}
    assert stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": agent}).status == 200
    stack.call(NUMBER, purpose="marketing")
    stack.advance(3)
    (rule,) = suppressions(stack)
    assert (rule["source"], rule["reason"], rule["agent_id"], rule["purpose"]) == ("webhook", reason, *scope)
    assert stack.execution(waiting)["status"] == "canceled"
    refused = stack.call(NUMBER, purpose="marketing")
    stack.advance(1)
    assert stack.execution(refused)["ended_because"].startswith("the number is suppressed")
    stack.assert_sound()


def test_an_answer_may_narrow_a_suppression_to_the_calls_agent(stack: LocalClient) -> None:
    answers(stack, "events", Scripted({"suppress": {"agent_id": stack.stack.agent_id}}))
    agent = {"webhook_url": f"{stack.stack.inbox_url}/events"}
    assert stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": agent}).status == 200
    stack.call(NUMBER)
    stack.advance(3)
    assert [one["agent_id"] for one in suppressions(stack)] == [stack.stack.agent_id]


@pytest.mark.parametrize(
    "answer",
    [
        Scripted({"suppress": False}),
        Scripted({"suppress": "yes"}),
        Scripted({"suppress": None, "data": {"suppress": True}}),
        Scripted([{"suppress": True}]),
        Scripted('{"suppress": true'),
        Scripted({"suppress": True}, status=500),
        Scripted({"filler": "x" * 5000, "suppress": True}),
    ],
)
def test_any_other_answer_suppresses_nothing(stack: LocalClient, answer: Scripted) -> None:
    answers(stack, "events", answer, Scripted({}))
    agent = {"webhook_url": f"{stack.stack.inbox_url}/events"}
    assert stack.api("PATCH", f"/v2/agent/{stack.stack.agent_id}", {"agent_config": agent}).status == 200
    stack.call(NUMBER)
    stack.advance(3)
    assert suppressions(stack) == []
    stack.assert_sound()


@pytest.mark.parametrize("carrier", ["twilio", "http"])
def test_the_carriers_opt_out_suppresses_the_number(stack: LocalClient, carrier: str) -> None:
    agent = f"/v2/agent/{stack.stack.agent_id}"
    assert stack.api("PATCH", agent, {"agent_config": {"telephony_provider": carrier}}).status == 200
    stack.script(NUMBER, "refused-21610", "completed")
    waiting = stack.call(NUMBER, scheduled_at="2026-01-27T12:00:00Z")
    execution_id = stack.call(NUMBER, retry_config=RETRIES)
    stack.advance(2)
    said = stack.execution(execution_id)
    assert (said["status"], said["ended_because"]) == ("failed", "the recipient has opted out")
    (rule,) = suppressions(stack)
    assert (rule["source"], rule["reason"]) == ("carrier", "the recipient has opted out")
    assert stack.execution(waiting)["status"] == "canceled"
    stack.assert_sound()


def test_a_platform_reports_an_opt_out_with_the_end_of_a_call(stack: LocalClient) -> None:
    agent = f"/v2/agent/{stack.stack.agent_id}"
    assert stack.api("PATCH", agent, {"agent_config": {"telephony_provider": "http"}}).status == 200
    stack.stack.platform.opting_out.add(NUMBER)
    stack.script(NUMBER, "completed")
    execution_id = stack.call(NUMBER)
    stack.advance(5)
    assert stack.execution(execution_id)["status"] == "completed"
    assert [one["source"] for one in suppressions(stack)] == ["carrier"]
    stack.assert_sound()
