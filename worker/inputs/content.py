"""What is in a file before ComfyUI opens it: a picture small enough to be unpacked, and what the node asks for."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from worker.errors import InvalidInputFile
from worker.inputs.file_inputs import FileKind
from worker.inputs.picture_formats import FORMATS, why_not_opened

UNSTREAMED = frozenset({"WEBP", "AVIF"})
"""Pillow reads these into memory whole, so that large ones are not looked at."""
LARGE = 64 * 1024 * 1024
MILLION = 1_000_000
HEAD = 512
DAMAGES = (
    *(OSError, ValueError, SyntaxError, LookupError, TypeError, ArithmeticError, RuntimeError, EOFError, MemoryError),
    *(AttributeError, struct.error),
)
"""What Pillow raises over files that were made to confuse it."""


FREE_READS, BYTES_A_READ, MOST_READS = 10_000, 64, 500_000
"""How many pieces the headers of a picture may have. The data of a GIF is read in pieces of 128 bytes."""


class EndlessHeadersError(Exception):
    """A picture has more headers than its size explains: comments, chunks or blanks without end."""


class HeaderReader:
    """A picture's file that is read in at most so many pieces.

    Pillow reads some headers byte by byte, and joins the comments of a GIF in time that is the square of their number.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = min(FREE_READS + size // BYTES_A_READ, MOST_READS)
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise EndlessHeadersError
        return self._file.read(size)

    def readline(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise EndlessHeadersError
        return self._file.readline(size)


def check_content(file: Path | BytesIO, kinds: Collection[FileKind], max_megapixels: float) -> None:
    """Reads headers only. Raises InvalidInputFile."""
    try:
        pixels = picture_pixels(file)
    except EndlessHeadersError:
        raise InvalidInputFile("the picture has too many comments and headers: save it again without them") from None
    if pixels is not None and pixels > max_megapixels * MILLION:
        raise InvalidInputFile(
            f"the picture has more than {max_megapixels:g} million pixels, all frames together: send a smaller one"
        )
    if FileKind.PICTURE in kinds and pixels is None:
        raise InvalidInputFile(why_not_opened(_head(file)))
    if FileKind.SOUND in kinds and pixels is not None:
        raise InvalidInputFile("the node wants sound, and this is a picture")
    if kinds and pixels is None and is_text(_head(file)):
        raise InvalidInputFile("the node wants video or sound, and this is text: is it an error page?")


def picture_pixels(file: Path | BytesIO) -> float | None:
    """Pixels of all frames, from the header: infinite above Pillow's own limit, None for what is no picture.

    Raises EndlessHeadersError.
    """
    from PIL import Image

    size = file.stat().st_size if isinstance(file, Path) else len(file.getbuffer())
    large = isinstance(file, Path) and size > LARGE
    formats = [name for name in FORMATS if not (large and name in UNSTREAMED)]
    try:
        with _opened(file) as source, Image.open(HeaderReader(source, size), formats=formats) as picture:  # type: ignore[arg-type]
            width, height = picture.size
            return width * height * max(1, getattr(picture, "n_frames", 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return float("inf")
    except DAMAGES:
        return None


@contextmanager
def _opened(file: Path | BytesIO) -> Iterator[BinaryIO]:
    if isinstance(file, BytesIO):
        yield file
        return
    with file.open("rb") as source:
        yield source


def is_text(head: bytes) -> bool:
    """True where the beginning of a file can be read as text."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the end may be half a character
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def _head(file: Path | BytesIO) -> bytes:
    if isinstance(file, BytesIO):
        return file.getvalue()[:HEAD]
    with file.open("rb") as opened:
        return opened.read(HEAD)
