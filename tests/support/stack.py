"""A stack of this repository in an AWS account: create it from a release's files, update, delete and inspect it.

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
from botocore.exceptions import ClientError, WaiterError

from infrastructure import dist
from tests.support.template import ROOT, functions

SAM = ROOT / ".venv-sam/bin/sam"
POLL_SECONDS, CHANGE_SECONDS = 2, 1800
"""How often to check a creation, update or deletion, and for how long."""


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
    """Run `sam build`, with the layer for that Python version and architecture instead of Lambda's."""
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


def make_dist(folder: Path, python: str, processor: str = platform.machine()) -> Path:
    """Make a release as `make dist` does, with the layer for that Python version and architecture; return its path."""
    processor = "aarch64" if processor == "arm64" else processor
    dist.build_layer(folder / "layer", LAYER_PYTHON=python, LAYER_PROCESSOR=processor)
    dist.write(folder / "layer", folder / "dist")
    return folder / "dist"


def with_changed_code(made: Path, folder: Path) -> Path:
    """Make the release of `made` in `folder` with another layer, which has one more module that is never imported."""
    shutil.copytree(made.parent / "layer", folder / "layer")
    (folder / "layer/python/redial/changed.py").write_text('"""Here to make the layer another one."""\n')
    dist.write(folder / "layer", folder / "dist")
    return folder / "dist"


class Stack:
    """The stack of that name. Its release is copied into a bucket of its own, which is deleted with it."""

    def __init__(self, name: str, session: boto3.Session) -> None:
        self.name = name
        self.session = session
        self.region = session.region_name

    def client(self, service: str) -> Any:
        return self.session.client(service)  # type: ignore[call-overload]  # the stubs want literal names

    def name_of(self, function: str) -> str:
        """A function's deployed name, by its folder's name."""
        return f"{self.name}-{function.replace('_', '-')}"

    def deploy(self, made: Path, **parameters: str) -> None:
        """Copy the release into the bucket, and create the stack from its template, or update it.

        Parameters that are not given keep their values. Raises `CommandFailed` if CloudFormation fails.
        """
        self._upload(made)
        url = f"https://s3.{self.region}.amazonaws.com/{self.bucket}/{dist.PREFIX}/{dist.PLAIN}"
        given = {"CodeBucket": self.bucket, **parameters}
        sent: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        cloudformation, there = self.client("cloudformation"), self.exists()
        if there:
            kept = {one["ParameterKey"] for one in self.describe()["Parameters"]} - given.keys()
            sent += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]
        change = cloudformation.update_stack if there else cloudformation.create_stack
        change(StackName=self.name, TemplateURL=url, Parameters=sent, Capabilities=["CAPABILITY_IAM"])
        self._wait_for("stack_update_complete" if there else "stack_create_complete", self.name)

    @property
    def bucket(self) -> str:
        """The bucket with the release's files."""
        return f"{self.name}-dist-{self.client('sts').get_caller_identity()['Account']}-{self.region}".lower()

    def _upload(self, made: Path) -> None:
        s3 = self.client("s3")
        if self.bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
            place = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
            s3.create_bucket(Bucket=self.bucket, **({} if self.region == "us-east-1" else place))
        for path in made.iterdir():
            s3.put_object(Bucket=self.bucket, Key=f"{dist.PREFIX}/{path.name}", Body=self.content(path))

    def content(self, path: Path) -> bytes:
        """The content to upload for a release's file: all of it."""
        return path.read_bytes()

    def _wait_for(self, waiter: str, stack: str) -> None:
        cloudformation = self.client("cloudformation")
        try:
            cloudformation.get_waiter(waiter).wait(
                StackName=stack, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": CHANGE_SECONDS // POLL_SECONDS}
            )
        except WaiterError as error:
            events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                for event in events
                if event["ResourceStatus"].endswith("_FAILED")
            ]
            raise CommandFailed("\n".join([str(error), *reasons])) from error

    def delete(self) -> None:
        """Delete the stack, and the bucket with the release."""
        stack_id = self.describe()["StackId"]
        self.client("cloudformation").delete_stack(StackName=self.name)
        self._wait_for("stack_delete_complete", stack_id)
        s3 = self.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for one in page["Contents"]:
                s3.delete_object(Bucket=self.bucket, Key=one["Key"])
        s3.delete_bucket(Bucket=self.bucket)

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
of the answer that is empty for a missing resource (if empty, an error is raised)."""
