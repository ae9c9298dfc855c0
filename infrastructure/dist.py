"""`make dist`: build a release, a folder to be copied into an S3 bucket. docs/install.md deploys it.

    redial.json                 the stack in one file of plain CloudFormation: no macro, no nested stack
    redial-sam.json             the stack as in template.yaml, for SAM: with macros, and monitoring as a nested stack
    monitoring-<digest>.json    that nested stack
    layer-<digest>.zip          the layer, with bytecode
    <function>-<digest>.zip     each function
    sbom.cdx.json               the packages in the layer, as a CycloneDX bill of materials
    redial.pyz                  the command `redial` in one file
    redial.pyz.cdx.json         the packages in it
    redial_client-….whl         the command and the Python client
    SHA256SUMS                  checksums of all other files

The templates find the files through the parameter CodeBucket, under the prefix `PREFIX`. A digest in a name changes
with the content, so an update publishes new versions. The same sources give the same bytes.
"""

import copy
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local import ROOT
from local.cloudformation import load, read
from redial import __version__

PREFIX = f"redial/{__version__}"
"""The prefix of the files in the bucket."""
PLAIN, SAM, CHECKSUMS = "redial.json", "redial-sam.json", "SHA256SUMS"
SBOM, CLIENT_SBOM = "sbom.cdx.json", "redial.pyz.cdx.json"
TEMPLATE = ROOT / "template.yaml"
LAYER = ROOT / "layers/redial"
CLIENT = ROOT / "clients/python"
SAM_PYTHON = ROOT / ".venv-sam/bin/python"
CYCLONEDX = ROOT / ".venv-sbom/bin/cyclonedx-py"

_CODE_BUCKET = {
    "Type": "String",
    "AllowedPattern": "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "ConstraintDescription": "must be the name of an S3 bucket in this region",
    "Description": f"The bucket, in this region, that has the release's files under {PREFIX}/.",
}
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can have. With real times each build would give a different file."""
_BUILD_SECONDS = 300


def build_layer(folder: Path, **settings: str) -> None:
    """Build the layer into the folder. `settings` are variables of its Makefile.

    Raises `RuntimeError` if it cannot be built.
    """
    variables = [f"{name}={value}" for name, value in settings.items()]
    environment = {**os.environ, "PYTHON": sys.executable, "ARTIFACTS_DIR": str(folder)}
    for inherited in ("MAKEFLAGS", "MFLAGS", "PYTHONPATH"):
        environment.pop(inherited, None)
    _run(["make", "--silent", "-C", str(LAYER), "build-RedialLayer", *variables], environment)


def write(layer: Path, folder: Path) -> None:
    """Write the files into the folder, which must not exist, with the layer that was built in `layer`.

    Raises `RuntimeError` if SAM or CycloneDX fails, and `subprocess.CalledProcessError` if uv does.
    """
    folder.mkdir(parents=True)
    code = {"layers/redial/": _zipped("layer", layer, folder)}
    for function in sorted(path.parent for path in ROOT.glob("functions/*/handler.py")):
        code[f"functions/{function.name}/"] = _zipped(function.name, function, folder)
    sam = _with_code(read(TEMPLATE), code)
    _nest(sam, folder)
    _write_json(folder / SAM, sam)
    _write_json(folder / PLAIN, _plain(_with_code(load(TEMPLATE), code)))
    _write_sbom(folder / SBOM, ROOT, (LAYER / "requirements.txt").read_text())
    _write_client(folder)
    sums = [f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("".join(sums))


def zip_folder(folder: Path, file: Path) -> None:
    """Zip the files of the folder, with equal times and permissions. Python's caches are only in a layer's zip."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and ("__pycache__" not in path.parts or name.startswith("python/")):
                entry = zipfile.ZipInfo(name, _TIME)
                entry.create_system, entry.external_attr = 3, 0o100644 << 16  # Unix; Lambda must be able to read it
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def _zipped(name: str, source: Path, folder: Path) -> str:
    """Zip `source` into the folder, and return the file's key in the bucket."""
    file = folder / f"{name}.zip"
    zip_folder(source, file)
    return _named_by_content(file)


def _named_by_content(file: Path) -> str:
    """Add a digest to the file's name, and return its key in the bucket."""
    renamed = file.rename(file.with_name(f"{file.stem}-{_digest(file)[:16]}{file.suffix}"))
    return f"{PREFIX}/{renamed.name}"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _with_code(document: dict[str, Any], code: dict[str, str]) -> dict[str, Any]:
    """The template with folders replaced by the keys of their zips, and with the parameter CodeBucket."""
    document = copy.deepcopy(document)
    document["Parameters"] = {"CodeBucket": _CODE_BUCKET, **document["Parameters"]}
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.insert(0, {"Label": {"default": "Release"}, "Parameters": ["CodeBucket"]})
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {}) if isinstance(resource, dict) else {}
        for name in ("CodeUri", "ContentUri"):
            if name in properties:
                properties[name] = {"Bucket": {"Ref": "CodeBucket"}, "Key": code[properties[name]]}
    return document


