"""Count batches' contacts by status, exactly, from the table's stream; complete a batch whose contacts are all final.

A stream shard delivers its records in order and at least once. The counts of a shard and its last record are stored in
one write, so a repeated record is recognized. Records of one contact always arrive in order. Those of two contacts may
arrive by two shards, in any order, and the sums are correct as soon as all have arrived.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from redial.domain.batch import Batch, BatchStatus, all_final
from redial.domain.errors import NotFound
from redial.domain.status import FINAL, Status
from redial.ports import Services, StaleVersion
from redial.usecases.update import MOST_TRIES, update_batch


@dataclass(frozen=True)
class StatusMove:
    """A contact of the batch moved from status `before` (None: it is new) to `after`.

    A removal is not a move: contacts are removed only with their batch, and calls that were made stay counted.

    `number` is the record's place in its shard: 40 digits with leading zeros, so that it sorts as text.
    """

    batch_id: str
    before: Status | None
    after: Status
    number: str


def count_batches(services: Services, shard: str, moves: Sequence[StatusMove], now: datetime) -> list[str]:
    """Count the moves of one shard, in order. Returns the ids of batches that are completed by them."""
    completed = []
    by_batch: dict[str, list[StatusMove]] = {}
    for move in moves:
        by_batch.setdefault(move.batch_id, []).append(move)
    for batch_id, of_batch in by_batch.items():
        batch = services.batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            continue  # its contacts are being removed, and its counts are no longer shown
        _count(services, shard, batch_id, of_batch)
        # The record that completes the sums is the last of its contact, so its status is final.
        if any(move.after in FINAL for move in of_batch) and complete_if_over(services, batch_id, now):
            completed.append(batch_id)
    return completed


def _count(services: Services, shard: str, batch_id: str, moves: Sequence[StatusMove]) -> None:
    for _ in range(MOST_TRIES):
        after = services.counts.counted_up_to(batch_id, shard)
        fresh = [move for move in moves if after is None or move.number > after]
        if not fresh:
            return
        deltas: Counter[str] = Counter()
        for move in fresh:
            if move.before is not None:
                deltas[str(move.before)] -= 1
            deltas[str(move.after)] += 1
        try:
            changed = {one: delta for one, delta in deltas.items() if delta}
            services.counts.count(batch_id, shard, changed, after, fresh[-1].number)
            return
        except StaleVersion:
            continue  # another invocation counts this shard at the same time
    raise StaleVersion(batch_id)


def counts_of(services: Services, batch: Batch) -> Mapping[str, int]:
    """The batch's contacts by status, {status: count}, as far as is known.

    A completed batch's counts do not change any more. If a recount found the counts wrong, its result is returned until
    another record is counted: it is unknown whether the recount has already seen that record's change.
    """
    if batch.status is BatchStatus.COMPLETED:
        return batch.changes[-1].counts
    counted = services.batches.counted(batch.id)
    recount = batch.recount
    if recount is not None and recount.corrected is not None and recount.position == counted.position:
        return recount.corrected
    return counted.counts


def complete_if_over(services: Services, batch_id: str, now: datetime) -> bool:
    """Complete a running batch whose contacts are all final. False if it is not such a batch, or was already
    completed."""

    def transition(batch: Batch) -> Batch:
        if batch.status is not BatchStatus.RUNNING or not batch.ingested or batch.deleted_at is not None:
            return batch
        counts = counts_of(services, batch)
        if not all_final(counts, batch.valid):
            return batch
        # Each contact is counted as final. A record that was lost earlier may have left other counts, such as queued 1
        # and initiated -1.
        return batch.complete(now, {status: count for status, count in counts.items() if Status(status) in FINAL})

    try:
        before, after = update_batch(services, batch_id, transition, now)
    except NotFound:
        return False
    if after is before:
        return False
    services.invoker.batch(batch_id)  # it leaves its agent's queue
    return True
