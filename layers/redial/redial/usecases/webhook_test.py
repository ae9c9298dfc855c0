"""Sends a test event: once, now, in the way deliver sends events. Nothing is stored."""

import json
from collections.abc import Mapping

from redial.domain.errors import InvalidInput
from redial.domain.values import dataclass
from redial.ports import DeliveryAnswer, Services
from redial.usecases.accounts import read_account
from redial.usecases.agents import read_agent

ID_PREFIX = "test-"
"""The prefix of the `webhook-id` of a test event. No other message has it."""


@dataclass(frozen=True)
class Sent:
    """The result of a test event. `milliseconds`: the duration of the request."""

    webhook_id: str
    url: str
    answer: DeliveryAnswer
    milliseconds: int


def webhook_of(services: Services, agent_id: str, *, account_id: str) -> str:
    """The agent's webhook URL. Raises `NotFound`, and `InvalidInput` for an agent without one."""
    url = read_agent(services, agent_id, account_id=account_id).webhook_url
    if url is None:
        raise InvalidInput.of("agent_id", "this agent has no webhook_url: give it one, or send a url")
    return url


def send_test(services: Services, url: str, event: Mapping[str, object], *, account_id: str) -> Sent:
    """Sign the event with the account's webhook secrets and send it to `url`, once: without redirects, to public
    addresses only, within `WEBHOOK_SECONDS`. The body of the answer is not read. Raises `NotFound`."""
    secrets = read_account(account_id, accounts=services.accounts).webhook_secrets
    webhook_id, began = f"{ID_PREFIX}{services.new_id()}", services.now()
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    answer = services.webhooks.post(url, body, webhook_id, secrets, began)
    milliseconds = round((services.now() - began).total_seconds() * 1000)
    return Sent(webhook_id, url, answer, milliseconds)
