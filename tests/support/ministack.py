"""The real template, built by SAM and deployed to MiniStack, an emulated AWS on this machine.

What the emulator lacks (1.5.33), and what is done about it here; template.yaml is as AWS wants it:

- It does not read the OpenAPI document that SAM makes of `HttpApi` events: the HTTP API comes out without routes. They
  are added through the apigatewayv2 API, as the template's events say.
- With AUTH=true functions run under their own roles, and requests that these do not allow are refused. But it takes
  every schedule to be in the default group, and does not know dynamodb:LeadingKeys. Roles get the default group's
  schedules beside their own; leading keys are held against requests by tests/infrastructure/test_permissions.py.
- Functions run with its own Python and on this machine's processor, whatever the template says. The layer is built for
  those.
- It ignores the table's TTL and point-in-time recovery, and routes' throttling; it neither traces nor looks for loops.
"""

import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3

from tests.support.template import ROOT, functions

REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
STACK = "redial-check"
SAM = ROOT / ".venv-sam/bin/sam"
PYTHON = ROOT / ".venv-ministack/bin/python"
START_SECONDS = 60
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHAREDCREDENTIALS_FILE": os.devnull,
}


class CommandFailed(Exception):
    """A command ended with an error; the message is its output."""


def run(*command: str | Path, **environment: str) -> str:
    """Run a command in the repository and return what it printed. Raises `CommandFailed`."""
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
    """`sam build`, with the layer for that Python version and processor in place of Lambda's."""
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


class MiniStack:
    """A running MiniStack at `endpoint`."""

    def __init__(self, endpoint: str, log: Path) -> None:
        self.endpoint = endpoint
        self.log = log

    def client(self, service: str) -> Any:
        return boto3.client(  # type: ignore[call-overload]  # the stubs want literal names
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def deploy(self, built: Path, **parameters: str) -> None:
        """`sam deploy` of what was built, with samconfig.toml's settings but for these parameters."""
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        run(
            SAM,
            "deploy",
            "--template-file",
            built / "template.yaml",
            "--config-file",
            ROOT / "samconfig.toml",
            "--stack-name",
            STACK,
            *(["--parameter-overrides", *overrides] if overrides else []),
            AWS_ENDPOINT_URL=self.endpoint,
            SAM_CLI_TELEMETRY="0",
            **CREDENTIALS,
        )

    def outputs(self) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def resources(self) -> dict[str, dict[str, Any]]:
        """What the stack holds, by logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {
            resource["LogicalResourceId"]: resource for page in pages for resource in page["StackResourceSummaries"]
        }

    def invoke(self, function: str, event: Any) -> Any:
        """Run a function, by the name of its folder, and return its answer. Raises `CommandFailed` when it fails."""
        answer = self.client("lambda").invoke(
            FunctionName=self.name_of(function), Qualifier="live", Payload=json.dumps(event).encode()
        )
        payload = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise CommandFailed(f"{function}: {payload}")
        return payload

    @staticmethod
    def name_of(function: str) -> str:
        """A function's name there, by the name of its folder."""
        return f"{STACK}-{function.replace('_', '-')}"

    def set_environment(self, **variables: str) -> None:
        """Give every function that has these variables other values: addresses on this machine, which the template
        rightly refuses."""
        client = self.client("lambda")
        for function in functions():
            name = self.name_of(function)
            current = client.get_function_configuration(FunctionName=name, Qualifier="live")["Environment"]["Variables"]
            changed = {key: variables.get(key, value) for key, value in current.items()}
            client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
            version = client.publish_version(FunctionName=name, Description=str(time.time()))["Version"]
            client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    def add_routes(self) -> str:
        """Give the HTTP API the routes that the template says; returns its address."""
        api_id = self.outputs()["HttpApiId"]
        client = self.client("apigatewayv2")
        for function, properties in functions().items():
            for event in properties.get("Events", {}).values():
                if event["Type"] != "HttpApi":
                    continue
                path = event["Properties"].get("Path")
                integration = client.create_integration(
                    ApiId=api_id,
                    IntegrationType="AWS_PROXY",
                    IntegrationUri=f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self.name_of(function)}:live",
                    PayloadFormatVersion="2.0",
                )
                client.create_route(
                    ApiId=api_id,
                    RouteKey=f"{event['Properties']['Method']} {path}" if path else "$default",
                    Target=f"integrations/{integration['IntegrationId']}",
                )
        return f"{self.endpoint}/_aws/execute-api/{api_id}/$default"

    def allow_schedules(self) -> None:
        """Let the functions' roles do with the default group's schedules what they may with their own group's."""
        iam = self.client("iam")
        own = f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{STACK}/*"
        for logical_id, resource in self.resources().items():
            if resource["ResourceType"] != "AWS::IAM::Role":
                continue
            role = resource["PhysicalResourceId"]
            for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                statements = [
                    {**statement, "Resource": own.replace(STACK, "default")}
                    for statement in document["Statement"]
                    if statement["Resource"] == own
                ]
                if statements:
                    iam.put_role_policy(
                        RoleName=role,
                        PolicyName=f"{logical_id}-emulator",
                        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
                    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def ministack(folder: Path, host: str = "127.0.0.1") -> Iterator[MiniStack]:
    """MiniStack on a free port of `host`, with nothing in it; its log is kept in `folder`."""
    port, log = free_port(), folder / "ministack.log"
    environment = {
        **os.environ,
        "AUTH": "true",
        "BIND_HOST": host,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # it would listen on every address
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [PYTHON.with_name("ministack")], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            endpoint = f"http://{host}:{port}"
            _wait_for(f"{endpoint}/_ministack/ready", log)
            yield MiniStack(endpoint, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=2):  # noqa: S310  a fixed http URL
                return
        except OSError:
            time.sleep(0.2)
    raise CommandFailed(f"MiniStack does not answer:\n{log.read_text()[-2000:]}")


def python_version() -> str:
    """The version of the Python that functions run with there: "3.13"."""
    return run(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
