"""The screen Keys and audit: keys are created, shown once and revoked; who changed what; what a key may not do."""

from collections.abc import Callable
from pathlib import Path

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]


def test_a_key_is_made_shown_once_and_revoked(open_console: Open, local: LocalClient) -> None:
    console = open_console("keys")
    page = console.page
    page.get_by_label("Name").fill("dashboard")
    page.get_by_label("Make calls and batches").check()
    page.get_by_label("Phone numbers").select_option("masked")
    page.get_by_text("Only some agents").click()
    page.get_by_label("First agent").check()
    page.get_by_label("Maximum calls per day").fill("500")
    page.get_by_label("Maximum calls at once").fill("5")
    page.get_by_role("button", name="Create key").click()
    console.see("Copy it now: it is shown only here.")
    secret = page.locator("code.break").inner_text()
    console.check_accessible()
    [made] = [one for one in local.api("GET", "/keys").json if one["name"] == "dashboard"]
    assert (made["scopes"], made["numbers"]) == (["read", "call"], "masked")
    assert (made["agents"], made["quotas"]) == ([local.stack.agent_id], {"calls_a_day": 500, "lines": 5})
    assert local.api("GET", "/user/me", Authorization=f"Bearer {secret}").status == 200
    page.get_by_role("button", name="I have it").click()
    assert secret not in page.content()
    page.get_by_role("row", name="dashboard").get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    console.see("dashboard was revoked.")
    assert local.api("GET", "/user/me", Authorization=f"Bearer {secret}").status == 401
    assert page.get_by_role("row", name="(this one)").get_by_role("button", name="Revoke").is_disabled()


def test_a_key_cannot_be_made_without_a_scope(open_console: Open) -> None:
    console = open_console("keys", size=PHONE, dark=True)
    console.refused = True
    console.check_accessible()
    console.page.get_by_label("Name").fill("nothing")
    console.page.get_by_label("Read everything").uncheck()
    console.page.get_by_role("button", name="Create key").click()
    console.see("scopes")


def test_the_audit_shows_who_changed_what_and_is_exported(open_console: Open, local: LocalClient) -> None:
    local.configure(max_concurrent_calls=7)
    console = open_console("keys/audit")
    page = console.page
    row = page.get_by_role("row", name="Patch agent").first
    row.wait_for()
    assert "max_concurrent_calls" in row.inner_text() and "→ 7" in row.inner_text()
    console.check_accessible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export as CSV").click()
    lines = Path(saved.value.path()).read_text("utf-8").splitlines()
    assert lines[0].startswith("at,by,key_id,operation") and any("patch_agent" in line for line in lines[1:])
    page.get_by_label("To", exact=True).fill("2026-01-25")
    console.see("There were no changes in this period.")


def test_what_a_key_may_not_do_is_disabled(open_console: Open, local: LocalClient) -> None:
    made = local.api("POST", "/keys", {"name": "reader", "scopes": ["read"]})
    console = open_console("plan?number=%2B12025550143", key=made.json["api_key"])
    page = console.page
    console.see("If every attempt fails")
    assert page.get_by_role("button", name="Call now").is_disabled()
    for parts, buttons in {
        ("rules", "suppressions"): ["Suppress"],
        ("rules", "account"): ["Save"],
        ("numbers", "+12025550143"): ["Suppress", "Erase"],
        ("webhooks",): ["Send", "Save"],
        ("agents", local.stack.agent_id): ["Save", "Stop its calls", "Delete"],
    }.items():
        console.open(*parts)
        for name in buttons:
            button = page.get_by_role("button", name=name, exact=True)
            button.wait_for()
            assert button.is_disabled() and "lacks the scope" in str(button.get_attribute("title")), (parts, name)
    console.refused = True
    console.open("keys")
    console.see("this API key has the scope read")


def test_a_slow_answer_shows_that_it_loads(open_console: Open) -> None:
    console = open_console("plan")
    console.slowly("**/keys", lambda: console.go("keys"))
    console.see("(this one)")
