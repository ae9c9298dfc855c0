"""Validation of an agent's configuration."""

from dataclasses import replace
from typing import Any

import pytest

from redial import carriers
from redial.api import agent_config as api
from redial.domain.agent import DEFAULT_PROVIDER, NO_DEFAULTS, Agent, Defaults
from redial.domain.errors import InvalidInput, NotFound, TooLarge
from redial.ports import CarrierLimits
from redial.usecases import agents as use
from tests.support.samples import ACCOUNT_ID, AGENT_ID, CALLER_ID, TEN, minutes
from tests.support.services import GivenServices, no_policies


class NoRules:
    """An account without suppressions and consents."""

    def any_kept(self, account_id: str) -> bool:
        return False


class NoAccounts:
    """An account without defaults and contact limits."""

    def get(self, account_id: str) -> None:
        return None


class OneAgent:
    """The part of `ports.Agents` needed for one agent."""

    def __init__(self) -> None:
        self.agent: Agent | None = None

    def get(self, account_id: str, agent_id: str) -> Agent | None:
        return self.agent

    def cached(self, account_id: str, agent_id: str) -> Agent | None:
        return self.agent

    def all(self, account_id: str) -> list[Agent]:
        return [self.agent] if self.agent else []

    def save(self, agent: Agent) -> Agent:
        self.agent = replace(agent, version=agent.version + 1)
        return self.agent


def anything(url: str) -> None:
    """Accept every webhook."""


def create(
    config: Any, *, allow_local: bool = False, check_webhook: api.CheckWebhook = anything, **other: Any
) -> Agent:
    return use.create_agent(
        GivenServices(agents=OneAgent(), accounts=NoAccounts(), number_rules=NoRules(), new_id=lambda: AGENT_ID),
        {"agent_config": config, **other},
        account_id=ACCOUNT_ID,
        configure=lambda agent, body: api.configure(agent, body, check_webhook, allow_local, no_policies),
        now=TEN,
    )


def faults(config: Any, **how: Any) -> dict[str, str]:
    if isinstance(config, dict):
        config = {"agent_name": "a"} | config
    with pytest.raises(InvalidInput) as refused:
        create(config, **how)
    assert all(error.field in refused.value.message for error in refused.value.errors)
    return {error.field.removeprefix("agent_config."): error.message for error in refused.value.errors}


def test_an_agent_has_an_id_an_account_and_its_creation_time() -> None:
    agent = create({"agent_name": "reminders"}, agent_prompts={"task_1": {}})
    assert (agent.agent_id, agent.account_id, agent.name) == (AGENT_ID, ACCOUNT_ID, "reminders")
    assert (agent.created_at, agent.updated_at, agent.version) == (TEN, TEN, 1)
    assert agent.config == {"agent_config": {"agent_name": "reminders"}, "agent_prompts": {"task_1": {}}}


@pytest.mark.parametrize(
    ("name", "attribute", "default", "least", "most"),
    [
        ("max_concurrent_calls", "max_concurrent_calls", 10, 1, 1000),
        ("ring_timeout_seconds", "ring_timeout_seconds", 30, 5, 600),
        ("max_call_seconds", "max_call_seconds", 3600, 1, 86400),
    ],
)
def test_whole_numbers_have_a_default_a_minimum_and_a_maximum(
    name: str, attribute: str, default: int, least: int, most: int
) -> None:
    assert getattr(create({"agent_name": "a"}), attribute) == default
    assert getattr(create({"agent_name": "a", name: None}), attribute) == default
    for value in (least, most):
        assert getattr(create({"agent_name": "a", name: value}), attribute) == value
    for wrong in (str(least), float(least), True, [least]):
        assert faults({name: wrong}) == {name: "must be a whole number"}
    assert faults({name: least - 1}) == {name: f"must be at least {least}"}
    for large in (most + 1, 10**30):
        assert faults({name: large}) == {name: f"must be at most {most}"}


@pytest.mark.parametrize("name", [None, "", " \t", 7, ["a"], "x" * 201])
def test_the_name_is_required_and_a_text(name: Any) -> None:
    assert list(faults({"agent_name": name})) == ["agent_name"]


