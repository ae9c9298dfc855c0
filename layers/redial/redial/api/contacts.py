"""The route of contacts: erase a person."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, new_router, note_details, services
from redial.api.fields import E164_PATTERN
from redial.domain.phone_number import normalized
from redial.runtime import system
from redial.usecases import erase
from redial.wire.timestamps import Timestamp, rfc3339

router = new_router()


# ---- models ---

InPath = Annotated[
    str,
    AfterValidator(normalized),
    Path(description="E.164; other spellings of it are normalized.", json_schema_extra={"pattern": E164_PATTERN}),
]


class Erased(TypedDict):
    """What was erased."""

    executions: Annotated[int, Field(description="Calls, contacts of batches included.")]
    files: Annotated[int, Field(description="Batches in whose files the person's rows are erased, within minutes.")]
    consents: int


class Kept(TypedDict):
    """What stays, so that it still holds."""

    suppressions: Annotated[int, Field(description="As keyed hashes, without reason and digits of the number.")]
    attempts: Annotated[
        int,
        Field(description="When the number was dialled in the last 31 days, under a keyed hash, for contact limits."),
    ]


class ContactErased(TypedDict):
    """The receipt. `state` is `erasing` if there were too many calls for one request: ask again for the rest."""

    message: Literal["success"]
    state: Literal["deleted", "erasing"]
    erased: Erased
    kept: Kept
    erased_at: Timestamp


# ---- routes ---


@router.delete(
    "/contacts/<phone_number>",
    summary="Erase a person",
    description=(
        "Every call of the account to this number, with its data, user data, undelivered events, and rows in batches' "
        "files, and its consents. Suppressions stay, as hashes, and for 31 days the times of calls that contact limits "
        "count. Calls that wait are stopped; while one is live it is 409. Asking again erases 0."
    ),
    tags=["contacts"],
    operation_id="delete_contact",
    responses=answers(200, "The receipt.", ContactErased, 400, 404, 409),
)
def delete_contact(phone_number: InPath) -> Response[Any]:
    now = system.now()
    done = erase.erase_contact(services(), phone_number, account_id=account_id(), now=now)
    note_details(executions=done.executions, files=done.files, consents=done.consents)
    receipt = ContactErased(
        message="success",
        state="deleted" if done.complete else "erasing",
        erased=Erased(executions=done.executions, files=done.files, consents=done.consents),
        kept=Kept(suppressions=done.suppressions, attempts=done.times),
        erased_at=rfc3339(now),
    )
    return answer(receipt)
