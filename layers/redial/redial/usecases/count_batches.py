"""How many of a batch's contacts stand where: counted from the table's stream, exactly; and a batch whose contacts are
all final is completed.

A stream shard brings its records in order and at least once. What has been counted of a shard and its last record are
one write, so a record that comes again is known. Records of one contact always come in order; those of two may come by
two shards, in any order, and the sums are right as soon as all have come.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from redial.domain.batch import Batch, BatchStatus, all_final
from redial.domain.status import FINAL, Status
from redial.ports import Batches, Counts, Invoker, StaleVersion

_MOST_TRIES = 20


@dataclass(frozen=True)
class StatusMove:
    """A contact of the batch stood at `before` (None: it was new) and now stands at `after` (None: it was removed).

    `number` is the record's place in its shard: 40 digits, zeros in front, so that it sorts as text.
    """

    batch_id: str
    before: Status | None
    after: Status | None
    number: str


def count_batches(
    shard: str, moves: Sequence[StatusMove], *, batches: Batches, counts: Counts, invoker: Invoker, now: datetime
) -> list[str]:
    """Count the moves of one shard, in their order; the ids of batches that are completed by them."""
    completed = []
    by_batch: dict[str, list[StatusMove]] = {}
    for move in moves:
        by_batch.setdefault(move.batch_id, []).append(move)
    for batch_id, of_batch in by_batch.items():
        batch = batches.get(batch_id)
        if batch is None or batch.deleted_at is not None:
            continue  # its contacts are being removed, and nobody is shown its counts any more
        _count(shard, batch_id, of_batch, counts)
        # The record that makes the sums complete is some contact's last, and so a final one.
        if any(move.after in FINAL for move in of_batch) and complete_if_over(
            batch_id, batches=batches, invoker=invoker, now=now
        ):
            completed.append(batch_id)
    return completed


def _count(shard: str, batch_id: str, moves: Sequence[StatusMove], counts: Counts) -> None:
    for _ in range(_MOST_TRIES):
        after = counts.counted_up_to(batch_id, shard)
        fresh = [move for move in moves if after is None or move.number > after]
        if not fresh:
            return
        deltas: Counter[str] = Counter()
        for move in fresh:
            if move.before is not None:
                deltas[str(move.before)] -= 1
            if move.after is not None:
                deltas[str(move.after)] += 1
        try:
            changed = {one: delta for one, delta in deltas.items() if delta}
            counts.count(batch_id, shard, changed, after, fresh[-1].number)
            return
        except StaleVersion:
            continue  # somebody else counts this shard at the same time
    raise StaleVersion(batch_id)


def counts_of(batch: Batch, batches: Batches) -> Mapping[str, int]:
    """How many contacts of the batch stand where, as far as is known.

    A completed batch's counts do not change any more. Where a recount found the counts wrong, what it found is said
    until another record is counted: it cannot be known whether the recount has seen that record's change already.
    """
    if batch.status is BatchStatus.COMPLETED:
        return batch.changes[-1].counts
    counted = batches.counted(batch.id)
    recount = batch.recount
    if recount is not None and recount.corrected is not None and recount.position == counted.position:
        return recount.corrected
    return counted.counts


def complete_if_over(batch_id: str, *, batches: Batches, invoker: Invoker, now: datetime) -> bool:
    """Whether the batch was running, all its contacts are final, and it is completed by this."""
    for _ in range(_MOST_TRIES):
        batch = batches.get(batch_id)
        if batch is None or batch.status is not BatchStatus.RUNNING or not batch.ingested:
            return False
        if batch.deleted_at is not None:
            return False
        counts = counts_of(batch, batches)
        if not all_final(counts, batch.valid):
            return False
        # Each contact is counted as final. A record that was lost before that may have left others, as queued 1 and
        # initiated -1.
        counts = {status: count for status, count in counts.items() if Status(status) in FINAL}
        lease_id = f"t-{batch.version}"
        try:
            saved = batches.save(batch.complete(now, counts).lease_delivery(lease_id, now).with_due(now))
        except StaleVersion:
            continue
        if saved.delivery.lease_id == lease_id:
            invoker.deliver(batch_id, lease_id)
        invoker.batch(batch_id)  # it leaves its agent's queue
        return True
    raise StaleVersion(batch_id)
