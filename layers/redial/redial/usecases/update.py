"""The one writer of executions and batches: read, transition, lease, due time, conditional save, then the effects.

    read ─► transition ─► lease ─► due_at ─► save over the version read ─► effects
     ▲                                         │ lost the race               timer set, line released, deliver invoked
     └─────────────────────────────────────────┘

The save contains the new status, its events and the time by which the item must have progressed. Only then the effects
follow: the timer is set, the line released, delivery started. If an effect is lost after the save, the sweeper finds
the item by `due_at` and repeats the effect. Every effect is idempotent.
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
"""Tries while other writers are faster, before `StaleVersion` is raised. An item has few writers, so more tries
indicate a defect."""

Subject = TypeVar("Subject", Execution, Batch, AccountEvent)
"""An item with a version, events and a delivery: an execution, a batch or an event of an account."""


class Store(Protocol[Subject]):
    """The store of one kind of subject."""

    def get(self, subject_id: str, /) -> Subject | None: ...

    def save(self, subject: Subject, /) -> Subject:
        """Store it over the version that was read. Raises `StaleVersion`."""


class Updated(NamedTuple):
    """An execution before and after an update: the same object if nothing changed and nothing was written."""

    before: Execution
    after: Execution


def save(store: Store[Subject], subject: Subject, now: datetime, lease_id: str | None = None) -> Subject:
    """Store it over the version that was read, with its due time. Every change of an execution or a batch ends here.

    `lease_id`: the delivery lease to take if events are pending and no other lease is valid. Returns it with its new
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
    """Apply a pure transition to the stored execution, then its effects. If another writer is faster, read and try
    again.

    `lease_id`: a new id for the delivery lease (None: one derived from the version). `snapshot`: the execution as the
    caller last read or wrote it, which saves the first read. Without it the first read is eventually consistent, since
    the save is conditional, and is repeated if the transition changes nothing. `withdraw`: if the call was waiting,
    remove its timer, queue entry or delayed entry.

    Returns None if there is no such execution. Raises whatever `transition` raises, and `StaleVersion` after
    `MOST_TRIES`.
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
    """`update` without its effects, for dial, which applies all effects since its claim and has events delivered
    itself."""
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
    """Apply the effects of a saved change: set its timer, release its line. Idempotent."""
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
        agent = services.agents.get(after.account_id, after.agent_id)  # its limit may have been raised since
        if agent is not None:
            release_line(services, agent, ended.line_shard, after.id, ended.number, now)


def remove_waiting(services: Services, execution: Execution) -> None:
    """Remove the delayed entry or timer and the queue entry of a waiting call. Idempotent."""
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
    """Apply a transition to the stored batch. Returns it before and after. Deliver is invoked for events that are
    added.

    Raises `NotFound`, whatever `transition` raises, and `StaleVersion` after `MOST_TRIES`.
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
    """Apply a transition to the stored agent. Returns it before and after. `snapshot`: the agent as just read.
    `deleted`: accept a deleted agent.

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
    """Set these fields of the stored agent, by which dial knows what applies to its account, and return it. Nothing is
    written if they are set already. A deleted agent is marked too: a dial that read it before its deletion may be under
    way. Raises `StaleVersion`."""

    def transition(current: Agent) -> Agent:
        changed = replace(current, **known)
        return current if changed == current else changed

    return update_agent(
        services, agent.agent_id, transition, account_id=agent.account_id, snapshot=agent, deleted=True
    )[1]


def _lease_of(subject: Execution | Batch) -> str:
    """An id for a delivery lease that no other save of this item uses."""
    return f"update-{subject.version}"
