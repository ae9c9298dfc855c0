"""A release deployed to an emulated AWS, with its functions under their own roles.

Run by `make deploy-check`. test_story.py covers calls and their retries, an update and the deletion. See
tests/support/ministack.py for the emulator's limitations.
"""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.carriers.twilio import Carrier
from local.clock import Timeline
from local.web.inbox import Inbox
from local.web.server import HttpServer
from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.runtime import keys
from tests.e2e.conftest import SECRET_ID
from tests.support import sample_events
from tests.support.forms import CONTENT_TYPE, multipart
from tests.support.local_stack import Answer, request
from tests.support.ministack import MiniStack
from tests.support.template import functions, of_type

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("default")]

STUCK_SECONDS = 600
"""On a busy machine the emulator takes up to a minute to start one of the many function processes."""


def test_every_resource_of_the_template_exists(aws: MiniStack) -> None:
    made = aws.resources()
    assert {resource["ResourceStatus"] for resource in made.values()} == {"CREATE_COMPLETE"}
    for kind in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::IAM::Role", "AWS::Logs::LogGroup"):
        declared = {name for name, resource in of_type(kind).items() if "Condition" not in resource}
        assert declared <= {name for name, one in made.items() if one["ResourceType"] == kind}
    assert {name for name, one in of_type("AWS::CloudWatch::Alarm").items() if "Condition" not in one} <= set(made)
    for function in functions():
        assert aws.live(function)["Version"].isdigit(), "a published version is live"


