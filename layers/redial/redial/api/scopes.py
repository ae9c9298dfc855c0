"""Which scope of an API key each route needs."""

from redial.domain.agent import KeyScope
from redial.domain.errors import Forbidden
from redial.usecases.accounts import Caller

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
    ),
}
"""By operation id. Every GET needs `read`."""
_NEEDED = {operation: scope for scope, operations in _SCOPES.items() for operation in operations}


def needed_scope(method: str, operation_id: str) -> KeyScope:
    """What a key must have for this route. A route that is not listed needs `admin`."""
    return KeyScope.READ if method == "GET" else _NEEDED.get(operation_id, KeyScope.ADMIN)


def check_scope(caller: Caller, method: str, operation_id: str) -> None:
    """Raises `Forbidden`."""
    needed = needed_scope(method, operation_id)
    if needed not in caller.scopes:
        has = ", ".join(caller.scopes)
        raise Forbidden(f"this API key has the scope {has}; {method} here needs {needed}: use a key that has it")
