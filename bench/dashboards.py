"""`make dashboards`: both dashboards, drawn from the metrics that the local stack emits while it plays a large batch.

    record --rows 10000    the batch, some ten minutes; its metrics are written to `.run/metrics.json`
    draw                   `docs/dashboards/*.png`, from that file; needs matplotlib

What is drawn is what template.yaml declares: each widget's metrics, statistics and periods. Embedded metrics are taken
from the functions' log by CloudWatch's rules (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/
CloudWatch_Embedded_Metric_Format_Specification.html), at simulated time. Of what AWS publishes by itself only what one
machine has too is there: invocations and errors of functions, and dead letters.
"""

import argparse
import io
import json
import math
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.attempt import NOON
from bench.batch import LINES, RETRIES, ROWS, SEED, create_batch, schedule
from local import ROOT
from local.aws.functions import OUTPUT, Function, Handler
from local.stack import LocalStack
from redial.adapters.dynamodb.batches import DynamoBatches
from tests.support.template import of_type

METRICS = ROOT / ".run" / "metrics.json"
PICTURES = ROOT / "docs" / "dashboards"
STEP_MINUTES = 10
SETTLING_MINUTES = 30

Series = dict[str, list[tuple[float, float]]]
"""`<namespace> <name> <dimension>=<value>…` → (seconds since 1970, value) of each datum."""


# ---- recording ------------------------------------------------------------------------------------------------------


def series_of(namespace: str, name: str, dimensions: dict[str, str]) -> str:
    return " ".join([namespace, name, *(f"{key}={value}" for key, value in sorted(dimensions.items()))])


def embedded(line: str, at: float, found: Series) -> None:
    """Add what one line of a log holds of embedded metrics, as CloudWatch would extract it."""
    if not line.startswith('{"_aws"'):
        return
    document = json.loads(line)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: document[name] for name in names}
            for metric in directive["Metrics"]:
                values = document[metric["Name"]]
                key = series_of(directive["Namespace"], metric["Name"], dimensions)
                found[key] += [(at, float(value)) for value in (values if isinstance(values, list) else [values])]


class _Log(io.StringIO):
    """Takes the functions' log, line by line, as of the simulated time at which it is written."""

    def __init__(self, now: Callable[[], datetime], found: Series) -> None:
        super().__init__()
        self._now = now
        self._found = found
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            embedded(line, self._now().timestamp(), self._found)
        return len(text)


class _Stack(LocalStack):
    """A local stack whose functions' metrics, invocations and errors are kept."""

    def __init__(self, found: Series, **options: Any) -> None:
        super().__init__(**options)
        self._found = found

    def start(self) -> "LocalStack":
        super().start()
        OUTPUT.redirect_to(_Log(self.clock.now, self._found))
        self.aws.hooks.append(lambda *_: None)  # the sweeper is left out of idle minutes unless somebody watches
        return self

    def load(self, function: Function) -> Handler:
        handler = super().load(function)

        def counted(event: Any, context: Any) -> Any:
            at, errors = self.clock.now().timestamp(), 1.0
            try:
                answer = handler(event, context)
                errors = 0.0
                if isinstance(answer, dict) and "statusCode" in answer:
                    self._answered(at, answer["statusCode"])
                return answer
            finally:
                for name, value in (("Invocations", 1.0), ("Errors", errors)):
                    self._found[series_of("AWS/Lambda", name, {"FunctionName": function.name})].append((at, value))

        return counted

    def _answered(self, at: float, status: int) -> None:
        """What API Gateway counts of a request."""
        for name, value in (("Count", 1), ("4xx", 400 <= status < 500), ("5xx", status >= 500)):
            self._found[series_of("AWS/ApiGateway", name, {"ApiId": "HttpApi"})].append((at, float(value)))


