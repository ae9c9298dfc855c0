"""Delivery progress as pure transitions: the contract's redelivery times, order, and giving up."""

from datetime import datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redial.domain.delivery import (
    FIRST_WAIT,
    GONE,
    LATER_WAITS,
    LEASE,
    MOST_TRIES,
    Delivery,
    DeliveryAttempt,
    pending_events,
)
from redial.wire.stored_execution import decode_delivery, encode_delivery
from tests.support.examples import examples
from tests.support.samples import TEN, minutes, seconds


def failure(sequence: int, tries: int, status: int | None = 500) -> DeliveryAttempt:
    return DeliveryAttempt(sequence, TEN, status, tries, None if status else "connection refused")


def test_the_redelivery_list_is_the_contracts() -> None:
    waits = []
    for tries in range(2, MOST_TRIES):
        failed = Delivery().failed(failure(1, tries), seconds(0), jitter=0.5)
        assert failed.next_try_at is not None
        waits.append(failed.next_try_at - TEN)
    assert waits == [minutes(1), minutes(5), minutes(30), minutes(120), minutes(300), minutes(600)]
    assert waits == list(LATER_WAITS)


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 48), (0.5, 60), (0.999_999, 72)])
def test_each_wait_is_spread_over_twenty_percent(jitter: float, expected: int) -> None:
    failed = Delivery().failed(failure(1, 2), seconds(0), jitter)
    assert failed.next_try_at is not None
    assert abs((failed.next_try_at - TEN).total_seconds() - expected) < 0.01


def test_retry_after_extends_a_wait_and_never_shortens_it() -> None:
    longer = Delivery().failed(failure(1, 2, 429), minutes(45), 0.5)
    assert longer.next_try_at == TEN + minutes(45)
    shorter = Delivery().failed(failure(1, 3, 429), seconds(1), 0.5)
    assert shorter.next_try_at == TEN + minutes(5)


def test_after_the_last_try_the_event_is_given_up_and_the_next_one_follows() -> None:
    given_up = Delivery(tries=MOST_TRIES - 1).failed(failure(1, MOST_TRIES), seconds(0), 0.5)
    assert given_up.undelivered == (1,)
    assert (given_up.settled, given_up.tries, given_up.next_try_at) == (1, 0, None)


def test_http_410_gives_an_event_up_at_once() -> None:
    given_up = Delivery().failed(failure(1, 1, 410), seconds(0), 0.5)
    assert given_up.undelivered == (1,)
    assert given_up.settled == 1


def test_replayed_events_go_first_and_the_rest_stays_in_order() -> None:
    replayed = Delivery(settled=5, undelivered=(2, 3)).replay()
    assert (replayed.replaying, replayed.undelivered, replayed.settled) == ((2, 3), (), 5)
    accepted = replayed.accepted(DeliveryAttempt(2, TEN, 200, 1))
    assert (accepted.replaying, accepted.settled) == ((3,), 5)
    failed = accepted.failed(failure(3, MOST_TRIES), seconds(0), 0.5)
    assert (failed.replaying, failed.undelivered) == ((), (3,))


def test_no_send_while_the_first_event_waits_or_another_worker_sends() -> None:
    assert not Delivery(next_try_at=TEN + minutes(1)).may_send("mine", TEN)
    assert Delivery(next_try_at=TEN).may_send("mine", TEN)
    busy = Delivery(lease_id="yours", lease_until=TEN + seconds(30))
    assert not busy.may_send("mine", TEN)
    assert busy.may_send("yours", TEN)
    assert busy.may_send("mine", TEN + seconds(30))


def test_the_log_holds_the_last_try_of_each_event() -> None:
    delivery = Delivery().failed(failure(1, 2), seconds(0), 0.5).accepted(DeliveryAttempt(1, TEN + minutes(1), 200, 3))
    assert delivery.log == (DeliveryAttempt(1, TEN + minutes(1), 200, 3),)


def test_recording_a_delivery_attempt_is_idempotent() -> None:
    """A repeated write, or a second invocation under the same lease, must not move `settled` back."""
    settled = Delivery(settled=5, undelivered=(1,)).replay().accepted(DeliveryAttempt(1, TEN, 200, 1))
    assert (settled.settled, settled.replaying) == (5, ())
    assert settled.accepted(DeliveryAttempt(1, TEN, 200, 1)) == settled
    assert settled.failed(failure(1, 1, 410), seconds(0), 0.5) == settled


def test_replayed_events_stay_listed_without_a_webhook() -> None:
    skipped = Delivery(settled=5, undelivered=(2, 3)).replay().skipped(6)
    assert (skipped.settled, skipped.replaying, skipped.undelivered) == (6, (), (2, 3))


# ---- any sequence of transitions ------------------------------------------------------------------------------------

CLOCK = st.integers(-3_600_000, 3 * 86_400_000).map(lambda milliseconds: TEN + seconds(milliseconds / 1000))


