"""Agents: made, read, changed and deleted, and what Redial understands of their configuration.

A customer's configuration is kept and returned as it was sent, unknown keys included. What Redial itself acts on is
read out of `agent_config` here, by one function, whichever way it came; null stands for "not given".
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from redial.domain.agent import (
    DEFAULT_MAX_CALL_SECONDS,
    DEFAULT_MAX_CONCURRENT_CALLS,
    DEFAULT_PROVIDER,
    DEFAULT_RING_TIMEOUT_SECONDS,
    Agent,
)
from redial.domain.errors import Conflict, FieldError, InvalidInput, NotFound, TooLarge
from redial.domain.phone_number import is_e164
from redial.ports import Agents, Batches, Executions, Functions, Lines, StaleVersion, Timers
from redial.usecases.batches import stop_agent_with_batches
from redial.usecases.lines import fill_all
from redial.usecases.stop import stop_line_holders

PROVIDERS = (DEFAULT_PROVIDER,)
"""Carriers that there is an adapter for."""
MAX_NAME_LENGTH = 200
MAX_URL_LENGTH = 2048
MAX_FROM_PHONE_NUMBERS = 100
MAX_CONCURRENT_CALLS = 1000
MIN_RING_TIMEOUT_SECONDS = 5
MAX_RING_TIMEOUT_SECONDS = 600
"""Twilio's `Timeout` is at most 600 seconds."""
MAX_CALL_SECONDS = 86_400
"""Twilio's `TimeLimit` is at most a day."""
MAX_CONFIG_BYTES = 200_000
"""Most that one agent's configuration may take as JSON; a DynamoDB item holds 400 KB, and every dial reads it."""
PLACEHOLDERS = ("agent_id", "execution_id")
"""What may stand in braces in `answer_url` and `stream_url`."""

_SAVE_TRIES = 10

CheckWebhook = Callable[[str], object]
"""Raises `InvalidInput` where a webhook URL may not be used, with the reason in words for the customer."""


def create_agent(
    body: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    check_webhook: CheckWebhook,
    allow_local: bool,
    now: datetime,
    new_id: Callable[[], str],
) -> Agent:
    """A new agent from `{"agent_config": {…}, …}`. Raises `InvalidInput` and `TooLarge`.

    `allow_local` lets `answer_url` and `stream_url` be http and ws, for one machine.
    """
    blank = Agent(new_id(), account_id, "", {}, created_at=now, updated_at=now)
    return agents.save(_configured(blank, body, check_webhook, allow_local))


def read_agent(agent_id: str, *, account_id: str, agents: Agents) -> Agent:
    """Raises `NotFound`, also for a deleted agent and another account's."""
    agent = agents.get(account_id, agent_id)
    if agent is None or agent.deleted_at is not None:
        raise NotFound(f"there is no agent {agent_id}")
    return agent


def replace_agent(
    agent_id: str,
    body: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    lines: Lines,
    functions: Functions,
    check_webhook: CheckWebhook,
    allow_local: bool,
    now: datetime,
) -> Agent:
    """The agent as `body` says, and nothing of what it was.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """

    def apply(agent: Agent) -> Agent:
        return _configured(replace(agent, updated_at=now), body, check_webhook, allow_local)

    return _save(agent_id, apply, account_id, agents, lines, functions, now)


def patch_agent(
    agent_id: str,
    patch: dict[str, Any],
    *,
    account_id: str,
    agents: Agents,
    lines: Lines,
    functions: Functions,
    check_webhook: CheckWebhook,
    allow_local: bool,
    now: datetime,
) -> Agent:
    """The agent with the keys of `patch` put over its own: each top-level key, and each key of `agent_config`.

    Raises `NotFound`, `InvalidInput`, `TooLarge`, `Conflict`.
    """

    def apply(agent: Agent) -> Agent:
        merged = agent.config | patch
        if isinstance(patch.get("agent_config"), dict):
            merged["agent_config"] = agent.config["agent_config"] | patch["agent_config"]
        return _configured(replace(agent, updated_at=now), merged, check_webhook, allow_local)

    return _save(agent_id, apply, account_id, agents, lines, functions, now)


def delete_agent(
    agent_id: str,
    *,
    account_id: str,
    executions: Executions,
    agents: Agents,
    batches: Batches,
    lines: Lines,
    timers: Timers,
    functions: Functions,
    now: datetime,
) -> None:
    """Stop the agent's waiting calls and make it unknown; live calls finish and are reported. Raises `NotFound`.

    Nothing is dialled for a deleted agent: a call made between the two is stopped now if it is about to be dialled,
    else when its time comes.
    """
    stop_agent_with_batches(
        agent_id,
        account_id=account_id,
        executions=executions,
        agents=agents,
        batches=batches,
        lines=lines,
        timers=timers,
        functions=functions,
        now=now,
    )

    def apply(agent: Agent) -> Agent:
        return replace(agent, deleted_at=now, updated_at=now)

    deleted = _save(agent_id, apply, account_id, agents, lines, functions, now)
    stop_line_holders(deleted, executions, agents, batches, lines, timers, functions, now)


def _save(
    agent_id: str,
    apply: Callable[[Agent], Agent],
    account_id: str,
    agents: Agents,
    lines: Lines,
    functions: Functions,
    now: datetime,
) -> Agent:
    """Apply a change to the agent as stored, again from a fresh read whenever another writer was quicker."""
    for _ in range(_SAVE_TRIES):
        before = read_agent(agent_id, account_id=account_id, agents=agents)
        after = apply(before)
        if after.max_concurrent_calls < before.max_concurrent_calls:
            peak = max(before.max_concurrent_calls, before.peak_concurrent_calls)
            after = replace(after, peak_concurrent_calls=peak)
        try:
            after = agents.save(after)
        except StaleVersion:
            continue
        if after.max_concurrent_calls > before.max_concurrent_calls:
            fill_all(after, lines, functions, now)
        return after
    raise Conflict(f"agent {agent_id} is being changed by others at the same time: try again")