def record(rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Play the batch to its end; every datum, and what the dashboards' names stand for."""
    found: Series = defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as folder,
        _Stack(found, start_at=NOON, seed=SEED, log=Path(folder) / "functions.log") as stack,
    ):
        agent_id = stack.create_agent(max_concurrent_calls=LINES, voicemail_detection=True)
        batch_id = create_batch(stack, agent_id, rows, RETRIES)
        schedule(stack, batch_id, 5)
        batches = DynamoBatches(stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"])
        batch = batches.get(batch_id)
        while batch is not None and batch.status != "completed":
            stack.clock.advance(STEP_MINUTES)
            batch = batches.get(batch_id)
            say(f"{(stack.clock.now() - NOON).total_seconds() / 3600:.1f} h simulated: {batches.counts(batch_id)}")
        stack.clock.advance(SETTLING_MINUTES)
        letters = {
            "FunctionDeadLetters": stack.functions.dead_letters,
            "ScheduleDeadLetters": stack.scheduler.dead_letters,
        }
        for queue, messages in letters.items():
            key = series_of("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue})
            found[key] = [(NOON.timestamp(), 0.0), (stack.clock.now().timestamp(), float(len(messages)))]
        return {
            "rows": rows,
            "from": NOON.timestamp(),
            "to": stack.clock.now().timestamp(),
            "service": stack.environment["POWERTOOLS_SERVICE_NAME"],
            "series": found,
        }


# ---- drawing --------------------------------------------------------------------------------------------------------


def widgets(logical_id: str, service: str) -> list[dict[str, Any]]:
    """A dashboard's widgets as template.yaml declares them, with the names of the local stack filled in."""
    body: str = of_type("AWS::CloudWatch::Dashboard")[logical_id]["Properties"]["DashboardBody"]["Fn::Sub"]
    functions = of_type("AWS::Serverless::Function")

    def stands_for(found: re.Match[str]) -> str:
        name = found[1]
        if name == "AWS::StackName":
            return service
        if name in functions:
            return str(functions[name]["Properties"]["FunctionName"]["Fn::Sub"]).replace("${AWS::StackName}", service)
        return name.removesuffix(".QueueName")

    declared: list[dict[str, Any]] = json.loads(re.sub(r"\$\{([\w:.]+)\}", stands_for, body))["widgets"]
    return declared


def statistic(name: str, values: Sequence[float]) -> float:
    """One of CloudWatch's statistics of the data of one period."""
    match name:
        case "Sum":
            return sum(values)
        case "Maximum":
            return max(values)
        case "Minimum":
            return min(values)
        case "Average":
            return sum(values) / len(values)
        case "SampleCount":
            return float(len(values))
    percent = float(name.removeprefix("p"))
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def points(data: Iterable[tuple[float, float]], name: str, period: int) -> dict[float, float]:
    """Period's start → the statistic of what fell into it."""
    periods: dict[float, list[float]] = defaultdict(list)
    for at, value in data:
        periods[at // period * period].append(value)
    return {start: statistic(name, values) for start, values in sorted(periods.items())}


def lines_of(properties: dict[str, Any], series: Series) -> list[tuple[str, dict[float, float], bool]]:
    """What a metric widget shows: labels, points, and whether they are measured on the right."""
    shown: list[tuple[str, dict[float, float], bool]] = []
    by_id: dict[str, dict[float, float]] = {}
    for entry in properties["metrics"]:
        *names, options = entry if isinstance(entry[-1], dict) else (*entry, {})
        if "expression" in options:
            shown.append((options["label"], _calculated(options["expression"], by_id), False))
            continue
        namespace, name, *rest = names
        key = series_of(namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)))
        stat, period = options.get("stat", properties["stat"]), options.get("period", properties["period"])
        found = points(series.get(key, ()), stat, period)
        by_id[options.get("id", key)] = found
        if options.get("visible", True):
            shown.append((options.get("label", name), found, options.get("yAxis") == "right"))
    return shown


def _calculated(expression: str, by_id: dict[str, dict[float, float]]) -> dict[float, float]:
    """Metric math over periods in which every metric named has a value: `+ - * /`, numbers and ids."""
    names: list[str] = re.findall(r"[a-z]\w*", expression)
    if not re.fullmatch(r"[\w\s.+*/()-]+", expression) or not set(names) <= set(by_id):
        raise ValueError(f"cannot calculate {expression!r} of {sorted(by_id)}")
    common = set.intersection(*(set(by_id[name]) for name in names))
    result = {}
    for at in sorted(common):
        values = {name: by_id[name][at] for name in names}
        try:
            result[at] = eval(expression, {"__builtins__": {}}, values)  # noqa: S307  arithmetic of the template's own
        except ZeroDivisionError:
            continue
    return result


COLUMNS, ROW_INCHES, COLUMN_INCHES = 24, 0.55, 0.62
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


def draw(logical_id: str, recorded: dict[str, Any], path: Path) -> None:
    """One dashboard as a picture."""
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]  # only in its own environment

    declared = [widget for widget in widgets(logical_id, recorded["service"]) if widget["type"] in ("metric", "alarm")]
    rows = max(widget["y"] + widget["height"] for widget in declared)
    figure = Figure(figsize=(COLUMNS * COLUMN_INCHES, rows * ROW_INCHES + 0.6), dpi=80)
    hours = (recorded["to"] - recorded["from"]) / 3600
    figure.suptitle(
        f"{logical_id}: a batch of {recorded['rows']:,} contacts over {LINES} lines on the local stack, "
        f"{hours:.1f} simulated hours",
        fontsize=11, y=1 - 0.25 / (rows * ROW_INCHES + 0.6),
    )  # fmt: skip
    usable = rows * ROW_INCHES / (rows * ROW_INCHES + 0.6)
    for widget in declared:
        box = (
            (widget["x"] + 0.9) / COLUMNS,
            usable * (1 - (widget["y"] + widget["height"] - 1.0) / rows),
            (widget["width"] - 1.3) / COLUMNS,
            usable * (widget["height"] - 2.1) / rows,
        )
        axes = figure.add_axes(box)
        axes.set_title(widget["properties"]["title"], fontsize=8, loc="left")
        axes.tick_params(labelsize=6)
        if widget["type"] == "alarm":
            _draw_alarms(axes, widget["properties"]["alarms"])
        else:
            _draw_lines(axes, widget["properties"], recorded)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_alarms(axes: Any, names: Sequence[str]) -> None:
    """Their names only: CloudWatch's own judging is not played here."""
    axes.axis("off")
    columns = 6
    for number, name in enumerate(names):
        axes.text(
            number % columns / columns, 0.95 - number // columns * 0.26, name.removesuffix("Alarm.Arn"),
            transform=axes.transAxes, fontsize=7, va="top",
            bbox={"boxstyle": "round", "facecolor": "#eef3ee", "edgecolor": "#7a9a7a"},
        )  # fmt: skip


