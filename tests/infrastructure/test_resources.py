"""Resources of template.yaml other than functions: state, the HTTP API, parameters."""

import re
from string import Template
from typing import Any
from unittest import mock

import pytest

from redial.carriers import CARRIERS
from tests.support.table import TABLE_NAME, create_table
from tests.support.template import functions, of_type, template, texts


def _table() -> dict[str, Any]:
    return of_type("AWS::DynamoDB::Table")["Table"]


HOLDS_STATE = ("AWS::DynamoDB::", "AWS::S3::", "AWS::RDS::", "AWS::EFS::", "AWS::SecretsManager::")


def test_resources_with_customers_data_are_retained() -> None:
    kept = {
        name: resource for name, resource in template()["Resources"].items() if resource["Type"].startswith(HOLDS_STATE)
    }
    assert set(kept) == {"Table", "FilesBucket", "FilesBucketPolicy"}
    for resource in kept.values():
        assert resource["UpdateReplacePolicy"] == "Retain"
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", "a creation that fails leaves nothing behind"


def test_the_table_has_point_in_time_recovery() -> None:
    properties = _table()["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["DeletionProtectionEnabled"] is True
    assert "SSESpecification" not in properties, "DynamoDB's own key is free, KMS's is not"
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert "TableName" not in properties, "a name would be taken when a kept table's stack is made again"


def test_the_tests_table_has_the_templates_keys_and_indexes() -> None:
    client = mock.Mock()
    create_table(client)
    made = client.create_table.call_args.kwargs
    declared = _table()["Properties"]
    for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode"):
        assert declared[name] == made[name]
    assert {**declared["StreamSpecification"], "StreamEnabled": True} == made["StreamSpecification"]
    assert client.update_time_to_live.call_args.kwargs == {
        "TableName": TABLE_NAME,
        "TimeToLiveSpecification": declared["TimeToLiveSpecification"],
    }


def test_indexes_project_keys_only() -> None:
    """Projecting more would write both indexes at each change of an execution, so three writes instead of one."""
    for index in _table()["Properties"]["GlobalSecondaryIndexes"]:
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def _bucket() -> dict[str, Any]:
    properties: dict[str, Any] = of_type("AWS::S3::Bucket")["FilesBucket"]["Properties"]
    return properties


def test_the_bucket_is_private() -> None:
    assert _bucket()["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert _bucket()["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "BucketName" not in _bucket(), "a name would be taken when a kept bucket's stack is made again"


def test_pages_that_may_call_the_api_may_upload_and_download_files() -> None:
    api = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]["CorsConfiguration"]["Fn::If"]
    condition, allowed, none = _bucket()["CorsConfiguration"]["Fn::If"]
    (rule,) = allowed["CorsRules"]
    assert (condition, rule["AllowedOrigins"], none) == (api[0], api[1]["AllowOrigins"], {"Ref": "AWS::NoValue"})
    assert rule["AllowedMethods"] == ["GET", "PUT"], "a pre-signed URL is for one of them"


def test_the_bucket_is_encrypted() -> None:
    (rule,) = _bucket()["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_the_bucket_requires_tls() -> None:
    (policy,) = of_type("AWS::S3::BucketPolicy").values()
    assert policy["Properties"]["Bucket"] == {"Ref": "FilesBucket"}
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": "FilesBucket.Arn"}, {"Fn::Sub": "${FilesBucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_uploads_expire_after_a_week_and_batches_files_stay() -> None:
    rules = _bucket()["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "uploads/": 7
    }
    (unfinished,) = (rule for rule in rules if "AbortIncompleteMultipartUpload" in rule)
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "Prefix" not in unfinished


def test_the_access_log_has_no_payloads_and_a_retention() -> None:
    api = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]
    assert api["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": "HttpApiLogGroup.Arn"}
    logged = set(re.findall(r"\$context\.([\w.]+)", api["AccessLogSettings"]["Format"]))
    assert not any(secret in name for name in logged for secret in ("authorizer", "body", "header", "query"))
    for group in of_type("AWS::Logs::LogGroup").values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_callbacks_are_throttled_separately_from_clients() -> None:
    api = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]
    (event,) = functions()["carrier_callback"]["Events"].values()
    route = f"{event['Properties']['Method']} {event['Properties']['Path']}"
    limit = {"Ref": "CallbacksPerSecond"}
    assert api["RouteSettings"][route] == {"ThrottlingRateLimit": limit, "ThrottlingBurstLimit": limit}
    assert template()["Parameters"]["CallbacksPerSecond"]["Default"] == 200
    assert api["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}


def test_separate_throttles_name_existing_routes_and_uploads_have_the_lowest() -> None:
    settings = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]["RouteSettings"]
    routes = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for function in functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi" and "Path" in event["Properties"]
    }
    assert set(settings) == routes, "a route of its own is there for the sake of its throttling"
    assert (
        settings["POST /batches"]["ThrottlingRateLimit"] < template()["Parameters"]["ApiRequestsPerSecond"]["Default"]
    )
    assert all({"ThrottlingRateLimit", "ThrottlingBurstLimit"} == set(one) for one in settings.values())


