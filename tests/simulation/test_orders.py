"""The search for orders, on small programs whose orders can all be run."""

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from tests.simulation.orders import Diverged, Order, Step, every_order, possible

Program = list[list[tuple[str, str]]]
"""For each actor its steps: what ("read", "write", "add", "sum") and which key."""


_RUNS = count()


def step_of(run: int, kind: str, key: str) -> Step:
    one, group = frozenset({(run, key)}), frozenset({(run, key[0])})
    match kind:
        case "read":
            return Step(f"read {key}", reads=one)
        case "sum":
            return Step(f"sum {key[0]}", queries=group)
    return Step(f"{kind} {key}", writes=one, changes=group)


class Memory:
    """A run of a program: what each actor has read decides what it writes, and whether it takes its last step. Each run
    has its own keys, as each run of a story has its own ids."""

    def __init__(self, program: Program) -> None:
        self.run = next(_RUNS)
        self.program = program
        self.stored: dict[str, int] = {}
        self.known = [actor + 1 for actor in range(len(program))]
        self.at = [0] * len(program)

    def waiting(self) -> dict[int, Step]:
        return {
            actor: step_of(self.run, *self.program[actor][at])
            for actor, at in enumerate(self.at)
            if not self.ended(actor)
        }

    def ended(self, actor: int) -> bool:
        at, steps = self.at[actor], self.program[actor]
        return at == len(steps) or (at == len(steps) - 1 and self.known[actor] % 3 == 0)

    def take(self, actor: int) -> None:
        kind, key = self.program[actor][self.at[actor]]
        self.at[actor] += 1
        if kind == "read":
            self.known[actor] = self.known[actor] * 7 + self.stored.get(key, 0)
        elif kind == "sum":
            self.known[actor] = self.known[actor] * 7 + sum(
                value for name, value in self.stored.items() if name[0] == key[0]
            )
        else:
            self.stored[key] = self.known[actor] + (self.stored.get(key, 0) if kind == "add" else 0)

    def end(self) -> tuple[object, ...]:
        return (*sorted(self.stored.items()), *self.known)


def run(program: Program, order: Order) -> tuple[object, ...]:
    memory = Memory(program)
    while waiting := memory.waiting():
        memory.take(order.choose(waiting))
    return memory.end()


def all_ends(program: Program, path: tuple[int, ...] = ()) -> Iterator[tuple[object, ...]]:
    memory = Memory(program)
    for actor in path:
        memory.take(actor)
    waiting = memory.waiting()
    if not waiting:
        yield memory.end()
    for actor in waiting:
        yield from all_ends(program, (*path, actor))


def random_program(chance: Random, actors: int, most: int) -> Program:
    kinds = ("read", "write", "add", "sum")
    keys = ("a1", "a2", "b1")
    return [
        [(chance.choice(kinds), chance.choice(keys)) for _ in range(chance.randint(1, most))] for _ in range(actors)
    ]


@pytest.mark.parametrize(("actors", "most", "programs"), [(2, 4, 150), (3, 2, 100)])
def test_no_outcome_of_any_order_is_missed(actors: int, most: int, programs: int) -> None:
    chance = Random(7)
    fewer = 0
    for _ in range(programs):
        program = random_program(chance, actors, most)
        everything = list(all_ends(program))
        orders = []
        found = set()
        for order in every_order():
            found.add(run(program, order))
            orders.append(order)
        assert found == set(everything), program
        assert len(orders) <= len(everything)
        fewer += len(orders) < len(everything)
    assert fewer > programs / 2


def test_steps_that_commute_are_run_in_one_order() -> None:
    program: Program = [[("write", "a1"), ("read", "a1")], [("write", "b1"), ("add", "b1"), ("read", "b1")]]
    assert [run(program, order) for order in every_order()] == [run(program, next(every_order()))]


def test_steps_that_all_conflict_are_run_in_every_order() -> None:
    program: Program = [[("add", "a1")] * 2 + [("read", "a1")], [("add", "a1")] * 2 + [("read", "b1")]]
    ran = 0
    for order in every_order():
        run(program, order)
        ran += not order.repeats
    # The read of b1 commutes with everything, so it is three steps against two that conflict.
    assert ran == possible([3, 2])


def test_a_replay_that_meets_another_step_is_an_error() -> None:
    orders = every_order()
    program: Program = [[("add", "a1")], [("add", "a1")]]
    run(program, next(orders))
    other: Program = [[("add", "a2")], [("add", "a1")]]
    with pytest.raises(Diverged):
        run(other, next(orders))


def test_no_order_is_run_that_repeats_another_where_all_steps_conflict() -> None:
    program: Program = [[("add", "a1"), ("add", "a1")], [("add", "a1"), ("add", "a1")]]
    orders = []
    for order in every_order():
        run(program, order)
        orders.append(tuple(actor for actor, _ in order.taken))
        assert not order.repeats
    assert len(orders) == len(set(orders)) == possible([2, 2])
