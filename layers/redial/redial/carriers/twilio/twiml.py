"""TwiML: Twilio's XML instructions for an answered call. Sources: see this package."""

import html
import re
from urllib.parse import parse_qsl, urlsplit

MAX_CHARACTERS = 4_000
"""Maximum length of `Twiml` in a request to place a call [O]."""
_XML_LINE = "[\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]*"
"""Compiled on first use, which takes 5 ms: few agents have a `stream_url`."""


def connect_stream(stream_url: str) -> str:
    """TwiML that connects the call to a media stream at `stream_url` (wss).

    Twilio refuses a query string in a stream's URL (errors 31920 and 31922 [E]), so its parameters are passed as
    `<Parameter>`s, which arrive in the stream's `start` message. Raises `ValueError` for characters that XML cannot
    contain, and if the TwiML is longer than `MAX_CHARACTERS`.
    """
    parts = urlsplit(stream_url)
    parameters = "".join(
        f'<Parameter name="{_xml(name)}" value="{_xml(value)}"/>'
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    url = _xml(f"{parts.scheme}://{parts.netloc}{parts.path}")
    stream = f'<Stream url="{url}">{parameters}</Stream>' if parameters else f'<Stream url="{url}"/>'
    twiml = f"<Response><Connect>{stream}</Connect></Response>"
    if len(twiml) > MAX_CHARACTERS:
        raise ValueError(f"is too long: its TwiML takes {len(twiml)} characters, and Twilio takes {MAX_CHARACTERS}")
    return twiml


def _xml(text: str) -> str:
    if not re.fullmatch(_XML_LINE, text):
        raise ValueError("holds characters that XML cannot")
    return html.escape(text)
