"""A recount reads contacts one by one; it is accepted only if no contact can have changed meanwhile."""

from collections import Counter
from dataclasses import replace
from unittest import mock

from redial.domain.batch import Batch, Recount
from redial.domain.repair import BatchRepair
from redial.ports import Counted
from redial.usecases.run_batch import BatchWorker
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, minutes
from tests.support.services import GivenServices

FOUND = {"completed": 1, "queued": 1}
NOW = TEN + minutes(120)


def concluded(position: str = "p1", minutes_since_newest: float = 60) -> tuple[Recount | None, Counter[BatchRepair]]:
    """The stored result of a recount that differs from the counts up to p1, and the repairs counted."""
    batch = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN, "contacts.csv", version=1).begin(TEN, start=True)
    running = replace(batch.processed(2, 2, TEN).run(TEN), worker="mine")
    batches = mock.Mock()
    batches.get.return_value = running
    batches.counted.return_value = Counted({"queued": 2}, position)
    batches.save.side_effect = lambda saved: saved
    worker = BatchWorker(GivenServices(NOW, batches=batches))
    newest = NOW - minutes(minutes_since_newest)
    recount = replace(Recount.begin("p1", TEN), row=2, found=FOUND, newest=newest)
    repairs: Counter[BatchRepair] = Counter()
    worker._conclude(running, recount, repairs)
    (saved,) = (call.args[0] for call in batches.save.call_args_list)
    return saved.recount, repairs


def test_a_recount_of_an_idle_batch_corrects_its_counts() -> None:
    recount, repairs = concluded()
    assert recount is not None and recount.corrected == FOUND
    assert repairs == {BatchRepair.COUNTS_WRONG: 1}


def test_a_recount_during_which_a_record_was_counted_is_repeated() -> None:
    recount, repairs = concluded(position="p2")
    assert recount is not None
    assert (recount.row, recount.corrected, recount.position) == (0, None, "p2")
    assert repairs == {}


def test_a_recount_of_contacts_that_have_just_changed_is_repeated() -> None:
    recount, repairs = concluded(minutes_since_newest=1)
    assert recount is not None
    assert (recount.row, recount.corrected, recount.position) == (0, None, "p1")
    assert NOW < recount.due <= NOW + minutes(15)
    assert repairs == {}
