"""Bodies in chunks, and a scanner with small limits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from worker.bodies import BodyLimits, ScannedBody, SpooledText, SpoolFolder, read_json

SMALL = BodyLimits(total=1_000_000, text=8, skeleton=100_000, piece=16)

LARGE = BodyLimits(total=10_000_000)


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


def cut(body: bytes, size: int) -> Iterator[bytes]:
    """Return the body in chunks of this size."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def at(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({place for place in places if 0 < place < len(body)}), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


async def whole(value: Any) -> Any:
    """Return the value with every long string read back from its file."""
    if isinstance(value, SpooledText):
        assert value.path.stat().st_size == value.size
        return await value.text(value.size)
    if isinstance(value, dict):
        return {key: await whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [await whole(item) for item in value]
    return value


async def scanned(chunks: Iterable[bytes], folder: SpoolFolder, limits: BodyLimits = SMALL) -> ScannedBody:
    """Return the scanned body."""
    return await read_json(stream(chunks), folder, limits)


def files(parent: Path) -> list[Path]:
    """Return the files in a folder."""
    return [path for path in parent.rglob("*") if path.is_file()]
