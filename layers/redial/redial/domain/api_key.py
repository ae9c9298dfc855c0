"""API keys: their rights, and how the rights of two keys compare."""

from dataclasses import field
from datetime import datetime
from enum import StrEnum

from redial.domain.values import dataclass


class KeyScope(StrEnum):
    """What an API key may do: read (`READ`); make calls and batches (`CALL`); stop, pause, replay, suppress
    (`OPERATE`); change agents, rules, keys and the account, and erase (`ADMIN`). No scope includes another."""

    READ = "read"
    CALL = "call"
    OPERATE = "operate"
    ADMIN = "admin"


ALL_SCOPES = tuple(KeyScope)
"""The scopes of a key that was created without naming any."""


class NumbersShown(StrEnum):
    """How phone numbers appear in the answers to a key."""

    FULL = "full"
    MASKED = "masked"


@dataclass(frozen=True)
class KeyRights:
    """The rights of an API key. The defaults are those of a key created without restrictions.

    `agents`: ids of the only agents that it sees and changes; None: all agents of the account, later ones included.
    `calls_a_day`: the maximum of accepted calls in a day (UTC); None: any number. `lines`: the maximum of its
    concurrent calls; None: limited only by the lines of their agents.
    """

    scopes: tuple[KeyScope, ...] = ALL_SCOPES
    agents: tuple[str, ...] | None = None
    numbers: NumbersShown = NumbersShown.FULL
    calls_a_day: int | None = None
    lines: int | None = None

    def beyond(self, other: "KeyRights") -> list[str]:
        """What these rights allow and `other` does not, each in words."""
        more = [f"the scope {scope}" for scope in self.scopes if scope not in other.scopes]
        if other.agents is not None:
            own = ["all agents"] if self.agents is None else [f"agent {one}" for one in self.agents]
            more += [one for one in own if one.removeprefix("agent ") not in other.agents]
        if other.numbers is NumbersShown.MASKED and self.numbers is NumbersShown.FULL:
            more.append("full numbers")
        if other.calls_a_day is not None and (self.calls_a_day is None or self.calls_a_day > other.calls_a_day):
            more.append(f"more than {other.calls_a_day} calls a day")
        if other.lines is not None and (self.lines is None or self.lines > other.lines):
            more.append(f"more than {other.lines} lines")
        return more

    def sees_agents_of(self, other: "KeyRights") -> bool:
        """Whether a key with these rights sees every agent that `other` names."""
        return self.agents is None or (other.agents is not None and set(other.agents) <= set(self.agents))


ALL_RIGHTS = KeyRights()


@dataclass(frozen=True)
class ApiKey:
    """Everything about a key except the key itself. `last_used_at`: the hour of its last request."""

    key_id: str
    account_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None
    rights: KeyRights = ALL_RIGHTS
    last_used_at: datetime | None = None


@dataclass(frozen=True)
class Caller:
    """The sender of a request. `key_id` and `key_hash` are empty if the request is authenticated by a signature.
    `last_used_at`: the hour of the key's last request before this one."""

    account_id: str
    rights: KeyRights
    key_id: str = ""
    name: str = ""
    key_hash: str = field(default="", repr=False)
    last_used_at: datetime | None = None


def hour_of(instant: datetime) -> datetime:
    """The beginning of the instant's hour."""
    return instant.replace(minute=0, second=0, microsecond=0)
