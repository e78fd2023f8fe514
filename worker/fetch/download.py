"""One file behind one URL, within its limits, taken up again where a connection broke off."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from worker.backoff import Backoff
from worker.errors import Detail, FetchFailed, InputTooLarge
from worker.fetch.credentials import Credentials
from worker.fetch.guard import Guard
from worker.fetch.partial import Partial
from worker.fetch.redirects import get
from worker.fetch.target import FetchTarget, refused

MIB = 1024 * 1024
BACKOFF = Backoff(0.1, 2.0, factor=4)
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
CURES = {
    401: "use a signed URL, or ask the operator for credentials for that host (WORKER_FETCH_AUTH)",
    404: "check the URL",
    410: "use another URL",
}
CURES[403] = CURES[401]
RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """`size` in bytes, times in seconds: for all of it, and without a byte.

    `failures` in a row are each followed by a pause of `backoff`; one more is the end.
    """

    size: int
    total_s: float
    idle_s: float
    failures: int = 3
    backoff: Backoff = BACKOFF


@dataclass(frozen=True, slots=True)
class FileVersion:
    """How a server tells one state of a file from another; either may be empty."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> FileVersion:
        return cls(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))

    @property
    def if_changed(self) -> dict[str, str]:
        """Headers that ask for the file only if it is another one."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}

    @property
    def if_same(self) -> str:
        """For `If-Range`, which takes no weak tag; empty where nothing proves that it is the same file."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified


class _Broken(Exception):
    """This try failed, another may not."""


class Download:
    """One download into `partial`. `version` is the one that was written, or is being written."""

    def __init__(
        self, guard: Guard, credentials: Credentials, target: FetchTarget, partial: Partial, limits: DownloadLimits
    ) -> None:
        self._guard = guard
        self._credentials = credentials
        self._target = target
        self._partial = partial
        self._limits = limits
        self.version = FileVersion()

    async def run(self, known: FileVersion) -> bool:
        """False where the server says that the file is still the `known` one; then nothing was written.

        Raises UrlRefused, FetchFailed, InputTooLarge, CacheFull.
        """
        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._tries(known)
        except TimeoutError:
            raise self._failed(f"it took longer than {self._limits.total_s:g} s") from None

    async def _tries(self, known: FileVersion) -> bool:
        """A try that got further than the one before starts the count anew; the time limit bounds them all."""
        failures = 0
        while True:
            before = self._partial.size
            try:
                return await self._try(known)
            except _Broken as error:
                failures = 1 if self._partial.size > before else failures + 1
                if failures > self._limits.failures:
                    raise self._failed(str(error)) from None
            await asyncio.sleep(self._limits.backoff.pause(failures))

    async def _try(self, known: FileVersion) -> bool:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "comfy-worker"}
        headers |= self._resume() or known.if_changed
        try:
            async with get(self._guard, self._target, headers, self._credentials) as response:
                if response.status == 304 and "Range" not in headers and known != FileVersion():
                    return False
                self._begin(response, asked_for_rest="Range" in headers)
                async for data in response.content.iter_any():
                    await self._take(data)
                return True
        except TimeoutError:
            raise _Broken(f"it was silent for {self._limits.idle_s:g} s") from None
        except (aiohttp.ClientConnectorDNSError, UnicodeError):
            raise _Broken("its name is not known") from None
        except aiohttp.ClientSSLError:
            raise self._failed("its certificate can't be trusted") from None
        except aiohttp.ClientConnectorError:
            raise _Broken("it takes no connection") from None
        except aiohttp.ClientError:
            raise _Broken("the connection broke off, or it doesn't speak HTTP") from None

    def _resume(self) -> dict[str, str]:
        """Ask for the rest, if what is here can be proved to be its beginning."""
        if self._partial.size and self.version.if_same:
            return {"Range": f"bytes={self._partial.size}-", "If-Range": self.version.if_same}
        return {}

    def _begin(self, response: aiohttp.ClientResponse, *, asked_for_rest: bool) -> None:
        """Look at everything that comes before the body."""
        if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
            raise refused("the server compresses the file, though it was asked not to", "use another server")
        if asked_for_rest and response.status == 206 and _starts_at(response.headers) == self._partial.size:
            pass
        elif response.status == 200:
            self._partial.restart()
            self.version = FileVersion.of(response)
        elif asked_for_rest and response.status in {206, 416}:
            self.version = FileVersion()  # so that the next try asks for all of it
            raise _Broken("it sent another part of the file than it was asked for")
        elif response.status in PASSING:
            raise _Broken(f"it answers {response.status}")
        else:
            raise self._failed(f"it answers {response.status}", CURES.get(response.status))
        self._reserve(self._partial.size + (response.content_length or 0))

    async def _take(self, data: bytes) -> None:
        self._reserve(self._partial.size + len(data))
        await self._partial.write(data)

    def _reserve(self, size: int) -> None:
        if size > self._limits.size:
            cure = "send a smaller file, or ask the operator for a higher limit (WORKER_FETCH_MAX_MIB)"
            message = f"the file is larger than {self._limits.size / MIB:g} MiB"
            raise InputTooLarge(message, [Detail(message, suggestion=cure)])
        self._partial.reserve(size)

    def _failed(self, reason: str, cure: str | None = None) -> FetchFailed:
        message = f"{self._target.host} did not send the file: {reason}"
        return FetchFailed(message, [Detail(message, suggestion=cure or "check that the URL opens from elsewhere")])


def _starts_at(headers: Mapping[str, str]) -> int:
    """First byte of a partial answer; -1 where it doesn't say."""
    match = RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(match[1]) if match else -1
