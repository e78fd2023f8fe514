"""A long string of a request, as a file in place of a `str`."""

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
"""The keys and indexes that lead to a value from the root."""


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file in the folder of the request. `size` is in bytes."""

    path: Path
    size: int
    sha256: str


class SpooledText:
    """Stands in the parsed body where a string of more than 64 KiB was.

    The field that holds it decides what it is: `decode_base64` or `text`. `path` has the text in UTF-8, in the folder
    of the request; `size`, in bytes, and `sha256` are of that text.

    It is neither a `str` nor a dataclass, which orjson would write as JSON. A field that knows nothing of long strings
    refuses it, and it can't be sent to ComfyUI by mistake.
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
        """Where it stands, as error messages name it: `inputs.photo.png`."""
        return ".".join(str(part) for part in self.location) or "the body"

    async def text(self, limit: int) -> str:
        """Return the string itself. Raises BodyTooLarge above `limit` bytes."""
        if self.size > limit:
            raise BodyTooLarge(f"the text at {self.name} has {self.size} bytes; {limit} is the limit")
        return await in_thread(lambda: self.path.read_bytes().decode())

    async def beginning(self, size: int) -> str:
        """Return the first characters, at most `size` bytes of them."""
        return await in_thread(lambda: _beginning(self.path, size))

    async def decode_base64(self) -> SpooledFile:
        """Decode base64 or a data URI into a file beside this one, which is removed.

        Raises NotBase64, where this one stays, and DiskFull.
        """
        target = self.path.with_name(f"{self.path.name}.decoded")
        size, sha256 = await in_thread(lambda: decode_base64_file(self.path, target))
        return SpooledFile(target, size, sha256)


async def spool_file(chunks: AsyncIterator[bytes], folder: SpoolFolder) -> SpooledFile:
    """Write a file that arrives as it is. Raises DiskFull."""
    path = await in_thread(folder.new_path)
    size, digest = 0, hashlib.sha256()

    def write(file: BinaryIO, chunk: bytes) -> None:
        file.write(chunk)
        digest.update(chunk)

    with path.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk)
            await in_thread(partial(write, file, chunk))
        await in_thread(file.flush)
    return SpooledFile(path, size, digest.hexdigest())


def _beginning(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return file.read(size).decode(errors="ignore")
