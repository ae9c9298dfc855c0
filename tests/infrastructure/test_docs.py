"""The documentation agrees with commands, settings and tests."""

import re
import tomllib
from pathlib import Path

import pytest

from redial import __version__
from tests.support.sample_events import SampleEvent, sample_events
from tests.support.template import ROOT, functions, template

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")})
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _readme() -> str:
    return (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(template()["Parameters"]))
def test_the_settings_list_every_parameter_with_its_default(name: str) -> None:
    (row,) = re.findall(rf"^\| *`{name}` *\|.*$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    default = template()["Parameters"][name]["Default"]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1].strip("`") == str(default) or (default == "" and cells[1] in ("", "empty"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_documented_make_target_exists(page: Path) -> None:
    commands = re.findall(r"(?:^|`|&& |\n\$ ?)(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)", page.read_text())
    assert set(commands) <= TARGETS


def test_the_readme_says_how_to_run_and_to_test() -> None:
    assert {"make run", "make demo", "make test", "make deploy-check"} <= set(re.findall(r"make [a-z-]+", _readme()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_works(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("event", sample_events(), ids=str)
def test_the_page_on_sam_local_lists_every_sample_event(event: SampleEvent) -> None:
    page = (ROOT / "docs/sam-local.md").read_text()
    function = functions()[event.function]["LogicalId"]
    assert f"| `{function} --event events/{event}.json` |" in page


def test_every_promise_names_existing_tests() -> None:
    page = (ROOT / "docs/guarantees.md").read_text()
    files = set(re.findall(r"`(tests/[a-z_/]+\.py)`", page))
    assert len(files) > 15 and [file for file in files if not (ROOT / file).exists()] == []
    invariants = set(
        re.findall(r"^def ([a-z]\w+)\(", (ROOT / "tests/simulation/invariants.py").read_text(), re.MULTILINE)
    )
    table = page.partition("## The promises")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+){2,})`", table)) == invariants, "each invariant is a promise, and named"


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    assert f"version {__version__}" in _readme()
