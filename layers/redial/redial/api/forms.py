"""Form bodies: `multipart/form-data` and `application/x-www-form-urlencoded`, parsed to names and values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

from redial.domain.errors import InvalidInput

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
"""Maximum number of fields and files in a form: enough for a hundred caller ids and all other fields."""


@dataclass(frozen=True)
class Form:
    """`values`: each field's texts, in the order sent; `files`: name → (file name, content)."""

    values: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def read_form(content_type: str, body: bytes) -> Form:
    """Parse a form. Raises `InvalidInput` if it is malformed or truncated, or contains text that is not UTF-8."""
    if content_type.partition(";")[0].strip().lower() == URLENCODED:
        return _urlencoded(body)
    return _multipart(content_type, body)


@dataclass
class _Part:
    """A part of a multipart form during parsing. `file_name`: None for a field."""

    name: str
    file_name: str | None
    content: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        self.content += data


def _multipart(content_type: str, body: bytes) -> Form:
    from python_multipart.decoders import Base64Decoder, QuotedPrintableDecoder  # few requests are forms
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    if not content_type.isascii():
        raise InvalidInput.of("Content-Type", "must be ASCII")
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if boundary is None:
        raise InvalidInput("the body is not a valid form: Content-Type has no boundary")
    form = Form()
    count = 0
    ended = False
    header_name, header_value = bytearray(), bytearray()
    headers: dict[bytes, bytes] = {}
    part = _Part("", None)
    writer: _Part | Base64Decoder | QuotedPrintableDecoder = part

    def on_header_field(data: bytes, start: int, end: int) -> None:
        header_name.extend(data[start:end])

    def on_header_value(data: bytes, start: int, end: int) -> None:
        header_value.extend(data[start:end])

    def on_header_end() -> None:
        headers[bytes(header_name).lower()] = bytes(header_value).strip(b" \t")
        header_name.clear()
        header_value.clear()

    def on_headers_finished() -> None:
        nonlocal part, writer
        disposition = headers.get(b"content-disposition", b"")
        options = parse_options_header(disposition)[1]
        if b"name" not in options:
            raise InvalidInput("the body is not a valid form: a part has no name in Content-Disposition")
        file_name = _extended_file_name(disposition)
        if file_name is None and b"filename" in options:
            file_name = _text(options[b"filename"])
        part = _Part(_text(options[b"name"]), file_name)
        match headers.get(b"content-transfer-encoding", b"").lower():
            case b"base64":
                writer = Base64Decoder(part)
            case b"quoted-printable":
                writer = QuotedPrintableDecoder(part)
            case _:
                writer = part
        headers.clear()

    def on_part_data(data: bytes, start: int, end: int) -> None:
        writer.write(data[start:end])

    def on_part_end() -> None:
        nonlocal count
        if not isinstance(writer, _Part):
            writer.finalize()
        count += 1
        if count > MAX_FIELDS:
            raise InvalidInput(f"a form may have {MAX_FIELDS} fields")
        if part.file_name is None:
            form.values.setdefault(part.name, []).append(_text(bytes(part.content)))
        elif part.name in form.files:
            raise InvalidInput.of(part.name, "was sent more than once")
        else:
            form.files[part.name] = (part.file_name, bytes(part.content))

    def on_end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_header_field": on_header_field,
                "on_header_value": on_header_value,
                "on_header_end": on_header_end,
                "on_headers_finished": on_headers_finished,
                "on_part_data": on_part_data,
                "on_part_end": on_part_end,
                "on_end": on_end,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput(f"the body is not a valid form: {error}") from error
    if not ended and body:
        raise InvalidInput("the body is a form that is cut off: it has no closing boundary")
    return form


def _extended_file_name(disposition: bytes) -> str | None:
    """The file name of `filename*=utf-8''%D0%BA.csv` (RFC 5987), which takes precedence over `filename` (RFC 6266).
    None if there is none. Raises `InvalidInput` for a charset other than UTF-8 and ISO-8859-1."""
    if b"*" not in disposition:
        return None
    header = Message()
    header["Content-Disposition"] = disposition.decode("latin-1")
    parameters: Sequence[tuple[str, Any]] = header.get_params([], header="Content-Disposition")
    for name, value in parameters:  # an extended one is a tuple (charset, language, text)
        if name.lower() == "filename" and isinstance(value, tuple):
            charset, _, decoded = value
            if (charset or "utf-8").lower() not in ("utf-8", "iso-8859-1"):
                raise InvalidInput("a file name of the form (filename*) is neither UTF-8 nor ISO-8859-1")
            return _text(decoded.encode("latin-1"), charset or "utf-8")
    return None


def _urlencoded(body: bytes) -> Form:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"the body is not a valid form of at most {MAX_FIELDS} fields: {error}") from error
    form = Form()
    for name, value in pairs:
        form.values.setdefault(name, []).append(value)
    return form


def _text(value: bytes, charset: str = "utf-8") -> str:
    try:
        return value.decode(charset)
    except UnicodeDecodeError as error:
        raise InvalidInput("a field of the form is not UTF-8 text") from error
