"""The console: the size of everything that a browser loads, and the time that headless Chromium takes to draw an
execution with many events."""

import statistics
from collections.abc import Iterator

from bench.report import show, table
from bench.stack import running
from tests.console.browser import CHROMIUM, Console, chromium
from tests.console.many_events import DRAW, execution_with
from tests.console.served import served

EVENTS = 400
TIMES = 5


def measure() -> tuple[int, float | None]:
    """Bytes of the page and all its files, as sent, and median milliseconds to draw the events (None: no Chromium)."""
    with running() as stack:
        size = sum(len(answer.body) for answer in served(stack.url).values())
        if not CHROMIUM:
            return size, None
        with chromium() as browser:
            console = Console(browser, stack.url).sign_in(stack.api_key)
            drawing = list(execution_with(EVENTS))
            times = []
            for _ in range(TIMES):
                console.page.reload()
                console.settled()
                times.append(float(console.page.evaluate(DRAW, drawing)))
            return size, statistics.median(times)


def report(size: int, milliseconds: float | None) -> Iterator[str]:
    yield "## The console"
    drawn = "no Chromium" if milliseconds is None else f"{milliseconds:.0f}"
    rows: list[list[object]] = [
        ["all that a browser loads, as it is sent, kB", 60, f"{size / 1024:.1f}"],
        [f"an execution with {EVENTS} events drawn, ms", 200, drawn],
    ]
    yield table(["", "at most", "found"], rows)


if __name__ == "__main__":
    show(report(*measure()))
