"""API Gateway HTTP API events for Lambda (payload format 2.0), and parsing of the answers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

HOST = "abc123def4.execute-api.us-east-1.amazonaws.com"


def event(
    method: str,
    path: str,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    base64_encoded: bool = False,
) -> dict[str, Any]:
    """An event; `query` is raw, as in the URL. The gateway lower-cases header names, decodes the query (`+` is a space)
    and joins repeated parameters with commas."""
    sent = {
        "accept": "*/*",
        "host": HOST,
        "user-agent": "python-requests/2.32.3",
        "x-amzn-trace-id": "Root=1-69773a10-5f1f2a7c3d0b4e6f8a9b0c1d",
        "x-forwarded-for": "198.51.100.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    result: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": sent,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": HOST.partition(".")[0],
            "domainName": HOST,
            "domainPrefix": HOST.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.7",
                "userAgent": "python-requests/2.32.3",
            },
            "requestId": "XbQ3ZhR9IAMEPkQ=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "26/Jan/2026:10:00:00 +0000",
            "timeEpoch": 1769421600000,
        },
        "isBase64Encoded": base64_encoded,
    }
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    if parameters:
        result["queryStringParameters"] = parameters
    if body is not None:
        sent["content-length"] = str(len(body))
        result["body"] = base64.b64encode(body).decode() if base64_encoded else body.decode("utf-8", "surrogateescape")
    return result


@dataclass(frozen=True)
class Answer:
    """A function's answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def answer(result: dict[str, Any]) -> Answer:
    """Parse a Lambda answer, and assert the format's rules."""
    assert set(result) <= {"statusCode", "headers", "body", "isBase64Encoded", "cookies"}
    assert isinstance(result["statusCode"], int)
    assert all(isinstance(value, str) for value in result["headers"].values())
    json.dumps(result)
    text = result["body"]
    if result["isBase64Encoded"]:
        text = base64.b64decode(text).decode("latin-1")
    return Answer(result["statusCode"], {name.lower(): value for name, value in result["headers"].items()}, text)


class Context:
    """The part of Lambda's context that the functions use."""

    function_name = "redial-api"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:redial-api:live"
    aws_request_id = "7c9bd1f0-3e5a-4b62-9d18-2f6a0e4c8b71"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000
