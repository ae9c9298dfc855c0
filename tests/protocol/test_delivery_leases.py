"""One invocation delivers an execution's events: its lease is live while it sends, and it believes nothing old."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest import mock

from redial.domain.delivery import LEASE
from redial.domain.execution import Execution
from redial.ports import DeliveryAnswer, StaleVersion
from redial.usecases.deliver_events import Deliverer
from tests.support.samples import TEN, minutes, placed, queued, seconds
from tests.support.services import GivenServices


class Store:
    """One execution, saved over the version that was read."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def get(self, execution_id: str, /) -> Execution:
        return self.execution

    def save(self, execution: Execution, /) -> Execution:
        if execution.version != self.execution.version:
            raise StaleVersion(execution.id)
        self.execution = replace(execution, version=execution.version + 1)
        return self.execution


class Endpoint:
    """Takes everything, and notes it; `meanwhile` is called before each answer."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.taken: list[str] = []
        self._meanwhile = meanwhile

    def post(self, url: str, body: bytes, webhook_id: str, secrets: Any, now: datetime) -> DeliveryAnswer:
        self.taken.append(webhook_id.rpartition("-")[2])
        self._meanwhile()
        return DeliveryAnswer(200)


def deliverer(store: Store, endpoint: Endpoint, now: datetime) -> Deliverer[Execution]:
    services = GivenServices(now, accounts=mock.Mock(), webhooks=endpoint, timers=mock.Mock())
    return Deliverer(
        services,
        store,
        endpoint=lambda execution: "https://example.com/hook",
        render=lambda execution, sequence: {"sequence": sequence},
    )


def leased(execution: Execution, lease: str, at: datetime) -> Execution:
    made = execution.lease_delivery(lease, at)
    assert made.delivery.lease_id == lease
    return made


def plenty() -> float:
    return 60.0


def test_a_lease_lasts_as_long_as_the_invocation_that_sends_under_it_may_run() -> None:
    """It was taken for this invocation a minute ago, which was late."""
    store, now = Store(leased(queued(), "mine", TEN)), TEN + minutes(1)
    until: list[datetime | None] = []
    endpoint = Endpoint(lambda: until.append(store.execution.delivery.lease_until))
    deliverer(store, endpoint, now).deliver(store.execution.id, "mine", plenty)
    assert endpoint.taken == ["1"]
    assert until[0] is not None and until[0] - now >= seconds(60)


def test_what_was_handed_over_with_a_lease_is_read_again_when_it_is_old() -> None:
    """The invocation was made twice, and the other has delivered it."""
    known = leased(queued(), "mine", TEN)
    delivered = replace(known, delivery=replace(known.delivery.release(), settled=1), version=known.version + 1)
    endpoint = Endpoint()
    deliverer(Store(delivered), endpoint, TEN + seconds(30)).deliver(known.id, "mine", plenty, known)
    assert endpoint.taken == []


def test_an_invocation_that_has_lost_its_lease_leaves_the_others_alone() -> None:
    """The endpoint was so slow that the lease ran out, and another has taken it."""
    store = Store(leased(placed(queued(), TEN), "mine", TEN))
    later = TEN + LEASE + seconds(1)
    endpoint = Endpoint(lambda: setattr(store, "execution", store.save(leased(store.execution, "another", later))))
    deliverer(store, endpoint, TEN).deliver(store.execution.id, "mine", lambda: 20.0, store.execution)
    assert endpoint.taken == ["1"]
    assert (store.execution.delivery.lease_id, store.execution.delivery.lease_until) == ("another", later + LEASE)
    assert store.execution.delivery.settled == 0


def test_a_lease_is_given_back_with_the_last_event() -> None:
    """So that the next event waits for no lease to run out."""
    store = Store(leased(queued(), "mine", TEN))
    deliverer(store, Endpoint(), TEN).deliver(store.execution.id, "mine", plenty)
    assert (store.execution.delivery.settled, store.execution.delivery.lease_id) == (1, None)


def test_no_event_overtakes_one_that_was_not_taken() -> None:
    store, endpoint = Store(leased(placed(queued(), TEN), "mine", TEN)), Endpoint()
    refused: list[str] = []

    def refuse_the_first(url: str, body: bytes, webhook_id: str, secrets: Any, now: datetime) -> DeliveryAnswer:
        refused.append(webhook_id.rpartition("-")[2])
        return DeliveryAnswer(500)

    endpoint.post = refuse_the_first  # type: ignore[method-assign]
    deliverer(store, endpoint, TEN).deliver(store.execution.id, "mine", plenty)
    assert refused == ["1", "1"], "twice, five seconds apart; and then a schedule"
    assert store.execution.delivery.settled == 0


def test_events_that_are_replayed_go_before_those_that_were_never_sent() -> None:
    execution = placed(queued(), TEN)
    replayed = replace(execution.delivery, settled=1, undelivered=(1,)).replay()
    store, endpoint = Store(leased(replace(execution, delivery=replayed), "mine", TEN)), Endpoint()
    deliverer(store, endpoint, TEN).deliver(store.execution.id, "mine", plenty)
    assert endpoint.taken == ["1", "2"]
