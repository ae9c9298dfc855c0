"""Conformance: each write and each ring of a simulated world must be a step of the models.

A step is described by a few words that can be derived from a state of a model and from the stored items, such as
`dial: waiting, 0 rings → claimed, 0 rings`. `of_model` lists the steps of all edges of the models, with the actions
that make them; steps.txt stores this list. `Validator` describes its observations in the same words; a description that
no model has is a violation. A change that leaves the description unchanged is not a step.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.aws.dynamodb import Image, changes_of
from redial.domain.execution import Execution, Marker
from redial.domain.queue import KeyLines
from redial.domain.status import Status
from redial.usecases import dispatch
from redial.wire.timestamps import from_ms, to_ms
from tests.protocol.document import found
from tests.protocol.model import DELAYED, DELIVERY, DIAL, LINE, pending

if TYPE_CHECKING:
    from tests.simulation.world import Placed, World

STEPS = Path(__file__).with_name("steps.txt")
SKEW = timedelta(seconds=2)
"""The largest difference between two functions' clocks."""
LIMIT_IN_FORCE = timedelta(minutes=2)
"""How long a dial may still use the limit that was in force before it was lowered."""
exercised: Counter[str] = Counter()
"""How often each step was observed, in all worlds of this process."""

# ---- words --------------------------------------------------------------------------------------------------------


def _dial(phase: str, rings: int, late: int | None) -> str:
    return f"{phase}, {rings} rings" + ("" if late is None else f", {late} of the lost attempt before")


def _line(phase: str, holds: bool) -> str:
    return f"{phase} {'with' if holds else 'without'} a line"


def _holders(freed: int, taken: int, fits: bool) -> str:
    return f"line: {freed} released and {taken} acquired in one write{'' if fits or not taken else ', above the limit'}"


def _settled(leased: bool, known: bool) -> str:
    how = "accepted or given up" if known else "neither accepted nor given up"
    return f"delivery: settled with{'' if leased else 'out'} a lease, {how}"


def _moved(before: int | None, after: int | None) -> str:
    if before is None:
        return "set"
    return "emptied" if after is None else "lowered" if after < before else "raised"


# ---- the model ----------------------------------------------------------------------------------------------------


def of_model() -> dict[str, set[str]]:
    """Each step of the models, with the actions that make it."""
    steps: dict[str, set[str]] = defaultdict(set)
    for model, describe in (
        (DIAL, _dial_edge),
        (LINE, _line_edge),
        (DELIVERY, _delivery_edge),
        (DELAYED, _delayed_edge),
    ):
        for before, action, after in found(model.name).edges:
            for step in describe(before, after):
                steps[step].add(action)
    return {step: {_unnumbered(action) for action in actions} for step, actions in sorted(steps.items())}


def _unnumbered(action: str) -> str:
    """The action without the number of the invocation or the letter of the call."""
    return re.sub(r"^(dial|worker|deliver) \d|^[ABC](?=: )", r"\1", action).removeprefix(": ")


def _dial_edge(before: Any, after: Any) -> Iterator[str]:
    def words(s: Any) -> str:
        return _dial(s.phase, s.rings[s.attempt], s.rings[0] if s.lost and s.phase == "waiting" else None)

    if words(before) != words(after) or before.attempt != after.attempt:
        attempt = after.attempt - before.attempt
        yield f"dial: {words(before)} → {words(after)}{f' ({attempt:+d})' if attempt else ''}"


def _line_edge(before: Any, after: Any) -> Iterator[str]:
    def words(s: Any, who: int) -> str:
        return _line({"paused": "waiting"}.get(s.phases[who], s.phases[who]), who in s.holders)

    for who in range(3):
        if words(before, who) != words(after, who):
            yield f"line: {words(before, who)} → {words(after, who)}"
    freed, taken = before.holders - after.holders, after.holders - before.holders
    if freed or taken:
        yield _holders(len(freed), len(taken), len(after.holders) <= 1)


