"""Asynchronous invocations of the other functions: Lambda queues the event and answers before the function runs."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from redial.domain.batch import subject
from redial.wire.stored_execution import encode
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

    from redial.domain.execution import Execution

_log = logging.getLogger(__name__)


MOST_HOPS = 10_000
"""How often dial and batch may invoke each other in one chain. Lambda's own loop detection is off for them."""


class LambdaInvoker:
    """Implements `ports.SweepInvoker` by Lambda's asynchronous invoke.

    `hop`, set by dial and batch at the start of an invocation: its place in the chain of invocations of these two that
    led to it, 1 for the first. It is passed on; a chain of more than `MOST_HOPS` ends there, and `on_cut` is called. A
    longer one is a loop, or a queue that the sweeper dispatches again within minutes.

    An invocation that Lambda rejects is logged and never fails the caller: the work is soon overdue, and the sweeper
    does it. The functions are ARNs with alias; None for a function that is not invoked.
    """

    def __init__(
        self,
        client: "LambdaClient",
        *,
        deliver_function: str | None = None,
        dial_function: str | None = None,
        batch_function: str | None = None,
        sweep_function: str | None = None,
        on_cut: Callable[[], object] = lambda: None,
    ) -> None:
        self.hop = 0
        self._on_cut = on_cut
        self._client = client
        self._deliver_function = deliver_function
        self._dial_function = dial_function
        self._batch_function = batch_function
        self._sweep_function = sweep_function

    def dial(
        self,
        execution_id: str,
        attempt: int,
        line_shard: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
    ) -> None:
        """Invoke dial with `{"execution_id", "attempt"}` and, if given, `"line"` (the line shard), `"at"` (the start)
        and `"room"` (its time in the batch's delayed set), both in epoch milliseconds."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        if line_shard is not None:
            event["line"] = line_shard
        if at is not None:
            event["at"] = to_ms(at)
        if delayed_at is not None:
            event["room"] = to_ms(delayed_at)
        self._pass_on("dial", self._dial_function, event)

    def deliver(self, subject_id: str, lease_id: str | None, snapshot: "Execution | None" = None) -> None:
        """Invoke deliver with `{"execution_id"}` or `{"batch_id"}` and, if given, `"lease"` and `"stored"`: the
        execution's item just stored, which saves deliver from reading it."""
        event: dict[str, Any] = {**subject(subject_id)}
        if lease_id is not None:
            event["lease"] = lease_id
        if snapshot is not None:
            event["stored"] = encode(snapshot)
        self._invoke("deliver", self._deliver_function, event)

    def batch(self, batch_id: str) -> None:
        """Invoke batch with `{"batch_id"}`."""
        self._pass_on("batch", self._batch_function, subject(batch_id))

    def count_calls(self, agent_id: str) -> None:
        """Invoke batch with `{"count_calls": agent id}`."""
        self._invoke("batch", self._batch_function, {"count_calls": agent_id})

    def sweep_shard(self, shard: int, token: str, hop: int) -> None:
        """Invoke sweep with `{"shard", "token", "hop"}`."""
        self._invoke("sweep", self._sweep_function, {"shard": shard, "token": token, "hop": hop})

    def ask(self, shard: int, token: str, hop: int) -> None:
        """Invoke sweep with `{"questions": shard, "token", "hop"}`."""
        self._invoke("sweep", self._sweep_function, {"questions": shard, "token": token, "hop": hop})

    def _pass_on(self, name: str, function: str | None, event: Mapping[str, Any]) -> None:
        """Invoke dial or batch, as the next of the chain if this is one of them."""
        if self.hop > MOST_HOPS:
            extra = _named_in(event)
            _log.error("a chain of %d invocations ends before %s: left to the sweeper", MOST_HOPS, name, extra=extra)
            self._on_cut()
            return
        self._invoke(name, function, {**event, "hop": self.hop} if self.hop else event)

    def _invoke(self, name: str, function: str | None, event: Mapping[str, Any]) -> None:
        if function is None:
            raise ValueError(f"no {name} function is configured")
        try:
            self._client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())
        except (ClientError, BotoCoreError) as error:
            # Throttled, no network, no permission: class and code say which, and contain no payload.
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            extra = {**_named_in(event), "function": name, "error": code or type(error).__name__}
            _log.warning("could not invoke %s (%s): left to the sweeper", name, extra["error"], extra=extra)


def _named_in(event: Mapping[str, Any]) -> dict[str, Any]:
    """The execution or the batch that an event is about, for the log."""
    return {key: value for key, value in event.items() if key in ("execution_id", "batch_id")}
