"""The local S3: pre-signed URLs signed by botocore, and objects as the functions use them."""

import io
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws.files import MAX_BODY_BYTES
from local.web.server import HttpServer
from tests.support.local_stack import Answer, LocalClient, local_stack, request

KEY = "uploads/an account/ü 100%41+~.csv"
CSV = b"phone\n+12025550123\n" * 1000


@pytest.fixture
def client() -> Iterator[LocalClient]:
    with local_stack(first_agent=False) as client:
        yield client


@pytest.fixture
def bucket(client: LocalClient) -> str:
    return client.stack.environment["FILES_BUCKET"]


@pytest.fixture
def s3(client: LocalClient) -> Any:
    """A client, as a function has it."""
    return boto3.client("s3")


def signed(client: LocalClient, operation: str = "put_object", seconds: int = 3600, **parameters: str) -> str:
    """A URL signed as the api function signs it."""
    endpoint = client.stack.environment["UPLOADS_ENDPOINT"]
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    signer = boto3.client("s3", endpoint_url=endpoint or None, config=config)
    wanted = {"Bucket": client.stack.environment["FILES_BUCKET"], "Key": KEY, **parameters}
    return str(signer.generate_presigned_url(operation, Params=wanted, ExpiresIn=seconds))


def changed(url: str, **parameters: str | None) -> str:
    """The URL with changed parameters; None removes a parameter."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **parameters}
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urlencode(kept, quote_via=quote)).geturl()


def said(answer: Answer) -> tuple[int, str]:
    """The status and S3's error code."""
    assert answer.headers["content-type"] == "application/xml"
    return answer.status, answer.body.decode().partition("<Code>")[2].partition("</Code>")[0]


DENIED, WRONG = (403, "AccessDenied"), (403, "SignatureDoesNotMatch")


def test_a_file_is_put_and_got_with_pre_signed_urls(client: LocalClient, bucket: str, s3: Any) -> None:
    url = signed(client)
    assert url.startswith(f"{client.stack.files_url}/{bucket}/uploads/an%20account/")
    put = request("PUT", url, CSV, {"Content-Type": "text/csv"})
    assert (put.status, put.body) == (200, b"")
    got = request("GET", signed(client, "get_object"))
    assert (got.status, got.body, got.headers["content-type"]) == (200, CSV, "text/csv")
    assert got.headers["etag"] == put.headers["etag"]
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == CSV, "a function finds it"
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"other")
    assert request("GET", signed(client, "get_object")).body == b"other", "and a client gets what a function stores"


def test_the_functions_know_the_endpoint_and_the_bucket_exists(client: LocalClient, bucket: str) -> None:
    (api,) = (one for one in client.stack._definitions if one.module == "functions.api.handler")
    assert api.environment["UPLOADS_ENDPOINT"] == client.stack.files_url
    assert client.stack.template.buckets() == [bucket]
    assert request("GET", f"{client.stack.url}/health").status == 200


def test_a_changed_request_is_refused(client: LocalClient, bucket: str) -> None:
    put, get = signed(client), signed(client, "get_object")
    assert said(request("PUT", get, CSV)) == WRONG, "signed for another method"
    assert said(request("GET", put)) == WRONG
    assert said(request("PUT", put.replace("uploads/", "batches/"), CSV)) == WRONG
    assert said(request("PUT", put.replace(f"/{bucket}/", "/another/"), CSV)) == WRONG
    assert said(request("PUT", changed(put, **{"X-Amz-Expires": "7200"}), CSV)) == WRONG
    assert said(request("PUT", changed(put, **{"X-Amz-Date": "20260126T110000Z"}), CSV)) == WRONG
    assert said(request("PUT", changed(put, **{"x-id": "PutObject"}), CSV)) == WRONG
    assert said(request("PUT", changed(put, **{"X-Amz-Signature": "0" * 64}), CSV)) == WRONG
    assert said(request("PUT", changed(put, **{"X-Amz-Signature": "ü"}), CSV)) == WRONG
    assert said(request("GET", f"{get}&response-content-type=text/html")) == WRONG
    assert said(request("PUT", put.replace("127.0.0.1", "localhost"), CSV)) == WRONG, "for another host"
    parts = urlsplit(put)
    assert said(request("PUT", f"{parts._replace(query='').geturl()}", CSV)) == DENIED, "not signed at all"
    for name in dict(parse_qsl(parts.query)):
        assert said(request("PUT", changed(put, **{name: None}), CSV)) == DENIED
    assert said(request("PUT", f"{put}&X-Amz-Expires=3600", CSV)) == (400, "AuthorizationQueryParametersError")
    assert said(request("PUT", put, CSV, {"x-amz-acl": "public-read"})) == DENIED
    both = {"Authorization": "AWS4-HMAC-SHA256 Credential=local"}
    assert said(request("PUT", put, CSV, both)) == (400, "InvalidArgument")


