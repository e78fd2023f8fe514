"""What is in a file before ComfyUI opens it: a picture small enough to be unpacked, and what the node asks for."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

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


def check_content(file: Path | BytesIO, kinds: Collection[FileKind], max_megapixels: float) -> None:
    """Reads headers only. Raises InvalidInputFile."""
    pixels = picture_pixels(file)
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
    """Pixels of all frames, from the header: infinite above Pillow's own limit, None for what is no picture."""
    from PIL import Image

    large = isinstance(file, Path) and file.stat().st_size > LARGE
    formats = [name for name in FORMATS if not (large and name in UNSTREAMED)]
    try:
        with Image.open(file, formats=formats) as picture:
            width, height = picture.size
            return width * height * max(1, getattr(picture, "n_frames", 1))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return float("inf")
    except DAMAGES:
        return None


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
