"""Behind a trusted reverse proxy, URLs are those that the client requested."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.edge.addresses import read_address
from worker.api.edge.proxies import ClientView, through_proxies, trusted_networks
from worker.errors import StartupError

PROXIED = {"trusted_proxies": "127.0.0.1, ::1", "allowed_hosts": "*.example.com"}
TLS = {"Host": "api.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}


async def output_url(client: Client, headers: dict[str, str]) -> str:
    """Return the URL of the output of a job."""
    body = {"workflow": picture(), "output_format": "url"}
    status, answer = await client.post("/generate/sync", body, **headers)
    assert status == 200, answer
    return str(answer["outputs"][0]["url"])


async def test_urls_are_those_of_the_trusted_proxy(engine: EngineHandle, tmp_path: Path) -> None:
    """Scheme, host and prefix of a trusted proxy are in responses and headers."""
    async with worker(engine, tmp_path, **PROXIED) as client:
        assert (await output_url(client, TLS)).startswith("https://api.example.com/jobs/")
        moved = TLS | {"X-Forwarded-Host": "gpu.example.com:8443", "X-Forwarded-Prefix": "/comfy/"}
        assert (await output_url(client, moved)).startswith("https://gpu.example.com:8443/comfy/jobs/")
        standard = {"Forwarded": 'for="[2001:db8::1]";proto=https;host=std.example.com'}
        assert (await output_url(client, standard)).startswith("https://std.example.com/jobs/")
        url = client.app.url + "/generate"
        async with client.http.post(url, json={"workflow": picture()}, headers=moved) as answer:
            assert answer.headers["Location"].startswith("https://gpu.example.com:8443/comfy/jobs/")
            assert (await answer.json())["url"] == answer.headers["Location"]


async def test_the_public_url_goes_before_headers(engine: EngineHandle, tmp_path: Path) -> None:
    """WORKER_PUBLIC_URL takes precedence over headers of a proxy."""
    given = PROXIED | {"public_url": "https://own.example.com"}
    async with worker(engine, tmp_path, **given) as client:
        assert (await output_url(client, TLS)).startswith("https://own.example.com/jobs/")


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
async def test_headers_of_others_do_not_count(engine: EngineHandle, tmp_path: Path, trusted: str) -> None:
    """Forwarding headers of an untrusted client are ignored."""
    async with worker(engine, tmp_path, **PROXIED | {"trusted_proxies": trusted}) as client:
        assert (await output_url(client, TLS)).startswith("http://api.example.com/jobs/")


PLAIN = ClientView("http", "worker:18288", address="10.0.0.1")
CHAINS = [
    pytest.param({"proto": ["https"], "for": ["203.0.113.9"]}, "https://worker:18288", "203.0.113.9", id="one proxy"),
    pytest.param(
        {"proto": ["https", "http"], "host": ["a.example", "lb.internal"], "for": ["203.0.113.9", "10.0.0.7"]},
        "https://a.example",
        "203.0.113.9",
        id="two trusted ones",
    ),
    pytest.param(
        {"proto": ["https", "http"], "host": ["made-up.example", "a.example"], "for": ["6.6.6.6", "203.0.113.9"]},
        "http://a.example",
        "203.0.113.9",
        id="what the client has made up",
    ),
    pytest.param({"proto": ["gopher"], "host": ["a b"]}, "http://worker:18288", "10.0.0.1", id="nonsense"),
    pytest.param({"host": ["evil.example/x?"]}, "http://worker:18288", "10.0.0.1", id="a path as the host"),
    pytest.param({"prefix": ["/a/../b"]}, "http://worker:18288", "10.0.0.1", id="dots in the prefix"),
    pytest.param({"prefix": ["//evil.example"]}, "http://worker:18288", "10.0.0.1", id="a host as the prefix"),
    pytest.param({"prefix": ["/a/b/"]}, "http://worker:18288/a/b", "10.0.0.1", id="a prefix"),
    pytest.param({"prefix": ["/"]}, "http://worker:18288", "10.0.0.1", id="no prefix"),
    pytest.param({"for": ["unknown"]}, "http://worker:18288", "10.0.0.1", id="an unknown client"),
    pytest.param({"for": ["203.0.113.9:5123"]}, "http://worker:18288", "203.0.113.9", id="a port"),
    pytest.param({"for": ["[2001:db8::1]:80"]}, "http://worker:18288", "2001:db8::1", id="IPv6 with a port"),
    pytest.param({"host": ["[2001:db8::1]:443"]}, "http://[2001:db8::1]:443", "10.0.0.1", id="IPv6 as the host"),
]


@pytest.mark.parametrize(("written", "url", "address"), CHAINS)
def test_chains_of_proxies(written: dict[str, list[str]], url: str, address: str) -> None:
    """The values of the farthest trusted proxy count, and earlier ones are ignored."""
    view = through_proxies(PLAIN, written, trusted_networks("10.0.0.0/8"))
    assert (view.base_url, view.address) == (url, address)


def test_addresses_and_networks() -> None:
    """IPv4 and IPv6 addresses and networks are parsed. An IPv4 address inside IPv6 equals the IPv4 address."""
    assert trusted_networks("10.1.2.3/8, ::1,192.168.1.5") == tuple(
        map(ip_network, ("10.0.0.0/8", "::1/128", "192.168.1.5/32"))
    )
    assert str(read_address("::ffff:10.0.0.1")) == "10.0.0.1"
    for text in ("proxy.internal", "10.0.0.0/99", "10.0.0"):
        with pytest.raises(StartupError, match="WORKER_TRUSTED_PROXIES"):
            trusted_networks(text)
