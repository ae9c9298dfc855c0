"""Make, read and resolve policies."""

from collections.abc import Callable
from dataclasses import replace

from redial.domain.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from redial.domain.policy import MAX_VERSION, Policy, read_label
from redial.ports import Services
from redial.usecases.update import MOST_TRIES

MOST_POLICIES = 100
"""Maximum policies of an account."""


def put_policy(
    services: Services, new: Policy, *, account_id: str, is_met: Callable[[int], bool]
) -> tuple[Policy, bool]:
    """The policy's next version with the rules of `new`, or its latest where that has the same rules; and whether it is
    a new one.

    `is_met`: whether the request applies to a policy whose latest version is that (0: there is none). Raises
    `PreconditionFailed`, `InvalidInput` and `Conflict`.
    """
    for _ in range(MOST_TRIES):
        latest = services.policies.latest(account_id, new.name)
        version = 0 if latest is None else latest.version
        if not is_met(version):
            raise PreconditionFailed(_is_at(new.name, version))
        if latest is not None and replace(new, version=version, created_at=latest.created_at) == latest:
            return latest, False
        if latest is None and len(services.policies.all(account_id)) >= MOST_POLICIES:
            raise InvalidInput.of("name", f"an account may have {MOST_POLICIES} policies; give one of them new rules")
        if version == MAX_VERSION:
            raise InvalidInput.of("name", f"a policy may have {MAX_VERSION} versions; use another name")
        made = replace(new, version=version + 1)
        if services.policies.add(account_id, made):
            return made, True
    raise Conflict(f"policy {new.name} is being changed by others at the same time: try again")


def _is_at(name: str, version: int) -> str:
    if version == 0:
        return f"If-Match: there is no policy {name} yet; send If-None-Match: * to make it"
    return f'policy {name} is at version {version}: read it, and send its ETag, "{version}", as If-Match'


def read_policy(services: Services, name: str, version: int | None, *, account_id: str) -> Policy:
    """One version of a policy; None: the latest. Raises `NotFound`."""
    latest = services.policies.latest(account_id, name)
    if latest is None:
        raise NotFound(f"there is no policy {name}; GET /policies lists yours")
    if version is None or version == latest.version:
        return latest
    found = services.policies.get(account_id, f"{name}@{version}") if version < latest.version else None
    if found is None:
        raise NotFound(f"policy {name} has the versions 1 to {latest.version}")
    return found


def named_policy(services: Services, text: str, field: str, *, account_id: str) -> Policy:
    """The policy that a request names in `field`, with a version or without: the latest. Raises `InvalidInput`."""
    try:
        name, version = read_label(text)
        found = services.policies.get(account_id, text) if version is not None else None
        return found or read_policy(services, name, version, account_id=account_id)
    except ValueError as error:
        raise InvalidInput.of(field, str(error)) from error
    except NotFound as error:
        raise InvalidInput.of(field, error.message) from error
