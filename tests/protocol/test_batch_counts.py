"""A batch's counts are corrected from its contacts: a lost or late stream record has no lasting effect."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest

import functions.tally.handler as shipped
from redial.domain.batch import FIRST_RECOUNT, LONGEST_RECOUNT_WAIT, Batch, BatchStatus, Recount
from redial.domain.repair import BatchRepair
from redial.runtime import telemetry
from redial.usecases import run_batch
from redial.usecases.count_batches import StatusMove, counts_of
from redial.usecases.run_batch import BatchWorker
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import Story
from tests.simulation.world import World
from tests.support.samples import TEN
from tests.support.services import GivenServices

HOUR = 3600.0


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as world:
        yield world
        for check in AT_THE_END:
            check(world)
        assert world.violations == []


@contextmanager
def repairs() -> Iterator[Counter[BatchRepair]]:
    found: Counter[BatchRepair] = Counter()
    with mock.patch.object(telemetry, "batch_repaired", found.update):
        yield found


@contextmanager
def in_tally(name: str, replacement: Any) -> Iterator[None]:
    """Patch every copy of the handler's module: the local stack loads it under its own name."""
    original = getattr(shipped, name)
    with ExitStack() as stack:
        for module in [one for one in list(sys.modules.values()) if getattr(one, name, None) is original]:
            stack.enter_context(mock.patch.object(module, name, replacement))
        yield


def losing(status: str) -> Callable[[Any], StatusMove | None]:
    """Read records as the handler does, but lose the first one that moves a contact to `status`."""
    read = shipped._moved
    lost: list[StatusMove] = []

    def moved(record: Any) -> StatusMove | None:
        move = read(record)
        if move is not None and not lost and str(move.after) == status:
            lost.append(move)
            return None
        return move

    return moved


def said(world: World, story: Story, batch_id: str) -> tuple[str, dict[str, int]]:
    body = json.loads(world.ask_as(story.account, "GET", f"/batches/{batch_id}").body)
    return body["status"], body["execution_status"]


def test_a_batch_with_a_lost_record_completes_with_correct_counts(world: World) -> None:
    story = Story(world, 5)
    with in_tally("_moved", losing("completed")), repairs() as found:
        batch_id = story.batch([story.number("completed") for _ in range(3)])
        world.run(0.9 * HOUR)
        assert said(world, story, batch_id) == ("running", {"completed": 2, "in-progress": 1})
        world.run(0.6 * HOUR)
        assert said(world, story, batch_id) == ("completed", {"completed": 3})
    assert found == {BatchRepair.COUNTS_WRONG: 1}
    assert converge(world, timedelta(hours=1), 600) is not None


def test_a_lost_intermediate_record_does_not_show_in_a_completed_batch(world: World) -> None:
    """Each contact is counted as final, so the batch completes; the earlier counts do not add up."""
    story = Story(world, 5)
    with in_tally("_moved", losing("initiated")), repairs() as found:
        batch_id = story.batch([story.number("completed") for _ in range(3)])
        world.run(600)
        assert said(world, story, batch_id) == ("completed", {"completed": 3})
    assert found == {}
    assert converge(world, timedelta(hours=1), 600) is not None


def test_a_running_batch_shows_its_recount_and_is_recounted_at_growing_intervals(world: World) -> None:
    """One contact waits five hours for its calling hours; the record of the other's end is lost."""
    story = Story(world, 5, calling_guardrails={"call_start_hour": 9, "call_end_hour": 14})
    story.world.carrier.calls.scripts.set("+18082010501", ["completed"])
    recounts: list[datetime] = []
    recount = BatchWorker._recount_some

    def noted(self: BatchWorker, *arguments: Any) -> Recount:
        recounts.append(world.now)
        return recount(self, *arguments)

    with (
        in_tally("_moved", losing("completed")),
        repairs() as found,
        mock.patch.object(BatchWorker, "_recount_some", noted),
    ):
        batch_id = story.batch(["+18082010501", "+12122010502"])
        world.carrier.calls.scripts.set("+12122010502", ["completed"])
        world.run(1.5 * HOUR)
        assert said(world, story, batch_id) == ("running", {"completed": 1, "rescheduled": 1})
        assert world.stored_batches()[0].status is BatchStatus.RUNNING
        world.run(3.4 * HOUR)
        assert said(world, story, batch_id) == ("running", {"completed": 1, "rescheduled": 1})
        hours = [round((later - recounts[0]) / timedelta(hours=1), 1) for later in recounts]
        assert len(hours) == 3 and hours[1] == pytest.approx(1, abs=0.4) and hours[2] == pytest.approx(3, abs=0.6)
        assert found == {BatchRepair.COUNTS_WRONG: 1}
        world.run(2 * HOUR)
        assert said(world, story, batch_id) == ("completed", {"completed": 2})
    assert found == {BatchRepair.COUNTS_WRONG: 2}, "the sums were wrong again as soon as another record was counted"
    assert converge(world, timedelta(hours=1), 600) is not None


