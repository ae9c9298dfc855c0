"""HTTP requests to the API: authentication, retries and errors. Used by `redial_client.client`."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from redial_client import __version__
from redial_client.errors import Unreachable, error_of

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""The longest Retry-After that is waited for. For a longer one, the error is raised at once."""
_SAFE = frozenset({"GET", "HEAD"})

Query = Mapping[str, str | int | float | bool | None]


@dataclass
class Transport:
    """Requests to `base_url` with `api_key`.

    After a 429, every request is retried, because it was not processed. After a connection error, 500, 502, 503 or 504,
    only GETs and requests with an Idempotency-Key are retried: others may have had their effect. A request is sent
    `tries` times at most. The wait before each retry doubles from half a second, with jitter; Retry-After is honoured.
    """

    base_url: str
    api_key: str
    timeout: float = 30.0
    tries: int = 4
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        self.session = requests.Session()
        self.session.headers["User-Agent"] = f"redial-client/{__version__}"

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and return its 2xx response. Raises `ApiError` and `Unreachable`."""
        url = f"{self.base_url}{path}"
        sent = {"Authorization": f"Bearer {self.api_key}", **(headers or {})}
        if idempotency_key is not None:
            sent["Idempotency-Key"] = idempotency_key
        repeatable = method in _SAFE or idempotency_key is not None
        parameters = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        for number in range(1, self.tries + 1):
            last = number == self.tries
            try:
                answer = self.session.request(
                    method,
                    url,
                    params=parameters,
                    json=json,
                    data=form,
                    files=files,
                    headers=sent,
                    timeout=self.timeout,
                )
            except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
                raise Unreachable(f"{self.base_url} is not a URL: it begins with https:// or http://") from error
            except requests.RequestException as error:
                if last or not repeatable:
                    raise Unreachable(f"{self.base_url} did not answer: {_reason(error)}") from error
                self.sleep(_wait(number))
                continue
            if answer.ok:
                return answer
            wait = _retry_after(answer) or _wait(number)
            again = answer.status_code == 429 or (repeatable and answer.status_code in (500, 502, 503, 504))
            if last or not again or wait > LONGEST_RETRY_AFTER_SECONDS:
                raise error_of(answer.status_code, _json(answer))
            answer.close()
            self.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def json(self, method: str, path: str, **request: Any) -> Any:
        """Send a request and return the parsed response, None without a body. Raises `ApiError` and `Unreachable`."""
        answer = self.send(method, path, **request)
        return answer.json() if answer.content else None

    def rows(self, path: str, query: Query | None = None) -> Iterator[Any]:
        """The rows of a listing, fetched in parts as they are used. They are a bare array, or `data` of a page."""
        answer = self.send("GET", path, query=query)
        while True:
            content = answer.json()
            yield from content if isinstance(content, list) else content["data"]
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            answer = self.send("GET", following)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _wait(number: int) -> float:
    """Seconds before the try after `number`, with jitter."""
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** (number - 1), LONGEST_WAIT_SECONDS)
    return longest * random.uniform(0.5, 1.0)


def _retry_after(answer: requests.Response) -> float | None:
    """The seconds of Retry-After, which is a number or a date; None if it is missing or invalid."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _reason(error: requests.RequestException) -> str:
    """The innermost cause in a few words, which is the most specific."""
    if isinstance(error, requests.exceptions.Timeout):
        return "it took too long"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return str(getattr(inner, "strerror", None) or inner)
