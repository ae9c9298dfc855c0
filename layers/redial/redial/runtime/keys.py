"""Command-line tool for accounts, API keys and webhook secrets: `python -m redial.runtime.keys --help`.

It writes to the table `--table` (or TABLE_NAME) with the caller's AWS credentials, and prints JSON. A key or secret is
shown once, when it is created. `ensure_account` creates an account with a key given by the caller.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, NamedTuple

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.adapters.dynamodb.agents import DynamoAgents
from redial.adapters.dynamodb.audit import DynamoAuditLog
from redial.carriers import CARRIERS, check_stream_url
from redial.domain.agent import Account, Defaults
from redial.domain.api_key import ALL_SCOPES, ApiKey, KeyRights, NumbersShown
from redial.domain.audit import OPERATOR, AuditRecord, Changes, differences, recorded
from redial.domain.carrier_url import ANSWER_URL, STREAM_URL, check_carrier_url
from redial.domain.errors import InvalidInput, RedialError
from redial.domain.phone_number import normalized
from redial.domain.queue import MAX_KEY_LINES
from redial.ports import Accounts
from redial.runtime import system
from redial.usecases import accounts as use
from redial.wire.api_key_json import rights_json
from redial.wire.timestamps import rfc3339, rfc3339_or_none
from redial.wire.webhook_signature import new_secret

_SECRET_BYTES = 32


def new_webhook_secret() -> str:
    """A new secret in the format of Standard Webhooks."""
    return new_secret(secrets.token_bytes(_SECRET_BYTES))


def ensure_account(
    *, account_id: str, name: str, webhook_secret: str, api_key: str, accounts: Accounts, now: datetime
) -> Account:
    """Create the account and its key `api_key` unless they exist, and return the account. Idempotent.

    For local development, where a fixed key is convenient.
    """
    account = accounts.get(account_id)
    if account is None:
        account = use.create_account(
            name, account_id=account_id, webhook_secret=webhook_secret, accounts=accounts, now=now
        )
    key_hash = use.hash_of(api_key)
    if accounts.caller_of_key(key_hash) is None:
        use.create_key(account_id, name, api_key=api_key, key_id=key_hash[:12], accounts=accounts, now=now)
    return account


# ---- the command --------------------------------------------------------------------------------------------------


class Stores(NamedTuple):
    """The stores that commands use."""

    accounts: DynamoAccounts
    agents: DynamoAgents
    changes: list[AuditRecord]
    """The command's changes; `main` appends them to the audit log."""

    def record(
        self,
        account_id: str,
        operation: str,
        resource: tuple[str, str | None] = ("account", None),
        changes: Changes | None = None,
        **details: Any,
    ) -> None:
        """Add the audit record of a change."""
        shown = {name: recorded(value) for name, value in details.items()}
        record = AuditRecord(
            system.new_id(), account_id, system.now(), None, OPERATOR, operation, *resource, changes or {}, shown
        )
        self.changes.append(record)


