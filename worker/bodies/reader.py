"""From the chunks of a request to its JSON value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from worker.bodies.body import ScannedBody
from worker.bodies.encoding import utf8_chunks, utf8_text
from worker.bodies.folder import SpoolFolder, in_thread
from worker.bodies.json_error import BODY, invalid_json_error
from worker.bodies.limits import KIB, PIECE, BodyLimits, check_depth, parse_units
from worker.bodies.long_string import LongString
from worker.bodies.scanner import BodyScanner
from worker.bodies.skeleton import JsonSkeleton
from worker.bodies.spooled import JsonPath, SpooledText
from worker.errors import InvalidJson

AT_ONCE = 64 * KIB
"""JSON up to this size is parsed where it is; a thread would take longer to begin."""


class BodyReader:
    """Reads a body when it is asked to, so that the caller can first find out whose it is.

    `head` may be called before `read`; nothing is lost by it. The limits are given to `read`, after that.
    """

    def __init__(self, chunks: AsyncIterator[bytes], charset: str = "") -> None:
        """`charset` is what a Content-Type header declares; the encoding is read from the body where it shows."""
        self._chunks = utf8_chunks(chunks, charset)
        self._head = bytearray()
        self.ended = False
        """The head is the whole body."""

    @property
    def size(self) -> int:
        """Bytes of the body that are here."""
        return len(self._head)

    async def head(self, size: int) -> bytes:
        """Return the first `size` bytes and what came in one chunk with them, or the whole body where it is shorter."""
        while len(self._head) < size and not self.ended:
            chunk = await anext(self._chunks, None)
            self._head += chunk or b""
            self.ended = chunk is None
        return bytes(self._head)

    async def read_short(self, limits: BodyLimits) -> ScannedBody | None:
        """Read and parse a body in which no string can be long. Return None for a longer one, which `read` reads.

        Raises InvalidJson.
        """
        longest = min(limits.text, limits.total)
        head = await self.head(longest + 1)
        return ScannedBody(parse_json(head), [], limits) if len(head) <= longest else None

    async def read(self, folder: SpoolFolder, limits: BodyLimits) -> ScannedBody:
        """Read to the end and parse. The folder removes the files. Raises InvalidJson, BodyTooLarge, DiskFull."""
        body = await self.read_short(limits)
        if body is not None:
            return body
        scanner = BodyScanner(folder, limits)
        try:
            async for piece in self._pieces(limits.piece):
                scanner.feed(piece)
                if scanner.has_pending_writes:
                    await in_thread(scanner.flush)
            rest = scanner.finish()
            if scanner.has_pending_writes:
                await in_thread(scanner.flush)
        finally:
            scanner.close()
        return ScannedBody(*await _parsed(rest), limits, folder)

    async def _pieces(self, size: int) -> AsyncIterator[bytes]:
        """Cut chunks that would hold the event loop too long, and let it run between the parts."""
        chunk: bytes | None = bytes(self._head)
        self._head.clear()
        while chunk is not None:
            yield chunk[:size]
            for start in range(size, len(chunk), size):
                await asyncio.sleep(0)
                yield chunk[start : start + size]
            chunk = await anext(self._chunks, None)


async def read_json(
    chunks: AsyncIterator[bytes], folder: SpoolFolder, limits: BodyLimits, charset: str = ""
) -> ScannedBody:
    """Read a JSON body. Raises InvalidJson, BodyTooLarge, DiskFull."""
    return await BodyReader(chunks, charset).read(folder, limits)


@asynccontextmanager
async def open_json(
    chunks: AsyncIterator[bytes], parent: Path, limits: BodyLimits, charset: str = ""
) -> AsyncIterator[ScannedBody]:
    """Read a JSON body; its files lie in a folder inside `parent` until the context ends. A short body has none.

    Raises InvalidJson, BodyTooLarge, DiskFull.
    """
    reader = BodyReader(chunks, charset)
    body = await reader.read_short(limits)
    if body is not None:
        yield body
        return
    async with SpoolFolder(parent) as folder:
        yield await reader.read(folder, limits)


def parse_json(json: bytes, what: str = BODY) -> Any:  # noqa: ANN401 - JSON
    """Return the value. Raises InvalidJson, which calls the text `what`, also for one that is nested too deep."""
    try:
        value = orjson.loads(json)
    except orjson.JSONDecodeError as error:
        raise invalid_json_error(json, error, what) from None
    check_depth(value, what)
    return value


async def _parsed(rest: JsonSkeleton) -> tuple[Any, list[SpooledText]]:
    value, spooled, overwritten = await in_thread(rest.parse) if len(rest.json) > AT_ONCE else rest.parse()
    if overwritten:  # by a later value of the same key
        await in_thread(lambda: _remove(overwritten))
    return value, spooled


def _remove(strings: list[LongString]) -> None:
    for string in strings:
        if string.path is not None:
            string.path.unlink()


async def parse_text_at(body: ScannedBody, location: JsonPath, text: str | SpooledText) -> None:
    """Read a string of the body as JSON, and put the value in its place; its long strings are files again.

    Raises InvalidJson, BodyTooLarge, DiskFull.
    """
    what = f"the text of {'.'.join(map(str, location))!r}" if location else BODY
    if isinstance(text, str):
        json = utf8_text(text.encode())
        body.limits.check_skeleton(len(json), parse_units(json))
        body.graft(location, ScannedBody(parse_json(json, what), [], body.limits))
    elif body.folder is not None:
        try:
            inner = await read_json(file_chunks(text.path), body.folder, body.limits)
        except InvalidJson as error:
            raise InvalidJson(error.message.replace(BODY, what, 1)) from None
        body.graft(location, inner)
        await in_thread(text.path.unlink)


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """Yield the pieces of a file."""
    with path.open("rb") as file:
        while chunk := await in_thread(lambda: file.read(PIECE)):
            yield chunk
