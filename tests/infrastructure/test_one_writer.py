"""Executions and batches are saved in one place, and a step that lost a race is repeated a limited number of times."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.template import ROOT

SOURCES = ROOT / "layers/redial/redial"
WITHOUT_DUE_TIME = {"agents", "circuits", "numbers"}
"""Stores of items with neither events nor a due time: saving them needs no lease and no `with_due`."""


def parsed(*folders: Path) -> Iterator[tuple[str, ast.Module]]:
    """The path below the repository and the syntax tree of every module in these folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def saves(tree: ast.Module) -> list[str]:
    """The last name before each `.save`, called or only mentioned: `executions` for `services.executions.save`."""
    owners = [node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "save"]
    return [ast.unparse(owner).rpartition(".")[2] for owner in owners]


def endless_loops(tree: ast.Module) -> list[str]:
    """Names of functions in which a `while` has a constant as its condition."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [
        function.name
        for function in functions
        if any(isinstance(node, ast.While) and isinstance(node.test, ast.Constant) for node in ast.walk(function))
    ]


def test_executions_and_batches_are_saved_by_the_one_writer() -> None:
    modules = parsed(SOURCES / "usecases", SOURCES / "api", SOURCES / "runtime", ROOT / "functions")
    found = {path: [one for one in saves(tree) if one not in WITHOUT_DUE_TIME] for path, tree in modules}
    assert {path: owners for path, owners in found.items() if owners} == {
        "layers/redial/redial/usecases/update.py": ["store"]
    }


def test_a_save_is_found_however_it_is_written() -> None:
    tree = ast.parse("self.store.save(x)\nservices.executions.save(x)\nwrite = services.batches.save\nsave(store, x)")
    assert sorted(saves(tree)) == ["batches", "executions", "store"]


def test_no_use_case_repeats_a_step_without_a_limit() -> None:
    """Except the batch worker: each round does one kind of work, and its list of contacts ends with the file."""
    found = {path: endless_loops(tree) for path, tree in parsed(SOURCES / "usecases")}
    assert {path: names for path, names in found.items() if names} == {
        "layers/redial/redial/usecases/run_batch.py": ["run", "_contacts"]
    }