def _list_accounts(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    return {
        "accounts": [
            {"account_id": account.account_id, "name": account.name, "created_at": rfc3339(account.created_at)}
            for account in stores.accounts.all()
        ]
    }


def _create_account(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    secret = new_webhook_secret()
    account = use.create_account(
        arguments.name, account_id=system.new_id(), webhook_secret=secret, accounts=stores.accounts, now=system.now()
    )
    stores.record(account.account_id, "create_account", name=account.name)
    return {"account_id": account.account_id, "name": account.name, "webhook_secret": secret}


def _create(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    api_key = system.new_api_key()
    agents = tuple(dict.fromkeys(arguments.agent or ()))
    for agent_id in agents:
        if stores.agents.get(arguments.account, agent_id) is None:
            raise InvalidInput.of("--agent", f"account {arguments.account} has no agent {agent_id}")
    key = use.create_key(
        arguments.account,
        arguments.name,
        api_key=api_key,
        key_id=system.new_id(),
        accounts=stores.accounts,
        now=system.now(),
        rights=KeyRights(
            scopes=tuple(scope for scope in ALL_SCOPES if scope in (arguments.scope or ALL_SCOPES)),
            agents=agents or None,
            numbers=NumbersShown(arguments.numbers),
            calls_a_day=arguments.calls_a_day,
            lines=arguments.lines,
        ),
    )
    shown = _key_json(key)
    details = {name: value for name, value in shown.items() if name != "key_id"}
    stores.record(key.account_id, "create_key", ("key", key.key_id), **details)
    return {"account_id": key.account_id, **shown, "api_key": api_key}


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {"key_id": key.key_id, "name": key.name, **rights_json(key.rights)}


def _list(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    return {
        "keys": [
            {
                **_key_json(key),
                "created_at": rfc3339(key.created_at),
                "revoked_at": rfc3339_or_none(key.revoked_at),
                "last_used_at": rfc3339_or_none(key.last_used_at),
            }
            for key in use.list_keys(arguments.account, accounts=stores.accounts)
        ]
    }


def _revoke(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    use.revoke_key(arguments.account, arguments.key_id, accounts=stores.accounts, now=system.now())
    stores.record(arguments.account, "revoke_key", ("key", arguments.key_id))
    return {"key_id": arguments.key_id, "revoked": True}


def _rotate(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    secret = new_webhook_secret()
    account = use.rotate_webhook_secret(arguments.account, webhook_secret=secret, accounts=stores.accounts)
    stores.record(arguments.account, "rotate_webhook_secret")
    return {"account_id": account.account_id, "webhook_secret": secret, "live_secrets": len(account.webhook_secrets)}


def _drop_old(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    account = use.drop_old_webhook_secret(arguments.account, accounts=stores.accounts)
    stores.record(arguments.account, "drop_old_webhook_secret")
    return {"account_id": account.account_id, "live_secrets": len(account.webhook_secrets)}


def _premium_numbers(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    allowed = arguments.allow == "yes"
    use.allow_premium_numbers(arguments.account, allowed, accounts=stores.accounts)
    stores.record(arguments.account, "allow_premium_numbers", premium_numbers=allowed)
    return {"account_id": arguments.account, "premium_numbers": allowed}


def _defaults(arguments: argparse.Namespace, stores: Stores) -> dict[str, Any]:
    def change(current: Defaults) -> Defaults:
        changed = current
        if arguments.carrier is not None:
            changed = replace(changed, provider=arguments.carrier or None)
        if arguments.from_phone_number is not None:
            given = [number for number in arguments.from_phone_number if number]
            changed = replace(changed, from_phone_numbers=tuple(dict.fromkeys(map(_number, given))))
        if arguments.answer is not None:
            changed = replace(changed, answer_url=None, stream_url=None)
            if arguments.answer:
                is_stream = arguments.answer.lower().startswith(STREAM_URL[0])
                _check_answer(arguments.answer, STREAM_URL if is_stream else ANSWER_URL)
                changed = replace(changed, **{"stream_url" if is_stream else "answer_url": arguments.answer})
        return changed

    before: list[Account] = []

    def change_account(account: Account) -> Account:
        before[:] = [account]
        return replace(account, defaults=change(account.defaults))

    changed = use.change_account(arguments.account, change_account, accounts=stores.accounts)
    changes = differences(before[0], changed)
    if changes:
        stores.record(arguments.account, "set_defaults", changes=changes)
    return {"account_id": arguments.account, "defaults": asdict(changed.defaults)}


def _number(text: str) -> str:
    try:
        return normalized(text)
    except ValueError as error:
        raise InvalidInput.of("--from-phone-number", str(error)) from error


def _check_answer(url: str, schemes: tuple[str, str]) -> None:
    try:
        check_carrier_url(url, schemes[:1])
        if schemes is STREAM_URL:
            check_stream_url(url)
    except ValueError as error:
        raise InvalidInput.of("--answer", str(error)) from error


def _quota(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


_ACCOUNT: dict[str, Any] = {"required": True, "metavar": "ID", "help": "account id"}
_NAME: dict[str, Any] = {"required": True, "help": "a name to recognize it by"}
_RIGHTS: dict[str, dict[str, Any]] = {
    "--scope": {
        "action": "append",
        "choices": [str(scope) for scope in ALL_SCOPES],
        "help": "what the key may do; may be repeated; default: everything",
    },
    "--agent": {
        "action": "append",
        "metavar": "ID",
        "help": "an agent that the key can see and change; may be repeated; default: all",
    },
    "--numbers": {
        "choices": [str(one) for one in NumbersShown],
        "default": str(NumbersShown.FULL),
        "help": "how phone numbers are shown to the key",
    },
    "--calls-a-day": {"type": _quota, "metavar": "N", "help": "maximum calls that the key may create per day (UTC)"},
    "--lines": {
        "type": int,
        "choices": range(1, MAX_KEY_LINES + 1),
        "metavar": "N",
        "help": f"how many of its calls may be live at once, at most {MAX_KEY_LINES}",
    },
}
_COMMANDS: tuple[tuple[str, str, Callable[..., dict[str, Any]], dict[str, dict[str, Any]]], ...] = (
    ("create-account", "create an account and show its webhook secret", _create_account, {"--name": _NAME}),
    ("list-accounts", "list all accounts by id and name", _list_accounts, {}),
    ("create", "create an API key and show it", _create, {"--account": _ACCOUNT, "--name": _NAME, **_RIGHTS}),
    ("list", "list an account's API keys by id and name", _list, {"--account": _ACCOUNT}),
    (
        "revoke",
        "revoke an API key",
        _revoke,
        {"--account": _ACCOUNT, "--key-id": {"required": True, "metavar": "ID", "help": "key id, as shown by `list`"}},
    ),
    (
        "rotate-webhook-secret",
        "sign with a new secret as well as the old one, and show the new one",
        _rotate,
        {"--account": _ACCOUNT},
    ),
    ("drop-old-webhook-secret", "sign with the newest secret only", _drop_old, {"--account": _ACCOUNT}),
    (
        "premium-numbers",
        "allow or refuse calls to premium-rate and shared-cost numbers",
        _premium_numbers,
        {"--account": _ACCOUNT, "--allow": {"required": True, "choices": ("yes", "no"), "help": "refused by default"}},
    ),
    (
        "defaults",
        "set and show the account's defaults, for agents that leave these settings out",
        _defaults,
        {
            "--account": _ACCOUNT,
            "--carrier": {"choices": (*CARRIERS, ""), "help": "empty: none"},
            "--from-phone-number": {"action": "append", "metavar": "NUMBER", "help": "may be repeated; empty: none"},
            "--answer": {"metavar": "URL", "help": "an answer_url (https) or a stream_url (wss); empty: none"},
        },
    ),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m redial.runtime.keys", description="Accounts and API keys of Redial."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, purpose, run, options in _COMMANDS:
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.set_defaults(run=run)
        for option, settings in options.items():
            command.add_argument(option, **settings)
        command.add_argument("--table", default=os.environ.get("TABLE_NAME"), help="DynamoDB table (or TABLE_NAME)")
        command.add_argument("--region", help="AWS region (or AWS_REGION, or your profile's)")
        command.add_argument("--endpoint-url", help="DynamoDB endpoint, if not AWS")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and record its changes in the audit log. Returns 0 with the result on standard output, or 1 with
    the reason on standard error."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.table:
        parser.error("give --table, or set the environment variable TABLE_NAME")
    region = arguments.region or os.environ.get("AWS_REGION")  # boto3 itself reads AWS_DEFAULT_REGION only
    import boto3  # takes 135 ms, which --help saves
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("dynamodb", region_name=region, endpoint_url=arguments.endpoint_url)
        stores = Stores(DynamoAccounts(client, arguments.table), DynamoAgents(client, arguments.table), [])
        answer = arguments.run(arguments, stores)
    except (RedialError, ClientError, BotoCoreError) as error:
        print(getattr(error, "message", error), file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    if "api_key" in answer or "webhook_secret" in answer:
        print("Keep this now: it is not shown again.", file=sys.stderr)
    try:
        for record in stores.changes:
            DynamoAuditLog(client, arguments.table).add(record)
    except (ClientError, BotoCoreError) as error:
        print(f"The change was made, but it could not be recorded in the audit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
