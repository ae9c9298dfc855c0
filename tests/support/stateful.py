"""The resources of template.yaml that must never be replaced, and the properties whose change replaces them.

They hold data, or waiting schedules and carriers refer to them. `python -m tests.support.stateful` records them with
each type's create-only properties, from the resource schemas of .venv-sam's cfn-lint. When a release adds resources,
record again. A changed recorded value would lose data when a stack is updated.
"""

import json
import subprocess
from typing import Any

from tests.support.template import ROOT, template

RECORDED = ROOT / "tests/infrastructure/recorded/replaced_when_changed.json"
HELD = {
    "AWS::ApiGatewayV2::ApiMapping": "",
    "AWS::ApiGatewayV2::DomainName": "",  # a new one has a new target, but customers' DNS points to the old one
    "AWS::DynamoDB::Table": "",
    "AWS::IAM::Role": "",  # waiting schedules hold ScheduleRole
    "AWS::Logs::LogGroup": "",
    "AWS::S3::Bucket": "",
    "AWS::S3::BucketPolicy": "",
    "AWS::SQS::Queue": "",  # waiting schedules hold their dead-letter queue
    "AWS::Scheduler::ScheduleGroup": "",
    "AWS::Serverless::Function": "AWS::Lambda::Function",  # waiting schedules hold dial, deliver and batch by name
    "AWS::Serverless::HttpApi": "AWS::ApiGatewayV2::Api",  # a new one has a new address
}
"""Types whose resources must not be replaced; for SAM's types, the resulting CloudFormation types."""

_READ_SCHEMAS = """
import json, sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
found = {}
for kind in sys.argv[1:]:
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    paths = schema.get("createOnlyProperties", []) + schema.get("conditionalCreateOnlyProperties", [])
    found[kind] = sorted(path.removeprefix("/properties/") for path in paths)
print(json.dumps(found))
"""


def as_it_is(document: dict[str, Any], create_only: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """The parts of a template that must not change: by logical id, the type and the create-only properties set."""
    return {
        logical_id: {
            "type": resource["Type"],
            "create_only": {
                name: value
                for name in create_only[HELD[resource["Type"]] or resource["Type"]]
                if (value := _at(resource.get("Properties", {}), name)) is not None
            },
        }
        for logical_id, resource in document["Resources"].items()
        if resource["Type"] in HELD
    }


def _at(properties: dict[str, Any], path: str) -> Any:
    value: Any = properties
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def would_replace(recorded: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """The recorded resources that an update to this template would replace or remove, with reasons."""
    now = as_it_is(document, recorded["create_only"])
    reasons = []
    for logical_id, was in recorded["resources"].items():
        is_now = now.get(logical_id)
        if is_now is None:
            reasons.append(f"{logical_id} is gone")
        elif is_now["type"] != was["type"]:
            reasons.append(f"{logical_id} is of another type")
        else:
            names = {*was["create_only"], *is_now["create_only"]}
            changed = sorted(name for name in names if was["create_only"].get(name) != is_now["create_only"].get(name))
            reasons += [f"{logical_id}: {name} has changed" for name in changed]
    return reasons


def _record() -> None:
    types = sorted({name or kind for kind, name in HELD.items()})
    command = [str(ROOT / ".venv-sam/bin/python"), "-c", _READ_SCHEMAS, *types]
    create_only = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    recorded = {"create_only": create_only, "resources": as_it_is(template(), create_only)}
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")


if __name__ == "__main__":
    _record()
