"""The client: `Redial`, whose attributes are the resources of the API.

Arguments and results have the names and shapes of the OpenAPI document (`redial_client.models`): times are RFC 3339
texts with an offset, in UTC in responses; phone numbers are E.164. Every method may raise `redial_client.ApiError` and
`redial_client.Unreachable`. Listings are iterators that fetch their rows in parts.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Unpack, cast
from urllib.parse import quote

import requests

from redial_client import models
from redial_client.errors import AgentUnclear, Unreachable, error_of
from redial_client.transport import Transport

LARGEST_DIRECT_FILE = 4 * 1024 * 1024
"""Maximum bytes of a batch's file that fit a request. A larger file is uploaded first."""
PAGE_SIZE = 50

Progress = Callable[[int, int], None]
"""Called with the amount done and the total; 0: unknown."""


class Redial:
    """The API at `base_url`, used with `api_key`.

    A request waits up to `timeout` seconds and is sent up to `tries` times if that is safe; see
    `redial_client.transport`. `sleep` waits between tries. Not thread-safe: create one per thread.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        tries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        transport = Transport(base_url, api_key, timeout, tries, sleep)
        self.base_url = transport.base_url
        self.transport = transport
        self.calls = Calls(transport)
        self.executions = Executions(transport)
        self.batches = Batches(transport)
        self.agents = Agents(transport)
        self.suppressions = Suppressions(transport)
        self.consents = Consents(transport)
        self.policies = Policies(transport)
        self.contacts = Contacts(transport)
        self.attention = Attention(transport)
        self.webhooks = Webhooks(transport)
        self.account = Account(transport)
        self.keys = Keys(transport)

    def statistics(
        self,
        *,
        agent_id: str | None = None,
        batch_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> models.RetryStatistics:
        """How well retries work, for an agent, a batch or the account, from `since` to `until` (days, UTC)."""
        query = {"agent_id": agent_id, "batch_id": batch_id, "from": since, "to": until}
        return cast("models.RetryStatistics", self.transport.json("GET", "/stats/retries", query=query))

    def now(self) -> models.NowRead:
        """The account's current activity: lines in use, due calls, carriers, attention items, undelivered events."""
        return cast("models.NowRead", self.transport.json("GET", "/now"))

    def doctor(self) -> list[models.CheckRead]:
        """The checks of the account's setup, each with advice."""
        return cast("models.Examination", self.transport.json("GET", "/doctor"))["checks"]


class _Resource:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport


def _path(*segments: str) -> str:
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def new_idempotency_key() -> str:
    """A new key for one request, to be used for each try."""
    return str(uuid.uuid4())


class Calls(_Resource):
    """Calls to one contact: `/call`."""

    def create(self, *, idempotency_key: str | None = None, **call: Unpack[models.CallRequest]) -> models.CallCreated:
        """Create a call.

        All tries of the request have the same Idempotency-Key, generated or given, so only one call is created. Give a
        key to be able to repeat the request later.
        """
        key = idempotency_key or new_idempotency_key()
        created = self._transport.json("POST", "/call", json=call, idempotency_key=key)
        return cast("models.CallCreated", created)

    def plan(self, **call: Unpack[models.CallRequest]) -> models.Plan:
        """When each attempt of such a call would be made if all earlier ones failed. Nothing is created."""
        return cast("models.Plan", self._transport.json("POST", "/call/plan", json=call))

    def stop(self, execution_id: str) -> models.CallStopped:
        """Stop a call before it is answered."""
        return cast("models.CallStopped", self._transport.json("POST", _path("call", execution_id, "stop")))


