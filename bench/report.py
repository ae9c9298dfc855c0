"""Blocks of Markdown for standard output and for documents, and progress on standard error."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

LINE_WIDTH = 119


def say(line: str) -> None:
    """Report progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def show(blocks: Iterable[str]) -> None:
    """Print blocks, each followed by an empty line."""
    for block in blocks:
        print(block, end="\n\n", flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table. Columns of numbers are aligned right; 0 is shown as a dot."""
    texts = [list(head), *([_cell(cell) for cell in row] for row in rows)]
    columns = list(zip(*texts, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    right = [all(map(_is_number, column[1:])) for column in columns]
    rules = ["-" * (width - 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)]
    lines = []
    for row in (texts[0], rules, *texts[1:]):
        cells = zip(row, widths, right, strict=True)
        aligned = (text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in cells)
        lines.append(f"| {' | '.join(aligned)} |")
    return "\n".join(lines)


def paragraph(text: str) -> str:
    """Wrapped text."""
    return textwrap.fill(text, LINE_WIDTH)


def put(document: Path, name: str, blocks: Iterable[str]) -> None:
    """Replace the text between `<!-- name -->` and `<!-- /name -->`. Raises `ValueError` if a mark is missing."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{document} has no {begin} … {end}")
    content = "\n\n".join(blocks)
    document.write_text(f"{before}{begin}\n\n{content}\n\n{end}{after}")


def _cell(cell: object) -> str:
    return "·" if cell == 0 else f"{cell:g}" if isinstance(cell, float) else str(cell)


def _is_number(text: str) -> bool:
    return text in ("·", "–", "") or text.strip("*").replace(",", "").replace(".", "", 1).isdigit()
