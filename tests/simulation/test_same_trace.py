"""The same seed produces the same trace: in another process, with another hash seed, on another Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local import ROOT
from tests.simulation.campaign import run_long, run_seed

SEED = 7
LONG_SEED = 3
_SAY = f"from tests.simulation.campaign import run_seed; print(run_seed({SEED}).digest)"
OTHERS = sorted(
    str(python) for python in ROOT.glob(".venv*/bin/python") if python.parent.parent.name in (".venv", ".venv-3.11")
)


@pytest.fixture(scope="module")
def digest() -> str:
    return run_seed(SEED).digest


def _digest_by(python: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/redial'}", "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([python, "-c", _SAY], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_repeated_in_this_process(digest: str) -> None:
    assert run_seed(SEED).digest == digest
    assert run_seed(SEED + 1).digest != digest


@pytest.mark.simulation
def test_of_a_long_world() -> None:
    first = run_long(LONG_SEED)
    assert run_long(LONG_SEED).digest == first.digest
    assert first.calls > 0


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_with_another_hash_seed(digest: str, hash_seed: str) -> None:
    assert _digest_by(sys.executable, hash_seed) == digest


@pytest.mark.parametrize("python", OTHERS, ids=lambda python: Path(python).parent.parent.name)
def test_on_each_installed_python(digest: str, python: str) -> None:
    if not (Path(python).parent.parent / "ready").exists():
        pytest.skip("its packages are not installed")
    assert _digest_by(python, "1") == digest
