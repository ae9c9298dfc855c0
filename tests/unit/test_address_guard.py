"""The guard against private addresses in customers' URLs: every spelling of every non-public address is refused."""

import ipaddress
import os
import socket
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redial.adapters.address_guard import AddressRefused, Target, check
from redial.domain.errors import InvalidInput

PUBLIC = "93.184.216.34"


class Resolver:
    """Resolves names to `addresses` and literal addresses to themselves; records look-ups."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        try:
            literal = str(ipaddress.ip_address(host))
        except ValueError:
            literal = ""
        found = [literal] if literal else self.addresses
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in found]


def refused(url: str, *addresses: str, allow_local: bool = False) -> str:
    with pytest.raises(AddressRefused) as caught:
        check(url, allow_local=allow_local, resolve=Resolver(*addresses))
    return caught.value.message


def accepted(url: str, *addresses: str, allow_local: bool = False) -> Target:
    return check(url, allow_local=allow_local, resolve=Resolver(*(addresses or (PUBLIC,))))


def test_a_public_https_url_is_parsed() -> None:
    target = accepted("https://Hooks.Example.com/in?account=1&x=é#part")
    assert target == Target("https", "hooks.example.com", 443, "/in?account=1&x=%C3%A9", (PUBLIC,))
    assert target.url == "https://hooks.example.com/in?account=1&x=%C3%A9"


def test_a_port_is_kept() -> None:
    assert accepted("https://example.com:8443").url == "https://example.com:8443/"


def test_the_name_is_resolved_once_and_every_public_address_is_returned() -> None:
    resolver = Resolver(PUBLIC, "2606:2800:220:1::1", PUBLIC)
    target = check("https://example.com./", allow_local=False, resolve=resolver)
    assert resolver.asked == ["example.com"]
    assert target.addresses == (PUBLIC, "2606:2800:220:1::1")


def test_one_private_address_among_public_ones_is_refused() -> None:
    assert refused("https://example.com/", PUBLIC, "10.0.0.1") == "address 10.0.0.1 is private"


def test_a_refusal_is_invalid_input_to_the_api() -> None:
    assert issubclass(AddressRefused, InvalidInput)


NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.0.1",
    "169.254.169.254", "169.254.100.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.2.7",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
IPV6_NOT_PUBLIC = [
    "::", "::1", "::2", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::10.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC + IPV6_NOT_PUBLIC)
def test_a_non_public_address_is_refused_both_resolved_and_literal(address: str) -> None:
    assert refused("https://example.com/", address).startswith(f"address {ipaddress.ip_address(address)} is ")
    refused(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize("address", NOT_PUBLIC + IPV6_NOT_PUBLIC)
def test_local_mode_adds_only_loopback(address: str) -> None:
    if address.startswith("127.") or address == "::1":
        url = f"http://[{address}]:3002/x" if ":" in address else f"http://{address}:3002/x"
        assert accepted(url, allow_local=True).addresses == (address,)
    else:
        refused("http://example.com/", address, allow_local=True)


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8"])
def test_a_public_address_is_accepted(address: str) -> None:
    assert accepted("https://example.com/", address).addresses == (str(ipaddress.ip_address(address)),)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "017700000001", "0x7f000001", "0x7F.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.01",
        "127.0.0.0x1", "0", "0x", "1.1", "8.8.8.08", "256.1.1.1", "1.2.3.4.5", "127.0.0.1.", "①②⑦.⓪.⓪.①",
        "１２７.０.０.１", "127。0。0。1", "2852039166", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::1%lo]",
        "[fe80::1%25eth0]", "[v1.example.com]", "[127.0.0.1]", "localhost", "LOCALHOST.", "api.localhost",
        "ｌｏｃａｌｈｏｓｔ", "127.0.0.1..", "", ".", "a..b", "-a.example", "a-.example", "a b.example",
        "exa%6dple.com", "x" * 64 + ".com", "a." * 130 + "com", "example.com/\ud800", "xn--\u00e9.com",
        "user@example.com", "user:pw@example.com", "@example.com", "example.com:0", "example.com:65536",
        "example.com:-1", "example.com:http", "example.com:８０", "example.com\\@evil.com", "example.com\t",
        "exam\nple.com",
    ],
)  # fmt: skip
def test_obfuscated_addresses_and_hosts_are_refused(host: str) -> None:
    refused(f"https://{host}/", PUBLIC)


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "//example.com", "http://example.com/", "ftp://example.com/", "HTTP://example.com",
     "file:///etc/passwd", "https:example.com", " https://example.com", "https://example.com/ x", "gopher://x",
     "https://" + "a" * 2050],
)  # fmt: skip
def test_only_https_urls_are_accepted(url: str) -> None:
    refused(url, PUBLIC)


def test_http_is_accepted_in_local_mode_only() -> None:
    assert accepted("http://localhost:3002/inbox", "127.0.0.1", allow_local=True).port == 3002
    assert "https://" in refused("http://localhost:3002/inbox", "127.0.0.1")


def test_an_international_name_is_resolved_in_ascii() -> None:
    resolver = Resolver(PUBLIC)
    target = check("https://Bücher.example/", allow_local=False, resolve=resolver)
    assert resolver.asked == [target.host] == ["xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "host",
    [
        "faß.example", "FAẞ.example", "κλαρα-σωλις.example", "نامه\u200cای.example", "ශ්\u200dරී.example",
        "a\u115fb.example", "ᎠᏴᎩ.example", "\U0001f4de.example",
    ],
)  # fmt: skip
def test_a_name_that_idna_2003_sends_to_another_domain_is_refused(host: str) -> None:
    assert refused(f"https://{host}/", PUBLIC).endswith("write its xn-- form")
    in_ascii = idna.encode("faß.example").decode()
    assert accepted(f"https://{in_ascii}/").host == "xn--fa-hia.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("ΚΛΑΡΑ.example", "xn--mxaaze5a.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("ｅｘａｍｐｌｅ．com", "example.com"),
        ("ℂafé.example", "xn--caf-dma.example"),
    ],
)
def test_an_international_name_is_the_one_of_idna_2008(host: str, expected: str) -> None:
    assert idna.encode(host, uts46=True).decode() == expected
    assert accepted(f"https://{host}/").host == expected


@given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x80), min_size=1, max_size=6))
def test_any_international_name_is_refused_or_the_one_of_idna_2008(label: str) -> None:
    try:
        host = accepted(f"https://a{label}.example/").host
        expected = idna.encode(f"a{label}.example", uts46=True).decode()
    except (AddressRefused, idna.IDNAError):
        return
    assert host == expected


@pytest.mark.parametrize("trouble", [socket.gaierror(-2, "unknown"), UnicodeError("label"), OSError("no network")])
def test_a_host_without_an_address_is_refused(trouble: Exception) -> None:
    def fail(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise trouble

    with pytest.raises(AddressRefused, match=r"found for nowhere\.example"):
        check("https://nowhere.example/", allow_local=False, resolve=fail)
    assert "no address found" in refused("https://nowhere.example/")


def test_an_answer_with_a_zone_is_refused() -> None:
    refused("https://example.com/", "fe80::1%eth0")
    refused("https://example.com/", "2606:4700::1%eth0")


@given(st.ip_addresses())
def test_every_special_address_known_to_python_is_refused(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        accepted("https://example.com/", str(address))
    except AddressRefused:
        return
    embedded = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if str(address).startswith("64:ff9b::") else address
    assert embedded.is_global
    assert not embedded.is_multicast


URLS = st.one_of(
    st.text(max_size=60),
    st.builds("https://{}".format, st.text(max_size=60)),
    st.builds("https://{}:{}/{}?{}".format, st.text(max_size=20), st.text(max_size=6), st.text(), st.text()),
    st.builds("https://{}/".format, st.text(alphabet="0123456789abcdefx.:[]%@-_", max_size=40)),
)


@given(URLS)
def test_an_accepted_url_leads_to_the_checked_address(url: str) -> None:
    resolver = Resolver(PUBLIC)
    try:
        target = check(url, allow_local=False, resolve=resolver)
    except AddressRefused:
        return
    parts = urlsplit(target.url)
    assert target.url.isascii()
    assert parts.scheme == "https"
    assert parts.hostname == target.host == resolver.asked[0]
    assert len(resolver.asked) == 1
    assert (parts.port or 443) == target.port
    assert "@" not in parts.netloc
    assert all(" " < character < "\x7f" for character in target.path)


def test_it_imports_no_http_client() -> None:
    code = (
        "import sys, redial.adapters.address_guard; "
        "print([m for m in ('urllib3', 'http.client', 'requests', 'urllib.request') if m in sys.modules])"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert done.stdout == "[]\n"
