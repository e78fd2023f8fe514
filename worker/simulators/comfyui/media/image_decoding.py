"""How ComfyUI 0.33 decodes pictures: by FFmpeg, whose results differ from Pillow's.

Formats that FFmpeg does not hand out as RGB of 8 bits go through 32-bit floats. These come out just below the value of
8 bits, and a picture saved from them is one step darker; 16 bits of grey are scaled, where Pillow cuts them off. Some
formats bring alpha along though no pixel is transparent. Orientations that mirror are taken for the rotation in them.
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
"""Formats of which FFmpeg reads one picture, and Pillow all."""
_VP8L = b"VP8L"
_STEP_DARKER = [max(0, value - 1) for value in range(256)]


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A picture in mode RGB, and its alpha where the decoder knows one."""

    image: Image.Image
    alpha: Image.Image | None


def decode_frames(file: Image.Image) -> Iterator[DecodedFrame]:
    """Yield the frames of an open file as LoadImage gets them."""
    if file.format == "WEBP" and getattr(file, "is_animated", False):
        yield from map(_by_pillow, ImageSequence.Iterator(file))  # FFmpeg can't; ComfyUI falls back to Pillow
        return
    turn = _TURNS.get(file.getexif().get(_ORIENTATION, 1))
    is_lossless_webp = file.format == "WEBP" and _has_chunk(file, _VP8L)
    frames = [file] if file.format in _FIRST_ONLY else ImageSequence.Iterator(file)
    for frame in frames:
        decoded = _by_ffmpeg(frame, str(file.format), is_lossless_webp)
        yield decoded if turn is None else _turned(decoded, turn)


def _by_pillow(frame: Image.Image) -> DecodedFrame:
    upright = ImageOps.exif_transpose(frame)
    return DecodedFrame(_bare(upright.convert("RGB")), upright.getchannel("A") if "A" in upright.getbands() else None)


def _by_ffmpeg(frame: Image.Image, kind: str, is_lossless_webp: bool) -> DecodedFrame:
    if frame.mode in _GREY16:
        return DecodedFrame(_scaled(frame).convert("RGB"), None)
    has_alpha = frame.mode in ("LA", "RGBA", "PA", "P", "CMYK") or "transparency" in frame.info
    alpha = frame.convert("RGBA").getchannel("A") if has_alpha or is_lossless_webp or kind == "GIF" else None
    through_floats = frame.mode in ("L", "LA", "CMYK") or kind == "GIF" or is_lossless_webp
    through_floats |= kind == "BMP" and frame.mode != "P"
    image = _bare(frame.convert("RGB"))
    return DecodedFrame(image.point(_STEP_DARKER * 3) if through_floats else image, alpha)


def _bare(image: Image.Image) -> Image.Image:
    """Drop what would be written into a saved picture: a profile, a transparent colour."""
    image.info = {}
    return image


def _scaled(frame: Image.Image) -> Image.Image:
    """16 bits as 8, cut to whole numbers."""
    table = bytes(value * 255 // 65535 for value in range(65536))
    values = frame.convert("I").tobytes()
    return Image.frombytes("L", frame.size, bytes(table[value] for value in memoryview(values).cast("i")))


def _turned(decoded: DecodedFrame, turn: Image.Transpose) -> DecodedFrame:
    alpha = decoded.alpha
    return DecodedFrame(decoded.image.transpose(turn), alpha and alpha.transpose(turn))


def _has_chunk(file: Image.Image, name: bytes) -> bool:
    """Look for a chunk of an open WebP file; the position in the file stays."""
    stream = getattr(file, "fp", None)
    if stream is None:
        return False
    position = stream.tell()
    try:
        stream.seek(0)
        return name in stream.read(4096)
    finally:
        stream.seek(position)
