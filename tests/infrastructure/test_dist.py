"""The result of `make dist`, with a small layer: building the real one needs a network (`make deploy-check`)."""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from infrastructure import dist
from redial import __version__
from tests.support.once import made_once
from tests.support.template import ROOT, of_type, template, texts
from tests.support.transformed import comparable, content, made, written_out

pytestmark = [
    pytest.mark.skipif(
        not (dist.SAM_PYTHON.exists() and dist.CYCLONEDX.exists()), reason="make check installs SAM and CycloneDX"
    ),
    pytest.mark.skipif(importlib.util.find_spec("uv") is None, reason="uv could not be installed here"),
]

TEMPLATE_BYTES, TEMPLATE_RESOURCES = 1_000_000, 500
"""CloudFormation's limits for a template in S3."""


def _write(layer: Path, folder: Path) -> Path:
    module = layer / "python/redial/__init__.py"
    module.parent.mkdir(parents=True)
    shutil.copy(ROOT / "layers/redial/redial/__init__.py", module)
    (module.parent / "__pycache__").mkdir()
    (module.parent / "__pycache__/__init__.cpython-313.pyc").write_bytes(b"bytecode")
    dist.write(layer, folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "release", lambda base: _write(base / "layer", base / "dist")) / "dist"


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, at any depth."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _dicts(item)


def test_no_file_has_a_path_of_this_machine(folder: Path) -> None:
    for path in folder.iterdir():
        contents = [path.read_bytes()]
        if path.suffix in (".zip", ".whl", ".pyz"):
            with zipfile.ZipFile(path) as archive:
                contents = [archive.read(name) for name in archive.namelist()]
                assert contents, path
        for place in (ROOT, Path.home(), Path(tempfile.gettempdir())):
            assert not any(f"{place}/".encode() in one for one in contents), (path.name, place)


@pytest.mark.parametrize("name", [dist.PLAIN, dist.SAM])
def test_each_template_names_every_zip(folder: Path, name: str) -> None:
    document = _read(folder / name)
    named = _dicts(document["Resources"])
    locations = [one.values() for one in named if one.keys() in ({"Bucket", "Key"}, {"S3Bucket", "S3Key"})]
    assert all(bucket == {"Ref": "CodeBucket"} for bucket, _ in locations)
    zips = sorted(f"redial/{__version__}/{path.name}" for path in folder.glob("*.zip"))
    assert sorted(str(key) for _, key in locations) == zips
    assert len(zips) == 1 + len(list(ROOT.glob("functions/*/handler.py")))


def test_the_template_for_sam_finds_its_nested_stack_in_the_bucket(folder: Path) -> None:
    document = _read(folder / dist.SAM)
    assert "AWS::Serverless-2016-10-31" in document["Transform"]
    url = document["Resources"]["Monitoring"]["Properties"]["TemplateURL"]["Fn::Sub"]
    host, _, key = url.partition("/${CodeBucket}/")
    assert host == "https://s3.${AWS::Region}.${AWS::URLSuffix}"
    (nested,) = folder.glob("monitoring-*.json")
    assert key == f"{dist.PREFIX}/{nested.name}"
    assert "AlarmTopicArn" in _read(nested)["Parameters"]


def test_the_plain_template_has_no_macro_and_no_nested_stack(folder: Path) -> None:
    document = _read(folder / dist.PLAIN)
    assert "Transform" not in document and "Globals" not in document
    assert not [
        text for text in texts(document) if text.startswith(("Fn::ForEach", "AWS::Serverless", "Fn::Transform"))
    ]
    kinds = {resource["Type"] for resource in document["Resources"].values()}
    assert not kinds & {"AWS::CloudFormation::Stack", "AWS::CodeDeploy::Application"}
    assert len(document["Resources"]) < TEMPLATE_RESOURCES
    assert (folder / dist.PLAIN).stat().st_size < TEMPLATE_BYTES


