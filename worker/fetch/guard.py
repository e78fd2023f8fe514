"""An HTTP client session that connects only to IP addresses that the policy has checked."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from socket import AddressFamily
from types import TracebackType
from typing import IO, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver

from worker.fetch.policy import Policy
from worker.fetch.target import FetchTarget

CONNECT_S = 10.0
BUFFER = 1024 * 1024


class CheckedResolver(AbstractResolver):
    """A resolver that checks all addresses of a host.

    aiohttp connects to the addresses that its resolver returns and does not resolve the name again. So the checked
    addresses are the ones that are used.
    """

    def __init__(self, policy: Policy, inner: AbstractResolver) -> None:
        self._policy = policy
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises UrlRefused if one of them is not allowed, OSError if there is none."""
        results = await self._inner.resolve(host, port, family)
        self._policy.check_addresses(host, port, [ip_address(result["host"]) for result in results])
        return results

    async def close(self) -> None:
        await self._inner.close()


class Guard:
    """A client session for URLs that users wrote.

    It uses no proxies and no cookies, follows no redirects, decodes no content, and does not reuse connections.
    """

    def __init__(
        self,
        policy: Policy,
        resolver: AbstractResolver | None = None,
        trust: ssl.SSLContext | None = None,
        idle_s: float = 30.0,
    ) -> None:
        self.policy = policy
        self._resolver = resolver
        self._trust = trust
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=idle_s)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._checked_resolver = CheckedResolver(self.policy, self._resolver or DefaultResolver())
        connector = aiohttp.TCPConnector(
            resolver=self._checked_resolver, use_dns_cache=False, force_close=True, limit=0, ssl=self._trust or True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=BUFFER,
            timeout=self._timeout,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._checked_resolver.close()

    @asynccontextmanager
    async def request(
        self, method: str, target: FetchTarget, headers: Mapping[str, str], body: bytes | IO[bytes] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and yield its response. The caller handles redirects.

        Raises UrlRefused, aiohttp.ClientError, TimeoutError.
        """
        self.policy.check(target)
        async with self._session.request(
            method, target.url, headers=headers, data=body, allow_redirects=False
        ) as response:
            yield response
