"""The HTTP API: authenticate, route, parse the body, validate, run one use case, respond.

    authenticate ─► route ─────────────────► body ──────────► validate ──► use case ─► answer
         401              404, 405              400, 413         400       404, 409, …

`_failure` turns every error into a response.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext

from redial.api import (
    account,
    agents,
    attention,
    audit,
    batches,
    calls,
    console,
    contacts,
    doctor,
    executions,
    forms,
    keys,
    now,
    number_rules,
    numbers,
    policies,
    preflight,
    service,
    stats,
    webhooks,
)
from redial.api.answers import CURRENT, JSON, Current, services
from redial.api.fields import invalid, read_json_object, to_json
from redial.api.scopes import check_agents, check_scope, needed_scope
from redial.domain.api_key import Caller, KeyRights, KeyScope, NumbersShown
from redial.domain.errors import (
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    QuotaUsedUp,
    RedialError,
    TooLarge,
    Unauthorized,
)
from redial.domain.masking import masked_json, masked_text
from redial.runtime import system, telemetry
from redial.usecases import accounts

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.openapi.models import OpenAPI

MAX_BODY_BYTES = 256 * 1024
"""Maximum size of a JSON body; the largest useful one is an agent's configuration."""
MAX_SHOWN_PATH = 200
"""Maximum characters of an unknown path that an error message repeats."""
PUBLIC = frozenset({"/", "/favicon.ico", "/docs", "/openapi.json", "/llms.txt", "/health"})
"""Documented paths that need no API key. The console's files need no key either."""
FORMS = re.compile(r"/batches(/[^/]+/schedule)?|/suppressions|/consents|/executions/[^/]+/suppress")
"""Paths whose bodies are forms."""
_SLASHES = re.compile("//+")
COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "br", "zstd", "compress"})

logger = telemetry.logger


class _MethodNotAllowed(RedialError):
    status = 405

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not possible here; use {' or '.join(allowed)}")
        self.allowed = allowed


_RESOURCES = (
    calls,
    executions,
    contacts,
    numbers,
    number_rules,
    policies,
    agents,
    batches,
    preflight,
    account,
    now,
    attention,
    doctor,
    keys,
    audit,
    stats,
    webhooks,
    service,
    console,
)
"""Resources in the order of the documentation, the main operations first."""


class _Api(APIGatewayHttpResolver):
    """A resolver that can list the methods of a path. It documents no 422, because invalid input gets a 400."""

    def routes_of(self, path: str) -> dict[str, Route]:
        """The routes of a path by method; empty for an unknown path. A static path such as `/v2/agent/all` takes
        precedence over one with parameters."""
        for routes in (self._static_routes, self._dynamic_routes):
            found = {route.method: route for route in routes if route.rule.fullmatch(path)}
            if found:
                return found
        return {}

    def methods(self, path: str) -> list[str]:
        """The methods of a path; empty for an unknown path."""
        return sorted(self.routes_of(path))

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        # Powertools stores both on a class shared by all resolvers of a process; the local stack has several at once.
        self.current_event = cast(APIGatewayProxyEventV2, self._to_proxy_event(event))
        self.lambda_context = context
        return super().resolve(event, context)

    def get_openapi_schema(self, **arguments: Any) -> "OpenAPI":
        bodies = batches.form_bodies() | number_rules.form_bodies()
        for route in (*self._static_routes, *self._dynamic_routes):
            extensions: dict[str, Any] = {}
            if route.operation_id in bodies:
                extensions["requestBody"] = bodies[route.operation_id]
            if route.path not in PUBLIC:
                extensions["x-required-scope"] = needed_scope(route.method, route.operation_id or "")
            if extensions:
                route.openapi_extensions = extensions
        schema = super().get_openapi_schema(**arguments)
        for path in (schema.paths or {}).values():
            for operation in (path.get, path.put, path.post, path.delete, path.patch):
                if operation is not None and operation.responses is not None:
                    operation.responses.pop(422, None)  # invalid input gets a 400
        rules = [rule for resource in _RESOURCES for rule, *_ in resource.router._routes]
        order = [rule.replace("<", "{").replace(">", "}") for rule in rules]
        shown = schema.paths or {}
        schema.paths = {path: shown[path] for path in dict.fromkeys(order) if path in shown}
        if schema.components is not None and schema.components.schemas is not None:
            for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
                schema.components.schemas.pop(unused, None)
        return schema


app = _Api(enable_validation=True, json_body_deserializer=read_json_object)
for _resource in _RESOURCES:
    app.include_router(_resource.router)