class Executions(_Resource):
    """The state and history of calls: `/executions`."""

    def get(self, execution_id: str) -> models.Execution:
        """The state of a call."""
        return cast("models.Execution", self._transport.json("GET", _path("executions", execution_id)))

    def list(
        self,
        agent_id: str,
        *,
        status: str | None = None,
        batch_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
        user_number: str | None = None,
        answered_by_voice_mail: bool | None = None,
        provider: str | None = None,
    ) -> Iterator[models.Execution]:
        """An agent's calls, newest first. `since` and `until` limit their creation time; both are inclusive."""
        query = {
            "status": status, "batch_id": batch_id, "from": since, "to": until, "user_number": user_number,
            "answered_by_voice_mail": answered_by_voice_mail, "provider": provider, "page_size": PAGE_SIZE,
        }  # fmt: skip
        return self._transport.rows(_path("v2", "agent", agent_id, "executions"), query)

    def log(self, execution_id: str) -> Sequence[models.LogEntry]:
        """The log of a call, oldest entry first."""
        log = cast("models.ExecutionLog", self._transport.json("GET", _path("executions", execution_id, "log")))
        return log["data"]

    def explain(self, execution_id: str) -> models.Explanation:
        """Why a call was dialled, waits or is over."""
        return cast("models.Explanation", self._transport.json("GET", _path("executions", execution_id, "explain")))

    def suppress(
        self, execution_id: str, **suppression: Unpack[models.SuppressExecutionRequest]
    ) -> models.SuppressionsAdded:
        """Stop calling the number of a call."""
        path = _path("executions", execution_id, "suppress")
        return cast("models.SuppressionsAdded", self._transport.json("POST", path, json=suppression))

    def replay_webhooks(self, execution_id: str) -> models.ReplayStarted:
        """Send a call's undelivered events again."""
        path = _path("executions", execution_id, "webhooks", "replay")
        return cast("models.ReplayStarted", self._transport.json("POST", path))

    def erase(self, execution_id: str) -> models.ExecutionErased:
        """Erase a call that is over."""
        return cast("models.ExecutionErased", self._transport.json("DELETE", _path("executions", execution_id)))


