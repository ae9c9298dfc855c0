"""Finds contacts that several running batches of an account share: each batch would call them."""

from collections.abc import Iterable, Mapping

from redial.domain.batch import Batch
from redial.ports import Services
from redial.usecases.batches import index_key

AT_ONCE = 8
"""Maximum requests at the same time."""
MOST_COMPARED = 100
"""Maximum batches that one is compared with: those with the most recent turns."""


def running_batches(services: Services, account_id: str) -> Mapping[str, str]:
    """The account's running batches, {batch id: agent id}: those in its agents' queues."""
    ids = [agent.agent_id for agent in services.agents.all(account_id)]
    queues = services.each(services.queue.batches, ids, AT_ONCE)
    entries = sorted((one for queue in queues for one in queue), key=lambda one: one.served_at, reverse=True)
    return {one.batch_id: one.agent_id for one in entries}


def shared_contacts(services: Services, batch: Batch, others: Iterable[str]) -> dict[str, int]:
    """The number of contacts that each of the running batches `others` shares with this indexed batch, {batch id:
    contacts} without zeros. Batches without a contact index (of an earlier version) are left out."""
    compared = [one for one in others if one != batch.id][:MOST_COMPARED]
    if not compared:
        return {}
    own = frozenset(_hashes(services, batch))

    def count(batch_id: str) -> int:
        other = services.batches.get(batch_id)
        if other is None or not other.indexed or not other.may_dial:
            return 0
        return len(own.intersection(_hashes(services, other)))

    counts = services.each(count, compared, AT_ONCE)
    return {batch_id: contacts for batch_id, contacts in zip(compared, counts, strict=True) if contacts}


def _hashes(services: Services, batch: Batch) -> Iterable[int]:
    return services.contacts.read_hashes(services.files.read(index_key(batch.account_id, batch.id)))
