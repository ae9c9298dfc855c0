"""`python -m bench.batch`: play a batch on the local stack, check it and count its requests. Prints Markdown.

README.md describes what is checked and counted. A check that fails ends the run with `RuntimeError`.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.attempt import Bench, Counts, counting
from bench.report import paragraph, say, show, table
from bench.stack import SEED, Checked, Stack, examine
from redial.domain.batch import contact_id
from redial.usecases.dispatch import LINES_PER_SHARD

ROWS, LINES = 10_000, 200
PARTITION_WRITES = 1_000
"""Write units a second that DynamoDB allows for one partition key of a table or an index, and so for one item.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
ATTEMPTS_A_SECOND = 500
MOST_LINES = 1_000
"""An agent's highest limit of concurrent calls."""
CALL, QUEUE, LINE_SHARD = "one call (X#)", "an agent's queue (Q#)", f"a shard of {LINES_PER_SHARD} lines (L#)"
INDEX_PARTITION = "a partition of the index"
KINDS = {
    "X#": CALL, "L#": LINE_SHARD, "Q#": QUEUE, "B#": "a batch (B#)", "C#": "a batch's counters (C#)",
    "R#": "a batch's delayed set (R#)", "T#": "a number (T#)", "Y#": "statistics (Y#)",
}  # fmt: skip


@dataclass(frozen=True)
class Campaign:
    """A batch, played from its upload to its last webhook. `counts`: of all functions meanwhile.

    `hours`: from its start until it was completed. `call_seconds`: the average from placing a call to its end.
    """

    rows: int
    lines: int
    counts: Counts
    checked: Checked
    hours: float
    call_seconds: float

    def keys(self) -> dict[tuple[str, str], Counter[str]]:
        """The write units of each partition key, by (where, kind of key)."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for (where, key), units in self.counts.keys.items():
            kind = KINDS.get(key[:2], key[:2]) if where == "table" else INDEX_PARTITION
            found[where, kind][key] += units
        return found


def campaign(rows: int, lines: int, **fields: str) -> Campaign:
    """Play a batch, and check it. `fields`: further fields of its upload. The sweeper runs every minute, as on AWS.

    Raises `RuntimeError` with the first failed checks.
    """
    with counting(Bench, seed=SEED) as bench:
        stack = bench.stack
        agent_id = bench.agent(max_concurrent_calls=lines, voicemail_detection=True)
        before = len(stack.carrier.calls.all())
        counts = bench.whole = Counts(f"a contact of a batch of {rows}", calls=rows)
        batch_id = stack.start_batch(agent_id, rows, **fields)
        hours = stack.play(batch_id)
        bench.whole = None
        counts.check_metered()
        say("checking")
        pages = (f"executions?page_number={page}&page_size=50" for page in range(1, rows // 50 + 2))
        executions = [one for page in pages for one in stack.ask("GET", f"/batches/{batch_id}/{page}")]
        checked = examine(stack, executions, lines, before)
        _check_batch(stack, batch_id, rows, executions, checked)
        if checked.faults:
            raise RuntimeError(f"{len(checked.faults)} faults: {checked.faults[:5]}")
        calls = stack.carrier.calls.all()[before:]
    counts.attempts = checked.attempts
    taken = sum(((call.ended_at or call.placed_at) - call.placed_at for call in calls), timedelta())
    say(f"a batch of {rows} contacts took {counts.attempts} attempts: {checked.ended}")
    return Campaign(rows, lines, counts, checked, hours, taken.total_seconds() / len(calls))


def _check_batch(stack: Stack, batch_id: str, rows: int, executions: list[Any], checked: Checked) -> None:
    """Check that the listing equals the file, the counts equal a recount, each event came once, and no call waits."""
    wanted = [contact_id(batch_id, row) for row in range(1, rows + 1)]
    checked.expect([one["id"] for one in executions] == wanted, "the listing is not the file's rows in their order")
    checked.expect(checked.repeated == 0, f"{checked.repeated} webhooks came twice")
    shown = stack.ask("GET", f"/batches/{batch_id}")
    checked.expect(shown["execution_status"] == checked.statuses, f"counted as {shown['execution_status']}")
    client, name = stack.aws.client("dynamodb"), stack.environment["TABLE_NAME"]
    for partition in (f"Q#{shown['agent_id']}", f"R#{batch_id}"):
        values = {":pk": {"S": partition}}
        query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values, "Limit": 5}
        waiting = client.query(TableName=name, **query)["Items"]
        checked.expect(not waiting, f"calls still wait: {waiting}")


# ---- the report ------------------------------------------------------------------------------------------------------


def by_function(counts: Counts) -> str:
    """A table of each function's requests for an attempt."""
    rows = []
    for name in sorted(counts.invocations):
        posted = counts.http[name, "carrier"] + counts.http[name, "webhook"]
        values = (counts.invocations[name], counts.by(name), posted)
        rows.append([name, *(f"{n / counts.attempts:.{digits}f}" for n, digits in zip(values, (3, 2, 2), strict=True))])
    return table(["function", "invocations", "AWS requests", "HTTP requests"], rows)


