"""The audit log of changes: a request's record, and the routes that list and export the log."""

import json
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field
from typing_extensions import TypedDict

from redial.api.answers import MAX_ANSWER_BYTES, Note, account_id, answer, answers, new_router, sent_size, services
from redial.api.fields import Instant
from redial.api.listings import HEADERS, AnyPageNumber, AnyPageSize, CursorText, paging, part
from redial.domain.api_key import Caller
from redial.domain.audit import AuditRecord
from redial.domain.errors import TooLarge
from redial.domain.masking import masked
from redial.runtime import system
from redial.wire.contacts_csv import write_row
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()

NOT_AUDITED = {
    "create_call": "the execution is its own record, with everything that happened to it",
    "plan_call": "it changes nothing",
    "preflight_batch": "it changes nothing",
    "test_webhook": "it sends an event, and stores nothing",
    "create_upload": "it creates a URL; the batch created from the file is recorded",
}
"""Operations other than GET that leave no record, each with the reason."""
_KINDS = {
    "execution_id": "execution",
    "agent_id": "agent",
    "batch_id": "batch",
    "item_id": "attention",
    "key_id": "key",
    "name": "policy",
    "phone_number": "contact",
}
"""The kind of resource that a path parameter names."""


# ---- a request's record ---


def record_of(caller: Caller, operation: str, path: Mapping[str, str], note: Note) -> AuditRecord:
    """The audit record of a successful request. `path`: its path parameters; `note`: what its route recorded."""
    kind, resource = next(((_KINDS[name], unquote(value)) for name, value in path.items()), ("account", None))
    if kind == "contact" and resource is not None:
        resource = masked(resource)
    if note.resource is not None:
        kind, resource = note.resource
    return AuditRecord(
        id=system.new_id(),
        account_id=caller.account_id,
        at=system.now(),
        key_id=caller.key_id or None,
        by=caller.name,
        operation=operation,
        resource_type=kind,
        resource_id=resource,
        changes=note.changes,
        details=note.details,
    )


# ---- models ---


class ChangeRead(TypedDict):
    """A changed setting. URLs are reduced to their host, numbers are masked, other content is hashed."""

    field: str
    before: Any
    after: Any


class AuditRead(TypedDict):
    """A change. `by`: the name of the API key, `operator`, or `webhook signature`; `operation`: the `operationId` of
    the route, or what the operator's command did."""

    id: str
    at: Timestamp
    by: str
    key_id: str | None
    operation: str
    resource_type: Annotated[str, Field(examples=["agent"])]
    resource_id: str | None
    changes: list[ChangeRead]
    details: dict[str, Any]


def audit_json(record: AuditRecord) -> AuditRead:
    """A record as JSON."""
    return {
        "id": record.id,
        "at": rfc3339(record.at),
        "by": record.by,
        "key_id": record.key_id,
        "operation": record.operation,
        "resource_type": record.resource_type,
        "resource_id": record.resource_id,
        "changes": [{"field": name, "before": old, "after": new} for name, (old, new) in record.changes.items()],
        "details": dict(record.details),
    }


# ---- routes ---

From = Annotated[Instant | None, Query(alias="from", description="Changes at or after this time.")]
To = Annotated[Instant | None, Query(alias="to", description="Changes at or before this time.")]


@router.get(
    "/audit",
    summary="List who changed what, newest first",
    description="Lists every change made through the API or by an operator since the audit log exists. Calls are not"
    " included: an execution is its own record. Records are never changed or removed.",
    tags=["keys"],
    operation_id="list_audit",
    responses=answers(200, "All changes, or a part of them.", list[AuditRead], 400, 413, headers=HEADERS),
)
def get_audit(
    made_from: From = None,
    made_to: To = None,
    page_number: AnyPageNumber = None,
    page_size: AnyPageSize = None,
    cursor: CursorText = None,
) -> Response[Any]:
    asked = paging(page_number, page_size, cursor)
    rows = services().audit.newest_first(account_id(), made_from, made_to, asked.after, asked.skip + asked.size)
    shown = part(islice(rows, asked.skip, None), None, asked, audit_json)
    return answer(shown.rows, headers=shown.headers)


COLUMNS = ("at", "by", "key_id", "operation", "resource_type", "resource_id", "changes", "details", "id")
_AT_ONCE = 1000


@router.get(
    "/audit.csv",
    summary="Download the audit log as a CSV",
    description="Newest first. If a period does not fit one response, export it in parts, with `from` and `to`.",
    tags=["keys"],
    operation_id="export_audit",
    responses={200: {"description": "The file.", "content": {"text/csv": {"schema": {"type": "string"}}}}}
    | {status: one for status, one in answers(200, "", AuditRead, 400, 413).items() if status != 200},
)
def get_audit_csv(made_from: From = None, made_to: To = None) -> Response[Any]:
    lines, size = [write_row(COLUMNS)], 0
    for _, record in services().audit.newest_first(account_id(), made_from, made_to, None, _AT_ONCE):
        lines.append(_line(audit_json(record)))
        size += sent_size(lines[-1])
        if size > MAX_ANSWER_BYTES:
            raise TooLarge(f"the file is larger than can be sent at once; give a `from` after {rfc3339(record.at)}")
    headers: dict[str, str | list[str]] = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(status_code=200, content_type="text/csv; charset=utf-8", body="".join(lines), headers=headers)


def _line(read: AuditRead) -> str:
    cells: Mapping[str, Any] = read
    return write_row(_cell(cells[name]) for name in COLUMNS)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