def _delivery_edge(before: Any, after: Any) -> Iterator[str]:
    old, new = before.item, after.item
    if new.last > old.last:
        yield "delivery: event"
    if new.lease not in (-1, old.lease):
        held = old.lease >= 0 and before.at[old.lease] != "idle"
        yield f"delivery: lease taken, {'held by another' if held else 'abandoned' if old.lease >= 0 else 'free'}"
    if new.replaying - old.replaying:
        yield "delivery: replay"
    elif new.settled > old.settled or new.replaying < old.replaying or new.undelivered != old.undelivered:
        settled = {*range(old.settled + 1, new.settled + 1), *(old.replaying - new.replaying)}
        yield _settled(old.lease >= 0, settled <= after.taken | new.undelivered)
    if old.lease >= 0 and new.lease < 0:
        yield f"delivery: lease released, {'more to send' if pending(new) else 'all sent'}"


def _delayed_edge(before: Any, after: Any) -> Iterator[str]:
    for who in after.rows - before.rows:
        yield f"delayed: entry put, contact {'stored' if after.contacts[who] == 'stored' else 'not stored yet'}"
    for who in after.taken - before.taken:
        yield f"delayed: entry popped, {'due' if who < after.now else 'not due'}"
    if before.taken - after.taken - (before.rows - after.rows):
        yield "delayed: entry may be popped again"
    for who in before.rows - after.rows:
        yield f"delayed: entry removed, contact {'waits' if after.contacts[who] in ('stored', 'taken') else 'gone'}"
    for who, (was, now) in enumerate(zip(before.contacts, after.contacts, strict=True)):
        if now == "stored" and was == "entered":
            yield f"delayed: contact stored, entry {'there' if who in after.rows else 'missing'}"
    if before.time != after.time:
        yield f"delayed: time {_moved(*(None if one.time == 9 else one.time for one in (before, after)))}"


@cache
def allowed() -> dict[str, tuple[str, ...]]:
    """The steps stored in steps.txt."""
    lines = (line.split(" | ") for line in STEPS.read_text(encoding="utf-8").splitlines())
    return {step: tuple(actions.split("; ")) for step, actions in lines}


def kept(steps: dict[str, set[str]]) -> str:
    return "".join(f"{step} | {'; '.join(sorted(actions))}\n" for step, actions in steps.items())


def never_exercised() -> list[str]:
    """Actions of the model that this process has not observed in any world."""
    seen = {action for step in exercised for action in allowed().get(step, ())}
    return sorted({action for actions in allowed().values() for action in actions} - seen)


# ---- the world ----------------------------------------------------------------------------------------------------

_LIVE = {
    Status.INITIATED: "initiated",
    Status.RINGING: "ringing",
    Status.IN_PROGRESS: "answered",
    Status.CALL_DISCONNECTED: "answered",  # the attempt's outcome is still open
}


def _phase(execution: Execution) -> str:
    state = execution.state
    if state.is_live:
        return _LIVE[state.status]
    if state.is_final:
        return "stopped" if state.status is Status.STOPPED and state.attempt.dialed_at is None else "ended"
    return "waiting" if state.claimed_at is None else "unknown" if state.unknown else "claimed"