class Batches(_Resource):
    """Calls to the contacts of a CSV file: `/batches`."""

    def create(
        self,
        agent_id: str,
        file: Path | bytes,
        *,
        file_name: str = "contacts.csv",
        from_phone_numbers: list[str] | None = None,
        retry_config: models.RetryConfig | None = None,
        calling_guardrails: models.CallingGuardrails | None = None,
        webhook_url: str | None = None,
        calls_per_second: float | None = None,
        retries_first: bool | None = None,
        bypass_call_guardrails: bool | None = None,
        purpose: str | None = None,
        policy: str | None = None,
        expires_at: str | None = None,
        expires_after_minutes: int | None = None,
        start_now: bool = False,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> models.BatchCreated:
        """Create a batch from a CSV with a column `contact_number`. It waits for `schedule`, unless `start_now`.

        A file of more than `LARGEST_DIRECT_FILE` bytes is uploaded first; `progress` gets the bytes sent. Raises
        `OSError` if the file cannot be read.
        """
        fields = {
            "agent_id": agent_id, "from_phone_numbers": from_phone_numbers, "retry_config": retry_config,
            "calling_guardrails": calling_guardrails, "webhook_url": webhook_url, "calls_per_second": calls_per_second,
            "retries_first": retries_first, "bypass_call_guardrails": bypass_call_guardrails, "purpose": purpose,
            "policy": policy, "expires_at": expires_at, "expires_after_minutes": expires_after_minutes,
            "start": "now" if start_now else None,
        }  # fmt: skip
        fields = {name: value for name, value in fields.items() if value is not None}
        name = file.name if isinstance(file, Path) else file_name
        size = file.stat().st_size if isinstance(file, Path) else len(file)
        key = idempotency_key or new_idempotency_key()
        if size > LARGEST_DIRECT_FILE:
            fields["upload_id"] = self.upload(file, name, progress)
            created = self._transport.json("POST", "/batches", json=fields, idempotency_key=key)
        else:
            content = file.read_bytes() if isinstance(file, Path) else file
            form = {one: value if isinstance(value, str) else json.dumps(value) for one, value in fields.items()}
            files = {"file": (name, content, "text/csv")}
            created = self._transport.json("POST", "/batches", form=form, files=files, idempotency_key=key)
        return cast("models.BatchCreated", created)

    def upload(self, file: Path | bytes, file_name: str, progress: Progress | None = None) -> str:
        """Upload a file for `POST /batches` and return its `upload_id`. `progress` gets the bytes sent."""
        size = file.stat().st_size if isinstance(file, Path) else len(file)
        asked: models.UploadRequest = {"size": size, "file_name": file_name}
        upload = cast("models.UploadCreated", self._transport.json("POST", "/batches/uploads", json=asked))
        try:
            if isinstance(file, Path):
                with file.open("rb") as opened:
                    answer = requests.put(upload["url"], data=_Counted(opened, size, progress), timeout=600)
            else:
                answer = requests.put(upload["url"], data=file, timeout=600)
        except requests.RequestException as error:
            raise Unreachable("The file was not uploaded: the connection broke. Create the batch again.") from error
        if not answer.ok:
            raise error_of(answer.status_code, None)
        return upload["upload_id"]

    def get(self, batch_id: str) -> models.BatchRead:
        """The state of a batch, with exact counts."""
        return cast("models.BatchRead", self._transport.json("GET", _path("batches", batch_id)))

    def list(self, agent_id: str) -> Iterator[models.BatchRead]:
        """An agent's batches, newest first."""
        return self._transport.rows(_path("batches", agent_id, "all"))

    def executions(self, batch_id: str) -> Iterator[models.Execution]:
        """All calls of a batch, in the order of its file."""
        return self._transport.rows(_path("batches", batch_id, "executions"))

    def preflight(
        self,
        batch_id: str,
        *,
        scheduled_at: str | None = None,
        bypass_call_guardrails: bool | None = None,
        call_seconds: int | None = None,
        progress: Progress | None = None,
    ) -> models.PreflightRead:
        """Preview what a batch would do. Waits until its file has been read; `progress` gets the rows read."""
        asked = {
            "scheduled_at": scheduled_at,
            "bypass_call_guardrails": bypass_call_guardrails,
            "call_seconds": call_seconds,
        }
        body = {name: value for name, value in asked.items() if value is not None}
        while True:
            answer = self._transport.send("POST", _path("batches", batch_id, "preflight"), json=body)
            if answer.status_code != 202:
                return cast("models.PreflightRead", answer.json())
            if progress is not None:
                progress(answer.json()["rows_read"], 0)
            self._transport.sleep(1.0)

    def schedule(
        self, batch_id: str, scheduled_at: str, *, bypass_call_guardrails: bool = False
    ) -> models.BatchChanged:
        """Set when a batch starts: 2 minutes to 30 days ahead."""
        form = {"scheduled_at": scheduled_at, "bypass_call_guardrails": json.dumps(bypass_call_guardrails)}
        path = _path("batches", batch_id, "schedule")
        return cast("models.BatchChanged", self._transport.json("POST", path, form=form))

    def stop(self, batch_id: str) -> models.BatchChanged:
        """Stop a batch: unanswered calls stop, answered ones finish."""
        return cast("models.BatchChanged", self._transport.json("POST", _path("batches", batch_id, "stop")))

    def pause(self, batch_id: str) -> models.BatchChanged:
        """Pause a batch: no call starts until it is resumed."""
        return cast("models.BatchChanged", self._transport.json("POST", _path("batches", batch_id, "pause")))

    def resume(self, batch_id: str) -> models.BatchChanged:
        """Resume a paused batch."""
        return cast("models.BatchChanged", self._transport.json("POST", _path("batches", batch_id, "resume")))

    def results(self, batch_id: str, progress: Progress | None = None) -> bytes:
        """The uploaded rows, each with its result, as CSV. Waits while a large file is being written."""
        return self._file(batch_id, "results.csv", progress)

    def rejected(self, batch_id: str) -> bytes:
        """The rejected rows, each with its line and the reason, as CSV."""
        return self._file(batch_id, "rejected.csv", None)

    def _file(self, batch_id: str, name: str, progress: Progress | None) -> bytes:
        while True:
            answer = self._transport.send("GET", _path("batches", batch_id, name))
            if answer.status_code != 202:
                return answer.content
            if progress is not None:
                progress(0, 0)
            self._transport.sleep(2.0)

    def replay_webhooks(self, batch_id: str) -> models.BatchReplayStarted:
        """Send the batch's own undelivered events again."""
        path = _path("batches", batch_id, "webhooks", "replay")
        return cast("models.BatchReplayStarted", self._transport.json("POST", path))

    def delete(self, batch_id: str) -> models.BatchChanged:
        """Delete a batch and its contacts' data."""
        return cast("models.BatchChanged", self._transport.json("DELETE", _path("batches", batch_id)))


class _Counted:
    """A file that reports how much of it was read. It has a length, so requests sends a Content-Length."""

    def __init__(self, file: IO[bytes], size: int, progress: Progress | None) -> None:
        self._file, self._size, self._progress = file, size, progress
        self._read = 0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._read += len(piece)
        if self._progress is not None:
            self._progress(self._read, self._size)
        return piece


class Agents(_Resource):
    """Agents, which define how calls are placed and answered: `/v2/agent`."""

    def list(self) -> Iterator[models.AgentRead]:
        """All agents."""
        return self._transport.rows("/v2/agent/all")

    def get(self, agent_id: str) -> models.AgentRead:
        """An agent."""
        return cast("models.AgentRead", self._transport.json("GET", _path("v2", "agent", agent_id)))

    def find(self, name: str | None) -> str:
        """The id of the agent with that id or name; if None, of the only agent. Raises `AgentUnclear`."""
        agents = list(self.list())
        found = [one["id"] for one in agents if name is None or name in (one["id"], one["agent_name"])]
        if len(found) == 1:
            return found[0]
        names = ", ".join(sorted(one["agent_name"] for one in agents)) or "there are none"
        if not found:
            raise AgentUnclear(f"agent: no agent {'yet' if name is None else repr(name)}; agents: {names}")
        raise AgentUnclear(f"agent: name one of {len(found)} agents, by id or name: {names}")

    def create(self, agent: models.AgentRequest) -> models.AgentCreated:
        """Create an agent."""
        return cast("models.AgentCreated", self._transport.json("POST", "/v2/agent", json=agent))

    def replace(self, agent_id: str, agent: models.AgentRequest) -> models.AgentChanged:
        """Replace an agent."""
        return cast("models.AgentChanged", self._transport.json("PUT", _path("v2", "agent", agent_id), json=agent))

    def patch(self, agent_id: str, changes: models.AgentPatch) -> models.AgentChanged:
        """Change parts of an agent; other parts are kept."""
        return cast("models.AgentChanged", self._transport.json("PATCH", _path("v2", "agent", agent_id), json=changes))

    def delete(self, agent_id: str) -> models.AgentDeleted:
        """Delete an agent and stop its calls."""
        return cast("models.AgentDeleted", self._transport.json("DELETE", _path("v2", "agent", agent_id)))

    def stop(self, agent_id: str) -> models.AgentStopped:
        """Stop every unanswered call of an agent, and its batches."""
        return cast("models.AgentStopped", self._transport.json("POST", _path("v2", "agent", agent_id, "stop")))


class Suppressions(_Resource):
    """Numbers that must not be called: `/suppressions`."""

    def add(self, **suppression: Unpack[models.AddSuppressionsRequest]) -> models.SuppressionsAdded:
        """Stop calling a number."""
        return cast("models.SuppressionsAdded", self._transport.json("POST", "/suppressions", json=suppression))

    def list(self, **filters: Unpack[models.ListSuppressionsParametersQuery]) -> Iterator[models.SuppressionRead]:
        """The suppressions, newest first."""
        return self._transport.rows("/suppressions", cast("dict[str, str]", filters))

    def remove(self, **rule: Unpack[models.DeleteSuppressionParametersQuery]) -> models.RuleRemoved:
        """Remove the suppression of a number."""
        return cast("models.RuleRemoved", self._transport.json("DELETE", "/suppressions", query=rule))


class Consents(_Resource):
    """Consents to be called: `/consents`."""

    def add(self, **consent: Unpack[models.AddConsentsRequest]) -> models.ConsentsAdded:
        """Store a consent."""
        return cast("models.ConsentsAdded", self._transport.json("POST", "/consents", json=consent))

    def list(self, **filters: Unpack[models.ListConsentsParametersQuery]) -> Iterator[models.ConsentRead]:
        """The consents, newest first."""
        return self._transport.rows("/consents", cast("dict[str, str]", filters))

    def remove(self, **rule: Unpack[models.DeleteConsentParametersQuery]) -> models.RuleRemoved:
        """Withdraw a consent."""
        return cast("models.RuleRemoved", self._transport.json("DELETE", "/consents", query=rule))


class Policies(_Resource):
    """Named sets of calling rules: `/policies`."""

    def list(self) -> Iterator[models.PolicyRead]:
        """The latest version of each policy, by name."""
        return self._transport.rows("/policies")

    def presets(self) -> Iterator[models.PresetRead]:
        """Rules to start from."""
        return self._transport.rows("/policies/presets")

    def get(self, name: str, version: int | None = None) -> models.PolicyRead:
        """A policy, in its latest or the given version."""
        query = {"version": version}
        return cast("models.PolicyRead", self._transport.json("GET", _path("policies", name), query=query))

    def put(
        self, name: str, *, if_match: str | None = None, if_none_match: str | None = None,
        **rules: Unpack[models.PolicyRequest],
    ) -> models.PolicyRead:  # fmt: skip
        """Create a policy or its next version. `if_match="3"`: only if 3 is the latest version; `if_none_match="*"`:
        only if the policy does not exist."""
        given = {"If-Match": if_match, "If-None-Match": if_none_match}
        headers = {one: value for one, value in given.items() if value is not None}
        made = self._transport.json("PUT", _path("policies", name), json=rules, headers=headers)
        return cast("models.PolicyRead", made)


class Contacts(_Resource):
    """Called persons, by number: `/numbers`, `/contacts`."""

    def get(self, phone_number: str, agent_id: str | None = None) -> models.NumberRead:
        """What is known about a number, and whether it could be called now."""
        query = {"agent_id": agent_id}
        return cast("models.NumberRead", self._transport.json("GET", _path("numbers", phone_number), query=query))

    def erase(self, phone_number: str) -> models.ContactErased:
        """Erase a person: every call to the number. Returns a receipt."""
        return cast("models.ContactErased", self._transport.json("DELETE", _path("contacts", phone_number)))


class Attention(_Resource):
    """What holds calls back until a person acts: `/attention`."""

    def list(self) -> Sequence[models.AttentionItem]:
        """The attention items."""
        return cast("models.AttentionList", self._transport.json("GET", "/attention"))["data"]

    def resolve(self, item_id: str) -> models.AttentionItem:
        """Try again now, once the cause is fixed."""
        path = _path("attention", item_id, "resolve")
        return cast("models.AttentionItem", self._transport.json("POST", path))


class Webhooks(_Resource):
    """Deliveries: `/webhooks`."""

    def undelivered(self) -> models.UndeliveredList:
        """Undelivered events: those given up, and those that wait for their next try."""
        return cast("models.UndeliveredList", self._transport.json("GET", "/webhooks/undelivered"))

    def test(self, **target: Unpack[models.WebhookTest]) -> models.WebhookTestResult:
        """Send one signed test event to an agent's `webhook_url` or to a URL, and return the result."""
        return cast("models.WebhookTestResult", self._transport.json("POST", "/webhooks/test", json=target))


class Keys(_Resource):
    """API keys and the audit log: `/keys`, `/audit`. They need the scope admin."""

    def list(self) -> Sequence[models.KeyRead]:
        """The keys, oldest first, including revoked ones."""
        return cast("Sequence[models.KeyRead]", self._transport.json("GET", "/keys"))

    def create(self, **key: Unpack[models.KeyRequest]) -> models.KeyCreated:
        """Create a key; its `api_key` is shown only here. Omitted rights are copied from the key that creates it."""
        return cast("models.KeyCreated", self._transport.json("POST", "/keys", json=key))

    def revoke(self, key_id: str) -> models.KeyRevoked:
        """Revoke a key. Revoking it again changes nothing."""
        return cast("models.KeyRevoked", self._transport.json("DELETE", _path("keys", key_id)))

    def audit(self) -> Iterator[models.AuditRead]:
        """Every change of the account, newest first."""
        return self._transport.rows("/audit")


class Account(_Resource):
    """The account: `/user/me`."""

    def get(self) -> models.UserRead:
        """The account with its lines, defaults and carriers."""
        return cast("models.UserRead", self._transport.json("GET", "/user/me"))

    def patch(self, **changes: Unpack[models.PatchUserRequest]) -> models.UserRead:
        """Change the account's defaults, contact limits or webhook. None removes a setting; omitted ones are kept."""
        return cast("models.UserRead", self._transport.json("PATCH", "/user/me", json=changes))

    def phone_numbers(self) -> Iterator[models.PhoneNumberRead]:
        """The caller ids of all agents."""
        return self._transport.rows("/phone-numbers/all")
