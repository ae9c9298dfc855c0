"""The screen Now: what holds calls back and its button, lines, due calls, carriers, webhooks, and how it fails."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]
CALLER = "+12025550190"
FAULT = {
    "id": "7a2456b3-11d5-50e2-8a3d-f675fe48eadb",
    "provider": "twilio",
    "scope": "agent",
    "value": "",
    "state": "noticed",
    "reason": None,
    "code": None,
    "what_to_do": "Fix it.",
    "opened_at": "2026-01-26T12:00:00.000Z",
    "next_try_at": None,
}


def changed(console: Console, local: LocalClient, **changes: Any) -> None:
    """Open the screen with these changes to the answer of GET /now."""
    body = {**local.api("GET", "/now").json, **changes}
    console.page.unroute("**/now")
    console.page.route("**/now", lambda route: route.fulfill(json=body))
    console.open("plan").open("now")


def test_all_is_well_on_an_idle_account(open_console: Open) -> None:
    console = open_console("now")
    console.see("All is well")
    console.see("No call waits for a time within the next hour.")
    console.see("Every event was delivered")
    assert console.page.get_by_text("What holds calls back").count() == 0
    console.check_accessible()


def test_lines_in_use_and_due_retries_follow_the_calls(open_console: Open, local: LocalClient) -> None:
    local.configure(agent_name="Reminders", from_phone_numbers=["+12025550100"])
    local.script("+12025550111", "no-answer", "completed")
    retry = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [30]}
    local.call("+12025550111", retry_config=retry)
    local.advance(2)
    local.call("+12025550112")
    local.script("+12025550112", "completed")
    local.advance(0.2)
    console = open_console("now")
    lines = console.page.get_by_role("listitem").filter(has_text="Reminders")
    expect(lines).to_contain_text("1 of 10")
    chart = console.page.get_by_role("img", name="Calls due by 5 minutes").get_attribute("aria-label") or ""
    assert [int(one.split(": ")[1]) for one in chart.split(". ")[1].split(", ")] == local.api("GET", "/now").json[
        "due"
    ]["calls"]
    assert chart.count(": 1") == 1
    local.advance(5)  # the live call ends; the screen updates without a click
    expect(lines).to_contain_text("0 of 10")


def test_a_fault_holds_calls_until_the_button_lets_them_go(open_console: Open, local: LocalClient) -> None:
    local.configure(from_phone_numbers=[CALLER])
    local.script("+12025550120", "refused-21210", "completed")
    held = local.call("+12025550120")
    local.advance(0.1)
    assert [one["value"] for one in local.api("GET", "/attention").json["data"]] == [CALLER]
    console = open_console("now", dark=True)
    console.see("Needs attention")
    console.see("1 fault holds calls back")
    console.see(f"Calls from {CALLER}")
    console.check_accessible()
    console.page.get_by_role("button", name="Try again now").click()
    console.see("Waiting calls continue.")
    local.advance(1)
    assert local.execution(held)["attempts"][0]["dialed_at"] is not None
    local.advance(10)
    console.open("plan").open("now").see("All is well")


def test_undelivered_webhooks_lead_to_their_screen(open_console: Open, local: LocalClient) -> None:
    console = open_console("plan")
    changed(console, local, undelivered=1000)
    console.see("Calls go out; something needs a look")
    console.see("at least 1,000 calls or batches have undelivered webhooks").click()
    console.page.get_by_role("heading", name="Webhooks", level=1).wait_for()


def test_a_paused_carrier_and_many_agents(open_console: Open, local: LocalClient) -> None:
    console = open_console("plan", size=PHONE)
    carrier = {"name": "twilio", "account": "local", "since": "2026-01-26T11:40:00Z", "reason": "HTTP 401"}
    agents = [
        {"agent_id": f"{index}", "agent_name": f"Agent {index}", "max": 10, "current": index % 12}
        for index in range(60)
    ]
    lines = {"max": 600, "current": 330, "agents": agents, "complete": False}
    items = [{**FAULT, "value": local.stack.agent_id, "provider": "hook"}]
    console.page.route("**/attention", lambda route: route.fulfill(json={"data": items}))
    changed(console, local, carriers=[{**carrier, "state": "paused"}], lines=lines, attention=1)
    console.see("No calls go out via Twilio")
    console.see("HTTP 401")
    console.see("its hook does not respond")
    console.see("52 other agents")
    console.see("of at least 600 lines")
    console.check_accessible()
    changed(console, local, carriers=[{**carrier, "state": "resuming"}])
    console.see("Twilio is resuming")


def test_a_failing_api_is_said_and_the_last_state_stays(open_console: Open) -> None:
    console = open_console("now")
    console.refused = True
    console.page.route(
        "**/now", lambda route: route.fulfill(status=500, json={"error": 500, "message": "out of order"})
    )
    console.see("out of order")
    console.see("Not up to date")
    assert console.page.get_by_text("All is well").count() == 0
    console.see("Lines in use")
    console.page.unroute("**/now")
    console.page.get_by_role("button", name="Try again").click()
    console.see("All is well")


def test_a_slow_answer_shows_that_it_loads(open_console: Open) -> None:
    console = open_console("plan")
    console.slowly("**/now", lambda: console.go("now"))
    console.see("All is well")


@pytest.mark.parametrize("scopes", [["read"], ["read", "operate"]])
def test_the_button_needs_the_scope_operate(open_console: Open, local: LocalClient, scopes: list[str]) -> None:
    console = open_console("plan")
    me = {**local.api("GET", "/user/me").json, "key": {"id": "k", "name": "Desk", "scopes": scopes}}
    console.page.route("**/user/me", lambda route: route.fulfill(json=me))
    console.page.route("**/attention", lambda route: route.fulfill(json={"data": [FAULT]}))
    console.page.reload()
    changed(console, local, attention=1)
    button = console.page.get_by_role("button", name="Try again now")
    button.wait_for()
    assert button.is_disabled() is ("operate" not in scopes)
