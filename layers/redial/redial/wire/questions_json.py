"""As JSON: questions to a customer's endpoint before an attempt, its answers, and requests in a webhook's response.

Reading an answer raises `ValueError` with a message that says what is wrong without quoting the answer.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from redial.domain.execution import Execution
from redial.domain.number_rules import PURPOSE, OptOut
from redial.domain.questions import HookAnswer, ScrubAnswer
from redial.wire.execution_json import render
from redial.wire.http import json_object
from redial.wire.timestamps import read_rfc3339

MAX_REASON_LENGTH = 200
WEBHOOK = "webhook"
"""The source of suppressions that a webhook's response requests."""


def hook_question(execution: Execution, attempt: int) -> bytes:
    """The execution in the format of webhooks, with `type` and the number of the attempt to be dialled."""
    shown: Mapping[str, Any] = {**render(execution, execution.last_sequence)}
    return _body({"type": "hook.pre_dial", "attempt": attempt, **shown})


def scrub_question(execution: Execution, purpose: str | None) -> bytes:
    """The number to be called, with agent, execution and purpose."""
    return _body(
        {
            "type": "hook.scrub",
            "phone_number": execution.user_number,
            "agent_id": execution.agent_id,
            "execution_id": execution.id,
            "purpose": purpose,
        }
    )


def _body(question: Mapping[str, Any]) -> bytes:
    return json.dumps(question, ensure_ascii=False, separators=(",", ":")).encode()


def hook_answer(body: bytes) -> HookAnswer:
    """Parse `{"eligible", "defer_until", "reason"}`; only the first is required. Raises `ValueError`."""
    said = json_object(body)
    return HookAnswer(_flag(said, "eligible"), _time(said, "defer_until"), reason_of(said))


def scrub_answer(body: bytes) -> ScrubAnswer:
    """Parse `{"allowed", "expires_at", "reason"}`; only the first is required. Raises `ValueError`."""
    said = json_object(body)
    return ScrubAnswer(_flag(said, "allowed"), _time(said, "expires_at"), reason_of(said))


def suppress_in(body: bytes, agent_id: str, now: datetime) -> OptOut | None:
    """The suppression that a webhook's response requests with `{"suppress": true}` or
    `{"suppress": {"reason", "agent_id", "purpose", "expires_at"}}`; None if it requests none. `agent_id`: the call's.

    An opt-out must not be lost because a field that narrows it is wrong, so an invalid field or another agent is
    ignored.
    """
    said = json_object(body).get("suppress")
    if said is True:
        return OptOut(WEBHOOK)
    if not isinstance(said, dict):
        return None
    purpose, expires_at = said.get("purpose"), None
    with suppress(ValueError):
        expires_at = _time(said, "expires_at")
    return OptOut(
        WEBHOOK,
        reason_of(said),
        of_agent=said.get("agent_id") == agent_id,
        purpose=purpose if isinstance(purpose, str) and PURPOSE.fullmatch(purpose) else None,
        expires_at=expires_at if expires_at is not None and expires_at > now else None,
    )


def reason_of(said: Mapping[str, Any]) -> str | None:
    """`reason` in one line of at most `MAX_REASON_LENGTH` characters; None if it is not a text."""
    reason = said.get("reason")
    if not isinstance(reason, str):
        return None
    printable = "".join(character if character.isprintable() else " " for character in reason)
    return " ".join(printable.split())[:MAX_REASON_LENGTH] or None


def _flag(said: Mapping[str, Any], name: str) -> bool:
    value = said.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, in a JSON object")
    return value


def _time(said: Mapping[str, Any], name: str) -> datetime | None:
    value = said.get(name)
    if value is None:
        return None
    try:
        return read_rfc3339(value)
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{name} must be a time with an offset, such as 2026-01-26T10:00:00Z") from error
