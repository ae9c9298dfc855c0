"""What each role may do: enough for everything that its function asks of AWS on one machine, and nothing beyond."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import boto3
import pytest

from local.lambda_functions import ACCOUNT_ID, REGION
from local.template import Template
from tests.support.local_stack import LocalClient, local_stack, request
from tests.support.template import PATH, functions, of_type

ROLES = of_type("AWS::IAM::Role")
OF_LAMBDA_ITSELF = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:SendMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""What Lambda does in the function's name, not the function."""


@dataclass(frozen=True)
class Asked:
    """One thing that a function asked of AWS, as IAM sees it. `keys`: the partition keys, for DynamoDB."""

    function: str
    action: str
    resource: str
    keys: frozenset[str] = field(default_factory=frozenset)


def _statements(role: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in ROLES[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


each_role = pytest.mark.parametrize("role", sorted(ROLES))


@each_role
def test_permissions_are_written_out_and_name_their_actions(role: str) -> None:
    assert "ManagedPolicyArns" not in ROLES[role]["Properties"]
    for statement in _statements(role):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & set(statement)
        for action in _list(statement["Action"]):
            assert re.fullmatch(r"[a-z]+:[A-Z][A-Za-z]+", action), action


@each_role
def test_a_statement_about_everything_gives_its_reason(role: str) -> None:
    reasons = ROLES[role].get("Metadata", {}).get("Wildcards", {})
    about_everything = {statement["Sid"] for statement in _statements(role) if "*" in _list(statement["Resource"])}
    assert about_everything == set(reasons)
    assert all(len(reason) > 20 for reason in reasons.values())


def test_each_function_has_a_role_of_its_own() -> None:
    roles = [function["Role"]["Fn::GetAtt"].removesuffix(".Arn") for function in functions().values()]
    assert len(set(roles)) == len(roles)
    for role in roles:
        trust = ROLES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert [one["Principal"] for one in trust] == [{"Service": "lambda.amazonaws.com"}]


@pytest.mark.parametrize(
    ("role", "group"),
    [
        ("ScheduleRole", {"Fn::GetAtt": "ScheduleGroup.Arn"}),
        (
            "SweepScheduleRole",
            {"Fn::Sub": "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule-group/default"},
        ),
    ],
)
def test_only_this_accounts_schedules_in_their_group_may_take_their_role(role: str, group: dict[str, str]) -> None:
    (trust,) = ROLES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}, "aws:SourceArn": group}
    }


def test_functions_may_pass_on_the_schedules_role_and_only_to_the_scheduler() -> None:
    passing = [
        statement for role in ROLES for statement in _statements(role) if "iam:PassRole" in _list(statement["Action"])
    ]
    assert len(passing) == len(functions())
    for statement in passing:
        assert statement["Resource"] == {"Fn::GetAtt": "ScheduleRole.Arn"}
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


# ---- what is asked ---------------------------------------------------------------------------------------------------


