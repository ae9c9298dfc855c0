"""What template.yaml declares beside the functions: state, the HTTP API, parameters."""

import re
from typing import Any
from unittest import mock

import pytest

from tests.support.table import TABLE_NAME, create_table
from tests.support.template import functions, of_type, template, texts


def _table() -> dict[str, Any]:
    return of_type("AWS::DynamoDB::Table")["Table"]


HOLDS_STATE = ("AWS::DynamoDB::", "AWS::S3::", "AWS::RDS::", "AWS::EFS::", "AWS::SecretsManager::")


def test_whatever_holds_customers_data_outlives_the_stack() -> None:
    kept = {
        name: resource for name, resource in template()["Resources"].items() if resource["Type"].startswith(HOLDS_STATE)
    }
    assert set(kept) == {"Table", "FilesBucket", "FilesBucketPolicy"}
    for resource in kept.values():
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"


def test_the_table_can_be_brought_back() -> None:
    properties = _table()["Properties"]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert "TableName" not in properties, "a name would be taken when a kept table's stack is made again"


def test_the_tables_keys_and_indexes_are_those_that_the_tests_run_on() -> None:
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


def test_indexes_hold_keys_alone() -> None:
    """An index is written when what it holds changes: with more, each change of an execution would cost three."""
    for index in _table()["Properties"]["GlobalSecondaryIndexes"]:
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def _bucket() -> dict[str, Any]:
    properties: dict[str, Any] = of_type("AWS::S3::Bucket")["FilesBucket"]["Properties"]
    return properties


def test_the_bucket_is_nobody_elses_to_read_or_to_own() -> None:
    assert _bucket()["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert _bucket()["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "BucketName" not in _bucket(), "a name would be taken when a kept bucket's stack is made again"


def test_the_bucket_is_encrypted() -> None:
    (rule,) = _bucket()["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_the_bucket_is_reached_over_tls_only() -> None:
    (policy,) = of_type("AWS::S3::BucketPolicy").values()
    assert policy["Properties"]["Bucket"] == {"Ref": "FilesBucket"}
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": "FilesBucket.Arn"}, {"Fn::Sub": "${FilesBucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_uploads_go_after_a_week_and_batches_files_stay() -> None:
    rules = _bucket()["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert {rule.get("Prefix"): rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == {
        "uploads/": 7
    }
    (unfinished,) = (rule for rule in rules if "AbortIncompleteMultipartUpload" in rule)
    assert unfinished["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert "Prefix" not in unfinished


def test_requests_are_logged_without_what_they_carry_and_the_log_is_emptied() -> None:
    api = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]
    assert api["AccessLogSettings"]["DestinationArn"] == {"Fn::GetAtt": "HttpApiLogGroup.Arn"}
    logged = set(re.findall(r"\$context\.([\w.]+)", api["AccessLogSettings"]["Format"]))
    assert not any(secret in name for name in logged for secret in ("authorizer", "body", "header", "query"))
    for group in of_type("AWS::Logs::LogGroup").values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_clients_cannot_use_up_the_carriers_callbacks_share() -> None:
    api = of_type("AWS::Serverless::HttpApi")["HttpApi"]["Properties"]
    (event,) = functions()["carrier_callback"]["Events"].values()
    route = f"{event['Properties']['Method']} {event['Properties']['Path']}"
    highest = template()["Parameters"]["ApiRequestsPerSecond"]["MaxValue"]
    assert api["RouteSettings"][route]["ThrottlingRateLimit"] >= highest
    assert api["DefaultRouteSettings"]["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}


def test_what_is_throttled_by_itself_is_a_route_and_uploads_are_throttled_more() -> None:
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
def test_a_parameter_says_what_it_is_and_what_it_may_be(name: str) -> None:
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
        ("AlarmTopicArn", ["", "arn:aws:sns:eu-west-1:123456789012:on-call"], ["on-call", "arn:aws:sqs:a:1:b"]),
    ],
)
def test_patterns_take_what_is_right_and_nothing_else(name: str, good: list[str], bad: list[str]) -> None:
    pattern = PARAMETERS[name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not any(re.fullmatch(pattern, value) for value in bad)


def test_a_versions_description_cannot_grow_too_long() -> None:
    """It holds parameters' values, and Lambda takes 256 characters."""
    longest = {
        "LogLevel": "WARNING",
        "CarrierSecrets": "x" * 64,
        "PublicUrl": f"https://{'x' * 64}/{'x' * 20}",
        "DomainName": f"{'x' * 30}.{'x' * 30}.xx",
    }
    for name, value in longest.items():
        if "AllowedPattern" in PARAMETERS[name]:
            assert re.fullmatch(PARAMETERS[name]["AllowedPattern"], value)
            assert not re.fullmatch(PARAMETERS[name]["AllowedPattern"], value.replace("x" * 20, "x" * 64))
        assert len(value) <= PARAMETERS[name].get("MaxLength", 256)
    for function in functions().values():
        description = function["VersionDescription"]["Fn::Sub"]
        text, values = (description, {}) if isinstance(description, str) else description
        chosen = {
            name: max((longest[one] for one in texts(value) if one in longest), key=len)
            for name, value in values.items()
        }
        filled_in = re.sub(r"\$\{(\w+)\}", lambda one: {**longest, **chosen}[one[1]], text)  # noqa: B023  used at once
        assert len(filled_in) <= 256
