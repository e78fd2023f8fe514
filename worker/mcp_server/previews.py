"""Small copies of images, so that a result fits into the context of a language model."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageOps

SIZES = ((1024, 85), (768, 80), (512, 75), (384, 70), (256, 60), (128, 50))
"""Longest side in pixels, and quality of the JPEG, in the order in which they are tried."""

MOST_PIXELS = 64 * 1024**2
"""A larger image is not decoded: it would need more than 256 MiB of memory."""


@dataclass(frozen=True, slots=True)
class ImagePreview:
    """A JPEG and its size in pixels."""

    data: bytes
    width: int
    height: int


def preview_of(content: bytes, most_bytes: int) -> ImagePreview | None:
    """Return a copy of at most `most_bytes`. Return None if Pillow cannot read the image, or it is too large.

    It blocks for the time of decoding.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            image.draft("RGB", (SIZES[0][0], SIZES[0][0]))
            return _fitting(_on_white(ImageOps.exif_transpose(image)), most_bytes)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # SyntaxError is what Pillow raises for a broken PNG


def _fitting(image: Image.Image, most_bytes: int) -> ImagePreview | None:
    """Return the largest copy that has at most `most_bytes`."""
    for side, quality in SIZES:
        image.thumbnail((side, side))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= most_bytes:
            return ImagePreview(file.getvalue(), image.width, image.height)
    return None


def _on_white(image: Image.Image) -> Image.Image:
    """Return the image in RGB. Its transparent parts become white, because JPEG has no transparency."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
