"""Published series of metrics: our own, and those of AWS's services that template.yaml names."""

import re
from typing import Any

from redial.runtime.telemetry import METRICS
from tests.support.template import template

SUM, MOST, PERCENTILE = "Sum", "Maximum", "p"
"""The statistic that suits a metric: a sum of events, the maximum of a level, a percentile of times (p50, p99)."""

_LAMBDA = ({"FunctionName"}, {"FunctionName", "Resource"}, {"FunctionName", "Resource", "ExecutedVersion"})
_OF_AWS: dict[tuple[str, str], tuple[str, tuple[set[str], ...]]] = {
    ("AWS/ApiGateway", "4xx"): (SUM, ({"ApiId"},)),
    ("AWS/ApiGateway", "5xx"): (SUM, ({"ApiId"},)),
    ("AWS/ApiGateway", "Count"): (SUM, ({"ApiId"},)),
    ("AWS/ApiGateway", "Latency"): (PERCENTILE, ({"ApiId"},)),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): (SUM, ({"TableName"},)),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): (SUM, ({"TableName"},)),
    ("AWS/DynamoDB", "ReadThrottleEvents"): (SUM, ({"TableName"},)),
    ("AWS/DynamoDB", "WriteThrottleEvents"): (SUM, ({"TableName"},)),
    ("AWS/Lambda", "ConcurrentExecutions"): (MOST, _LAMBDA),
    ("AWS/Lambda", "Duration"): (PERCENTILE, _LAMBDA),
    ("AWS/Lambda", "Errors"): (SUM, _LAMBDA),
    ("AWS/Lambda", "Invocations"): (SUM, _LAMBDA),
    ("AWS/Lambda", "IteratorAge"): (MOST, _LAMBDA),
    ("AWS/Lambda", "Throttles"): (SUM, _LAMBDA),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): (MOST, ({"QueueName"},)),
    ("AWS/SQS", "ApproximateNumberOfMessagesDelayed"): (MOST, ({"QueueName"},)),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): (MOST, ({"QueueName"},)),
}
"""Metrics with their series' dimensions, from the services' documentation:
…/apigateway/latest/developerguide/http-api-metrics.html,
…/amazondynamodb/latest/developerguide/metrics-dimensions.html, …/lambda/latest/dg/monitoring-metrics-types.html and
monitoring-metrics-view.html, …/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
_NAMES = {
    "ApiId": ("AWS::Serverless::HttpApi", ""),
    "FunctionName": ("AWS::Serverless::Function", ""),
    "QueueName": ("AWS::SQS::Queue", ".QueueName"),
    "TableName": ("AWS::DynamoDB::Table", ""),
}
"""The resource type of each dimension's value, and the attribute that names it (None: Ref)."""


def _meant(value: Any) -> str:
    """A reference as text, in either notation: `{"Ref": "Table"}` and `"${Table}"` are `${Table}`."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
            return f"${{{name}}}"
        case {"Fn::Sub": str(text)}:
            return text
    assert isinstance(value, str), value
    return value


def what_is_wrong(namespace: str, name: str, dimensions: dict[str, Any], statistic: str) -> str | None:
    """Why a metric has no such series, or why the statistic does not suit it; None if all is well."""
    named = {dimension: _meant(value) for dimension, value in dimensions.items()}
    if namespace == "Redial":
        kind, wrong = _ours(name, named)
    else:
        kind, wrong = _of_aws(namespace, name, named)
    if kind == MOST and namespace == "Redial" and statistic == "SampleCount":
        return wrong  # the number of samples shows that their source runs
    if wrong is None and not (re.fullmatch(r"p\d\d", statistic) if kind == PERCENTILE else statistic == kind):
        wrong = f"{name}: {statistic} tells nothing of it"
    return wrong


def _ours(name: str, dimensions: dict[str, str]) -> tuple[str, str | None]:
    metric = METRICS.get(name)
    if metric is None:
        return "", f"no metric {name}"
    kind = MOST if metric.about.endswith("once a minute") else SUM if metric.unit == "Count" else PERCENTILE
    rest = dict(dimensions)
    if rest.pop("service", None) != "${AWS::StackName}":
        return kind, f"{name}: its service is the stack's name"
    if rest and (metric.split is None or set(rest) != {metric.split} or rest[metric.split] not in metric.words):
        return kind, f"{name}: no series by {rest}"
    return kind, None


def _of_aws(namespace: str, name: str, dimensions: dict[str, str]) -> tuple[str, str | None]:
    if (namespace, name) not in _OF_AWS:
        return "", f"{namespace} {name} is not known to be published"
    kind, series = _OF_AWS[namespace, name]
    if set(dimensions) not in series:
        return kind, f"{name}: no series by {sorted(dimensions)}"
    for dimension, value in dimensions.items():
        if dimension not in _NAMES:
            continue
        of_type, attribute = _NAMES[dimension]
        named = re.fullmatch(r"\$\{(\w+)" + re.escape(attribute) + r"\}", value)
        if named is None or template()["Resources"].get(named[1], {}).get("Type") != of_type:
            return kind, f"{name}: {value} is not the name of a {of_type}"
    function = dimensions.get("FunctionName", "")
    if dimensions.get("Resource", f"{function}:live") != f"{function}:live":
        return kind, f"{name}: {function} is invoked by its alias"
    version = function.replace("}", ".Version.Version}")
    if dimensions.get("ExecutedVersion", version) != version:
        return kind, f"{name}: that is no version of {function}"
    return kind, None
