"""Telling the customer: an execution's events to its agent's webhook, a batch's to its own, in order, each until
accepted or given up.

One invocation at a time holds the delivery lease and sends what is pending; whatever is added meanwhile it
sends too, since its own write then fails and it reads again. Events sent but not yet written down are sent once more
after a crash, with the same `webhook-id`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

from redial.domain.batch import Batch
from redial.domain.delivery import FIRST_WAIT, GONE, LEASE, Delivery, DeliveryAttempt
from redial.domain.execution import Execution
from redial.ports import (
    Accounts,
    DeliveryAnswer,
    StaleVersion,
    Timers,
    Webhooks,
)

Subject = TypeVar("Subject", Execution, Batch)
"""Whose events are delivered."""

KNOWN_FOR = timedelta(seconds=10)
"""How long what was stored with a lease is known to be still so: later, or the second time, it is read."""
SECONDS_FOR_ONE_EVENT = 27.0
"""Two tries of 10 s with 5 s between them, and the write: with less time left no event is begun."""
_LEASE_NEEDED = timedelta(seconds=65)
"""A lease that another function took for this invocation must last while this one may run (60 s), or is renewed."""
LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A longer `Retry-After` is cut to this."""


@dataclass(frozen=True)
class DeliveryReport:
    """What one invocation did: events accepted, events given up, whether one waits for its next try (`failed`), and
    how long the webhook took to answer, in seconds, each time."""

    accepted: int = 0
    given_up: int = 0
    failed: bool = False
    seconds: tuple[float, ...] = ()


class Store(Protocol[Subject]):
    """Where those stand whose events are delivered."""

    def get(self, subject_id: str, /) -> Subject | None: ...

    def save(self, subject: Subject, /) -> Subject:
        """Store it over the version that was read. Raises `StaleVersion`."""


