"""A release deployed to MiniStack, an emulated AWS on the local machine.

Limitations of the emulator (1.5.33), and the workarounds here; template.yaml is written for AWS:

- It ignores the OpenAPI document that SAM creates from `HttpApi` events: the HTTP API has no routes. They are added
  through the apigatewayv2 API, from the template's events.
- With AUTH=true functions run under their own roles, and forbidden requests are rejected. But it assumes every schedule
  in the default group, checks BatchExecuteStatement as an action where AWS checks each statement's action, and ignores
  dynamodb:LeadingKeys. Roles also get the default group's schedules, and dynamodb:BatchExecuteStatement with
  PartiQLInsert; tests/infrastructure/test_permissions.py checks leading keys against requests.
- It rejects a stack with a resource of unknown type (such as AWS::Logs::QueryDefinition), or with an alarm over several
  metrics. The former are left out, the latter become alarms over their first metric.
- It is reached without TLS, so the bucket's policy would deny everything: it is removed.
- It reads the table's stream for tally and filters it, but without windows: the event has no shardId. And the stream
  lacks records of PartiQL inserts. Its event source mapping is disabled; `MiniStack.stream_read` reads instead, and
  adds those records.
- It reads the queues of dial and deliver as Lambda does, but without a role: what the roles permit Lambda to do with
  their queue is not checked. It takes a mapping's limit from the template as text, and then reads nothing: the limit is
  set again, as a number.
- Functions run with its own Python on the local architecture, whatever the template says. The layer is built for these.
- It ignores the table's TTL and point-in-time recovery, the bucket's lifecycle, and route throttling; it has neither
  tracing nor loop detection.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure import dist
from tests.support.stack import CommandFailed, Stack, run
from tests.support.template import ROOT, functions, template

REGION = "us-east-1"
ACCOUNT_ID = "000000000000"
STACK = "redial-check"
PYTHON = ROOT / ".venv-ministack/bin/python"
START_SECONDS = 60
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHAREDCREDENTIALS_FILE": os.devnull,
}


class MiniStack(Stack):
    """A running MiniStack at `endpoint`, and the stack `STACK` in it."""

    def __init__(self, endpoint: str, log: Path) -> None:
        session = boto3.Session(
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        super().__init__(STACK, session)
        self.endpoint = endpoint
        self.log = log

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]

    def content(self, path: Path) -> bytes:
        """Like `Stack.content`, but only the part of the template that the emulator can deploy."""
        return _fitted(path) if path.name == dist.PLAIN else super().content(path)

    def deploy(self, made: Path, **parameters: str) -> None:
        """Like `Stack.deploy`, with the workarounds for the emulator."""
        super().deploy(made, **parameters)
        self._allow_contacts()
        self.client("s3").delete_bucket_policy(Bucket=self.outputs()["FilesBucketName"])
        lambda_ = self.client("lambda")
        for mapping in lambda_.list_event_source_mappings()["EventSourceMappings"]:
            changed: dict[str, Any] = {"Enabled": False}
            if ":sqs:" in mapping["EventSourceArn"]:
                limit = int(mapping["ScalingConfig"]["MaximumConcurrency"])
                changed = {"ScalingConfig": {"MaximumConcurrency": limit}}
            lambda_.update_event_source_mapping(UUID=mapping["UUID"], **changed)

    def set_environment(self, **variables: str) -> None:
        """Override variables of every function that has them with local addresses, which the template rightly
        rejects."""
        client = self.client("lambda")
        for function in functions():
            name = self.name_of(function)
            current = client.get_function_configuration(FunctionName=name, Qualifier="live")["Environment"]["Variables"]
            changed = {key: variables.get(key, value) for key, value in current.items()}
            client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
            version = client.publish_version(FunctionName=name, Description=str(time.time()))["Version"]
            client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)

    def add_routes(self) -> str:
        """Add the template's routes to the HTTP API, and return its address."""
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
        """Grant the functions' roles the same rights to the default group's schedules as to their own group's."""
        own = f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{STACK}/*"

        def in_the_default_group(statement: dict[str, Any]) -> dict[str, Any] | None:
            return {**statement, "Resource": own.replace(STACK, "default")} if statement["Resource"] == own else None

        self._allow_too("schedules", in_the_default_group)

    def _allow_contacts(self) -> None:
        """Allow BatchExecuteStatement to the roles with PartiQLInsert."""

        def several(statement: dict[str, Any]) -> dict[str, Any] | None:
            if statement["Action"] != "dynamodb:PartiQLInsert":
                return None
            return {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}

        self._allow_too("contacts", several)

    def _allow_too(self, name: str, also: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Add a policy of that name to each role, with `also` applied to each of its statements (None: add nothing)."""
        iam = self.client("iam")
        for resource in self.resources().values():
            if resource["ResourceType"] != "AWS::IAM::Role":
                continue
            role = resource["PhysicalResourceId"]
            documents = [
                iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
            ]
            for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
                arn = policy["PolicyArn"]
                version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
                documents.append(found["Document"])
            statements = [more for document in documents for one in document["Statement"] if (more := also(one))]
            if statements:
                iam.put_role_policy(
                    RoleName=role,
                    PolicyName=f"emulator-{name}",
                    PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
                )

    @contextmanager
    def stream_read(self) -> Iterator[None]:
        """Within the context, invoke tally with the table's stream from its beginning, as Lambda does with windows.

        Only records of calls are read, as in the template's filter. If tally fails, its records are repeated every half
        second; if they still fail at the end, the failure is raised.
        """
        reader = _StreamReader(self)
        thread = threading.Thread(target=reader.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            reader.end.set()
            thread.join()
        if reader.failure is not None:
            raise reader.failure


def _fitted(path: Path) -> bytes:
    """The template adapted to the emulator, as described at the top of this file."""
    document = json.loads(path.read_text())
    resources, known = document["Resources"], _known_types()
    for name, resource in list(resources.items()):
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind not in known and "Condition" not in resource:
            del resources[name]
        elif kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            measured = next(one["MetricStat"] for one in properties.pop("Metrics") if "MetricStat" in one)
            properties |= {**measured["Metric"], "Statistic": measured["Stat"], "Period": measured["Period"]}
    return json.dumps(document).encode()


def _known_types() -> set[str]:
    listed = "from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as h; print(*h)"
    return set(run(PYTHON, "-c", listed).split())


class _StreamReader:
    """Invokes tally with the records of the table's stream, which has a single shard here."""

    def __init__(self, aws: MiniStack) -> None:
        self.end = threading.Event()
        self.failure: Exception | None = None
        self._seen: set[str] = set()
        self._aws = aws
        self._streams = aws.client("dynamodbstreams")
        table = aws.client("dynamodb").describe_table(TableName=aws.outputs()["TableName"])["Table"]
        self._stream = table["LatestStreamArn"]
        (shard,) = self._streams.describe_stream(StreamArn=self._stream)["StreamDescription"]["Shards"]
        self._shard = shard["ShardId"]

    def run(self) -> None:
        iterator = self._streams.get_shard_iterator(
            StreamArn=self._stream, ShardId=self._shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while not self.end.wait(0.5):
            try:
                found = self._streams.get_records(ShardIterator=iterator)
                seen = set(self._seen)
                of_calls = [one for one in found["Records"] if one["dynamodb"]["Keys"]["pk"]["S"].startswith("X#")]
                records = [one for record in of_calls for one in self._with_insert(record, seen)]
                if records:
                    self._aws.invoke("tally", self._event(records))
            except (CommandFailed, BotoCoreError, ClientError) as failure:
                self.failure = failure
                continue
            self.failure, self._seen = None, seen
            iterator = found["NextShardIterator"]

    @staticmethod
    def _with_insert(record: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
        """The record, preceded by a made-up insert if it is the first record of an item that PartiQL inserted."""
        change = record["dynamodb"]
        item, number = json.dumps(change["Keys"], sort_keys=True), change["SequenceNumber"]
        if item not in seen and "OldImage" in change:
            before = {name: value for name, value in change.items() if name != "OldImage"}
            before |= {"NewImage": change["OldImage"], "SequenceNumber": f"{number}0"}
            yield {**record, "eventName": "INSERT", "dynamodb": before}
        seen.add(item)
        yield {**record, "dynamodb": {**change, "SequenceNumber": f"{number}1"}}

    def _event(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html"""
        seconds = template()["Parameters"]["StatisticsSeconds"]["Default"]
        start = datetime.fromtimestamp(time.time() // seconds * seconds, UTC)
        end = start + timedelta(seconds=seconds)
        event = {
            "Records": [{**record, "eventSourceARN": self._stream} for record in records],
            "window": {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{end:%Y-%m-%dT%H:%M:%SZ}"},
            "state": {},
            "shardId": self._shard,
            "eventSourceARN": self._stream,
            "isFinalInvokeForWindow": False,
            "isWindowTerminatedEarly": False,
        }
        sent: dict[str, Any] = json.loads(json.dumps(event, default=datetime.timestamp))
        return sent


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def ministack(folder: Path, host: str = "127.0.0.1") -> Iterator[MiniStack]:
    """An empty MiniStack on a free port of `host`; its log is in `folder`."""
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
    """The version of the functions' Python in MiniStack, such as "3.13"."""
    return run(PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()


def ministack_version() -> str:
    return run(PYTHON, "-c", "import importlib.metadata as m; print(m.version('ministack'))").strip()
