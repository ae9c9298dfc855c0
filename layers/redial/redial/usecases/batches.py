"""Requests about batches: create, schedule, pause, resume, stop, delete, read.

Each takes effect by one conditional write to the batch. Long work (reading a file, stopping a million contacts) is done
by `run_batch`, which is invoked asynchronously. The sweeper repeats a lost invocation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from redial.domain.agent import DEFAULT_PROVIDER, Agent
from redial.domain.batch import Batch, contact_id
from redial.domain.calling_window import CallingRule
from redial.domain.errors import Conflict, InvalidInput, NotFound, TooLarge
from redial.domain.execution import Execution
from redial.domain.policy import Policy
from redial.domain.retry import TIME, RetryConfig
from redial.domain.row_check import TIME_ZONE_COLUMN, RowCheck
from redial.ports import IdempotentRequest, Position, RejectedRow, Row, Services, StaleVersion
from redial.usecases.count_batches import counts_of
from redial.usecases.create_call import GRACE
from redial.usecases.defaults import check_can_call, complete
from redial.usecases.dispatch import dispatch_all
from redial.usecases.idempotency import id_for
from redial.usecases.policies import Applied, named_policy, policy_for, policy_of_batch
from redial.usecases.quotas import CallQuota, taken
from redial.usecases.stop import line_holders, mark_stopped, stop_calls, stop_waiting
from redial.usecases.update import save, update_batch

EARLIEST_START = timedelta(minutes=2)
LATEST_START = timedelta(days=30)
"""How far ahead a batch may be scheduled."""
CONTACTS_AT_ONCE = 100
"""Number of contacts read in one request to the store."""
MAX_FILE_BYTES = 200 * 1024 * 1024
"""Maximum size of a batch's file."""
MOST_ROWS_CHECKED = 50_000
"""Rows that a scheduling checks again if the calling rule has changed: a request has 29 seconds."""
NOT_RUNNING = "Batch is not queued or running"
"""The message that the wire contract prescribes."""


def upload_key(account_id: str, upload_id: str) -> str:
    """The key of a customer's upload in the file store."""
    return f"uploads/{account_id}/{upload_id}.csv"


def contacts_key(account_id: str, batch_id: str, name: str) -> str:
    """The key of a batch's file in the file store; `name` is contacts, rejected or results."""
    return f"batches/{account_id}/{batch_id}/{name}.csv"


def index_key(account_id: str, batch_id: str) -> str:
    """The key of a batch's contact index in the file store."""
    return f"batches/{account_id}/{batch_id}/numbers.index"


@dataclass(frozen=True)
class NewBatch:
    """`POST /batches`, parsed. `from_phone_numbers` are E.164.

    `content`: the file (None: it is stored at `upload_key`). `policy`, `expires_at`, `expires_after_minutes`: see
    `NewCall`.
    """

    agent_id: str
    file_name: str
    content: bytes | None
    upload_key: str | None
    from_phone_numbers: tuple[str, ...]
    retry_config: RetryConfig | None
    webhook_url: str | None
    calls_per_second: float | None
    first_dials_first: bool
    bypass_call_guardrails: bool
    start: bool
    calling_rule: CallingRule | None = None
    purpose: str | None = None
    policy: str | None = None
    expires_at: datetime | None = None
    expires_after_minutes: int | None = None


