"""The functions of template.yaml: consistent with the code, monitored, and safe to fail."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from redial.adapters.invoker import MOST_DELAY_SECONDS
from redial.carriers.sending import PLACE_TIMEOUT_SECONDS
from redial.domain.batch import WORK_LEASE
from redial.domain.execution import CLAIM_GRACE
from redial.runtime import settings
from redial.runtime.services import CONNECT_SECONDS, FILE_READ_SECONDS, READ_SECONDS, Services, client_config
from redial.usecases.batches import MAX_FILE_BYTES
from redial.usecases.deliver_events import SECONDS_FOR_ONE_EVENT
from redial.usecases.sweep import LINE_GRACE
from tests.support.sample_events import sample_events
from tests.support.template import ROOT, functions, of_type, template, texts

FUNCTIONS = functions()
ASYNCHRONOUS = ("batch", "sweep")
OF_QUEUES = {"dial": "DialsAtOnce", "deliver": "DeliveriesAtOnce"}
"""The functions that read a queue, and the parameter that limits their concurrent runs."""
OF_POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}

each_function = pytest.mark.parametrize("name", sorted(FUNCTIONS))


def test_functions_and_their_folders_correspond() -> None:
    assert sorted(FUNCTIONS) == sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))


def test_functions_and_sample_events_correspond() -> None:
    assert {event.function for event in sample_events()} == set(FUNCTIONS)


@each_function
def test_a_functions_environment_matches_its_settings(name: str) -> None:
    assert set(FUNCTIONS[name]["Environment"]) == {*settings.VARIABLES[name], *OF_POWERTOOLS}


@each_function
def test_a_function_has_the_layers_python_and_architecture(name: str) -> None:
    function = FUNCTIONS[name]
    layer = of_type("AWS::Serverless::LayerVersion")["RedialLayer"]
    assert function["Layers"] == [{"Ref": "RedialLayer"}]
    assert [function["Runtime"]] == layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]
    assert function["Architectures"] == layer["Properties"]["CompatibleArchitectures"] == ["arm64"]
    assert layer["Metadata"] == {"BuildMethod": "makefile", "BuildArchitecture": "arm64"}
    assert function["Handler"] == "handler.handler"
    assert function["Tracing"] == "Active"


@each_function
def test_a_function_logs_to_a_declared_group_with_a_retention(name: str) -> None:
    group = FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"]
    declared = of_type("AWS::Logs::LogGroup")[group]["Properties"]
    assert declared["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{FUNCTIONS[name]['FunctionName']['Fn::Sub']}"}
    assert declared["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@each_function
def test_a_change_of_any_kind_publishes_a_version(name: str) -> None:
    """Otherwise the alias would keep the old code, layer or settings. See the top of template.yaml."""
    function = FUNCTIONS[name]
    assert function["AutoPublishAlias"] == "live"
    assert function["AutoPublishAliasAllProperties"] is True
    layer = of_type("AWS::Serverless::LayerVersion")["RedialLayer"]["Properties"]
    assert layer["PublishLambdaVersion"] is True
    received, described = _parameters_in(function["Environment"]), _parameters_in(function["VersionDescription"])
    assert "RedialLayer" in texts(function["VersionDescription"]), "a new layer makes a new version"
    assert received == described | (_parameters_in(layer["Description"]) & received)


def _parameters_in(value: Any) -> set[str]:
    """The template parameters that a value depends on, by Ref, within a text or through a condition."""
    found = set()
    for text in texts(value):
        found |= {text, *re.findall(r"\$\{(\w+)\}", text)} & set(template()["Parameters"])
        if text in template()["Conditions"]:
            found |= _parameters_in(template()["Conditions"][text])
    return found


def test_the_layers_description_has_texts_only() -> None:
    """SAM fills in parameters there, and fails on a number."""
    layer = of_type("AWS::Serverless::LayerVersion")["RedialLayer"]["Properties"]
    parameters = _parameters_in(layer["Description"])
    assert len(parameters) > 1
    assert {template()["Parameters"][name]["Type"] for name in parameters} == {"String"}


@pytest.mark.parametrize("name", ASYNCHRONOUS)
def test_an_asynchronous_function_that_fails_leaves_a_dead_letter(name: str) -> None:
    config = FUNCTIONS[name]["EventInvokeConfig"]
    destination = {"Type": "SQS", "Destination": {"Fn::GetAtt": "FunctionDeadLetters.Arn"}}
    assert config["DestinationConfig"] == {"OnFailure": destination}
    assert 0 <= config["MaximumRetryAttempts"] <= 2
    assert 60 <= config["MaximumEventAgeInSeconds"] <= 3600


def test_only_functions_that_are_waited_for_have_no_failure_destination() -> None:
    """Clients and carriers wait at the HTTP API, and Lambda itself at the stream and the queues."""
    waited_for = {
        name
        for name, function in FUNCTIONS.items()
        if any(event["Type"] in ("HttpApi", "DynamoDB", "SQS") for event in function.get("Events", {}).values())
    }
    assert waited_for == set(FUNCTIONS) - set(ASYNCHRONOUS)
    assert waited_for == {name for name, function in FUNCTIONS.items() if "EventInvokeConfig" not in function}


@pytest.mark.parametrize("name", sorted(OF_QUEUES))
def test_a_function_reads_its_queue_one_message_at_a_time_within_a_limit(name: str) -> None:
    (event,) = FUNCTIONS[name]["Events"].values()
    limit = template()["Parameters"][OF_QUEUES[name]]
    assert event == {
        "Type": "SQS",
        "Properties": {
            "Queue": {"Fn::GetAtt": f"{name.title()}Queue.Arn"},
            "BatchSize": 1,
            "ScalingConfig": {"MaximumConcurrency": {"Ref": OF_QUEUES[name]}},
        },
    }
    assert (limit["MinValue"], limit["MaxValue"]) == (2, 1000), "what Lambda allows"


@pytest.mark.parametrize("name", sorted(OF_QUEUES))
def test_a_queue_hides_a_message_for_six_times_its_functions_timeout(name: str) -> None:
    """AWS recommends this, so that no second run receives a message while Lambda retries a throttled first run."""
    queue = of_type("AWS::SQS::Queue")[f"{name.title()}Queue"]["Properties"]
    assert queue["VisibilityTimeout"] == 6 * FUNCTIONS[name]["Timeout"]


def test_a_delayed_start_is_received_before_its_message_expires() -> None:
    queue = of_type("AWS::SQS::Queue")["DialQueue"]["Properties"]
    tries = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert queue["MessageRetentionPeriod"] > MOST_DELAY_SECONDS + tries
    assert queue["MessageRetentionPeriod"] <= 1800, "the sweeper decides then"
    queue = of_type("AWS::SQS::Queue")["DeliverQueue"]["Properties"]
    tries = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert queue["MessageRetentionPeriod"] > MOST_DELAY_SECONDS + tries


def test_functions_that_cause_their_own_runs_are_exempt_from_loop_detection() -> None:
    """dial invokes itself for the next queued call, deliver for redeliveries, batch and sweep for remaining work."""
    allowed = {name for name, function in FUNCTIONS.items() if function.get("RecursiveLoop") == "Allow"}
    assert allowed == {"batch", "deliver", "dial", "sweep"}


def test_a_functions_timeout_exceeds_its_waits() -> None:
    timeouts = {name: function["Timeout"] for name, function in FUNCTIONS.items()}
    assert timeouts["dial"] > PLACE_TIMEOUT_SECONDS + 2 * (CONNECT_SECONDS + READ_SECONDS)
    assert timedelta(seconds=timeouts["dial"]) < min(CLAIM_GRACE, LINE_GRACE), "then others take its call for lost"
    assert timeouts["deliver"] > SECONDS_FOR_ONE_EVENT
    assert timeouts["carrier_callback"] < 15, "carriers wait no longer"
    assert timeouts["api"] < 30, "the HTTP API waits no longer"
    assert timeouts["sweep"] < 60, "the next one starts then"
    assert timeouts["batch"] < WORK_LEASE.total_seconds(), "another may work at the batch then"


@each_function
def test_a_stalled_aws_request_leaves_time_for_a_retry(name: str) -> None:
    seconds = CONNECT_SECONDS + READ_SECONDS
    assert FUNCTIONS[name]["Timeout"] > 2 * seconds
    if "FILES_BUCKET" in FUNCTIONS[name]["Environment"]:
        assert FUNCTIONS[name]["Timeout"] > 2 * (CONNECT_SECONDS + FILE_READ_SECONDS)
    config: Any = client_config("dynamodb")
    assert (config.connect_timeout, config.read_timeout, config.tcp_keepalive) == (CONNECT_SECONDS, READ_SECONDS, True)
    files: Any = client_config("s3")
    assert files.read_timeout == FILE_READ_SECONDS


def test_pre_signed_urls_name_the_bucket_and_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's global address does not know a new bucket for a day, and newer regions never."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    files = Services({"FILES_BUCKET": "files", "UPLOADS_ENDPOINT": ""}).files
    upload = urlsplit(files.upload_url("uploads/a.csv", 60, size=12))
    assert upload.netloc == urlsplit(files.download_url("a.csv", 60)).netloc == "files.s3.eu-central-2.amazonaws.com"
    assert parse_qs(upload.query)["X-Amz-SignedHeaders"] == ["content-length;host"]


def test_every_literal_function_arn_names_a_function() -> None:
    resources = {name: one for name, one in template()["Resources"].items() if name != "DeploymentRole"}
    targets = {f"{function['FunctionName']['Fn::Sub']}:live" for function in FUNCTIONS.values()}
    arns = _function_arns(resources) | _function_arns(template()["Globals"])
    assert arns
    assert arns <= targets
    names = {target.removesuffix(":live") for target in targets}
    assert _function_arns(template()["Resources"]["DeploymentRole"]) == targets | names, "it turns the aliases"


def _function_arns(value: Any) -> set[str]:
    return {text.split(":function:")[1] for text in texts(value) if ":function:" in text}


def test_the_http_api_has_few_routes_and_leaves_the_rest_to_the_code() -> None:
    routes: dict[str, Any] = {
        name: [event["Properties"] for event in function["Events"].values() if event["Type"] == "HttpApi"]
        for name, function in FUNCTIONS.items()
        if "Events" in function
    }
    api = {"ApiId": {"Ref": "HttpApi"}}
    throttled = (("POST", "/batches"), ("POST", "/webhooks/test"), ("GET", "/doctor"))
    assert routes["api"] == [*({**api, "Method": method, "Path": path} for method, path in throttled), api]
    assert routes["carrier_callback"] == [{**api, "Method": "POST", "Path": "/callbacks/{proxy+}"}]


def test_the_sweeper_runs_every_minute_and_its_schedule_has_a_dead_letter_queue() -> None:
    schedule = FUNCTIONS["sweep"]["Events"]["EveryMinute"]
    assert schedule["Type"] == "ScheduleV2"
    assert schedule["Properties"]["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Properties"]["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": "SweepDeadLetters.Arn"}}
    assert "GroupName" not in schedule["Properties"], "in the timers' group functions could delete it"


def _stream() -> dict[str, Any]:
    (event,) = FUNCTIONS["tally"]["Events"].values()
    assert event["Type"] == "DynamoDB"
    properties: dict[str, Any] = event["Properties"]
    return properties


def test_tallys_stream_events_name_their_shard() -> None:
    """Without a window the event has no shardId; a window allows only one invocation per shard at a time."""
    stream = _stream()
    assert stream["Stream"] == {"Fn::GetAtt": "Table.StreamArn"}
    assert stream["TumblingWindowInSeconds"] == {"Ref": "StatisticsSeconds"}
    assert template()["Parameters"]["StatisticsSeconds"]["MaxValue"] == 900, "the longest window that Lambda takes"
    assert stream["ParallelizationFactor"] == 1


def test_tally_retries_until_every_record_is_counted() -> None:
    stream = _stream()
    assert stream["StartingPosition"] == "TRIM_HORIZON"
    assert stream["MaximumRetryAttempts"] == stream["MaximumRecordAgeInSeconds"] == -1


def test_tally_is_invoked_only_for_executions_and_for_what_expired_calls_leave() -> None:
    """Otherwise its own writes, of batches and counts, would invoke it again. A removal changes no count."""
    patterns = [json.loads(one["Pattern"]) for one in _stream()["FilterCriteria"]["Filters"]]
    contact = {"Keys": {"pk": {"S": [{"prefix": "X#"}]}}}
    is_an_execution = {"ca": {"N": [{"exists": True}]}}
    assert patterns == [
        {"dynamodb": {**contact, "NewImage": is_an_execution}},
        {
            "eventName": ["REMOVE"],
            "userIdentity": {"principalId": ["dynamodb.amazonaws.com"]},
            "dynamodb": {**contact, "OldImage": {"ux": {"BOOL": [{"exists": True}]}}},
        },
    ]


def test_batch_has_a_whole_vcpu_and_disk_space_for_its_files() -> None:
    """For a file of the shortest rows, results and seen numbers take up 15 times the file's size."""
    assert FUNCTIONS["batch"]["MemorySize"] == 1769
    assert FUNCTIONS["batch"]["EphemeralStorage"]["Size"] * 1024 * 1024 >= 15 * MAX_FILE_BYTES


def test_the_sweeper_has_a_whole_vcpu_for_its_threads() -> None:
    assert FUNCTIONS["sweep"]["MemorySize"] == 1769


def test_files_are_uploaded_to_s3_directly() -> None:
    assert FUNCTIONS["api"]["Environment"]["UPLOADS_ENDPOINT"] == ""


def test_local_webhooks_are_permitted_in_local_development_only() -> None:
    for function in FUNCTIONS.values():
        assert function["Environment"].get("ALLOW_LOCAL_WEBHOOKS", "false") == "false"
