"""The steps of one invocation of dial: read, claim, ask the carrier once, save the answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from unittest import mock

import pytest

from redial.carriers.twilio import LIMITS
from redial.domain.batch import Batch, contact
from redial.domain.called_number import CalledNumber
from redial.domain.decision import Gate, Verdict, recorded
from redial.domain.execution import Execution, Marker
from redial.domain.outcome import Accepted, DialResult
from redial.domain.queue import Queue
from redial.ports import CallRequest, StaleVersion
from redial.usecases.dial_attempt import LATEST_PACED, Dialler
from redial.usecases.stop import stop_execution
from redial.wire.execution_json import render_event
from tests.support.samples import ACCOUNT_ID, AGENT_ID, CALLER_ID, NUMBER, TEN, agent, call_id, minutes, queued, seconds
from tests.support.services import GivenServices


class World:
    """One execution in a store, free lines, and a carrier that accepts every call."""

    def __init__(self, execution: Execution, batch: Batch | None = None) -> None:
        self.execution, self.now = execution, TEN
        self.placed: list[CallRequest] = []
        self.when_placed: list[Execution] = []
        self.after_claim: Callable[[], None] = lambda: None
        self.agents, self.lines, self.timers = mock.Mock(), mock.Mock(), mock.Mock()
        queue, delayed, circuits = mock.Mock(), mock.Mock(), mock.Mock()
        self.agents.get.return_value = self.agents.cached.return_value = agent()
        self.lines.acquire.return_value = True
        delayed.add.return_value = True
        queue.front.return_value = Queue([], [])
        self.lines.release.return_value = set()
        self.lines.holders.return_value = {}
        batches = mock.Mock()
        batches.get.return_value = batch
        accounts = mock.Mock()
        accounts.get.return_value = accounts.cached.return_value = None
        circuits.cached.return_value = {}
        numbers = mock.Mock()
        numbers.get.return_value = CalledNumber()
        self.services = GivenServices(
            executions=self,
            agents=self.agents,
            accounts=accounts,
            numbers=numbers,
            batches=batches,
            lines=self.lines,
            queue=queue,
            delayed=delayed,
            timers=self.timers,
            invoker=mock.Mock(),
            circuits=circuits,
            carrier=lambda provider: self,
            now=lambda: self.now,
        )
        self.dialler = Dialler(self.services)

    # ---- the store

    def get(self, execution_id: str, *, consistent: bool = True) -> Execution:
        return self.execution

    def save(self, execution: Execution) -> Execution:
        if execution.version != self.execution.version:
            raise StaleVersion(execution.id)
        self.execution = replace(execution, version=execution.version + 1)
        if execution.changes[-1].kind is Marker.CLAIMED:
            self.after_claim()
        return self.execution

    # ---- the carrier

    limits = LIMITS

    def calls_per_second(self) -> float | None:
        return None

    def check(self) -> None:
        return None

    def place(self, request: CallRequest) -> DialResult:
        self.placed.append(request)
        self.when_placed.append(self.execution)
        return Accepted(call_id(1))

    def dial(self, lease: str = "mine") -> Any:
        return self.dialler.dial(self.execution.id, 1, lease)


def test_the_claim_is_stored_before_the_carrier_is_asked() -> None:
    world = World(queued())
    world.dial()
    assert [one.state.is_dialling for one in world.when_placed] == [True]
    assert world.execution.state.attempt.call_id == call_id(1)


def test_a_claim_holds_every_gates_decision() -> None:
    world = World(queued())
    world.dial()
    (placed,) = world.when_placed
    decisions = list(recorded(placed.changes[-1].gates))
    assert [gate for gate, _, _ in decisions] == list(Gate)
    assert {verdict for _, verdict, _ in decisions} == {Verdict.ALLOW}


def test_each_invocation_claims_with_its_own_claim_id() -> None:
    claims = []
    for lease in ("one", "two"):
        world = World(queued())
        world.dial(lease)
        claims.append(world.when_placed[0].changes[-1].claim_id)
    assert claims == ["one", "two"]


def test_a_dial_before_the_due_time_exits() -> None:
    execution = queued(scheduled_at=TEN + minutes(30))
    world = World(execution)
    world.dial()
    assert (world.placed, world.execution) == ([], execution)
    assert cast(mock.Mock, world.services.invoker).dial.mock_calls == [], "its timer is still to fire"


@pytest.mark.parametrize(("later", "dialled"), [(0, 1), (3, 0)])
def test_a_claim_that_is_too_old_is_left_to_the_sweeper(later: float, dialled: int) -> None:
    """The answer to the claim's write was lost. Minutes later the sweeper has begun to ask about the call."""
    world = World(queued())

    def answer_lost() -> None:
        world.now += minutes(later)
        raise StaleVersion(world.execution.id)

    world.after_claim = answer_lost
    world.dial()
    assert len(world.placed) == dialled
    assert world.execution.state.is_dialling or dialled


