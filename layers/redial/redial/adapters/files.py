"""Files of batches in an S3 bucket: uploads, contacts, rejected rows, results.

    uploads/<account>/<upload>.csv            uploaded by the customer with a pre-signed URL; expires after 7 days
    batches/<account>/<batch>/<name>.csv      contacts, rejected, results; deleted with the batch
    batches/<account>/<batch>/numbers.index   its contact index, see `wire.stored_contact_index`; deleted with the batch

A file is first written to local disk and then stored in one request, so readers never see a partial file.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from redial.ports import CSV_TYPE

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PIECE_BYTES = 256 * 1024


class S3Files:
    """Implements `ports.Files`. `signer`: a client whose pre-signed URLs customers can reach."""

    def __init__(self, client: "S3Client", bucket: str, signer: "Callable[[], S3Client] | None" = None) -> None:
        self._client = client
        self._bucket = bucket
        self._signer = signer

    def read(self, key: str) -> Iterator[bytes]:
        body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
        with body:
            while piece := body.read(PIECE_BYTES):
                yield piece

    def size(self, key: str) -> int | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                return None
            raise

    def put(self, key: str, content: bytes, content_type: str = CSV_TYPE) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)

    def copy(self, source: str, key: str) -> None:
        self._client.copy_object(Bucket=self._bucket, Key=key, CopySource={"Bucket": self._bucket, "Key": source})

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)

    @contextmanager
    def writing(self, key: str) -> Iterator[Callable[[str], object]]:
        with tempfile.TemporaryFile() as file:
            yield lambda text: file.write(text.encode())
            file.seek(0)
            self._client.put_object(Bucket=self._bucket, Key=key, Body=file, ContentType=CSV_TYPE)

    def upload_url(self, key: str, seconds: int, size: int) -> str:
        return self._url("put_object", key, seconds, ContentLength=size)

    def download_url(self, key: str, seconds: int) -> str:
        return self._url("get_object", key, seconds)

    def _url(self, operation: str, key: str, seconds: int, **signed: Any) -> str:
        if self._signer is None:
            raise ValueError("this function signs no addresses")
        return self._signer().generate_presigned_url(
            operation, Params={"Bucket": self._bucket, "Key": key, **signed}, ExpiresIn=seconds
        )
