"""Questions to customers' endpoints before an attempt: sent like webhooks, answered in JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from redial.domain.agent import Endpoint
from redial.domain.execution import Execution
from redial.domain.questions import HookAnswer, ScrubAnswer
from redial.ports import NoUsableAnswer, Webhooks
from redial.wire.questions_json import hook_answer, hook_question, scrub_answer, scrub_question

T = TypeVar("T")


class HttpEndpoints:
    """Implements `ports.Endpoints`."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def scrub(
        self, endpoint: Endpoint, execution: Execution, purpose: str | None, secrets: tuple[str, ...], now: datetime
    ) -> ScrubAnswer:
        question = scrub_question(execution, purpose)
        return self._ask(endpoint, question, f"scrub-{_try_of(execution)}", secrets, now, scrub_answer)

    def hook(self, endpoint: Endpoint, execution: Execution, secrets: tuple[str, ...], now: datetime) -> HookAnswer:
        question = hook_question(execution, execution.state.attempt.number)
        return self._ask(endpoint, question, f"hook-{_try_of(execution)}", secrets, now, hook_answer)

    def _ask(
        self,
        endpoint: Endpoint,
        question: bytes,
        webhook_id: str,
        secrets: tuple[str, ...],
        now: datetime,
        read: Callable[[bytes], T],
    ) -> T:
        """The answer, parsed by `read`, which raises `ValueError` if it is invalid. Raises `NoUsableAnswer`."""
        answer = self._webhooks.post(
            endpoint.url, question, webhook_id, secrets, now, seconds=endpoint.seconds, asks=True
        )
        if not answer.accepted:
            assert answer.error is not None, "an answer that is not accepted has one"
            raise NoUsableAnswer(answer.error)
        try:
            return read(answer.body)
        except ValueError as nonsense:
            raise NoUsableAnswer(f"its answer makes no sense: {nonsense}") from nonsense


def _try_of(execution: Execution) -> str:
    """An id that is the same for a repeated question, but changes when the attempt is tried again later."""
    return f"{execution.id}-{execution.state.attempt.number}-{execution.version}"
