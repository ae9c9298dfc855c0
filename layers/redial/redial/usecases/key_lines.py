"""The lines of an API key with a quota of lines: the maximum of the key's live calls, whatever lines their agents have.

    gates ─► agent's line ─► gates ─► key's line ─► claim ─► … ─► the attempt is over: both are handed over
                 ▲                      │ none
                 └──── key's queue ◄────┘ the agent's line is handed over

A call with a line of its key keeps it while it waits for a line of its agent, but never the other way round. So no two
calls wait for each other, and an agent's line is never idle because of a key.

A deferred attempt gives up its key's line, even if it keeps its agent's, and acquires one again later. Only dial defers
attempts, and it releases only the line that it acquired (`since`): another invocation may be dialling the attempt by
then. An attempt that is over is never dialled again, so every invocation that sees this releases its line.

The lines are one item, like a line shard of an agent, and dispatched by the same code. The sweeper finds lost lines and
queue entries of keys like those of agents.
"""

from collections.abc import Sequence
from datetime import datetime

from redial.domain.execution import Execution
from redial.ports import Services
from redial.usecases.dispatch import acquire, queued_call, release_line

ONLY_SHARD = 0
WAITS_FOR_KEY = "waiting for a line of its API key"


def has_line(services: Services, execution: Execution, now: datetime) -> bool:
    """Acquire a line of the API key, or confirm the attempt's own. True if it holds one now, or the key has no
    quota."""
    lines = execution.key_lines
    return lines is None or acquire(services, lines, ONLY_SHARD, queued_call(execution), now)


def release(
    services: Services, execution: Execution, attempt: int, now: datetime, since: datetime | None = None
) -> None:
    """Hand the attempt's line of its key over to the key's next call. `since`: only if it was last acquired at that
    time."""
    lines = execution.key_lines
    if lines is not None:
        release_line(services, lines, ONLY_SHARD, execution.id, attempt, now, since)


def dequeue(services: Services, execution: Execution) -> None:
    """Remove the call from its agent's and its key's queue. Idempotent."""
    services.queue.dequeue(execution.agent_id, queued_call(execution))
    if execution.key_pool is not None:
        services.queue.dequeue(execution.key_pool, queued_call(execution))


def absent(services: Services, executions: Sequence[Execution]) -> set[str]:
    """The ids of the executions that are in neither their agent's nor their key's queue."""
    found = services.queue.absent([(one.agent_id, queued_call(one)) for one in executions]) if executions else set()
    of_keys = [(one.key_pool, queued_call(one)) for one in executions if one.id in found and one.key_pool is not None]
    if not of_keys:
        return found
    waiting = {call.execution_id for _, call in of_keys} - services.queue.absent(of_keys)
    return found - waiting


def waits_for_key(services: Services, execution: Execution) -> bool:
    """Whether the call is in its key's queue."""
    lines = execution.key_lines
    return lines is not None and not services.queue.absent([(lines.pool_id, queued_call(execution))])
