"""Hosts are compared in one form, and only valid ones get into URLs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.api.edge.raw_request import sent
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.api.edge.hosts import AllowedHosts, Host, read_host, read_origin
from worker.errors import StartupError

TOKEN = "a-token-of-the-caller"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def guarded(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with tokens."""
    async with worker(engine, tmp_path_factory.mktemp("guarded"), tokens=SecretStr(f"alice={TOKEN}")) as found:
        yield found


HOSTILE = ('evil"><script>', "evil/x?", "evil#", "a b", "user@evil", "evil:x", "[::1", "evil\\x", "x" * 300, "\xff", "")


@pytest.mark.parametrize("host", HOSTILE)
async def test_no_host_reaches_a_url_unchecked(guarded: Client, host: str) -> None:
    """An invalid host is not in the response. The address of the connection is used instead."""
    body = json.dumps({"workflow": picture(), "output_format": "url"}).encode()
    for target in ("/generate/sync", "/generate"):
        answer = await sent(guarded, target, f"Host: {host}", f"Authorization: Bearer {TOKEN}", body=body)
        assert answer.status in {200, 202}
        job = json.loads(answer.body)
        assert (job.get("image") or job["url"]).startswith(guarded.app.url + "/jobs/")


async def test_urls_name_only_the_hosts_that_the_operator_names(engine: EngineHandle, tmp_path: Path) -> None:
    """With tokens an unknown host is accepted, but not used in URLs once WORKER_ALLOWED_HOSTS is set."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    given = {"tokens": SecretStr(f"alice={TOKEN}"), "trusted_proxies": "127.0.0.1"}
    for allowed, hosts in (("", ("a.example", "b.example")), ("a.example", ("a.example", ""))):
        async with worker(engine, tmp_path / (allowed or "any"), allowed_hosts=allowed, **given) as client:
            for host, expected in zip(("a.example", "b.example"), hosts, strict=True):
                for named in ({"Host": host}, {"X-Forwarded-Host": host}, {"Forwarded": f"host={host}"}):
                    _, job = await client.post("/generate", {"workflow": picture()}, **headers, **named)
                    assert job["url"].startswith(f"http://{expected}/" if expected else client.app.url + "/")


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("LocalHost.:80", Host("localhost", 80)),
        ("localhost:", Host("localhost")),
        ("[::1%25lo]:1", Host("::1", 1)),
        ("[::ffff:7f00:1]", Host("127.0.0.1")),
        ("127.0.0.1.", Host("127.0.0.1")),
        ("a_b.example", Host("a_b.example")),
        *(
            (text, None)
            for text in (*HOSTILE, "::1", "[127.0.0.1]", "a..b", ".", "a:1:2", "\u0661.example", "a,b", "a\n")
        ),
    ],
)
async def test_hosts_are_compared_in_one_form(text: str, host: Host | None) -> None:
    """Case, a final dot, a zone and IPv4 inside IPv6 make no difference. Invalid hosts are rejected."""
    assert read_host(text) == host or (text == "[127.0.0.1]" and read_host(text) == Host("127.0.0.1"))


async def test_origins_are_compared_in_one_form() -> None:
    """The default port is removed from an origin. Text with more than an origin is rejected."""
    assert read_origin("HTTP://LOCALHOST.:80") == "http://localhost"
    assert read_origin("https://[::1]:443") == "https://[::1]"
    assert read_origin("https://a.example:80") == "https://a.example:80"
    for text in ("null", "", "a.example", "file://", "ftp://a.example", "http://a.example/", "http://u@a.example"):
        assert read_origin(text) is None


@pytest.mark.parametrize("entry", ["*", "http://a.example", "a.example/x", "a b", "10.0.0.0/99", "a.example:x"])
async def test_entries_that_name_no_host(entry: str) -> None:
    """An invalid entry of WORKER_ALLOWED_HOSTS stops the start, and the error names setting and entry."""
    with pytest.raises(StartupError, match=r"WORKER_ALLOWED_HOSTS"):
        AllowedHosts.read(f"localhost, {entry}")
