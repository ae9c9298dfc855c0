"""The generated part of docs/protocol.md: each safeguard, and the promise violated without it."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.protocol.model import MODELS
from tests.protocol.notation import search

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
BEGIN, END = "<!-- begin: make protocol -->\n", "<!-- end: make protocol -->\n"


class Safeguard(NamedTuple):
    """`where`: module and name, below `redial`. `steps`: the length of a shortest counterexample."""

    model: str
    name: str
    where: str
    steps: int


_STORE = "adapters.dynamodb.executions:DynamoExecutions."
_DIAL, _LINES = "usecases.dial_attempt:Dial.", "adapters.dynamodb.lines:DynamoLines."
_DELAYED = "adapters.dynamodb.delayed:DynamoDelayedSets."
SAFEGUARDS = (
    Safeguard("dial", "claim, then ask the carrier", f"{_DIAL}claim_and_call", 4),
    Safeguard("dial", "claim over the version read", f"{_STORE}save", 5),
    Safeguard("dial", "a claim has its own id", "domain.execution:Execution.claim", 7),
    Safeguard("dial", "a rejected claim is looked up by its id", f"{_DIAL}_claimed", 3),
    Safeguard("dial", "an unknown answer is a result", "domain.execution:Execution.answered_by_carrier", 7),
    Safeguard("dial", "dial checks the due time", f"{_DIAL}_try", 6),
    Safeguard("dial", "stop over the version read", "usecases.update:update", 5),
    Safeguard("dial", "a report counts for its own attempt", "domain.execution:Execution.reported", 9),
    Safeguard("dial", "a report only moves forward", "domain.execution:Execution.reported", 5),
    Safeguard("dial", "a lost attempt is reopened by its report", "domain.execution:Execution.reported", 11),
    Safeguard("dial", "the deadline outlasts dial", "domain.execution:UNKNOWN_DEADLINE", 4),
    Safeguard("dial", "the sweeper asks about a call", "usecases.sweep:Sweeper._ask", 3),
    Safeguard("dial", "the sweeper invokes dial again", "usecases.sweep:Sweeper._wake", 1),
    Safeguard("line", "a line is acquired only if one is free", f"{_LINES}acquire", 1),
    Safeguard("line", "join the queue, then check", "usecases.dispatch:enqueue_and_dispatch", 12),
    Safeguard("line", "release a line, then check", "usecases.dispatch:release_line", 11),
    Safeguard("line", "a hand-over is one write", f"{_LINES}hand_over", 4),
    Safeguard("line", "only a holder hands over", f"{_LINES}hand_over", 12),
    Safeguard("line", "a line is released only after a versioned write", f"{_DIAL}_leave", 6),
    Safeguard("line", "only the last acquirer releases the line", "adapters.dynamodb.lines:_held_by", 8),
    Safeguard("line", "the sweeper checks lines and queue", "usecases.sweep:Sweeper._lines", 1),
    Safeguard("stop", "acquire a line, then read the mark", f"{_DIAL}_try", 6),
    Safeguard("stop", "mark, then read the holders", "usecases.batches:stop_agent_with_batches", 6),
    Safeguard("delivery", "one lease at a time, longer than deliver runs", "domain.delivery:Delivery.may_send", 2),
    Safeguard("delivery", "the oldest event goes first", "domain.delivery:pending_events", 3),
    Safeguard("delivery", "save over the version read", f"{_STORE}save", 4),
    Safeguard("delivery", "list and give up in one write", "wire.stored_execution:encode", 3),
    Safeguard("delayed set", "put the entry, then lower the time", f"{_DELAYED}add", 8),
    Safeguard("delayed set", "move the time, then read again", f"{_DELAYED}_raise_next", 13),
    Safeguard("delayed set", "the audit lowers the time", "usecases.run_batch:BatchWorker._audit", 13),
    Safeguard("delayed set", "a popped entry stays until its dial", f"{_DELAYED}pop_due", 7),
)  # fmt: skip


def in_code(safeguard: Safeguard) -> Any:
    """The function or constant named by `where`."""
    module, _, name = safeguard.where.partition(":")
    found: Any = importlib.import_module(f"redial.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    return found


@cache
def found(model_name: str, without: str | None = None) -> Any:
    model = next(one for one in MODELS if one.name == model_name)
    return search(model, without)


def results() -> str:
    lines = ["| Model | States | Steps |", "|---|---|---|"]
    for model in MODELS:
        whole = found(model.name)
        lines.append(f"| {model.name} | {whole.states:,} | {len(whole.edges):,} |")
    for model in MODELS:
        lines += ["", f"### {model.name.capitalize()}", ""]
        lines += ["| Safeguard | In the code | Without it breaks | Shortest counterexample |", "|---|---|---|---|"]
        for one in SAFEGUARDS:
            if one.model == model.name:
                without = found(model.name, one.name)
                where = one.where.partition(":")[2]
                lines.append(f"| {one.name} | `{where}` | {without.promise} | {' · '.join(without.trace)} |")
    return "\n".join(lines) + "\n"


def with_results(page: str) -> str:
    """The page with its generated part up to date."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}{results()}{END}{rest.split(END)[1]}"
