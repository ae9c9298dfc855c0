"""What an answered call is connected to, for a carrier that asks only then."""

from redial.ports import Services
from redial.usecases.defaults import complete, complete_now
from redial.usecases.dial_attempt import fill_in


def stream_url_of(services: Services, execution_id: str) -> str | None:
    """The media stream of an execution's call (wss); None where there is no such execution, or neither its agent
    nor the account has one."""
    execution = services.executions.get(execution_id)
    agent = None if execution is None else services.agents.get(execution.account_id, execution.agent_id)
    if execution is None or agent is None:
        return None
    if not agent.has_answer:
        completed = complete(services, agent)
        agent = completed if completed.has_answer else complete_now(services, agent)
    if agent.stream_url is None:
        return None
    return fill_in(agent.stream_url, execution)
