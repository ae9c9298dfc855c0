"""Scopes of API keys: every documented route, with a key of each scope, and with a key of all other scopes."""

from typing import Any

import pytest

from redial.adapters.dynamodb.accounts import DynamoAccounts
from redial.domain.api_key import ALL_RIGHTS, ALL_SCOPES, KeyRights, KeyScope
from redial.runtime.services import services_of
from redial.usecases import accounts
from tests.support.api import UNKNOWN_ID, Api, openapi
from tests.support.samples import ACCOUNT_ID, TEN

OPERATIONS = [
    (method.upper(), path, operation.get("x-required-scope"))
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
]
WITH_A_KEY = [(method, path, scope) for method, path, scope in OPERATIONS if scope is not None]
PUBLIC = {"/", "/favicon.ico", "/health", "/docs", "/openapi.json", "/llms.txt"}


def key_with(*scopes: KeyScope) -> str:
    """A key of the first account with these scopes."""
    api_key = "rdl_" + "-".join(scopes)
    store = services_of("api").accounts
    assert isinstance(store, DynamoAccounts)
    if store.caller_of_key(accounts.hash_of(api_key)) is None:
        accounts.create_key(
            ACCOUNT_ID, "k", api_key=api_key, key_id="-".join(scopes), accounts=store, now=TEN, rights=KeyRights(scopes)
        )
    return api_key


def filled_in(path: str) -> str:
    return "/".join(UNKNOWN_ID if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_a_route_takes_a_key_with_its_scope_and_no_other(api: Api, scope: KeyScope) -> None:
    alone, others = key_with(scope), key_with(*(one for one in ALL_SCOPES if one != scope))
    for method, path, needed in WITH_A_KEY:
        with_it, without = (alone, others) if needed == scope else (others, alone)
        refused = api.send(method, filled_in(path), {}, key=without)
        assert (refused.status, needed in refused.json["message"]) == (403, True), f"{method} {path}"
        assert api.send(method, filled_in(path), {}, key=with_it).status not in (401, 403), f"{method} {path}"


def test_every_route_but_the_public_ones_names_its_scope() -> None:
    assert {path for _, path, scope in OPERATIONS if scope is None} == PUBLIC
    assert {scope for _, _, scope in WITH_A_KEY} == set(ALL_SCOPES)


def test_what_changes_something_needs_more_than_read() -> None:
    read = {(method, path) for method, path, scope in WITH_A_KEY if scope == KeyScope.READ and method != "GET"}
    assert read <= {("POST", "/call/plan"), ("POST", "/batches/{batch_id}/preflight")}, "these change nothing"


def test_an_unknown_path_and_a_wrong_method_say_so_whatever_the_scope(api: Api) -> None:
    key = key_with(KeyScope.READ)
    assert api.send("GET", "/nope", key=key).status == 404
    assert api.send("POST", "/user/me", {}, key=key).status == 405


def test_a_key_made_before_there_were_rights_has_all(api: Api) -> None:
    store: Any = services_of("api").accounts
    accounts.create_key(ACCOUNT_ID, "k", api_key="rdl_old", key_id="old", accounts=store, now=TEN)
    stored = store._table.get({"pk": f"K#{accounts.hash_of('rdl_old')}", "sk": "K"})
    assert stored.keys() == {"pk", "sk", "account_id", "key_id", "name"}
    assert store.caller_of_key(accounts.hash_of("rdl_old")).rights == ALL_RIGHTS


def test_a_scope_of_a_newer_version_opens_nothing_here(api: Api) -> None:
    key_with(KeyScope.READ)
    store: Any = services_of("api").accounts
    key = {"pk": f"K#{accounts.hash_of('rdl_read')}", "sk": "K"}
    store._table.update(key, "SET scopes = :scopes", "attribute_exists(pk)", {":scopes": ["read", "teleport"]})
    assert store.caller_of_key(accounts.hash_of("rdl_read")).rights == KeyRights((KeyScope.READ,))