def test_another_key_or_place_is_refused(client: LocalClient) -> None:
    url = signed(client)
    for credential, expected in (
        ("another/20260126/us-east-1/s3/aws4_request", (403, "InvalidAccessKeyId")),
        ("local/20260125/us-east-1/s3/aws4_request", (400, "AuthorizationQueryParametersError")),
        ("local/20260126/eu-west-1/s3/aws4_request", (400, "AuthorizationQueryParametersError")),
        ("local/20260126/us-east-1/sqs/aws4_request", (400, "AuthorizationQueryParametersError")),
    ):
        assert said(request("PUT", changed(url, **{"X-Amz-Credential": credential}), CSV)) == expected
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    session = boto3.session.Session(aws_access_key_id="local", aws_secret_access_key="wrong")
    signer = session.client("s3", endpoint_url=client.stack.files_url, config=config)
    wrong = signer.generate_presigned_url("put_object", Params={"Bucket": "b", "Key": "k"})
    assert said(request("PUT", wrong, CSV)) == WRONG


def test_a_url_expires_in_simulated_time(client: LocalClient) -> None:
    hour, week, longer = signed(client), signed(client, seconds=604_800), signed(client, seconds=604_801)
    assert "X-Amz-Date=20260126T120000Z" in hour
    client.advance(60)
    assert request("PUT", hour, CSV).status == 200
    client.advance(1 / 60)
    answer = request("PUT", hour, CSV)
    assert said(answer) == DENIED and b"Request has expired" in answer.body
    assert request("PUT", week, CSV).status == 200
    assert said(request("PUT", longer, CSV)) == (400, "AuthorizationQueryParametersError")
    client.advance(7 * 24 * 60)
    assert said(request("PUT", week, CSV)) == DENIED
    for expires in ("-1", "soon"):
        assert said(request("PUT", changed(week, **{"X-Amz-Expires": expires}), CSV))[0] == 400
    ahead = changed(week, **{"X-Amz-Date": "20270101T000000Z", "X-Amz-Credential": _credential("20270101")})
    assert said(request("PUT", ahead, CSV)) == DENIED


def _credential(day: str) -> str:
    return f"local/{day}/us-east-1/s3/aws4_request"


def test_signed_headers_must_be_sent_unchanged(client: LocalClient) -> None:
    url = signed(client, ContentType="text/csv")
    assert "content-type" in url
    assert request("PUT", url, CSV, {"Content-Type": "text/csv"}).status == 200
    assert said(request("PUT", url, CSV, {"Content-Type": "text/html"})) == WRONG
    assert said(request("PUT", url, CSV)) == WRONG
    length: Any = {"ContentLength": len(CSV)}
    url = signed(client, **length)
    assert "content-length" in url
    assert request("PUT", url, CSV).status == 200
    assert said(request("PUT", url, CSV + b"x")) == WRONG


def test_missing_objects_and_unsupported_operations(client: LocalClient, bucket: str) -> None:
    assert said(request("GET", signed(client, "get_object", Key="nothing"))) == (404, "NoSuchKey")
    assert said(request("GET", signed(client, "get_object", Bucket="nowhere"))) == (404, "NoSuchBucket")
    assert said(request("PUT", signed(client, Bucket="nowhere"), CSV)) == (404, "NoSuchBucket")
    for method in ("DELETE", "POST", "PATCH"):
        assert said(request(method, signed(client))) == (405, "MethodNotAllowed")
    assert request("HEAD", signed(client, "get_object")).status == 405
    assert said(request("GET", f"{client.stack.files_url}/{bucket}")) == (405, "MethodNotAllowed")
    assert said(request("GET", f"{client.stack.files_url}/")) == (405, "MethodNotAllowed")
    part: Any = {"UploadId": "u", "PartNumber": 1}
    assert said(request("PUT", signed(client, "upload_part", **part), CSV)) == (501, "NotImplemented")


