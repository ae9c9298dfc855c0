"""The operator's command for accounts, API keys and webhook secrets, on the API's table."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.domain.errors import Unauthorized
from redial.runtime import keys, services
from redial.usecases import accounts as use
from tests.support.api import aws
from tests.support.samples import ACCOUNT_ID, TEN, minutes
from tests.support.table import TABLE_NAME, create_table


@pytest.fixture
def store() -> Iterator[DynamoAccounts]:
    with aws():
        yield DynamoAccounts(boto3.client("dynamodb"), TABLE_NAME)


@pytest.fixture
def run(store: DynamoAccounts, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, fails: bool = False) -> Any:
        code = keys.main(arguments)
        out, err = capsys.readouterr()
        assert code == (1 if fails else 0), err
        return err if fails else json.loads(out)

    return run


def opens(store: DynamoAccounts, api_key: str) -> str | None:
    try:
        return use.authenticate(f"Bearer {api_key}", accounts=store).account_id
    except Unauthorized:
        return None


def test_an_accounts_key_authenticates_until_revoked(store: DynamoAccounts, run: Any) -> None:
    account = run("create-account", "--name", "Zoë & Co")
    assert account["name"] == "Zoë & Co"
    made = run("create", "--account", account["account_id"], "--name", "production")
    other = run("create", "--account", account["account_id"], "--name", "staging")
    assert made["api_key"].startswith("rdl_")
    assert opens(store, made["api_key"]) == account["account_id"]
    run("revoke", "--account", account["account_id"], "--key-id", made["key_id"])
    assert opens(store, made["api_key"]) is None
    assert opens(store, other["api_key"]) == account["account_id"]
    listed = run("list", "--account", account["account_id"])["keys"]
    assert [(key["name"], key["revoked_at"] is not None) for key in listed] == [
        ("production", True),
        ("staging", False),
    ]


def test_a_key_is_256_random_bits_and_only_its_hash_is_stored(store: DynamoAccounts, run: Any) -> None:
    account_id = run("create-account", "--name", "a")["account_id"]
    api_keys = {run("create", "--account", account_id, "--name", "k")["api_key"] for _ in range(3)}
    assert len(api_keys) == 3
    assert {len(base64.urlsafe_b64decode(one.removeprefix("rdl_") + "=")) for one in api_keys} == {32}
    items = json.dumps(boto3.client("dynamodb").scan(TableName=TABLE_NAME)["Items"])
    assert not any(one in items for one in api_keys)
    assert all(use.hash_of(one) in items for one in api_keys)
    listed = json.dumps(run("list", "--account", account_id))
    assert not any(one in listed or use.hash_of(one) in listed for one in api_keys)


def test_a_key_may_have_some_scopes_only(store: DynamoAccounts, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    account_id = run("create-account", "--name", "a")["account_id"]
    option = ("create", "--account", account_id, "--name", "k")
    made = run(*option, "--scope", "call", "--scope", "read")
    assert made["scopes"] == ["read", "call"]
    assert use.authenticate(f"Bearer {made['api_key']}", accounts=store).rights.scopes == ("read", "call")
    assert run(*option)["scopes"] == ["read", "call", "operate", "admin"]
    listed = run("list", "--account", account_id)["keys"]
    assert sorted(key["scopes"] for key in listed) == [["read", "call"], ["read", "call", "operate", "admin"]]
    with pytest.raises(SystemExit):
        keys.main([*option, "--scope", "everything"])
    assert "choose from" in capsys.readouterr().err


def test_accounts_are_listed(store: DynamoAccounts, run: Any) -> None:
    assert run("list-accounts") == {"accounts": []}
    made = [run("create-account", "--name", name) for name in ("a", "b")]
    run("create", "--account", made[0]["account_id"], "--name", "k")
    listed = run("list-accounts")["accounts"]
    assert {(one["account_id"], one["name"]) for one in listed} == {(one["account_id"], one["name"]) for one in made}
    assert all(one.keys() == {"account_id", "name", "created_at"} for one in listed), "no secret"


@pytest.mark.parametrize(("given", "region"), [((), "eu-west-3"), (("--region", "eu-north-1"), "eu-north-1")])
def test_the_region_comes_from_the_option_or_aws_region(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: Any, region: str
) -> None:
    """This uses moto alone, since the emulated AWS has one region."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("TABLE_NAME", TABLE_NAME)
    with mock_aws():
        services.reset()
        create_table(boto3.client("dynamodb", region_name=region))
        assert keys.main(["create-account", "--name", "there", *given]) == 0
        capsys.readouterr()
        elsewhere = DynamoAccounts(boto3.client("dynamodb", region_name=region), TABLE_NAME)
        assert [account.name for account in elsewhere.all()] == ["there"]
    services.reset()


def test_premium_numbers_are_refused_until_allowed(store: DynamoAccounts, run: Any) -> None:
    account_id = run("create-account", "--name", "a")["account_id"]

    def allowed() -> bool:
        return use.read_account(account_id, accounts=store).premium_numbers

    assert not allowed()
    for answer, expected in (("yes", True), ("no", False)):
        shown = run("premium-numbers", "--account", account_id, "--allow", answer)
        assert shown == {"account_id": account_id, "premium_numbers": expected}
        assert allowed() == expected
    assert "no account" in run("premium-numbers", "--account", "unknown", "--allow", "yes", fails=True)
    assert store.get("unknown") is None


