"""Every order of the steps of some actors, except orders that differ only in steps that commute.

The search is a depth-first search by replay: each order is run from the start, and the next one differs from it at one
place. Two things keep the number of runs small, and neither loses a behaviour:

- An order is changed only where it has a *race*: two steps of two actors that conflict, and between which nothing else
  enforces their order. The actor of the later step then goes first (dynamic partial-order reduction, Flanagan and
  Godefroid, POPL 2005). Steps that commute lead to the same state in both orders, so exchanging them shows nothing new;
  every order can be reached from one that was run by such exchanges.
- After the search tried an actor's step at a place, it does not try that step again in neighbouring orders until a
  conflicting step has run (sleep sets, Godefroid 1996): such an order would differ only in steps that commute.

Both require that an actor's next step is known before it is taken and depends only on what the actor has seen so far,
and that every actor ends. `test_orders.py` compares the search with a search of all orders, for random programs.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import factorial, prod

Keys = frozenset[Hashable]
NONE: Keys = frozenset()


class Diverged(Exception):
    """A replay met a different step: an actor depends on something besides the order."""


@dataclass(frozen=True)
class Step:
    """One step as far as its order matters: keys that it reads and writes, and sets of keys (a partition, an index)
    that it queries, or of whose members it changes one."""

    name: str
    reads: Keys = NONE
    writes: Keys = NONE
    queries: Keys = NONE
    changes: Keys = NONE

    def conflicts(self, other: "Step") -> bool:
        """Whether the two may lead to another state or answer in the other order."""
        return bool(
            self.writes & other.writes
            or self.writes & other.reads
            or self.reads & other.writes
            or self.changes & other.queries
            or self.queries & other.changes
        )


@dataclass
class _Choice:
    """A place in an order: the actors that can continue, the one chosen, those that must still be tried
    here, and those that need not be."""

    waiting: dict[int, Step]
    chosen: int
    wanted: set[int]
    asleep: set[int]

    def asleep_after(self) -> set[int]:
        taken = self.waiting[self.chosen]
        return {actor for actor in self.asleep if not self.waiting[actor].conflicts(taken)}


class Order:
    """One order while it runs. `repeats`: it differs from an earlier one only in steps that commute."""

    def __init__(self, choices: list[_Choice]) -> None:
        self.taken: list[tuple[int, Step]] = []
        self.repeats = False
        self._choices = choices

    def choose(self, waiting: Mapping[int, Step]) -> int:
        """Pick the actor that continues, given the next step of each that can. Raises `Diverged`."""
        place = len(self.taken)
        if place < len(self._choices):
            known = self._choices[place]
            if {actor: step.name for actor, step in known.waiting.items()} != {
                actor: step.name for actor, step in waiting.items()
            }:
                raise Diverged(f"step {place}: {known.waiting} became {dict(waiting)}")
            known.waiting = dict(waiting)  # each run has keys of its own
            chosen = known.chosen
        else:
            asleep = self._choices[-1].asleep_after() if self._choices and not self.repeats else set()
            free = [actor for actor in waiting if actor not in asleep]
            self.repeats = self.repeats or not free
            chosen = self._like_before(free or list(waiting))
            if not self.repeats:
                self._choices.append(_Choice(dict(waiting), chosen, {chosen}, asleep))
        self.taken.append((chosen, waiting[chosen]))
        return chosen

    def _like_before(self, actors: list[int]) -> int:
        before = self.taken[-1][0] if self.taken else None
        return before if before in actors else min(actors)

    def find_races(self) -> None:
        """At each race, try the actor of the later step first in another order."""
        seen: dict[int, dict[int, int]] = {}  # actor -> how many steps of each actor come before its next one
        seen_at: list[dict[int, int]] = []
        counts: dict[int, int] = {}
        for place, (actor, step) in enumerate(self.taken):
            known = seen.setdefault(actor, {})
            joined = dict(known)
            raced = False
            for earlier in reversed(range(place)):
                other, taken = self.taken[earlier]
                if other == actor or not taken.conflicts(step):
                    continue
                number = seen_at[earlier][other]
                if not raced and number > known.get(other, 0) and earlier < len(self._choices):
                    raced = True
                    choice = self._choices[earlier]
                    choice.wanted |= {actor} if actor in choice.waiting else set(choice.waiting)
                for one, count in seen_at[earlier].items():
                    joined[one] = max(joined.get(one, 0), count)
            counts[actor] = counts.get(actor, 0) + 1
            joined[actor] = counts[actor]
            seen[actor] = joined
            seen_at.append(joined)


def every_order() -> Iterator[Order]:
    """The orders, one after the other: call `choose` of each until its actors are done, then take the next."""
    choices: list[_Choice] = []
    while True:
        order = Order(choices)
        yield order
        order.find_races()
        while choices:
            last = choices[-1]
            last.asleep.add(last.chosen)
            left = last.wanted - last.asleep
            if left:
                last.chosen = min(left)
                break
            choices.pop()
        else:
            return


def possible(steps: Sequence[int]) -> int:
    """The number of orders of actors with that many steps each."""
    return factorial(sum(steps)) // prod(map(factorial, steps))
