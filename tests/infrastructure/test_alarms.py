"""Alarms: each watches published series, describes the problem and links to the runbook."""

import re
from typing import Any

import pytest

from tests.support.published_metrics import what_is_wrong
from tests.support.template import ROOT, functions, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")
QUEUES = of_type("AWS::SQS::Queue")

each_alarm = pytest.mark.parametrize("name", sorted(ALARMS))


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


@each_alarm
def test_an_alarm_reads_published_series_with_a_meaningful_statistic(name: str) -> None:
    series = _series(ALARMS[name]["Properties"])
    assert series
    assert [wrong for one in series if (wrong := what_is_wrong(*one)) is not None] == []


def test_an_unpublished_series_is_detected() -> None:
    """Each kind of error that the test above detects, once."""
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
WITH_MATH = sorted(name for name, alarm in ALARMS.items() if "Metrics" in alarm["Properties"])


@pytest.mark.parametrize("name", WITH_MATH)
def test_metric_math_names_all_of_its_series_and_no_others(name: str) -> None:
    metrics = ALARMS[name]["Properties"]["Metrics"]
    (watched,) = (one for one in metrics if one["ReturnData"])
    series = {one["Id"]: one["MetricStat"] for one in metrics if not one["ReturnData"]}
    assert len(series) == len(metrics) - 1
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", one) for one in series)
    assert set(re.findall(r"[A-Za-z]\w*", watched["Expression"])) - MATH == set(series)
    assert len({stat["Period"] for stat in series.values()}) == 1, "a series is calculated point by point"
    assert watched["Label"]


@each_alarm
def test_an_alarms_period_is_a_multiple_of_a_minute(name: str) -> None:
    """Metrics arrive by the minute; CloudWatch takes multiples of 60 seconds."""
    properties = ALARMS[name]["Properties"]
    periods = [properties["Period"]] if "Period" in properties else []
    periods += [one["MetricStat"]["Period"] for one in properties.get("Metrics", []) if "MetricStat" in one]
    assert periods and all(period in (60, 300) for period in periods)
    assert 1 <= properties.get("DatapointsToAlarm", 1) <= properties["EvaluationPeriods"] <= 5


@each_alarm
def test_an_alarm_has_a_description_and_notifies_the_topic_if_one_is_set(name: str) -> None:
    alarm = ALARMS[name]["Properties"]
    tell = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["AlarmActions"] == alarm["OKActions"] == tell
    what, _, where = alarm["AlarmDescription"].strip().rpartition(" ")
    assert len(what) > 30 and what.endswith(".")
    assert re.fullmatch(r"docs/runbook\.md#[a-z]+", where)


def _anchor(name: str) -> str:
    return str(ALARMS[name]["Properties"]["AlarmDescription"]).strip().rpartition("#")[2]


@each_alarm
def test_an_alarm_links_to_its_section_of_the_runbook(name: str) -> None:
    """Alarms per function share one section: `DialFunctionFailingAlarm` links to `### FunctionFailing`."""
    headings = re.findall(r"^#{2,3} (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    (heading,) = (heading for heading in headings if heading.lower() == _anchor(name))
    prefix = name.removesuffix("Alarm").removesuffix(heading)
    assert f"{prefix}{heading}Alarm" == name
    assert prefix in ("", *(function["LogicalId"].removesuffix("Function") for function in functions().values()))


def test_missing_data_alarms_only_for_what_runs_every_minute() -> None:
    breaching = {name for name, alarm in ALARMS.items() if alarm["Properties"]["TreatMissingData"] == "breaching"}
    assert breaching == {"SweepStoppedAlarm"}


def test_an_alarm_fires_when_tally_is_late() -> None:
    alarm = ALARMS["TallyLateAlarm"]["Properties"]
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "TallyFunction"}}]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("IteratorAge", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 5 * 60 * 1000)


@pytest.mark.parametrize("queue", sorted(QUEUES))
def test_dead_letters_are_kept_for_two_weeks_and_raise_an_alarm(queue: str) -> None:
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
