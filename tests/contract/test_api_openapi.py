"""The OpenAPI document: valid, complete, and correct about authentication and errors."""

import difflib
import json
import re
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from redial.api.app import PUBLIC, app
from redial.domain.batch import BatchStatus
from redial.domain.status import RETRYABLE, Status
from tests.contract.record_openapi import RECORDED, document
from tests.support.api import openapi
from tests.support.template import ROOT

CONTRACT = {
    ("POST", "/call"),
    ("POST", "/call/plan"),
    ("POST", "/call/{execution_id}/stop"),
    ("POST", "/v2/agent/{agent_id}/stop"),
    ("GET", "/executions/{execution_id}"),
    ("DELETE", "/executions/{execution_id}"),
    ("GET", "/executions/{execution_id}/log"),
    ("GET", "/executions/{execution_id}/explain"),
    ("POST", "/executions/{execution_id}/suppress"),
    ("DELETE", "/contacts/{phone_number}"),
    ("GET", "/numbers/{phone_number}"),
    *((method, path) for path in ("/suppressions", "/consents") for method in ("POST", "GET", "DELETE")),
    ("PUT", "/policies/{name}"),
    ("GET", "/policies/{name}"),
    ("GET", "/policies"),
    ("GET", "/policies/presets"),
    ("GET", "/v2/agent/{agent_id}/executions"),
    ("GET", "/agent/{agent_id}/executions"),
    ("GET", "/agent/{agent_id}/execution/{execution_id}"),
    ("POST", "/v2/agent"),
    ("GET", "/v2/agent/all"),
    ("GET", "/v2/agent/{agent_id}"),
    ("PUT", "/v2/agent/{agent_id}"),
    ("PATCH", "/v2/agent/{agent_id}"),
    ("DELETE", "/v2/agent/{agent_id}"),
    ("POST", "/batches"),
    ("POST", "/batches/uploads"),
    ("GET", "/batches/{batch_id}"),
    ("DELETE", "/batches/{batch_id}"),
    ("GET", "/batches/{agent_id}/all"),
    ("GET", "/batches/{batch_id}/executions"),
    ("GET", "/batches/{batch_id}/results.csv"),
    ("GET", "/batches/{batch_id}/rejected.csv"),
    ("POST", "/batches/{batch_id}/preflight"),
    ("POST", "/batches/{batch_id}/schedule"),
    ("POST", "/batches/{batch_id}/stop"),
    ("POST", "/batches/{batch_id}/pause"),
    ("POST", "/batches/{batch_id}/resume"),
    ("POST", "/batches/{batch_id}/webhooks/replay"),
    ("GET", "/user/me"),
    ("PATCH", "/user/me"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/{key_id}"),
    ("GET", "/audit"),
    ("GET", "/audit.csv"),
    ("GET", "/phone-numbers/all"),
    ("GET", "/now"),
    ("GET", "/doctor"),
    ("GET", "/attention"),
    ("GET", "/stats/retries"),
    ("POST", "/attention/{item_id}/resolve"),
    ("GET", "/webhooks/undelivered"),
    ("POST", "/webhooks/test"),
    ("POST", "/executions/{execution_id}/webhooks/replay"),
    ("GET", "/"),
    ("GET", "/favicon.ico"),
    ("GET", "/health"),
    ("GET", "/docs"),
    ("GET", "/llms.txt"),
    ("GET", "/openapi.json"),
}
OPERATIONS = [
    (method.upper(), path, operation)
    for path, operations in openapi()["paths"].items()
    for method, operation in operations.items()
]
OPERATION_ID = itemgetter("operationId")


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(openapi()).validate()
    assert openapi()["openapi"].startswith("3.1")


def test_the_document_is_the_recorded_one() -> None:
    """Clients are generated from it, so every change must be deliberate."""
    served, recorded = document(), RECORDED.read_text(encoding="utf-8")
    changed = [
        *difflib.unified_diff(recorded.splitlines(), served.splitlines(), "recorded", "served", lineterm="", n=2)
    ]
    if changed:
        pytest.fail(
            "the OpenAPI document changed; if that is meant, run\n"
            "  PYTHONPATH=.:layers/redial .venv/bin/python -m tests.contract.record_openapi\n"
            "commit the difference, and name it in CHANGELOG.md:\n" + "\n".join(changed[:60]),
            pytrace=False,
        )
    assert served == recorded


def test_the_documented_routes_are_the_contracts() -> None:
    assert {(method, path) for method, path, _ in OPERATIONS} == CONTRACT


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_route_documents_its_purpose_and_its_errors(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["operationId"]
    answers = operation["responses"]
    assert "422" not in answers
    if path in PUBLIC:
        assert operation["security"] == []
        return
    assert "security" not in operation, "the document's own rule applies: an API key"
    expected = (
        {"401", "429", "500", "503"}
        | ({"404"} if "_id}" in path else set())
        | ({"400"} if "requestBody" in operation else set())
    )
    assert expected <= set(answers)
    for status, answer in answers.items():
        if int(status) >= 400:
            body = "GatewayErrorBody" if status in ("429", "503") else "ErrorBody"
            assert answer["content"]["application/json"]["schema"] == {"$ref": f"#/components/schemas/{body}"}


def test_the_main_operations_come_first() -> None:
    first = {operation["tags"][0]: path for _, path, operation in reversed(OPERATIONS)}
    assert list(reversed(first)) == [
        "calls",
        "executions",
        "contacts",
        "suppressions",
        "consents",
        "policies",
        "agents",
        "batches",
        "account",
        "keys",
        "statistics",
        "webhooks",
        "service",
    ]
    assert [first[tag] for tag in ("calls", "agents", "batches")] == ["/call", "/v2/agent", "/batches"]


@pytest.mark.parametrize(
    ("name", "model", "statuses"), [("execution", "ExecutionEvent", Status), ("batch", "BatchEvent", BatchStatus)]
)
def test_both_kinds_of_events_are_described(name: str, model: str, statuses: Any) -> None:
    event = openapi()["webhooks"][name]["post"]
    body = event["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": f"#/components/schemas/{model}"}
    schema = openapi()["components"]["schemas"][model]
    assert set(schema["required"]) == set(schema["properties"])
    assert schema["properties"]["type"]["enum"] == [f"{name}.{status}" for status in statuses]
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} == {one["name"] for one in event["parameters"]}


def test_no_text_field_of_a_form_asks_for_a_file() -> None:
    """Swagger UI shows a file chooser for a contentMediaType, too."""
    content = openapi()["paths"]["/batches"]["post"]["requestBody"]["content"]
    for media_type, body in content.items():
        for field, schema in body["schema"]["properties"].items():
            assert "contentMediaType" not in schema, (media_type, field)
            assert (schema.get("format") == "binary") is (field == "file")


def test_every_route_but_the_public_ones_needs_a_key() -> None:
    assert openapi()["security"] == [{"apiKey": []}]
    scheme = openapi()["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_schemas_use_the_domains_enums() -> None:
    schemas = openapi()["components"]["schemas"]
    assert schemas["Status"]["enum"] == [str(status) for status in Status]
    assert schemas["RetryConfig"]["properties"]["retry_on_statuses"]["items"]["enum"] == list(RETRYABLE)


def test_every_schema_is_used() -> None:
    document = json.dumps(openapi())
    unused = [name for name in openapi()["components"]["schemas"] if f'"#/components/schemas/{name}"' not in document]
    assert unused == []


def test_execution_has_the_contracts_fields_and_no_others() -> None:
    fields = openapi()["components"]["schemas"]["Execution"]
    assert set(fields["required"]) == set(fields["properties"])
    assert " ".join(fields["properties"]) == (
        "id agent_id batch_id status created_at updated_at scheduled_at rescheduled_at retry_config retry_count "
        "retry_history answered_by_voice_mail conversation_duration error_message termination_reason "
        "ended_because outcome initiated_at user_number agent_number provider telephony_data context_details "
        "batch_run_details attempts next_attempt sequence purpose policy expires_at transcript summary "
        "extracted_data agent_extraction total_cost cost_breakdown usage_breakdown transfer_call_data"
    )


def test_a_path_without_a_route_has_no_methods() -> None:
    assert app.methods("/nope") == []
    assert app.methods("/v2/agent/x/executions") == ["GET"]


def test_the_typescript_program_makes_every_request() -> None:
    """`make clients-check` compiles it against types generated from the recorded document."""
    program = (ROOT / "tests/typescript/every_request.ts").read_text(encoding="utf-8")
    made = set(re.findall(r'api\.(GET|PUT|POST|PATCH|DELETE)\("([^"]+)"', program))
    made |= {("GET", path) for path in re.findall(r'"(/batches/\{batch_id\}/[a-z]+\.csv)"', program)}
    assert made == CONTRACT


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, outermost first."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(item)


def _with_schemas(value: Any) -> dict[str, Any]:
    """`value`, and by name each schema that it refers to, directly or through others."""
    found = {"": value}
    waiting = [value]
    while waiting:
        names = {one["$ref"].rpartition("/")[2] for one in _objects(waiting.pop()) if "$ref" in one} - found.keys()
        found |= {name: openapi()["components"]["schemas"][name] for name in names}
        waiting += [found[name] for name in names]
    return found


@pytest.mark.parametrize("operation", [one for _, _, one in OPERATIONS if "requestBody" in one], ids=OPERATION_ID)
def test_a_request_names_its_defaults_in_descriptions_only(operation: dict[str, Any]) -> None:
    """A generated client would send the default of a field that was not given, even in a PATCH, or require the field:
    openapi-typescript makes each property optional that is not `required` and has no `default`."""
    schemas = _with_schemas(operation["requestBody"])
    assert [name for name, schema in schemas.items() if any("default" in one for one in _objects(schema))] == []


def test_defaults_are_described() -> None:
    schemas = openapi()["components"]["schemas"]
    assert "Default: [30, 60, 120]." in schemas["RetryConfig"]["properties"]["retry_intervals_minutes"]["description"]
    assert "Default: 15." in schemas["CallingGuardrails"]["properties"]["spread_minutes"]["description"]
    assert schemas["AgentConfig"]["properties"]["max_concurrent_calls"]["default"] == 10, "an answer has its defaults"


def test_the_operations_that_answer_in_several_forms() -> None:
    """A generated client has a union for each of these. A program must distinguish its forms, as every_request.ts does,
    which only `make clients-check` compiles. Extend it together with this list."""
    several = set()
    for _, _, operation in OPERATIONS:
        succeeded = [answer.get("content", {}) for status, answer in operation["responses"].items() if status < "300"]
        if len({json.dumps(body["schema"]) for content in succeeded for body in content.values()}) > 1:
            several.add(operation["operationId"])
    assert several == {"preflight_batch", "get_batch_results", "docs"}


def test_no_optional_parameter_may_be_null() -> None:
    parameters = [one for _, _, operation in OPERATIONS for one in operation.get("parameters", ())]
    assert len(parameters) > 20
    assert [one["name"] for one in parameters if '"null"' in json.dumps(one["schema"])] == []
