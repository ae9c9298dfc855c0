"""Twilio's credentials from AWS Secrets Manager, kept in the process for a few minutes."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from redial.adapters.carriers.twilio import CredentialsUnavailable, TwilioCredentials

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

KEPT_SECONDS = 300.0
"""How long a value is used before it is read again; should that fail, it is used on."""
PAUSE_SECONDS = 30.0
"""Least time between two refreshes, or after a read that failed: forged callbacks must not become requests to AWS."""

_log = logging.getLogger(__name__)


class TwilioCredentialsStore:
    """The secret's value as credentials; the client is made when the first value is needed. May be shared by threads.

    Ages are measured with the machine's monotonic clock, `clock`: a cache has no use for Redial's.
    """

    def __init__(
        self,
        client: "Callable[[], SecretsManagerClient]",
        secret_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_client = client
        self._secret_id = secret_id
        self._clock = clock
        self._lock = threading.Lock()
        self._client: SecretsManagerClient | None = None
        self._value: TwilioCredentials | None = None
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._refreshed_at = float("-inf")

    def __repr__(self) -> str:
        return f"TwilioCredentialsStore({self._secret_id!r})"

    def get(self) -> TwilioCredentials:
        """The credentials, at most `KEPT_SECONDS` old, or older where Secrets Manager cannot be read.

        Raises `CredentialsUnavailable` when there are none at all.
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
                _log.warning("using the Twilio credentials read before: %s", error)
            assert self._value is not None
            return self._value

    def refresh(self, refused: TwilioCredentials) -> bool:
        """Twilio does not know `refused`, or signs with others: read the secret now, unless that was done in the last
        `PAUSE_SECONDS`. True when there are other credentials now."""
        with self._lock:
            now = self._clock()
            if self._value == refused and now - self._refreshed_at >= PAUSE_SECONDS:
                self._refreshed_at = now
                try:
                    self._read(now)
                except CredentialsUnavailable as error:
                    _log.warning("the Twilio credentials could not be read again: %s", error)
            return self._value is not None and self._value != refused

    def _read(self, now: float) -> None:
        self._tried_at = now
        if self._client is None:
            self._client = self._make_client()
        try:
            answer = self._client.get_secret_value(SecretId=self._secret_id)
            self._value = TwilioCredentials.parse(answer.get("SecretString") or "")
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown error")
            raise CredentialsUnavailable(f"secret {self._secret_id} cannot be read: {code}") from error
        except BotoCoreError as error:
            raise CredentialsUnavailable(f"secret {self._secret_id} cannot be read: {type(error).__name__}") from error
        except ValueError as error:
            raise CredentialsUnavailable(f"secret {self._secret_id}: {error}") from error
        self._read_at = now
