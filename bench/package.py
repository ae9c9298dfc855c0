"""Sizes of the deployed packages: the layer, built as `sam build` builds it, and each function's folder, zipped."""

import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infrastructure.dist import build_layer
from local import ROOT

MB = 10**6
FUNCTIONS = ROOT / "functions"


@dataclass(frozen=True)
class Package:
    """Bytes of a deployed folder. `parts`: zipped bytes of its files and folders, largest first."""

    name: str
    zipped: int
    unzipped: int
    parts: tuple[tuple[str, int], ...]


@contextmanager
def built_layer(**settings: str) -> Iterator[Path]:
    """The layer as it is deployed, in a temporary folder. `settings` are variables of its Makefile.

    Raises `RuntimeError` if it cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        build_layer(Path(folder) / "layer", **settings)
        yield Path(folder) / "layer"


def measure() -> list[Package]:
    """The layer and each function. Raises `RuntimeError` if the layer cannot be built."""
    with built_layer() as built:
        layer = _package("layer", built, depth=2)
    folders = sorted(path.parent for path in FUNCTIONS.glob("*/handler.py"))
    return [layer, *(_package(path.name, path, depth=1) for path in folders)]


def _package(name: str, folder: Path, depth: int) -> Package:
    """`depth`: how many levels of folders the parts have."""
    parts: Counter[str] = Counter()
    unzipped = 0
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and (depth > 1 or "__pycache__" not in path.parts):
                    inside = path.relative_to(folder)
                    archive.write(path, inside)
                    unzipped += path.stat().st_size
                    parts["/".join(inside.parts[:depth])] += archive.infolist()[-1].compress_size
        zipped = file.tell()
    return Package(name, zipped, unzipped, tuple(parts.most_common()))
