"""No answer is lost: neither DynamoDB's to a claim or a save, nor the carrier's to a dial."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.domain.circuit import Circuit
from redial.domain.execution import Execution, Marker
from redial.domain.status import Status
from redial.ports import StaleVersion
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.scenarios import Story
from tests.simulation.world import HOUR, START


def answer_lost_once(is_the_one: Any) -> Any:
    """A write takes effect, its answer is lost, and another writer changes the item before the write is repeated."""
    real = DynamoExecutions.save
    lost: list[str] = []

    def save(self: DynamoExecutions, execution: Execution) -> Execution:
        if lost or not is_the_one(execution):
            return real(self, execution)
        lost.append(execution.id)
        real(self, execution)
        stored = self.get(execution.id)
        assert stored is not None
        real(self, stored)
        raise StaleVersion(execution.id)

    return mock.patch.object(DynamoExecutions, "save", save)


def test_a_claim_whose_answer_is_lost_is_dialled_once() -> None:
    with world_of(5, Faults(5, {})) as world, answer_lost_once(lambda execution: execution.state.is_dialling):
        story = Story(world, 5)
        execution_id = story.call("completed", retry_config={"enabled": True})
        world.run(HOUR)
        execution = world.seen.executions[execution_id]
        assert execution.state.status is Status.COMPLETED
        assert execution.state.attempt.dialed_at is not None
        assert execution.state.attempt.dialed_at - START < timedelta(seconds=5)
        assert len(world.carrier.calls.all()) == 1
        assert world.violations == []


def test_a_claim_of_another_invocation_is_not_dialled() -> None:
    """The claim's answer is lost as above, but the item has another invocation's claim id: that invocation dials."""
    real = DynamoExecutions.save
    lost: list[str] = []

    def save(self: DynamoExecutions, execution: Execution) -> Execution:
        if not lost and execution.state.is_dialling:
            lost.append(execution.id)
            before = self.get(execution.id)
            assert before is not None
            real(self, before.claim(execution.changes[-1].at, "+12025550100", 0, "another1"))
        return real(self, execution)

    with world_of(5, Faults(5, {})) as world, mock.patch.object(DynamoExecutions, "save", save):
        story = Story(world, 5)
        story.call("completed", retry_config={"enabled": True})
        world.run(60)
        assert lost and world.carrier.calls.all() == []


def test_an_answer_has_its_effects_even_if_the_reply_to_its_save_is_lost() -> None:
    """The number does not exist: the attempt ends, and its line goes to the next call at once."""
    with world_of(5, Faults(5, {})) as world, answer_lost_once(lambda execution: execution.state.is_final):
        story = Story(world, 5, lines=1)
        refused = story.call("invalid-number")
        world.run(5)
        following = story.call("completed")
        world.run(20)
        assert world.seen.executions[refused].state.status is Status.FAILED
        assert world.seen.executions[following].state.status is Status.IN_PROGRESS
        assert world.violations == []


@pytest.mark.parametrize(
    ("outcome", "note"), [("refused-429", Marker.DEFERRED), ("error-500", Marker.UNKNOWN), ("completed", None)]
)
def test_the_carriers_answer_is_stored_before_the_circuit_records_it(outcome: Any, note: Marker | None) -> None:
    """DynamoDB refuses every write of the circuit's item for minutes."""
    refused: list[Circuit] = []

    def save(self: DynamoCircuits, circuit: Circuit, event: object = None) -> Circuit:
        refused.append(circuit)
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem")

    with world_of(5, Faults(5, {})) as world:
        story = Story(world, 5)
        circuits = DynamoCircuits(world.aws.client("dynamodb"), world.environment["TABLE_NAME"])
        failing = Circuit(story.account.id, "twilio", failures=1, failing_since=START, failed_at=START, reason="503")
        circuits.save(failing)  # so that an answer of a working carrier must be saved too
        world.run(10)
        with mock.patch.object(DynamoCircuits, "save", save):
            execution_id = story.call(outcome, "completed")
            world.run(20)
            execution = world.seen.executions[execution_id]
            assert note in {change.kind for change in execution.changes} or execution.state.is_live
            world.run(280)
        assert refused
        world.run(HOUR)
        execution = world.seen.executions[execution_id]
        assert execution.state.status is Status.COMPLETED
        assert execution.state.attempt.number == (2 if outcome == "error-500" else 1), "as without refused writes"
        assert world.violations == []


def test_a_dial_that_keeps_losing_races_gives_up_and_the_call_is_dialled_later() -> None:
    real = DynamoExecutions.save
    claims: list[str] = []

    def save(self: DynamoExecutions, execution: Execution) -> Execution:
        if execution.state.is_dialling and world.now < START + timedelta(minutes=5):
            claims.append(execution.id)
            raise StaleVersion(execution.id)
        return real(self, execution)

    with world_of(5, Faults(5, {})) as world, mock.patch.object(DynamoExecutions, "save", save):
        story = Story(world, 5)
        execution_id = story.call("completed")
        world.run(30)
        assert 0 < len(claims) <= 20
        world.run(HOUR)
        assert world.seen.executions[execution_id].state.status is Status.COMPLETED
        assert len(world.carrier.calls.all()) == 1
        assert world.violations == []
