"""The packed form of stored executions: which items have it, what it preserves, and how versions that lack it react."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant

from redial.adapters.dynamodb.items import from_item, to_item
from redial.domain.delivery import DeliveryAttempt
from redial.domain.execution import Execution
from redial.domain.status import Status
from redial.wire import packed_execution
from redial.wire.packed_execution import MAY_PACK, PACK_AFTER, PACKED, VOCABULARY_1, packed, unpacked
from redial.wire.stored_execution import decode, encode, status_of
from tests.protocol.test_newer_names_are_kept import with_a_note, with_names
from tests.support.examples import examples
from tests.support.samples import TEN, minutes, placed, queued, reported, seconds
from tests.unit.test_execution import AnyLife


def retried(attempts: int, interval: timedelta = timedelta(minutes=30)) -> Execution:
    """An execution after that many unanswered attempts, with all events delivered."""
    execution, now = replace(queued(), user_data={"note": "x" * 180}), TEN
    for _ in range(attempts):
        execution = reported(placed(execution, now), Status.RINGING, now + seconds(3))
        execution = reported(execution, Status.NO_ANSWER, now + seconds(33), code="487", reason="no answer at all")
        now += interval
    log = tuple(DeliveryAttempt(number, change.at, 200, 1) for number, change in execution.events())
    return replace(execution, delivery=replace(execution.delivery, settled=len(log), log=log)).with_due(now)


def item_of(execution: Execution, **attributes: Any) -> dict[str, Any]:
    """The plain item of an execution that was created by a version that reads the packed form."""
    return encode(execution) | {MAY_PACK: True} | attributes


def size(item: dict[str, Any]) -> int:
    with mock.patch.object(packed_execution, "WRITE_BYTES", 1):
        return packed_execution._write_units(item)


def test_the_vocabulary_is_never_edited() -> None:
    """With any other vocabulary, items in production tables are unreadable."""
    digest = hashlib.sha256(VOCABULARY_1).hexdigest()
    assert digest == "1bacb8b83ef48740e6ac4baf78cf2ce3dda0814bc5b592a6269b7fc351e64023"


@pytest.mark.parametrize("attempts", [2, 3])
def test_a_long_history_is_packed_and_read_as_it_was(attempts: int) -> None:
    execution = retried(attempts)
    plain = item_of(execution)
    stored = packed(plain)
    assert PACKED in stored and not {"dl", "rc"} & stored.keys()
    assert size(stored) <= 1024 < size(plain)
    assert unpacked(stored) == plain
    assert decode(from_item(to_item(stored))) == replace(execution, newer={MAY_PACK: True})


def test_the_status_is_legible_in_the_packed_form() -> None:
    stored = packed(item_of(retried(3)))
    (_, at, _, *_) = json.loads(encode(retried(3))["ch"])[-1]
    assert json.loads(stored["ch"]) == [["z1"], ["scheduled", at, 4]]
    assert status_of(stored) is Status.SCHEDULED


def test_a_version_that_does_not_know_the_packed_form_raises_an_error() -> None:
    """If it took `ch` for the whole history, it would number the events wrongly and dial again."""
    stored = packed(item_of(retried(3)))
    del stored[PACKED]
    with pytest.raises(ValueError, match="unpack"):
        decode(stored)


def with_bytes(count: int) -> dict[str, Any]:
    """An item of that size that may be packed."""
    plain = item_of(replace(retried(1), created_at=TEN - PACK_AFTER), ud="")
    return plain | {"ud": "x" * (count - size(plain))}


def test_an_item_of_one_kilobyte_is_stored_plainly_and_a_larger_one_packed() -> None:
    fits, exceeds = with_bytes(1024), with_bytes(1025)
    assert (size(fits), size(exceeds)) == (1024, 1025)
    assert packed(fits) == fits
    assert PACKED in packed(exceeds)


def test_an_item_is_stored_plainly_where_packing_saves_no_write_unit() -> None:
    assert PACKED in packed(with_bytes(2049))
    assert packed(with_bytes(2040)) == with_bytes(2040)


def test_an_item_created_by_a_version_that_cannot_read_the_packed_form_is_never_packed() -> None:
    plain = encode(retried(4))
    assert size(plain) > 1024
    assert packed(plain) == plain


@pytest.mark.parametrize(("after", "is_packed"), [(PACK_AFTER - minutes(1 / 60), False), (PACK_AFTER, True)])
def test_an_item_is_packed_only_after_the_deployment_of_the_version_that_created_it(
    after: timedelta, is_packed: bool
) -> None:
    execution = retried(3, minutes(5))
    plain = item_of(replace(execution, created_at=execution.changes[-1].at - after))
    assert (PACKED in packed(plain)) == is_packed


class AnyPackedLife(AnyLife):
    """Any possible history, even with names of a newer version, is the same after packing and unpacking."""

    @invariant()
    def it_is_packed_as_it_is(self) -> None:
        item = item_of(self.execution)
        for plain in (item, with_a_note(with_names(item))):
            with mock.patch.multiple(packed_execution, WRITE_BYTES=1, PACK_AFTER=timedelta(0)):
                stored = packed(plain)
            assert size(stored) <= size(plain)
            assert decode(stored) == decode(plain)
            assert status_of(stored) is self.execution.state.status


AnyPackedLife.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=40)
TestAnyPackedLife = AnyPackedLife.TestCase
