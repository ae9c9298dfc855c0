"""Count finished attempts from the table's stream.

    record of an execution ─► difference of what its old and its new state add ─► sums of the window ─► its end: stored

A Lambda window collects the sums of some minutes, so that a busy hour costs a few writes. Lambda keeps a window's sums
with the position in the stream, and repeats a failed invocation with the sums from before it. A record that is repeated
within a window is recognized by its number, and a repeated end of a window by the stored number.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from redial.domain.batch import is_batch_id
from redial.domain.execution import Execution
from redial.domain.statistics import counted, finished
from redial.ports import Services

_UP_TO, _SUMS = "up_to", "sums"


def collect(window: dict[str, Any], before: Execution | None, after: Execution, number: str) -> None:
    """Add one record of the stream to the window's sums: the change of its execution from `before` (None: it is new) to
    `after`. `number`: the record's place in its shard, which sorts as text. What an erased execution had added
    stays."""
    if after.erased or number <= window.get(_UP_TO, ""):
        return
    if finished(after) == ([] if before is None else finished(before)):
        return  # most records; `counted` would load the data on numbers, which takes long
    scopes = [after.account_id, after.agent_id, *([after.batch_id] if after.batch_id is not None else [])]
    for execution, sign in ((before, -1), (after, 1)):
        added = None if execution is None else counted(execution)
        if added is None:
            continue
        window[_UP_TO] = number
        day, counts = added
        sums = window.setdefault(_SUMS, {})
        for scope in scopes:
            cells = sums.setdefault(scope, {}).setdefault(day.isoformat(), {})
            for cell, count in counts.items():
                cells[cell] = cells.get(cell, 0) + sign * count


def store(services: Services, window: Mapping[str, Any], shard: str, now: datetime) -> None:
    """Add the window's sums to the stored counts, but not to those of a deleted batch, which are removed with it.
    Idempotent. Raises `StaleVersion` if other writes were faster several times."""
    for scope, days in window.get(_SUMS, {}).items():
        if is_batch_id(scope):
            batch = services.batches.get(scope)
            if batch is None or batch.deleted_at is not None:
                continue
        for day, cells in days.items():
            if changed := {cell: count for cell, count in cells.items() if count}:
                services.statistics.add(scope, date.fromisoformat(day), changed, shard, window[_UP_TO], now)
