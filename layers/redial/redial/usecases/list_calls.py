"""List an agent's calls; count those of the past, so that a listing of any size has its total at once."""

from collections.abc import Callable
from datetime import datetime, timedelta

from redial.ports import Listing, Position, Services, Wanted
from redial.usecases.agents import read_agent

COUNTED_AFTER = timedelta(minutes=5)
"""A call is counted when it is this old: none is created that late, and the index shows it by then."""
COUNTING_LEASE = timedelta(minutes=15)
"""How long one worker counts an agent's calls for itself: as long as its invocation may run."""
SECONDS_TO_SPARE = 60.0
"""With less time left the counting stops; the next listing has it continued."""


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
    """The agent's calls, newest first. Its calls are counted in the background when that is due. Raises `NotFound`,
    and `InvalidInput` as `Listings.of_agent`."""
    agent = read_agent(services, agent_id, account_id=account_id, deleted=True)
    batches = services.batches.of_agent(agent.agent_id)
    listing = services.listings.of_agent(account_id, agent.agent_id, batches, wanted, after=after, skip=skip, most=most)
    if listing.to_count:
        services.invoker.count_calls(agent.agent_id)
    return listing


def count_calls(services: Services, agent_id: str, seconds_left: Callable[[], float], now: datetime) -> bool:
    """Count the agent's calls; False: another worker does, or time was up."""
    if not services.listings.begin_count(agent_id, now, now + COUNTING_LEASE):
        return False
    try:
        return services.listings.count(agent_id, now - COUNTED_AFTER, lambda: seconds_left() - SECONDS_TO_SPARE)
    finally:
        services.listings.end_count(agent_id)
