"""Permissions of each role: exactly those that its function uses on the local stack."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import boto3
import pytest

from functions.sweep import handler as sweep
from local.aws.functions import ACCOUNT_ID, REGION
from local.carriers.twilio_calls import signature
from local.template import Template
from local.web.inbox import Scripted
from redial.adapters.dynamodb import listings
from redial.usecases import run_batch
from tests.support.local_stack import Answer, LocalClient, local_stack, request
from tests.support.template import PATH, functions, of_type, template

ROLES = of_type("AWS::IAM::Role")
SHARED = of_type("AWS::IAM::ManagedPolicy")
ATTACHED = "ManagedPolicyArns"
OF_LAMBDA_ITSELF = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""Actions that Lambda itself performs under the function's role; `_of_lambda_itself` adds one."""


@dataclass(frozen=True)
class Asked:
    """A function's request to AWS, as IAM sees it.

    `keys`: the partition keys, for DynamoDB; the requested file, for `s3:ListBucket`.
    """

    function: str
    action: str
    resource: str
    keys: frozenset[str] = field(default_factory=frozenset)


def _attached(role: str) -> list[dict[str, Any]]:
    """The managed policies of a role, all of them from this template."""
    return [SHARED[policy["Ref"]] for policy in ROLES[role]["Properties"].get(ATTACHED, [])]


def _statements(role: str) -> list[dict[str, Any]]:
    policies = [*ROLES[role]["Properties"]["Policies"], *(policy["Properties"] for policy in _attached(role))]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


each_role = pytest.mark.parametrize("role", sorted(ROLES))


@each_role
def test_permissions_name_their_actions_without_wildcards(role: str) -> None:
    for statement in _statements(role):
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource"} & set(statement)
        for action in _list(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z]+", action), action


@each_role
def test_a_statement_for_all_resources_has_a_reason(role: str) -> None:
    places = (ROLES[role], *_attached(role))
    reasons = {sid: why for one in places for sid, why in one.get("Metadata", {}).get("Wildcards", {}).items()}
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
def test_only_this_accounts_schedules_in_the_group_may_assume_their_role(role: str, group: dict[str, str]) -> None:
    (trust,) = ROLES[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}, "aws:SourceArn": group}
    }


def test_a_deployment_may_change_only_this_stacks_aliases() -> None:
    (trust,) = ROLES["DeploymentRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Principal"], trust["Action"]) == ({"Service": "codedeploy.amazonaws.com"}, "sts:AssumeRole")
    assert ROLES["DeploymentRole"]["Condition"] == "IsGradual"
    assert set(_that_allow("lambda:UpdateAlias")) == {"DeploymentRole"}
    assert "*" not in "".join(
        resource["Fn::Sub"] for resource in _that_allow("lambda:UpdateAlias")["DeploymentRole"]["Resource"]
    )