class Validator:
    """Watches one world. Call `watch` once, when the world has started."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._known: dict[str, Execution] = {}
        self._words: dict[str, str] = {}
        self._gone: set[str] = set()
        self._held: dict[str, dict[str, int]] = defaultdict(dict)  # execution → line shard → attempt
        self._rows: dict[str, set[str]] = defaultdict(set)  # batch → sort keys of its delayed set

    @classmethod
    def watch(cls, world: "World") -> None:
        validator = cls(world)
        changes_of(world.environment["TABLE_NAME"]).listeners.append(validator.wrote)
        world.on_placed.append(validator.rang)

    def _observe(self, steps: Iterable[str], of: str) -> None:
        for step in steps:
            exercised[step] += 1
            self._world.judge("every step is a step of the models", step in allowed(), f"{of}: {step}")

    # observed events

    def rang(self, world: "World", placed: "Placed") -> None:
        execution = self._known[placed.execution_id]
        number = execution.state.attempt.number
        if placed.attempt in (number, number - 1):
            self._observe(self._dialled(execution, execution), execution.id)
        if len(world.seen.placed[placed.execution_id, placed.attempt]) > 1:
            self._observe(("dial: an attempt rings twice",), execution.id)

    def wrote(self, old: Image | None, new: Image | None) -> None:
        one = new if new is not None else old
        assert one is not None
        pk, sk = str(one.plain["pk"]["S"]), str(one.plain["sk"]["S"])
        kind, _, subject = pk.partition("#")
        before, after = ({} if item is None else item.plain for item in (old, new))
        if kind == "X" and sk == "X":
            if new is None:
                self._gone.add(subject)
                self._known.pop(subject, None)
            else:
                self._execution(self._world.seen.executions[subject])
        elif kind == "L":
            self._line(subject, before, after)
        elif kind == "R":
            self._row(subject, sk, before, after)
        elif kind == "Q" and sk.startswith("0b#") and old is not None and new is not None:
            was, now = (int(item["rf"]["N"]) if "rf" in item else None for item in (before, after))
            if was != now:
                self._observe((f"delayed: time {_moved(was, now)}",), sk)

    def _execution(self, after: Execution) -> None:
        before = self._known.get(after.id)
        self._known[after.id] = after
        self._gone.discard(after.id)
        if before is None:
            self._words[after.id] = self._dial_words(after)
            return
        self._observe(self._dialled(before, after), after.id)
        self._observe(self._line_of(before, after), after.id)
        if self._world.has_endpoint(after):
            self._observe(self._delivered(before, after), after.id)
        state = after.state
        if state.is_delayed and state.is_waiting and not (before.state.is_delayed and before.state.is_waiting):
            there = self._row_of(after) in self._rows[str(after.batch_id)]
            self._observe((f"delayed: contact stored, entry {'there' if there else 'missing'}",), after.id)

    # dial

    def _rings(self, execution: Execution, number: int) -> int:
        return len(self._world.seen.placed.get((execution.id, number), ()))

    def _dial_words(self, execution: Execution) -> str:
        state = execution.state
        number = state.attempt.number
        lost = number > 1 and state.is_waiting and state.attempts[-2].lost
        return _dial(
            _phase(execution), self._rings(execution, number), self._rings(execution, number - 1) if lost else None
        )

    def _dialled(self, before: Execution, after: Execution) -> Iterator[str]:
        was, now = self._words[after.id], self._dial_words(after)
        self._words[after.id] = now
        number = before.state.attempt.number
        attempt = after.state.attempt.number - number
        placed = self._world.seen.placed.get((after.id, number), ())
        if (
            attempt == 1
            and after.state.is_waiting
            and after.state.attempts[-2].lost
            and any(one.late for one in placed)
        ):
            # The carrier placed the call after its absence was already proof: the attempt may be given up as
            # if the phone rang later.
            given_up = _dial("waiting", 0, 0)
            yield f"dial: {_dial(_phase(before), 0, None)} → {given_up} (+1)"
            yield f"dial: {given_up} → {now}"
        elif was != now or attempt:
            yield f"dial: {was} → {now}{f' ({attempt:+d})' if attempt else ''}"

    # line

    def _line_phase(self, execution_id: str, attempt: int, execution: Execution | None = None) -> str:
        execution = execution or self._known.get(execution_id)
        if execution_id in self._gone or execution is None or execution.state.attempt.number != attempt:
            return "over"
        state = execution.state
        if state.is_waiting or not state.needs_line:
            return "waiting" if state.is_waiting else "over"
        found = any(change.kind is Marker.FOUND and change.attempt == attempt for change in execution.changes)
        return "reopened" if found else "live"

    def _line_of(self, before: Execution, after: Execution) -> Iterator[str]:
        """Steps of the line of the attempt that was current before this write, and of a reopened attempt."""
        number, reopened = before.state.attempt.number, after.state.attempt.number
        for attempt in {number, min(number, reopened)}:
            holds = attempt in self._held[after.id].values()
            was, now = (self._line_phase(after.id, attempt, one) for one in (before, after))
            if was != now:
                yield f"line: {_line(was, holds)} → {_line(now, holds)}"

    def _line(self, shard: str, before: Any, after: Any) -> None:
        was, now = (
            {who: int(held["M"]["a"]["N"]) for who, held in item.get("holders", {"M": {}})["M"].items()}
            for item in (before, after)
        )
        if was == now:
            return
        freed, taken = was.keys() - now.keys(), now.keys() - was.keys()
        of_key = KeyLines.parse("", shard.rpartition("#")[0])
        if of_key is not None:  # in addition to its agent's line, which the models describe
            if freed or taken:
                self._observe((_holders(len(freed), len(taken), len(now) <= of_key.lines),), shard)
            return
        for who in freed | taken:
            attempt = now[who] if who in taken else was[who]
            phase, held = self._line_phase(who, attempt), attempt in self._held[who].values()
            if who in taken:
                self._held[who][shard] = attempt
            else:
                self._held[who].pop(shard, None)
            holds = attempt in self._held[who].values()
            if held != holds:
                self._observe((f"line: {_line(phase, held)} → {_line(phase, holds)}",), f"{shard} {who}")
        for who in now.keys() - taken:
            self._held[who][shard] = now[who]
        if freed or taken:
            self._observe((_holders(len(freed), len(taken), len(now) <= self._capacity(shard)),), shard)

    def _capacity(self, shard: str) -> int:
        agent_id, _, number = shard.rpartition("#")
        limits, since = self._world.seen.limits[agent_id], self._world.now - LIMIT_IN_FORCE
        in_force = [value for at, value in limits if at > since] + [value for at, value in limits if at <= since][-1:]
        per_shard = dispatch.LINES_PER_SHARD
        return max(0, min(per_shard, max(in_force) - per_shard * int(number)))

    # delivery

    def _delivered(self, before: Execution, after: Execution) -> Iterator[str]:
        old, new, now = before.delivery, after.delivery, self._world.now
        if after.last_sequence > before.last_sequence:
            yield "delivery: event"
        leased = old.lease_id is not None or new.lease_id is not None
        if new.lease_id not in (None, old.lease_id):
            held = old.lease_until is not None and old.lease_until > now + SKEW
            yield f"delivery: lease taken, {'held by another' if held else 'abandoned' if old.lease_id else 'free'}"
        if set(new.replaying) - set(old.replaying):
            yield "delivery: replay"
        elif (old.settled, old.replaying, old.undelivered) != (new.settled, new.replaying, new.undelivered):
            settled = {*range(old.settled + 1, new.settled + 1), *(set(old.replaying) - set(new.replaying))}
            accepted = {one.body["sequence"] for one in self._world.seen.received[after.id] if one.taken}
            yield _settled(leased, settled <= accepted | set(new.undelivered))
        if old.lease_id is not None and new.lease_id is None:
            yield f"delivery: lease released, {'more to send' if after.pending() else 'all sent'}"

    # the delayed set

    @staticmethod
    def _row_of(execution: Execution) -> str | None:
        at = execution.state.next_time
        return None if at is None else f"{to_ms(at):013d}#{execution.id}"

    def _row(self, batch_id: str, sort_key: str, before: Any, after: Any) -> None:
        ready, _, who = sort_key.partition("#")
        execution = self._known.get(who)
        waits = execution is not None and execution.state.is_delayed and self._row_of(execution) == sort_key
        rows = self._rows[batch_id]
        if not after:
            rows.discard(sort_key)
            self._observe((f"delayed: entry removed, contact {'waits' if waits else 'gone'}",), sort_key)
        elif not before:
            rows.add(sort_key)
            self._observe((f"delayed: entry put, contact {'stored' if waits else 'not stored yet'}",), sort_key)
        elif after.get("tk") != before.get("tk"):
            due = "due" if _instant(ready) <= self._world.now + SKEW else "not due"
            self._observe(
                (f"delayed: entry popped, {due}" if "tk" in after else "delayed: entry may be popped again",), sort_key
            )


def _instant(milliseconds: str) -> datetime:
    return from_ms(int(milliseconds))
