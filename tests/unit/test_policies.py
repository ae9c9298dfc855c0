"""Which rule applies: a property over random policies; labels; and how a policy is stored."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from redial.adapters.dynamodb.policies import DynamoPolicies
from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.calling_window import CallingRule
from redial.domain.contact_limits import ContactLimits
from redial.domain.execution import Execution
from redial.domain.gates import Facts
from redial.domain.policy import Policy, in_force, read_label
from redial.domain.retry import RetryConfig
from tests.support.aws import dynamodb_with_table
from tests.support.samples import ACCOUNT_ID, AGENT_ID, TEN
from tests.support.table import TABLE_NAME

HOURS = [None, *(CallingRule.of_hours(start, start + 2) for start in range(20))]
PURPOSES = [None, "a", "b", "c", "d"]
COUNTRIES: list[tuple[str, ...]] = [(), ("FR",), ("*",), ("DE", "US")]


def first(*values: Any) -> Any:
    """The first value that is given."""
    return next((value for value in values if value), None)


def test_the_first_that_has_a_rule_decides_over_random_policies() -> None:
    """The reference is simple: the list of values that may give the rule, in order."""
    chance = random.Random(33)
    for _ in range(5000):
        hours, purposes = [chance.choice(HOURS) for _ in range(3)], [chance.choice(PURPOSES) for _ in range(3)]
        of_policy, of_agent = chance.choice(COUNTRIES), chance.choice(COUNTRIES)
        policy = Policy("p", 1, TEN, {}, calling_rule=hours[1], purpose=purposes[1], consent_required=of_policy)
        named = chance.choice([policy, None])
        is_default, in_batch = named is not None and chance.random() < 0.5, chance.random() < 0.5
        own: dict[str, Any] = {"calling_rule": None if hours[0] is None else str(hours[0]), "purpose": purposes[0]}
        label: dict[str, Any] = {"policy": None if named is None else "p@1", "policy_is_default": is_default}
        batch = Batch("b" * 32, ACCOUNT_ID, AGENT_ID, TEN, "f.csv", **own, **label).begin(TEN, start=True)
        single = {} if in_batch else own | label
        execution = Execution("e", ACCOUNT_ID, AGENT_ID, TEN, "+12025550123", **single).begin(TEN, None)
        rule = hours[2]
        agent = Agent(AGENT_ID, ACCOUNT_ID, "a", {}, TEN, TEN, purpose=purposes[2], consent_required=of_agent)
        agent = replace(agent, calling_windows=None if rule is None else str(rule))
        facts = Facts(TEN, execution, agent, batch if in_batch else None, policy=named)

        def expected(own: Any, of_policy: Any, of_agent: Any) -> Any:
            levels = [own, of_policy if named is not None else None, of_agent]  # noqa: B023  used at once
            return first(*([levels[0], levels[2], levels[1]] if is_default else levels))  # noqa: B023

        assert facts.rule[1] == expected(hours[0], hours[1], hours[2])
        assert facts.purpose == expected(purposes[0], purposes[1], purposes[2])
        assert facts.consent_required[1] == (expected(None, of_policy, of_agent) or ())


def test_a_value_that_is_given_nowhere_is_none() -> None:
    assert in_force(None, None, None, is_default=False) is None
    assert in_force(None, 2, 3, is_default=False) == 2
    assert in_force(None, 2, 3, is_default=True) == 3
    assert in_force(1, 2, 3, is_default=True) == 1


@pytest.mark.parametrize(
    ("text", "label"),
    [("a", ("a", None)), ("lead-outreach@3", ("lead-outreach", 3)), ("9_x@999999", ("9_x", 999_999))],
)
def test_a_label_names_a_version_or_the_latest(text: str, label: tuple[str, int | None]) -> None:
    assert read_label(text) == label


@pytest.mark.parametrize("text", ["", "A", "a@", "a@0", "a@01", "a@1000000", "a@b", "-a", "a" * 41, "a@1@2", " a"])
def test_other_labels_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a policy's name"):
        read_label(text)


@pytest.fixture
def client() -> Iterator[Any]:
    with dynamodb_with_table() as client:
        yield client


EVERYTHING = Policy(
    name="all",
    version=7,
    created_at=TEN,
    config={"purpose": "marketing", "retry_config": {"enabled": True}},
    calling_rule=CallingRule.parse("mo-fr 9-12:30,14-18 not 2026-12-24 spread 15 max 2"),
    contact_limits=ContactLimits.parse("3/24h,7/7d pause 24h end"),
    expires_after_minutes=90,
    consent_required=("FR", "DE"),
    purpose="marketing",
    retry_config=RetryConfig(enabled=True, max_retries=2),
)


@pytest.mark.parametrize("policy", [EVERYTHING, Policy("none", 1, TEN, {})], ids=["everything", "nothing"])
def test_a_stored_policy_is_read_as_it_was(client: Any, policy: Policy) -> None:
    store = DynamoPolicies(client, TABLE_NAME)
    assert store.add(ACCOUNT_ID, policy)
    assert not store.add(ACCOUNT_ID, replace(policy, purpose="other")), "a version never changes"
    fresh = DynamoPolicies(client, TABLE_NAME)
    assert fresh.get(ACCOUNT_ID, policy.label) == policy == fresh.latest(ACCOUNT_ID, policy.name)
    assert fresh.get(ACCOUNT_ID, f"{policy.name}@8") is None
    assert fresh.get("another", policy.label) is None
    client.delete_table(TableName=TABLE_NAME)
    assert fresh.get(ACCOUNT_ID, policy.label) == policy, "from memory"


def test_versions_and_names_are_in_order(client: Any) -> None:
    """Some names begin with another name, and some versions have several digits."""
    store = DynamoPolicies(client, TABLE_NAME)
    for name in ("b", "a", "a-b", "a_b", "a1"):
        for version in range(1, 12):
            store.add(ACCOUNT_ID, Policy(name, version, TEN, {}))
    newest = store.all(ACCOUNT_ID)
    assert [(one.name, one.version) for one in newest] == [(n, 11) for n in ("a", "a-b", "a1", "a_b", "b")]
