"""The screen Agents: list, create, change, test call, stop and delete."""

from collections.abc import Callable

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]


def test_the_list_shows_how_each_calls(open_console: Open) -> None:
    console = open_console("agents")
    [row] = console.page.locator("tbody tr").all_inner_texts()
    assert row.split("\t")[:2] == ["First agent", "10"]
    console.check_accessible()


def test_an_agent_is_made_and_changed(open_console: Open, local: LocalClient) -> None:
    local.api("PUT", "/policies/weekdays", {"purpose": "reminder"})
    console = open_console("agents")
    page = console.page
    page.get_by_role("link", name="New agent").click()
    page.get_by_label("Name").fill("Reminders")
    page.get_by_label("Lines").fill("4")
    page.get_by_label("Caller ids").fill("+12025550150\n+12025550151")
    page.get_by_label("An answered call").select_option("stream_url")
    page.get_by_label("Stream URL").fill("wss://voice.example.com/{execution_id}")
    page.get_by_label("Webhook").fill(f"{local.stack.inbox_url}/reminders")
    page.get_by_role("combobox", name="Calls may start").select_option("hours")
    page.get_by_label("From hour").fill("")
    page.get_by_label("From hour").fill("10")
    console.check_accessible()
    page.get_by_role("button", name="Create agent").click()
    page.get_by_role("heading", name="Reminders", level=1).wait_for()
    agent_id = page.url.rpartition("/")[2]
    made = local.api("GET", f"/v2/agent/{agent_id}").json["agent_config"]
    assert made["from_phone_numbers"] == ["+12025550150", "+12025550151"]
    assert (made["stream_url"], made["answer_url"]) == ("wss://voice.example.com/{execution_id}", None)
    assert (made["max_concurrent_calls"], made["calling_guardrails"]) == (
        4,
        {"call_start_hour": 10, "call_end_hour": 18},
    )
    sent = []
    page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "PATCH" else None)
    page.get_by_label("Policy").select_option("weekdays@1")
    page.get_by_text("Ringing, voicemail, limits, purpose").click()
    page.get_by_label("Detect answering machines").check()
    page.get_by_role("button", name="Save").click()
    console.see("Saved.")
    assert sent == [{"agent_config": {"policy": "weekdays@1", "voicemail_detection": True}}], "only the changed parts"
    assert local.api("GET", f"/v2/agent/{agent_id}").json["agent_config"]["voicemail_detection"] is True
    console.open("agents")
    page.get_by_role("heading", name="Agents", level=1).wait_for()
    console.open("agents", agent_id)
    page.get_by_label("Lines").fill("5")
    with page.expect_response(f"**/v2/agent/{agent_id}"):
        page.get_by_role("button", name="Save").click()
    assert sent[1:] == [{"agent_config": {"max_concurrent_calls": 5}}], "the policy is kept"


def test_what_the_api_refuses_is_named(open_console: Open) -> None:
    console = open_console("agents/new", size=PHONE, dark=True)
    console.refused = True
    console.check_accessible()
    console.page.get_by_label("Name").fill("Broken")
    console.page.get_by_label("Caller ids").fill("12")
    console.page.get_by_role("button", name="Create agent").click()
    console.see("from_phone_numbers")


def test_a_test_call_is_made_without_retries(open_console: Open, local: LocalClient) -> None:
    console = open_console(f"agents/{local.stack.agent_id}")
    console.page.get_by_label("Number").fill("+12025550143")
    console.page.get_by_role("button", name="Call", exact=True).click()
    console.page.get_by_role("dialog").get_by_role("button", name="Call").click()
    console.page.wait_for_url("**/console#/executions/*")
    made = local.execution(console.page.url.rpartition("/")[2])
    assert (made["agent_id"], made["retry_config"]["enabled"]) == (local.stack.agent_id, False)


def test_its_calls_are_stopped_and_it_is_deleted(open_console: Open, local: LocalClient) -> None:
    agent_id = local.stack.create_agent(agent_name="To end")
    waiting = local.call("+12025550144", agent_id=agent_id, scheduled_at="2026-01-27T12:00:00Z")
    console = open_console(f"agents/{agent_id}")
    page = console.page
    page.get_by_role("button", name="Stop its calls").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop them").click()
    console.see("Stopped: 1 call, 0 batches.")
    assert local.execution(waiting)["status"] == "stopped"
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    console.see("Agent deleted.")
    page.get_by_role("heading", name="Agents").wait_for()
    assert local.api("GET", f"/v2/agent/{agent_id}").status == 404
    assert page.get_by_role("link", name="To end").count() == 0


def test_an_unknown_agent_and_a_slow_answer(open_console: Open, local: LocalClient) -> None:
    console = open_console("agents")
    console.refused = True
    console.open("agents", "00000000-0000-4000-8000-000000000000")
    console.see("Not found.")
    console.slowly("**/v2/agent/*", lambda: console.go("agents", local.stack.agent_id))
    console.page.get_by_role("heading", name="First agent").wait_for()
