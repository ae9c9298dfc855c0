"""The screen Rules: policies with versions and presets, suppressions, consents, and the account's own rules."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]


def rows(page: Page) -> list[str]:
    return page.locator("tbody tr").all_inner_texts()


def test_no_policies_yet(open_console: Open) -> None:
    console = open_console("rules")
    console.see("There is no policy yet.")
    console.page.get_by_role("link", name="a preset").click()
    console.see("Rules to start from.")
    assert console.page.get_by_role("link", name="47 CFR 64.1200(c)(1)").get_attribute("href") == (
        "https://www.ecfr.gov/current/title-47/section-64.1200"
    )
    console.check_accessible()


def test_a_policy_is_made_from_a_preset_and_changed(open_console: Open, local: LocalClient) -> None:
    console = open_console("rules/new?preset=us-florida")
    page = console.page
    page.get_by_label("Name").fill("florida")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="florida@1").wait_for()
    made = local.api("GET", "/policies/florida").json
    assert (made["preset"], made["contact_limits"]["caps"]) == ("us-florida", [{"attempts": 3, "hours": 24}])
    page.get_by_role("link", name="Change").click()
    page.get_by_role("combobox", name="Calls may start").select_option("windows")
    page.get_by_label("Sat").first.uncheck()
    page.get_by_label("Sun").first.uncheck()
    page.get_by_label("Start of window 1").fill("09:30")
    page.get_by_role("button", name="Add a window").click()
    page.get_by_text("Holidays, dates, placement").click()
    page.get_by_label("No calls on holidays of").fill("US-FL")
    page.get_by_label("When they open, place").select_option("spread")
    page.get_by_role("button", name="Remove limit 1").click()
    page.get_by_label("Call again").select_option("own")
    page.get_by_label("Calls end after minutes").fill("2880")
    page.get_by_label("Consent").select_option("all")
    page.get_by_label("Purpose").fill("marketing")
    console.check_accessible()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="florida@2").wait_for()
    changed = local.api("GET", "/policies/florida").json
    assert changed["calling_guardrails"] == {
        "windows": [
            {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:30", "end": "20:00"},
            {"days": ["sat"], "start": "10:00", "end": "13:00"},
        ],
        "holidays": ["US-FL"],
        "placement": "spread",
    }
    assert (changed["contact_limits"], changed["preset"]) == (None, None), "a preset's rule that was removed stays so"
    assert (changed["expires_after_minutes"], changed["consent_required"], changed["purpose"]) == (
        2880,
        True,
        "marketing",
    )
    assert changed["retry_config"]["max_retries"] == 3
    console.see("holidays without calls")
    page.get_by_label("Version").select_option("1")
    page.get_by_role("heading", name="florida@1").wait_for()
    console.see("Every day 08:00–20:00")


def test_a_policy_that_another_person_changed_is_not_overwritten(open_console: Open, local: LocalClient) -> None:
    others = [one["policy"] for one in local.api("GET", "/policies").json]
    local.api("PUT", "/policies/busy", {"purpose": "one"})
    console = open_console("rules/edit/busy", size=PHONE, dark=True)
    console.refused = True
    local.api("PUT", "/policies/busy", {"purpose": "two"})
    console.check_accessible()
    console.page.get_by_label("Purpose").fill("three")
    console.page.get_by_role("button", name="Save").click()
    console.page.get_by_role("alert").wait_for()
    assert local.api("GET", "/policies/busy").json["purpose"] == "two"
    console.open("rules")
    assert [row.split("\t")[0] for row in rows(console.page)] == ["busy@2", *others]


def test_many_numbers_are_suppressed_and_one_removed(open_console: Open, local: LocalClient) -> None:
    console = open_console("rules/suppressions")
    page = console.page
    console.see("There is no suppression.")
    page.get_by_label("Numbers", exact=True).fill("+12025550120\n+1 (202) 555-0121\n\n+12025550122")
    page.get_by_label("Reason").fill("opted out")
    page.get_by_text("Scope, source, expiry").click()
    page.get_by_label("Purpose").fill("marketing")
    page.get_by_role("button", name="Suppress").click()
    console.see("3 suppressions stored.")
    page.locator("tbody tr").nth(2).wait_for()
    stored = local.api("GET", "/suppressions").json
    assert {(one["last_four"], one["reason"], one["purpose"]) for one in stored} == {
        (f"012{digit}", "opted out", "marketing") for digit in range(3)
    }
    console.check_accessible()
    page.get_by_label("Find a number").fill("+12025550121")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    console.see("There is no suppression for this number.")
    assert len(local.api("GET", "/suppressions").json) == 2


def test_a_pasted_file_with_a_wrong_row_is_refused_whole(open_console: Open, local: LocalClient) -> None:
    before = local.api("GET", "/suppressions").json
    console = open_console("rules/suppressions")
    console.refused = True
    console.page.get_by_label("Numbers", exact=True).fill("phone_number,reason\n+12025550130,complained\n12,none")
    console.page.get_by_role("button", name="Suppress").click()
    console.see("file.3.phone_number")
    assert local.api("GET", "/suppressions").json == before


def test_many_suppressions_come_in_pages(open_console: Open, local: LocalClient) -> None:
    on_page_2 = len(local.api("GET", "/suppressions").json) + 60 - 50
    numbers = "".join(f"+1202555{index}\n" for index in range(1000, 1060))
    console = open_console("rules/suppressions")
    page = console.page
    page.get_by_label("Numbers", exact=True).fill(numbers)
    page.get_by_role("button", name="Suppress").click()
    console.see("60 suppressions stored.")
    page.locator("tbody tr").nth(49).wait_for()
    page.get_by_role("button", name="Older").click()
    console.see("Page 2")
    page.locator("tbody tr").nth(on_page_2 - 1).wait_for()
    assert len(rows(page)) == on_page_2


def test_consents_are_stored_and_withdrawn(open_console: Open, local: LocalClient) -> None:
    console = open_console("rules/consents")
    page = console.page
    page.get_by_label("Numbers", exact=True).fill("+33612345678")
    page.get_by_label("Given at").fill("2026-01-20T09:00")
    page.get_by_label("Proof").fill("form 4711")
    page.get_by_role("button", name="Store").click()
    console.see("1 consent stored.")
    [stored] = local.api("GET", "/consents").json
    assert (stored["given_at"], stored["proof"]) == ("2026-01-20T08:00:00.000Z", "form 4711"), "Berlin is the viewer's"
    page.get_by_label("Find a number").fill("+33612345678")
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    console.see("There is no consent for this number.")


def test_the_accounts_limits_and_policy(open_console: Open, local: LocalClient) -> None:
    assert local.api("PUT", "/policies/usual", {"purpose": "usual"}).status == 201
    console = open_console("rules/account")
    page = console.page
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("Attempts of limit 1").fill("2")
    page.get_by_label("Pause after a conversation, in hours").fill("12")
    page.get_by_label("Policy").select_option("usual@1")
    page.get_by_role("button", name="Save").click()
    console.see("Saved.")
    account = local.api("GET", "/user/me").json
    assert account["contact_limits"] == {
        "caps": [{"attempts": 2, "hours": 24}],
        "pause_after_conversation_hours": 12,
        "at_cap": "defer",
    }
    assert account["defaults"]["policy"] == "usual@1"
    console.check_accessible()


def test_a_slow_answer_shows_that_it_loads(open_console: Open, local: LocalClient) -> None:
    assert local.api("PUT", "/policies/slow", {"purpose": "slow"}).status == 201
    console = open_console("plan")
    console.slowly("**/policies", lambda: console.go("rules"))
    console.see("slow@1")
