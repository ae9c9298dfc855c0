"""Routes of attention items: faults that hold calls until a person has mended them."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, known_id, new_router, services
from redial.usecases import attention
from redial.wire.attention_json import AttentionItem, attention_json

router = new_router()


# ---- models ---


class AttentionList(TypedDict):
    """What holds calls now. Empty: nothing does."""

    data: list[AttentionItem]


# ---- routes ---


@router.get(
    "/attention",
    summary="What holds calls back",
    description="Faults that the carrier refuses calls for, and outages. Open ones come first. They cost no attempt: "
    "the calls that they affect wait, for 24 hours at most.",
    tags=["account"],
    operation_id="list_attention",
    responses=answers(200, "The account's attention items.", AttentionList),
)
def get_attention() -> Response[Any]:
    return answer(AttentionList(data=[attention_json(one) for one in attention.items(services(), account_id())]))


@router.post(
    "/attention/<item_id>/resolve",
    summary="Try again now",
    description="Once you have mended it. Of a carrier account the carrier is checked first, without a call. If it is "
    "not mended, the item stays, or opens again at the next refusal; no attempt is lost by that.",
    tags=["account"],
    operation_id="resolve_attention",
    responses=answers(200, "The item as it is now.", AttentionItem, 404, 409),
)
def resolve_attention(item_id: str) -> Response[Any]:
    found = attention.resolve(services(), account_id(), known_id(item_id, "attention item"))
    return answer(attention_json(found))
