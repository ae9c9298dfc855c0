"""Creates and reads policies, and finds the one that applies: a call's, its batch's, its agent's, else its account's.

The policy is fixed when the call or the batch is created. An agent has the label of its account's default policy
besides its own, so that creating a call need not read the account, and dial reads a policy only if one applies.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from redial.domain.agent import Agent
from redial.domain.batch import Batch
from redial.domain.calling_window import CallingRule
from redial.domain.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from redial.domain.execution import Execution
from redial.domain.policy import MAX_VERSION, Policy, in_force, read_label
from redial.domain.retry import RetryConfig
from redial.ports import Services
from redial.usecases.update import MOST_TRIES, mark_agent

MOST_POLICIES = 100
"""Maximum policies of an account."""


def put_policy(
    services: Services, new: Policy, *, account_id: str, is_met: Callable[[int], bool]
) -> tuple[Policy, bool]:
    """Store the policy's next version with the rules of `new`, unless the latest has the same rules. Returns the
    version, and whether it is new.

    `is_met`: whether the request's precondition allows the given latest version (0: there is none). Raises
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
    """The policy in that version (None: the latest). Raises `NotFound`."""
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
    """The policy that a request names in `field`; without a version, the latest. Raises `InvalidInput`."""
    try:
        name, version = read_label(text)
        found = services.policies.get(account_id, text) if version is not None else None
        return found or read_policy(services, name, version, account_id=account_id)
    except ValueError as error:
        raise InvalidInput.of(field, str(error)) from error
    except NotFound as error:
        raise InvalidInput.of(field, error.message) from error


@dataclass(frozen=True)
class Applied:
    """The policy of a call or a batch that is being created, with its agent. `is_default`: it is the agent's or the
    account's, not named by the request."""

    policy: Policy | None
    is_default: bool
    agent: Agent | None

    @property
    def label(self) -> str | None:
        return None if self.policy is None else self.policy.label

    def calling_rule(self, own: CallingRule | None) -> CallingRule | None:
        """The calling rule in force. `own`: of the request itself."""
        policy, agent = (None if one is None else one.calling_rule for one in (self.policy, self.agent))
        return in_force(own, policy, agent, is_default=self.is_default)

    def expires_after_minutes(self, own: int | None) -> int | None:
        """The minutes in force after which the call expires. `own`: of the request itself."""
        policy, agent = (None if one is None else one.expires_after_minutes for one in (self.policy, self.agent))
        return in_force(own, policy, agent, is_default=self.is_default)

    def retry_config(self, own: RetryConfig | None) -> RetryConfig | None:
        """The retry policy in force. `own`: of the request itself."""
        return own or (None if self.policy is None else self.policy.retry_config)


def policy_for(services: Services, named: Policy | None, agent: Agent | None) -> Applied:
    """The policy of a call or a batch that is being created. `named`: the one that the request names, if any."""
    label = None if agent is None else agent.policy or agent.account_policy
    if named is not None or agent is None or label is None:
        return Applied(named, False, agent)
    return Applied(_stored(services, agent.account_id, label), True, agent)


def policy_of(services: Services, execution: Execution, batch: Batch | None) -> Policy | None:
    """The policy that was fixed when the call or its batch was created."""
    label = execution.policy if batch is None else batch.policy
    return None if label is None else _stored(services, execution.account_id, label)


def policy_of_batch(services: Services, batch: Batch) -> Policy | None:
    """The policy that was fixed when the batch was created."""
    return None if batch.policy is None else _stored(services, batch.account_id, batch.policy)


def _stored(services: Services, account_id: str, label: str) -> Policy:
    found = services.policies.get(account_id, label)
    assert found is not None, f"policy {label} was read when it was named, and no policy is removed"
    return found


def apply_account_policy(services: Services, account_id: str) -> None:
    """Store the account's default policy with all its agents. Repeats this if the default changes meanwhile, so that
    the last of two concurrent changes wins. Raises `Conflict`."""
    for _ in range(MOST_TRIES):
        label = _default_of(services, account_id)
        for agent in services.agents.all(account_id):
            mark_agent(services, agent, account_policy=label)
        if _default_of(services, account_id) == label:
            return
    raise Conflict("the defaults are being changed by other requests at the same time: try again")


def _default_of(services: Services, account_id: str) -> str | None:
    account = services.accounts.get(account_id)
    return None if account is None else account.defaults.policy
