"""Asks a customer's endpoints just before a claim whether the number may be called (scrub) and the attempt be dialled
now (pre-dial hook).

    facts ─► kept verdict? ─► scrub ─► hook ─► decisions            each: circuit ─► one signed POST ─► its answer
               │ it decides     └─ verdict kept until it expires          │ open: the call waits, and nothing is asked

Meanwhile the attempt holds its line but is not claimed: a stop or a suppression ends the call, and the claim then fails
on its version. An endpoint that repeatedly gives no usable answer opens the circuit of its agent, like a failing
carrier. It then keeps no function busy, and other agents' calls continue.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from redial.domain.agent import Endpoint
from redial.domain.circuit import Circuit
from redial.domain.decision import Decision, Gate
from redial.domain.gates import Facts
from redial.domain.outcome import Scope
from redial.domain.questions import (
    ask_again_at,
    by_hook,
    by_scrub,
    kept_verdict,
    unanswered,
    verdict_to_keep,
)
from redial.ports import NoUsableAnswer, Services, StaleVersion
from redial.usecases.circuit_breaker import breaker_of


@dataclass
class Answers:
    """Decisions of the gates `scrub` and `hook`, up to the first that does not allow. `keeps_line`: no call of the
    agent can be dialled, so this one waits with its line. `opened`: the answer opened a circuit."""

    decisions: tuple[Decision, ...]
    keeps_line: bool = False
    opened: bool = False


def not_asked(facts: Facts, rule: str = "") -> Answers:
    """Answers that allow the attempt without a request. `rule`: recorded for the endpoints that are configured."""
    agent = facts.agent
    scrub = rule if agent is not None and agent.scrub is not None else ""
    hook = rule if agent is not None and agent.pre_dial_hook is not None else ""
    return Answers((Decision(Gate.SCRUB, rule=scrub), Decision(Gate.HOOK, rule=hook)))


def ask_endpoints(services: Services, facts: Facts) -> Answers:
    """Ask the endpoints that the agent has, the scrub first."""
    agent = facts.agent
    assert agent is not None, "its gate allowed"
    asking = _Asking(services, facts)
    answers = asking.scrub(agent.scrub) if agent.scrub is not None else Answers((Decision(Gate.SCRUB),))
    if not answers.decisions[-1].allows:
        return answers
    hook = asking.hook(agent.pre_dial_hook) if agent.pre_dial_hook is not None else Answers((Decision(Gate.HOOK),))
    return Answers((*answers.decisions, *hook.decisions), hook.keeps_line, hook.opened)


@dataclass(frozen=True)
class _Asking:
    services: Services
    facts: Facts

    def scrub(self, endpoint: Endpoint) -> Answers:
        services, facts, execution = self.services, self.facts, self.facts.execution
        kept = kept_verdict(facts)
        if kept is not None:
            return Answers((by_scrub(bool(kept.allowed), kept.reason),))

        def decide(secrets: tuple[str, ...], now: datetime) -> Decision:
            answer = services.endpoints.scrub(endpoint, execution, facts.purpose, secrets, now)
            verdict = verdict_to_keep(answer, facts)
            if verdict is not None:
                services.number_rules.keep_verdict(execution.account_id, execution.user_number, verdict)
            return by_scrub(answer.allowed, answer.reason)

        return self._ask(Gate.SCRUB, decide)

    def hook(self, endpoint: Endpoint) -> Answers:
        services, execution = self.services, self.facts.execution

        def decide(secrets: tuple[str, ...], now: datetime) -> Decision:
            for complete in services.executions.with_user_data([execution]):
                answer = services.endpoints.hook(endpoint, complete, secrets, now)
                return by_hook(answer, execution, services.now())
            raise StaleVersion(execution.id)  # it was removed meanwhile

        return self._ask(Gate.HOOK, decide)

    def _ask(self, gate: Gate, decide: Callable[[tuple[str, ...], datetime], Decision]) -> Answers:
        """Ask the endpoint by `decide`, unless its circuit is open. `decide` raises `NoUsableAnswer`."""
        services, execution = self.services, self.facts.execution
        breaker = breaker_of(services)
        circuit = Circuit(execution.account_id, str(gate), scope=Scope.AGENT, value=execution.agent_id)
        admission = breaker.admit_question(circuit)
        if admission.held_until is not None:
            until = admission.held_until + admission.spread * services.random()
            return Answers((unanswered(gate, admission.reason, until),), keeps_line=True)
        account = services.accounts.cached(execution.account_id)
        assert account is not None, "its agent is there"
        try:
            decision = decide(account.webhook_secrets, services.now())
        except NoUsableAnswer as why:
            opened = breaker.record_answer(circuit, admission, str(why))
            until = ask_again_at(execution, services.now(), services.random())
            return Answers((unanswered(gate, str(why), until),), opened=opened)
        breaker.record_answer(circuit, admission, None)
        return Answers((decision,))
