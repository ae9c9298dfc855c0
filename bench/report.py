"""Markdown for standard output and for documents, and progress on standard error."""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

LINE_WIDTH = 119


def say(line: str) -> None:
    """Report progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table and an empty line. Columns of numbers are aligned right; 0 is shown as a dot."""
    texts = [list(head), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in texts)) for column in range(len(head))]
    right = [all(_is_number(row[column]) for row in texts[1:]) for column in range(len(head))]
    rules = [
        "-" * (width - 1) + ":" if to_right else "-" * width for width, to_right in zip(widths, right, strict=True)
    ]
    for row in (texts[0], rules, *texts[1:]):
        cells = zip(row, widths, right, strict=True)
        aligned = (text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in cells)
        yield f"| {' | '.join(aligned)} |"
    yield ""


def paragraph(*text: str) -> list[str]:
    """Wrapped text and an empty line."""
    return [*textwrap.wrap(" ".join(text), LINE_WIDTH), ""]


def bullets(*items: str) -> Iterator[str]:
    """A wrapped list and an empty line."""
    for item in items:
        yield from textwrap.wrap(f"- {item}", LINE_WIDTH, subsequent_indent="  ")
    yield ""


def put(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace the lines between `<!-- name -->` and `<!-- /name -->`. Raises `ValueError` without these marks."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no {begin} … {end}")
    content = "\n".join(lines).strip()
    document.write_text(f"{before}{begin}\n\n{content}\n\n{end}{after}")


def _cell(cell: object) -> str:
    return "·" if cell == 0 else f"{cell:g}" if isinstance(cell, float) else str(cell)


def _is_number(text: str) -> bool:
    return text in ("·", "–", "") or text.strip("*").replace(",", "").replace(".", "", 1).isdigit()