def _nest(document: dict[str, Any], folder: Path) -> None:
    """Write the template's nested stacks into the folder, and make the template refer to them by URLs in its region."""
    for resource in document["Resources"].values():
        if isinstance(resource, dict) and resource["Type"] == "AWS::CloudFormation::Stack":
            source = ROOT / resource["Properties"]["TemplateURL"]
            file = folder / f"{source.stem}.json"
            _write_json(file, read(source))
            url = "https://s3.${AWS::Region}.${AWS::URLSuffix}/${CodeBucket}/" + _named_by_content(file)
            resource["Properties"]["TemplateURL"] = {"Fn::Sub": url}


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """The template without loops and nested stacks, as transformed by SAM for a deployment all at once.

    Resources that only gradual deployments use, and their parameter, are left out: SAM writes CodeDeploy's resources
    depending on the parameter's value, not on a condition.
    """
    document["Transform"] = "AWS::Serverless-2016-10-31"
    parameters = document["Parameters"]
    # SAM replaces some references by a parameter's value. Without defaults only Deployment has one.
    document["Parameters"] = {
        name: one if name == "Deployment" else {key: value for key, value in one.items() if key != "Default"}
        for name, one in parameters.items()
    }
    # SAM asks for a region but writes none into the template.
    command = [str(SAM_PYTHON), str(ROOT / "infrastructure/transform.py")]
    plain: dict[str, Any] = json.loads(_run(command, {"AWS_DEFAULT_REGION": "us-east-1"}, json.dumps(document)))
    plain["Resources"] = {
        name: resource for name, resource in plain["Resources"].items() if resource.get("Condition") != "IsGradual"
    }
    for group in plain["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        group["Parameters"] = [name for name in group["Parameters"] if name != "Deployment"]
    plain["Parameters"] = {name: one for name, one in parameters.items() if name != "Deployment"}
    del plain["Conditions"]["IsGradual"]
    del plain["Mappings"]  # of the loops and of Deployment
    return plain


def _write_json(file: Path, document: dict[str, Any]) -> None:
    file.write_text(json.dumps(_with_lists(document), indent=1, ensure_ascii=False) + "\n")


def _with_lists(value: Any) -> Any:
    """Fn::GetAtt with a list: CloudFormation reads `Table.Arn` only in YAML."""
    if isinstance(value, list):
        return [_with_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    if isinstance(text := value.get("Fn::GetAtt"), str):
        return {"Fn::GetAtt": text.split(".", 1)}
    return {key: _with_lists(item) for key, item in value.items()}


def _write_client(folder: Path) -> None:
    """Write the wheel and the .pyz, with the packages of this environment, and the list of these packages."""
    build = runpy.run_path(str(CLIENT / "build.py"))
    build["main"](folder)
    pinned = (ROOT / "requirements/dev.txt").read_text()
    entries = {one.partition(" ")[0]: one for one in re.split(r"^(?=\S)", pinned, flags=re.MULTILINE)}
    _write_sbom(
        folder / CLIENT_SBOM, CLIENT, "".join(entries[f"{name}=={version(name)}"] for name in build["PACKAGES"])
    )


def _write_sbom(file: Path, project: Path, requirements: str) -> None:
    """List the packages that `requirements` pins, with their versions and hashes. Everything else is Redial's own."""
    about = ("--pyproject", str(project / "pyproject.toml"), "--output-reproducible", "--of", "JSON", "-o", str(file))
    _run([str(CYCLONEDX), "requirements", *about, "-"], {**os.environ}, requirements)


def _run(command: list[str], environment: dict[str, str], given: str = "") -> str:
    done = subprocess.run(  # noqa: S603
        command, check=False, env=environment, input=given, capture_output=True, text=True, timeout=_BUILD_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout


def main(folder: Path) -> None:
    """Replace the folder by a release for Lambda's Python and processor."""
    with tempfile.TemporaryDirectory() as temporary:
        layer, written = Path(temporary) / "layer", Path(temporary) / "dist"
        build_layer(layer)
        if not any(layer.rglob("*.pyc")):
            sys.exit("The layer has no bytecode: install Lambda's Python (layers/redial/Makefile has its version).")
        write(layer, written)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(written, folder)
    for line in (folder / CHECKSUMS).read_text().splitlines():
        print(line)


if __name__ == "__main__":
    main(ROOT / "dist")
