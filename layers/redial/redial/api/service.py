"""Routes of the service itself: health, and the documentation as OpenAPI and as an HTML page."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from typing_extensions import TypedDict

from redial import __version__
from redial.api import webhooks
from redial.api.answers import JSON, answer, new_router

router = new_router()


# ---- models ---


class Index(TypedDict):
    """Links to the documentation."""

    name: Literal["Redial"]
    version: str
    documentation: Literal["/docs"]
    openapi: Literal["/openapi.json"]


class Healthy(TypedDict):
    """The API answers."""

    status: Literal["ok"]


# ---- routes ---


@router.get(
    "/health",
    summary="Health check",
    tags=["service"],
    operation_id="health",
    openapi_extensions={"security": []},
    responses={200: {"description": "The API answers.", "content": {JSON: {"model": Healthy}}}},
)
def get_health() -> Response[Any]:
    return answer(Healthy(status="ok"))


@router.get(
    "/",
    summary="Show the version and links to the documentation",
    tags=["service"],
    operation_id="index",
    openapi_extensions={"security": []},
    responses={200: {"description": "Links to the documentation.", "content": {JSON: {"model": Index}}}},
)
def get_index() -> Response[Any]:
    return answer(Index(name="Redial", version=__version__, documentation="/docs", openapi="/openapi.json"))


@router.get(
    "/favicon.ico",
    summary="Favicon (empty)",
    description="Browsers request it.",
    tags=["service"],
    operation_id="favicon",
    openapi_extensions={"security": []},
    responses={204: {"description": "There is no icon.", "content": {}}},
)
def get_favicon() -> Response[Any]:
    return Response(status_code=204, body="", headers={"Cache-Control": "max-age=86400"})


@router.get(
    "/openapi.json",
    summary="Get the OpenAPI document",
    tags=["service"],
    operation_id="openapi",
    openapi_extensions={"security": []},
    responses={200: {"description": "OpenAPI 3.1.", "content": {JSON: {"schema": {"type": "object"}}}}},
)
def get_openapi() -> Response[Any]:
    return Response(status_code=200, content_type=JSON, body=openapi_document())


@cache
def openapi_document() -> str:
    """OpenAPI 3.1 of every route and both kinds of events, as JSON."""
    from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer  # 90 ms, and few requests need it

    text = cast(APIGatewayHttpResolver, router.api_resolver).get_openapi_json_schema(
        title="Redial",
        version=__version__,
        description="Outbound phone calls with automatic retry.",
        security_schemes={
            "apiKey": HTTPBearer(description="An API key of your account; with `make run`: local-dev-key.")
        },
        security=[{"apiKey": []}],
    )
    document = json.loads(text)
    for operations in document["paths"].values():
        for operation in operations.values():
            _tidy(operation)
    document["webhooks"], schemas = webhooks.documented_events()
    document["components"]["schemas"] = schemas | document["components"]["schemas"]
    _describe_defaults(document)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _tidy(operation: dict[str, Any]) -> None:
    """Remove null from the types of optional parameters: a parameter without a value is left out."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if {"type": "null"} in schema.get("anyOf", ()):
            (value,) = (one for one in schema.pop("anyOf") if one != {"type": "null"})
            schema.update(value)


def _describe_defaults(document: dict[str, Any]) -> None:
    """Move the defaults of requests into descriptions, also in schemas that responses share. Generated clients would
    otherwise send the default of a missing property, which a PATCH must not do (openapi-python-client), or require the
    property (openapi-typescript)."""
    schemas = document["components"]["schemas"]
    bodies = [operation.get("requestBody") for path in document["paths"].values() for operation in path.values()]
    for schema in (*bodies, *(schemas[name] for name in _reached(bodies, schemas))):
        for one in _objects(schema):
            default = one.pop("default", None)
            if default not in (None, []) and not isinstance(default, dict):
                text = f"Default: {json.dumps(default)}."
                one["description"] = f"{one['description']} {text}" if "description" in one else text


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value, outermost first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _reached(value: Any, schemas: dict[str, Any]) -> set[str]:
    """The names of the schemas that `value` refers to, directly or through others."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        names = {one["$ref"].rpartition("/")[2] for one in _objects(waiting.pop()) if "$ref" in one} - found
        found |= names
        waiting += [schemas[name] for name in names]
    return found


@router.get(
    "/llms.txt",
    summary="Describe this API as plain text",
    description="Markdown, with links to the documentation in plain Markdown; see llmstxt.org.",
    tags=["service"],
    operation_id="llms_text",
    openapi_extensions={"security": []},
    responses={200: {"description": "Markdown.", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_llms_text() -> Response[Any]:
    from redial.api.llms import llms_text

    return Response(status_code=200, content_type="text/plain; charset=utf-8", body=llms_text())


@router.get(
    "/docs",
    summary="Show this documentation as an HTML page",
    tags=["service"],
    operation_id="docs",
    compress=True,
    openapi_extensions={"security": []},
    responses={
        200: {
            "description": "HTML; with `format=json` the OpenAPI document.",
            "content": {"text/html": {"schema": {"type": "string"}}, JSON: {"schema": {"type": "object"}}},
        }
    },
)
def get_docs() -> Response[Any]:
    if (router.current_event.query_string_parameters or {}).get("format") == "json":  # the page's link to its document
        return get_openapi()
    return Response(status_code=200, content_type="text/html", body=_docs())


@cache
def _docs() -> str:
    """Swagger UI with its script and style sheet inline, so that the page loads nothing from other servers."""
    from aws_lambda_powertools.event_handler.openapi import swagger_ui

    assets = Path(swagger_ui.__file__).parent
    script, style = ((assets / name).read_text() for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css"))
    return swagger_ui.generate_swagger_html(openapi_document().replace("</", "<\\/"), script, style, "", None)
