"""Validation of an agent's configuration.

A customer's configuration is stored and returned as sent, including unknown keys. Null means "not given".
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from typing_extensions import TypedDict

from redial.api.calling_guardrails import CallingGuardrails
from redial.api.contact_limits import ContactLimits
from redial.api.fields import (
    MAX_FROM_PHONE_NUMBERS,
    MAX_URL_LENGTH,
    NO_EMPTY_TEXT,
    CalledUrl,
    ExpiresAfter,
    Flag,
    PhoneNumber,
    PolicyLabel,
    Purpose,
    TimeZone,
    WebhookUrl,
    WholeNumber,
    validated,
)
from redial.carriers import CARRIERS, check_stream_url, limits
from redial.domain.agent import (
    DEFAULT_MAX_CALL_SECONDS,
    DEFAULT_MAX_CONCURRENT_CALLS,
    DEFAULT_RING_TIMEOUT_SECONDS,
    Agent,
    Defaults,
    Endpoint,
)
from redial.domain.calling_window import CallingRule
from redial.domain.carrier_url import ANSWER_URL, STREAM_URL, check_carrier_url
from redial.domain.errors import FieldError, InvalidInput, TooLarge
from redial.domain.number_rules import EVERYWHERE
from redial.domain.policy import Policy
from redial.domain.status import Status

MAX_NAME_LENGTH = 200
MAX_CONCURRENT_CALLS = 1000
_LIMITS = [limits(name) for name in CARRIERS]
MIN_RING_TIMEOUT_SECONDS = min(one.ring_seconds[0] for one in _LIMITS)
MAX_RING_TIMEOUT_SECONDS = max(one.ring_seconds[1] for one in _LIMITS)
MIN_CALL_SECONDS = min(one.call_seconds[0] for one in _LIMITS)
MAX_CALL_SECONDS = max(one.call_seconds[1] for one in _LIMITS)
"""The range that at least one carrier accepts. The agent's own carrier decides: see `_check_limits`."""
MAX_CONFIG_BYTES = 200_000
"""Maximum size of an agent's configuration as JSON: a DynamoDB item holds 400 KB, and every dial reads it."""
DEFAULT_ASK_SECONDS, MAX_ASK_SECONDS = 3, 5
"""Timeout of an endpoint that is asked before each attempt: the attempt holds a line while it waits."""
DEFAULT_CARRIER = "default"
"""The `telephony_provider` that means the account's carrier."""

CheckWebhook = Callable[[str], object]
"""Checks a webhook URL. Raises `InvalidInput`, with a reason for the customer, if it is not permitted."""

ReadPolicy = Callable[[str], Policy]
"""Returns the policy with a label. Raises `InvalidInput` if there is none."""


@dataclass(frozen=True)
class _Rules:
    """Context of the validation. `known_urls`: the agent's current URLs."""

    check_webhook: CheckWebhook
    allow_local: bool
    read_policy: ReadPolicy
    known_urls: frozenset[str] = frozenset()


def _agent_name(value: Any) -> Any:
    if value is None:
        raise ValueError("is required")
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME_LENGTH:
        raise ValueError(f"must be a text of 1 to {MAX_NAME_LENGTH} characters, not only spaces")
    return value


