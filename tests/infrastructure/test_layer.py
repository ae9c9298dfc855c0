"""The layer's build: shipped modules have bytecode."""

import importlib.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path

from tests.support.template import ROOT

LAYER = ROOT / "layers" / "redial"
UNCHECKED_HASH = 1
"""The flags of a compiled module that Python never compares with its source (PEP 552)."""


def test_every_module_is_shipped_with_bytecode(tmp_path: Path) -> None:
    package = tmp_path / "python" / "redial"
    shutil.copytree(LAYER / "redial", package, ignore=shutil.ignore_patterns("__pycache__"))
    version = "{}.{}".format(*sys.version_info)
    command = ["make", "-C", str(LAYER), "bytecode", f"PYTHON={sys.executable}", f"ARTIFACTS_DIR={tmp_path}"]
    subprocess.run([*command, f"LAYER_PYTHON={version}"], check=True, capture_output=True, timeout=60)
    modules = sorted(package.rglob("*.py"))
    assert len(modules) > 50
    for module in modules:
        compiled = Path(importlib.util.cache_from_source(str(module))).read_bytes()
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert struct.unpack("<I", compiled[4:8]) == (UNCHECKED_HASH,)
        assert str(tmp_path).encode() not in compiled, "a traceback names the module's place in Lambda"


def test_the_build_ends_with_the_bytecode() -> None:
    commands = (LAYER / "Makefile").read_text().partition("\nbuild-RedialLayer:\n")[2].partition("\n\n")[0].splitlines()
    assert commands[-1].split()[-1] == "bytecode"
