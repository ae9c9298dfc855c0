"""One invocation at a time delivers an execution's events: under a valid lease, and from a recent snapshot."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast
from unittest import mock

from redial.domain.delivery import FIRST_WAIT, LEASE
from redial.domain.execution import Execution
from redial.ports import DeliveryAnswer, StaleVersion
from redial.usecases.deliver_events import SECONDS_FOR_ONE_EVENT, Deliverer
from tests.support.samples import TEN, minutes, placed, queued, seconds
from tests.support.services import GivenServices


class Store:
    """One execution, with optimistic locking."""

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
    """Accepts and records everything; `meanwhile` is called before each answer."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.taken: list[str] = []
        self._meanwhile = meanwhile

    def post(
        self, url: str, body: bytes, webhook_id: str, secrets: Any, now: datetime, **limits: Any
    ) -> DeliveryAnswer:
        self.taken.append(webhook_id.rpartition("-")[2])
        self._meanwhile()
        return DeliveryAnswer(200)


def deliverer(store: Store, endpoint: Endpoint, now: datetime) -> Deliverer[Execution]:
    services = GivenServices(now, accounts=mock.Mock(), webhooks=endpoint, timers=mock.Mock(), invoker=mock.Mock())
    return Deliverer(
        services,
        store,
        endpoint=lambda execution: "https://example.com/hook",
        complete=lambda execution: execution,
        render=lambda execution, sequence: {"sequence": sequence},
    )


def leased(execution: Execution, lease: str, at: datetime) -> Execution:
    made = execution.lease_delivery(lease, at)
    assert made.delivery.lease_id == lease
    return made


def plenty() -> float:
    return 60.0


def test_a_lease_lasts_as_long_as_the_invocation_that_sends_under_it_may_run() -> None:
    """The lease was acquired for this invocation, which starts a minute late."""
    store, now = Store(leased(queued(), "mine", TEN)), TEN + minutes(1)
    until: list[datetime | None] = []
    endpoint = Endpoint(lambda: until.append(store.execution.delivery.lease_until))
    deliverer(store, endpoint, now).deliver(store.execution.id, "mine", plenty)
    assert endpoint.taken == ["1"]
    assert until[0] is not None and until[0] - now >= seconds(60)


def test_an_old_snapshot_is_read_again() -> None:
    """The invocation ran twice, and the other run has delivered the event."""
    known = leased(queued(), "mine", TEN)
    delivered = replace(known, delivery=replace(known.delivery.release(), settled=1), version=known.version + 1)
    endpoint = Endpoint()
    deliverer(Store(delivered), endpoint, TEN + seconds(30)).deliver(known.id, "mine", plenty, known)
    assert endpoint.taken == []


def test_an_invocation_that_has_lost_its_lease_does_not_write() -> None:
    """The endpoint was so slow that the lease expired, and another invocation has acquired it."""
    store = Store(leased(placed(queued(), TEN), "mine", TEN))
    later = TEN + LEASE + seconds(1)
    endpoint = Endpoint(lambda: setattr(store, "execution", store.save(leased(store.execution, "another", later))))
    deliverer(store, endpoint, TEN).deliver(
        store.execution.id, "mine", lambda: SECONDS_FOR_ONE_EVENT - 1, store.execution
    )
    assert endpoint.taken == ["1"]
    assert (store.execution.delivery.lease_id, store.execution.delivery.lease_until) == ("another", later + LEASE)
    assert store.execution.delivery.settled == 0


def test_a_lease_is_released_with_the_last_event() -> None:
    """The next event need not wait for the lease to expire."""
    store = Store(leased(queued(), "mine", TEN))
    deliverer(store, Endpoint(), TEN).deliver(store.execution.id, "mine", plenty)
    assert (store.execution.delivery.settled, store.execution.delivery.lease_id) == (1, None)


def test_no_event_overtakes_one_that_was_not_accepted() -> None:
    store, endpoint = Store(leased(placed(queued(), TEN), "mine", TEN)), Endpoint()
    refused: list[str] = []

    def refuse_the_first(
        url: str, body: bytes, webhook_id: str, secrets: Any, now: datetime, **limits: Any
    ) -> DeliveryAnswer:
        refused.append(webhook_id.rpartition("-")[2])
        return DeliveryAnswer(500)

    endpoint.post = refuse_the_first  # type: ignore[method-assign]
    sender = deliverer(store, endpoint, TEN)
    sender.deliver(store.execution.id, "mine", plenty)
    assert refused == ["1"]
    assert (store.execution.delivery.settled, store.execution.delivery.next_try_at) == (0, TEN + FIRST_WAIT)
    (again,) = cast(mock.Mock, sender.services.invoker).deliver.mock_calls
    assert again.args == (store.execution.id, None)
    assert timedelta(0) < again.kwargs["after"] - (TEN + FIRST_WAIT) <= seconds(2), "clocks differ"


def test_replayed_events_go_before_events_never_sent() -> None:
    execution = placed(queued(), TEN)
    replayed = replace(execution.delivery, settled=1, undelivered=(1,)).replay()
    store, endpoint = Store(leased(replace(execution, delivery=replayed), "mine", TEN)), Endpoint()
    deliverer(store, endpoint, TEN).deliver(store.execution.id, "mine", plenty)
    assert endpoint.taken == ["1", "2"]
