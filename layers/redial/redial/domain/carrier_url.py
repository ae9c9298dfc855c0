"""URLs that a carrier uses for an answered call, with placeholders."""

import re
from urllib.parse import urlsplit

PLACEHOLDERS = ("{agent_id}", "{execution_id}")
"""The only placeholders allowed in `answer_url` and `stream_url`; filled in per attempt."""
ANSWER_URL = ("https", "http")
"""The scheme of `answer_url`, and the one also allowed in local development."""
STREAM_URL = ("wss", "ws")
"""The scheme of `stream_url`, and the one also allowed in local development."""


def check_carrier_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raises `ValueError` unless it is a full URL with one of `schemes`, and its only braces are `PLACEHOLDERS`."""
    plain = re.sub("|".join(map(re.escape, PLACEHOLDERS)), "x", url)
    if not plain.isascii() or re.search(r"[\s\x00-\x1f\x7f{}\\<>\"^`|]", plain):
        raise ValueError(f"must be a URL; in braces it may hold {' and '.join(PLACEHOLDERS)} only")
    if not _is_full_url(plain, schemes):
        raise ValueError(f"must be a full URL that starts with {schemes[0]}://")


def fill_in(url: str, agent_id: str, execution_id: str) -> str:
    """The URL with its placeholders filled in."""
    return url.replace("{agent_id}", agent_id).replace("{execution_id}", execution_id)


def _is_full_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # each raises ValueError if malformed
    except ValueError:
        return False
    return bool(host) and parts.scheme.lower() in schemes