def test_there_are_no_other_roles_or_policies() -> None:
    """Every role belongs to a function, a schedule or the deployment; all other policies deny, or belong to a role."""
    of_functions = {function["Role"]["Fn::GetAtt"].removesuffix(".Arn") for function in functions().values()}
    assert set(ROLES) == of_functions | {"ScheduleRole", "SweepScheduleRole", "DeploymentRole"}
    others = {
        name: one
        for name, one in template()["Resources"].items()
        if one["Type"].startswith("AWS::IAM::") or one["Type"].endswith(("Policy", "Permission"))
        if name not in {*ROLES, *SHARED}
    }
    assert set(others) == {"FilesBucketPolicy"}
    for statement in others["FilesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]:
        assert statement["Effect"] == "Deny"
    assert set(SHARED) == {policy["Ref"] for one in ROLES.values() for policy in one["Properties"].get(ATTACHED, [])}
    for policy in SHARED.values():
        assert set(policy["Properties"]) == {"Description", "PolicyDocument"}, (
            "roles refer to it, and it refers to no role"
        )


def _that_allow(action: str) -> dict[str, dict[str, Any]]:
    """The statement that allows an action, by role; no role has two such statements."""
    return {role: one for role in ROLES for one in _statements(role) if action in _list(one["Action"])}


def test_functions_with_timers_may_pass_the_schedules_role_to_the_scheduler_only() -> None:
    passing = _that_allow("iam:PassRole")
    assert set(passing) == set(_that_allow("scheduler:CreateSchedule"))
    for statement in passing.values():
        assert statement["Resource"] == {"Fn::GetAtt": "ScheduleRole.Arn"}
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_timers_and_the_sweepers_schedule_may_invoke_only_their_functions() -> None:
    invoking = {
        role: {resource["Fn::Sub"].rpartition("${AWS::StackName}-")[2] for resource in _list(one["Resource"])}
        for role, one in _that_allow("lambda:InvokeFunction").items()
    }
    assert invoking["ScheduleRole"] == {"dial:live", "deliver:live", "batch:live"}
    assert invoking["SweepScheduleRole"] == {"sweep:live"}


def test_schedules_may_send_to_both_queues_and_each_queue_has_one_reader() -> None:
    sending = {
        resource["Fn::GetAtt"]
        for one in _statements("ScheduleRole")
        if one["Action"] == "sqs:SendMessage"
        for resource in _list(one["Resource"])
    }
    assert sending == {"DialQueue.Arn", "DeliverQueue.Arn", "ScheduleDeadLetters.Arn"}
    receiving = {role: one["Resource"] for role, one in _that_allow("sqs:ReceiveMessage").items()}
    assert receiving == {
        "DialRole": {"Fn::GetAtt": "DialQueue.Arn"},
        "DeliverRole": {"Fn::GetAtt": "DeliverQueue.Arn"},
    }
    for action in ("sqs:DeleteMessage", "sqs:GetQueueAttributes"):
        assert {role: one["Resource"] for role, one in _that_allow(action).items()} == receiving


def test_only_tally_reads_the_stream_and_counts() -> None:
    assert set(_that_allow("dynamodb:GetRecords")) == {"TallyRole"}
    assert _that_allow("dynamodb:GetRecords")["TallyRole"]["Resource"] == {"Fn::GetAtt": "Table.StreamArn"}
    counting = {
        role
        for action in ("dynamodb:PutItem", "dynamodb:UpdateItem")
        for role, one in _that_allow(action).items()
        if "C#*" in one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    }
    assert counting == {"TallyRole", "BatchRole"}, "batch removes them"


def test_only_api_and_batch_may_use_the_bucket() -> None:
    for action in ("s3:GetObject", "s3:PutObject"):
        assert set(_that_allow(action)) == {"ApiRole", "BatchRole"}
    assert set(_that_allow("s3:DeleteObject")) == {"BatchRole"}
    assert set(_that_allow("s3:ListBucket")) == {"ApiRole"}
    assert _that_allow("s3:GetObject")["BatchRole"]["Resource"] == {"Fn::Sub": "${FilesBucket.Arn}/batches/*"}


# ---- requests of the functions ---------------------------------------------------------------------------------------


def _as_iam_sees(function: str, service: str, operation: str, parameters: dict[str, Any]) -> Iterator[Asked]:
    arn = f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:"
    match service, operation:
        case "dynamodb", "BatchExecuteStatement":
            for statement in parameters["Statements"]:
                insert = re.fullmatch(r'INSERT INTO "([^"]+)" VALUE {(.+)}', statement["Statement"])
                assert insert is not None, statement["Statement"]
                names = re.findall(r"'(\w+)': \?", insert[2])
                keys = frozenset({statement["Parameters"][names.index("pk")]["S"]})
                yield Asked(function, "dynamodb:PartiQLInsert", f"{arn}table/{insert[1]}", keys)
        case "dynamodb", "BatchGetItem":
            for table, wanted in parameters["RequestItems"].items():
                keys = frozenset(key["pk"]["S"] for key in wanted["Keys"])
                yield Asked(function, f"dynamodb:{operation}", f"{arn}table/{table}", keys)
        case "dynamodb", "BatchWriteItem":
            for table, writes in parameters["RequestItems"].items():
                keys = frozenset(one["PutRequest"]["Item"]["pk"]["S"] for one in writes)
                yield Asked(function, f"dynamodb:{operation}", f"{arn}table/{table}", keys)
        case "dynamodb", "Query":
            partition = re.match(r"\w+ = (:\w+)", parameters["KeyConditionExpression"])
            assert partition is not None
            value = parameters["ExpressionAttributeValues"][partition[1]]["S"]
            index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
            table = parameters["TableName"]
            yield Asked(function, "dynamodb:Query", f"{arn}table/{table}{index}", frozenset({value}))
        case "dynamodb", "TransactWriteItems":
            for write in parameters["TransactItems"]:
                ((kind, one),) = write.items()
                yield from _as_iam_sees(function, service, f"{kind}Item", one)
        case "dynamodb", _:
            key = parameters.get("Key") or parameters["Item"]
            keys = frozenset({key["pk"]["S"]})
            yield Asked(function, f"dynamodb:{operation}", f"{arn}table/{parameters['TableName']}", keys)
        case "scheduler", _:
            schedule = f"{arn}schedule/{parameters['GroupName']}/{parameters['Name']}"
            yield Asked(function, f"scheduler:{operation}", schedule)
            if operation == "CreateSchedule":
                yield Asked(function, "iam:PassRole", parameters["Target"]["RoleArn"])
        case "s3", "CopyObject":
            source = parameters["CopySource"]  # botocore has serialized it by now
            yield Asked(function, "s3:GetObject", f"arn:aws:s3:::{source}")
            yield Asked(function, "s3:PutObject", f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}")
        case "s3", "HeadObject":
            bucket = f"arn:aws:s3:::{parameters['Bucket']}"
            yield Asked(function, "s3:GetObject", f"{bucket}/{parameters['Key']}")
            yield Asked(function, "s3:ListBucket", bucket, frozenset({parameters["Key"]}))
        case "s3", "DeleteObject" | "GetObject" | "PutObject":
            yield Asked(function, f"s3:{operation}", f"arn:aws:s3:::{parameters['Bucket']}/{parameters['Key']}")
        case "sqs", "SendMessage":
            yield Asked(function, "sqs:SendMessage", arn + parameters["QueueUrl"].rpartition("/")[2])
        case "lambda", "Invoke":
            yield Asked(function, "lambda:InvokeFunction", parameters["FunctionName"])
        case "secretsmanager", "GetSecretValue":
            yield Asked(function, f"secretsmanager:{operation}", f"{arn}secret:{parameters['SecretId']}-a1B2c3")
        case _:
            raise AssertionError(f"{function} asks for {service} {operation}, which this test does not know")


@cache
def _asked() -> frozenset[Asked]:
    """All requests of the functions while the local stack plays every situation of calls."""
    asked: set[Asked] = set()
    with local_stack(first_agent=False, parameters={"KeepDays": "2"}) as client:
        stack = client.stack

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            invocation = stack.functions.current()
            if invocation is not None:
                service = model.service_model.service_name
                function = invocation.function.module.split(".")[1]
                asked.update(_as_iam_sees(function, service, model.name, params))

        assert boto3.DEFAULT_SESSION is not None
        boto3.DEFAULT_SESSION.events.register("before-parameter-build", note)
        stack.carrier.calls.calls_per_second = 10  # before the secret is read for the first time
        stack.aws.client("secretsmanager").put_secret_value(**stack.carrier_secret("twilio"))
        with mock.patch.object(sweep, "LIMIT", 1):  # it invokes itself for the rest
            _everything_that_endpoints_answer(client)
            _everything_that_happens_to_calls(client)
            large = client.call("+14155550100", user_data={"notes": "x" * 2000})
            _everything_that_happens_to_batches(client)
        client.advance(6 * 24 * 60)  # everything expires
        assert client.api("GET", f"/executions/{large}").status == 404
    return frozenset(asked)


def _everything_that_happens_to_calls(client: LocalClient) -> None:
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
    number = {"phone_number": numbers[11]}
    assert client.api("POST", "/suppressions", number).status == 200
    client.call(numbers[11])
    client.advance(0)
    assert client.api("DELETE", f"/suppressions?{urlencode(number)}").json["deleted"] == 1
    more_lines = {"agent_config": {"max_concurrent_calls": 2}}
    assert client.api("PATCH", f"/v2/agent/{stack.agent_id}", more_lines).status == 200
    fewer_lines = {"agent_config": {"max_concurrent_calls": 1}}
    assert client.api("PATCH", f"/v2/agent/{stack.agent_id}", fewer_lines).status == 200
    client.advance(10)
    _lose_redeliveries(client)
    client.advance(24 * 60)
    _report_late(client, retries)
    request("POST", inbox_fails, {"times": 2, "status": 410})
    client.call(numbers[0])
    client.advance(60)
    client.api("GET", f"/v2/agent/{stack.agent_id}/executions")
    client.api("GET", f"/v2/agent/{stack.agent_id}/executions?status=completed")
    client.api("GET", f"/v2/agent/{stack.agent_id}/executions?user_number=%2B14155550100")
    with mock.patch.multiple(listings, MOST_KEYS=1, SPACING=1):  # more calls than one run counts
        client.api("GET", f"/v2/agent/{stack.agent_id}/executions")
    client.advance(1)
    client.script("+14155550190", "refused-21210", "completed")
    client.call("+14155550190")
    client.advance(0)
    for item in client.api("GET", "/attention").json["data"]:
        assert client.api("POST", f"/attention/{item['id']}/resolve").status == 200
    client.api("GET", "/user/me")
    client.api("GET", "/now")
    key = client.api("POST", "/keys", {"name": "dashboard", "quotas": {"calls_a_day": 1}}).json
    tomorrow = (client.stack.clock.now() + timedelta(days=1)).isoformat()
    one_call = {"agent_id": stack.agent_id, "recipient_phone_number": numbers[0], "scheduled_at": tomorrow}
    assert client.api("POST", "/call", one_call, Authorization=f"Bearer {key['api_key']}").status == 200
    assert client.api("GET", "/keys").status == 200
    assert client.api("DELETE", f"/keys/{key['id']}").status == 200
    assert client.api("GET", "/audit").status == 200
    client.api("GET", "/v2/agent/all")
    undelivered = client.api("GET", "/webhooks/undelivered").json["data"]
    assert undelivered
    for execution in undelivered:
        client.api("POST", f"/executions/{execution['execution_id']}/webhooks/replay")
    client.script(numbers[0], "completed")
    ringing = client.api("POST", "/call", {"agent_id": stack.create_agent(), "recipient_phone_number": numbers[0]})
    client.advance(5 / 60)
    assert client.api("POST", f"/call/{ringing.json['execution_id']}/stop").status == 200
    assert client.api("DELETE", f"/executions/{undelivered[0]['execution_id']}").status == 200
    streaming = stack.create_agent(answer_url=None, stream_url="wss://voice.example.com/")
    client.api("POST", "/call", {"agent_id": streaming, "recipient_phone_number": numbers[0]})
    client.advance(60)
    client.api("POST", f"/v2/agent/{streaming}/stop")
    client.api("DELETE", f"/v2/agent/{streaming}")
    client.advance(1)


def _report_late(client: LocalClient, retries: dict[str, Any]) -> None:
    """The carrier reports a call whose attempt was given up, while its retry waits for its due time."""
    stack, to = client.stack, "+14155550199"
    client.script(to, "error-500")
    execution_id = client.call(to, retry_config=retries | {"retry_intervals_minutes": [30]})
    client.advance(10)
    assert client.execution(execution_id)["status"] == "scheduled"
    url = f"{stack.url}/callbacks/twilio/{execution_id}/1"
    fields = {
        "CallSid": f"CA{1:032d}",
        "CallStatus": "busy",
        "AccountSid": stack.carrier.account_sid,
        "To": to,
        "Timestamp": "Mon, 26 Jan 2026 12:00:00 +0000",
        "SequenceNumber": "1",
    }
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature(stack.carrier.auth_token, url, fields),
    }
    assert request("POST", url, urlencode(fields).encode(), headers).status == 204
    assert client.execution(execution_id)["retry_history"][0]["status"] == "busy"


