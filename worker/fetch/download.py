"""Download of one URL within limits. An interrupted download is resumed where it stopped."""

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
from worker.fetch.redirects import get_following_redirects
from worker.fetch.target import FetchTarget, refused

MIB = 1024 * 1024
BACKOFF = Backoff(0.1, 2.0, factor=4)
RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the request is retried."""
CURES = {
    401: "use a signed URL, or ask the operator for credentials for that host (WORKER_FETCH_AUTH)",
    404: "check the URL",
    410: "use another URL",
}
CURES[403] = CURES[401]
RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits of a download.

    - `size`: most bytes of the file.
    - `total_s`: most seconds of the complete download.
    - `idle_s`: most seconds without data.
    - `failures`: retries in a row without progress. Each follows a pause of `backoff`.
    """

    size: int
    total_s: float
    idle_s: float
    failures: int = 3
    backoff: Backoff = BACKOFF


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Version of a file as its server reports it (`ETag`, `Last-Modified`). Either may be empty."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> FileVersion:
        """Return the version in the headers of a response."""
        return cls(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))

    @property
    def if_changed(self) -> dict[str, str]:
        """Headers of a conditional request that returns the file only if it has changed."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}

    @property
    def if_same(self) -> str:
        """Value of `If-Range`, or "" if the version cannot prove that the file is the same.

        HTTP does not allow a weak tag in this header.
        """
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified


class _RetryableError(Exception):
    """A failed attempt that may succeed when it is retried."""


class Download:
    """A download into `partial`. `version` is the version of the file that is in `partial`."""

    def __init__(
        self, guard: Guard, credentials: Credentials, target: FetchTarget, partial: Partial, limits: DownloadLimits
    ) -> None:
        self._guard = guard
        self._credentials = credentials
        self._target = target
        self._partial = partial
        self._limits = limits
        self.version = FileVersion()

    async def run(self, current_version: FileVersion) -> bool:
        """Download the file. Return False if the server reports that it still has the version `current_version`.

        Raises UrlRefused, FetchFailed, InputTooLarge, CacheFull.
        """
        try:
            async with asyncio.timeout(self._limits.total_s):
                return await self._run_with_retries(current_version)
        except TimeoutError:
            raise self._failed(f"the download took longer than {self._limits.total_s:g} s") from None

    async def _run_with_retries(self, current_version: FileVersion) -> bool:
        """Try until an attempt succeeds or too many fail in a row. An attempt that received data resets the count.

        Return False if the server reports that it still has the version `current_version`.
        """
        failures = 0
        while True:
            size_before = self._partial.size
            try:
                return await self._attempt(current_version)
            except _RetryableError as error:
                failures = 1 if self._partial.size > size_before else failures + 1
                if failures > self._limits.failures:
                    raise self._failed(str(error)) from None
            await asyncio.sleep(self._limits.backoff.pause(failures))

    async def _attempt(self, current_version: FileVersion) -> bool:
        """Send one request, and write its body to the partial file.

        Return False if the server reports that it still has the version `current_version`. Raises _RetryableError.
        """
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "comfy-worker"}
        headers |= self._range_headers() or current_version.if_changed
        try:
            async with get_following_redirects(self._guard, self._target, headers, self._credentials) as response:
                if response.status == 304 and "Range" not in headers and current_version != FileVersion():
                    return False
                self._begin(response, is_range_request="Range" in headers)
                async for data in response.content.iter_any():
                    await self._write(data)
                return True
        except TimeoutError:
            raise _RetryableError(f"it sent no data for {self._limits.idle_s:g} s") from None
        except (aiohttp.ClientConnectorDNSError, UnicodeError):
            raise _RetryableError("the host name cannot be resolved") from None
        except aiohttp.ClientSSLError:
            raise self._failed("its certificate is not trusted") from None
        except aiohttp.ClientConnectorError:
            raise _RetryableError("it does not accept connections") from None
        except aiohttp.ClientError:
            raise _RetryableError("the connection was lost, or the response is not HTTP") from None

    def _range_headers(self) -> dict[str, str]:
        """Return the headers that request the missing part of the file, or none if it has to be requested whole."""
        if self._partial.size and self.version.if_same:
            return {"Range": f"bytes={self._partial.size}-", "If-Range": self.version.if_same}
        return {}

    def _begin(self, response: aiohttp.ClientResponse, *, is_range_request: bool) -> None:
        """Check the status and headers of a response, and prepare the partial file for its body.

        Raises UrlRefused, FetchFailed, InputTooLarge and CacheFull, and _RetryableError if a retry may succeed.
        """
        if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
            raise refused("the server compresses the file, which this worker does not accept", "use another server")
        if is_range_request and response.status == 206 and _first_byte(response.headers) == self._partial.size:
            pass  # the missing part of the file, which is appended
        elif response.status == 200:
            self._partial.restart()
            self.version = FileVersion.of(response)
        elif is_range_request and response.status in {206, 416}:
            self.version = FileVersion()  # so that the next attempt requests the complete file
            raise _RetryableError("it sent another part of the file than the requested one")
        elif response.status in RETRYABLE:
            raise _RetryableError(f"it returned {response.status}")
        else:
            raise self._failed(f"it returned {response.status}", CURES.get(response.status))
        self._reserve(self._partial.size + (response.content_length or 0))

    async def _write(self, data: bytes) -> None:
        """Append data to the partial file. Raises InputTooLarge above the limit, and CacheFull."""
        self._reserve(self._partial.size + len(data))
        await self._partial.write(data)

    def _reserve(self, size: int) -> None:
        """Reserve disk space for a file of `size` bytes. Raises InputTooLarge above the limit, and CacheFull."""
        if size > self._limits.size:
            cure = "send a smaller file, or ask the operator for a higher limit (WORKER_FETCH_MAX_MIB)"
            message = f"the file is larger than {self._limits.size / MIB:g} MiB"
            raise InputTooLarge(message, [Detail(message, suggestion=cure)])
        self._partial.reserve(size)

    def _failed(self, reason: str, cure: str | None = None) -> FetchFailed:
        """Return the error for this host with the suggestion `cure`."""
        message = f"{self._target.host} did not send the file: {reason}"
        return FetchFailed(message, [Detail(message, suggestion=cure or "check that the URL opens from elsewhere")])


def _first_byte(headers: Mapping[str, str]) -> int:
    """Return the offset of a partial response in the file, or -1 if the headers do not contain it."""
    match = RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(match[1]) if match else -1
