"""`python -m bench.draw dashboards|limits|statistics`: the documentation's pictures. Needs only matplotlib and PyYAML.

dashboards   docs/dashboards/*.png: the widgets that the template declares, from the metrics that `bench.dashboards`
             recorded, with CloudWatch's statistics and metric math
limits       docs/scaling.svg: the limits in the first table of docs/scaling.md
statistics   docs/statistics.svg: the reach by attempt and the answers by gap in docs/statistics.json
"""

import argparse
import json
import math
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from local import ROOT
from local.cloudformation import load

METRICS = ROOT / ".run" / "metrics.json"
PICTURES = ROOT / "docs" / "dashboards"
SCALING = ROOT / "docs" / "scaling.md"
STUDY = ROOT / "docs" / "statistics.json"

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum, "Maximum": max, "Minimum": min, "Average": fmean, "SampleCount": len,
}  # fmt: skip
"""CloudWatch's statistics other than percentiles (p50, p99, …)."""
Series = dict[str, list[tuple[float, float]]]
"""`<namespace> <name> <dimension>=<value>…` → (seconds since 1970, value) of each data point."""


def series_of(namespace: str, name: str, dimensions: dict[str, str]) -> str:
    return " ".join([namespace, name, *(f"{key}={value}" for key, value in sorted(dimensions.items()))])


def widgets(logical_id: str, service: str) -> list[dict[str, Any]]:
    """A dashboard's widgets as declared in the template, with the local stack's names filled in."""
    resources = load(ROOT / "template.yaml")["Resources"]

    def named(found: re.Match[str]) -> str:
        name = found[1]
        if name == "AWS::StackName":
            return service
        if resources.get(name, {}).get("Type") == "AWS::Serverless::Function":
            function_name: str = resources[name]["Properties"]["FunctionName"]["Fn::Sub"]
            return function_name.replace("${AWS::StackName}", service)
        return name.removesuffix(".QueueName")

    body: str = resources[logical_id]["Properties"]["DashboardBody"]["Fn::Sub"]
    declared: list[dict[str, Any]] = json.loads(re.sub(r"\$\{([\w:.]+)\}", named, body))["widgets"]
    return declared


def statistic(name: str, values: Sequence[float]) -> float:
    """One of CloudWatch's statistics of the data points of one period."""
    if name in STATISTICS:
        return float(STATISTICS[name](values))
    percent = float(name.removeprefix("p"))
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def points(data: Iterable[tuple[float, float]], name: str, period: int) -> dict[float, float]:
    """The statistic of each period's data points, by the period's start."""
    periods: dict[float, list[float]] = defaultdict(list)
    for at, value in data:
        periods[at // period * period].append(value)
    return {start: statistic(name, values) for start, values in sorted(periods.items())}


def lines_of(properties: dict[str, Any], series: Series) -> list[tuple[str, dict[float, float], bool]]:
    """A metric widget's lines: label, points, and whether it has the right axis."""
    shown: list[tuple[str, dict[float, float], bool]] = []
    by_id: dict[str, dict[float, float]] = {}
    for entry in properties["metrics"]:
        *names, options = entry if isinstance(entry[-1], dict) else (*entry, {})
        if "expression" in options:
            shown.append((options["label"], calculated(options["expression"], by_id), False))
            continue
        namespace, name, *rest = names
        key = series_of(namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)))
        stat, period = options.get("stat", properties["stat"]), options.get("period", properties["period"])
        found = points(series.get(key, ()), stat, period)
        by_id[options.get("id", key)] = found
        if options.get("visible", True):
            shown.append((options.get("label", name), found, options.get("yAxis") == "right"))
    return shown


