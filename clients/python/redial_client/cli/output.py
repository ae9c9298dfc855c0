"""The output of a command: text and tables for people, or JSON for programs.

With --json, only JSON goes to stdout and texts go to stderr; without it, results go to stdout. Progress bars appear on
stderr, and only on a terminal. rich is imported when a table or a bar is shown.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Literal

WIDE = 160
"""Width of a table that is not shown on a terminal, in characters."""
Advance = Callable[[int, int, str], None]
"""Called with the amount done, the total (0: unknown), and a text next to the bar."""


class Output:
    """The output of one command."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def _stream(self) -> IO[str]:
        return sys.stderr if self.as_json else sys.stdout

    def data(self, value: Any) -> None:
        """With --json, print the result as a JSON document."""
        if self.as_json:
            print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)

    def line(self, value: Any) -> None:
        """With --json, print one of several results as JSON in one line."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), flush=True)

    def say(self, text: str) -> None:
        """Print text for people."""
        print(text, file=self._stream, flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
        """Print a table for people. Columns whose name begins with `#` are right-aligned numbers. None is a dash."""
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for number, column in enumerate(columns):
            justify: Literal["left", "right"] = "right" if column.startswith("#") else "left"
            table.add_column(column.removeprefix("#"), justify=justify, no_wrap=number == 0)  # ids are copied whole
        for row in rows:
            table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
        Console(file=self._stream, width=None if self._stream.isatty() else WIDE, highlight=False).print(table)

    @contextmanager
    def progress(self, label: str) -> Iterator[Advance]:
        """A progress bar on stderr while the block runs. Without a terminal, one line at the first progress."""
        if not sys.stderr.isatty():
            said: set[str] = set()

            def say_once(done: int, total: int, text: str) -> None:
                if not said:
                    print(f"{label} …", file=sys.stderr, flush=True)
                    said.add(label)

            yield say_once
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(label, total=None, text="")

            def advance(done: int, total: int, text: str) -> None:
                progress.update(task, completed=done, total=total or None, text=text)

            yield advance