def _name_schema(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
    schema |= {"pattern": r"[^\s\x1c-\x1f\x85]", "examples": ["Reminders"]}


def _provider(name: str) -> str:
    if name not in (*CARRIERS, DEFAULT_CARRIER):
        raise ValueError(f"must be one of {', '.join((*CARRIERS, DEFAULT_CARRIER))}")
    return name


def _webhook(url: str, info: ValidationInfo) -> str:
    """Check a new webhook URL. An unchanged URL is not resolved again, so that a DNS failure blocks no other change."""
    rules = cast(_Rules, info.context)
    if url not in rules.known_urls:
        try:
            rules.check_webhook(url)
        except InvalidInput as refused:
            raise ValueError(refused.message) from refused
    return url


def _policy(label: str, info: ValidationInfo) -> str:
    """The label with its version; the latest version if none is given."""
    try:
        return cast(_Rules, info.context).read_policy(label).label
    except InvalidInput as refused:
        raise ValueError(refused.errors[0].message) from refused


def _carrier_url(schemes: tuple[str, str]) -> AfterValidator:
    """A validator with `check_carrier_url`. Local development also permits the unencrypted scheme."""

    def check(url: str, info: ValidationInfo) -> str:
        check_carrier_url(url, schemes if cast(_Rules, info.context).allow_local else schemes[:1])
        return url

    return AfterValidator(check)


def _carrier_url_schema(scheme: str) -> Any:
    pattern = r"([!#$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]|\{agent_id\}|\{execution_id\})+$"
    example = f"{scheme}://voice.example.com/calls?execution={{execution_id}}"
    return Field(
        max_length=MAX_URL_LENGTH,
        json_schema_extra={"pattern": f"^{scheme}?://{pattern}", "examples": [example]},
    )


def _country(code: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS

    if code not in SUPPORTED_REGIONS:
        raise ValueError("must be a country's code of ISO 3166, such as FR")
    return code


Country = Annotated[str, AfterValidator(_country), Field(json_schema_extra={"pattern": "^[A-Z]{2}$"})]
NamedPolicy = Annotated[PolicyLabel, AfterValidator(_policy)]
TelephonyProvider = Annotated[str, AfterValidator(_provider)]
_PROVIDERS: dict[str, Any] = {"enum": [*CARRIERS, DEFAULT_CARRIER, None]}
AnswerUrl = Annotated[str, _carrier_url_schema("https"), _carrier_url(ANSWER_URL)]
StreamUrl = Annotated[str, _carrier_url_schema("wss"), _carrier_url(STREAM_URL)]


def _not_both(stream_url: str | None, info: ValidationInfo) -> str | None:
    if stream_url is not None and info.data.get("answer_url") is not None:
        raise ValueError("give answer_url or stream_url, not both")
    return stream_url


class AskedEndpoint(BaseModel):
    """Your endpoint that is asked before each attempt, with a signed POST."""

    url: Annotated[CalledUrl, AfterValidator(_webhook)]
    timeout_seconds: WholeNumber = Field(
        DEFAULT_ASK_SECONDS, ge=1, le=MAX_ASK_SECONDS, description="How long it may take to respond."
    )

    def to_endpoint(self) -> Endpoint:
        return Endpoint(self.url, self.timeout_seconds)


class AgentConfig(BaseModel):
    """How calls are placed and answered. Unknown keys are stored and returned as sent. Null means not given."""

    model_config = ConfigDict(extra="allow")

    agent_name: Annotated[
        str,
        Field(min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=_name_schema),
        BeforeValidator(_agent_name),
    ]
    webhook_url: Annotated[Annotated[WebhookUrl, AfterValidator(_webhook)] | None, NO_EMPTY_TEXT] = Field(
        None, description="Where the events of every call go: an https URL with a public address. Empty: nowhere."
    )
    telephony_provider: TelephonyProvider | None = Field(
        DEFAULT_CARRIER,
        json_schema_extra=_PROVIDERS,
        description="The carrier; `default`: the account's.",
    )
    calling_guardrails: CallingGuardrails | None = None
    time_zone: Annotated[TimeZone | None, NO_EMPTY_TEXT] = Field(
        None,
        description="IANA time zone of contacts without their own. Not given: every zone that the number may be in.",
    )
    from_phone_numbers: list[PhoneNumber] | None = Field(
        [], max_length=MAX_FROM_PHONE_NUMBERS, description="Caller ids, used in turn. Empty: the account's."
    )
    answer_url: AnswerUrl | None = Field(
        None,
        description="The https URL from which the carrier fetches the call instructions. {agent_id} and {execution_id}"
        " are filled in. An agent with neither this nor stream_url uses the account's.",
    )
    stream_url: StreamUrl | None = Field(
        None,
        description="The wss URL to which the carrier connects the call's audio. Give this or answer_url, not both.",
    )
    max_concurrent_calls: WholeNumber | None = Field(DEFAULT_MAX_CONCURRENT_CALLS, ge=1, le=MAX_CONCURRENT_CALLS)
    ring_timeout_seconds: WholeNumber | None = Field(
        DEFAULT_RING_TIMEOUT_SECONDS, ge=MIN_RING_TIMEOUT_SECONDS, le=MAX_RING_TIMEOUT_SECONDS
    )
    max_call_seconds: WholeNumber | None = Field(DEFAULT_MAX_CALL_SECONDS, ge=MIN_CALL_SECONDS, le=MAX_CALL_SECONDS)
    voicemail_detection: Flag | None = Field(False, description="Whether the carrier detects answering machines.")
    webhook_statuses: list[Status] | None = Field(
        None,
        min_length=1,
        max_length=len(Status),
        description="Only events with these statuses are sent; the carrier is not asked for others. Not given: all.",
        json_schema_extra={"examples": [["completed", "no-answer", "busy", "failed", "error", "scheduled"]]},
    )

    purpose: Annotated[Purpose | None, NO_EMPTY_TEXT] = Field(
        None, description="The default purpose of its calls and batches; see suppressions and consents."
    )

    consent_required: Flag | list[Country] | None = Field(
        False,
        description="Whether to call only numbers with a consent (POST /consents): `true`, or a list of countries whose"
        " numbers need one.",
        json_schema_extra={"examples": [["FR"]]},
    )

    scrub: AskedEndpoint | None = Field(
        None,
        description="Decides whether a number may be called, such as a do-not-call check. The verdict is kept until it"
        " expires. Calls wait while the endpoint does not respond.",
    )
    pre_dial_hook: AskedEndpoint | None = Field(
        None,
        description="Decides whether an attempt may be dialled now, later, or not at all. Calls wait while the endpoint"
        " does not respond.",
    )
    policy: Annotated[NamedPolicy | None, NO_EMPTY_TEXT] = Field(
        None,
        description="The policy for new calls and batches that name none. Without a version, the latest is used and"
        " shown with its number. Not given: the account's.",
    )
    expires_after_minutes: ExpiresAfter | None = Field(
        None, description="Minutes after which no attempt of a call starts; see POST /call."
    )
    contact_limits: ContactLimits | None = Field(
        None, description="How often its calls may ring one number; all calls of the account to the number count."
    )

    _one_answer = field_validator("stream_url")(_not_both)


class AgentConfigPatch(AgentConfig):
    """Keys of the agent's configuration to replace. Null restores the default."""

    agent_name: str = Field("", min_length=1, max_length=MAX_NAME_LENGTH, json_schema_extra=_name_schema)


def configure(
    agent: Agent, body: dict[str, Any], check_webhook: CheckWebhook, allow_local: bool, read_policy: ReadPolicy
) -> Agent:
    """`agent` with the configuration `body`, whose `policy` is completed with its version. Raises `InvalidInput`,
    naming every invalid field, and `TooLarge`.

    `allow_local`, for local development, permits http and ws in `answer_url` and `stream_url`.
    """
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_CONFIG_BYTES:
        raise TooLarge(f"an agent may have {MAX_CONFIG_BYTES} bytes of configuration, this one has {size}")
    if not isinstance(body.get("agent_config"), dict):
        raise InvalidInput.of("agent_config", "is required, and must be an object")
    rules = _Rules(check_webhook, allow_local, read_policy, frozenset(_urls(agent)))
    config = validated(AgentConfig, body["agent_config"], at="agent_config", context=rules)
    hours = config.calling_guardrails
    rule = hours.to_rule() if hours else None
    if config.policy is not None:
        body = {**body, "agent_config": {**body["agent_config"], "policy": config.policy}}
    configured = replace(
        agent,
        name=config.agent_name,
        config=body,
        webhook_url=config.webhook_url,
        provider=_named(config.telephony_provider),
        from_phone_numbers=tuple(dict.fromkeys(config.from_phone_numbers or ())),
        answer_url=config.answer_url,
        stream_url=config.stream_url,
        call_start_hour=hours.call_start_hour if hours else None,
        call_end_hour=hours.call_end_hour if hours else None,
        calling_windows=None if rule is None or _is_hours(rule, hours) else str(rule),
        time_zone=config.time_zone,
        max_concurrent_calls=config.max_concurrent_calls or DEFAULT_MAX_CONCURRENT_CALLS,
        ring_timeout_seconds=config.ring_timeout_seconds or DEFAULT_RING_TIMEOUT_SECONDS,
        max_call_seconds=config.max_call_seconds or DEFAULT_MAX_CALL_SECONDS,
        voicemail_detection=config.voicemail_detection or False,
        webhook_statuses=_in_order(config.webhook_statuses),
        purpose=config.purpose,
        consent_required=countries(config.consent_required),
        scrub=config.scrub.to_endpoint() if config.scrub else None,
        pre_dial_hook=config.pre_dial_hook.to_endpoint() if config.pre_dial_hook else None,
        policy=config.policy,
        expires_after_minutes=config.expires_after_minutes,
        contact_limits=_text(config.contact_limits),
    )
    _check_limits(configured)
    return configured


def _urls(agent: Agent) -> Iterator[str]:
    if agent.webhook_url is not None:
        yield agent.webhook_url
    yield from (endpoint.url for endpoint in (agent.scrub, agent.pre_dial_hook) if endpoint is not None)


def _is_hours(rule: CallingRule, hours: CallingGuardrails | None) -> bool:
    """Whether the two hours express the whole rule. Earlier versions can read the hours."""
    if hours is None or hours.call_start_hour is None or hours.call_end_hour is None:
        return False
    return rule == CallingRule.of_hours(hours.call_start_hour, hours.call_end_hour)


class _AccountWebhook(BaseModel):
    webhook_url: Annotated[WebhookUrl | None, NO_EMPTY_TEXT] = None


def checked_webhook(url: Any, check_webhook: CheckWebhook) -> str | None:
    """The account's webhook URL as it is stored. Raises `InvalidInput`."""
    read = validated(_AccountWebhook, {"webhook_url": url}).webhook_url
    return None if read is None else checked_url("webhook_url", read, check_webhook)


def checked_url(field: str, url: str, check_webhook: CheckWebhook) -> str:
    """The URL, if it is permitted as a webhook. Raises `InvalidInput`, naming the field."""
    try:
        check_webhook(url)
    except InvalidInput as refused:
        raise InvalidInput.of(field, refused.message) from refused
    return url


class DefaultsRead(TypedDict):
    """The account's defaults, for agents that leave these settings out."""

    telephony_provider: str | None
    from_phone_numbers: list[str]
    answer_url: str | None
    stream_url: str | None
    policy: str | None


class AccountDefaults(BaseModel):
    """Defaults for agents that leave these settings out. Null: no default."""

    telephony_provider: TelephonyProvider | None = Field(
        None, json_schema_extra=_PROVIDERS, description="The carrier; null or `default`: the stack's."
    )
    from_phone_numbers: list[PhoneNumber] | None = Field(None, max_length=MAX_FROM_PHONE_NUMBERS)
    answer_url: AnswerUrl | None = Field(None, description="{agent_id} and {execution_id} are filled in.")
    stream_url: StreamUrl | None = Field(None, description="Instead of answer_url.")
    policy: Annotated[NamedPolicy | None, NO_EMPTY_TEXT] = Field(
        None, description="The policy for new calls and batches, if neither they nor their agent name one."
    )

    _one_answer = field_validator("stream_url")(_not_both)


def changed_defaults(
    defaults: Defaults, patch: Mapping[str, Any], allow_local: bool, read_policy: ReadPolicy
) -> Defaults:
    """`defaults` updated with the values of `patch`; null removes a default. Raises `InvalidInput`, naming every
    invalid field."""
    given = {name: patch[name] for name in AccountDefaults.model_fields if name in patch}
    rules = _Rules(lambda url: None, allow_local, read_policy)
    values = validated(AccountDefaults, {**defaults_json(defaults), **given}, context=rules)
    if faults := _stream_faults("stream_url", values.stream_url, CARRIERS):
        raise InvalidInput(f"{faults[0].field}: {faults[0].message}", tuple(faults))
    return Defaults(
        provider=_named(values.telephony_provider),
        from_phone_numbers=tuple(dict.fromkeys(values.from_phone_numbers or ())),
        answer_url=values.answer_url,
        stream_url=values.stream_url,
        policy=values.policy,
    )


def defaults_json(defaults: Defaults) -> DefaultsRead:
    """Defaults as JSON."""
    return {
        "telephony_provider": defaults.provider,
        "from_phone_numbers": list(defaults.from_phone_numbers),
        "answer_url": defaults.answer_url,
        "stream_url": defaults.stream_url,
        "policy": defaults.policy,
    }


def _in_order(statuses: list[Status] | None) -> tuple[Status, ...] | None:
    return None if statuses is None else tuple(status for status in Status if status in statuses)


def countries(required: bool | list[str] | None) -> tuple[str, ...]:
    """`consent_required` of a request as it is stored."""
    if isinstance(required, list):
        return tuple(dict.fromkeys(required))
    return (EVERYWHERE,) if required else ()


def _text(limits: ContactLimits | None) -> str | None:
    read = None if limits is None else limits.to_limits()
    return None if read is None else str(read)


def _named(provider: str | None) -> str | None:
    return None if provider == DEFAULT_CARRIER else provider


def _check_limits(agent: Agent) -> None:
    """Raises `InvalidInput` for times or a stream that the agent's carrier does not accept, which the schema cannot
    express. If the agent names no carrier, every carrier must accept them, because the account's may change."""
    carriers = [one for one in CARRIERS if agent.provider in (None, one)]
    faults = [
        FieldError(f"agent_config.{name}", f"must be {shortest} to {longest} for {carrier}")
        for carrier, allowed in ((one, limits(one)) for one in carriers)
        for name, seconds, (shortest, longest) in (
            ("ring_timeout_seconds", agent.ring_timeout_seconds, allowed.ring_seconds),
            ("max_call_seconds", agent.max_call_seconds, allowed.call_seconds),
        )
        if not shortest <= seconds <= longest
    ]
    faults += _stream_faults("agent_config.stream_url", agent.stream_url, carriers)
    if faults:
        raise InvalidInput("; ".join(f"{fault.field}: {fault.message}" for fault in faults), tuple(faults))


def _stream_faults(field: str, stream_url: str | None, carriers: Iterable[str]) -> list[FieldError]:
    try:
        check_stream_url(stream_url or "", carriers)
    except ValueError as error:
        return [FieldError(field, str(error))]
    return []
