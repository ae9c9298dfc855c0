"""Every given-up event is in its account's list until it is replayed, even if both happen concurrently."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.items import to_item
from redial.adapters.dynamodb.undelivered import DynamoUndelivered
from redial.domain.batch import Batch
from redial.domain.delivery import Delivery
from redial.domain.execution import Execution
from redial.usecases.replay import list_undelivered
from tests.simulation.campaign import world_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import events_are_delivered_in_order
from tests.simulation.scenarios import Story
from tests.simulation.world import PORTS, World
from tests.support.aws import dynamodb_with_table
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN, minutes, queued
from tests.support.services import table_services
from tests.support.table import TABLE_NAME

SLOW_SECONDS = 4.0
"""The longest duration of a request to AWS, retries included."""
GIVEN_UP = Delivery(settled=1, undelivered=(1,))


# ---- in any order ---------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> Iterator[World]:
    with world_of(5, Faults(5, {})) as made:
        yield made


def listed(world: World) -> dict[str, list[int]]:
    """The API's list: sequences of given-up events, by execution or batch."""
    answer = world.ask_as(world.accounts[0], "GET", "/webhooks/undelivered")
    return {
        one["execution_id"] or one["batch_id"]: [event["sequence"] for event in one["events"]]
        for one in json.loads(answer.body)["data"]
    }


def slow_down(world: World, number: int, after: bool) -> list[str]:
    """Make request `number` of deliver (0 is the next one) slow, before or after it takes effect. Returns a list that
    records its requests in order."""
    between, made = world.aws.middleware, list[str]()
    assert between is not None

    def slowed(service: str, operation: str, body: bytes, ask: Any) -> Any:
        invocation = world.functions.current()
        if invocation is None or not invocation.function.name.endswith("-deliver"):
            return between(service, operation, body, ask)
        made.append(operation)
        is_slow = len(made) == number + 1
        if is_slow and not after:
            world.functions.sleep(SLOW_SECONDS)
        answer = between(service, operation, body, ask)
        if is_slow and after:
            world.functions.sleep(SLOW_SECONDS)
        return answer

    world.aws.middleware = slowed
    return made


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(4))
def test_an_event_that_is_given_up_while_a_replay_ends_is_listed(world: World, number: int, after: bool) -> None:
    story = Story(world, 5)
    story.fail(5, "410")
    execution_id = story.call("completed", retry_config=None)
    story.wait(68)
    assert listed(world).keys() == {execution_id}
    made = slow_down(world, number, after)
    story.ask("POST", f"/executions/{execution_id}/webhooks/replay")
    story.wait(1)
    story.fail(5, "410")  # the event `completed` occurs in this time
    story.wait(3600)
    given_up = world.seen.executions[execution_id].delivery.undelivered
    assert given_up, "the endpoint refused an event"
    assert listed(world) == {execution_id: list(given_up)}
    assert len(made) > number, "deliver made enough requests"
    events_are_delivered_in_order(world)
    assert world.violations == []


def test_a_replayed_event_leaves_the_list_and_one_that_is_given_up_again_returns_to_it(world: World) -> None:
    story = Story(world, 5)
    story.fail(3600, "410")
    execution_id = story.call("busy", retry_config=None)
    story.wait(120)
    first = listed(world)
    assert first == {execution_id: [1, 2, 3]}
    story.ask("POST", f"/executions/{execution_id}/webhooks/replay")
    story.wait(60)
    assert listed(world) == first, "the endpoint still refuses"
    story.wait(3600)
    story.ask("POST", f"/executions/{execution_id}/webhooks/replay")
    story.wait(60)
    assert listed(world) == {}
    events_are_delivered_in_order(world)
    assert world.violations == []


def test_a_batchs_events_are_listed_until_they_are_replayed_or_the_batch_is_deleted(world: World) -> None:
    story = Story(world, 5)
    url = f"http://127.0.0.1:{PORTS['inbox']}/{story.endpoint}"
    story.fail(3600, "410")
    batch_id = story.batch([story.number("completed")], ("webhook_url", url))
    story.wait(600)
    before = listed(world)
    assert before[batch_id]
    assert len(before) == 2, "the batch and its contact"
    story.ask("DELETE", f"/batches/{batch_id}")
    assert batch_id not in listed(world)
    story.wait(3600)
    assert listed(world) == {}, "its contacts' events are gone with them"
    assert world.violations == []


# ---- what is stored -------------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


def given_up(number: int, account_id: str = ACCOUNT_ID) -> Execution:
    one = queued(execution_id=f"{number:08d}-43a1-4a5e-9d0f-0d3f6f4f1c03")
    return replace(one, account_id=account_id, delivery=GIVEN_UP, version=0, created_at=TEN - minutes(number))


def test_the_list_is_an_accounts_own_and_the_oldest_comes_first(client: Any) -> None:
    executions, batches = DynamoExecutions(client, TABLE_NAME), DynamoBatches(client, TABLE_NAME)
    mine = [given_up(1), given_up(2), given_up(3)]
    batch = Batch("0" * 32, ACCOUNT_ID, AGENT_ID, TEN - minutes(10), "a.csv").begin(TEN, start=False)
    for one in (*mine, given_up(4, "another-account"), replace(given_up(5), delivery=Delivery(settled=1))):
        assert executions.create(one)
    assert batches.create(replace(batch, delivery=GIVEN_UP))
    undelivered = DynamoUndelivered(client, TABLE_NAME)
    assert list(undelivered.all(ACCOUNT_ID)) == [batch.id, *(one.id for one in reversed(mine))]
    assert list(undelivered.all("another-account")) == [given_up(4).id]


def test_a_stale_index_entry_without_given_up_events_is_not_shown(client: Any) -> None:
    """The index may be stale. Here it lists an execution that was replayed, one that was deleted, and a correct one."""

    class Lagging(DynamoUndelivered):
        def all(self, account_id: str) -> Iterator[str]:
            yield from (given_up(number).id for number in (3, 2, 1))

    services = table_services(client, undelivered=Lagging(client, TABLE_NAME))
    assert services.executions.create(given_up(1))
    assert services.executions.create(replace(given_up(2), delivery=Delivery(settled=1)))
    found = list_undelivered(services, ACCOUNT_ID, most=9)
    assert [one.subject.id for one in found] == [given_up(1).id]


def test_an_entry_from_before_the_index_still_lists_its_execution(client: Any) -> None:
    """It is listed only once: an item that is saved again is in the index, and its old entry is not counted twice."""
    executions = DynamoExecutions(client, TABLE_NAME)
    for number in (1, 2):
        client.put_item(
            TableName=TABLE_NAME,
            Item=to_item({"pk": f"U#{ACCOUNT_ID}", "sk": given_up(number).id, "at": 1_769_428_870_000}),
        )
    assert executions.create(given_up(1))
    assert list(DynamoUndelivered(client, TABLE_NAME).all(ACCOUNT_ID)) == [given_up(1).id, given_up(2).id]
