"""Predicts the effect of starting a batch: which contacts it would call, how often, and when it will finish.

Nothing is dialled or stored. The batch's contact index has the places of its contacts, and all suppressions and
consents of the account are read together, not by number. So the number of requests does not depend on the number of
contacts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

from redial.domain.agent import Agent
from redial.domain.batch import Batch, BatchStatus, contact
from redial.domain.contact_index import ContactIndex, Place, Rejection, hashes_of
from redial.domain.contact_limits import AtCap
from redial.domain.errors import Conflict
from redial.domain.finish import LONGEST, Assumed, Contacts, finish
from redial.domain.gates import Facts, is_stopped
from redial.domain.number_rules import EVERYWHERE, RuleKind
from redial.domain.retry import TIME
from redial.domain.row_check import MEND, unplaceable
from redial.domain.values import dataclass
from redial.ports import Services
from redial.usecases.batches import check_start, index_key, read_batch
from redial.usecases.defaults import account_limits, complete, pace_of
from redial.usecases.policies import policy_of
from redial.usecases.shared_contacts import AT_ONCE, running_batches, shared_contacts

SHORTEST_CALL = timedelta(seconds=5)
"""The shortest average time for which a call holds its line: unanswered, busy or refused."""
DELAY = timedelta(minutes=2)
"""How late a wait for a time may end: timers fire to the minute, and the sweeper runs every minute."""
LATER = datetime.max.replace(tzinfo=UTC)
_HEX = "0123456789abcdef"
_NOT_STARTED = (BatchStatus.CREATED, BatchStatus.PROCESSED, BatchStatus.SCHEDULED)
_ANY_NUMBER = "+10000000000"


@dataclass(frozen=True)
class Reading:
    """The batch's file is still being read. `rows`: the number read so far."""

    rows: int


@dataclass(frozen=True)
class Finish:
    """When the batch will finish. `earliest` and `latest` are None if not within `LONGEST`, or if there is nothing to
    call."""

    starts_at: datetime
    earliest: datetime | None
    latest: datetime | None
    assumptions: tuple[str, ...]


@dataclass(frozen=True)
class Preflight:
    """The result. `contacts`: number of accepted rows. `rejected`: number of other rows by reason. `places`: contacts
    by place. Each contact counts once, as `suppressed`, else `without_consent`, else `never_placeable`, else
    `callable`. `shared`: number of contacts that running batches also have, by batch. `attempts`: the maximum of calls
    to one contact. `lines`: those available to the batch. `lines_needed`: to start `per_second` calls a second (both
    None: only the lines limit that)."""

    batch: Batch
    contacts: int
    rejected: Mapping[Rejection, int]
    places: Mapping[Place, int]
    suppressed: int
    without_consent: int
    never_placeable: int
    callable: int
    shared: Mapping[str, int]
    attempts: int
    lines: int
    per_second: float | None
    lines_needed: int | None
    finish: Finish
    warnings: tuple[str, ...]

    @property
    def worst_case_calls(self) -> int:
        return self.callable * self.attempts


def preflight(
    services: Services,
    batch_id: str,
    scheduled_at: datetime | None,
    bypass_call_guardrails: bool | None,
    call_time: timedelta,
    *,
    account_id: str,
    now: datetime,
) -> Preflight | Reading:
    """Predict the batch as if it started at `scheduled_at` (None: when it is scheduled, else now).
    `bypass_call_guardrails` None: the batch's own setting. `call_time`: the expected average duration of an answered
    call.

    Raises `NotFound`, `InvalidInput`, and `Conflict` for a batch that has started or is over.
    """
    batch = read_batch(services, batch_id, account_id=account_id)
    if batch.status not in _NOT_STARTED:
        raise Conflict(f"the batch is {batch.status}; a preflight is of a batch that has not started")
    if scheduled_at is not None:
        check_start(scheduled_at, now)
    if not batch.ingested:
        return Reading(batch.total)
    agent = services.agents.get(account_id, batch.agent_id)
    if agent is None or agent.deleted_at is not None:
        raise Conflict("the batch's agent is deleted, so none of its contacts is called")
    if not batch.indexed:
        raise Conflict("the batch's file was read by an earlier version of Redial; create it again")
    if bypass_call_guardrails is not None:
        batch = replace(batch, bypass_call_guardrails=bypass_call_guardrails)
    start = max(now, scheduled_at or batch.start_at or now)
    return _Check(services, batch, complete(services, agent), start, call_time).run()


