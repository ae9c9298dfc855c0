"""The layer is the same wherever it is built. Part of `make deploy-check`, since building it needs network access."""

import platform
import venv
from pathlib import Path

import pytest

from infrastructure import dist
from tests.support.ministack import python_version

pytestmark = pytest.mark.e2e


def test_a_layer_that_another_environment_built_has_the_same_bytes(made: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "environment", with_pip=True)
    dist.build_layer(
        tmp_path / "layer",
        PYTHON=str(tmp_path / "environment/bin/python"),
        LAYER_PYTHON=python_version(),
        LAYER_PROCESSOR=platform.machine().replace("arm64", "aarch64"),
    )
    dist.zip_folder(tmp_path / "layer", tmp_path / "layer.zip")
    (released,) = made.glob("layer-*.zip")
    assert (tmp_path / "layer.zip").read_bytes() == released.read_bytes()
