"""Every step of a simulated run is a step of the models, and a step of a mutant is not."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.lines import DynamoLines
from redial.domain import execution as execution_module
from redial.domain.delivery import Delivery
from redial.domain.execution import Execution
from redial.domain.outcome import NotPlaced, Unknown
from redial.usecases.dial_attempt import Dial
from tests.protocol import traces
from tests.protocol.test_late_reports import GIVEN_UP, place_late, retried_after
from tests.simulation.campaign import run, world_of
from tests.simulation.faults import CALM, Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR, World

pytestmark = pytest.mark.simulation
PROMISE = "every step is a step of the models"
"""tests/simulation/test_seeds.py checks every step of its seeds against the models, and that each action occurs."""


@pytest.mark.parametrize(
    ("outcomes", "minutes", "placed_after", "then"),
    [
        (("completed", "completed"), 30, GIVEN_UP + 80, "ringing, 1 rings (-1)"),
        (("busy", "completed"), 30, GIVEN_UP + 80, "waiting, 0 rings"),
        (("refused-429", "busy", "completed"), 1, GIVEN_UP + 65, "waiting, 0 rings"),
    ],
    ids=["it continues", "it fails", "its retry holds a line"],
)
def test_a_reopened_attempt_is_a_step_of_the_models(
    outcomes: tuple[Any, ...], minutes: int, placed_after: float, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call of an attempt that was given up is placed while the next attempt waits."""
    late = "waiting, 0 rings, 1 of the lost attempt before"
    before = traces.exercised.copy()
    with world_of(5, Faults(5, {})) as world:
        story = Story(world, 5, lines=1)
        place_late(world, monkeypatch, placed_after)
        story.call(*outcomes, retry_config=retried_after(minutes))
        world.run(2 * HOUR)
        assert world.violations == []
    seen = traces.exercised - before
    assert seen[f"dial: waiting, 0 rings, 0 of the lost attempt before → {late}"] == 1
    assert seen[f"dial: {late} → {then}"] == 1


def _line_kept() -> Any:
    """A hand-over leaves the line with its old holder, too."""

    def kept(self: DynamoLines, *arguments: Any) -> bool:
        agent_id, shard, capacity, execution_id, _, to, now, *_ = arguments
        account_id = self.owner(agent_id, shard)
        held = execution_id in self.holders(agent_id, shard) and to.execution_id != execution_id
        if account_id is None or not held:
            return False
        return self.acquire(account_id, agent_id, shard, capacity + 1, to.execution_id, to.attempt, now)

    return mock.patch.object(DynamoLines, "hand_over", kept)


def _line_of_another() -> Any:
    """A claimed call releases its line at once."""
    call = Dial.claim_and_call

    def without(self: Dial, execution: Execution, agent: Any, batch: Any, shard: int, decisions: Any) -> Any:
        self.services.lines.release(agent.agent_id, shard, execution.id, execution.state.attempt.number)
        return call(self, execution, agent, batch, shard, decisions)

    return mock.patch.object(Dial, "claim_and_call", without)


def _asked_again() -> Any:
    """An unknown answer counts as "nothing was placed", although the phone rings."""
    answered = Execution.answered_by_carrier

    def again(self: Execution, attempt: int, result: Any, now: Any, jitter: float) -> Execution:
        return answered(self, attempt, NotPlaced(result.reason) if isinstance(result, Unknown) else result, now, jitter)

    return mock.patch.object(Execution, "answered_by_carrier", again)


def _backwards() -> Any:
    """A report is accepted whatever the current status."""
    ranks = itertools.count()
    return mock.patch.object(execution_module, "rank", side_effect=lambda status: -next(ranks))


def _no_lease() -> Any:
    """Deliver takes the lease from any invocation that holds it."""
    return mock.patch.object(Delivery, "may_send", return_value=True)


def _settled_unsent() -> Any:
    """An event that was not accepted counts as accepted."""

    def taken(self: Delivery, tried: Any, retry_after: Any, jitter: float) -> Delivery:
        return self.accepted(tried)

    return mock.patch.object(Delivery, "failed", taken)


def _claim_condition() -> Any:
    """A claim is written over whatever is stored."""
    save = DynamoExecutions.save

    def anyhow(self: DynamoExecutions, execution: Execution) -> Execution:
        if not execution.state.is_dialling:
            return save(self, execution)
        current = self.get(execution.id)
        assert current is not None
        return save(self, replace(execution, version=current.version))

    return mock.patch.object(DynamoExecutions, "save", anyhow)


_SIDE_BY_SIDE = {"invoked twice": 0.6, "schedule twice": 0.6, "aws slow": 0.3, "carrier slow": 0.3}
_TWICE = {"invoked twice": 0.8, "schedule twice": 0.6, "endpoint slow": 0.8, "invoked late": 0.3}
MUTANTS: tuple[tuple[Callable[[], Any], Mapping[str, float], int, str], ...] = (
    (_claim_condition, _SIDE_BY_SIDE, 1, "dial:"),
    (_asked_again, {"carrier timeout after placing": 0.6}, 6, "dial: claimed, 1 rings → waiting, 1 rings"),
    (_backwards, {"callback twice": 0.6, "callback late": 0.5}, 8, "dial: "),
    (_line_kept, CALM, 1, "line: 0 released and 1 acquired in one write, above the limit"),
    (_line_of_another, CALM, 1, "line: waiting without a line → live without a line"),
    (_no_lease, _TWICE, 1, "delivery: lease taken, held by another"),
    (_settled_unsent, {"endpoint 500": 0.5}, 1, "delivery: settled with a lease, neither accepted nor given up"),
)
"""Mutants, the faults under which they differ, the first seed to try, and the start of the step that reveals each."""


@pytest.mark.parametrize(("mutant", "rates", "first", "step"), MUTANTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_mutant_is_detected(mutant: Callable[[], Any], rates: Mapping[str, float], first: int, step: str) -> None:
    def detected(world: World) -> bool:
        return any(one.invariant == PROMISE and f": {step}" in one.what for one in world.violations)

    for seed in range(first, first + 8):
        with mutant():
            result = run(seed, rates, stop_early=detected)
        found = [one.what for one in result.violations if one.invariant == PROMISE and f": {step}" in one.what]
        if found:
            print(f"seed {seed}: {found[0]}")
            return
    pytest.fail("no step of eight seeds revealed it")
