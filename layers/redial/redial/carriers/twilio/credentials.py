"""Twilio's secret."""

import base64
import re
from dataclasses import field
from urllib.parse import urlsplit

from redial.carriers.credentials import Credentials, Secrets, check_api_url, read_fields, read_rate
from redial.domain.values import dataclass

SECRET = "the Twilio secret"  # noqa: S105  its name in messages


@dataclass(frozen=True)
class TwilioCredentials:
    """A Twilio account. Requests use the API key if there is one. Callbacks are signed with `auth_token`, or with
    `shared_key` if the account signs its webhooks with a separate key. `api_url` differs in Twilio's other regions, for
    example https://api.dublin.ie1.twilio.com. `calls_per_second`: the rate that Twilio has granted the account (1 by
    default); 0: no limit; None: the stack's rate."""

    account_sid: str
    auth_token: str = field(repr=False)
    api_key_sid: str | None = None
    api_key_secret: str | None = field(default=None, repr=False)
    shared_key: str | None = field(default=None, repr=False)
    api_url: str = "https://api.twilio.com"
    calls_per_second: float | None = None

    @classmethod
    def parse(cls, text: str) -> "TwilioCredentials":
        """Parse a secret's JSON object with these names. Raises `ValueError`; its message reveals nothing of the
        secret."""
        known = read_fields(text, cls.__dataclass_fields__.keys() - {"calls_per_second"}, SECRET)
        if not re.fullmatch(r"AC[0-9A-Za-z]+", known.get("account_sid", "")):
            raise ValueError(f"account_sid of {SECRET} must be AC and letters or digits")
        if "auth_token" not in known:
            raise ValueError(f"auth_token of {SECRET} is missing")
        if ("api_key_sid" in known) != ("api_key_secret" in known):
            raise ValueError(f"{SECRET} needs both api_key_sid and api_key_secret, or neither")
        credentials = cls(**known, calls_per_second=read_rate(text, SECRET))
        check_api_url(credentials.api_url, SECRET)
        if urlsplit(credentials.api_url).path not in ("", "/"):
            raise ValueError(f"api_url of {SECRET} must have no path")
        return credentials

    @property
    def basic(self) -> str:
        """The Authorization header of a request."""
        user, password = self.account_sid, self.auth_token
        if self.api_key_sid and self.api_key_secret:
            user, password = self.api_key_sid, self.api_key_secret
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def credentials_of(secrets: Secrets) -> Credentials[TwilioCredentials]:
    """The account's credentials."""
    return secrets.of("twilio", TwilioCredentials.parse)
