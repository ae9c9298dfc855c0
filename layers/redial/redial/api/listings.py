"""Listings: complete unless a page is requested. If the rows do not fit one response, it links to the next part."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from redial.api.answers import CURRENT, MAX_ANSWER_BYTES, sent_size
from redial.api.fields import to_json
from redial.domain.errors import InvalidInput, TooLarge
from redial.ports import Position
from redial.wire.timestamps import from_ms, to_ms

MOST_ROWS = 4_000
"""Maximum rows in one response, so that it is built long before the function times out."""
DEFAULT_PAGE_SIZE = 20
HEADERS = {
    "Link": {
        "description": '`<…>; rel="next"`: the next part, if there is one. The URL is relative to this host.',
        "schema": {"type": "string"},
    },
    "X-Total-Count": {
        "description": "The number of rows in all parts; missing while they are still being counted.",
        "schema": {"type": "integer"},
    },
}
"""The documented headers of a listing."""
_CURSOR = re.compile(r"([0-9]{1,13})\.([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([0-9]{1,9})")

_Cursor = Annotated[str, Field(json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"})]
CursorText = Annotated[_Cursor | None, Query(description="Where the next part begins: from a response's `Link`.")]
AnyPageNumber = Annotated[int | None, Query(ge=1, description="Without page_number and page_size: all rows.")]
AnyPageSize = Annotated[int | None, Query(ge=1, le=50)]
One = TypeVar("One")


@dataclass(frozen=True)
class Paging:
    """The requested rows: a page, or all rows after `after`.

    With a cursor, `page_number` only continues its count. `most_rows`: the maximum in a response with all rows.
    """

    page_number: int | None
    page_size: int | None
    after: Position | None
    most_rows: int = MOST_ROWS

    @property
    def is_page(self) -> bool:
        return self.page_number is not None or self.page_size is not None

    @property
    def size(self) -> int:
        """Maximum rows of the response."""
        return (self.page_size or DEFAULT_PAGE_SIZE) if self.is_page else self.most_rows

    @property
    def skip(self) -> int:
        """Rows before the page."""
        return 0 if self.after is not None else ((self.page_number or 1) - 1) * self.size

    def link(self, last: Position) -> str:
        """The value of the `Link` header: the same request, starting at the row after `last`."""
        query = {name: value for name, value in CURRENT.get().query.items() if name not in ("cursor", "page_number")}
        if self.is_page:
            query["page_number"] = str((self.page_number or 1) + 1)
        query["cursor"] = f"{to_ms(last.created_at)}.{last.id}.{last.row}"
        return f'<{CURRENT.get().path}?{urlencode(query)}>; rel="next"'


def paging(page_number: int | None, page_size: int | None, cursor: str | None, most_rows: int = MOST_ROWS) -> Paging:
    """Parse the parameters of a listing. Raises `InvalidInput` for a malformed cursor."""
    if cursor is None:
        return Paging(page_number, page_size, None, most_rows)
    found = _CURSOR.fullmatch(cursor)
    if found is None or not cursor.isascii():
        raise InvalidInput.of("cursor", "must be one from the Link of an answer")
    created_ms, one, row = found.groups()
    return Paging(page_number, page_size, Position(from_ms(int(created_ms)), one, int(row)), most_rows)


@dataclass(frozen=True)
class Part:
    """A response's rendered rows and headers."""

    rows: list[Any]
    has_more: bool
    headers: dict[str, str | list[str]]


def part(rows: Iterable[tuple[Position, One]], total: int | None, wanted: Paging, render: Callable[[One], Any]) -> Part:
    """As many rows as are wanted and fit. Raises `TooLarge` for a page that does not fit. A page is never cut, because
    the next page would begin after the rows left out."""
    headers: dict[str, str | list[str]] = {} if total is None else {"X-Total-Count": str(total)}
    found: list[Any] = []
    size, last = 0, None
    for position, one in rows:
        if len(found) < wanted.size:
            rendered = render(one)
            size += sent_size(to_json(rendered)) + 1
            if size <= MAX_ANSWER_BYTES:
                found.append(rendered)
                last = position
                continue
            if wanted.is_page or last is None:
                raise TooLarge("the page is larger than can be sent at once; ask for a smaller page_size")
        assert last is not None
        return Part(found, has_more=True, headers={**headers, "Link": wanted.link(last)})
    return Part(found, has_more=False, headers=headers)


def part_of(
    rows: Sequence[tuple[Position, One]],
    wanted: Paging,
    render: Callable[[One], Any],
    *,
    newest_first: bool = False,
) -> Part:
    """Select a part of a short listing, given all its rows in order: by position, or by `Position.follows`. Raises
    `TooLarge` like `part`."""
    after = wanted.after
    later: Iterator[tuple[Position, One]] = iter(rows)
    if after is not None:
        later = ((at, one) for at, one in rows if (at.follows(after) if newest_first else at > after))
    return part(islice(later, min(wanted.skip, len(rows)), None), len(rows), wanted, render)
