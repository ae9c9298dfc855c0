"""The repository's English: vague words and private metaphors are banned in code, tests, templates and pages.

The standard terms are in docs/glossary.md.
"""

import re
import subprocess
from functools import cache

import pytest

from tests.support.template import ROOT

BANNED = {
    r"somebody|someone|nobody|no one|anybody|anyone|everybody|everyone": "name the process or the role",
    r"whoever|whomever|whosoever": "name the process or the role",
    r"no matter (if|whether)": "say what happens, or: idempotent",
    r"(is|are|was|were|be|been) told( of)?": "is notified, is reported, is recorded",
    r"what is told": "the report",
    r"(that|which|what|who) (is|are) none": "invalid, unknown, missing",
    r"(stand|stands|stood) in (for|its|the|an?|their|for it)": "replaces, is in",
    r"(stand|stands|stood|standing) where": "by status",
    r"as (it|they) (stand|stands|stood)": "current, unchanged",
    r"look(s|ed|ing)? again": "check again, re-read",
    r"look(s|ed|ing)? after": "check, monitor, repair",
    r"ma(de|ke|kes|king) good": "repair",
    r"put(s|ting)? (it |them )?right|set(s|ting)? (it |them )?right": "repair, correct",
    r"put(s|ting)? off": "defer",
    r"let(s|ting)? through": "admit, accept",
    r"carr(y|ies|ied|ying) on": "continue, run",
    r"hand(s|ed|ing)? on": "hand over, pass on",
    r"(its|the|a|batch's|batchs|delayed) room": "delayed set",
    r"in room": "delayed set",
    r"com(e|es|ing) to nothing|came to nothing": "fail",
    r"the odd one": "a single one",
    r"taken apart": "parsed",
}
"""Patterns, in lower case and without their word boundaries, and what to write instead. A space also matches `_`."""

EXEMPT = {
    "layers/redial/redial/wire/packed_execution.py": "its dictionary quotes what a customer reads of a call",
    "tests/infrastructure/test_words.py": "the list itself",
    "layers/redial/redial/carriers/twilio/codes.py": "`nobody answered` is what a customer reads of a call",
}
"""Files that quote banned words, and why."""

_PATTERNS = {
    re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])".replace(" ", r"[\s_]+")): advice
    for pattern, advice in BANNED.items()
}


def offenders(text: str) -> list[tuple[int, str, str]]:
    """Line number, banned words, and advice; also across a line break of a comment or paragraph."""
    lowered = re.sub(r"\n[ ]*(?:#[ ]?)?", lambda found: "\n" + " " * (len(found[0]) - 1), text.lower())
    return sorted(
        (lowered.count("\n", 0, found.start()) + 1, " ".join(found[0].split()), advice)
        for pattern, advice in _PATTERNS.items()
        for found in pattern.finditer(lowered)
    )


@cache
def _found() -> dict[str, tuple[str, ...]]:
    """Offenders by file: `line: "words" (advice)`."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.yaml", "*.yml"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    found = {}
    for path in listed.stdout.split():
        if path in EXEMPT or not (ROOT / path).exists():
            continue
        lines = offenders((ROOT / path).read_text(encoding="utf-8"))
        if lines:
            found[path] = tuple(f'{path}:{line}: "{words}" ({advice})' for line, words, advice in lines)
    return found


def test_no_file_has_banned_words() -> None:
    offending = [line for lines in _found().values() for line in lines]
    assert not offending, "write plain English:\n" + "\n".join(offending)


@pytest.mark.parametrize("path", EXEMPT)
def test_an_exempt_file_needs_to_be(path: str) -> None:
    assert offenders((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("One line.\nNobody waits.", 2),
        ("def test_nobody_waits() -> None: ...", 1),
        ("# An attempt is\n# told of it.", 1),
        ("The line stands in\nits queue.", 1),
        ("Two\n\nthat is none", 3),
    ],
)
def test_banned_words_are_found_with_their_line(text: str, line: int) -> None:
    assert [found[0] for found in offenders(text)] == [line]


@pytest.mark.parametrize("text", ["a busybody", "understands in time", "bedroom", "a look-again", "told"])
def test_similar_words_are_accepted(text: str) -> None:
    assert offenders(text) == []
