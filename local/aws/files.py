"""S3's pre-signed URLs on one machine: PUT and GET of one object.

URLs are path-style, `http://127.0.0.1:<port>/<bucket>/<key>?X-Amz-…`. Other requests are refused with S3's errors.
Signatures are verified here, in simulated time; the objects are in moto's S3.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from moto.s3.models import s3_backends

from local.aws.functions import ACCOUNT_ID
from local.clock import Timeline
from local.web.server import HttpServer, Request, Response

MAX_BODY_BYTES = 600 * 1024 * 1024
LONGEST_SECONDS = 7 * 24 * 3600
"""The maximum lifetime of a URL."""
TOLERANCE = timedelta(minutes=15)
"""How far in the future the signature's time may be."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_PARAMETERS = {f"X-Amz-{name}" for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")}
_ANSWER_HEADERS = {
    f"response-{name}": name
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
}
"""Parameters of a GET that set headers of the response."""


class S3Error(Exception):
    """A refused request, with S3's error code and an HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def response(self, path: str) -> Response:
        content = f"<Code>{self.code}</Code><Message>{escape(str(self))}</Message><Resource>{escape(path)}</Resource>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{content}<RequestId>LOCAL</RequestId></Error>'
        return Response(self.status, body.encode(), [("content-type", "application/xml")])


@dataclass(frozen=True)
class Credentials:
    """The credentials whose signatures are valid."""

    key_id: str
    secret: str
    region: str


class Files:
    """The server of moto's S3 objects. `lock` guards moto."""

    def __init__(self, timeline: Timeline, lock: RLock, credentials: Credentials) -> None:
        self._timeline = timeline
        self._lock = lock
        self._credentials = credentials

    def serve(self, server: HttpServer) -> None:
        """Answer the requests of `server` from now on."""
        server.max_body_bytes = MAX_BODY_BYTES
        too_large = S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        server.too_large = too_large.response("/")
        server.start(self.respond)

    def respond(self, request: Request) -> Response:
        try:
            self._verify(request)
            bucket_name, _, key = request.path.lstrip("/").partition("/")
            with self._lock:
                bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(bucket_name)
                if bucket is None:
                    raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
                return (
                    self._put(bucket_name, key, request) if request.method == "PUT" else self._get(bucket, key, request)
                )
        except S3Error as error:
            return error.response(request.path)

    def _put(self, bucket_name: str, key: str, request: Request) -> Response:
        stored: Any = s3_backends[ACCOUNT_ID]["aws"].put_object(bucket_name, key, request.body)
        content_type = request.header("content-type")
        if content_type is not None:
            stored.set_metadata({"Content-Type": content_type})
        return Response(200, b"", [("etag", stored.etag)])

    def _get(self, bucket: Any, key: str, request: Request) -> Response:
        stored: Any = bucket.keys.get(key)
        if stored is None or not hasattr(stored, "value"):
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
        headers = {"content-type": str(stored.metadata.get("content-type", "binary/octet-stream")), "etag": stored.etag}
        for name, value in parse_qsl(request.query):
            if name in _ANSWER_HEADERS:
                headers[_ANSWER_HEADERS[name]] = value
        return Response(200, stored.value, list(headers.items()))

    def _verify(self, request: Request) -> None:
        """Raises `S3Error` unless the request has a valid signature that has not expired."""
        asked = parse_qsl(request.query, keep_blank_values=True)
        given = dict(asked)
        key = request.path.lstrip("/").partition("/")[2]
        if request.method not in ("PUT", "GET") or not key:
            raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        if not given.keys() >= _PARAMETERS:
            raise S3Error(403, "AccessDenied", "Access Denied")
        if request.header("authorization") is not None:
            raise S3Error(400, "InvalidArgument", "Only one auth mechanism allowed")
        if len(given) < len(asked) or given["X-Amz-Algorithm"] != _ALGORITHM:
            raise _malformed("X-Amz-Algorithm only supports AWS4-HMAC-SHA256, and each parameter may be given once")
        known = _PARAMETERS | {"x-id"} | (_ANSWER_HEADERS.keys() if request.method == "GET" else set())
        if unknown := given.keys() - known:
            message = f"A parameter implies functionality that is not implemented: {', '.join(sorted(unknown))}"
            raise S3Error(501, "NotImplemented", message)
        scope = f"{given['X-Amz-Date'][:8]}/{self._credentials.region}/s3/aws4_request"
        key_id, _, claimed = given["X-Amz-Credential"].partition("/")
        if key_id != self._credentials.key_id:
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise S3Error(403, "InvalidAccessKeyId", message)
        if claimed != scope:
            raise _malformed(f"Error parsing the X-Amz-Credential parameter; it must end with {scope}")
        self._check_time(given)
        signature = hmac.new(self._signing_key(scope), self._text(request, asked, scope), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature.encode(), given["X-Amz-Signature"].encode()):
            message = (
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method."
            )
            raise S3Error(403, "SignatureDoesNotMatch", message)
        signed = given["X-Amz-SignedHeaders"].split(";")
        unsigned = [name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")]
        if "host" not in signed or not set(unsigned) <= set(signed):
            raise S3Error(403, "AccessDenied", "There were headers present in the request which were not signed")

    def _check_time(self, given: dict[str, str]) -> None:
        try:
            signed_at = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            seconds = int(given["X-Amz-Expires"])
        except ValueError:
            raise _malformed("X-Amz-Date or X-Amz-Expires is malformed") from None
        if seconds < 0:
            raise _malformed("X-Amz-Expires must be non-negative")
        if seconds > LONGEST_SECONDS:
            raise _malformed(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                f"than {LONGEST_SECONDS} seconds"
            )
        now = self._timeline.now()
        if now > signed_at + timedelta(seconds=seconds):
            raise S3Error(403, "AccessDenied", "Request has expired")
        if signed_at > now + TOLERANCE:
            raise S3Error(403, "AccessDenied", "Request is not yet valid")

    def _text(self, request: Request, asked: list[tuple[str, str]], scope: str) -> bytes:
        """The string to sign."""
        date = dict(asked)["X-Amz-Date"]
        signed = dict(asked)["X-Amz-SignedHeaders"]
        headers = "".join(f"{name}:{' '.join((request.header(name) or '').split())}\n" for name in signed.split(";"))
        query = sorted((quote(name, safe=_SAFE), quote(value, safe=_SAFE)) for name, value in asked)
        canonical_query = "&".join(f"{name}={value}" for name, value in query if name != "X-Amz-Signature")
        path = quote(request.path, safe=f"/{_SAFE}")
        lines = (request.method, path, canonical_query, headers, signed, "UNSIGNED-PAYLOAD")
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return f"{_ALGORITHM}\n{date}\n{scope}\n{digest}".encode()

    def _signing_key(self, scope: str) -> bytes:
        key = f"AWS4{self._credentials.secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key


_SAFE = "-_.~"


def _malformed(message: str) -> S3Error:
    return S3Error(400, "AuthorizationQueryParametersError", message)
