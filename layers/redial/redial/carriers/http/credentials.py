"""The secret of a platform that speaks the signed HTTP contract."""

from dataclasses import field

from redial.carriers.credentials import Credentials, Secrets, check_api_url, read_fields, read_rate
from redial.domain.values import dataclass
from redial.wire.webhook_signature import key_of

SECRET = "the http carrier's secret"  # noqa: S105  its name in messages


@dataclass(frozen=True)
class HttpCredentials:
    """The platform's URL, and the secret that signs requests in both directions. `calls_per_second`: the rate that it
    accepts; 0: no limit; None: the stack's rate."""

    api_url: str
    signing_secret: str = field(repr=False)
    calls_per_second: float | None = None

    @classmethod
    def parse(cls, text: str) -> "HttpCredentials":
        """Parse a secret's JSON object with these names. Raises `ValueError`; its message reveals nothing of the
        secret."""
        names = ("api_url", "signing_secret")
        known = read_fields(text, names, SECRET)
        for name in names:
            if name not in known:
                raise ValueError(f"{name} of {SECRET} is missing")
        check_api_url(known["api_url"], SECRET)
        try:
            key_of(known["signing_secret"])
        except ValueError as error:
            raise ValueError(f"signing_secret of {SECRET}: {error}") from None
        return cls(**known, calls_per_second=read_rate(text, SECRET))


def credentials_of(secrets: Secrets) -> Credentials[HttpCredentials]:
    """The platform's credentials."""
    return secrets.of("http", HttpCredentials.parse)
