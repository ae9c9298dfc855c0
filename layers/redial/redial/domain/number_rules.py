"""What an account keeps about a number: suppressions, which forbid calls to it, consents, which permit them, and
verdicts of a scrub, which do either until they expire.

The number itself is not kept: only a hash with the account's own key, and its last four digits for people.
"""

import hashlib
import hmac
import re
from datetime import datetime
from enum import StrEnum

from redial.domain.values import dataclass

PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""What a call is for, as a word of the account's own, such as `marketing`."""
EVERYWHERE = "*"
"""In `Agent.consent_required`: numbers of every country."""


class RuleKind(StrEnum):
    """The kinds of rules about a number."""

    SUPPRESSION = "suppression"
    CONSENT = "consent"
    VERDICT = "verdict"


@dataclass(frozen=True)
class NumberRule:
    """A suppression, a consent, or a kept verdict of a scrub, of one number.

    `digest`: see `digest_of`. `last_four`: digits; None after the person was erased. A suppression covers the calls of
    the account, of one agent, for one purpose, or both; a consent covers all calls, or those for one purpose; a verdict
    just the calls that it was asked for: `scope` is that of their agent and purpose, `source` names the scrub
    (`source_of`), and `allowed` says what it found. `proof`:
    where the consent can be found; `given_at`: when it was given. Times are aware UTC. No two rules of a kind have the
    same digest and `scope`.
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
        """What it covers, as text; see `scope_of`."""
        return scope_of(self.agent_id, self.purpose)

    @property
    def id(self) -> str:
        """Its name: the digest, and the scope where it has one."""
        return f"{self.digest}.{self.scope}" if self.scope else self.digest

    def covers(self, agent_id: str, purpose: str | None, now: datetime) -> bool:
        """Whether it applies to such a call now."""
        if self.expires_at is not None and now >= self.expires_at:
            return False
        if self.given_at is not None and now < self.given_at:
            return False
        return self.agent_id in (None, agent_id) and self.purpose in (None, purpose)


@dataclass(frozen=True)
class OptOut:
    """A suppression of the number of a call, as a webhook's answer or the carrier asks for it. It covers all calls of
    the account, or those of the call's agent, for a purpose, or both."""

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
    """The `source` of verdicts that the scrub with that URL gave."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def digest_of(key: bytes, number: str) -> str:
    """HMAC-SHA256 of an E.164 number with the account's key, cut to 128 bits: 32 hexadecimal digits.

    Without the key nothing can be tried: a plain hash of a number is found by hashing all numbers.
    """
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()[:32]
