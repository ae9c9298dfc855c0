"""A stack of this repository in an AWS account: built, deployed, updated and deleted by SAM, and inspected by boto3.

The account is that of the current credentials, or an emulated one (tests/support/ministack.py adds the workarounds).
"""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.support.template import ROOT, functions

SAM = ROOT / ".venv-sam/bin/sam"


class CommandFailed(Exception):
    """A command failed; the message is its output."""


def run(*command: str | Path, **environment: str) -> str:
    """Run a command in the repository and return its output. Raises `CommandFailed`."""
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def build(folder: Path, python: str, processor: str = platform.machine()) -> None:
    """`sam build`, with the layer for that Python version and architecture instead of Lambda's."""
    run(
        SAM,
        "build",
        "--build-dir",
        folder,
        PYTHON=str(ROOT / ".venv/bin/python"),
        LAYER_PYTHON=python,
        LAYER_PROCESSOR="aarch64" if processor == "arm64" else processor,
        SAM_CLI_TELEMETRY="0",
    )


def with_changed_code(built: Path, folder: Path) -> Path:
    """A copy of the build in `folder` with another layer: it has one more module, which is never imported."""
    shutil.copytree(built, folder)
    (folder / "RedialLayer/python/redial/changed.py").write_text('"""Here to make the layer another one."""\n')
    return folder


class Stack:
    """The stack of that name. `environment`: additional variables for `sam` to reach the account."""

    def __init__(self, name: str, session: boto3.Session, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.session = session
        self.region = session.region_name
        self._environment = {**(environment or {}), "SAM_CLI_TELEMETRY": "0"}

    def client(self, service: str) -> Any:
        return self.session.client(service)  # type: ignore[call-overload]  # the stubs want literal names

    def name_of(self, function: str) -> str:
        """A function's deployed name, by its folder's name."""
        return f"{self.name}-{function.replace('_', '-')}"

    def deploy(self, built: Path, **parameters: str) -> None:
        """`sam deploy` of the build, with samconfig.toml's settings and these parameters."""
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        run(
            SAM,
            "deploy",
            "--template-file",
            built / "template.yaml",
            "--config-file",
            ROOT / "samconfig.toml",
            "--stack-name",
            self.name,
            "--region",
            self.region,
            *(["--parameter-overrides", *overrides] if overrides else []),
            **self._environment,
        )

    def delete(self) -> None:
        """`sam delete`: the stack, and the uploads of `sam deploy`."""
        run(SAM, "delete", "--stack-name", self.name, "--region", self.region, "--no-prompts", **self._environment)

    def exists(self) -> bool:
        try:
            self.client("cloudformation").describe_stacks(StackName=self.name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":  # "Stack with id … does not exist"
                return False
            raise
        return True

    def describe(self) -> dict[str, Any]:
        """CloudFormation's description: StackId, StackStatus, Outputs …"""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        described: dict[str, Any] = stack
        return described

    def outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self.describe()["Outputs"]}

    def resources(self) -> dict[str, dict[str, Any]]:
        """The stack's resources, by logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {
            resource["LogicalResourceId"]: resource for page in pages for resource in page["StackResourceSummaries"]
        }

    def live(self, function: str) -> dict[str, Any]:
        """The settings of a function's live version."""
        found: dict[str, Any] = self.client("lambda").get_function_configuration(
            FunctionName=self.name_of(function), Qualifier="live"
        )
        return found

    def live_versions(self) -> dict[str, str]:
        """The number of each function's live version."""
        return {function: self.live(function)["Version"] for function in functions()}

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function, by its folder's name, and return its answer. Raises `CommandFailed` if it fails."""
        answer = self.client("lambda").invoke(
            FunctionName=self.name_of(function), Qualifier="live", Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise CommandFailed(f"{function}: {payload}")
        return payload

    def is_there(self, kind: str, physical_id: str) -> bool | None:
        """Whether a resource exists, according to its own service; None for an unsupported type."""
        look = _LOOKS.get(kind)
        if look is None:
            return None
        service, operation, argument, found = look
        client = self.client(service)
        try:
            answer = getattr(client, operation)(**{argument: [physical_id] if argument.endswith("s") else physical_id})
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404 or _is_not_found(error):
                return False
            raise
        return bool(answer[found]) if found else True


def _is_not_found(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return any(words in code for words in ("NotFound", "NoSuch", "NonExistent", "DoesNotExist"))


_LOOKS = {
    "AWS::ApiGatewayV2::Api": ("apigatewayv2", "get_api", "ApiId", ""),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "AlarmNames", "MetricAlarms"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", "get_dashboard", "DashboardName", ""),
    "AWS::DynamoDB::Table": ("dynamodb", "describe_table", "TableName", ""),
    "AWS::IAM::Role": ("iam", "get_role", "RoleName", ""),
    "AWS::Lambda::EventSourceMapping": ("lambda", "get_event_source_mapping", "UUID", ""),
    "AWS::Lambda::Function": ("lambda", "get_function", "FunctionName", ""),
    "AWS::Lambda::LayerVersion": ("lambda", "get_layer_version_by_arn", "Arn", ""),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroupNamePrefix", "logGroups"),
    "AWS::S3::Bucket": ("s3", "head_bucket", "Bucket", ""),
    "AWS::SQS::Queue": ("sqs", "get_queue_attributes", "QueueUrl", ""),
    "AWS::Scheduler::Schedule": ("scheduler", "get_schedule", "Name", ""),
    "AWS::Scheduler::ScheduleGroup": ("scheduler", "get_schedule_group", "Name", ""),
}
"""How to find a resource by its physical id: service, operation, argument (a list if its name ends in s), and the part
of the answer that is empty for a missing one (without it, an error is raised)."""
