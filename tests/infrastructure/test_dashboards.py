"""Dashboards: they draw only published series, they draw every metric of Redial, and their widgets fit."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from redial.runtime.telemetry import METRICS
from tests.support.published_metrics import what_is_wrong
from tests.support.template import functions, of_type

DASHBOARDS = of_type("AWS::CloudWatch::Dashboard")
COLUMNS = 24
"""Width of a dashboard in columns."""

each_dashboard = pytest.mark.parametrize("name", sorted(DASHBOARDS))


def _widgets(name: str) -> list[dict[str, Any]]:
    """A dashboard's widgets, with `${…}` not replaced: names and ARNs need no escaping inside quotes."""
    body = json.loads(DASHBOARDS[name]["Properties"]["DashboardBody"]["Fn::Sub"])
    assert list(body) == ["widgets"]
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def _of_kind(name: str, kind: str) -> Iterator[dict[str, Any]]:
    return (widget["properties"] for widget in _widgets(name) if widget["type"] == kind)


def _series(properties: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """Namespace, name, dimensions and statistic of every series that a widget draws."""
    for line in properties["metrics"]:
        *names, options = line if isinstance(line[-1], dict) else [*line, {}]
        if names:
            namespace, metric, *dimensions = names
            pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            yield namespace, metric, pairs, options.get("stat", properties["stat"])


@each_dashboard
def test_every_drawn_series_is_published(name: str) -> None:
    series = [one for properties in _of_kind(name, "metric") for one in _series(properties)]
    assert len(series) > 10
    assert [wrong for one in series if (wrong := what_is_wrong(*one)) is not None] == []


def test_every_metric_of_redial_is_drawn_with_every_value_of_its_dimension() -> None:
    drawn = {
        (metric, word)
        for name in DASHBOARDS
        for properties in _of_kind(name, "metric")
        for _, metric, dimensions, _ in _series(properties)
        for word in (dimensions.get(METRICS[metric].split or "") if metric in METRICS else None,)
    }
    wanted = {(name, word) for name, metric in METRICS.items() for word in metric.words or (None,)}
    assert wanted - drawn == set()


@each_dashboard
def test_metric_math_names_its_series(name: str) -> None:
    for properties in _of_kind(name, "metric"):
        options = [line[-1] for line in properties["metrics"] if isinstance(line[-1], dict)]
        ids = [one["id"] for one in options if "id" in one]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[a-z]\w*", one) for one in ids)
        for one in options:
            assert set(re.findall(r"[a-z]\w*", one.get("expression", ""))) <= set(ids)


@each_dashboard
def test_widgets_do_not_overlap(name: str) -> None:
    squares: set[tuple[int, int]] = set()
    for widget in _widgets(name):
        x, y, width, height = (widget[side] for side in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= COLUMNS and y >= 0 and height >= 1
        own = set(itertools.product(range(x, x + width), range(y, y + height)))
        assert not squares & own, widget["properties"]["title"]
        squares |= own
    bottom = max(y for _, y in squares) + 1
    assert len(squares) == COLUMNS * bottom, "no holes either"


@each_dashboard
def test_a_widget_has_a_title_and_the_stacks_region(name: str) -> None:
    titles = [widget["properties"]["title"] for widget in _widgets(name)]
    assert all(titles) and len(set(titles)) == len(titles)
    for kind in ("metric", "log"):
        assert all(properties["region"] == "${AWS::Region}" for properties in _of_kind(name, kind))
    for properties in _of_kind(name, "metric"):
        visible = [line[-1] for line in properties["metrics"] if line[-1].get("visible", True)]
        labels = [options["label"] for options in visible]
        assert len(set(labels)) == len(labels)


def test_the_operation_dashboard_shows_every_unconditional_alarm() -> None:
    (properties,) = _of_kind("OperationDashboard", "alarm")
    always = {name for name, alarm in of_type("AWS::CloudWatch::Alarm").items() if "Condition" not in alarm}
    assert sorted(properties["alarms"]) == sorted(f"${{{name}.Arn}}" for name in always)


def test_the_latest_errors_come_from_every_functions_log() -> None:
    (properties,) = _of_kind("OperationDashboard", "log")
    groups = {f"/aws/lambda/${{{function['LogicalId']}}}" for function in functions().values()}
    assert set(re.findall(r"SOURCE '([^']+)'", properties["query"])) == groups


def test_dashboards_of_two_stacks_have_different_names() -> None:
    names = [one["Properties"]["DashboardName"]["Fn::Sub"] for one in DASHBOARDS.values()]
    assert sorted(names) == ["${AWS::StackName}-business", "${AWS::StackName}-operation"]
