"""The screen Learn: charts of the statistics, also as tables, by agent, batch and period."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.browser import PHONE, Console
from tests.console.campaign import count_campaign
from tests.support.local_stack import NOON, LocalClient, local_stack

Open = Callable[..., Console]
CHARTS = 8


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        count_campaign(client)
        yield client
        client.assert_sound()


def stats(local: LocalClient, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = local.api("GET", f"/stats/retries{query}").json
    return found


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"size": PHONE}], ids=["light", "dark", "phone"])
def test_charts_say_what_the_statistics_say(open_console: Open, local: LocalClient, options: dict[str, Any]) -> None:
    console = open_console("learn", **options)
    page = console.page
    found = stats(local)
    for line in found["advice"]:
        console.see(line)
    assert len(found["advice"]) >= 4
    reach = page.locator("svg.reach").get_attribute("aria-label") or ""
    assert all(f"{100 * one['rate']:.1f} % reached" in reach for one in found["reach"])
    assert page.locator(".heat td:not(:empty)").count() == len(found["by_local_hour"])
    assert page.locator(".heat td.few").count() == sum(one["attempts"] < 20 for one in found["by_local_hour"])
    by_gap = page.locator("section", has=page.get_by_role("heading", name="Answered, by gap"))
    assert by_gap.locator("li").count() == len(found["by_gap"])
    assert "15 to 30 min" in by_gap.inner_text()
    console.check_accessible()


def test_every_chart_is_a_table_too(open_console: Open, local: LocalClient) -> None:
    console = open_console("learn")
    buttons = console.page.get_by_role("button", name="Table of")
    assert buttons.count() == CHARTS
    for number in range(CHARTS):
        buttons.nth(number).press("Enter")
    tables = console.page.get_by_role("table")
    expect(tables).to_have_count(CHARTS)
    assert console.page.locator("svg.reach, .rates, .heat").count() == 0
    assert tables.nth(4).locator("tbody tr").count() == len(stats(local)["by_local_hour"])
    first = stats(local)["by_attempt"][0]
    cells = tables.nth(2).locator("tbody tr").first.locator("td")
    low, high = (f"{100 * bound:.1f} %" for bound in first["interval"])
    assert cells.all_inner_texts()[3:] == [f"{100 * first['rate']:.1f} %", f"{low} to {high}"]
    console.check_accessible()


def test_by_agent_and_period(open_console: Open, local: LocalClient) -> None:
    console = open_console("learn")
    page = console.page
    total = f"{stats(local)['attempts']:,} attempts"
    console.see(total)
    page.get_by_label("Agent", exact=True).select_option(label="First agent")
    console.see(total)
    page.get_by_label("Period").select_option("7")
    week = stats(local, f"?from={NOON - timedelta(days=6):%Y-%m-%d}")["attempts"]
    console.see(f"{week:,} attempts")
    page.get_by_label("Period").select_option("dates")
    sunday = f"{NOON - timedelta(days=1):%Y-%m-%d}"
    page.get_by_label("From (UTC)").fill(sunday)
    page.get_by_label("To (UTC)").fill(sunday)
    few = stats(local, f"?from={sunday}&to={sunday}")
    console.see(f"{few['attempts']} attempts")
    console.see("Not enough yet")
    expect(page.locator(".rate.few circle")).not_to_have_count(0)
    page.get_by_label("From (UTC)").fill("2025-06-01")
    page.get_by_label("To (UTC)").fill("2025-06-30")
    console.see("No attempt has ended in this period.")
    console.check_accessible()


def test_by_batch(open_console: Open, local: LocalClient) -> None:
    agent = local.stack.agent_id
    console = open_console("learn")
    assert console.page.get_by_label("Batch", exact=True).is_disabled()
    batches = [{"batch_id": "b" * 32, "file_name": "may.csv"}]
    console.page.route(f"**/batches/{agent}/all*", lambda route: route.fulfill(json=batches))
    console.page.get_by_label("Agent", exact=True).select_option(label="First agent")
    console.refused = True
    with console.page.expect_request(lambda sent: f"batch_id={'b' * 32}" in sent.url):
        console.page.get_by_label("Batch", exact=True).select_option(label="may.csv")
    console.see("Not found.")


def test_a_wrong_period_is_refused_with_the_reason(open_console: Open) -> None:
    console = open_console("learn")
    console.refused = True
    console.open("learn?from=2026-01-20&to=2026-01-10")
    assert "must not be before from" in console.page.get_by_role("alert").inner_text()
    console.page.get_by_role("button", name="Try again").wait_for()


def test_a_slow_answer_is_awaited(open_console: Open) -> None:
    console = open_console()
    console.slowly("**/stats/retries*", lambda: console.go("learn"))
    console.see("What the numbers say")
