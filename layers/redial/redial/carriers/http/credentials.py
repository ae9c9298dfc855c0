"""The secret of a platform that speaks the signed HTTP contract."""

from dataclasses import field

from redial.carriers.credentials import Credentials, Secrets, check_api_url, read_fields
from redial.domain.values import dataclass
from redial.wire.webhook_signature import key_of

SECRET = "the http carrier's secret"  # noqa: S105  what messages call it


@dataclass(frozen=True)
class HttpCredentials:
    """Where the platform is, and the secret that signs both directions."""

    api_url: str
    signing_secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "HttpCredentials":
        """From a secret's JSON object with these names. Raises `ValueError`, which shows nothing of the secret."""
        known = read_fields(text, cls.__dataclass_fields__, SECRET)
        for name in cls.__dataclass_fields__:
            if name not in known:
                raise ValueError(f"{name} of {SECRET} is missing")
        check_api_url(known["api_url"], SECRET)
        try:
            key_of(known["signing_secret"])
        except ValueError as error:
            raise ValueError(f"signing_secret of {SECRET}: {error}") from None
        return cls(**known)


def credentials_of(secrets: Secrets) -> Credentials[HttpCredentials]:
    """The platform's credentials."""
    return secrets.of("http", HttpCredentials.parse)