def test_records_that_arrive_hours_late_are_not_counted_twice(world: World) -> None:
    """tally is down for two hours. Meanwhile the recount is shown; then the records arrive and are counted."""
    story = Story(world, 5, calling_guardrails={"call_start_hour": 9, "call_end_hour": 14})
    world.carrier.calls.scripts.set("+18082010501", ["completed"])
    world.carrier.calls.scripts.set("+12122010502", ["completed"])
    down, read = [False], shipped._moved

    def failing(record: Any) -> StatusMove | None:
        if down[0]:
            raise RuntimeError("tally is down")
        return read(record)

    with in_tally("_moved", failing), repairs() as found:
        batch_id = story.batch(["+18082010501", "+12122010502"])
        world.run(15)
        down[0] = True
        world.run(2 * HOUR)
        right = {"completed": 1, "rescheduled": 1}
        assert said(world, story, batch_id) == ("running", right)
        assert found == {BatchRepair.COUNTS_WRONG: 1}
        down[0] = False
        world.run(0.5 * HOUR)
        assert said(world, story, batch_id) == ("running", right)
        (batch,) = world.stored_batches()
        assert batch.recount is not None and batch.recount.corrected is None
        world.run(3 * HOUR)
        assert said(world, story, batch_id) == ("completed", {"completed": 2})
    assert found == {BatchRepair.COUNTS_WRONG: 1}
    assert converge(world, timedelta(hours=1), 600) is not None


def test_an_interrupted_recount_resumes_where_it_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(world, 5)
    read: list[int] = []
    recount = BatchWorker._recount_some

    def noted(self: BatchWorker, batch: Batch, found: Recount, *arguments: Any) -> Recount:
        read.append(found.row)
        return recount(self, batch, found, *arguments)

    with in_tally("_moved", losing("completed")), mock.patch.object(BatchWorker, "_recount_some", noted):
        batch_id = story.batch([story.number("completed") for _ in range(5)])
        world.run(0.5 * HOUR)
        monkeypatch.setattr(run_batch, "ROWS_AT_ONCE", 2)
        monkeypatch.setattr(run_batch, "SECONDS_TO_SPARE", 10_000.0)  # time is always up
        world.run(1 * HOUR)
        assert said(world, story, batch_id) == ("completed", {"completed": 5})
    assert read == [0, 2, 4]
    monkeypatch.undo()
    assert converge(world, timedelta(hours=1), 600) is not None


def test_a_correction_holds_until_another_record_is_counted() -> None:
    batch = Batch("0" * 32, "a", "b", TEN, "contacts.csv").begin(TEN, True).processed(2, 2, TEN).run(TEN)
    stored = mock.Mock()
    stored.counted.return_value = mock.Mock(counts={"completed": 1, "queued": 1}, position="p1")
    corrected = Recount.begin("p1", TEN).again(TEN + timedelta(hours=1), {"completed": 2})
    for position, counts in (("p1", {"completed": 2}), ("p0", {"completed": 1, "queued": 1})):
        shown = replace(batch, recount=replace(corrected, position=position))
        assert counts_of(GivenServices(batches=stored), shown) == counts


def test_waits_between_recounts_double_up_to_a_day() -> None:
    recount, now, waits = Recount.begin("p", TEN), TEN, []
    for _ in range(8):
        waits.append(recount.due - now)
        now = recount.due
        recount = recount.again(now, None)
    assert [wait / FIRST_RECOUNT for wait in waits] == [1, 1, 2, 4, 8, 16, 24, 24]
    assert LONGEST_RECOUNT_WAIT == 24 * FIRST_RECOUNT
