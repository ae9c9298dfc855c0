"""One browser for all tests of the folder, one stack per file, and a fresh tab per test."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.console.browser import CHROMIUM, Console, chromium
from tests.support.local_stack import LocalClient, local_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/console/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("ignore:No application metrics to publish"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM and os.environ.get("BROWSER") != "required":
        pytest.skip("no Chromium on the PATH: install it (Debian: apt install chromium), or name it in CHROMIUM")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def local() -> Iterator[LocalClient]:
    with local_stack() as client:
        yield client
        client.assert_sound()


@pytest.fixture
def open_console(browser: Browser, local: LocalClient) -> Iterator[Callable[..., Console]]:
    """`open_console(screen, key=…, size=…, dark=…)`: a signed-in tab. The test fails if a screen does what no screen
    may do."""
    opened: list[Console] = []

    def open_one(screen: str = "now", key: str | None = None, **options: Any) -> Console:
        opened.append(Console(browser, local.stack.url, **options))
        return opened[-1].signed_in(key or local.stack.api_key, screen)

    yield open_one
    for one in opened:
        one.close()
    assert [fault for one in opened for fault in one.faults] == []
