"""The list of mutants matches the code and its tests, and the page shows it. `make mutants` runs them."""

import ast
from collections import Counter
from functools import cache

import pytest

from tests.mutants.document import PAGE, with_table
from tests.mutants.mutants import EQUIVALENT, MUTANTS, Mutant
from tests.support.template import ROOT

by_name = pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@by_name
def test_it_applies_and_compiles(mutant: Mutant) -> None:
    original = (ROOT / mutant.path).read_text(encoding="utf-8")
    changed = ast.dump(compile(mutant.applied_to(original), mutant.file, "exec", ast.PyCF_ONLY_AST))
    assert changed != ast.dump(ast.parse(original)), "it changes more than words"


@by_name
def test_its_test_exists(mutant: Mutant) -> None:
    file, _, name = mutant.detected_by.partition("::")
    assert name in names_in(file)


def test_names_are_unique() -> None:
    names = Counter([*(one.name for one in MUTANTS), *(one.name for one in EQUIVALENT)])
    assert [name for name, times in names.items() if times > 1] == []
    assert [
        one.name for one in EQUIVALENT if not one.reason or not (ROOT / "layers/redial/redial" / one.file).exists()
    ] == []


def test_text_that_does_not_occur_exactly_once_is_refused() -> None:
    mutant = Mutant("a mutant", "x.py", "old", "new", "")
    assert mutant.applied_to("one old line") == "one new line"
    for text in ("no such line", "old and old"):
        with pytest.raises(ValueError, match="must occur once"):
            mutant.applied_to(text)


def test_the_page_shows_the_list() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "make mutants ARGS=--docs updates it"
