"""The same seed produces the same trace: in another process, with another hash seed, on another Python."""

import os
import subprocess
import sys

import pytest

from local import ROOT
from tests.simulation.campaign import run_long, run_seed

SEED = 6
LONG_SEED = 3
_SAY = f"from tests.simulation.campaign import run_seed; print(run_seed({SEED}).digest)"
OTHER = ROOT / ".venv-3.11/bin/python"


@pytest.fixture(scope="module")
def digest() -> str:
    return run_seed(SEED).digest


def _digest_by(python: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/redial'}", "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([python, "-c", _SAY], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_repeated_in_this_process(digest: str) -> None:
    assert run_seed(SEED).digest == digest


@pytest.mark.nightly
def test_of_a_long_world() -> None:
    first = run_long(LONG_SEED)
    assert run_long(LONG_SEED).digest == first.digest
    assert first.calls > 0


def test_in_another_process(digest: str) -> None:
    """With another hash seed and, if its packages are installed, on Python 3.11."""
    python = str(OTHER) if (OTHER.parent.parent / "ready").exists() else sys.executable
    assert _digest_by(python, "4711") == digest


@pytest.mark.nightly
@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_with_another_hash_seed(digest: str, hash_seed: str) -> None:
    assert _digest_by(sys.executable, hash_seed) == digest
