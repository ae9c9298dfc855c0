"""For every test: Hypothesis profiles, and a report on standard error about a test that takes long, while it runs."""

import faulthandler
import gc
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.examples import register_profiles

register_profiles()


class Watch(threading.Thread):
    """Names a test that has run for a minute, and after four minutes shows what each thread is doing."""

    NAME_SECONDS, STACKS_SECONDS = 60, 240

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.running: pytest.Item | None = None
        self.since = 0.0
        self._stderr = os.dup(2)  # pytest captures standard error during tests
        self._ended = threading.Event()

    def run(self) -> None:
        told: dict[pytest.Item, float] = {}
        while not self._ended.wait(1.0):
            test, seconds = self.running, time.monotonic() - self.since
            if test is None or seconds < self.NAME_SECONDS:
                continue
            before = told.get(test, 0.0)
            told = {test: seconds}
            if before < self.NAME_SECONDS:
                os.write(self._stderr, f"\nstill running after {self.NAME_SECONDS} s: {test.nodeid}\n".encode())
            if before < self.STACKS_SECONDS <= seconds:
                faulthandler.dump_traceback(self._stderr)

    def end(self) -> None:
        self._ended.set()
        self.join()
        os.close(self._stderr)


_WATCH = pytest.StashKey[Watch]()


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(200_000, 10, 10)  # as in the functions, and from the first import on
    config.stash[_WATCH] = Watch()
    config.stash[_WATCH].start()


def pytest_collection_finish() -> None:
    gc.freeze()  # imported modules stay: they need not be searched for cycles


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_WATCH].end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    watch = item.config.stash[_WATCH]
    watch.since, watch.running = time.monotonic(), item
    try:
        return (yield)
    finally:
        watch.running = None
