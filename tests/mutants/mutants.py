"""Changes of one critical line, or of the order of two, and the test that must detect each.

`old` occurs exactly once in the file: when you move or rewrite such a line, update its mutant. `make mutants` runs all.
"""

from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path("layers/redial/redial")


@dataclass(frozen=True)
class Mutant:
    """`file` (below layers/redial/redial) with `old` replaced by `new`; the test `detected_by` must then fail.

    `name` says what the changed code does.
    """

    name: str
    file: str
    old: str
    new: str
    detected_by: str

    @property
    def path(self) -> Path:
        return _SOURCES / self.file

    def applied_to(self, text: str) -> str:
        """Raises `ValueError` unless `old` occurs exactly once."""
        if (times := text.count(self.old)) != 1:
            raise ValueError(f"{self.name}: its text occurs {times} times in {self.file}, and must occur once")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Equivalent:
    """A change that no test can detect, since no promise depends on that line, and why."""

    name: str
    file: str
    reason: str


MUTANTS = (
    # ---- the store: versions, and a write whose answer was lost ------------------------------------------------------
    Mutant(
        "An execution is saved over any version",
        "adapters/dynamodb/executions.py",
        "self._table.put_version(packed(self._item(saved)), execution.version)",
        'self._table.put(self._item(saved), "attribute_exists(pk)")',
        "tests/protocol/test_store_conditions.py::test_an_execution_is_saved_over_the_version_that_was_read",
    ),
    Mutant(
        "Any failed condition counts as the writer's own repeated write",
        "adapters/dynamodb/table.py",
        "            stored = done or found == typed\n",
        "            stored = done or found is not None\n",
        "tests/protocol/test_store_conditions.py::test_of_two_claims_one_wins",
    ),
    Mutant(
        "A writer's own repeated write counts as another's",
        "adapters/dynamodb/table.py",
        "            stored = done or found == typed\n",
        "            stored = done\n",
        "tests/protocol/test_store_conditions.py::test_a_writers_own_repeated_write_succeeds",
    ),
    Mutant(
        "A contact is removed at any version",
        "adapters/dynamodb/table.py",
        'ConditionExpression=f"{ABSENT} OR v = :read",',
        'ConditionExpression=f"{ABSENT} OR v <> :read OR v = :read",',
        "tests/protocol/test_store_conditions.py::test_an_execution_is_removed_at_the_version_that_was_read",
    ),
    Mutant(
        "A batch is saved over any version",
        "adapters/dynamodb/batches.py",
        "self._table.put_version(encode(saved), batch.version)",
        'self._table.put(encode(saved), "attribute_exists(pk)")',
        "tests/protocol/test_store_conditions.py::test_a_batch_is_saved_over_the_version_that_was_read",
    ),
    Mutant(
        "An agent is saved over any version",
        "adapters/dynamodb/agents.py",
        "self._table.put_version(_encode(saved), agent.version)",
        'self._table.put(_encode(saved), "attribute_exists(pk) OR attribute_not_exists(pk)")',
        "tests/protocol/test_store_conditions.py::test_an_agent_and_a_circuit_are_saved_over_the_version_that_was_read",
    ),
    Mutant(
        "A circuit is saved over any version",
        "adapters/dynamodb/circuits.py",
        '("v = :read", {":read": read})',
        '("attribute_exists(pk)", None)',
        "tests/protocol/test_store_conditions.py::test_an_agent_and_a_circuit_are_saved_over_the_version_that_was_read",
    ),
    Mutant(
        "Unprocessed keys of BatchGetItem are dropped",
        "adapters/dynamodb/table.py",
        'return list(left["Keys"]) if left else []',
        "return []",
        "tests/protocol/test_partial_answers.py::test_executions_are_all_read",
    ),
    Mutant(
        "Unprocessed contacts of BatchExecuteStatement are dropped",
        "adapters/dynamodb/executions.py",
        "return [one for one, code in zip(statements, errors, strict=True) if code in _TRY_AGAIN]",
        "return []",
        "tests/protocol/test_partial_answers.py::test_contacts_are_all_stored",
    ),
    Mutant(
        "Unprocessed items are requested again without a pause",
        "adapters/dynamodb/table.py",
        "        if left:\n            sleep(",
        "        if not left:\n            sleep(",
        "tests/protocol/test_partial_answers.py::test_pauses_double_without_progress_and_start_over_after_progress",
    ),
    # ---- the claim ---------------------------------------------------------------------------------------------------
    Mutant(
        "The carrier is asked before the claim is stored",
        "usecases/dial_attempt.py",
        "        claimed = self._claimed(claim.lease_delivery(self.lease_id, now), now)\n",
        "        early = carrier.place(call_request(services, claim, agent, variables))\n"
        "        carrier = type('Asked', (), {'place': lambda self, request: early})()\n"
        "        claimed = self._claimed(claim.lease_delivery(self.lease_id, now), now)\n",
        "tests/protocol/test_one_dial.py::test_the_claim_is_stored_before_the_carrier_is_asked",
    ),
    Mutant(
        "A claim does not say what the gates decided",
        "usecases/dial_attempt.py",
        "shard, self.lease_id, allowed)",
        "shard, self.lease_id)",
        "tests/protocol/test_one_dial.py::test_a_claim_holds_every_gates_decision",
    ),
    Mutant(
        "All invocations claim with the same claim id",
        "usecases/dial_attempt.py",
        "caller, shard, self.lease_id, allowed)",
        "caller, shard, 'dial', allowed)",
        "tests/protocol/test_one_dial.py::test_each_invocation_claims_with_its_own_claim_id",
    ),
    Mutant(
        "Any claim counts as the invocation's own",
        "usecases/dial_attempt.py",
        "if claimed_by[-1:] != [self.lease_id] or not waits_for_dial or not in_time:",
        "if not claimed_by or not waits_for_dial or not in_time:",
        "tests/protocol/test_answers_are_kept.py::test_a_claim_of_another_invocation_is_not_dialled",
    ),
    Mutant(
        "An invocation dials its own claim of minutes ago",
        "usecases/dial_attempt.py",
        "if claimed_by[-1:] != [self.lease_id] or not waits_for_dial or not in_time:",
        "if claimed_by[-1:] != [self.lease_id] or not waits_for_dial:",
        "tests/protocol/test_one_dial.py::test_a_claim_that_is_too_old_is_left_to_the_sweeper",
    ),
    Mutant(
        "The circuit records the answer before it is stored",
        "usecases/dial_attempt.py",
        "        result = carrier.place(call_request(services, claimed, agent, variables))\n",
        "        result = carrier.place(call_request(services, claimed, agent, variables))\n"
        "        breaker.record(claimed.account_id, claimed.provider, result, admission.probing)\n",
        "tests/protocol/test_answers_are_kept.py::test_the_carriers_answer_is_stored_before_the_circuit_records_it",
    ),
    Mutant(
        "A call is dialled before its due time",
        "usecases/dial_attempt.py",
        "        if due is None or due > now + SHORTEST_DELAY:\n            return self._not_due",
        "        if due is None:\n            return self._not_due",
        "tests/protocol/test_one_dial.py::test_a_dial_before_the_due_time_exits",
    ),
    Mutant(
        "A start of the carrier account is given twice",
        "adapters/dynamodb/pacer.py",
        '"SET nx = nx + :value", "nx > :now", least',
        '"SET nx = nx + :value", "nx > :now", 0',
        "tests/protocol/test_pace.py::test_starts_are_apart_by_the_interval_over_all_processes",
    ),
    Mutant(
        "An idle account's starts are saved up",
        "adapters/dynamodb/pacer.py",
        '"attribute_not_exists(nx) OR nx <= :now", now_ms + least',
        '"attribute_not_exists(nx)", now_ms + least',
        "tests/protocol/test_pace.py::test_an_idle_account_starts_a_call_at_once_and_saves_nothing_up",
    ),
    Mutant(
        "A start that is long past is used",
        "usecases/dial_attempt.py",
        "if self.paced_at is None or now > self.paced_at + LATEST_PACED:",
        "if self.paced_at is None:",
        "tests/protocol/test_one_dial.py::test_a_start_that_is_long_past_is_not_used",
    ),
    Mutant(
        "The carrier's own queue does not slow the pace",
        "usecases/dial_attempt.py",
        "if isinstance(result, Accepted) and result.queue_seconds > OWN_QUEUE.total_seconds():",
        "if False:",
        "tests/protocol/test_one_dial.py::test_a_wait_in_the_carriers_queue_holds_the_next_starts",
    ),
    Mutant(
        "A failed event waits a minute for its second try",
        "domain/delivery.py",
        "wait = FIRST_WAIT if tried.tries == 1 else",
        "wait = LATER_WAITS[0] if tried.tries == 1 else",
        "tests/protocol/test_delivery_leases.py::test_no_event_overtakes_one_that_was_not_accepted",
    ),
    Mutant(
        "A timer that fired seconds early is not set again",
        "usecases/dial_attempt.py",
        "timer[1] <= now + SCHEDULER_PRECISION",
        "timer[1] <= now",
        "tests/emulators/test_stack.py::test_a_retry_whose_schedule_fires_early_in_its_minute_is_dialled_on_time",
    ),
    Mutant(
        "A carrier that never tells holds a line for a day",
        "usecases/sweep.py",
        "over_after, permanent = _longest_call(agent, attempt.dialed_at), True",
        "over_after, permanent = LONGEST_CALL, True",
        "tests/protocol/test_absence_that_proves_nothing.py"
        "::test_a_carrier_that_never_tells_does_not_hold_the_line_longer_than_a_call_lasts",
    ),
    Mutant(
        "The carrier's answer has no effects if the answer to its save is lost",
        "usecases/dial_attempt.py",
        "        if updated is not None:  # since the claim",
        "        if updated is not None and updated.after is not updated.before:  # since the claim",
        "tests/protocol/test_answers_are_kept.py::test_an_answer_has_its_effects_even_if_the_reply_to_its_save_is_lost",
    ),
    Mutant(
        "No answer from the carrier counts as not placed",
        "carriers/sending.py",
        'return Unknown(f"no answer from {carrier}: {error}")',
        'return NotPlaced(f"no answer from {carrier}: {error}")',
        "tests/unit/test_twilio.py::test_an_answer_that_may_have_placed_a_call_is_unknown",
    ),
    # ---- lines -------------------------------------------------------------------------------------------------------
    Mutant(
        "One line above the capacity is acquired",
        "adapters/dynamodb/lines.py",
        "AND size(holders) < :capacity)",
        "AND size(holders) <= :capacity)",
        "tests/integration/test_store_model.py::test_concurrent_acquisitions_never_exceed_the_lines",
    ),
    Mutant(
        "A line is confirmed above a lowered limit",
        "adapters/dynamodb/lines.py",
        "holders.#id.a <= :attempt AND size(holders) <= :capacity) OR",
        "holders.#id.a <= :attempt) OR",
        "tests/protocol/test_store_conditions.py::test_a_line_is_not_confirmed_above_a_lowered_limit",
    ),
    Mutant(
        "An earlier attempt takes the line of a later one",
        "adapters/dynamodb/lines.py",
        "holders.#id.a <= :attempt AND size",
        "attribute_exists(holders) AND size",
        "tests/protocol/test_store_conditions.py::test_an_earlier_attempt_takes_no_line_from_a_later_one",
    ),
    Mutant(
        "A line is handed over above a lowered limit",
        "adapters/dynamodb/lines.py",
        "AND attribute_not_exists(holders.#to) AND size(holders) <= :capacity",
        "AND attribute_not_exists(holders.#to) AND (size(holders) <= :capacity OR size(holders) > :capacity)",
        "tests/protocol/test_store_conditions.py::test_no_line_is_handed_over_above_a_lowered_limit",
    ),
    Mutant(
        "A line is handed to a call that holds one",
        "adapters/dynamodb/lines.py",
        "AND attribute_not_exists(holders.#to) AND size",
        "AND size",
        "tests/integration/test_store_model.py::test_a_line_is_not_handed_over_to_a_call_that_holds_one",
    ),
    Mutant(
        "A line is handed over within an execution",
        "adapters/dynamodb/lines.py",
        "        if to.execution_id == execution_id:\n",
        "        if to.execution_id == execution_id and to.attempt == attempt:\n",
        "tests/integration/test_store_model.py::test_a_line_is_not_handed_over_within_an_execution",
    ),
    Mutant(
        "Every line shard has the agent's whole limit",
        "usecases/dispatch.py",
        "return max(0, min(LINES_PER_SHARD, pool.max_concurrent_calls - shard * LINES_PER_SHARD))",
        "return max(0, min(LINES_PER_SHARD, pool.max_concurrent_calls))",
        "tests/protocol/test_queue_and_lines.py::test_the_lines_of_all_shards_add_up_to_the_limit",
    ),
    Mutant(
        "The queue is not read after a line was released",
        "usecases/dispatch.py",
        "    _dispatch_shard(services, pool, shard, holders, now)\n    return is_free\n",
        "    return is_free\n",
        "t"
        "ests/integration/test_queue_of_batches.py::test_a_call_queued_while_the_queue_is_cached_as_empty_gets_the_released_line",
    ),
    Mutant(
        "A call reads the queue before it joins it",
        "usecases/dispatch.py",
        "    services.queue.enqueue(pool.pool_id, call)\n"
        "    calls = services.queue.front(pool.pool_id).calls\n"
        "    if calls and calls[0].execution_id == call.execution_id:\n",
        "    calls = services.queue.front(pool.pool_id).calls\n"
        "    services.queue.enqueue(pool.pool_id, call)\n"
        "    if not calls or calls[0].execution_id == call.execution_id:\n",
        "tests/protocol/test_queue_and_lines.py::test_a_call_joins_the_queue_before_the_queue_is_read",
    ),
    Mutant(
        "The head of the queue tries the first shard only",
        "usecases/dispatch.py",
        "    if calls and calls[0].execution_id == call.execution_id:\n        dispatch_all(services, pool, now)\n",
        "    if calls and calls[0].execution_id == call.execution_id:\n"
        "        dispatch(services, pool, range(1), now)\n",
        "tests/protocol/test_queue_and_lines.py::test_a_waiting_call_tries_every_line_shard",
    ),
    Mutant(
        "A call is started before it leaves the queue",
        "usecases/dispatch.py",
        "    if turn.queued:\n"
        "        services.queue.dequeue(pool.pool_id, turn.call)\n"
        "    line_shard = None if isinstance(pool, KeyLines) else shard\n"
        "    services.invoker.dial(turn.call.execution_id, turn.call.attempt, line_shard, turn.at, turn.delayed_at)\n",
        "    services.invoker.dial(turn.call.execution_id, turn.call.attempt, line_shard, turn.at, turn.delayed_at)\n"
        "    if turn.queued:\n"
        "        services.queue.dequeue(pool.pool_id, turn.call)\n",
        "tests/protocol/test_queue_and_lines.py::test_a_call_leaves_the_queue_before_it_is_started",
    ),
    Mutant(
        "The head of the queue that holds a line is not started",
        "usecases/dispatch.py",
        "    if calls and calls[0].execution_id in holders and acquire(",
        "    if calls and calls[0].execution_id not in holders and acquire(",
        "tests/protocol/test_queue_and_lines.py::test_the_head_of_the_queue_that_already_holds_a_line_is_started",
    ),
    Mutant(
        "A contact dispatched without a line is not queued",
        "usecases/dispatch.py",
        "    if not turn.queued and turn.delayed_at is None:\n",
        "    if turn.queued and turn.delayed_at is None:\n",
        "tests/protocol/test_queue_and_lines.py::test_a_contact_dispatched_without_a_line_is_queued",
    ),
    Mutant(
        "Due retries wait behind first dials",
        "usecases/dispatch.py",
        "        if first is not None and first.retry:\n",
        "        if first is not None and not first.retry:\n",
        "tests/integration/test_queue_of_batches.py::test_due_retries_go_before_batches",
    ),
    Mutant(
        "A single call waits behind every contact of a batch",
        "usecases/dispatch.py",
        "first.ready_at <= entry.served_at):",
        "first.ready_at <= entry.served_at and False):",
        "t"
        "ests/integration/test_queue_of_batches.py::test_batches_alternate_and_a_single_call_waits_for_at_most_one_turn",
    ),
    Mutant(
        "A paused batch's contacts are dispatched",
        "usecases/dispatch.py",
        "    if entry.paused or is_ahead(entry, now):",
        "    if is_ahead(entry, now):",
        "tests/protocol/test_queue_and_lines.py::test_a_paused_batchs_delayed_set_is_skipped",
    ),
    Mutant(
        "A start is reserved on a stale next start",
        "adapters/dynamodb/call_queue.py",
        'return ", nx = :next", " AND nx = :nx", values',
        'return ", nx = :next", " AND (nx = :nx OR attribute_exists(nx))", values',
        "tests/protocol/test_queue_and_lines.py::test_a_rate_limited_start_is_reserved_once",
    ),
    Mutant(
        "Lines are not checked for 12 hours",
        "domain/queue.py",
        "LINES_CHECK = timedelta(minutes=3)",
        "LINES_CHECK = timedelta(hours=12)",
        "tests/protocol/test_time_constants.py::test_lines_are_checked_within_fifteen_minutes",
    ),
    # ---- a line is released only after a save ------------------------------------------------------------------------
    Mutant(
        "A dial that changes nothing releases its line without a save",
        "usecases/dial_attempt.py",
        "        elif shard is not None:\n            saved = save(self.services.executions, execution, now)\n",
        "",
        "tests/protocol/test_lines_are_kept.py::test_a_dial_that_read_an_old_version_releases_no_line",
    ),
    Mutant(
        "A line that was acquired again is released",
        "usecases/dial_attempt.py",
        "release_line(self.services, agent, shard, execution.id, self.attempt, now, acquired_at)",
        "release_line(self.services, agent, shard, execution.id, self.attempt, now, None)",
        "tests/protocol/test_lines_are_kept.py::test_a_line_acquired_again_after_the_call_was_deferred_is_not_released",
    ),
    Mutant(
        "A dial above a lowered limit releases its line without a save",
        "usecases/dial_attempt.py",
        "        if waiting is not execution or acquired_at is not None:\n",
        "        if waiting is not execution:\n",
        "tests/protocol/test_one_dial.py::test_a_dial_above_a_lowered_limit_releases_no_line_of_a_claimed_attempt",
    ),
    Mutant(
        "A long wait for the carrier keeps its line",
        "domain/execution.py",
        "state.attempt.line_shard if keeps_line else None\n",
        "state.attempt.line_shard\n",
        "tests/protocol/test_lines_are_kept.py"
        "::test_a_call_deferred_for_long_by_its_carrier_releases_its_line_and_acquires_one_again",
    ),
    # ---- stops and pauses --------------------------------------------------------------------------------------------
    Mutant(
        "The stop of a batch does not stop line holders",
        "usecases/batches.py",
        "    for execution in _contacts_with_lines(services, batch):\n        stop_waiting(",
        "    for execution in ():\n        stop_waiting(",
        "tests/protocol/test_a_batch_is_held_at_once.py::test_a_contact_that_holds_its_line_is_stopped_with_its_batch",
    ),
    Mutant(
        "A pause does not make pending claims fail",
        "usecases/batches.py",
        "        recheck_dials(services, after, now)\n",
        "        pass\n",
        "t"
        "ests/protocol/test_a_batch_is_held_at_once.py::test_a_contact_that_holds_its_line_waits_when_its_batch_is_paused_and_is_dialled_when_it_is_resumed",
    ),
    Mutant(
        "The stop of an agent does not stop line holders",
        "usecases/stop.py",
        "    stopped = stop_line_holders(services, agent, now)\n",
        "    stopped: list[str] = []\n",
        "tests/protocol/test_stops.py::test_a_call_missing_from_a_stale_listing_is_stopped_while_it_holds_its_line",
    ),
    Mutant(
        "A stop reads only the shards of the present limit",
        "usecases/stop.py",
        "for agent in agents for shard in shards_in_use(agent)]",
        "for agent in agents for shard in range(1)]",
        "tests/protocol/test_stops.py::test_a_stop_finds_line_holders_in_shards_above_a_lowered_limit",
    ),
    Mutant(
        "A stop of an agent leaves no mark",
        "usecases/stop.py",
        "        return replace(agent, stopped_before=now)\n",
        "        return agent\n",
        "tests/protocol/test_stops.py::test_a_call_missing_from_a_stale_listing_does_not_ring_after_its_agents_stop",
    ),
    Mutant(
        "Dial uses the agent read before it acquired its line",
        "usecases/dial_attempt.py",
        "        shard = self._acquire(execution, cached, policy, kept, now)\n"
        "        agent = self._complete(self.services.agents.get(execution.account_id, execution.agent_id))\n",
        "        shard = self._acquire(execution, cached, policy, kept, now)\n        agent = cached\n",
        "tests/protocol/test_stops.py::test_a_call_missing_from_a_stale_listing_does_not_ring_after_its_agents_stop",
    ),
    Mutant(
        "Dial does not check whether the batch was stopped",
        "domain/gates.py",
        "        if not batch.may_dial:\n",
        "        if batch.deleted_at is not None:\n",
        "tests/protocol/test_one_dial.py::test_a_batchs_contact_is_dialled_only_while_its_batch_runs",
    ),
    Mutant(
        "A stop of an agent covers batches by their upload time",
        "domain/gates.py",
        "asked_at = batch.start_asked_at",
        "asked_at = batch.created_at",
        "tests/protocol/test_stops.py"
        "::test_a_batch_uploaded_before_and_scheduled_after_a_stop_of_its_agent_runs_in_full",
    ),
    Mutant(
        "A retry is announced after a stop",
        "usecases/stop.py",
        "        return after.without_retry(reason)\n",
        "        return after\n",
        "tests/protocol/test_stops.py::test_a_call_that_the_carrier_refuses_after_a_stop_announces_no_retry",
    ),
    Mutant(
        "A call that is being dialled is stopped",
        "domain/execution.py",
        '        if not self.state.is_waiting:\n            raise ValueError("only a waiting call can be stopped")\n',
        "",
        "tests/unit/test_execution.py::test_stop_works_while_waiting_and_not_once_claimed",
    ),
    Mutant(
        "A stopped call keeps its schedule",
        "usecases/update.py",
        "        services.timers.cancel_dial(execution.id, state.timer[0])\n",
        "        pass\n",
        "tests/protocol/test_one_dial.py::test_a_stopped_call_leaves_no_schedule",
    ),
    Mutant(
        "A paused batch's contacts are dialled",
        "domain/gates.py",
        "    if facts.batch is not None and facts.batch.paused:\n",
        "    if facts.batch is not None and facts.batch.deleted_at is not None:\n",
        "tests/protocol/test_one_dial.py::test_a_batchs_contact_is_dialled_only_while_its_batch_runs",
    ),
    # ---- rules about numbers -----------------------------------------------------------------------------------------
    Mutant(
        "A suppression does not end the calls that hold a line",
        "usecases/number_rules.py",
        "    held = line_holders(services, *agents.values())\n",
        "    held = line_holders(services)\n",
        "tests/protocol/test_suppressions.py::test_a_call_that_the_index_does_not_show_is_ended_while_it_is_dialled",
    ),
    Mutant(
        "A suppression does not mark the agents",
        "usecases/number_rules.py",
        "one if one.deleted_at is not None else mark_agent(services, one, has_number_rules=True) for one in agents",
        "one for one in agents",
        "tests/integration/test_number_rules.py::test_a_suppressed_number_is_not_called_and_the_call_says_why",
    ),
    Mutant(
        "A suppression does not search an agent that was just deleted",
        "usecases/number_rules.py",
        "services.agents.all(account_id, deleted_since=now - LAST_DIALS)",
        "services.agents.all(account_id)",
        "tests/protocol/test_suppressions.py::test_an_agent_that_was_just_deleted_is_searched_as_well",
    ),
    Mutant(
        "A suppression leaves the calls that ring",
        "usecases/number_rules.py",
        "    ending.cancel(until)\n",
        "",
        "tests/integration/test_number_rules.py::test_a_call_at_the_carrier_that_is_not_answered_is_canceled",
    ),
    Mutant(
        "A call that a suppression canceled ends as stopped",
        "domain/execution.py",
        "        attempt.stopping, attempt.stops_as = change.reason, Status(change.code or Status.STOPPED)\n",
        "        attempt.stopping = change.reason\n",
        "tests/integration/test_number_rules.py::test_a_call_at_the_carrier_that_is_not_answered_is_canceled",
    ),
    Mutant(
        "An agent made after the first suppression does not ask",
        "usecases/agents.py",
        "replace(configured, has_number_rules=kept)",
        "configured",
        "tests/integration/test_number_rules.py::test_an_agent_made_after_the_first_suppression_asks_as_well",
    ),
    Mutant(
        "A suppression covers every purpose",
        "domain/number_rules.py",
        "return self.agent_id in (None, agent_id) and self.purpose in (None, purpose)",
        "return self.agent_id in (None, agent_id)",
        "tests/unit/test_number_rules.py::test_a_suppression_ends_the_calls_that_it_covers",
    ),
    Mutant(
        "A claim of an earlier version shows gates that were not asked",
        "domain/decision.py",
        '_SETS = {"~": tuple(_GATES), ".": tuple("ASPXICWLRK")}',
        '_SETS = {"~": tuple(_GATES), ".": tuple(_GATES)}',
        "tests/unit/test_gates.py::test_a_claim_of_an_earlier_version_shows_the_gates_of_its_time_and_keeps_them",
    ),
    Mutant(
        "An erased person's suppression keeps the reason",
        "usecases/number_rules.py",
        "replace(one, last_four=None, reason=None)",
        "replace(one, last_four=None)",
        "tests/integration/test_number_rules.py::test_erasing_a_person_leaves_the_suppression_as_a_hash",
    ),
    Mutant(
        "A signature holds for another call",
        "api/number_rules.py",
        """lower.get("webhook-id") == f"{REQUEST_ID}{execution.id}\"""",
        """lower.get("webhook-id", "").startswith(REQUEST_ID)""",
        "tests/integration/test_number_rules.py::test_a_request_that_is_not_signed_for_just_this_call_is_refused",
    ),
    # ---- the delayed set ---------------------------------------------------------------------------------------------
    Mutant(
        "The delayed set's next time is moved without a condition",
        "adapters/dynamodb/delayed.py",
        'update, "rf = :read", values)',
        'update, "attribute_exists(pk) OR rf = :read", values)',
        "tests/protocol/test_store_conditions.py::test_the_delayed_sets_next_time_is_moved_only_if_unchanged_since_its_read",
    ),
    Mutant(
        "The delayed set is not re-read after its next time was moved",
        "adapters/dynamodb/delayed.py",
        "        first = self._first_takeable(entry.batch_id)\n"
        "        if first is not None and (following is None or first < following):\n",
        "        first = following\n        if first is not None and following is None:\n",
        "t"
        "ests/protocol/test_store_conditions.py::test_an_entry_missed_before_the_next_time_was_removed_is_found_after_it",
    ),
    Mutant(
        "A contact is added to the delayed set after its next time was lowered",
        "adapters/dynamodb/delayed.py",
        "        self._table.client.put_item(TableName=self._table.name, Item=to_item(item))\n"
        '        first = {"rf": to_ms(call.ready_at), "rw": call.execution_id}\n',
        '        first = {"rf": to_ms(call.ready_at), "rw": call.execution_id}\n'
        "        self._lower_next(agent_id, batch_id, call.ready_at)\n"
        "        self._table.client.put_item(TableName=self._table.name, Item=to_item(item))\n"
        "        return True\n",
        "tests/protocol/test_store_conditions.py::test_a_contact_is_added_before_the_delayed_sets_next_time_is_lowered",
    ),
    Mutant(
        "A batch's audit does not correct the delayed set",
        "usecases/run_batch.py",
        "        if self.services.delayed.repair(batch.agent_id, batch.id):\n",
        "        if False:\n",
        "tests/protocol/test_delayed_set.py::test_a_lost_wake_up_is_repaired_by_the_batchs_audit_and_counted",
    ),
    Mutant(
        "The recount does not restore missing entries of the delayed set",
        "usecases/run_batch.py",
        "        self._restore_entries(\n"
        "            batch, [one for one in contacts if one.state.is_delayed and one.state.is_waiting], repairs\n"
        "        )\n",
        "",
        "tests/protocol/test_delayed_set.py::test_a_contact_without_its_entry_is_added_again_after_a_quiet_hour",
    ),
    Mutant(
        "A contact removed from the delayed set is added again",
        "usecases/run_batch.py",
        "if current is not None and current.version == versions[entry.execution_id]:",
        "if current is not None:",
        "tests/protocol/test_delayed_set.py::test_a_contact_removed_while_its_entry_is_searched_is_not_added_again",
    ),
    Mutant(
        "A contact popped from the delayed set is popped again at once",
        "adapters/dynamodb/delayed.py",
        "AND (attribute_not_exists(tk) OR tk <= :old)",
        "AND (attribute_not_exists(tk) OR tk <= :old OR tk > :old)",
        "tests/protocol/test_store_conditions.py::test_of_two_readers_of_the_same_delayed_contact_one_pops_it",
    ),
    Mutant(
        "A contact popped and not dialled is not popped again for a day",
        "adapters/dynamodb/delayed.py",
        "_TAKEN = timedelta(minutes=5)",
        "_TAKEN = timedelta(days=1)",
        "t"
        "ests/integration/test_queue_of_batches.py::test_delayed_contacts_are_popped_when_due_and_again_after_five_minutes",
    ),
    # ---- batches -----------------------------------------------------------------------------------------------------
    Mutant(
        "A row is taken beyond the last",
        "adapters/dynamodb/call_queue.py",
        'f"nr <= la AND (attribute_not_exists(pa)',
        'f"nr <= nr AND (attribute_not_exists(pa)',
        "tests/protocol/test_store_conditions.py::test_no_row_of_a_batch_is_taken_beyond_the_last",
    ),
    Mutant(
        "Contacts left behind are not queued",
        "usecases/run_batch.py",
        "            if self.services.queue.enqueue(batch.agent_id, entry):\n",
        "            if False:\n",
        "tests/integration/test_batches.py::test_a_contact_left_behind_is_found_by_the_audit",
    ),
    Mutant(
        "Waiting contacts of a stopped batch are shown as they are stored",
        "domain/batch.py",
        "        if self.withdrawn:\n            return self.end_contact(contact)\n",
        "        if False:\n            return self.end_contact(contact)\n",
        "tests/protocol/test_withdrawn_batches.py::test_waiting_contacts_are_shown_as_they_will_be_stored",
    ),
    Mutant(
        "Contacts are shown as stopped while one of them may be dialled",
        "domain/batch.py",
        "        if self.withdrawn:\n            return self.end_contact(contact)\n",
        "        if self.is_over:\n            return self.end_contact(contact)\n",
        "tests/protocol/test_withdrawn_batches.py::test_a_batch_that_is_only_marked_shows_its_contacts_as_stored",
    ),
    Mutant(
        "A late report reopens an attempt whose retry was shown as stopped",
        "usecases/record_report.py",
        "            execution = execution if batch is None else batch.end_contact(execution)\n",
        "            execution = execution if batch is None else execution\n",
        "t"
        "ests/protocol/test_withdrawn_batches.py::test_a_late_report_does_not_reopen_an_attempt_whose_retry_ended_with_its_batch",
    ),
    Mutant(
        "A running batch is not audited for 12 hours",
        "domain/batch.py",
        "RUNNING_CHECK = timedelta(minutes=10)",
        "RUNNING_CHECK = timedelta(hours=12)",
        "tests/protocol/test_time_constants.py::test_a_running_batch_is_audited_within_fifteen_minutes",
    ),
    Mutant(
        "Two workers hold a batch's lease at once",
        "domain/batch.py",
        "self.worker_until > now:\n            return None\n",
        "self.worker_until > now:\n            pass\n",
        "tests/unit/test_batch.py::test_one_worker_at_a_time_holds_a_batchs_lease",
    ),
    Mutant(
        "A removed batch's id is not reserved",
        "domain/batch.py",
        "TOMBSTONE_LIFE = timedelta(hours=25)",
        "TOMBSTONE_LIFE = timedelta(hours=1)",
        "tests/protocol/test_deleted_batches.py::test_a_tombstone_outlives_the_idempotency_key_and_is_processed_once",
    ),
    Mutant(
        "Leftovers of a removed batch are not searched again",
        "domain/batch.py",
        "return BatchWork.DELETE_AGAIN if not self.cleared and now >= last_look else None",
        "return None",
        "tests/protocol/test_deleted_batches.py::test_items_stored_by_an_invocation_after_the_removal_are_removed_too",
    ),
    Mutant(
        "A removed contact's queue entry stays",
        "usecases/run_batch.py",
        "            key_lines.dequeue(self.services, execution)\n        try:",
        "            pass\n        try:",
        "tests/protocol/test_deleted_batches.py::test_a_queue_entry_does_not_outlive_its_execution",
    ),
    Mutant(
        "A contact's id is not derived from its row",
        "domain/batch.py",
        "return str(uuid.uuid5(_namespace(batch_id), str(row)))",
        "return str(uuid.uuid4())",
        "tests/unit/test_batch.py::test_a_contacts_id_is_derived_from_batch_and_row_and_it_has_no_due_time",
    ),
    # ---- counts ------------------------------------------------------------------------------------------------------
    Mutant(
        "A stream record counts twice",
        "usecases/count_batches.py",
        "if after is None or move.number > after]",
        "if after is None or move.number >= after]",
        "tests/integration/test_queue_of_batches.py::test_repeated_records_in_any_batches_are_counted_once",
    ),
    Mutant(
        "A shard is counted from a stale position",
        "adapters/dynamodb/batches.py",
        '"sn = :after", values',
        '"sn = :after OR attribute_exists(pk)", values',
        "tests/integration/test_queue_of_batches.py::test_counting_a_shard_from_a_stale_position_is_refused",
    ),
    Mutant(
        "A batch is complete while a contact is not final",
        "domain/batch.py",
        "return final == contacts == sum(counts.values())",
        "return final <= contacts == sum(counts.values())",
        "tests/unit/test_batch.py::test_a_batch_completes_when_every_contact_is_final",
    ),
    Mutant(
        "Contacts are never recounted",
        "usecases/run_batch.py",
        "            finished = self._compare_counts(batch, seconds_left, repairs)\n",
        "            finished = True\n",
        "tests/protocol/test_batch_counts.py::test_a_batch_with_a_lost_record_completes_with_correct_counts",
    ),
    Mutant(
        "A recount is accepted although records were counted meanwhile",
        "usecases/run_batch.py",
        "        moves = counted.position != recount.position\n",
        "        moves = False\n",
        "tests/protocol/test_recount_conditions.py::test_a_recount_during_which_a_record_was_counted_is_repeated",
    ),
    Mutant(
        "A recount is accepted although a contact has just changed",
        "usecases/run_batch.py",
        "        moves = moves or (recount.newest is not None and recount.newest > now - RUNNING_CHECK)\n",
        "",
        "tests/protocol/test_recount_conditions.py::test_a_recount_of_contacts_that_have_just_changed_is_repeated",
    ),
    Mutant(
        "A correction outlasts the next record",
        "usecases/count_batches.py",
        "recount.corrected is not None and recount.position == counted.position:",
        "recount.corrected is not None:",
        "tests/protocol/test_batch_counts.py::test_a_correction_holds_until_another_record_is_counted",
    ),
    # ---- retention ---------------------------------------------------------------------------------------------------
    Mutant(
        "A call that waits for its retry expires",
        "domain/execution.py",
        "        if not self.state.is_final:\n            return None\n        return next(",
        "        if not self.state.history:\n            return None\n        return next(",
        "tests/integration/test_retention.py::test_a_call_expires_after_its_end_and_not_while_it_is_open",
    ),
    Mutant(
        "A removed contact is counted",
        "../../../functions/tally/handler.py",
        '    contact = change.get("NewImage")\n',
        '    if "NewImage" not in change:\n        change = {"NewImage": change["OldImage"], **change}\n'
        '        del change["OldImage"]\n    contact = change["NewImage"]\n',
        "tests/integration/test_retention.py::test_a_removed_contact_stays_counted",
    ),
    Mutant(
        "What a client removes is taken for expired",
        "../../../functions/tally/handler.py",
        'record.get("userIdentity", {}).get("principalId") != EXPIRY',
        'record.get("userIdentity", {}).get("principalId") == "nothing"',
        "tests/integration/test_retention.py::test_a_removed_contact_stays_counted",
    ),
    Mutant(
        "Checkpoints of calls that may have expired are used",
        "adapters/dynamodb/listings.py",
        '        since = f"{_up(kept_from):013d}#"\n',
        "        since = _FIRST\n",
        "tests/integration/test_retention.py::test_the_total_of_a_large_agent_is_exact_after_its_old_calls_have_expired",
    ),
    Mutant(
        "A batch is deleted when it is over",
        "domain/batch.py",
        "if self.kept_until is not None and self.kept_until <= now:",
        "if self.kept_until is not None:",
        "tests/integration/test_retention.py::test_a_batch_goes_as_a_whole_after_its_end",
    ),
    Mutant(
        "The counts of a listing include an erased call",
        "usecases/erase.py",
        "        services.listings.forget_counts(execution, now + COUNTING_PAUSE)\n",
        "",
        "tests/integration/test_retention.py::test_an_erased_call_leaves_the_total",
    ),
    # ---- delivery ----------------------------------------------------------------------------------------------------
    Mutant(
        "Two invocations deliver one execution's events at once",
        "domain/delivery.py",
        "self.lease_until > now\n        ):\n            return False\n",
        "self.lease_until > now\n        ):\n            pass\n",
        "tests/unit/test_execution.py::test_one_delivery_lease_at_a_time_and_an_expired_one_is_replaced",
    ),
    Mutant(
        "An expired delivery lease is never taken over",
        "domain/delivery.py",
        "            and self.lease_until is not None\n            and self.lease_until > now\n",
        "            and self.lease_until is not None\n",
        "tests/unit/test_execution.py::test_one_delivery_lease_at_a_time_and_an_expired_one_is_replaced",
    ),
    Mutant(
        "A delivery lease is shorter than an invocation",
        "domain/delivery.py",
        "LEASE = timedelta(seconds=90)",
        "LEASE = timedelta(seconds=45)",
        "tests/protocol/test_time_constants.py::test_a_lease_outlasts_the_invocation_that_holds_it",
    ),
    Mutant(
        "A lease that is about to end is not renewed",
        "usecases/deliver_events.py",
        "until is not None and until - now >= _LEASE_NEEDED:",
        "until is not None:",
        "tests/protocol/test_delivery_leases.py"
        "::test_a_lease_lasts_as_long_as_the_invocation_that_sends_under_it_may_run",
    ),
    Mutant(
        "A snapshot is trusted however old it is",
        "usecases/deliver_events.py",
        "            and until - self.services.now() >= LEASE - SNAPSHOT_FOR\n",
        "",
        "tests/protocol/test_delivery_leases.py::test_an_old_snapshot_is_read_again",
    ),
    Mutant(
        "A delivery lease is kept after the last event",
        "usecases/deliver_events.py",
        "updated = replace(updated, delivery=updated.delivery.release())",
        "pass",
        "tests/protocol/test_delivery_leases.py::test_a_lease_is_released_with_the_last_event",
    ),
    Mutant(
        "An invocation that has lost its lease still writes",
        "usecases/deliver_events.py",
        "if read is None or read.delivery.lease_id != lease_id:",
        "if read is None:",
        "tests/protocol/test_delivery_leases.py::test_an_invocation_that_has_lost_its_lease_does_not_write",
    ),
    Mutant(
        "An event overtakes one that was not accepted",
        "usecases/deliver_events.py",
        "            if not answer.accepted and answer.status != GONE:\n                break\n",
        "",
        "tests/protocol/test_delivery_leases.py::test_no_event_overtakes_one_that_was_not_accepted",
    ),
    Mutant(
        "An event is tried again before its time",
        "domain/delivery.py",
        "return self.next_try_at is None or self.next_try_at <= now",
        "return True",
        "tests/unit/test_delivery.py::test_no_send_while_the_first_event_waits_or_another_worker_sends",
    ),
    Mutant(
        "Replayed events are sent after the others",
        "domain/delivery.py",
        "return (*delivery.replaying, *range(delivery.settled + 1, last_sequence + 1))",
        "return (*range(delivery.settled + 1, last_sequence + 1), *delivery.replaying)",
        "tests/protocol/test_delivery_leases.py::test_replayed_events_go_before_events_never_sent",
    ),
    Mutant(
        "An item is packed although an old version may still read it",
        "wire/packed_execution.py",
        "    if units == 1 or MAY_PACK not in item:\n",
        "    if units == 1:\n",
        "tests/unit/test_packed_execution.py"
        "::test_an_item_created_by_a_version_that_cannot_read_the_packed_form_is_never_packed",
    ),
    Mutant(
        "An item is packed while its version is being deployed",
        "wire/packed_execution.py",
        "    if timedelta(milliseconds=changes[-1][1]) < PACK_AFTER:\n",
        "    if not changes:\n",
        "tests/unit/test_packed_execution.py"
        "::test_an_item_is_packed_only_after_the_deployment_of_the_version_that_created_it",
    ),
    Mutant(
        "A packed item looks like a short history",
        "wire/packed_execution.py",
        '"ch": compact_json([[PACKED], newest])',
        '"ch": compact_json([newest])',
        "tests/unit/test_packed_execution.py::test_a_version_that_does_not_know_the_packed_form_raises_an_error",
    ),
    Mutant(
        "An event that is given up is not listed",
        "wire/stored_execution.py",
        "    if execution.delivery.is_listed:\n",
        "    if execution.delivery.is_listed and execution.delivery.replaying:\n",
        "tests/protocol/test_given_up_events_are_listed.py"
        "::test_an_event_that_is_given_up_while_a_replay_ends_is_listed",
    ),
    Mutant(
        "An event that is given up counts as accepted",
        "domain/delivery.py",
        "            return replace(self._settle(tried), undelivered=given_up)\n",
        "            return self._settle(tried)\n",
        "tests/unit/test_delivery.py::test_http_410_gives_an_event_up_at_once",
    ),
    # ---- whether and when a retry follows ----------------------------------------------------------------------------
    Mutant(
        "Nothing is retried",
        "domain/retry.py",
        "    if config is None or not config.enabled:\n",
        "    if config is None or config.enabled:\n",
        "tests/unit/test_retry.py::test_each_retry_waits_its_interval_from_the_end_of_the_attempt",
    ),
    Mutant(
        "Every retry waits the first interval",
        "domain/retry.py",
        "intervals[min(retry, len(intervals)) - 1]",
        "intervals[0]",
        "tests/unit/test_retry.py::test_each_retry_waits_its_interval_from_the_end_of_the_attempt",
    ),
    Mutant(
        "One retry more than configured",
        "domain/retry.py",
        "    if made > config.max_retries:\n",
        "    if made > config.max_retries + 1:\n",
        "tests/unit/test_retry.py::test_attempts_never_exceed_one_plus_max_retries",
    ),
    Mutant(
        "A voicemail is always retried",
        "domain/retry.py",
        "        if not config.retry_on_voicemail:\n",
        "        if config.retry_on_voicemail and False:\n",
        "tests/unit/test_retry.py::test_voicemail_is_retried_only_if_configured",
    ),
    Mutant(
        "A number that does not exist is dialled again",
        "domain/retry.py",
        "    if outcome.permanent:\n",
        "    if outcome.permanent and config is None:\n",
        "tests/unit/test_retry.py::test_a_number_that_does_not_exist_is_not_dialled_again",
    ),
    Mutant(
        "Every failure is retried, whatever is configured",
        "domain/retry.py",
        "    elif outcome.status not in config.retry_on_statuses:\n",
        "    elif outcome.status is Status.COMPLETED:\n",
        "tests/unit/test_retry.py::test_only_the_named_statuses_are_retried",
    ),
    Mutant(
        "An interval counts from the claim",
        "domain/execution.py",
        "match self._decide(outcome, ended_at):",
        "match self._decide(outcome, self.state.claimed_at or ended_at):",
        "tests/unit/test_execution.py::test_a_failed_attempt_is_reported_and_then_scheduled_from_its_end",
    ),
    # ---- reports -----------------------------------------------------------------------------------------------------
    Mutant(
        "A status moves back",
        "domain/execution.py",
        "        if rank(report.status) <= rank(result.state.status):\n",
        "        if rank(report.status) == rank(result.state.status):\n",
        "tests/unit/test_execution.py::test_within_an_attempt_a_status_only_moves_forward",
    ),
    Mutant(
        "A report of another call counts",
        "domain/execution.py",
        "        if spoken_of.call_id not in (None, report.call_id):\n            return self\n",
        "",
        "tests/unit/test_execution.py::test_a_report_about_another_call_changes_nothing",
    ),
    Mutant(
        "A report of an earlier attempt changes the current one",
        "domain/execution.py",
        "        if attempt != current.number or not (state.is_dialling or state.is_live):\n",
        "        if not (state.is_dialling or state.is_live):\n",
        "tests/unit/test_execution.py::test_an_earlier_attempts_callback_changes_nothing",
    ),
    Mutant(
        "A lost attempt is reopened although its retry is being dialled",
        "domain/execution.py",
        "        if self.state.is_waiting and attempt == self.state.attempt.number - 1:\n",
        "        if attempt == self.state.attempt.number - 1:\n",
        "tests/protocol/test_late_reports.py"
        "::test_once_the_retry_is_claimed_the_late_call_is_recorded_beside_its_attempt",
    ),
    Mutant(
        "A lost attempt is not reopened",
        "domain/execution.py",
        "        if self.state.is_waiting and attempt == self.state.attempt.number - 1:\n",
        "        if self.state.is_waiting and attempt == self.state.attempt.number + 1:\n",
        "tests/protocol/test_late_reports.py"
        "::test_a_lost_attempt_whose_call_is_placed_late_is_reopened_and_its_retry_dropped",
    ),
    Mutant(
        "Any failed attempt is reopened",
        "domain/execution.py",
        "        if not spoken_of.lost:\n",
        "        if not spoken_of.lost and spoken_of.ended_at is None:\n",
        "tests/unit/test_execution.py::test_an_earlier_attempts_callback_changes_nothing",
    ),
    Mutant(
        "The retry of a reopened attempt keeps its schedule",
        "usecases/record_report.py",
        "lease_id=lease_id, withdraw=True)",
        "lease_id=lease_id, withdraw=False)",
        "t"
        "ests/protocol/test_late_reports.py::test_a_lost_attempt_whose_call_is_placed_late_is_reopened_and_its_retry_dropped",
    ),
    Mutant(
        "updated_at goes back with the clock",
        "domain/execution.py",
        "result.append(change if change.at >= earliest else replace(change, at=earliest))",
        "result.append(change)",
        "tests/unit/test_execution.py::test_updated_at_strictly_rises_even_when_clocks_go_back",
    ),
    # ---- deadlines ---------------------------------------------------------------------------------------------------
    Mutant(
        "The sweeper asks about a call while its dial may still run",
        "domain/execution.py",
        "CLAIM_GRACE = timedelta(minutes=2)",
        "CLAIM_GRACE = timedelta(seconds=30)",
        "tests/protocol/test_time_constants.py::test_an_attempt_is_not_checked_while_its_dial_may_still_run",
    ),
    Mutant(
        "A line is taken from a call between line and claim",
        "usecases/sweep.py",
        "LINE_GRACE = timedelta(minutes=2)",
        "LINE_GRACE = timedelta(seconds=30)",
        "tests/protocol/test_time_constants.py::test_an_attempt_is_not_checked_while_its_dial_may_still_run",
    ),
    Mutant(
        "An unknown call is given up after two minutes",
        "domain/execution.py",
        "UNKNOWN_DEADLINE = timedelta(minutes=6)",
        "UNKNOWN_DEADLINE = timedelta(minutes=2)",
        "tests/protocol/test_time_constants.py::test_an_unknown_call_is_given_up_after_five_to_ten_minutes",
    ),
    Mutant(
        "An unknown call is searched for all day",
        "domain/execution.py",
        "UNKNOWN_DEADLINE = timedelta(minutes=6)",
        "UNKNOWN_DEADLINE = timedelta(hours=24)",
        "tests/protocol/test_time_constants.py::test_an_unknown_call_is_given_up_after_five_to_ten_minutes",
    ),
    Mutant(
        "A lost timer is not repaired for 6 hours",
        "domain/delivery.py",
        "TIMER_GRACE = timedelta(minutes=3)",
        "TIMER_GRACE = timedelta(hours=6)",
        "tests/protocol/test_time_constants.py::test_a_lost_timer_is_repaired_within_five_minutes",
    ),
    Mutant(
        "A ringing call is not asked about for 6 hours",
        "domain/execution.py",
        "RINGING_CHECK = timedelta(minutes=3)",
        "RINGING_CHECK = timedelta(hours=6)",
        "tests/protocol/test_time_constants.py::test_a_silent_call_is_asked_about_within_minutes",
    ),
    Mutant(
        "An answered call is not asked about for 6 hours",
        "domain/execution.py",
        "CALL_CHECK = timedelta(minutes=15)",
        "CALL_CHECK = timedelta(hours=6)",
        "tests/protocol/test_time_constants.py::test_a_silent_call_is_asked_about_within_minutes",
    ),
    Mutant(
        "A waiting call's queue entry is not checked for a day",
        "domain/execution.py",
        "QUEUE_CHECK = timedelta(minutes=3)\n",
        "QUEUE_CHECK = timedelta(days=1)\n",
        "tests/protocol/test_time_constants.py::test_a_queued_call_is_checked_within_five_minutes",
    ),
    Mutant(
        "A call ends as `error` after ten minutes without a line",
        "domain/execution.py",
        "LATEST_START = timedelta(hours=24)",
        "LATEST_START = timedelta(minutes=10)",
        "tests/protocol/test_time_constants.py::test_the_carriers_refusals_end_a_call_after_a_day_and_not_before",
    ),
    Mutant(
        "The carrier's refusals are counted from the contact's creation",
        "domain/execution.py",
        "count, since = last.count + 1, last.since or last.at",
        "count, since = last.count + 1, self.created_at",
        "tests/protocol/test_time_constants.py::test_a_call_is_not_ended_because_of_its_age",
    ),
    Mutant(
        "A call that the carrier never places waits for ever",
        "domain/execution.py",
        "                if now >= since + LATEST_START and not for_number:\n",
        "                if now < since:\n",
        "tests/protocol/test_time_limits.py"
        "::test_an_attempt_that_the_carrier_never_places_ends_after_a_day_and_not_before",
    ),
    Mutant(
        "A pause between two refusals counts",
        "domain/execution.py",
        "            if now - last.until < HOLDS_APART and last.waits_for_number == for_number:\n",
        "            if now >= last.at:\n",
        "tests/protocol/test_time_limits.py::test_other_waits_between_two_answers_of_the_carrier_do_not_count",
    ),
    Mutant(
        "A queued call is too late",
        "domain/execution.py",
        "            self.queued_at is None\n            and not self.is_delayed\n            and ",
        "            ",
        "tests/protocol/test_time_limits.py::test_a_queued_call_is_never_too_late_but_a_timer_a_day_late_is",
    ),
    # ---- the sweeper -------------------------------------------------------------------------------------------------
    Mutant(
        "A missed timer is not repaired",
        "usecases/sweep.py",
        "            self.services.invoker.dial(execution.id, number)\n"
        "            run.report.repairs[Repair.TIMER_MISSED] += 1\n",
        "            run.report.repairs[Repair.TIMER_MISSED] += 1\n",
        "tests/protocol/test_sweeper_limits.py::test_a_missed_timer_is_repaired",
    ),
    Mutant(
        "Live calls are not asked about",
        "usecases/sweep.py",
        "    return state.is_live or (\n",
        "    return (\n",
        "tests/protocol/test_sweeper_limits.py::test_a_silent_call_is_left_to_the_asker_of_its_shard",
    ),
    Mutant(
        "Two sweepers ask about one call",
        "usecases/sweep.py",
        "        if not self.services.sweep_leases.take(lease, token, hop, now, now + WORKER_LEASE):\n",
        "        if self.services.sweep_leases.take(lease, token, hop, now, now + WORKER_LEASE) is None:\n",
        "tests/protocol/test_sweeper_limits.py::test_an_asker_skips_a_shard_leased_by_another",
    ),
    Mutant(
        "Questions are put one after the other",
        "usecases/sweep.py",
        "        for done in self.services.each(question, to_ask, QUESTIONS_AT_ONCE):\n",
        "        for done in map(question, to_ask):\n",
        "tests/protocol/test_recovery_time.py::test_calls_without_callbacks_are_asked_about_fast_enough",
    ),
    Mutant(
        "A question begins with too little time left",
        "usecases/sweep.py",
        "        run.need(SECONDS_FOR_A_QUESTION)\n",
        "",
        "tests/protocol/test_sweeper_limits.py::test_no_question_begins_with_too_little_time_left",
    ),
    Mutant(
        "A cancel begins with too little time left",
        "usecases/sweep.py",
        "        run.need(SECONDS_FOR_A_CANCEL)\n",
        "",
        "tests/protocol/test_sweeper_limits.py::test_no_cancel_begins_with_too_little_time_left",
    ),
    Mutant(
        "An asker out of time does not invoke itself",
        "usecases/sweep.py",
        "            self.services.invoker.ask(shard, token, hop + 1)\n",
        "            pass\n",
        "tests/protocol/test_sweeper_limits.py::test_no_question_begins_with_too_little_time_left",
    ),
    Mutant(
        "A busy carrier's answer moves the question on",
        "usecases/sweep.py",
        "            if self.services.now() < attempt.dialed_at + LONGEST_CALL:\n                return\n",
        "",
        "tests/protocol/test_sweeper_limits.py::test_a_busy_carrier_is_asked_no_more_and_its_calls_stay_overdue",
    ),
    Mutant(
        "A busy carrier is asked on",
        "usecases/sweep.py",
        "            run.busy.add(execution.provider)\n",
        "",
        "tests/protocol/test_sweeper_limits.py::test_a_busy_carrier_is_asked_no_more_and_its_calls_stay_overdue",
    ),
    Mutant(
        "Two workers sweep one shard",
        "adapters/dynamodb/sweep_leases.py",
        "OR u{name} <= :now OR (",
        "OR u{name} <= :now OR u{name} > :now OR (",
        "tests/protocol/test_store_conditions.py::test_one_worker_holds_a_shard_of_the_sweeper",
    ),
    Mutant(
        "The rest of a shard is not left to a worker",
        "usecases/sweep.py",
        "            self.services.invoker.sweep_shard(shard, self.services.new_id()[:8], 1)\n",
        "            pass\n",
        "t"
        "ests/protocol/test_sweeper_limits.py::test_a_run_checks_at_most_its_limit_and_leaves_the_rest_to_a_worker_for_each_shard",
    ),
    Mutant(
        "A worker out of time does not invoke itself",
        "usecases/sweep.py",
        "            self.services.invoker.sweep_shard(shard, token, hop + 1)\n",
        "            pass\n",
        "tests/protocol/test_sweeper_limits.py::test_a_worker_out_of_time_invokes_itself_again",
    ),
    Mutant(
        "The minute's run has no limit",
        "usecases/sweep.py",
        "                run.items -= 1\n",
        "                pass\n",
        "tests/protocol/test_sweeper_limits.py"
        "::test_a_run_checks_at_most_its_limit_and_leaves_the_rest_to_a_worker_for_each_shard",
    ),
    Mutant(
        "Queue checks go before everything else",
        "usecases/sweep.py",
        "        run.items = limit\n        left = self._overdue(",
        "        run.items = limit\n        self._work_through(self.due_items.queue_checks(now), run)\n"
        "        left = self._overdue(",
        "tests/protocol/test_sweeper_limits.py::test_queue_checks_come_after_everything_else",
    ),
    Mutant(
        "The holder of a line is never checked",
        "usecases/sweep.py",
        "if now - holder[1] >= LINE_GRACE}",
        "if now - holder[1] >= LINE_GRACE * 1000}",
        "tests/protocol/test_sweeper_limits.py::test_the_line_of_an_ended_call_is_released",
    ),
    Mutant(
        "A missing queue entry is not restored",
        "usecases/sweep.py",
        "                self.services.queue.enqueue(agent.agent_id, queued_call(execution))\n",
        "                pass\n",
        "tests/protocol/test_queue_against_calls.py::test_a_missing_queue_entry_of_a_waiting_call_is_restored",
    ),
    Mutant(
        "A call unknown to its carrier ends while it may be live",
        "usecases/sweep.py",
        "            if self.services.now() < attempt.dialed_at + _longest_call(agent, attempt.dialed_at):\n",
        "            if self.services.now() < attempt.dialed_at:\n",
        "tests/protocol/test_sweeper_limits.py::test_a_call_unknown_to_its_carrier_is_not_ended_while_it_may_be_live",
    ),
    # ---- the carrier -------------------------------------------------------------------------------------------------
    Mutant(
        "A call of unproved ownership is taken",
        "carriers/twilio/rest.py",
        "            undecided += belongs is None\n",
        "            if belongs is None and len(candidates) == 1:\n                return _report_of_record(record)\n"
        "            undecided += belongs is None\n",
        "tests/unit/test_twilio.py::test_a_single_candidate_is_not_taken_without_proof",
    ),
    Mutant(
        "An earlier attempt's call is a candidate",
        "carriers/twilio/rest.py",
        'str(record.get("sid")) not in known_call_ids',
        'str(record.get("sid")) is not None',
        "tests/unit/test_twilio.py::test_an_earlier_attempts_call_is_ruled_out",
    ),
    Mutant(
        "An absence that proves nothing ends an attempt as if no phone had rung",
        "usecases/sweep.py",
        "        permanent |= self.services.carrier(execution.provider).limits.absence_proves_after is None\n",
        "        permanent |= False\n",
        "tests/protocol/test_absence_that_proves_nothing.py"
        "::test_the_attempt_ends_without_a_retry_when_no_call_can_be_up",
    ),
    Mutant(
        "An attempt whose call is not found ends while its call may be up",
        "usecases/sweep.py",
        "    return _longest_call(agent, dialed_at) if proves_after is None else proves_after\n",
        "    return timedelta(minutes=6) if proves_after is None else proves_after\n",
        "tests/protocol/test_absence_that_proves_nothing.py"
        "::test_the_attempt_ends_without_a_retry_when_no_call_can_be_up",
    ),
    Mutant(
        "A call goes through the carrier that its agent had before",
        "usecases/dial_attempt.py",
        "            execution = replace(execution, provider=agent.carrier)  # the agent has another carrier by now\n",
        "            pass\n",
        "tests/integration/test_carriers.py::test_a_waiting_call_goes_through_the_carrier_that_its_agent_has_by_then",
    ),
    Mutant(
        "Any answer with an empty list says that there is no call",
        "carriers/http/rest.py",
        "        if answer.status != 200 or not isinstance(calls, list):\n",
        "        if not isinstance(calls, list):\n",
        "tests/unit/test_http_carrier.py::test_anything_else_proves_nothing",
    ),
    Mutant(
        "A callback of one attempt counts at the URL of another",
        "carriers/http/callbacks.py",
        '        if fields.get("dial_key") != callback.dial_key:\n',
        '        if "dial_key" not in fields:\n',
        "tests/contract/test_carriers.py::test_a_callback_that_is_altered_moved_or_unsigned_is_refused",
    ),
    # ---- the circuit -------------------------------------------------------------------------------------------------
    Mutant(
        "Every call probes an open circuit",
        "domain/circuit.py",
        "return None if now < self.next_try_at else replace(self, next_try_at=now + PROBE_LASTS)",
        "return None if now < self.next_try_at else self",
        "tests/unit/test_circuit.py::test_an_open_circuit_admits_one_probe_after_its_wait",
    ),
    Mutant(
        "A recovered circuit admits all calls at once",
        "domain/circuit.py",
        "        if self.resumed >= FIRST_RESUMED * RESUMED_GROWTH ** (passed / timedelta(minutes=1)):\n",
        "        if self.resumed >= 5_000:\n",
        "tests/unit/test_circuit.py::test_the_circuit_resumes_by_a_ramp",
    ),
    Mutant(
        "A probe is placed although the check failed",
        "usecases/circuit_breaker.py",
        "(wrong := check()) is not None:\n",
        "(wrong := check()) is not None and circuit.opened_at is None:\n",
        "tests/protocol/test_probes.py::test_a_call_probes_an_open_circuit_only_where_a_check_finds_nothing_wrong",
    ),
    Mutant(
        "A call goes ahead although another won the probe",
        "usecases/circuit_breaker.py",
        "                circuit = self.circuits.fresh(circuit)\n        return None, False\n",
        "                return circuit, False\n        return None, False\n",
        "tests/protocol/test_probes.py::test_of_two_callers_that_read_the_same_open_circuit_one_probes_it",
    ),
    Mutant(
        "One refused number holds its country",
        "domain/circuit.py",
        "        elif mark not in refused:\n",
        "        else:\n",
        "tests/unit/test_circuit_scopes.py"
        "::test_refusals_that_may_be_the_numbers_open_a_circuit_only_for_different_numbers_in_a_row",
    ),
    Mutant(
        "A call that waits for its caller id keeps its line",
        "domain/outcome.py",
        "        return self.fault is None or (self.fault.scope is Scope.ACCOUNT and self.fault.is_proof)\n",
        "        return True\n",
        "tests/unit/test_execution.py::test_a_refusal_that_is_the_accounts_uses_up_no_attempt_and_leaves_its_line",
    ),
    Mutant(
        "A refused number fails while no other call to its country is placed",
        "usecases/dial_attempt.py",
        "not breaker.places_others(asked, refused_since)):\n",
        "False):\n",
        "tests/integration/test_attention.py"
        "::test_fewer_than_five_numbers_wait_too_while_no_call_to_the_country_is_placed",
    ),
    Mutant(
        "Time gates are not asked again after an endpoint answered",
        "usecases/dial_attempt.py",
        "        if self.asked_at is not None and self.asked_at > now:\n",
        "        if False:\n",
        "tests/protocol/test_questions.py::test_a_window_that_closes_meanwhile_is_not_overstepped",
    ),
    Mutant(
        "A lost race asks an endpoint again",
        "usecases/dial_attempt.py",
        "            self.asked_at = self.services.now()\n",
        "            pass\n",
        "tests/protocol/test_questions.py::test_a_lost_race_does_not_ask_again",
    ),
    Mutant(
        "An endpoint without a usable answer counts as a yes",
        "usecases/ask_endpoints.py",
        "            return Answers((unanswered(gate, str(why), until),), opened=opened)\n",
        "            return Answers((Decision(gate),), opened=opened)\n",
        "tests/integration/test_questions.py"
        "::test_without_a_usable_answer_the_call_waits_and_is_dialled_once_there_is_one",
    ),
    Mutant(
        "A verdict holds for every purpose",
        "domain/questions.py",
        "(rule.scope, rule.source) == wanted and is_current:\n",
        "rule.source == wanted[1] and is_current:\n",
        "tests/unit/test_questions.py::test_a_verdict_holds_for_the_agent_the_purpose_and_the_scrub_until_it_expires",
    ),
    Mutant(
        "A webhook's answer is not read",
        "usecases/deliver_events.py",
        "                self.read_answer(subject, answer.body)\n",
        "                pass\n",
        "tests/integration/test_questions.py::test_the_answer_to_a_webhook_suppresses_the_number",
    ),
    Mutant(
        "The first refusal that may be the account's ends the attempt",
        "domain/execution.py",
        "result.fault.otherwise is not None and self.refused_since(reason):\n",
        "result.fault.otherwise is not None:\n",
        "tests/unit/test_execution.py"
        "::test_a_refusal_that_may_be_the_numbers_counts_as_the_numbers_when_it_comes_for_the_third_time",
    ),
    Mutant(
        "A call waits although its agent has another caller id",
        "usecases/circuit_breaker.py",
        "        caller = next((one for one in asked.callers if not is_held(one)), asked.callers[0])\n",
        "        caller = asked.callers[0]\n",
        "tests/unit/test_circuit_scopes.py::test_a_call_uses_the_first_caller_id_whose_calls_are_not_held",
    ),
    # ---- idempotency -------------------------------------------------------------------------------------------------
    Mutant(
        "An Idempotency-Key is claimed twice",
        "adapters/dynamodb/idempotency.py",
        '"attribute_not_exists(pk) OR expires_at <= :now"',
        '"attribute_not_exists(pk) OR expires_at <= :now OR expires_at > :now"',
        "tests/protocol/test_store_conditions.py::test_an_idempotency_key_is_claimed_once",
    ),
    Mutant(
        "An Idempotency-Key is forgotten after an hour",
        "adapters/dynamodb/idempotency.py",
        "REMEMBERED = timedelta(hours=24)",
        "REMEMBERED = timedelta(hours=1)",
        "tests/integration/test_api_calls.py::test_a_key_expires_after_a_day_and_belongs_to_its_account",
    ),
    Mutant(
        "An Idempotency-Key accepts another body",
        "usecases/idempotency.py",
        "    if first.body_hash != request.body_hash:\n",
        "    if not first.body_hash:\n",
        "tests/integration/test_api_calls.py::test_the_same_key_with_another_body_answers_409",
    ),
    # ---- calling hours -----------------------------------------------------------------------------------------------
    Mutant(
        "Calling hours are checked in the first of a number's zones only",
        "domain/calling_window.py",
        "    while agreed < len(zones):\n",
        "    while agreed < 1:\n",
        "tests/unit/test_calling_window.py::test_zones_too_far_apart_are_never_open_at_once",
    ),
    Mutant(
        "A window over midnight begins on an excluded date",
        "domain/calling_window.py",
        "            if day in self._excluded_days:\n                continue\n",
        "            if day in self._excluded_days:\n                pass\n",
        "tests/unit/test_calling_policies.py::test_nothing_is_placed_on_excluded_dates",
    ),
    Mutant(
        "All calls start as the window opens",
        "domain/calling_window.py",
        "% (minutes * 60))\n",
        "% minutes)\n",
        "tests/unit/test_calling_policies.py::test_ten_thousand_calls_are_spread_evenly_over_the_first_minutes",
    ),
    Mutant(
        "Clock changes are looked for in the middle of the week only",
        "domain/calling_window.py",
        "    while high - low > 1:\n",
        "    while high - low > _WEEK:\n",
        "tests/unit/test_calling_policies.py::test_the_wall_clock_decides_when_clocks_change",
    ),
    Mutant(
        "An agent's hours prevail over a call's own",
        "domain/gates.py",
        '        return in_force(own, policy, agent, is_default=self._policy_is_default) or ("", None)\n',
        '        return agent or in_force(own, policy, agent, is_default=self._policy_is_default) or ("", None)\n',
        "tests/integration/test_calling_rules.py::test_a_calls_own_windows_replace_its_batchs_and_those_its_agents",
    ),
    Mutant(
        "A default policy goes before what the agent says itself",
        "domain/policy.py",
        "    order = (own, agent, policy) if is_default else (own, policy, agent)\n",
        "    order = (own, policy, agent)\n",
        "tests/integration/test_policies.py::test_a_call_uses_its_own_policy_then_its_agents_then_its_accounts",
    ),
    Mutant(
        "Another change of an agent gives it its policy's latest version",
        "api/agent_config.py",
        '        body = {**body, "agent_config": {**body["agent_config"], "policy": config.policy}}\n',
        "        pass\n",
        "tests/integration/test_policies.py::test_calls_keep_the_version_that_they_were_made_with",
    ),
    Mutant(
        "A new agent does not have its account's policy",
        "usecases/accounts.py",
        "    return mark_agent(services, agent, **limited, account_policy=account.defaults.policy)\n",
        "    return mark_agent(services, agent, **limited)\n",
        "tests/integration/test_policies.py::test_a_new_agent_has_its_accounts_policy",
    ),
    Mutant(
        "A retry is announced after the expiry",
        "domain/retry.py",
        "    if expires_at is not None and at >= expires_at:\n",
        "    if expires_at is not None and now >= expires_at:\n",
        "tests/integration/test_policies.py::test_no_retry_is_made_after_the_expiry",
    ),
    Mutant(
        "A call waits for hours that open after its expiry",
        "domain/gates.py",
        "    if expires_at is None or decision.until is None or decision.until < expires_at:\n",
        "    if True:\n",
        "tests/integration/test_policies.py::test_a_call_ends_where_the_next_opening_comes_after_its_expiry",
    ),
    Mutant(
        "A contact does not know when its batch expires",
        "usecases/dial_attempt.py",
        "                execution = replace(execution, expires_at=batch.contacts_expire_at)\n",
        "                pass\n",
        "tests/integration/test_policies.py::test_a_contact_expires_with_its_batch",
    ),
    Mutant(
        "A window takes one attempt more than its budget",
        "domain/calling_window.py",
        "if count >= self.per_window))",
        "if count > self.per_window))",
        "tests/integration/test_policies.py::test_an_attempt_over_the_budget_of_a_window_waits_for_the_next_one",
    ),
    Mutant(
        "A condition on a policy is not checked",
        "usecases/policies.py",
        "        if not is_met(version):\n",
        "        if version == 0 and not is_met(version):\n",
        "tests/integration/test_policies.py::test_a_condition_protects_from_changes_of_others",
    ),
    Mutant(
        "A Russian mobile number is taken to be in Moscow",
        "domain/phone_number.py",
        "        tells_a_place = code in _MOBILE_AREA_CODES - {1}\n",
        "        tells_a_place = True\n",
        "tests/unit/test_calling_window.py::test_a_russian_mobile_number_may_be_in_all_of_russia",
    ),
    Mutant(
        "A call that can never be placed is accepted",
        "usecases/create_call.py",
        "    if fault is not None:\n",
        "    if not zones:\n",
        "tests/integration/test_calling_rules.py::test_a_call_that_can_never_be_placed_is_refused",
    ),
    Mutant(
        "A row that can never be placed is accepted",
        "domain/row_check.py",
        "            fault = unplaceable(self.rule, zones, self.at)\n",
        "            fault = None\n",
        "tests/integration/test_calling_rules.py::test_rows_that_can_never_be_placed_are_rejected",
    ),
    # ---- preflight, and the same number in two batches ---------------------------------------------------------------
    Mutant(
        "A key that was made for a batch counts as a rule",
        "adapters/dynamodb/number_rules.py",
        '        if "un" not in stored:\n',
        "        if stored:\n",
        "tests/integration/test_preflight.py::test_an_erased_person_is_not_in_the_index_and_a_deleted_batch_has_none",
    ),
    Mutant(
        "A batch that shares contacts is named by the later one alone",
        "usecases/run_batch.py",
        "update_batch(self.services, other, _sharing(batch.id, contacts), self.services.now())",
        "self.services.now()",
        "tests/integration/test_preflight.py::test_contacts_of_two_running_batches_are_reported_in_both",
    ),
    Mutant(
        "A preflight counts the rules of all agents",
        "adapters/dynamodb/number_rules.py",
        "            if scope in scopes and not is_over and not is_ahead:\n",
        "            if not is_over and not is_ahead:\n",
        "tests/integration/test_preflight.py::test_a_rule_counts_if_it_holds_when_the_batch_starts",
    ),
    Mutant(
        "The end of a batch is foreseen without its retries' intervals",
        "domain/finish.py",
        "self._wait(ended + interval + self._assumed.delay, left - 1, position, started)",
        "self._wait(ended + 0 * interval + self._assumed.delay, left - 1, position, started)",
        "tests/unit/test_finish.py::test_large_steps_end_as_calls_played_one_by_one",
    ),
    Mutant(
        "The end of a batch is foreseen as if windows stayed open",
        "domain/finish.py",
        "                closing = closes(now, self._rule, zones)\n",
        "                closing = until\n",
        "tests/unit/test_finish.py::test_a_step_ends_where_the_windows_close",
    ),
    # ---- plans and metrics -------------------------------------------------------------------------------------------
    Mutant(
        "A plan forgets that a call which is due earlier may be dialled later",
        "domain/plan.py",
        "            return closed if closed.until > now else None\n",
        "            return None\n",
        "tests/unit/test_plan.py::test_a_call_due_just_before_an_opening_is_dialled_later_than_one_due_just_after_it",
    ),
    Mutant(
        "A plan's own attempts do not count for limits",
        "domain/plan.py",
        "    return replace(facts, now=ended_at, execution=ended, contact=contact)\n",
        "    return replace(facts, now=ended_at, execution=ended)\n",
        "tests/unit/test_plan.py::test_earlier_attempts_and_those_of_the_plan_count_for_limits",
    ),
    Mutant(
        "A plan is made without the rules about the number",
        "usecases/foresee.py",
        "        number_rules=rules,\n",
        "        number_rules=(),\n",
        "tests/integration/test_api_plan.py::test_a_plan_warns_in_words",
    ),
    Mutant(
        "A gate that another invocation found closed is counted again",
        "runtime/telemetry.py",
        "    if last in found.changes[-1:]:\n",
        "    if last in found.changes[:0]:\n",
        "tests/unit/test_telemetry.py::test_a_closed_gate_is_counted_by_its_name_and_an_open_one_is_not",
    ),
    # ---- one call to a number, and contact limits --------------------------------------------------------------------
    Mutant(
        "A reservation is stored over any other",
        "adapters/dynamodb/numbers.py",
        "        self._table.put_version(item, called.version)\n",
        '        self._table.put(item, "attribute_exists(pk) OR attribute_not_exists(pk)")\n',
        "tests/protocol/test_one_call.py::test_of_two_reservations_one_wins",
    ),
    Mutant(
        "An old reservation is taken over while its claim may be under way",
        "usecases/one_call.py",
        "        save(services.executions, other, now)  # a claim over",
        "        pass  # a claim over",
        "tests/protocol/test_one_call.py::test_a_reservation_that_is_too_old_is_withdrawn_before_the_number_is_taken_over",
    ),
    Mutant(
        "An old read of an execution replaces its reservation",
        "usecases/one_call.py",
        "        if holder.version > execution.version:\n",
        "        if holder.attempt > execution.state.attempt.number:\n",
        "tests/protocol/test_one_call.py::test_an_old_read_of_the_execution_does_not_replace_its_reservation",
    ),
    Mutant(
        "A holder that waits is taken for over",
        "domain/called_number.py",
        "    return Use.CLAIMING if execution.version == holder.version else Use.OVER\n",
        "    return Use.OVER\n",
        "tests/protocol/test_one_call.py::test_of_two_reservations_one_wins",
    ),
    Mutant(
        "A claim is not preceded by a reservation",
        "usecases/dial_attempt.py",
        "        one_call.reserve(services, execution, self.number, now)\n",
        "",
        "tests/protocol/test_one_call.py::test_the_same_file_twice_and_a_single_call_ring_one_after_the_other",
    ),
    Mutant(
        "What the carrier did not place counts as an attempt",
        "domain/called_number.py",
        "    return attempt.dialed_at is not None and not is_refused\n",
        "    return attempt.dialed_at is not None\n",
        "tests/unit/test_contact_limits.py::test_what_becomes_of_a_holder",
    ),
    Mutant(
        "Waits for another call to the number end as an error of the carrier",
        "domain/execution.py",
        "        return self.kind is Marker.DEFERRED and closed_by(self.gates) == Gate.ONE_CALL\n",
        "        return False\n",
        "tests/unit/test_contact_limits.py::test_a_wait_for_another_call_never_ends_as_an_error_of_the_carrier",
    ),
    Mutant(
        "A new agent does not keep its account's limits",
        "usecases/accounts.py",
        "    return mark_agent(services, agent, **limited, account_policy=account.defaults.policy)\n",
        "    return mark_agent(services, agent, account_policy=account.defaults.policy)\n",
        "tests/protocol/test_one_call.py::test_new_agents_keep_the_limits_of_their_account",
    ),
    Mutant(
        "Erasing a call forgets when its number was dialled",
        "usecases/erase.py",
        "    keep_history(services, execution, now)\n",
        "",
        "tests/protocol/test_one_call.py::test_an_erased_person_is_still_called_within_the_limits",
    ),
    Mutant(
        "A key for an agent sees another agent's call",
        "usecases/narrowed.py",
        "        found = self._inner.get(execution_id, consistent=consistent)\n",
        "        return self._inner.get(execution_id, consistent=consistent)\n",
        "tests/integration/test_other_accounts.py::test_another_agents_id_in_the_path_is_unknown",
    ),
    Mutant(
        "A key for an agent suppresses a number for the whole account",
        "usecases/narrowed.py",
        "        self._check(rules)\n",
        "",
        "tests/integration/test_other_accounts.py::test_statistics_and_suppressions_name_an_agent",
    ),
    Mutant(
        "A key for an agent may use routes about the whole account",
        "api/scopes.py",
        "    if names is None:\n        raise Forbidden(",
        "    if names is None:\n        return\n        raise Forbidden(",
        "tests/integration/test_other_accounts.py::test_what_is_of_the_whole_account_is_refused_and_says_so",
    ),
    Mutant(
        "A parameter may name another agent",
        "api/scopes.py",
        "    if agent_id is not None and agent_id.lower() not in agents:\n",
        "    if agent_id is not None and not agents:\n",
        "tests/integration/test_other_accounts.py::test_statistics_and_suppressions_name_an_agent",
    ),
    Mutant(
        "A key's restriction holds for the process's next request too",
        "api/app.py",
        "    CURRENT.set(Current(None, context.aws_request_id))\n",
        "",
        "tests/integration/test_keys.py::test_a_restriction_ends_with_its_request",
    ),
    Mutant(
        "A key makes one with more than it has",
        "usecases/accounts.py",
        "    if too_much:\n",
        "    if not rights:\n",
        "tests/integration/test_keys.py::test_a_key_makes_none_with_more_than_it_has",
    ),
    Mutant(
        "A key for an agent makes one for all agents",
        "domain/api_key.py",
        "        if other.agents is not None:\n",
        "        if other.agents is not None and self.agents is not None:\n",
        "tests/integration/test_keys.py::test_rights_are_compared_in_every_respect",
    ),
    Mutant(
        "Answers to a key that sees masked numbers have full ones",
        "api/app.py",
        'to_json(masked_json(json.loads(answer["body"])))',
        'answer["body"]',
        "tests/integration/test_masked_numbers.py::test_no_answer_of_any_route_has_a_persons_number",
    ),
    Mutant(
        "Numbers without a country code in user data are not masked",
        "domain/masking.py",
        "free_form=free_form or name in FREE_FORM)",
        "free_form=free_form)",
        "tests/unit/test_masking.py::test_any_number_is_masked_in_what_customers_store_about_people",
    ),
    Mutant(
        "A key has one call more accepted than its quota",
        "adapters/dynamodb/call_quotas.py",
        '":rest": most - calls}',
        '":rest": most}',
        "tests/integration/test_call_quotas.py::test_a_key_has_so_many_calls_accepted_a_day",
    ),
    Mutant(
        "A call that another request made is counted twice",
        "usecases/create_call.py",
        "        taken_call.unused = not is_new\n",
        "        pass\n",
        "tests/integration/test_call_quotas.py::test_a_call_that_another_request_makes_at_the_same_time_is_given_back",
    ),
    Mutant(
        "A batch is counted again each time it is scheduled",
        "usecases/batches.py",
        "    return 0 if batch.counted else batch.valid\n",
        "    return batch.valid\n",
        "tests/integration/test_call_quotas_of_batches.py::test_a_batch_is_counted_once_when_it_is_scheduled",
    ),
    Mutant(
        "A batch is counted while its contacts are unknown",
        "usecases/batches.py",
        "    if not batch.ingested:\n        raise Conflict(\n            f\"the batch's file is still",
        "    if batch.is_over:\n        raise Conflict(\n            f\"the batch's file is still",
        "tests/integration/test_call_quotas_of_batches.py::test_contacts_are_counted_once_they_are_known",
    ),
    Mutant(
        "An audit record is overwritten",
        "adapters/dynamodb/audit.py",
        "        if not self._table.put_new(_encode(record)):\n",
        "        self._table.put_all([_encode(record)])\n        if not record.id:\n",
        "tests/integration/test_audit.py::test_a_record_is_never_overwritten",
    ),
    Mutant(
        "An audit record has the path and the query of a URL",
        "domain/audit.py",
        'text = f"{scheme}{host}" if rest in ("", "/") else',
        'text = f"{scheme}{host}{rest}" if rest else',
        "tests/unit/test_audit.py::test_of_a_url_the_host_is_shown",
    ),
    Mutant(
        "The lines of a key are not counted",
        "usecases/key_lines.py",
        "    return lines is None or acquire(services, lines, ONLY_SHARD, queued_call(execution), now)\n",
        "    return True\n",
        "tests/protocol/test_key_lines.py::test_calls_of_a_key_wait_for_its_lines_and_others_do_not",
    ),
    Mutant(
        "A key has one line more than its quota",
        "usecases/dispatch.py",
        "        return pool.lines\n",
        "        return pool.lines + 1\n",
        "tests/protocol/test_key_lines.py::test_calls_of_a_key_wait_for_its_lines_and_others_do_not",
    ),
    Mutant(
        "A batch's contacts do not have the lines of its key",
        "usecases/dial_attempt.py",
        "execution = replace(execution, key_pool=batch.key_pool)",
        "pass",
        "tests/protocol/test_key_lines.py::test_a_batch_of_a_limited_key_leaves_lines_to_another",
    ),
    Mutant(
        "A call that is deferred keeps its key's line",
        "usecases/dial_attempt.py",
        "        if is_over or (self.key_line_at is not None and not state.needs_key_line(self.attempt, now)):\n",
        "        if is_over:\n",
        "tests/protocol/test_key_lines.py::test_a_call_that_is_deferred_gives_its_line_up",
    ),
    Mutant(
        "A late release frees a key's line that was acquired since",
        "usecases/dial_attempt.py",
        "            since = None if is_over else self.key_line_at\n",
        "            since = None\n",
        "tests/protocol/test_key_lines.py::"
        "test_a_late_release_leaves_the_line_to_the_invocation_that_acquired_it_since",
    ),
    Mutant(
        "A stopped call stays in its key's queue",
        "usecases/key_lines.py",
        "    if execution.key_pool is not None:\n        services.queue.dequeue(",
        "    if execution.key_pool == '':\n        services.queue.dequeue(",
        "tests/protocol/test_key_lines.py::test_a_stopped_call_leaves_its_keys_queue",
    ),
    Mutant(
        "A late dial leaves the entry that the sweeper made",
        "usecases/dial_attempt.py",
        "            if queued_at is not None and queued_at + LEASE <= now:",
        "            if queued_at is not None and queued_at > now:",
        "tests/protocol/test_key_lines.py::test_an_entry_that_a_late_dial_left_behind_is_removed",
    ),
    Mutant(
        "A key with lines makes keys with more",
        "domain/api_key.py",
        "self.lines is None or self.lines > other.lines",
        "self.lines is None",
        "tests/integration/test_keys.py::test_rights_are_compared_in_every_respect",
    ),
)

EQUIVALENT: tuple[Equivalent, ...] = ()