class AnyDelivery(RuleBasedStateMachine):
    """Events occur, are accepted, refused, given up, skipped and replayed in any order, compared with a plain list of
    their results."""

    @initialize()
    def begin(self) -> None:
        self.delivery = Delivery()
        self.events = 0
        self.became: dict[int, str] = {}
        self.last: dict[int, DeliveryAttempt] = {}

    @property
    def pending(self) -> tuple[int, ...]:
        return pending_events(self.delivery, self.events)

    @rule(count=st.integers(1, 3))
    def events_happen(self, count: int) -> None:
        for _ in range(count):
            self.events += 1
            self.became[self.events] = "new"

    @precondition(lambda self: self.pending)
    @rule(at=CLOCK)
    def take(self, at: datetime) -> None:
        tried = DeliveryAttempt(self.pending[0], at, 200, self.delivery.tries + 1)
        self.delivery = self.delivery.accepted(tried)
        self.became[tried.sequence], self.last[tried.sequence] = "accepted", tried
        assert (self.delivery.tries, self.delivery.next_try_at) == (0, None)

    @precondition(lambda self: self.pending)
    @rule(
        at=CLOCK,
        status=st.sampled_from([None, 500, 429, GONE]),
        tries=st.sampled_from([*range(1, MOST_TRIES), MOST_TRIES, MOST_TRIES, MOST_TRIES]),
        retry_after=st.just(0) | st.integers(0, 86_400),
        jitter=st.floats(0, 1, exclude_max=True),
    )
    def refuse(self, at: datetime, status: int | None, tries: int, retry_after: int, jitter: float) -> None:
        tried = DeliveryAttempt(self.pending[0], at, status, tries, None if status else "connection refused")
        self.delivery = self.delivery.failed(tried, seconds(retry_after), jitter)
        self.last[tried.sequence] = tried
        if status == GONE or tries >= MOST_TRIES:
            self.became[tried.sequence] = "given up"
            return
        assert self.pending[0] == tried.sequence, "it stays in front"
        assert self.delivery.tries == tries
        assert self.delivery.next_try_at is not None
        wait = self.delivery.next_try_at - at
        least, most = (FIRST_WAIT, FIRST_WAIT) if tries == 1 else (LATER_WAITS[tries - 2] * of for of in (0.8, 1.2))
        assert wait >= seconds(retry_after)
        assert least - seconds(0.001) <= wait
        assert wait <= max(most, seconds(retry_after))
        assert self.delivery.lease_id is None

    @precondition(lambda self: self.last)
    @rule(data=st.data(), accepted=st.booleans())
    def tell_again(self, data: st.DataObject, accepted: bool) -> None:
        """The result of a settled event is recorded again, because a write was sent twice."""
        settled = [one for one in self.last.values() if one.sequence not in self.pending]
        if not settled:
            return
        tried = data.draw(st.sampled_from(settled))
        told = self.delivery.accepted(tried) if accepted else self.delivery.failed(tried, seconds(0), 0.5)
        assert told == self.delivery

    @precondition(lambda self: self.events)
    @rule()
    def nowhere_to_send(self) -> None:
        passed_over = set(self.delivery.replaying)
        self.delivery = self.delivery.skipped(self.events)
        for sequence, was in self.became.items():
            if was == "new":
                self.became[sequence] = "passed over"
            elif sequence in passed_over:
                self.became[sequence] = "given up"
        assert not self.pending

    @rule()
    def replay(self) -> None:
        self.delivery = self.delivery.replay()
        assert (self.delivery.tries, self.delivery.next_try_at, self.delivery.is_listed) == (0, None, False)
        self.became = {one: "again" if was == "given up" else was for one, was in self.became.items()}

    @rule(at=CLOCK, lease_id=st.sampled_from(["mine", "yours"]))
    def lease(self, at: datetime, lease_id: str) -> None:
        before = self.delivery
        leased = before.leased(lease_id, at)
        taken = before.lease_id not in (None, lease_id) and before.lease_until is not None and before.lease_until > at
        waits = before.next_try_at is not None and before.next_try_at > at
        assert (leased is None) == (taken or waits)
        if leased is not None:
            assert (leased.lease_id, leased.lease_until) == (lease_id, at + LEASE)
            self.delivery = leased

    @rule()
    def release(self) -> None:
        self.delivery = self.delivery.release()

    @invariant()
    def settled_never_falls(self) -> None:
        assert self.delivery.settled >= getattr(self, "settled", 0)
        self.settled = self.delivery.settled

    @invariant()
    def every_event_is_in_one_place(self) -> None:
        given_up = {one for one, was in self.became.items() if was == "given up"}
        again = sorted(one for one, was in self.became.items() if was == "again")
        new = [one for one, was in self.became.items() if was == "new"]
        assert self.delivery.undelivered == tuple(sorted(given_up))
        assert self.pending == (*again, *new), "those to be sent again first, each in its order"

    @invariant()
    def it_is_listed_while_an_event_is_given_up_or_waits(self) -> None:
        waits = self.delivery.next_try_at is not None
        assert not waits or self.pending
        assert self.delivery.is_listed == (waits or "given up" in self.became.values())

    @invariant()
    def the_log_has_the_last_try_of_each(self) -> None:
        assert {one.sequence: one for one in self.delivery.log} == self.last
        assert len(self.delivery.log) == len(self.last)

    @invariant()
    def a_recheck_is_due_later(self) -> None:
        for now in (TEN, TEN + minutes(10_000)):
            due = self.delivery.due(TEN, now)
            assert due > now
            if self.delivery.next_try_at is not None:
                assert due > self.delivery.next_try_at

    @invariant()
    def it_is_stored_as_it_is(self) -> None:
        assert decode_delivery(encode_delivery(self.delivery, TEN), TEN) == self.delivery


AnyDelivery.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=50)
TestAnyDelivery = AnyDelivery.TestCase
