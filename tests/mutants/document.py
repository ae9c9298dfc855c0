"""The table of mutants in docs/guarantees.md, between its markers."""

import re

from tests.mutants.mutants import EQUIVALENT, MUTANTS
from tests.support.template import ROOT

PAGE = ROOT / "docs/guarantees.md"
_BLOCK = re.compile(r"(?<=<!-- mutants -->\n).*?(?=<!-- /mutants -->)", re.DOTALL)


def table() -> str:
    """All mutants, each with the test that detects it."""
    lines = ["", "| Mutant | In | Detected by |", "|---|---|---|"]
    for mutant in MUTANTS:
        file, _, test = mutant.detected_by.removeprefix("tests/").partition("::")
        lines.append(f"| {mutant.name} | `{mutant.file}` | `{test.partition('[')[0]}` in `{file}` |")
    lines += ["", f"{len(MUTANTS)} mutants. Changes that violate no promise, and why:", ""]
    lines += [f"- {one.name} (`{one.file}`): {one.reason}" for one in EQUIVALENT]
    return "\n".join([*lines, "", ""])


def with_table(page: str) -> str:
    """The page with the current table. Raises `ValueError` unless the page has one pair of markers."""
    if len(_BLOCK.findall(page)) != 1:
        raise ValueError(f"{PAGE.name} must have one pair of markers for the mutants")
    return _BLOCK.sub(lambda _: table(), page)


def write_table() -> None:
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
