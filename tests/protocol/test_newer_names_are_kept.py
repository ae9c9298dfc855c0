"""A gradual deployment: attributes stored by a newer version survive every save by this version."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant

from redial.adapters.dynamodb import agents, batches, circuits, executions
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.circuits import DynamoCircuits
from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.batch import Batch
from redial.domain.circuit import FAILURES_TO_OPEN, RESUMING_FOR, Circuit
from redial.domain.decision import held
from redial.domain.execution import Change, Execution, Marker
from redial.domain.outcome import Accepted, NotPlaced, Unknown
from redial.wire import stored_batch, stored_execution
from redial.wire.newer import with_newer
from redial.wire.packed_execution import unpacked
from tests.simulation.campaign import converge, world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import AT_THE_END
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.world import World
from tests.support.aws import dynamodb_with_table
from tests.support.examples import examples
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, agent, placed, queued, seconds
from tests.support.table import TABLE_NAME
from tests.unit.test_batch import AnyBatch
from tests.unit.test_execution import AnyLife

NAME, VALUE = "zz", {"tier": 2, "tags": ["a", "b"], "on": True}
NOTE = "x-priced"


def with_names(item: dict[str, Any]) -> dict[str, Any]:
    """An item of an execution or a batch as a newer version would store it, with names of its own at every level."""
    changes = json.loads(item["ch"])
    for change in changes:
        if isinstance(change[-1], dict):
            change[-1][NAME] = VALUE
        else:
            change.append({NAME: VALUE})
    delivery = {**json.loads(item.get("dl", "{}")), NAME: VALUE}
    return {**item, NAME: VALUE, "ch": json.dumps(changes), "dl": json.dumps(delivery)}


def with_a_note(item: dict[str, Any]) -> dict[str, Any]:
    """The item with one more change, of a kind unknown to this version."""
    changes = json.loads(item["ch"])
    _, at, attempt, *_ = changes[-1]
    return {**item, "ch": json.dumps([*changes, [NOTE, at + 1, attempt, {NAME: VALUE}]])}


# ---- every transition -----------------------------------------------------------------------------------------------


def identity(change: Change) -> tuple[Any, ...]:
    return change.kind, change.at, change.attempt


class LifeBesideANewerVersion(AnyLife):
    """After each step a newer version stores its own names, and sometimes a marker."""

    notes = 0

    def becomes(self, after: Execution, now: datetime, called_off: bool = False) -> None:
        before = self.execution
        super().becomes(after, now, called_off)
        assert after.newer == before.newer
        assert after.newer_notes == before.newer_notes
        assert after.delivery.newer == before.delivery.newer
        known = {identity(change): change.newer for change in before.changes}
        for change in after.changes:
            if identity(change) in known:
                assert change.newer == known[identity(change)]
        item = with_names(stored_execution.encode(self.execution))
        if self.notes < 3 and after.version % 2:
            item, self.notes = with_a_note(item), self.notes + 1
        self.execution = stored_execution.decode(from_item(to_item(item)))

    @invariant()
    def a_newer_versions_markers_keep_their_positions(self) -> None:
        changes = json.loads(stored_execution.encode(self.execution)["ch"])
        assert [one[1] for one in changes] == sorted(one[1] for one in changes)
        assert len([one for one in changes if one[0] == NOTE and one[3] == {NAME: VALUE}]) == self.notes
        assert len(changes) == len(self.execution.changes) + self.notes


class BatchBesideANewerVersion(AnyBatch):
    def becomes(self, after: Batch, now: datetime) -> None:
        before = self.batch
        super().becomes(after, now)
        assert (after.newer, after.delivery.newer) == (before.newer, before.delivery.newer)
        self.batch = stored_batch.decode(from_item(to_item(with_names(stored_batch.encode(self.batch)))))


LifeBesideANewerVersion.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=30)
BatchBesideANewerVersion.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=30)
TestLifeBesideANewerVersion = LifeBesideANewerVersion.TestCase
TestBatchBesideANewerVersion = BatchBesideANewerVersion.TestCase


# ---- every use case -------------------------------------------------------------------------------------------------


def born_newer(encode: Any) -> Any:
    """A newer version makes the first save of each item; this version makes all later ones."""

    def encoded(one: Any) -> dict[str, Any]:
        item: dict[str, Any] = encode(one)
        if one.version > 1:
            return item
        if isinstance(one, Execution):
            return with_a_note(with_names(item))
        return with_names(item) if isinstance(one, Batch) else {**item, NAME: VALUE}

    return encoded


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        for module, name in ((executions, "encode"), (batches, "encode"), (agents, "_encode"), (circuits, "_encode")):
            stack.enter_context(mock.patch.object(module, name, born_newer(getattr(module, name))))
        yield stack.enter_context(world_of(11, Faults(11, {})))


@pytest.mark.simulation
@pytest.mark.parametrize("name", SCENARIOS)
def test_an_item_keeps_a_newer_versions_names_through_every_scenario(world: World, name: str) -> None:
    SCENARIOS[name](world, 1, lambda: None)
    assert converge(world, timedelta(hours=30), 1800.0) is not None
    for check in AT_THE_END:
        check(world)
    assert world.violations == []
    stored = [one for kind in ("X#", "B#", "H#") for one in world.items(kind)]
    stored += [one for one in world.items("A#") if one["sk"].startswith("AGENT#")]
    assert stored
    for item in map(unpacked, stored):
        assert item[NAME] == VALUE, item["pk"]
        if "dl" in item:
            assert json.loads(item["dl"])[NAME] == VALUE
        if item["pk"].startswith(("X#", "B#")):
            assert json.loads(item["ch"])[0][-1][NAME] == VALUE
        if item["pk"].startswith("X#"):
            assert next(one for one in json.loads(item["ch"]) if one[0] == NOTE)[3] == {NAME: VALUE}


# ---- what such names may be -----------------------------------------------------------------------------------------


def test_an_unknown_marker_does_not_change_the_execution() -> None:
    known = placed(queued(), TEN + seconds(5))
    item = with_a_note(stored_execution.encode(known))
    read = stored_execution.decode(item)
    assert (read.changes, read.state) == (known.changes, known.state)
    assert stored_execution.status_of(item) is known.state.status
    assert stored_execution.encode(read) == {**item, "ch": json.dumps(json.loads(item["ch"]), separators=(",", ":"))}


@pytest.mark.parametrize("kind", ["transferred", "claimed-again", "xx"])
def test_an_unknown_kind_that_may_affect_the_state_is_rejected(kind: str) -> None:
    """The kind may be a status or a claim: misread, it would make this version dial again or misnumber events."""
    item = stored_execution.encode(queued())
    changes = [*json.loads(item["ch"]), [kind, 1000, 1]]
    with pytest.raises(ValueError, match=kind):
        stored_execution.decode({**item, "ch": json.dumps(changes)})


def test_a_deferral_that_repeats_another_keeps_its_names() -> None:
    deferred = queued().defer(TEN, held(TEN + seconds(60), "throttled"), line_shard=0)
    deferred = stored_execution.decode(with_names(stored_execution.encode(deferred)))
    claimed = deferred.claim(TEN + seconds(60), "+14155550100", 0, "token")
    again = claimed.answered_by_carrier(1, NotPlaced("throttled"), TEN + seconds(61), 0.5)
    assert (again.changes[-1].kind, again.changes[-1].count, again.changes[-1].newer) == (
        Marker.DEFERRED,
        2,
        {NAME: VALUE},
    )


def test_a_name_that_is_encoded_and_not_decoded_is_an_error() -> None:
    """Otherwise the name would be kept as a newer version's, and reappear after it was cleared."""
    with pytest.raises(ValueError, match=r"not decoded: \['q'\]"):
        with_newer({"v": 1, "q": 2}, {"q": 1})


