"""Our `dataclass` creates the same classes as the standard library's, in less time."""

import dataclasses
from typing import Any

import pytest

from redial.domain.values import dataclass


def _classes(decorator: Any) -> tuple[Any, Any, Any]:
    """A frozen class, one that inherits from it, and one that is not frozen."""

    @decorator(frozen=True)
    class Base:
        """A value."""

        number: int
        secret: str = dataclasses.field(default="s", repr=False)
        note: str = dataclasses.field(default="", compare=False)

    @decorator(frozen=True)
    class Derived(Base):
        """A value with one more field."""

        more: tuple[int, ...] = ()

    @decorator
    class Open:
        """A class with one field."""

        only: list[int]

    return Base, Derived, Open


OURS, THEIRS = _classes(dataclass), _classes(dataclasses.dataclass)
ARGUMENTS: tuple[tuple[int, tuple[Any, ...]], ...] = (
    (0, (1,)),
    (0, (1, "t")),
    (0, (1, "s", "note")),
    (0, (2,)),
    (1, (1,)),
    (1, (1, "s", "", (3,))),
    (2, ([1],)),
    (2, ([],)),
)


@pytest.mark.parametrize("left", ARGUMENTS)
def test_equality_text_and_hash_are_those_of_the_standard_library(left: tuple[int, tuple[Any, ...]]) -> None:
    ours, theirs = OURS[left[0]](*left[1]), THEIRS[left[0]](*left[1])
    assert repr(ours) == repr(theirs)
    for which, arguments in ARGUMENTS:
        assert (ours == OURS[which](*arguments)) == (theirs == THEIRS[which](*arguments))
        assert (ours != OURS[which](*arguments)) == (theirs != THEIRS[which](*arguments))
    assert ours != left[1]
    if left[0] == 2:
        for one in (ours, theirs):
            with pytest.raises(TypeError, match="unhashable"):
                hash(one)
    else:
        assert hash(ours) == hash(theirs)


@pytest.mark.parametrize("which", [0, 1])
def test_a_frozen_value_cannot_be_changed_and_can_be_replaced(which: int) -> None:
    value = OURS[which](1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.number = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del value.number
    assert dataclasses.replace(value, number=2) == OURS[which](2)
