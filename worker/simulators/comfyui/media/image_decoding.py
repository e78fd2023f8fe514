"""Decoding of image files with the results of FFmpeg, which ComfyUI 0.33 uses and which differ from Pillow's.

- FFmpeg converts formats that are not RGB of 8 bits by way of 32-bit floats. Their values come out slightly too low,
  so a saved image is one step darker.
- 16-bit grey is scaled to 8 bits. Pillow clips it.
- Some formats have alpha although no pixel is transparent.
- Of an EXIF orientation that rotates and mirrors, only the rotation is applied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps, ImageSequence

_TURNS = {
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_270,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_GREY16 = ("I;16", "I;16B", "I;16L", "I")
_FIRST_ONLY = ("MPO", "TIFF")
"""Formats of which FFmpeg reads the first image only, and Pillow reads all."""
_VP8L = b"VP8L"
_STEP_DARKER = [max(0, value - 1) for value in range(256)]


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """An image in mode RGB, and its alpha channel if the decoder returns one."""

    image: Image.Image
    alpha: Image.Image | None


def decode_frames(file: Image.Image) -> Iterator[DecodedFrame]:
    """Yield the frames of an open file as ComfyUI's LoadImage decodes them."""
    if file.format == "WEBP" and getattr(file, "is_animated", False):
        yield from map(_by_pillow, ImageSequence.Iterator(file))  # FFmpeg cannot decode it, so ComfyUI uses Pillow
        return
    turn = _TURNS.get(file.getexif().get(_ORIENTATION, 1))
    is_lossless_webp = file.format == "WEBP" and _has_chunk(file, _VP8L)
    frames = [file] if file.format in _FIRST_ONLY else ImageSequence.Iterator(file)
    for frame in frames:
        decoded = _by_ffmpeg(frame, str(file.format), is_lossless_webp)
        yield decoded if turn is None else _rotated(decoded, turn)


def _by_pillow(frame: Image.Image) -> DecodedFrame:
    """Return a frame as Pillow decodes it."""
    upright = ImageOps.exif_transpose(frame)
    return DecodedFrame(
        _without_info(upright.convert("RGB")), upright.getchannel("A") if "A" in upright.getbands() else None
    )


def _by_ffmpeg(frame: Image.Image, kind: str, is_lossless_webp: bool) -> DecodedFrame:
    """Return a frame with FFmpeg's rounding and alpha for the file format `kind`.

    FFmpeg converts some formats by way of floats, and the result is one step darker.
    """
    if frame.mode in _GREY16:
        return DecodedFrame(_scaled(frame).convert("RGB"), None)
    has_alpha = frame.mode in ("LA", "RGBA", "PA", "P", "CMYK") or "transparency" in frame.info
    alpha = frame.convert("RGBA").getchannel("A") if has_alpha or is_lossless_webp or kind == "GIF" else None
    through_floats = frame.mode in ("L", "LA", "CMYK") or kind == "GIF" or is_lossless_webp
    through_floats |= kind == "BMP" and frame.mode != "P"
    image = _without_info(frame.convert("RGB"))
    return DecodedFrame(image.point(_STEP_DARKER * 3) if through_floats else image, alpha)  # one table for each channel


def _without_info(image: Image.Image) -> Image.Image:
    """Remove information that Pillow would write into a saved image, such as a profile or a transparent colour."""
    image.info = {}
    return image


def _scaled(frame: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, rounded down."""
    table = bytes(value * 255 // 65535 for value in range(65536))
    values = frame.convert("I").tobytes()
    return Image.frombytes("L", frame.size, bytes(table[value] for value in memoryview(values).cast("i")))


def _rotated(decoded: DecodedFrame, turn: Image.Transpose) -> DecodedFrame:
    """Return a frame after an EXIF rotation."""
    alpha = decoded.alpha
    return DecodedFrame(decoded.image.transpose(turn), alpha and alpha.transpose(turn))


def _has_chunk(file: Image.Image, name: bytes) -> bool:
    """Return whether an open WebP file has a chunk of this name. The position in the file is restored."""
    stream = getattr(file, "fp", None)
    if stream is None:
        return False
    position = stream.tell()
    try:
        stream.seek(0)
        return name in stream.read(4096)
    finally:
        stream.seek(position)
