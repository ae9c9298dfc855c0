"""The console's frame: files and their headers, sign-in, keys that end, settings, unknown screens, no network."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.console.browser import PHONE, Console
from tests.support.local_stack import LocalClient, request

STATIC = Path("layers/redial/redial/api/console/static")
MOST_BYTES_OF_A_VISIT = 40 * 1024
MOST_BYTES = 80 * 1024
Open = Callable[..., Console]


def test_a_visit_is_small() -> None:
    """Of the frame with any one screen, all that this loads; and of everything together."""
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.iterdir()}
    frame = {"index.html", "console.css", "icon.svg", "vendor.js", "lib.js", "ui.js", "app.js"}
    assert frame < sizes.keys()
    visits = {name: sum(sizes[one] for one in frame | needed(name)) for name in sizes if name.endswith(".js")}
    assert max(visits.values()) <= MOST_BYTES_OF_A_VISIT, visits
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def needed(name: str) -> set[str]:
    """The modules that `name` imports, directly or through others, and itself."""
    found, waiting = set[str](), [name]
    while waiting:
        found.add(one := waiting.pop())
        text = (STATIC / one).read_text("utf-8")
        waiting += [other for other in re.findall(r"from '\./([a-z]+\.js)'", text) if other not in found]
    return found


def test_the_page_allows_only_the_consoles_own_files(local: LocalClient) -> None:
    page = request("GET", f"{local.stack.url}/console")
    policy = dict(one.split(" ", 1) for one in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
    names = re.findall(r'(?:src|href)="(/console/[^"]+)"', page.body.decode())
    assert len(names) >= 5
    for name in names:
        file = request("GET", f"{local.stack.url}{name}", headers={"Accept-Encoding": "gzip"})
        assert (file.status, file.headers["content-encoding"]) == (200, "gzip")
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["content-security-policy"] == page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["0123456789abcdef/app.js", "{digest}/index.html", "{digest}/nothing.js", "app.js"])
def test_other_paths_are_not_found(local: LocalClient, path: str) -> None:
    page = request("GET", f"{local.stack.url}/console").body.decode()
    digest = re.findall(r"/console/([0-9a-f]{16})/app.js", page)[0]
    assert request("GET", f"{local.stack.url}/console/{path.format(digest=digest)}").status == 404


def test_a_wrong_key_is_refused(browser: Browser, local: LocalClient) -> None:
    console = Console(browser, local.stack.url)
    console.refused = True
    console.page.goto(f"{local.stack.url}/console")
    console.check_accessible()
    console.page.get_by_label("API key").fill("rdl_wrong")
    console.page.get_by_role("button", name="Sign in").click()
    console.see("this API key is unknown or was revoked")
    console.close()
    assert console.faults == []


def test_the_key_is_forgotten_with_the_tab(open_console: Open, local: LocalClient) -> None:
    console = open_console()
    assert console.page.evaluate("Object.values(localStorage).join()").find(local.stack.api_key) == -1
    console.page.reload()
    console.settled()  # the same tab is still signed in
    console.page.get_by_role("button", name="Sign out").click()
    console.page.get_by_label("API key").wait_for()
    assert console.page.evaluate("sessionStorage.length") == 0


def test_an_ended_key_asks_for_another_one(open_console: Open) -> None:
    console = open_console()
    console.refused = True
    console.page.evaluate("sessionStorage.setItem('redial.key', 'rdl_revoked')")
    console.go("batches")
    console.see("This key opens nothing any more.")


def test_an_unknown_screen_leads_back(open_console: Open) -> None:
    console = open_console().open("elsewhere")
    console.see("There is no such screen")
    console.page.get_by_role("link", name="Go to Now").click()
    console.page.get_by_role("heading", name="Now", level=1).wait_for()


def test_by_keyboard_alone(open_console: Open) -> None:
    page = open_console().page
    first = "document.querySelector('a, button, input, select, summary, [tabindex=\"0\"]')"
    page.evaluate(f"{first}.focus()")
    page.keyboard.press("Enter")  # the first stop skips the navigation
    assert page.evaluate("document.activeElement.tagName") == "H1"
    page.get_by_role("link", name="Batches", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Batches", level=1).wait_for()
    assert page.get_by_role("link", name="Now", exact=True).is_visible(), "the menu stays open in a wide window"
    assert page.evaluate("document.activeElement.textContent") == "Batches", "a screen's heading takes the focus"


def test_on_a_phone_the_screens_are_in_a_menu(open_console: Open) -> None:
    console = open_console(size=PHONE)
    console.check_accessible()
    console.page.locator("summary").click()
    console.check_accessible()
    console.page.get_by_role("link", name="Batches", exact=True).click()
    console.page.get_by_role("heading", name="Batches", level=1).wait_for()


def test_colours_are_the_viewers_choice(open_console: Open) -> None:
    page = open_console(dark=True).page
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_label("Light").check()
    expect(page.locator("html")).not_to_have_css("background-color", dark)
