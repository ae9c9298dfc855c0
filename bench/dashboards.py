"""`make dashboards`, first half: plays a large batch and saves the metrics that the local stack emits.

Writes `.run/metrics.json` in some ten minutes; `bench.draw` draws both dashboards from it.

Embedded metrics are read from the functions' log by CloudWatch's rules (https://docs.aws.amazon.com/AmazonCloudWatch/
latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html), at simulated time. Of the metrics that AWS
itself publishes there are those that one machine has too: invocations and errors of functions, and dead letters.
"""

import argparse
import io
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bench.batch import LINES, ROWS
from bench.draw import METRICS, Series, series_of
from bench.stack import BATCH_RETRIES, NOON, SEED, create_batch, play, running, schedule
from local.aws.functions import OUTPUT, Function, Handler

SETTLING_MINUTES = 30


def embedded(line: str, at: float, found: Series) -> None:
    """Add the embedded metrics of one line of a log, as CloudWatch would extract them."""
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
    """Reads the functions' log line by line, at the simulated time of each line."""

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


def record(rows: int) -> dict[str, Any]:
    """Play the batch to its end; returns all data points, and the values of the dashboards' placeholders."""
    found: Series = defaultdict(list)
    with running(seed=SEED) as stack:

        def around(function: Function, handler: Handler) -> Handler:
            def counted(event: Any, context: Any) -> Any:
                at, errors = stack.clock.now().timestamp(), 1.0

                def add(namespace: str, name: str, value: float, **dimensions: str) -> None:
                    found[series_of(namespace, name, dimensions)].append((at, float(value)))

                try:
                    answer = handler(event, context)
                    errors = 0.0
                    if isinstance(answer, dict) and "statusCode" in answer:
                        status = answer["statusCode"]
                        for name, value in (("Count", 1), ("4xx", 400 <= status < 500), ("5xx", status >= 500)):
                            add("AWS/ApiGateway", name, value, ApiId="HttpApi")
                    return answer
                finally:
                    add("AWS/Lambda", "Invocations", 1.0, FunctionName=function.name)
                    add("AWS/Lambda", "Errors", errors, FunctionName=function.name)

            return counted

        OUTPUT.redirect_to(_Log(stack.clock.now, found))
        stack.aws.hooks.append(lambda *_: None)  # with a hook the sweeper runs in idle minutes too
        stack.around = around
        agent_id = stack.create_agent(max_concurrent_calls=LINES, voicemail_detection=True)
        batch_id = create_batch(stack, agent_id, rows, BATCH_RETRIES)
        schedule(stack, batch_id, 5)
        play(stack, batch_id, SETTLING_MINUTES)
        end = stack.clock.now().timestamp()
        for queue, messages in (
            *(
                (name, [one for one in stack.functions.dead_letters if (one.queue or "").endswith(name)])
                for name in ("FunctionDeadLetters", "DialDeadLetters", "DeliverDeadLetters")
            ),
            ("ScheduleDeadLetters", stack.scheduler.dead_letters),
        ):
            key = series_of("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue})
            found[key] = [(NOON.timestamp(), 0.0), (end, float(len(messages)))]
        service = stack.environment["POWERTOOLS_SERVICE_NAME"]
    return {
        "rows": rows, "lines": LINES, "from": NOON.timestamp(), "to": end, "service": service, "series": found,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    recorded = record(parser.parse_args().rows)
    METRICS.parent.mkdir(exist_ok=True)
    METRICS.write_text(json.dumps(recorded))
    print(f"{sum(map(len, recorded['series'].values())):,} data of {len(recorded['series'])} metrics: {METRICS}")


if __name__ == "__main__":
    main()
