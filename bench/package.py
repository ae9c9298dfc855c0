"""Sizes of the deployed files: the layer, built as by `sam build`, and each function, zipped as for a release."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from bench.report import say, table
from infrastructure.dist import build_layer, zip_folder
from local import ROOT


@dataclass(frozen=True)
class Package:
    """Bytes of a deployed folder."""

    name: str
    zipped: int
    unzipped: int


@contextmanager
def built_layer(**settings: str) -> Iterator[Path]:
    """The layer as deployed, in a temporary folder. `settings`: variables of its Makefile.

    Raises `RuntimeError` if it cannot be built.
    """
    with tempfile.TemporaryDirectory() as folder:
        build_layer(Path(folder) / "layer", **settings)
        yield Path(folder) / "layer"


def measure() -> list[Package]:
    """The layer and each function. Raises `RuntimeError` if the layer cannot be built."""
    say("building the layer")
    found = []
    with built_layer() as layer:
        file = layer.with_suffix(".zip")
        for folder in (layer, *sorted(path.parent for path in ROOT.glob("functions/*/handler.py"))):
            zip_folder(folder, file)
            with ZipFile(file) as archive:
                found.append(Package(folder.name, file.stat().st_size, sum(one.file_size for one in archive.filelist)))
    return found


def report(packages: Sequence[Package]) -> Iterator[str]:
    yield "## What is deployed"
    yield table(
        ["", "zipped, kB", "unzipped, kB"],
        [[one.name, f"{one.zipped / 1000:,.0f}", f"{one.unzipped / 1000:,.0f}"] for one in packages],
    )