def _lose_redeliveries(client: LocalClient) -> None:
    """Delete the schedules of redeliveries, which the sweeper must then repair."""
    scheduler = client.stack.aws.client("scheduler")
    for schedule in client.stack.scheduler.schedules():
        group, name = schedule.key
        if ".deliver." in name:
            scheduler.delete_schedule(GroupName=group, Name=name)


def _everything_that_happens_to_batches(client: LocalClient) -> None:
    stack = client.stack
    agent_id = stack.create_agent(max_concurrent_calls=2)
    numbers = [f"+1415556{number:04d}" for number in range(100, 112)]
    retries = {"enabled": True, "max_retries": 1, "retry_intervals_minutes": [1]}
    for to in numbers[::3]:
        client.script(to, "busy", "completed")

    def create(rows: list[str], **fields: str) -> str:
        fields = {"agent_id": agent_id, "retry_config": json.dumps(retries), **fields}
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
        file = "\n".join(["contact_number", *rows])
        parts.append(f'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n{file}')
        body = "".join(f"--cut\r\n{part}\r\n" for part in parts) + "--cut--\r\n"
        answer = client.api("POST", "/batches", body.encode(), Content_Type="multipart/form-data; boundary=cut")
        assert answer.status == 201, answer
        return str(answer.json["batch_id"])

    def ask(method: str, path: str, body: Any = None) -> Answer:
        answer = client.api(method, path, body)
        assert answer.status < 400, (method, path, answer)
        return answer

    ended = create([*numbers, "no number"], webhook_url=f"{stack.inbox_url}/batches", start="now")
    client.advance(60)
    ask("DELETE", f"/executions/{ask('GET', f'/batches/{ended}/executions').json[0]['id']}")
    client.advance(1)
    for path in (f"{ended}", f"{ended}/executions", f"{ended}/rejected.csv", f"{ended}/results.csv", f"{agent_id}/all"):
        ask("GET", f"/batches/{path}")

    client.script(numbers[1], "completed")
    ringing = create([numbers[1]], start="now")
    client.advance(5 / 60)
    ask("POST", f"/batches/{ringing}/stop")
    client.advance(1)

    file = b"contact_number\n+14155560120\n"
    upload = ask("POST", "/batches/uploads", {"size": len(file)}).json
    assert request("PUT", upload["url"], file).status == 200
    uploaded = {"agent_id": agent_id, "upload_id": upload["upload_id"]}
    scheduled = ask("POST", "/batches", uploaded).json["batch_id"]
    missing = ask("POST", "/batches/uploads", {"size": 1}).json["upload_id"]
    assert client.api("POST", "/batches", {**uploaded, "upload_id": missing}).status == 404
    client.advance(1)
    in_an_hour = (stack.clock.now() + timedelta(hours=1)).isoformat()
    ask("POST", f"/batches/{scheduled}/schedule", {"scheduled_at": in_an_hour})
    ask("POST", f"/batches/{scheduled}/stop")

    slow = create(numbers, calls_per_second="0.1", retries_first="false", start="now")
    client.advance(1)
    ask("POST", f"/batches/{slow}/pause")
    client.advance(15)
    ask("POST", f"/batches/{slow}/resume")
    client.advance(1)
    for execution in ask("GET", f"/batches/{slow}/executions").json:
        client.api("POST", f"/call/{execution['id']}/stop")
    client.advance(60)
    _rooms(client, agent_id, create)
    stopped = create(numbers, start="now")
    client.advance(0)
    ask("POST", f"/batches/{stopped}/stop")
    with mock.patch.object(run_batch, "SECONDS_TO_SPARE", 10_000.0):  # out of time at once: it invokes itself
        client.advance(1)
    for batch_id in (ended, scheduled, slow, stopped):
        ask("DELETE", f"/batches/{batch_id}")
    client.advance(60)


