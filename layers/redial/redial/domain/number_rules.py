"""Number rules: suppressions, which forbid calls to a number, consents, which permit them, and verdicts of a scrub,
which do either until they expire.

The number itself is not stored: only a hash with the account's own key, and its last four digits for display.
"""

import hashlib
import hmac
import re
from datetime import datetime
from enum import StrEnum

from redial.domain.values import dataclass

PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""The form of a purpose: a word that the account chooses, such as `marketing`."""
EVERYWHERE = "*"
"""The value in `Agent.consent_required` for numbers of every country."""


class RuleKind(StrEnum):
    """The kinds of rules about a number."""

    SUPPRESSION = "suppression"
    CONSENT = "consent"
    VERDICT = "verdict"


@dataclass(frozen=True)
class NumberRule:
    """A suppression, a consent, or a kept verdict of a scrub, about one number.

    `digest`: see `digest_of`. `last_four`: the last four digits; None after the person was erased. A suppression covers
    all calls of the account, or only those of one agent, for one purpose, or both. A consent covers all calls, or those
    for one purpose. A verdict covers the agent and purpose for which it was asked; `source` names the scrub
    (`source_of`), and `allowed` is the verdict. `proof`: where the consent can be found; `given_at`: when it was given.
    Times are aware UTC. No two rules of a kind have the same digest and `scope`.
    """

    kind: RuleKind
    digest: str
    added_at: datetime
    last_four: str | None = None
    agent_id: str | None = None
    purpose: str | None = None
    reason: str | None = None
    source: str | None = None
    proof: str | None = None
    given_at: datetime | None = None
    expires_at: datetime | None = None
    allowed: bool | None = None

    @property
    def scope(self) -> str:
        """The calls that it covers, as text; see `scope_of`."""
        return scope_of(self.agent_id, self.purpose)

    @property
    def id(self) -> str:
        """Its id within the account: the digest, with the scope if there is one."""
        return f"{self.digest}.{self.scope}" if self.scope else self.digest

    def covers(self, agent_id: str, purpose: str | None, now: datetime) -> bool:
        """Whether it applies now to a call of that agent for that purpose."""
        if self.expires_at is not None and now >= self.expires_at:
            return False
        if self.given_at is not None and now < self.given_at:
            return False
        return self.agent_id in (None, agent_id) and self.purpose in (None, purpose)


@dataclass(frozen=True)
class OptOut:
    """A suppression of a call's number, requested by a webhook's answer or the carrier. It covers all calls of the
    account, or only those of the call's agent (`of_agent`), for a purpose, or both."""

    source: str
    reason: str | None = None
    of_agent: bool = False
    purpose: str | None = None
    expires_at: datetime | None = None


def scope_of(agent_id: str | None, purpose: str | None) -> str:
    """`agent:<id>`, `purpose:<purpose>`, or both with a comma between them; empty: all calls of the account."""
    agent = [] if agent_id is None else [f"agent:{agent_id}"]
    return ",".join(agent if purpose is None else [*agent, f"purpose:{purpose}"])


def scopes_covering(agent_id: str, purpose: str | None) -> frozenset[str]:
    """Every `scope` that covers a call of that agent for that purpose."""
    purposes = {None, purpose}
    return frozenset(scope_of(agent, one) for agent in (None, agent_id) for one in purposes)


def source_of(url: str) -> str:
    """The `source` of verdicts from the scrub with that URL."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def digest_of(key: bytes, number: str) -> str:
    """HMAC-SHA256 of an E.164 number with the account's key, cut to 128 bits: 32 hexadecimal digits.

    The key prevents a search: the number of a plain hash is found by hashing all numbers.
    """
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()[:32]
