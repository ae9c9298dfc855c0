"""The one writer of executions and batches: read, transition, lease, due time, conditional save, then the effects.

    read ─► transition ─► lease ─► due_at ─► save over the version read ─► effects
     ▲                                         │ lost the race               timer set, line released, deliver invoked
     └─────────────────────────────────────────┘

The save holds the new status, its events and the time by which the next thing must have happened. Only then the effects
follow: the schedule is made, the line released, delivery started. Whatever is lost after the save the sweeper finds by
`due_at` and does again; every effect is idempotent.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from redial.domain.account_event import AccountEvent
from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.errors import NotFound
from redial.domain.execution import Execution
from redial.ports import Batches, Executions, Services, StaleVersion
from redial.usecases import key_lines
from redial.usecases.dispatch import delayed_call, release_line

MOST_TRIES = 20
"""Lost races in a row before `StaleVersion` is raised. Writers of one item are few, so more losses are a defect."""

Subject = TypeVar("Subject", Execution, Batch, AccountEvent)
"""What has a version, events and a delivery: an execution, a batch or an event of an account."""


class Store(Protocol[Subject]):
    """Where executions, or batches, are stored."""

    def get(self, subject_id: str, /) -> Subject | None: ...

    def save(self, subject: Subject, /) -> Subject:
        """Store it over the version that was read. Raises `StaleVersion`."""


class Updated(NamedTuple):
    """An execution before and after an update: the same object where nothing changed and nothing was written."""

    before: Execution
    after: Execution


def save(store: Store[Subject], subject: Subject, now: datetime, lease_id: str | None = None) -> Subject:
    """Store it over the version that was read, with its due time. Every change of an execution or a batch ends here.

    `lease_id`: the delivery lease to take, where events are pending and no other lease is live. Returns it with its new
    version. Raises `StaleVersion`.
    """
    if lease_id is not None:
        subject = subject.lease_delivery(lease_id, now)
    return store.save(subject.with_due(now))


def update(
    services: Services,
    execution_id: str,
    transition: Callable[[Execution], Execution],
    now: datetime,
    *,
    lease_id: str | None = None,
    snapshot: Execution | None = None,
    withdraw: bool = False,
) -> Updated | None:
    """Apply a pure transition to the stored execution, again from a fresh read after each lost race; then its effects.

    `lease_id`: a fresh name for the delivery lease (None: one that follows from the version). `snapshot`: the execution
    as this caller last read or wrote it, which saves the first read; without it the first read may be a moment old,
    since the save is conditional, and is repeated where the transition changes nothing. `withdraw`: the call did not
    come to be dialled, so what it waited with (schedule, queue entry, delayed entry) is removed.

    None: there is no such execution. Raises whatever `transition` raises, and `StaleVersion` after `MOST_TRIES`.
    """
    updated = write(services, execution_id, transition, now, lease_id=lease_id, snapshot=snapshot)
    if updated is not None and updated.after is not updated.before:
        if withdraw and updated.before.state.is_waiting:
            remove_waiting(services, updated.before)
        apply_effects(services, updated.before, updated.after, now)
        lease = lease_id or _lease_of(updated.before)
        if updated.after.delivery.lease_id == lease:
            services.invoker.deliver(execution_id, lease, updated.after)
    return updated


def write(
    services: Services,
    execution_id: str,
    transition: Callable[[Execution], Execution],
    now: datetime,
    *,
    lease_id: str | None = None,
    snapshot: Execution | None = None,
) -> Updated | None:
    """`update` without its effects, for dial, which applies those since its claim and delivers by itself."""
    store: Executions = services.executions
    consistent = snapshot is not None
    for _ in range(MOST_TRIES):
        before = snapshot or store.get(execution_id, consistent=consistent)
        after = None if before is None else transition(before)
        if not consistent and after is before:
            consistent = True
            continue
        if before is None or after is None:
            return None
        snapshot, consistent = None, True
        if after is before:
            return Updated(before, before)
        try:
            return Updated(before, save(store, after, now, lease_id or _lease_of(before)))
        except StaleVersion:
            continue
    raise StaleVersion(execution_id)


def apply_effects(services: Services, before: Execution, after: Execution, now: datetime) -> None:
    """What follows from a saved change: its timer is set, and its line released. Idempotent."""
    if after.state.timer is not None and after.state.timer != before.state.timer and not after.state.is_delayed:
        timer_id, at = after.state.timer
        services.timers.schedule_dial(after.id, after.state.attempt.number, timer_id, at, now)
    ended, current = before.state.attempt, after.state.attempt
    needs_line = after.state.still_needs_line(ended.number)
    if before.state.needs_key_line(ended.number, now) and not needs_line:
        key_lines.release(services, after, ended.number, now)
    keeps_line = needs_line and current.line_shard is not None
    if ended.line_shard is None or keeps_line:
        return
    agent = services.agents.cached(after.account_id, after.agent_id)
    if agent is not None and not release_line(services, agent, ended.line_shard, after.id, ended.number, now):
        agent = services.agents.get(after.account_id, after.agent_id)  # it may have been given more lines since
        if agent is not None:
            release_line(services, agent, ended.line_shard, after.id, ended.number, now)


def remove_waiting(services: Services, execution: Execution) -> None:
    """Remove what a call waits with: its delayed entry, its schedule, its queue entry. Idempotent."""
    state = execution.state
    if state.is_delayed and execution.batch_id is not None and state.next_time is not None:
        services.delayed.remove(execution.batch_id, delayed_call(execution))
    elif state.timer is not None:
        services.timers.cancel_dial(execution.id, state.timer[0])
    if state.queued_at is not None and not execution.is_not_started and not state.is_delayed:
        key_lines.dequeue(services, execution)  # dial returns a line given meanwhile


def update_batch(
    services: Services,
    batch_id: str,
    transition: Callable[[Batch], Batch],
    now: datetime,
) -> tuple[Batch, Batch]:
    """The same for a batch: before and after. Deliver is invoked for the events that the transition adds.

    Raises `NotFound` where there is no such batch, whatever `transition` raises, and `StaleVersion`.
    """
    store: Batches = services.batches
    for _ in range(MOST_TRIES):
        before = store.get(batch_id)
        if before is None:
            raise NotFound(f"there is no batch {batch_id}")
        after = transition(before)
        if after is before:
            return before, before
        lease_id = _lease_of(before)
        try:
            saved = save(store, after, now, lease_id if after.pending() != before.pending() else None)
        except StaleVersion:
            continue
        if saved.delivery.lease_id == lease_id:
            services.invoker.deliver(batch_id, lease_id)
        return before, saved
    raise StaleVersion(batch_id)


def update_agent(
    services: Services,
    agent_id: str,
    transition: Callable[[Agent], Agent],
    *,
    account_id: str,
    snapshot: Agent | None = None,
    deleted: bool = False,
) -> tuple[Agent, Agent]:
    """The same for an agent, which has neither events nor a due time: before and after. `snapshot`: as just read;
    `deleted`: a deleted one as well.

    Raises `NotFound`, whatever `transition` raises, and `StaleVersion`.
    """
    for _ in range(MOST_TRIES):
        before = snapshot or services.agents.get(account_id, agent_id)
        snapshot = None
        if before is None or (before.deleted_at is not None and not deleted):
            raise NotFound(f"there is no agent {agent_id}")
        after = transition(before)
        if after is before:
            return before, before
        try:
            return before, services.agents.save(after)
        except StaleVersion:
            continue
    raise StaleVersion(agent_id)


def mark_agent(services: Services, agent: Agent, **known: Any) -> Agent:
    """The agent, as stored, with these fields, which say what dial needs to know of its account. Written only where it
    has others. A deleted one is marked as well: a dial that read it before may be under way. Raises `StaleVersion`."""

    def transition(current: Agent) -> Agent:
        changed = replace(current, **known)
        return current if changed == current else changed

    return update_agent(
        services, agent.agent_id, transition, account_id=agent.account_id, snapshot=agent, deleted=True
    )[1]


def _lease_of(subject: Execution | Batch) -> str:
    """A name for a delivery lease that no other save of this item uses."""
    return f"update-{subject.version}"
