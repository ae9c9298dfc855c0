"""Routes of suppressions and consents: add one, or a file of many; list them; remove one."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, BaseModel, Field
from typing_extensions import TypedDict

from redial.api.answers import (
    CURRENT,
    JSON,
    account_id,
    answer,
    answers,
    known_id,
    new_router,
    no_such,
    note_details,
    note_resource,
    services,
)
from redial.api.fields import (
    EXAMPLE_AGENT_ID,
    NO_EMPTY_TEXT,
    Instant,
    PhoneNumber,
    Purpose,
    form_fields,
    read_json_object,
    validated,
)
from redial.api.forms import Form
from redial.api.listings import HEADERS, AnyPageNumber, AnyPageSize, CursorText, paging, part, part_of
from redial.domain.errors import FieldError, InvalidInput, Unauthorized
from redial.domain.masking import masked
from redial.domain.number_rules import NumberRule, RuleKind, scope_of
from redial.ports import Position
from redial.runtime import system
from redial.usecases import number_rules
from redial.usecases.number_rules import MOST_ADDED, NewRule
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none
from redial.wire.webhook_signature import is_signed

router = new_router()


# ---- models ---

CLOCKS_DIFFER = timedelta(minutes=1)
MOST_ERRORS = 20
"""Maximum invalid rows of a file that a response names."""
NUMBER_COLUMNS = ("phone_number", "contact_number")


Words = Annotated[Annotated[str, Field(max_length=200)] | None, NO_EMPTY_TEXT]


def _is_to_come(instant: datetime) -> datetime:
    if instant <= system.now():
        raise ValueError("must be in the future")
    return instant


def _was(instant: datetime) -> datetime:
    if instant > system.now() + CLOCKS_DIFFER:
        raise ValueError("must not be in the future")
    return instant


_Expiry = Annotated[Annotated[Instant, AfterValidator(_is_to_come)] | None, NO_EMPTY_TEXT]


class _RuleRequest(BaseModel):
    """The common fields of suppressions and consents."""

    phone_number: PhoneNumber = Field(description="E.164; other formats are normalized.")
    purpose: Annotated[Purpose | None, NO_EMPTY_TEXT] = Field(None, description="Only calls for this purpose.")
    source: Words = Field(None, description="Where it comes from.", examples=["web form"])
    expires_at: _Expiry = Field(None, description="When it expires; null or an empty text: never.")


class SuppressionRequest(_RuleRequest):
    """A number that is no longer called. Unknown fields are ignored."""

    agent_id: Annotated[str | None, NO_EMPTY_TEXT] = Field(
        None,
        description="Only calls of this agent. Without agent and purpose: all calls of the account.",
        examples=[EXAMPLE_AGENT_ID],
    )
    reason: Words = Field(None, description="The reason, shown with the calls that it ends.", examples=["opted out"])

    def to_new_rule(self) -> NewRule:
        return NewRule(
            RuleKind.SUPPRESSION,
            self.phone_number,
            agent_id=None if self.agent_id is None else known_id(self.agent_id, "agent"),
            purpose=self.purpose,
            reason=self.reason,
            source=self.source,
            expires_at=self.expires_at,
        )


class ConsentRequest(_RuleRequest):
    """A number's consent to be called. Unknown fields are ignored."""

    given_at: Annotated[Instant, AfterValidator(_was)] = Field(
        description="When the consent was given; it is valid from then on."
    )
    proof: Words = Field(None, description="Where the consent can be found.", examples=["form 4711"])

    def to_new_rule(self) -> NewRule:
        return NewRule(
            RuleKind.CONSENT,
            self.phone_number,
            purpose=self.purpose,
            source=self.source,
            proof=self.proof,
            given_at=self.given_at,
            expires_at=self.expires_at,
        )


class RuleRead(TypedDict):
    """The common fields of suppressions and consents. The number itself is not stored."""

    id: Annotated[str, Field(description="A keyed hash of the number, and the rule's scope.")]
    last_four: Annotated[
        str | None, Field(description="The number's last four digits; null once the person has been erased.")
    ]
    purpose: str | None
    source: str | None
    created_at: Timestamp
    expires_at: Timestamp | None


class SuppressionRead(RuleRead):
    """A suppression."""

    agent_id: str | None
    reason: str | None


class ConsentRead(RuleRead):
    """A consent."""

    given_at: Timestamp
    proof: str | None


class ConsentsAdded(TypedDict):
    """The consents after the change."""

    message: Literal["success"]
    consents: list[ConsentRead]


