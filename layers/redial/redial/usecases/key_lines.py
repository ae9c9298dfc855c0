"""The lines of an API key with a quota of them: so many of the key's calls are up at once, whatever their agents have.

    gates ─► agent's line ─► gates ─► key's line ─► claim ─► … ─► the attempt is over: both are handed over
                 ▲                      │ none
                 └──── key's queue ◄────┘ the agent's line is handed over

A call that a line of its key was handed over to keeps it while it waits for one of its agent. The other way round no
call waits: so no two calls wait for each other, and an agent's line is never idle for a key's sake.

An attempt that is deferred gives its key's line up, even where it keeps its agent's, and acquires one again. Only dial
defers attempts, so it releases just the line that it acquired (`since`): another invocation may dial the attempt by
then. An attempt that is over is never dialled again, so its line is released whenever that is seen.

The lines are one item, like a shard of an agent's, and dispatched by the same code. Of a line, or a place in a queue,
that was lost the sweeper knows as it does of an agent's.
"""

from collections.abc import Sequence
from datetime import datetime

from redial.domain.execution import Execution
from redial.ports import Services
from redial.usecases.dispatch import acquire, queued_call, release_line

ONLY_SHARD = 0
WAITS_FOR_KEY = "waiting for a line of its API key"


def has_line(services: Services, execution: Execution, now: datetime) -> bool:
    """Whether the attempt holds a line of its key now: it has one already, or one was free."""
    lines = execution.key_lines
    return lines is None or acquire(services, lines, ONLY_SHARD, queued_call(execution), now)


def release(
    services: Services, execution: Execution, attempt: int, now: datetime, since: datetime | None = None
) -> None:
    """Hand the attempt's line of its key over to the next call of the key. `since`: only if it was last acquired
    then."""
    lines = execution.key_lines
    if lines is not None:
        release_line(services, lines, ONLY_SHARD, execution.id, attempt, now, since)


def dequeue(services: Services, execution: Execution) -> None:
    """Remove the call from the queue in which it waits, its agent's or its key's. Idempotent."""
    services.queue.dequeue(execution.agent_id, queued_call(execution))
    if execution.key_pool is not None:
        services.queue.dequeue(execution.key_pool, queued_call(execution))


def absent(services: Services, executions: Sequence[Execution]) -> set[str]:
    """The ids of those that are in no queue, neither their agent's nor their key's."""
    found = services.queue.absent([(one.agent_id, queued_call(one)) for one in executions]) if executions else set()
    of_keys = [(one.key_pool, queued_call(one)) for one in executions if one.id in found and one.key_pool is not None]
    if not of_keys:
        return found
    waiting = {call.execution_id for _, call in of_keys} - services.queue.absent(of_keys)
    return found - waiting


def waits_for_key(services: Services, execution: Execution) -> bool:
    """Whether it is in its key's queue."""
    lines = execution.key_lines
    return lines is not None and not services.queue.absent([(lines.pool_id, queued_call(execution))])