def _rooms(client: LocalClient, agent_id: str, create: Callable[..., str]) -> None:
    """Have contacts wait in the delayed set until a callback or the sweeper pops them for a free line."""

    def agent(**config: Any) -> None:
        assert client.api("PATCH", f"/v2/agent/{agent_id}", {"agent_config": config}).status == 200

    agent(max_concurrent_calls=1)
    for at, outcome in enumerate(("completed", "no-callback", "invalid-number")):
        numbers = [f"+1415557{100 * at + number:04d}" for number in range(5)]
        client.script(numbers[0], "busy", "completed")
        client.script(numbers[1], "completed")
        for to in numbers[2:]:
            client.script(to, outcome)
        create(numbers, retries_first="false", start="now")
        client.advance(120)
    client.script("+14155580100", "busy")
    request("POST", f"{client.stack.inbox_url}/_inbox/demo/fail", {"times": 1, "status": 410})
    retried = create(["+14155580100"], start="now")
    client.advance(0.5)
    assert client.api("DELETE", f"/batches/{retried}").status == 200, "with the schedule of its retry"
    client.advance(10)
    opens = (client.stack.clock.now().hour - 5 + 2) % 24  # in two hours in Washington, in five in San Francisco
    agent(calling_guardrails={"call_start_hour": opens, "call_end_hour": (opens + 9) % 24})
    moved = create(["+12025550111", "+14155550111", "+14155550112"], start="now")
    client.advance(10)
    waiting = client.api("GET", f"/batches/{moved}/executions").json
    assert {execution["status"] for execution in waiting} == {"rescheduled"}
    assert client.api("POST", f"/call/{waiting[-1]['id']}/stop").status == 200
    client.advance(6 * 60)
    agent(calling_guardrails={"call_start_hour": 0, "call_end_hour": 0}, max_concurrent_calls=2)


