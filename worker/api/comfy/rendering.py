"""Images in the forms that `/view` and `/upload/mask` need: another format, some channels, or with a mask."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from worker.errors import InvalidInputFile

LARGEST_PIXELS = 100 * 1000 * 1000
"""Pixels of the largest image that is decoded."""
DEFAULT_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Rendering:
    """The form in which a client requests an image. `format` is webp, jpeg or png, and `channel` is rgba, rgb or a."""

    format: str
    quality: int = DEFAULT_QUALITY
    channel: str = "rgba"

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self | None:
        """Return the form that `preview` and `channel` in a query describe, or None for the file itself."""
        preview, channel = query.get("preview"), query.get("channel", "rgba")
        if preview is None:
            return cls("png", channel=channel) if channel in {"rgb", "a"} else None
        kind, _, quality = preview.partition(";")
        # JPEG has no alpha.
        kind = kind if kind in {"webp", "jpeg"} and not (kind == "jpeg" and "a" in channel) else "webp"
        number = int(quality) if quality.isdecimal() and len(quality) < 4 else DEFAULT_QUALITY
        return cls(kind, min(number, 100), channel)


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """An encoded image."""

    data: bytes
    mime: str


async def render(path: Path, rendering: Rendering) -> RenderedImage:
    """Return an image file in another form. Raises InvalidInputFile for a file that is no image."""
    return await asyncio.to_thread(_render, path, rendering)


async def with_mask(original: Path, mask: Path, target: Path) -> None:
    """Write the colours of one image and the alpha of another one, with the texts of the first, as a PNG file.

    Raises InvalidInputFile if one of them is no image, or if their sizes differ.
    """
    await asyncio.to_thread(_with_mask, original, mask, target)


def _render(path: Path, rendering: Rendering) -> RenderedImage:
    """Return an image file in another form. Blocks."""
    from PIL import Image  # takes 50 ms, and most clients need it never

    image = _open(path)
    if rendering.channel == "rgb":
        image = image.convert("RGB")
    elif rendering.channel == "a":
        alpha = image.convert("RGBA").getchannel("A")
        image = Image.new("RGBA", image.size)
        image.putalpha(alpha)
    if rendering.format == "jpeg":
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format=rendering.format, quality=rendering.quality)
    return RenderedImage(buffer.getvalue(), f"image/{rendering.format}")


def _with_mask(original: Path, mask: Path, target: Path) -> None:
    """Write the masked image. Blocks."""
    from PIL.PngImagePlugin import PngInfo

    image, alpha = _open(original), _open(mask).convert("RGBA").getchannel("A")
    if image.size != alpha.size:
        raise InvalidInputFile(f"the mask has {alpha.size} pixels, and the image {image.size}: send a mask of its size")
    texts = PngInfo()
    for name, text in getattr(image, "text", {}).items():
        texts.add_text(name, text)
    masked = image.convert("RGBA")
    masked.putalpha(alpha)
    masked.save(target, format="png", pnginfo=texts, compress_level=4)


def _open(path: Path):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Pillow is imported late
    """Return a decoded image. Raises InvalidInputFile."""
    from PIL import Image

    try:
        image = Image.open(path)
        if image.width * image.height > LARGEST_PIXELS:
            raise InvalidInputFile(f"the image has {image.width} x {image.height} pixels, which is too large")
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInputFile(f"the file is not an image that can be read: {error}") from error
    return image
