"""Clients and their requests, drawn from the seed: agents, calls, batches, stops and all others.

Clients follow the documentation: a request that creates something carries an Idempotency-Key and is repeated until it
is answered; only then do they rely on it.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from local.carriers.course import Outcome
from local.web.server import Response
from redial.domain.execution import Execution
from redial.runtime import system
from redial.wire.timestamps import rfc3339
from tests.simulation.faults import LARGEST_SKEW_SECONDS
from tests.simulation.world import (
    HOUR,
    PORTS,
    START,
    Account,
    AccountFault,
    AskedToStop,
    Consent,
    Limited,
    Stopped,
    Suppressed,
    World,
)
from tests.support.forms import CONTENT_TYPE, multipart

CHAOS_SECONDS = 3 * HOUR
"""How long clients act and faults are injected."""
AREAS = ("212", "415", "312", "808")
"""Area codes with one time zone each: New York, San Francisco, Chicago, Honolulu."""
OUTCOMES: tuple[tuple[Outcome, int], ...] = (
    ("completed", 30),
    ("no-answer", 28),
    ("busy", 12),
    ("failed", 8),
    ("voicemail", 8),
    ("late-detection", 4),
    ("canceled", 3),
    ("invalid-number", 2),
    ("no-callback", 5),
    ("duplicate-callbacks", 2),
    ("late-callbacks", 2),
)
ACCOUNT_FAULTS = (
    (400, 21210, "From", "+12025550100"),
    (400, 21210, "From", ""),
    (400, 21215, "To", ""),
    (400, 21215, "To", "+1808"),
    (403, 20005, "", ""),
)
"""HTTP status and code of a refusal, and which requests are refused: all whose field begins with the value."""
WINDOWS: tuple[dict[str, Any], ...] = (
    {
        "windows": [{"start": "08:30", "end": "09:50"}, {"start": "10:15", "end": "11:05"}],
        "placement": "spread",
        "spread_minutes": 20,
    },
    {
        "windows": [
            {"days": ["tue", "wed", "thu", "fri"], "start": "07:10", "end": "20:00"},
            {"days": ["sun", "mon"], "start": "21:30", "end": "09:15"},
        ]
    },
    {"windows": [{"start": "06:45", "end": "16:00"}], "placement": "rotate", "excluded_dates": ["2026-01-27"]},
)
"""Calling rules that open and close while clients act."""
NAMED_ZONES = ("America/St_Johns", "Europe/Berlin", "Asia/Tokyo")
"""Zones that contacts name; the time of day differs from that of the number's prefix."""
CONTACT_LIMITS: tuple[dict[str, Any], ...] = (
    {"caps": [{"attempts": 2, "hours": 1}, {"attempts": 4, "hours": 3}]},
    {"caps": [{"attempts": 3, "hours": 2}], "pause_after_conversation_hours": 1, "at_cap": "end"},
    {"pause_after_conversation_hours": 2},
)
"""Contact limits that close and open while clients act."""
POLICIES: dict[str, dict[str, Any]] = {
    "short": {"expires_after_minutes": 45},
    "once": {
        "calling_guardrails": {
            "windows": [{"start": f"{hour:02d}:00", "end": f"{hour + 2:02d}:00"} for hour in range(0, 24, 2)],
            "attempts_per_window": 1,
        }
    },
    "hours": {"calling_guardrails": {**WINDOWS[0], "attempts_per_window": 2}, "expires_after_minutes": 600},
}
"""Policies of each account, named by calls, batches and agents."""
MOST_TRIES = 12
ASKING, CONSENTING = 3, 7
"""In one world in so many, agents have a scrub and a pre-dial hook, or require a consent. Random generators of their
own draw these, so that the other worlds stay unchanged."""
SUPPRESSING = 5
"""In every fifth world numbers are suppressed, drawn by a separate random generator."""
SHARING = 3
"""In every third world (the second, the fifth …) calls share numbers, and some agents or accounts have contact limits,
drawn by a separate random generator."""

NAMING = 4
"""In every fourth world (the third, the seventh …) calls, batches and agents name policies or an expiry, drawn by a
separate random generator."""

LIMITING = 4
"""In every fourth world (the second, the sixth …) each account also has an API key with a quota of lines, used for some
of its calls and batches, drawn by a separate random generator."""