def _everything_that_endpoints_answer(client: LocalClient) -> None:
    """Cover suppressions by a webhook's answer, a refusal and a report, the account's first included, and a kept
    verdict."""
    inbox, answer = client.stack.inbox_url, client.stack.inbox.answer
    answer("scrub", Scripted({"allowed": True, "expires_at": "2030-01-01T00:00:00Z"}))
    answer("events", Scripted({"suppress": True}))
    first = client.stack.create_agent(webhook_url=f"{inbox}/events")
    client.call("+14155590102", agent_id=first)
    client.advance(1)
    scrub = {"url": f"{inbox}/scrub"}
    one, other = (client.stack.create_agent(telephony_provider=name, scrub=scrub) for name in ("twilio", "http"))
    opted_out, reported = "+14155590100", "+14155590101"
    client.script(opted_out, "refused-21610")
    client.call(opted_out, agent_id=one)
    client.stack.platform.opting_out.add(reported)
    client.script(reported, "completed")
    client.call(reported, agent_id=other)
    client.advance(5)


def _allowed(asked: Asked) -> bool:
    return any(_matches(statement, asked) for statement in _resolved(asked.function))


def _matches(statement: dict[str, Any], asked: Asked) -> bool:
    return (
        asked.action in _list(statement["Action"])
        and any(fnmatchcase(asked.resource, resource) for resource in _list(statement["Resource"]))
        and _keys_match(statement, asked.keys)
    )