def calculated(expression: str, by_id: dict[str, dict[float, float]]) -> dict[float, float]:
    """The result of metric math (`+ - * /`, numbers and ids) in the periods in which every named metric has a value.

    Raises `ValueError` for any other expression.
    """
    names: list[str] = re.findall(r"[a-z]\w*", expression)
    if not re.fullmatch(r"[\w\s.+*/()-]+", expression) or not set(names) <= set(by_id):
        raise ValueError(f"cannot calculate {expression!r} of {sorted(by_id)}")
    result = {}
    for at in sorted(set.intersection(*(set(by_id[name]) for name in names))):
        try:
            values = {name: by_id[name][at] for name in names}
            result[at] = eval(expression, {"__builtins__": {}}, values)  # noqa: S307  arithmetic from our own template
        except ZeroDivisionError:
            continue
    return result


COLUMNS, ROW_INCHES, COLUMN_INCHES, HEAD_INCHES = 24, 0.55, 0.62, 0.6


def draw_dashboard(figure: Any, logical_id: str, recorded: dict[str, Any]) -> None:
    declared = [widget for widget in widgets(logical_id, recorded["service"]) if widget["type"] in ("metric", "alarm")]
    rows = max(widget["y"] + widget["height"] for widget in declared)
    height = rows * ROW_INCHES + HEAD_INCHES
    figure.set_size_inches(COLUMNS * COLUMN_INCHES, height)
    hours = (recorded["to"] - recorded["from"]) / 3600
    title = f"{logical_id}: a batch of {recorded['rows']:,} contacts over {recorded['lines']} lines on the local stack"
    figure.suptitle(f"{title}, {hours:.1f} simulated hours", fontsize=11, y=1 - 0.25 / height)
    usable = 1 - HEAD_INCHES / height
    for widget in declared:
        x, y, columns, high = (widget[name] for name in ("x", "y", "width", "height"))
        bottom, tall = usable * (1 - (y + high - 1.0) / rows), usable * (high - 2.1) / rows
        axes = figure.add_axes(((x + 0.9) / COLUMNS, bottom, (columns - 1.3) / COLUMNS, tall))
        axes.set_title(widget["properties"]["title"], fontsize=8, loc="left")
        axes.tick_params(labelsize=6)
        if widget["type"] == "alarm":  # only the names: their states are not simulated
            axes.axis("off")
            names = ", ".join(name.removesuffix("Alarm.Arn") for name in widget["properties"]["alarms"])
            axes.text(0, 0.95, textwrap.fill(names, 200), transform=axes.transAxes, fontsize=7, va="top")
        else:
            _draw_lines(axes, widget["properties"], recorded, hours)


def _draw_lines(axes: Any, properties: dict[str, Any], recorded: dict[str, Any], hours: float) -> None:
    shown = lines_of(properties, recorded["series"])
    right = axes.twinx() if any(on_the_right for _, _, on_the_right in shown) else None
    heights: dict[float, float] = defaultdict(float)
    for number, (label, found, on_the_right) in enumerate(shown):
        times = [(at - recorded["from"]) / 3600 for at in found]
        style = {"label": label, "color": f"C{number}"}
        if properties.get("stacked", False):
            width = properties["period"] / 3600
            bottoms = [heights[at] for at in found]
            axes.bar(times, list(found.values()), width=width, bottom=bottoms, align="edge", **style)
            for at, value in found.items():
                heights[at] += value
        else:
            on = right if right is not None and on_the_right else axes
            marker = "o" if len(found) <= 3 else None
            on.plot(times, list(found.values()), linewidth=1, marker=marker, markersize=3, **style)
    if not any(found for _, found, _ in shown):
        own = all(entry[0] == "Redial" for entry in properties["metrics"])
        words = "did not happen" if own else "not measured on one machine"
        axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", fontsize=7, color="#888888")
    limits = properties.get("yAxis", {}).get("left", {})
    axes.set_xlim(0, hours)
    axes.set_ylim(limits.get("min", 0), limits.get("max"))
    axes.grid(visible=True, linewidth=0.3)
    handles = [line for part in (axes, right) if part is not None for line in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, fontsize=5, loc="upper right", ncols=2, framealpha=0.6)
    if right is not None:
        right.set_ylim(0, None)
        right.tick_params(labelsize=6)


