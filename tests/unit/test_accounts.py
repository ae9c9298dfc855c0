"""Authentication by the Authorization header, and account names."""

import hashlib

import pytest

from redial.domain.api_key import Caller, KeyRights, KeyScope
from redial.domain.errors import InvalidInput, Unauthorized
from redial.runtime import keys, system
from redial.usecases import accounts as use
from redial.wire.webhook_signature import key_of
from tests.support.samples import ACCOUNT_ID, TEN

READER = Caller(ACCOUNT_ID, KeyRights((KeyScope.READ,)), "k1", "reader")


class OneKey:
    """A store with one key, which records look-ups."""

    def __init__(self, api_key: str) -> None:
        self.known = use.hash_of(api_key)
        self.asked: list[str] = []

    def caller_of_key(self, key_hash: str) -> Caller | None:
        self.asked.append(key_hash)
        return READER if key_hash == self.known else None


@pytest.mark.parametrize("header", ["Bearer rdl_1", "bearer rdl_1", "Bearer   rdl_1  "])
def test_a_valid_key_authenticates_its_account(header: str) -> None:
    assert use.authenticate(header, accounts=OneKey("rdl_1")) == READER  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "rdl_1", "Basic rdl_1", "Bearer rdl_2", "Bearer rdl_1,Bearer rdl_1"]
)
def test_anything_else_is_unauthorized(header: str | None) -> None:
    with pytest.raises(Unauthorized) as refused:
        use.authenticate(header, accounts=OneKey("rdl_1"))  # type: ignore[arg-type]
    assert "rdl_" not in refused.value.message


@pytest.mark.parametrize("key", ["x" * 513, "clé", "\ud800"])
def test_a_malformed_key_is_not_looked_up(key: str) -> None:
    store = OneKey("rdl_1")
    with pytest.raises(Unauthorized):
        use.authenticate(f"Bearer {key}", accounts=store)  # type: ignore[arg-type]
    assert store.asked == []


def test_the_store_gets_a_hash_and_never_the_key() -> None:
    store = OneKey("rdl_1")
    use.authenticate("Bearer rdl_1", accounts=store)  # type: ignore[arg-type]
    assert store.asked == [hashlib.sha256(b"rdl_1").hexdigest()]


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_a_name_has_1_to_200_characters(name: str) -> None:
    with pytest.raises(InvalidInput):
        use.create_account(name, account_id=ACCOUNT_ID, webhook_secret="whsec_", accounts=OneKey(""), now=TEN)  # type: ignore[arg-type]


def test_new_keys_and_secrets_differ_and_have_full_length() -> None:
    assert len({system.new_api_key() for _ in range(100)}) == 100
    assert {len(system.new_api_key()) for _ in range(100)} == {len("rdl_") + 43}
    assert {len(key_of(keys.new_webhook_secret())) for _ in range(10)} == {32}
