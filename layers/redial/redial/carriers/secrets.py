"""Carriers' credentials from AWS Secrets Manager, kept in the process for a few minutes."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from redial.carriers.credentials import CredentialsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT_SECONDS = 300.0
"""How long a value is used before it is read again. If reading fails, it stays in use."""
PAUSE_SECONDS = 30.0
"""Minimum time between two refreshes, and after a failed read: forged callbacks must not cause requests to AWS."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class CarrierSecrets:
    """`Secrets` of Secrets Manager: `<prefix>/<carrier>`. The client is created when the first secret is needed."""

    def __init__(self, client: "Callable[[], SecretsManagerClient]", prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._known: dict[str, SecretCredentials[Any]] = {}

    def of(self, carrier: str, parse: Callable[[str], T]) -> "SecretCredentials[T]":
        """See the protocol. Returns the same object each time, so that a process keeps each secret only once."""
        if carrier not in self._known:
            made = SecretCredentials(self._client, f"{self._prefix}/{carrier}", parse)
            self._known.setdefault(carrier, made)  # another thread may have been faster
        return self._known[carrier]


class SecretCredentials(Generic[T]):
    """`Credentials` from one secret. Thread-safe.

    `clock` measures ages: the machine's monotonic clock, because a cache does not need Redial's.
    """

    def __init__(
        self,
        client: "Callable[[], SecretsManagerClient]",
        secret_id: str,
        parse: Callable[[str], T],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_client = client
        self._secret_id = secret_id
        self._parse = parse
        self._clock = clock
        self._lock = threading.Lock()
        self._client: SecretsManagerClient | None = None
        self._value: T | None = None
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._refreshed_at = float("-inf")

    def __repr__(self) -> str:
        return f"SecretCredentials({self._secret_id!r})"

    def get(self) -> T:
        """The credentials, at most `KEPT_SECONDS` old, or older if Secrets Manager cannot be read.

        Raises `CredentialsUnavailable` if none have ever been read.
        """
        with self._lock:
            now = self._clock()
            if self._value is not None and (now - self._read_at < KEPT_SECONDS or now - self._tried_at < PAUSE_SECONDS):
                return self._value
            try:
                self._read(now)
            except CredentialsUnavailable as error:
                if self._value is None:
                    raise
                _log.warning("using the credentials read before: %s", error)
            assert self._value is not None
            return self._value

    def refresh(self, refused: T) -> bool:
        """The carrier does not accept `refused`, or signs with other credentials: read the secret again, unless it was
        refreshed in the last `PAUSE_SECONDS`. Returns whether the credentials now differ from `refused`."""
        with self._lock:
            now = self._clock()
            if self._value == refused and now - self._refreshed_at >= PAUSE_SECONDS:
                self._refreshed_at = now
                try:
                    self._read(now)
                except CredentialsUnavailable as error:
                    _log.warning("the credentials could not be read again: %s", error)
            return self._value is not None and self._value != refused

    def _read(self, now: float) -> None:
        self._tried_at = now
        if self._client is None:
            self._client = self._make_client()
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_id)
            self._value = self._parse(answer.get("SecretString") or "")
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown error")
            raise CredentialsUnavailable(f"secret {self._secret_id} cannot be read: {code}") from error
        except BotoCoreError as error:
            raise CredentialsUnavailable(f"secret {self._secret_id} cannot be read: {type(error).__name__}") from error
        except ValueError as error:
            raise CredentialsUnavailable(f"secret {self._secret_id}: {error}") from error
        self._read_at = now
