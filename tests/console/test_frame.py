"""The console's frame: files and their headers, sign-in, keys that end, settings, unknown screens, no network."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from redial.api.console import FOLDER, PARTS, SCRIPT, files
from tests.console.browser import PHONE, Console
from tests.console.served import served
from tests.support.local_stack import LocalClient, request

MOST_BYTES = 60 * 1024
Open = Callable[..., Console]


def test_all_of_it_is_small(local: LocalClient) -> None:
    answers = served(local.stack.url)
    assert {answer.headers["content-encoding"] for answer in answers.values()} == {"gzip"}
    sizes = {path.rpartition("/")[2]: len(answer.body) for path, answer in answers.items()}
    assert sizes.keys() == {"", *files()[1]} - {"index.html"}, "the page names every file"
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_the_script_is_all_its_parts_without_their_comments() -> None:
    assert {*PARTS, "vendor.js"} == {path.name for path in FOLDER.glob("*.js")}
    lines = files()[1][SCRIPT].splitlines()
    assert [line for line in lines if re.match(r" *(//|/?\*)", line)] == [f"// {name}" for name in PARTS]
    for name in PARTS:
        code = [line for line in (FOLDER / name).read_text("utf-8").splitlines() if not re.match(r" *(//|/?\*)", line)]
        start = lines.index(f"// {name}") + 1
        assert lines[start : start + len(code)] == code, name


def test_a_name_is_of_one_part() -> None:
    """All parts share one scope: the browser rejects a script that defines a name twice, without saying where."""
    places: dict[str, list[str]] = {}
    for name in PARTS:
        text = (FOLDER / name).read_text("utf-8")
        for found in re.findall(r"^(?:const|let|class|(?:async )?function) (\w+)", text, re.MULTILINE):
            places.setdefault(found, []).append(name)
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_page_allows_only_the_consoles_own_files(local: LocalClient) -> None:
    answers = served(local.stack.url)
    page = answers.pop("")
    policy = dict(one.split(" ", 1) for one in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
    for file in answers.values():
        assert file.status == 200
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["content-security-policy"] == page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["0123456789abcdef/console.js", "{digest}/index.html", "{digest}/app.js", "console.js"]
)
def test_other_paths_are_not_found(local: LocalClient, path: str) -> None:
    page = request("GET", f"{local.stack.url}/console").body.decode()
    digest = re.findall(r"/console/([0-9a-f]{16})/console.js", page)[0]
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


def test_the_key_is_forgotten_with_the_tab(browser: Browser, local: LocalClient) -> None:
    console = Console(browser, local.stack.url).sign_in(local.stack.api_key)
    assert console.page.evaluate("Object.values(localStorage).join()").find(local.stack.api_key) == -1
    console.page.reload()
    console.settled()  # the same tab is still signed in
    console.page.get_by_role("button", name="Sign out").click()
    console.page.get_by_label("API key").wait_for()
    assert console.page.evaluate("sessionStorage.length") == 0
    console.close()
    assert console.faults == []


def test_an_ended_key_asks_for_another_one(open_console: Open) -> None:
    console = open_console()
    console.refused = True
    console.page.evaluate("sessionStorage.setItem('redial.key', 'rdl_revoked')")
    console.go("batches")
    console.see("This key no longer works.")


def test_an_unknown_screen_leads_back(open_console: Open) -> None:
    console = open_console().open("elsewhere")
    console.see("Screen not found")
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
