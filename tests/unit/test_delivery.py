"""How far events have got, as pure transitions: the redelivery list of the contract, in order, given up at its end."""

import pytest

from redial.domain.delivery import LATER_WAITS, MOST_TRIES, Delivery, Tried
from tests.support.samples import TEN, minutes, seconds


def failure(sequence: int, tries: int, status: int | None = 500) -> Tried:
    return Tried(sequence, TEN, status, tries, None if status else "connection refused")


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


def test_retry_after_is_honoured_and_never_shortens_a_wait() -> None:
    longer = Delivery().failed(failure(1, 2, 429), minutes(45), 0.5)
    assert longer.next_try_at == TEN + minutes(45)
    shorter = Delivery().failed(failure(1, 3, 429), seconds(1), 0.5)
    assert shorter.next_try_at == TEN + minutes(5)


def test_after_the_last_try_the_event_is_given_up_and_the_next_one_is_in_front() -> None:
    given_up = Delivery(tries=MOST_TRIES - 1).failed(failure(1, MOST_TRIES), seconds(0), 0.5)
    assert given_up.undelivered == (1,)
    assert (given_up.settled, given_up.tries, given_up.next_try_at) == (1, 0, None)


def test_gone_ends_it_at_once() -> None:
    given_up = Delivery().failed(failure(1, 1, 410), seconds(0), 0.5)
    assert given_up.undelivered == (1,)
    assert given_up.settled == 1


def test_replay_puts_given_up_events_first_and_leaves_the_rest_in_order() -> None:
    replayed = Delivery(settled=5, undelivered=(2, 3)).replay()
    assert (replayed.replaying, replayed.undelivered, replayed.settled) == ((2, 3), (), 5)
    accepted = replayed.accepted(Tried(2, TEN, 200, 1))
    assert (accepted.replaying, accepted.settled) == ((3,), 5)
    failed = accepted.failed(failure(3, MOST_TRIES), seconds(0), 0.5)
    assert (failed.replaying, failed.undelivered) == ((), (3,))


def test_nobody_may_send_while_the_event_in_front_waits_or_another_sends() -> None:
    assert not Delivery(next_try_at=TEN + minutes(1)).may_send("mine", TEN)
    assert Delivery(next_try_at=TEN).may_send("mine", TEN)
    busy = Delivery(lease="yours", lease_until=TEN + seconds(30))
    assert not busy.may_send("mine", TEN)
    assert busy.may_send("yours", TEN)
    assert busy.may_send("mine", TEN + seconds(30))


def test_the_log_holds_the_last_try_of_each_event() -> None:
    delivery = Delivery().failed(failure(1, 2), seconds(0), 0.5).accepted(Tried(1, TEN + minutes(1), 200, 3))
    assert delivery.log == (Tried(1, TEN + minutes(1), 200, 3),)


def test_what_is_told_twice_changes_nothing_the_second_time() -> None:
    """A write that was sent again, or a second invocation under the same lease, must not move `settled` back."""
    settled = Delivery(settled=5, undelivered=(1,)).replay().accepted(Tried(1, TEN, 200, 1))
    assert (settled.settled, settled.replaying) == (5, ())
    assert settled.accepted(Tried(1, TEN, 200, 1)) == settled
    assert settled.failed(failure(1, 1, 410), seconds(0), 0.5) == settled


def test_events_to_be_replayed_stay_listed_when_there_is_nowhere_to_send_them() -> None:
    skipped = Delivery(settled=5, undelivered=(2, 3)).replay().skipped(6)
    assert (skipped.settled, skipped.replaying, skipped.undelivered) == (6, (), (2, 3))