@dataclass(frozen=True)
class Deliverer(Generic[Subject]):
    """What delivering needs. `endpoint` says where the events of one go (None: nowhere); `render` gives the body of an
    event: the execution, or the batch, as it was at that sequence."""

    store: Store[Subject]
    endpoint: Callable[[Subject], str | None]
    accounts: Accounts
    webhooks: Webhooks
    timers: Timers
    render: Callable[[Subject, int], Mapping[str, object]]
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    random: Callable[[], float]

    def deliver(
        self, subject_id: str, lease_id: str, seconds_left: Callable[[], float], known: Subject | None = None
    ) -> DeliveryReport:
        """Send what is pending, if nobody else is sending and the event in front is due.

        `lease_id` is this invocation's name, or the one under which it was invoked; `seconds_left` says how long the
        invocation may still run; `known` is it as it was stored with this lease, and it need not be read if that was
        just now.
        """
        done: DeliveryReport = DeliveryReport()
        subject = known if known is not None and self._is_fresh(known, lease_id) else self._lease(subject_id, lease_id)
        while subject is not None and subject.pending():
            url = self.endpoint(subject)
            account = self.accounts.cached(subject.account_id)
            if url is None or account is None:
                subject = self._save(subject, lease_id, partial(Delivery.skipped, sequence=subject.last_sequence))
                continue
            seconds: list[float] = []
            tried, answers = self._send(subject, url, account.webhook_secrets, seconds_left, seconds)
            done = replace(done, seconds=(*done.seconds, *seconds))
            given_up = self._given_up(subject, tried, answers)
            jitter = self.random()
            saved = self._save(subject, lease_id, partial(_apply, tried=tried, answers=answers, jitter=jitter))
            if saved is None:
                return done
            done = replace(
                done,
                accepted=done.accepted + sum(answer.accepted for answer in answers),
                given_up=done.given_up + len(given_up),
            )
            subject = saved
            if saved.delivery.next_try_at is not None:
                self._set_timer(saved)
                return replace(done, failed=True)
            if subject.pending() and seconds_left() < SECONDS_FOR_ONE_EVENT:
                self._save(subject, lease_id, Delivery.release)
                self.timers.schedule_delivery(saved.id, _timer_number(saved), self.now(), self.now())
                return done
        return done

    def _is_fresh(self, known: Subject, lease_id: str) -> bool:
        until = known.delivery.lease_until
        return known.delivery.lease_id == lease_id and until is not None and until - self.now() >= LEASE - KNOWN_FOR

    def _lease(self, subject_id: str, lease_id: str) -> Subject | None:
        """It with this lease on it; None when there is nothing to do here."""
        while True:
            subject = self.store.get(subject_id)
            if subject is None:
                return None
            now = self.now()
            leased = subject.lease_delivery(lease_id, now)
            if leased is subject:
                return None
            until = subject.delivery.lease_until
            if subject.delivery.lease_id == lease_id and until is not None and until - now >= _LEASE_NEEDED:
                return subject
            try:
                return self.store.save(leased.with_due(now))
            except StaleVersion:
                continue

    def _send(
        self,
        subject: Subject,
        url: str,
        secrets: tuple[str, ...],
        seconds_left: Callable[[], float],
        seconds: list[float],
    ) -> tuple[list[DeliveryAttempt], list[DeliveryAnswer]]:
        """Send pending events one after the other until one is not accepted (410 does not hold up the next one).

        `seconds` is told how long each try took.
        """

        def post(body: bytes, webhook_id: str) -> DeliveryAnswer:
            began = self.now()
            answer = self.webhooks.post(url, body, webhook_id, secrets, began)
            seconds.append((self.now() - began).total_seconds())
            return answer

        tried: list[DeliveryAttempt] = []
        answers: list[DeliveryAnswer] = []
        tries = subject.delivery.tries
        for sequence in subject.pending():
            if tried and seconds_left() < SECONDS_FOR_ONE_EVENT:
                break
            body = json.dumps(self.render(subject, sequence), ensure_ascii=False, separators=(",", ":")).encode()
            webhook_id = f"{subject.id}-{sequence}"
            tries += 1
            answer = post(body, webhook_id)
            if tries == 1 and _worth_a_second_try(answer):
                self.sleep(FIRST_WAIT.total_seconds())
                tries += 1
                answer = post(body, webhook_id)
            tried.append(DeliveryAttempt(sequence, self.now(), answer.status, tries, answer.error))
            answers.append(answer)
            if not answer.accepted and answer.status != GONE:
                break
            tries = 0
        return tried, answers

    @staticmethod
    def _given_up(subject: Subject, tried: list[DeliveryAttempt], answers: list[DeliveryAnswer]) -> list[int]:
        after = _apply(subject.delivery, tried, answers, 0.0)
        return [sequence for sequence in after.undelivered if sequence not in subject.delivery.undelivered]

    def _save(self, subject: Subject, lease_id: str, update: Callable[[Delivery], Delivery]) -> Subject | None:
        """Write `update` down, over whatever else changed meanwhile; None when the lease was lost to another.

        The lease is released in the same write when nothing is left to send.
        """
        current = subject
        while True:
            now = self.now()
            updated = replace(current, delivery=update(current.delivery))
            if not updated.pending():
                updated = replace(updated, delivery=updated.delivery.release())
            try:
                return self.store.save(updated.with_due(now))
            except StaleVersion:
                read = self.store.get(subject.id)
                if read is None or read.delivery.lease_id != lease_id:
                    return None
                current = read

    def _set_timer(self, subject: Subject) -> None:
        at = subject.delivery.next_try_at
        assert at is not None
        self.timers.schedule_delivery(subject.id, _timer_number(subject), at, self.now())


def _apply(delivery: Delivery, tried: list[DeliveryAttempt], answers: list[DeliveryAnswer], jitter: float) -> Delivery:
    for one, answer in zip(tried, answers, strict=True):
        if answer.accepted:
            delivery = delivery.accepted(one)
        else:
            retry_after = timedelta(seconds=answer.retry_after_seconds or 0)
            delivery = delivery.failed(one, min(retry_after, LONGEST_RETRY_AFTER), jitter)
    return delivery


def _worth_a_second_try(answer: DeliveryAnswer) -> bool:
    """Whether to try again after 5 s in this invocation: not when it was taken, refused for good, or wants longer."""
    if answer.accepted or answer.status == GONE:
        return False
    return (answer.retry_after_seconds or 0) <= FIRST_WAIT.total_seconds()


def _timer_number(subject: Execution | Batch) -> int:
    """A number that no other deliver timer of this subject has."""
    return subject.version
