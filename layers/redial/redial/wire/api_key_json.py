"""An API key's rights as JSON."""

from typing_extensions import TypedDict

from redial.domain.api_key import KeyRights, KeyScope, NumbersShown


class QuotasRead(TypedDict):
    """Limits of a key. Null: no limit."""

    calls_a_day: int | None
    lines: int | None


class RightsJson(TypedDict):
    """A key's rights. `agents`: null means all agents of the account."""

    scopes: list[KeyScope]
    agents: list[str] | None
    numbers: NumbersShown
    quotas: QuotasRead


def rights_json(rights: KeyRights) -> RightsJson:
    """The rights as JSON."""
    return {
        "scopes": list(rights.scopes),
        "agents": None if rights.agents is None else list(rights.agents),
        "numbers": rights.numbers,
        "quotas": {"calls_a_day": rights.calls_a_day, "lines": rights.lines},
    }
