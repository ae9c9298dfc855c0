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
    Path(description="E.164; other formats are normalized.", json_schema_extra={"pattern": E164_PATTERN}),
]


class Erased(TypedDict):
    """What was erased."""

    executions: Annotated[int, Field(description="Calls, including contacts of batches.")]
    files: Annotated[int, Field(description="Batches whose files lose the person's rows, within minutes.")]
    consents: int


class Kept(TypedDict):
    """What is kept, so that it stays in effect."""

    suppressions: Annotated[
        int, Field(description="Suppressions, as keyed hashes without the reason and digits of the number.")
    ]
    attempts: Annotated[
        int,
        Field(description="Times of dials in the last 31 days, under a keyed hash of the number, for contact limits."),
    ]


class ContactErased(TypedDict):
    """The receipt. `state` is `erasing` if there were too many calls for one request: repeat it to erase the rest."""

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
        "Erases the number's consents and every call of the account to it, with its data, user data, undelivered "
        "events, and rows in batches' files. Suppressions are kept as hashes, and for 31 days the times of calls that "
        "contact limits count. Waiting calls are stopped. While a call is live, the response is 409. Repeating the "
        "request erases 0 calls."
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
