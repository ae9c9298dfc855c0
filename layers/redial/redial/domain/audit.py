"""The audit: one record for each change that a request or an operator made. Records are never changed or removed.

Records hold no secret, no API key and no full phone number. A URL is cut to its host, numbers are masked, and what
Redial does not read (other keys of an agent's configuration) is recorded only as changed.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from redial.domain.masking import masked_text
from redial.domain.values import dataclass

OPERATOR = "operator"
"""The name recorded, in place of a key's, for changes by the command line with AWS credentials."""
LONGEST_TEXT = 500
"""Longer texts are cut in records. In characters."""
_URL = re.compile(r"^((?:https?|wss?)://)([^/?#]*)(.*)$", re.DOTALL)
_SKIPPED = frozenset(
    {
        *("agent_id", "account_id", "created_at", "updated_at", "version", "newer", "deleted_at"),
        *("peak_concurrent_calls", "stopped_before", "has_number_rules", "has_account_limits", "account_policy"),
        "webhook_secrets",
    }
)
"""Fields that are not settings, or are secret."""

Changes = Mapping[str, tuple[Any, Any]]
"""Values of settings before and after the change, by field, as JSON."""


@dataclass(frozen=True)
class AuditRecord:
    """A change that was made. `key_id` is None if no API key was used; `by` then names who made the change.
    `operation`: the `operationId` of the route, or what the operator's command did. `resource_type`: such as `agent`;
    `resource_id`: None for the account, or for several resources. `details`: further facts, as JSON."""

    id: str
    account_id: str
    at: datetime
    key_id: str | None
    by: str
    operation: str
    resource_type: str
    resource_id: str | None
    changes: Changes
    details: Mapping[str, Any]


def differences(before: Any, after: Any) -> Changes:
    """The settings in which two objects of one dataclass differ, such as two states of an agent."""
    pairs = {
        field.name: (getattr(before, field.name), getattr(after, field.name))
        for field in dataclasses.fields(after)
        if field.name not in _SKIPPED
    }
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    found = {name: (recorded(old), recorded(new)) for name, (old, new) in changed.items() if name != "config"}
    if "config" in changed:
        old, new = changed["config"]
        found["config"] = (_fingerprint(_canonical(old)), _fingerprint(_canonical(new)))
    return found


def recorded(value: Any) -> Any:
    """A value as it is recorded: JSON without secrets and full phone numbers."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, list | tuple | set | frozenset):
        return [recorded(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): recorded(one) for name, one in value.items()}
    if dataclasses.is_dataclass(value) and str(value) == repr(value):  # it has no `__str__` of its own
        return {one.name: recorded(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return _text(value.isoformat() if isinstance(value, datetime) else str(value))


def _text(text: str) -> str:
    found = _URL.match(text)
    if found is not None:
        scheme, host, rest = found.groups()
        host = host.rpartition("@")[2]
        text = f"{scheme}{host}" if rest in ("", "/") else f"{scheme}{host}/… ({_fingerprint(text)})"
    text = masked_text(text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({_fingerprint(text)})"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _fingerprint(text: str) -> str:
    """A short hash, which shows that a value changed without showing the value."""
    return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:8]}…"