def running() -> Batch:
    batch = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN - minutes(9), "contacts.csv", version=1).begin(TEN, start=True)
    return batch.processed(3, 3, TEN - minutes(8)).run(TEN - minutes(7))


@pytest.mark.parametrize(
    ("batch", "status"),
    [
        (running(), "initiated"),
        (replace(running(), paused=True), "queued"),
        (running().stop(TEN, "stopped by request", {}), "stopped"),
        (running().delete(TEN), "stopped"),
        (None, "stopped"),
    ],
)
def test_a_batchs_contact_is_dialled_only_while_its_batch_runs(batch: Batch | None, status: str) -> None:
    execution = replace(contact(running(), 1, NUMBER, {}), version=1)
    world = World(execution, batch)
    world.dial()
    assert str(world.execution.state.status) == status
    assert len(world.placed) == (status == "initiated")


def test_a_contact_that_waits_at_its_first_dial_says_already_when_it_expires() -> None:
    """Its first event may be sent now, and again after the claim, with the same expiry both times."""
    batch = replace(running(), expires_after_minutes=60)
    world = World(replace(contact(batch, 1, NUMBER, {}), version=1), batch)
    world.lines.acquire.return_value = False
    world.dial()
    waiting = world.execution
    assert waiting.state.is_waiting and waiting.delivery.lease_id == "mine"
    world.lines.acquire.return_value = True
    world.dial("another")
    assert len(world.placed) == 1
    assert waiting.expires_at == batch.contacts_expire_at == world.execution.expires_at
    assert render_event(waiting, 1) == render_event(world.execution, 1)


def test_a_stopped_call_leaves_no_schedule() -> None:
    world = World(queued(scheduled_at=TEN + minutes(30)))
    timer = world.execution.state.timer
    assert timer is not None
    stop_execution(world.services, world.execution.id, account_id=ACCOUNT_ID, now=TEN)
    world.timers.cancel_dial.assert_called_once_with(world.execution.id, timer[0])
    assert str(world.execution.state.status) == "stopped"


def test_a_dial_that_dies_after_its_claim_is_not_repeated() -> None:
    """It is unknown whether the carrier was asked."""
    world = World(queued())

    def cut_off() -> None:
        raise InterruptedError

    world.after_claim = cut_off
    with pytest.raises(InterruptedError):
        world.dial()
    world.after_claim = lambda: None
    world.dial("another")
    assert world.placed == []
    assert world.execution.state.is_dialling


def test_a_dial_above_a_lowered_limit_releases_no_line_of_a_claimed_attempt() -> None:
    """While it reads the holders, another invocation claims the attempt, with that line."""
    execution = queued()
    world = World(replace(execution, delivery=replace(execution.delivery, settled=1)))
    read = world.execution
    world.lines.acquire.return_value = False

    def claimed_meanwhile(agent_id: str, shard: int) -> dict[str, Any]:
        if world.execution is read:
            world.save(read.claim(TEN, CALLER_ID, 0, "another"))
        return {read.id: (1, TEN)}

    world.lines.holders.side_effect = claimed_meanwhile
    world.dialler.dial(read.id, 1, "mine", line_shard=0)
    world.lines.release.assert_not_called()
    assert world.placed == []


# ---- the pace of the carrier account --------------------------------------------------------------------------------