PARAMETERS = template()["Parameters"]


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_parameter_has_a_description_and_constraints(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"]
    assert "Default" in parameter
    if "AllowedValues" in parameter:
        assert parameter["Default"] in parameter["AllowedValues"]
        return
    assert parameter["ConstraintDescription"].startswith("must be")
    if parameter["Type"] == "String":
        assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("CarrierSecrets", ["redial", "a/b"], ["", "arn:aws:secretsmanager:…", "two words"]),
        ("PublicUrl", ["", "https://calls.example.com", "https://example.com/v1"], ["calls.example.com", "https://a/"]),
        ("DomainName", ["", "calls.example.com"], ["https://calls.example.com", "calls", "Calls.example.com", "a..b"]),
        (
            "CertificateArn",
            ["", "arn:aws:acm:eu-west-1:123456789012:certificate/1a2b3c-4d"],
            ["calls.example.com", "arn:aws:iam::123456789012:server-certificate/a"],
        ),
        ("DefaultCarrier", ["", *CARRIERS], ["Twilio", "carrier-pigeon"]),
        ("DefaultFromPhoneNumber", ["", "+12025550100"], ["12025550100", "+1", "+12025550100,+12025550101"]),
        (
            "DefaultAnswer",
            ["", "https://voice.example.com/{agent_id}?call={execution_id}", "wss://voice.example.com:8443/a"],
            ["http://a.example/", "voice.example.com", "https://a.example/{x}", "https://a.example/a b", "https:///a"],
        ),
        (
            "CorsOrigins",
            ["", "*", "https://app.example.com", "https://app.example.com,http://localhost:3000"],
            [
                "app.example.com",
                "https://app.example.com/",
                "https://a.example, https://b.example",
                "*,https://a.example",
            ],
        ),
        ("AlarmTopicArn", ["", "arn:aws:sns:eu-west-1:123456789012:on-call"], ["on-call", "arn:aws:sqs:a:1:b"]),
    ],
)
def test_patterns_accept_only_valid_values(name: str, good: list[str], bad: list[str]) -> None:
    pattern = PARAMETERS[name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not any(re.fullmatch(pattern, value) for value in bad)


ROOM_FOR_PARAMETERS = 64
"""Characters of a description that stay free for future parameters."""


def test_descriptions_that_make_new_versions_cannot_grow_too_long() -> None:
    """They contain parameter values, and Lambda accepts 256 characters for each: a layer's and a version's."""
    longest = {
        "LogLevel": "WARNING",
        "KeepDays": str(PARAMETERS["KeepDays"]["MaxValue"]),
        "CallsPerSecond": str(PARAMETERS["CallsPerSecond"]["MaxValue"]),
        "Console": max(PARAMETERS["Console"]["AllowedValues"], key=len),
        "DefaultCarrier": "x" * 7,
        "DefaultFromPhoneNumber": "+" + "1" * 15,
        "DefaultAnswer": f"https://{'x' * 30}{'x' * 20}",
        "CarrierSecrets": "x" * 64,
        "PublicUrl": f"https://{'x' * 64}/{'x' * 20}",
        "DomainName": f"{'x' * 30}.{'x' * 30}.xx",
    }
    for name, value in longest.items():
        if "AllowedPattern" in PARAMETERS[name]:
            assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], value)
            longer = re.sub("x{20}|x{7}$|1{15}", lambda found: found[0] * 4, value)
            is_longer_allowed = re.fullmatch(PARAMETERS[name]["AllowedPattern"], longer)
            assert not is_longer_allowed or len(longer) > PARAMETERS[name]["MaxLength"]
        assert len(value) <= PARAMETERS[name].get("MaxLength", 256)
    layer = of_type("AWS::Serverless::LayerVersion")["RedialLayer"]["Properties"]
    number = {"Layer": "9" * 6}
    for description in (layer["Description"], *(one["VersionDescription"] for one in functions().values())):
        text, values = description["Fn::Sub"]
        chosen = {
            name: max((longest[one] for one in texts(value) if one in longest), key=len)
            for name, value in values.items()
            if name not in number
        }
        filled_in = Template(text).substitute({**longest, **number, **chosen})
        assert len(filled_in) <= 256 - ROOM_FOR_PARAMETERS, "use the other description: the layer's, or the versions'"
