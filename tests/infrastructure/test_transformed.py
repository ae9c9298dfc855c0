"""template.yaml as SAM hands it to CloudFormation, for an update at once and for a gradual one."""

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


def test_the_stack_makes_what_is_recorded() -> None:
    """A deliberate change is recorded by `python -m tests.support.transformed`: its difference names the resources."""
    assert digests() == json.loads(RECORDED.read_text())


def test_the_local_stack_and_these_tests_see_what_is_deployed() -> None:
    """local/cloudformation.py unrolls loops and merges nested stacks as cfn-lint does, which knows AWS's rules."""
    assert written_out(template()["Resources"]) == merged(expanded())


def _of_codedeploy(deployment: str) -> set[str]:
    return {name for name, one in _resources(deployment).items() if one["Type"].startswith("AWS::CodeDeploy::")}


def test_at_once_makes_nothing_of_codedeploy() -> None:
    assert _of_codedeploy("AllAtOnce") == set()
    assert not any("UpdatePolicy" in resource for resource in _resources("AllAtOnce").values())


def test_gradually_every_alias_moves_by_codedeploy_which_watches_two_alarms_and_has_our_role() -> None:
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
        assert len(group["AlarmConfiguration"]["Alarms"]) == 2
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert GRADUAL in texts(group["DeploymentConfigName"])
        assert "DeploymentRole.Arn" in ".".join(texts(group["ServiceRoleArn"]))
    assert "CodeDeployServiceRole" not in resources, "SAM's own role may do too much"


def test_an_alarm_of_a_deployment_watches_the_version_that_is_brought_in() -> None:
    resources = _resources(GRADUAL)
    for function in of_type("AWS::Serverless::Function"):
        alarm = resources[f"{function.removesuffix('Function')}DeployFailingAlarm"]["Properties"]
        (version,) = (one["Value"] for one in alarm["Dimensions"] if one["Name"] == "ExecutedVersion")
        assert version == resources[f"{function}Aliaslive"]["Properties"]["FunctionVersion"]


@pytest.mark.parametrize("deployment", ["AllAtOnce", GRADUAL])
def test_resources_do_not_wait_for_each_other_in_a_circle(deployment: str) -> None:
    resources = _resources(deployment)
    needs = {name: _needed(resource) & set(resources) for name, resource in resources.items()}
    assert needs["HttpApi"] >= {"ApiFunctionAliaslive"}
    assert list(TopologicalSorter(needs).static_order())


def test_a_circle_would_be_noticed() -> None:
    resources = json.loads(json.dumps(_resources(GRADUAL)))
    group = resources["ApiFunctionDeploymentGroup"]["Properties"]
    group["AlarmConfiguration"]["Alarms"][1]["Name"] = {"Ref": "ApiErrorsAlarm"}
    with pytest.raises(CycleError):
        list(TopologicalSorter({name: _needed(resource) for name, resource in resources.items()}).static_order())


def _needed(value: Any) -> set[str]:
    """The names of what a resource refers to, wherever in it: also by its UpdatePolicy and DependsOn."""
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