# ---- what the configuration says ----------------------------------------------------------------------------------


def _configured(agent: Agent, body: dict[str, Any], check_webhook: CheckWebhook, allow_local: bool) -> Agent:
    """`agent` with the configuration `body`. Raises `InvalidInput`, naming every field at fault, and `TooLarge`."""
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_CONFIG_BYTES:
        raise TooLarge(f"an agent may have {MAX_CONFIG_BYTES} bytes of configuration, this one has {size}")
    config = body.get("agent_config")
    if not isinstance(config, dict):
        raise InvalidInput.of("agent_config", "is required, and must be an object")
    read = _Fields(config, "agent_config")
    name = read.text("agent_name", MAX_NAME_LENGTH)
    if name is None and "agent_name" not in read.faulty:
        read.fault("agent_name", "is required")
    provider = read.text("telephony_provider", MAX_NAME_LENGTH) or DEFAULT_PROVIDER
    if provider not in PROVIDERS:
        read.fault("telephony_provider", f"must be one of {', '.join(PROVIDERS)}")
    webhook_url = read.text("webhook_url", MAX_URL_LENGTH)
    if webhook_url is not None and webhook_url != agent.webhook_url:
        try:
            check_webhook(webhook_url)
        except InvalidInput as refused:
            read.fault("webhook_url", refused.message)
    answer_url = read.carrier_url("answer_url", "https", "http" if allow_local else None)
    stream_url = read.carrier_url("stream_url", "wss", "ws" if allow_local else None)
    if answer_url is not None and stream_url is not None:
        read.fault("stream_url", "give answer_url or stream_url, not both")
    hours = read.inner("calling_guardrails")
    start, end = hours.whole("call_start_hour", 0, 23), hours.whole("call_end_hour", 0, 23)
    if (start is None) != (end is None) and not hours.faulty:
        hours.fault("call_end_hour" if end is None else "call_start_hour", "give both hours, or neither")
    configured = replace(
        agent,
        name=name or "",
        config=body,
        webhook_url=webhook_url,
        provider=provider,
        from_phone_numbers=read.phone_numbers("from_phone_numbers"),
        answer_url=answer_url,
        stream_url=stream_url,
        call_start_hour=start,
        call_end_hour=end,
        max_concurrent_calls=read.whole("max_concurrent_calls", 1, MAX_CONCURRENT_CALLS)
        or DEFAULT_MAX_CONCURRENT_CALLS,
        ring_timeout_seconds=read.whole("ring_timeout_seconds", MIN_RING_TIMEOUT_SECONDS, MAX_RING_TIMEOUT_SECONDS)
        or DEFAULT_RING_TIMEOUT_SECONDS,
        max_call_seconds=read.whole("max_call_seconds", 1, MAX_CALL_SECONDS) or DEFAULT_MAX_CALL_SECONDS,
        voicemail_detection=read.flag("voicemail_detection"),
    )
    errors = (*read.errors, *hours.errors)
    if errors:
        raise InvalidInput("; ".join(f"{error.field}: {error.message}" for error in errors), errors)
    return configured


class _Fields:
    """One object of a configuration, read field by field; a fault is noted and reads as "not given"."""

    def __init__(self, values: dict[str, Any], path: str) -> None:
        self._values = values
        self._path = path
        self.errors: list[FieldError] = []
        self.faulty: set[str] = set()

    def fault(self, name: str, message: str) -> None:
        self.faulty.add(name.partition(".")[0])
        self.errors.append(FieldError(f"{self._path}.{name}", message))

    def text(self, name: str, longest: int) -> str | None:
        """Not blank, and at most `longest` characters."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip() and len(value) <= longest:
            return value
        self.fault(name, f"must be a text of 1 to {longest} characters")
        return None

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault(name, f"must be a whole number from {least} to {most}")
        return None

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.fault(name, "must be true or false")
        return False

    def inner(self, name: str) -> "_Fields":
        value = self._values.get(name)
        if value is not None and not isinstance(value, dict):
            self.fault(name, "must be an object")
        return _Fields(value if isinstance(value, dict) else {}, f"{self._path}.{name}")

    def phone_numbers(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MAX_FROM_PHONE_NUMBERS:
            self.fault(name, f"must be a list of at most {MAX_FROM_PHONE_NUMBERS} phone numbers")
            return ()
        for index, number in enumerate(value):
            if not isinstance(number, str) or not is_e164(number):
                self.fault(f"{name}.{index}", "must be E.164: + and 7 to 15 digits, the first not 0")
        return () if name in self.faulty else tuple(dict.fromkeys(value))

    def carrier_url(self, name: str, scheme: str, local_scheme: str | None) -> str | None:
        """A URL that the carrier opens: `scheme`, a host, and no braces but the placeholders'."""
        value = self.text(name, MAX_URL_LENGTH)
        if value is None:
            return None
        placeholders = " and ".join(f"{{{one}}}" for one in PLACEHOLDERS)
        plain = re.sub("|".join(rf"\{{{one}\}}" for one in PLACEHOLDERS), "x", value)
        if not plain.isascii() or re.search(r"[\s\x00-\x1f\x7f{}\\<>\"^`|]", plain):
            self.fault(name, f"must be a URL; in braces it may hold {placeholders} only")
            return None
        try:
            parts = urlsplit(plain)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        if not host or parts.scheme.lower() not in (scheme, local_scheme):
            self.fault(name, f"must be a full URL that starts with {scheme}://")
            return None
        return value
