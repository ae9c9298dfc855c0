"""Multipart forms."""

from collections.abc import Sequence

BOUNDARY = "----redial-test-boundary-7f2c"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def multipart(
    fields: Sequence[tuple[str, str]], file: bytes | str | None = None, file_name: str = "contacts.csv"
) -> bytes:
    """The body of a multipart form, as curl writes it: each field with its value, then the file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    if file is not None:
        content = file.encode() if isinstance(file, str) else file
        head = f'Content-Disposition: form-data; name="file"; filename="{file_name}"\r\nContent-Type: text/csv\r\n\r\n'
        parts.append(f"--{BOUNDARY}\r\n{head}".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
