"""The route that checks an account's setup."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from typing_extensions import TypedDict

from redial.api.answers import account_id, answer, answers, new_router, services
from redial.usecases.doctor import Check, CheckName, CheckStatus, examine

router = new_router()


# ---- models ---


class CheckRead(TypedDict):
    """The result of one check. `advice`: what to do; null: nothing. `agent_id`: the agent concerned; null: the account
    or all agents."""

    check: CheckName
    status: CheckStatus
    message: str
    advice: str | None
    agent_id: str | None


class Examination(TypedDict):
    """All checks. Checks of agents are shown per agent only if they fail."""

    checks: list[CheckRead]


def check_json(check: Check) -> CheckRead:
    """A check as JSON."""
    return {
        "check": check.name,
        "status": check.status,
        "message": check.message,
        "advice": check.advice,
        "agent_id": check.agent_id,
    }


# ---- routes ---


@router.get(
    "/doctor",
    summary="Check your setup",
    description="Checks the carriers' secrets, the caller ids and countries that they allow, agents, and the callback "
    "URL. Each carrier gets at most four requests, which place no call. The check may take 20 seconds. The limit is "
    "one request a second for all accounts.",
    tags=["account"],
    operation_id="get_doctor",
    responses=answers(200, "The results of the checks.", Examination),
)
def get_doctor() -> Response[Any]:
    found = examine(services(), account_id(), services().public_url)
    return answer(Examination(checks=[check_json(one) for one in found]))
