"""An agent: how its calls are placed and answered, and where their events are sent."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from redial.domain.calling_window import CallingRule
from redial.domain.contact_limits import ContactLimits
from redial.domain.status import Status
from redial.domain.values import dataclass

DEFAULT_MAX_CONCURRENT_CALLS = 10
DEFAULT_RING_TIMEOUT_SECONDS = 30
DEFAULT_MAX_CALL_SECONDS = 3600
DEFAULT_PROVIDER = "twilio"
"""The carrier if neither the agent, nor its account, nor the stack names one, and of executions stored without one."""


@dataclass(frozen=True)
class Defaults:
    """Settings of an account or of the stack for agents that leave them out. At most one of `answer_url` and
    `stream_url` is set. `policy`: the label of an account's default policy; its agents store it as `account_policy`."""

    provider: str | None = None
    from_phone_numbers: tuple[str, ...] = ()
    answer_url: str | None = None
    stream_url: str | None = None
    policy: str | None = None


NO_DEFAULTS = Defaults()


@dataclass(frozen=True)
class Endpoint:
    """A customer's endpoint that is asked before each attempt. `seconds`: how long it may take to answer."""

    url: str
    seconds: int


@dataclass(frozen=True)
class Agent:
    """An agent's current configuration and state.

    `config`: the customer's request, unknown keys included, returned as sent. Redial reads only the typed fields.
    `provider` None, empty `from_phone_numbers`, and neither `answer_url` nor `stream_url`: see `with_defaults`.
    `answer_url`, `stream_url`: at most one is set; `{agent_id}` and `{execution_id}` are filled in per attempt.
    `call_start_hour` ≤ hour < `call_end_hour`: calling hours, whole hours of the called number's local time. Equal or
    both None: always open; start > end: over midnight. `calling_windows`: the text of a `CallingRule`, in their place.
    `time_zone`: the IANA zone of contacts that name none (None: by the number's prefix).
    `peak_concurrent_calls`: the highest limit before it was lowered (0: never lowered). Line shards up to that limit
    may still have holders.
    `stopped_before`: when the agent was stopped. Calls created, and batches asked to start, at or before that time are
    not dialled any more.
    `deleted_at`: when the customer deleted it; the item stays so that its live calls can be reported.
    `webhook_statuses`: only events with these statuses are sent, and the carrier is not asked to report others. None:
    all.
    `purpose`: the purpose of its calls if neither the call nor its batch names one. `consent_required`: the countries
    (ISO 3166) whose numbers are called only with a consent; `EVERYWHERE`: all. `has_number_rules`: its account has, or
    had, suppressions or consents, so dial reads those of the number. `contact_limits`: the text of `ContactLimits`.
    `has_account_limits`: its account has, or had, contact limits, so dial reads the account.
    `policy`: the label of its policy, such as `lead-outreach@3`. `account_policy`: the label of its account's policy,
    for an agent without its own. `expires_after_minutes`: no attempt of a call starts this long after the call's time.
    `scrub`: the endpoint that says whether a number may be called; `pre_dial_hook`: whether an attempt may be dialled
    now.
    `newer`: see `Execution`.
    """

    agent_id: str
    account_id: str
    name: str
    config: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int = 0
    webhook_url: str | None = None
    provider: str | None = None
    from_phone_numbers: tuple[str, ...] = ()
    answer_url: str | None = None
    stream_url: str | None = None
    call_start_hour: int | None = None
    call_end_hour: int | None = None
    calling_windows: str | None = None
    time_zone: str | None = None
    max_concurrent_calls: int = DEFAULT_MAX_CONCURRENT_CALLS
    ring_timeout_seconds: int = DEFAULT_RING_TIMEOUT_SECONDS
    max_call_seconds: int = DEFAULT_MAX_CALL_SECONDS
    voicemail_detection: bool = False
    webhook_statuses: tuple[Status, ...] | None = None
    peak_concurrent_calls: int = 0
    stopped_before: datetime | None = None
    deleted_at: datetime | None = None
    purpose: str | None = None
    consent_required: tuple[str, ...] = ()
    has_number_rules: bool = False
    policy: str | None = None
    account_policy: str | None = None
    expires_after_minutes: int | None = None
    contact_limits: str | None = None
    has_account_limits: bool = False
    scrub: Endpoint | None = None
    pre_dial_hook: Endpoint | None = None
    newer: Mapping[str, Any] | None = None

    @property
    def pool_id(self) -> str:
        """The id of its lines and its queue; see `KeyLines` for those of an API key."""
        return self.agent_id

    @property
    def carrier(self) -> str:
        """The carrier of its calls, once `with_defaults` has filled in what the agent leaves out."""
        return self.provider or DEFAULT_PROVIDER

    @property
    def calling_rule(self) -> CallingRule | None:
        """When its calls may be dialled, by the called number's wall clock. None: at any time."""
        if self.calling_windows is not None:
            return CallingRule.parse(self.calling_windows)
        if self.call_start_hour is None or self.call_end_hour is None:
            return None
        return CallingRule.of_hours(self.call_start_hour, self.call_end_hour)

    @property
    def limits(self) -> ContactLimits | None:
        """Its contact limits, for which all calls of the account to a number count. None: it sets no limits."""
        return None if self.contact_limits is None else ContactLimits.parse(self.contact_limits)

    @property
    def has_answer(self) -> bool:
        """Whether it sets what happens with an answered call."""
        return self.answer_url is not None or self.stream_url is not None

    def with_defaults(self, *levels: Defaults) -> "Agent":
        """The agent with each missing setting taken from the first of `levels` that has it. `answer_url` and
        `stream_url` count as one setting: the first level with either supplies both."""
        agent = self
        for level in levels:
            if agent.provider is None and level.provider is not None:
                agent = replace(agent, provider=level.provider)
            if not agent.from_phone_numbers and level.from_phone_numbers:
                agent = replace(agent, from_phone_numbers=level.from_phone_numbers)
            if not agent.has_answer and (level.answer_url is not None or level.stream_url is not None):
                agent = replace(agent, answer_url=level.answer_url, stream_url=level.stream_url)
        return agent


@dataclass(frozen=True)
class Account:
    """A customer.

    `webhook_secrets` sign its webhooks: one, or two during a rotation (newest first). `premium_numbers`: it may call
    premium-rate and shared-cost numbers. `defaults`: settings for its agents. `contact_limits`: apply to all its calls,
    in addition to those of their agents. `webhook_url`: where its own events (`AccountEvent`) are sent.
    """

    account_id: str
    name: str
    created_at: datetime
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    premium_numbers: bool = False
    defaults: Defaults = NO_DEFAULTS
    contact_limits: ContactLimits | None = None
    webhook_url: str | None = None
