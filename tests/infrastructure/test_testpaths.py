"""Every folder of tests is run by `make test` or by its own command."""

import tomllib

from tests.support.template import ROOT

ELSEWHERE = {"e2e"}
"""Run by `make deploy-check` and `make sam-local-check`."""


def test_every_folder_of_tests_is_run() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    run = {path.removeprefix("tests/") for path in settings.get("ini_options", settings)["testpaths"]}
    assert run | ELSEWHERE == {path.parent.name for path in ROOT.glob("tests/*/test_*.py")}
