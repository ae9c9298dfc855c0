"""Checks whether an account is set up to place calls: carriers, caller ids, countries, callbacks.

Each check says in one line what to do. Nothing is dialled or stored. Each carrier gets a few requests, one after the
other; none begins after `LAST_QUESTION`.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from redial.domain.agent import Agent
from redial.domain.statistics import Dimension
from redial.domain.values import dataclass
from redial.ports import Carrier, CarrierUnavailable, Services
from redial.usecases import accounts, attention, statistics

MOST_AGENTS = 100
"""Maximum agents that are checked."""
MOST_COUNTRIES = 20
"""Maximum countries that are checked: those called most in the last 30 days."""
LAST_QUESTION = timedelta(seconds=10)
"""How long after the first request to a carrier further ones may begin: an API request has 29 seconds."""


class CheckStatus(StrEnum):
    """Result of a check. `warning`: calls are placed, but not as expected, or not all. `skipped`: the result is
    unknown."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class CheckName(StrEnum):
    """Name of a check. `carrier`: its secret can be read, and it accepts requests. `caller_ids`: the carrier account
    may call from the agents' numbers. `countries`: it may call the recently called countries. `agents`: each has a
    caller id and an answer. `callback_url`: carriers report to the stack by https. `attention`: no fault holds
    calls."""

    CARRIER = "carrier"
    CALLER_IDS = "caller_ids"
    COUNTRIES = "countries"
    AGENTS = "agents"
    CALLBACK_URL = "callback_url"
    ATTENTION = "attention"
    WEBHOOKS = "webhooks"
    CLOCK = "clock"


@dataclass(frozen=True)
class Check:
    """The finding of one check. `advice`: what to do (None: nothing). `agent_id`: the agent that it concerns (None:
    all)."""

    name: CheckName
    status: CheckStatus
    message: str
    advice: str | None = None
    agent_id: str | None = None


def examine(services: Services, account_id: str, public_url: str) -> list[Check]:
    """Run every check. `public_url`: the configured URL at which carriers reach the stack; empty: API Gateway's own.
    Raises `NotFound`.

    Read units: some 10, and 0.5 for each 4 KB of agents' configurations. Requests to each carrier: at most four.
    """
    account = accounts.read_account(account_id, accounts=services.accounts)
    agents = [
        agent.with_defaults(account.defaults, services.defaults)
        for agent in services.agents.some(account_id, MOST_AGENTS)
        if agent.deleted_at is None
    ]
    by_carrier: dict[str, list[Agent]] = {}
    for agent in agents:
        by_carrier.setdefault(agent.carrier, []).append(agent)
    if not agents:
        by_carrier[accounts.carrier_of(services, account)] = []
    countries = _countries(services, account_id)

    def of_carrier(name: str) -> list[Check]:
        return list(_Carrier(services, name, services.carrier(name), by_carrier[name], countries).checks())

    names = sorted(by_carrier)
    return [
        *(check for checks in services.each(of_carrier, names, len(names)) for check in checks),
        *_of_agents(agents),
        _callbacks(public_url),
        _attention(services, account_id),
        Check(
            CheckName.WEBHOOKS,
            CheckStatus.SKIPPED,
            "Whether your webhooks answer is not tried here.",
            "Send each a test event: POST /webhooks/test.",
        ),
        Check(
            CheckName.CLOCK,
            CheckStatus.OK,
            f"The server's time is {services.now().isoformat(timespec='seconds')}.",
            "Compare it with yours: signatures are refused when clocks differ by more than five minutes.",
        ),
    ]


def _countries(services: Services, account_id: str) -> list[str]:
    """The most called countries (ISO 3166) of the last 30 days."""
    today = services.now().date()
    first = today - statistics.DEFAULT_PERIOD + timedelta(days=1)
    rates = statistics.read(services, account_id, None, None, first, today).rates(Dimension.COUNTRY)
    called = sorted((one for one in rates if one.isalpha()), key=lambda one: -rates[one].attempts)
    return called[:MOST_COUNTRIES]


