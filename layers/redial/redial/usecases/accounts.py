"""Accounts and their API keys.

A key is 256 random bits. Only its SHA-256 is stored, and a key is found by that hash in one read. With so much entropy
no slow hash is needed. A comparison in constant time would protect nothing: a caller who learned a stored hash digit by
digit would still have to find a key for it. Every request reads the key again, so a revoked key is refused at once.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from redial.domain.agent import DEFAULT_PROVIDER, Account, Agent
from redial.domain.api_key import ALL_RIGHTS, ApiKey, Caller, KeyRights, hour_of
from redial.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthorized
from redial.ports import Accounts, Services
from redial.usecases.dispatch import shards_in_use
from redial.usecases.update import MOST_TRIES, mark_agent

MAX_NAME_LENGTH = 200
MAX_KEY_LENGTH = 512
"""Longest API key that is looked up; a longer one is unknown."""


def hash_of(api_key: str) -> str:
    """The stored hash of a key: SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def authenticate(authorization: str | None, *, accounts: Accounts) -> Caller:
    """The caller that an `Authorization` header identifies. Raises `Unauthorized`."""
    if not authorization:
        raise Unauthorized("send your API key in the header Authorization: Bearer <api key>")
    scheme, _, api_key = authorization.partition(" ")
    api_key = api_key.strip()
    if scheme.lower() != "bearer" or not api_key:
        raise Unauthorized("the header must read Authorization: Bearer <api key>")
    found = None
    if len(api_key) <= MAX_KEY_LENGTH and api_key.isascii():
        found = accounts.caller_of_key(hash_of(api_key))
    if found is None:
        raise Unauthorized("this API key is unknown or was revoked")
    return found


def mark_used(caller: Caller, *, accounts: Accounts, now: datetime) -> None:
    """Store the hour of the key's last request, at most once an hour."""
    hour = hour_of(now)
    if caller.key_id and (caller.last_used_at is None or caller.last_used_at < hour):
        accounts.mark_used(caller.key_hash, hour)


def create_account(name: str, *, account_id: str, webhook_secret: str, accounts: Accounts, now: datetime) -> Account:
    """Create an account whose webhooks are signed with `webhook_secret`. Raises `InvalidInput`, `Conflict`."""
    account = Account(account_id, _checked_name(name), now, (webhook_secret,))
    if not accounts.create(account):
        raise Conflict(f"account {account_id} exists already")
    return account


def create_key(
    account_id: str,
    name: str,
    *,
    api_key: str,
    key_id: str,
    accounts: Accounts,
    now: datetime,
    rights: KeyRights = ALL_RIGHTS,
    by: KeyRights = ALL_RIGHTS,
) -> ApiKey:
    """Make `api_key` valid for the account, with `rights`. They must be within `by`, the rights of the key that creates
    it. Raises `InvalidInput`, `Forbidden`, `NotFound`."""
    key = ApiKey(key_id, account_id, _checked_name(name), now, rights=rights)
    too_much = rights.beyond(by)
    if too_much:
        raise Forbidden(f"a key can make keys with what it has itself, and this one lacks {', '.join(too_much)}")
    read_account(account_id, accounts=accounts)
    accounts.add_key(key, hash_of(api_key))
    return key


def list_keys(account_id: str, *, accounts: Accounts, by: KeyRights = ALL_RIGHTS) -> list[ApiKey]:
    """The account's keys for agents that `by` sees, revoked keys included. Raises `NotFound`."""
    read_account(account_id, accounts=accounts)
    return [key for key in accounts.keys(account_id) if by.sees_agents_of(key.rights)]


def revoke_key(account_id: str, key_id: str, *, accounts: Accounts, now: datetime, by: KeyRights = ALL_RIGHTS) -> None:
    """Make the key invalid. Idempotent. Raises `NotFound`."""
    is_seen = by.agents is None or any(key.key_id == key_id for key in list_keys(account_id, accounts=accounts, by=by))
    if not is_seen or not accounts.revoke_key(account_id, key_id, now):
        raise NotFound(f"account {account_id} has no key {key_id}")


