"""Form bodies: `multipart/form-data` and `application/x-www-form-urlencoded`, parsed to names and values."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from redial.domain.errors import InvalidInput

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 200
"""Maximum fields and files of a form: enough for a hundred caller ids and all other fields."""


@dataclass(frozen=True)
class Form:
    """`values`: each field's texts, in the order sent; `files`: name → (file name, content)."""

    values: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


def read_form(content_type: str, body: bytes) -> Form:
    """Parse a form. Raises `InvalidInput` if it is malformed, truncated, or holds text that is not UTF-8."""
    if content_type.partition(";")[0].strip().lower() == URLENCODED:
        return _urlencoded(body)
    from python_multipart.exceptions import FormParserError  # few requests are forms
    from python_multipart.multipart import Field as FormField
    from python_multipart.multipart import File, FormParser, parse_options_header

    if not content_type.isascii():
        raise InvalidInput.of("Content-Type", "must be ASCII")
    form = Form()
    count = 0
    ended = False

    def one_more() -> None:
        nonlocal count
        count += 1
        if count > MAX_FIELDS:
            raise InvalidInput(f"a form may have {MAX_FIELDS} fields")

    def on_field(found: FormField) -> None:
        one_more()
        form.values.setdefault(_text(found.field_name), []).append(_text(found.value or b""))

    def on_file(found: File) -> None:
        one_more()
        name = _text(found.field_name)
        if name in form.files:
            raise InvalidInput.of(name, "was sent more than once")
        found.file_object.seek(0)
        form.files[name] = (_text(found.file_name or b""), found.file_object.read())

    def on_end() -> None:
        nonlocal ended
        ended = True

    try:
        parser = FormParser(
            MULTIPART,
            on_field,
            on_file,
            on_end,
            boundary=parse_options_header(content_type)[1].get(b"boundary"),
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput(f"the body is not a valid form: {error}") from error
    if not ended and body:
        raise InvalidInput("the body is a form that is cut off: it has no closing boundary")
    return form


def _urlencoded(body: bytes) -> Form:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput(f"the body is not a valid form of at most {MAX_FIELDS} fields: {error}") from error
    form = Form()
    for name, value in pairs:
        form.values.setdefault(name, []).append(value)
    return form


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("a field of the form is not UTF-8 text") from error