def respond(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway HTTP API event, payload version 2.0.

    A browser's preflight is answered without a key: API Gateway adds the CORS headers, if CORS is on.
    Repeated slashes and a trailing slash in the path make no difference.
    """
    event = {**event, "rawPath": _SLASHES.sub("/", event["rawPath"]).rstrip("/") or "/"}
    request = APIGatewayProxyEventV2(event)
    method, path = request.http_method.upper(), request.path
    caller = route = None
    if method == "OPTIONS" and "access-control-request-method" in request.headers:
        return {"statusCode": 204, "headers": {}, "body": "", "isBase64Encoded": False}
    CURRENT.set(Current(None, context.aws_request_id))
    try:
        if not (path in PUBLIC or path == console.PATH or path.startswith(f"{console.PATH}/")):
            caller = _caller(request)
        route = _route(method, path)
        if caller is not None:
            check_scope(caller, method, route.operation_id or "")
            check_agents(caller, route.operation_id or "", request.query_string_parameters)
        query = request.query_string_parameters
        _check_query(route, query)
        takes_json = _takes_json(route)
        form = _check_body(request) if takes_json or _takes_form(method, path) else None
        if not takes_json:  # a form is already parsed, and any other body is ignored
            event = {**event, "body": None, "isBase64Encoded": False}
        elif request.body:  # the resolver accepts exactly this media type, without parameters
            event = {**event, "headers": {**event["headers"], "content-type": JSON}}
        CURRENT.set(Current(caller, context.aws_request_id, form or forms.Form(), path, query))
        answer = app.resolve(event, context)
    except Exception as error:  # noqa: BLE001  every error is answered
        answer = _on_the_wire(_failure(error, context.aws_request_id))
    if caller is not None:
        if caller.rights.numbers is NumbersShown.MASKED:
            answer = _with_masked_numbers(answer)
        if route is not None and _is_change(route, method, answer):
            _record(caller, route, path)
        _mark_used(caller)
    logger.info(
        "request",
        extra={
            "method": method,
            "path": "/contacts/…" if path.startswith("/contacts/") else masked_text(path),
            "status": answer["statusCode"],
            "account_id": None if caller is None else caller.account_id,
            "gateway_request_id": request.request_context.request_id,
        },
    )
    return answer


def _caller(request: APIGatewayProxyEventV2) -> Caller:
    """The caller, identified by API key or, on paths that accept one, by signature. Raises `Unauthorized`."""
    authorization, signed = request.headers.get("authorization"), number_rules.SIGNED.fullmatch(request.path)
    if signed is None or authorization or "webhook-signature" not in request.headers:
        return accounts.authenticate(authorization, accounts=services().accounts)
    account_id = number_rules.account_of_signature(signed[1], request.headers, _raw_body(request))
    return Caller(account_id, KeyRights((KeyScope.OPERATE,)), name="webhook signature")


def _is_change(route: Route, method: str, answer: dict[str, Any]) -> bool:
    """Whether the request succeeded and needs an audit record. A replay by Idempotency-Key does not need one."""
    is_done = answer["statusCode"] < 300 and "Idempotency-Replayed" not in answer["headers"]
    return method != "GET" and is_done and route.operation_id not in audit.NOT_AUDITED


def _record(caller: Caller, route: Route, path: str) -> None:
    """Append the audit record of a change. If this fails, the change is kept and the record is logged."""
    matched = route.rule.fullmatch(path)
    assert matched is not None, "the path was routed by it"
    record = audit.record_of(caller, route.operation_id or "", matched.groupdict(), CURRENT.get().note)
    try:
        services().audit.add(record)
    except Exception:
        logger.exception("audit record not stored", extra={"audit": audit.audit_json(record)})


def _with_masked_numbers(answer: dict[str, Any]) -> dict[str, Any]:
    """The response for a key that sees masked numbers only. JSON is masked; files and redirects to them are refused."""
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    if headers.get("content-type") == JSON:
        return {**answer, "body": to_json(masked_json(json.loads(answer["body"])))}
    message = "this API key sees masked phone numbers only, and a file has full ones: use a key that sees full numbers"
    return _on_the_wire(_failure(Forbidden(message), ""))


def _mark_used(caller: Caller) -> None:
    """Store when the key was used. A failure is only logged, because the request does not depend on it."""
    try:
        accounts.mark_used(caller, accounts=services().accounts, now=system.now())
    except Exception:
        logger.exception("last_used_at not stored", extra={"key_id": caller.key_id})


def _route(method: str, path: str) -> Route:
    routes = app.routes_of(path)
    if not routes:
        raise NotFound(f"there is no {path[:MAX_SHOWN_PATH]}; GET /docs shows what there is")
    if method not in routes:
        raise _MethodNotAllowed(method, sorted(routes))
    return routes[method]


def _check_query(route: Route, query: Mapping[str, str]) -> None:
    """Raises `InvalidInput` for a parameter that the listing does not have: ignoring it would return other rows."""
    known = {parameter.alias for parameter in route.dependant.query_params}
    unknown = [
        FieldError(name[:MAX_SHOWN_PATH], f"is not a parameter; there are {', '.join(sorted(known))}")
        for name in query
        if name not in known
    ]
    if known and unknown:
        raise InvalidInput("; ".join(f"{one.field}: {one.message}" for one in unknown), tuple(unknown))


def _takes_json(route: Route) -> bool:
    return bool(route.dependant.body_params)


def _takes_form(method: str, path: str) -> bool:
    return method == "POST" and FORMS.fullmatch(path) is not None


def _check_body(request: APIGatewayProxyEventV2) -> forms.Form | None:
    """Check the body's encoding, media type and size, and parse it if the route takes a form. The route validates the
    content. Raises `InvalidInput` and `TooLarge`."""
    wants_form = _takes_form(request.http_method.upper(), request.path)
    body = request.body
    if not body:
        return forms.Form() if wants_form else None
    raw = _raw_body(request)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in COMPRESSED:
        raise InvalidInput.of("Content-Encoding", f"send the body as it is, not compressed ({encoding})")
    content_type = request.headers.get("content-type", JSON)
    media_type = content_type.partition(";")[0].strip().lower()
    if wants_form and media_type in (forms.MULTIPART, forms.URLENCODED):
        if len(raw) > batches.MAX_FORM_BYTES:
            raise TooLarge(batches.TOO_LARGE_A_FILE)
        return forms.read_form(content_type, raw)
    if len(raw) > MAX_BODY_BYTES:
        raise TooLarge(f"a body may have {MAX_BODY_BYTES} bytes, this one has {len(raw)}")
    try:
        text = raw.decode()
    except UnicodeError as error:
        raise InvalidInput("the body is not UTF-8 text") from error
    if media_type != JSON:
        wanted = f"{forms.MULTIPART}, {forms.URLENCODED} or {JSON}" if wants_form else JSON
        raise InvalidInput.of("Content-Type", f"must be {wanted}, not {media_type or 'empty'}")
    if not wants_form:
        return None
    return batches.form_of_json(text) if request.path.startswith("/batches") else number_rules.form_of_json(text)


def _raw_body(request: APIGatewayProxyEventV2) -> bytes:
    """The body's bytes as sent. Raises `InvalidInput`."""
    body = request.body or ""
    try:
        return base64.b64decode(body, validate=True) if request.is_base64_encoded else body.encode()
    except binascii.Error as error:
        raise InvalidInput("the body is not valid base64") from error
    except UnicodeError as error:
        raise InvalidInput("the body is not UTF-8 text") from error


# ---- failures -----------------------------------------------------------------------------------------------------


def _on_exception(error: Exception) -> Response[Any]:
    return _failure(error, CURRENT.get().request_id)


app.exception_handler(Exception)(_on_exception)


def _failure(error: Exception, request_id: str) -> Response[Any]:
    """The response for an error. An unexpected error is logged, and its message is not sent."""
    headers: dict[str, str | list[str]] = {}
    if isinstance(error, RequestValidationError):
        error = invalid(error.errors())
    if not isinstance(error, RedialError):
        logger.exception("request failed", exc_info=error)
        message = f"something failed here; try again, and if it stays so, report request {request_id}"
        return _error(500, message, {"request_id": request_id}, headers)
    more: dict[str, Any] = {}
    if isinstance(error, InvalidInput) and error.errors:
        more["errors"] = [{"field": one.field, "message": one.message} for one in error.errors]
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, QuotaUsedUp):
        headers["Retry-After"] = str(math.ceil(error.after.total_seconds()))
    if isinstance(error, _MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return _error(error.status, error.message, more, headers)


def _error(status: int, message: str, more: dict[str, Any], headers: dict[str, str | list[str]]) -> Response[Any]:
    body = {"error": status, "message": message, "detail": message, **more}
    return Response(status_code=status, content_type=JSON, body=to_json(body), headers=headers)


def _on_the_wire(response: Response[Any]) -> dict[str, Any]:
    """The response in API Gateway's format, for errors raised before the resolver runs."""
    return {
        "statusCode": response.status_code,
        "headers": response.headers,
        "body": response.body,
        "isBase64Encoded": False,
        "cookies": [],
    }