class Paced(World):
    """A world with a pacer that reserves the given starts, and a carrier account that starts one call a second."""

    def __init__(self, execution: Execution, *starts: datetime) -> None:
        super().__init__(execution)
        self.rate: float | None = 1.0
        self.queue_seconds = 0.0
        self.pacer = mock.Mock()
        self.pacer.reserve.side_effect = list(starts)
        self.services.pacer = self.pacer

    def calls_per_second(self) -> float | None:
        return self.rate

    def place(self, request: CallRequest) -> DialResult:
        super().place(request)
        return Accepted(call_id(1), self.queue_seconds)

    def messages(self) -> list[Any]:
        """The arguments of each message that was sent to dial, with its delay."""
        return [(one.args, one.kwargs) for one in cast(mock.Mock, self.services.invoker).dial.mock_calls]


def test_a_call_is_placed_at_once_where_the_account_is_free() -> None:
    world = Paced(queued(), TEN)
    world.dial()
    assert len(world.placed) == 1
    assert world.pacer.reserve.mock_calls == [mock.call("twilio", seconds(1), TEN)]


@pytest.mark.parametrize(("of_secret", "of_stack", "interval"), [(None, 2.0, 0.5), (4.0, 2.0, 0.25), (0, 2.0, None)])
def test_the_rate_is_the_secrets_or_else_the_stacks(
    of_secret: float | None, of_stack: float, interval: float | None
) -> None:
    world = Paced(queued(), TEN)
    world.rate, world.services.calls_per_second = of_secret, of_stack
    world.dial()
    asked = [] if interval is None else [mock.call("twilio", seconds(interval), TEN)]
    assert world.pacer.reserve.mock_calls == asked


def test_a_start_some_seconds_off_comes_as_a_message_with_the_line() -> None:
    execution, start = queued(), TEN + seconds(7)
    world = Paced(execution, start)
    report = world.dial()
    assert (world.placed, world.execution, report.pace_wait) == ([], execution, seconds(7))
    assert world.messages() == [((execution.id, 1, 0, None, None, start, None), {"after": start})]
    assert world.lines.release.mock_calls == []
    world.now = start
    world.dialler.dial(execution.id, 1, "later", line_shard=0, paced_at=start)
    assert len(world.placed) == 1
    assert len(world.pacer.reserve.mock_calls) == 1, "the start was taken before"


def test_a_message_that_comes_too_early_waits_on() -> None:
    world, start = Paced(queued()), TEN + seconds(7)
    world.dialler.dial(world.execution.id, 1, "early", line_shard=0, paced_at=start)
    assert (world.placed, world.messages()[0][1]) == ([], {"after": start})


def test_a_long_wait_for_a_start_is_stored_and_keeps_its_line() -> None:
    world, start = Paced(queued(), TEN + minutes(20)), TEN + minutes(20)
    world.dial()
    state = world.execution.state
    assert state.is_waiting and state.next_time == start
    assert state.attempt.line_shard == 0
    assert world.execution.changes[-1].reason == "twilio takes 1 calls a second"
    assert world.timers.schedule_dial.mock_calls == []
    assert world.messages() == [((world.execution.id, 1), {"paced_at": start, "after": start})]
    world.now += minutes(15)  # no message is hidden for longer
    world.dialler.dial(world.execution.id, 1, "later", paced_at=start)
    assert world.messages()[-1][1] == {"after": start}
    world.now = start
    world.dialler.dial(world.execution.id, 1, "last", paced_at=start)
    assert len(world.placed) == 1


def test_a_start_that_is_long_past_is_not_used() -> None:
    world = Paced(queued(), TEN)
    world.dialler.dial(world.execution.id, 1, "late", line_shard=0, paced_at=TEN - LATEST_PACED - seconds(1))
    assert len(world.pacer.reserve.mock_calls) == 1
    assert len(world.placed) == 1


def test_a_wait_in_the_carriers_queue_holds_the_next_starts() -> None:
    world = Paced(queued(), TEN)
    world.queue_seconds = 12.0
    world.dial()
    assert world.pacer.hold.mock_calls == [mock.call("twilio", TEN + seconds(12))]


def test_a_short_wait_in_the_carriers_queue_is_none() -> None:
    world = Paced(queued(), TEN)
    world.queue_seconds = 0.8
    world.dial()
    assert world.pacer.hold.mock_calls == []