def test_a_response_has_the_signed_content_type(client: LocalClient) -> None:
    request("PUT", signed(client), CSV)
    url = signed(
        client,
        "get_object",
        ResponseContentType="text/csv; charset=utf-8",
        ResponseContentDisposition='attachment; filename="results.csv"',
    )
    answer = request("GET", url)
    assert (answer.status, answer.body) == (200, CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="results.csv"'


def test_a_hundred_megabytes_are_stored_and_read(client: LocalClient, bucket: str, s3: Any) -> None:
    size = 100 * 1024 * 1024
    large = bytes(range(256)) * (size // 256)
    assert request("PUT", signed(client, Key="large"), large).status == 200
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == size
    read = 0
    with s3.get_object(Bucket=bucket, Key="large")["Body"] as body:
        while piece := body.read(256 * 1024):
            assert piece[:256] == large[:256]
            read += len(piece)
    assert read == size
    assert request("GET", signed(client, "get_object", Key="large")).body == large
    s3.delete_object(Bucket=bucket, Key="large")


def test_a_body_over_the_limit_is_refused_with_s3s_error(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    server = client.stack._files_server
    assert isinstance(server, HttpServer) and server.max_body_bytes == MAX_BODY_BYTES == 600 * 1024 * 1024
    monkeypatch.setattr(server, "max_body_bytes", 1000)
    assert said(request("PUT", signed(client), b"x" * 1001)) == (400, "EntityTooLarge")


def test_functions_store_and_read_objects_in_every_way(client: LocalClient, bucket: str, s3: Any) -> None:
    client.stack.aws.counts.clear()
    with tempfile.TemporaryFile() as file:
        file.write(CSV)
        file.seek(0)
        s3.put_object(Bucket=bucket, Key="file", Body=file, ContentType="text/csv; charset=utf-8")
    s3.put_object(Bucket=bucket, Key="memory", Body=io.BytesIO(CSV))
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "file"})
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["ContentLength"], head["ContentType"]) == (len(CSV), "text/csv; charset=utf-8")
    for key in ("file", "memory", "copy"):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == CSV
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    part = s3.get_object(Bucket=bucket, Key="file", Range="bytes=6-17")
    assert (part["Body"].read(), part["ContentLength"]) == (b"+12025550123", 12)
    assert (part["ContentRange"], part["ResponseMetadata"]["HTTPStatusCode"]) == (f"bytes 6-17/{len(CSV)}", 206)
    rest = s3.get_object(Bucket=bucket, Key="file", Range=f"bytes={len(CSV) - 3}-")
    assert rest["Body"].read() == CSV[-3:]
    assert list(s3.get_object(Bucket=bucket, Key="file")["Body"].iter_lines())[:2] == [b"phone", b"+12025550123"]
    chunks = list(s3.get_object(Bucket=bucket, Key="file")["Body"].iter_chunks(700))
    assert b"".join(chunks) == CSV and max(map(len, chunks)) == 700
    s3.delete_object(Bucket=bucket, Key="copy")
    s3.delete_object(Bucket=bucket, Key="copy")
    for ask in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as raised:
            ask(Bucket=bucket, Key="copy")
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    counted = client.stack.aws.requests()["s3"]
    assert (counted["PutObject"], counted["CopyObject"], counted["DeleteObject"]) == (3, 1, 2)


def test_functions_upload_in_parts(client: LocalClient, bucket: str, s3: Any) -> None:
    size = 5 * 1024 * 1024
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", ContentType="text/csv")["UploadId"]
    parts = []
    for number in (1, 2, 3):
        body = bytes([number]) * (size if number < 3 else 10)
        answer = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"ETag": answer["ETag"], "PartNumber": number})
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="parts")["Body"].read() == b"\1" * size + b"\2" * size + b"\3" * 10
    upload = s3.create_multipart_upload(Bucket=bucket, Key="given up")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="given up", UploadId=upload)
    s3.upload_fileobj(io.BytesIO(b"z" * 9_000_000), bucket, "managed")
    assert s3.head_object(Bucket=bucket, Key="managed")["ContentLength"] == 9_000_000