# ---- agents and circuits --------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


def add_name(client: Any, pk: str, sk: str) -> None:
    client.update_item(
        TableName=TABLE_NAME,
        Key=to_item({"pk": pk, "sk": sk}),
        UpdateExpression="SET zz = :value",
        ExpressionAttributeValues=to_item({":value": VALUE}),
    )


def name_of(client: Any, pk: str, sk: str) -> Any:
    item = client.get_item(TableName=TABLE_NAME, Key=to_item({"pk": pk, "sk": sk}))["Item"]
    return from_item(item).get(NAME)


def test_an_agent_keeps_them_when_it_is_changed_stopped_and_deleted(client: Any) -> None:
    store = DynamoAgents(client, TABLE_NAME)
    store.save(agent(version=0))
    add_name(client, f"A#{ACCOUNT_ID}", f"AGENT#{AGENT_ID}")
    for changes in ({"name": "another"}, {"stopped_before": TEN}, {"deleted_at": TEN}, {"deleted_at": None}):
        read = store.get(ACCOUNT_ID, AGENT_ID)
        assert read is not None
        store.save(replace(read, **changes))
        assert name_of(client, f"A#{ACCOUNT_ID}", f"AGENT#{AGENT_ID}") == VALUE


def test_a_circuit_keeps_them_when_it_opens_resumes_and_closes(client: Any) -> None:
    store = DynamoCircuits(client, TABLE_NAME)
    store.save(Circuit(ACCOUNT_ID, "twilio").record(Unknown("503"), False, TEN))
    add_name(client, f"H#{ACCOUNT_ID}", "twilio")

    def step(circuit: Circuit) -> Circuit:
        store.save(circuit)
        assert name_of(client, f"H#{ACCOUNT_ID}", "twilio") == VALUE
        return store.get(ACCOUNT_ID, "twilio")

    circuit = store.get(ACCOUNT_ID, "twilio")
    for _ in range(FAILURES_TO_OPEN):
        circuit = step(circuit.record(Unknown("503"), False, TEN))
    assert circuit.next_try_at is not None
    circuit = step(circuit.record(Accepted("CA1"), True, circuit.next_try_at))
    assert circuit.resumed_at is not None
    closed = circuit.admit(circuit.resumed_at + RESUMING_FOR)
    assert closed is not None
    assert step(closed).is_healthy
