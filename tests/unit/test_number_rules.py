"""Rules about numbers: their hash, their scope, and their gates."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from redial.domain.batch import Batch
from redial.domain.decision import Gate, Verdict
from redial.domain.execution import Execution
from redial.domain.gates import OF_NUMBER, Facts, ask, consent, suppression
from redial.domain.number_rules import EVERYWHERE, NumberRule, RuleKind, digest_of
from redial.domain.status import Status
from tests.support.samples import ACCOUNT_ID, AGENT_ID, NUMBER, TEN, agent, minutes

KEY = bytes(range(32))


def rule(kind: RuleKind = RuleKind.SUPPRESSION, **fields: Any) -> NumberRule:
    return NumberRule(kind, digest_of(KEY, NUMBER), TEN, **fields)


def given(**fields: Any) -> NumberRule:
    return rule(RuleKind.CONSENT, **{"given_at": TEN - timedelta(days=1), **fields})


def facts(of_agent: Any, *rules: NumberRule, purpose: str | None = None, of_batch: str | None = None) -> Facts:
    execution = Execution("x", ACCOUNT_ID, AGENT_ID, TEN, NUMBER, purpose=purpose).begin(TEN, None)
    batch = Batch("b", ACCOUNT_ID, AGENT_ID, TEN, "", purpose=of_batch) if of_batch else None
    return Facts(TEN, replace(execution, bypass_call_guardrails=True), of_agent, batch, rules)


def test_a_hash_needs_the_key_and_never_changes() -> None:
    assert digest_of(KEY, NUMBER) != digest_of(KEY[::-1], NUMBER)
    assert digest_of(KEY, "+14155550100") == "c3991c5856dd5f3bb619be32ac4f8ae4"


@pytest.mark.parametrize(
    ("covered", "fields"),
    [
        (True, {}),
        (True, {"agent_id": AGENT_ID}),
        (False, {"agent_id": "another"}),
        (True, {"purpose": "marketing"}),
        (False, {"purpose": "news"}),
        (True, {"expires_at": TEN + minutes(1)}),
        (False, {"expires_at": TEN}),
    ],
)
def test_a_suppression_ends_the_calls_that_it_covers(covered: bool, fields: Any) -> None:
    decision = suppression(facts(agent(), rule(**fields), purpose="marketing"))
    assert decision.verdict is (Verdict.END if covered else Verdict.ALLOW)
    if covered:
        assert decision.status is Status.CANCELED


def test_the_reason_names_what_the_suppression_covers() -> None:
    def reason(**fields: Any) -> tuple[str, str]:
        decision = suppression(facts(agent(), rule(**fields), purpose="marketing"))
        return decision.rule, decision.reason

    assert reason() == ("account", "the number is suppressed")
    assert reason(reason="opted out") == ("account", "the number is suppressed: opted out")
    assert reason(agent_id=AGENT_ID) == ("agent", "the number is suppressed for this agent")
    assert reason(purpose="marketing", reason="x") == ("purpose", "the number is suppressed for purpose marketing: x")


@pytest.mark.parametrize(
    ("call", "batch", "of_agent", "purpose"),
    [("a", "b", "c", "a"), (None, "b", "c", "b"), (None, None, "c", "c"), (None, None, None, None)],
)
def test_the_purpose_is_the_calls_the_batchs_or_the_agents(
    call: str | None, batch: str | None, of_agent: str | None, purpose: str | None
) -> None:
    assert facts(agent(purpose=of_agent), purpose=call, of_batch=batch).purpose == purpose


@pytest.mark.parametrize(
    ("required", "rules", "verdict", "ruled"),
    [
        ((), (), Verdict.ALLOW, ""),
        ((EVERYWHERE,), (), Verdict.END, "required"),
        ((EVERYWHERE,), (given(),), Verdict.ALLOW, "given"),
        ((EVERYWHERE,), (rule(),), Verdict.END, "required"),
        ((EVERYWHERE,), (given(purpose="marketing"),), Verdict.ALLOW, "given"),
        ((EVERYWHERE,), (given(purpose="news"),), Verdict.END, "required"),
        ((EVERYWHERE,), (given(given_at=TEN + minutes(1)),), Verdict.END, "required"),
        ((EVERYWHERE,), (given(expires_at=TEN),), Verdict.END, "required"),
        (("FR",), (), Verdict.ALLOW, "not-required"),
        (("FR", "US"), (), Verdict.END, "required"),
    ],
)
def test_a_consent_opens_the_gate(required: Any, rules: Any, verdict: Verdict, ruled: str) -> None:
    decision = consent(facts(agent(consent_required=required), *rules, purpose="marketing"))
    assert (decision.verdict, decision.rule) == (verdict, ruled)


def test_a_consent_does_not_lift_a_suppression() -> None:
    asked = ask(OF_NUMBER, facts(agent(consent_required=(EVERYWHERE,)), given(), rule()))
    assert [one.gate for one in asked] == [Gate.SUPPRESSION]


def test_a_number_whose_country_is_unknown_needs_the_consent_of_each_it_may_be_in() -> None:
    unknown = replace(facts(agent()).execution, user_number="+19995550006")
    for country, verdict in (("CA", Verdict.END), ("FR", Verdict.ALLOW)):
        asked = replace(facts(agent(consent_required=(country,))), execution=unknown)
        assert consent(asked).verdict is verdict
