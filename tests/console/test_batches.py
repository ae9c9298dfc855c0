"""The screen Batches: upload, preflight and start, progress, pause, resume, stop, delete, contacts, files, failures."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.browser import PHONE, Console
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import LocalClient

Open = Callable[..., Console]
RETRY = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [30]}


def rows(first: int, number: int) -> str:
    """A file with that many contacts."""
    lines = [f"+1202555{index:04},Ada {index},America/Chicago" for index in range(first, first + number)]
    return "\n".join(["contact_number,name,time_zone", *lines]) + "\n"


def created(local: LocalClient, file: str, name: str = "contacts.csv", **fields: str) -> str:
    """Create a batch of the first agent; return its id once its file has been read."""
    sent = {"agent_id": local.stack.agent_id, "retry_config": json.dumps(RETRY), **fields}
    answer = local.api("POST", "/batches", multipart([*sent.items()], file, name), Content_Type=CONTENT_TYPE)
    assert answer.status == 201, answer
    local.advance(0.5)
    return str(answer.json["batch_id"])


def batch(local: LocalClient, batch_id: str) -> Any:
    return local.api("GET", f"/batches/{batch_id}").json


def press(page: Page, name: str, *, confirm: str | None = None) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    if confirm is not None:
        page.get_by_role("dialog").get_by_role("button", name=confirm, exact=True).click()


def test_without_batches_the_list_leads_to_the_upload(open_console: Open, local: LocalClient) -> None:
    local.stack.create_agent(agent_name="Unused")
    console = open_console("batches")
    console.page.get_by_label("Agent").select_option(label="Unused")
    console.see("Unused has no batches")
    console.check_accessible()
    console.page.get_by_role("link", name="Upload one").click()
    console.page.get_by_role("heading", name="New batch", level=1).wait_for()
    console.check_accessible()


def test_a_file_is_checked_before_it_is_started(open_console: Open, local: LocalClient, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(rows(100, 5) + "+12025550101,Again,America/Chicago\n12,Short,\n")
    assert local.api("POST", "/suppressions", {"phone_number": "+12025550103"}).status == 200
    console = open_console("batches/new", dark=True)
    page = console.page
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Agent").select_option(local.stack.agent_id)
    page.get_by_label("Call again").select_option("own")
    page.get_by_label("At most", exact=True).select_option("2")
    page.get_by_label("Minutes between").fill("20, 40")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Maximum calls per second").fill("5")
    page.get_by_label("Expires, hours after its start").fill("48")
    press(page, "Upload and check")
    page.get_by_role("heading", name="leads.csv", level=1).wait_for()
    local.advance(0.1)
    console.see("Will be called")
    batch_id = page.url.rpartition("/")[2]
    found = batch(local, batch_id)
    assert found["retry_config"]["retry_intervals_minutes"] == [20, 40]
    assert (found["retry_config"]["max_retries"], found["calls_per_second"]) == (2, 5)
    figures = page.locator("dl.figures").first
    expect(figures).to_contain_text("4of 5 contacts")
    expect(figures).to_contain_text("3of 7 rows")
    for row in ("Duplicates1", "Suppressed1", "Unusable1"):
        expect(page.locator(".facts").first).to_contain_text(row)
    expect(figures).to_contain_text("123 attempts per contact")
    expect(page.locator(".bars li")).to_have_text(["Chicago5"])
    console.see("Done between")
    console.check_accessible()
    assert local.calls("+12025550100") == [], "nothing starts before the button"
    press(page, "Start", confirm="Cancel")
    assert batch(local, batch_id)["status"] == "processed"
    with page.expect_response("**/preflight"):  # as it is scheduled now
        press(page, "Start", confirm="Start")
    console.see("Scheduled.")
    assert batch(local, batch_id)["status"] == "scheduled"
    local.advance(3)
    assert batch(local, batch_id)["status"] == "running"
    console.see("of 5 contacts done")
    assert len(local.calls("+12025550100")) == 1
    assert local.calls("+12025550103") == []


def test_a_batch_can_be_scheduled_for_later(open_console: Open, local: LocalClient) -> None:
    batch_id = created(local, rows(200, 3))
    console = open_console(f"batches/{batch_id}")
    page = console.page
    page.get_by_label("Start at").fill("2026-01-28T09:30")  # in Berlin
    page.get_by_label("Also call outside calling hours").check()
    console.settled().see("if it starts Wed 28 Jan 09:30")
    with page.expect_response("**/preflight"):
        press(page, "Schedule", confirm="Schedule")
    console.see("Scheduled.")
    found = batch(local, batch_id)
    assert (found["status"], found["scheduled_at"]) == ("scheduled", "2026-01-28T08:30:00.000Z")
    press(page, "Stop", confirm="Stop it")
    console.see("Stopped.")
    assert batch(local, batch_id)["status"] == "stopped"


def test_a_start_in_the_past_is_refused_where_it_is_chosen(open_console: Open, local: LocalClient) -> None:
    console = open_console(f"batches/{created(local, rows(210, 2))}")
    console.refused = True
    console.page.get_by_label("Start at").fill("2025-01-28T09:30")
    console.see("scheduled_at: must")
    assert console.page.get_by_role("button", name="Schedule", exact=True).is_disabled()


def test_a_running_batch_is_paused_resumed_and_stopped(open_console: Open, local: LocalClient) -> None:
    for index in range(300, 304):
        local.script(f"+1202555{index:04}", "completed" if index % 2 else "no-answer")
    batch_id = created(local, rows(300, 4), "reminders.csv", start="now")
    local.advance(5)
    console = open_console(f"batches/{batch_id}")
    page = console.page
    expect(page.locator(".big")).to_have_text("50 % 2 of 4 contacts done")
    console.see("Every contact has been called. Done by about")
    found = local.api("GET", f"/v2/agent/{local.stack.agent_id}/executions?batch_id={batch_id}&page_size=9").json[
        "data"
    ]
    last = max(datetime.fromisoformat(one["next_attempt"]["at"]) for one in found if one["next_attempt"])
    foreseen = (last + timedelta(minutes=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    expect(page.locator("strong time").first).to_have_attribute("datetime", foreseen)
    press(page, "Pause")
    console.see("Paused: no call starts until you resume it.")
    assert batch(local, batch_id)["paused"] is True
    console.see("No call starts until the batch is resumed.")
    press(page, "Resume")
    console.see("Resumed.")
    assert batch(local, batch_id)["paused"] is False
    press(page, "Stop", confirm="Stop it")
    console.see("Stopped.")
    assert batch(local, batch_id)["status"] == "stopped"
    page.get_by_role("button", name="Download results").wait_for()
    local.advance(40)
    assert len(local.calls("+12025550300")) == 1, "the retry is not made"


def test_progress_contacts_and_files_of_a_finished_batch(open_console: Open, local: LocalClient) -> None:
    for index in range(400, 408):
        local.script(f"+1202555{index:04}", *(["busy", "completed"] if index % 4 == 0 else ["completed"]))
    local.script("+12025550401", "no-answer")
    batch_id = created(local, "\ufeff" + rows(400, 8) + "12,Short,\n", "monday.csv", start="now")
    local.advance(41)  # the statistics are counted every five minutes
    console = open_console("batches")
    page = console.page

    def with_five(route: Route) -> None:
        route.continue_(url=route.request.url.replace("page_size=25", "page_size=5"))

    page.route("**/executions?*", with_five)
    page.get_by_label("Agent").select_option(local.stack.agent_id)
    row = page.get_by_role("row").filter(has_text="monday.csv")
    expect(row).to_contain_text("Completed")
    expect(row).to_contain_text("100 % done")
    row.get_by_role("link", name="monday.csv").click()
    funnel = page.locator(".funnel li b")
    expect(funnel).to_have_text(["9", "8", "8", "7"])
    console.see("7 answered by a person or a voicemail")
    console.check_accessible()
    contacts = page.get_by_role("region", name="Contacts").get_by_role("row")
    expect(contacts).to_have_count(6)
    page.get_by_role("link", name="Next page").click()
    expect(contacts).to_have_count(4)
    page.get_by_role("button", name="No answer 1").click()
    expect(contacts).to_have_count(2)
    expect(contacts.nth(1)).to_contain_text("The retry is used")
    assert page.url.endswith(f"{batch_id}?status=no-answer")
    execution = local.api("GET", f"/v2/agent/{local.stack.agent_id}/executions?user_number=%2B12025550401").json[
        "data"
    ][0]
    link = contacts.nth(1).get_by_role("link", name="+12025550401")
    assert link.get_attribute("href") == f"#/executions/{execution['id']}"
    for name, path in (("Download results", "results"), ("Rejected rows (1)", "rejected")):
        with page.expect_download() as download:
            press(page, name)
        assert download.value.suggested_filename == f"monday-{path}.csv"
        assert download.value.path().read_bytes() == local.api("GET", f"/batches/{batch_id}/{path}.csv").body
    press(page, "Delete", confirm="Cancel")
    assert batch(local, batch_id)["status"] == "completed"
    press(page, "Delete", confirm="Delete it")
    console.see("Deleted.")
    page.get_by_role("heading", name="Batches", level=1).wait_for()
    assert local.api("GET", f"/batches/{batch_id}").status == 404


def test_on_a_phone(open_console: Open, local: LocalClient) -> None:
    batch_id = created(local, rows(500, 5))
    console = open_console(f"batches/{batch_id}", size=PHONE)
    console.see("Will be called")
    console.check_accessible()


def test_results_too_large_for_the_browser_are_a_command(open_console: Open, local: LocalClient) -> None:
    batch_id = created(local, rows(510, 1), start="now")
    local.advance(1)
    large = {**batch(local, batch_id), "valid_contacts": 1_000_000, "execution_status": {"completed": 1_000_000}}
    console = open_console("plan")
    console.page.route(f"**/batches/{batch_id}", lambda route: route.fulfill(json=large))
    console.open("batches", batch_id).see("1,000,000 of 1,000,000 contacts done")
    console.see("Download results: copy the command")


def test_unusable_files_and_values_are_named(open_console: Open, local: LocalClient, tmp_path: Path) -> None:
    console = open_console("batches/new")
    console.refused = True
    page = console.page
    large, wrong = tmp_path / "large.csv", tmp_path / "wrong.csv"
    large.write_bytes(b"contact_number\n" + b" " * 4 * 1024 * 1024)
    wrong.write_text("phone\n+12025550600\n")
    page.get_by_label("File", exact=True).set_input_files(large)
    press(page, "Upload and check")
    message = "document.querySelector('[type=file]').validationMessage"
    assert "too large for an upload here" in page.evaluate(message)
    page.get_by_label("File", exact=True).set_input_files(wrong)
    assert page.evaluate(message) == ""
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Caller ids").fill("+1202555, 12")
    press(page, "Upload and check")
    console.see("from_phone_numbers")
    page.get_by_label("Caller ids").fill("")
    press(page, "Upload and check")
    console.see("contact_number")
    assert page.url.endswith("batches/new")


@pytest.mark.parametrize("path", ["batches/0123456789abcdef0123456789abcdef", "batches/nonsense"])
def test_an_unknown_batch_is_not_found(open_console: Open, path: str) -> None:
    console = open_console("plan")
    console.refused = True
    console.open(*path.split("/")).see("Not found.")


def test_a_key_without_scopes_only_looks(open_console: Open, local: LocalClient) -> None:
    batch_id = created(local, rows(700, 2), start="now")
    assert batch(local, batch_id)["status"] == "running"
    console = open_console("plan")
    me = {**local.api("GET", "/user/me").json, "key": {"id": "k", "name": "Desk", "scopes": ["read"]}}
    console.page.route("**/user/me", lambda route: route.fulfill(json=me))
    console.page.reload()
    console.open("batches", batch_id)
    for name in ("Pause", "Stop", "Delete"):
        button = console.page.get_by_role("button", name=name, exact=True)
        assert button.is_disabled()
        assert "lacks the scope" in (button.get_attribute("title") or "")


def test_a_slow_list_shows_that_it_loads(open_console: Open, local: LocalClient) -> None:
    created(local, rows(900, 1), "slow.csv")
    console = open_console("plan")
    console.slowly("**/batches/*/all*", lambda: console.go("batches"))
    console.see("slow.csv")