@dataclass
class Client:
    """One agent of an account, and the ids that its owner knows."""

    account: Account
    agent_id: str
    executions: list[str] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Made:
    """A request to create something, as first sent."""

    client: Client
    path: str
    body: Any
    headers: dict[str, str]
    at: datetime


Actions = list[tuple[Callable[[Client], None], float]]
"""Clients' actions, with the mean number of each."""


class Population:
    """All clients of one world. `populate` creates them and puts their actions on the timeline."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients: list[Client] = []
        self._chance = Random(f"{world.seed} population")
        self._rules = Random(f"{world.seed} rules")
        self._sharing = Random(f"{world.seed} sharing") if world.seed % SHARING == 2 else None
        self._naming = Random(f"{world.seed} policies") if world.seed % NAMING == 3 else None
        self._limiting = Random(f"{world.seed} lines of keys") if world.seed % LIMITING == 2 else None
        self._limited: dict[str, str] = {}
        self._tries = itertools.count()
        self._numbers = 0
        self._keys = 0
        self.made: list[Made] = []
        self.chaos_seconds = CHAOS_SECONDS
        self.limits: tuple[int, ...] = (1, 1, 2, 2, 3, 5, 60)
        self.later = (130.0, 4000.0)
        self.batch_later = (130.0, 2000.0)
        self.rows = (1, 8)
        self.intervals: tuple[int, ...] = (1, 2, 5, 20, 60)

    @contextmanager
    def setting(self) -> Iterator[None]:
        """Settings while this world runs."""
        yield

    # ---- chance ---------------------------------------------------------------------------------------------------

    def _hit(self, share: float) -> bool:
        return self._chance.random() < share

    def _pick(self, choices: Any) -> Any:
        return choices[int(self._chance.random() * len(choices))]

    def _weighted(self, choices: Any) -> Any:
        drawn = self._chance.random() * sum(weight for _, weight in choices)
        for choice, weight in choices:
            drawn -= weight
            if drawn < 0:
                return choice
        return choices[-1][0]

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._chance.random()

    # ---- setting up -----------------------------------------------------------------------------------------------

    def populate(self) -> None:
        """Create the agents, and put all later requests on the timeline."""
        world, chaos = self.world, self.chaos_seconds
        self._policies()
        for index in range(1 + int(self._between(0, 3))):
            self._agent(index, int(self._hit(0.3)))
        bursts = [self._between(0, chaos * 0.6) for _ in range(1 + int(self._between(0, 2)))]
        for _ in range(int(self._between(6, 16))):
            alone = self._hit(0.4)
            seconds = self._between(0, chaos * 0.6) if alone else self._pick(bursts) + self._between(0, 4)
            self._later(seconds, self._call, self.clients[0] if self._hit(0.5) else self._pick(self.clients))
        for _ in range(int(self._between(0, 2.4))):
            self._later(self._between(0, chaos * 0.4), self._batch, self._pick(self.clients))
        actions: Actions = [
            (self._stop_call, 3.5),
            (self._stop_unanswered, 2.0),
            (self._stop_agent, 0.8),
            (self._stop_batch, 0.5),
            (self._pause, 0.6),
            (self._delete_batch, 0.25),
            (self._limit, 0.8),
            (self._replay, 1.0),
            (self._spy, 2.0),
            (self._look, 2.0),
            (self._read_lists, 0.3),
        ]
        self._act(actions, bursts)
        self._rules_about_numbers()
        for client in self.clients:
            if world.faults.rates["endpoint down"] and self._hit(0.5):
                self._endpoint_fails(client, chaos)
        if not world.faults.calm and self._hit(0.2):
            begin = START + timedelta(seconds=self._between(0, chaos * 0.8))
            world.carrier_down = (begin, begin + timedelta(seconds=self._between(60, chaos * 0.2)))
        if world.faults.rates["credentials rotated"]:
            self._later(self._between(0, chaos), world.rotate_credentials)
        self._account_faults()

    def _policies(self) -> None:
        """Create the policies of each account, in the worlds that name policies."""
        for account in self.world.accounts if self._naming is not None else ():
            for name, rules in POLICIES.items():
                self.world.ask_as(account, "PUT", f"/policies/{name}", rules)

    def _rules_about_numbers(self) -> None:
        """Add suppressions, endpoints that are asked, consents and contact limits, each in some of the worlds."""
        seed = self.world.seed
        if seed % SUPPRESSING == 0:
            chance = Random(f"{seed} suppressions")
            for _ in range(3):
                seconds = chance.uniform(0, self.chaos_seconds * 0.6)
                self._later(seconds, self._suppress, chance.choice(self.clients), chance)
        if seed % ASKING == 1:
            self._ask_endpoints(Random(f"{seed} questions"))
        if seed % CONSENTING == 2:
            self._require_consents(Random(f"{seed} consents"))
        if self._sharing is not None:
            self._limits(self._sharing)

    def _ask_endpoints(self, chance: Random) -> None:
        """Give agents a scrub, a pre-dial hook, or both; their endpoints may be down for a time."""
        world = self.world
        for client in self.clients:
            config = {}
            for gate, key, agents in (("scrub", "scrub", world.scrubbed), ("hook", "pre_dial_hook", world.hooked)):
                if chance.random() < 0.7:
                    name = f"{gate}-{self._endpoint(client)}"
                    config[key] = {"url": f"http://127.0.0.1:{PORTS['inbox']}/{name}", "timeout_seconds": 4}
                    agents.add(client.agent_id)
                    if world.faults.rates["question endpoint down"] and chance.random() < 0.5:
                        begin = START + timedelta(seconds=chance.uniform(0, self.chaos_seconds * 0.7))
                        world.outages[name] = begin, begin + timedelta(seconds=chance.uniform(60, 3000)), "refused"
            self._ask(client, "PATCH", f"/v2/agent/{client.agent_id}", {"agent_config": config})

    def _require_consents(self, chance: Random) -> None:
        """Have agents require a consent, which some numbers give and some of these withdraw."""
        for client in self.clients:
            config = {"consent_required": True}
            self._ask(client, "PATCH", f"/v2/agent/{client.agent_id}", {"agent_config": config})
            self.world.consenting.add(client.agent_id)
        for account in {client.account.id: client for client in self.clients}.values():
            for count in range(1, 40):
                if chance.random() < 0.6:
                    late = chance.random() < 0.2
                    seconds = chance.uniform(1, self.chaos_seconds) if late else 0.0
                    self._later(seconds, self._consent, account, self._numbered(count), chance.random() < 0.3, chance)

    def _consent(self, client: Client, number: str, withdraws: bool, chance: Random) -> None:
        known = Consent(client.account.id, number, self.world.now)
        self.world.seen.consents.append(known)
        body = {"phone_number": number, "given_at": rfc3339(self.world.now)}
        self._ask(client, "POST", "/consents", body)
        if withdraws:
            self._later(chance.uniform(60, self.chaos_seconds * 0.7), self._withdraw, client, known)

    def _withdraw(self, client: Client, consent: Consent) -> None:
        def withdrawn(answer: Any, asked_at: datetime) -> None:
            self.world.seen.consents.remove(consent)
            self.world.seen.consents.append(replace(consent, withdrawn_at=self.world.now))

        path = "/consents?" + urlencode({"phone_number": consent.number})
        self._ask(client, "DELETE", path, then=withdrawn)

    def _limits(self, chance: Random) -> None:
        """Set contact limits: of agents at the start, of an account later."""
        for client in self.clients:
            if chance.random() < 0.5:
                limits = chance.choice(CONTACT_LIMITS)
                config = {"agent_config": {"contact_limits": limits}}
                limited = partial(Limited, account_id=client.account.id, agent_id=client.agent_id, limits=limits)
                self._set_limits(client, "PATCH", f"/v2/agent/{client.agent_id}", config, limited)
        if chance.random() < 0.5:
            client, limits = self.clients[0], chance.choice(CONTACT_LIMITS)
            limited = partial(Limited, account_id=client.account.id, agent_id=None, limits=limits)
            change = ("PATCH", "/user/me", {"contact_limits": limits}, limited)
            self._later(chance.uniform(0, self.chaos_seconds * 0.3), self._set_limits, client, *change)

    def _set_limits(self, client: Client, method: str, path: str, body: Any, limited: Callable[..., Limited]) -> None:
        def then(answer: Any, asked_at: datetime) -> None:
            self.world.seen.contact_limits.append(limited(at=self.world.now))

        self._ask(client, method, path, body, then=then)

    def _account_faults(self) -> None:
        """Schedule faults that only a person can fix, each for some minutes to hours."""
        if not self.world.faults.rates["fault of the account"]:
            return
        chance = Random(f"{self.world.seed} faults of the account")
        for _ in range(chance.randint(1, 3)):
            begin = START + timedelta(seconds=chance.uniform(0, self.chaos_seconds * 0.6))
            until = begin + timedelta(seconds=chance.uniform(300, min(self.chaos_seconds * 0.5, 8 * HOUR)))
            self.world.account_faults.append(AccountFault(begin, until, *chance.choice(ACCOUNT_FAULTS)))
            for _ in range(2):
                seconds = (begin - START).total_seconds() + chance.uniform(60, (until - begin).total_seconds() * 1.2)
                self._later(seconds, self._resolve, chance.choice(self.clients))

    def _act(self, actions: Actions, bursts: list[float]) -> None:
        """Put each kind of action on the timeline, about as often as its mean."""
        for act, mean in actions:
            for _ in range(int(self._between(0, 2 * mean + 0.99))):
                amid = self._hit(0.4)  # while calls are created, dialled and waiting for lines
                seconds = self._pick(bursts) + self._between(0, 12) if amid else self._between(60, self.chaos_seconds)
                self._later(seconds, act, self._pick(self.clients))

    def _endpoint_fails(self, client: Client, longest_seconds: float) -> None:
        begin = START + timedelta(seconds=self._between(0, self.chaos_seconds))
        until = min(
            begin + timedelta(seconds=self._between(60, longest_seconds)),
            START + timedelta(seconds=self.chaos_seconds),
        )
        how = self._pick(("refused", "hangs", "500", "404", "410"))
        self.world.outages[self._endpoint(client)] = (begin, until, how)

    def _later(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        self.world.clock.after(seconds, lambda: act(*arguments), f"client {act.__name__.strip('_')}")

    def _endpoint(self, client: Client) -> str:
        return f"{self.world.accounts.index(client.account)}-{client.agent_id}"

    def _agent(self, index: int, account: int) -> None:
        world, owner = self.world, self.world.accounts[account]
        config: dict[str, Any] = {
            "agent_name": f"agent {index}",
            "from_phone_numbers": ["+12025550100", "+12025550101"][: 1 + self._hit(0.5)],
            "answer_url": "https://demo.twilio.com/docs/voice.xml",
            "max_concurrent_calls": self._pick(self.limits),
            "voicemail_detection": self._hit(0.4),
        }
        hours = None
        if self._hit(0.3):
            hours = self._pick((8, 9, 10)), self._pick((11, 15, 20))
            config["calling_guardrails"] = {"call_start_hour": hours[0], "call_end_hour": hours[1]}
            if self._rules.random() < 0.5:
                config["calling_guardrails"] = self._rules.choice(WINDOWS)
        answer = world.ask_as(owner, "POST", "/v2/agent", {"agent_config": config})
        client = Client(owner, json.loads(answer.body)["agent_id"])
        url = f"http://127.0.0.1:{PORTS['inbox']}/{self._endpoint(client)}"
        if not self._hit(0.05):
            world.ask_as(owner, "PATCH", f"/v2/agent/{client.agent_id}", {"agent_config": {"webhook_url": url}})
        if hours is not None:
            world.guardrails[client.agent_id] = config["calling_guardrails"]
        if self._naming is not None and self._naming.random() < 0.4:
            name = self._naming.choice(tuple(POLICIES))
            world.ask_as(owner, "PATCH", f"/v2/agent/{client.agent_id}", {"agent_config": {"policy": name}})
            world.policies[client.agent_id] = POLICIES[name]
        self.clients.append(client)

    def _some_key(self, account: Account) -> dict[str, str]:
        """Headers with the account's key that has a quota of lines, or none."""
        if self._limiting is None or self._limiting.random() > 0.7:
            return {}
        if account.id not in self._limited:
            body = {"name": "limited", "quotas": {"lines": self._limiting.randint(1, 3)}}
            # The same key in each run of the world, but a different one for each of two concurrent requests.
            with mock.patch.object(system, "new_api_key", side_effect=lambda: f"limited-{next(self._tries)}"):
                answer = self.world.ask_as(account, "POST", "/keys", body)
            if answer.status != 201:
                return {}
            self._limited[account.id] = json.loads(answer.body)["api_key"]
        return {"Authorization": f"Bearer {self._limited[account.id]}"}

    def _number(self) -> str:
        """Usually a number that has not been called yet; the outcomes of its calls are drawn with it."""
        if self._numbers and self._sharing is not None and self._sharing.random() < 0.4:
            return self._numbered(self._sharing.randint(max(1, self._numbers - 5), self._numbers))
        if self._numbers and self._hit(0.06):
            return self._seen_number()
        self._numbers += 1
        to = self._numbered(self._numbers)
        outcomes = [self._weighted(OUTCOMES) for _ in range(5)]
        self.world.carrier.calls.scripts.set(to, outcomes)
        return to

    def _seen_number(self) -> str:
        """A number that has been called before."""
        return self._numbered(self._numbers)

    def _own_rules(self, client: Client) -> dict[str, Any]:
        """`calling_guardrails`, `time_zone`, `policy` and expiry of a call, or of a batch and its contacts."""
        own: dict[str, Any] = {}
        if client.agent_id in self.world.guardrails:
            if self._rules.random() < 0.25:
                own["calling_guardrails"] = self._rules.choice(WINDOWS)
            if self._rules.random() < 0.4:
                own["time_zone"] = self._rules.choice(NAMED_ZONES)
        if self._naming is not None:
            if self._naming.random() < 0.4:
                own["policy"] = self._naming.choice(tuple(POLICIES))
            if self._naming.random() < 0.25:
                own["expires_after_minutes"] = self._naming.choice((20, 70, 400))
        return own

    @staticmethod
    def _numbered(count: int) -> str:
        return f"+1{AREAS[count % len(AREAS)]}55501{count % 90 + 10:02d}"

    def _retry_config(self) -> dict[str, Any] | None:
        if self._hit(0.15):
            return None
        retried = [status for status in ("no-answer", "busy", "failed", "error") if self._hit(0.75)]
        return {
            "enabled": self._hit(0.93),
            "max_retries": self._pick((1, 2, 3)),
            "retry_on_statuses": retried or ["no-answer"],
            "retry_on_voicemail": self._hit(0.4),
            "retry_intervals_minutes": [self._pick(self.intervals) for _ in range(self._pick((1, 2, 3)))],
        }

    # ---- requests, until answered ---------------------------------------------------------------------------------

    def _ask(
        self,
        client: Client,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        then: Callable[[Any, datetime], None] = lambda answer, asked_at: None,
        made: bool = False,
        stops: Callable[[], AskedToStop] | None = None,
        tries: int = 1,
    ) -> None:
        """Send a request; repeat it if it was not answered, or answered with 5xx. `then` receives a 2xx answer and the
        time of this request. `made`: the request creates something, and carries a key."""
        world = self.world
        if made and tries == 1:
            self._keys += 1
            headers = {**(headers or {}), **self._some_key(client.account), "Idempotency-Key": f"key-{self._keys}"}
            self.made.append(Made(client, path, body, headers, world.now))
        asked_at = world.now
        answer = world.ask_as(client.account, method, path, body, headers)
        if stops is not None:
            world.seen.stops_asked.append(stops())
        lost = world.faults.strikes("client lost the answer")
        self._expect(method, path, answer)
        said = json.loads(answer.body) if answer.body and answer.status < 300 else {}
        if said and made and headers is not None:
            name = "execution_id" if "execution_id" in said else "batch_id"
            key = client.account.id, headers["Idempotency-Key"]
            world.seen.keys[key].add(str(said[name]))
            world.seen.key_answers[key] += 1
        if not lost and answer.status < 300:
            then(said, asked_at)
        elif (lost or answer.status >= 500 or answer.status in (409, 429)) and tries < MOST_TRIES:
            again = partial(self._ask, headers=headers, then=then, made=made, stops=stops, tries=tries + 1)
            self._later(self._between(1, 30), lambda: again(client, method, path, body))

    def _expect(self, method: str, path: str, answer: Response) -> None:
        """Check that the answer is a documented one, whatever the fault."""
        documented = answer.status in (200, 201, 202, 302, 400, 404, 409, 413, 415, 422, 429, 500, 503)
        self.world.judge("every answer is documented", documented, f"{method} {path}: {answer.status}")

    # ---- clients' actions -----------------------------------------------------------------------------------------

    def _call(self, client: Client) -> None:
        body: dict[str, Any] = {"agent_id": client.agent_id, "recipient_phone_number": self._number()}
        config = self._retry_config()
        if config is not None:
            body["retry_config"] = config
        if self._hit(0.3):
            at = self.world.now + timedelta(seconds=self._between(*self.later))
            body["scheduled_at"] = rfc3339(at)
        if self._hit(0.2):
            body["bypass_call_guardrails"] = True
        if self._hit(0.5):
            body["user_data"] = {"name": "Zoë", "row": self._numbers}
        body |= self._own_rules(client)

        def then(answer: Any, asked_at: datetime) -> None:
            self.world.seen.acknowledged[answer["execution_id"]] = body
            client.executions.append(answer["execution_id"])

        self._ask(client, "POST", "/call", body, then=then, made=True)

    def _batch(self, client: Client, contacts: int | None = None) -> None:
        rows = [self._number() for _ in range(contacts or int(self._between(*self.rows)))]
        if self._hit(0.3):
            rows += [rows[0], "absent", ""]
        fields = [("agent_id", client.agent_id)]
        config = self._retry_config()
        if config is not None:
            fields.append(("retry_config", json.dumps(config)))
        url = f"http://127.0.0.1:{PORTS['inbox']}/{self._endpoint(client)}"
        if self._hit(0.7):
            fields.append(("webhook_url", url))
        if self._hit(0.25):
            fields.append(("retries_first", "false"))
        if self._hit(0.3):
            fields.append(("calls_per_second", self._pick(("0.2", "1", "20"))))
        own = self._own_rules(client)
        if "calling_guardrails" in own:
            fields.append(("calling_guardrails", json.dumps(own["calling_guardrails"])))
        fields += [(name, str(own[name])) for name in ("policy", "expires_after_minutes") if name in own]
        starts = self._pick(("now", "now", "later", "by itself"))
        if starts == "now":
            fields.append(("start", "now"))

        def then(answer: Any, asked_at: datetime) -> None:
            batch_id = str(answer["batch_id"])
            self.world.seen.files[batch_id] = list(dict.fromkeys(row for row in rows if row.startswith("+")))
            self.world.seen.batch_configs[batch_id] = config
            self.world.seen.batch_rules[batch_id] = own
            client.batches.append(batch_id)
            if starts != "now":
                self._later(self._between(5, 600), self._schedule, client, batch_id)

        zone = own.get("time_zone", "")
        header = "contact_number,time_zone" if zone else "contact_number"
        lines = [f"{row},{zone}" for row in rows] if zone else rows
        body = multipart(fields, "\n".join([header, *lines]))
        self._ask(client, "POST", "/batches", body, headers={"Content-Type": CONTENT_TYPE}, then=then, made=True)

    def _schedule(self, client: Client, batch_id: str) -> None:
        at = rfc3339(self.world.now + timedelta(seconds=self._between(*self.batch_later)))
        headers = {"Content-Type": "application/x-www-form-urlencoded", **self._some_key(client.account)}
        self._ask(client, "POST", f"/batches/{batch_id}/schedule", f"scheduled_at={at}".encode(), headers=headers)

    def _stop_call(self, client: Client) -> None:
        if client.executions:
            self._stop_one(client, self._pick(client.executions))

    def _stop_unanswered(self, client: Client) -> None:
        """Stop a call that the carrier has queued or is ringing, if there is one within a minute."""
        until = self.world.now + timedelta(minutes=1)

        def look() -> None:
            known = self.world.seen.executions
            found = [one for one in client.executions if one in known and known[one].state.is_unanswered]
            if found:
                self._stop_one(client, self._pick(found))
            elif self.world.now < until:
                self._later(2, look)

        look()

    def _stop_one(self, client: Client, execution_id: str) -> None:
        def then(answer: Any, asked_at: datetime) -> None:
            covers = lambda execution, at: execution.id == execution_id  # noqa: E731
            self._stopped(f"call {execution_id}", covers, asked_at, at_once=True)

        sent = lambda: AskedToStop(self.world.now, execution_id=execution_id)  # noqa: E731
        self._ask(client, "POST", f"/call/{execution_id}/stop", then=then, stops=sent)

    def _stop_agent(self, client: Client) -> None:
        def then(answer: Any, asked_at: datetime) -> None:
            before = asked_at - timedelta(seconds=2 * LARGEST_SKEW_SECONDS)
            listed = frozenset(answer["stopped_executions"])
            self._stopped(
                f"agent {client.agent_id}",
                lambda execution, at: (
                    execution.agent_id == client.agent_id
                    and execution.batch_id is None
                    and (at < before or execution.id in listed)
                ),
                asked_at,
            )

        sent = lambda: AskedToStop(self.world.now, agent_id=client.agent_id)  # noqa: E731
        self._ask(client, "POST", f"/v2/agent/{client.agent_id}/stop", then=then, stops=sent)

    def _stop_batch(self, client: Client) -> None:
        self._end_batch(client, "POST", "/stop")

    def _delete_batch(self, client: Client) -> None:
        self._end_batch(client, "DELETE", "")

    def _end_batch(self, client: Client, method: str, rest: str) -> None:
        if not client.batches:
            return
        batch_id = self._pick(client.batches)

        def then(answer: Any, asked_at: datetime) -> None:
            self._stopped(f"batch {batch_id}", lambda execution, at: execution.batch_id == batch_id, asked_at)

        self._ask(client, method, f"/batches/{batch_id}{rest}", then=then)

    def _stopped(
        self, what: str, covers: Callable[[Execution, datetime], bool], asked_at: datetime, at_once: bool = False
    ) -> None:
        self.world.stopped(Stopped(self.world.now, covers, what, asked_at, at_once))

    def _pause(self, client: Client) -> None:
        if client.batches:
            batch_id = self._pick(client.batches)
            self._ask(client, "POST", f"/batches/{batch_id}/pause")
            self._later(self._between(60, 3000), self._resume, client, batch_id)

    def _resume(self, client: Client, batch_id: str) -> None:
        self._ask(client, "POST", f"/batches/{batch_id}/resume")

    def _suppress(self, client: Client, chance: Random) -> None:
        """Suppress a number that was or will be called."""
        number = self._numbered(chance.randint(1, self._numbers + 4))
        body = {"phone_number": number, "reason": "opted out"}
        suppressed = partial(Suppressed, account_id=client.account.id, number=number)
        self._ask(
            client,
            "POST",
            "/suppressions",
            body,
            then=lambda answer, asked_at: self.world.suppressed(suppressed(at=self.world.now)),
        )

    def _limit(self, client: Client) -> None:
        config = {"max_concurrent_calls": self._pick(self.limits[1:])}
        self._ask(client, "PATCH", f"/v2/agent/{client.agent_id}", {"agent_config": config})

    def _replay(self, client: Client) -> None:
        if client.executions:
            self._ask(client, "POST", f"/executions/{self._pick(client.executions)}/webhooks/replay")

    def _read_lists(self, client: Client) -> None:
        """Send reads that must never be answered 5xx without a fault."""
        for path in ("/user/me", "/phone-numbers/all", "/webhooks/undelivered", "/v2/agent/all"):
            self._ask(client, "GET", path)

    def _look(self, client: Client) -> None:
        self._ask(client, "GET", f"/v2/agent/{client.agent_id}/executions?page_size=20")
        if client.executions:
            self._ask(client, "GET", f"/executions/{self._pick(client.executions)}")
        if client.batches:
            self._ask(client, "GET", f"/batches/{self._pick(client.batches)}")

    def _resolve(self, client: Client) -> None:
        """Report that all faults of the account are fixed, which may be wrong."""

        def resolve(answer: Any, asked_at: datetime) -> None:
            for item in answer["data"]:
                self._ask(client, "POST", f"/attention/{item['id']}/resolve")

        self._ask(client, "GET", "/attention", then=resolve)

    def _spy(self, client: Client) -> None:
        """Request this account's resources as another account."""
        world = self.world
        other = next(account for account in world.accounts if account is not client.account)
        tried = [("POST", f"/v2/agent/{client.agent_id}/stop"), ("GET", f"/v2/agent/{client.agent_id}/executions")]
        if client.executions:
            execution_id = self._pick(client.executions)
            tried += [("GET", f"/executions/{execution_id}"), ("POST", f"/call/{execution_id}/stop")]
        if client.batches:
            batch_id = self._pick(client.batches)
            tried += [("GET", f"/batches/{batch_id}"), ("POST", f"/batches/{batch_id}/stop")]
        for method, path in tried:
            answer = world.ask_as(other, method, path)
            world.judge(
                "an account sees only its own",
                answer.status >= 400,
                f"{other.id}: {method} {path} was answered {answer.status}",
            )
