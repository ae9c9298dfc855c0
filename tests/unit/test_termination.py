"""How an attempt ended, in the terms of the wire format."""

from datetime import timedelta
from typing import Any

import pytest

from redial.domain.execution import Attempt
from redial.domain.status import FINAL, Status
from redial.domain.termination import hangup_by, ring_seconds, termination_reason
from tests.support.samples import TEN, seconds


def attempt(status: Status, **facts: Any) -> Attempt:
    return Attempt(1, status, TEN, **facts)


@pytest.mark.parametrize(
    ("status", "facts", "reason", "by"),
    [
        (Status.COMPLETED, {}, "user_hung_up", "Unknown"),
        (Status.COMPLETED, {"hangup_by": "callee"}, "user_hung_up", "Callee"),
        (Status.COMPLETED, {"hangup_by": "caller"}, "agent_ended_call", "Caller"),
        (Status.COMPLETED, {"hangup_by": "carrier", "voicemail": False}, "user_hung_up", "Carrier"),
        (Status.COMPLETED, {"voicemail": True, "hangup_by": "caller"}, "voicemail_reached", "Caller"),
        (Status.NO_ANSWER, {}, "no_answer", "Carrier"),
        (Status.BUSY, {"code": "486"}, "busy", "Carrier"),
        (Status.BUSY, {"code": "603"}, "busy", "Callee"),
        (Status.FAILED, {"code": "603"}, "busy", "Callee"),
        (Status.FAILED, {"code": "607"}, "busy", "Callee"),
        (Status.FAILED, {"code": "608"}, "provider_error", "Carrier"),
        (Status.FAILED, {"code": "503"}, "provider_error", "Carrier"),
        (Status.FAILED, {"code": "21211", "invalid_number": True}, "invalid_number", "Carrier"),
        (Status.CANCELED, {"call_id": "CA1", "hangup_by": "caller"}, "agent_ended_call", "API Request"),
        (Status.CANCELED, {}, None, None),
        (Status.BALANCE_LOW, {}, "insufficient_balance", "Error"),
        (Status.ERROR, {"code": "21210", "dialed_at": TEN}, "platform_error", "Error"),
        (Status.ERROR, {"lost": True, "dialed_at": TEN}, "provider_error", "Error"),
        (Status.ERROR, {"is_held": True}, "provider_error", "Error"),
        (Status.ERROR, {}, "platform_error", "Error"),
        (Status.STOPPED, {}, None, None),
    ],
)
def test_an_ended_attempt_has_its_words(status: Status, facts: dict[str, Any], reason: str | None, by: str) -> None:
    ended = attempt(status, **facts)
    assert (termination_reason(ended), hangup_by(ended)) == (reason, by)


@pytest.mark.parametrize("status", sorted(set(Status) - FINAL - {Status.CALL_DISCONNECTED}))
def test_an_attempt_in_progress_has_none(status: Status) -> None:
    assert (termination_reason(attempt(status)), hangup_by(attempt(status))) == (None, None)


def test_the_end_of_a_call_is_known_before_its_reason() -> None:
    ended = attempt(Status.CALL_DISCONNECTED, hangup_by="callee")
    assert (termination_reason(ended), hangup_by(ended)) == (None, "Callee")


RANG, LATER = {"rang_at": TEN}, TEN + timedelta(seconds=21.9)


@pytest.mark.parametrize(
    ("status", "facts", "expected"),
    [
        (Status.IN_PROGRESS, RANG | {"answered_at": LATER}, 21),
        (Status.COMPLETED, RANG | {"answered_at": LATER, "ended_at": LATER + seconds(60)}, 21),
        (Status.COMPLETED, RANG | {"ended_at": LATER}, None),
        (Status.NO_ANSWER, RANG | {"ended_at": LATER}, 21),
        (Status.CANCELED, RANG | {"ended_at": LATER, "ring_seconds": 7}, 7),
        (Status.ERROR, RANG | {"ended_at": LATER, "lost": True}, None),
        (Status.FAILED, {"ended_at": LATER}, None),
        (Status.RINGING, RANG, None),
    ],
)
def test_ringing_lasts_until_the_answer_or_the_end(status: Status, facts: dict[str, Any], expected: int | None) -> None:
    assert ring_seconds(attempt(status, **facts)) == expected
