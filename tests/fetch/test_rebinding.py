"""DNS rebinding: names whose address changes after the check, with a real DNS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fetch.dns import NameServer, naming
from tests.fetch.origin import Answer, Origin, at_once, broken, content, fetching, redirect, serving
from worker.errors import FetchFailed, UrlRefused
from worker.fetch.fetcher import Fetcher
from worker.fetch.store import FileHold

GOOD, BAD = "127.0.0.2", "127.0.0.1"
"""Two addresses of this machine: the first is opened in these tests, the second is what an attacker is after."""
FILE = b"good" * 1000


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["0.0.0.0"],  # noqa: S104
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1"],
        ["fd00:ec2::254"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["2606:4700::1", "10.0.0.1"],
    ],
)
async def test_all_addresses_of_a_name_are_checked(tmp_path: Path, answers: list[str]) -> None:
    """fetch refuses a name with one bad address, and the error does not contain the address."""
    async with AsyncExitStack() as stack:
        inner = await stack.enter_async_context(serving(BAD, file=content(FILE)))
        server, resolver = await stack.enter_async_context(naming(evil_example=[answers]))
        fetcher = await stack.enter_async_context(fetching(tmp_path, resolver, fetch_ports=f"{inner.port}"))
        with pytest.raises(UrlRefused) as refusal:
            await fetcher.fetch(f"http://evil.example:{inner.port}/file")
    assert server.asked == ["evil.example"]
    assert inner.requests == []
    assert not any(address in str(refusal.value.as_dict()) for address in answers)


@dataclass(frozen=True)
class RebindingName:
    """A fetcher and a name that resolves to `outer` first and to `inner` afterwards, on the same port."""

    outer: Origin
    inner: Origin
    server: NameServer
    fetcher: Fetcher

    async def fetch(self) -> FileHold:
        return await self.fetcher.fetch(f"http://evil.example:{self.outer.port}/file")


@asynccontextmanager
async def two_faced(folder: Path, answer: Answer) -> AsyncIterator[RebindingName]:
    async with AsyncExitStack() as stack:
        outer = await stack.enter_async_context(serving(GOOD, file=answer))
        inner = await stack.enter_async_context(serving(BAD, port=outer.port, **{"*": content(b"bad")}))
        server, resolver = await stack.enter_async_context(naming(evil_example=[[GOOD], [BAD]]))
        allow = f"{GOOD}:{outer.port}"
        fetcher = await stack.enter_async_context(fetching(folder, resolver, fetch_allow=allow))
        yield RebindingName(outer, inner, server, fetcher)
        assert inner.requests == []


async def test_the_checked_address_is_used(tmp_path: Path) -> None:
    """fetch resolves a name once, and connects to the checked address."""
    async with two_faced(tmp_path, content(FILE)) as evil:
        with await evil.fetch() as held:
            assert held.path.read_bytes() == FILE
        assert evil.server.asked == ["evil.example"]
        with pytest.raises(UrlRefused):
            await evil.fetch()
        assert len(evil.outer.requests) == 1


async def test_a_redirect_to_the_same_name_is_checked_again(tmp_path: Path) -> None:
    """fetch resolves the name again after a redirect, and refuses the bad address."""
    async with two_faced(tmp_path, redirect("/other")) as evil:
        with pytest.raises(UrlRefused):
            await evil.fetch()
        assert evil.outer.paths == ["/file"]


async def test_resuming_a_download_is_checked_again(tmp_path: Path) -> None:
    """fetch resolves the name again to resume a download, and refuses the bad address."""
    async with two_faced(tmp_path, broken(FILE, 100, ETag='"1"')) as evil:
        with pytest.raises(UrlRefused):
            await evil.fetch()
        assert evil.outer.paths == ["/file"]


async def test_a_name_that_does_not_exist(tmp_path: Path) -> None:
    """fetch raises FetchFailed for a name without an address."""
    async with naming(gone_example=[[]]) as (_, resolver), fetching(tmp_path, resolver) as fetcher:
        with pytest.raises(FetchFailed, match="name cannot be resolved"):
            await fetcher.fetch("http://gone.example/file", limits=at_once(fetcher))


async def test_an_opened_name_reaches_an_internal_address(tmp_path: Path) -> None:
    """fetch connects to an internal address if the operator opened the name."""
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(GOOD, file=content(FILE)))
        _, resolver = await stack.enter_async_context(naming(nas_corp_example=[[GOOD]]))
        allow = f"*.corp.example:{origin.port}"
        fetcher = await stack.enter_async_context(fetching(tmp_path, resolver, fetch_allow=allow))
        with await fetcher.fetch(f"http://nas.corp.example:{origin.port}/file") as held:
            assert held.size == len(FILE)
    assert origin.requests[0].headers["Host"] == f"nas.corp.example:{origin.port}"
