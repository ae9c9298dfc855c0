"""Commands, settings and links in the documentation exist."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from infrastructure import docs_site
from redial import __version__
from redial.api import app, service  # noqa: F401  the document is of the routes that are loaded
from redial.runtime import keys
from tests.support.sample_events import sample_events
from tests.support.template import ROOT, functions, template

PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")})
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def _readme() -> str:
    return (ROOT / "README.md").read_text()


def test_the_settings_list_every_parameter_with_its_default() -> None:
    rows = re.findall(r"^\| *`(\w+)` *\| *(.*?) *\|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    parameters = template()["Parameters"]
    listed = [(name, "" if cell == "empty" else cell.strip("`")) for name, cell in rows if name in parameters]
    assert sorted(listed) == sorted((name, str(one["Default"])) for name, one in parameters.items())


def test_the_site_has_each_page_as_plain_markdown(tmp_path: Path) -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert site["hooks"] == ["infrastructure/docs_site.py"]
    docs_site.on_post_build({**site, "docs_dir": str(ROOT / "docs"), "site_dir": str(tmp_path)})
    pages = {page.relative_to(ROOT / "docs") for page in ROOT.glob("docs/**/*.md")}
    assert {page.relative_to(tmp_path) for page in tmp_path.rglob("*.md")} == pages
    assert (tmp_path / "api.md").read_bytes() == (ROOT / "docs/api.md").read_bytes()
    listed = (tmp_path / "llms.txt").read_text()
    assert listed.startswith("# Redial\n\n> Outbound phone calls with automatic retry\n\n- [")
    assert "- [The HTTP API](api.md)\n" in listed
    assert {Path(link) for link in re.findall(r"\]\(([^)]+)\)", listed)} == pages


def test_every_make_target_in_the_documentation_exists() -> None:
    command = re.compile(r"(?:^|`|&& |\n\$ ?)(?:[A-Z_]+=\S+ )*make ([a-z][a-z-]*)")
    named = {(page.name, target) for page in PAGES for target in command.findall(page.read_text())}
    assert len(named) > 20
    assert {(page, target) for page, target in named if target not in TARGETS} == set()


def test_the_readme_names_the_commands_to_run_and_to_test() -> None:
    assert {"make run", "make demo", "make test", "make deploy-check"} <= set(re.findall(r"make [a-z-]+", _readme()))


def test_every_link_to_a_file_leads_to_a_file() -> None:
    link = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
    links = {(page, to) for page in PAGES for to in link.findall(page.read_text())}
    assert len(links) > 50
    assert {(str(page), to) for page, to in links if not (page.parent / to).exists()} == set()


def test_the_page_on_sam_local_has_the_answer_to_every_sample_event() -> None:
    page = (ROOT / "docs/sam-local.md").read_text()
    commands = [f"{functions()[event.function]['LogicalId']} --event events/{event}.json" for event in sample_events()]
    assert [command for command in commands if f"| `{command}` |" not in page] == []


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
    assert set(re.findall(r"VERSION=(\S+)|redial/([0-9.]+)/", (ROOT / "docs/install.md").read_text())) == {
        (__version__, ""),
        ("", __version__),
    }


# ---- what a page calls absent is absent -----------------------------------------------------------------------------

_ABSENT = re.compile(
    r"(?:there is no|has no|have no|lacks|without an?|not yet have|missing:?|does not (?:know|have|offer))"
    r"\s+(?:an?\s+|any\s+)?(?:route\s+|target\s+|command\s+|parameter\s+)?`([^`]+)`",
    re.IGNORECASE,
)
_LATER = re.compile(
    r"`([^`]+)` (?:does not exist|is not there|is not built|is missing|comes later|is not (?:yet )?supported)"
)


def stale(text: str) -> list[str]:
    """The routes, make targets, commands for keys, parameters and files that `text` calls absent, and that exist."""
    paths = json.loads(service.openapi_document())["paths"]
    there = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    there |= {f"make {target}" for target in TARGETS} | {name for name, *_ in keys._COMMANDS} | set(paths)
    there |= set(template()["Parameters"])
    named = _ABSENT.findall(text) + _LATER.findall(text)
    return [name for name in named if name in there or ("/" in name and (ROOT / name.strip("/")).exists())]


def test_no_page_calls_absent_what_is_there() -> None:
    found = {str(page.relative_to(ROOT)): stale(page.read_text()) for page in PAGES}
    assert {page: names for page, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("There is no `POST /batches` so far.", ["POST /batches"]),
        ("Redial has no route `/webhooks/undelivered`.", ["/webhooks/undelivered"]),
        ("It lacks a `make bench`, and\nthere is\nno other.", ["make bench"]),
        ("`list-accounts` is not yet supported.", ["list-accounts"]),
        ("Without a `local/stack.py` nothing runs.", ["local/stack.py"]),
        ("There is no `POST /rockets`, and `make bench` exists.", []),
    ],
)
def test_a_stale_page_is_found(text: str, found: list[str]) -> None:
    assert stale(text) == found
