"""A campaign of schemathesis: valid and invalid requests generated from the OpenAPI document, and its findings.

Its phases: the document's examples, boundary values and omissions of every field, random requests, and chains of
requests that use earlier answers. Every schemathesis check is applied to every answer.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

SEED = 20260126


@dataclass(frozen=True)
class Finding:
    """An answer that fails a check."""

    check: str
    operation: str
    title: str
    message: str
    request: str
    status: int | None
    body: bytes

    def faults(self) -> list[str]:
        """The errors in an answer: `field: message`, or the message alone if no field is named."""
        try:
            answer = json.loads(self.body)
            named = [f"{one['field']}: {one['message']}" for one in answer.get("errors") or []]
            return named or [str(answer["message"])]
        except (ValueError, KeyError, TypeError, AttributeError):
            return []

    def __str__(self) -> str:
        answer = f"{self.status} {self.body[:500].decode(errors='replace')}"
        return f"{self.check}, {self.operation}: {self.title}\n  {self.message}\n  {self.request[:1500]}\n  {answer}"


@dataclass
class Campaign:
    """Results of a campaign. `requests`: by phase, `answers`: by operation and status, `checks`: by check."""

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Errors that kept schemathesis from testing an operation."""

    def operations(self) -> set[str]:
        """The requested operations."""
        return {operation for operation, _ in self.answers}

    def accepted(self) -> set[str]:
        """The operations that answered 2xx at least once."""
        return {operation for operation, status in self.answers if 200 <= status < 300}

    def summary(self) -> str:
        """A readable summary: requests by operation, answers by status, and the uses of each check."""
        lines = [f"{sum(self.requests.values())} requests: " + _listed(self.requests)]
        lines.append(f"{sum(self.checks.values())} checks: " + _listed(self.checks))
        for operation in sorted(self.operations()):
            statuses = Counter({status: n for (name, status), n in self.answers.items() if name == operation})
            lines.append(f"  {operation}: {sum(statuses.values())}, answered {_listed(statuses)}")
        return "\n".join(lines)


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def run(url: str, examples: int, complete: Callable[[Case[Any]], None] | None = None, **options: Any) -> Campaign:
    """Send requests to the API at `url`: systematic ones, and some `examples` random ones per operation.

    `complete` adds to a schema-valid request what no schema can express, such as an existing id. `options` are
    schemathesis' own settings: `headers`, `auth`, `phases`, … The requests are deterministic.
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "workers": 1,
            "continue-on-failure": True,
            "cache": {"enabled": False},
            "warnings": False,
            "suppress-health-check": ["all"],  # a busy machine is no defect of the API
            "generation": {"max-examples": examples, "deterministic": True, "database": "none", "no-shrink": True},
            **options,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    campaign = Campaign()
    with _completing(complete):
        for event in from_schema(schema).execute():
            if isinstance(event, events.NonFatalError):
                campaign.troubles.append(f"{event.label}: {event.info.title}: {event.info.message}")
            elif isinstance(event, events.FatalError):
                raise event.exception
            elif isinstance(event, events.ScenarioFinished):
                _record(campaign, event.phase.value, event.recorder)
    return campaign


@contextmanager
def _completing(complete: Callable[[Case[Any]], None] | None) -> Iterator[None]:
    """Complete every valid request before sending it, without Content-Length, which belongs to HTTP, not to the API."""

    def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
        for name in [name for name in case.headers or () if name.lower() in ("content-length", "transfer-encoding")]:
            del case.headers[name]
        if complete is not None and case.meta is not None and case.meta.generation.mode.is_positive:
            complete(case)

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        hooks.unregister(before_call)


def _record(campaign: Campaign, phase: str, recorder: ScenarioRecorder) -> None:
    for case_id, interaction in recorder.interactions.items():
        campaign.requests[phase] += 1
        response = interaction.response
        campaign.answers[recorder.cases[case_id].value.operation.label, response.status_code if response else 0] += 1
    for case_id, nodes in recorder.checks.items():
        for node in nodes:
            campaign.checks[node.name] += 1
            if node.failure_info is None:
                continue
            failure = node.failure_info.failure
            answer: Response | None = recorder.interactions[case_id].response
            campaign.findings.append(
                Finding(
                    check=node.name,
                    operation=recorder.cases[case_id].value.operation.label,
                    title=failure.title,
                    message=failure.message,
                    request=node.failure_info.code_sample,
                    status=answer.status_code if answer else None,
                    body=answer.content if answer else b"",
                )
            )


def two_accounts(directory: Path, keys: Mapping[str, str]) -> dict[str, Any]:
    """The setting `auth` of a campaign by several accounts that must not see each other's records: names and API
    keys."""
    file = directory / "accounts.json"
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in keys.items()
    ]
    file.write_text(json.dumps({"auth": users}))
    return {"wfc": {"path": str(file), "peers": list(keys)}}
