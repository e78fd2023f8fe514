"""Redirects, followed one by one so that each URL is checked like the first."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from worker.fetch.credentials import Credentials
from worker.fetch.guard import Guard
from worker.fetch.target import INVISIBLE, FetchTarget, read_target, refused

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)


@asynccontextmanager
async def get_following_redirects(
    guard: Guard, first: FetchTarget, headers: Mapping[str, str], credentials: Credentials
) -> AsyncIterator[aiohttp.ClientResponse]:
    """GET a URL and follow its redirects. Yield the last response.

    Credentials are sent to the first host only, even if the operator has credentials for the next one. Raises
    UrlRefused, aiohttp.ClientError, TimeoutError.
    """
    target = first
    credential_headers = credentials.headers(first, trusted=guard.policy.trusts(first))
    for _ in range(MOST_HOPS + 1):
        async with guard.request("GET", target, {**headers, **credential_headers}) as response:
            location = response.headers.get("Location")
            if response.status not in REDIRECTS or location is None:
                yield response
                return
        new_target = next_target(target, location)
        if new_target.origin != target.origin:
            credential_headers = {}
        target = new_target
    raise refused(f"the URL redirects more than {MOST_HOPS} times", "use the final URL")


def next_target(target: FetchTarget, location: str) -> FetchTarget:
    """Return the target of a redirect. Raises UrlRefused for a bad URL, and for a redirect from https to http."""
    if INVISIBLE.search(location) or "\\" in location:
        raise refused("the URL redirects to an invalid URL", "use the final URL")
    new_target = read_target(_absolute_url(target, location))
    if target.encrypted and not new_target.encrypted:
        raise refused("the URL redirects from https to http", "use a URL that stays on https")
    return new_target


def _absolute_url(target: FetchTarget, location: str) -> str:
    """Return the absolute URL of a `Location` header.

    A location with a scheme or a host is not joined, because joining would correct errors that have to be refused.
    """
    if ABSOLUTE.match(location):
        return location
    if location.startswith("//"):
        return f"{target.scheme}:{location}"
    return str(target.url.join(URL(location, encoded=location.isascii())))
