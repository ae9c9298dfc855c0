"""The pace of a carrier account: all agents that dial with it share one sequence of starts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redial.adapters.dynamodb.pacer import DynamoPacer
from redial.ports import StaleVersion
from tests.support.aws import dynamodb_with_table
from tests.support.samples import TEN, seconds
from tests.support.table import TABLE_NAME

SECOND = timedelta(seconds=1)


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


def test_starts_are_apart_by_the_interval_over_all_processes(client: Any) -> None:
    first, second = DynamoPacer(client, TABLE_NAME), DynamoPacer(client, TABLE_NAME)
    starts = [pacer.reserve("twilio", SECOND, TEN) for pacer in (first, second, first, first, second)]
    assert starts == [TEN + seconds(number) for number in range(5)]
    assert second.reserve("http", SECOND, TEN) == TEN  # another carrier account


def test_an_idle_account_starts_a_call_at_once_and_saves_nothing_up(client: Any) -> None:
    pacer = DynamoPacer(client, TABLE_NAME)
    assert pacer.reserve("twilio", SECOND, TEN) == TEN
    later = TEN + seconds(60)
    assert [pacer.reserve("twilio", SECOND, later) for _ in range(2)] == [later, later + SECOND]


def test_a_held_account_gives_no_start_before(client: Any) -> None:
    pacer = DynamoPacer(client, TABLE_NAME)
    pacer.hold("twilio", TEN + seconds(9))
    pacer.hold("twilio", TEN + seconds(4))  # shorter: nothing changes
    assert pacer.reserve("twilio", SECOND, TEN) == TEN + seconds(9)
    assert pacer.reserve("twilio", SECOND, TEN + seconds(20)) == TEN + seconds(20)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.uuids(), st.lists(st.integers(0, 4000), min_size=1, max_size=20), st.sampled_from([0.1, 1, 2.5, 30]))
def test_no_two_starts_are_nearer_than_the_rate(client: Any, carrier: UUID, steps: list[int], rate: float) -> None:
    pacers = [DynamoPacer(client, TABLE_NAME) for _ in range(2)]
    interval, now, starts = SECOND / rate, TEN, list[datetime]()
    for number, milliseconds in enumerate(steps):
        now += timedelta(milliseconds=milliseconds)
        starts.append(pacers[number % 2].reserve(str(carrier), interval, now))
        assert starts[-1] >= now
    least = interval - timedelta(milliseconds=1)  # whole milliseconds are stored
    assert all(later - earlier >= least for earlier, later in pairwise(starts))


def test_a_condition_that_never_holds_ends() -> None:
    class Never:
        def update_item(self, **_: Any) -> Any:
            from botocore.exceptions import ClientError

            raise ClientError({"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}, "UpdateItem")

    with pytest.raises(StaleVersion):
        DynamoPacer(Never(), TABLE_NAME).reserve("twilio", SECOND, TEN)  # type: ignore[arg-type]
