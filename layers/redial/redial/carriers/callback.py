"""Callback URLs of all carriers: `/callbacks/<carrier>/<execution id>/<attempt>[/<kind>]`."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from redial.carriers import CARRIERS
from redial.ports import Callback, UnreadableCallback

FOLDER = "/callbacks/"
_PATH = re.compile(
    FOLDER + r"(?P<carrier>[a-z0-9]+)/(?P<execution_id>[0-9a-f-]{36})/(?P<attempt>[1-9][0-9]?)(?:/(?P<kind>[a-z]+))?\Z"
)


def callback_url(public_url: str, carrier: str, execution_id: str, attempt: int) -> str:
    """The URL to which the carrier reports on one attempt. Its other kinds of callbacks have paths below it."""
    return f"{public_url.rstrip('/')}{FOLDER}{carrier}/{execution_id}/{attempt}"


def read_callback(event: Mapping[str, Any], public_url: str) -> Callback | None:
    """The callback in an HTTP API event (payload 2.0); None if its path belongs to no carrier.

    Raises `UnreadableCallback` if the body is declared as base64 but is not.
    """
    path = _PATH.search(str(event.get("rawPath") or ""))
    if path is None or path["carrier"] not in CARRIERS:
        return None
    body = str(event.get("body") or "")
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError) as error:
        raise UnreadableCallback("the body is not base64") from error
    return Callback(
        carrier=path["carrier"],
        execution_id=path["execution_id"],
        attempt=int(path["attempt"]),
        kind=path["kind"] or "",
        urls=callback_urls(event, public_url),
        headers={name.lower(): value for name, value in event["headers"].items()},
        body=content,
    )


def callback_urls(event: Mapping[str, Any], public_url: str) -> tuple[str, ...]:
    """Every URL that the request of this HTTP API event may have been sent to.

    `public_url`, if configured, is the base URL that the carrier was given; it replaces whatever precedes our path in
    `rawPath`. The event's own domain is included too, so that the setting can be changed while calls are live.
    `rawPath` begins with the stage unless that is `$default`. Behind a custom domain with a mapping key, it begins with
    the stage or the key (reports differ): configure `public_url` there. Nothing in our paths needs percent-encoding, so
    it makes no difference whether `rawPath` was decoded.
    """
    path = str(event.get("rawPath") or "/")
    query = str(event.get("rawQueryString") or "")
    tail = "?" + query if query else ""
    context = event.get("requestContext") or {}
    urls = []
    if public_url:
        _, found, below = path.partition(FOLDER)
        urls.append(
            f"{public_url.rstrip('/')}{found}{below}{tail}" if found else f"{public_url.rstrip('/')}{path}{tail}"
        )
    domain = context.get("domainName")
    if domain:
        urls.append(f"https://{domain}{path}{tail}")
        stage = f"/{context.get('stage')}/"
        if path.startswith(stage):
            urls.append(f"https://{domain}/{path.removeprefix(stage)}{tail}")
    return tuple(dict.fromkeys(urls))