def test_defaults_are_set_checked_and_removed(store: DynamoAccounts, run: Any) -> None:
    account_id = run("create-account", "--name", "a")["account_id"]
    option = ("defaults", "--account", account_id)
    nothing: dict[str, Any] = {
        "provider": None,
        "from_phone_numbers": [],
        "answer_url": None,
        "stream_url": None,
        "policy": None,
    }
    assert run(*option)["defaults"] == nothing
    numbers = ("--from-phone-number", "+1 202 555 0100", "--from-phone-number", "+12025550101")
    shown = run(*option, *numbers, "--carrier", "http", "--answer", "https://voice.example.com/{execution_id}")
    assert shown == {
        "account_id": account_id,
        "defaults": {
            "provider": "http",
            "from_phone_numbers": ["+12025550100", "+12025550101"],
            "answer_url": "https://voice.example.com/{execution_id}",
            "stream_url": None,
            "policy": None,
        },
    }
    assert use.read_account(account_id, accounts=store).defaults.from_phone_numbers == ("+12025550100", "+12025550101")
    stream = run(*option, "--answer", "wss://voice.example.com/")["defaults"]
    assert (stream["answer_url"], stream["stream_url"]) == (None, "wss://voice.example.com/")
    for wrong, message in (
        (("--answer", "http://voice.example.com/"), "https://"),
        (("--answer", "https://voice.example.com/{x}"), "in braces"),
        (("--answer", "wss://voice.example.com/?" + "a=1&" * 130), "too long"),
        (("--from-phone-number", "123"), "--from-phone-number"),
    ):
        assert message in run(*option, *wrong, fails=True)
    assert run(*option)["defaults"] == stream
    assert run(*option, "--carrier", "", "--from-phone-number", "", "--answer", "")["defaults"] == nothing
    assert "no account" in run("defaults", "--account", "unknown", "--carrier", "http", fails=True)


def test_a_webhook_secret_is_rotated_in_two_steps(store: DynamoAccounts, run: Any) -> None:
    first = run("create-account", "--name", "a")
    account = ("--account", first["account_id"])

    def live() -> tuple[str, ...]:
        found = store.get(first["account_id"])
        assert found is not None
        return found.webhook_secrets

    assert first["webhook_secret"].startswith("whsec_")
    assert live() == (first["webhook_secret"],)
    assert "rotate it first" in run("drop-old-webhook-secret", *account, fails=True)
    second = run("rotate-webhook-secret", *account)
    assert live() == (second["webhook_secret"], first["webhook_secret"])
    assert "drop the old one first" in run("rotate-webhook-secret", *account, fails=True)
    assert run("drop-old-webhook-secret", *account) == {"account_id": first["account_id"], "live_secrets": 1}
    assert live() == (second["webhook_secret"],)


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "--account", "unknown", "--name", "k"),
        ("list", "--account", "unknown"),
        ("revoke", "--account", "unknown", "--key-id", "k"),
        ("rotate-webhook-secret", "--account", "unknown"),
        ("drop-old-webhook-secret", "--account", "unknown"),
        ("create-account", "--name", " "),
        ("list", "--account", "unknown", "--table", "no-such-table"),
    ],
)
def test_an_error_is_printed_and_exits_with_1(run: Any, arguments: tuple[str, ...]) -> None:
    assert run(*arguments, fails=True).strip()


def test_a_key_of_one_account_cannot_be_revoked_through_another(store: DynamoAccounts, run: Any) -> None:
    one, other = (run("create-account", "--name", name)["account_id"] for name in ("a", "b"))
    made = run("create", "--account", one, "--name", "k")
    run("revoke", "--account", other, "--key-id", made["key_id"], fails=True)
    assert opens(store, made["api_key"]) == one


def test_revoking_again_keeps_the_first_timestamp(store: DynamoAccounts) -> None:
    use.create_account("a", account_id=ACCOUNT_ID, webhook_secret="whsec_x", accounts=store, now=TEN)
    use.create_key(ACCOUNT_ID, "k", api_key="rdl_1", key_id="k1", accounts=store, now=TEN)
    for later in (1, 2):
        use.revoke_key(ACCOUNT_ID, "k1", accounts=store, now=TEN + minutes(later))
    assert [key.revoked_at for key in store.keys(ACCOUNT_ID)] == [TEN + minutes(1)]


def test_the_table_must_be_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TABLE_NAME", raising=False)
    with pytest.raises(SystemExit) as stopped:
        keys.main(["list", "--account", "a"])
    assert stopped.value.code == 2
    assert "--table" in capsys.readouterr().err


def test_ensuring_a_local_account_and_key_is_idempotent(store: DynamoAccounts) -> None:
    first, second = (
        keys.ensure_account(
            account_id=ACCOUNT_ID,
            name="Local",
            webhook_secret=keys.new_webhook_secret(),
            api_key="local-dev-key",
            accounts=store,
            now=TEN,
        )
        for _ in range(2)
    )
    assert first == second == store.get(ACCOUNT_ID)
    assert opens(store, "local-dev-key") == ACCOUNT_ID
    assert len(store.keys(ACCOUNT_ID)) == 1


def test_concurrent_rotations_lose_no_secret(store: DynamoAccounts) -> None:
    stale = use.create_account("a", account_id=ACCOUNT_ID, webhook_secret="whsec_1", accounts=store, now=TEN)
    use.rotate_webhook_secret(ACCOUNT_ID, webhook_secret="whsec_2", accounts=store)
    assert not store.replace_secrets(stale, ("whsec_3", "whsec_1"))
    found = store.get(ACCOUNT_ID)
    assert found is not None
    assert found.webhook_secrets == ("whsec_2", "whsec_1")


def test_an_account_is_created_once(store: DynamoAccounts) -> None:
    made = use.create_account("a", account_id=ACCOUNT_ID, webhook_secret="whsec_1", accounts=store, now=TEN)
    assert not store.create(made)
