"""The other functions, invoked asynchronously: Lambda queues the event and answers before the function runs."""

import json
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_log = logging.getLogger(__name__)


class LambdaFunctions:
    """`ports.Functions` over Lambda's asynchronous invoke.

    An invocation that Lambda does not take is logged and left: it was only ever a shortcut. What it should have moved
    is overdue within moments, and the sweeper moves it then. So nothing here fails the work that asked for it.
    `dial_function` and `deliver_function` are ARNs (with their alias); who invokes no such function may leave it out.
    """

    def __init__(
        self, client: "LambdaClient", *, deliver_function: str | None = None, dial_function: str | None = None
    ) -> None:
        self._client = client
        self._deliver_function = deliver_function
        self._dial_function = dial_function

    def dial(self, execution_id: str, attempt: int, line: int | None = None) -> None:
        """Invoke dial with `{"execution_id", "attempt"}`, and `"line"` where it has been given one."""
        event: dict[str, str | int] = {"execution_id": execution_id, "attempt": attempt}
        if line is not None:
            event["line"] = line
        self._invoke("dial", self._dial_function, event)

    def deliver(self, execution_id: str, lease: str | None) -> None:
        """Invoke deliver with `{"execution_id"}`, and `"lease"` where there is one."""
        event: dict[str, str | int] = {"execution_id": execution_id}
        if lease is not None:
            event["lease"] = lease
        self._invoke("deliver", self._deliver_function, event)

    def _invoke(self, name: str, function: str | None, event: dict[str, str | int]) -> None:
        if function is None:
            raise ValueError(f"no {name} function is configured")
        try:
            self._client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())
        except (ClientError, BotoCoreError) as error:
            # Throttled, no network, no permission: the class and code tell which, and hold no payload.
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            extra = {"execution_id": event["execution_id"], "function": name, "error": code or type(error).__name__}
            _log.warning("could not invoke %s (%s): left to the sweeper", name, extra["error"], extra=extra)
