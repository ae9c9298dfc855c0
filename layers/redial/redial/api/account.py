"""Routes of the account: concurrency, carriers, phone numbers."""

import uuid
from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, ConfigDict, Field, SkipValidation
from typing_extensions import TypedDict

from redial.api.agent_config import (
    AccountDefaults,
    DefaultsRead,
    changed_defaults,
    checked_webhook,
    defaults_json,
)
from redial.api.answers import account_id, answer, answers, caller, new_router, note_changes, read_policy, services
from redial.api.contact_limits import ContactLimits, ContactLimitsRead, contact_limits_json
from redial.api.fields import NO_EMPTY_TEXT, WebhookUrl, validated
from redial.api.keys import OwnKeyRead, own_key_json
from redial.api.listings import HEADERS, AnyPageNumber, AnyPageSize, CursorText, paging, part_of
from redial.domain import contact_limits as domain
from redial.domain.agent import Account, Agent
from redial.domain.circuit import Circuit, CircuitState
from redial.ports import Position
from redial.runtime import system
from redial.usecases import accounts, policies
from redial.wire.timestamps import Timestamp, rfc3339_or_none

router = new_router()


# ---- models ---


class ConcurrencyRead(TypedDict):
    """Live calls of all the account's agents: the limit and the current number."""

    max: int
    current: int


class CarrierRead(TypedDict):
    """The circuit breaker of a carrier that the account's agents use: `open` while the carrier fails for every call and
    calls wait; `resuming` for some minutes after it recovers."""

    provider: str
    circuit: CircuitState
    since: Timestamp | None
    next_try_at: Timestamp | None
    reason: str | None


def carrier_json(circuit: Circuit) -> CarrierRead:
    """A circuit as JSON; a closed one has neither times nor a reason."""
    closed = circuit.state is CircuitState.CLOSED
    return {
        "provider": circuit.provider,
        "circuit": circuit.state,
        "since": rfc3339_or_none(circuit.resumed_at or circuit.opened_at),
        "next_try_at": rfc3339_or_none(circuit.next_try_at),
        "reason": None if closed else circuit.reason,
    }


class UserChange(AccountDefaults):
    """Settings to change: defaults, contact limits, webhook. Omitted settings are kept; null removes a setting."""

    webhook_url: Annotated[WebhookUrl | None, NO_EMPTY_TEXT] = Field(
        None, description="Where the account's own events go: `attention.opened`, `attention.resolved`."
    )
    contact_limits: ContactLimits | None = Field(
        None, description="Limits for every call of the account, in addition to its agent's."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from_phone_numbers": ["+12025550100"],
                    "answer_url": "https://voice.example.com/calls?execution={execution_id}",
                }
            ]
        }
    )


class _Limits(BaseModel):
    """The contact limits in a change of settings."""

    contact_limits: ContactLimits | None

    def to_limits(self) -> domain.ContactLimits | None:
        return None if self.contact_limits is None else self.contact_limits.to_limits()


class UserRead(TypedDict):
    """The API key and its account. If the key is restricted to agents, `concurrency` and `carriers` cover only these
    agents."""

    id: str
    name: str
    key: OwnKeyRead
    concurrency: ConcurrencyRead
    webhook_url: str | None
    defaults: DefaultsRead
    contact_limits: ContactLimitsRead | None
    carriers: list[CarrierRead]


class PhoneNumberRead(TypedDict):
    """A number that an agent may call from."""

    id: str
    phone_number: str
    agent_id: str
    telephony_provider: str
    rented: bool


def phone_number_json(agent: Agent, number: str, carrier: str) -> PhoneNumberRead:
    """One of an agent's numbers as JSON. Its id is stable: it is derived from agent and number. `carrier`: the default
    for agents that name none."""
    return {
        "id": uuid.uuid5(uuid.UUID(agent.agent_id), number).hex,
        "phone_number": number,
        "agent_id": agent.agent_id,
        "telephony_provider": agent.provider or carrier,
        "rented": False,
    }


# ---- routes ---


@router.get(
    "/user/me",
    summary="Get your account",
    tags=["account"],
    operation_id="get_user",
    responses=answers(200, "The account of the API key.", UserRead),
)
def get_user() -> Response[Any]:
    return answer(_user(accounts.read_account(account_id(), accounts=services().accounts)))


@router.patch(
    "/user/me",
    summary="Change your account's defaults and contact limits",
    description="The defaults apply to agents without caller ids, answer_url or stream_url, carrier or policy. Contact"
    " limits apply to every call of the account, within ten seconds.",
    tags=["account"],
    operation_id="patch_user",
    responses=answers(200, "The changed account.", UserRead, 400, 409, 413),
)
def patch_user(body: Annotated[SkipValidation[UserChange], Body()]) -> Response[Any]:
    patch = router.current_event.json_body

    def change(account: Account) -> Account:
        limits = account.contact_limits
        if "contact_limits" in patch:
            limits = validated(_Limits, {"contact_limits": patch["contact_limits"]}).to_limits()
        url = account.webhook_url
        if "webhook_url" in patch:
            url = checked_webhook(patch["webhook_url"], services().check_webhook)
        defaults = changed_defaults(account.defaults, patch, services().allow_local, read_policy)
        changed = replace(account, defaults=defaults, contact_limits=limits, webhook_url=url)
        note_changes(account, changed)
        return changed

    account = accounts.change_settings(services(), account_id(), change)
    if "policy" in patch:
        policies.apply_account_policy(services(), account.account_id)
    return answer(_user(account))


def _user(account: Account) -> UserRead:
    agents = services().agents.all(account.account_id)
    calls = accounts.concurrency(services(), agents)
    concurrency = ConcurrencyRead(max=calls.max, current=calls.current)
    default = accounts.carrier_of(services(), account)
    providers = sorted({agent.provider or default for agent in agents})
    carriers = [carrier_json(services().circuits.get(account.account_id, provider)) for provider in providers]
    return UserRead(
        id=account.account_id,
        name=account.name,
        key=own_key_json(caller(), system.now()),
        concurrency=concurrency,
        webhook_url=account.webhook_url,
        defaults=defaults_json(account.defaults),
        contact_limits=contact_limits_json(account.contact_limits),
        carriers=carriers,
    )


@router.get(
    "/phone-numbers/all",
    summary="List the numbers your agents call from",
    tags=["account"],
    operation_id="list_phone_numbers",
    responses=answers(
        200, "Each agent's numbers, oldest agent first.", list[PhoneNumberRead], 400, 413, headers=HEADERS
    ),
)
def get_phone_numbers(
    page_number: AnyPageNumber = None, page_size: AnyPageSize = None, cursor: CursorText = None
) -> Response[Any]:
    default = accounts.carrier_of(services(), accounts.read_account(account_id(), accounts=services().accounts))
    found = [
        (Position(agent.created_at, agent.agent_id, index), (agent, number, default))
        for agent in services().agents.all(account_id())
        for index, number in enumerate(agent.from_phone_numbers)
    ]
    shown = part_of(found, paging(page_number, page_size, cursor), lambda one: phone_number_json(*one))
    return answer(shown.rows, headers=shown.headers)