@pytest.mark.parametrize("config", [None, [], "text", 7])
def test_the_configuration_is_required_and_an_object(config: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        create(config)
    assert [error.field for error in refused.value.errors] == ["agent_config"]


def test_all_faults_are_reported_together() -> None:
    config = {
        "agent_name": "",
        "telephony_provider": "carrier-pigeon",
        "from_phone_numbers": ["1", CALLER_ID, None],
        "max_call_seconds": 0,
        "calling_guardrails": {"call_start_hour": 24, "call_end_hour": -1},
        "voicemail_detection": 1,
    }
    assert set(faults(config)) == {
        "agent_name",
        "telephony_provider",
        "from_phone_numbers.0",
        "from_phone_numbers.2",
        "max_call_seconds",
        "calling_guardrails.call_start_hour",
        "calling_guardrails.call_end_hour",
        "voicemail_detection",
    }


def test_the_agents_own_carrier_decides_how_long_it_may_ring_and_talk(monkeypatch: pytest.MonkeyPatch) -> None:
    def limits(name: str) -> CarrierLimits:
        return CarrierLimits((15, 60), (60, 7200), None) if name == "http" else of_carrier(name)

    of_carrier = carriers.limits
    monkeypatch.setattr(api, "limits", limits)
    for config in ({}, {"ring_timeout_seconds": 600, "max_call_seconds": 1}):
        assert create({"agent_name": "a", "telephony_provider": "twilio", **config}).provider == "twilio"
    assert create({"agent_name": "a", "telephony_provider": "http"}).provider == "http"
    assert faults({"telephony_provider": "http", "ring_timeout_seconds": 61, "max_call_seconds": 59}) == {
        "ring_timeout_seconds": "must be 15 to 60 for http",
        "max_call_seconds": "must be 60 to 7200 for http",
    }


@pytest.mark.parametrize("config", [{}, {"telephony_provider": None}, {"telephony_provider": "default"}])
def test_an_agent_without_a_carrier_of_its_own_must_suit_every_carrier(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def limits(name: str) -> CarrierLimits:
        return CarrierLimits((15, 60), (60, 7200), None) if name == "http" else of_carrier(name)

    of_carrier = carriers.limits
    monkeypatch.setattr(api, "limits", limits)
    assert create({"agent_name": "a", **config}).provider is None
    assert faults({**config, "ring_timeout_seconds": 61}) == {"ring_timeout_seconds": "must be 15 to 60 for http"}


# ---- defaults -----------------------------------------------------------------------------------------------------

OWN: dict[str, Any] = {"provider": "http", "from_phone_numbers": (CALLER_ID,), "answer_url": "https://own.example.com/"}
ACCOUNTS = Defaults("twilio", ("+14155550101",), stream_url="wss://account.example.com/")
STACKS = Defaults("http", ("+14155550102",), answer_url="https://stack.example.com/")


def test_the_agent_comes_before_its_account_and_the_account_before_the_stack() -> None:
    blank = replace(create({"agent_name": "a"}), from_phone_numbers=())
    own = replace(blank, **OWN)
    assert own.with_defaults(ACCOUNTS, STACKS) == own
    account = blank.with_defaults(ACCOUNTS, STACKS)
    assert (account.carrier, account.from_phone_numbers) == ("twilio", ("+14155550101",))
    assert (account.answer_url, account.stream_url) == (None, "wss://account.example.com/")
    stack = blank.with_defaults(NO_DEFAULTS, STACKS)
    assert (stack.carrier, stack.from_phone_numbers) == ("http", ("+14155550102",))
    assert (stack.answer_url, stack.stream_url) == ("https://stack.example.com/", None)
    assert blank.with_defaults(NO_DEFAULTS, NO_DEFAULTS) == blank
    assert blank.carrier == DEFAULT_PROVIDER


def test_each_default_is_taken_by_itself() -> None:
    blank = replace(create({"agent_name": "a"}), from_phone_numbers=())
    mixed = replace(blank, answer_url="https://own.example.com/").with_defaults(
        Defaults(from_phone_numbers=("+14155550101",)), STACKS
    )
    assert (mixed.carrier, mixed.from_phone_numbers) == ("http", ("+14155550101",))
    assert (mixed.answer_url, mixed.stream_url) == ("https://own.example.com/", None)


# ---- calling hours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(0, 0), (9, 17), (22, 6), (23, 0)])
def test_calling_hours_are_whole_hours(start: int, end: int) -> None:
    agent = create({"agent_name": "a", "calling_guardrails": {"call_start_hour": start, "call_end_hour": end}})
    assert (agent.call_start_hour, agent.call_end_hour) == (start, end)


@pytest.mark.parametrize("guardrails", [None, {}, {"call_start_hour": None, "call_end_hour": None}, {"other": 1}])
def test_without_hours_it_is_always_open(guardrails: Any) -> None:
    agent = create({"agent_name": "a", "calling_guardrails": guardrails})
    assert (agent.call_start_hour, agent.call_end_hour) == (None, None)


def test_one_hour_without_the_other_is_refused() -> None:
    assert list(faults({"calling_guardrails": {"call_start_hour": 9}})) == ["calling_guardrails.call_end_hour"]
    assert list(faults({"calling_guardrails": {"call_end_hour": 0}})) == ["calling_guardrails.call_start_hour"]
    assert list(faults({"calling_guardrails": "9-17"})) == ["calling_guardrails"]


# ---- numbers ------------------------------------------------------------------------------------------------------


def test_a_number_given_twice_counts_once() -> None:
    agent = create({"agent_name": "a", "from_phone_numbers": [CALLER_ID, "+442071838750", CALLER_ID]})
    assert agent.from_phone_numbers == (CALLER_ID, "+442071838750")


@pytest.mark.parametrize("numbers", [CALLER_ID, {"a": CALLER_ID}, [CALLER_ID] * 101])
def test_numbers_are_a_list_of_bounded_length(numbers: Any) -> None:
    assert list(faults({"from_phone_numbers": numbers})) == ["from_phone_numbers"]


# ---- URLs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("answer_url", "https://voice.example.com"),
        ("answer_url", "https://user:secret@voice.example.com:8443/a?x=%20&agent={agent_id}&e={execution_id}#f"),
        ("answer_url", "HTTPS://voice.example.com/"),
        ("stream_url", "wss://voice.example.com/{execution_id}"),
        ("stream_url", "wss://[2001:db8::1]/media"),
    ],
)
def test_a_url_for_the_carrier_is_kept_as_sent(name: str, url: str) -> None:
    assert getattr(create({"agent_name": "a", name: url}), name) == url


