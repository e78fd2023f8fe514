"""A long string of a request that is stored in a file."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from worker.bodies.base64_file import decode_base64_file
from worker.bodies.folder import SpoolFolder, in_thread
from worker.errors import BodyTooLarge

JsonPath = tuple[str | int, ...]
"""Keys and indexes that lead from the root of a JSON value to an element."""


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file in the temporary folder of a request. `size` is in bytes."""

    path: Path
    size: int
    sha256: str


class SpooledText:
    """Takes the place of a string of more than 64 KiB in the parsed body.

    The code that reads its field calls `decode_base64` for a file or `text` for a text. `path` is the file with the
    text in UTF-8. `size`, in bytes, and `sha256` are those of the text.

    The class is neither a `str` nor a dataclass, because orjson would write both as JSON. A field that does not support
    long strings rejects it, and it cannot be sent to ComfyUI by mistake.
    """

    __slots__ = ("location", "path", "sha256", "size")

    def __init__(self, path: Path, size: int, sha256: str, location: JsonPath) -> None:
        self.path = path
        self.size = size
        self.sha256 = sha256
        self.location = location

    def __repr__(self) -> str:
        return f"<SpooledText {self.name}, {self.size} bytes>"

    @property
    def name(self) -> str:
        """Location in the body as error messages name it: `inputs.photo.png`."""
        return ".".join(str(part) for part in self.location) or "the body"

    async def text(self, limit: int) -> str:
        """Return the string. Raises BodyTooLarge if it has more than `limit` bytes."""
        if self.size > limit:
            raise BodyTooLarge(f"the text at {self.name} has {self.size} bytes; at most {limit} are allowed")
        return await in_thread(lambda: self.path.read_bytes().decode())

    async def beginning(self, size: int) -> str:
        """Return the first characters of the string, in at most `size` bytes."""
        return await in_thread(lambda: _beginning(self.path, size))

    async def decode_base64(self) -> SpooledFile:
        """Decode base64 or a data URI into a new file, and remove the file of the text.

        Raises NotBase64, after which the text is unchanged, or DiskFull.
        """
        target = self.path.with_name(f"{self.path.name}.decoded")
        size, sha256 = await in_thread(lambda: decode_base64_file(self.path, target))
        return SpooledFile(target, size, sha256)


async def spool_file(chunks: AsyncIterator[bytes], folder: SpoolFolder) -> SpooledFile:
    """Write chunks to a new file in the folder. Raises DiskFull."""
    path = await in_thread(folder.new_path)
    size, digest = 0, hashlib.sha256()

    def write(file: BinaryIO, chunk: bytes) -> None:
        """Write a chunk and add it to the digest."""
        file.write(chunk)
        digest.update(chunk)

    with path.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            await in_thread(partial(write, file, chunk))
        await in_thread(file.flush)
    return SpooledFile(path, size, digest.hexdigest())


def _beginning(path: Path, size: int) -> str:
    """Return the first characters of a file, in at most `size` bytes."""
    with path.open("rb") as file:
        return file.read(size).decode(errors="ignore")  # the last character may be incomplete
