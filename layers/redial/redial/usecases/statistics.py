"""Reads the statistics of retries of a period."""

from datetime import date, timedelta

from redial.domain.errors import InvalidInput, NotFound
from redial.domain.statistics import Statistics
from redial.ports import Services
from redial.usecases.agents import read_agent
from redial.usecases.batches import read_batch

LONGEST_PERIOD = timedelta(days=366)
DEFAULT_PERIOD = timedelta(days=30)


def read(
    services: Services, account_id: str, agent_id: str | None, batch_id: str | None, first: date, last: date
) -> Statistics:
    """The sums of the days from `first` to `last` (inclusive): of the account, of one of its agents, or of a batch. If
    both are given, the batch must be the agent's. Raises `NotFound`, `InvalidInput`."""
    if last < first:
        raise InvalidInput.of("to", "must not be before from")
    if last - first >= LONGEST_PERIOD:
        raise InvalidInput.of("from", f"may be at most {LONGEST_PERIOD.days} days before to")
    scope = account_id
    if agent_id is not None:
        scope = read_agent(services, agent_id, account_id=account_id, deleted=True).agent_id
    if batch_id is not None:
        batch = read_batch(services, batch_id, account_id=account_id)
        if agent_id not in (None, batch.agent_id):
            raise NotFound(f"batch_id: batch {batch_id} is not one of agent {agent_id}")
        scope = batch_id
    return Statistics.total(services.statistics.between(scope, first, last).values())