@dataclass(frozen=True)
class _Check:
    services: Services
    batch: Batch
    agent: Agent
    start: datetime
    call_time: timedelta

    def run(self) -> Preflight:
        services, batch, agent = self.services, self.batch, self.agent
        facts = self._facts()
        pieces = services.files.read(index_key(batch.account_id, batch.id))
        index = services.contacts.read_index(pieces)
        places = index.count_by_place()
        suppressed, unconsented = self._by_rules(facts, index, places)
        rule = None if batch.bypass_call_guardrails else facts.rule[1]
        by_zones: Counter[tuple[str, ...]] = Counter()
        for place, count in places.items():
            by_zones[self._zones(place)] += count - suppressed[place] - unconsented[place]
        never = {zones for zones in by_zones if rule is not None and unplaceable(rule, zones, self.start) is not None}
        groups = [Contacts(count, zones) for zones, count in by_zones.items() if zones not in never and count]
        running = running_batches(services, batch.account_id)
        config = facts.execution.retry_config
        attempts = 1 + (config.max_retries if config is not None and config.enabled else 0)
        intervals = [] if config is None else [config.interval(retry) for retry in range(1, attempts)]
        intervals = [max(interval, _rest(facts, retry)) for retry, interval in enumerate(intervals, start=1)]
        pace = pace_of(services, services.carrier(agent.carrier))
        rates = [one for one in (batch.calls_per_second, pace) if one is not None]
        per_second = min(rates, default=None)
        longest_call = timedelta(seconds=agent.ring_timeout_seconds) + self.call_time
        of_agent, of_key = agent.max_concurrent_calls, batch.key_lines
        lines = of_agent if of_key is None else min(of_agent, of_key.lines)
        best = Assumed(SHORTEST_CALL, 1, lines, per_second)
        others, same_agent = len(running), sum(one == agent.agent_id for one in running.values())
        shared = of_agent // (1 + same_agent) if of_key is None else min(of_agent, of_key.lines) // (1 + others)
        worst = Assumed(
            longest_call,
            attempts,
            max(1, shared),
            _shared_rate(batch.calls_per_second, pace, others),
            intervals,
            DELAY,
            waits_for_rate=batch.calls_per_second is not None,
            slow_placement=True,
        )
        callable_ = sum(one.number for one in groups)
        earliest, latest = (
            (finish(self.start, groups, rule, best), finish(self.start, groups, rule, worst))
            if groups
            else (None, None)
        )
        latest = None if latest is None else latest + DELAY
        expires_at, expires = facts.expires_at, False
        if expires_at is not None and groups:
            expires = latest is None or latest > expires_at
            earliest, latest = min(earliest or expires_at, expires_at), min(latest or LATER, expires_at + longest_call)
        return Preflight(
            batch=batch,
            contacts=len(index.hashes),
            rejected=index.rejected,
            places=places,
            suppressed=suppressed.total(),
            without_consent=unconsented.total(),
            never_placeable=sum(count for zones, count in by_zones.items() if zones in never),
            callable=callable_,
            shared=shared_contacts(services, batch, running),
            attempts=attempts,
            lines=lines,
            per_second=per_second,
            lines_needed=None if per_second is None else ceil(per_second * longest_call.total_seconds()),
            finish=Finish(self.start, earliest, latest, self._assumptions(worst, others, same_agent)),
            warnings=tuple(
                self._warnings(callable_, bool(never), latest, len(groups), expires_at if expires else None)
            ),
        )

    def _facts(self) -> Facts:
        """The facts that apply to any contact, as if the batch had started."""
        services, agent = self.services, self.agent
        batch = replace(self.batch, start_at=self.start)
        execution = contact(batch, 1, _ANY_NUMBER, {})
        limits = account_limits(services, batch.account_id) if agent.has_account_limits else None
        policy = policy_of(services, execution, batch)
        return Facts(self.start, execution, agent, batch, policy=policy, account_limits=limits)

    def _zones(self, place: Place) -> tuple[str, ...]:
        """The time zones of a contact in that place, like `Facts.zones`."""
        if place.named or self.agent.time_zone is None:
            return place.zones
        return (self.agent.time_zone,)

    def _by_rules(
        self, facts: Facts, index: ContactIndex, places: Counter[Place]
    ) -> tuple[Counter[Place], Counter[Place]]:
        """The number of contacts by place that are suppressed, and of the others that lack a required consent."""
        services, batch, required = self.services, self.batch, set(facts.consent_required[1])
        found: dict[RuleKind, set[int]] = {kind: set() for kind in RuleKind}
        if services.number_rules.any_kept(batch.account_id):

            def read(digit: str) -> Mapping[RuleKind, set[str]]:
                rules = services.number_rules
                return rules.covering(batch.account_id, batch.agent_id, facts.purpose, self.start, digit)

            for part in services.each(read, _HEX, AT_ONCE):
                for kind, digests in part.items():
                    found[kind].update(hashes_of(digests))
        suppressed = found[RuleKind.SUPPRESSION]
        blocked = index.count_by_place(suppressed) if suppressed else Counter()
        if not required:
            return blocked, Counter()
        allowed = index.count_by_place(suppressed | found[RuleKind.CONSENT])
        needs = {place for place in index.places if EVERYWHERE in required or required.intersection(place.countries)}
        missing = {place: count - allowed[place] for place, count in places.items() if place in needs}
        return blocked, Counter(missing)

    def _assumptions(self, worst: Assumed, others: int, same_agent: int) -> tuple[str, ...]:
        seconds = self.call_time.total_seconds()
        running = "no other batch of the account runs"
        if others:
            running = f"the {others} other running batches go on, {same_agent} of them with the same agent"
        earliest = (
            f"earliest: every contact is settled by its first call; calls hold a line for "
            f"{SHORTEST_CALL.total_seconds():g} seconds on average, and nothing else uses the agent's lines or the "
            "carrier account"
        )
        latest = (
            f"latest: every contact uses all its attempts ({worst.attempts}), each of which rings for "
            f"{self.agent.ring_timeout_seconds} seconds and lasts {seconds:g} more on average; {running}"
        )
        unchanged = (
            "neither the agent, the batch nor the calling hours are changed, nothing is paused, the carrier takes the "
            "calls, and no other call to its contacts counts for their contact limits"
        )
        return earliest, latest, unchanged

    def _warnings(
        self, callable_: int, never: bool, latest: datetime | None, groups: int, expires_at: datetime | None
    ) -> list[str]:
        found = []
        if not callable_:
            found.append("no contact of the batch would be called")
        if never:
            found.append(f"the calling hours of some contacts never open: {MEND}")
        if expires_at is not None:
            found.append(f"the batch expires at {expires_at:{TIME}}, and may not be finished by then")
        if groups and latest is None:
            found.append(f"the batch may not be finished within {LONGEST.days} days")
        if self.batch.start_at is not None and is_stopped(self.agent, self.batch.start_asked_at):
            found.append("the agent was stopped after the batch was asked to start: schedule it again")
        return found


def _rest(facts: Facts, retry: int) -> timedelta:
    """The longest time for which the contact's own attempts can make a retry wait by its contact limits."""
    limits = [one for _, one in facts.limits if one.at_cap is AtCap.DEFER]
    spans = [span for one in limits for count, span in one.caps if retry % count == 0]
    return max(spans, default=timedelta(0))


def _shared_rate(of_batch: float | None, pace: float | None, others: int) -> float | None:
    """The lowest rate at which the batch's calls start while other batches run."""
    rates = [one for one in (of_batch, None if pace is None else pace / (1 + others)) if one is not None]
    return min(rates, default=None)
