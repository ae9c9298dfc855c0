"""No carrier is named outside its own folder: a carrier consists of its folder, its name in CARRIERS, and a secret."""

import re

import pytest

from redial.carriers import CARRIERS
from redial.domain.agent import DEFAULT_PROVIDER
from tests.support.template import ROOT

CODE = sorted([*ROOT.glob("layers/redial/redial/**/*.py"), *ROOT.glob("functions/**/*.py")])
OUTSIDE = [path for path in CODE if path.parent.parent.name != "carriers"]
TEMPLATES = [ROOT / "template.yaml", ROOT / "samconfig.toml"]
PARTS = ("__init__.py", "callbacks.py", "codes.py", "credentials.py", "rest.py")


def test_a_carriers_folder_has_its_five_parts() -> None:
    folders = {path.parent.name for path in CODE if path.parent.parent.name == "carriers"}
    assert folders == set(CARRIERS)
    for name in CARRIERS:
        folder = ROOT / "layers/redial/redial/carriers" / name
        assert set(PARTS) <= {path.name for path in folder.glob("*.py")}


@pytest.mark.parametrize("name", [name for name in CARRIERS if name != "http"])  # which is also a protocol
def test_its_name_is_nowhere_else(name: str) -> None:
    named = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (*OUTSIDE, *TEMPLATES)
        for line in path.read_text().splitlines()
        if re.search(name, line, re.IGNORECASE)
    }
    expected = {'layers/redial/redial/carriers/__init__.py: CARRIERS = ("twilio", "http")'}
    if name == DEFAULT_PROVIDER:
        expected.add(f'layers/redial/redial/domain/agent.py: DEFAULT_PROVIDER = "{name}"')
    assert named == expected
