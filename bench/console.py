"""The console: the size of all that a browser loads, and how long an execution with many events is drawn in headless
Chromium."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.report import table
from local.stack import LocalStack
from tests.console.browser import CHROMIUM, Console, chromium
from tests.console.many_events import DRAW, execution_with
from tests.console.served import served

EVENTS = 400
TIMES = 5


@dataclass(frozen=True)
class ConsoleFigures:
    """`bytes`: of the page and all its files, as they are sent. `milliseconds`: to draw the events, the median; None:
    no Chromium."""

    bytes: int
    milliseconds: float | None


def measure() -> ConsoleFigures:
    with LocalStack() as stack:
        size = sum(len(answer.body) for answer in served(stack.url).values())
        return ConsoleFigures(size, _drawn(stack) if CHROMIUM else None)


def _drawn(stack: LocalStack) -> float:
    with chromium() as browser:
        console = Console(browser, stack.url).sign_in(stack.api_key)
        drawing = list(execution_with(EVENTS))
        times = []
        for _ in range(TIMES):
            console.page.reload()
            console.settled()
            times.append(float(console.page.evaluate(DRAW, drawing)))
        return statistics.median(times)


def report(found: ConsoleFigures) -> Iterator[str]:
    yield "## The console"
    yield ""
    drawn = "no Chromium" if found.milliseconds is None else f"{found.milliseconds:.0f}"
    rows: list[list[object]] = [
        ["all that a browser loads, as it is sent, kB", 60, f"{found.bytes / 1024:.1f}"],
        [f"an execution with {EVENTS} events drawn, ms", 200, drawn],
    ]
    yield from table(["", "at most", "found"], rows)


if __name__ == "__main__":
    print("\n".join(report(measure())))