def test_the_table_matches_the_template(aws: MiniStack) -> None:
    table = aws.client("dynamodb").describe_table(TableName=aws.outputs()["TableName"])["Table"]
    declared = of_type("AWS::DynamoDB::Table")["Table"]["Properties"]
    assert table["KeySchema"] == declared["KeySchema"]
    indexes = {index["IndexName"]: index["KeySchema"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes == {index["IndexName"]: index["KeySchema"] for index in declared["GlobalSecondaryIndexes"]}


def test_asynchronous_functions_have_their_failure_destination(aws: MiniStack) -> None:
    for function in ("batch", "sweep"):
        config = aws.client("lambda").get_function_event_invoke_config(
            FunctionName=aws.name_of(function), Qualifier="live"
        )
        destination = config["DestinationConfig"]["OnFailure"]["Destination"]
        assert destination == _arn_of(aws, "FunctionDeadLettersUrl")


def test_functions_read_their_queues_by_their_alias(aws: MiniStack) -> None:
    mappings = {
        one["FunctionArn"]: one for one in aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    }
    for function in ("dial", "deliver"):
        (mapping,) = (one for arn, one in mappings.items() if arn.endswith(f":{aws.name_of(function)}:live"))
        queue = aws.resources()[f"{function.title()}Queue"]["PhysicalResourceId"]
        assert mapping["EventSourceArn"].rpartition(":")[2] == queue.rpartition("/")[2]
        assert (mapping["BatchSize"], mapping["ScalingConfig"]) == (1, {"MaximumConcurrency": 50})
        assert mapping["State"] == "Enabled"


def _arn_of(aws: MiniStack, output: str) -> str:
    queue = aws.client("sqs").get_queue_attributes(QueueUrl=aws.outputs()[output], AttributeNames=["QueueArn"])
    return str(queue["Attributes"]["QueueArn"])


def test_every_sample_event_runs_under_the_functions_own_role(aws: MiniStack) -> None:
    sample_events.put_records(aws.client("dynamodb"), aws.outputs()["TableName"], datetime.now(UTC))
    answers = {str(event): aws.invoke(event.function, event.payload) for event in sample_events.sample_events()}
    statuses = {name: answer["statusCode"] for name, answer in answers.items() if answer and "statusCode" in answer}
    assert statuses == sample_events.STATUS_CODES
    assert answers["tally.new-contact"] == {"state": {}}


class World:
    """The deployed stack with a client, an emulated carrier and a webhook inbox, in real time."""

    def __init__(self, url: str, carrier_url: str, inbox_url: str, inbox: Inbox) -> None:
        self.url = url
        self.carrier_url = carrier_url
        self.inbox_url = inbox_url
        self.inbox = inbox

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, self.url + path, body, {"Authorization": f"Bearer {sample_events.API_KEY}", **sent})

    def wait_for(self, what: str, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STUCK_SECONDS
        while not happened():
            assert time.monotonic() < deadline, f"{what} did not happen within {STUCK_SECONDS} s"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def world(aws: MiniStack) -> Iterator[World]:
    timeline = Timeline(datetime.now(UTC))
    accounts = DynamoAccounts(aws.client("dynamodb"), aws.outputs()["TableName"])
    account = keys.ensure_account(
        account_id=sample_events.ACCOUNT_ID,
        name="Sample account",
        webhook_secret=keys.new_webhook_secret(),
        api_key=sample_events.API_KEY,
        accounts=accounts,
        now=datetime.now(UTC),
    )
    carrier, inbox = Carrier(timeline, seed=0), Inbox(timeline, lambda: account.webhook_secrets)
    carrier_server, inbox_server = HttpServer("carrier", 0), HttpServer("inbox", 0)
    carrier_server.start(carrier.respond)
    inbox_server.start(inbox.respond)
    timeline.start()
    try:
        url = aws.add_routes()
        secret = json.dumps({**carrier.secret, "api_url": carrier_server.url})
        aws.client("secretsmanager").put_secret_value(SecretId=SECRET_ID, SecretString=secret)
        aws.set_environment(PUBLIC_URL=url, ALLOW_LOCAL_WEBHOOKS="true")
        yield World(url, carrier_server.url, inbox_server.url, inbox)
    finally:
        timeline.stop()
        carrier_server.stop()
        inbox_server.stop()


def test_a_batch_is_read_called_counted_and_completed(world: World, aws: MiniStack) -> None:
    numbers = [f"+1415555020{index}" for index in range(3)]
    for number in numbers:
        request("POST", f"{world.carrier_url}/_carrier/scripts", {"to": number, "outcomes": ["busy"]})
    agent = {
        "agent_name": "e2e batch",
        "webhook_url": f"{world.inbox_url}/contacts",
        "from_phone_numbers": ["+14155550100"],
        "answer_url": "https://voice.example.com/answer",
        "max_concurrent_calls": 1,
    }
    agent_id = world.api("POST", "/v2/agent", {"agent_config": agent}).json["agent_id"]
    fields = [("agent_id", agent_id), ("start", "now"), ("webhook_url", f"{world.inbox_url}/batch")]
    file = "\n".join(["contact_number,name", *(f"{number},{number[-1]}" for number in numbers), "unknown,x"])
    with aws.stream_read():
        answer = world.api("POST", "/batches", multipart(fields, file), Content_Type=CONTENT_TYPE)
        assert answer.status == 201, answer
        batch_id = answer.json["batch_id"]

        def batch() -> Any:
            return world.api("GET", f"/batches/{batch_id}").json

        world.wait_for("the batch's end", lambda: batch()["status"] == "completed")
    done = batch()
    assert (done["valid_contacts"], done["rejected_contacts"]) == (3, 1)
    assert done["execution_status"] == {"busy": 3}
    calls = request("GET", f"{world.carrier_url}/_carrier/calls").json
    assert [call["to"] for call in calls if call["to"] in numbers] == numbers, "one line, in the file's order"
    assert b"unknown" in world.api("GET", f"/batches/{batch_id}/rejected.csv").body
    assert world.api("GET", f"/batches/{batch_id}/results.csv").body.count(b",busy,1,") == 3

    def told() -> list[str]:
        return [one.body["status"] for one in world.inbox.received("batch")]

    world.wait_for("the batch's last event", lambda: "completed" in told())
    assert told() == ["created", "processed", "queued", "running", "completed"]


@pytest.mark.parametrize(
    ("parameter", "value", "variable"), [("LogLevel", "ERROR", "POWERTOOLS_LOG_LEVEL"), ("KeepDays", "30", "KEEP_DAYS")]
)
def test_a_changed_parameter_takes_effect(
    parameter: str, value: str, variable: str, aws: MiniStack, made: Path
) -> None:
    """An alias keeps a version's settings until a new version is published: one parameter is in the layer's
    description, the other in the versions'. See the top of template.yaml."""
    before = {function: aws.live(function) for function in functions()}
    aws.deploy(made, **{parameter: value})
    for function in functions():
        live = aws.live(function)
        assert live["Environment"]["Variables"][variable] == value, function
        assert live["Version"] != before[function]["Version"], function
        assert (live["Layers"] != before[function]["Layers"]) is (parameter == "LogLevel"), function
