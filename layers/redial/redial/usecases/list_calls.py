"""Lists an agent's calls, and counts older ones, so that a listing of any size has its total at once."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from redial.ports import Listing, Position, Row, Services, Wanted
from redial.usecases.agents import read_agent

COUNTED_AFTER = timedelta(minutes=5)
"""The age at which a call is counted: no call is created so late, and the index shows it by then."""
EARLY = timedelta(hours=1)
"""A call with at least this much left of its retention period has not expired by any clock."""
COUNTING_LEASE = timedelta(minutes=15)
"""How long one worker has the lease to count an agent's calls: as long as its invocation may run."""
DATA_READ_AT_ONCE = 50
"""Number of executions whose user data is read together: at most 3.2 MB."""
SECONDS_TO_SPARE = 60.0
"""With less time left, counting stops; the next listing has it continued."""


def list_calls(
    services: Services,
    agent_id: str,
    wanted: Wanted,
    *,
    account_id: str,
    after: Position | None,
    skip: int,
    most: int,
) -> Listing:
    """The agent's calls, newest first. Has them counted in the background when that is due. Raises `NotFound`, and
    `InvalidInput` like `Listings.of_agent`."""
    agent = read_agent(services, agent_id, account_id=account_id, deleted=True)
    batches = services.batches.of_agent(agent.agent_id)
    kept_from = None if services.keep is None else services.now() - services.keep + EARLY
    listing = services.listings.of_agent(
        account_id,
        agent.agent_id,
        batches,
        wanted,
        after=after,
        skip=skip,
        most=most,
        kept_from=None if kept_from is None or agent.created_at >= kept_from else kept_from,
    )
    if listing.to_count:
        services.invoker.count_calls(agent.agent_id)
    return replace(listing, rows=_complete(services, listing.rows))


def _complete(services: Services, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows with their executions' user data."""
    while some := list(islice(rows, DATA_READ_AT_ONCE)):
        complete = {one.id: one for one in services.executions.with_user_data([row.execution for row in some])}
        for row in some:
            if row.execution.id in complete:  # else it was removed meanwhile
                yield Row(row.position, complete[row.execution.id])


def count_calls(services: Services, agent_id: str, seconds_left: Callable[[], float], now: datetime) -> bool:
    """Count the agent's calls. False: another worker is counting, or time was up."""
    until = now + COUNTING_LEASE
    if not services.listings.begin_count(agent_id, now, until):
        return False
    try:
        return services.listings.count(agent_id, now - COUNTED_AFTER, until, lambda: seconds_left() - SECONDS_TO_SPARE)
    finally:
        services.listings.end_count(agent_id, until)
