"""The screen Plan: the attempts in both zones, what delays them, and the call that is placed as planned."""

from collections.abc import Callable

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]
NUMBER = "+12025550143"
HOURS = {"windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}]}


def test_an_empty_screen_says_what_to_type(open_console: Open) -> None:
    console = open_console("plan")
    console.see("You will see when each attempt would be made")
    console.check_accessible()


def test_the_attempts_are_shown_in_both_zones_with_what_moves_them(open_console: Open, local: LocalClient) -> None:
    local.api("PUT", "/policies/weekdays", {"calling_guardrails": HOURS})
    console = open_console("plan")
    page = console.page
    page.get_by_label("Number").fill(NUMBER)
    page.get_by_label("Policy", exact=True).select_option("weekdays@1")
    page.get_by_label("Call again").select_option("own")
    page.get_by_label("At most").select_option("2")
    page.get_by_label("Minutes between").fill("60, 600")
    page.get_by_label("Minutes between").blur()
    attempts = page.locator(".attempts li")
    attempts.nth(2).wait_for()
    shown = attempts.all_inner_texts()
    # It is 7:00 on a Monday in New York and 13:00 in Berlin, the viewer's zone.
    assert "Mon 26 Jan 09:00 New York" in shown[0] and "Mon 26 Jan 15:00 Berlin" in shown[0]
    assert "Calling window" in shown[0] and "outside calling hours" in shown[0]
    assert "Mon 26 Jan 10:00 New York" in shown[1] and "Every gate allows it" in shown[1]
    assert "Tue 27 Jan 09:00 New York" in shown[2], "20:01 is after the window"
    console.see("It ends after attempt 3: all 2 retries used.")
    assert page.locator(".track b").all_inner_texts() == ["1", "2", "3"]
    page.get_by_label("UTC").check()
    page.get_by_text("Mon 26 Jan 14:00 UTC").wait_for()
    console.check_accessible()


def test_a_number_of_many_zones_may_be_seen_in_each(open_console: Open) -> None:
    console = open_console("plan?number=%2B18005550143", size=PHONE, dark=True)
    console.see("The number may be in 19 zones")
    console.see("one of the 19 time zones that the number may be in")
    console.page.get_by_label("Their zone").select_option("America/New_York")
    console.see("Shaded: before 9:00 and after 20:00 in New York.")
    console.check_accessible()


def test_what_was_planned_is_called_once_it_is_confirmed(open_console: Open, local: LocalClient) -> None:
    console = open_console(f"plan?number={NUMBER.replace('+', '%2B')}")
    page = console.page
    page.get_by_label("Call again").select_option("own")
    page.get_by_label("At most").select_option("1")
    console.see("It ends after attempt 2")
    page.get_by_role("button", name="Call now").click()
    page.get_by_role("button", name="Cancel").click()
    assert local.calls(NUMBER) == []
    page.get_by_role("button", name="Call now").click()
    page.get_by_role("dialog").get_by_role("button", name="Call").click()
    page.wait_for_url("**/console#/executions/*")
    made = local.execution(page.url.rpartition("/")[2])
    assert (made["user_number"], made["retry_config"]["max_retries"]) == (NUMBER, 1)


def test_a_suppressed_number_is_not_called(open_console: Open, local: LocalClient) -> None:
    local.api("POST", "/suppressions", {"phone_number": "+12025550177", "reason": "opted out"})
    console = open_console("plan?number=%2B12025550177")
    console.see("No call would be dialled")
    assert console.page.get_by_role("button", name="Call now").is_disabled()


def test_a_refused_plan_says_why_and_a_slow_one_loads(open_console: Open) -> None:
    console = open_console("plan")
    console.refused = True
    console.page.get_by_label("Number").fill("12025550")
    console.see("recipient_phone_number")
    console.slowly("**/call/plan", lambda: console.page.get_by_label("Number").fill(NUMBER))
    console.see("If every attempt fails")