def _keys_match(statement: dict[str, Any], keys: frozenset[str]) -> bool:
    patterns = _key_patterns(statement)
    return not patterns or all(any(fnmatchcase(key, pattern) for pattern in patterns) for key in keys)


def _key_patterns(statement: dict[str, Any]) -> list[str]:
    condition = statement.get("Condition", {})
    leading = _list(condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", []))
    return leading or _list(condition.get("StringLikeIfExists", {}).get("s3:prefix", []))


@cache
def _resolved(function: str) -> list[dict[str, Any]]:
    """A function's statements as the local stack resolves them."""
    role = functions()[function]["Role"]["Fn::GetAtt"].removesuffix(".Arn")
    statements: list[dict[str, Any]] = Template(PATH).resolve(_statements(role), role)
    return statements


def _of_lambda_itself(function: str, statement: dict[str, Any]) -> bool:
    """Whether Lambda itself does what the statement permits; it sends failed events to their destination."""
    failed = functions()[function].get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure", {})
    if statement["Action"] == "sqs:SendMessage" and failed:
        return bool(statement["Resource"] == Template(PATH).resolve(failed["Destination"], function))
    return set(_list(statement["Action"])) <= OF_LAMBDA_ITSELF


def test_every_function_has_the_permissions_that_it_uses() -> None:
    asked = _asked()
    assert {one.function for one in asked} == set(functions())
    assert [one for one in sorted(asked, key=repr) if not _allowed(one)] == []


@pytest.mark.parametrize("function", sorted(functions()))
def test_no_function_has_a_permission_that_it_does_not_use(function: str) -> None:
    asked = [one for one in _asked() if one.function == function]
    idle = [
        json.dumps({"Sid": statement["Sid"], "Action": action})
        for statement in _resolved(function)
        for action in _list(statement["Action"])
        if not _of_lambda_itself(function, statement)
        if not any(_matches(statement | {"Action": action}, one) for one in asked)
    ]
    assert idle == []
    unused_keys = {
        pattern
        for statement in _resolved(function)
        for pattern in _key_patterns(statement)
        if not any(_matches(statement, one) and any(fnmatchcase(key, pattern) for key in one.keys) for one in asked)
    }
    assert unused_keys == set()
    unused_resources = {
        resource
        for statement in _resolved(function)
        for resource in _list(statement["Resource"])
        if not _of_lambda_itself(function, statement)
        and not any(_matches(statement | {"Resource": resource}, one) for one in asked)
    }
    assert unused_resources == set()
