"""The console: static files that only use the public API. Requests contain the viewer's API key.

The files' paths contain a digest of all files, so that browsers can cache them forever and never mix two versions. The
page's Content-Security-Policy allows only the console's own files and requests to this API.

The console's own JavaScript is one script in parts: `console.js` is the files named in `PARTS`, joined without their
comments. A visit therefore takes five requests, and every part can use the top-level names of all others.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aws_lambda_powertools.event_handler import Response

from redial.api.answers import new_router, services
from redial.domain.errors import NotFound

PATH = "/console"

router = new_router()

FOLDER = Path(__file__).with_name("static")
SCRIPT = "console.js"
_STYLE = "console.css"
PARTS = (
    *("lib.js", "rulefields.js", "ui.js", "charts.js"),
    *("learn.js", "now.js", "executions.js", "batches.js", "webhooks.js"),
    *("plan.js", "numbers.js", "agents.js", "rules.js", "keys.js", "app.js"),
)
"""In order: shared code, the screens (similar ones together, which compresses best), the frame."""
_COMMENT = re.compile(r"^ *(?://[^\n]*|/\*(?:(?!\*/).)*\*/)\n", re.MULTILINE | re.DOTALL)
"""A comment that has its lines to itself."""
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PAGE = "index.html"
_HEADERS: dict[str, str | list[str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@cache
def files() -> tuple[str, MappingProxyType[str, str]]:
    """The digest of all files, and their served texts by name."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(FOLDER.iterdir())}
    texts[SCRIPT] = "".join(f"// {name}\n{_COMMENT.sub('', texts.pop(name))}" for name in PARTS)
    texts[_STYLE] = _COMMENT.sub("", texts[_STYLE])
    digest = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in texts.items()).encode()).hexdigest()[:16]
    return digest, MappingProxyType(texts)


@router.get(PATH, compress=True, include_in_schema=False, operation_id="console")
def get_console() -> Response[Any]:
    _check_switched_on()
    digest, texts = files()
    headers = {**_HEADERS, "Cache-Control": "no-cache"}
    page = texts[_PAGE].replace("{digest}", digest)
    return Response(status_code=200, content_type="text/html; charset=utf-8", body=page, headers=headers)


@router.get(f"{PATH}/<version>/<name>", compress=True, include_in_schema=False, operation_id="console_file")
def get_console_file(version: str, name: str) -> Response[Any]:
    _check_switched_on()
    current, texts = files()
    kind = _TYPES.get(Path(name).suffix)
    if version != current or kind is None or name not in texts:
        raise NotFound("there is no such file of the console; reload the page")
    headers = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(status_code=200, content_type=f"{kind}; charset=utf-8", body=texts[name], headers=headers)


def _check_switched_on() -> None:
    if not services().console:
        raise NotFound("this stack has no console (template parameter Console)")
