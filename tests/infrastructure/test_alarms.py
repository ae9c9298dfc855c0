"""Alarms: each watches a published metric, and its description says what is wrong and links to the runbook."""

import re
from typing import Any

import pytest

from tests.support.published_metrics import what_is_wrong
from tests.support.template import ROOT, functions, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")
QUEUES = of_type("AWS::SQS::Queue")
DEAD_LETTERS = sorted(name for name in QUEUES if name.endswith("DeadLetters"))


def _series(properties: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], str]]:
    """Namespace, name, dimensions and statistic of every series that an alarm reads."""
    if "MetricName" in properties:
        statistic = properties.get("Statistic") or properties["ExtendedStatistic"]
        return [(*_metric(properties), statistic)]
    stats = [one["MetricStat"] for one in properties["Metrics"] if "MetricStat" in one]
    return [(*_metric(stat["Metric"]), stat["Stat"]) for stat in stats]


def _metric(metric: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
    assert len(dimensions) == len(metric["Dimensions"])
    return metric["Namespace"], metric["MetricName"], dimensions


def test_every_alarm_watches_published_series_by_a_meaningful_statistic() -> None:
    series = {name: _series(alarm["Properties"]) for name, alarm in ALARMS.items()}
    assert all(series.values())
    wrong = {(name, what_is_wrong(*one)) for name, watched in series.items() for one in watched}
    assert {(name, what) for name, what in wrong if what is not None} == set()


def test_a_series_that_is_not_published_is_found() -> None:
    """These are the mistakes that the test above can find."""
    service = {"service": {"Ref": "AWS::StackName"}}
    dial = {"FunctionName": {"Ref": "DialFunction"}}
    alias = {**dial, "Resource": {"Fn::Sub": "${DialFunction}:live"}}
    assert what_is_wrong("Redial", "AttemptPlaced", {**service, "attempt": "4"}, "Sum") is None
    assert what_is_wrong("AWS/Lambda", "Errors", alias, "Sum") is None
    for wrong in (
        ("Redial", "AttemptsPlaced", service, "Sum"),
        ("Redial", "AttemptPlaced", {}, "Sum"),
        ("Redial", "AttemptPlaced", {"service": "redial"}, "Sum"),
        ("Redial", "AttemptPlaced", {**service, "attempt": "5"}, "Sum"),
        ("Redial", "AttemptPlaced", {**service, "outcome": "busy"}, "Sum"),
        ("Redial", "AttemptRefused", {**service, "attempt": "1"}, "Sum"),
        ("Redial", "CallsWaiting", service, "Sum"),
        ("Redial", "RetryLateness", service, "Average"),
        ("AWS/Lambda", "Failures", dial, "Sum"),
        ("AWS/Lambda", "Errors", {"FunctionName": {"Ref": "Table"}}, "Sum"),
        ("AWS/Lambda", "Errors", {"Function": {"Ref": "DialFunction"}}, "Sum"),
        ("AWS/Lambda", "Errors", {**dial, "Resource": {"Fn::Sub": "${ApiFunction}:live"}}, "Sum"),
        ("AWS/Lambda", "Errors", {**alias, "ExecutedVersion": {"Fn::GetAtt": "ApiFunction.Version.Version"}}, "Sum"),
        ("AWS/Lambda", "Duration", dial, "Sum"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": {"Ref": "SweepDeadLetters"}}, "Maximum"),
    ):
        assert what_is_wrong(*wrong) is not None, wrong


MATH = {"IF", "SUM"}


def test_every_calculation_uses_all_of_its_series() -> None:
    calculated = {
        name: alarm["Properties"]["Metrics"] for name, alarm in ALARMS.items() if "Metrics" in alarm["Properties"]
    }
    assert calculated
    for name, metrics in calculated.items():
        (watched,) = (one for one in metrics if one["ReturnData"])
        series = {one["Id"]: one["MetricStat"] for one in metrics if not one["ReturnData"]}
        assert len(series) == len(metrics) - 1, name
        assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", one) for one in series), name
        assert set(re.findall(r"[A-Za-z]\w*", watched["Expression"])) - MATH == set(series), name
        assert len({stat["Period"] for stat in series.values()}) == 1, f"{name}: one period for all series"
        assert watched["Label"], name


def test_every_alarm_evaluates_one_or_five_minutes() -> None:
    """Its metrics are published every minute; CloudWatch takes multiples of 60 seconds."""
    for name, alarm in ALARMS.items():
        properties = alarm["Properties"]
        periods = [properties["Period"]] if "Period" in properties else []
        periods += [one["MetricStat"]["Period"] for one in properties.get("Metrics", []) if "MetricStat" in one]
        assert periods and set(periods) <= {60, 300}, name
        assert 1 <= properties.get("DatapointsToAlarm", 1) <= properties["EvaluationPeriods"] <= 5, name


def test_every_alarm_says_what_is_wrong_and_notifies_the_topic_if_there_is_one() -> None:
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    described = re.compile(r".{30,}\. docs/runbook\.md#[a-z]+", re.DOTALL)
    wrong = [
        name
        for name, alarm in ((name, one["Properties"]) for name, one in ALARMS.items())
        if not alarm["AlarmActions"] == alarm["OKActions"] == topic
        or not described.fullmatch(alarm["AlarmDescription"].strip())
    ]
    assert wrong == []


def _anchor(name: str) -> str:
    return str(ALARMS[name]["Properties"]["AlarmDescription"]).strip().rpartition("#")[2]


def test_every_alarm_links_to_its_own_heading_of_the_runbook() -> None:
    """Alarms of several functions share one heading: `DialFunctionFailingAlarm` links to `### FunctionFailing`."""
    headings = re.findall(r"^#{2,3} (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    prefixes = ["", *(function["LogicalId"].removesuffix("Function") for function in functions().values())]
    for name in ALARMS:
        (heading,) = (heading for heading in headings if heading.lower() == _anchor(name))
        assert name in {f"{prefix}{heading}Alarm" for prefix in prefixes}


def test_missing_data_notifies_only_for_the_sweeper_and_not_at_birth() -> None:
    """An alarm begins as INSUFFICIENT_DATA, and only a change of state sends a notification."""
    missing = {name for name, alarm in ALARMS.items() if alarm["Properties"]["TreatMissingData"] != "notBreaching"}
    notified = {name for name, alarm in ALARMS.items() if "InsufficientDataActions" in alarm["Properties"]}
    assert missing == notified == {"SweepStoppedAlarm"}
    sweeper = ALARMS["SweepStoppedAlarm"]["Properties"]
    assert sweeper["TreatMissingData"] == "missing"
    assert sweeper["InsufficientDataActions"] == sweeper["AlarmActions"]


def test_an_alarm_fires_when_tally_is_late() -> None:
    alarm = ALARMS["TallyLateAlarm"]["Properties"]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "TallyFunction"}}]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("IteratorAge", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 5 * 60 * 1000)


