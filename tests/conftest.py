"""For every test: Hypothesis profiles, and a line on standard error for each test that runs long, while it runs."""

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from tests.support.examples import register_profiles

register_profiles()

LONG_SECONDS = 60
_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(200_000, 10, 10)  # as the functions have it, and from the first import on
    config.stash[_STDERR] = os.dup(2)  # pytest captures standard error during tests


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays: it need not be searched for cycles


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Names a test that runs or hangs; after `faulthandler_timeout` pytest adds what each of its threads is doing."""

    def tell() -> None:
        os.write(item.config.stash[_STDERR], f"\nstill running after {LONG_SECONDS} s: {item.nodeid}\n".encode())

    timer = threading.Timer(LONG_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        return (yield)
    finally:
        timer.cancel()
