"""The API key scope that each route needs, and the routes that a key restricted to agents may use."""

from collections.abc import Mapping

from redial.api.fields import MAX_ID_LENGTH
from redial.domain.api_key import Caller, KeyScope
from redial.domain.errors import Forbidden, NotFound

_SCOPES = {
    KeyScope.READ: ("plan_call", "preflight_batch"),
    KeyScope.CALL: ("create_call", "create_batch", "create_upload", "schedule_batch"),
    KeyScope.OPERATE: (
        *("stop_call", "stop_agent", "stop_batch", "pause_batch", "resume_batch"),
        *("replay_webhooks", "replay_batch_webhooks", "test_webhook", "resolve_attention", "suppress_execution"),
        *("add_suppressions", "delete_suppression", "add_consents", "delete_consent"),
    ),
    KeyScope.ADMIN: (
        *("patch_user", "create_agent", "replace_agent", "patch_agent", "delete_agent", "put_policy"),
        *("delete_execution", "delete_batch", "delete_contact"),
        *("list_keys", "create_key", "revoke_key", "list_audit", "export_audit"),
    ),
}
"""Operation ids by scope. Any other GET needs `read`."""
_NEEDED = {operation: scope for scope, operations in _SCOPES.items() for operation in operations}


def needed_scope(method: str, operation_id: str) -> KeyScope:
    """The scope that a key needs for this route: for unlisted routes `read` (GET) or `admin`."""
    return _NEEDED.get(operation_id, KeyScope.READ if method == "GET" else KeyScope.ADMIN)


def check_scope(caller: Caller, method: str, operation_id: str) -> None:
    """Raises `Forbidden` if the key lacks the route's scope."""
    needed = needed_scope(method, operation_id)
    if needed not in caller.rights.scopes:
        has = ", ".join(caller.rights.scopes)
        raise Forbidden(f"this API key has the scope {has}; {method} here needs {needed}: use a key that has it")


_OF_AGENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *("create_call", "plan_call", "stop_call", "stop_agent"),
            *("get_execution", "get_agent_execution", "get_execution_log", "explain_execution", "delete_execution"),
            *("list_executions", "list_executions_bare", "replay_webhooks", "suppress_execution", "add_suppressions"),
            "test_webhook",
            *("list_agents", "get_agent", "replace_agent", "patch_agent", "delete_agent"),
            *("create_batch", "create_upload", "get_batch", "list_batches", "list_batch_executions", "delete_batch"),
            *("preflight_batch", "schedule_batch", "stop_batch", "pause_batch", "resume_batch"),
            *("get_batch_results", "get_batch_rejected", "replay_batch_webhooks"),
            *("get_user", "list_phone_numbers", "list_attention", "resolve_attention", "list_undelivered", "get_now"),
            *("list_keys", "create_key", "revoke_key", "list_presets"),
        ),
        (),
    ),
    "retry_statistics": ("agent_id", "batch_id"),
    "list_suppressions": ("agent_id",),
    "delete_suppression": ("agent_id",),
}
"""The operations that a key restricted to agents may use, with a narrower view (`usecases/narrowed.py`). Values: query
parameters, at least one of which is required. All other operations concern the whole account."""


def check_agents(caller: Caller, operation_id: str, query: Mapping[str, str]) -> None:
    """For a key restricted to agents: raises `Forbidden` for a route that concerns the whole account, and `NotFound` if
    the parameter `agent_id` names another agent. `usecases/narrowed.py` restricts the rest."""
    agents = caller.rights.agents
    if agents is None:
        return
    names = _OF_AGENTS.get(operation_id)
    if names is None:
        raise Forbidden("this API key is restricted to agents, and this is about the whole account: use another key")
    if names and not any(name in query for name in names):
        named = " or ".join(names)
        raise Forbidden(f"this API key is restricted to agents, and this is about the whole account: give {named}")
    agent_id = query.get("agent_id")
    if agent_id is not None and agent_id.lower() not in agents:
        raise NotFound(f"there is no agent {agent_id[:MAX_ID_LENGTH]}")