def create_batch(
    services: Services,
    new: NewBatch,
    *,
    account_id: str,
    idempotency_key: str | None,
    body_hash: str,
    now: datetime,
    key_pool: str | None = None,
) -> tuple[Batch, bool]:
    """Create the batch, once per Idempotency-Key. Returns it, and whether an earlier request had created it.
    `key_pool`: of the API key.

    Raises `NotFound` (agent, upload), `InvalidInput`, `TooLarge`, `Conflict` (key reused).
    """
    request = IdempotentRequest(services.new_id().replace("-", ""), body_hash)
    named = None if new.policy is None else named_policy(services, new.policy, "policy", account_id=account_id)
    account = services.accounts.get(account_id)
    premium_numbers = account is not None and account.premium_numbers
    batch_id = id_for(
        services,
        account_id,
        idempotency_key,
        request,
        lambda: _check(services, new, named, account_id, premium_numbers, now),
        now,
        kind="batch",
    )
    if batch_id != request.execution_id:
        existing = services.batches.get(batch_id)
        if existing is not None:
            return existing, True
    services.number_rules.make_key(account_id)  # the batch function reads the key, and may not create it
    key = contacts_key(account_id, batch_id, "contacts")
    if new.content is not None:
        services.files.put(key, new.content)
    elif new.upload_key is not None:
        services.files.copy(new.upload_key, key)
    agent = services.agents.cached(account_id, new.agent_id)  # the check has just read it
    applied = policy_for(services, named, agent)
    batch = Batch(
        id=batch_id,
        account_id=account_id,
        agent_id=new.agent_id,
        created_at=now,
        file_name=new.file_name,
        provider=DEFAULT_PROVIDER if agent is None else complete(services, agent).carrier,
        webhook_statuses=None if agent is None else agent.webhook_statuses,
        from_phone_numbers=new.from_phone_numbers,
        retry_config=applied.retry_config(new.retry_config),
        webhook_url=new.webhook_url,
        calls_per_second=new.calls_per_second,
        first_dials_first=new.first_dials_first,
        bypass_call_guardrails=new.bypass_call_guardrails,
        premium_numbers=premium_numbers,
        calling_rule=None if new.calling_rule is None else str(new.calling_rule),
        row_check=str(_row_check(new, applied, now)),
        purpose=new.purpose,
        policy=applied.label,
        policy_is_default=applied.is_default,
        key_pool=key_pool,
        last_start=new.expires_at,
        expires_after_minutes=None if new.expires_at else applied.expires_after_minutes(new.expires_after_minutes),
    ).begin(now, new.start)
    batch = batch.lease_delivery(batch_id[:8], now)
    if not services.batches.create(batch.with_due(now)):
        stored = services.batches.get(batch_id)
        if stored is None:
            raise Conflict("the batch was deleted while it was being made; send it again with a new Idempotency-Key")
        return stored, True
    services.invoker.batch(batch_id)
    if batch.webhook_url is not None:
        services.invoker.deliver(batch_id, batch.delivery.lease_id)
    return batch, False


def _row_check(new: NewBatch, applied: Applied, now: datetime) -> RowCheck:
    rule = None if new.bypass_call_guardrails else applied.calling_rule(new.calling_rule)
    return RowCheck(rule, None if applied.agent is None else applied.agent.time_zone, now)


def _check(
    services: Services, new: NewBatch, named: Policy | None, account_id: str, premium_numbers: bool, now: datetime
) -> None:
    """Check the request before anything is stored. Raises the errors of `create_batch`."""
    agent = services.agents.get(account_id, new.agent_id)
    if agent is None or agent.deleted_at is not None:
        raise NotFound(f"agent_id: there is no agent {new.agent_id}; GET /v2/agent/all lists yours")
    check_can_call(services, agent, "from_phone_numbers", has_numbers=bool(new.from_phone_numbers))
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidInput.of("expires_at", "must be in the future")
    row_check = _row_check(new, policy_for(services, named, agent), now)
    if new.content is not None:
        services.contacts.check((new.content,), premium=premium_numbers, row_check=row_check)
        return
    assert new.upload_key is not None
    size = services.files.size(new.upload_key)
    if size is None:
        raise NotFound("upload_id: nothing was uploaded under this id, or it was more than 7 days ago")
    if size > MAX_FILE_BYTES:
        raise TooLarge(f"file: may have {MAX_FILE_BYTES} bytes, this one has {size}; split it into several batches")
    services.contacts.check(services.files.read(new.upload_key), premium=premium_numbers, row_check=row_check)


def read_batch(services: Services, batch_id: str, *, account_id: str) -> Batch:
    """The batch. Raises `NotFound`, also for a deleted batch or another account's."""
    batch = services.batches.get(batch_id)
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}")
    return _own(batch, account_id)


def _own(batch: Batch, account_id: str) -> Batch:
    if batch.account_id != account_id or batch.deleted_at is not None:
        raise NotFound(f"there is no batch {batch.id}")
    return batch


def contacts_from(services: Services, batch: Batch, first: int, most: int) -> Iterator[Row]:
    """The batch's contacts as the API shows them, in the order of the file, from row `first` on (from 1). `most`: how
    many the caller expects to read. Every row costs the same to reach."""
    some = min(most, CONTACTS_AT_ONCE)
    for start in range(first, batch.stored_to + 1, some):
        rows = range(start, min(start + some, batch.stored_to + 1))
        for one in services.executions.read([contact_id(batch.id, row) for row in rows]):
            yield Row(Position(batch.created_at, batch.id, one.row or 0), batch.shown(one))


