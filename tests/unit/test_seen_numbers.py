"""Seen phone numbers in a temporary file."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redial.adapters.seen_numbers import SqliteSeenNumbers
from tests.support.examples import examples


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files during the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_number_is_new_once_and_then_has_its_first_line() -> None:
    with SqliteSeenNumbers() as seen:
        assert seen.first_line("+12025550101", 2) is None
        assert seen.first_line("+12025550102", 3) is None
        assert seen.first_line("+12025550101", 4) == 2
        assert seen.first_line("+12025550101", 5) == 2
        assert seen.first_line("+12025550102", 6) == 3


def test_the_shortest_and_the_longest_numbers_differ() -> None:
    numbers = ["+1000000", "+9999999", "+100000000000000", "+999999999999999", "+999999999999998"]
    with SqliteSeenNumbers() as seen:
        assert [seen.first_line(number, 2) for number in numbers] == [None] * len(numbers)


def test_each_file_has_its_own() -> None:
    with SqliteSeenNumbers() as one, SqliteSeenNumbers() as other:
        assert one.first_line("+12025550101", 2) is None
        assert other.first_line("+12025550101", 3) is None


def test_nothing_is_left_on_the_disk(temporary: Path) -> None:
    with SqliteSeenNumbers() as seen:
        seen.first_line("+12025550101", 2)
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_on_the_disk_when_reading_fails(temporary: Path) -> None:
    def read() -> None:
        with SqliteSeenNumbers() as seen:
            seen.first_line("+12025550101", 2)
            raise RuntimeError("unreadable")

    with pytest.raises(RuntimeError, match="unreadable"):
        read()
    assert list(temporary.iterdir()) == []


@given(st.lists(st.integers(1_000_000, 1_000_020) | st.integers(1_000_000, 999_999_999_999_999)))
@settings(max_examples=examples(50), deadline=None)
def test_it_agrees_with_a_dict(digits: list[int]) -> None:
    known: dict[int, int] = {}
    with SqliteSeenNumbers() as seen:
        for line, number in enumerate(digits, start=2):
            first = known.setdefault(number, line)
            assert seen.first_line(f"+{number}", line) == (None if first == line else first)