def test_the_plain_template_makes_the_recorded_resources(folder: Path) -> None:
    """They are SAM's resources for AllAtOnce, without those used only by gradual deployments.

    The code comes from elsewhere, and parameters replace the defaults of the origins of CORS and of the layer's
    description.
    """

    def alike(resources: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        found = {name: content(one) for name, one in resources.items()}
        for one in found.values():
            assert one["Type"] != "AWS::Lambda::Function" or "Code" in one["Properties"]
            for name in ("Code", "Content"):
                one.get("Properties", {}).pop(name, None)
        del found["HttpApi"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"][1]["allowOrigins"]
        del found["RedialLayer"]["Properties"]["Description"]
        return found

    recorded = {name: one for name, one in made("AllAtOnce").items() if one.get("Condition") != "IsGradual"}
    shipped = comparable(written_out(_read(folder / dist.PLAIN)["Resources"]))
    assert alike(shipped) == alike(recorded)


def test_the_plain_template_has_the_parameters_and_outputs(folder: Path) -> None:
    document = _read(folder / dist.PLAIN)
    assert document["Parameters"].keys() == template()["Parameters"].keys() - {"Deployment"} | {"CodeBucket"}
    assert "Default" not in document["Parameters"]["CodeBucket"]
    assert document["Outputs"].keys() == template()["Outputs"].keys()
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(document["Parameters"])


def _parameters_in(resources: dict[str, Any], names: set[str]) -> set[str]:
    referred = {one["Ref"] for one in _dicts(resources) if isinstance(one.get("Ref"), str)}
    return names & (referred | {name for text in texts(resources) for name in re.findall(r"\$\{(\w+)\}", text)})


def test_the_plain_template_reads_every_parameter_when_it_is_deployed(folder: Path) -> None:
    """SAM replaces some references with the value of a parameter, such as its default."""
    document = _read(folder / dist.PLAIN)
    names = set(document["Parameters"])
    before = _parameters_in({**template()["Resources"], "Globals": template()["Globals"]}, names)
    assert _parameters_in(document["Resources"], names) == before | {"CodeBucket"}
    cors = document["Resources"]["HttpApi"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"][1]
    assert cors["allowOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
    (layer,) = (one for one in document["Resources"].values() if one["Type"] == "AWS::Lambda::LayerVersion")
    described = of_type("AWS::Serverless::LayerVersion")["RedialLayer"]["Properties"]["Description"]
    assert layer["Properties"]["Description"] == described


@pytest.mark.parametrize("name", [dist.PLAIN, dist.SAM])
def test_attributes_are_lists_as_json_needs_them(folder: Path, name: str) -> None:
    attributes = [one["Fn::GetAtt"] for one in _dicts(_read(folder / name)) if "Fn::GetAtt" in one]
    assert len(attributes) > 20
    assert [one for one in attributes if not isinstance(one, list) or len(one) != 2] == []


@pytest.mark.parametrize("name", [dist.PLAIN, pytest.param(dist.SAM, marks=pytest.mark.nightly)])
def test_cfn_lint_accepts_the_template(folder: Path, name: str) -> None:
    """`make check` lints template.yaml; the template for SAM differs from it only in the location of the code."""
    lint = (str(dist.SAM_PYTHON.with_name("cfn-lint")), "--config-file", os.devnull)
    command = [*lint, "--regions", "us-east-1", "eu-central-1", "--", str(folder / name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_checksums_are_of_every_other_file(folder: Path) -> None:
    sums = dict(line.split("  ")[::-1] for line in (folder / dist.CHECKSUMS).read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != dist.CHECKSUMS
    }
    for name, digest in sums.items():
        assert not re.search(r"-[0-9a-f]{16}\.", name) or f"-{digest[:16]}." in name


def _listed(bill: dict[str, Any]) -> set[str]:
    assert bill["bomFormat"] == "CycloneDX"
    assert all(one["externalReferences"][0]["hashes"] for one in bill["components"])
    return {f"{one['name']}=={one['version']}" for one in bill["components"]}


def _component(bill: dict[str, Any]) -> tuple[str, str]:
    return bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]


def test_the_bill_of_materials_lists_the_layers_packages(folder: Path) -> None:
    bill = _read(folder / dist.SBOM)
    assert _component(bill) == ("redial", __version__)
    requirements = (ROOT / "layers/redial/requirements.txt").read_text()
    assert _listed(bill) == set(re.findall(r"^([a-z0-9-]+==[0-9a-z.]+)", requirements, re.MULTILINE))


def test_the_commands_bill_of_materials_lists_the_packages_in_its_file(folder: Path) -> None:
    bill = _read(folder / dist.CLIENT_SBOM)
    assert _component(bill) == ("redial-client", __version__)
    with zipfile.ZipFile(folder / "redial.pyz") as archive:
        packages = {name.partition("/")[0] for name in archive.namelist()} - {"redial_client", "__main__.py"}
    assert _listed(bill) == {f"{one.replace('_', '-')}=={version(one)}" for one in packages}


def test_a_release_has_the_command_and_the_client(folder: Path) -> None:
    command = [sys.executable, "-I", "-S", str(folder / "redial.pyz"), "--version"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"redial {__version__}\n"
    (wheel,) = folder.glob("redial_client-*.whl")
    assert wheel.name == f"redial_client-{__version__}-py3-none-any.whl"


@pytest.mark.nightly
def test_the_same_sources_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = _write(tmp_path / "elsewhere", tmp_path / "dist")
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_a_zip_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    for source in sorted(path.parent for path in ROOT.glob("functions/*/handler.py")):
        copied = tmp_path / source.name
        shutil.copytree(source, copied, ignore=shutil.ignore_patterns("__pycache__"))
        handler = copied / "handler.py"
        os.utime(handler, (1, 1))
        handler.chmod(0o600)
        (copied / "__pycache__").mkdir()
        (copied / "__pycache__/handler.cpython-313.pyc").write_bytes(b"left by a local run")
        first, second = tmp_path / f"{source.name}-1.zip", tmp_path / f"{source.name}-2.zip"
        dist.zip_folder(source, first)
        dist.zip_folder(copied, second)
        assert first.read_bytes() == second.read_bytes()
        handler.write_text(handler.read_text() + "\n")
        dist.zip_folder(copied, second)
        assert first.read_bytes() != second.read_bytes()


def test_lambda_can_read_what_is_zipped(folder: Path) -> None:
    for path in folder.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()} == {0o644}
            assert archive.testzip() is None


def test_the_layer_keeps_its_bytecode(folder: Path) -> None:
    (layer,) = folder.glob("layer-*.zip")
    with zipfile.ZipFile(layer) as archive:
        assert "python/redial/__pycache__/__init__.cpython-313.pyc" in archive.namelist()


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ("untracked", "commit or remove what is changed first"),
        ("unreleased", f"turn Unreleased into '## {__version__} - <date>' first"),
        ("tagged", f"v{__version__} is tagged already"),
    ],
)
def test_a_release_is_refused(spoiled: str, message: str, tmp_path: Path) -> None:
    def git(*command: str) -> None:
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True, capture_output=True)

    package = tmp_path / "layers/redial/redial"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "layers/redial/redial/__init__.py", package)
    shutil.copy(ROOT / "Makefile", tmp_path)
    heading = "Unreleased" if spoiled == "unreleased" else f"{__version__} - 2026-01-01"
    (tmp_path / "CHANGELOG.md").write_text(f"## {heading}\n")
    git("init")
    git("add", ".")
    git("commit", "--message", "all")
    if spoiled == "tagged":
        git("tag", f"v{__version__}")
    if spoiled == "untracked":
        (tmp_path / "new.txt").write_text("new")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "GIT_"))}
    done = subprocess.run(
        ["make", "release"], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode and message in done.stdout
    assert not (tmp_path / ".venv").exists() and not (tmp_path / "dist").exists()
