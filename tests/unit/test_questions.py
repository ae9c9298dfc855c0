"""Answers of scrubs and pre-dial hooks: how they are read, and how the gates decide by them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from redial.domain.agent import Agent, Endpoint
from redial.domain.circuit import FAILURES_TO_OPEN, Circuit, CircuitState
from redial.domain.decision import Gate, Verdict
from redial.domain.execution import LATEST_START
from redial.domain.gates import Facts
from redial.domain.number_rules import NumberRule, OptOut, RuleKind, source_of
from redial.domain.outcome import Accepted, NotPlaced, Scope
from redial.domain.questions import (
    LONGEST_DEFERRAL,
    LONGEST_VERDICT,
    MOST_DEFERRALS,
    SHORTEST_DEFERRAL,
    HookAnswer,
    ScrubAnswer,
    ask_again_at,
    by_hook,
    kept_verdict,
    unanswered,
    verdict_to_keep,
)
from redial.domain.status import Status
from redial.wire.questions_json import hook_answer, scrub_answer, suppress_in
from redial.wire.stored_execution import decode, encode
from tests.support.samples import TEN, minutes, queued, saved

SCRUB = Endpoint("https://scrub.example.com/", 3)
AGENT = Agent("an-agent", "an-account", "Agent", {}, TEN, TEN, scrub=SCRUB)


@pytest.mark.parametrize(
    ("answer", "verdict", "rule", "until"),
    [
        (HookAnswer(True), Verdict.ALLOW, "allowed", None),
        (HookAnswer(True, TEN - minutes(1)), Verdict.ALLOW, "allowed", None),
        (HookAnswer(False), Verdict.END, "refused", None),
        (HookAnswer(False, TEN), Verdict.END, "refused", None),
        (HookAnswer(True, TEN + minutes(30)), Verdict.DEFER, "deferred", TEN + minutes(30)),
        (HookAnswer(False, TEN + timedelta(seconds=1)), Verdict.DEFER, "deferred", TEN + SHORTEST_DEFERRAL),
        (HookAnswer(False, TEN + timedelta(days=900)), Verdict.DEFER, "deferred", TEN + LONGEST_DEFERRAL),
    ],
)
def test_what_a_hooks_answer_decides(answer: HookAnswer, verdict: Verdict, rule: str, until: datetime | None) -> None:
    decided = by_hook(answer, queued(), TEN)
    assert (decided.gate, decided.verdict, decided.rule, decided.until) == (Gate.HOOK, verdict, rule, until)
    if verdict is Verdict.END:
        assert decided.status is Status.CANCELED


def test_a_hook_defers_one_attempt_so_often_and_then_the_call_ends() -> None:
    execution, now, answer = queued(), TEN, HookAnswer(False, TEN + timedelta(days=1), "later")
    for _ in range(MOST_DEFERRALS):
        decided = by_hook(answer, execution, now)
        assert decided.verdict is Verdict.DEFER
        execution = decode(encode(saved(execution.defer(now, decided))))
        now += minutes(2)
    ended = by_hook(answer, execution, now)
    assert (ended.verdict, ended.status) == (Verdict.END, Status.ERROR)
    assert ended.reason == "the pre-dial hook deferred it 50 times: later"


def test_a_call_whose_endpoint_gives_no_answer_waits_longer_each_time_and_ends_after_a_day() -> None:
    execution, now, waits = queued(), TEN, []
    while not execution.state.is_final:
        until = ask_again_at(execution, now, 0.5)
        waits.append(until - now)
        execution = decode(encode(saved(execution.defer(now, unanswered(Gate.HOOK, "HTTP 503", until)))))
        now = until
    assert waits[:6] == [minutes(count) for count in (1, 2, 4, 8, 15, 15)]
    assert now >= TEN + LATEST_START
    assert execution.state.ended == "for 24 hours the pre-dial hook gave no usable answer: HTTP 503"
    assert len(execution.changes) == 3, "the deferrals are one change"


def test_a_verdict_holds_for_the_agent_the_purpose_and_the_scrub_until_it_expires() -> None:
    facts = Facts(TEN, replace(queued(), agent_id="an-agent", purpose="marketing"), AGENT)
    kept = verdict_to_keep(ScrubAnswer(False, TEN + timedelta(days=90), "listed"), facts)
    assert kept is not None
    assert (kept.kind, kept.allowed, kept.reason) == (RuleKind.VERDICT, False, "listed")
    assert (kept.agent_id, kept.purpose, kept.source) == ("an-agent", "marketing", source_of(SCRUB.url))
    assert kept.expires_at == TEN + LONGEST_VERDICT
    known = replace(facts, number_rules=(kept,))
    assert kept_verdict(known) is kept
    for other in (
        replace(known, now=TEN + LONGEST_VERDICT),
        replace(known, execution=replace(facts.execution, purpose="news")),
        replace(known, execution=replace(facts.execution, purpose=None)),
        replace(known, execution=replace(facts.execution, agent_id="another")),
        replace(known, agent=replace(AGENT, scrub=Endpoint("https://other.example.com/", 3))),
        replace(known, number_rules=(replace(kept, kind=RuleKind.SUPPRESSION),)),
    ):
        assert kept_verdict(other) is None
    assert verdict_to_keep(ScrubAnswer(True), facts) is None
    assert verdict_to_keep(ScrubAnswer(True, TEN), facts) is None


def test_a_verdict_is_neither_a_suppression_nor_a_consent() -> None:
    verdict = NumberRule(RuleKind.VERDICT, "d" * 32, TEN, agent_id="an-agent", allowed=False)
    facts = Facts(TEN, queued(), AGENT, number_rules=(verdict,))
    assert facts.number_rule(RuleKind.SUPPRESSION) is None and facts.number_rule(RuleKind.CONSENT) is None


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ('{"eligible": true}', HookAnswer(True)),
        ('{"eligible": false, "reason": " a\\u0000\\n b ", "defer_until": null}', HookAnswer(False, None, "a b")),
        ('{"eligible": true, "reason": 5, "more": {}}', HookAnswer(True)),
        (
            '{"eligible": false, "defer_until": "2026-01-26t11:00:00+01:00"}',
            HookAnswer(False, datetime(2026, 1, 26, 10, tzinfo=UTC)),
        ),
    ],
)
def test_a_hooks_answer_is_read(body: str, answer: HookAnswer) -> None:
    assert hook_answer(body.encode()) == answer


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "eligible must be true or false"),
        (b"[true]", "eligible must be true or false"),
        (b'{"eligible": 1}', "eligible must be true or false"),
        (b'{"eligible": null, "defer_until": "2026-01-26T10:00:00Z"}', "eligible must be true or false"),
        (b'{"eligible": true, "defer_until": "2026-01-26T10:00:00"}', "defer_until must be a time with an offset"),
        (b'{"eligible": true, "defer_until": 1769421600}', "defer_until must be a time with an offset"),
        (b'{"eligible": true, "defer_until": "0001-01-01T00:00:00+14:00"}', "defer_until must be a time"),
        (b"\xff\xfe", "eligible must be true or false"),
        (b"[" * 4000, "eligible must be true or false"),
    ],
)
def test_an_answer_that_makes_no_sense_says_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        hook_answer(body)


def test_a_reason_is_cut() -> None:
    assert scrub_answer(json.dumps({"allowed": False, "reason": "x" * 900}).encode()).reason == "x" * 200


@pytest.mark.parametrize(
    ("said", "opt_out"),
    [
        (True, OptOut("webhook")),
        ({}, OptOut("webhook")),
        ({"reason": "stop", "agent_id": "mine"}, OptOut("webhook", "stop", of_agent=True)),
        ({"agent_id": "another", "purpose": "News!", "expires_at": "2020-01-01T00:00:00Z"}, OptOut("webhook")),
        (
            {"purpose": "news", "expires_at": "2026-01-27T10:00:00Z"},
            OptOut("webhook", None, False, "news", TEN + minutes(1440)),
        ),
        (False, None),
        ("true", None),
        (1, None),
        ([], None),
    ],
)
def test_what_a_webhooks_answer_suppresses(said: Any, opt_out: OptOut | None) -> None:
    assert suppress_in(json.dumps({"suppress": said}).encode(), "mine", TEN) == opt_out


def test_five_failures_in_a_row_open_the_circuit_of_an_agents_endpoint() -> None:
    circuit = Circuit("an-account", "hook", scope=Scope.AGENT, value="an-agent")
    assert circuit.key == "hook#agent#an-agent"
    for count in range(FAILURES_TO_OPEN):
        assert circuit.state is CircuitState.CLOSED
        circuit = circuit.record(NotPlaced("HTTP 500", outage=True), False, TEN + minutes(count))
    assert circuit.state is CircuitState.OPEN and circuit.needs_attention(TEN) and not circuit.needs_person
    assert circuit.record(Accepted(""), True, TEN + minutes(9)).state is CircuitState.RAMPING
