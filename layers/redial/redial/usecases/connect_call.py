"""What an answered call is connected to, for a carrier that asks only then."""

from redial.ports import Services
from redial.usecases.dial_attempt import fill_in


def stream_url_of(services: Services, execution_id: str) -> str | None:
    """The media stream of an execution's call (wss); None where there is no such execution, or its agent has none."""
    execution = services.executions.get(execution_id)
    agent = None if execution is None else services.agents.get(execution.account_id, execution.agent_id)
    if execution is None or agent is None or agent.stream_url is None:
        return None
    return fill_in(agent.stream_url, execution)