@pytest.mark.parametrize("name", ["answer_url", "stream_url"])
@pytest.mark.parametrize(
    "rest",
    [
        "",
        "://",
        ":///path",
        "://?",
        "://voice.example.com:port/",
        "://voice.example.com:99999/",
        "://[::1/",
        "://voice.example.com/a b",
        "://voice.example.com/\n",
        "://voice.example.com/é",
        "://voice.example.com/{recipient}",
        "://voice.example.com/{execution_id",
        '://voice.example.com/"><Hangup/>',
        "://voice.example.com\\@evil.example.com/",
        "://voice.example.com/" + "x" * 2048,
    ],
)
def test_an_invalid_carrier_url_is_refused(name: str, rest: str) -> None:
    scheme = "https" if name == "answer_url" else "wss"
    assert list(faults({name: scheme + rest})) == [name]


@pytest.mark.parametrize("url", ["voice.example.com", "//voice.example.com", "ftp://voice.example.com", 7])
@pytest.mark.parametrize("name", ["answer_url", "stream_url"])
@pytest.mark.parametrize("allow_local", [False, True])
def test_another_scheme_is_refused(name: str, url: Any, allow_local: bool) -> None:
    assert list(faults({name: url}, allow_local=allow_local)) == [name]


def test_unencrypted_schemes_are_accepted_in_local_mode_only() -> None:
    for name, url in (("answer_url", "http://127.0.0.1:5000/a"), ("stream_url", "ws://localhost:5000/m")):
        assert getattr(create({"agent_name": "a", name: url}, allow_local=True), name) == url
        assert list(faults({name: url})) == [name]


def test_an_agent_has_at_most_one_of_answer_and_stream_url() -> None:
    both = {"answer_url": "https://a.example.com/", "stream_url": "wss://a.example.com/"}
    assert faults(both) == {"stream_url": "give answer_url or stream_url, not both"}
    neither = create({"agent_name": "a", "answer_url": None})
    assert (neither.answer_url, neither.stream_url) == (None, None)


MANY = "wss://voice.example.com/{execution_id}?" + "a=1&" * 130


def test_a_stream_whose_twiml_is_too_long_is_refused_unless_another_carrier_takes_it() -> None:
    """Each parameter of a query becomes one element, and Twilio accepts 4,000 characters of TwiML. Placeholders count
    as filled in. An agent without a carrier of its own may be given any carrier."""
    for config in ({"telephony_provider": "twilio"}, {}):
        said = faults({"stream_url": MANY, **config})
        assert list(said) == ["stream_url"]
        assert "too long" in said["stream_url"] and "(twilio)" in said["stream_url"]
    assert create({"agent_name": "a", "stream_url": MANY, "telephony_provider": "http"}).stream_url == MANY
    assert list(faults({"stream_url": "wss://voice.example.com/?a=%00"})) == ["stream_url"]
    longest = "wss://voice.example.com/?" + "a=1&" * 120
    assert create({"agent_name": "a", "stream_url": longest}).stream_url == longest
    assert list(faults({"stream_url": longest + "&".join(["b={execution_id}"] * 3)})) == ["stream_url"]


def test_a_webhook_is_refused_with_the_guards_message() -> None:
    def refuse(url: str) -> None:
        raise InvalidInput(f"{url} is private")

    assert faults({"webhook_url": "https://10.0.0.1/"}, check_webhook=refuse) == {
        "webhook_url": "https://10.0.0.1/ is private"
    }
    assert create({"agent_name": "a"}, check_webhook=refuse).webhook_url is None


# ---- size ---------------------------------------------------------------------------------------------------------


def test_a_configurations_size_is_limited() -> None:
    frame = len('{"agent_config":{"agent_name":"a"},"x":""}')
    assert create({"agent_name": "a"}, x="y" * (api.MAX_CONFIG_BYTES - frame)).version == 1
    with pytest.raises(TooLarge, match="200000"):
        create({"agent_name": "a"}, x="y" * (api.MAX_CONFIG_BYTES - frame + 1))
    with pytest.raises(TooLarge):
        create({"agent_name": "a"}, x="é" * (api.MAX_CONFIG_BYTES // 2))


def test_a_deleted_agent_is_unknown() -> None:
    store = OneAgent()
    services = GivenServices(agents=store)
    with pytest.raises(NotFound):
        use.read_agent(services, AGENT_ID, account_id=ACCOUNT_ID)
    store.agent = replace(create({"agent_name": "a"}), deleted_at=TEN + minutes(1))
    with pytest.raises(NotFound):
        use.read_agent(services, AGENT_ID, account_id=ACCOUNT_ID)