class SuppressionsAdded(TypedDict):
    """The suppressions after the change, and the calls that they ended."""

    message: Literal["success"]
    suppressions: list[SuppressionRead]
    canceled_executions: Annotated[list[str], Field(description="Waiting and ringing calls that were ended at once.")]
    complete: Annotated[
        bool,
        Field(
            description="`false`: there was no time to find all such calls. The others are not dialled and end when"
            " they become due. Repeat the request to end them now."
        ),
    ]


class RuleRemoved(TypedDict):
    """How many rules were removed: one or none."""

    message: Literal["success"]
    state: Literal["deleted"]
    deleted: int
    canceled_executions: Annotated[list[str], Field(description="Calls that were ended because they need the consent.")]


def suppression_json(rule: NumberRule) -> SuppressionRead:
    """A suppression as JSON."""
    return {**_common(rule), "agent_id": rule.agent_id, "reason": rule.reason}


def consent_json(rule: NumberRule) -> ConsentRead:
    """A consent as JSON."""
    assert rule.given_at is not None, "every consent has it"
    return {**_common(rule), "given_at": rfc3339(rule.given_at), "proof": rule.proof}


def _common(rule: NumberRule) -> RuleRead:
    return {
        "id": rule.id,
        "last_four": rule.last_four,
        "purpose": rule.purpose,
        "source": rule.source,
        "created_at": rfc3339(rule.added_at),
        "expires_at": rfc3339_or_none(rule.expires_at),
    }


# ---- reading ---


def form_of_json(text: str) -> Form:
    """A JSON object as the equivalent form; null values are left out. Raises `InvalidInput`."""
    form = Form()
    known = {*SuppressionRequest.model_fields, *ConsentRequest.model_fields}
    for name, value in read_json_object(text).items():
        if name in known and value is not None:
            if not isinstance(value, str):
                raise InvalidInput.of(name, "must be a text")
            form.values[name] = [value]
    return form


def _requests(form: Form, model: type[SuppressionRequest] | type[ConsentRequest]) -> list[NewRule]:
    """The rules of a request: one, or one for each row of `file`, whose empty cells take the other fields' values.
    Raises `InvalidInput`, naming each invalid field or row."""
    fields = {name: texts[-1] for name, texts in form.values.items()}
    file = form.files.get("file")
    if file is None:
        return [validated(model, fields).to_new_rule()]
    if "phone_number" in fields:
        raise InvalidInput.of("phone_number", "send either a file or phone_number, not both")
    rules: list[NewRule] = []
    errors: list[FieldError] = []
    for line, row in _rows(file[1]):
        try:
            rules.append(validated(model, {**fields, **row}).to_new_rule())
        except InvalidInput as error:
            errors += [FieldError(f"file.{line}.{one.field}", one.message) for one in error.errors]
        if len(rules) > MOST_ADDED:
            raise InvalidInput.of("file", f"may have {MOST_ADDED} rows; split it")
        if len(errors) >= MOST_ERRORS:
            break
    if errors:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in errors), tuple(errors))
    if not rules:
        raise InvalidInput.of("file", "has no rows below its header")
    return rules


