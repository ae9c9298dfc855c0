"""The route of a batch's preflight."""

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_batch_id, new_router, services
from redial.api.fields import Flag, Instant, WholeNumber
from redial.domain.contact_index import Rejection
from redial.domain.finish import LONGEST
from redial.runtime import system
from redial.usecases import preflight
from redial.usecases.preflight import Preflight, Reading
from redial.wire.batch_json import SharedContacts, shared_contacts
from redial.wire.timestamps import Timestamp, rfc3339, rfc3339_or_none

router = new_router()

RETRY_SECONDS = 10
"""When a client should ask again while the file is being read."""


# ---- models ---


class PreflightRequest(BaseModel):
    """The assumptions of a preflight. Unknown fields are ignored."""

    scheduled_at: Instant | None = Field(
        None, description="When the batch would start. Default: its scheduled time, else now.", json_schema_extra={}
    )
    bypass_call_guardrails: Flag | None = Field(None, description="Also call outside calling hours.")
    call_seconds: Annotated[WholeNumber, Field(ge=1, le=86_400)] = Field(
        120, description="The average length of an answered call, to estimate the latest end."
    )


_AS_THINGS_ARE = PreflightRequest(scheduled_at=None, bypass_call_guardrails=None, call_seconds=120)


class RejectedRows(TypedDict):
    """The number of rejected rows, by reason."""

    duplicates: Annotated[int, Field(description="Duplicates of an earlier row of the file.")]
    never_placeable: Annotated[int, Field(description="Rows whose calling hours never open.")]
    others: int


class ZoneCount(TypedDict):
    """Contacts with the same possible time zones: more than one if the number does not determine it."""

    time_zones: list[str]
    contacts: int


class CountryCount(TypedDict):
    """Contacts in a country (ISO 3166, or a calling code such as `+800`)."""

    country: str
    contacts: int


class LinesNeeded(TypedDict):
    """Lines and rate. `calls_per_second`: the lower of the batch's and the carrier account's rate; null: no limit.
    `needed`: the lines needed to reach that rate if every call is answered at the end of its ring timeout."""

    available: int
    needed: int | None
    calls_per_second: float | None


class FinishRead(TypedDict):
    """When the batch will be finished if it starts at `starts_at`. Null: not within the period that the preflight
    covers, or there is nothing to call."""

    starts_at: Timestamp
    earliest: Timestamp | None
    latest: Timestamp | None
    assumptions: list[str]


class PreflightRead(TypedDict):
    """What would happen if the batch started. Each contact is counted in one of `suppressed`, `without_consent`,
    `never_placeable` and `to_be_called`."""

    batch_id: str
    contacts: int
    rejected: RejectedRows
    by_time_zone: list[ZoneCount]
    by_country: list[CountryCount]
    suppressed: int
    without_consent: int
    never_placeable: int
    to_be_called: int
    shared_contacts: Annotated[list[SharedContacts], Field(description="Contacts that running batches also have.")]
    attempts_per_contact: int
    worst_case_calls: int
    lines: LinesNeeded
    finish: FinishRead
    warnings: list[str]


class PreflightPending(TypedDict):
    """The file is being read; ask again later."""

    message: str
    state: Literal["reading"]
    rows_read: int


_Name = TypeVar("_Name", str, tuple[str, ...])


def _most_first(counts: Counter[_Name]) -> list[tuple[_Name, int]]:
    """Sorted by count, largest first, then by name, so that a file always gives the same order."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def preflight_json(found: Preflight) -> PreflightRead:
    """A preflight as JSON."""
    zones: Counter[tuple[str, ...]] = Counter()
    countries: Counter[str] = Counter()
    for place, count in found.places.items():
        zones[place.zones] += count
        countries[place.country] += count
    return {
        "batch_id": found.batch.id,
        "contacts": found.contacts,
        "rejected": {
            "duplicates": found.rejected.get(Rejection.DUPLICATE, 0),
            "never_placeable": found.rejected.get(Rejection.NEVER_PLACEABLE, 0),
            "others": found.rejected.get(Rejection.OTHER, 0),
        },
        "by_time_zone": [{"time_zones": list(some), "contacts": count} for some, count in _most_first(zones)],
        "by_country": [{"country": one, "contacts": count} for one, count in _most_first(countries)],
        "suppressed": found.suppressed,
        "without_consent": found.without_consent,
        "never_placeable": found.never_placeable,
        "to_be_called": found.callable,
        "shared_contacts": shared_contacts(found.shared.items()),
        "attempts_per_contact": found.attempts,
        "worst_case_calls": found.worst_case_calls,
        "lines": {"available": found.lines, "needed": found.lines_needed, "calls_per_second": found.per_second},
        "finish": {
            "starts_at": rfc3339(found.finish.starts_at),
            "earliest": rfc3339_or_none(found.finish.earliest),
            "latest": rfc3339_or_none(found.finish.latest),
            "assumptions": list(found.finish.assumptions),
        },
        "warnings": list(found.warnings),
    }


# ---- routes ---


@router.post(
    "/batches/<batch_id>/preflight",
    summary="Preview what a batch would do",
    description="Estimates which contacts it would call, how often, and when it would be finished, at most "
    f"{LONGEST.days} days ahead. Nothing is dialled or changed. For batches that have not started.",
    tags=["batches"],
    operation_id="preflight_batch",
    responses=answers(200, "The estimate, as of now.", PreflightRead, 400, 404, 409, 413)
    | answers(202, "The file is being read; ask again later.", PreflightPending, 400, 404, 409, 413),
)
def post_batch_preflight(
    batch_id: str,
    asked: Annotated[PreflightRequest, Body()] = _AS_THINGS_ARE,
) -> Response[Any]:
    found = preflight.preflight(
        services(),
        known_batch_id(batch_id),
        asked.scheduled_at,
        asked.bypass_call_guardrails,
        timedelta(seconds=asked.call_seconds),
        account_id=account_id(),
        now=system.now(),
    )
    if isinstance(found, Reading):
        message = f"the file is being read ({found.rows} rows so far); ask again in {RETRY_SECONDS} seconds"
        pending = PreflightPending(message=message, state="reading", rows_read=found.rows)
        return answer(pending, status=202, headers={"Retry-After": str(RETRY_SECONDS)})
    return answer(preflight_json(found))
