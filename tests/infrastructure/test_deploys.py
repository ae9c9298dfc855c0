"""Deploying template.yaml: no resource with state is replaced, and parameters control the rollout of new versions."""

import copy
import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.support.stateful import HELD, RECORDED, would_replace
from tests.support.template import ROOT, functions, of_type, template, texts

Resources = dict[str, dict[str, Any]]


def _recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(RECORDED.read_text())
    return recorded


def test_an_update_replaces_no_resource_with_state_or_named_by_waiting_schedules() -> None:
    assert would_replace(_recorded(), template()) == []


def test_every_resource_of_those_types_is_recorded() -> None:
    """Record a new resource with `python -m tests.support.stateful` in the release that adds it."""
    assert set(_recorded()["resources"]) == {
        name for name, resource in template()["Resources"].items() if resource["Type"] in HELD
    }


def _rename(resources: Resources, old: str, new: str) -> None:
    resources[new] = resources.pop(old)


CHANGES: dict[str, tuple[Callable[[Resources], Any], list[str]]] = {
    "another key": (
        lambda resources: resources["Table"]["Properties"]["KeySchema"].pop(),
        ["Table: KeySchema has changed"],
    ),
    "a table with a name": (
        lambda resources: resources["Table"]["Properties"].update(TableName="calls"),
        ["Table: TableName has changed"],
    ),
    "a table by another name here": (lambda resources: _rename(resources, "Table", "Calls"), ["Table is gone"]),
    "a table of another kind": (
        lambda resources: resources["Table"].update(Type="AWS::DynamoDB::GlobalTable"),
        ["Table is gone"],
    ),
    "a bucket with a name": (
        lambda resources: resources["FilesBucket"]["Properties"].update(BucketName="files"),
        ["FilesBucket: BucketName has changed"],
    ),
    "a group by another name": (
        lambda resources: resources["ScheduleGroup"]["Properties"].update(Name="timers"),
        ["ScheduleGroup: Name has changed"],
    ),
    "a queue with a name": (
        lambda resources: resources["ScheduleDeadLetters"]["Properties"].update(QueueName="letters"),
        ["ScheduleDeadLetters: QueueName has changed"],
    ),
    "a queue that is a role": (
        lambda resources: resources["ScheduleDeadLetters"].update(Type="AWS::IAM::Role"),
        ["ScheduleDeadLetters is of another type"],
    ),
    "a role by another name here": (
        lambda resources: _rename(resources, "ScheduleRole", "TimerRole"),
        ["ScheduleRole is gone"],
    ),
    "a function by another name": (
        lambda resources: resources["DialFunction"]["Properties"].update(FunctionName="dial"),
        ["DialFunction: FunctionName has changed"],
    ),
    "no API": (lambda resources: resources.pop("HttpApi"), ["HttpApi is gone"]),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_that_would_replace_a_resource_is_detected(change: str) -> None:
    document = copy.deepcopy(template())
    make, reasons = CHANGES[change]
    make(document["Resources"])
    assert would_replace(_recorded(), document) == reasons


def test_changes_that_replace_nothing_are_accepted() -> None:
    document = copy.deepcopy(template())
    resources = document["Resources"]
    resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    resources["Table"]["Properties"]["GlobalSecondaryIndexes"].pop()
    resources["ScheduleDeadLetters"]["Properties"]["MessageRetentionPeriod"] = 60
    resources.pop("AttemptUnknownAlarm")
    resources["More"] = {"Type": "AWS::SQS::Queue"}
    assert would_replace(_recorded(), document) == []


# ---- rollout of a new version ----------------------------------------------------------------------------------------


def test_all_at_once_needs_no_codedeploy_and_all_other_values_are_gradual() -> None:
    """SAM reads the mapping, CloudFormation the condition; they must agree."""
    parameter = template()["Parameters"]["Deployment"]
    gradual = {name: one["Gradual"] for name, one in template()["Mappings"]["Deployments"].items()}
    assert set(gradual) == set(parameter["AllowedValues"])
    assert {name for name, value in gradual.items() if value == "false"} == {parameter["Default"]} == {"AllAtOnce"}
    assert template()["Conditions"]["IsGradual"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Deployment"}, "AllAtOnce"]}]}
    assert template()["Globals"]["Function"]["DeploymentPreference"] == {
        "Enabled": {"Fn::FindInMap": ["Deployments", {"Ref": "Deployment"}, "Gradual"]},
        "Type": {"Ref": "Deployment"},
        "Role": {"Fn::If": ["IsGradual", {"Fn::GetAtt": "DeploymentRole.Arn"}, {"Ref": "AWS::NoValue"}]},
    }


@pytest.mark.parametrize("function", sorted(functions()))
def test_a_gradual_deployment_rolls_back_on_errors_of_the_new_version_or_of_the_api_that_it_answers(
    function: str,
) -> None:
    """The API's alarm stops only the functions behind the API, so that it cannot block a repair of another function."""
    logical_id = functions()[function]["LogicalId"]
    alarm = f"{logical_id.removesuffix('Function')}DeployFailingAlarm"
    own, *others = functions()[function]["DeploymentPreference"]["Alarms"]
    assert own == {"Fn::If": ["IsGradual", {"Ref": alarm}, {"Ref": "AWS::NoValue"}]}
    alarms = of_type("AWS::CloudWatch::Alarm")
    of_the_api = alarms["ApiErrorsAlarm"]["Properties"]["AlarmName"]  # a text: the API needs the functions' aliases
    assert others == ([of_the_api] if function in ("api", "carrier_callback") else [])
    assert alarms[alarm]["Condition"] == "IsGradual"
    watched = {one["Name"]: one["Value"] for one in alarms[alarm]["Properties"]["Dimensions"]}
    assert watched == {
        "FunctionName": {"Ref": logical_id},
        "Resource": {"Fn::Sub": f"${{{logical_id}}}:live"},
        "ExecutedVersion": {"Fn::GetAtt": f"{logical_id}.Version.Version"},
    }
    assert alarms[alarm]["Properties"]["MetricName"] == "Errors"


# ---- samconfig.toml --------------------------------------------------------------------------------------------------


def _overrides(stage: str) -> dict[str, str]:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())[stage]["deploy"]["parameters"]
    return dict(re.findall(r'(\w+)="([^"]*)"', settings["parameter_overrides"]))


@pytest.mark.parametrize("stage", ["default", "prod"])
def test_samconfig_sets_existing_parameters_to_valid_values(stage: str) -> None:
    for name, value in _overrides(stage).items():
        parameter = template()["Parameters"][name]
        assert value in [str(one) for one in parameter.get("AllowedValues", [value])]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)


