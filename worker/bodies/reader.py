"""Reading of a JSON value from the chunks of a request."""

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

LARGEST_ON_LOOP = 64 * KIB
"""JSON up to this size is parsed on the event loop, because starting a thread would take longer."""


class BodyReader:
    """Reads a body in two steps, so that the caller can authenticate a request by its beginning.

    `head` may be called before `read` and loses nothing. The limits are passed to `read`, when the sender is known.
    """

    def __init__(self, chunks: AsyncIterator[bytes], charset: str = "") -> None:
        """`charset` is that of the Content-Type header. It is used only if the first bytes do not show the encoding."""
        self._chunks = utf8_chunks(chunks, charset)
        self._head = bytearray()
        self.ended = False
        """Whether the head is the whole body."""

    @property
    def size(self) -> int:
        """Bytes of the body that have been read by `head`."""
        return len(self._head)

    async def head(self, size: int) -> bytes:
        """Return at least the first `size` bytes, or the whole body if it is shorter."""
        while len(self._head) < size and not self.ended:
            chunk = await anext(self._chunks, None)
            self._head += chunk or b""
            self.ended = chunk is None
        return bytes(self._head)

    async def read_short(self, limits: BodyLimits) -> ScannedBody | None:
        """Read and parse a body that is too short to contain a long string. Return None for a longer body.

        A longer body is then read by `read`. Raises InvalidJson.
        """
        longest = min(limits.text, limits.total)
        head = await self.head(longest + 1)  # one byte more shows whether the body is longer
        return ScannedBody(parse_json(head), [], limits) if len(head) <= longest else None

    async def read(self, folder: SpoolFolder, limits: BodyLimits) -> ScannedBody:
        """Read the whole body and parse it.

        Files are written to `folder`. Raises InvalidJson, BodyTooLarge or DiskFull.
        """
        body = await self.read_short(limits)
        if body is not None:
            return body
        scanner = BodyScanner(folder, limits)
        try:
            async for piece in self._pieces(limits.piece):
                scanner.feed(piece)
                if scanner.has_pending_writes:
                    await in_thread(scanner.flush)
            skeleton = scanner.finish()
            if scanner.has_pending_writes:
                await in_thread(scanner.flush)
        finally:
            scanner.close()
        return ScannedBody(*await _parse_skeleton(skeleton), limits, folder)

    async def _pieces(self, size: int) -> AsyncIterator[bytes]:
        """Yield the body in pieces of at most `size` bytes, and let the event loop run between them."""
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
    """Read a JSON body, with its files in `folder`. Raises InvalidJson, BodyTooLarge or DiskFull."""
    return await BodyReader(chunks, charset).read(folder, limits)


@asynccontextmanager
async def open_json(
    chunks: AsyncIterator[bytes], parent: Path, limits: BodyLimits, charset: str = ""
) -> AsyncIterator[ScannedBody]:
    """Read a JSON body. Its files are in a temporary folder inside `parent` until the context ends.

    Raises InvalidJson, BodyTooLarge or DiskFull.
    """
    reader = BodyReader(chunks, charset)
    body = await reader.read_short(limits)
    if body is not None:
        yield body
        return
    async with SpoolFolder(parent) as folder:
        yield await reader.read(folder, limits)


def parse_json(json: bytes, subject: str = BODY) -> Any:  # noqa: ANN401 - JSON
    """Parse JSON. Raises InvalidJson for invalid or too deeply nested JSON. `subject` names the text in the message."""
    try:
        value = orjson.loads(json)
    except orjson.JSONDecodeError as error:
        raise invalid_json_error(json, error, subject) from None
    check_depth(value, subject)
    return value


async def _parse_skeleton(skeleton: JsonSkeleton) -> tuple[Any, list[SpooledText]]:
    """Return the value of a body and the long strings in it. Parse the JSON in a thread if it is large.

    A string that is not in the value, because its key occurs again later in the object, loses its file.
    """
    is_large = len(skeleton.json) > LARGEST_ON_LOOP
    value, spooled, overwritten = await in_thread(skeleton.parse) if is_large else skeleton.parse()
    if overwritten:
        await in_thread(lambda: _delete_files(overwritten))
    return value, spooled


def _delete_files(strings: list[LongString]) -> None:
    """Delete the files of long strings."""
    for string in strings:
        if string.path is not None:
            string.path.unlink()


async def parse_text_at(body: ScannedBody, location: JsonPath, text: str | SpooledText) -> None:
    """Parse a string of the body as JSON, and replace it by the value. Long strings in it become files.

    Raises InvalidJson, BodyTooLarge or DiskFull.
    """
    subject = f"the text of {'.'.join(map(str, location))!r}" if location else BODY
    if isinstance(text, str):
        json = utf8_text(text.encode())
        body.limits.check_skeleton(len(json), parse_units(json))
        body.graft(location, ScannedBody(parse_json(json, subject), [], body.limits))
    elif body.folder is not None:  # a body with long strings always has a folder
        try:
            inner = await read_json(file_chunks(text.path), body.folder, body.limits)
        except InvalidJson as error:  # its message names the body in place of the string
            raise InvalidJson(error.message.replace(BODY, subject, 1)) from None
        body.graft(location, inner)
        await in_thread(text.path.unlink)


async def file_chunks(path: Path) -> AsyncIterator[bytes]:
    """Yield the contents of a file in pieces."""
    with path.open("rb") as file:
        while chunk := await in_thread(lambda: file.read(PIECE)):
            yield chunk