@dataclass(frozen=True)
class _Carrier:
    """Checks one carrier, and the agents that use it."""

    services: Services
    name: str
    carrier: Carrier
    agents: Sequence[Agent]
    countries: Sequence[str]

    def checks(self) -> Iterator[Check]:
        began = self.services.now()
        wrong = self.carrier.check()
        if wrong is not None:
            yield Check(
                CheckName.CARRIER,
                CheckStatus.FAILED,
                f"{self.name} takes no calls: {wrong}.",
                f"Correct the carrier's secret, or fix it in {self.name}'s console.",
            )
        else:
            yield Check(CheckName.CARRIER, CheckStatus.OK, f"{self.name} takes calls with the stored secret.")
        for name, questions in ((CheckName.CALLER_IDS, self._caller_ids), (CheckName.COUNTRIES, self._countries)):
            if wrong is not None:
                yield self._skipped(name, "it takes no calls now")
            elif self.services.now() - began > LAST_QUESTION:
                yield self._skipped(name, "it answers too slowly")
            else:
                try:
                    yield from questions()
                except CarrierUnavailable as error:
                    yield self._skipped(name, str(error))

    def _skipped(self, name: CheckName, why: str) -> Check:
        advice = None if why == _CANNOT_TELL else "Try again later."
        return Check(name, CheckStatus.SKIPPED, f"{self.name} was not asked, or did not say: {why}.", advice)

    def _caller_ids(self) -> Iterator[Check]:
        numbers = {number for agent in self.agents for number in agent.from_phone_numbers}
        unknown = self.carrier.unknown_caller_ids(numbers) if numbers else set()
        if unknown is None:
            yield self._skipped(CheckName.CALLER_IDS, _CANNOT_TELL)
            return
        for agent in self.agents:
            if wrong := [number for number in agent.from_phone_numbers if number in unknown]:
                all_wrong = len(wrong) == len(agent.from_phone_numbers)
                yield Check(
                    CheckName.CALLER_IDS,
                    CheckStatus.FAILED if all_wrong else CheckStatus.WARNING,
                    f"{', '.join(wrong)} of {agent.name} {'is' if len(wrong) == 1 else 'are'} not the account's at"
                    f" {self.name}.",
                    f"Buy or verify it in {self.name}'s console, or take it out of from_phone_numbers.",
                    agent.agent_id,
                )
        if not unknown:
            yield Check(
                CheckName.CALLER_IDS, CheckStatus.OK, f"{self.name} knows the {len(numbers)} caller ids of your agents."
            )

    def _countries(self) -> Iterator[Check]:
        closed = self.carrier.closed_countries(self.countries) if self.countries else set()
        if closed is None:
            yield self._skipped(CheckName.COUNTRIES, _CANNOT_TELL)
        elif closed:
            yield Check(
                CheckName.COUNTRIES,
                CheckStatus.FAILED,
                f"{self.name} may place no calls to {', '.join(sorted(closed))}.",
                f"Allow them in {self.name}'s console, as geographic permissions for voice.",
            )
        else:
            lately = ", ".join(self.countries) or "none yet"
            yield Check(
                CheckName.COUNTRIES,
                CheckStatus.OK,
                f"{self.name} may call the countries called in the last 30 days: {lately}.",
            )


_CANNOT_TELL = "it cannot tell"


def _of_agents(agents: Sequence[Agent]) -> Iterator[Check]:
    complete = True
    for agent in agents:
        missing = [
            *(["caller id (from_phone_numbers)"] if not agent.from_phone_numbers else []),
            *(["answer (answer_url or stream_url)"] if not agent.has_answer else []),
        ]
        if missing:
            complete = False
            yield Check(
                CheckName.AGENTS,
                CheckStatus.FAILED,
                f"{agent.name} has no {' and no '.join(missing)}.",
                f"Set it by PATCH /v2/agent/{agent.agent_id}, or for all agents by PATCH /user/me.",
                agent.agent_id,
            )
    if not agents:
        advice = "Make one: POST /v2/agent."
        yield Check(CheckName.AGENTS, CheckStatus.WARNING, "There is no agent yet.", advice)
    elif complete:
        yield Check(CheckName.AGENTS, CheckStatus.OK, f"Each of {len(agents)} agents has a caller id and an answer.")


def _callbacks(public_url: str) -> Check:
    if not public_url:
        return Check(CheckName.CALLBACK_URL, CheckStatus.OK, "Carriers report to API Gateway's own address, by https.")
    if urlsplit(public_url).scheme == "https":
        return Check(CheckName.CALLBACK_URL, CheckStatus.OK, f"Carriers report to {public_url}.")
    return Check(
        CheckName.CALLBACK_URL,
        CheckStatus.WARNING,
        f"Carriers report to {public_url}, without encryption.",
        "This is for the local stack only: set the parameter PublicUrl to an https address.",
    )


def _attention(services: Services, account_id: str) -> Check:
    found = attention.items(services, account_id)
    if not found:
        return Check(CheckName.ATTENTION, CheckStatus.OK, "No fault holds calls.")
    reasons = "; ".join(dict.fromkeys(str(one.reason) for one in found))
    advice = "GET /attention says what to do for each."
    return Check(CheckName.ATTENTION, CheckStatus.WARNING, f"Faults hold calls, or did: {reasons}.", advice)
