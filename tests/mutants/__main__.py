"""`make mutants`: run the test of each mutant, in copies of this tree, and report the surviving mutants.

A mutant survives if its test passes. The tests first run on the unchanged code, and must all pass there. Each run is a
fork of this process, which has already loaded boto3 and moto: nearly all tests need them, and they are slow to load.
"""

import argparse
import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from tests.mutants.document import write_table
from tests.mutants.mutants import MUTANTS, Mutant
from tests.support.template import ROOT

AT_ONCE = 2
"""Mutants run in parallel, each in its own copy."""
LONGEST_SECONDS = 600
"""A test that takes longer counts as not having detected its mutant."""
_OURS = ("redial", "functions", "local", "bench", "tests")
_FAILED = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """The result of a mutant. `trouble`: why the result is unknown (the test did not complete)."""

    mutant: Mutant
    detected: bool
    seconds: float
    trouble: str | None = None

    @property
    def word(self) -> str:
        return "BROKEN" if self.trouble else "detected" if self.detected else "SURVIVES"


def copy_tree(folder: Path) -> None:
    """Copy this working tree without files ignored by git."""
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


def load() -> None:
    """Make boto3 and moto load all that they load at first use."""
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        client.list_tables()


def begin(folder: Path, selection: Sequence[str]) -> int:
    """Run pytest on these tests of the copy, in a fork; return the process id. The output goes to `output(folder)`."""
    process = os.fork()
    if process:
        return process
    try:
        signal.alarm(LONGEST_SECONDS)
        printed = os.open(_printed(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.chdir(folder)
        os.environ.pop("PYTHONPATH", None)
        sys.path[:] = [path for path in sys.path if Path(path).resolve() not in (ROOT, ROOT / "layers/redial")]
        for name in [name for name in sys.modules if name.partition(".")[0] in _OURS]:
            del sys.modules[name]
        importlib.invalidate_caches()
        status = int(pytest.main(["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *selection]))
        sys.stdout.flush()
        os._exit(status)
    finally:
        os._exit(100)


def _printed(folder: Path) -> Path:
    return folder.with_suffix(".log")


def output(folder: Path) -> str:
    return _printed(folder).read_text(encoding="utf-8", errors="replace")


def write(path: Path, text: str) -> None:
    """Write a module, and delete its cached bytecode, which two changes within a second would leave in use."""
    path.write_text(text, encoding="utf-8")
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def result_of(mutant: Mutant, status: int, printed: str, seconds: float) -> Result:
    """Interpret a test run. `status`: pytest's exit status, or below 0 for the signal that ended it."""
    if status == 1 and _FAILED.search(printed):
        return Result(mutant, True, seconds)
    if status == 0:
        return Result(mutant, False, seconds)
    return Result(mutant, False, seconds, f"pytest ended with {status}\n{printed[-3000:]}")


def run_all(mutants: Sequence[Mutant], folder: Path) -> list[Result]:
    """Run the mutants, each in one of the copies, and show the progress."""
    copies = [folder / str(number) for number in range(min(AT_ONCE, len(mutants)))]
    copy_tree(copies[0])
    selection = sorted({mutant.detected_by for mutant in mutants})
    print(f"without a mutant: {len(selection)} tests …", flush=True)
    load()
    process = begin(copies[0], selection)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
        sys.exit(f"{output(copies[0])}\nthese tests must pass without a mutant")
    for other in copies[1:]:
        shutil.copytree(copies[0], other)

    results: list[Result] = []
    waiting = list(reversed(mutants))
    running: dict[int, tuple[Mutant, Path, str, float]] = {}
    while waiting or running:
        while waiting and copies:
            mutant, copy = waiting.pop(), copies.pop()
            original = (copy / mutant.path).read_text(encoding="utf-8")
            write(copy / mutant.path, mutant.applied_to(original))
            running[begin(copy, [mutant.detected_by])] = mutant, copy, original, time.monotonic()
        process, ended = os.wait()
        mutant, copy, original, began = running.pop(process)
        write(copy / mutant.path, original)
        copies.append(copy)
        result = result_of(mutant, os.waitstatus_to_exitcode(ended), output(copy), time.monotonic() - began)
        results.append(result)
        place = f"[{len(results):{len(str(len(mutants)))}}/{len(mutants)}]"
        print(f"{place} {result.word:8} {result.seconds:5.1f} s  {mutant.name}", flush=True)
    return sorted(results, key=lambda result: mutants.index(result.mutant))


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
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        results = run_all(mutants, Path(folder))
    width = max(len(result.mutant.name) for result in results)
    print(f"\n{'mutant':{width}}  seconds  detected by")
    for result in results:
        by = result.mutant.detected_by if result.detected else result.word
        print(f"{result.mutant.name:{width}}  {result.seconds:7.1f}  {by}")
    for result in results:
        if result.trouble:
            print(f"\n{result.mutant.name}: its test did not complete\n{result.trouble}")
    survivors = [result for result in results if not result.detected]
    print(f"\n{len(results) - len(survivors)} of {len(results)} mutants are detected")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
