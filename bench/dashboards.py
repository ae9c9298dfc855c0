"""`make dashboards`, first half: play a large batch and save the metrics that the local stack emits.

Writes `.run/metrics.json` in some ten minutes; `bench.draw` draws both dashboards from it.

Embedded metrics are read from the functions' log by CloudWatch's rules (https://docs.aws.amazon.com/AmazonCloudWatch/
latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html), at simulated time. Of the metrics that AWS
itself publishes, those that exist on one machine are included: invocations and errors of functions, and dead letters.
"""

import argparse
import json
from collections import defaultdict
from typing import Any

from bench.batch import LINES, ROWS
from bench.draw import METRICS, Series, series_of
from bench.stack import NOON, SEED, running
from local.aws.functions import Function, Handler

SETTLING_MINUTES = 30


def embedded(line: str, at: float, found: Series) -> None:
    """Add the embedded metrics of a log line, as CloudWatch would extract them."""
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


def record(rows: int) -> dict[str, Any]:
    """Play the batch to its end. Returns all data points, and the values of the dashboards' placeholders."""
    found: Series = defaultdict(list)
    with running(seed=SEED) as stack, stack.log.open() as log:

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
                    for line in log.readlines():
                        embedded(line, at, found)

            return counted

        stack.aws.hooks.append(lambda *_: None)  # with a hook the sweeper runs in idle minutes too
        stack.around = around
        agent_id = stack.create_agent(max_concurrent_calls=LINES, voicemail_detection=True)
        stack.play(stack.start_batch(agent_id, rows))
        stack.clock.advance(SETTLING_MINUTES)
        end = stack.clock.now().timestamp()
        letters = [one.queue or "" for one in (*stack.functions.dead_letters, *stack.scheduler.dead_letters)]
        for queue in ("FunctionDeadLetters", "DialDeadLetters", "DeliverDeadLetters", "ScheduleDeadLetters"):
            key = series_of("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue})
            found[key] = [(NOON.timestamp(), 0.0), (end, float(sum(name.endswith(queue) for name in letters)))]
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
