"""`sam local` without an AWS account: the built functions in Lambda's container, an emulated AWS around them.

`python -m tests.support.sam_local` starts the environment, prints the commands and waits; see docs/sam-local.md.

SAM passes only declared variables to a container, so a copy of the built template declares the address of the emulated
AWS. In the copy, loops are expanded, and the local architecture replaces Lambda's.
"""

import json
import os
import platform
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.carriers.twilio import Carrier
from local.clock import Timeline
from local.cloudformation import load
from local.web.server import HttpServer, send
from tests.support import sample_events
from tests.support.ministack import CREDENTIALS, REGION, STACK, MiniStack, free_port, ministack
from tests.support.stack import SAM, CommandFailed, build, run
from tests.support.table import create_table
from tests.support.template import ROOT, functions

FOLDER = ROOT / ".aws-sam/local"
API_LOG = FOLDER / "start-api.log"
CARRIER_SECRETS = "redial-dev"
BUCKET = f"{STACK}-files"
FLAGS = os.environ.get("SAM_LOCAL_FLAGS", "").split()
"""Additional flags for `sam local`, such as another image if AWS's registry is unreachable."""
OWN_ENDPOINT = os.environ.get("SAM_LOCAL_AWS_ENDPOINT", "")
"""A running, empty emulated AWS that containers can reach; without it MiniStack is started."""
START_API_PORT = 3000
"""SAM's own default."""
START_SECONDS = 60
ENVIRONMENT = {**CREDENTIALS, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_CONTAINER_CONNECTION_TIMEOUT": "90"}
"""Longer than SAM's default of 20 seconds, which a container exceeds on a busy machine."""


class SamLocal:
    """The running environment of `sam local`. `aws`: any server with AWS's APIs at `aws.endpoint`."""

    def __init__(self, aws: MiniStack) -> None:
        self.aws = aws

    def put_records(self) -> None:
        """Recreate the table, with the sample events' items as of now."""
        dynamodb = self.aws.client("dynamodb")
        if STACK in dynamodb.list_tables()["TableNames"]:
            dynamodb.delete_table(TableName=STACK)
        create_table(dynamodb, STACK)
        sample_events.put_records(dynamodb, STACK, datetime.now(UTC))

    @staticmethod
    def command(event: sample_events.SampleEvent) -> list[str]:
        logical_id = functions()[event.function]["LogicalId"]
        return _sam_local("invoke", logical_id, "--event", f"events/{event}.json")

    def invoke(self, event: sample_events.SampleEvent) -> tuple[Any, str]:
        """A sample event's answer and the function's log. Raises `CommandFailed` if the function fails."""
        done = subprocess.run(
            [*self.command(event), *FLAGS],
            check=False,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
        )
        answer = json.loads(done.stdout.strip().splitlines()[-1]) if done.stdout.strip() else None
        if done.returncode or (isinstance(answer, dict) and "errorType" in answer):
            raise CommandFailed(f"{event}: {done.stdout}\n{done.stderr}")
        return answer, done.stderr

    @staticmethod
    def api_command(port: int) -> list[str]:
        """The command; its flag keeps a function's container for later requests."""
        return _sam_local("start-api", "--port", str(port), "--warm-containers", "LAZY")

    @contextmanager
    def api(self) -> Iterator[str]:
        """The address of `sam local start-api`, within the context. Its log is `API_LOG`."""
        port = free_port()
        with API_LOG.open("w") as log:
            process = subprocess.Popen(
                [*self.api_command(port), *FLAGS],
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                deadline = time.monotonic() + START_SECONDS
                while not _listens(port):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise CommandFailed(f"sam local start-api does not start:\n{API_LOG.read_text()}")
                    time.sleep(0.2)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(START_SECONDS)


def _sam_local(command: str, *arguments: str) -> list[str]:
    return [
        str(SAM.relative_to(ROOT)),
        "local",
        command,
        *arguments,
        *("--template", str((FOLDER / "template.yaml").relative_to(ROOT))),
        *("--env-vars", str((FOLDER / "env.json").relative_to(ROOT))),
    ]


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def sam_local() -> Iterator[SamLocal]:
    """Build, and start an emulated AWS and carrier that containers can reach, with the sample events' items."""
    host = _host_as_containers_see_it()
    build(FOLDER, "3.13")
    timeline = Timeline(datetime.now(UTC))
    carrier, server = Carrier(timeline, seed=0), HttpServer("carrier", 0)
    server.start(carrier.respond)
    timeline.start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            nullcontext(MiniStack(OWN_ENDPOINT, Path())) if OWN_ENDPOINT else ministack(Path(folder), host) as aws,
            _reachable(host, server) as url,
        ):
            _create(aws, carrier, url)
            _write_template(aws)
            _write_environment(aws)
            yield SamLocal(aws)
    finally:
        timeline.stop()
        server.stop()


def _host_as_containers_see_it() -> str:
    gateway = run("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()
    return gateway or "172.17.0.1"


def _create(aws: MiniStack, carrier: Carrier, carrier_url: str) -> None:
    """Create what functions need besides the table: a schedule group, queues, a bucket, the carrier's secret."""
    aws.client("scheduler").create_schedule_group(Name=STACK)
    for reader in ("dial", "deliver"):
        aws.client("sqs").create_queue(QueueName=f"{STACK}-{reader}")
    aws.client("s3").create_bucket(Bucket=BUCKET)
    secret = json.dumps({**carrier.secret, "api_url": carrier_url})
    aws.client("secretsmanager").create_secret(Name=f"{CARRIER_SECRETS}/twilio", SecretString=secret)


def _write_template(aws: MiniStack) -> None:
    path = FOLDER / "template.yaml"
    document = load(path)
    processor = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    shared = document["Globals"]["Function"]
    shared["Architectures"] = [processor]
    shared["Environment"]["Variables"]["AWS_ENDPOINT_URL"] = aws.endpoint
    document["Resources"]["RedialLayer"]["Properties"]["CompatibleArchitectures"] = [processor]
    path.write_text(json.dumps(document))  # JSON is valid YAML


def _write_environment(aws: MiniStack) -> None:
    variables = {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "TABLE_NAME": STACK,
        "KEEP_DAYS": "400",
        "SCHEDULE_GROUP": STACK,
        "SCHEDULER_ROLE_ARN": "arn:aws:iam::000000000000:role/schedule",
        "SCHEDULE_DLQ_ARN": f"arn:aws:sqs:{REGION}:000000000000:schedule-dead-letters",
        **_queue(aws, "dial"),
        **_queue(aws, "deliver"),
        "BATCH_FUNCTION": f"arn:aws:lambda:{REGION}:000000000000:function:{STACK}-batch:live",
        "CALLS_PER_SECOND": "0",
        "CONSOLE": "api",
        "FILES_BUCKET": BUCKET,
        "CARRIER_SECRETS": CARRIER_SECRETS,
        "PUBLIC_URL": "https://abc123def4.execute-api.us-east-1.amazonaws.com",
        "ALLOW_LOCAL_WEBHOOKS": "true",
        "DEFAULT_CARRIER": "",
        "DEFAULT_FROM_PHONE_NUMBER": "",
        "DEFAULT_ANSWER": "",
        "POWERTOOLS_SERVICE_NAME": STACK,
    }
    (FOLDER / "env.json").write_text(json.dumps({"Parameters": variables}, indent=2))


def _queue(aws: MiniStack, reader: str) -> dict[str, str]:
    """The variables that name a function's queue. No function reads it here."""
    sqs, name = aws.client("sqs"), f"{reader.upper()}_QUEUE"
    url = sqs.get_queue_url(QueueName=f"{STACK}-{reader}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return {name: url, f"{name}_ARN": arn}


@contextmanager
def _reachable(host: str, server: HttpServer) -> Iterator[str]:
    """A relay's address for containers, to a local server that listens on 127.0.0.1 only."""

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._relay()

        def do_POST(self) -> None:
            self._relay()

        def _relay(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = send(self.command, server.url + self.path, body, dict(self.headers.items()))
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Silent."""

    relay = ThreadingHTTPServer((host, 0), Relay)
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{relay.server_address[1]}"
    finally:
        relay.shutdown()
        relay.server_close()


def main() -> None:
    """Start the environment, print the commands and wait for Ctrl-C."""
    print("Building, and starting an emulated AWS and carrier …", flush=True)
    with sam_local() as local:
        local.put_records()
        print("Ready. In another terminal:\n")
        for event in sample_events.sample_events():
            print("  " + " ".join([*local.command(event), *FLAGS]))
        print("  " + " ".join([*local.api_command(START_API_PORT), *FLAGS]))
        print("\nCtrl-C ends it.", flush=True)
        end = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: end.set())
        end.wait()


if __name__ == "__main__":
    main()
