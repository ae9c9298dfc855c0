"""`make mutants`: run the test of each mutant, in copies of this tree, and say which mutants survive.

A mutant survives where its test passes. The tests are first run on the code as it is, and must all pass there.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.document import write_table
from tests.mutants.mutants import MUTANTS, Mutant
from tests.support.template import ROOT

AT_ONCE = 2
"""Mutants that are run at the same time, each in a copy of its own."""
LONGEST_SECONDS = 300
"""A test that takes longer has noticed nothing."""
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What became of a mutant. `trouble`: why nothing is known of it (pytest did not run its test)."""

    mutant: Mutant
    noticed: bool
    seconds: float
    trouble: str | None = None

    @property
    def word(self) -> str:
        return "BROKEN" if self.trouble else "noticed" if self.noticed else "SURVIVES"


def copy_tree(folder: Path) -> None:
    """Copy what is in this working tree and not ignored by git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        source = ROOT / name
        if name and source.is_file() and not source.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def run_tests(folder: Path, selection: Sequence[str]) -> tuple[int, str]:
    """pytest's exit status, and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *selection]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_SECONDS,
    )
    return done.returncode, done.stdout


def _write(path: Path, text: str) -> None:
    """A module and its cached bytecode, which two changes within a second would leave in use."""
    path.write_text(text, encoding="utf-8")
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def run_mutant(folder: Path, mutant: Mutant) -> Result:
    """Change that line in the copy, run the test, and change it back."""
    path = folder / mutant.path
    original = path.read_text(encoding="utf-8")
    began = time.monotonic()
    _write(path, mutant.applied_to(original))
    try:
        status, output = run_tests(folder, [mutant.noticed_by])
    except subprocess.TimeoutExpired:
        return Result(mutant, False, time.monotonic() - began, f"no result after {LONGEST_SECONDS} seconds")
    finally:
        _write(path, original)
    seconds = time.monotonic() - began
    failed = _FAILED.findall(output)
    if status == 1 and failed:
        return Result(mutant, True, seconds)
    return Result(mutant, False, seconds, None if status == 0 else output[-3000:])


def run_all(mutants: Sequence[Mutant]) -> list[Result]:
    """Run them, each in one of the copies, and show how far that has got."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(min(AT_ONCE, len(mutants))):
            copies.put(Path(temporary, str(number)))
        first = copies.get()
        copy_tree(first)
        selection = sorted({mutant.noticed_by for mutant in mutants})
        print(f"the {len(selection)} tests without a mutant …", flush=True)
        status, output = run_tests(first, selection)
        if status != 0:
            sys.exit(f"{output}\nthese tests must pass without a mutant")
        if not copies.empty():
            second = copies.get()
            shutil.copytree(first, second)
            copies.put(second)
        copies.put(first)

        done: list[Result] = []

        def run(mutant: Mutant) -> Result:
            folder = copies.get()
            try:
                result = run_mutant(folder, mutant)
            finally:
                copies.put(folder)
            done.append(result)
            place = f"[{len(done):{len(str(len(mutants)))}}/{len(mutants)}]"
            print(f"{place} {result.word:8} {result.seconds:5.1f} s  {mutant.name}", flush=True)
            return result

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(run, mutants))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make mutants ARGS=…", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="only mutants with this in their name")
    parser.add_argument("--docs", action="store_true", help="run nothing; write the table into docs/guarantees.md")
    options = parser.parse_args(arguments)
    if options.docs:
        write_table()
        return 0
    mutants = [one for one in MUTANTS if options.only is None or options.only.lower() in one.name.lower()]
    if not mutants:
        parser.error(f"no mutant has {options.only!r} in its name")
    results = run_all(mutants)
    width = max(len(result.mutant.name) for result in results)
    print(f"\n{'mutant':{width}}  seconds  noticed by")
    for result in results:
        by = result.mutant.noticed_by if result.noticed else result.word
        print(f"{result.mutant.name:{width}}  {result.seconds:7.1f}  {by}")
    for result in results:
        if result.trouble:
            print(f"\n{result.mutant.name}: its test did not run to its end\n{result.trouble}")
    unnoticed = [result for result in results if not result.noticed]
    print(f"\n{len(results) - len(unnoticed)} of {len(results)} mutants are noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
