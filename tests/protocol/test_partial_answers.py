"""If DynamoDB processes a request for several items in part, the rest is requested again, after a pause."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest

from local.aws.functions import Invoker
from local.aws.queues import Queues
from local.aws.requests import Aws
from local.aws.scheduler import Scheduler
from local.clock import Timeline
from redial.adapters.dynamodb.batches import DynamoBatches
from redial.adapters.dynamodb.executions import DynamoExecutions
from redial.adapters.dynamodb.table import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_ROUNDS,
    PartlyDone,
    until_done,
)
from redial.domain.batch import Batch, contact
from redial.runtime import services, system
from redial.runtime.services import Services
from redial.wire.packed_execution import MAY_PACK
from tests.support.samples import ACCOUNT_ID, AGENT_ID, NUMBER, TEN, minutes
from tests.support.table import TABLE_NAME, create_table


class Rounds:
    """Processes `done[n]` parts in round n, then all; records requests and pauses."""

    def __init__(self, *done: int) -> None:
        self.done = list(done)
        self.asked: list[int] = []
        self.waited: list[float] = []

    def ask(self, parts: list[int]) -> list[int]:
        self.asked.append(len(parts))
        return parts[self.done.pop(0) :] if self.done else []

    def run(self, parts: int) -> None:
        until_done(list(range(parts)), self.ask, self.waited.append)


def test_a_complete_answer_takes_one_request_and_no_pause() -> None:
    rounds = Rounds()
    rounds.run(7)
    assert (rounds.asked, rounds.waited) == ([7], [])


def test_no_parts_make_no_request() -> None:
    rounds = Rounds()
    rounds.run(0)
    assert rounds.asked == []


def test_pauses_double_without_progress_and_start_over_after_progress() -> None:
    rounds = Rounds(3, 0, 0, 2)
    rounds.run(7)
    assert rounds.asked == [7, 4, 4, 4, 2]
    first = FIRST_PAUSE_SECONDS
    assert rounds.waited == [first, first, 2 * first, first]


def test_it_raises_after_too_many_rounds_without_progress() -> None:
    rounds = Rounds(2, *[0] * 100)
    with pytest.raises(PartlyDone, match=f"5 parts are left after {MOST_ROUNDS} rounds"):
        rounds.run(7)
    assert len(rounds.asked) == 1 + MOST_ROUNDS
    assert max(rounds.waited) == LONGEST_PAUSE_SECONDS
    assert sum(rounds.waited) < 20, "an API request may take 30 seconds"


# ---- the three places -----------------------------------------------------------------------------------------------


class Partial:
    """A DynamoDB client that leaves one part of a request unprocessed, `times` times, and then all parts if `stuck`."""

    def __init__(self, client: Any, times: int, stuck: bool = False) -> None:
        self._client, self._times, self._stuck = client, times, stuck
        self.rounds = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def _split(self, parts: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        self.rounds += 1
        if self.rounds <= self._times:
            return list(parts[:-1]), list(parts[-1:])
        return ([], list(parts)) if self._stuck else (list(parts), [])

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803  as botocore calls it
        asked = RequestItems[TABLE_NAME]
        now, later = self._split(asked["Keys"])
        answer: Any = {"Responses": {TABLE_NAME: []}, "UnprocessedKeys": {}}
        if now:
            answer = self._client.batch_get_item(RequestItems={TABLE_NAME: {**asked, "Keys": now}})
        if later:
            answer["UnprocessedKeys"] = {TABLE_NAME: {**asked, "Keys": later}}
        return answer

    def batch_execute_statement(self, Statements: Any) -> Any:  # noqa: N803  as botocore calls it
        now, later = self._split(Statements)
        responses = self._client.batch_execute_statement(Statements=now)["Responses"] if now else []
        return {"Responses": [*responses, *({"Error": {"Code": "ThrottlingError"}} for _ in later)]}


@pytest.fixture
def client() -> Iterator[Any]:
    """The emulated DynamoDB: moto alone does not support INSERT with parameters."""
    timeline = Timeline(TEN, speed=0)
    functions = Invoker(timeline, [], lambda function: lambda event, context: None)
    aws = Aws()
    queues = Queues(timeline, functions, [], aws.lock)
    aws.start(functions, Scheduler(timeline, functions, queues, aws.lock), queues)
    client = boto3.client("dynamodb")
    create_table(client)
    yield client
    aws.stop()


def batch(number: int) -> Batch:
    return Batch(f"{number:032x}", ACCOUNT_ID, AGENT_ID, TEN - minutes(number), "a.csv").begin(TEN, start=False)


CONTACTS = [replace(contact(batch(1), row, NUMBER, {}), version=1, newer={MAY_PACK: True}) for row in range(1, 8)]
"""Contacts as they are read."""


def test_executions_are_all_read(client: Any) -> None:
    DynamoExecutions(client, TABLE_NAME).create_contacts(CONTACTS)
    waited: list[float] = []
    partial: Any = Partial(client, times=3)
    assert DynamoExecutions(partial, TABLE_NAME, waited.append).read([one.id for one in CONTACTS]) == CONTACTS
    assert (partial.rounds, len(waited)) == (4, 3)


def test_an_agents_batches_are_all_read(client: Any) -> None:
    stored = [replace(batch(number), version=1) for number in range(5)]
    for one in stored:
        assert DynamoBatches(client, TABLE_NAME).create(replace(one, version=0))
    waited: list[float] = []
    partial: Any = Partial(client, times=2)
    assert DynamoBatches(partial, TABLE_NAME, waited.append).of_agent(AGENT_ID) == stored
    assert (partial.rounds, len(waited)) == (3, 2)


def test_contacts_are_all_stored(client: Any) -> None:
    waited: list[float] = []
    partial: Any = Partial(client, times=2)
    DynamoExecutions(partial, TABLE_NAME, waited.append).create_contacts(CONTACTS)
    assert DynamoExecutions(client, TABLE_NAME).read([one.id for one in CONTACTS]) == CONTACTS
    assert (partial.rounds, len(waited)) == (3, 2)


@pytest.mark.parametrize("place", ["executions", "batches", "contacts"])
def test_a_store_without_progress_raises_and_returns_no_partial_result(client: Any, place: str) -> None:
    DynamoExecutions(client, TABLE_NAME).create_contacts(CONTACTS)
    assert DynamoBatches(client, TABLE_NAME).create(batch(1))
    waited: list[float] = []
    partial: Any = Partial(client, times=0, stuck=True)
    executions = DynamoExecutions(partial, TABLE_NAME, waited.append)
    ask: dict[str, Callable[[], object]] = {
        "executions": lambda: executions.read([one.id for one in CONTACTS]),
        "batches": lambda: DynamoBatches(partial, TABLE_NAME, waited.append).of_agent(AGENT_ID),
        "contacts": lambda: executions.create_contacts(CONTACTS),
    }
    with pytest.raises(PartlyDone):
        ask[place]()
    assert (partial.rounds, len(waited)) == (MOST_ROUNDS, MOST_ROUNDS - 1)


def test_the_functions_really_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions' stores sleep by the process's clock, which a simulation replaces."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    services.reset()
    made = Services({"TABLE_NAME": TABLE_NAME, "KEEP_DAYS": "0"})
    for store in (made.executions, made.batches, made.queue, made.delayed):
        assert store._table.sleep is system.sleep
    services.reset()
