"""template.yaml, with loops expanded by cfn-lint and transformed by SAM: the resources that CloudFormation receives.

`python -m tests.support.transformed` records them in `RECORDED`, a line each. Its diff shows which resources a change
of the template affects: a loop, a managed policy or a nested stack changes the notation, not the resources.
"""

import hashlib
import json
import re
import subprocess
from functools import cache
from typing import Any, NamedTuple

from tests.support.template import PATH, ROOT

PYTHON = ROOT / ".venv-sam/bin/python"
RECORDED = ROOT / "tests/infrastructure/recorded/resources.json"
GRADUAL = "Canary10Percent5Minutes"
"""With this value the stack has all resources of AllAtOnce, plus those of CodeDeploy."""
DEPLOYMENTS = ("AllAtOnce", GRADUAL)

Resources = dict[str, dict[str, Any]]

_TRANSFORM = """
import json, logging, os, sys
from cfnlint.decode import decode
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension
from samtranslator.translator.transform import transform

class Policies:
    def load(self):
        return {}

def expanded(path):
    document, mistakes = decode(path)
    assert not mistakes, mistakes
    shared = json.loads(json.dumps(document.get("Globals", {})))  # cfn-lint guesses parameters, SAM is given them
    mistakes, document = language_extension(Template(path, document, ["us-east-1"]))
    assert not mistakes, mistakes
    return {**json.loads(json.dumps(document)), "Globals": shared}

logging.disable(logging.WARNING)  # of feature toggles that only SAM's own service has
path, parameters = sys.argv[1], json.loads(sys.argv[2])
document = expanded(path)
before = json.loads(json.dumps(document["Resources"]))
nested = {
    name: expanded(os.path.join(os.path.dirname(path), resource["Properties"]["TemplateURL"]))["Resources"]
    for name, resource in document["Resources"].items()
    if resource["Type"] == "AWS::CloudFormation::Stack"
}
for resource in document["Resources"].values():
    for name in ("CodeUri", "ContentUri"):  # what `sam deploy` puts in their place
        if name in resource.get("Properties", {}):
            resource["Properties"][name] = "s3://built/" + resource["Properties"][name].strip("/")
transformed = [
    transform(json.loads(json.dumps(document)), one, Policies())["Resources"] for one in parameters
]
print(json.dumps([before, transformed, nested]))
"""


class Stack(NamedTuple):
    """A stack's resources, and those of each nested stack."""

    own: Resources
    nested: dict[str, Resources]


@cache
def _run() -> tuple[Resources, dict[str, Resources], dict[str, Resources]]:
    """The resources before SAM, those after it by deployment, and those of the nested stacks."""
    parameters = json.dumps([{"Deployment": one, "DomainName": "calls.example.com"} for one in DEPLOYMENTS])
    run = subprocess.run(
        [str(PYTHON), "-c", _TRANSFORM, str(PATH), parameters],
        check=False,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    expanded, transformed, nested = json.loads(run.stdout)
    return expanded, dict(zip(DEPLOYMENTS, transformed, strict=True)), nested


def expanded() -> Stack:
    """SAM's input: the templates with loops expanded."""
    resources, _, nested = _run()
    return Stack(resources, nested)


def transformed(deployment: str) -> Stack:
    """SAM's output for CloudFormation, with that `Deployment` parameter."""
    _, by_deployment, nested = _run()
    return Stack(by_deployment[deployment], nested)


def written_out(resources: Resources) -> Resources:
    """Each value as one text or literal, with references in one notation."""
    return {name: dict(_plain(resource)) for name, resource in resources.items()}


def merged(stack: Stack) -> Resources:
    """The resources of the stack and of its nested stacks, in one notation, as if there were one stack."""
    plain = written_out(stack.own)
    for name, resources in stack.nested.items():
        given = {f"${{{key}}}": value for key, value in plain.pop(name)["Properties"]["Parameters"].items()}
        for inner, resource in resources.items():
            assert inner not in plain, f"{inner} is in two stacks"
            plain[inner] = _replaced(_plain(resource), given)
    return plain


def made(deployment: str) -> Resources:
    """All resources of the stack and of its nested stacks, in one notation."""
    return comparable(merged(transformed(deployment)))


def comparable(plain: Resources) -> Resources:
    """Resources of `written_out` or `merged`, independent of their names and of how permissions are grouped.

    A role has the statements of its managed policies, which are left out themselves. Functions and log groups are
    referred to by their names, and versions by names without a digest.
    """
    for resource in plain.values():
        if resource["Type"] == "AWS::IAM::Role":
            resource["Properties"] = _role(resource["Properties"], plain)
    names = {f"${{{name}}}": one["Properties"][_NAMED[one["Type"]]] for name, one in plain.items() if _has_name(one)}
    return {
        re.sub(r"(Version|Deployment|Layer)[0-9a-f]{10}$", r"\1", name): _replaced(resource, names)
        for name, resource in plain.items()
        if resource["Type"] != "AWS::IAM::ManagedPolicy"
    }


_NAMED = {"AWS::Lambda::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName"}


def _has_name(resource: dict[str, Any]) -> bool:
    return _NAMED.get(resource["Type"], "") in resource.get("Properties", {})


def _plain(value: Any) -> Any:
    """References in the notation of Fn::Sub: `{"Ref": "Table"}` is `${Table}`."""
    match value:
        case {"Ref": str(name), **rest} if not rest:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [*parts]} | {"Fn::GetAtt": str(parts)}:
            return f"${{{parts if isinstance(parts, str) else '.'.join(parts)}}}"
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::Sub": [str(text), dict(values)]} if all(isinstance(_plain(one), str) for one in values.values()):
            return _replaced(text, {f"${{{name}}}": _plain(one) for name, one in values.items()})
        case {"Fn::Join": [str(between), list(parts)]} if all(isinstance(_plain(part), str) for part in parts):
            return between.join(_plain(part) for part in parts)
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value


def _replaced(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\$\{[^}]+\}", lambda found: texts.get(found[0], found[0]), value)
    if isinstance(value, dict):
        return {key: _replaced(item, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, texts) for item in value]
    return value


def _role(properties: dict[str, Any], plain: Resources) -> dict[str, Any]:
    """A role with its permissions instead of policies: one entry for each action on each resource."""
    documents = [policy["PolicyDocument"] for policy in properties.pop("Policies", [])]
    attached = (plain[policy.strip("${}")] for policy in properties.pop("ManagedPolicyArns", []))
    documents += [policy["Properties"]["PolicyDocument"] for policy in attached]
    allowed = {
        json.dumps([one["Effect"], action, resource, one.get("Condition")], sort_keys=True)
        for document in documents
        for one in document["Statement"]
        for action in _list(one["Action"])
        for resource in _list(one["Resource"])
    }
    return {**properties, "May": sorted(allowed)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def digests() -> dict[str, str]:
    """Each resource's type and a digest of the rest, without what `sam deploy` and versions count up."""
    resources = made(GRADUAL)
    return {
        name: f"{one['Type']} {hashlib.sha256(json.dumps(content(one), sort_keys=True).encode()).hexdigest()[:16]}"
        for name, one in sorted(resources.items())
    }


def content(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource without Metadata, which has no effect, and without the digest in a version's name."""
    effective = {key: value for key, value in resource.items() if key != "Metadata"}
    text = re.sub(r"(Version|Layer)[0-9a-f]{10}\b", r"\1", json.dumps(effective))
    return dict(json.loads(text))


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(digests(), indent=2) + "\n")