def rotate_webhook_secret(account_id: str, *, webhook_secret: str, accounts: Accounts) -> Account:
    """Sign with a new secret as well as the old one, until the old one is dropped. Raises `NotFound`, `Conflict`."""
    account = read_account(account_id, accounts=accounts)
    if len(account.webhook_secrets) > 1:
        raise Conflict("two webhook secrets are live already: drop the old one first")
    return _with_secrets(account, (webhook_secret, *account.webhook_secrets), accounts)


def drop_old_webhook_secret(account_id: str, *, accounts: Accounts) -> Account:
    """Sign with the newest secret only. Raises `NotFound`, and `Conflict` if there is no older one."""
    account = read_account(account_id, accounts=accounts)
    if len(account.webhook_secrets) < 2:
        raise Conflict("only one webhook secret is live: rotate it first")
    return _with_secrets(account, account.webhook_secrets[:1], accounts)


def allow_premium_numbers(account_id: str, allowed: bool, *, accounts: Accounts) -> None:
    """Allow or forbid the account to call premium-rate and shared-cost numbers. Raises `NotFound`.

    Existing calls and batches are not affected.
    """
    if not accounts.allow_premium_numbers(account_id, allowed):
        raise NotFound(f"no account {account_id}")


def change_account(account_id: str, change: Callable[[Account], Account], *, accounts: Accounts) -> Account:
    """Change the account's defaults, contact limits and webhook. `change` validates. Raises `NotFound`, `Conflict`, and
    what `change` raises. Contact limits take effect with `change_settings` only."""
    for _ in range(MOST_TRIES):
        account = read_account(account_id, accounts=accounts)
        changed = change(account)
        if accounts.replace_settings(account, changed):
            return changed
    raise Conflict("the account is being changed by other requests at the same time: try again")


def change_settings(services: Services, account_id: str, change: Callable[[Account], Account]) -> Account:
    """`change_account`, after which dial also applies the account's contact limits: to each attempt dialled ten seconds
    or more after this returns.

    The account is stored first, then its agents are marked. An agent created meanwhile reads the account after it was
    stored itself (`with_account_rules`), so every agent is marked.
    """
    changed = change_account(account_id, change, accounts=services.accounts)
    if changed.contact_limits is not None:
        for agent in services.agents.all(account_id):
            mark_agent(services, agent, has_account_limits=True)
    return changed


def with_account_rules(services: Services, agent: Agent) -> Agent:
    """A new agent that was just stored, marked if its account has contact limits, and with the account's default
    policy. A request that sets either lists the agents afterwards. So it finds this agent, or the agent reads the new
    setting."""
    account = services.accounts.get(agent.account_id)
    if account is None:
        return agent
    limited = {} if account.contact_limits is None else {"has_account_limits": True}
    return mark_agent(services, agent, **limited, account_policy=account.defaults.policy)


def read_account(account_id: str, *, accounts: Accounts) -> Account:
    """The account. Raises `NotFound`."""
    account = accounts.get(account_id)
    if account is None:
        raise NotFound(f"no account {account_id}")
    return account


@dataclass(frozen=True)
class Concurrency:
    """The maximum of live calls of an account's agents together, and the current number."""

    max: int
    current: int


def concurrency(services: Services, agents: Iterable[Agent]) -> Concurrency:
    """The sums over these agents."""
    maximum = current = 0
    for agent in agents:
        maximum += agent.max_concurrent_calls
        for shard in shards_in_use(agent):
            current += len(services.lines.holders(agent.agent_id, shard))
    return Concurrency(maximum, current)


def carrier_of(services: Services, account: Account) -> str:
    """The carrier of the account's agents that name none."""
    return account.defaults.provider or services.defaults.provider or DEFAULT_PROVIDER


def _with_secrets(account: Account, secrets: tuple[str, ...], accounts: Accounts) -> Account:
    if not accounts.replace_secrets(account, secrets):
        raise Conflict(
            "the webhook secrets were changed at the same time by another request: read them, then try again"
        )
    return replace(account, webhook_secrets=secrets)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidInput.of("name", f"must have 1 to {MAX_NAME_LENGTH} characters")
    return name