def limits_of(document: str) -> dict[str, float]:
    """The attempts a second at which each limit is reached, by its name, from the first table of a document."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in document.splitlines() if line[:1] == "|"]
    reached = cells[0].index("reached at, attempts/s")
    end = next((number for number, row in enumerate(cells) if len(row) != len(cells[0])), len(cells))
    return {row[0]: float(row[reached].replace(",", "")) for row in cells[2:end]}


def draw_limits(axes: Any, limits: dict[str, float]) -> None:
    """Draw a bar for each limit, on a logarithmic scale: red below 100 attempts a second, orange below 1,000."""
    colours = ["#c0392b" if rate < 100 else "#d68910" if rate < 1000 else "#2e86c1" for rate in limits.values()]
    bars = axes.barh(list(limits), list(limits.values()), color=colours)
    axes.bar_label(bars, labels=[f"{rate:,.0f}" for rate in limits.values()], padding=3)
    axes.set_xscale("log")
    axes.set_xlim(0.7, 100_000)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.3)
    axes.set_title("attempts a second at which each limit is reached, by default", fontsize=10)


def _gap(one: dict[str, Any]) -> str:
    low, high = one["from_minutes"], one["to_minutes"]
    return f"under {high} min" if low is None else f"over {low} min" if high is None else f"{low}–{high} min"


def draw_rates(axes: Any, title: str, rates: Sequence[tuple[str, dict[str, Any], int]]) -> None:
    """Draw a bar for each (name, rate, number of cases), with its interval. Text, not colour, distinguishes them."""
    for place, (_, one, cases) in enumerate(rates):
        low, high = one["interval"]
        axes.bar(place, one["rate"] * 100, color="#2e86c1")
        error = [[(one["rate"] - low) * 100], [(high - one["rate"]) * 100]]
        axes.errorbar(place, one["rate"] * 100, error, color="black", capsize=4, linewidth=1)
        axes.text(place, high * 100 + 2, f"{one['rate']:.0%}\nof {cases:,}", ha="center", fontsize=8)
    axes.set_xticks(range(len(rates)), [name for name, _, _ in rates], fontsize=8)
    axes.set_ylim(0, 118)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    import matplotlib as mpl  # type: ignore[import-not-found,unused-ignore]  # in .venv-pictures only
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["dashboards", "limits", "statistics"])
    pictures: dict[Path, Any] = {}
    mpl.rcParams.update({"svg.hashsalt": "limits", "svg.fonttype": "none"})  # the same file for the same numbers
    what = parser.parse_args().what
    if what == "statistics":
        found = json.loads(STUDY.read_text())
        picture = pictures[STUDY.with_suffix(".svg")] = Figure(figsize=(9.5, 3.4), layout="tight")
        reach, gaps = picture.subplots(1, 2)
        names = ("first dial", "1st retry", "2nd retry", "3rd retry")
        by_attempt = [(names[one["attempt"] - 1], one, one["contacts"]) for one in found["reach"]]
        draw_rates(reach, "contacts reached by then", by_attempt)
        by_gap = [(_gap(one), one, one["attempts"]) for one in found["by_gap"]]
        draw_rates(gaps, "retries answered, by the gap before them", by_gap)
    elif what == "limits":
        picture = pictures[SCALING.with_suffix(".svg")] = Figure(figsize=(9.5, 4), layout="tight")
        draw_limits(picture.add_subplot(), limits_of(SCALING.read_text()))
    else:
        recorded = json.loads(METRICS.read_text())
        for name in ("business", "operation"):
            pictures[PICTURES / f"{name}.png"] = figure = Figure(dpi=80)
            draw_dashboard(figure, f"{name.title()}Dashboard", recorded)
    for path, figure in pictures.items():
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        print(path)


if __name__ == "__main__":
    main()
