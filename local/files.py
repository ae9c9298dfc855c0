"""What S3 is to pre-signed addresses, on one machine: PUT and GET of one object, for whoever has an address that is
good.

Path style, `http://127.0.0.1:<port>/<bucket>/<key>?X-Amz-…`. Everything else is refused, in S3's words. The signature
is verified by code of this file's own, against the simulated clock:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from local.clock import Timeline
from local.http_server import Request, Response

MAX_BODY_BYTES = 600 * 1024 * 1024
LONGEST_SECONDS = 7 * 24 * 3600
"""How long an address may be good for, at most."""
_ALGORITHM = "AWS4-HMAC-SHA256"


class S3Error(Exception):
    """A request refused with S3's error code and an HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self) -> Response:
        body = f"<Error><Code>{self.code}</Code><Message>{escape(str(self))}</Message></Error>"
        return Response(self.status, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode(), _XML)


_XML = [("content-type", "application/xml")]


class Files:
    """The objects of one emulated S3. `client` makes an S3 client of this machine's own; `keys` are the credentials."""

    def __init__(self, timeline: Timeline, client: Callable[[], Any], keys: tuple[str, str], region: str) -> None:
        self._timeline = timeline
        self._client = client
        self._key_id, self._secret = keys
        self._region = region

    def respond(self, request: Request) -> Response:
        try:
            self._verify(request)
            bucket, _, key = request.path.lstrip("/").partition("/")
            if not bucket or not key:
                raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
            client = self._client()
            if request.method == "PUT":
                answer = client.put_object(Bucket=bucket, Key=key, Body=request.body)
                return Response(200, b"", [("etag", answer["ETag"])])
            found = client.get_object(Bucket=bucket, Key=key)
            return Response(200, found["Body"].read(), [("content-type", found["ContentType"])])
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return S3Error(status, code, str(error.response["Error"].get("Message"))).response()
        except S3Error as error:
            return error.response()

    def _verify(self, request: Request) -> None:
        if request.method not in ("PUT", "GET"):
            raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        asked = dict(parse_qsl(request.query, keep_blank_values=True))
        missing = _PARAMETERS - asked.keys()
        if missing or asked["X-Amz-Algorithm"] != _ALGORITHM:
            raise S3Error(403, "AccessDenied", "Access Denied")
        scope = f"{asked['X-Amz-Date'][:8]}/{self._region}/s3/aws4_request"
        if asked["X-Amz-Credential"] != f"{self._key_id}/{scope}":
            raise S3Error(
                403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
            )
        self._check_time(asked)
        signature = hmac.new(self._signing_key(scope), self._text(request, asked, scope), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), asked["X-Amz-Signature"].encode()):
            message = "The request signature we calculated does not match the signature you provided."
            raise S3Error(403, "SignatureDoesNotMatch", message)

    def _check_time(self, asked: dict[str, str]) -> None:
        try:
            signed_at = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            seconds = int(asked["X-Amz-Expires"])
        except ValueError as error:
            raise S3Error(
                400, "AuthorizationQueryParametersError", "X-Amz-Date or X-Amz-Expires is malformed"
            ) from error
        if not 1 <= seconds <= LONGEST_SECONDS:
            message = "X-Amz-Expires must be less than a week (in seconds) and at least 1"
            raise S3Error(400, "AuthorizationQueryParametersError", message)
        now = self._timeline.now()
        if now > signed_at + timedelta(seconds=seconds):
            raise S3Error(403, "AccessDenied", "Request has expired")
        if signed_at > now + timedelta(minutes=15):
            raise S3Error(403, "AccessDenied", "Request is not yet valid")

    def _text(self, request: Request, asked: dict[str, str], scope: str) -> bytes:
        """What was signed."""
        names = asked["X-Amz-SignedHeaders"].split(";")
        headers = "".join(f"{name}:{' '.join((request.header(name) or '').split())}\n" for name in names)
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted(asked.items())
            if name != "X-Amz-Signature"
        )
        path = quote(unquote(request.path), safe="/-_.~")
        lines = (request.method, path, query, headers, asked["X-Amz-SignedHeaders"], "UNSIGNED-PAYLOAD")
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return f"{_ALGORITHM}\n{asked['X-Amz-Date']}\n{scope}\n{digest}".encode()

    def _signing_key(self, scope: str) -> bytes:
        key = f"AWS4{self._secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


_PARAMETERS = {
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}
