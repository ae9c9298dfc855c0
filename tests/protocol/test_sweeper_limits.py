"""What one invocation of the sweeper processes first, assigns to workers, and leaves for the next one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest import mock

from redial.domain.decision import stopped
from redial.domain.execution import Execution
from redial.domain.queue import Queue
from redial.domain.repair import Repair
from redial.domain.status import Status
from redial.ports import CarrierBusy, Due, StaleVersion
from redial.usecases.sweep import (
    LONGEST_CALL,
    QUESTIONS_AT_ONCE,
    SECONDS_FOR_A_CANCEL,
    SECONDS_FOR_A_QUESTION,
    Sweeper,
    SweepReport,
)
from tests.support.samples import TEN, agent, minutes, placed, queued, reported, seconds
from tests.support.services import GivenServices

NOW = TEN + minutes(60)


def ids(count: int) -> list[str]:
    return [f"{number:08d}-0000-4000-8000-000000000000" for number in range(count)]


def delivered(execution: Execution) -> Execution:
    """The execution, overdue, with all events delivered."""
    delivery = replace(execution.delivery.release(), settled=execution.last_sequence)
    return replace(execution, delivery=delivery, due_at=NOW - seconds(1))


def missed_timers(count: int) -> list[Execution]:
    return [delivered(queued(scheduled_at=TEN + minutes(5), execution_id=one)) for one in ids(count)]


def live() -> Execution:
    return lives(1)[0]


def lives(count: int) -> list[Execution]:
    return [
        delivered(reported(placed(queued(execution_id=one), TEN), Status.RINGING, TEN + seconds(2)))
        for one in ids(count)
    ]


class World:
    """The items that the sweeper finds, and a record of its actions in order."""

    def __init__(
        self, overdue: dict[int, list[Execution]], queue_checks: list[Execution] | None = None, at: datetime = NOW
    ) -> None:
        self.stored = {one.id: one for part in [*overdue.values(), queue_checks or []] for one in part}
        self.saved: list[str] = []
        self.asked: list[tuple[int, int]] = []
        self.handed_out: list[Any] = []
        self.dialled: list[str] = []
        self.stale = False
        everything = mock.Mock()
        everything.read.side_effect = lambda some: [self.stored[one] for one in some]
        everything.get.side_effect = lambda execution_id, **options: self.stored.get(execution_id)
        everything.save.side_effect = self._save
        everything.watched.return_value = []
        everything.overdue.side_effect = lambda shard, now: self._due(overdue.get(shard, []))
        everything.queue_checks.side_effect = lambda now: self._due(queue_checks or [])
        everything.held.return_value = set()
        everything.take.return_value = True
        everything.absent.return_value = set()
        everything.holders.return_value = {}
        everything.release.return_value = set()
        everything.front.return_value = Queue([], [])
        everything.dial.side_effect = lambda execution_id, *rest: self.dialled.append(execution_id)
        everything.ask.side_effect = lambda shard, token, hop: self.asked.append((shard, hop))
        everything.sweep_shard.side_effect = lambda *which: self.handed_out.append((which[0], which[2]))
        everything.agents.get.return_value = agent()
        everything.agents.cached.return_value = agent()
        self.everything = everything
        self.carrier = mock.Mock()
        self.services = GivenServices(
            at,
            executions=everything,
            due_items=everything,
            agents=everything.agents,
            batches=everything,
            lines=everything,
            queue=everything,
            timers=everything,
            invoker=everything,
            sweep_leases=everything,
        )
        self.services.carrier = lambda provider: self.carrier  # type: ignore[method-assign]
        self.sweeper = Sweeper(self.services)

    def _due(self, some: list[Execution]) -> Iterator[Due]:
        return (Due(NOW - seconds(1), execution_id=one.id) for one in some)

    def _save(self, execution: Execution) -> Execution:
        if self.stale:
            raise StaleVersion(execution.id)
        self.saved.append(execution.id)
        self.stored[execution.id] = execution
        return execution

    def run(self, limit: int = 100, left: float = 50.0) -> Any:
        return self.sweeper.sweep(4, 0, limit, lambda: left)

    def ask(self, seconds_left: Callable[[], float] = lambda: 50.0) -> SweepReport:
        return self.sweeper.ask(0, "token", 1, seconds_left)


def test_a_missed_timer_is_repaired() -> None:
    world = World({0: missed_timers(2)})
    world.run()
    assert world.dialled == world.saved == ids(2)


def test_a_silent_call_is_left_to_the_asker_of_its_shard() -> None:
    """It stays overdue until its carrier has answered."""
    world = World({0: [live()], 2: lives(2)})
    world.run()
    assert (world.asked, world.saved) == ([(0, 1), (2, 1)], [])


def test_a_call_unknown_to_its_carrier_is_not_ended_while_it_may_be_live() -> None:
    world = World({0: [live()]})
    world.carrier.ask.return_value = None
    assert world.ask().errors == 0
    world.carrier.ask.assert_called_once()
    assert [world.stored[one].state.status for one in world.saved] == [Status.RINGING], "it is due again later"


def test_an_asker_skips_a_shard_leased_by_another() -> None:
    """The carrier sees no additional concurrent requests, and no call is asked about twice."""
    world = World({0: [live()]})
    world.everything.take.return_value = False
    world.ask()
    world.carrier.ask.assert_not_called()


def test_an_asker_puts_a_bounded_number_of_questions_at_once() -> None:
    world = World({0: lives(9)})
    world.carrier.ask.return_value = None
    with mock.patch.object(GivenServices, "each", autospec=True, side_effect=GivenServices.each) as each:
        assert world.ask().looked_at == 9
    ((_, _, asked, workers), _) = each.call_args
    assert (len(asked), workers) == (9, QUESTIONS_AT_ONCE)


def test_no_question_begins_with_too_little_time_left() -> None:
    """The next invocation asks."""
    world, left = World({0: lives(5)}), [50.0]

    def answer(call_id: str) -> None:
        left[0] -= 10.0

    world.carrier.ask.side_effect = answer
    done = world.ask(lambda: left[0])
    assert left[0] == 20.0 >= SECONDS_FOR_A_QUESTION - 10.0
    assert (done.looked_at, done.cut_short, world.asked) == (3, True, [(0, 2)])


def test_no_cancel_begins_with_too_little_time_left() -> None:
    """A cancel takes up to four requests; the next invocation begins it."""
    stopping = delivered(live().stop_call(NOW, "agent stopped"))
    world = World({0: [stopping]})
    done = world.ask(lambda: SECONDS_FOR_A_CANCEL - 1.0)
    assert (done.cut_short, world.asked, world.carrier.mock_calls) == (True, [(0, 2)], [])


def test_a_busy_carrier_is_asked_no_more_and_its_calls_stay_overdue() -> None:
    world = World({0: lives(5)})
    world.carrier.ask.side_effect = CarrierBusy("429")
    done = world.ask()
    world.carrier.ask.assert_called_once()
    assert (done.errors, done.repairs, world.saved) == (0, {}, [])
    assert world.everything.release.called, "the next run's asker continues"


def test_a_call_longer_overdue_than_a_call_lasts_ends_even_if_its_carrier_is_busy() -> None:
    world = World({0: [live()]}, at=NOW + LONGEST_CALL)
    world.carrier.ask.side_effect = CarrierBusy("429")
    assert world.ask().repairs == {Repair.CALL_LOST: 1}


def test_a_run_checks_at_most_its_limit_and_leaves_the_rest_to_a_worker_for_each_shard() -> None:
    shards = {0: missed_timers(7)[:4], 2: missed_timers(7)[4:]}
    world = World(shards)
    assert world.run(limit=2).looked_at == 2
    assert world.handed_out == [(0, 1), (2, 1)]


def test_queue_checks_come_after_everything_else() -> None:
    first, second = missed_timers(2)
    world = World({3: [second]}, queue_checks=[first])
    world.run()
    assert world.saved == [second.id, first.id]


def test_a_worker_out_of_time_invokes_itself_again() -> None:
    world = World({1: missed_timers(3)})
    world.sweeper.sweep_shard(1, "token", 4, lambda: 1.0)
    assert (world.saved, world.handed_out) == ([], [(1, 5)])


def test_a_worker_skips_a_shard_leased_by_another() -> None:
    world = World({1: missed_timers(3)})
    world.everything.take.return_value = False
    world.sweeper.sweep_shard(1, "token", 1, lambda: 50.0)
    assert world.saved == []


def test_the_line_of_an_ended_call_is_released() -> None:
    """The function that should have released it has died."""
    over = delivered(queued().end(TEN, stopped("stopped by request")))
    world = World({})
    world.stored[over.id] = over
    everything = world.everything
    everything.watched.return_value = [Due(NOW - seconds(1), agent_id=over.agent_id, shard=0)]
    everything.holders.return_value = {over.id: (1, TEN)}
    everything.owner.return_value = over.account_id
    everything.waiting.return_value = 0
    world.run()
    assert [call.args[:4] for call in everything.release.call_args_list] == [(over.agent_id, 0, over.id, 1)]
