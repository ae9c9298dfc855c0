"""The console in headless Chromium against the local stack: open screens, check them, take pictures."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, Route, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
"""The browser's program; empty if there is none. Continuous integration requires it: `BROWSER=required`."""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_FLAGS += ["--disable-component-update", "--disable-sync", "--force-color-profile=srgb"]
_AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
    "selectors": False,
}
"""Options for all axe checks. Listing what passes, and where, would take half of axe's time."""
WIDE, PHONE = (1280, 800), (390, 844)
LONGEST_WAIT = 15_000
"""Milliseconds that a test waits for the screen."""
expect.set_options(timeout=LONGEST_WAIT)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Console:
    """One visitor's tab. `faults` collects what no screen may do: errors on the browser's console (except a refused
    request, if `refused` is set because the test expects it), exceptions, and requests to other servers."""

    def __init__(self, browser: Browser, url: str, *, size: tuple[int, int] = WIDE, dark: bool = False) -> None:
        self.url = url
        self.faults: list[str] = []
        self.refused = False
        self._context: BrowserContext = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            timezone_id="Europe/Berlin",
            locale="en-GB",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        self._context.set_default_timeout(LONGEST_WAIT)
        self.page: Page = self._context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("console", self._said)
        self.page.on("request", lambda sent: self._sent(sent.url))

    def _said(self, message: Any) -> None:
        is_answer = message.text.startswith("Failed to load resource")
        if message.type == "error" and not (self.refused and is_answer):
            self.faults.append(f"console: {message.text} {message.location.get('url')}")

    def _sent(self, url: str) -> None:
        if not url.startswith((self.url, "blob:", "data:")):
            self.faults.append(f"request to another server: {url}")

    def close(self) -> None:
        self._context.close()

    def sign_in(self, key: str, screen: str = "now") -> "Console":
        self.page.goto(f"{self.url}/console#/{screen}")
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.locator("#content h1").wait_for()
        return self

    def signed_in(self, key: str, screen: str = "now") -> "Console":
        """Open the screen as after a sign-in with that key in this tab, without the form."""
        self._context.add_init_script(f"sessionStorage.setItem('redial.key', {key!r})")
        self.page.goto(f"{self.url}/console#/{screen}")
        return self.settled()

    def open(self, *parts: str) -> "Console":
        """Open a screen by its address, as a link does, and wait until loading ends."""
        self.go(*parts)
        return self.settled()

    def settled(self) -> "Console":
        self.page.locator("#content h1").wait_for()
        self.page.locator(".loading").first.wait_for(state="detached")
        return self

    def see(self, text: str) -> Locator:
        """Wait until the text is on the screen."""
        found = self.page.get_by_text(text).first
        found.wait_for()
        return found

    def slowly(self, url: str, act: Callable[[], Any]) -> None:
        """Run `act` while the next request to that URL is held back: assert that the screen shows that it is loading,
        then let the request proceed."""
        held: list[Route] = []

        def keep(route: Route) -> None:
            held.append(route)

        self.page.route(url, keep, times=1)
        act()
        while not held:
            self.page.wait_for_timeout(20)
        self.page.get_by_role("status", name="Loading").first.wait_for()
        held[0].continue_()

    def go(self, *parts: str) -> None:
        """Follow a link to a screen, without waiting."""
        self.page.evaluate("address => { location.hash = address; }", f"#/{'/'.join(parts)}")

    def check_accessible(self) -> None:
        """Assert that axe finds no violation of WCAG 2.2 AA or its best practices, and that nothing is wider than the
        window."""
        found = Axe().run(self.page, options=_AXE).response["violations"]
        told = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found]
        assert told == [], told
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"the page is {width[0]} wide in a window of {width[1]}"

    def picture(self, path: Path | str, most: int | None = None) -> None:
        """Write a picture of the whole page, or of its upper `most` pixels."""
        width, height = self.page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        clip = FloatRect(x=0, y=0, width=width, height=min(height, most or height))
        self.page.screenshot(path=str(path), full_page=True, clip=clip, animations="disabled")
