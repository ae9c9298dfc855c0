"""The screen Calls: finding a call, reading one with many events, and acting on it."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect

from redial.wire.timestamps import rfc3339
from tests.console.browser import PHONE, Console
from tests.console.many_events import DRAW, execution_with
from tests.support.local_stack import NOON, LocalClient, local_stack, request

Open = Callable[..., Console]
RETRIES = {"enabled": True, "max_retries": 3, "retry_on_voicemail": True, "retry_intervals_minutes": [30, 60, 120]}
REACHED, HELD, WAITING = "+12025550101", "+12025550102", "+12025550103"
LATER = ("+12025550120", "+12025550121", "+12025550122")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    """The calls shown: one answered at the fourth attempt, one that the carrier held, one that waits for a retry and
    whose webhook failed, and a page of calls that are not due yet."""
    with local_stack() as client:
        client.configure(voicemail_detection=True)
        client.script(REACHED, "no-answer", "busy", "voicemail", "completed")
        client.script(HELD, "refused-429", "completed")
        client.script(WAITING, "no-answer", "completed")
        client.call(REACHED, retry_config=RETRIES, user_data={"name": "Ada Miller"})
        client.call(HELD, retry_config=RETRIES)
        client.advance(240)
        request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", {"times": 2, "status": 500})
        client.call(WAITING, retry_config=RETRIES)
        client.advance(1)
        for number in LATER:
            client.call(number, scheduled_at=rfc3339(NOON + timedelta(days=30)))
        yield client
        client.assert_sound()


def found(local: LocalClient, number: str) -> str:
    """The id of the newest call to that number."""
    path = f"/v2/agent/{local.stack.agent_id}/executions?user_number={quote(number)}"
    return str(local.api("GET", path).json["data"][0]["id"])


def open_call(open_console: Open, local: LocalClient, number: str, **options: Any) -> Console:
    console = open_console(f"executions/{found(local, number)}", **options)
    console.page.get_by_role("heading", name=number, exact=True).wait_for()
    return console


def confirm(console: Console, button: str, yes: str) -> None:
    console.page.get_by_role("button", name=button, exact=True).click()
    console.page.get_by_role("dialog").get_by_role("button", name=yes).click()


# ---- the list -------------------------------------------------------------------------------------------------------


def test_pages_of_calls_by_cursor(open_console: Open) -> None:
    console = open_console()

    def with_four(route: Route) -> None:
        route.continue_(url=route.request.url.replace("page_size=25", "page_size=4"))

    console.page.route("**/executions?*", with_four)
    console.open("executions")
    rows = console.page.locator("tbody tr")
    console.see("6 calls, page 1")
    assert rows.count() == 4
    console.check_accessible()
    console.page.get_by_role("link", name="Next page").click()
    console.see("6 calls, page 2")
    expect(rows).to_have_count(2)
    assert {row.split()[0] for row in rows.all_inner_texts()} == {REACHED, HELD}
    console.page.get_by_role("link", name="First page").click()
    expect(rows).to_have_count(4)


def test_a_call_is_found_by_number_and_by_id(open_console: Open, local: LocalClient) -> None:
    console = open_console("executions", size=PHONE)
    find = console.page.get_by_label("Number or execution id")
    find.fill("+1 (202) 555-0101")
    find.press("Enter")
    expect(console.page.locator("tbody tr")).to_have_count(1)
    console.see(REACHED)
    console.check_accessible()
    find.fill(found(local, HELD))
    find.press("Enter")
    console.page.get_by_role("heading", name=HELD).wait_for()


def test_calls_are_found_by_status_and_day(open_console: Open) -> None:
    console = open_console("executions")
    console.page.get_by_label("Status", exact=True).select_option("completed")
    expect(console.page.locator("tbody tr")).to_have_count(2)
    console.page.get_by_label("From", exact=True).fill(f"{NOON:%Y-%m-%d}")
    console.page.get_by_label("To", exact=True).fill(f"{NOON:%Y-%m-%d}")
    expect(console.page.locator("tbody tr")).to_have_count(2)
    console.page.get_by_label("From", exact=True).fill(f"{NOON + timedelta(days=1):%Y-%m-%d}")
    console.page.get_by_label("To", exact=True).fill("")
    console.see("No call matches.")
    console.page.get_by_role("link", name="Show all calls").click()
    console.see("6 calls")


def test_what_is_no_number_is_refused_with_the_reason(open_console: Open) -> None:
    console = open_console("executions")
    console.refused = True
    find = console.page.get_by_label("Number or execution id")
    find.fill("Ada")
    find.press("Enter")
    assert "user_number" in console.page.get_by_role("alert").inner_text()


def test_a_slow_answer_is_awaited(open_console: Open) -> None:
    console = open_console()
    console.slowly("**/executions?*", lambda: console.go("executions"))
    console.see("6 calls")


# ---- one call -------------------------------------------------------------------------------------------------------


def test_a_call_is_a_lane_for_each_attempt_with_its_events(open_console: Open, local: LocalClient) -> None:
    console = open_call(open_console, local, REACHED)
    page = console.page
    console.see("Over after attempt 4, as completed: answered.")
    lanes = page.locator(".lanes > li")
    assert lanes.count() == 4
    assert page.get_by_role("img", name="Attempt 3: waited 1 h, connected in 2 s, rang 20 s, voicemail").count() == 1
    assert [lanes.nth(number).locator(".gate.allow").count() for number in range(4)] == [1, 1, 1, 1]
    assert lanes.nth(3).locator("rect.talking").count() == 1
    assert lanes.nth(3).locator(".dot.accepted").count() == 5
    first = lanes.first.locator("summary").first
    first.focus()
    page.keyboard.press("Enter")
    lanes.first.get_by_text(re.compile(r"^No answer: .+ answered \(487\)")).wait_for()
    lanes.first.get_by_text("All 16 gates allowed it").click()
    lanes.first.get_by_text("No other call of the account to the number is being placed or up.").wait_for()
    assert page.get_by_text("Ada Miller").is_visible()
    page.get_by_text("Raw log, 40 entries").click()
    expect(page.locator("pre")).to_contain_text("voicemail")
    assert page.locator("pre").inner_text().count("\n") == 39
    console.check_accessible()


def test_a_held_attempt_says_what_held_it(open_console: Open, local: LocalClient) -> None:
    console = open_call(open_console, local, HELD)
    lane = console.page.locator(".lanes > li").first
    assert lane.locator(".gate.defer").count() == 1
    assert "Waits until" in lane.inner_text()
    assert "waited 1 min" in lane.inner_text()


def test_a_waiting_call_counts_down_and_its_webhooks_are_replayed(open_console: Open, local: LocalClient) -> None:
    console = open_call(open_console, local, WAITING, size=PHONE, dark=True)
    console.see("Waiting until 2026-01-26 11:30 America/New_York: the retry's interval.")
    assert "in 30 min" in console.page.locator(".countdown").inner_text()
    console.see("If it keeps failing")
    assert console.page.locator("rect.ahead").count() == 1
    console.see("1 webhook not accepted")
    console.check_accessible()
    console.page.get_by_role("button", name="Replay webhooks").click()
    console.see("5 webhooks sent again.")
    local.advance(0.1)
    expect(console.page.get_by_role("button", name="Replay webhooks")).to_have_count(0)
    tries = local.inbox(execution_id=found(local, WAITING))
    assert [one["answered"] for one in tries].count(200) == 5


def test_a_call_is_stopped(open_console: Open, local: LocalClient) -> None:
    console = open_call(open_console, local, LATER[0])
    console.page.get_by_role("button", name="Stop", exact=True).click()
    console.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert local.execution(found(local, LATER[0]))["status"] == "scheduled"
    confirm(console, "Stop", "Stop it")
    console.see("Stopped.")
    assert local.execution(found(local, LATER[0]))["status"] == "stopped"


def test_a_number_is_suppressed(open_console: Open, local: LocalClient) -> None:
    console = open_call(open_console, local, LATER[1])
    confirm(console, "Suppress number", "Suppress it")
    console.see(f"{LATER[1]} is no longer called.")
    rules = local.api("GET", f"/suppressions?phone_number={quote(LATER[1])}").json
    assert len(rules) == 1
    assert local.execution(found(local, LATER[1]))["status"] == "canceled"


def test_a_call_is_erased(open_console: Open, local: LocalClient) -> None:
    local.api("POST", f"/call/{found(local, LATER[2])}/stop")
    erased = found(local, LATER[2])
    local.advance(0.1)
    console = open_call(open_console, local, LATER[2])
    confirm(console, "Erase", "Erase it")
    console.see("Erased.")
    console.page.get_by_role("heading", name="Calls", level=1).wait_for()
    assert local.api("GET", f"/executions/{erased}").status == 404
    console.refused = True
    console.open("executions", erased)
    console.see("Not found.")


def test_an_execution_with_400_events_is_drawn_whole(open_console: Open) -> None:
    console = open_console()
    page = console.page
    page.evaluate(DRAW, list(execution_with(400)))
    assert (page.locator(".lane").count(), page.locator(".lane .gate").count()) == (4, 188)
    assert page.locator(".lane .dot").count() == 200
    assert page.locator(".events tr").count() == 0, "long lists are drawn when they are opened"
    page.get_by_text("50 events of attempt 4").click()
    expect(page.locator(".events tbody tr")).to_have_count(50)