def schedule_batch(
    services: Services,
    batch_id: str,
    scheduled_at: datetime,
    bypass_call_guardrails: bool,
    *,
    account_id: str,
    now: datetime,
    quota: CallQuota | None = None,
    key_pool: str | None = None,
) -> Batch:
    """Schedule the batch to start at `scheduled_at`. `quota`, `key_pool`: of the API key. The quota counts the batch's
    contacts once, however often it is scheduled. Raises `NotFound`, `InvalidInput` (also for a contact that can never
    be called), `Conflict` (it is due, running or over), `QuotaUsedUp`, `Forbidden`."""
    check_start(scheduled_at, now)

    def transition(batch: Batch) -> Batch:
        if batch.last_start is not None and batch.last_start <= scheduled_at:
            raise InvalidInput.of("scheduled_at", f"the batch expires at {batch.last_start:{TIME}}; start it before")
        try:
            return batch.schedule(scheduled_at, bypass_call_guardrails, now)
        except ValueError as error:
            raise Conflict(f"{error}; create another one") from error

    contacts = 0
    if quota is not None or not bypass_call_guardrails:
        batch = transition(read_batch(services, batch_id, account_id=account_id))
        if not bypass_call_guardrails:
            _check_contacts(services, batch, scheduled_at)
        contacts = 0 if quota is None else _uncounted(batch)
    with taken(services, quota, contacts, now) as taken_calls:
        before, after = update_own_batch(
            services,
            batch_id,
            lambda one: replace(transition(one), counted=one.counted or contacts > 0, key_pool=key_pool),
            account_id,
            now,
        )
        taken_calls.unused = before.counted
    _cancel_start(services, before)
    assert after.timer is not None
    services.timers.schedule_batch_run(batch_id, "start", after.timer, scheduled_at, now)
    return after


def _uncounted(batch: Batch) -> int:
    """The number of its contacts, or 0 if a quota has counted them. Raises `Conflict` until the file has been read."""
    if not batch.ingested:
        raise Conflict(
            f"the batch's file is still being read ({batch.total} rows so far), and this API key has a quota of calls"
            " a day: schedule the batch once it has been read"
        )
    return 0 if batch.counted else batch.valid


def check_start(scheduled_at: datetime, now: datetime) -> None:
    """Raises `InvalidInput` for a time at which no batch may be scheduled to start."""
    if scheduled_at < now + EARLIEST_START - GRACE:
        minutes = EARLIEST_START // timedelta(minutes=1)
        raise InvalidInput.of("scheduled_at", f"must be at least {minutes} minutes ahead")
    if scheduled_at > now + LATEST_START:
        raise InvalidInput.of("scheduled_at", f"must be at most {LATEST_START.days} days ahead")


def _check_contacts(services: Services, batch: Batch, start_at: datetime) -> None:
    """If the calling rule in force is not the one by which the rows were checked, check them again. Raises
    `InvalidInput` for a contact that can never be called."""
    agent = services.agents.get(batch.account_id, batch.agent_id)
    if agent is None or not batch.ingested:
        return
    own = None if batch.calling_rule is None else CallingRule.parse(batch.calling_rule)
    rule = Applied(policy_of_batch(services, batch), batch.policy_is_default, agent).calling_rule(own)
    check = RowCheck(rule, agent.time_zone, start_at)
    if rule is None or str(check) == batch.row_check:
        return
    pieces = services.files.read(contacts_key(batch.account_id, batch.id, "contacts"))
    with services.contacts.rows(pieces, premium=batch.premium_numbers, row_check=batch.rows) as (_, rows):
        for row in islice(rows, MOST_ROWS_CHECKED):
            if not isinstance(row, RejectedRow) and (fault := check.fault(row.number, row.data.get(TIME_ZONE_COLUMN))):
                reason = fault.removeprefix("contact_number: ")
                raise InvalidInput.of("scheduled_at", f"contact {row.row} cannot be called: {reason}")


def stop_batch(
    services: Services, batch_id: str, *, account_id: str, now: datetime, reason: str = "stopped by request"
) -> Batch:
    """Stop the batch: once this returns, no dial of it starts; answered calls finish. Raises `NotFound`.

    The batch is marked first. Then its contacts that hold a line are stopped one by one: a dial that acquires its line
    later sees the mark. After that no waiting contact can be dialled any more, and a second mark (`withdrawn`) shows
    all of them as stopped. `run_batch` cancels unanswered calls, and stores the stop of each contact.
    """

    def transition(batch: Batch) -> Batch:
        try:
            return batch.stop(now, reason, counts_of(services, batch))
        except ValueError as error:
            raise NotFound(NOT_RUNNING) from error

    before, _ = update_own_batch(services, batch_id, transition, account_id, now)
    _withdraw(services, before, now, "batch stopped")
    _, after = update_own_batch(services, batch_id, Batch.withdraw, account_id, now)
    services.invoker.batch(batch_id)
    return after


