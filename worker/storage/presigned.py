"""Delivery to presigned PUT URLs, for clients that do not share their credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import ClientError, hdrs
from pydantic import Field

from worker.backoff import Backoff
from worker.delivery_options import DeliveryTarget
from worker.errors import DeliveryFailed, DeliveryRefused
from worker.events import DeliveryMethod
from worker.fetch.guard import Guard
from worker.fetch.target import FetchTarget
from worker.job import Job, Output
from worker.settings import Settings
from worker.storage.allowed import check_url
from worker.storage.kind import StorageKind

TRIES, BACKOFF = 4, Backoff(1.0, 4.0)
RETRYABLE = frozenset({408, 425, 429})
"""Statuses below 500 after which the request is retried."""


@dataclass(frozen=True, slots=True)
class PutUrls(DeliveryTarget):
    """Presigned URLs for PUT, which are secrets.

    There is one for each file, in the order of the outputs in the response.
    """

    urls: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, urls: Sequence[str]) -> PutUrls:
        """Return the target for the value of the request's field `put_urls`."""
        return cls(tuple(urls))


class PresignedPut:
    """The `Storage` that sends each file with PUT to its presigned URL."""

    external = True

    def __init__(self, guard: Guard, urls: PutUrls, indices: tuple[int, ...], backoff: Backoff = BACKOFF) -> None:
        """Assign a URL to each file. `indices` are those of the outputs that have a file, in the order of the URLs.

        Raises DeliveryRefused if there are fewer URLs than files.
        """
        if len(urls.urls) < len(indices):
            raise DeliveryRefused(f"the job has {len(indices)} files, but `put_urls` has only {len(urls.urls)} URLs")
        self._guard = guard
        self._backoff = backoff
        self._urls_by_index = dict(zip(indices, urls.urls, strict=False))

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """Send a file to its URL, and return the URL without the signature. Retries after errors of the server.

        Raises DeliveryRefused if the server rejects the file, DeliveryFailed after the last retry, and TargetNotAllowed
        or UrlRefused if the URL may not be used.
        """
        target = check_url(self._guard.policy, self._urls_by_index[output.index])
        headers = {"Content-Type": output.mime, "Content-Length": str(output.size)}
        for failures in range(TRIES):
            if failures:
                await asyncio.sleep(self._backoff.pause(failures))
            try:
                status = await self._send(target, headers, path)
            except (ClientError, TimeoutError):
                continue
            if status < 300:
                return str(target.url.with_query(None))
            if status < 500 and status not in RETRYABLE:
                raise DeliveryRefused(f"{target.host} rejected the file with the status {status}")
        raise DeliveryFailed(
            f"{target.host} did not store the file in {TRIES} attempts: it could not be reached, or returned errors"
        )

    async def _send(self, target: FetchTarget, headers: Mapping[str, str], path: Path) -> int:
        """Send a file in one PUT request, and return the status of the response. Raises ClientError or TimeoutError."""
        with path.open("rb") as file:  # aiohttp reads the file in pieces, in a thread
            async with self._guard.request(hdrs.METH_PUT, target, headers, file) as response:
                return response.status


class PresignedPutProvider:
    """The `StorageProvider` for presigned URLs."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def check(self, target: PutUrls) -> None:
        """Check all URLs. Raises TargetNotAllowed or UrlRefused if one may not be used."""
        for url in target.urls:
            check_url(self._guard.policy, url)

    def open(self, target: PutUrls, outputs: Sequence[Output]) -> PresignedPut:
        """Return the storage for the outputs. Raises DeliveryRefused if there are fewer URLs than files."""
        return PresignedPut(self._guard, target, tuple(output.index for output in outputs))

    def operator_storage(self) -> None:
        """Return None, because an operator has no presigned URLs for future files."""


@asynccontextmanager
async def _provider(_: Settings, guard: Guard) -> AsyncIterator[PresignedPutProvider]:
    """Open the provider. It has nothing to close."""
    yield PresignedPutProvider(guard)


KIND = StorageKind(
    name="put_urls",
    field=(
        list[str],
        Field(
            min_length=1,
            max_length=1000,
            description="Presigned PUT URLs for the files, in the order of `outputs`.",
        ),
    ),
    target=PutUrls.of,
    target_type=PutUrls,
    method=DeliveryMethod.PRESIGNED,
    provider=_provider,
)
