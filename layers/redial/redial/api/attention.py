"""Routes of attention items: faults that hold calls until a person has fixed them."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.usecases import attention
from redial.wire.attention_json import AttentionItem, attention_json

router = new_router()


# ---- models ---


class AttentionList(TypedDict):
    """The faults that hold calls now. Empty: none."""

    data: list[AttentionItem]


# ---- routes ---


@router.get(
    "/attention",
    summary="List what holds calls back",
    description="Faults for which the carrier refuses calls, and outages. Open ones come first. They cost no attempt: "
    "affected calls wait, for 24 hours at most.",
    tags=["account"],
    operation_id="list_attention",
    responses=answers(200, "The account's attention items.", AttentionList),
)
def get_attention() -> Response[Any]:
    return answer(AttentionList(data=[attention_json(one) for one in attention.items(services(), account_id())]))


@router.post(
    "/attention/<item_id>/resolve",
    summary="Try again now",
    description="Use this once you have fixed the fault. A fault of the carrier account is first checked with the "
    "carrier, without a call. If it is not fixed, the item stays open, or opens again at the next refusal; no attempt "
    "is lost.",
    tags=["account"],
    operation_id="resolve_attention",
    responses=answers(200, "The item's current state.", AttentionItem, 404, 409),
)
def resolve_attention(item_id: str) -> Response[Any]:
    found = attention.resolve(services(), account_id(), known_id(item_id, "attention item"))
    return answer(attention_json(found))
