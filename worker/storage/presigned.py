"""Outputs sent to addresses that were signed for them: the client's keys stay with the client."""

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
AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class PutUrls(DeliveryTarget):
    """Presigned addresses, one for each file, in the order of the answer's outputs; whoever has one may write."""

    urls: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, urls: Sequence[str]) -> PutUrls:
        return cls(tuple(urls))


class PresignedPut:
    """A Storage: one PUT for each file, in the order in which the answer lists them."""

    external = True

    def __init__(self, guard: Guard, urls: PutUrls, order: tuple[int, ...], backoff: Backoff = BACKOFF) -> None:
        """`order`: the indices of the outputs that have a file. `backoff`: the pauses between tries.

        Raises DeliveryRefused where the URLs don't suffice.
        """
        if len(urls.urls) < len(order):
            raise DeliveryRefused(f"{len(order)} files were made, for {len(urls.urls)} addresses in `put_urls`")
        self._guard = guard
        self._backoff = backoff
        self._urls = dict(zip(order, urls.urls, strict=False))

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """The file's address without what was signed into it."""
        target = check_url(self._guard.policy, self._urls[output.index])
        headers = {"Content-Type": output.mime, "Content-Length": str(output.size)}
        for failures in range(TRIES):
            if failures:
                await asyncio.sleep(self._backoff.pause(failures))
            try:
                status = await self._sent(target, headers, path)
            except (ClientError, TimeoutError):
                continue
            if status < 300:
                return str(target.url.with_query(None))
            if status < 500 and status not in AGAIN:
                raise DeliveryRefused(f"{target.host} did not take the file: {status}")
        raise DeliveryFailed(f"{target.host} could not be reached, or failed {TRIES} times")

    async def _sent(self, target: FetchTarget, headers: Mapping[str, str], path: Path) -> int:
        with path.open("rb") as file:  # aiohttp reads it in pieces, in a thread
            async with self._guard.request(hdrs.METH_PUT, target, headers, file) as answer:
                return answer.status


class PresignedPuts:
    """A StorageProvider."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def check(self, target: PutUrls) -> None:
        for url in target.urls:
            check_url(self._guard.policy, url)

    def open(self, target: PutUrls, outputs: Sequence[Output]) -> PresignedPut:
        return PresignedPut(self._guard, target, tuple(output.index for output in outputs))

    def operator_storage(self) -> None:
        """Return None: an operator has no addresses for files that are not made yet."""


@asynccontextmanager
async def _provider(_: Settings, guard: Guard) -> AsyncIterator[PresignedPuts]:
    yield PresignedPuts(guard)


KIND = StorageKind(
    name="put_urls",
    field=(
        list[str],
        Field(
            min_length=1, max_length=1000, description="Presigned PUT URLs, one for each file, in the answer's order."
        ),
    ),
    target=PutUrls.of,
    target_type=PutUrls,
    way=DeliveryMethod.PRESIGNED,
    provider=_provider,
)