def _rows(content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, non-empty cells) of each row of a CSV. Raises `InvalidInput`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError as error:
        raise InvalidInput.of("file", "must be a CSV in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = {name: (name or "").strip().lower() for name in reader.fieldnames or ()}
        number = next((one for one in NUMBER_COLUMNS if one in names.values()), None)
        if number is None:
            raise InvalidInput.of("file", "must be a CSV whose first line names a column phone_number")
        for row in reader:
            cells = {names[name]: value for name, value in row.items() if name in names and value}
            if cells:
                cells["phone_number"] = cells.get(number, "")
                yield reader.line_num, cells
    except csv.Error as error:
        raise InvalidInput.of("file", f"is not a CSV: {error}, line {reader.line_num}") from error


def form_bodies() -> dict[str, dict[str, Any]]:
    """The documented JSON bodies of the routes that add rules, by operation id. Files are only mentioned in
    descriptions: openapi-python-client 0.29 generates failing code for several media types without other parameters."""
    bodies = {}
    requests: dict[str, type[BaseModel]] = {"add_suppressions": SuppressionRequest, "add_consents": ConsentRequest}
    for operation, model in requests.items():
        required = [name for name, field in model.model_fields.items() if field.is_required()]
        fields = {name: schema if name in required else _or_null(schema) for name, schema in form_fields(model).items()}
        schema = {"type": "object", "properties": fields, "required": required}
        bodies[operation] = {"required": True, "content": {JSON: {"schema": schema}}}
        if model is SuppressionRequest:
            others = {name: one for name, one in fields.items() if name != "phone_number"}
            one_call = {"type": "object", "properties": others}
            bodies["suppress_execution"] = {"content": {JSON: {"schema": one_call}}}
    return bodies


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    about: dict[str, Any] = {name: schema[name] for name in ("description", "examples") if name in schema}
    return {"anyOf": [{name: one for name, one in schema.items() if name not in about}, {"type": "null"}], **about}


# ---- signatures ---

SIGNED = re.compile("/executions/([^/]+)/suppress")
"""Paths that accept a signature by the account's webhook secret instead of an API key."""
REQUEST_ID = "suppress-"
"""The prefix of a signed request's `webhook-id`, followed by the execution's id. It tells such a request apart from
webhooks sent by Redial, which have the same secret, and from requests for other executions."""


def account_of_signature(execution_id: str, headers: Mapping[str, str], body: bytes) -> str:
    """The account of the execution, if its webhook secret has signed the request. Raises `Unauthorized`."""
    lower = {name.lower(): value for name, value in headers.items()}
    execution = services().executions.get(known_id(execution_id, "execution"))
    account = None if execution is None else services().accounts.get(execution.account_id)
    secrets = () if account is None else account.webhook_secrets
    is_named = execution is not None and lower.get("webhook-id") == f"{REQUEST_ID}{execution.id}"
    if is_named and any(is_signed(secret, lower, body, system.now()) for secret in secrets):
        assert account is not None
        return account.account_id
    raise Unauthorized(
        f"sign the request with your webhook secret as Standard Webhooks says, now, with the webhook-id"
        f" {REQUEST_ID}{execution_id}; or send your API key"
    )


# ---- routes ---

_MANY = (
    f" To add many, send multipart/form-data with a CSV of at most {MOST_ADDED} rows in the field `file`. Its columns"
    " are named like the other fields; form fields fill in empty cells. The file is accepted as a whole or not at all."
)
OfNumber = Annotated[PhoneNumber | None, Query(description="Only those of this number, including the newest.")]
WhoseNumber = Annotated[PhoneNumber, Query()]
OfAgent = Annotated[str | None, Query(description="Only those that name this agent.")]
OfPurpose = Annotated[Purpose | None, Query(description="Only those that name this purpose.")]


@router.post(
    "/suppressions",
    summary="Stop calling one or many numbers",
    description="From the response on, no call to the number is dialled, regardless of agent, batch and guardrails."
    " Waiting and ringing calls are `canceled` at once. Adding a suppression again replaces its reason, source and"
    " expiry." + _MANY,
    tags=["suppressions"],
    operation_id="add_suppressions",
    responses=answers(200, "The suppressions are in effect.", SuppressionsAdded, 400, 404, 413),
)
def post_suppressions() -> Response[Any]:
    return _suppressed(_requests(CURRENT.get().form, SuppressionRequest))


def _note(kind: RuleKind, new: Sequence[NewRule]) -> None:
    """Record the rules for the audit record: how many, their scopes, and the masked number if there is only one."""
    note_resource(kind, masked(new[0].number) if len(new) == 1 else None)
    scopes = sorted({scope_of(one.agent_id, one.purpose) for one in new})
    note_details(added=len(new), scopes=[scope for scope in scopes if scope])


def _suppressed(new: Sequence[NewRule]) -> Response[Any]:
    changed = number_rules.add_rules(services(), new, account_id=account_id(), now=system.now())
    _note(RuleKind.SUPPRESSION, new)
    note_details(canceled_executions=len(changed.ended))
    added = SuppressionsAdded(
        message="success",
        suppressions=[suppression_json(one) for one in changed.rules],
        canceled_executions=changed.ended,
        complete=changed.complete,
    )
    return answer(added)


@router.get(
    "/suppressions",
    summary="List your suppressions, newest first",
    description="A suppression that was just added may be missing briefly, unless phone_number is given.",
    tags=["suppressions"],
    operation_id="list_suppressions",
    responses=answers(
        200, "All suppressions, or a part of them.", list[SuppressionRead], 400, 404, 413, headers=HEADERS
    ),
)
def get_suppressions(
    phone_number: OfNumber = None,
    agent_id: OfAgent = None,
    purpose: OfPurpose = None,
    page_number: AnyPageNumber = None,
    page_size: AnyPageSize = None,
    cursor: CursorText = None,
) -> Response[Any]:
    asked = paging(page_number, page_size, cursor)
    scope = _scope(agent_id, purpose)
    return _listed(RuleKind.SUPPRESSION, phone_number, scope, asked, suppression_json)


@router.delete(
    "/suppressions",
    summary="Remove a suppression",
    description="Identified by its number and scope: agent, purpose, both or neither. Removing it again changes"
    " nothing.",
    tags=["suppressions"],
    operation_id="delete_suppression",
    responses=answers(200, "Removed, or it did not exist.", RuleRemoved, 400, 404),
)
def delete_suppression(phone_number: WhoseNumber, agent_id: OfAgent = None, purpose: OfPurpose = None) -> Response[Any]:
    return _removed(RuleKind.SUPPRESSION, phone_number, _scope(agent_id, purpose))


@router.post(
    "/executions/<execution_id>/suppress",
    summary="Stop calling the number of a call",
    description="Works like POST /suppressions. Webhook receivers and agents' tools without an API key can sign the"
    " request with the account's webhook secret (Standard Webhooks) and the webhook-id"
    f" `{REQUEST_ID}<execution_id>`.",
    tags=["suppressions"],
    operation_id="suppress_execution",
    responses=answers(200, "The suppression is in effect.", SuppressionsAdded, 400, 404, 413),
)
def post_execution_suppress(execution_id: str) -> Response[Any]:
    execution = services().executions.get(known_id(execution_id, "execution"))
    if execution is None or execution.account_id != account_id():
        no_such(execution_id, "execution")
    fields = {name: texts[-1] for name, texts in CURRENT.get().form.values.items()}
    wanted = validated(SuppressionRequest, {**fields, "phone_number": execution.user_number}).to_new_rule()
    return _suppressed([wanted])


@router.post(
    "/consents",
    summary="Store one or many consents to be called",
    description="Agents with `consent_required` call only numbers with a consent. Adding a consent again replaces it."
    + _MANY,
    tags=["consents"],
    operation_id="add_consents",
    responses=answers(200, "The consents are in effect.", ConsentsAdded, 400, 413),
)
def post_consents() -> Response[Any]:
    new = _requests(CURRENT.get().form, ConsentRequest)
    changed = number_rules.add_rules(services(), new, account_id=account_id(), now=system.now())
    _note(RuleKind.CONSENT, new)
    return answer(ConsentsAdded(message="success", consents=[consent_json(one) for one in changed.rules]))


@router.get(
    "/consents",
    summary="List consents, newest first",
    description="A consent that was just added may be missing briefly, unless phone_number is given.",
    tags=["consents"],
    operation_id="list_consents",
    responses=answers(200, "All consents, or a part of them.", list[ConsentRead], 400, 413, headers=HEADERS),
)
def get_consents(
    phone_number: OfNumber = None,
    purpose: OfPurpose = None,
    page_number: AnyPageNumber = None,
    page_size: AnyPageSize = None,
    cursor: CursorText = None,
) -> Response[Any]:
    asked = paging(page_number, page_size, cursor)
    return _listed(RuleKind.CONSENT, phone_number, _scope(None, purpose), asked, consent_json)


@router.delete(
    "/consents",
    summary="Withdraw a consent",
    description="Identified by its number, and its purpose if it has one. Waiting and ringing calls that need it end at"
    " once.",
    tags=["consents"],
    operation_id="delete_consent",
    responses=answers(200, "Removed, or it did not exist.", RuleRemoved, 400),
)
def delete_consent(phone_number: WhoseNumber, purpose: OfPurpose = None) -> Response[Any]:
    return _removed(RuleKind.CONSENT, phone_number, _scope(None, purpose))


def _scope(agent_id: str | None, purpose: str | None) -> str | None:
    """The scope of rules as text; None: the request names none."""
    return scope_of(None if agent_id is None else known_id(agent_id, "agent"), purpose) or None


def _listed(kind: RuleKind, number: str | None, scope: str | None, asked: Any, render: Any) -> Response[Any]:
    rules = services().number_rules
    if number is not None:
        found = [one for one in rules.of_number(account_id(), number) if one.kind is kind]
        rows = [(Position(one.added_at, one.digest, 1), one) for one in found if _parts(scope) <= _parts(one.scope)]
        shown = part_of(sorted(rows, key=lambda row: row[0], reverse=True), asked, render, newest_first=True)
    else:
        listed = rules.listed(account_id(), kind, scope, asked.after)
        for _ in range(asked.skip):
            next(listed, None)
        shown = part(listed, rules.count(account_id(), kind, scope), asked, render)
    return answer(shown.rows, headers=shown.headers)


def _parts(scope: str | None) -> set[str]:
    return set(scope.split(",")) if scope else set()


def _removed(kind: RuleKind, number: str, scope: str | None) -> Response[Any]:
    done = number_rules.remove_rule(services(), kind, number, scope or "", account_id=account_id(), now=system.now())
    note_resource(kind, masked(number))
    note_details(scope=scope, deleted=len(done.rules), canceled_executions=len(done.ended))
    removed = RuleRemoved(message="success", state="deleted", deleted=len(done.rules), canceled_executions=done.ended)
    return answer(removed)
