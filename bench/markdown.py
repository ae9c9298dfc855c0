"""Tables and paragraphs in Markdown, and where they stand in a document."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

LINE_WIDTH = 119


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; columns of numbers are aligned right, and 0 is a dot."""
    texts = [list(head), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(3, *(len(row[column]) for row in texts)) for column in range(len(head))]
    right = [all(_is_number(row[column]) for row in texts[1:]) for column in range(len(head))]
    for number, row in enumerate(texts):
        cells = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            rules = (
                "-" * (width - 1) + ":" if to_right else "-" * width
                for width, to_right in zip(widths, right, strict=True)
            )
            yield f"| {' | '.join(rules)} |"


def paragraph(*text: str, indent: str = "") -> list[str]:
    """Text in lines of a usual length; `indent` is for all but the first."""
    return textwrap.wrap(" ".join(text), LINE_WIDTH, subsequent_indent=indent)


def put(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace what stands in a document between `<!-- name -->` and `<!-- /name -->`."""
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
    return text in ("·", "–") or text.strip("*").replace(",", "").replace(".", "", 1).isdigit()
