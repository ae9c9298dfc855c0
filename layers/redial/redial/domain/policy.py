"""Policies: named sets of calling rules of an account, in numbered versions that never change.

A call, a batch or an agent names one by its label, such as `lead-outreach@3`. Since a version never changes, the label
is enough to store: it is fixed when the call or the batch is created, and stored with it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from redial.domain.calling_window import CallingRule
from redial.domain.contact_limits import ContactLimits
from redial.domain.retry import RetryConfig
from redial.domain.values import dataclass

POLICY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
POLICY_LABEL = re.compile(rf"({POLICY_NAME.pattern})(?:@([1-9][0-9]{{0,5}}))?")
"""A policy's name, and optionally a version (default: the latest)."""
MAX_VERSION = 999_999

Value = TypeVar("Value")


@dataclass(frozen=True)
class Policy:
    """One version of a policy. A missing rule is None; a missing `consent_required` is empty.

    `config`: its rules in the form of requests, for GET. `expires_after_minutes`, `consent_required`: see `Agent`.
    """

    name: str
    version: int
    created_at: datetime
    config: Mapping[str, Any]
    calling_rule: CallingRule | None = None
    contact_limits: ContactLimits | None = None
    expires_after_minutes: int | None = None
    consent_required: tuple[str, ...] = ()
    purpose: str | None = None
    retry_config: RetryConfig | None = None

    @property
    def label(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def read_label(text: str) -> tuple[str, int | None]:
    """The name and the version (None: the latest) in a label. Raises `ValueError`, whose message follows the name of
    the field."""
    found = POLICY_LABEL.fullmatch(text)
    if found is None:
        raise ValueError("must be a policy's name, and a version if need be, such as lead-outreach@3")
    return found[1], int(found[2]) if found[2] else None


def in_force(own: Value | None, policy: Value | None, agent: Value | None, *, is_default: bool) -> Value | None:
    """The first of three values of a rule that is set: that of the call or its batch (`own`), of the policy that it
    names, of its agent. A policy that only the agent or the account names (`is_default`) comes last."""
    order = (own, agent, policy) if is_default else (own, policy, agent)
    return next((value for value in order if value is not None), None)