def test_an_alarm_fires_when_a_queue_is_late() -> None:
    """It fires only while messages wait: the age of the oldest may be that of a message whose delay is not over."""
    limits = {"Dial": 60, "Deliver": 300}
    assert {f"{name}Queue" for name in limits} == set(QUEUES) - set(DEAD_LETTERS)
    for name, seconds in limits.items():
        alarm = ALARMS[f"{name}QueueLateAlarm"]["Properties"]
        (watched,) = (one for one in alarm["Metrics"] if one["ReturnData"])
        assert watched["Expression"] == "IF(waiting > 0, age, 0)"
        by_name = {"QueueName": {"Fn::GetAtt": f"{name}Queue.QueueName"}}
        assert _series(alarm) == [
            ("AWS/SQS", "ApproximateAgeOfOldestMessage", by_name, "Maximum"),
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", by_name, "Maximum"),
        ]
        assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", seconds)
        assert alarm["EvaluationPeriods"] == 3
        assert seconds < QUEUES[f"{name}Queue"]["Properties"]["MessageRetentionPeriod"] / 4


@pytest.mark.parametrize("queue", DEAD_LETTERS)
def test_dead_letters_are_kept_for_two_weeks_and_fire_an_alarm(queue: str) -> None:
    assert QUEUES[queue]["Properties"] == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}
    watched = [{"Name": "QueueName", "Value": {"Fn::GetAtt": f"{queue}.QueueName"}}]
    (alarm,) = (alarm["Properties"] for alarm in ALARMS.values() if alarm["Properties"].get("Dimensions") == watched)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)


@pytest.mark.parametrize("function", sorted(functions()))
def test_an_alarm_fires_when_a_function_fails_or_is_throttled(function: str) -> None:
    logical_id = functions()[function]["LogicalId"]
    by_name = {"FunctionName": {"Ref": logical_id}}
    failing = _series(ALARMS[f"{logical_id}FailingAlarm"]["Properties"])
    assert failing == [("AWS/Lambda", "Errors", by_name, "Sum")]
    assert ("AWS/Lambda", "Throttles", by_name, "Sum") in _series(ALARMS["ThrottledAlarm"]["Properties"])
