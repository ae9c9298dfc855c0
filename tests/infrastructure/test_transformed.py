"""template.yaml as SAM hands it to CloudFormation, for an update at once and for a gradual one."""

import json
import re
import subprocess
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import pytest

from tests.support.template import PATH, ROOT, of_type, texts

PYTHON = ROOT / ".venv-sam/bin/python"
TRANSFORM = """
import json, logging, sys
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

class Policies:
    def load(self):
        return {}

logging.disable(logging.WARNING)  # of feature toggles that only SAM's own service has
document = yaml_parse(open(sys.argv[1]).read())
for resource in document["Resources"].values():
    for name in ("CodeUri", "ContentUri"):  # what `sam deploy` puts in their place
        if name in resource.get("Properties", {}):
            resource["Properties"][name] = "s3://built/" + resource["Properties"][name].strip("/")
print(json.dumps(transform(document, json.loads(sys.argv[2]), Policies())))
"""

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="make check installs SAM, which this asks")


@cache
def _resources(deployment: str) -> dict[str, dict[str, Any]]:
    parameters = json.dumps({"Deployment": deployment, "DomainName": "calls.example.com"})
    command = [str(PYTHON), "-c", TRANSFORM, str(PATH), parameters]
    environment = {"AWS_DEFAULT_REGION": "eu-west-1"}
    run = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    resources: dict[str, dict[str, Any]] = json.loads(run.stdout)["Resources"]
    return resources


def _of_codedeploy(deployment: str) -> set[str]:
    return {name for name, one in _resources(deployment).items() if one["Type"].startswith("AWS::CodeDeploy::")}


def test_at_once_makes_nothing_of_codedeploy() -> None:
    assert _of_codedeploy("AllAtOnce") == set()
    assert not any("UpdatePolicy" in resource for resource in _resources("AllAtOnce").values())


def test_gradually_every_alias_moves_by_codedeploy_which_watches_two_alarms_and_has_our_role() -> None:
    resources = _resources("Canary10Percent5Minutes")
    functions = set(of_type("AWS::Serverless::Function"))
    assert _of_codedeploy("Canary10Percent5Minutes") == {
        "ServerlessDeploymentApplication",
        *(f"{function}DeploymentGroup" for function in functions),
    }
    for function in functions:
        policy = resources[f"{function}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        assert policy["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}
        group = resources[f"{function}DeploymentGroup"]["Properties"]
        assert len(group["AlarmConfiguration"]["Alarms"]) == 2
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
        assert "Canary10Percent5Minutes" in texts(group["DeploymentConfigName"])
        assert "DeploymentRole.Arn" in ".".join(texts(group["ServiceRoleArn"]))
    assert "CodeDeployServiceRole" not in resources, "SAM's own role may do too much"


def test_an_alarm_of_a_deployment_watches_the_version_that_is_brought_in() -> None:
    resources = _resources("Canary10Percent5Minutes")
    for function in of_type("AWS::Serverless::Function"):
        alarm = resources[f"{function.removesuffix('Function')}DeployFailingAlarm"]["Properties"]
        (version,) = (one["Value"] for one in alarm["Dimensions"] if one["Name"] == "ExecutedVersion")
        assert version == resources[f"{function}Aliaslive"]["Properties"]["FunctionVersion"]


@pytest.mark.parametrize("deployment", ["AllAtOnce", "Canary10Percent5Minutes"])
def test_resources_do_not_wait_for_each_other_in_a_circle(deployment: str) -> None:
    resources = _resources(deployment)
    needs = {name: _needed(resource) & set(resources) for name, resource in resources.items()}
    assert needs["HttpApi"] >= {"ApiFunctionAliaslive"}
    assert list(TopologicalSorter(needs).static_order())


def test_a_circle_would_be_noticed() -> None:
    resources = json.loads(json.dumps(_resources("Canary10Percent5Minutes")))
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