def test_production_is_deployed_gradually() -> None:
    assert _overrides("prod")["Deployment"].startswith(("Canary", "Linear"))


# ---- a custom domain -------------------------------------------------------------------------------------------------


def test_a_domain_requires_tls_1_2_and_leads_to_the_api() -> None:
    domain = template()["Resources"]["Domain"]
    assert domain["Condition"] == "HasDomain"
    (configuration,) = domain["Properties"]["DomainNameConfigurations"]
    assert (configuration["SecurityPolicy"], configuration["EndpointType"]) == ("TLS_1_2", "REGIONAL")
    mapping = template()["Resources"]["DomainMapping"]
    assert mapping["Condition"] == "HasDomain"
    assert mapping["Properties"] == {
        "ApiId": {"Ref": "HttpApi"},
        "DomainName": {"Ref": "Domain"},
        "Stage": {"Ref": "HttpApi.Stage"},
    }


def test_the_address_that_carriers_sign_is_the_stacks_output() -> None:
    """PublicUrl, else the domain, else API Gateway's own address, which `carrier_callback` takes from each request."""
    own = {"Fn::Sub": "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}

    def chosen(last: Any) -> dict[str, Any]:
        domain = {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, last]}
        return {"Fn::If": ["HasPublicUrl", {"Ref": "PublicUrl"}, domain]}

    assert functions()["dial"]["Environment"]["PUBLIC_URL"] == chosen(own)
    assert functions()["carrier_callback"]["Environment"]["PUBLIC_URL"] == chosen("")
    assert template()["Outputs"]["ApiUrl"]["Value"] == chosen(own)


def test_the_api_cannot_be_left_without_an_address() -> None:
    rule = template()["Rules"]["OneAddressIsOpen"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "DefaultEndpoint"}, "closed"]}
    assert [one["Assert"] for one in rule["Assertions"]] == [template()["Conditions"]["HasDomain"]]
    rule = template()["Rules"]["ADomainHasACertificate"]
    assert rule["RuleCondition"] == template()["Conditions"]["HasDomain"]
    assert "CertificateArn" in texts(rule["Assertions"])
    api = template()["Resources"]["HttpApi"]["Properties"]
    assert api["DisableExecuteApiEndpoint"] == {"Fn::If": ["IsDefaultEndpointClosed", True, False]}


# ---- infrastructure/cloudfront.yaml: a firewall in front ---------------------------------------------------------


def _front() -> Resources:
    # Short tags are read as plain values, and only values without tags are checked.
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))
    document = yaml.load((ROOT / "infrastructure/cloudfront.yaml").read_text(), Loader=Loader)  # noqa: S506  a SafeLoader
    resources: Resources = document["Resources"]
    return resources


def test_the_firewall_limits_callbacks_by_address_and_lets_them_pass_its_other_rules() -> None:
    limited, allowed, *others = rules = sorted(
        _front()["Firewall"]["Properties"]["Rules"], key=lambda rule: rule["Priority"]
    )
    assert (list(limited["Action"]), list(allowed["Action"])) == (["Block"], ["Allow"])
    rate = limited["Statement"]["RateBasedStatement"]
    assert (rate["AggregateKeyType"], rate["Limit"]) == ("IP", "CallbacksPerAddress")
    assert others[0]["Statement"]["RateBasedStatement"] == {"AggregateKeyType": "IP", "Limit": "RequestsPerAddress"}
    match = allowed["Statement"]["ByteMatchStatement"]
    assert rate["ScopeDownStatement"]["ByteMatchStatement"] == match
    (event,) = functions()["carrier_callback"]["Events"].values()
    assert event["Properties"]["Path"].startswith(match["SearchString"])
    assert (match["PositionalConstraint"], list(match["FieldToMatch"])) == ("STARTS_WITH", ["UriPath"])
    assert len({rule["Priority"] for rule in rules}) == len(rules) > 1


def test_the_distribution_requires_https_caches_nothing_and_forwards_signed_headers() -> None:
    settings = _front()["Distribution"]["Properties"]["DistributionConfig"]
    behaviour, (origin,) = settings["DefaultCacheBehavior"], settings["Origins"]
    assert behaviour["ViewerProtocolPolicy"] == origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert settings["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(behaviour["AllowedMethods"])
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "CachingDisabled"
    assert behaviour["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac", "AllViewerExceptHostHeader"
