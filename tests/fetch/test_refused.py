"""Internal and special addresses are refused in every form of a URL."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fetch.origin import content, fetching, opened, redirect, serving
from worker.errors import UrlRefused
from worker.fetch.target import read_target

SECRET = b"of this machine only"
EVERY_ADDRESS = "::"
"""IPv6 and, mapped, IPv4: a server that is hit whatever the worker makes of a URL."""

LOOPBACK = [
    "http://127.0.0.1:{port}/",
    "http://127.8.9.10:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7F.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://017700000001:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http://127.0.0.01:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.0.0.1..:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://localhost:{port}/",
    "http://LocalHost:{port}/",
    "http://localhost.:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::80ff:fffe]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00.example.com:{port}/",
    "http://127.0.0.1%2f.example.com:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}/ HTTP/1.1\r\nX: y",
    "http://\u200b127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http://127.0.0.1:{port}:80/",
]

ELSEWHERE = [
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://metadata/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[2001:2::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://8.8.8.8:22/",
    "http://8.8.8.8:6379/",
    "http://8.8.8.8:0/",
    "http://8.8.8.8:65616/",
    "http://8.8.8.8:٢٢/",
    "https://a..b.example/",
    "https://-a.example/",
    f"https://{'a' * 64}.example/",
    "file:///etc/passwd",
    "ftp://example.com/a.png",
    "gopher://example.com/",
    "unix:///run/docker.sock",
    "javascript://example.com/%0aalert(1)",
]

REDIRECTS = [
    "http://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "//169.254.169.254/",
    "http://[::1]:{port}/",
    "http://a:b@127.0.0.1:{port}/",
    "\\\\127.0.0.1:{port}\\",
    "/\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\tx",
    "http:127.0.0.1:{port}",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "http://",
    "http://[",
]


@pytest.mark.parametrize("url", LOOPBACK)
async def test_this_machine_is_refused(tmp_path: Path, url: str) -> None:
    """fetch refuses every form of a loopback address."""
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(EVERY_ADDRESS, **{"*": content(SECRET)}))
        fetcher = await stack.enter_async_context(fetching(tmp_path, fetch_ports=f"80, 443, {origin.port}"))
        with pytest.raises(UrlRefused) as refusal:
            await fetcher.fetch(url.format(port=origin.port))
    assert origin.requests == []
    assert refusal.value.details[0].suggestion


@pytest.mark.parametrize("url", ELSEWHERE)
async def test_only_the_public_internet_is_allowed(tmp_path: Path, url: str) -> None:
    """fetch refuses internal networks, metadata addresses, other ports and other schemes without a connection."""
    async with fetching(tmp_path) as fetcher:
        with pytest.raises(UrlRefused) as refusal:
            await fetcher.fetch(url)
    assert refusal.value.details[0].suggestion


@pytest.mark.parametrize("location", REDIRECTS)
async def test_a_redirect_is_checked(tmp_path: Path, location: str) -> None:
    """fetch refuses a redirect from an allowed server to an address that is not allowed."""
    async with AsyncExitStack() as stack:
        inner = await stack.enter_async_context(serving(EVERY_ADDRESS, **{"*": content(SECRET)}))
        origin = await stack.enter_async_context(serving(file=redirect(location.format(port=inner.port))))
        settings = {"fetch_allow": opened(origin), "fetch_ports": f"80, 443, {inner.port}"}
        fetcher = await stack.enter_async_context(fetching(tmp_path, **settings))
        with pytest.raises(UrlRefused):
            await fetcher.fetch(origin.url())
    assert (origin.paths, inner.requests) == (["/file"], [])


async def test_an_opened_address_is_fetched(tmp_path: Path) -> None:
    """fetch gets a file from a loopback address that the operator opened."""
    async with serving(file=content(SECRET)) as origin, fetching(tmp_path, fetch_allow=opened(origin)) as fetcher:
        with await fetcher.fetch(origin.url()) as held:
            assert held.path.read_bytes() == SECRET


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://example.com#@127.0.0.1/", "example.com", "/"),
        ("https://EXAMPLE.com/a%2Fb?x=%2F+&y", "example.com", "/a%2Fb?x=%2F+&y"),
        ("https://example.com?x", "example.com", "/?x"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", "/%C3%BC"),
        ("http://[2606:4700:4700:0:0:0:0:1111]/", "2606:4700:4700::1111", "/"),
        ("http://8.8.8.8/", "8.8.8.8", "/"),
    ],
)
def test_valid_urls_are_not_changed(url: str, host: str, path: str) -> None:
    """read_target normalises the host, and keeps path and query exactly, because they may be signed."""
    target = read_target(url)
    assert (target.host, target.url.raw_path_qs) == (host, path)
    assert target.url.host_port_subcomponent.strip("[]") == host
