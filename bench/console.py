"""The console: the size of its files, and how long an execution with many events is drawn in headless Chromium."""

import gzip
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from bench.report import table
from local import ROOT
from local.stack import LocalStack
from tests.console.browser import CHROMIUM, Console, chromium
from tests.console.many_events import DRAW, execution_with

EVENTS = 400
TIMES = 5
_FILES = ROOT / "layers/redial/redial/api/console/static"


@dataclass(frozen=True)
class ConsoleFigures:
    """`bytes`: of all files, each gzipped. `milliseconds`: to draw the events, the median; None: no Chromium."""

    bytes: int
    milliseconds: float | None


def measure() -> ConsoleFigures:
    size = sum(len(gzip.compress(path.read_bytes())) for path in _FILES.iterdir())
    return ConsoleFigures(size, _drawn() if CHROMIUM else None)


def _drawn() -> float:
    with LocalStack() as stack, chromium() as browser:
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
        ["all files, gzipped, kB", 60, f"{found.bytes / 1024:.1f}"],
        [f"an execution with {EVENTS} events drawn, ms", 200, drawn],
    ]
    yield from table(["", "at most", "found"], rows)


if __name__ == "__main__":
    print("\n".join(report(measure())))
