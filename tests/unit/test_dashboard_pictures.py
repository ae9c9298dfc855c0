"""Data of the dashboards' pictures: embedded metrics, CloudWatch's statistics and metric math."""

import json
from collections import defaultdict

import pytest

from bench.dashboards import embedded
from bench.draw import Series, calculated, lines_of, points, statistic, widgets

LINE = json.dumps(
    {
        "_aws": {
            "Timestamp": 1,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Redial",
                    "Dimensions": [["service"], ["service", "attempt"]],
                    "Metrics": [{"Name": "AttemptPlaced", "Unit": "Count"}],
                }
            ],
        },
        "service": "s",
        "attempt": "2",
        "AttemptPlaced": [1.0, 2.0],
    },
)


def test_embedded_metrics_add_a_data_point_to_each_of_their_series() -> None:
    found: Series = defaultdict(list)
    for line in (LINE, '{"level":"INFO"}', "plain text"):
        embedded(line.replace(": ", ":"), 60.0, found)
    both = [(60.0, 1.0), (60.0, 2.0)]
    assert found == {"Redial AttemptPlaced service=s": both, "Redial AttemptPlaced attempt=2 service=s": both}


@pytest.mark.parametrize(
    ("name", "value"),
    [("Sum", 10), ("Maximum", 4), ("Minimum", 1), ("Average", 2.5), ("SampleCount", 4), ("p50", 2), ("p99", 4)],
)
def test_statistics(name: str, value: float) -> None:
    assert statistic(name, [4.0, 1.0, 3.0, 2.0]) == value


def test_percentiles_are_observed_values() -> None:
    values = list(range(100, 0, -1))
    assert [statistic(name, values) for name in ("p50", "p90", "p99", "p100")] == [50, 90, 99, 100]


def test_data_points_are_aggregated_by_period() -> None:
    assert points([(0, 1), (59, 2), (60, 5)], "Sum", 60) == {0: 3, 60: 5}


def test_metric_math_needs_a_value_of_every_metric() -> None:
    properties = {
        "stat": "Sum",
        "period": 60,
        "metrics": [
            ["Redial", "A", "service", "s", {"id": "a", "visible": False}],
            ["Redial", "B", "service", "s", {"id": "b", "label": "of b", "yAxis": "right"}],
            [{"expression": "100 * b / a", "label": "rate"}],
        ],
    }
    series: Series = {"Redial A service=s": [(0, 4), (60, 0), (120, 1)], "Redial B service=s": [(0, 1), (60, 1)]}
    assert lines_of(properties, series) == [("of b", {0: 1, 60: 1}, True), ("rate", {0: 25.0}, False)]
    with pytest.raises(ValueError, match="cannot calculate"):
        calculated("__import__('os')", {})


@pytest.mark.parametrize("name", ["BusinessDashboard", "OperationDashboard"])
def test_every_widget_of_the_template_can_be_drawn(name: str) -> None:
    shown = [widget for widget in widgets(name, "redial-local") if widget["type"] == "metric"]
    assert shown
    for widget in shown:
        assert all(found == {} for _, found, _ in lines_of(widget["properties"], {}))
