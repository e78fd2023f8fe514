"""Strict parsing of URLs: a URL that two programs could interpret differently is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from yarl import URL

from worker.errors import Detail, UrlRefused
from worker.fetch.address import Address

PORTS = {"http": 80, "https": 443}
SHAPE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<host>[a-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][\x21-\x7e]*)?",
    re.ASCII | re.IGNORECASE,
)
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)
NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
INVISIBLE = re.compile(r"[\x00-\x20\x7f-\xa0]")


@dataclass(frozen=True, slots=True)
class FetchTarget:
    """A checked URL. `host` is lower-case ASCII without brackets. `address` is set if the host is an IP address."""

    url: URL
    scheme: str
    host: str
    port: int
    address: Address | None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def encrypted(self) -> bool:
        """Whether the scheme is https."""
        return self.scheme == "https"


def read_target(text: str) -> FetchTarget:
    """Parse an http or https URL. Raises UrlRefused with a suggestion for anything else. No name is resolved."""
    if INVISIBLE.search(text):
        raise refused("the URL contains spaces or control characters", "percent-encode them")
    match = SHAPE.fullmatch(_in_ascii(text.partition("#")[0]))
    if match is None:
        raise refused("the URL cannot be parsed", "write http(s)://host/path, without a user name or password")
    scheme = match["scheme"].lower()
    if scheme not in PORTS:
        raise refused(f"{scheme} URLs are not supported", "use https")
    port = int(match["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        raise refused(f"there is no port {port}", "use a port from 1 to 65535")
    address = _read_ipv6(match["ipv6"]) if match["ipv6"] else _read_ipv4(match["host"].lower())
    host = str(address) if address else match["host"].lower()
    authority = f"[{host}]" if match["ipv6"] else host
    # `encoded=True` keeps the escapes as they are. Other escapes would invalidate the signature of a signed URL.
    url = URL(f"{scheme}://{authority}:{port}{_path_and_query(match['rest'])}", encoded=True)
    return FetchTarget(url, scheme, host, port, address)


def refused(message: str, cure: str) -> UrlRefused:
    """Return a UrlRefused error with the suggestion `cure`."""
    return UrlRefused(message, [Detail(message, suggestion=cure)])


def _in_ascii(text: str) -> str:
    """Return a URL with its host in ASCII, as browsers convert international names. Full-width digits become digits.

    Raises UrlRefused for a host that cannot be converted.
    """
    if text.isascii():
        return text
    try:
        return str(URL(text))
    except ValueError:
        raise refused("the URL's host is not a valid host name", "write the host in ASCII (xn--...)") from None


def _path_and_query(text: str | None) -> str:
    """Return path and query of a URL, with a leading slash. `text` is the part after the host, or None."""
    return text if text and text.startswith("/") else f"/{text or ''}"


def _read_ipv6(text: str) -> IPv6Address:
    """Parse an IPv6 address. Raises UrlRefused."""
    try:
        return IPv6Address(text)
    except AddressValueError:
        raise refused("the URL's host is not an IPv6 address", "write the host's name") from None


def _read_ipv4(host: str) -> IPv4Address | None:
    """Return the IPv4 address that a host is, or None for a name. Raises UrlRefused for any other form of an address.

    Most resolvers treat a host that ends in a number as an address, also in octal, in hex, or as a single number. Only
    four decimal numbers are accepted.
    """
    labels = host.split(".")
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise refused("the URL's host is not a valid host name", "remove the dot at its end, or empty parts")
    if not NUMBER.fullmatch(labels[-1]):
        return None
    try:
        return IPv4Address(host)
    except AddressValueError:
        raise refused("the URL's host is an address in an unusual form", "write it as four decimal numbers") from None
