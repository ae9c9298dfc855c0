"""A campaign of schemathesis: valid and invalid requests, generated from the OpenAPI document.

Its phases: the document's examples; coverage: boundary values and omissions of every field; random requests; and chains
of requests that use earlier answers. Every check of schemathesis compares every answer with the document.
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
    """One answer that fails a check."""

    check: str
    operation: str
    title: str
    message: str
    request: str
    status: int | None
    body: bytes

    def faults(self) -> list[str]:
        """The faults of the request that the answer names: `field: message`, or only the message."""
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
    """Requests by phase, answers by operation and status, checks by name; and what failed."""

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """Errors that kept schemathesis from testing something."""

    def operations(self) -> set[str]:
        """The operations that received requests."""
        return {operation for operation, _ in self.answers}

    def accepted(self) -> set[str]:
        """The operations that answered 2xx at least once."""
        return {operation for operation, status in self.answers if 200 <= status < 300}

    def summary(self) -> str:
        """A report: requests by phase, checks by name, answers by operation."""
        lines = [f"{sum(self.requests.values())} requests: " + _listed(self.requests)]
        lines.append(f"{sum(self.checks.values())} checks: " + _listed(self.checks))
        for operation in sorted(self.operations()):
            statuses = Counter({status: n for (name, status), n in self.answers.items() if name == operation})
            lines.append(f"  {operation}: {sum(statuses.values())}, answered {_listed(statuses)}")
        return "\n".join(lines)


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def run(
    url: str, examples: int, complete: Callable[[Case[Any]], None] | None = None, *, step: int = 1, **options: Any
) -> Campaign:
    """Send requests to the API at `url`: about `examples` random ones for each operation, and every `step`-th case of
    the coverage phase. The same requests are made each time.

    `complete` fills in what no schema can express in a valid request, such as an id that exists. `options` are
    schemathesis' own settings: `headers`, `auth`, `phases`, …
    """
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "workers": 1,
            "continue-on-failure": True,
            "cache": {"enabled": False},
            "warnings": False,
            "suppress-health-check": ["all"],  # a busy machine is not the API's fault
            "generation": {"max-examples": examples, "deterministic": True, "database": "none", "no-shrink": True},
            **options,
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    campaign = Campaign()
    with _hooked(complete, step):
        for event in from_schema(schema).execute():
            if isinstance(event, events.NonFatalError):
                campaign.troubles.append(f"{event.label}: {event.info.title}: {event.info.message}")
            elif isinstance(event, events.FatalError):
                raise event.exception
            elif isinstance(event, events.ScenarioFinished):
                _record(campaign, event.phase.value, event.recorder)
    return campaign


@contextmanager
def _hooked(complete: Callable[[Case[Any]], None] | None, step: int) -> Iterator[None]:
    """Thin the coverage phase, and complete every request before it is sent. No request declares its length: that is
    the job of HTTP, not of the API."""
    cases: Counter[str] = Counter()

    def filter_case(context: HookContext, case: Case[Any]) -> bool:
        if case.meta is None or case.meta.phase.name.value != "coverage":
            return True
        cases[case.operation.label] += 1
        return cases[case.operation.label] % step == 0

    def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
        for name in [name for name in case.headers or () if name.lower() in ("content-length", "transfer-encoding")]:
            del case.headers[name]
        if complete is not None:
            complete(case)

    for hook in (filter_case, before_call):
        schemathesis.hook(hook)
    try:
        yield
    finally:
        for hook in (filter_case, before_call):
            hooks.unregister(hook)


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
    """The setting `auth` for a campaign by several accounts: names and API keys. No account may see another's data."""
    file = directory / "accounts.json"
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for name, key in keys.items()
    ]
    file.write_text(json.dumps({"auth": users}))
    return {"wfc": {"path": str(file), "peers": list(keys)}}
