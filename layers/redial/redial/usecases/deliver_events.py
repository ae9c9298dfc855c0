"""Webhook delivery: sends an execution's events to its agent's webhook, a batch's to its own, and an account's to the
account's. Events are sent in order, each until it is accepted or given up.

One invocation at a time holds the delivery lease and sends the pending events. It also sends events added meanwhile,
since its own save then fails and it reads again. After a crash, events that were sent but not recorded are sent once
more, with the same `webhook-id`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Generic

from redial.domain.account_event import AccountEvent
from redial.domain.batch import Batch
from redial.domain.delivery import GONE, LEASE, Delivery, DeliveryAttempt
from redial.domain.execution import Execution
from redial.domain.values import dataclass
from redial.ports import DeliveryAnswer, Services, StaleVersion
from redial.usecases.update import MOST_TRIES, Store, Subject, save

SNAPSHOT_FOR = timedelta(seconds=10)
"""How long the snapshot in a message is used; an older one is read again."""
SECONDS_FOR_ONE_EVENT = 12.0
"""The time for one event: a try of 10 s, and the write. With less time left, no further event is begun."""
LONGEST_DELAY = timedelta(minutes=15)
"""The longest wait by a message with a delay, which is exact to the second. A longer wait takes a timer."""
_CLOCKS_DIFFER = timedelta(seconds=2)
"""Added to the delay of a message: the clock of the function that receives it may be behind."""
_LEASE_NEEDED = timedelta(seconds=65)
"""A lease that another function took for this invocation is renewed if less than this is left: the invocation may run
for 60 s."""
LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A longer `Retry-After` is cut to this."""


@dataclass(frozen=True)
class DeliveryReport:
    """What one invocation did: events accepted and given up, whether one waits for its next try (`failed`), and the
    duration of each request in seconds."""

    accepted: int = 0
    given_up: int = 0
    failed: bool = False
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Deliverer(Generic[Subject]):
    """Delivers the events of one kind of subject. `endpoint` returns the webhook URL (None: there is none). `complete`
    returns the subject with everything that `render` needs (None: it was removed meanwhile). `render` returns the body
    of an event: the subject in its state at that sequence. `read_answer` acts on the body of a 2xx answer, before the
    event counts as accepted."""

    services: Services
    store: Store[Subject]
    endpoint: Callable[[Subject], str | None]
    complete: Callable[[Subject], Subject | None]
    render: Callable[[Subject, int], Mapping[str, object]]
    read_answer: Callable[[Subject, bytes], None] = lambda subject, body: None

    def deliver(
        self, subject_id: str, lease_id: str, seconds_left: Callable[[], float], snapshot: Subject | None = None
    ) -> DeliveryReport:
        """Send the pending events, if no other lease is valid and the first event is due.

        `lease_id`: this invocation's lease, or the one that it was invoked with. `seconds_left`: how long the
        invocation may still run. `snapshot`: the subject as it was stored with this lease, which saves a read.
        """
        done: DeliveryReport = DeliveryReport()
        is_fresh = snapshot is not None and self._is_fresh(snapshot, lease_id)
        subject = snapshot if is_fresh else self._lease(subject_id, lease_id)
        while subject is not None and subject.pending():
            url = self.endpoint(subject)
            account = self.services.accounts.cached(subject.account_id)
            if url is None or account is None:
                subject = self._save(subject, lease_id, partial(Delivery.skipped, sequence=subject.last_sequence))
                continue
            complete = self.complete(subject)
            if complete is None:
                return done
            subject = complete
            seconds: list[float] = []
            tried, answers = self._send(subject, url, account.webhook_secrets, seconds_left, seconds)
            done = replace(done, seconds=(*done.seconds, *seconds))
            given_up = self._given_up(subject, tried, answers)
            jitter = self.services.random()
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
                self.services.invoker.deliver(saved.id, None)
                return done
        return done

    def _is_fresh(self, snapshot: Subject, lease_id: str) -> bool:
        until = snapshot.delivery.lease_until
        return (
            snapshot.delivery.lease_id == lease_id
            and until is not None
            and until - self.services.now() >= LEASE - SNAPSHOT_FOR
        )

    def _lease(self, subject_id: str, lease_id: str) -> Subject | None:
        """The subject with this lease; None if there is nothing to send, or another lease is valid."""
        for _ in range(MOST_TRIES):
            subject = self.store.get(subject_id)
            if subject is None:
                return None
            now = self.services.now()
            leased = subject.lease_delivery(lease_id, now)
            if leased is subject:
                return None
            until = subject.delivery.lease_until
            if subject.delivery.lease_id == lease_id and until is not None and until - now >= _LEASE_NEEDED:
                return subject
            try:
                return save(self.store, leased, now)
            except StaleVersion:
                continue
        raise StaleVersion(subject_id)

    def _send(
        self,
        subject: Subject,
        url: str,
        secrets: tuple[str, ...],
        seconds_left: Callable[[], float],
        seconds: list[float],
    ) -> tuple[list[DeliveryAttempt], list[DeliveryAnswer]]:
        """Send pending events one after the other until one is not accepted. A 410 does not block the next event.

        Appends each request's duration to `seconds`.
        """

        def post(body: bytes, webhook_id: str) -> DeliveryAnswer:
            began = self.services.now()
            answer = self.services.webhooks.post(url, body, webhook_id, secrets, began)
            seconds.append((self.services.now() - began).total_seconds())
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
            if answer.accepted:
                self.read_answer(subject, answer.body)
            tried.append(DeliveryAttempt(sequence, self.services.now(), answer.status, tries, answer.error))
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
        """Save `update`, again whenever another write was faster. None if the lease was lost to another invocation.

        The lease is released in the same save if nothing is left to send.
        """
        current = subject
        for _ in range(MOST_TRIES):
            now = self.services.now()
            updated = replace(current, delivery=update(current.delivery))
            if not updated.pending():
                updated = replace(updated, delivery=updated.delivery.release())
            try:
                return save(self.store, updated, now)
            except StaleVersion:
                read = self.store.get(subject.id)
                if read is None or read.delivery.lease_id != lease_id:
                    return None
                current = read
        raise StaleVersion(subject.id)

    def _set_timer(self, subject: Subject) -> None:
        at, now = subject.delivery.next_try_at, self.services.now()
        assert at is not None
        if at - now <= LONGEST_DELAY - _CLOCKS_DIFFER:
            self.services.invoker.deliver(subject.id, None, after=at + _CLOCKS_DIFFER)
        else:
            self.services.timers.schedule_delivery(subject.id, _timer_id(subject), at, now)


def _apply(delivery: Delivery, tried: list[DeliveryAttempt], answers: list[DeliveryAnswer], jitter: float) -> Delivery:
    for one, answer in zip(tried, answers, strict=True):
        if answer.accepted:
            delivery = delivery.accepted(one)
        else:
            retry_after = timedelta(seconds=answer.retry_after_seconds or 0)
            delivery = delivery.failed(one, min(retry_after, LONGEST_RETRY_AFTER), jitter)
    return delivery


def _timer_id(subject: Execution | Batch | AccountEvent) -> int:
    """An id that no other deliver timer of this subject has."""
    return subject.version
