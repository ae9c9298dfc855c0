"""template.yaml as SAM transforms it for CloudFormation, with AllAtOnce and with a gradual deployment."""

import json
import re
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest

from tests.support.template import of_type, template, texts
from tests.support.transformed import (
    GRADUAL,
    PYTHON,
    RECORDED,
    Resources,
    digests,
    expanded,
    merged,
    transformed,
    written_out,
)

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make check installs SAM, which this asks")


def _resources(deployment: str) -> Resources:
    return transformed(deployment).own


def test_the_stacks_resources_are_the_recorded_ones() -> None:
    """Record a deliberate change with `python -m tests.support.transformed`; its diff shows the changed resources."""
    assert digests() == json.loads(RECORDED.read_text())


def test_local_expansion_equals_cfn_lints() -> None:
    """local/cloudformation.py expands loops and merges nested stacks like cfn-lint, which follows AWS's rules."""
    assert written_out(template()["Resources"]) == merged(expanded())


def test_api_gateway_answers_cors_only_with_origins() -> None:
    """SAM writes the whole configuration under one condition; without origins, API Gateway receives none."""
    body = _resources("AllAtOnce")["HttpApi"]["Properties"]["Body"]
    condition, configuration, otherwise = body["x-amazon-apigateway-cors"]["Fn::If"]
    assert (condition, otherwise) == ("HasCorsOrigins", {"Ref": "AWS::NoValue"})
    assert configuration["allowOrigins"]["Fn::Split"][0] == ","
    assert {name: value for name, value in configuration.items() if name != "allowOrigins"} == {
        "allowMethods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
        "allowHeaders": ["Authorization", "Content-Type", "Idempotency-Key"],
        "exposeHeaders": ["Link", "X-Total-Count", "Idempotency-Replayed"],
        "maxAge": 3600,
    }


def _of_codedeploy(deployment: str) -> set[str]:
    return {name for name, one in _resources(deployment).items() if one["Type"].startswith("AWS::CodeDeploy::")}


def test_all_at_once_creates_no_codedeploy_resources() -> None:
    assert _of_codedeploy("AllAtOnce") == set()
    assert not any("UpdatePolicy" in resource for resource in _resources("AllAtOnce").values())


@pytest.mark.parametrize("deployment", ["AllAtOnce", GRADUAL])
def test_no_warning_of_api_gateway_fails_the_stack(deployment: str) -> None:
    """SAM writes a server without a URL for DisableExecuteApiEndpoint, which is a warning."""
    api = _resources(deployment)["HttpApi"]["Properties"]
    nameless = [server for server in api["Body"].get("servers", []) if "url" not in server]
    assert nameless, "drop this test once SAM writes the URL"
    assert not api.get("FailOnWarnings", False)


def test_gradual_deployments_use_codedeploy_with_their_alarms_and_our_role() -> None:
    resources = _resources(GRADUAL)
    functions = set(of_type("AWS::Serverless::Function"))
    assert _of_codedeploy(GRADUAL) == {
        "ServerlessDeploymentApplication",
        *(f"{function}DeploymentGroup" for function in functions),
    }
    for function in functions:
        policy = resources[f"{function}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}
        group = resources[f"{function}DeploymentGroup"]["Properties"]
        alarms = 2 if function in ("ApiFunction", "CarrierCallbackFunction") else 1
        assert len(group["AlarmConfiguration"]["Alarms"]) == alarms
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert GRADUAL in texts(group["DeploymentConfigName"])
        assert "DeploymentRole.Arn" in ".".join(texts(group["ServiceRoleArn"]))
    assert "CodeDeployServiceRole" not in resources, "SAM's own role may do too much"


def test_a_deployments_alarm_watches_the_new_version() -> None:
    resources = _resources(GRADUAL)
    for function in of_type("AWS::Serverless::Function"):
        alarm = resources[f"{function.removesuffix('Function')}DeployFailingAlarm"]["Properties"]
        (version,) = (one["Value"] for one in alarm["Dimensions"] if one["Name"] == "ExecutedVersion")
        assert version == resources[f"{function}Aliaslive"]["Properties"]["FunctionVersion"]


@pytest.mark.parametrize("deployment", ["AllAtOnce", GRADUAL])
def test_resources_have_no_circular_references(deployment: str) -> None:
    resources = _resources(deployment)
    needs = {name: _needed(resource) & set(resources) for name, resource in resources.items()}
    assert needs["HttpApi"] >= {"ApiFunctionAliaslive"}
    assert list(TopologicalSorter(needs).static_order())


def test_a_circular_reference_is_detected() -> None:
    resources = json.loads(json.dumps(_resources(GRADUAL)))
    group = resources["ApiFunctionDeploymentGroup"]["Properties"]
    group["AlarmConfiguration"]["Alarms"][1]["Name"] = {"Ref": "ApiErrorsAlarm"}
    with pytest.raises(CycleError):
        list(TopologicalSorter({name: _needed(resource) for name, resource in resources.items()}).static_order())


def _needed(value: Any) -> set[str]:
    """The names that a resource refers to anywhere, including UpdatePolicy and DependsOn."""
    if isinstance(value, list):
        return {name for item in value for name in _needed(item)}
    if not isinstance(value, dict):
        return set()
    found = {name for item in value.values() for name in _needed(item)}
    if isinstance(value.get("Ref"), str):
        found.add(value["Ref"])
    attribute = value.get("Fn::GetAtt")
    if attribute is not None:
        found.add(attribute.partition(".")[0] if isinstance(attribute, str) else attribute[0])
    text = value.get("Fn::Sub")
    if text is not None:
        text = text if isinstance(text, str) else text[0]
        found |= {name.partition(".")[0] for name in re.findall(r"\$\{([\w.:]+)\}", text)}
    depends = value.get("DependsOn", [])
    return found | {name for name in ([depends] if isinstance(depends, str) else depends) if isinstance(name, str)}