def delete_batch(services: Services, batch_id: str, *, account_id: str, now: datetime) -> None:
    """Delete the batch: requests no longer find it, and none of its contacts is dialled any more; answered calls
    finish.

    `run_batch` cancels unanswered calls, and removes the contacts, their timers and the files. Contacts with live calls
    are removed once these are over. Raises `NotFound`.
    """
    before, _ = update_own_batch(services, batch_id, lambda batch: batch.delete(now), account_id, now)
    _withdraw(services, before, now, "batch deleted")
    services.invoker.batch(batch_id)


def _withdraw(services: Services, batch: Batch, now: datetime, reason: str) -> None:
    """Remove a marked batch from its agent's queue, and stop its contacts that hold a line. `batch`: its state before
    the mark."""
    _cancel_start(services, batch)
    services.queue.leave(batch.agent_id, batch.id)
    for execution in _contacts_with_lines(services, batch):
        stop_waiting(services, execution.id, reason, now)


def _cancel_start(services: Services, batch: Batch) -> None:
    if batch.timer is not None:
        services.timers.cancel_batch(batch.id, "start", batch.timer)


def _contacts_with_lines(services: Services, batch: Batch) -> list[Execution]:
    """Contacts of the batch that hold a line and are not claimed yet."""
    agent = services.agents.get(batch.account_id, batch.agent_id)
    if agent is None:
        return []
    return [one for one in line_holders(services, agent) if one.batch_id == batch.id and one.state.is_waiting]


def pause_batch(services: Services, batch_id: str, paused: bool, *, account_id: str, now: datetime) -> Batch:
    """Pause the batch (`paused`), or resume it. While it is paused, none of its dials starts, and waiting contacts keep
    their place. Raises `NotFound`."""

    def transition(batch: Batch) -> Batch:
        if not batch.is_stoppable:
            raise NotFound(NOT_RUNNING)
        return batch if batch.paused == paused else replace(batch, paused=paused)

    _, after = update_own_batch(services, batch_id, transition, account_id, now)
    services.queue.pause(after.agent_id, batch_id, paused)
    agent = services.agents.get(account_id, after.agent_id)
    if agent is not None and not paused:
        services.invoker.batch(batch_id)
    elif paused:
        recheck_dials(services, after, now)
    return after


def recheck_dials(services: Services, batch: Batch, now: datetime) -> None:
    """Increment the versions of contacts that hold a line, so that a pending claim fails and its gates decide again."""
    for execution in _contacts_with_lines(services, batch):
        try:
            save(services.executions, execution, now)
        except StaleVersion:
            continue  # it is claimed, or another writer changed it: dial then reads it again


def update_own_batch(
    services: Services, batch_id: str, transition: Callable[[Batch], Batch], account_id: str, now: datetime
) -> tuple[Batch, Batch]:
    """`update_batch` of a batch of that account. Raises `NotFound`, and what `transition` raises."""
    return update_batch(services, batch_id, lambda batch: transition(_own(batch, account_id)), now)


def want_results(services: Services, batch_id: str, *, account_id: str, now: datetime) -> None:
    """Have the results file written. Raises `NotFound`."""
    update_own_batch(services, batch_id, lambda batch: replace(batch, results_wanted=True), account_id, now)
    services.invoker.batch(batch_id)


def stop_agent_with_batches(
    services: Services, agent_id: str, *, account_id: str, now: datetime
) -> tuple[list[str], list[str]]:
    """Stop every unanswered call of the agent. Returns the ids of the stopped single calls and batches; the batches'
    contacts follow.

    The agent is marked first: dial refuses what was requested before the mark, also while this still processes a long
    list, or if it dies before the end. Raises `NotFound`.
    """
    agent = mark_stopped(services, agent_id, account_id=account_id, now=now)
    stopped_batches = _stop_batches(services, agent, now)
    return stop_calls(services, agent, now), stopped_batches


def _stop_batches(services: Services, agent: Agent, now: datetime) -> list[str]:
    """Stop every running or scheduled batch of the agent. Returns their ids."""
    stopped = []
    for batch in services.batches.of_agent(agent.agent_id):
        try:
            stop_batch(services, batch.id, account_id=agent.account_id, now=now, reason="agent stopped")
        except NotFound:
            continue  # not queued or running, or deleted
        stopped.append(batch.id)
    return stopped


def dispatch_batch(services: Services, batch: Batch, now: datetime) -> None:
    """Start as many calls of the batch's agent as there are free lines."""
    agent = services.agents.get(batch.account_id, batch.agent_id)
    if agent is not None:
        dispatch_all(services, agent, now)
