"""The screen Numbers: what would happen to a number now, its rules, erasing, and the caller ids."""

from collections.abc import Callable

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]
NUMBER = "+12025550143"


def test_a_number_is_looked_up(open_console: Open, local: LocalClient) -> None:
    console = open_console("numbers")
    console.check_accessible()
    console.page.get_by_role("textbox", name="Number").fill(NUMBER)
    console.page.get_by_role("button", name="Show").click()
    console.see("It would be dialled now")
    assert console.page.locator(".gates li").count() >= 10
    console.see("07:00 New York")
    console.see("It is not suppressed.")
    console.check_accessible()


def test_a_limit_that_is_used_up_says_when_the_next_call_is_allowed(open_console: Open, local: LocalClient) -> None:
    number = "+12025550144"
    local.api("PATCH", "/user/me", {"contact_limits": {"caps": [{"attempts": 1, "hours": 24}]}})
    local.script(number, "no-answer")
    local.call(number)
    local.advance(2)
    console = open_console(f"numbers/{number}", size=PHONE, dark=True)
    console.see("It would wait")
    console.see("1 of 1")
    console.see("Tue 27 Jan 07:00 New York")
    console.check_accessible()
    local.api("PATCH", "/user/me", {"contact_limits": None})


def test_a_number_is_suppressed_and_allowed_again(open_console: Open, local: LocalClient) -> None:
    console = open_console(f"numbers/{NUMBER}")
    page = console.page
    page.get_by_label("Reason").fill("asked for no more")
    page.get_by_role("button", name="Suppress", exact=True).click()
    console.see("It would not be called")
    [stored] = local.api("GET", f"/suppressions?phone_number={NUMBER.replace('+', '%2B')}").json
    assert (stored["reason"], stored["source"], stored["agent_id"]) == ("asked for no more", "console", None)
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    console.see("It would be dialled now")
    assert local.api("GET", "/suppressions").json == []


def test_a_consent_is_withdrawn(open_console: Open, local: LocalClient) -> None:
    given = {"phone_number": NUMBER, "given_at": "2026-01-20T09:00:00Z", "purpose": "marketing", "proof": "form 4711"}
    local.api("POST", "/consents", given)
    console = open_console(f"numbers/{NUMBER}")
    console.see("form 4711")
    console.page.get_by_role("button", name="Withdraw").click()
    console.page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    console.see("None is stored.")
    assert local.api("GET", "/consents").json == []


def test_a_person_is_erased_after_a_question(open_console: Open, local: LocalClient) -> None:
    number = "+12025550145"
    local.script(number, "no-answer")
    execution_id = local.call(number)
    local.advance(2)
    console = open_console(f"numbers/{number}")
    console.page.get_by_role("button", name="Erase").click()
    console.page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    console.see("Erased: 1 call, 0 consents")
    assert local.api("GET", f"/executions/{execution_id}").status == 404


def test_the_caller_ids_lead_to_their_agents(open_console: Open, local: LocalClient) -> None:
    console = open_console("numbers/callers")
    console.see("+12025550100")
    assert console.page.get_by_role("link", name="First agent").first.get_attribute("href") == (
        f"#/agents/{local.stack.agent_id}"
    )
    console.check_accessible()


def test_a_wrong_number_and_a_slow_answer(open_console: Open) -> None:
    console = open_console("numbers")
    console.refused = True
    console.open("numbers", "12")
    console.see("phone_number: is not")
    console.slowly("**/numbers/*", lambda: console.go("numbers", "+12025550146"))
    console.see("It would be dialled now")