def _draw_lines(axes: Any, properties: dict[str, Any], recorded: dict[str, Any]) -> None:
    shown = lines_of(properties, recorded["series"])
    right = axes.twinx() if any(on_the_right for _, _, on_the_right in shown) else None
    heights: dict[float, float] = defaultdict(float)
    for number, (label, found, on_the_right) in enumerate(shown):
        colour = COLOURS[number % len(COLOURS)]
        if properties.get("stacked", False):
            _stack(axes, heights, found, label, colour, recorded["from"], properties["period"])
            continue
        on = right if right is not None and on_the_right else axes
        times = [(at - recorded["from"]) / 3600 for at in found]
        marker = "o" if len(found) <= 3 else None
        on.plot(times, list(found.values()), label=label, color=colour, linewidth=1, marker=marker, markersize=3)
    if not any(found for _, found, _ in shown):
        own = all(entry[0] == "Redial" for entry in properties["metrics"])
        words = "did not happen" if own else "not measured on one machine"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", fontsize=7, color="#888888")
    limits = properties.get("yAxis", {}).get("left", {})
    axes.set_xlim(0, (recorded["to"] - recorded["from"]) / 3600)
    axes.set_ylim(limits.get("min", 0), limits.get("max"))
    axes.grid(visible=True, linewidth=0.3)
    handles = [line for part in (axes, right) if part is not None for line in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=5, loc="upper right", ncols=2, framealpha=0.6)
    if right is not None:
        right.set_ylim(0, None)
        right.tick_params(labelsize=6)


def _stack(
    axes: Any,
    heights: dict[float, float],
    found: dict[float, float],
    label: str,
    colour: str,
    begins: float,
    period: int,
) -> None:
    """Bars upon those that are there, which are so high; of what never happened only the name."""
    times = [(at + period / 2 - begins) / 3600 for at in found]
    bottoms = [heights[at] for at in found]
    axes.bar(times, list(found.values()), width=period / 3600, bottom=bottoms, label=label, color=colour)
    for at, value in found.items():
        heights[at] += value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "draw"])
    parser.add_argument("--rows", type=int, default=ROWS)
    arguments = parser.parse_args()
    if arguments.what == "record":
        recorded = record(arguments.rows, lambda line: print(line, file=sys.stderr, flush=True))
        METRICS.parent.mkdir(exist_ok=True)
        METRICS.write_text(json.dumps(recorded))
        print(f"{sum(map(len, recorded['series'].values())):,} data of {len(recorded['series'])} metrics: {METRICS}")
        return
    recorded = json.loads(METRICS.read_text())
    for logical_id, name in (("BusinessDashboard", "business"), ("OperationDashboard", "operation")):
        draw(logical_id, recorded, PICTURES / f"{name}.png")
        print(PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
