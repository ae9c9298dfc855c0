"""The real template, built by SAM and deployed to MiniStack, an emulated AWS on this machine.

What the emulator lacks (1.5.33), and what is done about it here; template.yaml is as AWS wants it:

- It does not read the OpenAPI document that SAM makes of `HttpApi` events: the HTTP API comes out without routes. They
  are added through the apigatewayv2 API, as the template's events say.
- With AUTH=true functions run under their own roles, and requests that these do not allow are refused. But it takes
  every schedule to be in the default group, takes BatchExecuteStatement for an action where AWS asks for each
  statement's own, and does not know dynamodb:LeadingKeys. Roles get the default group's schedules beside their own,
  and dynamodb:BatchExecuteStatement where they may PartiQLInsert; leading keys are held against requests by
  tests/infrastructure/test_permissions.py.
- It unrolls no loops, and shows a nested stack's resources apart: it is given them unrolled and merged in.
- It refuses a stack with a resource of a type that it does not know (such as AWS::Logs::QueryDefinition), or with an
  alarm over several metrics. The first are left out, the second are made alarms over the first of their metrics.
- It is reached without TLS, so the files' bucket refuses everything: its policy is removed.
- It reads the table's stream for tally and filters it, but knows no windows: the event has no shardId. And in the
  stream there is no record of what PartiQL inserted. Its event source mapping is switched off; `MiniStack.stream_read`
  reads in its place, and makes those records up.
- Functions run with its own Python and on this machine's processor, whatever the template says. The layer is built for
  those.
- It ignores the table's TTL and point-in-time recovery, the bucket's lifecycle, and routes' throttling; it neither
  traces nor looks for loops.
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

from local.cloudformation import load
from tests.support.stack import CommandFailed, Stack, run
from tests.support.template import ROOT, functions

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
        super().__init__(STACK, session, {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint})
        self.endpoint = endpoint
        self.log = log

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint)  # type: ignore[call-overload]

    def deploy(self, built: Path, **parameters: str) -> None:
        """As `Stack.deploy`; what the emulator refuses, or would then take wrongly of it, is made up for."""
        _fit(built / "template.yaml")
        super().deploy(built, **parameters)
        self._allow_contacts()
        self.client("s3").delete_bucket_policy(Bucket=self.outputs()["FilesBucketName"])
        lambda_ = self.client("lambda")
        for mapping in lambda_.list_event_source_mappings()["EventSourceMappings"]:
            lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

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
        own = f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{STACK}/*"

        def in_the_default_group(statement: dict[str, Any]) -> dict[str, Any] | None:
            return {**statement, "Resource": own.replace(STACK, "default")} if statement["Resource"] == own else None

        self._allow_too("schedules", in_the_default_group)

    def _allow_contacts(self) -> None:
        """Let the roles that may PartiQLInsert do so several times in one request."""

        def several(statement: dict[str, Any]) -> dict[str, Any] | None:
            if statement["Action"] != "dynamodb:PartiQLInsert":
                return None
            return {"Effect": "Allow", "Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}

        self._allow_too("contacts", several)

    def _allow_too(self, name: str, also: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Add to each role, in a policy of that name, what `also` makes of its statements (None: nothing)."""
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
        """Have tally read the table's stream from its beginning, as Lambda does in windows, while the context lasts.

        Nothing is filtered. Records for which tally fails come again, every half second; at the end the failure is
        raised, if they never came through.
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


def _fit(path: Path) -> None:
    """Make that template one that the emulator takes, as the head of this file says."""
    document = load(path)
    document["Transform"] = "AWS::Serverless-2016-10-31"
    resources, known = document["Resources"], _known_types()
    for name, resource in list(resources.items()):
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind not in known and not kind.startswith("AWS::Serverless::") and "Condition" not in resource:
            del resources[name]
        elif kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            measured = next(one["MetricStat"] for one in properties.pop("Metrics") if "MetricStat" in one)
            properties |= {**measured["Metric"], "Statistic": measured["Stat"], "Period": measured["Period"]}
    path.write_text(json.dumps(document))  # which is YAML too


def _known_types() -> set[str]:
    listed = "from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS as h; print(*h)"
    return set(run(PYTHON, "-c", listed).split())


class _StreamReader:
    """Invokes tally with the records of the table's stream, of the only shard that there is here."""

    def __init__(self, aws: MiniStack) -> None:
        self.end = threading.Event()
        self.failure: Exception | None = None
        self._known: set[str] = set()
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
                known = set(self._known)
                records = [one for record in found["Records"] for one in self._with_insert(record, known)]
                if records:
                    self._aws.invoke("tally", self._event(records))
            except (CommandFailed, BotoCoreError, ClientError) as failure:
                self.failure = failure
                continue
            self.failure, self._known = None, known
            iterator = found["NextShardIterator"]

    @staticmethod
    def _with_insert(record: dict[str, Any], known: set[str]) -> Iterator[dict[str, Any]]:
        """The record; before it another, if it is the first of an item that was there before: PartiQL inserted it."""
        change = record["dynamodb"]
        item, number = json.dumps(change["Keys"], sort_keys=True), change["SequenceNumber"]
        if item not in known and "OldImage" in change:
            before = {name: value for name, value in change.items() if name != "OldImage"}
            before |= {"NewImage": change["OldImage"], "SequenceNumber": f"{number}0"}
            yield {**record, "eventName": "INSERT", "dynamodb": before}
        known.add(item)
        yield {**record, "dynamodb": {**change, "SequenceNumber": f"{number}1"}}

    def _event(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html"""
        (declared,) = functions()["tally"]["Events"].values()
        seconds = declared["Properties"]["TumblingWindowInSeconds"]
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


def ministack_version() -> str:
    return run(PYTHON, "-c", "import importlib.metadata as m; print(m.version('ministack'))").strip()
