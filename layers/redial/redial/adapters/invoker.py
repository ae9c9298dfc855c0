"""Starts other functions: dial and deliver by a message to their queue, batch and sweep by asynchronous invocation.

A queue keeps a message until its function has run, hides it until its time (`DelaySeconds`), and limits how many
invocations run at once. A start some seconds ahead therefore needs no sleeping function, and hanging webhooks take no
capacity from dialling. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from redial.domain.batch import subject
from redial.wire.stored_execution import encode
from redial.wire.timestamps import to_ms

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

    from redial.domain.execution import Execution
    from redial.domain.number_rules import OptOut

_log = logging.getLogger(__name__)


MOST_HOPS = 10_000
"""Maximum length of a chain in which dial and batch invoke each other. Lambda's own loop detection is off for them."""
MOST_DELAY_SECONDS = 900
"""The longest time that SQS can hide a message."""


class AwsInvoker:
    """Implements `ports.SweepInvoker` by SQS's SendMessage and Lambda's asynchronous invoke.

    `queues`, `functions`: create the clients when they are first needed. `dial_queue`, `deliver_queue`: URLs;
    `batch_function`, `sweep_function`: ARNs with alias; None for functions that are not invoked.
    `hop`: the invocation's place in its chain of dial and batch invocations, 1 for the first. These two functions set
    it at the start of an invocation, and it is passed on. A chain ends after `MOST_HOPS`, and `on_cut` is called: a
    longer one is a loop, or a queue that the sweeper dispatches again within minutes.

    A request that AWS rejects is logged and never fails the caller: the work is soon overdue, and the sweeper does it.
    """

    def __init__(
        self,
        queues: "Callable[[], SQSClient]",
        functions: "Callable[[], LambdaClient]",
        now: Callable[[], datetime],
        *,
        deliver_queue: str | None = None,
        dial_queue: str | None = None,
        batch_function: str | None = None,
        sweep_function: str | None = None,
        on_cut: Callable[[], object] = lambda: None,
    ) -> None:
        self.hop = 0
        self._on_cut = on_cut
        self._queues, self._functions, self._now = queues, functions, now
        self._deliver_queue, self._dial_queue = deliver_queue, dial_queue
        self._batch_function, self._sweep_function = batch_function, sweep_function

    def dial(
        self,
        execution_id: str,
        attempt: int,
        line_shard: int | None = None,
        at: datetime | None = None,
        delayed_at: datetime | None = None,
        paced_at: datetime | None = None,
        asked_at: datetime | None = None,
        *,
        after: datetime | None = None,
    ) -> None:
        """Send dial `{"execution_id", "attempt"}` and, if given, `"line"` (the line shard), and in epoch milliseconds
        `"at"` (the start by the batch's rate), `"room"` (its time in the batch's delayed set), `"paced"` (the start by
        the carrier account's rate) and `"asked"` (when the agent's endpoints allowed it)."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        if line_shard is not None:
            event["line"] = line_shard
        for name, instant in (("at", at), ("room", delayed_at), ("paced", paced_at), ("asked", asked_at)):
            if instant is not None:
                event[name] = to_ms(instant)
        passed_on = self._as_next_hop("dial", event)
        if passed_on is not None:
            self._send("dial", self._dial_queue, passed_on, after or at)

    def deliver(
        self,
        subject_id: str,
        lease_id: str | None,
        snapshot: "Execution | None" = None,
        *,
        after: datetime | None = None,
    ) -> None:
        """Send deliver `{"execution_id"}` or `{"batch_id"}` and, if given, `"lease"` and `"stored"`: the execution's
        item just stored, so that deliver need not read it."""
        event: dict[str, Any] = {**subject(subject_id)}
        if lease_id is not None:
            event["lease"] = lease_id
        if snapshot is not None:
            event["stored"] = encode(snapshot)
        self._send("deliver", self._deliver_queue, event, after)

    def batch(self, batch_id: str) -> None:
        """Invoke batch with `{"batch_id"}`."""
        passed_on = self._as_next_hop("batch", subject(batch_id))
        if passed_on is not None:
            self._invoke("batch", self._batch_function, passed_on)

    def suppress(self, execution_id: str, opt_out: "OptOut") -> None:
        """Invoke batch with `{"suppress": execution id, "source"}` and, if given, `"reason"`, `"of_agent"`, `"purpose"`
        and, in epoch milliseconds, `"expires_at"`."""
        event: dict[str, Any] = {"suppress": execution_id, "source": opt_out.source}
        for name in ("reason", "of_agent", "purpose"):
            if getattr(opt_out, name):
                event[name] = getattr(opt_out, name)
        if opt_out.expires_at is not None:
            event["expires_at"] = to_ms(opt_out.expires_at)
        self._invoke_or_raise("batch", self._batch_function, event)

    def wake(self, account_id: str, circuit: str) -> None:
        """Invoke batch with `{"wake": circuit's key, "account_id"}`."""
        self._invoke("batch", self._batch_function, {"wake": circuit, "account_id": account_id})

    def count_calls(self, agent_id: str) -> None:
        """Invoke batch with `{"count_calls": agent id}`."""
        self._invoke("batch", self._batch_function, {"count_calls": agent_id})

    def sweep_shard(self, shard: int, token: str, hop: int) -> None:
        """Invoke sweep with `{"shard", "token", "hop"}`."""
        self._invoke("sweep", self._sweep_function, {"shard": shard, "token": token, "hop": hop})

    def ask(self, shard: int, token: str, hop: int) -> None:
        """Invoke sweep with `{"questions": shard, "token", "hop"}`."""
        self._invoke("sweep", self._sweep_function, {"questions": shard, "token": token, "hop": hop})

    def _as_next_hop(self, name: str, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The event for dial or batch, with the next hop if this invocation is part of a chain; None if the chain is
        too long."""
        if self.hop > MOST_HOPS:
            extra = _named_in(event)
            _log.error("a chain of %d invocations ends before %s: left to the sweeper", MOST_HOPS, name, extra=extra)
            self._on_cut()
            return None
        return {**event, "hop": self.hop} if self.hop else event

    def _send(self, name: str, queue: str | None, event: Mapping[str, Any], after: datetime | None) -> None:
        if queue is None:
            raise ValueError(f"no {name} queue is configured")
        seconds = 0 if after is None else math.ceil((after - self._now()).total_seconds())
        delay = min(max(seconds, 0), MOST_DELAY_SECONDS)
        body = json.dumps(event, separators=(",", ":"))
        with _left_to_the_sweeper(name, event):
            self._queues().send_message(QueueUrl=queue, MessageBody=body, DelaySeconds=delay)

    def _invoke(self, name: str, function: str | None, event: Mapping[str, Any]) -> None:
        with _left_to_the_sweeper(name, event):
            self._invoke_or_raise(name, function, event)

    def _invoke_or_raise(self, name: str, function: str | None, event: Mapping[str, Any]) -> None:
        if function is None:
            raise ValueError(f"no {name} function is configured")
        self._functions().invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())


@contextmanager
def _left_to_the_sweeper(name: str, event: Mapping[str, Any]) -> Iterator[None]:
    """Log AWS's errors (throttled, no network, no permission) instead of raising them. Only the error's class or code
    is logged, not the payload."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        extra = {**_named_in(event), "function": name, "error": code or type(error).__name__}
        _log.warning("could not invoke %s (%s): left to the sweeper", name, extra["error"], extra=extra)


def _named_in(event: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of the execution or batch that an event concerns, for the log."""
    return {key: value for key, value in event.items() if key in ("execution_id", "batch_id")}
