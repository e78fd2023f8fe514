"""Checks on the content of an input file before ComfyUI opens it: the size of an image, and the kind of the file."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from worker.errors import InvalidInputFile
from worker.inputs.content.image_types import FORMATS, not_an_image_message
from worker.inputs.file_inputs import FileKind

UNSTREAMED = frozenset({"WEBP", "AVIF"})
"""Formats that Pillow reads into memory whole. Large files of these formats are not checked."""
LARGE = 64 * 1024 * 1024
MILLION = 1_000_000
HEAD = 512
PILLOW_ERRORS = (
    *(OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, RuntimeError, EOFError, MemoryError),
    *(AttributeError, struct.error),
)
"""Exceptions that Pillow raises for damaged or malicious files."""


FREE_READS, BYTES_A_READ, MOST_READS = 10_000, 64, 500_000
"""Limits on the number of reads of an image's headers. Pillow reads the data of a GIF in pieces of 128 bytes."""


class EndlessHeadersError(Exception):
    """An image has more headers than its size explains, for example thousands of comments or chunks."""


class HeaderReader:
    """An image file that allows a limited number of reads.

    Without the limit a small file could keep the worker busy: Pillow reads some headers byte by byte, and joins the
    comments of a GIF in quadratic time.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._reads_left = min(FREE_READS + size // BYTES_A_READ, MOST_READS)
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        """Read bytes. Raises EndlessHeadersError when the limit is reached."""
        self._reads_left -= 1
        if self._reads_left < 0:
            raise EndlessHeadersError
        return self._file.read(size)

    def readline(self, size: int = -1) -> bytes:
        """Read a line. Raises EndlessHeadersError when the limit is reached."""
        self._reads_left -= 1
        if self._reads_left < 0:
            raise EndlessHeadersError
        return self._file.readline(size)


def check_content(file: Path | BytesIO, kinds: Collection[FileKind], max_megapixels: float) -> None:
    """Raise InvalidInputFile for an image that is too large, or for a file of another kind than the inputs accept.

    `kinds` are the kinds that the inputs which name this file accept, empty for any kind. Only headers are read.
    """
    try:
        pixels = image_pixels(file)
    except EndlessHeadersError:
        raise InvalidInputFile("the image has too many comments and headers: save it again without them") from None
    if pixels is not None and pixels > max_megapixels * MILLION:
        raise InvalidInputFile(
            f"the image has more than {max_megapixels:g} million pixels in all its frames: send a smaller one"
        )
    if FileKind.IMAGE in kinds and pixels is None:
        raise InvalidInputFile(not_an_image_message(_first_bytes(file)))
    if FileKind.AUDIO in kinds and pixels is not None:
        raise InvalidInputFile("the node needs an audio file, and this file is an image")
    if kinds and pixels is None and is_text(_first_bytes(file)):
        raise InvalidInputFile("the node needs a video or audio file, and this file is text, perhaps an error page")


def image_pixels(file: Path | BytesIO) -> float | None:
    """Return the pixels of all frames of an image, read from its header, or None for a file that is not an image.

    The result is infinite for an image above Pillow's own limit. Raises EndlessHeadersError.
    """
    from PIL import Image

    size = file.stat().st_size if isinstance(file, Path) else len(file.getbuffer())
    is_large = isinstance(file, Path) and size > LARGE
    formats = [name for name in FORMATS if not (is_large and name in UNSTREAMED)]
    try:
        with _open(file) as source, Image.open(HeaderReader(source, size), formats=formats) as image:  # type: ignore[arg-type]
            width, height = image.size
            return width * height * max(1, getattr(image, "n_frames", 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return float("inf")
    except PILLOW_ERRORS:
        return None


@contextmanager
def _open(file: Path | BytesIO) -> Iterator[BinaryIO]:
    """Open a file for reading. Bytes in memory are yielded as they are."""
    if isinstance(file, BytesIO):
        yield file
        return
    with file.open("rb") as source:
        yield source


def is_text(head: bytes) -> bool:
    """Return True if the first bytes of a file are UTF-8 text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the end may be half a character
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def _first_bytes(file: Path | BytesIO) -> bytes:
    """Return the first HEAD bytes of a file."""
    if isinstance(file, BytesIO):
        return file.getvalue()[:HEAD]
    with file.open("rb") as opened:
        return opened.read(HEAD)