def _as_iam_sees(function: str, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[Asked]:
    arn = f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:"
    match service, operation:
        case "dynamodb", "BatchGetItem":
            for table, wanted in parameters["RequestItems"].items():
                keys = frozenset(key["pk"]["S"] for key in wanted["Keys"])
                yield Asked(function, f"dynamodb:{operation}", f"{arn}table/{table}", keys)
        case "dynamodb", "Query":
            partition = re.match(r"\w+ = (:\w+)", parameters["KeyConditionExpression"])
            assert partition is not None
            value = parameters["ExpressionAttributeValues"][partition[1]]["S"]
            index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
            table = parameters["TableName"]
            yield Asked(function, "dynamodb:Query", f"{arn}table/{table}{index}", frozenset({value}))
        case "dynamodb", _:
            key = parameters.get("Key") or parameters["Item"]
            keys = frozenset({key["pk"]["S"]})
            yield Asked(function, f"dynamodb:{operation}", f"{arn}table/{parameters['TableName']}", keys)
        case "scheduler", _:
            schedule = f"{arn}schedule/{parameters['GroupName']}/{parameters['Name']}"
            yield Asked(function, f"scheduler:{operation}", schedule)
            if operation == "CreateSchedule":
                yield Asked(function, "iam:PassRole", parameters["Target"]["RoleArn"])
        case "lambda", "Invoke":
            yield Asked(function, "lambda:InvokeFunction", parameters["FunctionName"])
        case "secretsmanager", "GetSecretValue":
            yield Asked(function, f"secretsmanager:{operation}", f"{arn}secret:{parameters['SecretId']}-a1B2c3")
        case _:
            raise AssertionError(f"{function} asks for {service} {operation}, which this test does not know")


@cache
def _asked() -> frozenset[Asked]:
    """Everything that the functions ask for while one machine goes through everything that happens to calls."""
    asked: set[Asked] = set()
    with local_stack(first_agent=False) as client:
        stack = client.stack

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            invocation = stack.functions.current()
            if invocation is not None:
                service = model.service_model.service_name
                function = invocation.function.module.split(".")[1]
                asked.update(_as_iam_sees(function, service, model.name, params))

        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-parameter-build", note)
        _everything_that_happens(client)
    return frozenset(asked)


def _everything_that_happens(client: LocalClient) -> None:
    stack = client.stack
    stack.agent_id = stack.create_agent(max_concurrent_calls=1, voicemail_detection=True)
    retries = {
        "enabled": True,
        "max_retries": 1,
        "retry_intervals_minutes": [1],
        "retry_on_statuses": ["no-answer", "busy", "failed", "error"],
    }
    numbers = [f"+1415555{number:04d}" for number in range(100, 112)]
    outcomes = [
        ("completed",),
        ("no-answer", "busy"),
        ("voicemail",),
        ("invalid-number",),
        ("refused-429", "completed"),
        ("error-500", "completed"),
        ("timeout-after-placing",),
        ("no-callback",),
        ("late-callbacks",),
        ("failed", "completed"),
    ]
    inbox_fails = f"{stack.inbox_url}/_inbox/demo/fail"
    request("POST", inbox_fails, {"times": 60, "status": 500})
    for to, script in zip(numbers, outcomes, strict=False):
        client.script(to, *script)
        client.call(to, retry_config=retries)
    call = {"agent_id": stack.agent_id, "recipient_phone_number": numbers[10]}
    for _ in range(2):
        client.api("POST", "/call", call, Idempotency_Key="x")
    later = client.call(numbers[11], scheduled_at="2026-01-27T12:00:00Z")
    client.advance(0)
    assert client.api("POST", f"/call/{later}/stop").status == 200
    waiting = client.call(numbers[11])
    client.advance(0)
    assert client.api("POST", f"/call/{waiting}/stop").status == 200
    client.call(numbers[11])
    client.advance(0)
    more_lines = {"agent_config": {"max_concurrent_calls": 2}}
    assert client.api("PATCH", f"/v2/agent/{stack.agent_id}", more_lines).status == 200
    fewer_lines = {"agent_config": {"max_concurrent_calls": 1}}
    assert client.api("PATCH", f"/v2/agent/{stack.agent_id}", fewer_lines).status == 200
    client.advance(24 * 60)
    request("POST", inbox_fails, {"times": 2, "status": 410})
    client.call(numbers[0])
    client.advance(60)
    client.api("GET", f"/v2/agent/{stack.agent_id}/executions")
    client.api("GET", f"/v2/agent/{stack.agent_id}/executions?status=completed")
    client.api("GET", "/user/me")
    client.api("GET", "/v2/agent/all")
    undelivered = client.api("GET", "/webhooks/undelivered").json["data"]
    assert undelivered
    for execution in undelivered:
        client.api("POST", f"/executions/{execution['execution_id']}/webhooks/replay")
    streaming = stack.create_agent(answer_url=None, stream_url="wss://voice.example.com/")
    client.api("POST", "/call", {"agent_id": streaming, "recipient_phone_number": numbers[0]})
    client.advance(60)
    client.api("POST", f"/v2/agent/{streaming}/stop")
    client.api("DELETE", f"/v2/agent/{streaming}")
    client.advance(1)


def _allowed(asked: Asked) -> bool:
    return any(_matches(statement, asked) for statement in _resolved(asked.function))


def _matches(statement: dict[str, Any], asked: Asked) -> bool:
    return (
        asked.action in _list(statement["Action"])
        and any(fnmatchcase(asked.resource, resource) for resource in _list(statement["Resource"]))
        and _keys_match(statement, asked.keys)
    )


def _keys_match(statement: dict[str, Any], keys: frozenset[str]) -> bool:
    condition = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    if "dynamodb:LeadingKeys" not in condition:
        return True
    return all(any(fnmatchcase(key, pattern) for pattern in condition["dynamodb:LeadingKeys"]) for key in keys)


@cache
def _resolved(function: str) -> list[dict[str, Any]]:
    """A function's statements as one machine's deployment of the template has them."""
    role = functions()[function]["Role"]["Fn::GetAtt"].removesuffix(".Arn")
    statements: list[dict[str, Any]] = Template(PATH).resolve(_statements(role), role)
    return statements


def test_every_function_may_do_what_it_does() -> None:
    asked = _asked()
    assert {one.function for one in asked} == set(functions())
    assert [one for one in sorted(asked, key=repr) if not _allowed(one)] == []


@pytest.mark.parametrize("function", sorted(functions()))
def test_no_function_may_do_what_none_of_it_does(function: str) -> None:
    asked = [one for one in _asked() if one.function == function]
    idle = [
        json.dumps({"Sid": statement["Sid"], "Action": action})
        for statement in _resolved(function)
        for action in _list(statement["Action"])
        if action not in OF_LAMBDA_ITSELF and not any(_matches(statement | {"Action": action}, one) for one in asked)
    ]
    assert idle == []
    unused_keys = {
        pattern
        for statement in _resolved(function)
        for pattern in statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
        if not any(_matches(statement, one) and any(fnmatchcase(key, pattern) for key in one.keys) for one in asked)
    }
    assert unused_keys == set()