def report(played: Campaign) -> Iterator[str]:
    counts, checked, attempts = played.counts, played.checked, played.counts.attempts
    yield f"## A batch of {played.rows:,} contacts"
    yield f"One agent with {played.lines} lines, the emulated carrier's mix of outcomes. All checks passed."
    yield table(
        ["", "value"],
        [
            ["attempts = calls of the carrier", attempts],
            ["final statuses", checked.ended],
            ["most live calls at once", checked.max_live],
            ["webhooks", counts.posted("webhook")],
            ["simulated hours from its start until it was completed", f"{played.hours:.2f}"],
            ["AWS requests", counts.aws_requests],
            ["AWS requests per attempt", f"{counts.aws_requests / attempts:.2f}"],
        ],
    )
    yield by_function(counts)
    yield "AWS requests per attempt:"
    yield table(
        ["function", "request", "per attempt"],
        [
            [function, f"{service} {operation}", f"{count / attempts:.4f}"]
            for (function, service, operation), count in sorted(counts.requests.items())
        ],
    )
    yield from keys_report(played)


def keys_report(played: Campaign) -> Iterator[str]:
    """Write units of the busiest keys per attempt, and at many attempts a second."""
    attempts, line_shards, keys = played.counts.attempts, MOST_LINES // LINES_PER_SHARD, played.keys()
    of_agent = MOST_LINES / played.call_seconds
    rates = (of_agent, float(ATTEMPTS_A_SECOND))
    busiest = {
        (where, kind): (units.total() / line_shards if kind == LINE_SHARD else max(units.values())) / attempts
        for (where, kind), units in keys.items()
        if kind != CALL
    }
    yield "## Write units of the busiest keys"
    yield table(
        ["key", "of", "keys", "units per attempt, busiest", *(f"× {rate:.0f}/s" for rate in rates)],
        [
            [kind, where, len(keys[where, kind]), f"{units:.4f}", *(f"{units * rate:.1f}" for rate in rates)]
            for (where, kind), units in sorted(busiest.items(), key=lambda one: -one[1])
        ],
    )
    of_call, of_line = (keys["table", kind].total() / attempts for kind in (CALL, LINE_SHARD))
    yield paragraph(
        f"A call's own item takes {of_call:.1f} units per attempt. A call lasted "
        f"{played.call_seconds:.0f} seconds on average, so one agent, whose lines are at most {MOST_LINES:,}, makes at "
        f"most {of_agent:.0f} attempts a second. A shard of lines reaches the {PARTITION_WRITES:,} units a second of a "
        f"key when calls last {LINES_PER_SHARD * of_line / PARTITION_WRITES:.2f} seconds, an agent's queue at "
        f"{PARTITION_WRITES / 2:.0f} attempts a second, if each of them waits for a line (2 units, 3 with a rate)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"contacts ({ROWS})")
    parser.add_argument("--lines", type=int, default=LINES, help=f"the agent's limit of concurrent calls ({LINES})")
    asked = parser.parse_args()
    show(report(campaign(asked.rows, asked.lines)))


if __name__ == "__main__":
    main()
