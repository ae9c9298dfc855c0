"""Guards against SSRF: a customer's URL may only lead to public addresses.

    check(url) ─► resolve once ─► check every address ─► Target with the addresses to connect to

The host is resolved once, and connections go only to the checked addresses, so DNS rebinding has no effect. URLs are
checked when they are saved, and again for every delivery. Imports no HTTP client.
"""

import ipaddress
import re
import socket
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from redial.domain.errors import InvalidInput
from redial.domain.values import dataclass

MAX_URL_CHARACTERS = 2048

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
"""`socket.getaddrinfo`, or a replacement."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA special-purpose address registries (RFC 6890 and its updates), with the words for error messages. Needed in
# addition to `ipaddress.is_global`, whose tables differ between Python versions.
_IPV4 = tuple(
    (ipaddress.IPv4Network(network), words)
    for network, words in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared (carrier-grade NAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local (cloud metadata)"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "reserved (6to4 relays)"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved (benchmarking)"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_IPV6 = tuple(
    (ipaddress.IPv6Network(network), words)
    for network, words in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in disguise (mapped)"),
        ("::/96", "an IPv4 address in disguise (compatible)"),
        ("64:ff9b:1::/48", "private (local NAT64)"),
        ("100::/64", "reserved (discard)"),
        ("2001::/32", "an IPv4 address in disguise (Teredo)"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "an IPv4 address in disguise (6to4)"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private (site-local)"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: DNS64's addresses of IPv4-only hosts in an IPv6-only subnet. The embedded IPv4 address is checked."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTS = dict.fromkeys(map(ord, "\u3002\uff0e\uff61"), ".")
_FILLERS = re.compile("[\u115f\u1160\u17b4\u17b5]")
"""Invisible letters, which IDNA 2008 leaves out and IDNA 2003 keeps."""
_FORBIDDEN = re.compile(r"[\s\x00-\x20\x7f-\x9f\\\ud800-\udfff]")  # surrogates: JSON can contain unpaired ones
_PATH_SAFE = "/:@!$&'()*+,;=-._~%?"


class AddressRefused(InvalidInput):
    """Redial does not send to this URL. `message` gives the customer the reason."""


@dataclass(frozen=True)
class Target:
    """A permitted URL, parsed. `addresses`: the only ones to connect to, in the resolver's order."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def url(self) -> str:
        """The URL to request, in ASCII: host normalized, path and query percent-encoded, no fragment."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{host}{'' if usual else f':{self.port}'}{self.path}"


def check(url: str, *, allow_local: bool, resolve: Resolve = socket.getaddrinfo) -> Target:
    """Parse `url` and resolve its host once. Raises `AddressRefused` unless every address found is public.

    `allow_local`, for local development, also permits http and loopback addresses, but no other private address.
    """
    parts = _split(url)
    if parts.scheme != "https" and not (allow_local and parts.scheme == "http"):
        raise AddressRefused("the URL must start with https://" + (" or http://" if allow_local else ""))
    if "@" in parts.netloc:
        raise AddressRefused("the URL may not hold a user name or password")
    try:
        port = (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise AddressRefused("the port of the URL must be 1 to 65535")
    host = _host(parts.hostname or "", allow_local)
    addresses = _resolved(host, port, resolve)
    for address in addresses:
        reason = refusal(address, allow_local)
        if reason is not None:
            raise AddressRefused(f"address {address} is {reason}")
    path = quote(parts.path or "/", safe=_PATH_SAFE)
    if parts.query:
        path += "?" + quote(parts.query, safe=_PATH_SAFE)
    return Target(parts.scheme, host, port, path, tuple(str(address) for address in addresses))


def refusal(address: _Address, allow_local: bool) -> str | None:
    """Why `address` is refused, to complete "address … is …"; None if it is permitted."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return refusal(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), allow_local=False)
        if allow_local and address == ipaddress.IPv6Address("::1"):
            return None
        if address.scope_id is not None:
            return "tied to one network interface"
        words = next((words for network, words in _IPV6 if address in network), None)
        return words or (None if address in _GLOBAL_UNICAST and address.is_global else "reserved")
    if allow_local and address.is_loopback:
        return None
    words = next((words for network, words in _IPV4 if address in network), None)
    return words or (None if address.is_global else "reserved")


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS:
        raise AddressRefused(f"the URL is longer than {MAX_URL_CHARACTERS} characters")
    if _FORBIDDEN.search(url):
        raise AddressRefused("the URL may not hold spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise AddressRefused("the host of the URL is malformed") from error
    if "[" in parts.netloc and ":" not in (parts.hostname or ""):
        raise AddressRefused("the host of the URL is malformed")
    return parts


def _host(host: str, allow_local: bool) -> str:
    """The canonical host: lower-case ASCII without a trailing dot, or an IP address. Raises `AddressRefused`."""
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise AddressRefused("the IPv6 address of the URL is malformed") from None
        if address.scope_id is not None:
            raise AddressRefused("an IPv6 address with a zone may not be used")
        return str(address)
    if not host.isascii():  # first, because look-alike digits and dots become plain ones
        host = _ascii_name(host)
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the host of the URL is not a valid name")
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # Resolvers accept 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 as addresses; no host name ends in a number.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise AddressRefused("an IPv4 address is written as four decimal numbers without leading zeros") from None
    if labels[-1] == "localhost" and not allow_local:
        raise AddressRefused("localhost is this machine itself")
    return host


def _ascii_name(host: str) -> str:
    """The xn-- form of an international name. Raises `AddressRefused`.

    Python's codec implements IDNA 2003. For ß, a final sigma, joiners and letters newer than Unicode 3.2, it gives
    another name than IDNA 2008: another owner's domain. A name that does not survive the round trip is refused.
    """
    composed = unicodedata.normalize("NFKC", host.translate(_DOTS))
    name = unicodedata.normalize(
        "NFKC", "".join(letter.lower() for letter in composed)
    )  # `str.lower` makes final sigmas
    try:
        encoded = name.encode("idna")
        is_same = encoded.decode("idna") == name
    except UnicodeError:
        raise AddressRefused("the host of the URL is not a valid international name") from None
    known = all(unicodedata.ucd_3_2_0.category(letter) != "Cn" for letter in name)
    if not is_same or not known or _FILLERS.search(name):
        raise AddressRefused("the host of the URL holds letters that lead to different domains: write its xn-- form")
    return encoded.decode("ascii")


def _resolved(host: str, port: int, resolve: Resolve) -> list[_Address]:
    try:
        found = resolve(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
    except OSError as error:
        raise AddressRefused(f"no address found for {host}") from error
    except ValueError as error:
        raise AddressRefused(f"the address found for {host} is malformed") from error
    if not addresses:
        raise AddressRefused(f"no address found for {host}")
    return addresses
